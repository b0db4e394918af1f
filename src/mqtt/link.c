/* One connection to a broker: its options, TCP, TLS, CONNECT and the waits; every call of libmosquitto that both sides
 * need. The thread of the consumer or of the publisher's caller. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mqtt_protocol.h>

#include "carbond/base/clock.h"
#include "carbond/base/sign.h"
#include "link.h"

#define PASSWORD_SIZE     1024
#define SESSION_FOR_EVER  UINT32_MAX
#define CLOSE_PATIENCE_US CLOCK_US_PER_SECOND
#define RECEIVE_BYTES     (208 << 10) /* what Debian allows (net.core.rmem_max) */

const char *const mqtt_state_names[] = {"connecting", "connected", "holding", "taken", "failed", "stopped", NULL};

enum err mqtt_start(void)
{
	return mosquitto_lib_init() == MOSQ_ERR_SUCCESS ? ERR_OK : ERR_INTERNAL;
}

void mqtt_stop(void)
{
	mosquitto_lib_cleanup();
}

static bool copy_text(char **ret_copy, const char *text)
{
	*ret_copy = text && *text ? strdup(text) : NULL;
	return *ret_copy || !text || !*text;
}

static enum err check_file(const char *path, const char *what, struct err_info *info)
{
	if (!path || access(path, R_OK) == 0)
		return ERR_OK;
	return err_set(info, ERR_INVALID_CONFIG, NULL, "%s %s cannot be read: %s", what, path, strerror(errno));
}

enum err link_prepare(struct link *link, const struct mqtt_broker *broker, const char *client_id, struct err_info *info)
{
	struct link_broker *mine = &link->broker;
	bool copied = copy_text(&mine->host, broker->host) && copy_text(&mine->username, broker->username) &&
		      copy_text(&mine->password_file, broker->password_file) &&
		      copy_text(&mine->tls_ca, broker->tls_ca) &&
		      copy_text(&mine->tls_certificate, broker->tls_certificate) &&
		      copy_text(&mine->tls_key, broker->tls_key) && copy_text(&link->client_id, client_id);
	enum err err;
	if (!copied)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the connection");
	if (!mine->host || broker->port == 0)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "the broker's host and port (1..65535) are needed");
	if (broker->keepalive_s != 0 && (broker->keepalive_s < 5 || broker->keepalive_s > UINT16_MAX))
		return err_set(info, ERR_INVALID_CONFIG, NULL, "the keep-alive must be 5..65535 s");
	if (!mine->tls_certificate != !mine->tls_key)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "a TLS certificate and its key go together");
	if (mine->password_file && !mine->username)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "a password needs a user name");
	err = check_file(mine->password_file, "the password file", info);
	if (!err)
		err = check_file(mine->tls_ca, "the CA file", info);
	if (!err)
		err = check_file(mine->tls_certificate, "the certificate", info);
	if (!err)
		err = check_file(mine->tls_key, "the certificate's key", info);
	mine->port = broker->port;
	mine->keepalive_s = broker->keepalive_s > 0 ? broker->keepalive_s : LINK_KEEPALIVE_S;
	mine->connect_us = broker->connect_us > 0 ? broker->connect_us : LINK_CONNECT_US;
	mine->retry_longest_us = broker->retry_longest_us > 0 ? broker->retry_longest_us : LINK_BACKOFF_LONGEST_US;
	random_bytes(&link->random, sizeof link->random);
	link_backoff_reset(link);
	return err;
}

void link_dispose(struct link *link)
{
	link_drop(link);
	free(link->broker.host);
	free(link->broker.username);
	free(link->broker.password_file);
	free(link->broker.tls_ca);
	free(link->broker.tls_certificate);
	free(link->broker.tls_key);
	free(link->client_id);
}

/* ---- libmosquitto's callbacks ---- */

/* At once, while errno is still that of the library's failure. */
static void note_reason(struct link *link, int reason)
{
	link->error = reason == MOSQ_ERR_ERRNO ? errno : 0;
	link->reason = reason;
}

static void connected(
	struct mosquitto *mosquitto, void *object, int reason, int flags, const mosquitto_property *properties)
{
	struct link *link = object;
	(void)mosquitto, (void)flags, (void)properties;
	link->reason = reason;
	link->connected = reason == 0;
}

