#include "core/signature.h"

/* A host name as sites are written: no port, no dot at the end.  RFC 9110 section 7.2. */
static struct bg_slice
host_name(struct bg_slice host)
{
	size_t i = host.len;

	while (i > 0 && host.ptr[i - 1] >= '0' && host.ptr[i - 1] <= '9')
		i--;
	if (i > 0 && host.ptr[i - 1] == ':')
		host.len = i - 1;
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	return host;
}

/* What can be the name of a vhost: letters, digits, "-", "_", dots between, or an address in brackets (SR-60). */
static bool
is_host_name(struct bg_slice name)
{
	bool address = name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';

	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		    (c == '.' && i > 0 && i + 1 < name.len && name.ptr[i - 1] != '.') ||
		    (address && (c == ':' || i == 0 || i + 1 == name.len))))
			return false;
	}
	return name.len > 0;
}

static bool
has_site(const struct bg_issuer *issuer, struct bg_slice host)
{
	for (size_t i = 0; i < issuer->n_sites; i++)
		if (bg_slice_equal_nocase(bg_slice_str(issuer->sites[i]), host))
			return true;
	return false;
}

/* The two spellings people mix up get a word of their own (SR-43). */
static bool
differs_by_slash(struct bg_slice a, struct bg_slice b)
{
	if (a.len > b.len)
		return differs_by_slash(b, a);
	return a.len + 1 == b.len && bg_slice_starts(b, a) && b.ptr[a.len] == '/';
}

int
bg_signature_issuer(const struct bg_issuer *issuers, size_t n, struct bg_slice host, const struct bg_token *token,
    const struct bg_issuer **out, struct bg_error *err)
{
	const json_t *value = json_object_get(token->payload, "iss");
	struct bg_slice iss = bg_json_string(value), name = host_name(host);
	const struct bg_issuer *expected = NULL, *nearly = NULL;
	bool site = false, sites = false;

	*out = NULL;
	if (iss.ptr == NULL)
		return bg_fail(err, BG_R_BAD_CLAIMS, "iss is %s, not a string", bg_json_type_name(value));
	for (size_t i = 0; i < n; i++) {
		site = site || has_site(&issuers[i], name);
		sites = sites || issuers[i].n_sites > 0;
	}
	/* A spelling that our comparison does not know must not fall out of its site among the issuers of no site. */
	if (sites && !is_host_name(name))
		return bg_fail(err, BG_R_BAD_REQUEST, "\"%.*s\" is no host name, and there are sites to tell apart",
		    BG_SLICE_ARG(host));
	for (size_t i = 0; i < n; i++) {
		if (site ? !has_site(&issuers[i], name) : issuers[i].n_sites > 0)
			continue;
		expected = &issuers[i];
		if (bg_slice_equal(iss, bg_slice_str(expected->name))) {
			*out = expected;
			return 0;
		}
		if (differs_by_slash(iss, bg_slice_str(expected->name)))
			nearly = expected;
	}
	if (nearly != NULL)
		return bg_fail(err, BG_R_WRONG_ISSUER, "iss \"%.*s\" differs from the issuer \"%s\" by the slash at its end",
		    BG_SLICE_ARG(iss), nearly->name);
	if (expected == NULL)
		return bg_fail(err, BG_R_WRONG_ISSUER, "iss \"%.*s\": no issuer is configured for host \"%.*s\"", BG_SLICE_ARG(iss),
		    BG_SLICE_ARG(host));
	return bg_fail(err, BG_R_WRONG_ISSUER, "iss \"%.*s\" is not configured, expected \"%s\"%s: a token of another tenant?",
	    BG_SLICE_ARG(iss), expected->name, n > 1 ? " or another" : "");
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
bg_signature_check(const struct bg_issuer *issuer, const struct bg_token *token, int64_t now, char *by, struct bg_error *err)
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
	if (rc == 0 && by != NULL)
		memcpy(by, key->thumbprint, sizeof(key->thumbprint));
	if (rc != 0 && tried == 0)
		bg_fail(err, BG_R_UNKNOWN_KEY, "kid \"%.*s\", alg %.*s: none of %zu keys fits", BG_SLICE_ARG(token->kid),
		    BG_SLICE_ARG(token->alg), bg_jwks_count(keys));
	else if (rc != 0)
		bg_fail(err, why.reason, "kid \"%.*s\", %zu tried: %s", BG_SLICE_ARG(token->kid), tried, why.detail);
	bg_jwks_unref(keys);
	return rc;
}

int
bg_signature_recall(const struct bg_issuer *issuer, const struct bg_token *token, int64_t now, const char *by, bool *stands,
    struct bg_error *err)
{
	const struct bg_alg *alg = allowed_alg(issuer, token->alg);
	const struct bg_jwk *key = NULL;
	struct bg_jwks *keys = NULL;

	*stands = false;
	if (alg == NULL || by[0] == '\0')
		return 0;
	if (bg_keystore_keys(issuer->keys, token->kid, now, &keys, err) != 0)
		return -1;
	while (!*stands && (key = bg_jwks_next(keys, key, token->kid, alg)) != NULL)
		*stands = strcmp(key->thumbprint, by) == 0;
	bg_jwks_unref(keys);
	return 0;
}
