/* Every queue, loop, body, batch and retry has a limit, with its reason (practice 19). A room adds its own here. */
#ifndef CARBOND_BASE_LIMITS_H
#define CARBOND_BASE_LIMITS_H

#define LIMIT_ARENA_BYTES  (64u << 20)               /* one request or piece of work; a year of hourly rows fits */
#define LIMIT_JSON_BYTES   (16u << 20)               /* largest document parsed whole: a posted batch of readings */
#define LIMIT_JSON_DEPTH   32                        /* deepest document: methodologies nest about 12 */
#define LIMIT_TEXT_BYTES   1024                      /* a name or note where the field table says nothing else */
#define LIMIT_PAGE_ROWS    1000                      /* one page of any collection */
#define LIMIT_JSON_INTEGER INT64_C(9007199254740991) /* 2^53 − 1: every JSON reader agrees on it */

/* payloads of readings */
#define LIMIT_PAYLOAD_READINGS  100000       /* one payload: a day at 1 Hz as packed columns */
#define LIMIT_PAYLOAD_VALUES    1000000      /* JSON values of one document of readings: 32 bytes of memory each */
#define LIMIT_BATCH_ARENA_BYTES (256u << 20) /* a decoded batch, also if every item of it is refused */
#define LIMIT_DEVICE_BOOT_BYTES 64           /* a device's start-up id */

/* engine */
#define LIMIT_ENGINE_MAILBOX         16384        /* commands waiting: about 100 ms of work */
#define LIMIT_ENGINE_BATCH_BYTES     (256u << 10) /* a journal batch is cut here, between commands (decision 8) */
#define LIMIT_ENGINE_BATCH_COMMANDS  4096         /* replies of one batch */
#define LIMIT_ENGINE_SNAPSHOT_EVENTS 1000000      /* replay after a snapshot takes about a second */
#define LIMIT_ENGINE_VAULT_ROWS      100          /* texts of one command: a beneficiary for each line of a purchase */
#define LIMIT_ENGINE_BATCH_ROWS      16384        /* texts of one batch: four for each of its commands */

/* http */
#define LIMIT_HTTP_HEADERS      100  /* header lines of a request: browsers and proxies send about 30 */
#define LIMIT_HTTP_PARAMETERS   64   /* query parameters of a request */
#define LIMIT_HTTP_TARGET_BYTES 8192 /* path and query: many sensors in one query */
#define LIMIT_HTTP_CONNECTION_BYTES \
	(24u << 10) /* a connection's pool: head of a request, buffers of its body; all of it is cleared for each request */
#define LIMIT_HTTP_BODIES_BYTES (256ll << 20) /* bodies of all open requests together */
#define LIMIT_HTTP_GZIP_BYTES   1024          /* below it compression costs more than it saves */
#define LIMIT_HTTP_PEM_BYTES    (64u << 10)   /* a certificate chain or key file */

/* cache */
#define LIMIT_CACHE_BYTES        (64u << 20) /* rendered answers; the page cache of the store is apart from it */
#define LIMIT_CACHE_RATE_BUCKETS 65536       /* keys and addresses whose rate is watched at once: 1 MiB */

#define LIMIT_CACHE_REDIS_DUES         4096        /* keys whose takes wait to be settled: those of one turn of 20 ms */
#define LIMIT_CACHE_REDIS_OUTBOX       4096        /* notices that wait for the link: as many a turn as rows change */
#define LIMIT_CACHE_REDIS_NOTICE_BYTES (64u << 10) /* a published notice; a larger one stays with its daemon */
#define LIMIT_CACHE_REDIS_REPLY_BYTES  (256u << 10) /* from Redis: a notice is the longest that we ask for */

/* identity */
#define LIMIT_IDENTITY_KEYS            10000 /* API keys in the snapshot: about 2 MB */
#define LIMIT_IDENTITY_ORGANISATIONS   10000
#define LIMIT_IDENTITY_KEY_BURST       2000 /* cost units that one key may spend at once … */
#define LIMIT_IDENTITY_KEY_PER_SECOND  1000 /* … and then a second: a plant's gateway at 1 Hz needs few */
#define LIMIT_IDENTITY_PEER_BURST      500  /* the same for an address without a key, or with a wrong one */
#define LIMIT_IDENTITY_PEER_PER_SECOND 100

#endif
