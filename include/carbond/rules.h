/* rules: the whole value state of a shard as one deterministic machine over ledger and registry: execute, apply, undo, repeats, state
 * hash, canonical snapshot (decision 8). PURE: time is an argument; no clock, no randomness, no I/O. One thread at a time. */
#ifndef CARBOND_RULES_H
#define CARBOND_RULES_H

#include "carbond/events.h"
#include "carbond/ledger.h"
#include "carbond/market.h"
#include "carbond/registry.h"

struct rules;

/* Commands' own time may run ahead of the journal's by so much. */
#define RULES_ID_AHEAD_US INT64_C(600000000)
#define RULES_REPEATS_US  INT64_C(86400000000) /* how long a command id is remembered (decision 11) */
#define RULES_GUARD_SIZE  40
#define RULES_GUARDS_MAX  (EVENTS_CLAIM_HOURS_MAX + 1)

/* `registry` is the registry's id; `seed` of hash indexes never shows in a result. NULL without memory. */
struct rules *rules_new(struct id registry, uint64_t seed);
/* The same for another shard than home (docs/SHARDS.md): it takes nothing before it has been opened. Number 0 is rules_new. */
struct rules *rules_new_shard(struct id registry, uint32_t shard, uint64_t seed);
void rules_free(struct rules **rules);

/* ---- executing ---- */

struct rules_guard {
	uint8_t key[RULES_GUARD_SIZE];
	size_t size;
};

/* Where a command's events and guard keys go; the caller's buffers. Each call adds behind what is there; a refused command
 * adds nothing. There must be room for EVENTS_BYTES_PER_COMMAND and RULES_GUARDS_MAX. */
struct rules_output {
	uint8_t *bytes;
	size_t size, capacity;
	struct rules_guard *guards;
	size_t guard_count, guard_capacity;
	uint32_t event_count;
};

struct rules_result {
	bool repeated;     /* answered from the table of repeats; nothing was added */
	uint64_t number;   /* batch or retirement number that the command made, else 0 */
	uint64_t position; /* number of its last event; 0: it had none (a tick without anything due) */
	uint32_t events;
};

/* Decides a command at `now_us` (the journal's time becomes the larger of it and the last) and makes its events true. On
 * a refusal the state is as it was. Refusals: those of registry_decide and ledger_decide, ERR_COMMAND_ID_INVALID, ERR_COMMAND_REUSED,
 * ERR_SOURCE_POSITION, ERR_COMMAND_TOO_LARGE, ERR_NO_MEMORY. */
enum err rules_execute(struct rules *rules, const struct command *command, int64_t now_us, struct rules_output *output,
	struct rules_result *ret_result, struct err_info *info) MUST_CHECK;

/* A command that follows from the state alone: a stop that was reached, an order whose trades were too many for one command. It
 * is to be executed before any other. False: there is none. */
bool rules_due(struct rules *rules, struct command *ret_command);

/* Says that this command is executed soon, so that what it looks up is on its way from memory by then; in stages, some commands
 * apart: each asks for what that before it leads to. */
#define RULES_PREFETCH_STAGES 4
void rules_prefetch(const struct rules *rules, const struct command *command, unsigned stage);

/* The position of a client's command that has been carried out within the last 24 h, or 0. */
uint64_t rules_repeat_position(const struct rules *rules, struct id org, struct id command);

/* For tests: the event of the next command with this index (1, 2, …) fails with ERR_NO_MEMORY before it is applied. */
void rules_fail_event(struct rules *rules, uint32_t index);

/* ---- replay ---- */

/* Makes a journalled event true: nothing is decided. ERR_JOURNAL_INVALID: the state is then worthless. */
enum err rules_apply(struct rules *rules, const struct event *event, struct err_info *info) MUST_CHECK;

/* ---- snapshots ---- */

/* Writes the state as records of state_start … state_end, which carries count, state hash, and the journal batch that ends
 * at the state's position. `put` takes one encoded record a call. `ret_hash` may be NULL. */
enum err rules_snapshot(const struct rules *rules, uint64_t journal_seq, struct hash journal_hash,
	enum err (*put)(void *context, const uint8_t *record, size_t size), void *context, struct hash *ret_hash,
	struct err_info *info) MUST_CHECK;

/* SHA-256 ("carbond/state/1") of the snapshot's records before state_end: equal states have equal hashes. */
enum err rules_state_hash(const struct rules *rules, struct hash *ret_hash, struct err_info *info) MUST_CHECK;

/* Takes the records of a snapshot, one a call, into a new state. `*ret_end` is filled, and its batch number
 * not zero, once state_end has come and count and hash agree. ERR_JOURNAL_INVALID or ERR_RECORD_INVALID: not a valid
 * snapshot; the state is worthless. */
enum err rules_restore(struct rules *rules, const uint8_t *record, size_t size, struct event_state_end *ret_end,
	struct err_info *info) MUST_CHECK;

/* ---- shards ---- */

#define RULES_SHARDS_MOST 64 /* market shards */

/* The shard of this state. */
uint32_t rules_shard(const struct rules *rules);
/* What an event in the journal of one shard has the carrier submit to another; false: nothing. `ret_command` borrows the event's lists. The
 * same event gives the same command, which happens once. Any thread. */
bool rules_carried(uint32_t from_shard, const struct event *event, uint32_t to_shard, struct command *ret_command);

struct rules_under_way {
	int64_t kg, micros; /* sent and not yet arrived, both ways */
};
/* P1, P2 and P3 over the home shard and a market shard: what this has was sent to it. The home shard's state is not behind what the
 * market shard has received. It takes as long as they are large. ERR_JOURNAL_INVALID, ERR_NO_MEMORY. */
enum err rules_shards_check(const struct rules *home, const struct rules *market, struct rules_under_way *ret_under_way,
	struct err_info *info) MUST_CHECK;

/* ---- reading ---- */

uint64_t rules_position(const struct rules *rules); /* number of the last event */
int64_t rules_time_us(const struct rules *rules);   /* the journal's time */
/* Kilograms of all batches in a state; and issued. */
int64_t rules_state_kg(const struct rules *rules, enum kg_state state);
int64_t rules_issued_kg(const struct rules *rules);
/* P1, P2, P3 from the ground. ERR_JOURNAL_INVALID with the first fault in `info`. */
enum err rules_check(const struct rules *rules, struct err_info *info) MUST_CHECK;
/* The parts, for reading. */
const struct ledger *rules_ledger(const struct rules *rules);
const struct market *rules_market(const struct rules *rules);
const struct registry *rules_registry(const struct rules *rules);

#endif
