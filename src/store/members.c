/* Decides who of the daemons on one store is alive: whoever is seen to beat, by this daemon's clock alone. The thread `members`
 * beats and looks; others read what it saw under the lock. */
#include "carbond/store/members.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "carbond/runtime.h"

#define PREFIX     "node."
#define PREFIX_END "node/" /* the first text behind all names that begin with it */

struct member {
	char name[MEMBER_NAME_SIZE];
	int64_t term, beat;
	int64_t moved_us; /* when they were first seen so */
	bool released, alive;
	bool stands; /* its row was there at the last look */
};

struct members {
	/* constant */
	struct store *store;
	char node[MEMBER_NAME_SIZE], left_behind[MEMBER_NAME_SIZE];
	int64_t kept_us;
	struct lease *lease;
	struct turns *turns;

	/* the thread */
	enum err last_fault; /* told once */

	pthread_mutex_t lock; /* innermost; never held across the store */
	struct member rows[MEMBERS_MAX];
	size_t count;
};

static int64_t now_of(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * CLOCK_US_PER_SECOND + now.tv_nsec / 1000;
}

/* ---- looking ---- */

static struct member *find(struct members *members, const char *name)
{
	for (size_t i = 0; i < members->count; i++)
		if (strcmp(members->rows[i].name, name) == 0)
			return &members->rows[i];
	return NULL;
}

/* Under the lock. A row seen for the first time has moved now: its node may be alive. */
static void take_row(struct members *members, const struct lease_row *row, int64_t now_us)
{
	const char *name = row->name + strlen(PREFIX);
	struct member *member = find(members, name);
	if (!member && members->count == MEMBERS_MAX)
		return;
	if (!member) {
		member = &members->rows[members->count++];
		*member = (struct member){.moved_us = now_us};
		snprintf(member->name, sizeof member->name, "%s", name);
	} else if (member->term != row->term || member->beat != row->beat) {
		member->moved_us = now_us;
	}
	member->term = row->term;
	member->beat = row->beat;
	member->released = !row->holder;
	member->stands = true;
}

/* Under the lock: whoever has no row any more was forgotten by this daemon or another. */
static void drop_rowless(struct members *members)
{
	for (size_t i = members->count; i-- > 0;)
		if (!members->rows[i].stands)
			members->rows[i] = members->rows[--members->count];
}

static void judge(struct members *members, int64_t now_us)
{
	for (size_t i = 0; i < members->count; i++) {
		struct member *member = &members->rows[i];
		bool alive = strcmp(member->name, members->node) == 0
				     ? lease_holds(members->lease)
				     : !member->released && now_us - member->moved_us < LEASE_FREE_US;
		if (alive != member->alive)
			log_line(LOG_LEVEL_INFO, alive ? "member_alive" : "member_gone",
				alive ? "a daemon on this store is alive" : "a daemon on this store is gone", "node",
				member->name, NULL);
		member->alive = alive;
	}
}

static enum err look(struct members *members, struct err_info *info)
{
	struct lease_row from, to;
	field_clear(lease_fields, &from);
	field_clear(lease_fields, &to);
	from.name = PREFIX;
	to.name = PREFIX_END;
	struct store_query query = {.collection = &leases_collection, .from = &from, .to = &to, .most = MEMBERS_MAX};
	struct arena *arena = arena_new(0);
	void *rows = NULL;
	size_t count = 0;
	enum err err = arena ? store_find(members->store, &query, arena, &rows, &count, info)
			     : err_set(info, ERR_NO_MEMORY, NULL, "no memory to look for other daemons");
	if (!err) {
		int64_t now_us = now_of();
		pthread_mutex_lock(&members->lock);
		for (size_t i = 0; i < members->count; i++)
			members->rows[i].stands = false;
		for (size_t i = 0; i < count; i++)
			take_row(members, (const struct lease_row *)rows + i, now_us);
		drop_rowless(members);
		judge(members, now_us);
		pthread_mutex_unlock(&members->lock);
	}
	arena_free(&arena);
	return err;
}

/* ---- forgetting ---- */

static bool left_anything_behind(struct members *members, const char *node)
{
	char name[2 * MEMBER_NAME_SIZE];
	struct lease_row row;
	struct err_info ignored;
	snprintf(name, sizeof name, "%s%s", members->left_behind, node);
	struct arena *arena = members->left_behind[0] ? arena_new(0) : NULL;
	bool none = !members->left_behind[0] ||
		    (arena && lease_read(members->store, name, arena, &row, &ignored) == ERR_NOT_FOUND);
	arena_free(&arena);
	return !none;
}

