#include "fetch/https.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sysexits.h>

#include "config.h"
#include "core/address.h"
#include "core/etag.h"
#include "core/url.h"

/* Seconds for name, connection and TLS together where the whole may take longer: what is dead need not take a minute. */
#define CONNECT_MAX	10

/* Bytes of header lines, 1xx answers and trailers included; real issuers send 2 KiB. */
#define HEADERS_MAX	(64 * 1024)

/* RFC 9111 section 1.2.2: the number above which seconds need not be told apart. */
#define DELTA_MAX	INT64_C(2147483648)

struct transfer {
	const struct bg_https_request *request;
	CURL              *easy;
	struct curl_slist *lines;	/* of the request's header, beside libcurl's own */
	struct bg_buf     *body;
	size_t             header_bytes;
	bool               opened;	/* an address was found good enough to connect to */
	char               refused[INET6_ADDRSTRLEN + 64];	/* the first address that was not, and why; "" */
	char               text[CURL_ERROR_SIZE];	/* libcurl's own words on a failure */
};

/* What libcurl may report, and the exit code that says it to a script.  Any other is a fault of ours. */
static const struct {
	CURLcode code;
	int      exit_code;
} failures[] = {
	{ CURLE_URL_MALFORMAT,            EX_USAGE },
	{ CURLE_UNSUPPORTED_PROTOCOL,     EX_DATAERR },		/* HTTP/0.9: the scheme is checked before */
	{ CURLE_WEIRD_SERVER_REPLY,       EX_DATAERR },
	{ CURLE_PARTIAL_FILE,             EX_DATAERR },
	{ CURLE_BAD_CONTENT_ENCODING,     EX_DATAERR },
	{ CURLE_FILESIZE_EXCEEDED,        EX_DATAERR },
#if LIBCURL_VERSION_NUM >= 0x080600
	{ CURLE_TOO_LARGE,                EX_DATAERR },
#endif
	{ CURLE_SSL_CACERT_BADFILE,       EX_NOINPUT },
	{ CURLE_COULDNT_RESOLVE_HOST,     EX_NOHOST },
	{ CURLE_COULDNT_RESOLVE_PROXY,    EX_NOHOST },
	{ CURLE_PROXY,                    EX_UNAVAILABLE },
	{ CURLE_COULDNT_CONNECT,          EX_UNAVAILABLE },
	{ CURLE_SEND_ERROR,               EX_UNAVAILABLE },
	{ CURLE_RECV_ERROR,               EX_UNAVAILABLE },
	{ CURLE_GOT_NOTHING,              EX_UNAVAILABLE },
	{ CURLE_OPERATION_TIMEDOUT,       EX_TEMPFAIL },
	{ CURLE_SSL_CONNECT_ERROR,        EX_PROTOCOL },
	{ CURLE_SSL_CIPHER,               EX_PROTOCOL },
	{ CURLE_PEER_FAILED_VERIFICATION, EX_PROTOCOL },
	{ CURLE_OUT_OF_MEMORY,            EX_OSERR },
};

/* Codings change what the bytes mean.  We ask for none, so but for these there can be none.  RFC 9110 section 8.4. */
static const struct {
	const char     *header;
	struct bg_slice harmless;
} codings[] = {
	{ "Content-Encoding",  BG_SLICE_INIT("identity") },
	{ "Transfer-Encoding", BG_SLICE_INIT("chunked") },
};

/* A header of the final answer: neither of a 1xx before it nor of the trailers behind it.  The index starts at 0. */
static bool
header_get(CURL *easy, const char *name, size_t index, struct bg_slice *value)
{
	struct curl_header *h;

	if (curl_easy_header(easy, name, index, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return false;
	*value = bg_slice_str(h->value);
	return true;
}

/*
 * libcurl is about to connect.  What is judged is the address the connection will have, so it does not matter what a
 * name stood for a moment ago, or will in the next (SR-52).
 */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *t = arg;
	const char *why = bg_address_not_public(&address->addr);
	char text[INET6_ADDRSTRLEN] = "the server";
	struct sockaddr_in6 v6;

	(void)purpose;
	if (why == NULL) {
		t->opened = true;
		return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	}
	if (address->family == AF_INET)
		(void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)&address->addr)->sin_addr, text, sizeof(text));
	else if (address->family == AF_INET6) {
		memcpy(&v6, &address->addr, sizeof(v6));
		(void)inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
	}
	if (t->refused[0] == '\0')
		bg_format(t->refused, sizeof(t->refused), "%s is %s, and only a public one may be asked", text, why);
	return CURL_SOCKET_BAD;
}

