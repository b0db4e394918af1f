/* Decides what becomes of an offtake contract: who agrees to it, which row is delivered next and against what payment, and what
 * a missed row costs (the tables in docs/ESCROW.md). The state's thread. */
#include <assert.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "contracts.h"
#include "state.h"

#define SERVED_MOST 64 /* deliveries of one command; then the next goes on */

/* ---- what is open ---- */

static int64_t open_kg(const struct delivery *row)
{
	return row->kg - row->delivered_kg;
}

/* When the make-good of a row is over. */
static int64_t row_end_us(const struct offtake *offtake, uint32_t row)
{
	int64_t end_us = 0;
	return add_checked(offtake->rows[row].due_us, offtake->is.make_good_us, &end_us) ? end_us : TIMER_NEVER;
}

int64_t offtake_timer(const struct offtake *offtake)
{
	uint32_t row = offtake_row(offtake);
	if (offtake->is.state == OFFTAKE_OFFERED)
		return offtake->is.expires_us;
	return offtake->is.state == OFFTAKE_IN_FORCE && row < offtake->row_count ? row_end_us(offtake, row)
										 : TIMER_NEVER;
}

bool offtake_is_due(
	const struct contracts *contracts, const struct market_register *batches, const struct offtake *offtake)
{
	struct err_info why;
	if (offtake_timer(offtake) > contracts->due_us)
		return false;
	return offtake->is.state == OFFTAKE_OFFERED ||
	       batches->movable(batches->context, offtake->is.seller, 0, &why) == ERR_OK;
}

static bool takes_batch(const struct market *market, const struct market_register *batches,
	const struct event_state_offtake *is, uint64_t batch)
{
	struct market_attributes attributes;
	if (!batches->attributes(batches->context, batch, &attributes))
		return false;
	if (is->instrument)
		return instrument_takes_batch(market, is->instrument, batch, &attributes);
	return id_equal(attributes.org, is->seller) &&
	       (id_is_none(is->project) || id_equal(attributes.project, is->project)) &&
	       (id_is_none(is->unit) || id_equal(attributes.unit, is->unit));
}

/* ---- ending ---- */

/* What of a credit the seller can pay back now. */
static int64_t payable(const struct contract_call *at, const struct event_state_offtake *is, int64_t micros)
{
	struct err_info why;
	int64_t there = ledger_amount(at->ledger, ledger_money_asset(is->currency), held(is->seller));
	if (at->batches->movable(at->batches->context, is->seller, 0, &why) ||
		ledger_account_closed(at->ledger, is->buyer))
		there = 0;
	return there < micros ? there : micros;
}

static enum err end(const struct contract_call *at, const struct event_state_offtake *is, int64_t refund_micros,
	enum offtake_reason reason, struct hash reason_hash)
{
	int64_t refunded = payable(at, is, refund_micros);
	struct event event = {.offtake_ended = {.contract = is->contract,
				      .seller = is->seller,
				      .buyer = is->buyer,
				      .currency = is->currency,
				      .refunded_micros = refunded,
				      .owed_micros = refund_micros - refunded,
				      .reason_hash = reason_hash,
				      .reason = (uint32_t)reason}};
	return decision_emit(at->call, EVENT_OFFTAKE_ENDED, &event, at->info);
}

/* A contract without an open row has done its work. */
static enum err end_if_done(const struct contract_call *at, struct id contract)
{
	static const struct hash none;
	const struct offtake *offtake = offtake_find(at->contracts, contract);
	if (!offtake || offtake_row(offtake) < offtake->row_count)
		return ERR_OK;
	const struct event_state_offtake is = offtake->is;
	return end(at, &is, is.credit_micros, OFFTAKE_FULFILLED, none);
}

/* ---- delivering ---- */

/* The kilograms that the buyer can pay, of `most`. */
static int64_t affordable_kg(
	const struct contract_call *at, const struct event_state_offtake *is, int64_t price_micros, int64_t most)
{
	struct err_info why;
	struct event_state_limit limit;
	int64_t money = 0, kg = 0;
	if (ledger_account_closed(at->ledger, is->buyer))
		return 0;
	if (at->batches->movable(at->batches->context, is->buyer, 0, &why) == ERR_OK)
		money = ledger_amount(at->ledger, ledger_money_asset(is->currency), held(is->buyer));
	int64_t lowest = 0; /* the tighter of two limits stays held */
	if (ledger_limit(at->ledger, is->buyer, is->currency, &limit))
		lowest = limit.lowest_micros > limit.own_lowest_micros ? limit.lowest_micros : limit.own_lowest_micros;
	if (lowest > 0)
		money = money > lowest ? money - lowest : 0;
	bool counts = add_checked(money, is->credit_micros, &money) && muldiv_floor(money, 1000, price_micros, &kg);
	return counts && kg < most ? kg : most;
}

