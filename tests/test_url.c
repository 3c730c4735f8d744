#include "core/url.h"

#include "core/limits.h"
#include "tests/support/run.h"

#define OPEN_LINE	"begins with http://, and keys must not come over an open line"

static const struct { const char *name, *url; bool query; const char *want; } urls[] = {
	{ "a name",                   "https://id.example/",                 false, NULL },
	{ "no path",                  "https://id.example",                  false, NULL },
	{ "a path",                   "https://id.example/realms/x",         false, NULL },
	{ "a port",                   "https://id.example:8443/",            false, NULL },
	{ "the largest port",         "https://id.example:65535/",           false, NULL },
	{ "one label",                "https://localhost/",                  false, NULL },
	{ "an underscore",            "https://my_idp/",                     false, NULL },
	{ "IPv4",                     "https://127.0.0.1:1/",                false, NULL },
	{ "IPv6",                     "https://[::1]/",                      false, NULL },
	{ "IPv6 and a port",          "https://[2001:db8::1]:8443/x",        false, NULL },
	{ "percent sequences",        "https://id.example/a%2Fb",            false, NULL },
	{ "an @ in the path",         "https://id.example/@x",               false, NULL },
	{ "a query where allowed",    "https://id.example/keys?v=1",         true,  NULL },

	/* RFC 8414 section 2: an issuer has neither query nor fragment */
	{ "a query",                  "https://id.example/?x",               false, "has a query" },
	{ "a query without path",     "https://id.example?x",                false, "has a query" },
	{ "a fragment",               "https://id.example/#x",               true,  "has a fragment" },
	{ "nothing",                  "",                                    false, "is empty" },
	{ "http",                     "http://id.example/",                  false, OPEN_LINE },
	{ "HTTP",                     "HTTP://id.example/",                  false, OPEN_LINE },
	{ "another scheme",           "ftp://id.example/",                   false, "does not begin with https://" },
	{ "file (SR-52)",             "file:///etc/passwd",                  false, "does not begin with https://" },
	{ "no scheme",                "id.example",                          false, "does not begin with https://" },
	{ "one slash",                "https:/id.example/",                  false, "does not begin with https://" },
	{ "capital scheme",           "HTTPS://id.example/",                 false, "does not begin with https://" },
	{ "no host",                  "https://",                            false, "has no host" },
	{ "a path for host",          "https:///x",                          false, "has no host" },
	{ "a port for host",          "https://:443/",                       false, "has no host" },
	{ "credentials",              "https://u:p@id.example/",             false, "has credentials in it" },
	{ "an empty user",            "https://@id.example/",                false, "has credentials in it" },
	{ "a space",                  "https://id.example/a b",              false, "has white space in it" },
	{ "a line break",             "https://id.example/\n",               false, "has white space in it" },
	{ "a control character",      "https://id.example/\x01",             false, "has a byte in it that is not printable ASCII" },
	{ "a letter beyond ASCII",    "https://id.ex\xc3\xa4mple/",          false, "has a byte in it that is not printable ASCII" },
	{ "delete",                   "https://id.example/\x7f",             false, "has a byte in it that is not printable ASCII" },
	{ "a quote",                  "https://id.example/\"",               false, "has a character in it that no URL may have" },
	{ "a backslash",              "https://id.example\\@evil.example/",  false, "has a character in it that no URL may have" },
	{ "brackets in the path",     "https://id.example/[x]",              false, "has a character in it that no URL may have" },
	{ "half a percent sequence",  "https://id.example/%2",               false, "has a \"%\" in it without two hexadecimal digits" },
	{ "no hexadecimal digits",    "https://id.example/%zz",              false, "has a \"%\" in it without two hexadecimal digits" },
	{ "an empty port",            "https://id.example:/",                false, "has a bad port" },
	{ "port 0",                   "https://id.example:0/",               false, "has a bad port" },
	{ "a port too large",         "https://id.example:65536/",           false, "has a bad port" },
	{ "a port of six digits",     "https://id.example:000443/",          false, "has a bad port" },
	{ "a port with a letter",     "https://id.example:44a/",             false, "has a bad port" },
	{ "an empty label",           "https://id..example/",                false, "has a malformed host" },
	{ "a dot first",              "https://.example/",                   false, "has a malformed host" },
	{ "a dot last",               "https://id.example./",                false, "has a malformed host" },
	{ "a hyphen first",           "https://-id.example/",                false, "has a malformed host" },
	{ "a hyphen last",            "https://id-.example/",                false, "has a malformed host" },
	{ "a percent in the host",    "https://id%2eexample/",               false, "has a malformed host" },
	{ "two ports",                "https://id.example:1:2/",             false, "has a malformed host" },
	{ "half an address",          "https://127.1/",                      false, "has a malformed host" },
	{ "an address as a number",   "https://2130706433/",                 false, "has a malformed host" },
	{ "an address in hexadecimal", "https://0x7f000001/",                false, "has a malformed host" },
	{ "an address out of bounds", "https://1.2.3.256/",                  false, "has a malformed host" },
	{ "a bad IPv6",               "https://[::g]/",                      false, "has a malformed host" },
	{ "empty brackets",           "https://[]/",                         false, "has a malformed host" },
	{ "an open bracket",          "https://[::1/",                       false, "has a malformed host" },
	{ "text behind brackets",     "https://[::1]x/",                     false, "has a malformed host" },
	{ "IPv6 without brackets",    "https://::1/",                        false, "has a malformed host" },
};

