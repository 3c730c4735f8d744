#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "core/clock.h"
#include "core/limits.h"
#include "fetch/https.h"
#include "tests/support/web.h"

/*
 * The real program against a real TLS server.  It is looked for where the build leaves it; BEARERGATE_FETCH in the
 * environment names another.
 */

#define N(table)	(int)(sizeof(table) / sizeof((table)[0]))
#ifdef BG_SECCOMP
#define FILTER		"seccomp"
#else
#define FILTER		"none"
#endif
#define LOCAL		"address: private\n"	/* in a head: our server is on 127.0.0.1 */

struct ran {
	int     code;		/* exit code, or 1000 and the signal */
	char   *out;
	size_t  out_len;
	char   *err;
	size_t  err_len;
	int64_t ms;
};

static const char *
program(void)
{
	const char *named = getenv("BEARERGATE_FETCH");

	return named != NULL ? named : "./bearergate-fetch";
}

static void
append(char **to, size_t *len, const char *bytes, size_t n)
{
	*to = realloc(*to, *len + n + 1);
	ck_assert_ptr_nonnull(*to);
	if (n > 0)
		memcpy(*to + *len, bytes, n);
	*len += n;
	(*to)[*len] = '\0';
}

static pid_t
start(char *const *env, char *const *argv, int out, int err)
{
	posix_spawn_file_actions_t actions;
	char *nothing[] = { NULL };
	pid_t pid;

	ck_assert_int_eq(posix_spawn_file_actions_init(&actions), 0);
	if (out != -1)
		ck_assert_int_eq(posix_spawn_file_actions_adddup2(&actions, out, 1), 0);
	else
		ck_assert_int_eq(posix_spawn_file_actions_addclose(&actions, 1), 0);
	ck_assert_int_eq(posix_spawn_file_actions_adddup2(&actions, err, 2), 0);
	ck_assert_msg(posix_spawn(&pid, program(), &actions, NULL, argv, env != NULL ? env : nothing) == 0,
	    "%s cannot be run", program());
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static int
wait_code(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static struct ran
run_env(char *const *env, char *const *argv)
{
	struct ran ran = { 0 };
	int64_t began = bg_clock_mono_ms();
	int out[2], err[2];
	char chunk[4096];
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
	pid = start(env, argv, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	append(&ran.out, &ran.out_len, NULL, 0);
	append(&ran.err, &ran.err_len, NULL, 0);
	while (out[0] != -1 || err[0] != -1) {
		struct pollfd fds[2] = { { .fd = out[0], .events = POLLIN }, { .fd = err[0], .events = POLLIN } };

		ck_assert_int_gt(poll(fds, 2, -1), 0);
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (fds[i].revents == 0)
				continue;
			n = read(fds[i].fd, chunk, sizeof(chunk));
			ck_assert_int_ge(n, 0);
			if (n == 0) {
				close(fds[i].fd);
				*(i == 0 ? out : err) = -1;
			} else if (i == 0)
				append(&ran.out, &ran.out_len, chunk, (size_t)n);
			else
				append(&ran.err, &ran.err_len, chunk, (size_t)n);
		}
	}
	ran.code = wait_code(pid);
	ran.ms = bg_clock_mono_ms() - began;
	return ran;
}

/* The program with these arguments, up to a NULL, and no environment. */
static struct ran
run(const char *arg, ...)
{
	char *argv[16] = { (char *)(uintptr_t)program() };
	size_t n = 1;
	va_list ap;

	va_start(ap, arg);
	for (; arg != NULL; arg = va_arg(ap, const char *)) {
		ck_assert_uint_lt(n, 15);
		argv[n++] = (char *)(uintptr_t)arg;
	}
	va_end(ap);
	return run_env(NULL, argv);
}

static void
forget(struct ran *ran)
{
	free(ran->out);
	free(ran->err);
}

/* Refused soon and with this code, in one line that has these words, and nothing printed. */
static void
expect_refusal(struct ran ran, const char *name, int code, const char *words)
{
	ck_assert_msg(ran.code == code, "%s: exit code %d instead of %d: %s", name, ran.code, code, ran.err);
	ck_assert_msg(strstr(ran.err, words) != NULL, "%s: \"%s\" is not in: %s", name, words, ran.err);
	ck_assert_msg(strncmp(ran.err, "bearergate-fetch: ", 18) == 0, "%s: %s", name, ran.err);
	ck_assert_msg(ran.err_len > 0 && strchr(ran.err, '\n') == ran.err + ran.err_len - 1, "%s: not one line: %s", name,
	    ran.err);
	ck_assert_msg(ran.out_len == 0, "%s: printed %zu bytes", name, ran.out_len);
	ck_assert_msg(ran.ms < 15000, "%s: %" PRId64 " ms", name, ran.ms);	/* where there was something to wait for */
	forget(&ran);
}

static void
expect_body(struct ran ran, const char *name, const char *out)
{
	ck_assert_msg(ran.code == 0, "%s: exit code %d: %s", name, ran.code, ran.err);
	ck_assert_msg(strcmp(ran.out, out) == 0 && ran.out_len == strlen(out), "%s: printed: %s", name, ran.out);
	ck_assert_msg(ran.err_len == 0, "%s: %s", name, ran.err);
	forget(&ran);
}

START_TEST(a_document_is_brought_as_it_is)
{
	static const char body[] = "{\"keys\":[]}\n\0\r\n\xff end";
	struct bg_web *web = bg_web_start(NULL);
	struct ran ran;

	bg_web_set(web, "/keys?a=1&b=%20", &(struct bg_web_answer){ .body = body, .body_len = sizeof(body) - 1 });
	ran = run("-C", bg_web_ca_file(web), bg_web_url(web, "/keys?a=1&b=%20"), NULL);
	ck_assert_msg(ran.code == 0, "%s", ran.err);
	ck_assert_uint_eq(ran.out_len, sizeof(body) - 1);
	ck_assert_mem_eq(ran.out, body, sizeof(body) - 1);
	ck_assert_uint_eq(ran.err_len, 0);
	ck_assert_uint_eq(bg_web_count(web, NULL), 1);
	forget(&ran);
	bg_web_stop(web);
}
END_TEST

START_TEST(options_have_long_names_too)
{
	struct bg_web *web = bg_web_start(NULL);

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}", .headers = "Cache-Control: max-age=600\r\n" });
	expect_body(run("--include", "--timeout", "9", "--ca-file", bg_web_ca_file(web), "--", bg_web_url(web, "/k"), NULL),
	    "long", "max-age: 600\n" LOCAL "\n{}");
	expect_body(run("--timeout=9", "--ca-file", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), "not included", "{}");
	bg_web_stop(web);
}
END_TEST

START_TEST(help_and_version_go_to_standard_output)
{
	struct ran help = run("--help", NULL), version = run("--version", NULL);

	ck_assert_int_eq(help.code, 0);
	ck_assert_int_eq(strncmp(help.out, "usage: bearergate-fetch ", 24), 0);
	ck_assert_int_eq(version.code, 0);
	ck_assert_int_eq(strncmp(version.out, "bearergate-fetch ", 17), 0);
	ck_assert_msg(strstr(version.out, "\nsystem call filter: " FILTER "\n") != NULL, "%s", version.out);
	ck_assert_msg(strstr(version.out, "\nlibcurl/") != NULL, "%s", version.out);
	forget(&help);
	forget(&version);
}
END_TEST

/* SR-87, and nothing that would make an issuer compress, log in or remember. */
START_TEST(a_request_asks_for_no_more_than_the_document)
{
	static const char *const unwanted[] = { "Accept-Encoding", "TE:", "Cookie", "Authorization", "Upgrade", "Referer", "If-" };
	struct bg_web *web = bg_web_start(NULL);
	const char *request;
	char host[64];

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	expect_body(run("-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), "plain", "{}");
	request = bg_web_request(web);
	snprintf(host, sizeof(host), "\r\nHost: localhost:%d\r\n", bg_web_port(web));
	ck_assert_msg(strncmp(request, "GET /k HTTP/1.1\r\n", 17) == 0, "%s", request);
	ck_assert_msg(strstr(request, host) != NULL, "%s", request);
	ck_assert_msg(strstr(request, "\r\nUser-Agent: bearergate-fetch/") != NULL, "%s", request);
	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
		ck_assert_msg(strcasestr(request, unwanted[i]) == NULL, "%s in: %s", unwanted[i], request);
	bg_web_stop(web);
}
END_TEST

/* so many bytes: with its quotes, an entity tag of BG_ETAG_MAX */
#define X50	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X254	X50 X50 X50 X50 X50 "xxxx"

/* "{}", the same sent so, and a header that strlen(3) would cut. */
#define GZIP	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00"
#define GZIPPED	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n16\r\n" GZIP "\r\n0\r\n\r\n"
#define ZERO	"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}"

static const struct {
	const char          *name;
	struct bg_web_answer answer;
	int                  code;
	const char          *words;
} bad_answers[] = {
	/* SR-52: the document is where it was said to be, or nowhere. */
	{ "redirect", { .status = 302, .headers = "Location: /target\r\n" }, EX_DATAERR,
	    "status 302, a redirect to https://localhost:" },
	{ "redirect for ever", { .status = 308, .headers = "Location: /target\r\n" }, EX_DATAERR, "redirects are not followed" },
	{ "redirect to http", { .status = 301, .headers = "Location: http://localhost/\r\n" }, EX_DATAERR,
	    "redirect to http://localhost/" },
	{ "redirect with a body", { .status = 302, .headers = "Location: /target\r\n", .body = "moved", .body_len = 5 }, EX_DATAERR,
	    "status 302, a redirect to /target; redirects are not followed" },
	{ "redirect to a file", { .status = 307, .headers = "Location: file:///etc/passwd\r\n" }, EX_DATAERR, "not followed" },
	{ "3xx without a target", { .status = 300 }, EX_DATAERR, "status 300 instead of 200" },
	{ "not modified, which nobody asked", { .status = 304 }, EX_DATAERR, "status 304 instead of 200" },
	{ "the last below 400", { .status = 399 }, EX_DATAERR, "status 399 instead of 200" },
	/* RFC 9110 section 15.5: the document is not offered; but not where the client should come again. */
	{ "bad request", { .status = 400 }, BG_HTTPS_MISSING, "status 400 instead of 200" },
	{ "not authorised", { .status = 401, .body = "{}" }, BG_HTTPS_MISSING, "status 401 instead of 200" },
	{ "not found", { .status = 404, .body = "{}" }, BG_HTTPS_MISSING, "status 404 instead of 200" },
	{ "not found, without end", { .status = 404, .body = "{}", .how = BG_WEB_HANG_IN_BODY }, BG_HTTPS_MISSING, "status 404" },
	{ "the last of them", { .status = 499 }, BG_HTTPS_MISSING, "status 499 instead of 200" },
	{ "request timeout", { .status = 408 }, EX_DATAERR, "status 408 instead of 200" },
	{ "too early", { .status = 425 }, EX_DATAERR, "status 425 instead of 200" },
	{ "too many requests", { .status = 429 }, EX_DATAERR, "status 429 instead of 200" },
	{ "broken", { .status = 500, .body = "{}" }, EX_DATAERR, "status 500 instead of 200" },
	{ "no content", { .status = 204, .how = BG_WEB_UNTIL_CLOSE }, EX_DATAERR, "status 204" },
	{ "a part", { .status = 206, .body = "{}" }, EX_DATAERR, "status 206" },
	{ "error page without end", { .status = 503, .body = "<html>", .how = BG_WEB_HANG_IN_BODY }, EX_DATAERR, "status 503" },

	/* SR-52: BG_FETCH_MAX, however it comes. */
	{ "too large", { .fill = BG_FETCH_MAX + 1 }, EX_DATAERR, "larger than 524288 bytes" },
	{ "too large in chunks", { .fill = BG_FETCH_MAX + 1, .how = BG_WEB_CHUNKED }, EX_DATAERR, "larger than 524288 bytes" },
	{ "too large without length", { .fill = BG_FETCH_MAX + 1, .how = BG_WEB_UNTIL_CLOSE }, EX_DATAERR,
	    "larger than 524288 bytes" },

	{ "too large by its own word", { .body = "HTTP/1.1 200 OK\r\nContent-Length: 524289\r\n\r\n", .how = BG_WEB_RAW },
	    EX_DATAERR, "larger than 524288 bytes" },
	{ "too large and without end", { .fill = BG_FETCH_MAX + 1, .how = BG_WEB_HANG_IN_BODY }, EX_DATAERR,
	    "larger than 524288 bytes" },

	/* RFC 9110 section 8.4, RFC 9112 section 6.1: codings that nobody asked for. */
	{ "gzip", { .headers = "Content-Encoding: gzip\r\n", .body = GZIP, .body_len = sizeof(GZIP) - 1 }, EX_DATAERR,
	    "Content-Encoding: gzip, which was not asked for" },
	{ "gzip on its way", { .body = GZIPPED, .body_len = sizeof(GZIPPED) - 1, .how = BG_WEB_RAW }, EX_DATAERR,
	    "Transfer-Encoding: gzip, chunked, which was not asked for" },
	{ "a coding of their own", { .headers = "Content-Encoding: identity, rot13\r\n", .body = "{}" }, EX_DATAERR, "rot13" },

	/* RFC 9112 section 8: incomplete. */
	{ "cut short", { .body = "{}", .how = BG_WEB_CUT }, EX_DATAERR, "" },
	{ "last chunk missing", { .body = "{}", .how = BG_WEB_CUT_CHUNKED }, EX_DATAERR, "" },
	{ "reset", { .how = BG_WEB_SLAM }, EX_UNAVAILABLE, "" },
	{ "no header", { .body = "{}\n", .how = BG_WEB_RAW }, EX_DATAERR, "" },
	{ "zero byte in a header", { .body = ZERO, .body_len = sizeof(ZERO) - 1, .how = BG_WEB_RAW }, EX_DATAERR, "" },
	{ "no number for a length", { .body = "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}", .how = BG_WEB_RAW },
	    EX_DATAERR, "" },
	{ "only a promise", { .body = "HTTP/1.1 103 Early Hints\r\n\r\n", .how = BG_WEB_RAW }, EX_UNAVAILABLE, "" },
	{ "nothing", { .how = BG_WEB_RAW }, EX_UNAVAILABLE, "Empty reply" },
};

START_TEST(a_bad_answer_is_refused_and_nothing_of_it_printed)
{
	struct bg_web *web = bg_web_start(NULL);

	bg_web_set(web, "/k", &bad_answers[_i].answer);
	bg_web_set(web, "/target", &(struct bg_web_answer){ .body = "{}" });
	expect_refusal(run("-i", "-t", "20", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), bad_answers[_i].name,
	    bad_answers[_i].code, bad_answers[_i].words);
	ck_assert_uint_eq(bg_web_count(web, "/k"), 1);
	ck_assert_uint_eq(bg_web_count(web, "/target"), 0);
	bg_web_stop(web);
}
END_TEST

START_TEST(an_endless_header_is_refused)
{
	struct bg_web *web = bg_web_start(NULL);
	char *text = NULL;
	size_t len = 0;

	append(&text, &len, "HTTP/1.1 200 OK\r\n", 17);
	while (len < 2 * 64 * 1024)
		append(&text, &len, "X-Header: 0123456789\r\n", 22);
	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = text, .how = BG_WEB_RAW_HANG });
	expect_refusal(run("-t", "20", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), "many lines", EX_DATAERR,
	    "the header of the answer is larger than");
	free(text);
	bg_web_stop(web);
}
END_TEST

START_TEST(an_answer_of_exactly_the_limit_is_taken)
{
	static const enum bg_web_how hows[] = { BG_WEB_WHOLE, BG_WEB_CHUNKED, BG_WEB_UNTIL_CLOSE };
	struct bg_web *web = bg_web_start(NULL);

	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		struct ran ran;

		bg_web_set(web, "/k", &(struct bg_web_answer){ .fill = BG_FETCH_MAX, .how = hows[i] });
		ran = run("-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL);
		ck_assert_msg(ran.code == 0, "%s", ran.err);
		ck_assert_uint_eq(ran.out_len, BG_FETCH_MAX);
		forget(&ran);
	}
	bg_web_stop(web);
}
END_TEST

static const struct {
	const char           *name;
	struct bg_web_options options;
	const char           *words;
} bad_servers[] = {
	/* RFC 9110 section 4.3.4, RFC 6125 section 6; SR-53. */
	{ "for another host", { .cert = BG_WEB_CERT_OTHER_HOST }, "no alternative certificate subject name matches" },
	{ "expired", { .cert = BG_WEB_CERT_EXPIRED }, "certificate has expired" },
	{ "not yet valid", { .cert = BG_WEB_CERT_NOT_YET }, "not yet valid" },
	{ "TLS 1.1", { .max_tls = TLS1_1_VERSION }, "" },	/* RFC 8996 */
};

START_TEST(a_server_that_does_not_prove_who_it_is_gets_no_request)
{
	struct bg_web *web = bg_web_start(&bad_servers[_i].options);

	expect_refusal(run("-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), bad_servers[_i].name, EX_PROTOCOL,
	    bad_servers[_i].words);
	ck_assert_uint_eq(bg_web_connections(web), 1);
	ck_assert_uint_eq(bg_web_count(web, NULL), 0);
	bg_web_stop(web);
}
END_TEST

START_TEST(tls_1_2_is_new_enough)
{
	struct bg_web *web = bg_web_start(&(struct bg_web_options){ .max_tls = TLS1_2_VERSION });

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	expect_body(run("-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), "1.2", "{}");
	bg_web_stop(web);
}
END_TEST

/* SR-53: one authority is trusted, the one that was named; neither the system's beside it nor the environment's. */
START_TEST(a_certificate_of_an_unknown_authority_is_refused)
{
	struct bg_web *web = bg_web_start(NULL), *other = bg_web_start(NULL);
	char cert_file[4096], cert_dir[4096];
	char *argv[] = { (char *)(uintptr_t)program(), (char *)(uintptr_t)bg_web_url(web, "/k"), NULL };
	char *env[] = { cert_file, cert_dir, NULL };

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	expect_refusal(run("-C", bg_web_ca_file(other), bg_web_url(web, "/k"), NULL), "another CA", EX_PROTOCOL,
	    "unable to get local issuer certificate");
	expect_refusal(run(bg_web_url(web, "/k"), NULL), "the system's CAs", EX_PROTOCOL, "certificate");

	snprintf(cert_file, sizeof(cert_file), "SSL_CERT_FILE=%s", bg_web_ca_file(web));
	bg_format(cert_dir, sizeof(cert_dir), "SSL_CERT_DIR=%.*s",
	    (int)(strrchr(bg_web_ca_file(web), '/') - bg_web_ca_file(web)), bg_web_ca_file(web));
	expect_refusal(run_env(env, argv), "SSL_CERT_FILE", EX_PROTOCOL, "certificate");
	ck_assert_uint_eq(bg_web_count(web, NULL), 0);
	bg_web_stop(other);
	bg_web_stop(web);
}
END_TEST

/* A directory with the server's authority as OpenSSL looks for it; its name is then dir, that of the file link. */
static void
make_ca_dir(struct bg_web *web, char dir[4096], char link[4200])
{
	FILE *file = fopen(bg_web_ca_file(web), "re");
	X509 *ca;

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(ca = PEM_read_X509(file, NULL, NULL, NULL));
	fclose(file);
	snprintf(dir, 4096, "%s.d", bg_web_ca_file(web));
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(link, 4200, "%s/%08lx.0", dir, X509_NAME_hash_ex(X509_get_subject_name(ca), NULL, NULL, NULL));
	ck_assert_int_eq(symlink(bg_web_ca_file(web), link), 0);
	X509_free(ca);
}

static void
remove_ca_dir(const char *dir, const char *link)
{
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* An authority with another name than any server's here: of two with one name, OpenSSL looks at the file's alone. */
static void
make_stranger(const char *path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *ca = X509_new();
	FILE *file = fopen(path, "we");

	ck_assert(key != NULL && ca != NULL && file != NULL);
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(ca), "CN", MBSTRING_ASC,
	    (const unsigned char *)"a stranger", -1, -1, 0), 1);
	ck_assert_int_eq(X509_set_issuer_name(ca, X509_get_subject_name(ca)), 1);
	ck_assert(X509_gmtime_adj(X509_getm_notBefore(ca), -3600) != NULL && X509_gmtime_adj(X509_getm_notAfter(ca), 3600) != NULL);
	ck_assert(X509_set_pubkey(ca, key) == 1 && X509_sign(ca, key, EVP_sha256()) > 0);
	ck_assert_int_eq(PEM_write_X509(file, ca), 1);
	ck_assert_int_eq(fclose(file), 0);
	X509_free(ca);
	EVP_PKEY_free(key);
}

START_TEST(authorities_may_be_in_a_directory)
{
	struct bg_web *web = bg_web_start(NULL), *other = bg_web_start(NULL);
	char dir[4096], link[4200], other_dir[4096], other_link[4200], stranger[4200];

	make_ca_dir(web, dir, link);
	make_ca_dir(other, other_dir, other_link);
	snprintf(stranger, sizeof(stranger), "%s.stranger", bg_web_ca_file(web));
	make_stranger(stranger);
	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	expect_body(run("-D", dir, bg_web_url(web, "/k"), NULL), "directory", "{}");
	expect_body(run("--ca-dir", dir, "--ca-file", stranger, bg_web_url(web, "/k"), NULL), "the directory's", "{}");
	expect_body(run("-D", other_dir, "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), "the file's", "{}");
	ck_assert_uint_eq(bg_web_count(web, NULL), 3);

	/* SR-53 */
	expect_refusal(run("-D", other_dir, bg_web_url(web, "/k"), NULL), "another authority", EX_PROTOCOL, "certificate");
	expect_refusal(run("-D", other_dir, "-C", bg_web_ca_file(other), bg_web_url(web, "/k"), NULL), "neither", EX_PROTOCOL,
	    "certificate");
	expect_refusal(run("-D", link, bg_web_url(web, "/k"), NULL), "a file", EX_NOINPUT, ".0: Not a directory");
	remove_ca_dir(dir, link);
	expect_refusal(run("-D", dir, bg_web_url(web, "/k"), NULL), "missing", EX_NOINPUT, "ca.pem.d: No such file or directory");
	ck_assert_uint_eq(bg_web_count(web, NULL), 3);
	remove_ca_dir(other_dir, other_link);
	ck_assert_int_eq(unlink(stranger), 0);
	bg_web_stop(other);
	bg_web_stop(web);
}
END_TEST

/* SR-87.  Port 1 is nobody's: who asked a proxy there would fail. */
START_TEST(proxies_in_the_environment_are_not_asked)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };
	struct bg_web *web = bg_web_start(NULL);
	char env_text[5][64];
	char *env[6] = { NULL };
	char *argv[] = { (char *)(uintptr_t)program(), (char *)(uintptr_t)"-C", (char *)(uintptr_t)bg_web_ca_file(web),
	    (char *)(uintptr_t)bg_web_url(web, "/k"), NULL };

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	for (size_t i = 0; i < 5; i++) {
		snprintf(env_text[i], sizeof(env_text[i]), "%s=http://127.0.0.1:1", names[i]);
		env[i] = env_text[i];
	}
	expect_body(run_env(env, argv), "proxies", "{}");
	bg_web_stop(web);
}
END_TEST

/* The secrets of the session in a file of somebody's choice. */
START_TEST(the_environment_cannot_ask_for_the_session_keys)
{
	struct bg_web *web = bg_web_start(NULL);
	char variable[4200], *file = variable + strlen("SSLKEYLOGFILE=");
	char *env[] = { variable, NULL };
	char *argv[] = { (char *)(uintptr_t)program(), (char *)(uintptr_t)"-C", (char *)(uintptr_t)bg_web_ca_file(web),
	    (char *)(uintptr_t)bg_web_url(web, "/k"), NULL };

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	snprintf(variable, sizeof(variable), "SSLKEYLOGFILE=%s.keylog", bg_web_ca_file(web));
	expect_body(run_env(env, argv), "key log", "{}");
	ck_assert_int_eq(access(file, F_OK), -1);
	bg_web_stop(web);
}
END_TEST

static const struct {
	const char *name;
	const char *args[4];
	const char *words;	/* behind the name of what is wrong */
} bad_arguments[] = {
	{ "http", { "http://localhost/k" }, "http://localhost/k: begins with http://" },
	{ "file", { "file:///etc/passwd" }, "does not begin with https://" },
	{ "no scheme", { "localhost/k" }, "does not begin with https://" },
	{ "empty URL", { "" }, "is empty" },
	{ "no host", { "https:///k" }, "has no host" },
	{ "credentials", { "https://me:secret@localhost/" }, "has credentials in it" },
	{ "control characters", { "https://localhost/\n\x1b[31m" }, "https://localhost/\\x0a\\x1b[31m: has" },
	{ "no time", { "-t", "0", "https://localhost/" }, "0: the time limit is a whole number of seconds, 1 to 3600" },
	{ "empty time", { "-t", "", "https://localhost/" }, "whole number" },
	{ "time with a unit", { "-t", "5s", "https://localhost/" }, "5s: the time limit" },	/* SR-53: junk behind */
	{ "negative time", { "-t", "-1", "https://localhost/" }, "whole number" },
	{ "long time", { "-t", "3601", "https://localhost/" }, "1 to 3600" },
	{ "overflow", { "-t", "18446744073709551617", "https://localhost/" }, "1 to 3600" },
	/* RFC 9110 section 8.8.3 */
	{ "no etag", { "-E", "", "https://localhost/" }, "an entity tag stands in double quotes" },
	{ "etag without quotes", { "-E", "abc", "https://localhost/" }, "abc: an entity tag" },
	{ "any etag", { "-E", "*", "https://localhost/" }, "*: an entity tag" },
	{ "etag with a line's end", { "-E", "\"a\"\r\nX: \"y\"", "https://localhost/" }, "\"a\"\\x0d\\x0aX: \"y\": an entity" },
	/* SR-87; what is wrong with it is not shown, for it may be a password */
	{ "proxy with a password", { "-x", "http://me:secret@127.0.0.1:1", "https://localhost/" }, "fetch: proxy: has credentials" },
	{ "proxy by TLS", { "-x", "https://127.0.0.1:1", "https://localhost/" }, "does not begin with http://" },
	{ "proxy by SOCKS", { "-x", "socks5h://127.0.0.1:1", "https://localhost/" }, "does not begin with http://" },
	{ "proxy without a scheme", { "-x", "127.0.0.1:1", "https://localhost/" }, "does not begin with http://" },
	{ "proxy without a port", { "-x", "http://127.0.0.1", "https://localhost/" }, "has no port" },
	{ "proxy with a path", { "-x", "http://127.0.0.1:1/", "https://localhost/" }, "has more behind its host and port" },
	{ "no proxy", { "-x", "", "https://localhost/" }, "fetch: proxy: is empty" },
	{ "etag of 257 bytes", { "-E", "\"" X254 "x\"", "https://localhost/" }, "an entity tag" },
};

START_TEST(a_bad_argument_is_a_usage_error)
{
	const char *const *args = bad_arguments[_i].args;

	expect_refusal(run(args[0], args[1], args[2], NULL), bad_arguments[_i].name, EX_USAGE, bad_arguments[_i].words);
}
END_TEST

START_TEST(wrong_usage_shows_the_right_one)
{
	static const char *const lines[][2] = { { NULL }, { "https://localhost/", "https://localhost/" }, { "-k" },
	    { "--insecure" }, { "-C" }, { "-x" }, { "--no-proxy" } };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct ran ran = run(lines[i][0], lines[i][1], NULL);

		ck_assert_int_eq(ran.code, EX_USAGE);
		ck_assert_msg(strstr(ran.err, "usage: bearergate-fetch ") != NULL, "%s", ran.err);
		ck_assert_uint_eq(ran.out_len, 0);
		forget(&ran);
	}
}
END_TEST

/* http:// is refused before anything is sent: whoever listens sees no connection. */
START_TEST(an_open_line_is_never_used)
{
	struct bg_web *web = bg_web_start(NULL);
	char url[128];

	snprintf(url, sizeof(url), "http://localhost:%d/k", bg_web_port(web));
	expect_refusal(run("-C", bg_web_ca_file(web), url, NULL), "http", EX_USAGE, "begins with http://");
	ck_assert_uint_eq(bg_web_connections(web), 0);
	bg_web_stop(web);
}
END_TEST

START_TEST(an_unusable_ca_file_is_named)
{
	struct bg_web *web = bg_web_start(NULL);
	const char *ca = bg_web_ca_file(web);
	char missing[4096], junk[4096], fifo[4096], dir[4096];
	FILE *file;

	snprintf(missing, sizeof(missing), "%s.missing", ca);
	snprintf(junk, sizeof(junk), "%s.junk", ca);
	snprintf(fifo, sizeof(fifo), "%s.fifo", ca);
	bg_format(dir, sizeof(dir), "%.*s", (int)(strrchr(ca, '/') - ca), ca);
	ck_assert_ptr_nonnull(file = fopen(junk, "w"));
	ck_assert_int_ge(fputs("-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n", file), 0);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);

	expect_refusal(run("-C", missing, bg_web_url(web, "/k"), NULL), "missing", EX_NOINPUT, "ca.pem.missing: No such file");
	expect_refusal(run("-C", dir, bg_web_url(web, "/k"), NULL), "directory", EX_NOINPUT, "Is a directory");
	expect_refusal(run("-C", fifo, bg_web_url(web, "/k"), NULL), "pipe", EX_NOINPUT, "ca.pem.fifo: Invalid argument");
	ck_assert_uint_eq(bg_web_connections(web), 0);
	expect_refusal(run("-C", junk, bg_web_url(web, "/k"), NULL), "junk", EX_NOINPUT, "ca.pem.junk");
	ck_assert_uint_eq(bg_web_count(web, NULL), 0);
	ck_assert_int_eq(unlink(junk), 0);
	ck_assert_int_eq(unlink(fifo), 0);
	bg_web_stop(web);
}
END_TEST

static const struct {
	const char           *name;
	struct bg_web_options options;
	struct bg_web_answer  answer;
} slow[] = {
	{ "no TLS", { .mute = true }, { 0 } },
	{ "no answer", { 0 }, { .how = BG_WEB_HANG } },
	{ "no body", { 0 }, { .body = "{}", .how = BG_WEB_HANG_IN_BODY } },
	{ "byte by byte", { 0 }, { .fill = 10000, .how = BG_WEB_DRIP } },	/* never idle for long, and never done */
};

START_TEST(a_slow_server_is_given_up_in_time)
{
	struct bg_web *web = bg_web_start(&slow[_i].options);
	struct ran ran;

	bg_web_set(web, "/k", &slow[_i].answer);
	ran = run("-t", "1", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL);
	ck_assert_msg(ran.ms >= 900, "%s: %" PRId64 " ms", slow[_i].name, ran.ms);
	expect_refusal(ran, slow[_i].name, EX_TEMPFAIL, "timed out");
	bg_web_stop(web);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_unreachable)
{
	struct bg_web *web = bg_web_start(NULL);
	char url[128];

	snprintf(url, sizeof(url), "https://127.0.0.1:%d/k", bg_web_port(web));
	bg_web_stop(web);
	expect_refusal(run(url, NULL), "nobody", EX_UNAVAILABLE, "connect");
}
END_TEST

static const struct {
	const char *name;
	const char *headers;
	int64_t     want;	/* -1: as if nothing had been said */
} lifetimes[] = {
	{ "none", NULL, -1 },
	{ "plain", "Cache-Control: max-age=600\r\n", 600 },
	{ "zero", "Cache-Control: max-age=0\r\n", 0 },
	{ "among others", "cache-control: public, max-age=15, stale-while-revalidate=15, stale-if-error=86400\r\n", 15 },
	{ "other case", "Cache-Control: Max-Age=7\r\n", 7 },
	{ "no space", "Cache-Control: public,max-age=7,must-revalidate\r\n", 7 },
	{ "empty items", "Cache-Control: ,, \t,max-age=7 ,\r\n", 7 },		/* RFC 9110 section 5.6.1 */
	{ "in quotes", "Cache-Control: max-age=\"7\"\r\n", 7 },		/* RFC 9111 section 5.2: both forms */
	{ "within quotes", "Cache-Control: x=\"a, max-age=5, \\\", max-age=6\", max-age=7\r\n", 7 },
	{ "quotes without end", "Cache-Control: x=\"a, max-age=5\r\n", -1 },
	{ "second line", "Cache-Control: public\r\nCache-Control: max-age=7\r\n", 7 },
	{ "two, first counts", "Cache-Control: max-age=7, max-age=9\r\n", 7 },	/* RFC 9111 section 4.2.1 */
	{ "no-store", "Cache-Control: max-age=600, no-store\r\n", 0 },		/* RFC 9111 section 5.2.2.5 */
	{ "no-cache", "Cache-Control: no-cache\r\n", 0 },			/* RFC 9111 section 5.2.2.4 */
	{ "no-cache in part", "Cache-Control: max-age=600, no-cache=\"set-cookie\"\r\n", 0 },
	{ "no-store in a second line", "Cache-Control: max-age=600\r\nCache-Control: NO-STORE\r\n", 0 },
	{ "another name", "Cache-Control: s-maxage=600, x-max-age=600, max-age-x=600\r\n", -1 },
	{ "junk", "Cache-Control: max-age=abc\r\n", -1 },
	{ "junk behind", "Cache-Control: max-age=600s\r\n", -1 },
	{ "a fraction", "Cache-Control: max-age=6.5\r\n", -1 },
	{ "negative", "Cache-Control: max-age=-1\r\n", -1 },
	{ "a sign", "Cache-Control: max-age=+1\r\n", -1 },
	{ "empty", "Cache-Control: max-age=\r\n", -1 },
	{ "no value", "Cache-Control: max-age\r\n", -1 },
	{ "spaces", "Cache-Control: max-age = 600\r\n", -1 },
	{ "the largest", "Cache-Control: max-age=2147483648\r\n", INT64_C(2147483648) },	/* RFC 9111 section 1.2.2 */
	{ "above it", "Cache-Control: max-age=2147483649\r\n", -1 },
	{ "overflow", "Cache-Control: max-age=18446744073709551617\r\n", -1 },
	{ "half used up", "Cache-Control: max-age=600\r\nAge: 100\r\n", 500 },		/* RFC 9111 section 4.2.3 */
	{ "used up", "Age: 601\r\nCache-Control: max-age=600\r\n", 0 },
	{ "odd age", "Cache-Control: max-age=600\r\nAge: yesterday\r\n", 600 },
};

START_TEST(the_lifetime_is_what_cache_control_says)
{
	struct bg_web *web = bg_web_start(NULL);
	char want[64] = LOCAL "\n{}";

	if (lifetimes[_i].want >= 0)
		snprintf(want, sizeof(want), "max-age: %" PRId64 "\n" LOCAL "\n{}", lifetimes[_i].want);
	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}", .headers = lifetimes[_i].headers });
	expect_body(run("-i", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), lifetimes[_i].name, want);
	bg_web_stop(web);
}
END_TEST

