#include "core/response.h"

#include <stdint.h>

#include "cgi/reply.h"
#include "core/alg.h"
#include "core/limits.h"
#include "tests/support/run.h"

static const struct bg_gate gate = { .dpop = { .mode = BG_DPOP_DISABLED }, .answers = { .realm = (char[]){ "api" }, .missing_status = 401 } };

START_TEST(a_decision_nobody_made_is_a_500)	/* zero denies */
{
	struct bg_decision decision = { 0 };
	struct bg_response response;

	bg_response_init(&response);
	ck_assert_int_eq(response.status, 500);
	bg_response_make(&gate, &decision, &response);
	ck_assert_int_eq(response.status, 500);
	ck_assert_uint_eq(response.challenge.len, 0);
	ck_assert_str_eq(response.body.data, "{\"detail\":{\"error\":\"internal_server_error\",\"error_description\":\"internal error\"}}");
	bg_response_clear(&response);
}
END_TEST

/* Every reason there is, whoever adds one: never a status that any server takes for a grant, never a body it misreads. */
START_TEST(every_reason_is_a_full_denial)
{
	struct bg_request request = { .want_scope = BG_SLICE("read:messages") };
	struct bg_decision decision = { .error = { .reason = (enum bg_reason)_i }, .demand = { .request = &request } };
	struct bg_response response;
	struct bg_slice text;
	struct bg_buf reply;
	char status[64];

	bg_response_init(&response);
	bg_buf_init(&reply, BG_ANSWER_MAX);
	bg_response_make(&gate, &decision, &response);	/* BG_R_OK among them: nobody gave a reason */
	ck_assert_msg(response.status >= 400 && response.status <= 599, "%s: %d", bg_reason_name((enum bg_reason)_i), response.status);
	ck_assert_int_eq(response.status, bg_reason_status((enum bg_reason)_i));
	ck_assert_uint_eq(response.variables.len, 0);
	ck_assert_int_eq(response.body.data[0], '{');	/* SR-83: Apache takes "/" or "http:" for a redirect */
	ck_assert_ptr_null(strpbrk(response.body.data, "<>&'"));
	ck_assert_int_eq(response.challenge.len > 0, response.status < 500);
	if (response.status == 401 || response.status == 403 || response.status == 400)
		ck_assert_int_eq(strncmp(response.challenge.data, "Bearer realm=\"api\"", 18), 0);
	ck_assert_int_eq(response.status == 403, response.challenge.len > 0 && strstr(response.challenge.data, "scope=\"read:messages\"") != NULL);
	ck_assert_int_eq(bg_reply_authorizer(&response, &reply, NULL), 0);
	ck_assert_int_eq(bg_buf_finish(&reply, &text, NULL), 0);
	bg_format(status, sizeof(status), "Status: %d ", response.status);
	ck_assert_int_eq(strncmp(text.ptr, status, strlen(status)), 0);
	ck_assert_ptr_nonnull(strstr(text.ptr, "\r\n\r\n{"));
	ck_assert_ptr_nonnull(strstr(text.ptr, "\r\nCache-Control: no-store\r\n"));
	ck_assert_ptr_null(strstr(text.ptr, "Variable-"));
	bg_buf_clear(&reply);
	bg_response_clear(&response);
}
END_TEST

START_TEST(a_code_is_stable_and_its_own)	/* users.md row 5 */
{
	for (int i = 0; i < BG_R_COUNT; i++)
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(bg_reason_name((enum bg_reason)i), bg_reason_name((enum bg_reason)j));
	ck_assert_str_eq(bg_reason_name(BG_R_EXPIRED), "expired");
	ck_assert_str_eq(bg_reason_name((enum bg_reason)9999), "internal");
	ck_assert_int_eq(bg_reason_status((enum bg_reason)9999), 500);
}
END_TEST

