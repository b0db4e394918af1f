/* How an answer reaches whoever asked on another thread. The completer claims the reply by pending → done; an asker that
 * lets go first claims it by pending → abandoned, and then neither result nor wake reach it. Any thread. */
#include "carbond/runtime.h"

#include <assert.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wait.h"

enum { PENDING, DONE, ABANDONED, AWAITED }; /* awaited: pending, and the asker sleeps */
enum { RESTS, WAKES, WAKES_AWAITED };       /* what `waking` says */

static long futex(atomic_int *word, int operation, int value, const struct timespec *until)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

struct runtime_reply *reply_new(int64_t deadline_us, void (*wake)(void *context), void *context)
{
	struct runtime_reply *reply = calloc(1, sizeof *reply);
	if (!reply)
		return NULL;
	atomic_init(&reply->refs, 2);
	atomic_init(&reply->state, PENDING);
	reply->deadline_us = deadline_us;
	reply->wake = wake;
	reply->context = context;
	return reply;
}

static void drop(struct runtime_reply *reply)
{
	int before = atomic_fetch_sub_explicit(&reply->refs, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before > 1)
		return;
	if (reply->release && reply->result)
		reply->release(reply->result);
	free(reply);
}

/* Leaves pending for `to`, unless somebody did before; returns what it was. */
static int leave_pending(struct runtime_reply *reply, int to)
{
	int before = atomic_load_explicit(&reply->state, memory_order_acquire);
	while ((before == PENDING || before == AWAITED) &&
		!atomic_compare_exchange_weak_explicit(
			&reply->state, &before, to, memory_order_acq_rel, memory_order_acquire))
		continue;
	return before;
}

void reply_complete(struct runtime_reply *reply, enum err code, const struct err_info *info, void *result,
	void (*release)(void *result))
{
	reply->code = code;
	if (info)
		reply->info = *info;
	else if (code != ERR_OK)
		err_set(&reply->info, code, "", "%s", err_row(code)->title);
	reply->result = result;
	reply->release = release;
	reply->waker = pthread_self();
	atomic_store_explicit(&reply->waking, WAKES, memory_order_relaxed);
	int before = leave_pending(reply, DONE);
	assert(before != DONE); /* a reply is completed once */
	if (before == AWAITED)
		futex(&reply->state, FUTEX_WAKE, INT32_MAX, NULL);
	if (before != ABANDONED && reply->wake)
		reply->wake(reply->context);
	if (atomic_exchange_explicit(&reply->waking, RESTS, memory_order_acq_rel) == WAKES_AWAITED)
		futex(&reply->waking, FUTEX_WAKE, INT32_MAX, NULL);
	drop(reply);
}

bool reply_is_done(const struct runtime_reply *reply)
{
	return atomic_load_explicit(&reply->state, memory_order_acquire) == DONE;
}

enum err reply_wait(struct runtime_reply *reply, struct err_info *info)
{
	struct timespec until = wait_until(reply->deadline_us);
	while (!reply_is_done(reply)) {
		if (clock_monotonic_us() >= reply->deadline_us)
			return err_set(info, ERR_DEADLINE, "", "%s", err_row(ERR_DEADLINE)->title);
		int pending = PENDING;
		atomic_compare_exchange_strong(&reply->state, &pending, AWAITED);
		futex(&reply->state, FUTEX_WAIT_BITSET, AWAITED, reply->deadline_us == INT64_MAX ? NULL : &until);
	}
	if (reply->code != ERR_OK && info)
		*info = reply->info;
	return reply->code;
}

static void wait_waking(struct runtime_reply *reply)
{
	while (atomic_load_explicit(&reply->waking, memory_order_acquire) != RESTS) {
		int wakes = WAKES;
		atomic_compare_exchange_strong(&reply->waking, &wakes, WAKES_AWAITED);
		futex(&reply->waking, FUTEX_WAIT_BITSET, WAKES_AWAITED, NULL);
	}
}

void reply_unref(struct runtime_reply **reply)
{
	if (!*reply)
		return;
	if (leave_pending(*reply, ABANDONED) == DONE && (*reply)->waker != pthread_self())
		wait_waking(*reply);
	drop(*reply);
	*reply = NULL;
}
