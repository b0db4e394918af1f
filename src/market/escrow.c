/* Decides what may happen to an escrow, and when it is settled or goes back (the table in docs/ESCROW.md). The state's thread. */
#include <assert.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "contracts.h"
#include "state.h"

static struct ledger_place in_escrow(struct id org)
{
	return (struct ledger_place){.org = org, .state = KG_ESCROW};
}

/* ---- conditions ---- */

static bool is_funded(const struct event_state_escrow *is)
{
	return is->funded_micros == is->amount_micros;
}

static bool is_ready(const struct event_state_escrow *is)
{
	return !is->disputed && is_funded(is) && is->delivered_kg == is->kg && is->dated &&
	       (is->attested || id_is_none(is->verifier));
}

int64_t escrow_timer(const struct escrow *escrow)
{
	const struct event_state_escrow *is = &escrow->is;
	if (is->disputed)
		return TIMER_NEVER;
	if (is_ready(is))
		return TIMER_NOW;
	return is->dated ? is->expires_us : is->not_before_us;
}

/* Whether so much of it would go into a closed account. */
static bool is_closed(
	const struct ledger *ledger, const struct event_state_escrow *is, int64_t paid_micros, int64_t released_kg)
{
	return (paid_micros && ledger_account_closed(ledger, is->payee)) ||
	       (released_kg && ledger_account_closed(ledger, is->payer));
}

/* A prepayment is settled while its contract is under way and can count it, and nothing into a closed account. */
static bool is_void(const struct contracts *contracts, const struct ledger *ledger, const struct event_state_escrow *is)
{
	const struct offtake *offtake = offtake_find(contracts, is->contract);
	int64_t credit = 0;
	return (!id_is_none(is->contract) && !offtake) ||
	       (offtake && !add_checked(offtake->is.credit_micros, is->amount_micros, &credit)) ||
	       is_closed(ledger, is, is->amount_micros, is->kg);
}

/* Why so much of it may not change hands: a held account, a suspended batch. A reversal does not touch what is in escrow. */
static enum err settle_check(const struct market_register *batches, const struct escrow *escrow, int64_t paid_micros,
	int64_t released_kg, struct err_info *info)
{
	static const struct id nobody;
	const struct event_state_escrow *is = &escrow->is;
	enum err err = ERR_OK;
	if (paid_micros)
		err = batches->movable(batches->context, is->payer, 0, info);
	if (!err && released_kg)
		err = batches->movable(batches->context, is->payee, 0, info);
	uint64_t looked_at = 0;
	for (uint32_t i = 0; i < escrow->range_count && released_kg > 0 && !err; i++) {
		const struct serial_range *range = &escrow->ranges[i];
		if (range->batch != looked_at)
			err = batches->movable(batches->context, nobody, range->batch, info);
		looked_at = range->batch;
		released_kg -= range->length;
	}
	return err;
}

enum escrow_step_kind { STEP_NONE, STEP_DATE, STEP_SETTLE, STEP_EXPIRE, STEP_VOID };

/* What happens to it by itself now. */
static enum escrow_step_kind step_next(const struct contracts *contracts, const struct ledger *ledger,
	const struct market_register *batches, const struct escrow *escrow)
{
	const struct event_state_escrow *is = &escrow->is;
	struct err_info why;
	if (is->disputed)
		return STEP_NONE;
	if (!is->dated && is->not_before_us <= contracts->due_us)
		return STEP_DATE;
	if (is_ready(is) && is_void(contracts, ledger, is))
		return STEP_VOID;
	if (is_ready(is) && settle_check(batches, escrow, is->amount_micros, is->kg, &why) == ERR_OK)
		return STEP_SETTLE;
	return is->expires_us <= contracts->due_us ? STEP_EXPIRE : STEP_NONE;
}

bool escrow_is_due(const struct contracts *contracts, const struct ledger *ledger,
	const struct market_register *batches, const struct escrow *escrow)
{
	return step_next(contracts, ledger, batches, escrow) != STEP_NONE;
}

