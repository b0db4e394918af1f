/* What a lease promises on every back end: one holder at a time by clocks that have nothing to do with each other, terms that only
 * rise, and a paused holder that knows that it may have been taken. Issue 6: the lease under the leadership of an idle shard. */
#ifndef STORE_LEASES_H
#define STORE_LEASES_H

#include "carbond/store/members.h"
#include "things.h"

/* A daemon with a clock of its own. */
struct leaser {
	struct lease *lease;
	int64_t now_us;
};

static inline int64_t leaser_clock(void *context)
{
	return __atomic_load_n(&((struct leaser *)context)->now_us, __ATOMIC_SEQ_CST);
}

static inline void leaser_start(struct leaser *leaser, struct store *store, const char *node, int64_t now_us)
{
	struct lease_options options = {.store = store,
		.name = "journal.0",
		.holder = node,
		.address = "http://127.0.0.1:8080",
		.clock_us = leaser_clock,
		.context = leaser};
	leaser->now_us = now_us;
	leaser->lease = lease_new(&options);
	assert_non_null(leaser->lease);
}

static inline bool leaser_tries(struct leaser *leaser)
{
	struct err_info info = {.code = ERR_OK};
	bool held = false;
	assert_ok(lease_try(leaser->lease, &held, &info), &info);
	assert_int_equal(held, lease_holds(leaser->lease));
	return held;
}

static inline void assert_lease(struct store *store, const char *holder, int64_t term)
{
	struct err_info info = {.code = ERR_OK};
	struct lease_row row;
	struct arena *arena = arena_new(0);
	assert_ok(lease_read(store, "journal.0", arena, &row, &info), &info);
	assert_int_equal(row.term, term);
	if (holder) {
		assert_string_equal(row.holder, holder);
		assert_string_equal(row.address, "http://127.0.0.1:8080");
	} else {
		assert_null(row.holder);
		assert_null(row.address);
	}
	arena_free(&arena);
}

/* b's clock is years away from a's; what counts is how long it has seen no beat. */
static inline void lease_is_taken_over(struct store *store)
{
	struct leaser a, b;
	struct err_info info = {.code = ERR_OK};
	struct lease_row row;
	struct arena *arena = arena_new(0);
	assert_int_equal(lease_read(store, "journal.0", arena, &row, &info), ERR_NOT_FOUND);
	arena_free(&arena);
	leaser_start(&a, store, "a", 1000);
	leaser_start(&b, store, "b", -40 * 365 * CLOCK_US_PER_DAY);
	assert_false(lease_holds(a.lease));
	assert_true(leaser_tries(&a));
	assert_int_equal(lease_term(a.lease), 1);
	assert_lease(store, "a", 1);
	for (int i = 0; i < 10; i++) { /* a beats, however long b looks on */
		a.now_us += LEASE_BEAT_US;
		b.now_us += LEASE_FREE_US;
		assert_true(leaser_tries(&a));
		assert_false(leaser_tries(&b));
	}
	/* a is paused: it holds the lease no longer before b may take it */
	b.now_us += LEASE_FREE_US - 1;
	assert_false(leaser_tries(&b));
	a.now_us += LEASE_FREE_US - 1;
	assert_false(lease_holds(a.lease));
	b.now_us += 1;
	assert_true(leaser_tries(&b));
	assert_int_equal(lease_term(b.lease), 2);
	assert_lease(store, "b", 2);
	/* a wakes up: what it knew is over, and it waits as anybody */
	assert_false(leaser_tries(&a));
	a.now_us += LEASE_FREE_US - 1;
	assert_false(leaser_tries(&a));
	assert_int_equal(lease_term(a.lease), 1);
	a.now_us += 1;
	assert_true(leaser_tries(&a));
	assert_int_equal(lease_term(a.lease), 3);
	assert_false(leaser_tries(&b));
	lease_free(&a.lease);
	lease_free(&b.lease);
}

/* A daemon that was killed and starts again need not wait for itself; another waits as ever. */
static inline void lease_is_inherited(struct store *store)
{
	struct leaser killed, heir, other;
	leaser_start(&killed, store, "a", 0);
	leaser_start(&other, store, "b", 0);
	assert_true(leaser_tries(&killed));
	struct lease_options options = {.store = store,
		.name = "journal.0",
		.holder = "a",
		.address = "http://127.0.0.1:8080",
		.heir = true,
		.clock_us = leaser_clock,
		.context = &heir};
	heir.now_us = 0;
	heir.lease = lease_new(&options);
	assert_non_null(heir.lease);
	assert_false(leaser_tries(&other));
	assert_true(leaser_tries(&heir));
	assert_int_equal(lease_term(heir.lease), 2);
	assert_lease(store, "a", 2);
	assert_false(leaser_tries(&other));
	lease_free(&killed.lease);
	lease_free(&heir.lease);
	lease_free(&other.lease);
}

