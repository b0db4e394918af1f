/* daemon: the one room that knows all others: what starts in which order, how it is told to reload and to stop, the admin
 * socket, and the verbs that need a store. Main thread unless a function says otherwise. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <limits.h>
#include <stdatomic.h>

#include "carbond/api.h"
#include "carbond/audit.h"
#include "carbond/base.h"
#include "carbond/conf.h"
#include "carbond/runtime.h"
#include "carbond/store.h"

struct admin;
struct retention;

/* Exit codes of the binary; carbonctl passes them on. */
enum {
	DAEMON_EXIT_OK = 0,
	DAEMON_EXIT_FAILED = 1,  /* could not start, or the verb failed; the reason is one line */
	DAEMON_EXIT_USAGE = 2,   /* wrong words on the command line */
	DAEMON_EXIT_STOPPED = 3, /* stopped itself: the lead was lost, guards disagree, or a write failed for good */
};

/* ---- node.c: what makes a data directory this node's: its identity and its keys ---- */

#define NODE_SEAL_KEYS_MAX 16 /* rotations; each key that ever sealed a row must stay */

struct node_identity {
	char node[32];      /* name in the streams; never changes for a data directory */
	struct id registry; /* the registry's id: part of every issuanceId */
	int64_t created_at;
	struct seal_key seal_keys[NODE_SEAL_KEYS_MAX]; /* the first one seals, all open */
	size_t seal_key_count;
	struct sign_secret checkpoint_key;
};

/* Makes the directory (0700) and, where they are missing, node.json, seal.keys and checkpoint.key (0600), durably. What is
 * there stays. ERR_IO, ERR_INVALID_CONFIG (the directory is another node's). */
enum err node_create(const char *folder, const char *node, int64_t now_us, struct err_info *info) MUST_CHECK;
/* Makes the directory of a further node of the registry that `from`, a directory of another node or a copy of its files, is of:
 * the same registry and keys under a name of its own. ERR_IO, ERR_INVALID_CONFIG. */
enum err node_join(const char *folder, const char *node, const char *from, struct err_info *info) MUST_CHECK;
/* Reads them. ERR_INVALID_CONFIG: not initialised, another node's, a key file that others can read or that is malformed. */
enum err node_read(
	const char *folder, const char *node, struct node_identity *ret_identity, struct err_info *info) MUST_CHECK;
/* Overwrites the keys in memory. */
void node_wipe(struct node_identity *identity);
/* node.json alone: node, registry and created_at are filled in. */
enum err node_identity_read(const char *folder, struct node_identity *ret_identity, struct err_info *info) MUST_CHECK;
/* The public half of a folder's checkpoint.key. False: it has none that can be read. */
bool node_public_key(const char *folder, struct sign_public *ret_key);
/* Copies node.json, and the key files too if `keys`, from one folder into another; files that are there stay. ERR_IO. */
enum err node_copy(const char *from, const char *to, bool keys, struct err_info *info) MUST_CHECK;

/* ---- start.c: the daemon's parts in their order ---- */

struct daemon {
	/* the configuration; replaced by reload, main thread */
	struct arena *arena;
	struct conf *conf;
	const struct conf_input *input;
	char data_folder[PATH_MAX], store_uri[PATH_MAX + 16], migrations_folder[PATH_MAX], shipped_folder[PATH_MAX];

	/* the parts, in the order of start; set by their stage, main thread */
	struct node_identity identity_file;
	bool locked; /* lock_fd holds the data directory's lock */
	int lock_fd;
	struct store *store;
	struct audit *audit;
	struct audit_follower *follower; /* NULL: no other daemon changes this store */
	struct members *members;         /* NULL: no other daemon uses this store */
	struct cache *cache;
	struct identity *identity;
	struct sensing *sensing;
	struct engine *engine;
	struct evidence *evidence;
	struct ingest *ingest;
	struct retention *retention;
	struct admin *admin;
	struct api api;
	atomic_size_t started; /* stages that run; any thread may look */

	/* why it must stop: the first reason wins; any thread */
	atomic_int fatal; /* enum err */
	char fatal_detail[384];
	atomic_bool fatal_told; /* fatal_detail is complete */
	atomic_bool draining;
};

extern const struct stage daemon_stages[];
extern const size_t daemon_stage_count;
/* The number of stages up to and including the one called `name`. */
size_t daemon_stages_through(const char *name);

