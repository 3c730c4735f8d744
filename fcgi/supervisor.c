#include "fcgi/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "fcgi/broker.h"

#define FETCHES_MAX	256	/* at once; an issuer has one at a time, and for the rest its worker tries again */
#define FETCH_GRACE_MS	10000	/* beyond a fetch's time limit, which those who fetch keep; then they are killed */
#define MESSAGES_MAX	64	/* of the worker that are read before signals are looked at again */
#define OWED_MS		50	/* between two tries to send what the worker had no room for */
#define END_MS		1000	/* from the end of the channel to that of the worker, when it is by itself that it ends */
#define NEVER		INT64_MAX

/* A process that fetches, the leader of a group with the program that it runs. */
struct fetch {
	pid_t   pid;		/* 0: there is none */
	int64_t deadline;	/* bg_clock_mono_ms() */
};

struct supervisor {
	const struct bg_supervisor_options *options;
	const struct bg_supervisor_hooks   *hooks;
	pid_t        worker;		/* 0: there is none */
	int          channel;		/* to it; -1: there is none */
	int          signals;		/* signalfd(2) */
	bool         serves;		/* the worker has said so */
	int64_t      since;		/* when it did */
	int64_t      start_at;		/* when the next one is to be started; NEVER while there is one */
	unsigned     failures;
	bool         has_started;	/* any of them */
	bool         has_served;
	uint64_t     restarts;
	bool         reloading;		/* the worker was told, and has not said what came of it */
	int64_t      reload_by;		/* when it must have; NEVER: it is not reloading, or to end anyway */
	bool         overdue;		/* it had not, and was killed for that */
	bool         reload_again;
	bool         reopen_then;	/* SIGUSR1 came meanwhile: where the log goes is not settled yet */
	int64_t      ask_at;		/* when the worker is asked whether it is well; NEVER: it is not */
	bool         asked;		/* it was, and has not answered */
	int64_t      silence;		/* milliseconds that questions went unanswered */
	bool         owed[BG_MESSAGE_KINDS];	/* what it had no room for, as signals may come faster than it reads */
	int          owed_fds[BG_MESSAGE_KINDS];	/* of those messages; -1: none */
	int64_t      tell_at;		/* when that is tried again; NEVER: nothing is owed */
	int64_t      end_by;		/* when a worker that has closed its end of the channel must have ended; NEVER: it has not */
	bool         stopping;
	int64_t      kill_at;		/* NEVER: not told to finish */
	bool         done;
	int          code;
	struct fetch fetches[FETCHES_MAX];
	struct bg_log_limit too_many;	/* lines about fetches that were put off: the worker could ask without end */
	struct bg_log_limit lost;	/* the same, for want of a descriptor */
};

int64_t
bg_supervisor_wait(unsigned *failures, int64_t served_ms)
{
	int64_t wait = BG_SUPERVISOR_FIRST_MS;
	unsigned before;

	if (served_ms >= BG_SUPERVISOR_GOOD_MS)
		*failures = 0;
	before = *failures;
	if (*failures < UINT32_MAX)
		++*failures;
	if (before == 0)
		return 0;
	for (unsigned i = 1; i < before && wait < BG_SUPERVISOR_WAIT_MAX; i++)
		wait *= 2;
	return wait < BG_SUPERVISOR_WAIT_MAX ? wait : BG_SUPERVISOR_WAIT_MAX;
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* Fetches. */

/*
 * In the new process.  It has a copy of all our descriptors and is to keep none: an end of the channel would hide our death from
 * the worker, a listening socket would keep an address taken.
 */
static _Noreturn void
be_fetcher(struct supervisor *self, const struct bg_fetch_wanted *wanted, int fd)
{
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_NAME, BG_FETCHER_NAME);
	if (fd != STDERR_FILENO + 1 && dup3(fd, STDERR_FILENO + 1, O_CLOEXEC) == -1)
		_exit(EX_OSERR);
	if (close_range(STDERR_FILENO + 2, ~0U, 0) != 0)
		_exit(EX_OSERR);
	self->hooks->fetch(self->options->arg, wanted, STDERR_FILENO + 1);
	_exit(EX_OK);
}

