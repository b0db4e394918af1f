/* A command that is a row with a route: its words become path, query and body; the answer is printed. One thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "carbond/base/clock.h"
#include "carbond/base/id.h"

enum { BODY_BYTES = 48 << 20, WORDS_MAX = 256 };

/* The words of one command line, sorted. */
struct request {
	const struct cli_command *command;
	struct arena *arena;
	const char *positional[8];
	int positional_count;
	char *query;           /* "a=b&c=d" */
	json_t *members;       /* of key=value words; NULL: none */
	const char *body_path; /* of @file or -; NULL: none */
	const char *from;      /* of a paged command: its first position or moment */
	const char *if_match, *idempotency_key, *content_type;
	bool all;
};

static int out_of_memory(void)
{
	return cli_fail(CLI_REFUSED, "out of memory");
}

static int usage(const struct cli_command *command, const char *what, const char *word)
{
	return cli_fail(CLI_USAGE, "%s %s: %s %s (carbonctl help %s %s)", command->noun, command->verb, what, word,
		command->noun, command->verb);
}

/* ---- words ---- */

static bool names(const char *name, const char *wanted)
{
	for (; *name && *wanted; name++, wanted++)
		if (*name != *wanted && !(strchr("-_", *name) && strchr("-_", *wanted)))
			return false;
	return *name == *wanted;
}

static const struct cli_option *find_option(const struct cli_command *command, const char *name)
{
	for (const struct cli_option *option = command->options; option && option->name; option++)
		if (names(name, option->name))
			return option;
	return NULL;
}

static int add_query(struct request *request, const char *name, const char *value)
{
	char *escaped = cli_escape(request->arena, value);
	if (!escaped)
		return out_of_memory();
	request->query =
		arena_print(request->arena, "%s%s%s=%s", request->query, *request->query ? "&" : "", name, escaped);
	return request->query ? CLI_OK : out_of_memory();
}

static int add_org_id(struct request *request, const char *id)
{
	if (!(request->command->flags & CLI_BODY))
		return add_query(request, "org_id", id);
	if (!request->members)
		request->members = document_own(request->arena, json_object());
	return json_object_set_new(request->members, "org_id", json_string(id)) == 0 ? CLI_OK : out_of_memory();
}

static int take_option(struct request *request, int argc, char **argv, int *index)
{
	const struct cli_command *command = request->command;
	const char *word = argv[*index] + 2, *equals = strchr(word, '=');
	char *name = arena_copy(request->arena, word, equals ? (size_t)(equals - word) : strlen(word));
	if (!name)
		return out_of_memory();
	const struct cli_option *option = find_option(command, name);
	bool is_switch = names(name, "all") || (option && !option->value);
	const char *value = equals ? equals + 1 : is_switch ? "true" : NULL;
	if (!value && *index + 1 < argc)
		value = argv[++*index];
	if (!value)
		return usage(command, "a value is missing for", argv[*index]);
	if (names(name, "all") && (command->flags & CLI_PAGED))
		request->all = true;
	else if (names(name, "if-match") && (command->flags & CLI_IF_MATCH))
		request->if_match =
			value[0] == '"' || value[0] == '*' ? value : arena_print(request->arena, "\"%s\"", value);
	else if (names(name, "idempotency-key"))
		request->idempotency_key = value;
	else if (option && names(name, "org_id"))
		return add_org_id(request, value);
	else if (names(name, "content-type") && (command->flags & CLI_BODY_FILE))
		request->content_type = value;
	else if (option && (command->flags & CLI_PAGED) && names(name, "from"))
		request->from = value; /* moves on from page to page where a log is read */
	else if (option)
		return add_query(request, option->name, value);
	else
		return usage(command, "there is no option", argv[*index]);
	return CLI_OK;
}

/* True where `name` (of `length`) is one of the words of `list`. */
static bool is_listed(const char *list, const char *name, size_t length)
{
	for (const char *at = list; at && *at; at += strcspn(at, " "), at += *at == ' ')
		if (strcspn(at, " ") == length && strncmp(at, name, length) == 0)
			return true;
	return false;
}

