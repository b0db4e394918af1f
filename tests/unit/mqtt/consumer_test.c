/* The consumer against a real mosquitto: "durable before acknowledged" (a crash before the commit, a refused commit, a lost
 * broker lose nothing), back-pressure, a taken session, shared subscriptions, passwords and TLS. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "broker.h"
#include "carbond/base/sign.h"

#define TOPIC "carbond/v1/acme/plant-1/readings"

static const char *const filters[] = {"carbond/v1/+/+/readings", NULL};

/* What a consumer received: which numbers, how often, in which batches. */
struct received {
	pthread_mutex_t lock;
	int times[20000];
	int distinct, total, batches, largest, offers;
	enum err answers[64]; /* of the first offers; then ERR_OK */
	atomic_int states[8];
	bool hold; /* commit blocks while set */
	int first_times_of[20000];
	int order_faults, last;
};

static void received_init(struct received *received)
{
	memset(received, 0, sizeof *received);
	pthread_mutex_init(&received->lock, NULL);
	received->last = -1;
}

static enum err take(void *context, const struct mqtt_message *messages, size_t count)
{
	struct received *received = context;
	pthread_mutex_lock(&received->lock);
	while (received->hold) {
		pthread_mutex_unlock(&received->lock);
		poll(NULL, 0, 5);
		pthread_mutex_lock(&received->lock);
	}
	enum err err = received->offers < 64 ? received->answers[received->offers] : ERR_OK;
	received->offers++;
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		int number = atoi(messages[i].payload);
		assert_string_equal(messages[i].topic, TOPIC);
		if (received->times[number]++ == 0) {
			received->distinct++;
			received->order_faults += number < received->last;
			received->last = number;
		}
		received->total++;
	}
	received->batches += err == ERR_OK;
	if ((int)count > received->largest)
		received->largest = (int)count;
	pthread_mutex_unlock(&received->lock);
	return err;
}

static void note_state(void *context, enum mqtt_state state, const char *detail)
{
	struct received *received = context;
	assert_non_null(detail);
	atomic_fetch_add(&received->states[state], 1);
}

static struct mqtt_consumer *start(const struct broker *broker, const char *client_id, struct received *received)
{
	struct mqtt_consumer_options options = {.broker = broker_address(broker),
		.client_id = client_id,
		.topics = filters,
		.commit = take,
		.changed = note_state,
		.context = received};
	struct mqtt_consumer *consumer = NULL;
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, NULL), ERR_OK);
	return consumer;
}

static bool is_connected(void *context)
{
	return mqtt_consumer_state(context, NULL, 0) == MQTT_CONNECTED;
}

struct wanted {
	struct received *received;
	int distinct;
};

static bool has_all(void *context)
{
	struct wanted *wanted = context;
	pthread_mutex_lock(&wanted->received->lock);
	bool all = wanted->received->distinct >= wanted->distinct;
	pthread_mutex_unlock(&wanted->received->lock);
	return all;
}

static void await(struct received *received, int distinct)
{
	struct wanted wanted = {received, distinct};
	wait_until(has_all, &wanted);
}

static struct mqtt_publisher *publisher_new(const struct broker *broker)
{
	struct mqtt_publisher_options options = {.broker = broker_address(broker)};
	struct mqtt_publisher *publisher = NULL;
	struct err_info info = {0};
	assert_int_equal(mqtt_publisher_open(&options, &publisher, &info), ERR_OK);
	return publisher;
}

static void publish(struct mqtt_publisher *publisher, int from, int to)
{
	for (int i = from; i < to; i++) {
		char text[16];
		int size = snprintf(text, sizeof text, "%d", i);
		assert_int_equal(
			mqtt_publish(publisher, TOPIC, text, (size_t)size, clock_monotonic_us() + BROKER_WAIT_US, NULL),
			ERR_OK);
	}
	assert_int_equal(mqtt_publisher_flush(publisher, clock_monotonic_us() + BROKER_WAIT_US, NULL), ERR_OK);
}

/* Makes the session, so that the broker keeps what is published while nobody is there. */
static void make_session(const struct broker *broker, const char *client_id)
{
	struct received *received = malloc(sizeof *received);
	received_init(received);
	struct mqtt_consumer *consumer = start(broker, client_id, received);
	wait_until(is_connected, consumer);
	mqtt_consumer_stop(&consumer);
	free(received);
}

