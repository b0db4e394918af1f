/* Reviews: later revisions of pinned hours, later calibrations and overlays. All hours of the first batch are quantified
 * again at their newest revisions and with what is in force; the difference to what the chain has issued is a further batch
 * (late data, positive), a hold and a reversal (negative), or recorded and worth nothing (positive from a calibration or
 * overlay). Each cause is dealt with once, under its own id. Evidence thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"
#include "parts.h"

enum {
	REVIEWS_MAX = 5000,
	CHAINS_A_PAGE = 20,
	LINKS_MAX = 1000,
	STATE_PREPARED = 0,
	STATE_SUBMITTED = 1,
	STATE_ISSUED = 2,
	STATE_REVERSAL = 5
};
enum { CAUSE_LATE_DATA, CAUSE_CALIBRATION, CAUSE_OVERLAY };
enum { OUTCOME_NONE, OUTCOME_DIFFERENCE, OUTCOME_REVERSAL, OUTCOME_RECORDED };

/* What all chains of one look share. */
struct look {
	struct evidence *evidence;
	struct err_info *info;
	struct review *reviews; /* open ones, oldest first */
	size_t *pending;        /* live chains that have not dealt with it */
	size_t review_count;
};

/* One first submission and what changed under it. */
struct chain {
	struct look *look;
	struct arena *arena;
	const struct submission *first;
	struct picture *picture;
	struct batch_row batch;      /* of the first batch, where issued */
	struct mrv_earlier *earlier; /* of all links, oldest first */
	size_t earlier_count;
	const struct submission *newest;  /* link whose revisions the chain stands on */
	const struct submission *waiting; /* a difference that is not issued yet */
	size_t *reviews;                  /* into look->reviews */
	size_t review_count;
	struct requantification *records; /* calibrations and overlays that are new to the chain */
	size_t record_count;
};

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, "", "no memory to quantify again");
}

/* ---- causes ---- */

/* True if the hour can be one that the chain read: of a sensor that it knows, from its look-back on. */
static bool concerns(const struct chain *chain, const struct review *review)
{
	const struct mrv_case *the_case = &chain->picture->the_case;
	for (size_t i = 0; i < the_case->sensor_count; i++) {
		if (!id_equal(the_case->sensors[i].id, review->sensor_id))
			continue;
		if (review->hour_us >= the_case->from_us - CLOCK_US_PER_HOUR && review->hour_us <= the_case->to_us)
			return true;
		return picture_revision(chain->picture, review->sensor_id, review->hour_us) != 0;
	}
	return false;
}

static enum err is_known(struct chain *chain, struct id record, bool *ret_known, struct requantification *ret_row)
{
	struct err_info fault = {0};
	field_clear(requantification_fields, ret_row);
	ret_row->id = record;
	ret_row->submission_id = chain->first->id;
	enum err err =
		store_get(chain->look->evidence->store, &requantifications_collection, ret_row, chain->arena, &fault);
	*ret_known = err == ERR_OK;
	return err == ERR_NOT_FOUND ? ERR_OK
	       : err                ? err_set(chain->look->info, err, fault.pointer, "%s", fault.detail)
				    : ERR_OK;
}

static enum err find_reviews(struct chain *chain)
{
	struct look *look = chain->look;
	chain->reviews = ARENA_ARRAY(chain->arena, size_t, look->review_count + 1);
	if (!chain->reviews)
		return no_memory(look->info);
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < look->review_count; i++) {
		struct requantification row;
		bool known = false;
		if (!concerns(chain, &look->reviews[i]))
			continue;
		err = is_known(chain, look->reviews[i].id, &known, &row);
		if (err || known)
			continue;
		chain->reviews[chain->review_count++] = i;
		look->pending[i]++;
	}
	return err;
}

static bool has_calibration(const struct mrv_case *the_case, struct id id)
{
	for (size_t i = 0; i < the_case->calibration_count; i++)
		if (id_equal(the_case->calibrations[i].id, id))
			return true;
	return false;
}

