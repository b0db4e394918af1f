/* carbonctl verify --journal: an export of the journal's batches as NDJSON, a first line that names stream and registry, then
 * one line a batch. The hash chain is recomputed, every record is replayed, kilograms are counted from the ground, and the
 * state's hash is printed. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "carbond/base/field.h"
#include "carbond/base/merkle.h"
#include "carbond/rules.h"

#include "verify.h"

#define FORMAT           "carbond/journal/1"
#define LINE_ARENA_BYTES (64u << 20)
#define PAYLOAD_MAX      (8u << 20)

struct export_head {
	const char *format, *stream;
	struct id registry;
};

struct export_batch {
	int64_t seq, term, count, written_at_us;
	struct hash prev_hash, payload_hash, hash;
	const char *node;
	struct bytes payload;
};

static const struct field head_fields[] = {
	FIELD(struct export_head, format, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct export_head, stream, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 63),
	FIELD(struct export_head, registry, FIELD_ID, .flags = FIELD_REQUIRED), FIELD_END};

static const struct field batch_fields[] = {
	FIELD(struct export_batch, seq, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = INT64_MAX),
	FIELD(struct export_batch, term, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = INT64_MAX),
	FIELD(struct export_batch, count, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = UINT32_MAX),
	FIELD(struct export_batch, written_at_us, FIELD_INT, .flags = FIELD_REQUIRED, .min = 0, .max = INT64_MAX),
	FIELD(struct export_batch, prev_hash, FIELD_HASH), FIELD(struct export_batch, payload_hash, FIELD_HASH),
	FIELD(struct export_batch, hash, FIELD_HASH),
	FIELD(struct export_batch, node, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 31),
	FIELD(struct export_batch, payload, FIELD_BYTES, .flags = FIELD_REQUIRED, .min = 0, .max = PAYLOAD_MAX),
	FIELD_END};

struct replay {
	struct export_head head;
	struct rules *rules;
	struct hash last;
	int64_t seq;
	struct merkle_edge tree;
	struct event_scratch *scratch;
	struct auctions_check *auctions;
	struct purchases_check *purchases;
	char item[64];
	int64_t restores;
	char restored[128]; /* the last one, in words */
};

static void add_text(struct sha256 *state, const char *text)
{
	size_t size = strlen(text);
	sha256_add_u64(state, size);
	sha256_add(state, text, size);
}

/* The header's hash, as store writes it: every field but hash and payload. */
static struct hash header_hash(const char *stream, const struct export_batch *batch)
{
	struct sha256 state;
	sha256_start(&state, "carbond/batch/1");
	add_text(&state, stream);
	sha256_add_u64(&state, (uint64_t)batch->seq);
	sha256_add_u64(&state, (uint64_t)batch->term);
	sha256_add_u64(&state, (uint64_t)batch->count);
	sha256_add(&state, batch->prev_hash.bytes, sizeof batch->prev_hash.bytes);
	sha256_add(&state, batch->payload_hash.bytes, sizeof batch->payload_hash.bytes);
	sha256_add_u64(&state, (uint64_t)batch->written_at_us);
	add_text(&state, batch->node);
	return sha256_end(&state);
}

static enum err fail(struct replay *replay, struct err_info *info, const char *detail)
{
	return err_set(info, ERR_JOURNAL_INVALID, replay->item, "%s", detail);
}

static enum err check_chain(struct replay *replay, const struct export_batch *batch, struct err_info *info)
{
	if (batch->seq != replay->seq + 1)
		return fail(replay, info, "the batches are not in sequence from 1 on");
	if (!hash_equal(batch->prev_hash, replay->last))
		return fail(replay, info, "the batch does not follow the one before it");
	if (!hash_equal(sha256_of("carbond/payload/1", batch->payload.data, batch->payload.size), batch->payload_hash))
		return fail(replay, info, "the payload has another hash");
	if (!hash_equal(header_hash(replay->head.stream, batch), batch->hash))
		return fail(replay, info, "the header has another hash");
	replay->seq = batch->seq;
	replay->last = batch->hash;
	return ERR_OK;
}

/* The journal forks where it says so, and nowhere else: rules_apply refuses a record that is not in its place. */
static void note_restore(struct replay *replay, const struct event *event)
{
	const struct event_restored *said = &event->restored;
	replay->restores++;
	if (said->lost_position > said->position)
		snprintf(replay->restored, sizeof replay->restored,
			"record %llu follows %llu; what once came there, up to %llu, is lost",
			(unsigned long long)event->header.number, (unsigned long long)said->position,
			(unsigned long long)said->lost_position);
	else
		snprintf(replay->restored, sizeof replay->restored,
			"record %llu follows %llu; whether anything else once did is not known",
			(unsigned long long)event->header.number, (unsigned long long)said->position);
}

