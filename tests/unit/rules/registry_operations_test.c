/* What the registry does to credits, from the tables of docs/REGISTRY.md: each cell of the table of states, cancellations, disputes,
 * imports (origin lock), methodologies and projects. The real machine; a replica replays each event, and both states must be one (P8);
 * after every command P1, P2 and P3 hold, and each is tried with a fault at each of its events first, which must leave nothing behind. */
#include "world.h"

#define OPERATOR 0
#define HOLDER   1
#define OTHER    2
#define VERIFIER 4
#define KG       1000000

static struct world world;
static uint64_t batch;

static enum err give(struct command *command)
{
	world.now_us += CLOCK_US_PER_SECOND;
	if (command->source == COMMAND_SOURCE_CLIENT)
		command->id = world_id(&world);
	struct hash before = world_state(world.rules);
	for (uint32_t event = 1;; event++) {
		rules_fail_event(world.rules, event);
		enum err err = world_execute(&world, command);
		rules_fail_event(world.rules, 0);
		if (err != ERR_NO_MEMORY) {
			world_check(&world);
			return err;
		}
		struct hash after = world_state(world.rules);
		assert_memory_equal(&before, &after, sizeof before); /* undone without a trace */
	}
}

static void must(struct command *command)
{
	if (give(command))
		fail_msg("%s: %s", command_kind_name(command->kind), world.info.detail);
}

static int64_t kg_of(int org, enum kg_state state)
{
	return world_kg(&world, org, batch, state);
}

/* ---- commands ---- */

static struct command cancel(int org, int64_t kg, enum cancel_reason reason)
{
	struct command command = world_command(&world, COMMAND_CANCEL, org);
	command.cancel = (struct command_cancel){
		.batch = batch, .kg = kg, .reason = (uint32_t)reason, .reason_hash = world_hash(&world)};
	return command;
}

/* By the registry's own people. */
static struct command cancel_of(int org, enum kg_state from, const struct serial_range *range)
{
	struct command command = world_command(&world, COMMAND_CANCEL, -1);
	command.cancel = (struct command_cancel){.org = world.orgs[org],
		.state = (uint32_t)from,
		.reason = CANCEL_AUTHORITY,
		.reason_hash = world_hash(&world)};
	command.lists = (struct record_lists){.ranges = range, .range_count = 1};
	return command;
}

static struct command hold(void)
{
	struct command command = world_command(&world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = batch, .reason_hash = world_hash(&world)};
	return command;
}

static struct command release(void)
{
	struct command command = world_command(&world, COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = batch, .reason_hash = world_hash(&world)};
	return command;
}

static struct command reverse(int64_t kg)
{
	struct command command = world_command(&world, COMMAND_BATCH_REVERSE, -1);
	command.batch_reverse =
		(struct command_batch_reverse){.batch = batch, .kg = kg, .reason_hash = world_hash(&world)};
	return command;
}

static struct command dispute(int by, uint64_t number, struct id period)
{
	struct command command = world_command(&world, COMMAND_DISPUTE_OPEN, by);
	command.dispute_open = (struct command_dispute_open){.batch = number,
		.period = period,
		.reason_hash = world_hash(&world),
		.evidence_hash = world_hash(&world)};
	return command;
}

static struct command dispute_serials(int holder, const struct serial_range *ranges, size_t count)
{
	struct command command = dispute(VERIFIER, 0, (struct id){0});
	command.dispute_open.holder = world.orgs[holder];
	command.lists = (struct record_lists){.ranges = ranges, .range_count = count};
	return command;
}

static struct command decide(struct id which, bool upheld, int64_t kg)
{
	struct command command = world_command(&world, COMMAND_DISPUTE_DECIDE, -1);
	command.dispute_decide = (struct command_dispute_decide){
		.dispute = which, .upheld = upheld, .kg = kg, .reason_hash = world_hash(&world)};
	return command;
}

static struct command sell(int org, int64_t kg)
{
	struct command command = world_command(&world, COMMAND_ORDER_PLACE, org);
	command.order_place = (struct command_order_place){
		.market = 1, .batch = batch, .price_micros = 100000000, .kg = kg, .side = ORDER_SELL};
	return command;
}

static void open_market(void)
{
	struct command command = world_command(&world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = world.issuer_org;
	must(&command);
	command = world_command(&world, COMMAND_MARKET_OPEN, -1);
	command.market_open =
		(struct command_market_open){.tick_micros = 1000000, .lot_kg = 1000, .kind = CREDIT_REMOVAL};
	assert_true(code8_set(&command.market_open.currency, "EUR"));
	must(&command);
}

static int start(void **state)
{
	(void)state;
	world_start(&world, 11);
	batch = world_issue(&world, OPERATOR, 24, KG, NULL); /* buffer 20,000 */
	open_market();
	assert_int_equal(world_transfer(&world, OPERATOR, HOLDER, batch, 100000), ERR_OK); /* 0 … 99,999 */
	return 0;
}

static int stop(void **state)
{
	(void)state;
	world_check(&world);
	world_stop(&world);
	return 0;
}

/* ---- the table of states, cell by cell ---- */

#define HELD_RANGE   (&(struct serial_range){batch, 50000, 1000})
#define BUFFER_RANGE (&(struct serial_range){batch, KG - 20000, 1000})

static enum err move(int org, const struct serial_range *range)
{
	struct command command = world_command(&world, COMMAND_TRANSFER, org);
	command.transfer.to = world.orgs[OTHER];
	command.lists = (struct record_lists){.ranges = range, .range_count = 1};
	return give(&command);
}

static void held_suspend(void **state)
{
	(void)state;
	struct command command = hold();
	must(&command);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_BATCH_HELD);
	command = cancel(HOLDER, 10, CANCEL_VOLUNTARY);
	assert_int_equal(give(&command), ERR_BATCH_HELD);
	command = release();
	must(&command);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_OK);
}

