/* What every back end of store must do, as cases that run against any of them: a back end's test program fills a
 * `struct backend` and runs conformance_run. Integrity rules named here: P4 (the same meter-hour from 8 threads: one wins),
 * and the three distinct refusals of store_log_append. */
#ifndef STORE_CONFORMANCE_H
#define STORE_CONFORMANCE_H

#include "backups.h"
#include "leases.h"

struct backend {
	const char *name;
	void (*place_new)(struct place *place);
	void (*place_drop)(struct place *place);
	/* With the store closed: changes one byte of the stored payload (header false) or header of a batch. */
	void (*tamper)(struct place *place, const char *stream, uint64_t seq, bool header);
	/* With the store closed: whether the bytes are anywhere in what is stored. */
	bool (*holds)(struct place *place, const char *needle);
	uint64_t race_rounds; /* positions that 8 threads race for; a third as many guard keys */
	int64_t retention_s;  /* within which a row past its time is gone; a server looks once a minute */
};

/* ---- cases: rows ---- */

static void case_every_kind_comes_back(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct arena *arena = arena_new(0);
	struct err_info info = {.code = ERR_OK};
	struct thing thing = new_thing(1);
	const char *tags[] = {"a", "b \"quoted\""};
	struct part parts[] = {{"fan", 12}, {"bed", FIELD_ABSENT}};
	thing.slug = "zeta";
	thing.ratio = 0.1;
	thing.price = "12.50";
	thing.active = true;
	thing.state = 2;
	thing.made_us = 1700000000123456;
	thing.sum = sha256_of(NULL, "x", 1);
	thing.raw = (struct bytes){(const uint8_t *)"\0\xff\1", 3};
	thing.extra = document_own(arena, json_pack("{s:[i,f,s]}", "k", 1, 0.1, "two"));
	thing.main_part = (struct part){"main", 7};
	thing.parts = (struct field_list){parts, 2};
	thing.tags = (struct field_list){tags, 2};
	thing.secret = "very private";
	thing.secret_number = 4711;
	put_thing(store, &thing);
	struct thing bare = new_thing(2); /* everything else absent */
	put_thing(store, &bare);

	for (int again = 0; again < 2; again++) {
		struct thing found = {.id = thing.id};
		assert_ok(store_get(store, &things, &found, arena, &info), &info);
		assert_string_equal(found.slug, "zeta");
		assert_true(found.ratio == 0.1);
		assert_string_equal(found.price, "12.50");
		assert_true(found.active);
		assert_int_equal(found.state, 2);
		assert_int_equal(found.made_us, 1700000000123456);
		assert_true(hash_equal(found.sum, thing.sum));
		assert_int_equal(found.raw.size, 3);
		assert_memory_equal(found.raw.data, "\0\xff\1", 3);
		assert_true(json_equal(found.extra, thing.extra));
		assert_string_equal(found.main_part.label, "main");
		assert_int_equal(found.parts.count, 2);
		assert_int_equal(((struct part *)found.parts.items)[0].grams, 12);
		assert_int_equal(((struct part *)found.parts.items)[1].grams, FIELD_ABSENT);
		assert_string_equal(((const char **)found.tags.items)[1], "b \"quoted\"");
		assert_string_equal(found.secret, "very private");
		assert_int_equal(found.secret_number, 4711);

		found = (struct thing){.id = bare.id};
		assert_ok(store_get(store, &things, &found, arena, &info), &info);
		assert_null(found.slug);
		assert_true(isnan(found.ratio));
		assert_int_equal(found.state, -1);
		assert_int_equal(found.made_us, FIELD_ABSENT);
		assert_true(hash_is_none(found.sum));
		assert_null(found.raw.data);
		assert_null(found.extra);
		assert_int_equal(found.parts.count, 0);
		assert_null(found.secret);
		assert_int_equal(found.secret_number, FIELD_ABSENT);
		store_close(&store);
		store = open_store(&place);
	}
	struct thing none = {.id = test_id(99)};
	assert_int_equal(store_get(store, &things, &none, arena, &info), ERR_NOT_FOUND);
	store_close(&store);
	arena_free(&arena);
	backend->place_drop(&place);
}

