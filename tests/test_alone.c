#include "cgi/alone.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/alg.h"
#include "core/limits.h"
#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define ISSUER		"https://issuer.example/"
#define JWKS_URI	ISSUER "jwks.json"
#define PROCESSES	8

static char issuer_name[] = ISSUER, realm[] = "test";

/* In the place of core/clock.c, for this program alone. */
static int64_t skew;	/* seconds that this machine's clock is ahead */

struct bg_now
bg_clock_now(void)
{
	struct timespec wall, boot;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (struct bg_now){ .wall = (int64_t)wall.tv_sec + skew,
		.wall_ms = ((int64_t)wall.tv_sec + skew) * 1000 + wall.tv_nsec / 1000000,
		.mono_ms = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000 };
}

int64_t
bg_clock_wall(void)
{
	return bg_clock_now().wall;
}

int64_t
bg_clock_mono_ms(void)
{
	return bg_clock_now().mono_ms;
}

int64_t
bg_clock_mono_us(void)
{
	return bg_clock_now().mono_ms * 1000;
}

/* An issuer that counts what it is asked for, in memory that processes share. */
struct world {
	struct bg_fetcher  base;
	char              *jwks;	/* NULL: down */
	int                slow;	/* milliseconds */
	atomic_int        *asked;
	const char        *file;	/* jwks_file instead */
	int64_t            ttl;
	struct bg_alone    alone;
	struct bg_test_dir dir;
};

static int
count_get(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body, struct bg_fetch_meta *meta,
    struct bg_error *err)
{
	const struct world *world = (const struct world *)self;

	ck_assert_str_eq(request->location, JWKS_URI);
	atomic_fetch_add(world->asked, 1);
	(void)poll(NULL, 0, world->slow);
	if (world->jwks == NULL)
		return bg_fail(err, BG_R_FETCH_FAILED, "down");
	meta->max_age = world->ttl;
	bg_buf_put_str(body, world->jwks);
	return 0;
}

static void
publish(struct world *world, size_t n)
{
	static const enum bg_mint_key keys[] = { BG_MINT_KEY_A, BG_MINT_KEY_B };

	free(world->jwks);
	world->jwks = n > 0 ? bg_mint_jwks(keys, n) : NULL;
}

