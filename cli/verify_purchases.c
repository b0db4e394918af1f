/* carbonctl verify --journal, purchases: what each says of itself is what the records between say (docs/ROUTING.md): parts, their sum, the
 * marginal price, and that its lines retire exactly the serials that were bought. One thread. */
#include <stdlib.h>
#include <string.h>

#include "carbond/events.h"

#include "verify.h"

struct purchases_check {
	struct id command;
	int64_t kg, micros, fee_micros, dearest; /* of the parts so far */
	int64_t part_kg, part_micros, part_fee_micros;
	uint32_t parts, lines;
	struct serial_range bought[EVENTS_RANGES_MAX];
	size_t count, at;
	int64_t used; /* of the range at hand: retired */
	bool full;    /* more ranges than a purchase has: it is none */
	int64_t checked;
};

struct purchases_check *purchases_check_new(void)
{
	return calloc(1, sizeof(struct purchases_check));
}

void purchases_check_free(struct purchases_check **check)
{
	free(*check);
	*check = NULL;
}

int64_t purchases_check_count(const struct purchases_check *check)
{
	return check->checked;
}

static enum err wrong(struct err_info *info, const char *what)
{
	return err_set(info, ERR_JOURNAL_INVALID, "", "a purchase %s", what);
}

static void begin(struct purchases_check *check, struct id command)
{
	*check = (struct purchases_check){.command = command, .checked = check->checked};
}

static void buy(
	struct purchases_check *check, const struct event *event, int64_t kg, int64_t micros, int64_t fee_micros)
{
	check->part_kg += kg;
	check->part_micros += micros;
	check->part_fee_micros += fee_micros;
	for (size_t i = 0; i < event->lists.range_count; i++) {
		const struct serial_range *range = &event->lists.ranges[i];
		struct serial_range *last = check->count ? &check->bought[check->count - 1] : NULL;
		if (last && last->batch == range->batch && last->start + last->length == range->start)
			last->length += range->length;
		else if (check->count < EVENTS_RANGES_MAX)
			check->bought[check->count++] = *range;
		else
			check->full = true;
	}
}

static enum err on_part(struct purchases_check *check, const struct event_purchase_part *said, struct err_info *info)
{
	if (said->part != check->parts + 1 || said->kg != check->part_kg || said->micros != check->part_micros ||
		said->fee_micros != check->part_fee_micros)
		return wrong(info, "says of a part what was not bought");
	check->parts++;
	check->kg += said->kg;
	check->micros += said->micros;
	check->fee_micros += said->fee_micros;
	check->dearest = said->unit_micros > check->dearest ? said->unit_micros : check->dearest;
	check->part_kg = check->part_micros = check->part_fee_micros = 0;
	return ERR_OK;
}

static enum err on_purchased(struct purchases_check *check, const struct event_purchased *said, struct err_info *info)
{
	if (said->parts != check->parts || said->kg != check->kg || said->micros != check->micros ||
		said->fee_micros != check->fee_micros || check->full || check->part_kg)
		return wrong(info, "is not the sum of its parts");
	if (check->dearest > said->marginal_micros || said->micros > said->maximum_micros ||
		(said->limit_micros && said->marginal_micros > said->limit_micros) ||
		(said->asked_kg && said->kg > said->asked_kg))
		return wrong(info, "is beyond what was asked");
	check->lines = said->lines;
	check->checked++;
	return ERR_OK;
}

/* The next serials of what was bought. */
static enum err on_retired(struct purchases_check *check, const struct event *event, struct err_info *info)
{
	for (size_t i = 0; i < event->lists.range_count; i++) {
		struct serial_range range = event->lists.ranges[i];
		while (range.length > 0) {
			const struct serial_range *from = &check->bought[check->at];
			if (check->at == check->count || range.batch != from->batch ||
				range.start != from->start + check->used)
				return wrong(info, "retires what it did not buy");
			int64_t left = from->length - check->used, part = left < range.length ? left : range.length;
			range.start += part;
			range.length -= part;
			check->used = part == left ? 0 : check->used + part;
			check->at += part == left;
		}
	}
	check->lines--;
	return check->lines || check->at == check->count ? ERR_OK : wrong(info, "does not retire all that it bought");
}

enum err purchases_check_event(struct purchases_check *check, const struct event *event, struct err_info *info)
{
	if (!id_equal(event->header.command, check->command)) {
		if (check->lines)
			return wrong(info, "does not retire all its lines");
		begin(check, event->header.command);
	}
	switch (event->header.type) {
	case EVENT_TRADED:
		buy(check, event, event->traded.kg, event->traded.amount_micros + event->traded.buyer_fee_micros,
			event->traded.buyer_fee_micros);
		return ERR_OK;
	case EVENT_AUCTION_TAKEN:
		buy(check, event, event->auction_taken.kg,
			event->auction_taken.amount_micros + event->auction_taken.buyer_fee_micros,
			event->auction_taken.buyer_fee_micros);
		return ERR_OK;
	case EVENT_POOL_BOUGHT: buy(check, event, event->pool_bought.kg, event->pool_bought.micros, 0); return ERR_OK;
	case EVENT_PURCHASE_PART: return on_part(check, &event->purchase_part, info);
	case EVENT_PURCHASED: return on_purchased(check, &event->purchased, info);
	case EVENT_RETIRED: return check->lines ? on_retired(check, event, info) : ERR_OK;
	default: return ERR_OK;
	}
}
