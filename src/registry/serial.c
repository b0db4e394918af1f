/* Decides how a serial number reads, and which texts are one. Also the identities made from bytes: issuanceId and the guard
 * key of a claim. Any thread. */
#include "carbond/registry.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "CCN1"

/* ISO 7064 mod 97-10 over the text written as two digits a character: 0-9 as 00..09, letters as 10..35, '-' as 36 and '.'
 * as 37. With two digits each, any one changed character and any two exchanged neighbours are found. */
static unsigned check_digits(const char *text, size_t length)
{
	unsigned remainder = 0;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		int value = c == '-' ? 36 : c == '.' ? 37 : c >= 'A' ? c - 'A' + 10 : c - '0';
		remainder = (remainder * 100 + (unsigned)value) % 97;
	}
	return 98 - remainder * 100 % 97;
}

static bool part_is_clean(const char *text, size_t most)
{
	size_t length = strlen(text);
	if (length == 0 || length > most)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'A' && text[i] <= 'Z'))
			return false;
	return true;
}

static bool country_is_clean(const char *text)
{
	return strlen(text) == 2 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' && text[1] <= 'Z';
}

enum err serial_text(const struct serial *serial, char ret_text[SERIAL_TEXT_SIZE])
{
	const struct serial_range *range = &serial->range;
	if (!country_is_clean(serial->country) || !part_is_clean(serial->unit, 16) ||
		!part_is_clean(serial->methodology, 16) || serial->vintage < 1970 || serial->vintage > 9999 ||
		range->batch == 0 || range->batch > INT64_MAX || range->start < 0 || range->length <= 0 ||
		range->start > INT64_MAX - range->length)
		return ERR_INVALID_FIELD;
	int length = snprintf(ret_text, SERIAL_TEXT_SIZE, PREFIX "-%s-%s-%s-%d-%llu-%lld.%lld", serial->country,
		serial->unit, serial->methodology, serial->vintage, (unsigned long long)range->batch,
		(long long)range->start, (long long)range->length);
	snprintf(ret_text + length, SERIAL_TEXT_SIZE - (size_t)length, "-%02u", check_digits(ret_text, (size_t)length));
	return ERR_OK;
}

/* A decimal without sign and leading zeros that ends at `*end`; false beyond int64. */
static bool number_parse(const char *text, const char *end, int64_t *ret_number)
{
	if (text == end || (*text == '0' && end - text > 1))
		return false;
	int64_t number = 0;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || number > (INT64_MAX - (*text - '0')) / 10)
			return false;
		number = number * 10 + (*text - '0');
	}
	*ret_number = number;
	return true;
}

#define PARTS 8 /* CCN1, country, unit, methodology, vintage, batch, start.length, check */

static bool parts_split(const char *text, const char *starts[PARTS], const char *ends[PARTS])
{
	for (int part = 0; part < PARTS; part++) {
		const char *end = strchrnul(text, '-');
		starts[part] = text;
		ends[part] = end;
		if ((*end == 0) != (part == PARTS - 1))
			return false;
		text = end + 1;
	}
	return true;
}

static bool part_copy(const char *start, const char *end, char *ret_text, size_t size)
{
	size_t length = (size_t)(end - start);
	if (length == 0 || length >= size)
		return false;
	memcpy(ret_text, start, length);
	ret_text[length] = 0;
	return true;
}

