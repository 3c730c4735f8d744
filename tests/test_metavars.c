#include "cgi/metavars.h"

#include <stdint.h>

#include "core/buf.h"
#include "tests/support/run.h"

#define MAX_ENV	6

static const struct {
	const char    *name;
	const char    *env[MAX_ENV + 1];
	const char    *authorization;
	bool           two;
	enum bg_reason want;
} cases[] = {
	{ "nothing at all", { NULL }, NULL, false, BG_R_OK },
	{ "the header", { "HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "the header, empty", { "HTTP_AUTHORIZATION=" }, "", false, BG_R_OK },
	{ "after a redirect", { "REDIRECT_HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },	/* users.md row 3 */
	{ "after three", { "REDIRECT_REDIRECT_REDIRECT_HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "before and after, equal", { "REDIRECT_HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "before and after, different", { "REDIRECT_HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer b" }, "Bearer a", true, BG_R_OK },
	{ "an empty one before", { "HTTP_AUTHORIZATION=", "REDIRECT_HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "an empty one after", { "HTTP_AUTHORIZATION=Bearer a", "REDIRECT_HTTP_AUTHORIZATION=" }, "Bearer a", false, BG_R_OK },
	{ "twice", { "HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer b" }, "Bearer a", true, BG_R_OK },	/* SR-73 */
	{ "twice the same", { "HTTP_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", true, BG_R_OK },
	{ "twice, once empty", { "HTTP_AUTHORIZATION=", "HTTP_AUTHORIZATION=Bearer a" }, "Bearer a", false, BG_R_OK },
	{ "another header", { "HTTP_X_AUTHORIZATION=Bearer a", "HTTP_AUTHORIZATION_X=Bearer a" }, NULL, false, BG_R_OK },
	{ "in small letters", { "http_authorization=Bearer a" }, NULL, false, BG_R_OK },
	{ "no equals sign", { "HTTP_AUTHORIZATION", "BEARERGATE_SCOPE", "=", "" }, NULL, false, BG_R_OK },	/* SR-23 */
	{ "a scope", { "BEARERGATE_SCOPE=read:a write:b" }, NULL, false, BG_R_OK },
	{ "a scope, empty", { "BEARERGATE_SCOPE=" }, NULL, false, BG_R_OK },
	{ "a scope, twice", { "BEARERGATE_SCOPE=a", "BEARERGATE_SCOPE=a" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "a scope with a quote", { "BEARERGATE_SCOPE=a\"b" }, NULL, false, BG_R_BAD_VARIABLE },	/* RFC 6749 section 3.3 */
	{ "a scope with a line feed", { "BEARERGATE_SCOPE=a\nb" }, NULL, false, BG_R_BAD_VARIABLE },	/* SR-23 */
	{ "a scope with a byte above ASCII", { "BEARERGATE_SCOPE=a\xff" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "a variable nobody knows", { "BEARERGATE_SCOPES=a" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "a variable nobody knows, after the header", { "HTTP_AUTHORIZATION=Bearer a", "BEARERGATE_AUDIENCE=x" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "the prefix alone", { "BEARERGATE_=" }, NULL, false, BG_R_BAD_VARIABLE },
	{ "a client's header that says none is needed", { "HTTP_BEARERGATE_AUTH=none" }, NULL, false, BG_R_OK },	/* SR-72 */
	{ "a variable of ours in small letters", { "bearergate_auth=none" }, NULL, false, BG_R_OK },
	{ "a client's header of that name", { "HTTP_BEARERGATE_SCOPE=a" }, NULL, false, BG_R_OK },
};

START_TEST(meta_variables_become_a_request)
{
	struct bg_error err = { 0 };
	struct bg_request request;
	struct bg_slice want = bg_slice_str(cases[_i].authorization);

	ck_reason(bg_metavars_read((char *const *)(uintptr_t)cases[_i].env, &request, &err), err, cases[_i].want, cases[_i].name);
	ck_assert_msg(bg_slice_equal(request.authorization, want) && (request.authorization.ptr == NULL) == (want.ptr == NULL),
	    "%s", cases[_i].name);
	ck_assert_msg(request.two_authorizations == cases[_i].two, "%s", cases[_i].name);
}
END_TEST

START_TEST(each_variable_goes_to_its_member)
{
	static const char *const calls[BG_CALL_VARIABLES] = { "INCLUDED", "/s", "/i", "AUTHORIZER" };
	const char *env[] = { "SERVER_PROTOCOL=INCLUDED", "REDIRECT_URL=/i", "FCGI_APACHE_ROLE=AUTHORIZER", "SCRIPT_FILENAME=/s",
		"HTTP_DPOP=d", "REMOTE_PORT=4711", "SSL_CLIENT_CERT=c", "HTTP_FORWARDED=for=1.2.3.4",
		"HTTP_X_FORWARDED_FOR=1.2.3.4", "HTTP_X_FORWARDED_PROTO=https", "HTTP_X_FORWARDED_HOST=x", "HTTP_X_FORWARDED_PREFIX=/x",
		"REQUEST_METHOD=POST", "REQUEST_URI=/a?b", "HTTP_HOST=h:1", "REMOTE_ADDR=::1", "UNIQUE_ID=u",
		"REQUEST_SCHEME=https", "HTTP_ORIGIN=https://o", "HTTP_ACCESS_CONTROL_REQUEST_METHOD=PUT", "BEARERGATE_SCOPE=s",
		"BEARERGATE_ANY_SCOPE=t u", "BEARERGATE_PERMISSION=p", "BEARERGATE_POLICY=n m", "BEARERGATE_AUTH=optional", NULL };
	struct bg_request request;

	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)env, &request, NULL), 0);
	ck_assert(bg_slice_equal(request.method, BG_SLICE("POST")));
	ck_assert(bg_slice_equal(request.uri, BG_SLICE("/a?b")));
	ck_assert(bg_slice_equal(request.host, BG_SLICE("h:1")));
	ck_assert(bg_slice_equal(request.remote_addr, BG_SLICE("::1")));
	ck_assert(bg_slice_equal(request.request_id, BG_SLICE("u")));
	ck_assert(bg_slice_equal(request.want_scope, BG_SLICE("s")));
	ck_assert(bg_slice_equal(request.want_any_scope, BG_SLICE("t u")));
	ck_assert(bg_slice_equal(request.want_permission, BG_SLICE("p")));
	ck_assert(bg_slice_equal(request.want_policy, BG_SLICE("n m")));
	ck_assert(bg_slice_equal(request.scheme, BG_SLICE("https")));
	ck_assert(bg_slice_equal(request.origin, BG_SLICE("https://o")));
	ck_assert(bg_slice_equal(request.preflight_method, BG_SLICE("PUT")));
	ck_assert(bg_slice_equal(request.dpop, BG_SLICE("d")));
	ck_assert(bg_slice_equal(request.remote_port, BG_SLICE("4711")));
	ck_assert(bg_slice_equal(request.client_cert, BG_SLICE("c")));
	ck_assert(bg_slice_equal(request.forwarded, BG_SLICE("for=1.2.3.4")));
	ck_assert(bg_slice_equal(request.x_forwarded_for, BG_SLICE("1.2.3.4")));
	ck_assert(bg_slice_equal(request.x_forwarded_proto, BG_SLICE("https")));
	ck_assert(bg_slice_equal(request.x_forwarded_host, BG_SLICE("x")));
	ck_assert(bg_slice_equal(request.x_forwarded_prefix, BG_SLICE("/x")));
	for (int i = 0; i < BG_CALL_VARIABLES; i++)
		ck_assert(bg_slice_equal(request.call[i], bg_slice_str(calls[i])));
	ck_assert(!request.two_dpops && !request.repeated_forwarded && !request.two_authorizations);
	ck_assert(request.says_auth);
	ck_assert_int_eq(request.auth, BG_AUTH_OPTIONAL);
}
END_TEST

/* The client's own request where the server shows another one: before or behind, what our variables say counts. */
START_TEST(what_our_variables_say_counts)	/* design section 2 */
{
	const char *env[] = { "BEARERGATE_METHOD=DELETE", "REQUEST_METHOD=GET", "REQUEST_URI=/_auth", "BEARERGATE_URI=/api/x?y",
		"REQUEST_SCHEME=http", "BEARERGATE_SCHEME=https", "HTTP_HOST=inner", "BEARERGATE_HOST=app.example", "UNIQUE_ID=1",
		"BEARERGATE_REQUEST_ID=2", NULL };
	struct bg_request request;

	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)env, &request, NULL), 0);
	ck_assert(bg_slice_equal(request.method, BG_SLICE("DELETE")));
	ck_assert(bg_slice_equal(request.uri, BG_SLICE("/api/x?y")));
	ck_assert(bg_slice_equal(request.scheme, BG_SLICE("https")));
	ck_assert(bg_slice_equal(request.host, BG_SLICE("app.example")));
	ck_assert(bg_slice_equal(request.request_id, BG_SLICE("2")));
	ck_assert(!request.says_auth);
	ck_assert_int_eq(request.auth, BG_AUTH_REQUIRED);
}
END_TEST

static const struct { const char *name, *env[MAX_ENV + 1], *dpop; bool two; } dpops[] = {
	{ "no proof", { "HTTP_X_DPOP=p", "DPOP=p" }, NULL, false },
	{ "one", { "HTTP_DPOP=p" }, "p", false },
	{ "an empty one", { "HTTP_DPOP=" }, "", false },
	/* SR-67; nginx sends both, the others join them: interop.md section 2.3 */
	{ "two", { "HTTP_DPOP=p", "HTTP_DPOP=q" }, "p", true },
	{ "two that are equal", { "HTTP_DPOP=p", "HTTP_DPOP=p" }, "p", true },
	{ "two, the first empty", { "HTTP_DPOP=", "HTTP_DPOP=p" }, "", true },
	{ "two, the second empty", { "HTTP_DPOP=p", "HTTP_DPOP=" }, "p", true },
	{ "two that are empty", { "HTTP_DPOP=", "HTTP_DPOP=" }, "", true },
	{ "three", { "HTTP_DPOP=p", "A=b", "HTTP_DPOP=p", "HTTP_DPOP=p" }, "p", true },
	{ "joined by the server", { "HTTP_DPOP=p, q" }, "p, q", false },	/* core/credentials.c refuses it */
	/* a header keeps its name when the server redirects; only what SetEnvIf made is renamed */
	{ "a redirected variable", { "REDIRECT_HTTP_DPOP=p" }, NULL, false },
	{ "a redirected variable and the header", { "REDIRECT_HTTP_DPOP=q", "HTTP_DPOP=p" }, "p", false },
};

START_TEST(a_proof_that_came_twice_is_two_proofs)	/* SR-67 */
{
	struct bg_request request;

	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)dpops[_i].env, &request, NULL), 0);
	ck_assert_msg(bg_slice_equal(request.dpop, bg_slice_str(dpops[_i].dpop)) &&
	    (request.dpop.ptr == NULL) == (dpops[_i].dpop == NULL), "%s", dpops[_i].name);
	ck_assert_msg(request.two_dpops == dpops[_i].two, "%s", dpops[_i].name);
}
END_TEST

static const struct { const char *name, *env[MAX_ENV + 1]; bool repeated; } proxies[] = {
	{ "each once", { "HTTP_FORWARDED=a", "HTTP_X_FORWARDED_FOR=a", "HTTP_X_FORWARDED_PROTO=a", "HTTP_X_FORWARDED_HOST=a",
	    "HTTP_X_FORWARDED_PREFIX=a" }, false },
	{ "Forwarded", { "HTTP_FORWARDED=a", "HTTP_FORWARDED=a" }, true },
	{ "For", { "HTTP_X_FORWARDED_FOR=a", "HTTP_X_FORWARDED_FOR=b" }, true },
	{ "Proto", { "HTTP_X_FORWARDED_PROTO=", "HTTP_X_FORWARDED_PROTO=" }, true },
	{ "Host, once spelt X_Forwarded_Host", { "HTTP_X_FORWARDED_HOST=a", "HTTP_X_FORWARDED_HOST=b" }, true },	/* interop.md section 2.2 */
	{ "Prefix", { "HTTP_X_FORWARDED_PREFIX=a", "REQUEST_URI=/", "HTTP_X_FORWARDED_PREFIX=" }, true },
	{ "others", { "HTTP_HOST=a", "HTTP_HOST=b", "HTTP_X_FORWARDED_SERVER=a", "HTTP_X_FORWARDED_SERVER=b" }, false },
};

START_TEST(what_proxies_say_twice_is_noticed)	/* SR-68 */
{
	struct bg_request request;

	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)proxies[_i].env, &request, NULL), 0);
	ck_assert_msg(request.repeated_forwarded == proxies[_i].repeated, "%s", proxies[_i].name);
	ck_assert_msg(!request.two_dpops, "%s", proxies[_i].name);
}
END_TEST

