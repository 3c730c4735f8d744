#include "fcgi/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/etag.h"
#include "core/url.h"

#define DESCRIPTORS_MAX	4	/* that are received at once, to be closed if they are not what they should be */

/* Who may send what.  The first byte of a message is its kind; what has no row does not exist. */
static const struct {
	bool   from_worker;
	size_t least, most;	/* descriptors */
	size_t len;		/* bytes behind the first one */
} kinds[BG_MESSAGE_KINDS] = {
	[BG_MESSAGE_NONE]     = { false, 1, 0, 0 },	/* cannot be met */
	[BG_MESSAGE_RELOAD]   = { false, 0, 1, 0 },
	[BG_MESSAGE_LOG]      = { false, 1, 1, 0 },
	[BG_MESSAGE_STATE]    = { false, 0, 0, 0 },
	[BG_MESSAGE_ASK]      = { false, 0, 0, 0 },
	[BG_MESSAGE_STOP]     = { false, 0, 0, 0 },
	[BG_MESSAGE_SERVING]  = { true,  0, 0, 0 },
	[BG_MESSAGE_RELOADED] = { true,  0, 0, 0 },
	[BG_MESSAGE_KEPT]     = { true,  0, 0, 0 },
	[BG_MESSAGE_WELL]     = { true,  0, 0, 0 },
	[BG_MESSAGE_FETCH]    = { true,  1, 1, sizeof(struct bg_fetch_wanted) },
};

/* Is this a terminated text, with nothing but zero behind it? */
static bool
is_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = len; i < size; i++)
		if (text[i] != '\0')
			return false;
	return len < size;
}

/* Words on what is wrong; NULL: nothing. */
static const char *
wanted_wrong(const struct bg_fetch_wanted *wanted)
{
	if (wanted->timeout < 1 || wanted->timeout > BG_FETCH_TIMEOUT_MAX || wanted->max < 1 || wanted->max > BG_FETCH_MAX ||
	    wanted->public_only > 1)
		return "has an odd bound";
	if (!is_text(wanted->etag, sizeof(wanted->etag)) ||
	    (wanted->etag[0] != '\0' && !bg_etag_good(bg_slice_str(wanted->etag))))
		return "has an odd etag";
	if (!is_text(wanted->location, sizeof(wanted->location)))
		return "is no text";
	return bg_url_wrong(bg_slice_str(wanted->location), true);
}

int
bg_fetch_wanted_set(struct bg_fetch_wanted *out, const struct bg_fetch_request *request, size_t max, struct bg_error *err)
{
	size_t location = strlen(request->location), etag = request->etag != NULL ? strlen(request->etag) : 0;
	const char *wrong;

	memset(out, 0, sizeof(*out));	/* gaps between the members too, since all of it is sent */
	if (location >= sizeof(out->location) || etag >= sizeof(out->etag))
		return bg_fail(err, BG_R_FETCH_FAILED, "a location of %zu bytes, or an etag of %zu, is too long", location, etag);
	out->timeout = request->timeout < 1 ? 1 : request->timeout > BG_FETCH_TIMEOUT_MAX ? BG_FETCH_TIMEOUT_MAX :
	    (int32_t)request->timeout;
	out->max = (uint32_t)(max < BG_FETCH_MAX ? max : BG_FETCH_MAX);
	out->public_only = request->public_only;
	memcpy(out->location, request->location, location);
	if (etag > 0)
		memcpy(out->etag, request->etag, etag);
	if ((wrong = wanted_wrong(out)) != NULL)
		return bg_fail(err, BG_R_FETCH_FAILED, "%s %s", out->location, wrong);
	return 0;
}

size_t
bg_message_format(enum bg_message_kind kind, const struct bg_fetch_wanted *wanted, unsigned char *buf)
{
	buf[0] = (unsigned char)kind;
	if (kinds[kind].len > 0)
		memcpy(buf + 1, wanted, kinds[kind].len);
	return 1 + kinds[kind].len;
}

bool
bg_message_parse(struct bg_slice bytes, size_t descriptors, bool from_worker, struct bg_message *out)
{
	size_t kind = bytes.len > 0 ? (unsigned char)bytes.ptr[0] : BG_MESSAGE_NONE;

	*out = (struct bg_message){ .kind = BG_MESSAGE_NONE, .fd = -1 };
	if (kind >= BG_MESSAGE_KINDS || kinds[kind].from_worker != from_worker || bytes.len != 1 + kinds[kind].len ||
	    descriptors < kinds[kind].least || descriptors > kinds[kind].most)
		return false;
	if (kinds[kind].len > 0) {
		memcpy(&out->wanted, bytes.ptr + 1, kinds[kind].len);
		if (wanted_wrong(&out->wanted) != NULL)
			return false;
	}
	out->kind = (enum bg_message_kind)kind;
	return true;
}

int
bg_channel_open(int *supervisor, int *worker)
{
	int ends[2], flags;

	*supervisor = *worker = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return errno;
	if ((flags = fcntl(ends[0], F_GETFL)) == -1 || fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) == -1) {
		int error = errno;

		close(ends[0]);
		close(ends[1]);
		return error;
	}
	*supervisor = ends[0];
	*worker = ends[1];
	return 0;
}

int
bg_channel_send(int channel, enum bg_message_kind kind, const struct bg_fetch_wanted *wanted, int fd)
{
	union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } room = { .bytes = { 0 } };
	unsigned char bytes[BG_MESSAGE_MAX];
	struct iovec part = { bytes, bg_message_format(kind, wanted, bytes) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *rights;
	ssize_t n;

	if (fd != -1) {
		message.msg_control = room.bytes;
		message.msg_controllen = sizeof(room.bytes);
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	}
	do
		n = sendmsg(channel, &message, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? errno : 0;
}

/* The descriptors that came with a message.  Returns how many there were; those beyond DESCRIPTORS_MAX the kernel has closed. */
static size_t
take_descriptors(struct msghdr *message, int fds[DESCRIPTORS_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len && n < DESCRIPTORS_MAX; at += sizeof(int))
			memcpy(&fds[n++], CMSG_DATA(c) + at, sizeof(int));
	}
	return n;
}

enum bg_received
bg_channel_receive(int channel, bool from_worker, struct bg_message *out)
{
	union { char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))]; struct cmsghdr align; } room;
	unsigned char bytes[BG_MESSAGE_MAX];
	struct iovec part = { bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes,
	    .msg_controllen = sizeof(room.bytes) };
	int fds[DESCRIPTORS_MAX];
	bool cut, lost;
	size_t n_fds;
	ssize_t n;

	*out = (struct bg_message){ .kind = BG_MESSAGE_NONE, .fd = -1 };
	do
		n = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK ? BG_RECEIVED_NOTHING : BG_RECEIVED_END;
	n_fds = take_descriptors(&message, fds);
	cut = (message.msg_flags & MSG_CTRUNC) != 0;
	lost = cut && n_fds == 0;	/* more than we have room for leaves some, and none is what is left where we can open no more */
	/* An empty message looks like the end, unless it brings a descriptor; and nobody sends any. */
	if (n == 0 && n_fds == 0 && !cut)
		return BG_RECEIVED_END;
	if ((message.msg_flags & MSG_TRUNC) == 0 && (!cut || lost) &&
	    bg_message_parse((struct bg_slice){ (const char *)bytes, (size_t)n }, lost ? 1 : n_fds, from_worker, out)) {
		out->fd = n_fds == 1 ? fds[0] : -1;
		return lost ? BG_RECEIVED_LOST : BG_RECEIVED_MESSAGE;
	}
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	return BG_RECEIVED_BAD;
}
