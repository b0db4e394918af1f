/* Downloads that are built whole before the first byte leaves, in a file without a name, so that a fault is an answer and not a
 * broken download. Workers. */
#ifndef CARBOND_API_SPOOL_H
#define CARBOND_API_SPOOL_H

#include <stdio.h>

#include "carbond/api.h"

/* A spool to write to; ERR_IO where there is no place. */
enum err spool_open(FILE **ret_spool, struct err_info *info) MUST_CHECK;
/* Appends; the shape that evidence_pack writes through. ERR_NO_SPACE. */
enum err spool_write(void *spool, const void *data, size_t size, struct err_info *info) MUST_CHECK;
/* Answers with all of it and takes it over; with `err` other than ERR_OK it is only closed and `err` returned. */
enum err spool_answer(
	struct http_request *request, const char *media, FILE *spool, enum err err, struct err_info *info) MUST_CHECK;

#endif