START_TEST(a_header_is_no_certificate)	/* SR-68; RFC 8705 section 6.5 */
{
	const char *env[] = { "HTTP_CLIENT_CERT=c", "HTTP_SSL_CLIENT_CERT=c", "HTTP_X_SSL_CLIENT_CERT=c", "HTTP_X_CLIENT_CERT=c",
		"HTTP_X_FORWARDED_CLIENT_CERT=c", "REDIRECT_SSL_CLIENT_CERT=c", "SSL_CLIENT_CERT_CHAIN_0=c",
		"SSL_CLIENT_CER=c", NULL };
	const char *own[] = { "HTTP_SSL_CLIENT_CERT=c", "SSL_CLIENT_CERT=s", "SSL_CLIENT_CERT=t", NULL };
	struct bg_request request;

	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)env, &request, NULL), 0);
	ck_assert_ptr_null(request.client_cert.ptr);
	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)own, &request, NULL), 0);
	ck_assert(bg_slice_equal(request.client_cert, BG_SLICE("s")));
}
END_TEST

static const struct { const char *name; size_t member; } own[] = {
	{ "REQUEST_METHOD", offsetof(struct bg_request, method) }, { "REQUEST_URI", offsetof(struct bg_request, uri) },
	{ "REQUEST_SCHEME", offsetof(struct bg_request, scheme) }, { "HTTP_HOST", offsetof(struct bg_request, host) },
	{ "REMOTE_ADDR", offsetof(struct bg_request, remote_addr) }, { "REMOTE_PORT", offsetof(struct bg_request, remote_port) },
	{ "UNIQUE_ID", offsetof(struct bg_request, request_id) }, { "SSL_CLIENT_CERT", offsetof(struct bg_request, client_cert) },
	{ "REDIRECT_URL", offsetof(struct bg_request, call[BG_CALL_REDIRECT_URL]) },
	{ "FCGI_APACHE_ROLE", offsetof(struct bg_request, call[BG_CALL_ROLE]) },
};

