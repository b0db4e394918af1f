/* The state behind rules.h, private to its files. */
#ifndef RULES_STATE_H
#define RULES_STATE_H

#include "carbond/base/map.h"
#include "carbond/market.h"
#include "carbond/rules.h"

/* ---- repeats: what was done under a command id, for 24 h; under a natural key, for ever ---- */

struct repeat {
	struct id org, command;
	struct hash request_hash;
	uint32_t kind, events;
	uint64_t number, position;
	uint32_t next; /* in its minute's list, or in the free list; MAP_NONE ends */
};

struct natural {
	struct hash key, request_hash;
	uint32_t source, kind, events;
	uint64_t number, position;
};

#define REPEAT_MINUTES 2048 /* more than 24 h and the time that ids may run ahead */

struct minute {
	uint32_t first; /* list of repeats whose minute is this one modulo REPEAT_MINUTES */
	int64_t lowest; /* minute of the oldest of them; INT64_MAX: none */
};

struct repeats {
	uint64_t seed;
	struct repeat *items;
	uint32_t used, capacity, free; /* free: list through next */
	struct map map;
	struct minute minutes[REPEAT_MINUTES];
	struct natural *naturals;
	uint32_t natural_count, natural_capacity;
	struct map natural_map;
	uint64_t source_position[COMMAND_SOURCE_COUNT];
};

void repeats_start(struct repeats *repeats, uint64_t seed);
void repeats_free(struct repeats *repeats);
/* Room for one more of each. */
enum err repeats_reserve(struct repeats *repeats) MUST_CHECK;
void repeats_prefetch(const struct repeats *repeats, struct id command); /* a find comes soon */
const struct repeat *repeats_find(const struct repeats *repeats, struct id org, struct id command);
/* Whether another organisation has given a command this id. */
bool repeats_others(const struct repeats *repeats, struct id org, struct id command);
/* Enters a new one; there must be room. */
void repeats_put(struct repeats *repeats, const struct repeat *repeat);
/* The order of snapshots: by organisation, then command. */
int repeats_compare(const struct repeat *a, const struct repeat *b);
/* Takes one of a snapshot into a new table, where there must be room; false where it does not follow the one before it. None
 * is found before repeats_index, which ends the snapshot; false without memory. */
bool repeats_restore(struct repeats *repeats, const struct repeat *repeat);
bool repeats_index(struct repeats *repeats);
/* True where some repeat lies before the horizon; and forgets them all. */
bool repeats_due(const struct repeats *repeats, int64_t horizon_us);
void repeats_forget(struct repeats *repeats, int64_t horizon_us);
const struct natural *natural_find(const struct repeats *repeats, struct hash key);
void natural_put(struct repeats *repeats, const struct natural *natural);

/* ---- actors ---- */

struct actor {
	struct id id, org;
};

struct rules {
	struct ledger *ledger;
	struct registry *registry;
	struct market *market;
	struct undo *undo;
	struct repeats repeats;
	struct actor *actors; /* number − 1 */
	uint32_t actor_count, actor_capacity;
	struct map actor_map;
	uint64_t seed;
	uint64_t position;
	int64_t time_us;
	int64_t horizon_us;
	uint32_t fail_event;           /* rules_fail_event; 0: none */
	struct event_scratch *scratch; /* for rules_restore */
	/* while a snapshot is read */
	struct sha256 restore_hash;
	uint64_t restore_records;
	bool restoring;
};

/* Applies without looking at numbers and time; snapshots use it too. */
enum err rules_make_true(
	struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
uint32_t actor_find(const struct rules *rules, struct id id, struct id org); /* MAP_NONE: none */
bool rules_reserve(struct rules *rules);

#endif
