/* Answers: what handlers give, problem+json for what they refuse, and the one place that turns either into a response of
 * libmicrohttpd. The http_answer functions run on the handler's thread, http_answer_send on the http thread. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "http_internal.h"

#define PROBLEM_MEDIA "application/problem+json"
#define STREAM_BLOCK  (64u << 10)

/* ---- what handlers give ---- */

/* A handler answers once; a second answer is a fault of ours. */
static struct http_answer *give(struct http_request *request, int status, const char *media)
{
	struct http_answer *answer = &request->answer;
	assert(!answer->given);
	answer->given = true;
	if (!answer->status)
		answer->status = status ? status : 200;
	answer->media = media;
	return answer;
}

static enum err give_text(struct http_request *request, const char *text, size_t size, int64_t version)
{
	const char *media = request->route->response_media ? request->route->response_media : "application/json";
	struct http_answer *answer = give(request, request->route->success, media);
	answer->body = text;
	answer->size = size;
	answer->version = version;
	return ERR_OK;
}

static enum err give_document(struct http_request *request, json_t *document, int64_t version)
{
	size_t size = 0;
	json_t *owned = document_own(request->arena, document);
	char *text = owned ? document_text(request->arena, owned, &size) : NULL;
	return text ? give_text(request, text, size, version) : ERR_NO_MEMORY;
}

/* RFC 9110 13.1.2: weak comparison over a list. */
static bool none_match_holds(const char *header, int64_t version)
{
	char etag[32];
	size_t size = (size_t)snprintf(etag, sizeof etag, "\"%lld\"", (long long)version);
	if (strcmp(header, "*") == 0)
		return true;
	for (const char *at = header; (at = strstr(at, etag)); at += size) {
		char before = at == header ? ',' : at[-1];
		if (before == ',' || before == ' ' || before == '/')
			return true;
	}
	return false;
}

/* True where the caller has this version already: answered 304. */
static bool give_unmodified(struct http_request *request, int64_t version)
{
	const char *none_match = http_header_in(request, "If-None-Match");
	bool reads = request->method == HTTP_GET || request->head;
	if (version < 0 || !reads || !none_match || !none_match_holds(none_match, version))
		return false;
	struct http_answer *answer = give(request, 0, NULL);
	answer->status = 304;
	answer->version = version;
	return true;
}

enum err http_answer_row(struct http_request *request, const struct field *table, const void *row, int64_t version)
{
	if (give_unmodified(request, version))
		return ERR_OK;
	return give_document(request, field_write(table, row), version);
}

enum err http_answer_written(struct http_request *request, const char *json, size_t size, int64_t version)
{
	return give_unmodified(request, version) ? ERR_OK : give_text(request, json, size, version);
}

enum err http_answer_json(struct http_request *request, json_t *document)
{
	return give_document(request, document, -1);
}

enum err http_answer_text(struct http_request *request, const char *media, const char *text, size_t size)
{
	struct http_answer *answer = give(request, request->route->success, media);
	answer->body = text;
	answer->size = size;
	return ERR_OK;
}

enum err http_answer_empty(struct http_request *request)
{
	struct http_answer *answer = give(request, 0, NULL);
	answer->status = 204;
	return ERR_OK;
}

void http_page_add(struct http_page *page, const struct field *table, const void *row)
{
	if (page->text.size)
		text_add(&page->text, ",", 1);
	else
		text_add_word(&page->text, "{\"items\":[");
	field_print(table, row, &page->text);
}

enum err http_answer_written_page(struct http_request *request, struct http_page *page, const char *next_cursor)
{
	struct text *text = &page->text;
	size_t size;
	text_add_word(text, text->size ? "]" : "{\"items\":[]");
	if (next_cursor) {
		text_add_word(text, ",\"next_cursor\":");
		text_add_string(text, next_cursor, strlen(next_cursor));
	}
	text_add(text, "}", 1);
	const char *body = text_take(text, request->arena, &size);
	if (!body)
		return ERR_NO_MEMORY;
	const char *media = request->route->response_media ? request->route->response_media : "application/json";
	return http_answer_text(request, media, body, size);
}

