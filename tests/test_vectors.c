/* What others published, tests/vectors: their good signatures verify, and theirs that we do not take are refused. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/b64url.h"
#include "core/jwk.h"
#include "tests/support/run.h"

#define VECTORS_MAX	64

static char *names[VECTORS_MAX];
static int n_names;

static const char *
path_of(const char *name)
{
	static char path[4096];
	const char *srcdir = getenv("srcdir");

	bg_format(path, sizeof(path), "%s/tests/vectors/%s", srcdir != NULL ? srcdir : ".", name);
	return path;
}

static int
is_vector(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return end != NULL && strcmp(end, ".json") == 0;
}

static void
find_vectors(void)
{
	struct dirent **list;
	int n = scandir(path_of(""), &list, is_vector, alphasort);

	if (n <= 0 || n > VECTORS_MAX) {
		(void)fprintf(stderr, "%s: %d vectors\n", path_of(""), n);
		exit(EXIT_FAILURE);
	}
	for (n_names = 0; n_names < n; n_names++) {
		names[n_names] = strdup(list[n_names]->d_name);
		free(list[n_names]);
	}
	free(list);
}

/* Which reason a word of the file stands for. */
static enum bg_reason
wanted(const json_t *vector, const char *member)
{
	const char *code = json_string_value(json_object_get(vector, member));

	ck_assert_msg(code != NULL, "%s is missing", member);
	for (int i = 0; i < BG_R_COUNT; i++)
		if (strcmp(bg_reason_name((enum bg_reason)i), code) == 0)
			return (enum bg_reason)i;
	ck_abort_msg("%s: no reason \"%s\"", member, code);
	return BG_R_INTERNAL;
}

/* Verify a compact JWS by the algorithm of its header alone; its payload need not be claims. */
static int
verify(const char *jws, const struct bg_jwk *key, bool spoil, struct bg_error *err)
{
	static char copy[8192];
	static unsigned char header[8192], signature[8192];
	const char *dot = strchr(jws, '.'), *dot2 = strrchr(jws, '.');
	const struct bg_alg *alg;
	json_t *object;
	long n, len;
	int rc;

	bg_format(copy, sizeof(copy), "%s", jws);
	ck_assert_uint_eq(strlen(copy), strlen(jws));
	n = bg_b64url_decode(header, (struct bg_slice){ jws, (size_t)(dot - jws) });
	len = bg_b64url_decode(signature, bg_slice_str(dot2 + 1));
	ck_assert(n > 0 && len >= 0);
	ck_assert_int_eq(bg_json_object((struct bg_slice){ (char *)header, (size_t)n }, BG_R_BAD_HEADER, &object, err), 0);
	if ((alg = bg_alg_find(bg_json_string(json_object_get(object, "alg")))) == NULL)
		rc = bg_fail(err, BG_R_BAD_ALGORITHM, "no such row");
	else {
		if (spoil)
			copy[dot - jws + 1] ^= 1;
		ck_assert_ptr_nonnull(key);
		rc = alg->verify(alg, key, (struct bg_slice){ copy, (size_t)(dot2 - jws) },
		    (struct bg_slice){ (char *)signature, (size_t)len }, err);
	}
	json_decref(object);
	return rc;
}

START_TEST(a_published_vector_is_judged_as_it_should_be)	/* issue 3; RFC 7515 appendix A, RFC 7520, RFC 7638, RFC 8037 */
{
	const char *name = names[_i], *jws, *want;
	char thumbprint[BG_THUMBPRINT_LEN + 1];
	struct bg_error err = { 0 };
	struct bg_jwk *key = NULL;
	json_error_t where;
	json_t *vector = json_load_file(path_of(name), JSON_REJECT_DUPLICATES, &where), *object;
	bool judged = false;

	ck_assert_msg(json_is_object(vector), "%s: %s", name, where.text);
	ck_assert_msg(json_is_string(json_object_get(vector, "source")), "%s has no source", name);
	if ((object = json_object_get(vector, "key")) != NULL) {
		judged = wanted(vector, "key_is") != BG_R_OK;
		ck_reason(bg_jwk_parse(object, &key, &err), err, wanted(vector, "key_is"), name);
		bg_error_clear(&err);
	}
	if ((want = json_string_value(json_object_get(vector, "thumbprint"))) != NULL) {
		ck_reason(bg_jwk_thumbprint(key, thumbprint, &err), err, BG_R_OK, name);
		ck_assert_str_eq(thumbprint, want);
		judged = true;
	}
	if ((jws = json_string_value(json_object_get(vector, "jws"))) != NULL) {
		enum bg_reason is = wanted(vector, "jws_is");

		ck_reason(verify(jws, key, false, &err), err, is, name);
		bg_error_clear(&err);
		if (is == BG_R_OK)
			ck_reason(verify(jws, key, true, &err), err, BG_R_BAD_SIGNATURE, name);
		judged = true;
	}
	ck_assert_msg(judged, "%s says nothing that can be judged", name);
	bg_jwk_free(key);
	json_decref(vector);
}
END_TEST

START_TEST(the_vectors_of_the_rfcs_are_there)	/* a file that is lost would not be missed otherwise */
{
	static const char *const need[] = { "rfc7515-a1.json", "rfc7515-a2.json", "rfc7515-a3.json", "rfc7515-a4.json",
		"rfc7515-a5.json", "rfc7520-4.1.json", "rfc7520-4.2.json", "rfc7520-4.3.json", "rfc7638-3.1.json", "rfc8037-a.json",
		"rfc8037-a6.json" };

	for (int i = 0; i < N(need); i++) {
		bool found = false;

		for (int k = 0; k < n_names; k++)
			found = found || strcmp(names[k], need[i]) == 0;
		ck_assert_msg(found, "%s", need[i]);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("vectors");
	TCase *tc = tcase_create("vectors");
	int rc;

	find_vectors();
	tcase_add_loop_test(tc, a_published_vector_is_judged_as_it_should_be, 0, n_names);
	tcase_add_test(tc, the_vectors_of_the_rfcs_are_there);
	suite_add_tcase(suite, tc);
	rc = bg_test_run(suite);
	while (n_names > 0)
		free(names[--n_names]);
	return rc;
}
