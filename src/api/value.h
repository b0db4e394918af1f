/* What the resources that change value share: a command made from a request, its reply, reads of one's own writes. */
#ifndef API_VALUE_H
#define API_VALUE_H

#include "carbond/api.h"
#include "carbond/engine.h"

/* A command of the request's actor: id from Idempotency-Key, request hash, actor, and on whose behalf. On a http thread. */
struct command value_command(struct http_request *request, enum command_kind kind);

/* Hands the command, with the vault rows whose hashes it cites, to the engine; the answer comes by value_reply. */
enum err value_submit(struct http_request *request, const struct command *command, const struct vault_row *rows,
	size_t row_count, struct err_info *info) MUST_CHECK;

/* A text for the vault; its hash goes into the command. */
enum err value_text(struct http_request *request, struct id org, const char *kind, const char *text,
	struct vault_row *ret_row, struct err_info *info) MUST_CHECK;

/* What a command's answer says, and how it is answered: 200 instead of the row's status for a repeat. */
struct value_result {
	struct id id;        /* command, transfer, retirement … */
	const char *command; /* kind */
	int64_t shard, position;
	int64_t number; /* batch or retirement that was made */
	bool repeated;
};
extern const struct field value_result_fields[];
enum err value_reply(struct http_request *request, struct runtime_reply *reply, struct err_info *info) MUST_CHECK;

/* Handlers of reads on routes with HTTP_AT_LEAST call this first: waits up to 1 s for the position (decision 12);
 * ERR_DEADLINE. Workers. */
enum err value_at_least(struct http_request *request, struct err_info *info) MUST_CHECK;

/* A path parameter that is a whole number ≥ 1. ERR_NOT_FOUND otherwise. */
enum err value_path_number(
	struct http_request *request, const char *name, int64_t *ret_number, struct err_info *info) MUST_CHECK;

/* An organisation that something goes to: ERR_INVALID_FIELD with the pointer where there is no active one of this id. */
enum err value_organisation(
	struct http_request *request, struct id org, const char *pointer, struct err_info *info) MUST_CHECK;
/* A member that commands have as 0 where it was left out. */
static inline int64_t value_or_zero(int64_t member)
{
	return member == FIELD_ABSENT ? 0 : member;
}

/* Kilograms as bodies name them: a batch and kg, ranges, or serial numbers. */
struct value_kilograms {
	int64_t batch, kg;
	struct field_list ranges;  /* struct serial_range_item */
	struct field_list serials; /* texts */
};
#define VALUE_KILOGRAM_FIELDS(type)                                                                            \
	FIELD(type, batch, FIELD_INT, .min = 1, .doc = "Batch to take the lowest serials of"),                 \
		FIELD(type, kg, FIELD_INT, .min = 1, .max = INT64_C(1000000000000), .unit = "kg",              \
			.doc = "How many of the batch"),                                                       \
		FIELD(type, ranges, FIELD_LIST, .table = range_item_fields,                                    \
			.item_size = sizeof(struct serial_range_item), .max = 256, .doc = "Or these serials"), \
		FIELD(type, serials, FIELD_TEXTS, .max = 256, .doc = "Or these serial numbers")

/* Puts them into a command: exactly one of the three forms. Lists live in the request's arena. */
enum err value_kilograms(struct http_request *request, const struct value_kilograms *named, struct command *command,
	uint64_t *ret_batch, int64_t *ret_kg, struct err_info *info) MUST_CHECK;

/* What a retirement says besides its kilograms, as bodies name it. */
#define VALUE_RETIREMENT_FIELDS(type)                                                                   \
	FIELD(type, beneficiary, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200,             \
		.doc = "For whom; kept in the vault and public only with consent"),                     \
		FIELD(type, country, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 2,           \
			.doc = "ISO 3166 alpha-2 of the beneficiary"),                                  \
		FIELD(type, purpose, FIELD_ENUM, .flags = FIELD_REQUIRED, .names = event_purpose_names, \
			.doc = "What for"),                                                             \
		FIELD(type, covered_from, FIELD_TIME, .flags = FIELD_REQUIRED,                          \
			.doc = "The beneficiary's emissions from"),                                     \
		FIELD(type, covered_to, FIELD_TIME, .flags = FIELD_REQUIRED, .doc = "To, exclusive"),   \
		FIELD(type, consent, FIELD_BOOL, .doc = "The beneficiary agrees to be named in public")

/* The body of releases, refusals and the like. */
struct value_reason {
	const char *reason;
};
extern const struct field value_reason_fields[];
#define VALUE_REASON_BYTES 1024

#define VALUE_BODY_BYTES (64u << 10)

#endif
