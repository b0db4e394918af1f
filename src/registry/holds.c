/* Decides who may hold and release batches and accounts, and what falls due when time passes. The state's thread. */
#include "state.h"

#include <assert.h>
#include <string.h>

#define DUE_PER_TICK 1024 /* the rest falls due with the next tick */

/* ---- when holds end: sorted by (end, id), so that a tick looks at what is due alone ---- */

static int deadline_compare(const struct deadline *a, const struct deadline *b)
{
	if (a->until_us != b->until_us)
		return a->until_us < b->until_us ? -1 : 1;
	if (a->batch != b->batch)
		return a->batch < b->batch ? -1 : 1;
	return id_compare(a->org, b->org);
}

/* How many come before it. */
static uint32_t deadline_place(const struct registry *registry, const struct deadline *deadline)
{
	uint32_t low = 0, high = registry->deadline_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (deadline_compare(&registry->deadlines[middle], deadline) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum err deadline_room(struct registry *registry)
{
	void *deadlines = registry->deadlines;
	bool room = array_room(
		&deadlines, &registry->deadline_capacity, registry->deadline_count, sizeof *registry->deadlines);
	registry->deadlines = deadlines;
	return room ? ERR_OK : ERR_NO_MEMORY;
}

void deadline_add(struct registry *registry, struct deadline deadline)
{
	if (!deadline.until_us)
		return;
	uint32_t at = deadline_place(registry, &deadline);
	assert(registry->deadline_count < registry->deadline_capacity);
	memmove(&registry->deadlines[at + 1], &registry->deadlines[at],
		(registry->deadline_count - at) * sizeof *registry->deadlines);
	registry->deadlines[at] = deadline;
	registry->deadline_count++;
}

static void deadline_drop(struct registry *registry, struct deadline deadline)
{
	if (!deadline.until_us)
		return;
	uint32_t at = deadline_place(registry, &deadline);
	assert(at < registry->deadline_count && deadline_compare(&registry->deadlines[at], &deadline) == 0);
	registry->deadline_count--;
	memmove(&registry->deadlines[at], &registry->deadlines[at + 1],
		(registry->deadline_count - at) * sizeof *registry->deadlines);
}

static struct deadline of_batch(const struct batch *batch)
{
	return (struct deadline){.until_us = batch->held ? batch->until_us : 0, .batch = batch->issued.batch};
}

static struct deadline of_account(const struct held_account *account)
{
	return (struct deadline){.until_us = account->held ? account->until_us : 0, .org = account->org};
}

/* ---- batches ---- */

static enum err until_check(int64_t until_us, int64_t now_us, struct err_info *info)
{
	if (until_us != 0 && until_us <= now_us)
		return REFUSE(info, ERR_INVALID_FIELD, "/until", "/until must lie in the future");
	return ERR_OK;
}

enum err decide_batch_hold(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_batch_hold *asked = &call->command->batch_hold;
	const struct batch *batch = batch_find(registry, asked->batch);
	if (!batch)
		return REFUSE(info, ERR_NOT_FOUND, "", "there is no such batch");
	if (batch->held)
		return REFUSE(info, ERR_BATCH_HELD, "", "the batch is suspended already");
	enum err err = reason_check(asked->reason_hash, info);
	if (!err)
		err = until_check(asked->until_us, call->now_us, info);
	struct event event = {
		.batch_held = {.batch = asked->batch, .until_us = asked->until_us, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_BATCH_HELD, &event, info);
}

enum err decide_batch_release(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_batch_release *asked = &call->command->batch_release;
	const struct batch *batch = batch_find(registry, asked->batch);
	if (!batch)
		return REFUSE(info, ERR_NOT_FOUND, "", "there is no such batch");
	if (!batch->held && !batch->unsold_held)
		return REFUSE(info, ERR_NOT_HELD, "", "the batch is not suspended");
	if (id_equal(batch->issued.org, call->command->org))
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "", "an operator does not release its own batch");
	enum err err = reason_check(asked->reason_hash, info);
	struct event event = {.batch_released = {.batch = asked->batch, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_BATCH_RELEASED, &event, info);
}

struct batch_hold_back {
	uint64_t batch;
	bool held, unsold_held;
	int64_t until_us;
};

static void batch_hold_revert(void *owner, const void *payload)
{
	struct batch_hold_back back;
	memcpy(&back, payload, sizeof back);
	struct batch *batch = batch_find(owner, back.batch);
	deadline_drop(owner, of_batch(batch));
	batch->held = back.held;
	batch->unsold_held = back.unsold_held;
	batch->until_us = back.until_us;
	deadline_add(owner, of_batch(batch)); /* where it was: there is room */
}

static void batch_hold_note(struct registry *registry, struct undo *undo, const struct batch *batch)
{
	struct batch_hold_back back = {.batch = batch->issued.batch,
		.held = batch->held,
		.unsold_held = batch->unsold_held,
		.until_us = batch->until_us};
	undo_push(undo, batch_hold_revert, registry, &back, sizeof back);
}

enum err apply_batch_held(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	struct batch *batch = batch_find(registry, event->batch_held.batch);
	if (!batch || batch->held)
		return journal_invalid(info, "a batch that cannot be held is held");
	enum err err = deadline_room(registry);
	if (err)
		return err;
	batch_hold_note(registry, undo, batch);
	batch->held = true;
	batch->until_us = event->batch_held.until_us;
	deadline_add(registry, of_batch(batch));
	return ERR_OK;
}

enum err apply_batch_released(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_batch_released *said = &event->batch_released;
	struct batch *batch = batch_find(registry, said->batch);
	if (!batch)
		return journal_invalid(info, "a batch that is not there is released");
	batch_hold_note(registry, undo, batch);
	deadline_drop(registry, of_batch(batch));
	batch->held = false;
	batch->until_us = 0;
	if (!hash_is_none(said->reason_hash)) /* a hold that falls due leaves a reversal's suspension in force */
		batch->unsold_held = false;
	return ERR_OK;
}

/* ---- accounts ---- */

enum err decide_account_hold(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_account_hold *asked = &call->command->account_hold;
	const struct held_account *account = account_find(registry, asked->org);
	if (id_is_none(asked->org))
		return REFUSE(info, ERR_MISSING_FIELD, "/org_id", "the organisation is missing");
	if (account && account->held)
		return REFUSE(info, ERR_ACCOUNT_HELD, "", "the account is held already");
	enum err err = reason_check(asked->reason_hash, info);
	if (!err)
		err = until_check(asked->until_us, call->now_us, info);
	struct event event = {
		.account_held = {.org = asked->org, .until_us = asked->until_us, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_ACCOUNT_HELD, &event, info);
}

enum err decide_account_release(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_account_release *asked = &call->command->account_release;
	const struct held_account *account = account_find(registry, asked->org);
	if (!account || !account->held)
		return REFUSE(info, ERR_NOT_HELD, "", "the account is not held");
	if (id_equal(asked->org, call->command->org))
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "", "an organisation does not release its own account");
	enum err err = reason_check(asked->reason_hash, info);
	struct event event = {.account_released = {.org = asked->org, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_ACCOUNT_RELEASED, &event, info);
}

/* An account that is not held is as good as none, so making it need not be undone. */
static enum err account_get(struct registry *registry, struct id org, struct held_account **ret_account)
{
	*ret_account = account_find(registry, org);
	if (*ret_account)
		return ERR_OK;
	void *accounts = registry->accounts;
	bool room = array_room(&accounts, &registry->account_capacity, registry->account_count,
			    sizeof *registry->accounts) &&
		    map_reserve(&registry->account_map, 1);
	registry->accounts = accounts;
	if (!room)
		return ERR_NO_MEMORY;
	map_put(&registry->account_map, map_hash_bytes(registry->seed, &org, sizeof org), registry->account_count);
	*ret_account = &registry->accounts[registry->account_count++];
	**ret_account = (struct held_account){.org = org};
	return ERR_OK;
}

static void account_revert(void *owner, const void *payload)
{
	struct held_account back;
	memcpy(&back, payload, sizeof back);
	struct held_account *account = account_find(owner, back.org);
	deadline_drop(owner, of_account(account));
	*account = back;
	deadline_add(owner, of_account(account));
}

enum err apply_account_held(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	struct held_account *account;
	enum err err = account_get(registry, event->account_held.org, &account);
	if (!err)
		err = deadline_room(registry);
	if (err)
		return err;
	if (account->held)
		return journal_invalid(info, "an account is held twice");
	undo_push(undo, account_revert, registry, account, sizeof *account);
	account->held = true;
	account->until_us = event->account_held.until_us;
	deadline_add(registry, of_account(account));
	return ERR_OK;
}

enum err apply_account_released(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	struct held_account *account = account_find(registry, event->account_released.org);
	if (!account || !account->held)
		return journal_invalid(info, "an account that is not held is released");
	undo_push(undo, account_revert, registry, account, sizeof *account);
	deadline_drop(registry, of_account(account));
	account->held = false;
	account->until_us = 0;
	return ERR_OK;
}

enum err apply_state_account(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	(void)undo;
	struct held_account *account;
	enum err err = account_get(registry, event->state_account.org, &account);
	if (!err)
		err = deadline_room(registry);
	if (err)
		return err;
	if (account->held)
		return journal_invalid(info, "an account is held twice");
	account->held = true;
	account->until_us = event->state_account.until_us;
	deadline_add(registry, of_account(account));
	return ERR_OK;
}

/* ---- time ---- */

enum err registry_tick(struct registry *registry, struct decision *call, int64_t due_us, struct err_info *info)
{
	enum err err = ERR_OK;
	for (int i = 0; i < DUE_PER_TICK && registry->deadline_count && !err; i++) {
		struct deadline next = registry->deadlines[0]; /* its event takes it off */
		struct event event = {0};
		if (next.until_us > due_us)
			break;
		if (next.batch) {
			event.batch_released.batch = next.batch;
			err = decision_emit(call, EVENT_BATCH_RELEASED, &event, info);
		} else {
			event.account_released.org = next.org;
			err = decision_emit(call, EVENT_ACCOUNT_RELEASED, &event, info);
		}
	}
	return err;
}
