/* Decides the order of things: a command is checked for repeats, decided event by event, each event encoded and applied at
 * once, and closed by a record that remembers it; or all of it is undone. Replay goes through the same apply. The state's
 * thread. */
#include "state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

/* ---- life cycle ---- */

struct rules *rules_new(struct id registry, uint64_t seed)
{
	return rules_new_shard(registry, 0, seed);
}

struct rules *rules_new_shard(struct id registry, uint32_t shard, uint64_t seed)
{
	struct rules *rules = calloc(1, sizeof *rules);
	if (!rules)
		return NULL;
	rules->seed = seed;
	repeats_start(&rules->repeats, seed);
	shards_start(&rules->shards, shard, seed);
	rules->ledger = ledger_new(seed);
	rules->registry = registry_new(registry, seed);
	rules->market = market_new(seed);
	rules->undo = undo_new();
	rules->scratch = malloc(sizeof *rules->scratch);
	if (!rules->ledger || !rules->registry || !rules->market || !rules->undo || !rules->scratch)
		rules_free(&rules);
	else if (shard)
		ledger_part(rules->ledger);
	return rules;
}

void rules_free(struct rules **rules)
{
	struct rules *old = *rules;
	*rules = NULL;
	if (!old)
		return;
	ledger_free(&old->ledger);
	registry_free(&old->registry);
	market_free(&old->market);
	undo_free(&old->undo);
	repeats_free(&old->repeats);
	shards_free(&old->shards);
	free(old->actors);
	map_free(&old->actor_map);
	free(old->scratch);
	free(old);
}

/* ---- actors ---- */

static bool actor_equal(const void *context, uint32_t item, const void *key)
{
	return memcmp(&((const struct rules *)context)->actors[item], key, sizeof(struct actor)) == 0;
}

static uint64_t actor_hash(const struct rules *rules, const struct actor *actor)
{
	return map_hash_bytes(rules->seed, actor, sizeof *actor);
}

uint32_t actor_find(const struct rules *rules, struct id id, struct id org)
{
	struct actor actor = {.id = id, .org = org};
	return map_find(&rules->actor_map, actor_hash(rules, &actor), actor_equal, rules, &actor);
}

static void actor_forget(void *owner, const void *payload)
{
	(void)payload;
	struct rules *rules = owner;
	rules->actor_count--;
	map_remove(&rules->actor_map, actor_hash(rules, &rules->actors[rules->actor_count]), rules->actor_count);
}

static enum err actor_named(struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_actor_named *said = &event->actor_named;
	if (said->number != (uint64_t)rules->actor_count + 1 || actor_find(rules, said->actor, said->org) != MAP_NONE)
		return err_set(info, ERR_JOURNAL_INVALID, "", "actors are out of order");
	struct actor actor = {.id = said->actor, .org = said->org};
	rules->actors[rules->actor_count] = actor;
	map_put(&rules->actor_map, actor_hash(rules, &actor), rules->actor_count);
	rules->actor_count++;
	undo_push(undo, actor_forget, rules, NULL, 0);
	return ERR_OK;
}

/* ---- making events true ---- */

/* Steps of one event: at most two a range, which moves and whose batch leaves a pool or whose pending transfer ends, and a few more. */
#define EVENT_STEPS (2 * EVENTS_RANGES_MAX + 32)

bool rules_reserve(struct rules *rules)
{
	if (rules->actor_count == rules->actor_capacity) {
		uint32_t capacity = (rules->actor_capacity + 16) * 2;
		struct actor *actors = realloc(rules->actors, capacity * sizeof *actors);
		if (!actors)
			return false;
		rules->actors = actors;
		rules->actor_capacity = capacity;
	}
	return map_reserve(&rules->actor_map, 1) && ledger_reserve(rules->ledger) == ERR_OK &&
	       market_reserve(rules->market) == ERR_OK && repeats_reserve(&rules->repeats) == ERR_OK &&
	       shards_reserve(&rules->shards) && undo_reserve(rules->undo, EVENT_STEPS) == ERR_OK;
}

/* The last events of a command; nothing after them can fail, so they need no undo. */
static enum err command_done(struct rules *rules, const struct event *event, struct err_info *info)
{
	const struct event_header *header = &event->header;
	if (repeats_find(&rules->repeats, header->org, header->command))
		return err_set(info, ERR_JOURNAL_INVALID, "", "a command is done twice");
	struct repeat repeat = {.org = header->org,
		.command = header->command,
		.request_hash = event->command_done.request_hash,
		.kind = event->command_done.kind,
		.events = event->command_done.events,
		.number = event->command_done.number,
		.position = header->number};
	repeats_put(&rules->repeats, &repeat);
	return ERR_OK;
}

