#ifndef BG_FCGI_LISTENER_H
#define BG_FCGI_LISTENER_H

#include <sys/types.h>
#include <sys/un.h>

#include "core/error.h"

#define BG_LISTENER_NAME_MAX	(sizeof(struct sockaddr_un) + 32)

/* A socket that listens.  It never blocks (O_NONBLOCK) and is not handed down to programs we run (FD_CLOEXEC). */
struct bg_listener {
	int   fd;				/* owned */
	char  name[BG_LISTENER_NAME_MAX];	/* for people, as after -l, with the port that was chosen: "127.0.0.1:34567" */
	char *path;				/* of the socket file that we made; owned; NULL when we made none */
	dev_t dev;				/* which file that was, so that no other is removed in its place */
	ino_t ino;
};

/*
 * Is this an address bg_listener_open would try?  Nothing is opened.  Returns 0, or EX_USAGE with BG_R_INTERNAL and
 * the sentence to print.
 *
 *	unix:PATH	a socket file
 *	HOST:PORT	HOST a loopback address in numbers, IPv6 in brackets, or "localhost", which is 127.0.0.1; port 0
 *			lets the system choose
 */
int bg_listener_check(const char *address, struct bg_error *err) BG_MUST_CHECK;

/*
 * Make a listening socket.  TCP is for loopback addresses only: whoever reaches the port may ask (SR-89).  A socket
 * file gets mode 0660 from its first moment; a file left behind by a daemon that died is replaced, one that somebody
 * listens on is not, nor is anything that is no socket.  Not for programs with threads: the umask is changed meanwhile.
 * Returns 0 and an *out to be given to bg_listener_close, or else what fits of sysexits(3), BG_R_INTERNAL and the
 * sentence to print: EX_USAGE for the address, EX_CANTCREAT for the file, EX_UNAVAILABLE for an address in use or not
 * there, EX_OSERR for the rest.
 */
int bg_listener_open(const char *address, struct bg_listener *out, struct bg_error *err) BG_MUST_CHECK;

/* Is this descriptor a socket that listens? */
bool bg_listener_is_one(int fd);

/*
 * Take over a listening socket that the parent made (lighttpd, mod_fcgid, spawn-fcgi).  Its file is never removed and
 * it is never shut down, since it is shared.  The descriptor is copied; fd itself stays with the caller.
 * O_NONBLOCK is set, and with it for all who share the socket: one that we could block on could hold a thread for
 * ever, when another process took the connection.  Returns as bg_listener_open does.
 */
int bg_listener_adopt(int fd, struct bg_listener *out, struct bg_error *err) BG_MUST_CHECK;

/* Close it, and remove the file if we made it and it is still there.  A cleared struct with fd -1 is fine. */
void bg_listener_close(struct bg_listener *listener);

#endif
