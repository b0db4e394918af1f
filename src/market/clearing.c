/* Decides what sealed bids come to, and how that is written down for everybody. Any thread. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/decimal.h"
#include "carbond/market.h"

struct id market_account(enum market_account of, uint64_t number)
{
	struct id id = {.bytes = {(uint8_t)of, [6] = 0x80, [8] = 0x80}};
	assert(number < UINT64_C(1) << 56);
	for (int i = 0; i < 7; i++)
		id.bytes[9 + i] = (uint8_t)(number >> (48 - 8 * i));
	return id;
}

struct hash market_commitment(uint64_t auction, struct id bidder, int64_t kg, int64_t price_micros, struct hash nonce)
{
	struct sha256 state;
	sha256_start(&state, "carbond/bid/1");
	sha256_add_u64(&state, auction);
	sha256_add(&state, bidder.bytes, sizeof bidder.bytes);
	sha256_add_u64(&state, (uint64_t)kg);
	sha256_add_u64(&state, (uint64_t)price_micros);
	sha256_add(&state, nonce.bytes, sizeof nonce.bytes);
	return sha256_end(&state);
}

/* ---- clearing ---- */

static bool is_valid(const struct clearing *clearing, const struct clearing_bid *bid)
{
	return !bid->barred && bid->kg > 0 && bid->price_micros >= clearing->reserve_micros;
}

/* The highest price first, equal ones by number. While they are sorted, pays_micros is the price of a bid that counts, or 0. */
static int rank_compare(const void *a, const void *b)
{
	const struct clearing_bid *first = a, *second = b;
	if (first->pays_micros != second->pays_micros)
		return first->pays_micros > second->pays_micros ? -1 : 1;
	return first->bid < second->bid ? -1 : first->bid > second->bid;
}

static void outcome_of(struct clearing *clearing, struct clearing_bid *bid, int64_t *left_kg)
{
	bid->outcome = BID_LOST;
	if (bid->barred) {
		bid->outcome = BID_RELEASED;
	} else if (bid->kg == 0) {
		bid->outcome = BID_FORFEITED;
		bool fits = muldiv_ceil(bid->maximum_micros, clearing->forfeit_ppm, 1000000, &bid->forfeited_micros);
		assert(fits);
	} else if (bid->pays_micros && *left_kg && (!bid->all_or_none || bid->kg <= *left_kg)) {
		bid->outcome = BID_WON;
		bid->sold_kg = bid->kg < *left_kg ? bid->kg : *left_kg;
		*left_kg -= bid->sold_kg;
		clearing->winners++;
		clearing->clearing_micros = bid->price_micros; /* so far the lowest */
	}
}

void market_clear(struct clearing *clearing, struct clearing_bid *bids, size_t count)
{
	int64_t left_kg = clearing->kg;
	for (size_t i = 0; i < count; i++) {
		bids[i].sold_kg = bids[i].forfeited_micros = 0;
		bids[i].pays_micros =
			is_valid(clearing, &bids[i]) ? bids[i].price_micros : 0; /* by which they are sorted */
	}
	qsort(bids, count, sizeof *bids, rank_compare);
	clearing->winners = 0;
	clearing->clearing_micros = 0;
	for (size_t i = 0; i < count; i++)
		outcome_of(clearing, &bids[i], &left_kg);
	clearing->sold_kg = clearing->kg - left_kg;
	if (clearing->kind == AUCTION_SECOND_PRICE && clearing->winners)
		clearing->clearing_micros =
			count > 1 && bids[1].pays_micros ? bids[1].pays_micros : clearing->reserve_micros;
	if (clearing->kind == AUCTION_FIRST_PRICE)
		clearing->clearing_micros = 0;
	for (size_t i = 0; i < count; i++) {
		bool won = bids[i].outcome == BID_WON;
		int64_t all = clearing->clearing_micros;
		bids[i].pays_micros = won ? (all ? all : bids[i].price_micros) : 0;
	}
}

/* ---- the document ---- */

static bool put(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0;
}

static json_t *micros_json(int64_t micros)
{
	return json_sprintf("%lld", (long long)micros);
}

static json_t *hash_json(struct hash hash)
{
	char text[HASH_TEXT_SIZE];
	return json_string(hash_text(hash, text));
}

static json_t *bid_json(const struct clearing_bid *bid)
{
	char org[ID_TEXT_SIZE];
	json_t *object = json_object();
	bool whole = object && put(object, "bid", json_integer((json_int_t)bid->bid)) &&
		     put(object, "org", json_string(id_text(bid->org, org))) &&
		     put(object, "commitment", hash_json(bid->commitment)) &&
		     put(object, "maximum_micros", micros_json(bid->maximum_micros)) &&
		     put(object, "all_or_none", json_boolean(bid->all_or_none)) &&
		     put(object, "outcome", json_string(event_bid_reason_names[bid->outcome])) &&
		     put(object, "sold_kg", json_integer(bid->sold_kg)) &&
		     put(object, "paid_micros", micros_json(market_amount(bid->pays_micros, bid->sold_kg))) &&
		     put(object, "forfeited_micros", micros_json(bid->forfeited_micros));
	if (whole && bid->kg)
		whole = put(object, "kg", json_integer(bid->kg)) &&
			put(object, "price_micros", micros_json(bid->price_micros)) &&
			put(object, "nonce", hash_json(bid->nonce));
	if (whole)
		return object;
	json_decref(object);
	return NULL;
}

json_t *market_clearing_document(const struct clearing *clearing, const struct clearing_bid *bids, size_t count)
{
	json_t *document = json_object(), *list = json_array();
	bool whole = list != NULL;
	for (size_t i = 0; i < count && whole; i++)
		whole = json_array_append_new(list, bid_json(&bids[i])) == 0;
	whole = whole && document && put(document, "auction", json_integer((json_int_t)clearing->auction)) &&
		put(document, "market", json_integer((json_int_t)clearing->market)) &&
		put(document, "batch", json_integer((json_int_t)clearing->batch)) &&
		put(document, "kind", json_string(event_auction_kind_names[clearing->kind])) &&
		put(document, "kg", json_integer(clearing->kg)) &&
		put(document, "lot_kg", json_integer(clearing->lot_kg)) &&
		put(document, "reserve_micros", micros_json(clearing->reserve_micros)) &&
		put(document, "forfeit_ppm", json_integer(clearing->forfeit_ppm)) &&
		put(document, "clearing_micros", micros_json(clearing->clearing_micros)) &&
		put(document, "sold_kg", json_integer(clearing->sold_kg));
	if (whole && json_object_set(document, "bids", list) == 0) {
		json_decref(list);
		return document;
	}
	json_decref(list);
	json_decref(document);
	return NULL;
}
