/* carbonctl verify --chain: the trust chain of a serial (`GET /v1/serials/{serial}/trust-chain`), offline. Each record is in the tree of
 * the signed checkpoint; the batch was made by one record, on signatures that hold; and from there on whoever gave the serial away had
 * it. That no event was left out is for the whole journal to show (--journal). One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/market.h"
#include "carbond/registry.h"

#include "verify.h"

#define FORMAT      "carbond/trust-chain/1"
#define CHAIN_ARENA (256u << 20)
#define EVENTS_MAX  500
#define RECORD_MAX  (512u << 10)
#define SPANS_MAX   4096

struct chain_event {
	int64_t position;
	const char *event;
	int64_t time;
	struct bytes record;
	struct field_list proof; /* hex hashes */
	json_t *json;
};

struct chain_file {
	const char *format, *stream, *serial;
	struct id registry;
	bool complete;
	int64_t tree_size;
	json_t *checkpoint;
	struct field_list events;
};

static const struct field event_fields[] = {
	FIELD(struct chain_event, position, FIELD_INT, .flags = FIELD_REQUIRED, .min = 1, .max = INT64_MAX),
	FIELD(struct chain_event, event, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 64),
	FIELD(struct chain_event, time, FIELD_TIME, .flags = FIELD_REQUIRED),
	FIELD(struct chain_event, record, FIELD_BYTES, .flags = FIELD_REQUIRED, .min = 1, .max = RECORD_MAX),
	FIELD(struct chain_event, proof, FIELD_TEXTS, .max = 64), FIELD(struct chain_event, json, FIELD_JSON),
	FIELD_END};

static const struct field chain_fields[] = {
	FIELD(struct chain_file, format, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct chain_file, stream, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 63),
	FIELD(struct chain_file, serial, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 128),
	FIELD(struct chain_file, registry, FIELD_ID, .flags = FIELD_REQUIRED),
	FIELD(struct chain_file, complete, FIELD_BOOL),
	FIELD(struct chain_file, tree_size, FIELD_INT, .min = 1, .max = INT64_MAX),
	FIELD(struct chain_file, checkpoint, FIELD_JSON),
	FIELD(struct chain_file, events, FIELD_LIST, .flags = FIELD_REQUIRED, .table = event_fields,
		.item_size = sizeof(struct chain_event), .min = 1, .max = EVENTS_MAX),
	FIELD_END};

/* Kilograms of the serial, and who has them. */
struct span {
	int64_t start, end;
	struct id org;
	enum kg_state state; /* held stands for all that comes home */
};

struct chain {
	const struct verify_options *options;
	struct arena *arena;
	struct chain_file file;
	struct serial serial;
	struct event_scratch *scratch;
	struct event *events; /* without their lists, which are decoded again where they are needed */
	size_t count;
	const struct event *made; /* what made the batch */
	struct span spans[SPANS_MAX];
	size_t span_count;
	size_t proven, trusted_verifiers;
	int64_t quorum;
	bool checkpoint_trusted, followed;
	char passed[384];
};

static enum err fail(struct err_info *info, const char *item, const char *detail)
{
	return err_set(info, ERR_PACK_INVALID, item, "%s", detail);
}

static const struct chain_event *line_of(const struct chain *chain, size_t index)
{
	return &((const struct chain_event *)chain->file.events.items)[index];
}

/* "event 17" */
static const char *name_of(const struct chain *chain, size_t index)
{
	return arena_print(chain->arena, "event %lld", (long long)line_of(chain, index)->position);
}

static bool trusts(const struct chain *chain, int role, const uint8_t key[32], struct id org, int64_t at_us)
{
	for (size_t i = 0; i < chain->options->trust_count; i++) {
		const struct mrv_trust_key *trusted = &chain->options->trust[i];
		if (trusted->role == role && memcmp(trusted->key.bytes, key, 32) == 0 &&
			(id_is_none(trusted->organisation) || id_equal(trusted->organisation, org)) &&
			(trusted->from_us == FIELD_ABSENT || at_us >= trusted->from_us) &&
			(trusted->until_us == FIELD_ABSENT || at_us < trusted->until_us))
			return true;
	}
	return false;
}

