/* Decides which requests a daemon that follows passes on to the one that leads, and whom it believes that a request was passed on.
 * The whole request goes: method, path, body, the caller's credentials, which the leader checks itself, key and id; the answer
 * comes back as it is. A request is passed on once: whoever gets it and does not lead, refuses it. Daemons on one store know each
 * other by a secret. http threads decide, workers wait for the answer. */
#include "relay.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/engine.h"
#include "carbond/net.h"

#define KEY_HEADER    "Carbond-Relay-Key"
#define PEER_HEADER   "Carbond-Relay-Peer"
#define KEY_SIZE      256
#define KEY_LEAST     32
#define CLIENTS_MAX   64                        /* kept; as many as there may be workers */
#define AWAIT_US      (5 * CLOCK_US_PER_SECOND) /* for another leader, while the lead changes hands */
#define LOOK_EACH_NS  20000000
#define HEADERS_MAX   12
#define ANSWER_FACTOR 2 /* an answer may take half of a request's arena */

struct relay {
	char key[KEY_SIZE];
	struct hash hash; /* of the key: compared in constant time, whatever is sent */
	const char *tls_ca;
	int64_t deadline_us;
	pthread_mutex_t lock; /* of the clients; held for nothing else */
	struct net_client *clients[CLIENTS_MAX];
	size_t count;
};

/* ---- start and stop ---- */

static enum err read_key(const char *path, char ret_key[KEY_SIZE], struct err_info *info)
{
	FILE *stream = fopen(path, "re");
	if (!stream)
		return err_set(
			info, ERR_INVALID_CONFIG, "/relay.key_file", "relay.key_file: %s: %s", path, strerror(errno));
	bool there = fgets(ret_key, KEY_SIZE, stream) != NULL;
	fclose(stream);
	ret_key[there ? strcspn(ret_key, "\r\n") : 0] = 0;
	for (const char *at = ret_key; *at; at++)
		there = there && *at > ' ' && *at < 0x7f;
	return there && strlen(ret_key) >= KEY_LEAST ? ERR_OK
						     : err_set(info, ERR_INVALID_CONFIG, "/relay.key_file",
							       "relay.key_file: the first line of %s must be %d to %d "
							       "printable characters without spaces",
							       path, KEY_LEAST, KEY_SIZE - 2);
}

static struct hash hash_of_key(const char *key)
{
	return sha256_of("carbond/relay/1", key, strlen(key));
}

enum err relay_start(const struct api *api, struct relay **ret_relay, struct err_info *info)
{
	*ret_relay = NULL;
	if (!api->relay_key_file)
		return ERR_OK;
	struct relay *relay = calloc(1, sizeof *relay);
	if (!relay)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to pass requests on");
	enum err err = read_key(api->relay_key_file, relay->key, info);
	if (!err)
		err = net_start();
	if (err) {
		explicit_bzero(relay, sizeof *relay);
		free(relay);
		return err;
	}
	relay->hash = hash_of_key(relay->key);
	relay->tls_ca = api->relay_tls_ca;
	relay->deadline_us = api->relay_deadline_us;
	pthread_mutex_init(&relay->lock, NULL);
	*ret_relay = relay;
	return ERR_OK;
}

void relay_stop(struct relay **relay)
{
	struct relay *old = *relay;
	*relay = NULL;
	if (!old)
		return;
	for (size_t i = 0; i < old->count; i++)
		net_client_free(&old->clients[i]);
	net_stop();
	pthread_mutex_destroy(&old->lock);
	explicit_bzero(old, sizeof *old);
	free(old);
}

/* ---- who passes on ---- */

enum err relay_accept(
	const struct relay *relay, struct http_request *request, bool *ret_passed_on, struct err_info *info)
{
	const char *key = http_header(request, KEY_HEADER), *peer = http_header(request, PEER_HEADER);
	*ret_passed_on = key != NULL;
	if (!key)
		return ERR_OK;
	if (!relay || !hash_equal(hash_of_key(key), relay->hash))
		return err_set(info, ERR_UNAUTHENTICATED, NULL, "this is not a key of the daemons on this store");
	if (peer && *peer)
		http_believe_peer(request, peer);
	return ERR_OK;
}

bool relay_is_elsewhere(void *context, struct http_request *request, enum err refused)
{
	const struct api *api = context;
	bool asks_leader = refused == ERR_NOT_LEADER || (!refused && http_route(request)->flags & HTTP_VALUE);
	return asks_leader && api->relay && api->engine && !http_header(request, KEY_HEADER) &&
	       !engine_leads(api->engine);
}

/* ---- clients: one thread uses one at a time ---- */

static struct net_client *client_take(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	struct net_client *client = relay->count ? relay->clients[--relay->count] : NULL;
	pthread_mutex_unlock(&relay->lock);
	return client ? client : net_client_new();
}

static void client_give(struct relay *relay, struct net_client *client)
{
	pthread_mutex_lock(&relay->lock);
	if (relay->count < CLIENTS_MAX) {
		relay->clients[relay->count++] = client;
		client = NULL;
	}
	pthread_mutex_unlock(&relay->lock);
	net_client_free(&client);
}

/* ---- passing on ---- */

/* While the lead changes hands there is nobody to ask: it is waited for, so that a restart in turn shows to nobody. `tried_term`: of
 * the leader that has refused or not answered; 0: none has. */
