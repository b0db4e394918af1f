/* What the files of this room share: the room's one object and who owns each part of it. */
#ifndef SENSING_PARTS_H
#define SENSING_PARTS_H

#include <pthread.h>

#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"
#include "carbond/base/limits.h"
#include "carbond/runtime.h"
#include "carbond/sensing.h"

struct buckets; /* buckets.h: shard threads, open and closed hours, pins */

struct sensing {
	/* constant after sensing_start; any thread */
	struct sensing_options options; /* node points at node_text */
	char node_text[32];
	struct store *store;
	struct audit *audit;

	/* directory.c. Rank: change before swap; neither is held across I/O */
	pthread_mutex_t directory_change; /* held while the next picture is made from the last one */
	pthread_mutex_t directory_swap;   /* held for the pointer and its count */
	struct directory *directory;
	uint64_t directory_changes;       /* pictures swapped in so far; under directory_change */
	_Atomic int64_t asked_in_vain_us; /* monotonic: when others were asked last without learning anything */

	/* buckets.c */
	struct buckets *buckets;

	/* quarantine.c */
	struct quarantine *quarantine;

	/* across.c: queries of many sensors */
	struct crew *helpers;
};

/* ---- directory.c ---- */

/* What a picture is made from; arrays and strings are borrowed for the call. */
struct picture_unit {
	struct id id, org_id;
	const char *slug;
	bool retired;
	int64_t version;
};
struct picture_point {
	struct id id;
	bool retired;
	int64_t version;
};
struct picture_sensor {
	struct directory_sensor sensor; /* index and retired are set when the picture is made */
	struct id point_id;
	bool retired;
	int64_t version;
};
struct picture {
	const struct picture_unit *units;
	size_t unit_count;
	const struct picture_point *points;
	size_t point_count;
	const struct picture_sensor *sensors;
	size_t sensor_count;
	bool (*find_org)(void *context, const char *text, struct id *ret_org); /* as in sensing_options */
	void *find_org_context;
};
/* A directory with one reference (sensing_directory_unref). NULL without memory. */
struct directory *directory_make(const struct picture *picture);

/* Reads all units, points and sensors and makes the first picture. */
enum err directory_load(struct sensing *sensing, struct err_info *info) MUST_CHECK;
void directory_unload(struct sensing *sensing);
/* Reads them again and swaps the picture, where others may have changed any of them. */
enum err directory_reload(struct sensing *sensing, struct err_info *info) MUST_CHECK;
/* After a durable change: takes the row over into the picture, unless a newer version is there, and swaps it. `gone`: the row
 * was deleted. Without memory the old picture stays and ERR_NO_MEMORY is returned: the change is durable, decoding sees it
 * after the next one. */
enum err directory_put_unit(struct sensing *sensing, const struct unit *row, bool gone) MUST_CHECK;
enum err directory_put_point(struct sensing *sensing, const struct metering_point *row, bool gone) MUST_CHECK;
enum err directory_put_sensor(struct sensing *sensing, const struct sensor *row, bool gone) MUST_CHECK;

/* ---- tables.c ---- */

/* One row a unit; its version rises with every change of the unit's points and sensors, so that rules which span several
 * rows (the process graph, one primary sensor, no orphans) hold against concurrent changes without a lock. */
struct unit_configuration {
	struct id unit_id;
	int64_t version;
};
extern const struct store_collection unit_configurations_collection;

/* What can be measured, and the dimension that its unit must have ("" : any). NULL-terminated by name. */
struct quantity {
	const char *name;
	const char *dimension;
	const char *doc;
};
extern const struct quantity quantities[];
const struct quantity *quantity_find(const char *name);

bool country_is_known(const char *code);

/* ---- change.c: one change of configuration = one audit append with its rows ---- */

/* One call of sensing_<noun>_<verb>, tried again from the start when another change of the unit came between its checks
 * and its write. */
struct attempt {
	struct sensing *sensing;
	const struct audit_actor *actor;
	void *row;      /* created or updated: the caller's struct */
	struct id id;   /* deleted */
	int64_t expect; /* If-Match version, FIELD_ABSENT: any */
	struct arena *arena;
	struct err_info *info;
	bool raced;
};

struct configuration_change {
	const char *action, *kind; /* "unit.create", "unit" */
	struct id subject, org;
	const struct store_collection *collection; /* of old_row and new_row */
	const void *old_row, *new_row;             /* new_row NULL: deleted; old_row NULL: created */
	int64_t old_version;                       /* of old_row, the condition of the write */
	const struct unit_configuration *guard;    /* as read before the checks; NULL: none needed */
	bool guard_goes;                           /* the unit is deleted: its guard row too */
	int64_t *position_field;                   /* member of new_row that takes the audit position, or NULL */
};

/* Runs `attempt` until it was not raced, CHANGE_RETRIES times at most; then ERR_BUSY. */
enum err change_run(struct attempt *attempt, enum err (*run)(struct attempt *attempt)) MUST_CHECK;
enum err change_write(struct attempt *attempt, const struct configuration_change *change) MUST_CHECK;

/* ERR_CONDITION_FAILED unless the stored version is the expected one. */
enum err change_expect(const struct attempt *attempt, int64_t version) MUST_CHECK;
/* ERR_READ_ONLY_FIELD for a FIELD_FIXED member that differs. */
enum err change_fixed(
	const struct field *table, const void *old_row, const void *new_row, struct err_info *info) MUST_CHECK;
/* Only characters of `allowed`; the message says which. */
enum err change_characters(
	const char *pointer, const char *text, const char *allowed, const char *said, struct err_info *info) MUST_CHECK;

/* The guard of a unit as stored; version 0 where there is none yet. */
enum err change_guard(const struct attempt *attempt, struct id unit, struct unit_configuration *ret_guard) MUST_CHECK;

/* Rows of other kinds that a check needs, in the arena. ERR_NOT_FOUND names `pointer`. */
enum err unit_get(struct sensing *sensing, struct id id, struct arena *arena, struct unit *ret_row, const char *pointer,
	struct err_info *info) MUST_CHECK;
enum err point_get(struct sensing *sensing, struct id id, struct arena *arena, struct metering_point *ret_row,
	const char *pointer, struct err_info *info) MUST_CHECK;
enum err sensor_get(struct sensing *sensing, struct id id, struct arena *arena, struct sensor *ret_row,
	const char *pointer, struct err_info *info) MUST_CHECK;
/* All points or sensors of a unit. */
enum err unit_points(struct sensing *sensing, const struct unit *unit, struct arena *arena,
	struct metering_point **ret_rows, size_t *ret_count, struct err_info *info) MUST_CHECK;
enum err unit_sensors(struct sensing *sensing, const struct unit *unit, struct arena *arena, struct sensor **ret_rows,
	size_t *ret_count, struct err_info *info) MUST_CHECK;

/* positions in the tables of states */
#define UNIT_PLANNED   0
#define UNIT_RETIRED   3
#define POINT_ACTIVE   0
#define POINT_RETIRED  1
#define SENSOR_ACTIVE  0
#define SENSOR_RETIRED 1

#define DIRECTORY_BYTES_MAX (256u << 20) /* half a million sensors */
#define CHANGE_RETRIES      16           /* attempts against concurrent changes of one unit, then ERR_BUSY */
#define UNIT_POINTS_MAX     500          /* a plant has tens; the path check stays in milliseconds */
#define UNIT_SENSORS_MAX    5000         /* sensors of one unit */

#endif
