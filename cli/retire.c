/* carbonctl retire --from list.csv: buys kilograms and retires them for a list of beneficiaries, in one purchase (docs/ROUTING.md). The
 * list is checked before anything is sent; the key under which it is sent is kept beside it, so that the same list is bought once
 * however often it is given. One thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"
#include "carbond/events.h"
#include "carbond/market.h"
#include "csv.h"

#define KEY_BYTES        4096
#define BENEFICIARY_MOST 200

enum column { BENEFICIARY, COUNTRY, KG, COVERED_FROM, COVERED_TO, PURPOSE, CONSENT, COLUMN_COUNT };
static const char *const columns[] = {
	"beneficiary", "country", "kg", "covered_from", "covered_to", "purpose", "consent"};
enum { COLUMNS_NEEDED = PURPOSE };

/* Where each column stands; −1: it is not there. */
struct header {
	long at[COLUMN_COUNT], count;
};

static enum err wrong(const struct csv *csv, const char *field, const char *what, struct err_info *info)
{
	return err_set(info, ERR_INVALID_FIELD, "", "%s:%zu: %s: %s", csv->path, csv->line_number, field, what);
}

static enum err header_read(struct csv *csv, struct header *header, struct err_info *info)
{
	char *fields[CSV_COLUMNS_MAX];
	header->count = csv_read(csv, fields, info);
	if (header->count < 0)
		return ERR_INVALID_FIELD;
	for (int column = 0; column < COLUMN_COUNT; column++)
		header->at[column] = -1;
	for (long i = 0; i < header->count; i++) {
		int column = 0;
		while (column < COLUMN_COUNT && strcmp(columns[column], fields[i]) != 0)
			column++;
		if (column == COLUMN_COUNT || header->at[column] >= 0)
			return wrong(csv, fields[i],
				column == COLUMN_COUNT ? "there is no such column" : "is there twice", info);
		header->at[column] = i;
	}
	for (int column = 0; column < COLUMNS_NEEDED; column++)
		if (header->at[column] < 0)
			return wrong(csv, columns[column], "the column is missing", info);
	return ERR_OK;
}

/* A date begins at its midnight, UTC. */
static bool time_of(const char *text, int64_t *ret_us)
{
	char whole[32];
	if (strlen(text) != 10)
		return csv_time(text, ret_us);
	snprintf(whole, sizeof whole, "%sT00:00:00Z", text);
	return csv_time(whole, ret_us);
}

static bool is_purpose(const char *text)
{
	for (const char *const *name = event_purpose_names; *name; name++)
		if (strcmp(*name, text) == 0)
			return true;
	return false;
}

static enum err line_read(const struct csv *csv, const char *const *given, json_t *lines, struct err_info *info)
{
	int64_t from_us, to_us;
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], *end = NULL;
	const char *country = given[COUNTRY];
	size_t length = strlen(given[BENEFICIARY]);
	long long kg = *given[KG] >= '1' && *given[KG] <= '9' ? strtoll(given[KG], &end, 10) : 0;
	if (length < 1 || length > BENEFICIARY_MOST)
		return wrong(csv, "beneficiary", "must have 1 to 200 bytes", info);
	if (strlen(country) != 2 || country[0] < 'A' || country[0] > 'Z' || country[1] < 'A' || country[1] > 'Z')
		return wrong(csv, "country", "must be two letters A-Z", info);
	if (kg < 1 || *end || kg > MARKET_KG_MAX)
		return wrong(csv, "kg", "must be whole kilograms, 1 or more", info);
	if (!time_of(given[COVERED_FROM], &from_us))
		return wrong(csv, "covered_from", "must be a date or an RFC 3339 time", info);
	if (!time_of(given[COVERED_TO], &to_us))
		return wrong(csv, "covered_to", "must be a date or an RFC 3339 time", info);
	if (from_us >= to_us)
		return wrong(csv, "covered_to", "must be after covered_from", info);
	if (*given[PURPOSE] && !is_purpose(given[PURPOSE]))
		return wrong(csv, "purpose", "must be voluntary, compliance, contribution or gift", info);
	if (*given[CONSENT] && strcmp(given[CONSENT], "true") != 0 && strcmp(given[CONSENT], "false") != 0)
		return wrong(csv, "consent", "must be true or false", info);
	json_t *line = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:b}", "beneficiary", given[BENEFICIARY], "country",
		country, "kg", (json_int_t)kg, "covered_from", clock_text(from_us, from), "covered_to",
		clock_text(to_us, to), "purpose", *given[PURPOSE] ? given[PURPOSE] : event_purpose_names[0], "consent",
		strcmp(given[CONSENT], "true") == 0);
	if (!line)
		return wrong(csv, "beneficiary", "must be UTF-8", info);
	return json_array_append_new(lines, line) == 0 ? ERR_OK : ERR_NO_MEMORY;
}

