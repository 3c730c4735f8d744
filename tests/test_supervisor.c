#include "fcgi/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "fcgi/broker.h"
#include "tests/support/run.h"

#define URL	"https://issuer.example/keys"
#define FLOOD	1000			/* messages: several times what a channel has room for */

/* How long each wait is, after workers that served for so long. */
static const struct {
	const char *name;
	int64_t served[12], waits[12];
	size_t n;
} lives[] = {
	{ "one that dies once is replaced at once", { 60000 }, { 0 }, 1 },
	{ "so is one that never served", { 0 }, { 0 }, 1 },
	{ "in a loop the wait doubles up to its end", { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	    { 0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000 }, 10 },
	{ "also of those that serve for a moment", { 9999, 9999, 9999 }, { 0, 500, 1000 }, 3 },
	{ "one that served for a while begins anew", { 0, 0, 0, 10000, 0, 0 }, { 0, 500, 1000, 0, 500, 1000 }, 6 },
	{ "those that die now and then are replaced at once", { 20000, 20000, 20000 }, { 0, 0, 0 }, 3 },
};
START_TEST(a_worker_that_dies_is_replaced_after_a_wait)
{
	unsigned failures = 0;

	for (size_t i = 0; i < lives[_i].n; i++) {
		int64_t wait = bg_supervisor_wait(&failures, lives[_i].served[i]);

		ck_assert_msg(wait == lives[_i].waits[i], "%s: after %zu it is %ld", lives[_i].name, i, (long)wait);
	}
	failures = UINT32_MAX;
	ck_assert_int_eq(bg_supervisor_wait(&failures, 0), BG_SUPERVISOR_WAIT_MAX);
	ck_assert_uint_eq(failures, UINT32_MAX);
}
END_TEST

/* A program in miniature.  What has happened is in memory that all its processes share. */

enum deed {
	OBEY,			/* do what the supervisor says */
	EXIT_3,
	DIE,			/* of SIGABRT, before it serves */
	DIE_LATER,		/* after it has said that it serves */
	SAY_NONSENSE,
	DIE_IN_RELOAD,
	REFUSE_RELOAD,
	STOP_IN_RELOAD,		/* by SIGSTOP: it neither answers nor ends by itself */
	LEAVE_RELOAD,		/* unanswered, and obey otherwise */
	FETCH,			/* then obey */
	FETCH_AND_DIE,
	FETCH_INTO_A_FILE,
	FETCH_OF_A_POOR_ONE,	/* of a supervisor that can open nothing meanwhile */
	TAKE_NO_NOTICE,		/* of being told to end */
	BE_WELL,		/* say so three times, then have the supervisor end */
	HANG,			/* be asked three times, and say nothing, then have the supervisor end */
	STAY_WELL,		/* as BE_WELL, sixty times */
	IGNORE,			/* never say that it is well */
	STOP,			/* by SIGSTOP, when it serves */
	STOP_THE_SUPERVISOR,	/* when it is asked first, and for longer than the limit of silence; then as BE_WELL */
	CLOSE_EARLY,		/* its end of the channel, before it serves; and live on */
	CLOSE_LATE,		/* when it does */
	BE_FLOODED,		/* read nothing while more signals come than it has room for messages of */
};

static struct shared {
	atomic_int workers, serving, first, prepared, in_force, not_in_force, stopping, fetchers, fetched, given_up, told_log,
	    reopened_early, settled_alive, told_state, asked, well,
	    reopened, log_number;
	atomic_int restarts;
	atomic_int worker, fetcher;	/* numbers of processes */
} *shared;

static enum deed deeds[8];		/* of one worker after the other; the last one that is not OBEY is followed by those */
static int then[2];			/* signals that the first process gets when a worker serves; the second when settled */
static int64_t watchdog, ask_every, silence_limit;
static int end_by = SIGTERM;		/* by which signal it is told to end */
static bool good;			/* is the configuration? */
static bool reopen_meanwhile;		/* SIGUSR1 comes during a reload */
static bool reload_meanwhile;		/* SIGHUP does, during the first one */
static int settle_after;		/* the second of these signals comes when so many reloads are settled */
static int end_when_settled;		/* a signal */
static int stop_after;			/* SIGTERM comes when so many workers have served */

static void
fetch_something(int channel, bool into_file)
{
	struct bg_fetch_request request = { .location = URL, .timeout = 30 };
	struct bg_broker broker;
	struct bg_fetch_wanted wanted;
	struct bg_fetch_meta meta;
	struct bg_buf body;

	if (into_file) {
		int null = open("/dev/null", O_WRONLY);

		if (bg_fetch_wanted_set(&wanted, &request, 10, NULL) == 0)
			(void)!bg_channel_send(channel, BG_MESSAGE_FETCH, &wanted, null);
		pause();
	}
	bg_buf_init(&body, 100);
	bg_broker_init(&broker);
	broker.channel = channel;
	if (broker.base.get(&broker.base, &request, &body, &meta, NULL) == 0 && body.len == 4)
		atomic_fetch_add(&shared->fetched, 1);
	bg_buf_clear(&body);
}

/* A fetch that nobody waits for the answer of. */
static void
begin_fetch(int channel, int ends[2])
{
	struct bg_fetch_request request = { .location = URL, .timeout = 30 };
	struct bg_fetch_wanted wanted;

	if (pipe(ends) == 0 && bg_fetch_wanted_set(&wanted, &request, 10, NULL) == 0)
		(void)!bg_channel_send(channel, BG_MESSAGE_FETCH, &wanted, ends[1]);
	close(ends[1]);
}

static void
fetch_of_a_poor_one(int channel)
{
	struct rlimit before, none;

	if (prlimit(getppid(), RLIMIT_NOFILE, NULL, &before) != 0)
		_exit(EX_OSERR);
	none = (struct rlimit){ STDERR_FILENO + 1, before.rlim_max };	/* poll(2) takes no more than that */
	if (prlimit(getppid(), RLIMIT_NOFILE, &none, NULL) != 0)
		_exit(EX_OSERR);
	fetch_something(channel, false);	/* comes back when the supervisor has closed the pipe */
	if (prlimit(getppid(), RLIMIT_NOFILE, &before, NULL) != 0)
		_exit(EX_OSERR);
}

static bool
is_stopped(pid_t pid)
{
	char path[64], text[512] = "", *state;
	FILE *stat;

	bg_format(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	if ((stat = fopen(path, "r")) != NULL) {
		(void)!fread(text, 1, sizeof(text) - 1, stat);
		fclose(stat);
	}
	return (state = strrchr(text, ')')) != NULL && strncmp(state, ") T", 3) == 0;
}

/* Time goes on, as it does while the whole daemon is stopped, or the machine sleeps. */
static void
stop_the_supervisor(void)
{
	int64_t until;

	kill(getppid(), SIGSTOP);
	while (!is_stopped(getppid()))
		(void)poll(NULL, 0, 5);
	for (until = bg_clock_mono_ms() + 2 * silence_limit; bg_clock_mono_ms() < until;)
		(void)poll(NULL, 0, 5);
	kill(getppid(), SIGCONT);
}

/* It is asked whether it is well. */
static void
be_asked(int channel, enum deed deed)
{
	int before = atomic_fetch_add(&shared->asked, 1), last = deed == STAY_WELL ? 59 : 2;

	if (deed == STOP_THE_SUPERVISOR && before == 0)
		stop_the_supervisor();
	if (deed != HANG && deed != IGNORE)
		(void)!bg_channel_send(channel, BG_MESSAGE_WELL, NULL, -1);
	if ((deed == BE_WELL || deed == HANG || deed == STAY_WELL || deed == STOP_THE_SUPERVISOR) && before == last)
		kill(getppid(), SIGTERM);
}

static void
be_flooded(void)
{
	for (int i = 0; i < FLOOD; i++) {
		kill(getppid(), SIGUSR1);
		while (atomic_load(&shared->reopened) <= i)
			(void)poll(NULL, 0, 1);
	}
	kill(getppid(), SIGHUP);
	while (atomic_load(&shared->prepared) == 0)
		(void)poll(NULL, 0, 1);
}

/* The logs of this program have numbers in them. */
static void
take_log(int fd)
{
	int number = 0;

	if (pread(fd, &number, sizeof(number), 0) == (ssize_t)sizeof(number))
		atomic_store(&shared->log_number, number);
	close(fd);
}

static int
obey(int channel, enum deed deed)
{
	struct bg_message message;

	for (;;) {
		struct pollfd readable = { .fd = channel, .events = POLLIN };

		(void)poll(&readable, 1, -1);
		if (bg_channel_receive(channel, false, &message) != BG_RECEIVED_MESSAGE)
			return EX_PROTOCOL;
		if (message.kind == BG_MESSAGE_STOP && deed != TAKE_NO_NOTICE)
			return EX_OK;
		if (message.kind == BG_MESSAGE_LOG) {
			atomic_fetch_add(&shared->told_log, 1);
			take_log(message.fd);
		}
		if (message.kind == BG_MESSAGE_ASK)
			be_asked(channel, deed);
		if (message.kind == BG_MESSAGE_STATE) {
			atomic_fetch_add(&shared->told_state, 1);
			kill(getppid(), then[1]);
		}
		if (message.kind != BG_MESSAGE_RELOAD)
			continue;
		if (deed == DIE_IN_RELOAD)
			abort();
		if (deed == STOP_IN_RELOAD)
			raise(SIGSTOP);
		if (deed == STOP_IN_RELOAD || deed == LEAVE_RELOAD)
			continue;
		/* the last of these logs came before it */
		if (deed == BE_FLOODED && atomic_load(&shared->log_number) != FLOOD)
			return EX_PROTOCOL;
		(void)!bg_channel_send(channel, deed == REFUSE_RELOAD ? BG_MESSAGE_KEPT : BG_MESSAGE_RELOADED, NULL, -1);
	}
}

static int
work(void *arg, bool first, int channel)
{
	int number = atomic_fetch_add(&shared->workers, 1), ends[2] = { -1, -1 };
	enum deed deed = number < N(deeds) ? deeds[number] : OBEY;

	(void)arg;
	if (first != (number == 0))
		return EX_SOFTWARE;
	atomic_store(&shared->worker, getpid());
	if (deed == EXIT_3)
		return 3;
	if (deed == DIE)
		abort();
	if (deed == SAY_NONSENSE) {
		(void)!send(channel, "\xff", 1, MSG_NOSIGNAL);
		pause();
	}
	if (deed == FETCH || deed == FETCH_INTO_A_FILE)
		fetch_something(channel, deed == FETCH_INTO_A_FILE);
	if (deed == FETCH_OF_A_POOR_ONE)
		fetch_of_a_poor_one(channel);
	if (deed == FETCH_AND_DIE) {
		begin_fetch(channel, ends);
		while (atomic_load(&shared->fetchers) == 0)
			(void)poll(NULL, 0, 5);
		abort();
	}
	if (deed != CLOSE_EARLY)
		(void)!bg_channel_send(channel, BG_MESSAGE_SERVING, NULL, -1);
	if (deed == CLOSE_EARLY || deed == CLOSE_LATE) {
		close(channel);
		for (;;)
			pause();
	}
	if (deed == STOP)
		raise(SIGSTOP);
	if (deed == BE_FLOODED)
		be_flooded();
	if (deed == DIE_LATER) {
		while (atomic_load(&shared->serving) <= number)
			(void)poll(NULL, 0, 5);
		abort();
	}
	return obey(channel, deed);
}

static int
bring(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body, struct bg_fetch_meta *meta,
    struct bg_error *err)
{
	struct pollfd given_up = { .fd = *request->cancel, .events = POLLIN };

	(void)self;
	*meta = (struct bg_fetch_meta){ .max_age = -1 };
	if (deeds[0] == FETCH) {
		bg_buf_put_str(body, "text");
		return 0;
	}
	if (poll(&given_up, 1, 20000) == 1)
		atomic_fetch_add(&shared->given_up, 1);
	return bg_fail(err, BG_R_FETCH_FAILED, "given up");
}

static void
fetch(void *arg, const struct bg_fetch_wanted *wanted, int fd)
{
	static const struct bg_fetcher fetcher = { bring };
	int open_ones = 0;

	(void)arg;
	for (int i = 3; i < 256; i++)
		open_ones += fcntl(i, F_GETFD) != -1;
	atomic_store(&shared->fetcher, getpid());
	if (open_ones == 1)		/* its own, and nothing of the supervisor's */
		atomic_fetch_add(&shared->fetchers, 1);
	bg_broker_answer(wanted, &fetcher, fd);
}

static void
serving(void *arg, bool first, uint64_t restarts)
{
	(void)arg;
	atomic_fetch_add(&shared->first, first);
	atomic_store(&shared->restarts, (int)restarts);
	if (atomic_fetch_add(&shared->serving, 1) + 1 >= stop_after)
		kill(getpid(), then[0]);
}

static bool
prepare(void *arg, int *log)
{
	(void)arg;
	*log = -1;
	if (atomic_fetch_add(&shared->prepared, 1) == 0 && reload_meanwhile)
		kill(getpid(), SIGHUP);
	if (reopen_meanwhile)
		kill(getpid(), SIGUSR1);
	return good;
}

static void
settle(void *arg, bool in_force)
{
	siginfo_t end = { .si_pid = 0 };

	(void)arg;
	atomic_fetch_add(in_force ? &shared->in_force : &shared->not_in_force, 1);
	if (waitid(P_PID, (id_t)atomic_load(&shared->worker), &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid == 0)
		atomic_fetch_add(&shared->settled_alive, 1);
	kill(getpid(), end_when_settled);
	if (atomic_load(&shared->in_force) + atomic_load(&shared->not_in_force) >= settle_after)
		kill(getpid(), then[1]);
}

static int
reopen(void *arg)
{
	int number = atomic_load(&shared->reopened) + 1, fd = memfd_create("log", MFD_CLOEXEC);

	(void)arg;
	if (atomic_load(&shared->in_force) + atomic_load(&shared->not_in_force) < atomic_load(&shared->prepared))
		atomic_fetch_add(&shared->reopened_early, 1);
	kill(getpid(), then[1]);
	ck_assert_int_eq(pwrite(fd, &number, sizeof(number), 0), sizeof(number));
	atomic_store(&shared->reopened, number);
	return fd;
}

static void
well(void *arg)
{
	(void)arg;
	if (atomic_load(&shared->serving) > 0 && atomic_load(&shared->stopping) == 0)
		atomic_fetch_add(&shared->well, 1);
}

static void
stopping(void *arg, int sig)
{
	(void)arg;
	ck_assert_int_eq(sig, end_by);
	atomic_fetch_add(&shared->stopping, 1);
}

static const struct bg_supervisor_hooks hooks = { work, fetch, serving, prepare, settle, reopen, well, stopping };

/* Until it ends; afterwards nothing is left of it. */
static int
supervise_within(int64_t grace, int64_t reload_limit)
{
	struct bg_supervisor_options options = { .hooks = &hooks, .watchdog = watchdog, .ask_every = ask_every,
	    .silence_limit = silence_limit, .grace = grace, .reload_limit = reload_limit };
	int code;

	bg_log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), BG_LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	sigemptyset(&options.signals);
	sigaddset(&options.signals, SIGHUP);
	sigaddset(&options.signals, SIGINT);
	sigaddset(&options.signals, SIGQUIT);
	sigaddset(&options.signals, SIGTERM);
	sigaddset(&options.signals, SIGUSR1);
	sigaddset(&options.signals, SIGUSR2);
	sigaddset(&options.signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &options.signals, NULL);
	code = bg_supervisor_run(&options);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(kill(atomic_load(&shared->worker), 0), -1);
	return code;
}

static int
supervise(int64_t grace)
{
	return supervise_within(grace, 20000);
}

static void
plan(enum deed first, enum deed second, int when_serving, int when_settled)
{
	deeds[0] = first;
	deeds[1] = second;
	then[0] = when_serving;
	then[1] = when_settled;
	stop_after = settle_after = 1;
	good = true;
}

static const int ends[] = { SIGTERM, SIGINT, SIGQUIT };

START_TEST(told_to_end_it_ends_when_its_worker_has)
{
	plan(OBEY, OBEY, ends[_i], 0);
	end_by = ends[_i];
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->workers, 1);
	ck_assert_int_eq(shared->first, 1);
	ck_assert_int_eq(shared->stopping, 1);
	ck_assert_int_eq(shared->restarts, 0);
}
END_TEST

START_TEST(a_worker_that_does_not_end_is_killed)
{
	plan(TAKE_NO_NOTICE, OBEY, SIGTERM, 0);
	ck_assert_int_eq(supervise(100), EX_OK);
	ck_assert_int_eq(shared->workers, 1);
}
END_TEST

START_TEST(a_first_worker_that_cannot_start_ends_all_with_its_code)
{
	plan(EXIT_3, OBEY, SIGTERM, 0);
	ck_assert_int_eq(supervise(20000), 3);
	ck_assert_int_eq(shared->workers, 1);
	ck_assert_int_eq(shared->serving, 0);
}
END_TEST

static const enum deed deaths[] = { DIE, DIE_LATER, SAY_NONSENSE };

START_TEST(a_worker_that_dies_is_replaced)
{
	plan(deaths[_i], OBEY, SIGTERM, 0);
	stop_after = deaths[_i] == DIE_LATER ? 2 : 1;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->workers, 2);
	ck_assert_int_eq(shared->restarts, 1);
	ck_assert_int_eq(shared->first, 1);		/* who waits for it to serve is told once */
}
END_TEST

