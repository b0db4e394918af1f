/* What a row of a field table means: how its member is read, checked, written and described. Pure; any thread. */
#include "carbond/base/field.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"
#include "carbond/base/limits.h"

#define POINTER_BYTES sizeof(((struct err_info *)0)->pointer)
#define MICROS_MOST   INT64_C(999999999999999999) /* what micros_parse takes */

/* Where in the document the reader stands and what it needs on the way. */
struct reader {
	enum field_mode mode;
	struct arena *arena;
	struct err_info *info;
	char pointer[POINTER_BYTES];
};

/* ---- members of the struct ---- */

static void *member(const struct field *field, void *row)
{
	return (char *)row + field->offset;
}

static const void *member_get(const struct field *field, const void *row)
{
	return (const char *)row + field->offset;
}

static void clear_member(const struct field *field, void *row)
{
	void *at = member(field, row);
	switch (field->kind) {
	case FIELD_NONE: break;
	case FIELD_INT:
	case FIELD_MICROS:
	case FIELD_TIME: *(int64_t *)at = FIELD_ABSENT; break;
	case FIELD_REAL: *(double *)at = NAN; break;
	case FIELD_BOOL: *(bool *)at = false; break;
	case FIELD_DECIMAL:
	case FIELD_TEXT: *(const char **)at = NULL; break;
	case FIELD_ENUM: *(int *)at = -1; break;
	case FIELD_ID: *(struct id *)at = (struct id){{0}}; break;
	case FIELD_HASH: *(struct hash *)at = (struct hash){{0}}; break;
	case FIELD_BYTES: *(struct bytes *)at = (struct bytes){NULL, 0}; break;
	case FIELD_JSON: *(json_t **)at = NULL; break;
	case FIELD_OBJECT: field_clear(field->table, at); break;
	case FIELD_LIST:
	case FIELD_TEXTS: *(struct field_list *)at = (struct field_list){NULL, 0}; break;
	}
}

void field_clear(const struct field *table, void *ret_row)
{
	for (const struct field *field = table; field->kind != FIELD_NONE; field++)
		clear_member(field, ret_row);
}

static bool is_absent(const struct field *field, const void *row)
{
	const void *at = member_get(field, row);
	switch (field->kind) {
	case FIELD_NONE: return true;
	case FIELD_INT:
	case FIELD_MICROS:
	case FIELD_TIME: return *(const int64_t *)at == FIELD_ABSENT;
	case FIELD_REAL: return isnan(*(const double *)at);
	case FIELD_BOOL: return !*(const bool *)at;
	case FIELD_DECIMAL:
	case FIELD_TEXT: return !*(const char *const *)at;
	case FIELD_ENUM: return *(const int *)at < 0;
	case FIELD_ID: return id_is_none(*(const struct id *)at);
	case FIELD_HASH: return hash_is_none(*(const struct hash *)at);
	case FIELD_BYTES: return !((const struct bytes *)at)->data;
	case FIELD_JSON: return !*(json_t *const *)at;
	case FIELD_OBJECT:
		for (const struct field *inner = field->table; inner->kind != FIELD_NONE; inner++)
			if (!is_absent(inner, at))
				return false;
		return true;
	case FIELD_LIST:
	case FIELD_TEXTS: return !((const struct field_list *)at)->items;
	}
	return true;
}

/* ---- limits that a row leaves to the house ---- */

static int64_t integer_most(const struct field *field)
{
	return field->max == 0 && field->min >= 0 ? LIMIT_JSON_INTEGER : field->max;
}

static int64_t integer_least(const struct field *field)
{
	return field->min == 0 && field->max == 0 ? -LIMIT_JSON_INTEGER : field->min;
}

static int64_t micros_most(const struct field *field)
{
	return field->max == 0 && field->min >= 0 ? MICROS_MOST : field->max;
}

static int64_t micros_least(const struct field *field)
{
	return field->min == 0 && field->max == 0 ? -MICROS_MOST : field->min;
}

