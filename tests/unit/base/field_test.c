/* Field tables: every kind in and out, each fault with its pointer and message, the three modes, texts, schemas. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "carbond/base/field.h"

struct part {
	const char *name;
	int64_t kg;
};

struct place {
	double latitude;
	const char *town;
};

struct thing {
	struct id id;
	const char *name, *price, *secret;
	int64_t kg, at, version, free, fee;
	double share, ratio;
	bool ready;
	int state;
	struct hash root;
	struct bytes key;
	json_t *note;
	struct place place;
	struct field_list parts, tags;
};

static const char *const states[] = {"open", "closed", NULL};

static const struct field part_fields[] = {
	FIELD(struct part, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 5),
	FIELD(struct part, kg, FIELD_INT, .min = 1, .max = 10), FIELD_END};

static const struct field place_fields[] = {FIELD(struct place, latitude, FIELD_REAL, .min_real = -90, .max_real = 90),
	FIELD(struct place, town, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 20), FIELD_END};

static const struct field thing_fields[] = {
	FIELD(struct thing, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "the id"),
	FIELD(struct thing, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 100, .doc = "the name"),
	FIELD(struct thing, price, FIELD_DECIMAL, .min_real = 0, .max_real = 100),
	FIELD(struct thing, fee, FIELD_MICROS, .min = 1, .max = 5000000),
	FIELD(struct thing, secret, FIELD_TEXT, .flags = FIELD_SECRET),
	FIELD(struct thing, kg, FIELD_INT, .min = 1, .max = 1000000000, .unit = "kg"),
	FIELD(struct thing, at, FIELD_TIME), FIELD(struct thing, version, FIELD_INT, .flags = FIELD_READ_ONLY),
	FIELD(struct thing, free, FIELD_INT), FIELD(struct thing, share, FIELD_REAL, .min_real = 0, .max_real = 1),
	FIELD(struct thing, ratio, FIELD_REAL), FIELD(struct thing, ready, FIELD_BOOL),
	FIELD(struct thing, state, FIELD_ENUM, .flags = FIELD_FIXED, .names = states),
	FIELD(struct thing, root, FIELD_HASH), FIELD(struct thing, key, FIELD_BYTES, .min = 2, .max = 4),
	FIELD(struct thing, note, FIELD_JSON), FIELD(struct thing, place, FIELD_OBJECT, .table = place_fields),
	FIELD(struct thing, parts, FIELD_LIST, .table = part_fields, .item_size = sizeof(struct part), .max = 2),
	FIELD(struct thing, tags, FIELD_TEXTS, .max = 3), FIELD_END};

static struct arena *arena;

static json_t *parse(const char *text)
{
	json_t *document = NULL;
	struct err_info info;
	if (document_parse(arena, text, strlen(text), &document, &info) != ERR_OK)
		fail_msg("%s: %s", text, info.detail);
	return document;
}

static const char full[] =
	"{\"name\":\"n\\u00e4\",\"price\":\"12.50\",\"fee\":\"1.5\",\"secret\":\"s\",\"kg\":7,\"at\":\"2026-11-23T10:"
	"00:00.5Z\","
	"\"free\":-5,"
	"\"share\":1,\"ratio\":0.25,\"ready\":true,\"state\":\"closed\",\"root\":"
	"\"00000000000000000000000000000000000000000000000000000000000000aa\",\"key\":\"AQID\",\"note\":{\"x\":[1.5]},"
	"\"place\":{\"latitude\":-33.5,\"town\":\"T\"},\"parts\":[{\"name\":\"a\"},{\"name\":\"b\",\"kg\":10}],"
	"\"tags\":[\"x\",\"y\"]}";

/* The text is that of the object that field_write makes, byte for byte. */
static void check_print(const struct thing *thing)
{
	struct text text = {0};
	size_t size, wanted_size;
	const char *wanted = document_text(arena, document_own(arena, field_write(thing_fields, thing)), &wanted_size);
	field_print(thing_fields, thing, &text);
	const char *printed = text_take(&text, arena, &size);
	assert_string_equal(printed, wanted);
	assert_int_equal(size, wanted_size);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct thing thing;
	struct err_info info;
	assert_int_equal(field_read(thing_fields, FIELD_CREATE, parse(full), "", arena, &thing, &info), ERR_OK);
	assert_string_equal(thing.name, "n\xc3\xa4");
	assert_true(id_is_none(thing.id));
	assert_int_equal(thing.version, FIELD_ABSENT);
	assert_int_equal(thing.free, -5);
	assert_int_equal(thing.fee, 1500000);
	assert_int_equal(thing.at, INT64_C(1795428000500000));
	assert_int_equal(thing.state, 1);
	assert_int_equal(thing.root.bytes[31], 0xaa);
	assert_int_equal(thing.key.size, 3);
	assert_int_equal(thing.parts.count, 2);
	const struct part *parts = thing.parts.items;
	assert_int_equal(parts[0].kg, FIELD_ABSENT);
	assert_int_equal(parts[1].kg, 10);
	assert_string_equal(((const char **)thing.tags.items)[1], "y");
	assert_true(thing.place.latitude == -33.5);

	json_t *out = document_own(arena, field_write(thing_fields, &thing));
	assert_null(json_object_get(out, "secret"));
	check_print(&thing);
	json_t *stored = document_own(arena, field_write_stored(thing_fields, &thing));
	assert_string_equal(json_string_value(json_object_get(stored, "secret")), "s");
	json_t *wanted = parse(full);
	json_object_set_new(wanted, "at", json_string("2026-11-23T10:00:00.500Z"));
	json_object_set_new(wanted, "share", json_real(1));
	assert_true(json_equal(stored, wanted));

	struct thing again;
	assert_int_equal(field_read(thing_fields, FIELD_TRUSTED, stored, "", arena, &again, &info), ERR_OK);
	assert_true(json_equal(document_own(arena, field_write_stored(thing_fields, &again)), wanted));
}

