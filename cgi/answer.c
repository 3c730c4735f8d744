#include "cgi/answer.h"

#include "cgi/reply.h"
#include "core/limits.h"

/* FastCGI 1.0 section 8. */
#define FCGI_VERSION_1		1
#define FCGI_END_REQUEST	3
#define FCGI_STDOUT		6
#define FCGI_STDERR		7
#define HEADER_LEN		8
#define END_LEN			8	/* content of an END_REQUEST record */

/* ---- records ---------------------------------------------------------------------------------------------------- */

static size_t
byte_at(struct bg_slice s, size_t i)
{
	return (unsigned char)s.ptr[i];
}

/* What is wrong with a record's header, as much of it as is there.  ended: STDOUT has, so only the end can come. */
static const char *
header_wrong(struct bg_slice bytes, bool ended)
{
	size_t type;

	if (bytes.len > 0 && byte_at(bytes, 0) != FCGI_VERSION_1)
		return "not FastCGI version 1";
	if (bytes.len > 1) {
		type = byte_at(bytes, 1);
		if (type == FCGI_STDERR)
			return "a record of standard error";
		if (type != FCGI_STDOUT && type != FCGI_END_REQUEST)
			return "a record that is none of an answer";
		if (type == FCGI_END_REQUEST && !ended)
			return "the request ended before its answer did";
		if (type == FCGI_STDOUT && ended)
			return "more of the answer behind its end";
	}
	if ((bytes.len > 2 && byte_at(bytes, 2) != BG_ASK_ID >> 8) || (bytes.len > 3 && byte_at(bytes, 3) != (BG_ASK_ID & 0xff)))
		return "a record of another request";
	return NULL;
}

/* END_REQUEST, FastCGI 1.0 section 5.5: everything that matters in it is zero. */
static const char *
end_wrong(struct bg_slice content)
{
	if (content.len != END_LEN)
		return "END_REQUEST of a wrong length";
	for (size_t i = 0; i < 4; i++)
		if (content.ptr[i] != 0)
			return "the application's status is not 0";
	return content.ptr[4] != 0 ? "the request was not completed" : NULL;
}