static size_t
take_header(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)line;
	t->header_bytes += size * n;
	return t->header_bytes <= HEADERS_MAX ? size * n : 0;
}

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	long status;

	/* An error page is not waited for: its status has said it all. */
	if (curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200)
		return 0;
	bg_buf_put(t->body, (struct bg_slice){ data, size * n });
	return t->body->failed ? 0 : size * n;
}

/* Ask for the document only if it is another one than we have.  RFC 9110 section 13.1.2. */
static bool
add_etag(struct transfer *t)
{
	char line[sizeof("If-None-Match: ") + BG_ETAG_MAX];

	if (t->request->etag == NULL)
		return true;
	bg_format(line, sizeof(line), "If-None-Match: %s", t->request->etag);
	return (t->lines = curl_slist_append(NULL, line)) != NULL &&
	    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->lines) == CURLE_OK;
}

/* Every one of these must be taken: an option that libcurl does not know is a check that is not made. */
static bool
prepare(struct transfer *t)
{
	const struct bg_https_request *request = t->request;
	long total = (long)request->timeout;
	long connect = total < CONNECT_MAX ? total : CONNECT_MAX;

#define SET(option, value)	(curl_easy_setopt(t->easy, (option), (value)) == CURLE_OK)
	return SET(CURLOPT_ERRORBUFFER, t->text) && SET(CURLOPT_URL, request->url) &&

	    /* https alone, verified always (SR-53); authorities of our own stand instead of the system's, not beside them */
	    SET(CURLOPT_PROTOCOLS_STR, "https") && SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	    SET(CURLOPT_SSL_VERIFYPEER, 1L) && SET(CURLOPT_SSL_VERIFYHOST, 2L) &&
	    ((request->ca_file == NULL && request->ca_dir == NULL) ||
	    (SET(CURLOPT_CAINFO, request->ca_file) && SET(CURLOPT_CAPATH, request->ca_dir))) &&

	    /* the host that was named, and no other (SR-52, SR-87) */
	    SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_REDIR_PROTOCOLS_STR, "https") &&
	    (request->proxy == NULL ? SET(CURLOPT_PROXY, "") && SET(CURLOPT_NOPROXY, "*") :
	    SET(CURLOPT_PROXY, request->proxy) && SET(CURLOPT_NOPROXY, "") && SET(CURLOPT_HTTPPROXYTUNNEL, 1L)) &&
	    (!request->public_only || request->proxy != NULL ||
	    (SET(CURLOPT_OPENSOCKETFUNCTION, open_socket) && SET(CURLOPT_OPENSOCKETDATA, t))) &&

	    /* nothing is sent that could tell us from anybody else */
	    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) && SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) &&
	    SET(CURLOPT_USERAGENT, "bearergate-fetch/" PACKAGE_VERSION) &&
	    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE) && add_etag(t) &&

	    /* bytes as they come: no compression, no HTTP/2, no answer without a header */
	    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) && SET(CURLOPT_HTTP09_ALLOWED, 0L) &&
	    SET(CURLOPT_HTTP_CONTENT_DECODING, 0L) &&
	    SET(CURLOPT_HEADERFUNCTION, take_header) && SET(CURLOPT_HEADERDATA, t) &&
	    SET(CURLOPT_WRITEFUNCTION, take_body) && SET(CURLOPT_WRITEDATA, t) &&
	    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->body->max) &&

	    /* no waiting for a resolver that hangs when the time is up */
	    SET(CURLOPT_TIMEOUT, total) && SET(CURLOPT_CONNECTTIMEOUT, connect) && SET(CURLOPT_NOSIGNAL, 1L) &&
	    SET(CURLOPT_QUICK_EXIT, 1L);
#undef SET
}