static const struct { enum bg_reason reason; const char *challenge, *body; } answers[] = {
	/* RFC 6750 section 3.1: nothing sent, nothing said */
	{ BG_R_NO_TOKEN, "Bearer realm=\"api\"",
	    "{\"detail\":{\"error\":\"invalid_request\",\"error_description\":\"no access token was sent\"}}" },
	{ BG_R_OTHER_SCHEME, "Bearer realm=\"api\"",
	    "{\"detail\":{\"error\":\"invalid_request\",\"error_description\":\"this authentication scheme is not accepted here\"}}" },
	{ BG_R_TWO_TOKENS, "Bearer realm=\"api\", error=\"invalid_request\", error_description=\"more than one token was sent\"",
	    "{\"detail\":{\"error\":\"invalid_request\",\"error_description\":\"more than one token was sent\"}}" },
	{ BG_R_EXPIRED, "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"the token has expired\"",
	    "{\"detail\":{\"error\":\"invalid_token\",\"error_description\":\"the token has expired\"}}" },
	{ BG_R_NO_SCOPE, "Bearer realm=\"api\", error=\"insufficient_scope\", error_description=\"a required scope is missing\", "
	    "scope=\"read:messages\"",
	    "{\"detail\":{\"error\":\"insufficient_scope\",\"error_description\":\"a required scope is missing\"}}" },
	{ BG_R_NO_KEYS, "", "{\"detail\":{\"error\":\"temporarily_unavailable\",\"error_description\":"
	    "\"the keys of the issuer cannot be had at the moment\"}}" },
};

START_TEST(the_answer_is_the_one_of_the_table)	/* RFC 6750 section 3, RFC 9110 section 11.6.1 */
{
	struct bg_request request = { .want_scope = BG_SLICE("read:messages") };
	struct bg_decision decision = { .error = { .reason = answers[_i].reason }, .retry_after = 7,
		.demand = { .request = &request } };
	struct bg_response response;

	bg_response_init(&response);
	bg_response_make(&gate, &decision, &response);
	ck_assert_str_eq(response.challenge.data, answers[_i].challenge);
	ck_assert_str_eq(response.body.data, answers[_i].body);
	ck_assert_int_eq(response.retry_after, response.status == 503 ? 7 : 0);
	bg_response_clear(&response);
}
END_TEST

/* What differs under missing_status and compat = "auth0", and what does not: sdk-parity.md section 7.2. */
static const struct {
	bool           auth0;
	int            missing_status;
	enum bg_reason reason;
	int            status;
	const char    *challenge, *error;
} profiles[] = {
#define BARE		"Bearer realm=\"api\""
#define SAYS(e, d)	BARE ", error=\"" e "\", error_description=\"" d "\""
	{ false, 401, BG_R_NO_TOKEN, 401, BARE, "invalid_request" },
	{ false, 400, BG_R_NO_TOKEN, 400, BARE, "invalid_request" },
	{ false, 400, BG_R_OTHER_SCHEME, 401, BARE, "invalid_request" },
	{ false, 400, BG_R_EXPIRED, 401, SAYS("invalid_token", "the token has expired"), "invalid_token" },
	{ false, 0, BG_R_NO_TOKEN, 401, BARE, "invalid_request" },
	{ true, 401, BG_R_NO_TOKEN, 401, BARE, "invalid_request" },
	{ true, 400, BG_R_NO_TOKEN, 400, BARE, "invalid_request" },
	{ true, 400, BG_R_OTHER_SCHEME, 400, BARE, "invalid_request" },
	{ true, 400, BG_R_TWO_TOKENS, 400, SAYS("invalid_request", "more than one token was sent"), "invalid_request" },
	{ true, 400, BG_R_BAD_CREDENTIALS, 400, SAYS("invalid_request", "the Authorization header is malformed"), "invalid_request" },
	{ true, 400, BG_R_BAD_REQUEST, 400, SAYS("invalid_request", "the request is malformed"), "invalid_request" },
	{ true, 400, BG_R_BAD_SIGNATURE, 401, SAYS("invalid_token", "the signature is not valid"), "invalid_token" },
	{ true, 400, BG_R_WRONG_AUDIENCE, 401, SAYS("invalid_token", "the token is for another audience"), "invalid_token" },
	{ true, 400, BG_R_ID_TOKEN, 401, SAYS("invalid_token", "this is an ID token, not an access token"), "invalid_token" },
	/* the stricter check stays, under the SDK's name */
	{ true, 400, BG_R_NO_PROOF, 401, SAYS("invalid_token", "the token is bound to a key and came without its proof"), "invalid_token" },
	{ true, 400, BG_R_NO_SCOPE, 403, "", "insufficient_scope" },
	{ true, 400, BG_R_NO_PERMISSION, 403, "", "insufficient_scope" },
	{ true, 400, BG_R_CLAIM_RULE, 403, "", "insufficient_scope" },
	{ true, 400, BG_R_NO_KEYS, 401, SAYS("invalid_token", "the keys of the issuer cannot be had at the moment"), "invalid_token" },
	{ true, 400, BG_R_FETCH_FAILED, 401, SAYS("invalid_token", "the keys of the issuer cannot be had at the moment"), "invalid_token" },
	{ true, 400, BG_R_BAD_VARIABLE, 500, "", "internal_server_error" },
	{ true, 400, BG_R_INTERNAL, 500, "", "internal_server_error" },
#undef BARE
#undef SAYS
};

