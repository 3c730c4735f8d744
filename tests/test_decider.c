#include "fcgi/decider.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sysexits.h>

#include "core/log.h"
#include "fcgi/authorizer.h"
#include "fcgi/listener.h"
#include "fcgi/supervisor.h"
#include "tests/support/records.h"
#include "tests/support/run.h"
#include "tests/support/tmp.h"

/*
 * Supervisor and worker as they are in the daemon, with short limits; only who answers a request is ours.  The client is a
 * process of its own.  What has happened is in memory that all of them share.
 */

#define THREADS		2
#define ASK_MS		20
#define STUCK_MS	100
#define SILENCE_MS	2000	/* a busy machine may hold up a worker that is well */
#define GRACE_MS	20000

static struct shared {
	atomic_int workers, entered, well, restarts;
	atomic_int answered, cut_off;	/* as the client sees it */
	atomic_bool let_go;
} *shared;

static struct bg_test_dir dir;
static struct bg_figures figures;
static struct bg_snapshot *first;
static struct bg_listener listener;
static bool is_first_worker;

/* In place of fcgi/authorizer.c: what is asked about /stuck is not answered, by the first worker. */
int
bg_authorizer_answer(const struct bg_gate *gate, struct bg_now now, enum bg_role role, char *const *env, bool last,
    struct bg_buf *out, struct bg_answered *answered)
{
	bool stuck = false;

	(void)gate, (void)now, (void)role, (void)last;
	for (; *env != NULL; env++)
		stuck = stuck || strcmp(*env, "REQUEST_URI=/stuck") == 0;
	if (stuck && is_first_worker) {
		atomic_fetch_add(&shared->entered, 1);
		while (!atomic_load(&shared->let_go))
			(void)poll(NULL, 0, 5);
	}
	*answered = (struct bg_answered){ .status = 401, .reason = BG_R_NO_TOKEN };
	bg_buf_put_str(out, "Status: 401 Unauthorized\r\n\r\n");
	return 0;
}

int
bg_authorizer_refuse(const struct bg_gate *gate, enum bg_role role, const struct bg_error *why, struct bg_buf *out,
    struct bg_answered *answered)
{
	(void)gate, (void)role, (void)why, (void)out, (void)answered;
	return -1;
}

/* The client. */

static int
send_request(const char *uri)
{
	struct bg_buf bytes;
	int fd = bg_rec_connect(listener.name);

	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, uri);
	(void)bg_rec_send(fd, (struct bg_slice){ bytes.data, bytes.len });
	bg_buf_clear(&bytes);
	return fd;
}

static void
read_answer(int fd)
{
	struct bg_rec_answer answer;
	struct bg_slice body;
	bool answered;

	bg_rec_read(fd, &answer);
	answered = answer.whole && bg_rec_status(&answer.out, &body) == 401;
	atomic_fetch_add(answered ? &shared->answered : &shared->cut_off, 1);
	bg_rec_answer_clear(&answer);
	close(fd);
}

/* So many threads are stuck; then a request for whoever there is, and again after so many words that all is well. */
static _Noreturn void
be_client(int stuck, int words)
{
	int fds[THREADS], before;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < stuck; i++) {
		fds[i] = send_request("/stuck");
		while (atomic_load(&shared->entered) <= i)
			(void)poll(NULL, 0, 1);
	}
	read_answer(send_request("/"));
	for (before = atomic_load(&shared->well); atomic_load(&shared->well) < before + words;)
		(void)poll(NULL, 0, 5);
	read_answer(send_request("/"));
	atomic_store(&shared->let_go, true);
	for (int i = 0; i < stuck; i++)
		read_answer(fds[i]);
	kill(getppid(), SIGTERM);
	_exit(0);
}

/* The daemon. */

static int
work(void *arg, bool is_first, int channel)
{
	struct bg_decider_options options = { .first = first, .listeners = &listener.fd, .n_listeners = 1, .max_waiting = 16,
	    .max_parked = 16, .channel = channel, .stuck_limit = STUCK_MS, .figures = &figures };
	struct bg_error err = { 0 };

	(void)arg;
	is_first_worker = is_first;
	atomic_fetch_add(&shared->workers, 1);
	return bg_decider_run(&options, &err);
}

