/*
 * A DPoP header as any client can send it: core/proof.c, with a signature that is always good, so that what is behind it
 * is reached.  What passes has said all that RFC 9449 section 4.3 asks for.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/alg.h"
#include "core/log.h"
#include "core/proof.h"

#define MUST(condition)	do { if (!(condition)) abort(); } while (0)
#define NOW		1700000000
#define JKT		"0UN0STi5MMCGBjsBHBceojpEDLK-33a-s7lEsJNcLiU"
#define ATH		"vpjBspdS5NF44ClBeIdUofulV20xBy4-Oe-1oz5DD7Y"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
always(const struct bg_alg *alg, const struct bg_jwk *key, struct bg_slice input, struct bg_slice signature, struct bg_error *err)
{
	(void)alg, (void)key, (void)input, (void)signature, (void)err;
	return 0;
}

static const struct bg_alg es256 = { BG_SLICE_INIT("ES256"), BG_KTY_P256, NULL, always };
static const struct bg_alg *algs[] = { &es256 };

static bool
says(const struct bg_token *token, const char *name, const char *value)
{
	return bg_slice_equal(bg_json_string(json_object_get(token->payload, name)), bg_slice_str(value));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const hidden[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
	const struct bg_dpop dpop = { .mode = BG_DPOP_ALLOWED, .algs = algs, .n_algs = 1, .iat_offset = 300, .iat_leeway = 30 };
	const struct bg_request request = { .method = BG_SLICE_INIT("GET"), .uri = BG_SLICE_INIT("/a?b"), .scheme = BG_SLICE_INIT("https"),
		.host = BG_SLICE_INIT("h.example") };
	struct bg_credentials cred = { .scheme = BG_SCHEME_DPOP, .token = BG_SLICE_INIT("t.t.t"),
		.proof = { (const char *)data, size } };
	json_t *all = json_pack("{s:{s:s}}", "cnf", "jkt", JKT);
	struct bg_claims claims = { .all = all, .cnf = json_object_get(all, "cnf") };
	struct bg_error err = { 0 };
	struct bg_token *token;
	struct bg_proof out;
	double iat;

	bg_log_open(-1, BG_LOG_ERROR);
	if (bg_proof_check(&dpop, &request, &cred, &claims, (struct bg_now){ .wall = NOW }, &out, &err) != 0)
		MUST(err.reason != BG_R_OK && !out.spend);
	else {
		MUST(out.spend && out.spending.life_ms > 0 && err.reason == BG_R_OK);
		MUST(bg_token_parse(cred.proof, &token, &err) == 0);
		MUST(bg_slice_equal_nocase(token->typ, BG_SLICE("dpop+jwt")) && bg_slice_equal(token->alg, BG_SLICE("ES256")));
		MUST(says(token, "htm", "GET") && says(token, "ath", ATH));
		MUST(bg_json_string(json_object_get(token->payload, "jti")).len > 0);
		iat = json_number_value(json_object_get(token->payload, "iat"));
		MUST(iat >= NOW - 300 && iat < NOW + 31);
		for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
			MUST(json_object_get(json_object_get(token->header, "jwk"), hidden[i]) == NULL);
		bg_token_unref(token);
	}
	json_decref(all);
	return 0;
}