static bool has_overlay(const struct mrv_case *the_case, struct id id)
{
	for (size_t i = 0; i < the_case->overlay_count; i++)
		if (id_equal(the_case->overlays[i].id, id))
			return true;
	return false;
}

/* Drops what was found to raise the quantity after issue: it earns nothing, now and later. Gathers what is new. */
static enum err sift_record(struct chain *chain, struct id id, int cause, bool first_saw_it, bool *ret_keep)
{
	struct requantification row;
	bool known = false;
	*ret_keep = true;
	if (first_saw_it)
		return ERR_OK;
	enum err err = is_known(chain, id, &known, &row);
	if (err)
		return err;
	if (known) {
		*ret_keep = row.outcome != OUTCOME_RECORDED;
		return ERR_OK;
	}
	*ret_keep = false; /* put in one at a time */
	row.cause = cause;
	chain->records[chain->record_count++] = row;
	return ERR_OK;
}

static enum err sift(struct chain *chain, const struct mrv_case *first, struct mrv_case *now)
{
	size_t kept = 0;
	enum err err = ERR_OK;
	chain->records =
		ARENA_ARRAY(chain->arena, struct requantification, now->calibration_count + now->overlay_count + 1);
	if (!chain->records)
		return no_memory(chain->look->info);
	for (size_t i = 0; err == ERR_OK && i < now->calibration_count; i++) {
		bool keep;
		struct id id = now->calibrations[i].id;
		err = sift_record(chain, id, CAUSE_CALIBRATION, has_calibration(first, id), &keep);
		if (keep)
			now->calibrations[kept++] = now->calibrations[i];
	}
	now->calibration_count = kept;
	kept = 0;
	for (size_t i = 0; err == ERR_OK && i < now->overlay_count; i++) {
		bool keep;
		struct id id = now->overlays[i].id;
		err = sift_record(chain, id, CAUSE_OVERLAY, has_overlay(first, id), &keep);
		if (keep)
			now->overlays[kept++] = now->overlays[i];
	}
	now->overlay_count = kept;
	return err;
}

/* ---- quantities ---- */

static enum err quantify(struct chain *chain, const struct mrv_case *the_case, struct mrv_result **ret_result)
{
	return mrv_quantify(the_case, &chain->picture->source, chain->arena, ret_result, chain->look->info);
}

/* Puts new calibrations and overlays in one at a time: those that would raise the quantity are left out. `all` has every
 * record; `now` what is in force so far. */
static enum err weigh_records(struct chain *chain, const struct mrv_case *all, struct mrv_case *now, int64_t *kg)
{
	for (size_t i = 0; i < chain->record_count; i++) {
		struct requantification *record = &chain->records[i];
		struct mrv_case with = *now;
		struct mrv_result *result = NULL;
		with.calibrations = ARENA_ARRAY(chain->arena, struct mrv_calibration, now->calibration_count + 1);
		with.overlays = ARENA_ARRAY(chain->arena, struct mrv_overlay, now->overlay_count + 1);
		if (!with.calibrations || !with.overlays)
			return no_memory(chain->look->info);
		if (now->calibration_count)
			memcpy(with.calibrations, now->calibrations,
				now->calibration_count * sizeof *with.calibrations);
		if (now->overlay_count)
			memcpy(with.overlays, now->overlays, now->overlay_count * sizeof *with.overlays);
		for (size_t c = 0; record->cause == CAUSE_CALIBRATION && c < all->calibration_count; c++)
			if (id_equal(all->calibrations[c].id, record->id))
				with.calibrations[with.calibration_count++] = all->calibrations[c];
		for (size_t o = 0; record->cause == CAUSE_OVERLAY && o < all->overlay_count; o++)
			if (id_equal(all->overlays[o].id, record->id))
				with.overlays[with.overlay_count++] = all->overlays[o];
		mrv_case_sort(&with);
		enum err err = quantify(chain, &with, &result);
		if (err)
			return err;
		record->before_kg = *kg;
		record->after_kg = result->kg;
		record->outcome = result->kg > *kg   ? OUTCOME_RECORDED
				  : result->kg < *kg ? OUTCOME_REVERSAL
						     : OUTCOME_NONE;
		if (result->kg <= *kg) {
			*now = with;
			*kg = result->kg;
		}
	}
	return ERR_OK;
}

