/* How carbonctl talks REST: the settings' URL and key, deadlines, repeats, and how a problem is said. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "call.h"

#define CALL_US (120 * CLOCK_US_PER_SECOND)

static struct net_client *client;

static void close_client(void)
{
	net_client_free(&client);
	net_stop();
}

static enum err open_client(struct err_info *info)
{
	if (client)
		return ERR_OK;
	enum err err = net_start();
	client = err == ERR_OK ? net_client_new() : NULL;
	if (!client)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for a connection");
	atexit(close_client);
	return ERR_OK;
}

char *cli_escape(struct arena *arena, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:";
	char *escaped = arena_alloc(arena, strlen(text) * 3 + 1), *at = escaped;
	for (; escaped && *text; text++) {
		if (strchr(plain, *text))
			*at++ = *text;
		else
			at += snprintf(at, 4, "%%%02X", (unsigned)(unsigned char)*text);
	}
	return escaped;
}

/* The numbers of a problem type ("…/problems/not-found") that this program knows. */
static enum err code_of_type(const char *type)
{
	const char *slug = type ? strrchr(type, '/') : NULL;
	slug = slug ? slug + 1 : type;
	size_t count;
	const struct err_row *rows = err_rows(&count);
	for (size_t i = 0; slug && i < count; i++)
		if (strcmp(rows[i].slug, slug) == 0)
			return rows[i].code;
	return ERR_INTERNAL;
}

static void read_problem(const struct net_response *response, const json_t *problem, struct err_info *info)
{
	const char *type = json_string_value(json_object_get(problem, "type"));
	const char *title = json_string_value(json_object_get(problem, "title"));
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	const char *pointer = json_string_value(json_object_get(problem, "pointer"));
	if (type || title || detail)
		err_set(info, code_of_type(type), pointer, "%s", detail ? detail : title ? title : type);
	else
		err_set(info, ERR_INTERNAL, "", "HTTP status %d: %.200s", response->status, response->body);
}

int cli_send(struct arena *arena, const struct cli_call *call, struct net_response *ret_response, struct err_info *info)
{
	const struct cli_settings *settings = cli_settings();
	struct net_header headers[7] = {{"Accept", call->accept ? call->accept : "application/json"}};
	int count = 1;
	*ret_response = (struct net_response){0};
	if (settings->key)
		headers[count++] = (struct net_header){"Authorization", arena_print(arena, "Bearer %s", settings->key)};
	if (call->body)
		headers[count++] = (struct net_header){
			"Content-Type", call->content_type ? call->content_type : "application/json"};
	if (call->if_match)
		headers[count++] = (struct net_header){"If-Match", call->if_match};
	if (call->idempotency_key)
		headers[count++] = (struct net_header){"Idempotency-Key", call->idempotency_key};
	const char *url = arena_print(arena, "%s%s", settings->url, call->path);
	if (!url || (settings->key && !headers[1].value)) {
		err_set(info, ERR_NO_MEMORY, "", "no memory for the request");
		return CLI_REFUSED;
	}
	struct net_request request = {.method = call->method,
		.url = url,
		.headers = headers,
		.body = call->body,
		.body_size = call->body_size,
		.answer_bytes_max = 48u << 20,
		.deadline_us = call->is_endless
				       ? INT64_MAX
				       : clock_monotonic_us() + (call->deadline_us ? call->deadline_us : CALL_US),
		.attempts = call->attempts ? call->attempts : 4,
		.repeatable = call->idempotency_key != NULL,
		.sink = call->sink,
		.context = call->context};
	enum err err = open_client(info);
	if (err == ERR_OK)
		err = net_request(client, &request, arena, ret_response, info);
	if (err == ERR_INVALID_FIELD || err == ERR_NET_NOT_ALLOWED)
		return CLI_USAGE;
	if (err == ERR_NET_UNREACHABLE || err == ERR_NET_BROKEN || err == ERR_DEADLINE) {
		char detail[sizeof info->detail];
		snprintf(detail, sizeof detail, "%s", info->detail);
		err_set(info, err, "", "%.150s: %.200s", settings->url, detail);
		return CLI_UNREACHABLE;
	}
	if (err != ERR_OK)
		return CLI_REFUSED;
	if (ret_response->status < 400)
		return CLI_OK;
	json_t *problem = NULL;
	if (document_parse(arena, ret_response->body, ret_response->body_size, &problem, NULL) != ERR_OK)
		problem = NULL;
	read_problem(ret_response, problem, info);
	return ret_response->status < 500 ? CLI_REFUSED : CLI_SERVER_FAILED;
}

/* Sends a document and parses the answer. */
static int exchange(struct arena *arena, struct cli_call *call, const json_t *body, json_t **ret_answer,
	int *ret_status, struct err_info *info)
{
	struct net_response response;
	if (ret_answer)
		*ret_answer = NULL;
	if (body)
		call->body = document_text(arena, body, &call->body_size);
	if (body && !call->body) {
		err_set(info, ERR_NO_MEMORY, "", "no memory for the request");
		return CLI_REFUSED;
	}
	int code = cli_send(arena, call, &response, info);
	if (ret_status)
		*ret_status = response.status;
	if (code == CLI_OK && ret_answer && response.body_size) {
		if (document_parse(arena, response.body, response.body_size, ret_answer, info) != ERR_OK)
			return CLI_SERVER_FAILED;
	}
	return code;
}

int cli_try(struct arena *arena, const char *method, const char *path, const json_t *body, json_t **ret_answer,
	int *ret_status, struct err_info *info)
{
	struct cli_call call = {.method = method, .path = path};
	return exchange(arena, &call, body, ret_answer, ret_status, info);
}

int cli_call(struct arena *arena, const char *method, const char *path, const json_t *body, json_t **ret_answer)
{
	struct err_info info = {0};
	int code = cli_try(arena, method, path, body, ret_answer, NULL, &info);
	return code == CLI_OK ? code : cli_fail_info((enum cli_exit)code, &info);
}

int cli_change(struct arena *arena, const char *method, const char *path, json_int_t version, const json_t *body,
	json_t **ret_answer)
{
	struct err_info info = {0};
	struct cli_call call = {.method = method,
		.path = path,
		.if_match = arena_print(arena, "\"%" JSON_INTEGER_FORMAT "\"", version)};
	int code = exchange(arena, &call, body, ret_answer, NULL, &info);
	return code == CLI_OK ? code : cli_fail_info((enum cli_exit)code, &info);
}
