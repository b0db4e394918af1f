/* Where Redis is: the address in cache.uri. A password has no place in it. Any thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis.h"

#define DATABASE_MOST 1000000

static enum err refuse(struct err_info *info)
{
	return err_set(info, ERR_INVALID_CONFIG, "/cache/uri",
		"cache.uri must be local, redis://host[:port][/database] or redis+unix:///path[?db=database]; the "
		"password stands in cache.password_file");
}

static bool parse_number(const char *text, long most, long *ret_number)
{
	char *end;
	*ret_number = strtol(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == 0 && *ret_number >= 0 && *ret_number <= most;
}

static bool copy_part(char *to, size_t capacity, const char *from, size_t size)
{
	if (size == 0 || size >= capacity)
		return false;
	memcpy(to, from, size);
	to[size] = 0;
	return true;
}

static enum err parse_unix(const char *rest, struct redis_address *address, struct err_info *info)
{
	size_t size = strcspn(rest, "?");
	long database = 0;
	bool fits = *rest == '/' && copy_part(address->path, sizeof address->path, rest, size);
	if (fits && rest[size])
		fits = strncmp(rest + size, "?db=", 4) == 0 && parse_number(rest + size + 4, DATABASE_MOST, &database);
	address->database = (int)database;
	return fits ? ERR_OK : refuse(info);
}

static enum err parse_tcp(const char *rest, struct redis_address *address, struct err_info *info)
{
	bool bracketed = *rest == '[';
	const char *host = rest + bracketed;
	size_t size = strcspn(host, bracketed ? "]" : ":/");
	long port = 6379, database = 0;
	if (strchr(rest, '@') || !copy_part(address->host, sizeof address->host, host, size))
		return refuse(info);
	rest = host + size;
	if (bracketed && *rest++ != ']')
		return refuse(info);
	if (*rest == ':') {
		char digits[8];
		size = strcspn(++rest, "/");
		if (!copy_part(digits, sizeof digits, rest, size) || !parse_number(digits, 65535, &port) || port == 0)
			return refuse(info);
		rest += size;
	}
	if (*rest && strcmp(rest, "/") != 0 && (*rest != '/' || !parse_number(rest + 1, DATABASE_MOST, &database)))
		return refuse(info);
	snprintf(address->port, sizeof address->port, "%ld", port);
	address->database = (int)database;
	return ERR_OK;
}

enum err redis_address_parse(const char *uri, struct redis_address *ret_address, struct err_info *info)
{
	*ret_address = (struct redis_address){0};
	if (strncmp(uri, "redis+unix://", 13) == 0)
		return parse_unix(uri + 13, ret_address, info);
	if (strncmp(uri, "redis://", 8) == 0)
		return parse_tcp(uri + 8, ret_address, info);
	return refuse(info);
}
