/* Money (docs/LEDGER.md): each command's legs and each of its refusals, two-phase transfers to their ends, what a failing event
 * leaves behind (decision 8), replay and snapshots of all of it (P3, P8). */
#include "money.h"

static void currencies(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "eur", "1A", "E-R", "EUR ", "ABCDEFGH"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_true(ledger_money_asset(code_of(bad[i])) == 0);
	assert_true(ledger_money_asset((struct code8){{'E', 'U', 'R', 0, 'X'}}) == 0);
	assert_true(ledger_money_asset(code_of("EUR")) == (LEDGER_MONEY | 0x455552));
	assert_true(ledger_money_asset(code_of("ABCDE67")) == (LEDGER_MONEY | 0x41424344453637));
}

static void in_and_out(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 1);
	struct command command = deposit(&world, 0, 100 * UNIT);
	done(&world, &command);
	assert_amounts(&world, 0, 100 * UNIT, 0);
	assert_amounts(&world, -1, -100 * UNIT, 0);
	/* what a payment provider says twice happens once (decision 11) */
	command = deposit(&world, 1, 5 * UNIT);
	command.source = COMMAND_SOURCE_PAYMENT;
	command.actor = (struct id){{0}};
	command.natural_key = command_natural_key(COMMAND_SOURCE_PAYMENT, COMMAND_MONEY_DEPOSIT, "evt_1", 5);
	done(&world, &command);
	command.id = world_id(&world);
	assert_int_equal(world_execute(&world, &command), ERR_OK);
	assert_true(world.result.repeated);
	assert_amounts(&world, 1, 5 * UNIT, 0);

	command = withdrawal(&world, 0, 40 * UNIT);
	done(&world, &command);
	assert_amounts(&world, 0, 60 * UNIT, 0);
	assert_amounts(&world, -1, -65 * UNIT, 0);

	struct command wrong = deposit(&world, 0, 0);
	refused(&world, &wrong, ERR_AMOUNT_INVALID);
	wrong = deposit(&world, 0, LEDGER_MICROS_MAX + 1);
	refused(&world, &wrong, ERR_AMOUNT_INVALID);
	wrong = deposit(&world, 0, 1);
	wrong.money_deposit.currency = code_of("eur");
	refused(&world, &wrong, ERR_CURRENCY_INVALID);
	wrong = deposit(&world, 0, 1);
	wrong.money_deposit.to = (struct id){{0}};
	refused(&world, &wrong, ERR_PAYEE_INVALID);
	wrong = withdrawal(&world, 0, 60 * UNIT + 1);
	refused(&world, &wrong, ERR_INSUFFICIENT_FUNDS);
	wrong = withdrawal(&world, 0, -1);
	refused(&world, &wrong, ERR_AMOUNT_INVALID);
	wrong = withdrawal(&world, 0, 1);
	wrong.money_withdraw.from = (struct id){{0}};
	refused(&world, &wrong, ERR_PAYEE_INVALID);
	for (int i = 0; i < 9; i++) {
		command = deposit(&world, 2, LEDGER_MICROS_MAX);
		assert_int_equal(world_execute(&world, &command), ERR_OK);
	}
	wrong = deposit(&world, 2, LEDGER_MICROS_MAX);
	refused(&world, &wrong, ERR_MONEY_OVERFLOW);
	round_trip(&world);
	world_stop(&world);
}

static void the_house(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 2);
	assert_true(id_is_none(ledger_house(rules_ledger(world.rules))));
	struct command command = world_command(&world, COMMAND_HOUSE_NAME, -1);
	refused(&world, &command, ERR_MISSING_FIELD);
	command = house(&world, 4);
	done(&world, &command);
	command = house(&world, 3);
	refused(&world, &command, ERR_HOUSE_NAMED);
	round_trip(&world);
	struct id named = ledger_house(rules_ledger(world.rules));
	assert_memory_equal(&named, &world.orgs[4], sizeof named);
	world_stop(&world);
}