START_TEST(one_that_ends_later_with_a_code_is_replaced_too)
{
	plan(DIE_LATER, EXIT_3, SIGTERM, 0);
	stop_after = 2;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->workers, 3);
	ck_assert_int_eq(shared->restarts, 2);
}
END_TEST

static const struct {
	const char *name;
	enum deed deed;
	bool good;
	int in_force, not_in_force, workers;
} reloads[] = {
	{ "a good configuration is in force when the worker has it", OBEY, true, 1, 0, 1 },
	{ "one that the worker cannot take is not", REFUSE_RELOAD, true, 0, 1, 1 },
	{ "of one that is not good no worker hears", DIE_IN_RELOAD, false, 0, 1, 1 },
	{ "one that the worker dies of is not in force", DIE_IN_RELOAD, true, 0, 1, 2 },
};
START_TEST(a_reload_is_settled_once)
{
	plan(reloads[_i].deed, OBEY, SIGHUP, SIGTERM);
	good = reloads[_i].good;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_msg(shared->prepared == 1 && shared->in_force == reloads[_i].in_force &&
	    shared->not_in_force == reloads[_i].not_in_force, "%s: %d %d %d", reloads[_i].name, shared->prepared,
	    shared->in_force, shared->not_in_force);
	ck_assert_int_le(shared->workers, reloads[_i].workers);
}
END_TEST

