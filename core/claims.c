#include "core/claims.h"

#include <inttypes.h>

#include "core/limits.h"

/* A NumericDate as whole seconds, rounded up: exp 100.5 is over at 101, nbf 100.5 has come at 101.  RFC 7519 section 2. */
static int
read_date(const json_t *payload, const char *name, bool *there, int64_t *out, struct bg_error *err)
{
	const json_t *value = json_object_get(payload, name);
	double seconds;

	*out = 0;
	*there = value != NULL;
	if (value == NULL)
		return 0;
	if (!json_is_number(value))
		return bg_fail(err, BG_R_BAD_CLAIMS, "%s is %s, not a number", name, bg_json_type_name(value));
	seconds = json_number_value(value);
	/* written so that NaN fails too (SR-25) */
	if (!(seconds >= 0 && seconds <= BG_NUMERIC_DATE_MAX))
		return bg_fail(err, BG_R_BAD_CLAIMS, "%s is no time", name);
	*out = (int64_t)seconds;
	if ((double)*out < seconds)
		++*out;		/* the next second, without libm */
	return 0;
}

static int
read_string(const json_t *payload, const char *name, struct bg_slice *out, struct bg_error *err)
{
	const json_t *value = json_object_get(payload, name);

	*out = bg_json_string(value);
	if (value != NULL && out->ptr == NULL)
		return bg_fail(err, BG_R_BAD_CLAIMS, "%s is %s, not a string", name, bg_json_type_name(value));
	return 0;
}

/* A string, or an array of them: aud (RFC 7519 section 4.1.3, SR-44), and scope as some issuers write it. */
static int
read_strings(const json_t *payload, const char *name, const json_t **out, struct bg_error *err)
{
	const json_t *value = json_object_get(payload, name), *one;
	size_t i;

	*out = value;
	if (value == NULL || json_is_string(value))
		return 0;
	if (!json_is_array(value))
		return bg_fail(err, BG_R_BAD_CLAIMS, "%s is %s, not a string or an array", name, bg_json_type_name(value));
	if (json_array_size(value) > BG_STRINGS_MAX)
		return bg_fail(err, BG_R_BAD_CLAIMS, "%s has %zu entries, at most %d", name, json_array_size(value), BG_STRINGS_MAX);
	json_array_foreach(value, i, one)
		if (!json_is_string(one))
			return bg_fail(err, BG_R_BAD_CLAIMS, "%s has %s in it, not strings alone", name, bg_json_type_name(one));
	return 0;
}

int
bg_claims_read(const struct bg_token *token, struct bg_claims *out, struct bg_error *err)
{
	const json_t *all = token->payload;
	bool has_exp, has_iat;

	*out = (struct bg_claims){ .all = all, .typ = token->typ };
	if (read_string(all, "iss", &out->iss, err) != 0 || read_string(all, "sub", &out->sub, err) != 0 ||
	    read_strings(all, "scope", &out->scope, err) != 0 || read_strings(all, "aud", &out->aud, err) != 0 ||
	    read_date(all, "exp", &has_exp, &out->exp, err) != 0 || read_date(all, "iat", &has_iat, &out->iat, err) != 0 ||
	    read_date(all, "nbf", &out->has_nbf, &out->nbf, err) != 0)
		return -1;
	if (!has_exp)
		return bg_fail(err, BG_R_BAD_CLAIMS, "no exp");
	if (!has_iat)
		return bg_fail(err, BG_R_BAD_CLAIMS, "no iat");
	out->cnf = json_object_get(all, "cnf");
	if (out->cnf != NULL && !json_is_object(out->cnf))
		return bg_fail(err, BG_R_BAD_CLAIMS, "cnf is %s, not an object", bg_json_type_name(out->cnf));
	return 0;
}

int
bg_claims_check_time(const struct bg_claims *claims, int64_t now, int64_t leeway, struct bg_error *err)
{
	/* Subtract from our clock, not add to their claim: the sum could overflow, the difference cannot. */
	if (claims->exp <= now - leeway)
		return bg_fail(err, BG_R_EXPIRED, "exp %" PRId64 ", now %" PRId64, claims->exp, now);
	if (claims->has_nbf && claims->nbf - leeway > now)
		return bg_fail(err, BG_R_NOT_YET_VALID, "nbf %" PRId64 ", now %" PRId64, claims->nbf, now);
	if (claims->iat - leeway > now)
		return bg_fail(err, BG_R_NOT_YET_VALID, "iat %" PRId64 ", now %" PRId64, claims->iat, now);
	return 0;
}