static enum err source_done(struct rules *rules, const struct event *event, struct err_info *info)
{
	const struct event_source_done *said = &event->source_done;
	if (hash_is_none(said->key)) {
		if (said->source_position <= rules->repeats.source_position[said->source])
			return err_set(info, ERR_JOURNAL_INVALID, "", "a source's position falls");
		rules->repeats.source_position[said->source] = said->source_position;
		return ERR_OK;
	}
	if (natural_find(&rules->repeats, said->key))
		return err_set(info, ERR_JOURNAL_INVALID, "", "a natural key is taken twice");
	struct natural natural = {.key = said->key,
		.request_hash = said->request_hash,
		.source = said->source,
		.kind = said->kind,
		.events = said->events,
		.number = said->number,
		.position = event->header.number};
	natural_put(&rules->repeats, &natural);
	return ERR_OK;
}

static enum err ticked(struct rules *rules, const struct event *event, struct err_info *info)
{
	if (event->ticked.horizon_us < rules->horizon_us)
		return err_set(info, ERR_JOURNAL_INVALID, "", "the horizon falls");
	rules->horizon_us = event->ticked.horizon_us;
	repeats_forget(&rules->repeats, rules->horizon_us);
	return ERR_OK;
}

/* It changes nothing: it says where the history before it was cut. */
static enum err restored(const struct event *event, struct err_info *info)
{
	const struct event_restored *said = &event->restored;
	bool loses = said->lost_position > said->position;
	if (said->position + 1 != event->header.number || said->lost_position < said->position ||
		loses != (said->lost_seq > 0) || loses == hash_is_none(said->lost_head))
		return err_set(info, ERR_JOURNAL_INVALID, "", "a restore is recorded where it did not happen");
	return ERR_OK;
}

/* It changes nothing either: the place that it takes is what counts. */
static enum err led(const struct event *event, struct err_info *info)
{
	return event->led.term && event->led.node.text[0]
		       ? ERR_OK
		       : err_set(info, ERR_JOURNAL_INVALID, "", "nobody took the lead");
}

static bool is_markets(uint16_t type)
{
	return (type >= 80 && type <= 129) || (type >= 220 && type <= 239);
}

/* Something may move that was held. */
static bool is_release(uint16_t type)
{
	return type == EVENT_BATCH_RELEASED || type == EVENT_ACCOUNT_RELEASED || type == EVENT_DISPUTE_DECIDED;
}

enum err rules_make_true(struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info)
{
	switch (event->header.type) {
	case EVENT_ACTOR_NAMED: return actor_named(rules, undo, event, info);
	case EVENT_COMMAND_DONE: return command_done(rules, event, info);
	case EVENT_SOURCE_DONE: return source_done(rules, event, info);
	case EVENT_TICKED: return ticked(rules, event, info);
	case EVENT_RESTORED: return restored(event, info);
	case EVENT_LED: return led(event, info);
	default:
		if (is_release(event->header.type))
			market_contract_look(rules->market);
		if (market_contract_applies(event->header.type))
			return market_contract_apply(rules->market, rules->ledger, undo, event, info);
		if (shards_applies(event->header.type))
			return shards_apply(rules, undo, event, info);
		if (market_route_applies(event->header.type))
			return market_route_apply(rules->market, event, info);
		if (is_markets(event->header.type))
			return market_apply(rules->market, rules->ledger, undo, event, info);
		return ledger_applies(event->header.type)
			       ? ledger_apply(rules->ledger, undo, event, info)
			       : registry_apply(rules->registry, rules->ledger, undo, event, info);
	}
}

/* One event of the journal, in its place. */
static enum err apply(struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_header *header = &event->header;
	if (header->number != rules->position + 1 || header->time_us < rules->time_us ||
		header->actor > rules->actor_count || header->type >= EVENT_STATE_START)
		return err_set(info, ERR_JOURNAL_INVALID, "", "event %llu does not follow event %llu",
			(unsigned long long)header->number, (unsigned long long)rules->position);
	if (!shards_allow(&rules->shards, header->type))
		return err_set(info, ERR_SHARD_OTHER, "", "the home shard does this");
	if (!rules_reserve(rules))
		return ERR_NO_MEMORY;
	enum err err = rules_make_true(rules, undo, event, info);
	if (err)
		return err;
	ledger_assert(rules->ledger); /* P1, P2, P3 */
	rules->position = header->number;
	rules->time_us = header->time_us;
	return ERR_OK;
}

enum err rules_apply(struct rules *rules, const struct event *event, struct err_info *info)
{
	enum err err = apply(rules, NULL, event, info);
	if (err && err != ERR_NO_MEMORY && err != ERR_JOURNAL_INVALID)
		return err_set(info, ERR_JOURNAL_INVALID, "", "event %llu cannot be",
			(unsigned long long)event->header.number);
	return err;
}