/* Take the next directive off a Cache-Control list.  Both parts may be empty.  RFC 9111 section 5.2. */
static bool
next_directive(struct bg_slice *rest, struct bg_slice *name, struct bg_slice *value)
{
	struct bg_slice item = { rest->ptr, 0 };
	const char *equals;
	bool quoted = false;

	if (rest->len == 0)
		return false;
	while (item.len < rest->len && (quoted || item.ptr[item.len] != ',')) {
		if (quoted && item.ptr[item.len] == '\\' && item.len + 1 < rest->len)
			item.len++;
		else if (item.ptr[item.len] == '"')
			quoted = !quoted;
		item.len++;
	}
	*rest = bg_slice_skip(*rest, item.len < rest->len ? item.len + 1 : item.len);
	while (item.len > 0 && (item.ptr[0] == ' ' || item.ptr[0] == '\t'))
		item = bg_slice_skip(item, 1);
	while (item.len > 0 && (item.ptr[item.len - 1] == ' ' || item.ptr[item.len - 1] == '\t'))
		item.len--;

	*name = item;
	*value = (struct bg_slice){ NULL, 0 };
	if (item.len > 0 && (equals = memchr(item.ptr, '=', item.len)) != NULL) {
		name->len = (size_t)(equals - item.ptr);
		*value = bg_slice_skip(item, name->len + 1);
		if (value->len >= 2 && value->ptr[0] == '"' && value->ptr[value->len - 1] == '"')
			*value = (struct bg_slice){ value->ptr + 1, value->len - 2 };
	}
	return true;
}

/* Digits alone, and not above DELTA_MAX.  RFC 9111 section 1.2.2. */
static bool
read_delta(struct bg_slice text, int64_t *seconds)
{
	int64_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + (text.ptr[i] - '0');
		if (n > DELTA_MAX)
			return false;
	}
	*seconds = n;
	return text.len > 0;
}

/*
 * How long the answer may be kept: max-age, less the time it has spent in caches on its way.  Of two max-age the first
 * counts, and what cannot be read counts as not said.  RFC 9111 sections 4.2, 5.1 and 5.2.2.
 */
static int64_t
lifetime(CURL *easy)
{
	struct bg_slice list, name, value;
	int64_t max_age = -1, seconds;

	for (size_t i = 0; header_get(easy, "Cache-Control", i, &list); i++)
		while (next_directive(&list, &name, &value)) {
			if (bg_slice_equal_nocase(name, BG_SLICE("no-store")) ||
			    bg_slice_equal_nocase(name, BG_SLICE("no-cache")))
				return 0;
			if (max_age < 0 && bg_slice_equal_nocase(name, BG_SLICE("max-age")) &&
			    read_delta(value, &seconds))
				max_age = seconds;
		}
	if (max_age > 0 && header_get(easy, "Age", 0, &value) && read_delta(value, &seconds))
		max_age = seconds < max_age ? max_age - seconds : 0;
	return max_age;
}

/*
 * The entity tag of the document, if it has just one and that is one we would hand back: what cannot be read counts as
 * not said.  RFC 9110 section 8.8.3.
 */
static void
read_etag(CURL *easy, char etag[BG_ETAG_MAX + 1])
{
	struct bg_slice value, another;

	etag[0] = '\0';
	if (header_get(easy, "ETag", 0, &value) && !header_get(easy, "ETag", 1, &another) && bg_etag_good(value))
		bg_format(etag, BG_ETAG_MAX + 1, "%.*s", (int)value.len, value.ptr);
}

/*
 * Does the status say that the server does not offer this document, rather than that we should come again?  RFC 9110
 * section 15.5; its section 15.5.9, RFC 8470 section 5.2 and RFC 6585 section 4 for those that are no such answer.
 */
static bool
is_missing(long status)
{
	return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

static int
check_codings(CURL *easy, struct bg_error *err)
{
	struct bg_slice value;

	for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++)
		for (size_t j = 0; header_get(easy, codings[i].header, j, &value); j++)
			if (!bg_slice_equal_nocase(value, codings[i].harmless)) {
				bg_fail(err, BG_R_FETCH_FAILED, "the answer came with %s: %.*s, which was not asked for",
				    codings[i].header, BG_SLICE_ARG(value));
				return EX_DATAERR;
			}
	return 0;
}