enum err http_answer_page(struct http_request *request, const struct field *table, const void *rows, size_t row_size,
	size_t count, const char *next_cursor)
{
	struct http_page page = {0};
	for (size_t i = 0; i < count; i++)
		http_page_add(&page, table, (const char *)rows + i * row_size);
	return http_answer_written_page(request, &page, next_cursor);
}

enum err http_answer_stream(struct http_request *request, const char *media,
	long (*read)(void *context, uint64_t offset, char *buffer, size_t size), void (*release)(void *context),
	void *context)
{
	struct http_stream *stream = malloc(sizeof *stream);
	if (!stream)
		return ERR_NO_MEMORY;
	*stream = (struct http_stream){.read = read, .release = release, .context = context};
	give(request, request->route->success, media)->stream = stream;
	return ERR_OK;
}

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
			return false;
	}
	return true;
}

void http_set_header(struct http_request *request, const char *name, const char *value)
{
	struct http_answer *answer = &request->answer;
	char *kept_name = arena_copy(request->arena, name, strlen(name));
	char *kept_value = arena_copy(request->arena, value, strlen(value));
	if (!kept_name || !kept_value || !is_plain(value))
		return;
	for (size_t i = 0; i < answer->header_count; i++) {
		if (strcasecmp(answer->headers[i].name, name) == 0) {
			answer->headers[i].value = kept_value;
			return;
		}
	}
	assert(answer->header_count < HTTP_HEADERS_OUT);
	answer->headers[answer->header_count++] = (struct http_pair){kept_name, kept_value};
}

void http_set_status(struct http_request *request, int status)
{
	request->answer.status = status;
}

bool http_accepts(struct http_request *request, const char *media)
{
	const char *accept = http_header_in(request, "Accept");
	size_t kind = strcspn(media, "/");
	if (!accept)
		return true;
	while (*accept) {
		size_t size = strcspn(accept, ","), name = strcspn(accept, ",; ");
		bool refused = false;
		for (const char *q = accept + name; q + 3 < accept + size; q++)
			refused =
				refused || (strncasecmp(q, ";q=0", 4) == 0 && (q[4] != '.' || strspn(q + 5, "0") >= 3));
		bool any = name == 3 && strncmp(accept, "*/*", 3) == 0;
		bool kin = name == kind + 2 && strncasecmp(accept, media, kind + 1) == 0 && accept[kind + 1] == '*';
		if (!refused && (any || kin || (name == strlen(media) && strncasecmp(accept, media, name) == 0)))
			return true;
		accept += size;
		accept += strspn(accept, ", ");
	}
	return false;
}

/* ---- problems ---- */

char *http_problem_text(struct arena *arena, const struct err_info *info, const char *request_id, size_t *ret_size)
{
	const struct err_row *row = err_row(info->code);
	char type[96];
	snprintf(type, sizeof type, "/problems/%s", row->slug);
	json_t *problem = json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", type, "title", row->title, "status",
		row->status, "detail", info->detail[0] ? info->detail : row->title, "instance", request_id);
	if (problem && info->pointer[0])
		json_object_set_new(problem, "pointer", json_string(info->pointer));
	problem = document_own(arena, problem);
	return problem ? document_text(arena, problem, ret_size) : NULL;
}

static void add_header(struct http_answer *answer, const char *name, const char *value)
{
	for (size_t i = 0; i < answer->header_count; i++) {
		if (strcasecmp(answer->headers[i].name, name) == 0)
			return;
	}
	if (value && answer->header_count < HTTP_HEADERS_OUT)
		answer->headers[answer->header_count++] = (struct http_pair){name, value};
}

/* Of what a handler set before it failed only the advice on when to come again stays. */
static void keep_retry_after(struct http_answer *answer)
{
	size_t kept = 0;
	for (size_t i = 0; i < answer->header_count; i++) {
		if (strcasecmp(answer->headers[i].name, "Retry-After") == 0)
			answer->headers[kept++] = answer->headers[i];
	}
	answer->header_count = kept;
}

