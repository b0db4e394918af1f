/* Evidence packs: what we write verifies; P11: flipping any byte fails and names the item; strangers' keys are consistent but
 * not trusted; reproducible byte for byte. */
#include "plant.h"

#include "carbond/base/sign.h"

struct bytes_grown {
	uint8_t *data;
	size_t size, capacity;
};

static enum err grow(void *context, const void *data, size_t size, struct err_info *info)
{
	struct bytes_grown *bytes = context;
	(void)info;
	if (bytes->size + size > bytes->capacity) {
		bytes->capacity = (bytes->size + size) * 2;
		bytes->data = realloc(bytes->data, bytes->capacity);
	}
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
	return ERR_OK;
}

struct signer {
	struct sign_public public;
	struct sign_secret secret;
	struct id org;
};

static struct signer signer_new(uint8_t number)
{
	struct signer signer = {.org = plant_id(9, number)};
	uint8_t seed[32] = {number, 7};
	sign_keypair_from_seed(seed, &signer.public, &signer.secret);
	return signer;
}

static json_t *signatures(struct hash root, const struct signer *signers, size_t count)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < count; i++) {
		struct signature signature =
			sign_make(&signers[i].secret, MRV_SIGN_DOMAIN, root.bytes, sizeof root.bytes);
		struct mrv_attestation row = {.verifier_id = plant_id(8, i),
			.org_id = signers[i].org,
			.key = *(const struct hash *)&signers[i].public,
			.signature = {signature.bytes, sizeof signature.bytes},
			.signed_us = INT64_C(1775000000000000)};
		json_array_append_new(rows, field_write(mrv_attestation_fields, &row));
	}
	return json_pack("{s:o}", "signatures", rows);
}

/* An issue record as the leaf of a tree of three under a signed checkpoint. */
static json_t *issue(struct arena *arena, const struct signer *checkpoint_signer)
{
	static const char record[] = "the record of issue";
	struct hash leaves[3] = {merkle_leaf("a", 1), merkle_leaf(record, sizeof record), merkle_leaf("c", 1)};
	struct merkle_proof proof;
	char root[HASH_TEXT_SIZE], hex[HASH_TEXT_SIZE], key[65], signature_text[129], *text;
	size_t size;
	merkle_inclusion(leaves, 1, 3, &proof);
	json_t *checkpoint = json_pack("{s:s, s:I, s:s, s:[{s:s, s:i, s:i, s:s}]}", "node", "n1", "time_us",
		(json_int_t)1775000000000000, "key", hex_text(checkpoint_signer->public.bytes, 32, key), "streams",
		"stream", "journal.0", "seq", 2, "tree_size", 3, "root", hash_text(merkle_root(leaves, 3), root));
	assert_int_equal(document_canonical(arena, checkpoint, &text, &size), ERR_OK);
	struct signature signature = sign_make(&checkpoint_signer->secret, "carbond/checkpoint/1", text, size);
	json_object_set_new(checkpoint, "signature", json_string(hex_text(signature.bytes, 64, signature_text)));
	const char *hashes[MERKLE_PROOF_MAX];
	for (size_t i = 0; i < proof.count; i++)
		hashes[i] = arena_print(arena, "%s", hash_text(proof.hashes[i], hex));
	struct mrv_issue row = {.batch = 1,
		.serials = "CCN1-IS-UNIT1-DAC1-2026-1-0.1-00",
		.issued_us = INT64_C(1775000000000000),
		.stream = "journal.0",
		.record = {(const uint8_t *)record, sizeof record},
		.index = 1,
		.tree_size = 3,
		.proof = {hashes, proof.count},
		.checkpoint = checkpoint};
	json_t *document = field_write(mrv_issue_fields, &row);
	json_decref(checkpoint);
	return document;
}

struct options {
	int64_t hours, period_us;
	size_t signers;
	bool issued;
};

