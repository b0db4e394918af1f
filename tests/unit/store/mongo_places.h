/* A MongoDB server for tests of store, and databases in it: CARBOND_TEST_MONGODB_URI where it names a replica set, else mongod
 * where it is on the PATH, else SecantusDB (MongoDB's wire protocol and storage engine, one node) from .deps/venv, started on a
 * free port below 32768 in a folder of its own and ended by its number. */
#ifndef STORE_MONGO_PLACES_H
#define STORE_MONGO_PLACES_H

#include <arpa/inet.h>
#include <mongoc/mongoc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sqlite_places.h"

#define SECANTUSD ".deps/venv/bin/secantusd-py"

struct mongo_server {
	pid_t pid; /* 0: not ours */
	bool is_mongod, standalone;
	int port;
	char base[600];  /* the URI up to the database: "mongodb://127.0.0.1:20000" */
	char query[600]; /* its options: "?replicaSet=…" */
	struct place home;
	unsigned places;
};

static struct mongo_server mongo_server;

static inline int free_port(void)
{
	for (int attempt = 0; attempt < 200; attempt++) {
		uint16_t random;
		random_bytes(&random, sizeof random);
		int port = 20000 + random % 12000, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		bool free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
		close(fd);
		if (free)
			return port;
	}
	return 0;
}

/* A command on the server itself, not by way of a pool of the store's. False: it failed; the message is in *ret_error. */
static inline bool server_command(const bson_t *command, bson_t *ret_reply, bson_error_t *ret_error)
{
	char uri[1300];
	if (mongo_server.pid) /* also before its replica set has begun */
		snprintf(uri, sizeof uri, "%s/?directConnection=true&serverSelectionTimeoutMS=300", mongo_server.base);
	else
		snprintf(uri, sizeof uri, "%s/%s", mongo_server.base, mongo_server.query);
	mongoc_client_t *client = mongoc_client_new(uri);
	mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
	bool done = mongoc_client_command_simple(client, "admin", command, NULL, ret_reply, ret_error);
	mongoc_client_destroy(client);
	return done;
}

static inline bool is_primary(void)
{
	bson_t *command = BCON_NEW("hello", BCON_INT32(1)), reply;
	bson_error_t error;
	bson_iter_t member;
	bool primary = server_command(command, &reply, &error) &&
		       bson_iter_init_find(&member, &reply, "isWritablePrimary") && bson_iter_as_bool(&member);
	bson_destroy(&reply);
	bson_destroy(command);
	return primary;
}

static inline void initiate(void)
{
	char host[64];
	bson_error_t error;
	snprintf(host, sizeof host, "127.0.0.1:%d", mongo_server.port);
	bson_t *command = BCON_NEW("replSetInitiate", "{", "_id", BCON_UTF8("carbond"), "members", "[", "{", "_id",
		BCON_INT32(0), "host", BCON_UTF8(host), "}", "]", "}");
	server_command(command, NULL, &error); /* again once it is up, and refused when it has been done */
	bson_destroy(command);
}

static inline void server_exec(void)
{
	char port[16], log[300];
	snprintf(port, sizeof port, "%d", mongo_server.port);
	snprintf(log, sizeof log, "%s/log", mongo_server.home.folder);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	bool alone = mongo_server.standalone;
	if (mongo_server.is_mongod) /* the standalone one ends its arguments where the replica set's name would come */
		execlp("mongod", "mongod", "--bind_ip", "127.0.0.1", "--port", port, "--dbpath",
			mongo_server.home.folder, "--setParameter", "enableTestCommands=1", "--setParameter",
			"ttlMonitorSleepSecs=1", alone ? NULL : "--replSet", "carbond", (char *)NULL);
	else
		execl(SECANTUSD, SECANTUSD, "--host", "127.0.0.1", "--port", port, "--storage-path",
			mongo_server.home.folder, "--sync-on-commit", "--enable-test-commands",
			alone ? "--standalone" : NULL, (char *)NULL);
	_exit(127);
}