void http_answer_failure(struct http_answer *answer, struct arena *arena, const struct http_request *request,
	const struct err_info *failure)
{
	static const char out_of_memory[] = "{\"type\":\"/problems/no-memory\",\"status\":503}";
	const struct err_row *row = err_row(failure->code);
	struct err_info info = *failure;
	keep_retry_after(answer);
	/* what went wrong inside is for the log, not for the caller */
	if (row->status == 500) {
		log_failure("http_request_failed", failure, "request_id", request->id, "route",
			request->route ? request->route->path : "", NULL);
		info.detail[0] = info.pointer[0] = 0;
	}
	answer->given = true;
	answer->status = row->status;
	answer->media = PROBLEM_MEDIA;
	answer->version = -1;
	answer->body = arena ? http_problem_text(arena, &info, request->id, &answer->size) : NULL;
	if (!answer->body) {
		answer->body = out_of_memory;
		answer->size = sizeof out_of_memory - 1;
		answer->status = 503;
	}
	if (answer->status == 401)
		add_header(answer, "WWW-Authenticate", "Bearer realm=\"carbond\"");
	if (answer->status == 405)
		add_header(answer, "Allow", request->allow);
	if (answer->status == 503 || answer->status == 429)
		add_header(answer, "Retry-After", "1");
}

/* ---- gzip ---- */

static bool is_compressible(const char *media)
{
	return media && (strstr(media, "json") || strncmp(media, "text/", 5) == 0);
}

static bool accepts_gzip(const struct http_request *request)
{
	const char *accept = http_header_in(request, "Accept-Encoding");
	const char *at = accept ? strcasestr(accept, "gzip") : NULL;
	if (!at)
		return false;
	size_t rest = strcspn(at, ",");
	const char *quality = memmem(at, rest, "q=", 2);
	return !quality || strtod(quality + 2, NULL) > 0;
}