/* ---- executing ---- */

struct execution {
	struct rules *rules;
	const struct command *command;
	struct rules_output *output;
	size_t size_before;
	uint64_t actor;
	int64_t time_us;
	uint32_t events;
	size_t ranges; /* in all events so far */
};

static enum err guard_add(struct rules_output *output, const void *key, size_t size)
{
	if (output->guard_count == output->guard_capacity)
		return ERR_COMMAND_TOO_LARGE;
	struct rules_guard *guard = &output->guards[output->guard_count++];
	assert(size <= sizeof guard->key);
	memcpy(guard->key, key, size);
	guard->size = size;
	return ERR_OK;
}

static enum err claims_guard(struct rules_output *output, const struct record_lists *lists)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < lists->run_count; i++) {
		const struct claim_run *run = &lists->runs[i];
		for (uint32_t hour = 0; hour < run->hours && !err; hour++) {
			uint8_t key[REGISTRY_CLAIM_KEY_SIZE];
			registry_claim_key(run->point, run->first_hour + hour, run->slot, key);
			err = guard_add(output, key, sizeof key);
		}
	}
	return err;
}

static enum err origins_guard(struct rules_output *output, const struct record_lists *lists)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < lists->run_count; i++) {
		const struct claim_run *run = &lists->runs[i];
		for (uint32_t number = 0; number < run->hours && !err; number++) {
			uint8_t key[REGISTRY_ORIGIN_KEY_SIZE];
			size_t size = registry_origin_key(
				run->point, run->first_hour + number, run->slot, run->previous, key);
			err = guard_add(output, key, size);
		}
	}
	return err;
}

static enum err natural_guard(struct rules_output *output, struct hash key)
{
	uint8_t text[7 + sizeof key];
	memcpy(text, "natural", 7);
	memcpy(text + 7, &key, sizeof key);
	return hash_is_none(key) ? ERR_OK : guard_add(output, text, sizeof text);
}

static enum err keep(void *context, struct event *event, struct err_info *info)
{
	struct execution *run = context;
	struct rules *rules = run->rules;
	struct rules_output *output = run->output;
	if (run->events == EVENTS_PER_COMMAND_MAX)
		return err_set(
			info, ERR_COMMAND_TOO_LARGE, "", "a command has at most %d events", EVENTS_PER_COMMAND_MAX);
	event->header.number = rules->position + 1;
	event->header.time_us = run->time_us;
	event->header.actor = event->header.type == EVENT_ACTOR_NAMED ? 0 : run->actor;
	event->header.command = run->command->id;
	event->header.org = run->command->org;
	size_t most = run->size_before + EVENTS_BYTES_PER_COMMAND;
	enum err err =
		event_encode(event, output->bytes, most < output->capacity ? most : output->capacity, &output->size);
	if (err)
		return err_set(info, ERR_COMMAND_TOO_LARGE, "", "a command's events take at most %u bytes",
			EVENTS_BYTES_PER_COMMAND);
	if (rules->fail_event && rules->fail_event == run->events + 1)
		return ERR_NO_MEMORY;
	if (event->header.type == EVENT_BATCH_ISSUED)
		err = claims_guard(output, &event->lists);
	else if (event->header.type == EVENT_BATCH_IMPORTED)
		err = origins_guard(output, &event->lists);
	else if (event->header.type == EVENT_SOURCE_DONE)
		err = natural_guard(output, event->source_done.key);
	if (!err)
		err = apply(rules, rules->undo, event, info);
	run->events++;
	run->ranges += event->lists.range_count;
	struct event told;
	return !err && shards_tell(rules, event, &told) ? keep(run, &told, info) : err;
}

static enum err actor_introduce(struct execution *run, struct err_info *info)
{
	struct rules *rules = run->rules;
	const struct command *command = run->command;
	if (id_is_none(command->actor)) {
		bool may = command->source == COMMAND_SOURCE_ENGINE ||
			   (command->source != COMMAND_SOURCE_CLIENT && command->kind != COMMAND_PERIOD_SUBMIT);
		return may ? ERR_OK : err_set(info, ERR_MISSING_FIELD, "", "a command names its actor");
	}
	uint32_t known = actor_find(rules, command->actor, command->org);
	if (known != MAP_NONE) {
		run->actor = (uint64_t)known + 1;
		return ERR_OK;
	}
	run->actor = (uint64_t)rules->actor_count + 1;
	struct event event = {.header = {.type = EVENT_ACTOR_NAMED},
		.actor_named = {.number = run->actor, .actor = command->actor, .org = command->org}};
	return keep(run, &event, info);
}

