/* Commands for the machine that carbond runs on: by its admin socket where it is alive, else by the carbond binary, which
 * takes the data directory's lock. Output and exit code of the binary are passed on. One thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carbond/conf.h"
#include "cli.h"

enum { ANSWER_BYTES = 16 << 20, PATIENCE_S = 600 };

/* ---- the socket ---- */

/* Where the configuration of this machine puts it; NULL without a valid configuration. */
static const char *socket_path(struct arena *arena)
{
	if (cli_settings()->socket)
		return cli_settings()->socket;
	struct conf_input input = {.environment = environ};
	struct conf_report report;
	struct conf *conf;
	if (conf_load(&input, arena, &conf, &report, NULL) != ERR_OK)
		return NULL;
	return *conf->admin_socket ? conf->admin_socket : arena_print(arena, "%s/admin.sock", conf->data_dir);
}

/* The path of a unix socket is short (108 bytes); a folder's descriptor makes any folder reachable. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	int directory = open(*folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -1;
	int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int length = snprintf(
		address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, slash ? slash + 1 : path);
	struct timeval patience = {.tv_sec = PATIENCE_S};
	bool connected = file >= 0 && length < (int)sizeof address.sun_path &&
			 setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
			 connect(file, (const struct sockaddr *)&address, sizeof address) == 0;
	int reason = errno;
	close(directory);
	if (!connected && file >= 0)
		close(file);
	errno = reason;
	return connected ? file : -1;
}

static bool send_all(int file, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(file, text, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		text += sent;
		size -= (size_t)sent;
	}
	return true;
}

/* One line into the arena; NULL where the other side ends before. */
static char *receive_line(struct arena *arena, int file, size_t *ret_size)
{
	size_t size = 0, capacity = 64u << 10;
	char *line = arena_alloc(arena, capacity);
	while (line) {
		if (size == capacity) {
			char *wider = capacity < ANSWER_BYTES ? arena_alloc(arena, capacity * 2) : NULL;
			if (wider)
				memcpy(wider, line, size);
			line = wider;
			capacity *= 2;
			continue;
		}
		ssize_t got = recv(file, line + size, capacity - size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return NULL;
		char *end = memchr(line + size, '\n', (size_t)got);
		size += (size_t)got;
		if (end) {
			*ret_size = (size_t)(end - line);
			return line;
		}
	}
	return NULL;
}

static enum err read_answer(const json_t *answer, json_t **ret_result, struct err_info *info)
{
	if (json_is_true(json_object_get(answer, "ok"))) {
		*ret_result = json_object_get(answer, "result");
		return ERR_OK;
	}
	const json_t *error = json_object_get(answer, "error");
	const char *slug = json_string_value(json_object_get(error, "slug"));
	const char *detail = json_string_value(json_object_get(error, "detail"));
	if (!detail)
		detail = json_string_value(json_object_get(error, "title"));
	size_t count;
	const struct err_row *rows = err_rows(&count);
	enum err code = ERR_INTERNAL;
	for (size_t i = 0; slug && i < count; i++)
		code = strcmp(rows[i].slug, slug) == 0 ? rows[i].code : code;
	return err_set(
		info, code, json_string_value(json_object_get(error, "pointer")), "%s", detail ? detail : "refused");
}

enum err cli_admin(struct arena *arena, const json_t *request, json_t **ret_result, struct err_info *info)
{
	size_t size;
	const char *path = socket_path(arena);
	if (!path)
		return err_set(info, ERR_NET_UNREACHABLE, "",
			"the configuration does not say where the admin socket is; give --socket PATH");
	int file = connect_to(path);
	if (file < 0)
		return err_set(info, ERR_NET_UNREACHABLE, "", "%.200s: %s", path, strerror(errno));
	const char *text = document_text(arena, request, &size);
	bool sent = text && send_all(file, text, size) && send_all(file, "\n", 1);
	char *line = sent ? receive_line(arena, file, &size) : NULL;
	close(file);
	if (!line)
		return err_set(info, ERR_NET_BROKEN, "", "%.200s: no answer", path);
	json_t *answer;
	enum err err = document_parse(arena, line, size, &answer, info);
	return err == ERR_OK ? read_answer(answer, ret_result, info) : err;
}

int cli_ask(json_t *request, const char *columns)
{
	struct arena *arena = arena_new(0);
	struct err_info info = {0};
	json_t *result = NULL;
	if (!arena || !document_own(arena, request))
		return cli_fail(CLI_REFUSED, "out of memory");
	enum err err = cli_admin(arena, request, &result, &info);
	int code = CLI_OK;
	if (err == ERR_OK)
		cli_print(arena, result, columns);
	else
		code = cli_fail_info(
			err == ERR_NET_UNREACHABLE || err == ERR_NET_BROKEN ? CLI_UNREACHABLE : CLI_REFUSED, &info);
	arena_free(&arena);
	return code;
}

int cli_status(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cli_ask(json_pack("{s:s}", "verb", "status"), NULL);
}

int cli_state(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cli_ask(json_pack("{s:s}", "verb", "state"), NULL);
}

int cli_checkpoint(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cli_ask(json_pack("{s:s}", "verb", "checkpoint"), NULL);
}

int cli_confirm_clock(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cli_ask(json_pack("{s:s}", "verb", "clock.confirm"), NULL);
}

/* ---- the binary ---- */

/* Tries CARBOND_DAEMON, the folder that carbonctl is in, and where a build puts it; then the PATH. */
static void exec_daemon(char **words)
{
	char self[PATH_MAX], path[PATH_MAX + 64];
	const char *named = getenv("CARBOND_DAEMON");
	if (named && *named)
		execv(named, words);
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length > 0) {
		self[length] = 0;
		*strrchr(self, '/') = 0;
		static const char *const places[] = {"carbond", "../sbin/carbond", "../src/daemon/carbond"};
		for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
			snprintf(path, sizeof path, "%s/%s", self, places[i]);
			execv(path, words);
		}
	}
	execvp("carbond", words);
}

