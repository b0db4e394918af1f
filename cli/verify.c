/* carbonctl verify: recomputes an evidence pack from its own bytes, offline, and says PASS or FAIL for each step with the
 * first item that differs. mrv checks what a pack is; here come the steps that need other rooms: the issue record's
 * layout (events), serial numbers and issuance id (registry). One thread. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/events.h"
#include "carbond/registry.h"

#include "verify.h"

#define VERIFY_ARENA_BYTES (2000u << 20)
#define TRUST_BYTES_MAX    (1u << 20)

/* ---- the list of steps ---- */

struct verify_list {
	FILE *out;
	json_t *steps; /* NULL: lines are printed as they come */
	bool lost;     /* no memory for a step */
};

struct verify_list *verify_begin(const struct verify_options *options)
{
	struct verify_list *list = calloc(1, sizeof *list);
	if (list) {
		list->out = options->out;
		list->steps = options->json ? json_array() : NULL;
		list->lost = options->json && !list->steps;
	}
	return list;
}

void verify_step(struct verify_list *list, const struct mrv_step *step)
{
	static const char *const words[] = {[MRV_PASS] = "PASS", [MRV_FAIL] = "FAIL", [MRV_SKIP] = "SKIP"};
	if (list->steps)
		list->lost |= json_array_append_new(list->steps,
				      json_pack("{s:s, s:s, s:s, s:s}", "step", step->name, "verdict",
					      words[step->verdict], "item", step->item, "detail", step->detail)) != 0;
	else if (step->verdict == MRV_FAIL)
		fprintf(list->out, "FAIL  %-11s %s: %s\n", step->name, step->item, step->detail);
	else
		fprintf(list->out, "%s  %-11s %s\n", words[step->verdict], step->name, step->detail);
}

int verify_end(struct verify_list **list, enum err err, bool is_trusted)
{
	struct verify_list *old = *list;
	int code = err ? CLI_VERIFY_FAILED : is_trusted ? CLI_OK : CLI_SIGNERS_UNTRUSTED;
	const char *verdict = err ? "FAIL" : is_trusted ? "PASS" : "CONSISTENT, SIGNERS UNTRUSTED";
	*list = NULL;
	if (!old || old->lost || err == ERR_NO_MEMORY) { /* which says nothing of what was to be verified */
		code = cli_fail(CLI_REFUSED, "not verified: out of memory");
	} else if (old->steps) {
		json_t *document =
			json_pack("{s:s, s:i, s:O}", "verdict", verdict, "exit_code", code, "steps", old->steps);
		if (!document || json_dumpf(document, old->out, JSON_INDENT(2)) != 0)
			code = cli_fail(CLI_REFUSED, "not verified: out of memory");
		fprintf(old->out, "\n");
		json_decref(document);
	} else {
		fprintf(old->out, "%s\n", verdict);
	}
	if (old)
		json_decref(old->steps);
	free(old);
	return code;
}

static void take_step(void *context, const struct mrv_step *step)
{
	verify_step(context, step);
}

/* ---- steps of other rooms ---- */

struct record_check {
	const struct mrv_pack *pack;
	struct event event;
	struct event_scratch *scratch;
	struct id registry;
};

static bool same_code(const char *text, const char *expected)
{
	return strcmp(text, expected) == 0;
}

static enum err fail(struct err_info *info, const char *item, const char *detail)
{
	return err_set(info, ERR_PACK_INVALID, item, "%s", detail);
}

/* The journal's record is the issue of exactly what the manifest vouches for. */
static enum err check_record(struct record_check *check, struct err_info *info)
{
	const struct mrv_issue *issue = &check->pack->issue;
	const struct mrv_manifest *manifest = &check->pack->manifest;
	const struct event_batch_issued *said = &check->event.batch_issued;
	struct err_info fault = {0};
	size_t length;
	enum err err =
		event_decode(issue->record.data, issue->record.size, check->scratch, &check->event, &length, &fault);
	if (err || length != issue->record.size || check->event.header.type != EVENT_BATCH_ISSUED)
		return fail(info, "attachments/issue.json", err ? fault.detail : "the record is not that of an issue");
	if (!id_equal(said->period, manifest->id) || !id_equal(said->org, manifest->org_id) ||
		!hash_equal(said->evidence_root, check->pack->evidence_root))
		return fail(info, "attachments/issue.json", "the record issues another submission");
	if (said->kg != manifest->kg || said->buffer_kg != manifest->buffer_kg ||
		said->slot != (uint64_t)manifest->slot || said->vintage != (uint64_t)manifest->vintage ||
		!same_code(event_credit_kind_names[said->kind], mrv_kinds[manifest->kind]) ||
		!same_code(event_durability_names[said->durability], manifest->durability_class))
		return fail(info, "attachments/issue.json", "the record issues other kilograms than the manifest has");
	if ((int64_t)said->batch != issue->batch || check->event.header.time_us != issue->issued_us ||
		(int64_t)check->event.header.number != issue->index + 1)
		return fail(info, "attachments/issue.json", "batch number, time or position are not the record's");
	return ERR_OK;
}

