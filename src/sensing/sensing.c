/* The room's life cycle: configuration first, then the shards that depend on it; stopping is the reverse. Main thread. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "buckets.h"
#include "parts.h"
#include "quarantine.h"

const struct store_collection *const sensing_collections[] = {&units_collection, &metering_points_collection,
	&sensors_collection, &calibrations_collection, &overlays_collection, &unit_configurations_collection,
	&quarantine_collection, &reviews_collection, &buckets_collection, &open_buckets_collection, &rollups_collection,
	&pins_collection, &bucket_owners_collection, &reading_streams_collection, &close_requests_collection, NULL};

#define HELPERS_MAX 7 /* threads that share a query of many sensors, beside the one that has it */

static unsigned helpers_wanted(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	return cores <= 1 ? 0 : cores > HELPERS_MAX ? HELPERS_MAX : (unsigned)cores - 1;
}

static void release(struct sensing **sensing)
{
	crew_free(&(*sensing)->helpers);
	quarantine_close(&(*sensing)->quarantine);
	directory_unload(*sensing);
	pthread_mutex_destroy(&(*sensing)->directory_change);
	pthread_mutex_destroy(&(*sensing)->directory_swap);
	free(*sensing);
	*sensing = NULL;
}

enum err sensing_start(const struct sensing_options *options, struct sensing **ret_sensing, struct err_info *info)
{
	struct sensing *sensing = calloc(1, sizeof(*sensing));
	enum err err;

	if (!sensing)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for sensing");
	pthread_mutex_init(&sensing->directory_change, NULL);
	pthread_mutex_init(&sensing->directory_swap, NULL);
	sensing->options = *options;
	snprintf(sensing->node_text, sizeof(sensing->node_text), "%s", options->node);
	sensing->options.node = sensing->node_text;
	sensing->store = options->store;
	atomic_init(&sensing->asked_in_vain_us, INT64_MIN / 2);
	sensing->audit = options->audit;
	err = directory_load(sensing, info);
	if (!err)
		err = quarantine_open(sensing->store, options->quarantine_rows_max, &sensing->quarantine, info);
	if (!err && crew_new("query-helper", helpers_wanted(), &sensing->helpers))
		err = err_set(info, ERR_NO_MEMORY, NULL, "the query helpers do not start");
	if (!err)
		err = buckets_start(sensing, info);
	if (err) {
		release(&sensing);
		return err;
	}
	*ret_sensing = sensing;
	return ERR_OK;
}

void sensing_stop(struct sensing **sensing)
{
	if (!*sensing)
		return;
	buckets_stop(*sensing);
	release(sensing);
}
