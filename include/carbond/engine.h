/* engine: the single writer of a shard: on a store that several daemons share, the one of them that leads, while the others follow by replay.
 * One thread drains a bounded mailbox, executes a batch of commands, appends their events once to
 * `journal.<shard>` with guard keys and vault rows, and only then answers (group commit); meanwhile it executes the next batch, of
 * which nothing is appended or answered before. Further threads: the appender (one append at a time), the replayer (writes
 * snapshots from a second copy of the state) and one per consumer. Views are projected by one consumer. */
#ifndef CARBOND_ENGINE_H
#define CARBOND_ENGINE_H

#include "carbond/base/field.h"
#include "carbond/engine/views_escrow.h"
#include "carbond/engine/views_ledger.h"
#include "carbond/engine/views_market.h"
#include "carbond/engine/views_prices.h"
#include "carbond/engine/views_offers.h"
#include "carbond/engine/views_operations.h"
#include "carbond/engine/views_registry.h"
#include "carbond/engine/views_route.h"
#include "carbond/events.h"
#include "carbond/runtime.h"
#include "carbond/store.h"

struct engine;

/* Home: the registry's own shard, which a daemon runs, and whose journal others read (docs/SHARDS.md). */
#define ENGINE_SHARD  0u
#define ENGINE_STREAM "journal.0"

/* ---- the vault: texts and personal data; the journal holds their salted hash (decision 7) ---- */

struct vault_row {
	struct hash hash;     /* key: seal_text_hash(salt, text), as in the journal */
	struct id org_id;     /* whose it is */
	struct id command_id; /* the command that cites it; set by engine_submit */
	const char *kind;     /* "beneficiary", "reason" */
	const char *text;     /* sealed at rest; NULL: erased */
	struct bytes salt;    /* sealed at rest; 16 bytes; NULL: erased */
	int64_t created_at;   /* µs UTC */
	int64_t erased_at;    /* FIELD_ABSENT: not erased */
};
extern const struct field vault_fields[];
extern const struct store_collection vault_collection; /* class STORE_VALUE */

/* Fills a row for `text` (≤ LIMIT_TEXT_BYTES) with a new salt, everything in the arena; its hash goes into the command.
 * NULL or "" gives the zero hash: then no row is to be submitted. */
enum err vault_make(struct id org, const char *kind, const char *text, int64_t now_us, struct arena *arena,
	struct vault_row *ret_row) MUST_CHECK;
/* The row of a hash: its text is NULL when erased. ERR_NOT_FOUND. Blocks on the store. */
enum err vault_get(struct store *store, struct hash hash, struct arena *arena, struct vault_row *ret_row,
	struct err_info *info) MUST_CHECK;
/* The change that erases the row (salt and text destroyed), for audit_write to carry out with its record. */
void vault_erase_change(struct vault_row *row, int64_t now_us, struct store_change *ret_change);

/* ---- start and stop ---- */

struct engine_options {
	struct store *store;
	const char *node;        /* name of this daemon, for the batches */
	const char *address;     /* where other daemons on the same store reach this one; NULL: nowhere */
	struct id registry;      /* the registry's id: part of every issuanceId; fixed at the first start */
	uint32_t shard;          /* 0: home. A market shard has no views and shows no metrics of its own */
	size_t mailbox_capacity; /* 0: LIMIT_ENGINE_MAILBOX */
	int64_t snapshot_events; /* a snapshot after so many events; 0: LIMIT_ENGINE_SNAPSHOT_EVENTS */
	/* Called once, on the engine thread, when it must stop the process: ERR_POSITION_TAKEN (another writer where there may be
	 * none: the store is not shared), ERR_GUARD_TAKEN (state and guards disagree), ERR_STORE_LATCHED (failed fsync). The
	 * engine answers every further command with it. */
	void (*on_stop)(void *context, enum err reason, const struct err_info *info);
	/* Called on the engine thread when this daemon has taken the lead and when it has lost it; NULL: nobody.
	 * Not called where the store is not shared. */
	void (*on_lead)(void *context, bool leads);
	void *context;
	/* For tests: the wall clock and the monotonic clock in µs; NULL: the kernel's. */
	int64_t (*wall_us)(void *context);
	int64_t (*monotonic_us)(void *context);
	/* True where the kernel calls its clock synchronised (decision 10); NULL: asked from the kernel. */
	bool (*clock_synchronised)(void *context);
	bool no_views; /* tests: no projector */
};

