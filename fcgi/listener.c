#include "fcgi/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "core/account.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "fcgi/records.h"

#define LOCK_MS		2000	/* for others that make a socket in the same directory, which is a matter of a moment */
#define GLANCE_MS	5	/* between two looks whether they have */

union address {
	struct sockaddr     any;
	struct sockaddr_un  un;
	struct sockaddr_in  in;
	struct sockaddr_in6 in6;
};

static int
fail(int code, struct bg_error *err, const char *name, const char *what)
{
	bg_fail(err, BG_R_INTERNAL, "%s: %s", name, what);
	return code;
}

static int
fail_errno(int code, struct bg_error *err, const char *name, const char *what)
{
	bg_fail(err, BG_R_INTERNAL, "%s: %s: %s", name, what, strerror(errno));
	return code;
}

static bool
is_loopback(const union address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return ntohl(address->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
	default:
		return false;
	}
}

/* Digits alone, at most 65535. */
static bool
read_port(const char *text, in_port_t *port)
{
	unsigned long n = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 5; i++)
		n = n * 10 + (unsigned long)(text[i] - '0');
	*port = htons((uint16_t)n);
	return i > 0 && text[i] == '\0' && n <= 65535;
}

static int
read_unix(const char *name, const char *path, union address *out, socklen_t *len, struct bg_error *err)
{
	size_t n = strlen(path);

	if (n == 0)
		return fail(EX_USAGE, err, name, "the path is missing");
	if (n >= sizeof(out->un.sun_path)) {
		bg_fail(err, BG_R_INTERNAL, "%s: the path has %zu bytes, but a socket's path has at most %zu", name, n,
		    sizeof(out->un.sun_path) - 1);
		return EX_USAGE;
	}
	out->un.sun_family = AF_UNIX;
	memcpy(out->un.sun_path, path, n + 1);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

static int
read_tcp(const char *name, union address *out, socklen_t *len, struct bg_error *err)
{
	const char *colon = strrchr(name, ':');
	char host[INET6_ADDRSTRLEN + 2];
	size_t n = colon != NULL ? (size_t)(colon - name) : 0;
	in_port_t port;

	if (colon == NULL || n == 0)
		return fail(EX_USAGE, err, name, "not an address; it is unix:PATH or HOST:PORT, as in 127.0.0.1:9009");
	if (!read_port(colon + 1, &port))
		return fail(EX_USAGE, err, name, "the port is not a number from 0 to 65535");
	if (n < sizeof(host)) {
		memcpy(host, name, n);
		host[n] = '\0';
		if (strcmp(host, "localhost") == 0)
			bg_format(host, sizeof(host), "127.0.0.1");
		if (inet_pton(AF_INET, host, &out->in.sin_addr) == 1) {
			out->in.sin_family = AF_INET;
			out->in.sin_port = port;
			*len = sizeof(out->in);
		} else if (host[0] == '[' && host[n - 1] == ']') {
			host[n - 1] = '\0';
			if (inet_pton(AF_INET6, host + 1, &out->in6.sin6_addr) == 1) {
				out->in6.sin6_family = AF_INET6;
				out->in6.sin6_port = port;
				*len = sizeof(out->in6);
			}
		}
	}
	if (out->any.sa_family == AF_UNSPEC)
		return fail(EX_USAGE, err, name,
		    "the host is not an address in numbers, as in 127.0.0.1:9009 or [::1]:9009");
	return 0;
}

/* May such a socket be served?  name is what it is called in the sentence. */
static int
allow(const char *name, const union address *address, const struct bg_listener_rules *rules, struct bg_error *err)
{
	if (address->any.sa_family == AF_UNIX && !rules->want_unix)
		return fail(EX_USAGE, err, name, "listen_allowed_clients names nobody who connects to a socket file; "
		    "\"user:NAME\", \"group:NAME\" or \"unix\" was expected in it");
	if (address->any.sa_family == AF_UNIX && address->un.sun_path[0] == '\0' && !rules->ask_who)
		return fail(EX_USAGE, err, name, "a name without a file, so that every user of this machine could ask for decisions, "
		    "unless listen_allowed_clients has those who may");
	if (address->any.sa_family == AF_UNIX)
		return 0;
	if (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6)
		return fail(EX_USAGE, err, name, "neither a socket file nor TCP");
	if (!rules->beyond_loopback && !is_loopback(address))
		return fail(EX_USAGE, err, name, "not a loopback address; anyone who reaches the port could ask for decisions, "
		    "unless listen_allowed_clients has the addresses of those who may");
	if (!rules->want_tcp)
		return fail(EX_USAGE, err, name, "listen_allowed_clients has no address, so nobody could connect");
	return 0;
}

static int
read_any(const char *name, union address *out, socklen_t *len, struct bg_error *err)
{
	*out = (union address){ .un = { .sun_family = AF_UNSPEC } };
	if (strncmp(name, "unix:", 5) == 0)
		return read_unix(name, name + 5, out, len, err);
	if (strchr(name, '/') != NULL)
		return fail(EX_USAGE, err, name, "not an address; a socket file is written unix:PATH");
	return read_tcp(name, out, len, err);
}

static int
read_address(const char *name, const struct bg_listener_rules *rules, union address *out, socklen_t *len,
    struct bg_error *err)
{
	int code = read_any(name, out, len, err);

	return code != 0 ? code : allow(name, out, rules, err);
}

int
bg_listener_rules_read(const struct bg_conf *conf, const struct bg_peers *peers, struct bg_listener_rules *out,
    struct bg_error *err)
{
	const bool becomes = conf->user != NULL && geteuid() == 0;
	const char *owner = conf->listen_owner != NULL || !becomes ? conf->listen_owner : conf->user;
	const char *group = conf->listen_group != NULL || !becomes ? conf->listen_group : conf->group;
	struct bg_user user = { .uid = (uid_t)-1 };
	const char *wrong;

	*out = (struct bg_listener_rules){ .owner = (uid_t)-1, .group = (gid_t)-1, .mode = (mode_t)conf->listen_mode,
	    .backlog = conf->listen_backlog, .lock_limit = LOCK_MS,
	    .want_unix = bg_peers_want_unix(peers), .want_tcp = bg_peers_want_tcp(peers),
	    .beyond_loopback = bg_peers_have_networks(peers), .ask_who = bg_peers_ask_who(peers) };
	if (owner != NULL && (wrong = bg_account_user(owner, &user)) != NULL)
		return fail(EX_CONFIG, err, owner, wrong);
	out->owner = user.uid;
	if (group == NULL && conf->listen_group == NULL && becomes) {	/* that of the user */
		if ((wrong = bg_account_user(conf->user, &user)) != NULL)
			return fail(EX_CONFIG, err, conf->user, wrong);
		out->group = user.gid;
	} else if (group != NULL && (wrong = bg_account_group(group, &out->group)) != NULL)
		return fail(EX_CONFIG, err, group, wrong);
	return 0;
}

int
bg_listener_check(const char *address, const struct bg_listener_rules *rules, struct bg_error *err)
{
	union address parsed;
	socklen_t len;

	return read_address(address, rules, &parsed, &len, err);
}

/*
 * One at a time: of two that find the same file left behind, the second would remove the first one's new socket, which looks
 * just as dead until listen(2).  The lock is on the directory, so that no file is left for it, and nobody holds it for longer
 * than it takes to listen.  Whoever may read the directory could hold it, though, so that is no reason never to start; nor is a
 * directory that cannot be opened, or a file system without locks.  Returns a descriptor to be closed, or -1: without the lock.
 */
static int
lock_directory(const char *name, const struct sockaddr_un *un, int64_t limit)
{
	static const struct timespec glance = { .tv_nsec = GLANCE_MS * 1000000L };
	const char *slash = strrchr(un->sun_path, '/');
	int64_t until = bg_clock_mono_ms() + limit;
	char directory[sizeof(un->sun_path) + 1] = ".";
	bool locked;
	int fd;

	if (slash != NULL)
		bg_format(directory, sizeof(directory), "%.*s", (int)(slash - un->sun_path) + 1, un->sun_path);
	if ((fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	while (!(locked = flock(fd, LOCK_EX | LOCK_NB) == 0) && (errno == EWOULDBLOCK || errno == EINTR) &&
	    bg_clock_mono_ms() < until)
		nanosleep(&glance, NULL);
	if (locked)
		return fd;
	if (errno == EWOULDBLOCK)
		bg_log(BG_LOG_WARNING, "%s: another process keeps its directory locked, which is not waited for any longer", name);
	close(fd);
	return -1;
}

/* Is what stands there now the socket that we have made? */
static bool
is_ours(const struct bg_listener *listener)
{
	struct stat st;

	return lstat(listener->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino;
}

/* Remove the file of a daemon that is gone: a socket that nobody listens on any more. */
static int
clear_path(const char *name, const union address *address, socklen_t len, struct bg_error *err)
{
	struct stat st;
	int fd, rc;

	if (lstat(address->un.sun_path, &st) != 0)
		return errno == ENOENT ? 0 : fail_errno(EX_CANTCREAT, err, name, "cannot look at the path");
	if (!S_ISSOCK(st.st_mode))
		return fail(EX_CANTCREAT, err, name, "the file is there and is not a socket");
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return fail_errno(EX_OSERR, err, name, "no socket");
	rc = connect(fd, &address->any, len);
	close(fd);
	/* EAGAIN is a full queue: somebody listens. */
	if (rc == 0 || errno == EAGAIN)
		return fail(EX_UNAVAILABLE, err, name, "another program listens on it");
	if (errno != ECONNREFUSED)
		return fail_errno(EX_CANTCREAT, err, name, "cannot tell whether another program listens on it");
	if (unlink(address->un.sun_path) != 0)
		return fail_errno(EX_CANTCREAT, err, name, "cannot remove the socket that was left there");
	return 0;
}

/*
 * Give a socket file its owner, and its mode where a default ACL of the directory has overruled the umask.  It is held by a
 * descriptor meanwhile, and is what we have made: a socket of ours that has no other name.  Whoever may write to the directory
 * could put something else there, but nothing that he would gain by.
 */
static int
dress(const char *name, const struct bg_listener_rules *rules, struct bg_listener *out, struct bg_error *err)
{
	char link[64];
	struct stat st;
	int rc = EX_CANTCREAT, fd = open(out->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1 || fstat(fd, &st) != 0) {
		fail_errno(rc, err, name, "cannot look at the socket");
		goto out;
	}
	if (!S_ISSOCK(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid()) {
		fail(rc, err, name, "somebody has put something else in the place of the socket");
		goto out;
	}
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	if ((rules->owner != (uid_t)-1 || rules->group != (gid_t)-1) &&
	    fchownat(fd, "", rules->owner, rules->group, AT_EMPTY_PATH) != 0) {
		fail_errno(rc, err, name, "cannot give the socket to listen_owner and listen_group");
		goto out;
	}
	bg_format(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((st.st_mode & 07777) != rules->mode && chmod(link, rules->mode) != 0) {
		fail_errno(rc, err, name, "cannot give the socket its mode");
		goto out;
	}
	rc = 0;
out:
	if (fd != -1)
		close(fd);
	return rc;
}

/* Nobody can connect before listen(2), which comes after all this. */
static int
bind_unix(const char *name, const union address *address, socklen_t len, const struct bg_listener_rules *rules,
    struct bg_listener *out, struct bg_error *err)
{
	mode_t mask;
	int rc, saved;

	if ((rc = clear_path(name, address, len, err)) != 0)
		return rc;
	mask = umask(~rules->mode & 0777);
	rc = bind(out->fd, &address->any, len);
	saved = errno;
	umask(mask);
	errno = saved;
	if (rc != 0)
		return fail_errno(EX_CANTCREAT, err, name, "cannot make the socket");
	if ((out->path = strdup(address->un.sun_path)) == NULL)
		rc = fail_errno(EX_OSERR, err, name, "cannot look at the socket");
	else
		rc = dress(name, rules, out, err);
	if (rc != 0)
		unlink(address->un.sun_path);
	return rc;
}

/* An answer and its records' headers: with room for all of it, writing does not wait for a peer that does not read. */
#define ANSWER_ROOM	(BG_ANSWER_MAX + 4 * 1024)

/*
 * SO_RCVBUF: a request waits in the kernel until it is whole, and without room for all of it would never become so;
 * accepted sockets inherit it (as they do the rest), and the kernel doubles it for its own overhead.  On a unix
 * socket the sender's buffer counts instead: 212,992 bytes unless changed, so 219,264 bytes in large writes were seen to
 * wait, but only 278 writes of one byte each.  A peer that sends a long request in crumbs runs into the deadline.
 */
static bool
make_room(int fd)
{
	const int on = 1, request = BG_RECORDS_MAX, answer = ANSWER_ROOM;

	return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &request, sizeof(request)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &answer, sizeof(answer)) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
}

static int
bind_tcp(const char *name, const union address *address, socklen_t len, struct bg_listener *out, struct bg_error *err)
{
	const int on = 1;

	if (!make_room(out->fd) || setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    (address->any.sa_family == AF_INET6 &&
	    setsockopt(out->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0))
		return fail_errno(EX_OSERR, err, name, "cannot set up the socket");
	if (bind(out->fd, &address->any, len) != 0)
		return fail_errno(EX_UNAVAILABLE, err, name, "cannot take the address");
	return 0;
}

/* The name of a bound address; *address is what getsockname says. */
static void
put_name(const union address *address, socklen_t len, char *dst, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof(host));
		bg_format(dst, size, "%s:%u", host, (unsigned)ntohs(address->in.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof(host));
		bg_format(dst, size, "[%s]:%u", host, (unsigned)ntohs(address->in6.sin6_port));
		break;
	case AF_UNIX:
		if (len > offsetof(struct sockaddr_un, sun_path) && address->un.sun_path[0] == '\0') {
			bg_format(dst, size, "unix:@%.*s", (int)(len - offsetof(struct sockaddr_un, sun_path) - 1),
			    address->un.sun_path + 1);
			break;
		}
		/* A path that fills sun_path has no terminator. */
		bg_format(dst, size, "unix:%.*s", (int)(len - offsetof(struct sockaddr_un, sun_path)),
		    address->un.sun_path);
		break;
	default:
		bg_format(dst, size, "address family %d", address->any.sa_family);
	}
}

int
bg_listener_open(const char *address, const struct bg_listener_rules *rules, struct bg_listener *out, struct bg_error *err)
{
	union address bound;
	socklen_t len;
	int rc, lock = -1;

	*out = (struct bg_listener){ .fd = -1 };
	if ((rc = read_address(address, rules, &bound, &len, err)) != 0)
		return rc;
	out->fd = socket(bound.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (out->fd == -1)
		return fail_errno(EX_OSERR, err, address, "no socket");
	if (bound.any.sa_family == AF_UNIX)
		lock = lock_directory(address, &bound.un, rules->lock_limit);
	rc = bound.any.sa_family == AF_UNIX ? bind_unix(address, &bound, len, rules, out, err) :
	    bind_tcp(address, &bound, len, out, err);
	if (rc != 0)
		goto out;
	len = sizeof(bound);
	if (listen(out->fd, rules->backlog) != 0 || getsockname(out->fd, &bound.any, &len) != 0) {
		rc = fail_errno(EX_UNAVAILABLE, err, address, "cannot listen");
		goto out;
	}
	if (out->path != NULL && !is_ours(out)) {	/* who does not lock: nobody would reach us */
		rc = fail(EX_UNAVAILABLE, err, address, "another program has taken its place");
		goto out;
	}
	out->for_everybody = bound.any.sa_family == AF_UNIX && (rules->mode & S_IWOTH) != 0;
	put_name(&bound, len, out->name, sizeof(out->name));
out:
	if (rc != 0)
		bg_listener_close(out);
	if (lock != -1)
		close(lock);
	return rc;
}

bool
bg_listener_is_one(int fd)
{
	socklen_t len = sizeof(int);
	int listens = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens != 0;
}

int
bg_listener_adopt(int fd, const char *origin, const struct bg_listener_rules *rules, struct bg_listener *out,
    struct bg_error *err)
{
	char name[BG_LISTENER_NAME_MAX], whole[BG_LISTENER_NAME_MAX];
	union address bound = { .un = { .sun_family = AF_UNSPEC } };
	socklen_t len = sizeof(bound), type_len = sizeof(int);
	int flags, type = 0;
	struct stat st;

	*out = (struct bg_listener){ .fd = -1 };
	if (!bg_listener_is_one(fd) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 ||
	    type != SOCK_STREAM || getsockname(fd, &bound.any, &len) != 0)
		return fail(EX_USAGE, err, origin, "not a stream socket that listens");
	put_name(&bound, len, name, sizeof(name));
	bg_format(whole, sizeof(whole), "%s (%s)", name, origin);
	if (allow(whole, &bound, rules, err) != 0)
		return EX_USAGE;
	if ((out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1 || (flags = fcntl(out->fd, F_GETFL)) == -1 ||
	    fcntl(out->fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		fail_errno(EX_OSERR, err, origin, "cannot set up the socket");
		bg_listener_close(out);
		return EX_OSERR;
	}
	/* A parent's socket that refuses is no worse than it was. */
	if (bound.any.sa_family != AF_UNIX)
		(void)make_room(out->fd);
	if (bound.any.sa_family == AF_UNIX && bound.un.sun_path[0] == '\0')
		out->for_everybody = true;
	else if (bound.any.sa_family == AF_UNIX)
		out->for_everybody = out->may_hide = len < sizeof(bound.un) && lstat(bound.un.sun_path, &st) == 0 &&
		    S_ISSOCK(st.st_mode) && (st.st_mode & S_IWOTH) != 0;
	bg_format(out->name, sizeof(out->name), "%s", whole);
	return 0;
}

bool
bg_listener_is_open(const struct bg_listener *listener, bool ask_who)
{
	return listener->for_everybody && !ask_who;
}

bool
bg_listener_is_at(int fd, const char *address, const struct bg_listener_rules *rules)
{
	char said[BG_LISTENER_NAME_MAX], has[BG_LISTENER_NAME_MAX];
	union address parsed, bound = { .un = { .sun_family = AF_UNSPEC } };
	socklen_t len, bound_len = sizeof(bound);

	if (read_address(address, rules, &parsed, &len, NULL) != 0 || getsockname(fd, &bound.any, &bound_len) != 0)
		return false;
	put_name(&parsed, len, said, sizeof(said));
	put_name(&bound, bound_len, has, sizeof(has));
	return strcmp(said, has) == 0;
}

void
bg_listener_close(struct bg_listener *listener)
{
	if (listener->path != NULL && is_ours(listener))
		unlink(listener->path);
	if (listener->fd != -1)
		close(listener->fd);
	free(listener->path);
	*listener = (struct bg_listener){ .fd = -1 };
}
