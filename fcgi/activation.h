#ifndef BG_FCGI_ACTIVATION_H
#define BG_FCGI_ACTIVATION_H

#include "fcgi/listener.h"

#define BG_ACTIVATION_FIRST	3	/* SD_LISTEN_FDS_START of sd_listen_fds(3): the first descriptor handed over */

/* The sockets that a service manager hands over, as systemd does for units of type socket.  Cleared: none. */
struct bg_activation {
	int    first;		/* descriptor */
	size_t n;		/* descriptors from there on */
	char  *names;		/* LISTEN_FDNAMES, owned: as many texts, one behind the other; NULL: they have none */
};

/*
 * Read LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, as sd_listen_fds_with_names(3) does; any of them may be NULL.  What is
 * meant for another process than pid, a parent that did not clean up, is none of our business and counts as none.  Each
 * descriptor, from first on, gets FD_CLOEXEC.  max is how many we can serve.  *out is the caller's to clear in any case.
 * Returns -1 with BG_R_INTERNAL and the sentence to print where the variables are ours and make no sense.
 */
int bg_activation_read(struct bg_activation *out, int first, long pid, const char *listen_pid, const char *listen_fds,
    const char *listen_fdnames, size_t max, struct bg_error *err) BG_MUST_CHECK;
void bg_activation_clear(struct bg_activation *activation);

/*
 * Take all of them over, into out, which has room for activation->n; the descriptors themselves are closed.  Each address
 * that was said to listen on must be one of theirs: whoever handed over something else has not read the configuration.  *n
 * counts what is in out, for the caller to close in any case.  Returns as bg_listener_open does.
 */
int bg_activation_take(const struct bg_activation *activation, const char *const *addresses, size_t n_addresses,
    const struct bg_listener_rules *rules, struct bg_listener *out, size_t *n, struct bg_error *err) BG_MUST_CHECK;

#endif
