#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "core/b64url.h"
#include "core/gate.h"
#include "core/log.h"
#include "core/secret.h"
#include "tests/bench/bench.h"
#include "tests/support/fixed.h"
#include "tests/support/mint.h"

/*
 * What judging one token costs, with nothing remembered from the one before, against what it cannot do without: OpenSSL's
 * verification of the signature by a key that is ready, and jansson's parse of header and payload.
 *
 *	bench_judge			CPU time of both in turns; for each algorithm the medians and the median ratio; and of a token
 *					that is remembered
 *	bench_judge WHICH ALG TIMES	"judge", "again" or "bare", so many times, and nothing else: for counting instructions
 */

#define ISSUER	"https://issuer.example/"
#define CLAIMS	"{\"iss\":\"" ISSUER "\",\"sub\":\"auth0|5f7c8ec7c33c6c004bbafe82\",\"aud\":[\"https://api.example\","	\
	"\"https://tenant.example/userinfo\"],\"iat\":1700000000,\"exp\":1700086400,\"azp\":\"my_client_id\","		\
	"\"scope\":\"openid profile read:messages\",\"permissions\":[\"read:messages\",\"write:messages\"]}"
#define ROUNDS		61
#define PER_ROUND	400
#define PARTS		3

static struct subject {
	const char     *alg;
	const char     *digest;		/* for the bare side, as in core/alg.c */
	char           *token;
	const struct bg_jwk *key;
	struct bg_slice input;
	char           *part[PARTS];	/* header and payload as text, signature as OpenSSL reads it */
	size_t          len[PARTS];
} subjects[] = {
	{ .alg = "RS256", .digest = "SHA256" },
	{ .alg = "ES256", .digest = "SHA256" },
	{ .alg = "EdDSA" },
};

#define N_SUBJECTS	(sizeof(subjects) / sizeof(subjects[0]))

static char jwks[4096];
static const struct bg_alg *algs[N_SUBJECTS];
static char issuer_name[] = ISSUER, audience_text[] = "https://api.example", *audience = audience_text, realm[] = "api";
static struct bg_issuer issuer = { .name = issuer_name, .audiences = &audience, .n_audiences = 1, .algs = algs,
	.n_algs = N_SUBJECTS };
static struct bg_gate gate = { .issuers = &issuer, .n_issuers = 1, .leeway = 30, .dpop = { .mode = BG_DPOP_DISABLED },
	.answers = { .realm = realm } };
static struct bg_jwks *keys;
static struct bg_verified *cache;

static _Noreturn void
end(const char *what)
{
	(void)fprintf(stderr, "bench_judge: %s\n", what);
	exit(EXIT_FAILURE);
}

static int
hand_out(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	(void)self, (void)request, (void)err;
	meta->max_age = 600;
	bg_buf_put_str(body, jwks);
	return 0;
}

/* R and S as DER, which is what OpenSSL is given without us. */
static void
make_der(struct subject *s)
{
	const unsigned char *raw = (const unsigned char *)s->part[2];
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *der = NULL;
	int len;

	if (sig == NULL || ECDSA_SIG_set0(sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL)) != 1 ||
	    (len = i2d_ECDSA_SIG(sig, &der)) <= 0)
		end("a signature cannot be turned into DER");
	free(s->part[2]);
	if ((s->part[2] = malloc((size_t)len)) == NULL)
		end("no memory");
	memcpy(s->part[2], der, (size_t)len);
	s->len[2] = (size_t)len;
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
}

static void
prepare(struct subject *s)
{
	const char *at = s->token;
	struct bg_token *token;
	struct bg_error err = { 0 };

	if (bg_token_parse(bg_slice_str(s->token), &token, &err) != 0)
		end(err.detail);
	if ((s->key = bg_jwks_next(keys, NULL, token->kid, bg_alg_find(bg_slice_str(s->alg)))) == NULL)
		end("no key");
	s->input = token->signing_input;
	bg_token_unref(token);
	for (int i = 0; i < PARTS; i++) {
		struct bg_slice text = { at, strcspn(at, ".") };

		if ((s->part[i] = malloc(BG_B64URL_DECODED(text.len))) == NULL)
			end("no memory");
		s->len[i] = (size_t)bg_b64url_decode((unsigned char *)s->part[i], text);
		at += text.len + 1;
	}
	if (s->key->kty == BG_KTY_P256)
		make_der(s);
}