/*
 * The configuration is good and the worker's silence no fault of it, so the next one has it.  It is settled, and the next reload
 * begins, when the silent one is dead: until then it may use up proofs that only it knows of (SR-63).
 */
static const enum deed silences[] = { STOP_IN_RELOAD, LEAVE_RELOAD };
START_TEST(a_worker_that_never_answers_a_reload_is_replaced_by_one_that_has_it)
{
	plan(silences[_i], OBEY, SIGHUP, SIGTERM);
	settle_after = 2;
	ck_assert_int_eq(supervise_within(20000, 100), EX_OK);
	ck_assert_int_eq(shared->workers, 2);
	ck_assert_int_eq(shared->prepared, 2);		/* the second one is of the next worker, which answers */
	ck_assert_int_eq(shared->in_force, 2);
	ck_assert_int_eq(shared->not_in_force, 0);
	ck_assert_int_eq(shared->settled_alive, 1);
	ck_assert_int_eq(shared->restarts, 1);
}
END_TEST

START_TEST(a_reload_that_came_meanwhile_is_not_forgotten)
{
	plan(silences[_i], OBEY, SIGHUP, SIGTERM);
	reload_meanwhile = true;
	settle_after = 2;
	ck_assert_int_eq(supervise_within(20000, 100), EX_OK);
	ck_assert_int_eq(shared->prepared, 2);
	ck_assert_int_eq(shared->in_force, 2);
	ck_assert_int_eq(shared->settled_alive, 0);
	ck_assert_int_eq(shared->workers, 1);
}
END_TEST

