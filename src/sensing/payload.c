/* One payload → readings and refused items: which format it has, and what becomes of one that has none. Pure but for the
 * directory; runs on the decoding thread (mqtt, http worker). */
#include <string.h>

#include "carbond/base/limits.h"
#include "payload.h"

#define MEDIA_JSON   "application/json"
#define MEDIA_NDJSON "application/x-ndjson"
#define MEDIA_SENML  "application/senml+json"

static const char too_much[] = "what is refused of it takes more memory than a payload may";

/* What a batch held before a payload, so that a payload that fails as a whole leaves nothing but its one row. */
struct mark {
	size_t readings, quarantined, verdicts, items, receipts;
};

static struct mark mark_of(const struct reading_batch *batch)
{
	return (struct mark){batch->reading_count, batch->quarantined_count, batch->verdict_count, batch->item_count,
		batch->receipt_count};
}

static void take_back(struct reading_batch *batch, const struct mark *mark)
{
	batch->reading_count = mark->readings;
	batch->quarantined_count = mark->quarantined;
	batch->verdict_count = mark->verdicts;
	batch->item_count = mark->items;
	batch->receipt_count = mark->receipts;
}

static bool is_blank(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
			return false;
	}
	return true;
}

/* The whole text as one refused item. */
static enum err refuse_whole(struct decoding *decoding, const char *data, size_t size, const struct err_info *fault)
{
	struct refusal refusal;
	refuse_as(&refusal, QUARANTINE_MALFORMED, "%s (%zu bytes)", fault->detail, size);
	const struct refused refused = {
		.refusal = &refusal, .time_us = FIELD_ABSENT, .count = 1, .raw = data, .raw_size = size};
	return add_refused(decoding, &refused);
}

/* A line that is no JSON costs itself alone. */
static enum err decode_lines(struct decoding *decoding, const char *data, size_t size)
{
	enum err err = ERR_OK;
	for (size_t at = 0; at < size && !err;) {
		const char *newline = memchr(data + at, '\n', size - at);
		size_t end = newline ? (size_t)(newline - data) : size;
		const char *line = data + at;
		size_t length = end - at;
		struct err_info fault = {0};
		at = end + 1;
		if (is_blank(line, length))
			continue;
		err = tape_read(&decoding->tape, line, length, decoding->batch->arena, &fault);
		if (!err && !is_blank(line + decoding->tape.used, length - decoding->tape.used))
			err = err_set(&fault, ERR_INVALID_JSON, NULL, "byte %zu: the line goes on behind its value",
				decoding->tape.used);
		if (err == ERR_INVALID_JSON || err == ERR_TOO_DEEP)
			err = refuse_whole(decoding, line, length, &fault);
		else if (err)
			err = err_set(decoding->info, err, NULL, "%s", fault.detail);
		else
			err = decode_document(decoding, false);
	}
	return err;
}

/* True where a text that starts with one JSON value goes on in a further line with another one. */
static bool continues(const struct tape *tape, const char *data, size_t size)
{
	const char *rest = data + tape->used;
	size_t left = size - tape->used;
	const char *newline = memchr(rest, '\n', left);
	return newline && is_blank(rest, (size_t)(newline - rest)) &&
	       !is_blank(newline, left - (size_t)(newline - rest)) && !memchr(data, '\n', tape->used);
}

static enum err decode_text(struct decoding *decoding, const char *media, const char *data, size_t size)
{
	bool senml = media && strcmp(media, MEDIA_SENML) == 0;
	enum err err;
	if (media && strcmp(media, MEDIA_NDJSON) == 0)
		return decode_lines(decoding, data, size);
	err = tape_read(&decoding->tape, data, size, decoding->batch->arena, decoding->info);
	if (!err && is_blank(data + decoding->tape.used, size - decoding->tape.used))
		return decode_document(decoding, senml);
	if (!err && !media && continues(&decoding->tape, data, size))
		return decode_lines(decoding, data, size);
	if (!err)
		err = err_set(decoding->info, ERR_INVALID_JSON, NULL, "byte %zu: the text goes on behind its value",
			decoding->tape.used);
	return err;
}

enum err payload_decode(const struct directory *directory, const struct payload_source *source, const char *media,
	const char *data, size_t size, struct reading_batch *batch, struct err_info *info)
{
	struct err_info own = {0};
	struct decoding decoding = {.directory = directory,
		.source = source,
		.batch = batch,
		.info = info ? info : &own,
		.index_base = batch->item_count,
		.received_us = source->received_us ? source->received_us : source->now_us};
	struct mark before = mark_of(batch);
	enum err err;
	if (media && strcmp(media, MEDIA_JSON) != 0 && strcmp(media, MEDIA_NDJSON) != 0 &&
		strcmp(media, MEDIA_SENML) != 0)
		return err_set(
			info, ERR_UNSUPPORTED_MEDIA, NULL, "take %s, %s or %s", MEDIA_JSON, MEDIA_NDJSON, MEDIA_SENML);
	decoding_choose_unit(&decoding, source->org, source->unit);
	if (size > LIMIT_JSON_BYTES)
		err = err_set(decoding.info, ERR_TOO_LARGE, NULL, "at most %d bytes are taken", (int)LIMIT_JSON_BYTES);
	else
		err = decode_text(&decoding, media, data, size);
	if (err)
		take_back(batch, &before);
	if (err == ERR_INVALID_JSON || err == ERR_TOO_DEEP || err == ERR_TOO_LARGE) {
		enum err whole = refuse_whole(&decoding, data, size, decoding.info);
		if (whole)
			err = whole;
	}
	if (err == ERR_NO_MEMORY && arena_is_full(batch->arena)) {
		take_back(batch, &before);
		err = err_set(decoding.info, ERR_TOO_LARGE, NULL, "%s", too_much);
	}
	tape_free(&decoding.tape);
	return err;
}

enum err payload_refuse(const struct directory *directory, const struct payload_source *source, const char *data,
	size_t size, struct reading_batch *batch, struct err_info *info)
{
	struct err_info own = {0}, fault = {0};
	struct decoding decoding = {
		.directory = directory, .source = source, .batch = batch, .info = info ? info : &own};
	decoding_choose_unit(&decoding, source->org, source->unit);
	(void)!err_set(&fault, ERR_TOO_LARGE, NULL, "%s", too_much);
	return refuse_whole(&decoding, data, size, &fault);
}
