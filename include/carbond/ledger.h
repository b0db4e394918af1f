/* ledger: double entry over accounts (organisation, asset, shard), and the serial ranges behind every kilogram. One ledger
 * holds the accounts of one shard. Assets of kilograms are batches: their amounts are backed by ranges, and every kilogram
 * is in exactly one state (use lock). Money assets are plain amounts in micros, so the same states hold what is offered or
 * in escrow. PURE; one thread at a time. Every change can be undone by the undo log that it was given. */
#ifndef CARBOND_LEDGER_H
#define CARBOND_LEDGER_H

#include "carbond/events.h"

struct decision;

/* ---- undo: what a linked set of changes did, newest last ---- */

struct undo;

#define UNDO_PAYLOAD_MAX 512

/* NULL without memory. */
struct undo *undo_new(void);
void undo_free(struct undo **undo);
/* Room for `steps` further steps of any size, so that recording cannot fail. ERR_NO_MEMORY. */
enum err undo_reserve(struct undo *undo, size_t steps) MUST_CHECK;
/* Records how to revert a change: revert(owner, payload). The payload is copied. undo NULL (replay): nothing. */
void undo_push(struct undo *undo, void (*revert)(void *owner, const void *payload), void *owner, const void *payload,
	size_t size);
/* Reverts steps, the newest first, until `mark` bytes of the log are left; 0: all. */
void undo_back(struct undo *undo, size_t mark);
/* Another number after each undo_clear and undo_back, never 0: what was recorded whole under it need not be recorded again. */
uint64_t undo_era(const struct undo *undo);
/* Forgets all steps: the changes stand. */
void undo_clear(struct undo *undo);

/* ---- the ledger ---- */

struct ledger;

/* Assets: batch numbers for kilograms; LEDGER_MONEY | the currency's code, big-endian in the low bytes, for money in micros. */
#define LEDGER_MONEY (UINT64_C(1) << 63)
/* LEDGER_SHARES | a pool's number: its shares, plain amounts like money. */
#define LEDGER_SHARES (LEDGER_MONEY | UINT64_C(1) << 62)
/* The asset of a currency, 1 to 7 of [A-Z0-9], first a letter; 0 for any other code. Any thread. */
uint64_t ledger_money_asset(struct code8 currency);
/* Most that one command may name: a million million of any currency. */
#define LEDGER_MICROS_MAX INT64_C(1000000000000000000)

/* `seed` of its hash index; it never shows in a result. NULL without memory. */
struct ledger *ledger_new(uint64_t seed);
void ledger_free(struct ledger **ledger);

/* Room for one event: 256 ranges, a few accounts. To be called before each; the change then cannot fail for memory. */
enum err ledger_reserve(struct ledger *ledger) MUST_CHECK;

/* Creates the next `kg` kilograms of a batch in an account: serials issued … issued + kg − 1; the issuing account (zero
 * organisation) goes as far below zero. ERR_OVERFLOW. kg > 0. */
enum err ledger_issue(struct ledger *ledger, struct undo *undo, uint64_t batch, struct id org, enum kg_state state,
	int64_t kg) MUST_CHECK;

struct ledger_place {
	struct id org;
	enum kg_state state;
};

/* Moves serials from one place to another; the range is split off exactly and joins its neighbours there.
 * ERR_INSUFFICIENT_KG where the giving place does not hold all of them. */
enum err ledger_move(struct ledger *ledger, struct undo *undo, const struct serial_range *range,
	struct ledger_place from, struct ledger_place to) MUST_CHECK;

/* Moves all ranges of a record, `kg` in all and above 0. ERR_INSUFFICIENT_KG, with the number of the range in `info`;
 * ERR_JOURNAL_INVALID where they are not `kg`. */
enum err ledger_move_all(struct ledger *ledger, struct undo *undo, const struct record_lists *lists, int64_t kg,
	struct ledger_place from, struct ledger_place to, struct err_info *info) MUST_CHECK;

/* Says that kilograms come to this account soon: asks memory for its place in the index, then, once that is here, for the account
 * and the end of what it holds. */
