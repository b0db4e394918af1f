/* What the tests of the ledger share: commands of money, executing them with each of their events failing first (decision 8), what a
 * refusal leaves, snapshots. */
#ifndef TEST_RULES_MONEY_H
#define TEST_RULES_MONEY_H

#include "world.h"

#define UNIT INT64_C(1000000) /* micros */

static inline struct code8 code_of(const char *text)
{
	struct code8 code;
	assert_true(code8_set(&code, text));
	return code;
}

static inline int64_t amount(const struct world *world, int org, enum kg_state state)
{
	struct ledger_place place = {.org = org < 0 ? (struct id){{0}} : world->orgs[org], .state = state};
	return ledger_amount(rules_ledger(world->rules), ledger_money_asset(code_of("EUR")), place);
}

#define assert_amounts(world, org, held, reserved)                                 \
	do {                                                                       \
		assert_int_equal(amount((world), (org), KG_HELD), (held));         \
		assert_int_equal(amount((world), (org), KG_RESERVED), (reserved)); \
	} while (0)

static inline struct command deposit(struct world *world, int org, int64_t micros)
{
	struct command command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){
		.to = world->orgs[org], .currency = code_of("EUR"), .amount_micros = micros};
	return command;
}

static inline struct command withdrawal(struct world *world, int org, int64_t micros)
{
	struct command command = world_command(world, COMMAND_MONEY_WITHDRAW, -1);
	command.money_withdraw = (struct command_money_withdraw){
		.from = world->orgs[org], .currency = code_of("EUR"), .amount_micros = micros};
	return command;
}

static inline struct command payment(struct world *world, int from, int to, int64_t micros)
{
	struct command command = world_command(world, COMMAND_MONEY_TRANSFER, from);
	command.money_transfer = (struct command_money_transfer){
		.to = world->orgs[to], .currency = code_of("EUR"), .amount_micros = micros, .code = 7, .user_data = 9};
	return command;
}

static inline struct command pending(struct world *world, int from, int to, int64_t micros, int64_t expires_us)
{
	struct command command = payment(world, from, to, micros);
	command.money_transfer.pending = 1;
	command.money_transfer.expires_us = expires_us;
	return command;
}

static inline struct command post(struct world *world, int org, struct id transfer, int64_t micros)
{
	struct command command = world_command(world, COMMAND_PENDING_POST, org);
	command.pending_post = (struct command_pending_post){.transfer = transfer, .amount = micros};
	return command;
}

static inline struct command voiding(struct world *world, int org, struct id transfer)
{
	struct command command = world_command(world, COMMAND_PENDING_VOID, org);
	command.pending_void.transfer = transfer;
	return command;
}

static inline struct command house(struct world *world, int org)
{
	struct command command = world_command(world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = world->orgs[org];
	return command;
}

/* Executes the command, but first with each of its events failing in turn: the state is then as it was. */
static inline void done(struct world *world, const struct command *command)
{
	struct hash before = world_state(world->rules);
	for (uint32_t index = 1;; index++) {
		world->output.size = world->output.guard_count = 0;
		rules_fail_event(world->rules, index);
		enum err err = rules_execute(
			world->rules, command, world->now_us, &world->output, &world->result, &world->info);
		if (!err)
			break;
		assert_int_equal(err, ERR_NO_MEMORY);
		assert_int_equal(world->output.size, 0);
		struct hash after = world_state(world->rules);
		assert_memory_equal(&before, &after, sizeof after);
	}
	world_replay(world, 0);
	world_check(world); /* P3, P8 */
}

static inline void refused(struct world *world, const struct command *command, enum err expected)
{
	struct hash before = world_state(world->rules);
	assert_int_equal(world_execute(world, command), expected);
	assert_true(world->info.detail[0] != 0);
	struct hash after = world_state(world->rules);
	assert_memory_equal(&before, &after, sizeof after);
}

static inline void tick(struct world *world, int64_t due_us)
{
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = due_us}};
	world->now_us = due_us;
	done(world, &command);
}

static inline enum err restore_record(void *context, const uint8_t *record, size_t size)
{
	struct event_state_end end;
	struct err_info info;
	return rules_restore(context, record, size, &end, &info);
}

/* A snapshot makes the same state; the copy goes on in its place. */
static inline void round_trip(struct world *world)
{
	struct rules *copy = rules_new(registry_id(rules_registry(world->rules)), 77);
	struct hash none = {{0}}, whole = world_state(world->rules);
	assert_int_equal(rules_snapshot(world->rules, 1, none, restore_record, copy, NULL, &world->info), ERR_OK);
	struct hash copied = world_state(copy);
	assert_memory_equal(&copied, &whole, sizeof whole);
	rules_free(&world->rules);
	world->rules = copy;
}

#endif
