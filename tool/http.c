#include "tool/http.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>

#include "core/clock.h"

/* ---- a URL ------------------------------------------------------------------------------------------------------- */

static bool
is_address(const char *host)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* "host:port", "[::1]:port" or either without a port. */
static const char *
take_authority(struct bg_slice authority, struct bg_http_url *out)
{
	bool bracketed = authority.len > 0 && authority.ptr[0] == '[';
	const char *end = bracketed ? memchr(authority.ptr, ']', authority.len) : memchr(authority.ptr, ':', authority.len);
	struct bg_slice host = authority, port = { 0 };
	long number;

	if (bracketed && end == NULL)
		return "has a bracket that does not end";
	if (bracketed) {
		host = (struct bg_slice){ authority.ptr + 1, (size_t)(end - authority.ptr) - 1 };
		port = bg_slice_skip(authority, host.len + 2);
		if (port.len > 0 && port.ptr[0] != ':')
			return "has something between host and port";
		port = port.len > 0 ? bg_slice_skip(port, 1) : (struct bg_slice){ 0 };
	} else if (end != NULL) {
		host.len = (size_t)(end - authority.ptr);
		port = bg_slice_skip(authority, host.len + 1);
	}
	if (host.len == 0)
		return "has no host";
	if (host.len > BG_HOST_MAX || authority.len >= sizeof(out->authority))
		return "has too long a host";
	bg_format(out->host, sizeof(out->host), "%.*s", (int)host.len, host.ptr);
	bg_format(out->authority, sizeof(out->authority), "%.*s", (int)authority.len, authority.ptr);
	bg_format(out->port, sizeof(out->port), "%s", out->tls ? "443" : "80");
	out->numeric = is_address(out->host);
	if (bracketed && !out->numeric)
		return "has brackets around what is no address";
	if (port.ptr == NULL)
		return NULL;
	bg_format(out->port, sizeof(out->port), "%.*s", (int)(port.len > 5 ? 5 : port.len), port.ptr);
	number = strtol(out->port, NULL, 10);
	if (port.len == 0 || port.len > 5 || strspn(out->port, "0123456789") != port.len || number < 1 || number > 65535)
		return "has no good port";
	return NULL;
}

const char *
bg_http_url_parse(const char *text, struct bg_http_url *out)
{
	struct bg_slice rest = bg_slice_str(text), authority;
	const char *wrong;

	*out = (struct bg_http_url){ 0 };
	if (bg_slice_starts(rest, BG_SLICE("https://")))
		out->tls = true;
	else if (!bg_slice_starts(rest, BG_SLICE("http://")))
		return "is neither http:// nor https://";
	if (rest.len >= BG_URL_MAX)
		return "is too long";
	for (size_t i = 0; i < rest.len; i++)
		if (rest.ptr[i] <= ' ' || rest.ptr[i] >= 0x7f || strchr("\"<>\\^`{|}", rest.ptr[i]) != NULL)
			return "has a character that must be percent-encoded";
	if (strpbrk(text, "?#") != NULL)
		return "has a query or a fragment; a path is enough here";
	rest = bg_slice_skip(rest, out->tls ? 8 : 7);
	authority = (struct bg_slice){ rest.ptr, strcspn(rest.ptr, "/") };
	if (memchr(authority.ptr, '@', authority.len) != NULL)
		return "has credentials in it";
	if ((wrong = take_authority(authority, out)) != NULL)
		return wrong;
	rest = bg_slice_skip(rest, authority.len);
	bg_format(out->path, sizeof(out->path), "%s", rest.len > 0 ? rest.ptr : "/");
	return NULL;
}

/* ---- an answer --------------------------------------------------------------------------------------------------- */

void
bg_http_answer_init(struct bg_http_answer *answer)
{
	*answer = (struct bg_http_answer){ 0 };
	bg_buf_init(&answer->raw, BG_HTTP_HEAD_MAX + BG_HTTP_BODY_MAX);
	bg_buf_init(&answer->body, BG_HTTP_BODY_MAX);
}