static void disconnected(struct mosquitto *mosquitto, void *object, int reason, const mosquitto_property *properties)
{
	struct link *link = object;
	(void)mosquitto, (void)properties;
	if (link->connected || link->reason == 0)
		note_reason(link, reason);
	link->connected = false;
	link->taken |= reason == MQTT_RC_SESSION_TAKEN_OVER;
}

static void received(struct mosquitto *mosquitto, void *object, const struct mosquitto_message *message,
	const mosquitto_property *properties)
{
	struct link *link = object;
	(void)mosquitto, (void)properties;
	link->inside_message = false;
	if (link->on_message)
		link->on_message(link->owner, message);
}

static void published(
	struct mosquitto *mosquitto, void *object, int mid, int reason, const mosquitto_property *properties)
{
	struct link *link = object;
	(void)mosquitto, (void)properties;
	if (link->on_published)
		link->on_published(link->owner, mid, reason);
}

static void subscribed(struct mosquitto *mosquitto, void *object, int mid, int count, const int *granted,
	const mosquitto_property *properties)
{
	struct link *link = object;
	(void)mosquitto, (void)properties;
	if (link->on_subscribed)
		link->on_subscribed(link->owner, mid, count > 0 ? granted[0] : MQTT_RC_UNSPECIFIED);
}

/* ---- opening ---- */

/* Waits until the descriptor shows `events`; false when woken or late. */
static bool wait_for(const struct link *link, int fd, short events, int64_t deadline_us)
{
	/* poll leaves negative descriptors out */
	struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = link->wake_fd, .events = POLLIN}};
	for (;;) {
		int64_t left_us = deadline_us - clock_monotonic_us();
		int64_t left_ms = left_us <= 0 ? 0 : left_us / 1000 + 1;
		int count = poll(fds, 2, left_ms > 60000 ? 60000 : (int)left_ms);
		if (count < 0 && errno == EINTR)
			continue;
		if (count > 0 && fds[1].revents)
			return false;
		if (count != 0 || left_us <= 0)
			return count > 0;
	}
}

static bool woken(const struct link *link)
{
	struct pollfd fd = {.fd = link->wake_fd, .events = POLLIN};
	return poll(&fd, 1, 0) > 0;
}

/* Whether something listens there, within the deadline. mosquitto_connect_bind_v5 itself waits for TCP as long as the kernel
 * does, two minutes for a silent address, and stop would wait with it. */
static enum err knock(const struct link *link, int64_t deadline_us, struct err_info *info)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses = NULL;
	char port[8];
	int failure = 0;
	snprintf(port, sizeof port, "%u", link->broker.port);
	int rc = getaddrinfo(link->broker.host, port, &hints, &addresses);
	if (rc)
		return err_set(info, ERR_IO, NULL, "%s: %s", link->broker.host, gai_strerror(rc));
	for (struct addrinfo *at = addresses; at; at = at->ai_next) {
		int fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
		if (fd < 0)
			continue;
		socklen_t size = sizeof failure;
		failure = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
		if (failure == EINPROGRESS) {
			failure = ETIMEDOUT;
			if (wait_for(link, fd, POLLOUT, deadline_us) &&
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
				failure = errno;
		}
		close(fd);
		if (failure == 0)
			break;
	}
	freeaddrinfo(addresses);
	if (woken(link))
		return err_set(info, ERR_STOPPING, NULL, "stopping");
	if (failure)
		return err_set(info, ERR_IO, NULL, "%s:%s: %s", link->broker.host, port, strerror(failure));
	return ERR_OK;
}

static enum err set_credentials(struct link *link, struct err_info *info)
{
	const struct link_broker *broker = &link->broker;
	char password[PASSWORD_SIZE] = "";
	enum err err = ERR_OK;
	if (!broker->username)
		return ERR_OK;
	if (broker->password_file) {
		int fd = open(broker->password_file, O_RDONLY | O_CLOEXEC);
		ssize_t size = fd < 0 ? -1 : read(fd, password, sizeof password - 1);
		if (fd >= 0)
			close(fd);
		if (size < 0)
			return err_set(info, ERR_INVALID_CONFIG, NULL, "the password file %s cannot be read: %s",
				broker->password_file, strerror(errno));
		password[size] = '\0';
		password[strcspn(password, "\r\n")] = '\0';
	}
	if (mosquitto_username_pw_set(link->mosquitto, broker->username, broker->password_file ? password : NULL) !=
		MOSQ_ERR_SUCCESS)
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "the broker's user name or password is not UTF-8");
	explicit_bzero(password, sizeof password);
	return err;
}

