/* The consumer: one connection whose PUBACKs leave only after its commit function has made the messages durable. The rule
 * that everything here serves: link_write is never called while the batch holds messages that are not committed. Runs on a
 * thread of its own; start, stop and state are for any thread. */
#include <assert.h>
#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/sign.h"
#include "carbond/runtime.h"
#include "link.h"

#define TOPICS_MAX      8
#define BATCH_MESSAGES  1000
#define BATCH_BYTES     (1u << 20)
#define INFLIGHT        1000
#define KEPT_BATCHES    4 /* as many times batch_bytes of buffer are kept for the next batch */
#define HOLD_FIRST_US   INT64_C(50000)
#define HOLD_LONGEST_US CLOCK_US_PER_SECOND
#define SERVE_WAIT_US   CLOCK_US_PER_SECOND /* keep-alive is looked after this often */

/* A message of the batch: where its parts are in `bytes`, which may move while the batch grows. */
struct held {
	size_t topic, payload, size;
};

struct mqtt_consumer {
	/* constant after start */
	enum err (*commit)(void *context, const struct mqtt_message *messages, size_t count);
	void (*changed)(void *context, enum mqtt_state state, const char *detail);
	void *context;
	char *filters[TOPICS_MAX];
	bool (*may_connect)(void *context);
	size_t filter_count, batch_messages, batch_bytes, message_bytes;
	bool drain;
	struct thread *thread;
	int wake_fd;

	/* shared */
	pthread_mutex_t lock; /* innermost: of state and detail, which only the consumer's thread changes */
	enum mqtt_state state;
	char detail[sizeof((struct err_info *)0)->detail];
	atomic_bool stopping;
	_Atomic int64_t served_us; /* when it was connected or given a message last; monotonic */

	/* the consumer's thread */
	struct link link;
	struct held *held;
	struct mqtt_message *messages; /* as offered to commit */
	size_t count, capacity;
	char *bytes;
	size_t bytes_used, bytes_capacity;
	size_t subscriptions_open;
	bool subscription_refused;
	char *session_topic; /* says which instance had the session last */
	char instance[17];   /* ours, made up at start */
	bool instance_known; /* the broker has shown us our own there */
	int session_mid;     /* of the subscription to it */
	bool out_of_memory;  /* a message could not be kept: the connection must go, unacknowledged */
};

static bool is_up(enum mqtt_state state)
{
	return state == MQTT_CONNECTED || state == MQTT_HOLDING;
}

static void count_state(enum mqtt_state before, enum mqtt_state state)
{
	if (is_up(state) && !is_up(before))
		metric_add(METRIC_MQTT_CONNECTIONS, 1);
	if (is_up(before) && !is_up(state) && state != MQTT_STOPPED)
		metric_add(METRIC_MQTT_LOST, 1);
	metric_add(METRIC_MQTT_CONNECTED, (int)is_up(state) - (int)is_up(before));
	metric_add(METRIC_MQTT_HOLDING, (int)(state == MQTT_HOLDING) - (int)(before == MQTT_HOLDING));
}

/* A reason to fail that stays the same is told once. */
static void set_state(struct mqtt_consumer *consumer, enum mqtt_state state, const char *detail)
{
	enum mqtt_state before = consumer->state;
	if (before == state && (state != MQTT_CONNECTING || strcmp(consumer->detail, detail) == 0))
		return;
	pthread_mutex_lock(&consumer->lock);
	consumer->state = state;
	snprintf(consumer->detail, sizeof consumer->detail, "%s", detail);
	pthread_mutex_unlock(&consumer->lock);
	count_state(before, state);
	if (consumer->changed)
		consumer->changed(consumer->context, state, consumer->detail);
}

/* ---- the batch ---- */

static bool reserve_bytes(struct mqtt_consumer *consumer, size_t more)
{
	size_t needed = consumer->bytes_used + more,
	       capacity = consumer->bytes_capacity ? consumer->bytes_capacity : 65536;
	while (capacity < needed)
		capacity *= 2;
	if (capacity == consumer->bytes_capacity)
		return true;
	char *bytes = realloc(consumer->bytes, capacity);
	if (!bytes)
		return false;
	consumer->bytes = bytes;
	consumer->bytes_capacity = capacity;
	return true;
}

