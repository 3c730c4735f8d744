#include "core/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"

struct bg_tls {
	SSL_CTX    *ctx;
	BIO_METHOD *bio;
};

/* ---- OpenSSL's way to the socket -------------------------------------------------------------------------------- */

/* Its own one raises SIGPIPE.  The socket is what BIO_get_data says. */

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

/* ---- authorities ------------------------------------------------------------------------------------------------ */

int
bg_tls_new(const char *name, enum bg_reason reason, const char *ca_file, const char *ca_dir, struct bg_tls **out,
    struct bg_error *err)
{
	const char *where = ca_file != NULL ? ca_file : ca_dir != NULL ? ca_dir : "the system's";
	struct bg_tls *tls = calloc(1, sizeof(*tls));
	char what[BG_DETAIL_MAX];

	*out = NULL;
	if (tls == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "%s: TLS", name);
	ERR_clear_error();
	if ((tls->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream")) == NULL ||
	    BIO_meth_set_write(tls->bio, bio_write) != 1 || BIO_meth_set_read(tls->bio, bio_read) != 1 ||
	    BIO_meth_set_ctrl(tls->bio, bio_ctrl) != 1 || (tls->ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1) {
		bg_format(what, sizeof(what), "%s: TLS", name);
		goto fail;
	}
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	if ((ca_file == NULL && ca_dir == NULL && SSL_CTX_set_default_verify_paths(tls->ctx) != 1) ||
	    (ca_file != NULL && SSL_CTX_load_verify_file(tls->ctx, ca_file) != 1) ||
	    (ca_dir != NULL && SSL_CTX_load_verify_dir(tls->ctx, ca_dir) != 1)) {
		bg_format(what, sizeof(what), "%s: the authorities to trust, %s", name, where);
		goto fail;
	}
	*out = tls;
	return 0;
fail:
	bg_fail_openssl(err, reason, what);
	bg_tls_free(tls);
	return -1;
}

void
bg_tls_free(struct bg_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	BIO_meth_free(tls->bio);
	free(tls);
}

/* ---- a connection ----------------------------------------------------------------------------------------------- */

void
bg_stream_init(struct bg_stream *stream, const char *name, enum bg_reason reason)
{
	*stream = (struct bg_stream){ .name = name, .reason = reason, .fd = -1 };
}

/* Until fd is ready for events; false with a failure noted when the deadline comes first. */
static bool
wait_until(const struct bg_stream *stream, short events, int64_t deadline, const char *doing, struct bg_error *err)
{
	struct pollfd poller = { .fd = stream->fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		if ((left = deadline - bg_clock_mono_ms()) <= 0) {
			bg_fail(err, stream->reason, "%s: no answer in time while %s", stream->name, doing);
			return false;
		}
		n = poll(&poller, 1, left < 60000 ? (int)left : 60000);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR) {
			bg_fail(err, stream->reason, "%s: %m", stream->name);
			return false;
		}
	}
}

/* What an SSL_ function's failure means: true, after waiting, when it is to be called again. */
static bool
tls_again(const struct bg_stream *stream, int rc, int64_t deadline, const char *doing, struct bg_error *err)
{
	char what[BG_DETAIL_MAX];
	long verified;

	switch (SSL_get_error(stream->tls, rc)) {
	case SSL_ERROR_WANT_READ:
		return wait_until(stream, POLLIN, deadline, doing, err);
	case SSL_ERROR_WANT_WRITE:
		return wait_until(stream, POLLOUT, deadline, doing, err);
	case SSL_ERROR_ZERO_RETURN:
		bg_fail(err, stream->reason, "%s: closed the connection while %s", stream->name, doing);
		return false;
	}
	if ((verified = SSL_get_verify_result(stream->tls)) != X509_V_OK) {
		ERR_clear_error();
		bg_fail(err, stream->reason, "%s: its certificate: %s", stream->name, X509_verify_cert_error_string(verified));
	} else if (ERR_peek_error() == 0)
		bg_fail(err, stream->reason, "%s: closed the connection while %s", stream->name, doing);
	else {
		bg_format(what, sizeof(what), "%s: TLS, while %s", stream->name, doing);
		bg_fail_openssl(err, stream->reason, what);
	}
	return false;
}

int
bg_stream_start_tls(struct bg_stream *stream, const struct bg_tls *tls, const char *host, bool numeric, int64_t deadline,
    struct bg_error *err)
{
	char what[BG_DETAIL_MAX];
	BIO *bio;
	int rc;

