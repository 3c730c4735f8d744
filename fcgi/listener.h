#ifndef BG_FCGI_LISTENER_H
#define BG_FCGI_LISTENER_H

#include <sys/types.h>
#include <sys/un.h>

#include "conf/conf.h"
#include "core/error.h"
#include "fcgi/peers.h"

#define BG_LISTENER_NAME_MAX	(sizeof(struct sockaddr_un) + 96)	/* with where it is from */

/* A socket that listens.  It never blocks (O_NONBLOCK) and is not handed down to programs we run (FD_CLOEXEC). */
struct bg_listener {
	int   fd;				/* owned */
	char  name[BG_LISTENER_NAME_MAX];	/* for people, as after -l, with the port that was chosen: "127.0.0.1:34567" */
	char *path;				/* of the socket file that we made; owned; NULL when we made none */
	dev_t dev;				/* which file that was, so that no other is removed in its place */
	ino_t ino;
	bool  for_everybody;			/* its mode keeps nobody out: at most listen_allowed_clients does */
	bool  may_hide;				/* others have made the file, perhaps where few can reach it */
};

/* What the configuration says of all sockets. */
struct bg_listener_rules {
	uid_t  owner;		/* of a socket file; (uid_t)-1: whoever makes it */
	gid_t  group;		/* (gid_t)-1: what it is made with */
	mode_t mode;
	int    backlog;
	int64_t lock_limit;	/* milliseconds to wait for others who make a socket file in the same directory */
	bool   want_unix;	/* somebody may connect to a socket file, by TCP: see fcgi/peers.h */
	bool   want_tcp;
	bool   beyond_loopback;	/* those who may connect by TCP are listed */
	bool   ask_who;		/* whoever connects to a socket file is asked who he is: its mode protects nothing */
};

/*
 * Where it says nothing of owner or group, and root is to become another user, the socket is that user's: root's would be of
 * use to nobody.  Returns 0, or EX_CONFIG with BG_R_INTERNAL and the sentence to print: a user is gone since conf was checked.
 */
int bg_listener_rules_read(const struct bg_conf *conf, const struct bg_peers *peers, struct bg_listener_rules *out,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Is this an address bg_listener_open would try?  Nothing is opened.  Returns 0, or EX_USAGE with BG_R_INTERNAL and
 * the sentence to print.
 *
 *	unix:PATH	a socket file
 *	HOST:PORT	HOST an address in numbers, IPv6 in brackets, or "localhost", which is 127.0.0.1; port 0 lets the
 *			system choose
 *
 * Only a loopback address will do, unless those who may connect are listed: whoever reaches the port may ask (SR-89).  A
 * list that lets nobody connect to such an address is a mistake too.
 */
int bg_listener_check(const char *address, const struct bg_listener_rules *rules, struct bg_error *err) BG_MUST_CHECK;

/*
 * Make a listening socket.  A socket file has its mode from its first moment, and its owner before anybody can connect; a
 * file left behind by a daemon that died is replaced, one that somebody listens on is not, nor is anything that is no socket.
 * Of several that try at once one succeeds: the directory is locked, flock(2), until the socket listens.  That lock is waited
 * for as long as the rules say and then done without, with a warning in the log.
 * Not for programs with threads: the umask is changed meanwhile.
 * Returns 0 and an *out to be given to bg_listener_close, or else what fits of sysexits(3), BG_R_INTERNAL and the
 * sentence to print: EX_USAGE for the address, EX_CANTCREAT for the file, EX_UNAVAILABLE for an address in use or not
 * there, EX_OSERR for the rest.
 */
int bg_listener_open(const char *address, const struct bg_listener_rules *rules, struct bg_listener *out,
    struct bg_error *err) BG_MUST_CHECK;

/* Is this descriptor a socket that listens? */
bool bg_listener_is_one(int fd);

/*
 * Take over a listening socket that the parent made (lighttpd, mod_fcgid, spawn-fcgi, systemd); origin says so, in
 * parentheses, to people.  Its file is never removed and it is never shut down, since it is shared.  The descriptor is
 * copied; fd itself stays with the caller.  A name without a file, "@" and a name, will do only where those who may
 * connect are listed, since no mode protects it.  O_NONBLOCK is set, and with it for all who share the socket: one that
 * we could block on could hold a thread for ever, when another process took the connection.  Returns as bg_listener_open
 * does.
 */
int bg_listener_adopt(int fd, const char *origin, const struct bg_listener_rules *rules, struct bg_listener *out,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Could every user of this machine ask, now that whoever connects to a socket file is asked who he is, or not (ask_who)?  So
 * it may become by a reload, which changes the list and not the socket (SR-89).
 */
bool bg_listener_is_open(const struct bg_listener *listener, bool ask_who);

/* Is this the address that a socket has? */
bool bg_listener_is_at(int fd, const char *address, const struct bg_listener_rules *rules);

/* Close it, and remove the file if we made it and it is still there.  A cleared struct with fd -1 is fine. */
void bg_listener_close(struct bg_listener *listener);

#endif