static void
start(void)
{
	static const struct bg_fetcher fetcher = { hand_out };
	static const enum bg_mint_key a[] = { BG_MINT_KEY_A };
	const struct bg_keystore_options options = { .source = { .issuer = ISSUER, .jwks_uri = "https://keys.example/", .fetcher = &fetcher,
		.fetch_timeout = 5, .cache_ttl_min = 60, .cache_ttl_max = 600 }, .stale_if_error = 86400, .refresh_cooldown = 30 };
	char *rsa;

	if (bg_json_start() != 0 || bg_secret_start() != 0)
		end("cannot start");
	bg_log_open(2, BG_LOG_ERROR);
	rsa = bg_mint_jwks(a, 1);
	bg_format(jwks, sizeof(jwks), "%.*s," BG_FIXED_EC_JWK "," BG_FIXED_ED_JWK "]}", (int)strlen(rsa) - 2, rsa);
	free(rsa);
	subjects[0].token = bg_mint_token(BG_MINT_KEY_A, NULL, CLAIMS);
	subjects[1].token = strdup(BG_FIXED_EC_TOKEN);
	subjects[2].token = strdup(BG_FIXED_ED_TOKEN);
	for (size_t i = 0; i < N_SUBJECTS; i++)
		algs[i] = bg_alg_find(bg_slice_str(subjects[i].alg));
	if (bg_verified_new(&cache, 100, 1 << 20, NULL) != 0 || bg_keystore_new(&issuer.keys, &options, NULL) != 0)
		end("no key store");
	bg_keystore_step(issuer.keys, (struct bg_now){ .mono_ms = 0 });
	if (bg_keystore_keys(issuer.keys, (struct bg_slice){ NULL, 0 }, 0, &keys, NULL) != 0)
		end("no keys");
	for (size_t i = 0; i < N_SUBJECTS; i++)
		prepare(&subjects[i]);
}

static void
stop(void)
{
	for (size_t i = 0; i < N_SUBJECTS; i++) {
		free(subjects[i].token);
		for (int j = 0; j < PARTS; j++)
			free(subjects[i].part[j]);
	}
	bg_jwks_unref(keys);
	bg_verified_free(cache);
	bg_keystore_free(issuer.keys);
}

static void
judge(const struct subject *s)
{
	const struct bg_now now = { .wall = 1700000060, .mono_ms = 1000 };
	struct bg_request request = { .method = BG_SLICE("GET"), .uri = BG_SLICE("/api/messages"), .host = BG_SLICE("api.example") };
	struct bg_decision decision;
	static char header[8192];

	request.authorization = (struct bg_slice){ header, bg_format(header, sizeof(header), "Bearer %s", s->token) };
	bg_gate_decide(&gate, &request, now, &decision);
	if (decision.verdict != BG_ALLOW)
		end(decision.error.detail);
	bg_decision_clear(&decision);
}

/* The same of a token that is remembered. */
static void
judge_again(const struct subject *s)
{
	gate.verified = cache;
	judge(s);
	gate.verified = NULL;
}

static void
bare(const struct subject *s)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	json_t *header, *payload;

	if (ctx == NULL || EVP_DigestVerifyInit_ex(ctx, NULL, s->digest, NULL, NULL, s->key->pkey, NULL) != 1 ||
	    EVP_DigestVerify(ctx, (const unsigned char *)s->part[2], s->len[2], (const unsigned char *)s->input.ptr,
	    s->input.len) != 1)
		end("OpenSSL does not take the signature");
	EVP_MD_CTX_free(ctx);
	header = json_loadb(s->part[0], s->len[0], JSON_REJECT_DUPLICATES, NULL);
	payload = json_loadb(s->part[1], s->len[1], JSON_REJECT_DUPLICATES, NULL);
	if (header == NULL || payload == NULL)
		end("jansson does not take the token");
	json_decref(header);
	json_decref(payload);
}

typedef void side(const struct subject *s);

/* Microseconds of CPU for one. */
static double
measure(side *run, const struct subject *s)
{
	struct timespec from, to;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (int i = 0; i < PER_ROUND; i++)
		run(s);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / 1e3 / PER_ROUND;
}

static void
report(const struct subject *s)
{
	double a[ROUNDS], b[ROUNDS], ratio[ROUNDS], again[ROUNDS];

	measure(judge, s);
	measure(bare, s);
	for (int i = 0; i < ROUNDS; i++) {
		/* in turns, and the first one in turns too, so that what else the machine does meets both */
		if (i % 2 == 0)
			a[i] = measure(judge, s);
		b[i] = measure(bare, s);
		if (i % 2 != 0)
			a[i] = measure(judge, s);
		ratio[i] = a[i] / b[i];
		again[i] = measure(judge_again, s);
	}
	(void)printf("%-6s %10.2f %10.2f %8.3f %10.2f\n", s->alg, bg_bench_median(a, ROUNDS), bg_bench_median(b, ROUNDS), bg_bench_median(ratio, ROUNDS), bg_bench_median(again, ROUNDS));
}

int
main(int argc, char **argv)
{
	start();
	if (argc == 4) {
		side *run = strcmp(argv[1], "judge") == 0 ? judge : strcmp(argv[1], "again") == 0 ? judge_again : bare;
		long times = strtol(argv[3], NULL, 10);

		for (size_t i = 0; i < N_SUBJECTS; i++)
			for (long n = 0; strcmp(subjects[i].alg, argv[2]) == 0 && n < times; n++)
				run(&subjects[i]);
	} else {
		(void)printf("CPU time of one token, median of %d rounds\n%-6s %10s %10s %8s %10s\n", ROUNDS, "", "judge us", "bare us", "ratio",
		    "again us");
		for (size_t i = 0; i < N_SUBJECTS; i++)
			report(&subjects[i]);
	}
	stop();
	return EXIT_SUCCESS;
}
