/* Decides who owns a position of a log, and refuses in three distinct ways. Any thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mongo.h"

#define PRUNE_BATCHES  256 /* in one update */
#define DELETE_BATCHES 64
#define FETCH_BATCHES  64 /* of one answer of the server, which ends at 16 MB anyway */

const char *const mongo_log_names[STORE_CLASS_COUNT] = {"log_value", "log_readings", "log_views"};

/* ---- the heads that were seen last: right more often than not, and the unique index is the judge ---- */

static struct mongo_head *head_among(struct mongo_heads *heads, const char *stream)
{
	for (size_t i = 0; i < heads->count; i++)
		if (strcmp(heads->items[i].stream, stream) == 0)
			return &heads->items[i];
	return NULL;
}

void mongo_remember_head(struct mongo *back, enum store_class class, const struct store_batch *batch)
{
	struct mongo_heads *heads = &back->heads[class];
	pthread_mutex_lock(&back->lock);
	struct mongo_head *head = head_among(heads, batch->stream);
	bool behind = head && head->seq > batch->seq; /* another thread was faster to come here */
	if (!head)
		head = &heads->items[heads->count < MONGO_HEADS ? heads->count++ : heads->next++ % MONGO_HEADS];
	if (!behind) {
		memcpy(head->stream, batch->stream, sizeof head->stream);
		head->seq = batch->seq;
		head->hash = batch->hash;
	}
	pthread_mutex_unlock(&back->lock);
}

void mongo_forget_head(struct mongo *back, enum store_class class, const char *stream, uint64_t below_seq)
{
	struct mongo_heads *heads = &back->heads[class];
	pthread_mutex_lock(&back->lock);
	struct mongo_head *head = head_among(heads, stream);
	if (head && head->seq < below_seq)
		*head = heads->items[--heads->count];
	pthread_mutex_unlock(&back->lock);
}

static bool remembered(
	struct mongo *back, enum store_class class, const char *stream, uint64_t seq, struct hash *ret_hash)
{
	pthread_mutex_lock(&back->lock);
	const struct mongo_head *head = head_among(&back->heads[class], stream);
	bool found = head && head->seq == seq;
	if (found)
		*ret_hash = head->hash;
	pthread_mutex_unlock(&back->lock);
	return found;
}

/* ---- documents ---- */

static void add_hash(bson_t *document, const char *name, const struct hash *hash)
{
	bson_append_binary(document, name, -1, BSON_SUBTYPE_BINARY, hash->bytes, sizeof hash->bytes);
}

bool mongo_write_batch(bson_t *document, const struct store_job *job, const bson_oid_t *mark)
{
	const struct store_batch *batch = job->batch;
	bson_append_oid(document, "_id", -1, mark);
	bson_append_utf8(document, "stream", -1, batch->stream, -1);
	bson_append_int64(document, "seq", -1, (int64_t)batch->seq);
	bson_append_int64(document, "term", -1, (int64_t)batch->term);
	bson_append_int64(document, "count", -1, batch->count);
	add_hash(document, "prev_hash", &batch->prev_hash);
	add_hash(document, "payload_hash", &batch->payload_hash);
	add_hash(document, "hash", &batch->hash);
	bson_append_int64(document, "written_at_us", -1, batch->written_at_us);
	bson_append_utf8(document, "node", -1, batch->node, -1);
	bool fits = job->pruned ||
		    bson_append_binary(document, "payload", -1, BSON_SUBTYPE_BINARY,
			    batch->payload_size ? batch->payload : (const uint8_t *)"", (uint32_t)batch->payload_size);
	if (job->guard_count == 0)
		return fits;
	bson_t guards;
	bson_append_array_begin(document, "guards", -1, &guards);
	for (size_t i = 0; i < job->guard_count && fits; i++) {
		char buffer[16];
		const char *key = NULL;
		size_t size = bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof buffer);
		fits = bson_append_binary(&guards, key, (int)size, BSON_SUBTYPE_BINARY, job->guards[i].key,
			(uint32_t)job->guards[i].size);
	}
	bson_append_array_end(document, &guards);
	return fits;
}

