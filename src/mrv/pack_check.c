/* Packs, the checking side: every step that needs nothing but the pack and, for trust, a list of keys. The archive must be
 * the one that our writer makes from its contents; each document must be canonical; kilograms are computed again from the
 * buckets. A failing step names the first item that differs. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { WORK_ARENA_BYTES = 128 << 20 };

static const char core_prefix[] = "core/", bucket_prefix[] = "core/buckets/", sums_path[] = "SHA256SUMS";

/* In the order that they stand in. */
static const char *const attachment_paths[] = {
	"attachments/evidence-root.json", "attachments/issue.json", "attachments/signatures.json", NULL};

struct check {
	const uint8_t *data;
	size_t size;
	const struct mrv_check_options *options;
	struct arena *arena;
	struct arena *work; /* of one item at a time */
	struct mrv_pack *pack;
	struct tar_entry *entries;
	size_t entry_count, bucket_count, core_count;
	struct mrv_case the_case;
};

static enum err refuse(struct err_info *info, const char *item, const char *detail)
{
	return err_set(info, ERR_PACK_INVALID, item, "%s", detail);
}

/* The item's fault, unless it was memory that ended: that says nothing of the pack. */
static enum err refuse_for(enum err why, struct err_info *info, const char *item, const char *detail)
{
	return why == ERR_NO_MEMORY ? err_set(info, why, item, "no memory to check it") : refuse(info, item, detail);
}

/* ---- entries ---- */

static int compare_entry(const void *key, const void *entry)
{
	return strcmp(key, ((const struct tar_entry *)entry)->path);
}

