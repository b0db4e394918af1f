/* Decides how escrows and offtake contracts are kept, found, changed and undone, which of them goes on next, and how they are
 * written to snapshots. The state's thread. */
#include "contracts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/array.h"
#include "state.h"

/* ---- memory ---- */

struct contracts *market_contracts(struct market *market)
{
	return &market->contracts;
}

void contracts_free(struct contracts *contracts)
{
	for (uint32_t i = 1; i <= contracts->escrow_used; i++)
		free(contracts->escrows[i].ranges);
	for (uint32_t i = 1; i <= contracts->offtake_used; i++)
		free(contracts->offtakes[i].rows);
	free(contracts->escrows);
	free(contracts->offtakes);
	free(contracts->calls);
	free(contracts->waiting);
	free(contracts->waits);
	map_free(&contracts->escrow_map);
	map_free(&contracts->offtake_map);
	map_free(&contracts->seller_map);
	timers_free(&contracts->timers);
	*contracts = (struct contracts){0};
}

static bool waits_reserve(struct contracts *contracts, uint32_t numbers)
{
	if (numbers > contracts->waits_capacity) {
		bool *waits = realloc(contracts->waits, 2 * numbers * sizeof *waits);
		if (!waits)
			return false;
		memset(waits + contracts->waits_capacity, 0, 2 * numbers - contracts->waits_capacity);
		contracts->waits = waits;
		contracts->waits_capacity = 2 * numbers;
	}
	return true;
}

bool contracts_reserve(struct contracts *contracts)
{
	uint32_t most =
		contracts->escrow_used > contracts->offtake_used ? contracts->escrow_used : contracts->offtake_used;
	return ROOM(contracts, escrows, contracts->escrow_used + 2, escrow_capacity) &&
	       ROOM(contracts, offtakes, contracts->offtake_used + 2, offtake_capacity) &&
	       ROOM(contracts, calls, contracts->call_count + 1, call_capacity) &&
	       map_reserve(&contracts->escrow_map, 1) && map_reserve(&contracts->offtake_map, 1) &&
	       map_reserve(&contracts->seller_map, 1) && timers_reserve(&contracts->timers, 2 * (most + 2)) &&
	       waits_reserve(contracts, 2 * (most + 2)) &&
	       ROOM(contracts, waiting, 2 * (most + 2), waiting_capacity); /* all of them may wait */
}

/* ---- finding ---- */

static uint64_t id_hash(const struct contracts *contracts, struct id id)
{
	return map_hash_bytes(contracts->seed, &id, sizeof id);
}

static bool escrow_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct contracts *)context)->escrows[item].is.escrow, *(const struct id *)key);
}

static bool offtake_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct contracts *)context)->offtakes[item].is.contract, *(const struct id *)key);
}

static bool seller_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct contracts *)context)->offtakes[item].is.seller, *(const struct id *)key);
}

struct escrow *escrow_find(const struct contracts *contracts, struct id id)
{
	uint32_t item = map_find(&contracts->escrow_map, id_hash(contracts, id), escrow_equal, contracts, &id);
	return item == MAP_NONE ? NULL : &contracts->escrows[item];
}

struct offtake *offtake_find(const struct contracts *contracts, struct id id)
{
	uint32_t item = map_find(&contracts->offtake_map, id_hash(contracts, id), offtake_equal, contracts, &id);
	return item == MAP_NONE ? NULL : &contracts->offtakes[item];
}

uint32_t offtake_first(const struct contracts *contracts, struct id seller)
{
	uint32_t item = map_find(&contracts->seller_map, id_hash(contracts, seller), seller_equal, contracts, &seller);
	return item == MAP_NONE ? 0 : item;
}

uint32_t offtake_row(const struct offtake *offtake)
{
	uint32_t row = 0;
	while (row < offtake->row_count && offtake->rows[row].state != DELIVERY_OPEN)
		row++;
	return row;
}

/* ---- when each goes on ---- */

static uint32_t escrow_number(const struct contracts *contracts, const struct escrow *escrow)
{
	return 2 * (uint32_t)(escrow - contracts->escrows);
}