static bool take_hash(const struct store_value *value, struct hash *ret_hash)
{
	if (value->kind != VALUE_BLOB || value->size != sizeof ret_hash->bytes)
		return false;
	memcpy(ret_hash->bytes, value->data, sizeof ret_hash->bytes);
	return true;
}

static void take_text(const struct store_value *value, char *ret_text, size_t size)
{
	if (value->kind == VALUE_TEXT)
		snprintf(ret_text, size, "%s", (const char *)value->data);
}

/* The payload is borrowed from the document. */
enum err mongo_read_batch(
	const bson_t *document, const char *stream, struct store_batch *ret_batch, struct err_info *info)
{
	bson_iter_t member;
	int hashes = 0;
	memset(ret_batch, 0, sizeof *ret_batch);
	snprintf(ret_batch->stream, sizeof ret_batch->stream, "%s", stream);
	if (!bson_iter_init(&member, document))
		return err_set(info, ERR_STORE_CORRUPT, NULL, "log %s: a batch is no document", stream);
	while (bson_iter_next(&member)) {
		const char *name = bson_iter_key(&member);
		struct store_value value = mongo_value(&member);
		if (strcmp(name, "seq") == 0)
			ret_batch->seq = (uint64_t)value.integer;
		else if (strcmp(name, "term") == 0)
			ret_batch->term = (uint64_t)value.integer;
		else if (strcmp(name, "count") == 0)
			ret_batch->count = (uint32_t)value.integer;
		else if (strcmp(name, "written_at_us") == 0)
			ret_batch->written_at_us = value.integer;
		else if (strcmp(name, "node") == 0)
			take_text(&value, ret_batch->node, sizeof ret_batch->node);
		else if (strcmp(name, "prev_hash") == 0)
			hashes += take_hash(&value, &ret_batch->prev_hash);
		else if (strcmp(name, "payload_hash") == 0)
			hashes += take_hash(&value, &ret_batch->payload_hash);
		else if (strcmp(name, "hash") == 0)
			hashes += take_hash(&value, &ret_batch->hash);
		else if (strcmp(name, "payload") == 0 && value.kind == VALUE_BLOB) {
			ret_batch->payload = value.data;
			ret_batch->payload_size = value.size;
		}
	}
	if (hashes != 3)
		return err_set(info, ERR_STORE_CORRUPT, NULL, "log %s: batch %llu has a hash of a wrong length", stream,
			(unsigned long long)ret_batch->seq);
	return ERR_OK;
}

/* ---- headers ---- */

#define HEADERS_ALONE "projection", "{", "payload", BCON_INT32(0), "guards", BCON_INT32(0), "}"

static enum err find_header(struct mongo_use *use, enum store_class class, const char *stream, const bson_t *filter,
	const bson_t *options, struct store_batch *ret_batch, bson_oid_t *ret_mark, struct err_info *info)
{
	struct mongo_found found;
	bson_iter_t member;
	memset(ret_batch, 0, sizeof *ret_batch);
	snprintf(ret_batch->stream, sizeof ret_batch->stream, "%s", stream);
	enum err err = mongo_find(use, mongo_log_names[class], filter, options, 1, 0, &found, info);
	if (err)
		return err;
	if (found.count)
		err = mongo_read_batch(found.documents[0], stream, ret_batch, info);
	if (found.count && bson_iter_init_find(&member, found.documents[0], "_id") && BSON_ITER_HOLDS_OID(&member))
		bson_oid_copy(bson_iter_oid(&member), ret_mark);
	mongo_found_free(&found);
	return err;
}

enum err mongo_read_head(struct mongo_use *use, enum store_class class, const char *stream,
	struct store_batch *ret_head, struct err_info *info)
{
	bson_t *filter = BCON_NEW("stream", BCON_UTF8(stream));
	bson_t *options = BCON_NEW("sort", "{", "stream", BCON_INT32(-1), "seq", BCON_INT32(-1), "}", "limit",
		BCON_INT64(1), HEADERS_ALONE);
	bson_oid_t mark;
	enum err err = find_header(use, class, stream, filter, options, ret_head, &mark, info);
	bson_destroy(filter);
	bson_destroy(options);
	return err;
}

