/* Keys live in private files, and sign only under their own domains. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carbond/signer.h"

static void a_key_file_is_made_and_found_again(void **state)
{
	(void)state;
	char folder[] = "/tmp/carbond-signer-XXXXXX", path[64];
	struct err_info info;
	struct stat status;
	struct sign_public first, second;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/checkpoint.key", folder);
	struct signer *signer = signer_new();
	assert_int_equal(signer_public(signer, SIGNER_CHECKPOINT, &first, &info), ERR_NOT_FOUND);
	assert_int_equal(signer_key_load(signer, SIGNER_CHECKPOINT, path, &info), ERR_OK);
	assert_int_equal(signer_key_load(signer, SIGNER_CHECKPOINT, path, &info), ERR_DUPLICATE);
	assert_int_equal(signer_public(signer, SIGNER_CHECKPOINT, &first, &info), ERR_OK);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	signer_free(&signer);

	signer = signer_new();
	assert_int_equal(signer_key_load(signer, SIGNER_CHECKPOINT, path, &info), ERR_OK);
	assert_int_equal(signer_public(signer, SIGNER_CHECKPOINT, &second, &info), ERR_OK);
	assert_memory_equal(&first, &second, sizeof first);
	signer_free(&signer);

	/* a file that others can read, or that holds something else, is refused */
	signer = signer_new();
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(signer_key_load(signer, SIGNER_CHECKPOINT, path, &info), ERR_INVALID_CONFIG);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(signer_key_load(signer, SIGNER_CHECKPOINT, path, &info), ERR_INVALID_CONFIG);
	assert_int_equal(signer_key_load(signer, SIGNER_CHECKPOINT, "/nonexistent/key", &info), ERR_IO);
	signer_free(&signer);
	unlink(path);
	rmdir(folder);
}

static void a_key_signs_under_its_own_domain_alone(void **state)
{
	(void)state;
	struct err_info info;
	struct sign_public public, told;
	struct sign_secret secret;
	struct signature signature;
	sign_keypair(&public, &secret);
	struct signer *signer = signer_new();
	assert_int_equal(signer_sign(signer, SIGNER_CHECKPOINT, SIGNER_CHECKPOINT_DOMAIN, "x", 1, &signature, &info),
		ERR_NOT_FOUND);
	assert_int_equal(signer_key_add(signer, SIGNER_CHECKPOINT, &secret, &info), ERR_OK);
	assert_int_equal(signer_public(signer, SIGNER_CHECKPOINT, &told, &info), ERR_OK);
	assert_memory_equal(&told, &public, sizeof public);
	assert_int_equal(
		signer_sign(signer, SIGNER_CHECKPOINT, SIGNER_CHECKPOINT_DOMAIN, "data", 4, &signature, &info), ERR_OK);
	assert_true(sign_holds(&public, SIGNER_CHECKPOINT_DOMAIN, "data", 4, &signature));
	assert_false(sign_holds(&public, SIGNER_CHECKPOINT_DOMAIN, "Data", 4, &signature));
	assert_int_equal(signer_sign(signer, SIGNER_CHECKPOINT, "carbond/evidence/1", "data", 4, &signature, &info),
		ERR_SIGNING_REFUSED);
	signer_free(&signer);
	signer_free(&signer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_file_is_made_and_found_again),
		cmocka_unit_test(a_key_signs_under_its_own_domain_alone),
	};
	if (crypto_start() != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