/* Without an answer: the worker sees its pipe closed, and tries again later. */
static void
start_fetch(struct supervisor *self, const struct bg_fetch_wanted *wanted, int fd)
{
	int64_t now = bg_clock_mono_ms();
	struct fetch *fetch = NULL;
	unsigned left_out;

	for (size_t i = 0; i < FETCHES_MAX && fetch == NULL; i++)
		if (self->fetches[i].pid == 0)
			fetch = &self->fetches[i];
	if (fetch == NULL) {
		if (bg_log_may(&self->too_many, 1, now, &left_out))
			bg_log(BG_LOG_WARNING, "more than %d fetches at once: %u put off", FETCHES_MAX, left_out + 1);
		return;
	}
	switch (fetch->pid = fork()) {
	case -1:
		fetch->pid = 0;
		bg_log(BG_LOG_ERROR, "no process to fetch keys: %s", strerror(errno));
		break;
	case 0:
		be_fetcher(self, wanted, fd);
	default:
		(void)setpgid(fetch->pid, fetch->pid);	/* whoever comes first */
		fetch->deadline = now + wanted->timeout * INT64_C(1000) + FETCH_GRACE_MS;
	}
}

/* The whole group, the program that it runs too.  It was not waited for yet, so that the number is nobody else's. */
static void
kill_fetch(const struct fetch *fetch)
{
	if (kill(-fetch->pid, SIGKILL) != 0)
		(void)kill(fetch->pid, SIGKILL);
}

static void
kill_late_fetches(struct supervisor *self, int64_t now)
{
	for (size_t i = 0; i < FETCHES_MAX; i++)
		if (self->fetches[i].pid != 0 && now >= self->fetches[i].deadline) {
			bg_log(BG_LOG_ERROR, "a fetch did not end in time, and is killed");
			kill_fetch(&self->fetches[i]);
			self->fetches[i].deadline = now + FETCH_GRACE_MS;
		}
}

/* Nothing of ours is to be there when we are not. */
static void
end_fetches(struct supervisor *self)
{
	for (size_t i = 0; i < FETCHES_MAX; i++)
		if (self->fetches[i].pid != 0)
			kill_fetch(&self->fetches[i]);
	for (size_t i = 0; i < FETCHES_MAX; i++) {
		while (self->fetches[i].pid != 0 && waitpid(self->fetches[i].pid, NULL, 0) == -1 && errno == EINTR)
			continue;
		self->fetches[i].pid = 0;
	}
}

/* The worker. */

static _Noreturn void
be_worker(struct supervisor *self, int channel)
{
	close_fd(&self->channel);
	close_fd(&self->signals);
	(void)prctl(PR_SET_NAME, BG_WORKER_NAME);
	_exit(self->hooks->work(self->options->arg, !self->has_started, channel));
}

/* Nothing of this kind is to be sent any more, or what is will be another one. */
static void
forgive(struct supervisor *self, enum bg_message_kind kind)
{
	if (self->owed[kind])
		close_fd(&self->owed_fds[kind]);
	self->owed[kind] = false;
}

static void
forgive_all(struct supervisor *self)
{
	for (int kind = 0; kind < BG_MESSAGE_KINDS; kind++)
		forgive(self, (enum bg_message_kind)kind);
	self->tell_at = NEVER;
}

static void
start_worker(struct supervisor *self)
{
	int channel, error;

	forgive_all(self);
	self->start_at = self->end_by = NEVER;
	self->serves = self->overdue = self->asked = false;
	self->silence = 0;
	if ((error = bg_channel_open(&self->channel, &channel)) == 0 && (self->worker = fork()) == -1)
		error = errno;
	if (error == 0 && self->worker == 0)
		be_worker(self, channel);
	close_fd(&channel);
	if (error != 0) {
		close_fd(&self->channel);
		self->worker = 0;
		self->done = !self->has_started;
		self->code = EX_OSERR;		/* of a first one; any other end has its own */
		self->start_at = bg_clock_mono_ms() + bg_supervisor_wait(&self->failures, 0) + BG_SUPERVISOR_FIRST_MS;
		bg_log(BG_LOG_ERROR, "no worker can be started: %s%s", strerror(error), self->done ? "" : "; trying again");
		return;
	}
	self->restarts += self->has_started;
	self->has_started = true;
}