/* The value of key=value: JSON where it is some, a file's content after @, else text; `is_text`: always text. */
static json_t *member_value(struct request *request, const char *text, bool is_text, struct err_info *info)
{
	char *file;
	size_t size = strlen(text);
	if (*text == '@') {
		if (cli_read_file(request->arena, text + 1, BODY_BYTES, &file, &size, info) != ERR_OK)
			return NULL;
		text = file;
	}
	json_t *value = is_text ? NULL : json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!value)
		value = json_stringn(text, size);
	if (!value)
		err_set(info, ERR_INVALID_FIELD, "", "the value is not UTF-8");
	return value;
}

/* "operator,trader" as a list of texts. */
static json_t *split_list(const char *text)
{
	json_t *list = json_array();
	for (; *text; text += strcspn(text, ","), text += *text == ',')
		json_array_append_new(list, json_stringn(text, strcspn(text, ",")));
	return list;
}

/* "place.town=Reykjavik" makes nested objects. */
static int take_member(struct request *request, const char *word)
{
	struct err_info info = {0};
	const char *equals = strchr(word, '='), *name = word, *point;
	size_t length = (size_t)(equals - word);
	bool is_list = is_listed(request->command->lists, word, length) && equals[1] != '[' && equals[1] != '@';
	bool is_text = is_listed(request->command->texts, word, length);
	json_t *value = is_list ? split_list(equals + 1) : member_value(request, equals + 1, is_text, &info);
	if (!value)
		return cli_fail_info(CLI_USAGE, &info);
	if (!request->members)
		request->members = document_own(request->arena, json_object());
	json_t *object = request->members;
	while ((point = memchr(name, '.', (size_t)(equals - name)))) {
		json_t *inner = json_object_getn(object, name, (size_t)(point - name));
		if (!json_is_object(inner)) {
			inner = json_object();
			json_object_setn_new(object, name, (size_t)(point - name), inner);
		}
		object = inner;
		name = point + 1;
	}
	return json_object_setn_new(object, name, (size_t)(equals - name), value) == 0 ? CLI_OK : out_of_memory();
}

static int take_word(struct request *request, const char *word)
{
	unsigned flags = request->command->flags;
	if ((flags & (CLI_BODY | CLI_BODY_FILE)) && (word[0] == '@' || strcmp(word, "-") == 0)) {
		request->body_path = word[0] == '@' ? word + 1 : word;
		return CLI_OK;
	}
	if ((flags & CLI_BODY) && strchr(word, '='))
		return take_member(request, word);
	if (request->positional_count == (int)(sizeof request->positional / sizeof *request->positional))
		return usage(request->command, "too many words:", word);
	request->positional[request->positional_count++] = word;
	return CLI_OK;
}

/* ---- path ---- */

/* "/v1/units/{id}" with the positional words in its braces. */
static int fill_path(struct request *request, char **ret_path)
{
	int next = 0;
	char *path = arena_copy(request->arena, "", 0);
	for (const char *at = request->command->path; *at && path;) {
		const char *open = strchrnul(at, '{');
		if (*open && next == request->positional_count) {
			char *name = arena_copy(request->arena, open + 1, strcspn(open + 1, "}"));
			return usage(request->command, "this needs", name ? name : "an argument");
		}
		const char *value = *open ? cli_escape(request->arena, request->positional[next++]) : "";
		path = value ? arena_print(request->arena, "%s%.*s%s", path, (int)(open - at), at, value) : NULL;
		at = *open ? strchrnul(open, '}') + 1 : open;
	}
	if (!path)
		return out_of_memory();
	if (next < request->positional_count)
		return usage(request->command, "too many words:", request->positional[next]);
	*ret_path = path;
	return CLI_OK;
}

/* ---- body ---- */