/* Delivers up to `kg` of what the seller holds of the batch to the contract's first open row, as far as the buyer can pay and
 * `*room` ranges hold. `called`: 0 by the seller's own command. *ret_kg: what was delivered or tendered in vain. */
static enum err deliver(const struct contract_call *at, const struct offtake *offtake, uint64_t batch, int64_t kg,
	uint64_t called, size_t *room, int64_t *ret_kg)
{
	const struct event_state_offtake is = offtake->is;
	uint32_t at_row = offtake_row(offtake);
	const struct delivery row = offtake->rows[at_row];
	int64_t paid_kg = affordable_kg(at, &is, row.price_micros, kg);
	struct serial_range ranges[EVENTS_RANGES_MAX];
	size_t count = 0;
	enum err err = ERR_OK;
	*ret_kg = kg;
	if (paid_kg) {
		int64_t picked = paid_kg;
		err = ledger_pick(at->ledger, batch, held(is.seller), paid_kg, ranges, *room, &count);
		if (err == ERR_COMMAND_TOO_LARGE) {
			picked = 0;
			for (count = 0; count < *room; count++)
				picked += ranges[count].length;
			err = ERR_OK;
		}
		int64_t amount = market_amount(row.price_micros, picked);
		int64_t credited = is.credit_micros < amount ? is.credit_micros : amount;
		struct event event = {.offtake_delivered = {.contract = is.contract,
					      .seller = is.seller,
					      .buyer = is.buyer,
					      .currency = is.currency,
					      .kg = picked,
					      .amount_micros = amount,
					      .credited_micros = credited,
					      .called = called,
					      .row = at_row},
			.lists = {.ranges = ranges, .range_count = count}};
		*room -= count;
		if (!err)
			err = decision_emit(at->call, EVENT_OFFTAKE_DELIVERED, &event, at->info);
		if (picked < paid_kg) {
			*ret_kg = picked;
			*room = 0;
			return err;
		}
	}
	if (!err && paid_kg < kg) {
		struct event event = {
			.offtake_unpaid = {
				.contract = is.contract, .tendered_kg = kg - paid_kg, .called = called, .row = at_row}};
		err = decision_emit(at->call, EVENT_OFFTAKE_UNPAID, &event, at->info);
	}
	return err ? err : end_if_done(at, is.contract);
}

/* The contract of the seller whose open row is due first, among those that ask for the batch; NULL: none. */
static const struct offtake *next_taker(const struct contract_call *at, const struct event_state_call *call)
{
	const struct offtake *first = NULL;
	int64_t first_due_us = 0;
	for (uint32_t i = offtake_first(at->contracts, call->seller); i; i = at->contracts->offtakes[i].next) {
		const struct offtake *offtake = &at->contracts->offtakes[i];
		uint32_t row = offtake_row(offtake);
		if (offtake->is.state != OFFTAKE_IN_FORCE || offtake->is.unpaid_batch == call->batch ||
			row == offtake->row_count || offtake->rows[row].from_us > at->call->now_us)
			continue;
		int64_t due_us = offtake->rows[row].due_us;
		bool is_first = !first || due_us < first_due_us ||
				(due_us == first_due_us && id_compare(offtake->is.contract, first->is.contract) < 0);
		if (is_first && takes_batch(at->market, at->batches, &offtake->is, call->batch)) {
			first = offtake;
			first_due_us = due_us;
		}
	}
	return first;
}

enum err offtake_serve(const struct contract_call *at)
{
	size_t room = EVENTS_RANGES_MAX;
	enum err err = ERR_OK;
	for (int i = 0; i < SERVED_MOST && room && !err; i++) {
		const struct event_state_call call = at->contracts->calls[0];
		int64_t there = ledger_amount(at->ledger, call.batch, held(call.seller)), kg = 0;
		int64_t left = there < call.kg ? there : call.kg;
		struct err_info why;
		const struct offtake *taker = left ? next_taker(at, &call) : NULL;
		if (!taker || at->batches->movable(at->batches->context, call.seller, call.batch, &why)) {
			struct event event = {.offtake_served = {.batch = call.batch, .left_kg = call.kg}};
			return decision_emit(at->call, EVENT_OFFTAKE_SERVED, &event, at->info);
		}
		int64_t open = open_kg(&taker->rows[offtake_row(taker)]);
		err = deliver(at, taker, call.batch, left < open ? left : open, call.batch, &room, &kg);
		if (!at->contracts->call_count) /* all of it is delivered */
			return err;
	}
	return err;
}

