/* JSON within bounds: what is refused before and while parsing, and how a document is written. Any thread, one thread a
 * document. */
#include "carbond/base/json.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/limits.h"

/* Walks over strings and brackets once, before jansson recurses into them. */
static enum err check_depth(const char *text, size_t size, struct err_info *info)
{
	int depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < size; i++) {
		char character = text[i];
		if (in_string) {
			if (character == '\\')
				i++;
			else if (character == '"')
				in_string = false;
		} else if (character == '"') {
			in_string = true;
		} else if (character == '{' || character == '[') {
			if (++depth > LIMIT_JSON_DEPTH)
				return err_set(info, ERR_TOO_DEEP, "", "the document is nested deeper than %d levels",
					LIMIT_JSON_DEPTH);
		} else if (character == '}' || character == ']') {
			depth--;
		}
	}
	return ERR_OK;
}

static void release_document(void *document)
{
	json_decref(document);
}

json_t *document_own(struct arena *arena, json_t *document)
{
	if (!document || arena_own(arena, release_document, document) != ERR_OK)
		return NULL;
	return document;
}

/* ---- memory ends while jansson parses ----
 *
 * Its lexer does not look whether its buffer could grow: it goes on with a text that lacks a character, which makes another
 * number, or lets it run past the end of a string. So a parse is left at the first allocation that fails, and all that it
 * had is freed. */

struct parse {
	jmp_buf out;
	void **pieces; /* what jansson has been given and has not freed */
	size_t count, capacity;
};

static _Thread_local struct parse *running; /* NULL: jansson is building or writing, which it checks */

static void *piece_new(size_t size)
{
	struct parse *parse = running;
	void *piece = malloc(size);
	if (!parse)
		return piece;
	if (piece && parse->count == parse->capacity) {
		size_t capacity = 2 * parse->capacity + 64;
		void **pieces = realloc(parse->pieces, capacity * sizeof *pieces);
		if (pieces) {
			parse->pieces = pieces;
			parse->capacity = capacity;
		}
	}
	if (!piece || parse->count == parse->capacity) {
		free(piece);
		longjmp(parse->out, 1);
	}
	return parse->pieces[parse->count++] = piece;
}

/* What is freed lies near the end, or before the values of an object whose key it is: LIMIT_JSON_DEPTH looks at each piece. */
static void piece_free(void *piece)
{
	struct parse *parse = running;
	free(piece);
	if (!parse)
		return;
	for (size_t i = parse->count; i-- > 0;)
		if (parse->pieces[i] == piece) {
			parse->pieces[i] = NULL;
			break;
		}
	while (parse->count && !parse->pieces[parse->count - 1])
		parse->count--;
}

__attribute__((constructor)) static void use_pieces(void)
{
	json_set_alloc_funcs(piece_new, piece_free);
}

static json_t *parse_within_memory(const char *text, size_t size, json_error_t *error, bool *ret_memory_ended)
{
	struct parse parse = {.count = 0};
	json_t *document = NULL;
	running = &parse;
	if (setjmp(parse.out) == 0) {
		document = json_loadb(text, size, JSON_REJECT_DUPLICATES, error);
	} else {
		*ret_memory_ended = true;
		for (size_t i = 0; i < parse.count; i++)
			free(parse.pieces[i]);
	}
	running = NULL;
	free(parse.pieces);
	return document;
}

enum err document_parse(
	struct arena *arena, const char *text, size_t size, json_t **ret_document, struct err_info *info)
{
	if (size > LIMIT_JSON_BYTES)
		return err_set(info, ERR_TOO_LARGE, "", "the document is larger than %u bytes", LIMIT_JSON_BYTES);
	enum err err = check_depth(text, size, info);
	if (err != ERR_OK)
		return err;
	json_error_t error;
	bool memory_ended = false;
	json_t *document = parse_within_memory(text, size, &error, &memory_ended);
	if (memory_ended)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the document");
	if (!document)
		return err_set(
			info, ERR_INVALID_JSON, "", "line %d, column %d: %s", error.line, error.column, error.text);
	*ret_document = document_own(arena, document);
	return *ret_document ? ERR_OK : err_set(info, ERR_NO_MEMORY, "", "no memory for the document");
}