/* Is it want of room alone that a message cannot be sent for? */
static bool
is_passing(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM || error == ETOOMANYREFS;
}

/*
 * Send it later, behind what else is owed.  Of two of a kind the second says it all; and a worker that never makes room for
 * them again is found by what it leaves unanswered.  Returns false where the descriptor cannot be kept.
 */
static bool
owe(struct supervisor *self, enum bg_message_kind kind, int fd)
{
	int copy = -1;

	if (fd != -1 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)) == -1)
		return false;
	forgive(self, kind);
	self->owed[kind] = true;
	self->owed_fds[kind] = copy;	/* moved */
	if (self->tell_at == NEVER)
		self->tell_at = bg_clock_mono_ms() + OWED_MS;
	return true;
}

static void
tell_worker(struct supervisor *self, enum bg_message_kind kind, int fd)
{
	int error;

	if (self->worker == 0 || self->channel == -1)	/* it has closed its end, so its own is near */
		return;
	error = self->tell_at != NEVER ? EAGAIN : bg_channel_send(self->channel, kind, NULL, fd);
	if (error == 0 || error == EPIPE || error == ECONNRESET || (is_passing(error) && owe(self, kind, fd)))
		return;
	bg_log(BG_LOG_ERROR, "the worker takes no messages, and is killed: %s", strerror(error));
	(void)kill(self->worker, SIGKILL);
}

/* In this order: no log is opened anew during a reload, so it is that of before; and nothing comes behind the end. */
static void
tell_what_is_owed(struct supervisor *self)
{
	static const enum bg_message_kind order[] = { BG_MESSAGE_ASK, BG_MESSAGE_STATE, BG_MESSAGE_LOG, BG_MESSAGE_RELOAD,
	    BG_MESSAGE_STOP };

	self->tell_at = NEVER;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		enum bg_message_kind kind = order[i];
		int fd = self->owed_fds[kind];

		if (!self->owed[kind])
			continue;
		self->owed[kind] = false;
		tell_worker(self, kind, fd);	/* or it is owed again, with a descriptor of its own */
		close_fd(&fd);
	}
}

/* Reloads. */

static void reload(struct supervisor *self);

/* Between two reloads, or a worker that has put the next log in place would be given the one from before. */
static void
reopen(struct supervisor *self)
{
	int fd;

	self->reopen_then = self->reloading;
	if (self->reloading || (fd = self->hooks->reopen(self->options->arg)) == -1)
		return;
	tell_worker(self, BG_MESSAGE_LOG, fd);
	close(fd);
}

static void
settle(struct supervisor *self, bool in_force)
{
	self->reloading = false;
	self->reload_by = NEVER;
	self->hooks->settle(self->options->arg, in_force);
	if (self->reload_again && !self->stopping) {
		self->reload_again = false;
		reload(self);
	} else if (self->reopen_then && !self->stopping)
		reopen(self);
}

/* One at a time: what is in force is never in doubt, whatever dies meanwhile. */
static void
reload(struct supervisor *self)
{
	int log = -1;

	if (self->reloading) {
		self->reload_again = true;
		return;
	}
	if (!self->hooks->prepare(self->options->arg, &log)) {
		settle(self, false);
		return;
	}
	if (self->worker == 0) {
		self->start_at = bg_clock_mono_ms();	/* it may be what the last ones died of */
		settle(self, true);
		return;
	}
	self->reloading = true;
	self->reload_by = bg_clock_mono_ms() + self->options->reload_limit;
	tell_worker(self, BG_MESSAGE_RELOAD, log);
}

/*
 * A worker that says nothing would hold up this reload and all that come after it, and decide on by what was to be changed.  What
 * it has in hand is cut off, as at any other death of a worker.  The reload is settled when it is dead and not before, since
 * until then it may use up proofs (SR-63).
 */
