/* carbonctl verify --chain from hand to hand: the golden journal's batches through trades and one undone, auctions, pools, escrow,
 * disputes, forward deliveries and transfers in two phases. Each is followed to its end; and whoever is written to have given kilograms
 * that another had is found, event type by event type. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../cli/verify.h"
#include "carbond/base/clock.h"
#include "carbond/events.h"
#include "carbond/registry.h"

static uint8_t journal[1 << 20];
static size_t journal_size;
static struct event_scratch scratch;

typedef void changer(struct event *event);

static struct event follows; /* put behind an event that was changed, where it has a type */
static struct serial_range follows_range;

/* What a chain leaves out: kilograms that stay where they are (as the views tell events of a batch). */
static bool is_told(const struct event *event, uint64_t batch)
{
	static const uint16_t home[] = {EVENT_ORDER_PLACED, EVENT_ORDER_REDUCED, EVENT_ORDER_AMENDED, EVENT_KG_RESERVED,
		EVENT_KG_VOIDED, EVENT_RESERVE_SUSPENDED, EVENT_RESERVE_RESTORED};
	for (size_t i = 0; i < sizeof home / sizeof *home; i++)
		if (event->header.type == home[i])
			return false;
	for (size_t i = 0; i < event->lists.range_count; i++)
		if (event->lists.ranges[i].batch == batch)
			return true;
	switch (event->header.type) {
	case EVENT_VERIFIER_REGISTERED:
	case EVENT_PERIOD_SUBMITTED:
	case EVENT_PERIOD_ATTESTED: return true;
	case EVENT_BATCH_ISSUED: return event->batch_issued.batch == batch;
	case EVENT_BATCH_IMPORTED: return event->batch_imported.batch == batch;
	default: return false;
	}
}

static json_t *line_of(struct event *event)
{
	static uint8_t record[1 << 16];
	static char text[1 << 17];
	char time[CLOCK_TEXT_SIZE];
	size_t size = 0;
	assert_int_equal(event_encode(event, record, sizeof record, &size), ERR_OK);
	return json_pack("{s:I, s:s, s:s, s:s}", "position", (json_int_t)event->header.number, "event",
		event_type_name(event->header.type), "time", clock_text(event->header.time_us, time), "record",
		base64url_text(record, size, text));
}

/* The trust chain of all kilograms of a batch, events of `type` changed first; *ret_changed: how many were. */
static char *chain_of(uint64_t batch, uint16_t type, changer *change, int *ret_changed)
{
	struct serial serial = {.country = "IS", .unit = "DAC1", .methodology = "DAC", .vintage = 2026};
	char name[SERIAL_TEXT_SIZE];
	struct err_info info;
	json_t *events = json_array();
	*ret_changed = 0;
	for (size_t at = 0, length = 0; at < journal_size; at += length) {
		struct event event;
		assert_int_equal(
			event_decode(journal + at, journal_size - at, &scratch, &event, &length, &info), ERR_OK);
		if (!is_told(&event, batch))
			continue;
		if (event.header.type == EVENT_BATCH_ISSUED || event.header.type == EVENT_BATCH_IMPORTED) {
			bool issued = event.header.type == EVENT_BATCH_ISSUED;
			serial.range = (struct serial_range){
				batch, 0, issued ? event.batch_issued.kg : event.batch_imported.kg};
		}
		if (change && event.header.type == type) {
			change(&event);
			++*ret_changed;
		}
		json_array_append_new(events, line_of(&event));
		if (follows.header.type) {
			follows.lists = (struct record_lists){.ranges = &follows_range, .range_count = 1};
			json_array_append_new(events, line_of(&follows));
			follows.header.type = 0;
		}
	}
	assert_int_equal(serial_text(&serial, name), ERR_OK);
	json_t *document = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "format", "carbond/trust-chain/1", "stream",
		"journal.0", "serial", name, "registry", "01000000-0000-0000-0000-000000000000", "complete", 1,
		"events", events);
	char *text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	return text;
}

/* What verify says of it. */
static int verified(const char *chain, char **ret_text)
{
	size_t printed;
	struct verify_options options = {.out = open_memstream(ret_text, &printed)};
	int code = verify_chain(chain, strlen(chain), &options);
	fclose(options.out);
	return code;
}

static void must_hold(uint64_t batch)
{
	int changed;
	char *chain = chain_of(batch, 0, NULL, &changed), *text = NULL;
	int code = verified(chain, &text);
	if (code != CLI_SIGNERS_UNTRUSTED || !strstr(text, "who gave kilograms away had them"))
		fail_msg("batch %llu:\n%s", (unsigned long long)batch, text);
	free(chain);
	free(text);
}

static void the_golden_batches_are_followed_to_their_end(void **state)
{
	(void)state;
	for (uint64_t batch = 1; batch <= 3; batch++)
		must_hold(batch);
}

#define GIVER(name, TYPE, member)             \
	static void name(struct event *event) \
	{                                     \
		event->member.bytes[0]++;     \
	}
#define NUMBER(name, TYPE, member)            \
	static void name(struct event *event) \
	{                                     \
		event->member++;              \
	}