	bg_format(what, sizeof(what), "%s: TLS", stream->name);
	ERR_clear_error();
	if ((stream->tls = SSL_new(tls->ctx)) == NULL || (bio = BIO_new(tls->bio)) == NULL)
		return bg_fail_openssl(err, BG_R_NO_MEMORY, what);
	BIO_set_data(bio, &stream->fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(stream->tls, bio, bio);	/* moved */
	SSL_set_hostflags(stream->tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(stream->tls), host) != 1 :
	    SSL_set1_host(stream->tls, host) != 1 || SSL_set_tlsext_host_name(stream->tls, host) != 1)
		return bg_fail_openssl(err, stream->reason, what);
	if (stream->alpn != NULL) {
		size_t len = strlen(stream->alpn);
		unsigned char list[1 + UINT8_MAX] = { (unsigned char)len };

		memcpy(list + 1, stream->alpn, len);
		if (SSL_set_alpn_protos(stream->tls, list, (unsigned int)len + 1) != 0)	/* 0 is success here */
			return bg_fail_openssl(err, BG_R_NO_MEMORY, what);
	}
	for (;;) {
		ERR_clear_error();
		if ((rc = SSL_connect(stream->tls)) == 1)
			return 0;
		if (!tls_again(stream, rc, deadline, "the handshake", err))
			return -1;
	}
}

int
bg_stream_send(struct bg_stream *stream, struct bg_slice bytes, int64_t deadline, struct bg_error *err)
{
	size_t done = 0;
	ssize_t n;

	while (done < bytes.len) {
		if (stream->tls != NULL) {
			ERR_clear_error();
			n = SSL_write(stream->tls, bytes.ptr + done, (int)(bytes.len - done));
			if (n <= 0 && !tls_again(stream, (int)n, deadline, "it was asked", err))
				return -1;
		} else if ((n = send(stream->fd, bytes.ptr + done, bytes.len - done, MSG_NOSIGNAL)) < 0 && errno == EAGAIN) {
			if (!wait_until(stream, POLLOUT, deadline, "it was asked", err))
				return -1;
		} else if (n < 0 && errno != EINTR)
			return bg_fail(err, stream->reason, "%s: %m", stream->name);
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int
bg_stream_receive(struct bg_stream *stream, char *bytes, size_t size, int64_t deadline, size_t *len, struct bg_error *err)
{
	ssize_t n;

	for (;;) {
		if (stream->tls != NULL) {
			ERR_clear_error();
			n = SSL_read(stream->tls, bytes, (int)size);
			if (n <= 0 && !tls_again(stream, (int)n, deadline, "it was to answer", err))
				return -1;
		} else if ((n = recv(stream->fd, bytes, size, 0)) < 0 && errno == EAGAIN) {
			if (!wait_until(stream, POLLIN, deadline, "it was to answer", err))
				return -1;
		} else if (n < 0 && errno != EINTR)
			return bg_fail(err, stream->reason, "%s: %m", stream->name);
		else if (n == 0)
			return bg_fail(err, stream->reason, "%s: closed the connection while it was to answer", stream->name);
		if (n > 0) {
			*len = (size_t)n;
			return 0;
		}
	}
}

bool
bg_stream_is_idle(struct bg_stream *stream)
{
	char byte;
	ssize_t n;
	int rc;

	/* In TLS the end is a message, so that the system alone cannot tell it from tickets for a next session. */
	if (stream->tls != NULL) {
		ERR_clear_error();
		rc = SSL_peek(stream->tls, &byte, 1);
		if (rc <= 0)
			rc = SSL_get_error(stream->tls, rc);
		ERR_clear_error();
		return rc == SSL_ERROR_WANT_READ;
	}
	do
		n = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 && errno == EAGAIN;
}

static int
connect_socket(struct bg_stream *stream, const struct sockaddr *address, socklen_t address_len, int64_t deadline,
    struct bg_error *err)
{
	int one = 1, wrong = 0;
	socklen_t len = sizeof(wrong);

	stream->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stream->fd == -1)
		return bg_fail(err, stream->reason, "%s: %m", stream->name);
	if (address->sa_family != AF_UNIX) {
		(void)setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		(void)setsockopt(stream->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	}
	if (connect(stream->fd, address, address_len) == 0)
		return 0;
	/* EAGAIN: a local socket with a full queue, which cannot be waited for */
	if (errno != EINPROGRESS && errno != EINTR)
		return bg_fail(err, stream->reason, "%s: %m", stream->name);
	if (!wait_until(stream, POLLOUT, deadline, "connecting", err))
		return -1;
	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &wrong, &len) == 0 && wrong == 0)
		return 0;
	errno = wrong;
	return bg_fail(err, stream->reason, "%s: %m", stream->name);
}

int
bg_stream_connect(struct bg_stream *stream, const struct sockaddr *address, socklen_t len, int64_t deadline,
    struct bg_error *err)
{
	if (connect_socket(stream, address, len, deadline, err) == 0)
		return 0;
	bg_stream_close(stream);
	return -1;
}

void
bg_stream_close(struct bg_stream *stream)
{
	SSL_free(stream->tls);
	stream->tls = NULL;
	if (stream->fd != -1)
		close(stream->fd);
	stream->fd = -1;
}