static void delivers_in_order_and_keeps_the_session(void **state)
{
	struct broker broker;
	struct received *received = malloc(sizeof *received);
	(void)state;
	received_init(received);
	broker_new(&broker, NULL);
	broker_start(&broker);
	make_session(&broker, "carbond-t-0");
	struct mqtt_publisher *publisher = publisher_new(&broker);
	publish(publisher, 0, 3000); /* more than the default 1,000 queued and 20 in flight */
	struct mqtt_consumer *consumer = start(&broker, "carbond-t-0", received);
	await(received, 3000);
	publish(publisher, 3000, 3500);
	await(received, 3500);
	mqtt_consumer_stop(&consumer);
	assert_null(consumer);
	assert_int_equal(received->total, 3500);
	assert_int_equal(received->order_faults, 0);
	assert_true(received->largest <= 1000);
	assert_true(received->largest > 1);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
	free(received);
}

static enum err die(void *context, const struct mqtt_message *messages, size_t count)
{
	(void)context, (void)messages, (void)count;
	_exit(77);
}

/* A crash at the last instruction before the messages are durable. */
static void crash_before_commit_redelivers_all(void **state)
{
	struct broker broker;
	struct received *received = malloc(sizeof *received);
	int status = 0;
	(void)state;
	received_init(received);
	broker_new(&broker, NULL);
	broker_start(&broker);
	make_session(&broker, "carbond-t-0");
	struct mqtt_publisher *publisher = publisher_new(&broker);
	publish(publisher, 0, 40);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct mqtt_consumer_options options = {.broker = broker_address(&broker),
				.client_id = "carbond-t-0",
				.topics = filters,
				.commit = die};
			struct mqtt_consumer *consumer = NULL;
			if (mqtt_consumer_start(&options, "mqtt-0", &consumer, NULL) != ERR_OK)
				_exit(1);
			for (;;)
				pause();
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 77);
	}
	struct mqtt_consumer *consumer = start(&broker, "carbond-t-0", received);
	await(received, 40);
	mqtt_consumer_stop(&consumer);
	assert_int_equal(received->distinct, 40);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
	free(received);
}

/* ---- the wire: a broker that the test plays itself sees when the PUBACK leaves ---- */

static void read_exactly(int fd, uint8_t *to, size_t size)
{
	while (size > 0) {
		ssize_t got = read(fd, to, size);
		assert_true(got > 0);
		to += got;
		size -= (size_t)got;
	}
}

/* One packet with a remaining length below 16,384; returns its type byte. */
static uint8_t read_packet(int fd, uint8_t body[16384], size_t *ret_size)
{
	uint8_t type, byte;
	size_t size = 0;
	read_exactly(fd, &type, 1);
	for (unsigned shift = 0;; shift += 7) {
		read_exactly(fd, &byte, 1);
		size |= (size_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	assert_true(size < 16384);
	read_exactly(fd, body, size);
	*ret_size = size;
	return type;
}

static void write_all(int fd, const uint8_t *data, size_t size)
{
	assert_int_equal(write(fd, data, size), (ssize_t)size);
}

static void send_publish(int fd, uint16_t mid, const char *payload)
{
	uint8_t packet[256];
	size_t topic = strlen(TOPIC), size = strlen(payload), at = 0;
	packet[at++] = 0x32; /* PUBLISH, QoS 1 */
	packet[at++] = (uint8_t)(2 + topic + 2 + 1 + size);
	packet[at++] = 0;
	packet[at++] = (uint8_t)topic;
	memcpy(packet + at, TOPIC, topic);
	at += topic;
	packet[at++] = (uint8_t)(mid >> 8);
	packet[at++] = (uint8_t)mid;
	packet[at++] = 0; /* no properties */
	memcpy(packet + at, payload, size);
	write_all(fd, packet, at + size);
}

static int listen_on(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ret_port = broker_free_port();
	address.sin_port = htons(*ret_port);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* Accepts the consumer: the knock (a connection that says nothing), then CONNECT and SUBSCRIBE. */
static int accept_consumer(int listener, uint8_t body[16384], size_t *ret_connect_size)
{
	static const uint8_t connack[] = {0x20, 0x03, 0x00, 0x00, 0x00};
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		uint8_t peek;
		assert_true(fd >= 0);
		if (recv(fd, &peek, 1, MSG_PEEK) <= 0) {
			close(fd);
			continue;
		}
		assert_int_equal(read_packet(fd, body, ret_connect_size), 0x10);
		write_all(fd, connack, sizeof connack);
		return fd;
	}
}

/* The filter, then the session's own topic and the retained message there. */
static void answer_subscribe(int fd)
{
	uint8_t body[16384];
	size_t size;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read_packet(fd, body, &size), 0x82);
		const uint8_t suback[] = {0x90, 0x04, body[0], body[1], 0x00, 0x01};
		write_all(fd, suback, sizeof suback);
	}
	assert_int_equal(read_packet(fd, body, &size), 0x31);
}

