#include "core/verified.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "core/gate.h"
#include "core/limits.h"
#include "core/log.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define ROOM	((size_t)1 << 20)
#define KEY	"KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK"
#define OTHER	"LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLL"

/* ---- the cache alone ------------------------------------------------------------------------------------------- */

/* A settled token that says its number, and so much more. */
static struct bg_token *
token_of(int number, size_t filling)
{
	char *payload = malloc(filling + 100), *compact;
	struct bg_token *token;

	ck_assert_ptr_nonnull(payload);
	memset(payload, 'x', filling + 100);
	payload[bg_format(payload, 40, "{\"n\":%d,\"x\":\"", number)] = 'x';
	bg_format(payload + filling + 40, 60, "\"}");
	compact = bg_mint_compact(BG_SLICE("{\"alg\":\"RS256\",\"kid\":\"k\"}"), bg_slice_str(payload), BG_SLICE("sig"));
	ck_assert_int_eq(bg_token_parse(bg_slice_str(compact), &token, NULL), 0);
	ck_assert_int_eq(bg_token_settle(token, NULL), 0);
	free(compact);
	free(payload);
	return token;
}

static void
digest_of(int number, unsigned char digest[BG_SHA256_LEN])
{
	ck_assert_int_eq(bg_sha256((struct bg_slice){ (const char *)&number, sizeof(number) }, digest, NULL), 0);
}

static void
put(struct bg_verified *cache, int number, size_t filling, const char *key)
{
	unsigned char digest[BG_SHA256_LEN];
	struct bg_token *token = token_of(number, filling);

	digest_of(number, digest);
	bg_verified_put(cache, digest, token, key);
	bg_token_unref(token);
}

/* 2: known and parsed, 1: known, 0: not known.  What is found must be the one asked for. */
static int
has(struct bg_verified *cache, int number, const char *key)
{
	unsigned char digest[BG_SHA256_LEN];
	struct bg_verified_hit hit;
	int found = 0;

	digest_of(number, digest);
	if (bg_verified_find(cache, digest, &hit)) {
		ck_assert_str_eq(hit.key, key);
		found = 1;
	} else
		ck_assert(hit.token == NULL && hit.key[0] == '\0');
	if (hit.token != NULL) {
		ck_assert_int_eq(json_integer_value(json_object_get(hit.token->payload, "n")), number);
		found = 2;
	}
	bg_token_unref(hit.token);
	return found;
}

static struct bg_verified *
cache_of(size_t tokens, size_t bytes)
{
	struct bg_verified *cache;

	ck_assert_int_eq(bg_verified_new(&cache, tokens, bytes, NULL), 0);
	return cache;
}

START_TEST(a_token_is_known_by_all_of_its_digest)
{
	struct bg_verified *cache = cache_of(100, ROOM);
	unsigned char digest[BG_SHA256_LEN];
	struct bg_verified_hit hit;

	put(cache, 1, 0, KEY);
	for (int i = 0; i < BG_SHA256_LEN; i++) {
		digest_of(1, digest);
		digest[i] ^= 1;
		ck_assert_msg(!bg_verified_find(cache, digest, &hit), "byte %d does not count", i);
	}
	ck_assert_int_eq(has(cache, 1, KEY), 2);
	ck_assert(!bg_verified_find(NULL, digest, &hit));
	bg_verified_free(cache);
}
END_TEST

START_TEST(what_is_known_is_replaced)
{
	struct bg_verified *cache = cache_of(100, ROOM);
	struct bg_verified_status status;

	put(cache, 1, 0, KEY);
	put(cache, 1, 500, OTHER);
	ck_assert_int_eq(has(cache, 1, OTHER), 2);
	bg_verified_status(cache, &status);
	ck_assert(status.tokens == 1 && status.parsed == 1);
	bg_verified_free(cache);
}
END_TEST

