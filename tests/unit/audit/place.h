/* An audit log over a store of its own, with a collection of persons that records are about: for the tests of room audit. */
#ifndef AUDIT_TEST_PLACE_H
#define AUDIT_TEST_PLACE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/audit.h"
#include "carbond/base/clock.h"
#include "carbond/base/seal.h"

struct person {
	struct id id, org_id;
	int64_t version;
	int64_t position;
	const char *name, *mail, *password;
	double weight;
	json_t *extra;
};

static const struct field person_fields[] = {
	FIELD(struct person, id, FIELD_ID, .doc = "id"),
	FIELD(struct person, org_id, FIELD_ID, .doc = "organisation"),
	FIELD(struct person, version, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "version"),
	FIELD(struct person, position, FIELD_INT, .min = 0, .max = INT64_MAX, .doc = "log position"),
	FIELD(struct person, name, FIELD_TEXT, .doc = "name"),
	FIELD(struct person, mail, FIELD_TEXT, .flags = FIELD_SEALED, .doc = "mail"),
	FIELD(struct person, password, FIELD_TEXT, .flags = FIELD_SECRET, .doc = "password"),
	FIELD(struct person, weight, FIELD_REAL, .doc = "a real"),
	FIELD(struct person, extra, FIELD_JSON, .doc = "a document"),
	FIELD_END,
};

static const struct store_index person_indexes[] = {
	{.name = "by_name", .fields = {"org_id", "name"}, .unique = true}, {.name = NULL}};

static const struct store_collection persons = {.name = "persons",
	.class = STORE_VALUE,
	.fields = person_fields,
	.row_size = sizeof(struct person),
	.key = {"id"},
	.indexes = person_indexes,
	.doc = "persons"};

struct bench {
	char folder[64], uri[80];
	struct store *store;
	struct audit *audit;
	struct sign_public key;
	struct sign_secret secret;
	struct arena *arena;
	int64_t checkpoint_us;
	struct err_info info;
};

static inline void assert_ok(enum err err, const struct bench *bench)
{
	if (err)
		fail_msg("%s: %s", err_row(err)->name, bench->info.detail);
}

static inline void start(struct bench *bench)
{
	static const struct seal_key seal_key = {.number = 1};
	const struct store_collection *collections[16];
	size_t count = 0;
	while (audit_collections[count]) {
		collections[count] = audit_collections[count];
		count++;
	}
	collections[count++] = &persons;
	collections[count] = NULL;
	struct store_options options = {
		.uri = bench->uri, .collections = collections, .seal_keys = &seal_key, .seal_key_count = 1};
	assert_ok(store_open(&options, &bench->store, &bench->info), bench);
	struct audit_options audit = {.store = bench->store,
		.node = "n1",
		.checkpoint_key = &bench->secret,
		.checkpoint_us = bench->checkpoint_us};
	assert_ok(audit_start(&audit, &bench->audit, &bench->info), bench);
}

static inline void stop(struct bench *bench)
{
	audit_stop(&bench->audit);
	store_close(&bench->store);
}

static inline int bench_new(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	uint8_t seed[32] = {1, 2, 3};
	snprintf(bench->folder, sizeof bench->folder, "/tmp/carbond-audit-XXXXXX");
	if (!mkdtemp(bench->folder))
		return 1;
	snprintf(bench->uri, sizeof bench->uri, "sqlite:%s", bench->folder);
	sign_keypair_from_seed(seed, &bench->key, &bench->secret);
	bench->arena = arena_new(0);
	bench->checkpoint_us = INT64_MAX; /* none by itself */
	*state = bench;
	start(bench);
	return 0;
}

static inline int drop_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

static inline int bench_free(void **state)
{
	struct bench *bench = *state;
	stop(bench);
	arena_free(&bench->arena);
	nftw(bench->folder, drop_one, 16, FTW_DEPTH | FTW_PHYS);
	free(bench);
	return 0;
}

static inline struct id id_of(unsigned number)
{
	struct id id = {{1}};
	id.bytes[14] = (uint8_t)(number >> 8);
	id.bytes[15] = (uint8_t)number;
	return id;
}

static const struct audit_actor actor = {.name = "tester", .request_id = "r-1"};

/* Creates a person; `name` may be NULL. */
static inline enum err create(
	struct bench *bench, unsigned number, unsigned org, const char *name, int64_t *ret_position)
{
	struct person person;
	field_clear(person_fields, &person);
	person.id = id_of(number);
	person.org_id = id_of(org);
	person.version = 1;
	person.name = name;
	person.mail = "ada@example.org";
	person.password = "hush";
	person.weight = 0.1;
	struct store_change put = {
		.collection = &persons, .row = &person, .verb = STORE_PUT, .condition = STORE_ABSENT};
	struct audit_change change = {.action = "person.create",
		.subject_kind = "person",
		.subject = person.id,
		.org = person.org_id,
		.fields = person_fields,
		.new_row = &person,
		.changes = &put,
		.change_count = 1};
	struct err_info info;
	return audit_write_positioned(bench->audit, &actor, &change, &person.position, ret_position, &info);
}

#endif
