/* The resources of value over HTTP, from a registered verifier to a public certificate: commands with Idempotency-Key, their
 * repeats, reads of one's own writes, what strangers see, the auditor's export and the live stream. */
#include "value_world.h"

static void retirement_body(char *ret_body, size_t size, int64_t batch, int kg, const char *consent)
{
	snprintf(ret_body, size,
		"{\"batch\":%lld,\"kg\":%d,\"beneficiary\":\"Ada <Lovelace> & Co\",\"country\":\"DE\","
		"\"purpose\":\"voluntary\",\"covered_from\":\"2025-01-01T00:00:00Z\","
		"\"covered_to\":\"2026-01-01T00:00:00Z\",\"consent\":%s}",
		(long long)batch, kg, consent);
}

/* ---- the walk ---- */

static void a_kilogram_from_issue_to_a_public_certificate(void **state)
{
	(void)state;
	const char *sells = service_key(seller, "trader", 0), *buys = service_key(buyer, "buyer", 1);
	int64_t batch = issue(100000, 24);
	char body[1024], path[256], to[ID_TEXT_SIZE];
	snprintf(body, sizeof body, "{\"to_org_id\":\"%s\",\"batch\":%lld,\"kg\":5000}", id_text(buyer, to),
		(long long)batch);
	const char *key = new_key();
	json_t *sent = post(201, sells, "/v1/transfers", key, body);
	json_t *again = post(200, sells, "/v1/transfers", key, body); /* the same answer */
	assert_int_equal(integer(sent, "position"), integer(again, "position"));
	assert_true(json_is_true(json_object_get(again, "repeated")));
	char other[1024];
	snprintf(other, sizeof other, "{\"to_org_id\":\"%s\",\"batch\":%lld,\"kg\":5001}", to, (long long)batch);
	json_decref(post(422, sells, "/v1/transfers", key, other)); /* the same key, another body */
	json_decref(post(400, sells, "/v1/transfers", "", body));   /* no key */
	json_decref(again);

	json_t *held = get(200, buys, "/v1/holdings", integer(sent, "position"));
	assert_int_equal(integer(json_array_get(json_object_get(held, "items"), 0), "held_kg"), 5000);
	json_decref(held);
	snprintf(path, sizeof path, "/v1/transfers/%s", member(sent, "id"));
	json_t *transfer = get(200, buys, path, integer(sent, "position"));
	assert_int_equal(integer(transfer, "kg"), 5000);
	json_decref(transfer);
	json_decref(sent);

	retirement_body(body, sizeof body, batch, 1000, "true");
	json_t *retired = post(201, buys, "/v1/retirements", new_key(), body);
	assert_int_equal(integer(retired, "number"), 1);
	snprintf(path, sizeof path, "/v1/certificates/%s", member(retired, "id"));
	json_t *certificate = get(200, NULL, path, integer(retired, "position"));
	assert_string_equal(member(certificate, "beneficiary"), "Ada <Lovelace> & Co");
	const json_t *part = json_array_get(json_object_get(certificate, "parts"), 0);
	assert_int_equal(integer(part, "kg"), 1000);

	/* everybody can look the serial up, and it leads back */
	char serial[200];
	snprintf(serial, sizeof serial, "/v1/serials/%s", member(part, "serial"));
	json_t *found = get(200, NULL, serial, 0);
	const json_t *where = json_array_get(json_object_get(found, "parts"), 0);
	assert_string_equal(member(where, "state"), "retired");
	assert_string_equal(member(where, "certificate_id"), member(retired, "id"));
	json_decref(found);
	serial[strlen(serial) - 1] ^= 1; /* a wrong check digit */
	json_decref(get(422, NULL, serial, 0));

	snprintf(path, sizeof path, "GET /certificates/%s", member(retired, "id"));
	struct response page = call(NULL, path, "", NULL);
	assert_int_equal(page.status, 200);
	assert_non_null(strstr(page.body, "Ada &lt;Lovelace&gt; &amp; Co"));
	response_free(&page);
	json_decref(certificate);
	json_decref(retired);

	/* a repeat is known by its text too, though the journal holds nothing that gives the text away */
	const char *once = new_key();
	retirement_body(body, sizeof body, batch, 10, "true");
	retired = post(201, buys, "/v1/retirements", once, body);
	again = post(200, buys, "/v1/retirements", once, body);
	assert_int_equal(integer(retired, "position"), integer(again, "position"));
	json_decref(again);
	json_decref(retired);
	memcpy(strstr(body, "Lovelace"), "Lovelock", 8);
	json_decref(post(422, buys, "/v1/retirements", once, body));

	/* without consent nobody is named */
	retirement_body(body, sizeof body, batch, 500, "false");
	retired = post(201, buys, "/v1/retirements", new_key(), body);
	snprintf(path, sizeof path, "/v1/certificates/%s", member(retired, "id"));
	certificate = get(200, NULL, path, integer(retired, "position"));
	assert_string_equal(member(certificate, "beneficiary"), "undisclosed");
	json_decref(certificate);
	json_decref(retired);
}

