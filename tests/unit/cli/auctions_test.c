/* carbonctl verify clears auctions again from the journal's events alone: the golden journal's holds, and whatever is changed in what
 * its bids said or got is found (docs/AUCTIONS.md, the clearing document). */
#include "golden.h"

static enum err check_event(void *context, const struct event *event, struct err_info *info)
{
	return auctions_check_event(context, event, info);
}

/* Checks the golden journal's auctions, each event changed by `change` first. */
static enum err check(void (*change)(struct event *event), int64_t *ret_count)
{
	struct auctions_check *auctions = auctions_check_new();
	enum err err = golden_check(change, check_event, auctions);
	if (ret_count)
		*ret_count = auctions_check_count(auctions);
	auctions_check_free(&auctions);
	return err;
}

static void the_golden_auction_was_cleared_as_its_bids_say(void **state)
{
	(void)state;
	int64_t count = 0;
	assert_int_equal(check(NULL, &count), ERR_OK);
	assert_int_equal(count, 1);
}

CHANGE(another_price_revealed, BID_REVEALED, event->bid_revealed.price_micros += 1000)
CHANGE(another_bidder, BID_REVEALED, event->bid_revealed.org.bytes[0]++)
CHANGE(another_nonce, BID_REVEALED, event->bid_revealed.nonce.bytes[31]++)
CHANGE(another_commitment, BID_COMMITTED, event->bid_committed.commitment.bytes[0]++)
CHANGE(dearer, BID_SETTLED, event->bid_settled.price_micros += event->bid_settled.kg ? 1000 : 0)
CHANGE(less_for_one, BID_SETTLED, event->bid_settled.kg -= event->bid_settled.kg ? 1 : 0)
CHANGE(nothing_forfeited, BID_SETTLED, event->bid_settled.forfeited_micros = 0)
CHANGE(the_winner_lost, BID_SETTLED, event->bid_settled.reason = BID_LOST)
CHANGE(a_bid_withdrawn_late, BID_SETTLED, event->bid_settled.reason = BID_WITHDRAWN)
CHANGE(a_forfeit_withdrawn, BID_SETTLED,
	if (event->bid_settled.reason == BID_FORFEITED) event->bid_settled.reason = BID_WITHDRAWN)
CHANGE(another_clearing_price, AUCTION_PRICED, event->auction_priced.price_micros += 1000)
CHANGE(a_higher_reserve, AUCTION_OPENED, event->auction_opened.price_micros += 3000000)
CHANGE(never_priced, AUCTION_PRICED, event->header.type = EVENT_TICKED)
CHANGE(a_bid_is_missing, BID_COMMITTED,
	event->header.type = event->bid_committed.bid == 1 ? EVENT_TICKED : event->header.type)

static void whatever_is_changed_is_found(void **state)
{
	(void)state;
	void (*const changes[])(struct event *) = {another_price_revealed, another_bidder, another_nonce,
		another_commitment, dearer, less_for_one, nothing_forfeited, the_winner_lost, a_bid_withdrawn_late,
		a_forfeit_withdrawn, another_clearing_price, a_higher_reserve, never_priced, a_bid_is_missing};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
		if (check(changes[i], NULL) != ERR_JOURNAL_INVALID)
			fail_msg("change %zu is not found", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_golden_auction_was_cleared_as_its_bids_say),
		cmocka_unit_test(whatever_is_changed_is_found)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
