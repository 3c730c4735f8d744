#include "core/replay.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/log.h"
#include "tests/support/run.h"
#include "tests/support/spend.h"
#include "tests/support/tmp.h"

/* The store that LMDB keeps; that in Redis is in test_redis.c, with the same table. */

#define T0	INT64_C(1700000000)
#define DAY	INT64_C(86400)
#define STORE	"store"

static const struct bg_test_spend once = { .proof = 'p', .request = 'r' }, other = { .proof = 'p', .request = 's' };

static struct bg_test_dir dir;
static char path[2048];		/* of the store in it */

/* A moment so many milliseconds after T0, of a machine that has been up for a day. */
static struct bg_now
at(int64_t ms)
{
	return (struct bg_now){ .wall = (T0 * 1000 + ms) / 1000, .wall_ms = T0 * 1000 + ms, .mono_ms = DAY * 1000 + ms };
}

static void
begin(void)
{
	bg_test_dir_make(&dir);
	snprintf(path, sizeof(path), "%s", bg_test_file(&dir, STORE));
	bg_log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), BG_LOG_WARNING);
}

static void
end(void)
{
	struct bg_test_dir store;

	snprintf(store.path, sizeof(store.path), "%.1000s", path);
	if (access(store.path, F_OK) == 0)
		bg_test_dir_remove(&store);
	bg_test_dir_remove(&dir);
}

static struct bg_replay *
new_store(const char *where, size_t max)
{
	struct bg_replay *replay;
	struct bg_error err = { 0 };

	ck_reason(bg_replay_lmdb_new(where, max, SPEND_LEEWAY, &replay, &err), err, BG_R_OK, "new");
	return replay;
}

static struct bg_replay *
open_store(const char *where, struct bg_now now)
{
	struct bg_replay *replay = new_store(where, 1000);
	struct bg_error err = { 0 };

	if (where == NULL)		/* a private one is young for proofs of before it was opened */
		now = (struct bg_now){ .wall = now.wall - 2, .wall_ms = now.wall_ms - 2000, .mono_ms = now.mono_ms - 2000 };
	ck_reason(replay->open(replay, now, &err), err, BG_R_OK, "open");
	return replay;
}

/* What spending comes to, with an iat of the same moment; retry_after is there exactly where it must be. */
static enum bg_reason
spend_iat(struct bg_replay *replay, const struct bg_test_spend *row, struct bg_now now, int64_t iat, uint64_t salt,
    int64_t *retry_after)
{
	struct bg_spending spending = bg_test_spending(row, iat, salt);
	struct bg_error err = { 0 };
	int64_t wait = -1;
	int rc = replay->spend(replay, &spending, now, &wait, &err);

	ck_assert_int_eq(rc == 0, err.reason == BG_R_OK);
	ck_assert_msg((wait > 0) == (err.reason == BG_R_STORE_DOWN || err.reason == BG_R_STORE_FULL ||
	    err.reason == BG_R_STORE_YOUNG), "%s, retry after %" PRId64, err.detail, wait);
	if (retry_after != NULL)
		*retry_after = wait;
	return err.reason;
}

static enum bg_reason
spend(struct bg_replay *replay, const struct bg_test_spend *row, int64_t ms, uint64_t salt)
{
	return spend_iat(replay, row, at(ms), at(ms).wall, salt, NULL);
}

#define ck_spend(replay, row, ms, salt, want, name) do {							\
	enum bg_reason ck_got = spend((replay), (row), (ms), (salt));					\
													\
	ck_assert_msg(ck_got == (want), "%s: %s, wanted %s", (name), bg_reason_name(ck_got), bg_reason_name(want));	\
} while (0)

/* The name in the store's directory that ends so; NULL when there is none.  Borrowed until the next call. */
static const char *
file_ending(const char *ending)
{
	static char found[4096];
	struct dirent *entry;
	DIR *list = opendir(path);

	found[0] = '\0';
	ck_assert_ptr_nonnull(list);
	while ((entry = readdir(list)) != NULL) {
		size_t len = strlen(entry->d_name), tail = strlen(ending);

		if (len > tail && strcmp(entry->d_name + len - tail, ending) == 0)
			snprintf(found, sizeof(found), "%s/%s", path, entry->d_name);
	}
	closedir(list);
	return found[0] != '\0' ? found : NULL;
}

static void
run_table(struct bg_replay *replay, int64_t from)
{
	for (int i = 0; i < N(bg_test_spends); i++)
		ck_spend(replay, &bg_test_spends[i], from + bg_test_spends[i].at, 1, bg_test_spends[i].want,
		    bg_test_spends[i].name);
}

START_TEST(a_proof_is_spent_once_for_one_request)
{
	struct bg_replay *replay;

	begin();
	replay = open_store(_i == 0 ? path : NULL, at(0));
	run_table(replay, 0);
	bg_replay_free(replay);
	end();
}
END_TEST