/* The record that closes a command and remembers it. A tick that did nothing leaves none. */
static enum err close_command(struct execution *run, struct hash request_hash, uint64_t number, struct err_info *info)
{
	const struct command *command = run->command;
	struct event event = {.header = {.type = EVENT_COMMAND_DONE}};
	if (command->source == COMMAND_SOURCE_CLIENT) {
		event.command_done = (struct event_command_done){.request_hash = request_hash,
			.kind = (uint32_t)command->kind,
			.events = run->events + 1,
			.number = number};
	} else {
		event.header.type = EVENT_SOURCE_DONE;
		event.source_done = (struct event_source_done){.key = command->natural_key,
			.request_hash = request_hash,
			.source = (uint32_t)command->source,
			.kind = (uint32_t)command->kind,
			.source_position = command->source_position,
			.number = number,
			.events = run->events + 1};
	}
	return keep(run, &event, info);
}

/* What time forgets goes last: it cannot be undone. */
static enum err close_tick(struct execution *run, struct err_info *info)
{
	struct rules *rules = run->rules;
	int64_t due_us = run->command->tick.due_us;
	int64_t horizon_us = (due_us - RULES_REPEATS_US) / CLOCK_US_PER_MINUTE * CLOCK_US_PER_MINUTE;
	if (horizon_us <= rules->horizon_us || !repeats_due(&rules->repeats, horizon_us))
		return ERR_OK;
	struct event event = {.header = {.type = EVENT_TICKED}, .ticked = {.horizon_us = horizon_us}};
	return keep(run, &event, info);
}

/* ---- repeats ---- */

static enum err answer_again(const struct hash *said, const struct hash *asked, uint32_t said_kind, uint64_t number,
	uint64_t position, uint32_t events, const struct command *command, struct rules_result *ret_result,
	struct err_info *info)
{
	if (!hash_equal(*said, *asked) || said_kind != (uint32_t)command->kind)
		return err_set(info, ERR_COMMAND_REUSED, "", "this id or key was used for another request");
	*ret_result = (struct rules_result){.repeated = true, .number = number, .position = position, .events = events};
	return ERR_OK;
}

static enum err client_check(const struct rules *rules, const struct command *command, int64_t now_us,
	const struct hash *request_hash, struct rules_result *ret_result, struct err_info *info)
{
	if (id_is_none(command->id) || command->id.bytes[6] >> 4 != 7)
		return err_set(info, ERR_COMMAND_ID_INVALID, "", "the command id must be a UUIDv7");
	const struct repeat *repeat = repeats_find(&rules->repeats, command->org, command->id);
	if (repeat)
		return answer_again(&repeat->request_hash, request_hash, repeat->kind, repeat->number, repeat->position,
			repeat->events, command, ret_result, info);
	/* retirements, transfers and orders are called by their command's id, so one is not to be given twice by anybody */
	if (repeats_others(&rules->repeats, command->org, command->id))
		return err_set(info, ERR_COMMAND_ID_INVALID, "", "the command id is another organisation's");
	int64_t made_us = id_time_us(command->id);
	if (made_us < rules->horizon_us || made_us < now_us - RULES_REPEATS_US)
		return err_set(info, ERR_COMMAND_ID_INVALID, "", "the command id is older than 24 hours");
	if (made_us > now_us + RULES_ID_AHEAD_US)
		return err_set(info, ERR_COMMAND_ID_INVALID, "", "the command id lies in the future");
	return ERR_OK;
}

static enum err source_check(const struct rules *rules, const struct command *command, const struct hash *request_hash,
	struct rules_result *ret_result, struct err_info *info)
{
	if ((unsigned)command->source >= COMMAND_SOURCE_COUNT)
		return err_set(info, ERR_INVALID_FIELD, "", "there is no such source");
	if (command->source == COMMAND_SOURCE_CHAIN) {
		if (command->source_position <= rules->repeats.source_position[command->source])
			return err_set(info, ERR_SOURCE_POSITION, "", "the last position applied is %llu",
				(unsigned long long)rules->repeats.source_position[command->source]);
		return hash_is_none(command->natural_key)
			       ? ERR_OK
			       : err_set(info, ERR_INVALID_FIELD, "", "an ordered source has no natural key");
	}
	if (hash_is_none(command->natural_key))
		return err_set(info, ERR_MISSING_FIELD, "", "a consumer's command carries its natural key");
	const struct natural *natural = natural_find(&rules->repeats, command->natural_key);
	return natural ? answer_again(&natural->request_hash, request_hash, natural->kind, natural->number,
				 natural->position, natural->events, command, ret_result, info)
		       : ERR_OK;
}

