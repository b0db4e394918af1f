/* ustar (POSIX.1-1988) with every field that could vary fixed: mode 0644, ids 0, time 0, no names, no prefix. One order of
 * the same contents is one archive, byte for byte; the reader takes nothing else. Pure. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

enum { ENTRIES_MAX = 1 << 20, TRAILER = 2 * TAR_BLOCK };

static void octal(char *field, int digits, uint64_t number)
{
	for (int i = digits - 1; i >= 0; i--, number >>= 3)
		field[i] = (char)('0' + (number & 7));
}

void tar_header(const char *path, uint64_t size, uint8_t ret_block[TAR_BLOCK])
{
	char *block = (char *)ret_block;
	unsigned sum = 0;
	memset(block, 0, TAR_BLOCK);
	memcpy(block, path, strlen(path));
	octal(block + 100, 7, 0644);
	octal(block + 108, 7, 0);
	octal(block + 116, 7, 0);
	octal(block + 124, 11, size);
	octal(block + 136, 11, 0);
	memset(block + 148, ' ', 8);
	block[156] = '0';
	memcpy(block + 257,
		"ustar\0"
		"00",
		8);
	octal(block + 329, 7, 0);
	octal(block + 337, 7, 0);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += ret_block[i];
	octal(block + 148, 6, sum);
	block[154] = 0;
}

static bool is_path(const char *path)
{
	size_t size = strlen(path);
	return size > 0 && path[0] != '/' && path[size - 1] != '/' && !strstr(path, "..") && !strstr(path, "//") &&
	       strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./") == size;
}

static bool read_octal(const uint8_t *field, int digits, uint64_t *ret)
{
	*ret = 0;
	for (int i = 0; i < digits; i++) {
		if (field[i] < '0' || field[i] > '7')
			return false;
		*ret = *ret << 3 | (uint64_t)(field[i] - '0');
	}
	return field[digits] == 0;
}

static bool all_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

/* One entry at `offset`; *ret_next is where the next one begins. */
static enum err read_entry(const uint8_t *data, size_t size, size_t offset, struct tar_entry *entry, size_t *ret_next,
	struct err_info *info)
{
	uint8_t expected[TAR_BLOCK];
	uint64_t length;
	char where[40];
	snprintf(where, sizeof where, "archive offset %zu", offset);
	if (size - offset < TAR_BLOCK)
		return err_set(info, ERR_PACK_INVALID, where, "the archive is cut off in a header");
	memcpy(entry->path, data + offset, TAR_PATH_MAX);
	entry->path[TAR_PATH_MAX] = 0;
	if (!is_path(entry->path))
		return err_set(info, ERR_PACK_INVALID, where, "a header has no allowed path");
	if (!read_octal(data + offset + 124, 11, &length))
		return err_set(info, ERR_PACK_INVALID, entry->path, "the header's size is not octal");
	tar_header(entry->path, length, expected);
	if (memcmp(expected, data + offset, TAR_BLOCK) != 0)
		return err_set(info, ERR_PACK_INVALID, entry->path, "the header is not the one that this entry has");
	size_t rest = size - offset - TAR_BLOCK;
	if (length > rest || (TAR_BLOCK - length % TAR_BLOCK) % TAR_BLOCK > rest - length)
		return err_set(info, ERR_PACK_INVALID, entry->path, "the archive is cut off in this entry");
	size_t padding = (size_t)((TAR_BLOCK - length % TAR_BLOCK) % TAR_BLOCK);
	entry->data = data + offset + TAR_BLOCK;
	entry->size = (size_t)length;
	if (!all_zero(entry->data + length, padding))
		return err_set(info, ERR_PACK_INVALID, entry->path, "the padding behind this entry is not zero");
	*ret_next = offset + TAR_BLOCK + (size_t)length + padding;
	return ERR_OK;
}

enum err tar_read(const uint8_t *data, size_t size, struct arena *arena, struct tar_entry **ret_entries,
	size_t *ret_count, struct err_info *info)
{
	size_t count = 0, offset = 0;
	struct tar_entry entry;
	/* first pass: how many; both passes do the same checks, so the second cannot fail otherwise */
	while (offset < size && data[offset] != 0) {
		enum err err = read_entry(data, size, offset, &entry, &offset, info);
		if (err)
			return err;
		if (++count > ENTRIES_MAX)
			return err_set(info, ERR_PACK_INVALID, entry.path, "the archive has more than %d entries",
				ENTRIES_MAX);
	}
	if (size - offset != TRAILER || !all_zero(data + offset, TRAILER))
		return err_set(info, ERR_PACK_INVALID, "end of archive",
			"the archive must end in exactly %d zero bytes", TRAILER);
	struct tar_entry *entries = ARENA_ARRAY(arena, struct tar_entry, count ? count : 1);
	if (!entries)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the archive's entries");
	offset = 0;
	for (size_t i = 0; i < count; i++) {
		enum err err = read_entry(data, size, offset, &entries[i], &offset, info);
		if (err)
			return err;
	}
	*ret_entries = entries;
	*ret_count = count;
	return ERR_OK;
}
