/* What the files of store share above the back ends. */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include <stdlib.h>

#include "engine.h"

struct store {
	const struct store_engine *engine;
	void *back; /* the back end's own */
	struct store_tables tables;
	void (*changed)(void *context, const struct store_collection *collection, const void *row); /* or NULL */
	void *context;
	struct seal_key *seal_keys;
	size_t seal_key_count;
};

/* The back end that takes this uri; *ret_place is what follows the scheme. NULL: none does. */
const struct store_engine *store_engine_of(const char *uri, const char **ret_place);

/* Of class STORE_VALUE: batch 1 begins a restore or a move into the store, batch 2 ends it. */
#define STORE_RESTORE_STREAM "restore"

/* As store_open, also where a restore has not been finished. */
enum err store_open_any(
	const struct store_options *options, struct store **ret_store, struct err_info *info) MUST_CHECK;
/* As store_open_any, over a back end that no uri names (tests/sim). */
enum err store_open_over(const struct store_engine *engine, const char *place, const struct store_options *options,
	struct store **ret_store, struct err_info *info) MUST_CHECK;
/* ERR_RESTORE_UNFINISHED where it has not. */
enum err store_check_filled(struct store *store, struct err_info *info) MUST_CHECK;

/* Binds the changes' rows and runs the job. */
enum err store_run_changes(struct store *store, struct store_job *job, const struct store_change *changes, size_t count,
	size_t *ret_refused, struct err_info *info) MUST_CHECK;

#endif