static void
begin(struct world *world)
{
	bg_log_open(2, BG_LOG_ERROR);
	*world = (struct world){ .base = { count_get }, .ttl = 600 };
	world->asked = mmap(NULL, sizeof(*world->asked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(world->asked != MAP_FAILED);
	bg_test_dir_make(&world->dir);
	world->alone = (struct bg_alone){ .cache_dir = world->dir.path, .fetch_timeout = 5, .refresh_cooldown = 60 };
	publish(world, 1);
}

static void
end(struct world *world)
{
	free(world->jwks);
	munmap(world->asked, sizeof(*world->asked));
	bg_test_dir_remove(&world->dir);
}

static struct bg_gate *
gate_of(const struct world *world)
{
	struct bg_keystore_options options = {
		.source = { .issuer = issuer_name, .jwks_uri = world->file == NULL ? JWKS_URI : NULL, .jwks_file = world->file,
		    .fetcher = &world->base, .fetch_timeout = 5, .cache_ttl_min = 1, .cache_ttl_max = 600 },
		.cache_dir = world->alone.cache_dir, .stale_if_error = 3600, .refresh_cooldown = world->alone.refresh_cooldown,
	};
	struct bg_gate *gate = calloc(1, sizeof(*gate));
	struct bg_error err = { 0 };

	ck_assert_ptr_nonnull(gate);
	*gate = (struct bg_gate){ .dpop = { .mode = BG_DPOP_DISABLED }, .answers = { .missing_status = 401 } };
	gate->answers.realm = strdup(realm);
	gate->issuers = calloc(1, sizeof(*gate->issuers));
	ck_assert_ptr_nonnull(gate->issuers);
	gate->n_issuers = 1;
	gate->issuers[0].name = strdup(issuer_name);
	gate->issuers[0].any_audience = true;
	gate->issuers[0].algs = calloc(1, sizeof(*gate->issuers[0].algs));
	ck_assert_ptr_nonnull(gate->issuers[0].algs);
	gate->issuers[0].algs[gate->issuers[0].n_algs++] = bg_alg_find(BG_SLICE("RS256"));
	ck_reason(bg_keystore_new(&gate->issuers[0].keys, &options, &err), err, BG_R_OK, "store");
	return gate;
}

static char detail[BG_DETAIL_MAX];	/* of the last decision */

/* One process's one request with a token by this key; BG_MINT_KEYS for none. */
static enum bg_reason
ask(const struct world *world, enum bg_mint_key key)
{
	struct bg_gate *gate = gate_of(world);
	struct bg_request request = { .method = BG_SLICE("GET"), .uri = BG_SLICE("/") };
	struct bg_decision decision;
	char claims[256], *token = NULL, value[BG_TOKEN_MAX];
	enum bg_reason reason;

	if (key != BG_MINT_KEYS) {
		bg_format(claims, sizeof(claims), "{\"iss\":\"" ISSUER "\",\"sub\":\"bob\",\"aud\":\"x\",\"exp\":%" PRId64
		    ",\"iat\":1700000000}", bg_clock_wall() + 600);
		token = bg_mint_token(key, NULL, claims);
		bg_format(value, sizeof(value), "Bearer %s", token);
		request.authorization = bg_slice_str(value);
	}
	bg_alone_decide(gate, &world->alone, &request, &decision);
	reason = bg_decision_reason(&decision);
	ck_assert_msg((decision.verdict == BG_ALLOW) == (reason == BG_R_OK), "%s: %s", bg_reason_name(reason), decision.error.detail);
	bg_format(detail, sizeof(detail), "%s", decision.error.detail);
	bg_decision_clear(&decision);
	bg_gate_free(gate);
	free(token);
	return reason;
}

/* As if the issuer had been asked so many seconds ago. */
static void
age(const struct world *world, int seconds)
{
	struct timespec times[2] = { { .tv_sec = (time_t)bg_clock_wall() - seconds }, { .tv_sec = (time_t)bg_clock_wall() - seconds } };
	DIR *list = opendir(world->dir.path);
	struct dirent *entry;
	int n = 0;

	ck_assert_ptr_nonnull(list);
	while ((entry = readdir(list)) != NULL)
		if (strstr(entry->d_name, ".asked") != NULL) {
			ck_assert_int_eq(utimensat(dirfd(list), entry->d_name, times, 0), 0);
			n++;
		}
	closedir(list);
	ck_assert_int_eq(n, 1);
}

#define ck_asked(world, n)	ck_assert_int_eq(atomic_load((world)->asked), (n))

START_TEST(keys_are_fetched_by_the_first_request_that_needs_them_and_no_other)
{
	struct world world;

	begin(&world);
	ck_assert_int_eq(ask(&world, BG_MINT_KEYS), BG_R_NO_TOKEN);
	ck_asked(&world, 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	ck_asked(&world, 1);
	end(&world);
}
END_TEST

START_TEST(an_unknown_key_has_the_issuer_asked_once_in_a_cooldown)	/* SR-50 */
{
	struct world world;

	begin(&world);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	publish(&world, 2);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ask(&world, BG_MINT_KEY_B), BG_R_UNKNOWN_KEY);
	ck_asked(&world, 1);
	age(&world, 50);	/* not 59: a second may begin before it is looked at */
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_B), BG_R_UNKNOWN_KEY);
	ck_asked(&world, 1);
	age(&world, 61);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_B), BG_R_OK);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_B), BG_R_OK);
	ck_asked(&world, 2);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ask(&world, BG_MINT_KEY_LONG), BG_R_UNKNOWN_KEY);
	ck_asked(&world, 2);
	age(&world, -1000);	/* the clock was set back: better once too often than never */
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_LONG), BG_R_UNKNOWN_KEY);
	ck_asked(&world, 3);
	end(&world);
}
END_TEST

/* The clock of the file system is this one's; that of this machine may be another. */
static const int64_t skews[] = { 3600, -3600 };

START_TEST(a_file_system_with_a_clock_of_its_own_has_nobody_ask_more_often)	/* SR-50 */
{
	struct world world;

	skew = skews[_i];
	begin(&world);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(ask(&world, BG_MINT_KEY_B), BG_R_UNKNOWN_KEY);
	ck_asked(&world, 1);
	end(&world);
}
END_TEST

/* A umask that takes from the owner, too: the next process opens what this one has made. */
START_TEST(what_is_kept_can_be_opened_again_whatever_the_umask_is)
{
	const mode_t both = S_IRUSR | S_IWUSR;
	struct dirent *entry;
	struct world world;
	struct stat st;
	DIR *list;
	int n = 0;

	begin(&world);
	umask(0777);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	ck_assert_ptr_nonnull(list = opendir(world.dir.path));
	while ((entry = readdir(list)) != NULL) {
		ck_assert_int_eq(fstatat(dirfd(list), entry->d_name, &st, 0), 0);
		if (!S_ISREG(st.st_mode))
			continue;
		ck_assert_msg((st.st_mode & both) == both && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0, "%s: %o", entry->d_name,
		    (unsigned)st.st_mode);
		n++;
	}
	closedir(list);
	ck_assert_int_eq(n, 3);		/* the keys, when they were fetched, the lock */
	end(&world);
}
END_TEST