static bool await_leader(struct engine *engine, int64_t tried_term, int64_t until_us, struct engine_leader *ret_leader)
{
	for (;;) {
		engine_leader(engine, ret_leader);
		bool found = ret_leader->address[0] && ret_leader->term != tried_term;
		if (found || clock_monotonic_us() >= until_us)
			return found;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_EACH_NS}, NULL);
	}
}

static size_t add_header(struct net_header *headers, size_t count, const char *name, const char *value)
{
	if (value)
		headers[count++] = (struct net_header){name, value};
	return count;
}

static void write_headers(
	const struct relay *relay, struct http_request *request, struct net_header headers[HEADERS_MAX])
{
	static const char *const passed[] = {
		"Authorization", "Idempotency-Key", "Content-Type", "Accept", "If-Match", "If-None-Match"};
	size_t count = 0;
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
		count = add_header(headers, count, passed[i], http_header(request, passed[i]));
	count = add_header(headers, count, "X-Request-Id", http_request_id(request));
	count = add_header(headers, count, KEY_HEADER, relay->key);
	count = add_header(headers, count, PEER_HEADER, http_peer(request));
	headers[count] = (struct net_header){NULL, NULL};
}

/* The headers that this API gives, as it writes them; net has them in lower case. */
static const char *header_of_the_answer(const char *name)
{
	static const char *const passed[] = {"Location", "Retry-After", "ETag", "Content-Disposition",
		"WWW-Authenticate", "Carbond-Position", "Carbond-Next-Position", NULL};
	for (const char *const *header = passed; *header; header++)
		if (strcasecmp(name, *header) == 0)
			return *header;
	return NULL;
}

static enum err give_back(struct http_request *request, const struct net_response *response)
{
	for (const struct net_header *header = response->headers; header->name; header++)
		if (header_of_the_answer(header->name))
			http_set_header(request, header_of_the_answer(header->name), header->value);
	http_set_status(request, response->status);
	const char *media = net_header_get(response, "content-type");
	if (response->body_size == 0 || !media)
		return http_answer_empty(request);
	return http_answer_text(request, media, response->body, response->body_size);
}

/* Whatever happened, the caller may ask again: a value command under the same key happens once. */
static enum err unanswered(const struct engine_leader *leader, const struct err_info *why, struct err_info *info)
{
	metric_add(METRIC_RELAY_FAILURES, 1);
	return err_set(info, ERR_NOT_LEADER, NULL,
		"the daemon that leads (%s) did not answer: %.150s; ask again under the same Idempotency-Key",
		leader->node, why->detail[0] ? why->detail : err_row(why->code)->title);
}

/* The other daemon has not led when it came there: nothing was done. */
static bool is_refused(struct arena *arena, const struct net_response *response)
{
	json_t *problem = NULL;
	if (response->status != err_row(ERR_NOT_LEADER)->status ||
		document_parse(arena, response->body, response->body_size, &problem, NULL) != ERR_OK)
		return false;
	const char *type = json_string_value(json_object_get(problem, "type"));
	const char *slug = type ? strrchr(type, '/') : NULL;
	return slug && strcmp(slug + 1, err_row(ERR_NOT_LEADER)->slug) == 0;
}

static enum err pass_to(struct relay *relay, const struct engine_leader *leader, struct http_request *request,
	struct net_response *ret_response, struct err_info *info)
{
	struct net_header headers[HEADERS_MAX];
	size_t size = 0;
	write_headers(relay, request, headers);
	const char *url = arena_print(http_arena(request), "%s%s", leader->address, http_target(request));
	const char *body = http_body_text(request, &size);
	struct net_client *client = client_take(relay);
	if (!url || !client) {
		net_client_free(&client);
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to pass the request on");
	}
	struct net_request passed = {.method = http_method_name(request),
		.url = url,
		.headers = headers,
		.body = size ? body : NULL,
		.body_size = size,
		.answer_bytes_max = LIMIT_ARENA_BYTES / ANSWER_FACTOR,
		.deadline_us = clock_monotonic_us() + relay->deadline_us,
		.ca_file = relay->tls_ca};
	enum err err = net_request(client, &passed, http_arena(request), ret_response, info);
	client_give(relay, client);
	metric_add(METRIC_RELAYED, 1);
	return err;
}

/* Where the leader goes while it is asked, its successor is asked the same under the same key, and says what came of it. */
enum err relay_pass_on(void *context, struct http_request *request, struct err_info *info)
{
	const struct api *api = context;
	struct engine_leader leader = {.term = 0}, last = {.term = 0};
	struct net_response response;
	struct err_info why = {0};
	bool asked = false, refused = false;
	int64_t until_us = clock_monotonic_us() + AWAIT_US;
	while (await_leader(api->engine, last.term, until_us, &leader)) {
		enum err err = pass_to(api->relay, &leader, request, &response, &why);
		why.code = err;
		if (err == ERR_NO_MEMORY || err == ERR_TOO_LARGE)
			return unanswered(&leader, &why, info);
		refused = !err && is_refused(http_arena(request), &response);
		if (!err && !refused)
			return give_back(request, &response);
		asked = true;
		last = leader;
	}
	if (!asked)
		return err_set(info, ERR_NOT_LEADER, NULL, "no daemon that can be reached leads now");
	return refused ? give_back(request, &response) : unanswered(&last, &why, info);
}
