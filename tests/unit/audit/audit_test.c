/* The third log: a record happens with the rows that it is about or not at all; secrets are left out, personal data is a
 * salted hash. One tree a stream: proofs hold for every leaf and every pair of sizes, a restart goes on exactly, views that
 * are lost are made again, and no checkpoint is signed over a rewritten log (P14: the same state gives the same roots). */
#include "place.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "carbond/events.h"

static json_t *find(struct bench *bench, struct audit_query query, int64_t *ret_next)
{
	json_t *records = NULL;
	assert_ok(audit_find(bench->audit, &query, bench->arena, &records, ret_next, &bench->info), bench);
	return records;
}

static int64_t position_at(json_t *records, size_t index)
{
	return json_integer_value(json_object_get(json_array_get(records, index), "position"));
}

/* ---- records ---- */

static void records_and_rows_happen_together(void **state)
{
	struct bench *bench = *state;
	int64_t position = 0, next = 0;
	assert_int_equal(create(bench, 1, 100, "ada", &position), ERR_OK);
	assert_int_equal(position, 1);
	struct person found = {.id = id_of(1)};
	assert_ok(store_get(bench->store, &persons, &found, bench->arena, &bench->info), bench);
	assert_int_equal(found.position, 1); /* the row carries its record's position */
	assert_int_equal(create(bench, 1, 100, "ada", &position), ERR_CONDITION_FAILED);
	assert_int_equal(create(bench, 2, 100, "ada", &position), ERR_DUPLICATE); /* the name is in use */
	assert_int_equal(create(bench, 3, 100, "bob", &position), ERR_OK);
	assert_int_equal(position, 2); /* a refused change leaves no record */
	json_t *records = find(bench, (struct audit_query){.before_position = INT64_MAX, .most = 10}, &next);
	assert_int_equal(json_array_size(records), 2);
	assert_int_equal(position_at(records, 0), 2); /* newest first */
	assert_int_equal(next, 0);
	stop(bench);
	start(bench);
	assert_int_equal(create(bench, 4, 100, "eve", &position), ERR_OK);
	assert_int_equal(position, 3);
}

static void records_hold_no_secrets(void **state)
{
	struct bench *bench = *state;
	int64_t next = 0;
	assert_int_equal(create(bench, 1, 100, "ada", NULL), ERR_OK);
	json_t *records = find(bench, (struct audit_query){.before_position = INT64_MAX, .most = 10}, &next);
	json_t *record = json_array_get(records, 0), *row = json_object_get(record, "new");
	char *text = document_text(bench->arena, record, NULL);
	assert_null(strstr(text, "hush"));
	assert_null(strstr(text, "ada@example.org"));
	assert_string_equal(json_string_value(json_object_get(row, "name")), "ada");
	assert_true(json_is_string(json_object_get(row, "weight"))); /* canonical: no reals */
	assert_string_equal(json_string_value(json_object_get(json_object_get(record, "actor"), "name")), "tester");
	assert_string_equal(json_string_value(json_object_get(record, "request_id")), "r-1");
	assert_string_equal(json_string_value(json_object_get(record, "action")), "person.create");
	/* the hash can be checked as long as its salt is kept */
	const char *hash = json_string_value(json_object_get(json_object_get(row, "mail"), "salted_hash"));
	assert_non_null(hash);
	const struct store_collection *salts = NULL;
	for (const struct store_collection *const *at = audit_collections; *at; at++)
		if (strcmp((*at)->name, "audit_salts") == 0)
			salts = *at;
	void *rows = NULL;
	size_t count = 0;
	struct store_query query = {.collection = salts, .most = 10};
	assert_ok(store_find(bench->store, &query, bench->arena, &rows, &count, &bench->info), bench);
	assert_int_equal(count, 1);
	const struct field *salt_field = field_find(salts->fields, "salt");
	const struct bytes *salt = (const void *)((const char *)rows + salt_field->offset);
	char expected[HASH_TEXT_SIZE];
	assert_int_equal(salt->size, 16);
	assert_string_equal(hash, hash_text(seal_text_hash(salt->data, "ada@example.org"), expected));
}