static void held_reverse(void **state)
{
	(void)state;
	struct command command = reverse(500);
	must(&command);
	assert_int_equal(move(OPERATOR, &(struct serial_range){batch, 200000, 10}), ERR_BATCH_HELD); /* unsold */
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_OK);                                          /* sold */
}

static void held_cancel(void **state)
{
	(void)state;
	struct command command = cancel(HOLDER, 300, CANCEL_VOLUNTARY);
	must(&command);
	assert_int_equal(world.result.number, 1);
	assert_int_equal(kg_of(HOLDER, KG_CANCELLED), 300);
	assert_int_equal(kg_of(HOLDER, KG_HELD), 99700);
	assert_int_equal(move(HOLDER, &(struct serial_range){batch, 0, 10}), ERR_INSUFFICIENT_KG); /* for ever */
	assert_int_equal(registry_retirement_count(rules_registry(world.rules)), 0); /* and no retirement */
}

static void listed(void)
{
	struct command command = sell(HOLDER, 60000);
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_LISTED), 60000);
}

static void listed_suspend(void **state)
{
	(void)state;
	listed();
	struct command command = hold();
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_LISTED), 0);
	assert_int_equal(kg_of(HOLDER, KG_HELD), 100000);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_BATCH_HELD);
}

static void listed_reverse(void **state)
{
	(void)state;
	listed();
	struct command command = sell(OPERATOR, 5000);
	must(&command);
	command = reverse(500);
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_LISTED) + kg_of(OPERATOR, KG_LISTED), 0);
	command = sell(OPERATOR, 5000);
	assert_int_equal(give(&command), ERR_BATCH_HELD);
	command = sell(HOLDER, 5000);
	must(&command);
}

static void listed_cancel(void **state)
{
	(void)state;
	listed();
	struct command command = cancel(HOLDER, 1, CANCEL_VOLUNTARY);
	command.cancel.batch = 0;
	command.cancel.kg = 0;
	command.lists = (struct record_lists){.ranges = HELD_RANGE, .range_count = 1};
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	command = cancel_of(HOLDER, KG_LISTED, HELD_RANGE);
	assert_int_equal(give(&command), ERR_OUT_OF_REACH);
	assert_int_equal(kg_of(HOLDER, KG_LISTED), 60000);
	command = cancel_of(HOLDER, KG_HELD, HELD_RANGE); /* its order ends first */
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_LISTED), 0);
	assert_int_equal(kg_of(HOLDER, KG_CANCELLED), 1000);
	assert_int_equal(kg_of(HOLDER, KG_HELD), 99000);
}

static struct id in_escrow(void)
{
	struct command command = dispute_serials(HOLDER, HELD_RANGE, 1);
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_ESCROW), 1000);
	return command.id;
}

static void escrow_suspend(void **state)
{
	(void)state;
	struct id which = in_escrow();
	struct command command = hold();
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_ESCROW), 1000);
	command = decide(which, false, 0);
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_ESCROW), 0);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_BATCH_HELD); /* home, and suspended */
}

static void escrow_reverse(void **state)
{
	(void)state;
	struct command command = dispute_serials(OPERATOR, &(struct serial_range){batch, 200000, 1000}, 1);
	must(&command);
	command = reverse(500);
	must(&command);
	assert_int_equal(kg_of(OPERATOR, KG_ESCROW), 1000);
}

static void escrow_cancel(void **state)
{
	(void)state;
	struct id which = in_escrow();
	struct command command = cancel_of(HOLDER, KG_ESCROW, HELD_RANGE);
	assert_int_equal(give(&command), ERR_OUT_OF_REACH);
	command = cancel_of(HOLDER, KG_HELD, HELD_RANGE);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	command = decide(which, true, 0); /* by an upheld dispute alone */
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_ESCROW), 0);
	assert_int_equal(kg_of(HOLDER, KG_CANCELLED), 1000);
}

static void buffer_suspend_and_reverse(void **state)
{
	(void)state;
	struct command command = hold();
	must(&command);
	assert_int_equal(kg_of(OPERATOR, KG_BUFFER), 20000);
	command = reverse(500);
	must(&command);
	assert_int_equal(kg_of(OPERATOR, KG_BUFFER), 19500); /* one to one */
	assert_int_equal(kg_of(OPERATOR, KG_CANCELLED), 500);
}

static void buffer_cancel(void **state)
{
	(void)state;
	struct command command = cancel_of(OPERATOR, KG_BUFFER, BUFFER_RANGE);
	command.org = world.orgs[OPERATOR];
	command.cancel.reason = CANCEL_ERROR;
	assert_int_equal(give(&command), ERR_OUT_OF_REACH); /* not by the operator */
	command = cancel_of(OPERATOR, KG_BUFFER, BUFFER_RANGE);
	must(&command);
	assert_int_equal(kg_of(OPERATOR, KG_BUFFER), 19000);
	assert_int_equal(kg_of(OPERATOR, KG_CANCELLED), 1000);
}

