/* The documents that ship: every *.json of methodologies/ and factors/ is published at start; what is published already
 * stays. Main thread. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/log.h"
#include "parts.h"

enum { FILES_MAX = 256, PATH_SIZE = 4096 };

static enum err read_file(const char *path, struct arena *arena, json_t **ret_document, struct err_info *info)
{
	FILE *file = fopen(path, "rbe");
	if (!file)
		return err_set(info, ERR_IO, "", "%s cannot be opened", path);
	char *text = malloc(LIMIT_JSON_BYTES);
	size_t size = text ? fread(text, 1, LIMIT_JSON_BYTES, file) : 0;
	struct err_info fault = {0};
	enum err err = text ? document_parse(arena, text, size, ret_document, &fault) : ERR_NO_MEMORY;
	free(text);
	(void)fclose(file);
	return err ? err_set(info, err, fault.pointer, "%s: %s", path, fault.detail) : ERR_OK;
}

static enum err publish_file(struct evidence *evidence, const char *path, bool factors, struct err_info *info)
{
	struct arena *arena = arena_new(0);
	struct audit_actor daemon = {.name = "carbond"};
	struct published row;
	json_t *document;
	struct err_info fault = {0};
	if (!arena)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for %s", path);
	enum err err = read_file(path, arena, &document, &fault);
	if (err == ERR_OK)
		err = factors ? evidence_factors_publish(evidence, &daemon, document, arena, &row, &fault)
			      : evidence_methodology_publish(evidence, &daemon, document, arena, &row, &fault);
	arena_free(&arena);
	if (err == ERR_DUPLICATE) { /* a file that was edited under its version changes nothing that is published */
		log_failure("published_differs", &fault, "file", path, NULL);
		return ERR_OK;
	}
	return err ? err_set(info, err, fault.pointer, "%s: %s %s", path, fault.pointer, fault.detail) : ERR_OK;
}

static int is_document(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);
	return size > 5 && strcmp(entry->d_name + size - 5, ".json") == 0;
}

static enum err publish_folder(
	struct evidence *evidence, const char *folder, const char *name, bool factors, struct err_info *info)
{
	char path[PATH_SIZE];
	struct dirent **entries;
	enum err err = ERR_OK;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	int count = scandir(path, &entries, is_document, alphasort);
	if (count < 0)
		return ERR_OK; /* nothing ships here */
	for (int i = 0; i < count; i++) {
		char file[PATH_SIZE];
		int size = snprintf(file, sizeof file, "%.2000s/%.1000s", path, entries[i]->d_name);
		if (err == ERR_OK && i < FILES_MAX && size > 0)
			err = publish_file(evidence, file, factors, info);
		free(entries[i]);
	}
	free(entries);
	return err;
}

enum err files_publish(struct evidence *evidence, const char *folder, struct err_info *info)
{
	enum err err = publish_folder(evidence, folder, "methodologies", false, info);
	return err ? err : publish_folder(evidence, folder, "factors", true, info);
}
