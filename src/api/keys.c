/* API keys. The text of a key is in the answer to its creation and nowhere else. Handlers run on workers. */
#include "carbond/api.h"
#include "carbond/identity.h"

struct keys_query {
	struct id org_id;
};
static const struct field keys_query_fields[] = {
	FIELD(struct keys_query, org_id, FIELD_ID, .doc = "The organisation; absent: the caller's own"), FIELD_END};

/* A row that the caller may see: with a scope of own only the key that it calls with. */
static enum err find(struct http_request *request, struct id id, struct api_key *ret_key, struct err_info *info)
{
	if (api_reaches_own(request) && !id_equal(id, http_actor(request)->user))
		return err_set(info, ERR_NOT_FOUND, NULL, "there is no such key");
	enum err err = identity_key_get(api_of(request)->identity, id, http_arena(request), ret_key, info);
	return err ? err : api_check_org(request, ret_key->org_id, info);
}

static enum err answer_key(struct http_request *request, struct id id, struct err_info *info)
{
	struct api_key key;
	enum err err = find(request, id, &key, info);
	return err ? err : http_answer_row(request, api_key_fields, &key, -1);
}

static enum err keys_list(struct http_request *request, struct err_info *info)
{
	const struct keys_query *asked = http_query(request);
	struct api_key low = {0}, own;
	void *found = NULL;
	size_t count = 0;
	const char *next = NULL;
	enum err err;
	if (api_reaches_own(request)) {
		err = find(request, http_actor(request)->user, &own, info);
		return err ? err : http_answer_page(request, api_key_fields, &own, sizeof own, 1, NULL);
	}
	err = api_choose_org(request, asked->org_id, &low.org_id, info);
	if (err)
		return err;
	struct store_query query = {.collection = &api_keys_collection, .index = "by_org", .low = &low, .prefix = 1};
	err = api_find_page(request, &query, &found, &count, &next, info);
	struct api_key *keys = found;
	for (size_t i = 0; i < count; i++) {
		keys[i].key = NULL;
		keys[i].last_used_at = identity_key_last_used(api_of(request)->identity, keys[i].id);
	}
	return err ? err : http_answer_page(request, api_key_fields, keys, sizeof *keys, count, next);
}

static enum err key_create(struct http_request *request, struct err_info *info)
{
	struct api_key key = *(const struct api_key *)http_body(request);
	struct audit_actor actor = api_actor(request);
	char *text = arena_alloc(http_arena(request), IDENTITY_KEY_TEXT_SIZE);
	if (!text)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the key");
	enum err err = api_choose_org(request, key.org_id, &key.org_id, info);
	if (!err)
		err = identity_key_create(
			api_of(request)->identity, &actor, http_actor(request)->roles, &key, text, info);
	if (err)
		return err;
	key.key = text;
	api_set_location(request, "/v1/keys/", key.id);
	return http_answer_row(request, api_key_fields, &key, -1);
}

static enum err key_get(struct http_request *request, struct err_info *info)
{
	struct id id;
	enum err err = http_path_id(request, "id", &id, info);
	return err ? err : answer_key(request, id, info);
}

static enum err key_self(struct http_request *request, struct err_info *info)
{
	return answer_key(request, http_actor(request)->user, info);
}

static enum err key_revoke(struct http_request *request, struct err_info *info)
{
	struct audit_actor actor = api_actor(request);
	struct api_key key;
	struct id id;
	enum err err = http_path_id(request, "id", &id, info);
	if (!err)
		err = find(request, id, &key, info);
	if (!err)
		err = identity_key_revoke(api_of(request)->identity, &actor, id, http_arena(request), &key, info);
	return err ? err : http_answer_row(request, api_key_fields, &key, -1);
}

const struct http_route api_keys_routes[] = {
	HTTP_ROUTE(HTTP_GET, "/v1/keys", "key:read", .kind = HTTP_WORK, .flags = HTTP_PAGED, .cost = 5,
		.query = keys_query_fields, .query_size = sizeof(struct keys_query), .response = api_key_fields,
		.success = 200, .handler = keys_list, .operation = "keys.list",
		.doc = "The API keys of an organisation"),
	HTTP_ROUTE(HTTP_POST, "/v1/keys", "key:write", .kind = HTTP_WORK, .body_bytes_max = 16 << 10, .cost = 5,
		.request = api_key_fields, .request_size = sizeof(struct api_key), .response = api_key_fields,
		.success = 201, .handler = key_create, .operation = "keys.create",
		.doc = "Makes an API key; its text is in this answer and is not shown again"),
	HTTP_ROUTE(HTTP_GET, "/v1/keys/self", "key:read", .kind = HTTP_WORK, .cost = 1, .response = api_key_fields,
		.success = 200, .handler = key_self, .operation = "keys.self",
		.doc = "The key that this request is made with"),
	HTTP_ROUTE(HTTP_GET, "/v1/keys/{id}", "key:read", .kind = HTTP_WORK, .cost = 1, .response = api_key_fields,
		.success = 200, .handler = key_get, .operation = "keys.get", .doc = "One API key, without its secret"),
	HTTP_ROUTE(HTTP_DELETE, "/v1/keys/{id}", "key:write", .kind = HTTP_WORK, .cost = 5, .response = api_key_fields,
		.success = 200, .handler = key_revoke, .operation = "keys.revoke",
		.doc = "Revokes an API key; it is refused from the next request on"),
	{.path = NULL}};