enum err serial_parse(const char *text, struct serial *ret_serial, struct err_info *info)
{
	const char *starts[PARTS], *ends[PARTS];
	struct serial serial = {0};
	int64_t vintage = 0, batch = 0;
	if (strnlen(text, SERIAL_TEXT_SIZE) == SERIAL_TEXT_SIZE || !parts_split(text, starts, ends))
		goto malformed;
	const char *dot = memchr(starts[6], '.', (size_t)(ends[6] - starts[6]));
	if (ends[0] - starts[0] != 4 || memcmp(text, PREFIX, 4) != 0 || !dot ||
		!part_copy(starts[1], ends[1], serial.country, sizeof serial.country) ||
		!country_is_clean(serial.country) || !part_copy(starts[2], ends[2], serial.unit, sizeof serial.unit) ||
		!part_is_clean(serial.unit, 16) ||
		!part_copy(starts[3], ends[3], serial.methodology, sizeof serial.methodology) ||
		!part_is_clean(serial.methodology, 16) || !number_parse(starts[4], ends[4], &vintage) ||
		vintage < 1970 || vintage > 9999 || !number_parse(starts[5], ends[5], &batch) || batch == 0 ||
		!number_parse(starts[6], dot, &serial.range.start) ||
		!number_parse(dot + 1, ends[6], &serial.range.length) || serial.range.length == 0 ||
		serial.range.start > INT64_MAX - serial.range.length || ends[7] - starts[7] != 2 ||
		!isdigit((unsigned char)starts[7][0]) || !isdigit((unsigned char)starts[7][1]))
		goto malformed;
	unsigned check = (unsigned)(starts[7][0] - '0') * 10 + (unsigned)(starts[7][1] - '0');
	if (check != check_digits(text, (size_t)(ends[6] - text)))
		return err_set(info, ERR_SERIAL_INVALID, "", "the check digits do not fit: a character is wrong");
	serial.vintage = (int)vintage;
	serial.range.batch = (uint64_t)batch;
	*ret_serial = serial;
	return ERR_OK;
malformed:
	return err_set(info, ERR_SERIAL_INVALID, "",
		"a serial reads " PREFIX "-<country>-<unit>-<methodology>-<vintage>-<batch>-<start>.<length>-<check>");
}

struct hash registry_issuance_id(struct id registry, struct hash evidence_root)
{
	static const char domain[] = "carbond/issuance/1";
	uint8_t data[sizeof domain + sizeof registry + sizeof evidence_root];
	memcpy(data, domain, sizeof domain); /* the closing zero separates */
	memcpy(data + sizeof domain, &registry, sizeof registry);
	memcpy(data + sizeof domain + sizeof registry, &evidence_root, sizeof evidence_root);
	return keccak256_of(data, sizeof data);
}

static void put_be32(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 24);
	out[1] = (uint8_t)(value >> 16);
	out[2] = (uint8_t)(value >> 8);
	out[3] = (uint8_t)value;
}

void registry_claim_key(struct id point, uint32_t hour, uint32_t slot, uint8_t ret_key[REGISTRY_CLAIM_KEY_SIZE])
{
	memcpy(ret_key, "claim", 5);
	memcpy(ret_key + 5, &point, sizeof point);
	put_be32(ret_key + 21, hour);
	put_be32(ret_key + 25, slot);
}

/* ---- numbers of other registries ---- */

struct id registry_origin_line(struct code16 origin, struct code32 series)
{
	uint8_t data[sizeof origin + sizeof series];
	struct id line;
	memcpy(data, &origin, sizeof origin);
	memcpy(data + sizeof origin, &series, sizeof series);
	struct hash hash = sha256_of("carbond/origin/1", data, sizeof data);
	memcpy(&line, &hash, sizeof line);
	return line;
}

size_t registry_origin_key(
	struct id line, uint32_t low, uint32_t high, uint32_t previous, uint8_t ret_key[REGISTRY_ORIGIN_KEY_SIZE])
{
	memcpy(ret_key, "origin", 6);
	memcpy(ret_key + 6, &line, sizeof line);
	put_be32(ret_key + 22, low);
	put_be32(ret_key + 26, high);
	if (!previous)
		return REGISTRY_ORIGIN_KEY_SIZE - sizeof previous;
	put_be32(ret_key + 30, previous);
	return REGISTRY_ORIGIN_KEY_SIZE;
}

struct hash registry_import_root(struct hash evidence_hash, const struct claim_run *runs, size_t count)
{
	struct sha256 sha;
	sha256_start(&sha, "carbond/import/1");
	sha256_add(&sha, &evidence_hash, sizeof evidence_hash);
	for (size_t i = 0; i < count; i++) {
		sha256_add(&sha, &runs[i].point, sizeof runs[i].point);
		sha256_add_u64(&sha, runs[i].first_hour);
		sha256_add_u64(&sha, runs[i].slot);
		sha256_add_u64(&sha, runs[i].hours);
		if (runs[i].previous)
			sha256_add_u64(&sha, runs[i].previous);
	}
	return sha256_end(&sha);
}
