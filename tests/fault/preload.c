/* Loaded into a running carbond by tests (LD_PRELOAD), never part of it: fails one allocation, write or fsync of the process.
 * Which one stands in the file that CARBOND_FAULT names, mapped and shared with the test, which may set it at any moment.
 * Allocations are those of carbond itself, of jansson and of SQLite; writes and fsyncs those of files that are not the log. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum fault {
	FAULT_NONE,
	FAULT_ALLOCATION,  /* the Nth */
	FAULT_ALLOCATIONS, /* the Nth and all that follow it */
	FAULT_WRITE_EIO,   /* the Nth and all that follow it: the disk is dead */
	FAULT_WRITE_SHORT, /* half of the Nth is written; those that follow it find no space */
	FAULT_WRITE_FULL,  /* the Nth and all that follow it find no space */
	FAULT_FSYNC_EIO,   /* the Nth and all later writes and fsyncs: the disk is dead */
};

/* Shared with tests/e2e/faults.py. */
struct control {
	_Atomic int64_t fault, nth;
	_Atomic int64_t calls; /* of the fault's kind since the test set it to 0 */
	_Atomic int64_t failed;
};

static struct control none, *control = &none;

/* ---- whose allocation ---- */

#define RANGES_MAX 16

static struct range {
	uintptr_t from, to;
} ranges[RANGES_MAX];
static size_t range_count;

static int note_object(struct dl_phdr_info *object, size_t size, void *context)
{
	(void)size;
	bool *first = context; /* the program itself */
	if (!*first && !strstr(object->dlpi_name, "libjansson") && !strstr(object->dlpi_name, "libsqlite3"))
		return 0;
	*first = false;
	for (int i = 0; i < object->dlpi_phnum && range_count < RANGES_MAX; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		if (part->p_type == PT_LOAD && (part->p_flags & PF_X))
			ranges[range_count++] = (struct range){
				object->dlpi_addr + part->p_vaddr, object->dlpi_addr + part->p_vaddr + part->p_memsz};
	}
	return 0;
}

__attribute__((constructor)) static void fault_start(void)
{
	const char *path = getenv("CARBOND_FAULT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	bool first = true;
	dl_iterate_phdr(note_object, &first);
	void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped != MAP_FAILED)
		control = mapped;
}

static bool is_ours(const void *caller)
{
	for (size_t i = 0; i < range_count; i++)
		if ((uintptr_t)caller >= ranges[i].from && (uintptr_t)caller < ranges[i].to)
			return true;
	return false;
}

/* Counts a call; 0: it goes well, 1: it is the one, 2: it comes after it. */
static int count_call(void)
{
	int64_t call = atomic_fetch_add(&control->calls, 1) + 1, nth = atomic_load(&control->nth);
	return call < nth ? 0 : call == nth ? 1 : 2;
}

static bool allocation_fails(const void *caller)
{
	int64_t fault = atomic_load_explicit(&control->fault, memory_order_relaxed);
	if ((fault != FAULT_ALLOCATION && fault != FAULT_ALLOCATIONS) || !is_ours(caller))
		return false;
	int place = count_call();
	if (place == 0 || (place == 2 && fault == FAULT_ALLOCATION))
		return false;
	atomic_fetch_add(&control->failed, 1);
	errno = ENOMEM;
	return true;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
	return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	return allocation_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

/* ---- files ---- */

static bool is_data(int fd)
{
	struct stat status;
	return fd > STDERR_FILENO && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* What becomes of a write: 0 nothing, -1 it fails with errno, 1 half of it is written. */
static int write_fault(int fd)
{
	int64_t fault = atomic_load_explicit(&control->fault, memory_order_relaxed);
	if (fault < FAULT_WRITE_EIO || !is_data(fd))
		return 0;
	int place = fault == FAULT_FSYNC_EIO ? 2 * (atomic_load(&control->failed) > 0) : count_call();
	if (place == 0)
		return 0;
	atomic_fetch_add(&control->failed, 1);
	if (place == 1 && fault == FAULT_WRITE_SHORT)
		return 1;
	errno = fault == FAULT_WRITE_EIO || fault == FAULT_FSYNC_EIO ? EIO : ENOSPC;
	return -1;
}

static int fsync_fault(int fd)
{
	int64_t fault = atomic_load_explicit(&control->fault, memory_order_relaxed);
	bool dead = fault == FAULT_WRITE_EIO && atomic_load(&control->failed) > 0;
	if ((fault != FAULT_FSYNC_EIO && !dead) || !is_data(fd) || (!dead && count_call() == 0))
		return 0;
	atomic_fetch_add(&control->failed, 1);
	errno = EIO;
	return -1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size)
{
	static __typeof__(&write) real;
	int fault = write_fault(fd);
	if (!real)
		real = REAL(write);
	return fault < 0 ? -1 : real(fd, data, fault ? size / 2 : size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	static __typeof__(&pwrite64) real;
	int fault = write_fault(fd);
	if (!real)
		real = REAL(pwrite64);
	return fault < 0 ? -1 : real(fd, data, fault ? size / 2 : size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return pwrite64(fd, data, size, offset);
}

int fsync(int fd)
{
	static __typeof__(&fsync) real;
	if (!real)
		real = REAL(fsync);
	return fsync_fault(fd) ? -1 : real(fd);
}

int fdatasync(int fd)
{
	static __typeof__(&fdatasync) real;
	if (!real)
		real = REAL(fdatasync);
	return fsync_fault(fd) ? -1 : real(fd);
}
