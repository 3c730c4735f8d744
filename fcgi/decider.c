#include "fcgi/decider.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "fcgi/authorizer.h"
#include "fcgi/channel.h"
#include "fcgi/page.h"

#define DEADLINE_MS	5000		/* from accept to a whole request; a server sends it at once (SR-22) */
#define GRACE_MS	5000		/* for requests under way, when it is to end */
#define STATE_MAX	(60 * 1024)	/* what is told of it after a signal */
#define GLANCE_MS	20		/* between two looks for who has ended meanwhile */
#define FLUSH_MS	5000		/* between two looks for lines of the log that were left out and not told of */

struct decider {
	const struct bg_decider_options *options;
	int                  signals;	/* signalfd(2) of those that end us */
	struct bg_snapshots *snapshots;
	struct bg_worker    *worker;
	pthread_mutex_t      lock;	/* guards to_wake, and holds the worker's end back while it is woken */
	struct bg_worker    *to_wake;
	int64_t              moved_us;	/* bg_clock_mono_us() when threads were last seen to go on */
};

/* A page about how we are.  The worker lives as long as its threads, of which we are one; while it ends it is not shown. */
static int
show(struct decider *self, enum bg_page page, const struct bg_snapshot *snapshot, char *const *env, struct bg_buf *out)
{
	struct bg_error err = { 0 };
	struct bg_worker *worker;
	struct bg_status status;
	int rc = -1;

	pthread_mutex_lock(&self->lock);
	worker = self->to_wake;
	pthread_mutex_unlock(&self->lock);
	if (bg_figures_read(self->options->figures, snapshot, worker, &status, &err) == 0)
		rc = bg_page_answer(page, env, &status, out);
	bg_figures_release(&status);
	if (rc == 0)
		bg_log(BG_LOG_DEBUG, "the page %s was shown", bg_page_name(page));
	else
		bg_log(BG_LOG_ERROR, "no memory for the page %s", bg_page_name(page));
	return rc;
}

/*
 * Called by the worker's threads.  Every try is made from beginning to end by one snapshot, the one that is in force when
 * it begins; nothing that a reload took away decides anything that begins after it.  That goes for requests that were
 * parked too: all that was said of them yet is that it is too early to say, and the new gate, which has taken over the keys
 * and the fetches under way, says more.  Were they to finish under the old one, a token of an issuer that was removed could
 * be let in seconds after the reload; so it ends as wrong_issuer, with its line in the log.
 */
static int
answer(void *arg, enum bg_role role, char *const *env, bool last, struct bg_buf *out)
{
	struct decider *self = arg;
	struct bg_snapshot *snapshot = bg_snapshots_take(self->snapshots);
	struct bg_answered answered = { 0 };
	struct bg_now now = bg_clock_now();
	struct bg_error err = { 0 };
	enum bg_page page;
	int rc;

	if (bg_page_wanted(role, env, &page, &err) != 0)
		rc = bg_authorizer_refuse(snapshot->gate, role, &err, out, &answered);
	else if (page == BG_PAGE_NONE)
		rc = bg_authorizer_answer(snapshot->gate, now, role, env, last, out, &answered);
	else
		rc = show(self, page, snapshot, env, out);
	bg_snapshots_give_back(self->snapshots, snapshot);
	if (page == BG_PAGE_NONE && rc != BG_AUTHORIZER_LATER)
		bg_counters_add(self->options->figures->counters, &answered, now.mono_ms);
	return rc == BG_AUTHORIZER_LATER ? BG_WORKER_LATER : rc;
}

/* Called by the worker's threads: the list in force counts from the next connection on. */
static bool
admit(void *arg, int fd, const struct sockaddr *address, char *who, size_t size)
{
	struct decider *self = arg;
	struct bg_snapshot *snapshot = bg_snapshots_take(self->snapshots);
	bool may = bg_peers_admit(&snapshot->peers, fd, address, who, size);

	bg_snapshots_give_back(self->snapshots, snapshot);
	return may;
}

/* Called by the threads of the key stores, which are there before the worker and after it. */
static void
keys_changed(void *arg)
{
	struct decider *self = arg;

	pthread_mutex_lock(&self->lock);
	if (self->to_wake != NULL)
		bg_worker_wake(self->to_wake);
	pthread_mutex_unlock(&self->lock);
}

/* From now on the worker, or nobody for NULL, is told when keys have changed. */
static void
tell(struct decider *self, struct bg_worker *worker)
{
	pthread_mutex_lock(&self->lock);
	self->to_wake = worker;
	if (worker != NULL)
		bg_worker_wake(worker);		/* of what has changed while nobody was told */
	pthread_mutex_unlock(&self->lock);
}