static void case_conditions(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	struct thing thing = new_thing(1);
	assert_ok(put(store, &things, &thing, STORE_ABSENT, NULL, 0, &info), &info);
	assert_int_equal(put(store, &things, &thing, STORE_ABSENT, NULL, 0, &info), ERR_CONDITION_FAILED);
	assert_non_null(strstr(info.detail, "things"));
	thing.version = 2;
	assert_ok(put(store, &things, &thing, STORE_EQUALS, "version", 1, &info), &info);
	assert_int_equal(put(store, &things, &thing, STORE_EQUALS, "version", 1, &info), ERR_CONDITION_FAILED);
	thing.state = 1;
	assert_ok(put(store, &things, &thing, STORE_EQUALS, "state", -1, &info), &info);
	assert_ok(put(store, &things, &thing, STORE_EQUALS, "state", 1, &info), &info);
	assert_int_equal(put(store, &things, &thing, STORE_EQUALS, "state", 2, &info), ERR_CONDITION_FAILED);

	struct tally tally = new_tally(1, 5, 10);
	assert_ok(put(store, &reading_tallies, &tally, STORE_AT_MOST, "position", 10, &info), &info);
	assert_ok(put(store, &reading_tallies, &tally, STORE_AT_MOST, "position", 10, &info), &info);
	assert_int_equal(
		put(store, &reading_tallies, &tally, STORE_AT_MOST, "position", 9, &info), ERR_CONDITION_FAILED);
	assert_ok(put(store, &reading_tallies, &tally, STORE_BELOW, "position", 11, &info), &info);
	assert_int_equal(
		put(store, &reading_tallies, &tally, STORE_BELOW, "position", 10, &info), ERR_CONDITION_FAILED);

	/* all or none, and the refused one is named */
	struct thing other = new_thing(2);
	struct store_change changes[] = {{.collection = &things, .row = &other, .verb = STORE_PUT},
		{.collection = &things, .row = &thing, .verb = STORE_PUT, .condition = STORE_ABSENT}};
	size_t refused = 77;
	assert_int_equal(store_write(store, changes, 2, &refused, &info), ERR_CONDITION_FAILED);
	assert_int_equal(refused, 1);
	struct arena *arena = arena_new(0);
	assert_int_equal(store_get(store, &things, &other, arena, &info), ERR_NOT_FOUND);

	struct store_change gone = {.collection = &things, .row = &thing, .verb = STORE_DELETE};
	assert_ok(store_write(store, &gone, 1, NULL, &info), &info);
	assert_ok(store_write(store, &gone, 1, NULL, &info), &info);
	gone.condition = STORE_EQUALS;
	gone.field = "version";
	gone.value = 2;
	assert_int_equal(store_write(store, &gone, 1, NULL, &info), ERR_CONDITION_FAILED);
	store_close(&store);
	arena_free(&arena);
	backend->place_drop(&place);
}

static void case_views_skip_older(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	struct tally new = new_tally(1, 1, 20), old = new_tally(1, 1, 10), second = new_tally(2, 1, 10);
	struct store_change first = {.collection = &view_tallies,
		.row = &new,
		.verb = STORE_PUT,
		.condition = STORE_BELOW,
		.field = "position",
		.value = 20};
	assert_ok(store_write_views(store, &first, 1, &info), &info);
	struct store_change replayed[] = {{.collection = &view_tallies,
						  .row = &old,
						  .verb = STORE_PUT,
						  .condition = STORE_BELOW,
						  .field = "position",
						  .value = 10},
		{.collection = &view_tallies,
			.row = &second,
			.verb = STORE_PUT,
			.condition = STORE_BELOW,
			.field = "position",
			.value = 10}};
	assert_ok(store_write_views(store, replayed, 2, &info), &info);
	struct arena *arena = arena_new(0);
	struct tally found = {.id = test_id(1), .hour = 1};
	assert_ok(store_get(store, &view_tallies, &found, arena, &info), &info);
	assert_int_equal(found.position, 20);
	found = (struct tally){.id = test_id(2), .hour = 1};
	assert_ok(store_get(store, &view_tallies, &found, arena, &info), &info);
	assert_int_equal(found.position, 10);
	store_close(&store);
	arena_free(&arena);
	backend->place_drop(&place);
}

static void case_unique_indexes(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	struct thing first = new_thing(1), second = new_thing(2), third = new_thing(3), fourth = new_thing(4);
	first.slug = second.slug = "alpha";
	put_thing(store, &first);
	assert_int_equal(put(store, &things, &second, STORE_ALWAYS, NULL, 0, &info), ERR_DUPLICATE);
	assert_string_equal(info.pointer, "/slug");
	second.org_id = test_id(1000001);
	put_thing(store, &second); /* another organisation */
	put_thing(store, &third);  /* rows without the member do not collide */
	put_thing(store, &fourth);
	first.version = 2;
	put_thing(store, &first); /* over itself */
	store_close(&store);
	backend->place_drop(&place);
}