/* ---- ending ---- */

/* All its ranges; one is cut where the first `kg` kilograms end. Returns how many. */
static size_t ranges_of(const struct escrow *escrow, int64_t kg, struct serial_range ranges[EVENTS_RANGES_MAX])
{
	size_t count = 0;
	for (uint32_t i = 0; i < escrow->range_count; i++) {
		struct serial_range range = escrow->ranges[i];
		if (kg > 0 && kg < range.length) {
			ranges[count++] = (struct serial_range){range.batch, range.start, kg};
			range.start += kg;
			range.length -= kg;
			kg = 0;
		}
		kg -= range.length;
		ranges[count++] = range;
	}
	return count;
}

static enum err end(const struct contract_call *at, const struct escrow *escrow, int64_t paid_micros,
	int64_t released_kg, enum escrow_reason reason, struct hash reason_hash)
{
	const struct event_state_escrow *is = &escrow->is;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = ranges_of(escrow, released_kg, ranges);
	struct event event = {.escrow_ended = {.escrow = is->escrow,
				      .payer = is->payer,
				      .payee = is->payee,
				      .contract = is->contract,
				      .currency = is->currency,
				      .paid_micros = paid_micros,
				      .refunded_micros = is->funded_micros - paid_micros,
				      .released_kg = released_kg,
				      .returned_kg = is->delivered_kg - released_kg,
				      .reason_hash = reason_hash,
				      .reason = (uint32_t)reason},
		.lists = {.ranges = ranges, .range_count = count}};
	return decision_emit(at->call, EVENT_ESCROW_ENDED, &event, at->info);
}

enum err escrow_go_on(const struct contract_call *at, struct escrow *escrow)
{
	const struct event_state_escrow is = escrow->is;
	static const struct hash none;
	struct event event = {.escrow_dated.escrow = is.escrow};
	switch (step_next(at->contracts, at->ledger, at->batches, escrow)) {
	case STEP_DATE: return decision_emit(at->call, EVENT_ESCROW_DATED, &event, at->info);
	case STEP_SETTLE: return end(at, escrow, is.amount_micros, is.kg, ESCROW_SETTLED, none);
	case STEP_EXPIRE: return end(at, escrow, 0, 0, ESCROW_EXPIRED, none);
	case STEP_VOID: return end(at, escrow, 0, 0, ESCROW_VOIDED, none);
	case STEP_NONE: break;
	}
	return REFUSE(at->info, ERR_ESCROW_DONE, "", "nothing is due");
}

/* ---- opening ---- */

static enum err sides_check(const struct contract_call *at, const struct command_escrow_open *asked)
{
	struct id org = at->call->command->org;
	if (id_is_none(asked->payer) || id_is_none(asked->payee) || id_equal(asked->payer, asked->payee))
		return REFUSE(at->info, ERR_PAYEE_INVALID, "/payee_id", "payer and payee are two organisations");
	if (!id_equal(org, asked->payer) && !id_equal(org, asked->payee))
		return REFUSE(at->info, ERR_FORBIDDEN, "", "payer or payee opens an escrow");
	if (ledger_account_closed(at->ledger, asked->payer) || ledger_account_closed(at->ledger, asked->payee))
		return REFUSE(at->info, ERR_ACCOUNT_CLOSED, "", "the account of a side is closed");
	if (id_equal(asked->arbiter, asked->payer) || id_equal(asked->arbiter, asked->payee))
		return REFUSE(at->info, ERR_SEPARATION_OF_DUTIES, "/arbiter_id", "neither side is the arbiter");
	if (id_is_none(asked->verifier))
		return hash_is_none(asked->statement_hash)
			       ? ERR_OK
			       : REFUSE(at->info, ERR_MISSING_FIELD, "/verifier_id", "a statement has a verifier");
	struct id verifier_org;
	if (!at->batches->verifier(at->batches->context, asked->verifier, &verifier_org))
		return REFUSE(at->info, ERR_VERIFIER_UNKNOWN, "/verifier_id", "there is no such verifier");
	if (id_equal(verifier_org, asked->payer) || id_equal(verifier_org, asked->payee))
		return REFUSE(at->info, ERR_SEPARATION_OF_DUTIES, "/verifier_id", "neither side is the verifier");
	return hash_is_none(asked->statement_hash)
		       ? REFUSE(at->info, ERR_MISSING_FIELD, "/statement", "the verifier signs a statement")
		       : ERR_OK;
}

