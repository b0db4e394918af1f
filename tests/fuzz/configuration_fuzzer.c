/* room: conf */
/* A YAML file, an environment and flags: every value of what is loaded is inside its row's range, the dump of it loads again to
 * the same, and what is wrong is told with a place. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "carbond/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err load(const char *text, size_t size, struct arena *arena, struct conf **ret_conf)
{
	struct conf_report report = {0};
	struct err_info info = {0};
	char path[64];
	int file = memfd_create("configuration", MFD_CLOEXEC);
	assert(file >= 0 && write(file, text, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	const struct conf_input input = {.file = path};
	enum err err = conf_load(&input, arena, ret_conf, &report, &info);
	assert(!err == (report.problem_count == 0) && !err == (*ret_conf != NULL));
	for (size_t i = 0; i < report.problem_count; i++)
		assert(strlen(report.problems[i]) > 3);
	close(file);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct conf *conf = NULL, *again = NULL;
	size_t count;
	const struct conf_row *rows = conf_rows(&count);
	if (load((const char *)data, size, arena, &conf) == ERR_OK) {
		bool hidden = false;
		for (size_t i = 0; i < count; i++) {
			const char *at = (const char *)conf + rows[i].offset;
			if (rows[i].kind == CONF_KIND_INT)
				assert(*(const int64_t *)at >= rows[i].min && *(const int64_t *)at <= rows[i].max);
			if (rows[i].kind == CONF_KIND_TEXT)
				assert((int64_t)strlen(*(char *const *)at) <= rows[i].max);
			hidden = hidden || (rows[i].kind == CONF_KIND_TEXT && (rows[i].flags & CONF_SECRET) &&
						   **(char *const *)at);
		}
		char *dump = conf_dump(conf, arena);
		assert(dump);
		if (!hidden) {
			assert(load(dump, strlen(dump), arena, &again) == ERR_OK);
			for (size_t i = 0; i < count; i++) {
				const char *one = (const char *)conf + rows[i].offset,
					   *two = (const char *)again + rows[i].offset;
				if (rows[i].kind == CONF_KIND_INT)
					assert(*(const int64_t *)one == *(const int64_t *)two);
				else if (rows[i].kind == CONF_KIND_TEXT)
					assert(strcmp(*(char *const *)one, *(char *const *)two) == 0);
			}
		}
	}
	arena_free(&arena);
	return 0;
}
