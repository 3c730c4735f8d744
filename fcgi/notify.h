#ifndef BG_FCGI_NOTIFY_H
#define BG_FCGI_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "core/error.h"

/* Who wants to know how we are: systemd, with Type=notify.  Cleared: nobody. */
struct bg_notify {
	struct sockaddr_un to;
	socklen_t          len;
};

/*
 * address is what NOTIFY_SOCKET says: an absolute path, or "@" and a name without a file; NULL: nobody.  Returns -1 with
 * BG_R_INTERNAL, *out then being nobody, for any other.
 */
int bg_notify_init(struct bg_notify *out, const char *address, struct bg_error *err) BG_MUST_CHECK;

/*
 * What WATCHDOG_USEC and WATCHDOG_PID say, NULL where they are not set, to the process with this number: how often WATCHDOG=1
 * has to be sent, in milliseconds, or 0: it is not waited for.  It is a third of what is waited.  sd_watchdog_enabled(3).
 */
int64_t bg_notify_watchdog(const char *usec, const char *watched, long pid);

/* Send "NAME=value" lines, as in sd_notify(3).  What cannot be sent within a second is not, and the log says so. */
void bg_notify_send(const struct bg_notify *notify, const char *fmt, ...) BG_PRINTF(2, 3);

#endif
