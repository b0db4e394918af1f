/* Decides what the thread `audit-tree` does next (fold, sign), starts and stops both threads, and looks records up for the
 * others. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "audit_private.h"
#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/base/log.h"

#define WRITE_QUEUE     256
#define FOLD_QUEUE      64
#define FOLD_EVERY_US   INT64_C(2000000)  /* so that little is left to fold when somebody asks */
#define FIND_WAIT_US    INT64_C(1000000)  /* for the view to catch up; then what is there is answered */
#define CHECKPOINT_WAIT INT64_C(60000000) /* a first folding of a long log takes its time */
#define FIND_PAGE       200
#define FIND_PAGES_MAX  50 /* rows looked at for one answer, where a filter has no index */

/* ---- thread `audit-tree` ---- */

struct fold_request {
	bool checkpoint;
	int64_t now_us; /* of a checkpoint */
	char prefix[STORE_STREAM_SIZE];
	struct runtime_reply *reply;
};

static enum err load_last_checkpoint(struct audit *audit, struct err_info *info);

/* Another daemon may have folded and signed since this one last led: then what the views say counts. */
static bool leads_now(struct audit *audit)
{
	bool leads = atomic_load(&audit->leads);
	struct err_info info = {.code = ERR_OK};
	if (leads && !audit->led) {
		audit_trees_free(audit);
		audit->next_ordinal = 0;
		leads = load_last_checkpoint(audit, &info) == ERR_OK;
	}
	audit->led = leads;
	return leads;
}

/* A daemon that does not lead has nothing to fold: what there is has been folded, or will be. */
static enum err refuse_request(const struct fold_request *request, struct err_info *info)
{
	return request->checkpoint ? err_set(info, ERR_NOT_LEADER, "", "the daemon that leads signs checkpoints")
				   : ERR_OK;
}

static void run_request(struct audit *audit, struct fold_request *request)
{
	struct err_info info = {.code = ERR_OK};
	enum err err = !leads_now(audit)     ? refuse_request(request, &info)
		       : request->checkpoint ? audit_sign_checkpoint(audit, request->now_us, &info)
					     : audit_fold(audit, request->prefix, &info);
	reply_complete(request->reply, err, &info, NULL, NULL);
	free(request);
}

/* What nobody waits for is told once, until it is good again. */
static void tell(struct audit *audit, enum err err, const struct err_info *info)
{
	if (err && err != ERR_STOPPING && err != audit->last_fault) {
		metric_add(METRIC_AUDIT_FAULTS, 1);
		log_failure("audit_tree_failed", info, NULL);
	}
	audit->last_fault = err;
}

static void keep_up(struct audit *audit)
{
	struct err_info info = {.code = ERR_OK};
	int64_t now_us = clock_wall_us();
	bool due = now_us - audit->last_checkpoint_us >= audit->checkpoint_us || now_us < audit->last_checkpoint_us;
	enum err err = due ? audit_sign_checkpoint(audit, now_us, &info) : audit_fold(audit, "", &info);
	tell(audit, err, &info);
}

static void run_folder(void *argument)
{
	struct audit *audit = argument;
	for (;;) {
		void *items[FOLD_QUEUE];
		size_t count = mailbox_take(audit->folds, items, FOLD_QUEUE, clock_monotonic_us() + FOLD_EVERY_US);
		if (count == 0 && mailbox_closed(audit->folds))
			return;
		for (size_t i = 0; i < count; i++)
			run_request(audit, items[i]);
		if (count == 0 && leads_now(audit))
			keep_up(audit);
	}
}

/* ---- asking it ---- */

static enum err ask(struct audit *audit, bool checkpoint, int64_t now_us, const char *prefix, int64_t wait_us,
	struct err_info *info)
{
	int64_t deadline_us = clock_monotonic_us() + wait_us;
	struct fold_request *request = calloc(1, sizeof *request);
	struct runtime_reply *reply = request ? reply_new(deadline_us, NULL, NULL) : NULL;
	if (!reply) {
		free(request);
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to ask for a tree");
	}
	request->checkpoint = checkpoint;
	request->now_us = now_us;
	request->reply = reply;
	snprintf(request->prefix, sizeof request->prefix, "%s", prefix);
	enum err err = mailbox_put_wait(audit->folds, request, deadline_us);
	if (err) {
		err_set(info, err, NULL, "the queue of the audit trees is full");
		reply_complete(reply, err, info, NULL, NULL); /* lets go of the completer's half */
		free(request);
	} else {
		err = reply_wait(reply, info);
	}
	reply_unref(&reply);
	return err;
}

enum err audit_ask_fold(struct audit *audit, const char *prefix, int64_t wait_us, struct err_info *info)
{
	return ask(audit, false, 0, prefix, wait_us, info);
}

enum err audit_checkpoint(struct audit *audit, int64_t now_us, struct err_info *info)
{
	return ask(audit, true, now_us, "", CHECKPOINT_WAIT, info);
}

void audit_lead(struct audit *audit, bool leads)
{
	atomic_store(&audit->leads, leads);
}

struct sign_public audit_checkpoint_key(const struct audit *audit)
{
	return audit->key;
}

/* ---- start and stop ---- */

static enum err load_last_checkpoint(struct audit *audit, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct audit_checkpoint_row newest = {.time_us = 0};
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to start the audit log");
	enum err err = audit_checkpoint_newest(audit, arena, &newest, info);
	if (err == ERR_NOT_FOUND)
		err = ERR_OK;
	audit->last_checkpoint_us = newest.time_us;
	arena_free(&arena);
	return err;
}