static const struct tar_entry *find(const struct check *check, const char *path)
{
	for (size_t i = check->bucket_count; i < check->entry_count; i++)
		if (strcmp(check->entries[i].path, path) == 0)
			return &check->entries[i];
	return NULL;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Core entries rising, then attachments rising, then the sums: one order. */
static enum err check_order(struct check *check, struct err_info *info)
{
	size_t i = 0;
	for (; i < check->entry_count && has_prefix(check->entries[i].path, core_prefix); i++) {
		if (i > 0 && strcmp(check->entries[i - 1].path, check->entries[i].path) >= 0)
			return refuse(info, check->entries[i].path, "the core's entries are not in rising order");
		check->bucket_count += has_prefix(check->entries[i].path, bucket_prefix);
	}
	check->core_count = i;
	for (size_t next = 0; i + 1 < check->entry_count; i++) {
		while (attachment_paths[next] && strcmp(attachment_paths[next], check->entries[i].path) != 0)
			next++;
		if (!attachment_paths[next++])
			return refuse(info, check->entries[i].path, "this entry does not belong here");
	}
	if (check->entry_count == 0 || i != check->entry_count - 1 || strcmp(check->entries[i].path, sums_path) != 0)
		return refuse(info, sums_path, "the archive must end with SHA256SUMS");
	return ERR_OK;
}

static enum err check_archive(struct check *check, struct err_info *info)
{
	if (check->size > (size_t)MRV_PACK_BYTES_MAX)
		return refuse(info, "archive", "the archive is larger than any pack");
	enum err err = tar_read(check->data, check->size, check->arena, &check->entries, &check->entry_count, info);
	return err ? err : check_order(check, info);
}

static enum err check_sums(struct check *check, struct err_info *info)
{
	const struct tar_entry *sums = &check->entries[check->entry_count - 1];
	size_t at = 0;
	for (size_t i = 0; i + 1 < check->entry_count; i++) {
		char line[HASH_TEXT_SIZE + TAR_PATH_MAX + 4], hex[HASH_TEXT_SIZE];
		struct hash content = sha256_of(NULL, check->entries[i].data, check->entries[i].size);
		size_t size = (size_t)snprintf(
			line, sizeof line, "%s  %s\n", hash_text(content, hex), check->entries[i].path);
		if (size > sums->size - at || memcmp(sums->data + at, line, size) != 0)
			return refuse(info, check->entries[i].path,
				"the entry does not have the SHA-256 that SHA256SUMS says");
		at += size;
	}
	return at == sums->size ? ERR_OK : refuse(info, sums_path, "SHA256SUMS lists more than there is");
}

/* Reads an entry that must be canonical JSON. */
static enum err read_document(struct check *check, const char *path, json_t **ret_document, struct err_info *info)
{
	const struct tar_entry *entry = find(check, path);
	struct err_info fault = {0};
	char *text;
	size_t size;
	if (!entry)
		return refuse(info, path, "the entry is missing");
	enum err err = document_parse(check->arena, (const char *)entry->data, entry->size, ret_document, &fault);
	if (err)
		return refuse_for(err, info, path, fault.detail);
	err = document_canonical(check->arena, *ret_document, &text, &size);
	if (err || size != entry->size || memcmp(text, entry->data, size) != 0)
		return refuse_for(err, info, path, "the document is not in canonical form (RFC 8785)");
	return ERR_OK;
}

static enum err check_root(struct check *check, struct err_info *info)
{
	struct merkle_edge edge = {0};
	struct hash stated;
	json_t *document;
	for (size_t i = 0; i < check->core_count; i++)
		merkle_add(&edge, pack_leaf(check->entries[i].path,
					  sha256_of(NULL, check->entries[i].data, check->entries[i].size)));
	check->pack->evidence_root = merkle_edge_root(&edge);
	enum err err = read_document(check, attachment_paths[0], &document, info);
	if (err)
		return err;
	const char *text = json_string_value(json_object_get(document, "evidence_root"));
	if (!text || json_object_size(document) != 1 || hash_parse(text, &stated) != ERR_OK ||
		!hash_equal(stated, check->pack->evidence_root))
		return refuse(info, attachment_paths[0], "the core's Merkle root is another one");
	return ERR_OK;
}

/* ---- documents ---- */

/* A document that has exactly the rows' members, so that nothing unread rides under the root. */
static enum err read_row(
	struct check *check, const char *path, const struct field *fields, void *ret_row, struct err_info *info)
{
	json_t *document;
	struct err_info fault = {0};
	enum err err = read_document(check, path, &document, info);
	if (err)
		return err;
	err = field_read(fields, FIELD_CREATE, document, "", check->arena, ret_row, &fault);
	if (err)
		return refuse_for(err, info, path, fault.detail);
	json_t *again = document_own(check->arena, field_write(fields, ret_row));
	if (!again)
		return err_set(info, ERR_NO_MEMORY, path, "no memory to check it");
	return json_equal(again, document)
		       ? ERR_OK
		       : refuse(info, path, "the document says something that its form does not know");
}

static enum err check_manifest(struct check *check, struct err_info *info)
{
	const struct mrv_manifest *manifest = &check->pack->manifest;
	enum err err = read_row(check, "core/manifest.json", mrv_manifest_fields, &check->pack->manifest, info);
	if (err)
		return err;
	if (manifest->kg != manifest->buffer_kg + manifest->supplier_kg)
		return refuse(info, "core/manifest.json", "buffer_kg and supplier_kg do not add up to kg");
	if ((manifest->slot == 0) != (manifest->earlier.count == 0))
		return refuse(info, "core/manifest.json", "a first batch names no earlier ones, a further one does");
	return ERR_OK;
}

struct lists {
	struct field_list points, sensors, calibrations, overlays;
};

static const struct field sensors_fields[] = {FIELD(struct lists, points, FIELD_LIST, .min = 0, .max = POINTS_MAX,
						      .table = mrv_point_fields, .item_size = sizeof(struct mrv_point)),
	FIELD(struct lists, sensors, FIELD_LIST, .min = 0, .max = SENSORS_MAX, .table = mrv_sensor_fields,
		.item_size = sizeof(struct mrv_sensor)),
	FIELD_END};
static const struct field calibrations_fields[] = {
	FIELD(struct lists, calibrations, FIELD_LIST, .min = 0, .max = CALIBRATIONS_MAX,
		.table = mrv_calibration_fields, .item_size = sizeof(struct mrv_calibration)),
	FIELD_END};
static const struct field overlays_fields[] = {
	FIELD(struct lists, overlays, FIELD_LIST, .min = 0, .max = OVERLAYS_MAX, .table = mrv_overlay_fields,
		.item_size = sizeof(struct mrv_overlay)),
	FIELD_END};

static enum err read_case(struct check *check, struct err_info *info)
{
	struct mrv_case *the_case = &check->the_case;
	struct lists lists = {0};
	enum err err = read_row(check, "core/project.json", mrv_project_fields, &the_case->project, info);
	if (err == ERR_OK)
		err = read_row(check, "core/sensors.json", sensors_fields, &lists, info);
	if (err == ERR_OK)
		err = read_row(check, "core/calibrations.json", calibrations_fields, &lists, info);
	if (err == ERR_OK)
		err = read_row(check, "core/overlays.json", overlays_fields, &lists, info);
	the_case->points = lists.points.items;
	the_case->point_count = lists.points.count;
	the_case->sensors = lists.sensors.items;
	the_case->sensor_count = lists.sensors.count;
	the_case->calibrations = lists.calibrations.items;
	the_case->calibration_count = lists.calibrations.count;
	the_case->overlays = lists.overlays.items;
	the_case->overlay_count = lists.overlays.count;
	the_case->from_us = check->pack->manifest.from_us;
	the_case->to_us = check->pack->manifest.to_us;
	return err;
}

/* The manifest repeats what the project says; they must agree. */
static enum err check_agreement(const struct check *check, struct err_info *info)
{
	const struct mrv_manifest *manifest = &check->pack->manifest;
	const struct mrv_project *project = &check->the_case.project;
	const struct mrv_terms *terms = mrv_methodology_terms(check->the_case.methodology);
	if (!hash_equal(manifest->methodology_hash, terms->hash) || strcmp(manifest->methodology, terms->code) != 0 ||
		manifest->methodology_version != terms->version || manifest->quorum != terms->quorum ||
		strcmp(project->methodology, terms->code) != 0 || project->methodology_version != terms->version)
		return refuse(info, "core/methodology.json", "the manifest vouches for another methodology");
	if (!hash_equal(manifest->factors_hash, mrv_factors_terms(check->the_case.factors)->hash))
		return refuse(info, "core/factors.json", "the manifest vouches for another factor set");
	if (!id_equal(manifest->project_id, project->id) || !id_equal(manifest->org_id, project->org_id) ||
		!id_equal(manifest->unit_id, project->unit_id) || manifest->kind != project->kind ||
		manifest->risk_score != project->risk_score || strcmp(manifest->unit_code, project->unit_code) != 0 ||
		strcmp(manifest->country, project->country) != 0 ||
		strcmp(manifest->durability_class, project->durability_class) != 0)
		return refuse(info, "core/project.json", "the manifest vouches for another project");
	return ERR_OK;
}

static enum err check_documents(struct check *check, struct err_info *info)
{
	struct err_info fault = {0};
	char detail[sizeof fault.pointer + sizeof fault.detail + 2];
	json_t *document;
	enum err parsed, err = read_case(check, info);
	if (err == ERR_OK)
		err = read_document(check, "core/methodology.json", &document, info);
	if (err)
		return err;
	parsed = mrv_methodology_parse(document, check->arena, &check->the_case.methodology, &fault);
	snprintf(detail, sizeof detail, "%s: %s", fault.pointer, fault.detail);
	if (parsed)
		return refuse_for(parsed, info, "core/methodology.json", detail);
	err = read_document(check, "core/factors.json", &document, info);
	if (err)
		return err;
	parsed = mrv_factors_parse(document, check->arena, &check->the_case.factors, &fault);
	snprintf(detail, sizeof detail, "%s: %s", fault.pointer, fault.detail);
	if (parsed)
		return refuse_for(parsed, info, "core/factors.json", detail);
	check->pack->methodology = check->the_case.methodology;
	/* what nothing reads would be vouched for unseen */
	static const char *const known[] = {"core/calibrations.json", "core/factors.json", "core/hours.csv",
		"core/manifest.json", "core/methodology.json", "core/overlays.json", "core/project.json",
		"core/result.json", "core/sensors.json"};
	size_t count = sizeof known / sizeof *known;
	for (size_t i = 0; i < count || i < check->core_count - check->bucket_count; i++) {
		if (i == count || i == check->core_count - check->bucket_count ||
			strcmp(known[i], check->entries[check->bucket_count + i].path) != 0)
			return refuse(info, i < count ? known[i] : check->entries[check->bucket_count + i].path,
				"the core has exactly its known documents");
	}
	return check_agreement(check, info);
}

/* ---- buckets ---- */

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t number = 0;
	for (int i = 7; i >= 0; i--)
		number = number << 8 | at[i];
	return number;
}

