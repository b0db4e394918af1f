/* How a JSON text becomes a tape, and tokens numbers. Pure; runs on the decoding thread (mqtt, http worker). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/limits.h"
#include "tape.h"

struct reader {
	struct tape *tape;
	const char *at, *end;
	struct arena *arena;
	struct err_info *info;
	size_t depth;
	uint32_t open[LIMIT_JSON_DEPTH]; /* arrays and objects being read */
};

static enum err fault(struct reader *reader, const char *what)
{
	return err_set(reader->info, ERR_INVALID_JSON, NULL, "byte %zu: %s",
		(size_t)(reader->at - reader->tape->document), what);
}

static void skip_blanks(struct reader *reader)
{
	while (reader->at < reader->end &&
		(*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' || *reader->at == '\r'))
		reader->at++;
}

/* NULL without memory or past the limit. */
static struct tape_node *add_node(struct reader *reader, enum tape_kind kind)
{
	struct tape *tape = reader->tape;
	if (tape->count == tape->capacity) {
		size_t capacity = tape->capacity ? tape->capacity * 2 : 512;
		if (tape->count >= LIMIT_PAYLOAD_VALUES)
			return NULL;
		struct tape_node *nodes = realloc(tape->nodes, capacity * sizeof *nodes);
		if (!nodes)
			return NULL;
		tape->nodes = nodes;
		tape->capacity = capacity;
	}
	struct tape_node *node = &tape->nodes[tape->count++];
	*node = (struct tape_node){.text = reader->at,
		.start = (uint32_t)(reader->at - tape->document),
		.next = (uint32_t)tape->count,
		.kind = (uint8_t)kind};
	return node;
}

static enum err no_node(struct reader *reader)
{
	if (reader->tape->count >= LIMIT_PAYLOAD_VALUES)
		return err_set(
			reader->info, ERR_TOO_LARGE, NULL, "more than %d values in one text", LIMIT_PAYLOAD_VALUES);
	return err_set(reader->info, ERR_NO_MEMORY, NULL, "no memory for the text");
}

/* ---- texts ---- */

size_t tape_utf8_size(const char *text, const char *end)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = (size_t)(end - text);
	unsigned char low = 0x80, high = 0xbf;
	size_t size;
	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	size = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (left < size)
		return 0;
	if (at[0] == 0xe0)
		low = 0xa0;
	if (at[0] == 0xed)
		high = 0x9f;
	if (at[0] == 0xf0)
		low = 0x90;
	if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return size;
}

static int hex4(const char *at, const char *end)
{
	int code = 0;
	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0)
			return -1;
		code = code * 16 + digit;
	}
	return code;
}

static char *put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
	} else if (code < 0x10000) {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	} else {
		*to++ = (char)(0xf0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (code & 0x3f));
	return to;
}

