/* Decides what an error of the driver or server means: nothing was done, it may have been done, or who was faster. What is
 * unknown is never guessed here; write.c reads it back. Any thread. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "carbond/base/clock.h"
#include "mongo.h"

#define PAUSE_FIRST_US INT64_C(1000)
#define PAUSE_MOST_US  INT64_C(200000)

/* Codes of the server by which an operation stops halfway, or of which it cannot say how far it came: fail-over, shutdown,
 * interruption, deadlines, a write concern that was not met in time. */
static const int unknown_codes[] = {6, 7, 24, 50, 64, 79, 89, 91, 100, 134, 189, 202, 234, 262, 9001, 10058, 10107,
	11600, 11601, 11602, 13388, 13435, 13436};
/* WriteConflict, SnapshotUnavailable, SnapshotTooOld, NoSuchTransaction, TransactionTooOld, LockTimeout in a transaction */
static const int conflict_codes[] = {112, 225, 239, 246, 251};

static bool is_among(int code, const int *codes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (codes[i] == code)
			return true;
	return false;
}

static bool is_duplicate(int code)
{
	return code == 11000 || code == 11001 || code == 12582;
}

static bool has_label(const bson_t *reply, const char *label)
{
	return reply && mongoc_error_has_label(reply, label);
}

enum mongo_fate mongo_fate_of(const bson_t *reply, const bson_error_t *error)
{
	int code = (int)error->code;
	if (error->domain == MONGOC_ERROR_SERVER_SELECTION)
		return FATE_UNSENT;
	if (error->domain == MONGOC_ERROR_STREAM || error->domain == MONGOC_ERROR_WRITE_CONCERN)
		return FATE_UNKNOWN;
	if (has_label(reply, "UnknownTransactionCommitResult"))
		return FATE_UNKNOWN;
	if (error->domain == MONGOC_ERROR_SERVER || error->domain == MONGOC_ERROR_COMMAND ||
		error->domain == MONGOC_ERROR_QUERY || error->domain == MONGOC_ERROR_CURSOR) {
		if (is_duplicate(code))
			return FATE_DUPLICATE;
		if (is_among(code, conflict_codes, sizeof conflict_codes / sizeof conflict_codes[0]))
			return FATE_CONFLICT;
		if (is_among(code, unknown_codes, sizeof unknown_codes / sizeof unknown_codes[0]) ||
			has_label(reply, "RetryableWriteError"))
			return FATE_UNKNOWN;
		return has_label(reply, "TransientTransactionError") ? FATE_CONFLICT : FATE_REFUSED;
	}
	/* the client's own checks (too large a document, a bad option) come before anything is sent */
	return error->domain == MONGOC_ERROR_BSON || error->domain == MONGOC_ERROR_CLIENT ? FATE_REFUSED : FATE_UNKNOWN;
}

static enum err meaning(enum mongo_fate fate, const bson_error_t *error)
{
	if (fate == FATE_CONFLICT || fate == FATE_UNSENT || fate == FATE_UNKNOWN)
		return ERR_BUSY;
	if (fate == FATE_DUPLICATE)
		return ERR_DUPLICATE;
	switch (error->code) {
	case 13: /* Unauthorized */
	case 18: /* AuthenticationFailed */
	case 8000: /* the same, of a hosted cluster */ return ERR_INVALID_CONFIG;
	case 14031: return ERR_NO_SPACE; /* OutOfDiskSpace */
	case 10334:
	case 17280:
	case 17419:
	case 17420: return ERR_TOO_LARGE;
	default: return error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE ? ERR_INVALID_CONFIG : ERR_INTERNAL;
	}
}

enum err mongo_failure(
	struct mongo *back, const bson_t *reply, const bson_error_t *error, const char *what, struct err_info *info)
{
	enum err err = meaning(mongo_fate_of(reply, error), error);
	if (err == ERR_NO_SPACE)
		atomic_store(&back->full, true);
	return err_set(info, err, NULL, "MongoDB: %s: %s (%u)", what, error->message, error->code);
}

bool mongo_pause(unsigned *attempt, int64_t deadline_us)
{
	int64_t pause_us = PAUSE_FIRST_US << (*attempt < 8 ? *attempt : 8);
	if (pause_us > PAUSE_MOST_US)
		pause_us = PAUSE_MOST_US;
	if (clock_monotonic_us() + pause_us >= deadline_us)
		return false;
	++*attempt;
	struct timespec pause = {.tv_nsec = (long)pause_us * 1000};
	nanosleep(&pause, NULL);
	return true;
}

/* "… E11000 duplicate key error collection: db.things index: carbond.slug dup key: …" */
void mongo_index_of(const char *text, char ret_name[MONGO_NAME_SIZE])
{
	const char *start = strstr(text, " index: ");
	ret_name[0] = 0;
	if (!start)
		return;
	start += strlen(" index: ");
	size_t size = strcspn(start, " ");
	snprintf(ret_name, MONGO_NAME_SIZE, "%.*s", (int)size, start);
}

bson_t *mongo_options(const struct mongo_use *use)
{
	bson_t *options = bson_new();
	bson_error_t error;
	if (use->session && !mongoc_client_session_append(use->session, options, &error)) {
		bson_destroy(
			options); /* a session of another client: a fault of ours that the server would refuse, too */
		options = bson_new();
	}
	return options;
}

enum err mongo_command(struct mongo_use *use, const bson_t *command, bool repeat, bson_t *ret_reply,
	bson_error_t *ret_error, struct err_info *info)
{
	int64_t deadline_us = clock_monotonic_us() + MONGO_WRITE_US;
	unsigned attempt = 0;
	for (;;) {
		bson_t reply;
		bson_t *options = mongo_options(use);
		bool done = mongoc_client_write_command_with_opts(
			use->client, use->back->database, command, options, &reply, ret_error);
		bson_destroy(options);
		enum mongo_fate fate = done ? FATE_DONE : mongo_fate_of(&reply, ret_error);
		bool again = fate == FATE_CONFLICT || fate == FATE_UNSENT || (fate == FATE_UNKNOWN && repeat);
		if (!again || !mongo_pause(&attempt, deadline_us)) {
			enum err err = done ? ERR_OK : mongo_failure(use->back, &reply, ret_error, "command", info);
			if (ret_reply)
				bson_steal(ret_reply, &reply);
			else
				bson_destroy(&reply);
			return err;
		}
		bson_destroy(&reply);
	}
}
