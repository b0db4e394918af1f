/* A journal is evidence from outside: an auditor replays what somebody else has written (`carbonctl verify --journal`). So each
 * record of the golden journal is altered, one word after the other, and applied where the true one belongs: it is refused
 * (ERR_JOURNAL_INVALID), or makes a state that keeps P1 to P3, goes on, and is the same after a snapshot. The same of the records
 * of a snapshot. */
#include <malloc.h>

#include "world.h"

#define GOLDEN "tests/golden/journal-2.bin"
#ifdef __SANITIZE_ADDRESS__ /* where a state costs ten times as much */
#define OF_KIND 1           /* so many records of each type are altered */
#else
#define OF_KIND 2
#endif
#define FOLLOW 2 /* true records that are tried behind an altered one */

struct bytes {
	uint8_t *data;
	size_t size, capacity;
};

static struct bytes journal, before, copy;
static struct event_scratch scratch;
static uint64_t refused, taken;

static enum err append(void *context, const uint8_t *record, size_t size)
{
	struct bytes *to = context;
	if (to->size + size > to->capacity) {
		to->capacity = 2 * (to->size + size);
		to->data = realloc(to->data, to->capacity);
		assert_non_null(to->data);
	}
	memcpy(to->data + to->size, record, size);
	to->size += size;
	return ERR_OK;
}

static void snapshot(const struct rules *rules, struct bytes *ret)
{
	struct err_info info;
	struct hash none = {{0}}, hash;
	ret->size = 0;
	assert_int_equal(rules_snapshot(rules, 1, none, append, ret, &hash, &info), ERR_OK);
}

static uint32_t length_at(const uint8_t *record)
{
	uint32_t length;
	memcpy(&length, record, sizeof length);
	return length;
}

/* NULL: a record is refused, and *ret_err says how. */
static struct rules *restore(const struct bytes *from, enum err *ret_err, struct err_info *info)
{
	struct rules *rules = rules_new((struct id){{1}}, 7);
	struct event_state_end end;
	*ret_err = ERR_OK;
	for (size_t at = 0; at < from->size && !*ret_err; at += length_at(from->data + at))
		*ret_err = rules_restore(rules, from->data + at, length_at(from->data + at), &end, info);
	if (*ret_err)
		rules_free(&rules);
	return rules;
}

static enum err apply(struct rules *rules, const uint8_t *data, size_t size, struct err_info *info)
{
	struct event event;
	size_t length = 0;
	enum err err = event_decode(data, size, &scratch, &event, &length, info);
	return err ? err : rules_apply(rules, &event, info);
}

static bool says_why(enum err err)
{
	return err == ERR_JOURNAL_INVALID || err == ERR_RECORD_INVALID;
}

/* What is there still holds, and can be written down and read. */
static void sound(const struct rules *rules, const char *of)
{
	struct err_info info = {0};
	enum err err = rules_check(rules, &info);
	if (err)
		fail_msg("%s: %s", of, info.detail);
	snapshot(rules, &copy);
	struct rules *again = restore(&copy, &err, &info);
	if (!again)
		fail_msg("%s: its snapshot is not read: %s", of, info.detail);
	rules_free(&again);
}

static void altered(const uint8_t *record, size_t at, const char *of)
{
	struct err_info info = {0};
	enum err err;
	struct rules *rules = restore(&before, &err, &info);
	assert_non_null(rules);
	err = apply(rules, record, length_at(record), &info);
	if (err && !says_why(err))
		fail_msg("%s: error %d: %s", of, (int)err, info.detail);
	refused += err != ERR_OK;
	taken += err == ERR_OK;
	at += length_at(journal.data + at);
	for (int i = 0; !err && i < FOLLOW && at < journal.size; i++) {
		sound(rules, of);
		err = apply(rules, journal.data + at, journal.size - at, &info);
		at += length_at(journal.data + at);
	}
	rules_free(&rules);
}

/* What a word may become: nothing, one more or less, most, less than nothing, least; either half of it one more. */
static const struct change {
	const char *name;
	bool sets;
	uint64_t value;
} changes[] = {{"0", true, 0}, {"+1", false, 1}, {"-1", false, UINT64_MAX}, {"most", true, INT64_MAX},
	{"below 0", true, UINT64_MAX - 999}, {"high half +1", false, UINT64_C(1) << 32},
	{"bit 62", true, UINT64_C(1) << 62}, {"least", true, UINT64_C(1) << 63}};

static bool change_word(uint8_t *record, size_t word, const struct change *change)
{
	uint64_t was, is;
	memcpy(&was, record + word, sizeof was);
	is = change->sets ? change->value : was + change->value;
	memcpy(record + word, &is, sizeof is);
	return is != was;
}

