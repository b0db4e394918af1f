/* Decides what a process under test takes for the wall's time: loaded before it (LD_PRELOAD), it adds to CLOCK_REALTIME what
 * the file $WALL_CLOCK says, read anew at each look; the other clocks stay the kernel's. test_clock.py builds it and writes
 * the file. All threads. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The file: by how much the clock is off, and since when it gains how many parts in a million. */
struct fault {
	volatile int64_t offset_us, since_us, gain_ppm;
};

static const struct fault *fault;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("WALL_CLOCK");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *fault, PROT_READ, MAP_SHARED, file, 0);

	if (map != MAP_FAILED)
		fault = map;
	if (file >= 0)
		close(file);
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	long code = syscall(SYS_clock_gettime, clock, ret_time);

	if (code != 0 || clock != CLOCK_REALTIME || !fault)
		return (int)code;
	int64_t now_us = ret_time->tv_sec * INT64_C(1000000) + ret_time->tv_nsec / 1000;
	now_us += fault->offset_us + (now_us - fault->since_us) / 1000000 * fault->gain_ppm;
	ret_time->tv_sec = now_us / 1000000;
	ret_time->tv_nsec = now_us % 1000000 * 1000;
	return 0;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *ret_time)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret_time)
		*ret_time = now.tv_sec;
	return now.tv_sec;
}