static enum err list_read(struct csv *csv, json_t *lines, struct err_info *info)
{
	char *fields[CSV_COLUMNS_MAX];
	struct header header;
	long count;
	enum err err = header_read(csv, &header, info);
	while (!err && (count = csv_read(csv, fields, info)) != 0) {
		const char *given[COLUMN_COUNT];
		if (count < 0)
			return ERR_INVALID_FIELD;
		if (count != header.count)
			return wrong(csv, "the line", "has another number of fields than the first", info);
		if (json_array_size(lines) == EVENTS_LINES_MAX)
			return wrong(csv, "the line", "is more than a purchase may have: 100", info);
		for (int column = 0; column < COLUMN_COUNT; column++)
			given[column] = header.at[column] < 0 ? "" : fields[header.at[column]];
		err = line_read(csv, given, lines, info);
	}
	return err || json_array_size(lines) ? err : wrong(csv, "the list", "has no lines", info);
}

/* ---- the key beside the list ---- */

/* What was sent before under the kept key must be what is sent now. */
static enum err key_kept(
	struct arena *arena, const char *path, const char *hash, char ret_key[ID_TEXT_SIZE], struct err_info *info)
{
	char *data = NULL;
	size_t size = 0;
	json_t *kept = NULL;
	struct id id;
	enum err err = cli_read_file(arena, path, KEY_BYTES, &data, &size, info);
	if (err)
		return err;
	const char *key, *of;
	if (document_parse(arena, data, size, &kept, NULL) != ERR_OK ||
		!(key = json_string_value(json_object_get(kept, "idempotency_key"))) ||
		!(of = json_string_value(json_object_get(kept, "request"))) || id_parse(key, &id) != ERR_OK)
		return err_set(
			info, ERR_INVALID_FIELD, "", "%s is no key file: look into it before you remove it", path);
	if (strcmp(of, hash) != 0)
		return err_set(info, ERR_COMMAND_REUSED, "",
			"something else was sent for this list under the key %s: give --idempotency-key, or remove %s "
			"to "
			"buy anew",
			key, path);
	id_text(id, ret_key);
	return ERR_OK;
}

/* Written and synced before anything is sent. */
static enum err key_keep(const char *path, const char *hash, const char *key, struct err_info *info)
{
	char text[256];
	int length = snprintf(text, sizeof text, "{\"idempotency_key\":\"%s\",\"request\":\"%s\"}\n", key, hash);
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good = file >= 0 && write(file, text, (size_t)length) == length && fsync(file) == 0;
	int fault = errno;
	if (file >= 0 && close(file) != 0)
		good = false;
	return good ? ERR_OK : err_set(info, ERR_IO, "", "cannot write %s: %s", path, strerror(fault));
}

static enum err key_find(
	struct arena *arena, const char *path, const json_t *body, char ret_key[ID_TEXT_SIZE], struct err_info *info)
{
	size_t size = 0;
	char hash[HASH_TEXT_SIZE];
	const char *text = document_text(arena, body, &size);
	if (!text)
		return err_set(info, ERR_NO_MEMORY, "", "out of memory");
	hash_text(sha256_of("carbond/purchase/1", text, size), hash);
	enum err err = key_kept(arena, path, hash, ret_key, info);
	if (err != ERR_NOT_FOUND)
		return err;
	id_text(id_new(clock_wall_us()), ret_key);
	return key_keep(path, hash, ret_key, info);
}

/* ---- the command ---- */

