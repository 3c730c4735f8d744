#include "core/public.h"

#include "core/limits.h"
#include "tests/support/run.h"

/* A request with Host "app.example" and target "/a?b", in plain http, by a proxy of ours, where nothing else is said. */
static const struct {
	const char    *name;
	const char    *url;	/* public_url */
	const char    *peer;
	const char    *scheme, *host, *target;
	const char    *x_proto, *x_host, *x_prefix, *forwarded;
	const char    *wanted;
	enum bg_reason want;
} rows[] = {
	{ "the server's own", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "http://app.example/a", BG_R_OK },
	{ "the server's own, by TLS", NULL, NULL, "https", "App.Example:443", NULL, NULL, NULL, NULL, NULL, "https://app.example/a", BG_R_OK },
	{ "an empty scheme", NULL, NULL, "", NULL, NULL, NULL, NULL, NULL, NULL, "http://app.example/a", BG_R_OK },
	{ "another port", NULL, NULL, "https", "h:8443", NULL, NULL, NULL, NULL, NULL, "https://h:8443/a", BG_R_OK },
	{ "an absolute target", NULL, NULL, NULL, NULL, "http://other/x?y", NULL, NULL, NULL, NULL, "http://app.example/x", BG_R_OK },
	{ "a scheme of the server that is none of ours", NULL, NULL, "h2", NULL, NULL, NULL, NULL, NULL, NULL, NULL, BG_R_BAD_VARIABLE },
	/* SR-60; RFC 9110 section 7.2 */
	{ "a Host with a path", NULL, NULL, NULL, "good/path?", NULL, NULL, NULL, NULL, NULL, NULL, BG_R_BAD_HOST },
	{ "a Host that is a list", NULL, NULL, NULL, "good, evil", NULL, NULL, NULL, NULL, NULL, NULL, BG_R_BAD_HOST },
	{ "a Host with user information", NULL, NULL, NULL, "u@good", NULL, NULL, NULL, NULL, NULL, NULL, BG_R_BAD_HOST },
	{ "a Host with a bad port", NULL, NULL, NULL, "good:0", NULL, NULL, NULL, NULL, NULL, NULL, BG_R_BAD_HOST },
	{ "an empty Host", NULL, NULL, NULL, "", NULL, NULL, NULL, NULL, NULL, NULL, BG_R_BAD_HOST },
	{ "a port alone", NULL, NULL, NULL, ":80", NULL, NULL, NULL, NULL, NULL, NULL, BG_R_BAD_HOST },
	{ "a target that is no path", NULL, NULL, NULL, NULL, "*", NULL, NULL, NULL, NULL, NULL, BG_R_BAD_REQUEST },
	{ "an empty target", NULL, NULL, NULL, NULL, "", NULL, NULL, NULL, NULL, NULL, BG_R_BAD_REQUEST },
	{ "a target with a bad encoding", NULL, NULL, NULL, NULL, "/%zz", NULL, NULL, NULL, NULL, NULL, BG_R_BAD_REQUEST },
	{ "a target with a fragment", NULL, NULL, NULL, NULL, "/a#b", NULL, NULL, NULL, NULL, NULL, BG_R_BAD_REQUEST },
	/* SR-68 */
	{ "a proxy", NULL, NULL, NULL, "inner:8080", NULL, "https", "app.example", "/p", NULL, "https://app.example/p/a", BG_R_OK },
	{ "a proxy, by Forwarded", NULL, NULL, NULL, "inner", NULL, NULL, NULL, NULL, "proto=https;host=\"h:8443\"", "https://h:8443/a", BG_R_OK },
	{ "a proxy that says the scheme alone", NULL, NULL, NULL, NULL, NULL, "https", NULL, NULL, NULL, "https://app.example/a", BG_R_OK },
	{ "a proxy that says the host alone", NULL, NULL, "https", "inner", NULL, NULL, "h", NULL, NULL, "https://h/a", BG_R_OK },
	{ "a proxy that saw plain http", NULL, NULL, "https", NULL, NULL, "http", NULL, NULL, NULL, "http://app.example/a", BG_R_OK },
	{ "a proxy before a server without Host", NULL, NULL, NULL, "", NULL, NULL, "h", NULL, NULL, "http://h/a", BG_R_OK },
	{ "a prefix that is all slashes", NULL, NULL, NULL, NULL, NULL, NULL, NULL, "//", NULL, "http://app.example/a", BG_R_OK },
	{ "a target that leads out of the prefix", NULL, NULL, NULL, NULL, "/../x", NULL, NULL, "/p", NULL, "http://app.example/p/x", BG_R_OK },
	{ "a stranger", NULL, "192.0.2.1", NULL, NULL, NULL, "https", "evil", "/p", NULL, "http://app.example/a", BG_R_OK },
	{ "a stranger's rubbish", NULL, "192.0.2.1", NULL, NULL, NULL, "x", "y/", "..", "=", "http://app.example/a", BG_R_OK },
	{ "a proxy's host with a path", NULL, NULL, NULL, NULL, NULL, NULL, "good/path?", NULL, NULL, NULL, BG_R_BAD_HOST },
	{ "a proxy's host in quotes", NULL, NULL, NULL, NULL, NULL, NULL, "\"a,b\"", NULL, NULL, NULL, BG_R_BAD_HOST },	/* SR-69 */
	{ "a proxy's host with a path, by Forwarded", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "host=\"good/path?\"", NULL, BG_R_BAD_HOST },
	{ "a proxy's host with a comma, by Forwarded", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "host=\"a,b\"", NULL, BG_R_BAD_HOST },
	{ "a proxy's other scheme", NULL, NULL, NULL, NULL, NULL, "ftp", NULL, NULL, NULL, NULL, BG_R_BAD_FORWARDED },
	{ "a proxy's bad prefix", NULL, NULL, NULL, NULL, NULL, NULL, NULL, "/p/..", NULL, NULL, BG_R_BAD_FORWARDED },
	{ "a proxy that contradicts itself", NULL, NULL, NULL, NULL, NULL, NULL, "h", NULL, "host=g", NULL, BG_R_BAD_FORWARDED },
	/* public_url wins over everything */
	{ "public_url", "https://api.example", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "https://api.example/a", BG_R_OK },
	{ "public_url with a slash", "https://api.example/", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "https://api.example/a", BG_R_OK },
	{ "public_url with a path", "https://api.example/v1", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "https://api.example/v1/a", BG_R_OK },
	{ "public_url with path and slash", "https://api.example:8443/v1/", NULL, NULL, NULL, "/", NULL, NULL, NULL, NULL, "https://api.example:8443/v1/", BG_R_OK },
	{ "public_url as nobody would write it", "HTTPS://API.Example:443/%761", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "https://api.example/v1/a", BG_R_OK },
	{ "public_url and IPv6", "https://[2001:DB8::0:1]:8443/v1", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "https://[2001:db8::1]:8443/v1/a", BG_R_OK },
	{ "public_url and a target that leads out of it", "https://h/v1", NULL, NULL, NULL, "/../x", NULL, NULL, NULL, NULL, "https://h/v1/x", BG_R_OK },
	{ "public_url and an absolute target", "https://h/v1", NULL, NULL, NULL, "http://other/x", NULL, NULL, NULL, NULL, "https://h/v1/x", BG_R_OK },
	{ "public_url and what a proxy says", "https://h", NULL, "http", NULL, NULL, "http", "g", "/p", NULL, "https://h/a", BG_R_OK },
	{ "public_url and rubbish in all headers", "https://h", NULL, "x", "/,@", NULL, "ftp", "@", "..", "=,", "https://h/a", BG_R_OK },
	{ "public_url and no Host", "https://h", NULL, NULL, "", NULL, NULL, NULL, NULL, NULL, "https://h/a", BG_R_OK },
	{ "public_url and a bad target", "https://h", NULL, NULL, NULL, "*", NULL, NULL, NULL, NULL, NULL, BG_R_BAD_REQUEST },
	/* conf/ refuses these */
	{ "public_url with a bad host", "https://a,b/", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, BG_R_INTERNAL },
	{ "public_url with a query", "https://h/?a", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, BG_R_INTERNAL },
	{ "public_url that leads back", "https://h/a/../b", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, BG_R_INTERNAL },
	{ "public_url of another scheme", "ftp://h/", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, BG_R_INTERNAL },
	{ "public_url that is none", "", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, BG_R_INTERNAL },
	{ "public_url without a host", "https:", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, BG_R_INTERNAL },
};

