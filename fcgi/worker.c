#include "fcgi/worker.h"

#include <errno.h>
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "fcgi/peers.h"

/*
 * One epoll instance is shared by all threads.  In it are
 *
 *  - the listening sockets, level-triggered: a thread takes the event and accepts one connection; if more are there the
 *    socket is ready again for the next thread.  A second thread may wake for nothing, and finds that accept has none;
 *    that was measured to cost less than arming a one-shot anew for each connection.
 *  - connections whose request is not whole yet, edge-triggered.  Their bytes stay unread in the kernel, so a level
 *    would report them for ever, and arming a one-shot again would report them at once.
 *  - a timer, edge-triggered, for deadlines; an eventfd, level-triggered and never read, that tells all to leave (the
 *    bell); and another one, level-triggered, that can be read as long as requests are to be tried again (the gong).
 *
 * A connection whose request has come whole by the time it is accepted, the usual case, is never put there: the thread
 * that accepted it looks, answers and closes, and shares it with no one.
 *
 * Edges leave two questions: can two threads work on one connection, and can a thread hold an event for a connection
 * that is no more?
 *
 * Waiting connections live in slots of a table that is freed after the last thread has gone.  An event does not carry
 * a pointer or a descriptor but a slot and the slot's serial number, which changes each time the slot is emptied.  All
 * of a slot is guarded by one lock.  A thread with an event claims the slot under that lock, if the serial number is
 * still the event's (otherwise the event is a ghost, and forgotten) and nobody has claimed it.  If somebody has, the
 * thread leaves word (CALLED) and goes.  Only the thread that has claimed a slot uses its descriptor or empties it, and
 * the sweeper and the eviction pass claimed slots by; so no descriptor is closed, and its number used again, while
 * another thread is about to use it.  No edge is lost: bytes that come before the claimant's last look are seen by that
 * look, and bytes that come after it make an event that either finds the slot let go, or leaves word, for which the
 * claimant asks under the lock when it lets go, and then looks again.
 *
 * No thread waits for an answer either.  A request whose answer must wait for something is a job on the heap: libfcgi's
 * streams point back at the FCGX_Request in it, so it never moves.  It is always in one of three places, and changes
 * place only under the lock:
 *
 *  - with the thread that tries it, and only this thread touches it.  All jobs begin here, in the thread's spare.
 *  - in parked, ordered by deadline, where it waits for a wake.
 *  - in due, in the order of coming, where it waits for a thread that is free.
 *
 * A wake moves all of parked to due; so does the sweep with those past their deadline, and stopping with all.  Nobody
 * closes a job's connection but the thread that tries it, or free_worker when there are no threads.  The descriptor may
 * still be in epoll from the time before its request was whole, but all events for it are ghosts by then.
 *
 * No wake is lost: a try begins by noting how many wakes there have been, and a thread that parks compares under the
 * lock.  If the number is the same, every wake that the handler could have missed is still to come and will find the job
 * in parked.  If it is not, the job goes to due, as if it had been parked before that wake.  Likewise nothing is parked
 * once stopping is set, under the same lock; and as a thread leaves only after it has seen stopping and then an empty
 * due, no job is left behind: whoever has one in hand by then gives it its last try himself.
 *
 * The gong can be read exactly while due is not empty.  Each event is good for one try, and epoll, in which a level that
 * stays goes to the end of the line and wakes one more thread, gives the next one to a new connection if there is any:
 * many jobs find all threads that are free, and still hold nobody up.
 *
 * A job counts against max_parked from its first parking to its end, so that it can always go back.  What it needs
 * beside, memory for another spare, is taken before it is parked; without it the request has its last try at once.
 *
 * A connection carries one request.  After the answer we close it even where the server asked to keep it
 * (FCGI_KEEP_CONN): none of the servers that ask us does it for that (nginx closes its sub-requests' too), and libfcgi
 * reads 8 KiB at a time into a buffer that dies with the request, so a second request sent in one go with the first would be lost half-read.
 */

#define READ_ROOM	BG_RECORDS_MAX
#define REST_MS		100	/* before a socket on which accept failed is tried again */
#define SWEEP_MS	10	/* deadlines are kept to within this */
#define COMPLAIN_MS	1000	/* between two lines in the log that a stranger can cause */
#define STRANGER_LINES	1	/* in a second, about those who may not ask */

enum state { FREE = 0, WAITING, CLAIMED, CALLED };

struct conn {
	TAILQ_ENTRY(conn) link;		/* in free, or in waiting whether claimed or not */
	enum state state;
	uint32_t   serial;
	int        fd;
	bool       ended;		/* the peer will send no more */
	int64_t    deadline;		/* bg_clock_mono_ms() */
};
TAILQ_HEAD(conns, conn);

