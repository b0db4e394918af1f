/* carbonctl against a small server in a thread of this program that keeps each request and answers what the test wrote down:
 * what words become on the wire, what is printed, which exit code comes out; and the table held against itself. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../../cli/cli.h"

/* ---- the server ---- */

static struct server {
	int listener;
	char url[64];
	const char *answers[8];
	int count;
	char requests[8][8192];
	pthread_t thread;
} server;

static void *serve(void *unused)
{
	(void)unused;
	for (int i = 0; i < server.count; i++) {
		int peer = accept(server.listener, NULL, NULL);
		if (peer < 0)
			return NULL;
		char *request = server.requests[i], *head, *length;
		size_t size = 0;
		for (;;) {
			ssize_t got = read(peer, request + size, sizeof server.requests[i] - 1 - size);
			if (got <= 0)
				break;
			size += (size_t)got;
			request[size] = 0;
			if (request[0] == '{' && request[size - 1] == '\n')
				break; /* the admin socket: one line */
			head = strstr(request, "\r\n\r\n");
			length = strstr(request, "Content-Length: ");
			if (head && (!length || strlen(head + 4) >= (size_t)strtol(length + 16, NULL, 10)))
				break;
		}
		const char *answer = server.answers[i];
		if (send(peer, answer, strlen(answer), MSG_NOSIGNAL) < 0)
			abort();
		close(peer);
	}
	return NULL;
}

static char socket_path[64];

/* On a unix socket, as the daemon's admin socket. */
static void socket_start(int count, const char *const *answers)
{
	memset(&server, 0, sizeof server);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(socket_path, sizeof socket_path, "/tmp/carbond-cli.%d.sock", (int)getpid());
	unlink(socket_path);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
	server.count = count;
	memcpy(server.answers, answers, sizeof *answers * (size_t)count);
	server.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof address), 0);
	listen(server.listener, 8);
	pthread_create(&server.thread, NULL, serve, NULL);
}

static void server_start(int count, const char *const *answers)
{
	memset(&server, 0, sizeof server);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	server.count = count;
	memcpy(server.answers, answers, sizeof *answers * (size_t)count);
	server.listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&address, size), 0);
	getsockname(server.listener, (struct sockaddr *)&address, &size);
	snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
	listen(server.listener, 8);
	pthread_create(&server.thread, NULL, serve, NULL);
}

static void server_stop(void)
{
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
}

#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" body

/* ---- running carbonctl ---- */

static char output[131072], errors[8192];

static void read_back(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t got = fread(text, 1, size - 1, file);
	text[got] = 0;
	fclose(file);
	unlink(path);
}