START_TEST(a_profile_changes_what_it_says_and_nothing_else)
{
	struct bg_request request = { .want_scope = BG_SLICE("read:messages") };
	struct bg_decision decision = { .error = { .reason = profiles[_i].reason }, .retry_after = 7, .demand = { .request = &request } };
	struct bg_gate own = { .dpop = { .mode = BG_DPOP_DISABLED }, .answers = { .realm = (char[]){ "api" }, .missing_status = profiles[_i].missing_status,
		.auth0 = profiles[_i].auth0 } };
	struct bg_response response;
	char error[64];

	bg_response_init(&response);
	bg_response_make(&own, &decision, &response);
	ck_assert_int_eq(response.status, profiles[_i].status);
	ck_assert_str_eq(response.challenge.data != NULL ? response.challenge.data : "", profiles[_i].challenge);
	bg_format(error, sizeof(error), "{\"detail\":{\"error\":\"%s\",", profiles[_i].error);
	ck_assert_int_eq(strncmp(response.body.data, error, strlen(error)), 0);
	ck_assert_int_eq(response.retry_after, 0);
	bg_response_clear(&response);
}
END_TEST

START_TEST(no_profile_makes_a_denial_less_than_one)
{
	struct bg_gate own = { .dpop = { .mode = BG_DPOP_DISABLED }, .answers = { .realm = (char[]){ "api" }, .missing_status = 400, .auth0 = true } };

	for (int i = 0; i < BG_R_COUNT; i++) {
		struct bg_decision decision = { .error = { .reason = (enum bg_reason)i } };
		struct bg_response response;

		bg_response_init(&response);
		bg_response_make(&own, &decision, &response);
		ck_assert_msg(response.status >= 400 && response.status <= 599, "%s: %d", bg_reason_name((enum bg_reason)i), response.status);
		ck_assert_uint_eq(response.variables.len, 0);
		ck_assert_int_eq(response.body.data[0], '{');
		bg_response_clear(&response);
	}
}
END_TEST

static const struct { enum bg_reason reason; const char *want_scope, *scope; } wanted[] = {
	{ BG_R_NO_SCOPE, "a b a", ", scope=\"a b\"" }, { BG_R_NO_SCOPE, "", NULL }, { BG_R_NO_PERMISSION, "", NULL },
	{ BG_R_CLAIM_RULE, "a", ", scope=\"a\"" }, { BG_R_EXPIRED, "a", NULL }, { BG_R_NO_TOKEN, "a", NULL },
};

START_TEST(a_403_names_the_scopes_that_are_wanted)	/* RFC 6750 section 3 */
{
	struct bg_request request = { .want_scope = bg_slice_str(wanted[_i].want_scope) };
	struct bg_decision decision = { .error = { .reason = wanted[_i].reason }, .demand = { .request = &request } };
	struct bg_response response;
	const char *at;

	bg_response_init(&response);
	bg_response_make(&gate, &decision, &response);
	at = strstr(response.challenge.data, ", scope=");
	ck_assert_msg((at == NULL) == (wanted[_i].scope == NULL) && (at == NULL || strcmp(at, wanted[_i].scope) == 0), "%s",
	    response.challenge.data);
	bg_response_clear(&response);
}
END_TEST