static void test_absent(void **state)
{
	(void)state;
	struct thing thing;
	struct err_info info;
	memset(&thing, 0xff, sizeof thing);
	assert_int_equal(
		field_read(thing_fields, FIELD_CREATE, parse("{\"name\":\"n\",\"kg\":null}"), "", arena, &thing, &info),
		ERR_OK);
	assert_int_equal(thing.kg, FIELD_ABSENT);
	assert_int_equal(thing.at, FIELD_ABSENT);
	assert_int_equal(thing.fee, FIELD_ABSENT);
	assert_true(isnan(thing.share) && isnan(thing.place.latitude));
	assert_null(thing.price);
	assert_int_equal(thing.state, -1);
	assert_null(thing.key.data);
	assert_null(thing.note);
	assert_null(thing.parts.items);
	assert_false(thing.ready);
	check_print(&thing);
	json_t *out = document_own(arena, field_write(thing_fields, &thing));
	assert_true(json_equal(out, parse("{\"name\":\"n\",\"ready\":false}")));
}

static void test_faults(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		enum err code;
		const char *pointer, *detail;
	} cases[] = {
		{"[]", ERR_INVALID_FIELD, "", "the body must be an object"},
		{"{}", ERR_MISSING_FIELD, "/name", "/name is required"},
		{"{\"name\":null}", ERR_MISSING_FIELD, "/name", "/name is required"},
		{"{\"name\":\"\"}", ERR_INVALID_FIELD, "/name", "/name must be 1..100 bytes"},
		{"{\"name\":5}", ERR_INVALID_FIELD, "/name", "/name must be a string"},
		{"{\"name\":\"a\\u0007\"}", ERR_INVALID_FIELD, "/name",
			"/name must not hold control characters other than newline and tab"},
		{"{\"name\":\"a\\u0085\"}", ERR_INVALID_FIELD, "/name",
			"/name must not hold control characters other than newline and tab"},
		{"{\"name\":\"n\",\"kg\":0}", ERR_INVALID_FIELD, "/kg", "/kg must be an integer 1..1000000000"},
		{"{\"name\":\"n\",\"kg\":1000000001}", ERR_INVALID_FIELD, "/kg",
			"/kg must be an integer 1..1000000000"},
		{"{\"name\":\"n\",\"kg\":5.0}", ERR_INVALID_FIELD, "/kg", "/kg must be an integer 1..1000000000"},
		{"{\"name\":\"n\",\"kg\":\"5\"}", ERR_INVALID_FIELD, "/kg", "/kg must be an integer 1..1000000000"},
		{"{\"name\":\"n\",\"free\":9007199254740992}", ERR_INVALID_FIELD, "/free", "/free must be an integer"},
		{"{\"name\":\"n\",\"share\":1.1}", ERR_INVALID_FIELD, "/share", "/share must be a number 0..1"},
		{"{\"name\":\"n\",\"ratio\":\"1\"}", ERR_INVALID_FIELD, "/ratio", "/ratio must be a number"},
		{"{\"name\":\"n\",\"price\":1}", ERR_INVALID_FIELD, "/price",
			"/price must be a decimal string such as \"12.50\" 0..100"},
		{"{\"name\":\"n\",\"price\":\"100.01\"}", ERR_INVALID_FIELD, "/price",
			"/price must be a decimal string such as \"12.50\" 0..100"},
		{"{\"name\":\"n\",\"fee\":1}", ERR_INVALID_FIELD, "/fee",
			"/fee must be a decimal string such as \"12.50\", 0.000001..5"},
		{"{\"name\":\"n\",\"fee\":\"5.000001\"}", ERR_INVALID_FIELD, "/fee",
			"/fee must be a decimal string such as \"12.50\", 0.000001..5"},
		{"{\"name\":\"n\",\"fee\":\"1.0000001\"}", ERR_INVALID_FIELD, "/fee",
			"/fee must be a decimal string such as \"12.50\", 0.000001..5"},
		{"{\"name\":\"n\",\"ready\":1}", ERR_INVALID_FIELD, "/ready", "/ready must be true or false"},
		{"{\"name\":\"n\",\"state\":\"ajar\"}", ERR_INVALID_FIELD, "/state",
			"/state must be one of \"open\", \"closed\""},
		{"{\"name\":\"n\",\"at\":\"today\"}", ERR_INVALID_FIELD, "/at",
			"/at must be a time as in RFC 3339 from 1970 to 9999, such as \"2026-11-23T10:00:00Z\""},
		{"{\"name\":\"n\",\"root\":\"aa\"}", ERR_INVALID_FIELD, "/root", "/root must be 64 hexadecimal digits"},
		{"{\"name\":\"n\",\"key\":\"AQ==\"}", ERR_INVALID_FIELD, "/key",
			"/key must be a base64url string without padding"},
		{"{\"name\":\"n\",\"key\":\"AQ\"}", ERR_INVALID_FIELD, "/key",
			"/key must be 2..4 bytes as a base64url string"},
		{"{\"name\":\"n\",\"id\":\"x\"}", ERR_READ_ONLY_FIELD, "/id", "/id is set by the server"},
		{"{\"name\":\"n\",\"b/c~d\":1}", ERR_UNKNOWN_FIELD, "/b~1c~0d",
			"/b~1c~0d is not a field of this resource"},
		{"{\"name\":\"n\",\"place\":{\"latitude\":91}}", ERR_INVALID_FIELD, "/place/latitude",
			"/place/latitude must be a number -90..90"},
		{"{\"name\":\"n\",\"place\":{\"latitude\":9}}", ERR_MISSING_FIELD, "/place/town",
			"/place/town is required"},
		{"{\"name\":\"n\",\"parts\":{}}", ERR_INVALID_FIELD, "/parts", "/parts must be a list"},
		{"{\"name\":\"n\",\"parts\":[{},{},{}]}", ERR_INVALID_FIELD, "/parts", "/parts must be 0..2 items"},
		{"{\"name\":\"n\",\"parts\":[{\"name\":\"a\"},{\"name\":\"b\",\"kg\":11}]}", ERR_INVALID_FIELD,
			"/parts/1/kg", "/parts/1/kg must be an integer 1..10"},
		{"{\"name\":\"n\",\"parts\":[{\"name\":\"a\",\"q\":1}]}", ERR_UNKNOWN_FIELD, "/parts/0/q",
			"/parts/0/q is not a field of this resource"},
		{"{\"name\":\"n\",\"tags\":[\"x\",1]}", ERR_INVALID_FIELD, "/tags/1", "/tags/1 must be a string"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct thing thing;
		struct err_info info = {0};
		enum err err = field_read(thing_fields, FIELD_CREATE, parse(cases[i].body), "", arena, &thing, &info);
		assert_int_equal(err, cases[i].code);
		assert_int_equal(info.code, cases[i].code);
		assert_string_equal(info.pointer, cases[i].pointer);
		assert_string_equal(info.detail, cases[i].detail);
	}
	struct thing thing;
	struct err_info info;
	assert_int_equal(
		field_read(thing_fields, FIELD_CREATE, parse("{\"name\":1}"), "/items/3", arena, &thing, &info),
		ERR_INVALID_FIELD);
	assert_string_equal(info.pointer, "/items/3/name");
	json_t *body_long = document_own(arena, json_object());
	char name[102] = "";
	memset(name, 'n', 100);
	json_object_set_new(body_long, "name", json_string(name));
	assert_int_equal(field_read(thing_fields, FIELD_CREATE, body_long, "", arena, &thing, &info), ERR_OK);
	name[100] = 'n';
	json_object_set_new(body_long, "name", json_string(name));
	assert_int_equal(
		field_read(thing_fields, FIELD_CREATE, body_long, "", arena, &thing, &info), ERR_INVALID_FIELD);
	assert_string_equal(info.detail, "/name must be 1..100 bytes");
	/* a client's endless name is cut, not written past the end */
	char body[600] = "{\"";
	memset(body + 2, '/', 400);
	strcpy(body + 402, "\":1}");
	assert_int_equal(
		field_read(thing_fields, FIELD_CREATE, parse(body), "", arena, &thing, &info), ERR_UNKNOWN_FIELD);
	assert_true(strlen(info.pointer) < sizeof info.pointer);
	/* … and between characters: the pointer goes into JSON */
	for (size_t shift = 0; shift < 4; shift++) {
		memset(body + 2, 'a', shift);
		for (size_t i = 0; i < 100; i++)
			memcpy(body + 2 + shift + 3 * i, "€", 3);
		strcpy(body + 302 + shift, "\":1}");
		assert_int_equal(field_read(thing_fields, FIELD_CREATE, parse(body), "", arena, &thing, &info),
			ERR_UNKNOWN_FIELD);
		assert_null(strchr(info.pointer, '?'));
		assert_true(strlen(info.pointer) >= sizeof info.pointer - 5);
	}
}

