/* room: mqtt. What mqtt_bench.py needs beside carbond: a publisher of single readings, and the bare QoS 1 subscriber that
 * carbond is compared with, which counts what libmosquitto's own loop delivers and acknowledges, and keeps nothing.
 *
 *	mqtt_bench publish PORT TOPIC COUNT START_US    COUNT messages {"t":…,"v":{"t-NN":…}}, a second apart for each of 20 tags
 *	mqtt_bench subscribe PORT TOPIC COUNT CLIENT    prints the seconds from the first message to the last; COUNT 0: only
 *	                                                makes the session that the broker then keeps messages for
 */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TAGS     20
#define INFLIGHT 1000

static long wanted, done;
static double first_s, last_s;

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void must(int rc, const char *what)
{
	if (rc == MOSQ_ERR_SUCCESS)
		return;
	fprintf(stderr, "mqtt_bench: %s: %s\n", what, mosquitto_strerror(rc));
	exit(1);
}

static void arrived(struct mosquitto *mosquitto, void *unused, const struct mosquitto_message *message)
{
	(void)mosquitto;
	(void)unused;
	(void)message;
	last_s = seconds();
	if (done++ == 0)
		first_s = last_s;
}

static void published(struct mosquitto *mosquitto, void *unused, int mid)
{
	(void)mosquitto;
	(void)unused;
	(void)mid;
	done++;
}

static void subscribed(struct mosquitto *mosquitto, void *unused, int mid, int count, const int *granted)
{
	(void)unused;
	(void)mid;
	(void)count;
	(void)granted;
	if (wanted == 0)
		mosquitto_disconnect(mosquitto);
}

static void subscribe(struct mosquitto *mosquitto, const char *topic)
{
	mosquitto_message_callback_set(mosquitto, arrived);
	mosquitto_subscribe_callback_set(mosquitto, subscribed);
	must(mosquitto_subscribe(mosquitto, NULL, topic, 1), "subscribing");
	while ((wanted == 0 || done < wanted) && mosquitto_loop(mosquitto, 1000, 1) == MOSQ_ERR_SUCCESS)
		continue;
	if (wanted)
		printf("%.6f\n", last_s - first_s);
}

static void publish(struct mosquitto *mosquitto, const char *topic, long long start_us)
{
	char text[96];
	long sent = 0;
	mosquitto_publish_callback_set(mosquitto, published);
	while (done < wanted) {
		for (; sent < wanted && sent - done < INFLIGHT; sent++) {
			int size = snprintf(text, sizeof text, "{\"t\":%lld,\"v\":{\"t-%02ld\":%ld.%02ld}}",
				start_us + sent / TAGS * 1000000, sent % TAGS, 20 + sent % 7, sent % 100);
			must(mosquitto_publish(mosquitto, NULL, topic, size, text, 1, false), "publishing");
		}
		must(mosquitto_loop(mosquitto, 1000, 1), "serving");
	}
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	bool subscribes = strcmp(argv[1], "subscribe") == 0;
	wanted = atol(argv[4]);
	mosquitto_lib_init();
	struct mosquitto *mosquitto = mosquitto_new(subscribes ? argv[5] : NULL, !subscribes, NULL);
	if (!mosquitto)
		return 1;
	mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_int_option(mosquitto, MOSQ_OPT_SEND_MAXIMUM, INFLIGHT);
	mosquitto_int_option(mosquitto, MOSQ_OPT_RECEIVE_MAXIMUM, INFLIGHT);
	must(mosquitto_connect(mosquitto, "127.0.0.1", atoi(argv[2]), 60), "connecting");
	if (subscribes)
		subscribe(mosquitto, argv[3]);
	else
		publish(mosquitto, argv[3], atoll(argv[5]));
	mosquitto_disconnect(mosquitto);
	mosquitto_destroy(mosquitto);
	mosquitto_lib_cleanup();
	return 0;
}