/* ---- records ---- */

static enum err decode(struct chain *chain, size_t index, struct event *ret_event, struct err_info *info)
{
	const struct chain_event *line = line_of(chain, index);
	struct err_info fault = {0};
	size_t length = 0;
	enum err err = event_decode(line->record.data, line->record.size, chain->scratch, ret_event, &length, &fault);
	return err || length != line->record.size
		       ? fail(info, name_of(chain, index), err ? fault.detail : "the record has bytes behind it")
		       : ERR_OK;
}

static enum err check_records(struct chain *chain, struct err_info *info)
{
	int64_t last = 0;
	struct err_info fault = {0};
	if (strcmp(chain->file.format, FORMAT) != 0 || strcmp(chain->file.stream, "journal.0") != 0)
		return fail(info, "/format", "this is not a trust chain");
	if (serial_parse(chain->file.serial, &chain->serial, &fault) != ERR_OK)
		return fail(info, "/serial", fault.detail);
	for (size_t i = 0; i < chain->count; i++) {
		const struct chain_event *line = line_of(chain, i);
		enum err err = decode(chain, i, &chain->events[i], info);
		if (err)
			return err;
		const struct event_header *header = &chain->events[i].header;
		if ((int64_t)header->number != line->position || line->position <= last ||
			header->time_us != line->time || strcmp(event_type_name(header->type), line->event) != 0)
			return fail(info, name_of(chain, i), "position, time or name are not the record's");
		last = line->position;
	}
	snprintf(chain->passed, sizeof chain->passed, "%zu records of the journal, in order%s", chain->count,
		chain->file.complete ? "" : "; there are more, which are not here");
	return ERR_OK;
}

/* ---- the checkpoint ---- */

static enum err check_proofs(struct chain *chain, struct err_info *info)
{
	for (size_t i = 0; i < chain->count && chain->file.checkpoint; i++) {
		const struct chain_event *line = line_of(chain, i);
		struct sign_public key;
		int64_t signed_us = 0;
		struct mrv_issue record = {.stream = chain->file.stream,
			.record = line->record,
			.index = line->position - 1,
			.tree_size = chain->file.tree_size,
			.proof = line->proof,
			.checkpoint = chain->file.checkpoint};
		if (line->position > chain->file.tree_size)
			continue;
		enum err err = mrv_issue_check(&record, name_of(chain, i), chain->arena, &key, &signed_us, info);
		if (err)
			return err;
		chain->proven++;
		chain->checkpoint_trusted = trusts(chain, 2, key.bytes, (struct id){{0}}, signed_us);
	}
	snprintf(chain->passed, sizeof chain->passed, "%zu of %zu records are in the signed checkpoint's tree%s",
		chain->proven, chain->count, chain->proven < chain->count ? "; the others are newer" : "");
	return ERR_OK;
}

/* ---- what made the batch ---- */

static enum err check_issue(struct chain *chain, struct err_info *info)
{
	const struct serial_range *range = &chain->serial.range;
	struct hash root = {{0}}, issuance = {{0}};
	int64_t kg = 0;
	for (size_t i = 0; i < chain->count; i++) {
		const struct event *event = &chain->events[i];
		bool issues = event->header.type == EVENT_BATCH_ISSUED && event->batch_issued.batch == range->batch;
		bool imports =
			event->header.type == EVENT_BATCH_IMPORTED && event->batch_imported.batch == range->batch;
		if (!issues && !imports)
			continue;
		if (chain->made)
			return fail(info, name_of(chain, i), "the batch is made twice");
		chain->made = event;
		kg = issues ? event->batch_issued.kg : event->batch_imported.kg;
		root = issues ? event->batch_issued.evidence_root : event->batch_imported.evidence_root;
		issuance = issues ? event->batch_issued.issuance_id : event->batch_imported.issuance_id;
	}
	if (!chain->made)
		return fail(info, "/events", "nothing made the batch");
	if (range->start > kg - range->length)
		return fail(info, "/serial", "the batch does not have these kilograms");
	struct id registry = id_is_none(chain->options->registry) ? chain->file.registry : chain->options->registry;
	if (!hash_equal(registry_issuance_id(registry, root), issuance))
		return fail(info, "/events", "the issuance id is not that of this registry and root");
	char hex[HASH_TEXT_SIZE];
	snprintf(chain->passed, sizeof chain->passed, "batch %llu of %lld kg was %s on root %s",
		(unsigned long long)range->batch, (long long)kg,
		chain->made->header.type == EVENT_BATCH_ISSUED ? "issued" : "imported", hash_text(root, hex));
	return ERR_OK;
}