/* Put the text of all STDOUT records together; *whole: up to the end of the request. */
static const char *
read_records(struct bg_slice bytes, struct bg_buf *text, bool *whole)
{
	bool ended = false;
	const char *wrong;

	*whole = false;
	if (bytes.len > BG_ANSWER_RECORDS_MAX)
		return "the answer is too large";
	for (;;) {
		size_t content, padding;
		bool end;

		if ((wrong = header_wrong(bytes, ended)) != NULL || bytes.len < HEADER_LEN)
			return wrong;
		end = byte_at(bytes, 1) == FCGI_END_REQUEST;
		content = byte_at(bytes, 4) << 8 | byte_at(bytes, 5);
		padding = byte_at(bytes, 6);
		bytes = bg_slice_skip(bytes, HEADER_LEN);
		/* said at once: there is no use in waiting for too much */
		if (end && content != END_LEN)
			return "END_REQUEST of a wrong length";
		if (!end && content > BG_ANSWER_MAX - text->len)
			return "the answer is too large";
		if (bytes.len < content + padding)
			return NULL;
		if (end) {
			if ((wrong = end_wrong((struct bg_slice){ bytes.ptr, content })) != NULL)
				return wrong;
			*whole = true;
			return bytes.len > content + padding ? "something behind the end of the request" : NULL;
		}
		if (content == 0)
			ended = true;
		else
			bg_buf_put(text, (struct bg_slice){ bytes.ptr, content });
		bytes = bg_slice_skip(bytes, content + padding);
	}
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

/* Take a line with its CRLF off text; false where there is none, or one with odd bytes in it. */
static bool
take_line(struct bg_slice *text, struct bg_slice *line)
{
	const char *end = text->len > 0 ? memchr(text->ptr, '\n', text->len) : NULL;

	if (end == NULL || end == text->ptr || end[-1] != '\r')
		return false;
	*line = (struct bg_slice){ text->ptr, (size_t)(end - text->ptr) - 1 };
	*text = bg_slice_skip(*text, line->len + 2);
	return bg_reply_is_safe(*line);
}

/* "Name: value" */
static bool
cut_header(struct bg_slice line, struct bg_slice *name, struct bg_slice *value)
{
	const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;

	if (colon == NULL || colon == line.ptr)
		return false;
	*name = (struct bg_slice){ line.ptr, (size_t)(colon - line.ptr) };
	*value = bg_slice_skip(line, name->len + 1);
	if (value->len == 0 || value->ptr[0] != ' ')
		return false;
	*value = bg_slice_skip(*value, 1);
	return true;
}

/* "Status: 200 OK", first of all; 0: it is not there.  A phrase may be missing. */
static int
read_status(struct bg_slice line)
{
	struct bg_slice rest;
	int status = 0;

	if (!bg_slice_starts(line, BG_SLICE("Status: ")))
		return 0;
	rest = bg_slice_skip(line, strlen("Status: "));
	if (rest.len < 3 || (rest.len > 3 && rest.ptr[3] != ' '))
		return 0;
	for (size_t i = 0; i < 3; i++) {
		if (rest.ptr[i] < '0' || rest.ptr[i] > '9')
			return 0;
		status = status * 10 + (rest.ptr[i] - '0');
	}
	return status;
}

/* May the daemon set a variable of this name? */
static bool
is_ours(struct bg_slice name, const struct bg_exports *exports)
{
	static const struct bg_slice fixed[] = { BG_SLICE_INIT("REMOTE_USER"), BG_SLICE_INIT("AUTH_TYPE"), BG_SLICE_INIT("CLAIMS_JSON") };

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (bg_slice_equal(name, fixed[i]))
			return true;
	for (size_t i = 0; i < exports->n_exports; i++)
		if (bg_slice_equal(name, bg_slice_str(exports->exports[i].name)))
			return true;
	if (!bg_slice_starts(name, BG_SLICE("CLAIM_")))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!((name.ptr[i] >= 'A' && name.ptr[i] <= 'Z') || (name.ptr[i] >= '0' && name.ptr[i] <= '9') || name.ptr[i] == '_'))
			return false;
	return true;
}

static bool
has_variable(struct bg_slice variables, struct bg_slice wanted)
{
	struct bg_slice name, value;

	while (bg_export_next(&variables, &name, &value))
		if (bg_slice_equal(name, wanted))
			return true;
	return false;
}

static struct bg_slice
built(const struct bg_buf *buf)
{
	return (struct bg_slice){ buf->data, buf->len };
}

static const char *
read_allow(struct bg_slice text, const struct bg_exports *exports, struct bg_response *out)
{
	struct bg_slice line, name, value;
	size_t count = 0;

	for (;;) {
		if (!take_line(&text, &line))
			return "a header is cut off, or has odd bytes in it";
		if (line.len == 0)
			break;
		if (!cut_header(line, &name, &value) || !bg_slice_starts(name, BG_SLICE("Variable-")))
			return "an allow with another header than variables";
		name = bg_slice_skip(name, strlen("Variable-"));
		if (!is_ours(name, exports))
			return "a variable that is not ours to set; of one with a name of its own, the export block belongs here too";
		if (has_variable(built(&out->variables), name) || ++count > BG_EXPORT_MAX + 3)
			return "a variable twice, or too many of them";
		bg_buf_put(&out->variables, name);
		bg_buf_put_char(&out->variables, '\0');
		bg_buf_put(&out->variables, value);
		bg_buf_put_char(&out->variables, '\0');
	}
	if (text.len > 0)
		return "an allow with a body";
	if (!has_variable(built(&out->variables), BG_SLICE("AUTH_TYPE")))
		return "an allow without AUTH_TYPE";
	if (out->variables.failed)
		return "the answer is too large, or there is no memory";
	return NULL;
}

/* Headers of a denial, as bits of a set of those that came. */
enum { CHALLENGE = 1, NONCE = 2, RETRY_AFTER = 4, STATUS = 8, CACHE = 16, TYPE = 32 };