static const struct { const char *name, *headers, *want; } etags[] = {
	/* RFC 9110 section 8.8.3; what is none is none, and no reason to refuse a document. */
	{ "strong", "ETag: \"a\"\r\n", "etag: \"a\"\n" LOCAL "\n{}" },
	{ "weak", "etag:W/\"a\" \r\n", "etag: W/\"a\"\n" LOCAL "\n{}" },
	{ "empty quotes", "ETag: \"\"\r\n", "etag: \"\"\n" LOCAL "\n{}" },
	{ "with a lifetime", "ETag: \"a\"\r\nCache-Control: max-age=7\r\n", "max-age: 7\netag: \"a\"\n" LOCAL "\n{}" },
	{ "256 bytes", "ETag: \"" X254 "\"\r\n", "etag: \"" X254 "\"\n" LOCAL "\n{}" },
	{ "257 bytes", "ETag: \"" X254 "x\"\r\n", LOCAL "\n{}" },
	{ "no quotes", "ETag: a\r\n", LOCAL "\n{}" },
	{ "empty", "ETag:\r\n", LOCAL "\n{}" },
	{ "obs-text", "ETag: \"\xe4\"\r\n", LOCAL "\n{}" },
	{ "a space", "ETag: \"a b\"\r\n", LOCAL "\n{}" },
	{ "two in one", "ETag: \"a\", \"b\"\r\n", LOCAL "\n{}" },
	{ "two", "ETag: \"a\"\r\nETag: \"b\"\r\n", LOCAL "\n{}" },
};