static void
serving(void *arg, bool is_first, uint64_t restarts)
{
	(void)arg, (void)is_first;
	atomic_store(&shared->restarts, (int)restarts);
}

static void
well(void *arg)
{
	(void)arg;
	atomic_fetch_add(&shared->well, 1);
}

static void
stopping(void *arg, int sig)
{
	(void)arg, (void)sig;
}

static void
setup(void)
{
	static const char jwks[] = "{\"keys\":[]}";
	static char *nothing[] = { NULL };
	static struct bg_fetcher fetcher;
	struct bg_listener_rules rules = { .owner = (uid_t)-1, .group = (gid_t)-1, .mode = 0600, .backlog = 16, .want_unix = true };
	struct bg_conf_sources from = { .environ = nothing };
	struct bg_buf report;
	char text[4096], path[2048];

	bg_log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), BG_LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	bg_test_dir_make(&dir);
	bg_test_file_write(&dir, "jwks", jwks, strlen(jwks));
	bg_format(text, sizeof(text), "issuer 'https://issuer.example/' { audience = a\n jwks_file = '%s' }\nthreads = %d\ndpop = disabled\n"
	    "cache_dir = none\n", bg_test_file(&dir, "jwks"), THREADS);
	bg_test_file_write(&dir, "conf", text, strlen(text));
	bg_format(path, sizeof(path), "%s", bg_test_file(&dir, "conf"));
	from.file = path;
	bg_buf_init(&report, 4096);
	ck_assert_msg(bg_snapshot_new(&first, &from, &fetcher, &report) == 0, "%.*s", (int)report.len, report.data);
	bg_buf_clear(&report);
	bg_format(text, sizeof(text), "unix:%s", bg_test_file(&dir, "socket"));
	ck_assert_int_eq(bg_listener_open(text, &rules, &listener, NULL), 0);
	ck_assert_int_eq(bg_figures_init(&figures, NULL), 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
}

static void
teardown(void)
{
	bg_figures_clear(&figures);
	bg_listener_close(&listener);
	bg_snapshot_free(first);
	bg_test_dir_remove(&dir);
}

static const struct {
	const char *name;
	int stuck, words, workers, cut_off;
} hangs[] = {
	/* beyond the limits */
	{ "one thread that is stuck is no harm while another goes on", THREADS - 1, 150, 1, 0 },
	{ "a worker whose threads are all stuck is replaced", THREADS, 0, 2, THREADS },
};
START_TEST(a_worker_none_of_whose_threads_goes_on_is_replaced)
{
	static const struct bg_supervisor_hooks hooks = { .work = work, .serving = serving, .well = well, .stopping = stopping };
	struct bg_supervisor_options options = { .hooks = &hooks, .watchdog = ASK_MS, .ask_every = ASK_MS, .silence_limit = SILENCE_MS,
	    .grace = GRACE_MS, .reload_limit = GRACE_MS };
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD };

	sigemptyset(&options.signals);
	for (int i = 0; i < N(signals); i++)
		sigaddset(&options.signals, signals[i]);
	sigprocmask(SIG_BLOCK, &options.signals, NULL);
	if (fork() == 0)
		be_client(hangs[_i].stuck, hangs[_i].words);
	ck_assert_int_eq(bg_supervisor_run(&options), EX_OK);
	ck_assert_msg(shared->workers == hangs[_i].workers && shared->restarts == hangs[_i].workers - 1, "%s: %d %d", hangs[_i].name,
	    shared->workers, shared->restarts);
	ck_assert_msg(shared->cut_off == hangs[_i].cut_off && shared->answered == 2 + hangs[_i].stuck - hangs[_i].cut_off, "%s: %d %d",
	    hangs[_i].name, shared->cut_off, shared->answered);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("decider");
	TCase *tc = tcase_create("decider");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_worker_none_of_whose_threads_goes_on_is_replaced, 0, N(hangs));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
