#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/etag.h"
#include "core/fetch.h"

#define TIMEOUT_MAX	3600	/* seconds; what bearergate-fetch takes */
#define GRACE_MS	2000	/* the helper has its own time limit; this is for one that does not keep it */
#define HEAD_MAX	(BG_ETAG_MAX + 256)	/* bytes of "name: value" lines in front of the document */
#define EXIT_MISSING	1	/* of bearergate-fetch: the server answered that it has no such document */
#define COMPLAINT_MAX	320	/* bytes of what it says on stderr; bearergate-fetch keeps its line about as short */
#define GIVEN_UP	"it was not waited for: whoever asked is about to end"

/* One run of the program.  Descriptors are -1 and pid 0 when there is nothing to undo. */
struct run {
	pid_t         pid;
	int           out[2];		/* its standard output: our end, its end */
	int           err[2];
	int64_t       deadline;		/* bg_clock_mono_ms() */
	int           cancel;		/* readable when all is to be given up; -1: never */
	struct bg_buf answer;
	char          complaint[COMPLAINT_MAX + 1];
	size_t        complaint_len;
};

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/*
 * A pipe with both ends above the standard descriptors, even in a program that was started with some of those closed:
 * whoever writes to standard error meanwhile, as our log does, must not write into the helper's answer.
 */
static int
make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0) {
		ends[0] = ends[1] = -1;
		return -1;
	}
	for (int i = 0; i < 2; i++)
		if (ends[i] <= STDERR_FILENO) {
			int high = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

			close(ends[i]);
			if ((ends[i] = high) == -1)
				return -1;
		}
	return 0;
}

