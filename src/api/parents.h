/* What the resources of configuration share: how a row is read and how rows are listed, whose a row is that hangs on another,
 * and which version a change expects. Their collections have the key "id" and a member "org_id". Workers. */
#ifndef API_PARENTS_H
#define API_PARENTS_H

#include "carbond/api.h"

/* The version that a change is conditional on: If-Match's, or with "*" the one that was read. */
int64_t api_expect(struct http_request *request, int64_t read_version);

/* The organisation of a row whose parent decides it: zero (the parent's) for an actor that reaches all and names none, else
 * as api_choose_org; a parent of another organisation is then ERR_NOT_FOUND. */
enum err api_parent_org(
	struct http_request *request, struct id named, struct id *ret_org, struct err_info *info) MUST_CHECK;

/* The organisation of a unit or sensor that a list is narrowed to; ERR_NOT_FOUND outside the actor's scope. */
enum err api_unit_org(
	struct http_request *request, struct id unit, struct id *ret_org, struct err_info *info) MUST_CHECK;
enum err api_sensor_org(
	struct http_request *request, struct id sensor, struct id *ret_org, struct err_info *info) MUST_CHECK;

/* Reads the row that the path's {id} names. ERR_INVALID_ID, ERR_NOT_FOUND (also outside the actor's scope). */
enum err api_read_row(struct http_request *request, const struct store_collection *collection, void *ret_row,
	struct err_info *info) MUST_CHECK;

/* GET of one row by {id}, for routes whose `subject` is a watched collection with members org_id and version: api_row_get on a
 * worker, api_row_get_kept as the row's `quick`, which answers what an earlier one has kept. */
enum err api_row_get(struct http_request *request, struct err_info *info) MUST_CHECK;
enum err api_row_get_kept(struct http_request *request, struct err_info *info) MUST_CHECK;
#define API_ROW_GET(collection) .handler = api_row_get, .quick = api_row_get_kept, .subject = &(collection)

/* What a list is narrowed to beside the organisation: a parent, whose organisation `org_of` finds, by an index that begins with
 * (org_id, parent). */
struct api_parent {
	struct id id; /* zero: not narrowed */
	const char *index;
	enum err (*org_of)(struct http_request *request, struct id parent, struct id *ret_org, struct err_info *info);
};

/* Answers a page: the rows of the parent where one is named, else of an organisation, else (for who sees all) of all. `low` is a
 * row that holds the query's org_id and the parent's id; `parent` may be NULL. */
enum err api_list_rows(struct http_request *request, const struct store_collection *collection, void *low,
	const struct api_parent *parent, struct err_info *info) MUST_CHECK;

#endif