/* Starts the process and waits until it can be written to. */
static inline bool server_begin(void)
{
	mongo_server.pid = fork();
	if (mongo_server.pid == 0)
		server_exec();
	int64_t deadline_us = clock_monotonic_us() + 60 * CLOCK_US_PER_SECOND;
	while (clock_monotonic_us() < deadline_us && waitpid(mongo_server.pid, NULL, WNOHANG) == 0) {
		if (is_primary())
			return true;
		if (mongo_server.is_mongod && !mongo_server.standalone)
			initiate();
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return false;
}

static inline void server_end(int signal)
{
	if (!mongo_server.pid)
		return;
	kill(mongo_server.pid, signal);
	waitpid(mongo_server.pid, NULL, 0);
	mongo_server.pid = 0;
}

static inline bool is_on_path(const char *name)
{
	char path[4096], *rest = path;
	snprintf(path, sizeof path, "%s", getenv("PATH") ? getenv("PATH") : "");
	for (char *folder; (folder = strsep(&rest, ":"));) {
		char file[4400];
		snprintf(file, sizeof file, "%s/%s", folder, name);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

static inline void server_say(const char *what)
{
	bson_t *command = BCON_NEW("buildInfo", BCON_INT32(1)), reply;
	bson_error_t error;
	bson_iter_t member;
	const char *version = server_command(command, &reply, &error) && bson_iter_init_find(&member, &reply, "version")
				      ? bson_iter_utf8(&member, NULL)
				      : "?";
	bool own = mongo_server.pid != 0, real = !own || mongo_server.is_mongod;
	printf("%s: shown on %s%s%s\n", what, real ? "mongod " : "SecantusDB 0.7.0b3 (one node; it says MongoDB ",
		version, real ? (own ? " (one node)" : " (of CARBOND_TEST_MONGODB_URI)") : ")");
	fflush(stdout);
	bson_destroy(&reply);
	bson_destroy(command);
}

/* The server of CARBOND_TEST_MONGODB_URI: "mongodb://…/[database][?options]". */
static inline bool take_given(const char *uri)
{
	const char *hosts = strstr(uri, "://"), *slash = hosts ? strchr(hosts + 3, '/') : NULL;
	const char *query = strchr(uri, '?');
	size_t size = slash ? (size_t)(slash - uri) : strlen(uri);
	snprintf(mongo_server.base, sizeof mongo_server.base, "%.*s", (int)size, uri);
	snprintf(mongo_server.query, sizeof mongo_server.query, "%s", query ? query : "");
	return hosts && is_primary();
}

static inline bool server_find(const char *what)
{
	const char *given = getenv("CARBOND_TEST_MONGODB_URI");
	mongoc_init();
	mongoc_log_set_handler(NULL, NULL);
	bool found;
	if (given && *given) {
		found = take_given(given);
	} else {
		mongo_server.is_mongod = is_on_path("mongod");
		if (!mongo_server.is_mongod && access(SECANTUSD, X_OK) != 0) {
			printf("no MongoDB server: neither CARBOND_TEST_MONGODB_URI, nor mongod, nor " SECANTUSD
			       " (./dev test stores installs it)\n");
			return false;
		}
		sqlite_place_new(&mongo_server.home);
		mongo_server.port = free_port();
		snprintf(mongo_server.base, sizeof mongo_server.base, "mongodb://127.0.0.1:%d", mongo_server.port);
		snprintf(mongo_server.query, sizeof mongo_server.query, "?replicaSet=%s",
			mongo_server.is_mongod ? "carbond" : "secantus");
		found = server_begin();
	}
	if (found)
		server_say(what);
	else
		printf("the MongoDB server did not become a primary\n");
	return found;
}

static inline void server_leave(void)
{
	bool own = mongo_server.pid != 0;
	server_end(SIGTERM);
	if (own)
		sqlite_place_drop(&mongo_server.home);
}

/* ---- places: databases ---- */

static inline void mongo_place_new(struct place *place)
{
	*place = (struct place){.uri = ""};
	snprintf(place->folder, sizeof place->folder, "carbond_test_%ld_%u", (long)getpid(), ++mongo_server.places);
	snprintf(place->uri, sizeof place->uri, "%s/%s%s", mongo_server.base, place->folder, mongo_server.query);
}

static inline mongoc_client_t *place_client(const struct place *place)
{
	mongoc_client_t *client = mongoc_client_new(place->uri);
	assert_non_null(client);
	mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
	return client;
}

static inline void mongo_place_drop(struct place *place)
{
	bson_error_t error;
	mongoc_client_t *client = place_client(place);
	mongoc_database_t *database = mongoc_client_get_database(client, place->folder);
	mongoc_database_drop(database, &error);
	mongoc_database_destroy(database);
	mongoc_client_destroy(client);
}

#endif
