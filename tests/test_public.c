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
	{ "the server's own", .wanted = "http://app.example/a" },
	{ "the server's own, by TLS", .scheme = "https", .host = "App.Example:443", .wanted = "https://app.example/a" },
	{ "an empty scheme", .scheme = "", .wanted = "http://app.example/a" },
	{ "another port", .scheme = "https", .host = "h:8443", .wanted = "https://h:8443/a" },
	{ "an absolute target", .target = "http://other/x?y", .wanted = "http://app.example/x" },
	{ "a scheme of the server that is none of ours", .scheme = "h2", .want = BG_R_BAD_VARIABLE },
	/* SR-60; RFC 9110 section 7.2 */
	{ "a Host with a path", .host = "good/path?", .want = BG_R_BAD_HOST },
	{ "a Host that is a list", .host = "good, evil", .want = BG_R_BAD_HOST },
	{ "a Host with user information", .host = "u@good", .want = BG_R_BAD_HOST },
	{ "a Host with a bad port", .host = "good:0", .want = BG_R_BAD_HOST },
	{ "an empty Host", .host = "", .want = BG_R_BAD_HOST },
	{ "a port alone", .host = ":80", .want = BG_R_BAD_HOST },
	{ "a target that is no path", .target = "*", .want = BG_R_BAD_REQUEST },
	{ "an empty target", .target = "", .want = BG_R_BAD_REQUEST },
	{ "a target with a bad encoding", .target = "/%zz", .want = BG_R_BAD_REQUEST },
	{ "a target with a fragment", .target = "/a#b", .want = BG_R_BAD_REQUEST },
	/* SR-68 */
	{ "a proxy", .host = "inner:8080", .x_proto = "https", .x_host = "app.example", .x_prefix = "/p",
	  .wanted = "https://app.example/p/a" },
	{ "a proxy, by Forwarded", .host = "inner", .forwarded = "proto=https;host=\"h:8443\"", .wanted = "https://h:8443/a" },
	{ "a proxy that says the scheme alone", .x_proto = "https", .wanted = "https://app.example/a" },
	{ "a proxy that says the host alone", .scheme = "https", .host = "inner", .x_host = "h", .wanted = "https://h/a" },
	{ "a proxy that saw plain http", .scheme = "https", .x_proto = "http", .wanted = "http://app.example/a" },
	{ "a proxy before a server without Host", .host = "", .x_host = "h", .wanted = "http://h/a" },
	{ "a prefix that is all slashes", .x_prefix = "//", .wanted = "http://app.example/a" },
	{ "a target that leads out of the prefix", .target = "/../x", .x_prefix = "/p", .wanted = "http://app.example/p/x" },
	{ "a stranger", .peer = "192.0.2.1", .x_proto = "https", .x_host = "evil", .x_prefix = "/p",
	  .wanted = "http://app.example/a" },
	{ "a stranger's rubbish", .peer = "192.0.2.1", .x_proto = "x", .x_host = "y/", .x_prefix = "..", .forwarded = "=",
	  .wanted = "http://app.example/a" },
	{ "a proxy's host with a path", .x_host = "good/path?", .want = BG_R_BAD_HOST },
	{ "a proxy's host in quotes", .x_host = "\"a,b\"", .want = BG_R_BAD_HOST },	/* SR-69 */
	{ "a proxy's host with a path, by Forwarded", .forwarded = "host=\"good/path?\"", .want = BG_R_BAD_HOST },
	{ "a proxy's host with a comma, by Forwarded", .forwarded = "host=\"a,b\"", .want = BG_R_BAD_HOST },
	{ "a proxy's other scheme", .x_proto = "ftp", .want = BG_R_BAD_FORWARDED },
	{ "a proxy's bad prefix", .x_prefix = "/p/..", .want = BG_R_BAD_FORWARDED },
	{ "a proxy that contradicts itself", .x_host = "h", .forwarded = "host=g", .want = BG_R_BAD_FORWARDED },
	/* public_url wins over everything */
	{ "public_url", .url = "https://api.example", .wanted = "https://api.example/a" },
	{ "public_url with a slash", .url = "https://api.example/", .wanted = "https://api.example/a" },
	{ "public_url with a path", .url = "https://api.example/v1", .wanted = "https://api.example/v1/a" },
	{ "public_url with path and slash", .url = "https://api.example:8443/v1/", .target = "/",
	  .wanted = "https://api.example:8443/v1/" },
	{ "public_url as nobody would write it", .url = "HTTPS://API.Example:443/%761", .wanted = "https://api.example/v1/a" },
	{ "public_url and IPv6", .url = "https://[2001:DB8::0:1]:8443/v1", .wanted = "https://[2001:db8::1]:8443/v1/a" },
	{ "public_url and a target that leads out of it", .url = "https://h/v1", .target = "/../x", .wanted = "https://h/v1/x" },
	{ "public_url and an absolute target", .url = "https://h/v1", .target = "http://other/x", .wanted = "https://h/v1/x" },
	{ "public_url and what a proxy says", .url = "https://h", .scheme = "http", .x_proto = "http", .x_host = "g",
	  .x_prefix = "/p", .wanted = "https://h/a" },
	{ "public_url and rubbish in all headers", .url = "https://h", .scheme = "x", .host = "/,@", .x_proto = "ftp",
	  .x_host = "@", .x_prefix = "..", .forwarded = "=,", .wanted = "https://h/a" },
	{ "public_url and no Host", .url = "https://h", .host = "", .wanted = "https://h/a" },
	{ "public_url and a bad target", .url = "https://h", .target = "*", .want = BG_R_BAD_REQUEST },
	/* conf/ refuses these */
	{ "public_url with a bad host", .url = "https://a,b/", .want = BG_R_INTERNAL },
	{ "public_url with a query", .url = "https://h/?a", .want = BG_R_INTERNAL },
	{ "public_url that leads back", .url = "https://h/a/../b", .want = BG_R_INTERNAL },
	{ "public_url of another scheme", .url = "ftp://h/", .want = BG_R_INTERNAL },
	{ "public_url that is none", .url = "", .want = BG_R_INTERNAL },
	{ "public_url without a host", .url = "https:", .want = BG_R_INTERNAL },
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
