/* Decides which shard does what, and what a market shard knows of the home shard (the tables in docs/SHARDS.md). The state's
 * thread. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "carbond/base/array.h"

#define REFUSE(info, code, pointer, ...) err_set((info), (code), (pointer), __VA_ARGS__)

/* ---- life cycle, finding ---- */

void shards_start(struct shards *shards, uint32_t own, uint64_t seed)
{
	shards->own = own;
	shards->seed = seed;
}

void shards_free(struct shards *shards)
{
	free(shards->batches);
	free(shards->accounts);
	free(shards->members);
	map_free(&shards->batch_map);
	map_free(&shards->account_map);
	map_free(&shards->member_map);
}

#define ROOM(shards, array)                                                                                     \
	({                                                                                                      \
		void *items = (shards)->array;                                                                  \
		bool has_room = array_room(                                                                     \
			&items, &(shards)->array##_capacity, (shards)->array##_count, sizeof *(shards)->array); \
		(shards)->array = items;                                                                        \
		has_room;                                                                                       \
	})

bool shards_reserve(struct shards *shards)
{
	return ROOM(shards, batches) && ROOM(shards, accounts) && ROOM(shards, members) &&
	       map_reserve(&shards->batch_map, 1) && map_reserve(&shards->account_map, 1) &&
	       map_reserve(&shards->member_map, 1);
}

/* The market shard of this number, or NULL. */
const struct event_state_shard *shards_row(const struct shards *shards, uint32_t shard)
{
	for (uint32_t i = 0; i < shards->count; i++)
		if (shards->rows[i].shard == shard)
			return &shards->rows[i];
	return NULL;
}

bool shards_row_is(const struct event_state_shard *row, uint32_t kind, struct code8 currency)
{
	return row->kind == kind && memcmp(&row->currency, &currency, sizeof currency) == 0;
}

static bool batch_equal(const void *context, uint32_t item, const void *key)
{
	return ((const struct shards *)context)->batches[item].is.batch == *(const uint64_t *)key;
}

static struct shard_batch *batch_find(const struct shards *shards, uint64_t batch)
{
	uint32_t item = map_find(&shards->batch_map, map_hash_u64(shards->seed, batch), batch_equal, shards, &batch);
	return item == MAP_NONE ? NULL : &shards->batches[item];
}

static uint64_t org_hash(const struct shards *shards, struct id org)
{
	return map_hash_bytes(shards->seed, &org, sizeof org);
}

static bool account_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct shards *)context)->accounts[item].org, *(const struct id *)key);
}

static struct event_state_shard_account *account_find(const struct shards *shards, struct id org)
{
	uint32_t item = map_find(&shards->account_map, org_hash(shards, org), account_equal, shards, &org);
	return item == MAP_NONE ? NULL : &shards->accounts[item];
}

static bool member_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct shards *)context)->members[item], *(const struct id *)key);
}

bool shards_member(const struct shards *shards, struct id org)
{
	return map_find(&shards->member_map, org_hash(shards, org), member_equal, shards, &org) != MAP_NONE;
}

/* ---- what the market asks about batches ---- */

bool shards_attributes(const struct shards *shards, uint64_t number, struct market_attributes *ret_attributes)
{
	const struct shard_batch *batch = batch_find(shards, number);
	if (!batch || !batch->is.known)
		return false;
	*ret_attributes = (struct market_attributes){.kind = (enum credit_kind)batch->is.kind,
		.durability = (enum durability)batch->is.durability,
		.vintage = batch->is.vintage,
		.country = batch->is.country,
		.methodology = batch->is.methodology,
		.org = batch->is.operator_org,
		.project = batch->is.project,
		.unit = batch->is.unit,
		.verifiers = batch->verifiers};
	return true;
}

