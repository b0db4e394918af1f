/* Decides which records share a batch, and gives each its position. Thread `audit` appends; the callers wait for it. Changes
 * that wait together go into one append; where one of them is refused, it alone gets the refusal and the others are tried
 * again. */
#include <stdlib.h>
#include <string.h>

#include "audit_private.h"
#include "carbond/base/clock.h"

#define GROUP_REQUESTS 64
#define GROUP_BYTES    ((size_t)256 << 10) /* of records in one batch; a single larger one has a batch of its own */
#define GROUP_CHANGES  4096
#define WRITE_WAIT_US  INT64_C(10000000)
#define LEAD_TRIES     3

struct write_request {
	/* the caller's */
	const struct audit_change *change;
	int64_t *position_field;
	json_t *record;
	bool salted;
	uint8_t salt[16];
	/* answers */
	int64_t position;
	enum err code;
	struct err_info info;
	sem_t done;
	/* of the writer */
	struct audit_salt_row salt_row;
	size_t first_change, change_count; /* its place among the group's */
};

/* ---- a group ---- */

struct group {
	struct arena *arena;
	struct write_request **requests;
	size_t count; /* of them are in this batch */
	char *payload;
	size_t size;
	struct store_change *changes;
	size_t change_count;
};

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory for audit records");
}

static enum err add_changes(
	struct audit *audit, struct group *group, struct write_request *request, struct err_info *info)
{
	size_t count = request->change->change_count;
	if (count > GROUP_CHANGES)
		return err_set(info, ERR_TOO_LARGE, NULL, "%zu rows in one change; at most %d are allowed", count,
			GROUP_CHANGES);
	request->first_change = group->change_count;
	for (size_t i = 0; i < count; i++)
		group->changes[group->change_count++] = request->change->changes[i];
	if (request->salted) {
		request->salt_row = (struct audit_salt_row){.node = audit->node,
			.position = request->position,
			.org_id = request->change->org,
			.subject = request->change->subject,
			.salt = {request->salt, sizeof request->salt}};
		group->changes[group->change_count++] = (struct store_change){
			.collection = &audit_salts_collection, .row = &request->salt_row, .verb = STORE_PUT};
	}
	request->change_count = group->change_count - request->first_change;
	return ERR_OK;
}

/* The record's line with its position. */
static enum err add_record(
	struct audit *audit, struct group *group, struct write_request *request, struct err_info *info)
{
	char *text = NULL;
	size_t size = 0;
	request->position = audit->next_position + (int64_t)group->count;
	if (request->position_field)
		*request->position_field = request->position;
	if (json_object_set_new(request->record, "position", json_integer(request->position)))
		return no_memory(info);
	enum err err = document_canonical(group->arena, request->record, &text, &size);
	if (err)
		return err_set(info, err, NULL, "an audit record of %s has no canonical form", request->change->action);
	if (group->size + size + 1 > STORE_BATCH_BYTES_MAX)
		return err_set(info, ERR_TOO_LARGE, NULL, "an audit record of %zu bytes", size);
	memcpy(group->payload + group->size, text, size);
	group->size += size;
	group->payload[group->size++] = '\n';
	return ERR_OK;
}

static void answer(struct write_request *request, enum err code, const struct err_info *info)
{
	request->code = code;
	if (code && info)
		request->info = *info;
	sem_post(&request->done); /* from here on the request is gone */
}

