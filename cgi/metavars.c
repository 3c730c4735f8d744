#include "cgi/metavars.h"

#define MEMBER(name)	offsetof(struct bg_request, name)

/*
 * What a client request tells, and where it goes.  A name that comes twice counts by its first, as in libfcgi; repeated is the
 * member that then says so, of headers where the second one matters.  RFC 3875 section 4.1; the rest is what servers really send.
 *
 * SR-68: a client's certificate is the server's own variable; a header that looks like it has no row.
 */
static const struct variable {
	struct bg_slice name;
	size_t          member;
	size_t          repeated;	/* 0: none */
} variables[] = {
	{ BG_SLICE_INIT("REQUEST_METHOD"), MEMBER(method), 0 },
	{ BG_SLICE_INIT("REQUEST_URI"), MEMBER(uri), 0 },
	{ BG_SLICE_INIT("REQUEST_SCHEME"), MEMBER(scheme), 0 },
	{ BG_SLICE_INIT("HTTP_HOST"), MEMBER(host), 0 },
	{ BG_SLICE_INIT("HTTP_ORIGIN"), MEMBER(origin), 0 },
	{ BG_SLICE_INIT("HTTP_ACCESS_CONTROL_REQUEST_METHOD"), MEMBER(preflight_method), 0 },
	{ BG_SLICE_INIT("HTTP_DPOP"), MEMBER(dpop), MEMBER(two_dpops) },	/* redirected or not, a header keeps its name */
	{ BG_SLICE_INIT("SSL_CLIENT_CERT"), MEMBER(client_cert), 0 },
	{ BG_SLICE_INIT("REMOTE_ADDR"), MEMBER(remote_addr), 0 },
	{ BG_SLICE_INIT("REMOTE_PORT"), MEMBER(remote_port), 0 },
	{ BG_SLICE_INIT("UNIQUE_ID"), MEMBER(request_id), 0 },
	{ BG_SLICE_INIT("HTTP_FORWARDED"), MEMBER(forwarded), MEMBER(repeated_forwarded) },
	{ BG_SLICE_INIT("HTTP_X_FORWARDED_FOR"), MEMBER(x_forwarded_for), MEMBER(repeated_forwarded) },
	{ BG_SLICE_INIT("HTTP_X_FORWARDED_PROTO"), MEMBER(x_forwarded_proto), MEMBER(repeated_forwarded) },
	{ BG_SLICE_INIT("HTTP_X_FORWARDED_HOST"), MEMBER(x_forwarded_host), MEMBER(repeated_forwarded) },
	{ BG_SLICE_INIT("HTTP_X_FORWARDED_PREFIX"), MEMBER(x_forwarded_prefix), MEMBER(repeated_forwarded) },
	{ BG_SLICE_INIT("SERVER_PROTOCOL"), MEMBER(call[BG_CALL_INCLUDED]), 0 },
	{ BG_SLICE_INIT("SCRIPT_FILENAME"), MEMBER(call[BG_CALL_FILE]), 0 },
	{ BG_SLICE_INIT("REDIRECT_URL"), MEMBER(call[BG_CALL_REDIRECT_URL]), 0 },
	{ BG_SLICE_INIT("FCGI_APACHE_ROLE"), MEMBER(call[BG_CALL_ROLE]), 0 },
};

/* A value that a variable of ours may have. */
typedef bool is_good(struct bg_slice value);

static is_good is_scope_list, is_text, is_text_or_empty;

/*
 * What a location demands, and the client's own request where the server shows another one: in the server's
 * configuration alone, since a client's headers all begin with HTTP_.
 */
static const struct {
	struct bg_slice name;
	size_t          member;
	is_good        *good;
	const char     *wanted;
	enum bg_reason  bad;	/* whose fault another value is: the server passes on what the client wrote */
} demands[] = {
	{ BG_SLICE_INIT("BEARERGATE_SCOPE"), MEMBER(want_scope), is_scope_list, "list of scopes", BG_R_BAD_VARIABLE },
	{ BG_SLICE_INIT("BEARERGATE_ANY_SCOPE"), MEMBER(want_any_scope), is_scope_list, "list of scopes", BG_R_BAD_VARIABLE },
	{ BG_SLICE_INIT("BEARERGATE_PERMISSION"), MEMBER(want_permission), is_scope_list, "list of permissions",
	    BG_R_BAD_VARIABLE },
	{ BG_SLICE_INIT("BEARERGATE_POLICY"), MEMBER(want_policy), is_scope_list, "list of policies", BG_R_BAD_VARIABLE },
	{ BG_SLICE_INIT("BEARERGATE_METHOD"), MEMBER(method), is_text, "method", BG_R_BAD_REQUEST },
	{ BG_SLICE_INIT("BEARERGATE_SCHEME"), MEMBER(scheme), is_text, "scheme", BG_R_BAD_VARIABLE },
	{ BG_SLICE_INIT("BEARERGATE_HOST"), MEMBER(host), is_text_or_empty, "host", BG_R_BAD_REQUEST },
	{ BG_SLICE_INIT("BEARERGATE_URI"), MEMBER(uri), is_text, "request target", BG_R_BAD_REQUEST },
	{ BG_SLICE_INIT("BEARERGATE_REQUEST_ID"), MEMBER(request_id), is_text, "request id", BG_R_BAD_VARIABLE },
};