static bool offered(void *context)
{
	struct received *received = context;
	pthread_mutex_lock(&received->lock);
	bool some = received->offers > 0;
	pthread_mutex_unlock(&received->lock);
	return some;
}

static bool is_holding(void *context)
{
	return mqtt_consumer_state(context, NULL, 0) == MQTT_HOLDING;
}

/* Nothing may be on the wire while the commit has not succeeded; right afterwards all PUBACKs are. */
static void puback_leaves_only_after_the_commit(void **state)
{
	struct received *received = malloc(sizeof *received);
	uint8_t body[16384];
	uint16_t port;
	size_t size;
	(void)state;
	received_init(received);
	received->answers[0] = ERR_NO_SPACE;
	received->answers[1] = ERR_BUSY;
	received->answers[2] = ERR_NO_SPACE;
	int listener = listen_on(&port);
	struct broker broker = {.port = port};
	struct mqtt_consumer *consumer = start(&broker, "carbond-t-0", received);
	int fd = accept_consumer(listener, body, &size);
	answer_subscribe(fd);
	wait_until(is_connected, consumer);
	pthread_mutex_lock(&received->lock);
	send_publish(fd, 1, "1");
	send_publish(fd, 2, "2");
	pthread_mutex_unlock(&received->lock);
	wait_until(is_holding, consumer);
	send_publish(fd, 3, "3"); /* back-pressure: it is not read while the batch is held */
	struct pollfd silent = {.fd = fd, .events = POLLIN};
	pthread_mutex_lock(&received->lock);
	if (received->offers < 4)
		assert_int_equal(poll(&silent, 1, 0), 0);
	pthread_mutex_unlock(&received->lock);
	for (int mid = 1; mid <= 3; mid++) {
		assert_int_equal(read_packet(fd, body, &size), 0x40);
		assert_int_equal(body[1], mid);
		pthread_mutex_lock(&received->lock);
		assert_true(received->times[mid] > 0); /* durable before acknowledged */
		pthread_mutex_unlock(&received->lock);
	}
	assert_true(received->offers >= 4);
	mqtt_consumer_stop(&consumer);
	close(fd);
	close(listener);
	free(received);
}

/* A commit that goes on failing: the connection is dropped without a PUBACK, and the broker is asked again. */
static void a_batch_that_stays_refused_is_given_back(void **state)
{
	struct received *received = malloc(sizeof *received);
	uint8_t body[16384];
	uint16_t port;
	size_t size;
	(void)state;
	received_init(received);
	for (int i = 0; i < 64; i++)
		received->answers[i] = ERR_NO_SPACE;
	int listener = listen_on(&port);
	struct mqtt_consumer_options options = {
		.broker = {.host = "127.0.0.1", .port = port, .keepalive_s = 5}, /* so 2.5 s are all the patience */
		.client_id = "carbond-t-0",
		.topics = filters,
		.commit = take,
		.changed = note_state,
		.context = received};
	struct mqtt_consumer *consumer = NULL;
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, NULL), ERR_OK);
	int fd = accept_consumer(listener, body, &size);
	answer_subscribe(fd);
	send_publish(fd, 1, "1");
	/* nothing but the end (or keep-alive, before the message was read) may come: no PUBACK */
	uint8_t first;
	ssize_t got;
	while ((got = recv(fd, &first, 1, 0)) > 0)
		assert_int_not_equal(first & 0xf0, 0x40);
	close(fd);
	fd = accept_consumer(listener, body, &size);
	answer_subscribe(fd);
	pthread_mutex_lock(&received->lock);
	memset(received->answers, 0, sizeof received->answers); /* ERR_OK */
	pthread_mutex_unlock(&received->lock);
	send_publish(fd, 1, "1");
	uint8_t type;
	while ((type = read_packet(fd, body, &size)) == 0xc0)
		write_all(fd, (const uint8_t[]){0xd0, 0x00}, 2);
	assert_int_equal(type, 0x40);
	mqtt_consumer_stop(&consumer);
	assert_int_equal(received->distinct, 1);
	close(fd);
	close(listener);
	free(received);
}

