/* room: engine. Transfers a second: by the rules alone, and durable through the engine into SQLite with several senders who
 * each keep a window of commands open; and how long an answer takes. */
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/map.h"
#include "carbond/base/log.h"
#include "carbond/engine.h"
#include "carbond/rules.h"

#define ORGS     1000
#define BATCH_KG INT64_C(100000000)
#define SENDERS  2
#define WINDOW   2048
#define SECONDS  5

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

/* The commands that make batch 1, held by organisation 0, in order. */
#define PREPARATIONS 4
static void preparation(int step, struct command *command, struct claim_run *run)
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
			.kg = BATCH_KG,
			.total_kg = BATCH_KG};
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

/* ---- the rules alone ---- */

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
		preparation(step, &command, &run);
		check(rules_execute(rules, &command, clock_wall_us(), &output, &result, &info), &info, "rules");
	}
	int64_t began = clock_monotonic_us();
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
	printf("rules: %.0f transfers/s, %zu bytes each\n", COUNT / seconds, bytes / COUNT);
	struct hash hash;
	began = clock_monotonic_us();
	check(rules_state_hash(rules, &hash, &info), &info, "hash");
	printf("rules: state hash after %d transfers in %.2f s\n", COUNT, (double)(clock_monotonic_us() - began) / 1e6);
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
	uint64_t from, random;
	sem_t window;
	atomic_uint_fast64_t done;
	uint32_t *latency_us;
	size_t latency_capacity;
	atomic_bool stop;
};

static void woken(void *context)
{
	struct slot *slot = context;
	struct sender *sender = slot->sender;
	if (slot->reply->code) {
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

static void *send_all(void *argument)
{
	struct sender *sender = argument;
	for (uint64_t i = 0; !atomic_load(&sender->stop); i++) {
		sem_wait(&sender->window);
		struct slot *slot = malloc(sizeof *slot);
		*slot = (struct slot){.sender = sender, .began_us = clock_monotonic_us()};
		slot->reply = reply_new(INT64_MAX, woken, slot);
		struct command command =
			transfer(i, sender->from, SENDERS + map_hash_u64(0, i) % ORGS, &sender->random);
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

static void report(struct sender *senders, double seconds)
{
	uint64_t done = 0;
	size_t count = 0;
	uint32_t *all = malloc(SENDERS * senders[0].latency_capacity * sizeof *all);
	for (int i = 0; i < SENDERS; i++) {
		size_t own = atomic_load(&senders[i].done);
		done += own;
		own = own < senders[i].latency_capacity ? own : senders[i].latency_capacity;
		memcpy(all + count, senders[i].latency_us, own * sizeof *all);
		count += own;
	}
	qsort(all, count, sizeof *all, by_value);
	printf("engine: %.0f durable transfers/s with %d senders × %d open; answers p50 %.2f ms, p99 %.2f ms, max %.2f "
	       "ms\n",
		(double)done / seconds, SENDERS, WINDOW, all[count / 2] / 1e3, all[count * 99 / 100] / 1e3,
		all[count - 1] / 1e3);
	free(all);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static void bench_engine(bool views)
{
	char folder[] = "/tmp/carbond-bench-XXXXXX", uri[64];
	struct err_info info = {0};
	struct store *store = NULL;
	struct engine *engine = NULL;
	struct seal_key key = {.number = 1};
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	snprintf(uri, sizeof uri, "sqlite:%s", mkdtemp(folder));
	struct store_options open = {
		.uri = uri, .collections = engine_collections, .seal_keys = &key, .seal_key_count = 1};
	check(store_open(&open, &store, &info), &info, "store");
	struct engine_options start = {.store = store, .node = "bench", .registry = issuer, .no_views = !views};
	check(engine_start(&start, &engine, &info), &info, "engine");
	struct engine_result result;
	struct command command;
	struct claim_run run;
	uint64_t random = 99;
	for (int step = 0; step < PREPARATIONS; step++) {
		preparation(step, &command, &run);
		check(engine_command(engine, &command, NULL, 0, INT64_MAX, &result, &info), &info, "engine");
	}
	command = transfer(0, 0, 1, &random);
	command.transfer.kg = BATCH_KG / 2;
	check(engine_command(engine, &command, NULL, 0, INT64_MAX, &result, &info), &info, "engine");
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.engine = engine,
			.from = (uint64_t)i,
			.random = (uint64_t)i << 40,
			.latency_capacity = 4000000};
		senders[i].latency_us = malloc(senders[i].latency_capacity * sizeof(uint32_t));
		sem_init(&senders[i].window, 0, WINDOW);
	}
	int64_t began = clock_monotonic_us();
	for (int i = 0; i < SENDERS; i++)
		pthread_create(&threads[i], NULL, send_all, &senders[i]);
	sleep(SECONDS);
	for (int i = 0; i < SENDERS; i++)
		atomic_store(&senders[i].stop, true);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	printf("%s views: ", views ? "with" : "without");
	report(senders, (double)(clock_monotonic_us() - began) / 1e6);
	if (views) {
		int64_t behind = engine_position(engine) - engine_views_position(engine), from = clock_monotonic_us();
		check(engine_wait_position(engine, engine_position(engine), from + 600 * CLOCK_US_PER_SECOND), &info,
			"views");
		printf("views: %lld events behind at the end, %.0f events/s after it\n", (long long)behind,
			(double)behind / ((double)(clock_monotonic_us() - from) / 1e6));
	}
	int64_t position = engine_position(engine);
	engine_stop(&engine);
	began = clock_monotonic_us();
	check(engine_start(&start, &engine, &info), &info, "engine");
	printf("engine: %lld events replayed in %.2f s\n", (long long)position,
		(double)(clock_monotonic_us() - began) / 1e6);
	engine_stop(&engine);
	store_close(&store);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	struct err_info info = {0};
	check(crypto_start(), &info, "crypto");
	sign_keypair(&public, &secret);
	bench_rules();
	bench_engine(false);
	bench_engine(true);
	return 0;
}