/* A request in libfcgi's hands. */
struct job {
	TAILQ_ENTRY(job) link;		/* in parked or due; guarded by the worker's lock */
	FCGX_Request fcgi;
	enum bg_role role;
	int64_t      deadline;		/* bg_clock_mono_ms(); a try from then on is the last one */
	bool         rest;		/* there may be bytes behind the request that nobody will read */
};
TAILQ_HEAD(jobs, job);

struct bg_worker {
	/* Set before the threads start, read only after. */
	struct bg_worker_options options;
	int            *listeners;
	struct conn    *table;		/* options.max_waiting slots; their members are guarded by lock */
	int             epoll, timer, bell, gong;
	struct thread  *threads;
	size_t          n_threads;

	/* Set or raised under the lock, so that it decides; read without it where that may be out of date. */
	atomic_bool     stopping;
	atomic_ulong    wakes;		/* how many there have been */
	atomic_llong    patience;	/* milliseconds, that of options to begin with */
	atomic_size_t   n_parked;	/* jobs that have been parked and have not ended */
	atomic_ullong   troubles;	/* what complain was called for */
	atomic_ullong   strangers;
	struct bg_log_limit stranger_lines;

	pthread_mutex_t lock;		/* guards the members below and the slots */
	size_t          running;	/* threads that have not left yet */
	pthread_cond_t  left;		/* running is 0 */
	struct conns    free;
	size_t          n_waiting;
	struct conns    waiting;	/* the oldest first; as all wait equally long, it has the first deadline too */
	struct jobs     parked;		/* the first deadline first */
	struct jobs     due;		/* to be tried again, the first to be tried first */
	int64_t         timer_at;	/* when the timer goes off; 0: it is not set */
	bool           *resting;	/* listeners that are not looked at because accept failed */
	int64_t         complained_at;
	unsigned long   unsaid;		/* complaints since then */
};

struct thread {
	struct bg_worker *worker;
	pthread_t         id;
	char             *room;		/* READ_ROOM bytes to look at requests in */
	struct bg_buf     answer;
	atomic_ulong      turns;	/* odd while it waits for an event; only the thread itself writes it */
	unsigned long     turns_seen;	/* by bg_worker_moves */
	struct job       *spare;	/* for the next new request, so that only one that is parked costs an allocation */
	char              apart[64];	/* from the next thread's line in the processors' caches */
};

/* What an event is about: the kind in the top byte, a serial number in the middle four, an index in the lowest three. */
enum kind { LISTENER = 1, CONNECTION, TIMER, BELL, GONG };

#define INDEX_MAX	0xffffffu

static uint64_t
tag(enum kind kind, uint32_t serial, size_t i)
{
	return (uint64_t)kind << 56 | (uint64_t)serial << 24 | (uint64_t)i;
}

static int
watch(const struct bg_worker *worker, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data = { .u64 = data } };

	return epoll_ctl(worker->epoll, op, fd, &event);
}

/* Write to the log that a connection was closed, but not more often than COMPLAIN_MS: strangers cause this. */
static void
complain(struct bg_worker *worker, enum bg_log_level level, const char *what, const char *why)
{
	int64_t now = bg_clock_mono_ms();
	unsigned long unsaid;
	bool say;

	atomic_fetch_add(&worker->troubles, 1);
	if (!bg_log_wants(level))
		return;
	pthread_mutex_lock(&worker->lock);
	say = worker->complained_at == 0 || now - worker->complained_at >= COMPLAIN_MS;
	unsaid = say ? worker->unsaid : ++worker->unsaid;
	if (say) {
		worker->complained_at = now;
		worker->unsaid = 0;
	}
	pthread_mutex_unlock(&worker->lock);
	if (say && unsaid > 0)
		bg_log(level, "%s: %s (%lu more such lines were left out)", what, why, unsaid);
	else if (say)
		bg_log(level, "%s: %s", what, why);
}

/* Set the timer to go off at that time, unless it does so sooner.  The lock is held. */
static void
wake_at(struct bg_worker *worker, int64_t at, int64_t now)
{
	int64_t in = at > now ? at - now : 1;
	struct itimerspec when = { .it_value = { .tv_sec = in / 1000, .tv_nsec = in % 1000 * 1000000 } };

	if (worker->timer_at != 0 && worker->timer_at <= at)
		return;
	worker->timer_at = at;
	timerfd_settime(worker->timer, 0, &when, NULL);
}

/* Empty a slot that is claimed, or that nobody has claimed; its descriptor is the caller's.  The lock is held. */
static int
empty_slot(struct bg_worker *worker, struct conn *conn)
{
	TAILQ_REMOVE(&worker->waiting, conn, link);
	TAILQ_INSERT_HEAD(&worker->free, conn, link);
	worker->n_waiting--;
	conn->state = FREE;
	conn->serial++;
	return conn->fd;
}