/* Header of a bucket entry; false where it is not one or stands under another path. */
static bool read_header(
	const struct tar_entry *entry, struct id *ret_sensor, int64_t *ret_hour_us, struct mrv_hour *ret)
{
	char path[TAR_PATH_MAX + 1];
	if (entry->size < BUCKET_HEADER || memcmp(entry->data, BUCKET_MAGIC, 8) != 0)
		return false;
	uint64_t hour = get_u64(entry->data + 24), revision = get_u64(entry->data + 32);
	if (hour > (uint64_t)INT64_C(250000000000000000) || hour % (uint64_t)CLOCK_US_PER_HOUR || revision == 0 ||
		revision > (uint64_t)LIMIT_JSON_INTEGER)
		return false;
	memcpy(ret_sensor->bytes, entry->data + 8, 16);
	*ret_hour_us = (int64_t)hour;
	ret->revision = (int64_t)revision;
	memcpy(ret->content_hash.bytes, entry->data + 40, 32);
	ret->columns = entry->data + BUCKET_HEADER;
	ret->columns_size = entry->size - BUCKET_HEADER;
	bucket_path(*ret_sensor, *ret_hour_us, path);
	return strcmp(path, entry->path) == 0;
}

static const struct mrv_sensor *find_sensor(const struct mrv_case *the_case, struct id id)
{
	for (size_t i = 0; i < the_case->sensor_count; i++)
		if (id_equal(the_case->sensors[i].id, id))
			return &the_case->sensors[i];
	return NULL;
}