/* Replaces the body by its gzip form in the arena where that is smaller. */
static bool compress_body(struct arena *arena, struct http_answer *answer)
{
	z_stream stream = {0};
	if (answer->size > UINT32_MAX / 2 ||
		deflateInit2(&stream, 4, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	size_t capacity = deflateBound(&stream, (uLong)answer->size);
	unsigned char *packed = arena_alloc(arena, capacity);
	bool smaller = false;
	if (packed) {
		stream.next_in = (z_const Bytef *)(uintptr_t)answer->body;
		stream.avail_in = (uInt)answer->size;
		stream.next_out = packed;
		stream.avail_out = (uInt)capacity;
		smaller = deflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out < answer->size;
	}
	if (smaller) {
		answer->body = (const char *)packed;
		answer->size = stream.total_out;
	}
	deflateEnd(&stream);
	return smaller;
}

void http_answer_compress(struct http_request *request)
{
	struct http_answer *answer = &request->answer;
	/* a body with an ETag stays as it is: the same tag may not name two byte sequences (RFC 9110 8.8.3.3) */
	if (!answer->body || !is_compressible(answer->media) || answer->size < LIMIT_HTTP_GZIP_BYTES ||
		answer->version >= 0)
		return;
	add_header(answer, "Vary", "Accept-Encoding");
	if (accepts_gzip(request) && compress_body(request->arena, answer))
		add_header(answer, "Content-Encoding", "gzip");
}

/* ---- to libmicrohttpd ---- */

static void release_request(void *context)
{
	http_request_unref(context);
}

static ssize_t read_stream(void *context, uint64_t offset, char *buffer, size_t size)
{
	struct http_stream *stream = context;
	long got = stream->read(stream->context, offset, buffer, size);
	if (got == 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	return got < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : (ssize_t)got;
}

static void release_stream(void *context)
{
	struct http_stream *stream = context;
	stream->release(stream->context);
	http_request_unref(stream->request);
	free(stream);
}

static struct MHD_Response *make_response(struct http_request *request, struct http_answer *answer)
{
	struct MHD_Response *response;
	if (answer->events) {
		response = http_events_response(answer->events);
		answer->events = NULL;
		return response;
	}
	if (answer->stream) {
		struct http_stream *stream = answer->stream;
		response = MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, stream, release_stream);
		if (response) {
			stream->request = request;
			atomic_fetch_add(&request->refs, 1);
			answer->stream = NULL;
		}
		return response;
	}
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		answer->size, (void *)(uintptr_t)answer->body, release_request, request);
	if (response)
		atomic_fetch_add(&request->refs, 1);
	return response;
}

static void add_headers(const struct http_request *request, struct http_answer *answer, struct MHD_Response *response)
{
	const struct http_options *options = &request->server->options;
	if (answer->media && answer->status != 304)
		MHD_add_response_header(response, "Content-Type", answer->media);
	if (answer->version >= 0) {
		char etag[NUMBER_SIZE + 2], *at = http_number_text(answer->version, etag + 1) - 1;
		*at = '"';
		memcpy(etag + NUMBER_SIZE, "\"", 2);
		MHD_add_response_header(response, "ETag", at);
	}
	add_header(answer, "Cache-Control", answer->version >= 0 ? "private, no-cache" : "no-store");
	for (size_t i = 0; i < answer->header_count; i++)
		MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
	MHD_add_response_header(response, "X-Request-Id", request->id);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	/* a browser shows no document of JSON; each line costs the most frequent answers a third of a microsecond */
	if (answer->media && !strstr(answer->media, "json")) {
		/* two policies would both hold: a page that brings its own replaces this one */
		if (!MHD_get_response_header(response, "Content-Security-Policy"))
			MHD_add_response_header(
				response, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
		MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	}
	if (options->certificate_file || options->behind_proxy)
		MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
	if (request->close)
		MHD_add_response_header(response, "Connection", "close");
}

/* What is said to a request whose deadline was first; its own arena may still be in use by a worker. */
static struct http_answer *expired_answer(struct http_request *request, struct http_answer *spare)
{
	struct err_info info = {.code = (enum err)atomic_load(&request->expire_code)};
	char command[ID_TEXT_SIZE];
	if (info.code == ERR_DEADLINE && !id_is_none(request->idempotency_key))
		err_set(&info, info.code, NULL,
			"the command %s may still be carried out; repeat it with the same "
			"Idempotency-Key to learn its result",
			id_text(request->idempotency_key, command));
	request->spare = arena_new(0);
	*spare = (struct http_answer){.version = -1};
	http_answer_failure(spare, request->spare, request, &info);
	return spare;
}

/* Which answer it is. A reply is encoded here, on the http thread. */
static struct http_answer *choose_answer(struct http_request *request, struct http_answer *spare)
{
	struct err_info info = {0};
	if (atomic_load_explicit(&request->state, memory_order_acquire) == REQUEST_EXPIRED)
		return expired_answer(request, spare);
	if (request->options && !request->failure.code) {
		request->answer = (struct http_answer){.given = true, .status = 204, .version = -1};
		add_header(&request->answer, "Allow", request->allow);
		return &request->answer;
	}
	if (!request->failure.code && request->reply) {
		enum err err = request->reply->code;
		if (err)
			request->failure = request->reply->info;
		else if ((err = request->route->reply(request, request->reply, &info)) != ERR_OK)
			request->failure = info;
		request->failure.code = err;
	}
	if (!request->failure.code && !request->answer.given)
		err_set(&request->failure, ERR_INTERNAL, NULL, "the handler gave no answer");
	if (request->failure.code)
		http_answer_failure(&request->answer, request->arena, request, &request->failure);
	else if (request->reply)
		http_answer_compress(request);
	return &request->answer;
}

enum MHD_Result http_answer_send(struct http_request *request)
{
	struct http_answer spare;
	struct http_answer *answer = choose_answer(request, &spare);
	request->sent_status = answer->status;
	request->sent_bytes = answer->size;
	struct MHD_Response *response = make_response(request, answer);
	if (!response)
		return MHD_NO;
	add_headers(request, answer, response);
	enum MHD_Result result = MHD_queue_response(request->mhd, (unsigned)answer->status, response);
	MHD_destroy_response(response);
	http_connection_answering(request->connection);
	return result;
}
