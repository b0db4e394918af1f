/* What a request's head must look like before anything believes it. libmicrohttpd 0.9.75 accepts two Content-Length,
 * Content-Length beside Transfer-Encoding, space before the colon, folded lines, bare LF, NUL and several Hosts, each of
 * which lets two readers of one connection disagree on where a request ends. It parses in place: the method is the first
 * byte of the head, separators become zero bytes, names and values point into it. So the head is walked once more, and
 * every gap between what was parsed must be exactly the separator that belongs there. Runs on the http thread. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"

static const bool is_token_character[256] = {['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['!'] = true,
	['#' ... '\''] = true,
	['*'] = true,
	['+'] = true,
	['-'] = true,
	['.'] = true,
	['^' ... '`'] = true,
	['|'] = true,
	['~'] = true};

/* Of a path, unescaped. */
static const bool is_path_character[256] = {['/' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['-'] = true,
	['.'] = true,
	['_'] = true,
	['~'] = true,
	['!'] = true,
	['$'] = true,
	['&' ... ','] = true,
	[';'] = true,
	['='] = true,
	[':'] = true,
	['@'] = true};

static bool is_value(const char *value, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)value[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_token(const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!is_token_character[(unsigned char)name[i]])
			return false;
	}
	return size > 0;
}

struct head {
	struct http_request *request;
	const char *at; /* how far the head has been walked */
	size_t hosts, lengths, encodings;
	const char *host, *length, *encoding;
	const char *fault;
	bool no_memory;
};

/* One field line: name, the colon's zero, blanks, value, the zeros of CR and LF. */
static enum MHD_Result walk_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size,
	const char *value, size_t value_size)
{
	struct head *head = context;
	(void)kind;
	if (name != head->at || !is_token(name, name_size)) {
		head->fault = "a header line is folded, does not end in CR LF, or its name is not a token";
		return MHD_NO;
	}
	head->at += name_size + 1;
	while (*head->at == ' ' || *head->at == '\t')
		head->at++;
	if ((value && value != head->at) || !is_value(head->at, value_size)) {
		head->fault = "a header value is folded or holds a control character";
		return MHD_NO;
	}
	/* where the next line begins, or the head ends, shows whether CR LF and nothing else lay between */
	head->at += value_size + 2;
	while (value_size > 0 && (value[value_size - 1] == ' ' || value[value_size - 1] == '\t'))
		value_size--;
	struct http_pair *pair = &head->request->headers[head->request->header_count++];
	pair->name = arena_copy(head->request->arena, name, name_size);
	pair->value = arena_copy(head->request->arena, value, value_size);
	if (!pair->name || !pair->value) {
		head->no_memory = true;
		return MHD_NO;
	}
	if (name_size == 4 && strcasecmp(pair->name, "Host") == 0) {
		head->hosts++;
		head->host = pair->value;
	} else if (name_size == 14 && strcasecmp(pair->name, "Content-Length") == 0) {
		head->lengths++;
		head->length = pair->value;
	} else if (name_size == 17 && strcasecmp(pair->name, "Transfer-Encoding") == 0) {
		head->encodings++;
		head->encoding = pair->value;
	}
	return MHD_YES;
}

static const char *framing_fault(const struct head *head, bool http_1_1)
{
	if (head->lengths > 1)
		return "more than one Content-Length";
	if (head->lengths && head->encodings)
		return "Content-Length beside Transfer-Encoding";
	if (head->encodings > 1 || (head->encodings && strcasecmp(head->encoding, "chunked") != 0))
		return "Transfer-Encoding other than chunked";
	if (head->encodings && !http_1_1)
		return "Transfer-Encoding in HTTP/1.0";
	if (head->lengths && (strspn(head->length, "0123456789") != strlen(head->length) || !*head->length ||
				     strlen(head->length) > 18))
		return "Content-Length is not a number";
	if (head->hosts > 1 || (head->hosts == 0 && http_1_1))
		return "exactly one Host is needed";
	if (head->hosts &&
		strspn(head->host, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~:[]") !=
			strlen(head->host))
		return "Host is not a name and port";
	return NULL;
}

enum err http_check_head(struct http_request *request, const char *method, const char *version, struct err_info *info)
{
	struct head head = {.request = request, .at = method};
	bool http_1_1 = strcmp(version, "HTTP/1.1") == 0;
	const union MHD_ConnectionInfo *size =
		MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	int lines = MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, NULL, NULL);
	if (lines > LIMIT_HTTP_HEADERS)
		return err_set(info, ERR_HEADERS_TOO_LARGE, NULL, "at most %d header lines", LIMIT_HTTP_HEADERS);
	request->headers = ARENA_ARRAY(request->arena, struct http_pair, (size_t)lines);
	if (!request->headers)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the request");
	if (!http_1_1 && strcmp(version, "HTTP/1.0") != 0)
		return err_set(info, ERR_BAD_REQUEST, NULL, "the version is not HTTP/1.1");
	head.at += strlen(method) + 1 + strlen(request->target) + 1;
	if (!is_token(method, strlen(method)) || head.at != version || version[8] != 0 || version[9] != 0)
		return err_set(info, ERR_BAD_REQUEST, NULL, "the request line is malformed");
	head.at += 10;
	MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, walk_header, &head);
	if (head.no_memory)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the request");
	if (!head.fault && (!size || head.at[0] != 0 || head.at[1] != 0 || head.at + 2 != method + size->header_size))
		head.fault = "the head holds a NUL or a bare line feed";
	if (!head.fault)
		head.fault = framing_fault(&head, http_1_1);
	if (head.fault)
		return err_set(info, ERR_BAD_REQUEST, NULL, "%s", head.fault);
	request->chunked = head.encodings > 0;
	request->has_body = request->chunked || (head.length && strtoull(head.length, NULL, 10) > 0);
	return ERR_OK;
}