static void free_form_documents_stay_canonical(void **state)
{
	struct bench *bench = *state;
	struct person person;
	int64_t next = 0;
	field_clear(person_fields, &person);
	person.id = id_of(1);
	person.extra = document_own(bench->arena, json_pack("{s:f, s:[f,i], s:{s:i}, s:I}", "ratio", 0.1, "list", 1.5,
							  2, "nested", "käse", 1, "large", (json_int_t)INT64_MAX));
	struct audit_change change = {.action = "person.note",
		.subject_kind = "person",
		.subject = person.id,
		.fields = person_fields,
		.old_row = &person};
	assert_ok(audit_write(bench->audit, &actor, &change, NULL, &bench->info), bench);
	json_t *records = find(bench, (struct audit_query){.before_position = INT64_MAX, .most = 10}, &next);
	json_t *extra = json_object_get(json_object_get(json_array_get(records, 0), "old"), "extra");
	assert_string_equal(json_string_value(json_object_get(extra, "large")), "9223372036854775807");
	assert_string_equal(json_string_value(json_object_get(extra, "nested")), "{\"käse\":1}");
	assert_string_equal(json_string_value(json_array_get(json_object_get(extra, "list"), 0)), "1.5");
}

static void records_are_found_by_filter_and_page(void **state)
{
	struct bench *bench = *state;
	char name[16];
	for (unsigned i = 1; i <= 60; i++) {
		snprintf(name, sizeof name, "p%u", i);
		assert_int_equal(create(bench, i, 100 + i % 3, name, NULL), ERR_OK);
	}
	struct audit_query query = {.before_position = INT64_MAX, .most = 7, .org = id_of(101)};
	size_t seen = 0;
	int64_t last = INT64_MAX, next = 1;
	while (next) {
		json_t *records = find(bench, query, &next);
		for (size_t i = 0; i < json_array_size(records); i++) {
			assert_true(position_at(records, i) < last);
			last = position_at(records, i);
			assert_int_equal(last % 3, 1);
			seen++;
		}
		query.before_position = next;
	}
	assert_int_equal(seen, 20);
	query = (struct audit_query){.before_position = INT64_MAX, .most = 7, .subject = id_of(33)};
	assert_int_equal(json_array_size(find(bench, query, &next)), 1);
	query.org = id_of(101); /* 33 is of 100 */
	assert_int_equal(json_array_size(find(bench, query, &next)), 0);
	query = (struct audit_query){.before_position = INT64_MAX, .most = 100, .subject_kind = "person"};
	assert_int_equal(json_array_size(find(bench, query, &next)), 60);
	query.subject_kind = "unit";
	assert_int_equal(json_array_size(find(bench, query, &next)), 0);
}

struct crowd {
	struct bench *bench;
	unsigned first;
	int created, refused;
};

static void *create_many(void *argument)
{
	struct crowd *crowd = argument;
	for (unsigned i = 0; i < 50; i++) {
		char name[16];
		/* every name is wanted by two threads */
		snprintf(name, sizeof name, "c%u", crowd->first / 2 * 50 + i);
		enum err err = create(crowd->bench, 1000 + crowd->first * 50 + i, 100, name, NULL);
		crowd->created += err == ERR_OK;
		crowd->refused += err == ERR_DUPLICATE;
	}
	return NULL;
}

static void many_writers_get_their_own_verdicts(void **state)
{
	struct bench *bench = *state;
	struct crowd crowds[8];
	pthread_t threads[8];
	int created = 0, refused = 0;
	for (unsigned i = 0; i < 8; i++) {
		crowds[i] = (struct crowd){.bench = bench, .first = i};
		pthread_create(&threads[i], NULL, create_many, &crowds[i]);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		created += crowds[i].created;
		refused += crowds[i].refused;
	}
	assert_int_equal(created, 200);
	assert_int_equal(refused, 200);
	int64_t next = 0;
	json_t *records = find(bench, (struct audit_query){.before_position = INT64_MAX, .most = 1000}, &next);
	assert_int_equal(json_array_size(records), 200);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(position_at(records, i), 200 - (int64_t)i);
}