static const char *media_of(const char *path)
{
	static const char *const endings[][2] = {{".ndjson", "application/x-ndjson"},
		{".jsonl", "application/x-ndjson"}, {".senml", "application/senml+json"}, {".csv", "text/csv"},
		{".tar", "application/x-tar"}};
	size_t length = strlen(path);
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		if (length > strlen(endings[i][0]) && strcmp(path + length - strlen(endings[i][0]), endings[i][0]) == 0)
			return endings[i][1];
	return "application/json";
}

static int fill_body(struct request *request, struct cli_call *call)
{
	struct err_info info = {0};
	char *text = NULL;
	size_t size = 0;
	if (request->body_path &&
		cli_read_file(request->arena, request->body_path, BODY_BYTES, &text, &size, &info) != ERR_OK)
		return cli_fail_info(CLI_USAGE, &info);
	if (request->command->flags & CLI_BODY_FILE) {
		if (!text)
			return usage(request->command, "this needs", "a body: @FILE or -");
		call->content_type = request->content_type ? request->content_type : media_of(request->body_path);
		call->body = text;
		call->body_size = size;
		return CLI_OK;
	}
	json_t *body = request->members;
	if (text) {
		if (document_parse(request->arena, text, size, &body, &info) != ERR_OK)
			return cli_fail(CLI_USAGE, "%s: %s", request->body_path, info.detail);
		if (request->members && json_object_update(body, request->members) != 0)
			return cli_fail(CLI_USAGE, "%s: key=value words go with an object", request->body_path);
	}
	if (!body && strcmp(call->method, "POST") != 0)
		return usage(request->command, "this needs", "a body: key=value …, @FILE or -");
	if (body) {
		call->body = document_text(request->arena, body, &call->body_size);
		if (!call->body)
			return out_of_memory();
	}
	return CLI_OK;
}

/* The version that the server shows now. */
static int fetch_version(struct request *request, struct cli_call *call)
{
	struct err_info info = {0};
	struct net_response response;
	struct cli_call get = {.method = "GET", .path = call->path};
	int code = cli_send(request->arena, &get, &response, &info);
	if (code != CLI_OK)
		return cli_fail_info((enum cli_exit)code, &info);
	call->if_match = net_header_get(&response, "etag");
	return call->if_match ? CLI_OK : cli_fail(CLI_SERVER_FAILED, "%s shows no version", call->path);
}

/* ---- answer ---- */

struct sink {
	FILE *file;
	const char *path;
	bool failed;
	bool is_live; /* a stream that somebody watches */
};

static enum err write_piece(void *context, const void *data, size_t size)
{
	struct sink *sink = context;
	if (!sink->file)
		sink->file = sink->path ? fopen(sink->path, "we") : stdout;
	bool written = sink->file && fwrite(data, 1, size, sink->file) == size;
	if (written && sink->is_live)
		written = fflush(sink->file) == 0;
	return written ? ERR_OK : ERR_IO;
}

static int fetch_raw(struct request *request, struct cli_call *call)
{
	struct err_info info = {0};
	struct net_response response;
	struct sink sink = {.path = cli_settings()->output, .is_live = (request->command->flags & CLI_STREAM) != 0};
	call->is_endless = sink.is_live;
	call->sink = write_piece;
	call->context = &sink;
	int code = cli_send(request->arena, call, &response, &info);
	if (code == CLI_OK && !sink.file) /* an empty answer makes an empty file */
		write_piece(&sink, "", 0);
	bool failed = sink.file && (sink.file == stdout ? fflush(stdout) : fclose(sink.file)) != 0;
	if (info.code == ERR_IO || (failed && code == CLI_OK))
		return cli_fail(CLI_REFUSED, "%s: %s", sink.path ? sink.path : "standard output", strerror(errno));
	if (code != CLI_OK) {
		if (sink.file && sink.path)
			unlink(sink.path); /* half a file looks like a whole one */
		return cli_fail_info((enum cli_exit)code, &info);
	}
	if (sink.path && !cli_settings()->json)
		fprintf(stderr, "written to %s\n", sink.path);
	return CLI_OK;
}

