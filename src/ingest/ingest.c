/* The room's life cycle, its MQTT connections (decode on their own threads) and its door for batches. Main thread: start and
 * stop; mqtt threads: commit; workers: submit. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/log.h"
#include "ingest_parts.h"

#define TOPIC_FILTER   "carbond/v1/+/+/readings"
#define CHUNK_READINGS 20000 /* a connection decodes on while the writer appends what it has */
#define CHUNK_ROWS     500
#define CHUNKS_MAX     64 /* of one MQTT batch; then the last one takes the rest */
#define QUEUE_WAIT_US  (5 * CLOCK_US_PER_SECOND)

/* ---- the writer's doors ---- */

static enum err door_head(void *context, const char *stream, struct store_batch *ret_head, struct err_info *info)
{
	return store_log_head(((struct ingest *)context)->store, STORE_READINGS, stream, ret_head, info);
}

static enum err door_append(void *context, const struct store_append *append, struct err_info *info)
{
	return store_log_append(((struct ingest *)context)->store, append, NULL, info);
}

static enum err door_feed(void *context, const char *stream, uint64_t seq, const struct reading *readings, size_t count,
	int64_t deadline_us)
{
	return sensing_feed(((struct ingest *)context)->sensing, stream, seq, readings, count, deadline_us);
}

static enum err door_quarantine(void *context, struct quarantined *rows, size_t count, struct arena *arena,
	struct store_change **ret_changes, size_t *ret_count)
{
	return sensing_quarantine_changes(
		((struct ingest *)context)->sensing, rows, count, arena, ret_changes, ret_count);
}

static void door_quarantined(void *context, const struct quarantined *rows, size_t count, bool durable)
{
	sensing_quarantine_written(((struct ingest *)context)->sensing, rows, count, durable);
}

static enum err door_find_receipt(void *context, struct receipt *row, struct arena *arena, struct err_info *info)
{
	return store_get(((struct ingest *)context)->store, &receipts_collection, row, arena, info);
}

static const struct writer_doors doors = {.head = door_head,
	.append = door_append,
	.feed = door_feed,
	.quarantine = door_quarantine,
	.quarantined = door_quarantined,
	.find_receipt = door_find_receipt};

enum err ingest_submit(struct ingest *ingest, struct ingest_batch **batch, struct runtime_reply *reply)
{
	return writer_submit(ingest->writer, batch, reply, 0);
}

/* ---- MQTT ---- */

/* carbond/v1/<org>/<unit>/readings, cut into its parts. A level may be empty: '+' takes that too. False: another topic. */
bool ingest_topic_parts(const char *topic, struct arena *arena, const char **ret_org, const char **ret_unit)
{
	static const char prefix[] = "carbond/v1/", suffix[] = "/readings";
	size_t size = strlen(topic);
	if (size < sizeof prefix + sizeof suffix - 1 || strncmp(topic, prefix, sizeof prefix - 1) != 0 ||
		strcmp(topic + size - (sizeof suffix - 1), suffix) != 0)
		return false;
	const char *org = topic + sizeof prefix - 1, *end = topic + size - (sizeof suffix - 1);
	const char *slash = memchr(org, '/', (size_t)(end - org));
	if (!slash || memchr(slash + 1, '/', (size_t)(end - slash - 1)))
		return false;
	*ret_org = arena_copy(arena, org, (size_t)(slash - org));
	*ret_unit = arena_copy(arena, slash + 1, (size_t)(end - slash - 1));
	return *ret_org && *ret_unit;
}

/* `whole`: it is not decoded, but quarantined as it is. ERR_TOO_LARGE where it needs a batch of its own. */
static enum err decode_message(
	const struct directory *directory, const struct mqtt_message *message, bool whole, struct reading_batch *batch)
{
	struct payload_source source = {.source = message->topic, .now_us = clock_wall_us()};
	struct err_info info = {0};
	const char *data = message->payload ? message->payload : "";
	if (!ingest_topic_parts(message->topic, batch->arena, &source.org, &source.unit))
		return ERR_NO_MEMORY; /* the filter lets no other topic through */
	if (whole)
		return payload_refuse(directory, &source, data, message->payload_size, batch, &info);
	enum err err = payload_decode(directory, &source, NULL, data, message->payload_size, batch, &info);
	if (err == ERR_TOO_LARGE && arena_is_full(batch->arena))
		return err;
	/* a payload that is none is in the quarantine now: that is its answer */
	return err == ERR_INVALID_JSON || err == ERR_TOO_DEEP || err == ERR_TOO_LARGE ? ERR_OK : err;
}

struct chunks {
	struct runtime_reply *replies[CHUNKS_MAX];
	size_t count;
};

static enum err submit_chunk(struct ingest *ingest, struct ingest_batch **batch, struct chunks *chunks)
{
	struct runtime_reply *reply = reply_new(INT64_MAX, NULL, NULL);
	if (!reply)
		return ERR_NO_MEMORY;
	chunks->replies[chunks->count++] = reply;
	return writer_submit(ingest->writer, batch, reply, clock_monotonic_us() + QUEUE_WAIT_US);
}