static const struct event_verifier_registered *verifier_of(const struct chain *chain, size_t before, struct id id)
{
	for (size_t i = 0; i < before; i++)
		if (chain->events[i].header.type == EVENT_VERIFIER_REGISTERED &&
			id_equal(chain->events[i].verifier_registered.verifier, id))
			return &chain->events[i].verifier_registered;
	return NULL;
}

/* Attestations of the batch's period before its issue, each by another organisation than the operator's. */
static enum err check_signatures(struct chain *chain, struct err_info *info)
{
	const struct event_batch_issued *issued = &chain->made->batch_issued;
	const struct event_period_submitted *submitted = NULL;
	int64_t signatures = 0;
	if (chain->made->header.type != EVENT_BATCH_ISSUED) {
		snprintf(chain->passed, sizeof chain->passed, "an imported batch has the other registry's proof");
		return ERR_OK;
	}
	for (size_t i = 0; i < chain->count && &chain->events[i] < chain->made; i++) {
		const struct event *event = &chain->events[i];
		if (event->header.type == EVENT_PERIOD_SUBMITTED &&
			id_equal(event->period_submitted.period, issued->period))
			submitted = &event->period_submitted;
		if (event->header.type != EVENT_PERIOD_ATTESTED ||
			!id_equal(event->period_attested.period, issued->period))
			continue;
		const struct event_period_attested *said = &event->period_attested;
		const struct event_verifier_registered *verifier = verifier_of(chain, i, said->verifier);
		if (!verifier || event->header.time_us < verifier->valid_from_us ||
			event->header.time_us >= verifier->valid_to_us)
			return fail(info, name_of(chain, i), "the verifier's key was not valid");
		if (!hash_equal(said->evidence_root, issued->evidence_root) ||
			!sign_holds(&verifier->key, REGISTRY_ATTESTATION_DOMAIN, &said->evidence_root,
				sizeof said->evidence_root, &said->signature))
			return fail(info, name_of(chain, i), "the signature does not hold over the evidence root");
		if (id_equal(verifier->org, issued->org))
			return fail(info, name_of(chain, i), "a verifier's organisation must not be the operator's");
		signatures++;
		chain->trusted_verifiers += trusts(chain, 0, verifier->key.bytes, verifier->org, event->header.time_us);
	}
	if (!submitted || !hash_equal(submitted->evidence_root, issued->evidence_root) || submitted->kg != issued->kg)
		return fail(info, "/events", "what was issued is not what was submitted");
	chain->quorum = submitted->quorum;
	if (signatures < chain->quorum)
		return fail(info, "/events", "it was issued with fewer signatures than its quorum");
	snprintf(chain->passed, sizeof chain->passed,
		"%lld signatures hold over the evidence root, %zu of them trusted", (long long)signatures,
		chain->trusted_verifiers);
	return ERR_OK;
}

/* ---- custody ---- */

static bool span_split(struct chain *chain, int64_t at)
{
	for (size_t i = 0; i < chain->span_count; i++) {
		if (chain->spans[i].start >= at || chain->spans[i].end <= at)
			continue;
		if (chain->span_count == SPANS_MAX)
			return false;
		chain->spans[chain->span_count] = chain->spans[i];
		chain->spans[chain->span_count++].start = at;
		chain->spans[i].end = at;
	}
	return true;
}

