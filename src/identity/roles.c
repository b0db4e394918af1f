/* The rows of roles.def: who may do what, and how far it reaches. Pure; any thread. */
#include <stdio.h>
#include <string.h>

#include "identity_internal.h"

static const char *const role_texts[] = {
#define ROLE(name, text, doc) text,
#include "carbond/roles.def"
#undef ROLE
	NULL};

#define NO  IDENTITY_NO
#define OWN IDENTITY_OWN
#define ORG IDENTITY_ORG
#define ANY IDENTITY_ANY
static const struct identity_permission permissions[] = {
#define PERMISSION(name, a, b, c, d, e, f, g, h, i, j, k, doc) {name, {a, b, c, d, e, f, g, h, i, j, k}, doc},
#include "carbond/roles.def"
#undef PERMISSION
};

#define PERMISSION_COUNT (sizeof permissions / sizeof *permissions)
_Static_assert(PERMISSION_COUNT <= 64 * PERMISSION_WORDS, "raise PERMISSION_WORDS");

const char *identity_role_text(enum identity_role role)
{
	return role < IDENTITY_ROLE_COUNT ? role_texts[role] : NULL;
}

enum err identity_roles_parse(
	const char *const *names, size_t count, const char *pointer, unsigned *ret_roles, struct err_info *info)
{
	unsigned roles = 0;
	char at[64];
	for (size_t i = 0; i < count; i++) {
		unsigned role = 0;
		while (role < IDENTITY_ROLE_COUNT && strcmp(names[i], role_texts[role]) != 0)
			role++;
		snprintf(at, sizeof at, "%s/%zu", pointer, i);
		if (role == IDENTITY_ROLE_COUNT)
			return err_set(info, ERR_INVALID_FIELD, at,
				"%s must be platform-admin, org-admin, operator, verifier, issuer, trader, buyer, "
				"compliance, auditor, service or device",
				at);
		roles |= 1u << role;
	}
	*ret_roles = roles;
	return ERR_OK;
}

int identity_permission_number(const char *permission)
{
	for (size_t i = 0; i < PERMISSION_COUNT; i++) {
		if (strcmp(permissions[i].name, permission) == 0)
			return (int)i;
	}
	return -1;
}

bool identity_permission_exists(const char *permission)
{
	return identity_permission_number(permission) >= 0;
}

enum identity_scope identity_scope_of(unsigned roles, const char *permission)
{
	int number = identity_permission_number(permission);
	enum identity_scope widest = IDENTITY_NO;
	for (unsigned role = 0; number >= 0 && role < IDENTITY_ROLE_COUNT; role++) {
		enum identity_scope reach = (enum identity_scope)permissions[number].reach[role];
		if ((roles & (1u << role)) && reach > widest)
			widest = reach;
	}
	return widest;
}

const struct identity_permission *identity_permissions(size_t *ret_count)
{
	*ret_count = PERMISSION_COUNT;
	return permissions;
}