/* Judge what curl_easy_perform left behind.  The status comes first: it says more than a body cut short by us. */
static int
judge(const struct transfer *t, CURLcode code, struct bg_error *err)
{
	struct bg_slice location;
	long status = 0;
	char *target = NULL;

	if (curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
	    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &target) != CURLE_OK) {
		bg_fail(err, BG_R_FETCH_FAILED, "libcurl cannot say what came");
		return EX_SOFTWARE;
	}
	if (t->header_bytes > HEADERS_MAX) {
		bg_fail(err, BG_R_FETCH_FAILED, "the header of the answer is larger than %d bytes", HEADERS_MAX);
		return EX_DATAERR;
	}
	if (status == 304 && t->request->etag != NULL && code == CURLE_OK)
		return 0;
	if (status >= 200 && status != 200) {
		if (target != NULL)
			bg_fail(err, BG_R_FETCH_FAILED, "status %ld, a redirect to %.200s; redirects are not followed",
			    status, target);
		else if (status < 400 && header_get(t->easy, "Location", 0, &location))
			/* libcurl makes no URL of it once we have refused the body */
			bg_fail(err, BG_R_FETCH_FAILED, "status %ld, a redirect to %.200s; redirects are not followed",
			    status, location.ptr);
		else
			bg_fail(err, BG_R_FETCH_FAILED, "status %ld instead of 200", status);
		return is_missing(status) ? BG_HTTPS_MISSING : EX_DATAERR;
	}
	if (t->body->failed || code == CURLE_FILESIZE_EXCEEDED) {
		bg_fail(err, BG_R_FETCH_FAILED, "the answer is larger than %zu bytes", t->body->max);
		return EX_DATAERR;
	}
	if (code == CURLE_OK && status == 200)
		return check_codings(t->easy, err);

	if (t->refused[0] != '\0' && !t->opened) {
		bg_fail(err, BG_R_FETCH_FAILED, "%s", t->refused);
		return EX_NOPERM;
	}
	bg_fail(err, BG_R_FETCH_FAILED, "%s", t->text[0] != '\0' ? t->text : curl_easy_strerror(code));
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (failures[i].code == code)
			return failures[i].exit_code;
	return EX_SOFTWARE;
}

/* What came with an answer that judge has found good. */
static int
read_answer(const struct transfer *t, struct bg_https_answer *answer, struct bg_error *err)
{
	char *address = NULL;
	long status;

	if (curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
	    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &address) != CURLE_OK || address == NULL || address[0] == '\0') {
		bg_fail(err, BG_R_FETCH_FAILED, "libcurl cannot say what came");
		return EX_SOFTWARE;
	}
	answer->max_age = lifetime(t->easy);
	answer->not_modified = status == 304;
	answer->private_peer = bg_address_host_not_public(t->request->proxy != NULL ?
	    bg_url_host(bg_slice_str(t->request->url)) : bg_slice_str(address)) != NULL;
	if (!answer->not_modified)
		read_etag(t->easy, answer->etag);
	return 0;
}

int
bg_https_get(const struct bg_https_request *request, struct bg_buf *body, struct bg_https_answer *answer,
    struct bg_error *err)
{
	struct transfer t = { .request = request, .body = body };
	struct bg_slice host = bg_url_host(bg_slice_str(request->url));
	const char *why;
	int rc = EX_SOFTWARE;

	*answer = (struct bg_https_answer){ .max_age = -1 };
	/* A proxy looks names up itself; what needs no looking up is ours to refuse. */
	if (request->public_only && request->proxy != NULL && (why = bg_address_host_not_public(host)) != NULL) {
		bg_fail(err, BG_R_FETCH_FAILED, "%.*s is %s, and only a public one may be asked", BG_SLICE_ARG(host), why);
		return EX_NOPERM;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		bg_fail(err, BG_R_FETCH_FAILED, "libcurl does not start");
		return EX_SOFTWARE;
	}
	if ((t.easy = curl_easy_init()) == NULL || !prepare(&t)) {
		bg_fail(err, BG_R_FETCH_FAILED, "libcurl cannot do what is needed: %s", t.text);
		goto out;
	}
	if ((rc = judge(&t, curl_easy_perform(t.easy), err)) == 0)
		rc = read_answer(&t, answer, err);
out:
	curl_easy_cleanup(t.easy);
	curl_slist_free_all(t.lines);
	curl_global_cleanup();
	return rc;
}

const char *
bg_https_version(void)
{
	return curl_version();
}
