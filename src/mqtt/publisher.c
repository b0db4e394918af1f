/* The publisher: QoS 1 with a bounded number of messages in flight, each kept until the broker has acknowledged it and sent
 * again after a reconnection. The caller's thread drives it; nothing happens between its calls. */
#include <inttypes.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/sign.h"
#include "carbond/runtime.h"
#include "link.h"

#define INFLIGHT      100
#define INFLIGHT_MAX  65535
#define SERVE_WAIT_US INT64_C(200000)

struct outstanding {
	int mid; /* of the newest sending */
	bool acknowledged;
	char *topic;
	void *payload;
	size_t size;
};

struct mqtt_publisher {
	struct link link;
	/* ring: taken and not yet acknowledged, oldest first */
	struct outstanding *ring;
	size_t first, count, capacity;
	uint64_t acknowledged;
	int64_t retry_us;      /* monotonic: no attempt to connect before */
	int refusal;           /* reason of the newest message that the broker refused, 0: none */
	struct err_info fault; /* of the last attempt to connect */
};

static struct outstanding *at(struct mqtt_publisher *publisher, size_t i)
{
	return &publisher->ring[(publisher->first + i) % publisher->capacity];
}

static void note_published(void *owner, int mid, int reason)
{
	struct mqtt_publisher *publisher = owner;
	for (size_t i = 0; i < publisher->count; i++) {
		struct outstanding *message = at(publisher, i);
		if (message->mid != mid || message->acknowledged)
			continue;
		message->acknowledged = true;
		if (reason >= MQTT_RC_UNSPECIFIED)
			publisher->refusal = reason;
		break;
	}
	while (publisher->count > 0 && at(publisher, 0)->acknowledged) {
		struct outstanding *message = at(publisher, 0);
		free(message->topic);
		free(message->payload);
		*message = (struct outstanding){0};
		publisher->first = (publisher->first + 1) % publisher->capacity;
		publisher->count--;
		publisher->acknowledged++;
		metric_add(METRIC_MQTT_PUBLISHED, 1);
	}
}

static bool never_full(const void *owner)
{
	(void)owner;
	return false;
}

static int send_message(struct mqtt_publisher *publisher, struct outstanding *message)
{
	return mosquitto_publish_v5(publisher->link.mosquitto, &message->mid, message->topic, (int)message->size,
		message->payload, 1, false, NULL);
}

static enum err connect_now(struct mqtt_publisher *publisher, struct err_info *info)
{
	enum err err = link_open(&publisher->link, info);
	for (size_t i = 0; !err && i < publisher->count; i++) {
		struct outstanding *message = at(publisher, i);
		if (!message->acknowledged && send_message(publisher, message) != MOSQ_ERR_SUCCESS)
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory to publish again");
	}
	if (err) {
		link_drop(&publisher->link);
		publisher->retry_us = clock_monotonic_us() + link_backoff_us(&publisher->link);
	}
	return err;
}

/* One round: reads and writes what the connection has, waiting for it until `deadline_us` at most; connects when due. */
static void serve_once(struct mqtt_publisher *publisher, int64_t deadline_us)
{
	struct link *link = &publisher->link;
	int64_t now_us = clock_monotonic_us();
	bool more;
	if (!link->mosquitto && now_us < publisher->retry_us) {
		link_pause(link, (publisher->retry_us < deadline_us ? publisher->retry_us : deadline_us) - now_us);
		return;
	}
	if (!link->mosquitto && connect_now(publisher, &publisher->fault) != ERR_OK)
		return;
	if (now_us < deadline_us && link_write(link)) {
		int64_t turn_us = now_us + SERVE_WAIT_US;
		link_wait(link, true, turn_us < deadline_us ? turn_us : deadline_us);
	}
	uint64_t before = publisher->acknowledged;
	if (mosquitto_socket(link->mosquitto) >= 0 && link_read(link, never_full, &more) && link_write(link) &&
		link_misc(link)) {
		if (publisher->acknowledged > before)
			link_backoff_reset(link);
		return;
	}
	err_set(&publisher->fault, ERR_IO, NULL, "%s:%u: %s", link->broker.host, link->broker.port, link_reason(link));
	link_drop(link);
	publisher->retry_us = clock_monotonic_us() + link_backoff_us(link);
}

static enum err late(const struct mqtt_publisher *publisher, struct err_info *info)
{
	const char *why = publisher->link.mosquitto ? "the broker is slow to acknowledge" : publisher->fault.detail;
	return err_set(info, ERR_DEADLINE, NULL, "%zu messages are not acknowledged: %s", publisher->count, why);
}

