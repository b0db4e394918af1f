/* carbonctl verify while memory ends at any allocation: the verdict is the right one, or there is none; never another. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../../cli/verify.h"
#include "carbond/base/sign.h"
#include "sweep.h"

static uint8_t pack[1 << 20];
static size_t pack_size;

static void verifying(struct sweep *sweep)
{
	const bool *json = sweep->context;
	FILE *nowhere = fopen("/dev/null", "w");
	struct verify_options options = {.json = *json, .out = nowhere};
	assert_non_null(nowhere);
	sweep_arm(sweep);
	int code = verify_pack(pack, pack_size, &options);
	sweep_disarm(sweep);
	fclose(nowhere);
	if (code != CLI_SIGNERS_UNTRUSTED && !(code == CLI_REFUSED && sweep->reached))
		fail_msg("allocation %ld failed, and the exit code is %d", sweep->nth, code);
}

static void memory_ends(void **state)
{
	(void)state;
	bool json = false;
	sweep_allocations("a pack, as lines", verifying, &json);
	json = true;
	sweep_allocations("a pack, as JSON", verifying, &json);
}

int main(void)
{
	FILE *file = fopen("tests/fuzz/corpus/pack_fuzzer/pack-2.tar", "rb");
	if (!file || crypto_start() != ERR_OK)
		return 1;
	pack_size = fread(pack, 1, sizeof pack, file);
	fclose(file);
	sweep_start(60);
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