/* The first error of all chunks; every one of them is waited for, so that nothing of this batch is in flight afterwards. */
static enum err await_chunks(struct chunks *chunks, enum err err)
{
	for (size_t i = 0; i < chunks->count; i++) {
		enum err one = reply_wait(chunks->replies[i], NULL);
		if (!err)
			err = one;
		reply_unref(&chunks->replies[i]);
	}
	return err;
}

/* Decodes one message into the batch. One that does not fit begins a batch of its own; one that does not fit that either would
 * come again for ever, so it is quarantined whole. */
static enum err take_message(struct ingest *ingest, const struct directory **directory,
	const struct mqtt_message *message, struct ingest_batch **batch, struct chunks *chunks)
{
	enum err err = ERR_TOO_LARGE;
	for (int attempt = 0; attempt < 3 && err == ERR_TOO_LARGE; attempt++) {
		if (!*batch && !(*batch = ingest_batch_new(false)))
			return ERR_NO_MEMORY;
		bool alone = (*batch)->batch.item_count == 0;
		const struct reading_batch before = (*batch)->batch;
		err = decode_message(*directory, message, attempt == 2, &(*batch)->batch);
		if (!err &&
			sensing_decode_again(ingest->sensing, *directory, &(*batch)->batch, before.quarantined_count)) {
			sensing_directory_unref(directory);
			*directory = sensing_directory_ref(ingest->sensing);
			(*batch)->batch = before;
			err = decode_message(*directory, message, attempt == 2, &(*batch)->batch);
		}
		if (err != ERR_TOO_LARGE)
			break;
		if (alone) {
			attempt = 1;
			ingest_batch_free(batch);
			continue;
		}
		if (chunks->count == CHUNKS_MAX - 1) {
			err = await_chunks(chunks, ERR_OK);
			chunks->count = 0;
			if (err)
				return err;
		}
		err = submit_chunk(ingest, batch, chunks);
		if (err)
			return err;
		err = ERR_TOO_LARGE;
	}
	return err;
}

static enum err commit(void *context, const struct mqtt_message *messages, size_t count)
{
	struct connection *connection = context;
	struct ingest *ingest = connection->ingest;
	const struct directory *directory = sensing_directory_ref(ingest->sensing);
	struct ingest_batch *batch = NULL;
	struct chunks chunks = {.count = 0};
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && !err; i++) {
		err = take_message(ingest, &directory, &messages[i], &batch, &chunks);
		if (!err && chunks.count < CHUNKS_MAX - 1 &&
			(batch->batch.reading_count >= CHUNK_READINGS || batch->batch.quarantined_count >= CHUNK_ROWS))
			err = submit_chunk(ingest, &batch, &chunks);
	}
	if (!err && batch)
		err = submit_chunk(ingest, &batch, &chunks);
	ingest_batch_free(&batch);
	err = await_chunks(&chunks, err);
	sensing_directory_unref(&directory);
	return err;
}

static void changed(void *context, enum mqtt_state state, const char *detail)
{
	struct connection *connection = context;
	const char *event = "mqtt_connection";
	if (state == MQTT_TAKEN)
		event = "mqtt_session_taken";
	else if (state == MQTT_HOLDING)
		event = "mqtt_holding";
	enum log_level level = state == MQTT_TAKEN || state == MQTT_FAILED        ? LOG_LEVEL_ERROR
			       : state == MQTT_CONNECTED || state == MQTT_STOPPED ? LOG_LEVEL_INFO
										  : LOG_LEVEL_WARN;
	log_line(level, event,
		state == MQTT_TAKEN && connection->ingest->members
			? "another daemon has taken this session over, or another client uses this client id"
		: state == MQTT_TAKEN
			? "another client uses this client id: this node no longer takes readings over this "
			  "connection; give each node its own name, then restart"
			: detail,
		"client_id", connection->client_id, "state", mqtt_state_names[state], NULL);
}

static bool may_connect(void *context)
{
	return lease_holds(((const struct connection *)context)->lease);
}

enum err connection_start(struct ingest *ingest, const char *node, unsigned number, const struct lease *lease,
	bool drain, struct connection *connection, struct err_info *info)
{
	static const char *const topics[] = {TOPIC_FILTER, NULL};
	struct mqtt_consumer *consumer = NULL;
	connection->ingest = ingest;
	connection->lease = lease;
	snprintf(connection->name, sizeof connection->name, drain ? "drain-%u" : "mqtt-%u", number % 1000);
	snprintf(connection->client_id, sizeof connection->client_id, "carbond-%s-%u", node, number);
	const struct mqtt_consumer_options options = {.broker = ingest->broker,
		.client_id = connection->client_id,
		.topics = topics,
		.share_group = ingest->share_group,
		.batch_messages = ingest->batch_messages,
		.message_bytes = LIMIT_JSON_BYTES,
		.drain = drain,
		.may_connect = lease ? may_connect : NULL,
		.commit = commit,
		.changed = changed,
		.context = connection};
	enum err err = mqtt_consumer_start(&options, connection->name, &consumer, info);
	pthread_mutex_lock(&ingest->lock);
	connection->consumer = consumer;
	pthread_mutex_unlock(&ingest->lock);
	return err;
}