/* Loads the newest valid snapshot, replays the journal and starts the threads. On a shared store it waits until a daemon leads,
 * this one or another, though not for long. ERR_STORE_CORRUPT where the journal does not replay, ERR_RECORD_INVALID for records of
 * a newer version. Main thread. */
enum err engine_start(
	const struct engine_options *options, struct engine **ret_engine, struct err_info *info) MUST_CHECK;
/* Refuses new commands, finishes those taken, joins all threads. NULL is allowed; the pointer becomes NULL. */
void engine_stop(struct engine **engine);
/* False after on_stop, while the store refuses writes, or while no daemon is known to lead; `reason` then says why in a sentence. Any thread. */
bool engine_ready(struct engine *engine, char *reason, size_t size);

/* Rows for store_open: vault, cursors and all views. NULL-terminated. */
extern const struct store_collection *const engine_collections[];

/* ---- leading: on a shared store one daemon executes commands, under the lease `journal.0`. What it may write is decided by the
 * journal's next position alone; the lease says when another may try. The others replay, and know whom to ask. ---- */

struct engine_leader {
	char node[32];     /* "": none is known */
	char address[256]; /* where it is reached; "": nowhere */
	bool is_self;
	int64_t term; /* of the lease; 0: none is known, or the store is not shared */
};

/* Who leads, as far as this daemon knows. Never blocks. Any thread. */
void engine_leader(struct engine *engine, struct engine_leader *ret_leader);
/* Whether this daemon leads now. Always where the store is not shared. Never blocks. Any thread. */
bool engine_leads(const struct engine *engine);
/* Gives the lead to another, for good: what was taken is finished, further commands are refused with ERR_NOT_LEADER. Nothing
 * where the store is not shared. Does not wait. Any thread. */
void engine_resign(struct engine *engine);

/* ---- commands ---- */

/* The result of a reply that completed with ERR_OK. */
struct engine_result {
	enum command_kind kind;
	uint32_t shard;
	bool repeated;     /* answered from the table of repeats: nothing happened again */
	int64_t position;  /* number of the command's last event */
	uint64_t number;   /* batch or retirement number that it made, else 0 */
	struct id command; /* id of a transfer or retirement */
};

/* Submits a copy of the command and of `rows`, whose hashes it cites; they become durable together or not at all. The reply
 * completes with ERR_OK and a struct engine_result once durable, or with the refusal. A client's command with rows leaves its
 * request_hash zero: it is then made of the body, whose texts are salted, so that nothing in the journal gives a text away;
 * a repeat is compared under the salt of the first. Never blocks. ERR_BUSY (mailbox
 * full), ERR_STOPPING; then the reply stays the caller's, untouched. A daemon that does not lead completes it with ERR_NOT_LEADER;
 * so does one that loses the lead, where the command came to nothing here. Any thread. */
enum err engine_submit(struct engine *engine, const struct command *command, const struct vault_row *rows,
	size_t row_count, struct runtime_reply *reply) MUST_CHECK;

/* engine_submit and wait, for threads that may block. */
enum err engine_command(struct engine *engine, const struct command *command, const struct vault_row *rows,
	size_t row_count, int64_t deadline_us, struct engine_result *ret_result, struct err_info *info) MUST_CHECK;

/* Confirms the clock after a jump, so that timers go on (decision 10). Any thread. */
void engine_confirm_clock(struct engine *engine);
/* True while expiry is halted by a clock jump. */
bool engine_clock_halted(struct engine *engine);

/* ---- positions ---- */

/* Number of the last durable event. Any thread. */
int64_t engine_position(struct engine *engine);
/* Number of the last event in the views. Any thread. */
int64_t engine_views_position(struct engine *engine);
/* Waits until the views hold `position` or `deadline_us` (monotonic): ERR_DEADLINE. For at-least (decision 12). */
enum err engine_wait_position(struct engine *engine, int64_t position, int64_t deadline_us) MUST_CHECK;

/* The hash of the whole state that this daemon has come to, by executing or by following, and the position that it belongs to: two daemons
 * that are at one position have one hash, which is also that of the journal's replay (P8). The engine does nothing else while it makes
 * it, about a second for a million records: for tests and operators who compare. ERR_BUSY where there is no state now; ERR_DEADLINE,
 * ERR_STOPPING. Blocks; any thread but the engine's. */
enum err engine_state_hash(struct engine *engine, int64_t deadline_us, int64_t *ret_position, struct hash *ret_hash,
	struct err_info *info) MUST_CHECK;

/* ---- reading the journal; blocks on the store ---- */

/* Calls `each` for every event numbered ≥ from_position in order until it returns other than ERR_OK, and returns that. The
 * event is borrowed for the call. */