static bool reserve_message(struct mqtt_consumer *consumer)
{
	if (consumer->count < consumer->capacity)
		return true;
	size_t capacity = consumer->capacity ? consumer->capacity * 2 : 256;
	struct held *held = realloc(consumer->held, capacity * sizeof *held);
	if (held)
		consumer->held = held;
	struct mqtt_message *messages = held ? realloc(consumer->messages, capacity * sizeof *messages) : NULL;
	if (!messages)
		return false;
	consumer->messages = messages;
	consumer->capacity = capacity;
	return true;
}

/* mosquitto 2.0 ends a taken connection without saying why, and to connect again would take the session back: a war. So the
 * session's owner leaves its instance's name in a retained message; who comes back and finds another's name there has lost
 * the session to it. */
static void note_instance(struct mqtt_consumer *consumer, const struct mosquitto_message *message)
{
	bool ours = message->payloadlen == (int)strlen(consumer->instance) &&
		    memcmp(message->payload, consumer->instance, (size_t)message->payloadlen) == 0;
	if (ours)
		consumer->instance_known = true;
	else if (consumer->instance_known)
		consumer->link.taken = true;
}

static void keep_message(void *owner, const struct mosquitto_message *message)
{
	struct mqtt_consumer *consumer = owner;
	if (strcmp(message->topic, consumer->session_topic) == 0) {
		note_instance(consumer, message);
		return;
	}
	atomic_store(&consumer->served_us, clock_monotonic_us());
	size_t topic_size = strlen(message->topic) + 1, size = (size_t)message->payloadlen;
	if (consumer->message_bytes && size > consumer->message_bytes)
		size = consumer->message_bytes + 1; /* enough to be seen as too long */
	if (!reserve_message(consumer) || !reserve_bytes(consumer, topic_size + size + 1)) {
		consumer->out_of_memory = true;
		return;
	}
	struct held *held = &consumer->held[consumer->count++];
	*held = (struct held){
		.topic = consumer->bytes_used, .payload = consumer->bytes_used + topic_size, .size = size};
	memcpy(consumer->bytes + held->topic, message->topic, topic_size);
	if (size)
		memcpy(consumer->bytes + held->payload, message->payload, size);
	consumer->bytes[held->payload + size] = '\0';
	consumer->bytes_used += topic_size + size + 1;
}

static bool batch_full(const void *owner)
{
	const struct mqtt_consumer *consumer = owner;
	return consumer->count >= consumer->batch_messages || consumer->bytes_used >= consumer->batch_bytes ||
	       consumer->out_of_memory;
}

static void clear_batch(struct mqtt_consumer *consumer)
{
	consumer->count = consumer->bytes_used = 0;
	consumer->out_of_memory = false;
	if (consumer->bytes_capacity > KEPT_BATCHES * consumer->batch_bytes) {
		free(consumer->bytes); /* one huge message was there */
		consumer->bytes = NULL;
		consumer->bytes_capacity = 0;
	}
}

static enum err offer_batch(struct mqtt_consumer *consumer)
{
	for (size_t i = 0; i < consumer->count; i++) {
		const struct held *held = &consumer->held[i];
		consumer->messages[i] = (struct mqtt_message){.topic = consumer->bytes + held->topic,
			.payload = held->size ? consumer->bytes + held->payload : NULL,
			.payload_size = held->size};
	}
	return consumer->commit(consumer->context, consumer->messages, consumer->count);
}

static bool passes(enum err err)
{
	return err == ERR_NO_SPACE || err == ERR_BUSY || err == ERR_DEADLINE || err == ERR_NO_MEMORY;
}

/* What became of an offered batch. */
enum verdict { COMMITTED, UNCOMMITTED, STOPPING, FAILED };

/* Offers the batch until it is durable. While it is not, nothing is read or written; half the keep-alive later the
 * connection is given up, before the broker does so, and the broker delivers again at the next one. */