enum err shards_movable(const struct shards *shards, struct id org, uint64_t number, struct err_info *info)
{
	const struct event_state_shard_account *account = account_find(shards, org);
	const struct shard_batch *batch = batch_find(shards, number);
	if (account && account->holds)
		return REFUSE(info, ERR_ACCOUNT_HELD, "", "the organisation's account is held");
	if (number == 0)
		return ERR_OK;
	if (!batch)
		return REFUSE(info, ERR_NOT_FOUND, "/batch", "there is no such batch here");
	bool unsold = batch->is.holds & REGISTRY_HOLD_UNSOLD && id_equal(batch->is.operator_org, org);
	return unsold || batch->is.holds & (REGISTRY_HOLD_SUSPENDED | REGISTRY_HOLD_DISPUTED)
		       ? REFUSE(info, ERR_BATCH_HELD, "/batch", "batch %llu is suspended or in dispute",
				 (unsigned long long)number)
		       : ERR_OK;
}

/* ---- which shard does what ---- */

static bool is_markets(enum command_kind kind)
{
	switch (kind) {
#define RECORD(name, NAME, type, version, lists, doc) case COMMAND_##NAME:
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/records/market_commands.def"
#include "carbond/records/auction_commands.def"
#include "carbond/records/pool_commands.def"
#include "carbond/record_undef.def"
	case COMMAND_ACCOUNT_LIMIT: return true;
	default: return false;
	}
}

static enum err market_admit(const struct shards *shards, const struct command *command, struct err_info *info)
{
	const struct command_market_open *asked = &command->market_open;
	bool is_own = shards->own && shards_row_is(&shards->rows[0], asked->kind, asked->currency);
	for (uint32_t i = 0; i < shards->count && !is_own; i++)
		if (shards->own || shards_row_is(&shards->rows[i], asked->kind, asked->currency))
			return REFUSE(info, ERR_SHARD_OTHER, "/currency", "the market is that of another shard");
	return ERR_OK;
}

enum err shards_admit(const struct shards *shards, const struct command *command, struct err_info *info)
{
	enum command_kind kind = command->kind;
	bool is_carried =
		kind == COMMAND_SHARD_IN || kind == COMMAND_SHARD_LEARN || (kind == COMMAND_SHARD_OPEN && shards->own);
	bool is_shards = is_carried || kind == COMMAND_SHARD_OPEN || kind == COMMAND_SHARD_OUT;
	if (is_shards && command->source != (is_carried ? COMMAND_SOURCE_TRANSFER : COMMAND_SOURCE_CLIENT))
		return REFUSE(info, ERR_FORBIDDEN, "", "%s",
			is_carried ? "only the carrier gives this command" : "only a client gives this command");
	if (kind == COMMAND_MARKET_OPEN && shards->count)
		return market_admit(shards, command, info);
	if (!shards->own)
		return kind != COMMAND_SHARD_LEARN ? ERR_OK
						   : REFUSE(info, ERR_SHARD_OTHER, "", "the home shard knows itself");
	if (!shards->count && kind != COMMAND_SHARD_OPEN && kind != COMMAND_TICK)
		return REFUSE(info, ERR_SHARD_UNKNOWN, "", "the shard is not open yet");
	bool only_buys = kind == COMMAND_PURCHASE && !command->lists.line_count; /* what it retires is at home */
	return is_shards || is_markets(kind) || only_buys || kind == COMMAND_TICK
		       ? ERR_OK
		       : REFUSE(info, ERR_SHARD_OTHER, "", "the home shard does this");
}

bool shards_allow(const struct shards *shards, uint16_t type)
{
	return !shards->own || type < 10 || type == EVENT_HOUSE_NAMED || type == EVENT_ACCOUNT_LIMITED ||
	       (type >= 80 && !market_contract_applies(type));
}

/* ---- what the home shard tells ---- */

static struct event told_batch(const struct rules *rules, uint64_t batch)
{
	return (struct event){.header = {.type = EVENT_SHARD_TOLD},
		.shard_told = {.subject = SHARD_SUBJECT_BATCH,
			.batch = batch,
			.holds = registry_batch_holds(rules->registry, batch)}};
}

static struct event told_org(const struct rules *rules, enum shard_subject subject, struct id org)
{
	return (struct event){.header = {.type = EVENT_SHARD_TOLD},
		.shard_told = {.subject = (uint32_t)subject,
			.org = org,
			.holds = registry_account_held(rules->registry, org) ? REGISTRY_HOLD_SUSPENDED : 0}};
}