enum err mongo_read_back(struct mongo_use *use, enum store_class class, const struct store_batch *batch,
	enum mongo_stands *ret_stands, struct err_info *info)
{
	struct store_batch stored;
	bson_t *filter = BCON_NEW("stream", BCON_UTF8(batch->stream), "seq", BCON_INT64((int64_t)batch->seq));
	bson_t *options = BCON_NEW("limit", BCON_INT64(1), HEADERS_ALONE);
	bson_oid_t mark = {{0}};
	enum err err = find_header(use, class, batch->stream, filter, options, &stored, &mark, info);
	bson_destroy(filter);
	bson_destroy(options);
	*ret_stands = STANDS_NONE;
	if (!err && stored.seq)
		*ret_stands = bson_oid_equal(&mark, &use->mark) && stored.term == batch->term &&
					      strcmp(stored.node, batch->node) == 0 &&
					      hash_equal(stored.hash, batch->hash)
				      ? STANDS_OURS
				      : STANDS_OTHER;
	return err;
}

/* ---- appending ---- */

enum err mongo_position_taken(const struct store_batch *batch, struct err_info *info)
{
	return err_set(info, ERR_POSITION_TAKEN, NULL, "log %s: position %llu is taken or not the next one",
		batch->stream, (unsigned long long)batch->seq);
}

enum err mongo_link_batch(struct mongo_use *use, struct store_job *job, struct err_info *info)
{
	struct store_batch *batch = job->batch, head;
	struct hash prev;
	if (batch->seq == 0)
		return mongo_position_taken(batch, info);
	if (!remembered(use->back, job->class, batch->stream, batch->seq - 1, &prev)) {
		enum err err = mongo_read_head(use, job->class, batch->stream, &head, info);
		if (err)
			return err;
		if (head.seq + 1 != batch->seq)
			return mongo_position_taken(batch, info);
		prev = head.hash;
	}
	store_batch_close(batch, prev);
	return ERR_OK;
}

enum mongo_fate mongo_insert_batch(struct mongo_use *use, const struct store_job *job, struct err_info *info)
{
	bson_t document = BSON_INITIALIZER, reply;
	bson_error_t error;
	if (!mongo_write_batch(&document, job, &use->mark)) {
		err_set(info, ERR_TOO_LARGE, NULL, "log %s: a batch is too large for a document", job->batch->stream);
		bson_destroy(&document);
		return FATE_REFUSED;
	}
	mongoc_collection_t *collection = mongo_collection(use, mongo_log_names[job->class], job->class);
	bson_t *options = mongo_options(use);
	bool done = mongoc_collection_insert_one(collection, &document, options, &reply, &error);
	enum mongo_fate fate = done ? FATE_DONE : mongo_fate_of(&reply, &error);
	if (!done)
		mongo_failure(use->back, &reply, &error, "append to a log", info);
	bson_destroy(&reply);
	bson_destroy(options);
	bson_destroy(&document);
	mongoc_collection_destroy(collection);
	return fate;
}

static enum err guard_taken(const char *stream, const void *key, size_t size, struct err_info *info)
{
	char text[2 * STORE_GUARD_BYTES_MAX + 1];
	return err_set(info, ERR_GUARD_TAKEN, NULL, "log %s: guard key %s is taken", stream, hex_text(key, size, text));
}

static int compare_guards(const void *a, const void *b)
{
	const struct store_guard *left = *(const struct store_guard *const *)a,
				 *right = *(const struct store_guard *const *)b;
	int order = memcmp(left->key, right->key, left->size < right->size ? left->size : right->size);
	return order ? order : (left->size > right->size) - (left->size < right->size);
}

/* A unique index lets one document hold a key twice. */
enum err mongo_check_own_guards(const struct store_job *job, struct err_info *info)
{
	if (job->guard_count < 2)
		return ERR_OK;
	const struct store_guard **sorted = calloc(job->guard_count, sizeof(const struct store_guard *));
	enum err err = ERR_OK;
	if (!sorted)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the guard keys");
	for (size_t i = 0; i < job->guard_count; i++)
		sorted[i] = &job->guards[i];
	qsort(sorted, job->guard_count, sizeof(const struct store_guard *), compare_guards);
	for (size_t i = 1; i < job->guard_count && !err; i++)
		if (compare_guards(&sorted[i - 1], &sorted[i]) == 0)
			err = guard_taken(job->batch->stream, sorted[i]->key, sorted[i]->size, info);
	free(sorted);
	return err;
}

