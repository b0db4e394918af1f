/* room: engine. Transfers a second: by the rules alone; durable through the engine into SQLite, by senders that each keep a
 * window of commands open and by one that offers a steady rate, with how long an answer takes; beside the same bytes written in
 * the same batches with fdatasync and nothing else. Then the same with orders: 82 % moves.
 *
 *	engine_bench [rules | flat | steady | views | orders | orders-steady]
 *	engine_bench fill FOLDER REGISTRY EVENTS	fills a data directory's journal (start_bench.py)
 */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/map.h"
#include "carbond/base/log.h"
#include "../src/engine/parts.h"
#include "carbond/engine.h"
#include "carbond/rules.h"
#include "say.h"

#define ORGS     1000
#define BATCH_KG INT64_C(100000000)
#define SENDERS  2
#define WINDOW   2048
#define SECONDS  5
#define OFFERED  20000 /* a second, by the steady sender */

/* Orders. A sender sells as organisation 0, another buys as organisation 1, at prices that do not meet; what IOC orders take is one
 * large order of a third organisation, so that what the two have open is theirs alone and each of their commands succeeds. */
#define ORDERS_KG      INT64_C(3000000000)
#define ORDERS_OPEN    1024 /* of each sender */
#define ORDERS_SECONDS 30
#define ORDERS_OFFERED 50000
#define LOT_KG         1000
#define MAKER          2

static struct sign_secret secret;
static struct sign_public public;
static const struct id issuer = {{200}}, verifier_org = {{201}}, verifier = {{202}};

static void check(enum err err, const struct err_info *info, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s %s\n", what, err_row(err)->title, info->detail);
	exit(1);
}

static struct id org_of(uint64_t number)
{
	struct id id = {{1}};
	memcpy(id.bytes + 8, &number, sizeof number);
	return id;
}

/* A UUIDv7 without asking the kernel for random bits each time. */
static struct id fast_id(uint64_t *random)
{
	struct id id;
	uint64_t ms = (uint64_t)(clock_wall_us() / 1000), word = map_hash_u64(0, ++*random),
		 other = map_hash_u64(1, *random);
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	memcpy(id.bytes + 6, &other, 2);
	memcpy(id.bytes + 8, &word, 8);
	id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f));
	id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
	return id;
}

/* The commands that make batch 1, held by organisation 0, in order; then those that let it be traded. */
#define PREPARATIONS 4
#define MARKET_STEPS 6

/* Opens a market, and gives organisation 1 money, MAKER half the batch, and an order that it sells. */
static void market_step(int step, struct command *command)
{
	static const struct code8 euro = {"EUR"};
	*command = (struct command){.id = id_new(clock_wall_us()), .actor = issuer, .org = issuer};
	switch (step) {
	case 0:
		command->kind = COMMAND_HOUSE_NAME;
		command->house_name.org = issuer;
		return;
	case 1:
		command->kind = COMMAND_MONEY_DEPOSIT;
		command->money_deposit = (struct command_money_deposit){
			.to = org_of(1), .currency = euro, .amount_micros = LEDGER_MICROS_MAX};
		return;
	case 2:
		command->kind = COMMAND_MARKET_OPEN;
		command->market_open = (struct command_market_open){.currency = euro,
			.tick_micros = 1000,
			.lot_kg = LOT_KG,
			.maker_ppm = 500,
			.taker_ppm = 1000,
			.collar_ppm = 100000,
			.kind = CREDIT_REMOVAL};
		return;
	case 3:
		command->kind = COMMAND_INSTRUMENT_LIST;
		command->instrument_list.market = 1;
		code32_set(&command->instrument_list.code, "I");
		return;
	case 4:
		command->kind = COMMAND_TRANSFER;
		command->actor = command->org = org_of(0);
		command->transfer = (struct command_transfer){.to = org_of(MAKER), .batch = 1, .kg = ORDERS_KG / 2};
		return;
	default:
		command->kind = COMMAND_ORDER_PLACE;
		command->actor = command->org = org_of(MAKER);
		command->order_place = (struct command_order_place){.market = 1,
			.batch = 1,
			.price_micros = 1000000,
			.kg = MARKET_KG_MAX,
			.side = ORDER_SELL,
			.tif = ORDER_GTC};
	}
}