static uint32_t offtake_number(const struct contracts *contracts, const struct offtake *offtake)
{
	return 2 * (uint32_t)(offtake - contracts->offtakes) + 1;
}

static void escrow_clock(struct contracts *contracts, const struct escrow *escrow)
{
	bool is_there = !id_is_none(escrow->is.escrow);
	timers_set(&contracts->timers, escrow_number(contracts, escrow), escrow->is.escrow,
		is_there ? escrow_timer(escrow) : TIMER_NEVER);
}

static void offtake_clock(struct contracts *contracts, const struct offtake *offtake)
{
	bool is_there = !id_is_none(offtake->is.contract);
	timers_set(&contracts->timers, offtake_number(contracts, offtake), offtake->is.contract,
		is_there ? offtake_timer(offtake) : TIMER_NEVER);
}

/* ---- escrows ---- */

struct escrow_step {
	struct event_state_escrow was;
	uint32_t item, range_count;
};
_Static_assert(sizeof(struct escrow_step) <= UNDO_PAYLOAD_MAX, "an escrow fits in a step of the undo log");

static void escrow_seat(struct contracts *contracts, uint32_t item, const struct event_state_escrow *is)
{
	struct escrow *escrow = &contracts->escrows[item];
	escrow->is = *is;
	map_put(&contracts->escrow_map, id_hash(contracts, is->escrow), item);
	contracts->escrow_count++;
	escrow_clock(contracts, escrow);
}

static void escrow_unseat(struct contracts *contracts, struct escrow *escrow)
{
	uint32_t item = (uint32_t)(escrow - contracts->escrows);
	map_remove(&contracts->escrow_map, id_hash(contracts, escrow->is.escrow), item);
	escrow->is = (struct event_state_escrow){0};
	escrow->next_free = contracts->escrow_free;
	contracts->escrow_free = item;
	contracts->escrow_count--;
	escrow_clock(contracts, escrow);
}

static uint32_t escrow_place(struct contracts *contracts)
{
	uint32_t item = contracts->escrow_free;
	if (item)
		contracts->escrow_free = contracts->escrows[item].next_free;
	else
		contracts->escrows[item = ++contracts->escrow_used] = (struct escrow){0};
	return item;
}

/* Back to what it was, whether it is there or has ended. */
static void escrow_revert(void *owner, const void *payload)
{
	struct contracts *contracts = owner;
	struct escrow_step step;
	memcpy(&step, payload, sizeof step);
	struct escrow *escrow = &contracts->escrows[step.item];
	if (id_is_none(escrow->is.escrow)) {
		uint32_t item = escrow_place(contracts);
		assert(item == step.item);
		escrow_seat(contracts, item, &step.was);
	}
	escrow->is = step.was;
	escrow->range_count = step.range_count;
	escrow_clock(contracts, escrow);
}

static void escrow_note(struct contracts *contracts, struct undo *undo, const struct escrow *escrow)
{
	struct escrow_step step = {
		.was = escrow->is, .item = (uint32_t)(escrow - contracts->escrows), .range_count = escrow->range_count};
	undo_push(undo, escrow_revert, contracts, &step, sizeof step);
}

static void escrow_add_revert(void *owner, const void *payload)
{
	struct contracts *contracts = owner;
	struct id id;
	memcpy(&id, payload, sizeof id);
	escrow_unseat(contracts, escrow_find(contracts, id));
}

enum err escrow_add(struct contracts *contracts, struct undo *undo, const struct event_state_escrow *is)
{
	uint32_t item = escrow_place(contracts);
	contracts->escrows[item].range_count = 0;
	escrow_seat(contracts, item, is);
	undo_push(undo, escrow_add_revert, contracts, &is->escrow, sizeof is->escrow);
	return ERR_OK;
}

void escrow_become(
	struct contracts *contracts, struct undo *undo, struct escrow *escrow, const struct event_state_escrow *is)
{
	escrow_note(contracts, undo, escrow);
	escrow->is = *is;
	escrow_clock(contracts, escrow);
}