/* BEARERGATE_AUTH. */
static const struct {
	struct bg_slice name;
	enum bg_auth    auth;
} auths[] = {
	{ BG_SLICE_INIT("required"), BG_AUTH_REQUIRED },
	{ BG_SLICE_INIT("optional"), BG_AUTH_OPTIONAL },
	{ BG_SLICE_INIT("none"), BG_AUTH_NONE },
};

/* BEARERGATE_ANSWER, which says nothing about the request; fcgi/authorizer.c has the answer made by it. */
static const struct bg_slice answers[] = { BG_SLICE_INIT("auth_request"), BG_SLICE_INIT("client") };

static struct bg_slice *
member(struct bg_request *request, size_t offset)
{
	return (struct bg_slice *)(void *)((char *)request + offset);
}

/* scope-token: %x21 / %x23-5B / %x5D-7E, separated by spaces.  RFC 6749 section 3.3. */
static bool
is_scope_list(struct bg_slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			return false;
	}
	return true;
}

static bool
is_text_or_empty(struct bg_slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] <= 0x20 || value.ptr[i] > 0x7e)
			return false;
	return true;
}

static bool
is_text(struct bg_slice value)
{
	return value.len > 0 && is_text_or_empty(value);
}

static int
read_auth(struct bg_request *ours, struct bg_slice value, struct bg_error *err)
{
	if (ours->says_auth)
		return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_AUTH came twice");
	for (size_t i = 0; i < sizeof(auths) / sizeof(auths[0]); i++)
		if (bg_slice_equal(value, auths[i].name)) {
			ours->says_auth = true;
			ours->auth = auths[i].auth;
			return 0;
		}
	return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_AUTH=\"%.*s\", expected required, optional or none", BG_SLICE_ARG(value));
}

static int
read_answer(bool *said, struct bg_slice value, struct bg_error *err)
{
	if (*said)
		return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_ANSWER came twice");
	*said = true;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (bg_slice_equal(value, answers[i]))
			return 0;
	return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_ANSWER=\"%.*s\", expected auth_request or client", BG_SLICE_ARG(value));
}

static int
read_ours(struct bg_request *ours, bool *says_answer, struct bg_slice name, struct bg_slice value, struct bg_error *err)
{
	if (bg_slice_equal(name, BG_SLICE("BEARERGATE_AUTH")))
		return read_auth(ours, value, err);
	if (bg_slice_equal(name, BG_SLICE("BEARERGATE_ANSWER")))
		return read_answer(says_answer, value, err);
	/* fcgi/page.c has had a look before.  Whoever else is shown it is asked about a request, and answers with no page. */
	if (bg_slice_equal(name, BG_SLICE("BEARERGATE_PAGE")))
		return bg_fail(err, BG_R_BAD_VARIABLE, "BEARERGATE_PAGE where a request is to be decided");
	for (size_t i = 0; i < sizeof(demands) / sizeof(demands[0]); i++) {
		struct bg_slice *at = member(ours, demands[i].member);

		if (!bg_slice_equal(name, demands[i].name))
			continue;
		if (at->ptr != NULL)
			return bg_fail(err, BG_R_BAD_VARIABLE, "%.*s came twice", BG_SLICE_ARG(name));
		if (!demands[i].good(value))
			return bg_fail(err, value.len > 0 ? demands[i].bad : BG_R_BAD_VARIABLE, "%.*s=\"%.*s\" is no %s",
			    BG_SLICE_ARG(name), BG_SLICE_ARG(value), demands[i].wanted);
		*at = value;
		return 0;
	}
	return bg_fail(err, BG_R_BAD_VARIABLE, "%.*s is not known", BG_SLICE_ARG(name));
}

