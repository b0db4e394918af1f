/* The audit log over HTTP: who sees which records, pages, and proofs that hold against the signed checkpoint. */
#include "service.h"

#include "carbond/base/merkle.h"

static const char *auditor, *admin, *stranger, *plant_operator;
static struct organisation plant = {.slug = "plant", .name = "A plant", .country = "CH"};

static int start(void **state)
{
	(void)state;
	static const struct audit_actor actor = {.name = "test"};
	service_start(NULL, NULL);
	if (identity_organisation_create(api.identity, &actor, &plant, &info) != ERR_OK)
		fail_msg("organisation: %s", info.detail);
	auditor = service_key(house.id, "auditor", 0);
	admin = service_key(plant.id, "org-admin", 1);
	stranger = service_key(plant.id, "device", 2);
	plant_operator = service_key(plant.id, "operator", 3);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	service_stop();
	return 0;
}

static void records_come_in_pages(void **state)
{
	(void)state;
	char request[128] = "GET /v1/audit/records?limit=2", last[64] = "";
	size_t seen = 0;
	json_int_t position = INT64_MAX;
	for (;;) {
		json_t *page = call_for(200, auditor, request, "", NULL), *record;
		size_t i;
		json_array_foreach(json_object_get(page, "items"), i, record)
		{
			assert_true(json_integer_value(json_object_get(record, "position")) < position);
			position = json_integer_value(json_object_get(record, "position"));
			seen++;
		}
		const char *next = json_string_value(json_object_get(page, "next_cursor"));
		snprintf(last, sizeof last, "%s", next ? next : "");
		json_decref(page);
		if (!last[0])
			break;
		snprintf(request, sizeof request, "GET /v1/audit/records?limit=2&cursor=%s", last);
	}
	assert_int_equal(position, 1);
	assert_true(seen >= 6); /* two organisations, five keys */
	static const char *const bad[] = {"x", "-1", "0", "99999999999999999999", "5x", "%201"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(request, sizeof request, "GET /v1/audit/records?cursor=%s", bad[i]);
		json_decref(call_for(400, auditor, request, "", NULL));
	}
}

static void organisations_see_their_own(void **state)
{
	(void)state;
	char request[160], text[ID_TEXT_SIZE];
	json_t *page = call_for(200, admin, "GET /v1/audit/records?limit=100", "", NULL), *record;
	size_t i;
	assert_true(json_array_size(json_object_get(page, "items")) >= 3);
	json_array_foreach(json_object_get(page, "items"), i, record)
		assert_string_equal(json_string_value(json_object_get(record, "org")), id_text(plant.id, text));
	char *all = json_dumps(page, 0);
	assert_null(strstr(all, admin)); /* no record holds a key */
	free(all);
	json_decref(page);
	snprintf(request, sizeof request, "GET /v1/audit/records?org_id=%s", id_text(house.id, text));
	json_decref(call_for(403, admin, request, "", NULL));
	json_decref(call_for(200, auditor, request, "", NULL));
	json_decref(call_for(403, stranger, "GET /v1/audit/records", "", NULL));
	json_decref(call_for(403, plant_operator, "GET /v1/audit/records", "", NULL));
	json_decref(call_for(401, NULL, "GET /v1/audit/records", "", NULL));
	snprintf(request, sizeof request, "GET /v1/audit/records?subject=%s", id_text(plant.id, text));
	page = call_for(200, auditor, request, "", NULL);
	assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
	json_decref(page);
}

static struct hash hash_of(const json_t *object, const char *name)
{
	struct hash hash = {{0}};
	assert_int_equal(hash_parse(json_string_value(json_object_get(object, name)), &hash), ERR_OK);
	return hash;
}

static struct merkle_proof proof_of(const json_t *answer)
{
	struct merkle_proof proof = {.count = 0};
	json_t *item;
	size_t i;
	json_array_foreach(json_object_get(answer, "hashes"), i, item)
		assert_int_equal(hash_parse(json_string_value(item), &proof.hashes[proof.count++]), ERR_OK);
	return proof;
}

static void proofs_hold_against_the_checkpoint(void **state)
{
	(void)state;
	char request[160];
	assert_int_equal(audit_checkpoint(api.audit, clock_wall_us(), &info), ERR_OK);
	json_t *checkpoint = call_for(200, auditor, "GET /v1/audit/checkpoints/latest", "", NULL);
	json_t *stream = json_array_get(json_object_get(checkpoint, "streams"), 0);
	assert_string_equal(json_string_value(json_object_get(stream, "stream")), "audit.n1");
	uint64_t size = (uint64_t)json_integer_value(json_object_get(stream, "tree_size"));
	struct hash root = hash_of(stream, "root");

	/* a record as it is served, in canonical form, is the leaf */
	struct arena *arena = arena_new(0);
	json_t *page = call_for(200, auditor, "GET /v1/audit/records?limit=1000", "", NULL), *record;
	size_t i;
	assert_int_equal(json_array_size(json_object_get(page, "items")), size);
	json_array_foreach(json_object_get(page, "items"), i, record)
	{
		char *text = NULL;
		size_t length = 0;
		uint64_t index = (uint64_t)json_integer_value(json_object_get(record, "position")) - 1;
		assert_int_equal(document_canonical(arena, record, &text, &length), ERR_OK);
		snprintf(request, sizeof request, "GET /v1/audit/streams/audit.n1/inclusion?index=%llu&tree_size=%llu",
			(unsigned long long)index, (unsigned long long)size);
		json_t *answer = call_for(200, auditor, request, "", NULL);
		struct merkle_proof proof = proof_of(answer);
		assert_true(hash_equal(hash_of(answer, "root"), root));
		assert_true(merkle_inclusion_holds(merkle_leaf(text, length), index, size, &proof, root));
		json_decref(answer);
	}
	json_decref(page);
	arena_free(&arena);

	snprintf(request, sizeof request, "GET /v1/audit/streams/audit.n1/consistency?first=2&second=%llu",
		(unsigned long long)size);
	json_t *later = call_for(200, auditor, request, "", NULL);
	json_t *first =
		call_for(200, auditor, "GET /v1/audit/streams/audit.n1/inclusion?index=0&tree_size=2", "", NULL);
	struct merkle_proof proof = proof_of(later);
	assert_true(merkle_consistency_holds(2, size, hash_of(first, "root"), root, &proof));
	json_decref(later);
	json_decref(first);
	json_decref(checkpoint);

	static const struct {
		int status;
		const char *request;
	} refused[] = {
		{404, "GET /v1/audit/streams/audit.n1/inclusion?index=5&tree_size=5"},
		{404, "GET /v1/audit/streams/audit.n1/inclusion?index=0&tree_size=100000"},
		{404, "GET /v1/audit/streams/nothing.n1/inclusion?index=0&tree_size=1"},
		{422, "GET /v1/audit/streams/audit.n1/inclusion?index=0"},
		{422, "GET /v1/audit/streams/audit.n1/inclusion?index=-1&tree_size=1"},
		{404, "GET /v1/audit/streams/audit.n1/consistency?first=3&second=2"},
		{422, "GET /v1/audit/streams/audit.n1/consistency?first=0&second=2"},
	};
	for (i = 0; i < sizeof refused / sizeof refused[0]; i++)
		json_decref(call_for(refused[i].status, auditor, refused[i].request, "", NULL));
	json_decref(call_for(403, admin, "GET /v1/audit/checkpoints/latest", "", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_in_pages),
		cmocka_unit_test(organisations_see_their_own),
		cmocka_unit_test(proofs_hold_against_the_checkpoint),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