START_TEST(the_entity_tag_is_what_the_server_sent_if_it_is_one)
{
	struct bg_web *web = bg_web_start(NULL);

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}", .headers = etags[_i].headers });
	expect_body(run("-i", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), etags[_i].name, etags[_i].want);
	/* With an etag, and yet a new document.  Without -i there is nothing but that. */
	expect_body(run("-i", "-E", "\"old\"", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), etags[_i].name,
	    etags[_i].want);
	expect_body(run("-E", "\"old\"", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), etags[_i].name, "{}");
	bg_web_stop(web);
}
END_TEST

static const struct { const char *name, *raw, *want; } confirmed[] = {
	{ "bare", "HTTP/1.1 304 Not Modified\r\n\r\n", "not-modified: yes\n" LOCAL "\n" },
	{ "with what it would have had", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nETag: \"b\"\r\n"
	    "Content-Encoding: gzip\r\nLocation: /target\r\n\r\n", "not-modified: yes\n" LOCAL "\n" },
	{ "with a lifetime", "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nAge: 100\r\n\r\n",
	    "max-age: 500\nnot-modified: yes\n" LOCAL "\n" },	/* RFC 9111 section 4.3.4 */
	{ "with a body, which it cannot have", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n{}",
	    "not-modified: yes\n" LOCAL "\n" },	/* RFC 9110 section 15.4.5 */
};