/* Internal redirects put REDIRECT_ in front of a name, each its own. */
static bool
is_authorization(struct bg_slice name, bool *redirected)
{
	*redirected = false;
	while (bg_slice_starts(name, BG_SLICE("REDIRECT_"))) {
		name = bg_slice_skip(name, strlen("REDIRECT_"));
		*redirected = true;
	}
	return bg_slice_equal(name, BG_SLICE("HTTP_AUTHORIZATION"));
}

bool
bg_metavars_split(const char *var, struct bg_slice *name, struct bg_slice *value)
{
	const char *eq = strchr(var, '=');

	if (eq == NULL)
		return false;
	*name = (struct bg_slice){ var, (size_t)(eq - var) };
	*value = bg_slice_str(eq + 1);
	return true;
}

bool
bg_metavars_matters(struct bg_slice name)
{
	bool redirected;

	if (bg_slice_starts(name, BG_SLICE("BEARERGATE_")) || bg_slice_equal(name, BG_SLICE("HTTPS")) ||
	    is_authorization(name, &redirected))
		return true;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		if (bg_slice_equal(name, variables[i].name))
			return true;
	return false;
}

static void
read_authorization(struct bg_request *out, struct bg_slice value, bool redirected, bool *direct)
{
	/* An empty one is what SetEnvIf makes of nothing: it neither counts nor hides another. */
	if (out->authorization.len > 0 && value.len > 0 &&
	    ((*direct && !redirected) || !bg_slice_equal(out->authorization, value)))
		out->two_authorizations = true;
	*direct |= !redirected && value.len > 0;
	if (out->authorization.len == 0)
		out->authorization = value;
}

static void
read_variable(struct bg_request *out, struct bg_slice name, struct bg_slice value)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		struct bg_slice *at = member(out, variables[i].member);

		if (!bg_slice_equal(name, variables[i].name))
			continue;
		if (at->ptr == NULL)
			*at = value;
		else if (variables[i].repeated != 0)
			*(bool *)(void *)((char *)out + variables[i].repeated) = true;
		return;
	}
}

/* Of servers that say no scheme: what RFC 3875 leaves open, they all write so. */
static bool
is_on(struct bg_slice https)
{
	return bg_slice_equal_nocase(https, BG_SLICE("on")) || bg_slice_equal(https, BG_SLICE("1"));
}

/* What the client may have chosen is no mark of the call (core/request.h). */
static void
forget_clients_choice(struct bg_slice call[BG_CALL_VARIABLES])
{
	if (!bg_slice_equal(call[BG_CALL_INCLUDED], BG_SLICE("INCLUDED")))
		call[BG_CALL_INCLUDED] = call[BG_CALL_FILE] = (struct bg_slice){ NULL, 0 };
}

int
bg_metavars_read(char *const *env, struct bg_request *out, struct bg_error *err)
{
	struct bg_request ours = { 0 };		/* what BEARERGATE_ variables say */
	struct bg_slice https = { NULL, 0 };
	bool direct = false, redirected, says_answer = false, good = true;

	*out = (struct bg_request){ 0 };
	for (; *env != NULL; env++) {
		struct bg_slice name, value;

		if (!bg_metavars_split(*env, &name, &value))
			continue;
		if (bg_slice_starts(name, BG_SLICE("BEARERGATE_"))) {
			good = good && read_ours(&ours, &says_answer, name, value, err) == 0;
			continue;
		}
		if (is_authorization(name, &redirected)) {
			read_authorization(out, value, redirected, &direct);
			continue;
		}
		if (bg_slice_equal(name, BG_SLICE("HTTPS"))) {
			if (https.ptr == NULL)
				https = value;
			continue;
		}
		read_variable(out, name, value);
	}
	if (!good) {
		*out = (struct bg_request){ .method = out->method, .uri = out->uri, .remote_addr = out->remote_addr,
			.request_id = out->request_id };
		return -1;
	}
	forget_clients_choice(out->call);
	out->want_scope = ours.want_scope;
	out->want_any_scope = ours.want_any_scope;
	out->want_permission = ours.want_permission;
	out->want_policy = ours.want_policy;
	out->says_auth = ours.says_auth;
	out->auth = ours.auth;
	if (ours.method.ptr != NULL)
		out->method = ours.method;
	if (ours.scheme.ptr != NULL)
		out->scheme = ours.scheme;
	else if (out->scheme.len == 0 && is_on(https))
		out->scheme = BG_SLICE("https");
	if (ours.host.ptr != NULL)
		out->host = ours.host;
	if (ours.uri.ptr != NULL)
		out->uri = ours.uri;
	if (ours.request_id.ptr != NULL)
		out->request_id = ours.request_id;
	return 0;
}