static void refusals_say_why(void **state)
{
	(void)state;
	const char *sells = service_key(seller, "trader", 0), *buys = service_key(buyer, "trader", 1);
	int64_t batch = issue(1000, 2);
	char body[512], to[ID_TEXT_SIZE], path[128];
	snprintf(body, sizeof body, "{\"to_org_id\":\"%s\",\"batch\":%lld,\"kg\":999999}", id_text(buyer, to),
		(long long)batch);
	json_t *refused = post(409, sells, "/v1/transfers", new_key(), body);
	assert_non_null(strstr(member(refused, "type"), "insufficient-kg"));
	json_decref(refused);
	snprintf(body, sizeof body, "{\"to_org_id\":\"%s\",\"batch\":%lld,\"kg\":10}",
		"00000000-0000-7000-8000-000000000001", (long long)batch);
	json_decref(post(422, sells, "/v1/transfers", new_key(), body));
	snprintf(body, sizeof body, "{\"to_org_id\":\"%s\",\"kg\":10}", to);
	json_decref(post(422, sells, "/v1/transfers", new_key(), body));
	/* a v4 key carries no time, so it cannot be remembered for a day */
	snprintf(body, sizeof body, "{\"to_org_id\":\"%s\",\"batch\":%lld,\"kg\":10}", to, (long long)batch);
	json_decref(
		post(422, sells, "/v1/transfers", "Idempotency-Key: 00000000-0000-4000-8000-000000000001\r\n", body));
	/* a held batch does not move, until it is released by another than its operator */
	snprintf(path, sizeof path, "/v1/batches/%lld/hold", (long long)batch);
	json_decref(post(200, root_key, path, new_key(), "{\"reason\":\"under review\"}"));
	json_decref(post(409, sells, "/v1/transfers", new_key(), body));
	snprintf(path, sizeof path, "/v1/batches/%lld/release", (long long)batch);
	json_t *released = post(200, root_key, path, new_key(), "{\"reason\":\"reviewed\"}");
	snprintf(path, sizeof path, "/v1/batches/%lld", (long long)batch);
	json_t *row = get(200, buys, path, integer(released, "position"));
	assert_false(json_is_true(json_object_get(row, "held")));
	json_decref(row);
	json_decref(released);
	json_t *sent = post(201, sells, "/v1/transfers", new_key(), body);
	/* what is between others is not there */
	const char *stranger = service_key(checker, "trader", 2);
	snprintf(path, sizeof path, "/v1/transfers/%s", member(sent, "id"));
	json_decref(get(404, stranger, path, integer(sent, "position")));
	snprintf(path, sizeof path, "/v1/holdings?org_id=%s", to);
	json_decref(get(403, stranger, path, 0));
	json_decref(sent);
	/* a position that has not come yet */
	json_decref(get(504, sells, "/v1/batches", 1000000));
}