/* Reads everything page by page; the ids must come in the given order. */
static void expect_pages(struct store *store, struct store_query query, size_t page, const unsigned *ids, size_t count)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {.code = ERR_OK};
	struct thing after;
	size_t seen = 0;
	query.most = page;
	for (;;) {
		void *rows = NULL;
		size_t got = 0;
		assert_ok(store_find(store, &query, arena, &rows, &got, &info), &info);
		for (size_t i = 0; i < got; i++) {
			assert_true(seen < count);
			struct id expected = test_id(ids[seen++]);
			assert_true(id_equal(((struct thing *)rows)[i].id, expected));
		}
		if (got < page)
			break;
		after = ((struct thing *)rows)[got - 1];
		query.after = &after;
	}
	assert_int_equal(seen, count);
	arena_free(&arena);
}

static void case_cursors(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	/* absent times are the lowest; equal times are told apart by the key */
	int64_t times[] = {30, FIELD_ABSENT, 10, 10, 20, FIELD_ABSENT, 30};
	for (unsigned i = 0; i < 7; i++) {
		struct thing thing = new_thing(i + 1);
		thing.made_us = times[i];
		put_thing(store, &thing);
	}
	struct thing stranger = new_thing(50);
	stranger.org_id = test_id(2000000);
	stranger.made_us = 15;
	put_thing(store, &stranger);

	struct thing low = new_thing(0);
	struct store_query query = {.collection = &things, .index = "made", .low = &low, .prefix = 1};
	const unsigned up[] = {2, 6, 3, 4, 5, 1, 7}, down[] = {7, 1, 5, 4, 3, 6, 2}, keys[] = {1, 2, 3, 4, 5, 6, 7, 50};
	for (size_t page = 1; page <= 8; page++) {
		query.descending = false;
		expect_pages(store, query, page, up, 7);
		query.descending = true;
		expect_pages(store, query, page, down, 7);
		expect_pages(store, (struct store_query){.collection = &things}, page, keys, 8);
	}
	/* from is inclusive, to exclusive; rows without the member are outside of any range */
	struct thing from = new_thing(0), to = new_thing(0);
	field_clear(thing_fields, &from);
	field_clear(thing_fields, &to);
	from.made_us = 10;
	to.made_us = 30;
	query.from = &from;
	query.to = &to;
	const unsigned ranged[] = {3, 4, 5}, ranged_down[] = {5, 4, 3}, below[] = {3, 4, 5};
	for (size_t page = 1; page <= 4; page++) {
		query.descending = false;
		expect_pages(store, query, page, ranged, 3);
		query.descending = true;
		expect_pages(store, query, page, ranged_down, 3);
	}
	query.descending = false;
	query.from = NULL;
	expect_pages(store, query, 2, below, 3);
	store_close(&store);
	backend->place_drop(&place);
}

static void case_ranges_over_two_members(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct arena *arena = arena_new(0);
	struct err_info info = {.code = ERR_OK};
	for (unsigned id = 1; id <= 3; id++)
		for (int64_t hour = 0; hour < 10; hour++) {
			struct tally tally = new_tally(id, hour, 1);
			assert_ok(put(store, &reading_tallies, &tally, STORE_ALWAYS, NULL, 0, &info), &info);
		}
	struct tally low = {.id = test_id(2)}, from = {.hour = 3}, to = {.hour = 7};
	struct store_query query = {
		.collection = &reading_tallies, .low = &low, .prefix = 1, .from = &from, .to = &to, .most = 100};
	void *rows = NULL;
	size_t count = 0;
	assert_ok(store_find(store, &query, arena, &rows, &count, &info), &info);
	assert_int_equal(count, 4);
	assert_int_equal(((struct tally *)rows)[0].hour, 3);
	assert_int_equal(((struct tally *)rows)[3].hour, 6);
	/* over the whole key: (1, 8) ≤ row < (3, 2) */
	from = (struct tally){.id = test_id(1), .hour = 8};
	to = (struct tally){.id = test_id(3), .hour = 2};
	query = (struct store_query){.collection = &reading_tallies, .from = &from, .to = &to, .most = 100};
	assert_ok(store_find(store, &query, arena, &rows, &count, &info), &info);
	assert_int_equal(count, 2 + 10 + 2);
	/* a `to` whose last member is absent ends before everything of its first */
	to = (struct tally){.id = test_id(3), .hour = FIELD_ABSENT};
	query.descending = true;
	assert_ok(store_find(store, &query, arena, &rows, &count, &info), &info);
	assert_int_equal(count, 2 + 10);
	assert_int_equal(((struct tally *)rows)[0].hour, 9);
	/* no rows */
	low.id = test_id(9);
	query = (struct store_query){.collection = &reading_tallies, .low = &low, .prefix = 1, .most = 1};
	assert_ok(store_find(store, &query, arena, &rows, &count, &info), &info);
	assert_int_equal(count, 0);
	store_close(&store);
	arena_free(&arena);
	backend->place_drop(&place);
}

