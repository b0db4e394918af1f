/* Decides how texts and personal data are kept: sealed beside the journal, which holds their salted hash alone; erased by
 * destroying text and salt. Any thread; vault_get blocks on the store. */
#include "parts.h"

#include <stddef.h>
#include <string.h>

#include "carbond/base/sign.h"

#define SALT_SIZE 16

enum err vault_make(struct id org, const char *kind, const char *text, int64_t now_us, struct arena *arena,
	struct vault_row *ret_row)
{
	field_clear(vault_fields, ret_row);
	if (!text || !*text)
		return ERR_OK;
	uint8_t *salt = arena_alloc(arena, SALT_SIZE);
	char *copy = arena_copy(arena, text, strlen(text));
	if (!salt || !copy)
		return ERR_NO_MEMORY;
	random_bytes(salt, SALT_SIZE);
	ret_row->hash = seal_text_hash(salt, text);
	ret_row->org_id = org;
	ret_row->kind = kind;
	ret_row->text = copy;
	ret_row->salt = (struct bytes){.data = salt, .size = SALT_SIZE};
	ret_row->created_at = now_us;
	return ERR_OK;
}

enum err vault_get(
	struct store *store, struct hash hash, struct arena *arena, struct vault_row *ret_row, struct err_info *info)
{
	field_clear(vault_fields, ret_row);
	ret_row->hash = hash;
	return store_get(store, &vault_collection, ret_row, arena, info);
}

void vault_erase_change(struct vault_row *row, int64_t now_us, struct store_change *ret_change)
{
	row->text = NULL;
	row->salt = (struct bytes){0};
	row->erased_at = now_us;
	*ret_change = (struct store_change){
		.collection = &vault_collection, .row = row, .verb = STORE_PUT, .condition = STORE_ALWAYS};
}

/* The body's citation of a hash, or NULL. */
static void *citation(struct command *command, const struct hash *hash)
{
	uint8_t *body = (uint8_t *)command + offsetof(struct command, verifier_register);
	return memmem(body, command_body_size(command->kind), hash, sizeof *hash);
}

enum err vault_resalt(
	struct store *store, struct command *command, struct vault_row *rows, size_t row_count, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	enum err err = arena ? ERR_OK : ERR_NO_MEMORY;
	for (size_t i = 0; i < row_count && !err; i++) {
		struct vault_row low, *found = NULL;
		size_t count = 0;
		field_clear(vault_fields, &low);
		low.command_id = command->id;
		low.kind = rows[i].kind;
		struct store_query query = {
			.collection = &vault_collection, .index = "by_command", .low = &low, .prefix = 2, .most = 1};
		err = store_find(store, &query, arena, (void **)&found, &count, info);
		void *cited = citation(command, &rows[i].hash);
		if (err || count == 0 || found->salt.size != SALT_SIZE || !rows[i].text || !cited)
			continue;
		rows[i].hash = seal_text_hash(found->salt.data, rows[i].text);
		memcpy(cited, &rows[i].hash, sizeof rows[i].hash);
	}
	arena_free(&arena);
	return err;
}