START_TEST(a_url_is_taken_or_refused_for_what_is_wrong_with_it)
{
	const char *got = bg_url_wrong(bg_slice_str(urls[_i].url), urls[_i].query);

	if (urls[_i].want == NULL)
		ck_assert_msg(got == NULL, "%s: %s", urls[_i].name, got);
	else
		ck_assert_msg(got != NULL && strcmp(got, urls[_i].want) == 0, "%s: %s", urls[_i].name, got ? got : "taken");
}
END_TEST

START_TEST(a_url_has_a_largest_length_and_labels_have_one_too)
{
	char url[BG_URL_MAX + 2];
	char host[BG_URL_MAX];
	size_t n;

	memset(url, 'a', sizeof(url));
	memcpy(url, "https://id.example/", 19);
	ck_assert_ptr_null(bg_url_wrong((struct bg_slice){ url, BG_URL_MAX }, false));
	ck_assert_str_eq(bg_url_wrong((struct bg_slice){ url, BG_URL_MAX + 1 }, false), "is too long for a URL");

	/* RFC 1035 section 2.3.4: 63 bytes in a label */
	memcpy(host, "https://", 8);
	memset(host + 8, 'a', 64);
	ck_assert_ptr_null(bg_url_wrong((struct bg_slice){ host, 8 + 63 }, false));
	ck_assert_str_eq(bg_url_wrong((struct bg_slice){ host, 8 + 64 }, false), "has a malformed host");

	/* and 253 in a name */
	for (n = 0; n < 254; n++)
		host[8 + n] = n % 2 == 0 ? 'a' : '.';
	ck_assert_ptr_null(bg_url_wrong((struct bg_slice){ host, 8 + 253 }, false));
	host[8 + 253] = 'a';
	ck_assert_str_eq(bg_url_wrong((struct bg_slice){ host, 8 + 254 }, false), "has a malformed host");
}
END_TEST

START_TEST(a_zero_byte_in_a_url_is_refused)
{
	ck_assert_str_eq(bg_url_wrong(BG_SLICE("https://id.example/\0x"), false), "has a byte in it that is not printable ASCII");
	ck_assert_str_eq(bg_url_wrong((struct bg_slice){ NULL, 0 }, false), "is empty");
}
END_TEST

static const struct { const char *url, *host; } hosts[] = {
	{ "https://id.example", "id.example" },
	{ "https://id.example/a:1", "id.example" },
	{ "https://id.example?x=a:1", "id.example" },
	{ "https://id.example:8443/", "id.example" },
	{ "https://127.0.0.1:1", "127.0.0.1" },
	{ "https://[::1]/", "::1" },
	{ "https://[2001:db8::1]:8443/[", "2001:db8::1" },
};

START_TEST(the_host_of_a_url_is_found)
{
	struct bg_slice host = bg_url_host(bg_slice_str(hosts[_i].url));

	ck_assert_msg(bg_slice_equal(host, bg_slice_str(hosts[_i].host)), "%s: %.*s", hosts[_i].url, BG_SLICE_ARG(host));
}
END_TEST