/* ---- trees ---- */

/* A journal of fake records; the leaves are given back. */
static void append_journal(struct bench *bench, uint64_t first_seq, size_t batches, size_t per_batch,
	struct hash *leaves, size_t *leaf_count)
{
	for (size_t b = 0; b < batches; b++) {
		uint8_t payload[64 * 72];
		size_t size = 0;
		for (size_t i = 0; i < per_batch; i++) {
			size_t length = 64 + 8 * (*leaf_count % 2);
			memset(payload + size, (int)(*leaf_count % 251), length);
			memset(payload + size, 0, 4);
			payload[size] = (uint8_t)length;
			leaves[(*leaf_count)++] = merkle_leaf(payload + size, length);
			size += length;
		}
		struct store_batch batch = {.stream = "journal.0",
			.seq = first_seq + b,
			.count = (uint32_t)per_batch,
			.node = "n1",
			.payload = payload,
			.payload_size = size};
		struct store_append append = {.class = STORE_VALUE, .batch = &batch};
		assert_ok(store_log_append(bench->store, &append, NULL, &bench->info), bench);
	}
}

static json_t *checkpoint(struct bench *bench, int64_t now_us)
{
	char *text = NULL;
	json_t *document = NULL;
	assert_ok(audit_checkpoint(bench->audit, now_us, &bench->info), bench);
	assert_ok(audit_checkpoint_text(bench->audit, NULL, 0, bench->arena, &text, &bench->info), bench);
	assert_ok(document_parse(bench->arena, text, strlen(text), &document, &bench->info), bench);
	return document;
}

static json_t *stream_of(json_t *document, const char *name)
{
	size_t i;
	json_t *stream;
	json_array_foreach(json_object_get(document, "streams"), i, stream)
	{
		if (strcmp(json_string_value(json_object_get(stream, "stream")), name) == 0)
			return stream;
	}
	fail_msg("no stream %s", name);
	return NULL;
}

static void expect_root(json_t *document, const char *name, const struct hash *leaves, size_t count)
{
	char root[HASH_TEXT_SIZE];
	json_t *stream = stream_of(document, name);
	assert_int_equal(json_integer_value(json_object_get(stream, "tree_size")), count);
	assert_string_equal(
		json_string_value(json_object_get(stream, "root")), hash_text(merkle_root(leaves, count), root));
}

static void expect_inclusion(struct bench *bench, const struct hash *leaves, size_t index, size_t size)
{
	struct merkle_proof proof;
	struct hash root;
	assert_ok(audit_inclusion(bench->audit, "journal.0", index, size, &proof, &root, &bench->info), bench);
	assert_true(hash_equal(root, merkle_root(leaves, size)));
	assert_true(merkle_inclusion_holds(leaves[index], index, size, &proof, root));
	struct merkle_proof expected;
	merkle_inclusion(leaves, index, size, &expected);
	assert_int_equal(proof.count, expected.count);
	assert_memory_equal(proof.hashes, expected.hashes, proof.count * sizeof(struct hash));
}

static void expect_consistency(struct bench *bench, const struct hash *leaves, size_t first, size_t second)
{
	struct merkle_proof proof;
	assert_ok(audit_consistency(bench->audit, "journal.0", first, second, &proof, &bench->info), bench);
	assert_true(merkle_consistency_holds(
		first, second, merkle_root(leaves, first), merkle_root(leaves, second), &proof));
	struct merkle_proof expected;
	merkle_consistency(leaves, first, second, &expected);
	assert_int_equal(proof.count, expected.count);
	assert_memory_equal(proof.hashes, expected.hashes, proof.count * sizeof(struct hash));
}

#define LEAVES 1400 /* over five tiles of the lowest level */