START_TEST(a_private_store_is_nobody_elses)
{
	struct bg_replay *a = open_store(NULL, at(0)), *b = open_store(NULL, at(0));

	ck_spend(a, &once, 0, 1, BG_R_OK, "one");
	ck_spend(b, &other, 0, 1, BG_R_OK, "the other");
	bg_replay_free(a);
	bg_replay_free(b);
}
END_TEST

/* Whoever used one before is gone, with what it knew.  SR-63. */
START_TEST(a_private_store_knows_nothing_of_before_it_was_opened)
{
	struct bg_replay *replay = new_store(NULL, 1000);
	struct bg_error err = { 0 };
	int64_t wait;

	ck_reason(replay->open(replay, at(0), &err), err, BG_R_OK, "open");
	ck_assert_int_eq(spend_iat(replay, &once, at(0), at(0).wall - 1, 1, &wait), BG_R_STORE_YOUNG);
	ck_assert_int_eq(spend_iat(replay, &once, at(0), at(0).wall, 2, &wait), BG_R_STORE_YOUNG);
	ck_assert_int_eq(wait, 1);
	ck_assert_int_eq(spend_iat(replay, &once, at(1000), at(1000).wall, 3, NULL), BG_R_OK);
	bg_replay_free(replay);
}
END_TEST

START_TEST(what_another_store_knows_is_not_known)
{
	struct bg_replay *private = open_store(NULL, at(0)), *named, *again, *more;

	begin();
	named = open_store(path, at(0));
	again = new_store(path, 10);
	more = new_store(NULL, 10);
	ck_assert(again->take_over(again, named));
	ck_assert(!again->take_over(again, private));
	ck_assert(!more->take_over(more, named));
	ck_assert(more->take_over(more, private));
	bg_replay_free(more);
	bg_replay_free(again);
	bg_replay_free(named);
	bg_replay_free(private);
	end();
}
END_TEST

START_TEST(a_reload_forgets_nothing_that_is_private)	/* SR-63 */
{
	struct bg_replay *old = open_store(NULL, at(0)), *unopened = new_store(NULL, 1000), *now_in_force = new_store(NULL, 2000), *named;
	struct bg_error err = { 0 };

	ck_spend(old, &once, 0, 1, BG_R_OK, "before");
	ck_assert(!now_in_force->take_over(now_in_force, unopened));	/* has nothing yet */
	ck_assert(now_in_force->take_over(now_in_force, old));
	ck_reason(now_in_force->open(now_in_force, at(1), &err), err, BG_R_OK, "open");
	ck_spend(now_in_force, &other, 1, 1, BG_R_PROOF_SPENT, "after");
	ck_spend(now_in_force, &once, 2, 2, BG_R_OK, "another, after");
	ck_spend(old, &other, 3, 2, BG_R_PROOF_SPENT, "a request that began before");
	bg_replay_free(old);
	ck_spend(now_in_force, &other, 4, 1, BG_R_PROOF_SPENT, "when the old one is gone");
	begin();
	named = new_store(path, 1000);
	ck_assert(!named->take_over(named, now_in_force));	/* what others share is what others share */
	ck_reason(named->open(named, at(5), &err), err, BG_R_OK, "open");
	ck_spend(named, &other, 5, 1, BG_R_OK, "another store");
	bg_replay_free(named);
	end();
	bg_replay_free(unopened);
	bg_replay_free(now_in_force);
}
END_TEST

START_TEST(a_proof_is_forgotten_when_its_life_is_over)
{
	struct bg_replay *replay;

	begin();
	replay = open_store(path, at(0));
	ck_spend(replay, &once, 0, 1, BG_R_OK, "first");
	ck_spend(replay, &other, SPEND_LIFE - 1, 1, BG_R_PROOF_SPENT, "the last millisecond of its life");
	ck_spend(replay, &other, SPEND_LIFE, 1, BG_R_OK, "the end of its life");
	ck_spend(replay, &once, SPEND_LIFE, 1, BG_R_PROOF_SPENT, "and now it is the other request's");
	ck_spend(replay, &once, 2 * SPEND_LIFE - 1, 1, BG_R_PROOF_SPENT, "for as long again");
	ck_spend(replay, &once, 2 * SPEND_LIFE, 1, BG_R_OK, "but not longer");
	bg_replay_free(replay);
	end();
}
END_TEST

START_TEST(a_life_that_is_none_is_refused)
{
	static const int64_t lives[] = { -1, INT64_MIN, INT64_MAX, INT64_MAX / 2 };
	struct bg_replay *replay = open_store(NULL, at(0)), *closed = new_store(NULL, 10);

	for (int i = 0; i < N(lives); i++) {
		struct bg_test_spend row = { .proof = 'p', .request = 'r', .life = lives[i] };

		ck_spend(replay, &row, 0, 1, BG_R_INTERNAL, "life");
	}
	ck_spend(closed, &once, 0, 1, BG_R_INTERNAL, "not opened");
	bg_replay_free(replay);
	bg_replay_free(closed);
}
END_TEST

