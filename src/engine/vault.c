/* Decides how texts and personal data are kept: sealed beside the journal, which holds their salted hash alone; erased by
 * destroying text and salt. Any thread; vault_get blocks on the store. */
#include "parts.h"

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
