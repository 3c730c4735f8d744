#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fetch.h"
#include "core/limits.h"

static char dir[4096];
static char path[4200];

static void
make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/test-fetch-file-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/jwks.json", dir);
}

static void
remove_dir(void)
{
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void
write_file(const char *text, size_t len)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

static int
get(const char *what, struct bg_buf *body, struct bg_fetch_meta *meta, struct bg_error *err)
{
	*err = (struct bg_error){ .reason = BG_R_OK };
	const struct bg_fetch_request request = { .location = what, .timeout = 1 };

	return bg_fetch_file.get(&bg_fetch_file, &request, body, meta, err);
}

static void
expect_refusal(const char *what, size_t max, const char *words)
{
	struct bg_fetch_meta meta;
	struct bg_error err;
	struct bg_buf body;

	bg_buf_init(&body, max);
	ck_assert_int_eq(get(what, &body, &meta, &err), -1);
	ck_assert_int_eq(err.reason, BG_R_FETCH_FAILED);
	ck_assert_msg(strstr(err.detail, what) != NULL && strstr(err.detail, words) != NULL, "\"%s\" is not in: %s", words,
	    err.detail);
	ck_assert_int_eq(meta.max_age, -1);
	bg_buf_clear(&body);
}

START_TEST(a_file_is_read_as_it_is_and_kept_for_seconds)
{
	static const char text[] = "{\"keys\":[]}\n\0\xff";
	struct bg_fetch_meta meta;
	struct bg_error err;
	struct bg_buf body;

	write_file(text, sizeof(text));
	bg_buf_init(&body, BG_FETCH_MAX);
	bg_buf_put_str(&body, "what was there before");
	ck_assert_int_eq(get(path, &body, &meta, &err), 0);
	ck_assert_uint_eq(body.len, sizeof(text));
	ck_assert_mem_eq(body.data, text, sizeof(text));
	ck_assert_int_eq(meta.max_age, -1);
	bg_buf_clear(&body);
}
END_TEST

START_TEST(a_changed_file_is_read_anew)
{
	struct bg_fetch_meta meta;
	struct bg_error err;
	struct bg_buf body;

	bg_buf_init(&body, BG_FETCH_MAX);
	write_file("{\"keys\":[1,2]}", 14);
	ck_assert_int_eq(get(path, &body, &meta, &err), 0);
	write_file("{}", 2);
	ck_assert_int_eq(get(path, &body, &meta, &err), 0);
	ck_assert_uint_eq(body.len, 2);
	ck_assert_mem_eq(body.data, "{}", 2);
	bg_buf_clear(&body);
}
END_TEST

/* As a mounted secret is: the name is a link into a directory that is exchanged as a whole. */
START_TEST(a_symbolic_link_is_followed)
{
	struct bg_fetch_meta meta;
	struct bg_error err;
	struct bg_buf body;
	char name[4300];

	bg_format(name, sizeof(name), "%s.link", path);
	write_file("{}", 2);
	ck_assert_int_eq(symlink("jwks.json", name), 0);
	bg_buf_init(&body, BG_FETCH_MAX);
	ck_assert_int_eq(get(name, &body, &meta, &err), 0);
	ck_assert_uint_eq(body.len, 2);
	bg_buf_clear(&body);
	ck_assert_int_eq(unlink(name), 0);
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused)
{
	char odd[4300];

	expect_refusal(path, BG_FETCH_MAX, "No such file");
	expect_refusal(dir, BG_FETCH_MAX, "not a regular file");
	expect_refusal("/dev/zero", BG_FETCH_MAX, "not a regular file");
	bg_format(odd, sizeof(odd), "%s/jwks.json", path);
	write_file("{}", 2);
	expect_refusal(odd, BG_FETCH_MAX, "Not a directory");
}
END_TEST

START_TEST(what_everybody_may_write_to_is_refused)
{
	write_file("{}", 2);
	ck_assert_int_eq(chmod(path, 0666), 0);
	expect_refusal(path, BG_FETCH_MAX, "may be written to by everybody");
	ck_assert_int_eq(chmod(path, 0602), 0);
	expect_refusal(path, BG_FETCH_MAX, "may be written to by everybody");
}
END_TEST

/* A named pipe without a writer would hold an ordinary open(2) for ever. */
START_TEST(a_named_pipe_is_refused_at_once)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_refusal(path, BG_FETCH_MAX, "not a regular file");
}
END_TEST

/* SR-52. */
START_TEST(a_file_above_the_limit_is_refused)
{
	char *text = malloc(BG_FETCH_MAX + 1);
	struct bg_fetch_meta meta;
	struct bg_error err;
	struct bg_buf body;

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', BG_FETCH_MAX + 1);
	write_file(text, BG_FETCH_MAX);
	bg_buf_init(&body, BG_FETCH_MAX);
	ck_assert_int_eq(get(path, &body, &meta, &err), 0);
	ck_assert_uint_eq(body.len, BG_FETCH_MAX);
	bg_buf_clear(&body);

	write_file(text, BG_FETCH_MAX + 1);
	expect_refusal(path, BG_FETCH_MAX, "larger than 524288 bytes");
	expect_refusal(path, (size_t)BG_FETCH_MAX * 4, "larger than 524288 bytes");
	expect_refusal(path, 100, "larger than 100 bytes");
	free(text);
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
	struct bg_fetch_meta meta;
	struct bg_error err;
	struct bg_buf body;
	int before = open_descriptors();

	write_file("{}", 2);
	bg_buf_init(&body, 1);
	for (int i = 0; i < 10; i++) {
		bg_buf_init(&body, i % 2 == 0 ? 1 : 100);
		ck_assert_int_eq(get(path, &body, &meta, &err), i % 2 == 0 ? -1 : 0);
		bg_buf_clear(&body);
		expect_refusal(dir, 100, "not a regular file");
	}
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fetch_file");
	TCase *tc = tcase_create("fetch_file");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, a_file_is_read_as_it_is_and_kept_for_seconds);
	tcase_add_test(tc, a_changed_file_is_read_anew);
	tcase_add_test(tc, a_symbolic_link_is_followed);
	tcase_add_test(tc, what_is_no_regular_file_is_refused);
	tcase_add_test(tc, what_everybody_may_write_to_is_refused);
	tcase_add_test(tc, a_named_pipe_is_refused_at_once);
	tcase_add_test(tc, a_file_above_the_limit_is_refused);
	tcase_add_test(tc, no_descriptor_is_left_behind);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