static void test_replace(void **state)
{
	(void)state;
	struct thing thing;
	struct err_info info;
	assert_int_equal(field_read(thing_fields, FIELD_CREATE, parse(full), "", arena, &thing, &info), ERR_OK);
	const char *patch = "{\"kg\":9,\"price\":null,\"place\":{\"latitude\":1},\"parts\":[{\"name\":\"c\"}]}";
	assert_int_equal(field_read(thing_fields, FIELD_REPLACE, parse(patch), "", arena, &thing, &info), ERR_OK);
	assert_int_equal(thing.kg, 9);
	assert_null(thing.price);
	assert_string_equal(thing.name, "n\xc3\xa4");
	assert_string_equal(thing.place.town, "T"); /* merged, RFC 7396 */
	assert_int_equal(thing.parts.count, 1);
	assert_int_equal(((const struct part *)thing.parts.items)->kg, FIELD_ABSENT); /* an item is new, not merged */
	static const struct {
		const char *body;
		enum err code;
		const char *pointer;
	} refused[] = {{"{\"state\":\"open\"}", ERR_READ_ONLY_FIELD, "/state"},
		{"{\"version\":1}", ERR_READ_ONLY_FIELD, "/version"}, {"{\"name\":null}", ERR_MISSING_FIELD, "/name"},
		{"{\"place\":{\"town\":null}}", ERR_MISSING_FIELD, "/place/town"},
		{"{\"parts\":[{\"kg\":1}]}", ERR_MISSING_FIELD, "/parts/0/name"}};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct thing copy = thing;
		assert_int_equal(
			field_read(thing_fields, FIELD_REPLACE, parse(refused[i].body), "", arena, &copy, &info),
			refused[i].code);
		assert_string_equal(info.pointer, refused[i].pointer);
	}
	assert_int_equal(
		field_read(thing_fields, FIELD_REPLACE, parse("{\"place\":null}"), "", arena, &thing, &info), ERR_OK);
	assert_int_equal(field_read(thing_fields, FIELD_REPLACE, parse("{\"place\":{\"latitude\":1}}"), "", arena,
				 &thing, &info),
		ERR_MISSING_FIELD);
	assert_string_equal(info.pointer, "/place/town");
}

