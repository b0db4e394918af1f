/* The engine's inside, private to its files. Sections are labelled by the thread that owns them. */
#ifndef ENGINE_PARTS_H
#define ENGINE_PARTS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/map.h"
#include "carbond/engine.h"
#include "carbond/rules.h"

#define NODE_SIZE 32

/* The log of a shard's events. */
void journal_name(uint32_t shard, char ret_stream[STORE_STREAM_SIZE]);

/* ---- a submitted command: one block of memory with copies of all that it cites ---- */

struct pending {
	struct command command;
	struct vault_row *rows; /* in this block */
	size_t row_count;
	struct runtime_reply *reply;
	struct engine_result result;
	enum err code;
	struct err_info *refusal; /* owned; NULL where there is none, or no memory for one */
};

struct pending *pending_new(
	const struct command *command, const struct vault_row *rows, size_t row_count, struct runtime_reply *reply);
/* Notes that the command is refused, and why. */
void pending_refuse(struct pending *pending, enum err code, const struct err_info *info);
/* Completes the reply with what `pending` says and lets go of it. */
void pending_answer(struct pending *pending);

/* ---- time ---- */

struct engine_clock {
	int64_t (*wall_us)(void *context);
	int64_t (*monotonic_us)(void *context);
	bool (*synchronised)(void *context);
	void *context;
	int64_t offset_us; /* wall − monotonic as it was last right: at the start or confirmed, and followed while it drifts */
	int64_t looked_us; /* monotonic */
	int64_t next_tick_us;
	atomic_bool halted, confirm;
};

void clock_start(struct engine_clock *clock, const struct engine_options *options);
/* The time now as the journal takes it: the wall's, of an unconfirmed jump ahead half a day at most. Sees jumps against the
 * monotonic clock, which halt expiry until confirmed. Engine thread. */
int64_t clock_look(struct engine_clock *clock);
/* True when a tick is due; engine thread. */
bool clock_tick_due(struct engine_clock *clock);

/* ---- loading: snapshot and journal ---- */

struct loaded {
	struct rules *rules;
	uint64_t seq; /* journal batch that ends at the state's position */
	struct hash hash;
	uint64_t snapshot_position; /* 0: from the journal's beginning */
};

/* The newest valid snapshot, else an empty state. `discards`: deletes those that are not valid; only at a start, when none is
 * being written. ERR_NO_MEMORY. */
enum err snapshot_load(struct store *store, struct id registry, uint32_t shard, bool discards,
	struct loaded *ret_loaded, struct err_info *info) MUST_CHECK;
/* Applies the journal behind `loaded` up to its head, or to at most `most` batches (0: all). */
enum err journal_replay(struct store *store, struct loaded *loaded, size_t most, struct err_info *info) MUST_CHECK;
/* The journal batch that holds event `position` (or the one behind the head). */
enum err journal_seq_of(struct store *store, int64_t position, uint64_t *ret_seq, struct err_info *info) MUST_CHECK;
/* Writes the state as a snapshot and deletes all but the two newest. */
enum err snapshot_write(
	struct store *store, const char *node, const struct loaded *loaded, struct err_info *info) MUST_CHECK;

/* Puts the salts of a command's first submission in the place of those of its repeat, so that equal texts have equal hashes:
 * in the rows and in the command's body. Where there are none (erased) nothing changes. Engine thread. */
enum err vault_resalt(struct store *store, struct command *command, struct vault_row *rows, size_t row_count,
	struct err_info *info) MUST_CHECK;

/* ---- the engine ---- */

/* What others may ask of the state without waiting for it. */
struct totals {
	int64_t position, issued_kg, state_kg[KG_STATE_COUNT];
};

/* A batch: commands that are executed together, appended together and answered together. */
struct commit {
	struct pending **taken; /* commands of this batch, refused ones too */
	size_t taken_count;
	struct rules_output output;
	struct store_guard *guards;
	struct store_change *changes;
	size_t change_count;
	int64_t began_us;     /* monotonic */
	int64_t now_us;       /* wall */
	struct totals totals; /* of the state behind its last command */
};

/* The append in flight: one at most (decision 9). Between flight_begin and flight_end all but the semaphores is the appender
 * thread's, and what it cites is left alone. */
