#include "core/redis.h"

#include "config.h"

#ifdef BG_HIREDIS
#include <arpa/inet.h>
#include <errno.h>
#include <hiredis.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/log.h"

#define ADDRESSES_MAX	8	/* of one name; more are not tried */
#define COMMANDS_BYTES	(16 * 1024)	/* of one call: ours are far shorter, but a password may be of any length */
#define WORDS_MAX	120	/* bytes of Redis's own words in a detail */

struct address {
	struct sockaddr_storage addr;
	socklen_t               len;
};

/*
 * getaddrinfo(3) keeps no deadline.  So a thread asks it, one at a time, and who needs the answer waits for it as long as
 * there is time.  The thread may outlive the server that it was started for: both hold a reference.
 */
struct resolver {
	char           *host;		/* these two never change */
	char            port[8];
	pthread_mutex_t lock;		/* guards the members below; never held while asking */
	pthread_cond_t  answered;
	unsigned        refs;
	bool            asking;
	uint64_t        answers;	/* so far */
	int             rc;		/* of the last one, as getaddrinfo's */
	struct address  addresses[ADDRESSES_MAX];
	size_t          n;
};

struct bg_redis_server {
	char       *name;
	char       *host;		/* NULL: a socket at path */
	char       *path;
	bool        numeric;		/* host is an address, not a name */
	int         port;
	int         database;
	bool        tls;
	char       *user;
	char       *password;
	char       *ca_file;
	char       *ca_dir;
	int64_t     timeout_ms;
	SSL_CTX    *ctx;
	BIO_METHOD *bio;
	struct resolver *resolver;	/* NULL where there is nothing to resolve */
};

struct bg_redis_conn {
	struct bg_redis_server *server;
	int          fd;
	SSL         *tls;		/* NULL: none */
	redisReader *reader;
	struct bg_redis_reply *replies[BG_REDIS_COMMANDS_MAX];	/* of the last call */
};

/* ---- names ------------------------------------------------------------------------------------------------------ */

static void
resolver_unref(struct resolver *resolver)
{
	bool last;

	if (resolver == NULL)
		return;
	pthread_mutex_lock(&resolver->lock);
	last = --resolver->refs == 0;
	pthread_mutex_unlock(&resolver->lock);
	if (!last)
		return;
	pthread_cond_destroy(&resolver->answered);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver->host);
	free(resolver);
}

static int
resolver_new(const char *host, int port, struct resolver **out, struct bg_error *err)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	pthread_condattr_t attr;

	*out = NULL;
	if (resolver == NULL || (resolver->host = strdup(host)) == NULL) {
		free(resolver);
		return bg_fail(err, BG_R_NO_MEMORY, "redis");
	}
	bg_format(resolver->port, sizeof(resolver->port), "%d", port);
	resolver->refs = 1;
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&resolver->answered, &attr);
	pthread_condattr_destroy(&attr);
	*out = resolver;
	return 0;
}

