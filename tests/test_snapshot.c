#include "fcgi/snapshot.h"

#include <fcntl.h>
#include <sysexits.h>

#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define LONG_MS	20000

static struct bg_test_dir dir;
static struct bg_snapshots *all;
static char *nothing[] = { NULL };

static void
setup(void)
{
	bg_log_open(2, BG_LOG_ERROR);
	bg_test_dir_make(&dir);
	ck_assert_int_eq(bg_snapshots_new(&all, NULL), 0);
}

static void
teardown(void)
{
	bg_snapshots_replace(all, NULL);
	ck_assert(bg_snapshots_wait(all, LONG_MS));
	bg_snapshots_free(all);
	bg_test_dir_remove(&dir);
}

/* A snapshot of a configuration with this realm, whose issuer is asked by this program, which is borrowed. */
static struct bg_snapshot *
make(const char *realm, const char *fetch)
{
	static struct bg_fetch_helper fetcher;
	struct bg_conf_sources from = { .environ = nothing };
	struct bg_snapshot *snapshot;
	struct bg_buf report;
	char text[512], path[2048];

	bg_format(text, sizeof(text), "realm = '%s'\ndomain = issuer.example\naudience = a\ncache_dir = none\n", realm);
	bg_test_file_write(&dir, "conf", text, strlen(text));
	bg_format(path, sizeof(path), "%s", bg_test_file(&dir, "conf"));
	from.file = path;
	bg_buf_init(&report, 4096);
	bg_fetch_helper_init(&fetcher, &(struct bg_fetch_helper_options){ .program = fetch });
	ck_assert_int_eq(bg_snapshot_new(&snapshot, &from, &fetcher.base, &report), 0);
	bg_buf_clear(&report);
	return snapshot;
}

START_TEST(a_snapshot_in_use_outlives_the_one_that_replaces_it)
{
	struct bg_snapshot *mine, *other;

	ck_assert_ptr_null(bg_snapshots_take(all));
	bg_snapshots_replace(all, make("first", "/nonexistent"));
	mine = bg_snapshots_take(all);
	bg_snapshots_replace(all, make("second", "/nonexistent"));
	other = bg_snapshots_take(all);
	ck_assert_str_eq(mine->gate->answers.realm, "first");
	ck_assert_str_eq(mine->conf->realm, "first");
	ck_assert_str_eq(other->gate->answers.realm, "second");
	bg_snapshots_give_back(all, mine);
	bg_snapshots_give_back(all, other);
	ck_assert(bg_snapshots_wait(all, LONG_MS));
	ck_assert_str_eq(other->gate->answers.realm, "second");	/* still in force */
}
END_TEST

START_TEST(a_bad_configuration_makes_no_snapshot)
{
	struct bg_conf_sources from = { .file = "/nonexistent/conf", .environ = nothing };
	struct bg_snapshot *snapshot;
	struct bg_buf report;

	bg_buf_init(&report, 4096);
	ck_assert_int_eq(bg_snapshot_new(&snapshot, &from, &bg_fetch_file, &report), EX_NOINPUT);
	ck_assert_ptr_null(snapshot);
	ck_assert_uint_gt(report.len, 0);
	bg_buf_clear(&report);
}
END_TEST

START_TEST(nobody_waits_for_a_fetch_that_hangs)
{
	char fetch[2048], text[4096];
	struct bg_snapshot *snapshot;
	struct bg_error err = { 0 };
	int hold, began;

	ck_assert_int_eq(mkfifo(bg_test_file(&dir, "began"), 0600), 0);
	ck_assert_int_ne(began = open(bg_test_file(&dir, "began"), O_RDWR | O_CLOEXEC), -1);
	ck_assert_int_eq(mkfifo(bg_test_file(&dir, "hold"), 0600), 0);
	ck_assert_int_ne(hold = open(bg_test_file(&dir, "hold"), O_RDWR | O_CLOEXEC), -1);
	bg_format(text, sizeof(text), "#!/bin/sh\necho >'%s/began'\nread x <'%s/hold'\nexit 2\n", dir.path, dir.path);
	bg_test_file_write(&dir, "fetch", text, strlen(text));
	bg_format(fetch, sizeof(fetch), "%s", bg_test_file(&dir, "fetch"));
	ck_assert_int_eq(chmod(fetch, 0700), 0);

	snapshot = make("hangs", fetch);
	ck_assert_msg(bg_gate_start(snapshot->gate, NULL, NULL, &err) == 0, "%s", err.detail);
	bg_snapshots_replace(all, snapshot);
	ck_assert_int_eq(read(began, text, 1), 1);
	bg_snapshots_replace(all, NULL);
	ck_assert(bg_snapshots_wait(all, LONG_MS));	/* nobody writes to hold, so the fetch was given up */
	close(hold);
	close(began);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tc = tcase_create("snapshot");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_snapshot_in_use_outlives_the_one_that_replaces_it);
	tcase_add_test(tc, a_bad_configuration_makes_no_snapshot);
	tcase_add_test(tc, nobody_waits_for_a_fetch_that_hangs);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