struct flight {
	sem_t begun, ended;
	struct store_append append;
	struct store_batch batch;
	enum err err;
	struct err_info info;
	bool stops; /* instead of another append */
};

struct lead;

struct engine {
	/* constant after start */
	struct store *store;
	char node[NODE_SIZE];
	struct id registry;
	uint32_t shard;
	char stream[STORE_STREAM_SIZE]; /* its journal */
	int64_t snapshot_events;
	void (*on_stop)(void *context, enum err reason, const struct err_info *info);
	void *context;
	struct mailbox *mailbox;
	struct thread *thread, *appender, *replayer;
	struct engine_consumer *views;
	struct projector *projector;
	struct lead *lead; /* NULL: the store is not shared, and we always lead */
	void (*on_lead)(void *context, bool leads);

	/* replayer thread */
	int64_t snapshot_position; /* of the newest snapshot that the state can be loaded from; 0: none */

	/* engine thread */
	struct engine_clock clock;
	struct loaded state;
	uint64_t term;
	struct commit commits[2];
	struct commit *filling; /* is being executed, on top of … */
	struct commit *flying;  /* … the one that is being appended; NULL: none is */
	void **inbox;
	bool stale; /* the state was dropped and could not be loaded yet */

	/* engine and appender thread by turns */
	struct flight flight;

	/* all threads */
	atomic_int_fast64_t position; /* last durable event */
	atomic_int_fast64_t views_position;
	atomic_int_fast64_t state_kg[KG_STATE_COUNT];
	atomic_bool stopping;
	atomic_int stop_reason; /* enum err; ERR_OK: none */
	pthread_mutex_t lock;   /* of `moved` and `hashed` */
	pthread_cond_t moved;   /* position, views_position or `hashed` has changed, or the engine stops */

	struct {
		atomic_int_fast64_t asked, answered; /* so often */
		int64_t position;
		struct hash hash;
		enum err err;
	} hashed; /* the state, for engine_state_hash */
};

/* engine_start without the threads. Who starts none steps the engine instead (tests/sim), on one thread and in any order: by
 * engine_turn, flight_turn, replayer_turn and consumer_turn, of which each does what is there and does not wait. */
enum err engine_make(
	const struct engine_options *options, struct engine **ret_engine, struct err_info *info) MUST_CHECK;
/* Takes what the mailbox holds (waits for it until `deadline_us`, monotonic), executes, commits, answers. False: the mailbox is
 * closed and empty; engine_drain finishes what was taken. Engine thread. */
bool engine_turn(struct engine *engine, int64_t deadline_us);
/* Answers engine_state_hash where somebody has asked. Engine thread. */
void engine_hash_turn(struct engine *engine);
/* Turn after turn: the engine thread's whole life. */
void engine_run(void *engine);
/* Memory for its two batches and its inbox, kept until commits_free. */
enum err commits_make(struct engine *engine) MUST_CHECK;
void commits_free(struct engine *engine);
/* Position and kilograms of a state. The state's thread. */
struct totals totals_of(const struct rules *rules);
/* Makes them known, for metrics and readers; on the engine's thread, or before it runs. */
void engine_show_totals(struct engine *engine, const struct totals *totals);
/* Finishes what is in flight and what has been executed. Engine thread. */
void engine_drain(struct engine *engine);
/* Loads the state anew after a failed append, from a store that is ours alone up to the journal's head. Engine thread. */
enum err engine_load(struct engine *engine, struct err_info *info) MUST_CHECK;
/* Wakes all that wait for positions. Any thread. */
void engine_notify(struct engine *engine);
/* Waits until `position` of the engine passes `above`, the engine or the waiter (`stopping`) stops, or the deadline
 * (monotonic). */
void engine_wait_above(struct engine *engine, int64_t above, int64_t deadline_us, const atomic_bool *stopping);
/* Makes a snapshot where one is due. Replayer thread. */
enum err replayer_turn(struct engine *engine, struct err_info *info) MUST_CHECK;
void replayer_run(void *engine);

/* ---- the append in flight (flight.c) ---- */