static enum err start_parts(struct audit *audit, const struct audit_options *options, struct err_info *info)
{
	audit->signer = signer_new();
	audit->writes = mailbox_new("audit", WRITE_QUEUE);
	audit->folds = mailbox_new("audit-tree", FOLD_QUEUE);
	if (!audit->signer || !audit->writes || !audit->folds)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to start the audit log");
	enum err err = signer_key_add(audit->signer, SIGNER_CHECKPOINT, options->checkpoint_key, info);
	if (!err)
		err = signer_public(audit->signer, SIGNER_CHECKPOINT, &audit->key, info);
	if (!err)
		err = audit_writer_load(audit, info);
	if (!err)
		err = load_last_checkpoint(audit, info);
	if (err)
		return err;
	err = thread_start("audit", audit_run_writer, audit, &audit->writer);
	if (!err)
		err = thread_start("audit-tree", run_folder, audit, &audit->folder);
	return err ? err_set(info, err, NULL, "the audit log's threads could not be started") : ERR_OK;
}

enum err audit_start(const struct audit_options *options, struct audit **ret_audit, struct err_info *info)
{
	*ret_audit = NULL;
	if (strlen(options->node) >= AUDIT_NODE_SIZE)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "the node's name has more than %d characters",
			AUDIT_NODE_SIZE - 1);
	struct audit *audit = calloc(1, sizeof *audit);
	if (!audit)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory to start the audit log");
	audit->store = options->store;
	atomic_init(&audit->leads, !store_is_shared(options->store));
	audit->led = atomic_load(&audit->leads);
	audit->checkpoint_us = options->checkpoint_us ? options->checkpoint_us : CLOCK_US_PER_HOUR;
	snprintf(audit->node, sizeof audit->node, "%s", options->node);
	snprintf(audit->stream, sizeof audit->stream, AUDIT_STREAM_PREFIX "%s", options->node);
	enum err err = start_parts(audit, options, info);
	if (err)
		audit_stop(&audit);
	*ret_audit = audit;
	return err;
}

void audit_stop(struct audit **audit)
{
	struct audit *stopping = *audit;
	if (!stopping)
		return;
	*audit = NULL;
	atomic_store(&stopping->stopping, true);
	if (stopping->writes)
		mailbox_close(stopping->writes);
	if (stopping->folds)
		mailbox_close(stopping->folds);
	thread_join(&stopping->writer);
	thread_join(&stopping->folder);
	mailbox_free(&stopping->writes);
	mailbox_free(&stopping->folds);
	signer_free(&stopping->signer);
	audit_trees_free(stopping);
	free(stopping);
}

/* ---- looking records up ---- */

static bool matches(const struct audit_query *query, const struct audit_record_row *row)
{
	return (id_is_none(query->org) || id_equal(query->org, row->org_id)) &&
	       (id_is_none(query->subject) || id_equal(query->subject, row->subject)) &&
	       (!query->subject_kind || (row->subject_kind && strcmp(query->subject_kind, row->subject_kind) == 0));
}

/* The narrowest index that the filter allows. */
static void choose_index(const struct audit_query *query, struct audit_record_row *low, struct store_query *ret_find)
{
	*ret_find = (struct store_query){
		.collection = &audit_records_collection, .descending = true, .most = FIND_PAGE, .low = low};
	low->org_id = query->org;
	low->subject = query->subject;
	if (!id_is_none(query->subject))
		ret_find->index = "by_subject";
	else if (!id_is_none(query->org))
		ret_find->index = "by_org";
	ret_find->prefix = ret_find->index ? 1 : 0;
}

static enum err take_page(const struct audit_query *query, struct arena *arena, const struct audit_record_row *rows,
	size_t count, json_t *records, int64_t *ret_next, struct err_info *info)
{
	for (size_t i = 0; i < count && json_array_size(records) < query->most; i++) {
		json_t *record = NULL;
		*ret_next = rows[i].ordinal;
		if (!matches(query, &rows[i]))
			continue;
		enum err err = document_parse(arena, rows[i].record, strlen(rows[i].record), &record, info);
		if (err)
			return err;
		if (json_array_append(records, record) != 0)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the records");
	}
	return ERR_OK;
}

enum err audit_find(struct audit *audit, const struct audit_query *query, struct arena *arena, json_t **ret_records,
	int64_t *ret_next_position, struct err_info *info)
{
	struct audit_record_row low = {.ordinal = FIELD_ABSENT}, end = {.ordinal = query->before_position};
	struct store_query find;
	choose_index(query, &low, &find);
	find.to = query->before_position == INT64_MAX ? NULL : &end;
	*ret_next_position = 0;
	*ret_records = document_own(arena, json_array());
	if (!*ret_records)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the records");
	enum err err = audit_ask_fold(audit, AUDIT_STREAM_PREFIX, FIND_WAIT_US, info);
	if (err == ERR_DEADLINE || err == ERR_BUSY)
		err = ERR_OK; /* behind, but not wrong */
	bool more = true;
	for (size_t page = 0; page < FIND_PAGES_MAX && more && !err; page++) {
		void *rows = NULL;
		size_t count = 0;
		err = store_find(audit->store, &find, arena, &rows, &count, info);
		if (!err)
			err = take_page(query, arena, rows, count, *ret_records, ret_next_position, info);
		more = count == FIND_PAGE && json_array_size(*ret_records) < query->most;
		end.ordinal = *ret_next_position;
		find.to = &end;
		if (!more && count < FIND_PAGE && json_array_size(*ret_records) < query->most)
			*ret_next_position = 0; /* that was all */
	}
	return err;
}