/* CONNECT: clean start off, session expiry never, receive maximum, keep-alive. */
static void asks_for_a_session_that_lasts(void **state)
{
	struct received *received = malloc(sizeof *received);
	uint8_t body[16384];
	uint16_t port;
	size_t size;
	bool expiry = false, maximum = false;
	(void)state;
	received_init(received);
	int listener = listen_on(&port);
	struct mqtt_consumer_options options = {.broker = {.host = "127.0.0.1", .port = port},
		.client_id = "carbond-t-0",
		.topics = filters,
		.inflight = 500,
		.commit = take,
		.context = received};
	struct mqtt_consumer *consumer = NULL;
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, NULL), ERR_OK);
	int fd = accept_consumer(listener, body, &size);
	assert_int_equal(body[6], 5);     /* MQTT 5 */
	assert_int_equal(body[7] & 2, 0); /* clean start off */
	for (size_t at = 11; at + 5 <= 11 + (size_t)body[10];) {
		if (body[at] == 0x11) {
			expiry = memcmp(body + at + 1, "\xff\xff\xff\xff", 4) == 0;
			at += 5;
		} else if (body[at] == 0x21) {
			maximum = body[at + 1] == 500 >> 8 && body[at + 2] == (500 & 0xff);
			at += 3;
		} else {
			break;
		}
	}
	for (size_t at = 11; at + 3 <= 11 + (size_t)body[10]; at++)
		maximum |= body[at] == 0x21 && body[at + 1] == 500 >> 8 && body[at + 2] == (500 & 0xff);
	assert_true(expiry);
	assert_true(maximum);
	mqtt_consumer_stop(&consumer);
	close(fd);
	close(listener);
	free(received);
}

/* ---- the broker goes and comes ---- */

static void reconnects_after_a_broker_restart(void **state)
{
	struct broker broker;
	struct received *received = malloc(sizeof *received);
	(void)state;
	received_init(received);
	broker_new(&broker, NULL);
	broker_start(&broker);
	struct mqtt_consumer *consumer = start(&broker, "carbond-t-0", received);
	wait_until(is_connected, consumer);
	struct mqtt_publisher *publisher = publisher_new(&broker);
	for (int i = 0; i < 3; i++) {
		publish(publisher, i * 100, i * 100 + 100);
		broker_stop(&broker); /* SIGTERM: it saves its sessions */
		broker_start(&broker);
	}
	publish(publisher, 300, 400);
	await(received, 400);
	mqtt_consumer_stop(&consumer);
	assert_int_equal(received->distinct, 400);
	assert_true(atomic_load(&received->states[MQTT_CONNECTING]) > 0);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
	free(received);
}

static bool is_taken(void *context)
{
	return mqtt_consumer_state(context, NULL, 0) == MQTT_TAKEN;
}