static enum err check_claims(struct record_check *check, struct err_info *info)
{
	const struct mrv_manifest *manifest = &check->pack->manifest;
	const struct mrv_claim *claims = manifest->claims.items;
	const struct record_lists *lists = &check->event.lists;
	if (lists->run_count != manifest->claims.count)
		return fail(info, "attachments/issue.json", "the record claims other hours than the manifest");
	for (size_t i = 0; i < manifest->claims.count; i++) {
		bool found = false;
		for (size_t r = 0; r < lists->run_count; r++)
			found |= id_equal(lists->runs[r].point, claims[i].point_id) &&
				 lists->runs[r].first_hour == (uint64_t)claims[i].first_hour &&
				 lists->runs[r].hours == (uint64_t)claims[i].hours &&
				 lists->runs[r].slot == (uint64_t)claims[i].slot;
		if (!found)
			return fail(info, "attachments/issue.json", "the record claims other hours than the manifest");
	}
	return ERR_OK;
}

static enum err check_serials(struct record_check *check, struct err_info *info)
{
	const struct mrv_manifest *manifest = &check->pack->manifest;
	const struct mrv_issue *issue = &check->pack->issue;
	struct serial serial;
	struct err_info fault = {0};
	if (serial_parse(issue->serials, &serial, &fault) != ERR_OK)
		return fail(info, "attachments/issue.json /serials", fault.detail);
	if (!same_code(serial.country, manifest->country) || !same_code(serial.unit, manifest->unit_code) ||
		!same_code(serial.methodology, manifest->methodology) || serial.vintage != manifest->vintage ||
		(int64_t)serial.range.batch != issue->batch || serial.range.start != 0 ||
		serial.range.length != manifest->kg)
		return fail(info, "attachments/issue.json /serials", "the serial numbers are not those of this batch");
	return ERR_OK;
}

static enum err check_issuance(struct record_check *check, struct err_info *info)
{
	struct hash expected = registry_issuance_id(check->registry, check->pack->evidence_root);
	if (!hash_equal(expected, check->event.batch_issued.issuance_id))
		return fail(info, "attachments/issue.json", "the issuance id is not that of this registry and root");
	return ERR_OK;
}

static const struct issue_step {
	const char *name, *passed;
	bool needs_registry;
	enum err (*run)(struct record_check *check, struct err_info *info);
} issue_steps[] = {
	{"record", "the journal issued what the manifest vouches for", false, check_record},
	{"hours", "the journal claimed the manifest's hours", false, check_claims},
	{"serials", "the serial numbers are those of the batch, check digits right", false, check_serials},
	{"issuance", "the issuance id is made of this registry and root", true, check_issuance},
};

static enum err run_issue_steps(
	struct verify_list *list, const struct mrv_pack *pack, struct id registry, struct arena *arena)
{
	struct record_check check = {
		.pack = pack, .registry = registry, .scratch = ARENA_NEW(arena, struct event_scratch)};
	enum err err = check.scratch ? ERR_OK : ERR_NO_MEMORY;
	for (size_t i = 0; err == ERR_OK && i < sizeof issue_steps / sizeof *issue_steps; i++) {
		struct mrv_step step = {.name = issue_steps[i].name};
		struct err_info fault = {0};
		bool skip = !pack->issued || (issue_steps[i].needs_registry && id_is_none(registry));
		if (!skip)
			err = issue_steps[i].run(&check, &fault);
		step.verdict = skip ? MRV_SKIP : err ? MRV_FAIL : MRV_PASS;
		snprintf(step.item, sizeof step.item, "%s", fault.pointer);
		snprintf(step.detail, sizeof step.detail, "%s",
			skip  ? pack->issued ? "name the registry with --registry to check it" : "it is not issued yet"
			: err ? fault.detail
			      : issue_steps[i].passed);
		verify_step(list, &step);
	}
	return err;
}

/* ---- the pack ---- */

/* The quorum of distinct organisations whose keys the reader trusts; and, once issued, the checkpoint's key. */
static bool is_trusted(const struct mrv_pack *pack)
{
	return (int64_t)pack->trusted_verifiers >= pack->manifest.quorum && (!pack->issued || pack->checkpoint_trusted);
}

static void say_what(FILE *out, const struct mrv_pack *pack)
{
	const struct mrv_manifest *manifest = &pack->manifest;
	char root[HASH_TEXT_SIZE], from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
	fprintf(out, "      %lld kg %s, vintage %lld, %s to %s, methodology %s version %lld\n", (long long)manifest->kg,
		mrv_kinds[manifest->kind], (long long)manifest->vintage, clock_text(manifest->from_us, from),
		clock_text(manifest->to_us, to), manifest->methodology, (long long)manifest->methodology_version);
	fprintf(out, "      buffer %lld kg, supplier %lld kg, %zu of %lld signatures trusted, evidence root %s\n",
		(long long)manifest->buffer_kg, (long long)manifest->supplier_kg, pack->trusted_verifiers,
		(long long)manifest->quorum, hash_text(pack->evidence_root, root));
	if (pack->issued)
		fprintf(out, "      batch %lld, serial numbers %s\n", (long long)pack->issue.batch,
			pack->issue.serials);
}

