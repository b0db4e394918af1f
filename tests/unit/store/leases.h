/* What a lease promises on every back end: one holder at a time by clocks that have nothing to do with each other, terms that only
 * rise, and a paused holder that knows that it may have been taken. Issue 6: the lease under the leadership of an idle shard. */
#ifndef STORE_LEASES_H
#define STORE_LEASES_H

#include "carbond/store/lease.h"
#include "things.h"

/* A daemon with a clock of its own. */
struct leaser {
	struct lease *lease;
	int64_t now_us;
};

static inline int64_t leaser_clock(void *context)
{
	return ((struct leaser *)context)->now_us;
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
