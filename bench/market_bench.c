/* room: market. The stream of bench/peers/order_stream.h as commands of organisations, decided and settled: each order reserves
 * money or lists serials, each trade moves kilograms, money and fees in double entry, and each event can be undone. No journal,
 * no table of repeats. Fills and filled quantity are the stream's, or the bench fails. Run by engine_bench.py.
 *
 *	market_bench [RESTING [SEED [ROUNDS [CLASSES [PREDICATES]]]]]
 *
 * With classes and predicates the sellers' batches are spread over so many classes, and so many instruments take each of them,
 * of which the buyers use those that take all: the fills stay the stream's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../src/market/state.h"
#define ORDER_IOC STREAM_IOC /* it is the market's name, too */
#include "peers/order_stream.h"
#undef ORDER_IOC

#define COMMANDS 3000000
#define ORGS     32 /* of each side, so that nobody trades with itself */
#define LOT_KG   1000
#define AHEAD    3 /* commands from one stage of asking memory to the next */

struct bench {
	struct market *market;
	struct ledger *ledger;
	struct undo *undo;
	struct command command;
	struct decision decision;
	struct err_info info;
	uint64_t position, fills, filled_kg, refused;
	uint32_t classes;
};

static struct id id_of(uint8_t kind, uint64_t number)
{
	struct id id = {.bytes = {kind}};
	memcpy(id.bytes + 8, &number, sizeof number);
	return id;
}

/* Batches are numbered by their class, and belong to a seller each. */
static bool attributes(const void *context, uint64_t batch, struct market_attributes *ret_attributes)
{
	(void)context;
	*ret_attributes = (struct market_attributes){.kind = CREDIT_REMOVAL,
		.durability = DURABILITY_GEOLOGICAL,
		.vintage = (uint32_t)(1000 + (batch - 1) / ORGS)};
	return true;
}

static enum err movable(const void *context, struct id org, uint64_t batch, struct err_info *info)
{
	(void)context;
	(void)org;
	(void)batch;
	(void)info;
	return ERR_OK;
}

static const struct market_register batches = {.attributes = attributes, .movable = movable};

static enum err emit(void *context, struct event *event, struct err_info *info)
{
	struct bench *bench = context;
	event->header.number = ++bench->position;
	if (event->header.type == EVENT_TRADED) {
		bench->fills++;
		bench->filled_kg += (uint64_t)event->traded.kg;
	}
	if (ledger_reserve(bench->ledger) || market_reserve(bench->market) ||
		undo_reserve(bench->undo, EVENTS_RANGES_MAX + 16))
		return ERR_NO_MEMORY;
	enum err err = market_apply(bench->market, bench->ledger, bench->undo, event, info);
	ledger_assert(bench->ledger);
	return err;
}

static void execute(struct bench *bench, const struct command *command)
{
	bench->decision = (struct decision){.command = command, .now_us = 1, .emit = emit, .context = bench};
	enum err err = ledger_reserve(bench->ledger) || market_reserve(bench->market) ? ERR_NO_MEMORY : ERR_OK;
	if (!err)
		err = market_decide(bench->market, bench->ledger, &batches, &bench->decision, &bench->info);
	undo_clear(bench->undo);
	if (err && !bench->refused++)
		fprintf(stderr, "refused: %s\n", bench->info.detail);
	struct command work;
	while (market_due(bench->market, bench->ledger, &work))
		execute(bench, &work);
}

static void order_place(struct bench *bench, const struct order_command *from, enum order_tif tif)
{
	bench->command.kind = COMMAND_ORDER_PLACE;
	bench->command.order_place = (struct command_order_place){.market = from->buy ? 0 : 1,
		.instrument = from->buy ? 1 : 0,
		.batch = from->buy ? 0 : 1 + from->id % ORGS + ORGS * (from->id / ORGS % bench->classes),
		.price_micros = from->price * 1000,
		.kg = (int64_t)from->qty * LOT_KG,
		.side = from->buy ? ORDER_BUY : ORDER_SELL,
		.tif = tif};
}