enum err market_issued(struct market *market, const struct market_register *batches, struct decision *call,
	uint64_t batch, int64_t kg, struct err_info *info)
{
	const struct contracts *contracts = market_contracts(market);
	struct market_attributes attributes;
	bool known = batches->attributes(batches->context, batch, &attributes);
	assert(known);
	if (kg <= 0)
		return ERR_OK;
	for (uint32_t i = offtake_first(contracts, attributes.org); i; i = contracts->offtakes[i].next) {
		if (contracts->offtakes[i].is.state != OFFTAKE_IN_FORCE)
			continue;
		struct event event = {.offtake_called = {.batch = batch, .seller = attributes.org, .kg = kg}};
		return decision_emit(call, EVENT_OFFTAKE_CALLED, &event, info);
	}
	return ERR_OK;
}

/* ---- going on by itself ---- */

static enum err miss(const struct contract_call *at, const struct offtake *offtake)
{
	const struct event_state_offtake is = offtake->is;
	uint32_t at_row = offtake_row(offtake);
	const struct delivery row = offtake->rows[at_row];
	int64_t missing = open_kg(&row), blamed = row.tendered_kg < missing ? missing - row.tendered_kg : 0;
	int64_t amount = market_amount(row.price_micros, missing), penalty = 0, owed = 0;
	int64_t credit = is.credit_micros < amount ? is.credit_micros : amount;
	bool fits = muldiv_floor(market_amount(row.price_micros, blamed), is.penalty_ppm, 1000000, &penalty) &&
		    add_checked(credit, penalty, &owed);
	assert(fits); /* a penalty is at most the price */
	int64_t paid = payable(at, &is, owed);
	int64_t refunded = paid < credit ? paid : credit;
	struct event event = {.offtake_missed = {.contract = is.contract,
				      .seller = is.seller,
				      .buyer = is.buyer,
				      .currency = is.currency,
				      .missing_kg = missing,
				      .credit_micros = credit,
				      .refunded_micros = refunded,
				      .penalty_micros = paid - refunded,
				      .owed_micros = owed - paid,
				      .row = at_row}};
	enum err err = decision_emit(at->call, EVENT_OFFTAKE_MISSED, &event, at->info);
	return err ? err : end_if_done(at, is.contract);
}

enum err offtake_go_on(const struct contract_call *at, struct offtake *offtake)
{
	static const struct hash none;
	const struct event_state_offtake is = offtake->is;
	return is.state == OFFTAKE_OFFERED ? end(at, &is, 0, OFFTAKE_LAPSED, none) : miss(at, offtake);
}

/* ---- agreeing ---- */

static enum err schedule_check(const struct record_lists *lists, int64_t now_us, struct err_info *info)
{
	const struct delivery *before = NULL;
	if (lists->delivery_count < 1 || lists->delivery_count > EVENTS_DELIVERIES_MAX)
		return REFUSE(info, ERR_INVALID_FIELD, "/deliveries", "a contract has 1..%d deliveries",
			EVENTS_DELIVERIES_MAX);
	for (size_t i = 0; i < lists->delivery_count; i++) {
		const struct delivery *row = &lists->deliveries[i];
		if (row->kg < 1 || row->kg > MARKET_KG_MAX)
			return REFUSE(info, ERR_INVALID_FIELD, "/deliveries", "delivery %zu: /kg must be 1..%lld", i,
				(long long)MARKET_KG_MAX);
		if (row->price_micros < 1000 || row->price_micros % 1000 || row->price_micros > MARKET_PRICE_MAX)
			return REFUSE(info, ERR_INVALID_FIELD, "/deliveries",
				"delivery %zu: /price must be a multiple of 0.001 above 0", i);
		if (row->from_us < 0 || row->due_us <= row->from_us || row->due_us <= now_us ||
			(before && (row->from_us < before->from_us || row->due_us < before->due_us)))
			return REFUSE(info, ERR_INVALID_FIELD, "/deliveries",
				"delivery %zu: windows end in the future, after they begin, and follow one another", i);
		if (row->delivered_kg || row->tendered_kg || row->state || row->reserved)
			return REFUSE(info, ERR_INVALID_FIELD, "/deliveries", "delivery %zu is new", i);
		before = row;
	}
	return ERR_OK;
}