START_TEST(a_document_that_is_the_same_is_not_sent_again)
{
	static const char *const tags[] = { "\"a\"", "W/\"a,b\"", "\"" X254 "\"" };
	struct bg_web *web = bg_web_start(NULL);

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = confirmed[_i].raw, .how = BG_WEB_RAW });
	for (int i = 0; i < N(tags); i++) {
		char line[400];

		snprintf(line, sizeof(line), "\r\nIf-None-Match: %s\r\n", tags[i]);
		expect_body(run("--include", "--etag", tags[i], "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL),
		    confirmed[_i].name, confirmed[_i].want);
		ck_assert_msg(strstr(bg_web_request(web), line) != NULL, "%s", bg_web_request(web));
	}
	expect_body(run("-E", "\"a\"", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), confirmed[_i].name, "");
	expect_refusal(run("-i", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), "not asked", EX_DATAERR, "status 304");
	bg_web_stop(web);
}
END_TEST

static const struct { const char *name, *raw, *want; } blocks[] = {
	/* RFC 9110 section 15.2: what a 1xx says is not about the answer. */
	{ "early hints", "HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=1\r\n\r\n"
	    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=7\r\n\r\n{}", "max-age: 7\n" LOCAL "\n{}" },
	{ "early hints alone say it", "HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=1\r\n\r\n"
	    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", LOCAL "\n{}" },
	{ "redirect in early hints", "HTTP/1.1 103 Early Hints\r\nLocation: /target\r\n\r\n"
	    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", LOCAL "\n{}" },
	/* RFC 9110 section 6.5.1: trailers are not merged into the header. */
	{ "trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Cache-Control\r\n\r\n2\r\n{}\r\n0\r\n"
	    "Cache-Control: max-age=1\r\n\r\n", LOCAL "\n{}" },
	{ "more than was promised", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}", LOCAL "\n{}" },
};

START_TEST(only_the_header_of_the_answer_itself_counts)
{
	struct bg_web *web = bg_web_start(NULL);

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = blocks[_i].raw, .how = BG_WEB_RAW });
	expect_body(run("-i", "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), blocks[_i].name, blocks[_i].want);
	bg_web_stop(web);
}
END_TEST

/* The value of a "Name:" line in a file of /proc, or "". */
static void
proc_line(pid_t pid, const char *file, const char *name, char *value, size_t size)
{
	char path[64], line[512];
	FILE *proc;

	value[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	ck_assert_ptr_nonnull(proc = fopen(path, "r"));
	while (fgets(line, sizeof(line), proc) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			snprintf(value, size, "%s", line + strlen(name) + strspn(line + strlen(name), ": \t"));
	fclose(proc);
}

/* SR-90: looked at from outside while it waits for its server. */
START_TEST(it_runs_without_what_it_does_not_need)
{
	struct bg_web *web = bg_web_start(NULL);
	char *argv[] = { (char *)(uintptr_t)program(), (char *)(uintptr_t)"-t", (char *)(uintptr_t)"30",
	    (char *)(uintptr_t)"-C", (char *)(uintptr_t)bg_web_ca_file(web), (char *)(uintptr_t)bg_web_url(web, "/k"), NULL };
	struct rlimit core;
	struct stat st;
	int out[2], leak[2];
	char value[512], byte;
	pid_t pid;

	/* as much as we may ourselves, so that it is the program that lowers it */
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &core), 0);
	core.rlim_cur = core.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_CORE, &core), 0);
	bg_web_set(web, "/k", &(struct bg_web_answer){ .how = BG_WEB_HANG });
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe(leak), 0);	/* not O_CLOEXEC: it is there when the program starts */
	pid = start(NULL, argv, out[1], out[1]);
	close(leak[1]);
	ck_assert(bg_web_wait(web, "/k", 1, 20));

	proc_line(pid, "status", "NoNewPrivs", value, sizeof(value));
	ck_assert_str_eq(value, "1\n");
	proc_line(pid, "status", "Seccomp:", value, sizeof(value));
	ck_assert_msg(strcmp(FILTER, "none") == 0 || strcmp(value, "2\n") == 0, "Seccomp: %s", value);	/* 2: a filter */
	proc_line(pid, "limits", "Max core file size", value, sizeof(value));
	ck_assert_msg(strncmp(value, "0 ", 2) == 0, "core: %s", value);
	proc_line(pid, "limits", "Max file size", value, sizeof(value));
	ck_assert_msg(strncmp(value, "0 ", 2) == 0, "file size: %s", value);
	proc_line(pid, "limits", "Max cpu time", value, sizeof(value));
	ck_assert_msg(strncmp(value, "10 ", 3) == 0, "CPU: %s", value);
	/* PR_SET_DUMPABLE shows in who owns its files here, unless that is the superuser anyway. */
	snprintf(value, sizeof(value), "/proc/%d/environ", (int)pid);
	ck_assert_int_eq(stat(value, &st), 0);
	ck_assert_uint_eq(st.st_uid, 0);
	/* The other end of the pipe is closed everywhere when this returns at once and with nothing. */
	ck_assert_int_eq(read(leak[0], &byte, 1), 0);

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(wait_code(pid), 1000 + SIGKILL);
	close(leak[0]);
	close(out[0]);
	close(out[1]);
	bg_web_stop(web);
}
END_TEST