static int64_t size_most(const struct field *field)
{
	if (field->max)
		return field->max;
	return field->kind == FIELD_LIST || field->kind == FIELD_TEXTS ? LIMIT_PAGE_ROWS : LIMIT_TEXT_BYTES;
}

static bool has_real_range(const struct field *field)
{
	return field->min_real != 0 || field->max_real != 0;
}

/* ---- pointers and messages ---- */

/* Appends "/name" with RFC 6901's escapes; what does not fit is cut. Returns the length before it. */
static size_t enter(struct reader *reader, const char *name)
{
	size_t before = strlen(reader->pointer), at = before;
	char *pointer = reader->pointer;
	if (at + 1 < POINTER_BYTES)
		pointer[at++] = '/';
	for (; *name && at + 2 < POINTER_BYTES; name++) {
		if (*name == '~' || *name == '/') {
			pointer[at++] = '~';
			pointer[at++] = *name == '~' ? '0' : '1';
		} else {
			pointer[at++] = *name;
		}
	}
	while (((unsigned char)*name & 0xc0) == 0x80 && at > before + 1) /* cut inside a character: take it off */
		name--, at--;
	pointer[at] = 0;
	return before;
}

static size_t enter_index(struct reader *reader, size_t index)
{
	char name[24];
	snprintf(name, sizeof name, "%zu", index);
	return enter(reader, name);
}

static void leave(struct reader *reader, size_t before)
{
	reader->pointer[before] = 0;
}

static enum err fault(struct reader *reader, enum err code, const char *what)
{
	return err_set(
		reader->info, code, reader->pointer, "%s %s", reader->pointer[0] ? reader->pointer : "the body", what);
}

static enum err out_of_memory(struct reader *reader)
{
	return err_set(reader->info, ERR_NO_MEMORY, reader->pointer, "no memory for the fields");
}

static enum err fault_integer(struct reader *reader, const struct field *field)
{
	char what[96];
	if (field->min == 0 && field->max == 0)
		snprintf(what, sizeof what, "must be an integer");
	else
		snprintf(what, sizeof what, "must be an integer %lld..%lld", (long long)integer_least(field),
			(long long)integer_most(field));
	return fault(reader, ERR_INVALID_FIELD, what);
}

static enum err fault_real(struct reader *reader, const struct field *field, const char *noun)
{
	char what[96];
	if (has_real_range(field))
		snprintf(what, sizeof what, "must be %s %.10g..%.10g", noun, field->min_real, field->max_real);
	else
		snprintf(what, sizeof what, "must be %s", noun);
	return fault(reader, ERR_INVALID_FIELD, what);
}

static enum err fault_micros(struct reader *reader, const struct field *field)
{
	char what[128], least[DECIMAL_TEXT_SIZE], most[DECIMAL_TEXT_SIZE];
	snprintf(what, sizeof what, "must be a decimal string such as \"12.50\", %s..%s",
		micros_text(micros_least(field), least), micros_text(micros_most(field), most));
	return fault(reader, ERR_INVALID_FIELD, what);
}

static enum err fault_size(struct reader *reader, const struct field *field, const char *noun)
{
	char what[96];
	snprintf(what, sizeof what, "must be %lld..%lld %s", (long long)field->min, (long long)size_most(field), noun);
	return fault(reader, ERR_INVALID_FIELD, what);
}

static enum err fault_enum(struct reader *reader, const struct field *field)
{
	char what[256] = "must be one of";
	size_t size = strlen(what);
	for (const char *const *name = field->names; *name && size < sizeof what; name++)
		size += (size_t)snprintf(
			what + size, sizeof what - size, "%s \"%s\"", name == field->names ? "" : ",", *name);
	return fault(reader, ERR_INVALID_FIELD, what);
}

/* ---- reading one value ---- */

static enum err read_object(struct reader *reader, const struct field *table, const json_t *object, void *row);

