/* One piece of work in many parts, done by the thread that has it and by helpers that are idle. There is no queue: while one
 * caller has the helpers, another does its parts alone, so that nobody waits for work that is not its own. */
#include <pthread.h>
#include <stdlib.h>

#include "carbond/runtime.h"

struct job {
	void (*part)(void *context, size_t index);
	void *context;
	size_t count;
	atomic_size_t next;
	unsigned inside; /* helpers at it; under the lock */
};

struct crew {
	pthread_mutex_t lock; /* rank: innermost; not held while parts run */
	pthread_cond_t called, left;
	struct job *job; /* NULL: the helpers are free, or all parts are taken */
	bool closed;
	unsigned helper_count;
	struct thread *helpers[];
};

static void work(struct job *job)
{
	for (size_t index; (index = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed)) < job->count;)
		job->part(job->context, index);
}

/* Under the lock: no further helper comes to a job whose parts are all taken. */
static void withdraw(struct crew *crew, const struct job *job)
{
	if (crew->job == job)
		crew->job = NULL;
}

static void helper_run(void *argument)
{
	struct crew *crew = argument;
	pthread_mutex_lock(&crew->lock);
	while (!crew->closed) {
		struct job *job = crew->job;
		if (!job) {
			pthread_cond_wait(&crew->called, &crew->lock);
			continue;
		}
		job->inside++;
		pthread_mutex_unlock(&crew->lock);
		work(job);
		pthread_mutex_lock(&crew->lock);
		withdraw(crew, job);
		if (--job->inside == 0)
			pthread_cond_broadcast(&crew->left);
	}
	pthread_mutex_unlock(&crew->lock);
}

enum err crew_new(const char *name, unsigned helpers, struct crew **ret_crew)
{
	struct crew *crew = calloc(1, sizeof *crew + helpers * sizeof(struct thread *));
	enum err err = crew ? ERR_OK : ERR_NO_MEMORY;
	if (err)
		return err;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->called, NULL);
	pthread_cond_init(&crew->left, NULL);
	while (crew->helper_count < helpers && !err) {
		err = thread_start(name, helper_run, crew, &crew->helpers[crew->helper_count]);
		crew->helper_count += !err;
	}
	if (err)
		crew_free(&crew);
	*ret_crew = crew;
	return err;
}

void crew_free(struct crew **crew)
{
	if (!*crew)
		return;
	pthread_mutex_lock(&(*crew)->lock);
	(*crew)->closed = true;
	pthread_cond_broadcast(&(*crew)->called);
	pthread_mutex_unlock(&(*crew)->lock);
	for (unsigned i = 0; i < (*crew)->helper_count; i++)
		thread_join(&(*crew)->helpers[i]);
	pthread_cond_destroy(&(*crew)->left);
	pthread_cond_destroy(&(*crew)->called);
	pthread_mutex_destroy(&(*crew)->lock);
	free(*crew);
	*crew = NULL;
}

void crew_run(struct crew *crew, void (*part)(void *context, size_t index), void *context, size_t count)
{
	struct job job = {.part = part, .context = context, .count = count};
	pthread_mutex_lock(&crew->lock);
	bool ours = count > 1 && !crew->job;
	if (ours) {
		crew->job = &job;
		pthread_cond_broadcast(&crew->called);
	}
	pthread_mutex_unlock(&crew->lock);
	work(&job);
	if (!ours)
		return;
	pthread_mutex_lock(&crew->lock);
	withdraw(crew, &job);
	while (job.inside)
		pthread_cond_wait(&crew->left, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
}

unsigned crew_size(const struct crew *crew)
{
	return crew->helper_count + 1;
}
