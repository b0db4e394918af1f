/* The record of `issue` that a pack carries: its inclusion proof, and the signed checkpoint that the proof leads to. Pure. */
#include <string.h>

#include "carbond/base/merkle.h"
#include "carbond/base/sign.h"
#include "parts.h"

#define CHECKPOINT_DOMAIN "carbond/checkpoint/1"

static enum err refuse(struct err_info *info, const char *item, const char *detail)
{
	return err_set(info, ERR_PACK_INVALID, item, "%s", detail);
}

static bool parse_hex(const json_t *document, const char *member, uint8_t *ret_bytes, size_t size)
{
	const char *text = json_string_value(json_object_get(document, member));
	size_t parsed;
	return text && hex_parse(text, strlen(text), ret_bytes, size, &parsed) == ERR_OK && parsed == size;
}

/* The checkpoint's own signature, over its canonical text without the member `signature`. */
static enum err check_signature(const json_t *checkpoint, const char *item, struct arena *arena,
	struct sign_public *ret_key, struct err_info *info)
{
	static const char fault[] = "the checkpoint's signature does not hold";
	struct signature signature;
	size_t size;
	char *text;
	if (!parse_hex(checkpoint, "key", ret_key->bytes, sizeof ret_key->bytes) ||
		!parse_hex(checkpoint, "signature", signature.bytes, sizeof signature.bytes))
		return refuse(info, item, fault);
	json_t *unsigned_part = document_own(arena, json_copy((json_t *)(uintptr_t)checkpoint));
	if (!unsigned_part)
		return err_set(info, ERR_NO_MEMORY, item, "no memory to check it");
	json_object_del(unsigned_part, "signature");
	enum err err = document_canonical(arena, unsigned_part, &text, &size);
	if (err == ERR_NO_MEMORY)
		return err_set(info, err, item, "no memory to check it");
	return !err && sign_holds(ret_key, CHECKPOINT_DOMAIN, text, size, &signature) ? ERR_OK
										      : refuse(info, item, fault);
}

static enum err check_inclusion(const struct mrv_issue *issue, const char *item, struct err_info *info)
{
	const char *const *hex = issue->proof.items;
	struct merkle_proof proof = {.count = issue->proof.count};
	struct hash root = {{0}};
	bool found = false;
	size_t i;
	json_t *stream;
	json_array_foreach(json_object_get(issue->checkpoint, "streams"), i, stream)
	{
		const char *name = json_string_value(json_object_get(stream, "stream"));
		const char *text = json_string_value(json_object_get(stream, "root"));
		if (name && text && strcmp(name, issue->stream) == 0 &&
			json_integer_value(json_object_get(stream, "tree_size")) == issue->tree_size)
			found = hash_parse(text, &root) == ERR_OK;
	}
	if (!found)
		return refuse(info, item, "the checkpoint has no tree of this size");
	for (i = 0; i < proof.count; i++)
		if (hash_parse(hex[i], &proof.hashes[i]) != ERR_OK)
			return refuse(info, item, "the proof is not a list of hashes");
	if (!merkle_inclusion_holds(merkle_leaf(issue->record.data, issue->record.size), (uint64_t)issue->index,
		    (uint64_t)issue->tree_size, &proof, root))
		return refuse(info, item, "the record is not in the checkpoint's tree");
	return ERR_OK;
}

enum err mrv_issue_check(const struct mrv_issue *issue, const char *item, struct arena *arena,
	struct sign_public *ret_key, int64_t *ret_signed_us, struct err_info *info)
{
	enum err err = check_signature(issue->checkpoint, item, arena, ret_key, info);
	*ret_signed_us = json_integer_value(json_object_get(issue->checkpoint, "time_us"));
	return err ? err : check_inclusion(issue, item, info);
}