/* A pending transfer: reserved. */
static struct id reserved(int org, int64_t kg)
{
	struct command command = world_command(&world, COMMAND_TRANSFER, org);
	command.transfer = (struct command_transfer){.to = world.orgs[OTHER], .batch = batch, .kg = kg, .pending = 1};
	must(&command);
	assert_int_equal(kg_of(org, KG_RESERVED), kg);
	return command.id;
}

static struct command post(int org, struct id transfer, bool voids)
{
	struct command command = world_command(&world, voids ? COMMAND_PENDING_VOID : COMMAND_PENDING_POST, org);
	if (voids)
		command.pending_void = (struct command_pending_void){.transfer = transfer, .kilograms = 1};
	else
		command.pending_post = (struct command_pending_post){.transfer = transfer, .kilograms = 1};
	return command;
}

static void reserved_suspend(void **state)
{
	(void)state;
	struct id transfer = reserved(HOLDER, 1000);
	struct command command = dispute(VERIFIER, batch, (struct id){0});
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_RESERVED), 1000);
	command = post(HOLDER, transfer, false);
	assert_int_equal(give(&command), ERR_BATCH_HELD);
	command = post(HOLDER, transfer, true); /* home, and suspended */
	must(&command);
	assert_int_equal(move(HOLDER, &(struct serial_range){batch, 0, 1000}), ERR_BATCH_HELD);
}

static void reserved_reverse(void **state)
{
	(void)state;
	struct id unsold = reserved(OPERATOR, 1000), sold = reserved(HOLDER, 1000);
	struct command command = reverse(500);
	must(&command);
	command = post(OPERATOR, unsold, false);
	assert_int_equal(give(&command), ERR_BATCH_HELD);
	command = post(HOLDER, sold, false);
	must(&command);
	assert_int_equal(kg_of(OTHER, KG_HELD), 1000);
}

static void reserved_cancel(void **state)
{
	(void)state;
	reserved(HOLDER, 1000);
	struct command command = cancel_of(HOLDER, KG_RESERVED, &(struct serial_range){batch, 0, 1000});
	assert_int_equal(give(&command), ERR_OUT_OF_REACH);
	command = cancel_of(HOLDER, KG_HELD, &(struct serial_range){batch, 0, 1000});
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	assert_int_equal(kg_of(HOLDER, KG_RESERVED), 1000);
}

/* The states that kilograms come to through other rooms, and the final ones: nothing is cancelled there. */
static void other_states_are_out_of_reach(void **state)
{
	(void)state;
	static const enum kg_state states[] = {
		KG_POOLED, KG_RESERVED, KG_TRANSIT, KG_WITHDRAWN, KG_RETIRED, KG_CANCELLED};
	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		struct command command = cancel_of(HOLDER, states[i], HELD_RANGE);
		assert_int_equal(give(&command), ERR_OUT_OF_REACH);
		assert_int_equal(registry_kg_effect(states[i], KG_OVERLAY_CANCEL), KG_EFFECT_NONE);
	}
	assert_int_equal(registry_kg_effect(KG_POOLED, KG_OVERLAY_SUSPEND), KG_EFFECT_RECALL);
	assert_int_equal(registry_kg_effect(KG_RESERVED, KG_OVERLAY_SUSPEND), KG_EFFECT_FREEZE);
	assert_int_equal(registry_kg_effect(KG_TRANSIT, KG_OVERLAY_SUSPEND), KG_EFFECT_FREEZE);
}

static void final_states_stay(void **state)
{
	(void)state;
	assert_int_equal(world_retire(&world, HOLDER, batch, 100), ERR_OK);
	struct command command = cancel(HOLDER, 100, CANCEL_VOLUNTARY);
	must(&command);
	command = hold();
	must(&command);
	command = reverse(500);
	must(&command);
	command = cancel_of(HOLDER, KG_HELD, &(struct serial_range){batch, 0, 200});
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG);
	assert_int_equal(kg_of(HOLDER, KG_RETIRED), 100);
	assert_int_equal(kg_of(HOLDER, KG_CANCELLED), 100);
}

/* ---- cancellations ---- */

static void a_cancellation_says_why(void **state)
{
	(void)state;
	struct command command = cancel(HOLDER, 10, CANCEL_AUTHORITY);
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = cancel_of(HOLDER, KG_HELD, HELD_RANGE);
	command.cancel.reason = CANCEL_VOLUNTARY;
	assert_int_equal(give(&command), ERR_FORBIDDEN);
	command = cancel(HOLDER, 10, CANCEL_REASON_COUNT);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = cancel(HOLDER, 10, CANCEL_CONVERSION);
	assert_int_equal(give(&command), ERR_MISSING_FIELD);
	code32_set(&command.cancel.destination, "VERRA");
	must(&command);
	command = cancel(HOLDER, 10, CANCEL_ERROR);
	code32_set(&command.cancel.destination, "VERRA");
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = cancel(HOLDER, 10, CANCEL_ERROR);
	command.cancel.reason_hash = (struct hash){0};
	assert_int_equal(give(&command), ERR_MISSING_FIELD);
}

