/* carbonctl sign: a verifier's key and its signature over an evidence root, on the verifier's own machine. The pack is
 * verified first: nobody signs what does not hold. What is signed for is printed on standard error, the attestation that the
 * registry takes on standard output. Likewise a statement, by its SHA-256, that an escrow waits for. One thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carbond/base/clock.h"
#include "carbond/base/sign.h"
#include "carbond/market.h"

#include "verify.h"

#define KEY_FORMAT     "carbond/key/1"
#define KEY_BYTES_MAX  4096u
#define PACK_BYTES_MAX (1024u << 20)
#define SIGN_ARENA     (2000u << 20)

struct key_file {
	const char *format;
	struct hash public_key, seed;
};

static const struct field key_file_fields[] = {
	FIELD(struct key_file, format, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40),
	FIELD(struct key_file, public_key, FIELD_HASH, .flags = FIELD_REQUIRED),
	FIELD(struct key_file, seed, FIELD_HASH, .flags = FIELD_REQUIRED), FIELD_END};

/* ---- keygen ---- */

static int print_document(json_t *document)
{
	int failed = !document || json_dumpf(document, stdout, JSON_INDENT(2)) != 0;
	json_decref(document);
	printf("\n");
	return failed ? cli_fail(CLI_REFUSED, "the answer cannot be written") : CLI_OK;
}

/* Made with mode 0600 and never over a file that is there. */
static int write_key(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0)
		return cli_fail(CLI_REFUSED, "%s cannot be made: %s", path, strerror(errno));
	size_t size = strlen(text);
	bool written = write(file, text, size) == (ssize_t)size && fsync(file) == 0;
	if (close(file) != 0 || !written)
		return cli_fail(CLI_REFUSED, "%s cannot be written", path);
	return CLI_OK;
}

static int keygen(const char *path)
{
	uint8_t seed[32];
	struct sign_public public;
	struct sign_secret secret;
	char public_hex[65], seed_hex[65], text[512];
	if (!path)
		return cli_fail(CLI_USAGE, "usage: carbonctl sign keygen FILE");
	random_bytes(seed, sizeof seed);
	sign_keypair_from_seed(seed, &public, &secret);
	sign_wipe(&secret);
	hex_text(public.bytes, sizeof public.bytes, public_hex);
	hex_text(seed, sizeof seed, seed_hex);
	snprintf(text, sizeof text, "{\"format\": \"%s\", \"public_key\": \"%s\", \"seed\": \"%s\"}\n", KEY_FORMAT,
		public_hex, seed_hex);
	int code = write_key(path, text);
	explicit_bzero(seed, sizeof seed);
	explicit_bzero(seed_hex, sizeof seed_hex);
	explicit_bzero(text, sizeof text);
	if (code)
		return code;
	return print_document(json_pack("{s:s}", "key", public_hex));
}

/* ---- sign ---- */

static enum err read_key(const char *path, struct arena *arena, struct sign_public *ret_public,
	struct sign_secret *ret_secret, struct err_info *info)
{
	char *text;
	size_t size;
	json_t *document;
	struct key_file file;
	struct err_info fault = {0};
	enum err err = cli_read_file(arena, path, KEY_BYTES_MAX, &text, &size, &fault);
	if (err == ERR_OK)
		err = document_parse(arena, text, size, &document, &fault);
	if (err == ERR_OK)
		err = field_read(key_file_fields, FIELD_CREATE, document, "", arena, &file, &fault);
	if (err)
		return err_set(info, err, fault.pointer, "%s: %s", path, fault.detail);
	sign_keypair_from_seed(file.seed.bytes, ret_public, ret_secret);
	if (strcmp(file.format, KEY_FORMAT) != 0 ||
		memcmp(ret_public->bytes, file.public_key.bytes, sizeof ret_public->bytes) != 0)
		return err_set(info, ERR_INVALID_FIELD, "", "%s is not a key file of carbonctl sign keygen", path);
	return ERR_OK;
}

static void say_vouches(const struct mrv_pack *pack)
{
	const struct mrv_manifest *manifest = &pack->manifest;
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], root[HASH_TEXT_SIZE], project[ID_TEXT_SIZE];
	int64_t hours = 0;
	for (size_t i = 0; i < manifest->claims.count; i++)
		hours += ((const struct mrv_claim *)manifest->claims.items)[i].hours;
	fprintf(stderr,
		"You vouch for %lld kg CO2e (%s, class %s, vintage %lld), of which %lld kg go to the buffer,\n"
		"measured from %s to %s over %lld claimed meter-hours of project %s,\n"
		"by methodology %s version %lld.\n",
		(long long)manifest->kg, mrv_kinds[manifest->kind], manifest->durability_class,
		(long long)manifest->vintage, (long long)manifest->buffer_kg, clock_text(manifest->from_us, from),
		clock_text(manifest->to_us, to), (long long)hours, id_text(manifest->project_id, project),
		manifest->methodology, (long long)manifest->methodology_version);
	for (size_t i = 0; i < manifest->held.count; i++)
		fprintf(stderr, "It is HELD: %s\n", ((const char *const *)manifest->held.items)[i]);
	fprintf(stderr, "Evidence root %s\n", hash_text(pack->evidence_root, root));
}