static enum err set_options(struct link *link, struct err_info *info)
{
	const struct link_broker *broker = &link->broker;
	struct mosquitto *mosquitto = link->mosquitto;
	mosquitto_threaded_set(mosquitto, true); /* nothing is written outside mosquitto_loop_write */
	mosquitto_int_option(mosquitto, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_int_option(mosquitto, MOSQ_OPT_SEND_MAXIMUM, UINT16_MAX);
	if (link->receive_maximum)
		mosquitto_int_option(mosquitto, MOSQ_OPT_RECEIVE_MAXIMUM, link->receive_maximum);
	mosquitto_connect_v5_callback_set(mosquitto, connected);
	mosquitto_disconnect_v5_callback_set(mosquitto, disconnected);
	mosquitto_message_v5_callback_set(mosquitto, received);
	mosquitto_publish_v5_callback_set(mosquitto, published);
	mosquitto_subscribe_v5_callback_set(mosquitto, subscribed);
	if (broker->tls_ca) {
		int rc = mosquitto_tls_set(
			mosquitto, broker->tls_ca, NULL, broker->tls_certificate, broker->tls_key, NULL);
		if (rc == MOSQ_ERR_SUCCESS)
			rc = mosquitto_tls_opts_set(mosquitto, 1, NULL, NULL); /* the broker must prove itself */
		if (rc != MOSQ_ERR_SUCCESS)
			return err_set(info, ERR_INVALID_CONFIG, NULL, "TLS to the broker: %s", mosquitto_strerror(rc));
	}
	return set_credentials(link, info);
}

static int send_connect(struct link *link)
{
	mosquitto_property *properties = NULL;
	int rc = MOSQ_ERR_SUCCESS;
	if (link->persistent)
		rc = mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_FOR_EVER);
	if (rc == MOSQ_ERR_SUCCESS)
		rc = mosquitto_connect_bind_v5(link->mosquitto, link->broker.host, link->broker.port,
			link->broker.keepalive_s, NULL, properties);
	mosquitto_property_free_all(&properties);
	return rc;
}

static enum err refused(const struct link *link, struct err_info *info)
{
	switch (link->reason) {
	case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
	case MQTT_RC_NOT_AUTHORIZED:
		return err_set(info, ERR_UNAUTHENTICATED, NULL, "%s:%u refuses the connection: %s", link->broker.host,
			link->broker.port, mosquitto_reason_string(link->reason));
	case MQTT_RC_CLIENTID_NOT_VALID:
	case MQTT_RC_BANNED:
		return err_set(info, ERR_INVALID_CONFIG, NULL, "%s:%u refuses client id %s: %s", link->broker.host,
			link->broker.port, link->client_id, mosquitto_reason_string(link->reason));
	default:
		return err_set(
			info, ERR_IO, NULL, "%s:%u: %s", link->broker.host, link->broker.port, link_reason(link));
	}
}

static enum err tls_failed(const struct link *link, struct err_info *info)
{
	return err_set(info, ERR_IO, NULL, "%s:%u: the TLS handshake failed: certificate, its name or the version",
		link->broker.host, link->broker.port);
}

/* ---- reading ---- */

enum admission { ADMIT_ONE, ADMIT_NONE_YET, ADMIT_NEVER };

/* The end of the connection is for the library to find. */
static bool is_ending(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLRDHUP};
	return poll(&poller, 1, 0) > 0;
}

