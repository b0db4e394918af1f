/* Leases: which of several daemons on one store does a thing now. A lease is a row with a name, who holds it, its term and a
 * beat. No clock is shared: the holder raises the beat by compare-and-set, and another takes the row, with the next term,
 * where neither term nor beat has moved for LEASE_FREE_US of its own clock. A holder whose last raised beat is older than
 * LEASE_HOLD_US of its own clock, which is shorter, holds it no longer: it may have been taken. The clock counts while the
 * machine sleeps.
 *
 * What a lease lets a daemon do must be fenced by what it writes (a log's next position, a condition on the term), because a
 * process may be paused between asking and doing. */
#ifndef CARBOND_STORE_LEASE_H
#define CARBOND_STORE_LEASE_H

#include "carbond/store.h"

#define LEASE_BEAT_US INT64_C(500000)  /* lease_try is called this often; three may be missed before a lease is lost */
#define LEASE_HOLD_US INT64_C(2000000) /* how long a beat lets its holder hold the lease */
#define LEASE_FREE_US INT64_C(3000000) /* how long others wait for the next beat */

struct lease_row {
	const char *name;    /* key: "journal.0" */
	const char *holder;  /* the node; NULL: released */
	const char *address; /* where other daemons reach the holder; NULL: nowhere */
	int64_t term;        /* 1, 2, 3 …: how often it has been taken */
	int64_t beat;        /* rises with every write of the row; never falls */
};
extern const struct field lease_fields[];
extern const struct store_collection leases_collection; /* class STORE_VALUE */
/* For store_open; NULL-terminated. */
extern const struct store_collection *const lease_collections[];

struct lease;

struct lease_options {
	struct store *store;
	const char *name;    /* of the lease, ≤ 64 bytes */
	const char *holder;  /* this node, ≤ 31 bytes */
	const char *address; /* where other daemons reach it, ≤ 255 bytes; NULL: nowhere */
	/* What an earlier process of this holder held is free at once: the caller has made sure that it has ended (the lock on the
	 * data directory). */
	bool heir;
	bool standing_only; /* a lease that has no row is not free */
	/* For tests: a clock in µs that never goes back; NULL: the kernel's. */
	int64_t (*clock_us)(void *context);
	void *context;
};

/* One daemon's part in a lease; nothing is held yet. Copies what it is given. NULL without memory. */
struct lease *lease_new(const struct lease_options *options);
/* Does not release it. NULL is allowed; the pointer becomes NULL. */
void lease_free(struct lease **lease);

/* Raises the beat where this daemon holds the lease; else looks at it, and takes it where it is free: never taken, released,
 * or without a beat for LEASE_FREE_US (also one that an earlier process of this node held, unless this is its heir; what its holder had
 * begun to write is then given up: store_end_writes). Call it every LEASE_BEAT_US.
 * `*ret_held`: as lease_holds after it. ERR_OK also where another holds it; errors of the store say nothing about who does,
 * and the time of the last beat goes on running. Blocks on the store. One thread at a time. */
enum err lease_try(struct lease *lease, bool *ret_held, struct err_info *info) MUST_CHECK;
/* Gives the lease back, so that another may take it at once. Nothing where it is not held. Same thread as lease_try. */
enum err lease_release(struct lease *lease, struct err_info *info) MUST_CHECK;
/* As lease_release, but its row goes: nothing is known of the lease any more. Terms begin at 1 again where it is taken after that, so
 * only for what nobody fences by them. */
enum err lease_remove(struct lease *lease, struct err_info *info) MUST_CHECK;

/* Whether this daemon holds the lease now, by its own clock; never blocks. Any thread. */
bool lease_holds(const struct lease *lease);
/* The term that this daemon took last; 0: none yet. Terms of one lease only rise. Any thread. */
int64_t lease_term(const struct lease *lease);

/* Who holds a lease, as its row says: texts in the arena. The holder may have died since. ERR_NOT_FOUND: never taken. Blocks on
 * the store. Any thread. */
enum err lease_read(struct store *store, const char *name, struct arena *arena, struct lease_row *ret_row,
	struct err_info *info) MUST_CHECK;

#endif
