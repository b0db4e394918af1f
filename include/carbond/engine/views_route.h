/* Rows of the views of purchases (docs/ROUTING.md); part of engine.h. */
#ifndef CARBOND_ENGINE_VIEWS_ROUTE_H
#define CARBOND_ENGINE_VIEWS_ROUTE_H

#include "carbond/base/field.h"
#include "carbond/events.h"
#include "carbond/store.h"

/* What was bought of one source. Prices are micros per tonne. */
struct purchase_part_item {
	int source;        /* enum route_source */
	int64_t number;    /* of the order in the book, the auction or the pool */
	const char *order; /* NULL: it is not of the book */
	int64_t kg, price_micros, unit_micros;
	int64_t micros, fee_micros;
};
extern const struct field purchase_part_fields[];

struct purchase_row {
	struct id id; /* key: the command's id */
	struct id org_id;
	int64_t market, instrument;
	int64_t asked_kg;                     /* FIELD_ABSENT: as much as the maximum buys */
	int64_t maximum_micros, limit_micros; /* limit: FIELD_ABSENT: any */
	int64_t kg, micros, fee_micros, marginal_micros;
	struct field_list parts;        /* struct purchase_part_item */
	struct field_list certificates; /* texts: ids of the retirements, by line */
	struct id made_by;
	int64_t made_at;
	int64_t position;
};
extern const struct field purchase_fields[];
extern const struct store_collection purchases_collection; /* index "by_org" */

#endif