/* Those of the range that are this serial's go from one to another. */
static enum err span_move(struct chain *chain, size_t index, const struct serial_range *range, struct span from,
	struct span to, struct err_info *info)
{
	int64_t end = range->start + range->length;
	if (range->batch != chain->serial.range.batch)
		return ERR_OK;
	if (!span_split(chain, range->start) || !span_split(chain, end))
		return fail(info, name_of(chain, index), "the serial lies in too many parts to be followed");
	for (size_t i = 0; i < chain->span_count; i++) {
		struct span *span = &chain->spans[i];
		if (span->start < range->start || span->end > end)
			continue;
		if (!id_equal(span->org, from.org) || span->state != from.state)
			return fail(info, name_of(chain, index), "who gives the kilograms away does not have them");
		span->org = to.org;
		span->state = to.state;
	}
	return ERR_OK;
}

/* A row: from whom, in which state, to whom, in which state. */
#define AUCTION_OF(said) market_account(MARKET_ACCOUNT_AUCTION, event->said.auction)
#define POOL_OF(said)    market_account(MARKET_ACCOUNT_POOL, event->said.pool)
#define SHARD_OF(said)   market_account(MARKET_ACCOUNT_SHARD, event->said)
#define MOVES(type, giver, from, taker, to)                             \
	case EVENT_##type:                                              \
		*ret_from = (struct span){.org = giver, .state = from}; \
		*ret_to = (struct span){.org = taker, .state = to};     \
		return true

/* Where an event takes kilograms from and to; false: it moves none that are followed. */
static bool movement(const struct event *event, struct span *ret_from, struct span *ret_to)
{
	/* clang-format off */
	switch (event->header.type) {
	MOVES(TRANSFERRED, event->transferred.from, KG_HELD, event->transferred.to, KG_HELD);
	/* of what was given; the rest comes home, where it counted as held all along */
	MOVES(KG_POSTED, event->kg_posted.from, KG_HELD, event->kg_posted.to, KG_HELD);
	MOVES(TRADED, event->traded.seller, KG_HELD, event->traded.buyer, KG_HELD);
	MOVES(TRADE_BUSTED, event->trade_busted.buyer, KG_HELD, event->trade_busted.seller, KG_HELD);
	MOVES(RETIRED, event->retired.org, KG_HELD, event->retired.org, KG_RETIRED);
	MOVES(CANCELLED, event->cancelled.org, (enum kg_state)event->cancelled.state, event->cancelled.org, KG_CANCELLED);
	MOVES(DISPUTE_OPENED, event->dispute_opened.holder, KG_HELD, event->dispute_opened.holder, KG_ESCROW);
	MOVES(DISPUTE_DECIDED, event->dispute_decided.holder, KG_ESCROW, event->dispute_decided.holder, KG_HELD);
	MOVES(AUCTION_OPENED, event->auction_opened.seller, KG_HELD, AUCTION_OF(auction_opened), KG_HELD);
	MOVES(AUCTION_TAKEN, AUCTION_OF(auction_taken), KG_HELD, event->auction_taken.buyer, KG_HELD);
	MOVES(BID_SETTLED, AUCTION_OF(bid_settled), KG_HELD, event->bid_settled.buyer, KG_HELD);
	MOVES(AUCTION_ENDED, AUCTION_OF(auction_ended), KG_HELD, event->auction_ended.seller, KG_HELD);
	MOVES(ESCROW_DELIVERED, event->escrow_delivered.payee, KG_HELD, event->escrow_delivered.payee, KG_ESCROW);
	/* of what was released; the rest comes home */
	MOVES(ESCROW_ENDED, event->escrow_ended.payee, KG_ESCROW, event->escrow_ended.payer, KG_HELD);
	MOVES(OFFTAKE_DELIVERED, event->offtake_delivered.seller, KG_HELD, event->offtake_delivered.buyer, KG_HELD);
	/* as long as they are away they are that shard's */
	MOVES(SHARD_SENT, event->shard_sent.org, KG_HELD, SHARD_OF(shard_sent.to_shard), KG_TRANSIT);
	MOVES(SHARD_RECEIVED, SHARD_OF(shard_received.from_shard), KG_TRANSIT, event->shard_received.org, KG_HELD);
	MOVES(POOL_ADDED, event->pool_added.org, KG_HELD, POOL_OF(pool_added), KG_HELD);
	MOVES(POOL_SOLD, event->pool_sold.org, KG_HELD, POOL_OF(pool_sold), KG_HELD);
	MOVES(POOL_REDEEMED, POOL_OF(pool_redeemed), KG_HELD, event->pool_redeemed.org, KG_HELD);
	MOVES(POOL_BOUGHT, POOL_OF(pool_bought), KG_HELD, event->pool_bought.org, KG_HELD);
	/* within the pool's own account */
	MOVES(RESERVE_SUSPENDED, POOL_OF(reserve_suspended), KG_HELD, POOL_OF(reserve_suspended), KG_HELD);
	MOVES(RESERVE_RESTORED, POOL_OF(reserve_restored), KG_HELD, POOL_OF(reserve_restored), KG_HELD);
	default: return false;
	}
	/* clang-format on */
}