/* ---- the chain so far ---- */

static int compare_created(const void *a, const void *b)
{
	int64_t left = ((const struct submission *)a)->created_us, right = ((const struct submission *)b)->created_us;
	return left < right ? -1 : left > right;
}

static enum err read_links(struct chain *chain)
{
	struct look *look = chain->look;
	struct submission low = {.first_id = chain->first->id};
	struct store_query query = {.collection = &submissions_collection,
		.index = "by_first",
		.low = &low,
		.prefix = 1,
		.most = LINKS_MAX};
	void *found = NULL;
	size_t count = 0;
	int64_t sum = 0;
	enum err err = store_find(look->evidence->store, &query, chain->arena, &found, &count, look->info);
	struct submission *links = found;
	chain->earlier = ARENA_ARRAY(chain->arena, struct mrv_earlier, count + 1);
	if (err == ERR_OK && !chain->earlier)
		err = no_memory(look->info);
	if (err)
		return err;
	qsort(links, count, sizeof *links, compare_created);
	for (size_t i = 0; i < count; i++) {
		int64_t kg = links[i].state == STATE_REVERSAL ? links[i].quantity_kg - sum : links[i].kg;
		if (links[i].state == STATE_PREPARED || links[i].state == STATE_SUBMITTED)
			chain->waiting = &links[i];
		if (links[i].state != STATE_ISSUED && links[i].state != STATE_REVERSAL)
			continue;
		chain->earlier[chain->earlier_count++] =
			(struct mrv_earlier){.evidence_root = links[i].evidence_root, .kg = kg};
		chain->newest = &links[i];
		sum += kg;
	}
	chain->batch.batch = chain->first->batch;
	err = store_get(look->evidence->store, &batches_collection, &chain->batch, chain->arena, look->info);
	if (err == ERR_OK &&
		(sum != chain->batch.chain_kg || chain->earlier_count == 0 ||
			!hash_equal(chain->earlier[chain->earlier_count - 1].evidence_root, chain->batch.chain_root)))
		err = err_set(look->info, ERR_EVIDENCE_CHANGED, "",
			"the journal's chain of the batch is not the one that evidence knows");
	return err;
}

/* ---- outcomes ---- */

static const char *cause_text(const struct chain *chain, char text[ID_TEXT_SIZE])
{
	struct id id = chain->record_count ? chain->records[0].id : chain->look->reviews[chain->reviews[0]].id;
	for (size_t i = 0; chain->review_count == 0 && i < chain->record_count; i++)
		if (chain->records[i].outcome == OUTCOME_REVERSAL)
			id = chain->records[i].id;
	if (chain->review_count)
		id = chain->look->reviews[chain->reviews[0]].id;
	return id_text(id, text);
}

/* Hours of the period in which any sensor's revision is another than the chain's newest link read. */
static enum err changed_claims(struct chain *chain, const struct mrv_case *the_case, const struct mrv_result *result,
	int64_t slot, struct mrv_manifest *manifest)
{
	size_t hours = (size_t)((the_case->to_us - the_case->from_us) / CLOCK_US_PER_HOUR), count = 0;
	bool *changed = ARENA_ARRAY(chain->arena, bool, hours + 1);
	struct mrv_claim *claims = ARENA_ARRAY(chain->arena, struct mrv_claim, hours * result->claim_count + 1);
	struct picture *before = NULL;
	bool any = false;
	if (!changed || !claims)
		return no_memory(chain->look->info);
	enum err err = picture_stored(chain->look->evidence, chain->newest, chain->arena, &before, chain->look->info);
	if (err)
		return err;
	for (size_t i = 0; i < result->read_count; i++) {
		const struct mrv_read *read = &result->reads[i];
		int64_t hour = (read->hour_us - the_case->from_us) / CLOCK_US_PER_HOUR;
		if (read->hour_us < the_case->from_us || hour >= (int64_t)hours)
			continue;
		if (picture_revision(before, the_case->sensors[read->sensor].id, read->hour_us) != read->revision)
			changed[hour] = any = true;
	}
	if (!any) /* only an hour around the period changed: its nearest hour moved */
		changed[0] = true;
	for (size_t c = 0; c < result->claim_count; c++)
		for (size_t h = 0; h < hours; h++) {
			if (!changed[h])
				continue;
			bool goes_on = h > 0 && changed[h - 1];
			if (goes_on)
				claims[count - 1].hours++;
			else
				claims[count++] = (struct mrv_claim){.point_id = result->claims[c].point_id,
					.first_hour = the_case->from_us / CLOCK_US_PER_HOUR + (int64_t)h,
					.hours = 1,
					.slot = slot};
		}
	manifest->claims = (struct field_list){claims, count};
	return ERR_OK;
}