/* The path with the query, of one page. */
static const char *page_path(struct request *request, const char *path, const char *cursor)
{
	const char *query = request->query;
	if (request->from)
		query = arena_print(request->arena, "%s%sfrom=%s", query, *query ? "&" : "",
			cli_escape(request->arena, request->from));
	if (cursor && query)
		query = arena_print(
			request->arena, "%s%scursor=%s", query, *query ? "&" : "", cli_escape(request->arena, cursor));
	if (!query || !*query)
		return query ? path : NULL;
	return arena_print(request->arena, "%s?%s", path, query);
}

static bool is_json(const struct net_response *response)
{
	const char *media = net_header_get(response, "content-type");
	return !media || strstr(media, "/json") || strstr(media, "+json");
}

/* Text that is no document (CSV, NDJSON): as it is; of further CSV pages without the line of names. Moves on to the next page:
 * false where there is none, or only one was asked for. */
static bool take_text(
	struct request *request, const struct net_response *response, struct sink *sink, const char **cursor)
{
	const char *media = net_header_get(response, "content-type"), *text = response->body;
	const char *names_end = *cursor && strncmp(media, "text/csv", 8) == 0 ? strchr(text, '\n') : NULL;
	text = names_end ? names_end + 1 : text;
	size_t size = response->body_size - (size_t)(text - response->body);
	if (write_piece(sink, text, size) != ERR_OK) {
		sink->failed = true;
		return false;
	}
	*cursor = net_header_get(response, "carbond-next-cursor");
	const char *position = net_header_get(response, "carbond-next-position");
	if (position && size > 0)
		request->from = position;
	return request->all && (*cursor || (position && size > 0));
}

static int close_sink(const struct sink *sink)
{
	bool failed = sink->failed || (sink->file && (sink->file == stdout ? fflush(stdout) : fclose(sink->file)) != 0);
	return failed ? cli_fail(CLI_REFUSED, "%s: %s", sink->path ? sink->path : "standard output", strerror(errno))
		      : CLI_OK;
}

/* Adds a page to the whole; true where another one follows and was asked for. */
static bool take_page(struct request *request, json_t *page, json_t **whole, const char **cursor)
{
	if (!*whole)
		*whole = page;
	else
		json_array_extend(json_object_get(*whole, "items"), json_object_get(page, "items"));
	*cursor = request->all ? json_string_value(json_object_get(page, "next_cursor")) : NULL;
	return *cursor != NULL;
}

/* One answer, or with --all every page as one document or text. */
static int fetch_document(struct request *request, struct cli_call *call, const char *path)
{
	json_t *whole = NULL;
	struct sink sink = {.path = cli_settings()->output};
	const char *cursor = NULL;
	bool more;
	do {
		struct err_info info = {0};
		struct net_response response;
		json_t *page = NULL;
		call->path = page_path(request, path, cursor);
		if (!call->path)
			return out_of_memory();
		int code = cli_send(request->arena, call, &response, &info);
		if (code != CLI_OK)
			return cli_fail_info((enum cli_exit)code, &info);
		bool is_text = !is_json(&response);
		if (!is_text && response.body_size &&
			document_parse(request->arena, response.body, response.body_size, &page, &info) != ERR_OK)
			return cli_fail_info(CLI_SERVER_FAILED, &info);
		more = is_text ? take_text(request, &response, &sink, &cursor)
			       : take_page(request, page, &whole, &cursor);
	} while (more);
	if (sink.file || sink.failed)
		return close_sink(&sink);
	if (request->all)
		json_object_del(whole, "next_cursor");
	cli_print(request->arena, whole, request->command->columns);
	if (!whole && !cli_settings()->json)
		puts("done");
	return close_sink(&(struct sink){.file = stdout});
}