START_TEST(its_output_may_be_a_file)
{
	struct bg_web *web = bg_web_start(NULL);
	char *argv[] = { (char *)(uintptr_t)program(), (char *)(uintptr_t)"-C", (char *)(uintptr_t)bg_web_ca_file(web),
	    (char *)(uintptr_t)bg_web_url(web, "/k"), NULL };
	struct stat st;
	FILE *file;

	bg_web_set(web, "/k", &(struct bg_web_answer){ .fill = 100000 });
	ck_assert_ptr_nonnull(file = tmpfile());
	ck_assert_int_eq(wait_code(start(NULL, argv, fileno(file), STDERR_FILENO)), 0);
	ck_assert_int_eq(fstat(fileno(file), &st), 0);
	ck_assert_int_eq(st.st_size, 100000);
	fclose(file);
	bg_web_stop(web);
}
END_TEST

START_TEST(output_that_cannot_be_written_is_an_error)
{
	struct bg_web *web = bg_web_start(NULL);
	char *argv[] = { (char *)(uintptr_t)program(), (char *)(uintptr_t)"-C", (char *)(uintptr_t)bg_web_ca_file(web),
	    (char *)(uintptr_t)bg_web_url(web, "/k"), NULL };
	int full, out[2];
	FILE *err;

	bg_web_set(web, "/k", &(struct bg_web_answer){ .fill = 100000 });
	ck_assert_ptr_nonnull(err = tmpfile());
	ck_assert_int_ne(full = open("/dev/full", O_WRONLY | O_CLOEXEC), -1);
	ck_assert_int_eq(wait_code(start(NULL, argv, full, fileno(err))), EX_IOERR);
	ck_assert_int_eq(wait_code(start(NULL, argv, -1, fileno(err))), EX_IOERR);	/* closed */
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	close(out[0]);
	ck_assert_int_eq(wait_code(start(NULL, argv, out[1], fileno(err))), EX_IOERR);	/* nobody reads */
	close(out[1]);
	close(full);
	fclose(err);
	bg_web_stop(web);
}
END_TEST