START_TEST(scopes_that_do_not_fit_cost_no_denial)
{
	static char many[BG_CHALLENGE_MAX + 100];
	struct bg_request request = { .want_scope = { many, sizeof(many) } };
	struct bg_decision decision = { .error = { .reason = BG_R_NO_SCOPE }, .demand = { .request = &request } };
	struct bg_response response;

	memset(many, 'x', sizeof(many));
	bg_response_init(&response);
	bg_response_make(&gate, &decision, &response);
	ck_assert_int_eq(response.status, 403);
	ck_assert_ptr_null(strstr(response.challenge.data, "scope=\"x"));
	bg_response_clear(&response);
}
END_TEST

START_TEST(an_allow_hands_on_nobody_where_nobody_is_known)	/* SR-84 */
{
	struct bg_export list[] = { { .claim = (char[]){ "sub" }, .name = (char[]){ "CLAIM_SUB" } } };
	struct bg_gate own = { .dpop = { .mode = BG_DPOP_DISABLED }, .answers = { .realm = (char[]){ "api" } }, .exports = { .exports = list, .n_exports = 1,
		.user_claim = (char[]){ "sub" }, .json = true } };
	struct bg_decision decision = { .verdict = BG_ALLOW, .anonymous = true, .claims = { .all = json_pack("{s:s}", "sub", "forged") } };
	static const char lines[] = "Status: 200 OK\r\nVariable-REMOTE_USER: \r\nVariable-AUTH_TYPE: \r\nVariable-CLAIM_SUB: \r\n"
	    "Variable-CLAIMS_JSON: \r\n\r\n";
	struct bg_response response;
	struct bg_slice text;
	struct bg_buf reply;

	bg_response_init(&response);
	bg_buf_init(&reply, BG_ANSWER_MAX);
	bg_response_make(&own, &decision, &response);
	ck_assert_int_eq(bg_reply_authorizer(&response, &reply, NULL), 0);
	ck_assert_int_eq(bg_buf_finish(&reply, &text, NULL), 0);
	ck_assert_str_eq(text.ptr, lines);
	bg_buf_clear(&reply);
	bg_response_clear(&response);
	json_decref((json_t *)(uintptr_t)decision.claims.all);
}
END_TEST

/* RFC 9449 section 7.1, figures 14 to 16; the SDK's challenges by mode, with the error on the scheme that was used. */
static const struct {
	enum bg_dpop_mode mode;
	enum bg_scheme    scheme;
	enum bg_reason    reason;
	const char       *challenge;
} challenges[] = {
#define EXPIRED	"error=\"invalid_token\", error_description=\"the token has expired\""
	{ BG_DPOP_DISABLED, BG_SCHEME_NONE,   BG_R_NO_TOKEN, "Bearer realm=\"api\"" },
	{ BG_DPOP_DISABLED, BG_SCHEME_BEARER, BG_R_EXPIRED,  "Bearer realm=\"api\", " EXPIRED },
	{ BG_DPOP_ALLOWED,  BG_SCHEME_NONE,   BG_R_NO_TOKEN, "Bearer realm=\"api\", DPoP algs=\"ES256 RS256\"" },
	{ BG_DPOP_ALLOWED,  BG_SCHEME_BEARER, BG_R_EXPIRED,  "Bearer realm=\"api\", " EXPIRED ", DPoP algs=\"ES256 RS256\"" },
	{ BG_DPOP_ALLOWED,  BG_SCHEME_DPOP,   BG_R_EXPIRED,  "Bearer realm=\"api\", DPoP " EXPIRED ", algs=\"ES256 RS256\"" },
	{ BG_DPOP_ALLOWED,  BG_SCHEME_NONE,   BG_R_TWO_TOKENS, "Bearer realm=\"api\", error=\"invalid_request\", "
	    "error_description=\"more than one token was sent\", DPoP algs=\"ES256 RS256\"" },
	{ BG_DPOP_ALLOWED,  BG_SCHEME_DPOP,   BG_R_NO_NONCE, "Bearer realm=\"api\", DPoP error=\"use_dpop_nonce\", "
	    "error_description=\"the DPoP proof must have the nonce given with this answer\", algs=\"ES256 RS256\"" },
	{ BG_DPOP_ALLOWED,  BG_SCHEME_DPOP,   BG_R_PROOF_TIME, "Bearer realm=\"api\", DPoP error=\"invalid_dpop_proof\", "
	    "error_description=\"the DPoP proof is too old, or from the future\", algs=\"ES256 RS256\"" },
	{ BG_DPOP_REQUIRED, BG_SCHEME_NONE,   BG_R_NO_TOKEN, "DPoP algs=\"ES256 RS256\"" },
	{ BG_DPOP_REQUIRED, BG_SCHEME_NONE,   BG_R_OTHER_SCHEME, "DPoP algs=\"ES256 RS256\"" },
	{ BG_DPOP_REQUIRED, BG_SCHEME_DPOP,   BG_R_EXPIRED,  "DPoP " EXPIRED ", algs=\"ES256 RS256\"" },
	{ BG_DPOP_REQUIRED, BG_SCHEME_NONE,   BG_R_TWO_TOKENS, "DPoP error=\"invalid_request\", "
	    "error_description=\"more than one token was sent\", algs=\"ES256 RS256\"" },
	{ BG_DPOP_ALLOWED,  BG_SCHEME_DPOP,   BG_R_NO_SCOPE, "Bearer realm=\"api\", DPoP error=\"insufficient_scope\", "
	    "error_description=\"a required scope is missing\", scope=\"read:messages\", algs=\"ES256 RS256\"" },
#undef EXPIRED
};

