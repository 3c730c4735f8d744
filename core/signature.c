#include "core/signature.h"

int
bg_signature_issuer(const struct bg_issuer *issuers, size_t n, const struct bg_token *token,
    const struct bg_issuer **out, struct bg_error *err)
{
	const json_t *value = json_object_get(token->payload, "iss");
	struct bg_slice iss = bg_json_string(value);

	*out = NULL;
	if (iss.ptr == NULL)
		return bg_fail(err, BG_R_BAD_CLAIMS, "iss is %s, not a string", bg_json_type_name(value));
	for (size_t i = 0; i < n; i++)
		if (bg_slice_equal(iss, bg_slice_str(issuers[i].name))) {
			*out = &issuers[i];
			return 0;
		}
	/* The two spellings people mix up get a word of their own (SR-43). */
	for (size_t i = 0; i < n; i++) {
		struct bg_slice name = bg_slice_str(issuers[i].name);

		if ((iss.len + 1 == name.len && bg_slice_starts(name, iss) && name.ptr[name.len - 1] == '/') ||
		    (name.len + 1 == iss.len && bg_slice_starts(iss, name) && iss.ptr[iss.len - 1] == '/'))
			return bg_fail(err, BG_R_WRONG_ISSUER, "iss \"%.*s\" differs from the issuer \"%s\" by the slash at its end",
			    BG_SLICE_ARG(iss), issuers[i].name);
	}
	return bg_fail(err, BG_R_WRONG_ISSUER, "iss \"%.*s\" is not configured%s%s", BG_SLICE_ARG(iss),
	    n == 1 ? ", expected " : "", n == 1 ? issuers[0].name : "");
}

static const struct bg_alg *
allowed_alg(const struct bg_issuer *issuer, struct bg_slice name)
{
	for (size_t i = 0; i < issuer->n_algs; i++)
		if (bg_slice_equal(issuer->algs[i]->name, name))
			return issuer->algs[i];
	return NULL;
}

int
bg_signature_check(const struct bg_issuer *issuer, const struct bg_token *token, int64_t now, struct bg_error *err)
{
	const struct bg_alg *alg = allowed_alg(issuer, token->alg);
	struct bg_error why = { 0 };
	const struct bg_jwk *key = NULL;
	struct bg_jwks *keys = NULL;
	size_t tried = 0;
	int rc = -1;

	if (alg == NULL)
		return bg_fail(err, BG_R_BAD_ALGORITHM, "alg \"%.*s\" is not among those of %s", BG_SLICE_ARG(token->alg), issuer->name);
	if (bg_keystore_keys(issuer->keys, token->kid, now, &keys, err) != 0)
		return -1;
	while (rc != 0 && (key = bg_jwks_next(keys, key, token->kid, alg)) != NULL) {
		bg_error_clear(&why);
		rc = alg->verify(alg, key, token->signing_input, token->signature, &why);
		tried++;
		if (rc != 0 && why.reason != BG_R_BAD_SIGNATURE)
			break;	/* our own trouble: not to be covered up by the next key */
	}
	if (rc != 0 && tried == 0)
		bg_fail(err, BG_R_UNKNOWN_KEY, "kid \"%.*s\", alg %.*s: none of %zu keys fits", BG_SLICE_ARG(token->kid),
		    BG_SLICE_ARG(token->alg), bg_jwks_count(keys));
	else if (rc != 0)
		bg_fail(err, why.reason, "kid \"%.*s\", %zu tried: %s", BG_SLICE_ARG(token->kid), tried, why.detail);
	bg_jwks_unref(keys);
	return rc;
}