enum err escrow_take(
	struct contracts *contracts, struct undo *undo, struct escrow *escrow, const struct record_lists *lists)
{
	uint32_t count = escrow->range_count + (uint32_t)lists->range_count;
	if (count > escrow->range_capacity) {
		struct serial_range *grown = realloc(escrow->ranges, 2 * count * sizeof *grown);
		if (!grown)
			return ERR_NO_MEMORY;
		escrow->ranges = grown;
		escrow->range_capacity = 2 * count;
	}
	escrow_note(contracts, undo, escrow);
	if (lists->range_count)
		memcpy(escrow->ranges + escrow->range_count, lists->ranges, lists->range_count * sizeof *lists->ranges);
	escrow->range_count = count;
	return ERR_OK;
}

void escrow_drop(struct contracts *contracts, struct undo *undo, struct escrow *escrow)
{
	escrow_note(contracts, undo, escrow);
	escrow_unseat(contracts, escrow);
}

/* ---- offtake contracts ---- */

struct offtake_step {
	struct event_state_offtake was;
	struct delivery row;
	uint32_t item, row_at, row_count; /* row_at == row_count: no row changed */
};
_Static_assert(sizeof(struct offtake_step) <= UNDO_PAYLOAD_MAX, "a contract fits in a step of the undo log");

static void seller_link(struct contracts *contracts, uint32_t item)
{
	struct offtake *offtake = &contracts->offtakes[item];
	uint32_t first = offtake_first(contracts, offtake->is.seller);
	uint64_t hash = id_hash(contracts, offtake->is.seller);
	offtake->next = first;
	offtake->previous = 0;
	if (first) {
		contracts->offtakes[first].previous = item;
		map_remove(&contracts->seller_map, hash, first);
	}
	map_put(&contracts->seller_map, hash, item);
}

static void seller_unlink(struct contracts *contracts, uint32_t item)
{
	struct offtake *offtake = &contracts->offtakes[item];
	uint64_t hash = id_hash(contracts, offtake->is.seller);
	if (offtake->next)
		contracts->offtakes[offtake->next].previous = offtake->previous;
	if (offtake->previous) {
		contracts->offtakes[offtake->previous].next = offtake->next;
		return;
	}
	map_remove(&contracts->seller_map, hash, item);
	if (offtake->next)
		map_put(&contracts->seller_map, hash, offtake->next);
}

static void offtake_seat(struct contracts *contracts, uint32_t item, const struct event_state_offtake *is)
{
	struct offtake *offtake = &contracts->offtakes[item];
	offtake->is = *is;
	map_put(&contracts->offtake_map, id_hash(contracts, is->contract), item);
	seller_link(contracts, item);
	contracts->offtake_count++;
	offtake_clock(contracts, offtake);
}

static void offtake_unseat(struct contracts *contracts, struct offtake *offtake)
{
	uint32_t item = (uint32_t)(offtake - contracts->offtakes);
	seller_unlink(contracts, item);
	map_remove(&contracts->offtake_map, id_hash(contracts, offtake->is.contract), item);
	offtake->is = (struct event_state_offtake){0};
	offtake->next_free = contracts->offtake_free;
	contracts->offtake_free = item;
	contracts->offtake_count--;
	offtake_clock(contracts, offtake);
}

static uint32_t offtake_place(struct contracts *contracts)
{
	uint32_t item = contracts->offtake_free;
	if (item)
		contracts->offtake_free = contracts->offtakes[item].next_free;
	else
		contracts->offtakes[item = ++contracts->offtake_used] = (struct offtake){0};
	return item;
}

static void offtake_revert(void *owner, const void *payload)
{
	struct contracts *contracts = owner;
	struct offtake_step step;
	memcpy(&step, payload, sizeof step);
	struct offtake *offtake = &contracts->offtakes[step.item];
	if (id_is_none(offtake->is.contract)) {
		uint32_t item = offtake_place(contracts);
		assert(item == step.item);
		offtake_seat(contracts, item, &step.was);
	}
	offtake->is = step.was;
	if (step.row_at < step.row_count)
		offtake->rows[step.row_at] = step.row;
	offtake_clock(contracts, offtake);
}

