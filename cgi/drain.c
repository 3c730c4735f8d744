#include "cgi/drain.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/limits.h"

/* Digits alone, up to the ceiling; anything else is no length.  RFC 3875 section 4.1.2. */
static int64_t
read_length(const char *text)
{
	int64_t n = 0;

	if (text == NULL)
		return 0;
	for (; *text >= '0' && *text <= '9'; text++)
		if ((n = n * 10 + (*text - '0')) > BG_DRAIN_MAX)
			n = BG_DRAIN_MAX;
	return *text == '\0' ? n : 0;
}

/* A body without a length is one in chunks, or none: a read would then wait for ever where the client's connection is handed in. */
static bool
is_chunked(const char *content_length, const char *transfer_encoding)
{
	return (content_length == NULL || *content_length == '\0') && transfer_encoding != NULL && *transfer_encoding != '\0';
}

int64_t
bg_drain(int fd, const char *content_length, const char *transfer_encoding)
{
	int64_t left = is_chunked(content_length, transfer_encoding) ? BG_DRAIN_MAX : read_length(content_length);
	int64_t done = 0, end = bg_clock_mono_ms() + BG_DRAIN_MS;
	char bytes[64 * 1024];

	while (left > 0) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		int64_t wait = end - bg_clock_mono_ms();
		ssize_t n;

		if (wait <= 0 || ((n = poll(&poll_fd, 1, (int)wait)) < 0 && errno != EINTR))
			break;
		if (n <= 0)
			continue;	/* interrupted, or too late, which the clock tells */
		n = read(fd, bytes, left < (int64_t)sizeof(bytes) ? (size_t)left : sizeof(bytes));
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			break;
		if (n > 0) {
			left -= n;
			done += n;
		}
	}
	return done;
}