/* Runs one command line (words parted by '|'); fills `output` and `errors`. */
static int ctl(const char *line)
{
	char copy[4096], *words[64] = {(char *)(uintptr_t) "carbonctl"}, *rest = NULL;
	char out_path[] = "/tmp/carbond-cli.XXXXXX", err_path[] = "/tmp/carbond-cli.XXXXXX";
	int count = 1;
	snprintf(copy, sizeof copy, "%s", line);
	for (char *word = strtok_r(copy, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
		words[count++] = word;
	fflush(stdout);
	fflush(stderr);
	int out = mkstemp(out_path), err = mkstemp(err_path), kept_out = dup(1), kept_err = dup(2);
	dup2(out, 1);
	dup2(err, 2);
	int code = cli_main(count, words);
	fflush(stdout);
	fflush(stderr);
	dup2(kept_out, 1);
	dup2(kept_err, 2);
	close(out);
	close(err);
	close(kept_out);
	close(kept_err);
	read_back(out_path, output, sizeof output);
	read_back(err_path, errors, sizeof errors);
	return code;
}

static int ctl_at(const char *line)
{
	char whole[4096];
	snprintf(whole, sizeof whole, "--url|%s|%s", server.url, line);
	return ctl(whole);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void assert_begins(const char *text, const char *part)
{
	if (strncmp(text, part, strlen(part)) != 0)
		fail_msg("does not begin with \"%s\":\n%s", part, text);
}

/* ---- requests ---- */

static void test_list_as_table(void **state)
{
	(void)state;
	const char *answers[] = {ANSWER("200 OK",
		"{\"items\":[{\"id\":\"i1\",\"slug\":\"a\",\"name\":\"\xc3\x9cnit\",\"state\":\"planned\"},"
		"{\"id\":\"i2\",\"slug\":\"bcd\",\"name\":\"n\",\"country\":\"IS\"}],\"next_cursor\":\"c+1\"}")};
	server_start(1, answers);
	assert_int_equal(ctl_at("units|list|--limit=2|--key|sesame|--org-id|o/1"), CLI_OK);
	server_stop();
	assert_begins(server.requests[0], "GET /v1/units?limit=2&org_id=o%2F1 HTTP/1.1\r\n");
	assert_has(server.requests[0], "Authorization: Bearer sesame\r\n");
	assert_string_equal(output, "id  slug  code  name  country  state\n"
				    "i1  a     -     \xc3\x9cnit  -        planned\n"
				    "i2  bcd   -     n     IS       -\n"
				    "(more: --cursor c+1, or --all)\n");
}

static void test_all_pages_as_json(void **state)
{
	(void)state;
	const char *answers[] = {ANSWER("200 OK", "{\"items\":[{\"id\":1}],\"next_cursor\":\"a b\"}"),
		ANSWER("200 OK", "{\"items\":[{\"id\":2}]}")};
	server_start(2, answers);
	assert_int_equal(ctl_at("units|list|--all|--json"), CLI_OK);
	server_stop();
	assert_begins(server.requests[1], "GET /v1/units?cursor=a%20b HTTP/1.1\r\n");
	assert_string_equal(
		output, "{\n  \"items\": [\n    {\n      \"id\": 1\n    },\n    {\n      \"id\": 2\n    }\n  ]\n}\n");
}

static void test_body_from_words(void **state)
{
	(void)state;
	const char *answers[] = {
		ANSWER("201 Created", "{\"id\":\"i1\",\"place\":{\"town\":\"T\"},\"tags\":[\"x\",\"y\"],\"ok\":true}")};
	server_start(1, answers);
	assert_int_equal(
		ctl_at("units|create|slug=123|kg=5|ok=true|place.town=T|place.at.lat=1.5|list=[1,2]|text=a=b|q=\"7\""),
		CLI_OK);
	server_stop();
	assert_begins(server.requests[0], "POST /v1/units HTTP/1.1\r\n");
	assert_has(server.requests[0], "Content-Type: application/json\r\n");
	assert_has(server.requests[0],
		"\r\n\r\n{\"slug\":\"123\",\"kg\":5,\"ok\":true,\"place\":{\"town\":\"T\",\"at\":{\"lat\":1.5}},"
		"\"list\":[1,2],\"text\":\"a=b\",\"q\":\"7\"}");
	assert_string_equal(output, "id          i1\nplace.town  T\ntags        x, y\nok          yes\n");
}

static void test_body_from_file(void **state)
{
	(void)state;
	char path[] = "/tmp/carbond-cli.XXXXXX", line[200];
	int file = mkstemp(path);
	assert_int_equal(write(file, "{\"slug\":\"f\",\"kg\":1}", 19), 19);
	close(file);
	const char *answers[] = {ANSWER("201 Created", "{}")};
	server_start(1, answers);
	snprintf(line, sizeof line, "units|create|@%s|kg=2|note=@%s", path, path);
	assert_int_equal(ctl_at(line), CLI_OK);
	server_stop();
	assert_has(server.requests[0], "\r\n\r\n{\"slug\":\"f\",\"kg\":2,\"note\":{\"slug\":\"f\",\"kg\":1}}");
	unlink(path);
	assert_int_equal(ctl("units|create|@/nowhere.json"), CLI_USAGE);
	assert_has(errors, "/nowhere.json: No such file or directory");
}

/* What nobody else has changed: the version that a GET shows, or the one that was named. */
static void test_if_match(void **state)
{
	(void)state;
	const char *answers[] = {"HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"7\"\r\n\r\n{}",
		ANSWER("200 OK", "{}"), ANSWER("200 OK", "{}"), "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n"};
	server_start(4, answers);
	assert_int_equal(ctl_at("units|update|a b|name=n"), CLI_OK);
	assert_int_equal(ctl_at("units|update|u|name=n|--if-match|3"), CLI_OK);
	assert_int_equal(ctl_at("units|delete|u|--if-match=*"), CLI_OK);
	server_stop();
	assert_begins(server.requests[0], "GET /v1/units/a%20b HTTP/1.1\r\n");
	assert_begins(server.requests[1], "PATCH /v1/units/a%20b HTTP/1.1\r\n");
	assert_has(server.requests[1], "If-Match: \"7\"\r\n");
	assert_has(server.requests[2], "If-Match: \"3\"\r\n");
	assert_begins(server.requests[3], "DELETE /v1/units/u HTTP/1.1\r\n");
	assert_has(server.requests[3], "If-Match: *\r\n");
	assert_string_equal(output, "done\n");
}

/* Value: the same Idempotency-Key over a repeat; other POSTs carry none and are not repeated. */
static void test_idempotency(void **state)
{
	(void)state;
	const char *busy = "HTTP/1.1 503 Busy\r\nConnection: close\r\nRetry-After: 0\r\n\r\n";
	const char *answers[] = {busy, ANSWER("201 Created", "{\"id\":\"t\"}"), busy, ANSWER("201 Created", "{}")};
	server_start(4, answers);
	assert_int_equal(ctl_at("transfers|create|to_org_id=o|kg=5"), CLI_OK);
	assert_int_equal(ctl_at("units|create|slug=s"), CLI_SERVER_FAILED);
	assert_int_equal(ctl_at("transfers|create|kg=5|--idempotency-key|me"), CLI_OK);
	server_stop();
	const char *first = strstr(server.requests[0], "Idempotency-Key: "),
		   *second = strstr(server.requests[1], "Idempotency-Key: ");
	assert_non_null(first);
	assert_non_null(second);
	assert_memory_equal(first, second, strlen("Idempotency-Key: ") + 36);
	assert_null(strstr(server.requests[2], "Idempotency-Key"));
	assert_has(server.requests[3], "Idempotency-Key: me\r\n");
}

#define TEXT_ANSWER(head, body) "HTTP/1.1 200 OK\r\nConnection: close\r\n" head "\r\n\r\n" body

/* Text pages: one line of names for all of CSV; a log goes on from the position that the answer names until it is empty. */
static void test_text_pages(void **state)
{
	(void)state;
	const char *answers[] = {TEXT_ANSWER("Content-Type: text/csv\r\nCarbond-Next-Cursor: c/1", "a,b\r\n1,2\r\n"),
		TEXT_ANSWER("Content-Type: text/csv", "a,b\r\n3,4\r\n"),
		TEXT_ANSWER("Content-Type: application/x-ndjson\r\nCarbond-Next-Position: 3", "{\"n\":1}\n{\"n\":2}\n"),
		TEXT_ANSWER("Content-Type: application/x-ndjson\r\nCarbond-Next-Position: 3", "")};
	server_start(4, answers);
	assert_int_equal(ctl_at("readings|range|s|--format=csv|--from=1|--all"), CLI_OK);
	assert_string_equal(output, "a,b\r\n1,2\r\n3,4\r\n");
	assert_int_equal(ctl_at("journal|export|--all|--at-least|9"), CLI_OK);
	assert_string_equal(output, "{\"n\":1}\n{\"n\":2}\n");
	server_stop();
	assert_begins(server.requests[1], "GET /v1/sensors/s/readings?format=csv&from=1&cursor=c%2F1 HTTP/1.1\r\n");
	assert_begins(server.requests[2], "GET /v1/journal?at-least=9 HTTP/1.1\r\n");
	assert_begins(server.requests[3], "GET /v1/journal?at-least=9&from=3 HTTP/1.1\r\n");
}

/* A download goes to the file; half of one is taken away again. */
static void test_download(void **state)
{
	(void)state;
	const char *answers[] = {TEXT_ANSWER("Content-Type: application/x-tar", "tar"),
		TEXT_ANSWER("Content-Type: application/x-tar\r\nContent-Length: 99", "half"),
		ANSWER("404 No", "{\"type\":\"/problems/not-found\"}")};
	char path[64], line[200], text[16] = "";
	snprintf(path, sizeof path, "/tmp/carbond-cli.%d.tar", (int)getpid());
	snprintf(line, sizeof line, "periods|pack|p|--output|%s", path);
	server_start(3, answers);
	assert_int_equal(ctl_at(line), CLI_OK);
	read_back(path, text, sizeof text);
	assert_string_equal(text, "tar");
	assert_int_equal(ctl_at(line), CLI_UNREACHABLE);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(ctl_at(line), CLI_REFUSED);
	assert_int_not_equal(access(path, F_OK), 0);
	server_stop();
	assert_has(server.requests[0], "Accept: application/x-tar");
}

static void test_body_as_it_is(void **state)
{
	(void)state;
	char path[64], line[200];
	snprintf(path, sizeof path, "/tmp/carbond-cli.%d.ndjson", (int)getpid());
	FILE *file = fopen(path, "w");
	fputs("{\"t\":1}\n{\"t\":2}\n", file);
	fclose(file);
	const char *answers[] = {ANSWER("200 OK", "{\"items\":[{\"index\":0,\"status\":\"accepted\"}]}")};
	server_start(1, answers);
	snprintf(line, sizeof line, "readings|create|@%s|--org|acme|--unit=dac-1", path);
	assert_int_equal(ctl_at(line), CLI_OK);
	server_stop();
	unlink(path);
	assert_begins(server.requests[0], "POST /v1/readings?org=acme&unit=dac-1 HTTP/1.1\r\n");
	assert_has(server.requests[0], "Content-Type: application/x-ndjson\r\n");
	assert_has(server.requests[0], "\r\n\r\n{\"t\":1}\n{\"t\":2}\n");
	assert_int_equal(ctl("readings|create"), CLI_USAGE);
}

/* ---- the admin socket ---- */

static void test_admin_socket(void **state)
{
	(void)state;
	const char *answers[] = {"{\"ok\":true,\"result\":{\"id\":\"k1\",\"key\":\"cck_x\"}}\n",
		"{\"ok\":true,\"result\":{\"items\":[{\"id\":\"k1\",\"roles\":[\"a\",\"b\"]}]}}\n",
		"{\"ok\":false,\"error\":{\"slug\":\"not-found\",\"title\":\"t\",\"detail\":\"there is no such "
		"key\"}}\n"};
	char line[300];
	socket_start(3, answers);
	snprintf(line, sizeof line,
		"--socket|%s|keys|create|--org|acme|label=12|roles=operator,trader|scopes=[\"x\"]|--json", socket_path);
	assert_int_equal(ctl(line), CLI_OK);
	assert_has(output, "\"key\": \"cck_x\"");
	snprintf(line, sizeof line, "--socket|%s|keys|list", socket_path);
	assert_int_equal(ctl(line), CLI_OK);
	assert_has(output, "k1  -       -      a, b");
	snprintf(line, sizeof line, "--socket|%s|keys|revoke|k2", socket_path);
	assert_int_equal(ctl(line), CLI_REFUSED);
	assert_string_equal(errors, "carbonctl: there is no such key (not-found)\n");
	server_stop();
	unlink(socket_path);
	assert_string_equal(server.requests[0],
		"{\"label\":\"12\",\"roles\":[\"operator\",\"trader\"],\"scopes\":[\"x\"],"
		"\"verb\":\"keys.create\",\"org\":\"acme\"}\n");
	assert_string_equal(server.requests[1], "{\"verb\":\"keys.list\"}\n");
	assert_string_equal(server.requests[2], "{\"verb\":\"keys.revoke\",\"id\":\"k2\"}\n");
}

/* The same command with a key goes over REST; --org is looked up and stands in the body. */
static void test_org_in_body(void **state)
{
	(void)state;
	const char *answers[] = {
		ANSWER("200 OK", "{\"items\":[{\"id\":\"o1\",\"slug\":\"x\"},{\"id\":\"o2\",\"slug\":\"acme\"}]}"),
		ANSWER("201 Created", "{}"), ANSWER("200 OK", "{\"items\":[]}")};
	server_start(3, answers);
	assert_int_equal(ctl_at("keys|create|--org|acme|label=l|roles=device|--key|k"), CLI_OK);
	assert_int_equal(ctl_at("units|list|--org|017f22e2-79b0-7cc3-98c4-dc0c0c07398f|--key|k"), CLI_OK);
	server_stop();
	assert_has(server.requests[1], "\r\n\r\n{\"org_id\":\"o2\",\"label\":\"l\",\"roles\":[\"device\"]}");
	assert_begins(server.requests[2], "GET /v1/units?org_id=017f22e2-79b0-7cc3-98c4-dc0c0c07398f HTTP/1.1\r\n");
	assert_string_equal(output, "(none)\n");
}

/* ---- exit codes ---- */

static void test_exit_codes(void **state)
{
	(void)state;
	const char *answers[] = {
		ANSWER("422 No", "{\"type\":\"https://x/problems/invalid-field\",\"title\":\"t\",\"status\":422,"
				 "\"detail\":\"/kg must be an integer 1..5\",\"pointer\":\"/kg\"}"),
		ANSWER("404 No", "{\"type\":\"not-found\",\"title\":\"There is no such resource\"}"),
		ANSWER("500 No", "oops")};
	server_start(3, answers);
	assert_int_equal(ctl_at("units|get|u|--json"), CLI_REFUSED);
	assert_string_equal(errors, "carbonctl: /kg must be an integer 1..5 (invalid-field)\n");
	assert_has(output, "\"pointer\": \"/kg\"");
	assert_has(output, "\"slug\": \"invalid-field\"");
	assert_int_equal(ctl_at("units|get|u"), CLI_REFUSED);
	assert_string_equal(errors, "carbonctl: There is no such resource (not-found)\n");
	assert_string_equal(output, "");
	assert_int_equal(ctl_at("units|get|u"), CLI_SERVER_FAILED);
	assert_has(errors, "HTTP status 500: oops");
	server_stop();

	assert_int_equal(ctl("--url|http://127.0.0.1:1|units|get|u"), CLI_UNREACHABLE);
	static const char *const wrong[] = {"units", "nosuch", "units|nosuch", "units|get", "units|get|a|b",
		"units|list|--limit", "--url", "--nosuch", "units|update|u", "completion|fish", "help|nosuch",
		"backup"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(ctl(wrong[i]), CLI_USAGE);
		assert_begins(errors, "carbonctl: ");
	}
	assert_int_equal(ctl("--socket|/nowhere/admin.sock|status"), CLI_UNREACHABLE);
	assert_int_equal(ctl("--version"), CLI_OK);
	assert_begins(output, "carbonctl ");
}

/* ---- the table and what is made from it ---- */

static int braces(const char *path)
{
	int count = 0;
	for (; path && *path; path++)
		count += *path == '{';
	return count;
}

static void test_table(void **state)
{
	(void)state;
	for (const struct cli_command *row = cli_commands; row->noun; row++) {
		char begin[100];
		snprintf(begin, sizeof begin, "carbonctl %s%s%s", row->noun, row->verb ? " " : "",
			row->verb ? row->verb : "");
		assert_non_null(row->doc);
		assert_true(row->doc[strlen(row->doc) - 1] != '.');
		if (!row->examples)
			fail_msg("%s has no example", begin);
		assert_has(row->examples, begin);
		assert_true((row->run != NULL) != (row->method != NULL));
		assert_true((row->operation != NULL) == (row->method != NULL));
		assert_ptr_equal(cli_command_find(row->noun, row->verb), row); /* no name stands twice */
		assert_true(braces(row->path) <= 3);
		for (const struct cli_command *other = cli_commands; other < row && row->operation; other++)
			assert_true(!other->operation || strcmp(other->operation, row->operation) != 0);
		for (const struct cli_option *option = row->options; option && option->name; option++)
			assert_non_null(option->doc);
		if (row->flags & CLI_IF_MATCH)
			assert_true(strcmp(row->method, "GET") != 0 && braces(row->path) > 0);
	}
}

static void test_pages(void **state)
{
	(void)state;
	static char man[sizeof output], bash[sizeof output], zsh[sizeof output], all[sizeof output];
	assert_int_equal(ctl("man"), CLI_OK);
	memcpy(man, output, sizeof man);
	assert_int_equal(ctl("completion|bash"), CLI_OK);
	memcpy(bash, output, sizeof bash);
	assert_int_equal(ctl("completion|zsh"), CLI_OK);
	memcpy(zsh, output, sizeof zsh);
	assert_int_equal(ctl("help"), CLI_OK);
	memcpy(all, output, sizeof all);
	assert_int_equal(ctl("operations"), CLI_OK);
	assert_has(output, "units.create\n");
	for (const struct cli_command *row = cli_commands; row->noun; row++) {
		char line[100];
		snprintf(line, sizeof line, ".SS carbonctl %s%s%s", row->noun, row->verb ? " " : "",
			row->verb ? row->verb : "");
		assert_has(man, line);
		assert_has(bash, row->noun);
		assert_has(zsh, row->noun);
		assert_has(all, row->noun);
		snprintf(line, sizeof line, "help|%s%s%s", row->noun, row->verb ? "|" : "", row->verb ? row->verb : "");
		assert_int_equal(ctl(line), CLI_OK);
		assert_has(output, row->noun);
	}
	assert_int_equal(ctl("units|create|--help"), CLI_OK);
	assert_begins(output, "carbonctl units create key=value");
	assert_int_equal(ctl("units|--help"), CLI_OK);
	assert_has(output, "carbonctl units update ID key=value");
}

/* A setting that is an option of the command's own reaches it; others are taken out. */
static void test_own_options(void **state)
{
	(void)state;
	char path[64], line[200];
	snprintf(path, sizeof path, "/tmp/carbond-cli.%d.key", (int)getpid());
	snprintf(line, sizeof line, "sign|keygen|%s|--json", path);
	assert_int_equal(ctl(line), CLI_OK);
	snprintf(line, sizeof line, "--url|http://x|sign|/nowhere.tar|--key|%s|--url=http://y", path);
	assert_int_not_equal(ctl(line), CLI_OK);
	assert_has(errors, "/nowhere.tar");
	unlink(path);
}

static void test_words(void **state)
{
	(void)state;
	static const struct cli_option options[] = {{"map", "FILE", "x"}, {"fast", NULL, "x"}, {NULL, NULL, NULL}};
	char words[][24] = {
		"replay", "--fast", "one", "--map", "m", "--org=o", "--output", "out", "two", "--at-least=5"};
	char *argv[10];
	for (int i = 0; i < 10; i++)
		argv[i] = words[i];
	assert_string_equal(cli_positional(10, argv, options, 0), "one");
	assert_string_equal(cli_positional(10, argv, options, 1), "two");
	assert_null(cli_positional(10, argv, options, 2));
	assert_string_equal(cli_option(10, argv, "map"), "m");
	assert_string_equal(cli_option(10, argv, "org"), "o");
	assert_string_equal(cli_option(10, argv, "at_least"), "5");
	assert_null(cli_option(10, argv, "ma"));
	assert_true(cli_flag(10, argv, "fast"));
	assert_false(cli_flag(10, argv, "slow"));
}

static int start(void **state)
{
	(void)state;
	setenv("no_proxy", "*", 1);
	unsetenv("CARBOND_URL");
	unsetenv("CARBOND_API_KEY");
	unsetenv("CARBOND_ORG");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_list_as_table),
		cmocka_unit_test(test_all_pages_as_json), cmocka_unit_test(test_body_from_words),
		cmocka_unit_test(test_body_from_file), cmocka_unit_test(test_if_match),
		cmocka_unit_test(test_idempotency), cmocka_unit_test(test_text_pages), cmocka_unit_test(test_download),
		cmocka_unit_test(test_body_as_it_is), cmocka_unit_test(test_admin_socket),
		cmocka_unit_test(test_org_in_body), cmocka_unit_test(test_exit_codes), cmocka_unit_test(test_table),
		cmocka_unit_test(test_pages), cmocka_unit_test(test_own_options), cmocka_unit_test(test_words)};
	return cmocka_run_group_tests(tests, start, NULL);
}