static void offtake_note(struct contracts *contracts, struct undo *undo, const struct offtake *offtake, uint32_t row)
{
	struct offtake_step step = {.was = offtake->is,
		.item = (uint32_t)(offtake - contracts->offtakes),
		.row_at = row,
		.row_count = offtake->row_count};
	if (row < offtake->row_count)
		step.row = offtake->rows[row];
	undo_push(undo, offtake_revert, contracts, &step, sizeof step);
}

static void offtake_add_revert(void *owner, const void *payload)
{
	struct contracts *contracts = owner;
	struct id id;
	memcpy(&id, payload, sizeof id);
	offtake_unseat(contracts, offtake_find(contracts, id));
}

enum err offtake_add(struct contracts *contracts, struct undo *undo, const struct event_state_offtake *is,
	const struct record_lists *lists)
{
	struct delivery *rows = malloc((lists->delivery_count + 1) * sizeof *rows);
	if (!rows)
		return ERR_NO_MEMORY;
	uint32_t item = offtake_place(contracts);
	struct offtake *offtake = &contracts->offtakes[item];
	free(offtake->rows);
	offtake->rows = rows;
	offtake->row_count = (uint32_t)lists->delivery_count;
	if (lists->delivery_count)
		memcpy(rows, lists->deliveries, lists->delivery_count * sizeof *rows);
	offtake_seat(contracts, item, is);
	undo_push(undo, offtake_add_revert, contracts, &is->contract, sizeof is->contract);
	return ERR_OK;
}

void offtake_become(struct contracts *contracts, struct undo *undo, struct offtake *offtake,
	const struct event_state_offtake *is, uint32_t row, const struct delivery *is_row)
{
	offtake_note(contracts, undo, offtake, is_row ? row : offtake->row_count);
	offtake->is = *is;
	if (is_row)
		offtake->rows[row] = *is_row;
	offtake_clock(contracts, offtake);
}

void offtake_drop(struct contracts *contracts, struct undo *undo, struct offtake *offtake)
{
	offtake_note(contracts, undo, offtake, offtake->row_count);
	offtake_unseat(contracts, offtake);
}

/* ---- calls, time ---- */

struct call_step {
	struct event_state_call was;
	uint32_t at;
	uint32_t added, taken;
};

static void call_revert(void *owner, const void *payload)
{
	struct contracts *contracts = owner;
	struct call_step step;
	memcpy(&step, payload, sizeof step);
	struct event_state_call *at = &contracts->calls[step.at];
	size_t behind = contracts->call_count - step.at;
	if (step.added) {
		contracts->call_count--;
		return;
	}
	if (step.taken) {
		memmove(at + 1, at, behind * sizeof *at);
		contracts->call_count++;
	}
	*at = step.was;
}

void call_set(struct contracts *contracts, struct undo *undo, uint32_t at, const struct event_state_call *call)
{
	struct event_state_call *place = &contracts->calls[at];
	struct call_step step = {.at = at, .added = at == contracts->call_count, .taken = call->kg == 0};
	if (!step.added)
		step.was = *place;
	undo_push(undo, call_revert, contracts, &step, sizeof step);
	if (step.added)
		contracts->call_count++;
	if (step.taken) {
		contracts->call_count--;
		memmove(place, place + 1, (contracts->call_count - at) * sizeof *place);
	} else {
		*place = *call;
	}
}

static void due_revert(void *owner, const void *payload)
{
	memcpy(&((struct contracts *)owner)->due_us, payload, sizeof(int64_t));
}

void due_set(struct contracts *contracts, struct undo *undo, int64_t due_us)
{
	undo_push(undo, due_revert, contracts, &contracts->due_us, sizeof contracts->due_us);
	contracts->due_us = due_us;
}

/* ---- what goes on by itself ---- */

void market_contract_look(struct market *market)
{
	market->contracts.look = true;
}

/* What a hold kept waiting is due again as its state says. */
static void waiting_wake(struct contracts *contracts)
{
	for (uint32_t i = 0; i < contracts->waiting_count; i++) {
		uint32_t number = contracts->waiting[i];
		contracts->waits[number] = false;
		if (number % 2)
			offtake_clock(contracts, &contracts->offtakes[number / 2]);
		else
			escrow_clock(contracts, &contracts->escrows[number / 2]);
	}
	contracts->waiting_count = 0;
	contracts->look = false;
}