/* What follows from the state and the time alone: it leaves no record of its own, and cannot come twice. */
static bool is_engines(enum command_kind kind)
{
	return kind == COMMAND_TICK || kind == COMMAND_ORDER_WORK || kind == COMMAND_MARKET_WORK ||
	       kind == COMMAND_AUCTION_WORK || kind == COMMAND_POOL_WORK || kind == COMMAND_ESCROW_WORK;
}

static enum err repeat_check(const struct rules *rules, const struct command *command, int64_t now_us,
	const struct hash *request_hash, struct rules_result *ret_result, struct err_info *info)
{
	if (is_engines(command->kind) || command->source == COMMAND_SOURCE_ENGINE)
		return is_engines(command->kind) && command->source == COMMAND_SOURCE_ENGINE
			       ? ERR_OK
			       : err_set(info, ERR_FORBIDDEN, "", "only the engine gives this command");
	return command->source == COMMAND_SOURCE_CLIENT
		       ? client_check(rules, command, now_us, request_hash, ret_result, info)
		       : source_check(rules, command, request_hash, ret_result, info);
}

/* ---- deciding ---- */

static bool batch_attributes(const void *context, uint64_t batch, struct market_attributes *ret_attributes)
{
	const struct rules *rules = context;
	struct registry_attributes known;
	if (rules->shards.own)
		return shards_attributes(&rules->shards, batch, ret_attributes);
	if (!registry_attributes(rules->registry, batch, &known))
		return false;
	*ret_attributes = (struct market_attributes){.kind = known.kind,
		.durability = known.durability,
		.vintage = known.vintage,
		.country = known.country,
		.methodology = known.methodology,
		.org = known.org,
		.project = known.project,
		.unit = known.unit,
		.verifiers = known.verifiers};
	return true;
}

static enum err batch_movable(const void *context, struct id org, uint64_t batch, struct err_info *info)
{
	const struct rules *rules = context;
	return rules->shards.own ? shards_movable(&rules->shards, org, batch, info)
				 : registry_movable(rules->registry, org, batch, info);
}

static bool org_verifies(const void *context, struct id org)
{
	const struct rules *rules = context;
	return rules->shards.own ||
	       registry_verifies(rules->registry, org); /* a market shard does not know whom to leave out */
}

static bool verifier_org(const void *context, struct id verifier, struct id *ret_org)
{
	return registry_verifier_org(((const struct rules *)context)->registry, verifier, ret_org);
}

static enum err signature_check(const void *context, const struct decision *call, struct id verifier,
	const char *domain, const void *data, size_t size, const struct signature *signature, struct err_info *info)
{
	return registry_signature_check(
		((const struct rules *)context)->registry, call, verifier, domain, data, size, signature, info);
}

static struct market_register register_of(const struct rules *rules)
{
	return (struct market_register){
		batch_attributes, batch_movable, org_verifies, verifier_org, signature_check, rules};
}

/* The orders of an organisation (zero: all) in the batch that is named, by itself or by its serials. Who gives up its own cancels
 * its orders itself. */
static enum err recall_of(
	struct rules *rules, struct decision *call, struct id org, uint64_t batch, struct err_info *info)
{
	const struct command *command = call->command;
	if (command->lists.range_count)
		batch = command->lists.ranges[0].batch;
	bool own = command->kind == COMMAND_CANCEL && (id_is_none(org) || id_equal(org, command->org));
	return batch == 0 || own ? ERR_OK : market_recall(rules->market, rules->ledger, call, org, batch, info);
}

/* What is held, reversed or disputed, or is to be cancelled, leaves the market first (decision 18). */
static enum err recall(struct rules *rules, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	static const struct id anybody;
	switch (command->kind) {
	case COMMAND_BATCH_HOLD:
		return market_recall(rules->market, rules->ledger, call, anybody, command->batch_hold.batch, info);
	case COMMAND_BATCH_REVERSE:
		return market_recall(rules->market, rules->ledger, call, anybody, command->batch_reverse.batch, info);
	case COMMAND_ACCOUNT_HOLD:
		return market_recall(rules->market, rules->ledger, call, command->account_hold.org, 0, info);
	case COMMAND_CANCEL: return recall_of(rules, call, command->cancel.org, command->cancel.batch, info);
	case COMMAND_DISPUTE_OPEN:
		return recall_of(rules, call, command->dispute_open.holder, command->dispute_open.batch, info);
	default: return ERR_OK;
	}
}

static enum err unheld_check(const struct rules *rules, struct id org, struct err_info *info)
{
	return registry_account_held(rules->registry, org)
		       ? err_set(info, ERR_ACCOUNT_HELD, "", "the organisation's account is held")
		       : ERR_OK;
}