/* Two daemons with one node's name: the first one gives up, there is no war for the session. */
static void a_taken_session_is_not_fought_for(void **state)
{
	struct broker broker;
	struct received *first = malloc(sizeof *first), *second = malloc(sizeof *second);
	(void)state;
	received_init(first);
	received_init(second);
	broker_new(&broker, NULL);
	broker_start(&broker);
	struct mqtt_consumer *one = start(&broker, "carbond-t-0", first);
	wait_until(is_connected, one);
	struct mqtt_consumer *two = start(&broker, "carbond-t-0", second);
	wait_until(is_taken, one);
	wait_until(is_connected, two);
	struct mqtt_publisher *publisher = publisher_new(&broker);
	publish(publisher, 0, 50);
	await(second, 50);
	assert_int_equal(mqtt_consumer_state(one, NULL, 0), MQTT_TAKEN);
	assert_int_equal(mqtt_consumer_state(two, NULL, 0), MQTT_CONNECTED);
	/* the first one came back once, saw whose the session is now, and left it */
	assert_true(atomic_load(&first->states[MQTT_CONNECTED]) <= 2);
	assert_true(atomic_load(&second->states[MQTT_CONNECTED]) <= 2);
	mqtt_consumer_stop(&one);
	mqtt_consumer_stop(&two);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
	free(first);
	free(second);
}

static bool shared_out(void *context)
{
	struct received **both = context;
	pthread_mutex_lock(&both[0]->lock);
	pthread_mutex_lock(&both[1]->lock);
	bool all = both[0]->total + both[1]->total >= 400;
	pthread_mutex_unlock(&both[1]->lock);
	pthread_mutex_unlock(&both[0]->lock);
	return all;
}

static void a_share_group_divides_the_load(void **state)
{
	struct broker broker;
	struct received *both[2];
	struct mqtt_consumer *consumers[2] = {NULL, NULL};
	(void)state;
	broker_new(&broker, NULL);
	broker_start(&broker);
	for (int i = 0; i < 2; i++) {
		both[i] = malloc(sizeof *both[i]);
		received_init(both[i]);
		struct mqtt_consumer_options options = {.broker = broker_address(&broker),
			.client_id = i ? "carbond-b-0" : "carbond-a-0",
			.topics = filters,
			.share_group = "carbond",
			.commit = take,
			.context = both[i]};
		assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumers[i], NULL), ERR_OK);
		wait_until(is_connected, consumers[i]);
	}
	struct mqtt_publisher *publisher = publisher_new(&broker);
	publish(publisher, 0, 400);
	wait_until(shared_out, both);
	for (int i = 0; i < 2; i++)
		mqtt_consumer_stop(&consumers[i]);
	assert_int_equal(both[0]->total + both[1]->total, 400);
	assert_true(both[0]->total > 0 && both[1]->total > 0);
	for (int i = 0; i < 400; i++)
		assert_int_equal(both[0]->times[i] + both[1]->times[i], 1);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
	free(both[0]);
	free(both[1]);
}

static bool is_failed(void *context)
{
	return mqtt_consumer_state(context, NULL, 0) == MQTT_FAILED;
}

static void an_error_that_does_not_pass_stops_the_consumer(void **state)
{
	struct broker broker;
	struct received *received = malloc(sizeof *received);
	(void)state;
	received_init(received);
	received->answers[0] = ERR_STORE_LATCHED;
	broker_new(&broker, NULL);
	broker_start(&broker);
	make_session(&broker, "carbond-t-0");
	struct mqtt_publisher *publisher = publisher_new(&broker);
	publish(publisher, 0, 5);
	struct mqtt_consumer *consumer = start(&broker, "carbond-t-0", received);
	wait_until(is_failed, consumer);
	mqtt_consumer_stop(&consumer);
	assert_true(offered(received));
	assert_int_equal(received->distinct, 0);
	/* nothing was acknowledged: the next one gets it all */
	received_init(received);
	consumer = start(&broker, "carbond-t-0", received);
	await(received, 5);
	mqtt_consumer_stop(&consumer);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
	free(received);
}

/* ---- who may connect ---- */

