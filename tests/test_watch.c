#include "core/watch.h"

#include <poll.h>

#include "tests/support/run.h"
#include "tests/support/tmp.h"

/* Does the descriptor become readable, by now or within the time a loaded machine may take? */
static bool
stirs(const struct bg_watch *watch, int ms)
{
	struct pollfd fd = { .fd = bg_watch_fd(watch), .events = POLLIN };

	ck_assert_int_ne(fd.fd, -1);
	return poll(&fd, 1, ms) == 1;
}

/* Whatever happened makes the descriptor readable, is told once, and leaves it quiet. */
#define ck_changed(watch) do {							\
	ck_assert(stirs((watch), 10000));					\
	ck_assert(bg_watch_changed(watch));					\
	ck_assert(!stirs((watch), 0));						\
	ck_assert(!bg_watch_changed(watch));					\
} while (0)

static void
move(struct bg_test_dir *dir, const char *from, const char *to)
{
	char path[2048];

	snprintf(path, sizeof(path), "%s", bg_test_file(dir, from));
	ck_assert_int_eq(rename(path, bg_test_file(dir, to)), 0);
}

START_TEST(every_way_of_changing_a_file_is_noticed)
{
	struct bg_test_dir dir;
	struct bg_watch *watch;
	char path[2048];

	bg_test_dir_make(&dir);
	snprintf(path, sizeof(path), "%s", bg_test_file(&dir, "keys"));
	ck_assert_int_eq(bg_watch_new(&watch, path, NULL), 0);
	ck_assert(bg_watch_changed(watch));		/* the first time there is nothing to compare with */
	ck_assert(!bg_watch_changed(watch));

	bg_test_file_write(&dir, "keys", "one", 3);	/* it comes */
	ck_changed(watch);
	bg_test_file_write(&dir, "keys", "two!", 4);	/* it is written in place */
	ck_changed(watch);
	bg_test_file_write(&dir, "next", "three", 5);	/* a neighbour comes: an occasion to look, and no change */
	ck_assert(stirs(watch, 10000));
	ck_assert(!bg_watch_changed(watch));
	move(&dir, "next", "keys");			/* it is replaced */
	ck_changed(watch);
	ck_assert_int_eq(chmod(path, 0600), 0);		/* who may read it changes */
	ck_changed(watch);
	ck_assert_int_eq(unlink(path), 0);		/* it goes */
	ck_changed(watch);
	bg_test_file_write(&dir, "keys", "one", 3);	/* and comes back */
	ck_changed(watch);
	bg_watch_free(watch);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(two_changes_in_one_tick_are_two_changes)
{
	struct bg_test_dir dir;
	struct bg_watch *watch;
	char path[2048];

	bg_test_dir_make(&dir);
	snprintf(path, sizeof(path), "%s", bg_test_file(&dir, "keys"));
	ck_assert_int_eq(bg_watch_new(&watch, path, NULL), 0);
	for (int i = 0; i < 200; i++) {
		/* same size, same file, and mostly the same time */
		bg_test_file_write(&dir, "keys", i % 2 == 0 ? "one" : "two", 3);
		ck_assert_msg(bg_watch_changed(watch), "change %d", i);
	}
	bg_watch_free(watch);
	bg_test_dir_remove(&dir);
}
END_TEST

/* As Kubernetes puts files in place: keys -> ..data/keys, ..data -> a directory, and the middle link is exchanged. */
START_TEST(a_change_behind_links_is_noticed)
{
	static const char *const dirs[] = { "one", "two" };
	struct bg_test_dir dir;
	struct bg_watch *watch;
	char path[2048];

	bg_test_dir_make(&dir);
	for (int i = 0; i < N(dirs); i++) {
		char name[32];

		ck_assert_int_eq(mkdir(bg_test_file(&dir, dirs[i]), 0700), 0);
		snprintf(name, sizeof(name), "%s/keys", dirs[i]);
		bg_test_file_write(&dir, name, dirs[i], 3);
	}
	ck_assert_int_eq(symlink("one", bg_test_file(&dir, "data")), 0);
	ck_assert_int_eq(symlink("data/keys", bg_test_file(&dir, "keys")), 0);
	snprintf(path, sizeof(path), "%s", bg_test_file(&dir, "keys"));
	ck_assert_int_eq(bg_watch_new(&watch, path, NULL), 0);
	ck_assert(bg_watch_changed(watch));
	ck_assert_int_eq(symlink("two", bg_test_file(&dir, "next")), 0);
	move(&dir, "next", "data");
	ck_changed(watch);
	bg_test_file_write(&dir, "two/keys", "six", 3);	/* where it leads now */
	ck_changed(watch);
	bg_watch_free(watch);
	for (int i = 0; i < N(dirs); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s/keys", dirs[i]);
		ck_assert_int_eq(unlink(bg_test_file(&dir, name)), 0);
		ck_assert_int_eq(rmdir(bg_test_file(&dir, dirs[i])), 0);
	}
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_directory_in_place_of_the_directory_is_noticed)
{
	static const char *const dirs[] = { "one", "two" };
	struct bg_test_dir dir;
	struct bg_watch *watch;
	char path[2048];

	bg_test_dir_make(&dir);
	for (int i = 0; i < N(dirs); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s/keys", dirs[i]);
		ck_assert_int_eq(mkdir(bg_test_file(&dir, dirs[i]), 0700), 0);
		bg_test_file_write(&dir, name, dirs[i], 3);
	}
	snprintf(path, sizeof(path), "%s", bg_test_file(&dir, "one/keys"));
	ck_assert_int_eq(bg_watch_new(&watch, path, NULL), 0);
	ck_assert(bg_watch_changed(watch));
	move(&dir, "one", "old");
	move(&dir, "two", "one");
	ck_changed(watch);
	bg_test_file_write(&dir, "one/keys", "six", 3);
	ck_changed(watch);
	bg_watch_free(watch);
	ck_assert_int_eq(unlink(bg_test_file(&dir, "one/keys")), 0);
	ck_assert_int_eq(unlink(bg_test_file(&dir, "old/keys")), 0);
	ck_assert_int_eq(rmdir(bg_test_file(&dir, "one")), 0);
	ck_assert_int_eq(rmdir(bg_test_file(&dir, "old")), 0);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(what_cannot_be_watched_can_be_asked_for)
{
	struct bg_watch *watch;

	ck_assert_int_eq(bg_watch_new(&watch, "/nonexistent/keys", NULL), 0);
	ck_assert_int_eq(bg_watch_fd(watch), -1);
	ck_assert(bg_watch_changed(watch));
	ck_assert(!bg_watch_changed(watch));
	bg_watch_free(watch);
	bg_watch_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("watch");
	TCase *tc = tcase_create("watch");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_way_of_changing_a_file_is_noticed);
	tcase_add_test(tc, two_changes_in_one_tick_are_two_changes);
	tcase_add_test(tc, a_change_behind_links_is_noticed);
	tcase_add_test(tc, a_directory_in_place_of_the_directory_is_noticed);
	tcase_add_test(tc, what_cannot_be_watched_can_be_asked_for);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