/* Takes requests from the front until the batch is full. One that cannot be written down at all is answered and dropped. */
static void fill_group(struct audit *audit, struct group *group, size_t *ret_waiting, size_t most)
{
	size_t kept = 0;
	group->count = group->size = group->change_count = 0;
	for (size_t i = 0; i < *ret_waiting; i++) {
		struct write_request *request = group->requests[i];
		struct err_info info = {.code = ERR_OK};
		bool full = group->count == most || group->size >= GROUP_BYTES || kept > group->count ||
			    group->change_count + request->change->change_count + 1 > 2 * GROUP_CHANGES;
		if (full) {
			group->requests[kept++] = request;
			continue;
		}
		size_t size = group->size, changes = group->change_count;
		enum err err = add_record(audit, group, request, &info);
		if (!err)
			err = add_changes(audit, group, request, &info);
		if (err == ERR_TOO_LARGE && group->count > 0) { /* may fit into a batch of its own */
			group->size = size;
			group->change_count = changes;
			group->requests[kept++] = request;
		} else if (err) {
			group->size = size;
			group->change_count = changes;
			answer(request, err, &info);
		} else {
			group->requests[kept++] = request;
			group->count++;
		}
	}
	*ret_waiting = kept;
}

static void drop_request(struct group *group, size_t number, size_t *ret_waiting)
{
	memmove(&group->requests[number], &group->requests[number + 1],
		(*ret_waiting - number - 1) * sizeof group->requests[0]);
	--*ret_waiting;
}

static enum err append_group(struct audit *audit, struct group *group, size_t *ret_refused, struct err_info *info)
{
	struct store_batch batch = {.seq = audit->seq + 1,
		.term = 1,
		.count = (uint32_t)group->count,
		.written_at_us = clock_wall_us(),
		.payload = (const uint8_t *)group->payload,
		.payload_size = group->size};
	memcpy(batch.stream, audit->stream, sizeof batch.stream);
	memcpy(batch.node, audit->node, sizeof batch.node);
	struct store_append append = {
		.class = STORE_VALUE, .batch = &batch, .changes = group->changes, .change_count = group->change_count};
	return store_log_append(audit->store, &append, ret_refused, info);
}

/* The request that a refused change belongs to. */
static size_t owner_of(const struct group *group, size_t change)
{
	for (size_t i = 0; i < group->count; i++)
		if (change - group->requests[i]->first_change < group->requests[i]->change_count)
			return i;
	return 0;
}

static void answer_group(struct audit *audit, struct group *group, size_t *ret_waiting)
{
	audit->seq++;
	audit->next_position += (int64_t)group->count;
	for (size_t i = 0; i < group->count; i++)
		answer(group->requests[i], ERR_OK, NULL);
	*ret_waiting -= group->count;
	memmove(group->requests, group->requests + group->count, *ret_waiting * sizeof group->requests[0]);
}

static bool is_of_the_store(enum err err)
{
	return err == ERR_NO_SPACE || err == ERR_STORE_LATCHED || err == ERR_BUSY || err == ERR_STOPPING ||
	       err == ERR_IO;
}

static void write_waiting(struct audit *audit, struct group *group, size_t waiting)
{
	size_t most = GROUP_REQUESTS;
	int lost = 0;
	while (waiting > 0) {
		struct err_info info = {.code = ERR_OK};
		size_t refused = 0;
		arena_reset(group->arena);
		fill_group(audit, group, &waiting, most);
		if (group->count == 0)
			continue; /* those in front were answered */
		enum err err = append_group(audit, group, &refused, &info);
		if (err == ERR_OK) {
			answer_group(audit, group, &waiting);
			continue;
		}
		if (err == ERR_POSITION_TAKEN && ++lost < LEAD_TRIES && audit_writer_load(audit, &info) == ERR_OK)
			continue; /* the stream is longer than was remembered */
		if (err == ERR_CONDITION_FAILED || err == ERR_DUPLICATE || group->count == 1) {
			size_t number = group->count == 1 ? 0 : owner_of(group, refused);
			struct write_request *request = group->requests[number];
			drop_request(group, number, &waiting);
			answer(request, err, &info);
		} else if (is_of_the_store(err) || err == ERR_POSITION_TAKEN) {
			for (size_t i = 0; i < waiting; i++)
				answer(group->requests[i], err, &info);
			waiting = 0;
		} else {
			most = 1; /* one of them is at fault: each for itself */
		}
	}
}

/* ---- the thread ---- */

