/* The identity and the keys of a data directory: made once, owner-only, never replaced, refused when not whole. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"

#define NOW INT64_C(1700000000000000)

struct bench {
	char folder[96], data[128];
	struct node_identity identity;
	struct err_info info;
};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	strcpy(bench->folder, "/tmp/carbond-node.XXXXXX");
	assert_non_null(mkdtemp(bench->folder));
	snprintf(bench->data, sizeof(bench->data), "%s/deep/data", bench->folder);
	assert_int_equal(crypto_start(), ERR_OK);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	nftw(bench->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(bench);
	return 0;
}

static const char *path_of(struct bench *bench, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", bench->data, name);
	return path;
}

static void overwrite(struct bench *bench, const char *name, const char *text)
{
	FILE *file = fopen(path_of(bench, name), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path_of(bench, name), 0600), 0);
}

static void it_is_made_once_and_read_back(void **state)
{
	struct bench *bench = *state;
	struct node_identity again;
	struct stat status;

	assert_int_equal(node_create(bench->data, "a", NOW, &bench->info), ERR_OK);
	assert_int_equal(node_read(bench->data, "a", &bench->identity, &bench->info), ERR_OK);
	assert_string_equal(bench->identity.node, "a");
	assert_int_equal(bench->identity.created_at, NOW);
	assert_false(id_is_none(bench->identity.registry));
	assert_int_equal(bench->identity.seal_key_count, 1);
	assert_int_equal(bench->identity.seal_keys[0].number, 1);
	assert_int_equal(node_create(bench->data, "a", NOW + 1, &bench->info), ERR_OK);
	assert_int_equal(node_read(bench->data, "a", &again, &bench->info), ERR_OK);
	assert_memory_equal(&again, &bench->identity, sizeof(again));
	assert_int_equal(stat(bench->data, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	for (const char **name = (const char *[]){"seal.keys", "checkpoint.key", NULL}; *name; name++) {
		assert_int_equal(stat(path_of(bench, *name), &status), 0);
		assert_int_equal(status.st_mode & 0777, 0600);
	}
}

static void another_node_is_refused(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(node_create(bench->data, "a", NOW, &bench->info), ERR_OK);
	assert_int_equal(node_read(bench->data, "b", &bench->identity, &bench->info), ERR_INVALID_CONFIG);
	assert_non_null(strstr(bench->info.detail, "belongs to node a"));
}

static void a_directory_that_was_not_initialised_says_so(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(node_read(bench->data, "a", &bench->identity, &bench->info), ERR_INVALID_CONFIG);
	assert_non_null(strstr(bench->info.detail, "carbond init"));
}

static void keys_that_others_can_read_are_refused(void **state)
{
	struct bench *bench = *state;
	static const char *const names[] = {"seal.keys", "checkpoint.key"};

	assert_int_equal(node_create(bench->data, "a", NOW, &bench->info), ERR_OK);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chmod(path_of(bench, names[i]), 0640), 0);
		assert_int_equal(node_read(bench->data, "a", &bench->identity, &bench->info), ERR_INVALID_CONFIG);
		assert_non_null(strstr(bench->info.detail, names[i]));
		assert_int_equal(chmod(path_of(bench, names[i]), 0600), 0);
	}
	assert_int_equal(node_read(bench->data, "a", &bench->identity, &bench->info), ERR_OK);
}

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void rotated_keys_are_all_read_and_the_first_seals(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(node_create(bench->data, "a", NOW, &bench->info), ERR_OK);
	overwrite(bench, "seal.keys", "# newest first\n2 " KEY "\n1 " KEY "\n");
	assert_int_equal(node_read(bench->data, "a", &bench->identity, &bench->info), ERR_OK);
	assert_int_equal(bench->identity.seal_key_count, 2);
	assert_int_equal(bench->identity.seal_keys[0].number, 2);
	assert_int_equal(bench->identity.seal_keys[0].bytes[1], 0x11);
}

static void damaged_files_are_refused(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *name, *text;
	} damage[] = {{"seal.keys", ""}, {"seal.keys", "1 00ff\n"}, {"seal.keys", KEY "\n"},
		{"checkpoint.key", "zz" KEY "\n"}, {"checkpoint.key", "00ff\n"}, {"node.json", "{}"},
		{"node.json", "{\"node\": \"a\"}"}, {"node.json", "half a fi"}};

	for (size_t i = 0; i < sizeof(damage) / sizeof(*damage); i++) {
		nftw(bench->data, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		assert_int_equal(node_create(bench->data, "a", NOW, &bench->info), ERR_OK);
		overwrite(bench, damage[i].name, damage[i].text);
		assert_int_not_equal(node_read(bench->data, "a", &bench->identity, &bench->info), ERR_OK);
	}
}

static void a_backup_takes_keys_only_when_asked(void **state)
{
	struct bench *bench = *state;
	char copy[160];

	snprintf(copy, sizeof(copy), "%s/copy", bench->folder);
	assert_int_equal(mkdir(copy, 0700), 0);
	assert_int_equal(node_create(bench->data, "a", NOW, &bench->info), ERR_OK);
	assert_int_equal(node_copy(bench->data, copy, false, &bench->info), ERR_OK);
	assert_int_equal(node_read(copy, "a", &bench->identity, &bench->info), ERR_INVALID_CONFIG);
	assert_int_equal(node_copy(bench->data, copy, true, &bench->info), ERR_OK);
	assert_int_equal(node_read(copy, "a", &bench->identity, &bench->info), ERR_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(it_is_made_once_and_read_back),
		TEST(another_node_is_refused),
		TEST(a_directory_that_was_not_initialised_says_so),
		TEST(keys_that_others_can_read_are_refused),
		TEST(rotated_keys_are_all_read_and_the_first_seals),
		TEST(damaged_files_are_refused),
		TEST(a_backup_takes_keys_only_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
