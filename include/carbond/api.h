/* api: the REST resources. One file per resource, src/api/<resource>.c: a table of route rows and thin handlers (decode,
 * one call down, encode). A handler returns an error code, never a status; http turns it into problem+json.
 *
 * To add a resource: write src/api/<resource>.c that exports `const struct http_route api_<resource>_routes[]` (ended by
 * a row whose path is NULL) and add one line RESOURCE(<resource>) to src/api/resources.def; the build and the list of
 * tables follow from that line. Rooms that the file uses go into src/api/CMakeLists.txt's link line. A small example:
 *
 *	static enum err unit_get(struct http_request *request, struct err_info *info)
 *	{
 *		struct unit unit = {0};
 *		enum err err = http_path_id(request, "id", &unit.id, info);
 *		if (err == ERR_OK)
 *			err = sensing_unit_get(api_of(request)->sensing, &unit, http_arena(request), info);
 *		if (err == ERR_OK)
 *			err = api_check_org(request, unit.org_id, info); // 404 outside the scope
 *		return err ? err : http_answer_row(request, unit_fields, &unit, unit.version);
 *	}
 *
 *	static enum err unit_create(struct http_request *request, struct err_info *info)
 *	{
 *		struct unit unit = *(const struct unit *)http_body(request); // validated by the row's field table
 *		struct audit_actor actor = api_actor(request);
 *		enum err err = api_choose_org(request, unit.org_id, &unit.org_id, info); // absent: the actor's own
 *		if (err == ERR_OK)
 *			err = sensing_unit_create(api_of(request)->sensing, &actor, &unit, http_arena(request), info);
 *		if (err)
 *			return err;
 *		api_set_location(request, "/v1/units/", unit.id);
 *		return http_answer_row(request, unit_fields, &unit, unit.version); // 201 from the row
 *	}
 *
 *	static enum err units_list(struct http_request *request, struct err_info *info)
 *	{
 *		struct unit low = {0};
 *		enum err err = api_choose_org(request, (struct id){0}, &low.org_id, info);
 *		if (err)
 *			return err;
 *		struct store_query query = {
 *			.collection = &units_collection, .index = "by_org", .low = &low, .prefix = 1};
 *		return api_answer_found(request, &query, unit_fields, info); // limit, cursor, next_cursor
 *	}
 *
 *	const struct http_route api_units_routes[] = {
 *		HTTP_ROUTE(HTTP_GET, "/v1/units", "unit:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 2,
 *			.response = unit_fields, .success = 200, .handler = units_list, .operation = "units.list",
 *			.doc = "The units of an organisation"),
 *		HTTP_ROUTE(HTTP_POST, "/v1/units", "unit:write", .kind = HTTP_WORK, .body_bytes_max = 64 << 10,
 *			.cost = 2, .request = unit_fields, .request_size = sizeof(struct unit), .response = unit_fields,
 *			.success = 201, .handler = unit_create, .operation = "units.create", .doc = "Creates a unit"),
 *		{.path = NULL}};
 *
 * A PUT or PATCH row has flag HTTP_IF_MATCH and its handler compares http_if_match(request) by a STORE_EQUALS condition
 * on `version`. A PATCH row has .request_mode = FIELD_REPLACE: its handler reads the stored row and lays the body over it
 * with http_body_over. A command of the engine is HTTP_LATER: `handler` fills a command (id = http_idempotency_key), makes a
 * reply with http_reply_new and submits; `reply` encodes reply->result, with api_set_position. Permissions are
 * "<resource>:<verb>"; who holds them, and how far they reach (own, org, any), are rows of include/carbond/roles.def. */
#ifndef CARBOND_API_H
#define CARBOND_API_H

#include <stdatomic.h>

#include "carbond/audit.h"
#include "carbond/http.h"
#include "carbond/store.h"

struct cache;
struct engine;
struct evidence;
struct identity;
struct ingest;
struct relay;
struct sensing;
struct stream;

/* A part's answer to /readyz: true when it can serve; otherwise one sentence in `reason`. Must not block. */
struct api_check {
	const char *name; /* "store"; NULL ends the list */
	bool (*ready)(void *context, char *reason, size_t size);
	void *context;
};

