/* What the ledger knows beside balances, private to the room: the house, pending transfers, limits, closed accounts, offers to
 * convert. */
#ifndef LEDGER_MONEY_H
#define LEDGER_MONEY_H

#include "carbond/base/map.h"
#include "carbond/ledger.h"

/* A pending transfer; its serials are a chain of nodes. */
struct pending {
	struct event_state_pending is; /* without currency: kilograms */
	uint32_t heap_at;              /* place in the heap of deadlines, from 1 on; 0: it never expires */
	uint32_t first, last, ranges;  /* nodes, from 1 on; how many */
};

struct serial_node {
	struct serial_range range;
	uint32_t next; /* 0: none */
};

struct money {
	struct id house;
	uint64_t seed;
	struct pending *pending; /* in no order */
	uint32_t count, capacity;
	struct map map; /* by the transfer's id */
	uint32_t *heap; /* numbers of pending transfers, by (deadline, id) */
	uint32_t heap_count, heap_capacity;
	struct serial_node *nodes;
	uint32_t node_used, node_capacity, node_free, node_free_count;
	struct event_state_limit *limits;
	uint32_t limit_count, limit_capacity;
	struct map limit_map; /* by organisation and currency */
	struct id *closed;
	uint32_t closed_count, closed_capacity;
	struct map closed_map;
	struct event_rate_offered *rates;
	uint32_t rate_count, rate_capacity;
	struct map rate_map; /* by provider and currencies */
};

struct money *ledger_money(struct ledger *ledger);
const struct money *ledger_money_read(const struct ledger *ledger);

void money_free(struct money *money);
/* Room for one more of everything, a pending transfer with 256 ranges; false without memory. */
bool money_reserve(struct money *money);

/* ---- pending transfers (pending.c) ---- */

/* The pending transfer's number, or MAP_NONE. */
uint32_t pending_find(const struct money *money, struct id transfer);
/* Its serials, at most EVENTS_RANGES_MAX; how many. */
size_t pending_ranges(const struct money *money, uint32_t item, struct serial_range *ret_ranges);
/* Adds one that is not there; removes one that is. There is room. */
void pending_add(struct money *money, struct undo *undo, const struct event_state_pending *is,
	const struct serial_range *ranges, size_t range_count);
void pending_remove(struct money *money, struct undo *undo, uint32_t item);
/* The first that is due, in (deadline, id) order, or MAP_NONE. */
uint32_t pending_due(const struct money *money, int64_t due_us);
/* All of them by id; malloc'ed numbers. ERR_NO_MEMORY. */
enum err pending_sorted(const struct money *money, uint32_t **ret_items) MUST_CHECK;

/* ---- money at once and in two phases (money.c) ---- */

enum err amount_check(struct code8 currency, int64_t amount_micros, struct err_info *info) MUST_CHECK;
/* Makes a payment of an event true. */
enum err money_pay(struct ledger *ledger, struct undo *undo, struct code8 currency, int64_t amount_micros,
	struct ledger_place from, struct ledger_place to, struct err_info *info) MUST_CHECK;
/* The pending transfer that a command is about. Strangers are told nothing about it. ERR_NOT_PENDING, ERR_FORBIDDEN. */
enum err pending_get(const struct ledger *ledger, struct id transfer, bool kilograms, struct id org, bool payee_may,
	uint32_t *ret_item, struct err_info *info) MUST_CHECK;

/* ---- kilograms in two phases (kilograms.c) ---- */

enum err decide_kg_post(struct ledger *ledger, struct decision *call, struct err_info *info) MUST_CHECK;
enum err kg_void_emit(
	struct ledger *ledger, struct decision *call, uint32_t item, bool expired, struct err_info *info) MUST_CHECK;
enum err kg_reserved_make(
	struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
/* Ends a pending transfer: the first `given_kg` of its serials go to who gets them, the rest is held again. */
enum err kg_end(struct ledger *ledger, struct undo *undo, const struct event *event, struct id transfer,
	int64_t given_kg, int64_t freed_kg, struct err_info *info) MUST_CHECK;

/* ---- limits and closed accounts (accounts.c) ---- */

/* Money that is to leave what an organisation holds. */
struct outflow {
	struct id org;
	struct code8 currency;
	int64_t amount_micros;
	bool reserves; /* it becomes reserved */
	bool counts;   /* it is part of what leaves on a day */
	int64_t now_us;
};
/* ERR_INSUFFICIENT_FUNDS, ERR_LIMIT_LOWEST, ERR_LIMIT_RESERVED, ERR_LIMIT_DAILY. */
enum err outflow_check(const struct ledger *ledger, const struct outflow *flow, struct err_info *info) MUST_CHECK;
/* The most that may leave; `amount_micros` is not looked at. */
int64_t outflow_most(const struct ledger *ledger, const struct outflow *flow);
/* Counts what has left against the day's limit, where there is one. */
void outflow_note(struct ledger *ledger, struct undo *undo, struct id org, struct code8 currency, int64_t amount_micros,
	int64_t time_us);
enum err open_check(const struct ledger *ledger, struct id org, const char *pointer, struct err_info *info) MUST_CHECK;

enum err decide_account_limit(struct ledger *ledger, struct decision *call, struct err_info *info) MUST_CHECK;
enum err decide_account_close(struct ledger *ledger, struct decision *call, struct err_info *info) MUST_CHECK;
enum err limited_make(
	struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
enum err closed_make(
	struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
enum err limit_restore(struct ledger *ledger, const struct event_state_limit *said, struct err_info *info) MUST_CHECK;

/* ---- conversion (convert.c) ---- */

enum err decide_rate_offer(struct ledger *ledger, struct decision *call, struct err_info *info) MUST_CHECK;
enum err decide_money_convert(struct ledger *ledger, struct decision *call, struct err_info *info) MUST_CHECK;
enum err offered_make(
	struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;
enum err converted_make(
	struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;

#endif