START_TEST(an_issuer_that_is_down_is_not_asked_by_every_request)
{
	struct world world;

	begin(&world);
	publish(&world, 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_NO_KEYS);
		ck_assert_ptr_nonnull(strstr(detail, "failed: down"));	/* though only the first one has seen it */
	}
	ck_asked(&world, 1);
	publish(&world, 1);
	age(&world, 61);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	ck_asked(&world, 2);
	publish(&world, 0);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);	/* there are keys, and they serve */
	end(&world);
}
END_TEST

START_TEST(keys_that_are_due_are_fetched_while_they_serve)
{
	struct world world;
	int64_t begun = bg_clock_mono_ms();

	begin(&world);
	world.ttl = 3;
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	age(&world, 61);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	ck_asked(&world, 1);
	while (atomic_load(world.asked) < 2 && bg_clock_mono_ms() - begun < 20000) {
		age(&world, 61);
		ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	}
	ck_asked(&world, 2);
	end(&world);
}
END_TEST

START_TEST(nothing_is_fetched_where_nothing_can_be_kept)	/* SR-50 */
{
	struct world world;
	char none[1100];

	begin(&world);
	bg_log_open(-1, BG_LOG_ERROR);
	world.alone.cache_dir = NULL;
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_NO_KEYS);
	bg_format(none, sizeof(none), "%s/none", world.dir.path);
	world.alone.cache_dir = none;
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_NO_KEYS);
	ck_asked(&world, 0);
	end(&world);
}
END_TEST

/* The only entry whose name ends with .asked, as a path. */
static void
find_asked(const struct world *world, char out[1400])
{
	DIR *list = opendir(world->dir.path);
	struct dirent *entry;

	out[0] = '\0';
	ck_assert_ptr_nonnull(list);
	while ((entry = readdir(list)) != NULL)
		if (strstr(entry->d_name, ".asked") != NULL)
			bg_format(out, 1400, "%s/%s", world->dir.path, entry->d_name);
	closedir(list);
	ck_assert_int_ne(out[0], '\0');
}

/* What is in the way of the file that tells when an issuer was last asked. */
enum obstacle { A_PIPE, A_LINK, KEPT, FULL };

static const struct { const char *name; enum obstacle obstacle; const char *said; } obstacles[] = {
	{ "a pipe", A_PIPE, "is not a regular file" },
	{ "another file of ours, linked there by who may write to the directory", A_LINK, "may be written to by its group or by others" },
	{ "somebody who locks it for ever", KEPT, "another process" },
	{ "a file system without room", FULL, "cannot be written down" },
};

/* Put it there; returns a descriptor that is to stay open. */
static int
put_obstacle(const struct world *world, const char *path, enum obstacle obstacle)
{
	int fd = -1;

	if (obstacle != KEPT)
		ck_assert_int_eq(unlink(path), 0);
	switch (obstacle) {
	case A_PIPE:
		ck_assert_int_eq(mkfifo(path, 0600), 0);
		break;
	case A_LINK:
		ck_assert_int_ge(fd = open(world->dir.file, O_RDWR), 0);
		ck_assert_int_eq(link(world->dir.file, path), 0);
		ck_assert_int_eq(chmod(world->dir.path, 0777), 0);
		break;
	case KEPT:
		age(world, 61);
		ck_assert_int_ge(fd = open(path, O_RDONLY), 0);
		ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
		break;
	case FULL:
		ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 0, RLIM_INFINITY }), 0);
		break;
	}
	return fd;
}

START_TEST(what_is_in_the_way_of_the_time_of_a_fetch_is_named)
{
	struct world world;
	char path[1400], text[4000] = "", precious[4] = "";
	int log[2], fd;

	begin(&world);
	bg_test_file_write(&world.dir, "precious", "abc", 3);
	publish(&world, 0);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_NO_KEYS);
	find_asked(&world, path);
	publish(&world, 1);
	ck_assert_int_eq(pipe(log), 0);
	bg_log_open(log[1], BG_LOG_WARNING);
	world.alone.fetch_timeout = 0;
	fd = put_obstacle(&world, path, obstacles[_i].obstacle);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_NO_KEYS);
	bg_log_open(-1, BG_LOG_ERROR);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }), 0);
	ck_assert_int_eq(close(log[1]), 0);
	ck_assert_int_gt(read(log[0], text, sizeof(text) - 1), 0);
	close(log[0]);
	ck_assert_msg(strstr(text, "keys=\"" ISSUER "\" detail=") != NULL && strstr(text, obstacles[_i].said) != NULL, "%s: %s",
	    obstacles[_i].name, text);
	ck_asked(&world, 1);
	if (obstacles[_i].obstacle == A_LINK) {
		ck_assert_int_eq(pread(fd, precious, sizeof(precious), 0), 3);
		ck_assert_str_eq(precious, "abc");
	}
	if (fd != -1)
		close(fd);
	end(&world);
}
END_TEST

