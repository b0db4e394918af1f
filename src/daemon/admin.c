/* The admin socket: a unix socket in the data directory (0600), for carbonctl and scripts on this machine. One JSON request a
 * line, one JSON answer a line, in order. One thread serves all connections; a verb that takes long (backup) makes the
 * others wait. Only the daemon's own user and root get in. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "carbond/engine.h"
#include "carbond/identity.h"
#include "carbond/ingest.h"
#include "daemon.h"

#define CONNECTIONS_MAX   8
#define REQUEST_BYTES_MAX (64u << 10)
#define IDLE_US           (5 * CLOCK_US_PER_MINUTE)
#define SEND_S            5
#define STATE_US          (30 * CLOCK_US_PER_SECOND)

struct connection {
	int socket; /* −1: free */
	int64_t last_us;
	size_t used;
	char *line; /* REQUEST_BYTES_MAX */
};

struct admin {
	struct daemon *daemon;
	struct thread *thread;
	int listener, wake;
	char path[PATH_MAX];
	struct connection connections[CONNECTIONS_MAX];
};

/* ---- verbs ---- */

static json_t *status(struct daemon *daemon)
{
	char registry[ID_TEXT_SIZE], started[CLOCK_TEXT_SIZE], reason[256];
	json_t *reasons = json_array();
	const struct api *api = &daemon->api;

	for (const struct api_check *check = api->checks; check && check->name; check++)
		if (!check->ready(check->context, reason, sizeof(reason)))
			json_array_append_new(reasons, json_pack("{s:s, s:s}", "check", check->name, "reason", reason));
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:b, s:o, s:I, s:I, s:b}", "version", CARBOND_VERSION,
		"node", daemon->identity_file.node, "registry", id_text(daemon->identity_file.registry, registry),
		"data_dir", daemon->data_folder, "pid", (int)getpid(), "started_at",
		clock_text(api->started_at_us, started), "http_port",
		api->http_server ? (int)http_server_port(api->http_server) : 0, "ready", json_array_size(reasons) == 0,
		"not_ready", reasons, "journal_position", (json_int_t)engine_position(daemon->engine), "views_position",
		(json_int_t)engine_views_position(daemon->engine), "clock_halted", engine_clock_halted(daemon->engine));
}

static enum err backup(struct daemon *daemon, const json_t *request, json_t **ret_result, struct err_info *info)
{
	const char *folder = json_string_value(json_object_get(request, "folder"));
	struct store_backup_report report;
	char as_of[CLOCK_TEXT_SIZE];
	enum err err;

	if (!folder || folder[0] != '/')
		return err_set(info, ERR_INVALID_FIELD, "/folder",
			"/folder must be an absolute path to a new folder, or to one with earlier steps");
	err = daemon_backup(daemon, folder, json_is_true(json_object_get(request, "with_keys")), &report, info);
	if (!err)
		*ret_result = json_pack("{s:s, s:i, s:s, s:I, s:I, s:I}", "folder", report.path, "step",
			(int)report.step, "as_of", clock_text(report.created_us, as_of), "batches",
			(json_int_t)report.batches, "rows", (json_int_t)report.rows, "bytes", (json_int_t)report.bytes);
	return err;
}

static enum err checkpoint(struct daemon *daemon, json_t **ret_result, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	char *text = NULL;
	enum err err = arena ? audit_checkpoint(daemon->audit, clock_wall_us(), info) : ERR_NO_MEMORY;

	if (!err)
		err = audit_checkpoint_text(daemon->audit, NULL, 0, arena, &text, info);
	if (!err)
		*ret_result = json_loads(text, 0, NULL);
	arena_free(&arena);
	return err;
}

static enum err state(struct daemon *daemon, json_t **ret_result, struct err_info *info)
{
	char text[HASH_TEXT_SIZE];
	struct hash hash;
	int64_t position;
	enum err err = engine_state_hash(daemon->engine, clock_monotonic_us() + STATE_US, &position, &hash, info);

	if (!err)
		*ret_result =
			json_pack("{s:I, s:s}", "position", (json_int_t)position, "state_hash", hash_text(hash, text));
	return err;
}

