#include "core/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/support/run.h"

/* SR-52.  Both ends of each block, and its neighbours. */
static const struct { const char *address, *want; } addresses[] = {
	{ "8.8.8.8", NULL },
	{ "1.0.0.0", NULL },
	{ "0.0.0.0", "the unspecified address" },
	{ "0.0.0.1", "a reserved address" },
	{ "0.255.255.255", "a reserved address" },
	{ "9.255.255.255", NULL },
	{ "10.0.0.0", "a private address" },		/* RFC 1918 section 3 */
	{ "10.255.255.255", "a private address" },
	{ "11.0.0.0", NULL },
	{ "100.63.255.255", NULL },
	{ "100.64.0.0", "a shared address" },		/* RFC 6598 section 7 */
	{ "100.127.255.255", "a shared address" },
	{ "100.128.0.0", NULL },
	{ "126.255.255.255", NULL },
	{ "127.0.0.1", "a loopback address" },
	{ "127.255.255.255", "a loopback address" },
	{ "128.0.0.0", NULL },
	{ "169.253.255.255", NULL },
	{ "169.254.169.254", "a link-local address" },	/* where clouds keep credentials */
	{ "169.255.0.0", NULL },
	{ "172.15.255.255", NULL },
	{ "172.16.0.0", "a private address" },
	{ "172.31.255.255", "a private address" },
	{ "172.32.0.0", NULL },
	{ "192.0.0.0", "a reserved address" },		/* RFC 6890 section 2.1 */
	{ "192.0.0.255", "a reserved address" },
	{ "192.0.1.0", NULL },
	{ "192.0.2.1", "a reserved address" },		/* RFC 5737 section 3 */
	{ "192.88.99.1", "a reserved address" },
	{ "192.167.255.255", NULL },
	{ "192.168.0.0", "a private address" },
	{ "192.168.255.255", "a private address" },
	{ "192.169.0.0", NULL },
	{ "198.17.255.255", NULL },
	{ "198.18.0.0", "a reserved address" },		/* RFC 2544 appendix C */
	{ "198.19.255.255", "a reserved address" },
	{ "198.20.0.0", NULL },
	{ "198.51.100.1", "a reserved address" },
	{ "203.0.113.1", "a reserved address" },
	{ "223.255.255.255", NULL },
	{ "224.0.0.0", "a multicast address" },
	{ "239.255.255.255", "a multicast address" },
	{ "240.0.0.0", "a reserved address" },
	{ "255.255.255.255", "a reserved address" },

	{ "2000::", NULL },
	{ "2001:4860:4860::8888", NULL },
	{ "2a00:1450::1", NULL },
	{ "3ffe::1", NULL },
	{ "::", "the unspecified address" },
	{ "::1", "a loopback address" },
	{ "fbff::1", "a reserved address" },
	{ "fc00::", "a private address" },		/* RFC 4193 section 3.1 */
	{ "fdff:ffff::1", "a private address" },
	{ "fe00::1", "a reserved address" },
	{ "fe80::1", "a link-local address" },
	{ "febf:ffff::1", "a link-local address" },
	{ "fec0::", "a private address" },		/* RFC 3879 */
	{ "feff:ffff::1", "a private address" },
	{ "ff02::1", "a multicast address" },
	{ "100::1", "a reserved address" },		/* RFC 6666 */
	{ "64:ff9b:1::808:808", "a reserved address" },	/* RFC 8215 */
	{ "2001::1", "a reserved address" },		/* Teredo, RFC 4380 */
	{ "2001:1ff::1", "a reserved address" },
	{ "2001:200::1", NULL },
	{ "2001:db8::1", "a reserved address" },
	{ "3fff::1", "a reserved address" },
	{ "4000::1", "a reserved address" },

	/* IPv4 within */
	{ "::ffff:127.0.0.1", "a loopback address" },	/* RFC 4291 section 2.5.5.2 */
	{ "::ffff:10.1.2.3", "a private address" },
	{ "::ffff:0.0.0.0", "the unspecified address" },
	{ "::ffff:8.8.8.8", NULL },
	{ "::127.0.0.1", "a loopback address" },	/* RFC 4291 section 2.5.5.1 */
	{ "::192.168.1.1", "a private address" },
	{ "::2", "a reserved address" },
	{ "::8.8.8.8", NULL },
	{ "2002:7f00:1::1", "a loopback address" },	/* RFC 3056 section 2 */
	{ "2002:a9fe:a9fe::", "a link-local address" },
	{ "2002:808:808::", NULL },
	{ "64:ff9b::10.0.0.1", "a private address" },	/* RFC 6052 section 2.1 */
	{ "64:ff9b::224.0.0.1", "a multicast address" },
	{ "64:ff9b::8.8.8.8", NULL },
	{ "::1:ffff:8.8.8.8", "a reserved address" },	/* none of these */
};

static void
expect(const char *name, const char *got, const char *want)
{
	ck_assert_msg((got == NULL) == (want == NULL) && (got == NULL || strcmp(got, want) == 0), "%s: %s", name,
	    got != NULL ? got : "public");
}

START_TEST(an_address_is_public_or_said_what_it_is)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const char *text = addresses[_i].address;

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		expect(text, bg_address_not_public((const struct sockaddr *)&v4), addresses[_i].want);
	else {
		ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
		expect(text, bg_address_not_public((const struct sockaddr *)&v6), addresses[_i].want);
	}
	expect(text, bg_address_host_not_public(bg_slice_str(text)), addresses[_i].want);
}
END_TEST

START_TEST(an_address_of_another_kind_is_not_public)
{
	static const sa_family_t families[] = { AF_UNSPEC, AF_UNIX, AF_NETLINK };

	for (int i = 0; i < N(families); i++) {
		struct sockaddr_storage address = { .ss_family = families[i] };

		expect("other", bg_address_not_public((const struct sockaddr *)&address), "an address of an unknown kind");
	}
}
END_TEST

static const struct { const char *host, *want; } names[] = {
	{ "localhost", "a name for loopback addresses" },	/* RFC 6761 section 6.3 */
	{ "LocalHost", "a name for loopback addresses" },
	{ "a.b.LOCALHOST", "a name for loopback addresses" },
	{ "localhost.example", NULL },
	{ "notlocalhost", NULL },
	{ "a", NULL },
	{ "", NULL },
	{ "issuer.example", NULL },
	{ "10.0.0.1.example", NULL },
	{ "a-name-that-is-longer-than-the-longest-address-of-any-kind.example", NULL },
	{ "a-name-that-is-longer-than-the-longest-address-of-any-kind.localhost", "a name for loopback addresses" },
};

START_TEST(of_names_only_localhost_is_known)
{
	expect(names[_i].host, bg_address_host_not_public(bg_slice_str(names[_i].host)), names[_i].want);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("address");
	TCase *tc = tcase_create("address");

	tcase_add_loop_test(tc, an_address_is_public_or_said_what_it_is, 0, N(addresses));
	tcase_add_test(tc, an_address_of_another_kind_is_not_public);
	tcase_add_loop_test(tc, of_names_only_localhost_is_known, 0, N(names));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
