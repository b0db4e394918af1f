/* Payloads are decoded while memory ends at any allocation: every reading has its verdict, or the payload is refused for want of
 * memory; nothing is taken that was not sent, and nothing is quarantined for it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "carbond/base/limits.h"
#include "carbond/base/sign.h"
#include "payload.h"
#include "directory.h"
#include "sweep.h"

static const struct payload_source topic = {
	.source = "carbond/v1/acme/plant-1/readings", .org = "acme", .unit = "plant-1", .now_us = NOW};

/* Accepted and refused readings of every form. */
static const struct sent {
	const char *text, *media;
	size_t readings, quarantined;
} sent[] = {
	{"{\"t\":1763892000000000,\"v\":{\"FT-101\":1250.5,\"TT-101\":20,\"NONE\":1}}", NULL, 2, 1},
	{"[{\"t\":\"2025-11-23T10:00:00Z\",\"v\":{\"FT-101\":99999}},{\"t\":1763892000000000,\"v\":{\"AT-101\":4}}]",
		NULL, 1, 1},
	{"{\"tag\":\"FT-101\",\"t0\":1763891000000000,\"dt\":1000000,\"v\":[1,2,3.5,4,5,6,7,8,9,10,11,12,13,14,15,16,"
	 "17]}",
		NULL, 17, 0},
	{"[{\"bn\":\"\",\"bt\":1763892000,\"n\":\"TT-101\",\"u\":\"Cel\",\"v\":20},{\"n\":\"FT-101\",\"u\":\"K\",\"v\":"
	 "1}]",
		"application/senml+json", 1, 1},
};

static const struct directory *directory;

static void decoding(struct sweep *sweep)
{
	const struct sent *item = sweep->context;
	struct err_info info = {.code = ERR_OK};
	struct arena *arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	assert_non_null(arena);
	struct reading_batch batch = {.arena = arena, .want_verdicts = true};
	sweep_arm(sweep);
	enum err err = payload_decode(directory, &topic, item->media, item->text, strlen(item->text), &batch, &info);
	sweep_disarm(sweep);
	sweep_judge(sweep, err, &info);
	if (!err) {
		assert_int_equal(batch.reading_count, item->readings);
		assert_int_equal(batch.quarantined_count, item->quarantined);
	}
	arena_free(&arena);
}

static void memory_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
		sweep_allocations("a payload", decoding, (void *)(uintptr_t)&sent[i]);
}

int main(void)
{
	sweep_start(150);
	if (crypto_start() != ERR_OK)
		return 1;
	directory = small_directory();
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	sensing_directory_unref(&directory);
	return failed;
}