static struct bg_slice
either(const char *said, const char *otherwise)
{
	return bg_slice_str(said != NULL ? said : otherwise);
}

static void
make_request(int i, struct bg_request *out)
{
	*out = (struct bg_request){
		.remote_addr = either(rows[i].peer, "10.0.0.1"), .scheme = bg_slice_str(rows[i].scheme),
		.host = either(rows[i].host, "app.example"), .uri = either(rows[i].target, "/a?b"),
		.x_forwarded_proto = bg_slice_str(rows[i].x_proto), .x_forwarded_host = bg_slice_str(rows[i].x_host),
		.x_forwarded_prefix = bg_slice_str(rows[i].x_prefix), .forwarded = bg_slice_str(rows[i].forwarded),
	};
}

static void
make_public(const char *url, struct bg_public *out)
{
	*out = (struct bg_public){ 0 };
	ck_assert_ptr_nonnull(out->proxies.networks = calloc(1, sizeof(*out->proxies.networks)));
	ck_assert_ptr_null(bg_network_parse(BG_SLICE("10.0.0.0/8"), out->proxies.networks));
	out->proxies.n_networks = 1;
	if (url != NULL)
		ck_assert_ptr_nonnull(out->url = strdup(url));
}

START_TEST(the_url_is_the_one_the_client_asked_for)	/* RFC 9449 section 4.3 check 9, RFC 9110 section 7.1 */
{
	struct bg_error err = { 0 };
	struct bg_request request;
	struct bg_public public;
	struct bg_slice url;
	struct bg_buf buf;

	make_request(_i, &request);
	make_public(rows[_i].url, &public);
	bg_buf_init(&buf, BG_URI_MAX);
	ck_reason(bg_public_url(&public, &request, &buf, &err), err, rows[_i].want, rows[_i].name);
	if (rows[_i].want == BG_R_OK) {
		ck_assert_int_eq(bg_buf_finish(&buf, &url, NULL), 0);
		ck_assert_msg(bg_slice_equal(url, bg_slice_str(rows[_i].wanted)), "%s: %s", rows[_i].name, url.ptr);
	}
	bg_buf_clear(&buf);
	bg_public_clear(&public);
	ck_assert(public.url == NULL && public.proxies.networks == NULL && public.proxies.n_networks == 0);
}
END_TEST