/* SR-52.  All of these lead to this machine, where the server waits in vain. */
static const char *const not_public[] = { "localhost", "127.0.0.1", "127.1.2.3", "0.0.0.0", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:0:0]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]" };

START_TEST(who_is_not_public_is_not_asked)
{
	struct bg_web *web = bg_web_start(NULL);
	char url[128];

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	for (int i = 0; i < N(not_public); i++) {
		snprintf(url, sizeof(url), "https://%s:%d/k", not_public[i], bg_web_port(web));
		expect_refusal(run(i % 2 == 0 ? "-P" : "--public", "-t", "5", "-C", bg_web_ca_file(web), url, NULL),
		    not_public[i], EX_NOPERM, "address, and only a public one may be asked");
	}
	ck_assert_uint_eq(bg_web_connections(web), 0);
	bg_web_stop(web);
}
END_TEST

/*
 * A proxy on 127.0.0.1 in a thread of its own, for one connection at a time.  It leads to one port here whatever name it
 * is asked for, or gives an answer of its own and closes.
 */
struct proxy {
	int         listener;
	int         target;	/* port */
	const char *reply;	/* NULL: it connects, and says that it has */
	pthread_t   thread;
	char        url[64];
	unsigned    count;	/* requests; to be looked at when it has stopped, as the next */
	char        head[4096];	/* of the last request */
};

#define TUNNEL	"HTTP/1.1 200 OK\r\nETag: \"proxy\"\r\nCache-Control: max-age=1\r\n\r\n"

static int
open_socket_at(int port, bool listens)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || (listens ? bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0 :
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0))
		abort();
	return fd;
}

/* Until one side has closed. */
static void
relay(int a, int b)
{
	char bytes[4096];

	for (;;) {
		struct pollfd fds[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };

		if (poll(fds, 2, -1) < 0)
			return;
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (fds[i].revents == 0)
				continue;
			if ((n = recv(fds[i].fd, bytes, sizeof(bytes), 0)) <= 0 ||
			    send(fds[1 - i].fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
				return;
		}
	}
}

static void
serve_one(struct proxy *proxy, int fd)
{
	const char *reply = proxy->reply != NULL ? proxy->reply : TUNNEL;
	size_t len = 0;
	ssize_t n;

	do {
		if ((n = recv(fd, proxy->head + len, sizeof(proxy->head) - 1 - len, 0)) <= 0)
			return;
		proxy->head[len += (size_t)n] = '\0';
	} while (strstr(proxy->head, "\r\n\r\n") == NULL);
	proxy->count++;
	if (send(fd, reply, strlen(reply), MSG_NOSIGNAL) == (ssize_t)strlen(reply) && proxy->reply == NULL) {
		int server = open_socket_at(proxy->target, false);

		relay(fd, server);
		close(server);
	}
	shutdown(fd, SHUT_WR);
}

static void *
proxy_main(void *arg)
{
	struct proxy *proxy = arg;
	int fd;

	while ((fd = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC)) != -1) {
		serve_one(proxy, fd);
		close(fd);
	}
	return NULL;
}

static void
proxy_start(struct proxy *proxy, int target, const char *reply)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	*proxy = (struct proxy){ .listener = open_socket_at(0, true), .target = target, .reply = reply };
	ck_assert_int_eq(getsockname(proxy->listener, (struct sockaddr *)&address, &len), 0);
	snprintf(proxy->url, sizeof(proxy->url), "http://127.0.0.1:%d", ntohs(address.sin_port));
	ck_assert_int_eq(pthread_create(&proxy->thread, NULL, proxy_main, proxy), 0);
}

static void
proxy_stop(struct proxy *proxy)
{
	shutdown(proxy->listener, SHUT_RDWR);
	ck_assert_int_eq(pthread_join(proxy->thread, NULL), 0);
	close(proxy->listener);
}

