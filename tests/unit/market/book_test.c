/* The book against an array that is sorted by nothing but side, price and rank; every change may be undone (decision 8), every
 * ladder's levels add up, priority is price, then rank (decision 21). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "book.h"

#include "carbond/base/map.h"

#define NAIVE_MAX 4096

struct random {
	uint64_t seed, count;
};

static uint64_t next_random(struct random *random, uint64_t below)
{
	return map_hash_u64(random->seed, ++random->count) % below;
}

/* ---- the naive book ---- */

struct naive {
	struct book_order orders[NAIVE_MAX]; /* of all ladders, in order of priority within each */
	size_t count;
	enum book_side sides[64];
};

static bool naive_before(const struct naive *naive, const struct book_order *a, const struct book_order *b)
{
	if (a->ladder != b->ladder)
		return a->ladder < b->ladder;
	if (a->price != b->price)
		return (a->price < b->price) == (naive->sides[a->ladder] == BOOK_ASK);
	return a->rank < b->rank;
}

static void naive_put(struct naive *naive, const struct book_order *order)
{
	size_t at = naive->count++;
	for (; at > 0 && naive_before(naive, order, &naive->orders[at - 1]); at--)
		naive->orders[at] = naive->orders[at - 1];
	naive->orders[at] = *order;
}

static void naive_take(struct naive *naive, size_t at)
{
	memmove(&naive->orders[at], &naive->orders[at + 1], (--naive->count - at) * sizeof *naive->orders);
}

/* ---- both are the same ---- */

struct walk {
	const struct naive *naive;
	uint32_t ladder;
	size_t at;
};

static bool level_is_the_naive_one(void *context, int64_t price, int64_t kg, uint32_t orders)
{
	struct walk *walk = context;
	int64_t naive_kg = 0;
	uint32_t naive_orders = 0;
	for (; walk->at < walk->naive->count; walk->at++, naive_orders++) {
		const struct book_order *order = &walk->naive->orders[walk->at];
		if (order->ladder != walk->ladder || order->price != price)
			break;
		naive_kg += order->kg;
	}
	assert_int_equal(orders, naive_orders);
	assert_int_equal(kg, naive_kg);
	return orders > 0;
}

static void assert_same(const struct book *book, const struct naive *naive, uint32_t ladders)
{
	size_t at = 0;
	for (uint32_t ladder = 0; ladder < ladders; ladder++) {
		struct walk walk = {.naive = naive, .ladder = ladder, .at = at};
		for (uint32_t slot = book_best(book, ladder); slot; slot = book_next(book, slot), at++) {
			const struct book_order *order = book_at(book, slot), *expected = &naive->orders[at];
			assert_true(at < naive->count);
			assert_memory_equal(order, expected, offsetof(struct book_order, level));
			assert_int_equal(book_find(book, order->number), slot);
		}
		assert_true(book_levels(book, ladder, level_is_the_naive_one, &walk));
		assert_int_equal(walk.at, at);
	}
	assert_int_equal(at, naive->count);
	assert_int_equal(book->order_count, naive->count);
}

/* ---- changes, and what undoes them ---- */

struct change {
	enum { PUT, TAKE, CUT, MOVE } kind;
	struct book_order before;
	int64_t kg;
};

struct world {
	struct book *book;
	struct naive naive;
	struct random random;
	uint32_t ladders;
	int64_t prices; /* how many different ones a ladder has */
	int64_t step;
	uint64_t last, last_rank;
	size_t most;
};

static struct book_order some_order(struct world *world)
{
	return (struct book_order){.number = ++world->last,
		.rank = ++world->last_rank,
		.price = (1 + (int64_t)next_random(&world->random, (uint64_t)world->prices)) * world->step,
		.kg = 1 + (int64_t)next_random(&world->random, 1000),
		.org = (uint32_t)next_random(&world->random, 10),
		.detail = (uint32_t)world->last * 3,
		.ladder = (uint32_t)next_random(&world->random, world->ladders),
		.flags = (uint32_t)next_random(&world->random, 4)};
}

/* One random change to both; of what rests when there is as much as should be, or by chance. */
static struct change make_change(struct world *world)
{
	struct book *book = world->book;
	struct naive *naive = &world->naive;
	uint64_t kind = next_random(&world->random, 4);
	if (naive->count == 0 || (kind == 0 && naive->count < world->most)) {
		struct book_order order = some_order(world);
		assert_int_not_equal(book_put(book, &order), 0);
		naive_put(naive, &order);
		return (struct change){.kind = PUT, .before = order};
	}
	/* of the first ladder mostly what is matched first */
	size_t at = next_random(&world->random, next_random(&world->random, 3) ? 1 + naive->count / 64 : naive->count);
	struct change change = {.kind = TAKE, .before = naive->orders[at]};
	uint32_t slot = book_find(book, change.before.number);
	assert_int_not_equal(slot, 0);
	if (kind == 1 && change.before.kg > 1) {
		change.kind = CUT;
		change.kg = 1 + (int64_t)next_random(&world->random, (uint64_t)change.before.kg - 1);
		book_cut(book, slot, change.kg);
		naive->orders[at].kg -= change.kg;
	} else if (kind == 2) {
		struct book_order moved = some_order(world);
		change.kind = MOVE;
		book_move(book, slot, moved.price, moved.rank, moved.kg);
		struct book_order order = change.before;
		order.price = moved.price;
		order.rank = moved.rank;
		order.kg = moved.kg;
		naive_take(naive, at);
		naive_put(naive, &order);
		assert_int_equal(book_find(book, order.number), slot);
	} else {
		book_take(book, slot);
		naive_take(naive, at);
		assert_int_equal(book_find(book, change.before.number), 0);
	}
	return change;
}