static void run(struct bench *bench, const struct order_command *from)
{
	struct command *command = &bench->command;
	*command = (struct command){.id = id_of(2, from->id), .org = id_of(from->buy ? 3 : 4, from->id % ORGS)};
	if (from->op == ORDER_MOVE) {
		const struct order *order = order_find(bench->market, command->id);
		if (order && order->is.price_micros != from->price * 1000) {
			command->kind = COMMAND_ORDER_AMEND;
			command->order_amend = (struct command_order_amend){.order = command->id,
				.price_micros = from->price * 1000,
				.kg = (int64_t)from->qty * LOT_KG};
			execute(bench, &bench->command);
			return;
		}
	}
	if (from->op == ORDER_CANCEL ||
		from->op == ORDER_MOVE) { /* one that keeps its price would keep its place: it comes again */
		command->kind = COMMAND_ORDER_CANCEL;
		command->order_cancel.order = command->id;
		execute(bench, &bench->command);
	}
	if (from->op != ORDER_CANCEL) {
		order_place(bench, from, from->op == STREAM_IOC ? ORDER_IOC : ORDER_GTC);
		execute(bench, &bench->command);
	}
}

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool prepare(struct bench *bench, uint32_t predicates)
{
	struct command *command = &bench->command;
	struct event named = {.header = {.type = EVENT_HOUSE_NAMED}, .house_named = {.org = id_of(5, 2)}};
	if (ledger_reserve(bench->ledger) || ledger_apply(bench->ledger, NULL, &named, &bench->info))
		return false;
	*command = (struct command){.kind = COMMAND_MARKET_OPEN, .id = id_of(1, 1), .org = id_of(5, 1)};
	command->market_open = (struct command_market_open){.currency = {"EUR"},
		.tick_micros = 1000,
		.lot_kg = LOT_KG,
		.maker_ppm = 500,
		.taker_ppm = 1000,
		.collar_ppm = 100000,
		.kind = CREDIT_REMOVAL};
	execute(bench, &bench->command);
	for (uint32_t i = 0; i < predicates; i++) {
		*command = (struct command){.kind = COMMAND_INSTRUMENT_LIST, .id = id_of(1, 2 + i), .org = id_of(5, 1)};
		command->instrument_list = (struct command_instrument_list){
			.market = 1, .vintage_from = i ? 1000 : 0, .vintage_to = i ? 3000 + i : 0};
		snprintf(command->instrument_list.code.text, sizeof command->instrument_list.code.text, "I%u", i);
		execute(bench, &bench->command);
	}
	for (uint32_t i = 0; i < ORGS; i++) {
		if (ledger_reserve(bench->ledger) ||
			ledger_pay(bench->ledger, NULL, ledger_money_asset((struct code8){"EUR"}),
				LEDGER_MICROS_MAX / ORGS, (struct ledger_place){.state = KG_HELD},
				(struct ledger_place){id_of(3, i), KG_HELD}))
			return false;
		for (uint32_t class = 0; class < bench->classes; class ++)
			if (ledger_reserve(bench->ledger) ||
				ledger_issue(bench->ledger, NULL, 1 + i + ORGS * class, id_of(4, i), KG_HELD,
					INT64_C(4000000000000) / bench->classes))
				return false;
	}
	return !bench->refused;
}

/* One round: commands a second by processor time and by the clock, fills, and what they come to. */
static bool bench_round(const struct order_stream *stream, uint32_t classes, uint32_t predicates)
{
	struct bench bench = {
		.market = market_new(42), .ledger = ledger_new(42), .undo = undo_new(), .classes = classes};
	if (!bench.market || !bench.ledger || !bench.undo || !prepare(&bench, predicates))
		return false;
	double wall = 0, processor = 0;
	for (size_t i = 0; i < stream->count; i++) {
		if (i == stream->warmup) {
			wall = seconds_of(CLOCK_MONOTONIC);
			processor = seconds_of(CLOCK_THREAD_CPUTIME_ID);
		}
		for (size_t stage = 0; stage < MARKET_PREFETCH_COUNT; stage++) {
			size_t ahead = i + (MARKET_PREFETCH_COUNT - stage) * AHEAD;
			if (ahead < stream->count)
				market_prefetch(bench.market, id_of(2, stream->commands[ahead].id),
					(enum market_prefetch)stage);
		}
		run(&bench, &stream->commands[i]);
	}
	processor = seconds_of(CLOCK_THREAD_CPUTIME_ID) - processor;
	wall = seconds_of(CLOCK_MONOTONIC) - wall;
	printf("%.0f %.0f %lu %lu\n", COMMANDS / processor, COMMANDS / wall, bench.fills, bench.filled_kg / LOT_KG);
	bool right = bench.fills == stream->fills && bench.filled_kg == stream->filled_qty * LOT_KG &&
		     market_order_count(bench.market) == stream->resting_orders && !bench.refused &&
		     !ledger_check(bench.ledger, &bench.info);
	if (!right)
		fprintf(stderr, "its fills are not the stream's: %lu of %lu, %u orders of %lu, %lu refused\n",
			bench.fills, stream->fills, market_order_count(bench.market), stream->resting_orders,
			bench.refused);
	market_free(&bench.market);
	ledger_free(&bench.ledger);
	undo_free(&bench.undo);
	return right;
}

int main(int argc, char **argv)
{
	size_t resting = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 42;
	int rounds = argc > 3 ? atoi(argv[3]) : 3;
	uint32_t classes = argc > 4 ? (uint32_t)atoi(argv[4]) : 1, predicates = argc > 5 ? (uint32_t)atoi(argv[5]) : 1;
	struct order_stream stream = order_stream_make(COMMANDS, resting, seed);
	for (int round = 0; round < rounds; round++)
		if (!bench_round(&stream, classes, predicates))
			return 1;
	free(stream.commands);
	return 0;
}