/* localhost.example is what the certificate says, and no resolver here knows that name: it is the proxy's to know. */
START_TEST(a_proxy_leads_to_the_server_and_learns_no_more_than_its_name)
{
	static const char *const unwanted[] = { "Authorization", "Cookie", "If-None-Match" };
	struct bg_web *web = bg_web_start(&(struct bg_web_options){ .cert = BG_WEB_CERT_OTHER_HOST });
	char url[128], line[128];
	struct proxy proxy;

	snprintf(url, sizeof(url), "https://localhost.example:%d/k", bg_web_port(web));
	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	proxy_start(&proxy, bg_web_port(web), NULL);
	expect_body(run("-P", "--proxy", proxy.url, "-C", bg_web_ca_file(web), url, NULL), "public", "{}");
	/* What the proxy says in its header is not about the document. */
	expect_body(run("-i", "-x", proxy.url, "-E", "\"a\"", "-C", bg_web_ca_file(web), url, NULL), "head", "\n{}");
	proxy_stop(&proxy);
	ck_assert_uint_eq(proxy.count, 2);
	ck_assert_uint_eq(bg_web_count(web, "/k"), 2);
	snprintf(line, sizeof(line), "CONNECT localhost.example:%d HTTP/1.1\r\n", bg_web_port(web));
	ck_assert_msg(strncmp(proxy.head, line, strlen(line)) == 0, "%s", proxy.head);
	for (int i = 0; i < N(unwanted); i++)
		ck_assert_msg(strstr(proxy.head, unwanted[i]) == NULL, "%s", proxy.head);
	ck_assert_msg(strcasestr(bg_web_request(web), "proxy") == NULL, "%s", bg_web_request(web));
	ck_assert_msg(strstr(bg_web_request(web), "\r\nIf-None-Match: \"a\"\r\n") != NULL, "%s", bg_web_request(web));
	bg_web_stop(web);
}
END_TEST

/* SR-53 */
START_TEST(a_proxy_cannot_stand_in_for_the_server)
{
	struct bg_web *web = bg_web_start(NULL), *other = bg_web_start(NULL);
	struct proxy proxy;

	bg_web_set(other, "/k", &(struct bg_web_answer){ .body = "{}" });
	proxy_start(&proxy, bg_web_port(other), NULL);
	expect_refusal(run("-x", proxy.url, "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), "another server",
	    EX_PROTOCOL, "certificate");
	expect_refusal(run("-x", proxy.url, "-C", bg_web_ca_file(other), "https://issuer.example/k", NULL), "another name",
	    EX_PROTOCOL, "no alternative certificate subject name matches");
	proxy_stop(&proxy);
	ck_assert_uint_eq(proxy.count, 2);
	ck_assert_uint_eq(bg_web_count(other, NULL), 0);
	bg_web_stop(other);
	bg_web_stop(web);
}
END_TEST

/* Whatever it says, it is the proxy's word, and nothing that the server has answered. */
static const struct { const char *name, *reply; int code; } replies[] = {
	{ "forbidden", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", EX_UNAVAILABLE },
	{ "not found", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", EX_UNAVAILABLE },
	{ "not modified", "HTTP/1.1 304 Not Modified\r\n\r\n", EX_UNAVAILABLE },
	{ "redirect", "HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n", EX_UNAVAILABLE },
	{ "who are you", "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
	    EX_UNAVAILABLE },
	{ "bad gateway", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", EX_UNAVAILABLE },
	{ "a document in the open", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", EX_PROTOCOL },
	{ "nothing", "", EX_UNAVAILABLE },
};

START_TEST(the_word_of_a_proxy_is_not_that_of_the_server)
{
	struct proxy proxy;

	proxy_start(&proxy, 0, replies[_i].reply);
	expect_refusal(run("-i", "-E", "\"a\"", "-x", proxy.url, "https://issuer.example/k", NULL), replies[_i].name,
	    replies[_i].code, "");
	proxy_stop(&proxy);
	ck_assert_uint_eq(proxy.count, 1);
	expect_refusal(run("-x", proxy.url, "https://issuer.example/k", NULL), "nobody", EX_UNAVAILABLE, "connect");
}
END_TEST

/* SR-52: as far as can be told without a resolver. */
static const char *const not_by_proxy[] = { "localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "10.0.0.1", "[::1]",
    "[fe80::1]", "[::ffff:192.168.0.1]", "169.254.169.254" };

START_TEST(a_proxy_is_not_asked_for_who_is_not_public)
{
	struct bg_web *web = bg_web_start(NULL);
	struct proxy proxy;
	char url[128];

	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	proxy_start(&proxy, bg_web_port(web), NULL);
	for (int i = 0; i < N(not_by_proxy); i++) {
		snprintf(url, sizeof(url), "https://%s:%d/k", not_by_proxy[i], bg_web_port(web));
		expect_refusal(run("-P", "-x", proxy.url, url, NULL), url, EX_NOPERM, ", and only a public one may be asked");
	}
	expect_body(run("-i", "-x", proxy.url, "-C", bg_web_ca_file(web), bg_web_url(web, "/k"), NULL), "not public", LOCAL "\n{}");
	proxy_stop(&proxy);
	ck_assert_uint_eq(proxy.count, 1);
	bg_web_stop(web);
}
END_TEST

/*
 * The rest runs fetch/https.c in this very program, and so without what fetch/main.c does before.  The resolver is ours: libcurl
 * calls this function instead of the C library's, so that no test asks a name server.
 */
static sem_t *hang_until;		/* NULL: it does not hang */
static const char *const *known;	/* the addresses of every name, up to a NULL; NULL: there is no such name */

struct known_address {
	struct addrinfo         info;
	struct sockaddr_storage address;
};

/* Seen by libcurl, which our other names are not. */
#define FOR_ALL	__attribute__((visibility("default")))

FOR_ALL int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo **end = res;

	(void)node;
	*res = NULL;
	if (hang_until != NULL)
		while (sem_wait(hang_until) != 0)
			continue;
	for (const char *const *text = known; text != NULL && *text != NULL; text++) {
		struct known_address *k = calloc(1, sizeof(*k));
		struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(service)) };
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port };
		bool is_v4 = inet_pton(AF_INET, *text, &v4.sin_addr) == 1;

		if (k == NULL || (!is_v4 && inet_pton(AF_INET6, *text, &v6.sin6_addr) != 1))
			abort();
		if (is_v4)
			memcpy(&k->address, &v4, sizeof(v4));
		else
			memcpy(&k->address, &v6, sizeof(v6));
		k->info = (struct addrinfo){ .ai_family = is_v4 ? AF_INET : AF_INET6, .ai_socktype = hints->ai_socktype,
		    .ai_addrlen = is_v4 ? sizeof(v4) : sizeof(v6), .ai_addr = (struct sockaddr *)&k->address };
		*end = &k->info;
		end = &k->info.ai_next;
	}
	return *res != NULL ? 0 : EAI_NONAME;
}

FOR_ALL void
freeaddrinfo(struct addrinfo *info)
{
	while (info != NULL) {
		struct addrinfo *next = info->ai_next;

		free(info);	/* it begins its struct known_address */
		info = next;
	}
}

/* There is one public address in this world, and it is ours: what goes there arrives on 127.0.0.1. */
#define PUBLIC	"8.8.8.8"
static int led_here = -1;	/* the socket that was led astray so */

FOR_ALL int
connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t len)
{
	struct sockaddr_in v4;

	if (address.__sockaddr__->sa_family == AF_INET) {
		memcpy(&v4, address.__sockaddr__, sizeof(v4));
		if (v4.sin_addr.s_addr == inet_addr(PUBLIC)) {
			v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			led_here = fd;
			return (int)syscall(SYS_connect, fd, &v4, sizeof(v4));
		}
	}
	return (int)syscall(SYS_connect, fd, address.__sockaddr__, len);
}

FOR_ALL int
getpeername(int fd, __SOCKADDR_ARG address, socklen_t *len)
{
	int rc = (int)syscall(SYS_getpeername, fd, address.__sockaddr__, len);

	if (rc == 0 && fd == led_here)
		((struct sockaddr_in *)(void *)address.__sockaddr__)->sin_addr.s_addr = inet_addr(PUBLIC);
	return rc;
}

static int
get_here(const char *url, const char *ca_file, struct bg_error *err)
{
	struct bg_https_request request = { .url = url, .ca_file = ca_file, .timeout = 1 };
	struct bg_https_answer answer;
	struct bg_buf body;
	int rc;

	bg_buf_init(&body, BG_FETCH_MAX);
	rc = bg_https_get(&request, &body, &answer, err);
	bg_buf_clear(&body);
	return rc;
}

START_TEST(a_name_that_nobody_knows_is_said_to_be_one)
{
	struct bg_error err = { .reason = BG_R_OK };

	ck_assert_int_eq(get_here("https://issuer.example/", NULL, &err), EX_NOHOST);
	ck_assert_int_eq(err.reason, BG_R_FETCH_FAILED);
	ck_assert_msg(strstr(err.detail, "Could not resolve host: issuer.example") != NULL, "%s", err.detail);
}
END_TEST

