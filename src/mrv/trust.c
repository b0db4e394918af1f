/* Trust files: the keys that a reader of packs trusts, each with a role and the span in which it does. Pure. */
#include <string.h>

#include "parts.h"

enum { TRUST_KEYS_MAX = 1024 };

struct trust_row {
	int role;
	const char *name;
	struct id organisation;
	struct hash key;
	int64_t from, until;
};

struct trust_file {
	struct field_list keys;
};

static const struct field trust_row_fields[] = {
	FIELD(struct trust_row, role, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = mrv_trust_roles),
	FIELD(struct trust_row, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 100),
	FIELD(struct trust_row, organisation, FIELD_ID),
	FIELD(struct trust_row, key, FIELD_HASH, .flags = FIELD_REQUIRED), FIELD(struct trust_row, from, FIELD_TIME),
	FIELD(struct trust_row, until, FIELD_TIME), FIELD_END};

static const struct field trust_file_fields[] = {
	FIELD(struct trust_file, keys, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = TRUST_KEYS_MAX,
		.table = trust_row_fields, .item_size = sizeof(struct trust_row)),
	FIELD_END};

enum err mrv_trust_parse(const json_t *document, struct arena *arena, struct mrv_trust_key **ret_keys,
	size_t *ret_count, struct err_info *info)
{
	struct trust_file file;
	enum err err = field_read(trust_file_fields, FIELD_CREATE, document, "", arena, &file, info);
	if (err)
		return err;
	const struct trust_row *rows = file.keys.items;
	struct mrv_trust_key *keys = ARENA_ARRAY(arena, struct mrv_trust_key, file.keys.count);
	if (!keys)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the keys");
	for (size_t i = 0; i < file.keys.count; i++) {
		keys[i] = (struct mrv_trust_key){.role = rows[i].role,
			.name = rows[i].name,
			.organisation = rows[i].organisation,
			.from_us = rows[i].from,
			.until_us = rows[i].until};
		memcpy(keys[i].key.bytes, rows[i].key.bytes, sizeof keys[i].key.bytes);
	}
	*ret_keys = keys;
	*ret_count = file.keys.count;
	return ERR_OK;
}