bool shards_tell(const struct rules *rules, const struct event *event, struct event *ret_told)
{
	if (rules->shards.own || !rules->shards.count)
		return false;
	switch (event->header.type) {
	case EVENT_BATCH_HELD: *ret_told = told_batch(rules, event->batch_held.batch); return true;
	case EVENT_BATCH_RELEASED: *ret_told = told_batch(rules, event->batch_released.batch); return true;
	case EVENT_BATCH_REVERSED: *ret_told = told_batch(rules, event->batch_reversed.batch); return true;
	case EVENT_DISPUTE_OPENED:
		*ret_told = told_batch(rules, event->dispute_opened.batch);
		return event->dispute_opened.batch && !event->lists.range_count;
	case EVENT_DISPUTE_DECIDED:
		*ret_told = told_batch(rules, event->dispute_decided.batch);
		return event->dispute_decided.batch && !event->lists.range_count;
	case EVENT_ACCOUNT_HELD:
		*ret_told = told_org(rules, SHARD_SUBJECT_ACCOUNT, event->account_held.org);
		return true;
	case EVENT_ACCOUNT_RELEASED:
		*ret_told = told_org(rules, SHARD_SUBJECT_ACCOUNT, event->account_released.org);
		return true;
	case EVENT_HOUSE_NAMED: *ret_told = told_org(rules, SHARD_SUBJECT_HOUSE, event->house_named.org); return true;
	default: return false;
	}
}

/* ---- deciding ---- */

static enum err decide_open(struct rules *rules, struct decision *call, struct err_info *info)
{
	const struct shards *shards = &rules->shards;
	const struct command_shard_open *asked = &call->command->shard_open;
	struct id house = ledger_house(rules->ledger);
	if (!ledger_money_asset(asked->currency))
		return REFUSE(info, ERR_CURRENCY_INVALID, "/currency",
			"/currency must be 1 to 7 of A-Z and 0-9, first a letter");
	if (asked->kind >= CREDIT_KIND_COUNT)
		return REFUSE(info, ERR_INVALID_FIELD, "/kind", "/kind must be removal or reduction");
	if (shards->own ? asked->shard != shards->own || shards->count : asked->shard != shards->count + 1)
		return REFUSE(info, ERR_SHARD_OTHER, "/shard", "it is not this shard, or not the next one");
	if (shards->count == RULES_SHARDS_MOST)
		return REFUSE(
			info, ERR_COMMAND_TOO_LARGE, "/shard", "there are at most %d market shards", RULES_SHARDS_MOST);
	for (uint32_t i = 0; i < shards->count; i++)
		if (shards_row_is(&shards->rows[i], asked->kind, asked->currency))
			return REFUSE(info, ERR_DUPLICATE, "/currency", "shard %u is that of this kind and currency",
				shards->rows[i].shard);
	if (market_is_open(rules->market, (enum credit_kind)asked->kind, asked->currency))
		return REFUSE(
			info, ERR_DUPLICATE, "/currency", "the home shard has the market of this kind and currency");
	call->number = asked->shard;
	struct event event = {
		.shard_opened = {.shard = asked->shard, .kind = asked->kind, .currency = asked->currency}};
	enum err err = decision_emit(call, EVENT_SHARD_OPENED, &event, info);
	if (err || shards->own || id_is_none(house))
		return err;
	event = told_org(rules, SHARD_SUBJECT_HOUSE, house);
	return decision_emit(call, EVENT_SHARD_TOLD, &event, info);
}

