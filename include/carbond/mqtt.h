/* mqtt: the only room that sees mosquitto.h. A consumer that acknowledges only what its commit function has made durable,
 * and a publisher with a bounded number of messages in flight. MQTT 5, QoS 1, persistent session for the consumer. It knows
 * nothing of what the messages mean.
 *
 * Why a loop of our own: libmosquitto queues the PUBACK before the message callback, but with mosquitto_threaded_set(m, true)
 * nothing is written to the socket until mosquitto_loop_write. So: poll → loop_read until the socket is dry or the batch is
 * full → commit(batch) → loop_write. A crash, or a refused commit, at any instruction before makes the broker deliver the
 * messages again. */
#ifndef CARBOND_MQTT_H
#define CARBOND_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carbond/base/err.h"

/* How a broker is reached. All strings are borrowed for the call that takes it. */
struct mqtt_broker {
	const char *host;            /* name or address */
	uint16_t port;               /* 1883, or 8883 with TLS */
	const char *username;        /* NULL: none */
	const char *password_file;   /* first line is the password, read at each connection; NULL: none */
	const char *tls_ca;          /* PEM file of the authorities that sign the broker's certificate; NULL: no TLS */
	const char *tls_certificate; /* PEM file of a certificate of our own, or NULL */
	const char *tls_key;         /* its key, PEM */
	int keepalive_s;             /* 5..65535; 0: 30 s */
	int64_t connect_us;          /* time for TCP, TLS and CONNACK, and again for SUBACK; 0: 10 s */
	int64_t retry_longest_us;    /* the longest pause between attempts; 0: 30 s */
};

/* Call once before the first use and once after the last one. Main thread. */
enum err mqtt_start(void) MUST_CHECK;
void mqtt_stop(void);

/* ---- consumer: one connection, one thread of its own ---- */

struct mqtt_consumer;

struct mqtt_message {
	const char *topic;   /* NUL-terminated */
	const char *payload; /* followed by a zero byte; NULL when empty */
	size_t payload_size;
};

enum mqtt_state {
	MQTT_CONNECTING, /* also while waiting between attempts */
	MQTT_CONNECTED,  /* subscribed */
	MQTT_HOLDING,    /* connected, but the last batch could not be made durable: nothing is read or acknowledged */
	MQTT_TAKEN,      /* another client took the session: this consumer gave up for good */
	MQTT_FAILED,     /* commit gave an error that does not pass: this consumer gave up for good */
	MQTT_STOPPED,
};
extern const char *const mqtt_state_names[];

struct mqtt_consumer_options {
	struct mqtt_broker broker; /* copied */
	/* "carbond-<node>-<i>": names the session at the broker, so it must be ours alone. Who has it says so in a retained
	 * message on carbond/sessions/<client id>, which is how MQTT_TAKEN is noticed where the broker does not say so. */
	const char *client_id;
	const char *const *topics; /* filters, NULL-terminated, at most 8 */
	const char
		*share_group; /* several consumers divide the messages of `$share/<group>/<filter>`; NULL: not shared */
	size_t batch_messages; /* 0: 1,000 */
	size_t batch_bytes;    /* of topics and payloads; 0: 1 MiB. A larger single message is a batch of its own */
	int inflight;          /* unacknowledged messages that the broker may have sent, 1..65535; 0: 1,000 */
	size_t message_bytes;  /* a longer payload is offered cut to one byte more than this; 0: whole */
	/* Takes over a session that its owner has left behind: the subscriptions are given up instead of made, so that the
	 * broker puts nothing more into it, and what is in it is delivered here. */
	bool drain;
	/* Asked before each attempt to connect, on the consumer's thread; false: not now. NULL: always. Must not block. */
	bool (*may_connect)(void *context);

