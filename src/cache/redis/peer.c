/* One connection to Redis. hiredis takes the replies apart; the socket is read here, for three things that hiredis 0.14 does
 * not have: one deadline for a whole exchange (its own starts again with every byte that trickles in), a
 * limit to the size of a reply, and one to the number of an array's members, which it would allocate unseen. Runs on the
 * link's and the listener's thread, each with its own. */
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "redis.h"

#define SLICE_MS       50 /* a stop is seen within it */
#define ARRAY_MOST     64 /* members; we ask for nothing longer than three */
#define READ_BYTES     16384
#define PASSWORD_BYTES 512

static redisReplyObjectFunctions limited;
static void *(*create_array)(const redisReadTask *, int);
static pthread_once_t limit_once = PTHREAD_ONCE_INIT;

static void *create_short_array(const redisReadTask *task, int elements)
{
	return elements > ARRAY_MOST ? NULL : create_array(task, elements);
}

static void make_limited(void)
{
	redisReader *reader = redisReaderCreate();
	if (!reader)
		return;
	limited = *reader->fn;
	create_array = limited.createArray;
	limited.createArray = create_short_array;
	redisReaderFree(reader);
}

/* Waits for `events`; ERR_OK says that something is there to look at. */
static enum err wait_for(
	struct redis *redis, const struct peer *peer, short events, int64_t deadline_us, struct err_info *info)
{
	while (!atomic_load(&redis->stopping)) {
		struct pollfd waited = {.fd = peer->fd, .events = events};
		int64_t left_us = deadline_us - clock_monotonic_us();
		int left_ms = left_us <= 0 ? 0 : left_us > SLICE_MS * 1000 ? SLICE_MS : (int)((left_us + 999) / 1000);
		int ready = poll(&waited, 1, left_ms);
		if (ready > 0)
			return ERR_OK;
		if (ready < 0 && errno != EINTR)
			return err_set(info, ERR_IO, NULL, "poll: %s", strerror(errno));
		if (left_us <= 0)
			return err_set(info, ERR_DEADLINE, NULL, "no answer in time");
	}
	return err_set(info, ERR_STOPPING, NULL, "carbond stops");
}

/* ---- connecting ---- */

static enum err connect_to(struct redis *redis, struct peer *peer, const struct sockaddr *address, socklen_t size,
	int64_t deadline_us, struct err_info *info)
{
	int failed = 0, one = 1;
	socklen_t failed_size = sizeof failed;
	peer->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (peer->fd < 0)
		return err_set(info, ERR_IO, NULL, "socket: %s", strerror(errno));
	if (address->sa_family != AF_UNIX)
		setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(peer->fd, address, size) == 0)
		return ERR_OK;
	if (errno != EINPROGRESS)
		return err_set(info, ERR_IO, NULL, "connect: %s", strerror(errno));
	enum err err = wait_for(redis, peer, POLLOUT, deadline_us, info);
	if (!err)
		getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &failed, &failed_size);
	return err || !failed ? err : err_set(info, ERR_IO, NULL, "connect: %s", strerror(failed));
}

static enum err connect_host(struct redis *redis, struct peer *peer, int64_t deadline_us, struct err_info *info)
{
	struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	int failed = getaddrinfo(redis->address.host, redis->address.port, &hints, &found);
	enum err err = failed ? err_set(info, ERR_IO, NULL, "%s", gai_strerror(failed)) : ERR_IO;
	for (struct addrinfo *each = found; each && err; each = each->ai_next) {
		peer_close(peer);
		err = connect_to(redis, peer, each->ai_addr, each->ai_addrlen, deadline_us, info);
	}
	if (found)
		freeaddrinfo(found);
	return err;
}

/* Sends the one command that was added, and wants +OK. Of a refusal its first word is told, for some repeat the command, and
 * with it the password. */
static enum err want_ok(struct redis *redis, struct peer *peer, int64_t deadline_us, struct err_info *info)
{
	redisReply *reply = NULL;
	enum err err = peer_send(redis, peer, deadline_us, info);
	if (!err)
		err = peer_receive(redis, peer, deadline_us, &reply, info);
	if (!err && (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "OK") != 0))
		err = err_set(info, ERR_IO, NULL, "refused: %.*s",
			reply->type == REDIS_REPLY_ERROR ? (int)strspn(reply->str, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0,
			reply->str ? reply->str : "");
	if (reply)
		freeReplyObject(reply);
	return err;
}

static enum err give_password(struct redis *redis, struct peer *peer, int64_t deadline_us, struct err_info *info)
{
	char password[PASSWORD_BYTES];
	int fd = open(redis->password_file, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, password, sizeof password - 1);
	if (fd >= 0)
		close(fd);
	if (size < 0)
		return err_set(info, ERR_IO, NULL, "%s: %s", redis->password_file, strerror(errno));
	password[size] = 0;
	password[strcspn(password, "\r\n")] = 0;
	peer_add_words(peer, (const char *[]){"AUTH", password}, 2);
	explicit_bzero(password, sizeof password);
	enum err err = want_ok(redis, peer, deadline_us, info);
	if (peer->out.data)
		explicit_bzero(peer->out.data, peer->out.capacity);
	return err;
}