static void
end_silence(struct supervisor *self)
{
	int64_t limit = self->options->reload_limit;

	bg_log(BG_LOG_ERROR, "the worker, process %ld, has not said within %" PRId64 ".%03" PRId64 " seconds whether it has taken up the "
	    "configuration, and %s", (long)self->worker, limit / 1000, limit % 1000,
	    self->overdue ? "does not die either: killed once more" : "is killed; another one begins with it");
	self->overdue = true;
	self->reload_by = bg_clock_mono_ms() + limit;
	(void)kill(self->worker, SIGKILL);
}

/* Whether the worker is well. */

/* Milliseconds between two questions; 0: there are none. */
static int64_t
between_questions(const struct bg_supervisor_options *options)
{
	if (options->watchdog > 0 && (options->ask_every == 0 || options->watchdog < options->ask_every))
		return options->watchdog;
	return options->ask_every;
}

static void
tell_well(struct supervisor *self)
{
	if (self->options->watchdog > 0)
		self->hooks->well(self->options->arg);
}

/*
 * The next question is due.  A worker that has stopped, or waits for what never comes, would leave every server waiting, and
 * nobody else looks after it where there is no watchdog.  Who is about to begin or to end is not asked, and has other limits.
 */
static void
ask(struct supervisor *self)
{
	int64_t every = between_questions(self->options), limit = self->options->silence_limit;

	if (self->worker == 0 || !self->serves || self->stopping) {
		tell_well(self);
		return;
	}
	if (self->reloading)
		self->silence = 0;
	else if (self->asked)
		self->silence += every;
	if (limit > 0 && self->silence >= limit) {
		bg_log(BG_LOG_ERROR, "the worker, process %ld, has not said within %" PRId64 ".%03" PRId64 " seconds that it is well, and is "
		    "killed", (long)self->worker, limit / 1000, limit % 1000);
		self->silence = 0;	/* if it does not die either, it is killed once more */
		(void)kill(self->worker, SIGKILL);
		return;
	}
	self->asked = true;
	tell_worker(self, BG_MESSAGE_ASK, -1);
}

/* What comes from the worker. */

/* Returns false for what no worker of ours says. */
static bool
heed_message(struct supervisor *self, const struct bg_message *message)
{
	switch (message->kind) {
	case BG_MESSAGE_SERVING:
		if (self->serves)
			break;
		self->hooks->serving(self->options->arg, !self->has_served, self->restarts);
		self->serves = self->has_served = true;
		self->since = bg_clock_mono_ms();
		break;
	case BG_MESSAGE_RELOADED:
	case BG_MESSAGE_KEPT:
		if (self->reloading)
			settle(self, message->kind == BG_MESSAGE_RELOADED);
		break;
	case BG_MESSAGE_WELL:
		self->asked = false;
		self->silence = 0;
		tell_well(self);
		break;
	case BG_MESSAGE_FETCH:
		if (!bg_broker_may_write(message->fd))
			return false;
		if (!self->stopping)
			start_fetch(self, &message->wanted, message->fd);
		break;
	default:
		return false;		/* bg_message_parse knows no others from there */
	}
	return true;
}

/* It may be taken over, and has nothing more to say. */
static void
disown_worker(struct supervisor *self)
{
	bg_log(BG_LOG_ERROR, "the worker says what no worker says, and is killed: somebody else may speak for it");
	if (self->worker != 0)
		(void)kill(self->worker, SIGKILL);
	close_fd(&self->channel);
}