/* The further submission: a difference to be issued, or the ground of a reversal. */
static enum err prepare_link(struct chain *chain, struct mrv_case *the_case, struct mrv_result *result, int state,
	struct submission *ret_row)
{
	char cause[ID_TEXT_SIZE];
	struct look *look = chain->look;
	struct mrv_manifest manifest = {.period_id = chain->first->period_id,
		.first_id = chain->first->id,
		.part = chain->first->part,
		.slot = chain->batch.chain_slot + 1,
		.earlier = {chain->earlier, chain->earlier_count}};
	struct err_info fault = {0};
	manifest.id = derived_id(chain->first->id, cause_text(chain, cause), manifest.slot);
	enum err err = submission_read(look->evidence, manifest.id, chain->arena, ret_row, &fault);
	if (err != ERR_NOT_FOUND)
		return err ? err_set(look->info, err, fault.pointer, "%s", fault.detail) : ERR_OK;
	chain->picture->the_case = *the_case;
	err = changed_claims(chain, the_case, result, manifest.slot, &manifest);
	return err ? err
		   : submission_prepare(look->evidence, chain->picture, result, &manifest, state, chain->arena, ret_row,
			     look->info);
}

/* A command of evidence's own, once for ever under the link's id. */
static enum err give(struct chain *chain, enum command_kind kind, struct id link, const char *reason,
	struct command *command, struct hash *reason_hash)
{
	struct look *look = chain->look;
	struct vault_row vault;
	struct engine_result result;
	enum err err = vault_make(chain->first->org_id, "reason", reason, clock_wall_us(), chain->arena, &vault);
	if (err)
		return err_set(look->info, err, "", "no memory for the reason");
	*reason_hash = vault.hash;
	command->kind = kind;
	command->source = COMMAND_SOURCE_EVIDENCE;
	command->id = derived_id(link, command_kind_name((uint32_t)kind), 0);
	command->org = chain->first->org_id;
	command->natural_key = command_natural_key(COMMAND_SOURCE_EVIDENCE, kind, link.bytes, sizeof link.bytes);
	/* the reason's salt is new each time; the request is the same */
	command->request_hash = sha256_of("carbond/evidence/1", link.bytes, sizeof link.bytes);
	return engine_command(look->evidence->engine, command, &vault, 1, clock_monotonic_us() + COMMAND_DEADLINE_US,
		&result, look->info);
}

static enum err reverse(struct chain *chain, struct mrv_case *the_case, struct mrv_result *result, struct id *ret_link)
{
	struct submission row;
	int64_t kg = chain->batch.chain_kg - result->kg;
	enum err err = prepare_link(chain, the_case, result, STATE_REVERSAL, &row);
	if (err)
		return err;
	*ret_link = row.id;
	struct command hold = {.batch_hold = {.batch = (uint64_t)chain->batch.batch}};
	err = give(chain, COMMAND_BATCH_HOLD, row.id,
		"quantified again, the hours of this batch are worth less than was issued", &hold,
		&hold.batch_hold.reason_hash);
	if (err && err != ERR_BATCH_HELD) /* held already is held */
		return err;
	struct command reversal = {.batch_reverse = {.batch = (uint64_t)chain->batch.batch,
					   .kg = kg,
					   .evidence_root = row.evidence_root,
					   .previous_root = chain->batch.chain_root}};
	return give(chain, COMMAND_BATCH_REVERSE, row.id, "negative difference after calibration, overlay or late data",
		&reversal, &reversal.batch_reverse.reason_hash);
}