/* The escape behind a backslash at *from; NULL where it is none. */
static char *put_escape(char *to, const char **from, const char *end)
{
	static const char plain[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *at = *from + 1;
	if (at == end)
		return NULL;
	const char *found = *at ? strchr(plain, *at) : NULL;
	if (found) {
		*from = at + 1;
		*to = means[found - plain];
		return to + 1;
	}
	int code = *at == 'u' ? hex4(at + 1, end) : -1;
	if (code <= 0 || (code >= 0xdc00 && code <= 0xdfff))
		return NULL;
	at += 5;
	if (code >= 0xd800 && code <= 0xdbff) {
		int low = end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? hex4(at + 2, end) : -1;
		if (low < 0xdc00 || low > 0xdfff)
			return NULL;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		at += 6;
	}
	*from = at;
	return put_utf8(to, (uint32_t)code);
}

static enum err unescape(struct reader *reader, struct tape_node *node, const char *from, const char *end)
{
	char *text = arena_alloc(reader->arena, (size_t)(end - from) + 1), *to = text;
	if (!text)
		return err_set(reader->info, ERR_NO_MEMORY, NULL, "no memory for the text");
	while (from < end) {
		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		to = put_escape(to, &from, end);
		if (!to)
			return fault(reader, "a bad escape in a text");
	}
	node->text = text;
	node->size = (uint32_t)(to - text);
	return ERR_OK;
}

/* Reads the text at the opening quote into `node`. */
static enum err read_text(struct reader *reader, struct tape_node *node)
{
	const char *start = ++reader->at, *at = start;
	bool escaped = false;
	for (;;) {
		if (at == reader->end)
			return fault(reader, "a text without an end");
		unsigned char c = (unsigned char)*at;
		if (c == '"')
			break;
		if (c < 0x20)
			return fault(reader, "a control character in a text");
		size_t size = 1;
		if (c == '\\') {
			escaped = true;
			size = 2;
			if (reader->end - at < 2)
				return fault(reader, "a text without an end");
		} else if (c >= 0x80) {
			size = tape_utf8_size(at, reader->end);
			if (size == 0)
				return fault(reader, "a text that is not UTF-8");
		}
		at += size;
	}
	reader->at = at + 1;
	node->text = start;
	node->size = (uint32_t)(at - start);
	node->length = (uint32_t)(reader->at - reader->tape->document) - node->start;
	return escaped ? unescape(reader, node, start, at) : ERR_OK;
}

/* ---- other tokens ---- */

static const char *digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* The end of the number at `at`, or NULL. */
static const char *number_end(const char *at, const char *end)
{
	const char *start;
	if (at < end && *at == '-')
		at++;
	start = at;
	at = digits(at, end);
	if (at == start || (*start == '0' && at - start > 1))
		return NULL;
	if (at < end && *at == '.') {
		start = ++at;
		at = digits(at, end);
		if (at == start)
			return NULL;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		start = at;
		at = digits(at, end);
		if (at == start)
			return NULL;
	}
	return at;
}

static bool starts(const struct reader *reader, const char *word)
{
	size_t size = strlen(word);
	return (size_t)(reader->end - reader->at) >= size && memcmp(reader->at, word, size) == 0;
}

static enum err read_word(struct reader *reader, struct tape_node *node)
{
	static const struct {
		const char *word;
		enum tape_kind kind;
	} words[] = {{"null", TAPE_NULL}, {"true", TAPE_TRUE}, {"false", TAPE_FALSE}, {"NaN", TAPE_NOT_FINITE},
		{"Infinity", TAPE_NOT_FINITE}, {"-Infinity", TAPE_NOT_FINITE}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (!starts(reader, words[i].word))
			continue;
		node->kind = (uint8_t)words[i].kind;
		reader->tape->marked |= words[i].kind == TAPE_NOT_FINITE;
		node->size = node->length = (uint32_t)strlen(words[i].word);
		reader->at += node->length;
		return ERR_OK;
	}
	return fault(reader, "a value is expected");
}

/* ---- structure ---- */

static int compare_hashes(const void *a, const void *b)
{
	const struct tape_node *const *left = a, *const *right = b;
	return ((*left)->count > (*right)->count) - ((*left)->count < (*right)->count);
}

static bool same_text(const struct tape_node *a, const struct tape_node *b)
{
	return a->count == b->count && a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

/* Marks an object that has two members of one name. */
static enum err find_repeats(struct reader *reader, struct tape_node *object)
{
	const struct tape_node *few[32], **keys = few, *key = object + 1;
	size_t count = object->count;
	if (count > sizeof few / sizeof *few)
		keys = malloc(count * sizeof(*keys));
	if (!keys)
		return err_set(reader->info, ERR_NO_MEMORY, NULL, "no memory for the text");
	for (size_t i = 0; i < count; i++) {
		keys[i] = key;
		key = tape_next(reader->tape, key + 1);
	}
	if (keys != few)
		qsort(keys, count, sizeof(*keys), compare_hashes);
	for (size_t i = 1; i < count && !object->repeated; i++) {
		/* few: against all before; many, sorted: against the run of equal hashes before */
		for (size_t j = i; j-- > 0 && !object->repeated;) {
			if (keys != few && keys[j]->count != keys[i]->count)
				break;
			object->repeated = same_text(keys[i], keys[j]);
		}
	}
	reader->tape->marked |= object->repeated;
	if (keys != few)
		free(keys);
	return ERR_OK;
}

static enum err close_container(struct reader *reader)
{
	struct tape *tape = reader->tape;
	struct tape_node *node = &tape->nodes[reader->open[--reader->depth]];
	reader->at++;
	node->length = (uint32_t)(reader->at - tape->document) - node->start;
	node->size = node->length;
	node->next = (uint32_t)tape->count;
	return node->kind == TAPE_OBJECT && node->count > 1 ? find_repeats(reader, node) : ERR_OK;
}

static enum err open_container(struct reader *reader, struct tape_node *node, enum tape_kind kind)
{
	if (reader->depth == LIMIT_JSON_DEPTH)
		return err_set(reader->info, ERR_TOO_DEEP, NULL, "nested deeper than %d", LIMIT_JSON_DEPTH);
	node->kind = (uint8_t)kind;
	reader->open[reader->depth++] = (uint32_t)(node - reader->tape->nodes);
	reader->at++;
	return ERR_OK;
}

/* One value; of an array or object only its opening. */
static enum err read_value(struct reader *reader)
{
	struct tape_node *node = add_node(reader, TAPE_NULL);
	if (!node)
		return no_node(reader);
	char c = *reader->at;
	if (c == '{' || c == '[')
		return open_container(reader, node, c == '{' ? TAPE_OBJECT : TAPE_ARRAY);
	if (c == '"') {
		node->kind = TAPE_TEXT;
		return read_text(reader, node);
	}
	if ((c >= '0' && c <= '9') || (c == '-' && !starts(reader, "-I"))) {
		const char *end = number_end(reader->at, reader->end);
		if (!end)
			return fault(reader, "a number is malformed");
		node->kind = TAPE_NUMBER;
		node->size = node->length = (uint32_t)(end - reader->at);
		reader->at = end;
		return ERR_OK;
	}
	return read_word(reader, node);
}

static enum err read_key(struct reader *reader)
{
	if (*reader->at != '"')
		return fault(reader, "a member's name is expected");
	struct tape_node *node = add_node(reader, TAPE_TEXT);
	if (!node)
		return no_node(reader);
	enum err err = read_text(reader, node);
	if (err)
		return err;
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (uint32_t i = 0; i < node->size; i++)
		hash = (hash ^ (unsigned char)node->text[i]) * 16777619u;
	node->count = hash;
	skip_blanks(reader);
	if (reader->at == reader->end || *reader->at != ':')
		return fault(reader, "':' is expected");
	reader->at++;
	skip_blanks(reader);
	return reader->at == reader->end ? fault(reader, "the text ends early") : ERR_OK;
}

/* What follows an opening or a value inside a container: its end, or the next item or member up to its value's opening. */
static enum err step(struct reader *reader)
{
	struct tape_node *open = &reader->tape->nodes[reader->open[reader->depth - 1]];
	bool object = open->kind == TAPE_OBJECT, first = open->count == 0;
	char close = object ? '}' : ']';
	skip_blanks(reader);
	if (reader->at == reader->end)
		return fault(reader, "the text ends early");
	if (*reader->at == close)
		return close_container(reader);
	if (!first) {
		if (*reader->at != ',')
			return fault(reader, object ? "',' or '}' is expected" : "',' or ']' is expected");
		reader->at++;
		skip_blanks(reader);
		if (reader->at == reader->end)
			return fault(reader, "the text ends early");
	}
	open->count++;
	enum err err = object ? read_key(reader) : ERR_OK;
	return err ? err : read_value(reader);
}

enum err tape_read(struct tape *tape, const char *text, size_t size, struct arena *arena, struct err_info *info)
{
	struct reader reader = {.tape = tape, .at = text, .end = text + size, .arena = arena, .info = info};
	enum err err;
	tape->count = 0;
	tape->document = text;
	tape->size = size;
	tape->marked = false;
	if (size > LIMIT_JSON_BYTES)
		return err_set(
			info, ERR_TOO_LARGE, NULL, "%zu bytes; at most %d are taken", size, (int)LIMIT_JSON_BYTES);
	skip_blanks(&reader);
	if (reader.at == reader.end || (*reader.at != '{' && *reader.at != '['))
		return fault(&reader, "an object or an array is expected");
	err = read_value(&reader);
	while (!err && reader.depth > 0)
		err = step(&reader);
	tape->used = (size_t)(reader.at - text);
	return err;
}

void tape_free(struct tape *tape)
{
	free(tape->nodes);
	*tape = (struct tape){0};
}

bool tape_is(const struct tape_node *node, const char *text)
{
	return node->kind == TAPE_TEXT && strlen(text) == node->size && memcmp(node->text, text, node->size) == 0;
}

const struct tape_node *tape_member(const struct tape *tape, const struct tape_node *object, const char *name)
{
	const struct tape_node *key = object + 1;
	for (uint32_t i = 0; i < object->count; i++) {
		if (tape_is(key, name))
			return key + 1;
		key = tape_next(tape, key + 1);
	}
	return NULL;
}

/* ---- numbers ---- */

/* A token as ±mantissa × 10^exponent. False where the mantissa has more than 18 significant digits or the exponent more
 * than 4. */
static bool take_apart(const struct tape_node *number, uint64_t *ret_mantissa, int *ret_exponent)
{
	const char *at = number->text, *end = at + number->size;
	uint64_t mantissa = 0;
	int exponent = 0, significant = 0;
	bool fraction = false;
	if (*at == '-')
		at++;
	for (; at < end && *at != 'e' && *at != 'E'; at++) {
		if (*at == '.') {
			fraction = true;
			continue;
		}
		if (significant > 0 || *at != '0')
			significant++;
		if (significant > 18)
			return false;
		mantissa = mantissa * 10 + (uint64_t)(*at - '0');
		exponent -= fraction;
	}
	if (at < end) {
		bool negative = at[1] == '-';
		int power = 0;
		at += at[1] == '-' || at[1] == '+' ? 2 : 1;
		for (; at < end; at++) {
			power = power * 10 + (*at - '0');
			if (power > 9999)
				return false;
		}
		exponent += negative ? -power : power;
	}
	*ret_mantissa = mantissa;
	*ret_exponent = exponent;
	return true;
}

bool tape_real(const struct tape_node *number, double *ret_real)
{
	static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
		1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	uint64_t mantissa;
	int exponent;
	double real;
	if (number->kind != TAPE_NUMBER || number->size > TAPE_NUMBER_BYTES)
		return false;
	if (take_apart(number, &mantissa, &exponent) && mantissa <= UINT64_C(1) << 53 && exponent >= -22 &&
		exponent <= 22) {
		/* both are exact doubles, so the one operation rounds correctly (Clinger) */
		real = exponent < 0 ? (double)mantissa / powers[-exponent] : (double)mantissa * powers[exponent];
		*ret_real = number->text[0] == '-' ? -real : real;
		return true;
	}
	/* a number is never the last thing of a text, so strtod stops inside it; the program keeps the C locale */
	real = strtod(number->text, NULL);
	*ret_real = real;
	return isfinite(real);
}

bool tape_integer(const struct tape_node *number, int64_t *ret_integer, bool *ret_fits)
{
	const char *at = number->text, *end = at + number->size;
	bool negative = number->size > 0 && *at == '-';
	int64_t integer = 0;
	if (number->kind != TAPE_NUMBER)
		return false;
	for (const char *c = at; c < end; c++) {
		if (*c == '.' || *c == 'e' || *c == 'E')
			return false;
	}
	*ret_fits = false;
	for (at += negative; at < end; at++) {
		integer = integer * 10 + (*at - '0');
		if (integer > LIMIT_JSON_INTEGER)
			return true;
	}
	*ret_fits = true;
	*ret_integer = negative ? -integer : integer;
	return true;
}

bool tape_seconds_ns(const struct tape_node *number, int64_t *ret_ns)
{
	uint64_t mantissa;
	int exponent;
	if (number->kind != TAPE_NUMBER || !take_apart(number, &mantissa, &exponent))
		return false;
	unsigned __int128 ns = mantissa;
	exponent += 9;
	if (mantissa == 0)
		exponent = 0;
	if (exponent > 18)
		return false;
	for (; exponent > 0; exponent--)
		ns *= 10;
	if (exponent < -20)
		ns = 0, exponent = 0;
	if (exponent < 0) {
		unsigned __int128 unit = 1;
		for (; exponent < 0; exponent++)
			unit *= 10;
		ns = (ns + unit / 2) / unit;
	}
	if (ns > INT64_MAX)
		return false;
	*ret_ns = number->text[0] == '-' ? -(int64_t)ns : (int64_t)ns;
	return true;
}
