#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fetch.h"
#include "core/limits.h"
#include "tests/support/web.h"

/*
 * The helper's side is played by shell scripts that say what bearergate-fetch might say, and in the end by
 * bearergate-fetch itself, which is looked for where the build leaves it (or by BEARERGATE_FETCH).
 */

#define N(table)	(int)(sizeof(table) / sizeof((table)[0]))
#define URL		"https://issuer.example/keys"

static char dir[4096];
static char script[4200];
static char note[4200];		/* where scripts leave something */

static void
make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/test-fetch-helper-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(script, sizeof(script), "%s/helper", dir);
	snprintf(note, sizeof(note), "%s/note", dir);
}

static void
remove_dir(void)
{
	(void)unlink(script);
	(void)unlink(note);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void
write_script(const char *text)
{
	FILE *file = fopen(script, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_gt(fprintf(file, "#!/bin/sh\n%s\n", text), 0);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(script, 0700), 0);
}

struct got {
	int                  rc;
	struct bg_buf        body;
	struct bg_fetch_meta meta;
	struct bg_error      err;
};

static struct got
ask_with(const struct bg_fetch_helper_options *options, struct bg_fetch_request request)
{
	struct bg_fetch_helper helper;
	struct got got = { 0 };

	bg_fetch_helper_init(&helper, options);
	bg_buf_init(&got.body, BG_FETCH_MAX);
	bg_buf_put_str(&got.body, "what was there before");
	got.rc = helper.base.get(&helper.base, &request, &got.body, &got.meta, &got.err);
	/* Whatever came of it, no child is left, neither running nor as a zombie. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	return got;
}

static struct got
ask(const char *program, const char *ca_file, struct bg_fetch_request request)
{
	return ask_with(&(struct bg_fetch_helper_options){ .program = program, .ca_file = ca_file }, request);
}

static struct got
get_from(const char *program, const char *ca_file, const char *url, int64_t timeout)
{
	return ask(program, ca_file, (struct bg_fetch_request){ .location = url, .timeout = timeout });
}

static struct got
get(const char *text)
{
	write_script(text);
	return get_from(script, NULL, URL, 20);
}

static void
expect_body(struct got got, const char *name, const char *body, size_t len)
{
	ck_assert_msg(got.rc == 0, "%s: %s", name, got.err.detail);
	ck_assert_msg(got.body.len == len && memcmp(got.body.data, body, len) == 0, "%s: %.*s", name, (int)got.body.len,
	    got.body.data);
	bg_buf_clear(&got.body);
}

static void
expect_refusal(struct got got, const char *name, const char *words)
{
	ck_assert_msg(got.rc == -1, "%s: passed", name);
	ck_assert_msg(got.err.reason == BG_R_FETCH_FAILED, "%s: %s", name, bg_reason_name(got.err.reason));
	ck_assert_msg(strstr(got.err.detail, words) != NULL, "%s: \"%s\" is not in: %s", name, words, got.err.detail);
	bg_buf_clear(&got.body);
}

START_TEST(what_the_helper_prints_is_the_document)
{
	static const char bytes[] = "{\"a\":1}\n\nmax-age: 9\n\n\0\xff";
	struct got got = get("printf 'max-age: 600\\n\\n{\"a\":1}\\n\\nmax-age: 9\\n\\n\\0\\377'");

	ck_assert_int_eq(got.meta.max_age, 600);
	expect_body(got, "all bytes", bytes, sizeof(bytes) - 1);
	got = get("echo; echo '{}'");
	ck_assert_int_eq(got.meta.max_age, -1);
	expect_body(got, "no lifetime", "{}\n", 3);
	got = get("echo 'max-age: 0'; echo");
	ck_assert_int_eq(got.meta.max_age, 0);
	expect_body(got, "empty", "", 0);
	got = get("echo; echo a remark >&2; printf '{'; sleep 0.1; printf '}'");
	expect_body(got, "in pieces", "{}", 2);
}
END_TEST

START_TEST(what_comes_with_a_document_is_handed_on)
{
	const struct bg_fetch_request request = { .location = URL, .timeout = 20, .etag = "\"a\"" };
	struct got got = get("echo '{}' >&2; printf 'etag: W/\"b\"\\nmax-age: 7\\naddress: private\\n\\n{}'");

	ck_assert_int_eq(got.meta.max_age, 7);
	ck_assert_str_eq(got.meta.etag, "W/\"b\"");
	ck_assert(got.meta.private_peer && !got.meta.not_modified && !got.meta.missing);
	expect_body(got, "all", "{}", 2);
	got = get("printf '\\n{}'");
	ck_assert_str_eq(got.meta.etag, "");
	ck_assert(!got.meta.private_peer && !got.meta.not_modified && !got.meta.missing);
	expect_body(got, "nothing", "{}", 2);
	got = get("printf 'etag: '; printf '\"%254s\"\\n\\n{}' x | tr ' ' x");
	ck_assert_uint_eq(strlen(got.meta.etag), BG_ETAG_MAX);
	expect_body(got, "a long tag", "{}", 2);
	write_script("printf 'not-modified: yes\\nmax-age: 7\\n\\n'");
	got = ask(script, NULL, request);
	ck_assert(got.meta.not_modified);
	ck_assert_int_eq(got.meta.max_age, 7);
	expect_body(got, "not modified", "", 0);
}
END_TEST

static const struct { const char *name, *text; bool with_etag; } contradictions[] = {
	{ "not asked", "printf 'not-modified: yes\\n\\n'", false },
	{ "with a document", "printf 'not-modified: yes\\n\\n{}'", true },
	{ "with a tag", "printf 'not-modified: yes\\netag: \"a\"\\n\\n'", true },
};

START_TEST(not_modified_is_no_more_than_that)
{
	struct bg_fetch_request request = { .location = URL, .timeout = 20, .etag = contradictions[_i].with_etag ? "\"a\"" : NULL };
	struct got got;

	write_script(contradictions[_i].text);
	got = ask(script, NULL, request);
	ck_assert(!got.meta.not_modified);
	expect_refusal(got, contradictions[_i].name, "nothing has changed, and yet it is not");
}
END_TEST

/* RFC 9110 section 15.5: 1 alone says it, and a signal of that number does not. */
static const struct { const char *text; bool want; } missing[] = {
	{ "echo no >&2; exit 1", true }, { "exit 1", true }, { "echo no >&2; exit 2", false }, { "exit 65", false },
	{ "kill -1 $$", false }, { "exit 127", false }, { "echo; exit 0", false }, { "echo odd; exit 0", false },
};

START_TEST(exit_code_1_says_that_there_is_no_such_document)
{
	struct got got = get(missing[_i].text);

	ck_assert_msg(got.meta.missing == missing[_i].want, "%s", missing[_i].text);
	ck_assert_msg(!missing[_i].want || got.rc == -1, "%s", missing[_i].text);
	bg_buf_clear(&got.body);
}
END_TEST

static const struct { const char *name, *text, *words; } heads[] = {
	{ "nothing", ":", "has no head" },
	{ "no line", "printf '{}'", "has no head" },
	{ "no empty line", "echo 'max-age: 600'", "has no head" },
	{ "a long line", "printf '%600s\\n\\n{}' x", "has no head" },
	{ "another name", "printf 'expires: x\\n\\n{}'", "odd line in its head: expires: x" },
	{ "a tag without quotes", "printf 'etag: x\\n\\n{}'", "odd line in its head: etag: x" },
	{ "an empty tag", "printf 'etag: \\n\\n{}'", "odd line" },
	{ "a tag too long", "printf 'etag: '; printf '\"%255s\"\\n\\n{}' x | tr ' ' x", "odd line" },
	{ "two tags", "printf 'etag: \"a\"\\netag: \"a\"\\n\\n{}'", "odd line in its head: etag: \"a\"" },
	{ "not modified, no", "printf 'not-modified: no\\n\\n{}'", "odd line in its head: not-modified: no" },
	{ "not modified twice", "printf 'not-modified: yes\\nnot-modified: yes\\n\\n'", "odd line in its head: not-modified" },
	{ "a public address", "printf 'address: public\\n\\n{}'", "odd line in its head: address: public" },
	{ "address twice", "printf 'address: private\\naddress: private\\n\\n{}'", "odd line in its head: address" },
	{ "a capital", "printf 'Address: private\\n\\n{}'", "odd line" },
	{ "twice", "printf 'max-age: 1\\nmax-age: 1\\n\\n{}'", "odd line" },
	{ "no number", "printf 'max-age: \\n\\n{}'", "odd line in its head: max-age: " },
	{ "junk behind", "printf 'max-age: 6x\\n\\n{}'", "odd line" },
	{ "negative", "printf 'max-age: -1\\n\\n{}'", "odd line" },
	{ "no space", "printf 'max-age:600\\n\\n{}'", "odd line" },
	{ "two spaces", "printf 'max-age:  600\\n\\n{}'", "odd line" },
	{ "carriage returns", "printf 'max-age: 600\\r\\n\\r\\n{}'", "odd line" },
	{ "overflow", "printf 'max-age: 18446744073709551617\\n\\n{}'", "odd line" },
};

START_TEST(a_head_that_is_not_exact_is_refused)
{
	expect_refusal(get(heads[_i].text), heads[_i].name, heads[_i].words);
}
END_TEST

static const struct { const char *name, *text, *words; } failures[] = {
	{ "says why", "echo 'bearergate-fetch: " URL ": status 404' >&2; exit 65", "bearergate-fetch: " URL ": status 404" },
	{ "says why without a line's end", "printf why >&2; exit 65", "why" },
	{ "does not say why", "exit 70", "ended with exit code 70 and did not say why" },
	{ "an empty line", "echo >&2; echo more >&2; exit 69", "exit code 69 and did not say why" },
	{ "killed", "kill -9 $$", "was ended by signal 9" },
	{ "fails with a document", "printf '\\n{}'; echo late >&2; exit 74", "late" },
};

START_TEST(a_helper_that_fails_is_quoted)
{
	expect_refusal(get(failures[_i].text), failures[_i].name, failures[_i].words);
}
END_TEST

START_TEST(only_the_first_line_is_quoted)
{
	struct got got = get("printf 'first\\nsecond\\n' >&2; exit 1");

	ck_assert_str_eq(got.err.detail, "first");
	bg_buf_clear(&got.body);
	/* A pipe holds 64 KiB: what is not kept must be read all the same, or the helper never ends. */
	got = get("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1");
	ck_assert_uint_ge(strspn(got.err.detail, "x"), 300);
	ck_assert_uint_eq(strspn(got.err.detail, "x"), strlen(got.err.detail));
	bg_buf_clear(&got.body);
}
END_TEST

START_TEST(a_program_that_cannot_be_run_is_named)
{
	FILE *file;

	expect_refusal(get_from(script, NULL, URL, 1), "missing", "/helper: No such file or directory");
	expect_refusal(get_from(dir, NULL, URL, 1), "a directory", "Permission denied");
	write_script("echo");
	ck_assert_int_eq(chmod(script, 0600), 0);
	expect_refusal(get_from(script, NULL, URL, 1), "not executable", "/helper: Permission denied");
	ck_assert_ptr_nonnull(file = fopen(script, "we"));
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(script, 0700), 0);
	expect_refusal(get_from(script, NULL, URL, 1), "empty", "/helper: Exec format error");
}
END_TEST

/* SR-52: the ceiling is the caller's buffer, whatever the helper thinks. */
START_TEST(a_document_above_the_ceiling_is_refused)
{
	struct bg_fetch_helper helper;
	struct bg_error err = { .reason = BG_R_OK };
	struct bg_fetch_request request = { .location = URL, .timeout = 20 };
	struct bg_fetch_meta meta;
	struct bg_buf body;

	/* The first is not allowed to go on: it would never end. */
	expect_refusal(get("echo; exec cat /dev/zero"), "endless", "larger than 524288 bytes");
	expect_refusal(get("echo; head -c 524289 /dev/zero"), "one too many", "larger than 524288 bytes");
	write_script("echo; head -c 524288 /dev/zero");
	bg_fetch_helper_init(&helper, &(struct bg_fetch_helper_options){ .program = script });
	bg_buf_init(&body, BG_FETCH_MAX);
	ck_assert_msg(helper.base.get(&helper.base, &request, &body, &meta, &err) == 0, "%s", err.detail);
	ck_assert_uint_eq(body.len, BG_FETCH_MAX);
	bg_buf_clear(&body);
	bg_buf_init(&body, 3);
	write_script("echo; printf '{  }'");
	ck_assert_int_eq(helper.base.get(&helper.base, &request, &body, &meta, &err), -1);
	ck_assert_str_eq(err.detail, "the document is larger than 3 bytes");
	bg_buf_clear(&body);
}
END_TEST

static const struct { const char *name, *text; } hangs[] = {
	{ "says nothing", "echo $$ > \"${0%/*}/note\"; exec sleep 1000" },
	{ "stops in the middle", "echo $$ > \"${0%/*}/note\"; printf '\\n{'; exec sleep 1000" },
	{ "closes its output and stays", "echo $$ > \"${0%/*}/note\"; printf '\\n{}'; exec sleep 1000 >&- 2>&-" },
	{ "never stops complaining", "echo $$ > \"${0%/*}/note\"; exec cat /dev/zero >&2" },
};

/* SR-51: it is two seconds over its own limit, then it is ended, and really gone. */
START_TEST(a_helper_that_does_not_end_is_killed)
{
	int64_t began = bg_clock_mono_ms(), took;
	struct got got;
	FILE *file;
	int pid;

	write_script(hangs[_i].text);
	got = get_from(script, NULL, URL, 4);	/* in which it surely has begun */
	took = bg_clock_mono_ms() - began;
	ck_assert_msg(took >= 6000 && took < 30000, "%s: %d ms", hangs[_i].name, (int)took);
	ck_assert_ptr_nonnull(file = fopen(note, "re"));
	ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
	fclose(file);
	ck_assert_int_eq(kill(pid, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
	expect_refusal(got, hangs[_i].name, "did not end in time");
}
END_TEST

START_TEST(the_helper_is_asked_for_one_url_with_a_limit_of_time)
{
	static const char say[] = "echo; for a in \"$@\"; do echo \"[$a]\"; done";
	const char *want = "[-i]\n[-t]\n[7]\n[--]\n[" URL "]\n";

	write_script(say);
	expect_body(get_from(script, NULL, URL, 7), "plain", want, strlen(want));
	want = "[-i]\n[-t]\n[7]\n[-C]\n[/a b/ca.pem]\n[--]\n[" URL "]\n";
	expect_body(get_from(script, "/a b/ca.pem", URL, 7), "with a CA file", want, strlen(want));
	want = "[-i]\n[-t]\n[7]\n[-D]\n[/a b]\n[-x]\n[http://[::1]:1]\n[--]\n[" URL "]\n";
	expect_body(ask_with(&(struct bg_fetch_helper_options){ script, NULL, "/a b", "http://[::1]:1" },
	    (struct bg_fetch_request){ .location = URL, .timeout = 7 }), "with a CA directory and a proxy", want, strlen(want));
	want = "[-i]\n[-t]\n[7]\n[-C]\n[c]\n[-D]\n[d]\n[-x]\n[x]\n[-E]\n[W/\"a, b\"]\n[-P]\n[--]\n[" URL "]\n";
	expect_body(ask_with(&(struct bg_fetch_helper_options){ script, "c", "d", "x" },
	    (struct bg_fetch_request){ URL, 7, "W/\"a, b\"", true, NULL }), "all", want, strlen(want));
	want = "[-i]\n[-t]\n[1]\n[--]\n[-C $(id) ; '\"]\n";
	expect_body(get_from(script, NULL, "-C $(id) ; '\"", 0), "no shell, no option, no time", want, strlen(want));
	want = "[-i]\n[-t]\n[3600]\n[--]\n[" URL "]\n";
	write_script(say);
	expect_body(get_from(script, NULL, URL, INT64_MAX), "all the time there is", want, strlen(want));
}
END_TEST

/* One that is to end does not wait for a fetch. */
START_TEST(a_fetch_can_be_given_up)
{
	static const char *const scripts[] = { "exec sleep 60", "exec >/dev/null 2>&1; sleep 60" };
	int64_t began = bg_clock_mono_ms();

	for (int i = 0; i < N(scripts); i++) {
		int cancel = eventfd(1, EFD_CLOEXEC);
		struct got got;

		ck_assert_int_ne(cancel, -1);
		write_script(scripts[i]);
		got = ask_with(&(struct bg_fetch_helper_options){ .program = script },
		    (struct bg_fetch_request){ .location = URL, .timeout = 60, .cancel = &cancel });
		expect_refusal(got, scripts[i], "whoever asked is about to end");
		close(cancel);
	}
	ck_assert_int_lt(bg_clock_mono_ms() - began, 30000);	/* and each would take a minute */
}
END_TEST

/* SR-87: of the environment, nothing. */
START_TEST(the_helper_has_no_environment)
{
	ck_assert_int_eq(setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1), 0);
	expect_body(get("echo; cat /proc/$$/environ"), "environment", "", 0);
}
END_TEST

START_TEST(the_helper_inherits_no_signal_handling)
{
	const unsigned long long internal = 3ULL << 31;	/* 32 and 33: glibc's own, which it leaves ignored */
	unsigned long long blocked, ignored;
	struct bg_slice text;
	struct got got;
	sigset_t set;

	sigfillset(&set);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	ck_assert(signal(SIGTERM, SIG_IGN) != SIG_ERR);
	got = get("echo; exec grep -E '^Sig(Blk|Ign)' /proc/self/status");
	ck_assert_int_eq(bg_buf_finish(&got.body, &text, &got.err), 0);
	ck_assert_msg(sscanf(text.ptr, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored) == 2, "%s", text.ptr);
	ck_assert_msg(blocked == 0 && (ignored & ~internal) == 0, "%s", text.ptr);
	bg_buf_clear(&got.body);
}
END_TEST

START_TEST(the_helper_inherits_no_descriptor)
{
	static const char want[] = "0 /dev/null\n9 closed\n";
	int fd = open("/dev/zero", O_RDWR);	/* not O_CLOEXEC, as a library might have it */

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(dup2(fd, 9), 9);
	ck_assert_int_eq(dup2(fd, 0), 0);
	expect_body(get("echo; echo 0 $(readlink /proc/$$/fd/0); [ -e /proc/$$/fd/9 ] && echo 9 open || echo 9 closed"),
	    "descriptors", want, sizeof(want) - 1);
}
END_TEST

/* A server may start us with standard descriptors closed; pipes then get their numbers. */
START_TEST(closed_standard_descriptors_do_no_harm)
{
	write_script("echo; echo out; echo err >&2");
	for (int closed = 1; closed < 8; closed++) {	/* as bits: 0, 1, 0 and 1, and so on */
		int saved[3];
		struct got got;

		for (int fd = 0; fd <= 2; fd++) {
			saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
			if ((closed & 1 << fd) != 0)
				close(fd);
		}
		got = get_from(script, NULL, URL, 20);
		for (int fd = 0; fd <= 2; fd++) {
			ck_assert_int_eq(dup2(saved[fd], fd), fd);
			close(saved[fd]);
		}
		expect_body(got, "some closed", "out\n", 4);
	}
}
END_TEST

static int
open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

START_TEST(no_descriptor_is_left_behind)
{
	int before = open_descriptors();

	for (int i = 0; i < 5; i++) {
		expect_body(get("echo"), "good", "", 0);
		expect_refusal(get("exit 1"), "bad", "exit code 1");
		expect_refusal(get_from(dir, NULL, URL, 1), "none", "cannot run");
		expect_refusal(get("echo; exec cat /dev/zero"), "endless", "larger");
	}
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

static void *
get_often(void *arg)
{
	struct bg_fetch_helper helper;
	char url[64], want[80];

	snprintf(url, sizeof(url), "https://issuer.example/%d", *(int *)arg);
	snprintf(want, sizeof(want), "[%s]\n", url);
	bg_fetch_helper_init(&helper, &(struct bg_fetch_helper_options){ .program = script });
	for (int i = 0; i < 10; i++) {
		struct bg_error err = { .reason = BG_R_OK };
		struct bg_fetch_request request = { .location = url, .timeout = 50 };
		struct bg_fetch_meta meta;
		struct bg_buf body;
		bool good;

		bg_buf_init(&body, 100);
		good = helper.base.get(&helper.base, &request, &body, &meta, &err) == 0 && body.len == strlen(want) &&
		    memcmp(body.data, want, body.len) == 0;
		bg_buf_clear(&body);
		if (!good)
			return (void *)(uintptr_t)"not what was asked for";
	}
	return NULL;
}

START_TEST(several_threads_may_ask_at_once)
{
	pthread_t threads[8];
	int numbers[8];

	write_script("echo 'max-age: 1'; echo; for a; do :; done; echo \"[$a]\"");
	for (int i = 0; i < 8; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, get_often, &numbers[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		void *wrong;

		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_msg(wrong == NULL, "thread %d: %s", i, (char *)wrong);
	}
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(the_real_helper_is_understood)
{
	const char *named = getenv("BEARERGATE_FETCH");
	struct bg_web *web = bg_web_start(NULL);
	char program[PATH_MAX];
	struct got got;

	ck_assert_msg(realpath(named != NULL ? named : "./bearergate-fetch", program) != NULL, "bearergate-fetch is not built");
	bg_web_set(web, "/keys", &(struct bg_web_answer){ .body = "{\"keys\":[]}", .headers = "Cache-Control: max-age=15\r\n" });
	got = get_from(program, bg_web_ca_file(web), bg_web_url(web, "/keys"), 20);
	ck_assert_int_eq(got.meta.max_age, 15);
	ck_assert(got.meta.private_peer && !got.meta.not_modified);
	ck_assert_str_eq(got.meta.etag, "");
	expect_body(got, "good", "{\"keys\":[]}", 11);
	bg_web_set(web, "/tag", &(struct bg_web_answer){ .body = "{}", .headers = "ETag: \"a\"\r\n" });
	got = get_from(program, bg_web_ca_file(web), bg_web_url(web, "/tag"), 20);
	ck_assert_str_eq(got.meta.etag, "\"a\"");
	expect_body(got, "a tag", "{}", 2);
	bg_web_set(web, "/same", &(struct bg_web_answer){ .status = 304 });
	got = ask(program, bg_web_ca_file(web), (struct bg_fetch_request){ bg_web_url(web, "/same"), 20, "\"a\"", false, NULL });
	ck_assert(got.meta.not_modified);
	expect_body(got, "the same", "", 0);
	got = ask(program, bg_web_ca_file(web), (struct bg_fetch_request){ bg_web_url(web, "/keys"), 20, NULL, true, NULL });
	ck_assert(!got.meta.missing);
	expect_refusal(got, "public", "is a loopback address, and only a public one may be asked");
	bg_web_set(web, "/keys", &(struct bg_web_answer){ .fill = BG_FETCH_MAX });
	got = get_from(program, bg_web_ca_file(web), bg_web_url(web, "/keys"), 20);
	ck_assert_msg(got.rc == 0, "%s", got.err.detail);
	ck_assert_uint_eq(got.body.len, BG_FETCH_MAX);
	ck_assert_int_eq(got.meta.max_age, -1);
	bg_buf_clear(&got.body);
	expect_refusal(get_from(program, NULL, bg_web_url(web, "/keys"), 20), "not trusted", "certificate");
	got = get_from(program, bg_web_ca_file(web), bg_web_url(web, "/nothing"), 20);
	ck_assert(got.meta.missing);
	expect_refusal(got, "404", "status 404 instead of 200");
	expect_refusal(get_from(program, bg_web_ca_file(web), "http://localhost/", 20), "http", "begins with http://");
	bg_web_set(web, "/keys", &(struct bg_web_answer){ .how = BG_WEB_HANG });
	expect_refusal(get_from(program, bg_web_ca_file(web), bg_web_url(web, "/keys"), 1), "hang", "timed out");
	bg_web_stop(web);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fetch_helper");
	TCase *tc = tcase_create("fetch_helper");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, what_the_helper_prints_is_the_document);
	tcase_add_test(tc, what_comes_with_a_document_is_handed_on);
	tcase_add_loop_test(tc, not_modified_is_no_more_than_that, 0, N(contradictions));
	tcase_add_loop_test(tc, exit_code_1_says_that_there_is_no_such_document, 0, N(missing));
	tcase_add_loop_test(tc, a_head_that_is_not_exact_is_refused, 0, N(heads));
	tcase_add_loop_test(tc, a_helper_that_fails_is_quoted, 0, N(failures));
	tcase_add_test(tc, only_the_first_line_is_quoted);
	tcase_add_test(tc, a_program_that_cannot_be_run_is_named);
	tcase_add_test(tc, a_document_above_the_ceiling_is_refused);
	tcase_add_loop_test(tc, a_helper_that_does_not_end_is_killed, 0, N(hangs));
	tcase_add_test(tc, the_helper_is_asked_for_one_url_with_a_limit_of_time);
	tcase_add_test(tc, a_fetch_can_be_given_up);
	tcase_add_test(tc, the_helper_has_no_environment);
	tcase_add_test(tc, the_helper_inherits_no_signal_handling);
	tcase_add_test(tc, the_helper_inherits_no_descriptor);
	tcase_add_test(tc, closed_standard_descriptors_do_no_harm);
	tcase_add_test(tc, no_descriptor_is_left_behind);
	tcase_add_test(tc, several_threads_may_ask_at_once);
	tcase_add_test(tc, the_real_helper_is_understood);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