static void run_command(const char *format, ...)
{
	char command[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	assert_int_equal(system(command), 0);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void needs_the_password(void **state)
{
	struct broker broker;
	struct received *received = malloc(sizeof *received);
	char passwords[128], good[128], bad[128], extra[256];
	(void)state;
	received_init(received);
	broker_new(&broker, NULL);
	snprintf(passwords, sizeof passwords, "%s/passwords", broker.folder);
	snprintf(good, sizeof good, "%s/good", broker.folder);
	snprintf(bad, sizeof bad, "%s/bad", broker.folder);
	snprintf(extra, sizeof extra, "allow_anonymous false\npassword_file %s\n", passwords);
	snprintf(broker.extra, sizeof broker.extra, "%s", extra);
	run_command("mosquitto_passwd -b -c %s gateway s3cret; chmod 644 %s", passwords, passwords);
	write_file(good, "s3cret\n");
	write_file(bad, "wrong\n");
	broker_start(&broker);
	struct mqtt_publisher_options options = {.broker = broker_address(&broker)};
	struct mqtt_publisher *publisher = NULL;
	struct err_info info = {0};
	assert_int_equal(mqtt_publisher_open(&options, &publisher, &info), ERR_UNAUTHENTICATED);
	assert_null(publisher);
	options.broker.username = "gateway";
	options.broker.password_file = bad;
	assert_int_equal(mqtt_publisher_open(&options, &publisher, &info), ERR_UNAUTHENTICATED);
	assert_null(strstr(info.detail, "wrong"));
	options.broker.password_file = good;
	assert_int_equal(mqtt_publisher_open(&options, &publisher, &info), ERR_OK);
	struct mqtt_consumer_options consumer_options = {.broker = options.broker,
		.client_id = "carbond-t-0",
		.topics = filters,
		.commit = take,
		.context = received};
	struct mqtt_consumer *consumer = NULL;
	assert_int_equal(mqtt_consumer_start(&consumer_options, "mqtt-0", &consumer, NULL), ERR_OK);
	wait_until(is_connected, consumer);
	publish(publisher, 0, 10);
	await(received, 10);
	mqtt_consumer_stop(&consumer);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
	free(received);
}

static void make_certificate(const char *folder, const char *name, const char *subject, const char *issuer)
{
	run_command("cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s.key -out "
		    "%s.csr -subj "
		    "/CN=%s 2>/dev/null && openssl x509 -req -in %s.csr %s%s%s -days 2 -out %s.crt "
		    "-extfile /dev/stdin 2>/dev/null <<END\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:%s\nEND\n",
		folder, name, name, subject, name, issuer ? "-CAcreateserial -CA " : "-signkey ",
		issuer ? issuer : name, issuer ? ".crt -CAkey ca.key" : ".key", name, issuer ? "FALSE" : "TRUE");
}

static void speaks_tls_to_the_right_broker_alone(void **state)
{
	struct broker broker;
	struct received *received = malloc(sizeof *received);
	char ca[128], other[128];
	(void)state;
	received_init(received);
	broker_new(&broker, NULL);
	make_certificate(broker.folder, "ca", "test-ca", NULL);
	make_certificate(broker.folder, "server", "localhost", "ca");
	make_certificate(broker.folder, "other", "other-ca", NULL);
	snprintf(ca, sizeof ca, "%s/ca.crt", broker.folder);
	snprintf(other, sizeof other, "%s/other.crt", broker.folder);
	snprintf(broker.extra, sizeof broker.extra, "certfile %s/server.crt\nkeyfile %s/server.key\n", broker.folder,
		broker.folder);
	broker_start(&broker);
	struct mqtt_publisher_options options = {.broker = broker_address(&broker)};
	struct mqtt_publisher *publisher = NULL;
	struct err_info info = {0};
	options.broker.tls_ca = other;
	assert_int_equal(mqtt_publisher_open(&options, &publisher, &info), ERR_IO);
	options.broker.tls_ca = ca;
	assert_int_equal(mqtt_publisher_open(&options, &publisher, &info), ERR_OK);
	struct mqtt_consumer_options consumer_options = {.broker = options.broker,
		.client_id = "carbond-t-0",
		.topics = filters,
		.batch_messages = 7, /* many batches: what TLS has decrypted already must not be forgotten */
		.commit = take,
		.context = received};
	struct mqtt_consumer *consumer = NULL;
	assert_int_equal(mqtt_consumer_start(&consumer_options, "mqtt-0", &consumer, NULL), ERR_OK);
	wait_until(is_connected, consumer);
	publish(publisher, 0, 2000);
	await(received, 2000);
	mqtt_consumer_stop(&consumer);
	assert_int_equal(received->order_faults, 0);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
	free(received);
}

/* ---- options ---- */

static void refuses_options_that_cannot_work(void **state)
{
	static const char *const bad_filter[] = {"carbond/#/readings", NULL};
	struct mqtt_consumer_options good = {.broker = {.host = "127.0.0.1", .port = 1883},
		.client_id = "carbond-t-0",
		.topics = filters,
		.commit = take};
	struct mqtt_consumer *consumer = NULL;
	struct err_info info;
	(void)state;
	struct mqtt_consumer_options options = good;
	options.topics = bad_filter;
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, &info), ERR_INVALID_CONFIG);
	options = good;
	options.client_id = "";
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, &info), ERR_INVALID_CONFIG);
	options = good;
	options.share_group = "a/b";
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, &info), ERR_INVALID_CONFIG);
	options = good;
	options.broker.port = 0;
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, &info), ERR_INVALID_CONFIG);
	options = good;
	options.broker.tls_ca = "/nonexistent.crt";
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, &info), ERR_INVALID_CONFIG);
	options = good;
	options.broker.password_file = "/dev/null";
	assert_int_equal(mqtt_consumer_start(&options, "mqtt-0", &consumer, &info), ERR_INVALID_CONFIG);
	assert_null(consumer);
	struct mqtt_publisher *publisher = NULL;
	struct mqtt_publisher_options nobody = {.broker = {.host = "127.0.0.1", .port = broker_free_port()}};
	assert_int_equal(mqtt_publisher_open(&nobody, &publisher, &info), ERR_IO);
	assert_null(publisher);
}