/* C0, DEL and C1 control characters but newline and tab; the text is valid UTF-8. */
static bool has_control(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if ((*at < 0x20 && *at != '\n' && *at != '\t') || *at == 0x7f)
			return true;
		if (*at == 0xc2 && at[1] < 0xa0)
			return true;
	}
	return false;
}

static enum err copy_text(struct reader *reader, const json_t *value, int64_t min, int64_t max, const char **ret_text)
{
	char what[96];
	snprintf(what, sizeof what, "must be %lld..%lld bytes", (long long)min, (long long)max);
	if (!json_is_string(value))
		return fault(reader, ERR_INVALID_FIELD, "must be a string");
	int64_t size = (int64_t)json_string_length(value);
	if (size < min || size > max)
		return fault(reader, ERR_INVALID_FIELD, what);
	if (has_control(json_string_value(value)))
		return fault(reader, ERR_INVALID_FIELD, "must not hold control characters other than newline and tab");
	*ret_text = arena_copy(reader->arena, json_string_value(value), (size_t)size);
	return *ret_text ? ERR_OK : out_of_memory(reader);
}

static enum err read_int(struct reader *reader, const struct field *field, const json_t *value, int64_t *ret)
{
	if (!json_is_integer(value) || json_integer_value(value) < integer_least(field) ||
		json_integer_value(value) > integer_most(field))
		return fault_integer(reader, field);
	*ret = json_integer_value(value);
	return ERR_OK;
}

static enum err read_real(struct reader *reader, const struct field *field, const json_t *value, double *ret)
{
	double real = json_is_number(value) ? json_number_value(value) : NAN;
	if (!isfinite(real) || (has_real_range(field) && (real < field->min_real || real > field->max_real)))
		return fault_real(reader, field, "a number");
	*ret = real;
	return ERR_OK;
}

static enum err read_micros(struct reader *reader, const struct field *field, const json_t *value, int64_t *ret)
{
	int64_t micros = 0;
	if (!json_is_string(value) || micros_parse(json_string_value(value), &micros) != ERR_OK ||
		micros < micros_least(field) || micros > micros_most(field))
		return fault_micros(reader, field);
	*ret = micros;
	return ERR_OK;
}

static enum err read_decimal(struct reader *reader, const struct field *field, const json_t *value, const char **ret)
{
	static const char noun[] = "a decimal string such as \"12.50\"";
	struct decimal decimal;
	if (!json_is_string(value) || decimal_parse(json_string_value(value), &decimal) != ERR_OK)
		return fault_real(reader, field, noun);
	if (has_real_range(field) &&
		(decimal_real(decimal) < field->min_real || decimal_real(decimal) > field->max_real))
		return fault_real(reader, field, noun);
	*ret = arena_copy(reader->arena, json_string_value(value), json_string_length(value));
	return *ret ? ERR_OK : out_of_memory(reader);
}

static enum err read_enum(struct reader *reader, const struct field *field, const json_t *value, int *ret)
{
	const char *text = json_string_value(value);
	for (int i = 0; text && field->names[i]; i++) {
		if (strcmp(field->names[i], text) == 0) {
			*ret = i;
			return ERR_OK;
		}
	}
	return fault_enum(reader, field);
}

static enum err read_time(struct reader *reader, const struct field *field, const json_t *value, int64_t *ret)
{
	int64_t time_us;
	if (!json_is_string(value) || clock_parse(json_string_value(value), &time_us) != ERR_OK)
		return fault(reader, ERR_INVALID_FIELD,
			"must be a time as in RFC 3339 from 1970 to 9999, such as \"2026-11-23T10:00:00Z\"");
	if ((field->min || field->max) && (time_us < field->min || time_us > integer_most(field))) {
		char least[CLOCK_TEXT_SIZE], most[CLOCK_TEXT_SIZE], what[96];
		snprintf(what, sizeof what, "must be a time %s..%s", clock_text(field->min, least),
			field->max ? clock_text(field->max, most) : "9999");
		return fault(reader, ERR_INVALID_FIELD, what);
	}
	*ret = time_us;
	return ERR_OK;
}