/* Take the oldest connection out that nobody works on, if its deadline is not after the time given; -1: there is none. */
static int
take_oldest(struct bg_worker *worker, int64_t deadline)
{
	struct conn *conn;
	int fd = -1;

	pthread_mutex_lock(&worker->lock);
	TAILQ_FOREACH(conn, &worker->waiting, link) {
		if (conn->deadline > deadline)
			break;
		if (conn->state == WAITING) {
			fd = empty_slot(worker, conn);
			break;
		}
	}
	pthread_mutex_unlock(&worker->lock);
	return fd;
}

/* Make room by closing the oldest that waits: a request takes milliseconds, so it is the least likely to become one. */
static bool
evict(struct bg_worker *worker)
{
	int fd = take_oldest(worker, INT64_MAX);

	if (fd == -1)
		return false;
	close(fd);
	complain(worker, BG_LOG_WARNING, "closed the connection that waited longest", "too many connections");
	return true;
}

/* Put a new connection into the table, claimed.  NULL: no slot can be had. */
static struct conn *
enrol(struct bg_worker *worker, int fd)
{
	int64_t now = bg_clock_mono_ms();
	struct conn *conn;

	for (;;) {
		pthread_mutex_lock(&worker->lock);
		if ((conn = TAILQ_FIRST(&worker->free)) != NULL) {
			TAILQ_REMOVE(&worker->free, conn, link);
			TAILQ_INSERT_TAIL(&worker->waiting, conn, link);
			worker->n_waiting++;
			conn->state = CLAIMED;
			conn->fd = fd;
			conn->ended = false;
			conn->deadline = now + worker->options.deadline;
			wake_at(worker, conn->deadline, now);
		}
		pthread_mutex_unlock(&worker->lock);
		if (conn != NULL || !evict(worker))
			return conn;
	}
}

/* Claim the slot that an event is about.  NULL: it is about no connection any more, or another thread has it. */
static struct conn *
claim(struct bg_worker *worker, size_t slot, uint32_t serial, uint32_t events)
{
	struct conn *conn = &worker->table[slot], *mine = NULL;

	pthread_mutex_lock(&worker->lock);
	if (conn->state != FREE && conn->serial == serial) {
		if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
			conn->ended = true;
		if (conn->state == WAITING) {
			conn->state = CLAIMED;
			mine = conn;
		} else
			conn->state = CALLED;
	}
	pthread_mutex_unlock(&worker->lock);
	return mine;
}

enum parting { LEFT, LOOK_AGAIN, GIVE_UP };

/*
 * Let go of a claimed slot after a look that found no whole request.  Only after LEFT it is no longer ours.  The order
 * of the questions matters: ended counts only if there was a look since it was noted.
 */
static enum parting
let_go(struct bg_worker *worker, struct conn *conn, const char **why)
{
	enum parting parting = LEFT;

	pthread_mutex_lock(&worker->lock);
	if (conn->state == CALLED) {
		conn->state = CLAIMED;
		parting = LOOK_AGAIN;
	} else if (conn->ended) {
		*why = "the peer went in the middle of a request";
		parting = GIVE_UP;
	} else
		conn->state = WAITING;	/* past its deadline, the sweep will find it */
	pthread_mutex_unlock(&worker->lock);
	return parting;
}

enum sight { GONE, BAD, MORE, WHOLE };

/* Look at what waits on a connection, without taking it. */
static enum sight
look(struct thread *self, int fd, struct bg_records_request *request, size_t *seen, const char **why)
{
	ssize_t n;

	do
		n = recv(fd, self->room, READ_ROOM, MSG_PEEK);
	while (n == -1 && errno == EINTR);
	*why = "no request came";
	*seen = 0;
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return MORE;
	if (n <= 0)
		return GONE;
	*seen = (size_t)n;
	switch (bg_records_vet((struct bg_slice){ self->room, (size_t)n }, request, why)) {
	case BG_RECORDS_WHOLE:
		return WHOLE;
	case BG_RECORDS_MORE:
		return MORE;
	case BG_RECORDS_BAD:
		break;
	}
	return BAD;
}

/* Have all jobs in from tried again.  The lock is held. */
static void
make_due(struct bg_worker *worker, struct jobs *from)
{
	if (TAILQ_EMPTY(from))
		return;
	TAILQ_CONCAT(&worker->due, from, link);
	eventfd_write(worker->gong, 1);
}

/* Have those tried again that have been parked for too long.  The lock is held. */
static void
make_late_due(struct bg_worker *worker, int64_t now)
{
	struct jobs late = TAILQ_HEAD_INITIALIZER(late);
	struct job *job;

	while ((job = TAILQ_FIRST(&worker->parked)) != NULL && job->deadline <= now) {
		TAILQ_REMOVE(&worker->parked, job, link);
		TAILQ_INSERT_TAIL(&late, job, link);
	}
	make_due(worker, &late);
}

