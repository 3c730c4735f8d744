#include "core/claims.h"

#include <inttypes.h>
#include <math.h>

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
	*out = (int64_t)ceil(seconds);
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

/* StringOrURI, or an array of them.  RFC 7519 section 4.1.3, SR-44. */
static int
read_audience(const json_t *payload, const json_t **out, struct bg_error *err)
{
	const json_t *aud = json_object_get(payload, "aud"), *one;
	size_t i;

	*out = aud;
	if (aud == NULL || json_is_string(aud))
		return 0;
	if (!json_is_array(aud))
		return bg_fail(err, BG_R_BAD_CLAIMS, "aud is %s, not a string or an array", bg_json_type_name(aud));
	if (json_array_size(aud) > BG_AUDIENCES_MAX)
		return bg_fail(err, BG_R_BAD_CLAIMS, "aud has %zu entries, at most %d", json_array_size(aud), BG_AUDIENCES_MAX);
	json_array_foreach(aud, i, one)
		if (!json_is_string(one))
			return bg_fail(err, BG_R_BAD_CLAIMS, "aud has %s in it, not strings alone", bg_json_type_name(one));
	return 0;
}

int
bg_claims_read(const struct bg_token *token, struct bg_claims *out, struct bg_error *err)
{
	const json_t *all = token->payload;
	bool has_exp, has_iat;

	*out = (struct bg_claims){ .all = all };
	if (read_string(all, "iss", &out->iss, err) != 0 || read_string(all, "sub", &out->sub, err) != 0 ||
	    read_string(all, "scope", &out->scope, err) != 0 || read_audience(all, &out->aud, err) != 0 ||
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

int
bg_claims_check_issuer(const struct bg_claims *claims, const struct bg_issuer *issuer, struct bg_error *err)
{
	struct bg_slice first = bg_json_string(json_is_array(claims->aud) ? json_array_get(claims->aud, 0) : claims->aud);
	const json_t *one;
	size_t i;

	if (!bg_slice_equal(claims->iss, bg_slice_str(issuer->name)))
		return bg_fail(err, BG_R_WRONG_ISSUER, "iss \"%.*s\"", BG_SLICE_ARG(claims->iss));
	if (issuer->any_audience)
		return 0;
	if (json_is_string(claims->aud) && is_audience(issuer, first))
		return 0;
	json_array_foreach(claims->aud, i, one)
		if (is_audience(issuer, bg_json_string(one)))
			return 0;
	return bg_fail(err, BG_R_WRONG_AUDIENCE, "aud %s\"%.*s\", expected \"%s\"%s", claims->aud == NULL ? "is missing " : "",
	    BG_SLICE_ARG(first), issuer->n_audiences > 0 ? issuer->audiences[0] : "", issuer->n_audiences > 1 ? " or another" : "");
}