static int print_attestation(const struct mrv_pack *pack, const struct sign_secret *secret, const char *verifier)
{
	char root[HASH_TEXT_SIZE], signature_text[96];
	struct signature signature =
		sign_make(secret, MRV_SIGN_DOMAIN, pack->evidence_root.bytes, sizeof pack->evidence_root.bytes);
	json_t *document = json_pack("{s:s, s:s, s:s}", "scheme", mrv_schemes[0], "evidence_root",
		hash_text(pack->evidence_root, root), "signature",
		base64url_text(signature.bytes, sizeof signature.bytes, signature_text));
	if (verifier)
		json_object_set_new(document, "verifier_id", json_string(verifier));
	return print_document(document);
}

static int sign(const char *path, const char *key, const char *verifier)
{
	struct arena *arena = arena_new(SIGN_ARENA);
	struct sign_public public;
	struct sign_secret secret;
	struct mrv_pack pack;
	struct err_info info = {0};
	struct id id;
	char *data;
	size_t size;
	int code = CLI_USAGE;
	if (!arena)
		return cli_fail(CLI_REFUSED, "out of memory");
	if (verifier && id_parse(verifier, &id) != ERR_OK)
		code = cli_fail(CLI_USAGE, "--verifier takes the verifier's id, a UUID");
	else if (read_key(key, arena, &public, &secret, &info) != ERR_OK ||
		 cli_read_file(arena, path, PACK_BYTES_MAX, &data, &size, &info) != ERR_OK)
		code = cli_fail_info(CLI_USAGE, &info);
	else if (mrv_verify_pack((const uint8_t *)data, size, NULL, arena, &pack, &info) != ERR_OK)
		code = cli_fail(CLI_VERIFY_FAILED, "%s: %s: it is not signed", info.pointer, info.detail);
	else {
		say_vouches(&pack);
		code = print_attestation(&pack, &secret, verifier);
	}
	sign_wipe(&secret);
	arena_free(&arena);
	return code;
}

/* ---- a statement that an escrow waits for ---- */

static int print_statement(
	struct id escrow, struct hash statement, const struct sign_secret *secret, const char *verifier)
{
	char hex[HASH_TEXT_SIZE], signature_text[96];
	struct {
		struct id escrow;
		struct hash statement;
	} data = {escrow, statement};
	struct signature signature = sign_make(secret, MARKET_ESCROW_DOMAIN, &data, sizeof data);
	json_t *document = json_pack("{s:s, s:s}", "statement", hash_text(statement, hex), "signature",
		base64url_text(signature.bytes, sizeof signature.bytes, signature_text));
	if (verifier)
		json_object_set_new(document, "verifier_id", json_string(verifier));
	return print_document(document);
}

static int sign_statement(const char *path, const char *key, const char *escrow, const char *verifier)
{
	struct arena *arena = arena_new(SIGN_ARENA);
	struct sign_public public;
	struct sign_secret secret = {0};
	struct err_info info = {0};
	struct id escrow_id, verifier_id;
	char hex[HASH_TEXT_SIZE], *data;
	size_t size;
	int code = CLI_USAGE;
	if (!arena)
		return cli_fail(CLI_REFUSED, "out of memory");
	if (id_parse(escrow, &escrow_id) != ERR_OK || (verifier && id_parse(verifier, &verifier_id) != ERR_OK))
		code = cli_fail(CLI_USAGE, "--escrow and --verifier take ids, UUIDs");
	else if (read_key(key, arena, &public, &secret, &info) != ERR_OK ||
		 cli_read_file(arena, path, PACK_BYTES_MAX, &data, &size, &info) != ERR_OK)
		code = cli_fail_info(CLI_USAGE, &info);
	else {
		struct hash statement = sha256_of(NULL, data, size);
		fprintf(stderr, "You vouch for the statement %s (SHA-256 %s)\nas the condition of escrow %s.\n", path,
			hash_text(statement, hex), escrow);
		code = print_statement(escrow_id, statement, &secret, verifier);
	}
	sign_wipe(&secret);
	arena_free(&arena);
	return code;
}

int cli_sign(int argc, char **argv)
{
	const struct cli_option *words = cli_command_find("sign", NULL)->options;
	const char *first = cli_positional(argc, argv, words, 0);
	const char *key = cli_option(argc, argv, "key");
	if (first && strcmp(first, "keygen") == 0)
		return keygen(cli_positional(argc, argv, words, 1));
	if (!first || !key)
		return cli_fail(CLI_USAGE,
			"usage: carbonctl sign PACK.tar --key FILE [--verifier ID] | sign STATEMENT --escrow "
			"ID --key FILE [--verifier ID] | sign keygen FILE");
	if (cli_option(argc, argv, "escrow"))
		return sign_statement(first, key, cli_option(argc, argv, "escrow"), cli_option(argc, argv, "verifier"));
	return sign(first, key, cli_option(argc, argv, "verifier"));
}