/* What getaddrinfo says to these flags, as a list of our own. */
static int
look_up(const char *host, const char *port, int flags, struct address addresses[ADDRESSES_MAX], size_t *n)
{
	struct addrinfo hints = { .ai_flags = flags | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *list = NULL;
	int rc = getaddrinfo(host, port, &hints, &list);

	*n = 0;
	for (struct addrinfo *info = list; rc == 0 && info != NULL && *n < ADDRESSES_MAX; info = info->ai_next)
		if (info->ai_addrlen <= sizeof(addresses[0].addr)) {
			memcpy(&addresses[*n].addr, info->ai_addr, info->ai_addrlen);
			addresses[(*n)++].len = info->ai_addrlen;
		}
	if (list != NULL)
		freeaddrinfo(list);
	return rc;
}

static void *
ask(void *arg)
{
	struct resolver *resolver = arg;
	struct address addresses[ADDRESSES_MAX];
	size_t n;
	int rc = look_up(resolver->host, resolver->port, 0, addresses, &n);

	pthread_mutex_lock(&resolver->lock);
	resolver->rc = rc;
	resolver->n = n;
	memcpy(resolver->addresses, addresses, n * sizeof(addresses[0]));
	resolver->asking = false;
	resolver->answers++;
	pthread_cond_broadcast(&resolver->answered);
	pthread_mutex_unlock(&resolver->lock);
	resolver_unref(resolver);
	return NULL;
}

/* The lock is held.  Signals are for the program's own threads. */
static int
start_asking(struct resolver *resolver)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, was;
	int rc;

	sigfillset(&all);
	if ((rc = pthread_attr_init(&attr)) != 0)
		return rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	resolver->refs++;
	resolver->asking = true;
	if ((rc = pthread_create(&thread, &attr, ask, resolver)) != 0) {
		resolver->refs--;
		resolver->asking = false;
	}
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

static int
resolve_name(const struct bg_redis_server *server, int64_t deadline, struct address addresses[ADDRESSES_MAX], size_t *n,
    struct bg_error *err)
{
	struct resolver *resolver = server->resolver;
	int64_t left = deadline - bg_clock_mono_ms();
	struct timespec until;
	uint64_t answers;
	int rc = 0;

	*n = 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	left = left > 0 ? left : 0;
	until.tv_sec += (time_t)(left / 1000);
	until.tv_nsec += (long)(left % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&resolver->lock);
	answers = resolver->answers;
	if (!resolver->asking && start_asking(resolver) != 0)
		bg_fail(err, BG_R_NO_MEMORY, "redis %s: no thread to ask for its address", server->name);
	else {
		while (resolver->answers == answers && rc == 0)
			rc = pthread_cond_timedwait(&resolver->answered, &resolver->lock, &until);
		if (resolver->answers == answers)
			bg_fail(err, BG_R_STORE_DOWN, "redis %s: its address could not be found in time", server->name);
		else if (resolver->rc == EAI_MEMORY)
			bg_fail(err, BG_R_NO_MEMORY, "redis %s: its address", server->name);
		else if (resolver->rc != 0 || resolver->n == 0)
			bg_fail(err, BG_R_STORE_DOWN, "redis %s: no address: %s", server->name, gai_strerror(resolver->rc));
		else {
			*n = resolver->n;
			memcpy(addresses, resolver->addresses, *n * sizeof(addresses[0]));
		}
	}
	pthread_mutex_unlock(&resolver->lock);
	return *n > 0 ? 0 : -1;
}

static int
resolve(const struct bg_redis_server *server, int64_t deadline, struct address addresses[ADDRESSES_MAX], size_t *n,
    struct bg_error *err)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	char port[8];

	if (server->path != NULL) {
		bg_format(local.sun_path, sizeof(local.sun_path), "%s", server->path);
		memcpy(&addresses[0].addr, &local, sizeof(local));
		addresses[0].len = sizeof(local);
		*n = 1;
		return 0;
	}
	if (!server->numeric)
		return resolve_name(server, deadline, addresses, n, err);
	bg_format(port, sizeof(port), "%d", server->port);
	if (look_up(server->host, port, AI_NUMERICHOST, addresses, n) != 0 || *n == 0)
		return bg_fail(err, BG_R_NO_MEMORY, "redis %s: its address", server->name);
	return 0;
}

/* ---- the server ------------------------------------------------------------------------------------------------- */

/* NULL stays NULL.  False when there is no memory. */
static bool
copy(char **to, const char *from)
{
	*to = from != NULL ? strdup(from) : NULL;
	return from == NULL || *to != NULL;
}

static bool
is_address(const char *host)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

void
bg_redis_server_free(struct bg_redis_server *server)
{
	if (server == NULL)
		return;
	SSL_CTX_free(server->ctx);
	BIO_meth_free(server->bio);
	resolver_unref(server->resolver);
	if (server->password != NULL)
		bg_secret_wipe(server->password, strlen(server->password));
	free(server->password);
	free(server->user);
	free(server->name);
	free(server->host);
	free(server->path);
	free(server->ca_file);
	free(server->ca_dir);
	free(server);
}

