/* Decides what the market's events change in the views: where kilograms are. The projector's thread. */
#include "views.h"

enum err view_on_order_placed(struct projector *projector, const struct event *event)
{
	struct id org = event->order_placed.org;
	return view_ranges_move(projector, event, view_place(org, KG_HELD), view_place(org, KG_LISTED), (struct id){0});
}

enum err view_on_order_amended(struct projector *projector, const struct event *event)
{
	struct id org = event->order_amended.org;
	return view_ranges_move(projector, event, view_place(org, KG_HELD), view_place(org, KG_LISTED), (struct id){0});
}

enum err view_on_order_reduced(struct projector *projector, const struct event *event)
{
	struct id org = event->order_reduced.org;
	return view_ranges_move(projector, event, view_place(org, KG_LISTED), view_place(org, KG_HELD), (struct id){0});
}

enum err view_on_traded(struct projector *projector, const struct event *event)
{
	const struct event_traded *said = &event->traded;
	return view_ranges_move(projector, event, view_place(said->seller, KG_LISTED), view_place(said->buyer, KG_HELD),
		(struct id){0});
}
