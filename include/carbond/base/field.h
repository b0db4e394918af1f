/* Field tables. One row describes one member of a C struct, and serves four uses: JSON in, JSON out, stored row, and the
 * message that names the field and its allowed range with a JSON pointer. OpenAPI schemas and docs are made from the same
 * rows. Pure; any thread.
 *
 *	struct unit { struct id id; const char *name; int64_t nameplate_kg_per_hour; };
 *	static const struct field unit_fields[] = {
 *		FIELD(struct unit, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "the unit's id"),
 *		FIELD(struct unit, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 100, .doc = "…"),
 *		FIELD(struct unit, nameplate_kg_per_hour, FIELD_INT, .min = 1, .max = 1000000000, .unit = "kg/h", .doc = "…"),
 *		FIELD_END};
 */
#ifndef CARBOND_BASE_FIELD_H
#define CARBOND_BASE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/hash.h"
#include "carbond/base/id.h"
#include "carbond/base/json.h"

enum field_kind {
	FIELD_NONE,    /* ends a table */
	FIELD_INT,     /* int64_t; JSON integer min..max; absent: FIELD_ABSENT */
	FIELD_REAL,    /* double; JSON number, finite, min_real..max_real (both 0: any); absent: NaN */
	FIELD_DECIMAL, /* const char *; JSON decimal string, kept as text; absent: NULL */
	FIELD_MICROS, /* int64_t micros (money, prices); JSON decimal string with at most six digits after the point, min..max micros (both 0:
			  any); absent: FIELD_ABSENT */
	FIELD_BOOL, /* bool; absent: false */
	FIELD_TEXT, /* const char *; UTF-8 without control characters but \n and \t, min..max bytes (max 0: LIMIT_TEXT_BYTES);
			  absent: NULL */
	FIELD_ENUM,   /* int; JSON string out of `names`, value = its index; absent: −1 */
	FIELD_TIME,   /* int64_t µs UTC; JSON RFC 3339 string; absent: FIELD_ABSENT */
	FIELD_ID,     /* struct id; JSON UUID string; absent: all zero */
	FIELD_HASH,   /* struct hash; JSON string of 64 hex digits; absent: all zero */
	FIELD_BYTES,  /* struct bytes; JSON base64url string, min..max bytes; absent: data NULL */
	FIELD_JSON,   /* json_t *, borrowed from the arena: a free-form document that the room checks; absent: NULL */
	FIELD_OBJECT, /* a struct inside the struct, by `table` */
	FIELD_LIST,   /* struct field_list of structs by `table`, min..max items */
	FIELD_TEXTS,  /* struct field_list of const char *, min..max items */
};

#define FIELD_ABSENT INT64_MIN

enum field_flag {
	FIELD_REQUIRED = 1,  /* must be in a created body */
	FIELD_READ_ONLY = 2, /* set by the server; refused in bodies */
	FIELD_FIXED = 4,     /* settable at creation, never changed after */
	FIELD_SEALED = 8,    /* sealed at rest by store */
	FIELD_SECRET = 16,   /* never in JSON out */
};

struct bytes {
	const uint8_t *data;
	size_t size;
};

struct field_list {
	void *items;
	size_t count;
};

struct field {
	const char *name;
	enum field_kind kind;
	unsigned flags;
	size_t offset;
	int64_t min, max;
	double min_real, max_real;
	const char *const *names;  /* FIELD_ENUM: NULL-terminated */
	const struct field *table; /* FIELD_OBJECT, FIELD_LIST */
	size_t item_size;          /* FIELD_LIST: sizeof of one item */
	const char *unit;          /* unit of the number, for the docs */
	const char *doc;           /* one sentence */
};

#define FIELD(type, member, kind_, ...)                                                         \
	{                                                                                       \
		.name = #member, .kind = (kind_), .offset = offsetof(type, member), __VA_ARGS__ \
	}
/* The same under another name in JSON and storage: a FIELD_TIME member `created_us` is called "created_at", for its text
 * is no number of microseconds. */
#define FIELD_AS(type, member, name_, kind_, ...)                                               \
	{                                                                                       \
		.name = (name_), .kind = (kind_), .offset = offsetof(type, member), __VA_ARGS__ \
	}
#define FIELD_END                  \
	{                          \
		.kind = FIELD_NONE \
	}

enum field_mode {
	FIELD_CREATE, /* required fields must be there; read-only ones are refused; all others become absent */
	FIELD_REPLACE, /* PATCH-like (RFC 7396): members present overwrite, null makes absent; fixed and read-only refused */
	FIELD_TRUSTED, /* our own stored or exported rows: everything is taken, ranges are still checked */
};

/* Sets every member to its absent value. */
void field_clear(const struct field *table, void *ret_row);

/* Reads an object into a struct; text and lists are copied into the arena. The first fault is reported with its pointer
 * below `pointer` ("" at the top). ERR_INVALID_FIELD, ERR_MISSING_FIELD, ERR_UNKNOWN_FIELD, ERR_READ_ONLY_FIELD. */
enum err field_read(const struct field *table, enum field_mode mode, const json_t *object, const char *pointer,
	struct arena *arena, void *ret_row, struct err_info *info) MUST_CHECK;

/* Writes a struct as a new JSON object (a reference that the caller owns); absent members are left out, secret ones too.
 * NULL without memory. */
json_t *field_write(const struct field *table, const void *row);

/* The text of field_write's object, without the object: what large answers are made of. */
void field_print(const struct field *table, const void *row, struct text *text);

/* As field_write, but with the secret ones: for rows that go into the store. */
json_t *field_write_stored(const struct field *table, const void *row);

/* Reads one value given as text (a query parameter) by its row into the struct. Errors as field_read. */
enum err field_read_text(const struct field *field, const char *text, struct arena *arena, void *ret_row,
	struct err_info *info) MUST_CHECK;

/* JSON Schema (2020-12) of a table as a new object, for OpenAPI; `out` chooses the response's view. */
json_t *field_schema(const struct field *table, bool out);

/* The row called `name`, or NULL. */
const struct field *field_find(const struct field *table, const char *name);

#endif
