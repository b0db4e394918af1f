/* Cursors: the index and key members of the last row of a page as text, so that the next page goes on behind it
 * whatever was inserted meanwhile. Runs on the worker that answers. */
#include <string.h>

#include "carbond/api.h"

/* More than a cursor of six index and six key members ever needs. */
#define CURSOR_BYTES_MAX 2048
#define CURSOR_MEMBERS   (2 * STORE_INDEX_FIELDS)

static const struct store_index *find_index(const struct store_collection *collection, const char *name)
{
	for (const struct store_index *index = collection->indexes; index && index->name; index++) {
		if (strcmp(index->name, name) == 0)
			return index;
	}
	return NULL;
}

static size_t add_members(
	const struct store_collection *collection, const char *const *names, struct field *ret_table, size_t count)
{
	for (size_t i = 0; i < STORE_INDEX_FIELDS && names[i]; i++) {
		const struct field *field = field_find(collection->fields, names[i]);
		if (!field || field_find(ret_table, names[i]))
			continue;
		ret_table[count] = *field;
		ret_table[count].flags = 0;
		ret_table[++count] = (struct field)FIELD_END;
	}
	return count;
}

/* The table of the members that a position in the index consists of: its own, then the key's. */
static void position_table(
	const struct store_collection *collection, const char *index, struct field ret_table[CURSOR_MEMBERS + 1])
{
	const struct store_index *row = index ? find_index(collection, index) : NULL;
	size_t count = 0;
	ret_table[0] = (struct field)FIELD_END;
	if (row)
		count = add_members(collection, row->fields, ret_table, count);
	add_members(collection, collection->key, ret_table, count);
}

char *api_cursor_text(
	struct arena *arena, const struct store_collection *collection, const char *index, const void *row)
{
	struct field table[CURSOR_MEMBERS + 1];
	position_table(collection, index, table);
	json_t *cursor = document_own(
		arena, json_pack("[s, s, o]", collection->name, index ? index : "", field_write(table, row)));
	size_t size = 0;
	char *text = cursor ? document_text(arena, cursor, &size) : NULL;
	char *encoded = text ? arena_alloc(arena, 4 * (size / 3 + 1) + 1) : NULL;
	return encoded ? base64url_text(text, size, encoded) : NULL;
}

enum err api_cursor_parse(struct arena *arena, const struct store_collection *collection, const char *index,
	const char *text, void **ret_row, struct err_info *info)
{
	struct field table[CURSOR_MEMBERS + 1];
	char bytes[CURSOR_BYTES_MAX];
	size_t size = 0;
	json_t *cursor = NULL;
	const char *of = NULL, *order = NULL;
	json_t *members = NULL;
	position_table(collection, index, table);
	void *row = arena_alloc(arena, collection->row_size);
	if (!row)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the cursor");
	field_clear(collection->fields, row);
	if (base64url_parse(text, strlen(text), bytes, sizeof bytes, &size) != ERR_OK ||
		document_parse(arena, bytes, size, &cursor, NULL) != ERR_OK ||
		json_unpack(cursor, "[s, s, o!]", &of, &order, &members) != 0 || strcmp(of, collection->name) != 0 ||
		strcmp(order, index ? index : "") != 0 ||
		field_read(table, FIELD_TRUSTED, members, "", arena, row, NULL) != ERR_OK)
		return err_set(info, ERR_INVALID_CURSOR, NULL, "take the cursor from next_cursor of this collection");
	*ret_row = row;
	return ERR_OK;
}
