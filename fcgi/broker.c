#include "fcgi/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/etag.h"

#define GRACE_MS	5000	/* beyond the time limit: it is kept by those who fetch, and this is for when they do not */
#define GIVEN_UP	"it was not waited for: whoever asked is about to end"

/* In front of the document.  Both ends are one program, so it goes as it is in memory; a cleared one is a failure. */
struct head {
	uint32_t len;		/* bytes of the document, which go to the end of the answer */
	uint8_t  came;		/* this and the next three are 0 or 1 */
	uint8_t  not_modified;
	uint8_t  missing;
	uint8_t  private_peer;
	int64_t  max_age;	/* -1, or at least 0 */
	char     etag[BG_ETAG_MAX + 1];
	char     detail[BG_DETAIL_MAX];	/* of a failure */
};
_Static_assert(sizeof(struct head) <= BG_BROKER_HEAD_MAX, "the head of an answer");

void
bg_broker_put(struct bg_buf *out, int rc, const struct bg_buf *body, const struct bg_fetch_meta *meta,
    const struct bg_error *err)
{
	struct head head;

	memset(&head, 0, sizeof(head));	/* gaps between the members too */
	head.max_age = -1;
	if (rc == 0) {
		head.came = 1;
		head.len = (uint32_t)body->len;
		head.not_modified = meta->not_modified;
		head.private_peer = meta->private_peer;
		head.max_age = meta->max_age;
		bg_format(head.etag, sizeof(head.etag), "%s", meta->etag);
	} else {
		head.missing = meta->missing;
		bg_format(head.detail, sizeof(head.detail), "%s", err->detail);
	}
	bg_buf_put(out, (struct bg_slice){ (const char *)&head, sizeof(head) });
	if (rc == 0)
		bg_buf_put(out, (struct bg_slice){ body->data, body->len });
}

static bool
is_good(const struct head *head, size_t rest, const struct bg_fetch_request *request)
{
	if (head->came > 1 || head->not_modified > 1 || head->missing > 1 || head->private_peer > 1 || head->len != rest ||
	    head->max_age < -1 || memchr(head->etag, '\0', sizeof(head->etag)) == NULL ||
	    memchr(head->detail, '\0', sizeof(head->detail)) == NULL ||
	    (head->etag[0] != '\0' && !bg_etag_good(bg_slice_str(head->etag))))
		return false;
	if (!head->came)
		return head->len == 0 && !head->not_modified && head->etag[0] == '\0';
	if (head->missing || head->detail[0] != '\0')
		return false;
	return !head->not_modified || (request->etag != NULL && head->etag[0] == '\0' && head->len == 0);
}

int
bg_broker_read(struct bg_slice answer, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	struct head head;

	*meta = (struct bg_fetch_meta){ .max_age = -1 };
	bg_buf_reset(body);
	if (answer.len == 0)
		return bg_fail(err, BG_R_FETCH_FAILED, "the process that fetches ended and did not say why");
	if (answer.len < sizeof(head))
		return bg_fail(err, BG_R_FETCH_FAILED, "the answer of the process that fetches was cut off");
	memcpy(&head, answer.ptr, sizeof(head));
	answer = bg_slice_skip(answer, sizeof(head));
	if (!is_good(&head, answer.len, request))
		return bg_fail(err, BG_R_FETCH_FAILED, "the answer of the process that fetches is not whole");
	meta->missing = head.missing == 1;
	if (!head.came)
		return bg_fail(err, BG_R_FETCH_FAILED, "%s", head.detail);
	bg_buf_put(body, answer);
	if (body->failed)
		return bg_fail(err, BG_R_FETCH_FAILED, "the document is larger than %zu bytes", body->max);
	meta->not_modified = head.not_modified == 1;
	meta->private_peer = head.private_peer == 1;
	meta->max_age = head.max_age;
	memcpy(meta->etag, head.etag, sizeof(head.etag));
	return 0;
}

static int
remaining(int64_t deadline)
{
	int64_t ms = deadline - bg_clock_mono_ms();

	return ms > 0 ? (int)ms : 0;
}

