/* What the files of the payload decoder share: one decoding in progress. One thread. */
#ifndef SENSING_PAYLOAD_H
#define SENSING_PAYLOAD_H

#include "carbond/sensing.h"
#include "tape.h"

struct decoding {
	const struct directory *directory;
	const struct payload_source *source;
	struct reading_batch *batch;
	struct err_info *info;
	struct tape tape;
	size_t index_base; /* readings of the batch before this payload */

	/* the capture unit that items are for, found or not */
	const char *org, *unit; /* as named; org NULL: the actor's */
	struct id org_id, unit_id;
	bool unit_known;
	bool unit_named;
	int64_t received_us;
};

/* One reading's surroundings, as its item gives them. */
struct item {
	const struct tape_node *whole; /* the item, for what cannot be said more narrowly */
	const struct tape_node *unit;  /* unit of measurement, or NULL */
	bool senml;                    /* `unit` is a SenML unit */
	bool manual;
};

/* ---- payload_judge.c ---- */

/* Finds the capture unit by the names in `org` and `unit`; `unit` NULL: none is named yet. */
void decoding_choose_unit(struct decoding *decoding, const char *org, const char *unit);

/* The sensor's row, or NULL with the reason. */
const struct directory_sensor *judge_tag(
	const struct decoding *decoding, const struct tape_node *tag, enum quarantine_reason *ret_reason);

/* What a reading's refusal says. */
struct refusal {
	enum quarantine_reason reason;
	char detail[256];
};
void refuse_as(struct refusal *refusal, enum quarantine_reason reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* True: accepted as it is. `sensor` NULL: refused for the tag. All checks of one reading in the order unit of measurement,
 * number, range, time. */
bool judge_unit(const struct directory_sensor *sensor, const struct item *item, struct refusal *refusal);
bool judge_number(const struct tape_node *node, double *ret_value, struct refusal *refusal);
bool judge_reading(const struct decoding *decoding, const struct directory_sensor *sensor, int64_t time_us,
	double value, struct refusal *refusal);
void refuse_tag(const struct decoding *decoding, const struct tape_node *tag, enum quarantine_reason reason,
	struct refusal *refusal);

/* Takes `count` readings that were refused alike. `raw` is the text to keep (any size, cut), `value` as sent. */
struct refused {
	const struct refusal *refusal;
	const struct directory_sensor *sensor; /* or NULL */
	const struct tape_node *tag;           /* or NULL */
	int64_t time_us;                       /* FIELD_ABSENT: unknown */
	size_t count;
	const char *value;
	size_t value_size;
	const char *raw;
	size_t raw_size;
};
enum err add_refused(struct decoding *decoding, const struct refused *refused) MUST_CHECK;
enum err add_reading(struct decoding *decoding, const struct directory_sensor *sensor, int64_t time_us, double value,
	bool manual) MUST_CHECK;
/* `count` readings of one packed column that follow each other were accepted, `first` being the first one's flat index; for
 * the verdicts. */
enum err add_accepted(struct decoding *decoding, const struct directory_sensor *sensor, size_t count) MUST_CHECK;
/* An item that is none: one row with its text. */
enum err add_malformed(struct decoding *decoding, const struct tape_node *whole, const char *format, ...)
	__attribute__((format(printf, 3, 4))) MUST_CHECK;
enum err add_receipt(struct decoding *decoding, const char *boot, size_t boot_size, int64_t seq) MUST_CHECK;

/* ---- payload_items.c ---- */

/* An object, a packed column, an array of them, an envelope, or a SenML pack: the document on the tape. */
enum err decode_document(struct decoding *decoding, bool senml) MUST_CHECK;
/* A time of ours: integer µs or RFC 3339. False: `refusal` is filled in. */
bool read_time(const struct tape_node *node, int64_t *ret_time_us, struct refusal *refusal);

/* ---- payload_senml.c ---- */
bool is_senml(const struct tape *tape);
enum err decode_senml(struct decoding *decoding) MUST_CHECK;

/* ---- text that is kept ---- */

/* A growing text in the batch's arena; `failed` without memory. */
struct writing {
	struct arena *arena;
	char *text;
	size_t size, capacity;
	size_t most; /* what goes beyond is left out; 0: no bound */
	bool failed;
};
void write_bytes(struct writing *writing, const char *bytes, size_t size);
void write_text(struct writing *writing, const char *text);
void write_quoted(struct writing *writing, const char *text, size_t size); /* as a JSON string */
void write_number(struct writing *writing, int64_t number);
/* The head and tail around one item so that it decodes again by itself: an envelope while the capture unit is unknown. */
void write_item_start(struct writing *writing, const struct decoding *decoding);
void write_item_end(struct writing *writing, const struct decoding *decoding);

#endif