static void the_registry_cancels_what_is_suspended_of_one_batch(void **state)
{
	(void)state;
	uint64_t second = world_issue(&world, OTHER, 24, 10000, NULL);
	assert_int_equal(world_transfer(&world, OTHER, HOLDER, second, 100), ERR_OK);
	struct serial_range two[2] = {{batch, 0, 10}, {second, 0, 10}};
	struct command command = cancel_of(HOLDER, KG_HELD, two);
	command.lists.range_count = 2;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = hold();
	must(&command);
	command = cancel_of(HOLDER, KG_HELD, two);
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_CANCELLED), 10);
	command = cancel(HOLDER, 10, CANCEL_ERROR); /* who holds them does several at once */
	command.cancel.batch = 0;
	command.cancel.kg = 0;
	two[0].start = 500;
	command.lists = (struct record_lists){.ranges = two, .range_count = 2};
	assert_int_equal(give(&command), ERR_BATCH_HELD);
	struct command free = release();
	must(&free);
	must(&command);
	assert_int_equal(registry_cancellation_count(rules_registry(world.rules)), 2);
}

/* ---- disputes ---- */

static void a_dispute_names_one_thing(void **state)
{
	(void)state;
	struct command command = dispute(VERIFIER, 0, (struct id){0});
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = dispute(VERIFIER, batch, world_id(&world));
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = dispute(VERIFIER, 99, (struct id){0});
	assert_int_equal(give(&command), ERR_NOT_FOUND);
	command = dispute(VERIFIER, 0, world_id(&world));
	assert_int_equal(give(&command), ERR_NOT_FOUND);
	command = dispute_serials(OTHER, HELD_RANGE, 1);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG); /* another holds them */
	command.dispute_open.holder = (struct id){0};
	assert_int_equal(give(&command), ERR_MISSING_FIELD);
	command = dispute(VERIFIER, batch, (struct id){0});
	command.dispute_open.reason_hash = (struct hash){0};
	assert_int_equal(give(&command), ERR_MISSING_FIELD);
}

static void a_disputed_batch_is_suspended_beside_any_hold(void **state)
{
	(void)state;
	listed();
	struct command first = dispute(VERIFIER, batch, (struct id){0}), second = dispute(3, batch, (struct id){0});
	must(&first);
	must(&second);
	assert_int_equal(kg_of(HOLDER, KG_LISTED), 0);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_BATCH_HELD);
	/* a hold that ends, or is released, leaves it */
	struct command command = hold();
	command.batch_hold.until_us = world.now_us + CLOCK_US_PER_MINUTE;
	must(&command);
	world.now_us += 2 * CLOCK_US_PER_MINUTE;
	command = (struct command){.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	command.tick.due_us = world.now_us;
	must(&command);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_BATCH_HELD);
	command = release();
	assert_int_equal(give(&command), ERR_NOT_HELD);
	command = decide(first.id, false, 0);
	must(&command);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_BATCH_HELD); /* the other one */
	command = decide(second.id, false, 0);
	must(&command);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_OK);
	command = decide(second.id, false, 0);
	assert_int_equal(give(&command), ERR_NOT_DISPUTED);
}

static void an_upheld_dispute_of_a_batch_reverses_it(void **state)
{
	(void)state;
	struct command command = dispute(VERIFIER, batch, (struct id){0});
	must(&command);
	struct id which = command.id;
	command = decide(which, true, 0);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = decide(which, false, 500);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = decide(which, true, 500);
	must(&command);
	assert_int_equal(kg_of(OPERATOR, KG_BUFFER), 19500);
	assert_int_equal(move(OPERATOR, &(struct serial_range){batch, 200000, 10}), ERR_BATCH_HELD);
	assert_int_equal(move(HOLDER, HELD_RANGE), ERR_OK);
}

static void nobody_decides_a_dispute_of_its_own(void **state)
{
	(void)state;
	struct command command = dispute(-1, batch, (struct id){0});
	must(&command);
	struct id which = command.id;
	command = decide(which, false, 0); /* who opened it */
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command.org = world.orgs[OPERATOR];
	command.actor = world.actors[OPERATOR];
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command.org = world.issuer_org; /* a colleague */
	must(&command);
	which = in_escrow();
	command = decide(which, false, 0);
	command.org = world.orgs[HOLDER];
	command.actor = world.actors[HOLDER];
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
}

static void a_disputed_period_is_not_issued(void **state)
{
	(void)state;
	struct claim_run run;
	for (int upheld = 0; upheld < 2; upheld++) {
		struct command submission = world_submission(&world, OTHER, world.next_hour[OTHER], 24, 1000, &run);
		world.next_hour[OTHER] += 24;
		must(&submission);
		struct id period = submission.period_submit.period;
		struct command command = world_attestation(&world, 3, period, submission.period_submit.evidence_root);
		must(&command);
		command = dispute(VERIFIER, 0, period);
		must(&command);
		struct id which = command.id;
		struct command issue = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
		issue.period_issue.period = period;
		assert_int_equal(give(&issue), ERR_PERIOD_HELD);
		command = decide(which, upheld, 0);
		must(&command);
		assert_int_equal(give(&issue), upheld ? ERR_PERIOD_STATE : ERR_OK);
		command = dispute(VERIFIER, 0, period);
		assert_int_equal(give(&command), ERR_PERIOD_STATE); /* decided: its batch may be */
	}
}