static struct bg_slice
slice_at(const struct bg_request *request, size_t member)
{
	struct bg_slice slice;

	memcpy(&slice, (const char *)request + member, sizeof(slice));
	return slice;
}

/* The same request with another HTTP version, or a header by which a rule of the server's finds another file, is no new call. */
START_TEST(what_a_client_chooses_marks_no_call)	/* SR-63 */
{
	static const char *const protocols[] = { "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "included", "INCLUDED ", "" };
	struct bg_request request;

	for (int i = 0; i < N(protocols); i++) {
		char one[64];
		const char *env[] = { one, "SCRIPT_FILENAME=/s", "PATH_INFO=/p", "REDIRECT_STATUS=404", NULL };

		bg_format(one, sizeof(one), "SERVER_PROTOCOL=%s", protocols[i]);
		ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)env, &request, NULL), 0);
		for (int n = 0; n < BG_CALL_VARIABLES; n++)
			ck_assert_msg(request.call[n].ptr == NULL, "%s: %d", protocols[i], n);
	}
}
END_TEST

START_TEST(a_header_is_no_variable_of_the_server)	/* SR-68 */
{
	const char *env[] = { "HTTP_REMOTE_ADDR=10.0.0.1", "HTTP_REMOTE_PORT=1", "HTTP_HTTPS=on", "HTTP_REQUEST_SCHEME=https",
		"HTTP_X_REAL_IP=10.0.0.1", "HTTP_X_ORIGINAL_URL=/x", "HTTP_X_REWRITE_URL=/x", "HTTP_X_FORWARDED_URI=/x",
		"HTTP_X_FORWARDED_METHOD=GET", "HTTP_X_HTTP_METHOD_OVERRIDE=GET", "HTTP_UNIQUE_ID=u", "HTTP_SERVER_PROTOCOL=INCLUDED",
		"HTTP_SCRIPT_FILENAME=/", "HTTP_REDIRECT_URL=/", "HTTP_FCGI_APACHE_ROLE=AUTHORIZER", NULL };
	struct bg_request request;

	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)env, &request, NULL), 0);
	for (int n = 0; n < N(own); n++)
		ck_assert_msg(slice_at(&request, own[n].member).ptr == NULL, "%s", own[n].name);
	for (int n = 0; n < BG_CALL_VARIABLES; n++)
		ck_assert_msg(request.call[n].ptr == NULL, "call %d", n);
}
END_TEST

