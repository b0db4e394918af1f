/* How words of the command line are read: durations and brokers. One thread. */
#include "text.h"

#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"

bool cli_parse_duration(const char *text, int64_t *ret_us)
{
	static const struct {
		const char *unit;
		int64_t us;
	} units[] = {{"ms", 1000}, {"s", CLOCK_US_PER_SECOND}, {"m", CLOCK_US_PER_MINUTE}, {"h", CLOCK_US_PER_HOUR},
		{"d", CLOCK_US_PER_DAY}};
	char *end;
	double amount = strtod(text, &end);
	for (size_t i = 0; end != text && i < sizeof units / sizeof units[0]; i++) {
		double us = amount * (double)units[i].us;
		if (strcmp(end, units[i].unit) == 0 && us >= 1 && us < 4e18) {
			*ret_us = (int64_t)us;
			return true;
		}
	}
	return false;
}

bool cli_parse_broker(const char *text, struct mqtt_broker *broker)
{
	static char host[256];
	const char *colon = strrchr(text, ':');
	char *end;
	size_t skip = *text == '[', length = colon ? (size_t)(colon - text) : 0;
	long port = colon ? strtol(colon + 1, &end, 10) : 0;
	if (length <= 2 * skip || length >= sizeof host || *end || port < 1 || port > 65535 ||
		(skip && text[length - 1] != ']'))
		return false;
	memcpy(host, text + skip, length - 2 * skip);
	host[length - 2 * skip] = 0;
	broker->host = host;
	broker->port = (uint16_t)port;
	return true;
}
