#include "core/jwks.h"

#include "core/limits.h"
#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

/* A set of the public halves of keys, each under the kid beside it (NULL: none at all); with what append holds. */
struct entry { enum bg_mint_key key; const char *kid; };

static struct bg_jwks *
set_of(const struct entry *entries, size_t n)
{
	json_t *root = json_pack("{s:[]}", "keys"), *object;
	struct bg_error err = { 0 };
	struct bg_jwks *set;
	char *text;

	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key(entries[i].key), entries[i].kid, &object, &err), 0);
		if (entries[i].kid == NULL)
			json_object_del(object, "kid");
		json_array_append_new(json_object_get(root, "keys"), object);
	}
	text = json_dumps(root, 0);
	ck_reason(bg_jwks_parse(bg_slice_str(text), "test", &set, &err), err, BG_R_OK, "set");
	free(text);
	json_decref(root);
	return set;
}

static const struct { const char *name, *text; enum bg_reason want; } bad[] = {
	{ "no keys member", "{}", BG_R_BAD_JWKS },
	{ "keys an object", "{\"keys\":{}}", BG_R_BAD_JWKS },		/* SR-27 */
	{ "keys empty", "{\"keys\":[]}", BG_R_BAD_JWKS },
	{ "no usable key", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AQAB\"},1,null,[]]}", BG_R_BAD_JWKS },
	{ "an array", "[]", BG_R_BAD_JWKS },
	{ "no JSON", "<html>", BG_R_BAD_JWKS },
	{ "nothing", "", BG_R_BAD_JWKS },
};

START_TEST(a_set_that_is_none_is_refused)
{
	struct bg_error err = { 0 };
	struct bg_jwks *set;

	ck_reason(bg_jwks_parse(bg_slice_str(bad[_i].text), "test", &set, &err), err, bad[_i].want, bad[_i].name);
	ck_assert_ptr_null(set);
}
END_TEST

START_TEST(a_set_has_at_most_100_keys)	/* SR-52 */
{
	static const enum bg_mint_key a[] = { BG_MINT_KEY_A };
	char *one = bg_mint_jwks(a, 1);
	json_t *root = json_loads(one, 0, NULL), *keys = json_object_get(root, "keys");

	while (json_array_size(keys) < BG_JWKS_KEYS_MAX)
		json_array_append(keys, json_array_get(keys, 0));
	for (int more = 0; more < 2; more++) {
		char *text = json_dumps(root, 0);
		struct bg_error err = { 0 };
		struct bg_jwks *set;

		ck_reason(bg_jwks_parse(bg_slice_str(text), "test", &set, &err), err, more == 0 ? BG_R_OK : BG_R_BAD_JWKS, "count");
		bg_jwks_unref(set);
		free(text);
		json_array_append(keys, json_array_get(keys, 0));
	}
	json_decref(root);
	free(one);
}
END_TEST

START_TEST(a_key_that_cannot_be_used_does_not_spoil_the_others)
{
	static const struct entry entries[] = { { BG_MINT_KEY_SHORT, "short" }, { BG_MINT_KEY_A, "a" }, { BG_MINT_KEY_B, "b" } };
	struct bg_jwks *set = set_of(entries, 3);

	ck_assert_uint_eq(bg_jwks_count(set), 2);
	ck_assert(!bg_jwks_has_kid(set, BG_SLICE("short")));
	ck_assert(bg_jwks_has_kid(set, BG_SLICE("a")));
	ck_assert(bg_jwks_has_kid(set, BG_SLICE("b")));
	bg_jwks_unref(set);
}
END_TEST

static size_t
count_fitting_alg(const struct bg_jwks *set, struct bg_slice kid, const char *name)
{
	const struct bg_alg *alg = bg_alg_find(bg_slice_str(name));
	const struct bg_jwk *key = NULL;
	size_t n = 0;

	while ((key = bg_jwks_next(set, key, kid, alg)) != NULL)
		n++;
	return n;
}

static size_t
count_fitting(const struct bg_jwks *set, struct bg_slice kid)
{
	return count_fitting_alg(set, kid, "RS256");
}

START_TEST(every_key_of_a_kid_is_walked_once)	/* SR-12 */
{
	static const struct entry entries[] = {
		{ BG_MINT_KEY_A, "x" }, { BG_MINT_KEY_LONG, "y" }, { BG_MINT_KEY_B, "x" }, { BG_MINT_KEY_LONG, NULL },
	};
	struct bg_jwks *set = set_of(entries, 4);

	ck_assert_uint_eq(count_fitting(set, BG_SLICE("x")), 2);
	ck_assert_uint_eq(count_fitting(set, BG_SLICE("y")), 1);
	ck_assert_uint_eq(count_fitting(set, BG_SLICE("X")), 0);
	ck_assert_uint_eq(count_fitting(set, BG_SLICE("")), 0);
	ck_assert_uint_eq(count_fitting(set, (struct bg_slice){ NULL, 0 }), 0);	/* four could be meant */
	bg_jwks_unref(set);
}
END_TEST

START_TEST(without_a_kid_the_only_key_that_fits_is_meant)
{
	static const struct entry entries[] = { { BG_MINT_KEY_A, "x" } };
	struct bg_jwks *set = set_of(entries, 1);

	ck_assert_uint_eq(count_fitting(set, (struct bg_slice){ NULL, 0 }), 1);
	bg_jwks_unref(set);
}
END_TEST

START_TEST(the_keys_of_other_types_are_passed_over)	/* SR-12: one kid for all, and none at all */
{
	static const struct entry entries[] = {
		{ BG_MINT_KEY_P256, "x" }, { BG_MINT_KEY_A, "x" }, { BG_MINT_KEY_ED25519, "x" }, { BG_MINT_KEY_P521, "x" },
	};
	static const struct { const char *alg; size_t n; } fitting[] = {
		{ "RS256", 1 }, { "PS256", 0 }, { "RS512", 0 },		/* the RSA key says alg RS256 */
		{ "ES256", 1 }, { "ES384", 0 }, { "ES512", 1 }, { "EdDSA", 1 },
	};
	struct bg_jwks *set = set_of(entries, 4);

	ck_assert_uint_eq(bg_jwks_count(set), 4);
	for (int i = 0; i < N(fitting); i++) {
		ck_assert_msg(count_fitting_alg(set, BG_SLICE("x"), fitting[i].alg) == fitting[i].n, "%s", fitting[i].alg);
		ck_assert_msg(count_fitting_alg(set, (struct bg_slice){ NULL, 0 }, fitting[i].alg) == fitting[i].n, "%s", fitting[i].alg);
		ck_assert_uint_eq(count_fitting_alg(set, BG_SLICE("y"), fitting[i].alg), 0);
	}
	bg_jwks_unref(set);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("jwks");
	TCase *tc = tcase_create("jwks");

	tcase_add_loop_test(tc, a_set_that_is_none_is_refused, 0, N(bad));
	tcase_add_test(tc, a_set_has_at_most_100_keys);
	tcase_add_test(tc, a_key_that_cannot_be_used_does_not_spoil_the_others);
	tcase_add_test(tc, every_key_of_a_kid_is_walked_once);
	tcase_add_test(tc, the_keys_of_other_types_are_passed_over);
	tcase_add_test(tc, without_a_kid_the_only_key_that_fits_is_meant);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