static enum err legs_check(const struct contract_call *at, const struct command_escrow_open *asked)
{
	struct market_attributes attributes;
	struct err_info *info = at->info;
	if (asked->amount_micros && !ledger_money_asset(asked->currency))
		return REFUSE(info, ERR_CURRENCY_INVALID, "/currency",
			"/currency must be 1 to 7 of A-Z and 0-9, first a letter");
	if (asked->amount_micros < 0 || asked->amount_micros > LEDGER_MICROS_MAX)
		return REFUSE(info, ERR_AMOUNT_INVALID, "/amount", "/amount must be at most 1000000000000");
	if (asked->kg < 0 || asked->kg > MARKET_KG_MAX || (!asked->kg && !asked->amount_micros))
		return REFUSE(info, ERR_INVALID_FIELD, "/kg", "/kg must be 1..%lld, or there is money",
			(long long)MARKET_KG_MAX);
	if (!asked->kg != (!asked->batch && !asked->instrument) || (asked->batch && asked->instrument))
		return REFUSE(info, ERR_INVALID_FIELD, "/batch", "kilograms are of a batch or of an instrument's");
	if (asked->batch && !at->batches->attributes(at->batches->context, asked->batch, &attributes))
		return REFUSE(info, ERR_NOT_FOUND, "/batch", "there is no such batch");
	if (asked->instrument && !instrument_find(at->market, asked->instrument))
		return REFUSE(info, ERR_NOT_FOUND, "/instrument", "there is no such instrument");
	if (asked->expires_us <= at->call->now_us || asked->expires_us <= asked->not_before_us ||
		asked->not_before_us < 0)
		return REFUSE(info, ERR_EXPIRY_INVALID, "/expires", "an escrow expires in the future, after its date");
	return ERR_OK;
}

static enum err prepayment_check(const struct contract_call *at, const struct command_escrow_open *asked)
{
	if (id_is_none(asked->contract))
		return ERR_OK;
	const struct offtake *offtake = offtake_find(at->contracts, asked->contract);
	bool fits = offtake && offtake->is.state == OFFTAKE_IN_FORCE && id_equal(offtake->is.buyer, asked->payer) &&
		    id_equal(offtake->is.seller, asked->payee) &&
		    memcmp(&offtake->is.currency, &asked->currency, sizeof asked->currency) == 0;
	if (!fits)
		return REFUSE(at->info, ERR_CONTRACT_DONE, "/contract_id",
			"no such contract is in force between these sides in this currency");
	return asked->kg ? REFUSE(at->info, ERR_INVALID_FIELD, "/kg", "a prepayment is of money alone") : ERR_OK;
}

static enum err funds_check(const struct contract_call *at, struct id payer, struct code8 currency, int64_t micros)
{
	enum err err = at->batches->movable(at->batches->context, payer, 0, at->info);
	return err ? err : ledger_may_leave(at->ledger, payer, currency, micros, false, at->info);
}