static struct bytes_grown make_pack(const struct options *options)
{
	struct plant *plant = plant_fixture(options->hours, 1000, false, options->period_us);
	struct bytes_grown bytes = {0};
	struct err_info info = {0};
	plant_fixture_readings(plant);
	mrv_case_sort(&plant->the_case);
	struct mrv_result *result = plant_quantify(plant);
	struct mrv_manifest manifest = {
		.id = plant_id(10, 1), .period_id = plant_id(10, 1), .first_id = plant_id(10, 1)};
	assert_int_equal(mrv_manifest_fill(&plant->the_case, result, &manifest, &info), ERR_OK);
	struct mrv_pack_writer *writer = mrv_pack_writer_new(grow, &bytes);
	if (mrv_pack_core(writer, &plant->the_case, result, &manifest, &plant->source, &info) != ERR_OK)
		fail_msg("%s: %s", info.pointer, info.detail);
	struct signer signers[] = {signer_new(1), signer_new(2), signer_new(3)};
	if (options->issued) {
		json_t *document = issue(plant->arena, &signers[2]);
		assert_int_equal(mrv_pack_attach(writer, "issue", document, &info), ERR_OK);
		json_decref(document);
	}
	if (options->signers) {
		json_t *document = signatures(mrv_pack_root(writer), signers, options->signers);
		assert_int_equal(mrv_pack_attach(writer, "signatures", document, &info), ERR_OK);
		json_decref(document);
	}
	assert_int_equal(mrv_pack_close(writer, &info), ERR_OK);
	mrv_pack_writer_free(&writer);
	plant_free(plant);
	return bytes;
}

static enum err verify(const struct bytes_grown *bytes, const struct mrv_check_options *options,
	struct mrv_pack *ret_pack, struct err_info *info)
{
	struct arena *arena = arena_new(1u << 30);
	enum err err = mrv_verify_pack(bytes->data, bytes->size, options, arena, ret_pack, info);
	arena_free(&arena); /* callers look at plain members only */
	return err;
}

static const struct options full = {.hours = 3, .period_us = CLOCK_US_PER_HOUR / 4, .signers = 2, .issued = true};

static struct mrv_trust_key trust(int role, uint8_t number)
{
	struct signer signer = signer_new(number);
	return (struct mrv_trust_key){.role = role,
		.name = "k",
		.organisation = role == 0 ? signer.org : (struct id){{0}},
		.key = signer.public,
		.from_us = FIELD_ABSENT,
		.until_us = FIELD_ABSENT};
}

static unsigned passed, skipped;

static void count_step(void *context, const struct mrv_step *step)
{
	(void)context;
	passed += step->verdict == MRV_PASS;
	skipped += step->verdict == MRV_SKIP;
	if (step->verdict == MRV_FAIL)
		print_message("%s: %s: %s\n", step->name, step->item, step->detail);
}

static void a_whole_pack_passes(void **state)
{
	(void)state;
	struct bytes_grown bytes = make_pack(&full), again = make_pack(&full);
	struct mrv_trust_key keys[] = {trust(0, 1), trust(0, 2), trust(2, 3)};
	struct mrv_check_options options = {.trust = keys, .trust_count = 3, .step = count_step};
	struct mrv_pack pack;
	struct err_info info = {0};
	passed = skipped = 0;
	assert_int_equal(verify(&bytes, &options, &pack, &info), ERR_OK);
	assert_int_equal(passed, 11);
	assert_int_equal(skipped, 0);
	assert_int_equal(pack.trusted_verifiers, 2);
	assert_true(pack.checkpoint_trusted && pack.issued);
	/* deterministic */
	assert_int_equal(bytes.size, again.size);
	assert_memory_equal(bytes.data, again.data, bytes.size);
	/* strangers: consistent, not trusted */
	options.trust_count = 0;
	assert_int_equal(verify(&bytes, &options, &pack, &info), ERR_OK);
	assert_int_equal(pack.trusted_verifiers, 0);
	assert_false(pack.checkpoint_trusted);
	/* trusted too late, or for another organisation */
	options.trust_count = 3;
	keys[0].from_us = INT64_C(1775000000000001);
	keys[1].organisation = plant_id(9, 99);
	assert_int_equal(verify(&bytes, &options, &pack, &info), ERR_OK);
	assert_int_equal(pack.trusted_verifiers, 0);
	free(bytes.data);
	free(again.data);
}

static void before_issue_steps_are_skipped(void **state)
{
	(void)state;
	struct options bare = full;
	bare.issued = false;
	bare.signers = 0;
	struct bytes_grown bytes = make_pack(&bare);
	struct mrv_check_options options = {.step = count_step};
	struct mrv_pack pack;
	struct err_info info = {0};
	passed = skipped = 0;
	assert_int_equal(verify(&bytes, &options, &pack, &info), ERR_OK);
	assert_int_equal(passed, 9);
	assert_int_equal(skipped, 2);
	free(bytes.data);
}

