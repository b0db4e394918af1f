/* Decides what time it is in the journal and whether anything may expire (decision 10): while running, wall time that moves
 * more than a minute against the clock that never jumps halts expiry until somebody confirms it; so does a start on a clock
 * that the kernel does not call synchronised. Engine thread. */
#include "parts.h"

#include <sys/timex.h>
#include <time.h>

#define JUMP_US (60 * CLOCK_US_PER_SECOND)
#define TICK_US CLOCK_US_PER_SECOND

static int64_t kernel_wall_us(void *context)
{
	(void)context;
	return clock_wall_us();
}

/* Counts while the machine sleeps, so idle time is no jump. */
static int64_t kernel_boot_us(void *context)
{
	(void)context;
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * CLOCK_US_PER_SECOND + now.tv_nsec / 1000;
}

static bool kernel_synchronised(void *context)
{
	(void)context;
	struct timex state = {0};
	return adjtimex(&state) != TIME_ERROR && !(state.status & STA_UNSYNC);
}

void clock_start(struct engine_clock *clock, const struct engine_options *options)
{
	clock->wall_us = options->wall_us ? options->wall_us : kernel_wall_us;
	clock->monotonic_us = options->monotonic_us ? options->monotonic_us : kernel_boot_us;
	clock->synchronised = options->clock_synchronised ? options->clock_synchronised : kernel_synchronised;
	clock->context = options->context;
	clock->offset_us = clock->wall_us(clock->context) - clock->monotonic_us(clock->context);
	/* what fell due while we were down expires at the first tick only on a clock that can be trusted */
	atomic_init(&clock->halted, !clock->synchronised(clock->context));
	atomic_init(&clock->confirm, false);
}

int64_t clock_look(struct engine_clock *clock)
{
	int64_t wall_us = clock->wall_us(clock->context);
	int64_t offset_us = wall_us - clock->monotonic_us(clock->context);
	int64_t moved_us = offset_us - clock->offset_us;
	clock->offset_us = offset_us;
	if (atomic_exchange(&clock->confirm, false))
		atomic_store(&clock->halted, false);
	else if (moved_us > JUMP_US || moved_us < -JUMP_US)
		atomic_store(&clock->halted, true);
	return wall_us;
}

bool clock_tick_due(struct engine_clock *clock)
{
	int64_t now_us = clock->monotonic_us(clock->context);
	if (atomic_load(&clock->halted) || now_us < clock->next_tick_us)
		return false;
	clock->next_tick_us = now_us + TICK_US;
	return true;
}