static void case_sealed_members_are_unreadable(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct thing thing = new_thing(1);
	thing.slug = "plainly-visible";
	thing.secret = "the-hidden-words-of-the-vault";
	put_thing(store, &thing);
	store_close(&store);
	assert_true(backend->holds(&place, "plainly-visible"));
	assert_false(backend->holds(&place, "the-hidden-words-of-the-vault"));

	/* another key does not open it */
	struct seal_key stranger = {.number = 1, .bytes = {8}};
	struct store_options options = options_for(&place);
	struct err_info info = {.code = ERR_OK};
	options.seal_keys = &stranger;
	assert_ok(store_open(&options, &store, &info), &info);
	struct arena *arena = arena_new(0);
	assert_int_equal(store_get(store, &things, &thing, arena, &info), ERR_BAD_SEAL);
	store_close(&store);
	/* a new first key with the old one behind it does */
	struct seal_key keys[] = {{.number = 2, .bytes = {9}}, test_seal_key};
	options.seal_keys = keys;
	options.seal_key_count = 2;
	assert_ok(store_open(&options, &store, &info), &info);
	assert_ok(store_get(store, &things, &thing, arena, &info), &info);
	assert_string_equal(thing.secret, "the-hidden-words-of-the-vault");
	store_close(&store);
	options.seal_key_count = 0;
	assert_int_equal(store_open(&options, &store, &info), ERR_INVALID_CONFIG);
	arena_free(&arena);
	backend->place_drop(&place);
}

static void case_retention(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	struct tally past = {.id = test_id(1), .position = clock_wall_us() - CLOCK_US_PER_HOUR};
	struct tally future = {.id = test_id(2), .position = clock_wall_us() + CLOCK_US_PER_HOUR};
	struct tally always = {.id = test_id(3), .position = FIELD_ABSENT};
	assert_ok(put(store, &expiring_tallies, &past, STORE_ALWAYS, NULL, 0, &info), &info);
	assert_ok(put(store, &expiring_tallies, &future, STORE_ALWAYS, NULL, 0, &info), &info);
	assert_ok(put(store, &expiring_tallies, &always, STORE_ALWAYS, NULL, 0, &info), &info);
	store_close(&store);
	store = open_store(&place); /* sweeps soon after it is opened */
	struct arena *arena = arena_new(0);
	int64_t deadline_us = clock_monotonic_us() + backend->retention_s * CLOCK_US_PER_SECOND;
	enum err err = ERR_OK;
	while (err == ERR_OK && clock_monotonic_us() < deadline_us) {
		struct tally found = {.id = test_id(1)};
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		arena_reset(arena);
		err = store_get(store, &expiring_tallies, &found, arena, &info);
	}
	assert_int_equal(err, ERR_NOT_FOUND);
	assert_ok(store_get(store, &expiring_tallies, &future, arena, &info), &info);
	assert_ok(store_get(store, &expiring_tallies, &always, arena, &info), &info);
	store_close(&store);
	arena_free(&arena);
	backend->place_drop(&place);
}

/* ---- cases: logs ---- */