START_TEST(a_log_that_was_opened_anew_goes_to_the_worker)
{
	plan(OBEY, OBEY, SIGUSR1, SIGTERM);
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->told_log, 1);
}
END_TEST

/* None of them is lost: the last log, then the reload, then the end. */
START_TEST(a_worker_that_has_no_room_for_messages_is_told_later)
{
	plan(BE_FLOODED, OBEY, SIGTERM, 0);
	stop_after = 2;
	end_when_settled = SIGTERM;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->workers, 1);
	ck_assert_int_eq(shared->in_force, 1);
	ck_assert_int_eq(shared->log_number, FLOOD);
	ck_assert_int_lt(shared->told_log, FLOOD);	/* or there was room for all */
}
END_TEST

START_TEST(who_asks_for_the_state_is_told_by_the_worker)
{
	plan(OBEY, OBEY, SIGUSR2, SIGTERM);
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->told_state, 1);
	ck_assert_int_eq(shared->workers, 1);
}
END_TEST

static const struct { enum deed deed; bool well; } healths[] = { { BE_WELL, true }, { HANG, false } };

START_TEST(only_a_worker_that_says_so_is_well)
{
	plan(healths[_i].deed, OBEY, 0, 0);
	watchdog = 20;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_ge(shared->asked, 3);
	if (healths[_i].well)
		ck_assert_int_ge(shared->well, 2);	/* the last may be under way when it is told to end */
	else
		ck_assert_int_eq(shared->well, 0);
	ck_assert_int_eq(shared->workers, 1);
}
END_TEST