static void disputed_serials_lie_in_escrow(void **state)
{
	(void)state;
	listed();
	struct serial_range ranges[2] = {{batch, 100, 50}, {batch, 70000, 25}};
	struct command command = dispute_serials(HOLDER, ranges, 2);
	must(&command);
	struct id which = command.id;
	assert_int_equal(kg_of(HOLDER, KG_ESCROW), 75);
	assert_int_equal(kg_of(HOLDER, KG_LISTED), 0);
	/* the lowest serials are picked around them */
	command = cancel(HOLDER, 120, CANCEL_VOLUNTARY);
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_ESCROW), 75);
	command = decide(which, false, 0);
	must(&command);
	assert_int_equal(kg_of(HOLDER, KG_HELD), 100000 - 120);
}

/* A snapshot with a dispute of each kind decides from there as the first state does. */
struct copying {
	struct rules *rules;
	struct event_state_end end;
};

static enum err copy_record(void *context, const uint8_t *record, size_t size)
{
	struct copying *copying = context;
	struct err_info info;
	return rules_restore(copying->rules, record, size, &copying->end, &info);
}

static void from_a_snapshot(void)
{
	struct err_info info;
	struct hash hash;
	struct copying copying = {.rules = rules_new(registry_id(rules_registry(world.rules)), 5)};
	assert_int_equal(
		rules_snapshot(world.rules, 1, (struct hash){{0}}, copy_record, &copying, &hash, &info), ERR_OK);
	struct hash again = world_state(copying.rules);
	assert_memory_equal(&hash, &again, sizeof hash);
	rules_free(&world.replica);
	world.replica = world.rules;
	world.rules = copying.rules;
}

static void disputes_outlive_a_snapshot(void **state)
{
	(void)state;
	struct command whole = dispute(VERIFIER, batch, (struct id){0});
	struct serial_range ranges[2] = {{batch, 100, 50}, {batch, 70000, 25}};
	struct command command = dispute_serials(HOLDER, ranges, 2);
	must(&command);
	struct id serials = command.id;
	must(&whole);
	command = cancel_of(HOLDER, KG_HELD, HELD_RANGE);
	must(&command);
	from_a_snapshot();
	assert_int_equal(move(HOLDER, &(struct serial_range){batch, 0, 10}), ERR_BATCH_HELD);
	command = decide(whole.id, false, 0);
	must(&command);
	command = decide(serials, true, 0);
	must(&command);
	assert_int_equal(world.result.number, 2); /* cancellations go on counting */
	assert_int_equal(kg_of(HOLDER, KG_CANCELLED), 1075);
	assert_int_equal(move(HOLDER, &(struct serial_range){batch, 0, 10}), ERR_OK);
}