static bool
is_audience(const struct bg_issuer *issuer, struct bg_slice aud)
{
	for (size_t i = 0; i < issuer->n_audiences; i++)
		if (bg_slice_equal(aud, bg_slice_str(issuer->audiences[i])))
			return true;
	return false;
}

/* typ is a media type whose "application/" may be left out, in any case of letters.  RFC 7515 section 4.1.9. */
static struct bg_slice
without_application(struct bg_slice typ)
{
	struct bg_slice application = BG_SLICE("application/");

	if (typ.len > application.len && bg_slice_equal_nocase((struct bg_slice){ typ.ptr, application.len }, application))
		return bg_slice_skip(typ, application.len);
	return typ;
}

static bool
is_type(struct bg_slice typ, struct bg_slice want)
{
	return typ.ptr != NULL && bg_slice_equal_nocase(without_application(typ), without_application(want));
}

/* What only ID tokens have: hashes of what came with them.  OpenID Connect Core 1.0 sections 3.1.3.6 and 3.3.2.11. */
static bool
has_hash(const struct bg_claims *claims)
{
	return json_object_get(claims->all, "at_hash") != NULL || json_object_get(claims->all, "c_hash") != NULL ||
	    json_object_get(claims->all, "s_hash") != NULL;
}

/* A nonce is usual in ID tokens and not unheard of in others.  OpenID Connect Core 1.0 section 2. */
static bool
looks_like_id_token(const struct bg_claims *claims)
{
	return has_hash(claims) || json_object_get(claims->all, "nonce") != NULL;
}

/* An audience of ours that differs from theirs by the slash at the end alone: the usual slip of the pen. */
static bool
off_by_slash(const struct bg_issuer *issuer, struct bg_slice aud)
{
	for (size_t i = 0; i < issuer->n_audiences; i++) {
		struct bg_slice ours = bg_slice_str(issuer->audiences[i]);

		if ((ours.len + 1 == aud.len && bg_slice_starts(aud, ours) && aud.ptr[ours.len] == '/') ||
		    (aud.len + 1 == ours.len && bg_slice_starts(ours, aud) && ours.ptr[aud.len] == '/'))
			return true;
	}
	return false;
}

static int
fail_audience(const struct bg_claims *claims, const struct bg_issuer *issuer, struct bg_error *err)
{
	struct bg_slice first = bg_json_string(json_is_array(claims->aud) ? json_array_get(claims->aud, 0) : claims->aud);
	const char *expected = issuer->n_audiences > 0 ? issuer->audiences[0] : "";

	if (looks_like_id_token(claims))
		return bg_fail(err, BG_R_ID_TOKEN, "aud \"%.*s\" is a client and there is a nonce or hash: an ID token; the client "
		    "must send the access token, and ask for the audience \"%s\"", BG_SLICE_ARG(first), expected);
	return bg_fail(err, BG_R_WRONG_AUDIENCE, "aud %s\"%.*s\", expected \"%s\"%s%s", claims->aud == NULL ? "is missing " : "",
	    BG_SLICE_ARG(first), expected, issuer->n_audiences > 1 ? " or another" : "",
	    off_by_slash(issuer, first) ? ": they differ by the slash at the end" : "");
}

int
bg_claims_check_issuer(const struct bg_claims *claims, const struct bg_issuer *issuer, struct bg_error *err)
{
	const json_t *one;
	size_t i;

	if (!bg_slice_equal(claims->iss, bg_slice_str(issuer->name)))
		return bg_fail(err, BG_R_WRONG_ISSUER, "iss \"%.*s\"", BG_SLICE_ARG(claims->iss));
	if (issuer->require_typ != NULL && !is_type(claims->typ, bg_slice_str(issuer->require_typ)))
		return bg_fail(err, BG_R_WRONG_TYPE, "typ \"%.*s\", expected \"%s\"", BG_SLICE_ARG(claims->typ), issuer->require_typ);
	if (issuer->any_audience)	/* no audience tells an ID token from an access token here */
		return has_hash(claims) && !is_type(claims->typ, BG_SLICE("at+jwt")) ? fail_audience(claims, issuer, err) : 0;
	if (json_is_string(claims->aud) && is_audience(issuer, bg_json_string(claims->aud)))
		return 0;
	json_array_foreach(claims->aud, i, one)
		if (is_audience(issuer, bg_json_string(one)))
			return 0;
	return fail_audience(claims, issuer, err);
}
