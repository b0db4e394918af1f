/* room: market. The book alone: the stream of bench/peers/order_stream.h through a matcher of price and time, without accounts
 * or journal. Fills and filled quantity are what the stream's own ladder says, or the bench fails. Run by engine_bench.py.
 *
 *	book_bench [RESTING [SEED [ROUNDS]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../src/market/book.h"
#include "peers/order_stream.h"

#define COMMANDS 3000000
/* How many commands ahead memory is asked for what they need: the commands are known, as an engine's mailbox knows them. */
#define AHEAD_PLACE      24
#define AHEAD_ORDER      16
#define AHEAD_NEIGHBOURS 8

struct matcher {
	struct book *book;
	uint32_t ladders[2]; /* asks, bids */
	uint64_t rank, fills, filled, refused;
};

/* Takes what crosses from the other side; what is left of the quantity is returned. */
static int64_t match(struct matcher *matcher, bool buy, int64_t price, int64_t kg)
{
	struct book *book = matcher->book;
	uint32_t against = matcher->ladders[!buy];
	for (uint32_t slot; kg > 0 && (slot = book_best(book, against)) != 0;) {
		struct book_order *resting = book_at(book, slot);
		if (buy ? resting->price > price : resting->price < price)
			break;
		int64_t filled = resting->kg < kg ? resting->kg : kg;
		matcher->fills++;
		matcher->filled += (uint64_t)filled;
		kg -= filled;
		if (filled == resting->kg)
			book_take(book, slot);
		else
			book_cut(book, slot, filled);
	}
	return kg;
}

static void run(struct matcher *matcher, const struct order_command *command)
{
	struct book *book = matcher->book;
	if (!book_reserve(book, 1, 0))
		abort();
	if (command->op == ORDER_ADD || command->op == ORDER_IOC) {
		int64_t rest = match(matcher, command->buy, command->price, command->qty);
		if (rest > 0 && command->op == ORDER_ADD)
			book_put(book, &(struct book_order){.number = command->id,
					       .rank = ++matcher->rank,
					       .price = command->price,
					       .kg = rest,
					       .ladder = matcher->ladders[command->buy]});
		return;
	}
	uint32_t slot = book_find(book, command->id);
	if (!slot) {
		matcher->refused++;
		return;
	}
	int64_t rest = command->op == ORDER_MOVE ? match(matcher, command->buy, command->price, command->qty) : 0;
	if (rest > 0)
		book_move(book, slot, command->price, ++matcher->rank, rest);
	else
		book_take(book, slot);
}

static void run_all(struct matcher *matcher, const struct order_stream *stream, size_t from, size_t to)
{
	const struct order_command *commands = stream->commands;
	for (size_t i = from; i < to; i++) {
		book_prefetch(matcher->book, commands[i + AHEAD_PLACE].id, BOOK_PREFETCH_PLACE);
		book_prefetch(matcher->book, commands[i + AHEAD_ORDER].id, BOOK_PREFETCH_ORDER);
		book_prefetch(matcher->book, commands[i + AHEAD_NEIGHBOURS].id, BOOK_PREFETCH_NEIGHBOURS);
		run(matcher, &commands[i]);
	}
}

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool count_level(void *context, int64_t price, int64_t kg, uint32_t orders)
{
	(void)price;
	(void)orders;
	((uint64_t *)context)[0]++;
	((uint64_t *)context)[1] += (uint64_t)kg;
	return true;
}

/* One round; commands a second by processor time and by the clock, fills and their kilograms, levels and bytes an order at the
 * end. */
static bool bench_round(const struct order_stream *stream)
{
	struct matcher matcher = {.book = book_new(42, true)};
	if (!matcher.book || !book_reserve(matcher.book, 0, 2))
		return false;
	matcher.ladders[0] = book_ladder_add(matcher.book, BOOK_ASK);
	matcher.ladders[1] = book_ladder_add(matcher.book, BOOK_BID);
	run_all(&matcher, stream, 0, stream->warmup);
	double wall = seconds_of(CLOCK_MONOTONIC), processor = seconds_of(CLOCK_THREAD_CPUTIME_ID);
	run_all(&matcher, stream, stream->warmup, stream->count);
	processor = seconds_of(CLOCK_THREAD_CPUTIME_ID) - processor;
	wall = seconds_of(CLOCK_MONOTONIC) - wall;
	uint64_t levels[2] = {0};
	book_levels(matcher.book, matcher.ladders[0], count_level, levels);
	book_levels(matcher.book, matcher.ladders[1], count_level, levels);
	printf("%.0f %.0f %lu %lu %lu %.0f\n", COMMANDS / processor, COMMANDS / wall, matcher.fills, matcher.filled,
		levels[0], (double)book_bytes(matcher.book) / matcher.book->order_count);
	bool right = matcher.fills == stream->fills && matcher.filled == stream->filled_qty &&
		     matcher.book->order_count == stream->resting_orders && levels[1] == stream->resting_qty &&
		     !matcher.refused;
	if (!right)
		fprintf(stderr, "its fills are not the stream's\n");
	book_free(&matcher.book);
	return right;
}

int main(int argc, char **argv)
{
	size_t resting = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 42;
	int rounds = argc > 3 ? atoi(argv[3]) : 3;
	struct order_stream stream = order_stream_make(COMMANDS, resting, seed);
	/* who looks ahead at the end sees commands of nobody */
	stream.commands = realloc(stream.commands, (stream.count + AHEAD_PLACE) * sizeof *stream.commands);
	for (size_t i = 0; i < AHEAD_PLACE; i++)
		stream.commands[stream.count + i] = (struct order_command){0};
	for (int round = 0; round < rounds; round++)
		if (!bench_round(&stream))
			return 1;
	free(stream.commands);
	return 0;
}