static void
read_channel(struct supervisor *self)
{
	struct bg_message message;
	unsigned left_out;

	for (int i = 0; i < MESSAGES_MAX && self->channel != -1; i++)
		switch (bg_channel_receive(self->channel, true, &message)) {
		case BG_RECEIVED_MESSAGE:
			if (!heed_message(self, &message))
				disown_worker(self);
			close_fd(&message.fd);
			break;
		case BG_RECEIVED_LOST:		/* a fetch: the worker sees its pipe closed, and tries again later */
			if (bg_log_may(&self->lost, 1, bg_clock_mono_ms(), &left_out))
				bg_log(BG_LOG_ERROR, "no descriptor is free for a fetch: %u put off", left_out + 1);
			break;
		case BG_RECEIVED_BAD:
			disown_worker(self);
			break;
		case BG_RECEIVED_END:
			close_fd(&self->channel);	/* its end is near, and SIGCHLD tells more */
			self->end_by = bg_clock_mono_ms() + END_MS;
			break;
		case BG_RECEIVED_NOTHING:
			return;
		}
}

static void
describe_end(const siginfo_t *info, char *dst, size_t size)
{
	if (info->si_code == CLD_EXITED)
		bg_format(dst, size, "ended with exit code %d", info->si_status);
	else
		bg_format(dst, size, "was ended by signal %d (%s)", info->si_status, strsignal(info->si_status));
}

static void
worker_ended(struct supervisor *self, const siginfo_t *info)
{
	int64_t now = bg_clock_mono_ms(), wait;
	enum bg_log_level level = info->si_code == CLD_EXITED && info->si_status == EX_OK ? BG_LOG_WARNING : BG_LOG_ERROR;
	char how[128];

	if (self->channel != -1)
		read_channel(self);	/* what it said before */
	close_fd(&self->channel);
	self->worker = 0;
	self->end_by = NEVER;
	describe_end(info, how, sizeof(how));
	if (self->stopping) {
		if (self->kill_at != NEVER && (info->si_code != CLD_EXITED || info->si_status != EX_OK))
			bg_log(BG_LOG_WARNING, "the worker %s", how);
		self->done = true;
		return;
	}
	if (!self->has_served && info->si_code == CLD_EXITED && info->si_status != EX_OK) {
		self->code = info->si_status;	/* it has said why */
		self->done = true;
		return;
	}
	wait = bg_supervisor_wait(&self->failures, self->serves ? now - self->since : 0);
	self->start_at = now + wait;
	if (wait == 0)
		bg_log(level, "the worker, process %ld, %s; another one is started at once", (long)info->si_pid, how);
	else
		bg_log(level, "the worker, process %ld, %s, %u in a row; another one is started in %" PRId64 ".%03" PRId64
		    " seconds", (long)info->si_pid, how, self->failures, wait / 1000, wait % 1000);
	if (self->reloading && self->overdue)
		settle(self, true);
	else if (self->reloading) {
		bg_log(BG_LOG_ERROR, "the worker ended while it took up the configuration, which is therefore not taken");
		settle(self, false);
	}
}

/* Children that have ended.  They stay zombies until all is done that needs their numbers. */
static void
reap(struct supervisor *self)
{
	siginfo_t info = { .si_pid = 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		pid_t pid = info.si_pid;

		for (size_t i = 0; i < FETCHES_MAX; i++)
			if (self->fetches[i].pid == pid) {
				kill_fetch(&self->fetches[i]);	/* if it left the program running */
				self->fetches[i].pid = 0;
			}
		if (pid == self->worker)
			worker_ended(self, &info);
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			continue;
		info.si_pid = 0;
	}
}

/* Signals. */

static void
stop(struct supervisor *self, int sig)
{
	if (self->stopping) {
		bg_log(BG_LOG_WARNING, "ending at once after signal %d", sig);
		if (self->worker != 0)
			(void)kill(self->worker, SIGKILL);
		self->kill_at = NEVER;
		return;
	}
	self->stopping = true;
	self->code = EX_OK;
	self->hooks->stopping(self->options->arg, sig);
	self->start_at = self->reload_by = NEVER;
	self->kill_at = bg_clock_mono_ms() + self->options->grace;
	tell_worker(self, BG_MESSAGE_STOP, -1);
	self->done = self->worker == 0;
}

