#include "core/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/decision.h"
#include "core/secret.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

/* Send the log into a pipe and read what one call wrote. */
static int log_pipe[2];

static void
open_log(enum bg_log_level level)
{
	ck_assert_int_eq(pipe(log_pipe), 0);
	bg_log_open(log_pipe[1], level);
}

static char *
logged(void)
{
	static char text[8192];
	ssize_t n;

	close(log_pipe[1]);
	n = read(log_pipe[0], text, sizeof(text) - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(log_pipe[0]);
	return text;
}

START_TEST(a_line_has_time_and_level_in_front)
{
	char *line;

	open_log(BG_LOG_INFO);
	bg_log(BG_LOG_WARNING, "n=%d", 7);
	line = logged();
	ck_assert_int_eq(line[4], '-');
	ck_assert_int_eq(line[19], 'Z');
	ck_assert_str_eq(line + 20, " warning n=7\n");
}
END_TEST

START_TEST(a_level_shows_itself_and_those_before_it)
{
	open_log(BG_LOG_WARNING);
	bg_log(BG_LOG_INFO, "info");
	bg_log(BG_LOG_DEBUG, "debug");
	ck_assert(bg_log_wants(BG_LOG_ERROR) && bg_log_wants(BG_LOG_WARNING) && !bg_log_wants(BG_LOG_INFO));
	ck_assert_str_eq(logged(), "");
}
END_TEST

START_TEST(a_line_too_long_is_cut_and_still_a_line)
{
	char *line;

	open_log(BG_LOG_INFO);
	bg_log(BG_LOG_INFO, "%05000d", 1);
	line = logged();
	ck_assert_uint_eq(strlen(line), 4096);
	ck_assert_ptr_eq(strchr(line, '\n'), line + 4095);
}
END_TEST

static size_t
lines_in(const char *path, const char *words)
{
	FILE *file = fopen(path, "re");
	char line[8192];
	size_t n = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		ck_assert_msg(strstr(line, words) != NULL && strchr(line, '\n') != NULL, "torn: %s", line);
		n++;
	}
	fclose(file);
	return n;
}

static void
switch_to(const char *path)
{
	struct bg_error err = { 0 };
	int fd = bg_log_file(path, &err);

	ck_assert_msg(fd != -1, "%s", err.detail);
	bg_log_switch(fd);
}

static atomic_bool writing;

static void *
write_lines(void *arg)
{
	atomic_size_t *written = arg;

	while (atomic_load(&writing)) {
		bg_log(BG_LOG_INFO, "a line that stays whole");
		atomic_fetch_add(written, 1);
	}
	return NULL;
}

START_TEST(a_file_that_is_switched_while_others_write_loses_no_line)
{
	struct bg_test_dir dir;
	char files[3][2048];
	pthread_t threads[4];
	atomic_size_t written = 0;
	size_t found = 0;
	struct stat st;

	bg_test_dir_make(&dir);
	for (int i = 0; i < 3; i++)
		bg_format(files[i], sizeof(files[i]), "%s/log.%d", dir.path, i);
	bg_log_open(STDERR_FILENO, BG_LOG_INFO);
	switch_to(files[0]);
	atomic_store(&writing, true);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, &written), 0);
	for (int i = 1; i <= 200; i++) {
		size_t before = atomic_load(&written);

		while (atomic_load(&written) == before)
			sched_yield();
		switch_to(files[i % 3]);
	}
	atomic_store(&writing, false);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	bg_log_open(STDERR_FILENO, BG_LOG_INFO);
	for (int i = 0; i < 3; i++)
		found += lines_in(files[i], " info a line that stays whole");
	ck_assert_uint_eq(found, atomic_load(&written));
	ck_assert_int_eq(stat(files[0], &st), 0);
	ck_assert_int_eq(st.st_mode & 0137, 0);
	bg_test_dir_remove(&dir);
}
END_TEST

/* A thread that has read the number and not written yet must not find it closed, or somebody else's. */
START_TEST(the_descriptor_of_the_log_keeps_its_number)
{
	struct bg_test_dir dir;
	struct stat at, file;
	int first, second;

	bg_test_dir_make(&dir);
	bg_log_open(STDERR_FILENO, BG_LOG_INFO);
	ck_assert_int_ne(first = bg_log_file(bg_test_file(&dir, "first"), NULL), -1);
	bg_log_switch(first);
	ck_assert_int_ne(second = bg_log_file(bg_test_file(&dir, "second"), NULL), -1);
	bg_log_switch(second);
	ck_assert_int_eq(stat(bg_test_file(&dir, "second"), &file), 0);
	ck_assert_int_eq(fstat(first, &at), 0);
	ck_assert(at.st_dev == file.st_dev && at.st_ino == file.st_ino);
	ck_assert_int_eq(fcntl(second, F_GETFD), -1);
	ck_assert_int_eq(fcntl(first, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFD), 0);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_log_is_a_file_or_a_device_and_never_waits)
{
	struct bg_error err = { 0 };
	struct bg_test_dir dir;
	int pipe_end;

	bg_test_dir_make(&dir);
	ck_assert_int_eq(mkfifo(bg_test_file(&dir, "pipe"), 0600), 0);
	ck_assert_int_eq(bg_log_file(bg_test_file(&dir, "pipe"), &err), -1);
	ck_assert_ptr_nonnull(strstr(err.detail, "/pipe: "));
	ck_assert_int_ne(pipe_end = open(bg_test_file(&dir, "pipe"), O_RDONLY | O_NONBLOCK | O_CLOEXEC), -1);
	ck_assert_int_eq(bg_log_file(bg_test_file(&dir, "pipe"), NULL), -1);
	close(pipe_end);
	ck_assert_int_eq(bg_log_file(dir.path, NULL), -1);
	ck_assert_int_eq(bg_log_file("/nonexistent/log", NULL), -1);
	switch_to("/dev/null");
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_level_changes_at_once)
{
	open_log(BG_LOG_ERROR);
	bg_log(BG_LOG_INFO, "before");
	bg_log_set_level(BG_LOG_INFO);
	bg_log(BG_LOG_INFO, "after");
	ck_assert_str_eq(logged() + 20, " info after\n");
}
END_TEST