static enum err add_difference(
	struct chain *chain, struct mrv_case *the_case, struct mrv_result *result, struct id *ret_link)
{
	struct submission row;
	struct period period = {.id = chain->first->period_id};
	struct look *look = chain->look;
	enum err err = prepare_link(chain, the_case, result, STATE_PREPARED, &row);
	if (err == ERR_OK)
		err = store_get(look->evidence->store, &periods_collection, &period, chain->arena, look->info);
	if (err == ERR_OK && row.state == STATE_PREPARED)
		err = submission_send(look->evidence, &row, period.submitted_by, chain->arena, look->info);
	*ret_link = row.id;
	return err;
}

/* ---- what is done is written down ---- */

static enum err write_record(struct chain *chain, struct requantification *row)
{
	struct audit_actor daemon = {.name = "evidence"};
	struct store_change change = {
		.collection = &requantifications_collection, .row = row, .verb = STORE_PUT, .condition = STORE_ALWAYS};
	struct audit_change record = {.action = "requantification.record",
		.subject_kind = "submission",
		.subject = chain->first->id,
		.org = chain->first->org_id,
		.fields = requantification_fields,
		.new_row = row,
		.changes = &change,
		.change_count = 1};
	row->org_id = chain->first->org_id;
	row->submission_id = chain->first->id;
	row->version = 1;
	row->created_us = clock_wall_us();
	return audit_write(chain->look->evidence->audit, &daemon, &record, NULL, chain->look->info);
}

static enum err close_review(struct look *look, struct review *review)
{
	struct review row = *review;
	struct store_change change = {.collection = &reviews_collection,
		.row = &row,
		.verb = STORE_PUT,
		.condition = STORE_EQUALS,
		.field = "version",
		.value = review->version};
	row.state = 1;
	row.version++;
	return store_write(look->evidence->store, &change, 1, NULL, look->info);
}

static enum err write_down(struct chain *chain, int outcome, int64_t before_kg, int64_t after_kg, struct id link)
{
	struct look *look = chain->look;
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < chain->record_count; i++) {
		struct requantification *record = &chain->records[i];
		if (record->outcome == OUTCOME_REVERSAL) /* it lowered; what came of all causes together */
			record->outcome = outcome;
		if (record->outcome == outcome && outcome != OUTCOME_RECORDED)
			record->difference_id = link;
		err = write_record(chain, record);
	}
	for (size_t i = 0; err == ERR_OK && i < chain->review_count; i++) {
		struct requantification row = {.id = look->reviews[chain->reviews[i]].id,
			.cause = CAUSE_LATE_DATA,
			.before_kg = before_kg,
			.after_kg = after_kg,
			.outcome = outcome,
			.difference_id = link};
		err = write_record(chain, &row);
		look->pending[chain->reviews[i]] -= err == ERR_OK;
	}
	return err;
}

/* ---- one chain ---- */

/* Before issue nothing is re-issued: what lowers the quantity holds the period, until it is withdrawn or released. */
static enum err hold_period(struct chain *chain, const struct mrv_result *result)
{
	struct command hold = {.period_hold = {.period = chain->first->id, .reasons = PERIOD_HOLD_DIFFERENCE}};
	if (result->kg >= chain->first->quantity_kg)
		return ERR_OK;
	enum err err = give(chain, COMMAND_PERIOD_HOLD, chain->first->id,
		"quantified again, the hours of this period are worth less than was submitted", &hold,
		&hold.period_hold.reason_hash);
	/* it was decided in between: the journal's consumer says how, and the next look goes on from there */
	return err == ERR_PERIOD_STATE ? ERR_OK : err;
}