void flight_make(struct engine *engine);
void flight_free(struct engine *engine);
enum err flight_start(struct engine *engine) MUST_CHECK;
/* The appender's work where it has no thread: carries out what has begun. False: nothing has. */
bool flight_turn(struct engine *engine);
/* Ends the appender thread; nothing may be in flight. */
void flight_stop(struct engine *engine);
/* Begins to append the events of a batch behind the journal's head. Engine thread, nothing in flight. */
void flight_begin(struct engine *engine, const struct commit *commit);
/* Takes the outcome in, once there is one: false while there is none yet, unless it `waits`. `*ret_err` ERR_OK: durable, and the
 * journal's head is the batch. Engine thread. */
bool flight_end(struct engine *engine, bool waits, enum err *ret_err, struct err_info *info);

/* ---- leading (lead.c); each is nothing where the store is not shared ---- */

/* Begins to look after the lease. Before the engine thread. */
enum err lead_start(struct engine *engine, const struct engine_options *options) MUST_CHECK;
/* Waits until a daemon is known to lead, for as long as a lease may need to become free and a little more. */
void lead_wait(struct engine *engine);
/* Ends its thread and gives the lease back. After the engine thread. */
void lead_end(struct engine *engine);
/* When nobody asks any more. */
void lead_free(struct engine *engine);
/* One turn of the engine thread: follows the journal, takes the lead where it is to be had, gives it up where it is gone. */
void lead_turn(struct engine *engine);
/* How long the engine thread may wait for commands. */
int64_t lead_patience_us(const struct engine *engine);
/* ERR_NOT_LEADER where nothing may be executed, or answered from the state alone. Engine thread. */
enum err lead_check(const struct engine *engine, struct err_info *info) MUST_CHECK;
/* An append failed: the state is gone and with it the lead, which is taken again from a state that was read anew. What the
 * commands in hand are answered with. Engine thread. */
enum err lead_lost(struct engine *engine, enum err err, struct err_info *info);
/* A number that is another each time that this daemon has taken the lead; 0 while it does not lead. Any thread. */
int64_t lead_taken(const struct engine *engine);

/* ---- consumers ---- */

struct cursor_row {
	const char *name; /* key */
	int64_t seq, position;
};
extern const struct store_collection cursors_collection, view_cursors_collection;

/* As engine_consumer_start, but for the thread; the projector stores its cursor itself, with its rows. */
enum err consumer_make(struct engine *engine, const struct engine_consumer_options *options, bool stores_own,
	struct engine_consumer **ret_consumer, struct err_info *info) MUST_CHECK;
enum err consumer_run_on_thread(struct engine_consumer *consumer) MUST_CHECK;
/* Hands over what the journal holds behind the cursor. Its thread. */
enum err consumer_turn(struct engine_consumer *consumer) MUST_CHECK;
/* The change that stores the cursor with what `each` was given; on its thread. On a shared store it is refused where another
 * daemon has moved the cursor. */
struct store_change consumer_cursor_change(const struct engine_consumer *consumer);
/* Makes a position of the views known that another daemon has written. Any thread. */
void views_position_raise(struct engine *engine, int64_t position);

/* ---- views ---- */

/* The projector and its consumer, without a thread. */
enum err views_make(struct engine *engine, struct err_info *info) MUST_CHECK;

struct projector *projector_new(struct engine *engine);
void projector_free(struct projector **projector);
enum err projector_each(void *projector, const struct event *events, size_t count, struct err_info *info);

/* Rows of `ranges` as an interval map over one chunk of events: read when first touched, written at the end. */
struct ranges_view;
struct ranges_view *ranges_view_new(struct store *store, struct arena *arena);
void ranges_view_free(struct ranges_view **view);
/* From event `position` on the serials are in this place. Nothing where the view is ahead already. */
enum err ranges_view_assign(struct ranges_view *view, const struct serial_range *range, struct id org,
	enum kg_state state, struct id record, int64_t position, struct err_info *info) MUST_CHECK;
/* Adds the changes to an array that grows in the arena. */
enum err ranges_view_changes(
	struct ranges_view *view, struct store_change **changes, size_t *count, size_t *capacity) MUST_CHECK;
/* Appends one change to an array in an arena. */
enum err change_add(struct arena *arena, struct store_change **changes, size_t *count, size_t *capacity,
	struct store_change change) MUST_CHECK;

#endif