static enum err terms_check(const struct contract_call *at, const struct command_offtake_offer *asked)
{
	struct err_info *info = at->info;
	struct id org = at->call->command->org;
	bool somewhere = !id_is_none(asked->project) || !id_is_none(asked->unit);
	if (id_is_none(asked->seller) || id_is_none(asked->buyer) || id_equal(asked->seller, asked->buyer))
		return REFUSE(info, ERR_PAYEE_INVALID, "/seller_id", "seller and buyer are two organisations");
	if (!id_equal(org, asked->seller) && !id_equal(org, asked->buyer))
		return REFUSE(info, ERR_FORBIDDEN, "", "seller or buyer offers a contract");
	if (ledger_account_closed(at->ledger, asked->seller) || ledger_account_closed(at->ledger, asked->buyer))
		return REFUSE(info, ERR_ACCOUNT_CLOSED, "", "the account of a side is closed");
	if (id_equal(asked->arbiter, asked->seller) || id_equal(asked->arbiter, asked->buyer))
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "/arbiter_id", "neither side is the arbiter");
	if (!ledger_money_asset(asked->currency))
		return REFUSE(info, ERR_CURRENCY_INVALID, "/currency",
			"/currency must be 1 to 7 of A-Z and 0-9, first a letter");
	if (!asked->instrument == !somewhere)
		return REFUSE(
			info, ERR_INVALID_FIELD, "/instrument", "a contract names an instrument, or a project or unit");
	if (asked->instrument && !instrument_find(at->market, asked->instrument))
		return REFUSE(info, ERR_NOT_FOUND, "/instrument", "there is no such instrument");
	if (asked->make_good_us < 0 || asked->make_good_us > MARKET_MAKE_GOOD_MAX_US)
		return REFUSE(info, ERR_INVALID_FIELD, "/make_good_days", "/make_good_days must be 0..3650");
	if (asked->penalty_ppm < 0 || asked->penalty_ppm > 1000000)
		return REFUSE(info, ERR_INVALID_FIELD, "/penalty_ppm", "/penalty_ppm must be 0..1000000");
	if (asked->expires_us <= at->call->now_us)
		return REFUSE(info, ERR_EXPIRY_INVALID, "/expires", "an offer expires in the future");
	return schedule_check(&at->call->command->lists, at->call->now_us, info);
}

enum err decide_offtake_offer(const struct contract_call *at)
{
	const struct command *command = at->call->command;
	const struct command_offtake_offer *asked = &command->offtake_offer;
	uint32_t count = 0;
	enum err err = terms_check(at, asked);
	if (!err && (escrow_find(at->contracts, command->id) || offtake_find(at->contracts, command->id)))
		err = REFUSE(at->info, ERR_DUPLICATE, "", "there is a contract with this id");
	for (uint32_t i = offtake_first(at->contracts, asked->seller); i; i = at->contracts->offtakes[i].next)
		count++;
	if (!err && count >= MARKET_OFFTAKES_MOST)
		err = REFUSE(
			at->info, ERR_CONTRACT_LIMIT, "", "a seller has at most %d contracts", MARKET_OFFTAKES_MOST);
	struct event event = {.offtake_offered = {.contract = command->id,
				      .seller = asked->seller,
				      .buyer = asked->buyer,
				      .offered_by = command->org,
				      .arbiter = asked->arbiter,
				      .project = asked->project,
				      .unit = asked->unit,
				      .currency = asked->currency,
				      .instrument = asked->instrument,
				      .make_good_us = asked->make_good_us,
				      .penalty_ppm = asked->penalty_ppm,
				      .expires_us = asked->expires_us},
		.lists = {.deliveries = command->lists.deliveries, .delivery_count = command->lists.delivery_count}};
	return err ? err : decision_emit(at->call, EVENT_OFFTAKE_OFFERED, &event, at->info);
}

