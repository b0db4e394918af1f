/* room: store */
/* A file of a backup, record by record: any bytes are refused or taken, none harm. */
#include <stdint.h>
#include <stdio.h>

#include "backup_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_reader reader;
	struct err_info info = {0};
	if (size == 0)
		return 0;
	FILE *stream = fmemopen((void *)(uintptr_t)data, size, "rb");
	if (!stream)
		return 0;
	record_reader_begin(&reader, stream, "fuzzed");
	while (record_read(&reader, &info) == ERR_OK && reader.kind != RECORD_END)
		continue; /* each record takes at least five bytes */
	record_reader_close(&reader);
	return 0;
}
