/* Decides who holds a lease: whoever raised its beat last, for as long as that is fresh. Every write of the row is a
 * compare-and-set on the beat, which only rises, so it is one on the term as well. The calling thread. */
#include "carbond/store/lease.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "carbond/base/clock.h"

#define NAME_SIZE    65
#define HOLDER_SIZE  32
#define ADDRESS_SIZE 256
#define NEVER        INT64_MIN

const struct field lease_fields[] = {
	FIELD(struct lease_row, name, FIELD_TEXT, .min = 1, .max = NAME_SIZE - 1, .doc = "what is leased"),
	FIELD(struct lease_row, holder, FIELD_TEXT, .max = HOLDER_SIZE - 1, .doc = "the node; absent: released"),
	FIELD(struct lease_row, address, FIELD_TEXT, .max = ADDRESS_SIZE - 1, .doc = "where the node is reached"),
	FIELD(struct lease_row, term, FIELD_INT, .min = 1, .doc = "how often it has been taken"),
	FIELD(struct lease_row, beat, FIELD_INT, .min = 1, .doc = "rises with every write"), FIELD_END};

const struct store_collection leases_collection = {.name = "leases",
	.class = STORE_VALUE,
	.fields = lease_fields,
	.row_size = sizeof(struct lease_row),
	.key = {"name"},
	.shard_key = "name",
	.momentary = true,
	.doc = "Which daemon does what only one may do at a time"};

const struct store_collection *const lease_collections[] = {&leases_collection, NULL};

struct lease {
	/* constant */
	struct store *store;
	char name[NAME_SIZE], holder[HOLDER_SIZE], address[ADDRESS_SIZE];
	int64_t (*clock_us)(void *context);
	void *context;
	bool heir, standing_only;

	/* the thread that tries */
	bool held;                     /* the row is ours, as far as we know */
	int64_t seen_term, seen_beat;  /* of the row as it was last seen or written */
	char seen_holder[HOLDER_SIZE]; /* "": released */
	int64_t moved_us;              /* when they were first seen; NEVER: not yet */

	/* any thread */
	atomic_int_fast64_t until_us; /* it is held before; NEVER: not held */
	atomic_int_fast64_t term;
};

static int64_t kernel_clock_us(void *context)
{
	(void)context;
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * CLOCK_US_PER_SECOND + now.tv_nsec / 1000;
}

static int64_t now_of(const struct lease *lease)
{
	return lease->clock_us(lease->context);
}

struct lease *lease_new(const struct lease_options *options)
{
	struct lease *lease = calloc(1, sizeof *lease);
	if (!lease)
		return NULL;
	lease->store = options->store;
	snprintf(lease->name, sizeof lease->name, "%s", options->name);
	snprintf(lease->holder, sizeof lease->holder, "%s", options->holder);
	snprintf(lease->address, sizeof lease->address, "%s", options->address ? options->address : "");
	lease->clock_us = options->clock_us ? options->clock_us : kernel_clock_us;
	lease->context = options->context;
	lease->heir = options->heir;
	lease->standing_only = options->standing_only;
	lease->moved_us = NEVER;
	atomic_init(&lease->until_us, NEVER);
	atomic_init(&lease->term, 0);
	return lease;
}

void lease_free(struct lease **lease)
{
	free(*lease);
	*lease = NULL;
}

bool lease_holds(const struct lease *lease)
{
	return now_of(lease) < atomic_load(&lease->until_us);
}

int64_t lease_term(const struct lease *lease)
{
	return atomic_load(&lease->term);
}

enum err lease_read(
	struct store *store, const char *name, struct arena *arena, struct lease_row *ret_row, struct err_info *info)
{
	field_clear(lease_fields, ret_row);
	ret_row->name = name;
	return store_get(store, &leases_collection, ret_row, arena, info);
}

/* ---- writing ---- */

/* Writes the row where its beat is the one that was seen (0: where there is no row). ERR_CONDITION_FAILED: another was
 * faster. What the clock said before the write is what counts: it may become visible at any moment from then on. */