static void case_log_comes_back(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	struct store_batch head;
	assert_ok(store_log_head(store, STORE_VALUE, "journal.0", &head, &info), &info);
	assert_int_equal(head.seq, 0);
	assert_true(hash_is_none(head.hash));
	append_many(store, "journal.0", 150);
	append_many(store, "journal.1", 1);
	append_many(store, "audit.n1", 2);
	assert_ok(append(store, STORE_READINGS, "readings.n1", 1, "", &info), &info);

	for (int again = 0; again < 2; again++) {
		struct collected collected = {.count = 0};
		assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
		assert_int_equal(collected.count, 150);
		assert_int_equal(collected.with_payload, 150);
		assert_ok(store_log_head(store, STORE_VALUE, "journal.0", &head, &info), &info);
		assert_int_equal(head.seq, 150);
		assert_int_equal(head.term, 3);
		assert_int_equal(head.count, 2);
		assert_int_equal(head.written_at_us, 1700000000000000);
		assert_string_equal(head.node, "n1");
		assert_true(hash_equal(head.hash, collected.last_hash));
		collected = (struct collected){.stop_at = 149};
		assert_int_equal(
			store_log_read(store, STORE_VALUE, "journal.0", 148, collect, &collected, &info), ERR_BUSY);
		assert_int_equal(collected.count, 2);
		collected = (struct collected){.count = 0};
		assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 151, collect, &collected, &info), &info);
		assert_int_equal(collected.count, 0);
		assert_ok(store_log_read(store, STORE_READINGS, "readings.n1", 1, collect, &collected, &info), &info);
		assert_int_equal(collected.with_payload, 1);

		struct arena *arena = arena_new(0);
		const char **names = NULL;
		size_t count = 0;
		assert_ok(store_log_streams(store, STORE_VALUE, "journal.", arena, &names, &count, &info), &info);
		assert_int_equal(count, 2);
		assert_string_equal(names[0], "journal.0");
		assert_string_equal(names[1], "journal.1");
		assert_ok(store_log_streams(store, STORE_VALUE, "", arena, &names, &count, &info), &info);
		assert_int_equal(count, 3);
		arena_free(&arena);
		store_close(&store);
		store = open_store(&place);
	}
	/* the chain goes on over a restart */
	assert_ok(append(store, STORE_VALUE, "journal.0", 151, "on", &info), &info);
	struct collected collected = {.count = 0};
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, 151);
	store_close(&store);
	backend->place_drop(&place);
}

static void case_three_refusals(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	append_many(store, "journal.0", 2);
	assert_int_equal(append(store, STORE_VALUE, "journal.0", 2, "x", &info), ERR_POSITION_TAKEN);
	assert_int_equal(append(store, STORE_VALUE, "journal.0", 4, "x", &info), ERR_POSITION_TAKEN); /* a gap */
	assert_int_equal(append(store, STORE_VALUE, "journal.0", 0, "x", &info), ERR_POSITION_TAKEN);

	struct thing thing = new_thing(1);
	struct store_change change = {
		.collection = &things, .row = &thing, .verb = STORE_PUT, .condition = STORE_ABSENT};
	struct store_guard guards[] = {{"claim-a", 7}, {"claim-b", 7}};
	struct store_batch batch = new_batch("journal.0", 3, "p", 1);
	struct store_append whole = {.class = STORE_VALUE,
		.batch = &batch,
		.guards = guards,
		.guard_count = 2,
		.changes = &change,
		.change_count = 1};
	assert_ok(store_log_append(store, &whole, NULL, &info), &info);
	assert_false(hash_is_none(batch.hash));

	/* a guard: nothing of the batch happens, and the key is named */
	struct thing other = new_thing(2);
	struct store_change put_other = {.collection = &things, .row = &other, .verb = STORE_PUT};
	struct store_guard taken[] = {{"claim-c", 7}, {"claim-b", 7}};
	struct store_batch next = new_batch("journal.0", 4, "p", 1);
	struct store_append guarded = {.class = STORE_VALUE,
		.batch = &next,
		.guards = taken,
		.guard_count = 2,
		.changes = &put_other,
		.change_count = 1};
	assert_int_equal(store_log_append(store, &guarded, NULL, &info), ERR_GUARD_TAKEN);
	assert_non_null(strstr(info.detail, "636c61696d2d62")); /* "claim-b" */
	struct arena *arena = arena_new(0);
	assert_int_equal(store_get(store, &things, &other, arena, &info), ERR_NOT_FOUND);

	/* a row: likewise; claim-c was never taken */
	size_t refused = 9;
	struct store_change both[] = {put_other, change};
	struct store_append refused_row = {.class = STORE_VALUE,
		.batch = &next,
		.guards = taken,
		.guard_count = 1,
		.changes = both,
		.change_count = 2};
	assert_int_equal(store_log_append(store, &refused_row, &refused, &info), ERR_CONDITION_FAILED);
	assert_int_equal(refused, 1);
	refused_row.change_count = 1;
	assert_ok(store_log_append(store, &refused_row, &refused, &info), &info);

	/* one batch cannot take a guard twice */
	struct store_guard twice[] = {{"claim-d", 7}, {"claim-e", 7}, {"claim-d", 7}};
	struct store_batch doubled = new_batch("journal.0", 5, "p", 1);
	struct store_append both_times = {.class = STORE_VALUE, .batch = &doubled, .guards = twice, .guard_count = 3};
	assert_int_equal(store_log_append(store, &both_times, NULL, &info), ERR_GUARD_TAKEN);
	both_times.guard_count = 2;
	assert_ok(store_log_append(store, &both_times, NULL, &info), &info);

	/* guards are per stream */
	struct store_batch elsewhere = new_batch("journal.1", 1, "p", 1);
	struct store_append free_there = {
		.class = STORE_VALUE, .batch = &elsewhere, .guards = guards, .guard_count = 2};
	assert_ok(store_log_append(store, &free_there, NULL, &info), &info);

	/* an over-long batch is refused whole */
	uint8_t *large = calloc(1, STORE_BATCH_BYTES_MAX + 1);
	struct store_batch too_large = new_batch("journal.1", 2, large, STORE_BATCH_BYTES_MAX + 1);
	struct store_append over = {.class = STORE_VALUE, .batch = &too_large};
	assert_int_equal(store_log_append(store, &over, NULL, &info), ERR_TOO_LARGE);
	too_large.payload_size--;
	assert_ok(store_log_append(store, &over, NULL, &info), &info);
	free(large);
	store_close(&store);
	arena_free(&arena);
	backend->place_drop(&place);
}

