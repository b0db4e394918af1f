/* room: identity */
/* The Authorization header: refused, or an id and a secret that lie inside it and make the same header again. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "identity_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512], again[512], id_again[ID_TEXT_SIZE];
	struct id id;
	const char *secret = NULL;
	if (size >= sizeof text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!identity_key_parse(text, &id, &secret))
		return 0;
	assert(strlen(secret) == KEY_SECRET_TEXT && secret + KEY_SECRET_TEXT == text + strlen(text));
	size_t scheme = 7 + strspn(text + 7, " ");
	snprintf(again, sizeof again, "%s%s_%s", KEY_PREFIX, id_text(id, id_again), secret);
	assert(strcasecmp(again, text + scheme) == 0); /* the digits of the id may be capital ones */
	(void)identity_key_secret_hash(id, secret);
	return 0;
}