/* ---- target ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* RFC 3986 pchar and '/', with well-formed escapes that do not hide a separator, a dot or a control character. */
static const char *path_fault(const char *path, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)path[i];
		if (c == '%') {
			int high = i + 2 < size ? hex_digit(path[i + 1]) : -1;
			int low = i + 2 < size ? hex_digit(path[i + 2]) : -1;
			if (high < 0 || low < 0)
				return "the path has a broken percent escape";
			int byte = high * 16 + low;
			if (byte < 0x20 || byte == 0x7f || byte == '/' || byte == '\\' || byte == '.')
				return "the path escapes a separator, a dot or a control character";
			i += 2;
		} else if (!is_path_character[c]) {
			return "the path has a character that must be escaped";
		}
	}
	return NULL;
}

/* Empty, "." and ".." segments: two readers may resolve them differently. A final slash is only a path that nobody has. */
static const char *segments_fault(const char *path, size_t size)
{
	for (const char *at = path, *end = path + size; at < end;) {
		const char *start = at + 1;
		const char *slash = memchr(start, '/', (size_t)(end - start));
		const char *stop = slash ? slash : end;
		size_t length = (size_t)(stop - start);
		if ((length == 0 && slash) || (length == 1 && start[0] == '.') ||
			(length == 2 && start[0] == '.' && start[1] == '.'))
			return "the path has an empty or a dot segment";
		at = stop;
	}
	return NULL;
}

/* RFC 9112 3.2.2: the absolute form is taken where it names the same authority as Host. NULL otherwise. */
static const char *strip_authority(const struct http_request *request, const char *target)
{
	const char *host = http_header_in(request, "Host");
	size_t scheme = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
	if (scheme == 0 || !host || !*host || strncasecmp(target + scheme, host, strlen(host)) != 0)
		return NULL;
	const char *path = target + scheme + strlen(host);
	return *path == '/' ? path : NULL;
}

enum err http_check_target(struct http_request *request, const char **ret_path, size_t *ret_path_size,
	const char **ret_query, struct err_info *info)
{
	const char *target = request->target;
	if (strlen(target) > LIMIT_HTTP_TARGET_BYTES)
		return err_set(info, ERR_URI_TOO_LONG, NULL, "at most %d bytes", LIMIT_HTTP_TARGET_BYTES);
	if (*target != '/')
		target = strip_authority(request, target);
	if (!target)
		return err_set(info, ERR_BAD_REQUEST, NULL, "the target is neither a path nor of this host");
	const char *question = strchr(target, '?');
	size_t size = question ? (size_t)(question - target) : strlen(target);
	const char *fault = path_fault(target, size);
	if (!fault)
		fault = segments_fault(target, size);
	for (const char *at = question; at && *at && !fault; at++) {
		if (*at <= 0x20 || *at == 0x7f || *at == '#')
			fault = "the query has a character that must be escaped";
	}
	if (fault)
		return err_set(info, ERR_BAD_REQUEST, NULL, "%s", fault);
	*ret_path = target;
	*ret_path_size = size;
	*ret_query = question ? question + 1 : NULL;
	return ERR_OK;
}

/* UTF-8 of RFC 3629: shortest form, no surrogates, at most U+10FFFF; no control characters. */
static bool is_text(const unsigned char *text, size_t size)
{
	for (size_t i = 0; i < size;) {
		unsigned char c = text[i];
		size_t more = c < 0x80                ? 0
			      : c >= 0xc2 && c < 0xe0 ? 1
			      : c >= 0xe0 && c < 0xf0 ? 2
			      : c >= 0xf0 && c < 0xf5 ? 3
						      : 9;
		if (more == 9 || i + more >= size || c < 0x20 || c == 0x7f)
			return false;
		for (size_t k = 1; k <= more; k++) {
			if ((text[i + k] & 0xc0) != 0x80)
				return false;
		}
		if ((c == 0xe0 && text[i + 1] < 0xa0) || (c == 0xed && text[i + 1] > 0x9f) ||
			(c == 0xf0 && text[i + 1] < 0x90) || (c == 0xf4 && text[i + 1] > 0x8f))
			return false;
		i += more + 1;
	}
	return true;
}

enum err http_percent_decode(
	struct arena *arena, const char *text, size_t size, bool plus, char **ret_text, struct err_info *info)
{
	char *decoded = arena_alloc(arena, size + 1);
	size_t length = 0;
	if (!decoded)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the request");
	while (length < size && is_token_character[(unsigned char)text[length]] && text[length] != '%' &&
		text[length] != '+')
		length++;
	if (length == size) { /* as ids and most values are */
		memcpy(decoded, text, size);
		*ret_text = decoded;
		return ERR_OK;
	}
	length = 0;
	for (size_t i = 0; i < size; i++) {
		char c = text[i];
		if (c == '+' && plus) {
			c = ' ';
		} else if (c == '%') {
			int high = i + 2 < size ? hex_digit(text[i + 1]) : -1;
			int low = i + 2 < size ? hex_digit(text[i + 2]) : -1;
			if (high < 0 || low < 0)
				return err_set(info, ERR_BAD_REQUEST, NULL, "a broken percent escape");
			c = (char)(high * 16 + low);
			i += 2;
		}
		decoded[length++] = c;
	}
	if (!is_text((const unsigned char *)decoded, length))
		return err_set(info, ERR_BAD_REQUEST, NULL, "an escape is not UTF-8 text");
	*ret_text = decoded;
	return ERR_OK;
}