static void proofs_hold_over_restarts(void **state)
{
	struct bench *bench = *state;
	static struct hash leaves[LEAVES];
	size_t count = 0;
	for (size_t round = 0; round < 7; round++) {
		append_journal(bench, 1 + round * 20, 20, 10, leaves, &count);
		expect_root(checkpoint(bench, (int64_t)round + 1), "journal.0", leaves, count);
		if (round % 2)
			stop(bench), start(bench);
		for (size_t index = round; index < count; index += 61)
			expect_inclusion(bench, leaves, index, count);
	}
	assert_int_equal(count, LEAVES);
	for (size_t size = 1; size <= 40; size++)
		for (size_t index = 0; index < size; index++)
			expect_inclusion(bench, leaves, index, size);
	for (size_t second = 1; second <= 40; second++)
		for (size_t first = 1; first <= second; first++)
			expect_consistency(bench, leaves, first, second);
	for (size_t size = 255; size <= LEAVES; size += 127) {
		expect_inclusion(bench, leaves, size - 1, size);
		expect_inclusion(bench, leaves, size / 3, size);
		expect_consistency(bench, leaves, size / 2, size);
		expect_consistency(bench, leaves, 256, size < 256 ? 256 : size);
	}
	struct merkle_proof proof;
	struct hash root;
	assert_int_equal(
		audit_inclusion(bench->audit, "journal.0", LEAVES, LEAVES, &proof, &root, &bench->info), ERR_NOT_FOUND);
	assert_int_equal(
		audit_inclusion(bench->audit, "journal.0", 0, LEAVES + 1, &proof, &root, &bench->info), ERR_NOT_FOUND);
	assert_int_equal(audit_inclusion(bench->audit, "journal.0", 0, 0, &proof, &root, &bench->info), ERR_NOT_FOUND);
	assert_int_equal(audit_inclusion(bench->audit, "journal.9", 0, 1, &proof, &root, &bench->info), ERR_NOT_FOUND);
	assert_int_equal(audit_consistency(bench->audit, "journal.0", 0, 5, &proof, &bench->info), ERR_NOT_FOUND);
	assert_int_equal(audit_consistency(bench->audit, "journal.0", 6, 5, &proof, &bench->info), ERR_NOT_FOUND);

	/* views that are lost are made again, with the same roots */
	json_t *before = checkpoint(bench, 100);
	stop(bench);
	char path[128];
	snprintf(path, sizeof path, "%s/views.db", bench->folder);
	unlink(path);
	start(bench);
	json_t *after = checkpoint(bench, 101);
	assert_true(json_equal(json_object_get(before, "streams"), json_object_get(after, "streams")));
	expect_inclusion(bench, leaves, 77, LEAVES);
}

static void checkpoints_are_signed(void **state)
{
	struct bench *bench = *state;
	static struct hash leaves[16];
	size_t count = 0, size = 0;
	char *text = NULL;
	assert_int_equal(
		audit_checkpoint_text(bench->audit, NULL, 0, bench->arena, &text, &bench->info), ERR_NOT_FOUND);
	append_journal(bench, 1, 2, 3, leaves, &count);
	assert_int_equal(create(bench, 1, 100, "ada", NULL), ERR_OK);
	struct store_batch batch = {.stream = "readings.n1",
		.seq = 1,
		.count = 9,
		.node = "n1",
		.payload = (const uint8_t *)"zz",
		.payload_size = 2};
	struct store_append append = {.class = STORE_READINGS, .batch = &batch};
	assert_ok(store_log_append(bench->store, &append, NULL, &bench->info), bench);
	json_t *document = checkpoint(bench, 1700000000000000);
	expect_root(document, "journal.0", leaves, count);
	struct hash leaf =
		merkle_leaf(batch.hash.bytes, sizeof batch.hash.bytes); /* of the batch, not of its records */
	expect_root(document, "readings.n1", &leaf, 1);
	assert_int_equal(json_integer_value(json_object_get(stream_of(document, "audit.n1"), "tree_size")), 1);
	assert_int_equal(json_array_size(json_object_get(document, "streams")), 3);
	assert_string_equal(json_string_value(json_object_get(document, "node")), "n1");
	assert_int_equal(json_integer_value(json_object_get(document, "time_us")), 1700000000000000);
	struct sign_public told = audit_checkpoint_key(bench->audit);
	assert_memory_equal(&told, &bench->key, sizeof told);

	/* the signature is over the canonical document without it */
	struct signature signature;
	const char *hex = json_string_value(json_object_get(document, "signature"));
	assert_int_equal(hex_parse(hex, strlen(hex), signature.bytes, sizeof signature.bytes, &size), ERR_OK);
	assert_int_equal(size, sizeof signature.bytes);
	json_object_del(document, "signature");
	assert_int_equal(document_canonical(bench->arena, document, &text, &size), ERR_OK);
	assert_true(sign_holds(&bench->key, "carbond/checkpoint/1", text, size, &signature));
	json_object_set_new(document, "time_us", json_integer(5));
	assert_int_equal(document_canonical(bench->arena, document, &text, &size), ERR_OK);
	assert_false(sign_holds(&bench->key, "carbond/checkpoint/1", text, size, &signature));

	assert_ok(audit_checkpoint_text(bench->audit, "journal.0", count, bench->arena, &text, &bench->info), bench);
	assert_int_equal(audit_checkpoint_text(bench->audit, "journal.0", count + 1, bench->arena, &text, &bench->info),
		ERR_NOT_FOUND);
}