/* ---- the publisher ---- */

static void the_publisher_says_what_is_not_acknowledged(void **state)
{
	struct broker broker;
	struct err_info info = {0};
	(void)state;
	broker_new(&broker, NULL);
	broker_start(&broker);
	struct mqtt_publisher_options options = {.broker = broker_address(&broker), .inflight = 3};
	struct mqtt_publisher *publisher = NULL;
	assert_int_equal(mqtt_publisher_open(&options, &publisher, NULL), ERR_OK);
	publish(publisher, 0, 100);
	assert_int_equal(mqtt_publisher_acknowledged(publisher), 100);
	assert_int_equal(mqtt_publisher_outstanding(publisher), 0);
	assert_int_equal(mqtt_publish(publisher, "a/+", "x", 1, 0, &info), ERR_INVALID_FIELD);
	kill(broker.pid, SIGSTOP);
	int64_t deadline_us = clock_monotonic_us() + 200000;
	for (int i = 0; i < 3; i++)
		assert_int_equal(mqtt_publish(publisher, TOPIC, "1", 1, deadline_us, &info), ERR_OK);
	assert_int_equal(mqtt_publish(publisher, TOPIC, "1", 1, deadline_us, &info), ERR_DEADLINE);
	assert_int_equal(mqtt_publisher_flush(publisher, deadline_us, &info), ERR_DEADLINE);
	assert_int_equal(mqtt_publisher_outstanding(publisher), 3);
	kill(broker.pid, SIGCONT);
	assert_int_equal(mqtt_publisher_flush(publisher, clock_monotonic_us() + BROKER_WAIT_US, &info), ERR_OK);
	assert_int_equal(mqtt_publisher_acknowledged(publisher), 103);
	mqtt_publisher_close(&publisher);
	broker_free(&broker);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return crypto_start() == ERR_OK && mqtt_start() == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	mqtt_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivers_in_order_and_keeps_the_session),
		cmocka_unit_test(crash_before_commit_redelivers_all),
		cmocka_unit_test(puback_leaves_only_after_the_commit),
		cmocka_unit_test(a_batch_that_stays_refused_is_given_back),
		cmocka_unit_test(asks_for_a_session_that_lasts),
		cmocka_unit_test(reconnects_after_a_broker_restart),
		cmocka_unit_test(a_taken_session_is_not_fought_for),
		cmocka_unit_test(a_share_group_divides_the_load),
		cmocka_unit_test(an_error_that_does_not_pass_stops_the_consumer),
		cmocka_unit_test(needs_the_password),
		cmocka_unit_test(speaks_tls_to_the_right_broker_alone),
		cmocka_unit_test(refuses_options_that_cannot_work),
		cmocka_unit_test(the_publisher_says_what_is_not_acknowledged),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