START_TEST(each_scheme_that_is_on_has_its_challenge)
{
	const struct bg_alg *algs[] = { bg_alg_find(BG_SLICE("ES256")), bg_alg_find(BG_SLICE("RS256")) };
	struct bg_gate own = { .dpop = { .mode = challenges[_i].mode, .algs = algs, .n_algs = N(algs) },
		.answers = { .realm = (char[]){ "api" }, .missing_status = 401 } };
	struct bg_request request = { .want_scope = BG_SLICE("read:messages") };
	struct bg_decision decision = { .error = { .reason = challenges[_i].reason }, .scheme = challenges[_i].scheme,
		.demand = { .request = &request } };
	struct bg_response response;

	bg_response_init(&response);
	bg_response_make(&own, &decision, &response);
	ck_assert_str_eq(response.challenge.data, challenges[_i].challenge);
	bg_response_clear(&response);
}
END_TEST

/* RFC 9449 section 7.1 wants 401; the SDK gives 400. */
static const struct {
	enum bg_reason reason;
	int            said, status;
	bool           auth0;
} proof_statuses[] = {
	{ BG_R_BAD_PROOF,   400, 400, false }, { BG_R_BAD_PROOF,   401, 401, false }, { BG_R_BAD_PROOF, 0, 400, false },
	{ BG_R_PROOF_SPENT, 401, 401, false }, { BG_R_PROOF_SPENT, 400, 400, true },  { BG_R_NO_NONCE, 400, 401, false },
	{ BG_R_NO_NONCE,    400, 401, true },  { BG_R_MISSING_PROOF, 401, 400, false }, { BG_R_TWO_TOKENS, 401, 400, false },
	{ BG_R_STORE_DOWN,  400, 503, true },  { BG_R_STORE_FULL,  400, 503, true },  { BG_R_STORE_YOUNG, 400, 503, true },
	{ BG_R_NO_KEYS,     400, 401, true },
};

START_TEST(a_wrong_proof_has_the_status_that_was_configured)
{
	struct bg_gate own = { .dpop = { .mode = BG_DPOP_ALLOWED }, .answers = { .realm = (char[]){ "api" }, .missing_status = 401,
		.dpop_error_status = proof_statuses[_i].said, .auth0 = proof_statuses[_i].auth0 } };
	struct bg_decision decision = { .error = { .reason = proof_statuses[_i].reason }, .scheme = BG_SCHEME_DPOP, .retry_after = 3 };
	struct bg_response response;

	bg_response_init(&response);
	bg_response_make(&own, &decision, &response);
	ck_assert_msg(response.status == proof_statuses[_i].status, "%s: %d", bg_reason_name(decision.error.reason), response.status);
	ck_assert_int_eq(response.retry_after, response.status == 503 ? 3 : 0);
	bg_response_clear(&response);
}
END_TEST