static enum err options_read(int argc, char **argv, json_t *body, struct err_info *info)
{
	const char *instrument = cli_option(argc, argv, "instrument"), *maximum = cli_option(argc, argv, "maximum");
	const char *limit = cli_option(argc, argv, "limit"), *expires = cli_option(argc, argv, "expires-at");
	char *end = NULL;
	int64_t micros, us;
	long long number = instrument ? strtoll(instrument, &end, 10) : 0;
	if (number < 1 || *end)
		return err_set(info, ERR_INVALID_FIELD, "", "--instrument must be the number of an instrument");
	if (!maximum || micros_parse(maximum, &micros) != ERR_OK || micros < 1)
		return err_set(info, ERR_INVALID_FIELD, "", "--maximum must be the most that it may cost");
	if (limit && (micros_parse(limit, &micros) != ERR_OK || micros < 1))
		return err_set(info, ERR_INVALID_FIELD, "", "--limit must be a price");
	if (expires && clock_parse(expires, &us) != ERR_OK)
		return err_set(info, ERR_INVALID_FIELD, "", "--expires-at must be an RFC 3339 time");
	bool made = json_object_set_new(body, "instrument", json_integer(number)) == 0 &&
		    json_object_set_new(body, "maximum", json_string(maximum)) == 0 &&
		    (!limit || json_object_set_new(body, "limit", json_string(limit)) == 0) &&
		    (!expires || json_object_set_new(body, "expires_at", json_string(expires)) == 0);
	return made ? ERR_OK : err_set(info, ERR_NO_MEMORY, "", "out of memory");
}

/* Whether a refusal says that nothing was bought under this key, now or before. */
static bool nothing_happened(int code, const struct err_info *info)
{
	return code == CLI_REFUSED && info->code != ERR_COMMAND_RUNNING && info->code != ERR_COMMAND_REUSED &&
	       info->code != ERR_COMMAND_ID_INVALID;
}

/* `kept`: the file with the key, which goes where nothing was bought; NULL: none. */
static int purchase_send(struct arena *arena, const json_t *body, const char *key, const char *kept)
{
	struct err_info info = {0};
	struct net_response response;
	json_t *answer = NULL, *purchase = NULL;
	struct cli_call call = {.method = "POST", .path = "/v1/purchases", .idempotency_key = key};
	call.body = document_text(arena, body, &call.body_size);
	if (!call.body)
		return cli_fail(CLI_REFUSED, "out of memory");
	int code = cli_send(arena, &call, &response, &info);
	if (kept && nothing_happened(code, &info))
		(void)unlink(kept);
	if (code)
		return cli_fail_info((enum cli_exit)code, &info);
	if (document_parse(arena, response.body, response.body_size, &answer, &info) != ERR_OK)
		return cli_fail_info(CLI_SERVER_FAILED, &info);
	const char *path = arena_print(arena, "/v1/purchases/%s?at-least=%" JSON_INTEGER_FORMAT, key,
		json_integer_value(json_object_get(answer, "position")));
	code = path ? cli_call(arena, "GET", path, NULL, &purchase) : cli_fail(CLI_REFUSED, "out of memory");
	if (!code)
		cli_print(arena, purchase, NULL);
	return code;
}

static int retire(struct arena *arena, int argc, char **argv, const char *path)
{
	struct err_info info = {0};
	struct csv *csv = ARENA_NEW(arena, struct csv);
	json_t *body = document_own(arena, json_pack("{s:[]}", "lines"));
	char made[ID_TEXT_SIZE];
	const char *key = cli_option(argc, argv, "idempotency-key"), *kept = NULL;
	if (!csv || !body)
		return cli_fail(CLI_REFUSED, "out of memory");
	csv->path = path;
	csv->file = fopen(path, "re");
	if (!csv->file)
		return cli_fail(CLI_USAGE, "%s: %s", path, strerror(errno));
	enum err err = list_read(csv, json_object_get(body, "lines"), &info);
	(void)fclose(csv->file);
	if (!err)
		err = options_read(argc, argv, body, &info);
	if (err)
		return cli_fail_info(CLI_USAGE, &info);
	if (cli_flag(argc, argv, "check")) {
		cli_print(arena, body, NULL);
		return CLI_OK;
	}
	if (!key) {
		kept = arena_print(arena, "%s.purchase", path);
		err = kept ? key_find(arena, kept, body, made, &info)
			   : err_set(&info, ERR_NO_MEMORY, "", "out of memory");
		if (err)
			return cli_fail_info(CLI_REFUSED, &info);
		key = made;
	}
	return purchase_send(arena, body, key, kept);
}

int cli_retire(int argc, char **argv)
{
	const char *path = cli_option(argc, argv, "from");
	struct arena *arena = path ? arena_new(0) : NULL;
	if (!path)
		return cli_fail(CLI_USAGE,
			"usage: carbonctl retire --from LIST.csv --instrument NUMBER --maximum AMOUNT "
			"[--limit PRICE] [--expires-at TIME] [--check]");
	int code = arena ? retire(arena, argc, argv, path) : cli_fail(CLI_REFUSED, "out of memory");
	arena_free(&arena);
	return code;
}