static enum err taken_key(const bson_t *document, const struct store_job *job, struct err_info *info)
{
	bson_iter_t member, keys;
	if (!bson_iter_init_find(&member, document, "guards") || !bson_iter_recurse(&member, &keys))
		return ERR_OK;
	while (bson_iter_next(&keys)) {
		struct store_value key = mongo_value(&keys);
		for (size_t i = 0; i < job->guard_count; i++)
			if (key.size == job->guards[i].size && memcmp(key.data, job->guards[i].key, key.size) == 0)
				return guard_taken(job->batch->stream, key.data, key.size, info);
	}
	return ERR_OK;
}

#define GUARDS_ASKED 1000 /* in one query */

static enum err find_taken(
	struct mongo_use *use, const struct store_job *job, size_t first, size_t count, struct err_info *info)
{
	struct mongo_found found;
	bson_t filter = BSON_INITIALIZER, in, keys;
	bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "guards", BCON_INT32(1), "}");
	bson_append_utf8(&filter, "stream", -1, job->batch->stream, -1);
	bson_append_document_begin(&filter, "guards", -1, &in);
	bson_append_bool(&in, "$exists", -1, true); /* as the partial index wants it */
	bson_append_array_begin(&in, "$in", -1, &keys);
	for (size_t i = 0; i < count; i++) {
		char buffer[16];
		const char *key = NULL;
		size_t size = bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof buffer);
		bson_append_binary(&keys, key, (int)size, BSON_SUBTYPE_BINARY, job->guards[first + i].key,
			(uint32_t)job->guards[first + i].size);
	}
	bson_append_array_end(&in, &keys);
	bson_append_document_end(&filter, &in);
	enum err err = mongo_find(use, mongo_log_names[job->class], &filter, options, 1, 0, &found, info);
	if (!err) {
		err = found.count ? taken_key(found.documents[0], job, info) : ERR_OK;
		mongo_found_free(&found);
	}
	bson_destroy(options);
	bson_destroy(&filter);
	return err;
}

enum err mongo_find_taken_guard(struct mongo_use *use, const struct store_job *job, struct err_info *info)
{
	enum err err = ERR_OK;
	for (size_t first = 0; first < job->guard_count && !err; first += GUARDS_ASKED) {
		size_t left = job->guard_count - first;
		err = find_taken(use, job, first, left < GUARDS_ASKED ? left : GUARDS_ASKED, info);
	}
	return err;
}

/* ---- reading ---- */

enum err mongo_log_head(
	void *engine, enum store_class class, const char *stream, struct store_batch *ret_head, struct err_info *info)
{
	struct mongo_use use;
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	err = mongo_read_head(&use, class, stream, ret_head, info);
	mongo_use_end(&use);
	return err;
}

static enum err take_batches(const struct mongo_found *found, const char *stream, struct arena *arena,
	struct store_batch *ret_batches, size_t *ret_count, struct err_info *info)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < found->count && !err; i++) {
		struct store_batch *batch = &ret_batches[i];
		err = mongo_read_batch(found->documents[i], stream, batch, info);
		if (err)
			break;
		if (batch->payload) {
			batch->payload = (const uint8_t *)arena_copy(arena, batch->payload, batch->payload_size);
			if (!batch->payload)
				err = err_set(info, ERR_NO_MEMORY, NULL, "no memory to read log %s", stream);
		}
		if (!err)
			++*ret_count;
	}
	return err;
}

