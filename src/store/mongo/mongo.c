/* Decides how a URI becomes a store: who may be asked (a replica set or a sharded cluster), as whom, with which promises and
 * deadlines; and when the store is sick. Opened and closed on one thread; health is asked from any. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/log.h"
#include "mongo.h"

#define SECRET_BYTES 1024
#define WIRE_VERSION 9 /* MongoDB 4.4: transactions over shards, hello */
#define CONNECT_MS   5000
#define SELECT_MS    5000
#define SOCKET_MS    30000
#define MAJORITY_MS  10000 /* then a write says that it cannot tell, and is read back */
#define HEARTBEAT_MS 1000  /* a new primary is found that fast */
#define CLIENTS_MAX  100
#define DROPPED_MOST 1000 /* collections of a database that is dropped; the rest goes with it */

#define NO_SUCH_COLLECTION 26

static pthread_once_t started = PTHREAD_ONCE_INIT;

/* What the driver logs, its callers are told as errors. */
static void drop_line(mongoc_log_level_t level, const char *domain, const char *message, void *context)
{
	(void)level;
	(void)domain;
	(void)message;
	(void)context;
}

static void start_driver(void)
{
	mongoc_log_set_handler(drop_line, NULL);
	mongoc_init();
}

/* ---- health ---- */

void mongo_latch(struct mongo *back, const struct err_info *info)
{
	if (!atomic_exchange(&back->latched, true))
		log_failure("store_latched", info, "database", back->database, NULL);
}

static bool healthy(void *engine, enum err *ret_err)
{
	struct mongo *back = engine;
	if (atomic_load(&back->latched))
		*ret_err = ERR_STORE_LATCHED;
	else
		*ret_err = atomic_load(&back->full) ? ERR_NO_SPACE : ERR_OK;
	return *ret_err == ERR_OK;
}

/* ---- clients ---- */

enum err mongo_use_start(struct mongo *back, struct mongo_use *ret_use, struct err_info *info)
{
	bson_error_t error;
	*ret_use = (struct mongo_use){.back = back, .client = mongoc_client_pool_pop(back->pool)};
	bson_oid_init(&ret_use->mark, NULL);
	mongoc_session_opt_t *options = mongoc_session_opts_new();
	mongoc_transaction_opt_t *transaction = mongoc_transaction_opts_new();
	mongoc_read_concern_t *reads = mongoc_read_concern_new();
	mongoc_write_concern_t *writes = mongoc_write_concern_new();
	mongoc_read_concern_set_level(reads, MONGOC_READ_CONCERN_LEVEL_SNAPSHOT);
	mongoc_write_concern_set_wmajority(writes, MAJORITY_MS);
	mongoc_write_concern_set_journal(writes, true);
	mongoc_transaction_opts_set_read_concern(transaction, reads);
	mongoc_transaction_opts_set_write_concern(transaction, writes);
	mongoc_session_opts_set_default_transaction_opts(options, transaction);
	mongoc_session_opts_set_causal_consistency(
		options, false); /* majority reads of the primary see what was acknowledged */
	int64_t deadline_us = clock_monotonic_us() + (back->only_checks ? 0 : MONGO_READ_US);
	for (unsigned pauses = 0;;) {
		ret_use->session = mongoc_client_start_session(ret_use->client, options, &error);
		if (ret_use->session || !mongo_pause(&pauses, deadline_us))
			break;
	}
	mongoc_write_concern_destroy(writes);
	mongoc_read_concern_destroy(reads);
	mongoc_transaction_opts_destroy(transaction);
	mongoc_session_opts_destroy(options);
	if (ret_use->session)
		return ERR_OK;
	enum err err = mongo_failure(back, NULL, &error, "start a session", info);
	mongoc_client_pool_push(back->pool, ret_use->client);
	return err;
}

void mongo_use_end(struct mongo_use *use)
{
	mongoc_client_session_destroy(use->session);
	mongoc_client_pool_push(use->back->pool, use->client);
}

