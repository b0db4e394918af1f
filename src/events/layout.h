/* The rows of events.def and commands.def as tables. A body has no padding, so a field's offset is the sum of the sizes
 * before it, and the layout of an older version is a prefix of the newest. */
#ifndef EVENTS_LAYOUT_H
#define EVENTS_LAYOUT_H

#include "carbond/events.h"

enum layout_kind {
	LAYOUT_U64,
	LAYOUT_I64,
	LAYOUT_TIME,
	LAYOUT_U32,
	LAYOUT_ENUM,
	LAYOUT_ID,
	LAYOUT_HASH,
	LAYOUT_KEY,
	LAYOUT_SIGNATURE,
	LAYOUT_CODE8,
	LAYOUT_CODE16,
	LAYOUT_CODE32
};

struct layout_field {
	const char *name; /* NULL ends a table */
	enum layout_kind kind;
	uint16_t size;
	uint16_t since;
	const char *const *names; /* LAYOUT_ENUM */
	const char *doc;
};

struct layout {
	const char *name; /* NULL: no such record */
	uint16_t type, version;
	unsigned lists; /* LIST_… that may follow */
	size_t size;    /* of the newest body */
	const struct layout_field *fields;
	const char *doc;
};

/* The layout of an event type or command kind, or NULL. */
const struct layout *layout_of_event(uint32_t type);
const struct layout *layout_of_command(uint32_t kind);
/* Size of the body in `version` (1..layout->version). */
size_t layout_size(const struct layout *layout, uint16_t version);
/* Number of a NULL-terminated list of names. */
size_t layout_name_count(const char *const *names);

#endif
