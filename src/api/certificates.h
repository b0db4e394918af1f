/* What certificates and serials share. */
#ifndef API_CERTIFICATES_H
#define API_CERTIFICATES_H

#include "carbond/engine.h"
#include "carbond/registry.h"

/* The serial number of a range of a batch, in the arena. */
enum err certificate_serial(struct arena *arena, const struct batch_row *batch, int64_t start, int64_t length,
	const char **ret_text, struct err_info *info) MUST_CHECK;

#endif