START_TEST(a_file_of_keys_is_read_and_nobody_asked)
{
	struct world world;
	char file[1100];

	begin(&world);
	bg_format(file, sizeof(file), "%s/keys.json", world.dir.path);
	bg_test_file_write(&world.dir, "keys.json", world.jwks, strlen(world.jwks));
	world.file = file;
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_OK);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_B), BG_R_UNKNOWN_KEY);
	publish(&world, 2);
	bg_test_file_write(&world.dir, "keys.json", world.jwks, strlen(world.jwks));
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_B), BG_R_OK);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(ask(&world, BG_MINT_KEY_A), BG_R_NO_KEYS);
	ck_asked(&world, 0);
	end(&world);
}
END_TEST

START_TEST(of_many_processes_one_fetches_and_all_wait_for_it)
{
	struct world world;
	pid_t pids[PROCESSES];
	int status;

	begin(&world);
	world.slow = 200;
	for (int i = 0; i < PROCESSES; i++)
		if ((pids[i] = fork()) == 0)
			_exit(ask(&world, BG_MINT_KEY_A) == BG_R_OK ? 0 : 1);
	for (int i = 0; i < PROCESSES; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	ck_asked(&world, 1);
	end(&world);
}
END_TEST

/* A replay store that counts. */
static int opened, spent;
static bool freed, broken;

static int
count_open(struct bg_replay *replay, struct bg_now now, struct bg_error *err)
{
	(void)replay, (void)now;
	if (broken)
		return bg_fail(err, BG_R_STORE_DOWN, "down");
	opened++;
	return 0;
}

static int
count_spend(struct bg_replay *replay, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	(void)replay, (void)spending, (void)now, (void)retry_after, (void)err;
	spent++;
	return 0;
}

static void
count_free(struct bg_replay *replay)
{
	(void)replay;
	freed = true;
}

static const struct { const char *name; bool forgets, broken; enum bg_reason want; int opened, spent; } stores[] = {
	{ "a good one is opened once", false, false, BG_R_OK, 1, 2 },
	{ "one that cannot be opened", false, true, BG_R_STORE_DOWN, 0, 0 },
	{ "one that forgets", true, false, BG_R_INTERNAL, 0, 0 },	/* SR-64: it would let every proof pass again */
};

START_TEST(a_replay_store_is_opened_by_the_first_proof)
{
	struct bg_replay counting = { .open = count_open, .spend = count_spend, .free = count_free };
	struct bg_gate gate = { .dpop = { .replay = &counting } };
	struct bg_now now = bg_clock_now();
	struct bg_spending spending = { .life_ms = 1 };
	struct bg_error err = { 0 };
	int64_t retry_after;

	opened = spent = 0;
	freed = false;
	broken = stores[_i].broken;
	ck_reason(bg_alone_prepare(&gate, stores[_i].forgets, &err), err, BG_R_OK, "prepare");
	ck_assert_int_eq(opened, 0);
	for (int i = 0; i < 2; i++) {
		bg_error_clear(&err);
		ck_reason(gate.dpop.replay->spend(gate.dpop.replay, &spending, now, &retry_after, &err), err, stores[_i].want, stores[_i].name);
		if (stores[_i].want == BG_R_STORE_DOWN)
			ck_assert_int_gt(retry_after, 0);
	}
	ck_assert_int_eq(opened, stores[_i].opened);
	ck_assert_int_eq(spent, stores[_i].spent);
	bg_replay_free(gate.dpop.replay);
	ck_assert(freed);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("alone");
	TCase *tc = tcase_create("alone");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, keys_are_fetched_by_the_first_request_that_needs_them_and_no_other);
	tcase_add_test(tc, an_unknown_key_has_the_issuer_asked_once_in_a_cooldown);
	tcase_add_loop_test(tc, a_file_system_with_a_clock_of_its_own_has_nobody_ask_more_often, 0, N(skews));
	tcase_add_test(tc, what_is_kept_can_be_opened_again_whatever_the_umask_is);
	tcase_add_test(tc, an_issuer_that_is_down_is_not_asked_by_every_request);
	tcase_add_test(tc, keys_that_are_due_are_fetched_while_they_serve);
	tcase_add_test(tc, nothing_is_fetched_where_nothing_can_be_kept);
	tcase_add_loop_test(tc, what_is_in_the_way_of_the_time_of_a_fetch_is_named, 0, N(obstacles));
	tcase_add_test(tc, a_file_of_keys_is_read_and_nobody_asked);
	tcase_add_test(tc, of_many_processes_one_fetches_and_all_wait_for_it);
	tcase_add_loop_test(tc, a_replay_store_is_opened_by_the_first_proof, 0, N(stores));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