static enum err carry_out(
	struct daemon *daemon, const char *verb, const json_t *request, json_t **ret_result, struct err_info *info)
{
	if (strcmp(verb, "status") == 0) {
		*ret_result = status(daemon);
		return ERR_OK;
	}
	if (strcmp(verb, "doctor") == 0) {
		*ret_result = health_findings(daemon, clock_wall_us());
		return ERR_OK;
	}
	if (strcmp(verb, "state") == 0)
		return state(daemon, ret_result, info);
	if (strcmp(verb, "backup") == 0)
		return backup(daemon, request, ret_result, info);
	if (strcmp(verb, "checkpoint") == 0)
		return checkpoint(daemon, ret_result, info);
	if (strcmp(verb, "clock.confirm") == 0) {
		engine_confirm_clock(daemon->engine);
		*ret_result = json_object();
		return ERR_OK;
	}
	return identity_admin(daemon->identity, verb, request, ret_result, info);
}

static json_t *error_of(const struct err_info *info)
{
	const struct err_row *row = err_row(info->code);
	json_t *error = json_pack("{s:s, s:s, s:i}", "slug", row->slug, "title", row->title, "status", row->status);

	if (error && *info->detail)
		json_object_set_new(error, "detail", json_string(info->detail));
	if (error && *info->pointer)
		json_object_set_new(error, "pointer", json_string(info->pointer));
	return json_pack("{s:b, s:o}", "ok", 0, "error", error);
}

json_t *admin_answer(struct daemon *daemon, const json_t *request)
{
	const char *verb = json_string_value(json_object_get(request, "verb"));
	struct err_info info = {0};
	json_t *result = NULL;
	enum err err;

	if (!verb)
		err = err_set(&info, ERR_INVALID_FIELD, "/verb", "/verb is required");
	else
		err = carry_out(daemon, verb, request, &result, &info);
	if (!err && !result)
		err = err_set(&info, ERR_NO_MEMORY, NULL, "no memory for the answer");
	if (!err) {
		log_line(LOG_LEVEL_INFO, "admin_verb", "an admin verb was carried out", "verb", verb, NULL);
		return json_pack("{s:b, s:o}", "ok", 1, "result", result);
	}
	if (info.code != err)
		err_set(&info, err, NULL, "%s", err_row(err)->title);
	log_failure("admin_verb_failed", &info, "verb", verb ? verb : "", NULL);
	return error_of(&info);
}

/* ---- connections ---- */

static void hang_up(struct connection *connection)
{
	if (connection->socket >= 0)
		close(connection->socket);
	connection->socket = -1;
	if (connection->line)
		explicit_bzero(connection->line, connection->used);
	free(connection->line);
	connection->line = NULL;
	connection->used = 0;
}

static bool send_all(int socket, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(socket, text, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		text += sent;
		size -= (size_t)sent;
	}
	return true;
}

static bool answer_line(struct admin *admin, struct connection *connection, const char *line, size_t size)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	json_t *request = NULL, *answer = NULL;
	char *text = NULL;
	bool good = false;

	if (!arena)
		return false;
	if (document_parse(arena, line, size, &request, &info))
		answer = error_of(&info);
	else
		answer = admin_answer(admin->daemon, request);
	if (answer)
		text = json_dumps(answer, JSON_COMPACT);
	if (text)
		good = send_all(connection->socket, text, strlen(text)) && send_all(connection->socket, "\n", 1);
	if (text)
		explicit_bzero(text, strlen(text)); /* a new key may be in it */
	free(text);
	json_decref(answer);
	arena_free(&arena);
	return good;
}

/* Reads what is there and answers every whole line. False: the connection is done. */
static bool serve(struct admin *admin, struct connection *connection)
{
	ssize_t got =
		recv(connection->socket, connection->line + connection->used, REQUEST_BYTES_MAX - connection->used, 0);
	char *end;

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	connection->used += (size_t)got;
	connection->last_us = clock_monotonic_us();
	while ((end = memchr(connection->line, '\n', connection->used))) {
		size_t size = (size_t)(end - connection->line);
		if (size > 0 && !answer_line(admin, connection, connection->line, size))
			return false;
		connection->used -= size + 1;
		memmove(connection->line, end + 1, connection->used);
	}
	return connection->used < REQUEST_BYTES_MAX;
}