static const struct {
	const char *name;
	enum deed deed;
	int64_t watchdog, ask_every;
} hangs[] = {
	{ "one that is stopped", STOP, 0, 20 },
	{ "one that does all but answer", IGNORE, 0, 20 },
	{ "also with a watchdog that asks more often", STOP, 20, 30000 },
	{ "or less often", STOP, 30000, 20 },
	{ "or alone", STOP, 20, 0 },
};
START_TEST(a_worker_that_hangs_is_replaced)
{
	plan(hangs[_i].deed, OBEY, SIGTERM, 0);
	watchdog = hangs[_i].watchdog;
	ask_every = hangs[_i].ask_every;
	silence_limit = 100;
	stop_after = 2;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_msg(shared->workers == 2 && shared->restarts == 1, "%s: %d %d", hangs[_i].name, shared->workers, shared->restarts);
}
END_TEST

/* The limit is fifty questions, longer than a busy machine keeps anybody from running, and half of the time for which the
 * supervisor stands still. */
static const struct { const char *name; enum deed deed; int asked; } lively[] = {
	{ "one that answers, however often it is asked", STAY_WELL, 60 },
	{ "one that could not, since the supervisor stood still", STOP_THE_SUPERVISOR, 3 },
};
START_TEST(a_worker_that_does_not_hang_is_not_replaced)
{
	plan(lively[_i].deed, OBEY, 0, 0);
	ask_every = 80;
	silence_limit = 4000;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_msg(shared->asked >= lively[_i].asked && shared->workers == 1, "%s: %d %d", lively[_i].name, shared->asked,
	    shared->workers);
}
END_TEST

