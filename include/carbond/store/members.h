/* Members: which daemons of one store are alive, as this one sees it. Each raises the beat of a lease `node.<name>` of its own;
 * who has not been seen to beat for LEASE_FREE_US of one's own clock, or has given its lease back, counts as gone. What a
 * daemon does because another is gone must be fenced (lease.h). One thread, `members`. */
#ifndef CARBOND_STORE_MEMBERS_H
#define CARBOND_STORE_MEMBERS_H

#include "carbond/store/lease.h"

#define MEMBERS_MAX      32 /* daemons on one store, those that are gone for good included */
#define MEMBER_NAME_SIZE 32

struct members;

struct members_options {
	struct store *store;
	const char *node;    /* this daemon */
	const char *address; /* where the others reach it; NULL: nowhere */
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
/* Nodes that once were and are gone, in order of their names. Any thread. */
size_t members_gone(struct members *members, char ret_names[MEMBERS_MAX][MEMBER_NAME_SIZE]);

#endif