static inline void lease_of_a_holder_that_slept(struct store *store)
{
	struct leaser a, b;
	leaser_start(&a, store, "a", 0);
	leaser_start(&b, store, "b", 0);
	assert_true(leaser_tries(&a));
	a.now_us += LEASE_HOLD_US - 1;
	assert_true(lease_holds(a.lease));
	a.now_us += 1;
	assert_false(lease_holds(a.lease));
	/* nobody took it: the same term goes on */
	assert_true(leaser_tries(&a));
	assert_int_equal(lease_term(a.lease), 1);
	assert_false(leaser_tries(&b));
	lease_free(&a.lease);
	lease_free(&b.lease);
}

static inline void lease_is_released(struct store *store)
{
	struct leaser a, b, again;
	struct err_info info = {.code = ERR_OK};
	leaser_start(&a, store, "a", 0);
	leaser_start(&b, store, "b", 0);
	assert_ok(lease_release(a.lease, &info), &info);
	assert_true(leaser_tries(&a));
	assert_false(leaser_tries(&b));
	assert_ok(lease_release(b.lease, &info), &info); /* not b's to give */
	assert_lease(store, "a", 1);
	assert_ok(lease_release(a.lease, &info), &info);
	assert_false(lease_holds(a.lease));
	assert_lease(store, NULL, 1);
	assert_true(leaser_tries(&b));
	assert_int_equal(lease_term(b.lease), 2);
	assert_false(leaser_tries(&a));
	/* the next process of a node that died does not inherit what that one held */
	leaser_start(&again, store, "b", 0);
	assert_false(leaser_tries(&again));
	again.now_us += LEASE_FREE_US;
	assert_true(leaser_tries(&again));
	assert_int_equal(lease_term(again.lease), 3);
	assert_false(leaser_tries(&b));
	lease_free(&a.lease);
	lease_free(&b.lease);
	lease_free(&again.lease);
}

/* What was removed is nobody's and has no row; who takes only what stands leaves it alone. */
static inline void lease_is_removed(struct store *store)
{
	struct leaser a, b, careful;
	struct err_info info = {.code = ERR_OK};
	struct lease_row row;
	struct arena *arena = arena_new(0);
	struct lease_options options = {.store = store,
		.name = "journal.0",
		.holder = "c",
		.address = "http://127.0.0.1:8080",
		.standing_only = true,
		.clock_us = leaser_clock,
		.context = &careful};
	leaser_start(&a, store, "a", 0);
	leaser_start(&b, store, "b", 0);
	careful.now_us = 0;
	careful.lease = lease_new(&options);
	assert_non_null(careful.lease);
	assert_true(leaser_tries(&a));
	assert_false(leaser_tries(&b));
	assert_false(leaser_tries(&careful));
	assert_ok(lease_remove(b.lease, &info), &info); /* not b's to remove */
	assert_lease(store, "a", 1);
	assert_ok(lease_remove(a.lease, &info), &info);
	assert_false(lease_holds(a.lease));
	assert_int_equal(lease_read(store, "journal.0", arena, &row, &info), ERR_NOT_FOUND);
	for (int i = 0; i < 3; i++) {
		assert_false(leaser_tries(&careful));
		careful.now_us += LEASE_FREE_US;
	}
	assert_true(leaser_tries(&b));
	assert_lease(store, "b", 1);
	assert_false(leaser_tries(&careful));
	careful.now_us += LEASE_FREE_US;
	assert_true(leaser_tries(&careful));
	/* b was paused meanwhile: what it removes is its own no longer */
	assert_ok(lease_remove(b.lease, &info), &info);
	assert_lease(store, "c", 2);
	arena_free(&arena);
	lease_free(&a.lease);
	lease_free(&b.lease);
	lease_free(&careful.lease);
}

/* ---- members ---- */

#define MEMBER_KEPT_US (4 * LEASE_BEAT_US)

static inline struct members *member_start(struct store *store, const char *node)
{
	struct members *members = NULL;
	struct err_info info = {.code = ERR_OK};
	struct members_options options = {
		.store = store, .node = node, .left_behind = "session.", .kept_us = MEMBER_KEPT_US};
	assert_ok(members_start(&options, &members, &info), &info);
	return members;
}