static void at_once(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 3);
	struct command command = deposit(&world, 0, 100 * UNIT);
	done(&world, &command);
	command = payment(&world, 0, 1, 30 * UNIT);
	done(&world, &command);
	assert_int_equal(world_execute(&world, &command), ERR_OK); /* a repeat is a repeat */
	assert_true(world.result.repeated);
	assert_amounts(&world, 0, 70 * UNIT, 0);
	assert_amounts(&world, 1, 30 * UNIT, 0);
	command = payment(&world, 1, 2, 50 * UNIT); /* up to what is there */
	command.money_transfer.balancing = 1;
	done(&world, &command);
	assert_amounts(&world, 1, 0, 0);
	assert_amounts(&world, 2, 30 * UNIT, 0);
	command = payment(&world, 2, 1, 10 * UNIT);
	command.money_transfer.balancing = 1;
	done(&world, &command);
	assert_amounts(&world, 2, 20 * UNIT, 0);
	assert_amounts(&world, 1, 10 * UNIT, 0);

	command = payment(&world, 3, 1, 1);
	command.money_transfer.balancing = 1;
	refused(&world, &command, ERR_NOTHING_TO_PAY);
	command = payment(&world, 0, 1, 70 * UNIT + 1);
	refused(&world, &command, ERR_INSUFFICIENT_FUNDS);
	command = payment(&world, 0, 0, 1);
	refused(&world, &command, ERR_PAYEE_INVALID);
	command = payment(&world, 0, 1, 1);
	command.money_transfer.to = (struct id){{0}};
	refused(&world, &command, ERR_PAYEE_INVALID);
	command = payment(&world, 0, 1, 1);
	command.money_transfer.expires_us = world.now_us + 1; /* only what is pending expires */
	refused(&world, &command, ERR_EXPIRY_INVALID);
	command = payment(&world, 0, 1, 1);
	command.org = (struct id){{0}};
	refused(&world, &command, ERR_FORBIDDEN);

	command = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
	command.account_hold = (struct command_account_hold){.org = world.orgs[0], .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = payment(&world, 0, 1, 1);
	refused(&world, &command, ERR_ACCOUNT_HELD);
	command = withdrawal(&world, 0, 1);
	refused(&world, &command, ERR_ACCOUNT_HELD);
	command = payment(&world, 1, 0, 1); /* it may still come in */
	done(&world, &command);
	world_stop(&world);
}

static void two_phases(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 4);
	struct command command = deposit(&world, 0, 100 * UNIT);
	done(&world, &command);
	struct command first = pending(&world, 0, 1, 60 * UNIT, 0), second = pending(&world, 0, 2, 40 * UNIT, 0);
	done(&world, &first);
	done(&world, &second);
	assert_amounts(&world, 0, 0, 100 * UNIT);
	command = payment(&world, 0, 1, 1); /* limits are checked when it is reserved */
	refused(&world, &command, ERR_INSUFFICIENT_FUNDS);
	round_trip(&world);
	assert_int_equal(ledger_pending(rules_ledger(world.rules), first.id)->user_data, 9);

	command = post(&world, 1, first.id, 0);
	refused(&world, &command, ERR_FORBIDDEN);
	command = post(&world, 2, first.id, 0);
	refused(&world, &command, ERR_NOT_PENDING);
	command = post(&world, 0, first.id, 60 * UNIT + 1);
	refused(&world, &command, ERR_EXCEEDS_PENDING);
	command = post(&world, 0, first.id, -1);
	refused(&world, &command, ERR_AMOUNT_INVALID);
	command = first; /* another organisation uses the id */
	command.org = world.orgs[3];
	command.actor = world.actors[3];
	struct command fund = deposit(&world, 3, 60 * UNIT);
	done(&world, &fund);
	refused(&world, &command, ERR_COMMAND_ID_INVALID);
	command.source = COMMAND_SOURCE_TRANSFER; /* a consumer, whose ids are not looked up */
	command.natural_key = command_natural_key(command.source, command.kind, "1", 1);
	refused(&world, &command, ERR_DUPLICATE);

	command = post(&world, 0, first.id, 45 * UNIT); /* in part: the rest is free */
	done(&world, &command);
	assert_amounts(&world, 0, 15 * UNIT, 40 * UNIT);
	assert_amounts(&world, 1, 45 * UNIT, 0);
	command = post(&world, 0, first.id, 0);
	refused(&world, &command, ERR_NOT_PENDING);
	command = voiding(&world, 1, second.id);
	refused(&world, &command, ERR_NOT_PENDING);
	command = voiding(&world, 2, second.id); /* by who would be paid */
	done(&world, &command);
	assert_amounts(&world, 0, 55 * UNIT, 0);
	first = pending(&world, 0, 1, 5 * UNIT, 0);
	done(&world, &first);
	command = post(&world, 0, first.id, 0); /* whole */
	done(&world, &command);
	assert_amounts(&world, 0, 50 * UNIT, 0);
	assert_amounts(&world, 1, 50 * UNIT, 0);
	world_stop(&world);
}