static const struct { struct bg_slice name; unsigned bit; } headers[] = {
	{ BG_SLICE_INIT("WWW-Authenticate"), CHALLENGE },
	{ BG_SLICE_INIT("DPoP-Nonce"), NONCE },
	{ BG_SLICE_INIT("Retry-After"), RETRY_AFTER },
	{ BG_SLICE_INIT("X-Bearergate-Status"), STATUS },
	{ BG_SLICE_INIT("Cache-Control"), CACHE },
	{ BG_SLICE_INIT("Content-Type"), TYPE },
};

/* A number of at most nine digits; -1: it is none. */
static int64_t
read_number(struct bg_slice text)
{
	int64_t n = 0;

	if (text.len == 0 || text.len > 9)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -1;
		n = n * 10 + (text.ptr[i] - '0');
	}
	return n;
}

static bool
take_header(struct bg_response *out, unsigned bit, struct bg_slice value)
{
	switch (bit) {
	case CHALLENGE:
		bg_buf_put(&out->challenge, value);
		return true;
	case NONCE:
		bg_format(out->nonce, sizeof(out->nonce), "%.*s", BG_SLICE_ARG(value));
		return value.len > 0 && value.len < sizeof(out->nonce);
	case RETRY_AFTER:
		out->retry_after = read_number(value);
		return out->retry_after >= 0;
	case STATUS:
		return read_number(value) == out->status;
	case CACHE:
		return bg_slice_equal(value, BG_SLICE("no-store"));
	default:
		return bg_slice_equal(value, BG_SLICE("application/json"));
	}
}

static const char *
read_denial(struct bg_slice text, struct bg_response *out)
{
	struct bg_slice line, name, value;
	unsigned seen = 0;

	for (;;) {
		unsigned bit = 0;

		if (!take_line(&text, &line))
			return "a header is cut off, or has odd bytes in it";
		if (line.len == 0)
			break;
		if (!cut_header(line, &name, &value))
			return "a line that is no header";
		for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
			if (bg_slice_equal(name, headers[i].name))
				bit = headers[i].bit;
		if (bit == 0 || (seen & bit) != 0 || !take_header(out, bit, value))
			return "a denial with a header that is not bearergate-fcgi's";
		seen |= bit;
	}
	if ((seen & (STATUS | CACHE | TYPE)) != (STATUS | CACHE | TYPE))
		return "a denial without the headers of bearergate-fcgi's";
	if (!bg_reply_is_safe(text))
		return "a denial with a body that is not bearergate-fcgi's";
	bg_buf_put(&out->body, text);
	return out->challenge.failed || out->body.failed ? "the answer is too large, or there is no memory" : NULL;
}

static const char *
read_text(struct bg_slice text, const struct bg_exports *exports, struct bg_response *out)
{
	const char *wrong;
	struct bg_slice line;
	int status;

	/* An answer without a status is an approval to some servers, and never to us. */
	if (!take_line(&text, &line) || (status = read_status(line)) == 0)
		return "an answer that does not begin with its status";
	if (status == 200) {
		if ((wrong = read_allow(text, exports, out)) == NULL)
			out->status = status;
		return wrong;
	}
	if (status != 400 && status != 401 && status != 403 && status != 500 && status != 503)
		return "a status that is not bearergate-fcgi's";
	out->status = status;
	return read_denial(text, out);
}

enum bg_answer
bg_answer_read(struct bg_slice bytes, const struct bg_exports *exports, struct bg_response *response, const char **why)
{
	struct bg_buf text;
	bool whole;

	bg_response_reset(response);
	bg_buf_init(&text, BG_ANSWER_MAX);
	*why = read_records(bytes, &text, &whole);
	if (*why == NULL && text.failed)
		*why = "there is no memory";
	if (*why == NULL && whole)
		*why = read_text(built(&text), exports, response);
	bg_buf_clear(&text);
	if (*why == NULL && whole)
		return BG_ANSWER_WHOLE;
	bg_response_reset(response);
	return *why != NULL ? BG_ANSWER_BAD : BG_ANSWER_MORE;
}