enum err decide_escrow_open(const struct contract_call *at)
{
	const struct command *command = at->call->command;
	const struct command_escrow_open *asked = &command->escrow_open;
	bool pays = id_equal(command->org, asked->payer) && asked->amount_micros;
	enum err err = sides_check(at, asked);
	if (!err)
		err = legs_check(at, asked);
	if (!err)
		err = prepayment_check(at, asked);
	if (!err && (escrow_find(at->contracts, command->id) || offtake_find(at->contracts, command->id)))
		err = REFUSE(at->info, ERR_DUPLICATE, "", "there is an escrow with this id");
	if (!err && pays)
		err = funds_check(at, asked->payer, asked->currency, asked->amount_micros);
	if (err)
		return err;
	struct event event = {.escrow_opened = {.escrow = command->id,
				      .payer = asked->payer,
				      .payee = asked->payee,
				      .arbiter = asked->arbiter,
				      .verifier = asked->verifier,
				      .statement_hash = asked->statement_hash,
				      .contract = asked->contract,
				      .amount_micros = asked->amount_micros,
				      .kg = asked->kg,
				      .batch = asked->batch,
				      .instrument = asked->instrument,
				      .not_before_us = asked->not_before_us,
				      .expires_us = asked->expires_us,
				      .funded_micros = pays ? asked->amount_micros : 0,
				      .dated = asked->not_before_us <= at->call->now_us}};
	if (asked->amount_micros)
		event.escrow_opened.currency = asked->currency;
	return decision_emit(at->call, EVENT_ESCROW_OPENED, &event, at->info);
}

/* ---- putting in ---- */

/* The escrow, for those whom `is_named` names; strangers are told nothing about it. */
static enum err escrow_get(const struct contract_call *at, struct id id, struct escrow **ret_escrow)
{
	struct escrow *escrow = escrow_find(at->contracts, id);
	struct id org = at->call->command->org, verifier_org = {0};
	const struct event_state_escrow *is = escrow ? &escrow->is : NULL;
	bool named = is && (id_equal(is->payer, org) || id_equal(is->payee, org) || id_equal(is->arbiter, org));
	if (is && !named && !id_is_none(is->verifier))
		named = at->batches->verifier(at->batches->context, is->verifier, &verifier_org) &&
			id_equal(verifier_org, org);
	if (is && !named) /* compliance */
		named = at->call->command->kind == COMMAND_ESCROW_DECIDE &&
			at->call->command->escrow_decide.compliance == 1;
	*ret_escrow = escrow;
	return named ? ERR_OK
		     : REFUSE(at->info, ERR_ESCROW_DONE, "", "the organisation has no such escrow, or it has ended");
}

/* As escrow_get; and it is open, and the command comes from `whose` side. */
static enum err side_get(
	const struct contract_call *at, struct id id, bool payer_may, bool payee_may, struct escrow **ret_escrow)
{
	struct id org = at->call->command->org;
	enum err err = escrow_get(at, id, ret_escrow);
	if (err)
		return err;
	const struct event_state_escrow *is = &(*ret_escrow)->is;
	if (!(payer_may && id_equal(org, is->payer)) && !(payee_may && id_equal(org, is->payee)))
		return REFUSE(at->info, ERR_FORBIDDEN, "", "this is for the %s to do",
			payer_may && payee_may ? "payer or the payee"
			: payer_may            ? "payer"
					       : "payee");
	return is->disputed ? REFUSE(at->info, ERR_ESCROW_DISPUTED, "", "the escrow is disputed") : ERR_OK;
}

enum err decide_escrow_fund(const struct contract_call *at)
{
	struct escrow *escrow = NULL;
	enum err err = side_get(at, at->call->command->escrow_fund.escrow, true, false, &escrow);
	if (err)
		return err;
	const struct event_state_escrow *is = &escrow->is;
	if (is_funded(is))
		return REFUSE(at->info, ERR_NOTHING_OWED, "", "the escrow waits for no money");
	err = funds_check(at, is->payer, is->currency, is->amount_micros);
	struct event event = {.escrow_funded = {.escrow = is->escrow,
				      .payer = is->payer,
				      .currency = is->currency,
				      .amount_micros = is->amount_micros}};
	return err ? err : decision_emit(at->call, EVENT_ESCROW_FUNDED, &event, at->info);
}