static const struct { const char *env[MAX_ENV + 1], *scheme; } schemes[] = {
	{ { "HTTPS=on" }, "https" }, { { "HTTPS=ON" }, "https" }, { { "HTTPS=1" }, "https" }, { { "HTTPS=off" }, NULL },
	{ { "HTTPS=" }, NULL },
	{ { "HTTPS=0" }, NULL }, { { "HTTPS=yes" }, NULL }, { { "HTTPS=on " }, NULL }, { { "HTTPS=on", "HTTPS=off" }, "https" },
	{ { "HTTPS=off", "HTTPS=on" }, NULL }, { { "HTTPS=on", "REQUEST_SCHEME=http" }, "http" },
	{ { "REQUEST_SCHEME=http", "HTTPS=on" }, "http" },
	{ { "HTTPS=on", "BEARERGATE_SCHEME=http" }, "http" }, { { "BEARERGATE_SCHEME=http", "HTTPS=on" }, "http" },
	{ { "HTTPS=on", "REQUEST_SCHEME=" }, "https" }, { { "REQUEST_SCHEME=https", "HTTPS=off" }, "https" },
	{ { "HTTPS=off", "REQUEST_SCHEME=" }, "" }, { { "https=on" }, NULL }, { { NULL }, NULL },
	{ { "HTTP_HTTPS=on", "HTTP_X_FORWARDED_PROTO=https", "HTTP_FRONT_END_HTTPS=on", "REDIRECT_HTTPS=on" }, NULL },	/* SR-68 */
};