static enum err settle(struct chain *chain, struct mrv_case *now, struct mrv_result *result)
{
	struct id link = {{0}};
	int outcome = OUTCOME_NONE;
	int64_t before_kg = chain->batch.chain_kg;
	enum err err = ERR_OK;
	if (result->kg > before_kg && chain->review_count > 0) {
		outcome = OUTCOME_DIFFERENCE;
		err = add_difference(chain, now, result, &link);
	} else if (result->kg < before_kg) {
		outcome = OUTCOME_REVERSAL;
		err = reverse(chain, now, result, &link);
	}
	return err ? err : write_down(chain, outcome, before_kg, result->kg, link);
}

static enum err review_chain(struct look *look, const struct submission *first, struct arena *arena)
{
	struct chain chain = {.look = look, .arena = arena, .first = first};
	struct picture *stored = NULL;
	struct mrv_result *result = NULL;
	enum err err = picture_stored(look->evidence, first, arena, &stored, look->info);
	chain.picture = stored;
	if (err == ERR_OK)
		err = find_reviews(&chain);
	struct mrv_case first_case = stored ? stored->the_case : (struct mrv_case){0}, all, now;
	if (err == ERR_OK)
		err = picture_refresh(stored, look->info);
	if (err)
		return err;
	all = now = stored->the_case;
	now.calibrations =
		ARENA_ARRAY(arena, struct mrv_calibration, all.calibration_count + first_case.calibration_count + 1);
	now.overlays = ARENA_ARRAY(arena, struct mrv_overlay, all.overlay_count + first_case.overlay_count + 1);
	if (!now.calibrations || !now.overlays)
		return no_memory(look->info);
	if (all.calibration_count)
		memcpy(now.calibrations, all.calibrations, all.calibration_count * sizeof *now.calibrations);
	if (all.overlay_count)
		memcpy(now.overlays, all.overlays, all.overlay_count * sizeof *now.overlays);
	/* what was in force when it was submitted stays so, also where the record has gone since */
	for (size_t i = 0; i < first_case.calibration_count; i++)
		if (!has_calibration(&all, first_case.calibrations[i].id))
			now.calibrations[now.calibration_count++] = first_case.calibrations[i];
	for (size_t i = 0; i < first_case.overlay_count; i++)
		if (!has_overlay(&all, first_case.overlays[i].id))
			now.overlays[now.overlay_count++] = first_case.overlays[i];
	mrv_case_sort(&now);
	err = sift(&chain, &first_case, &now);
	if (err || (chain.review_count == 0 && chain.record_count == 0))
		return err;
	if (first->state == STATE_ISSUED)
		err = read_links(&chain);
	if (err)
		return err;
	if (first->state == STATE_ISSUED && chain.waiting)
		return chain.waiting->state == STATE_PREPARED
			       ? submission_resend(look->evidence, chain.waiting, arena, look->info)
			       : ERR_OK;
	err = quantify(&chain, &now, &result);
	int64_t kg = err ? 0 : result->kg;
	if (err == ERR_OK)
		err = weigh_records(&chain, &all, &now, &kg);
	if (err == ERR_OK)
		err = quantify(&chain, &now, &result);
	if (err)
		return err;
	return first->state == STATE_ISSUED ? settle(&chain, &now, result) : hold_period(&chain, result);
}

/* ---- all chains ---- */

static bool is_live_first(const struct submission *row)
{
	return id_equal(row->id, row->first_id) && (row->state == STATE_SUBMITTED || row->state == STATE_ISSUED);
}

static enum err each_chain(struct look *look)
{
	struct submission after;
	bool more = true, begun = false;
	enum err err = ERR_OK;
	struct arena *arena = arena_new(EVIDENCE_ARENA_BYTES), *keep = arena_new(EVIDENCE_ARENA_BYTES);
	while (err == ERR_OK && more && arena && keep && !atomic_load(&look->evidence->stopping)) {
		struct store_query query = {
			.collection = &submissions_collection, .after = begun ? &after : NULL, .most = CHAINS_A_PAGE};
		void *found = NULL;
		size_t count = 0;
		arena_reset(keep);
		err = store_find(look->evidence->store, &query, keep, &found, &count, look->info);
		const struct submission *rows = found;
		for (size_t i = 0; err == ERR_OK && i < count; i++) {
			if (!is_live_first(&rows[i]))
				continue;
			struct err_info fault = {0};
			struct err_info *info = look->info;
			arena_reset(arena);
			look->info = &fault;
			enum err chain_err = review_chain(look, &rows[i], arena);
			look->info = info;
			if (chain_err) { /* one chain must not hold up the others; it is looked at again */
				log_failure("review", &fault, NULL);
				atomic_store(&look->evidence->look_again, true);
			}
		}
		more = count == CHAINS_A_PAGE;
		begun = count > 0;
		if (count)
			after = (struct submission){.id = rows[count - 1].id};
	}
	if (!arena || !keep)
		err = no_memory(look->info);
	arena_free(&arena);
	arena_free(&keep);
	return err;
}

