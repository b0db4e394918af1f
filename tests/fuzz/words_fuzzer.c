/* room: cli */
/* What carbonctl reads beside packs and journals: a CSV of plant data, and words of the command line: durations, brokers, faults.
 * Fields lie one behind the other inside their line; a number is one for JSON too; a time is one that is written and read back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../cli/csv.h"
#include "../../cli/plant.h"
#include "../../cli/text.h"
#include "carbond/base/clock.h"
#include "carbond/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_csv(const uint8_t *data, size_t size)
{
	static struct csv csv;
	char *fields[CSV_COLUMNS_MAX], text[CLOCK_TEXT_SIZE];
	struct err_info info = {0};
	long count;
	csv = (struct csv){.file = fmemopen((void *)(uintptr_t)data, size, "r"), .path = "x"};
	assert(csv.file);
	while ((count = csv_read(&csv, fields, &info)) > 0) {
		assert(count <= CSV_COLUMNS_MAX && fields[0] == csv.line);
		for (long i = 0; i < count; i++) {
			int64_t time_us, again_us;
			const char *end = fields[i] + strlen(fields[i]);
			assert(i + 1 == count || end < fields[i + 1]);
			assert(end < csv.line + sizeof csv.line && !strpbrk(fields[i], "\r\n"));
			if (csv_is_number(fields[i])) {
				json_t *number = json_loads(fields[i], JSON_DECODE_ANY, NULL);
				assert(number ? json_is_number(number)
					      : strlen(fields[i]) > 3); /* or beyond a double, an integer */
				json_decref(number);
			}
			if (csv_time(fields[i], &time_us))
				assert(clock_parse(clock_text(time_us, text), &again_us) == ERR_OK &&
					again_us == time_us);
		}
	}
	assert(count == 0 || info.detail[0]);
	fclose(csv.file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char word[256];
	int64_t us;
	struct mqtt_broker broker = {0};
	struct plant_fault fault;
	struct err_info info = {0};
	if (size > 0)
		read_csv(data, size);
	if (size >= sizeof word)
		return 0;
	memcpy(word, data, size);
	word[size] = '\0';
	if (cli_parse_duration(word, &us))
		assert(us > 0);
	if (cli_parse_broker(word, &broker))
		assert(broker.host && *broker.host && broker.port > 0);
	if (plant_fault_parse(word, &fault, &info) == ERR_OK)
		assert(fault.sensor >= 0 && fault.sensor < PLANT_SENSORS && fault.to_us > fault.from_us);
	else
		assert(info.detail[0]);
	return 0;
}
