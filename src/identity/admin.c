/* The admin socket's verbs on keys and organisations: what `carbonctl keys` says to a running daemon. Whoever can open the
 * socket in the data directory could read the store, so no further credentials are asked for. Runs on the socket's
 * thread. */
#include <string.h>

#include "identity_internal.h"

static const struct audit_actor command_line = {.name = "command line"};

struct list_request {
	const char *org; /* slug or id */
};
static const struct field list_fields[] = {
	FIELD(struct list_request, org, FIELD_TEXT, .min = 1, .max = 40, .doc = "An organisation's slug or id"),
	FIELD_END};

struct key_request {
	const char *org;
	const char *label;
	struct field_list roles, scopes;
	int64_t expires_at;
};
static const struct field key_request_fields[] = {
	FIELD(struct key_request, org, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 40, .doc = "Slug or id"),
	FIELD(struct key_request, label, FIELD_TEXT, .flags = FIELD_REQUIRED, .min = 1, .max = 60,
		.doc = "What it is for"),
	FIELD(struct key_request, roles, FIELD_TEXTS, .flags = FIELD_REQUIRED, .min = 1, .max = 11, .doc = "Its roles"),
	FIELD(struct key_request, scopes, FIELD_TEXTS, .min = 0, .max = 64, .doc = "Permissions it is narrowed to"),
	FIELD(struct key_request, expires_at, FIELD_TIME, .doc = "When it ceases to be valid"), FIELD_END};

struct id_request {
	struct id id;
};
static const struct field id_fields[] = {
	FIELD(struct id_request, id, FIELD_ID, .flags = FIELD_REQUIRED, .doc = "The key's id"), FIELD_END};

/* The members of a request beside its verb. */
static enum err read_request(
	const struct field *fields, const json_t *request, struct arena *arena, void *ret_row, struct err_info *info)
{
	json_t *members = document_own(arena, json_copy((json_t *)(uintptr_t)request));
	if (!members)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the request");
	json_object_del(members, "verb");
	return field_read(fields, FIELD_CREATE, members, "", arena, ret_row, info);
}

static enum err find_org(struct identity *identity, const char *text, struct id *ret_id, struct err_info *info)
{
	if (identity_organisation_find(identity, text, ret_id))
		return ERR_OK;
	return err_set(info, ERR_NOT_FOUND, "/org", "there is no active organisation %.40s", text);
}

static enum err create_key(struct identity *identity, const json_t *request, struct arena *arena, json_t **ret_answer,
	struct err_info *info)
{
	struct key_request asked;
	char text[IDENTITY_KEY_TEXT_SIZE];
	enum err err = read_request(key_request_fields, request, arena, &asked, info);
	if (err)
		return err;
	struct api_key key = {
		.label = asked.label, .roles = asked.roles, .scopes = asked.scopes, .expires_at = asked.expires_at};
	err = find_org(identity, asked.org, &key.org_id, info);
	if (!err)
		err = identity_key_create(identity, &command_line, 1u << IDENTITY_PLATFORM_ADMIN, &key, text, info);
	if (err)
		return err;
	key.key = text;
	*ret_answer = field_write(api_key_fields, &key);
	explicit_bzero(text, sizeof text);
	return ERR_OK;
}

static enum err list_keys(struct identity *identity, const json_t *request, struct arena *arena, json_t **ret_answer,
	struct err_info *info)
{
	struct list_request asked;
	struct api_key low = {0};
	void *found = NULL;
	size_t count = 0;
	struct store_query query = {.collection = &api_keys_collection, .most = LIMIT_IDENTITY_KEYS};
	enum err err = read_request(list_fields, request, arena, &asked, info);
	if (!err && asked.org) {
		err = find_org(identity, asked.org, &low.org_id, info);
		query.index = "by_org";
		query.low = &low;
		query.prefix = 1;
	}
	if (!err)
		err = store_find(identity->options.store, &query, arena, &found, &count, info);
	if (err)
		return err;
	struct api_key *keys = found;
	json_t *items = json_array();
	for (size_t i = 0; i < count; i++) {
		keys[i].key = NULL;
		keys[i].last_used_at = identity_key_last_used(identity, keys[i].id);
		json_array_append_new(items, field_write(api_key_fields, &keys[i]));
	}
	*ret_answer = json_pack("{s:o}", "items", items);
	return ERR_OK;
}

static enum err revoke_key(struct identity *identity, const json_t *request, struct arena *arena, json_t **ret_answer,
	struct err_info *info)
{
	struct id_request asked;
	struct api_key key;
	enum err err = read_request(id_fields, request, arena, &asked, info);
	if (!err)
		err = identity_key_revoke(identity, &command_line, asked.id, arena, &key, info);
	if (!err)
		*ret_answer = field_write(api_key_fields, &key);
	return err;
}

static enum err create_organisation(struct identity *identity, const json_t *request, struct arena *arena,
	json_t **ret_answer, struct err_info *info)
{
	struct organisation organisation;
	enum err err = read_request(organisation_fields, request, arena, &organisation, info);
	if (!err)
		err = identity_organisation_create(identity, &command_line, &organisation, info);
	if (!err)
		*ret_answer = field_write(organisation_fields, &organisation);
	return err;
}

static enum err list_organisations(struct identity *identity, const json_t *request, struct arena *arena,
	json_t **ret_answer, struct err_info *info)
{
	void *found = NULL;
	size_t count = 0;
	const struct store_query query = {
		.collection = &organisations_collection, .most = LIMIT_IDENTITY_ORGANISATIONS};
	(void)request;
	enum err err = store_find(identity->options.store, &query, arena, &found, &count, info);
	if (err)
		return err;
	const struct organisation *rows = found;
	json_t *items = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(items, field_write(organisation_fields, &rows[i]));
	*ret_answer = json_pack("{s:o}", "items", items);
	return ERR_OK;
}

enum err identity_admin(
	struct identity *identity, const char *verb, const json_t *request, json_t **ret_answer, struct err_info *info)
{
	static const struct {
		const char *verb;
		enum err (*answer)(struct identity *identity, const json_t *request, struct arena *arena,
			json_t **ret_answer, struct err_info *info);
	} verbs[] = {{"keys.create", create_key}, {"keys.list", list_keys}, {"keys.revoke", revoke_key},
		{"organisations.create", create_organisation}, {"organisations.list", list_organisations}};
	enum err err = ERR_NO_ROUTE;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(verb, verbs[i].verb) != 0)
			continue;
		struct arena *arena = arena_new(0);
		if (!arena)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the request");
		*ret_answer = NULL;
		err = verbs[i].answer(identity, request, arena, ret_answer, info);
		if (!err && !*ret_answer)
			err = err_set(info, ERR_NO_MEMORY, NULL, "no memory for the answer");
		arena_free(&arena);
		return err;
	}
	return err_set(info, err, "/verb", "there is no verb %.40s", verb);
}
