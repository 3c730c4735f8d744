#include "core/proof.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/b64url.h"
#include "core/certificate.h"
#include "core/htu.h"
#include "core/jwk.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/token.h"

/*
 * A proof is remembered for so long beyond the last moment at which we would take it, in seconds: another machine that
 * shares the store may have a clock behind ours.
 */
#define LIFE_MARGIN	10

/* RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 8037 section 2: the members of private and of shared keys (SR-61). */
static const char *const private_members[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

/* What a proof must say.  RFC 9449 section 4.2. */
struct proof_claims {
	struct bg_slice jti;
	struct bg_slice htm;
	struct bg_slice htu;
	struct bg_slice ath;
	struct bg_slice nonce;	/* ptr NULL when there is none */
	int64_t         iat;	/* a fraction is cut off */
};

/* The error of a stage that speaks of tokens or keys, as one of proofs; our own troubles stay what they are. */
static int
fail_as(struct bg_error *err, enum bg_reason reason, const struct bg_error *why)
{
	return bg_fail(err, bg_reason_oauth(why->reason) == BG_OAUTH_INTERNAL ? why->reason : reason, "proof: %s", why->detail);
}

/* RFC 9449 section 4.3 checks 2 and 4. */
static int
parse(struct bg_slice compact, struct bg_token **out, struct bg_error *err)
{
	struct bg_error why = { 0 };

	if (bg_token_parse(compact, out, &why) != 0)
		return fail_as(err, BG_R_BAD_PROOF, &why);
	if (!bg_slice_equal_nocase((*out)->typ, BG_SLICE("dpop+jwt")))
		return bg_fail(err, BG_R_BAD_PROOF, "proof: typ \"%.*s\", expected \"dpop+jwt\"", BG_SLICE_ARG((*out)->typ));
	return 0;
}

static int
read_string(const json_t *payload, const char *name, bool needed, struct bg_slice *out, struct bg_error *err)
{
	const json_t *value = json_object_get(payload, name);

	*out = bg_json_string(value);
	if (out->ptr == NULL && (value != NULL || needed))
		return bg_fail(err, BG_R_BAD_PROOF, "proof: %s is %s, not a string", name, bg_json_type_name(value));
	return 0;
}

/* RFC 9449 section 4.3 check 3. */
static int
read_claims(const json_t *payload, struct proof_claims *out, struct bg_error *err)
{
	const json_t *iat = json_object_get(payload, "iat");
	double seconds = json_number_value(iat);

	if (read_string(payload, "jti", true, &out->jti, err) != 0 || read_string(payload, "htm", true, &out->htm, err) != 0 ||
	    read_string(payload, "htu", true, &out->htu, err) != 0 || read_string(payload, "ath", true, &out->ath, err) != 0 ||
	    read_string(payload, "nonce", false, &out->nonce, err) != 0)
		return -1;
	if (out->jti.len == 0 || out->jti.len > BG_JTI_MAX)
		return bg_fail(err, BG_R_BAD_PROOF, "proof: jti of %zu bytes, from 1 to %d are accepted", out->jti.len, BG_JTI_MAX);
	if (!json_is_number(iat))
		return bg_fail(err, BG_R_BAD_PROOF, "proof: iat is %s, not a number", bg_json_type_name(iat));
	/* written so that NaN fails too (SR-25) */
	if (!(seconds >= 0 && seconds <= BG_NUMERIC_DATE_MAX))
		return bg_fail(err, BG_R_BAD_PROOF, "proof: iat is no time");
	out->iat = (int64_t)seconds;
	return 0;
}

/* The key in the proof's own header: public, and of a kind we accept.  RFC 9449 section 4.3 check 7; SR-61. */
static int
read_key(const struct bg_token *proof, struct bg_jwk **out, struct bg_error *err)
{
	const json_t *jwk = json_object_get(proof->header, "jwk");
	struct bg_error why = { 0 };

	if (!json_is_object(jwk))
		return bg_fail(err, BG_R_PROOF_KEY, "proof: jwk is %s, not an object", bg_json_type_name(jwk));
	for (size_t i = 0; i < sizeof(private_members) / sizeof(private_members[0]); i++)
		if (json_object_get(jwk, private_members[i]) != NULL)
			return bg_fail(err, BG_R_PROOF_KEY, "proof: jwk has the member \"%s\" of a key that is not public",
			    private_members[i]);
	if (bg_jwk_parse(jwk, out, &why) != 0)
		return fail_as(err, BG_R_PROOF_KEY, &why);
	return 0;
}

/* RFC 9449 section 4.3 checks 5 and 6. */
static int
check_signature(const struct bg_dpop *dpop, const struct bg_token *proof, const struct bg_jwk *key, struct bg_error *err)
{
	const struct bg_alg *alg = NULL;
	struct bg_error why = { 0 };

	for (size_t i = 0; i < dpop->n_algs && alg == NULL; i++)
		if (bg_slice_equal(dpop->algs[i]->name, proof->alg))
			alg = dpop->algs[i];
	if (alg == NULL)
		return bg_fail(err, BG_R_PROOF_ALGORITHM, "proof: alg \"%.*s\" is not among dpop_algorithms", BG_SLICE_ARG(proof->alg));
	if (!bg_jwk_fits(key, alg))
		return bg_fail(err, BG_R_PROOF_KEY, "proof: jwk is no key for %.*s", BG_SLICE_ARG(proof->alg));
	if (alg->verify(alg, key, proof->signing_input, proof->signature, &why) != 0)
		return fail_as(err, BG_R_PROOF_SIGNATURE, &why);
	return 0;
}

/* RFC 9449 section 4.3 checks 8 and 9.  *url gets the normal form of both. */
static int
check_target(const struct bg_dpop *dpop, const struct bg_request *request, const struct proof_claims *claims, struct bg_buf *url,
    struct bg_error *err)
{
	struct bg_slice ours, theirs;
	struct bg_buf htu;
	const char *wrong;
	int rc = -1;

	if (!bg_slice_equal(claims->htm, request->method))
		return bg_fail(err, BG_R_PROOF_METHOD, "proof: htm \"%.*s\", the request is %.*s", BG_SLICE_ARG(claims->htm),
		    BG_SLICE_ARG(request->method));
	bg_buf_init(&htu, BG_URI_MAX);
	if (bg_public_url(&dpop->public, request, url, err) != 0 || bg_buf_finish(url, &ours, err) != 0)
		goto out;
	if ((wrong = bg_htu_normalise(claims->htu, &htu)) != NULL)
		bg_fail(err, htu.no_memory ? BG_R_NO_MEMORY : BG_R_PROOF_URL, "proof: htu \"%.*s\": %s", BG_SLICE_ARG(claims->htu), wrong);
	else if (bg_buf_finish(&htu, &theirs, err) != 0)
		goto out;
	else if (!bg_slice_equal(ours, theirs))
		bg_fail(err, BG_R_PROOF_URL, "proof: htu \"%.*s\", the request is for \"%.*s\"", BG_SLICE_ARG(theirs), BG_SLICE_ARG(ours));
	else
		rc = 0;
out:
	bg_buf_clear(&htu);
	return rc;
}

/* RFC 9449 section 4.3 check 11. */
static int
check_time(const struct bg_dpop *dpop, const struct proof_claims *claims, int64_t now, struct bg_error *err)
{
	/* Subtract from our clock, not add to their claim: the sum could overflow, the difference cannot. */
	if (claims->iat < now - dpop->iat_offset || claims->iat - dpop->iat_leeway > now)
		return bg_fail(err, BG_R_PROOF_TIME, "proof: iat %" PRId64 ", now %" PRId64 ", accepted from %" PRId64 " s before to %"
		    PRId64 " s after", claims->iat, now, dpop->iat_offset, dpop->iat_leeway);
	return 0;
}

/* RFC 9449 section 4.3 check 12: the proof is for this token, and by the key this token is bound to. */
static int
check_binding(const struct bg_credentials *cred, const struct proof_claims *claims, const struct bg_jwk *key, struct bg_slice jkt,
    struct bg_error *err)
{
	char ath[BG_B64URL_ENCODED(BG_SHA256_LEN) + 1] = "", thumbprint[BG_THUMBPRINT_LEN + 1];
	const unsigned char *digest = cred->digest;
	unsigned char hash[BG_SHA256_LEN];

	if (digest == NULL && bg_sha256(cred->token, hash, err) != 0)
		return -1;
	bg_b64url_encode(ath, digest != NULL ? digest : hash, BG_SHA256_LEN);
	if (!bg_secret_equal(claims->ath, bg_slice_str(ath)))
		return bg_fail(err, BG_R_PROOF_TOKEN, "proof: ath \"%.*s\", the token has \"%s\"", BG_SLICE_ARG(claims->ath), ath);
	if (bg_jwk_thumbprint(key, thumbprint, err) != 0)
		return -1;
	if (!bg_secret_equal(jkt, bg_slice_str(thumbprint)))
		return bg_fail(err, BG_R_WRONG_BINDING, "the proof is by the key \"%s\", the token is bound to \"%.*s\"", thumbprint,
		    BG_SLICE_ARG(jkt));
	return 0;
}

/* One part of what is hashed, with its length before it, so that no two lists of parts look alike. */
static void
put_part(struct bg_buf *buf, struct bg_slice part)
{
	uint32_t len = part.ptr != NULL ? (uint32_t)part.len : UINT32_MAX;

	bg_buf_put(buf, (struct bg_slice){ (const char *)&len, sizeof(len) });
	bg_buf_put(buf, part);
}

static int
hash_parts(const struct bg_slice *parts, size_t n, unsigned char out[BG_SHA256_LEN], struct bg_error *err)
{
	struct bg_slice all;
	struct bg_buf buf;
	int rc;

	bg_buf_init(&buf, BG_PARAMS_MAX + BG_TOKEN_MAX);	/* what a request and its token may have */
	for (size_t i = 0; i < n; i++)
		put_part(&buf, parts[i]);
	rc = bg_buf_finish(&buf, &all, err) == 0 ? bg_sha256(all, out, err) : -1;
	bg_buf_clear(&buf);
	return rc;
}

/* What the store is to remember: the proof, and the client request that brings it (design: a server may ask more than once). */
static int
make_spending(const struct bg_dpop *dpop, const struct bg_request *request, struct bg_slice jkt, const struct proof_claims *claims,
    struct bg_slice url, int64_t now, struct bg_spending *out, struct bg_error *err)
{
	struct bg_slice proof[] = { jkt, claims->jti, claims->htm, url };
	struct bg_slice from[] = { request->request_id, request->remote_addr, request->remote_port, request->method, request->host,
		request->uri };	/* the host as sent: with public_url it is not in the proof, and may lead to other files */

	out->by_call = request->request_id.len == 0;
	out->iat = claims->iat;
	out->life_ms = (claims->iat - (now - dpop->iat_offset) + dpop->iat_leeway + LIFE_MARGIN) * 1000;
	if (hash_parts(proof, sizeof(proof) / sizeof(proof[0]), out->proof, err) != 0 ||
	    hash_parts(from, sizeof(from) / sizeof(from[0]), out->request, err) != 0 ||
	    hash_parts(request->call, BG_CALL_VARIABLES, out->call, err) != 0)
		return -1;
	return 0;
}

static int
check_dpop(const struct bg_dpop *dpop, const struct bg_request *request, const struct bg_credentials *cred, struct bg_slice jkt,
    int64_t now, struct bg_proof *out, struct bg_error *err)
{
	struct bg_token *proof = NULL;
	struct bg_jwk *key = NULL;
	struct proof_claims claims;
	struct bg_slice ours;
	struct bg_buf url;
	bool current = true;
	int rc = -1;

	bg_buf_init(&url, BG_URI_MAX);
	if (parse(cred->proof, &proof, err) != 0 || read_key(proof, &key, err) != 0 || check_signature(dpop, proof, key, err) != 0 ||
	    read_claims(proof->payload, &claims, err) != 0 || check_target(dpop, request, &claims, &url, err) != 0 ||
	    check_time(dpop, &claims, now, err) != 0 || check_binding(cred, &claims, key, jkt, err) != 0)
		goto out;
	/* Last, so that only a proof that is good otherwise is worth a nonce.  RFC 9449 section 4.3 check 10. */
	if (dpop->nonces.key != NULL && bg_nonce_check(&dpop->nonces, claims.nonce, now, &current, err) != 0)
		goto out;
	if (bg_buf_finish(&url, &ours, err) != 0 || make_spending(dpop, request, jkt, &claims, ours, now, &out->spending, err) != 0)
		goto out;
	out->old_nonce = !current;
	out->spend = true;
	rc = 0;
out:
	bg_buf_clear(&url);
	bg_jwk_free(key);
	bg_token_unref(proof);
	return rc;
}

/* RFC 8705 section 3. */
static int
check_certificate(const struct bg_request *request, struct bg_slice x5t, struct bg_error *err)
{
	char thumbprint[BG_THUMBPRINT_LEN + 1];

	if (request->client_cert.len == 0)
		return bg_fail(err, BG_R_NO_PROOF, "the token is bound to a client certificate (x5t#S256), and SSL_CLIENT_CERT is %s",
		    request->client_cert.ptr == NULL ? "not set; if the client has one, the server must pass it on" : "empty");
	if (bg_certificate_thumbprint(request->client_cert, thumbprint, err) != 0)
		return -1;
	if (!bg_secret_equal(x5t, bg_slice_str(thumbprint)))
		return bg_fail(err, BG_R_WRONG_BINDING, "the client's certificate is \"%s\", the token is bound to \"%.*s\"", thumbprint,
		    BG_SLICE_ARG(x5t));
	return 0;
}

/* A member of cnf that is a SHA-256 in base64url.  Others beside it are nobody's business (SR-66).  RFC 9449 section 6.1. */
static int
read_thumbprint(const json_t *cnf, const char *name, struct bg_slice *out, struct bg_error *err)
{
	const json_t *value = json_object_get(cnf, name);
	unsigned char hash[BG_B64URL_DECODED(BG_THUMBPRINT_LEN)];

	*out = bg_json_string(value);
	if (value == NULL || (out->len == BG_THUMBPRINT_LEN && bg_b64url_decode(hash, *out) == BG_SHA256_LEN))
		return 0;
	return bg_fail(err, BG_R_BAD_CLAIMS, "cnf: %s is no SHA-256 in base64url", name);
}

int
bg_proof_check(const struct bg_dpop *dpop, const struct bg_request *request, const struct bg_credentials *cred,
    const struct bg_claims *claims, struct bg_now now, struct bg_proof *out, struct bg_error *err)
{
	struct bg_slice jkt = { NULL, 0 }, x5t = { NULL, 0 };

	*out = (struct bg_proof){ .spend = false };
	if (claims->cnf != NULL && (read_thumbprint(claims->cnf, "jkt", &jkt, err) != 0 ||
	    read_thumbprint(claims->cnf, "x5t#S256", &x5t, err) != 0))
		return -1;
	if (claims->cnf != NULL && jkt.ptr == NULL && x5t.ptr == NULL)
		return bg_fail(err, BG_R_NO_PROOF, "the token is bound (cnf), but neither by jkt nor by x5t#S256");
	if (jkt.ptr != NULL && cred->scheme != BG_SCHEME_DPOP)
		return bg_fail(err, BG_R_NO_PROOF, "the token is bound to a DPoP key (jkt) and came as a Bearer token%s",
		    dpop->mode == BG_DPOP_DISABLED ? "; DPoP is disabled here" : "");
	if (jkt.ptr == NULL && cred->scheme != BG_SCHEME_BEARER)
		return bg_fail(err, BG_R_NOT_BOUND, "scheme DPoP, but the token is not bound to a DPoP key (no cnf with jkt)");
	if (x5t.ptr != NULL && check_certificate(request, x5t, err) != 0)
		return -1;
	return jkt.ptr != NULL ? check_dpop(dpop, request, cred, jkt, now.wall, out, err) : 0;
}

static int
spend(const struct bg_dpop *dpop, const struct bg_spending *spending, struct bg_now now, int64_t *retry_after, struct bg_error *err)
{
	if (spending->iat > dpop->not_before)
		return dpop->replay->spend(dpop->replay, spending, now, retry_after, err);
	*retry_after = dpop->not_before >= now.wall ? dpop->not_before - now.wall + 1 : 1;
	return bg_fail(err, BG_R_STORE_YOUNG, "the configuration of the store changed too lately to know whether a proof with iat %"
	    PRId64 " was spent", spending->iat);
}

int
bg_proof_spend(const struct bg_dpop *dpop, const struct bg_proof *proof, struct bg_now now, int64_t *retry_after,
    struct bg_error *err)
{
	struct bg_error why = { 0 };

	*retry_after = 0;
	if (!proof->spend)
		return 0;
	if (dpop->replay == NULL)
		return bg_fail(err, BG_R_INTERNAL, "%s", dpop->no_store != NULL ? dpop->no_store : "there is no replay store");
	if (spend(dpop, &proof->spending, now, retry_after, &why) == 0)
		return 0;
	if (dpop->replay_fail_open && bg_reason_oauth(why.reason) == BG_OAUTH_UNAVAILABLE) {
		bg_log(BG_LOG_WARNING, "a proof passes though it may have been used before (replay_on_error): %s", why.detail);
		return 0;
	}
	return bg_fail(err, why.reason, "%s", why.detail);
}

void
bg_dpop_forgo(struct bg_dpop *dpop, const char *why)
{
	bg_replay_free(dpop->replay);
	dpop->replay = NULL;
	dpop->no_store = why;
}

void
bg_dpop_clear(struct bg_dpop *dpop)
{
	free(dpop->algs);
	bg_public_clear(&dpop->public);
	bg_nonces_clear(&dpop->nonces);
	bg_replay_free(dpop->replay);
	*dpop = (struct bg_dpop){ .mode = BG_DPOP_REQUIRED };
}