static enum err check_bucket(struct check *check, const struct tar_entry *entry, struct err_info *info)
{
	struct id sensor;
	int64_t hour_us;
	struct mrv_hour hour;
	struct series_point *points;
	size_t count;
	arena_reset(check->work);
	if (!read_header(entry, &sensor, &hour_us, &hour))
		return refuse(info, entry->path, "the bucket's header is not its path's");
	if (!find_sensor(&check->the_case, sensor))
		return refuse(info, entry->path, "the bucket's sensor is not in core/sensors.json");
	enum err err = series_decode(hour.columns, hour.columns_size, HOUR_POINTS_MAX, check->work, &points, &count);
	if (err)
		return refuse_for(err, info, entry->path, "the bucket's columns cannot be read");
	for (size_t i = 0; i < count; i++)
		if (points[i].time_us < hour_us || points[i].time_us >= hour_us + CLOCK_US_PER_HOUR ||
			(i > 0 && points[i].time_us <= points[i - 1].time_us))
			return refuse(info, entry->path, "the bucket's readings are not in order inside its hour");
	if (!hash_equal(series_content_hash(sensor, hour_us, points, count), hour.content_hash))
		return refuse(info, entry->path, "the bucket's readings have another content hash");
	return ERR_OK;
}

static enum err check_buckets(struct check *check, struct err_info *info)
{
	for (size_t i = 0; i < check->bucket_count; i++) {
		enum err err = check_bucket(check, &check->entries[i], info);
		if (err)
			return err;
	}
	return ERR_OK;
}

/* ---- quantity ---- */

