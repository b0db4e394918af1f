/* The parts of the daemon in the order in which they start, each with the reason for its place, and how each is made from
 * the configuration. Stopping is the reverse: listeners first, the store last. Main thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "carbond/cache.h"
#include "carbond/engine.h"
#include "carbond/evidence.h"
#include "carbond/identity.h"
#include "carbond/ingest.h"
#include "carbond/mqtt.h"
#include "carbond/sensing.h"
#include "carbond/store/members.h"
#include "daemon.h"

#define MS_US             INT64_C(1000)
#define RETENTION_EACH_US (10 * CLOCK_US_PER_MINUTE)
#define FOLLOW_LATE_US    (10 * CLOCK_US_PER_SECOND)
#define COLLECTIONS_MAX   128
#define OTHER_FILES       256 /* stores, their readers, the broker, exports */

static const char *text_or_null(const char *text)
{
	return text && *text ? text : NULL;
}

void daemon_fatal(struct daemon *daemon, enum err reason, const char *detail)
{
	int none = ERR_OK;

	if (!atomic_compare_exchange_strong(&daemon->fatal, &none, (int)reason))
		return;
	snprintf(daemon->fatal_detail, sizeof(daemon->fatal_detail), "%s", detail ? detail : "");
	atomic_store(&daemon->fatal_told, true);
	kill(getpid(), SIGTERM); /* the main thread waits for it; every other has it blocked */
}

/* ---- readiness ---- */

static bool store_is_ready(void *context, char *reason, size_t size)
{
	struct daemon *daemon = context;
	enum err err = ERR_OK;

	if (store_healthy(daemon->store, &err))
		return true;
	snprintf(reason, size, "%s",
		err == ERR_NO_SPACE ? "there is too little free space for the store" : err_row(err)->title);
	return false;
}

static bool engine_is_ready(void *context, char *reason, size_t size)
{
	return engine_ready(((struct daemon *)context)->engine, reason, size);
}

static bool ingest_is_ready(void *context, char *reason, size_t size)
{
	return ingest_ready(((struct daemon *)context)->ingest, reason, size) == ERR_OK;
}

static bool sensing_is_ready(void *context, char *reason, size_t size)
{
	return sensing_ready(((struct daemon *)context)->sensing, reason, size) == ERR_OK;
}

static bool following_is_ready(void *context, char *reason, size_t size)
{
	struct daemon *daemon = context;

	if (!daemon->follower || audit_follow_age_us(daemon->follower) < FOLLOW_LATE_US)
		return true;
	snprintf(reason, size, "what other daemons change has not been read for %lld s",
		(long long)(audit_follow_age_us(daemon->follower) / CLOCK_US_PER_SECOND));
	return false;
}

static bool http_is_ready(void *context, char *reason, size_t size)
{
	return http_server_ready(((struct daemon *)context)->api.http_server, reason, size);
}

static bool daemon_is_ready(void *context, char *reason, size_t size)
{
	struct daemon *daemon = context;

	if (atomic_load(&daemon->fatal)) {
		snprintf(reason, size, "%s", err_row((enum err)atomic_load(&daemon->fatal))->title);
		return false;
	}
	if (atomic_load(&daemon->draining)) {
		snprintf(reason, size, "carbond is stopping");
		return false;
	}
	return true;
}

/* ---- the stages ---- */

static enum err start_identity_file(void *context, struct err_info *info)
{
	struct daemon *daemon = context;

	return node_read(daemon->data_folder, daemon->conf->node, &daemon->identity_file, info);
}

static void stop_identity_file(void *context)
{
	node_wipe(&((struct daemon *)context)->identity_file);
}

static size_t add_collections(
	const struct store_collection **list, size_t count, const struct store_collection *const *more)
{
	for (; *more && count < COLLECTIONS_MAX; more++)
		list[count++] = *more;
	return count;
}