/* The job that is due next, now the caller's; NULL: there is none. */
static struct job *
take_due(struct bg_worker *worker)
{
	struct job *job;
	eventfd_t n;

	pthread_mutex_lock(&worker->lock);
	if ((job = TAILQ_FIRST(&worker->due)) != NULL) {
		TAILQ_REMOVE(&worker->due, job, link);
		if (TAILQ_EMPTY(&worker->due))
			eventfd_read(worker->gong, &n);
	}
	pthread_mutex_unlock(&worker->lock);
	return job;
}

/* Put a job where it waits for a wake.  Most are the last to lose patience, so the end is near.  The lock is held. */
static void
insert_parked(struct bg_worker *worker, struct job *job)
{
	struct job *before;

	TAILQ_FOREACH_REVERSE(before, &worker->parked, jobs, link)
		if (before->deadline <= job->deadline)
			break;
	if (before != NULL)
		TAILQ_INSERT_AFTER(&worker->parked, before, job, link);
	else
		TAILQ_INSERT_HEAD(&worker->parked, job, link);
	wake_at(worker, job->deadline, bg_clock_mono_ms());
}

/*
 * Let a job wait for the next wake, counted from those there had been when its try began.  If it is true, the job is no
 * longer ours; false: it cannot wait.
 */
static bool
park(struct thread *self, struct job *job, unsigned long wakes)
{
	struct bg_worker *worker = self->worker;
	struct job *spare = NULL;
	bool is_new = job == self->spare, parked;

	if (is_new && (spare = malloc(sizeof(*spare))) == NULL)
		return false;
	pthread_mutex_lock(&worker->lock);
	parked = !atomic_load(&worker->stopping) &&
	    (!is_new || atomic_load(&worker->n_parked) < worker->options.max_parked);
	if (parked && is_new) {
		atomic_fetch_add(&worker->n_parked, 1);
		self->spare = spare;
		spare = NULL;		/* moved to the thread */
	}
	if (parked && atomic_load(&worker->wakes) == wakes)
		insert_parked(worker, job);
	else if (parked) {
		TAILQ_INSERT_TAIL(&worker->due, job, link);
		eventfd_write(worker->gong, 1);
	}
	pthread_mutex_unlock(&worker->lock);
	free(spare);
	return parked;
}

enum outcome { OVER, PUT_OFF };

/*
 * Ask the handler, and write what it made of a request that libfcgi has read.  The end of the request is written only
 * behind a whole answer: an END_REQUEST with nothing before it grants access in lighttpd.  Below 8 KiB all of it is one
 * write.  After OVER, why is what went wrong, or NULL; a last try is never put off.
 */
static enum outcome
attempt(struct thread *self, struct job *job, bool last, const char **why)
{
	const struct bg_worker_options *options = &self->worker->options;
	FCGX_Request *fcgi = &job->fcgi;
	int rc;

	*why = NULL;
	bg_buf_reset(&self->answer);
	rc = options->answer(options->arg, job->role, fcgi->envp, last, &self->answer);
	if (rc == BG_WORKER_LATER && !last)
		return PUT_OFF;
	if (rc == BG_WORKER_LATER)
		*why = "the last try was put off too";
	else if (rc != 0 || self->answer.failed || self->answer.len == 0)
		*why = "there is no answer";
	else if (FCGX_PutStr(self->answer.data, (int)self->answer.len, fcgi->out) != (int)self->answer.len ||
	    FCGX_FClose(fcgi->err) != 0 || FCGX_FClose(fcgi->out) != 0)
		*why = "the answer could not be written";
	return OVER;
}

/*
 * Give back what libfcgi holds for a request, and close its connection.  FCGX_Finish_r is not for us: it writes
 * END_REQUEST whatever happened; what it does on a good day is done here and above step by step, FCGX_Free(_, 0) being
 * what neither writes nor closes.
 */
static void
close_request(struct job *job, char *room)
{
	int fd = job->fcgi.ipcFd;	/* -1: libfcgi has refused the request, and has closed the connection */

	FCGX_Free(&job->fcgi, 0);
	if (fd == -1)
		return;
	/* An unread rest, such as an empty STDIN, would make the kernel reset the connection. */
	if (job->rest)
		(void)recv(fd, room, READ_ROOM, 0);
	close(fd);
}

/* The end of every job, while there are threads. */
static void
end_job(struct thread *self, struct job *job, const char *why)
{
	bool is_spare = job == self->spare;

	/* First of all, so that a peer that sees its connection closed finds the place free. */
	if (!is_spare)
		atomic_fetch_sub(&self->worker->n_parked, 1);
	close_request(job, self->room);
	if (!is_spare)
		free(job);
	if (why != NULL)
		complain(self->worker, BG_LOG_WARNING, "closed a connection without an answer", why);
}