static enum err pack_hour(void *context, const struct mrv_sensor *sensor, int64_t hour_us, struct arena *arena,
	struct mrv_hour *ret_hour, struct err_info *info)
{
	struct check *check = context;
	char path[TAR_PATH_MAX + 1];
	struct id id;
	int64_t time_us;
	(void)arena;
	*ret_hour = (struct mrv_hour){0};
	bucket_path(sensor->id, hour_us, path);
	const struct tar_entry *entry =
		bsearch(path, check->entries, check->bucket_count, sizeof *check->entries, compare_entry);
	if (entry && !read_header(entry, &id, &time_us, ret_hour))
		return refuse(info, path, "the bucket's header is not its path's");
	return ERR_OK;
}

/* The first place where two documents differ, as a pointer. */
static bool first_difference(const json_t *a, const json_t *b, char *pointer, size_t size)
{
	size_t used = strlen(pointer);
	if (json_equal(a, b))
		return false;
	if (json_is_object(a) && json_is_object(b)) {
		const char *key;
		json_t *value;
		json_object_foreach((json_t *)(uintptr_t)a, key, value)
		{
			snprintf(pointer + used, size - used, "/%s", key);
			if (first_difference(value, json_object_get(b, key), pointer, size))
				return true;
		}
	} else if (json_is_array(a) && json_is_array(b)) {
		for (size_t i = 0; i < json_array_size(a); i++) {
			snprintf(pointer + used, size - used, "/%zu", i);
			if (first_difference(json_array_get(a, i), json_array_get(b, i), pointer, size))
				return true;
		}
	}
	pointer[used] = 0;
	return true;
}

static enum err compare_result(struct check *check, struct err_info *info)
{
	char pointer[96] = "";
	json_t *stated;
	enum err err = read_document(check, "core/result.json", &stated, info);
	if (err)
		return err;
	json_t *computed = document_own(check->arena, mrv_result_document(&check->the_case, check->pack->result));
	if (!computed)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the result");
	if (first_difference(computed, stated, pointer, sizeof pointer))
		return err_set(info, ERR_PACK_INVALID, "core/result.json",
			"recomputed from the buckets, the result differs at %s", pointer[0] ? pointer : "the top");
	size_t size;
	const struct tar_entry *hours = find(check, "core/hours.csv");
	char *text = mrv_hours_csv(&check->the_case, check->pack->result, check->arena, &size);
	if (!text)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the result");
	if (!hours || hours->size != size || memcmp(hours->data, text, size) != 0)
		return refuse(info, "core/hours.csv", "recomputed from the buckets, a meter-hour differs");
	return ERR_OK;
}

static enum err check_quantity(struct check *check, struct err_info *info)
{
	struct mrv_source source = {.hour = pack_hour, .context = check};
	struct err_info fault = {0};
	enum err err = mrv_quantify(&check->the_case, &source, check->arena, &check->pack->result, &fault);
	if (err == ERR_NO_MEMORY)
		return err_set(info, err, "", "%s", fault.detail);
	if (err)
		return err_set(info, ERR_PACK_INVALID,
			fault.code == ERR_PACK_INVALID ? fault.pointer : "core/result.json",
			"the quantity cannot be computed: %s", fault.detail);
	const struct mrv_result *result = check->pack->result;
	for (size_t i = 0, used = 0; i < check->bucket_count; i++) {
		char path[TAR_PATH_MAX + 1] = "";
		if (used < result->read_count)
			bucket_path(check->the_case.sensors[result->reads[used].sensor].id, result->reads[used].hour_us,
				path);
		if (strcmp(path, check->entries[i].path) != 0)
			return refuse(info, check->entries[i].path, "the quantification does not read this bucket");
		used++;
	}
	return compare_result(check, info);
}

static enum err check_credit(struct check *check, struct err_info *info)
{
	struct mrv_manifest expected = check->pack->manifest;
	struct err_info fault = {0};
	char pointer[96] = "";
	enum err err = mrv_manifest_fill(&check->the_case, check->pack->result, &expected, &fault);
	if (err)
		return refuse_for(err, info, "core/manifest.json", fault.detail);
	json_t *computed = document_own(check->arena, field_write(mrv_manifest_fields, &expected));
	json_t *stated = document_own(check->arena, field_write(mrv_manifest_fields, &check->pack->manifest));
	if (!computed || !stated)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the manifest");
	if (first_difference(computed, stated, pointer, sizeof pointer))
		return err_set(info, ERR_PACK_INVALID, "core/manifest.json", "%s is not what the quantification gives",
			pointer);
	return ERR_OK;
}

