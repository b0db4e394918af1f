/* Decides what the events of purchases change in the views; what they buy and retire is said by the events between. The projector's
 * thread. */
#include <string.h>

#include "views.h"

static enum err purchase_of(struct projector *projector, const struct event *event, struct purchase_row **ret_row)
{
	*ret_row = NULL;
	return view_row(projector, SHEET_PURCHASES, KEYED(purchase_row, .id = event->header.command), ret_row);
}

static const char *id_copy(struct projector *projector, struct id id)
{
	char text[ID_TEXT_SIZE];
	return view_text(projector, id_text(id, text));
}

enum err view_on_purchase_part(struct projector *projector, const struct event *event)
{
	const struct event_purchase_part *said = &event->purchase_part;
	struct purchase_row *row;
	enum err err = purchase_of(projector, event, &row);
	if (err || !row)
		return err;
	struct purchase_part_item *items =
		ARENA_ARRAY(view_arena(projector), struct purchase_part_item, row->parts.count + 1);
	if (!items)
		return ERR_NO_MEMORY;
	if (row->parts.count)
		memcpy(items, row->parts.items, row->parts.count * sizeof *items);
	items[row->parts.count] = (struct purchase_part_item){.source = (int)said->source,
		.number = (int64_t)said->number,
		.order = said->source == ROUTE_BOOK ? id_copy(projector, said->order) : NULL,
		.kg = said->kg,
		.price_micros = said->price_micros,
		.unit_micros = said->unit_micros,
		.micros = said->micros,
		.fee_micros = said->fee_micros};
	bool has_order = said->source != ROUTE_BOOK || items[row->parts.count].order;
	row->parts = (struct field_list){.items = items, .count = row->parts.count + 1};
	return has_order ? ERR_OK : ERR_NO_MEMORY;
}

/* The retirements follow; their ids are known. */
static enum err certificates_of(struct projector *projector, const struct event *event, struct field_list *ret_list)
{
	uint32_t count = event->purchased.lines;
	const char **texts = ARENA_ARRAY(view_arena(projector), const char *, count + 1u);
	if (!texts)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		struct id id = event->header.command;
		if (count > 1)
			id = ledger_linked_id(event->purchased.org, event->header.command, i);
		texts[i] = id_copy(projector, id);
		if (!texts[i])
			return ERR_NO_MEMORY;
	}
	*ret_list = (struct field_list){.items = texts, .count = count};
	return ERR_OK;
}

enum err view_on_purchased(struct projector *projector, const struct event *event)
{
	const struct event_purchased *said = &event->purchased;
	struct purchase_row *row;
	enum err err = purchase_of(projector, event, &row);
	if (err || !row)
		return err;
	row->org_id = said->org;
	row->market = (int64_t)said->market;
	row->instrument = (int64_t)said->instrument;
	row->asked_kg = said->asked_kg ? said->asked_kg : FIELD_ABSENT;
	row->maximum_micros = said->maximum_micros;
	row->limit_micros = said->limit_micros ? said->limit_micros : FIELD_ABSENT;
	row->kg = said->kg;
	row->micros = said->micros;
	row->fee_micros = said->fee_micros;
	row->marginal_micros = said->marginal_micros;
	row->made_at = event->header.time_us;
	err = certificates_of(projector, event, &row->certificates);
	return err ? err : view_actor(projector, event, &row->made_by);
}
