/* Decides how the transactions of a daemon that is gone are ended. The server keeps an open transaction, and what it has locked,
 * for a minute (transactionLifetimeLimitSeconds), whether or not its client is still there; who takes over cannot wait that long. So
 * each session is noted under its daemon's name before its first transaction, and can be killed by name. The note stays: a daemon
 * that was only paused goes on in its sessions, and may be taken over from again. Any thread. */
#include <string.h>

#include "carbond/base/clock.h"
#include "mongo.h"

#define SESSIONS    "store_sessions"
#define NOTED_FOR   CLOCK_US_PER_DAY /* half of what the server keeps a note for */
#define KILLED_MOST 1000 /* sessions in one command, newest first: a daemon has about as many as it has threads */

static bool session_id(const struct mongo_use *use, struct mongo_session *ret_session)
{
	bson_iter_t member;
	uint32_t size = 0;
	const uint8_t *data = NULL;
	if (!bson_iter_init_find(&member, mongoc_client_session_get_lsid(use->session), "id") ||
		!BSON_ITER_HOLDS_BINARY(&member))
		return false;
	bson_iter_binary(&member, NULL, &size, &data);
	if (size != sizeof ret_session->id)
		return false;
	memcpy(ret_session->id, data, size);
	return true;
}

/* Under the lock. */
static struct mongo_session *noted_among(struct mongo *back, const uint8_t *id)
{
	for (size_t i = 0; i < MONGO_SESSIONS; i++)
		if (back->sessions[i].noted_us && memcmp(back->sessions[i].id, id, sizeof back->sessions[i].id) == 0)
			return &back->sessions[i];
	return NULL;
}

static bool is_noted(struct mongo *back, const uint8_t *id)
{
	pthread_mutex_lock(&back->lock);
	const struct mongo_session *noted = noted_among(back, id);
	bool fresh = noted && clock_monotonic_us() - noted->noted_us < NOTED_FOR;
	pthread_mutex_unlock(&back->lock);
	return fresh;
}

static void remember(struct mongo *back, struct mongo_session *session)
{
	session->noted_us = clock_monotonic_us();
	pthread_mutex_lock(&back->lock);
	struct mongo_session *place = noted_among(back, session->id);
	*(place ? place : &back->sessions[back->next_session++ % MONGO_SESSIONS]) = *session;
	pthread_mutex_unlock(&back->lock);
}

bool mongo_note_session(struct mongo_use *use, struct err_info *info)
{
	struct mongo *back = use->back;
	struct mongo_session session = {.noted_us = 0};
	bson_error_t error;
	bson_t reply;
	if (!back->node[0] || !session_id(use, &session) || is_noted(back, session.id))
		return true;
	mongoc_collection_t *collection = mongo_collection(use, SESSIONS, STORE_VALUE);
	bson_t *key = BCON_NEW("_id", BCON_BIN(BSON_SUBTYPE_UUID, session.id, sizeof session.id));
	bson_t *row = BCON_NEW("_id", BCON_BIN(BSON_SUBTYPE_UUID, session.id, sizeof session.id), "node",
		BCON_UTF8(back->node), "at", BCON_DATE_TIME(clock_wall_us() / 1000));
	bson_t *options = BCON_NEW("upsert", BCON_BOOL(true));
	bool done = mongoc_collection_replace_one(collection, key, row, options, &reply, &error);
	if (done)
		remember(back, &session);
	else
		mongo_failure(back, &reply, &error, "note a session", info);
	bson_destroy(&reply);
	bson_destroy(options);
	bson_destroy(row);
	bson_destroy(key);
	mongoc_collection_destroy(collection);
	return done;
}

/* Those of this process, which may go by the same name, go on. */
static size_t add_sessions(struct mongo *back, const struct mongo_found *found, bson_t *sessions)
{
	size_t count = 0;
	for (size_t i = 0; i < found->count; i++) {
		bson_iter_t member;
		uint32_t size = 0;
		const uint8_t *id = NULL;
		char buffer[16];
		const char *key = NULL;
		bson_t session;
		if (!bson_iter_init_find(&member, found->documents[i], "_id") || !BSON_ITER_HOLDS_BINARY(&member))
			continue;
		bson_iter_binary(&member, NULL, &size, &id);
		if (size != sizeof back->sessions[0].id || is_noted(back, id))
			continue;
		bson_uint32_to_string((uint32_t)count++, &key, buffer, sizeof buffer);
		bson_append_document_begin(sessions, key, -1, &session);
		bson_append_binary(&session, "id", -1, BSON_SUBTYPE_UUID, id, size);
		bson_append_document_end(sessions, &session);
	}
	return count;
}

enum err mongo_end_writes(void *engine, const char *node, struct err_info *info)
{
	struct mongo_use use;
	struct mongo_found found;
	enum err err = mongo_use_start(engine, &use, info);
	if (err)
		return err;
	bson_t *filter = BCON_NEW("node", BCON_UTF8(node)),
	       *options = BCON_NEW("sort", "{", "at", BCON_INT32(-1), "}", "limit", BCON_INT64(KILLED_MOST));
	bson_t sessions = BSON_INITIALIZER, command = BSON_INITIALIZER;
	err = mongo_find(&use, SESSIONS, filter, options, KILLED_MOST, 0, &found, info);
	if (!err && add_sessions(engine, &found, &sessions)) {
		bson_error_t error;
		bson_append_array(&command, "killSessions", -1, &sessions);
		err = mongo_command(&use, &command, true, NULL, &error, info);
	}
	mongo_found_free(&found);
	bson_destroy(&command);
	bson_destroy(&sessions);
	bson_destroy(options);
	bson_destroy(filter);
	mongo_use_end(&use);
	return err;
}