enum err peer_open(struct redis *redis, struct peer *peer, int64_t deadline_us, struct err_info *info)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	enum err err;
	pthread_once(&limit_once, make_limited);
	peer_close(peer);
	peer->reader = create_array ? redisReaderCreateWithFunctions(&limited) : NULL;
	if (!peer->reader)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a connection");
	if (*redis->address.path) {
		memcpy(local.sun_path, redis->address.path, sizeof local.sun_path);
		err = connect_to(redis, peer, (struct sockaddr *)&local, sizeof local, deadline_us, info);
	} else {
		struct redisReader *reader = peer->reader;
		peer->reader = NULL; /* out of the way of the attempts */
		err = connect_host(redis, peer, deadline_us, info);
		peer->reader = reader;
	}
	if (!err && *redis->password_file)
		err = give_password(redis, peer, deadline_us, info);
	if (!err && redis->address.database) {
		char database[16];
		snprintf(database, sizeof database, "%d", redis->address.database);
		peer_add_words(peer, (const char *[]){"SELECT", database}, 2);
		err = want_ok(redis, peer, deadline_us, info);
	}
	if (err)
		peer_close(peer);
	return err;
}

void peer_close(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	if (peer->reader)
		redisReaderFree(peer->reader);
	text_free(&peer->out);
	*peer = PEER_CLOSED;
}

/* ---- exchanging ---- */

void peer_add(struct peer *peer, const char *const *words, const size_t *sizes, size_t count)
{
	char head[32];
	text_add(&peer->out, head, (size_t)snprintf(head, sizeof head, "*%zu\r\n", count));
	for (size_t i = 0; i < count; i++) {
		text_add(&peer->out, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", sizes[i]));
		text_add(&peer->out, words[i], sizes[i]);
		text_add(&peer->out, "\r\n", 2);
	}
}

void peer_add_words(struct peer *peer, const char *const *words, size_t count)
{
	size_t sizes[8];
	for (size_t i = 0; i < count && i < 8; i++)
		sizes[i] = strlen(words[i]);
	peer_add(peer, words, sizes, count);
}

enum err peer_send(struct redis *redis, struct peer *peer, int64_t deadline_us, struct err_info *info)
{
	enum err err = peer->out.failed ? err_set(info, ERR_NO_MEMORY, NULL, "no memory for commands") : ERR_OK;
	size_t sent = 0;
	while (!err && sent < peer->out.size) {
		ssize_t size = send(peer->fd, peer->out.data + sent, peer->out.size - sent, MSG_NOSIGNAL);
		if (size > 0)
			sent += (size_t)size;
		else if (errno == EAGAIN || errno == EINTR)
			err = wait_for(redis, peer, POLLOUT, deadline_us, info);
		else
			err = err_set(info, ERR_IO, NULL, "send: %s", strerror(errno));
	}
	peer->out.size = 0;
	return err;
}

static enum err receive_more(struct redis *redis, struct peer *peer, int64_t deadline_us, struct err_info *info)
{
	char bytes[READ_BYTES];
	enum err err = wait_for(redis, peer, POLLIN, deadline_us, info);
	if (err)
		return err;
	ssize_t size = recv(peer->fd, bytes, sizeof bytes, 0);
	if (size == 0)
		return err_set(info, ERR_IO, NULL, "the connection was ended");
	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_OK
							 : err_set(info, ERR_IO, NULL, "receive: %s", strerror(errno));
	peer->unparsed += (size_t)size;
	if (peer->unparsed > LIMIT_CACHE_REDIS_REPLY_BYTES)
		return err_set(info, ERR_IO, NULL, "an answer longer than any that was asked for");
	if (redisReaderFeed(peer->reader, bytes, (size_t)size) != REDIS_OK)
		return err_set(info, ERR_IO, NULL, "not the protocol of Redis: %s", peer->reader->errstr);
	return ERR_OK;
}

enum err peer_receive(struct redis *redis, struct peer *peer, int64_t deadline_us, struct redisReply **ret_reply,
	struct err_info *info)
{
	for (;;) {
		void *reply = NULL;
		if (redisReaderGetReply(peer->reader, &reply) != REDIS_OK)
			return err_set(info, ERR_IO, NULL, "not the protocol of Redis: %s", peer->reader->errstr);
		if (reply) {
			peer->unparsed = peer->reader->len - peer->reader->pos;
			*ret_reply = reply;
			return ERR_OK;
		}
		enum err err = receive_more(redis, peer, deadline_us, info);
		if (err)
			return err;
	}
}