START_TEST(a_scheme_that_nobody_says_is_what_https_says)	/* interop.md section 2.2: Apache says REQUEST_SCHEME alone */
{
	struct bg_request request;

	ck_assert_int_eq(bg_metavars_read((char *const *)(uintptr_t)schemes[_i].env, &request, NULL), 0);
	ck_assert_msg(bg_slice_equal(request.scheme, bg_slice_str(schemes[_i].scheme)), "row %d: %.*s", _i,
	    BG_SLICE_ARG(request.scheme));
}
END_TEST

START_TEST(the_first_of_a_servers_own_variables_counts)	/* SR-23: as in libfcgi */
{
	for (int n = 0; n < N(own); n++) {
		char one[64], two[64], *env[] = { one, two, NULL };
		struct bg_request request;

		bg_format(one, sizeof(one), "%s=1", own[n].name);
		bg_format(two, sizeof(two), "%s=2", own[n].name);
		ck_assert_int_eq(bg_metavars_read(env, &request, NULL), 0);
		ck_assert_msg(bg_slice_equal(slice_at(&request, own[n].member), BG_SLICE("1")), "%s", own[n].name);
		ck_assert_int_eq(bg_metavars_read(&env[1], &request, NULL), 0);
		ck_assert_msg(bg_slice_equal(slice_at(&request, own[n].member), BG_SLICE("2")), "%s", own[n].name);
	}
}
END_TEST

