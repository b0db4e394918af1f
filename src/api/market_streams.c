/* What trades, what the book shows, and what becomes of an organisation's own orders, as it happens: server-sent events.
 * Begun on workers, told by the market's stream. */
#include "ledger_rows.h"
#include "stream.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

static const enum err stream_errors[] = {ERR_BUSY, ERR_STOPPING, ERR_OK};

#define ENTRIES_MOST (2 * EVENTS_RANGES_MAX + 64) /* of one event: two sides of each batch, money and fees */

static char *row_text(const struct field *fields, const void *row)
{
	json_t *document = field_write(fields, row);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	return text;
}

/* ---- trades of a market ---- */

static enum err trade_read(struct stream *stream, struct stream_event *told, struct err_info *info)
{
	struct trade_row row = {.trade = (int64_t)told->event->traded.trade};
	told->arena = told->arena ? told->arena : arena_new(0);
	if (!told->arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a trade");
	enum err err = store_get(stream_store(stream), &trades_collection, &row, told->arena, info);
	if (!err)
		told->text = row_text(trade_fields, &row);
	return err ? err : told->text ? ERR_OK : err_set(info, ERR_NO_MEMORY, NULL, "no memory for a trade");
}

static enum err trades_event(
	struct stream *stream, struct stream_watch *watch, struct stream_event *told, struct err_info *info)
{
	const struct event *event = told->event;
	if (event->header.type != EVENT_TRADED || (int64_t)event->traded.market != watch->number)
		return ERR_OK;
	enum err err = told->text ? ERR_OK : trade_read(stream, told, info);
	return err ? err : stream_tell(watch, told, "trade", told->text, true);
}

static const struct stream_channel trades_channel = {.event = trades_event};

/* ---- depth: the whole of it each time, so that nothing is missing in between ---- */

typedef enum err depth_read(struct store *store, int64_t number, size_t levels, struct arena *arena,
	struct market_depth *ret_depth, struct err_info *info);

static enum err depth_changed(
	struct stream *stream, struct stream_watch *watch, depth_read *read, struct err_info *info)
{
	struct market_depth depth;
	char number[24];
	struct arena *arena = arena_new(0);
	char *text = NULL;
	enum err err = arena ? read(stream_store(stream), watch->number, (size_t)watch->levels, arena, &depth, info)
			     : ERR_NO_MEMORY;
	if (err == ERR_BUSY)
		err = ERR_OK; /* it comes with the next change */
	else if (!err && depth.sequence != watch->sequence) {
		text = row_text(market_depth_fields, &depth);
		snprintf(number, sizeof number, "%lld", (long long)watch->position);
		err = text ? http_events_send(watch->events, number, "depth", text) : ERR_NO_MEMORY;
		watch->sequence = depth.sequence;
	}
	free(text);
	arena_free(&arena);
	return err;
}

static enum err instrument_changed(struct stream *stream, struct stream_watch *watch, struct err_info *info)
{
	return depth_changed(stream, watch, engine_depth_of_instrument, info);
}

static enum err class_changed(struct stream *stream, struct stream_watch *watch, struct err_info *info)
{
	return depth_changed(stream, watch, engine_depth_of_class, info);
}

static const struct stream_channel instrument_channel = {.changed = instrument_changed},
				   class_channel = {.changed = class_changed};

/* ---- an organisation's own: orders, executions and balances, as the views have them behind the event ---- */

struct frames {
	struct stream *stream;
	struct stream_event *told;
	struct err_info *info;
	size_t count;
	const char **names; /* in the event's arena, like … */
	char **texts;       /* … this, but for what it points to */
};

static enum err no_memory(struct err_info *info)
{
	return err_set(info, ERR_NO_MEMORY, NULL, "no memory for an event");
}

static enum err frame_add(struct frames *frames, const char *name, const struct field *fields, const void *row)
{
	char *text = row_text(fields, row);
	if (!text)
		return no_memory(frames->info);
	frames->names[frames->count] = name;
	frames->texts[frames->count++] = text;
	return ERR_OK;
}

/* The orders that an event changes. */
static void orders_of(const struct event *event, struct id ids[2])
{
	ids[0] = ids[1] = (struct id){0};
	switch (event->header.type) {
	case EVENT_ORDER_PLACED: ids[0] = event->order_placed.order; break;
	case EVENT_ORDER_RESTED: ids[0] = event->order_rested.order; break;
	case EVENT_ORDER_REDUCED: ids[0] = event->order_reduced.order; break;
	case EVENT_ORDER_AMENDED: ids[0] = event->order_amended.order; break;
	case EVENT_ORDER_WOKEN: ids[0] = event->order_woken.order; break;
	case EVENT_ORDER_TRAILED: ids[0] = event->order_trailed.order; break;
	case EVENT_TRADED:
		ids[0] = event->traded.maker;
		ids[1] = event->traded.taker;
		break;
	default: break;
	}
}

static enum err order_read(struct frames *frames, struct order_row *row, struct id id)
{
	field_clear(order_fields, row);
	row->id = id;
	return id_is_none(id) ? ERR_OK
			      : store_get(stream_store(frames->stream), &orders_collection, row, frames->told->arena,
					frames->info);
}

/* Reads what an event has changed, once for all who watch. */
static enum err changes_read(struct frames *frames)
{
	struct stream_event *told = frames->told;
	struct id ids[2];
	if (told->is_read)
		return ERR_OK;
	told->arena = told->arena ? told->arena : arena_new(0);
	if (!told->arena)
		return no_memory(frames->info);
	orders_of(told->event, ids);
	struct entry_row low = {.position = (int64_t)told->event->header.number};
	struct store_query query = {.collection = &entries_collection,
		.index = "by_position",
		.low = &low,
		.prefix = 1,
		.most = ENTRIES_MOST};
	enum err err = order_read(frames, &told->orders[0], ids[0]);
	if (!err)
		err = order_read(frames, &told->orders[1], ids[1]);
	if (!err)
		err = store_find(stream_store(frames->stream), &query, told->arena, (void **)&told->entries,
			&told->entry_count, frames->info);
	told->is_read = !err;
	return err;
}

static enum err execution_add(struct frames *frames, struct id org)
{
	struct execution_row row = {.org_id = org, .trade = (int64_t)frames->told->event->traded.trade};
	enum err err = store_get(
		stream_store(frames->stream), &executions_collection, &row, frames->told->arena, frames->info);
	return err ? err : frame_add(frames, "execution", execution_fields, &row);
}

static enum err own_frames(struct frames *frames, struct id org)
{
	const struct stream_event *told = frames->told;
	bool trades = false;
	enum err err = ERR_OK;
	for (int i = 0; i < 2 && !err; i++) {
		const struct order_row *row = &told->orders[i];
		if (id_is_none(row->id) || !id_equal(row->org_id, org))
			continue;
		trades = told->event->header.type == EVENT_TRADED;
		err = frame_add(frames, "order", order_fields, row);
	}
	if (!err && trades)
		err = execution_add(frames, org);
	for (size_t i = 0; i < told->entry_count && !err; i++) {
		const struct entry_row *entry = &told->entries[i];
		struct ledger_balance balance;
		if (!id_equal(entry->org_id, org))
			continue;
		ledger_balance_set(&balance, org, entry->asset, &entry->amounts, entry->position);
		err = frame_add(frames, "balance", ledger_balance_fields, &balance);
	}
	return err;
}

static enum err own_event(
	struct stream *stream, struct stream_watch *watch, struct stream_event *told, struct err_info *info)
{
	struct frames frames = {.stream = stream, .told = told, .info = info};
	enum err err = changes_read(&frames);
	if (err)
		return err;
	frames.names = ARENA_ARRAY(told->arena, const char *, told->entry_count + 3);
	frames.texts = ARENA_ARRAY(told->arena, char *, told->entry_count + 3);
	err = frames.names && frames.texts ? own_frames(&frames, watch->org) : no_memory(info);
	for (size_t i = 0; i < frames.count; i++) {
		if (!err)
			err = stream_tell(watch, told, frames.names[i], frames.texts[i], i + 1 == frames.count);
		free(frames.texts[i]);
	}
	return err;
}

static const struct stream_channel own_channel = {.event = own_event};

/* ---- routes ---- */

static enum err begin(struct http_request *request, struct stream_watch watch, struct err_info *info)
{
	struct stream *stream = api_of(request)->market_stream;
	return stream ? stream_watch_begin(request, stream, watch, info)
		      : err_set(info, ERR_STOPPING, NULL, "the market's stream is not running");
}

static enum err trades_watch(struct http_request *request, struct err_info *info)
{
	struct market_row row;
	field_clear(market_fields, &row);
	enum err err = value_path_number(request, "market", &row.market, info);
	if (!err)
		err = store_get(api_of(request)->store, &markets_collection, &row, http_arena(request), info);
	return err ? err
		   : begin(request, (struct stream_watch){.channel = &trades_channel, .number = row.market}, info);
}

struct levels_query {
	int64_t levels;
};
static const struct field levels_query_fields[] = {
	FIELD(struct levels_query, levels, FIELD_INT, .min = 1, .max = DEPTH_LEVELS_MOST,
		.doc = "At most so many prices of each side (10 where left out); 1 is the top of the book"),
	FIELD_END};

static enum err depth_watch(struct http_request *request, const char *name, const struct stream_channel *channel,
	depth_read *read, struct err_info *info)
{
	const struct levels_query *given = http_query(request);
	struct stream_watch watch = {.channel = channel, .levels = given->levels == FIELD_ABSENT ? 10 : given->levels};
	struct market_depth depth;
	enum err err = value_path_number(request, name, &watch.number, info);
	if (!err) /* that there is one */
		err = read(api_of(request)->store, watch.number, 1, http_arena(request), &depth, info);
	return err ? err : begin(request, watch, info);
}

static enum err instrument_watch(struct http_request *request, struct err_info *info)
{
	return depth_watch(request, "instrument", &instrument_channel, engine_depth_of_instrument, info);
}

static enum err class_watch(struct http_request *request, struct err_info *info)
{
	return depth_watch(request, "class", &class_channel, engine_depth_of_class, info);
}

static enum err own_watch(struct http_request *request, struct err_info *info)
{
	struct stream_watch watch = {.channel = &own_channel, .org = http_actor(request)->org};
	if (id_is_none(watch.org))
		return err_set(info, ERR_FORBIDDEN, NULL, "a key without organisation has no orders");
	return begin(request, watch, info);
}

#define STREAM(path_, permission_, handler_, operation_, doc_, ...)                                                  \
	HTTP_ROUTE(HTTP_GET, path_, permission_, .kind = HTTP_WORK, .flags = HTTP_STREAM_BODY, .cost = 5,            \
		.response_media = "text/event-stream", .success = 200, .errors = stream_errors, .handler = handler_, \
		.operation = operation_, .doc = doc_, __VA_ARGS__)

const struct http_route api_market_streams_routes[] = {
	STREAM("/v1/markets/{market}/stream", "market:read", trades_watch, "trades.watch",
		"Trades of a market as they happen, without names: event trade"),
	STREAM("/v1/instruments/{instrument}/stream", "market:read", instrument_watch, "instruments.watch",
		"The book of an instrument each time that it has changed, whole: event depth",
		.query = levels_query_fields, .query_size = sizeof(struct levels_query)),
	STREAM("/v1/classes/{class}/stream", "market:read", class_watch, "classes.watch",
		"The book of a class each time that it has changed, whole: event depth", .query = levels_query_fields,
		.query_size = sizeof(struct levels_query)),
	STREAM("/v1/orders/stream", "order:read", own_watch, "orders.watch",
		"What becomes of the organisation's own: events order, execution, balance"),
	{.path = NULL}};
