/* Decides which call fails. Allocations are seen by the linker's --wrap (tests/CMakeLists.txt) in our own objects, and by the
 * hooks that SQLite has (jansson allocates through ours, src/base/json.c); writes and fsyncs by a SQLite file system. Any thread. */
#include "sweep.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "store/fault_vfs.h"

#if defined(__SANITIZE_THREAD__)
#define ONE_OF 10 /* places are tried */
#elif defined(__SANITIZE_ADDRESS__)
#define ONE_OF 4
#else
#define ONE_OF 1
#endif

static long points_most;

/* ---- allocations ---- */

static struct {
	atomic_bool armed, from_there;
	atomic_long nth, calls;
} allocations;

static bool allocation_fails(void)
{
	if (!atomic_load(&allocations.armed))
		return false;
	long call = atomic_fetch_add(&allocations.calls, 1) + 1, nth = atomic_load(&allocations.nth);
	return call == nth || (call > nth && atomic_load(&allocations.from_there));
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
FILE *__real_open_memstream(char **ret_text, size_t *ret_size);

void *__wrap_malloc(size_t size)
{
	return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return allocation_fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return allocation_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
	return allocation_fails() ? NULL : __real_strdup(text);
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = allocation_fails() ? -1 : vasprintf(ret_text, format, arguments);
	va_end(arguments);
	return length;
}

FILE *__wrap_open_memstream(char **ret_text, size_t *ret_size)
{
	return allocation_fails() ? NULL : __real_open_memstream(ret_text, ret_size);
}

static sqlite3_mem_methods sqlite_memory;

static void *sqlite_malloc(int size)
{
	return allocation_fails() ? NULL : sqlite_memory.xMalloc(size);
}

static void *sqlite_realloc(void *memory, int size)
{
	return allocation_fails() ? NULL : sqlite_memory.xRealloc(memory, size);
}

/* ---- one fault ---- */

static const struct {
	const char *name;
	enum fault_kind disk;
} kinds[SWEEP_KINDS] = {
	[SWEEP_ALLOCATION] = {"an allocation"},
	[SWEEP_ALLOCATIONS] = {"allocations from one on"},
	[SWEEP_WRITE_EIO] = {"a write", FAULT_WRITE_EIO},
	[SWEEP_WRITE_SHORT_EIO] = {"half a write", FAULT_WRITE_SHORT_EIO},
	[SWEEP_SYNC_EIO] = {"an fsync", FAULT_SYNC_EIO},
	[SWEEP_WRITE_FULL] = {"a write without space", FAULT_WRITE_FULL},
	[SWEEP_WRITE_SHORT_FULL] = {"half a write without space", FAULT_WRITE_SHORT_FULL},
};

void sweep_start(long points)
{
	const char *text = getenv("CARBOND_SWEEP");
	points_most = points / ONE_OF;
	if (text && *text)
		points_most = strcmp(text, "all") == 0 ? LONG_MAX : strtol(text, NULL, 10);
	sqlite3_mem_methods memory;
	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) != SQLITE_OK)
		abort();
	memory = sqlite_memory;
	memory.xMalloc = sqlite_malloc;
	memory.xRealloc = sqlite_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK)
		abort();
	fault_vfs_start();
	fault_arm(FAULT_NONE, 0, false);
	if (getenv("CARBOND_SWEEP_LOG"))
		return;
	/* thousands of objects fail and say so; the tests' own messages still go where they should */
	stderr = fdopen(dup(STDERR_FILENO), "w");
	int nowhere = open("/dev/null", O_WRONLY);
	if (!stderr || nowhere < 0 || dup2(nowhere, STDERR_FILENO) < 0)
		abort();
	close(nowhere);
}

void sweep_arm(struct sweep *sweep)
{
	if (kinds[sweep->kind].disk) {
		fault_arm(kinds[sweep->kind].disk, sweep->nth, false);
		return;
	}
	atomic_store(&allocations.calls, 0);
	atomic_store(&allocations.nth, sweep->nth);
	atomic_store(&allocations.from_there, sweep->kind == SWEEP_ALLOCATIONS);
	atomic_store(&allocations.armed, true);
}

void sweep_disarm(struct sweep *sweep)
{
	if (kinds[sweep->kind].disk) {
		sweep->calls = fault.seen;
		fault_arm(FAULT_NONE, 0, false);
	} else {
		atomic_store(&allocations.armed, false);
		sweep->calls = atomic_load(&allocations.calls);
	}
	sweep->reached = sweep->calls >= sweep->nth;
}

static long calls_now(const struct sweep *sweep)
{
	return kinds[sweep->kind].disk ? fault.seen : atomic_load(&allocations.calls);
}

void sweep_judge(const struct sweep *sweep, enum err err, const struct err_info *info)
{
	bool allowed = err == ERR_OK, reached = sweep->reached || calls_now(sweep) >= sweep->nth;
	switch (sweep->kind) {
	case SWEEP_ALLOCATION:
	case SWEEP_ALLOCATIONS: allowed |= err == ERR_NO_MEMORY; break;
	case SWEEP_WRITE_FULL:
	case SWEEP_WRITE_SHORT_FULL: allowed |= err == ERR_NO_SPACE; break;
	default: allowed |= err == ERR_IO || err == ERR_STORE_LATCHED; break;
	}
	if (!allowed)
		fail_msg("%s failed, call %ld, and the answer is %s: %s", kinds[sweep->kind].name, sweep->nth,
			err_row(err)->name, info ? info->detail : "");
	if (err && !reached)
		fail_msg("nothing failed, and the answer is %s: %s", err_row(err)->name, info ? info->detail : "");
}

/* ---- all of them ---- */

/* The nth of `points` numbers in 1..calls: half of them are the first ones, the others lie evenly on the rest; never the last
 * ones, which another run may not come to. */
static long choice(long point, long points, long calls)
{
	long dense = points / 2;
	if (points == calls || point <= dense)
		return point;
	return dense + (long)((__int128)(point - dense) * (calls - dense) / (points - dense + 1));
}

void sweep_every(const char *name, enum sweep_kind kind, void (*scenario)(struct sweep *sweep), void *context)
{
	struct sweep counting = {.kind = kind, .nth = LONG_MAX, .context = context};
	scenario(&counting);
	assert_false(counting.reached);
	assert_true(counting.calls > 0); /* a sweep over nothing proves nothing */
	long points = counting.calls < points_most ? counting.calls : points_most, reached = 0;
	for (long point = 1; point <= points; point++) {
		struct sweep sweep = {.kind = kind, .nth = choice(point, points, counting.calls), .context = context};
		scenario(&sweep);
		reached += sweep.reached;
	}
	print_message("%s, %s fails: %ld of %ld places, %ld reached\n", name, kinds[kind].name, points, counting.calls,
		reached);
	assert_true(reached > 0);
}

void sweep_allocations(const char *name, void (*scenario)(struct sweep *sweep), void *context)
{
	sweep_every(name, SWEEP_ALLOCATION, scenario, context);
	sweep_every(name, SWEEP_ALLOCATIONS, scenario, context);
}

void sweep_disk(const char *name, void (*scenario)(struct sweep *sweep), void *context)
{
	for (enum sweep_kind kind = SWEEP_WRITE_EIO; kind < SWEEP_KINDS; kind++)
		sweep_every(name, kind, scenario, context);
}