/* Claims lie inside the period, on claimable points, in the manifest's slot, and do not overlap. */
static enum err check_claims(struct check *check, struct err_info *info)
{
	const struct mrv_manifest *manifest = &check->pack->manifest;
	const struct mrv_claim *claims = manifest->claims.items;
	int64_t first = manifest->from_us / CLOCK_US_PER_HOUR, end = manifest->to_us / CLOCK_US_PER_HOUR, hours = 0;
	for (size_t i = 0; i < manifest->claims.count; i++) {
		bool claimable = false;
		for (size_t p = 0; p < check->the_case.point_count; p++)
			claimable |= check->the_case.points[p].claimable &&
				     id_equal(check->the_case.points[p].id, claims[i].point_id);
		if (!claimable || claims[i].first_hour < first || claims[i].first_hour + claims[i].hours > end ||
			claims[i].slot != manifest->slot)
			return refuse(
				info, "core/manifest.json", "a claim is outside the period, its points or its slot");
		for (size_t j = 0; j < i; j++)
			if (id_equal(claims[i].point_id, claims[j].point_id) &&
				claims[i].first_hour < claims[j].first_hour + claims[j].hours &&
				claims[j].first_hour < claims[i].first_hour + claims[i].hours)
				return refuse(info, "core/manifest.json", "two claims overlap");
		hours += claims[i].hours;
	}
	return hours <= HOURS_MAX ? ERR_OK
				  : refuse(info, "core/manifest.json", "more hours are claimed than a batch can");
}

/* ---- signatures and issue ---- */

struct signature_file {
	struct field_list signatures;
};

static const struct field signature_file_fields[] = {
	FIELD(struct signature_file, signatures, FIELD_LIST, .flags = FIELD_REQUIRED, .min = 1, .max = 64,
		.table = mrv_attestation_fields, .item_size = sizeof(struct mrv_attestation)),
	FIELD_END};

static bool is_trusted(const struct check *check, int role, const uint8_t key[32], struct id org, int64_t at_us)
{
	for (size_t i = 0; check->options && i < check->options->trust_count; i++) {
		const struct mrv_trust_key *trusted = &check->options->trust[i];
		if (trusted->role == role && memcmp(trusted->key.bytes, key, 32) == 0 &&
			(id_is_none(trusted->organisation) || id_equal(trusted->organisation, org)) &&
			(trusted->from_us == FIELD_ABSENT || at_us >= trusted->from_us) &&
			(trusted->until_us == FIELD_ABSENT || at_us < trusted->until_us))
			return true;
	}
	return false;
}

static enum err check_signature(const struct check *check, size_t index, struct err_info *info)
{
	const struct mrv_attestation *row = &check->pack->attestations[index];
	struct sign_public key;
	struct signature signature;
	char item[64];
	snprintf(item, sizeof item, "attachments/signatures.json, row %zu", index);
	memcpy(key.bytes, row->key.bytes, sizeof key.bytes);
	memcpy(signature.bytes, row->signature.data, sizeof signature.bytes);
	if (!sign_holds(&key, MRV_SIGN_DOMAIN, check->pack->evidence_root.bytes,
		    sizeof check->pack->evidence_root.bytes, &signature))
		return refuse(info, item, "the signature does not hold over the evidence root");
	if (id_equal(row->org_id, check->pack->manifest.org_id))
		return refuse(info, item, "a verifier's organisation must not be the project's");
	for (size_t j = 0; j < index; j++)
		if (hash_equal(check->pack->attestations[j].key, row->key) ||
			id_equal(check->pack->attestations[j].org_id, row->org_id))
			return refuse(info, item, "two signatures come from one key or organisation");
	return ERR_OK;
}

