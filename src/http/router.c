/* Which row answers a path: the tables compiled once into a trie of segments, read by all http threads. */
#include <stdio.h>
#include <string.h>

#include "http_internal.h"

struct node {
	const char *segment; /* literal text; NULL: a parameter */
	size_t size;
	struct node *children; /* literals first come first; one parameter child at most */
	struct node *next;
	struct node *param;
	const struct http_route *routes[HTTP_METHODS];
	bool ends; /* a path ends here */
};

struct router {
	struct node root;
};

const char *http_method_text(enum http_method method)
{
	static const char *const texts[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
	return texts[method];
}

/* The next segment behind '/' at `*path`; false at the end. */
static bool next_segment(const char **path, const char *end, const char **ret_segment, size_t *ret_size)
{
	if (*path >= end || **path != '/')
		return false;
	const char *start = *path + 1;
	const char *slash = memchr(start, '/', (size_t)(end - start));
	*ret_segment = start;
	*ret_size = (size_t)((slash ? slash : end) - start);
	*path = start + *ret_size;
	return true;
}

static struct node *child(struct arena *arena, struct node *node, const char *segment, size_t size)
{
	bool param = size > 2 && segment[0] == '{' && segment[size - 1] == '}';
	if (param && node->param)
		return node->param;
	for (struct node *each = param ? NULL : node->children; each; each = each->next) {
		if (each->size == size && memcmp(each->segment, segment, size) == 0)
			return each;
	}
	struct node *made = ARENA_NEW(arena, struct node);
	if (!made)
		return NULL;
	if (param) {
		node->param = made;
		return made;
	}
	made->segment = segment;
	made->size = size;
	made->next = node->children;
	node->children = made;
	return made;
}

static enum err add_route(
	struct arena *arena, struct router *router, const struct http_route *route, struct err_info *info)
{
	const char *path = route->path, *end = path + strlen(path), *segment;
	struct node *node = &router->root;
	size_t size, params = 0;
	if (!route->permission || !*route->permission || !route->handler || !route->operation || route->cost < 1)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "route %s needs permission, handler, operation and cost",
			route->path);
	if (((route->flags & HTTP_PUBLIC) != 0) != (strcmp(route->permission, "public") == 0))
		return err_set(info, ERR_INVALID_CONFIG, NULL,
			"route %s: permission public and flag HTTP_PUBLIC go together", route->path);
	if (route->kind == HTTP_LATER && !route->reply)
		return err_set(info, ERR_INVALID_CONFIG, NULL, "route %s needs a reply function", route->path);
	while (next_segment(&path, end, &segment, &size)) {
		params += size > 0 && segment[0] == '{';
		if (size == 0 || params > HTTP_PARAMS_MAX)
			return err_set(info, ERR_INVALID_CONFIG, NULL, "route %s is not well formed", route->path);
		node = child(arena, node, segment, size);
		if (!node)
			return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the router");
	}
	if (path != end || node == &router->root || node->routes[route->method])
		return err_set(info, ERR_INVALID_CONFIG, NULL, "route %s %s is there twice or not well formed",
			http_method_text(route->method), route->path);
	node->routes[route->method] = route;
	node->ends = true;
	return ERR_OK;
}

enum err http_router_new(
	struct arena *arena, const struct http_route *const *tables, struct router **ret_router, struct err_info *info)
{
	struct router *router = ARENA_NEW(arena, struct router);
	if (!router)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the router");
	for (size_t i = 0; tables[i]; i++) {
		for (const struct http_route *route = tables[i]; route->path; route++) {
			enum err err = add_route(arena, router, route, info);
			if (err)
				return err;
		}
	}
	*ret_router = router;
	return ERR_OK;
}

static const struct node *find(const struct node *node, const char *path, const char *end, struct router_match *match)
{
	const char *segment;
	size_t size;
	if (path == end)
		return node->ends ? node : NULL;
	if (!next_segment(&path, end, &segment, &size) || size == 0)
		return NULL;
	for (const struct node *each = node->children; each; each = each->next) {
		if (each->size == size && memcmp(each->segment, segment, size) == 0) {
			const struct node *found = find(each, path, end, match);
			if (found)
				return found;
		}
	}
	if (!node->param)
		return NULL;
	size_t at = match->param_count++;
	match->params[at].value = segment;
	match->value_sizes[at] = size;
	const struct node *found = find(node->param, path, end, match);
	if (!found)
		match->param_count = at;
	return found;
}

bool http_router_find(const struct router *router, const char *path, size_t size, struct router_match *ret_match)
{
	*ret_match = (struct router_match){0};
	const struct node *node = find(&router->root, path, path + size, ret_match);
	if (!node)
		return false;
	ret_match->routes = node->routes;
	return true;
}

const char *http_router_allow(struct arena *arena, const struct http_route *const *routes)
{
	char text[64];
	size_t size = 0;
	for (unsigned method = 0; method < HTTP_METHODS; method++) {
		bool there = routes[method] || (method == HTTP_HEAD && routes[HTTP_GET]);
		if (there)
			size += (size_t)snprintf(
				text + size, sizeof text - size, "%s, ", http_method_text((enum http_method)method));
	}
	snprintf(text + size, sizeof text - size, "OPTIONS");
	return arena_print(arena, "%s", text);
}