void connection_stop(struct connection *connection)
{
	struct ingest *ingest = connection->ingest;
	if (!ingest)
		return;
	pthread_mutex_lock(&ingest->lock);
	struct mqtt_consumer *consumer = connection->consumer;
	connection->consumer = NULL;
	pthread_mutex_unlock(&ingest->lock);
	mqtt_consumer_stop(&consumer);
}

/* ---- life cycle ---- */

static enum err start_connections(struct ingest *ingest, const struct ingest_options *options, struct err_info *info)
{
	unsigned count = options->connections ? options->connections : 1;
	enum err err = ERR_OK;
	if (!options->mqtt)
		return ERR_OK;
	if (count > INGEST_CONNECTIONS_MAX)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "at most %d MQTT connections", INGEST_CONNECTIONS_MAX);
	/* several connections of one node divide the messages among themselves, which needs a group, be it of its own */
	if (options->share_group)
		snprintf(ingest->share_group_text, sizeof ingest->share_group_text, "%s", options->share_group);
	else if (count > 1)
		snprintf(ingest->share_group_text, sizeof ingest->share_group_text, "carbond-%s", options->node);
	ingest->share_group = ingest->share_group_text[0] ? ingest->share_group_text : NULL;
	ingest->connections = calloc(count, sizeof *ingest->connections);
	if (!ingest->connections)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the connections");
	ingest->connection_count = count;
	if (ingest->members)
		return sessions_start(ingest, info);
	for (unsigned i = 0; i < count && !err; i++)
		err = connection_start(ingest, ingest->node, i, NULL, false, &ingest->connections[i], info);
	return err;
}

/* The options' texts are borrowed for the start, and connections are made later too. */
static enum err keep_options(struct ingest *ingest, const struct ingest_options *options, struct err_info *info)
{
	const char **texts[] = {&ingest->broker.host, &ingest->broker.username, &ingest->broker.password_file,
		&ingest->broker.tls_ca, &ingest->broker.tls_certificate, &ingest->broker.tls_key};
	ingest->arena = arena_new(0);
	ingest->broker = options->broker;
	for (size_t i = 0; ingest->arena && i < sizeof texts / sizeof *texts; i++)
		if (*texts[i] && !(*texts[i] = arena_copy(ingest->arena, *texts[i], strlen(*texts[i]))))
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for ingest");
	ingest->batch_messages = options->batch_messages;
	ingest->members = options->members;
	snprintf(ingest->node, sizeof ingest->node, "%s", options->node);
	return ingest->arena ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for ingest");
}

enum err ingest_start(const struct ingest_options *options, struct ingest **ret_ingest, struct err_info *info)
{
	struct ingest *ingest = calloc(1, sizeof *ingest);
	enum err err;
	*ret_ingest = NULL;
	if (!ingest)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for ingest");
	ingest->store = options->store;
	ingest->sensing = options->sensing;
	const struct writer_options writer = {.doors = &doors,
		.doors_context = ingest,
		.node = options->node,
		.shared = options->members != NULL,
		.queue = options->queue,
		.fatal = options->fatal,
		.context = options->context};
	pthread_mutex_init(&ingest->lock, NULL);
	err = keep_options(ingest, options, info);
	if (!err)
		err = writer_start(&writer, &ingest->writer, info);
	if (!err)
		err = start_connections(ingest, options, info);
	*ret_ingest = ingest;
	if (err)
		ingest_stop(ret_ingest);
	return err;
}

void ingest_stop(struct ingest **ingest)
{
	struct ingest *mine = *ingest;
	if (!mine)
		return;
	sessions_stop(mine);
	for (unsigned i = 0; i < mine->connection_count; i++)
		connection_stop(&mine->connections[i]);
	writer_stop(&mine->writer);
	free(mine->connections);
	arena_free(&mine->arena);
	pthread_mutex_destroy(&mine->lock);
	free(mine);
	*ingest = NULL;
}

enum err ingest_ready(struct ingest *ingest, char *reason, size_t size)
{
	enum err err = writer_fault(ingest->writer);
	if (!err && store_healthy(ingest->store, &err))
		err = ERR_OK;
	if (err) {
		snprintf(reason, size, "readings cannot be made durable: %s", err_row(err)->title);
		return err;
	}
	for (unsigned i = 0; i < ingest->connection_count; i++) {
		char why[128] = "this node's session is not its own again yet";
		pthread_mutex_lock(&ingest->lock);
		struct mqtt_consumer *consumer = ingest->connections[i].consumer;
		enum mqtt_state state = consumer ? mqtt_consumer_state(consumer, why, sizeof why) : MQTT_CONNECTING;
		pthread_mutex_unlock(&ingest->lock);
		if (state == MQTT_CONNECTED)
			continue;
		snprintf(reason, size, "MQTT connection %u is %s%s%s", i, mqtt_state_names[state], *why ? ": " : "",
			why);
		return ERR_IO;
	}
	return ERR_OK;
}