#define RACERS 8

struct race {
	struct store *store;
	unsigned number;
	uint64_t rounds;
	atomic_int *wins;  /* by round */
	atomic_int *ready; /* by round: those that have arrived */
	atomic_int other;  /* answers that should not be */
};

static void meet(atomic_int *ready)
{
	atomic_fetch_add(ready, 1);
	while (atomic_load(ready) < RACERS)
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static void *race_positions(void *argument)
{
	struct race *race = argument;
	for (uint64_t seq = 1; seq <= race->rounds; seq++) {
		char payload[32];
		struct err_info info;
		snprintf(payload, sizeof payload, "racer %u", race->number);
		meet(&race->ready[seq]);
		enum err err = append(race->store, STORE_VALUE, "journal.0", seq, payload, &info);
		if (err == ERR_OK)
			atomic_fetch_add(&race->wins[seq], 1);
		else if (err != ERR_POSITION_TAKEN)
			atomic_fetch_add(&race->other, 1);
	}
	return NULL;
}

/* P4: every racer claims the same meter-hour in an append of its own stream position. */
static void *race_guards(void *argument)
{
	struct race *race = argument;
	struct err_info info;
	for (uint64_t round = 1; round <= race->rounds; round++) {
		char key[64];
		struct store_guard guard = {
			key, (size_t)snprintf(key, sizeof key, "claim|point|%llu|0", (unsigned long long)round)};
		meet(&race->ready[round]);
		for (;;) { /* a lost position is tried again; a lost guard is final */
			struct store_batch head;
			if (store_log_head(race->store, STORE_VALUE, "journal.0", &head, &info)) {
				atomic_fetch_add(&race->other, 1);
				break;
			}
			struct store_batch batch = new_batch("journal.0", head.seq + 1, "claim", 5);
			struct store_append append = {
				.class = STORE_VALUE, .batch = &batch, .guards = &guard, .guard_count = 1};
			enum err err = store_log_append(race->store, &append, NULL, &info);
			if (err == ERR_OK)
				atomic_fetch_add(&race->wins[round], 1);
			else if (err != ERR_GUARD_TAKEN && err != ERR_POSITION_TAKEN)
				atomic_fetch_add(&race->other, 1);
			if (err != ERR_POSITION_TAKEN)
				break;
		}
	}
	return NULL;
}

static void run_race(const struct backend *backend, void *(*run)(void *), uint64_t rounds)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	pthread_t threads[RACERS];
	struct race races[RACERS];
	atomic_int *wins = calloc(rounds + 1, sizeof *wins), *ready = calloc(rounds + 1, sizeof *ready);
	for (unsigned i = 0; i < RACERS; i++) {
		races[i] = (struct race){.store = store, .number = i, .rounds = rounds, .wins = wins, .ready = ready};
		assert_int_equal(pthread_create(&threads[i], NULL, run, &races[i]), 0);
	}
	for (unsigned i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(atomic_load(&races[i].other), 0);
	}
	for (uint64_t round = 1; round <= rounds; round++)
		assert_int_equal(atomic_load(&wins[round]), 1);
	struct collected collected = {.count = 0};
	struct err_info info = {.code = ERR_OK};
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, rounds);
	free(wins);
	free(ready);
	store_close(&store);
	backend->place_drop(&place);
}

static void case_one_wins_each_position(const struct backend *backend)
{
	run_race(backend, race_positions, backend->race_rounds);
}

static void case_p4_one_wins_each_guard(const struct backend *backend)
{
	run_race(backend, race_guards, backend->race_rounds / 3);
}