static int carry_out(struct request *request)
{
	const struct cli_command *command = request->command;
	char *path = NULL, key[ID_TEXT_SIZE];
	int code = fill_path(request, &path);
	if (code != CLI_OK)
		return code;
	struct cli_call call = {.method = command->method,
		.path = path,
		.accept = command->accept,
		.if_match = request->if_match,
		.idempotency_key = request->idempotency_key};
	if (!call.idempotency_key && (command->flags & CLI_VALUE))
		call.idempotency_key = id_text(id_new(clock_wall_us()), key);
	if (command->flags & (CLI_BODY | CLI_BODY_FILE))
		code = fill_body(request, &call);
	if (code == CLI_OK && (command->flags & CLI_IF_MATCH) && !call.if_match)
		code = fetch_version(request, &call);
	if (code != CLI_OK)
		return code;
	if (!(command->flags & CLI_RAW))
		return fetch_document(request, &call, path);
	call.path = page_path(request, path, NULL);
	return call.path ? fetch_raw(request, &call) : out_of_memory();
}

/* The same command by the admin socket: {"verb": "keys.create", "org": …, the body's members, "id": the path's}. */
static int carry_out_locally(struct request *request)
{
	const struct cli_command *command = request->command;
	struct cli_call call = {.method = "POST"};
	struct err_info info = {0};
	json_t *asked = NULL;
	int code = command->flags & CLI_BODY ? fill_body(request, &call) : CLI_OK;
	if (code != CLI_OK)
		return code;
	if (call.body && document_parse(request->arena, call.body, call.body_size, &asked, &info) != ERR_OK)
		return cli_fail_info(CLI_USAGE, &info);
	asked = asked ? json_incref(asked) : json_object();
	if (json_object_get(asked, "org_id") && json_object_set(asked, "org", json_object_get(asked, "org_id")) == 0)
		json_object_del(asked, "org_id");
	json_object_set_new(asked, "verb", json_string(command->operation));
	if (request->positional_count)
		json_object_set_new(asked, "id", json_string(request->positional[0]));
	if (cli_settings()->org && find_option(command, "org_id"))
		json_object_set_new(asked, "org", json_string(cli_settings()->org));
	return cli_ask(asked, command->columns);
}

/* --org as the route's org_id, in the body or the query: an id as it is, a slug by looking it up. */
static int add_organisation(struct request *request, const char *org)
{
	struct id id;
	if (id_parse(org, &id) == ERR_OK)
		return add_org_id(request, org);
	json_t *page = NULL;
	int code = cli_call(request->arena, "GET", "/v1/organisations?limit=1000", NULL, &page);
	if (code != CLI_OK)
		return code;
	size_t index;
	json_t *row;
	json_array_foreach(json_object_get(page, "items"), index, row)
	{
		const char *slug = json_string_value(json_object_get(row, "slug"));
		if (slug && strcmp(slug, org) == 0)
			return add_org_id(request, json_string_value(json_object_get(row, "id")));
	}
	return cli_fail(CLI_REFUSED, "there is no organisation '%s' that this key can see", org);
}

int cli_rest(const struct cli_command *command, int argc, char **argv)
{
	struct arena *arena = arena_new((size_t)1 << 30);
	if (!arena)
		return out_of_memory();
	struct request request = {.command = command, .arena = arena, .query = arena_copy(arena, "", 0)};
	int code = request.query ? CLI_OK : out_of_memory();
	const char *org = cli_settings()->org;
	bool local = (command->flags & CLI_LOCAL) && (!cli_settings()->key || cli_settings()->socket);
	if (code == CLI_OK && org && !local && find_option(command, "org_id"))
		code = add_organisation(&request, org);
	else if (code == CLI_OK && org && !local && find_option(command, "org"))
		code = add_query(&request, "org", org); /* a route that takes slugs */
	bool plain = false;                             /* after "--" every word is one */
	for (int i = 1; i < argc && code == CLI_OK; i++) {
		if (!plain && strcmp(argv[i], "--") == 0)
			plain = true;
		else if (!plain && strncmp(argv[i], "--", 2) == 0)
			code = take_option(&request, argc, argv, &i);
		else
			code = take_word(&request, argv[i]);
	}
	if (code == CLI_OK)
		code = local ? carry_out_locally(&request) : carry_out(&request);
	arena_free(&arena);
	return code;
}