/* We say what the worker cannot: above all that there is none, or that it does not answer. */
static void
tell_state(struct supervisor *self)
{
	enum bg_log_level level = bg_log_wanted(BG_LOG_INFO);

	bg_log(level, "state: supervisor=%ld worker=%ld serves=%s restarts=%" PRIu64 " failures=%u reloading=%s", (long)getpid(),
	    (long)self->worker, self->serves && self->worker != 0 ? "yes" : "no", self->restarts, self->failures,
	    self->reloading ? "yes" : "no");
	tell_worker(self, BG_MESSAGE_STATE, -1);
}

static void
heed_signals(struct supervisor *self)
{
	struct signalfd_siginfo info;

	while (!self->done && read(self->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(self);
			break;
		case SIGHUP:
			if (!self->stopping)
				reload(self);
			break;
		case SIGUSR1:
			if (!self->stopping)
				reopen(self);
			break;
		case SIGUSR2:
			if (!self->stopping)
				tell_state(self);
			break;
		default:
			stop(self, (int)info.ssi_signo);
		}
}

/* Milliseconds until something is due, for poll(2). */
static int
next_due(const struct supervisor *self)
{
	int64_t due = self->start_at < self->kill_at ? self->start_at : self->kill_at;

	if (self->reload_by < due)
		due = self->reload_by;
	for (size_t i = 0; i < FETCHES_MAX; i++)
		if (self->fetches[i].pid != 0 && self->fetches[i].deadline < due)
			due = self->fetches[i].deadline;
	if (self->ask_at < due)
		due = self->ask_at;
	if (self->end_by < due)
		due = self->end_by;
	if (self->tell_at < due)
		due = self->tell_at;
	if (due == NEVER)
		return -1;
	due -= bg_clock_mono_ms();
	return due < 0 ? 0 : due > INT32_MAX ? INT32_MAX : (int)due;
}

static void
do_what_is_due(struct supervisor *self)
{
	int64_t now = bg_clock_mono_ms();

	kill_late_fetches(self, now);
	if (now >= self->tell_at)
		tell_what_is_owed(self);
	if (now >= self->ask_at) {
		self->ask_at = now + between_questions(self->options);
		if (self->channel != -1)
			read_channel(self);	/* it may have been us who did not listen */
		ask(self);
	}
	if (now >= self->end_by) {
		bg_log(BG_LOG_ERROR, "the worker, process %ld, has closed its end of the channel and does not end: killed",
		    (long)self->worker);
		self->end_by = NEVER;
		(void)kill(self->worker, SIGKILL);
	}
	if (now >= self->kill_at) {
		bg_log(BG_LOG_WARNING, "the worker does not end, and is killed");
		(void)kill(self->worker, SIGKILL);
		self->kill_at = NEVER;
	}
	if (now >= self->reload_by && self->channel != -1)
		read_channel(self);	/* it may have been us who did not listen */
	if (now >= self->reload_by && self->worker != 0)
		end_silence(self);
	if (now >= self->start_at && self->worker == 0 && !self->stopping)
		start_worker(self);
}

int
bg_supervisor_run(const struct bg_supervisor_options *options)
{
	struct supervisor self = { .options = options, .hooks = options->hooks, .channel = -1, .start_at = 0, .kill_at = NEVER,
	    .reload_by = NEVER, .ask_at = between_questions(options) > 0 ? 0 : NEVER, .tell_at = NEVER, .end_by = NEVER,
	    .code = EX_OK };

	if ((self.signals = signalfd(-1, &options->signals, SFD_CLOEXEC | SFD_NONBLOCK)) == -1) {
		bg_log(BG_LOG_ERROR, "signalfd: %s", strerror(errno));
		return EX_OSERR;
	}
	while (!self.done) {
		struct pollfd fds[2] = { { .fd = self.signals, .events = POLLIN } };
		int n;

		do_what_is_due(&self);
		fds[1] = (struct pollfd){ .fd = self.channel, .events = POLLIN };
		n = poll(fds, 2, next_due(&self));
		if (n > 0 && fds[1].revents != 0)
			read_channel(&self);
		if (n > 0 && fds[0].revents != 0)
			heed_signals(&self);
	}
	end_fetches(&self);
	forgive_all(&self);
	close_fd(&self.channel);
	close_fd(&self.signals);
	return self.code;
}
