/* room: base */
/* Outside JSON through the parser, a field table of every kind in every mode, and back: what is accepted is written, read
 * again and equal; canonical text is a fixed point; texts of ids, times, decimals and bytes never read past their end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"
#include "carbond/base/field.h"

struct inner {
	const char *name;
	int64_t kg;
};

struct outer {
	struct id id;
	const char *text, *price;
	int64_t count, at;
	double real;
	bool flag;
	int state;
	struct hash hash;
	struct bytes bytes;
	json_t *json;
	struct inner inner;
	struct field_list list, texts;
};

static const char *const states[] = {"open", "closed", NULL};
static const struct field inner_fields[] = {FIELD(struct inner, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .max = 8),
	FIELD(struct inner, kg, FIELD_INT, .min = 1, .max = 9), FIELD_END};
static const struct field outer_fields[] = {FIELD(struct outer, id, FIELD_ID), FIELD(struct outer, text, FIELD_TEXT),
	FIELD(struct outer, price, FIELD_DECIMAL, .max_real = 10), FIELD(struct outer, count, FIELD_INT),
	FIELD(struct outer, at, FIELD_TIME), FIELD(struct outer, real, FIELD_REAL),
	FIELD(struct outer, flag, FIELD_BOOL), FIELD(struct outer, state, FIELD_ENUM, .names = states),
	FIELD(struct outer, hash, FIELD_HASH), FIELD(struct outer, bytes, FIELD_BYTES, .max = 64),
	FIELD(struct outer, json, FIELD_JSON), FIELD(struct outer, inner, FIELD_OBJECT, .table = inner_fields),
	FIELD(struct outer, list, FIELD_LIST, .table = inner_fields, .item_size = sizeof(struct inner), .max = 5),
	FIELD(struct outer, texts, FIELD_TEXTS, .max = 5), FIELD_END};

static void check(int holds)
{
	if (!holds)
		abort();
}

static void read_fields(struct arena *arena, const json_t *document)
{
	struct outer row, again;
	struct err_info info;
	field_clear(outer_fields, &row);
	enum err patched = field_read(outer_fields, FIELD_REPLACE, document, "", arena, &row, &info);
	(void)patched;
	if (field_read(outer_fields, FIELD_CREATE, document, "", arena, &row, &info) != ERR_OK) {
		check(info.detail[0] && memchr(info.pointer, 0, sizeof info.pointer));
		return;
	}
	json_t *out = document_own(arena, field_write(outer_fields, &row));
	check(out && field_read(outer_fields, FIELD_TRUSTED, out, "", arena, &again, &info) == ERR_OK);
	json_t *twice = document_own(arena, field_write(outer_fields, &again));
	check(twice && json_equal(out, twice));
}

static void read_document(struct arena *arena, const char *text, size_t size)
{
	struct err_info info;
	json_t *document, *again;
	if (document_parse(arena, text, size, &document, &info) != ERR_OK)
		return;
	char *canonical, *second;
	size_t length, second_length;
	if (document_canonical(arena, document, &canonical, &length) == ERR_OK) {
		check(document_parse(arena, canonical, length, &again, &info) == ERR_OK && json_equal(document, again));
		check(document_canonical(arena, again, &second, &second_length) == ERR_OK);
		check(length == second_length && memcmp(canonical, second, length) == 0);
	}
	char *plain = document_text(arena, document, &length);
	check(plain && document_parse(arena, plain, length, &again, &info) == ERR_OK && json_equal(document, again));
	read_fields(arena, document);
}

static void read_words(struct arena *arena, const char *text)
{
	char back[64];
	struct id id;
	struct hash hash;
	struct decimal decimal;
	int64_t time_us;
	uint8_t bytes[32];
	size_t size;
	if (id_parse(text, &id) == ERR_OK)
		check(strcasecmp(id_text(id, back), text) == 0);
	if (decimal_parse(text, &decimal) == ERR_OK) {
		struct decimal again;
		check(decimal_parse(decimal_text(decimal, back), &again) == ERR_OK &&
			again.mantissa == decimal.mantissa && again.scale == decimal.scale);
	}
	if (clock_parse(text, &time_us) == ERR_OK) {
		int64_t again_us;
		check(clock_parse(clock_text(time_us, back), &again_us) == ERR_OK && again_us == time_us);
	}
	if (base64url_parse(text, strlen(text), bytes, sizeof bytes, &size) == ERR_OK)
		check(strcmp(base64url_text(bytes, size, back), text) == 0);
	enum err err = hash_parse(text, &hash);
	err = hex_parse(text, strlen(text), bytes, sizeof bytes, &size);
	(void)err;
	for (const struct field *field = outer_fields; field->kind != FIELD_NONE; field++) {
		struct outer row;
		struct err_info info;
		field_clear(outer_fields, &row);
		if (field->kind != FIELD_OBJECT && field->kind != FIELD_LIST)
			err = field_read_text(field, text, arena, &row, &info);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	read_document(arena, (const char *)data, size);
	char *text = arena_copy(arena, data, size);
	read_words(arena, text);
	arena_free(&arena);
	return 0;
}