/* A message that the broker took notice of and refused is not sent again; the caller hears of it once. */
static enum err take_refusal(struct mqtt_publisher *publisher, struct err_info *info)
{
	int reason = publisher->refusal;
	publisher->refusal = 0;
	if (reason == 0)
		return ERR_OK;
	return err_set(info, ERR_FORBIDDEN, NULL, "the broker refused a message: %s", mosquitto_reason_string(reason));
}

enum err mqtt_publisher_open(
	const struct mqtt_publisher_options *options, struct mqtt_publisher **ret_publisher, struct err_info *info)
{
	struct mqtt_publisher *publisher = calloc(1, sizeof *publisher);
	char made_up[40];
	uint64_t random = 0;
	enum err err;
	*ret_publisher = NULL;
	if (!publisher)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the publisher");
	publisher->link.wake_fd = -1;
	publisher->link.owner = publisher;
	publisher->link.on_published = note_published;
	random_bytes(&random, sizeof random);
	snprintf(made_up, sizeof made_up, "carbonctl-%016" PRIx64, random);
	err = link_prepare(&publisher->link, &options->broker, options->client_id ? options->client_id : made_up, info);
	if (!err && (options->inflight < 0 || options->inflight > INFLIGHT_MAX))
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "messages in flight must be 1..%d", INFLIGHT_MAX);
	if (!err) {
		publisher->capacity = options->inflight ? (size_t)options->inflight : INFLIGHT;
		publisher->ring = calloc(publisher->capacity, sizeof *publisher->ring);
		if (!publisher->ring)
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the publisher");
	}
	if (!err)
		err = connect_now(publisher, info);
	if (err)
		mqtt_publisher_close(&publisher);
	*ret_publisher = publisher;
	return err;
}

enum err mqtt_publish(struct mqtt_publisher *publisher, const char *topic, const void *payload, size_t size,
	int64_t deadline_us, struct err_info *info)
{
	enum err err = take_refusal(publisher, info);
	if (err)
		return err;
	if (mosquitto_pub_topic_check(topic) != MOSQ_ERR_SUCCESS)
		return err_set(info, ERR_INVALID_FIELD, NULL, "'%s' is not a topic to publish to", topic);
	while (publisher->count == publisher->capacity || !publisher->link.mosquitto) {
		if (clock_monotonic_us() >= deadline_us)
			return late(publisher, info);
		serve_once(publisher, deadline_us);
	}
	struct outstanding *message = at(publisher, publisher->count);
	*message = (struct outstanding){.topic = strdup(topic), .payload = malloc(size ? size : 1), .size = size};
	if (message->payload && size)
		memcpy(message->payload, payload, size);
	int rc = message->topic && message->payload ? send_message(publisher, message) : MOSQ_ERR_NOMEM;
	if (rc != MOSQ_ERR_SUCCESS) {
		free(message->topic);
		free(message->payload);
		*message = (struct outstanding){0};
		return err_set(info,
			rc == MOSQ_ERR_OVERSIZE_PACKET || rc == MOSQ_ERR_PAYLOAD_SIZE ? ERR_TOO_LARGE : ERR_NO_MEMORY,
			NULL, "the message of %zu bytes: %s", size, mosquitto_strerror(rc));
	}
	publisher->count++;
	serve_once(publisher, 0);
	return ERR_OK;
}

enum err mqtt_publisher_flush(struct mqtt_publisher *publisher, int64_t deadline_us, struct err_info *info)
{
	serve_once(publisher, 0);
	while (publisher->count > 0) {
		if (clock_monotonic_us() >= deadline_us)
			return late(publisher, info);
		serve_once(publisher, deadline_us);
	}
	return take_refusal(publisher, info);
}

void mqtt_publisher_serve(struct mqtt_publisher *publisher, int64_t deadline_us)
{
	do {
		serve_once(publisher, deadline_us);
	} while (clock_monotonic_us() < deadline_us);
}

uint64_t mqtt_publisher_acknowledged(const struct mqtt_publisher *publisher)
{
	return publisher->acknowledged;
}

size_t mqtt_publisher_outstanding(const struct mqtt_publisher *publisher)
{
	return publisher->count;
}

void mqtt_publisher_close(struct mqtt_publisher **publisher)
{
	struct mqtt_publisher *mine = *publisher;
	if (!mine)
		return;
	link_close(&mine->link);
	for (size_t i = 0; i < mine->count; i++) {
		free(at(mine, i)->topic);
		free(at(mine, i)->payload);
	}
	free(mine->ring);
	link_dispose(&mine->link);
	free(mine);
	*publisher = NULL;
}
