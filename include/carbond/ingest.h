/* ingest: how readings come in. MQTT connections and HTTP workers decode; one readings writer per node makes batches
 * durable in `readings.<node>` with what was quarantined, hands them to sensing, and only then completes the submitters (a
 * PUBACK, an HTTP answer). Nothing is acknowledged before it is durable. Any thread that may block. */
#ifndef CARBOND_INGEST_H
#define CARBOND_INGEST_H

#include "carbond/mqtt.h"
#include "carbond/runtime.h"
#include "carbond/sensing.h"
#include "carbond/store.h"
#include "carbond/store/members.h"

struct ingest;

#define INGEST_CONNECTIONS_MAX 16
#define INGEST_SESSION_LEASE   "mqtt." /* and a node's name: the lease of who may use its client ids */

struct ingest_options {
	struct store *store;
	struct sensing *sensing;
	const char *node; /* [a-z0-9-]{1,24} */
	size_t queue; /* submissions waiting for the writer; 0: 256. Full: back-pressure to MQTT, ERR_BUSY to HTTP */
	bool mqtt;    /* connect to a broker */
	struct mqtt_broker broker;
	unsigned connections;    /* mqtt × M; 0: 1 */
	size_t batch_messages;   /* of MQTT made durable together at most; 0: 1,000 */
	const char *share_group; /* NULL: each node takes every message */
	/* Daemons on one store: each connects only while it holds the lease `mqtt.<node>`, and takes over the sessions of those
	 * that are gone. NULL: there is one. */
	struct members *members;
	/* Called once, on the writer's thread, when the process must stop: ERR_POSITION_TAKEN (another writer leads),
	 * ERR_STORE_LATCHED, ERR_STORE_CORRUPT and the like (decision 9). Must only set a flag or raise a signal. */
	void (*fatal)(void *context, enum err code, const char *detail);
	void *context;
};

/* Reads the head of `readings.<node>`, starts the writer, then the connections. ERR_INVALID_CONFIG, ERR_STORE_… . */
enum err ingest_start(
	const struct ingest_options *options, struct ingest **ret_ingest, struct err_info *info) MUST_CHECK;
/* Connections first (what they made durable is acknowledged), then the writer with what is queued. */
void ingest_stop(struct ingest **ingest);

/* For /readyz: ERR_OK, or ERR_NO_SPACE, ERR_STORE_LATCHED, ERR_STOPPING, ERR_IO (no broker; the session was taken), with one
 * sentence in `reason`. Does not block. */
enum err ingest_ready(struct ingest *ingest, char *reason, size_t size) MUST_CHECK;

/* ---- submitting ---- */

/* A decoded batch on its way: it owns its arena (that of `batch`). */
struct ingest_batch {
	struct reading_batch batch;
	const struct store_change *changes; /* further rows of class STORE_READINGS that happen with it, in the arena */
	size_t change_count;
};

/* An empty batch in an arena of its own; NULL without memory. */
struct ingest_batch *ingest_batch_new(bool want_verdicts);
void ingest_batch_free(struct ingest_batch **batch);

/* Hands a batch to the writer and takes it over (*batch becomes NULL, also on failure). The reply completes when it is durable
 * and fed, its result is the batch (struct ingest_batch *, freed with the reply). Completes with ERR_NO_SPACE (nothing was
 * written: 507, send again), ERR_CONDITION_FAILED (a row of `changes`), ERR_STOPPING, ERR_STORE_LATCHED. Does not block:
 * ERR_BUSY when the queue is full, ERR_STOPPING; the reply is then completed with it too. */
enum err ingest_submit(struct ingest *ingest, struct ingest_batch **batch, struct runtime_reply *reply) MUST_CHECK;

/* ---- quarantine: an operator's two answers to a refused item; both audited ---- */

/* Decodes the item's raw text again with today's configuration. If all of it is accepted now, its readings are made durable
 * and the row becomes `redriven`, in one append; otherwise ERR_INVALID_FIELD with the reason, and the row stays open.
 * ERR_NOT_FOUND, ERR_CONDITION_FAILED (`expect` is the version, FIELD_ABSENT: any; or the row is not open). */
enum err ingest_redrive(struct ingest *ingest, const struct audit_actor *actor, struct quarantined *row, int64_t expect,
	int64_t deadline_us, struct arena *arena, struct err_info *info) MUST_CHECK;
/* Gives the item up for good: the row becomes `discarded`. */
enum err ingest_discard(struct ingest *ingest, const struct audit_actor *actor, struct quarantined *row, int64_t expect,
	struct arena *arena, struct err_info *info) MUST_CHECK;

/* ---- receipts: how far a device's own numbering (boot, seq from 1) is durable here without a gap: what it may forget ---- */

struct receipt {
	struct id org_id, unit_id;
	const char *boot;    /* the device's start-up id */
	int64_t seq;         /* all of 1..seq are durable; 0: the first one is missing */
	int64_t highest_seq; /* the highest one that came; above seq: the device should send again from seq + 1 */
	int64_t received_us;
};
extern const struct field receipt_fields[];
extern const struct store_collection receipts_collection;
/* All collections of the room, NULL-terminated, for store_open. */
extern const struct store_collection *const ingest_collections[];

#endif