static void preparation(int step, int64_t kg, struct command *command, struct claim_run *run)
{
	static const struct id period = {{7}};
	static const struct hash root = {{8}};
	*command = (struct command){.id = id_new(clock_wall_us()), .actor = issuer, .org = issuer};
	*run = (struct claim_run){.point = {{1}}, .first_hour = 490896, .hours = 1};
	switch (step) {
	case 0:
		command->kind = COMMAND_VERIFIER_REGISTER;
		command->verifier_register = (struct command_verifier_register){
			.verifier = verifier, .org = verifier_org, .key = public, .valid_to_us = INT64_MAX};
		return;
	case 1:
		command->kind = COMMAND_PERIOD_SUBMIT;
		command->actor = command->org = org_of(0);
		command->period_submit = (struct command_period_submit){.period = period,
			.org = org_of(0),
			.unit = org_of(0),
			.methodology_hash = root,
			.evidence_root = root,
			.vintage = 2026,
			.quorum = 1,
			.first_hour = 490896,
			.last_hour = 490896,
			.kg = kg,
			.total_kg = kg};
		code16_set(&command->period_submit.unit_code, "U");
		code16_set(&command->period_submit.methodology, "M");
		code8_set(&command->period_submit.country, "IS");
		command->lists = (struct record_lists){.runs = run, .run_count = 1};
		return;
	case 2:
		command->kind = COMMAND_PERIOD_ATTEST;
		command->actor = command->org = verifier_org;
		command->period_attest = (struct command_period_attest){.period = period,
			.verifier = verifier,
			.evidence_root = root,
			.signature = sign_make(&secret, REGISTRY_ATTESTATION_DOMAIN, &root, sizeof root)};
		return;
	default: command->kind = COMMAND_PERIOD_ISSUE; command->period_issue.period = period;
	}
}

static struct command transfer(uint64_t number, uint64_t from, uint64_t to, uint64_t *random)
{
	struct command command = {
		.kind = COMMAND_TRANSFER, .id = fast_id(random), .actor = org_of(from), .org = org_of(from)};
	command.request_hash.bytes[0] = 1;
	command.transfer = (struct command_transfer){.to = org_of(to), .batch = 1, .kg = 1 + (int64_t)(number % 3)};
	return command;
}

/* Of the whole process. */
static double processor_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- the rules alone ---- */

struct kept {
	uint8_t *bytes;
	size_t size, capacity;
};

static enum err keep(void *context, const uint8_t *record, size_t size)
{
	struct kept *kept = context;
	if (kept->size + size > kept->capacity) {
		kept->capacity = 2 * (kept->capacity + size);
		kept->bytes = realloc(kept->bytes, kept->capacity);
	}
	memcpy(kept->bytes + kept->size, record, size);
	kept->size += size;
	return ERR_OK;
}

/* The state is written to memory and read again, with all checks of a start but the log's own. */
static void bench_snapshot(const struct rules *rules)
{
	struct kept kept = {0};
	struct err_info info = {0};
	struct event_state_end end = {0};
	double written = processor_s();
	check(rules_snapshot(rules, 1, (struct hash){0}, keep, &kept, NULL, &info), &info, "snapshot");
	written = processor_s() - written;
	double read = processor_s();
	struct rules *copy = rules_new(issuer, 2);
	uint32_t length = 0;
	for (size_t at = 0; at < kept.size; at += length) {
		memcpy(&length, kept.bytes + at, sizeof length);
		check(rules_restore(copy, kept.bytes + at, length, &end, &info), &info, "restore");
	}
	read = processor_s() - read;
	say("", "a snapshot of that state is %.0f MB; written in %.2f s, read and checked in %.2f s of processor time",
		(double)kept.size / 1e6, written, read);
	rules_free(&copy);
	free(kept.bytes);
}

