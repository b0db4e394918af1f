/* What the files that know a room's events (views_<room>.c) ask of the projector (views.c). The projector's thread. */
#ifndef ENGINE_VIEWS_H
#define ENGINE_VIEWS_H

#include "parts.h"

enum sheet_name {
#define VIEW(NAME, collection, type, key, whole)                SHEET_##NAME,
#define VIEW_OF_TWO(NAME, collection, type, key, second, whole) SHEET_##NAME,
#define VIEW_BY_KEY(NAME, collection, type, whole)              SHEET_##NAME,
#define VIEW_EVENT(NAME, name)
#include "views.def"
	SHEET_COUNT
};

#define VIEW(NAME, collection, type, key, whole)
#define VIEW_OF_TWO(NAME, collection, type, key, second, whole)
#define VIEW_BY_KEY(NAME, collection, type, whole)
#define VIEW_EVENT(NAME, name) \
	enum err view_on_##name(struct projector *projector, const struct event *event) MUST_CHECK;
#include "views.def"

/* A row that says which one is meant by its key's members. */
#define KEYED(type, ...) (&(struct type){__VA_ARGS__})

/* The row with the key of `key_row` for the event at hand, to be changed; NULL in *ret_row where the view is ahead of it. A row
 * that is not stored begins with all members absent but its key. */
enum err view_row(struct projector *projector, enum sheet_name name, const void *key_row, void *ret_row) MUST_CHECK;
/* The row as the events before this one left it, to be read alone. ERR_NOT_FOUND. */
enum err view_peek(struct projector *projector, enum sheet_name name, const void *key_row, void *ret_row) MUST_CHECK;
/* Takes a row that view_row has given for the event at hand out of its collection; an event behind may make it anew. */
void view_drop(struct projector *projector, enum sheet_name name, const void *key_row);
/* Adds to a member that begins absent. */
void view_add(int64_t *sum, int64_t amount);
/* A copy that lives as long as the chunk's rows; NULL without memory. */
const char *view_text(struct projector *projector, const char *text);
/* The actor of the event at hand: its row was written with its first event, at the latest in this chunk. */
enum err view_actor(struct projector *projector, const struct event *event, struct id *ret_actor) MUST_CHECK;
/* Memory that lives as long as the chunk's rows, and where a fault is said. */
struct arena *view_arena(struct projector *projector);
struct err_info *view_info(struct projector *projector);
/* Serials are in this place from the event at hand on; `record` is the retirement or cancellation which they went into, or zero. */
enum err view_assign(struct projector *projector, const struct serial_range *range, struct ledger_place place,
	struct id record) MUST_CHECK;
/* The position of the event at hand. */
int64_t view_position(const struct projector *projector);
/* Every organisation that has, or once had, kilograms of a batch, as the events up to this one left it. Stops at an error. */
struct holding_row;
enum err view_each_holder(struct projector *projector, uint64_t batch,
	enum err (*each)(void *context, const struct holding_row *holding), void *context) MUST_CHECK;

/* The event at hand. */
const struct event *view_event(const struct projector *projector);

/* ---- accounts (views_ledger.c) ---- */

/* Adds to a state of an account, with the entry of the event at hand; `org` and `counterparty` zero: the outside world. `asset` lives
 * as long as the chunk's rows; NULL: ERR_NO_MEMORY. */
enum err view_account_add(struct projector *projector, struct id org, const char *asset, enum kg_state state,
	int64_t amount, struct id counterparty) MUST_CHECK;
/* Money goes from one place to another; 0: none, below zero: the other way. */
enum err view_pay(struct projector *projector, const char *currency, int64_t amount_micros, struct ledger_place from,
	struct ledger_place to) MUST_CHECK;
/* The asset of a batch; NULL without memory. */
const char *view_batch_asset(struct projector *projector, uint64_t batch);
/* The asset of a pool's shares; NULL without memory. */
const char *view_shares_asset(struct projector *projector, uint64_t pool);
/* The id of the transfer of a `transferred`. */
struct id view_transfer_id(const struct event *event);

/* ---- kilograms (views_kilograms.c) ---- */

struct ledger_place view_place(struct id org, enum kg_state state);
enum err view_range_move(struct projector *projector, const struct serial_range *range, struct ledger_place from,
	struct ledger_place to, struct id record) MUST_CHECK;
/* All ranges of a record. */
enum err view_ranges_move(struct projector *projector, const struct event *event, struct ledger_place from,
	struct ledger_place to, struct id record) MUST_CHECK;
/* New kilograms of a batch; 0: none. */
enum err view_range_make(struct projector *projector, struct id org, uint64_t batch, enum kg_state state, int64_t start,
	int64_t kg) MUST_CHECK;
/* A record's ranges as a row has them. */
enum err view_range_items(
	struct projector *projector, const struct record_lists *lists, struct field_list *ret_list) MUST_CHECK;

/* ---- prices (views_prices.c) ---- */

/* The candles of a trade; and of one that was undone. */
enum err view_candles_trade(struct projector *projector, const struct event *event) MUST_CHECK;
enum err view_candles_bust(struct projector *projector, const struct trade_row *trade) MUST_CHECK;

/* ---- batches (views_registry.c, views_operations.c) ---- */

/* The serial number of a whole batch. */
enum err view_batch_serial(
	struct projector *projector, const struct batch_row *batch, const char **ret_text) MUST_CHECK;
/* The event at hand is one of a batch's: of these serials, or of all. */
enum err view_batch_event(struct projector *projector, const struct serial_range *range) MUST_CHECK;
enum err view_whole_batch_event(struct projector *projector, uint64_t batch) MUST_CHECK;
/* A row for each that has kilograms of a reversed batch. */
enum err view_notices(struct projector *projector, const struct event *event) MUST_CHECK;

#endif