/* Two words, an id or a half of a hash, become none, or the two before them. */
static bool change_id(uint8_t *record, size_t word, bool none)
{
	static const uint8_t nothing[16];
	const uint8_t *is = none || word < EVENT_HEADER_SIZE + 16 ? nothing : record + word - 16;
	bool changes_it = memcmp(record + word, is, 16) != 0;
	memmove(record + word, is, 16);
	return changes_it;
}

static struct bytes golden(void)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(GOLDEN, "rb");
	assert_non_null(file);
	size_t size = fread(data, 1, sizeof data, file);
	assert_true(size > 0 && size < sizeof data);
	fclose(file);
	return (struct bytes){.data = data, .size = size};
}

static const char *name_of(char text[128], const uint8_t *record, size_t at, size_t word, const struct change *change)
{
	uint16_t type;
	memcpy(&type, record + 4, sizeof type);
	snprintf(text, 128, "byte %zu, %s, its word at %zu: %s", at, event_type_name(type), word - EVENT_HEADER_SIZE,
		change->name);
	if (getenv("CARBOND_TEST_SHOW"))
		printf("%s\n", text);
	return text;
}

/* A snapshot's records: by its end at the latest, where its hash is. */
static void altered_in_snapshot(size_t at, const char *of)
{
	struct err_info info = {0};
	enum err err;
	struct rules *rules = restore(&before, &err, &info);
	if (rules || !says_why(err))
		fail_msg("%s at %zu: error %d: %s", of, at, (int)err, info.detail);
	refused++;
}

/* The same record twice. */
static void double_in_snapshot(size_t at)
{
	static struct bytes doubled;
	uint32_t length = length_at(before.data + at);
	doubled.size = 0;
	append(&doubled, before.data, at + length);
	append(&doubled, before.data + at, length);
	append(&doubled, before.data + at + length, before.size - at - length);
	struct err_info info = {0};
	enum err err;
	struct rules *rules = restore(&doubled, &err, &info);
	if (rules || !says_why(err))
		fail_msg("the record at %zu, twice: error %d: %s", at, (int)err, info.detail);
	refused++;
}

/* True: there was a type that had not been seen. */
static bool alter_snapshot(bool seen[static UINT16_MAX])
{
	bool is_new = false;
	for (size_t at = 0; at < before.size; at += length_at(before.data + at)) {
		uint16_t type;
		memcpy(&type, before.data + at + 4, sizeof type);
		uint32_t length = type == EVENT_STATE_END ? 0 : length_at(before.data + at); /* which holds the hash */
		for (size_t word = EVENT_HEADER_SIZE; word < length && !seen[type]; word += 8)
			for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
				char text[128];
				uint64_t was;
				memcpy(&was, before.data + at + word, sizeof was);
				if (change_word(before.data + at, word, &changes[i]))
					altered_in_snapshot(at, name_of(text, before.data + at, at, word, &changes[i]));
				memcpy(before.data + at + word, &was, sizeof was);
			}
		if (!seen[type] && type != EVENT_STATE_END)
			double_in_snapshot(at);
		is_new = is_new || !seen[type];
		seen[type] = true;
	}
	return is_new;
}

/* Whoever takes a snapshot's records may fail at any of them: that is how it ends. */
struct failing {
	size_t left;
};

static enum err put_failing(void *context, const uint8_t *record, size_t size)
{
	struct failing *failing = context;
	(void)record;
	(void)size;
	return failing->left-- ? ERR_OK : ERR_STORE_LATCHED;
}

static void a_snapshot_ends_where_it_is_not_taken(const struct rules *rules)
{
	size_t count = 0;
	for (size_t at = 0; at < before.size; at += length_at(before.data + at))
		count++;
	for (size_t left = 0; left < count; left++) {
		struct failing failing = {left};
		struct err_info info;
		struct hash none = {{0}}, hash;
		assert_int_equal(
			rules_snapshot(rules, 1, none, put_failing, &failing, &hash, &info), ERR_STORE_LATCHED);
	}
}

static void an_altered_snapshot_is_refused(void **state)
{
	(void)state;
	static bool seen[UINT16_MAX];
	struct rules *rules = rules_new((struct id){{1}}, 1);
	struct err_info info;
	journal = golden();
	refused = 0;
	for (size_t at = 0; at < journal.size; at += length_at(journal.data + at)) {
		assert_int_equal(apply(rules, journal.data + at, journal.size - at, &info), ERR_OK);
		snapshot(rules, &before);
		if (alter_snapshot(seen))
			a_snapshot_ends_where_it_is_not_taken(rules);
	}
	printf("%lu altered snapshots were refused\n", refused);
	rules_free(&rules);
}