static void bench_rules(void)
{
	enum { COUNT = 1000000 };
	struct rules *rules = rules_new(issuer, 1);
	struct rules_output output = {.capacity = 4u << 20, .guard_capacity = RULES_GUARDS_MAX};
	struct rules_result result;
	struct err_info info = {0};
	struct command command;
	struct claim_run run;
	uint64_t random = 1;
	output.bytes = malloc(output.capacity);
	output.guards = malloc(output.guard_capacity * sizeof *output.guards);
	for (int step = 0; step < PREPARATIONS; step++) {
		preparation(step, BATCH_KG, &command, &run);
		check(rules_execute(rules, &command, clock_wall_us(), &output, &result, &info), &info, "rules");
	}
	int64_t began = clock_monotonic_us();
	double cpu = processor_s();
	size_t bytes = 0;
	for (uint64_t i = 0; i < COUNT; i++) {
		command = transfer(i, i % 2 ? 1 + i / 2 % (ORGS - 1) : 0,
			i % 2 ? (i * 7) % ORGS : 1 + i / 2 % (ORGS - 1), &random);
		if (id_equal(command.org, command.transfer.to))
			command.transfer.to = org_of(ORGS);
		command.transfer.kg = i % 2 ? 1 : 20;
		output.size = 0;
		check(rules_execute(rules, &command, clock_wall_us(), &output, &result, &info), &info, "rules");
		bytes += output.size;
	}
	double seconds = (double)(clock_monotonic_us() - began) / 1e6;
	cpu = processor_s() - cpu;
	struct hash hash;
	double hash_cpu = processor_s();
	check(rules_state_hash(rules, &hash, &info), &info, "hash");
	say("what", "transfers by the rules alone, in memory");
	say("how", "%d transfers between %d organisations on one thread, %zu bytes of events each", COUNT, ORGS,
		bytes / COUNT);
	say("measured", "%.0f transfers/s, %.2f µs of processor time each; hash of the state after them %.2f s",
		COUNT / seconds, cpu * 1e6 / COUNT, processor_s() - hash_cpu);
	bench_snapshot(rules);
	rules_free(&rules);
	free(output.bytes);
	free(output.guards);
}

/* ---- the engine ---- */

struct slot {
	struct sender *sender;
	struct runtime_reply *reply;
	int64_t began_us;
};

struct sender {
	struct engine *engine;
	struct command (*next)(struct sender *sender, uint64_t i);
	uint64_t from, random;
	struct id open[ORDERS_OPEN]; /* orders; zero: none */
	sem_t window;
	atomic_uint_fast64_t done;
	uint32_t *latency_us;
	size_t latency_capacity;
	atomic_bool stop;
	int64_t each_us; /* a steady sender: one command so often; 0: as many as the window lets */
};

static struct command next_transfer(struct sender *sender, uint64_t i)
{
	return transfer(i, sender->from, SENDERS + map_hash_u64(0, i) % ORGS, &sender->random);
}

static struct command next_order(struct sender *sender, uint64_t i)
{
	struct id org = org_of(sender->from);
	struct command command = {.id = fast_id(&sender->random), .actor = org, .org = org};
	command.request_hash.bytes[0] = 1;
	uint64_t random = map_hash_u64(sender->from, i), share = random % 100;
	bool buys = sender->from == 1, takes = buys && share < 6;
	struct id *open = &sender->open[(random >> 8) % ORDERS_OPEN];
	int64_t away = 1 + (int64_t)((random >> 20) % 375), kg = LOT_KG * (1 + (int64_t)((random >> 32) % 100));
	int64_t price = 1000000 + (buys ? -away : away) * 1000;
	if (!takes && !id_is_none(*open) && share < 18) {
		command.kind = COMMAND_ORDER_CANCEL;
		command.order_cancel.order = *open;
		*open = (struct id){{0}};
	} else if (!takes && !id_is_none(*open)) {
		command.kind = COMMAND_ORDER_AMEND;
		command.order_amend = (struct command_order_amend){.order = *open, .price_micros = price, .kg = kg};
	} else {
		command.kind = COMMAND_ORDER_PLACE;
		command.order_place = (struct command_order_place){.market = buys ? 0 : 1,
			.instrument = buys ? 1 : 0,
			.batch = buys ? 0 : 1,
			.price_micros = takes ? 1000000 : price,
			.kg = takes ? LOT_KG : kg,
			.side = buys ? ORDER_BUY : ORDER_SELL,
			.tif = takes ? ORDER_IOC : ORDER_GTC};
		if (!takes)
			*open = command.id;
	}
	return command;
}

/* An order that is amended to what it is is refused, which is as well: what else is refused ends the bench. */
static void woken(void *context)
{
	struct slot *slot = context;
	struct sender *sender = slot->sender;
	if (slot->reply->code && slot->reply->code != ERR_INVALID_FIELD) {
		fprintf(stderr, "%s\n", slot->reply->info.detail);
		exit(1);
	}
	uint64_t number = atomic_fetch_add(&sender->done, 1);
	if (number < sender->latency_capacity)
		sender->latency_us[number] = (uint32_t)(clock_monotonic_us() - slot->began_us);
	reply_unref(&slot->reply);
	free(slot);
	sem_post(&sender->window);
}