static const struct { const char *value; enum bg_reason want; enum bg_auth auth; } auths[] = {
	{ "required", BG_R_OK, BG_AUTH_REQUIRED }, { "optional", BG_R_OK, BG_AUTH_OPTIONAL }, { "none", BG_R_OK, BG_AUTH_NONE },
	{ "", BG_R_BAD_VARIABLE, 0 }, { "None", BG_R_BAD_VARIABLE, 0 }, { "none ", BG_R_BAD_VARIABLE, 0 },
	{ "off", BG_R_BAD_VARIABLE, 0 },
	{ "optiona", BG_R_BAD_VARIABLE, 0 }, { "none\n", BG_R_BAD_VARIABLE, 0 }, { "required,none", BG_R_BAD_VARIABLE, 0 },
};

START_TEST(auth_is_one_of_three_words)
{
	char text[64], *env[] = { text, NULL };
	struct bg_error err = { 0 };
	struct bg_request request;

	bg_format(text, sizeof(text), "BEARERGATE_AUTH=%s", auths[_i].value);
	ck_reason(bg_metavars_read(env, &request, &err), err, auths[_i].want, text);
	ck_assert_int_eq(request.auth, auths[_i].auth);
	ck_assert_int_eq(request.says_auth, auths[_i].want == BG_R_OK);
}
END_TEST

START_TEST(auth_said_twice_is_refused)
{
	const char *env[] = { "BEARERGATE_AUTH=none", "BEARERGATE_AUTH=none", NULL };
	struct bg_error err = { 0 };
	struct bg_request request;

	ck_reason(bg_metavars_read((char *const *)(uintptr_t)env, &request, &err), err, BG_R_BAD_VARIABLE, "twice");
	ck_assert(!request.says_auth && request.auth == BG_AUTH_REQUIRED);
}
END_TEST

/* It changes the form of an answer and nothing of the request; fcgi/authorizer.c looks for it. */
static const struct { const char *first, *second; enum bg_reason want; } forms[] = {
	{ "client", NULL, BG_R_OK }, { "auth_request", NULL, BG_R_OK },
	{ "", NULL, BG_R_BAD_VARIABLE }, { "Client", NULL, BG_R_BAD_VARIABLE }, { "client ", NULL, BG_R_BAD_VARIABLE },
	{ "200", NULL, BG_R_BAD_VARIABLE },
	{ "client", "client", BG_R_BAD_VARIABLE }, { "auth_request", "client", BG_R_BAD_VARIABLE },
};

START_TEST(the_form_of_an_answer_is_one_of_two_words_said_once)
{
	char first[64], second[64], *env[] = { first, forms[_i].second != NULL ? second : NULL, NULL };
	struct bg_error err = { 0 };
	struct bg_request request, nothing = { 0 };

	bg_format(first, sizeof(first), "BEARERGATE_ANSWER=%s", forms[_i].first);
	bg_format(second, sizeof(second), "BEARERGATE_ANSWER=%s", forms[_i].second != NULL ? forms[_i].second : "");
	ck_reason(bg_metavars_read(env, &request, &err), err, forms[_i].want, first);
	ck_assert_int_eq(memcmp(&request, &nothing, sizeof(request)), 0);
}
END_TEST

