/* Several daemons on one store and one broker: who has which session. A session keeps what the broker gave its node, also after
 * the node has died; so the lease `mqtt.<node>` says who may use its client ids: the node itself, or, where it is gone, one of
 * the others, which takes what is in the session into its own log, and gives the lease back when the node is there again. The
 * thread `mqtt-sessions`. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "ingest_parts.h"

#define DRAINED_US (5 * CLOCK_US_PER_SECOND) /* a session is empty when nothing has come out of it for so long */

/* What a node that is gone has left behind. */
struct left {
	char node[MEMBER_NAME_SIZE];
	struct lease *lease;
	bool draining, drained;
	int64_t drained_us; /* monotonic */
	struct connection connections[INGEST_CONNECTIONS_MAX];
};

struct sessions {
	struct ingest *ingest;
	struct lease *lease; /* of this node's own */
	struct turns *turns;

	/* the thread */
	bool connected;
	enum err last_fault; /* told once */
	struct left *left[MEMBERS_MAX];
	size_t left_count;
};

/* A node that has no lease never had a session, or is about to be forgotten. */
static struct lease *lease_of(const struct ingest *ingest, const char *node)
{
	char name[MEMBER_NAME_SIZE + 8];
	snprintf(name, sizeof name, INGEST_SESSION_LEASE "%s", node);
	return lease_new(&(struct lease_options){.store = ingest->store,
		.name = name,
		.holder = ingest->node,
		.heir = true,
		.standing_only = strcmp(node, ingest->node) != 0});
}

/* ---- our own ---- */

static void own_stop(struct sessions *sessions)
{
	for (unsigned i = 0; i < sessions->ingest->connection_count; i++)
		connection_stop(&sessions->ingest->connections[i]);
	sessions->connected = false;
}

static enum err own_look(struct sessions *sessions, struct err_info *info)
{
	struct ingest *ingest = sessions->ingest;
	bool held;
	int64_t before = lease_term(sessions->lease);
	enum err err = lease_try(sessions->lease, &held, info);
	/* by another term: somebody may have been connected meanwhile, and a consumer whose session is taken gives up for good */
	if (sessions->connected && (!held || lease_term(sessions->lease) != before))
		own_stop(sessions);
	if (err || !held || sessions->connected)
		return err;
	for (unsigned i = 0; i < ingest->connection_count && !err; i++)
		err = connection_start(ingest, ingest->node, i, sessions->lease, false, &ingest->connections[i], info);
	sessions->connected = err == ERR_OK;
	if (err)
		own_stop(sessions);
	return err;
}

/* ---- those of nodes that are gone ---- */

static void drain_stop(struct left *left)
{
	for (unsigned i = 0; left->draining && i < INGEST_CONNECTIONS_MAX; i++)
		connection_stop(&left->connections[i]);
	left->draining = false;
}

static enum err drain_start(struct sessions *sessions, struct left *left, struct err_info *info)
{
	struct ingest *ingest = sessions->ingest;
	enum err err = ERR_OK;
	left->draining = true;
	for (unsigned i = 0; i < ingest->connection_count && !err; i++)
		err = connection_start(ingest, left->node, i, left->lease, true, &left->connections[i], info);
	if (err)
		drain_stop(left);
	else
		log_line(LOG_LEVEL_INFO, "mqtt_session_drained",
			"what the broker holds for a daemon that is gone is taken here", "node", left->node, NULL);
	return err;
}

static bool is_drained(const struct sessions *sessions, const struct left *left)
{
	for (unsigned i = 0; i < sessions->ingest->connection_count; i++)
		if (mqtt_consumer_quiet_us(left->connections[i].consumer) < DRAINED_US)
			return false;
	return true;
}