/* Were it killed as one that hangs, the configuration would not be taken, for no fault of its own. */
START_TEST(a_worker_that_takes_up_a_configuration_has_the_limit_of_that)
{
	plan(silences[_i], OBEY, SIGHUP, SIGTERM);
	ask_every = 20;
	silence_limit = 100;
	ck_assert_int_eq(supervise_within(20000, 500), EX_OK);
	ck_assert_int_eq(shared->in_force, 1);
	ck_assert_int_eq(shared->not_in_force, 0);
}
END_TEST

static const enum deed closings[] = { CLOSE_EARLY, CLOSE_LATE };
START_TEST(a_worker_that_closes_its_channel_and_lives_on_is_replaced)
{
	plan(closings[_i], OBEY, SIGTERM, 0);
	stop_after = closings[_i] == CLOSE_LATE ? 2 : 1;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->workers, 2);
	ck_assert_int_eq(shared->restarts, 1);
}
END_TEST

START_TEST(who_does_not_want_to_know_asks_nobody)
{
	plan(OBEY, OBEY, SIGUSR2, SIGTERM);
	watchdog = 0;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->asked, 0);
}
END_TEST

/* It may be another log by then. */
START_TEST(a_log_is_opened_anew_when_a_reload_is_settled)
{
	plan(reloads[_i].deed, OBEY, SIGHUP, SIGTERM);
	good = reloads[_i].good;
	reopen_meanwhile = true;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_msg(shared->prepared == 1 && shared->reopened_early == 0, "%s: %d %d", reloads[_i].name, shared->prepared,
	    shared->reopened_early);
	if (shared->in_force == 1)
		ck_assert_int_eq(shared->told_log, 1);
}
END_TEST