enum ledger_prefetch { LEDGER_PREFETCH_NONE, LEDGER_PREFETCH_SLOT, LEDGER_PREFETCH_HELD };
void ledger_prefetch(const struct ledger *ledger, struct id org, uint64_t asset, enum ledger_prefetch what);

/* The ledger is a market shard's: of a batch it has what came in, not all that was issued. Before anything comes. */
void ledger_part(struct ledger *ledger);
/* Kilograms of a record come into such a ledger from outside, or go out: `kg` in all and above 0. ERR_INSUFFICIENT_KG where the place
 * does not hold them; ERR_JOURNAL_INVALID where it holds them already, or they are not `kg`; ERR_OVERFLOW. */
enum err ledger_come(struct ledger *ledger, struct undo *undo, const struct record_lists *lists, int64_t kg,
	struct ledger_place to, struct err_info *info) MUST_CHECK;
enum err ledger_go(struct ledger *ledger, struct undo *undo, const struct record_lists *lists, int64_t kg,
	struct ledger_place from, struct err_info *info) MUST_CHECK;
/* Whether a place holds all of a range. */
bool ledger_holds(const struct ledger *ledger, const struct serial_range *range, struct ledger_place place);

/* The lowest serials of a batch in a place that make `kg`. ERR_INSUFFICIENT_KG; ERR_COMMAND_TOO_LARGE beyond `most`
 * ranges. Changes nothing. */
enum err ledger_pick(const struct ledger *ledger, uint64_t batch, struct ledger_place place, int64_t kg,
	struct serial_range *ret_ranges, size_t most, size_t *ret_count) MUST_CHECK;

/* Moves money; only the zero organisation (the outside world) may go below zero. amount > 0. ERR_INSUFFICIENT_FUNDS,
 * ERR_OVERFLOW. */
enum err ledger_pay(struct ledger *ledger, struct undo *undo, uint64_t asset, int64_t amount_micros,
	struct ledger_place from, struct ledger_place to) MUST_CHECK;

/* The number of an account, which it keeps for ever, so that whoever moves much in one account looks for it once. An empty one is
 * made where there is none; there is room for it (ledger_reserve). */
uint32_t ledger_account(struct ledger *ledger, struct id org, uint64_t asset);
/* As ledger_pick, ledger_move_all and ledger_pay from one state of an account to another; the organisation is not the zero one. */
enum err ledger_pick_of(const struct ledger *ledger, uint32_t account, enum kg_state state, int64_t kg,
	struct serial_range *ret_ranges, size_t most, size_t *ret_count) MUST_CHECK;
enum err ledger_move_within(struct ledger *ledger, struct undo *undo, uint32_t account,
	const struct record_lists *lists, int64_t kg, enum kg_state from, enum kg_state to,
	struct err_info *info) MUST_CHECK;
enum err ledger_pay_within(struct ledger *ledger, struct undo *undo, uint32_t account, int64_t amount_micros,
	enum kg_state from, enum kg_state to) MUST_CHECK;

/* A place's amount: kilograms or micros; 0 for unknown accounts. */
int64_t ledger_amount(const struct ledger *ledger, uint64_t asset, struct ledger_place place);
/* Kilograms of a batch, or of all batches (batch 0), in a state; and issued in all. */
int64_t ledger_state_kg(const struct ledger *ledger, uint64_t batch, enum kg_state state);
int64_t ledger_issued_kg(const struct ledger *ledger, uint64_t batch);

/* The counters of P1, P2 and P3 of the assets changed since the last call; asserts them. After every event. */
void ledger_assert(struct ledger *ledger);
/* P1, P2 and P3 from the ground: ranges of each batch partition [0, issued) (those of a part are disjoint, and as many kilograms),
 * states sum to issued, accounts sum to zero.
 * ERR_JOURNAL_INVALID with the first fault in `info`. */
enum err ledger_check(const struct ledger *ledger, struct err_info *info) MUST_CHECK;

/* All places that are not empty, by (organisation, asset, state), ranges by start, at most EVENTS_RANGES_MAX a call; money
 * has no ranges. The issuing account is not shown. Stops when `each` returns other than ERR_OK. ERR_NO_MEMORY. */