/* Try a request once; if it then can be neither parked nor answered, once more for the last time. */
static void
judge(struct thread *self, struct job *job, bool last)
{
	unsigned long wakes = atomic_load(&self->worker->wakes);	/* before the handler looks at anything */
	const char *why;

	if (attempt(self, job, last, &why) == PUT_OFF) {
		job->rest = true;	/* whatever comes while it is parked */
		if (park(self, job, wakes))
			return;
		(void)attempt(self, job, true, &why);
	}
	end_job(self, job, why);
}

/*
 * Hand a connection with a whole request to libfcgi, and try it.  libfcgi reads from ipcFd only what bg_records_vet
 * found there, and the kernel has room for all of an answer (fcgi/listener.c, and 212,992 bytes on unix sockets), so
 * libfcgi never waits.  Should either not be so, it fails, since the connection never blocks, and is closed with half
 * an answer and no END_REQUEST.  keepConnection keeps FCGX_Accept_r from closing ipcFd first, and FCGX_Detach keeps
 * libfcgi, should it close after all, from waiting two seconds for the peer to do so too.
 */
static void
serve(struct thread *self, int fd, const struct bg_records_request *request, size_t seen)
{
	struct bg_worker *worker = self->worker;
	struct job *job = self->spare;

	FCGX_InitRequest(&job->fcgi, -1, 0);
	job->fcgi.ipcFd = fd;
	job->fcgi.keepConnection = 1;
	FCGX_Detach(&job->fcgi);
	job->deadline = bg_clock_mono_ms() + atomic_load(&worker->patience);
	job->role = request->role;
	/* Of a Responder's STDIN, which is empty, libfcgi may leave the record unread. */
	job->rest = seen > request->length || request->role == BG_ROLE_RESPONDER;
	/* Cut-off parameters come with 0 too; only the stream's error tells. */
	if (FCGX_Accept_r(&job->fcgi) == 0 && FCGX_GetError(job->fcgi.in) == 0 && job->fcgi.role == (int)request->role)
		judge(self, job, atomic_load(&worker->stopping) ||
		    atomic_load(&worker->n_parked) >= worker->options.max_parked);
	else
		end_job(self, job, "libfcgi does not take it");
}

/* Try the job that is due next.  False: there is none. */
static bool
retry(struct thread *self)
{
	struct bg_worker *worker = self->worker;
	struct job *job = take_due(worker);

	if (job != NULL)
		judge(self, job, atomic_load(&worker->stopping) || bg_clock_mono_ms() >= job->deadline);
	return job != NULL;
}

/* The end of every connection that is ours alone. */
static void
finish(struct thread *self, int fd, enum sight sight, const struct bg_records_request *request, size_t seen,
    const char *why)
{
	if (sight == WHOLE) {
		serve(self, fd, request, seen);
		return;
	}
	close(fd);
	/* A peer that connects and goes without a word is a port scan or a health check. */
	if (sight == GONE && seen == 0)
		bg_log(BG_LOG_DEBUG, "closed a connection: %s", why);
	else
		complain(self->worker, BG_LOG_WARNING, "closed a connection", why);
}

/* Work on a claimed slot until it is let go or emptied. */
static void
attend(struct thread *self, struct conn *conn)
{
	struct bg_worker *worker = self->worker;
	struct bg_records_request request;
	enum parting parting = LOOK_AGAIN;
	enum sight sight = MORE;
	const char *why = NULL;
	size_t seen = 0;
	int fd;

	while (sight == MORE && parting == LOOK_AGAIN) {
		sight = look(self, conn->fd, &request, &seen, &why);
		if (sight == MORE && (parting = let_go(worker, conn, &why)) == LEFT)
			return;
	}
	pthread_mutex_lock(&worker->lock);
	fd = empty_slot(worker, conn);
	pthread_mutex_unlock(&worker->lock);
	finish(self, fd, sight, &request, seen, why);
}

/* A connection that was accepted: answer it at once, or let it wait. */
static void
greet(struct thread *self, int fd)
{
	struct bg_worker *worker = self->worker;
	struct bg_records_request request;
	struct conn *conn;
	enum sight sight;
	const char *why;
	size_t seen;

	sight = look(self, fd, &request, &seen, &why);
	if (sight != MORE) {
		finish(self, fd, sight, &request, seen, why);
		return;
	}
	if ((conn = enrol(worker, fd)) == NULL) {
		close(fd);
		complain(worker, BG_LOG_WARNING, "closed a connection", "too many connections");
		return;
	}
	/* The slot is claimed until the descriptor is in epoll, so that no one closes it before. */
	if (watch(worker, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLET,
	    tag(CONNECTION, conn->serial, (size_t)(conn - worker->table))) != 0) {
		pthread_mutex_lock(&worker->lock);
		fd = empty_slot(worker, conn);
		pthread_mutex_unlock(&worker->lock);
		close(fd);
		complain(worker, BG_LOG_ERROR, "closed a connection", "epoll takes no more");
		return;
	}
	attend(self, conn);
}