/* A pending transfer of a suspended account or batch stays until it is released, voided or over. */
static enum err post_check(const struct rules *rules, const struct command *command, struct err_info *info)
{
	struct serial_range ranges[EVENTS_RANGES_MAX];
	struct id transfer = command->pending_post.transfer;
	const struct event_state_pending *is = ledger_pending(rules->ledger, transfer);
	enum err err = unheld_check(rules, command->org, info);
	if (err || !is || !id_equal(is->from, command->org))
		return err;
	size_t count = ledger_pending_ranges(rules->ledger, transfer, ranges);
	for (size_t i = 0; i < count && !err; i++)
		if (i == 0 || ranges[i].batch != ranges[i - 1].batch)
			err = registry_movable(rules->registry, command->org, ranges[i].batch, info);
	return err;
}

static enum err close_check(const struct rules *rules, struct id org, struct err_info *info)
{
	if (shards_member(&rules->shards, org))
		return err_set(info, ERR_ACCOUNT_NOT_EMPTY, "/org_id",
			"the organisation may have something in a market shard");
	return registry_debt_kg(rules->registry, org) > 0 ? err_set(info, ERR_ACCOUNT_NOT_EMPTY, "/org_id",
								    "the organisation owes kilograms to the buffer")
							  : ERR_OK;
}

/* Nothing leaves an account that is suspended, money as little as kilograms. */
static enum err decide_money(struct rules *rules, struct decision *call, struct err_info *info)
{
	const struct command *command = call->command;
	enum err err = ERR_OK;
	switch (command->kind) {
	case COMMAND_MONEY_WITHDRAW: err = unheld_check(rules, command->money_withdraw.from, info); break;
	case COMMAND_MONEY_TRANSFER: err = unheld_check(rules, command->org, info); break;
	case COMMAND_PENDING_POST: err = post_check(rules, command, info); break;
	case COMMAND_MONEY_CONVERT:
		err = unheld_check(rules, command->org, info);
		if (!err)
			err = unheld_check(rules, command->money_convert.provider, info);
		break;
	case COMMAND_ACCOUNT_CLOSE: err = close_check(rules, command->account_close.org, info); break;
	default: break;
	}
	return err ? err : ledger_decide(rules->ledger, call, info);
}

/* One transfer of a linked set as a command of its own. */
static void linked_command(const struct command *set, uint32_t place, size_t first_range, struct command *ret_command)
{
	const struct linked_transfer *linked = &set->lists.linked[place];
	*ret_command = (struct command){.source = set->source,
		.id = ledger_linked_id(set->org, set->id, place),
		.actor = set->actor,
		.org = set->org};
	if (linked->currency.text[0]) {
		ret_command->kind = COMMAND_MONEY_TRANSFER;
		ret_command->money_transfer = (struct command_money_transfer){.to = linked->to,
			.currency = linked->currency,
			.amount_micros = linked->amount,
			.pending = linked->pending,
			.balancing = linked->balancing,
			.expires_us = linked->expires_us,
			.user_data = linked->user_data,
			.code = linked->code};
		return;
	}
	ret_command->kind = COMMAND_TRANSFER;
	ret_command->transfer = (struct command_transfer){.to = linked->to,
		.batch = linked->batch,
		.kg = linked->amount,
		.expires_us = linked->expires_us,
		.user_data = linked->user_data,
		.code = linked->code,
		.pending = linked->pending};
	ret_command->lists.ranges = set->lists.ranges + first_range;
	ret_command->lists.range_count = linked->ranges;
}

static enum err linked_check(const struct record_lists *lists, struct err_info *info)
{
	size_t ranges = 0;
	if (lists->linked_count < 1 || lists->linked_count > EVENTS_LINKED_MAX)
		return err_set(info, ERR_INVALID_FIELD, "/linked", "a set has 1 to %d transfers", EVENTS_LINKED_MAX);
	for (size_t i = 0; i < lists->linked_count; i++) {
		const struct linked_transfer *linked = &lists->linked[i];
		bool is_money = linked->currency.text[0] != 0;
		if (is_money ? linked->ranges || linked->batch : linked->balancing != 0)
			return err_set(info, ERR_INVALID_FIELD, "/linked",
				"transfer %zu: serials are of kilograms, balancing is of money", i);
		ranges += linked->ranges;
	}
	return ranges == lists->range_count && ranges <= EVENTS_RANGES_MAX
		       ? ERR_OK
		       : err_set(info, ERR_COMMAND_TOO_LARGE, "/linked", "a set names at most %d ranges",
				 EVENTS_RANGES_MAX);
}

static enum err decide(struct rules *rules, struct decision *call, struct err_info *info);

