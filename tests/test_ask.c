#include "cgi/ask.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgi/answer.h"
#include "cgi/metavars.h"
#include "cgi/trust.h"
#include "core/clock.h"
#include "fcgi/records.h"
#include "tests/support/records.h"
#include "tests/support/run.h"

#define ALLOW	"Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-CLAIM_SUB: bob\r\n\r\n"

static const struct bg_exports no_exports = { .exports = NULL };
static char dir[256], path[300];

static void
make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	bg_format(dir, sizeof(dir), "%s/bearergate-test.XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	bg_format(path, sizeof(path), "%s/sock", dir);
}

static void
remove_dir(void)
{
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* ---- the request ------------------------------------------------------------------------------------------------ */

START_TEST(what_matters_is_asked_and_nothing_else)
{
	char *env[] = { (char[]){ "PATH=/bin" }, (char[]){ "HTTP_COOKIE=secret" }, (char[]){ "REQUEST_METHOD=GET" }, (char[]){ "REQUEST_URI=/x?y=z" },
		(char[]){ "HTTP_AUTHORIZATION=Bearer x" }, (char[]){ "REDIRECT_REDIRECT_HTTP_AUTHORIZATION=Bearer y" },
		(char[]){ "BEARERGATE_SCOPE=a b" }, (char[]){ "BEARERGATE_NONSENSE=1" }, (char[]){ "HTTPS=on" }, (char[]){ "novalue" },
		(char[]){ "=noname" }, (char[]){ "HTTP_X=1" }, (char[]){ "REMOTE_USER=mallory" }, (char[]){ "CLAIM_SUB=mallory" }, NULL };
	static const char *const wanted[] = { "REQUEST_METHOD", "REQUEST_URI", "HTTP_AUTHORIZATION", "REDIRECT_REDIRECT_HTTP_AUTHORIZATION",
		"BEARERGATE_SCOPE", "BEARERGATE_NONSENSE", "HTTPS" };
	static const char *const unwanted[] = { "PATH", "secret", "HTTP_X", "mallory", "novalue", "noname" };
	struct bg_records_request request;
	struct bg_error err = { 0 };
	struct bg_buf out;
	const char *why;

	bg_buf_init(&out, BG_REC_MAX);
	ck_reason(bg_ask_request(env, &out, &err), err, BG_R_OK, "request");
	ck_assert_msg(bg_records_vet((struct bg_slice){ out.data, out.len }, &request, &why) == BG_RECORDS_WHOLE, "%s", why);
	ck_assert(request.role == BG_ROLE_AUTHORIZER && !request.keep_conn && request.length == out.len);
	for (int i = 0; i < N(wanted); i++)
		ck_assert_msg(memmem(out.data, out.len, wanted[i], strlen(wanted[i])) != NULL, "%s", wanted[i]);
	for (int i = 0; i < N(unwanted); i++)
		ck_assert_msg(memmem(out.data, out.len, unwanted[i], strlen(unwanted[i])) == NULL, "%s", unwanted[i]);
	bg_buf_clear(&out);
}
END_TEST

/* A token of so many bytes: in one record, in several, and more than the daemon takes. */
static const struct { size_t len; enum bg_reason want; } sizes[] = {
	{ 0, BG_R_OK }, { 127, BG_R_OK }, { 128, BG_R_OK }, { 65535, BG_R_OK }, { 65528 - 18 - 5, BG_R_OK }, { 70000, BG_R_OK },
	{ BG_PARAMS_MAX - 18 - 5, BG_R_OK }, { BG_PARAMS_MAX - 18 - 4, BG_R_BAD_REQUEST }, { BG_PARAMS_MAX * 2, BG_R_BAD_REQUEST },
};

START_TEST(what_is_asked_is_what_the_daemon_reads)
{
	size_t len = sizes[_i].len;
	char *var = malloc(len + 32), *env[] = { var, NULL };
	struct bg_records_request request;
	struct bg_error err = { 0 };
	struct bg_buf out;
	const char *why;

	ck_assert_ptr_nonnull(var);
	strcpy(var, "HTTP_AUTHORIZATION=");
	memset(var + strlen(var), 'a', len + 1);
	var[strlen("HTTP_AUTHORIZATION=") + len] = '\0';
	bg_buf_init(&out, BG_REC_MAX);
	ck_reason(bg_ask_request(env, &out, &err), err, sizes[_i].want, "request");
	if (sizes[_i].want == BG_R_OK)
		ck_assert_msg(bg_records_vet((struct bg_slice){ out.data, out.len }, &request, &why) == BG_RECORDS_WHOLE, "%zu: %s", len,
		    why);
	bg_buf_clear(&out);
	free(var);
}
END_TEST

START_TEST(too_many_variables_are_not_asked)
{
	static char var[] = "BEARERGATE_SCOPE=a";
	char *env[BG_PARAMS_COUNT_MAX + 2];
	struct bg_error err = { 0 };
	struct bg_buf out;

	for (size_t i = 0; i <= BG_PARAMS_COUNT_MAX; i++)
		env[i] = var;
	env[BG_PARAMS_COUNT_MAX + 1] = NULL;
	bg_buf_init(&out, BG_REC_MAX);
	ck_reason(bg_ask_request(env, &out, &err), err, BG_R_BAD_REQUEST, "one too many");
	env[BG_PARAMS_COUNT_MAX] = NULL;
	err = (struct bg_error){ 0 };
	ck_reason(bg_ask_request(env, &out, &err), err, BG_R_OK, "as many as there may be");
	bg_buf_clear(&out);
}
END_TEST

/* ---- the connection --------------------------------------------------------------------------------------------- */

enum kind { ANSWERS, DRIPS, CUTS_OFF, CLOSES, IS_SILENT, LISTENS_NOT, IS_AWAY, IS_OPEN_TO_ALL, IS_TOO_LONG };

static const struct { const char *name; enum kind kind; enum bg_reason want; const char *detail; } daemons[] = {
	{ "answers", ANSWERS, BG_R_OK, "" },
	{ "answers byte by byte", DRIPS, BG_R_OK, "" },
	{ "stops in the middle", CUTS_OFF, BG_R_NO_DAEMON, "closed the connection before its answer was whole" },
	{ "closes at once", CLOSES, BG_R_NO_DAEMON, "unix:" },	/* seen on the way there or back */
	{ "is silent", IS_SILENT, BG_R_NO_DAEMON, "no answer in time" },
	{ "left its socket behind", LISTENS_NOT, BG_R_NO_DAEMON, "refused" },
	{ "is not there", IS_AWAY, BG_R_NO_DAEMON, "No such file" },
	{ "is where everybody can be", IS_OPEN_TO_ALL, BG_R_NO_DAEMON, "everybody may write" },
	{ "has a long name", IS_TOO_LONG, BG_R_NO_DAEMON, "too long" },
};

static void
put_answer(struct bg_buf *out)
{
	bg_buf_init(out, BG_REC_MAX);
	bg_rec_put(out, BG_REC_STDOUT, 1, BG_SLICE(ALLOW), 0);
	bg_rec_put(out, BG_REC_STDOUT, 1, BG_SLICE(""), 0);
	bg_rec_put(out, BG_REC_END_REQUEST, 1, (struct bg_slice){ "\0\0\0\0\0\0\0\0", 8 }, 0);
}

/* A daemon of this kind in a process of its own; it leaves when its one client does. */
static pid_t
start_daemon(enum kind kind)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
	char request[65536];
	struct bg_buf answer;
	pid_t pid;

	strcpy(address.sun_path, path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	if (kind == LISTENS_NOT) {
		close(fd);
		return 0;
	}
	ck_assert_int_eq(listen(fd, 4), 0);
	if ((pid = fork()) != 0) {
		close(fd);
		return pid;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	put_answer(&answer);
	if ((client = accept(fd, NULL, NULL)) == -1)
		_exit(1);
	if (kind == CLOSES)
		_exit(0);
	(void)!read(client, request, sizeof(request));
	for (size_t i = 0, n = kind == DRIPS ? 1 : answer.len; kind == DRIPS && i < answer.len; i += n)
		if (write(client, answer.data + i, n) < 0)
			_exit(1);
	if (kind == ANSWERS || kind == CUTS_OFF)
		(void)!write(client, answer.data, kind == ANSWERS ? answer.len : answer.len - 1);
	if (kind == IS_SILENT)
		(void)!read(client, request, sizeof(request));
	_exit(0);
}

START_TEST(only_an_answer_is_one)
{
	char *env[] = { (char[]){ "REQUEST_METHOD=GET" }, NULL };
	enum kind kind = daemons[_i].kind;
	struct bg_response response;
	struct bg_error err = { 0 };
	char longer[200];
	const char *at = path;
	uid_t user = kind == DRIPS ? geteuid() : BG_TRUST_NOBODY;
	pid_t pid = 0;

	bg_response_init(&response);
	response.status = 200;	/* what was there before is no answer */
	if (kind != IS_AWAY && kind != IS_TOO_LONG)
		pid = start_daemon(kind);
	if (kind == IS_OPEN_TO_ALL)
		ck_assert_int_eq(chmod(dir, 0777), 0);
	if (kind == IS_TOO_LONG) {
		bg_format(longer, sizeof(longer), "/%0120d", 1);
		at = longer;
	}
	ck_reason(bg_ask(at, user, kind == IS_SILENT ? 1 : 20, env, &no_exports, &response, &err), err, daemons[_i].want, daemons[_i].name);
	ck_assert_msg(strstr(err.detail, daemons[_i].detail) != NULL, "%s: %s", daemons[_i].name, err.detail);
	ck_assert_int_eq(response.status, daemons[_i].want == BG_R_OK ? 200 : 500);
	ck_assert((response.variables.len > 0) == (daemons[_i].want == BG_R_OK));
	if (kind == IS_OPEN_TO_ALL)
		(void)kill(pid, SIGKILL);
	if (pid != 0)
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	bg_response_clear(&response);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ask");
	TCase *tc = tcase_create("ask");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, what_matters_is_asked_and_nothing_else);
	tcase_add_loop_test(tc, what_is_asked_is_what_the_daemon_reads, 0, N(sizes));
	tcase_add_test(tc, too_many_variables_are_not_asked);
	tcase_add_loop_test(tc, only_an_answer_is_one, 0, N(daemons));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
