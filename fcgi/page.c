#include "fcgi/page.h"

#include "core/buf.h"

static const struct {
	struct bg_slice name;
	enum bg_page    page;
} pages[] = {
	{ BG_SLICE_INIT("ping"),    BG_PAGE_PING },
	{ BG_SLICE_INIT("ready"),   BG_PAGE_READY },
	{ BG_SLICE_INIT("status"),  BG_PAGE_STATUS },
	{ BG_SLICE_INIT("metrics"), BG_PAGE_METRICS },
};

/* The forms of a page, and what a client may do with it: nothing but look at it. */
static const struct form {
	const char *type;
	const char *more;	/* headers */
} plain_text = { "text/plain; charset=utf-8", "" },
  json = { "application/json", "" },
  html = { "text/html; charset=utf-8", "Vary: Accept\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n" },
  exposition = { "text/plain; version=0.0.4; charset=utf-8", "" };

/* The value of the first variable of this name; ptr NULL: there is none. */
static struct bg_slice
variable(char *const *env, struct bg_slice name)
{
	for (; *env != NULL; env++) {
		struct bg_slice pair = bg_slice_str(*env);

		if (bg_slice_starts(pair, name) && pair.len > name.len && pair.ptr[name.len] == '=')
			return bg_slice_skip(pair, name.len + 1);
	}
	return (struct bg_slice){ NULL, 0 };
}

/* Did the client ask for this very location?  See page.h. */
static bool
is_asked_by_client(char *const *env)
{
	struct bg_slice path = variable(env, BG_SLICE("REQUEST_URI"));
	struct bg_slice script = variable(env, BG_SLICE("SCRIPT_NAME"));
	struct bg_slice info = variable(env, BG_SLICE("PATH_INFO"));
	const char *query;

	if (path.len > 0 && (query = memchr(path.ptr, '?', path.len)) != NULL)
		path.len = (size_t)(query - path.ptr);
	return path.len > 0 && script.len > 0 && path.len == script.len + info.len && bg_slice_starts(path, script) &&
	    bg_slice_equal(bg_slice_skip(path, script.len), info);
}

/* Is there a variable of ours beside BEARERGATE_PAGE, or that one twice?  Internal redirects of Apache put REDIRECT_ in front. */
static bool
is_a_question(char *const *env)
{
	size_t ours = 0;

	for (; *env != NULL; env++) {
		struct bg_slice name = bg_slice_str(*env);

		while (bg_slice_starts(name, BG_SLICE("REDIRECT_")))
			name = bg_slice_skip(name, strlen("REDIRECT_"));
		ours += bg_slice_starts(name, BG_SLICE("BEARERGATE_"));
	}
	return ours != 1;
}

/*
 * Is it what forward_auth of Caddy, or one like it, asks about another request?  That one's path may be the very one asked for here.
 * A client that sends such a header gets no page, and that is all it gets.
 */
static bool
is_forwarded_question(char *const *env)
{
	return variable(env, BG_SLICE("HTTP_X_FORWARDED_URI")).ptr != NULL ||
	    variable(env, BG_SLICE("HTTP_X_FORWARDED_METHOD")).ptr != NULL;
}

int
bg_page_wanted(enum bg_role role, char *const *env, enum bg_page *out, struct bg_error *err)
{
	struct bg_slice wanted = variable(env, BG_SLICE("BEARERGATE_PAGE"));
	enum bg_page page = BG_PAGE_NONE;

	*out = BG_PAGE_NONE;
	if (wanted.ptr == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (bg_slice_equal(wanted, pages[i].name))
			page = pages[i].page;
	if (page == BG_PAGE_NONE)
		return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_PAGE=\"%.*s\", expected ping, ready, status or metrics",
		    BG_SLICE_ARG(wanted));
	if (role != BG_ROLE_RESPONDER)
		return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_PAGE: there are no pages in the Authorizer role");
	if (is_a_question(env))
		return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_PAGE beside other BEARERGATE_ variables: a location either asks "
		    "about a request or shows a page");
	if (!is_asked_by_client(env))
		return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_PAGE in what looks like a sub-request: the path of REQUEST_URI "
		    "is not SCRIPT_NAME with PATH_INFO");
	if (is_forwarded_question(env))
		return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_PAGE in a request with X-Forwarded-Method or X-Forwarded-Uri: forward_auth "
		    "would take the page for a yes");
	*out = page;
	return 0;
}

const char *
bg_page_name(enum bg_page page)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (pages[i].page == page)
			return pages[i].name.ptr;
	return "none";
}

static bool
contains(struct bg_slice text, struct bg_slice words)
{
	for (; text.len >= words.len; text = bg_slice_skip(text, 1))
		if (bg_slice_equal_nocase((struct bg_slice){ text.ptr, words.len }, words))
			return true;
	return false;
}

static const struct form *
form_of_status(char *const *env)
{
	struct bg_slice query = variable(env, BG_SLICE("QUERY_STRING"));

	if (bg_slice_equal(query, BG_SLICE("json")))
		return &json;
	if (bg_slice_equal(query, BG_SLICE("html")))
		return &html;
	if (bg_slice_equal(query, BG_SLICE("text")))
		return &plain_text;
	return contains(variable(env, BG_SLICE("HTTP_ACCEPT")), BG_SLICE("text/html")) ? &html : &plain_text;
}

static void
put_head(struct bg_buf *out, const char *status, const struct form *form)
{
	bg_buf_put_format(out, "Status: %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s\r\n",
	    status, form->type, form->more);
}

/* A whole answer about at most n of the issuers. */
static void
put_page(struct bg_buf *out, enum bg_page page, const struct form *form, const struct bg_status *status, size_t n)
{
	bool ready = page != BG_PAGE_READY || bg_status_is_ready(status);

	put_head(out, ready ? "200 OK" : "503 Service Unavailable", form);
	switch (page) {
	case BG_PAGE_PING:
		bg_buf_put_str(out, "pong\n");
		break;
	case BG_PAGE_READY:
		bg_status_put_ready(status, n, out);
		break;
	case BG_PAGE_STATUS:
		if (form == &json)
			bg_status_put_json(status, n, out);
		else if (form == &html)
			bg_status_put_html(status, n, out);
		else
			bg_status_put_text(status, n, out);
		break;
	case BG_PAGE_METRICS:
		bg_status_put_metrics(status, n, out);
		break;
	case BG_PAGE_NONE:
		out->failed = true;
		break;
	}
}

int
bg_page_answer(enum bg_page page, char *const *env, const struct bg_status *status, struct bg_buf *out)
{
	struct bg_slice method = variable(env, BG_SLICE("REQUEST_METHOD"));
	const struct form *form = page == BG_PAGE_STATUS ? form_of_status(env) : page == BG_PAGE_METRICS ? &exposition : &plain_text;
	size_t n = status->n_issuers;

	bg_buf_reset(out);
	if (!bg_slice_equal(method, BG_SLICE("GET")) && !bg_slice_equal(method, BG_SLICE("HEAD"))) {
		static const struct form other = { "text/plain; charset=utf-8", "Allow: GET, HEAD\r\n" };

		put_head(out, "405 Method Not Allowed", &other);
		bg_buf_put_str(out, "only GET and HEAD\n");
	} else
		put_page(out, page, form, status, n);
	while (out->failed && !out->no_memory && n > 0) {
		n /= 2;
		bg_buf_reset(out);
		put_page(out, page, form, status, n);
	}
	if (!out->failed)
		return 0;
	bg_buf_reset(out);
	return -1;
}
