#include "cgi/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cgi/answer.h"
#include "cgi/metavars.h"
#include "cgi/trust.h"
#include "core/clock.h"
#include "core/limits.h"

/* FastCGI 1.0 section 8. */
#define FCGI_VERSION_1		1
#define FCGI_BEGIN_REQUEST	1
#define FCGI_PARAMS		4
#define FCGI_AUTHORIZER		2
#define HEADER_LEN		8
#define CONTENT_MAX		65528	/* of one record: what its length can say, in whole eights */

#define REQUEST_MAX		(BG_PARAMS_MAX + 1024)
#define CONNECT_REST_MS		10

/* ---- the request ------------------------------------------------------------------------------------------------ */

static void
put_record(struct bg_buf *out, unsigned char type, struct bg_slice content)
{
	const unsigned char header[HEADER_LEN] = { FCGI_VERSION_1, type, BG_ASK_ID >> 8, BG_ASK_ID & 0xff,
		(unsigned char)(content.len >> 8), (unsigned char)(content.len & 0xff), 0, 0 };

	bg_buf_put(out, (struct bg_slice){ (const char *)header, sizeof(header) });
	bg_buf_put(out, content);
}

/* Seven bits in one byte, or 31 in four; nothing that reaches this is longer. */
static void
put_length(struct bg_buf *out, size_t len)
{
	const unsigned char four[] = { (unsigned char)(0x80 | (len >> 24 & 0x7f)), (unsigned char)(len >> 16 & 0xff),
		(unsigned char)(len >> 8 & 0xff), (unsigned char)(len & 0xff) };

	if (len < 128)
		bg_buf_put_char(out, (char)len);
	else
		bg_buf_put(out, (struct bg_slice){ (const char *)four, sizeof(four) });
}

static int
put_params(char *const *env, struct bg_buf *params, struct bg_error *err)
{
	size_t count = 0;

	for (; *env != NULL; env++) {
		struct bg_slice name, value;

		if (!bg_metavars_split(*env, &name, &value) || !bg_metavars_matters(name))
			continue;
		if (++count > BG_PARAMS_COUNT_MAX || name.len + value.len > BG_PARAMS_MAX)
			return bg_fail(err, BG_R_BAD_REQUEST, "the request's variables are too many or too long for bearergate-fcgi");
		put_length(params, name.len);
		put_length(params, value.len);
		bg_buf_put(params, name);
		bg_buf_put(params, value);
	}
	if (params->failed)
		return bg_fail(err, params->no_memory ? BG_R_NO_MEMORY : BG_R_BAD_REQUEST,
		    "the request's variables are too long for bearergate-fcgi, or there is no memory");
	return 0;
}

int
bg_ask_request(char *const *env, struct bg_buf *out, struct bg_error *err)
{
	static const char begin[8] = { 0, FCGI_AUTHORIZER };	/* and no FCGI_KEEP_CONN */
	struct bg_slice rest, text;
	struct bg_buf params;
	int rc = -1;

	bg_buf_init(&params, BG_PARAMS_MAX);
	if (put_params(env, &params, err) != 0)
		goto out;
	put_record(out, FCGI_BEGIN_REQUEST, (struct bg_slice){ begin, sizeof(begin) });
	for (rest = (struct bg_slice){ params.data, params.len }; rest.len > 0;) {
		struct bg_slice piece = { rest.ptr, rest.len < CONTENT_MAX ? rest.len : CONTENT_MAX };

		put_record(out, FCGI_PARAMS, piece);
		rest = bg_slice_skip(rest, piece.len);
	}
	put_record(out, FCGI_PARAMS, BG_SLICE(""));
	rc = bg_buf_finish(out, &text, err);
out:
	bg_buf_clear(&params);
	return rc;
}

/* ---- the connection --------------------------------------------------------------------------------------------- */

/* Where strangers can put a socket of theirs in the place of the daemon's, its answer is worth nothing. */
static int
check_directory(const char *path, struct bg_error *err)
{
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *slash = strrchr(path, '/');
	struct stat st;

	bg_format(dir, sizeof(dir), "%.*s", slash > path ? (int)(slash - path) : 1, path);
	if (stat(dir, &st) != 0)
		return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %m", path);
	if ((st.st_mode & S_IWOTH) != 0)
		return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: everybody may write to its directory, and could answer in the daemon's place",
		    path);
	return 0;
}