static inline void member_wait(struct members *members, size_t gone)
{
	int64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
	while (members_gone(members, NULL) != gone) {
		assert_true(clock_monotonic_us() < deadline_us);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

static inline bool has_row(struct store *store, const char *name)
{
	struct err_info info;
	struct lease_row row;
	struct arena *arena = arena_new(0);
	enum err err = lease_read(store, name, arena, &row, &info);
	arena_free(&arena);
	assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
	return err == ERR_OK;
}

static inline void row_wait(struct store *store, const char *name)
{
	int64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
	while (has_row(store, name)) {
		assert_true(clock_monotonic_us() < deadline_us);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

/* A member that has gone for good is forgotten, with its row, by all; one that has left something behind when that is done with; one that
 * comes back is a member again. */
static inline void members_are_forgotten(struct store *store)
{
	struct err_info info = {.code = ERR_OK};
	struct members *a = member_start(store, "a"), *b = member_start(store, "b"), *c = member_start(store, "c");
	struct lease_options options = {.store = store, .name = "session.b", .holder = "a"};
	struct lease *left = lease_new(&options);
	bool held = false;
	assert_non_null(left);
	assert_ok(lease_try(left, &held, &info), &info);
	assert_true(held);
	members_stop(&b);
	members_stop(&c);
	row_wait(store, "node.c"); /* it has left nothing behind */
	member_wait(a, 1);
	assert_true(has_row(store, "node.b"));
	assert_ok(lease_remove(left, &info), &info);
	row_wait(store, "node.b");
	member_wait(a, 0);
	b = member_start(store, "b");
	int64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
	while (!members_has(a, "b")) {
		assert_true(clock_monotonic_us() < deadline_us);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	assert_true(members_alive(a) && members_count(a, NULL) == 2);
	lease_free(&left);
	members_stop(&a);
	members_stop(&b);
}

/* ---- eight daemons find the same lease free at the same moment ---- */

#define LEASERS 8

struct lease_race {
	struct leaser leasers[LEASERS];
	pthread_barrier_t barrier;
	atomic_int held;
};

struct lease_racer {
	struct lease_race *race;
	int number;
};

static inline void *lease_racer_run(void *argument)
{
	struct lease_racer *racer = argument;
	struct err_info info = {.code = ERR_OK};
	bool held = false;
	pthread_barrier_wait(&racer->race->barrier);
	enum err err = lease_try(racer->race->leasers[racer->number].lease, &held, &info);
	atomic_fetch_add(&racer->race->held, held ? 1 : 0);
	return err ? (void *)racer : NULL;
}

static inline void lease_is_raced_for(struct store *store)
{
	struct lease_race race = {.held = 0};
	struct lease_racer racers[LEASERS];
	pthread_t threads[LEASERS];
	assert_int_equal(pthread_barrier_init(&race.barrier, NULL, LEASERS), 0);
	for (int i = 0; i < LEASERS; i++) {
		char node[16];
		snprintf(node, sizeof node, "n%d", i);
		leaser_start(&race.leasers[i], store, node, 0);
		racers[i] = (struct lease_racer){&race, i};
	}
	for (int round = 1; round <= 10; round++) {
		atomic_store(&race.held, 0);
		for (int i = 0; i < LEASERS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, lease_racer_run, &racers[i]), 0);
		for (int i = 0; i < LEASERS; i++) {
			void *failed = NULL;
			pthread_join(threads[i], &failed);
			assert_null(failed);
		}
		assert_int_equal(atomic_load(&race.held), 1);
		/* the winner is paused, and all see its beat grow old */
		for (int i = 0; i < LEASERS; i++) {
			assert_true(lease_term(race.leasers[i].lease) <= round);
			race.leasers[i].now_us += LEASE_HOLD_US;
			if (!lease_holds(race.leasers[i].lease) && lease_term(race.leasers[i].lease) < round)
				assert_false(leaser_tries(&race.leasers[i]));
			race.leasers[i].now_us += LEASE_FREE_US;
		}
		/* a paused winner would raise its own beat: it is a new daemon */
		for (int i = 0; i < LEASERS; i++)
			if (lease_term(race.leasers[i].lease) == round) {
				lease_free(&race.leasers[i].lease);
				leaser_start(&race.leasers[i], store, "next", 0);
				assert_false(leaser_tries(&race.leasers[i]));
				race.leasers[i].now_us += LEASE_FREE_US;
			}
	}
	for (int i = 0; i < LEASERS; i++)
		lease_free(&race.leasers[i].lease);
	pthread_barrier_destroy(&race.barrier);
}

#endif
