/* Registers over REST what a plant needs before it can send: unit, metering points, sensors and calibrations. What is there
 * already is left as it is, so every call is repeatable. Used by simulate and replay; each returns an enum cli_exit, having
 * said on standard error what was refused. One thread. */
#ifndef CARBOND_CLI_PROVISION_H
#define CARBOND_CLI_PROVISION_H

#include <stdint.h>

#include "carbond/base/json.h"

struct provision {
	struct arena *arena;
	const char *org_id;  /* text; found by slug */
	const char *unit_id; /* text */
	json_t *points;      /* code → id of what is there */
	json_t *sensors;     /* tag → id of what is there */
};

/* Finds the organisation by slug and the unit by its slug, or creates the unit of `unit` (members as in POST /v1/units, "slug"
 * among them), and learns which points and sensors there are. */
int provision_unit(struct provision *provision, struct arena *arena, const char *organisation, json_t *unit);

/* Creates the metering point or sensor of `row` (members as in the API but unit_id; a sensor names its point's code as
 * "point") where its code or tag is not there yet. Takes the reference. `*ret_id` (may be NULL): its id when it was created
 * now, else NULL. */
int provision_point(struct provision *provision, json_t *row);
int provision_sensor(struct provision *provision, json_t *row, const char **ret_id);

/* Puts a unit that is still planned into operation. */
int provision_operate(struct provision *provision);

/* All of the simulated plant of plant.c; its instruments' certificates are valid from a year before `from_us`. */
int provision_plant(const char *organisation, const char *unit, const char *code, const char *country, const char *name,
	int64_t from_us);

#endif