static enum err row_write(struct lease *lease, int64_t term, bool release, struct err_info *info)
{
	struct lease_row row = {.name = lease->name,
		.holder = release ? NULL : lease->holder,
		.address = release || !lease->address[0] ? NULL : lease->address,
		.term = term,
		.beat = lease->seen_beat + 1};
	struct store_change change = {.collection = &leases_collection,
		.row = &row,
		.verb = STORE_PUT,
		.condition = lease->seen_beat ? STORE_EQUALS : STORE_ABSENT,
		.field = "beat",
		.value = lease->seen_beat};
	int64_t began_us = now_of(lease);
	enum err err = store_write(lease->store, &change, 1, NULL, info);
	if (err)
		return err;
	lease->seen_term = term;
	lease->seen_beat = row.beat;
	lease->moved_us = began_us;
	lease->held = !release;
	return ERR_OK;
}

/* Others may rely on it from now on. */
static void hold(struct lease *lease)
{
	atomic_store(&lease->term, lease->seen_term);
	atomic_store(&lease->until_us, lease->moved_us + LEASE_HOLD_US);
}

static void forget(struct lease *lease)
{
	lease->held = false;
	atomic_store(&lease->until_us, NEVER);
}

/* ---- looking ---- */

/* Reads the row and says whether it may be taken. The time is taken after the read: a beat seen late is a beat all the same. */
static enum err look(struct lease *lease, bool *ret_free, struct err_info *info)
{
	struct lease_row row;
	struct arena *arena = arena_new(0);
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to look at the lease %s", lease->name);
	enum err err = lease_read(lease->store, lease->name, arena, &row, info);
	int64_t now_us = now_of(lease);
	bool absent = err == ERR_NOT_FOUND;
	int64_t term = absent ? 0 : row.term, beat = absent ? 0 : row.beat;
	bool released = !err && !row.holder;
	snprintf(lease->seen_holder, sizeof lease->seen_holder, "%s", err || released ? "" : row.holder);
	bool inherited = lease->heir && strcmp(lease->seen_holder, lease->holder) == 0;
	arena_free(&arena);
	if (err && !absent)
		return err;
	if (lease->moved_us == NEVER || term != lease->seen_term || beat != lease->seen_beat)
		lease->moved_us = now_us;
	lease->seen_term = term;
	lease->seen_beat = beat;
	*ret_free = (absent && !lease->standing_only) || released || inherited ||
		    (!absent && now_us - lease->moved_us >= LEASE_FREE_US);
	return ERR_OK;
}

static enum err take_where_free(struct lease *lease, struct err_info *info)
{
	bool is_free = false;
	enum err err = look(lease, &is_free, info);
	if (err || !is_free)
		return err;
	err = row_write(lease, lease->seen_term + 1, false, info);
	if (err)
		return err == ERR_CONDITION_FAILED ? ERR_OK : err;
	/* before anybody writes under it: what runs into a transaction of the holder before may wait longer than that lasts */
	if (lease->seen_holder[0])
		err = store_end_writes(lease->store, lease->seen_holder, info);
	hold(lease);
	return err;
}

enum err lease_try(struct lease *lease, bool *ret_held, struct err_info *info)
{
	enum err err;
	if (lease->held) {
		err = row_write(lease, lease->seen_term, false, info);
		if (!err)
			hold(lease);
		if (err == ERR_CONDITION_FAILED) {
			forget(lease);
			err = take_where_free(lease, info);
		}
	} else {
		err = take_where_free(lease, info);
	}
	*ret_held = lease_holds(lease);
	return err;
}

enum err lease_release(struct lease *lease, struct err_info *info)
{
	bool held = lease->held;
	forget(lease); /* before anybody else may take it */
	if (!held)
		return ERR_OK;
	enum err err = row_write(lease, lease->seen_term, true, info);
	return err == ERR_CONDITION_FAILED ? ERR_OK : err;
}

enum err lease_remove(struct lease *lease, struct err_info *info)
{
	const struct lease_row row = {.name = lease->name};
	const struct store_change change = {.collection = &leases_collection,
		.row = &row,
		.verb = STORE_DELETE,
		.condition = STORE_EQUALS,
		.field = "beat",
		.value = lease->seen_beat};
	bool held = lease->held;
	forget(lease);
	if (!held)
		return ERR_OK;
	enum err err = store_write(lease->store, &change, 1, NULL, info);
	return err == ERR_CONDITION_FAILED ? ERR_OK : err;
}
