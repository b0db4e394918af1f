/* Decides when a write-ahead log is copied back into its file and begins anew. One thread a file copies, on a connection of its
 * own, beside the writer, so that no commit waits for the copy and its fsync; only what has come meanwhile is copied between
 * two commits, by the writer's thread, so that the log can begin anew. */
#include "carbond/base/clock.h"
#include "sqlite.h"

/* Pages in the write-ahead log at which it is copied back: 16 MB, 64 MB where batches are large, and 32 MB where the same pages
 * are written again and again. With twice as many it is to begin anew. */
static const int checkpoint_pages[STORE_CLASS_COUNT] = {4096, 8192, 8192};

enum { RESTS, ASKED, ENDED };

static void copy_back(struct sqlite_connection *connection)
{
	struct sqlite_file *file = connection->file;
	struct err_info info;
	if (atomic_load(&file->back->latched))
		return;
	int code = sqlite3_wal_checkpoint_v2(connection->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	enum err err = code == SQLITE_OK ? ERR_OK : sqlite_failure(connection, code, "checkpoint", &info);
	if (err == ERR_IO || err == ERR_STORE_CORRUPT)
		sqlite_latch(file->back, &info);
	if (err == ERR_NO_SPACE)
		sqlite_note_full(file->back);
}

static void run_checkpoints(void *argument)
{
	struct sqlite_file *file = argument;
	struct sqlite_connection connection = {.file = file};
	struct err_info info;
	for (;;) {
		while (sem_wait(&file->checkpoint_asked) != 0)
			continue; /* EINTR alone */
		if (file->checkpoint_stops)
			break;
		/* without memory for a connection the writer does all of it */
		if (connection.db || sqlite_connect(file, true, &connection, &info) == ERR_OK)
			copy_back(&connection);
		atomic_store(&file->checkpoint_state, ENDED);
	}
	sqlite_disconnect(&connection);
}

void sqlite_checkpoint(struct sqlite_file *file)
{
	int pages = checkpoint_pages[file->class];
	if (file->wal_pages + pages < file->checkpoint_at)
		file->checkpoint_at = pages; /* the log began anew: everything in it had been copied back */
	switch (atomic_load(&file->checkpoint_state)) {
	case RESTS:
		if (file->wal_pages < file->checkpoint_at)
			return;
		atomic_store(&file->checkpoint_state, ASKED);
		sem_post(&file->checkpoint_asked);
		return;
	case ENDED:
		if (file->wal_pages >= 2 * pages)
			copy_back(&file->writer);
		/* a reader may hold on to old pages: the next is due when as much has come on top */
		file->checkpoint_at = file->wal_pages + pages;
		atomic_store(&file->checkpoint_state, RESTS);
		return;
	default: return;
	}
}

enum err sqlite_checkpoints_start(struct sqlite_file *file, struct err_info *info)
{
	static const char *const names[] = {"copy-value", "copy-readings", "copy-views"};
	file->checkpoint_at = checkpoint_pages[file->class];
	sem_init(&file->checkpoint_asked, 0, 0);
	enum err err = thread_start(names[file->class], run_checkpoints, file, &file->checkpointer);
	return err ? err_set(info, err, NULL, "the store's checkpoint thread could not be started") : ERR_OK;
}

void sqlite_checkpoints_stop(struct sqlite_file *file)
{
	if (!file->checkpointer)
		return;
	file->checkpoint_stops = true;
	sem_post(&file->checkpoint_asked);
	thread_join(&file->checkpointer);
	sem_destroy(&file->checkpoint_asked);
}
