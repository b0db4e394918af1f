/* room: mrv */
/* attachments/issue.json of a pack: the checkpoint in it as it came, and signed anew, so that what stands behind the signature
 * is reached: streams, sizes, roots and the proof. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/json.h"
#include "carbond/base/sign.h"
#include "parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char item[] = "attachments/issue.json";

static void sign_anew(json_t *checkpoint, struct arena *arena, struct sign_public *ret_key)
{
	static const uint8_t seed[32] = {7};
	struct sign_secret secret;
	struct signature signature;
	char hex[2 * sizeof signature.bytes + 1], *text;
	size_t length;
	sign_keypair_from_seed(seed, ret_key, &secret);
	json_object_del(checkpoint, "signature");
	json_object_set_new(checkpoint, "key", json_string(hex_text(ret_key->bytes, sizeof ret_key->bytes, hex)));
	if (document_canonical(arena, checkpoint, &text, &length) != ERR_OK)
		return;
	signature = sign_make(&secret, "carbond/checkpoint/1", text, length);
	json_object_set_new(
		checkpoint, "signature", json_string(hex_text(signature.bytes, sizeof signature.bytes, hex)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int started;
	if (!started && crypto_start() != ERR_OK)
		abort();
	started = 1;
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	struct mrv_issue issue;
	json_t *document;
	if (document_parse(arena, (const char *)data, size, &document, &info) == ERR_OK &&
		field_read(mrv_issue_fields, FIELD_CREATE, document, "", arena, &issue, &info) == ERR_OK) {
		struct sign_public key, ours;
		int64_t signed_us;
		enum err err = mrv_issue_check(&issue, item, arena, &key, &signed_us, &info);
		assert(err == ERR_OK || (err == ERR_PACK_INVALID && strcmp(info.pointer, item) == 0));
		if (json_is_object(issue.checkpoint)) {
			sign_anew(issue.checkpoint, arena, &ours);
			err = mrv_issue_check(&issue, item, arena, &key, &signed_us, &info);
			assert(err == ERR_OK || (err == ERR_PACK_INVALID && strcmp(info.pointer, item) == 0));
			assert(err || memcmp(&key, &ours, sizeof key) == 0);
		}
	}
	arena_free(&arena);
	return 0;
}
