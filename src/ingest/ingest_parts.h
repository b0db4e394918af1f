/* What the files of this room share. */
#ifndef INGEST_PARTS_H
#define INGEST_PARTS_H

#include <pthread.h>

#include "carbond/ingest.h"
#include "writer.h"

/* A connection to the broker: one of this node's, or one that drains what a node that is gone has left behind. */
struct connection {
	struct ingest *ingest;
	struct mqtt_consumer *consumer; /* NULL: it is not made now */
	const struct lease *lease;      /* without which it does not connect; NULL: none is needed */
	char name[16], client_id[64];
};

struct sessions; /* sessions.c */

struct ingest {
	/* constant after start */
	struct store *store;
	struct sensing *sensing;
	struct writer *writer;
	struct connection *connections; /* this node's */
	unsigned connection_count;
	char share_group_text[80];
	const char *share_group; /* NULL: not shared */
	char node[32];
	struct members *members; /* NULL: no other daemon uses the store */
	struct arena *arena;     /* of the broker's texts */
	struct mqtt_broker broker;
	size_t batch_messages;
	pthread_mutex_t lock; /* of `consumer` in connections; innermost */
	struct sessions *sessions;
};

/* Connects as number `number` of `node`; `drain` as in mqtt.h. */
enum err connection_start(struct ingest *ingest, const char *node, unsigned number, const struct lease *lease,
	bool drain, struct connection *connection, struct err_info *info) MUST_CHECK;
void connection_stop(struct connection *connection);

/* The thread that leases this node's sessions, connects while it has them, and drains those of nodes that are gone. */
enum err sessions_start(struct ingest *ingest, struct err_info *info) MUST_CHECK;
void sessions_stop(struct ingest *ingest);

/* carbond/v1/<org>/<unit>/readings, cut into its parts in the arena. False: another topic, or no memory. */
bool ingest_topic_parts(const char *topic, struct arena *arena, const char **ret_org, const char **ret_unit);

#endif
