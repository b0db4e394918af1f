/* room: registry */
/* Texts of serial numbers: what is read is written back the same, and anything else is told why. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "carbond/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[600], again[SERIAL_TEXT_SIZE];
	struct serial serial, second;
	struct err_info info = {0};
	if (size >= sizeof text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (serial_parse(text, &serial, &info) == ERR_OK) {
		assert(serial.range.length > 0 && serial.range.start >= 0);
		assert(serial_text(&serial, again) == ERR_OK && strcmp(again, text) == 0);
		assert(serial_parse(again, &second, &info) == ERR_OK);
		assert(second.range.start == serial.range.start && second.range.length == serial.range.length);
	} else {
		assert(info.detail[0] && memchr(info.detail, 0, sizeof info.detail));
	}
	return 0;
}