/* Every racer appends to a log of its own, with a row of its own and one that only the first of them gets: what is refused
 * leaves nothing behind, though it may have shared a transaction with what was not. */
static void *race_rows(void *argument)
{
	struct race *race = argument;
	struct err_info info;
	uint64_t seq = 1;
	for (uint64_t round = 1; round <= race->rounds; round++) {
		struct thing own = new_thing((unsigned)(round * RACERS + race->number + 10000));
		struct thing shared = new_thing((unsigned)round);
		struct store_change changes[] = {{.collection = &things, .row = &own, .verb = STORE_PUT},
			{.collection = &things, .row = &shared, .verb = STORE_PUT, .condition = STORE_ABSENT}};
		char stream[32], key[32];
		snprintf(stream, sizeof stream, "journal.%u", race->number);
		struct store_guard guard = {key, (size_t)snprintf(key, sizeof key, "%llu", (unsigned long long)round)};
		struct store_batch batch = new_batch(stream, seq, "p", 1);
		struct store_append append = {.class = STORE_VALUE,
			.batch = &batch,
			.guards = &guard,
			.guard_count = 1,
			.changes = changes,
			.change_count = 2};
		meet(&race->ready[round]);
		enum err err = store_log_append(race->store, &append, NULL, &info);
		if (err == ERR_OK)
			atomic_fetch_add(&race->wins[round], 1);
		else if (err != ERR_CONDITION_FAILED)
			atomic_fetch_add(&race->other, 1);
		struct thing found = {.id = own.id};
		struct arena *arena = arena_new(0);
		enum err there = store_get(race->store, &things, &found, arena, &info);
		if (there != (err == ERR_OK ? ERR_OK : ERR_NOT_FOUND))
			atomic_fetch_add(&race->other, 1);
		arena_free(&arena);
		append.change_count = 1; /* the position and the guard are still to be had */
		if (err != ERR_OK && store_log_append(race->store, &append, NULL, &info) != ERR_OK)
			atomic_fetch_add(&race->other, 1);
		seq++;
	}
	return NULL;
}

static void case_refusals_leave_nothing_behind(const struct backend *backend)
{
	run_race(backend, race_rows, backend->race_rounds / 5);
}

static void case_tampering_is_found(const struct backend *backend)
{
	for (int header = 0; header < 2; header++) {
		struct place place;
		backend->place_new(&place);
		struct store *store = open_store(&place);
		struct err_info info = {.code = ERR_OK};
		append_many(store, "journal.0", 100);
		store_close(&store);
		backend->tamper(&place, "journal.0", 70, header);
		store = open_store(&place);
		struct collected collected = {.count = 0};
		assert_int_equal(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info),
			ERR_STORE_CORRUPT);
		assert_int_equal(collected.last_seq, 69);
		assert_non_null(strstr(info.detail, "batch 70"));
		store_close(&store);
		backend->place_drop(&place);
	}
}

static void case_prune_keeps_headers(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	append_many(store, "journal.0", 600);
	assert_ok(store_log_prune(store, STORE_VALUE, "journal.0", 400, &info), &info);
	assert_ok(store_log_prune(store, STORE_VALUE, "journal.0", 300, &info), &info);
	struct collected collected = {.count = 0};
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.count, 600);
	assert_int_equal(collected.with_payload, 201);
	assert_ok(store_log_prune(store, STORE_VALUE, "journal.0", 10000, &info), &info);
	assert_ok(append(store, STORE_VALUE, "journal.0", 601, "new", &info), &info);
	collected = (struct collected){.count = 0};
	assert_ok(store_log_read(store, STORE_VALUE, "journal.0", 1, collect, &collected, &info), &info);
	assert_int_equal(collected.with_payload, 1);
	assert_ok(store_log_prune(store, STORE_VALUE, "nothing.0", 5, &info), &info);
	store_close(&store);
	backend->place_drop(&place);
}

static void case_delete_a_stream(const struct backend *backend)
{
	struct place place;
	backend->place_new(&place);
	struct store *store = open_store(&place);
	struct err_info info = {.code = ERR_OK};
	for (uint64_t seq = 1; seq <= 150; seq++)
		assert_ok(append(store, STORE_VIEWS, "snapshot.0.17", seq, "state", &info), &info);
	assert_ok(append(store, STORE_VIEWS, "snapshot.0.9", 1, "state", &info), &info);
	assert_ok(store_log_delete(store, "snapshot.0.17", &info), &info);
	struct store_batch head;
	assert_ok(store_log_head(store, STORE_VIEWS, "snapshot.0.17", &head, &info), &info);
	assert_int_equal(head.seq, 0);
	assert_ok(store_log_head(store, STORE_VIEWS, "snapshot.0.9", &head, &info), &info);
	assert_int_equal(head.seq, 1);
	assert_ok(append(store, STORE_VIEWS, "snapshot.0.17", 1, "state", &info), &info);
	store_close(&store);
	backend->place_drop(&place);
}