const struct store_collection *const *daemon_collections(struct arena *arena)
{
	const struct store_collection *const *const rooms[] = {lease_collections, audit_collections,
		identity_collections, sensing_collections, ingest_collections, engine_collections,
		evidence_collections};
	const struct store_collection **list =
		arena_alloc(arena, (COLLECTIONS_MAX + 1) * sizeof(const struct store_collection *));
	size_t count = 0;

	for (size_t i = 0; list && i < sizeof(rooms) / sizeof(*rooms); i++)
		count = add_collections(list, count, rooms[i]);
	return list;
}

static enum err start_cache(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	struct cache_options options = {.uri = daemon->conf->cache_uri,
		.bytes_max = (size_t)daemon->conf->cache_mb << 20,
		.password_file = daemon->conf->cache_password_file,
		.deadline_us = daemon->conf->cache_deadline_ms * 1000,
		.seal_keys = daemon->identity_file.seal_keys,
		.seal_key_count = daemon->identity_file.seal_key_count};

	return cache_open(&options, &daemon->cache, info);
}

static void stop_cache(void *context)
{
	cache_close(&((struct daemon *)context)->cache);
}

/* One process a data directory (decision 29): SQLite's store locks its folder itself; where the store is elsewhere, the data
 * directory still holds this node's name and keys. */
enum err daemon_lock(struct daemon *daemon, const char *uri, struct err_info *info)
{
	char path[PATH_MAX + 8];
	if (strncmp(uri, "sqlite:", 7) == 0 && strcmp(uri + 7, daemon->data_folder) == 0)
		return ERR_OK;
	snprintf(path, sizeof(path), "%s/lock", daemon->data_folder);
	daemon->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (daemon->lock_fd < 0)
		return err_set(info, ERR_IO, NULL, "%s: %s", path, strerror(errno));
	daemon->locked = flock(daemon->lock_fd, LOCK_EX | LOCK_NB) == 0;
	if (daemon->locked)
		return ERR_OK;
	close(daemon->lock_fd);
	return err_set(info, ERR_STORE_LOCKED, NULL, "another process uses %s", daemon->data_folder);
}

void daemon_unlock(struct daemon *daemon)
{
	if (daemon->locked)
		close(daemon->lock_fd);
	daemon->locked = false;
}

enum err daemon_store_options(struct daemon *daemon, struct store_options *ret_options, struct err_info *info)
{
	*ret_options = (struct store_options){.uri = daemon->store_uri,
		.collections = daemon_collections(daemon->arena),
		.seal_keys = daemon->identity_file.seal_keys,
		.seal_key_count = daemon->identity_file.seal_key_count,
		.migrations_folder = daemon->migrations_folder,
		.low_water_bytes = (size_t)daemon->conf->store_low_water_mb << 20,
		.node = daemon->conf->node,
		.password_file = daemon->conf->store_password_file,
		.tls_ca_file = daemon->conf->store_tls_ca,
		.tls_certificate_key_file = daemon->conf->store_tls_certificate_key};
	return ret_options->collections ? ERR_OK
					: err_set(info, ERR_NO_MEMORY, NULL, "no memory for the list of collections");
}

static enum err start_store(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	struct store_options options;
	enum err err = daemon_store_options(daemon, &options, info);

	options.changed = api_row_changed;
	options.context = daemon->cache;
	health_backup_read(daemon);
	if (!err)
		err = daemon_lock(daemon, daemon->store_uri, info);
	if (err)
		return err;
	err = store_open(&options, &daemon->store, info);
	if (err)
		daemon_unlock(daemon);
	return err;
}

static void stop_store(void *context)
{
	store_close(&((struct daemon *)context)->store);
	daemon_unlock(context);
}

static enum err start_audit(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	struct audit_options options = {.store = daemon->store,
		.node = daemon->conf->node,
		.checkpoint_key = &daemon->identity_file.checkpoint_key,
		.checkpoint_us = daemon->conf->audit_checkpoint_minutes * CLOCK_US_PER_MINUTE};

	enum err err = audit_start(&options, &daemon->audit, info);
	if (!err && store_is_shared(daemon->store)) { /* before anything is loaded that others may change */
		err = audit_follower_new(daemon->audit, &daemon->follower, info);
		if (err)
			audit_stop(&daemon->audit);
	}
	return err;
}