static enum err replay_payload(struct replay *replay, const struct export_batch *batch, struct err_info *info)
{
	size_t offset = 0;
	int64_t records = 0;
	while (offset < batch->payload.size) {
		struct event event;
		struct err_info fault = {0};
		size_t length = 0;
		enum err err = event_decode(batch->payload.data + offset, batch->payload.size - offset, replay->scratch,
			&event, &length, &fault);
		if (err == ERR_OK)
			err = rules_apply(replay->rules, &event, &fault);
		if (err == ERR_OK)
			err = auctions_check_event(replay->auctions, &event, &fault);
		if (err == ERR_OK)
			err = purchases_check_event(replay->purchases, &event, &fault);
		if (err)
			return fail(replay, info, fault.detail);
		if (event.header.type == EVENT_RESTORED)
			note_restore(replay, &event);
		merkle_add(&replay->tree, merkle_leaf(batch->payload.data + offset, length));
		offset += length;
		records++;
	}
	return records == batch->count ? ERR_OK : fail(replay, info, "the batch has another number of records");
}

static enum err read_head(struct replay *replay, const json_t *document, struct arena *arena, struct err_info *info)
{
	struct err_info fault = {0};
	if (field_read(head_fields, FIELD_CREATE, document, "", arena, &replay->head, &fault) != ERR_OK)
		return fail(replay, info, fault.detail);
	if (strcmp(replay->head.format, FORMAT) != 0)
		return fail(replay, info, "the first line is not that of an export of the journal");
	replay->rules = rules_new(replay->head.registry, 1);
	return replay->rules ? ERR_OK : err_set(info, ERR_NO_MEMORY, replay->item, "no memory for the state");
}

static enum err read_lines(struct replay *replay, const char *text, size_t size, struct arena *keep,
	struct arena *line_arena, struct err_info *info)
{
	size_t line = 0;
	for (const char *at = text, *end; at < text + size; at = end + 1) {
		struct err_info fault = {0};
		struct export_batch batch;
		json_t *document;
		end = memchr(at, '\n', (size_t)(text + size - at));
		end = end ? end : text + size;
		snprintf(replay->item, sizeof replay->item, "line %zu", ++line);
		arena_reset(line_arena);
		if (document_parse(line == 1 ? keep : line_arena, at, (size_t)(end - at), &document, &fault) != ERR_OK)
			return fail(replay, info, fault.detail);
		if (line == 1) {
			enum err err = read_head(replay, document, keep, info);
			if (err)
				return err;
			continue;
		}
		if (field_read(batch_fields, FIELD_CREATE, document, "", line_arena, &batch, &fault) != ERR_OK)
			return fail(replay, info, fault.detail);
		snprintf(replay->item, sizeof replay->item, "batch %lld", (long long)batch.seq);
		enum err err = check_chain(replay, &batch, info);
		if (err == ERR_OK)
			err = replay_payload(replay, &batch, info);
		if (err)
			return err;
	}
	return line > 0 ? ERR_OK : fail(replay, info, "the export is empty");
}

static void report(struct verify_list *list, const char *name, const struct err_info *fault, const char *passed)
{
	struct mrv_step step = {.name = name, .verdict = fault->code ? MRV_FAIL : MRV_PASS};
	snprintf(step.item, sizeof step.item, "%s", fault->pointer);
	snprintf(step.detail, sizeof step.detail, "%s", fault->code ? fault->detail : passed);
	verify_step(list, &step);
}

/* ---- the trial balance of money ---- */

#define CURRENCIES_MAX 256

struct currency_sum {
	uint64_t asset;
	int64_t states[KG_STATE_COUNT], outside;
};

struct trial {
	struct currency_sum sums[CURRENCIES_MAX];
	size_t count;
	bool more; /* than are counted here */
};

static enum err trial_add(void *context, const struct ledger_entry *entry)
{
	struct trial *trial = context;
	size_t at = 0;
	if (!(entry->asset & LEDGER_MONEY) || (entry->asset & LEDGER_SHARES) == LEDGER_SHARES)
		return ERR_OK;
	while (at < trial->count && trial->sums[at].asset != entry->asset)
		at++;
	if (at == CURRENCIES_MAX) {
		trial->more = true;
		return ERR_OK;
	}
	if (at == trial->count)
		trial->sums[trial->count++] = (struct currency_sum){.asset = entry->asset};
	if (id_is_none(entry->place.org))
		trial->sums[at].outside += entry->amount;
	else
		trial->sums[at].states[entry->place.state] += entry->amount;
	return ERR_OK;
}