START_TEST(what_is_fetched_for_the_worker_comes_through)
{
	plan(FETCH, OBEY, SIGTERM, 0);
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->fetchers, 1);
	ck_assert_int_eq(shared->fetched, 1);
	ck_assert_int_eq(kill(atomic_load(&shared->fetcher), 0), -1);
}
END_TEST

START_TEST(who_wants_an_answer_in_what_is_no_pipe_is_killed)
{
	plan(FETCH_INTO_A_FILE, OBEY, SIGTERM, 0);
	stop_after = 1;
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->fetchers, 0);
	ck_assert_int_eq(shared->workers, 2);
}
END_TEST

START_TEST(a_fetch_that_the_supervisor_has_no_descriptor_for_is_put_off)
{
	plan(FETCH_OF_A_POOR_ONE, OBEY, SIGTERM, 0);
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->fetchers, 0);
	ck_assert_int_eq(shared->fetched, 0);
	ck_assert_int_eq(shared->workers, 1);
	ck_assert_int_eq(shared->serving, 1);
}
END_TEST

START_TEST(a_fetch_does_not_outlive_who_asked)
{
	plan(FETCH_AND_DIE, OBEY, SIGTERM, 0);
	ck_assert_int_eq(supervise(20000), EX_OK);
	ck_assert_int_eq(shared->fetchers, 1);
	ck_assert_int_eq(shared->workers, 2);
	ck_assert_int_eq(kill(atomic_load(&shared->fetcher), 0), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("supervisor");
	TCase *tc = tcase_create("supervisor");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_worker_that_dies_is_replaced_after_a_wait, 0, N(lives));
	tcase_add_loop_test(tc, told_to_end_it_ends_when_its_worker_has, 0, N(ends));
	tcase_add_test(tc, a_worker_that_does_not_end_is_killed);
	tcase_add_test(tc, a_first_worker_that_cannot_start_ends_all_with_its_code);
	tcase_add_loop_test(tc, a_worker_that_dies_is_replaced, 0, N(deaths));
	tcase_add_test(tc, one_that_ends_later_with_a_code_is_replaced_too);
	tcase_add_loop_test(tc, a_reload_is_settled_once, 0, N(reloads));
	tcase_add_loop_test(tc, a_log_is_opened_anew_when_a_reload_is_settled, 0, N(reloads));
	tcase_add_loop_test(tc, a_worker_that_never_answers_a_reload_is_replaced_by_one_that_has_it, 0, N(silences));
	tcase_add_loop_test(tc, a_reload_that_came_meanwhile_is_not_forgotten, 0, N(silences));
	tcase_add_test(tc, a_log_that_was_opened_anew_goes_to_the_worker);
	tcase_add_test(tc, a_worker_that_has_no_room_for_messages_is_told_later);
	tcase_add_test(tc, who_asks_for_the_state_is_told_by_the_worker);
	tcase_add_loop_test(tc, only_a_worker_that_says_so_is_well, 0, N(healths));
	tcase_add_loop_test(tc, a_worker_that_hangs_is_replaced, 0, N(hangs));
	tcase_add_loop_test(tc, a_worker_that_does_not_hang_is_not_replaced, 0, N(lively));
	tcase_add_loop_test(tc, a_worker_that_takes_up_a_configuration_has_the_limit_of_that, 0, N(silences));
	tcase_add_loop_test(tc, a_worker_that_closes_its_channel_and_lives_on_is_replaced, 0, N(closings));
	tcase_add_test(tc, who_does_not_want_to_know_asks_nobody);
	tcase_add_test(tc, what_is_fetched_for_the_worker_comes_through);
	tcase_add_test(tc, who_wants_an_answer_in_what_is_no_pipe_is_killed);
	tcase_add_test(tc, a_fetch_that_the_supervisor_has_no_descriptor_for_is_put_off);
	tcase_add_test(tc, a_fetch_does_not_outlive_who_asked);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