/* What of the market's is of a subject that is held now leaves it first. */
static enum err decide_learn(struct rules *rules, struct decision *call, struct err_info *info)
{
	const struct command_shard_learn *asked = &call->command->shard_learn;
	const struct shard_batch *batch = batch_find(&rules->shards, asked->batch);
	const struct event_state_shard_account *account = account_find(&rules->shards, asked->org);
	bool is_batch = asked->subject == SHARD_SUBJECT_BATCH;
	uint64_t known = is_batch ? (batch ? batch->is.position : 0) : account ? account->position : 0;
	uint32_t holds = is_batch ? (batch ? batch->is.holds : 0) : account ? account->holds : 0;
	struct hash key = carried_position_key(COMMAND_SHARD_LEARN, asked->position);
	enum err err = ERR_OK;
	if (!hash_equal(key, call->command->natural_key) || asked->subject >= SHARD_SUBJECT_COUNT ||
		is_batch != id_is_none(asked->org) || is_batch == !asked->batch)
		return REFUSE(
			info, ERR_INVALID_FIELD, "", "a fact's key is made of its event, which names one subject");
	if (asked->subject == SHARD_SUBJECT_HOUSE && id_is_none(ledger_house(rules->ledger))) {
		struct event named = {.house_named = {.org = asked->org}};
		err = decision_emit(call, EVENT_HOUSE_NAMED, &named, info);
	}
	if (err || asked->position <= known)
		return err;
	if (asked->holds & ~holds)
		err = market_recall(rules->market, rules->ledger, call, asked->org, asked->batch, info);
	struct event event = {.shard_learned = {.subject = asked->subject,
				      .holds = asked->holds,
				      .batch = asked->batch,
				      .org = asked->org,
				      .position = asked->position}};
	return err ? err : decision_emit(call, EVENT_SHARD_LEARNED, &event, info);
}

enum err shards_decide(struct rules *rules, struct decision *call, struct err_info *info)
{
	switch (call->command->kind) {
	case COMMAND_SHARD_OPEN: return decide_open(rules, call, info);
	case COMMAND_SHARD_OUT: return shards_out(rules, call, info);
	case COMMAND_SHARD_IN: return shards_in(rules, call, info);
	default: return decide_learn(rules, call, info);
	}
}

/* ---- making events true ---- */

static void row_forget(void *owner, const void *payload)
{
	(void)payload;
	((struct shards *)owner)->count--;
}

static enum err row_add(
	struct shards *shards, struct undo *undo, const struct event_state_shard *row, struct err_info *info)
{
	bool follows = shards->own ? row->shard == shards->own && !shards->count : row->shard == shards->count + 1;
	if (!follows || shards->count == RULES_SHARDS_MOST || !ledger_money_asset(row->currency))
		return journal_invalid(info, "a shard is opened out of order");
	shards->rows[shards->count++] = *row;
	undo_push(undo, row_forget, shards, NULL, 0);
	return ERR_OK;
}

static void batch_forget(void *owner, const void *payload)
{
	(void)payload;
	struct shards *shards = owner;
	shards->batches_count--;
	map_remove(&shards->batch_map, map_hash_u64(shards->seed, shards->batches[shards->batches_count].is.batch),
		shards->batches_count);
}

static void batch_revert(void *owner, const void *payload)
{
	struct shard_batch back;
	memcpy(&back, payload, sizeof back);
	*batch_find(owner, back.is.batch) = back;
}

/* The batch's row, which may then be changed. */
static struct shard_batch *batch_get(struct shards *shards, struct undo *undo, uint64_t number)
{
	struct shard_batch *batch = batch_find(shards, number);
	if (batch) {
		undo_push(undo, batch_revert, shards, batch, sizeof *batch);
		return batch;
	}
	batch = &shards->batches[shards->batches_count];
	*batch = (struct shard_batch){.is.batch = number};
	map_put(&shards->batch_map, map_hash_u64(shards->seed, number), shards->batches_count++);
	undo_push(undo, batch_forget, shards, NULL, 0);
	return batch;
}

static void account_forget(void *owner, const void *payload)
{
	(void)payload;
	struct shards *shards = owner;
	shards->accounts_count--;
	map_remove(&shards->account_map, org_hash(shards, shards->accounts[shards->accounts_count].org),
		shards->accounts_count);
}

static void account_revert(void *owner, const void *payload)
{
	struct event_state_shard_account back;
	memcpy(&back, payload, sizeof back);
	*account_find(owner, back.org) = back;
}

static struct event_state_shard_account *account_get(struct shards *shards, struct undo *undo, struct id org)
{
	struct event_state_shard_account *account = account_find(shards, org);
	if (account) {
		undo_push(undo, account_revert, shards, account, sizeof *account);
		return account;
	}
	account = &shards->accounts[shards->accounts_count];
	*account = (struct event_state_shard_account){.org = org};
	map_put(&shards->account_map, org_hash(shards, org), shards->accounts_count++);
	undo_push(undo, account_forget, shards, NULL, 0);
	return account;
}