/* Everything up to the first request. */
static int
start(struct decider *self, struct bg_error *err)
{
	const struct bg_decider_options *options = self->options;
	const struct bg_snapshot *first = options->first;
	struct bg_worker_options worker = {
		.listeners = options->listeners,
		.n_listeners = options->n_listeners,
		.threads = bg_conf_threads(first->conf),
		.max_waiting = options->max_waiting,
		.deadline = DEADLINE_MS,
		.max_parked = options->max_parked,
		.patience = first->conf->fetch_timeout * 1000,
		.answer = answer,
		.admit = admit,
		.arg = self,
	};
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGQUIT);
	sigaddset(&ends, SIGTERM);
	if ((self->signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK)) == -1)
		return bg_fail(err, BG_R_INTERNAL, "signalfd: %s", strerror(errno));
	if (bg_snapshots_new(&self->snapshots, err) != 0)
		return -1;
	bg_snapshots_replace(self->snapshots, options->first);
	if (bg_gate_start(first->gate, keys_changed, self, err) != 0)
		return -1;
	if (bg_worker_start(&self->worker, &worker, err) != 0)
		return -1;
	tell(self, self->worker);
	return 0;
}

/* Whether that reached anybody is not for us to care: who is gone lets us end. */
static void
say(struct decider *self, enum bg_message_kind kind)
{
	(void)!bg_channel_send(self->options->channel, kind, NULL, -1);
}

/*
 * Put what the configuration says now in force: all of it, or nothing, with the reason in the log.  What can fail comes first.
 * The parked requests are tried again by it, and answered by it.  log is where the log goes by it, ours to close; -1: where it
 * went before.
 */
static void
reload(struct decider *self, int log)
{
	struct bg_snapshot *old = bg_snapshots_take(self->snapshots), *new = NULL;
	enum bg_message_kind said = BG_MESSAGE_KEPT;
	struct bg_error err = { 0 };

	if (self->options->configure(self->options->arg, &new) != 0)
		goto out;
	if (bg_gate_take_over(new->gate, old->gate, bg_clock_now(), &err) != 0 ||
	    bg_gate_start(new->gate, keys_changed, self, &err) != 0) {
		bg_log(BG_LOG_ERROR, "%s", err.detail);
		goto out;
	}
	self->options->set_log(self->options->arg, new->conf, log);
	if (log != -1) {
		bg_log(BG_LOG_INFO, "from here on the log goes to %s", new->conf->log);
		bg_log_switch(log);
		log = -1;		/* moved */
	}
	bg_worker_set_patience(self->worker, new->conf->fetch_timeout * 1000);
	bg_snapshots_replace(self->snapshots, new);
	new = NULL;			/* moved */
	bg_worker_wake(self->worker);
	said = BG_MESSAGE_RELOADED;
out:
	if (log != -1)
		close(log);
	bg_snapshots_give_back(self->snapshots, new);
	bg_snapshots_give_back(self->snapshots, old);
	say(self, said);
}

/* We are, as far as a thread can tell that gets hold of every lock that a decision takes here, and sees that others go on. */
static void
say_well(struct decider *self)
{
	struct bg_worker_figures figures;
	int64_t now = bg_clock_mono_us();

	if (bg_worker_moves(self->worker))
		self->moved_us = now;
	else if (now - self->moved_us >= self->options->stuck_limit * 1000) {
		bg_log(BG_LOG_ERROR, "all threads have been at one and the same thing for %" PRId64 " seconds: nothing is well",
		    (now - self->moved_us) / 1000000);
		return;
	}
	bg_snapshots_give_back(self->snapshots, bg_snapshots_take(self->snapshots));
	pthread_mutex_lock(&self->lock);
	bg_worker_read(self->worker, &figures);
	pthread_mutex_unlock(&self->lock);
	say(self, BG_MESSAGE_WELL);
}

