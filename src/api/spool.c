/* How large downloads are spooled: a temporary file without a name, read at an offset by the http thread. */
#include "spool.h"

#include <unistd.h>

enum err spool_open(FILE **ret_spool, struct err_info *info)
{
	*ret_spool = tmpfile();
	return *ret_spool ? ERR_OK : err_set(info, ERR_IO, NULL, "there is no place to spool the download");
}

enum err spool_write(void *spool, const void *data, size_t size, struct err_info *info)
{
	if (fwrite(data, 1, size, spool) == size)
		return ERR_OK;
	return err_set(info, ERR_NO_SPACE, NULL, "the download cannot be spooled");
}

static long read_spool(void *context, uint64_t offset, char *buffer, size_t size)
{
	return (long)pread(fileno(context), buffer, size, (off_t)offset);
}

static void close_spool(void *context)
{
	(void)fclose(context);
}

enum err spool_answer(struct http_request *request, const char *media, FILE *spool, enum err err, struct err_info *info)
{
	if (!err && fflush(spool) != 0)
		err = err_set(info, ERR_NO_SPACE, NULL, "the download cannot be spooled");
	if (!err)
		return http_answer_stream(request, media, read_spool, close_spool, spool);
	close_spool(spool);
	return err;
}