static enum err read_bytes(struct reader *reader, const struct field *field, const json_t *value, struct bytes *ret)
{
	if (!json_is_string(value))
		return fault(reader, ERR_INVALID_FIELD, "must be a base64url string");
	size_t length = json_string_length(value), size;
	size_t most = length / 4 * 3 + 3;
	uint8_t *data = arena_alloc(reader->arena, most);
	if (!data)
		return out_of_memory(reader);
	if (base64url_parse(json_string_value(value), length, data, most, &size) != ERR_OK)
		return fault(reader, ERR_INVALID_FIELD, "must be a base64url string without padding");
	if ((int64_t)size < field->min || (int64_t)size > size_most(field))
		return fault_size(reader, field, "bytes as a base64url string");
	*ret = (struct bytes){data, size};
	return ERR_OK;
}

static enum err read_json(struct reader *reader, const json_t *value, json_t **ret)
{
	*ret = document_own(reader->arena, json_incref((json_t *)(uintptr_t)value));
	return *ret ? ERR_OK : out_of_memory(reader);
}

static enum err read_list(struct reader *reader, const struct field *field, const json_t *value, struct field_list *ret)
{
	if (!json_is_array(value))
		return fault(reader, ERR_INVALID_FIELD, "must be a list");
	size_t count = json_array_size(value);
	if ((int64_t)count < field->min || (int64_t)count > size_most(field))
		return fault_size(reader, field, "items");
	size_t item_size = field->kind == FIELD_TEXTS ? sizeof(char *) : field->item_size;
	assert(item_size > 0);
	char *items = arena_array(reader->arena, item_size, count);
	if (!items)
		return out_of_memory(reader);
	enum field_mode mode = reader->mode;
	if (mode == FIELD_REPLACE)
		reader->mode = FIELD_CREATE; /* RFC 7396: a list is replaced as a whole */
	enum err err = ERR_OK;
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		size_t before = enter_index(reader, i);
		void *item = items + i * item_size;
		if (field->kind == FIELD_TEXTS)
			err = copy_text(reader, json_array_get(value, i), 0, LIMIT_TEXT_BYTES, item);
		else
			err = read_object(reader, field->table, json_array_get(value, i), item);
		leave(reader, before);
	}
	reader->mode = mode;
	if (err == ERR_OK)
		*ret = (struct field_list){items, count};
	return err;
}

static enum err read_value(struct reader *reader, const struct field *field, const json_t *value, void *row)
{
	void *at = member(field, row);
	switch (field->kind) {
	case FIELD_NONE: break;
	case FIELD_INT: return read_int(reader, field, value, at);
	case FIELD_REAL: return read_real(reader, field, value, at);
	case FIELD_MICROS: return read_micros(reader, field, value, at);
	case FIELD_DECIMAL: return read_decimal(reader, field, value, at);
	case FIELD_BOOL:
		if (!json_is_boolean(value))
			return fault(reader, ERR_INVALID_FIELD, "must be true or false");
		*(bool *)at = json_is_true(value);
		return ERR_OK;
	case FIELD_TEXT: return copy_text(reader, value, field->min, size_most(field), at);
	case FIELD_ENUM: return read_enum(reader, field, value, at);
	case FIELD_TIME: return read_time(reader, field, value, at);
	case FIELD_ID:
		if (!json_is_string(value) || id_parse(json_string_value(value), at) != ERR_OK)
			return fault(reader, ERR_INVALID_FIELD, "must be a UUID");
		return ERR_OK;
	case FIELD_HASH:
		if (!json_is_string(value) || hash_parse(json_string_value(value), at) != ERR_OK)
			return fault(reader, ERR_INVALID_FIELD, "must be 64 hexadecimal digits");
		return ERR_OK;
	case FIELD_BYTES: return read_bytes(reader, field, value, at);
	case FIELD_JSON: return read_json(reader, value, at);
	case FIELD_OBJECT: return read_object(reader, field->table, value, at);
	case FIELD_LIST:
	case FIELD_TEXTS: return read_list(reader, field, value, at);
	}
	return err_set(reader->info, ERR_INTERNAL, reader->pointer, "a field of no known kind");
}