/* jansson's iterators take no const, though they change nothing. */
static json_t *readable(const json_t *document)
{
	return (json_t *)(uintptr_t)document;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum err add_value(struct text *text, const json_t *value, bool canonical, struct err_info *info);

static enum err add_object(struct text *text, const json_t *object, bool canonical, struct err_info *info)
{
	size_t count = 0, size = json_object_size(object);
	const char **keys = calloc(size ? size : 1, sizeof *keys);
	if (!keys) {
		text->failed = true;
		return ERR_OK;
	}
	for (void *at = json_object_iter(readable(object)); at; at = json_object_iter_next(readable(object), at))
		keys[count++] = json_object_iter_key(at);
	if (canonical)
		qsort(keys, count, sizeof *keys, compare_keys);
	enum err err = ERR_OK;
	text_add(text, "{", 1);
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		for (const char *at = keys[i]; canonical && *at; at++)
			if ((unsigned char)*at > 0x7e || (unsigned char)*at < 0x20)
				err = err_set(info, ERR_INVALID_JSON, "", "a canonical document has ASCII keys only");
		if (i)
			text_add(text, ",", 1);
		text_add_string(text, keys[i], strlen(keys[i]));
		text_add(text, ":", 1);
		if (err == ERR_OK)
			err = add_value(text, json_object_get(object, keys[i]), canonical, info);
	}
	text_add(text, "}", 1);
	free(keys);
	return err;
}

static enum err add_array(struct text *text, const json_t *array, bool canonical, struct err_info *info)
{
	enum err err = ERR_OK;
	text_add(text, "[", 1);
	for (size_t i = 0; i < json_array_size(array) && err == ERR_OK; i++) {
		if (i)
			text_add(text, ",", 1);
		err = add_value(text, json_array_get(array, i), canonical, info);
	}
	text_add(text, "]", 1);
	return err;
}

static enum err add_value(struct text *text, const json_t *value, bool canonical, struct err_info *info)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return add_object(text, value, canonical, info);
	case JSON_ARRAY: return add_array(text, value, canonical, info);
	case JSON_STRING: text_add_string(text, json_string_value(value), json_string_length(value)); return ERR_OK;
	case JSON_INTEGER:
		if (canonical && (json_integer_value(value) > LIMIT_JSON_INTEGER ||
					 json_integer_value(value) < -LIMIT_JSON_INTEGER))
			return err_set(info, ERR_INVALID_JSON, "", "a canonical document has integers up to 2^53 - 1");
		text_add_integer(text, json_integer_value(value));
		return ERR_OK;
	case JSON_REAL:
		if (canonical)
			return err_set(
				info, ERR_INVALID_JSON, "", "a canonical document has no reals, only decimal strings");
		text_add_real(text, json_real_value(value));
		return ERR_OK;
	case JSON_TRUE: text_add_word(text, "true"); return ERR_OK;
	case JSON_FALSE: text_add_word(text, "false"); return ERR_OK;
	case JSON_NULL: text_add_word(text, "null"); return ERR_OK;
	}
	return err_set(info, ERR_INVALID_JSON, "", "a value of no known kind");
}

static enum err write_document(struct arena *arena, const json_t *document, bool canonical, char **ret_text,
	size_t *ret_size, struct err_info *info)
{
	struct text text = {0};
	enum err err = add_value(&text, document, canonical, info);
	if (err) {
		text_free(&text);
		return err;
	}
	*ret_text = text_take(&text, arena, ret_size);
	return *ret_text ? ERR_OK : err_set(info, ERR_NO_MEMORY, "", "no memory for the text of a document");
}

enum err document_canonical(struct arena *arena, const json_t *document, char **ret_text, size_t *ret_size)
{
	return write_document(arena, document, true, ret_text, ret_size, NULL);
}

char *document_text(struct arena *arena, const json_t *document, size_t *ret_size)
{
	char *text;
	size_t size;
	if (write_document(arena, document, false, &text, &size, NULL) != ERR_OK)
		return NULL;
	if (ret_size)
		*ret_size = size;
	return text;
}

void document_print(struct text *text, const json_t *document)
{
	(void)add_value(text, document, false, NULL); /* only a canonical text can be refused */
}
