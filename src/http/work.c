/* The pool of worker threads that run HTTP_WORK handlers, which may block on the store. Its queue is bounded: room is
 * reserved on the http thread before the connection is suspended, so a full pool is answered 503 at once. */
#include <stdlib.h>

#include "http_internal.h"

struct work {
	pthread_mutex_t lock; /* rank: innermost */
	pthread_cond_t filled;
	struct http_request **ring;
	size_t capacity, first, count, reserved;
	bool closed;
	size_t thread_count;
	struct thread *threads[];
};

static struct http_request *take(struct work *work)
{
	struct http_request *request = NULL;
	pthread_mutex_lock(&work->lock);
	while (work->count == 0 && !work->closed)
		pthread_cond_wait(&work->filled, &work->lock);
	if (work->count > 0) {
		request = work->ring[work->first];
		work->first = (work->first + 1) % work->capacity;
		work->count--;
		work->reserved--;
		metric_add(METRIC_HTTP_WAITING, -1);
	}
	pthread_mutex_unlock(&work->lock);
	return request;
}

static void work_run(void *argument)
{
	struct http_request *request;
	while ((request = take(argument))) {
		/* past its deadline nobody waits for it: do not load the store with it */
		if (atomic_load_explicit(&request->state, memory_order_acquire) == REQUEST_WAITING) {
			http_request_run_handler(request);
			http_request_finish(request, REQUEST_DONE);
		}
		http_request_unref(request);
	}
}

struct work *http_work_new(unsigned threads, size_t capacity)
{
	struct work *work = calloc(1, sizeof *work + threads * sizeof(struct thread *));
	if (!work)
		return NULL;
	pthread_mutex_init(&work->lock, NULL);
	pthread_cond_init(&work->filled, NULL);
	work->capacity = capacity;
	work->ring = calloc(capacity, sizeof *work->ring);
	for (unsigned i = 0; work->ring && i < threads; i++) {
		if (thread_start("http-work", work_run, work, &work->threads[i]) != ERR_OK)
			break;
		work->thread_count++;
	}
	if (work->thread_count < threads)
		http_work_free(&work);
	return work;
}

bool http_work_reserve(struct work *work)
{
	pthread_mutex_lock(&work->lock);
	bool room = !work->closed && work->reserved < work->capacity;
	if (room)
		work->reserved++;
	pthread_mutex_unlock(&work->lock);
	return room;
}

void http_work_put(struct work *work, struct http_request *request)
{
	pthread_mutex_lock(&work->lock);
	work->ring[(work->first + work->count) % work->capacity] = request;
	work->count++;
	metric_add(METRIC_HTTP_WAITING, 1);
	pthread_cond_signal(&work->filled);
	pthread_mutex_unlock(&work->lock);
}

void http_work_free(struct work **work)
{
	if (!*work)
		return;
	pthread_mutex_lock(&(*work)->lock);
	(*work)->closed = true;
	pthread_cond_broadcast(&(*work)->filled);
	pthread_mutex_unlock(&(*work)->lock);
	for (size_t i = 0; i < (*work)->thread_count; i++)
		thread_join(&(*work)->threads[i]);
	pthread_cond_destroy(&(*work)->filled);
	pthread_mutex_destroy(&(*work)->lock);
	free((*work)->ring);
	free(*work);
	*work = NULL;
}