/* Take all that comes from the pipe, up to its end. */
static int
read_answer(int fd, const int *cancel, int64_t deadline, struct bg_buf *answer, struct bg_error *err)
{
	char chunk[16 * 1024];
	ssize_t n = -1;

	while (n != 0) {
		/* poll(2) passes over a descriptor of -1 */
		struct pollfd fds[2] = {
			{ .fd = fd, .events = POLLIN }, { .fd = cancel != NULL ? *cancel : -1, .events = POLLIN },
		};

		n = poll(fds, 2, remaining(deadline));
		if (n == -1 && errno != EINTR)
			return bg_fail(err, BG_R_FETCH_FAILED, "waiting for an answer: %m");
		if (n > 0 && fds[1].revents != 0)
			return bg_fail(err, BG_R_FETCH_FAILED, GIVEN_UP);
		if (remaining(deadline) == 0)
			return bg_fail(err, BG_R_FETCH_FAILED, "no answer came in time");
		if (n <= 0) {
			n = -1;
			continue;
		}
		n = read(fd, chunk, sizeof(chunk));
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return bg_fail(err, BG_R_FETCH_FAILED, "reading an answer: %m");
		if (n > 0)
			bg_buf_put(answer, (struct bg_slice){ chunk, (size_t)n });
		if (answer->failed)
			return bg_fail(err, BG_R_FETCH_FAILED, "the document is too large, or there is no memory for it");
	}
	return 0;
}

static int
get(const struct bg_fetcher *base, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	const struct bg_broker *self = (const struct bg_broker *)base;
	int64_t began = bg_clock_mono_ms();
	struct bg_fetch_wanted wanted;
	struct bg_buf answer;
	int ends[2] = { -1, -1 }, error, rc = -1;

	*meta = (struct bg_fetch_meta){ .max_age = -1 };
	bg_buf_reset(body);
	bg_buf_init(&answer, body->max + BG_BROKER_HEAD_MAX);
	if (bg_fetch_wanted_set(&wanted, request, body->max, err) != 0)
		goto out;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
		ends[0] = ends[1] = -1;
		bg_fail(err, BG_R_FETCH_FAILED, "a pipe for an answer: %m");
		goto out;
	}
	if ((error = bg_channel_send(self->channel, BG_MESSAGE_FETCH, &wanted, ends[1])) != 0) {
		bg_fail(err, BG_R_FETCH_FAILED, "the supervisor cannot be asked: %s", strerror(error));
		goto out;
	}
	close(ends[1]);
	ends[1] = -1;
	if (read_answer(ends[0], request->cancel, began + wanted.timeout * INT64_C(1000) + GRACE_MS, &answer, err) == 0)
		rc = bg_broker_read((struct bg_slice){ answer.data, answer.len }, request, body, meta, err);
out:
	meta->took_ms = bg_clock_mono_ms() - began;
	for (int i = 0; i < 2; i++)
		if (ends[i] != -1)
			close(ends[i]);
	bg_buf_clear(&answer);
	return rc;
}

void
bg_broker_init(struct bg_broker *self)
{
	*self = (struct bg_broker){ .base = { get }, .channel = -1 };
}

bool
bg_broker_may_write(int fd)
{
	struct stat st;
	int flags;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && (flags = fcntl(fd, F_GETFL)) != -1 &&
	    (flags & O_ACCMODE) == O_WRONLY;
}

/* Whoever reads may be slow; that he has gone away is an error of the pipe.  O_NONBLOCK is his to change, and we may be killed. */
static void
write_answer(int fd, struct bg_slice rest, int64_t deadline)
{
	while (rest.len > 0) {
		struct pollfd writable = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		if (poll(&writable, 1, remaining(deadline)) == -1 && errno != EINTR)
			return;
		if ((writable.revents & POLLERR) != 0 || remaining(deadline) == 0)
			return;
		if ((n = write(fd, rest.ptr, rest.len)) > 0)
			rest = bg_slice_skip(rest, (size_t)n);
		else if (n == -1 && errno != EAGAIN && errno != EINTR)
			return;
	}
}

void
bg_broker_answer(const struct bg_fetch_wanted *wanted, const struct bg_fetcher *fetcher, int fd)
{
	/* A pipe that nobody reads any more is ready, with an error: that is what bids us give up. */
	struct bg_fetch_request request = { .location = wanted->location, .timeout = wanted->timeout,
	    .etag = wanted->etag[0] != '\0' ? wanted->etag : NULL, .public_only = wanted->public_only == 1, .cancel = &fd };
	int64_t deadline = bg_clock_mono_ms() + wanted->timeout * INT64_C(1000) + GRACE_MS;
	struct bg_fetch_meta meta;
	struct bg_error err = { 0 };
	struct bg_buf body, answer;
	struct bg_slice bytes;
	int rc;

	bg_buf_init(&body, wanted->max);
	bg_buf_init(&answer, BG_BROKER_ANSWER_MAX);
	rc = fetcher->get(fetcher, &request, &body, &meta, &err);
	bg_broker_put(&answer, rc, &body, &meta, &err);
	if (bg_buf_finish(&answer, &bytes, &err) == 0)
		write_answer(fd, bytes, deadline);
	bg_buf_clear(&answer);
	bg_buf_clear(&body);
}
