/* Organisations: created and changed with their audit record in one append. Runs on workers and the admin socket's thread. */
#include <string.h>

#include "identity_internal.h"

static const char *const states[] = {"active", "suspended", "closed", NULL};

const struct field organisation_fields[] = {
	FIELD(struct organisation, id, FIELD_ID, .flags = FIELD_READ_ONLY, .doc = "The organisation's id"),
	FIELD(struct organisation, slug, FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_FIXED, .min = 1, .max = 40,
		.doc = "Its short name in topics and serials' pages: a-z, 0-9 and hyphens"),
	FIELD(struct organisation, name, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 200, .doc = "Its name"),
	FIELD(struct organisation, country, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 2, .max = 2,
		.doc = "ISO 3166-1 alpha-2 code of its country"),
	FIELD(struct organisation, state, FIELD_ENUM, .names = states,
		.doc = "Keys of an organisation that is not active are refused; closed is for ever"),
	FIELD(struct organisation, created_at, FIELD_TIME, .flags = FIELD_READ_ONLY, .doc = "When it was created"),
	FIELD(struct organisation, version, FIELD_INT, .flags = FIELD_READ_ONLY, .min = 1, .max = LIMIT_JSON_INTEGER,
		.doc = "Counts its changes; the ETag"),
	FIELD_END};

static const struct store_index indexes[] = {{.name = "by_slug", .fields = {"slug"}, .unique = true}, {.name = NULL}};

const struct store_collection organisations_collection = {.name = "organisations",
	.class = STORE_VALUE,
	.fields = organisation_fields,
	.row_size = sizeof(struct organisation),
	.key = {"id"},
	.indexes = indexes,
	.shard_key = "id",
	.doc = "Organisations: the owners of every account, resource and key"};

static enum err check_organisation(const struct organisation *organisation, struct err_info *info)
{
	const char *slug = organisation->slug, *country = organisation->country;
	if (strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(slug) || slug[0] == '-')
		return err_set(info, ERR_INVALID_FIELD, "/slug",
			"/slug must be 1..40 of a-z, 0-9 and hyphens, not beginning with a hyphen");
	if (strspn(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2 || strlen(country) != 2)
		return err_set(info, ERR_INVALID_FIELD, "/country", "/country must be two letters A-Z");
	return ERR_OK;
}

/* Writes the row with its record and replaces the snapshot; under identity->change. */
static enum err write_organisation(struct identity *identity, const struct audit_actor *actor, const char *action,
	const struct organisation *old, const struct organisation *new, struct err_info *info)
{
	const struct store_change change = {.collection = &organisations_collection,
		.row = new,
		.verb = STORE_PUT,
		.condition = old ? STORE_EQUALS : STORE_ABSENT,
		.field = old ? "version" : NULL,
		.value = old ? old->version : 0};
	const struct audit_change record = {.action = action,
		.subject_kind = "organisation",
		.subject = new->id,
		.org = new->id,
		.fields = organisation_fields,
		.old_row = old,
		.new_row = new,
		.changes = &change,
		.change_count = 1};
	enum err err = audit_write(identity->options.audit, actor, &record, NULL, info);
	return err ? err : identity_snapshot_load(identity, info);
}

enum err identity_organisation_create(struct identity *identity, const struct audit_actor *actor,
	struct organisation *organisation, struct err_info *info)
{
	enum err err = check_organisation(organisation, info);
	if (err)
		return err;
	organisation->created_at = clock_wall_us();
	organisation->id = id_new(organisation->created_at);
	organisation->state = ORGANISATION_ACTIVE;
	organisation->version = 1;
	pthread_mutex_lock(&identity->change);
	err = write_organisation(identity, actor, "organisation.create", NULL, organisation, info);
	pthread_mutex_unlock(&identity->change);
	return err;
}

enum err identity_organisation_get(struct identity *identity, struct id id, struct arena *arena,
	struct organisation *ret_organisation, struct err_info *info)
{
	field_clear(organisation_fields, ret_organisation);
	ret_organisation->id = id;
	return store_get(identity->options.store, &organisations_collection, ret_organisation, arena, info);
}

enum err identity_organisation_update(struct identity *identity, const struct audit_actor *actor,
	struct organisation *organisation, int64_t version, struct arena *arena, struct err_info *info)
{
	struct organisation old;
	enum err err = check_organisation(organisation, info);
	if (err)
		return err;
	pthread_mutex_lock(&identity->change);
	err = identity_organisation_get(identity, organisation->id, arena, &old, info);
	if (!err && version >= 0 && version != old.version)
		err = err_set(info, ERR_CONDITION_FAILED, NULL, "the version is %lld now", (long long)old.version);
	if (!err && old.state == ORGANISATION_CLOSED)
		err = err_set(info, ERR_ORGANISATION_CLOSED, NULL, "the organisation is closed");
	if (!err && organisation->state < 0)
		err = err_set(info, ERR_INVALID_FIELD, "/state", "/state must be active, suspended or closed");
	if (!err) {
		organisation->slug = old.slug;
		organisation->created_at = old.created_at;
		organisation->version = old.version + 1;
		err = write_organisation(identity, actor, "organisation.update", &old, organisation, info);
	}
	pthread_mutex_unlock(&identity->change);
	return err;
}
