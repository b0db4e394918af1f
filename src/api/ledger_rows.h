/* How accounts are shown: amounts by state as money or as kilograms. Constant tables and pure functions; any thread. */
#ifndef API_LEDGER_ROWS_H
#define API_LEDGER_ROWS_H

#include "carbond/engine.h"

/* A balance of a currency: its amounts as decimal strings. */
extern const struct field money_balance_fields[];

/* An account as of a position: amounts in the one or in the other. */
struct ledger_balance {
	struct id org_id;
	const char *asset;
	int64_t position;
	int64_t as_of;
	struct account_amounts money, kilograms, shares;
};
extern const struct field ledger_balance_fields[];

/* A line of a statement. */
struct ledger_change {
	struct account_amounts change, balance;
};
struct ledger_line {
	int64_t position, made_at;
	const char *event;
	struct id counterparty_id, transfer_id, command_id;
	int64_t code, user_data;
	struct ledger_change money, kilograms, shares;
};
extern const struct field ledger_line_fields[];

/* Whether an asset is a currency; batches begin with a digit, shares of a pool with a small letter. */
bool ledger_asset_is_money(const char *asset);
/* Without the states that have nothing, but held. */
struct account_amounts ledger_amounts_shown(const struct account_amounts *amounts);
/* An account of which nothing is known yet: nothing held. */
void ledger_balance_set(struct ledger_balance *ret_balance, struct id org, const char *asset,
	const struct account_amounts *amounts, int64_t position);
void ledger_line_set(struct ledger_line *ret_line, const struct entry_row *entry);

#endif