START_TEST(what_is_missing_is_not_made_up)	/* SR-23 */
{
	const struct bg_public public = { 0 };
	struct bg_request request = { .uri = BG_SLICE("/") };
	struct bg_error err = { 0 };
	struct bg_buf buf;

	bg_buf_init(&buf, BG_URI_MAX);
	ck_reason(bg_public_url(&public, &request, &buf, &err), err, BG_R_BAD_HOST, "no Host");
	bg_error_clear(&err);
	bg_buf_reset(&buf);
	request = (struct bg_request){ .host = BG_SLICE("h") };
	ck_reason(bg_public_url(&public, &request, &buf, &err), err, BG_R_BAD_REQUEST, "no target");
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(a_url_that_does_not_fit_is_a_bad_request)	/* the ceiling is the buffer's */
{
	const struct bg_public public = { 0 };
	const struct bg_request request = { .host = BG_SLICE("h"), .uri = BG_SLICE("/abc") };
	struct bg_error err = { 0 };
	struct bg_buf buf;

	bg_buf_init(&buf, strlen("http://h/abc"));
	ck_reason(bg_public_url(&public, &request, &buf, &err), err, BG_R_OK, "just");
	bg_buf_clear(&buf);
	bg_buf_init(&buf, strlen("http://h/ab"));
	ck_reason(bg_public_url(&public, &request, &buf, &err), err, BG_R_BAD_REQUEST, "one byte more");
	bg_buf_clear(&buf);
}
END_TEST

START_TEST(want_of_memory_is_ours)
{
	const struct bg_public public = { 0 };
	const struct bg_request request = { .host = BG_SLICE("h"), .uri = BG_SLICE("/abc") };
	struct bg_error err = { 0 };
	struct bg_buf buf;

	bg_buf_init(&buf, BG_URI_MAX);
	buf.failed = buf.no_memory = true;	/* as when it could not grow */
	ck_reason(bg_public_url(&public, &request, &buf, &err), err, BG_R_NO_MEMORY, "no memory");
	bg_buf_clear(&buf);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("public");
	TCase *tc = tcase_create("public");

	tcase_add_loop_test(tc, the_url_is_the_one_the_client_asked_for, 0, N(rows));
	tcase_add_test(tc, what_is_missing_is_not_made_up);
	tcase_add_test(tc, a_url_that_does_not_fit_is_a_bad_request);
	tcase_add_test(tc, want_of_memory_is_ours);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
