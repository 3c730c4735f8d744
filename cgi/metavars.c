#include "cgi/metavars.h"

/* What a client request tells, and where it goes.  RFC 3875 section 4.1; the rest is what servers really send. */
static const struct {
	struct bg_slice name;
	size_t          member;
} variables[] = {
	{ BG_SLICE_INIT("REQUEST_METHOD"), offsetof(struct bg_request, method) },
	{ BG_SLICE_INIT("REQUEST_URI"), offsetof(struct bg_request, uri) },
	{ BG_SLICE_INIT("HTTP_HOST"), offsetof(struct bg_request, host) },
	{ BG_SLICE_INIT("REMOTE_ADDR"), offsetof(struct bg_request, remote_addr) },
	{ BG_SLICE_INIT("UNIQUE_ID"), offsetof(struct bg_request, request_id) },
};

/* What a location demands: in the server's configuration alone, since a client's headers all begin with HTTP_. */
static const struct {
	struct bg_slice name;
	size_t          member;
} demands[] = {
	{ BG_SLICE_INIT("BEARERGATE_SCOPE"), offsetof(struct bg_request, want_scope) },
};

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

static int
read_demand(struct bg_request *out, struct bg_slice name, struct bg_slice value, struct bg_error *err)
{
	for (size_t i = 0; i < sizeof(demands) / sizeof(demands[0]); i++) {
		struct bg_slice *at = member(out, demands[i].member);

		if (!bg_slice_equal(name, demands[i].name))
			continue;
		if (at->ptr != NULL)
			return bg_fail(err, BG_R_BAD_VARIABLE, "%.*s came twice", BG_SLICE_ARG(name));
		if (!is_scope_list(value))
			return bg_fail(err, BG_R_BAD_VARIABLE, "%.*s=\"%.*s\" is no list of scopes", BG_SLICE_ARG(name),
			    BG_SLICE_ARG(value));
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

int
bg_metavars_read(char *const *env, struct bg_request *out, struct bg_error *err)
{
	bool direct = false, redirected;

	*out = (struct bg_request){ 0 };
	for (; *env != NULL; env++) {
		const char *eq = strchr(*env, '=');
		struct bg_slice name, value;
		size_t i;

		if (eq == NULL)
			continue;
		name = (struct bg_slice){ *env, (size_t)(eq - *env) };
		value = bg_slice_str(eq + 1);
		if (bg_slice_starts(name, BG_SLICE("BEARERGATE_"))) {
			if (read_demand(out, name, value, err) != 0) {
				*out = (struct bg_request){ 0 };
				return -1;
			}
			continue;
		}
		if (is_authorization(name, &redirected)) {
			read_authorization(out, value, redirected, &direct);
			continue;
		}
		for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
			if (bg_slice_equal(name, variables[i].name)) {
				struct bg_slice *at = member(out, variables[i].member);

				if (at->ptr == NULL)	/* the first one counts, as in libfcgi */
					*at = value;
				break;
			}
	}
	return 0;
}