enum err engine_journal_read(struct store *store, int64_t from_position,
	enum err (*each)(void *context, const struct event *event), void *context, struct err_info *info) MUST_CHECK;

/* ---- backups of the journal; no engine runs; blocks on the store ---- */

/* Number of the last event in a journal batch, from its payload; 0 where it holds none. */
int64_t engine_batch_position(const struct store_batch *batch);

/* What the journal leads to. */
struct engine_replay {
	int64_t position, time_us, batches;
	struct hash state; /* of the whole state */
	struct hash root;  /* RFC 6962, over the records */
	struct hash head;  /* of the last batch */
	int64_t issued_kg, state_kg[KG_STATE_COUNT];
	bool is_restored; /* the last event says that a restore ended there */
};

/* Replays the journal from its first event, without snapshots: hash chain, every record, trial balance (P1, P2, P3) from the
 * ground. ERR_STORE_CORRUPT, ERR_JOURNAL_INVALID. */
enum err engine_replay_check(
	struct store *store, struct id registry, struct engine_replay *ret_replay, struct err_info *info) MUST_CHECK;

struct engine_restore {
	const char *node;
	struct id registry;
	int64_t now_us;
	int64_t lost_position;          /* last event known to be lost; 0: none is */
	uint64_t lost_seq;              /* batch that held it, */
	uint64_t lost_term;             /* its term */
	struct hash lost_head;          /* and its hash */
	const struct vault_row *reason; /* from vault_make; NULL: none was given */
};

/* Ends a restore: appends the event `restored` behind the journal, and sets back what consumers had read beyond it. Once: where
 * the journal ends with it already, nothing is done. `*ret_position` is the event's number. */
enum err engine_record_restore(struct store *store, const struct engine_restore *restore, int64_t *ret_position,
	struct err_info *info) MUST_CHECK;

/* ---- consumers: everything that follows a change reads the journal from its own stored cursor ---- */

struct engine_consumer;

struct engine_consumer_options {
	const char *name;       /* key of its cursor, stable */
	enum store_class class; /* of its cursor: STORE_VALUE, or STORE_VIEWS for what can be rebuilt */
	/* Events of one or more journal batches or part of one, in order, on the consumer's thread; may block. Other than ERR_OK: called
	 * again later from the same place. Delivery is at least once. */
	enum err (*each)(void *context, const struct event *events, size_t count, struct err_info *info);
	void *context;
	/* Keeps no cursor: begins behind the last durable event (event streams). It runs on every daemon; all others run where
	 * the lead is, and go on from the stored cursor when it moves. */
	bool ephemeral;
};

/* Starts a consumer on a thread of its own, from its stored cursor. ERR_NO_MEMORY, ERR_STORE_… . Main thread. */
enum err engine_consumer_start(struct engine *engine, const struct engine_consumer_options *options,
	struct engine_consumer **ret_consumer, struct err_info *info) MUST_CHECK;
/* Last event handled and stored. Any thread. */
int64_t engine_consumer_position(const struct engine_consumer *consumer);
void engine_consumer_stop(struct engine_consumer **consumer);

/* ---- the carrier between two shards of one store (docs/SHARDS.md): a consumer of the one's journal that submits to the other. It
 * goes on from its stored cursor, and whatever it submits again is a repeat. What is refused is tried again and again, and logged; nothing
 * behind it is carried meanwhile. ---- */

struct engine_carrier;

/* Both run, and outlive it. ERR_NO_MEMORY, ERR_STORE_… . Main thread. */
enum err engine_carrier_start(
	struct engine *from, struct engine *to, struct engine_carrier **ret_carrier, struct err_info *info) MUST_CHECK;
/* Number of the last event of `from` that has been carried and stored. Any thread. */
int64_t engine_carrier_position(const struct engine_carrier *carrier);
/* Before the engines. NULL is allowed; the pointer becomes NULL. */
void engine_carrier_stop(struct engine_carrier **carrier);

/* ---- views (class STORE_VIEWS): rows carry the position of the last event applied; those of the rooms are in
 * carbond/engine/views_<room>.h ---- */

struct actor_row {
	int64_t number; /* key: as in the headers of events */
	struct id actor_id, org_id;
	int64_t position;
};
extern const struct field actor_fields[];
extern const struct store_collection actors_collection;

/* The actor behind a header's number, from the views; zero id for 0. ERR_NOT_FOUND. Blocks on the store. */
enum err engine_actor_get(struct store *store, uint64_t number, struct id *ret_actor, struct err_info *info) MUST_CHECK;

#endif