/* SR-23: every variable of ours, with every value that it should not have; whose fault it is decides the answer. */
START_TEST(a_variable_of_ours_with_an_odd_value_is_refused)
{
	static const struct { const char *name; enum bg_reason empty, odd, high, spaced; } rows[] = {
		{ "BEARERGATE_SCOPE",      BG_R_OK,           BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE, BG_R_OK },
		{ "BEARERGATE_ANY_SCOPE",  BG_R_OK,           BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE, BG_R_OK },
		{ "BEARERGATE_PERMISSION", BG_R_OK,           BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE, BG_R_OK },
		{ "BEARERGATE_POLICY",     BG_R_OK,           BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE, BG_R_OK },
		{ "BEARERGATE_SCHEME",     BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE },
		{ "BEARERGATE_REQUEST_ID", BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE, BG_R_BAD_VARIABLE },
		{ "BEARERGATE_METHOD",     BG_R_BAD_VARIABLE, BG_R_BAD_REQUEST,  BG_R_BAD_REQUEST,  BG_R_BAD_REQUEST },
		{ "BEARERGATE_URI",        BG_R_BAD_VARIABLE, BG_R_BAD_REQUEST,  BG_R_BAD_REQUEST,  BG_R_BAD_REQUEST },
		{ "BEARERGATE_HOST",       BG_R_OK,           BG_R_BAD_REQUEST,  BG_R_BAD_REQUEST,  BG_R_BAD_REQUEST },
	};
	static const char *const values[] = { "", "a\r\nX: y", "a\xff", "a b" };

	for (int r = 0; r < N(rows); r++)
		for (int v = 0; v < N(values); v++) {
			const enum bg_reason want[] = { rows[r].empty, rows[r].odd, rows[r].high, rows[r].spaced };
			char one[64], *once[] = { one, NULL }, *twice[] = { one, one, NULL };
			struct bg_error err = { 0 };
			struct bg_request request;

			bg_format(one, sizeof(one), "%s=%s", rows[r].name, values[v]);
			ck_reason(bg_metavars_read(once, &request, &err), err, want[v], one);
			bg_error_clear(&err);
			ck_reason(bg_metavars_read(twice, &request, &err), err, want[v] == BG_R_OK ? BG_R_BAD_VARIABLE : want[v], one);
			ck_assert(request.uri.ptr == NULL && request.want_scope.ptr == NULL);
		}
}
END_TEST

START_TEST(a_refused_variable_leaves_nothing_behind_but_what_the_log_says)
{
	const char *env[] = { "BEARERGATE_AUTH=none", "BEARERGATE_X=1", "BEARERGATE_POLICY=p", "HTTP_AUTHORIZATION=Bearer a",
		"REQUEST_METHOD=GET", "REQUEST_URI=/x", "REMOTE_ADDR=::1", "UNIQUE_ID=u", "BEARERGATE_Y=1", NULL };
	struct bg_error err = { 0 };
	struct bg_request request;

	ck_reason(bg_metavars_read((char *const *)(uintptr_t)env, &request, &err), err, BG_R_BAD_VARIABLE, "unknown");
	ck_assert_str_eq(err.detail, "BEARERGATE_X is not known");
	ck_assert(request.authorization.ptr == NULL && request.want_policy.ptr == NULL && !request.says_auth &&
	    request.auth == BG_AUTH_REQUIRED);
	ck_assert(bg_slice_equal(request.method, BG_SLICE("GET")) && bg_slice_equal(request.uri, BG_SLICE("/x")) &&
	    bg_slice_equal(request.remote_addr, BG_SLICE("::1")) && bg_slice_equal(request.request_id, BG_SLICE("u")));
}
END_TEST