	/* Makes a batch durable; messages are borrowed for the call, in the order of arrival. On the consumer's thread; may
	 * block, but for no longer than the keep-alive. ERR_OK: acknowledged. ERR_NO_SPACE, ERR_BUSY, ERR_DEADLINE,
	 * ERR_NO_MEMORY: nothing is acknowledged; the same batch is offered again with growing pauses while nothing is read;
	 * after half the keep-alive the connection is dropped unacknowledged, and the broker delivers again at the next one.
	 * ERR_STOPPING: dropped unacknowledged, no further attempt is needed. Any other error: MQTT_FAILED. */
	enum err (*commit)(void *context, const struct mqtt_message *messages, size_t count);
	/* On the consumer's thread at each change of state, and while connecting at each new reason why it fails; `detail` is a
	 * sentence. May be NULL. */
	void (*changed)(void *context, enum mqtt_state state, const char *detail);
	void *context;
};

/* Starts the thread, which connects and goes on connecting: pauses from 0.1 s doubled up to the longest, half of each random;
 * short again once a connection has outlasted the pause before it. `name` is the thread's
 * (≤ 15 characters). ERR_NO_MEMORY, ERR_INVALID_CONFIG (a filter or id the protocol forbids, unreadable files), ERR_IO. */
enum err mqtt_consumer_start(const struct mqtt_consumer_options *options, const char *name,
	struct mqtt_consumer **ret_consumer, struct err_info *info) MUST_CHECK;
/* Finishes the running commit, acknowledges what it made durable, disconnects and joins. The broker keeps the session. NULL
 * is allowed; the pointer becomes NULL. */
void mqtt_consumer_stop(struct mqtt_consumer **consumer);
/* How long a connected consumer has been given nothing, in µs; 0 while it is not connected. Any thread. */
int64_t mqtt_consumer_quiet_us(struct mqtt_consumer *consumer);
/* Any thread; `detail` (of `size` bytes, may be NULL) becomes the sentence that `changed` was given last. */
enum mqtt_state mqtt_consumer_state(struct mqtt_consumer *consumer, char *detail, size_t size);

/* ---- publisher: driven by its caller's thread, which may block; one thread at a time ---- */

struct mqtt_publisher;

struct mqtt_publisher_options {
	struct mqtt_broker broker; /* copied */
	const char *client_id;     /* NULL: one is made up */
	int inflight;              /* messages not yet acknowledged that are kept, 1..65535; 0: 100 */
};

/* Connects; ERR_IO (detail says why) if that fails once, ERR_UNAUTHENTICATED, ERR_INVALID_CONFIG, ERR_NO_MEMORY. */
enum err mqtt_publisher_open(const struct mqtt_publisher_options *options, struct mqtt_publisher **ret_publisher,
	struct err_info *info) MUST_CHECK;
/* Sends one message with QoS 1. Waits while `inflight` messages are unacknowledged, and connects again if need be: until
 * `deadline_us` (monotonic), then ERR_DEADLINE and the message is not taken. A message that was taken is sent again after
 * each reconnection until it is acknowledged: at least once, in order. ERR_INVALID_FIELD for a topic the protocol forbids, ERR_TOO_LARGE for
 * more than the broker takes; ERR_FORBIDDEN, once, when the broker refused an earlier one. */
enum err mqtt_publish(struct mqtt_publisher *publisher, const char *topic, const void *payload, size_t size,
	int64_t deadline_us, struct err_info *info) MUST_CHECK;
/* Waits until everything taken is acknowledged, or ERR_DEADLINE. With nothing outstanding it serves the connection (keep-alive)
 * and returns at once. */
enum err mqtt_publisher_flush(struct mqtt_publisher *publisher, int64_t deadline_us, struct err_info *info) MUST_CHECK;
/* Serves the connection (acknowledgements, keep-alive, reconnection) until `deadline_us`: for callers that pause. */
void mqtt_publisher_serve(struct mqtt_publisher *publisher, int64_t deadline_us);
/* Messages taken and acknowledged so far. */
uint64_t mqtt_publisher_acknowledged(const struct mqtt_publisher *publisher);
size_t mqtt_publisher_outstanding(const struct mqtt_publisher *publisher);
/* Disconnects; what is not acknowledged is given up (flush first). NULL is allowed; the pointer becomes NULL. */
void mqtt_publisher_close(struct mqtt_publisher **publisher);

#endif