static enum verdict commit_batch(struct mqtt_consumer *consumer)
{
	int64_t deadline_us = clock_monotonic_us() + consumer->link.broker.keepalive_s * (CLOCK_US_PER_SECOND / 2);
	int64_t wait_us = HOLD_FIRST_US;
	if (consumer->out_of_memory)
		return UNCOMMITTED;
	for (;;) {
		int64_t started_us = clock_monotonic_us();
		enum err err = offer_batch(consumer);
		if (err == ERR_OK) {
			metric_observe_us(METRIC_MQTT_COMMIT, clock_monotonic_us() - started_us);
			metric_add(METRIC_MQTT_MESSAGES, (int64_t)consumer->count);
			metric_add(METRIC_MQTT_BYTES, (int64_t)consumer->bytes_used);
			set_state(consumer, MQTT_CONNECTED, "the batch is durable");
			return COMMITTED;
		}
		if (err == ERR_STOPPING)
			return STOPPING;
		if (!passes(err)) {
			set_state(consumer, MQTT_FAILED, err_row(err)->title);
			return FAILED;
		}
		metric_add(METRIC_MQTT_REFUSED_BATCHES, 1);
		set_state(consumer, MQTT_HOLDING, err_row(err)->title);
		if (!link_pause(&consumer->link, wait_us))
			return STOPPING;
		if (clock_monotonic_us() >= deadline_us)
			return UNCOMMITTED;
		wait_us = wait_us * 2 > HOLD_LONGEST_US ? HOLD_LONGEST_US : wait_us * 2;
	}
}

/* ---- one connection ---- */

static void note_subscription(void *owner, int mid, int granted)
{
	struct mqtt_consumer *consumer = owner;
	if (mid == consumer->session_mid)
		return; /* refused by the broker's access rules: then a taken session is not noticed */
	if (granted >= MQTT_RC_UNSPECIFIED)
		consumer->subscription_refused = true;
	if (consumer->subscriptions_open > 0)
		consumer->subscriptions_open--;
}

static bool subscribe(struct mqtt_consumer *consumer)
{
	consumer->subscriptions_open = consumer->drain ? 0 : consumer->filter_count;
	consumer->subscription_refused = false;
	atomic_store(&consumer->served_us, clock_monotonic_us());
	for (size_t i = 0; i < consumer->filter_count; i++) {
		if (consumer->drain) {
			if (mosquitto_unsubscribe_v5(consumer->link.mosquitto, NULL, consumer->filters[i], NULL) !=
				MOSQ_ERR_SUCCESS)
				return false;
			continue;
		}
		/* a retained message is old news at each reconnection: take it with a new subscription only */
		bool shared = strncmp(consumer->filters[i], "$share/", 7) == 0;
		int options = shared ? 0 : MQTT_SUB_OPT_SEND_RETAIN_NEW;
		if (mosquitto_subscribe_v5(consumer->link.mosquitto, NULL, consumer->filters[i], 1, options, NULL) !=
			MOSQ_ERR_SUCCESS)
			return false;
	}
	mosquitto_subscribe_v5(consumer->link.mosquitto, &consumer->session_mid, consumer->session_topic, 0, 0, NULL);
	if (!consumer->instance_known)
		mosquitto_publish_v5(consumer->link.mosquitto, NULL, consumer->session_topic,
			(int)strlen(consumer->instance), consumer->instance, 0, true, NULL);
	return true;
}

/* Why a connection that has not been lost is given up; NULL: it is not. */
static const char *complaint(const struct mqtt_consumer *consumer, int64_t opened_us)
{
	if (consumer->subscription_refused)
		return "the broker refuses the subscription: its access rules must let this user read carbond/v1/#";
	if (consumer->subscriptions_open > 0 && clock_monotonic_us() - opened_us >= consumer->link.broker.connect_us)
		return "the broker does not answer SUBSCRIBE";
	return NULL;
}

