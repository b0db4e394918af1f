/* One outbound request over libcurl: where it may go, how long it may take, how much it may bring, when it is repeated. The
 * client's thread. */
#include "carbond/net.h"

#include <ctype.h>
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "carbond/base/clock.h"
#include "carbond/base/sign.h"

#define DEFAULT_ANSWER_BYTES (16u << 20)
#define DEFAULT_DEADLINE_US  (30 * CLOCK_US_PER_SECOND)
#define CONNECT_MS           10000
#define FIRST_PAUSE_US       INT64_C(100000)
#define LONGEST_PAUSE_US     (5 * CLOCK_US_PER_SECOND)
#define LONGEST_US           (24 * CLOCK_US_PER_HOUR) /* a later deadline is none */
#define HEADERS_MAX          100

struct net_client {
	CURL *curl;
};

/* What one attempt has received so far. */
struct attempt {
	const struct net_request *request;
	CURL *curl;
	struct arena *arena;
	struct net_header headers[HEADERS_MAX + 1];
	size_t header_count;
	char *body;
	size_t body_size, body_capacity, body_most;
	bool has_sunk; /* the sink was given something */
	enum err err;  /* why the callbacks broke off */
};

enum err net_start(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? ERR_OK : ERR_NO_MEMORY;
}

void net_stop(void)
{
	curl_global_cleanup();
}

struct net_client *net_client_new(void)
{
	struct net_client *client = calloc(1, sizeof *client);
	if (!client)
		return NULL;
	client->curl = curl_easy_init();
	if (!client->curl) {
		free(client);
		return NULL;
	}
	return client;
}

void net_client_free(struct net_client **client)
{
	if (!*client)
		return;
	curl_easy_cleanup((*client)->curl);
	free(*client);
	*client = NULL;
}

/* ---- where it may go ---- */

static bool host_fits(const char *pattern, const char *host)
{
	if (strncmp(pattern, "*.", 2) != 0)
		return strcasecmp(pattern, host) == 0;
	size_t tail = strlen(pattern + 1), length = strlen(host);
	return length > tail && strcasecmp(host + length - tail, pattern + 1) == 0;
}

static bool host_allowed(const char *const *allow, const char *host)
{
	for (; *allow; allow++)
		if (host_fits(*allow, host))
			return true;
	return false;
}

