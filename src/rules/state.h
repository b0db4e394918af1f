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

/* ---- shards (shards.c) ---- */

struct shard_batch {
	struct event_state_shard_batch is;
	struct verifier_set verifiers;
};

struct shards {
	uint32_t own; /* this one; 0: home */
	uint64_t seed;
	struct event_state_shard
		rows[RULES_SHARDS_MOST]; /* home: all market shards; a market shard: itself, once open */
	uint32_t count;
	/* a market shard: what it knows */
	struct shard_batch *batches;
	struct event_state_shard_account *accounts;
	uint32_t batches_count, batches_capacity, accounts_count, accounts_capacity;
	struct map batch_map, account_map;
	/* home: who has sent something to a market shard */
	struct id *members;
	uint32_t members_count, members_capacity;
	struct map member_map;
	bool restored; /* the snapshot has said whose it is */
};

void shards_start(struct shards *shards, uint32_t own, uint64_t seed);
void shards_free(struct shards *shards);
/* Room for one more of each. */
bool shards_reserve(struct shards *shards);
/* Whether this shard decides the command. ERR_SHARD_OTHER, ERR_SHARD_UNKNOWN, ERR_FORBIDDEN. */
enum err shards_admit(const struct shards *shards, const struct command *command, struct err_info *info) MUST_CHECK;
/* Whether an event of this type may be in this shard's journal. */
bool shards_allow(const struct shards *shards, uint16_t type);
/* The market shard of this number, or NULL. */
const struct event_state_shard *shards_row(const struct shards *shards, uint32_t shard);
bool shards_row_is(const struct event_state_shard *row, uint32_t kind, struct code8 currency);
/* Who has sent something to a market shard; there is room. */
bool shards_member(const struct shards *shards, struct id org);
void shards_member_add(struct shards *shards, struct undo *undo, struct id org);
/* What first comes of a batch says what it is; how it is held is told apart from then on. There is room. */
void shards_meet(struct shards *shards, struct undo *undo, const struct event *event);
/* What the market asks, in a market shard. */
bool shards_attributes(const struct shards *shards, uint64_t batch, struct market_attributes *ret_attributes);
enum err shards_movable(const struct shards *shards, struct id org, uint64_t batch, struct err_info *info) MUST_CHECK;
/* True for 170–179 and 270–279. */
bool shards_applies(uint16_t type);
enum err shards_snapshot(const struct shards *shards,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

struct rules {
	struct ledger *ledger;
	struct registry *registry;
	struct market *market;
	struct undo *undo;
	struct repeats repeats;
	struct shards shards;
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

/* A command of shard_commands.def, and an event that shards_applies. */
enum err shards_decide(struct rules *rules, struct decision *call, struct err_info *info) MUST_CHECK;
enum err shards_apply(
	struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
/* Its parts that move something (transit.c). */
enum err shards_out(struct rules *rules, struct decision *call, struct err_info *info) MUST_CHECK;
enum err shards_in(struct rules *rules, struct decision *call, struct err_info *info) MUST_CHECK;
enum err shards_sent_make(
	struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
enum err shards_received_make(
	struct rules *rules, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
/* The natural key of what is carried from the home shard under a number: of an event, or of a shard. */
struct hash carried_position_key(enum command_kind kind, uint64_t position);
/* What the market shards are to know after an event of the home shard; false: nothing. */
bool shards_tell(const struct rules *rules, const struct event *event, struct event *ret_told);

#endif