/* How many of an event's kilograms go where it says. */
static int64_t given_kg(const struct event *event)
{
	switch (event->header.type) {
	case EVENT_ESCROW_ENDED: return event->escrow_ended.released_kg;
	case EVENT_KG_POSTED: return event->kg_posted.kg;
	default: return INT64_MAX;
	}
}

static enum err event_follow(struct chain *chain, size_t index, struct err_info *info)
{
	struct event event;
	struct span from = {.state = KG_HELD}, to = from;
	enum err err = decode(chain, index, &event, info);
	struct id maker = chain->made->header.type == EVENT_BATCH_ISSUED ? chain->made->batch_issued.org
									 : chain->made->batch_imported.org;
	bool moves = !err && movement(&event, &from, &to);
	int64_t moved = 0;
	for (size_t i = 0; i < event.lists.range_count && !err; i++) {
		const struct serial_range *range = &event.lists.ranges[i];
		if (event.header.type == EVENT_BATCH_REVERSED) {
			from = (struct span){.org = maker, .state = KG_BUFFER};
			to = (struct span){.org = maker, .state = KG_CANCELLED};
		} else if (event.header.type == EVENT_BUFFER_TOPPED_UP) {
			bool cancels = moved < event.buffer_topped_up.cancelled_kg;
			from = (struct span){.org = event.buffer_topped_up.org, .state = KG_HELD};
			to = (struct span){
				.org = cancels ? from.org : maker, .state = cancels ? KG_CANCELLED : KG_BUFFER};
		} else if (!moves) {
			chain->followed = false; /* of an event that a later version knows */
			return ERR_OK;
		}
		int64_t given = given_kg(&event) - moved; /* the first kilograms; the rest comes home */
		int64_t part = given < 0 ? 0 : given < range->length ? given : range->length;
		struct serial_range first = *range, rest = *range;
		first.length = part;
		rest.start += part;
		rest.length -= part;
		struct span home = {.org = from.org, .state = KG_HELD};
		moved += range->length;
		err = part ? span_move(chain, index, &first, from, to, info) : ERR_OK;
		if (!err && rest.length)
			err = span_move(chain, index, &rest, from, home, info);
	}
	return err;
}