static void stop_audit(void *context)
{
	audit_follower_free(&((struct daemon *)context)->follower);
	audit_stop(&((struct daemon *)context)->audit);
}

static enum err start_identity(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	const struct conf *conf = daemon->conf;
	struct identity_options options = {.store = daemon->store,
		.audit = daemon->audit,
		.cache = daemon->cache,
		.key_rate = {.burst = conf->http_key_burst, .per_second = conf->http_key_rate},
		.peer_rate = {.burst = conf->http_peer_burst, .per_second = conf->http_peer_rate}};

	return identity_start(&options, &daemon->identity, info);
}

static void stop_identity(void *context)
{
	identity_stop(&((struct daemon *)context)->identity);
}

/* Where several daemons may use the store. */
static enum err start_members(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	const struct members_options options = {
		.store = daemon->store, .node = daemon->conf->node, .left_behind = INGEST_SESSION_LEASE};

	return store_is_shared(daemon->store) ? members_start(&options, &daemon->members, info) : ERR_OK;
}

static void stop_members(void *context)
{
	members_stop(&((struct daemon *)context)->members);
}

static bool find_org(void *context, const char *text, struct id *ret_org)
{
	return identity_organisation_find(context, text, ret_org);
}

static enum err catch_up(void *context)
{
	return audit_follow_wait(((struct daemon *)context)->follower, clock_monotonic_us() + CLOCK_US_PER_SECOND);
}

static enum err start_sensing(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	const struct conf *conf = daemon->conf;
	struct sensing_options options = {.store = daemon->store,
		.audit = daemon->audit,
		.node = conf->node,
		.members = daemon->members,
		.shards = (unsigned)conf->ingest_shards,
		.shard_queue = (size_t)conf->ingest_shard_queue,
		.flush_us = conf->ingest_flush_s * CLOCK_US_PER_SECOND,
		.memory_bytes = conf->ingest_memory_mb << 20,
		.log_retention_us = conf->ingest_log_days * CLOCK_US_PER_DAY,
		.quarantine_rows_max = (size_t)conf->ingest_quarantine_rows,
		.find_org = find_org,
		.find_org_context = daemon->identity,
		.catch_up = daemon->follower ? catch_up : NULL,
		.catch_up_context = daemon};

	return sensing_start(&options, &daemon->sensing, info);
}

static void stop_sensing(void *context)
{
	sensing_stop(&((struct daemon *)context)->sensing);
}

static enum err follow(void *context, const struct audit_news *news, size_t count, struct err_info *info)
{
	struct daemon *daemon = context;
	enum err err = identity_follow(daemon->identity, news, count, info);

	return err ? err : sensing_follow(daemon->sensing, news, count, info);
}

static enum err start_following(void *context, struct err_info *info)
{
	struct daemon *daemon = context;

	return daemon->follower ? audit_follower_start(daemon->follower, follow, daemon, info) : ERR_OK;
}

static void stop_following(void *context)
{
	audit_follower_free(&((struct daemon *)context)->follower);
}

static void engine_stopped(void *context, enum err reason, const struct err_info *info)
{
	daemon_fatal(context, reason, info ? info->detail : "");
}

static void engine_led(void *context, bool leads)
{
	audit_lead(((struct daemon *)context)->audit, leads);
}

static enum err start_engine(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	struct engine_options options = {.store = daemon->store,
		.node = daemon->conf->node,
		.address = text_or_null(daemon->conf->relay_address),
		.registry = daemon->identity_file.registry,
		.mailbox_capacity = (size_t)daemon->conf->engine_mailbox,
		.snapshot_events = daemon->conf->engine_snapshot_events,
		.on_stop = engine_stopped,
		.on_lead = engine_led,
		.context = daemon};

	return engine_start(&options, &daemon->engine, info);
}

static void stop_engine(void *context)
{
	engine_stop(&((struct daemon *)context)->engine);
}

static enum err start_evidence(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	struct evidence_options options = {.store = daemon->store,
		.audit = daemon->audit,
		.sensing = daemon->sensing,
		.engine = daemon->engine,
		.node = daemon->conf->node,
		.queue = (size_t)daemon->conf->evidence_queue,
		.config_folder = daemon->shipped_folder};

	return evidence_start(&options, &daemon->evidence, info);
}

