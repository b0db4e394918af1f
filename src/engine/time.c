/* Decides what time it is in the journal and whether anything may expire (decision 10): while running, wall time that moves
 * more than a minute against the clock that never jumps, at once or by many small steps, halts expiry until somebody
 * confirms it; so does a start on a clock that the kernel does not call synchronised. The journal's time never goes back, so
 * a jump ahead counts in it for half a day at most before it is confirmed: else one wrong step would have every command
 * refused whose id was made by a right clock (decision 11), for as long as the step was wide. Engine thread. */
#include "parts.h"

#include <sys/timex.h>
#include <time.h>

#define JUMP_US     (60 * CLOCK_US_PER_SECOND)
#define TICK_US     CLOCK_US_PER_SECOND
#define BELIEVED_US (RULES_REPEATS_US / 2)
#define TOGETHER_US (10 * 1000) /* two reads of the clocks no further apart are of one moment */
#define DRIFT_PART  1000        /* a clock that gains or loses less than 1/1000 of the time drifts, and does not jump */

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

/* Both clocks at one moment: read again where the thread, or the machine, stood still in between. */
static void read_both(const struct engine_clock *clock, int64_t *ret_wall_us, int64_t *ret_now_us)
{
	int64_t began_us;
	int tries = 0;
	do {
		began_us = clock->monotonic_us(clock->context);
		*ret_wall_us = clock->wall_us(clock->context);
		*ret_now_us = clock->monotonic_us(clock->context);
	} while (*ret_now_us - began_us > TOGETHER_US && ++tries < 10);
}

void clock_start(struct engine_clock *clock, const struct engine_options *options)
{
	clock->wall_us = options->wall_us ? options->wall_us : kernel_wall_us;
	clock->monotonic_us = options->monotonic_us ? options->monotonic_us : kernel_boot_us;
	clock->synchronised = options->clock_synchronised ? options->clock_synchronised : kernel_synchronised;
	clock->context = options->context;
	int64_t wall_us;
	read_both(clock, &wall_us, &clock->looked_us);
	clock->offset_us = wall_us - clock->looked_us;
	/* what fell due while we were down expires at the first tick only on a clock that can be trusted */
	atomic_init(&clock->halted, !clock->synchronised(clock->context));
	atomic_init(&clock->confirm, false);
}

/* The two clocks part slowly in any machine: what is drift becomes the new normal. */
static void drift_follow(struct engine_clock *clock, int64_t moved_us, int64_t passed_us)
{
	int64_t drift_us = passed_us / DRIFT_PART;
	if (moved_us < drift_us)
		drift_us = moved_us > -drift_us ? moved_us : -drift_us;
	clock->offset_us += drift_us;
}

int64_t clock_look(struct engine_clock *clock)
{
	int64_t wall_us, now_us;
	read_both(clock, &wall_us, &now_us);
	int64_t moved_us = wall_us - now_us - clock->offset_us;
	int64_t passed_us = now_us - clock->looked_us;
	clock->looked_us = now_us;
	if (atomic_exchange(&clock->confirm, false)) {
		atomic_store(&clock->halted, false);
		clock->offset_us = wall_us - now_us;
		return wall_us;
	}
	if (moved_us > JUMP_US || moved_us < -JUMP_US)
		atomic_store(&clock->halted, true);
	else
		drift_follow(clock, moved_us, passed_us);
	return moved_us > BELIEVED_US ? wall_us - (moved_us - BELIEVED_US) : wall_us;
}

bool clock_tick_due(struct engine_clock *clock)
{
	int64_t now_us = clock->monotonic_us(clock->context);
	if (atomic_load(&clock->halted) || now_us < clock->next_tick_us)
		return false;
	clock->next_tick_us = now_us + TICK_US;
	return true;
}