/* Every service that handlers call down to; filled by daemon before api_start, all borrowed. */
struct api {
	const char *node;    /* this daemon's name in the logs' streams */
	struct id registry;  /* part of every issuanceId */
	const char *version; /* "0.1.0" */
	int64_t started_at_us;
	struct store *store;
	struct audit *audit;
	struct cache *cache;
	struct identity *identity;
	struct sensing *sensing;
	struct ingest *ingest;
	struct engine *engine;
	struct evidence *evidence;
	const char *relay_key_file;      /* secret of the daemons on this store; NULL: nothing is passed on */
	const char *relay_tls_ca;        /* NULL: the system's authorities */
	int64_t relay_deadline_us;       /* of an answer of the daemon that leads */
	const struct api_check *checks;  /* for /readyz, ended by name NULL; may be NULL */
	struct http_server *http_server; /* set by api_start */
	_Atomic(char *) openapi;         /* the document as text; made when it is first asked for, then constant */
	struct relay *relay;             /* set by api_start */
	struct stream *journal_stream;   /* set by api_start where there is an engine, like … */
	struct stream *market_stream;    /* … this one */
};

/* All route tables: what is served, and what OpenAPI, the docs and the access matrix are made from. NULL-terminated. */
extern const struct http_route *const api_tables[];

/* Starts the listener over all tables (or those that `http` names). `http` gives address, port, threads, limits and TLS;
 * its context, authenticate and server are set here. Main thread. */
enum err api_start(struct api *api, const struct http_options *http, struct err_info *info) MUST_CHECK;
/* Drains until `deadline_us` (monotonic), then closes. Main thread. */
void api_stop(struct api *api, int64_t deadline_us);

/* ---- helpers for handlers; on the handler's thread ---- */

/* The services. */
struct api *api_of(struct http_request *request);

/* Who does it, for audit_write; borrowed from the request. */
struct audit_actor api_actor(struct http_request *request);

/* The organisation that a list or a creation is about: `named` if given, else the actor's own. ERR_FORBIDDEN where the
 * permission reaches only the actor's organisation and `named` is another. For a scope of any and nothing named, a
 * platform key (without organisation) gets ERR_MISSING_FIELD. */
enum err api_choose_org(
	struct http_request *request, struct id named, struct id *ret_org, struct err_info *info) MUST_CHECK;
/* A row that was found by its id: ERR_NOT_FOUND where its organisation is outside the actor's scope. */
enum err api_check_org(struct http_request *request, struct id org, struct err_info *info) MUST_CHECK;
/* True where the permission reaches every organisation. */
bool api_reaches_all(struct http_request *request);
/* True where the permission reaches only what the actor itself made or is named in. */
bool api_reaches_own(struct http_request *request);

/* Forgets what GET has kept of a row: store_options.changed, with the cache as its context. Any thread. */
void api_row_changed(void *cache, const struct store_collection *collection, const void *row);

/* Answers a page: runs `query` with the request's limit and cursor (its after and most are set here) and writes the
 * rows by `fields`. HTTP_WORK only, on routes with HTTP_PAGED. ERR_INVALID_CURSOR. */
enum err api_answer_found(struct http_request *request, struct store_query *query, const struct field *fields,
	struct err_info *info) MUST_CHECK;

/* The same in two steps, for handlers that change rows before http_answer_page. */
enum err api_find_page(struct http_request *request, struct store_query *query, void **ret_rows, size_t *ret_count,
	const char **ret_next, struct err_info *info) MUST_CHECK;

/* The cursor behind `row`: its index and key members as text in the arena; NULL without memory. And back, into a new
 * row of the collection. ERR_INVALID_CURSOR for the cursor of another collection or index. */
char *api_cursor_text(
	struct arena *arena, const struct store_collection *collection, const char *index, const void *row);
enum err api_cursor_parse(struct arena *arena, const struct store_collection *collection, const char *index,
	const char *text, void **ret_row, struct err_info *info) MUST_CHECK;

/* ERR_INVALID_CURSOR where the request's cursor is none of this list; for lists of something in the path, before that is looked for. */
enum err api_check_cursor(struct http_request *request, const struct store_collection *collection, const char *index,
	struct err_info *info) MUST_CHECK;

/* Response headers: Location, and Carbond-Position: <shard>.<position> of a value reply (decision 12). */
void api_set_location(struct http_request *request, const char *prefix, struct id id);
void api_set_position(struct http_request *request, unsigned shard, int64_t position);

/* Writes api.md, errors.md and metrics.md, made from the tables, into `folder`. ERR_IO. */
enum err api_write_docs(const char *folder, const char *version, struct err_info *info) MUST_CHECK;

#endif
