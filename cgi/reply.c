#include "cgi/reply.h"

#include <inttypes.h>

#include "core/export.h"

/* The phrases of the statuses in core/reasons.def.  RFC 9110 section 15. */
static const char *
phrase(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 503: return "Service Unavailable";
	default:  return "Internal Server Error";
	}
}

/* No header of ours may end before we end it, whatever came in (SR-82). */
static bool
is_header_safe(struct bg_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
			return false;
	return true;
}

static void
put_header(struct bg_buf *out, const char *prefix, struct bg_slice name, struct bg_slice value)
{
	if (!is_header_safe(name) || !is_header_safe(value))
		out->failed = true;
	bg_buf_put_str(out, prefix);
	bg_buf_put(out, name);
	bg_buf_put_str(out, ": ");
	bg_buf_put(out, value);
	bg_buf_put_str(out, "\r\n");
}

static struct bg_slice
built(const struct bg_buf *buf)
{
	return (struct bg_slice){ buf->data, buf->len };
}

static void
put_variables(struct bg_buf *out, struct bg_slice variables)
{
	struct bg_slice name, value;

	while (bg_export_next(&variables, &name, &value))
		put_header(out, "Variable-", name, value);
}

int
bg_reply_authorizer(const struct bg_response *response, struct bg_buf *out, struct bg_error *err)
{
	bool allow = response->status == 200;
	struct bg_slice text;

	bg_buf_reset(out);
	bg_buf_put_format(out, "Status: %d %s\r\n", response->status, phrase(response->status));
	if (allow)
		put_variables(out, built(&response->variables));
	else {
		if (response->challenge.len > 0)
			put_header(out, "", BG_SLICE("WWW-Authenticate"), built(&response->challenge));
		if (response->retry_after > 0)
			bg_buf_put_format(out, "Retry-After: %" PRId64 "\r\n", response->retry_after);
		bg_buf_put_format(out, "X-Bearergate-Status: %d\r\n", response->status);
		bg_buf_put_str(out, "Cache-Control: no-store\r\nContent-Type: application/json\r\n");
	}
	bg_buf_put_str(out, "\r\n");
	if (!allow)
		bg_buf_put(out, built(&response->body));
	if (bg_buf_finish(out, &text, err) != 0) {
		bg_buf_reset(out);
		return -1;
	}
	return 0;
}
