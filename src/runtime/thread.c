/* Threads with a name and with all signals blocked, so that signals reach the main thread alone. Any thread. */
#include "carbond/runtime.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_BYTES 16 /* the kernel's limit, with the closing zero */

struct thread {
	pthread_t handle;
	char name[NAME_BYTES];
	void (*run)(void *argument);
	void *argument;
};

static void *thread_main(void *argument)
{
	struct thread *thread = argument;
	pthread_setname_np(pthread_self(), thread->name);
	thread->run(thread->argument);
	return NULL;
}

enum err thread_start(const char *name, void (*run)(void *argument), void *argument, struct thread **ret_thread)
{
	struct thread *thread = calloc(1, sizeof *thread);
	if (!thread)
		return ERR_NO_MEMORY;
	thread->run = run;
	thread->argument = argument;
	snprintf(thread->name, sizeof thread->name, "%s", name);

	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&thread->handle, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		free(thread);
		return failed == EAGAIN ? ERR_NO_MEMORY : ERR_IO;
	}
	*ret_thread = thread;
	return ERR_OK;
}

void thread_join(struct thread **thread)
{
	if (!*thread)
		return;
	pthread_join((*thread)->handle, NULL);
	free(*thread);
	*thread = NULL;
}