static void test_trusted(void **state)
{
	(void)state;
	struct thing thing;
	struct err_info info;
	const char *body = "{\"id\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\",\"version\":3,\"state\":\"open\"}";
	assert_int_equal(field_read(thing_fields, FIELD_TRUSTED, parse(body), "", arena, &thing, &info), ERR_OK);
	assert_int_equal(thing.version, 3);
	assert_int_equal(field_read(thing_fields, FIELD_TRUSTED, parse("{\"kg\":0}"), "", arena, &thing, &info),
		ERR_INVALID_FIELD);
}

static enum err read_text(const char *name, const char *text, struct thing *ret_thing)
{
	struct err_info info;
	field_clear(thing_fields, ret_thing);
	return field_read_text(field_find(thing_fields, name), text, arena, ret_thing, &info);
}

static void test_texts(void **state)
{
	(void)state;
	struct thing thing;
	assert_int_equal(read_text("kg", "42", &thing), ERR_OK);
	assert_int_equal(thing.kg, 42);
	assert_int_equal(read_text("ratio", "1e3", &thing), ERR_OK);
	assert_true(thing.ratio == 1000);
	assert_int_equal(read_text("ready", "true", &thing), ERR_OK);
	assert_true(thing.ready);
	assert_int_equal(read_text("state", "closed", &thing), ERR_OK);
	assert_int_equal(read_text("at", "2026-11-23T10:00:00Z", &thing), ERR_OK);
	assert_int_equal(read_text("tags", "a,b,,d", &thing), ERR_INVALID_FIELD);
	assert_int_equal(read_text("tags", "a,,c", &thing), ERR_OK);
	assert_int_equal(thing.tags.count, 3);
	assert_string_equal(((const char **)thing.tags.items)[1], "");
	static const char *const bad[][2] = {{"kg", ""}, {"kg", "+1"}, {"kg", " 1"}, {"kg", "1x"}, {"kg", "0"},
		{"kg", "99999999999999999999"}, {"ratio", "nan"}, {"ratio", "inf"}, {"ratio", "0x1p3"}, {"ready", "1"},
		{"state", "OPEN"}, {"name", "\xff"}, {"id", "x"}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(read_text(bad[i][0], bad[i][1], &thing), ERR_INVALID_FIELD);
	assert_null(field_find(thing_fields, "nothing"));
}

static void test_schema(void **state)
{
	(void)state;
	json_t *in = document_own(arena, field_schema(thing_fields, false));
	json_t *out = document_own(arena, field_schema(thing_fields, true));
	json_t *in_properties = json_object_get(in, "properties"), *out_properties = json_object_get(out, "properties");
	assert_null(json_object_get(in_properties, "id"));
	assert_non_null(json_object_get(out_properties, "id"));
	assert_non_null(json_object_get(in_properties, "secret"));
	assert_null(json_object_get(out_properties, "secret"));
	assert_true(json_is_false(json_object_get(in, "additionalProperties")));
	assert_true(json_equal(json_object_get(in, "required"), parse("[\"name\"]")));
	assert_true(json_equal(
		json_object_get(in_properties, "kg"), parse("{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":1,"
							    "\"maximum\":1000000000,\"x-unit\":\"kg\"}")));
	assert_true(json_equal(json_object_get(in_properties, "state"),
		parse("{\"type\":\"string\",\"enum\":[\"open\",\"closed\"]}")));
	assert_int_equal(json_object_size(in_properties), 17);
	for (const struct field *field = thing_fields; field->kind != FIELD_NONE; field++)
		assert_true(
			json_object_get(in_properties, field->name) || json_object_get(out_properties, field->name));
}

static int start(void **state)
{
	(void)state;
	arena = arena_new(0);
	return arena ? 0 : 1;
}

static int stop(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_absent),
		cmocka_unit_test(test_faults), cmocka_unit_test(test_replace), cmocka_unit_test(test_trusted),
		cmocka_unit_test(test_texts), cmocka_unit_test(test_schema)};
	return cmocka_run_group_tests(tests, start, stop);
}