static int span_compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static enum err check_custody(struct chain *chain, struct err_info *info)
{
	const struct event *made = chain->made;
	const struct serial_range *range = &chain->serial.range;
	bool issues = made->header.type == EVENT_BATCH_ISSUED;
	int64_t kg = issues ? made->batch_issued.kg : made->batch_imported.kg;
	int64_t sold = issues ? kg - made->batch_issued.buffer_kg : kg;
	struct id org = issues ? made->batch_issued.org : made->batch_imported.org;
	chain->spans[chain->span_count++] = (struct span){0, sold, org, KG_HELD};
	if (sold < kg)
		chain->spans[chain->span_count++] = (struct span){sold, kg, org, KG_BUFFER};
	if (!span_split(chain, range->start) || !span_split(chain, range->start + range->length))
		return fail(info, "/serial", "the serial lies in too many parts to be followed");
	/* only what this serial is about is here: other kilograms of the batch may have gone elsewhere */
	size_t kept = 0;
	for (size_t i = 0; i < chain->span_count; i++)
		if (chain->spans[i].start >= range->start && chain->spans[i].end <= range->start + range->length)
			chain->spans[kept++] = chain->spans[i];
	chain->span_count = kept;
	chain->followed = true;
	enum err err = ERR_OK;
	for (size_t i = 0; i < chain->count && !err && chain->followed; i++)
		if (&chain->events[i] > made)
			err = event_follow(chain, i, info);
	if (err)
		return err;
	qsort(chain->spans, chain->span_count, sizeof *chain->spans, span_compare);
	snprintf(chain->passed, sizeof chain->passed, "who gave kilograms away had them; in %zu part%s, the first %s",
		chain->span_count, chain->span_count == 1 ? "" : "s",
		chain->span_count ? event_kg_state_names[chain->spans[0].state] : "");
	return ERR_OK;
}

/* ---- the steps ---- */

static const struct chain_step {
	const char *name;
	enum err (*run)(struct chain *chain, struct err_info *info);
} steps[] = {{"records", check_records}, {"checkpoint", check_proofs}, {"issue", check_issue},
	{"signatures", check_signatures}, {"custody", check_custody}};

static enum err run_steps(struct verify_list *list, struct chain *chain)
{
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < sizeof steps / sizeof *steps; i++) {
		struct mrv_step step = {.name = steps[i].name};
		struct err_info fault = {0};
		err = steps[i].run(chain, &fault);
		bool skips = !err && ((steps[i].run == check_proofs && !chain->file.checkpoint) ||
					     (steps[i].run == check_custody && !chain->followed));
		step.verdict = err ? MRV_FAIL : skips ? MRV_SKIP : MRV_PASS;
		snprintf(step.item, sizeof step.item, "%s", fault.pointer);
		snprintf(step.detail, sizeof step.detail, "%s",
			err                             ? fault.detail
			: !skips                        ? chain->passed
			: steps[i].run == check_custody ? "it was moved by an event that this version does not follow"
							: "there is no checkpoint yet");
		if (err != ERR_NO_MEMORY)
			verify_step(list, &step);
	}
	return err;
}

static enum err chain_read(struct chain *chain, const char *text, size_t size, struct err_info *info)
{
	json_t *document;
	enum err err = document_parse(chain->arena, text, size, &document, info);
	if (err == ERR_OK)
		err = field_read(chain_fields, FIELD_CREATE, document, "", chain->arena, &chain->file, info);
	if (err)
		return err;
	chain->count = chain->file.events.count;
	chain->events = ARENA_ARRAY(chain->arena, struct event, chain->count + 1);
	chain->scratch = ARENA_NEW(chain->arena, struct event_scratch);
	return chain->events && chain->scratch ? ERR_OK : ERR_NO_MEMORY;
}

int verify_chain(const char *text, size_t size, const struct verify_options *options)
{
	struct arena *arena = arena_new(CHAIN_ARENA);
	struct verify_list *list = verify_begin(options);
	struct chain *chain = arena ? ARENA_NEW(arena, struct chain) : NULL;
	struct err_info info = {0};
	enum err err = list && chain ? ERR_OK : ERR_NO_MEMORY;
	if (!err) {
		chain->options = options;
		chain->arena = arena;
		err = chain_read(chain, text, size, &info);
		if (err && err != ERR_NO_MEMORY) {
			struct mrv_step step = {.name = "records", .verdict = MRV_FAIL};
			snprintf(step.item, sizeof step.item, "%s", info.pointer);
			snprintf(step.detail, sizeof step.detail, "%s", info.detail);
			verify_step(list, &step);
		}
	}
	if (!err)
		err = run_steps(list, chain);
	bool trusted = !err && chain->checkpoint_trusted && chain->proven == chain->count &&
		       (int64_t)chain->trusted_verifiers >= chain->quorum;
	int code = verify_end(&list, err, trusted);
	arena_free(&arena);
	return code;
}
