#ifndef BG_TESTS_SUPPORT_WEB_H
#define BG_TESTS_SUPPORT_WEB_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A web server on 127.0.0.1 that answers as the test tells it, over TLS with a certificate of its own making, and
 * counts what it is asked.  It runs in threads of its own, on a port that the kernel chose.  One request per
 * connection.  What fails inside is a fault of the test, so it ends the program with a line on stderr.
 */
struct bg_web;

enum bg_web_cert {
	BG_WEB_CERT_GOOD = 0,		/* for localhost and 127.0.0.1 */
	BG_WEB_CERT_OTHER_HOST,
	BG_WEB_CERT_EXPIRED,		/* since an hour */
	BG_WEB_CERT_NOT_YET,		/* in an hour */
};

enum bg_web_how {
	BG_WEB_WHOLE = 0,		/* Content-Length, then the body */
	BG_WEB_CHUNKED,			/* the body in pieces of 1000 bytes, without Content-Length */
	BG_WEB_UNTIL_CLOSE,		/* without any length: it ends with the connection */
	BG_WEB_CUT,			/* Content-Length says one byte more than there comes */
	BG_WEB_CUT_CHUNKED,		/* the last chunk is missing */
	BG_WEB_DRIP,			/* as WHOLE, but byte by byte, ten in a second, until the client goes away */
	BG_WEB_HANG,			/* the request is read, and nothing happens until the client goes away */
	BG_WEB_HANG_IN_BODY,		/* the same behind header and body, of which more is to come */
	BG_WEB_SLAM,			/* the connection is reset instead of an answer */
	BG_WEB_RAW,			/* body is all there is, header and all */
	BG_WEB_RAW_HANG,		/* the same, then nothing until the client goes away */
};

/* The answer for one path.  Cleared memory is an empty body with status 200. */
struct bg_web_answer {
	int             status;		/* 0: 200 */
	const char     *headers;	/* further lines, each with its CR LF, or another Content-Type; NULL: none */
	const char     *body;		/* may hold zero bytes; NULL: none */
	size_t          body_len;	/* bytes; 0: body is a string */
	size_t          fill;		/* so many times "x" behind the body */
	enum bg_web_how how;
	int             delay;		/* milliseconds between request and answer */
};

/* Cleared memory, or NULL instead, is a server as it should be, which answers 404 where nothing was set. */
struct bg_web_options {
	enum bg_web_cert cert;
	int              max_tls;	/* as TLS1_1_VERSION; 0: the newest there is */
	bool             mute;		/* takes connections and never says a word on them, not even of TLS */
	int              port;		/* 0: the kernel chooses */
	const char      *ca_file;	/* where the certificate to trust is written; NULL: in a directory of its own */
	const char      *ca_dir;	/* where ca.key and ca.pem are kept for the next server, made when missing; NULL: nowhere */

	/*
	 * Asked for a path that nothing was set for, from several threads at once; request is the header as it came.
	 * Fills answer, which comes cleared and whose body and headers must be on the heap and are then the server's,
	 * and returns true; or returns false for a 404.
	 */
	bool           (*find)(void *arg, const char *path, const char *request, struct bg_web_answer *answer);
	void           (*arrived)(void *arg, const char *method, const char *path);	/* when a request was read */
	void           (*asked)(void *arg, const char *method, const char *path, int status);	/* after it; 0: no answer */
	void            *arg;
};

struct bg_web *bg_web_start(const struct bg_web_options *options);	/* listens when it returns */
void bg_web_stop(struct bg_web *web);		/* ends all connections, takes away its own files; NULL is fine */

int bg_web_port(const struct bg_web *web);
const char *bg_web_ca_file(const struct bg_web *web);			/* borrowed; PEM */
const char *bg_web_url(struct bg_web *web, const char *path);		/* https://localhost:PORT and path; borrowed */

/* From now on path (with its query) is answered so.  Everything is copied. */
void bg_web_set(struct bg_web *web, const char *path, const struct bg_web_answer *answer);

unsigned bg_web_connections(struct bg_web *web);			/* accepted so far */
unsigned bg_web_count(struct bg_web *web, const char *path);		/* requests read so far; NULL: for all paths */
bool bg_web_wait(struct bg_web *web, const char *path, unsigned n, int seconds);	/* until there were n of them */
const char *bg_web_request(struct bg_web *web);	/* the last request's header as it came; borrowed until the next call */

#endif