/* The whole log is replaced by one that is sound in itself: what was signed before gives it away. */
static void a_rewritten_log_is_not_signed(void **state)
{
	struct bench *bench = *state;
	static struct hash leaves[64];
	size_t count = 0;
	char path[128];
	append_journal(bench, 1, 3, 4, leaves, &count);
	json_t *kept = checkpoint(bench, 1);
	stop(bench);
	/* a new value.db with another history, under the old checkpoint */
	static const char *const names[] = {"value.db", "views.db"};
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", bench->folder, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	start(bench);
	const struct store_collection *checkpoints = NULL;
	for (const struct store_collection *const *at = audit_collections; *at; at++)
		if (strcmp((*at)->name, "audit_checkpoints") == 0)
			checkpoints = *at;
	struct {
		int64_t time_us;
		const char *node, *text;
	} row = {1, "n1", document_text(bench->arena, kept, NULL)};
	assert_int_equal(checkpoints->row_size, sizeof row);
	struct store_change change = {.collection = checkpoints, .row = &row, .verb = STORE_PUT};
	assert_ok(store_write(bench->store, &change, 1, NULL, &bench->info), bench);
	count = 1; /* other leaves */
	append_journal(bench, 1, 3, 4, leaves, &count);
	assert_int_equal(audit_checkpoint(bench->audit, 2, &bench->info), ERR_STORE_CORRUPT);
	assert_non_null(strstr(bench->info.detail, "journal.0"));
}

/* Another history under the checkpoints that were signed: it begins with `first` of the old leaves or with others, and says
 * that a restore cut it behind the fourth. */
static enum err sign_after_restore(struct bench *bench, json_t *const *kept, size_t first, uint64_t lost_position)
{
	static struct hash leaves[64];
	char path[128];
	size_t count = first;
	stop(bench);
	static const char *const names[] = {"value.db", "views.db"};
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", bench->folder, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	start(bench);
	const struct store_collection *checkpoints = NULL;
	for (const struct store_collection *const *at = audit_collections; *at; at++)
		if (strcmp((*at)->name, "audit_checkpoints") == 0)
			checkpoints = *at;
	for (int i = 0; i < 2; i++) {
		struct {
			int64_t time_us;
			const char *node, *text;
		} row = {i + 1, "n1", document_text(bench->arena, kept[i], NULL)};
		struct store_change change = {.collection = checkpoints, .row = &row, .verb = STORE_PUT};
		assert_ok(store_write(bench->store, &change, 1, NULL, &bench->info), bench);
	}
	append_journal(bench, 1, 1, 4, leaves, &count);
	struct event event = {.header = {.type = EVENT_RESTORED, .number = 5, .time_us = 3},
		.restored = {.position = 4, .lost_position = lost_position, .lost_seq = 3, .lost_head = {{1}}}};
	uint8_t bytes[512];
	size_t size = 0;
	assert_int_equal(event_encode(&event, bytes, sizeof bytes, &size), ERR_OK);
	struct store_batch batch = {
		.stream = "journal.0", .seq = 2, .count = 1, .node = "n1", .payload = bytes, .payload_size = size};
	struct store_append append = {.class = STORE_VALUE, .batch = &batch};
	assert_ok(store_log_append(bench->store, &append, NULL, &bench->info), bench);
	return audit_checkpoint(bench->audit, 4, &bench->info);
}