/* SR-52: the time limit holds for the resolver too, which knows none that short and cannot be interrupted. */
START_TEST(a_resolver_that_hangs_is_given_up_in_time)
{
	struct bg_error err = { .reason = BG_R_OK };
	int64_t began = bg_clock_mono_ms();
	sem_t never;

	ck_assert_int_eq(sem_init(&never, 0, 0), 0);
	hang_until = &never;
	ck_assert_int_eq(get_here("https://issuer.example/", NULL, &err), EX_TEMPFAIL);
	ck_assert_int_lt(bg_clock_mono_ms() - began, 15000);
	ck_assert_msg(strstr(err.detail, "timed out") != NULL, "%s", err.detail);
	_exit(0);	/* as the program does: with the thread of the resolver still waiting */
}
END_TEST

/* SR-87, once more: cleared or not, the environment is not asked.  An address needs no resolver. */
START_TEST(proxies_are_not_asked_even_where_the_environment_is_there)
{
	struct bg_web *web = bg_web_start(NULL);
	struct bg_error err = { .reason = BG_R_OK };
	char url[128];

	ck_assert_int_eq(setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1), 0);
	ck_assert_int_eq(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
	ck_assert_int_eq(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/k", bg_web_port(web));
	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	ck_assert_msg(get_here(url, bg_web_ca_file(web), &err) == 0, "%s", err.detail);
	ck_assert_uint_eq(bg_web_count(web, "/k"), 1);
	bg_web_stop(web);
}
END_TEST

START_TEST(the_environment_cannot_spare_the_proxy)
{
	struct bg_web *web = bg_web_start(NULL);
	struct bg_https_request request = { .ca_file = bg_web_ca_file(web), .timeout = 10 };
	struct bg_error err = { .reason = BG_R_OK };
	struct bg_https_answer answer;
	struct proxy proxy;
	struct bg_buf body;

	ck_assert_int_eq(setenv("NO_PROXY", "*", 1), 0);
	ck_assert_int_eq(setenv("no_proxy", "localhost,127.0.0.1", 1), 0);
	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	proxy_start(&proxy, bg_web_port(web), NULL);
	request.proxy = proxy.url;
	request.url = bg_web_url(web, "/k");
	bg_buf_init(&body, BG_FETCH_MAX);
	ck_assert_msg(bg_https_get(&request, &body, &answer, &err) == 0, "%s", err.detail);
	bg_buf_clear(&body);
	proxy_stop(&proxy);
	ck_assert_uint_eq(proxy.count, 1);
	bg_web_stop(web);
}
END_TEST

/* SR-52.  The server's certificate is for localhost.example, a name that is the resolver's alone to say. */
static const struct {
	const char *name;
	bool        public_only;
	const char *addresses[3];
	int         code;		/* 0: the document comes */
	const char *words;
	bool        is_private;
} resolutions[] = {
	{ "loopback, as any other", false, { "127.0.0.1" }, 0, "", true },
	{ "public", true, { PUBLIC }, 0, "", false },
	{ "public, as any other", false, { PUBLIC }, 0, "", false },
	{ "loopback", true, { "127.0.0.1" }, EX_NOPERM, "127.0.0.1 is a loopback address, and only a public one", false },
	{ "loopback within IPv6", true, { "::ffff:127.0.0.1" }, EX_NOPERM, "::ffff:127.0.0.1 is a loopback address", false },
	{ "both private", true, { "127.0.0.1", "::1" }, EX_NOPERM, " is a loopback address", false },
	{ "one of two", true, { "127.0.0.1", PUBLIC }, 0, "", false },
};

START_TEST(only_the_address_that_is_connected_to_counts)
{
	struct bg_web *web = bg_web_start(&(struct bg_web_options){ .cert = BG_WEB_CERT_OTHER_HOST });
	struct bg_https_request request = { .ca_file = bg_web_ca_file(web), .timeout = 10,
	    .public_only = resolutions[_i].public_only };
	struct bg_error err = { .reason = BG_R_OK };
	struct bg_https_answer answer;
	struct bg_buf body;
	char url[128];
	int code;

	snprintf(url, sizeof(url), "https://localhost.example:%d/k", bg_web_port(web));
	request.url = url;
	bg_web_set(web, "/k", &(struct bg_web_answer){ .body = "{}" });
	known = resolutions[_i].addresses;
	bg_buf_init(&body, BG_FETCH_MAX);
	code = bg_https_get(&request, &body, &answer, &err);
	bg_buf_clear(&body);
	ck_assert_msg(code == resolutions[_i].code, "%s: %d: %s", resolutions[_i].name, code, err.detail);
	ck_assert_msg(strstr(err.detail, resolutions[_i].words) != NULL, "%s: %s", resolutions[_i].name, err.detail);
	ck_assert_int_eq(answer.private_peer, resolutions[_i].is_private);
	ck_assert_uint_eq(bg_web_connections(web), code == 0 ? 1 : 0);
	bg_web_stop(web);
}
END_TEST

static Suite *
suite(void)
{
	Suite *suite = suite_create("https");
	TCase *tc = tcase_create("https");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_document_is_brought_as_it_is);
	tcase_add_test(tc, options_have_long_names_too);
	tcase_add_test(tc, help_and_version_go_to_standard_output);
	tcase_add_test(tc, a_request_asks_for_no_more_than_the_document);
	tcase_add_loop_test(tc, a_bad_answer_is_refused_and_nothing_of_it_printed, 0, N(bad_answers));
	tcase_add_test(tc, an_endless_header_is_refused);
	tcase_add_test(tc, an_answer_of_exactly_the_limit_is_taken);
	tcase_add_loop_test(tc, a_server_that_does_not_prove_who_it_is_gets_no_request, 0, N(bad_servers));
	tcase_add_test(tc, tls_1_2_is_new_enough);
	tcase_add_test(tc, a_certificate_of_an_unknown_authority_is_refused);
	tcase_add_test(tc, authorities_may_be_in_a_directory);
	tcase_add_test(tc, proxies_in_the_environment_are_not_asked);
	tcase_add_test(tc, the_environment_cannot_ask_for_the_session_keys);
	tcase_add_loop_test(tc, a_bad_argument_is_a_usage_error, 0, N(bad_arguments));
	tcase_add_test(tc, wrong_usage_shows_the_right_one);
	tcase_add_test(tc, an_open_line_is_never_used);
	tcase_add_test(tc, an_unusable_ca_file_is_named);
	tcase_add_loop_test(tc, a_slow_server_is_given_up_in_time, 0, N(slow));
	tcase_add_test(tc, a_server_that_is_not_there_is_unreachable);
	tcase_add_loop_test(tc, the_lifetime_is_what_cache_control_says, 0, N(lifetimes));
	tcase_add_loop_test(tc, the_entity_tag_is_what_the_server_sent_if_it_is_one, 0, N(etags));
	tcase_add_loop_test(tc, a_document_that_is_the_same_is_not_sent_again, 0, N(confirmed));
	tcase_add_loop_test(tc, only_the_header_of_the_answer_itself_counts, 0, N(blocks));
	tcase_add_test(tc, it_runs_without_what_it_does_not_need);
	tcase_add_test(tc, a_proxy_leads_to_the_server_and_learns_no_more_than_its_name);
	tcase_add_test(tc, a_proxy_cannot_stand_in_for_the_server);
	tcase_add_loop_test(tc, the_word_of_a_proxy_is_not_that_of_the_server, 0, N(replies));
	tcase_add_test(tc, a_proxy_is_not_asked_for_who_is_not_public);
	tcase_add_test(tc, the_environment_cannot_spare_the_proxy);
	tcase_add_test(tc, who_is_not_public_is_not_asked);
	tcase_add_loop_test(tc, only_the_address_that_is_connected_to_counts, 0, N(resolutions));
	tcase_add_test(tc, its_output_may_be_a_file);
	tcase_add_test(tc, output_that_cannot_be_written_is_an_error);
	tcase_add_test(tc, proxies_are_not_asked_even_where_the_environment_is_there);
	tcase_add_test(tc, a_name_that_nobody_knows_is_said_to_be_one);
	tcase_add_exit_test(tc, a_resolver_that_hangs_is_given_up_in_time, 0);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