/* A step that was taken, once more: the same record with the next number. */
static void again(size_t at)
{
	static uint8_t record[EVENTS_BYTES_PER_COMMAND];
	struct err_info info = {0};
	enum err err;
	uint64_t number;
	struct rules *rules = restore(&before, &err, &info);
	assert_int_equal(apply(rules, journal.data + at, journal.size - at, &info), ERR_OK);
	memcpy(record, journal.data + at, length_at(journal.data + at));
	memcpy(&number, record + 8, sizeof number);
	number++;
	memcpy(record + 8, &number, sizeof number);
	err = apply(rules, record, length_at(record), &info);
	if (err && !says_why(err))
		fail_msg("byte %zu, once more: error %d: %s", at, (int)err, info.detail);
	if (!err)
		sound(rules, "a record once more");
	rules_free(&rules);
}

static void an_altered_record_is_refused_or_makes_a_sound_state(void **state)
{
	(void)state;
	static uint8_t record[EVENTS_BYTES_PER_COMMAND];
	uint32_t seen[EVENT_STATE_START] = {0};
	struct rules *rules = rules_new((struct id){{1}}, 1);
	struct err_info info;
	journal = golden();
	for (size_t at = 0; at < journal.size; at += length_at(journal.data + at)) {
		uint32_t length = length_at(journal.data + at);
		uint16_t type;
		memcpy(&type, journal.data + at + 4, sizeof type);
		snapshot(rules, &before);
		for (size_t word = EVENT_HEADER_SIZE; word < length && seen[type] < OF_KIND; word += 8)
			for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
				char text[128];
				memcpy(record, journal.data + at, length);
				if (!change_word(record, word, &changes[i]))
					continue;
				altered(record, at, name_of(text, record, at, word, &changes[i]));
			}
		for (size_t word = EVENT_HEADER_SIZE; word + 16 <= length && seen[type] < OF_KIND; word += 8)
			for (int none = 0; none < 2; none++) {
				memcpy(record, journal.data + at, length);
				if (change_id(record, word, none))
					altered(record, at, name_of((char[128]){0}, record, at, word, &changes[0]));
			}
		if (seen[type] < OF_KIND)
			again(at);
		seen[type]++;
		assert_int_equal(apply(rules, journal.data + at, journal.size - at, &info), ERR_OK);
	}
	printf("%lu altered records were refused, %lu made sound states\n", refused, taken);
	assert_true(refused > 1000); /* most words say what must agree with something; others are anybody's own */
	rules_free(&rules);
}

/* Types that no release has written are refused where they come, and a pool's value for a share may fall at its suspension alone
 * (P10): not even where all that a record says adds up. */
static void what_adds_up_is_refused_where_it_cannot_be(void **state)
{
	(void)state;
	struct rules *rules = rules_new((struct id){{1}}, 1);
	struct err_info info;
	bool sold = false;
	journal = golden();
	for (size_t at = 0; at < journal.size && !sold; at += length_at(journal.data + at)) {
		struct event event;
		size_t length = 0;
		assert_int_equal(
			event_decode(journal.data + at, journal.size - at, &scratch, &event, &length, &info), ERR_OK);
		if (event.header.type == EVENT_POOL_SOLD) {
			event.pool_sold.micros += 100000000;
			event.pool_sold.reserve_micros -= 100000000;
			assert_int_equal(rules_apply(rules, &event, &info), ERR_JOURNAL_INVALID);
			assert_non_null(strstr(info.detail, "value for a share"));
			sold = true;
		}
		for (uint16_t type = 1; type < 400 && at == 0; type++) {
			struct event unknown = event;
			unknown.header.type = type;
			if (!event_type_name(type))
				assert_int_equal(rules_apply(rules, &unknown, &info), ERR_JOURNAL_INVALID);
		}
		if (!sold)
			assert_int_equal(rules_apply(rules, &event, &info), ERR_OK);
	}
	assert_true(sold);
	rules_free(&rules);
}

int main(void)
{
	mallopt(M_TRIM_THRESHOLD, 1 << 28); /* thousands of states come and go */
	mallopt(M_MMAP_THRESHOLD, 1 << 28);
	const struct CMUnitTest tests[] = {cmocka_unit_test(an_altered_record_is_refused_or_makes_a_sound_state),
		cmocka_unit_test(an_altered_snapshot_is_refused),
		cmocka_unit_test(what_adds_up_is_refused_where_it_cannot_be)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(before.data);
	free(copy.data);
	return failed;
}