/* Waits for a release; an escrow at most until its timeout. */
static void wait(struct contracts *contracts, uint32_t number)
{
	const struct escrow *escrow = number % 2 ? NULL : &contracts->escrows[number / 2];
	const struct timer *timer = &contracts->timers.timers[number];
	bool ends = escrow && escrow->is.expires_us > contracts->due_us;
	timers_set(&contracts->timers, number, timer->id, ends ? escrow->is.expires_us : TIMER_NEVER);
	if (contracts->waits[number])
		return;
	assert(contracts->waiting_count < contracts->waiting_capacity);
	contracts->waiting[contracts->waiting_count++] = number;
	contracts->waits[number] = true;
}

bool market_contract_due(struct market *market, const struct ledger *ledger, const struct market_register *batches,
	struct command_escrow_work *ret_work)
{
	struct contracts *contracts = &market->contracts;
	uint32_t number;
	int64_t at_us;
	*ret_work = (struct command_escrow_work){0};
	if (contracts->call_count) {
		ret_work->batch = contracts->calls[0].batch;
		return true;
	}
	if (contracts->look)
		waiting_wake(contracts);
	while (timers_first(&contracts->timers, &number, &at_us) && at_us <= contracts->due_us) {
		ret_work->item = contracts->timers.timers[number].id;
		if (number % 2 ? offtake_is_due(contracts, batches, &contracts->offtakes[number / 2])
			       : escrow_is_due(contracts, ledger, batches, &contracts->escrows[number / 2]))
			return true;
		wait(contracts, number);
	}
	return false;
}

enum err market_contract_tick(struct market *market, struct decision *call, int64_t due_us, struct err_info *info)
{
	const struct contracts *contracts = &market->contracts;
	uint32_t number;
	int64_t at_us;
	if (!timers_first(&contracts->timers, &number, &at_us) || at_us > due_us || due_us <= contracts->due_us)
		return ERR_OK;
	struct event event = {.deadline_reached = {.due_us = due_us}};
	return decision_emit(call, EVENT_DEADLINE_REACHED, &event, info);
}

enum err decide_escrow_work(const struct contract_call *at)
{
	const struct command_escrow_work *asked = &at->call->command->escrow_work;
	const struct contracts *contracts = at->contracts;
	if (id_is_none(asked->item))
		return contracts->call_count && contracts->calls[0].batch == asked->batch
			       ? offtake_serve(at)
			       : REFUSE(at->info, ERR_NOTHING_OWED, "", "nothing was called of this batch");
	struct escrow *escrow = escrow_find(contracts, asked->item);
	if (escrow)
		return escrow_go_on(at, escrow);
	struct offtake *offtake = offtake_find(contracts, asked->item);
	return offtake && offtake_is_due(contracts, at->batches, offtake)
		       ? offtake_go_on(at, offtake)
		       : REFUSE(at->info, ERR_ESCROW_DONE, "", "nothing is due");
}

/* ---- what both kinds share ---- */

enum err judge_check(
	const struct contract_call *at, struct id arbiter, struct id one, struct id other, uint32_t compliance)
{
	struct id org = at->call->command->org;
	if (id_equal(org, one) || id_equal(org, other))
		return REFUSE(at->info, ERR_SEPARATION_OF_DUTIES, "", "neither side decides");
	bool may = id_is_none(arbiter) ? compliance == 1 : id_equal(arbiter, org);
	return may ? ERR_OK
		   : REFUSE(at->info, ERR_FORBIDDEN, "",
			     "the arbiter that was named decides, or compliance where none was");
}

/* ---- snapshots ---- */

static int escrow_compare(const void *a, const void *b)
{
	return id_compare((*(const struct escrow *const *)a)->is.escrow, (*(const struct escrow *const *)b)->is.escrow);
}

static int offtake_compare(const void *a, const void *b)
{
	return id_compare(
		(*(const struct offtake *const *)a)->is.contract, (*(const struct offtake *const *)b)->is.contract);
}

typedef enum err emit_function(void *context, struct event *event, struct err_info *info);

