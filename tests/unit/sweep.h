/* Fault sweeps: a scenario is run again and again, and each time one call fails: the Nth allocation (ours, jansson's or
 * SQLite's), write or fsync. A first run without a fault counts the calls; then every N is tried, or, where there are more
 * than the program wants to try (CARBOND_SWEEP=all: all of them), the first ones and an even choice of the rest.
 *
 * A scenario prepares, calls sweep_arm, does what is swept, calls sweep_disarm, and then checks what every room owes after a
 * fault: a clean error (sweep_judge), nothing leaked (the sanitizers say), nothing acknowledged lost, and either an object
 * that goes on or one that refuses. A program that sweeps is called <what>_sweep_test.c; it calls sweep_start first. */
#ifndef TEST_SWEEP_H
#define TEST_SWEEP_H

#include <stdbool.h>

#include "carbond/base/err.h"

enum sweep_kind {
	SWEEP_ALLOCATION,       /* one allocation fails */
	SWEEP_ALLOCATIONS,      /* it and all that follow it fail */
	SWEEP_WRITE_EIO,        /* from there on the disk is dead */
	SWEEP_WRITE_SHORT_EIO,  /* half of it is written */
	SWEEP_SYNC_EIO,         /* from there on the disk is dead */
	SWEEP_WRITE_FULL,       /* once; then there is space again */
	SWEEP_WRITE_SHORT_FULL, /* half of it is written; then there is space again */
	SWEEP_KINDS
};

struct sweep {
	enum sweep_kind kind;
	long nth;     /* the call that fails; above the number of calls: none does */
	long calls;   /* of the kind while it was armed, the failed one included */
	bool reached; /* the call was made, and failed */
	void *context;
};

/* Puts the tests' allocators and file system under our code, jansson and SQLite. Before either is used. `points` is how many
 * places of each scenario are tried at most, so that slow ones take no longer than others; fewer under sanitizers. */
void sweep_start(long points);

/* The faults of `sweep` happen between these two, on whichever thread makes the call. */
void sweep_arm(struct sweep *sweep);
void sweep_disarm(struct sweep *sweep);

/* Fails the test unless `err` is what a fault of this kind may be answered with. ERR_OK always may: what was to fail was not
 * reached, or could be done without. */
void sweep_judge(const struct sweep *sweep, enum err err, const struct err_info *info);

/* Runs `scenario` for each N of `kind`; `name` is what the closing line calls it. */
void sweep_every(const char *name, enum sweep_kind kind, void (*scenario)(struct sweep *sweep), void *context);

/* Both kinds of SWEEP_ALLOCATION…; all kinds of SWEEP_WRITE… and SWEEP_SYNC… */
void sweep_allocations(const char *name, void (*scenario)(struct sweep *sweep), void *context);
void sweep_disk(const char *name, void (*scenario)(struct sweep *sweep), void *context);

#endif