/* ---- reading an object ---- */

/* `value` NULL: the member is not in the body. */
static enum err read_member(struct reader *reader, const struct field *field, const json_t *value, void *row)
{
	bool trusted = reader->mode == FIELD_TRUSTED;
	bool required = (field->flags & FIELD_REQUIRED) && !(field->flags & FIELD_READ_ONLY) && !trusted;
	if (value && !trusted && (field->flags & FIELD_READ_ONLY))
		return fault(reader, ERR_READ_ONLY_FIELD, "is set by the server");
	if (value && reader->mode == FIELD_REPLACE && (field->flags & FIELD_FIXED))
		return fault(reader, ERR_READ_ONLY_FIELD, "is fixed at creation");
	if (!value && reader->mode == FIELD_REPLACE)
		return ERR_OK;
	if (!value || json_is_null(value)) {
		if (required)
			return fault(reader, ERR_MISSING_FIELD, "is required");
		clear_member(field, row);
		return ERR_OK;
	}
	return read_value(reader, field, value, row);
}

/* After a merge: an object that came into being must have what it requires. */
static enum err check_required(struct reader *reader, const struct field *table, const void *row)
{
	for (const struct field *field = table; field->kind != FIELD_NONE; field++) {
		if (!(field->flags & FIELD_REQUIRED) || (field->flags & FIELD_READ_ONLY) || field->kind == FIELD_BOOL ||
			!is_absent(field, row))
			continue;
		size_t before = enter(reader, field->name);
		enum err err = fault(reader, ERR_MISSING_FIELD, "is required");
		leave(reader, before);
		return err;
	}
	return ERR_OK;
}

static enum err check_known(struct reader *reader, const struct field *table, const json_t *object)
{
	json_t *readable = (json_t *)(uintptr_t)object; /* jansson's iterators take no const */
	for (void *at = json_object_iter(readable); at; at = json_object_iter_next(readable, at)) {
		if (field_find(table, json_object_iter_key(at)))
			continue;
		size_t before = enter(reader, json_object_iter_key(at));
		enum err err = fault(reader, ERR_UNKNOWN_FIELD, "is not a field of this resource");
		leave(reader, before);
		return err;
	}
	return ERR_OK;
}

static enum err read_object(struct reader *reader, const struct field *table, const json_t *object, void *row)
{
	if (!json_is_object(object))
		return fault(reader, ERR_INVALID_FIELD, "must be an object");
	enum err err = check_known(reader, table, object);
	if (err != ERR_OK)
		return err;
	if (reader->mode != FIELD_REPLACE)
		field_clear(table, row);
	for (const struct field *field = table; field->kind != FIELD_NONE; field++) {
		size_t before = enter(reader, field->name);
		err = read_member(reader, field, json_object_get(object, field->name), row);
		leave(reader, before);
		if (err != ERR_OK)
			return err;
	}
	return reader->mode == FIELD_REPLACE ? check_required(reader, table, row) : ERR_OK;
}

enum err field_read(const struct field *table, enum field_mode mode, const json_t *object, const char *pointer,
	struct arena *arena, void *ret_row, struct err_info *info)
{
	struct reader reader = {.mode = mode, .arena = arena, .info = info};
	snprintf(reader.pointer, sizeof reader.pointer, "%s", pointer ? pointer : "");
	return read_object(&reader, table, object, ret_row);
}

/* ---- reading text ---- */

static json_t *texts_from_text(const char *text)
{
	json_t *array = json_array();
	while (array) {
		const char *comma = strchrnul(text, ',');
		if (json_array_append_new(array, json_stringn(text, (size_t)(comma - text))) != 0) {
			json_decref(array);
			return NULL;
		}
		if (!*comma)
			break;
		text = comma + 1;
	}
	return array;
}