mongoc_collection_t *mongo_collection(struct mongo_use *use, const char *name, enum store_class class)
{
	mongoc_collection_t *collection = mongoc_client_get_collection(use->client, use->back->database, name);
	if (use->session && mongoc_client_session_in_transaction(use->session))
		return collection; /* the transaction has its own */
	mongoc_read_concern_t *reads = mongoc_read_concern_new();
	mongoc_write_concern_t *writes = mongoc_write_concern_new();
	mongoc_read_concern_set_level(reads, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
	mongoc_write_concern_set_wmajority(writes, MAJORITY_MS);
	if (class != STORE_VIEWS)
		mongoc_write_concern_set_journal(writes, true);
	mongoc_collection_set_read_concern(collection, reads);
	mongoc_collection_set_write_concern(collection, writes);
	mongoc_write_concern_destroy(writes);
	mongoc_read_concern_destroy(reads);
	return collection;
}

/* ---- the URI ---- */

static enum err read_secret(const char *path, char ret_secret[SECRET_BYTES], struct err_info *info)
{
	FILE *stream = fopen(path, "re");
	if (!stream)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "store.password_file: %s: %s", path, strerror(errno));
	enum err err = fgets(ret_secret, SECRET_BYTES, stream)
			       ? ERR_OK
			       : err_set(info, ERR_INVALID_CONFIG, NULL, "store.password_file: %s is empty", path);
	fclose(stream);
	if (!err)
		ret_secret[strcspn(ret_secret, "\r\n")] = 0;
	return err;
}

static void set_default(mongoc_uri_t *uri, const char *option, int32_t value)
{
	if (!mongoc_uri_has_option(uri, option))
		mongoc_uri_set_option_as_int32(uri, option, value);
}

static enum err set_password(mongoc_uri_t *uri, const struct store_options *options, struct err_info *info)
{
	char secret[SECRET_BYTES] = "";
	if (!options->password_file || !*options->password_file)
		return ERR_OK;
	enum err err = read_secret(options->password_file, secret, info);
	if (!err && !mongoc_uri_set_password(uri, secret))
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "store.password_file holds no password");
	explicit_bzero(secret, sizeof secret);
	return err;
}

static void set_tls(mongoc_uri_t *uri, const struct store_options *options)
{
	bool ca = options->tls_ca_file && *options->tls_ca_file;
	bool own = options->tls_certificate_key_file && *options->tls_certificate_key_file;
	if (ca || own)
		mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, true);
	if (ca)
		mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, options->tls_ca_file);
	if (own)
		mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE, options->tls_certificate_key_file);
}

/* The driver's message may quote the URI: what could hold a password stays here. */
static enum err parse_uri(const struct store_options *options, mongoc_uri_t **ret_uri, struct err_info *info)
{
	bson_error_t error;
	mongoc_uri_t *uri = mongoc_uri_new_with_error(options->uri, &error);
	if (!uri)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "store.uri is no MongoDB URI%s%.150s",
			strchr(options->uri, '@') ? "" : ": ", strchr(options->uri, '@') ? "" : error.message);
	const char *database = mongoc_uri_get_database(uri);
	enum err err = ERR_OK;
	if (!database || !*database || strlen(database) >= MONGO_NAME_SIZE)
		err = err_set(info, ERR_INVALID_CONFIG, NULL,
			"store.uri must name a database: mongodb://host/database?replicaSet=…");
	if (!err)
		err = set_password(uri, options, info);
	if (err) {
		mongoc_uri_destroy(uri);
		return err;
	}
	set_tls(uri, options);
	set_default(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
	set_default(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SELECT_MS);
	set_default(uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_MS);
	set_default(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, HEARTBEAT_MS);
	set_default(uri, MONGOC_URI_MAXPOOLSIZE, CLIENTS_MAX);
	mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, true);
	mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, true);
	/* one host of a replica set stands for all of its members */
	if (!mongoc_uri_has_option(uri, MONGOC_URI_REPLICASET) &&
		!mongoc_uri_has_option(uri, MONGOC_URI_DIRECTCONNECTION) && strncmp(options->uri, "mongodb:", 8) == 0)
		mongoc_uri_set_option_as_bool(uri, MONGOC_URI_DIRECTCONNECTION, false);
	*ret_uri = uri;
	return ERR_OK;
}