static void expiry(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 5);
	struct command command = deposit(&world, 0, 100 * UNIT);
	done(&world, &command);
	int64_t due_us = world.now_us + CLOCK_US_PER_MINUTE;
	command = pending(&world, 0, 1, UNIT, world.now_us);
	refused(&world, &command, ERR_EXPIRY_INVALID);
	struct command late = pending(&world, 0, 1, 4 * UNIT, due_us + 2),
		       soon = pending(&world, 0, 1, 2 * UNIT, due_us), twin = pending(&world, 0, 1, UNIT, due_us),
		       never = pending(&world, 0, 1, 8 * UNIT, 0);
	done(&world, &late);
	done(&world, &soon);
	done(&world, &twin);
	done(&world, &never);
	tick(&world, due_us - 1);
	assert_amounts(&world, 0, 85 * UNIT, 15 * UNIT);
	tick(&world, due_us);
	assert_amounts(&world, 0, 88 * UNIT, 12 * UNIT);
	command = post(&world, 0, soon.id, 0);
	refused(&world, &command, ERR_NOT_PENDING);
	struct command third = pending(&world, 0, 1, UNIT, due_us + 1),
		       fourth = pending(&world, 0, 1, UNIT, due_us + 1);
	done(&world, &third);
	done(&world, &fourth);
	tick(&world, due_us + CLOCK_US_PER_DAY);
	assert_amounts(&world, 0, 92 * UNIT, 8 * UNIT);
	/* by the record of the tick: the two that were due first, by id, then the one that was made before them */
	bool swapped = memcmp(&third.id, &fourth.id, sizeof third.id) > 0;
	const struct id order[] = {swapped ? fourth.id : third.id, swapped ? third.id : fourth.id, late.id};
	struct event event;
	size_t at = 0, length = 0, count = 0;
	while (at < world.output.size) {
		assert_int_equal(event_decode(world.output.bytes + at, world.output.size - at, world.scratch, &event,
					 &length, &world.info),
			ERR_OK);
		at += length;
		if (event.header.type != EVENT_MONEY_VOIDED)
			continue;
		assert_int_equal(event.money_voided.expired, 1);
		assert_true(count < 3);
		assert_memory_equal(&event.money_voided.transfer, &order[count], sizeof order[0]);
		count++;
	}
	assert_int_equal(count, 3);
	world_stop(&world);
}

/* A journal that says what cannot be is refused, event by event. */
static void impossible(void **state)
{
	(void)state;
	struct world world;
	world_start(&world, 6);
	struct command command = deposit(&world, 0, 100 * UNIT);
	done(&world, &command);
	command = house(&world, 4);
	done(&world, &command);
	struct command waits = pending(&world, 0, 1, 10 * UNIT, 0);
	done(&world, &waits);
	const struct event_state_pending *is = ledger_pending(rules_ledger(world.rules), waits.id);
	struct event_money_reserved reserved = {.transfer = is->transfer,
		.from = is->from,
		.to = is->to,
		.currency = is->currency,
		.amount_micros = is->amount};
	const struct event events[] = {
		{.header.type = EVENT_HOUSE_NAMED, .house_named = {.org = world.orgs[3]}},
		{.header.type = EVENT_MONEY_DEPOSITED, .money_deposited = {.to = world.orgs[3], .amount_micros = 1}},
		{.header.type = EVENT_MONEY_PAID,
			.money_paid = {.from = world.orgs[0], .to = world.orgs[1], .currency = code_of("EUR")}},
		{.header.type = EVENT_MONEY_RESERVED, .money_reserved = reserved},
		{.header.type = EVENT_MONEY_POSTED,
			.money_posted = {.transfer = waits.id, .amount_micros = 10 * UNIT, .freed_micros = 1}},
		{.header.type = EVENT_MONEY_POSTED,
			.money_posted = {.transfer = waits.id, .amount_micros = 11 * UNIT, .freed_micros = -UNIT}},
		{.header.type = EVENT_MONEY_POSTED,
			.money_posted = {.transfer = waits.id, .amount_micros = -UNIT, .freed_micros = 11 * UNIT}},
		{.header.type = EVENT_MONEY_VOIDED, .money_voided = {.transfer = waits.id, .amount_micros = 9 * UNIT}},
		{.header.type = EVENT_MONEY_VOIDED, .money_voided = {.transfer = world.orgs[0], .amount_micros = UNIT}},
		{.header.type = 79},
	};
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		struct event event = events[i];
		event.header.number = rules_position(world.rules) + 1;
		event.header.time_us = world.now_us;
		assert_int_equal(rules_apply(world.rules, &event, &world.info), ERR_JOURNAL_INVALID);
	}
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(currencies), cmocka_unit_test(in_and_out),
		cmocka_unit_test(the_house), cmocka_unit_test(at_once), cmocka_unit_test(two_phases),
		cmocka_unit_test(expiry), cmocka_unit_test(impossible)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
