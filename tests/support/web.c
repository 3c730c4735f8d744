#include "tests/support/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

#define REQUEST_MAX	(16 * 1024)
#define CHUNK		1000
#define DRIP_MS		100
#define PATIENCE_MS	10000	/* for a client that neither reads nor writes where it should */
#define HOUR		3600L

struct route {
	struct route        *next;
	char                *path;
	struct bg_web_answer answer;	/* with copies of its own */
	bool                 set;	/* false: only counted */
	unsigned             count;
};

struct bg_web {
	struct bg_web_options options;
	SSL_CTX        *tls;
	int             listener;
	int             stop;		/* an eventfd, readable when all is to end */
	int             port;
	char           *dir;		/* our own, NULL when there is none */
	char           *ca_file;
	pthread_t       thread;

	pthread_mutex_t lock;		/* guards all below */
	pthread_cond_t  change;		/* count or active */
	struct route   *routes;
	unsigned        connections;
	unsigned        active;		/* threads with a connection */
	char            request[REQUEST_MAX + 1];
	char            request_copy[REQUEST_MAX + 1];
	char            url[2048];
};

struct connection {
	struct bg_web *web;
	SSL           *tls;
	int            fd;
};

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("web: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void *
need(void *p)
{
	if (p == NULL)
		die("no memory, or OpenSSL refuses");
	return p;
}

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *
format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		die("no memory");
	return text;
}

/*
 * Certificates
 */

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = need(X509V3_EXT_nconf_nid(NULL, &ctx, nid, value));
	if (X509_add_ext(cert, extension, -1) != 1)
		die("extension %s", value);
	X509_EXTENSION_free(extension);
}

/* A certificate for key, signed by the issuer's key; issuer is NULL for one that signs itself. */
static X509 *
make_cert(EVP_PKEY *key, const char *name, const char *hosts, X509 *issuer, EVP_PKEY *issuer_key, long from, long until)
{
	X509 *cert = need(X509_new());
	X509_NAME *subject = X509_get_subject_name(cert);
	uint64_t serial;

	if (issuer == NULL)
		issuer = cert;
	if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1 || X509_set_version(cert, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), from) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), until) == NULL ||
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 || X509_set_pubkey(cert, key) != 1)
		die("certificate of %s", name);
	add_extension(cert, issuer, NID_subject_key_identifier, "hash");
	add_extension(cert, issuer, NID_authority_key_identifier, "keyid");
	if (hosts != NULL) {
		add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE");
		add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature");
		add_extension(cert, issuer, NID_ext_key_usage, "serverAuth");
		add_extension(cert, issuer, NID_subject_alt_name, hosts);
	} else {
		add_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE");
		add_extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	}
	if (X509_sign(cert, issuer_key, EVP_sha256()) == 0)
		die("signature of %s", name);
	return cert;
}

/* Under its own name only when it is whole. */
static void
write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
	char *tmp = format("%s.new", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, key != NULL ? 0600 : 0666);
	FILE *file = fd != -1 ? fdopen(fd, "w") : NULL;

	if (file == NULL || (cert != NULL && PEM_write_X509(file, cert) != 1) ||
	    (key != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1) || fclose(file) != 0 ||
	    rename(tmp, path) != 0)
		die("%s: %s", path, strerror(errno));
	free(tmp);
}

static void
make_ca(EVP_PKEY **key, X509 **ca)
{
	*key = need(EVP_EC_gen("P-256"));
	*ca = make_cert(*key, "bearergate test authority", NULL, NULL, *key, -25 * HOUR, 25 * HOUR);
}

/* The authority that an earlier server left in the directory, or a new one left there for the next. */
static void
keep_ca(const char *dir, EVP_PKEY **key, X509 **ca)
{
	char *key_file = format("%s/ca.key", dir), *ca_file = format("%s/ca.pem", dir);
	FILE *file;

	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		die("%s: %s", dir, strerror(errno));
	if ((file = fopen(ca_file, "re")) != NULL) {
		*ca = need(PEM_read_X509(file, NULL, NULL, NULL));
		fclose(file);
		if ((file = fopen(key_file, "re")) == NULL)
			die("%s: %s", key_file, strerror(errno));
		*key = need(PEM_read_PrivateKey(file, NULL, NULL, NULL));
		fclose(file);
	} else {
		make_ca(key, ca);
		write_pem(key_file, NULL, *key);
		write_pem(ca_file, *ca, NULL);
	}
	free(key_file);
	free(ca_file);
}