static void a_serial_moves_by_its_text(void **state)
{
	(void)state;
	const char *sells = service_key(seller, "trader", 0);
	int64_t batch = issue(2000, 3);
	char path[128], body[512], to[ID_TEXT_SIZE];
	struct serial serial;
	char text[SERIAL_TEXT_SIZE];
	snprintf(path, sizeof path, "/v1/batches/%lld", (long long)batch);
	json_t *row = get(200, sells, path, engine_position(api.engine));
	assert_int_equal(serial_parse(member(row, "serial"), &serial, &info), ERR_OK);
	json_decref(row);
	serial.range.start = 100;
	serial.range.length = 50;
	assert_int_equal(serial_text(&serial, text), ERR_OK);
	snprintf(body, sizeof body, "{\"to_org_id\":\"%s\",\"serials\":[\"%s\"]}", id_text(buyer, to), text);
	json_t *sent = post(201, sells, "/v1/transfers", new_key(), body);
	json_decref(post(409, sells, "/v1/transfers", new_key(), body)); /* it is no longer theirs */
	snprintf(path, sizeof path, "/v1/transfers/%s", member(sent, "id"));
	json_t *transfer = get(200, sells, path, integer(sent, "position"));
	const json_t *range = json_array_get(json_object_get(transfer, "ranges"), 0);
	assert_int_equal(integer(range, "start"), 100);
	assert_int_equal(integer(range, "length"), 50);
	json_decref(transfer);
	json_decref(sent);
}

static void watchers_see_what_concerns_them(void **state)
{
	(void)state;
	static char seen_by_buyer[64 << 10], seen_by_stranger[64 << 10], seen_by_auditor[64 << 10];
	const char *sells = service_key(seller, "trader", 0);
	int64_t batch = issue(1000, 2);
	int watching[] = {watch("/v1/events", "", service_key(buyer, "trader", 1)),
		watch("/v1/events", "", service_key(checker, "trader", 2)),
		watch("/v1/events", "", service_key(house.id, "auditor", 3))};
	watch_until(watching[0], seen_by_buyer, sizeof seen_by_buyer, "event-stream");
	watch_until(watching[1], seen_by_stranger, sizeof seen_by_stranger, "event-stream");
	watch_until(watching[2], seen_by_auditor, sizeof seen_by_auditor, "event-stream");
	char body[256], to[ID_TEXT_SIZE];
	snprintf(body, sizeof body, "{\"to_org_id\":\"%s\",\"batch\":%lld,\"kg\":7}", id_text(buyer, to),
		(long long)batch);
	json_decref(post(201, sells, "/v1/transfers", new_key(), body));
	/* the stranger's own event comes after the one that it must not see */
	snprintf(body, sizeof body, "/v1/accounts/%s/hold", id_text(checker, to));
	json_decref(post(200, root_key, body, new_key(), "{\"reason\":\"a test\"}"));
	watch_until(watching[0], seen_by_buyer, sizeof seen_by_buyer, "event: transferred");
	watch_until(watching[1], seen_by_stranger, sizeof seen_by_stranger, "event: account_held");
	watch_until(watching[2], seen_by_auditor, sizeof seen_by_auditor, "event: account_held");
	assert_null(strstr(seen_by_stranger, "transferred"));
	assert_null(strstr(seen_by_buyer, "account_held"));
	assert_non_null(strstr(seen_by_auditor, "event: transferred"));
	for (int i = 0; i < 3; i++)
		close(watching[i]);

	/* who comes again gets what it has missed, and no more; the same is there page by page */
	char *id = strstr(seen_by_stranger, "id: "), resume[96], path[96];
	assert_non_null(id);
	snprintf(resume, sizeof resume, "Last-Event-ID: %lld\r\n", atoll(id + 4));
	memset(seen_by_stranger, 0, sizeof seen_by_stranger);
	int again = watch("/v1/events", resume, service_key(checker, "trader", 2));
	watch_until(again, seen_by_stranger, sizeof seen_by_stranger, "event: account_held");
	assert_null(strstr(seen_by_stranger, "transferred"));
	close(again);
	struct response future =
		call(service_key(checker, "trader", 2), "GET /v1/events", "Last-Event-ID: 999999999\r\n", NULL);
	assert_int_equal(future.status, 422);
	response_free(&future);
	snprintf(path, sizeof path, "GET /v1/events?from=%lld&limit=1000", atoll(id + 4) + 1);
	struct response paged = call(service_key(checker, "trader", 2), path, "Accept: application/json\r\n", NULL);
	assert_int_equal(paged.status, 200);
	assert_string_equal(header_of(&paged, "Content-Type"), "application/json");
	json_t *page = json_loads(paged.body, 0, NULL);
	response_free(&paged);
	const json_t *items = json_object_get(page, "items");
	assert_int_equal(json_array_size(items), 1);
	assert_string_equal(member(json_array_get(items, 0), "event"), "account_held");
	assert_int_equal(integer(page, "next_position"), engine_position(api.engine) + 1);
	json_decref(page);
}