START_TEST(there_are_never_more_tokens_than_there_is_room_for)
{
	static const size_t rooms[] = { 1, 2, 3, 64, 1023, 1024, 1030 };
	struct bg_verified *cache = cache_of(rooms[_i], ROOM);
	struct bg_verified_status status;

	for (int i = 0; i < 3000; i++) {
		put(cache, i, 0, KEY);
		ck_assert_int_eq(has(cache, i, KEY), 2);
	}
	bg_verified_status(cache, &status);
	ck_assert_uint_eq(status.tokens, rooms[_i]);
	bg_verified_free(cache);
}
END_TEST

START_TEST(tokens_that_come_once_do_not_push_out_one_that_comes_again)
{
	struct bg_verified *cache = cache_of(8, ROOM);

	put(cache, 0, 0, KEY);
	for (int i = 1; i < 1000; i++) {
		put(cache, i, 0, KEY);
		ck_assert_msg(has(cache, 0, KEY) == 2, "gone after %d others", i);
	}
	bg_verified_free(cache);
}
END_TEST

START_TEST(the_one_that_was_not_used_goes_first)
{
	struct bg_verified *cache = cache_of(3, ROOM);

	for (int i = 0; i < 3; i++)
		put(cache, i, 0, KEY);
	ck_assert(has(cache, 0, KEY) == 2 && has(cache, 2, KEY) == 2);
	put(cache, 3, 0, KEY);
	ck_assert(has(cache, 0, KEY) == 2 && has(cache, 1, KEY) == 0 && has(cache, 2, KEY) == 2 && has(cache, 3, KEY) == 2);
	bg_verified_free(cache);
}
END_TEST

START_TEST(what_is_found_and_what_is_not_is_counted)
{
	struct bg_verified *cache = cache_of(2, ROOM), *next = cache_of(3, ROOM);
	struct bg_verified_status status;

	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(has(cache, i, KEY), 0);
		put(cache, i, 0, KEY);
		ck_assert_int_eq(has(cache, i, KEY), 2);
	}
	bg_verified_status(cache, &status);
	ck_assert(status.misses == 4 && status.hits == 4 && status.evictions == 2);
	put(cache, 3, 0, KEY);		/* replaced, not pushed out */
	bg_verified_count_on(NULL, cache);
	bg_verified_count_on(next, NULL);
	ck_assert_int_eq(has(next, 3, KEY), 0);
	bg_verified_count_on(next, cache);
	bg_verified_status(next, &status);
	ck_assert(status.tokens == 0 && status.misses == 5 && status.hits == 4 && status.evictions == 2);
	bg_verified_free(cache);
	bg_verified_free(next);
}
END_TEST

START_TEST(where_bytes_run_out_tokens_stay_known)
{
	struct bg_token *one = token_of(0, 1000);
	size_t bytes = one->bytes * 5 + 50;	/* numbers of three digits take no more */
	struct bg_verified *cache = cache_of(100, bytes);
	struct bg_verified_status status;

	bg_token_unref(one);
	for (int i = 0; i < 100; i++) {
		put(cache, i, 1000, KEY);
		bg_verified_status(cache, &status);
		ck_assert(status.bytes <= bytes && status.parsed == (i < 5 ? (size_t)i + 1 : 5));
		ck_assert_int_eq(has(cache, i, KEY), 2);
	}
	ck_assert_uint_eq(status.tokens, 100);
	for (int i = 0; i < 95; i++)
		ck_assert_int_ge(has(cache, i, KEY), 1);

	/* parsed again, it is kept again, whatever else has to be dropped for it */
	for (int i = 0; i < 100; i++) {
		put(cache, i, 1000, KEY);
		ck_assert_int_eq(has(cache, i, KEY), 2);
	}
	put(cache, 7, 4000, KEY);
	ck_assert_int_eq(has(cache, 7, KEY), 2);
	bg_verified_status(cache, &status);
	ck_assert(status.tokens == 100 && status.bytes <= bytes);

	/* one that would take all of it, and more, is only known */
	put(cache, 8, 10000, KEY);
	ck_assert_int_eq(has(cache, 8, KEY), 1);
	bg_verified_free(cache);
}
END_TEST