/* The contract, for its sides, its arbiter, and `compliance`; strangers are told nothing about it. */
static enum err contract_get(
	const struct contract_call *at, struct id id, uint32_t compliance, struct offtake **ret_offtake)
{
	struct offtake *offtake = offtake_find(at->contracts, id);
	struct id org = at->call->command->org;
	bool named = offtake && (compliance == 1 || id_equal(offtake->is.seller, org) ||
					id_equal(offtake->is.buyer, org) || id_equal(offtake->is.arbiter, org));
	*ret_offtake = offtake;
	return named ? ERR_OK
		     : REFUSE(at->info, ERR_CONTRACT_DONE, "",
			       "the organisation has no such contract, or it has ended");
}

/* As contract_get, for one of its sides. */
static enum err own_contract(const struct contract_call *at, struct id id, struct offtake **ret_offtake)
{
	struct id org = at->call->command->org;
	enum err err = contract_get(at, id, 0, ret_offtake);
	if (err)
		return err;
	const struct event_state_offtake *is = &(*ret_offtake)->is;
	return id_equal(is->seller, org) || id_equal(is->buyer, org)
		       ? ERR_OK
		       : REFUSE(at->info, ERR_FORBIDDEN, "", "this is for seller or buyer to do");
}

static enum err state_refuse(const struct contract_call *at, const struct offtake *offtake)
{
	return REFUSE(
		at->info, ERR_CONTRACT_STATE, "", "the contract is %s", event_offtake_state_names[offtake->is.state]);
}

enum err decide_offtake_accept(const struct contract_call *at)
{
	struct id id = at->call->command->offtake_accept.contract;
	struct offtake *offtake = NULL;
	enum err err = own_contract(at, id, &offtake);
	if (!err && offtake->is.state != OFFTAKE_OFFERED)
		err = state_refuse(at, offtake);
	if (!err && id_equal(offtake->is.offered_by, at->call->command->org))
		err = REFUSE(at->info, ERR_FORBIDDEN, "", "the other side accepts an offer");
	struct event event = {.offtake_accepted.contract = id};
	return err ? err : decision_emit(at->call, EVENT_OFFTAKE_ACCEPTED, &event, at->info);
}

enum err decide_offtake_deliver(const struct contract_call *at)
{
	const struct command_offtake_deliver *asked = &at->call->command->offtake_deliver;
	struct offtake *offtake = NULL;
	size_t room = EVENTS_RANGES_MAX;
	int64_t kg = 0;
	enum err err = own_contract(at, asked->contract, &offtake);
	if (err)
		return err;
	const struct event_state_offtake *is = &offtake->is;
	if (is->state != OFFTAKE_IN_FORCE)
		return state_refuse(at, offtake);
	if (!id_equal(is->seller, at->call->command->org))
		return REFUSE(at->info, ERR_FORBIDDEN, "", "the seller delivers");
	const struct delivery *row = &offtake->rows[offtake_row(offtake)];
	if (row->from_us > at->call->now_us)
		return REFUSE(at->info, ERR_NOTHING_OWED, "", "no delivery's window has begun");
	if (asked->kg < 1 || asked->kg > open_kg(row))
		return REFUSE(at->info, ERR_NOTHING_OWED, "/kg", "%lld kg are open", (long long)open_kg(row));
	if (!takes_batch(at->market, at->batches, is, asked->batch))
		return REFUSE(at->info, ERR_NOT_DELIVERABLE, "/batch", "the batch is not what the contract asks for");
	err = at->batches->movable(at->batches->context, is->seller, asked->batch, at->info);
	if (!err && ledger_amount(at->ledger, asked->batch, held(is->seller)) < asked->kg)
		err = REFUSE(
			at->info, ERR_INSUFFICIENT_KG, "/kg", "the organisation does not hold so much of the batch");
	return err ? err : deliver(at, offtake, asked->batch, asked->kg, 0, &room, &kg);
}

/* ---- ending early ---- */