/* ---- open ---- */

static int64_t number_in(const bson_t *reply, const char *name)
{
	bson_iter_t member;
	return bson_iter_init_find(&member, reply, name) ? bson_iter_as_int64(&member) : 0;
}

/* A standalone server has no transactions, and nothing stands in for it when it is gone. */
static enum err check_server(struct mongo_use *use, struct err_info *info)
{
	bson_t *command = BCON_NEW("hello", BCON_INT32(1)), reply;
	bson_error_t error;
	enum err err = mongo_command(use, command, true, &reply, &error, info);
	bson_destroy(command);
	if (!err && !bson_has_field(&reply, "setName") && !bson_has_field(&reply, "msg"))
		err = err_set(info, ERR_INVALID_CONFIG, NULL,
			"store.uri leads to a standalone MongoDB server, which cannot keep logs of value: carbond "
			"needs a "
			"replica set (one member is enough to try it) or a sharded cluster");
	else if (!err && number_in(&reply, "maxWireVersion") < WIRE_VERSION)
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "the MongoDB server is older than 4.4");
	bson_destroy(&reply);
	return err;
}

static enum err prepare(struct mongo *back, const char *migrations, struct err_info *info)
{
	struct mongo_use use;
	enum err err = mongo_use_start(back, &use, info);
	if (err)
		return err;
	err = check_server(&use, info);
	if (!err)
		err = mongo_keep_lock(&use, info);
	if (!err) {
		err = mongo_migrate(&use, migrations, info);
		if (!err)
			err = mongo_make_collections(&use, info);
		mongo_drop_lock(&use);
	}
	mongo_use_end(&use);
	return err;
}

static void close_back(void *engine)
{
	struct mongo *back = engine;
	if (back->pool)
		mongoc_client_pool_destroy(back->pool);
	pthread_mutex_destroy(&back->lock);
	free(back);
}

/* Nothing of it asks a server yet. */
static enum err connect_back(const struct store_options *options, struct mongo **ret_back, struct err_info *info)
{
	mongoc_uri_t *uri = NULL;
	pthread_once(&started, start_driver);
	enum err err = parse_uri(options, &uri, info);
	if (err)
		return err;
	struct mongo *back = calloc(1, sizeof *back);
	if (!back) {
		mongoc_uri_destroy(uri);
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to open the store");
	}
	bson_oid_init(&back->owner, NULL);
	pthread_mutex_init(&back->lock, NULL);
	snprintf(back->database, sizeof back->database, "%s", mongoc_uri_get_database(uri));
	snprintf(back->node, sizeof back->node, "%s", options->node ? options->node : "");
	back->pool = mongoc_client_pool_new(uri);
	mongoc_uri_destroy(uri);
	if (!back->pool) {
		close_back(back);
		return err_set(
			info, ERR_INVALID_CONFIG, NULL, "store.uri asks for what the driver cannot do (TLS files?)");
	}
	mongoc_client_pool_set_error_api(back->pool, MONGOC_ERROR_API_VERSION_2);
	mongoc_client_pool_set_appname(back->pool, "carbond");
	*ret_back = back;
	return ERR_OK;
}

static enum err open_back(const struct store_options *options, const char *place, const struct store_tables *tables,
	void **ret_engine, struct err_info *info)
{
	(void)place;
	struct mongo *back = NULL;
	enum err err = connect_back(options, &back, info);
	if (err)
		return err;
	back->tables = tables;
	err = prepare(back, options->migrations_folder, info);
	if (err)
		close_back(back);
	else
		*ret_engine = back;
	return err;
}