static enum err batch_check(const struct contract_call *at, const struct event_state_escrow *is, uint64_t batch)
{
	struct market_attributes attributes;
	if (!at->batches->attributes(at->batches->context, batch, &attributes))
		return REFUSE(at->info, ERR_NOT_FOUND, "/batch", "there is no such batch");
	bool fits =
		is->batch ? is->batch == batch : instrument_takes_batch(at->market, is->instrument, batch, &attributes);
	return fits ? at->batches->movable(at->batches->context, is->payee, batch, at->info)
		    : REFUSE(at->info, ERR_NOT_DELIVERABLE, "/batch", "batch %llu is not what the escrow asks for",
			      (unsigned long long)batch);
}

/* The serials that are delivered: those that are named, or the lowest of a batch. */
static enum err serials_select(const struct contract_call *at, const struct escrow *escrow,
	struct serial_range ranges[EVENTS_RANGES_MAX], size_t *ret_count, int64_t *ret_kg)
{
	const struct command *command = at->call->command;
	const struct command_escrow_deliver *asked = &command->escrow_deliver;
	const struct record_lists *lists = &command->lists;
	size_t most = ESCROW_RANGES_MAX - escrow->range_count;
	enum err err = ERR_OK;
	*ret_kg = asked->kg;
	*ret_count = lists->range_count;
	if (!lists->range_count) {
		err = batch_check(at, &escrow->is, asked->batch);
		if (!err && (asked->kg < 1 || asked->kg > MARKET_KG_MAX))
			err = REFUSE(
				at->info, ERR_INVALID_FIELD, "/kg", "/kg must be 1..%lld", (long long)MARKET_KG_MAX);
		if (!err)
			err = ledger_pick(
				at->ledger, asked->batch, held(escrow->is.payee), asked->kg, ranges, most, ret_count);
		if (err == ERR_INSUFFICIENT_KG)
			return REFUSE(at->info, err, "/kg", "the organisation does not hold so much of the batch");
		return err == ERR_COMMAND_TOO_LARGE
			       ? REFUSE(at->info, err, "/kg", "an escrow takes at most %d ranges", ESCROW_RANGES_MAX)
			       : err;
	}
	if (asked->batch || asked->kg)
		return REFUSE(at->info, ERR_INVALID_FIELD, "/ranges", "name ranges, or a batch and kg, not both");
	if (lists->range_count > most)
		return REFUSE(at->info, ERR_COMMAND_TOO_LARGE, "/ranges", "an escrow takes at most %d ranges",
			ESCROW_RANGES_MAX);
	for (size_t i = 0; i < lists->range_count && !err; i++) {
		const struct serial_range *range = &lists->ranges[i];
		if (range->start < 0 || range->length <= 0 || !add_checked(*ret_kg, range->length, ret_kg))
			return REFUSE(at->info, ERR_INVALID_FIELD, "/ranges", "range %zu has no kilograms", i);
		err = batch_check(at, &escrow->is, range->batch);
		ranges[i] = *range;
	}
	return err;
}

enum err decide_escrow_deliver(const struct contract_call *at)
{
	struct escrow *escrow = NULL;
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	int64_t kg = 0;
	enum err err = side_get(at, at->call->command->escrow_deliver.escrow, false, true, &escrow);
	if (err)
		return err;
	const struct event_state_escrow *is = &escrow->is;
	int64_t missing_kg = is->kg - is->delivered_kg;
	if (!missing_kg)
		return REFUSE(at->info, ERR_NOTHING_OWED, "", "the escrow waits for no kilograms");
	err = serials_select(at, escrow, ranges, &count, &kg);
	if (!err && kg > missing_kg)
		err = REFUSE(at->info, ERR_NOTHING_OWED, "/kg", "the escrow waits for %lld kg", (long long)missing_kg);
	struct event event = {.escrow_delivered = {.escrow = is->escrow,
				      .payee = is->payee,
				      .kg = kg,
				      .delivered_kg = is->delivered_kg + kg},
		.lists = {.ranges = ranges, .range_count = count}};
	return err ? err : decision_emit(at->call, EVENT_ESCROW_DELIVERED, &event, at->info);
}