static enum err check_signatures(struct check *check, struct err_info *info)
{
	struct signature_file file;
	enum err err = read_row(check, attachment_paths[2], signature_file_fields, &file, info);
	if (err)
		return err;
	check->pack->attestations = file.signatures.items;
	check->pack->attestation_count = file.signatures.count;
	for (size_t i = 0; i < file.signatures.count; i++) {
		const struct mrv_attestation *row = &check->pack->attestations[i];
		err = check_signature(check, i, info);
		if (err)
			return err;
		check->pack->trusted_verifiers += is_trusted(check, 0, row->key.bytes, row->org_id, row->signed_us);
	}
	return ERR_OK;
}

static enum err check_issue(struct check *check, struct err_info *info)
{
	struct sign_public key;
	int64_t signed_us;
	enum err err = read_row(check, attachment_paths[1], mrv_issue_fields, &check->pack->issue, info);
	if (err)
		return err;
	check->pack->issued = true;
	err = mrv_issue_check(&check->pack->issue, attachment_paths[1], check->arena, &key, &signed_us, info);
	if (err)
		return err;
	check->pack->checkpoint_trusted = is_trusted(check, 2, key.bytes, (struct id){{0}}, signed_us);
	if ((int64_t)check->pack->attestation_count < check->pack->manifest.quorum)
		return refuse(
			info, attachment_paths[2], "it was issued with fewer signatures than the methodology's quorum");
	return ERR_OK;
}

/* ---- the list ---- */

static const struct check_step {
	const char *name, *passed;
	const char *needs; /* an attachment: skipped without it */
	enum err (*run)(struct check *check, struct err_info *info);
} steps[] = {
	{"archive", "the archive is byte for byte what its contents make", NULL, check_archive},
	{"sums", "every entry has its SHA-256", NULL, check_sums},
	{"root", "the evidence root is the Merkle root of the core", NULL, check_root},
	{"manifest", "the manifest is well formed", NULL, check_manifest},
	{"documents", "methodology, factors, project and sensors are the ones vouched for", NULL, check_documents},
	{"buckets", "every hour has its content hash", NULL, check_buckets},
	{"quantity", "recomputed from the readings, every line is the same", NULL, check_quantity},
	{"credit", "kilograms, buffer and supplier's share follow from it", NULL, check_credit},
	{"claims", "the claimed hours lie inside the period", NULL, check_claims},
	{"signatures", "every signature holds over the evidence root", "attachments/signatures.json", check_signatures},
	{"issue", "the issue record is under a signed checkpoint", "attachments/issue.json", check_issue},
};

static void report(const struct check *check, const struct mrv_step *step)
{
	if (check->options && check->options->step)
		check->options->step(check->options->context, step);
}

static enum err run_steps(struct check *check, struct err_info *info)
{
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct mrv_step step = {.name = steps[i].name};
		struct err_info fault = {0};
		enum err err = ERR_OK;
		if (steps[i].needs && !find(check, steps[i].needs)) {
			step.verdict = MRV_SKIP;
			snprintf(step.detail, sizeof step.detail, "there is no %s yet", steps[i].needs);
		} else {
			err = steps[i].run(check, &fault);
			step.verdict = err ? MRV_FAIL : MRV_PASS;
			snprintf(step.item, sizeof step.item, "%s", fault.pointer);
			snprintf(step.detail, sizeof step.detail, "%s", err ? fault.detail : steps[i].passed);
		}
		report(check, &step);
		/* later steps stand on earlier ones */
		if (err)
			return err_set(info, err, fault.pointer, "%s", fault.detail);
	}
	return ERR_OK;
}

enum err mrv_verify_pack(const uint8_t *data, size_t size, const struct mrv_check_options *options, struct arena *arena,
	struct mrv_pack *ret_pack, struct err_info *info)
{
	struct check check = {.data = data, .size = size, .options = options, .arena = arena, .pack = ret_pack};
	*ret_pack = (struct mrv_pack){0};
	check.work = arena_new(WORK_ARENA_BYTES);
	if (!check.work)
		return err_set(info, ERR_NO_MEMORY, "", "no memory to check the pack");
	enum err err = run_steps(&check, info);
	arena_free(&check.work);
	return err;
}
