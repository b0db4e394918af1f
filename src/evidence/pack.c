/* Packs of submissions: streamed from the manifest and the pinned buckets, never stored. Attachments are what there is of
 * signatures, issue record and checkpoint. Workers. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

enum { PACK_RECORD_MAX = 1 << 20, SIGNATURES_MAX = 64 };

/* ---- signatures ---- */

static enum err verifier_key(
	struct evidence *evidence, struct id verifier, struct arena *arena, struct hash *ret_key, struct err_info *info)
{
	struct verifier_row row = {.id = verifier};
	enum err err = store_get(evidence->store, &verifiers_collection, &row, arena, info);
	*ret_key = row.key;
	return err;
}

static enum err attach_signatures(struct evidence *evidence, struct mrv_pack_writer *writer, struct id submission,
	struct arena *arena, struct err_info *info)
{
	struct registry_period period = {.id = submission};
	struct err_info fault = {0};
	enum err err = store_get(evidence->store, &registry_periods_collection, &period, arena, &fault);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && period.attestations.count == 0))
		return ERR_OK;
	if (err)
		return err_set(info, err, fault.pointer, "%s", fault.detail);
	const struct registry_attestation *rows = period.attestations.items;
	json_t *list = json_array();
	for (size_t i = 0; err == ERR_OK && i < period.attestations.count && i < SIGNATURES_MAX; i++) {
		struct mrv_attestation row = {.verifier_id = rows[i].verifier_id,
			.org_id = rows[i].verifier_org_id,
			.signature = rows[i].signature,
			.signed_us = rows[i].attested_at};
		err = verifier_key(evidence, rows[i].verifier_id, arena, &row.key, info);
		if (err == ERR_OK && json_array_append_new(list, field_write(mrv_attestation_fields, &row)) != 0)
			err = err_set(info, ERR_NO_MEMORY, "", "no memory for the signatures");
	}
	json_t *document = document_own(arena, json_pack("{s:o}", "signatures", list));
	if (err == ERR_OK)
		err = document ? mrv_pack_attach(writer, "signatures", document, info)
			       : err_set(info, ERR_NO_MEMORY, "", "no memory for the signatures");
	return err;
}

/* ---- the issue record ---- */

struct record_search {
	int64_t number;
	uint8_t *bytes;
	size_t size;
	int64_t time_us;
	bool found;
};

static enum err take_record(void *context, const struct event *event)
{
	struct record_search *search = context;
	struct event copy = *event;
	if ((int64_t)event->header.number != search->number)
		return ERR_NOT_FOUND;
	search->time_us = event->header.time_us;
	enum err err = event_encode(&copy, search->bytes, PACK_RECORD_MAX, &search->size);
	search->found = err == ERR_OK;
	return err ? err : ERR_DEADLINE; /* any code ends the reading */
}

static enum err find_record(struct evidence *evidence, int64_t number, struct arena *arena,
	struct record_search *search, struct err_info *info)
{
	*search = (struct record_search){.number = number, .bytes = arena_alloc(arena, PACK_RECORD_MAX)};
	struct err_info fault = {0};
	if (!search->bytes)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the issue record");
	enum err err = engine_journal_read(evidence->store, number, take_record, search, &fault);
	if (search->found)
		return ERR_OK;
	return err_set(
		info, err ? err : ERR_NOT_FOUND, "", "the journal's record %lld cannot be read", (long long)number);
}

/* The newest checkpoint that holds the record; one is made where there is none yet. */
static enum err find_checkpoint(struct evidence *evidence, uint64_t tree_size, struct arena *arena,
	json_t **ret_checkpoint, struct err_info *info)
{
	char *text = NULL;
	struct err_info fault = {0};
	enum err err = audit_checkpoint_text(evidence->audit, ENGINE_STREAM, tree_size, arena, &text, &fault);
	if (err == ERR_NOT_FOUND) {
		err = audit_checkpoint(evidence->audit, clock_wall_us(), &fault);
		if (err == ERR_OK)
			err = audit_checkpoint_text(evidence->audit, ENGINE_STREAM, tree_size, arena, &text, &fault);
	}
	if (err)
		return err_set(info, err, fault.pointer, "%s", fault.detail);
	return document_parse(arena, text, strlen(text), ret_checkpoint, info);
}