enum err mongo_log_some(void *engine, enum store_class class, const char *stream, uint64_t from_seq, size_t most,
	size_t bytes, struct arena *arena, struct store_batch *ret_batches, size_t *ret_count, struct err_info *info)
{
	struct mongo_use use;
	struct mongo_found found;
	*ret_count = 0;
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	bson_t *filter = BCON_NEW("stream", BCON_UTF8(stream), "seq", "{", "$gte", BCON_INT64((int64_t)from_seq), "}");
	bson_t *options = BCON_NEW("sort", "{", "stream", BCON_INT32(1), "seq", BCON_INT32(1), "}", "limit",
		BCON_INT64((int64_t)most), "batchSize", BCON_INT64(FETCH_BATCHES));
	if (bytes)
		BCON_APPEND(options, "projection", "{", "guards", BCON_INT32(0), "}");
	else
		BCON_APPEND(options, HEADERS_ALONE);
	err = mongo_find(&use, mongo_log_names[class], filter, options, most, bytes, &found, info);
	bson_destroy(filter);
	bson_destroy(options);
	mongo_use_end(&use);
	if (err)
		return err;
	err = take_batches(&found, stream, arena, ret_batches, ret_count, info);
	mongo_found_free(&found);
	return err;
}

enum err mongo_next_stream(struct mongo_use *use, enum store_class class, const char *after, bool inclusive,
	char ret_stream[STORE_STREAM_SIZE], struct err_info *info)
{
	struct mongo_found found;
	bson_iter_t member;
	bson_t *filter = BCON_NEW("stream", "{", inclusive ? "$gte" : "$gt", BCON_UTF8(after), "}");
	bson_t *options = BCON_NEW("sort", "{", "stream", BCON_INT32(1), "seq", BCON_INT32(1), "}", "limit",
		BCON_INT64(1), "projection", "{", "stream", BCON_INT32(1), "}");
	char name[STORE_STREAM_SIZE] = "";
	enum err err = mongo_find(use, mongo_log_names[class], filter, options, 1, 0, &found, info);
	bson_destroy(filter);
	bson_destroy(options);
	if (err)
		return err;
	if (found.count && bson_iter_init_find(&member, found.documents[0], "stream")) {
		struct store_value value = mongo_value(&member);
		take_text(&value, name, sizeof name);
	}
	memcpy(ret_stream, name, sizeof name);
	mongo_found_free(&found);
	return ERR_OK;
}

enum err mongo_log_streams(void *engine, enum store_class class, const char *prefix, struct arena *arena,
	const char ***ret_names, size_t *ret_count, struct err_info *info)
{
	struct mongo_use use;
	char name[STORE_STREAM_SIZE];
	size_t capacity = 0;
	*ret_names = NULL;
	*ret_count = 0;
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	err = mongo_next_stream(&use, class, prefix, true, name, info);
	while (!err && name[0] && strncmp(name, prefix, strlen(prefix)) == 0) {
		if (*ret_count == capacity) {
			size_t wider = capacity ? 2 * capacity : 16;
			const char **names = ARENA_ARRAY(arena, const char *, wider);
			for (size_t i = 0; names && i < capacity; i++)
				names[i] = (*ret_names)[i];
			*ret_names = names;
			capacity = wider;
		}
		const char *kept = *ret_names ? arena_copy(arena, name, strlen(name)) : NULL;
		if (!kept) {
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory to list the logs");
			break;
		}
		(*ret_names)[(*ret_count)++] = kept;
		err = mongo_next_stream(&use, class, kept, false, name, info);
	}
	mongo_use_end(&use);
	return err;
}

/* ---- prune and delete: both may be done twice ---- */

static enum err run(struct mongo_use *use, bson_t *command, struct err_info *info)
{
	bson_error_t error;
	enum err err = mongo_command(use, command, true, NULL, &error, info);
	bson_destroy(command);
	return err;
}

static void pruned_name(enum store_class class, const char *stream, char ret_name[STORE_STREAM_SIZE + 16])
{
	snprintf(ret_name, STORE_STREAM_SIZE + 16, "%s/%s", mongo_log_names[class], stream);
}

