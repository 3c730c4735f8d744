#include "fcgi/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/buf.h"

/* Names for people: those that are not made of visible ASCII are nothing to put into a log.  Colons become ends. */
static char *
read_names(const char *text, size_t n)
{
	size_t count = 1;
	char *names;

	if (text == NULL)
		return NULL;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p < 0x21 || *p > 0x7e)
			return NULL;
		count += *p == ':';
	}
	if (count != n || (names = strdup(text)) == NULL)
		return NULL;
	for (char *p = names; *p != '\0'; p++)
		if (*p == ':')
			*p = '\0';
	return names;
}

int
bg_activation_read(struct bg_activation *out, int first, long pid, const char *listen_pid, const char *listen_fds,
    const char *listen_fdnames, size_t max, struct bg_error *err)
{
	int64_t whose, n;

	*out = (struct bg_activation){ .first = first };
	if (!bg_slice_decimal(bg_slice_str(listen_pid), &whose) || whose != pid)
		return 0;
	if (!bg_slice_decimal(bg_slice_str(listen_fds), &n))
		return bg_fail(err, BG_R_INTERNAL, "LISTEN_FDS is no number, though LISTEN_PID says that this process is meant");
	if (n > INT_MAX - first || (size_t)n > max)
		return bg_fail(err, BG_R_INTERNAL, "LISTEN_FDS: %" PRId64 " sockets, but at most %zu can be served", n, max);
	for (int fd = first; fd < first + (int)n; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags == -1 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == -1)
			return bg_fail(err, BG_R_INTERNAL, "LISTEN_FDS: descriptor %d: %s", fd, strerror(errno));
	}
	out->n = (size_t)n;
	out->names = read_names(listen_fdnames, out->n);
	return 0;
}

void
bg_activation_clear(struct bg_activation *activation)
{
	free(activation->names);
	*activation = (struct bg_activation){ .n = 0 };
}

/* Is this address that of a socket that was taken over? */
static bool
is_among(const char *address, const struct bg_listener_rules *rules, const struct bg_listener *listeners, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bg_listener_is_at(listeners[i].fd, address, rules))
			return true;
	return false;
}

int
bg_activation_take(const struct bg_activation *activation, const char *const *addresses, size_t n_addresses,
    const struct bg_listener_rules *rules, struct bg_listener *out, size_t *n, struct bg_error *err)
{
	const char *name = activation->names;
	char origin[64];
	int code;

	for (*n = 0; *n < activation->n; ++*n) {
		int fd = activation->first + (int)*n;

		if (name != NULL)
			bg_format(origin, sizeof(origin), "from the service manager: %.24s", name);
		else
			bg_format(origin, sizeof(origin), "from the service manager: descriptor %d", fd);
		if ((code = bg_listener_adopt(fd, origin, rules, &out[*n], err)) != 0)
			return code;
		close(fd);
		name = name != NULL ? name + strlen(name) + 1 : NULL;
	}
	for (size_t i = 0; i < n_addresses; i++)
		if (!is_among(addresses[i], rules, out, *n)) {
			bg_fail(err, BG_R_INTERNAL, "%s: not among the sockets that the service manager has handed over; leave it "
			    "out, or have it handed over too", addresses[i]);
			return EX_USAGE;
		}
	return 0;
}