/* Its row goes, if it has not beaten since. */
static enum err forget(struct members *members, const struct member *member, struct err_info *info)
{
	char name[MEMBER_NAME_SIZE + sizeof PREFIX];
	snprintf(name, sizeof name, PREFIX "%s", member->name);
	const struct lease_row row = {.name = name};
	const struct store_change change = {.collection = &leases_collection,
		.row = &row,
		.verb = STORE_DELETE,
		.condition = STORE_EQUALS,
		.field = "beat",
		.value = member->beat};
	enum err err = store_write(members->store, &change, 1, NULL, info);
	if (!err)
		log_line(LOG_LEVEL_INFO, "member_forgotten", "a daemon that is gone for good is forgotten", "node",
			member->name, NULL);
	return err == ERR_CONDITION_FAILED ? ERR_OK : err;
}

/* The rows are this thread's to change, so it reads them without the lock. */
static enum err forget_some(struct members *members, struct err_info *info)
{
	int64_t now_us = now_of();
	enum err err = ERR_OK;
	for (size_t i = 0; i < members->count && !err; i++) {
		const struct member *member = &members->rows[i];
		if (!member->alive && strcmp(member->name, members->node) != 0 &&
			now_us - member->moved_us >= members->kept_us && !left_anything_behind(members, member->name))
			err = forget(members, member, info);
	}
	return err;
}

static enum err turn(struct members *members, struct err_info *info)
{
	bool held;
	enum err err = lease_try(members->lease, &held, info);
	if (!err)
		err = look(members, info);
	return err ? err : forget_some(members, info);
}

/* ---- the thread ---- */

static void run(void *argument)
{
	struct members *members = argument;
	while (turns_wait(members->turns, LEASE_BEAT_US)) {
		struct err_info info = {.code = ERR_OK};
		enum err err = turn(members, &info);
		if (err && err != members->last_fault)
			log_failure("members_failed", &info, NULL);
		members->last_fault = err;
	}
}

int64_t members_kept_us(const struct members *members)
{
	return members->kept_us;
}

bool members_alive(const struct members *members)
{
	return lease_holds(members->lease);
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(left, right);
}

static size_t list(struct members *members, bool alive, char ret_names[MEMBERS_MAX][MEMBER_NAME_SIZE])
{
	size_t count = 0;
	pthread_mutex_lock(&members->lock);
	for (size_t i = 0; i < members->count; i++) {
		bool own = strcmp(members->rows[i].name, members->node) == 0;
		if (own || members->rows[i].alive != alive)
			continue;
		if (ret_names)
			memcpy(ret_names[count], members->rows[i].name, MEMBER_NAME_SIZE);
		count++;
	}
	pthread_mutex_unlock(&members->lock);
	if (alive && count < MEMBERS_MAX) {
		if (ret_names)
			memcpy(ret_names[count], members->node, MEMBER_NAME_SIZE);
		count++;
	}
	if (ret_names)
		qsort(ret_names, count, MEMBER_NAME_SIZE, compare_names);
	return count;
}

size_t members_count(struct members *members, char ret_names[MEMBERS_MAX][MEMBER_NAME_SIZE])
{
	return list(members, true, ret_names);
}

size_t members_gone(struct members *members, char ret_names[MEMBERS_MAX][MEMBER_NAME_SIZE])
{
	return list(members, false, ret_names);
}

bool members_has(struct members *members, const char *node)
{
	if (strcmp(node, members->node) == 0)
		return members_alive(members);
	pthread_mutex_lock(&members->lock);
	const struct member *member = find(members, node);
	bool alive = member && member->alive;
	pthread_mutex_unlock(&members->lock);
	return alive;
}

enum err members_start(const struct members_options *options, struct members **ret_members, struct err_info *info)
{
	struct members *members = calloc(1, sizeof *members);
	char name[MEMBER_NAME_SIZE + sizeof PREFIX];
	if (!members)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to look for other daemons");
	*ret_members = members;
	members->store = options->store;
	snprintf(members->node, sizeof members->node, "%s", options->node);
	snprintf(members->left_behind, sizeof members->left_behind, "%s",
		options->left_behind ? options->left_behind : "");
	members->kept_us = options->kept_us ? options->kept_us : MEMBERS_KEPT_US;
	snprintf(name, sizeof name, PREFIX "%s", options->node);
	pthread_mutex_init(&members->lock, NULL);
	members->lease = lease_new(&(struct lease_options){.store = options->store,
		.name = name,
		.holder = options->node,
		.address = options->address,
		.heir = true});
	enum err err = members->lease ? turn(members, info)
				      : err_set(info, ERR_NO_MEMORY, NULL, "no memory to look for other daemons");
	if (!err) {
		err = turns_start("members", run, members, &members->turns);
		if (err)
			err_set(info, err, NULL, "the thread that looks for other daemons does not start");
	}
	if (err)
		members_stop(ret_members);
	return err;
}

void members_stop(struct members **members)
{
	struct members *own = *members;
	struct err_info info = {.code = ERR_OK};
	if (!own)
		return;
	turns_stop(&own->turns);
	if (own->lease && lease_release(own->lease, &info) != ERR_OK)
		log_failure("member_not_released", &info, NULL);
	lease_free(&own->lease);
	pthread_mutex_destroy(&own->lock);
	free(own);
	*members = NULL;
}