START_TEST(one_token_does_not_drop_all_others)
{
	struct bg_verified *cache = cache_of(200, 50 * 1024);
	unsigned char digest[BG_SHA256_LEN];
	char payload[3000] = "{\"n\":200,\"list\":[0", *compact;
	struct bg_token *token;
	struct bg_verified_status before, after;

	for (int i = 0; i < 200; i++)
		put(cache, i, 0, KEY);
	bg_verified_status(cache, &before);
	/* small on its way and large when it is parsed: it would take the place of two dozen others */
	for (int i = 0; i < 700; i++)
		strcat(payload, ",0");
	strcat(payload, "]}");
	compact = bg_mint_compact(BG_SLICE("{\"alg\":\"RS256\"}"), bg_slice_str(payload), BG_SLICE("sig"));
	ck_assert_int_eq(bg_token_parse(bg_slice_str(compact), &token, NULL), 0);
	ck_assert_int_eq(bg_token_settle(token, NULL), 0);
	ck_assert(token->bytes > 25 * 1024 && token->bytes < 50 * 1024);
	digest_of(200, digest);
	bg_verified_put(cache, digest, token, KEY);
	bg_token_unref(token);
	free(compact);
	bg_verified_status(cache, &after);
	ck_assert_uint_ge(after.parsed + 17, before.parsed);
	ck_assert_int_eq(has(cache, 200, KEY), 1);
	bg_verified_free(cache);
}
END_TEST

START_TEST(a_token_in_use_outlives_its_place_and_the_cache)
{
	struct bg_verified *cache = cache_of(1, ROOM);
	unsigned char digest[BG_SHA256_LEN];
	struct bg_verified_hit hit;

	put(cache, 1, 0, KEY);
	digest_of(1, digest);
	ck_assert(bg_verified_find(cache, digest, &hit));
	put(cache, 2, 0, KEY);
	put(cache, 3, 0, KEY);
	ck_assert_int_eq(has(cache, 1, KEY), 0);
	bg_verified_free(cache);
	ck_assert_int_eq(json_integer_value(json_object_get(hit.token->payload, "n")), 1);
	ck_assert(bg_slice_equal(hit.token->alg, BG_SLICE("RS256")) && bg_slice_equal(hit.token->kid, BG_SLICE("k")));
	ck_assert_ptr_null(hit.token->typ.ptr);
	bg_token_unref(hit.token);
}
END_TEST

START_TEST(ten_thousand_have_room_where_so_many_were_asked_for)
{
	struct bg_verified *cache = cache_of(10000, BG_VERIFIED_BYTES_MAX);
	int known = 0;

	for (int i = 0; i < 10000; i++)
		put(cache, i, 0, KEY);
	for (int i = 0; i < 10000; i++)
		known += has(cache, i, KEY) > 0;
	ck_assert_int_ge(known, 9700);	/* chance fills some shards before others */
	bg_verified_free(cache);
}
END_TEST

/* Threads that find, read, write out and put a few tokens for which there is no room together. */
#define THREADS	8
#define TURNS	3000

static struct bg_verified *shared;

static void *
use(void *arg)
{
	uint32_t random = 12345u * (uint32_t)(1 + (intptr_t)arg);
	bool wrong = false;

	for (int i = 0; i < TURNS && !wrong; i++) {
		int number = (int)((random = random * 1664525u + 1013904223u) >> 16) % 40;
		unsigned char digest[BG_SHA256_LEN];
		struct bg_verified_hit hit;
		char want[32], *text;

		digest_of(number, digest);
		if (!bg_verified_find(shared, digest, &hit) || hit.token == NULL)
			put(shared, number, (size_t)number * 20, KEY);
		else {
			bg_format(want, sizeof(want), "{\"n\":%d,", number);
			text = json_dumps(hit.token->payload, JSON_COMPACT);
			wrong = text == NULL || strncmp(text, want, strlen(want)) != 0 ||
			    !bg_slice_equal(hit.token->kid, BG_SLICE("k"));
			free(text);
			bg_token_unref(hit.token);
		}
	}
	return wrong ? arg : NULL;
}