/* Serves an open connection until it is lost, given up or stopped. True: try again; `why` says what happened. */
static bool serve(struct mqtt_consumer *consumer, struct err_info *why)
{
	struct link *link = &consumer->link;
	const struct link_broker *broker = &link->broker;
	int64_t opened_us = clock_monotonic_us();
	bool more = false, live = subscribe(consumer);
	while (live && !atomic_load(&consumer->stopping)) {
		if (!more)
			link_wait(link, true, clock_monotonic_us() + SERVE_WAIT_US);
		live = link_read(link, batch_full, &more);
		/* what came before a loss is committed too: the broker's second delivery of it will change nothing */
		enum verdict verdict = consumer->count || consumer->out_of_memory ? commit_batch(consumer) : COMMITTED;
		if (verdict != COMMITTED) {
			link_drop(link);
			clear_batch(consumer);
			err_set(why, ERR_BUSY, NULL,
				"given up unacknowledged, since the batch could not be made durable");
			return verdict == UNCOMMITTED;
		}
		clear_batch(consumer);
		live = live && !link->taken && link_write(link) && link_misc(link);
		const char *wrong = live ? complaint(consumer, opened_us) : NULL;
		if (wrong) {
			link_close(link);
			err_set(why, ERR_IO, NULL, "%s:%u: %s", broker->host, broker->port, wrong);
			return true;
		}
		if (live && consumer->subscriptions_open == 0) {
			set_state(consumer, MQTT_CONNECTED, "subscribed");
			link_backoff_served(link, clock_monotonic_us() - opened_us);
		}
	}
	err_set(why, ERR_IO, NULL, "%s:%u: %s", broker->host, broker->port, link_reason(link));
	return !atomic_load(&consumer->stopping);
}

static void run(void *argument)
{
	struct mqtt_consumer *consumer = argument;
	struct link *link = &consumer->link;
	while (!atomic_load(&consumer->stopping)) {
		struct err_info info = {0};
		if (consumer->may_connect && !consumer->may_connect(consumer->context)) {
			set_state(consumer, MQTT_CONNECTING, "another daemon may be using this session");
			link_pause(link, HOLD_FIRST_US);
			continue;
		}
		enum err err = link_open(link, &info);
		bool again = err != ERR_STOPPING;
		if (err == ERR_OK)
			again = serve(consumer, &info);
		else if (again)
			metric_add(METRIC_MQTT_FAILED_ATTEMPTS, 1);
		if (link->taken) {
			set_state(consumer, MQTT_TAKEN,
				"another client connected with this client id and has the session now");
			again = false;
		}
		if (!again)
			break;
		link_drop(link);
		set_state(consumer, MQTT_CONNECTING, info.detail);
		link_pause(link, link_backoff_us(link));
	}
	link_close(link);
	if (consumer->state != MQTT_TAKEN && consumer->state != MQTT_FAILED)
		set_state(consumer, MQTT_STOPPED, "stopped");
}

/* ---- start and stop ---- */

static void consumer_free(struct mqtt_consumer *consumer)
{
	for (size_t i = 0; i < consumer->filter_count; i++)
		free(consumer->filters[i]);
	link_dispose(&consumer->link);
	if (consumer->wake_fd >= 0)
		close(consumer->wake_fd);
	free(consumer->session_topic);
	free(consumer->held);
	free(consumer->messages);
	free(consumer->bytes);
	pthread_mutex_destroy(&consumer->lock);
	free(consumer);
}

static enum err add_filter(struct mqtt_consumer *consumer, const char *filter, const char *group, struct err_info *info)
{
	char *text = NULL;
	if (mosquitto_sub_topic_check(filter) != MOSQ_ERR_SUCCESS)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "'%s' is not a topic filter", filter);
	if (group && (!*group || strpbrk(group, "/+#")))
		return err_set(info, ERR_INVALID_CONFIG, NULL, "the share group '%s' must not hold /, + or #", group);
	if (consumer->filter_count == TOPICS_MAX)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "more than %d topic filters", TOPICS_MAX);
	if (asprintf(&text, "%s%s%s%s", group ? "$share/" : "", group ? group : "", group ? "/" : "", filter) < 0)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the consumer");
	consumer->filters[consumer->filter_count++] = text;
	return ERR_OK;
}

