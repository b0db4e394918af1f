/* Decides how pending transfers of money are kept: a table by id, from which the due ones are taken in (deadline, id) order.
 * The state's thread. */
#include "money.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void money_free(struct money *money)
{
	free(money->pending);
	map_free(&money->map);
	*money = (struct money){0};
}

bool money_reserve(struct money *money)
{
	if (money->count == money->capacity) {
		uint32_t capacity = (money->capacity + 16) * 2;
		struct event_money_reserved *grown = realloc(money->pending, capacity * sizeof *grown);
		if (!grown)
			return false;
		money->pending = grown;
		money->capacity = capacity;
	}
	return map_reserve(&money->map, 1);
}

static bool pending_equal(const void *context, uint32_t item, const void *key)
{
	return id_equal(((const struct money *)context)->pending[item].transfer, *(const struct id *)key);
}

static uint64_t pending_hash(const struct money *money, struct id transfer)
{
	return map_hash_bytes(money->seed, &transfer, sizeof transfer);
}

uint32_t pending_find(const struct money *money, struct id transfer)
{
	return map_find(&money->map, pending_hash(money, transfer), pending_equal, money, &transfer);
}

static void add_revert(void *owner, const void *payload)
{
	struct id transfer;
	memcpy(&transfer, payload, sizeof transfer);
	pending_remove(owner, NULL, pending_find(owner, transfer));
}

void pending_add(struct money *money, struct undo *undo, const struct event_money_reserved *pending)
{
	assert(money->count < money->capacity);
	map_put(&money->map, pending_hash(money, pending->transfer), money->count);
	money->pending[money->count++] = *pending;
	undo_push(undo, add_revert, money, &pending->transfer, sizeof pending->transfer);
}

static void remove_revert(void *owner, const void *payload)
{
	struct event_money_reserved pending;
	memcpy(&pending, payload, sizeof pending);
	pending_add(owner, NULL, &pending);
}

/* The last one takes its place. */
void pending_remove(struct money *money, struct undo *undo, uint32_t item)
{
	assert(item < money->count);
	struct event_money_reserved gone = money->pending[item];
	map_remove(&money->map, pending_hash(money, gone.transfer), item);
	money->count--;
	if (item != money->count) {
		uint64_t hash = pending_hash(money, money->pending[money->count].transfer);
		map_remove(&money->map, hash, money->count);
		money->pending[item] = money->pending[money->count];
		map_put(&money->map, hash, item);
	}
	undo_push(undo, remove_revert, money, &gone, sizeof gone);
}

static int by_id(const void *a, const void *b)
{
	const struct event_money_reserved *const *x = a, *const *y = b;
	return memcmp(&(*x)->transfer, &(*y)->transfer, sizeof(*x)->transfer);
}

static int by_deadline(const void *a, const void *b)
{
	const struct event_money_reserved *const *x = a, *const *y = b;
	if ((*x)->expires_us != (*y)->expires_us)
		return (*x)->expires_us < (*y)->expires_us ? -1 : 1;
	return by_id(a, b);
}

enum err pending_sorted(
	const struct money *money, int64_t due_us, const struct event_money_reserved ***ret_pending, size_t *ret_count)
{
	bool all = due_us == INT64_MIN;
	size_t count = 0;
	*ret_pending = NULL;
	*ret_count = 0;
	for (uint32_t i = 0; i < money->count; i++)
		count += all || (money->pending[i].expires_us && money->pending[i].expires_us <= due_us);
	if (count == 0)
		return ERR_OK;
	const struct event_money_reserved **sorted = calloc(count, sizeof *sorted);
	if (!sorted)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < money->count; i++)
		if (all || (money->pending[i].expires_us && money->pending[i].expires_us <= due_us))
			sorted[(*ret_count)++] = &money->pending[i];
	qsort(sorted, count, sizeof *sorted, all ? by_id : by_deadline);
	*ret_pending = sorted;
	return ERR_OK;
}
