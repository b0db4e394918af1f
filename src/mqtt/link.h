/* One connection to a broker: made new for each attempt, so that nothing of a broken one (queued PUBACKs above all) lives
 * on. Used by consumer.c and publisher.c, on their thread alone. */
#ifndef MQTT_LINK_H
#define MQTT_LINK_H

#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>

#include "carbond/mqtt.h"
#include "gate.h"

#define LINK_KEEPALIVE_S        30
#define LINK_CONNECT_US         INT64_C(10000000)
#define LINK_BACKOFF_FIRST_US   INT64_C(100000)
#define LINK_BACKOFF_LONGEST_US INT64_C(30000000)

/* A broker's options, owned. */
struct link_broker {
	char *host, *username, *password_file, *tls_ca, *tls_certificate, *tls_key;
	uint16_t port;
	int keepalive_s;
	int64_t connect_us, retry_longest_us;
};

struct link {
	/* set by the owner before link_open */
	struct link_broker broker;
	char *client_id;
	bool persistent;     /* the broker keeps the session for ever */
	int receive_maximum; /* 0: the protocol's */
	bool guarded;        /* what comes without TLS is looked at before libmosquitto reads it (gate.h) */
	int wake_fd;         /* readable: give up waiting; −1: none */
	void *owner;
	void (*on_message)(void *owner, const struct mosquitto_message *message);
	void (*on_published)(void *owner, int mid, int reason);
	void (*on_subscribed)(void *owner, int mid, int granted);

	/* link.c */
	struct mosquitto *mosquitto; /* NULL: closed */
	bool connected;
	bool taken;          /* the broker says that another client took the session */
	int reason;          /* of the CONNACK or of the end */
	int error;           /* errno, where the reason is MOSQ_ERR_ERRNO */
	size_t admitted;     /* whole packets that the library may read before the next look */
	bool inside_message; /* the library has read a message in part */
	int wakes_with; /* bytes that poll waits for: more than are there, where they are less than a packet's head */
	uint8_t peeked[GATE_BYTES];
	uint64_t random;    /* of the jitter */
	int64_t backoff_us; /* the next pause at most */
	int64_t paused_us;  /* the last one */
};

/* Copies the options and fills in the defaults. ERR_NO_MEMORY, ERR_INVALID_CONFIG. */
enum err link_prepare(
	struct link *link, const struct mqtt_broker *broker, const char *client_id, struct err_info *info) MUST_CHECK;
void link_dispose(struct link *link);

/* TCP, TLS, CONNECT, CONNACK. ERR_IO, ERR_UNAUTHENTICATED, ERR_INVALID_CONFIG; ERR_STOPPING when woken. */
enum err link_open(struct link *link, struct err_info *info) MUST_CHECK;
/* Closes the socket without writing anything that is still queued. */
void link_drop(struct link *link);
/* Writes what is queued and DISCONNECT as far as the socket takes it within a second, then closes. */
void link_close(struct link *link);

/* Waits for the socket until `deadline_us`; false when woken by wake_fd. Waits for room to write only if `write`. */
bool link_wait(struct link *link, bool write, int64_t deadline_us);
/* Waits with the connection left alone, or without one; false when woken. */
bool link_pause(const struct link *link, int64_t length_us);
/* Reads packets until the socket is dry or `full(owner)`; *ret_more tells that it stopped because of the latter. False:
 * the connection is lost. */
bool link_read(struct link *link, bool (*full)(const void *owner), bool *ret_more);
/* Writes what the socket takes. False: lost. */
bool link_write(struct link *link);
/* Keep-alive. False: lost. */
bool link_misc(struct link *link);
/* Why the connection ended, as a phrase. */
const char *link_reason(const struct link *link);

/* The pause before the next attempt, doubled each time up to the longest, with jitter (half of it random). */
int64_t link_backoff_us(struct link *link);
/* A connection has served for `up_us`: once it has outlasted the pause before it, the next pause is the shortest again. One
 * that is lost sooner each time, to a broker that answers nonsense, is not tried again in a hurry. */
void link_backoff_served(struct link *link, int64_t up_us);
void link_backoff_reset(struct link *link);

#endif