#define GIVERS(GIVER, NUMBER)                                         \
	GIVER(transferred, TRANSFERRED, transferred.from)             \
	GIVER(posted, KG_POSTED, kg_posted.from)                      \
	GIVER(traded, TRADED, traded.seller)                          \
	GIVER(busted, TRADE_BUSTED, trade_busted.buyer)               \
	GIVER(retired, RETIRED, retired.org)                          \
	GIVER(cancelled, CANCELLED, cancelled.org)                    \
	GIVER(disputed, DISPUTE_OPENED, dispute_opened.holder)        \
	GIVER(decided, DISPUTE_DECIDED, dispute_decided.holder)       \
	GIVER(opened, AUCTION_OPENED, auction_opened.seller)          \
	NUMBER(taken, AUCTION_TAKEN, auction_taken.auction)           \
	NUMBER(settled, BID_SETTLED, bid_settled.auction)             \
	NUMBER(ended, AUCTION_ENDED, auction_ended.auction)           \
	GIVER(added, POOL_ADDED, pool_added.org)                      \
	GIVER(sold, POOL_SOLD, pool_sold.org)                         \
	NUMBER(redeemed, POOL_REDEEMED, pool_redeemed.pool)           \
	NUMBER(bought, POOL_BOUGHT, pool_bought.pool)                 \
	GIVER(put_in, ESCROW_DELIVERED, escrow_delivered.payee)       \
	GIVER(got_out, ESCROW_ENDED, escrow_ended.payee)              \
	GIVER(delivered, OFFTAKE_DELIVERED, offtake_delivered.seller) \
	GIVER(sent_away, SHARD_SENT, shard_sent.org)                  \
	NUMBER(came_back, SHARD_RECEIVED, shard_received.from_shard)  \
	GIVER(topped_up, BUFFER_TOPPED_UP, buffer_topped_up.org)
GIVERS(GIVER, NUMBER)

static const struct {
	uint16_t type;
	changer *change;
} givers[] = {
#define GIVER_ROW(name, TYPE, member) {EVENT_##TYPE, name},
	GIVERS(GIVER_ROW, GIVER_ROW)};

static void who_gives_what_another_has_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof givers / sizeof *givers; i++) {
		int found = 0;
		for (uint64_t batch = 1; batch <= 3; batch++) {
			int changed;
			char *chain = chain_of(batch, givers[i].type, givers[i].change, &changed), *text = NULL;
			int code = verified(chain, &text);
			if (changed && (code != CLI_VERIFY_FAILED ||
					       !strstr(text, "who gives the kilograms away does not have them")))
				fail_msg("%s: %s", event_type_name(givers[i].type), text);
			found += changed;
			free(chain);
			free(text);
		}
		if (!found)
			fail_msg("the golden journal moves no kilograms by %s", event_type_name(givers[i].type));
	}
}

/* Of what an escrow or a transfer in two phases named, the first kilograms are given and the others come home: who was given the
 * first does not have the last, who gave them still has it. */
static bool receiver_gives;

static void last_goes_on(struct event *event)
{
	bool posted = event->header.type == EVENT_KG_POSTED;
	struct id giver = posted ? event->kg_posted.from : event->escrow_ended.payee;
	struct id receiver = posted ? event->kg_posted.to : event->escrow_ended.payer;
	struct serial_range *last = &scratch.ranges[event->lists.range_count - 1];
	if (!posted) { /* as a dispute would have decided */
		event->escrow_ended.released_kg -= 40;
		event->escrow_ended.returned_kg += 40;
	}
	assert_true((posted ? event->kg_posted.freed_kg : event->escrow_ended.returned_kg) > 0);
	follows = (struct event){.header = event->header, .transferred = {.to = {{9}}, .kg = 1}};
	follows.header.type = EVENT_TRANSFERRED;
	follows.header.number++; /* where the journal says how the command ended */
	follows.transferred.from = receiver_gives ? receiver : giver;
	follows_range = (struct serial_range){last->batch, last->start + last->length - 1, 1};
}

static void what_was_not_given_comes_home(void **state)
{
	(void)state;
	static const uint16_t types[] = {EVENT_KG_POSTED, EVENT_ESCROW_ENDED};
	for (size_t i = 0; i < 2; i++)
		for (int wrong = 0; wrong < 2; wrong++) {
			int changed;
			receiver_gives = wrong;
			char *chain = chain_of(1, types[i], last_goes_on, &changed), *text = NULL;
			int code = verified(chain, &text);
			if (changed != 1 || code != (wrong ? CLI_VERIFY_FAILED : CLI_SIGNERS_UNTRUSTED))
				fail_msg("%s: %d: %s", event_type_name(types[i]), wrong, text);
			free(chain);
			free(text);
		}
}

int main(void)
{
	FILE *file = fopen("tests/golden/journal-2.bin", "rb");
	if (!file)
		return 1;
	journal_size = fread(journal, 1, sizeof journal, file);
	fclose(file);
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_golden_batches_are_followed_to_their_end),
		cmocka_unit_test(who_gives_what_another_has_is_found), cmocka_unit_test(what_was_not_given_comes_home)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
