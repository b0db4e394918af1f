/* runtime: threads, bounded mailboxes, replies that arrive later, metrics, signals and the ordered start and stop. It knows
 * nothing of what is sent through it. Any thread unless a function says otherwise. */
#ifndef CARBOND_RUNTIME_H
#define CARBOND_RUNTIME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/err.h"

/* ---- threads ---- */

struct thread;

/* Starts a named thread (≤ 15 characters) with all signals blocked. ERR_NO_MEMORY, ERR_IO. */
enum err thread_start(
	const char *name, void (*run)(void *argument), void *argument, struct thread **ret_thread) MUST_CHECK;
/* Waits for its end and frees it. NULL is allowed; the caller's pointer becomes NULL. */
void thread_join(struct thread **thread);

/* A thread that does something every so often until it is stopped. */
struct turns;
/* Starts a named thread as thread_start does. `run` does its turns until turns_wait says that it is over; `*ret_turns` is there
 * before it runs, and NULL after a failure. ERR_NO_MEMORY, ERR_IO. */
enum err turns_start(
	const char *name, void (*run)(void *argument), void *argument, struct turns **ret_turns) MUST_CHECK;
/* Waits so long; false as soon as it is to end. Its own thread. */
bool turns_wait(struct turns *turns, int64_t us);
/* Lets it end, also amid a wait, and waits for that. NULL is allowed; the pointer becomes NULL. */
void turns_stop(struct turns **turns);

/* ---- a crew: threads that help with one piece of work in many parts, if they are idle ---- */

struct crew;

/* So many helpers of this name, which may be none. ERR_NO_MEMORY, ERR_IO. */
enum err crew_new(const char *name, unsigned helpers, struct crew **ret_crew) MUST_CHECK;
/* After the last crew_run has returned. NULL is allowed; the caller's pointer becomes NULL. */
void crew_free(struct crew **crew);
/* Calls part(context, i) once for each i < count, on the calling thread and on helpers that are idle, in any order, and
 * returns when all have returned. While another caller has the helpers, the calling thread does all alone. */
void crew_run(struct crew *crew, void (*part)(void *context, size_t index), void *context, size_t count);
/* The threads that a run may be shared by, the caller's included. */
unsigned crew_size(const struct crew *crew);

/* ---- mailboxes: many senders, one receiver; fixed capacity; a full one refuses (the stated overflow rule), never blocks
 * and never drops ---- */

struct mailbox;

/* `name` labels the metrics carbond_mailbox_{depth,capacity,refused_total}. NULL without memory. */
struct mailbox *mailbox_new(const char *name, size_t capacity);
void mailbox_free(struct mailbox **mailbox);
/* ERR_BUSY when full, ERR_STOPPING after mailbox_close; the item then stays the caller's. */
enum err mailbox_put(struct mailbox *mailbox, void *item) MUST_CHECK;
/* As mailbox_put, but waits for room until `deadline_us` (monotonic); then ERR_BUSY. For senders that may block. */
enum err mailbox_put_wait(struct mailbox *mailbox, void *item, int64_t deadline_us) MUST_CHECK;
/* Takes up to `most` items; waits until there is one, the mailbox is closed, or `deadline_us` (monotonic; INT64_MAX: for
 * ever). 0 when none came in time, after a nudge, or when it is closed and empty (mailbox_closed tells which). Receiver thread
 * only. */
size_t mailbox_take(struct mailbox *mailbox, void **ret_items, size_t most, int64_t deadline_us);
/* Tells the receiver that something else than an item has come: mailbox_take, the one that waits or the next, does not wait and
 * may return 0. Any thread. */
void mailbox_nudge(struct mailbox *mailbox);
/* No more puts; the receiver still takes what is there. */
void mailbox_close(struct mailbox *mailbox);
bool mailbox_closed(const struct mailbox *mailbox);
size_t mailbox_depth(const struct mailbox *mailbox);

/* ---- replies: the answer to something submitted to another thread. Two owners (who asked, who completes), counted;
 * either side may let go first. The completing thread fills it and calls wake; rooms below know nothing of HTTP. ---- */

struct runtime_reply {
	atomic_int refs;
	atomic_int state;    /* private: pending, done or abandoned */
	int64_t deadline_us; /* monotonic; past it the asker answers ERR_DEADLINE */
	enum err code;       /* valid when done */
	struct err_info info;
	void *result;                  /* owned by the reply, freed by `release` */
	void (*release)(void *result); /* NULL: nothing to free */
	void (*wake)(void *context);   /* called once, by the completing thread, after done; may be NULL */
	void *context;
	atomic_int waking;   /* private: whether wake runs … */
	unsigned long waker; /* … on this thread */
};

