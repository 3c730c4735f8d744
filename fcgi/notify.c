#include "fcgi/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdarg.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/log.h"

#define MESSAGE_MAX	512
#define PATIENCE	1	/* seconds that a full socket is waited for */

int
bg_notify_init(struct bg_notify *out, const char *address, struct bg_error *err)
{
	size_t n = address != NULL ? strlen(address) : 0;

	*out = (struct bg_notify){ .len = 0 };
	if (n == 0)
		return 0;
	if ((address[0] != '/' && address[0] != '@') || n < 2)
		return bg_fail(err, BG_R_INTERNAL, "neither an absolute path nor \"@\" and a name");
	if (n >= sizeof(out->to.sun_path))
		return bg_fail(err, BG_R_INTERNAL, "longer than an address of a socket can be");
	out->to.sun_family = AF_UNIX;
	memcpy(out->to.sun_path, address, n);
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (address[0] == '@')
		out->to.sun_path[0] = '\0';	/* unix(7): all of the rest is the name, without a terminator */
	else
		out->len++;
	return 0;
}

int64_t
bg_notify_watchdog(const char *usec, const char *watched, long pid)
{
	int64_t wait, whose;

	if (!bg_slice_decimal(bg_slice_str(usec), &wait) || wait == 0)
		return 0;
	if (watched != NULL && (!bg_slice_decimal(bg_slice_str(watched), &whose) || whose != pid))
		return 0;
	return wait >= 3000 ? wait / 3000 : 1;
}

void
bg_notify_send(const struct bg_notify *notify, const char *fmt, ...)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	char message[MESSAGE_MAX];
	va_list ap;
	size_t n;
	int fd;

	if (notify->len == 0)
		return;
	va_start(ap, fmt);
	n = bg_vformat(message, sizeof(message), fmt, ap);
	va_end(ap);
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
	    sendto(fd, message, n, MSG_NOSIGNAL, (const struct sockaddr *)&notify->to, notify->len) == -1)
		bg_log(BG_LOG_WARNING, "cannot tell the service manager how we are: %s", strerror(errno));
	if (fd != -1)
		close(fd);
}
