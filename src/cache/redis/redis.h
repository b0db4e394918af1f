/* What the files of the Redis back end share. redis.c is what callers meet, link.c and listener.c are its two threads, each
 * with a connection of its own, peer.c is one connection, notice.c is what daemons tell each other. */
#ifndef CARBOND_CACHE_REDIS_H
#define CARBOND_CACHE_REDIS_H

#include <pthread.h>
#include <stdatomic.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/seal.h"
#include "carbond/base/text.h"
#include "carbond/cache.h"
#include "carbond/runtime.h"

/* ---- address.c ---- */

struct redis_address {
	char path[108]; /* of a unix socket; "": TCP */
	char host[256];
	char port[8];
	int database;
};

/* redis://host[:port][/database] or redis+unix:///path[?db=database]. ERR_INVALID_CONFIG; the text is not quoted, for a
 * password may stand in it by mistake. */
enum err redis_address_parse(const char *uri, struct redis_address *ret_address, struct err_info *info) MUST_CHECK;

/* ---- peer.c: one connection; its thread only ---- */

struct redisReply;
struct redisReader;

struct peer {
	int fd; /* -1: not connected */
	struct redisReader *reader;
	struct text out;
	size_t unparsed; /* bytes read since the last whole reply */
};

#define PEER_CLOSED ((struct peer){.fd = -1})

struct redis;

/* Connects, gives the password, chooses the database; all of it by `deadline_us` (monotonic), but for the look-up of a
 * host's name, which has the resolver's own. */
enum err peer_open(struct redis *redis, struct peer *peer, int64_t deadline_us, struct err_info *info) MUST_CHECK;
void peer_close(struct peer *peer);
/* Adds a command to what peer_send sends. */
void peer_add(struct peer *peer, const char *const *words, const size_t *sizes, size_t count);
void peer_add_words(struct peer *peer, const char *const *words, size_t count);
/* Sends what was added. Every failure but ERR_DEADLINE of peer_receive leaves the connection useless. */
enum err peer_send(struct redis *redis, struct peer *peer, int64_t deadline_us, struct err_info *info) MUST_CHECK;
/* The next reply; the caller frees it with freeReplyObject. ERR_DEADLINE, ERR_IO (ended, malformed or too large),
 * ERR_STOPPING. */
enum err peer_receive(struct redis *redis, struct peer *peer, int64_t deadline_us, struct redisReply **ret_reply,
	struct err_info *info) MUST_CHECK;

/* ---- notice.c: what daemons tell each other ---- */

enum notice_kind { NOTICE_ALIVE, NOTICE_DROP, NOTICE_PUBLISH };

#define NOTICE_HEAD_BYTES 19 /* sender, number, kind, size of the topic */

/* A sender numbers its notices from 1; a gap tells a listener that it has missed some. */
struct notice {
	uint64_t sender;
	uint64_t number;
	enum notice_kind kind;
	char topic[CACHE_KEY_MAX + 1]; /* a key to drop, or a topic */
	size_t size;
	const uint8_t *data;
};

/* The sealed bytes, malloc'ed; NULL without memory. */
uint8_t *notice_write(const struct redis *redis, const struct notice *notice, size_t *ret_size);
/* `ret_notice` points into the arena. ERR_BAD_SEAL for what none of us has sent. */
enum err notice_read(const struct redis *redis, const void *sealed, size_t size, struct arena *arena,
	struct notice *ret_notice) MUST_CHECK;

/* ---- link.c: settles rates and sends notices ---- */

/* What a key has taken since it was last settled. */
struct due {
	uint64_t hash; /* 0: an empty place */
	int64_t cost_us, burst_us;
	int64_t now_us; /* the caller's clock at the last take */
	char key[CACHE_KEY_MAX + 1];
};

struct dues {
	size_t count;
	struct due due[LIMIT_CACHE_REDIS_DUES];
};

/* A notice on its way to the link; freed by it. */
struct outgoing {
	uint64_t number;
	enum notice_kind kind;
	size_t size;
	char topic[CACHE_KEY_MAX + 1];
	uint8_t data[];
};

enum link_state { LINK_UNTRIED, LINK_UP, LINK_AWAY };

struct redis {
	struct cache cache;
	struct cache *local; /* answers every call */
	/* set by open */
	struct redis_address address;
	char password_file[1024];
	int64_t deadline_us, deaf_us;
	struct seal_key *seal_keys;
	size_t seal_key_count;
	uint64_t sender;
	char name[40];    /* begins the names of all our keys */
	char channel[48]; /* of our notices */
	/* callers and both threads */
	atomic_bool stopping; /* waits end at once; the link's alone end by their deadline, with its mailbox */
	atomic_bool up;       /* the link answers: takes and notices are handed to it */
	atomic_bool hearing;  /* notices arrive: values may live as long as they were given */
	/* callers and link */
	pthread_mutex_t number_lock; /* rank: outside of the mailbox's */
	uint64_t number;             /* of the last notice, sent or not */
	struct mailbox *outbox;
	pthread_mutex_t dues_lock; /* rank: innermost */
	struct dues *collecting;
	/* the link alone */
	struct thread *link;
	struct dues *settling;
	/* the listener alone */
	struct thread *listener;
};

/* Its place, or the empty one where it belongs; NULL: there is none. With dues_lock held. */
struct due *redis_due_find(struct dues *dues, uint64_t hash, const char *key);

void link_run(void *redis);
void listener_run(void *redis);
/* How long to pause after a failed attempt: twice the last pause, half of it random, within limits. */
int64_t link_pause_us(int64_t last_us);
/* One line where the state changes; nothing where it does not. */
void link_tell(enum link_state *state, enum link_state now, const char *connection, const struct err_info *info);

#endif
