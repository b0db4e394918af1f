/* What the resources of configuration share: whose a row is that hangs on another, and which version a change expects. */
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

#endif