enum err decide_offtake_terminate(const struct contract_call *at)
{
	const struct command_offtake_terminate *asked = &at->call->command->offtake_terminate;
	static const struct hash none;
	struct id org = at->call->command->org;
	struct offtake *offtake = NULL;
	enum err err = own_contract(at, asked->contract, &offtake);
	if (err)
		return err;
	const struct event_state_offtake is = offtake->is;
	if (is.state == OFFTAKE_OFFERED)
		return end(at, &is, 0, OFFTAKE_DECLINED, none);
	if (asked->refund_micros < 0 || asked->refund_micros > is.credit_micros)
		return REFUSE(at->info, ERR_EXCEEDS_PENDING, "/refund", "the credit is %lld micros",
			(long long)is.credit_micros);
	bool agreed =
		!id_is_none(is.end_by) && !id_equal(is.end_by, org) && is.end_refund_micros == asked->refund_micros;
	if (!agreed) {
		struct event event = {
			.offtake_end_proposed = {
				.contract = is.contract, .org = org, .refund_micros = asked->refund_micros}};
		return decision_emit(at->call, EVENT_OFFTAKE_END_PROPOSED, &event, at->info);
	}
	if (asked->refund_micros)
		err = at->batches->movable(at->batches->context, is.seller, 0, at->info);
	if (!err && payable(at, &is, asked->refund_micros) < asked->refund_micros)
		err = REFUSE(at->info, ERR_INSUFFICIENT_FUNDS, "/refund", "the seller does not hold so much");
	return err ? err : end(at, &is, asked->refund_micros, OFFTAKE_AGREED, none);
}