START_TEST(a_request_passes_with_so_many_calls_at_most)
{
	struct bg_replay *replay = open_store(NULL, at(0));
	int passed = 0;

	for (int i = 1; i <= 64; i++) {
		struct bg_test_spend row = { .proof = 'p', .request = 'r', .call = (char)i };

		passed += spend(replay, &row, 0, 1) == BG_R_OK;
	}
	ck_assert_int_eq(passed, 16);	/* BG_REPLAY_CALLS_MAX */
	bg_replay_free(replay);
}
END_TEST

static enum bg_reason
spend_one(struct bg_replay *replay, const struct bg_test_spend *row)
{
	return spend(replay, row, 0, 1);
}

/* SR-63 */
START_TEST(of_64_threads_with_one_proof_exactly_one_passes)
{
	unsigned counts[BG_R_COUNT];
	struct bg_replay *replay[2];

	begin();
	replay[0] = open_store(_i == 0 ? path : NULL, at(0));
	replay[1] = _i == 0 ? open_store(path, at(0)) : replay[0];	/* as in a reload */
	bg_test_spend_at_once(replay, 64, spend_one, counts);
	ck_assert_uint_eq(counts[BG_R_OK], 1);
	ck_assert_uint_eq(counts[BG_R_PROOF_SPENT], 63);
	if (_i == 0)
		bg_replay_free(replay[1]);
	bg_replay_free(replay[0]);
	end();
}
END_TEST

/* SR-64 */
START_TEST(processes_share_it_and_each_proof_passes_in_one)
{
	enum { PROOFS = 300 };
	int ends[2], total = 0, n;

	begin();
	ck_assert_int_eq(pipe(ends), 0);
	for (int child = 0; child < 4; child++)
		if (fork() == 0) {
			struct bg_replay *replay = open_store(path, at(0));
			struct bg_test_spend row = { .proof = 'p', .request = (char)('0' + child) };

			n = 0;
			for (uint64_t i = 0; i < PROOFS; i++)
				n += spend(replay, &row, 0, i) == BG_R_OK;
			ck_assert_int_eq(write(ends[1], &n, sizeof(n)), sizeof(n));
			bg_replay_free(replay);
			_exit(0);
		}
	close(ends[1]);
	while (read(ends[0], &n, sizeof(n)) == sizeof(n))
		total += n;
	ck_assert_int_eq(total, PROOFS);
	for (int child = 0; child < 4; child++)
		ck_assert_int_gt(wait(NULL), 0);
	close(ends[0]);
	end();
}
END_TEST

/* SR-91: what a child has spent before it was killed in the middle of something stays spent, and nobody waits for it. */
START_TEST(a_process_killed_while_spending_leaves_the_others_working)
{
	struct bg_replay *replay;
	uint64_t last;

	begin();
	for (uint64_t round = 0; round < 20; round++) {
		int ends[2], status;
		uint64_t n = 0;
		pid_t pid;

		ck_assert_int_eq(pipe(ends), 0);
		if ((pid = fork()) == 0) {
			replay = new_store(path, 1000000);
			if (replay->open(replay, at(0), NULL) != 0)
				_exit(1);
			for (uint64_t i = round * 100000;; i++)
				if (spend(replay, &once, 0, i) != BG_R_OK || write(ends[1], &i, sizeof(i)) != sizeof(i))
					_exit(1);
		}
		close(ends[1]);
		/* each round dies at another place: the pipe holds what it wrote meanwhile */
		while (n < 5 + round && read(ends[0], &last, sizeof(last)) == sizeof(last))
			n++;
		ck_assert_uint_ge(n, 5);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		/* another one comes before the dead one is buried */
		if (round % 2 == 0) {
			replay = open_store(path, at(0));
			ck_spend(replay, &other, 0, last, BG_R_PROOF_SPENT, "beside the dead");
			bg_replay_free(replay);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		while (read(ends[0], &last, sizeof(last)) == sizeof(last))
			continue;
		close(ends[0]);
		replay = new_store(path, 1000000);
		ck_assert_int_eq(replay->open(replay, at(0), NULL), 0);
		ck_spend(replay, &other, 0, last, BG_R_PROOF_SPENT, "what it spent last");
		ck_spend(replay, &other, 0, round * 100000 + 99999, BG_R_OK, "one it did not spend");
		bg_replay_free(replay);
	}
	end();
}
END_TEST

/* SR-64 */
START_TEST(it_is_kept_over_a_restart)
{
	struct bg_replay *replay;

	begin();
	replay = open_store(path, at(0));
	ck_spend(replay, &once, 0, 1, BG_R_OK, "first");
	bg_replay_free(replay);
	replay = open_store(path, at(1000));
	ck_spend(replay, &other, 1000, 1, BG_R_PROOF_SPENT, "after the restart");
	ck_spend(replay, &once, 1000, 1, BG_R_OK, "the same request");
	bg_replay_free(replay);
	end();
}
END_TEST

START_TEST(two_stores_of_one_process_are_one_by_any_name)
{
	char again[4096];
	struct bg_replay *a, *b, *c;

	begin();
	a = open_store(path, at(0));
	snprintf(again, sizeof(again), "%s/./" STORE "/", dir.path);
	b = new_store(again, 100000);
	ck_assert_int_eq(b->open(b, at(0), NULL), 0);
	ck_spend(a, &once, 0, 1, BG_R_OK, "one");
	ck_spend(b, &other, 0, 1, BG_R_PROOF_SPENT, "the other");
	bg_replay_free(a);
	ck_spend(b, &once, 0, 2, BG_R_OK, "the first has gone");
	c = open_store(path, at(0));
	ck_spend(c, &other, 0, 2, BG_R_PROOF_SPENT, "a third");
	bg_replay_free(b);
	ck_spend(c, &other, 0, 1, BG_R_PROOF_SPENT, "the second has gone too");
	bg_replay_free(c);
	end();
}
END_TEST

/* One process wants less room than another, whose proofs outgrow it at that very moment. */
START_TEST(a_smaller_store_opens_while_a_larger_one_grows)
{
	int status, ends[2];
	pid_t pid;
	char byte;

	begin();
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		struct bg_replay *large = new_store(path, 1000000);
		uint64_t i;

		if (large->open(large, at(0), NULL) != 0)
			_exit(1);
		for (i = 0; i < 60000; i++)
			if (spend(large, &once, 0, i) != BG_R_OK || (i == 20000 && write(ends[1], "x", 1) != 1))
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);	/* more than fits into the map of a small one */
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct bg_replay *small = new_store(path, 1);
		struct bg_error err = { 0 };

		ck_reason(small->open(small, at(0), &err), err, BG_R_OK, "small");
		ck_spend(small, &other, 0, 5, BG_R_PROOF_SPENT, "one of the other's");
		bg_replay_free(small);
	}
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(ends[0]);
	end();
}
END_TEST

