/* Keys are made, loaded and used while memory ends at any allocation: a signature holds, or there is none. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/signer.h"
#include "sweep.h"

static void signing(struct sweep *sweep)
{
	char folder[] = "/tmp/carbond-signer-XXXXXX", path[64];
	struct err_info info = {.code = ERR_OK};
	struct sign_public key;
	struct signature signature;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/checkpoint.key", folder);
	for (int twice = 0; twice < 2; twice++) { /* the file is made, then found */
		info.code = ERR_OK;
		sweep_arm(sweep);
		struct signer *signer = signer_new();
		enum err err = signer ? signer_key_load(signer, SIGNER_CHECKPOINT, path, &info) : ERR_NO_MEMORY;
		if (!err)
			err = signer_public(signer, SIGNER_CHECKPOINT, &key, &info);
		if (!err)
			err = signer_sign(
				signer, SIGNER_CHECKPOINT, SIGNER_CHECKPOINT_DOMAIN, "abc", 3, &signature, &info);
		sweep_disarm(sweep);
		sweep_judge(sweep, err, &info);
		assert_true(err || sign_holds(&key, SIGNER_CHECKPOINT_DOMAIN, "abc", 3, &signature));
		signer_free(&signer);
	}
	unlink(path);
	rmdir(folder);
}

static void memory_ends(void **state)
{
	(void)state;
	sweep_allocations("a key, its file and a signature", signing, NULL);
}

int main(void)
{
	sweep_start(100);
	if (crypto_start() != ERR_OK)
		return 1;
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