START_TEST(a_nonce_goes_out_with_denials_and_allows)	/* RFC 9449 sections 8.1, 8.2 and 9 */
{
	struct bg_gate own = { .dpop = { .mode = BG_DPOP_ALLOWED }, .answers = { .realm = (char[]){ "api" }, .missing_status = 401 } };
	json_t *all = json_object();
	struct bg_decision decision = { .verdict = _i == 0 ? BG_DENY : BG_ALLOW, .error = { .reason = _i == 0 ? BG_R_NO_NONCE : BG_R_OK },
		.scheme = BG_SCHEME_DPOP, .claims = { .all = all } };
	struct bg_response response;
	struct bg_slice text;
	struct bg_buf reply;

	for (int given = 0; given < 2; given++) {
		bg_format(decision.nonce, sizeof(decision.nonce), "%s", given ? "the-nonce" : "");
		bg_response_init(&response);
		bg_buf_init(&reply, BG_ANSWER_MAX);
		bg_response_make(&own, &decision, &response);
		ck_assert_int_eq(bg_reply_responder(&response, &reply, NULL), 0);
		ck_assert_int_eq(bg_buf_finish(&reply, &text, NULL), 0);
		ck_assert_int_eq(strstr(text.ptr, "\r\nDPoP-Nonce: the-nonce\r\n") != NULL, given);
		ck_assert_int_eq(strstr(text.ptr, "DPoP-Nonce") != NULL, given);
		ck_assert_int_eq(bg_reply_authorizer(&response, &reply, NULL), 0);
		ck_assert_int_eq(bg_buf_finish(&reply, &text, NULL), 0);
		/* a server hands on nothing but variables when it lets in */
		ck_assert_int_eq(strstr(text.ptr, "\r\nDPoP-Nonce: the-nonce\r\n") != NULL, given && _i == 0);
		bg_buf_clear(&reply);
		bg_response_clear(&response);
	}
	json_decref(all);
}
END_TEST

START_TEST(an_answer_that_does_not_fit_is_still_a_denial)
{
	char realm[3000];
	struct bg_gate long_gate = { .dpop = { .mode = BG_DPOP_DISABLED }, .answers = { .realm = realm } };
	struct bg_decision decision = { .error = { .reason = BG_R_EXPIRED } };
	struct bg_response response;

	memset(realm, 'x', sizeof(realm));
	realm[sizeof(realm) - 1] = '\0';
	bg_response_init(&response);
	bg_response_make(&long_gate, &decision, &response);
	ck_assert_int_eq(response.status, 500);
	ck_assert_uint_eq(response.challenge.len, 0);
	ck_assert_int_eq(response.body.data[0], '{');
	bg_response_clear(&response);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("response");
	TCase *tc = tcase_create("response");

	tcase_add_test(tc, a_decision_nobody_made_is_a_500);
	tcase_add_loop_test(tc, every_reason_is_a_full_denial, 0, BG_R_COUNT);
	tcase_add_test(tc, a_code_is_stable_and_its_own);
	tcase_add_loop_test(tc, the_answer_is_the_one_of_the_table, 0, N(answers));
	tcase_add_loop_test(tc, a_profile_changes_what_it_says_and_nothing_else, 0, N(profiles));
	tcase_add_test(tc, no_profile_makes_a_denial_less_than_one);
	tcase_add_loop_test(tc, a_403_names_the_scopes_that_are_wanted, 0, N(wanted));
	tcase_add_test(tc, scopes_that_do_not_fit_cost_no_denial);
	tcase_add_test(tc, an_allow_hands_on_nobody_where_nobody_is_known);
	tcase_add_loop_test(tc, each_scheme_that_is_on_has_its_challenge, 0, N(challenges));
	tcase_add_loop_test(tc, a_wrong_proof_has_the_status_that_was_configured, 0, N(proof_statuses));
	tcase_add_loop_test(tc, a_nonce_goes_out_with_denials_and_allows, 0, 2);
	tcase_add_test(tc, an_answer_that_does_not_fit_is_still_a_denial);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