/* How many bytes must be there for poll to call the socket readable. */
static void wake_with(struct link *link, int fd, int bytes)
{
	if (link->wakes_with == bytes)
		return;
	link->wakes_with = bytes;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

/* Whether the library may read one packet. It reads no further than a packet's end (and one packet a call, since nothing is
 * in flight from here with QoS 1 or 2), so what was seen to be whole needs no second look. */
static enum admission admit(struct link *link)
{
	int fd = mosquitto_socket(link->mosquitto);
	ssize_t there = 0;
	size_t at = 0, size = 0;
	enum gate gate = GATE_PASS;
	if (!link->guarded || link->broker.tls_ca || link->inside_message)
		return ADMIT_ONE;
	if (link->admitted == 0) {
		there = recv(fd, link->peeked, sizeof link->peeked, MSG_PEEK | MSG_DONTWAIT);
		wake_with(link, fd, 1);
		if (there < 0 && (errno == EAGAIN || errno == EINTR))
			return ADMIT_NONE_YET;
		if (there <= 0)
			return ADMIT_ONE;
		size_t end = (size_t)there;
		while (at < end && (gate = gate_judge(link->peeked + at, end - at, &size)) == GATE_PASS &&
			size <= end - at) {
			at += size;
			link->admitted++;
		}
	}
	if (link->admitted > 0) {
		link->admitted--;
		return ADMIT_ONE;
	}
	if (gate == GATE_WRONG)
		return ADMIT_NEVER;
	if (gate == GATE_PASS) {
		link->inside_message = true;
		return ADMIT_ONE;
	}
	if (is_ending(fd))
		return ADMIT_ONE;
	wake_with(link, fd, (int)there + 1);
	return ADMIT_NONE_YET;
}

static enum err await_connack(struct link *link, int64_t deadline_us, struct err_info *info)
{
	while (!link->connected) {
		if (mosquitto_socket(link->mosquitto) < 0)
			return refused(link, info);
		if (!link_wait(link, true, deadline_us))
			return err_set(info, ERR_STOPPING, NULL, "stopping");
		if (clock_monotonic_us() >= deadline_us)
			return err_set(info, ERR_IO, NULL, "%s:%u does not answer CONNECT within %lld ms",
				link->broker.host, link->broker.port, (long long)(link->broker.connect_us / 1000));
		/* one packet at a time: what follows the CONNACK stays for the caller */
		enum admission admission = admit(link);
		int rc = admission == ADMIT_NEVER ? MOSQ_ERR_MALFORMED_PACKET : MOSQ_ERR_SUCCESS;
		if (admission == ADMIT_ONE)
			rc = mosquitto_loop_read(link->mosquitto, 1);
		if (rc == MOSQ_ERR_SUCCESS && !link->connected && mosquitto_socket(link->mosquitto) >= 0)
			rc = mosquitto_loop_write(link->mosquitto, 1);
		if (rc != MOSQ_ERR_SUCCESS && link->reason == 0)
			note_reason(link, rc);
		if (rc == MOSQ_ERR_TLS)
			return tls_failed(link, info);
		if (rc != MOSQ_ERR_SUCCESS)
			return refused(link, info);
	}
	return ERR_OK;
}

enum err link_open(struct link *link, struct err_info *info)
{
	int64_t deadline_us = clock_monotonic_us() + link->broker.connect_us;
	enum err err;
	link_drop(link);
	link->connected = link->taken = link->inside_message = false;
	link->admitted = 0;
	link->wakes_with = 1;
	link->reason = 0;
	err = knock(link, deadline_us, info);
	if (err)
		return err;
	link->mosquitto = mosquitto_new(link->client_id, !link->persistent, link);
	if (!link->mosquitto)
		return err_set(info, errno == EINVAL ? ERR_INVALID_CONFIG : ERR_NO_MEMORY, NULL, "client id %s: %s",
			link->client_id ? link->client_id : "(none)", strerror(errno));
	err = set_options(link, info);
	if (!err) {
		int rc = send_connect(link);
		if (rc == MOSQ_ERR_TLS)
			err = tls_failed(link, info);
		else if (rc != MOSQ_ERR_SUCCESS)
			err = err_set(info, rc == MOSQ_ERR_INVAL ? ERR_INVALID_CONFIG : ERR_IO, NULL, "%s:%u: %s",
				link->broker.host, link->broker.port,
				rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
	}
	/* a packet's head that is left unread keeps a whole segment of up to 64 KiB, and may not close the window by that */
	int room = RECEIVE_BYTES;
	if (!err && link->guarded)
		(void)setsockopt(mosquitto_socket(link->mosquitto), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (!err)
		err = await_connack(link, deadline_us, info);
	if (err)
		link_drop(link);
	return err;
}

/* ---- closing ---- */

void link_drop(struct link *link)
{
	mosquitto_destroy(link->mosquitto);
	link->mosquitto = NULL;
	link->connected = false;
}

void link_close(struct link *link)
{
	int64_t deadline_us = clock_monotonic_us() + CLOSE_PATIENCE_US;
	if (!link->mosquitto)
		return;
	mosquitto_disconnect_v5(link->mosquitto, 0, NULL);
	while (mosquitto_socket(link->mosquitto) >= 0 && mosquitto_want_write(link->mosquitto) &&
		clock_monotonic_us() < deadline_us) {
		struct pollfd fd = {.fd = mosquitto_socket(link->mosquitto), .events = POLLOUT};
		if (poll(&fd, 1, 100) < 0 && errno != EINTR)
			break;
		if (mosquitto_loop_write(link->mosquitto, 1) != MOSQ_ERR_SUCCESS)
			break;
	}
	link_drop(link);
}

/* ---- serving ---- */

bool link_wait(struct link *link, bool write, int64_t deadline_us)
{
	short events = POLLIN;
	if (write && mosquitto_want_write(link->mosquitto))
		events |= POLLOUT;
	wait_for(link, mosquitto_socket(link->mosquitto), events, deadline_us);
	return !woken(link);
}

bool link_pause(const struct link *link, int64_t length_us)
{
	wait_for(link, -1, 0, clock_monotonic_us() + length_us);
	return !woken(link);
}

static bool alive(struct link *link, int rc)
{
	if (rc != MOSQ_ERR_SUCCESS && link->reason == 0)
		note_reason(link, rc);
	return rc == MOSQ_ERR_SUCCESS && mosquitto_socket(link->mosquitto) >= 0;
}

bool link_read(struct link *link, bool (*full)(const void *owner), bool *ret_more)
{
	*ret_more = false;
	for (;;) {
		if (full(link->owner)) {
			*ret_more = true;
			return true;
		}
		enum admission admission = admit(link);
		if (admission != ADMIT_ONE)
			return alive(link, admission == ADMIT_NEVER ? MOSQ_ERR_MALFORMED_PACKET : MOSQ_ERR_SUCCESS);
		/* libmosquitto reports a dry socket by errno alone; under TLS poll would not show what is already decrypted */
		errno = 0;
		int rc = mosquitto_loop_read(link->mosquitto, 1);
		int error = errno;
		if (!alive(link, rc))
			return false;
		if (error == EAGAIN || error == EWOULDBLOCK) {
			struct pollfd fd = {.fd = mosquitto_socket(link->mosquitto), .events = POLLIN};
			if (poll(&fd, 1, 0) <= 0)
				return true;
		}
	}
}

bool link_write(struct link *link)
{
	return alive(link,
		mosquitto_want_write(link->mosquitto) ? mosquitto_loop_write(link->mosquitto, 1) : MOSQ_ERR_SUCCESS);
}

bool link_misc(struct link *link)
{
	return alive(link, mosquitto_loop_misc(link->mosquitto));
}

const char *link_reason(const struct link *link)
{
	if (link->reason >= MQTT_RC_UNSPECIFIED)
		return mosquitto_reason_string(link->reason);
	if (link->reason == MOSQ_ERR_ERRNO && link->error != 0)
		return strerror(link->error);
	return link->reason == 0 || link->reason == MOSQ_ERR_ERRNO ? "the broker closed the connection"
								   : mosquitto_strerror(link->reason);
}

/* ---- back-off ---- */

int64_t link_backoff_us(struct link *link)
{
	int64_t longest_us = link->broker.retry_longest_us;
	int64_t pause_us = link->backoff_us < longest_us ? link->backoff_us : longest_us;
	link->backoff_us = pause_us * 2;
	/* xorshift: gateways that lost one broker together should not come back together */
	link->random ^= link->random << 13;
	link->random ^= link->random >> 7;
	link->random ^= link->random << 17;
	link->paused_us = pause_us / 2 + (int64_t)(link->random % (uint64_t)(pause_us / 2 + 1));
	return link->paused_us;
}

void link_backoff_served(struct link *link, int64_t up_us)
{
	if (up_us >= link->paused_us)
		link_backoff_reset(link);
}

void link_backoff_reset(struct link *link)
{
	link->backoff_us = LINK_BACKOFF_FIRST_US;
}