struct last_position {
	int64_t position;
};

static enum err take_position(void *context, const void *data, size_t size, struct err_info *info)
{
	struct last_position *last = context;
	struct arena *arena = arena_new(0);
	json_t *record = NULL;
	enum err err = arena ? document_parse(arena, data, size, &record, info) : no_memory(info);
	if (!err)
		last->position = json_integer_value(json_object_get(record, "position"));
	arena_free(&arena);
	return err;
}

static enum err read_position(void *context, const struct store_batch *batch)
{
	struct err_info ignored;
	return audit_split(batch, take_position, context, &ignored);
}

enum err audit_writer_load(struct audit *audit, struct err_info *info)
{
	struct store_batch head;
	struct last_position last = {.position = 0};
	enum err err = store_log_head(audit->store, STORE_VALUE, audit->stream, &head, info);
	if (!err && head.seq > 0)
		err = store_log_read(audit->store, STORE_VALUE, audit->stream, head.seq, read_position, &last, info);
	if (!err && head.seq > 0 && last.position < 1)
		err = err_set(info, ERR_STORE_CORRUPT, NULL, "the last record of %s has no position", audit->stream);
	if (err)
		return err;
	audit->seq = head.seq;
	audit->next_position = last.position + 1;
	return ERR_OK;
}

void audit_run_writer(void *argument)
{
	struct audit *audit = argument;
	struct write_request *requests[GROUP_REQUESTS];
	struct group group = {.requests = requests, .arena = arena_new(4 * (size_t)STORE_BATCH_BYTES_MAX)};
	group.payload = malloc(STORE_BATCH_BYTES_MAX);
	group.changes = calloc(2 * GROUP_CHANGES + 1, sizeof group.changes[0]);
	bool able = group.arena && group.payload && group.changes;
	for (;;) {
		void *items[GROUP_REQUESTS];
		size_t count = mailbox_take(audit->writes, items, GROUP_REQUESTS, INT64_MAX);
		if (count == 0 && mailbox_closed(audit->writes))
			break;
		for (size_t i = 0; i < count; i++)
			requests[i] = items[i];
		if (able) {
			write_waiting(audit, &group, count);
			continue;
		}
		struct err_info info;
		no_memory(&info);
		for (size_t i = 0; i < count; i++)
			answer(requests[i], ERR_NO_MEMORY, &info);
	}
	arena_free(&group.arena);
	free(group.payload);
	free(group.changes);
}

/* ---- for the other threads ---- */

static enum err submit(struct audit *audit, struct write_request *request, struct err_info *info)
{
	sem_init(&request->done, 0, 0);
	enum err err = mailbox_put_wait(audit->writes, request, clock_monotonic_us() + WRITE_WAIT_US);
	if (err) {
		err_set(info, err, NULL, "the audit log's queue is full");
	} else {
		while (sem_wait(&request->done) != 0)
			continue; /* EINTR alone */
		err = request->code;
		if (err && info)
			*info = request->info;
	}
	sem_destroy(&request->done);
	return err;
}

enum err audit_write_positioned(struct audit *audit, const struct audit_actor *actor, const struct audit_change *change,
	int64_t *position_field, int64_t *ret_position, struct err_info *info)
{
	struct write_request request = {.change = change, .position_field = position_field};
	struct arena *arena = arena_new(0);
	if (!arena)
		return no_memory(info);
	random_bytes(request.salt, sizeof request.salt);
	enum err err = audit_record_make(arena, audit->node, clock_wall_us(), actor, change, request.salt,
		&request.record, &request.salted, info);
	if (!err)
		err = submit(audit, &request, info);
	if (!err && ret_position)
		*ret_position = request.position;
	arena_free(&arena);
	return err;
}

enum err audit_write(struct audit *audit, const struct audit_actor *actor, const struct audit_change *change,
	int64_t *ret_position, struct err_info *info)
{
	return audit_write_positioned(audit, actor, change, NULL, ret_position, info);
}