/* Becomes `carbond first [second] words …`. */
static int run_daemon(const char *first, const char *second, int argc, char **argv)
{
	char **words = calloc((size_t)argc + 5, sizeof *words);
	int count = 0;
	if (!words)
		return cli_fail(CLI_REFUSED, "out of memory");
	words[count++] = (char *)(uintptr_t) "carbond";
	words[count++] = (char *)(uintptr_t)first;
	if (second)
		words[count++] = (char *)(uintptr_t)second;
	for (int i = 1; i < argc; i++)
		words[count++] = argv[i];
	if (cli_settings()->json &&
		(strcmp(first, "init") == 0 || strcmp(first, "restore") == 0 || strcmp(first, "migrate-store") == 0))
		words[count++] = (char *)(uintptr_t) "--json";
	exec_daemon(words);
	int reason = errno;
	free(words);
	return cli_fail(
		CLI_REFUSED, "the carbond binary cannot be run: %s (CARBOND_DAEMON names it)", strerror(reason));
}

bool cli_daemon_line(const char *verb, char *line, size_t size)
{
	int ends[2], status = 0;
	size_t used = 0;
	line[0] = 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	pid_t child = fork();
	if (child == 0) {
		char *words[] = {(char *)(uintptr_t) "carbond", (char *)(uintptr_t)verb, NULL};
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		exec_daemon(words);
		dprintf(STDERR_FILENO, "the carbond binary cannot be run: %s (CARBOND_DAEMON names it)\n",
			strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	char text[4096];
	for (ssize_t got = 1; child > 0 && got > 0 && used + 1 < sizeof text; used += got > 0 ? (size_t)got : 0)
		got = read(ends[0], text + used, sizeof text - 1 - used);
	close(ends[0]);
	while (used && text[used - 1] == '\n')
		used--;
	text[used] = 0;
	const char *last = strrchr(text, '\n'); /* before it a library may have said something of its own */
	snprintf(line, size, "%s", last ? last + 1 : text);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int cli_daemon_verb(int argc, char **argv)
{
	if (strcmp(argv[0], "dump") == 0)
		return run_daemon("journal", "dump", argc, argv);
	return run_daemon(argv[0], NULL, argc, argv);
}

int cli_backup(int argc, char **argv)
{
	const char *folder = cli_positional(argc, argv, cli_command_find("backup", NULL)->options, 0);
	char absolute[PATH_MAX * 2];
	struct err_info info = {0};
	json_t *result = NULL;
	if (!folder)
		return cli_fail(CLI_USAGE, "backup: a folder is missing (carbonctl help backup)");
	struct arena *arena = arena_new(0);
	if (!arena)
		return cli_fail(CLI_REFUSED, "out of memory");
	char here[PATH_MAX];
	snprintf(absolute, sizeof absolute, "%s%s%s", folder[0] == '/' || !getcwd(here, sizeof here) ? "" : here,
		folder[0] == '/' ? "" : "/", folder);
	json_t *request = document_own(arena, json_pack("{s:s, s:s, s:b}", "verb", "backup", "folder", absolute,
						      "with_keys", cli_flag(argc, argv, "with-keys")));
	enum err err = request ? cli_admin(arena, request, &result, &info) : ERR_NO_MEMORY;
	int code = CLI_OK;
	if (err == ERR_OK)
		cli_print(arena, result, NULL);
	else if (err != ERR_NET_UNREACHABLE)
		code = cli_fail_info(CLI_REFUSED, &info);
	arena_free(&arena);
	/* nobody listens: the daemon is stopped, and the binary may take its lock */
	return err == ERR_NET_UNREACHABLE ? run_daemon("backup", NULL, argc, argv) : code;
}