/* Where the one who is to trust us finds the authority. */
static void
write_ca_file(struct bg_web *web, X509 *ca)
{
	const char *tmp = getenv("TMPDIR");

	if (web->options.ca_file == NULL && web->options.ca_dir != NULL) {
		web->ca_file = format("%s/ca.pem", web->options.ca_dir);
		return;
	}
	if (web->options.ca_file != NULL)
		web->ca_file = format("%s", web->options.ca_file);
	else {
		web->dir = format("%s/bearergate-web-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
		if (mkdtemp(web->dir) == NULL)
			die("%s: %s", web->dir, strerror(errno));
		web->ca_file = format("%s/ca.pem", web->dir);
	}
	write_pem(web->ca_file, ca, NULL);
}

static void
make_tls(struct bg_web *web)
{
	static const struct { const char *hosts; long from, until; } certs[] = {
		[BG_WEB_CERT_GOOD]       = { "DNS:localhost,IP:127.0.0.1", -HOUR, 24 * HOUR },
		[BG_WEB_CERT_OTHER_HOST] = { "DNS:localhost.example,IP:127.0.0.2", -HOUR, 24 * HOUR },
		[BG_WEB_CERT_EXPIRED]    = { "DNS:localhost,IP:127.0.0.1", -24 * HOUR, -HOUR },
		[BG_WEB_CERT_NOT_YET]    = { "DNS:localhost,IP:127.0.0.1", HOUR, 24 * HOUR },
	};
	EVP_PKEY *key = need(EVP_EC_gen("P-256")), *ca_key;
	int max = web->options.max_tls;
	X509 *cert, *ca;

	if (web->options.ca_dir != NULL)
		keep_ca(web->options.ca_dir, &ca_key, &ca);
	else
		make_ca(&ca_key, &ca);
	cert = make_cert(key, "bearergate test server", certs[web->options.cert].hosts, ca, ca_key,
	    certs[web->options.cert].from, certs[web->options.cert].until);
	web->tls = need(SSL_CTX_new(TLS_server_method()));
	if (SSL_CTX_set_min_proto_version(web->tls, max != 0 ? max : TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(web->tls, max) != 1 ||
	    (max != 0 && SSL_CTX_set_cipher_list(web->tls, "DEFAULT:@SECLEVEL=0") != 1) ||
	    SSL_CTX_use_certificate(web->tls, cert) != 1 || SSL_CTX_use_PrivateKey(web->tls, key) != 1)
		die("TLS");
	/* No session tickets: a client that never reads them would turn our close into a reset. */
	SSL_CTX_set_num_tickets(web->tls, 0);
	SSL_CTX_set_mode(web->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	write_ca_file(web, ca);
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
}

/*
 * One connection.  Every wait is for the socket or the end of the server; false means that there is no more to do.
 */

static bool
wait_for(const struct connection *c, short events, int ms)
{
	struct pollfd fds[2] = { { .fd = c->fd, .events = events }, { .fd = c->web->stop, .events = POLLIN } };
	int n;

	do
		n = poll(fds, 2, ms);
	while (n < 0 && errno == EINTR);
	return n > 0 && fds[1].revents == 0;
}

/* After an SSL call that returned rc: wait for what it wants; false when it wants nothing any more. */
static bool
tls_again(const struct connection *c, int rc)
{
	switch (SSL_get_error(c->tls, rc)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(c, POLLIN, PATIENCE_MS);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(c, POLLOUT, PATIENCE_MS);
	default:
		ERR_clear_error();
		return false;
	}
}

static bool
handshake(const struct connection *c)
{
	int rc;

	while ((rc = SSL_accept(c->tls)) != 1)
		if (!tls_again(c, rc))
			return false;
	return true;
}

static bool
send_bytes(const struct connection *c, const char *bytes, size_t len)
{
	while (len > 0) {
		int rc = SSL_write(c->tls, bytes, len < 16384 ? (int)len : 16384);

		if (rc > 0) {
			bytes += rc;
			len -= (size_t)rc;
		} else if (!tls_again(c, rc))
			return false;
	}
	return true;
}

static bool
send_text(const struct connection *c, const char *text)
{
	return send_bytes(c, text, strlen(text));
}

static bool
send_chunked(const struct connection *c, const char *bytes, size_t len)
{
	char size[32];

	while (len > 0) {
		size_t n = len < CHUNK ? len : CHUNK;

		snprintf(size, sizeof(size), "%zx\r\n", n);
		if (!send_text(c, size) || !send_bytes(c, bytes, n) || !send_text(c, "\r\n"))
			return false;
		bytes += n;
		len -= n;
	}
	return true;
}

/* Until the client goes away, or the server ends. */
static void
hang(const struct connection *c)
{
	char rest[512];

	while (wait_for(c, POLLIN, -1))
		if (recv(c->fd, rest, sizeof(rest), 0) <= 0)
			return;
}

/* Let so many milliseconds pass; false when the client went away or the server ends meanwhile. */
static bool
pass(const struct connection *c, int ms)
{
	int64_t until = bg_clock_mono_ms() + ms, left;
	char rest[512];

	while ((left = until - bg_clock_mono_ms()) > 0)
		if (wait_for(c, POLLIN, (int)left)) {
			if (recv(c->fd, rest, sizeof(rest), 0) <= 0)
				return false;
		} else if (poll(&(struct pollfd){ .fd = c->web->stop, .events = POLLIN }, 1, 0) != 0)
			return false;
	return true;
}

static void
drip(const struct connection *c, const char *bytes, size_t len)
{
	for (; len > 0; bytes++, len--) {
		char rest[512];

		if (!send_bytes(c, bytes, 1))
			return;
		/* Nothing to read for a while is what is wanted here; the end of the client is to be read. */
		if (wait_for(c, POLLIN, DRIP_MS) && recv(c->fd, rest, sizeof(rest), 0) <= 0)
			return;
		if (!wait_for(c, POLLOUT, PATIENCE_MS))
			return;
	}
}

/* The header of a request into text, which has room for REQUEST_MAX + 1. */
static bool
read_request(const struct connection *c, char *text)
{
	size_t len = 0;

	for (;;) {
		int rc;

		if (len == REQUEST_MAX)
			return false;
		rc = SSL_read(c->tls, text + len, (int)(REQUEST_MAX - len));
		if (rc <= 0) {
			if (!tls_again(c, rc))
				return false;
			continue;
		}
		len += (size_t)rc;
		text[len] = '\0';
		if (strlen(text) != len)
			return false;
		if (strstr(text, "\r\n\r\n") != NULL)
			return true;
	}
}

/* Send the answer as the script has it; body holds the body with what is to fill it up. */
static void
send_answer(const struct connection *c, const struct bg_web_answer *answer, const char *body, size_t len)
{
	int status = answer->status != 0 ? answer->status : 200;
	enum bg_web_how how = answer->how;
	const char *headers = answer->headers != NULL ? answer->headers : "";
	char *head, length[64] = "";

	if (status == 304 && len == 0)
		;	/* a length would be that of the body which the client has.  RFC 9110 section 8.6 */
	else if (how == BG_WEB_WHOLE || how == BG_WEB_CUT || how == BG_WEB_DRIP)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", how == BG_WEB_CUT ? len + 1 : len);
	else if (how == BG_WEB_CHUNKED || how == BG_WEB_CUT_CHUNKED || how == BG_WEB_HANG_IN_BODY)
		snprintf(length, sizeof(length), "Transfer-Encoding: chunked\r\n");
	head = format("HTTP/1.1 %d Scripted\r\n%sConnection: close\r\n%s%s\r\n", status,
	    strcasestr(headers, "Content-Type:") == NULL ? "Content-Type: application/json\r\n" : "", length, headers);

	switch (how) {
	case BG_WEB_WHOLE:
	case BG_WEB_UNTIL_CLOSE:
	case BG_WEB_CUT:
		(void)(send_text(c, head) && send_bytes(c, body, len));
		break;
	case BG_WEB_CHUNKED:
		(void)(send_text(c, head) && send_chunked(c, body, len) && send_text(c, "0\r\n\r\n"));
		break;
	case BG_WEB_CUT_CHUNKED:
		(void)(send_text(c, head) && send_chunked(c, body, len));
		break;
	case BG_WEB_DRIP:
		if (send_text(c, head))
			drip(c, body, len);
		break;
	case BG_WEB_HANG:
		hang(c);
		break;
	case BG_WEB_HANG_IN_BODY:
		if (send_text(c, head) && send_chunked(c, body, len))
			hang(c);
		break;
	case BG_WEB_SLAM:
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
		break;
	case BG_WEB_RAW:
		(void)send_bytes(c, body, len);
		break;
	case BG_WEB_RAW_HANG:
		if (send_bytes(c, body, len))
			hang(c);
		break;
	}
	free(head);
}

static struct route *
route_of(struct bg_web *web, const char *path)
{
	struct route *route;

	for (route = web->routes; route != NULL; route = route->next)
		if (strcmp(route->path, path) == 0)
			return route;
	route = need(calloc(1, sizeof(*route)));
	route->path = format("%s", path);
	route->next = web->routes;
	web->routes = route;
	return route;
}

/* A copy of answer that is all its own, its body filled up and its length said. */
static struct bg_web_answer
copy_answer(const struct bg_web_answer *from)
{
	struct bg_web_answer to = *from;
	size_t len = from->body == NULL ? 0 : from->body_len > 0 ? from->body_len : strlen(from->body);
	char *body = need(malloc(len + from->fill + 1));

	if (len > 0)
		memcpy(body, from->body, len);
	memset(body + len, 'x', from->fill);
	body[len + from->fill] = '\0';
	to.body = body;
	to.body_len = len + from->fill;
	to.fill = 0;
	to.headers = from->headers != NULL ? format("%s", from->headers) : NULL;
	return to;
}

static void
free_answer(struct bg_web_answer *answer)
{
	free((void *)(uintptr_t)answer->body);
	free((void *)(uintptr_t)answer->headers);
	*answer = (struct bg_web_answer){ 0 };
}

/* What path is to be answered with, asked for and counted under the lock, so that a test may change it meanwhile. */
static struct bg_web_answer
choose_answer(struct bg_web *web, const char *path, const char *request)
{
	struct bg_web_answer answer = { .status = 404, .body = "{}" }, found = { 0 };
	struct route *route;
	bool set;

	pthread_mutex_lock(&web->lock);
	route = route_of(web, path);
	route->count++;
	memcpy(web->request, request, strlen(request) + 1);
	if ((set = route->set))
		answer = route->answer;
	answer = copy_answer(&answer);
	pthread_cond_broadcast(&web->change);
	pthread_mutex_unlock(&web->lock);

	if (!set && web->options.find != NULL && web->options.find(web->options.arg, path, request, &found)) {
		free_answer(&answer);
		answer = copy_answer(&found);
		free_answer(&found);
	}
	return answer;
}

static void
converse(const struct connection *c)
{
	struct bg_web *web = c->web;
	char request[REQUEST_MAX + 1], method[16], path[2048];
	struct bg_web_answer answer;
	enum bg_web_how how;
	char rest[512];
	int status;

	if (web->options.mute) {
		hang(c);
		return;
	}
	if (!handshake(c) || !read_request(c, request) || sscanf(request, "%15s %2047s", method, path) != 2)
		return;
	if (web->options.arrived != NULL)
		web->options.arrived(web->options.arg, method, path);
	answer = choose_answer(web, path, request);
	how = answer.how;
	status = how == BG_WEB_HANG || how == BG_WEB_SLAM ? 0 : answer.status != 0 ? answer.status : 200;
	if (answer.delay == 0 || pass(c, answer.delay))
		send_answer(c, &answer, answer.body, answer.body_len);
	else
		status = 0;
	if (web->options.asked != NULL)
		web->options.asked(web->options.arg, method, path, status);
	free_answer(&answer);
	if (how == BG_WEB_SLAM || how == BG_WEB_HANG || how == BG_WEB_HANG_IN_BODY || how == BG_WEB_RAW_HANG)
		return;
	(void)SSL_shutdown(c->tls);
	/* Let the client read all of it: closing with its bytes unread would reset the connection. */
	(void)shutdown(c->fd, SHUT_WR);
	while (wait_for(c, POLLIN, PATIENCE_MS) && recv(c->fd, rest, sizeof(rest), 0) > 0)
		continue;
}

static void *
connection_main(void *arg)
{
	struct connection *c = arg;
	struct bg_web *web = c->web;

	c->tls = need(SSL_new(web->tls));
	if (SSL_set_fd(c->tls, c->fd) != 1)
		die("TLS on a connection");
	converse(c);
	ERR_clear_error();
	SSL_free(c->tls);
	close(c->fd);
	free(c);
	OPENSSL_thread_stop();
	pthread_mutex_lock(&web->lock);
	web->active--;
	pthread_cond_broadcast(&web->change);
	pthread_mutex_unlock(&web->lock);
	return NULL;
}

static void
take_connection(struct bg_web *web, int fd)
{
	struct connection *c = need(calloc(1, sizeof(*c)));
	pthread_attr_t attr;
	pthread_t thread;

	*c = (struct connection){ .web = web, .fd = fd };
	pthread_mutex_lock(&web->lock);
	web->connections++;
	web->active++;
	pthread_mutex_unlock(&web->lock);
	if (pthread_attr_init(&attr) != 0 || pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0 ||
	    pthread_create(&thread, &attr, connection_main, c) != 0)
		die("a thread");
	pthread_attr_destroy(&attr);
}

static void *
listener_main(void *arg)
{
	struct bg_web *web = arg;
	struct connection self = { .web = web, .fd = web->listener };

	while (wait_for(&self, POLLIN, -1)) {
		int fd = accept4(web->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd != -1)
			take_connection(web, fd);
	}
	return NULL;
}

static void
open_listener(struct bg_web *web)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)web->options.port) };
	socklen_t len = sizeof(addr);
	int on = 1;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((web->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1 ||
	    setsockopt(web->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(web->listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(web->listener, 128) != 0 ||
	    getsockname(web->listener, (struct sockaddr *)&addr, &len) != 0)
		die("127.0.0.1 port %d: %s", web->options.port, strerror(errno));
	web->port = ntohs(addr.sin_port);
}

struct bg_web *
bg_web_start(const struct bg_web_options *options)
{
	struct bg_web *web = need(calloc(1, sizeof(*web)));
	pthread_condattr_t attr;
	sigset_t all, before;

	if (options != NULL)
		web->options = *options;
	if (pthread_mutex_init(&web->lock, NULL) != 0 || pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 || pthread_cond_init(&web->change, &attr) != 0)
		die("a lock");
	pthread_condattr_destroy(&attr);
	if ((web->stop = eventfd(0, EFD_CLOEXEC)) == -1)
		die("eventfd: %s", strerror(errno));
	make_tls(web);
	open_listener(web);
	/* Our threads take no signal: not the test's, nor SIGPIPE from a client that has gone. */
	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0 ||
	    pthread_create(&web->thread, NULL, listener_main, web) != 0 ||
	    pthread_sigmask(SIG_SETMASK, &before, NULL) != 0)
		die("a thread");
	return web;
}

void
bg_web_stop(struct bg_web *web)
{
	uint64_t one = 1;

	if (web == NULL)
		return;
	if (write(web->stop, &one, sizeof(one)) != (ssize_t)sizeof(one) || pthread_join(web->thread, NULL) != 0)
		die("stopping");
	pthread_mutex_lock(&web->lock);
	while (web->active > 0)
		pthread_cond_wait(&web->change, &web->lock);
	pthread_mutex_unlock(&web->lock);

	close(web->listener);
	close(web->stop);
	SSL_CTX_free(web->tls);
	if (web->dir != NULL) {
		(void)unlink(web->ca_file);
		(void)rmdir(web->dir);
	}
	while (web->routes != NULL) {
		struct route *route = web->routes;

		web->routes = route->next;
		free_answer(&route->answer);
		free(route->path);
		free(route);
	}
	pthread_cond_destroy(&web->change);
	pthread_mutex_destroy(&web->lock);
	free(web->ca_file);
	free(web->dir);
	free(web);
}

int
bg_web_port(const struct bg_web *web)
{
	return web->port;
}

const char *
bg_web_ca_file(const struct bg_web *web)
{
	return web->ca_file;
}

const char *
bg_web_url(struct bg_web *web, const char *path)
{
	if (snprintf(web->url, sizeof(web->url), "https://localhost:%d%s", web->port, path) >= (int)sizeof(web->url))
		die("a path is too long");
	return web->url;
}

void
bg_web_set(struct bg_web *web, const char *path, const struct bg_web_answer *answer)
{
	struct bg_web_answer copy = copy_answer(answer);
	struct route *route;

	pthread_mutex_lock(&web->lock);
	route = route_of(web, path);
	free_answer(&route->answer);
	route->answer = copy;
	route->set = true;
	pthread_mutex_unlock(&web->lock);
}

unsigned
bg_web_connections(struct bg_web *web)
{
	unsigned n;

	pthread_mutex_lock(&web->lock);
	n = web->connections;
	pthread_mutex_unlock(&web->lock);
	return n;
}

static unsigned
count_locked(const struct bg_web *web, const char *path)
{
	unsigned n = 0;

	for (const struct route *route = web->routes; route != NULL; route = route->next)
		if (path == NULL || strcmp(route->path, path) == 0)
			n += route->count;
	return n;
}

unsigned
bg_web_count(struct bg_web *web, const char *path)
{
	unsigned n;

	pthread_mutex_lock(&web->lock);
	n = count_locked(web, path);
	pthread_mutex_unlock(&web->lock);
	return n;
}

bool
bg_web_wait(struct bg_web *web, const char *path, unsigned n, int seconds)
{
	struct timespec until;
	bool enough;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&web->lock);
	while (!(enough = count_locked(web, path) >= n) && rc == 0)
		rc = pthread_cond_timedwait(&web->change, &web->lock, &until);
	pthread_mutex_unlock(&web->lock);
	return enough;
}

const char *
bg_web_request(struct bg_web *web)
{
	pthread_mutex_lock(&web->lock);
	memcpy(web->request_copy, web->request, sizeof(web->request_copy));
	pthread_mutex_unlock(&web->lock);
	return web->request_copy;
}
