/* Decides what buyers may ask for: instruments, which are predicates over classes, and which class a batch is of. The state's thread. */
#include <string.h>

#include "state.h"

/* ---- listing ---- */

static enum err verifiers_check(const struct deciding *at)
{
	const struct command *command = at->call->command;
	const struct record_lists *lists = &command->lists;
	if (command->instrument_list.verifiers_least > EVENTS_VERIFIERS_MAX)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/verifiers_least", "/verifiers_least must be 0..%d",
			EVENTS_VERIFIERS_MAX);
	if (!verifiers_are_sorted(lists->verifiers, lists->verifier_count))
		return REFUSE(at->info, ERR_INVALID_FIELD, "/verifiers",
			"/verifiers must be at most %d organisations, none twice", EVENTS_VERIFIERS_MAX);
	for (size_t i = 0; i < lists->verifier_count; i++)
		if (!at->batches->verifies(at->batches->context, lists->verifiers[i]))
			return REFUSE(at->info, ERR_VERIFIER_UNKNOWN, "/verifiers", "organisation %zu has no verifier",
				i + 1);
	return ERR_OK;
}

enum err decide_instrument_list(const struct deciding *at)
{
	const struct command_instrument_list *asked = &at->call->command->instrument_list;
	const struct record_lists *lists = &at->call->command->lists;
	struct err_info *info = at->info;
	const struct venue *venue = venue_find(at->market, asked->market);
	struct market_attributes attributes;
	uint32_t version = 1;
	if (!venue)
		return REFUSE(info, ERR_NOT_FOUND, "/market", "there is no such market");
	if (!asked->code.text[0])
		return REFUSE(info, ERR_MISSING_FIELD, "/code", "an instrument has a code");
	if (asked->durabilities >> DURABILITY_COUNT)
		return REFUSE(
			info, ERR_INVALID_FIELD, "/durabilities", "/durabilities names a class that is not known");
	if (asked->vintage_to && asked->vintage_to < asked->vintage_from)
		return REFUSE(info, ERR_INVALID_FIELD, "/vintage_to", "/vintage_to must not be before /vintage_from");
	if (asked->batch && (!at->batches->attributes(at->batches->context, asked->batch, &attributes) ||
				    (uint32_t)attributes.kind != venue->is.kind))
		return REFUSE(info, ERR_NOT_FOUND, "/batch", "there is no such batch of the market's kind");
	enum err err = verifiers_check(at);
	if (err)
		return err;
	for (uint32_t i = 0; i < at->market->instrument_count; i++) {
		const struct event_state_instrument *is = &at->market->instruments[i].is;
		if (memcmp(&is->code, &asked->code, sizeof is->code) == 0)
			version = is->version + 1;
	}
	at->call->number = at->market->instrument_count + 1ull;
	struct event event = {.instrument_listed = {.instrument = at->call->number,
				      .market = asked->market,
				      .code = asked->code,
				      .batch = asked->batch,
				      .methodology = asked->methodology,
				      .country = asked->country,
				      .durabilities = asked->durabilities,
				      .vintage_from = asked->vintage_from,
				      .vintage_to = asked->vintage_to,
				      .version = version,
				      .verifiers_least = asked->verifiers_least},
		.lists = {.verifiers = lists->verifiers, .verifier_count = lists->verifier_count}};
	return decision_emit(at->call, EVENT_INSTRUMENT_LISTED, &event, info);
}

bool instrument_is_newest(const struct market *market, const struct instrument *instrument)
{
	for (uint32_t i = (uint32_t)instrument->is.instrument; i < market->instrument_count; i++)
		if (memcmp(&market->instruments[i].is.code, &instrument->is.code, sizeof instrument->is.code) == 0)
			return false;
	return true;
}

/* ---- what asks for what ---- */

static bool attribute_fits(const void *wanted, const void *has, size_t size)
{
	static const char any[16];
	return memcmp(wanted, any, size) == 0 || memcmp(wanted, has, size) == 0;
}

static bool sets_meet(const struct verifier_set *a, const struct verifier_set *b)
{
	uint32_t i = 0, j = 0;
	while (i < a->count && j < b->count) {
		int order = memcmp(&a->orgs[i], &b->orgs[j], sizeof a->orgs[i]);
		if (order == 0)
			return true;
		if (order < 0)
			i++;
		else
			j++;
	}
	return false;
}