/* All or none: the first refusal undoes those before it. */
static enum err decide_set(struct rules *rules, struct decision *call, struct err_info *info)
{
	const struct record_lists *lists = &call->command->lists;
	const struct execution *run = call->context;
	enum err err = linked_check(lists, info);
	for (uint32_t place = 0, first = 0; place < lists->linked_count && !err; place++) {
		struct command one;
		struct decision part = *call;
		linked_command(call->command, place, first, &one);
		first += lists->linked[place].ranges;
		part.command = &one;
		err = decide(rules, &part, info);
		if (!err && run->ranges > EVENTS_RANGES_MAX)
			err = err_set(
				info, ERR_COMMAND_TOO_LARGE, "", "a set touches at most %d ranges", EVENTS_RANGES_MAX);
		if (err) {
			struct err_info why = *info;
			char pointer[sizeof why.pointer];
			snprintf(pointer, sizeof pointer, "/linked/%u%.100s", place, why.pointer);
			err_set(info, err, pointer, "transfer %u: %s", place, why.detail);
		}
	}
	return err;
}

static enum err decide_tick(struct rules *rules, struct decision *call, struct err_info *info)
{
	int64_t due_us = call->command->tick.due_us;
	enum err err = registry_tick(rules->registry, call, due_us, info);
	if (!err)
		err = ledger_tick(rules->ledger, call, due_us, info);
	if (!err)
		err = market_contract_tick(rules->market, call, due_us, info);
	return err ? err : market_tick(rules->market, rules->ledger, call, due_us, info);
}

/* What was issued is called by its operator's contracts. */
static enum err issued(
	struct rules *rules, const struct market_register *batches, struct decision *call, struct err_info *info)
{
	struct registry_attributes batch;
	if (!registry_attributes(rules->registry, call->number, &batch))
		return ERR_OK;
	struct ledger_place place = {.org = batch.org, .state = KG_HELD};
	return market_issued(
		rules->market, batches, call, call->number, ledger_amount(rules->ledger, call->number, place), info);
}

/* What is bought is retired in the same breath, where there are lines. */
static enum err decide_purchase(
	struct rules *rules, const struct market_register *batches, struct decision *call, struct err_info *info)
{
	struct market_purchase bought;
	int64_t lines_kg = 0;
	enum err err = registry_lines_check(call, &lines_kg, info);
	if (!err)
		err = market_purchase_decide(rules->market, rules->ledger, batches, call, lines_kg, &bought, info);
	return err ? err
		   : registry_lines_retire(rules->registry, call, bought.ranges, bought.range_count, bought.kg, info);
}

/* The room that knows the command decides it. */
static enum err decide(struct rules *rules, struct decision *call, struct err_info *info)
{
	const struct market_register batches = register_of(rules);
	enum err err = shards_admit(&rules->shards, call->command, info);
	if (err)
		return err;
	switch (call->command->kind) {
	case COMMAND_TICK: return decide_tick(rules, call, info);
	case COMMAND_TRANSFER_SET: return decide_set(rules, call, info);
	case COMMAND_SHARD_OPEN:
	case COMMAND_SHARD_OUT:
	case COMMAND_SHARD_IN:
	case COMMAND_SHARD_LEARN: return shards_decide(rules, call, info);
	case COMMAND_HOUSE_NAME:
	case COMMAND_MONEY_DEPOSIT:
	case COMMAND_MONEY_WITHDRAW:
	case COMMAND_MONEY_TRANSFER:
	case COMMAND_PENDING_POST:
	case COMMAND_PENDING_VOID:
	case COMMAND_ACCOUNT_LIMIT:
	case COMMAND_ACCOUNT_CLOSE:
	case COMMAND_RATE_OFFER:
	case COMMAND_MONEY_CONVERT: return decide_money(rules, call, info);
#define RECORD(name, NAME, type, version, lists, doc) case COMMAND_##NAME:
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/records/market_commands.def"
#include "carbond/records/auction_commands.def"
#include "carbond/records/pool_commands.def"
#include "carbond/record_undef.def"
		return market_decide(rules->market, rules->ledger, &batches, call, info);
#define RECORD(name, NAME, type, version, lists, doc) case COMMAND_##NAME:
#define RECORD_END(name, NAME)
#include "carbond/record_fields_none.def"
#include "carbond/records/escrow_commands.def"
#include "carbond/record_undef.def"
		return market_contract_decide(rules->market, rules->ledger, &batches, call, info);
	case COMMAND_PURCHASE: return decide_purchase(rules, &batches, call, info);
	default:
		err = recall(rules, call, info);
		if (!err)
			err = registry_decide(rules->registry, rules->ledger, call, info);
		return err || call->command->kind != COMMAND_PERIOD_ISSUE ? err : issued(rules, &batches, call, info);
	}
}