/* A reply with two references. NULL without memory. */
struct runtime_reply *reply_new(int64_t deadline_us, void (*wake)(void *context), void *context);
/* Completes: takes over `result`, wakes, drops the completer's reference. */
void reply_complete(struct runtime_reply *reply, enum err code, const struct err_info *info, void *result,
	void (*release)(void *result));
/* Says that it is completed soon: it is on its way from the asker's cache by then. */
static inline void reply_prefetch(const struct runtime_reply *reply)
{
	__builtin_prefetch(reply);
	__builtin_prefetch(&reply->result);
}
/* True once completed (acquire). */
bool reply_is_done(const struct runtime_reply *reply);
/* For threads that may block (made with wake NULL): waits until done or the deadline; ERR_DEADLINE or the reply's code. */
enum err reply_wait(struct runtime_reply *reply, struct err_info *info) MUST_CHECK;
/* Drops the asker's reference; the result dies with the last one. Afterwards wake is not called and not running (but for a
 * call from wake itself), so `context` may go. Hold no lock here that wake takes. NULL is allowed, the pointer becomes NULL.
 * An asker whose submission was refused drops both references: it calls this twice, or reply_complete. */
void reply_unref(struct runtime_reply **reply);

/* ---- metrics: rows of metrics.def, each an atomic; Prometheus text ---- */

enum metric {
#define METRIC(name, kind, unit, help) METRIC_##name,
#include "carbond/metrics.def"
#undef METRIC
	METRIC_COUNT
};

void metric_add(enum metric metric, int64_t amount);    /* counters */
void metric_set(enum metric metric, int64_t value);     /* gauges */
void metric_observe_us(enum metric metric, int64_t us); /* histograms, buckets 100 µs … 30 s */
int64_t metric_value(enum metric metric);               /* counter or gauge; a histogram's count */

enum metric_family {
#define METRIC_FAMILY(name, kind, label, help) METRIC_FAMILY_##name,
#include "carbond/metric_families.def"
#undef METRIC_FAMILY
	METRIC_FAMILY_COUNT
};

/* Values that are read when asked for, with labels: `write` emits the head of a family, then its values. ERR_NO_MEMORY. */
void metric_family_head(enum metric_family family, void (*emit)(void *sink, const char *line), void *sink);
void metric_family_value(enum metric_family family, const char *label, int64_t value,
	void (*emit)(void *sink, const char *line), void *sink);
enum err metric_source_add(
	void (*write)(void *context, void (*emit)(void *sink, const char *line), void *sink), void *context) MUST_CHECK;
void metric_source_remove(void *context);
/* The whole exposition (Prometheus text format 0.0.4), malloc'ed; NULL without memory. */
char *metrics_text(size_t *ret_size);

/* ---- signals and systemd (main thread) ---- */

enum runtime_signal { RUNTIME_TIMEOUT, RUNTIME_STOP, RUNTIME_RELOAD };

/* Blocks SIGTERM, SIGINT, SIGHUP in the whole process and ignores SIGPIPE; call before any thread starts. */
void signals_block(void);
/* Waits for one of them, or until `deadline_us` (monotonic). */
enum runtime_signal signals_wait(int64_t deadline_us);
/* sd_notify state lines ("READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=…"); a no-op
 * outside systemd. */
void service_notify(const char *state);
/* The watchdog interval asked for by systemd in µs, or 0. */
int64_t service_watchdog_us(void);

/* ---- ordered start and stop: one list with reasons ---- */

struct stage {
	const char *name;   /* "store" */
	const char *reason; /* why it stands at this place of the list */
	enum err (*start)(void *context, struct err_info *info);
	void (*stop)(void *context); /* may be NULL */
};

/* Starts in order, says in the log how long each took (a second and more: at level info); on a failure stops what was started,
 * in reverse, and returns the error. Any thread may look at `ret_started` meanwhile. Main thread. */
enum err stages_start(const struct stage *stages, size_t count, void *context, atomic_size_t *ret_started,
	struct err_info *info) MUST_CHECK;
/* Stops the first `started` stages in reverse. */
void stages_stop(const struct stage *stages, size_t started, void *context);

#endif
