/* A REST call with all its particulars; private to carbonctl. */
#ifndef CARBOND_CLI_CALL_H
#define CARBOND_CLI_CALL_H

#include "carbond/net.h"
#include "cli.h"

struct cli_call {
	const char *method, *path; /* path with query */
	const char *accept, *content_type, *if_match, *idempotency_key;
	const char *body;
	size_t body_size;
	int attempts;        /* 0: the default */
	int64_t deadline_us; /* for all attempts together; 0: the default */
	bool is_endless;     /* a stream: no deadline */
	enum err (*sink)(void *context, const void *data, size_t size);
	void *context;
};

/* Sends it with the settings' URL and key. An enum cli_exit; `info` says why where it is not CLI_OK. */
int cli_send(
	struct arena *arena, const struct cli_call *call, struct net_response *ret_response, struct err_info *info);

#endif