START_TEST(threads_find_what_they_ask_for)	/* for ThreadSanitizer above all */
{
	struct bg_verified_status status;
	pthread_t threads[THREADS];
	void *wrong;

	shared = cache_of(20, 10000);
	for (intptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
	bg_verified_status(shared, &status);
	ck_assert(status.tokens == 20 && status.bytes <= 10000);
	bg_verified_free(shared);
}
END_TEST

/* ---- the cache in a gate: what can change between two uses of one token (SR-41) ---------------------------------- */

#define NOW		1700000000
#define ISSUER		"https://a.example/"
#define MONTH_MS	(INT64_C(31) * 86400 * 1000)

static char jwks[8192];		/* what the issuer says; "" when it does not answer */

static int
hand_out(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	(void)self, (void)request;
	if (jwks[0] == '\0')
		return bg_fail(err, BG_R_FETCH_FAILED, "down");
	meta->max_age = 600;
	bg_buf_put_str(body, jwks);
	return 0;
}

static const struct bg_fetcher fetcher = { hand_out };
static char issuer_name[] = ISSUER, api[] = "api", other_api[] = "other", *audience, at_jwt[] = "at+jwt", id_jwt[] = "id+jwt", site_host[] = "site.example",
    *site = site_host, read_text[] = "read", write_text[] = "write", *read_scope = read_text, *write_scope = write_text;
static const struct bg_alg *alg;
static struct bg_issuer issuer;
static struct bg_rule reads[] = { { .kind = BG_RULE_SCOPE, .values = &read_scope, .n_values = 1 } },
    writes[] = { { .kind = BG_RULE_SCOPE, .values = &write_scope, .n_values = 1 } };
static struct bg_location locations[] = {
	{ .path = (char[]){ "/read" }, .rule = { .kind = BG_RULE_ALL, .rules = reads, .n_rules = 1 } },
	{ .path = (char[]){ "/write" }, .rule = { .kind = BG_RULE_ALL, .rules = writes, .n_rules = 1 } },
	{ .path = (char[]){ "/public" }, .says_auth = true, .auth = BG_AUTH_NONE, .rule = { .kind = BG_RULE_ALL } },
};
static struct bg_gate gate;
static struct bg_request request;
static struct bg_now now;

/* The issuer publishes these; the store hears of it, or tries to. */
static void
publish(json_t *a, json_t *b)
{
	json_t *set = json_pack("{s:[]}", "keys");
	char *text;

	if (a != NULL)
		json_array_append_new(json_object_get(set, "keys"), a);
	if (b != NULL)
		json_array_append_new(json_object_get(set, "keys"), b);
	text = json_dumps(set, 0);
	bg_format(jwks, sizeof(jwks), "%s", a != NULL ? text : "");
	free(text);
	json_decref(set);
	bg_keystore_want(issuer.keys);
	bg_keystore_step(issuer.keys, now);
}

static json_t *
key_a(const char *as_alg, const char *kid)
{
	return bg_mint_jwk(BG_MINT_KEY_A, as_alg, kid != NULL ? kid : bg_mint_kid(BG_MINT_KEY_A));
}

static json_t *
key_b(const char *kid)
{
	return bg_mint_jwk(BG_MINT_KEY_B, NULL, kid != NULL ? kid : bg_mint_kid(BG_MINT_KEY_B));
}

static void
setup(void)
{
	static const struct bg_keystore_options options = { .source = { .issuer = ISSUER, .jwks_uri = ISSUER "keys", .fetcher = &fetcher,
		.fetch_timeout = 5, .cache_ttl_min = 60, .cache_ttl_max = 600 }, .stale_if_error = 86400, .refresh_cooldown = 30 };

	bg_log_open(-1, BG_LOG_ERROR);
	now = (struct bg_now){ .wall = NOW, .mono_ms = 1000 };
	alg = bg_alg_find(BG_SLICE("RS256"));
	audience = api;
	issuer = (struct bg_issuer){ .name = issuer_name, .audiences = &audience, .n_audiences = 1, .algs = &alg, .n_algs = 1 };
	ck_assert_int_eq(bg_keystore_new(&issuer.keys, &options, NULL), 0);
	publish(key_a(NULL, NULL), NULL);
	gate = (struct bg_gate){ .issuers = &issuer, .n_issuers = 1, .leeway = 30,
		.policies = { .locations = locations, .n_locations = N(locations) }, .dpop = { .mode = BG_DPOP_ALLOWED } };
	request = (struct bg_request){ .method = BG_SLICE("GET"), .uri = BG_SLICE("/x"), .host = BG_SLICE("other.example") };
}

static void
teardown(void)
{
	bg_keystore_free(issuer.keys);
	bg_verified_free(gate.verified);
	gate.verified = NULL;
}

static void nothing(void) { }
static void second_later(void) { now.wall++; }
static void just_before_the_end(void) { now.wall = NOW + 60 + 29; }
static void at_the_end(void) { now.wall = NOW + 60 + 30; }
static void much_later(void) { now.wall = NOW + 100000; }
static void clock_set_back(void) { now.wall = NOW - 10 - 31; }
static void clock_set_back_before_iat(void) { now.wall = NOW - 20 - 31; }
static void other_audience(void) { audience = other_api; }
static void typ_required(void) { issuer.require_typ = at_jwt; }
static void other_typ_required(void) { issuer.require_typ = id_jwt; }
static void other_algorithm(void) { alg = bg_alg_find(BG_SLICE("ES256")); }
static void no_algorithm(void) { issuer.n_algs = 0; }
static void for_a_site(void) { issuer.sites = &site; issuer.n_sites = 1; }
static void no_issuer(void) { gate.n_issuers = 0; }
static void same_keys_again(void) { publish(key_a(NULL, NULL), NULL); }
static void rotated_with_the_key(void) { publish(key_b(NULL), key_a(NULL, NULL)); }
static void rotated_without_the_key(void) { publish(key_b(NULL), NULL); }
static void same_key_by_another_name(void) { publish(key_a(NULL, "new"), NULL); }
static void another_key_by_this_name(void) { publish(key_b(bg_mint_kid(BG_MINT_KEY_A)), NULL); }
static void both_by_this_name(void) { publish(key_b(bg_mint_kid(BG_MINT_KEY_A)), key_a(NULL, NULL)); }
static void key_for_another_algorithm(void) { publish(key_a("RS512", NULL), NULL); }
static void issuer_down(void) { publish(NULL, NULL); }
static void issuer_down_for_long(void) { publish(NULL, NULL); now.mono_ms += MONTH_MS; }
static void withdrawn_then_down(void) { publish(key_b(NULL), NULL); publish(NULL, NULL); }
static void scope_wanted(void) { request.want_scope = BG_SLICE("read"); }
static void more_scope_wanted(void) { request.want_scope = BG_SLICE("read write"); }
static void permission_wanted(void) { request.want_permission = BG_SLICE("x"); }
static void policy_wanted(void) { request.want_policy = BG_SLICE("nobody"); }
static void to_read(void) { request.uri = BG_SLICE("/read"); }
static void to_write(void) { request.uri = BG_SLICE("/write"); }
static void to_public(void) { request.uri = BG_SLICE("/public"); }
static void dpop_required(void) { gate.dpop.mode = BG_DPOP_REQUIRED; }

static const struct {
	const char    *name;
	void         (*change)(void);
	const char    *header;		/* with the kid for %s; NULL: the usual one */
	enum bg_reason want;
} changes[] = {
	{ "nothing", nothing, NULL, BG_R_OK },
	{ "a second later", second_later, NULL, BG_R_OK },
	{ "in its last second", just_before_the_end, NULL, BG_R_OK },
	{ "expired", at_the_end, NULL, BG_R_EXPIRED },					/* RFC 7519 section 4.1.4 */
	{ "expired long ago", much_later, NULL, BG_R_EXPIRED },
	{ "the clock was set back before nbf", clock_set_back, NULL, BG_R_NOT_YET_VALID },	/* RFC 7519 section 4.1.5 */
	{ "the clock was set back before iat", clock_set_back_before_iat, NULL, BG_R_NOT_YET_VALID },
	{ "another audience", other_audience, NULL, BG_R_WRONG_AUDIENCE },		/* SR-40 */
	{ "typ is required, and is so", typ_required, NULL, BG_R_OK },
	{ "another typ is required", other_typ_required, NULL, BG_R_WRONG_TYPE },	/* RFC 9068 section 4 */
	{ "its algorithm is not allowed any more", other_algorithm, NULL, BG_R_BAD_ALGORITHM },	/* SR-1 */
	{ "no algorithm is", no_algorithm, NULL, BG_R_BAD_ALGORITHM },
	{ "its issuer speaks for a site alone", for_a_site, NULL, BG_R_WRONG_ISSUER },	/* SR-48 */
	{ "its issuer is none any more", no_issuer, NULL, BG_R_WRONG_ISSUER },
	{ "the same keys were fetched anew", same_keys_again, NULL, BG_R_OK },
	{ "keys rotated, its own is still there", rotated_with_the_key, NULL, BG_R_OK },
	{ "keys rotated, its own is gone", rotated_without_the_key, NULL, BG_R_UNKNOWN_KEY },
	{ "its key has another name", same_key_by_another_name, NULL, BG_R_UNKNOWN_KEY },
	{ "another key has the name of its own", another_key_by_this_name, NULL, BG_R_BAD_SIGNATURE },
	{ "both have", both_by_this_name, NULL, BG_R_OK },				/* SR-12 */
	{ "its key is for another algorithm now", key_for_another_algorithm, NULL, BG_R_UNKNOWN_KEY },
	{ "no kid, the same keys", same_keys_again, "{\"alg\":\"RS256\"}", BG_R_OK },
	{ "no kid, its key has another name", same_key_by_another_name, "{\"alg\":\"RS256\"}", BG_R_OK },
	{ "no kid, and another key beside its own", rotated_with_the_key, "{\"alg\":\"RS256\"}", BG_R_UNKNOWN_KEY },
	{ "no kid, and another key", rotated_without_the_key, "{\"alg\":\"RS256\"}", BG_R_BAD_SIGNATURE },
	{ "the issuer does not answer", issuer_down, NULL, BG_R_OK },
	{ "nor has it for so long that no set serves", issuer_down_for_long, NULL, BG_R_NO_KEYS },	/* SR-45 */
	{ "its key was withdrawn, and the issuer does not answer", withdrawn_then_down, NULL, BG_R_NO_KEYS },
	{ "a scope is wanted that it has", scope_wanted, NULL, BG_R_OK },
	{ "one is wanted that it has not", more_scope_wanted, NULL, BG_R_NO_SCOPE },
	{ "a permission is wanted", permission_wanted, NULL, BG_R_NO_PERMISSION },
	{ "a policy that is not there", policy_wanted, NULL, BG_R_BAD_VARIABLE },
	{ "a location whose policy it meets", to_read, NULL, BG_R_OK },
	{ "one whose policy it does not meet", to_write, NULL, BG_R_NO_SCOPE },
	{ "a public one", to_public, NULL, BG_R_OK },
	{ "Bearer is not accepted any more", dpop_required, NULL, BG_R_OTHER_SCHEME },
};

/* "Bearer " and a token; the caller's to free. */
static char *
header_of(const char *header, enum bg_mint_key key, const char *more)
{
	char claims[400], *token, *value;

	bg_format(claims, sizeof(claims), "{\"iss\":\"" ISSUER "\",\"sub\":\"me\",\"aud\":\"api\",\"iat\":%d,\"nbf\":%d,\"exp\":%d,"
	    "\"scope\":\"read\"%s}", NOW - 20, NOW - 10, NOW + 60, more);
	token = bg_mint_token(key, header, claims);
	value = malloc(strlen(token) + sizeof("Bearer "));
	ck_assert_ptr_nonnull(value);
	sprintf(value, "Bearer %s", token);
	free(token);
	return value;
}

static enum bg_reason
decide(struct bg_verified *with, char detail[BG_DETAIL_MAX], bool *anonymous)
{
	struct bg_decision decision;
	enum bg_reason reason;

	gate.verified = with;
	bg_gate_decide(&gate, &request, now, &decision);
	reason = decision.error.reason;
	ck_assert_int_eq(decision.verdict == BG_ALLOW, reason == BG_R_OK);
	bg_format(detail, BG_DETAIL_MAX, "%s", decision.error.detail);
	*anonymous = decision.anonymous;
	if (reason == BG_R_OK && !decision.anonymous)
		ck_assert(bg_slice_equal(decision.claims.sub, BG_SLICE("me")));
	bg_decision_clear(&decision);
	return reason;
}

START_TEST(a_token_that_is_known_is_judged_as_one_that_is_not)	/* SR-41 */
{
	/* parsed form kept, and not kept */
	struct bg_verified *cache = cache_of(10, _i % 2 == 0 ? ROOM : 1);
	char *header = header_of(changes[_i / 2].header, BG_MINT_KEY_A, ""), cold[BG_DETAIL_MAX], warm[BG_DETAIL_MAX];
	enum bg_reason without, with;
	struct bg_verified_status status;
	bool anonymous[2];

	request.authorization = bg_slice_str(header);
	for (int i = 0; i < 2; i++) {
		with = decide(cache, warm, &anonymous[0]);
		ck_assert_msg(with == BG_R_OK, "%s, before: %s (%s)", changes[_i / 2].name, bg_reason_name(with), warm);
	}
	bg_verified_status(cache, &status);
	ck_assert(status.tokens == 1 && status.parsed == (_i % 2 == 0));
	changes[_i / 2].change();
	for (int i = 0; i < 2; i++) {
		without = decide(NULL, cold, &anonymous[0]);
		with = decide(cache, warm, &anonymous[1]);
		ck_assert_msg(with == changes[_i / 2].want && without == with && strcmp(cold, warm) == 0 && anonymous[0] == anonymous[1],
		    "%s: %s (%s), without a cache %s (%s)", changes[_i / 2].name, bg_reason_name(with), warm, bg_reason_name(without), cold);
	}
	gate.verified = cache;
	free(header);
}
END_TEST

START_TEST(a_token_that_was_refused_is_not_remembered)
{
	static const struct { const char *name; enum bg_mint_key key; const char *more; void (*change)(void); enum bg_reason want; size_t known; } rows[] = {
		{ "signed by another", BG_MINT_KEY_B, "", nothing, BG_R_UNKNOWN_KEY, 0 },
		{ "expired", BG_MINT_KEY_A, "", at_the_end, BG_R_EXPIRED, 0 },
		{ "for another audience", BG_MINT_KEY_A, "", other_audience, BG_R_WRONG_AUDIENCE, 0 },
		{ "no algorithm of ours", BG_MINT_KEY_A, "", other_algorithm, BG_R_BAD_ALGORITHM, 0 },
		{ "a claim twice", BG_MINT_KEY_A, ",\"sub\":1", nothing, BG_R_BAD_CLAIMS, 0 },
		/* a good token that the request could not use */
		{ "too little for this location", BG_MINT_KEY_A, "", to_write, BG_R_NO_SCOPE, 1 },
		{ "bound, and without its proof", BG_MINT_KEY_A, ",\"cnf\":{\"jkt\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", nothing, BG_R_NO_PROOF, 1 },
	};
	struct bg_verified *cache = cache_of(10, ROOM);
	struct bg_verified_status status;
	char detail[BG_DETAIL_MAX];
	char *header = header_of(NULL, rows[_i].key, rows[_i].more);
	enum bg_reason reason;
	bool anonymous;

	rows[_i].change();
	request.authorization = bg_slice_str(header);
	for (int i = 0; i < 2; i++) {
		reason = decide(cache, detail, &anonymous);
		ck_assert_msg(reason == rows[_i].want, "%s: %s (%s)", rows[_i].name, bg_reason_name(reason), detail);
		bg_verified_status(cache, &status);
		ck_assert_msg(status.tokens == rows[_i].known, "%s: %zu known", rows[_i].name, status.tokens);
	}
	free(header);
}
END_TEST

START_TEST(a_flood_of_bad_tokens_pushes_out_no_good_one)
{
	struct bg_verified *cache = cache_of(2, ROOM);
	struct bg_verified_status status;
	char detail[BG_DETAIL_MAX], *good = header_of(NULL, BG_MINT_KEY_A, ""), *bad = strdup(good), *at = strrchr(bad, '.') + 1;
	bool anonymous;

	request.authorization = bg_slice_str(good);
	ck_assert_int_eq(decide(cache, detail, &anonymous), BG_R_OK);
	request.authorization = bg_slice_str(bad);
	for (int i = 0; i < 100; i++) {
		at[i / 10] = at[i / 10] == 'A' ? 'B' : 'A';
		ck_assert_int_ne(decide(cache, detail, &anonymous), BG_R_OK);
	}
	bg_verified_status(cache, &status);
	ck_assert_uint_eq(status.tokens, 1);
	free(good);
	free(bad);
}
END_TEST

/* Threads that decide about a few tokens while keys come and go: whatever they get is an answer that was right at some time. */
static atomic_bool rotating;
static char *headers[6];

static void *
judge_all(void *arg)
{
	struct bg_request mine = request;
	struct bg_decision decision;
	void *wrong = NULL;

	while (atomic_load(&rotating) && wrong == NULL)
		for (int i = 0; i < N(headers) && wrong == NULL; i++) {
			mine.authorization = bg_slice_str(headers[i]);
			bg_gate_decide(&gate, &mine, now, &decision);
			if (decision.verdict == BG_ALLOW ? !bg_slice_equal(decision.claims.sub, BG_SLICE("me")) :
			    decision.error.reason != BG_R_UNKNOWN_KEY)
				wrong = arg;
			bg_decision_clear(&decision);
		}
	return wrong;
}

START_TEST(threads_judge_by_the_keys_there_are)
{
	pthread_t threads[4];
	char more[32];
	void *wrong;

	gate.verified = cache_of(4, 8000);
	for (int i = 0; i < N(headers); i++) {
		bg_format(more, sizeof(more), ",\"n\":%d", i);
		headers[i] = header_of(NULL, i % 2 == 0 ? BG_MINT_KEY_A : BG_MINT_KEY_B, more);
	}
	atomic_store(&rotating, true);
	for (intptr_t i = 0; i < N(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, judge_all, (void *)(i + 1)), 0);
	for (int i = 0; i < 60; i++) {
		publish(i % 3 == 0 ? key_b(NULL) : key_a(NULL, NULL), i % 3 == 1 ? key_b(NULL) : NULL);
		sched_yield();
	}
	atomic_store(&rotating, false);
	for (int i = 0; i < N(threads); i++) {
		pthread_join(threads[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
	for (int i = 0; i < N(headers); i++)
		free(headers[i]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("verified");
	TCase *tc = tcase_create("cache"), *judged = tcase_create("gate");

	if (bg_json_start() != 0 || bg_secret_start() != 0)
		return EXIT_FAILURE;
	tcase_add_test(tc, a_token_is_known_by_all_of_its_digest);
	tcase_add_test(tc, what_is_known_is_replaced);
	tcase_add_loop_test(tc, there_are_never_more_tokens_than_there_is_room_for, 0, 7);
	tcase_add_test(tc, tokens_that_come_once_do_not_push_out_one_that_comes_again);
	tcase_add_test(tc, the_one_that_was_not_used_goes_first);
	tcase_add_test(tc, what_is_found_and_what_is_not_is_counted);
	tcase_add_test(tc, where_bytes_run_out_tokens_stay_known);
	tcase_add_test(tc, one_token_does_not_drop_all_others);
	tcase_add_test(tc, a_token_in_use_outlives_its_place_and_the_cache);
	tcase_add_test(tc, ten_thousand_have_room_where_so_many_were_asked_for);
	tcase_add_test(tc, threads_find_what_they_ask_for);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(judged, setup, teardown);
	tcase_add_loop_test(judged, a_token_that_is_known_is_judged_as_one_that_is_not, 0, 2 * N(changes));
	tcase_add_loop_test(judged, a_token_that_was_refused_is_not_remembered, 0, 7);
	tcase_add_test(judged, a_flood_of_bad_tokens_pushes_out_no_good_one);
	tcase_add_test(judged, threads_judge_by_the_keys_there_are);
	suite_add_tcase(suite, judged);
	return bg_test_run(suite);
}