static void
heed(struct bg_worker *worker, size_t i, uint32_t events)
{
	if (watch(worker, EPOLL_CTL_MOD, worker->listeners[i], events, tag(LISTENER, 0, i)) != 0)
		complain(worker, BG_LOG_ERROR, "cannot wait for connections", strerror(errno));
}

/*
 * Do not look at a socket for REST_MS: whatever is wrong with it would be wrong again at once.  It is disarmed before
 * the sweep is told to arm it, so that the sweep has the last word.
 */
static void
rest(struct bg_worker *worker, size_t i)
{
	int64_t now = bg_clock_mono_ms();

	heed(worker, i, 0);
	pthread_mutex_lock(&worker->lock);
	worker->resting[i] = true;
	wake_at(worker, now + REST_MS, now);
	pthread_mutex_unlock(&worker->lock);
}

/* accept(2) in Linux also reports errors of the connection that was there, or says that somebody else took it. */
static bool
is_passing(int error)
{
	switch (error) {
	case EAGAIN:
#if EWOULDBLOCK != EAGAIN
	case EWOULDBLOCK:
#endif
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
		return true;
	default:
		return false;
	}
}

/* Close what comes from somebody who may not ask (SR-89); complain's lines are kept for what goes wrong with those who may. */
static bool
is_stranger(struct bg_worker *worker, int fd, const struct sockaddr *address)
{
	char who[BG_PEERS_WHO_MAX] = "";
	unsigned left_out;

	if (worker->options.admit == NULL || worker->options.admit(worker->options.arg, fd, address, who, sizeof(who)))
		return false;
	close(fd);
	atomic_fetch_add(&worker->strangers, 1);
	if (!bg_log_may(&worker->stranger_lines, STRANGER_LINES, bg_clock_mono_ms(), &left_out))
		return true;
	if (left_out > 0)
		bg_log(BG_LOG_WARNING, "refused a connection: listen_allowed_clients does not name %s (%u more such lines were left out)",
		    who, left_out);
	else
		bg_log(BG_LOG_WARNING, "refused a connection: listen_allowed_clients does not name %s", who);
	return true;
}