static enum err check_url(const struct net_request *request, struct err_info *info)
{
	CURLU *url = curl_url();
	char *host = NULL, *scheme = NULL;
	enum err err = ERR_OK;
	if (!url)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the URL");
	if (curl_url_set(url, CURLUPART_URL, request->url, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
		(strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		err = err_set(
			info, ERR_INVALID_FIELD, "", "\"%.200s\" is not an http:// or https:// URL", request->url);
	else if (request->allow && !host_allowed(request->allow, host))
		err = err_set(info, ERR_NET_NOT_ALLOWED, "", "%.200s is not on the list of allowed hosts", host);
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(url);
	return err;
}

/* ---- receiving ---- */

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
	struct attempt *attempt = context;
	size_t length = size * count;
	if (length >= 5 && strncmp(data, "HTTP/", 5) == 0)
		attempt->header_count = 0; /* the final answer after a 1xx one */
	const char *colon = memchr(data, ':', length);
	if (!colon || attempt->header_count == HEADERS_MAX)
		return length;
	char *name = arena_copy(attempt->arena, data, (size_t)(colon - data));
	const char *value = colon + 1, *end = data + length;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	char *copy = arena_copy(attempt->arena, value, (size_t)(end - value));
	if (!name || !copy) {
		attempt->err = ERR_NO_MEMORY;
		return 0;
	}
	for (char *at = name; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	attempt->headers[attempt->header_count++] = (struct net_header){name, copy};
	return length;
}

static bool keep(struct attempt *attempt, const char *data, size_t length)
{
	if (length > attempt->body_most - attempt->body_size) {
		attempt->err = ERR_TOO_LARGE;
		return false;
	}
	if (attempt->body_size + length + 1 > attempt->body_capacity) {
		size_t capacity = (attempt->body_size + length + 1) * 2;
		char *body = realloc(attempt->body, capacity);
		if (!body) {
			attempt->err = ERR_NO_MEMORY;
			return false;
		}
		attempt->body = body;
		attempt->body_capacity = capacity;
	}
	memcpy(attempt->body + attempt->body_size, data, length);
	attempt->body_size += length;
	return true;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct attempt *attempt = context;
	size_t length = size * count;
	long status = 0;
	curl_easy_getinfo(attempt->curl, CURLINFO_RESPONSE_CODE, &status);
	if (!attempt->request->sink || status < 200 || status > 299)
		return keep(attempt, data, length) ? length : 0;
	attempt->has_sunk = true;
	attempt->err = attempt->request->sink(attempt->request->context, data, length);
	return attempt->err == ERR_OK ? length : 0;
}

/* ---- one attempt ---- */

static struct curl_slist *headers_new(const struct net_header *headers)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no pause before a body */
	for (; list && headers && headers->name; headers++) {
		char line[4096];
		int length = snprintf(line, sizeof line, "%s: %s", headers->name, headers->value);
		struct curl_slist *longer =
			length > 0 && (size_t)length < sizeof line ? curl_slist_append(list, line) : NULL;
		if (!longer) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = longer;
	}
	return list;
}

static void set_options(CURL *curl, const struct net_request *request, struct curl_slist *headers,
	struct attempt *attempt, int64_t left_us)
{
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (left_us < LONGEST_US) /* else there is none */
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(left_us / 1000 > 0 ? left_us / 1000 : 1));
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, attempt);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, attempt);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "carbond");
	if (request->unix_socket)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	if (request->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
	if (request->body || strcmp(request->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
	}
	if (strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static enum err translate(CURLcode code, const struct attempt *attempt, const char *reason, struct err_info *info)
{
	if (attempt->err == ERR_TOO_LARGE)
		return err_set(info, ERR_TOO_LARGE, "", "the answer is larger than %zu bytes", attempt->body_most);
	if (attempt->err != ERR_OK)
		return err_set(info, attempt->err, "", "%s", err_row(attempt->err)->title);
	if (!*reason)
		reason = curl_easy_strerror(code);
	switch (code) {
	case CURLE_OK: return ERR_OK;
	case CURLE_OUT_OF_MEMORY: return err_set(info, ERR_NO_MEMORY, "", "no memory for the request");
	case CURLE_OPERATION_TIMEDOUT: return err_set(info, ERR_DEADLINE, "", "no answer in time: %s", reason);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL: return err_set(info, ERR_INVALID_FIELD, "", "%s", reason);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_PEER_FAILED_VERIFICATION: return err_set(info, ERR_NET_UNREACHABLE, "", "%s", reason);
	default: return err_set(info, ERR_NET_BROKEN, "", "%s", reason);
	}
}

static enum err attempt_once(struct net_client *client, const struct net_request *request, struct arena *arena,
	int64_t deadline_us, struct net_response *ret_response, bool *ret_has_sunk, struct err_info *info)
{
	struct attempt attempt = {.request = request,
		.curl = client->curl,
		.arena = arena,
		.body_most = request->answer_bytes_max ? request->answer_bytes_max : DEFAULT_ANSWER_BYTES};
	char reason[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = headers_new(request->headers);
	if (!headers)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the headers, or one is too long");
	set_options(client->curl, request, headers, &attempt, deadline_us - clock_monotonic_us());
	curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, reason);
	CURLcode code = curl_easy_perform(client->curl);
	enum err err = translate(code, &attempt, reason, info);
	*ret_has_sunk = attempt.has_sunk;
	if (err == ERR_OK) {
		long status = 0;
		curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
		struct net_header *kept = ARENA_ARRAY(arena, struct net_header, attempt.header_count + 1);
		if (kept)
			memcpy(kept, attempt.headers, attempt.header_count * sizeof *kept);
		*ret_response = (struct net_response){.status = (int)status,
			.headers = kept,
			.body = arena_copy(arena, attempt.body, attempt.body_size),
			.body_size = attempt.body_size};
		if (!kept || !ret_response->body)
			err = err_set(info, ERR_NO_MEMORY, "", "no memory for the answer");
	}
	curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(headers);
	free(attempt.body);
	return err;
}

/* ---- repeating ---- */

static bool may_repeat(const struct net_request *request)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE"};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (strcmp(request->method, methods[i]) == 0)
			return true;
	return request->repeatable;
}

static bool is_passing(enum err err, int status)
{
	if (err != ERR_OK)
		return err == ERR_NET_UNREACHABLE || err == ERR_NET_BROKEN;
	return status == 429 || status == 502 || status == 503 || status == 504;
}

/* Half of the pause is certain, half is left to chance, so that many clients do not come back at once. */
static int64_t pause_us(int attempt, const struct net_response *response)
{
	const char *after = response->status ? net_header_get(response, "retry-after") : NULL;
	if (after && isdigit((unsigned char)*after))
		return (strlen(after) < 5 ? strtol(after, NULL, 10) : 9999) * CLOCK_US_PER_SECOND;
	int64_t longest = attempt < 6 ? FIRST_PAUSE_US << attempt : LONGEST_PAUSE_US;
	longest = longest < LONGEST_PAUSE_US ? longest : LONGEST_PAUSE_US;
	uint32_t chance;
	random_bytes(&chance, sizeof chance);
	return longest / 2 + (int64_t)chance % (longest / 2);
}

enum err net_request(struct net_client *client, const struct net_request *request, struct arena *arena,
	struct net_response *ret_response, struct err_info *info)
{
	int64_t deadline_us = request->deadline_us ? request->deadline_us : clock_monotonic_us() + DEFAULT_DEADLINE_US;
	int most = request->attempts > 1 && may_repeat(request) ? request->attempts : 1;
	*ret_response = (struct net_response){0};
	enum err err = check_url(request, info);
	if (err != ERR_OK)
		return err;
	for (int attempt = 1;; attempt++) {
		struct net_response response = {0};
		bool has_sunk = false;
		err = attempt_once(client, request, arena, deadline_us, &response, &has_sunk, info);
		response.attempts = attempt;
		*ret_response = response;
		if (attempt == most || has_sunk || !is_passing(err, response.status))
			return err;
		int64_t pause = pause_us(attempt - 1, &response);
		if (clock_monotonic_us() + pause >= deadline_us)
			return err;
		poll(NULL, 0, (int)(pause / 1000));
	}
}

const char *net_header_get(const struct net_response *response, const char *name)
{
	for (const struct net_header *header = response->headers; header && header->name; header++)
		if (strcmp(header->name, name) == 0)
			return header->value;
	return NULL;
}