static int poll_events(int64_t from, int wait, const char *key)
{
	char path[96];
	snprintf(path, sizeof path, "/v1/events?from=%lld&wait=%d", (long long)from, wait);
	return watch(path, "Accept: application/json\r\n", key);
}

/* MARKET.md, streams: an empty page is held back until the next event that concerns the caller, or until the time is over. */
static void a_poll_waits_for_the_next_event(void **state)
{
	(void)state;
	static char first[16 << 10], second[16 << 10];
	const char *sells = service_key(seller, "trader", 0), *buys = service_key(buyer, "trader", 1);
	char body[256], to[ID_TEXT_SIZE], next[64];
	int64_t batch = issue(1000, 2), now = engine_position(api.engine);
	snprintf(next, sizeof next, "{\"items\":[],\"next_position\":%lld}", (long long)now + 1);
	int stranger = poll_events(now + 1, 1, service_key(checker, "trader", 2));
	watch_until(stranger, second, sizeof second, next); /* nothing happened */
	int waits = poll_events(now + 1, 30, buys);
	stranger = poll_events(now + 1, 1, service_key(checker, "trader", 2));
	snprintf(body, sizeof body, "{\"to_org_id\":\"%s\",\"batch\":%lld,\"kg\":7}", id_text(buyer, to),
		(long long)batch);
	json_t *sent = post(201, sells, "/v1/transfers", new_key(), body);
	watch_until(waits, first, sizeof first, "\"next_position\"");
	assert_non_null(strstr(first, "Content-Type: application/json"));
	assert_non_null(strstr(first, "{\"items\":[{\"event\":\"transferred\""));
	json_decref(sent);
	memset(second, 0, sizeof second);
	watch_until(stranger, second, sizeof second, next); /* it does not concern the stranger */
	assert_null(strstr(second, "transferred"));
	/* one that is there is answered at once; who goes on from the next position has missed nothing */
	int64_t at = atoll(strstr(first, "\"next_position\":") + 16);
	memset(first, 0, sizeof first);
	watch_until(poll_events(at - 1, 30, buys), first, sizeof first, "transferred");
	json_decref(get(422, buys, "/v1/events?wait=31", 0));
}

static void the_export_is_the_journal_line_by_line(void **state)
{
	(void)state;
	const char *audits = service_key(house.id, "auditor", 3);
	int64_t from = 1, lines = 0;
	for (;;) {
		char request[96];
		snprintf(request, sizeof request, "GET /v1/journal?limit=3&from=%lld", (long long)from);
		struct response page = call(audits, request, "", NULL);
		assert_int_equal(page.status, 200);
		for (char *line = page.body, *end; line && *line && (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			json_t *record = json_loads(line, 0, NULL);
			assert_int_equal(integer(record, "number"), ++lines);
			json_decref(record);
		}
		int64_t next = atoll(header_of(&page, "Carbond-Next-Position"));
		response_free(&page);
		if (next == from)
			break;
		from = next;
	}
	assert_int_equal(lines, engine_position(api.engine));
	json_decref(get(403, service_key(seller, "trader", 0), "/v1/journal", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_kilogram_from_issue_to_a_public_certificate),
		cmocka_unit_test(refusals_say_why), cmocka_unit_test(a_serial_moves_by_its_text),
		cmocka_unit_test(watchers_see_what_concerns_them), cmocka_unit_test(a_poll_waits_for_the_next_event),
		cmocka_unit_test(the_export_is_the_journal_line_by_line)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