enum err decide_offtake_dispute(const struct contract_call *at)
{
	const struct command_offtake_dispute *asked = &at->call->command->offtake_dispute;
	struct offtake *offtake = NULL;
	enum err err = own_contract(at, asked->contract, &offtake);
	if (!err && offtake->is.state != OFFTAKE_IN_FORCE)
		err = state_refuse(at, offtake);
	if (!err && hash_is_none(asked->reason_hash))
		err = REFUSE(at->info, ERR_MISSING_FIELD, "/reason", "a reason is missing");
	struct event event = {
		.offtake_disputed = {
			.contract = asked->contract, .org = at->call->command->org, .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(at->call, EVENT_OFFTAKE_DISPUTED, &event, at->info);
}

enum err decide_offtake_decide(const struct contract_call *at)
{
	const struct command_offtake_decide *asked = &at->call->command->offtake_decide;
	struct offtake *offtake = NULL;
	enum err err = contract_get(at, asked->contract, asked->compliance, &offtake);
	if (err)
		return err;
	const struct event_state_offtake is = offtake->is;
	err = judge_check(at, is.arbiter, is.seller, is.buyer, asked->compliance);
	if (!err && is.state != OFFTAKE_DISPUTED)
		err = REFUSE(at->info, ERR_NOT_DISPUTED, "", "the contract is not disputed");
	if (!err && hash_is_none(asked->reason_hash))
		err = REFUSE(at->info, ERR_MISSING_FIELD, "/reason", "a reason is missing");
	if (!err && (asked->refund_micros < 0 || asked->refund_micros > is.credit_micros))
		err = REFUSE(at->info, ERR_EXCEEDS_PENDING, "/refund", "the credit is %lld micros",
			(long long)is.credit_micros);
	if (err)
		return err;
	if (!asked->dismissed)
		return end(at, &is, asked->refund_micros, OFFTAKE_DECIDED, asked->reason_hash);
	struct event event = {.offtake_resumed = {.contract = is.contract, .reason_hash = asked->reason_hash}};
	return decision_emit(at->call, EVENT_OFFTAKE_RESUMED, &event, at->info);
}

/* ---- making events true ---- */

static enum err pay(struct ledger *ledger, struct undo *undo, struct code8 currency, int64_t micros, struct id from,
	struct id to, struct err_info *info)
{
	uint64_t asset = ledger_money_asset(currency);
	if (micros == 0)
		return ERR_OK;
	return asset && micros > 0 ? ledger_pay(ledger, undo, asset, micros, held(from), held(to))
				   : journal_invalid(info, "money of no currency, or less than none");
}

/* Whether a contract's rows can be: a record from outside may say anything. */
static bool rows_can_be(const struct record_lists *lists)
{
	bool good = lists->delivery_count > 0;
	for (size_t i = 0; i < lists->delivery_count; i++) {
		const struct delivery *row = &lists->deliveries[i];
		good = good && row->kg > 0 && row->kg <= MARKET_KG_MAX && row->delivered_kg >= 0 &&
		       row->delivered_kg <= row->kg && row->tendered_kg >= 0 && row->price_micros > 0 &&
		       row->price_micros <= MARKET_PRICE_MAX && row->state < DELIVERY_STATE_COUNT;
	}
	return good;
}

static enum err apply_offered(
	struct contracts *contracts, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_offtake_offered *said = &event->offtake_offered;
	const struct event_state_offtake is = {.contract = said->contract,
		.seller = said->seller,
		.buyer = said->buyer,
		.offered_by = said->offered_by,
		.arbiter = said->arbiter,
		.project = said->project,
		.unit = said->unit,
		.currency = said->currency,
		.instrument = said->instrument,
		.make_good_us = said->make_good_us,
		.penalty_ppm = said->penalty_ppm,
		.expires_us = said->expires_us};
	if (id_is_none(is.contract) || offtake_find(contracts, is.contract) || !rows_can_be(&event->lists))
		return journal_invalid(info, "a contract is offered twice, or without deliveries");
	return offtake_add(contracts, undo, &is, &event->lists);
}

static uint32_t call_find(const struct contracts *contracts, uint64_t batch)
{
	uint32_t at = 0;
	while (at < contracts->call_count && contracts->calls[at].batch != batch)
		at++;
	return at;
}

static enum err apply_called(
	struct contracts *contracts, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_offtake_called *said = &event->offtake_called;
	const struct event_state_call call = {.batch = said->batch, .seller = said->seller, .kg = said->kg};
	if (said->kg <= 0 || call_find(contracts, said->batch) < contracts->call_count)
		return journal_invalid(info, "a batch is called twice, or nothing of it");
	call_set(contracts, undo, contracts->call_count, &call);
	return ERR_OK;
}

static enum err apply_served(
	struct contracts *contracts, struct undo *undo, const struct event *event, struct err_info *info)
{
	uint32_t at = call_find(contracts, event->offtake_served.batch);
	if (at == contracts->call_count)
		return journal_invalid(info, "a batch was not called");
	struct event_state_call call = contracts->calls[at];
	call.kg = 0;
	call_set(contracts, undo, at, &call);
	return ERR_OK;
}

/* Takes kilograms off what is called of a batch. */
static bool call_cut(struct contracts *contracts, struct undo *undo, uint64_t batch, int64_t kg)
{
	uint32_t at = call_find(contracts, batch);
	if (at == contracts->call_count || contracts->calls[at].kg < kg)
		return false;
	struct event_state_call call = contracts->calls[at];
	call.kg -= kg;
	call_set(contracts, undo, at, &call);
	return true;
}

static enum err apply_delivered(struct contracts *contracts, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_offtake_delivered *said = &event->offtake_delivered;
	struct offtake *offtake = offtake_find(contracts, said->contract);
	if (!offtake || said->row >= offtake->row_count || offtake->rows[said->row].state != DELIVERY_OPEN ||
		said->kg <= 0 || said->kg > open_kg(&offtake->rows[said->row]) || said->credited_micros < 0 ||
		said->credited_micros > offtake->is.credit_micros || said->amount_micros < said->credited_micros)
		return journal_invalid(info, "a delivery is not open");
	struct event_state_offtake is = offtake->is;
	struct delivery row = offtake->rows[said->row];
	enum err err = ledger_move_all(ledger, undo, &event->lists, said->kg, held(is.seller), held(is.buyer), info);
	if (!err)
		err = pay(ledger, undo, is.currency, said->amount_micros - said->credited_micros, is.buyer, is.seller,
			info);
	if (!err && said->called && !call_cut(contracts, undo, said->called, said->kg))
		err = journal_invalid(info, "more is delivered than was called");
	if (err)
		return err;
	is.credit_micros -= said->credited_micros;
	row.delivered_kg += said->kg;
	if (open_kg(&row) == 0)
		row.state = DELIVERY_DONE;
	offtake_become(contracts, undo, offtake, &is, said->row, &row);
	return ERR_OK;
}

static enum err apply_unpaid(
	struct contracts *contracts, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_offtake_unpaid *said = &event->offtake_unpaid;
	struct offtake *offtake = offtake_find(contracts, said->contract);
	if (!offtake || said->row >= offtake->row_count || offtake->rows[said->row].state != DELIVERY_OPEN ||
		said->tendered_kg <= 0)
		return journal_invalid(info, "a delivery is not open");
	struct event_state_offtake is = offtake->is;
	struct delivery row = offtake->rows[said->row];
	if (said->called)
		is.unpaid_batch = said->called;
	if (said->tendered_kg > row.tendered_kg)
		row.tendered_kg = said->tendered_kg;
	offtake_become(contracts, undo, offtake, &is, said->row, &row);
	return ERR_OK;
}

static enum err apply_missed(struct contracts *contracts, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_offtake_missed *said = &event->offtake_missed;
	struct offtake *offtake = offtake_find(contracts, said->contract);
	int64_t paid = 0;
	if (!offtake || said->row >= offtake->row_count || offtake->rows[said->row].state != DELIVERY_OPEN ||
		said->credit_micros < 0 || said->credit_micros > offtake->is.credit_micros ||
		said->refunded_micros < 0 || said->penalty_micros < 0 ||
		!add_checked(said->refunded_micros, said->penalty_micros, &paid))
		return journal_invalid(info, "a delivery is missed that is not open");
	struct event_state_offtake is = offtake->is;
	struct delivery row = offtake->rows[said->row];
	enum err err = pay(ledger, undo, is.currency, paid, is.seller, is.buyer, info);
	if (err)
		return err;
	is.credit_micros -= said->credit_micros;
	row.state = DELIVERY_MISSED;
	offtake_become(contracts, undo, offtake, &is, said->row, &row);
	return ERR_OK;
}

static enum err apply_ended(struct contracts *contracts, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	const struct event_offtake_ended *said = &event->offtake_ended;
	struct offtake *offtake = offtake_find(contracts, said->contract);
	if (!offtake || said->refunded_micros < 0 || said->refunded_micros > offtake->is.credit_micros)
		return journal_invalid(info, "a contract ends that is not there");
	enum err err = pay(
		ledger, undo, offtake->is.currency, said->refunded_micros, offtake->is.seller, offtake->is.buyer, info);
	if (!err)
		offtake_drop(contracts, undo, offtake);
	return err;
}

/* One of the small steps: what it makes of the contract; false: it cannot be. */
static bool step_takes(const struct event *event, struct event_state_offtake *is)
{
	uint32_t from = is->state;
	switch (event->header.type) {
	case EVENT_OFFTAKE_ACCEPTED: is->state = OFFTAKE_IN_FORCE; return from == OFFTAKE_OFFERED;
	case EVENT_OFFTAKE_DISPUTED: is->state = OFFTAKE_DISPUTED; return from == OFFTAKE_IN_FORCE;
	case EVENT_OFFTAKE_RESUMED: is->state = OFFTAKE_IN_FORCE; return from == OFFTAKE_DISPUTED;
	default: /* there are no others */
		assert(event->header.type == EVENT_OFFTAKE_END_PROPOSED);
		is->end_by = event->offtake_end_proposed.org;
		is->end_refund_micros = event->offtake_end_proposed.refund_micros;
		return from != OFFTAKE_OFFERED;
	}
}

static enum err apply_step(
	struct contracts *contracts, struct undo *undo, const struct event *event, struct err_info *info)
{
	/* each of them begins with the contract's id */
	struct offtake *offtake = offtake_find(contracts, event->offtake_accepted.contract);
	struct event_state_offtake is = offtake ? offtake->is : (struct event_state_offtake){0};
	if (!offtake || !step_takes(event, &is))
		return journal_invalid(info, "a contract takes a step that it does not have");
	offtake_become(contracts, undo, offtake, &is, 0, NULL);
	return ERR_OK;
}

static enum err take_offtake(
	struct contracts *contracts, struct undo *undo, const struct event *event, struct err_info *info)
{
	const struct event_state_offtake *is = &event->state_offtake;
	bool good = !id_is_none(is->contract) && !offtake_find(contracts, is->contract) && rows_can_be(&event->lists);
	return good ? offtake_add(contracts, undo, is, &event->lists) : journal_invalid(info, "a contract cannot be");
}

enum err offtake_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info)
{
	struct contracts *contracts = market_contracts(market);
	switch (event->header.type) {
	case EVENT_OFFTAKE_OFFERED: return apply_offered(contracts, undo, event, info);
	case EVENT_OFFTAKE_CALLED: return apply_called(contracts, undo, event, info);
	case EVENT_OFFTAKE_SERVED: return apply_served(contracts, undo, event, info);
	case EVENT_OFFTAKE_DELIVERED: return apply_delivered(contracts, ledger, undo, event, info);
	case EVENT_OFFTAKE_UNPAID: return apply_unpaid(contracts, undo, event, info);
	case EVENT_OFFTAKE_MISSED: return apply_missed(contracts, ledger, undo, event, info);
	case EVENT_OFFTAKE_ENDED: return apply_ended(contracts, ledger, undo, event, info);
	case EVENT_STATE_OFFTAKE: return take_offtake(contracts, undo, event, info);
	default: return apply_step(contracts, undo, event, info);
	}
}
