/* The house and the pending transfers of money, private to the room. */
#ifndef LEDGER_MONEY_H
#define LEDGER_MONEY_H

#include "carbond/base/map.h"
#include "carbond/ledger.h"

struct money {
	struct id house;
	uint64_t seed;
	struct event_money_reserved *pending; /* in no order */
	uint32_t count, capacity;
	struct map map; /* by the transfer's id */
};

struct money *ledger_money(struct ledger *ledger);
const struct money *ledger_money_read(const struct ledger *ledger);

void money_free(struct money *money);
/* Room for one more pending transfer; false without memory. */
bool money_reserve(struct money *money);
/* The pending transfer's number, or MAP_NONE. */
uint32_t pending_find(const struct money *money, struct id transfer);
/* Adds one that is not there; removes one that is. There is room. */
void pending_add(struct money *money, struct undo *undo, const struct event_money_reserved *pending);
void pending_remove(struct money *money, struct undo *undo, uint32_t item);
/* Those that are due, in (deadline, id) order, or, with due_us INT64_MIN, all of them by id; malloc'ed pointers into the
 * table. ERR_NO_MEMORY. */
enum err pending_sorted(const struct money *money, int64_t due_us, const struct event_money_reserved ***ret_pending,
	size_t *ret_count) MUST_CHECK;

#endif