static void stop_evidence(void *context)
{
	evidence_stop(&((struct daemon *)context)->evidence);
}

static enum err start_retention(void *context, struct err_info *info)
{
	struct daemon *daemon = context;

	return retention_start(daemon->sensing, daemon->engine, RETENTION_EACH_US, &daemon->retention, info);
}

static void stop_retention(void *context)
{
	retention_stop(&((struct daemon *)context)->retention);
}

static void ingest_failed(void *context, enum err code, const char *detail)
{
	daemon_fatal(context, code, detail);
}

static enum err start_ingest(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	const struct conf *conf = daemon->conf;
	struct ingest_options options = {.store = daemon->store,
		.sensing = daemon->sensing,
		.node = conf->node,
		.queue = (size_t)conf->ingest_queue,
		.mqtt = conf->mqtt_enabled,
		.broker = {.host = conf->mqtt_host,
			.port = (uint16_t)conf->mqtt_port,
			.username = text_or_null(conf->mqtt_username),
			.password_file = text_or_null(conf->mqtt_password_file),
			.tls_ca = text_or_null(conf->mqtt_tls_ca),
			.tls_certificate = text_or_null(conf->mqtt_tls_certificate),
			.tls_key = text_or_null(conf->mqtt_tls_key),
			.keepalive_s = (int)conf->mqtt_keepalive_s,
			.connect_us = conf->mqtt_connect_deadline_ms * MS_US,
			.retry_longest_us = conf->mqtt_retry_longest_ms * MS_US},
		.connections = (unsigned)conf->mqtt_connections,
		.batch_messages = (size_t)conf->mqtt_batch_messages,
		.share_group = text_or_null(conf->mqtt_share_group),
		.members = daemon->members,
		.fatal = ingest_failed,
		.context = daemon};
	enum err err = mqtt_start();

	if (err)
		return err_set(info, err, NULL, "the MQTT library did not start");
	err = ingest_start(&options, &daemon->ingest, info);
	if (err)
		mqtt_stop();
	return err;
}

static void stop_ingest(void *context)
{
	ingest_stop(&((struct daemon *)context)->ingest);
	mqtt_stop();
}

static enum err start_admin(void *context, struct err_info *info)
{
	struct daemon *daemon = context;
	char path[PATH_MAX];
	struct admin_options options = {.path = path, .daemon = daemon};

	if (*daemon->conf->admin_socket)
		snprintf(path, sizeof(path), "%s", daemon->conf->admin_socket);
	else if (snprintf(path, sizeof(path), "%s/admin.sock", daemon->data_folder) >= (int)sizeof(path))
		return err_set(info, ERR_INVALID_CONFIG, NULL, "data_dir is too long");
	return admin_start(&options, &daemon->admin, info);
}

static void stop_admin(void *context)
{
	admin_stop(&((struct daemon *)context)->admin);
}

/* As many connections as there are file descriptors for, the soft limit raised to the hard one: beyond them connections
 * could not even be answered 503. */
static unsigned connections_allowed(unsigned wanted)
{
	struct rlimit files;
	rlim_t needed = (rlim_t)wanted + wanted / 4 + OTHER_FILES;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= needed)
		return wanted;
	files.rlim_cur = files.rlim_max < needed ? files.rlim_max : needed;
	if (setrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur >= needed)
		return wanted;
	rlim_t room = files.rlim_cur > OTHER_FILES ? files.rlim_cur - OTHER_FILES : 0;
	unsigned allowed = room > 20 ? (unsigned)(room - room / 5) : 16;
	char number[16];
	snprintf(number, sizeof(number), "%u", allowed);
	log_line(LOG_LEVEL_WARN, "few_files",
		"the limit of open files (LimitNOFILE, ulimit -n) allows fewer connections than http.connections_max",
		"connections", number, NULL);
	return allowed;
}

