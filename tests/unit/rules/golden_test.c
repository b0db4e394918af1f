/* Old journals are read for ever: each release leaves its journal, what it reads like, and the hash of the state that it makes
 * in tests/golden. With CARBOND_WRITE_GOLDEN=1 the newest is written anew (only before its release). */
#include "world.h"

#define FIRST  "tests/golden/journal-1"
#define GOLDEN "tests/golden/journal-2"         /* the newest */
#define MARKET "tests/golden/journal-2-shard-1" /* a market shard's, of the same release */

struct content {
	char *bytes;
	size_t size;
};

static struct content read_file(const char *path)
{
	struct content text = {0};
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("%s is missing", path);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	text.size = (size_t)ftell(file);
	rewind(file);
	text.bytes = malloc(text.size + 1);
	assert_int_equal(fread(text.bytes, 1, text.size, file), text.size);
	text.bytes[text.size] = 0;
	fclose(file);
	return text;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* Replays a shard's journal; its lines of JSON and the state's hash as hex. */
static void replay(
	const struct content *journal, uint32_t shard, struct content *ret_lines, char ret_hash[HASH_TEXT_SIZE])
{
	struct err_info info;
	struct event_scratch *scratch = malloc(sizeof *scratch);
	struct rules *rules = rules_new_shard((struct id){{1}}, shard, 3);
	FILE *lines = open_memstream(&ret_lines->bytes, &ret_lines->size);
	for (size_t at = 0, length = 0; at < journal->size; at += length) {
		struct event event;
		if (event_decode((const uint8_t *)journal->bytes + at, journal->size - at, scratch, &event, &length,
			    &info) ||
			rules_apply(rules, &event, &info))
			fail_msg("byte %zu: %s", at, info.detail);
		json_t *document = event_json(&event);
		char *line = json_dumps(document, JSON_COMPACT);
		fprintf(lines, "%s\n", line);
		free(line);
		json_decref(document);
	}
	fclose(lines);
	assert_int_equal(rules_check(rules, &info), ERR_OK);
	hash_text(world_state(rules), ret_hash);
	rules_free(&rules);
	free(scratch);
}

/* ---- making one: every kind of event ---- */

static uint8_t made[1 << 20], market_made[1 << 16];
static size_t made_size, market_made_size;

static void done(struct world *world, struct command *command)
{
	world->now_us += CLOCK_US_PER_MINUTE;
	if (command->source != COMMAND_SOURCE_ENGINE)
		command->id = world_id(world);
	if (world_execute(world, command))
		fail_msg("%s: %s", command_kind_name(command->kind), world->info.detail);
	memcpy(made + made_size, world->output.bytes, world->output.size);
	made_size += world->output.size;
}

static struct id period_of(struct world *world, int org, uint32_t hours, int64_t kg, struct hash *ret_root)
{
	struct claim_run run;
	struct command command = world_submission(world, org, world->next_hour[org], hours, kg, &run);
	done(world, &command);
	world->next_hour[org] += hours;
	*ret_root = command.period_submit.evidence_root;
	return command.period_submit.period;
}

/* Every event of the market. */
static struct id market_order(struct world *world, int org, struct command_order_place asked)
{
	struct command command = world_command(world, COMMAND_ORDER_PLACE, org);
	command.order_place = asked;
	done(world, &command);
	return command.id;
}

/* A schedule, an auction that a trade out of its band begins, the trade of it undone, and a dead-man switch. */
static void session(struct world *world, struct command_order_place sell, struct command_order_place buy)
{
	struct command command = world_command(world, COMMAND_MARKET_SCHEDULE, -1);
	command.market_schedule = (struct command_market_schedule){.market = 1,
		.static_ppm = 300000,
		.dynamic_ppm = 10000,
		.interruption_us = CLOCK_US_PER_HOUR,
		.auction_us = CLOCK_US_PER_MINUTE};
	done(world, &command);
	sell.price_micros = buy.price_micros = 95000000;
	market_order(world, 0, sell);
	market_order(world, 2, buy);
	command = (struct command){.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	world->now_us += CLOCK_US_PER_HOUR;
	command.tick.due_us = world->now_us;
	done(world, &command);
	struct serial_range ranges[1];
	struct command bust = world_command(world, COMMAND_TRADE_BUST, -1);
	while (rules_due(world->rules, &command)) {
		size_t from = made_size, length = 0;
		done(world, &command);
		for (; from < made_size; from += length) {
			struct event event;
			assert_int_equal(event_decode(made + from, made_size - from, world->scratch, &event, &length,
						 &world->info),
				ERR_OK);
			const struct event_traded *said = &event.traded;
			if (event.header.type != EVENT_TRADED)
				continue;
			assert_int_equal(event.lists.range_count, 1);
			ranges[0] = event.lists.ranges[0];
			bust.trade_bust = (struct command_trade_bust){.trade = said->trade,
				.market = said->market,
				.seller = said->seller,
				.buyer = said->buyer,
				.kg = said->kg,
				.amount_micros = said->amount_micros,
				.seller_fee_micros = said->seller_fee_micros,
				.buyer_fee_micros = said->buyer_fee_micros,
				.reason_hash = world_hash(world)};
		}
	}
	bust.lists = (struct record_lists){.ranges = ranges, .range_count = 1};
	done(world, &bust);
	command = world_command(world, COMMAND_ORDER_CANCEL_AFTER, 2);
	command.order_cancel_after.after_us = CLOCK_US_PER_HOUR;
	done(world, &command);
	command = world_command(world, COMMAND_ORDER_CANCEL_AFTER, 3);
	command.order_cancel_after.after_us = 10 * CLOCK_US_PER_HOUR;
	done(world, &command);
	command = world_command(world, COMMAND_MARKET_SCHEDULE, -1); /* what follows trades at once again */
	command.market_schedule.market = 1;
	done(world, &command);
}

static void trade(struct world *world)
{
	struct code8 currency;
	assert_true(code8_set(&currency, "EUR"));
	struct command command = world_command(world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){.currency = currency,
		.tick_micros = 1000000,
		.lot_kg = 1000,
		.maker_ppm = -1000,
		.taker_ppm = 3000,
		.collar_ppm = 50000};
	done(world, &command);
	command = world_command(world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list =
		(struct command_instrument_list){.market = 1, .durabilities = 1, .vintage_from = 2026};
	assert_true(code32_set(&command.instrument_list.code, "REMOVAL"));
	command.instrument_list.verifiers_least = 1;
	command.lists = (struct record_lists){.verifiers = &world->orgs[3], .verifier_count = 1};
	done(world, &command);
	command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){
		.to = world->orgs[2], .currency = currency, .amount_micros = INT64_C(10000000000)};
	done(world, &command);
	struct command_order_place sell = {
		.market = 1, .batch = 1, .kg = 3000, .price_micros = 90000000, .shown_kg = 1000, .side = ORDER_SELL};
	struct command_order_place buy = {.instrument = 1, .kg = 1000, .price_micros = 95000000, .side = ORDER_BUY};
	struct id ask = market_order(world, 0, sell);
	market_order(world, 2, buy);
	struct command_order_place stop = {.market = 1,
		.batch = 1,
		.kg = 1000,
		.trail_micros = 1000000,
		.type = ORDER_TRAILING_STOP,
		.side = ORDER_SELL};
	market_order(world, 0, stop);
	command = world_command(world, COMMAND_ORDER_AMEND, 0);
	command.order_amend = (struct command_order_amend){.order = ask, .price_micros = 92000000};
	done(world, &command);
	market_order(world, 2, buy); /* at 92: the stop trails to 91 */
	while (rules_due(world->rules, &command))
		done(world, &command);
	sell.price_micros = 91000000;
	sell.kg = sell.shown_kg = 1000;
	market_order(world, 0, sell);
	market_order(world, 2, buy); /* at 91: the stop wakes */
	while (rules_due(world->rules, &command))
		done(world, &command);
	session(world, sell, buy);
	command = world_command(world, COMMAND_TRADER_LIMIT, 0);
	command.trader_limit = (struct command_trader_limit){.org = world->orgs[0],
		.market = 1,
		.orders_most = 7,
		.kg_most = 50000,
		.notional_micros_most = 900000000};
	done(world, &command);
	command = world_command(world, COMMAND_ORDER_CANCEL_ALL, -1);
	command.order_cancel_all = (struct command_order_cancel_all){.org = world->orgs[0], .kill = 1};
	done(world, &command);
	command = world_command(world, COMMAND_MARKET_HALT, -1);
	command.market_halt = (struct command_market_halt){.market = 1, .state = MARKET_HALTED};
	done(world, &command);
}

static void offer(struct world *world, enum auction_kind kind, int64_t kg)
{
	struct command command = world_command(world, COMMAND_AUCTION_OPEN, 0);
	command.auction_open = (struct command_auction_open){
		.market = 1, .batch = 1, .kg = kg, .lot_kg = 100, .price_micros = 90000000, .kind = (uint32_t)kind};
	if (kind == AUCTION_DUTCH) {
		command.auction_open.floor_micros = 50000000;
		command.auction_open.step_micros = 10000000;
		command.auction_open.interval_us = CLOCK_US_PER_HOUR;
	} else {
		command.auction_open.reveals_until_us = world->now_us + 2 * CLOCK_US_PER_DAY;
		command.auction_open.forfeit_ppm = 100000;
	}
	command.auction_open.ends_us = world->now_us + CLOCK_US_PER_DAY;
	done(world, &command);
}

static void tick(struct world *world, int64_t us)
{
	struct command command = {.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	world->now_us += us;
	command.tick.due_us = world->now_us;
	done(world, &command);
	while (rules_due(world->rules, &command))
		done(world, &command);
}

/* Every event of listings and auctions. */
static void auctions(struct world *world)
{
	const int64_t prices[] = {95000000, 92000000, 0};
	offer(world, AUCTION_DUTCH, 1000);
	offer(world, AUCTION_UNIFORM, 1000);
	for (int i = 0; i < 3; i++) {
		struct command command = world_command(world, COMMAND_BID_COMMIT, 2);
		command.bid_commit = (struct command_bid_commit){.auction = 2,
			.commitment = market_commitment(2, world->orgs[2], 600, prices[i], (struct hash){{1}}),
			.maximum_micros = 100000000};
		done(world, &command);
	}
	tick(world, CLOCK_US_PER_HOUR);
	struct command command = world_command(world, COMMAND_AUCTION_TAKE, 2);
	command.auction_take = (struct command_auction_take){.auction = 1, .kg = 200, .limit_micros = 80000000};
	done(world, &command);
	tick(world, CLOCK_US_PER_DAY);
	for (uint64_t bid = 1; bid < 3; bid++) {
		command = world_command(world, COMMAND_BID_REVEAL, 2);
		command.bid_reveal = (struct command_bid_reveal){
			.auction = 2, .bid = bid, .kg = 600, .price_micros = prices[bid - 1], .nonce = {{1}}};
		done(world, &command);
	}
	tick(world, CLOCK_US_PER_DAY);
}

static void pool_addition(struct world *world, int org, int64_t kg)
{
	struct command command = world_command(world, COMMAND_POOL_ADD, org);
	command.pool_add = (struct command_pool_add){.pool = 1, .batch = 1, .kg = kg, .maximum_micros = 200000000};
	done(world, &command);
}

/* Every event of pools. */
static void pools(struct world *world)
{
	struct command command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){.to = world->orgs[0], .amount_micros = 1000000000};
	code8_set(&command.money_deposit.currency, "EUR");
	done(world, &command);
	command = world_command(world, COMMAND_POOL_OPEN, -1);
	command.pool_open = (struct command_pool_open){.instrument = 1, .fee_ppm = 3000, .chosen_ppm = 10000};
	done(world, &command);
	pool_addition(world, 0, 2000);
	command = world_command(world, COMMAND_POOL_BUY, 2);
	command.pool_buy = (struct command_pool_buy){.pool = 1, .kg = 100, .maximum_micros = 100000000};
	done(world, &command);
	command = world_command(world, COMMAND_POOL_SELL, 2);
	command.pool_sell = (struct command_pool_sell){.pool = 1, .batch = 1, .kg = 100};
	done(world, &command);
	command = world_command(world, COMMAND_POOL_REDEEM, 0);
	command.pool_redeem = (struct command_pool_redeem){.pool = 1, .shares = 100000};
	done(world, &command);
	command = world_command(world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = 1, .reason_hash = world_hash(world)};
	done(world, &command);
	while (rules_due(world->rules, &command))
		done(world, &command);
	command = world_command(world, COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = 1, .reason_hash = world_hash(world)};
	done(world, &command);
	for (int i = 0; i < 2; i++) {
		command = world_command(world, COMMAND_POOL_RESUME, -1);
		command.pool_resume.pool = 1;
		done(world, &command);
	}
}

/* A purchase of a pool and the book, retired for two. */
static void purchase(struct world *world)
{
	struct retirement_line lines[2];
	struct command command = world_command(world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list.market = 1;
	assert_true(code32_set(&command.instrument_list.code, "ROUTED"));
	done(world, &command);
	uint64_t instrument = world->result.number;
	for (int i = 0; i < 2; i++) {
		lines[i] = (struct retirement_line){.kg = 40 + i,
			.beneficiary_hash = world_hash(world),
			.covered_from_us = WORLD_FIRST_DAY,
			.covered_to_us = world->now_us,
			.purpose = PURPOSE_GIFT,
			.consent = 1};
		code8_set(&lines[i].country, "FR");
	}
	command = world_command(world, COMMAND_PURCHASE, 2);
	command.purchase = (struct command_purchase){.instrument = instrument,
		.maximum_micros = 100000000,
		.limit_micros = 500000000,
		.expires_us = world->now_us + CLOCK_US_PER_DAY};
	command.lists = (struct record_lists){.lines = lines, .line_count = 2};
	done(world, &command);
}

/* What a restore writes behind what it kept; a record of one that did not happen is refused. */
static void restore(struct world *world)
{
	struct event event = {.header = {.type = EVENT_RESTORED,
				      .number = rules_position(world->rules) + 1,
				      .time_us = world->now_us},
		.restored = {.position = rules_position(world->rules),
			.lost_position = rules_position(world->rules) + 20,
			.lost_seq = 99,
			.lost_head = world_hash(world),
			.reason_hash = world_hash(world)}};
	size_t size = 0;
	assert_int_equal(event_encode(&event, made + made_size, sizeof made - made_size, &size), ERR_OK);
	made_size += size;
	struct event forged = event;
	forged.restored.position--;
	assert_int_equal(rules_apply(world->rules, &forged, &world->info), ERR_JOURNAL_INVALID);
	assert_int_equal(rules_apply(world->rules, &event, &world->info), ERR_OK);
	assert_int_equal(rules_apply(world->replica, &event, &world->info), ERR_OK);
}

/* What a daemon writes that takes the lead of a shared store. */
static void lead(struct world *world)
{
	struct event event = {
		.header = {.type = EVENT_LED, .number = rules_position(world->rules) + 1, .time_us = world->now_us},
		.led = {.term = 7}};
	size_t size = 0;
	assert_int_equal(rules_apply(world->rules, &event, &world->info), ERR_JOURNAL_INVALID); /* by nobody */
	assert_true(code32_set(&event.led.node, "b"));
	assert_int_equal(event_encode(&event, made + made_size, sizeof made - made_size, &size), ERR_OK);
	made_size += size;
	assert_int_equal(rules_apply(world->rules, &event, &world->info), ERR_OK);
	assert_int_equal(rules_apply(world->replica, &event, &world->info), ERR_OK);
}

static struct command money_transfer(struct world *world, int64_t amount_micros, bool pending, int64_t expires_us)
{
	struct command command = world_command(world, COMMAND_MONEY_TRANSFER, 2);
	command.money_transfer = (struct command_money_transfer){.to = world->orgs[3],
		.amount_micros = amount_micros,
		.pending = pending,
		.expires_us = expires_us,
		.user_data = 26,
		.code = 1};
	code8_set(&command.money_transfer.currency, "EUR");
	return command;
}

/* The house, money in and out, and transfers: one at once, one posted, one voided, one that expires, one that stays. */
static void money(struct world *world)
{
	struct command command = world_command(world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = world->issuer_org;
	done(world, &command);
	command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){
		.to = world->orgs[2], .amount_micros = 90000000, .reference_hash = world_hash(world)};
	code8_set(&command.money_deposit.currency, "EUR");
	done(world, &command);
	command = money_transfer(world, 10000000, false, 0);
	done(world, &command);
	struct id pending[4];
	for (int i = 0; i < 4; i++) {
		command = money_transfer(world, 1000000 * (i + 1), true, i == 2 ? world->now_us + CLOCK_US_PER_DAY : 0);
		done(world, &command);
		pending[i] = command.id;
	}
	command = world_command(world, COMMAND_PENDING_POST, 2);
	command.pending_post = (struct command_pending_post){.transfer = pending[0], .amount = 400000};
	done(world, &command);
	command = world_command(world, COMMAND_PENDING_VOID, 3);
	command.pending_void.transfer = pending[1];
	done(world, &command);
	command = world_command(world, COMMAND_MONEY_WITHDRAW, -1);
	command.money_withdraw = (struct command_money_withdraw){
		.from = world->orgs[3], .amount_micros = 5000000, .reference_hash = world_hash(world)};
	code8_set(&command.money_withdraw.currency, "EUR");
	done(world, &command);
}

/* Cancellations, disputes, an import, methodologies and projects. */
static void operate(struct world *world)
{
	struct serial_range serials = {1, 800, 10};
	struct claim_run numbers = {.first_hour = 78103245, .hours = 3}, run;
	struct command command = world_command(world, COMMAND_CANCEL, 2);
	command.cancel = (struct command_cancel){
		.batch = 1, .kg = 5, .reason = CANCEL_CONVERSION, .reason_hash = world_hash(world)};
	code32_set(&command.cancel.destination, "VERRA");
	done(world, &command);
	command = world_command(world, COMMAND_BATCH_IMPORT, -1);
	command.batch_import = (struct command_batch_import){.org = world->orgs[5],
		.evidence_hash = world_hash(world),
		.kind = CREDIT_REDUCTION,
		.durability = DURABILITY_NONE,
		.vintage = 2024,
		.unit_kg = 1000};
	code16_set(&command.batch_import.origin, "VERRA");
	code32_set(&command.batch_import.series, "VCS-VCU-259-VER-IN-1-1529");
	code16_set(&command.batch_import.methodology, "ACM0002");
	code8_set(&command.batch_import.country, "IN");
	command.lists = (struct record_lists){.runs = &numbers, .run_count = 1};
	done(world, &command);
	const struct command import = command;
	uint64_t imported = world->result.number;
	for (int upheld = 0; upheld < 2; upheld++) {
		command = world_command(world, COMMAND_DISPUTE_OPEN, 4);
		command.dispute_open = (struct command_dispute_open){
			.holder = world->orgs[5], .evidence_hash = world_hash(world), .reason_hash = world_hash(world)};
		serials = (struct serial_range){imported, 100, 10};
		command.lists = (struct record_lists){.ranges = &serials, .range_count = 1};
		done(world, &command);
		struct id dispute = command.id;
		command = world_command(world, COMMAND_DISPUTE_DECIDE, -1);
		command.dispute_decide = (struct command_dispute_decide){
			.dispute = dispute, .upheld = (uint32_t)upheld, .reason_hash = world_hash(world)};
		done(world, &command);
	}
	struct command in_again =
		world_command(world, COMMAND_BATCH_IMPORT, -1); /* two numbers go back, one comes in again */
	command = world_command(world, COMMAND_CANCEL, 5);
	serials = (struct serial_range){imported, 1000, 2000};
	command.cancel = (struct command_cancel){.reason = CANCEL_CONVERSION, .reason_hash = world_hash(world)};
	code32_set(&command.cancel.destination, "VERRA");
	command.lists = (struct record_lists){.ranges = &serials, .range_count = 1};
	done(world, &command);
	in_again.batch_import = import.batch_import;
	numbers = (struct claim_run){.first_hour = 78103246, .hours = 1};
	in_again.lists = import.lists;
	done(world, &in_again);
	command = world_command(world, COMMAND_DISPUTE_OPEN, 4); /* stays open */
	command.dispute_open = (struct command_dispute_open){.batch = imported, .reason_hash = world_hash(world)};
	done(world, &command);
	command = world_submission(world, 2, world->next_hour[2], 3, 500, &run);
	struct command submission = command;
	command = world_command(world, COMMAND_METHODOLOGY_ADMIT, -1);
	command.methodology_admit = (struct command_methodology_admit){
		.methodology_hash = submission.period_submit.methodology_hash, .reason_hash = world_hash(world)};
	done(world, &command);
	command = world_command(world, COMMAND_PROJECT_REGISTER, -1);
	command.project_register = (struct command_project_register){.project = submission.period_submit.project,
		.org = world->orgs[2],
		.crediting_from_us = WORLD_FIRST_DAY,
		.crediting_to_us = WORLD_FIRST_DAY + 365 * CLOCK_US_PER_DAY,
		.reason_hash = world_hash(world)};
	done(world, &command);
	done(world, &submission);
}

/* Kilograms in two phases, a linked set, limits, a conversion, a closed account. */
static void transfers(struct world *world)
{
	struct command command;
	struct id pending[3];
	struct code8 eur, usd;
	assert_true(code8_set(&eur, "EUR") && code8_set(&usd, "USD"));
	for (int i = 0; i < 3; i++) {
		command = world_command(world, COMMAND_TRANSFER, 5);
		command.transfer = (struct command_transfer){.to = world->orgs[2],
			.batch = 1,
			.kg = 100,
			.expires_us = i == 2 ? world->now_us + CLOCK_US_PER_DAY : 0,
			.user_data = 27,
			.code = 2,
			.pending = 1};
		done(world, &command);
		pending[i] = command.id;
	}
	command = world_command(world, COMMAND_PENDING_POST, 5);
	command.pending_post = (struct command_pending_post){.transfer = pending[0], .amount = 40, .kilograms = 1};
	done(world, &command);
	command = world_command(world, COMMAND_PENDING_VOID, 2);
	command.pending_void = (struct command_pending_void){.transfer = pending[1], .kilograms = 1};
	done(world, &command);
	const struct linked_transfer linked[] = {{.to = world->orgs[3], .batch = 1, .amount = 5},
		{.to = world->orgs[3], .currency = eur, .amount = 1000000, .code = 3}};
	command = world_command(world, COMMAND_TRANSFER_SET, 2);
	command.lists = (struct record_lists){.linked = linked, .linked_count = 2};
	done(world, &command);
	command = world_command(world, COMMAND_ACCOUNT_LIMIT, -1);
	command.account_limit = (struct command_account_limit){.org = world->orgs[2],
		.currency = eur,
		.lowest_micros = 1000000,
		.reserved_micros = -1,
		.daily_micros = INT64_C(100000000000),
		.by_registry = 1};
	done(world, &command);
	command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit = (struct command_money_deposit){
		.to = world->orgs[3], .currency = usd, .amount_micros = 9000000, .reference_hash = world_hash(world)};
	done(world, &command);
	command = world_command(world, COMMAND_RATE_OFFER, 3);
	command.rate_offer = (struct command_rate_offer){.from = eur,
		.to = usd,
		.rate_nanos = 1086400001,
		.quoted_us = world->now_us,
		.expires_us = world->now_us + CLOCK_US_PER_DAY};
	assert_true(code32_set(&command.rate_offer.source, "ecb"));
	done(world, &command);
	command = world_command(world, COMMAND_MONEY_CONVERT, 2);
	command.money_convert = (struct command_money_convert){
		.provider = world->orgs[3], .from = eur, .to = usd, .amount_micros = 3000001};
	done(world, &command);
	command = world_command(world, COMMAND_ACCOUNT_CLOSE, -1);
	command.account_close = (struct command_account_close){.org = world->orgs[4], .reason_hash = world_hash(world)};
	done(world, &command);
}

/* A command of an organisation (−1: of the issuer's), and what follows from it; its id. */
static struct id deal(struct world *world, enum command_kind kind, int org, struct command asked)
{
	struct command command = world_command(world, kind, org);
	asked.kind = kind;
	asked.org = command.org;
	asked.actor = command.actor;
	done(world, &asked);
	while (rules_due(world->rules, &command))
		done(world, &command);
	return asked.id;
}

/* Every event of an escrow. */
static void escrow(struct world *world)
{
	struct command command = {.escrow_open = {.payer = world->orgs[2],
					  .payee = world->orgs[0],
					  .verifier = world->verifiers[3],
					  .statement_hash = world_hash(world),
					  .amount_micros = 1000000,
					  .kg = 100,
					  .batch = 1,
					  .not_before_us = world->now_us + CLOCK_US_PER_HOUR,
					  .expires_us = world->now_us + 30 * CLOCK_US_PER_DAY}};
	assert_true(code8_set(&command.escrow_open.currency, "EUR"));
	struct {
		struct id escrow;
		struct hash statement;
	} data = {deal(world, COMMAND_ESCROW_OPEN, 0, command), command.escrow_open.statement_hash};
	struct command next = {.escrow_fund.escrow = data.escrow};
	deal(world, COMMAND_ESCROW_FUND, 2, next);
	next = (struct command){.escrow_dispute = {.escrow = data.escrow, .reason_hash = world_hash(world)}};
	deal(world, COMMAND_ESCROW_DISPUTE, 2, next);
	next = (struct command){
		.escrow_decide = {
			.escrow = data.escrow, .reason_hash = world_hash(world), .dismissed = 1, .compliance = 1}};
	deal(world, COMMAND_ESCROW_DECIDE, -1, next);
	next = (struct command){.escrow_deliver = {.escrow = data.escrow, .batch = 1, .kg = 100}};
	deal(world, COMMAND_ESCROW_DELIVER, 0, next);
	next = (struct command){
		.escrow_attest = {.escrow = data.escrow,
			.verifier = world->verifiers[3],
			.statement_hash = data.statement,
			.signature = sign_make(&world->secrets[3], MARKET_ESCROW_DOMAIN, &data, sizeof data)}};
	deal(world, COMMAND_ESCROW_ATTEST, 3, next);
	tick(world, CLOCK_US_PER_HOUR);
	deal(world, COMMAND_ESCROW_OPEN, 2, command); /* stays */
}

/* Every event of an offtake contract. */
static void offtake(struct world *world)
{
	struct hash root;
	struct delivery rows[2] = {{.due_us = world->now_us + CLOCK_US_PER_DAY, .kg = 1000, .price_micros = 90000000},
		{.due_us = world->now_us + 2 * CLOCK_US_PER_DAY, .kg = INT64_C(1000000000), .price_micros = 90000000}};
	struct command command = {.offtake_offer = {.seller = world->orgs[1],
					  .buyer = world->orgs[2],
					  .instrument = 1,
					  .make_good_us = CLOCK_US_PER_DAY,
					  .penalty_ppm = 50000,
					  .expires_us = world->now_us + CLOCK_US_PER_DAY},
		.lists = {.deliveries = rows, .delivery_count = 2}};
	assert_true(code8_set(&command.offtake_offer.currency, "EUR"));
	struct id contract = deal(world, COMMAND_OFFTAKE_OFFER, 2, command);
	struct command next = {.offtake_accept.contract = contract};
	deal(world, COMMAND_OFFTAKE_ACCEPT, 1, next);
	next = (struct command){.offtake_dispute = {.contract = contract, .reason_hash = world_hash(world)}};
	deal(world, COMMAND_OFFTAKE_DISPUTE, 2, next);
	next = (struct command){
		.offtake_decide = {
			.contract = contract, .reason_hash = world_hash(world), .dismissed = 1, .compliance = 1}};
	deal(world, COMMAND_OFFTAKE_DECIDE, -1, next);
	struct id period = period_of(world, 1, 5, 500000, &root);
	next = world_attestation(world, 3, period, root);
	done(world, &next);
	next = (struct command){.period_issue.period = period};
	deal(world, COMMAND_PERIOD_ISSUE, -1, next); /* called, delivered as far as it is paid, served */
	tick(world, 3 * CLOCK_US_PER_DAY);           /* the second row is missed, and the contract ends */
	command.offtake_offer.expires_us = world->now_us + CLOCK_US_PER_DAY;
	rows[0].due_us = rows[1].due_us = world->now_us + 9 * CLOCK_US_PER_DAY;
	contract = deal(world, COMMAND_OFFTAKE_OFFER, 1, command);
	next = (struct command){.offtake_accept.contract = contract};
	deal(world, COMMAND_OFFTAKE_ACCEPT, 2, next);
	next = (struct command){.offtake_terminate.contract = contract};
	deal(world, COMMAND_OFFTAKE_TERMINATE, 1, next); /* stays */
}

/* What is carried from one journal to the other, behind `from`. */
static void carry(const uint8_t *bytes, size_t from, size_t size, uint32_t shard, struct world *to)
{
	struct event event;
	struct command command;
	for (size_t at = from, length = 0; at < size; at += length) {
		assert_int_equal(event_decode(bytes + at, size - at, to->scratch, &event, &length, &to->info), ERR_OK);
		if (!rules_carried(shard, &event, !shard, &command))
			continue;
		to->now_us += CLOCK_US_PER_MINUTE;
		assert_int_equal(world_execute(to, &command), ERR_OK);
		uint8_t *journal = shard ? made : market_made;
		size_t *journal_size = shard ? &made_size : &market_made_size;
		memcpy(journal + *journal_size, to->output.bytes, to->output.size);
		*journal_size += to->output.size;
	}
}

static void done_in_market(struct world *market, struct command *command)
{
	market->now_us += CLOCK_US_PER_MINUTE;
	command->id = world_id(market);
	assert_int_equal(world_execute(market, command), ERR_OK);
	memcpy(market_made + market_made_size, market->output.bytes, market->output.size);
	market_made_size += market->output.size;
}

/* A market shard is opened, money and kilograms go there, and come back; a batch is held meanwhile. */
static void shards(struct world *world)
{
	struct world market = *world;
	struct code8 currency;
	size_t from = made_size;
	market.random++;
	market.rules = rules_new_shard((struct id){{1}}, 1, 1);
	market.replica = rules_new_shard((struct id){{1}}, 1, 2);
	market.output.bytes = malloc(market.output.capacity);
	market.output.guards = malloc(sizeof *market.output.guards * RULES_GUARDS_MAX);
	market.scratch = malloc(sizeof *market.scratch);
	assert_true(code8_set(&currency, "CHF"));
	struct command command = world_command(world, COMMAND_SHARD_OPEN, -1);
	command.shard_open = (struct command_shard_open){.shard = 1, .kind = CREDIT_REMOVAL, .currency = currency};
	done(world, &command);
	command = world_command(world, COMMAND_MONEY_DEPOSIT, -1);
	command.money_deposit =
		(struct command_money_deposit){.to = world->orgs[2], .currency = currency, .amount_micros = 5000000};
	done(world, &command);
	command = world_command(world, COMMAND_SHARD_OUT, 2);
	command.shard_out = (struct command_shard_out){.shard = 1, .currency = currency, .amount_micros = 4000000};
	done(world, &command);
	command.shard_out = (struct command_shard_out){.shard = 1, .batch = 1, .kg = 20};
	done(world, &command);
	command = world_command(world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){.batch = 1, .reason_hash = world_hash(world)};
	done(world, &command);
	command = world_command(world, COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = 1, .reason_hash = world_hash(world)};
	done(world, &command);
	carry(made, from, made_size, 0, &market);
	from = market_made_size;
	command = world_command(&market, COMMAND_SHARD_OUT, 2);
	command.shard_out = (struct command_shard_out){.batch = 1, .kg = 5};
	done_in_market(&market, &command);
	command.shard_out = (struct command_shard_out){.currency = currency, .amount_micros = 1000000};
	done_in_market(&market, &command);
	world->now_us = market.now_us;
	carry(market_made, from, market_made_size, 1, world);
	world_check(&market);
	world_stop(&market);
}

static void make(void)
{
	struct world world;
	struct hash root;
	struct serial_range ranges[2] = {{1, 500, 10}, {1, 700, 20}};
	world_start(&world, 2026);
	world.rules ? rules_free(&world.rules) : (void)0;
	rules_free(&world.replica);
	world.rules = rules_new((struct id){{1}}, 1);
	world.replica = rules_new((struct id){{1}}, 2);
	struct command command = world_command(&world, COMMAND_VERIFIER_REGISTER, -1);
	for (int org = 3; org < 5; org++) {
		command.verifier_register = (struct command_verifier_register){.verifier = world.verifiers[org],
			.org = world.orgs[org],
			.key = world.keys[org],
			.valid_from_us = world.now_us,
			.valid_to_us = world.now_us + 400 * CLOCK_US_PER_DAY};
		done(&world, &command);
	}
	struct id period = period_of(&world, 0, 24, 833990, &root);
	command = world_command(&world, COMMAND_PERIOD_HOLD, -1);
	command.period_hold = (struct command_period_hold){
		.period = period, .reasons = PERIOD_HOLD_REVIEW, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = world_command(&world, COMMAND_PERIOD_RELEASE, -1);
	command.period_release = (struct command_period_release){.period = period, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = world_attestation(&world, 3, period, root);
	done(&world, &command);
	command = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = period;
	done(&world, &command);
	struct id withdrawn = period_of(&world, 1, 5, 1000, &root);
	command = world_command(&world, COMMAND_PERIOD_WITHDRAW, 1);
	command.period_withdraw.period = withdrawn;
	done(&world, &command);
	struct id refused = period_of(&world, 1, 5, 1000, &root);
	command = world_command(&world, COMMAND_PERIOD_REFUSE, 4);
	command.period_refuse = (struct command_period_refuse){.period = refused, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = world_command(&world, COMMAND_TRANSFER, 0);
	command.transfer = (struct command_transfer){.to = world.orgs[5], .batch = 1, .kg = 5000};
	done(&world, &command);
	command = world_command(&world, COMMAND_TRANSFER, 5);
	command.transfer = (struct command_transfer){.to = world.orgs[2]};
	command.lists = (struct record_lists){.ranges = ranges, .range_count = 2};
	command.source = COMMAND_SOURCE_TRANSFER;
	command.natural_key = command_natural_key(command.source, command.kind, "golden", 6);
	done(&world, &command);
	command = world_command(&world, COMMAND_RETIRE, 5);
	command.retire = (struct command_retire){.batch = 1,
		.kg = 1000,
		.beneficiary_hash = world_hash(&world),
		.covered_from_us = WORLD_FIRST_DAY,
		.covered_to_us = world.now_us,
		.purpose = PURPOSE_GIFT,
		.consent = 1};
	code8_set(&command.retire.country, "DE");
	done(&world, &command);
	command = world_command(&world, COMMAND_BATCH_HOLD, -1);
	command.batch_hold = (struct command_batch_hold){
		.batch = 1, .until_us = world.now_us + CLOCK_US_PER_HOUR, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = world_command(&world, COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = 1, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = world_command(&world, COMMAND_BATCH_REVERSE, -1);
	command.batch_reverse =
		(struct command_batch_reverse){.batch = 1, .kg = 20000, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = world_command(&world, COMMAND_BATCH_RELEASE, -1);
	command.batch_release = (struct command_batch_release){.batch = 1, .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = world_command(&world, COMMAND_BUFFER_TOP_UP, 0);
	command.buffer_top_up = (struct command_buffer_top_up){.batch = 1, .kg = 5000};
	done(&world, &command);
	for (int org = 0; org < 2; org++) {
		command = world_command(&world, COMMAND_ACCOUNT_HOLD, -1);
		command.account_hold = (struct command_account_hold){.org = world.orgs[org],
			.until_us = org ? world.now_us + 3 * CLOCK_US_PER_MINUTE : 0,
			.reason_hash = world_hash(&world)};
		done(&world, &command);
	}
	command = world_command(&world, COMMAND_ACCOUNT_RELEASE, -1);
	command.account_release =
		(struct command_account_release){.org = world.orgs[0], .reason_hash = world_hash(&world)};
	done(&world, &command);
	command = world_command(&world, COMMAND_VERIFIER_REVOKE, -1);
	command.verifier_revoke =
		(struct command_verifier_revoke){.verifier = world.verifiers[4], .reason_hash = world_hash(&world)};
	done(&world, &command);
	money(&world);
	transfers(&world);
	trade(&world);
	escrow(&world);
	offtake(&world);
	command = world_command(&world, COMMAND_MARKET_HALT, -1);
	command.market_halt = (struct command_market_halt){.market = 1, .state = MARKET_OPEN};
	done(&world, &command);
	command = world_command(&world, COMMAND_ORDER_CANCEL_ALL, -1);
	command.order_cancel_all = (struct command_order_cancel_all){.org = world.orgs[0], .kill = 2};
	done(&world, &command);
	auctions(&world);
	pools(&world);
	purchase(&world);
	operate(&world);
	world.now_us += 2 * CLOCK_US_PER_DAY;
	command = (struct command){.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE};
	command.tick.due_us = world.now_us;
	done(&world, &command);
	shards(&world);
	restore(&world);
	lead(&world);
	world_check(&world);
	world_stop(&world);
}

static void write_one(uint8_t *bytes, size_t size, uint32_t shard, const char *bin, const char *ndjson, const char *sum)
{
	struct content journal = {.bytes = (char *)bytes, .size = size}, lines;
	char hash[HASH_TEXT_SIZE];
	replay(&journal, shard, &lines, hash);
	write_file(bin, bytes, size);
	write_file(ndjson, lines.bytes, lines.size);
	write_file(sum, hash, strlen(hash));
	free(lines.bytes);
}

static void write_golden(void)
{
	make();
	write_one(made, made_size, 0, GOLDEN ".bin", GOLDEN ".ndjson", GOLDEN ".hash");
	write_one(market_made, market_made_size, 1, MARKET ".bin", MARKET ".ndjson", MARKET ".hash");
}

static void reads_as_it_did(const char *bin, const char *ndjson, const char *sum, uint32_t shard)
{
	char hash[HASH_TEXT_SIZE];
	struct content journal = read_file(bin), lines = read_file(ndjson);
	struct content wanted = read_file(sum), now = {0};
	replay(&journal, shard, &now, hash);
	assert_string_equal(hash, wanted.bytes);
	assert_int_equal(now.size, lines.size);
	assert_memory_equal(now.bytes, lines.bytes, lines.size);
	free(journal.bytes);
	free(lines.bytes);
	free(wanted.bytes);
	free(now.bytes);
}

static void the_first_journal_reads_as_it_did(void **state)
{
	(void)state;
	reads_as_it_did(FIRST ".bin", FIRST ".ndjson", FIRST ".hash", 0);
}

static void the_newest_journal_reads_as_it_did(void **state)
{
	(void)state;
	reads_as_it_did(GOLDEN ".bin", GOLDEN ".ndjson", GOLDEN ".hash", 0);
	reads_as_it_did(MARKET ".bin", MARKET ".ndjson", MARKET ".hash", 1);
}

/* A release's journal has every event there is, so that none can change unseen. */
static void the_newest_journal_has_every_event(void **state)
{
	(void)state;
	struct content lines = read_file(GOLDEN ".ndjson"), markets = read_file(MARKET ".ndjson");
	for (uint16_t type = 1; type < EVENT_STATE_START; type++) {
		char wanted[64];
		if (!event_type_name(type))
			continue;
		snprintf(wanted, sizeof wanted, "{\"event\":\"%s\"", event_type_name(type));
		if (!strstr(lines.bytes, wanted) && !strstr(markets.bytes, wanted))
			fail_msg("the golden journals have no %s", event_type_name(type));
	}
	free(markets.bytes);
	free(lines.bytes);
}

int main(void)
{
	if (getenv("CARBOND_WRITE_GOLDEN"))
		write_golden();
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_journal_reads_as_it_did),
		cmocka_unit_test(the_newest_journal_reads_as_it_did),
		cmocka_unit_test(the_newest_journal_has_every_event)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
