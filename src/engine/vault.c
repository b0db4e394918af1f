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

/* Cites `hash` wherever the command cites `cited`: in its body, or in its lines. */
static void cite(struct command *command, const struct hash *cited, struct hash hash)
{
	uint8_t *body = (uint8_t *)command + offsetof(struct command, verifier_register);
	void *place = memmem(body, command_body_size(command->kind), cited, sizeof *cited);
	if (place)
		memcpy(place, &hash, sizeof hash);
	for (size_t i = 0; i < command->lists.line_count; i++) {
		struct retirement_line *line = &command->lists.lines[i];
		if (hash_equal(line->beneficiary_hash, *cited))
			line->beneficiary_hash = hash;
	}
}

/* The text under the salt under which one of the command's rows has it; as it is where none has. */
static void row_resalt(struct command *command, struct vault_row *row, const struct vault_row *found, size_t count)
{
	for (size_t i = 0; i < count && row->text; i++) {
		if (found[i].salt.size != SALT_SIZE)
			continue;
		struct hash hash = seal_text_hash(found[i].salt.data, row->text);
		if (!hash_equal(hash, found[i].hash))
			continue;
		cite(command, &row->hash, hash);
		row->hash = hash;
		return;
	}
}

enum err vault_resalt(
	struct store *store, struct command *command, struct vault_row *rows, size_t row_count, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct vault_row low, *found = NULL;
	size_t count = 0;
	field_clear(vault_fields, &low);
	low.command_id = command->id;
	struct store_query query = {.collection = &vault_collection,
		.index = "by_command",
		.low = &low,
		.prefix = 1,
		.most = LIMIT_ENGINE_VAULT_ROWS};
	enum err err = arena ? store_find(store, &query, arena, (void **)&found, &count, info) : ERR_NO_MEMORY;
	for (size_t i = 0; i < row_count && !err; i++)
		row_resalt(command, &rows[i], found, count);
	arena_free(&arena);
	return err;
}