/* The JSON value that `text` stands for; a string where it is none, so that the reader's own check names the fault. */
static json_t *value_from_text(const struct field *field, const char *text)
{
	char *end = NULL;
	errno = 0;
	if (field->kind == FIELD_INT) {
		long long integer = strtoll(text, &end, 10);
		if (*text && !*end && errno == 0 && !strpbrk(text, " \t\n+"))
			return json_integer(integer);
	} else if (field->kind == FIELD_REAL) {
		double real = strtod(text, &end);
		if (*text && !*end && isfinite(real) && !strpbrk(text, " \t\n+xX"))
			return json_real(real);
	} else if (field->kind == FIELD_BOOL) {
		if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
			return json_boolean(text[0] == 't');
	} else if (field->kind == FIELD_TEXTS) {
		return texts_from_text(text);
	}
	return json_string(text);
}

enum err field_read_text(
	const struct field *field, const char *text, struct arena *arena, void *ret_row, struct err_info *info)
{
	struct reader reader = {.mode = FIELD_CREATE, .arena = arena, .info = info};
	enter(&reader, field->name);
	json_t *value = value_from_text(field, text);
	if (!value)
		return fault(&reader, ERR_INVALID_FIELD, "must be UTF-8 text");
	enum err err = read_value(&reader, field, value, ret_row);
	json_decref(value);
	return err;
}

/* ---- writing ---- */

static json_t *write_row(const struct field *table, const void *row, bool stored);

