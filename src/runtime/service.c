/* How the process hears signals and talks to its service manager. Main thread. */
#include "carbond/runtime.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "wait.h"

static void fill_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

void signals_block(void)
{
	sigset_t set;
	fill_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
}

enum runtime_signal signals_wait(int64_t deadline_us)
{
	sigset_t set;
	fill_set(&set);
	for (;;) {
		int64_t left_us = deadline_us == INT64_MAX ? INT64_MAX : deadline_us - clock_monotonic_us();
		struct timespec left = wait_until(left_us);
		int number = left_us == INT64_MAX ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &left);
		if (number == SIGHUP)
			return RUNTIME_RELOAD;
		if (number > 0)
			return RUNTIME_STOP;
		if (errno == EAGAIN)
			return RUNTIME_TIMEOUT;
	}
}

void service_notify(const char *state)
{
	sd_notify(0, state);
}

int64_t service_watchdog_us(void)
{
	uint64_t interval_us;
	return sd_watchdog_enabled(0, &interval_us) > 0 ? (int64_t)interval_us : 0;
}
