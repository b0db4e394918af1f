/* Escrows and offtake contracts: what is under way, when each goes on, and what was issued and is not delivered yet. One that has
 * ended leaves its place, whose lists stay there until another takes it, so that an undo finds them again: no command ends one and
 * opens another. */
#ifndef MARKET_CONTRACTS_H
#define MARKET_CONTRACTS_H

#include "carbond/base/map.h"
#include "carbond/market.h"
#include "timers.h"

/* One of the 256 of a command is for the range that a decision cuts in two. */
#define ESCROW_RANGES_MAX (EVENTS_RANGES_MAX - 1)

struct escrow {
	struct event_state_escrow is; /* escrow zero: the place is free */
	struct serial_range *ranges;
	uint32_t range_count, range_capacity;
	uint32_t next_free;
};

struct offtake {
	struct event_state_offtake is; /* contract zero: the place is free */
	struct delivery *rows;
	uint32_t row_count;
	uint32_t next_free;
	uint32_t next, previous; /* of the same seller; 0: none */
};

struct contracts {
	uint64_t seed;
	struct escrow *escrows;
	struct offtake *offtakes; /* [0] of both is not used */
	uint32_t escrow_used, escrow_capacity, escrow_free, escrow_count;
	uint32_t offtake_used, offtake_capacity, offtake_free, offtake_count;
	struct map escrow_map, offtake_map; /* by id */
	struct map seller_map;              /* by seller: its first contract */
	struct event_state_call *calls;     /* in the order in which they came */
	uint32_t call_count, call_capacity;
	int64_t due_us;       /* how far time has come */
	struct timers timers; /* number: 2 × escrow, 2 × contract + 1 */
	/* Those that a hold keeps waiting: not in the state, found again from it. They are looked at again when something is released. */
	uint32_t *waiting;
	uint32_t waiting_count, waiting_capacity;
	bool *waits; /* by number */
	uint32_t waits_capacity;
	bool look;
};

struct market;
struct contracts *market_contracts(struct market *market);

void contracts_free(struct contracts *contracts);
/* Room for one event. */
bool contracts_reserve(struct contracts *contracts);

struct escrow *escrow_find(const struct contracts *contracts, struct id id);   /* NULL: none */
struct offtake *offtake_find(const struct contracts *contracts, struct id id); /* NULL: none */
/* The seller's first contract, or 0; the others follow through `next`. */
uint32_t offtake_first(const struct contracts *contracts, struct id seller);
/* Its first row that is open, or row_count. */
uint32_t offtake_row(const struct offtake *offtake);

/* Changes that can be undone. */
enum err escrow_add(struct contracts *contracts, struct undo *undo, const struct event_state_escrow *is) MUST_CHECK;
void escrow_become(
	struct contracts *contracts, struct undo *undo, struct escrow *escrow, const struct event_state_escrow *is);
enum err escrow_take(struct contracts *contracts, struct undo *undo, struct escrow *escrow,
	const struct record_lists *lists) MUST_CHECK; /* ranges behind those that it has */
void escrow_drop(struct contracts *contracts, struct undo *undo, struct escrow *escrow);
enum err offtake_add(struct contracts *contracts, struct undo *undo, const struct event_state_offtake *is,
	const struct record_lists *lists) MUST_CHECK;
/* `row` becomes `is_row`; NULL: no row changes. */
void offtake_become(struct contracts *contracts, struct undo *undo, struct offtake *offtake,
	const struct event_state_offtake *is, uint32_t row, const struct delivery *is_row);
void offtake_drop(struct contracts *contracts, struct undo *undo, struct offtake *offtake);
/* Sets the calls' item `at` to `call` (kg 0: takes it out), or, at call_count, puts it behind all others. */
void call_set(struct contracts *contracts, struct undo *undo, uint32_t at, const struct event_state_call *call);
void due_set(struct contracts *contracts, struct undo *undo, int64_t due_us);

/* ---- deciding ---- */

struct contract_call {
	struct market *market;
	struct contracts *contracts;
	struct ledger *ledger;
	const struct market_register *batches;
	struct decision *call;
	struct err_info *info;
};

/* escrow.c, offtake.c: when one goes on by itself; and whether it would now, but for a hold. */
int64_t escrow_timer(const struct escrow *escrow);
int64_t offtake_timer(const struct offtake *offtake);
bool escrow_is_due(const struct contracts *contracts, const struct ledger *ledger,
	const struct market_register *batches, const struct escrow *escrow);
bool offtake_is_due(
	const struct contracts *contracts, const struct market_register *batches, const struct offtake *offtake);
enum err escrow_go_on(const struct contract_call *at, struct escrow *escrow) MUST_CHECK;
enum err offtake_go_on(const struct contract_call *at, struct offtake *offtake) MUST_CHECK;
enum err offtake_serve(const struct contract_call *at) MUST_CHECK; /* the first call */

typedef enum err contract_decider(const struct contract_call *at);
contract_decider decide_escrow_open, decide_escrow_fund, decide_escrow_deliver, decide_escrow_attest,
	decide_escrow_refund, decide_escrow_dispute, decide_escrow_decide, decide_escrow_work, decide_offtake_offer,
	decide_offtake_accept, decide_offtake_deliver, decide_offtake_terminate, decide_offtake_dispute,
	decide_offtake_decide;

/* Who decides a dispute: its arbiter, or compliance where it has none; neither side. */
enum err judge_check(const struct contract_call *at, struct id arbiter, struct id one, struct id other,
	uint32_t compliance) MUST_CHECK;

/* ---- making events true ---- */

enum err escrow_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info) MUST_CHECK;
enum err offtake_apply(struct market *market, struct ledger *ledger, struct undo *undo, const struct event *event,
	struct err_info *info) MUST_CHECK;

#endif
