#ifndef BG_TOOL_HTTP_H
#define BG_TOOL_HTTP_H

#include <stdint.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/stream.h"

/*
 * HTTP/1.1 as "bearergate doctor" needs it: one request for one connection, sent just as it was written, and what came back.
 * No redirect is followed, no proxy asked, nothing kept.  RFC 9112.
 */

/* ---- a URL ------------------------------------------------------------------------------------------------------- */

#define BG_HTTP_AUTHORITY_MAX	(BG_HOST_MAX + 16)

struct bg_http_url {
	bool tls;
	bool numeric;			/* host is an address */
	char host[BG_HOST_MAX + 1];	/* without brackets */
	char port[6];
	char authority[BG_HTTP_AUTHORITY_MAX];	/* as it was written, for Host */
	char path[BG_URL_MAX];	/* begins with a slash; "/" where the URL has none */
};

/*
 * Take apart an http or https URL of host, perhaps port, and path.  Returns NULL, or static words on what is wrong with it:
 * credentials, a query and a fragment are, and every byte that would end the line of a request.
 *
 * RFC 3986 section 3, RFC 9110 section 4.2.
 */
const char *bg_http_url_parse(const char *text, struct bg_http_url *out);

/* ---- an answer --------------------------------------------------------------------------------------------------- */

struct bg_http_answer {
	int             status;		/* 0: none came */
	struct bg_slice head;		/* lines behind the status line; borrowed from raw */
	struct bg_buf   raw;		/* as it came */
	struct bg_buf   body;		/* decoded; its first BG_HTTP_BODY_MAX bytes */
};

void bg_http_answer_init(struct bg_http_answer *answer);
void bg_http_answer_clear(struct bg_http_answer *answer);

enum bg_http_state { BG_HTTP_MORE, BG_HTTP_DONE, BG_HTTP_BROKEN };

/*
 * Read what is in raw so far.  ended says that no more will come; bodiless that the request was a HEAD.  Answers 1xx are
 * passed over.  With BG_HTTP_MORE it is to be called again when there is more; a body that was cut is what there is of it.
 * With BG_HTTP_BROKEN, where this is no HTTP/1 or the head is longer than BG_HTTP_HEAD_MAX, status is 0.
 *
 * RFC 9112 sections 2, 4, 6 and 7.
 */
enum bg_http_state bg_http_answer_read(struct bg_http_answer *answer, bool bodiless, bool ended);

/* The nth header of this name, from 0, without white space around it; ptr is NULL when there is none. */
struct bg_slice bg_http_header(const struct bg_http_answer *answer, struct bg_slice name, size_t nth);

/* ---- asking ------------------------------------------------------------------------------------------------------ */

struct bg_http {
	struct bg_http_url url;		/* where to, and nowhere else; the path is each request's own */
	struct bg_tls     *tls;		/* NULL for http */
	int64_t            timeout_ms;	/* for one request and its answer */
	char               name[BG_HTTP_AUTHORITY_MAX];	/* for details */
};

/* ca_file may be NULL: the system's authorities.  Returns -1 with BG_R_FETCH_FAILED. */
int bg_http_start(struct bg_http *http, const char *url, const char *ca_file, int64_t timeout_ms,
    struct bg_error *err) BG_MUST_CHECK;
void bg_http_stop(struct bg_http *http);

/*
 * Send request, which is complete, and read the answer into answer, which comes initialised and empty.
 * Returns -1 with BG_R_FETCH_FAILED when none came in time, or none that can be read, or BG_R_NO_MEMORY.
 */
int bg_http_ask(const struct bg_http *http, struct bg_slice request, bool bodiless, struct bg_http_answer *answer,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Does the server speak HTTP/2 there: over TLS with who asks for it, or else with who simply begins?  False too where it cannot
 * be asked, or does not answer in time.
 *
 * RFC 9113 sections 3.2 to 3.4.
 */
bool bg_http_speaks_2(const struct bg_http *http);

#endif