static uint64_t random_number(void)
{
	uint64_t number;
	random_bytes(&number, sizeof number);
	return number;
}

static enum err consumer_prepare(
	struct mqtt_consumer *consumer, const struct mqtt_consumer_options *options, struct err_info *info)
{
	enum err err = ERR_OK;
	consumer->commit = options->commit;
	consumer->changed = options->changed;
	consumer->context = options->context;
	consumer->batch_messages = options->batch_messages ? options->batch_messages : BATCH_MESSAGES;
	consumer->batch_bytes = options->batch_bytes ? options->batch_bytes : BATCH_BYTES;
	consumer->message_bytes = options->message_bytes;
	consumer->drain = options->drain;
	consumer->may_connect = options->may_connect;
	consumer->link.owner = consumer;
	consumer->link.on_message = keep_message;
	consumer->link.on_subscribed = note_subscription;
	consumer->link.persistent = true;
	consumer->link.guarded = true;
	consumer->link.receive_maximum = options->inflight ? options->inflight : INFLIGHT;
	if (!options->client_id || !*options->client_id)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "a persistent session needs a client id");
	snprintf(consumer->instance, sizeof consumer->instance, "%016llx", (unsigned long long)random_number());
	if (asprintf(&consumer->session_topic, "carbond/sessions/%s", options->client_id) < 0) {
		consumer->session_topic = NULL;
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the consumer");
	}
	if (mosquitto_pub_topic_check(consumer->session_topic) != MOSQ_ERR_SUCCESS)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "'%s' is not a client id", options->client_id);
	for (size_t i = 0; !err && options->topics[i]; i++)
		err = add_filter(consumer, options->topics[i], options->share_group, info);
	if (!err)
		err = link_prepare(&consumer->link, &options->broker, options->client_id, info);
	if (err)
		return err;
	consumer->wake_fd = consumer->link.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return consumer->wake_fd < 0 ? err_set(info, ERR_IO, NULL, "eventfd: %s", strerror(errno)) : ERR_OK;
}

enum err mqtt_consumer_start(const struct mqtt_consumer_options *options, const char *name,
	struct mqtt_consumer **ret_consumer, struct err_info *info)
{
	struct mqtt_consumer *consumer = calloc(1, sizeof *consumer);
	enum err err;
	*ret_consumer = NULL;
	if (!consumer)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the consumer");
	consumer->wake_fd = consumer->link.wake_fd = -1;
	pthread_mutex_init(&consumer->lock, NULL);
	err = consumer_prepare(consumer, options, info);
	if (!err) {
		err = thread_start(name, run, consumer, &consumer->thread);
		if (err)
			err_set(info, err, NULL, "the thread %s does not start", name);
	}
	if (err)
		consumer_free(consumer);
	else
		*ret_consumer = consumer;
	return err;
}

void mqtt_consumer_stop(struct mqtt_consumer **consumer)
{
	struct mqtt_consumer *mine = *consumer;
	uint64_t one = 1;
	if (!mine)
		return;
	atomic_store(&mine->stopping, true);
	/* an eventfd takes 2^64 − 2 of these before it refuses one */
	ssize_t written = write(mine->wake_fd, &one, sizeof one);
	assert(written == (ssize_t)sizeof one);
	thread_join(&mine->thread);
	consumer_free(mine);
	*consumer = NULL;
}

int64_t mqtt_consumer_quiet_us(struct mqtt_consumer *consumer)
{
	bool connected = mqtt_consumer_state(consumer, NULL, 0) == MQTT_CONNECTED;
	return connected ? clock_monotonic_us() - atomic_load(&consumer->served_us) : 0;
}

enum mqtt_state mqtt_consumer_state(struct mqtt_consumer *consumer, char *detail, size_t size)
{
	pthread_mutex_lock(&consumer->lock);
	enum mqtt_state state = consumer->state;
	if (detail)
		snprintf(detail, size, "%s", consumer->detail);
	pthread_mutex_unlock(&consumer->lock);
	return state;
}