/* "EUR: held 90.5, reserved 5, outside -95.5" */
static void trial_text(const struct currency_sum *sum, char *ret_text, size_t size)
{
	char micros[DECIMAL_TEXT_SIZE], code[8] = {0};
	size_t length = 0;
	for (int shift = 48; shift >= 0; shift -= 8)
		if (sum->asset >> shift & 0xff)
			code[length++] = (char)(sum->asset >> shift & 0xff);
	int used = snprintf(ret_text, size, "%s: ", code);
	for (int state = 0; state < KG_STATE_COUNT; state++)
		if (sum->states[state])
			used += snprintf(ret_text + used, size - (size_t)used, "%s %s, ", event_kg_state_names[state],
				micros_text(sum->states[state], micros));
	snprintf(ret_text + used, size - (size_t)used, "outside %s", micros_text(sum->outside, micros));
}

/* What each currency sums to by state, over all organisations, and the outside world against it. */
static enum err trial_report(struct verify_list *list, const struct replay *replay)
{
	struct err_info fault = {0};
	struct trial *trial = calloc(1, sizeof *trial);
	char text[512];
	enum err err = trial ? ledger_each(rules_ledger(replay->rules), trial_add, trial) : ERR_NO_MEMORY;
	for (size_t i = 0; i < (trial ? trial->count : 0) && !err; i++) {
		trial_text(&trial->sums[i], text, sizeof text);
		report(list, "money", &fault, text);
	}
	if (!err && trial->more)
		report(list, "money", &fault, "further currencies are not listed");
	free(trial);
	return err;
}

static enum err finish(struct verify_list *list, struct replay *replay, struct hash expected)
{
	struct err_info fault = {0};
	struct hash state = {0};
	char text[512], hex[HASH_TEXT_SIZE], root[HASH_TEXT_SIZE];
	fault.code = rules_check(replay->rules, &fault);
	snprintf(text, sizeof text,
		"states sum to issued: %lld kg; held %lld, buffer %lld, retired %lld, cancelled %lld; every asset sums "
		"to zero",
		(long long)rules_issued_kg(replay->rules), (long long)rules_state_kg(replay->rules, KG_HELD),
		(long long)rules_state_kg(replay->rules, KG_BUFFER),
		(long long)rules_state_kg(replay->rules, KG_RETIRED),
		(long long)rules_state_kg(replay->rules, KG_CANCELLED));
	report(list, "balance", &fault, text);
	if (fault.code)
		return fault.code;
	enum err err = trial_report(list, replay);
	if (err)
		return err;
	err = rules_state_hash(replay->rules, &state, &fault);
	if (err == ERR_OK && !hash_is_none(expected) && !hash_equal(state, expected))
		err = err_set(&fault, ERR_JOURNAL_INVALID, "state hash", "the journal leads to state %s",
			hash_text(state, hex));
	snprintf(text, sizeof text, "state %s after record %llu; tree of %llu records, root %s", hash_text(state, hex),
		(unsigned long long)rules_position(replay->rules), (unsigned long long)replay->tree.size,
		hash_text(merkle_edge_root(&replay->tree), root));
	report(list, "state", &fault, text);
	return err;
}

int verify_journal(const char *text, size_t size, struct hash expected, const struct verify_options *options)
{
	struct arena *keep = arena_new(0), *line_arena = arena_new(LINE_ARENA_BYTES);
	struct verify_list *list = verify_begin(options);
	struct err_info fault = {0};
	struct replay replay = {.scratch = keep ? ARENA_NEW(keep, struct event_scratch) : NULL,
		.auctions = auctions_check_new(),
		.purchases = purchases_check_new()};
	char passed[192];
	enum err err = list && line_arena && replay.scratch && replay.auctions && replay.purchases
			       ? read_lines(&replay, text, size, keep, line_arena, &fault)
			       : err_set(&fault, ERR_NO_MEMORY, "", "out of memory");
	if (list && err != ERR_NO_MEMORY) {
		snprintf(passed, sizeof passed, "%lld batches follow one another, hash by hash", (long long)replay.seq);
		report(list, "chain", &fault, passed);
		if (err == ERR_OK && replay.restores > 0) {
			snprintf(passed, sizeof passed, "%lld; last: %s", (long long)replay.restores, replay.restored);
			report(list, "restores", &fault, passed);
		}
		if (err == ERR_OK && auctions_check_count(replay.auctions) > 0) {
			snprintf(passed, sizeof passed,
				"%lld of sealed bids: committed, revealed and cleared as they say",
				(long long)auctions_check_count(replay.auctions));
			report(list, "auctions", &fault, passed);
		}
		if (err == ERR_OK && purchases_check_count(replay.purchases) > 0) {
			snprintf(passed, sizeof passed,
				"%lld: each of the parts that it says, and retired as it was bought",
				(long long)purchases_check_count(replay.purchases));
			report(list, "purchases", &fault, passed);
		}
		if (err == ERR_OK)
			err = finish(list, &replay, expected);
	}
	int code = verify_end(&list, err, true);
	rules_free(&replay.rules);
	auctions_check_free(&replay.auctions);
	purchases_check_free(&replay.purchases);
	arena_free(&line_arena);
	arena_free(&keep);
	return code;
}
