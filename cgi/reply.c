#include "cgi/reply.h"

#include <inttypes.h>

#include "core/export.h"
#include "core/limits.h"

/* The phrases of the statuses in core/reasons.def, and of a script that is not there.  RFC 9110 section 15. */
static const char *
phrase(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 503: return "Service Unavailable";
	default:  return "Internal Server Error";
	}
}

bool
bg_reply_is_safe(struct bg_slice text)
{
	return bg_slice_is_printable(text);
}

static void
put_value(struct bg_buf *out, struct bg_slice value)
{
	if (!bg_reply_is_safe(value))
		out->failed = true;
	bg_buf_put_str(out, ": ");
	bg_buf_put(out, value);
	bg_buf_put_str(out, "\r\n");
}

/* Put text there, and return where it ends. */
static char *
put_at(char *at, struct bg_slice text)
{
	if (text.len > 0)
		memcpy(at, text.ptr, text.len);
	return at + text.len;
}

static void
put_header(struct bg_buf *out, struct bg_slice prefix, struct bg_slice name, struct bg_slice value)
{
	char *at;

	if (!bg_reply_is_safe(name) || !bg_reply_is_safe(value))
		out->failed = true;
	if ((at = bg_buf_extend(out, prefix.len + name.len + 2 + value.len + 2)) == NULL)
		return;
	at = put_at(at, prefix);
	at = put_at(at, name);
	at = put_at(at, BG_SLICE(": "));
	at = put_at(at, value);
	(void)put_at(at, BG_SLICE("\r\n"));
}

static struct bg_slice
built(const struct bg_buf *buf)
{
	return (struct bg_slice){ buf->data, buf->len };
}

static void
put_status(struct bg_buf *out, int status)
{
	if (status == 200)
		bg_buf_put(out, BG_SLICE("Status: 200 OK\r\n"));
	else
		bg_buf_put_format(out, "Status: %d %s\r\n", status, phrase(status));
}

static void
put_variables(struct bg_buf *out, struct bg_slice variables)
{
	struct bg_slice name, value;

	while (bg_export_next(&variables, &name, &value))
		put_header(out, BG_SLICE("Variable-"), name, value);
}

/* RFC 9449 section 8.1. */
static void
put_nonce(struct bg_buf *out, const struct bg_response *response)
{
	if (response->nonce[0] != '\0')
		put_header(out, BG_SLICE(""), BG_SLICE("DPoP-Nonce"), bg_slice_str(response->nonce));
}

/* What the client of a denial is to get, beside its body. */
static void
put_denial(struct bg_buf *out, const struct bg_response *response)
{
	if (response->challenge.len > 0)
		put_header(out, BG_SLICE(""), BG_SLICE("WWW-Authenticate"), built(&response->challenge));
	put_nonce(out, response);
	if (response->retry_after > 0)
		bg_buf_put_format(out, "Retry-After: %" PRId64 "\r\n", response->retry_after);
	bg_buf_put_format(out, "X-Bearergate-Status: %d\r\n", response->status);
	bg_buf_put_str(out, "Cache-Control: no-store\r\nContent-Type: application/json\r\n");
}

static int
finish(struct bg_buf *out, struct bg_error *err)
{
	struct bg_slice text;

	if (bg_buf_finish(out, &text, err) == 0)
		return 0;
	bg_buf_reset(out);
	return -1;
}

int
bg_reply_authorizer(const struct bg_response *response, struct bg_buf *out, struct bg_error *err)
{
	bg_buf_reset(out);
	put_status(out, response->status);
	if (response->status == 200)
		put_variables(out, built(&response->variables));
	else
		put_denial(out, response);
	bg_buf_put_str(out, "\r\n");
	if (response->status != 200)
		bg_buf_put(out, built(&response->body));
	return finish(out, err);
}

/*
 * CLAIM_ORG_ID as X-Auth-Claim-Org-Id.  Variables have no other characters than A-Z, 0-9 and "_", so two of them never
 * become one header; but for AUTH_TYPE, which is X-Auth-Type and not X-Auth-Auth-Type: no variable is called TYPE
 * (core/export.c).
 */
static void
put_claims(struct bg_buf *out, struct bg_slice variables)
{
	struct bg_slice name, value;

	while (bg_export_next(&variables, &name, &value)) {
		bool first = true;

		if (!bg_reply_is_safe(name))
			out->failed = true;
		if (bg_slice_equal(name, BG_SLICE("AUTH_TYPE")))
			name = BG_SLICE("TYPE");
		bg_buf_put_str(out, "X-Auth-");
		for (size_t i = 0; i < name.len; i++) {
			char c = name.ptr[i];

			if (c == '_')
				c = '-';
			else if (!first && c >= 'A' && c <= 'Z')
				c = (char)(c - 'A' + 'a');
			first = c == '-';
			bg_buf_put_char(out, c);
		}
		put_value(out, value);
	}
}

int
bg_reply_responder(const struct bg_response *response, struct bg_buf *out, struct bg_error *err)
{
	bool allow = response->status == 200;

	bg_buf_reset(out);
	put_status(out, allow ? 200 : response->status == 400 || response->status == 401 ? 401 : 403);
	if (allow) {
		put_claims(out, built(&response->variables));
		put_nonce(out, response);
		bg_buf_put_str(out, "Cache-Control: no-store\r\n");
	} else {
		put_header(out, BG_SLICE(""), BG_SLICE("X-Bearergate-Body"), built(&response->body));
		put_denial(out, response);
	}
	bg_buf_put_str(out, "\r\n");
	if (out->len > BG_RESPONDER_HEAD_MAX) {
		bg_fail(err, BG_R_INTERNAL, "the answer's headers have %zu bytes, and servers take %d: fewer claims must be exported",
		    out->len, BG_RESPONDER_HEAD_MAX);
		bg_buf_reset(out);
		return -1;
	}
	if (!allow)
		bg_buf_put(out, built(&response->body));
	return finish(out, err);
}

int
bg_reply_client(const struct bg_response *response, struct bg_buf *out, struct bg_error *err)
{
	if (response->status == 200)
		return bg_reply_responder(response, out, err);
	bg_buf_reset(out);
	if (response->status < 400 || response->status > 599)
		return bg_fail(err, BG_R_INTERNAL, "status %d is no denial", response->status);
	return bg_reply_authorizer(response, out, err);
}

int
bg_reply_cgi(const struct bg_response *response, struct bg_cgi_form form, struct bg_buf *out, struct bg_error *err)
{
	bg_buf_reset(out);
	if (response->status < 400 || response->status > 599)
		return bg_fail(err, BG_R_INTERNAL, "status %d is no denial", response->status);
	if (form.nph)
		bg_buf_put_format(out, "HTTP/1.1 %d %s\r\n", response->status, phrase(response->status));
	put_status(out, response->status);
	put_denial(out, response);
	if (form.nph)
		bg_buf_put_format(out, "Content-Length: %zu\r\nConnection: close\r\n", response->body.len);
	bg_buf_put_str(out, "\r\n");
	if (!form.head)
		bg_buf_put(out, built(&response->body));
	return finish(out, err);
}