static json_t *write_list(const struct field *field, const struct field_list *list, bool stored)
{
	json_t *array = json_array();
	for (size_t i = 0; array && i < list->count; i++) {
		const char *items = list->items;
		json_t *item = field->kind == FIELD_TEXTS
				       ? json_string(((const char *const *)list->items)[i])
				       : write_row(field->table, items + i * field->item_size, stored);
		if (json_array_append_new(array, item) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *write_bytes(const struct bytes *bytes)
{
	char *text = malloc((bytes->size + 2) / 3 * 4 + 1);
	if (!text)
		return NULL;
	json_t *value = json_string(base64url_text(bytes->data, bytes->size, text));
	free(text);
	return value;
}

static json_t *write_value(const struct field *field, const void *row, bool stored)
{
	const void *at = member_get(field, row);
	char text[HASH_TEXT_SIZE];
	switch (field->kind) {
	case FIELD_NONE: break;
	case FIELD_INT: return json_integer(*(const int64_t *)at);
	case FIELD_MICROS: return json_string(micros_text(*(const int64_t *)at, text));
	case FIELD_REAL: return json_real(*(const double *)at);
	case FIELD_BOOL: return json_boolean(*(const bool *)at);
	case FIELD_DECIMAL:
	case FIELD_TEXT: return json_string(*(const char *const *)at);
	case FIELD_ENUM: return json_string(field->names[*(const int *)at]);
	case FIELD_TIME: return json_string(clock_text(*(const int64_t *)at, text));
	case FIELD_ID: return json_string(id_text(*(const struct id *)at, text));
	case FIELD_HASH: return json_string(hash_text(*(const struct hash *)at, text));
	case FIELD_BYTES: return write_bytes(at);
	case FIELD_JSON: return json_incref(*(json_t *const *)at);
	case FIELD_OBJECT: return write_row(field->table, at, stored);
	case FIELD_LIST:
	case FIELD_TEXTS: return write_list(field, at, stored);
	}
	return NULL;
}

static json_t *write_row(const struct field *table, const void *row, bool stored)
{
	json_t *object = json_object();
	for (const struct field *field = table; object && field->kind != FIELD_NONE; field++) {
		if ((field->flags & FIELD_SECRET) && !stored)
			continue;
		if (field->kind != FIELD_BOOL && is_absent(field, row))
			continue;
		if (json_object_set_new(object, field->name, write_value(field, row, stored)) != 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *field_write(const struct field *table, const void *row)
{
	return write_row(table, row, false);
}

json_t *field_write_stored(const struct field *table, const void *row)
{
	return write_row(table, row, true);
}

/* ---- writing text ---- */

static void print_list(const struct field *field, const struct field_list *list, struct text *text)
{
	text_add(text, "[", 1);
	for (size_t i = 0; i < list->count; i++) {
		if (i)
			text_add(text, ",", 1);
		if (field->kind == FIELD_LIST) {
			field_print(field->table, (const char *)list->items + i * field->item_size, text);
		} else {
			const char *item = ((const char *const *)list->items)[i];
			text_add_string(text, item, strlen(item));
		}
	}
	text_add(text, "]", 1);
}

static void print_bytes(const struct bytes *bytes, struct text *text)
{
	char *digits = malloc((bytes->size + 2) / 3 * 4 + 1);
	if (digits) {
		base64url_text(bytes->data, bytes->size, digits);
		text_add_string(text, digits, strlen(digits));
	}
	text->failed = text->failed || !digits;
	free(digits);
}

/* A string that needs no escapes. */
static void print_plain(const char *word, size_t size, struct text *text)
{
	text_add(text, "\"", 1);
	text_add(text, word, size);
	text_add(text, "\"", 1);
}

static void print_value(const struct field *field, const void *row, struct text *text)
{
	const void *at = member_get(field, row);
	char short_text[HASH_TEXT_SIZE];
	const char *word = NULL;
	switch (field->kind) {
	case FIELD_NONE: break;
	case FIELD_INT: text_add_integer(text, *(const int64_t *)at); break;
	case FIELD_MICROS: word = micros_text(*(const int64_t *)at, short_text); break;
	case FIELD_REAL: text_add_real(text, *(const double *)at); break;
	case FIELD_BOOL: text_add_word(text, *(const bool *)at ? "true" : "false"); break;
	case FIELD_DECIMAL:
	case FIELD_TEXT: word = *(const char *const *)at; break;
	case FIELD_ENUM: word = field->names[*(const int *)at]; break;
	case FIELD_TIME:
		text_add(text, "\"", 1);
		text_add_time(text, *(const int64_t *)at);
		text_add(text, "\"", 1);
		break;
	case FIELD_ID: print_plain(id_text(*(const struct id *)at, short_text), ID_TEXT_SIZE - 1, text); break;
	case FIELD_HASH: print_plain(hash_text(*(const struct hash *)at, short_text), HASH_TEXT_SIZE - 1, text); break;
	case FIELD_BYTES: print_bytes(at, text); break;
	case FIELD_JSON: document_print(text, *(json_t *const *)at); break;
	case FIELD_OBJECT: field_print(field->table, at, text); break;
	case FIELD_LIST:
	case FIELD_TEXTS: print_list(field, at, text); break;
	}
	if (word)
		text_add_string(text, word, strlen(word));
}

static void print_name(const char *name, bool first, struct text *text)
{
	size_t size = strlen(name);
	if (text->capacity - text->size < size + 4 && !text_reserve(text, size + 4))
		return;
	char *at = text->data + text->size;
	if (!first)
		*at++ = ',';
	*at++ = '"';
	memcpy(at, name, size);
	at += size;
	*at++ = '"';
	*at++ = ':';
	text->size = (size_t)(at - text->data);
}

void field_print(const struct field *table, const void *row, struct text *text)
{
	bool first = true;
	text_add(text, "{", 1);
	for (const struct field *field = table; field->kind != FIELD_NONE; field++) {
		if ((field->flags & FIELD_SECRET) || (field->kind != FIELD_BOOL && is_absent(field, row)))
			continue;
		print_name(field->name, first, text);
		print_value(field, row, text);
		first = false;
	}
	text_add(text, "}", 1);
}

/* ---- describing ---- */

static json_t *schema_of_list(const struct field *field, bool out)
{
	json_t *items = field->kind == FIELD_TEXTS
				? json_pack("{s:s, s:i}", "type", "string", "maxLength", LIMIT_TEXT_BYTES)
				: field_schema(field->table, out);
	return json_pack("{s:s, s:o, s:I, s:I}", "type", "array", "items", items, "minItems", (json_int_t)field->min,
		"maxItems", (json_int_t)size_most(field));
}

static json_t *schema_of_enum(const struct field *field)
{
	json_t *names = json_array();
	for (const char *const *name = field->names; *name; name++)
		json_array_append_new(names, json_string(*name));
	return json_pack("{s:s, s:o}", "type", "string", "enum", names);
}

static json_t *schema_of_number(const struct field *field)
{
	if (field->kind == FIELD_INT)
		return json_pack("{s:s, s:s, s:I, s:I}", "type", "integer", "format", "int64", "minimum",
			(json_int_t)integer_least(field), "maximum", (json_int_t)integer_most(field));
	if (!has_real_range(field))
		return json_pack("{s:s}", "type", "number");
	return json_pack("{s:s, s:f, s:f}", "type", "number", "minimum", field->min_real, "maximum", field->max_real);
}

static json_t *schema_of_value(const struct field *field, bool out)
{
	switch (field->kind) {
	case FIELD_NONE: break;
	case FIELD_INT:
	case FIELD_REAL: return schema_of_number(field);
	case FIELD_MICROS:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", "^-?(0|[1-9][0-9]*)(\\.[0-9]{1,6})?$");
	case FIELD_DECIMAL:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", "^-?(0|[1-9][0-9]*)(\\.[0-9]{1,12})?$");
	case FIELD_BOOL: return json_pack("{s:s}", "type", "boolean");
	case FIELD_TEXT:
		/* the limits are bytes of UTF-8, which has one to four for a character */
		return json_pack("{s:s, s:I, s:I}", "type", "string", "minLength", (json_int_t)(field->min + 3) / 4,
			"maxLength", (json_int_t)size_most(field));
	case FIELD_ENUM: return schema_of_enum(field);
	case FIELD_TIME: return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
	case FIELD_ID: return json_pack("{s:s, s:s}", "type", "string", "format", "uuid");
	case FIELD_HASH: return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[0-9a-fA-F]{64}$");
	case FIELD_BYTES:
		return json_pack("{s:s, s:s, s:s}", "type", "string", "contentEncoding", "base64url", "pattern",
			"^[A-Za-z0-9_-]*$");
	case FIELD_JSON: return json_object();
	case FIELD_OBJECT: return field_schema(field->table, out);
	case FIELD_LIST:
	case FIELD_TEXTS: return schema_of_list(field, out);
	}
	return NULL;
}

json_t *field_schema(const struct field *table, bool out)
{
	json_t *properties = json_object(), *required = json_array();
	for (const struct field *field = table; field->kind != FIELD_NONE; field++) {
		if (field->flags & (out ? FIELD_SECRET : FIELD_READ_ONLY))
			continue;
		json_t *property = schema_of_value(field, out);
		if (field->doc)
			json_object_set_new(property, "description", json_string(field->doc));
		if (field->unit)
			json_object_set_new(property, "x-unit", json_string(field->unit));
		if (field->flags & FIELD_READ_ONLY)
			json_object_set_new(property, "readOnly", json_true());
		if (field->flags & FIELD_SECRET)
			json_object_set_new(property, "writeOnly", json_true());
		json_object_set_new(properties, field->name, property);
		if (field->flags & FIELD_REQUIRED)
			json_array_append_new(required, json_string(field->name));
	}
	json_t *schema = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
	if (json_array_size(required))
		json_object_set_new(schema, "required", required);
	else
		json_decref(required);
	if (!out)
		json_object_set_new(schema, "additionalProperties", json_false());
	return schema;
}

const struct field *field_find(const struct field *table, const char *name)
{
	for (const struct field *field = table; field->kind != FIELD_NONE; field++)
		if (strcmp(field->name, name) == 0)
			return field;
	return NULL;
}