/* Wait until fd is ready for events; false with a failure noted when the deadline comes first. */
static bool
wait_until(int fd, short events, int64_t deadline, const char *path, const char *doing, struct bg_error *err)
{
	struct pollfd poller = { .fd = fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		if ((left = deadline - bg_clock_mono_ms()) <= 0) {
			bg_fail(err, BG_R_NO_DAEMON, "unix:%s: no answer in time while %s", path, doing);
			return false;
		}
		if ((n = poll(&poller, 1, (int)left)) > 0)
			return true;
		if (n < 0 && errno != EINTR) {
			bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %m", path);
			return false;
		}
	}
}

static int
open_socket(const char *path, int64_t deadline, int *fd, struct bg_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return bg_fail(err, BG_R_NO_DAEMON, "unix:%.120s: too long for a socket", path);
	if (check_directory(path, err) != 0)
		return -1;
	strcpy(address.sun_path, path);
	if ((*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %m", path);
	while (connect(*fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		/* EAGAIN: its queue is full, which cannot be waited for */
		if (errno != EAGAIN && errno != EINTR)
			return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %m", path);
		if (bg_clock_mono_ms() >= deadline)
			return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: its queue stays full", path);
		(void)poll(NULL, 0, CONNECT_REST_MS);
	}
	return 0;
}

/* Whoever listens there is the daemon, as far as anybody can tell. */
static int
check_peer(int fd, const char *path, uid_t user, struct bg_error *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof(peer))
		return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: the system does not tell who listens: %m", path);
	return bg_trust_socket(path, peer.uid, geteuid(), user, err);
}

static int
send_all(int fd, struct bg_slice bytes, int64_t deadline, const char *path, struct bg_error *err)
{
	while (bytes.len > 0) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

		if (n > 0)
			bytes = bg_slice_skip(bytes, (size_t)n);
		else if (n < 0 && errno == EAGAIN) {
			if (!wait_until(fd, POLLOUT, deadline, path, "it was asked", err))
				return -1;
		} else if (n == 0 || errno != EINTR)
			return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %m", path);
	}
	return 0;
}

/* bytes: room for BG_ANSWER_RECORDS_MAX, and one more. */
static int
receive(int fd, int64_t deadline, const char *path, const struct bg_exports *exports, char *bytes,
    struct bg_response *response, struct bg_error *err)
{
	const char *why = NULL;
	size_t len = 0;
	ssize_t n;

	for (;;) {
		if (!wait_until(fd, POLLIN, deadline, path, "it was to answer", err))
			return -1;
		/* there is always room: what is full was found too large */
		n = recv(fd, bytes + len, BG_ANSWER_RECORDS_MAX + 1 - len, 0);
		if (n == 0)
			return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: closed the connection before its answer was whole", path);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %m", path);
		if (n < 0)
			continue;
		len += (size_t)n;
		switch (bg_answer_read((struct bg_slice){ bytes, len }, exports, response, &why)) {
		case BG_ANSWER_WHOLE:
			return 0;
		case BG_ANSWER_MORE:
			break;
		case BG_ANSWER_BAD:
			return bg_fail(err, BG_R_NO_DAEMON, "unix:%s: %s", path, why);
		}
	}
}

int
bg_ask(const char *path, uid_t user, int64_t timeout, char *const *env, const struct bg_exports *exports,
    struct bg_response *response, struct bg_error *err)
{
	int64_t deadline = bg_clock_mono_ms() + timeout * 1000;
	/* Not on the stack, whose every page would be touched (-fstack-clash-protection) for an answer of a few hundred bytes. */
	char *answer = malloc(BG_ANSWER_RECORDS_MAX + 1);
	struct bg_buf request;
	int fd = -1, rc = -1;

	bg_response_reset(response);
	bg_buf_init(&request, REQUEST_MAX);
	if (answer == NULL)
		bg_fail(err, BG_R_NO_MEMORY, "answer");
	else if (bg_ask_request(env, &request, err) == 0 && open_socket(path, deadline, &fd, err) == 0 &&
	    check_peer(fd, path, user, err) == 0 &&
	    send_all(fd, (struct bg_slice){ request.data, request.len }, deadline, path, err) == 0 &&
	    receive(fd, deadline, path, exports, answer, response, err) == 0)
		rc = 0;
	if (fd != -1)
		close(fd);
	if (rc != 0)
		bg_response_reset(response);
	bg_buf_clear(&request);
	free(answer);
	return rc;
}