/* SR-65 */
START_TEST(a_full_store_gives_up_no_proof_that_is_live)
{
	struct bg_test_spend shorter = { .proof = 'q', .request = 'r', .life = 10000 };
	struct bg_replay *replay;
	int64_t wait;

	begin();
	replay = new_store(_i == 0 ? path : NULL, 20);
	ck_assert_int_eq(replay->open(replay, at(-2000), NULL), 0);
	for (uint64_t i = 0; i < 19; i++)
		ck_spend(replay, &once, 0, i, BG_R_OK, "room");
	ck_spend(replay, &shorter, 0, 19, BG_R_OK, "the last room");
	ck_assert_int_eq(spend_iat(replay, &once, at(3000), T0 + 3, 20, &wait), BG_R_STORE_FULL);
	ck_assert_int_eq(wait, 8);	/* when the first one goes */
	ck_spend(replay, &once, 3000, 5, BG_R_OK, "the same request again needs no room");
	for (uint64_t i = 0; i < 19; i++)
		ck_spend(replay, &other, 3000, i, BG_R_PROOF_SPENT, "still known");
	ck_spend(replay, &once, 9999, 20, BG_R_STORE_FULL, "a millisecond before one expires");
	ck_spend(replay, &once, 10000, 20, BG_R_OK, "when it has expired");
	ck_spend(replay, &once, 10000, 21, BG_R_STORE_FULL, "full again");
	for (uint64_t i = 30; i < 50; i++)
		ck_spend(replay, &once, 10000 + SPEND_LIFE, i, BG_R_OK, "all have expired");
	ck_spend(replay, &once, 10000 + SPEND_LIFE, 50, BG_R_STORE_FULL, "and full again");
	bg_replay_free(replay);
	end();
}
END_TEST

START_TEST(what_expires_makes_room_and_the_file_does_not_grow)
{
	struct bg_replay *replay;
	struct stat before, after;
	uint64_t salt = 0;

	begin();
	replay = open_store(path, at(0));
	for (int64_t round = 0; round < 2; round++)
		for (int i = 0; i < 500; i++)
			ck_spend(replay, &once, round * SPEND_LIFE, salt++, BG_R_OK, "at first");
	ck_assert_int_eq(stat(file_ending(".mdb"), &before), 0);
	for (int64_t round = 2; round < 12; round++)
		for (int i = 0; i < 500; i++)
			ck_spend(replay, &once, round * SPEND_LIFE, salt++, BG_R_OK, "later");
	ck_assert_int_eq(stat(file_ending(".mdb"), &after), 0);
	ck_assert_int_le(after.st_size, before.st_size * 2);
	bg_replay_free(replay);
	end();
}
END_TEST

static const struct { const char *name; enum { GARBAGE, TEXT, HALF_META, CUT, CUT_AT_META, ZEROED } how; } broken[] = {
	{ "garbage", GARBAGE },
	{ "text", TEXT },
	{ "half of its first page", HALF_META },
	{ "cut off", CUT },
	{ "nothing but its first two pages", CUT_AT_META },
	{ "zeros behind its first two pages", ZEROED },
};