/* What the child has of us: three descriptors, no environment, no blocked or ignored signal.  Returns an errno. */
static int
spawn(struct run *run, const char *program, char *const *argv)
{
	char *environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	if ((rc = posix_spawn_file_actions_init(&actions)) != 0)
		return rc;
	if ((rc = posix_spawnattr_init(&attr)) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return rc;
	}
	if ((rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) == 0 &&
	    (rc = posix_spawn_file_actions_adddup2(&actions, run->out[1], STDOUT_FILENO)) == 0 &&
	    (rc = posix_spawn_file_actions_adddup2(&actions, run->err[1], STDERR_FILENO)) == 0 &&
	    /* ours are O_CLOEXEC, a library's may not be */
	    (rc = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)) == 0 &&
	    (rc = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
	    (rc = posix_spawnattr_setsigdefault(&attr, &all)) == 0 &&
	    (rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) == 0 &&
	    (rc = posix_spawn(&run->pid, program, &actions, &attr, argv, environment)) != 0)
		run->pid = 0;
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* Keep the first bytes of stderr, and let the rest go by, or the child would wait for a reader. */
static void
take_complaint(struct run *run, const char *bytes, size_t n)
{
	size_t room = COMPLAINT_MAX - run->complaint_len;

	n = n < room ? n : room;
	memcpy(run->complaint + run->complaint_len, bytes, n);
	run->complaint_len += n;
}

/* Read what there is on one of the pipes, and close it at its end.  Returns -1 with a failure noted. */
static int
drain(struct run *run, int *fd, struct bg_error *err)
{
	char chunk[16 * 1024];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR ? 0 : bg_fail(err, BG_R_FETCH_FAILED, "reading from the helper: %m");
	if (n == 0)
		close_fd(fd);
	else if (fd == &run->err[0])
		take_complaint(run, chunk, (size_t)n);
	else {
		bg_buf_put(&run->answer, (struct bg_slice){ chunk, (size_t)n });
		if (run->answer.failed)
			return bg_fail(err, BG_R_FETCH_FAILED, "the document is larger than %zu bytes",
			    run->answer.max - HEAD_MAX);
	}
	return 0;
}

/* Milliseconds until the deadline, for poll(2); 0 when it has passed. */
static int
remaining(const struct run *run)
{
	int64_t ms = run->deadline - bg_clock_mono_ms();

	return ms > 0 ? (int)ms : 0;
}

/* Read both pipes to their ends.  Returns -1 with a failure noted. */
static int
listen_to(struct run *run, struct bg_error *err)
{
	while (run->out[0] != -1 || run->err[0] != -1) {
		/* poll(2) passes over a descriptor of -1 */
		struct pollfd fds[3] = {
			{ .fd = run->out[0], .events = POLLIN }, { .fd = run->err[0], .events = POLLIN },
			{ .fd = run->cancel, .events = POLLIN },
		};
		int n = poll(fds, 3, remaining(run));

		if (n < 0 && errno != EINTR)
			return bg_fail(err, BG_R_FETCH_FAILED, "waiting for the helper: %m");
		if (n > 0 && fds[2].revents != 0)
			return bg_fail(err, BG_R_FETCH_FAILED, GIVEN_UP);
		if (remaining(run) == 0)
			return bg_fail(err, BG_R_FETCH_FAILED, "the helper did not end in time");
		if (n < 0)
			continue;
		if ((fds[0].revents != 0 && drain(run, &run->out[0], err) != 0) ||
		    (fds[1].revents != 0 && drain(run, &run->err[0], err) != 0))
			return -1;
	}
	return 0;
}

/*
 * Take the exit status of a child that has said all it will.  It ends at once unless something is wrong with it, so
 * looking again every few milliseconds costs nothing, and needs no signal handler in somebody else's program.
 */
static int
reap(struct run *run, int *status, struct bg_error *err)
{
	for (;;) {
		pid_t pid = waitpid(run->pid, status, WNOHANG);

		if (pid == run->pid) {
			run->pid = 0;
			return 0;
		}
		if (pid == -1 && errno != EINTR) {
			run->pid = 0;	/* not ours any more: the number may be anybody's */
			return bg_fail(err, BG_R_FETCH_FAILED, "how the helper ended is not known: %m");
		}
		if (remaining(run) == 0)
			return bg_fail(err, BG_R_FETCH_FAILED, "the helper did not end in time");
		if (poll(&(struct pollfd){ .fd = run->cancel, .events = POLLIN }, 1, 5) > 0)
			return bg_fail(err, BG_R_FETCH_FAILED, GIVEN_UP);
	}
}

static void
kill_child(struct run *run)
{
	if (run->pid == 0)
		return;
	(void)kill(run->pid, SIGKILL);
	while (waitpid(run->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	run->pid = 0;
}

/* The helper's own words, or how it ended when it had none. */
static int
fail_as_it_said(const struct run *run, const char *program, int status, struct bg_error *err)
{
	size_t len = strcspn(run->complaint, "\r\n");

	if (WIFSIGNALED(status))
		return bg_fail(err, BG_R_FETCH_FAILED, "%s was ended by signal %d", program, WTERMSIG(status));
	if (len > 0)
		return bg_fail(err, BG_R_FETCH_FAILED, "%.*s", (int)len, run->complaint);
	return bg_fail(err, BG_R_FETCH_FAILED, "%s ended with exit code %d and did not say why", program,
	    WEXITSTATUS(status));
}

/* Digits alone, and few enough to be seconds. */
static bool
read_seconds(struct bg_slice text, int64_t *seconds)
{
	int64_t n = 0;

	if (text.len == 0 || text.len > 10)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + (text.ptr[i] - '0');
	}
	*seconds = n;
	return true;
}

static bool
read_etag(struct bg_slice text, char etag[BG_ETAG_MAX + 1])
{
	if (!bg_etag_good(text))
		return false;
	bg_format(etag, BG_ETAG_MAX + 1, "%.*s", (int)text.len, text.ptr);
	return true;
}

/* Is it not set yet?  It is now. */
static bool
set_once(bool *flag)
{
	bool first = !*flag;

	*flag = true;
	return first;
}

/* One line of the head, which is one that we know and have not seen before. */
static bool
read_line(struct bg_slice line, struct bg_fetch_meta *meta)
{
	const struct bg_slice max_age = BG_SLICE_INIT("max-age: "), etag = BG_SLICE_INIT("etag: ");

	if (bg_slice_starts(line, max_age))
		return meta->max_age == -1 && read_seconds(bg_slice_skip(line, max_age.len), &meta->max_age);
	if (bg_slice_starts(line, etag))
		return meta->etag[0] == '\0' && read_etag(bg_slice_skip(line, etag.len), meta->etag);
	if (bg_slice_equal(line, BG_SLICE("not-modified: yes")))
		return set_once(&meta->not_modified);
	if (bg_slice_equal(line, BG_SLICE("address: private")))
		return set_once(&meta->private_peer);
	return false;
}

/*
 * Split what the helper printed: "name: value" lines, an empty line, the document.  It is a program of ours, so what
 * is not exactly that is another program, or another version of it.
 */
static int
split(struct bg_slice answer, const struct bg_fetch_request *request, struct bg_buf *body, struct bg_fetch_meta *out,
    struct bg_error *err)
{
	struct bg_fetch_meta meta = { .max_age = -1 };

	for (;;) {
		size_t limit = answer.len < HEAD_MAX ? answer.len : HEAD_MAX;
		const char *end = limit > 0 ? memchr(answer.ptr, '\n', limit) : NULL;
		struct bg_slice line = { answer.ptr, end != NULL ? (size_t)(end - answer.ptr) : 0 };

		if (end == NULL)
			return bg_fail(err, BG_R_FETCH_FAILED, "the helper's answer has no head");
		answer = bg_slice_skip(answer, line.len + 1);
		if (line.len == 0)
			break;
		if (!read_line(line, &meta))
			return bg_fail(err, BG_R_FETCH_FAILED, "the helper's answer has an odd line in its head: %.*s",
			    BG_SLICE_ARG(line));
	}
	if (meta.not_modified && (request->etag == NULL || meta.etag[0] != '\0' || answer.len > 0))
		return bg_fail(err, BG_R_FETCH_FAILED, "the helper's answer is that nothing has changed, and yet it is not");
	bg_buf_put(body, answer);
	if (body->failed)
		return bg_fail(err, BG_R_FETCH_FAILED, "the document is larger than %zu bytes", body->max);
	*out = meta;
	return 0;
}

static int
get(const struct bg_fetcher *base, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	const struct bg_fetch_helper_options *options = &((const struct bg_fetch_helper *)base)->options;
	struct run run = { .out = { -1, -1 }, .err = { -1, -1 } };
	struct bg_slice answer;
	char seconds[24];
	const char *argv[16];
	int64_t timeout, began = bg_clock_mono_ms();
	size_t n = 0;
	int status, rc = -1;

	*meta = (struct bg_fetch_meta){ .max_age = -1 };
	bg_buf_reset(body);
	timeout = request->timeout < 1 ? 1 : request->timeout > TIMEOUT_MAX ? TIMEOUT_MAX : request->timeout;
	run.cancel = request->cancel != NULL ? *request->cancel : -1;
	run.deadline = began + timeout * 1000 + GRACE_MS;
	bg_buf_init(&run.answer, body->max + HEAD_MAX);

	bg_format(seconds, sizeof(seconds), "%" PRId64, timeout);
	argv[n++] = options->program;
	argv[n++] = "-i";
	argv[n++] = "-t";
	argv[n++] = seconds;
	if (options->ca_file != NULL) {
		argv[n++] = "-C";
		argv[n++] = options->ca_file;
	}
	if (options->ca_dir != NULL) {
		argv[n++] = "-D";
		argv[n++] = options->ca_dir;
	}
	if (options->proxy != NULL) {
		argv[n++] = "-x";
		argv[n++] = options->proxy;
	}
	if (request->etag != NULL) {
		argv[n++] = "-E";
		argv[n++] = request->etag;
	}
	if (request->public_only)
		argv[n++] = "-P";
	argv[n++] = "--";	/* whatever the location is, it is no option */
	argv[n++] = request->location;
	argv[n] = NULL;

	if (make_pipe(run.out) != 0 || make_pipe(run.err) != 0) {
		bg_fail(err, BG_R_FETCH_FAILED, "a pipe for the helper: %m");
		goto out;
	}
	/* posix_spawn is declared with char pointers out of history; it changes none of them. */
	if ((errno = spawn(&run, options->program, (char *const *)(uintptr_t)argv)) != 0) {
		bg_fail(err, BG_R_FETCH_FAILED, "cannot run %s: %m", options->program);
		goto out;
	}
	close_fd(&run.out[1]);
	close_fd(&run.err[1]);
	if (listen_to(&run, err) != 0 || reap(&run, &status, err) != 0)
		goto out;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		meta->missing = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_MISSING;
		fail_as_it_said(&run, options->program, status, err);
		goto out;
	}
	if (bg_buf_finish(&run.answer, &answer, err) == 0)
		rc = split(answer, request, body, meta, err);
out:
	meta->took_ms = bg_clock_mono_ms() - began;
	kill_child(&run);
	for (int i = 0; i < 2; i++) {
		close_fd(&run.out[i]);
		close_fd(&run.err[i]);
	}
	bg_buf_clear(&run.answer);
	return rc;
}

void
bg_fetch_helper_init(struct bg_fetch_helper *self, const struct bg_fetch_helper_options *options)
{
	*self = (struct bg_fetch_helper){ { get }, *options };
}