static enum err issue_document(struct evidence *evidence, const struct submission *row, struct arena *arena,
	json_t **ret_document, struct err_info *info)
{
	struct record_search search;
	struct merkle_proof proof;
	struct hash root;
	struct batch_row batch = {.batch = row->batch};
	json_t *checkpoint = NULL;
	enum err err = store_get(evidence->store, &batches_collection, &batch, arena, info);
	if (err == ERR_OK)
		err = find_record(evidence, row->issue_position, arena, &search, info);
	if (err == ERR_OK)
		err = find_checkpoint(evidence, (uint64_t)row->issue_position, arena, &checkpoint, info);
	if (err)
		return err;
	int64_t tree_size = audit_checkpoint_reach(checkpoint, ENGINE_STREAM), index = row->issue_position - 1;
	err = audit_inclusion(
		evidence->audit, ENGINE_STREAM, (uint64_t)index, (uint64_t)tree_size, &proof, &root, info);
	if (err)
		return err;
	const char **hashes = ARENA_ARRAY(arena, const char *, proof.count + 1);
	for (size_t i = 0; hashes && i < proof.count; i++) {
		char hex[HASH_TEXT_SIZE];
		hashes[i] = arena_print(arena, "%s", hash_text(proof.hashes[i], hex));
	}
	struct mrv_issue issue = {.batch = row->batch,
		.serials = batch.serial,
		.issued_us = search.time_us,
		.stream = ENGINE_STREAM,
		.record = {search.bytes, search.size},
		.index = index,
		.tree_size = tree_size,
		.proof = {(void *)(uintptr_t)hashes, proof.count},
		.checkpoint = checkpoint};
	*ret_document = hashes ? document_own(arena, field_write(mrv_issue_fields, &issue)) : NULL;
	return *ret_document ? ERR_OK : err_set(info, ERR_NO_MEMORY, "", "no memory for the issue record");
}

static enum err attach_issue(struct evidence *evidence, struct mrv_pack_writer *writer, const struct submission *row,
	struct arena *arena, struct err_info *info)
{
	json_t *document = NULL;
	if (row->batch == FIELD_ABSENT || row->batch <= 0)
		return ERR_OK;
	enum err err = issue_document(evidence, row, arena, &document, info);
	return err ? err : mrv_pack_attach(writer, "issue", document, info);
}

/* ---- the whole ---- */

static enum err write_pack(struct evidence *evidence, struct mrv_pack_writer *writer, const struct submission *row,
	struct arena *arena, struct err_info *info)
{
	struct picture *picture = NULL;
	struct mrv_result *result = NULL;
	struct mrv_manifest manifest;
	enum err err = picture_stored(evidence, row, arena, &picture, info);
	if (err == ERR_OK)
		err = field_read(mrv_manifest_fields, FIELD_TRUSTED, row->manifest, "", arena, &manifest, info);
	if (err == ERR_OK)
		err = mrv_quantify(&picture->the_case, &picture->source, arena, &result, info);
	if (err == ERR_OK)
		err = mrv_pack_core(writer, &picture->the_case, result, &manifest, &picture->source, info);
	if (err)
		return err;
	if (!hash_equal(mrv_pack_root(writer), row->evidence_root))
		return err_set(info, ERR_EVIDENCE_CHANGED, "",
			"the stored evidence does not give the root that was submitted");
	err = attach_issue(evidence, writer, row, arena, info);
	if (err == ERR_OK)
		err = attach_signatures(evidence, writer, row->id, arena, info);
	return err ? err : mrv_pack_close(writer, info);
}

enum err evidence_pack(struct evidence *evidence, struct id submission,
	enum err (*write)(void *context, const void *data, size_t size, struct err_info *info), void *context,
	struct err_info *info)
{
	struct arena *arena = arena_new(EVIDENCE_ARENA_BYTES);
	struct mrv_pack_writer *writer = mrv_pack_writer_new(write, context);
	struct submission row;
	int64_t deadline_us = clock_monotonic_us() + COMMAND_DEADLINE_US, position = engine_position(evidence->engine);
	/* signatures come from the views, the batch from our own consumer: both must be where the journal is now */
	enum err err = arena && writer ? engine_wait_position(evidence->engine, position, deadline_us)
				       : err_set(info, ERR_NO_MEMORY, "", "no memory for the pack");
	if (err == ERR_OK)
		err = chain_wait(evidence, position, deadline_us, info);
	if (err == ERR_OK)
		err = submission_read(evidence, submission, arena, &row, info);
	if (err == ERR_OK)
		err = write_pack(evidence, writer, &row, arena, info);
	mrv_pack_writer_free(&writer);
	arena_free(&arena);
	return err;
}