static const struct { struct bg_slice in; const char *out; } texts[] = {
	{ BG_SLICE_INIT("plain"), "\"plain\"" },
	{ BG_SLICE_INIT(""), "\"\"" },
	{ BG_SLICE_INIT("a\"b\\"), "\"a\\\"b\\\\\"" },
	{ BG_SLICE_INIT("x\ndecision=allow"), "\"x\\x0adecision=allow\"" },
	{ BG_SLICE_INIT("\x1b[31m\0\xff"), "\"\\x1b[31m\\x00\\xff\"" },
};

START_TEST(text_from_outside_stays_between_its_quotes)	/* SR-13, SR-85 */
{
	struct bg_buf buf;
	struct bg_slice out;

	bg_buf_init(&buf, 256);
	bg_log_text(&buf, texts[_i].in);
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), 0);
	ck_assert_str_eq(out.ptr, texts[_i].out);
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_decision_is_one_line_without_the_token)	/* SR-85 */
{
	struct bg_decision decision = { .compact = BG_SLICE("canary.canary.canary") };
	struct bg_request request = { .method = BG_SLICE("GET"), .uri = BG_SLICE("/reports/7?access_token=canary"),
		.authorization = BG_SLICE("Bearer canary.canary.canary"), .remote_addr = BG_SLICE("192.0.2.1\nx") };
	struct bg_error err = { 0 };
	char *line;

	(void)bg_fail(&err, BG_R_EXPIRED, "exp 1700000000, now 1700000431");
	bg_decision_deny(&decision, &err);
	open_log(BG_LOG_DEBUG);
	bg_decision_log(&decision, &request, 401);
	line = logged();
	ck_assert_str_eq(line + 20, " info decision=deny reason=expired status=401 token=sha256:b3717da2 method=\"GET\" "
	    "path=\"/reports/7\" client=\"192.0.2.1\\x0ax\" detail=\"exp 1700000000, now 1700000431\"\n");
	ck_assert_ptr_null(strstr(line, "canary"));
}
END_TEST

START_TEST(no_decision_goes_unsaid_however_much_text_a_stranger_sends)
{
	struct bg_decision decision = { 0 };
	struct bg_request request = { 0 };
	struct bg_error err = { 0 };
	char text[600];

	memset(text, 1, sizeof(text));	/* four characters each in the log */
	request.method = request.uri = request.remote_addr = request.request_id = (struct bg_slice){ text, sizeof(text) };
	(void)bg_fail(&err, BG_R_EXPIRED, "exp");
	bg_decision_deny(&decision, &err);
	open_log(BG_LOG_INFO);
	bg_decision_log(&decision, &request, 401);
	ck_assert_str_eq(logged() + 20, " info decision=deny reason=expired status=401 detail=\"the rest could not be written\"\n");
}
END_TEST

START_TEST(our_own_trouble_shows_at_every_level)
{
	struct bg_decision decision = { 0 };
	struct bg_request request = { 0 };

	open_log(BG_LOG_ERROR);
	bg_decision_log(&decision, &request, 500);
	ck_assert_str_eq(logged() + 20, " error decision=deny reason=internal status=500 detail=\"\"\n");
}
END_TEST

START_TEST(secrets_compare_by_content_and_length)	/* SR-9 */
{
	ck_assert(bg_secret_equal(BG_SLICE("abc"), BG_SLICE("abc")));
	ck_assert(!bg_secret_equal(BG_SLICE("abc"), BG_SLICE("abd")));
	ck_assert(!bg_secret_equal(BG_SLICE("abc"), BG_SLICE("ab")));
	ck_assert(bg_secret_equal(BG_SLICE(""), (struct bg_slice){ NULL, 0 }));
}
END_TEST

START_TEST(a_fingerprint_is_the_start_of_the_sha_256)
{
	char out[BG_FINGERPRINT_LEN + 1];

	bg_secret_fingerprint(BG_SLICE("abc"), out);	/* FIPS 180-4's example */
	ck_assert_str_eq(out, "ba7816bf");
	bg_secret_fingerprint(BG_SLICE(""), out);
	ck_assert_str_eq(out, "-");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_line_has_time_and_level_in_front);
	tcase_add_test(tc, a_level_shows_itself_and_those_before_it);
	tcase_add_test(tc, a_level_changes_at_once);
	tcase_add_test(tc, a_file_that_is_switched_while_others_write_loses_no_line);
	tcase_add_test(tc, the_descriptor_of_the_log_keeps_its_number);
	tcase_add_test(tc, a_log_is_a_file_or_a_device_and_never_waits);
	tcase_add_test(tc, a_line_too_long_is_cut_and_still_a_line);
	tcase_add_loop_test(tc, text_from_outside_stays_between_its_quotes, 0, N(texts));
	tcase_add_test(tc, a_decision_is_one_line_without_the_token);
	tcase_add_test(tc, no_decision_goes_unsaid_however_much_text_a_stranger_sends);
	tcase_add_test(tc, our_own_trouble_shows_at_every_level);
	tcase_add_test(tc, secrets_compare_by_content_and_length);
	tcase_add_test(tc, a_fingerprint_is_the_start_of_the_sha_256);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