/* SR-87 */
static const struct { const char *url, *want; } proxies[] = {
	{ "http://proxy.example:3128", NULL },
	{ "http://127.0.0.1:1",        NULL },
	{ "http://[::1]:65535",        NULL },
	{ "",                          "is empty" },
	{ "proxy.example:3128",        "does not begin with http://, and no other proxies are known here" },
	{ "https://proxy.example:1",   "does not begin with http://, and no other proxies are known here" },
	{ "socks5://proxy.example:1",  "does not begin with http://, and no other proxies are known here" },
	{ "http://",                   "has no host" },
	{ "http://:3128",              "has no host" },
	{ "http://proxy.example",      "has no port" },
	{ "http://[::1]",              "has no port" },
	{ "http://proxy.example:",     "has a bad port" },
	{ "http://proxy.example:0",    "has a bad port" },
	{ "http://proxy.example:http", "has a bad port" },
	{ "http://me:secret@proxy.example:3128", "has credentials in it" },
	{ "http://proxy.example:3128/", "has more behind its host and port" },
	{ "http://proxy.example:3128/x", "has more behind its host and port" },
	{ "http://proxy.example:3128?x", "has more behind its host and port" },
	{ "http://proxy.example:3128#x", "has more behind its host and port" },
	{ "http://proxy.example:3128 ", "has white space in it" },
	{ "http://proxy..example:3128", "has a malformed host" },
	{ "http://127.1:3128",         "has a malformed host" },
};

START_TEST(a_proxy_is_a_host_and_a_port)
{
	ck_assert_pstr_eq(bg_url_proxy_wrong(bg_slice_str(proxies[_i].url)), proxies[_i].want);
}
END_TEST

/* SR-43 */
static const struct { const char *name, *domain, *issuer, *remark; } domains[] = {
	{ "as it should be", "tenant.eu.auth0.com",          "https://tenant.eu.auth0.com/", NULL },
	{ "with a port",     "localhost:8443",               "https://localhost:8443/",      NULL },
	{ "an address",      "127.0.0.1",                    "https://127.0.0.1/",           NULL },
	{ "IPv6",            "[::1]:8443",                   "https://[::1]:8443/",          NULL },
	{ "https",           "https://tenant.eu.auth0.com",  "https://tenant.eu.auth0.com/",
	    "is written with https://; the bare domain was taken" },
	{ "HTTPS",           "HTTPS://tenant.eu.auth0.com",  "https://tenant.eu.auth0.com/",
	    "is written with https://; the bare domain was taken" },
	{ "capitals",        "Tenant.EU.auth0.com",          "https://tenant.eu.auth0.com/",
	    "is written with capitals; they were made small" },
	{ "https, capitals", "https://Tenant.eu.auth0.com",  "https://tenant.eu.auth0.com/",
	    "is written with https:// and capitals; the bare domain in small letters was taken" },
	{ "a slash",         "tenant.eu.auth0.com/",         "https://tenant.eu.auth0.com/",
	    "is written with a slash at its end; the bare domain was taken" },
	{ "https, slash",    "https://tenant.eu.auth0.com/", "https://tenant.eu.auth0.com/",
	    "is written with https:// and a slash at its end; the bare domain was taken" },
	{ "capitals, slash", "TENANT.eu.auth0.com/",         "https://tenant.eu.auth0.com/",
	    "is written with capitals and a slash at its end; the bare domain in small letters was taken" },
	{ "all three",       "https://TENANT.eu.auth0.com/", "https://tenant.eu.auth0.com/",
	    "is written with https://, capitals and a slash at its end; the bare domain in small letters was taken" },
};

START_TEST(a_domain_becomes_its_issuer_and_what_was_put_right_is_said)
{
	const char *remark = "not set", *wrong;
	struct bg_buf issuer;
	struct bg_slice got;

	bg_buf_init(&issuer, 256);
	wrong = bg_url_issuer_of_domain(bg_slice_str(domains[_i].domain), &issuer, &remark);
	ck_assert_msg(wrong == NULL, "%s: %s", domains[_i].name, wrong);
	ck_assert_int_eq(bg_buf_finish(&issuer, &got, NULL), 0);
	ck_assert_str_eq(got.ptr, domains[_i].issuer);
	ck_assert_pstr_eq(remark, domains[_i].remark);
	bg_buf_clear(&issuer);
}
END_TEST