static void sleep_until(int64_t until_us)
{
	struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
	while (clock_monotonic_us() < until_us)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* A steady sender's command begins when it was due, however late it was sent. */
static void *send_all(void *argument)
{
	struct sender *sender = argument;
	int64_t due_us = clock_monotonic_us();
	for (uint64_t i = 0; !atomic_load(&sender->stop); i++) {
		due_us = sender->each_us ? due_us + sender->each_us : clock_monotonic_us();
		if (sender->each_us)
			sleep_until(due_us);
		sem_wait(&sender->window);
		struct slot *slot = malloc(sizeof *slot);
		*slot = (struct slot){.sender = sender, .began_us = due_us};
		slot->reply = reply_new(INT64_MAX, woken, slot);
		struct command command = sender->next(sender, i);
		while (engine_submit(sender->engine, &command, NULL, 0, slot->reply))
			sched_yield();
	}
	for (int i = 0; i < WINDOW; i++)
		sem_wait(&sender->window);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

struct latencies {
	uint64_t done;
	double p50_ms, p99_ms, max_ms;
};

static struct latencies latencies_of(struct sender *senders, int count_of)
{
	struct latencies latencies = {0};
	size_t count = 0;
	uint32_t *all = malloc((size_t)count_of * senders[0].latency_capacity * sizeof *all);
	for (int i = 0; i < count_of; i++) {
		size_t own = atomic_load(&senders[i].done);
		latencies.done += own;
		own = own < senders[i].latency_capacity ? own : senders[i].latency_capacity;
		memcpy(all + count, senders[i].latency_us, own * sizeof *all);
		count += own;
	}
	qsort(all, count, sizeof *all, by_value);
	if (count) {
		latencies.p50_ms = all[count / 2] / 1e3;
		latencies.p99_ms = all[count * 99 / 100] / 1e3;
		latencies.max_ms = all[count - 1] / 1e3;
	}
	free(all);
	return latencies;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

/* ---- the same bytes, bare ---- */

struct bare {
	int file;
	off_t end;
	size_t batches;
	int64_t spent_us;
};

static enum err write_bare(void *context, const struct store_batch *batch)
{
	struct bare *bare = context;
	int64_t began_us = clock_monotonic_us();
	if (pwrite(bare->file, batch->payload, batch->payload_size, bare->end) != (ssize_t)batch->payload_size ||
		fdatasync(bare->file))
		exit(1);
	bare->spent_us += clock_monotonic_us() - began_us;
	bare->end += (off_t)batch->payload_size;
	bare->batches++;
	return ERR_OK;
}

static struct bare bare_write(struct store *store, const char *folder)
{
	char path[208];
	struct err_info info = {0};
	snprintf(path, sizeof path, "%s/bare", folder);
	struct bare bare = {.file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600)};
	check(store_log_read(store, STORE_VALUE, ENGINE_STREAM, 1, write_bare, &bare, &info), &info, "journal");
	close(bare.file);
	return bare;
}

/* ---- runs ---- */

struct place {
	char folder[200];
	struct store *store;
	struct engine *engine;
	struct engine_options start;
};

/* In a folder of its own under TMPDIR: which disk is measured. */
static struct place place_new(void)
{
	struct place place = {0};
	const char *top = getenv("TMPDIR");
	snprintf(place.folder, sizeof place.folder, "%s/carbond-bench-XXXXXX", top ? top : "/tmp");
	if (!mkdtemp(place.folder))
		exit(1);
	return place;
}

static void place_open(struct place *place, struct id registry, bool views, bool trades)
{
	static const struct seal_key key = {.number = 1};
	struct err_info info = {0};
	char uri[208];
	snprintf(uri, sizeof uri, "sqlite:%s", place->folder);
	struct store_options open = {
		.uri = uri, .collections = engine_collections, .seal_keys = &key, .seal_key_count = 1};
	check(store_open(&open, &place->store, &info), &info, "store");
	place->start = (struct engine_options){.store = place->store,
		.node = "bench",
		.registry = registry,
		.no_views = !views,
		.snapshot_events = INT64_MAX};
	check(engine_start(&place->start, &place->engine, &info), &info, "engine");
	struct engine_result result;
	struct command command;
	struct claim_run run;
	uint64_t random = 99;
	for (int step = 0; step < PREPARATIONS; step++) {
		preparation(step, trades ? ORDERS_KG : BATCH_KG, &command, &run);
		check(engine_command(place->engine, &command, NULL, 0, INT64_MAX, &result, &info), &info, "engine");
	}
	for (int step = 0; trades && step < MARKET_STEPS; step++) {
		market_step(step, &command);
		check(engine_command(place->engine, &command, NULL, 0, INT64_MAX, &result, &info), &info, "engine");
	}
	if (trades)
		return;
	command = transfer(0, 0, 1, &random);
	command.transfer.kg = BATCH_KG / 2;
	check(engine_command(place->engine, &command, NULL, 0, INT64_MAX, &result, &info), &info, "engine");
}

static void place_close(struct place *place)
{
	engine_stop(&place->engine);
	store_close(&place->store);
}

struct run {
	struct latencies latencies;
	double seconds, cpu_us;
};

/* What is sent: for so many seconds, or until the journal has so many events. */
struct sending {
	struct command (*next)(struct sender *sender, uint64_t i);
	int senders;
	int64_t each_us;
	int seconds;
	int64_t events;
};

static struct run send_for(struct place *place, const struct sending *sending)
{
	static struct sender senders[SENDERS];
	const int count = sending->senders;
	pthread_t threads[SENDERS];
	for (int i = 0; i < count; i++) {
		senders[i] = (struct sender){.engine = place->engine,
			.next = sending->next,
			.from = (uint64_t)i,
			.random = ((uint64_t)i + 1) << 40,
			.latency_capacity = 4000000,
			.each_us = sending->each_us};
		senders[i].latency_us = malloc(senders[i].latency_capacity * sizeof(uint32_t));
		sem_init(&senders[i].window, 0, WINDOW);
	}
	double cpu = processor_s();
	int64_t began_us = clock_monotonic_us();
	for (int i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, send_all, &senders[i]);
	while (sending->events ? engine_position(place->engine) < sending->events
			       : clock_monotonic_us() < began_us + sending->seconds * INT64_C(1000000))
		usleep(10000);
	for (int i = 0; i < count; i++)
		atomic_store(&senders[i].stop, true);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	struct run run = {
		.latencies = latencies_of(senders, count), .seconds = (double)(clock_monotonic_us() - began_us) / 1e6};
	run.cpu_us = (processor_s() - cpu) * 1e6 / (double)run.latencies.done;
	for (int i = 0; i < count; i++)
		free(senders[i].latency_us);
	return run;
}

static void bench_flat_out(void)
{
	struct place place = place_new();
	place_open(&place, issuer, false, false);
	struct run run =
		send_for(&place, &(struct sending){.next = next_transfer, .senders = SENDERS, .seconds = SECONDS});
	double rate = (double)run.latencies.done / run.seconds;
	engine_stop(&place.engine);
	struct bare bare = bare_write(place.store, place.folder);
	place_close(&place);
	say("what", "durable transfers through the engine");
	say("how", "%d senders × %d commands open, %d s, into SQLite, no views", SENDERS, WINDOW, SECONDS);
	say("measured",
		"%.0f transfers/s, %.1f µs of processor time each, the senders' included; answers p50 %.1f ms, p99 "
		"%.1f ms",
		rate, run.cpu_us, run.latencies.p50_ms, run.latencies.p99_ms);
	say("beside", "pwrite and fdatasync of the same %zu batches, %.0f bytes each: %.0f transfers/s", bare.batches,
		(double)bare.end / (double)bare.batches, (double)run.latencies.done * 1e6 / (double)bare.spent_us);
	say("target", "at least 200,000 transfers/s: %s", rate >= 200000 ? "met" : "missed");
	nftw(place.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void bench_steady(bool views)
{
	struct place place = place_new();
	struct err_info info = {0};
	place_open(&place, issuer, views, false);
	struct run run = send_for(
		&place, &(struct sending){
				.next = next_transfer, .senders = 1, .each_us = 1000000 / OFFERED, .seconds = SECONDS});
	say("what", "durable transfers at a steady rate, %s", views ? "views projected beside" : "no views");
	say("how", "%d/s offered by one sender for %d s; an answer's time runs from when its command was due", OFFERED,
		SECONDS);
	say("measured", "%.0f/s; answers p50 %.2f ms, p99 %.2f ms, longest %.1f ms; %.1f µs of processor time each",
		(double)run.latencies.done / run.seconds, run.latencies.p50_ms, run.latencies.p99_ms,
		run.latencies.max_ms, run.cpu_us);
	if (views) {
		int64_t behind = engine_position(place.engine) - engine_views_position(place.engine);
		int64_t from_us = clock_monotonic_us();
		check(engine_wait_position(
			      place.engine, engine_position(place.engine), from_us + 600 * CLOCK_US_PER_SECOND),
			&info, "views");
		say("", "views %lld events behind at the end, then %.0f events/s", (long long)behind,
			(double)behind / ((double)(clock_monotonic_us() - from_us) / 1e6));
	} else {
		say("target", "p99 below 5 ms: %s", run.latencies.p99_ms < 5 ? "met" : "missed");
	}
	place_close(&place);
	nftw(place.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Orders through group commit and the table of repeats: flat out, or at a steady rate. */
static void bench_orders(bool steady)
{
	struct place place = place_new();
	place_open(&place, issuer, false, true);
	int64_t each_us = steady ? SENDERS * INT64_C(1000000) / ORDERS_OFFERED : 0;
	struct run run = send_for(
		&place, &(struct sending){
				.next = next_order, .senders = SENDERS, .each_us = each_us, .seconds = ORDERS_SECONDS});
	double rate = (double)run.latencies.done / run.seconds;
	engine_stop(&place.engine);
	struct bare bare = bare_write(place.store, place.folder);
	place_close(&place);
	say("what", "durable orders through the engine, %s: 82 %% moves", steady ? "at a steady rate" : "flat out");
	if (steady)
		say("how", "%d/s offered by %d senders for %d s; an answer's time runs from when its command was due",
			ORDERS_OFFERED, SENDERS, ORDERS_SECONDS);
	else
		say("how", "%d senders × %d commands open, %d s, into SQLite, no views, %d orders rest", SENDERS,
			WINDOW, ORDERS_SECONDS, SENDERS * ORDERS_OPEN);
	say("measured",
		"%.0f commands/s, %.1f µs of processor time each, the senders' included; answers p50 %.2f ms, p99 "
		"%.2f ms, longest %.1f ms",
		rate, run.cpu_us, run.latencies.p50_ms, run.latencies.p99_ms, run.latencies.max_ms);
	say("beside",
		"pwrite and fdatasync of the same %zu batches, %.0f bytes each, %.0f a command: %.0f commands/s, "
		"%.2f ms a batch",
		bare.batches, (double)bare.end / (double)bare.batches, (double)bare.end / (double)run.latencies.done,
		(double)run.latencies.done * 1e6 / (double)bare.spent_us,
		(double)bare.spent_us / 1e3 / (double)bare.batches);
	if (steady)
		say("target", "p99 below 5 ms: %s", run.latencies.p99_ms < 5 ? "met" : "missed");
	else
		say("target", "at least 500,000 commands/s: %s", rate >= 500000 ? "met" : "missed");
	nftw(place.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A journal of so many events in a data directory, its views said to be at its head: what start_bench.py measures is the
 * start, not the projection of these events. */
static int fill(const char *folder, const char *registry_text, int64_t events)
{
	struct place place = {0};
	struct id registry;
	struct store_batch head;
	struct err_info info = {0};
	snprintf(place.folder, sizeof place.folder, "%s", folder);
	check(id_parse(registry_text, &registry), &info, "registry");
	place_open(&place, registry, false, false);
	(void)send_for(&place, &(struct sending){.next = next_transfer, .senders = SENDERS, .events = events});
	int64_t position = engine_position(place.engine);
	engine_stop(&place.engine);
	check(store_log_head(place.store, STORE_VALUE, ENGINE_STREAM, &head, &info), &info, "journal");
	struct cursor_row cursor = {.name = "views", .seq = (int64_t)head.seq, .position = position};
	struct store_change change = {.collection = &view_cursors_collection, .row = &cursor, .verb = STORE_PUT};
	check(store_write(place.store, &change, 1, NULL, &info), &info, "cursor");
	store_close(&place.store);
	printf("%lld events\n", (long long)position);
	return 0;
}

int main(int argc, char **argv)
{
	struct err_info info = {0};
	check(crypto_start(), &info, "crypto");
	sign_keypair(&public, &secret);
	if (argc == 5 && strcmp(argv[1], "fill") == 0)
		return fill(argv[2], argv[3], atoll(argv[4]));
	const char *only = argc > 1 ? argv[1] : NULL;
	if (!only || strcmp(only, "rules") == 0)
		bench_rules();
	if (!only || strcmp(only, "flat") == 0)
		bench_flat_out();
	if (!only || strcmp(only, "steady") == 0)
		bench_steady(false);
	if (!only || strcmp(only, "views") == 0)
		bench_steady(true);
	if (!only || strcmp(only, "orders") == 0)
		bench_orders(false);
	if (!only || strcmp(only, "orders-steady") == 0)
		bench_orders(true);
	return 0;
}