enum err decide_escrow_attest(const struct contract_call *at)
{
	const struct command_escrow_attest *asked = &at->call->command->escrow_attest;
	struct escrow *escrow = NULL;
	enum err err = escrow_get(at, asked->escrow, &escrow);
	if (err)
		return err;
	const struct event_state_escrow *is = &escrow->is;
	if (is->disputed)
		return REFUSE(at->info, ERR_ESCROW_DISPUTED, "", "the escrow is disputed");
	if (is->attested || id_is_none(is->verifier))
		return REFUSE(at->info, ERR_NOTHING_OWED, "", "the escrow waits for no signature");
	if (!id_equal(is->verifier, asked->verifier))
		return REFUSE(at->info, ERR_FORBIDDEN, "/verifier_id", "the escrow names another verifier");
	if (!hash_equal(is->statement_hash, asked->statement_hash))
		return REFUSE(at->info, ERR_SIGNATURE_INVALID, "/statement", "the escrow names another statement");
	struct {
		struct id escrow;
		struct hash statement;
	} data = {is->escrow, is->statement_hash};
	err = at->batches->signature_check(at->batches->context, at->call, asked->verifier, MARKET_ESCROW_DOMAIN, &data,
		sizeof data, &asked->signature, at->info);
	struct event event = {.escrow_attested = {.escrow = is->escrow,
				      .verifier = asked->verifier,
				      .statement_hash = asked->statement_hash,
				      .signature = asked->signature}};
	return err ? err : decision_emit(at->call, EVENT_ESCROW_ATTESTED, &event, at->info);
}

/* ---- giving back, disputes ---- */

enum err decide_escrow_refund(const struct contract_call *at)
{
	struct escrow *escrow = NULL;
	static const struct hash none;
	enum err err = side_get(at, at->call->command->escrow_refund.escrow, false, true, &escrow);
	return err ? err : end(at, escrow, 0, 0, ESCROW_REFUNDED, none);
}

