/* Words of the command line that several commands read alike: durations, brokers. One thread. */
#ifndef CARBOND_CLI_TEXT_H
#define CARBOND_CLI_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "carbond/mqtt.h"

/* "500ms", "60s", "30m", "6h", "10d", also with a fraction ("1.5h"), from 1 µs up; false otherwise. */
bool cli_parse_duration(const char *text, int64_t *ret_us);

/* "host:port" or "[address]:port" into broker->host (kept until the next call) and broker->port; false otherwise. */
bool cli_parse_broker(const char *text, struct mqtt_broker *broker);

#endif