/* The fork that a restore declares is accepted, and no other: not one that goes further, nor one with another beginning. */
static void a_restore_is_the_only_fork(void **state)
{
	struct bench *bench = *state;
	static struct hash leaves[64];
	size_t count = 0;
	append_journal(bench, 1, 1, 4, leaves, &count);
	json_t *kept[2] = {checkpoint(bench, 1), NULL};
	append_journal(bench, 2, 2, 4, leaves, &count);
	kept[1] = checkpoint(bench, 2); /* of twelve leaves */
	assert_int_equal(sign_after_restore(bench, kept, 0, 11), ERR_STORE_CORRUPT);
	assert_int_equal(sign_after_restore(bench, kept, 1, 12), ERR_STORE_CORRUPT);
	assert_int_equal(sign_after_restore(bench, kept, 0, 12), ERR_OK);
	assert_ok(audit_checkpoint(bench->audit, 5, &bench->info), bench); /* and the new history goes on */
}

static void a_log_that_is_shorter_than_its_tree_is_folded_anew(void **state)
{
	struct bench *bench = *state;
	static struct hash leaves[LEAVES];
	size_t count = 0;
	char path[128], kept[160];
	append_journal(bench, 1, 60, 10, leaves, &count);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(create(bench, i, 100, NULL, NULL), ERR_OK);
	int64_t next = 0;
	struct audit_query all = {.before_position = INT64_MAX, .most = 10};
	assert_int_equal(json_array_size(find(bench, all, &next)), 5);
	assert_int_equal(
		audit_consistency(bench->audit, "journal.0", 1, 600, &(struct merkle_proof){0}, &bench->info), ERR_OK);
	stop(bench);
	/* value.db goes back to nothing, views.db stays */
	snprintf(path, sizeof path, "%s/value.db", bench->folder);
	snprintf(kept, sizeof kept, "%s/value.kept", bench->folder);
	assert_int_equal(rename(path, kept), 0);
	start(bench);
	count = 3;
	append_journal(bench, 1, 70, 10, leaves, &count);
	memmove(leaves, leaves + 3, 700 * sizeof leaves[0]);
	expect_root(checkpoint(bench, 1), "journal.0", leaves, 700);
	assert_int_equal(create(bench, 1, 100, NULL, NULL), ERR_OK);
	json_t *records = find(bench, all, &next);
	assert_int_equal(json_array_size(records), 1); /* those of before are no longer looked up */
	assert_int_equal(position_at(records, 0), 1);
	for (size_t index = 0; index < 700; index += 13)
		expect_inclusion(bench, leaves, index, 700);
}

static void records_that_do_not_fill_their_batch_are_refused(void **state)
{
	struct bench *bench = *state;
	uint8_t payload[128] = {64};
	struct store_batch batch = {
		.stream = "journal.0", .seq = 1, .count = 1, .node = "n1", .payload = payload, .payload_size = 100};
	struct store_append append = {.class = STORE_VALUE, .batch = &batch};
	assert_ok(store_log_append(bench->store, &append, NULL, &bench->info), bench);
	assert_int_equal(audit_checkpoint(bench->audit, 1, &bench->info), ERR_STORE_CORRUPT);
	assert_non_null(strstr(bench->info.detail, "batch 1"));
}