/* Decision 10: what falls due in one tick goes by (deadline, id). */
static void holds_end_in_the_order_of_their_deadlines(void **state)
{
	(void)state;
	uint64_t second = world_issue(&world, OTHER, 24, 10000, NULL);
	int64_t last = world.now_us + CLOCK_US_PER_HOUR;
	struct command command = hold();
	command.batch_hold.until_us = last;
	must(&command);
	command = hold();
	command.batch_hold.batch = second;
	command.batch_hold.until_us = last - 1;
	must(&command);
	command = (struct command){.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	world.now_us = last + CLOCK_US_PER_SECOND;
	command.tick.due_us = last;
	must(&command);
	uint64_t released[2] = {0};
	size_t count = 0;
	for (size_t at = 0; at < world.output.size;) {
		struct event event;
		size_t length;
		assert_int_equal(event_decode(world.output.bytes + at, world.output.size - at, world.scratch, &event,
					 &length, &world.info),
			ERR_OK);
		if (event.header.type == EVENT_BATCH_RELEASED && count < 2)
			released[count++] = event.batch_released.batch;
		at += length;
	}
	assert_int_equal(count, 2);
	assert_int_equal(released[0], second);
	assert_int_equal(released[1], batch);
}

/* How many holds of batches and accounts a tick ends. */
static int ended_by(int64_t due_us)
{
	int ended = 0;
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	world.now_us = due_us > world.now_us ? due_us : world.now_us;
	command.tick.due_us = due_us;
	must(&command);
	for (size_t at = 0, length = 0; at < world.output.size; at += length) {
		struct event event;
		assert_int_equal(event_decode(world.output.bytes + at, world.output.size - at, world.scratch, &event,
					 &length, &world.info),
			ERR_OK);
		ended += event.header.type == EVENT_BATCH_RELEASED || event.header.type == EVENT_ACCOUNT_RELEASED;
	}
	return ended;
}

/* REGISTRY.md: a hold ends at the first tick at or after its end; one that was released before, and given again, at its new end. */
static void a_hold_that_is_given_again_ends_at_its_new_end(void **state)
{
	(void)state;
	int64_t first = world.now_us + CLOCK_US_PER_HOUR, second = first + CLOCK_US_PER_HOUR;
	for (int round = 0; round < 2; round++) {
		struct command command = hold();
		command.batch_hold.until_us = round ? second : first;
		must(&command);
		command = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
		command.account_hold = (struct command_account_hold){.org = world.orgs[HOLDER],
			.until_us = round ? second + 1 : first,
			.reason_hash = world_hash(&world)};
		must(&command);
		if (round)
			break;
		from_a_snapshot();
		command = world_command(&world, COMMAND_BATCH_RELEASE, -1);
		command.batch_release =
			(struct command_batch_release){.batch = batch, .reason_hash = world_hash(&world)};
		must(&command);
		command = world_command(&world, COMMAND_ACCOUNT_RELEASE, -1);
		command.account_release =
			(struct command_account_release){.org = world.orgs[HOLDER], .reason_hash = world_hash(&world)};
		must(&command);
	}
	assert_int_equal(ended_by(first), 0);
	from_a_snapshot();
	assert_int_equal(ended_by(second - 1), 0);
	assert_int_equal(ended_by(second), 1);
	assert_int_equal(ended_by(second + 1), 1);
	assert_int_equal(ended_by(second + CLOCK_US_PER_HOUR), 0);
}

/* ---- imports ---- */

static struct command import_of(const struct claim_run *runs, size_t count)
{
	struct command command = world_command(&world, COMMAND_BATCH_IMPORT, -1);
	command.batch_import = (struct command_batch_import){.org = world.orgs[HOLDER],
		.evidence_hash = world_hash(&world),
		.kind = CREDIT_REDUCTION,
		.durability = DURABILITY_NONE,
		.vintage = 2024,
		.unit_kg = 1000};
	code16_set(&command.batch_import.origin, "VERRA");
	code32_set(&command.batch_import.series, "VCS-VCU-259-VER-IN-1-1529");
	code16_set(&command.batch_import.methodology, "ACM0002");
	code8_set(&command.batch_import.country, "IN");
	command.lists = (struct record_lists){.runs = runs, .run_count = count};
	return command;
}

static void the_origin_lock_takes_each_number_once_for_ever(void **state)
{
	(void)state;
	struct claim_run runs[2] = {{.first_hour = 78103245, .hours = 100}, {.first_hour = 78103400, .hours = 5}};
	struct command command = import_of(runs, 2);
	must(&command);
	batch = world.result.number;
	assert_int_equal(kg_of(HOLDER, KG_HELD), 105000);
	/* a guard key each, in the same append */
	assert_int_equal(world.output.guard_count, 105);
	uint8_t key[REGISTRY_ORIGIN_KEY_SIZE];
	struct id line = registry_origin_line(command.batch_import.origin, command.batch_import.series);
	size_t size = registry_origin_key(line, 78103404, 0, 0, key);
	assert_int_equal(world.output.guards[104].size, size);
	assert_memory_equal(world.output.guards[104].key, key, size);
	/* overlap, not equality; also from a snapshot, and whatever has become of the kilograms */
	command = cancel(HOLDER, 105000, CANCEL_CONVERSION);
	code32_set(&command.cancel.destination, "GOLD");
	must(&command);
	for (int round = 0; round < 2; round++) {
		struct claim_run again = {.first_hour = 78103200, .hours = 46};
		command = import_of(&again, 1);
		assert_int_equal(give(&command), ERR_ORIGIN_TAKEN);
		again = (struct claim_run){.first_hour = 78103404, .hours = 1};
		assert_int_equal(give(&command), ERR_ORIGIN_TAKEN);
		from_a_snapshot();
	}
	struct claim_run between = {.first_hour = 78103345, .hours = 55};
	command = import_of(&between, 1);
	must(&command);
	/* the same numbers of another series, registry or upper half are others */
	command = import_of(runs, 2);
	code32_set(&command.batch_import.series, "VCS-VCU-260");
	must(&command);
	command = import_of(runs, 2);
	code16_set(&command.batch_import.origin, "GOLD");
	must(&command);
	runs[0].slot = runs[1].slot = 1;
	command = import_of(runs, 2);
	must(&command);
}

static struct command back_to(const char *registry, struct serial_range *range)
{
	struct command command = cancel(HOLDER, 0, CANCEL_CONVERSION);
	command.cancel.batch = 0;
	code32_set(&command.cancel.destination, registry);
	command.lists = (struct record_lists){.ranges = range, .range_count = 1};
	return command;
}

static enum err comes_in(uint32_t first, uint32_t numbers)
{
	struct claim_run run = {.first_hour = first, .hours = numbers};
	struct command command = import_of(&run, 1);
	return give(&command);
}

/* REGISTRY.md, what becomes of numbers: a conversion to where they came from gives them back whole, so that they come in once more;
 * nothing else does (origin lock). */
static void numbers_that_go_back_may_come_in_again_once(void **state)
{
	(void)state;
	struct claim_run runs[2] = {{.first_hour = 100, .hours = 10}, {.first_hour = 200, .hours = 10}};
	struct command command = import_of(runs, 2);
	must(&command);
	uint64_t first = batch = world.result.number;
	struct serial_range whole = {first, 8000, 4000}, part = {first, 500, 1000}, other = {first, 0, 1000};
	command = back_to("VERRA", &part);
	assert_int_equal(give(&command), ERR_ORIGIN_IN_PART);
	part = (struct serial_range){first, 1000, 500};
	assert_int_equal(give(&command), ERR_ORIGIN_IN_PART);
	command = back_to("GOLD", &other);
	must(&command);
	assert_int_equal(comes_in(100, 1), ERR_ORIGIN_TAKEN); /* another registry took it */
	command = cancel(HOLDER, 1000, CANCEL_VOLUNTARY);
	must(&command);
	assert_int_equal(world_retire(&world, HOLDER, first, 1000), ERR_OK);
	for (uint32_t number = 101; number < 103; number++)
		assert_int_equal(comes_in(number, 1), ERR_ORIGIN_TAKEN);
	command = back_to("VERRA", &whole); /* 108, 109, 200 and 201 */
	must(&command);
	from_a_snapshot();
	assert_int_equal(comes_in(107, 2), ERR_ORIGIN_TAKEN);
	assert_int_equal(comes_in(201, 2), ERR_ORIGIN_TAKEN);
	command = back_to("VERRA", &whole);
	assert_int_equal(give(&command), ERR_INSUFFICIENT_KG); /* they went back */
	/* in again, with numbers that never were here; each guard key says after which batch */
	assert_int_equal(comes_in(108, 5), ERR_OK);
	uint64_t second = world.result.number;
	uint8_t key[REGISTRY_ORIGIN_KEY_SIZE];
	command = import_of(runs, 1);
	struct id line = registry_origin_line(command.batch_import.origin, command.batch_import.series);
	assert_int_equal(world.output.guard_count, 5);
	for (uint32_t i = 0; i < 5; i++) {
		size_t size = registry_origin_key(line, 108 + i, 0, i < 2 ? (uint32_t)first : 0, key);
		assert_int_equal(world.output.guards[i].size, size);
		assert_memory_equal(world.output.guards[i].key, key, size);
	}
	for (int round = 0; round < 2; round++, from_a_snapshot())
		for (uint32_t number = 108; number < 113; number++)
			assert_int_equal(comes_in(number, 1), ERR_ORIGIN_TAKEN);
	assert_int_equal(comes_in(200, 1), ERR_OK); /* what the same conversion gave back and nobody took */
	/* and back and in once more, from the batch that has it now */
	struct serial_range again = {second, 0, 5000};
	batch = second;
	command = back_to("VERRA", &again);
	must(&command);
	from_a_snapshot();
	assert_int_equal(comes_in(108, 5), ERR_OK);
	assert_int_equal(comes_in(108, 1), ERR_ORIGIN_TAKEN);
	assert_int_equal(comes_in(201, 1), ERR_OK);
	/* of several batches at once each gives back its own, in one step */
	struct serial_range both[2] = {{world.result.number, 0, 1000}, {world.result.number - 1, 0, 2000}};
	command = back_to("VERRA", both);
	command.lists.range_count = 2;
	must(&command);
	assert_int_equal(comes_in(201, 1), ERR_OK);
	assert_int_equal(comes_in(109, 2), ERR_ORIGIN_TAKEN); /* 110 is not back */
	assert_int_equal(comes_in(108, 2), ERR_OK);
}

static void an_import_is_a_batch_like_others_without_meter_hours(void **state)
{
	(void)state;
	struct claim_run run = {.first_hour = 1, .hours = 10};
	struct command command = import_of(&run, 1);
	must(&command);
	batch = world.result.number;
	struct registry_attributes attributes;
	assert_true(registry_attributes(rules_registry(world.rules), batch, &attributes));
	assert_int_equal(attributes.vintage, 2024);
	assert_memory_equal(attributes.methodology.text, "ACM0002", 8);
	assert_int_equal(world_transfer(&world, HOLDER, OTHER, batch, 500), ERR_OK);
	assert_int_equal(world_retire(&world, OTHER, batch, 500), ERR_OK);
	command = dispute(VERIFIER, batch, (struct id){0});
	must(&command);
	assert_int_equal(world_transfer(&world, HOLDER, OTHER, batch, 500), ERR_BATCH_HELD);
}

static void what_an_import_must_not_say(void **state)
{
	(void)state;
	struct claim_run runs[2] = {{.first_hour = 5, .hours = 10}, {.first_hour = 14, .hours = 1}};
	struct command command = import_of(runs, 2);
	assert_int_equal(give(&command), ERR_INVALID_FIELD); /* its own overlap */
	runs[0].hours = 0;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	runs[0].hours = 8784;
	runs[1].first_hour = 10000;
	assert_int_equal(give(&command), ERR_COMMAND_TOO_LARGE);
	command = import_of(runs, 0);
	assert_int_equal(give(&command), ERR_COMMAND_TOO_LARGE);
	struct claim_run beyond = {
		.first_hour = REGISTRY_ORIGIN_SLOT - 1, .hours = 2}; /* a number has one form alone */
	command = import_of(&beyond, 1);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = import_of(runs, 1);
	command.batch_import.unit_kg = 100;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = import_of(runs, 1);
	command.batch_import.vintage = 2027;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = import_of(runs, 1);
	command.batch_import.evidence_hash = (struct hash){0};
	assert_int_equal(give(&command), ERR_MISSING_FIELD);
	command = import_of(runs, 1);
	command.batch_import.org = world.issuer_org;
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command = import_of(runs, 1);
	code32_set(&command.batch_import.series, "two words");
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
}

/* ---- methodologies and projects ---- */

static enum err submit(struct hash methodology, struct id project, uint32_t hours)
{
	struct claim_run run;
	struct command command = world_submission(&world, OTHER, world.next_hour[OTHER], hours, 1000, &run);
	command.period_submit.methodology_hash = methodology;
	command.period_submit.project = project;
	enum err err = give(&command);
	world.next_hour[OTHER] += err ? 0 : hours;
	return err;
}

static void a_withdrawn_methodology_takes_no_submission(void **state)
{
	(void)state;
	struct hash known = world_hash(&world), unknown = world_hash(&world);
	struct id project = world_id(&world);
	assert_int_equal(submit(unknown, project, 1), ERR_OK); /* none has been admitted */
	struct command command = world_command(&world, COMMAND_METHODOLOGY_ADMIT, -1);
	command.methodology_admit = (struct command_methodology_admit){.methodology_hash = known,
		.valid_from_us = world.now_us + CLOCK_US_PER_HOUR,
		.reason_hash = world_hash(&world)};
	must(&command);
	assert_int_equal(submit(unknown, project, 1), ERR_METHODOLOGY_NOT_VALID);
	assert_int_equal(submit(known, project, 1), ERR_METHODOLOGY_NOT_VALID); /* not yet */
	world.now_us += CLOCK_US_PER_HOUR;
	assert_int_equal(submit(known, project, 1), ERR_OK);
	command.methodology_admit.valid_to_us = world.now_us + CLOCK_US_PER_MINUTE;
	must(&command);
	assert_int_equal(submit(known, project, 1), ERR_OK);
	world.now_us += CLOCK_US_PER_MINUTE;
	assert_int_equal(submit(known, project, 1), ERR_METHODOLOGY_NOT_VALID); /* withdrawn */
	from_a_snapshot();
	assert_int_equal(submit(known, project, 1), ERR_METHODOLOGY_NOT_VALID);
	command.methodology_admit.valid_to_us = 1;
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
}

static struct command registration(struct id project, enum project_state to)
{
	struct command command = world_command(&world, COMMAND_PROJECT_REGISTER, -1);
	command.project_register = (struct command_project_register){.project = project,
		.org = world.orgs[OTHER],
		.state = (uint32_t)to,
		.crediting_from_us = WORLD_FIRST_DAY,
		.crediting_to_us = WORLD_FIRST_DAY + CLOCK_US_PER_DAY,
		.reason_hash = world_hash(&world)};
	return command;
}

static void periods_are_of_registered_projects_in_their_crediting_period(void **state)
{
	(void)state;
	struct hash methodology = world_hash(&world);
	struct id project = world_id(&world), stranger = world_id(&world);
	struct command command = registration(project, PROJECT_SUSPENDED);
	assert_int_equal(give(&command), ERR_INVALID_FIELD);
	command = registration(project, PROJECT_REGISTERED);
	command.org = world.orgs[OTHER];
	assert_int_equal(give(&command), ERR_SEPARATION_OF_DUTIES);
	command = registration(project, PROJECT_REGISTERED);
	must(&command);
	assert_int_equal(submit(methodology, stranger, 1), ERR_PROJECT_NOT_REGISTERED);
	assert_int_equal(submit(methodology, project, 25), ERR_PROJECT_NOT_REGISTERED); /* an hour too many */
	assert_int_equal(submit(methodology, project, 1), ERR_OK);
	/* a suspended project's period is not issued either */
	struct claim_run run;
	struct command submission = world_submission(&world, OTHER, world.next_hour[OTHER], 2, 1000, &run);
	submission.period_submit.project = project;
	must(&submission);
	world.next_hour[OTHER] += 2;
	struct command attestation =
		world_attestation(&world, 3, submission.period_submit.period, submission.period_submit.evidence_root);
	must(&attestation);
	command = registration(project, PROJECT_SUSPENDED);
	must(&command);
	from_a_snapshot();
	struct command issue = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
	issue.period_issue.period = submission.period_submit.period;
	assert_int_equal(give(&issue), ERR_PROJECT_NOT_REGISTERED);
	command = registration(project, PROJECT_REGISTERED);
	must(&command);
	must(&issue);
	command = registration(project, PROJECT_CLOSED);
	must(&command);
	assert_int_equal(submit(methodology, project, 1), ERR_PROJECT_NOT_REGISTERED);
	command = registration(project, PROJECT_REGISTERED);
	assert_int_equal(give(&command), ERR_PROJECT_NOT_REGISTERED); /* for ever */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(held_suspend), TEST(held_reverse), TEST(held_cancel),
		TEST(listed_suspend), TEST(listed_reverse), TEST(listed_cancel), TEST(escrow_suspend),
		TEST(escrow_reverse), TEST(escrow_cancel), TEST(reserved_suspend), TEST(reserved_reverse),
		TEST(reserved_cancel), TEST(buffer_suspend_and_reverse), TEST(buffer_cancel),
		TEST(other_states_are_out_of_reach), TEST(final_states_stay), TEST(a_cancellation_says_why),
		TEST(the_registry_cancels_what_is_suspended_of_one_batch), TEST(a_dispute_names_one_thing),
		TEST(a_disputed_batch_is_suspended_beside_any_hold), TEST(an_upheld_dispute_of_a_batch_reverses_it),
		TEST(nobody_decides_a_dispute_of_its_own), TEST(a_disputed_period_is_not_issued),
		TEST(disputed_serials_lie_in_escrow), TEST(disputes_outlive_a_snapshot),
		TEST(a_hold_that_is_given_again_ends_at_its_new_end), TEST(holds_end_in_the_order_of_their_deadlines),
		TEST(the_origin_lock_takes_each_number_once_for_ever),
		TEST(numbers_that_go_back_may_come_in_again_once),
		TEST(an_import_is_a_batch_like_others_without_meter_hours), TEST(what_an_import_must_not_say),
		TEST(a_withdrawn_methodology_takes_no_submission),
		TEST(periods_are_of_registered_projects_in_their_crediting_period)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