static enum err start_http(void *context, struct err_info *info)
{
	static struct api_check checks[] = {{"daemon", daemon_is_ready, NULL}, {"store", store_is_ready, NULL},
		{"engine", engine_is_ready, NULL}, {"sensing", sensing_is_ready, NULL},
		{"ingest", ingest_is_ready, NULL}, {"following", following_is_ready, NULL},
		{"http", http_is_ready, NULL}, {NULL, NULL, NULL}};
	struct daemon *daemon = context;
	const struct conf *conf = daemon->conf;
	struct http_options options = {.address = conf->http_address,
		.port = (uint16_t)conf->http_port,
		.threads = (unsigned)conf->http_threads,
		.workers = (unsigned)conf->http_workers,
		.worker_queue = (size_t)conf->http_worker_queue,
		.connections_max = connections_allowed((unsigned)conf->http_connections_max),
		.header_deadline_us = conf->http_header_deadline_ms * MS_US,
		.body_deadline_us = conf->http_body_deadline_ms * MS_US,
		.idle_deadline_us = conf->http_idle_deadline_ms * MS_US,
		.answer_deadline_us = conf->http_answer_deadline_ms * MS_US,
		.stall_deadline_us = conf->http_stall_deadline_ms * MS_US,
		.certificate_file = text_or_null(conf->http_tls_certificate),
		.key_file = text_or_null(conf->http_tls_key),
		.behind_proxy = conf->http_behind_proxy};

	for (struct api_check *check = checks; check->name; check++)
		check->context = daemon;
	daemon->api = (struct api){.node = daemon->identity_file.node,
		.registry = daemon->identity_file.registry,
		.version = CARBOND_VERSION,
		.started_at_us = clock_wall_us(),
		.store = daemon->store,
		.audit = daemon->audit,
		.cache = daemon->cache,
		.identity = daemon->identity,
		.sensing = daemon->sensing,
		.ingest = daemon->ingest,
		.engine = daemon->engine,
		.evidence = daemon->evidence,
		.relay_key_file = text_or_null(conf->relay_key_file),
		.relay_tls_ca = text_or_null(conf->relay_tls_ca),
		.relay_deadline_us = conf->relay_deadline_ms * MS_US,
		.checks = checks};
	return api_start(&daemon->api, &options, info);
}

static void stop_http(void *context)
{
	struct daemon *daemon = context;

	api_stop(&daemon->api, clock_monotonic_us() + daemon->conf->http_drain_ms * MS_US);
}

const struct stage daemon_stages[] = {
	{"node", "nothing durable may be touched before it is known whose the data is", start_identity_file,
		stop_identity_file},
	{"cache", "the store tells it which rows have changed; identity keeps rate limits in it", start_cache,
		stop_cache},
	{"store", "takes the lock on the data directory; everything after it reads or writes", start_store, stop_store},
	{"audit", "every change of what follows is recorded in it", start_audit, stop_audit},
	{"identity", "sensing asks it for organisations, http for actors", start_identity, stop_identity},
	{"members", "sensing divides its partitions, and ingest the sessions, among the daemons that are alive",
		start_members, stop_members},
	{"sensing", "catches up with the readings logs before anybody feeds or reads it", start_sensing, stop_sensing},
	{"following", "identity and sensing hear from here on what other daemons change of what they hold in memory",
		start_following, stop_following},
	{"engine", "replays the journal before anybody submits to it", start_engine, stop_engine},
	{"evidence", "reads sensing, submits to the engine, and goes on with what was under way", start_evidence,
		stop_evidence},
	{"retention", "drops what has aged, after evidence has pinned what it still needs", start_retention,
		stop_retention},
	{"ingest", "takes readings only when all that they lead to is there", start_ingest, stop_ingest},
	{"admin", "its verbs call all of the above", start_admin, stop_admin},
	{"http", "the last to come and the first to go: a listener means that requests can be served", start_http,
		stop_http},
};
const size_t daemon_stage_count = sizeof(daemon_stages) / sizeof(*daemon_stages);

size_t daemon_stages_through(const char *name)
{
	for (size_t i = 0; i < daemon_stage_count; i++)
		if (strcmp(daemon_stages[i].name, name) == 0)
			return i + 1;
	return 0;
}

/* ---- where things are ---- */