struct ledger_entry {
	struct ledger_place place;
	uint64_t asset;
	int64_t amount; /* money: micros; kilograms: of these ranges */
	const struct serial_range *ranges;
	size_t range_count;
};
enum err ledger_each(const struct ledger *ledger, enum err (*each)(void *context, const struct ledger_entry *entry),
	void *context) MUST_CHECK;

/* Puts an entry of ledger_each back (snapshots). ERR_JOURNAL_INVALID where it overlaps or does not fit. */
enum err ledger_restore(struct ledger *ledger, const struct ledger_entry *entry) MUST_CHECK;

/* ERR_ACCOUNT_NOT_EMPTY where the organisation has anything that is not retired, cancelled or withdrawn; it takes as long as it
 * has accounts. */
enum err ledger_empty_check(const struct ledger *ledger, struct id org, struct err_info *info) MUST_CHECK;

/* ---- money; transfers of money and kilograms in two phases; limits, closed accounts, conversion (docs/LEDGER.md) ---- */

/* The organisation to which fees and the remainders of rounding go; zero until it is named. */
struct id ledger_house(const struct ledger *ledger);

/* A pending transfer, by its id, as it was reserved; without a currency it is of kilograms. NULL: none. Valid until the next
 * change. */
const struct event_state_pending *ledger_pending(const struct ledger *ledger, struct id transfer);
/* The serials of a pending transfer, at most EVENTS_RANGES_MAX; how many ranges. */
size_t ledger_pending_ranges(const struct ledger *ledger, struct id transfer, struct serial_range *ret_ranges);

/* The id of the transfer at a place (0, 1, 2 …) of a linked set: UUIDv8, from SHA-256 ("carbond/linked/1") over the
 * organisation, the set's id and the place. Any thread. */
struct id ledger_linked_id(struct id org, struct id set, uint32_t place);

/* Whether so much of an organisation's held money may leave in a market, or become reserved there, by what it holds and by its limits
 * (those of a day are not asked for). ERR_INSUFFICIENT_FUNDS, ERR_LIMIT_LOWEST, ERR_LIMIT_RESERVED. */
enum err ledger_may_leave(const struct ledger *ledger, struct id org, struct code8 currency, int64_t amount_micros,
	bool reserves, struct err_info *info) MUST_CHECK;
/* The limits of an account of money; false: it has none. */
bool ledger_limit(
	const struct ledger *ledger, struct id org, struct code8 currency, struct event_state_limit *ret_limit);
/* True once an organisation's account is closed: nothing comes in. */
bool ledger_account_closed(const struct ledger *ledger, struct id org);

/* Decides a command of ledger_commands.def but transfer_set. That no account in it is suspended was checked before.
 * ERR_CURRENCY_INVALID, ERR_AMOUNT_INVALID, ERR_INSUFFICIENT_FUNDS, ERR_FORBIDDEN, ERR_DUPLICATE and errors.def 425–444. */
enum err ledger_decide(struct ledger *ledger, struct decision *call, struct err_info *info) MUST_CHECK;

/* Voids the pending transfers that are due at `due_us`, in (deadline, id) order, at most 1,024 and 256 ranges a call.
 * ERR_NO_MEMORY. */
enum err ledger_tick(struct ledger *ledger, struct decision *call, int64_t due_us, struct err_info *info) MUST_CHECK;

/* True for the types that ledger_apply takes: 60–79, 213–215. */
bool ledger_applies(uint16_t type);
/* Makes an event of the ledger true, after ledger_reserve. ERR_JOURNAL_INVALID and the errors of ledger_pay and ledger_move
 * where it cannot be. */
enum err ledger_apply(
	struct ledger *ledger, struct undo *undo, const struct event *event, struct err_info *info) MUST_CHECK;

/* The house, pending transfers, limits, closed accounts and offers, each in the order of its ids, as events 213–215,
 * account_closed and rate_offered; they follow the balances of ledger_each. */
enum err ledger_snapshot(const struct ledger *ledger,
	enum err (*emit)(void *context, struct event *event, struct err_info *info), void *context,
	struct err_info *info) MUST_CHECK;

#endif