static bool is_allowed(int socket)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void take_connection(struct admin *admin)
{
	int socket = accept4(admin->listener, NULL, NULL, SOCK_CLOEXEC);
	struct timeval patience = {.tv_sec = SEND_S};
	struct connection *free_one = NULL;

	if (socket < 0)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (admin->connections[i].socket < 0)
			free_one = &admin->connections[i];
	if (!free_one || !is_allowed(socket) || !(free_one->line = malloc(REQUEST_BYTES_MAX))) {
		close(socket);
		return;
	}
	setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	free_one->socket = socket;
	free_one->used = 0;
	free_one->last_us = clock_monotonic_us();
}

static void run(void *argument)
{
	struct admin *admin = argument;

	for (;;) {
		struct pollfd polls[CONNECTIONS_MAX + 2] = {
			{.fd = admin->wake, .events = POLLIN}, {.fd = admin->listener, .events = POLLIN}};
		int64_t now_us;
		for (size_t i = 0; i < CONNECTIONS_MAX; i++)
			polls[i + 2] = (struct pollfd){.fd = admin->connections[i].socket, .events = POLLIN};
		if (poll(polls, CONNECTIONS_MAX + 2, 60000) < 0 && errno != EINTR)
			return;
		if (polls[0].revents)
			return;
		now_us = clock_monotonic_us();
		for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
			struct connection *connection = &admin->connections[i];
			if (connection->socket < 0)
				continue;
			if (polls[i + 2].revents ? !serve(admin, connection) : now_us - connection->last_us > IDLE_US)
				hang_up(connection);
		}
		if (polls[1].revents)
			take_connection(admin);
	}
}

/* The path of a unix socket is short (108 bytes); a folder's descriptor makes any data directory reachable. */
static enum err open_listener(struct admin *admin, struct err_info *info)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char folder[PATH_MAX];
	char *slash;
	int directory;
	bool good;

	snprintf(folder, sizeof(folder), "%s", admin->path);
	slash = strrchr(folder, '/');
	if (!slash || strlen(slash + 1) > 60)
		return err_set(info, ERR_INVALID_CONFIG, "/admin.socket",
			"admin.socket must be a path to a short name in a folder");
	*slash = '\0';
	directory = open(*folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	admin->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (directory < 0 || admin->listener < 0) {
		err_set(info, ERR_IO, NULL, "cannot open the admin socket %s: %s", admin->path, strerror(errno));
		if (directory >= 0)
			close(directory);
		return ERR_IO;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory, slash + 1);
	unlink(admin->path); /* of a daemon that was killed; the store's lock says that none is running */
	good = fchmod(admin->listener, 0600) == 0 &&
	       bind(admin->listener, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       chmod(admin->path, 0600) == 0 && listen(admin->listener, CONNECTIONS_MAX) == 0;
	close(directory);
	return good ? ERR_OK
		    : err_set(info, ERR_IO, NULL, "cannot listen on the admin socket %s: %s", admin->path,
			      strerror(errno));
}

enum err admin_start(const struct admin_options *options, struct admin **ret_admin, struct err_info *info)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	enum err err;

	if (!admin)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the admin socket");
	admin->daemon = options->daemon;
	admin->listener = -1;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		admin->connections[i].socket = -1;
	snprintf(admin->path, sizeof(admin->path), "%s", options->path);
	admin->wake = eventfd(0, EFD_CLOEXEC);
	err = admin->wake < 0 ? err_set(info, ERR_IO, NULL, "cannot make an event descriptor")
			      : open_listener(admin, info);
	if (!err) {
		err = thread_start("admin", run, admin, &admin->thread);
		if (err)
			err_set(info, err, NULL, "the admin thread did not start");
	}
	if (err)
		admin_stop(&admin);
	*ret_admin = admin;
	return err;
}

void admin_stop(struct admin **admin)
{
	struct admin *own = *admin;

	if (!own)
		return;
	if (own->thread) {
		eventfd_write(own->wake, 1);
		thread_join(&own->thread);
		unlink(own->path);
	}
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		hang_up(&own->connections[i]);
	if (own->listener >= 0)
		close(own->listener);
	if (own->wake >= 0)
		close(own->wake);
	free(own);
	*admin = NULL;
}
