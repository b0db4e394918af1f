/* Decides whether a row's condition holds and carries the change out. The file's writer thread, inside a transaction. */
#include <stdio.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "sqlite.h"

#define SWEEP_ROWS 1000 /* of one collection in one transaction */

static void bind_key(sqlite3_stmt *statement, const struct store_row_change *change)
{
	for (size_t i = 0; i < change->table->key_count; i++)
		sqlite_bind(statement, (int)i + 1, &change->values[change->table->key[i]]);
}

static enum err check(
	struct sqlite_file *file, const struct store_row_change *change, bool *ret_holds, struct err_info *info)
{
	*ret_holds = true;
	if (change->condition == STORE_ALWAYS)
		return ERR_OK;
	const char *by_key = file->back->texts[change->table->number].by_key;
	struct sqlite_text text;
	text.size = 0;
	text.cut = false;
	if (change->condition == STORE_ABSENT)
		sqlite_add(&text, "SELECT 1%s", by_key);
	else
		sqlite_add(&text, "SELECT \"%s\"%s", change->table->columns[change->column].name, by_key);
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(&file->writer, text.text, &statement, info);
	if (err)
		return err;
	bind_key(statement, change);
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW || code == SQLITE_DONE) {
		struct store_value stored = {.kind = VALUE_NULL};
		if (code == SQLITE_ROW)
			stored = sqlite_column(statement, 0);
		*ret_holds = store_condition_holds(change, code == SQLITE_ROW, &stored);
	} else {
		err = sqlite_failure(&file->writer, code, "check a condition", info);
	}
	sqlite_done(statement);
	return err;
}

/* "UNIQUE constraint failed: sensors.org_id, sensors.slug": the last member is the one to name. */
static enum err duplicate(struct sqlite_file *file, const struct store_table *table, struct err_info *info)
{
	const char *message = sqlite3_errmsg(file->writer.db);
	const char *dot = strrchr(message, '.');
	char pointer[128] = "";
	if (dot && store_column_of(table, dot + 1) != SIZE_MAX)
		snprintf(pointer, sizeof pointer, "/%s", dot + 1);
	return err_set(info, ERR_DUPLICATE, pointer, "another row of %s has this %s", table->collection->name,
		pointer[0] ? pointer + 1 : "value");
}

/* One statement for condition and change, where a refusal is none of the caller's business. */
static const char *lower_text(
	const struct sqlite_table_text *texts, const struct store_job *job, const struct store_row_change *change)
{
	if (!job->skip_below || change->condition != STORE_BELOW || change->column != texts->position_column)
		return NULL;
	return change->verb == STORE_PUT ? texts->put_over_lower : texts->remove_lower;
}

/* With `lower`, its text and one more number to bind. */
static enum err carry_out(
	struct sqlite_file *file, const struct store_row_change *change, const char *lower, struct err_info *info)
{
	const struct sqlite_table_text *texts = &file->back->texts[change->table->number];
	sqlite3_stmt *statement = NULL;
	bool put = change->verb == STORE_PUT;
	const char *text = lower ? lower : put ? texts->put : texts->remove;
	enum err err = sqlite_statement(&file->writer, text, &statement, info);
	if (err)
		return err;
	if (put)
		for (size_t i = 0; i < change->table->column_count; i++)
			sqlite_bind(statement, (int)i + 1, &change->values[i]);
	else
		bind_key(statement, change);
	if (lower)
		sqlite_bind(statement, (int)(put ? change->table->column_count : change->table->key_count) + 1,
			&change->expected);
	int code = sqlite3_step(statement);
	if (code == SQLITE_CONSTRAINT_UNIQUE)
		err = duplicate(file, change->table, info);
	else if (code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, change->table->collection->name, info);
	sqlite_done(statement);
	return err;
}

enum err sqlite_change_rows(struct sqlite_file *file, struct store_job *job, struct err_info *info)
{
	for (size_t i = 0; i < job->change_count; i++) {
		const struct store_row_change *change = &job->changes[i];
		const char *lower = lower_text(&file->back->texts[change->table->number], job, change);
		bool met = true;
		job->refused = i;
		enum err err = lower ? ERR_OK : check(file, change, &met, info);
		if (!err && !met && job->skip_below && change->condition == STORE_BELOW)
			continue;
		if (!err && !met)
			err = err_set(info, ERR_CONDITION_FAILED, NULL, "a row of %s has changed since it was read",
				change->table->collection->name);
		if (!err)
			err = carry_out(file, change, lower, info);
		if (err)
			return err;
	}
	return ERR_OK;
}

/* ---- retention ---- */

static enum err sweep_table(
	struct sqlite_file *file, const struct store_table *table, bool *ret_more, struct err_info *info)
{
	const char *column = table->columns[table->retention_column].name, *name = table->collection->name;
	struct sqlite_text text = {.cut = false};
	sqlite_add(&text, "DELETE FROM \"%s\" WHERE (", name);
	for (size_t i = 0; i < table->key_count; i++)
		sqlite_add(&text, "%s\"%s\"", i ? ", " : "", table->columns[table->key[i]].name);
	sqlite_add(&text, ") IN (SELECT ");
	for (size_t i = 0; i < table->key_count; i++)
		sqlite_add(&text, "%s\"%s\"", i ? ", " : "", table->columns[table->key[i]].name);
	sqlite_add(&text, " FROM \"%s\" WHERE \"%s\" < ? ORDER BY \"%s\" LIMIT %d)", name, column, column, SWEEP_ROWS);
	sqlite3_stmt *statement = NULL;
	enum err err = sqlite_statement(&file->writer, text.text, &statement, info);
	if (err)
		return err;
	sqlite3_bind_int64(statement, 1, clock_wall_us() - table->collection->retention_us);
	int code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		err = sqlite_failure(&file->writer, code, "retention", info);
	else if (sqlite3_changes(file->writer.db) == SWEEP_ROWS)
		*ret_more = true;
	sqlite_done(statement);
	return err;
}

enum err sqlite_sweep(struct sqlite_file *file, struct sqlite_request *request, struct err_info *info)
{
	const struct store_tables *tables = file->back->tables;
	enum err err = ERR_OK;
	for (size_t i = 0; i < tables->count && !err; i++)
		if (tables->items[i].collection->class == file->class && tables->items[i].retention_column != SIZE_MAX)
			err = sweep_table(file, &tables->items[i], &request->more, info);
	return err;
}
