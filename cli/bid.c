/* carbonctl bid: the commitment to a sealed bid and the body that reveals it, made where the bidder is: nobody else knows quantity,
 * price and nonce before the reveals. One thread. */
#include <stdio.h>
#include <stdlib.h>

#include "carbond/base/decimal.h"
#include "carbond/base/sign.h"
#include "carbond/market.h"

#include "cli.h"

struct bid {
	struct id org;
	long long auction, kg;
	int64_t price_micros;
	struct hash nonce;
};

static bool number_of(const char *text, long long *ret_number)
{
	char *end = NULL;
	*ret_number = text ? strtoll(text, &end, 10) : 0;
	return text && *end == 0 && *ret_number > 0;
}

static bool bid_read(int argc, char **argv, struct bid *bid)
{
	const char *org = cli_option(argc, argv, "bidder"), *price = cli_option(argc, argv, "price");
	const char *nonce = cli_option(argc, argv, "nonce");
	if (!nonce)
		random_bytes(bid->nonce.bytes, sizeof bid->nonce.bytes);
	return number_of(cli_option(argc, argv, "auction"), &bid->auction) &&
	       number_of(cli_option(argc, argv, "kg"), &bid->kg) && org && id_parse(org, &bid->org) == ERR_OK &&
	       price && micros_parse(price, &bid->price_micros) == ERR_OK && bid->price_micros > 0 &&
	       (!nonce || hash_parse(nonce, &bid->nonce) == ERR_OK);
}

int cli_bid(int argc, char **argv)
{
	struct bid bid;
	char commitment[HASH_TEXT_SIZE], nonce[HASH_TEXT_SIZE], price[DECIMAL_TEXT_SIZE];
	if (!bid_read(argc, argv, &bid))
		return cli_fail(CLI_USAGE,
			"usage: carbonctl bid --auction NUMBER --bidder ID --kg NUMBER --price PRICE [--nonce HEX]");
	struct hash made = market_commitment((uint64_t)bid.auction, bid.org, bid.kg, bid.price_micros, bid.nonce);
	json_t *document = json_pack("{s:s, s:{s:I, s:s, s:s}}", "commitment", hash_text(made, commitment), "reveal",
		"kg", (json_int_t)bid.kg, "price", micros_text(bid.price_micros, price), "nonce",
		hash_text(bid.nonce, nonce));
	int failed = !document || json_dumpf(document, stdout, JSON_INDENT(2)) != 0;
	json_decref(document);
	printf("\n");
	return failed ? cli_fail(CLI_REFUSED, "the answer cannot be written") : CLI_OK;
}