/* Where data, migrations and shipped documents are. ERR_INVALID_CONFIG. */
enum err daemon_places(struct daemon *daemon, struct err_info *info) MUST_CHECK;
/* How the store is opened; what it cites is the daemon's. */
enum err daemon_store_options(
	struct daemon *daemon, struct store_options *ret_options, struct err_info *info) MUST_CHECK;
/* Takes the data directory's lock, unless the store at `uri` does (SQLite's in that folder). ERR_STORE_LOCKED, ERR_IO. */
enum err daemon_lock(struct daemon *daemon, const char *uri, struct err_info *info) MUST_CHECK;
void daemon_unlock(struct daemon *daemon);
/* daemon_places; then starts the first `stages` stages. */
enum err daemon_start(struct daemon *daemon, size_t stages, struct err_info *info) MUST_CHECK;
void daemon_stop(struct daemon *daemon);

/* The process must stop: remembers the first reason and wakes the main thread. Any thread; never blocks. */
void daemon_fatal(struct daemon *daemon, enum err reason, const char *detail);

/* ERR_INVALID_CONFIG: an address that others can reach needs TLS or a proxy that ends it (decision 29). */
enum err daemon_check_listener(const struct conf *conf, struct err_info *info) MUST_CHECK;

/* ---- run.c ---- */

/* Starts everything, runs until it is told to stop, stops. Returns an exit code. */
int daemon_run(struct daemon *daemon);
/* SIGHUP: reads the configuration again and applies what can be; a faulty one changes nothing. False: nothing changed. */
bool daemon_reload(struct daemon *daemon);

/* ---- retention.c: the thread that drops raw readings and prunes logs as they age ---- */

enum err retention_start(struct sensing *sensing, struct engine *engine, int64_t interval_us,
	struct retention **ret_retention, struct err_info *info) MUST_CHECK;
void retention_stop(struct retention **retention);

/* ---- admin.c: the local admin socket; one thread ---- */

struct admin_options {
	const char *path; /* of the socket; its folder must exist */
	struct daemon *daemon;
};
enum err admin_start(const struct admin_options *options, struct admin **ret_admin, struct err_info *info) MUST_CHECK;
void admin_stop(struct admin **admin);
/* One request line as an object → an answer object (a new reference): {"ok": true, "result": …} or {"ok": false, "error":
 * {slug, title, detail, pointer}}. On the admin thread. NULL without memory. */
json_t *admin_answer(struct daemon *daemon, const json_t *request);

/* ---- health.c; the admin thread ---- */

/* [{"check", "verdict": ok, warning or bad, "detail", "todo"}]: what has ended, gone quiet, filled up or grown old; a new
 * reference, NULL without memory. Blocks on the store. */
json_t *health_findings(struct daemon *daemon, int64_t now_us);
/* The time of the last backup, also into its metric; 0: none. Notes one. */
int64_t health_backup_read(const struct daemon *daemon);
void health_backup_note(const struct daemon *daemon, int64_t now_us);

/* ---- verbs.c, backup.c, move.c, docs.c: each verb returns an exit code; `words` are its own words, configuration taken out ---- */

int verb_run(struct daemon *daemon, int count, char **words);
int verb_init(struct daemon *daemon, int count, char **words);
int verb_backup(struct daemon *daemon, int count, char **words);
int verb_restore(struct daemon *daemon, int count, char **words);
int verb_migrate_store(struct daemon *daemon, int count, char **words);
int verb_check(struct daemon *daemon, int count, char **words);
int verb_journal(struct daemon *daemon, int count, char **words);
int verb_docs(struct daemon *daemon, int count, char **words);
int verb_config(struct daemon *daemon, int count, char **words);

struct words {
	int count;
	char **items;
};
/* Each takes what it finds out of the words. */
bool words_flag(struct words *words, const char *name);
const char *words_option(struct words *words, const char *name); /* "--name value" or "--name=value"; NULL: not given */
const char *words_next(struct words *words);                     /* NULL: there is none, or it is an option */
/* False: not a number of 0 or more. NULL is `absent`. */
bool words_number(const char *text, int64_t absent, int64_t *ret_number);
int verb_usage(const char *verb, const char *text);
int verb_failed(const char *verb, const struct err_info *info);

/* A step of a backup of an open store into `folder`, with the node's identity, and its keys if `keys`, signed with its
 * checkpoint key. Blocks. */
enum err daemon_backup(struct daemon *daemon, const char *folder, bool keys, struct store_backup_report *ret_report,
	struct err_info *info) MUST_CHECK;

/* Every collection of every room, for store_open. NULL-terminated; owned by the arena. NULL without memory. */
const struct store_collection *const *daemon_collections(struct arena *arena);

#endif