static enum err escrows_put(
	const struct contracts *contracts, emit_function *emit, void *context, struct err_info *info)
{
	const struct escrow **sorted = calloc(contracts->escrow_count + 1, sizeof *sorted);
	size_t count = 0;
	if (!sorted)
		return ERR_NO_MEMORY;
	for (uint32_t i = 1; i <= contracts->escrow_used; i++)
		if (!id_is_none(contracts->escrows[i].is.escrow))
			sorted[count++] = &contracts->escrows[i];
	qsort(sorted, count, sizeof *sorted, escrow_compare);
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_ESCROW,
			.state_escrow = sorted[i]->is,
			.lists = {.ranges = sorted[i]->ranges, .range_count = sorted[i]->range_count}};
		err = emit(context, &event, info);
	}
	free(sorted);
	return err;
}

static enum err offtakes_put(
	const struct contracts *contracts, emit_function *emit, void *context, struct err_info *info)
{
	const struct offtake **sorted = calloc(contracts->offtake_count + 1, sizeof *sorted);
	size_t count = 0;
	if (!sorted)
		return ERR_NO_MEMORY;
	for (uint32_t i = 1; i <= contracts->offtake_used; i++)
		if (!id_is_none(contracts->offtakes[i].is.contract))
			sorted[count++] = &contracts->offtakes[i];
	qsort(sorted, count, sizeof *sorted, offtake_compare);
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_OFFTAKE,
			.state_offtake = sorted[i]->is,
			.lists = {.deliveries = sorted[i]->rows, .delivery_count = sorted[i]->row_count}};
		err = emit(context, &event, info);
	}
	free(sorted);
	return err;
}

enum err market_contract_snapshot(
	const struct market *market, emit_function *emit, void *context, struct err_info *info)
{
	const struct contracts *contracts = &market->contracts;
	enum err err = offtakes_put(contracts, emit, context, info);
	if (!err)
		err = escrows_put(contracts, emit, context, info);
	for (uint32_t i = 0; i < contracts->call_count && !err; i++) {
		struct event event = {.header.type = EVENT_STATE_CALL, .state_call = contracts->calls[i]};
		err = emit(context, &event, info);
	}
	if (!err && contracts->due_us) {
		struct event event = {
			.header.type = EVENT_STATE_DEADLINE, .state_deadline = {.due_us = contracts->due_us}};
		err = emit(context, &event, info);
	}
	return err;
}

/* ---- making true, deciding ---- */

bool market_contract_applies(uint16_t type)
{
	return (type >= EVENT_ESCROW_OPENED && type <= EVENT_OFFTAKE_ENDED) ||
	       (type >= EVENT_STATE_ESCROW && type <= EVENT_STATE_DEADLINE);
}

enum err market_contract_apply(struct market *market, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	struct contracts *contracts = &market->contracts;
	market->has_room = false;
	switch (event->header.type) {
	case EVENT_DEADLINE_REACHED: due_set(contracts, undo, event->deadline_reached.due_us); return ERR_OK;
	case EVENT_STATE_DEADLINE: due_set(contracts, undo, event->state_deadline.due_us); return ERR_OK;
	case EVENT_STATE_CALL: call_set(contracts, undo, contracts->call_count, &event->state_call); return ERR_OK;
	case EVENT_STATE_ESCROW: return escrow_apply(market, ledger, undo, event, info);
	default:
		return event->header.type < EVENT_DEADLINE_REACHED ? escrow_apply(market, ledger, undo, event, info)
								   : offtake_apply(market, ledger, undo, event, info);
	}
}

enum err market_contract_decide(struct market *market, struct ledger *ledger, const struct market_register *batches,
	struct decision *call, struct err_info *info)
{
	const struct contract_call at = {market, &market->contracts, ledger, batches, call, info};
	static contract_decider *const deciders[COMMAND_KIND_COUNT] = {
#define RECORD(name, NAME, type, version, lists, doc) [type] = decide_##name,
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/records/escrow_commands.def"
#include "carbond/record_undef.def"
	};
	return deciders[call->command->kind](&at);
}

uint32_t market_escrow_count(const struct market *market)
{
	return market->contracts.escrow_count;
}

uint32_t market_offtake_count(const struct market *market)
{
	return market->contracts.offtake_count;
}