/* In the book alone: the naive one is copied back as a whole. */
static void undo(struct book *book, const struct change *change)
{
	uint32_t slot = book_find(book, change->before.number);
	switch (change->kind) {
	case PUT: book_take(book, slot); return;
	case TAKE: book_put(book, &change->before); return;
	case CUT: book_cut(book, slot, -change->kg); return;
	default: book_move(book, slot, change->before.price, change->before.rank, change->before.kg);
	}
}

static struct world *world_new(uint64_t seed, uint32_t ladders, int64_t prices, int64_t step, size_t most)
{
	struct world *world = calloc(1, sizeof *world);
	world->book = book_new(seed, true);
	world->random.seed = seed;
	world->ladders = ladders;
	world->prices = prices;
	world->step = step;
	world->most = most;
	assert_true(book_reserve(world->book, 0, ladders));
	for (uint32_t i = 0; i < ladders; i++) {
		world->naive.sides[i] = next_random(&world->random, 2) ? BOOK_ASK : BOOK_BID;
		assert_int_equal(book_ladder_add(world->book, world->naive.sides[i]), i);
	}
	return world;
}

static void world_free(struct world *world)
{
	book_free(&world->book);
	assert_null(world->book);
	free(world);
}

/* Sets of up to eight changes, a third of them undone; reserved before, as small as it may be. */
static void run_changes(struct world *world, int sets)
{
	struct naive *before = malloc(sizeof *before);
	for (int i = 0; i < sets; i++) {
		struct change changes[8];
		size_t count = 1 + next_random(&world->random, 8);
		bool undone = next_random(&world->random, 3) == 0;
		if (undone)
			*before = world->naive;
		assert_true(book_reserve(world->book, undone ? 2 * count : count, 0));
		for (size_t j = 0; j < count; j++)
			changes[j] = make_change(world);
		if (i % 16 == 0)
			assert_same(world->book, &world->naive, world->ladders);
		if (!undone)
			continue;
		for (size_t j = count; j-- > 0;)
			undo(world->book, &changes[j]);
		world->naive = *before;
		if (i % 8 == 0)
			assert_same(world->book, &world->naive, world->ladders);
	}
	assert_same(world->book, &world->naive, world->ladders);
	free(before);
}

static void test_it_is_the_naive_book(void **state)
{
	(void)state;
	static const struct {
		uint32_t ladders;
		int64_t prices, step;
		size_t most;
		int sets;
	} worlds[] = {
		{1, 3, 1, 200, 4000},                     /* long queues */
		{1, 2000, 1000, 1500, 6000},              /* a deep tree, most levels of one order */
		{2, 40, INT64_MAX / 64, 300, 4000},       /* prices far apart */
		{64, 8, 1, 1000, 6000},                   /* many thin ladders */
		{64, 1000, INT64_C(1000000), 2000, 4000}, /* and wide ones */
	};
	for (size_t i = 0; i < sizeof worlds / sizeof *worlds; i++) {
		struct world *world =
			world_new(7 + i, worlds[i].ladders, worlds[i].prices, worlds[i].step, worlds[i].most);
		run_changes(world, worlds[i].sets);
		world_free(world);
	}
}

/* Priority is price, then rank: an order that is put back stands where it stood, at the front, in the middle, at the back. */
static void test_an_undo_puts_back_what_stood_in_between(void **state)
{
	(void)state;
	struct book *book = book_new(1, true);
	assert_true(book_reserve(book, 200, 1));
	uint32_t ladder = book_ladder_add(book, BOOK_BID);
	for (uint64_t i = 1; i <= 100; i++)
		book_put(
			book, &(struct book_order){.number = i, .rank = i * 10, .price = 5, .kg = 1, .ladder = ladder});
	static const uint64_t taken[] = {1, 2, 50, 51, 52, 99, 100};
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		book_take(book, book_find(book, taken[i]));
	static const size_t back[] = {4, 0, 6, 2, 3, 1, 5}; /* not as an undo would: in any order */
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		book_put(book, &(struct book_order){.number = taken[back[i]],
				       .rank = taken[back[i]] * 10,
				       .price = 5,
				       .kg = 1,
				       .ladder = ladder});
	uint64_t number = 0;
	for (uint32_t slot = book_best(book, ladder); slot; slot = book_next(book, slot))
		assert_int_equal(book_at(book, slot)->number, ++number);
	assert_int_equal(number, 100);
	book_free(&book);
}