static void checkpoints_come_by_themselves(void **state)
{
	struct bench *bench = *state;
	char *text = NULL;
	stop(bench);
	bench->checkpoint_us = CLOCK_US_PER_HOUR;
	start(bench);
	int64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
	while (audit_checkpoint_text(bench->audit, NULL, 0, bench->arena, &text, &bench->info) == ERR_NOT_FOUND &&
		clock_monotonic_us() < deadline_us)
		sched_yield();
	assert_non_null(text);
}

/* ---- what another node changes ---- */

struct heard {
	atomic_int records, refused;
	atomic_bool refuse; /* the next telling fails once */
	struct id last;
};

static enum err hear(void *context, const struct audit_news *news, size_t count, struct err_info *info)
{
	struct heard *heard = context;
	if (atomic_exchange(&heard->refuse, false)) {
		atomic_fetch_add(&heard->refused, 1);
		return err_set(info, ERR_BUSY, NULL, "not now");
	}
	for (size_t i = 0; i < count; i++)
		if (strcmp(news[i].subject_kind, "person") == 0)
			heard->last = news[i].subject;
	atomic_fetch_add(&heard->records, (int)count);
	return ERR_OK;
}

static void write_at(struct audit *audit, unsigned number, struct err_info *info)
{
	const struct audit_change change = {
		.action = "person.create", .subject_kind = "person", .subject = id_of(number)};
	assert_int_equal(audit_write(audit, &actor, &change, NULL, info), ERR_OK);
}

static void wait_for(struct heard *heard, int records)
{
	int64_t deadline_us = clock_monotonic_us() + 30 * CLOCK_US_PER_SECOND;
	while (atomic_load(&heard->records) < records && clock_monotonic_us() < deadline_us)
		sched_yield();
	assert_int_equal(atomic_load(&heard->records), records);
}

/* Decision 13's records are what other daemons follow: each change of another node after the start is told once it could be
 * taken, of nodes that are new too; what was there before the start, and this node's own, is not. */
static void changes_of_other_nodes_are_told(void **state)
{
	struct bench *bench = *state;
	struct audit *other = NULL, *newer = NULL;
	struct audit_follower *follower = NULL;
	struct heard heard = {.records = 0};
	struct audit_options options = {
		.store = bench->store, .node = "n2", .checkpoint_key = &bench->secret, .checkpoint_us = INT64_MAX};
	assert_ok(audit_start(&options, &other, &bench->info), bench);
	write_at(other, 1, &bench->info);
	assert_ok(audit_follower_new(bench->audit, &follower, &bench->info), bench);
	write_at(other, 2, &bench->info);
	assert_ok(audit_follower_start(follower, hear, &heard, &bench->info), bench);
	wait_for(&heard, 1);
	assert_true(id_equal(heard.last, id_of(2)));
	write_at(bench->audit, 3, &bench->info);
	atomic_store(&heard.refuse, true);
	write_at(other, 4, &bench->info);
	wait_for(&heard, 2);
	assert_int_equal(atomic_load(&heard.refused), 1);
	assert_true(id_equal(heard.last, id_of(4)));
	options.node = "n3";
	assert_ok(audit_start(&options, &newer, &bench->info), bench);
	write_at(newer, 5, &bench->info);
	wait_for(&heard, 3);
	assert_true(id_equal(heard.last, id_of(5)));
	assert_true(audit_follow_age_us(follower) < 30 * CLOCK_US_PER_SECOND);
	audit_follower_free(&follower);
	audit_stop(&newer);
	audit_stop(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_and_rows_happen_together, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(records_hold_no_secrets, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(free_form_documents_stay_canonical, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(records_are_found_by_filter_and_page, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(many_writers_get_their_own_verdicts, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(proofs_hold_over_restarts, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(checkpoints_are_signed, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(a_rewritten_log_is_not_signed, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(a_restore_is_the_only_fork, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(
			a_log_that_is_shorter_than_its_tree_is_folded_anew, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(
			records_that_do_not_fill_their_batch_are_refused, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(checkpoints_come_by_themselves, bench_new, bench_free),
		cmocka_unit_test_setup_teardown(changes_of_other_nodes_are_told, bench_new, bench_free),
	};
	if (crypto_start() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