static void member_forget(void *owner, const void *payload)
{
	(void)payload;
	struct shards *shards = owner;
	shards->members_count--;
	map_remove(
		&shards->member_map, org_hash(shards, shards->members[shards->members_count]), shards->members_count);
}

void shards_member_add(struct shards *shards, struct undo *undo, struct id org)
{
	if (shards_member(shards, org))
		return;
	shards->members[shards->members_count] = org;
	map_put(&shards->member_map, org_hash(shards, org), shards->members_count++);
	undo_push(undo, member_forget, shards, NULL, 0);
}

static void verifiers_take(struct verifier_set *set, const struct record_lists *lists)
{
	*set = (struct verifier_set){.count = (uint32_t)lists->verifier_count};
	if (set->count)
		memcpy(set->orgs, lists->verifiers, set->count * sizeof *set->orgs);
}

void shards_meet(struct shards *shards, struct undo *undo, const struct event *event)
{
	const struct event_shard_received *said = &event->shard_received;
	const struct shard_batch *before = batch_find(shards, said->batch);
	if (before && before->is.known)
		return;
	bool is_told = before != NULL;
	struct shard_batch *batch = batch_get(shards, undo, said->batch);
	const struct event_state_shard_batch was = batch->is;
	batch->is = (struct event_state_shard_batch){.batch = said->batch,
		.position = is_told ? was.position : said->position,
		.holds = is_told ? was.holds : said->holds,
		.known = 1,
		.kind = said->kind,
		.durability = said->durability,
		.vintage = said->vintage,
		.country = said->country,
		.methodology = said->methodology,
		.operator_org = said->operator_org,
		.project = said->project,
		.unit = said->unit};
	verifiers_take(&batch->verifiers, &event->lists);
}

static enum err learned_make(
	struct shards *shards, struct undo *undo, const struct event_shard_learned *said, struct err_info *info)
{
	bool is_batch = said->subject == SHARD_SUBJECT_BATCH;
	if (!shards->own || said->subject >= SHARD_SUBJECT_COUNT || is_batch != id_is_none(said->org) ||
		is_batch == !said->batch)
		return journal_invalid(info, "a fact of nothing, or of the home shard's own");
	if (is_batch) {
		struct shard_batch *batch = batch_get(shards, undo, said->batch);
		batch->is.holds = said->holds;
		if (said->position <= batch->is.position)
			return journal_invalid(info, "a fact is older than what is known");
		batch->is.position = said->position;
		return ERR_OK;
	}
	struct event_state_shard_account *account = account_get(shards, undo, said->org);
	account->holds = said->holds;
	if (said->position <= account->position)
		return journal_invalid(info, "a fact is older than what is known");
	account->position = said->position;
	return ERR_OK;
}

/* ---- snapshots ---- */

static enum err shard_restore(struct shards *shards, const struct event_state_shard *said, struct err_info *info)
{
	if (said->own != (shards->own != 0) || (said->own && said->shard != shards->own))
		return journal_invalid(info, "the snapshot is another shard's");
	shards->restored = true;
	return said->currency.text[0] || !said->own ? row_add(shards, NULL, said, info) : ERR_OK;
}

static enum err batch_restore(struct shards *shards, const struct event *event, struct err_info *info)
{
	const struct event_state_shard_batch *said = &event->state_shard_batch;
	if (!shards->own || !said->batch || batch_find(shards, said->batch))
		return journal_invalid(info, "a shard's batch is there twice, or at home");
	struct shard_batch *batch = batch_get(shards, NULL, said->batch);
	batch->is = *said;
	verifiers_take(&batch->verifiers, &event->lists);
	return ERR_OK;
}

static enum err account_restore(
	struct shards *shards, const struct event_state_shard_account *said, struct err_info *info)
{
	if (!shards->own || id_is_none(said->org) || account_find(shards, said->org))
		return journal_invalid(info, "a shard's account is there twice, or at home");
	*account_get(shards, NULL, said->org) = *said;
	return ERR_OK;
}

