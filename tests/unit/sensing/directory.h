/* A small directory for tests of decoders: two organisations, three capture units, a few sensors, one retired. Times are
 * judged at NOW. */
#ifndef TEST_DIRECTORY_H
#define TEST_DIRECTORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "parts.h"

#define NOW INT64_C(1763892000000000) /* 2025-11-23T10:00:00Z */
#define DAY CLOCK_US_PER_DAY

static inline struct id number_id(unsigned number)
{
	struct id id = {{0}};
	id.bytes[0] = 0x01;
	id.bytes[6] = 0x70;
	id.bytes[8] = 0x80;
	id.bytes[14] = (uint8_t)(number >> 8);
	id.bytes[15] = (uint8_t)number;
	return id;
}

#define ACME  number_id(1)
#define OTHER number_id(2)
#define UNIT  number_id(11) /* acme/plant-1 */

static inline bool find_test_org(void *context, const char *text, struct id *ret_org)
{
	(void)context;
	if (strcmp(text, "acme") == 0)
		*ret_org = ACME;
	else if (strcmp(text, "other") == 0)
		*ret_org = OTHER;
	else
		return id_parse(text, ret_org) == ERR_OK;
	return true;
}

#define TEST_SENSOR(number, tag_, unit_, low, high)                \
	{                                                          \
		.sensor = {.id = number_id(number),                \
			.org_id = ACME,                            \
			.unit_id = UNIT,                           \
			.tag = (tag_),                             \
			.unit = (unit_),                           \
			.range_low = (low),                        \
			.range_high = (high),                      \
			.sampling_period_us = CLOCK_US_PER_SECOND, \
			.oldest_us = 31 * DAY,                     \
			.newest_us = 5 * CLOCK_US_PER_MINUTE,      \
			.lateness_us = 2 * CLOCK_US_PER_MINUTE},   \
		.point_id = number_id(100)                         \
	}

static inline struct directory *small_directory(void)
{
	const struct picture_unit units[] = {{.id = UNIT, .org_id = ACME, .slug = "plant-1"},
		{.id = number_id(12), .org_id = ACME, .slug = "plant-2"},
		{.id = number_id(13), .org_id = OTHER, .slug = "plant-1"}};
	const struct picture_point points[] = {{.id = number_id(100)}};
	struct picture_sensor sensors[] = {
		TEST_SENSOR(21, "FT-101", "kg/h", 0, 5000),
		TEST_SENSOR(22, "TT-101", "Cel", -50, 200),
		TEST_SENSOR(23, "AT-101", "[ppm]", 0, 1e6),
		TEST_SENSOR(24, "COUNT", "1", -1e300, 1e300),
		TEST_SENSOR(25, "OLD", "kg/h", 0, 5000),
		TEST_SENSOR(26, "urn:dev:ow:10e2073a01080063", "Cel", -50, 200),
		TEST_SENSOR(27, "Z\xc3\xa4hler \xc2\xb5\"x\"", "kW.h", 0, 1e9),
		TEST_SENSOR(28, "%RH", "%", 0, 100),
	};
	sensors[4].retired = true;
	const struct picture picture = {.units = units,
		.unit_count = 3,
		.points = points,
		.point_count = 1,
		.sensors = sensors,
		.sensor_count = sizeof sensors / sizeof *sensors,
		.find_org = find_test_org};
	return directory_make(&picture);
}

#endif