static const struct { const char *name, *domain, *want; } bad_domains[] = {
	{ "nothing",         "",                                "is empty" },
	{ "https alone",     "https://",                        "has no host" },
	{ "a slash alone",   "/",                               "has no host" },
	{ "http",            "http://tenant.auth0.com",         OPEN_LINE },
	{ "HTTP",            "HTTP://tenant.auth0.com",         OPEN_LINE },
	{ "a path",          "tenant.auth0.com/api/v2",         "has a path" },
	{ "a path, slash",   "tenant.auth0.com/api/",           "has a path" },
	{ "two slashes",     "tenant.auth0.com//",              "has a path" },
	{ "another scheme",  "ftp://tenant.auth0.com",          "begins with another scheme than https" },
	{ "a query",         "tenant.auth0.com?x=1",            "has a query" },
	{ "a query, path",   "https://tenant.auth0.com/?x",     "has a query" },
	{ "a fragment",      "tenant.auth0.com#x",              "has a fragment" },
	{ "credentials",     "user:password@tenant.auth0.com",  "has credentials in it" },
	{ "with https",      "https://user@tenant.auth0.com/",  "has credentials in it" },
	{ "a space first",   " tenant.auth0.com",               "has white space in it" },
	{ "a line break",    "tenant.auth0.com\n",              "has white space in it" },
	{ "beyond ASCII",    "t\xc3\xa4nant.auth0.com",         "has a byte in it that is not printable ASCII" },
	{ "a port too many", "tenant.auth0.com:70000",          "has a bad port" },
	{ "two dots",        "tenant..auth0.com",               "has a malformed host" },
	{ "a comma",         "a.example,b.example",             "has a malformed host" },
	{ "a dollar",        "${AUTH0_DOMAIN}",                 "has a character in it that no URL may have" },
};

START_TEST(a_bad_domain_is_refused_for_what_is_wrong_with_it)
{
	const char *remark = "not set", *wrong;
	struct bg_buf issuer;

	bg_buf_init(&issuer, 256);
	wrong = bg_url_issuer_of_domain(bg_slice_str(bad_domains[_i].domain), &issuer, &remark);
	ck_assert_msg(wrong != NULL && strcmp(wrong, bad_domains[_i].want) == 0, "%s: %s", bad_domains[_i].name,
	    wrong != NULL ? wrong : "taken");
	ck_assert_uint_eq(issuer.len, 0);
	ck_assert_ptr_null(remark);
	bg_buf_clear(&issuer);
}
END_TEST

/* SR-24: string helpers meet every single byte, and every domain made is an issuer we would take. */
START_TEST(one_byte_is_refused_or_makes_an_issuer_that_is_taken)
{
	size_t taken = 0;

	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		struct bg_slice domain = { &byte, 1 }, name;
		const char *remark;
		struct bg_buf issuer;

		ck_assert_ptr_nonnull(bg_url_wrong(domain, true));
		bg_buf_init(&issuer, 256);
		if (bg_url_issuer_of_domain(domain, &issuer, &remark) == NULL) {
			taken++;
			ck_assert_int_eq(bg_buf_finish(&issuer, &name, NULL), 0);
			ck_assert_ptr_null(bg_url_wrong(name, false));
		}
		bg_buf_clear(&issuer);
	}
	ck_assert_uint_eq(taken, 26 + 26 + 1);	/* letters and "_"; a digit alone is half an address */
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("url");
	TCase *tc = tcase_create("url");

	tcase_add_loop_test(tc, a_url_is_taken_or_refused_for_what_is_wrong_with_it, 0, N(urls));
	tcase_add_test(tc, a_url_has_a_largest_length_and_labels_have_one_too);
	tcase_add_test(tc, a_zero_byte_in_a_url_is_refused);
	tcase_add_loop_test(tc, the_host_of_a_url_is_found, 0, N(hosts));
	tcase_add_loop_test(tc, a_proxy_is_a_host_and_a_port, 0, N(proxies));
	tcase_add_loop_test(tc, a_domain_becomes_its_issuer_and_what_was_put_right_is_said, 0, N(domains));
	tcase_add_loop_test(tc, a_bad_domain_is_refused_for_what_is_wrong_with_it, 0, N(bad_domains));
	tcase_add_test(tc, one_byte_is_refused_or_makes_an_issuer_that_is_taken);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
