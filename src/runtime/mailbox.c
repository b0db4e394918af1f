/* The one way in which threads hand work to each other: a ring of pointers under one mutex. A full mailbox refuses; what
 * is in it is never dropped. Lock order: `list_lock` before a mailbox's own lock; neither is held across a callback of
 * another room. Any thread sends, one receives. */
#include "carbond/runtime.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox.h"
#include "wait.h"

struct mailbox {
	pthread_mutex_t lock;
	pthread_cond_t filled, emptied;
	void **items;
	size_t capacity, first, count;
	size_t waiting_senders;
	uint64_t refused;
	bool closed, nudged;
	char name[32];
	struct mailbox *next; /* under list_lock */
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mailbox *list;

struct mailbox *mailbox_new(const char *name, size_t capacity)
{
	assert(capacity > 0);
	struct mailbox *mailbox = calloc(1, sizeof *mailbox);
	if (!mailbox)
		return NULL;
	mailbox->items = calloc(capacity, sizeof *mailbox->items);
	if (!mailbox->items) {
		free(mailbox);
		return NULL;
	}
	mailbox->capacity = capacity;
	snprintf(mailbox->name, sizeof mailbox->name, "%s", name);
	pthread_mutex_init(&mailbox->lock, NULL);
	wait_condition_init(&mailbox->filled);
	wait_condition_init(&mailbox->emptied);

	pthread_mutex_lock(&list_lock);
	mailbox->next = list;
	list = mailbox;
	pthread_mutex_unlock(&list_lock);
	return mailbox;
}

void mailbox_free(struct mailbox **mailbox)
{
	if (!*mailbox)
		return;
	pthread_mutex_lock(&list_lock);
	struct mailbox **at = &list;
	while (*at != *mailbox)
		at = &(*at)->next;
	*at = (*mailbox)->next;
	pthread_mutex_unlock(&list_lock);

	assert((*mailbox)->waiting_senders == 0);
	pthread_cond_destroy(&(*mailbox)->filled);
	pthread_cond_destroy(&(*mailbox)->emptied);
	pthread_mutex_destroy(&(*mailbox)->lock);
	free((*mailbox)->items);
	free(*mailbox);
	*mailbox = NULL;
}

/* With the lock held and room to spare. */
static void push(struct mailbox *mailbox, void *item)
{
	assert(mailbox->count < mailbox->capacity);
	mailbox->items[(mailbox->first + mailbox->count) % mailbox->capacity] = item;
	mailbox->count++;
	pthread_cond_signal(&mailbox->filled);
}

enum err mailbox_put(struct mailbox *mailbox, void *item)
{
	return mailbox_put_wait(mailbox, item, 0);
}

enum err mailbox_put_wait(struct mailbox *mailbox, void *item, int64_t deadline_us)
{
	enum err err = ERR_OK;
	struct timespec until = wait_until(deadline_us);
	pthread_mutex_lock(&mailbox->lock);
	bool late = deadline_us <= 0;
	while (!mailbox->closed && mailbox->count == mailbox->capacity && !late) {
		mailbox->waiting_senders++;
		late = pthread_cond_timedwait(&mailbox->emptied, &mailbox->lock, &until) != 0;
		mailbox->waiting_senders--;
	}
	if (mailbox->closed) {
		err = ERR_STOPPING;
	} else if (mailbox->count == mailbox->capacity) {
		mailbox->refused++;
		err = ERR_BUSY;
	} else {
		push(mailbox, item);
	}
	pthread_mutex_unlock(&mailbox->lock);
	return err;
}

size_t mailbox_take(struct mailbox *mailbox, void **ret_items, size_t most, int64_t deadline_us)
{
	struct timespec until = wait_until(deadline_us);
	bool late = false;
	pthread_mutex_lock(&mailbox->lock);
	while (mailbox->count == 0 && !mailbox->closed && !mailbox->nudged && !late) {
		if (deadline_us == INT64_MAX)
			pthread_cond_wait(&mailbox->filled, &mailbox->lock);
		else
			late = pthread_cond_timedwait(&mailbox->filled, &mailbox->lock, &until) != 0;
	}
	mailbox->nudged = false;
	size_t taken = mailbox->count < most ? mailbox->count : most;
	for (size_t i = 0; i < taken; i++) {
		ret_items[i] = mailbox->items[mailbox->first];
		mailbox->first = (mailbox->first + 1) % mailbox->capacity;
	}
	mailbox->count -= taken;
	if (taken && mailbox->waiting_senders)
		pthread_cond_broadcast(&mailbox->emptied);
	pthread_mutex_unlock(&mailbox->lock);
	return taken;
}

void mailbox_nudge(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->nudged = true;
	pthread_cond_signal(&mailbox->filled);
	pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_close(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->closed = true;
	pthread_cond_broadcast(&mailbox->filled);
	pthread_cond_broadcast(&mailbox->emptied);
	pthread_mutex_unlock(&mailbox->lock);
}

/* The lock is not part of what `const` promises. */
static pthread_mutex_t *lock_of(const struct mailbox *mailbox)
{
	return (pthread_mutex_t *)(uintptr_t)&mailbox->lock;
}

bool mailbox_closed(const struct mailbox *mailbox)
{
	pthread_mutex_lock(lock_of(mailbox));
	bool closed = mailbox->closed;
	pthread_mutex_unlock(lock_of(mailbox));
	return closed;
}

size_t mailbox_depth(const struct mailbox *mailbox)
{
	pthread_mutex_lock(lock_of(mailbox));
	size_t depth = mailbox->count;
	pthread_mutex_unlock(lock_of(mailbox));
	return depth;
}

static void write_family(enum metric_family family, uint64_t (*read)(struct mailbox *mailbox),
	void (*emit)(void *sink, const char *line), void *sink)
{
	metric_family_head(family, emit, sink);
	for (struct mailbox *mailbox = list; mailbox; mailbox = mailbox->next) {
		pthread_mutex_lock(&mailbox->lock);
		uint64_t value = read(mailbox);
		pthread_mutex_unlock(&mailbox->lock);
		metric_family_value(family, mailbox->name, (int64_t)value, emit, sink);
	}
}

static uint64_t read_depth(struct mailbox *mailbox)
{
	return mailbox->count;
}

static uint64_t read_capacity(struct mailbox *mailbox)
{
	return mailbox->capacity;
}

static uint64_t read_refused(struct mailbox *mailbox)
{
	return mailbox->refused;
}

void mailboxes_write(void (*emit)(void *sink, const char *line), void *sink)
{
	pthread_mutex_lock(&list_lock);
	if (list) {
		write_family(METRIC_FAMILY_MAILBOX_DEPTH, read_depth, emit, sink);
		write_family(METRIC_FAMILY_MAILBOX_CAPACITY, read_capacity, emit, sink);
		write_family(METRIC_FAMILY_MAILBOX_REFUSED, read_refused, emit, sink);
	}
	pthread_mutex_unlock(&list_lock);
}