static bool is_folder(const char *folder, const char *inside)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", folder, inside) < (int)sizeof(path) &&
	       access(path, R_OK | X_OK) == 0;
}

/* Shipped documents and migrations: share_dir where installed, else the source tree that this binary was built in. */
static enum err find_shipped(struct daemon *daemon, struct err_info *info)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (is_folder(daemon->conf->share_dir, "migrations/sqlite")) {
		snprintf(daemon->shipped_folder, sizeof(daemon->shipped_folder), "%s", daemon->conf->share_dir);
		snprintf(daemon->migrations_folder, sizeof(daemon->migrations_folder), "%s/migrations",
			daemon->conf->share_dir);
		return ERR_OK;
	}
	for (path[length < 0 ? 0 : length] = '\0'; *path;) {
		char *slash = strrchr(path, '/');
		if (!slash || slash == path)
			break;
		*slash = '\0';
		if (!is_folder(path, "migrations/sqlite") || !is_folder(path, "config"))
			continue;
		if (snprintf(daemon->shipped_folder, PATH_MAX, "%s/config", path) >= PATH_MAX ||
			snprintf(daemon->migrations_folder, PATH_MAX, "%s/migrations", path) >= PATH_MAX)
			break;
		return ERR_OK;
	}
	return err_set(
		info, ERR_INVALID_CONFIG, NULL, "share_dir %s has no migrations/sqlite", daemon->conf->share_dir);
}

static enum err find_data(struct daemon *daemon, struct err_info *info)
{
	const struct conf *conf = daemon->conf;

	if (snprintf(daemon->data_folder, PATH_MAX, "%s", conf->data_dir) >= PATH_MAX)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "data_dir is too long");
	if (strcmp(conf->store_uri, "sqlite:") == 0)
		snprintf(daemon->store_uri, sizeof(daemon->store_uri), "sqlite:%s", daemon->data_folder);
	else
		snprintf(daemon->store_uri, sizeof(daemon->store_uri), "%s", conf->store_uri);
	return ERR_OK;
}

static bool is_loopback(const char *address)
{
	struct in_addr four;
	struct in6_addr six;

	if (strcmp(address, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, address, &four) == 1)
		return (ntohl(four.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

enum err daemon_check_listener(const struct conf *conf, struct err_info *info)
{
	bool certificate = *conf->http_tls_certificate, key = *conf->http_tls_key;

	if (certificate != key)
		return err_set(info, ERR_INVALID_CONFIG, certificate ? "/http.tls_key" : "/http.tls_certificate",
			"http.tls_certificate and http.tls_key are given together");
	if (!is_loopback(conf->http_address) && !certificate && !conf->http_behind_proxy)
		return err_set(info, ERR_INVALID_CONFIG, "/http.address",
			"http.address %s is reachable from outside: it needs http.tls_certificate and http.tls_key, or "
			"http.behind_proxy where a proxy ends TLS",
			conf->http_address);
	if (conf->mqtt_connections > 1 && !*conf->mqtt_share_group && strncmp(conf->store_uri, "sqlite:", 7) == 0)
		return err_set(info, ERR_INVALID_CONFIG, "/mqtt.connections",
			"mqtt.connections above 1 needs mqtt.share_group, or each message comes once for each "
			"connection");
	return ERR_OK;
}

enum err daemon_places(struct daemon *daemon, struct err_info *info)
{
	enum err err = find_data(daemon, info);

	return err ? err : find_shipped(daemon, info);
}

enum err daemon_start(struct daemon *daemon, size_t stages, struct err_info *info)
{
	enum err err = crypto_start();

	if (err)
		return err_set(info, err, NULL, "the cryptographic library did not start");
	err = daemon_places(daemon, info);
	return err ? err : stages_start(daemon_stages, stages, daemon, &daemon->started, info);
}

void daemon_stop(struct daemon *daemon)
{
	atomic_store(&daemon->draining, true);
	if (daemon->engine) /* another leads before this one's listener goes */
		engine_resign(daemon->engine);
	stages_stop(daemon_stages, daemon->started, daemon);
	daemon->started = 0;
}