bool market_asks(
	const struct market_wants *wants, const struct event_state_class *has, const struct verifier_set *attested_by)
{
	const struct event_state_instrument *is = wants->instrument;
	return is->market == has->market && (!is->durabilities || is->durabilities >> has->durability & 1) &&
	       (!is->vintage_from || has->vintage >= is->vintage_from) &&
	       (!is->vintage_to || has->vintage <= is->vintage_to) &&
	       attribute_fits(&is->country, &has->country, sizeof has->country) &&
	       attribute_fits(&is->methodology, &has->methodology, sizeof has->methodology) &&
	       attested_by->count >= is->verifiers_least &&
	       (!wants->any_of->count || sets_meet(wants->any_of, attested_by));
}

/* Whether all of a set are in another. */
static bool set_lies_in(const struct verifier_set *set, const struct verifier_set *in)
{
	uint32_t found = 0;
	for (uint32_t i = 0; i < set->count; i++)
		for (uint32_t j = 0; j < in->count; j++)
			found += memcmp(&set->orgs[i], &in->orgs[j], sizeof set->orgs[i]) == 0;
	return found == set->count;
}

bool market_covers(const struct market_wants *wide_one, const struct market_wants *narrow_one)
{
	const struct event_state_instrument *wide = wide_one->instrument, *narrow = narrow_one->instrument;
	return wide->market == narrow->market && (!wide->batch || wide->batch == narrow->batch) &&
	       (!wide->durabilities || (narrow->durabilities && !(narrow->durabilities & ~wide->durabilities))) &&
	       (!wide->vintage_from || narrow->vintage_from >= wide->vintage_from) &&
	       (!wide->vintage_to || (narrow->vintage_to && narrow->vintage_to <= wide->vintage_to)) &&
	       attribute_fits(&wide->country, &narrow->country, sizeof narrow->country) &&
	       attribute_fits(&wide->methodology, &narrow->methodology, sizeof narrow->methodology) &&
	       narrow->verifiers_least >= wide->verifiers_least &&
	       (!wide_one->any_of->count ||
		       (narrow_one->any_of->count && set_lies_in(narrow_one->any_of, wide_one->any_of)));
}

struct market_wants instrument_wants(const struct market *market, const struct instrument *instrument)
{
	return (struct market_wants){&instrument->is, &market->instrument_verifiers[instrument->is.instrument - 1]};
}

bool instrument_takes(const struct market *market, const struct instrument *instrument,
	const struct event_state_class *has, const struct verifier_set *attested_by)
{
	const struct market_wants wants = instrument_wants(market, instrument);
	return market_asks(&wants, has, attested_by);
}

bool instrument_takes_batch(
	const struct market *market, uint64_t number, uint64_t batch, const struct market_attributes *attributes)
{
	const struct instrument *instrument = instrument_find(market, number);
	if (!instrument || (uint32_t)attributes->kind != market->venues[instrument->is.market - 1].is.kind ||
		(instrument->is.batch && instrument->is.batch != batch))
		return false;
	const struct event_state_class class = {.market = instrument->is.market,
		.methodology = attributes->methodology,
		.country = attributes->country,
		.durability = (uint32_t)attributes->durability,
		.vintage = attributes->vintage};
	return instrument_takes(market, instrument, &class, &attributes->verifiers);
}

static bool sets_are_equal(const struct verifier_set *a, const struct verifier_set *b)
{
	return a->count == b->count && memcmp(a->orgs, b->orgs, a->count * sizeof a->orgs[0]) == 0;
}

struct class *class_of(const struct market *market, uint64_t venue, const struct market_attributes *attributes)
{
	for (uint32_t i = 0; i < market->class_count; i++) {
		const struct event_state_class *is = &market->classes[i].is;
		if (is->market == venue && is->durability == (uint32_t)attributes->durability &&
			is->vintage == attributes->vintage &&
			memcmp(&is->country, &attributes->country, sizeof is->country) == 0 &&
			memcmp(&is->methodology, &attributes->methodology, sizeof is->methodology) == 0 &&
			sets_are_equal(&market->class_verifiers[i], &attributes->verifiers))
			return &market->classes[i];
	}
	return NULL;
}