/* SR-23: every name we read, missing, empty, repeated, or holding the bytes a value should not hold. */
START_TEST(no_value_of_a_variable_upsets_us)
{
	static const char *const names[] = { "REQUEST_METHOD", "REQUEST_URI", "HTTP_HOST", "REMOTE_ADDR", "UNIQUE_ID",
		"HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION", "REQUEST_SCHEME", "HTTP_ORIGIN",
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD", "HTTP_DPOP", "HTTPS", "SSL_CLIENT_CERT", "REMOTE_PORT", "HTTP_FORWARDED",
		"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PREFIX", "SERVER_PROTOCOL",
		"REDIRECT_URL", "FCGI_APACHE_ROLE", "SCRIPT_FILENAME" };
	static const char *const values[] = { "", "\r\nX: y", "\x01\x7f\xff", "%00", "=", "a=b=c", "\xc3\x28" };

	for (int n = 0; n < N(names); n++)
		for (int v = 0; v < N(values); v++) {
			char one[128];
			char *env[] = { one, one, NULL };
			struct bg_request request;

			bg_format(one, sizeof(one), "%s=%s", names[n], values[v]);
			ck_assert_int_eq(bg_metavars_read(env, &request, NULL), 0);
			ck_assert(request.want_scope.ptr == NULL && request.want_policy.ptr == NULL && !request.says_auth);
		}
}
END_TEST

static const struct { const char *uri, *path; } paths[] = {
	{ "/a/b?c", "/a/b" }, { "/a#b", "/a" }, { "/", "/" }, { "", "" }, { "*", "*" },
	{ "http://other.example/a?b", "/a" }, { "http://other.example", "" }, { "http://other.example?x", "" },
	{ "/a?http://b/c", "/a" }, { "/a%3Fb", "/a%3Fb" }, { "://", "://" }, { "x?a=http://h/b", "x" },
	{ "1http://h/b", "1http://h/b" },
	{ "HTTP://h/b", "/b" },
};

START_TEST(a_path_has_neither_query_nor_host)	/* SR-71 */
{
	struct bg_request request = { .uri = bg_slice_str(paths[_i].uri) };

	ck_assert_msg(bg_slice_equal(bg_request_path(&request), bg_slice_str(paths[_i].path)), "%s", paths[_i].uri);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("metavars");
	TCase *tc = tcase_create("metavars");

	tcase_add_loop_test(tc, meta_variables_become_a_request, 0, N(cases));
	tcase_add_test(tc, each_variable_goes_to_its_member);
	tcase_add_test(tc, what_our_variables_say_counts);
	tcase_add_loop_test(tc, a_proof_that_came_twice_is_two_proofs, 0, N(dpops));
	tcase_add_loop_test(tc, what_proxies_say_twice_is_noticed, 0, N(proxies));
	tcase_add_test(tc, a_header_is_no_certificate);
	tcase_add_test(tc, a_header_is_no_variable_of_the_server);
	tcase_add_test(tc, what_a_client_chooses_marks_no_call);
	tcase_add_loop_test(tc, a_scheme_that_nobody_says_is_what_https_says, 0, N(schemes));
	tcase_add_test(tc, the_first_of_a_servers_own_variables_counts);
	tcase_add_loop_test(tc, auth_is_one_of_three_words, 0, N(auths));
	tcase_add_test(tc, auth_said_twice_is_refused);
	tcase_add_loop_test(tc, the_form_of_an_answer_is_one_of_two_words_said_once, 0, N(forms));
	tcase_add_test(tc, a_variable_of_ours_with_an_odd_value_is_refused);
	tcase_add_test(tc, a_refused_variable_leaves_nothing_behind_but_what_the_log_says);
	tcase_add_test(tc, no_value_of_a_variable_upsets_us);
	tcase_add_loop_test(tc, a_path_has_neither_query_nor_host, 0, N(paths));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