int verify_pack(const uint8_t *data, size_t size, const struct verify_options *options)
{
	struct arena *arena = arena_new(VERIFY_ARENA_BYTES);
	struct verify_list *list = verify_begin(options);
	struct mrv_pack *pack = arena ? ARENA_NEW(arena, struct mrv_pack) : NULL;
	struct mrv_check_options checks = {
		.trust = options->trust, .trust_count = options->trust_count, .step = take_step, .context = list};
	struct err_info info = {0};
	enum err err = list && pack ? mrv_verify_pack(data, size, &checks, arena, pack, &info) : ERR_NO_MEMORY;
	if (err == ERR_OK)
		err = run_issue_steps(list, pack, options->registry, arena);
	if (err == ERR_OK && !options->json)
		say_what(options->out, pack);
	int code = verify_end(&list, err, err == ERR_OK && is_trusted(pack));
	arena_free(&arena);
	return code;
}

/* ---- the command ---- */

struct mapping {
	uint8_t *data;
	size_t size;
};

static enum err map_file(const char *path, struct mapping *ret_mapping, struct err_info *info)
{
	struct stat stat;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return err_set(info, ERR_NOT_FOUND, "", "%s cannot be opened", path);
	if (fstat(file, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size == 0) {
		close(file);
		return err_set(info, ERR_IO, "", "%s is not a file with content", path);
	}
	void *data = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	close(file);
	if (data == MAP_FAILED)
		return err_set(info, ERR_IO, "", "%s cannot be read", path);
	*ret_mapping = (struct mapping){data, (size_t)stat.st_size};
	return ERR_OK;
}

static enum err read_trust(const char *path, struct arena *arena, struct verify_options *options, struct err_info *info)
{
	char *text;
	size_t size, count = 0;
	json_t *document;
	struct mrv_trust_key *keys = NULL;
	struct err_info fault = {0};
	enum err err = cli_read_file(arena, path, TRUST_BYTES_MAX, &text, &size, &fault);
	if (err == ERR_OK)
		err = document_parse(arena, text, size, &document, &fault);
	if (err == ERR_OK)
		err = mrv_trust_parse(document, arena, &keys, &count, &fault);
	if (err)
		return err_set(info, err, fault.pointer, "%s: %s", path, fault.detail);
	options->trust = keys;
	options->trust_count = count;
	return ERR_OK;
}

static int run_chain(const char *path, const struct verify_options *options)
{
	struct err_info info = {0};
	struct mapping file;
	if (map_file(path, &file, &info) != ERR_OK)
		return cli_fail_info(CLI_USAGE, &info);
	int code = verify_chain((const char *)file.data, file.size, options);
	munmap(file.data, file.size);
	return code;
}

static int run_journal(
	const char *path, const char *state_hash, const struct verify_options *options, struct arena *arena)
{
	struct err_info info = {0};
	struct hash expected = {{0}};
	struct mapping file;
	if (state_hash && hash_parse(state_hash, &expected) != ERR_OK)
		return cli_fail(CLI_USAGE, "--state-hash takes 64 hexadecimal digits");
	(void)arena;
	if (map_file(path, &file, &info) != ERR_OK)
		return cli_fail_info(CLI_USAGE, &info);
	int code = verify_journal((const char *)file.data, file.size, expected, options);
	munmap(file.data, file.size);
	return code;
}

int cli_verify(int argc, char **argv)
{
	struct arena *arena = arena_new(0);
	struct verify_options options = {.json = cli_settings()->json, .out = stdout};
	struct err_info info = {0};
	struct mapping file;
	const char *path = cli_positional(argc, argv, cli_command_find("verify", NULL)->options, 0),
		   *trust = cli_option(argc, argv, "trust");
	const char *registry = cli_option(argc, argv, "registry");
	int code = CLI_USAGE;
	if (!arena)
		return cli_fail(CLI_REFUSED, "out of memory");
	if (!path)
		code = cli_fail(CLI_USAGE, "usage: carbonctl verify PACK.tar --trust KEYS.json | verify --journal FILE "
					   "| verify --chain FILE");
	else if (registry && id_parse(registry, &options.registry) != ERR_OK)
		code = cli_fail(CLI_USAGE, "--registry takes the registry's id, a UUID");
	else if (trust && read_trust(trust, arena, &options, &info) != ERR_OK)
		code = cli_fail_info(CLI_USAGE, &info);
	else if (cli_flag(argc, argv, "chain"))
		code = run_chain(path, &options);
	else if (cli_flag(argc, argv, "journal"))
		code = run_journal(path, cli_option(argc, argv, "state-hash"), &options, arena);
	else if (map_file(path, &file, &info) != ERR_OK)
		code = cli_fail_info(CLI_USAGE, &info);
	else {
		code = verify_pack(file.data, file.size, &options);
		munmap(file.data, file.size);
	}
	arena_free(&arena);
	return code;
}