/* A review is done when every live chain that reads the hour has dealt with it. */
static enum err close_reviews(struct look *look)
{
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < look->review_count; i++)
		if (look->pending[i] == 0)
			err = close_review(look, &look->reviews[i]);
	return err == ERR_CONDITION_FAILED ? ERR_OK : err;
}

/* Sum of the heads of all audit logs: it rises with every record. */
static enum err audit_seq(struct evidence *evidence, struct arena *arena, uint64_t *ret_sum, struct err_info *info)
{
	const char **names = NULL;
	size_t count = 0;
	*ret_sum = 0;
	enum err err = store_log_streams(evidence->store, STORE_VALUE, "audit.", arena, &names, &count, info);
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		struct store_batch head;
		err = store_log_head(evidence->store, STORE_VALUE, names[i], &head, info);
		*ret_sum += err ? 0 : head.seq;
	}
	return err;
}

static enum err read_reviews(struct look *look, struct arena *arena)
{
	struct review low = {.state = 0};
	struct store_query query = {
		.collection = &reviews_collection, .index = "by_state", .low = &low, .prefix = 1, .most = REVIEWS_MAX};
	void *found = NULL;
	enum err err = store_find(look->evidence->store, &query, arena, &found, &look->review_count, look->info);
	look->reviews = found;
	look->pending = ARENA_ARRAY(arena, size_t, look->review_count + 1);
	return err ? err : look->pending ? ERR_OK : no_memory(look->info);
}

/* In short waits: behind a disk that has failed the views do not come, and a stop must not wait for them. */
static enum err views_wait(struct evidence *evidence, int64_t position, int64_t deadline_us)
{
	enum err err = ERR_DEADLINE;
	while (err == ERR_DEADLINE && clock_monotonic_us() < deadline_us && !atomic_load(&evidence->stopping))
		err = engine_wait_position(evidence->engine, position, clock_monotonic_us() + VIEWS_WAIT_US);
	return err;
}

enum err review_run(struct evidence *evidence, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct look look = {.evidence = evidence, .info = info};
	uint64_t seq = 0;
	enum err err = arena ? audit_seq(evidence, arena, &seq, info) : no_memory(info);
	if (err == ERR_OK)
		err = read_reviews(&look, arena);
	struct id newest = look.review_count ? look.reviews[look.review_count - 1].id : (struct id){{0}};
	bool again = atomic_exchange(&evidence->look_again, false);
	/* reviews of periods that are not decided stay open: they alone are no reason to look again */
	if (err || (!again && seq == evidence->seen_audit_seq && id_equal(newest, evidence->seen_review)))
		goto out;
	/* the chains' kilograms come from the views, the submissions' states from our own consumer */
	int64_t position = engine_position(evidence->engine), deadline_us = clock_monotonic_us() + COMMAND_DEADLINE_US;
	err = views_wait(evidence, position, deadline_us);
	if (err == ERR_OK)
		err = chain_wait(evidence, position, deadline_us, info);
	if (err == ERR_OK)
		err = each_chain(&look);
	if (err == ERR_OK)
		err = close_reviews(&look);
	if (err == ERR_OK) {
		evidence->seen_audit_seq = seq;
		evidence->seen_review = newest;
	} else {
		atomic_store(&evidence->look_again, true);
	}
out:
	arena_free(&arena);
	return err;
}