enum err rules_execute(struct rules *rules, const struct command *command, int64_t now_us, struct rules_output *output,
	struct rules_result *ret_result, struct err_info *info)
{
	struct hash request_hash = hash_is_none(command->request_hash) ? command_hash(command) : command->request_hash;
	int64_t time_us = now_us > rules->time_us ? now_us : rules->time_us;
	*ret_result = (struct rules_result){0};
	enum err err = repeat_check(rules, command, time_us, &request_hash, ret_result, info);
	if (err || ret_result->repeated)
		return err;
	struct execution run = {
		.rules = rules, .command = command, .output = output, .size_before = output->size, .time_us = time_us};
	size_t guards_before = output->guard_count;
	uint64_t position_before = rules->position;
	int64_t time_before = rules->time_us;
	struct decision call = {.command = command, .now_us = time_us, .emit = keep, .context = &run};
	err = rules_reserve(rules) ? actor_introduce(&run, info) : ERR_NO_MEMORY;
	call.actor = run.actor;
	if (!err)
		err = decide(rules, &call, info);
	if (!err && !is_engines(command->kind))
		err = close_command(&run, request_hash, call.number, info);
	else if (!err && command->kind == COMMAND_TICK)
		err = close_tick(&run, info);
	rules->fail_event = 0;
	if (err) {
		undo_back(rules->undo, 0);
		ledger_assert(rules->ledger);
		output->size = run.size_before;
		output->guard_count = guards_before;
		rules->position = position_before;
		rules->time_us = time_before;
		return err;
	}
	undo_clear(rules->undo);
	output->event_count += run.events;
	*ret_result = (struct rules_result){
		.number = call.number, .position = run.events ? rules->position : 0, .events = run.events};
	return ERR_OK;
}

void rules_prefetch(const struct rules *rules, const struct command *command, unsigned stage)
{
	static const enum ledger_prefetch ledgers[RULES_PREFETCH_STAGES] = {
		LEDGER_PREFETCH_SLOT, LEDGER_PREFETCH_NONE, LEDGER_PREFETCH_HELD, LEDGER_PREFETCH_NONE};
	_Static_assert(RULES_PREFETCH_STAGES == MARKET_PREFETCH_COUNT, "each room has its stages");
	if (command->source == COMMAND_SOURCE_CLIENT && stage == 0)
		repeats_prefetch(&rules->repeats, command->id);
	switch (command->kind) {
	case COMMAND_TRANSFER:
		ledger_prefetch(rules->ledger, command->transfer.to, command->transfer.batch, ledgers[stage]);
		break;
	case COMMAND_ORDER_AMEND:
		market_prefetch(rules->market, command->order_amend.order, (enum market_prefetch)stage);
		break;
	case COMMAND_ORDER_CANCEL:
		market_prefetch(rules->market, command->order_cancel.order, (enum market_prefetch)stage);
		break;
	default: break;
	}
}

bool rules_due(struct rules *rules, struct command *ret_command)
{
	const struct market_register batches = register_of(rules);
	struct command_escrow_work work;
	if (market_due(rules->market, rules->ledger, ret_command))
		return true;
	if (!market_contract_due(rules->market, rules->ledger, &batches, &work))
		return false;
	*ret_command = (struct command){.kind = COMMAND_ESCROW_WORK, .source = COMMAND_SOURCE_ENGINE};
	ret_command->escrow_work = work;
	return true;
}

uint64_t rules_repeat_position(const struct rules *rules, struct id org, struct id command)
{
	const struct repeat *repeat = repeats_find(&rules->repeats, org, command);
	return repeat ? repeat->position : 0;
}

void rules_fail_event(struct rules *rules, uint32_t index)
{
	rules->fail_event = index;
}

/* ---- reading ---- */

uint32_t rules_shard(const struct rules *rules)
{
	return rules->shards.own;
}

uint64_t rules_position(const struct rules *rules)
{
	return rules->position;
}

int64_t rules_time_us(const struct rules *rules)
{
	return rules->time_us;
}

int64_t rules_state_kg(const struct rules *rules, enum kg_state state)
{
	return ledger_state_kg(rules->ledger, 0, state);
}

int64_t rules_issued_kg(const struct rules *rules)
{
	return ledger_issued_kg(rules->ledger, 0);
}

enum err rules_check(const struct rules *rules, struct err_info *info)
{
	return ledger_check(rules->ledger, info);
}

const struct ledger *rules_ledger(const struct rules *rules)
{
	return rules->ledger;
}

const struct market *rules_market(const struct rules *rules)
{
	return rules->market;
}

const struct registry *rules_registry(const struct rules *rules)
{
	return rules->registry;
}
