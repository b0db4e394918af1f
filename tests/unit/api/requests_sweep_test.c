/* Requests while memory ends at any allocation of the server: the answer that was asked for, or a stated failure, or a connection
 * that is closed; never a wrong answer, and afterwards the same request is answered as before. */
#include "service.h"

#include "sweep.h"

static const struct asked {
	const char *name, *request, *body;
	int status;
} asked[] = {
	{"a row", "GET /v1/organisations/", NULL, 200},
	{"a list", "GET /v1/organisations?limit=2", NULL, 200},
	{"a wrong field", "POST /v1/organisations", "{\"slug\":\"Not a slug\",\"name\":\"n\",\"country\":\"CH\"}", 422},
	{"a broken body", "POST /v1/organisations", "{\"slug\":", 400},
	{"no such route", "GET /v1/nothing", NULL, 404},
};

/* The status of an answer with a whole head; 0: the connection was closed without one. */
static int ask(const char *request, const char *body)
{
	static char text[4096], answer[512];
	char house_id[ID_TEXT_SIZE], line[256];
	size_t got = 0;
	snprintf(line, sizeof line, "%s%s", request,
		request[strlen(request) - 1] == '/' ? id_text(house.id, house_id) : "");
	int size = snprintf(text, sizeof text,
		"%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%sContent-Length: "
		"%zu\r\n\r\n%s",
		line, root_key, body ? "Content-Type: application/json\r\n" : "", body ? strlen(body) : 0,
		body ? body : "");
	int sock = client_open(port);
	client_doing = request;
	if (client_send(sock, text, (size_t)size)) {
		while (got < sizeof answer - 1) {
			size_t part = client_read(sock, answer + got, sizeof answer - 1 - got);
			if (part == 0)
				break;
			got += part;
		}
	}
	close(sock);
	answer[got] = 0;
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 && strstr(answer, "\r\n\r\n") ? atoi(answer + 9) : 0;
}

static void requesting(struct sweep *sweep)
{
	const struct asked *what = sweep->context;
	sweep_arm(sweep);
	int status = ask(what->request, what->body);
	sweep_disarm(sweep);
	bool failed = status == 0 || status == 500 || status == 503 || status == 507;
	if (status != what->status && !(failed && sweep->reached))
		fail_msg("%s: allocation %ld failed, and the answer is %d", what->name, sweep->nth, status);
	assert_int_equal(ask(what->request, what->body), what->status);
}

static void memory_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
		sweep_allocations(asked[i].name, requesting, (void *)(uintptr_t)&asked[i]);
}

int main(void)
{
	sweep_start(60);
	service_start(NULL, NULL);
	const struct CMUnitTest tests[] = {cmocka_unit_test(memory_ends)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	service_stop();
	return failed;
}
