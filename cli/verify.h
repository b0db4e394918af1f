/* What `carbonctl verify` does with bytes that are in memory: for the command and for its tests. */
#ifndef CARBOND_CLI_VERIFY_H
#define CARBOND_CLI_VERIFY_H

#include <stdint.h>
#include <stdio.h>

#include "carbond/mrv.h"

#include "cli.h"

struct verify_options {
	const struct mrv_trust_key *trust;
	size_t trust_count;
	struct id registry; /* zero: the issuance id is not checked */
	bool json;
	FILE *out;
};

/* Checks a pack, step by step; prints PASS or FAIL for each. CLI_OK, CLI_VERIFY_FAILED or CLI_SIGNERS_UNTRUSTED;
 * CLI_REFUSED where memory ended before a verdict. */
int verify_pack(const uint8_t *data, size_t size, const struct verify_options *options);

/* Checks an export of the journal (`GET /v1/journal/batches`): hash chain, records, replay, P1–P3, state hash. `expected`
 * zero: the state hash is only printed. CLI_OK, CLI_VERIFY_FAILED or CLI_REFUSED. */
int verify_journal(const char *text, size_t size, struct hash expected, const struct verify_options *options);

/* Checks the trust chain of a serial (`GET /v1/serials/{serial}/trust-chain`): records under a signed checkpoint, issue, verifiers'
 * signatures, custody from hand to hand. CLI_OK, CLI_VERIFY_FAILED, CLI_SIGNERS_UNTRUSTED or CLI_REFUSED. */
int verify_chain(const char *text, size_t size, const struct verify_options *options);

/* Clears auctions again from the journal's events alone, one event a call in their order (verify_auctions.c). ERR_JOURNAL_INVALID where
 * one was not cleared as its bids say; ERR_NO_MEMORY. The count is of those that are over. */
struct event;
struct auctions_check;
struct auctions_check *auctions_check_new(void);
void auctions_check_free(struct auctions_check **check);
enum err auctions_check_event(
	struct auctions_check *check, const struct event *event, struct err_info *info) MUST_CHECK;
int64_t auctions_check_count(const struct auctions_check *check);

/* Holds purchases against the records that they are made of, one event a call in their order (verify_purchases.c).
 * ERR_JOURNAL_INVALID where one says what did not happen, or retires what it did not buy. */
struct purchases_check;
struct purchases_check *purchases_check_new(void);
void purchases_check_free(struct purchases_check **check);
enum err purchases_check_event(
	struct purchases_check *check, const struct event *event, struct err_info *info) MUST_CHECK;
int64_t purchases_check_count(const struct purchases_check *check);

/* One step's line, or its object with --json; the list of them is closed by verify_end. */
struct verify_list;
struct verify_list *verify_begin(const struct verify_options *options);
void verify_step(struct verify_list *list, const struct mrv_step *step);
/* Prints the verdict, frees the list, gives the exit code. ERR_NO_MEMORY, or no memory for the list itself (NULL, or a step of
 * it): CLI_REFUSED and no verdict. */
int verify_end(struct verify_list **list, enum err err, bool is_trusted);

#endif