static enum err check_back(const struct store_options *options, const char *place, struct err_info *info)
{
	(void)place;
	struct mongo *back = NULL;
	struct mongo_use use;
	enum err err = connect_back(options, &back, info);
	if (err)
		return err;
	back->only_checks = true;
	err = mongo_use_start(back, &use, info);
	if (!err) {
		err = check_server(&use, info);
		if (!err)
			err = mongo_migrate_check(&use, options->migrations_folder, info);
		mongo_use_end(&use);
	}
	close_back(back);
	return err;
}

/* The collections go one by one, each in a command that is short, also on a server that takes its time; what is left of a database is
 * then dropped. Doing it twice does no harm. */
static enum err drop_database(struct mongo_use *use, struct err_info *info)
{
	bson_t *list = BCON_NEW("listCollections", BCON_INT32(1), "nameOnly", BCON_BOOL(true), "cursor", "{",
		"batchSize", BCON_INT32(DROPPED_MOST), "}");
	bson_t reply;
	bson_error_t error;
	bson_iter_t top, names, item, name;
	enum err err = mongo_command(use, list, true, &reply, &error, info);
	bson_destroy(list);
	bool any = !err && bson_iter_init(&top, &reply) &&
		   bson_iter_find_descendant(&top, "cursor.firstBatch", &names) && bson_iter_recurse(&names, &item);
	while (any && !err && bson_iter_next(&item)) {
		if (!bson_iter_recurse(&item, &name) || !bson_iter_find(&name, "name") || !BSON_ITER_HOLDS_UTF8(&name))
			continue;
		bson_t *drop = BCON_NEW("drop", BCON_UTF8(bson_iter_utf8(&name, NULL)));
		err = mongo_command(use, drop, true, NULL, &error, info);
		bson_destroy(drop);
		if (err && error.code == NO_SUCH_COLLECTION)
			err = ERR_OK; /* dropped by an attempt whose answer was lost */
	}
	bson_destroy(&reply);
	if (err)
		return err;
	bson_t *command = BCON_NEW("dropDatabase", BCON_INT32(1), "writeConcern", "{", "w", BCON_UTF8("majority"), "}");
	err = mongo_command(use, command, true, NULL, &error, info);
	bson_destroy(command);
	return err;
}

static enum err drop_back(const struct store_options *options, const char *place, struct err_info *info)
{
	(void)place;
	struct mongo *back = NULL;
	struct mongo_use use;
	enum err err = connect_back(options, &back, info);
	if (err)
		return err;
	size_t length = strlen(back->database), ending = strlen(STORE_DRILL_ENDING);
	if (length <= ending || strcmp(back->database + length - ending, STORE_DRILL_ENDING) != 0)
		err = err_set(info, ERR_INVALID_CONFIG, NULL, "%s is no database of a drill", back->database);
	if (!err)
		err = mongo_use_start(back, &use, info);
	if (!err) {
		err = drop_database(&use, info);
		mongo_use_end(&use);
	}
	close_back(back);
	return err;
}

const struct store_engine store_mongo = {
	.schemes = {"mongodb:", "mongodb+srv:"},
	.migrations = "mongo",
	.shared = true,
	.open = open_back,
	.check = check_back,
	.drop = drop_back,
	.close = close_back,
	.healthy = healthy,
	.write = mongo_write,
	.get = mongo_get,
	.scan = mongo_scan,
	.log_head = mongo_log_head,
	.log_some = mongo_log_some,
	.log_streams = mongo_log_streams,
	.log_prune = mongo_log_prune,
	.log_delete = mongo_log_delete,
	.visit = mongo_visit,
	.write_many = mongo_write_many,
	.end_writes = mongo_end_writes,
};
