/* P9: the market, through its commands, against the naive book of naive.h on random commands: equal in every refusal, every fill and
 * every remainder. CARBOND_CAMPAIGN: so many commands (./dev campaign book N); a round that fails prints how it is repeated. */
#include "naive.h"

#define ROUND     20000 /* commands of a seed */
#define UNIT      80000 /* commands in the unit suite */
#define CHECK     500   /* commands between two comparisons of all orders and balances */
#define ERRORS    1000  /* above every number of an error */
#define TICK      INT64_C(1000000)
#define MID       100 /* ticks */
#define OPEN_MOST 300

static struct world world;
static struct naive naive;
static struct id house;
static uint64_t money;
static uint64_t seed;
static int step;
static long taken[COMMAND_KIND_COUNT], refused[COMMAND_KIND_COUNT], fills, open_sum, auctions, auction_trades,
	interruptions, answers[ERRORS];

#define WRONG(format, ...)                                                                                           \
	fail_msg("command %d: " format "\nto repeat: CARBOND_SEED=%llu build/dev/tests/unit_rules_naive_test", step, \
		##__VA_ARGS__, (unsigned long long)seed)

/* ---- both worlds ---- */

static void setup(struct command command)
{
	world.now_us += CLOCK_US_PER_SECOND;
	command.id = world_id(&world);
	if (world_execute(&world, &command))
		fail_msg("%s: %s", command_kind_name(command.kind), world.info.detail);
}

static uint64_t issue(int org, const char *country)
{
	struct claim_run run;
	struct command submission = world_submission(&world, org, world.next_hour[org], 24, 400000, &run);
	code8_set(&submission.period_submit.country, country);
	submission.period_submit.buffer_kg = 8000;
	setup(submission);
	world.next_hour[org] += 24;
	setup(world_attestation(&world, 4, submission.period_submit.period, submission.period_submit.evidence_root));
	struct command command = world_command(&world, COMMAND_PERIOD_ISSUE, -1);
	command.period_issue.period = submission.period_submit.period;
	setup(command);
	return world.result.number;
}

static void list(const char *code, uint64_t batch, const char *country)
{
	struct command command = world_command(&world, COMMAND_INSTRUMENT_LIST, -1);
	command.instrument_list = (struct command_instrument_list){.market = 1, .batch = batch};
	code8_set(&command.instrument_list.country, country);
	code32_set(&command.instrument_list.code, code);
	setup(command);
	int item = ++naive.instrument_count;
	naive.instruments[item].batch = batch;
	naive.instruments[item].takes[1] = strcmp(country, "IS") != 0;
	naive.instruments[item].takes[2] = strcmp(country, "NO") != 0;
}

static void begin(void)
{
	world_start(&world, seed);
	memset(&naive, 0, sizeof naive);
	struct code8 currency;
	code8_set(&currency, "EUR");
	money = ledger_money_asset(currency);
	house = world_id(&world);
	struct command command = world_command(&world, COMMAND_HOUSE_NAME, -1);
	command.house_name.org = house;
	setup(command);
	naive.tick = TICK;
	naive.lot = 1000;
	naive.maker_ppm = seed % 2 ? -500 : 1500;
	naive.taker_ppm = 2500;
	naive.collar_ppm = 30000;
	command = world_command(&world, COMMAND_MARKET_OPEN, -1);
	command.market_open = (struct command_market_open){.currency = currency,
		.tick_micros = naive.tick,
		.lot_kg = naive.lot,
		.maker_ppm = naive.maker_ppm,
		.taker_ppm = naive.taker_ppm,
		.collar_ppm = naive.collar_ppm};
	setup(command);
	for (int org = 0; org < NAIVE_ORGS; org++) {
		command = world_command(&world, COMMAND_MONEY_DEPOSIT, -1);
		command.money_deposit = (struct command_money_deposit){
			.to = world.orgs[org], .currency = currency, .amount_micros = 300 * MID * TICK};
		setup(command);
		naive.money[org] = command.money_deposit.amount_micros;
	}
	static const uint64_t classes[NAIVE_BATCHES] = {0, 1, 1, 2};
	memcpy(naive.class_of, classes, sizeof classes);
	for (uint64_t batch = 1; batch < NAIVE_BATCHES; batch++) {
		int org = (int)batch - 1;
		assert_int_equal(issue(org, classes[batch] == 1 ? "NO" : "IS"), batch);
		naive.kg[org][batch] = world_kg(&world, org, batch, KG_HELD);
		for (int to = 0; to < NAIVE_ORGS; to++) {
			if (to == org)
				continue;
			assert_int_equal(world_transfer(&world, org, to, batch, 90000), ERR_OK);
			naive.kg[org][batch] -= 90000;
			naive.kg[to][batch] += 90000;
		}
	}
	/* classes are numbered as their first sell orders come */
	for (uint64_t batch = 1; batch < NAIVE_BATCHES; batch++) {
		command = world_command(&world, COMMAND_ORDER_PLACE, 0);
		command.order_place = (struct command_order_place){.market = 1,
			.batch = batch,
			.price_micros = MID * TICK,
			.kg = 1000,
			.tif = ORDER_IOC,
			.side = ORDER_SELL};
		setup(command);
		naive.number++;
	}
	list("ANY", 0, "");
	list("NORWAY", 0, "NO");
	list("BATCH", 2, "");
}

static void end(void)
{
	if (rules_check(world.rules, &world.info))
		WRONG("%s", world.info.detail);
	world_check(&world);
	world_stop(&world);
}

/* ---- what the market did ---- */

static struct naive_trade trades[NAIVE_TRADES];
static int trade_count;

static void trades_read(void)
{
	struct event event;
	for (size_t at = 0, length = 0; at < world.output.size; at += length) {
		assert_int_equal(event_decode(world.output.bytes + at, world.output.size - at, world.scratch, &event,
					 &length, &world.info),
			ERR_OK);
		const struct event_traded *said = &event.traded;
		if (event.header.type != EVENT_TRADED)
			continue;
		struct naive_trade *last = trade_count ? &trades[trade_count - 1] : NULL;
		if (last && id_equal(last->maker, said->maker) && id_equal(last->taker, said->taker)) {
			last->kg += said->kg;
			continue;
		}
		assert_true(trade_count < NAIVE_TRADES);
		trades[trade_count++] = (struct naive_trade){said->maker, said->taker, said->price_micros, said->kg};
	}
}

static enum err execute(struct command *command)
{
	enum err err = world_execute(&world, command);
	trade_count = 0;
	trades_read();
	struct command work;
	for (int i = 0; rules_due(world.rules, &work); i++) {
		if (i == 100000 || world_execute(&world, &work))
			WRONG("what follows does not end: %s", world.info.detail);
		trades_read();
	}
	return err;
}

static void compare(const struct command *command, enum err asked, enum err wanted)
{
	(asked ? refused : taken)[command->kind]++;
	answers[asked]++;
	fills += naive.trade_count;
	open_sum += naive.count;
	if (asked != wanted)
		WRONG("%s is answered %d and should be %d (%s)", command_kind_name(command->kind), asked, wanted,
			world.info.detail);
	for (int i = 0; i < naive.trade_count || i < trade_count; i++) {
		const struct naive_trade *a = &trades[i], *b = &naive.trades[i];
		if (i >= trade_count || i >= naive.trade_count || !id_equal(a->maker, b->maker) ||
			!id_equal(a->taker, b->taker) || a->price != b->price || a->kg != b->kg)
			WRONG("%s: trade %d of %d is %lld kg at %lld, and should be %lld kg at %lld, of %d",
				command_kind_name(command->kind), i + 1, trade_count, (long long)a->kg,
				(long long)a->price, (long long)b->kg, (long long)b->price, naive.trade_count);
	}
	if ((int)market_order_count(rules_market(world.rules)) != naive.count)
		WRONG("%s: %u orders are open, and should be %d", command_kind_name(command->kind),
			market_order_count(rules_market(world.rules)), naive.count);
}

static int orders_seen;

static enum err order_compare(void *context, struct event *event, struct err_info *info)
{
	(void)context;
	(void)info;
	const struct event_state_order *is = &event->state_order;
	if (event->header.type != EVENT_STATE_ORDER)
		return ERR_OK;
	const struct naive_order *order = naive_find(&naive, is->order);
	orders_seen++;
	if (!order)
		WRONG("order %llu is open, and should be done", (unsigned long long)is->number);
	if (is->number != order->number || is->left_kg != order->left || is->shown_now_kg != order->shown_now ||
		is->price_micros != order->price || is->stop_micros != order->stop ||
		is->minimum_kg != order->minimum || is->reserved_micros != order->reserved ||
		(is->state == ORDER_SLEEPS) != order->sleeps)
		WRONG("order %llu has %lld (shows %lld) kg left at %lld, and should have %lld (%lld) at %lld",
			(unsigned long long)is->number, (long long)is->left_kg, (long long)is->shown_now_kg,
			(long long)is->price_micros, (long long)order->left, (long long)order->shown_now,
			(long long)order->price);
	return ERR_OK;
}

static void compare_all(void)
{
	orders_seen = 0;
	assert_int_equal(market_snapshot(rules_market(world.rules), order_compare, NULL, &world.info), ERR_OK);
	if (orders_seen != naive.count)
		WRONG("%d orders are open, and should be %d", orders_seen, naive.count);
	const struct ledger *ledger = rules_ledger(world.rules);
	int64_t houses = ledger_amount(ledger, money, (struct ledger_place){.org = house});
	if (houses != naive.house)
		WRONG("the house has %lld, and should have %lld", (long long)houses, (long long)naive.house);
	for (int org = 0; org < NAIVE_ORGS; org++) {
		int64_t has = ledger_amount(ledger, money, (struct ledger_place){.org = world.orgs[org]});
		if (has != naive.money[org])
			WRONG("organisation %d has %lld, and should have %lld", org, (long long)has,
				(long long)naive.money[org]);
		for (uint64_t batch = 1; batch < NAIVE_BATCHES; batch++)
			if (world_kg(&world, org, batch, KG_HELD) != naive.kg[org][batch])
				WRONG("organisation %d has %lld kg of batch %llu, and should have %lld", org,
					(long long)world_kg(&world, org, batch, KG_HELD), (unsigned long long)batch,
					(long long)naive.kg[org][batch]);
	}
}

/* ---- random commands ---- */

static int64_t below(int64_t limit)
{
	return world_below(&world, limit);
}

static int64_t some_price(void)
{
	return TICK * (MID - 6 + below(13));
}

/* Mostly the newest version of its code. */
static uint64_t some_instrument(void)
{
	uint64_t item = 1 + (uint64_t)below(naive.instrument_count);
	for (int tries = 0; naive.instruments[item].old && below(20) && tries < 100; tries++)
		item = 1 + (uint64_t)below(naive.instrument_count);
	return item;
}

static void place(void)
{
	int org = (int)below(NAIVE_ORGS);
	bool sells = below(2);
	struct command command = world_command(&world, COMMAND_ORDER_PLACE, org);
	struct command_order_place *asked = &command.order_place;
	int64_t lots = below(40) ? 1 + below(12) : 1 + below(100);
	*asked = (struct command_order_place){.market = sells,
		.batch = sells ? 1 + (uint64_t)below(NAIVE_BATCHES - 1) : 0,
		.instrument = sells ? 0 : some_instrument(),
		.kg = 1000 * lots,
		.side = sells ? ORDER_SELL : ORDER_BUY,
		.type = below(3) ? ORDER_LIMIT : (uint32_t)below(ORDER_TYPE_COUNT),
		.tif = below(2) ? ORDER_GTC : (uint32_t)below(ORDER_TIF_COUNT),
		.stp = (uint32_t)below(ORDER_STP_COUNT)};
	bool limit = asked->type == ORDER_LIMIT || asked->type == ORDER_STOP_LIMIT;
	bool at_once = asked->tif == ORDER_IOC || asked->tif == ORDER_FOK;
	if (asked->type == ORDER_MARKET && !at_once)
		asked->tif = below(2) ? ORDER_IOC : ORDER_FOK;
	if (asked->type >= ORDER_STOP && at_once)
		asked->tif = ORDER_GTC;
	at_once = asked->tif == ORDER_IOC || asked->tif == ORDER_FOK;
	asked->price_micros = limit ? some_price() + (sells ? 3 : -3) * TICK : 0; /* so that more rests than trades */
	if (asked->type == ORDER_STOP || asked->type == ORDER_STOP_LIMIT)
		asked->stop_micros = some_price();
	if (asked->type == ORDER_TRAILING_STOP)
		asked->trail_micros = TICK * (1 + below(4));
	if (asked->tif == ORDER_GTD)
		asked->expires_us = world.now_us + 1 + below(2 * CLOCK_US_PER_HOUR);
	asked->post_only = asked->type == ORDER_LIMIT && !at_once && below(8) == 0;
	if (below(6) == 0)
		asked->shown_kg = 1000 * (1 + below(lots));
	else if (below(5) == 0)
		asked->minimum_kg = below(2) ? asked->kg : 1000 * (1 + below(lots));
	if (below(200) == 0)
		asked->kg += 500;
	else if (below(200) == 0 && limit)
		asked->price_micros++;
	struct command_order_place meant = *asked;
	if (meant.tif == ORDER_DAY)
		meant.expires_us = (world.now_us / CLOCK_US_PER_DAY + 1) * CLOCK_US_PER_DAY;
	enum err err = execute(&command), wanted = naive_place(&naive, org, command.id, &meant);
	naive_follow(&naive);
	compare(&command, err, wanted);
}

/* Some order that is open, mostly with whose it is. */
static struct id some_order(int *ret_org)
{
	*ret_org = (int)below(NAIVE_ORGS);
	if (!naive.count)
		return world_id(&world);
	const struct naive_order *order = &naive.orders[below(naive.count)];
	*ret_org = below(20) ? order->org : *ret_org;
	return order->id;
}

static void amend(void)
{
	int org;
	struct id id = some_order(&org);
	struct command command = world_command(&world, COMMAND_ORDER_AMEND, org);
	command.order_amend = (struct command_order_amend){
		.order = id, .price_micros = below(2) ? some_price() : 0, .kg = below(2) ? 1000 * (1 + below(12)) : 0};
	enum err err = execute(&command), wanted = naive_amend(&naive, org, &command.order_amend);
	naive_follow(&naive);
	compare(&command, err, wanted);
}

static void cancel(void)
{
	int org;
	struct id id = some_order(&org);
	struct command command = world_command(&world, COMMAND_ORDER_CANCEL, org);
	command.order_cancel.order = id;
	enum err err = execute(&command);
	compare(&command, err, naive_cancel(&naive, org, id));
}

static void cancel_all(int org)
{
	struct command command = world_command(&world, COMMAND_ORDER_CANCEL_ALL, -1);
	uint32_t kill = naive.stopped[org] ? 2 : (uint32_t)below(2);
	command.order_cancel_all = (struct command_order_cancel_all){.org = world.orgs[org], .kill = kill};
	naive.stopped[org] = kill == 1;
	if (kill != 2)
		naive_end(&naive, org, 0, 0);
	enum err err = execute(&command);
	for (int i = 0; kill != 2 && !err && i < 20 && (int)market_order_count(rules_market(world.rules)) > naive.count;
		i++) {
		command.id = world_id(&world); /* of more than 256 ranges it takes a part */
		err = execute(&command);
	}
	compare(&command, err, ERR_OK);
}

static void tick(void)
{
	world.now_us += below(CLOCK_US_PER_HOUR);
	struct command command = {
		.kind = COMMAND_TICK, .source = COMMAND_SOURCE_ENGINE, .tick = {.due_us = world.now_us}};
	naive.now = world.now_us;
	naive_tick(&naive);
	naive_follow(&naive);
	enum err err = execute(&command);
	compare(&command, err, ERR_OK);
}

static void halt(void)
{
	struct command command = world_command(&world, COMMAND_MARKET_HALT, -1);
	bool halts = naive.state != MARKET_HALTED;
	naive.state = halts ? MARKET_HALTED : naive.auction ? MARKET_AUCTION : MARKET_OPEN;
	naive.until = world.now_us + naive.auction;
	command.market_halt = (struct command_market_halt){.market = 1, .state = halts ? MARKET_HALTED : MARKET_OPEN};
	enum err err = execute(&command);
	naive_follow(&naive);
	compare(&command, err, ERR_OK);
}

static int64_t listed_kg(int org, uint64_t batch)
{
	int64_t kg = 0;
	for (int i = 0; i < naive.count; i++)
		if (naive.orders[i].side == ORDER_SELL && (org < 0 || naive.orders[i].org == org) &&
			(!batch || naive.orders[i].batch == batch))
			kg += naive.orders[i].left;
	return kg;
}

static void hold_account(int org)
{
	bool holds = !naive.held[org];
	if (holds && listed_kg(org, 0) > 250000)
		return; /* one command would leave some over */
	struct command command = world_command(&world, holds ? COMMAND_ACCOUNT_HOLD : COMMAND_ACCOUNT_RELEASE, -1);
	if (holds)
		command.account_hold =
			(struct command_account_hold){.org = world.orgs[org], .reason_hash = world_hash(&world)};
	else
		command.account_release =
			(struct command_account_release){.org = world.orgs[org], .reason_hash = world_hash(&world)};
	naive.held[org] = holds;
	if (holds)
		naive_end(&naive, org, 0, 0);
	enum err err = execute(&command);
	compare(&command, err, ERR_OK);
}

static void hold_batch(uint64_t batch)
{
	bool holds = !naive.batch_held[batch];
	if (holds && listed_kg(-1, batch) > 250000)
		return;
	struct command command = world_command(&world, holds ? COMMAND_BATCH_HOLD : COMMAND_BATCH_RELEASE, -1);
	if (holds)
		command.batch_hold = (struct command_batch_hold){.batch = batch, .reason_hash = world_hash(&world)};
	else
		command.batch_release =
			(struct command_batch_release){.batch = batch, .reason_hash = world_hash(&world)};
	naive.batch_held[batch] = holds;
	if (holds)
		naive_end(&naive, -1, batch, 0);
	enum err err = execute(&command);
	compare(&command, err, ERR_OK);
}

static void list_again(void)
{
	static const char *const codes[] = {"", "ANY", "NORWAY", "BATCH"};
	static const char *const countries[] = {"", "", "NO", ""};
	int item = 1 + (int)below(3);
	if (naive.instrument_count + 1 == NAIVE_INSTRUMENTS)
		return;
	for (int i = 1; i <= naive.instrument_count; i++)
		if (naive.instruments[i].batch == naive.instruments[item].batch &&
			naive.instruments[i].takes[2] == naive.instruments[item].takes[2])
			naive.instruments[i].old = true;
	list(codes[item], naive.instruments[item].batch, countries[item]);
}

static void some_cancellation(void)
{
	cancel_all((int)below(NAIVE_ORGS));
}

static void schedule(void)
{
	struct command command = world_command(&world, COMMAND_MARKET_SCHEDULE, -1);
	naive.static_ppm = below(2) ? 40000 + 10000 * below(4) : 0;
	naive.dynamic_ppm = below(2) ? 20000 + 10000 * below(4) : 0;
	naive.interruption = CLOCK_US_PER_MINUTE * (1 + below(10));
	naive.auction = below(2) ? CLOCK_US_PER_MINUTE * (1 + below(10)) : 0;
	command.market_schedule = (struct command_market_schedule){.market = 1,
		.static_ppm = naive.static_ppm,
		.dynamic_ppm = naive.dynamic_ppm,
		.interruption_us = naive.interruption,
		.auction_us = naive.auction};
	enum err err = execute(&command);
	compare(&command, err, ERR_OK);
}

static void watch(void)
{
	int org = (int)below(NAIVE_ORGS);
	struct command command = world_command(&world, COMMAND_ORDER_CANCEL_AFTER, org);
	int64_t after_us = below(3) ? CLOCK_US_PER_SECOND * (1 + below(3600)) : 0;
	command.order_cancel_after.after_us = after_us;
	naive.watch[org] = after_us ? world.now_us + after_us : 0;
	enum err err = execute(&command);
	compare(&command, err, ERR_OK);
}

static void some_hold(void)
{
	if (below(2))
		hold_account((int)below(NAIVE_ORGS));
	else
		hold_batch(1 + (uint64_t)below(NAIVE_BATCHES - 1));
}

/* What stops orders is soon over; false: there is nothing, or it is not yet time. */
static bool let_go(void)
{
	int org = (int)below(NAIVE_ORGS);
	uint64_t batch = 1 + (uint64_t)below(NAIVE_BATCHES - 1);
	if (naive.state == MARKET_HALTED && below(4) == 0)
		halt();
	else if (naive.state == MARKET_AUCTION && below(20) == 0)
		tick();
	else if (naive.stopped[org] && below(3) == 0)
		cancel_all(org);
	else if (naive.held[org] && below(3) == 0)
		hold_account(org);
	else if (naive.batch_held[batch] && below(3) == 0)
		hold_batch(batch);
	else
		return false;
	return true;
}

static void some_command(void)
{
	static const struct {
		int weight;
		void (*give)(void);
	} kinds[] = {{1200, place}, {240, amend}, {240, cancel}, {3, some_cancellation}, {12, tick}, {6, halt},
		{3, schedule}, {2, watch}, {3, some_hold}, {1, list_again}};
	naive.trade_count = 0;
	world.now_us += CLOCK_US_PER_SECOND;
	naive.now = world.now_us;
	if (naive.count > OPEN_MOST) {
		cancel();
		return;
	}
	if (let_go())
		return;
	int64_t total = 0;
	size_t at = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		total += kinds[i].weight;
	for (int64_t drawn = below(total); drawn >= kinds[at].weight; at++)
		drawn -= kinds[at].weight;
	kinds[at].give();
}

static void run_round(int commands)
{
	begin();
	for (step = 1; step <= commands; step++) {
		some_command();
		if (step % CHECK == 0)
			compare_all();
	}
	compare_all();
	auctions += naive.auctions;
	auction_trades += naive.auction_trades;
	interruptions += naive.interruptions;
	end();
}

static void the_market_is_the_naive_book(void **state)
{
	(void)state;
	const char *campaign = getenv("CARBOND_CAMPAIGN"), *seed_text = getenv("CARBOND_SEED");
	long asked = campaign ? strtol(campaign, NULL, 10) : 0, done = 0;
	seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
	if (!asked)
		asked = seed_text ? ROUND : UNIT;
	for (; done < asked; seed++) {
		int commands = asked - done < ROUND ? (int)(asked - done) : ROUND;
		run_round(commands);
		done += commands;
		if (campaign)
			printf("seed %llu: %ld of %ld commands are equal\n", (unsigned long long)seed, done, asked);
	}
	for (int kind = 0; kind < COMMAND_KIND_COUNT; kind++)
		if (campaign && taken[kind] + refused[kind])
			printf("%-16s %7ld taken %7ld refused\n", command_kind_name((uint32_t)kind), taken[kind],
				refused[kind]);
	for (int err = 1; err < ERRORS; err++)
		if (campaign && answers[err])
			printf("%7ld %s\n", answers[err], err_row((enum err)err)->slug);
	if (campaign)
		printf("%ld fills, %ld of them in %ld auctions of a class, %ld interruptions; %ld orders open on "
		       "average\n",
			fills, auction_trades, auctions, interruptions, open_sum / done);
	assert_true(taken[COMMAND_ORDER_PLACE] > refused[COMMAND_ORDER_PLACE] / 2 && fills > done / 10);
	assert_true(taken[COMMAND_ORDER_AMEND] > 0 && taken[COMMAND_ORDER_CANCEL_ALL] > 0 && auction_trades > 0 &&
		    interruptions > 0 && taken[COMMAND_BATCH_HOLD] > 0 && taken[COMMAND_ACCOUNT_HOLD] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_market_is_the_naive_book)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