static void
break_file(int how)
{
	char bytes[16384];
	const char *name = file_ending(".mdb");
	struct stat st;
	int fd = open(name, O_RDWR | O_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_gt(st.st_size, 4 * 4096);
	memset(bytes, 0, sizeof(bytes));
	switch (how) {
	case GARBAGE:
		memset(bytes, 0xa5, sizeof(bytes));
		ck_assert_int_eq(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
		break;
	case TEXT:
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		ck_assert_int_eq(pwrite(fd, "hello\n", 6, 0), 6);
		break;
	case HALF_META:
		ck_assert_int_eq(ftruncate(fd, 2048), 0);
		break;
	case CUT:
		ck_assert_int_eq(ftruncate(fd, 3 * 4096), 0);
		break;
	case CUT_AT_META:
		ck_assert_int_eq(ftruncate(fd, 2 * 4096), 0);
		break;
	case ZEROED:
		for (off_t pos = 2 * 4096; pos < st.st_size; pos += 4096)
			ck_assert_int_eq(pwrite(fd, bytes, 4096, pos), 4096);
		break;
	}
	close(fd);
}

/* What was in it may be asked for as long as its proofs may have an iat: the leeway after the loss. */
START_TEST(a_store_that_is_none_any_more_is_thrown_away_and_then_young)
{
	const int64_t later = (SPEND_LEEWAY + 2) * 1000;
	const char *name = broken[_i].name;
	struct bg_replay *replay;
	int64_t wait;

	begin();
	replay = open_store(path, at(0));
	for (uint64_t i = 0; i < 100; i++)
		ck_spend(replay, &once, 0, i, BG_R_OK, "before");
	bg_replay_free(replay);
	break_file(broken[_i].how);
	for (int restart = 0; restart < 2; restart++) {
		replay = open_store(path, at(1000 * restart));
		ck_assert_msg(spend_iat(replay, &other, at(1000), T0, 5, &wait) == BG_R_STORE_YOUNG, "%s", name);
		ck_assert_int_eq(wait, SPEND_LEEWAY + 1);	/* the loss counts as a second later than seen */
		ck_assert_int_eq(spend_iat(replay, &other, at(1000), T0 + 1 + SPEND_LEEWAY, 5, NULL), BG_R_STORE_YOUNG);
		ck_spend(replay, &other, later - 1000, 5, BG_R_STORE_YOUNG, name);
		bg_replay_free(replay);
	}
	replay = open_store(path, at(later));
	ck_assert_int_eq(spend_iat(replay, &other, at(later), T0 + 1 + SPEND_LEEWAY, 5, NULL), BG_R_STORE_YOUNG);
	ck_spend(replay, &other, later, 5, BG_R_OK, name);
	ck_spend(replay, &once, later, 5, BG_R_PROOF_SPENT, name);
	bg_replay_free(replay);
	end();
}
END_TEST

/* Two processes: what one notices, both act on. */
START_TEST(a_store_removed_under_its_users_is_young)
{
	struct bg_replay *replay, *fresh;

	begin();
	replay = open_store(path, at(0));
	ck_spend(replay, &once, 0, 1, BG_R_OK, "before");
	ck_assert_int_eq(unlink(file_ending(".mdb")), 0);
	if (_i >= 2) {		/* all of it was removed */
		struct bg_test_dir store;

		snprintf(store.path, sizeof(store.path), "%.1000s", path);
		bg_test_dir_remove(&store);
	}
	if (_i % 2 == 1) {	/* another process opens it first, and knows from the mark beside it, if that is there */
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			/* a program of its own would have nothing open */
			execl("/proc/self/exe", "test_replay", "spend", path, (char *)NULL);
			_exit(2);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == (_i == 1 ? BG_R_STORE_YOUNG : BG_R_OK));
	}
	ck_spend(replay, &other, 2000, 1, BG_R_STORE_YOUNG, "after it");
	fresh = open_store(path, at(2000));
	ck_spend(fresh, &other, 2000, 1, BG_R_STORE_YOUNG, "in a new store");
	ck_spend(replay, &other, 60000, 1, BG_R_OK, "when it is old enough");
	ck_spend(fresh, &once, 60000, 1, BG_R_PROOF_SPENT, "in the new one too");
	bg_replay_free(replay);
	bg_replay_free(fresh);
	replay = open_store(path, at(60000));
	ck_spend(replay, &once, 60000, 1, BG_R_PROOF_SPENT, "after a restart");
	bg_replay_free(replay);
	end();
}
END_TEST

/* By somebody who takes it for a leftover.  Under two locks, one process would undo what the other noted.  SR-63 */
START_TEST(a_process_whose_lock_was_removed_takes_the_new_one)
{
	struct bg_replay *replay;
	int status;
	pid_t pid;

	begin();
	replay = open_store(path, at(0));
	ck_spend(replay, &once, 0, 1, BG_R_OK, "before");
	ck_assert_int_eq(unlink(file_ending(".mdb-lock")), 0);
	if ((pid = fork()) == 0) {
		execl("/proc/self/exe", "test_replay", "spend", path, (char *)NULL);
		_exit(2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == BG_R_OK);
	ck_spend(replay, &once, 1000, 2, BG_R_PROOF_SPENT, "by the other process");
	ck_spend(replay, &once, 1000, 3, BG_R_OK, "after it");
	ck_assert_int_eq(unlink(file_ending(".mdb-lock")), 0);
	ck_spend(replay, &other, 1000, 3, BG_R_PROOF_SPENT, "removed again, and nothing is lost");
	ck_assert_ptr_nonnull(file_ending(".mdb-lock"));
	bg_replay_free(replay);
	end();
}
END_TEST

/* In another program, since this one has the store open; see main.  Check's assertions are for tests alone. */
static int
spend_once(const char *where)
{
	struct bg_spending spending = bg_test_spending(&other, T0 + 1, 2);
	struct bg_error err = { 0 };
	struct bg_replay *replay;
	int64_t wait;

	bg_log_open(2, BG_LOG_ERROR);
	if (bg_replay_lmdb_new(where, 1000, SPEND_LEEWAY, &replay, &err) != 0)
		return -1;
	if (replay->open(replay, at(1000), &err) == 0)
		(void)replay->spend(replay, &spending, at(1000), &wait, &err);
	bg_replay_free(replay);
	return (int)err.reason;
}

START_TEST(the_store_of_another_boot_is_thrown_away_unopened)
{
	struct bg_replay *replay;
	char now[4096], was[4096];
	struct bg_now boot = { .wall = T0, .wall_ms = T0 * 1000, .mono_ms = 5000 };	/* the machine is up since 5 s */
	int64_t wait;

	begin();
	replay = open_store(path, at(0));
	ck_spend(replay, &once, 0, 1, BG_R_OK, "before");
	bg_replay_free(replay);
	snprintf(now, sizeof(now), "%s", file_ending(".mdb"));
	snprintf(was, sizeof(was), "%s/replay.01234567-89ab-cdef-0123-456789abcdef.mdb", path);
	ck_assert_int_eq(rename(now, was), 0);
	break_file(GARBAGE);
	ck_assert_int_eq(unlink(file_ending(".made")), 0);
	replay = open_store(path, boot);
	ck_assert_int_eq(access(was, F_OK), -1);
	ck_assert_int_eq(access(now, F_OK), 0);
	/* it may hold what was spent until the boot */
	ck_assert_int_eq(spend_iat(replay, &other, boot, T0, 1, &wait), BG_R_STORE_YOUNG);
	ck_assert_int_eq(wait, SPEND_LEEWAY - 5 + 1);
	ck_assert_int_eq(spend_iat(replay, &other, boot, T0 - 5 + SPEND_LEEWAY, 1, NULL), BG_R_STORE_YOUNG);
	ck_assert_int_eq(spend_iat(replay, &other, boot, T0 - 5 + SPEND_LEEWAY + 1, 1, NULL), BG_R_OK);
	bg_replay_free(replay);
	end();
}
END_TEST

START_TEST(a_file_that_is_not_of_a_store_is_left_alone)
{
	static const char *const names[] = { "replay.mdb", "replay.conf", "x.01234567-89ab-cdef-0123-456789abcdef.mdb" };
	struct bg_test_dir store;

	begin();
	snprintf(store.path, sizeof(store.path), "%.1000s", path);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	for (int i = 0; i < N(names); i++)
		bg_test_file_write(&store, names[i], "x", 1);
	bg_replay_free(open_store(path, at(0)));
	for (int i = 0; i < N(names); i++)
		ck_assert_int_eq(access(bg_test_file(&store, names[i]), F_OK), 0);
	end();
}
END_TEST

static const struct { const char *name; mode_t mode; bool good; } modes[] = {
	{ "for us alone", 0700, true },
	{ "others may look", 0755, true },
	{ "its group may write", 0770, false },
	{ "others may write", 0702, false },
	{ "everybody may, with the sticky bit", 01777, false },
};

START_TEST(a_directory_that_others_can_write_to_is_refused)
{
	struct bg_replay *replay;
	struct bg_error err = { 0 };

	begin();
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(chmod(path, modes[_i].mode), 0);
	replay = new_store(path, 10);
	ck_reason(replay->open(replay, at(0), &err), err, modes[_i].good ? BG_R_OK : BG_R_STORE_DOWN, modes[_i].name);
	if (!modes[_i].good) {
		ck_assert_msg(strstr(err.detail, "may be written to by") != NULL && strstr(err.detail, path) != NULL, "%s",
		    err.detail);
		ck_assert_ptr_null(file_ending(".mdb"));
	}
	bg_replay_free(replay);
	end();
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_or_is_none_is_refused)
{
	struct bg_error err = { 0 };
	struct bg_replay *replay;
	char below[4096];
	struct stat st;

	begin();
	snprintf(below, sizeof(below), "%s/below", path);
	replay = new_store(below, 10);
	ck_reason(replay->open(replay, at(0), &err), err, BG_R_STORE_DOWN, "its parent is missing");
	ck_assert_ptr_nonnull(strstr(err.detail, "No such file"));
	bg_replay_free(replay);
	bg_test_file_write(&dir, STORE, "x", 1);
	bg_error_clear(&err);
	replay = new_store(path, 10);
	ck_reason(replay->open(replay, at(0), &err), err, BG_R_STORE_DOWN, "a file");
	bg_replay_free(replay);
	ck_assert_int_eq(unlink(path), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(mkdir(path, 0700), 0);
		ck_assert_int_eq(chown(path, 65534, 65534), 0);
		bg_error_clear(&err);
		replay = new_store(path, 10);
		ck_reason(replay->open(replay, at(0), &err), err, BG_R_STORE_DOWN, "somebody else's");
		ck_assert_ptr_nonnull(strstr(err.detail, "belongs to somebody else"));
		bg_replay_free(replay);
		ck_assert_int_eq(rmdir(path), 0);
	}
	(void)umask(0);
	bg_replay_free(open_store(path, at(0)));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(file_ending(".mdb"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(stat(file_ending(".mdb-lock"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	end();
}
END_TEST

/*
 * A proof expires at a time of the clock, whatever the clock was in between, so what was taken out while it was ahead may be
 * good again when it is set back.  SR-63.
 */
START_TEST(a_clock_that_was_ahead_and_is_set_back_lets_no_proof_in_twice)
{
	const struct bg_test_spend later = { .proof = 'p', .request = 's', .life = SPEND_LIFE + 1000 };
	struct bg_replay *replay;
	int64_t wait = 0;

	begin();
	replay = open_store(_i == 0 ? path : NULL, at(0));
	for (uint64_t i = 0; i < 10; i++)
		ck_spend(replay, &once, 900, i, BG_R_OK, "by the right clock");
	for (uint64_t i = 100; i < 110; i++)
		ck_spend(replay, &once, DAY * 1000, i, BG_R_OK, "a day ahead, where the others have expired");
	for (uint64_t i = 0; i < 10; i++)
		ck_assert_int_ne(spend_iat(replay, &other, at(0), T0, i, &wait), BG_R_OK);
	ck_spend(replay, &other, 0, 0, BG_R_STORE_YOUNG, "set back: spent, and forgotten");
	ck_assert_int_eq(spend_iat(replay, &other, at(0), T0, 0, &wait), BG_R_STORE_YOUNG);
	ck_assert_int_ge(wait, 1);
	ck_assert_int_le(wait, 2);	/* not until the day is over */
	ck_spend(replay, &later, 1000, 50, BG_R_OK, "one that was never there");
	ck_spend(replay, &other, DAY * 1000 + 6000, 100, BG_R_PROOF_SPENT, "and ahead again, those of then");
	bg_replay_free(replay);
	end();
}
END_TEST

/* Not as root, who may enter what has no x. */
START_TEST(a_store_opens_whatever_the_umask_takes_from_directories)
{
	struct bg_replay *replay;
	struct stat st;

	if (geteuid() == 0)
		ck_assert_int_eq(setenv("TMPDIR", "/tmp", 1), 0);	/* where everybody may go */
	begin();
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(dir.path, 65534, 65534), 0);
		ck_assert_int_eq(setegid(65534), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	(void)umask(0117);
	replay = open_store(_i == 0 ? path : NULL, at(0));
	ck_spend(replay, &once, 0, 1, BG_R_OK, "and serves");
	bg_replay_free(replay);
	if (_i == 0) {
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0700);
	}
	if (getuid() == 0) {
		/* who looks for leaks at the end has to be allowed to */
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert_int_eq(setegid(0), 0);
		ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
	}
	end();
}
END_TEST

START_TEST(a_store_damaged_while_it_is_used_is_down_and_says_what_to_do)
{
	struct bg_spending spending = bg_test_spending(&other, T0, 5);
	struct bg_error err = { 0 };
	struct bg_replay *replay;
	int64_t wait = 0;

	begin();
	replay = open_store(path, at(0));
	for (uint64_t i = 0; i < 100; i++)
		ck_spend(replay, &once, 0, i, BG_R_OK, "before");
	break_file(ZEROED);
	ck_reason(replay->spend(replay, &spending, at(0), &wait, &err), err, BG_R_STORE_DOWN, "damaged");
	ck_assert_msg(strstr(err.detail, path) != NULL && strstr(err.detail, "remove replay.*.mdb") != NULL, "%s", err.detail);
	ck_assert_int_gt(wait, 0);
	ck_assert_int_eq(unlink(file_ending(".mdb")), 0);
	ck_spend(replay, &other, 0, 5, BG_R_STORE_YOUNG, "as it said");
	ck_spend(replay, &other, 60000, 5, BG_R_OK, "and later");
	bg_replay_free(replay);
	end();
}
END_TEST

START_TEST(a_disk_that_takes_no_more_denies_until_it_does)
{
	struct rlimit limit, was;
	struct bg_replay *replay;
	enum bg_reason got = BG_R_OK;
	uint64_t n = 0;
	struct stat st;

	begin();
	replay = new_store(path, 100000);
	ck_assert_int_eq(replay->open(replay, at(0), NULL), 0);
	ck_spend(replay, &once, 0, n++, BG_R_OK, "before");
	ck_assert_int_eq(stat(file_ending(".mdb"), &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = (struct rlimit){ (rlim_t)st.st_size + 16384, was.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while (n < 1000 && (got = spend(replay, &once, 0, n)) == BG_R_OK)
		n++;
	ck_assert_str_eq(bg_reason_name(got), bg_reason_name(BG_R_STORE_DOWN));
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	for (uint64_t i = 0; i < n; i++)
		ck_spend(replay, &other, 0, i, BG_R_PROOF_SPENT, "nothing is lost");
	ck_spend(replay, &other, 0, n, BG_R_OK, "the refused one was not spent");
	bg_replay_free(replay);
	end();
}
END_TEST

/* A fetch is a child of ours: it must not inherit the store. */
START_TEST(no_descriptor_of_it_outlives_exec)
{
	struct bg_replay *replay, *private;
	struct dirent *entry;
	int mine = 0;
	DIR *list;

	begin();
	replay = open_store(path, at(0));
	private = open_store(NULL, at(0));
	list = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(list);
	while ((entry = readdir(list)) != NULL) {
		char link[4096] = "", name[300];

		snprintf(name, sizeof(name), "/proc/self/fd/%s", entry->d_name);
		if (readlink(name, link, sizeof(link) - 1) > 0 && strstr(link, "replay") != NULL && strstr(link, "mdb") != NULL) {
			mine++;
			ck_assert_msg(fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC, "%s", link);
		}
	}
	closedir(list);
	ck_assert_int_ge(mine, 3);
	bg_replay_free(replay);
	bg_replay_free(private);
	end();
}
END_TEST

START_TEST(a_program_without_it_says_so)
{
	struct bg_error err = { 0 };
	struct bg_replay *replay;

	ck_reason(bg_replay_lmdb_new("/nowhere", 10, 30, &replay, &err), err, BG_R_INTERNAL, "without");
	ck_assert_ptr_nonnull(strstr(err.detail, "built without LMDB"));
	ck_assert_ptr_null(replay);
}
END_TEST

int
main(int argc, char *argv[])
{
	Suite *suite;
	TCase *tcase;

	if (argc == 3 && strcmp(argv[1], "spend") == 0)
		return spend_once(argv[2]);
	suite = suite_create("replay");
	tcase = tcase_create("lmdb");
	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 60);
	if (!bg_replay_has_lmdb()) {
		tcase_add_test(tcase, a_program_without_it_says_so);
		return bg_test_run(suite);
	}
	tcase_add_loop_test(tcase, a_proof_is_spent_once_for_one_request, 0, 2);
	tcase_add_test(tcase, a_private_store_is_nobody_elses);
	tcase_add_test(tcase, a_private_store_knows_nothing_of_before_it_was_opened);
	tcase_add_test(tcase, what_another_store_knows_is_not_known);
	tcase_add_test(tcase, a_reload_forgets_nothing_that_is_private);
	tcase_add_test(tcase, a_proof_is_forgotten_when_its_life_is_over);
	tcase_add_test(tcase, a_life_that_is_none_is_refused);
	tcase_add_test(tcase, a_request_passes_with_so_many_calls_at_most);
	tcase_add_loop_test(tcase, of_64_threads_with_one_proof_exactly_one_passes, 0, 2);
	tcase_add_test(tcase, processes_share_it_and_each_proof_passes_in_one);
	tcase_add_test(tcase, a_process_killed_while_spending_leaves_the_others_working);
	tcase_add_test(tcase, it_is_kept_over_a_restart);
	tcase_add_test(tcase, two_stores_of_one_process_are_one_by_any_name);
	tcase_add_test(tcase, a_smaller_store_opens_while_a_larger_one_grows);
	tcase_add_loop_test(tcase, a_full_store_gives_up_no_proof_that_is_live, 0, 2);
	tcase_add_test(tcase, what_expires_makes_room_and_the_file_does_not_grow);
	tcase_add_loop_test(tcase, a_store_that_is_none_any_more_is_thrown_away_and_then_young, 0, N(broken));
	tcase_add_loop_test(tcase, a_store_removed_under_its_users_is_young, 0, 4);
	tcase_add_test(tcase, a_process_whose_lock_was_removed_takes_the_new_one);
	tcase_add_test(tcase, the_store_of_another_boot_is_thrown_away_unopened);
	tcase_add_test(tcase, a_file_that_is_not_of_a_store_is_left_alone);
	tcase_add_loop_test(tcase, a_directory_that_others_can_write_to_is_refused, 0, N(modes));
	tcase_add_test(tcase, a_directory_that_cannot_be_made_or_is_none_is_refused);
	tcase_add_loop_test(tcase, a_clock_that_was_ahead_and_is_set_back_lets_no_proof_in_twice, 0, 2);
	tcase_add_loop_test(tcase, a_store_opens_whatever_the_umask_takes_from_directories, 0, 2);
	tcase_add_test(tcase, a_store_damaged_while_it_is_used_is_down_and_says_what_to_do);
	tcase_add_test(tcase, a_disk_that_takes_no_more_denies_until_it_does);
	tcase_add_test(tcase, no_descriptor_of_it_outlives_exec);
	return bg_test_run(suite);
}