static enum err left_look(struct sessions *sessions, struct left *left, struct err_info *info)
{
	bool held;
	enum err err = lease_try(left->lease, &held, info);
	if (left->draining && !held)
		drain_stop(left);
	if (err || !held)
		return err;
	if (left->drained) {
		bool kept = clock_monotonic_us() - left->drained_us < members_kept_us(sessions->ingest->members);
		return kept ? ERR_OK : lease_remove(left->lease, info); /* and then the node is forgotten, too */
	}
	if (!left->draining)
		return drain_start(sessions, left, info);
	if (is_drained(sessions, left)) {
		/* the lease is kept for now: nobody need look again before the node is back */
		drain_stop(left);
		left->drained = true;
		left->drained_us = clock_monotonic_us();
	}
	return ERR_OK;
}

static struct left *find(struct sessions *sessions, const char *node)
{
	for (size_t i = 0; i < sessions->left_count; i++)
		if (strcmp(sessions->left[i]->node, node) == 0)
			return sessions->left[i];
	return NULL;
}

static void let_go(struct sessions *sessions, size_t number)
{
	struct left *left = sessions->left[number];
	struct err_info info = {0};
	drain_stop(left);
	if (left->lease && lease_release(left->lease, &info) != ERR_OK)
		log_failure("mqtt_session_not_released", &info, "node", left->node, NULL);
	lease_free(&left->lease);
	free(left);
	sessions->left[number] = sessions->left[--sessions->left_count];
}

static bool is_among(char names[MEMBERS_MAX][MEMBER_NAME_SIZE], size_t count, const char *node)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], node) == 0)
			return true;
	return false;
}

static enum err gone_look(struct sessions *sessions, struct err_info *info)
{
	struct ingest *ingest = sessions->ingest;
	char names[MEMBERS_MAX][MEMBER_NAME_SIZE];
	size_t count = members_gone(ingest->members, names);
	enum err err = ERR_OK;
	for (size_t i = 0; i < count; i++) {
		if (find(sessions, names[i]) || sessions->left_count == MEMBERS_MAX)
			continue;
		struct left *left = calloc(1, sizeof *left);
		if (left)
			left->lease = lease_of(ingest, names[i]);
		if (!left || !left->lease) {
			free(left);
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for a lease");
		}
		memcpy(left->node, names[i], sizeof left->node);
		sessions->left[sessions->left_count++] = left;
	}
	for (size_t i = sessions->left_count; i-- > 0;)
		if (!is_among(names, count, sessions->left[i]->node)) /* it is alive, or forgotten */
			let_go(sessions, i);
	for (size_t i = 0; i < sessions->left_count && !err; i++)
		err = left_look(sessions, sessions->left[i], info);
	return err;
}

/* ---- the thread ---- */

static void run(void *argument)
{
	struct sessions *sessions = argument;
	do {
		struct err_info info = {0};
		enum err err = own_look(sessions, &info);
		if (!err)
			err = gone_look(sessions, &info);
		if (err && err != sessions->last_fault)
			log_failure("mqtt_sessions_failed", &info, NULL);
		sessions->last_fault = err;
	} while (turns_wait(sessions->turns, LEASE_BEAT_US));
	struct err_info info = {0};
	while (sessions->left_count)
		let_go(sessions, 0);
	own_stop(sessions);
	if (lease_release(sessions->lease, &info) != ERR_OK)
		log_failure("mqtt_session_not_released", &info, NULL);
}

enum err sessions_start(struct ingest *ingest, struct err_info *info)
{
	struct sessions *sessions = calloc(1, sizeof *sessions);
	if (!sessions)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the broker's sessions");
	sessions->ingest = ingest;
	ingest->sessions = sessions;
	sessions->lease = lease_of(ingest, ingest->node);
	enum err err = sessions->lease ? turns_start("mqtt-sessions", run, sessions, &sessions->turns) : ERR_NO_MEMORY;
	return err ? err_set(info, err, NULL, "the thread of the broker's sessions does not start") : ERR_OK;
}

void sessions_stop(struct ingest *ingest)
{
	struct sessions *sessions = ingest->sessions;
	if (!sessions)
		return;
	turns_stop(&sessions->turns);
	lease_free(&sessions->lease);
	free(sessions);
	ingest->sessions = NULL;
}