int
bg_redis_server_new(const struct bg_redis *how, struct bg_redis_server **out, struct bg_error *err)
{
	struct bg_redis_server *server;
	char name[512];

	*out = NULL;
	if ((how->host == NULL) == (how->path == NULL) || (how->path != NULL && how->tls) ||
	    (how->user != NULL && how->password == NULL) || how->timeout_ms <= 0 ||
	    (how->host != NULL && (how->port < 1 || how->port > 65535)) || how->database < 0)
		return bg_fail(err, BG_R_INTERNAL, "redis: either host or path, a port, a password with the user, a timeout, and "
		    "TLS for a host alone");
	if (how->path != NULL && strlen(how->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return bg_fail(err, BG_R_INTERNAL, "redis: the path of its socket has more than %zu bytes",
		    sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	if (how->path != NULL)
		bg_format(name, sizeof(name), "%s", how->path);
	else
		bg_format(name, sizeof(name), strchr(how->host, ':') != NULL ? "[%s]:%d" : "%s:%d", how->host, how->port);
	if ((server = calloc(1, sizeof(*server))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "redis");
	server->port = how->port;
	server->database = how->database;
	server->tls = how->tls;
	server->timeout_ms = how->timeout_ms;
	server->numeric = how->host != NULL && is_address(how->host);
	if (!copy(&server->name, name) || !copy(&server->host, how->host) || !copy(&server->path, how->path) ||
	    !copy(&server->user, how->user) || !copy(&server->password, how->password) ||
	    !copy(&server->ca_file, how->ca_file) || !copy(&server->ca_dir, how->ca_dir))
		bg_fail(err, BG_R_NO_MEMORY, "redis");
	else if (how->host == NULL || server->numeric || resolver_new(how->host, how->port, &server->resolver, err) == 0) {
		*out = server;
		return 0;
	}
	bg_redis_server_free(server);
	return -1;
}

const char *
bg_redis_server_name(const struct bg_redis_server *server)
{
	return server->name;
}

bool
bg_redis_server_is(const struct bg_redis_server *server, const struct bg_redis_server *other)
{
	return server->database == other->database && strcmp(server->name, other->name) == 0;
}

int64_t
bg_redis_server_timeout(const struct bg_redis_server *server)
{
	return server->timeout_ms;
}

/* ---- TLS -------------------------------------------------------------------------------------------------------- */

/* OpenSSL's own way to a socket raises SIGPIPE.  The socket is what BIO_get_data says. */

static int
bio_socket(BIO *bio)
{
	return *(const int *)BIO_get_data(bio);
}

static int
bio_write(BIO *bio, const char *bytes, int len)
{
	ssize_t n;

	do
		n = send(bio_socket(bio), bytes, (size_t)len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	BIO_clear_retry_flags(bio);
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_write(bio);
	return (int)n;
}

static int
bio_read(BIO *bio, char *bytes, int len)
{
	ssize_t n;

	do
		n = recv(bio_socket(bio), bytes, (size_t)len, 0);
	while (n < 0 && errno == EINTR);
	BIO_clear_retry_flags(bio);
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	return (int)n;
}

static long
bio_ctrl(BIO *bio, int what, long number, void *arg)
{
	(void)bio, (void)number, (void)arg;
	return what == BIO_CTRL_FLUSH ? 1 : 0;
}

int
bg_redis_server_start(struct bg_redis_server *server, struct bg_error *err)
{
	const char *where = server->ca_file != NULL ? server->ca_file : server->ca_dir != NULL ? server->ca_dir : "the system's";
	char what[BG_DETAIL_MAX];

	if (!server->tls)
		return 0;
	ERR_clear_error();
	if ((server->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "redis")) == NULL ||
	    BIO_meth_set_write(server->bio, bio_write) != 1 || BIO_meth_set_read(server->bio, bio_read) != 1 ||
	    BIO_meth_set_ctrl(server->bio, bio_ctrl) != 1 || (server->ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(server->ctx, TLS1_2_VERSION) != 1)
		return bg_fail_openssl(err, BG_R_STORE_DOWN, "redis: TLS");
	SSL_CTX_set_verify(server->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(server->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(server->ctx, SSL_SESS_CACHE_OFF);
	if ((server->ca_file == NULL && server->ca_dir == NULL && SSL_CTX_set_default_verify_paths(server->ctx) != 1) ||
	    (server->ca_file != NULL && SSL_CTX_load_verify_file(server->ctx, server->ca_file) != 1) ||
	    (server->ca_dir != NULL && SSL_CTX_load_verify_dir(server->ctx, server->ca_dir) != 1)) {
		bg_format(what, sizeof(what), "redis %s: the authorities to trust, %s", server->name, where);
		return bg_fail_openssl(err, BG_R_STORE_DOWN, what);
	}
	return 0;
}

/* ---- a connection ----------------------------------------------------------------------------------------------- */

/* Until fd is ready for events; false with a failure noted when the deadline comes first. */
static bool
wait_until(const struct bg_redis_conn *conn, short events, int64_t deadline, const char *doing, struct bg_error *err)
{
	struct pollfd poller = { .fd = conn->fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		if ((left = deadline - bg_clock_mono_ms()) <= 0) {
			bg_fail(err, BG_R_STORE_DOWN, "redis %s: no answer in time while %s", conn->server->name, doing);
			return false;
		}
		n = poll(&poller, 1, left < 60000 ? (int)left : 60000);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR) {
			bg_fail(err, BG_R_STORE_DOWN, "redis %s: %m", conn->server->name);
			return false;
		}
	}
}

/*
 * What an SSL_ function's failure means: true, after waiting, when it is to be called again.
 */
static bool
tls_again(const struct bg_redis_conn *conn, int rc, int64_t deadline, const char *doing, struct bg_error *err)
{
	char what[BG_DETAIL_MAX];
	long verified;

	switch (SSL_get_error(conn->tls, rc)) {
	case SSL_ERROR_WANT_READ:
		return wait_until(conn, POLLIN, deadline, doing, err);
	case SSL_ERROR_WANT_WRITE:
		return wait_until(conn, POLLOUT, deadline, doing, err);
	case SSL_ERROR_ZERO_RETURN:
		bg_fail(err, BG_R_STORE_DOWN, "redis %s: closed the connection while %s", conn->server->name, doing);
		return false;
	}
	if ((verified = SSL_get_verify_result(conn->tls)) != X509_V_OK) {
		ERR_clear_error();
		bg_fail(err, BG_R_STORE_DOWN, "redis %s: its certificate: %s", conn->server->name,
		    X509_verify_cert_error_string(verified));
	} else if (ERR_peek_error() == 0)
		bg_fail(err, BG_R_STORE_DOWN, "redis %s: closed the connection while %s", conn->server->name, doing);
	else {
		bg_format(what, sizeof(what), "redis %s: TLS, while %s", conn->server->name, doing);
		bg_fail_openssl(err, BG_R_STORE_DOWN, what);
	}
	return false;
}

static int
start_tls(struct bg_redis_conn *conn, int64_t deadline, struct bg_error *err)
{
	const struct bg_redis_server *server = conn->server;
	BIO *bio;
	int rc;

	ERR_clear_error();
	if ((conn->tls = SSL_new(server->ctx)) == NULL || (bio = BIO_new(server->bio)) == NULL)
		return bg_fail_openssl(err, BG_R_NO_MEMORY, "redis: TLS");
	BIO_set_data(bio, &conn->fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(conn->tls, bio, bio);	/* moved */
	SSL_set_hostflags(conn->tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (server->numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(conn->tls), server->host) != 1 :
	    SSL_set1_host(conn->tls, server->host) != 1 || SSL_set_tlsext_host_name(conn->tls, server->host) != 1)
		return bg_fail_openssl(err, BG_R_STORE_DOWN, "redis: TLS");
	for (;;) {
		ERR_clear_error();
		if ((rc = SSL_connect(conn->tls)) == 1)
			return 0;
		if (!tls_again(conn, rc, deadline, "the handshake", err))
			return -1;
	}
}

static int
send_all(struct bg_redis_conn *conn, struct bg_slice bytes, int64_t deadline, struct bg_error *err)
{
	size_t done = 0;
	ssize_t n;

	while (done < bytes.len) {
		if (conn->tls != NULL) {
			ERR_clear_error();
			n = SSL_write(conn->tls, bytes.ptr + done, (int)(bytes.len - done));
			if (n <= 0 && !tls_again(conn, (int)n, deadline, "it was asked", err))
				return -1;
		} else if ((n = send(conn->fd, bytes.ptr + done, bytes.len - done, MSG_NOSIGNAL)) < 0 && errno == EAGAIN) {
			if (!wait_until(conn, POLLOUT, deadline, "it was asked", err))
				return -1;
		} else if (n < 0 && errno != EINTR)
			return bg_fail(err, BG_R_STORE_DOWN, "redis %s: %m", conn->server->name);
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* At least one byte, or a failure. */
static int
receive(struct bg_redis_conn *conn, char *bytes, size_t size, int64_t deadline, size_t *len, struct bg_error *err)
{
	ssize_t n;

	for (;;) {
		if (conn->tls != NULL) {
			ERR_clear_error();
			n = SSL_read(conn->tls, bytes, (int)size);
			if (n <= 0 && !tls_again(conn, (int)n, deadline, "it was to answer", err))
				return -1;
		} else if ((n = recv(conn->fd, bytes, size, 0)) < 0 && errno == EAGAIN) {
			if (!wait_until(conn, POLLIN, deadline, "it was to answer", err))
				return -1;
		} else if (n < 0 && errno != EINTR)
			return bg_fail(err, BG_R_STORE_DOWN, "redis %s: %m", conn->server->name);
		else if (n == 0)
			return bg_fail(err, BG_R_STORE_DOWN, "redis %s: closed the connection while it was to answer",
			    conn->server->name);
		if (n > 0) {
			*len = (size_t)n;
			return 0;
		}
	}
}

bool
bg_redis_is_idle(struct bg_redis_conn *conn)
{
	char byte;
	ssize_t n;
	int rc;

	/* In TLS the end is a message, so that the system alone cannot tell it from tickets for a next session. */
	if (conn->tls != NULL) {
		ERR_clear_error();
		rc = SSL_peek(conn->tls, &byte, 1);
		if (rc <= 0)
			rc = SSL_get_error(conn->tls, rc);
		ERR_clear_error();
		return rc == SSL_ERROR_WANT_READ;
	}
	do
		n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 && errno == EAGAIN;
}

/* ---- commands and answers --------------------------------------------------------------------------------------- */

static void *
new_reply(enum bg_redis_kind kind, const char *text, size_t len)
{
	struct bg_redis_reply *reply = malloc(sizeof(*reply) + len + 1);

	if (reply == NULL)
		return NULL;
	reply->kind = kind;
	reply->len = len;
	if (len > 0)
		memcpy(reply->text, text, len);
	reply->text[len] = '\0';
	return reply;
}

static void *
on_string(const redisReadTask *task, char *text, size_t len)
{
	return new_reply(task->type == REDIS_REPLY_ERROR ? BG_REDIS_ERROR :
	    task->type == REDIS_REPLY_STATUS ? BG_REDIS_STATUS : BG_REDIS_STRING, text, len);
}

static void *
on_integer(const redisReadTask *task, long long n)
{
	(void)task, (void)n;
	return new_reply(BG_REDIS_INTEGER, NULL, 0);
}

static void *
on_nil(const redisReadTask *task)
{
	(void)task;
	return new_reply(BG_REDIS_NIL, NULL, 0);
}

/* hiredis would make room for as many as the server says there will be. */
#if HIREDIS_MAJOR >= 1
static void *
on_array(const redisReadTask *task, size_t n)
#else
static void *
on_array(const redisReadTask *task, int n)
#endif
{
	(void)task, (void)n;
	return NULL;
}

static redisReplyObjectFunctions functions = {	/* never written to; hiredis wants it so */
	.createString = on_string,
	.createArray = on_array,
	.createInteger = on_integer,
	.createNil = on_nil,
	.freeObject = free,
};

static void
clear_replies(struct bg_redis_conn *conn)
{
	for (size_t i = 0; i < BG_REDIS_COMMANDS_MAX; i++) {
		free(conn->replies[i]);
		conn->replies[i] = NULL;
	}
}

/* All commands in the form of the protocol.  *out is wiped and freed by the caller. */
static int
format(const struct bg_redis_command *commands, size_t n, struct bg_buf *out, struct bg_error *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *argv[BG_REDIS_ARGS_MAX];
		size_t lens[BG_REDIS_ARGS_MAX];
		char *text = NULL;
		int argc = 0;
		long long len;

		for (; argc < BG_REDIS_ARGS_MAX && commands[i].args[argc].ptr != NULL; argc++) {
			argv[argc] = commands[i].args[argc].ptr;
			lens[argc] = commands[i].args[argc].len;
		}
		if ((len = redisFormatCommandArgv(&text, argc, argv, lens)) < 0)
			return bg_fail(err, BG_R_NO_MEMORY, "redis");
		bg_buf_put(out, (struct bg_slice){ text, (size_t)len });
		bg_secret_wipe(text, (size_t)len);
		redisFreeCommand(text);
	}
	return 0;
}

static int
read_replies(struct bg_redis_conn *conn, size_t n, int64_t deadline, struct bg_error *err)
{
	size_t got = 0, total = 0, len = 0;
	char bytes[4096];
	void *reply;

	for (;;) {
		while (got < n) {
			reply = NULL;
			if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK)
				return bg_fail(err, BG_R_STORE_DOWN, "redis %s: not an answer that we can read: is that a Redis?",
				    conn->server->name);
			if (reply == NULL)
				break;
			conn->replies[got++] = reply;
		}
		if (got == n) {
			/* What is left over would be taken for the answer to what comes next. */
			if (conn->reader->pos == conn->reader->len)
				return 0;
			return bg_fail(err, BG_R_STORE_DOWN, "redis %s: it says more than it was asked", conn->server->name);
		}
		if (receive(conn, bytes, sizeof(bytes), deadline, &len, err) != 0)
			return -1;
		if ((total += len) > BG_REDIS_ANSWER_MAX)
			return bg_fail(err, BG_R_STORE_DOWN, "redis %s: more than %d bytes of answers", conn->server->name,
			    BG_REDIS_ANSWER_MAX);
		if (redisReaderFeed(conn->reader, bytes, len) != REDIS_OK)
			return bg_fail(err, BG_R_NO_MEMORY, "redis");
	}
}

int
bg_redis_call(struct bg_redis_conn *conn, const struct bg_redis_command *commands, size_t n, int64_t deadline,
    const struct bg_redis_reply *replies[], struct bg_error *err)
{
	struct bg_buf buf;
	struct bg_slice bytes;
	int rc = -1;

	clear_replies(conn);
	if (n > BG_REDIS_COMMANDS_MAX)
		return bg_fail(err, BG_R_INTERNAL, "redis: too many commands");
	bg_buf_init(&buf, COMMANDS_BYTES);
	if (bg_buf_extend(&buf, COMMANDS_BYTES) != NULL)
		buf.len = 0;		/* so that it never moves and leaves a password behind */
	if (format(commands, n, &buf, err) == 0 && bg_buf_finish(&buf, &bytes, err) == 0 &&
	    send_all(conn, bytes, deadline, err) == 0 && read_replies(conn, n, deadline, err) == 0)
		rc = 0;
	if (buf.data != NULL)
		bg_secret_wipe(buf.data, buf.len);
	bg_buf_clear(&buf);
	for (size_t i = 0; i < n; i++)
		replies[i] = conn->replies[i];
	return rc;
}

bool
bg_redis_refused(const struct bg_redis_conn *conn, const char *command, const struct bg_redis_reply *reply,
    struct bg_error *err)
{
	struct bg_slice words = { reply->text, reply->len < WORDS_MAX ? reply->len : WORDS_MAX }, text;
	enum bg_reason reason = BG_R_STORE_DOWN;
	struct bg_buf buf;

	if (reply->kind != BG_REDIS_ERROR)
		return false;
	if (bg_slice_starts(words, BG_SLICE("OOM ")))
		reason = BG_R_STORE_FULL;
	/* An unknown command's arguments come back in the error: of AUTH only the first word is told, the kind of error. */
	if (strcmp(command, "AUTH") == 0)
		for (size_t i = 0; i < words.len; i++)
			if (words.ptr[i] < 'A' || words.ptr[i] > 'Z')
				words.len = i;
	bg_buf_init(&buf, (size_t)8 * WORDS_MAX);
	bg_log_text(&buf, words);
	if (bg_buf_finish(&buf, &text, err) == 0)
		bg_fail(err, reason, "redis %s: %s: %s%s", conn->server->name, command, text.ptr,
		    bg_slice_starts(words, BG_SLICE("NOPERM")) ? " (needed are AUTH, SELECT, INFO, GET and SET on bearergate:*)" : "");
	bg_buf_clear(&buf);
	return true;
}

/* AUTH and SELECT. */
static int
get_in(struct bg_redis_conn *conn, int64_t deadline, struct bg_error *err)
{
	const struct bg_redis_server *server = conn->server;
	const struct bg_redis_reply *replies[2];
	struct bg_redis_command commands[2] = { 0 };
	const char *names[2];
	char database[16];
	size_t n = 0, arg = 0;

	if (server->password != NULL) {
		names[n] = "AUTH";
		commands[n].args[arg++] = BG_SLICE("AUTH");
		if (server->user != NULL)
			commands[n].args[arg++] = bg_slice_str(server->user);
		commands[n++].args[arg] = bg_slice_str(server->password);
	}
	if (server->database != 0) {
		bg_format(database, sizeof(database), "%d", server->database);
		names[n] = "SELECT";
		commands[n++] = (struct bg_redis_command){ { BG_SLICE("SELECT"), bg_slice_str(database) } };
	}
	if (n > 0 && bg_redis_call(conn, commands, n, deadline, replies, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (bg_redis_refused(conn, names[i], replies[i], err))
			return -1;
	return 0;
}

static int
connect_socket(struct bg_redis_conn *conn, const struct address *address, int64_t deadline, struct bg_error *err)
{
	int one = 1, wrong = 0;
	socklen_t len = sizeof(wrong);

	conn->fd = socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd == -1)
		return bg_fail(err, BG_R_STORE_DOWN, "redis %s: %m", conn->server->name);
	if (address->addr.ss_family != AF_UNIX) {
		(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		(void)setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	}
	if (connect(conn->fd, (const struct sockaddr *)&address->addr, address->len) == 0)
		return 0;
	/* EAGAIN: a local socket with a full queue, which cannot be waited for */
	if (errno != EINPROGRESS && errno != EINTR)
		return bg_fail(err, BG_R_STORE_DOWN, "redis %s: %m", conn->server->name);
	if (!wait_until(conn, POLLOUT, deadline, "connecting", err))
		return -1;
	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &wrong, &len) == 0 && wrong == 0)
		return 0;
	errno = wrong;
	return bg_fail(err, BG_R_STORE_DOWN, "redis %s: %m", conn->server->name);
}

/* To one of its addresses.  Each gets its share of the time that is left, so that one that hangs does not take it all. */
static int
reach(struct bg_redis_conn *conn, int64_t deadline, struct bg_error *err)
{
	struct address addresses[ADDRESSES_MAX];
	struct bg_error why = { 0 };
	size_t n;

	if (resolve(conn->server, deadline, addresses, &n, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int64_t now = bg_clock_mono_ms();

		bg_error_clear(&why);
		if (connect_socket(conn, &addresses[i], now + (deadline - now) / (int64_t)(n - i), &why) == 0)
			return 0;
		if (conn->fd != -1)
			close(conn->fd);
		conn->fd = -1;
	}
	return bg_fail(err, why.reason, "%s", why.detail);
}

int
bg_redis_connect(struct bg_redis_server *server, int64_t deadline, struct bg_redis_conn **out, struct bg_error *err)
{
	struct bg_redis_conn *conn = calloc(1, sizeof(*conn));

	*out = NULL;
	if (conn == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "redis");
	conn->server = server;
	conn->fd = -1;
	if ((conn->reader = redisReaderCreateWithFunctions(&functions)) == NULL)
		bg_fail(err, BG_R_NO_MEMORY, "redis");
	else if (reach(conn, deadline, err) == 0 && (!server->tls || start_tls(conn, deadline, err) == 0) &&
	    get_in(conn, deadline, err) == 0) {
		*out = conn;
		return 0;
	}
	bg_redis_close(conn);
	return -1;
}

void
bg_redis_close(struct bg_redis_conn *conn)
{
	if (conn == NULL)
		return;
	clear_replies(conn);
	if (conn->reader != NULL)
		redisReaderFree(conn->reader);
	SSL_free(conn->tls);
	if (conn->fd != -1)
		close(conn->fd);
	free(conn);
}
#endif
