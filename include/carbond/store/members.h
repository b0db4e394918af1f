/* Members: which daemons of one store are alive, as this one sees it. Each raises the beat of a lease `node.<name>` of its own;
 * who has not been seen to beat for LEASE_FREE_US of one's own clock, or has given its lease back, counts as gone. What a
 * daemon does because another is gone must be fenced (lease.h). One thread, `members`. */
#ifndef CARBOND_STORE_MEMBERS_H
#define CARBOND_STORE_MEMBERS_H

#include "carbond/base/clock.h"
#include "carbond/store/lease.h"

#define MEMBERS_MAX      32 /* daemons on one store, those that are gone but not forgotten included */
#define MEMBER_NAME_SIZE 32
/* A node that is gone is forgotten, and its row deleted, when one of the others has seen nothing of it for so long, by its own clock
 * and since its own start. If it starts again it is a new one. */
#define MEMBERS_KEPT_US CLOCK_US_PER_DAY

struct members;

struct members_options {
	struct store *store;
	const char *node;    /* this daemon */
	const char *address; /* where the others reach it; NULL: nowhere */
	/* A node of which a lease `<this><node>` stands is not forgotten: what it left behind is not done with. NULL: none. */
	const char *left_behind;
	int64_t kept_us; /* for tests; 0: MEMBERS_KEPT_US */
};

/* Takes `node.<node>`, which an earlier process of this node may have held: the caller has the lock on the data directory, so
 * that one has ended. Then starts the thread. */
enum err members_start(
	const struct members_options *options, struct members **ret_members, struct err_info *info) MUST_CHECK;
/* Gives the lease back, so that the others see at once that this daemon is gone. NULL is allowed; it becomes NULL. */
void members_stop(struct members **members);

/* Whether this daemon counts as alive by its own clock: else others may be doing what was its. Any thread; never blocks. */
bool members_alive(const struct members *members);
/* The others and this one, in order of their names: how many are alive, at least 1; `ret_names` (may be NULL) takes them. Any
 * thread; never blocks on the store. */
size_t members_count(struct members *members, char ret_names[MEMBERS_MAX][MEMBER_NAME_SIZE]);
/* Whether that node is alive. Any thread. */
bool members_has(struct members *members, const char *node);
/* Nodes that once were, are gone and are not forgotten yet, in order of their names. Any thread. */
size_t members_gone(struct members *members, char ret_names[MEMBERS_MAX][MEMBER_NAME_SIZE]);
/* How long a node that is gone is kept. Any thread. */
int64_t members_kept_us(const struct members *members);

#endif