/* ---- cases: backup and restore (backups.h) ---- */

#define BACKUP_CASE(name)                                      \
	static void case_##name(const struct backend *backend) \
	{                                                      \
		name(backend->place_new, backend->place_drop); \
	}
BACKUP_CASE(backup_of_a_live_store)
BACKUP_CASE(backup_in_steps)
BACKUP_CASE(backup_that_was_edited)
BACKUP_CASE(restore_to_a_position)
BACKUP_CASE(restore_goes_on)

/* ---- cases: leases (leases.h) ---- */

#define LEASE_CASE(name)                                       \
	static void case_##name(const struct backend *backend) \
	{                                                      \
		struct place place;                            \
		backend->place_new(&place);                    \
		struct store *store = open_store(&place);      \
		name(store);                                   \
		store_close(&store);                           \
		backend->place_drop(&place);                   \
	}
LEASE_CASE(lease_is_taken_over)
LEASE_CASE(lease_is_inherited)
LEASE_CASE(lease_of_a_holder_that_slept)
LEASE_CASE(lease_is_released)
LEASE_CASE(lease_is_removed)
LEASE_CASE(members_are_forgotten)
LEASE_CASE(lease_is_raced_for)

/* ---- the table ---- */

struct conformance_case {
	const char *name;
	void (*run)(const struct backend *backend);
};

static const struct conformance_case conformance_cases[] = {
	{"every kind of member comes back", case_every_kind_comes_back},
	{"conditions of rows", case_conditions},
	{"views skip what is older", case_views_skip_older},
	{"unique indexes", case_unique_indexes},
	{"cursors in both directions", case_cursors},
	{"ranges over two members", case_ranges_over_two_members},
	{"sealed members are unreadable", case_sealed_members_are_unreadable},
	{"retention", case_retention},
	{"a log comes back", case_log_comes_back},
	{"three distinct refusals", case_three_refusals},
	{"8 threads race for positions", case_one_wins_each_position},
	{"P4: 8 threads race for guard keys", case_p4_one_wins_each_guard},
	{"refusals leave nothing behind", case_refusals_leave_nothing_behind},
	{"tampering is found", case_tampering_is_found},
	{"pruning keeps headers", case_prune_keeps_headers},
	{"a stream is deleted", case_delete_a_stream},
	{"a lease without a beat is taken over", case_lease_is_taken_over},
	{"a killed holder's lease is inherited", case_lease_is_inherited},
	{"a lease that its holder slept through", case_lease_of_a_holder_that_slept},
	{"a lease is released", case_lease_is_released},
	{"a lease is removed", case_lease_is_removed},
	{"a member that is gone for good is forgotten", case_members_are_forgotten},
	{"8 daemons race for a lease", case_lease_is_raced_for},
	{"a backup of a live store is of one moment", case_backup_of_a_live_store},
	{"a backup grows in steps", case_backup_in_steps},
	{"an edited backup is refused", case_backup_that_was_edited},
	{"P14: restore to a position", case_restore_to_a_position},
	{"an interrupted restore goes on", case_restore_goes_on},
};

#define CONFORMANCE_COUNT (sizeof conformance_cases / sizeof conformance_cases[0])

static const struct backend *conformance_backend;

static void conformance_test(void **state)
{
	const struct conformance_case *the_case = *state;
	int64_t start_us = clock_monotonic_us();
	the_case->run(conformance_backend);
	printf("             %s: %.1f s\n", the_case->name, (double)(clock_monotonic_us() - start_us) / 1e6);
}

static int conformance_run(const struct backend *backend)
{
	struct CMUnitTest tests[CONFORMANCE_COUNT];
	size_t count = 0;
	conformance_backend = backend;
	for (size_t i = 0; i < CONFORMANCE_COUNT; i++)
		tests[count++] = (struct CMUnitTest){.name = conformance_cases[i].name,
			.test_func = conformance_test,
			.initial_state = (void *)(uintptr_t)&conformance_cases[i]};
	if (crypto_start() != ERR_OK)
		return 1;
	return _cmocka_run_group_tests(backend->name, tests, count, NULL, NULL);
}

#endif
