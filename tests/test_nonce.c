#include "core/nonce.h"

#include "core/b64url.h"
#include "core/secret.h"
#include "tests/support/run.h"

static unsigned char key_a[BG_NONCE_KEY_MIN] = "0123456789abcdef0123456789abcde", key_b[BG_NONCE_KEY_MIN] = "another";
static const struct bg_nonces ours = { .key = key_a, .key_len = sizeof(key_a), .window = 300 };
static const struct bg_nonces theirs = { .key = key_b, .key_len = sizeof(key_b), .window = 300 };

#define NOW	INT64_C(1700000100)	/* the first second of a window */

/* RFC 9449 sections 8 and 9. */
static const struct {
	const char    *name;
	int64_t        made, checked;
	bool           current;
	enum bg_reason want;
} cases[] = {
	{ "at once",                                 NOW,       NOW,       true,  BG_R_OK },
	{ "the last second of its window",           NOW,       NOW + 299, true,  BG_R_OK },
	{ "the window after",                        NOW,       NOW + 300, false, BG_R_OK },
	{ "the last second of the window after",     NOW,       NOW + 599, false, BG_R_OK },
	{ "two windows after",                       NOW,       NOW + 600, false, BG_R_OLD_NONCE },
	{ "of a machine whose clock is ahead",       NOW,       NOW - 1,   false, BG_R_OK },
	{ "of a clock that is ahead by two windows", NOW + 300, NOW - 1,   false, BG_R_OLD_NONCE },
};

START_TEST(a_nonce_is_known_in_its_window_and_the_next)
{
	char nonce[BG_NONCE_LEN + 1];
	struct bg_error err = { 0 };
	bool current = false;

	ck_reason(bg_nonce_make(&ours, cases[_i].made, nonce, &err), err, BG_R_OK, cases[_i].name);
	ck_assert_uint_eq(strlen(nonce), BG_NONCE_LEN);
	ck_reason(bg_nonce_check(&ours, bg_slice_str(nonce), cases[_i].checked, &current, &err), err, cases[_i].want, cases[_i].name);
	ck_assert_msg(current == cases[_i].current, "%s", cases[_i].name);
}
END_TEST

START_TEST(whoever_has_the_key_makes_the_same_ones_and_nobody_else)
{
	char one[BG_NONCE_LEN + 1], two[BG_NONCE_LEN + 1], next[BG_NONCE_LEN + 1];
	unsigned char copy[BG_NONCE_KEY_MIN];
	struct bg_nonces machine = { .key = copy, .key_len = sizeof(copy), .window = 300 };
	struct bg_error err = { 0 };
	bool current = true;

	memcpy(copy, key_a, sizeof(copy));
	ck_assert_int_eq(bg_nonce_make(&ours, NOW, one, &err), 0);
	ck_assert_int_eq(bg_nonce_make(&machine, NOW + 299, two, &err), 0);
	ck_assert_str_eq(one, two);
	ck_assert_int_eq(bg_nonce_make(&ours, NOW + 300, next, &err), 0);
	ck_assert_str_ne(one, next);
	ck_assert_int_eq(bg_nonce_make(&theirs, NOW, two, &err), 0);
	ck_reason(bg_nonce_check(&ours, bg_slice_str(two), NOW, &current, &err), err, BG_R_OLD_NONCE, "another key's");
	ck_assert(!current);
}
END_TEST

static const struct {
	const char     *name;
	struct bg_slice nonce;
	enum bg_reason  want;
} odd[] = {
	{ "none",     { NULL, 0 },             BG_R_NO_NONCE },
	{ "empty",    BG_SLICE_INIT(""),       BG_R_OLD_NONCE },
	{ "one byte", BG_SLICE_INIT("x"),      BG_R_OLD_NONCE },
	{ "NUL",      BG_SLICE_INIT("\0\0\0"), BG_R_OLD_NONCE },
};

START_TEST(what_was_never_a_nonce_is_none)	/* SR-9, SR-24 */
{
	struct bg_error err = { 0 };
	bool current = true;

	ck_reason(bg_nonce_check(&ours, odd[_i].nonce, NOW, &current, &err), err, odd[_i].want, odd[_i].name);
	ck_assert(!current);
}
END_TEST

START_TEST(every_byte_of_a_nonce_counts)
{
	char nonce[BG_NONCE_LEN + 1];
	struct bg_error err = { 0 };
	bool current;

	ck_assert_int_eq(bg_nonce_make(&ours, NOW, nonce, &err), 0);
	nonce[_i] = nonce[_i] == 'A' ? 'B' : 'A';
	ck_reason(bg_nonce_check(&ours, bg_slice_str(nonce), NOW, &current, &err), err, BG_R_OLD_NONCE, nonce);
}
END_TEST

START_TEST(without_a_key_there_are_no_nonces)
{
	static const struct bg_nonces none = { .key = NULL }, no_window = { .key = key_a, .key_len = sizeof(key_a) };
	char nonce[BG_NONCE_LEN + 1];
	struct bg_error err = { 0 };
	bool current;

	ck_reason(bg_nonce_make(&none, NOW, nonce, &err), err, BG_R_INTERNAL, "make");
	ck_assert_str_eq(nonce, "");
	bg_error_clear(&err);
	ck_reason(bg_nonce_check(&none, BG_SLICE("x"), NOW, &current, &err), err, BG_R_INTERNAL, "check");
	bg_error_clear(&err);
	ck_reason(bg_nonce_make(&no_window, NOW, nonce, &err), err, BG_R_INTERNAL, "no window");
}
END_TEST

/* RFC 4231 section 4.3: the MAC is the one of the RFC. */
START_TEST(the_mac_is_hmac_sha256)
{
	static const unsigned char want[BG_SHA256_LEN] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26,
		0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43 };
	unsigned char mac[BG_SHA256_LEN];

	ck_assert_int_eq(bg_hmac_sha256(BG_SLICE("Jefe"), BG_SLICE("what do ya want for nothing?"), mac, NULL), 0);
	ck_assert_mem_eq(mac, want, sizeof(want));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("nonce");
	TCase *tc = tcase_create("nonce");

	tcase_add_loop_test(tc, a_nonce_is_known_in_its_window_and_the_next, 0, N(cases));
	tcase_add_test(tc, whoever_has_the_key_makes_the_same_ones_and_nobody_else);
	tcase_add_loop_test(tc, what_was_never_a_nonce_is_none, 0, N(odd));
	tcase_add_loop_test(tc, every_byte_of_a_nonce_counts, 0, BG_NONCE_LEN);
	tcase_add_test(tc, without_a_key_there_are_no_nonces);
	tcase_add_test(tc, the_mac_is_hmac_sha256);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