enum err decide_escrow_dispute(const struct contract_call *at)
{
	const struct command_escrow_dispute *asked = &at->call->command->escrow_dispute;
	struct escrow *escrow = NULL;
	enum err err = side_get(at, asked->escrow, true, true, &escrow);
	if (!err && hash_is_none(asked->reason_hash))
		err = REFUSE(at->info, ERR_MISSING_FIELD, "/reason", "a reason is missing");
	struct event event = {
		.escrow_disputed = {
			.escrow = asked->escrow, .org = at->call->command->org, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(at->call, EVENT_ESCROW_DISPUTED, &event, at->info);
}

enum err decide_escrow_decide(const struct contract_call *at)
{
	const struct command_escrow_decide *asked = &at->call->command->escrow_decide;
	struct escrow *escrow = NULL;
	enum err err = escrow_get(at, asked->escrow, &escrow);
	if (err)
		return err;
	const struct event_state_escrow *is = &escrow->is;
	err = judge_check(at, is->arbiter, is->payer, is->payee, asked->compliance);
	if (!err && !is->disputed)
		err = REFUSE(at->info, ERR_NOT_DISPUTED, "", "the escrow is not disputed");
	if (!err && hash_is_none(asked->reason_hash))
		err = REFUSE(at->info, ERR_MISSING_FIELD, "/reason", "a reason is missing");
	if (err)
		return err;
	if (asked->dismissed) {
		struct event event = {.escrow_resumed = {.escrow = is->escrow, .reason_hash = asked->reason_hash}};
		return decision_emit(at->call, EVENT_ESCROW_RESUMED, &event, at->info);
	}
	if (asked->paid_micros < 0 || asked->released_kg < 0)
		return REFUSE(at->info, ERR_INVALID_FIELD, "", "what is settled is not below zero");
	if (asked->paid_micros > is->funded_micros)
		return REFUSE(at->info, ERR_EXCEEDS_PENDING, "/paid", "%lld micros are in escrow",
			(long long)is->funded_micros);
	if (asked->released_kg > is->delivered_kg)
		return REFUSE(at->info, ERR_EXCEEDS_PENDING, "/released_kg", "%lld kg are in escrow",
			(long long)is->delivered_kg);
	if (is_closed(at->ledger, is, asked->paid_micros, asked->released_kg))
		return REFUSE(at->info, ERR_ACCOUNT_CLOSED, "", "the account of a side is closed");
	err = settle_check(at->batches, escrow, asked->paid_micros, asked->released_kg, at->info);
	return err ? err : end(at, escrow, asked->paid_micros, asked->released_kg, ESCROW_DECIDED, asked->reason_hash);
}

/* ---- making events true ---- */

static enum err pay(struct ledger *ledger, struct undo *undo, struct code8 currency, int64_t micros,
	struct ledger_place from, struct ledger_place to, struct err_info *info)
{
	uint64_t asset = ledger_money_asset(currency);
	if (micros == 0)
		return ERR_OK;
	return asset && micros > 0 ? ledger_pay(ledger, undo, asset, micros, from, to)
				   : journal_invalid(info, "money of no currency, or less than none");
}

static enum err apply_opened(struct contracts *contracts, struct ledger *ledger, struct undo *undo,
	const struct event_escrow_opened *said, struct err_info *info)
{
	const struct event_state_escrow is = {.escrow = said->escrow,
		.payer = said->payer,
		.payee = said->payee,
		.arbiter = said->arbiter,
		.verifier = said->verifier,
		.statement_hash = said->statement_hash,
		.contract = said->contract,
		.currency = said->currency,
		.amount_micros = said->amount_micros,
		.kg = said->kg,
		.batch = said->batch,
		.instrument = said->instrument,
		.not_before_us = said->not_before_us,
		.expires_us = said->expires_us,
		.funded_micros = said->funded_micros,
		.dated = said->dated};
	if (id_is_none(is.escrow) || escrow_find(contracts, is.escrow) ||
		(is.funded_micros && is.funded_micros != is.amount_micros))
		return journal_invalid(info, "an escrow is opened twice, or half funded");
	enum err err = pay(ledger, undo, is.currency, is.funded_micros, held(is.payer), in_escrow(is.payer), info);
	return err ? err : escrow_add(contracts, undo, &is);
}

static enum err apply_delivered(struct contracts *contracts, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_escrow_delivered *said = &event->escrow_delivered;
	struct escrow *escrow = escrow_find(contracts, said->escrow);
	if (!escrow || said->kg <= 0 || escrow->is.delivered_kg + said->kg != said->delivered_kg ||
		said->delivered_kg > escrow->is.kg ||
		escrow->range_count + event->lists.range_count > ESCROW_RANGES_MAX)
		return journal_invalid(info, "an escrow takes what it does not wait for");
	struct event_state_escrow is = escrow->is;
	enum err err =
		ledger_move_all(ledger, undo, &event->lists, said->kg, held(is.payee), in_escrow(is.payee), info);
	if (!err)
		err = escrow_take(contracts, undo, escrow, &event->lists);
	if (err)
		return err;
	is.delivered_kg = said->delivered_kg;
	escrow_become(contracts, undo, escrow, &is);
	return ERR_OK;
}

static enum err ranges_end(struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_escrow_ended *said = &event->escrow_ended;
	int64_t released = 0, kg = 0;
	for (size_t i = 0; i < event->lists.range_count; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		bool goes = released < said->released_kg;
		enum err err = ledger_move(
			ledger, undo, range, in_escrow(said->payee), held(goes ? said->payer : said->payee));
		if (err)
			return journal_invalid(info, "an escrow ends with serials that are not in it");
		released += goes ? range->length : 0;
		kg += range->length;
	}
	return released == said->released_kg && kg == said->released_kg + said->returned_kg
		       ? ERR_OK
		       : journal_invalid(info, "ranges do not add up");
}

static enum err apply_ended(struct contracts *contracts, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_escrow_ended *said = &event->escrow_ended;
	struct escrow *escrow = escrow_find(contracts, said->escrow);
	const struct event_state_escrow *is = escrow ? &escrow->is : NULL;
	struct offtake *offtake = is ? offtake_find(contracts, is->contract) : NULL;
	int64_t credit_micros = 0;
	if (!is || said->paid_micros < 0 || said->refunded_micros < 0 || said->released_kg < 0 ||
		said->returned_kg < 0 || is->funded_micros - said->paid_micros != said->refunded_micros ||
		is->delivered_kg - said->released_kg != said->returned_kg || !id_equal(is->payer, said->payer) ||
		!id_equal(is->payee, said->payee) ||
		(offtake && !add_checked(offtake->is.credit_micros, said->paid_micros, &credit_micros)))
		return journal_invalid(info, "an escrow ends with what is not in it");
	enum err err = pay(ledger, undo, is->currency, said->paid_micros, in_escrow(is->payer), held(is->payee), info);
	if (!err)
		err = pay(
			ledger, undo, is->currency, said->refunded_micros, in_escrow(is->payer), held(is->payer), info);
	if (!err)
		err = ranges_end(ledger, undo, event, info);
	if (err)
		return err;
	if (offtake && said->paid_micros) {
		struct event_state_offtake became = offtake->is;
		became.credit_micros = credit_micros;
		offtake_become(contracts, undo, offtake, &became, 0, NULL);
	}
	escrow_drop(contracts, undo, escrow);
	return ERR_OK;
}

/* One of the small steps: what it makes of the escrow; false: it cannot be. */
static bool step_takes(const struct event *event, struct event_state_escrow *is)
{
	switch (event->header.type) {
	case EVENT_ESCROW_FUNDED:
		if (is->funded_micros || is->amount_micros != event->escrow_funded.amount_micros || is->disputed)
			return false;
		is->funded_micros = is->amount_micros;
		return true;
	case EVENT_ESCROW_ATTESTED:
		if (is->attested || is->disputed || !id_equal(is->verifier, event->escrow_attested.verifier))
			return false;
		is->attested = 1;
		return true;
	case EVENT_ESCROW_DATED: return !is->dated && (is->dated = 1);
	case EVENT_ESCROW_DISPUTED: return !is->disputed && (is->disputed = 1);
	default: /* there are no others */
		assert(event->header.type == EVENT_ESCROW_RESUMED);
		return is->disputed && !(is->disputed = 0);
	}
}

static enum err apply_step(struct contracts *contracts, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	/* each of them begins with the escrow's id */
	struct escrow *escrow = escrow_find(contracts, event->escrow_dated.escrow);
	struct event_state_escrow is = escrow ? escrow->is : (struct event_state_escrow){0};
	if (!escrow || !step_takes(event, &is))
		return journal_invalid(info, "an escrow takes a step that it does not have");
	enum err err = ERR_OK;
	if (event->header.type == EVENT_ESCROW_FUNDED)
		err = pay(ledger, undo, is.currency, is.amount_micros, held(is.payer), in_escrow(is.payer), info);
	if (!err)
		escrow_become(contracts, undo, escrow, &is);
	return err;
}

static enum err take_escrow(
	struct contracts *contracts, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_state_escrow *is = &event->state_escrow;
	if (id_is_none(is->escrow) || escrow_find(contracts, is->escrow) ||
		event->lists.range_count > ESCROW_RANGES_MAX)
		return journal_invalid(info, "an escrow cannot be");
	enum err err = escrow_add(contracts, undo, is);
	return err ? err : escrow_take(contracts, undo, escrow_find(contracts, is->escrow), &event->lists);
}

enum err escrow_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	struct contracts *contracts = market_contracts(market);
	switch (event->header.type) {
	case EVENT_ESCROW_OPENED: return apply_opened(contracts, ledger, undo, &event->escrow_opened, info);
	case EVENT_ESCROW_DELIVERED: return apply_delivered(contracts, ledger, undo, event, info);
	case EVENT_ESCROW_ENDED: return apply_ended(contracts, ledger, undo, event, info);
	case EVENT_STATE_ESCROW: return take_escrow(contracts, undo, event, info);
	default: return apply_step(contracts, ledger, undo, event, info);
	}
}