static void
take_connection(struct thread *self, size_t i)
{
	union { struct sockaddr any; struct sockaddr_storage room; } peer = { .any.sa_family = AF_UNSPEC };
	struct bg_worker *worker = self->worker;
	socklen_t len = sizeof(peer);
	int fd = accept4(worker->listeners[i], &peer.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int error = errno;

	if (fd == -1 && !is_passing(error)) {
		bool full = error == EMFILE || error == ENFILE;

		complain(worker, BG_LOG_ERROR, "cannot accept a connection", strerror(error));
		if (!full || !evict(worker))
			rest(worker, i);
	}
	if (fd != -1 && !is_stranger(worker, fd, &peer.any))
		greet(self, fd);
}

/* The timer went off: close or try what is past its deadline, try sockets that had a rest. */
static void
sweep(struct bg_worker *worker)
{
	int64_t now = bg_clock_mono_ms();
	int fd;

	while ((fd = take_oldest(worker, now)) != -1) {
		close(fd);
		complain(worker, BG_LOG_WARNING, "closed a connection", "no whole request came in time");
	}
	for (size_t i = 0; i < worker->options.n_listeners; i++) {
		bool rested;

		pthread_mutex_lock(&worker->lock);
		rested = worker->resting[i];
		worker->resting[i] = false;
		pthread_mutex_unlock(&worker->lock);
		if (rested)
			heed(worker, i, EPOLLIN);
	}
	/* Only now, so that the timer does not go off for what is done.  Who came in between finds timer_at in the past. */
	pthread_mutex_lock(&worker->lock);
	worker->timer_at = 0;
	make_late_due(worker, now);
	if (!TAILQ_EMPTY(&worker->parked))
		wake_at(worker, TAILQ_FIRST(&worker->parked)->deadline, now);
	for (size_t i = 0; i < worker->options.n_listeners; i++)
		if (worker->resting[i])
			wake_at(worker, now + REST_MS, now);
	if (!TAILQ_EMPTY(&worker->waiting)) {
		int64_t first = TAILQ_FIRST(&worker->waiting)->deadline;

		/* One that is past its deadline is claimed just now. */
		wake_at(worker, first > now + SWEEP_MS ? first : now + SWEEP_MS, now);
	}
	pthread_mutex_unlock(&worker->lock);
}

static void
turn(struct thread *self)
{
	unsigned long turns = atomic_load_explicit(&self->turns, memory_order_relaxed);

	atomic_store_explicit(&self->turns, turns + 1, memory_order_relaxed);
}

static void *
work(void *arg)
{
	struct thread *self = arg;
	struct bg_worker *worker = self->worker;
	struct epoll_event event;
	struct conn *conn;
	size_t i;
	int n;

	while (!atomic_load(&worker->stopping)) {
		/* One event at a time: the next one may be for another thread while we are busy with this. */
		turn(self);
		n = epoll_wait(worker->epoll, &event, 1, -1);
		turn(self);
		if (n != 1)
			continue;
		i = event.data.u64 & INDEX_MAX;
		switch ((enum kind)(event.data.u64 >> 56)) {
		case LISTENER:
			take_connection(self, i);
			break;
		case CONNECTION:
			conn = claim(worker, i, (uint32_t)(event.data.u64 >> 24), event.events);
			if (conn != NULL)
				attend(self, conn);
			break;
		case TIMER:
			sweep(worker);
			break;
		case BELL:
			break;
		case GONG:
			(void)retry(self);
			break;
		}
	}
	while (retry(self))
		continue;
	pthread_mutex_lock(&worker->lock);
	if (--worker->running == 0)
		pthread_cond_signal(&worker->left);
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* All threads have gone, or were never there. */
static void
free_worker(struct bg_worker *worker)
{
	struct conn *conn;
	struct job *job;

	if (worker == NULL)
		return;
	TAILQ_FOREACH(conn, &worker->waiting, link)
		close(conn->fd);
	TAILQ_CONCAT(&worker->due, &worker->parked, link);
	while ((job = TAILQ_FIRST(&worker->due)) != NULL) {
		TAILQ_REMOVE(&worker->due, job, link);
		close_request(job, worker->threads[0].room);
		free(job);
	}
	for (size_t i = 0; i < (size_t)worker->options.threads && worker->threads != NULL; i++) {
		free(worker->threads[i].room);
		free(worker->threads[i].spare);
		bg_buf_clear(&worker->threads[i].answer);
	}
	if (worker->epoll != -1)
		close(worker->epoll);
	if (worker->timer != -1)
		close(worker->timer);
	if (worker->bell != -1)
		close(worker->bell);
	if (worker->gong != -1)
		close(worker->gong);
	pthread_cond_destroy(&worker->left);
	pthread_mutex_destroy(&worker->lock);
	free(worker->threads);
	free(worker->table);
	free(worker->listeners);
	free(worker->resting);
	free(worker);
}

static int
new_worker(struct bg_worker **out, const struct bg_worker_options *options, struct bg_error *err)
{
	struct bg_worker *worker = calloc(1, sizeof(*worker));
	pthread_condattr_t monotonic;

	*out = worker;
	if (worker == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "no memory for the threads");
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&worker->left, &monotonic);
	pthread_condattr_destroy(&monotonic);
	worker->options = *options;
	atomic_init(&worker->patience, options->patience);
	worker->epoll = worker->timer = worker->bell = worker->gong = -1;
	pthread_mutex_init(&worker->lock, NULL);
	TAILQ_INIT(&worker->free);
	TAILQ_INIT(&worker->waiting);
	TAILQ_INIT(&worker->parked);
	TAILQ_INIT(&worker->due);
	worker->threads = calloc((size_t)options->threads, sizeof(*worker->threads));
	worker->table = calloc(options->max_waiting, sizeof(*worker->table));
	worker->listeners = calloc(options->n_listeners, sizeof(*worker->listeners));
	worker->resting = calloc(options->n_listeners, sizeof(*worker->resting));
	if (worker->threads == NULL || worker->table == NULL || worker->listeners == NULL || worker->resting == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "no memory for the threads");
	memcpy(worker->listeners, options->listeners, options->n_listeners * sizeof(*worker->listeners));
	for (size_t i = 0; i < options->max_waiting; i++)
		TAILQ_INSERT_TAIL(&worker->free, &worker->table[i], link);
	for (size_t i = 0; i < (size_t)options->threads; i++) {
		worker->threads[i].worker = worker;
		bg_buf_init(&worker->threads[i].answer, BG_ANSWER_MAX);
		worker->threads[i].room = malloc(READ_ROOM);
		worker->threads[i].spare = malloc(sizeof(*worker->threads[i].spare));
		if (worker->threads[i].room == NULL || worker->threads[i].spare == NULL)
			return bg_fail(err, BG_R_NO_MEMORY, "no memory for the threads");
	}
	return 0;
}

static int
open_epoll(struct bg_worker *worker, struct bg_error *err)
{
	if ((worker->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    (worker->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) == -1 ||
	    (worker->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1 ||
	    (worker->gong = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1 ||
	    watch(worker, EPOLL_CTL_ADD, worker->timer, EPOLLIN | EPOLLET, tag(TIMER, 0, 0)) != 0 ||
	    watch(worker, EPOLL_CTL_ADD, worker->bell, EPOLLIN, tag(BELL, 0, 0)) != 0 ||
	    watch(worker, EPOLL_CTL_ADD, worker->gong, EPOLLIN, tag(GONG, 0, 0)) != 0)
		return bg_fail(err, BG_R_INTERNAL, "epoll: %s", strerror(errno));
	for (size_t i = 0; i < worker->options.n_listeners; i++)
		if (watch(worker, EPOLL_CTL_ADD, worker->listeners[i], EPOLLIN, tag(LISTENER, 0, i)) != 0)
			return bg_fail(err, BG_R_INTERNAL, "epoll: %s", strerror(errno));
	return 0;
}

static int
start_threads(struct bg_worker *worker, struct bg_error *err)
{
	sigset_t all, before;
	int error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (error == 0 && worker->n_threads < (size_t)worker->options.threads) {
		struct thread *thread = &worker->threads[worker->n_threads];

		pthread_mutex_lock(&worker->lock);
		worker->running++;
		pthread_mutex_unlock(&worker->lock);
		if ((error = pthread_create(&thread->id, NULL, work, thread)) == 0)
			worker->n_threads++;
		else {
			pthread_mutex_lock(&worker->lock);
			worker->running--;
			pthread_mutex_unlock(&worker->lock);
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0 ? 0 : bg_fail(err, BG_R_INTERNAL, "cannot start a thread: %s", strerror(error));
}

int
bg_worker_start(struct bg_worker **out, const struct bg_worker_options *options, struct bg_error *err)
{
	struct bg_worker *worker = NULL;

	*out = NULL;
	if (options->threads < 1 || options->n_listeners == 0 || options->n_listeners > INDEX_MAX ||
	    options->max_waiting == 0 || options->max_waiting > INDEX_MAX || options->deadline < 1 ||
	    (options->max_parked > 0 && options->patience < 1) || options->answer == NULL)
		return bg_fail(err, BG_R_INTERNAL, "impossible options for the threads");
	if (FCGX_Init() != 0)
		return bg_fail(err, BG_R_INTERNAL, "libfcgi does not start");
	if (new_worker(&worker, options, err) != 0 || open_epoll(worker, err) != 0) {
		free_worker(worker);
		return -1;
	}
	if (start_threads(worker, err) != 0) {
		/* The caller is about to exit: a worker that is at a request already may keep what it has. */
		if (!bg_worker_stop(worker, options->deadline))
			bg_log(BG_LOG_WARNING, "a thread does not end");
		return -1;
	}
	*out = worker;
	return 0;
}

void
bg_worker_wake(struct bg_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	atomic_fetch_add(&worker->wakes, 1);
	make_due(worker, &worker->parked);
	pthread_mutex_unlock(&worker->lock);
}

void
bg_worker_set_patience(struct bg_worker *worker, int64_t patience)
{
	atomic_store(&worker->patience, patience);
}

void
bg_worker_read(struct bg_worker *worker, struct bg_worker_figures *out)
{
	*out = (struct bg_worker_figures){ .threads = (size_t)worker->options.threads, .parked = atomic_load(&worker->n_parked),
	    .max_parked = worker->options.max_parked, .max_waiting = worker->options.max_waiting,
	    .troubles = atomic_load(&worker->troubles), .strangers = atomic_load(&worker->strangers) };
	pthread_mutex_lock(&worker->lock);
	out->waiting = worker->n_waiting;
	pthread_mutex_unlock(&worker->lock);
}

bool
bg_worker_moves(struct bg_worker *worker)
{
	bool moves = false;

	for (size_t i = 0; i < worker->n_threads; i++) {
		struct thread *thread = &worker->threads[i];
		unsigned long turns = atomic_load_explicit(&thread->turns, memory_order_relaxed);

		moves = moves || turns % 2 == 1 || turns != thread->turns_seen;
		thread->turns_seen = turns;
	}
	return moves;
}

bool
bg_worker_stop(struct bg_worker *worker, int64_t grace)
{
	struct timespec until;
	bool all_left;
	int error = 0;

	if (worker == NULL)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += grace / 1000;
	until.tv_nsec += grace % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&worker->lock);
	atomic_store(&worker->stopping, true);
	make_due(worker, &worker->parked);
	eventfd_write(worker->bell, 1);
	while (worker->running > 0 && error == 0)
		error = pthread_cond_timedwait(&worker->left, &worker->lock, &until);
	all_left = worker->running == 0;
	pthread_mutex_unlock(&worker->lock);
	if (!all_left)
		return false;
	for (size_t i = 0; i < worker->n_threads; i++)
		pthread_join(worker->threads[i].id, NULL);
	free_worker(worker);
	return true;
}