static enum err member_restore(struct shards *shards, struct id org, struct err_info *info)
{
	if (shards->own || id_is_none(org) || shards_member(shards, org))
		return journal_invalid(info, "an organisation is there twice");
	shards_member_add(shards, NULL, org);
	return ERR_OK;
}

bool shards_applies(uint16_t type)
{
	return (type >= 170 && type <= 179) || (type >= 270 && type <= 279);
}

enum err shards_apply(struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info)
{
	struct shards *shards = &rules->shards;
	struct event_state_shard row = {.shard = event->shard_opened.shard,
		.kind = event->shard_opened.kind,
		.currency = event->shard_opened.currency,
		.own = shards->own != 0};
	switch (event->header.type) {
	case EVENT_SHARD_OPENED: return row_add(shards, undo, &row, info);
	case EVENT_SHARD_SENT: return shards_sent_make(rules, undo, event, info);
	case EVENT_SHARD_RECEIVED: return shards_received_make(rules, undo, event, info);
	case EVENT_SHARD_TOLD: /* it changes nothing here */
		return !shards->own && shards->count ? ERR_OK : journal_invalid(info, "nobody is told");
	case EVENT_SHARD_LEARNED: return learned_make(shards, undo, &event->shard_learned, info);
	case EVENT_STATE_SHARD: return shard_restore(shards, &event->state_shard, info);
	case EVENT_STATE_SHARD_BATCH: return batch_restore(shards, event, info);
	case EVENT_STATE_SHARD_ACCOUNT: return account_restore(shards, &event->state_shard_account, info);
	case EVENT_STATE_SHARD_MEMBER: return member_restore(shards, event->state_shard_member.org, info);
	default: return journal_invalid(info, "an event is not the shards'");
	}
}

static int by_batch(const void *a, const void *b)
{
	const struct shard_batch *x = a, *y = b;
	return x->is.batch < y->is.batch ? -1 : x->is.batch > y->is.batch;
}

static int by_org(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct id)); /* with which accounts begin */
}

/* A sorted copy; NULL without memory. */
static void *sorted(const void *items, uint32_t count, size_t size, int (*compare)(const void *, const void *))
{
	void *copy = calloc(count + 1, size);
	if (copy && count) {
		memcpy(copy, items, count * size);
		qsort(copy, count, size, compare);
	}
	return copy;
}

static enum err rows_tell(const struct shards *shards, const struct telling *telling)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; i < shards->count && !err; i++) {
		struct event event = {.state_shard = shards->rows[i]};
		err = event_tell(telling, EVENT_STATE_SHARD, &event);
	}
	struct event unopened = {.state_shard = {.shard = shards->own, .own = 1}};
	return err || !shards->own || shards->count ? err : event_tell(telling, EVENT_STATE_SHARD, &unopened);
}

enum err shards_snapshot(const struct shards *shards,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info)
{
	const struct telling telling = {.emit = emit, .context = context, .info = info};
	struct shard_batch *batches = sorted(shards->batches, shards->batches_count, sizeof *batches, by_batch);
	struct event_state_shard_account *accounts =
		sorted(shards->accounts, shards->accounts_count, sizeof *accounts, by_org);
	struct id *members = sorted(shards->members, shards->members_count, sizeof *members, by_org);
	enum err err = batches && accounts && members ? rows_tell(shards, &telling) : ERR_NO_MEMORY;
	for (uint32_t i = 0; i < shards->batches_count && !err; i++) {
		struct event event = {.state_shard_batch = batches[i].is,
			.lists = {
				.verifiers = batches[i].verifiers.orgs, .verifier_count = batches[i].verifiers.count}};
		err = event_tell(&telling, EVENT_STATE_SHARD_BATCH, &event);
	}
	for (uint32_t i = 0; i < shards->accounts_count && !err; i++) {
		struct event event = {.state_shard_account = accounts[i]};
		err = event_tell(&telling, EVENT_STATE_SHARD_ACCOUNT, &event);
	}
	for (uint32_t i = 0; i < shards->members_count && !err; i++) {
		struct event event = {.state_shard_member = {.org = members[i]}};
		err = event_tell(&telling, EVENT_STATE_SHARD_MEMBER, &event);
	}
	free(batches);
	free(accounts);
	free(members);
	return err;
}