/* What the page status has as text, for who asks by a signal: each line on its own, at a level that is logged. */
static void
tell_state(struct decider *self)
{
	enum bg_log_level level = bg_log_wanted(BG_LOG_INFO);
	struct bg_snapshot *snapshot = bg_snapshots_take(self->snapshots);
	struct bg_status status;
	struct bg_error err = { 0 };
	struct bg_slice rest;
	struct bg_buf text;

	bg_buf_init(&text, STATE_MAX);
	if (bg_figures_read(self->options->figures, snapshot, self->worker, &status, &err) == 0)
		bg_status_put_text(&status, status.n_issuers, &text);
	if (text.failed && !text.no_memory) {	/* so many issuers are for the page */
		bg_buf_reset(&text);
		bg_status_put_text(&status, 0, &text);
	}
	if (bg_buf_finish(&text, &rest, &err) != 0)
		bg_log(BG_LOG_ERROR, "no memory to tell the state");
	else
		while (rest.len > 0) {
			const char *end = memchr(rest.ptr, '\n', rest.len);
			size_t n = end != NULL ? (size_t)(end - rest.ptr) : rest.len;

			if (n > 0)
				bg_log(level, "state: %.*s", (int)n, rest.ptr);
			rest = bg_slice_skip(rest, end != NULL ? n + 1 : n);
		}
	bg_buf_clear(&text);
	bg_figures_release(&status);
	bg_snapshots_give_back(self->snapshots, snapshot);
}

/*
 * A message came without its descriptor, since we can open no more: strangers may have used them up.  That is no reason to end,
 * and all goes on as it was; who asked can ask again.
 */
static void
do_without(struct decider *self, const struct bg_message *message)
{
	bg_log(BG_LOG_ERROR, "no descriptor is free for the log that the supervisor has opened: %s",
	    message->kind == BG_MESSAGE_RELOAD ? "the configuration is not taken up" : "it goes on where it was");
	if (message->kind == BG_MESSAGE_RELOAD)
		say(self, BG_MESSAGE_KEPT);
}

/* One message of the supervisor's.  Returns false when we are to end. */
static bool
heed(struct decider *self)
{
	struct bg_message message;

	switch (bg_channel_receive(self->options->channel, false, &message)) {
	case BG_RECEIVED_NOTHING:
		return true;
	case BG_RECEIVED_END:
		bg_log(BG_LOG_ERROR, "the supervisor is gone: ending too");
		return false;
	case BG_RECEIVED_BAD:
		bg_log(BG_LOG_ERROR, "a message of the supervisor is not understood: ending");
		return false;
	case BG_RECEIVED_LOST:
		do_without(self, &message);
		return true;
	case BG_RECEIVED_MESSAGE:
		break;
	}
	if (message.kind == BG_MESSAGE_RELOAD)
		reload(self, message.fd);
	else if (message.kind == BG_MESSAGE_LOG)
		bg_log_switch(message.fd);
	else if (message.kind == BG_MESSAGE_ASK)
		say_well(self);
	else if (message.kind == BG_MESSAGE_STATE)
		tell_state(self);
	return message.kind != BG_MESSAGE_STOP;
}

static void
decide(struct decider *self)
{
	struct pollfd fds[2] = {
		{ .fd = self->options->channel, .events = POLLIN }, { .fd = self->signals, .events = POLLIN },
	};
	int64_t now = bg_clock_mono_ms(), flush_at = now + FLUSH_MS;
	bool go_on = true;
	int n;

	self->moved_us = bg_clock_mono_us();
	say(self, BG_MESSAGE_SERVING);
	while (go_on) {
		n = poll(fds, 2, flush_at > now ? (int)(flush_at - now) : 0);
		/* however often there is something to heed, such as a watchdog's questions */
		if ((now = bg_clock_mono_ms()) >= flush_at) {
			bg_decision_log_flush(now);
			flush_at = now + FLUSH_MS;
		}
		if (n > 0 && fds[0].revents != 0)
			go_on = heed(self);
		if (n > 0 && fds[1].revents != 0)
			go_on = false;
	}
}

/* Let requests under way finish. */
static void
drain(struct decider *self)
{
	tell(self, NULL);
	if (bg_worker_stop(self->worker, GRACE_MS))
		return;
	/* Somebody still uses the gate: nothing can be given back. */
	bg_log(BG_LOG_WARNING, "a request did not end in %d seconds and is cut off", GRACE_MS / 1000);
	bg_decision_log_flush(INT64_MAX);
	_exit(EX_OK);
}

int
bg_decider_run(const struct bg_decider_options *options, struct bg_error *err)
{
	struct decider self = { .options = options, .signals = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

	/* After a failure one of the threads may be at a request and use the gate, so nothing is given back but by _exit(2). */
	if (start(&self, err) != 0)
		return EX_OSERR;
	decide(&self);
	drain(&self);
	bg_decision_log_flush(INT64_MAX);
	bg_snapshots_replace(self.snapshots, NULL);
	/* their threads may be in the middle of a fetch, which is given up */
	while (!bg_snapshots_wait(self.snapshots, GLANCE_MS))
		continue;
	bg_snapshots_free(self.snapshots);
	close(self.signals);
	return EX_OK;
}
