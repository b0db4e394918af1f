/* What only the leader can answer, and a daemon that follows is asked: passed on to the leader as a whole, once. */
#ifndef API_RELAY_H
#define API_RELAY_H

#include "carbond/api.h"

#define RELAY_THREADS 16 /* requests passed on at once; more wait as for a worker */

/* Reads the secret of api->relay_key_file. NULL in *ret_relay where none is given. ERR_INVALID_CONFIG. Main thread. */
enum err relay_start(const struct api *api, struct relay **ret_relay, struct err_info *info) MUST_CHECK;
void relay_stop(struct relay **relay);

/* Whether another daemon passes this request on; its client is then the one that it names. ERR_UNAUTHENTICATED for a wrong
 * secret. `relay` may be NULL. On an http thread. */
enum err relay_accept(
	const struct relay *relay, struct http_request *request, bool *ret_passed_on, struct err_info *info) MUST_CHECK;

/* For http_options; the context is struct api. */
bool relay_is_elsewhere(void *api, struct http_request *request, enum err refused);
enum err relay_pass_on(void *api, struct http_request *request, struct err_info *info) MUST_CHECK;

#endif