void
bg_http_answer_clear(struct bg_http_answer *answer)
{
	bg_buf_clear(&answer->raw);
	bg_buf_clear(&answer->body);
	answer->status = 0;
	answer->head = (struct bg_slice){ 0 };
}

/* Take a line off rest, without its end.  False when it is not all there.  RFC 9112 section 2.2: LF alone may end it too. */
static bool
take_line(struct bg_slice *rest, struct bg_slice *line)
{
	const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;

	if (end == NULL)
		return false;
	*line = (struct bg_slice){ rest->ptr, (size_t)(end - rest->ptr) };
	*rest = bg_slice_skip(*rest, line->len + 1);
	if (line->len > 0 && line->ptr[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* "HTTP/1.1 401 Unauthorized"; 0 when it is no such line.  RFC 9112 section 4. */
static int
status_of(struct bg_slice line)
{
	int status = 0;

	if (line.len < 12 || !bg_slice_starts(line, BG_SLICE("HTTP/1.")) || line.ptr[8] != ' ' ||
	    (line.len > 12 && line.ptr[12] != ' '))
		return 0;
	for (int i = 9; i < 12; i++) {
		if (line.ptr[i] < '0' || line.ptr[i] > '9')
			return 0;
		status = status * 10 + line.ptr[i] - '0';
	}
	return status >= 100 ? status : 0;
}

static struct bg_slice
trim(struct bg_slice text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = bg_slice_skip(text, 1);
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

struct bg_slice
bg_http_header(const struct bg_http_answer *answer, struct bg_slice name, size_t nth)
{
	struct bg_slice rest = answer->head, line;

	while (take_line(&rest, &line)) {
		const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;

		if (colon == NULL)
			continue;
		if (bg_slice_equal_nocase((struct bg_slice){ line.ptr, (size_t)(colon - line.ptr) }, name) && nth-- == 0)
			return trim(bg_slice_skip(line, (size_t)(colon - line.ptr) + 1));
	}
	return (struct bg_slice){ 0 };
}

/* Put bytes into body as far as it takes them; the first part is enough. */
static void
put_body(struct bg_http_answer *answer, struct bg_slice bytes)
{
	size_t room = answer->body.max - answer->body.len;

	if (bytes.len > room)
		bytes.len = room;
	if (bytes.len > 0)
		bg_buf_put(&answer->body, bytes);
}

/* A number of bytes in this base; false when there is none, or more than any answer has. */
static bool
take_size(struct bg_slice text, int base, size_t *out)
{
	size_t n = 0;

	*out = 0;
	for (; n < text.len; n++) {
		char c = text.ptr[n];
		int digit = c >= '0' && c <= '9' ? c - '0' : base == 16 && c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		    base == 16 && c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

		if (digit < 0)
			break;
		if (n == 15)
			return false;
		*out = *out * (size_t)base + (size_t)digit;
	}
	return n > 0 && (base == 16 || n == text.len);	/* behind a chunk's size there may be extensions */
}

/* RFC 9112 section 7.1. */
static enum bg_http_state
read_chunks(struct bg_http_answer *answer, struct bg_slice rest)
{
	struct bg_slice line;
	size_t size;

	while (take_line(&rest, &line)) {
		if (!take_size(line, 16, &size))
			return BG_HTTP_BROKEN;
		if (size == 0)
			return BG_HTTP_DONE;
		put_body(answer, (struct bg_slice){ rest.ptr, size < rest.len ? size : rest.len });
		if (rest.len <= size || answer->body.len == answer->body.max)
			break;
		rest = bg_slice_skip(rest, size);
		if (!take_line(&rest, &line))
			break;
		if (line.len > 0)
			return BG_HTTP_BROKEN;
	}
	return answer->body.len == answer->body.max ? BG_HTTP_DONE : BG_HTTP_MORE;
}

/* RFC 9112 section 6.3. */
static enum bg_http_state
read_body(struct bg_http_answer *answer, struct bg_slice rest, bool bodiless)
{
	struct bg_slice length = bg_http_header(answer, BG_SLICE("Content-Length"), 0);
	struct bg_slice coding = bg_http_header(answer, BG_SLICE("Transfer-Encoding"), 0);
	size_t size;

	bg_buf_reset(&answer->body);
	if (bodiless || answer->status == 204 || answer->status == 304)
		return BG_HTTP_DONE;
	if (bg_slice_equal_nocase(coding, BG_SLICE("chunked")))
		return read_chunks(answer, rest);
	if (length.ptr == NULL || !take_size(length, 10, &size)) {
		put_body(answer, rest);
		return answer->body.len == answer->body.max ? BG_HTTP_DONE : BG_HTTP_MORE;
	}
	put_body(answer, (struct bg_slice){ rest.ptr, size < rest.len ? size : rest.len });
	return rest.len >= size || answer->body.len == answer->body.max ? BG_HTTP_DONE : BG_HTTP_MORE;
}

/* One head of rest, which may be of an answer 1xx.  status is 0 unless it is all there. */
static enum bg_http_state
read_head(struct bg_slice *rest, int *status, struct bg_slice *head)
{
	struct bg_slice line, from;
	int said;

	*status = 0;
	if (!take_line(rest, &line))
		return rest->len > BG_HTTP_HEAD_MAX ? BG_HTTP_BROKEN : BG_HTTP_MORE;
	if ((said = status_of(line)) == 0)
		return BG_HTTP_BROKEN;
	from = *rest;
	while (take_line(rest, &line))
		if (line.len == 0) {
			*head = (struct bg_slice){ from.ptr, (size_t)(line.ptr - from.ptr) };
			if (head->len > BG_HTTP_HEAD_MAX)
				return BG_HTTP_BROKEN;
			*status = said;
			return BG_HTTP_DONE;
		}
	return from.len > BG_HTTP_HEAD_MAX ? BG_HTTP_BROKEN : BG_HTTP_MORE;
}

enum bg_http_state
bg_http_answer_read(struct bg_http_answer *answer, bool bodiless, bool ended)
{
	struct bg_slice rest = { answer->raw.data, answer->raw.len };
	enum bg_http_state state;

	do
		state = read_head(&rest, &answer->status, &answer->head);
	while (state == BG_HTTP_DONE && answer->status < 200 && answer->status != 101);
	if (state == BG_HTTP_DONE)
		state = read_body(answer, rest, bodiless);
	if (state == BG_HTTP_MORE && ended)
		state = answer->status >= 200 ? BG_HTTP_DONE : BG_HTTP_BROKEN;
	if (state == BG_HTTP_BROKEN)
		answer->status = 0;
	return state;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

int
bg_http_start(struct bg_http *http, const char *url, const char *ca_file, int64_t timeout_ms, struct bg_error *err)
{
	const char *wrong;

	*http = (struct bg_http){ .timeout_ms = timeout_ms };
	if ((wrong = bg_http_url_parse(url, &http->url)) != NULL)
		return bg_fail(err, BG_R_BAD_REQUEST, "the URL %s", wrong);
	bg_format(http->name, sizeof(http->name), "%s", http->url.authority);
	return http->url.tls ? bg_tls_new(http->name, BG_R_FETCH_FAILED, ca_file, NULL, &http->tls, err) : 0;
}

void
bg_http_stop(struct bg_http *http)
{
	bg_tls_free(http->tls);
	http->tls = NULL;
}

/* To the first of its addresses that answers.  Whoever waits can interrupt a slow name server. */
static int
reach(const struct bg_http *http, struct bg_stream *stream, int64_t deadline, struct bg_error *err)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *list = NULL;
	struct bg_error why = { 0 };
	int rc = getaddrinfo(http->url.host, http->url.port, &hints, &list);

	if (rc != 0)
		return bg_fail(err, BG_R_FETCH_FAILED, "%s: no address: %s", http->name, gai_strerror(rc));
	rc = -1;
	for (struct addrinfo *at = list; rc != 0 && at != NULL; at = at->ai_next) {
		bg_error_clear(&why);
		rc = bg_stream_connect(stream, at->ai_addr, at->ai_addrlen, deadline, &why);
	}
	freeaddrinfo(list);
	return rc == 0 ? 0 : bg_fail(err, why.reason, "%s", why.detail);
}

static int
read_answer(struct bg_stream *stream, bool bodiless, int64_t deadline, struct bg_http_answer *answer, struct bg_error *err)
{
	enum bg_http_state state = BG_HTTP_MORE;
	struct bg_error why = { 0 };
	char bytes[16 * 1024];
	bool ended = false;
	size_t len;

	while (state == BG_HTTP_MORE) {
		size_t room = answer->raw.max - answer->raw.len;

		/* However it ends: what is there of a body is enough, and of a head is not. */
		ended = room == 0 || bg_stream_receive(stream, bytes, room < sizeof(bytes) ? room : sizeof(bytes), deadline, &len,
		    &why) != 0;
		if (!ended)
			bg_buf_put(&answer->raw, (struct bg_slice){ bytes, len });
		if (answer->raw.failed)
			return bg_fail(err, BG_R_NO_MEMORY, "an answer");
		state = bg_http_answer_read(answer, bodiless, ended);
	}
	if (state == BG_HTTP_DONE)
		return answer->body.failed ? bg_fail(err, BG_R_NO_MEMORY, "an answer") : 0;
	if (ended && why.reason != BG_R_OK)
		return bg_fail(err, why.reason, "%s", why.detail);
	return bg_fail(err, BG_R_FETCH_FAILED, "%s: what it answers is no HTTP/1", stream->name);
}

static int
open_stream(const struct bg_http *http, struct bg_stream *stream, int64_t deadline, struct bg_error *err)
{
	if (reach(http, stream, deadline, err) != 0)
		return -1;
	return http->tls == NULL ? 0 : bg_stream_start_tls(stream, http->tls, http->url.host, http->url.numeric, deadline, err);
}

int
bg_http_ask(const struct bg_http *http, struct bg_slice request, bool bodiless, struct bg_http_answer *answer,
    struct bg_error *err)
{
	int64_t deadline = bg_clock_mono_ms() + http->timeout_ms;
	struct bg_error unsent = { 0 };
	struct bg_stream stream;
	int rc = -1;

	bg_stream_init(&stream, http->name, BG_R_FETCH_FAILED);
	if (open_stream(http, &stream, deadline, err) == 0) {
		/* A server that has enough of a request may answer and close before it has read all: that is no failure. */
		if (bg_stream_send(&stream, request, deadline, &unsent) != 0)
			bg_error_clear(&unsent);
		rc = read_answer(&stream, bodiless, deadline, answer, err);
	}
	bg_stream_close(&stream);
	return rc;
}

/* The head of a frame: three bytes of length, one of type, one of flags, four of its stream.  RFC 9113 sections 4.1 and 6.5. */
static bool
is_settings(const char *head)
{
	return head[3] == 4 && head[4] == 0 && memcmp(head + 5, "\0\0\0\0", 4) == 0;
}

bool
bg_http_speaks_2(const struct bg_http *http)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\0\4\0\0\0\0";	/* and SETTINGS, none; with its last 0 */
	int64_t deadline = bg_clock_mono_ms() + http->timeout_ms;
	struct bg_error err = { 0 };
	struct bg_stream stream;
	size_t got = 0, len;
	char head[9];

	bg_stream_init(&stream, http->name, BG_R_FETCH_FAILED);
	stream.alpn = "h2";
	if (open_stream(http, &stream, deadline, &err) == 0 &&
	    bg_stream_send(&stream, (struct bg_slice){ preface, sizeof(preface) }, deadline, &err) == 0)
		while (got < sizeof(head) &&
		    bg_stream_receive(&stream, head + got, sizeof(head) - got, deadline, &len, &err) == 0)
			got += len;
	bg_stream_close(&stream);
	return got == sizeof(head) && is_settings(head);
}