static bool stop_at_the_second(void *context, int64_t price, int64_t kg, uint32_t orders)
{
	(void)kg;
	(void)orders;
	assert_int_equal(price, *(int *)context == 0 ? 9 : 8);
	return ++*(int *)context < 2;
}

static void test_an_empty_book_answers(void **state)
{
	(void)state;
	struct book *book = book_new(1, true);
	int seen = 0;
	assert_int_equal(book_find(book, 1), 0);
	book_prefetch(book, 1, BOOK_PREFETCH_ORDER);
	assert_false(book_reserve(book, UINT32_MAX, 0)); /* more than a slot's number can say */
	assert_true(book_reserve(book, 1000, 0));
	assert_true(book_reserve(book, 0, 1));
	assert_true(book_reserve(book, 2000, 3));
	assert_true(book_reserve(book, 0, 100));
	assert_true(book_reserve(book, 3000, 0));
	assert_true(book->room >= 3000 && book->ladder_room >= 100); /* what was promised stays */
	uint32_t ladder = book_ladder_add(book, BOOK_BID);
	assert_int_equal(book_best(book, ladder), 0);
	assert_true(book_levels(book, ladder, stop_at_the_second, &seen));
	assert_true(book_reserve(book, 3, 0));
	for (uint64_t i = 1; i <= 3; i++)
		book_put(book, &(struct book_order){
				       .number = i, .rank = i, .price = 6 + (int64_t)i, .kg = 1, .ladder = ladder});
	for (uint64_t i = 0; i <= 4; i++)
		for (int what = BOOK_PREFETCH_PLACE; what <= BOOK_PREFETCH_NEIGHBOURS; what++)
			book_prefetch(book, i, (enum book_prefetch)what);
	assert_false(book_levels(book, ladder, stop_at_the_second, &seen));
	assert_int_equal(seen, 2);
	book_free(&book);
	book_free(&book);
}

/* Its memory follows what rests, not what ever rested: 400,000 orders pass through a book that holds 100 at most. */
static void test_memory_follows_what_rests(void **state)
{
	(void)state;
	struct book *book = book_new(3, true);
	struct random random = {.seed = 3};
	assert_true(book_reserve(book, 100, 1));
	uint32_t ladder = book_ladder_add(book, BOOK_ASK), slots[100] = {0};
	for (uint64_t number = 1; number <= 400000; number++) {
		uint32_t *slot = &slots[next_random(&random, 100)];
		if (*slot)
			book_take(book, *slot);
		assert_true(book_reserve(book, 1, 0));
		*slot = book_put(book, &(struct book_order){.number = number << 20, /* far apart */
					       .rank = number,
					       .price = 1 + (int64_t)next_random(&random, 1000000),
					       .kg = 1,
					       .ladder = ladder});
	}
	assert_true(book_bytes(book) < 200000);
	book_free(&book);
}

/* A tree of so many prices that inner nodes divide, too: all of them are there in their order, whatever goes and comes. */
static void test_a_ladder_of_many_prices(void **state)
{
	(void)state;
	struct book *book = book_new(3, true);
	uint32_t ladder, slot;
	const int64_t count = 40000;
	assert_true(book_reserve(book, 1, 1));
	ladder = book_ladder_add(book, BOOK_ASK);
	for (int64_t i = 0; i < count; i++) { /* 7,919 is prime to the count: each price once, all over the range */
		assert_true(book_reserve(book, 1, 0));
		book_put(book, &(struct book_order){.number = (uint64_t)i + 1,
				       .rank = (uint64_t)i + 1,
				       .price = 1 + i * 7919 % count,
				       .kg = 1,
				       .ladder = ladder});
	}
	int64_t price = 0;
	for (slot = book_best(book, ladder); slot; slot = book_next(book, slot))
		assert_int_equal(book_at(book, slot)->price, ++price);
	assert_int_equal(price, count);
	/* the node left of another goes, and a lower price comes to that one */
	for (price = 1; price <= count; price++) {
		struct book_order lowest = *book_at(book, book_best(book, ladder));
		assert_int_equal(lowest.price, price);
		book_take(book, book_best(book, ladder));
		assert_true(book_reserve(book, 1, 0));
		slot = book_put(book, &lowest);
		assert_int_equal(book_best(book, ladder), slot);
		book_take(book, slot);
	}
	assert_int_equal(book_best(book, ladder), 0);
	book_free(&book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_the_naive_book),
		cmocka_unit_test(test_an_undo_puts_back_what_stood_in_between),
		cmocka_unit_test(test_an_empty_book_answers),
		cmocka_unit_test(test_memory_follows_what_rests),
		cmocka_unit_test(test_a_ladder_of_many_prices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