static void quorum_is_needed_for_issue(void **state)
{
	(void)state;
	struct options one = full;
	one.signers = 1;
	struct bytes_grown bytes = make_pack(&one);
	struct mrv_pack pack;
	struct err_info info = {0};
	assert_int_equal(verify(&bytes, NULL, &pack, &info), ERR_PACK_INVALID);
	assert_non_null(strstr(info.detail, "quorum"));
	free(bytes.data);
}

/* P11, every byte of a small pack. */
static void p11_any_flipped_byte_fails(void **state)
{
	(void)state;
	struct bytes_grown bytes = make_pack(&full);
	struct mrv_pack pack;
	print_message("%zu bytes\n", bytes.size);
	assert_int_equal(verify(&bytes, NULL, &pack, &(struct err_info){0}), ERR_OK);
	for (size_t i = 0; i < bytes.size; i++) {
		struct err_info info = {0};
		bytes.data[i] ^= (uint8_t)(1u << i % 8);
		enum err err = verify(&bytes, NULL, &pack, &info);
		bytes.data[i] ^= (uint8_t)(1u << i % 8);
		if (err != ERR_PACK_INVALID || !info.pointer[0])
			fail_msg("byte %zu: %d, item \"%s\"", i, err, info.pointer);
	}
	free(bytes.data);
}

/* P11, a big pack by samples; the item that is named is the one that holds the byte. */
static void p11_sampled_in_a_big_pack(void **state)
{
	(void)state;
	struct options big = {.hours = 200, .period_us = CLOCK_US_PER_MINUTE, .signers = 2, .issued = true};
	struct bytes_grown bytes = make_pack(&big);
	struct mrv_pack pack;
	char entry[101] = "";
	uint64_t seed = 20261123;
	print_message("%zu bytes, seed %llu\n", bytes.size, (unsigned long long)seed);
	assert_int_equal(verify(&bytes, NULL, &pack, &(struct err_info){0}), ERR_OK);
	for (int run = 0; run < 150; run++) {
		struct err_info info = {0};
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
		size_t at = (size_t)(seed >> 20) % bytes.size;
		for (size_t offset = 0, size; offset <= at && bytes.data[offset];
			offset += 512 + (size + 511) / 512 * 512) {
			memcpy(entry, bytes.data + offset, 100);
			size = strtoul((const char *)bytes.data + offset + 124, NULL, 8);
		}
		bytes.data[at] ^= 0x10;
		assert_int_equal(verify(&bytes, NULL, &pack, &info), ERR_PACK_INVALID);
		bytes.data[at] ^= 0x10;
		/* a flipped path is named as it stands there */
		size_t length = strlen(entry);
		bool path = strlen(info.pointer) == length;
		for (size_t c = 0, other = 0; path && c < length; c++)
			path = (other += info.pointer[c] != entry[c]) <= 1;
		bool named = path || strncmp(info.pointer, "archive offset", 14) == 0 ||
			     strcmp(info.pointer, "end of archive") == 0;
		if (!named && strcmp(entry, "SHA256SUMS") != 0)
			fail_msg("byte %zu of %s: named %s", at, entry, info.pointer);
	}
	free(bytes.data);
}

static void truncated_packs_fail(void **state)
{
	(void)state;
	struct bytes_grown bytes = make_pack(&full);
	struct mrv_pack pack;
	for (size_t size = 0; size < bytes.size; size += 97) {
		struct bytes_grown part = {.size = size, .data = malloc(size ? size : 1)};
		struct err_info info = {0};
		memcpy(part.data, bytes.data, size);
		assert_int_equal(verify(&part, NULL, &pack, &info), ERR_PACK_INVALID);
		free(part.data);
	}
	free(bytes.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_pack_passes),
		cmocka_unit_test(before_issue_steps_are_skipped),
		cmocka_unit_test(quorum_is_needed_for_issue),
		cmocka_unit_test(p11_any_flipped_byte_fails),
		cmocka_unit_test(p11_sampled_in_a_big_pack),
		cmocka_unit_test(truncated_packs_fail),
	};
	if (crypto_start() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
