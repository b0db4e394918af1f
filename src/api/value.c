/* Decides how a request becomes a command of the engine and how its reply is answered. Http threads; value_at_least on
 * workers. */
#include "value.h"

#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/limits.h"
#include "carbond/identity.h"
#include "carbond/registry.h"

#define AT_LEAST_WAIT_US CLOCK_US_PER_SECOND

const struct field value_result_fields[] = {
	FIELD(struct value_result, id, FIELD_ID, .doc = "Id of the command, and of the transfer or retirement it made"),
	FIELD(struct value_result, command, FIELD_TEXT, .max = 40, .doc = "What was done"),
	FIELD(struct value_result, shard, FIELD_INT, .doc = "Shard of the journal"),
	FIELD(struct value_result, position, FIELD_INT, .doc = "Position in the journal; read with at-least to see it"),
	FIELD(struct value_result, number, FIELD_INT, .min = 1,
		.doc = "Number of the batch or retirement that was made"),
	FIELD(struct value_result, repeated, FIELD_BOOL,
		.doc = "The command had been carried out before under the same Idempotency-Key"),
	FIELD_END};

const struct field value_reason_fields[] = {
	FIELD(struct value_reason, reason, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = VALUE_REASON_BYTES,
		.doc = "Why; kept in the vault, its salted hash in the journal"),
	FIELD_END};

struct command value_command(struct http_request *request, enum command_kind kind)
{
	const struct http_actor *actor = http_actor(request);
	return (struct command){.kind = kind,
		.source = COMMAND_SOURCE_CLIENT,
		.id = http_idempotency_key(request),
		.actor = actor->user,
		.org = actor->org,
		.request_hash = http_request_hash(request)};
}

enum err value_submit(struct http_request *request, const struct command *command, const struct vault_row *rows,
	size_t row_count, struct err_info *info)
{
	struct command sent = *command;
	struct runtime_reply *reply = http_reply_new(request);
	if (!reply)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the command");
	if (row_count > 0) /* a hash over the request's texts would give them away, for ever */
		sent.request_hash = (struct hash){0};
	enum err err = engine_submit(api_of(request)->engine, &sent, rows, row_count, reply);
	return err ? err_set(info, err, NULL, "the engine does not take the command now") : ERR_OK;
}

enum err value_text(struct http_request *request, struct id org, const char *kind, const char *text,
	struct vault_row *ret_row, struct err_info *info)
{
	enum err err = vault_make(org, kind, text, clock_wall_us(), http_arena(request), ret_row);
	return err ? err_set(info, err, NULL, "no memory for a text") : ERR_OK;
}

enum err value_reply(struct http_request *request, struct runtime_reply *reply, struct err_info *info)
{
	if (reply->code) {
		*info = reply->info;
		return reply->code;
	}
	const struct engine_result *result = reply->result;
	struct value_result row = {.id = result->command,
		.command = command_kind_name((uint32_t)result->kind),
		.shard = result->shard,
		.position = result->position,
		.number = result->number ? (int64_t)result->number : FIELD_ABSENT,
		.repeated = result->repeated};
	api_set_position(request, result->shard, result->position);
	if (result->repeated)
		http_set_status(request, 200);
	return http_answer_row(request, value_result_fields, &row, -1);
}

enum err value_at_least(struct http_request *request, struct err_info *info)
{
	int64_t position = http_at_least(request);
	if (position == FIELD_ABSENT)
		return ERR_OK;
	enum err err = engine_wait_position(api_of(request)->engine, position, clock_monotonic_us() + AT_LEAST_WAIT_US);
	return err ? err_set(info, err, "/at-least", "the views have not reached this position yet; try again")
		   : ERR_OK;
}

enum err value_path_number(struct http_request *request, const char *name, int64_t *ret_number, struct err_info *info)
{
	const char *text = http_path_text(request, name);
	char *end = NULL;
	long long number = text && *text >= '1' && *text <= '9' ? strtoll(text, &end, 10) : 0;
	if (number < 1 || *end || number > LIMIT_JSON_INTEGER)
		return err_set(info, ERR_NOT_FOUND, NULL, "there is no such resource");
	*ret_number = number;
	return ERR_OK;
}

enum err value_organisation(struct http_request *request, struct id org, const char *pointer, struct err_info *info)
{
	char slug[41], id[ID_TEXT_SIZE];
	struct id found;
	struct identity *identity = api_of(request)->identity;
	return identity_organisation_slug(identity, org, slug) &&
			       identity_organisation_find(identity, id_text(org, id), &found)
		       ? ERR_OK
		       : err_set(info, ERR_INVALID_FIELD, pointer, "%s is no active organisation", pointer);
}

/* ---- kilograms ---- */

static enum err ranges_of_items(const struct field_list *items, struct serial_range *ranges)
{
	for (size_t i = 0; i < items->count; i++) {
		const struct serial_range_item *item = &((const struct serial_range_item *)items->items)[i];
		ranges[i] = (struct serial_range){
			.batch = (uint64_t)item->batch, .start = item->start, .length = item->length};
	}
	return ERR_OK;
}

static enum err ranges_of_serials(const struct field_list *serials, struct serial_range *ranges, struct err_info *info)
{
	for (size_t i = 0; i < serials->count; i++) {
		struct serial serial;
		enum err err = serial_parse(((const char *const *)serials->items)[i], &serial, info);
		if (err) {
			struct err_info why = *info;
			return err_set(info, err, "/serials", "serial %zu: %s", i, why.detail);
		}
		ranges[i] = serial.range;
	}
	return ERR_OK;
}

enum err value_kilograms(struct http_request *request, const struct value_kilograms *named, struct command *command,
	uint64_t *ret_batch, int64_t *ret_kg, struct err_info *info)
{
	bool by_batch = named->batch != FIELD_ABSENT || named->kg != FIELD_ABSENT;
	int forms = (named->ranges.count > 0) + (named->serials.count > 0) + by_batch;
	if (forms != 1 || (by_batch && (named->batch == FIELD_ABSENT || named->kg == FIELD_ABSENT)))
		return err_set(info, ERR_INVALID_FIELD, "/kg", "name /batch and /kg, or /ranges, or /serials");
	*ret_batch = by_batch ? (uint64_t)named->batch : 0;
	*ret_kg = by_batch ? named->kg : 0;
	if (by_batch)
		return ERR_OK;
	size_t count = named->ranges.count + named->serials.count;
	struct serial_range *ranges = ARENA_ARRAY(http_arena(request), struct serial_range, count);
	if (!ranges)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the ranges");
	enum err err = named->ranges.count ? ranges_of_items(&named->ranges, ranges)
					   : ranges_of_serials(&named->serials, ranges, info);
	command->lists = (struct record_lists){.ranges = ranges, .range_count = count};
	return err;
}