static enum err pruned_below(struct mongo_use *use, const char *name, uint64_t *ret_below, struct err_info *info)
{
	struct mongo_found found;
	bson_iter_t member;
	bson_t *filter = BCON_NEW("_id", BCON_UTF8(name)), *options = BCON_NEW("limit", BCON_INT64(1));
	enum err err = mongo_find(use, "log_pruned", filter, options, 1, 0, &found, info);
	bson_destroy(filter);
	bson_destroy(options);
	*ret_below = 1;
	if (err)
		return err;
	if (found.count && bson_iter_init_find(&member, found.documents[0], "below"))
		*ret_below = (uint64_t)bson_iter_as_int64(&member);
	mongo_found_free(&found);
	return ERR_OK;
}

static enum err prune_some(struct mongo_use *use, enum store_class class, const char *stream, uint64_t below,
	uint64_t next, struct err_info *info)
{
	char name[STORE_STREAM_SIZE + 16];
	pruned_name(class, stream, name);
	enum err err = run(use,
		BCON_NEW("update", BCON_UTF8(mongo_log_names[class]), "updates", "[", "{", "q", "{", "stream",
			BCON_UTF8(stream), "seq", "{", "$gte", BCON_INT64((int64_t)below), "$lt",
			BCON_INT64((int64_t)next), "}", "}", "u", "{", "$unset", "{", "payload", BCON_UTF8(""), "}",
			"}", "multi", BCON_BOOL(true), "}", "]", "writeConcern", "{", "w", BCON_UTF8("majority"), "j",
			BCON_BOOL(true), "}"),
		info);
	if (err)
		return err;
	return run(use,
		BCON_NEW("update", BCON_UTF8("log_pruned"), "updates", "[", "{", "q", "{", "_id", BCON_UTF8(name), "}",
			"u", "{", "$max", "{", "below", BCON_INT64((int64_t)next), "}", "}", "upsert", BCON_BOOL(true),
			"}", "]", "writeConcern", "{", "w", BCON_UTF8("majority"), "}"),
		info);
}

enum err mongo_log_prune(void *engine, enum store_class class, const char *stream, uint64_t seq, struct err_info *info)
{
	struct mongo_use use;
	struct store_batch head;
	uint64_t below = 1;
	char name[STORE_STREAM_SIZE + 16];
	pruned_name(class, stream, name);
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	err = pruned_below(&use, name, &below, info);
	if (!err)
		err = mongo_read_head(&use, class, stream, &head, info);
	uint64_t goal = err ? 0 : (seq > head.seq + 1 ? head.seq + 1 : seq);
	while (!err && below < goal) {
		uint64_t next = goal - below > PRUNE_BATCHES ? below + PRUNE_BATCHES : goal;
		err = prune_some(&use, class, stream, below, next, info);
		below = next;
	}
	mongo_use_end(&use);
	return err;
}

/* From the end, so that what is left is never taken for whole. */
enum err mongo_log_delete(void *engine, enum store_class class, const char *stream, struct err_info *info)
{
	struct mongo_use use;
	struct store_batch head;
	char name[STORE_STREAM_SIZE + 16];
	pruned_name(class, stream, name);
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	err = mongo_read_head(&use, class, stream, &head, info);
	while (!err && head.seq > 0) {
		uint64_t first = head.seq > DELETE_BATCHES ? head.seq - DELETE_BATCHES + 1 : 1;
		mongo_forget_head(use.back, class, stream, UINT64_MAX);
		err = run(&use,
			BCON_NEW("delete", BCON_UTF8(mongo_log_names[class]), "deletes", "[", "{", "q", "{", "stream",
				BCON_UTF8(stream), "seq", "{", "$gte", BCON_INT64((int64_t)first), "}", "}", "limit",
				BCON_INT32(0), "}", "]", "writeConcern", "{", "w", BCON_UTF8("majority"), "}"),
			info);
		head.seq = first - 1;
	}
	mongo_forget_head(use.back, class, stream, UINT64_MAX);
	if (!err)
		err = run(&use,
			BCON_NEW("delete", BCON_UTF8("log_pruned"), "deletes", "[", "{", "q", "{", "_id",
				BCON_UTF8(name), "}", "limit", BCON_INT32(1), "}", "]", "writeConcern", "{", "w",
				BCON_UTF8("majority"), "}"),
			info);
	mongo_use_end(&use);
	return err;
}
