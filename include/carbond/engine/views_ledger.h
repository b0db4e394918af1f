/* engine, the ledger's views: balances and entries of every account, transfers of money, conversions and offers, limits, the house.
 * Made by the projector from the journal; read through the store by any thread that may block. */
#ifndef CARBOND_ENGINE_VIEWS_LEDGER_H
#define CARBOND_ENGINE_VIEWS_LEDGER_H

#include "carbond/base/field.h"
#include "carbond/store.h"

/* The outside world, from which money comes and kilograms are issued: the UUID of 16 × 0xff, for rows have no zero ids. */
extern const struct id ledger_outside;

/* Amounts by state, in the order of enum kg_state: micros of a currency, kilograms of a batch, shares of a pool. */
struct account_amounts {
	int64_t held, listed, escrow, pooled, reserved, buffer, transit, withdrawn, retired, cancelled;
};

/* An account: an organisation and an asset, as text: a currency's code, a batch's number, or "pool-" and a pool's for its shares. */
struct balance_row {
	struct id org_id; /* key … */
	const char *asset;
	struct account_amounts amounts;
	int64_t position;
};
extern const struct field balance_fields[];
extern const struct store_collection balances_collection; /* key (org_id, asset); index "by_asset" (asset, org_id) */

/* What one event changed in one account, and what the account had then. */
struct entry_row {
	struct id org_id; /* key … */
	const char *asset;
	int64_t position; /* of the event */
	int64_t made_at;
	const char *event;                      /* its name */
	struct account_amounts change, amounts; /* `change` has only what changed */
	struct id counterparty_id;              /* the other organisation; absent: none */
	struct id transfer_id;                  /* of transfers and conversions */
	struct id command_id;
	int64_t code, user_data; /* the client's own */
};
extern const struct field entry_fields[];
extern const struct store_collection
	entries_collection; /* indexes "by_time" (org_id, asset, made_at), "by_position" (position, org_id) */

enum transfer_state {
	TRANSFER_MADE, /* at once */
	TRANSFER_PENDING,
	TRANSFER_POSTED, /* in whole or in part */
	TRANSFER_VOIDED,
	TRANSFER_EXPIRED,
	TRANSFER_STATE_COUNT
};
extern const char *const transfer_state_names[];

struct money_transfer_row {
	struct id id;                /* key */
	struct id org_id, to_org_id; /* from, to */
	const char *currency;
	int64_t amount; /* asked for, or what balancing found */
	int64_t paid;   /* in the end */
	int state;      /* enum transfer_state */
	int64_t expires_at, ended_at;
	int64_t code, user_data;
	struct id set_id;  /* of a linked set */
	struct id made_by; /* actor */
	int64_t made_at;
	int64_t position;
};
extern const struct field money_transfer_fields[];
/* indexes "by_org" (org_id, position), "by_receiver" (to_org_id, position), "by_state" (org_id, state, position), "by_set" */
extern const struct store_collection money_transfers_collection;

struct conversion_row {
	struct id id; /* key: the command's id */
	struct id org_id, provider_id;
	const char *from_currency, *to_currency;
	int64_t amount, bought, remainder;
	const char *rate; /* decimal, nine digits after the point */
	const char *source;
	int64_t quoted_at;
	struct id made_by;
	int64_t made_at;
	int64_t position;
};
extern const struct field conversion_fields[];
extern const struct store_collection conversions_collection; /* indexes "by_org" (org_id, position), "by_provider" */

struct rate_row {
	struct id provider_id; /* key … */
	const char *from_currency, *to_currency;
	const char *rate; /* "0.000000000": the offer has ended */
	const char *source;
	int64_t quoted_at, expires_at;
	int64_t position;
};
extern const struct field rate_fields[];
extern const struct store_collection rates_collection; /* index "by_pair" (from_currency, to_currency) */

struct account_limit_row {
	struct id org_id; /* key … */
	const char *currency;
	int64_t own_lowest, own_reserved, own_daily;                /* the organisation's */
	int64_t registry_lowest, registry_reserved, registry_daily; /* the registry's; FIELD_ABSENT: none */
	int64_t position;
};
extern const struct field account_limit_fields[];
extern const struct store_collection account_limits_collection;

/* An auction's or a pool's account: its market, whose currency it has. */
struct market_account_row {
	struct id org_id; /* key: market_account of it */
	int64_t market;
	int64_t position;
};
extern const struct store_collection market_accounts_collection;

struct house_row {
	struct id org_id; /* key */
	int64_t named_at;
	int64_t position;
};
extern const struct field house_fields[];
extern const struct store_collection houses_collection;

#endif
