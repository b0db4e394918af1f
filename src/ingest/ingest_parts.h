/* What the files of this room share. */
#ifndef INGEST_PARTS_H
#define INGEST_PARTS_H

#include "carbond/ingest.h"
#include "writer.h"

struct connection;

struct ingest {
	/* constant after start */
	struct store *store;
	struct sensing *sensing;
	struct writer *writer;
	struct connection *connections;
	unsigned connection_count;
	char share_group_text[80];
	const char *share_group; /* NULL: not shared */
};

/* carbond/v1/<org>/<unit>/readings, cut into its parts in the arena. False: another topic, or no memory. */
bool ingest_topic_parts(const char *topic, struct arena *arena, const char **ret_org, const char **ret_unit);

#endif
