#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/address.h"
#include "core/b64url.h"
#include "core/clock.h"
#include "tool/diagnosis.h"
#include "tool/minting.h"

#define EXIT_FAULT	1			/* something is at fault: not a code of sysexits, so that scripts can tell */
#define TIMEOUT_MS	10000			/* for each request, unless told otherwise */
#define TIMEOUT_MAX	120			/* seconds */
#define REPORT_MAX	(256 * 1024)		/* bytes of what is said */
#define REQUEST_MAX	(64 * 1024)		/* bytes of a request of ours */
#define TOKEN_LIFE	300			/* seconds; of a token made for the run */
#define BODY_BYTES	1024			/* of a POST */
#define MARKER_LEN	22			/* characters of 128 random bits */
#define LONG_MAX	(16 * 1024)		/* bytes of the longest token that is tried, and what encoding adds */

static const char usage[] =
    "usage: bearergate doctor [options] URL\n\n"
    "Sends requests to a protected URL of a running server, and says for each what should have come and what came, and\n"
    "which directive is missing.  Nothing is changed there; some twenty requests are made, to this URL and paths below it.\n\n"
    "  -k, --key FILE --iss URL --aud AUDIENCE   make a good token with the issuer's key,\n"
    "  --scope \"A B\"       and these scopes; or\n  --token-file FILE   take a good token from a file, - for standard input\n"
    "  --ca-file FILE      authorities that https is verified by (default: the system's)\n  --json              print an object\n"
    "  --server NAME       apache, caddy, lighttpd or nginx, where the server does not say so itself\n"
    "  --timeout SECONDS   for each request, 1 to 120 (default 10)\n\nExits 0 when all is well, 1 when something is at fault.\n";

enum { OPT_AUD = 256, OPT_CA_FILE, OPT_ISS, OPT_JSON, OPT_SCOPE, OPT_SERVER, OPT_TIMEOUT, OPT_TOKEN_FILE };

static const struct option longopts[] = {
	{ "aud",        required_argument, NULL, OPT_AUD },
	{ "ca-file",    required_argument, NULL, OPT_CA_FILE },
	{ "help",       no_argument,       NULL, 'h' },
	{ "iss",        required_argument, NULL, OPT_ISS },
	{ "json",       no_argument,       NULL, OPT_JSON },
	{ "key",        required_argument, NULL, 'k' },
	{ "scope",      required_argument, NULL, OPT_SCOPE },
	{ "server",     required_argument, NULL, OPT_SERVER },
	{ "timeout",    required_argument, NULL, OPT_TIMEOUT },
	{ "token-file", required_argument, NULL, OPT_TOKEN_FILE },
	{ NULL, 0, NULL, 0 }
};

struct options {
	const char    *url;
	const char    *key, *iss, *aud, *scope;
	const char    *token_file;
	const char    *ca_file;
	enum bg_server server;		/* BG_SERVER_UNKNOWN: as it says */
	int64_t        timeout_ms;
	bool           json;
};

struct visit {
	const struct options *options;
	struct bg_http        http;
	enum bg_server        server;
	struct bg_issuer_key *stranger;		/* a key that was made for the run */
	struct bg_buf         good;		/* a token that should pass; empty: there is none */
	bool                  bearer;		/* the schemes that are on, as the challenge names them */
	bool                  dpop;
	bool                  es256;		/* proofs may be signed by it, as by ours */
	struct bg_buf         refused;		/* the body of a refusal that is not bearergate's; empty: it is */
	char                  marker[MARKER_LEN + 1], control[MARKER_LEN + 1];
	struct bg_buf         out;		/* what is said, in lines */
	json_t               *checks;		/* or as an array */
	bool                  no_memory;
	int                   n, faults, remarks;
};

/* ---- what is said ------------------------------------------------------------------------------------------------ */

static void
note(struct visit *visit, const char *check, const char *verdict, const char *wanted, const char *got, const char *advice)
{
	json_t *row = json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "check", check, "verdict", verdict, "wanted", wanted, "got", got,
	    "advice", advice);

	if (json_array_append_new(visit->checks, row) != 0)
		visit->no_memory = true;
	bg_buf_put_format(&visit->out, "%-7s  %s: ", verdict, check);
	if (got != NULL && wanted != NULL && advice != NULL)
		bg_buf_put_format(&visit->out, "wanted %s, got %s; ", wanted, got);
	else if (got != NULL)
		bg_buf_put_str(&visit->out, got);
	bg_buf_put_format(&visit->out, "%s\n", advice != NULL ? advice : "");
}

static void
skip(struct visit *visit, const char *check, const char *why)
{
	note(visit, check, "skipped", NULL, NULL, why);
}

static void
judge(struct visit *visit, enum bg_canary canary, const char *check, enum bg_outcome outcome,
    const struct bg_http_answer *answer, const char *why_silent)
{
	struct bg_diagnosis diagnosis = bg_diagnose(canary, visit->server, outcome);
	char got[BG_DETAIL_MAX];

	bg_outcome_describe(outcome, answer, got, sizeof(got));
	if (outcome == BG_OUTCOME_SILENT && why_silent[0] != '\0')
		bg_format(got, sizeof(got), "no answer (%s)", why_silent);
	visit->n++;
	visit->faults += diagnosis.finding == BG_FINDING_FAULT;
	visit->remarks += diagnosis.finding == BG_FINDING_REMARK;
	note(visit, check, diagnosis.finding == BG_FINDING_OK ? "ok" : diagnosis.finding == BG_FINDING_REMARK ? "remark" : "FAULT",
	    bg_canary_wanted(canary), got, diagnosis.advice);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* A request; what is NULL is as usual: GET, the path of the URL, no more headers, no body. */
struct ask {
	const char     *method;
	const char     *path;
	struct bg_slice headers;	/* whole lines */
	size_t          body;		/* bytes */
};

static void
send_request(struct visit *visit, const struct ask *ask, struct bg_http_answer *answer, struct bg_error *err)
{
	const char *method = ask->method != NULL ? ask->method : "GET";
	struct bg_slice request;
	struct bg_buf text;

	bg_buf_init(&text, REQUEST_MAX);
	bg_buf_put_format(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bearergate-doctor/%s\r\nAccept: */*\r\nConnection: "
	    "close\r\n",
	    method, ask->path != NULL ? ask->path : visit->http.url.path, visit->http.url.authority, PACKAGE_VERSION);
	if (ask->headers.len > 0)
		bg_buf_put(&text, ask->headers);
	if (ask->body > 0)
		bg_buf_put_format(&text, "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n", ask->body);
	bg_buf_put_str(&text, "\r\n");
	for (size_t i = 0; i < ask->body; i++)
		bg_buf_put_char(&text, '.');
	if (bg_buf_finish(&text, &request, err) == 0 &&
	    bg_http_ask(&visit->http, request, strcmp(method, "HEAD") == 0, answer, err) != 0)
		answer->status = 0;
	if (err->reason == BG_R_NO_MEMORY)
		visit->no_memory = true;
	bg_buf_clear(&text);
}

/* What an answer tells beside its outcome. */
static void
look_closer(struct visit *visit, enum bg_canary canary, enum bg_outcome outcome, const struct bg_http_answer *answer)
{
	const struct bg_buf *refused = &visit->refused;

	if (canary == BG_CANARY_TWO_HEADERS && outcome == BG_OUTCOME_REFUSED)
		judge(visit, BG_CANARY_STATUS, "its status", bg_outcome_of_status(answer), answer, "");
	if (canary != BG_CANARY_GOOD_TOKEN || outcome != BG_OUTCOME_LET_IN)
		return;
	judge(visit, BG_CANARY_LEAK, "its headers", bg_outcome_of_leak(answer), answer, "");
	if (refused->len > 0 && refused->len == answer->body.len && memcmp(refused->data, answer->body.data, refused->len) == 0)
		judge(visit, BG_CANARY_BODY, "the body of a refusal, once more", BG_OUTCOME_SERVED, answer, "");
}

static enum bg_outcome
try(struct visit *visit, enum bg_canary canary, const char *check, const struct ask *ask)
{
	struct bg_http_answer answer;
	struct bg_error err = { 0 };
	enum bg_outcome outcome;

	bg_http_answer_init(&answer);
	send_request(visit, ask, &answer, &err);
	outcome = canary == BG_CANARY_FORGED_GOOD ?
	    bg_outcome_of_forgery(&answer, bg_slice_str(visit->marker), bg_slice_str(visit->control)) : bg_outcome_of(&answer);
	/* Refusals with a body of somebody else's, and a path that is told not to be there: then nobody is refused at all. */
	if (canary == BG_CANARY_BELOW && outcome == BG_OUTCOME_MISSING && visit->server == BG_SERVER_APACHE && visit->refused.len > 0)
		outcome = BG_OUTCOME_SERVED;
	judge(visit, canary, check, outcome, &answer, err.detail);
	look_closer(visit, canary, outcome, &answer);
	bg_http_answer_clear(&answer);
	return outcome;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

/* header becomes ours. */
static int
sign_with(const struct bg_issuer_key *key, json_t *header, json_t *claims, struct bg_buf *token)
{
	char *head = json_dumps(header, JSON_COMPACT), *body = json_dumps(claims, JSON_COMPACT);
	struct bg_error err = { 0 };
	int rc = EX_OSERR;

	if (head == NULL || body == NULL)
		bg_verb_say("no memory");
	else if (bg_issuer_sign(key, bg_slice_str(head), bg_slice_str(body), token, &err) != 0)
		bg_verb_say("%s", err.detail);
	else
		rc = EX_OK;
	free(head);
	free(body);
	json_decref(header);
	return rc;
}

static int
sign(const struct bg_issuer_key *key, json_t *claims, struct bg_buf *token)
{
	return sign_with(key, json_pack("{s:s, s:s, s:s}", "alg", bg_issuer_key_alg(key), "typ", "at+jwt", "kid",
	    bg_issuer_key_kid(key)), claims, token);
}

/*
 * A token of a key and an issuer that nobody knows, so that the authorizer asks no issuer for keys: about len bytes, or as few
 * as it can have.
 */
static int
make_bad(const struct visit *visit, size_t len, struct bg_buf *token)
{
	int64_t now = bg_clock_wall();
	json_t *claims = json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", "https://bearergate-doctor.invalid/", "aud",
	    "bearergate-doctor",
	    "sub", "bearergate-doctor", "iat", (json_int_t)now, "exp", (json_int_t)(now + TOKEN_LIFE));
	char *padding = NULL;
	size_t n;
	int rc;

	if ((rc = sign(visit->stranger, claims, token)) == EX_OK && len > token->len) {
		n = (len - token->len) / 4 * 3;
		if ((padding = malloc(n + 1)) == NULL) {
			json_decref(claims);
			return bg_minting_no_memory("token");
		}
		memset(padding, 'x', n);
		padding[n] = '\0';
		rc = json_object_set_new(claims, "padding", json_string(padding)) != 0 ? bg_minting_no_memory("token") :
		    sign(visit->stranger, claims, token);
		free(padding);
	}
	json_decref(claims);
	return rc;
}

/* A good token; bound to a key where there is one. */
static int
make_good(const struct visit *visit, const struct bg_issuer_key *client, struct bg_buf *token)
{
	const struct options *options = visit->options;
	struct bg_issuer_key *key = NULL;
	int64_t now = bg_clock_wall();
	json_t *claims = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s*}", "iss", options->iss, "aud", options->aud, "sub",
	    "bearergate-doctor", "iat", (json_int_t)now, "exp", (json_int_t)(now + TOKEN_LIFE), "scope", options->scope);
	int rc;

	if (client != NULL && json_object_set_new(claims, "cnf", json_pack("{s:s}", "jkt", bg_issuer_key_kid(client))) != 0)
		rc = bg_minting_no_memory("token");
	else if ((rc = bg_minting_key(options->key, NULL, &key)) == EX_OK && (rc = bg_minting_put_jti(claims)) == EX_OK)
		rc = sign(key, claims, token);
	bg_issuer_key_free(key);
	json_decref(claims);
	return rc;
}

/* A proof for GET of the URL, with that nonce unless it is empty.  RFC 9449 section 4.2. */
static int
make_proof(const struct visit *visit, const struct bg_issuer_key *client, struct bg_slice token, const char *nonce,
    struct bg_buf *proof)
{
	const struct bg_http_url *url = &visit->http.url;
	char htu[BG_URL_MAX + BG_HTTP_AUTHORITY_MAX + 16], ath[BG_THUMBPRINT_LEN + 1];
	json_t *jwk = NULL, *claims;
	struct bg_error err = { 0 };
	int rc;

	if (bg_issuer_hash(token, ath, &err) != 0 || bg_issuer_key_bare_jwk(client, &jwk, &err) != 0) {
		bg_verb_say("%s", err.detail);
		return EX_SOFTWARE;
	}
	bg_format(htu, sizeof(htu), "%s://%s%s", url->tls ? "https" : "http", url->authority, url->path);
	claims = json_pack("{s:s, s:s, s:I, s:s, s:s*}", "htm", "GET", "htu", htu, "iat", (json_int_t)bg_clock_wall(), "ath", ath,
	    "nonce", nonce[0] != '\0' ? nonce : NULL);
	if ((rc = bg_minting_put_jti(claims)) == EX_OK)
		rc = sign_with(client, json_pack("{s:s, s:s, s:O}", "typ", "dpop+jwt", "alg", bg_issuer_key_alg(client), "jwk", jwk),
		    claims, proof);
	json_decref(claims);
	json_decref(jwk);
	return rc;
}

/* What stands in the file, which must be safe in a header. */
static int
read_good(struct visit *visit)
{
	struct bg_buf *good = &visit->good;
	int rc;

	if ((rc = bg_minting_read(visit->options->token_file, good)) != EX_OK)
		return rc;
	while (good->len > 0 && (good->data[good->len - 1] == '\n' || good->data[good->len - 1] == '\r'))
		good->len--;
	for (size_t i = 0; i < good->len; i++)
		if (good->data[i] <= ' ' || good->data[i] >= 0x7f)
			good->len = 0;
	if (good->len > 0)
		return EX_OK;
	bg_verb_say("%s: no token", visit->options->token_file);
	return EX_DATAERR;
}

static int
random_word(char out[MARKER_LEN + 1])
{
	unsigned char bytes[16];

	if (getentropy(bytes, sizeof(bytes)) != 0) {
		bg_verb_say("the system has no random numbers");
		return EX_OSERR;
	}
	bg_b64url_encode(out, bytes, sizeof(bytes));
	out[MARKER_LEN] = '\0';
	return EX_OK;
}

/* ---- the canaries ------------------------------------------------------------------------------------------------ */

/* "Authorization: SCHEME TOKEN" and what follows it; where Bearer is off, by DPoP. */
static void
put_authorization(const struct visit *visit, const struct bg_buf *token, struct bg_buf *headers)
{
	bg_buf_put_format(headers, "Authorization: %s ", visit->bearer || !visit->dpop ? "Bearer" : "DPoP");
	bg_buf_put(headers, (struct bg_slice){ token->data, token->len });
	bg_buf_put_str(headers, "\r\n");
}

/* Try with these headers; want of memory is seen at the end. */
static enum bg_outcome
try_headers(struct visit *visit, enum bg_canary canary, const char *check, struct bg_buf *headers)
{
	struct bg_slice lines = { 0 };
	struct bg_error err = { 0 };
	enum bg_outcome outcome = BG_OUTCOME_SILENT;

	if (bg_buf_finish(headers, &lines, &err) != 0)
		visit->no_memory = true;
	else
		outcome = try(visit, canary, check, &(struct ask){ .headers = lines });
	bg_buf_clear(headers);
	return outcome;
}

/* Which server, which schemes, and the first two checks.  False when there is no use in going on. */
static bool
try_without(struct visit *visit)
{
	struct bg_http_answer answer;
	struct bg_error err = { 0 };
	enum bg_outcome outcome;

	bg_http_answer_init(&answer);
	send_request(visit, &(struct ask){ 0 }, &answer, &err);
	if ((visit->server = visit->options->server) == BG_SERVER_UNKNOWN)
		visit->server = bg_server_find(bg_http_header(&answer, BG_SLICE("Server"), 0));
	visit->bearer = bg_challenge_has(&answer, BG_SLICE("Bearer realm="));
	visit->dpop = bg_challenge_has(&answer, BG_SLICE("DPoP "));
	visit->es256 = bg_challenge_has(&answer, BG_SLICE("ES256"));
	outcome = bg_outcome_of(&answer);
	judge(visit, BG_CANARY_NO_TOKEN, "no token", outcome, &answer, err.detail);
	if (outcome == BG_OUTCOME_ASKED) {
		judge(visit, BG_CANARY_BODY, "its body", bg_outcome_of_body(&answer), &answer, "");
		if (bg_outcome_of_body(&answer) == BG_OUTCOME_NO_BODY)
			bg_buf_put(&visit->refused, (struct bg_slice){ answer.body.data, answer.body.len });
	} else
		skip(visit, "all else", "not tried before this is well");
	bg_http_answer_clear(&answer);
	return outcome == BG_OUTCOME_ASKED;
}

static int
try_bad(struct visit *visit, size_t len, enum bg_canary canary, const char *check, bool *heard)
{
	struct bg_buf token, headers;
	enum bg_outcome outcome;
	int rc;

	bg_buf_init(&token, 2 * LONG_MAX);
	bg_buf_init(&headers, 4 * LONG_MAX);
	if ((rc = make_bad(visit, len, &token)) == EX_OK) {
		if (canary == BG_CANARY_DPOP) {
			bg_buf_put_format(&headers, "Authorization: DPoP %.*s\r\nDPoP: ", (int)token.len, token.data);
			bg_buf_put(&headers, (struct bg_slice){ token.data, token.len });	/* a JWS, if no proof */
			bg_buf_put_str(&headers, "\r\n");
		} else
			put_authorization(visit, &token, &headers);
		/* A good one behind a bad one, where there is one: whoever picks one of two gets caught at it. */
		if (canary == BG_CANARY_TWO_HEADERS)
			put_authorization(visit, visit->good.len > 0 ? &visit->good : &token, &headers);
		outcome = try_headers(visit, canary, check, &headers);
		*heard = outcome == BG_OUTCOME_REFUSED || outcome == BG_OUTCOME_NO_PROOF;
	}
	bg_buf_clear(&token);
	bg_buf_clear(&headers);
	return rc;
}

/*
 * Names by which a program, or a server, could take a client's word for ours: variables as headers, as CGI and FastCGI turn one
 * into the other, with hyphens, underscores and both; what the daemon says to nginx, known claims and any other.
 */
static const char *const forged[] = {
	"CLAIM_SUB", "Claim-Sub", "claim_sub", "CLAIM_ISS", "CLAIMS_JSON", "Claims-Json", "REMOTE_USER", "Remote-User",
	    "REMOTE-USER",
	"AUTH_TYPE", "Auth-Type", "Variable-CLAIM_SUB", "Variable-REMOTE_USER", "variable-auth_type", "X-Auth-Claim-Sub",
	"x-auth-claim-sub", "X_Auth_Claim_Sub", "X-Auth-Claim_Sub", "X-Auth-Claim-Bearergate-Doctor", "X-Auth-Remote-User",
	"X-Auth-Type", "X-Auth-Claims-Json", "X-Remote-User", "X-Forwarded-User", "BEARERGATE_AUTH", "Bearergate-Auth",
};

static void
try_forged(struct visit *visit, enum bg_canary canary, const char *check)
{
	struct bg_buf headers;

	bg_buf_init(&headers, 2 * LONG_MAX);
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
		bg_buf_put_format(&headers, "%s: %s\r\n", forged[i], visit->marker);
	bg_buf_put_format(&headers, "X-Bearergate-Status: 200\r\nStatus: 200\r\nX-Bearergate-Doctor: %s\r\n", visit->control);
	if (canary == BG_CANARY_FORGED_GOOD)
		put_authorization(visit, &visit->good, &headers);
	(void)try_headers(visit, canary, check, &headers);
}

/* A good token, and where it is let in, forged headers beside it.  False where it is known not to be let in. */
static bool
try_good(struct visit *visit)
{
	enum bg_outcome outcome;
	struct bg_buf headers;

	if (visit->good.len == 0) {
		skip(visit, "good token", "there is none; -k, --iss and --aud make one, --token-file takes one");
		return true;
	}
	if (!visit->bearer) {
		skip(visit, "good token", "Bearer is off here; \"bearergate mint proof\" and curl try tokens that are bound");
		return true;
	}
	bg_buf_init(&headers, 2 * LONG_MAX);
	put_authorization(visit, &visit->good, &headers);
	outcome = try_headers(visit, BG_CANARY_GOOD_TOKEN, "good token", &headers);
	if (outcome == BG_OUTCOME_LET_IN)
		try_forged(visit, BG_CANARY_FORGED_GOOD, "forged headers with a good token");
	else
		skip(visit, "forged headers with a good token", "nothing to see where no program answers");
	return bg_diagnose(BG_CANARY_GOOD_TOKEN, visit->server, outcome).finding != BG_FINDING_FAULT;
}

/* The nonce that is wanted of a proof, if that is what this answer is about. */
static void
read_nonce(const struct bg_http_answer *answer, char *nonce, size_t size)
{
	struct bg_slice value = bg_http_header(answer, BG_SLICE("DPoP-Nonce"), 0);

	nonce[0] = '\0';
	if (bg_challenge_has(answer, BG_SLICE("use_dpop_nonce")))
		bg_format(nonce, size, "%.*s", (int)(value.len < size ? value.len : 0), value.len > 0 ? value.ptr : "");
}

static void
put_bound(struct bg_buf *headers, const char *scheme, struct bg_slice token, const struct bg_buf *proof)
{
	bg_buf_put_format(headers, "Authorization: %s ", scheme);
	bg_buf_put(headers, token);
	bg_buf_put_str(headers, "\r\n");
	if (proof == NULL)
		return;
	bg_buf_put_str(headers, "DPoP: ");
	bg_buf_put(headers, (struct bg_slice){ proof->data, proof->len });
	bg_buf_put_str(headers, "\r\n");
}

/* A token that is bound to a key of this run: with a proof, with the same once more, with another method, and without. */
static int
try_proofs(struct visit *visit, const struct bg_issuer_key *client, struct bg_slice token)
{
	struct bg_buf proof, headers;
	struct bg_slice lines = { 0 };
	struct bg_error err = { 0 };
	enum bg_outcome outcome;
	char nonce[256] = "";
	int rc;

	bg_buf_init(&proof, LONG_MAX);
	bg_buf_init(&headers, 4 * LONG_MAX);
	/* Where nonces are wanted, the first proof only fetches one. */
	for (int i = 0; i < 2; i++) {
		struct bg_http_answer answer;

		bg_buf_reset(&headers);
		if ((rc = make_proof(visit, client, token, nonce, &proof)) != EX_OK)
			goto out;
		put_bound(&headers, "DPoP", token, &proof);
		if (bg_buf_finish(&headers, &lines, &err) != 0) {
			rc = bg_minting_no_memory("request");
			goto out;
		}
		bg_http_answer_init(&answer);
		send_request(visit, &(struct ask){ .headers = lines }, &answer, &err);
		read_nonce(&answer, nonce, sizeof(nonce));
		outcome = bg_outcome_of(&answer);
		if (i == 1 || nonce[0] == '\0')
			judge(visit, BG_CANARY_BOUND, "bound token", outcome, &answer, err.detail);
		bg_http_answer_clear(&answer);
		if (nonce[0] == '\0')
			break;
	}
	/* Of several processes each could let it in once. */
	for (int i = 0; outcome == BG_OUTCOME_LET_IN && i < 2; i++)
		(void)try(visit, BG_CANARY_BOUND_AGAIN, "its proof, used again", &(struct ask){ .headers = lines });
	bg_buf_reset(&headers);
	if ((rc = make_proof(visit, client, token, nonce, &proof)) != EX_OK)
		goto out;
	put_bound(&headers, "DPoP", token, &proof);
	if (bg_buf_finish(&headers, &lines, &err) == 0)
		(void)try(visit, BG_CANARY_BOUND_METHOD, "a proof for another method", &(struct ask){ .method = "POST",
		    .headers = lines, .body = 1 });
	bg_buf_reset(&headers);
	put_bound(&headers, "Bearer", token, NULL);
	if (bg_buf_finish(&headers, &lines, &err) == 0)
		(void)try(visit, BG_CANARY_BOUND_BARE, "bound token without a proof", &(struct ask){ .headers = lines });
out:
	bg_buf_clear(&proof);
	bg_buf_clear(&headers);
	return rc;
}

static int
try_bound(struct visit *visit)
{
	struct bg_issuer_key *client = NULL;
	struct bg_error err = { 0 };
	struct bg_buf token;
	int rc;

	if (bg_issuer_key_make(bg_issuer_alg_find(BG_SLICE("ES256")), 0, &client, &err) != 0) {
		bg_verb_say("%s", err.detail);
		return EX_SOFTWARE;
	}
	bg_buf_init(&token, LONG_MAX);
	if ((rc = make_good(visit, client, &token)) == EX_OK)
		rc = try_proofs(visit, client, (struct bg_slice){ token.data, token.len });
	bg_buf_clear(&token);
	bg_issuer_key_free(client);
	return rc;
}

/* Other spellings of the URL's path: some server or other takes each for the same. */
static void
try_paths(struct visit *visit)
{
	/* Around all before the last name, with its slash, and that name; which may stand before it once more. */
	static const struct { const char *before, *between, *after; bool twice; } spellings[] = {
		{ "/",  "",       "",  false },	/* //dir/name */
		{ "",   "/",      "",  false },	/* /dir//name */
		{ "",   "./",     "",  false },
		{ "",   "%2e/",   "",  false },
		{ "",   "/../",   "",  true },	/* /dir/name/../name */
		{ "",   "/%2e%2e/", "", true },
		{ "",   "/..%2f", "",  true },
		{ "",   "",       "/.", false },
	};
	char dir[BG_URL_MAX], name[BG_URL_MAX], path[3 * BG_URL_MAX + 16], tail[2] = "";
	size_t len = strlen(visit->http.url.path);
	const char *slash;

	bg_format(dir, sizeof(dir), "%s", visit->http.url.path);
	if (len > 1 && dir[len - 1] == '/') {
		dir[--len] = '\0';
		tail[0] = '/';
	}
	slash = strrchr(dir, '/');
	bg_format(name, sizeof(name), "%s", slash + 1);
	dir[slash + 1 - dir] = '\0';
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		if ((spellings[i].twice && name[0] == '\0') || (i == 0 && dir[1] == '\0'))	/* the latter is the next one */
			continue;
		bg_format(path, sizeof(path), "%s%s%s%s%s%s%s", spellings[i].before, dir, spellings[i].twice ? name : "",
		    spellings[i].between, name, spellings[i].after, tail);
		(void)try(visit, BG_CANARY_PATH, path, &(struct ask){ .path = path });
	}
	if (name[0] != '\0') {
		bg_format(path, sizeof(path), "%.*s%%2f%s%s", (int)strlen(dir) - 1, dir, name, tail);
		if (dir[1] != '\0')	/* without a directory it would not begin with a slash */
			(void)try(visit, BG_CANARY_PATH, path, &(struct ask){ .path = path });
		if (name[0] != '%') {
			bg_format(path, sizeof(path), "%s%%%02x%s%s", dir, (unsigned char)name[0], name + 1, tail);
			(void)try(visit, BG_CANARY_PATH, path, &(struct ask){ .path = path });
		}
	}
	bg_format(path, sizeof(path), "%s%s/bearergate-doctor-%s", dir, name, visit->control);
	(void)try(visit, BG_CANARY_BELOW, "below the path",
	    &(struct ask){ .path = dir[1] == '\0' && name[0] == '\0' ? path + 1 : path });
}

static int
try_tokens(struct visit *visit)
{
	bool heard = false, good, ignored;
	int rc;

	if ((rc = try_bad(visit, 0, BG_CANARY_BAD_TOKEN, "invalid token", &heard)) != EX_OK)
		return rc;
	if (!heard) {
		skip(visit, "other tokens", "not tried before this is well");
		return EX_OK;
	}
	if (!visit->dpop)
		skip(visit, "DPoP", "it is off here");
	else if ((rc = try_bad(visit, 0, BG_CANARY_DPOP, "invalid DPoP proof", &ignored)) != EX_OK)
		return rc;
	good = try_good(visit);
	if (visit->dpop && visit->options->key != NULL) {
		if (!good)
			skip(visit, "bound token", "not tried before this is well");
		else if (!visit->es256)
			skip(visit, "bound token", "proofs by ES256 are not taken here; \"bearergate mint proof\" and curl try others");
		else if ((rc = try_bound(visit)) != EX_OK)
			return rc;
	}
	if ((rc = try_bad(visit, 0, BG_CANARY_TWO_HEADERS, "two Authorization headers", &ignored)) != EX_OK ||
	    (rc = try_bad(visit, 8 * 1024, BG_CANARY_LONG, "token of 8 KiB", &ignored)) != EX_OK)
		return rc;
	return try_bad(visit, 14 * 1024, BG_CANARY_LONG, "token of 14 KiB", &ignored);
}

static void
try_http2(struct visit *visit)
{
	struct bg_http_answer none;

	bg_http_answer_init(&none);
	judge(visit, BG_CANARY_HTTP2, "HTTP/2", bg_http_speaks_2(&visit->http) ? BG_OUTCOME_HTTP2 : BG_OUTCOME_HTTP1, &none, "");
	bg_http_answer_clear(&none);
}

static int
try_all(struct visit *visit)
{
	int rc;

	if (!try_without(visit))
		return EX_OK;
	if ((rc = try_tokens(visit)) != EX_OK)
		return rc;
	try_forged(visit, BG_CANARY_FORGED, "forged headers");
	(void)try(visit, BG_CANARY_METHOD, "HEAD", &(struct ask){ .method = "HEAD" });
	(void)try(visit, BG_CANARY_METHOD, "OPTIONS", &(struct ask){ .method = "OPTIONS" });
	(void)try(visit, BG_CANARY_METHOD, "POST", &(struct ask){ .method = "POST", .body = BODY_BYTES });
	try_paths(visit);
	try_http2(visit);
	return EX_OK;
}

/* ---- the verb ---------------------------------------------------------------------------------------------------- */

static int
finish(struct visit *visit)
{
	struct bg_error err = { 0 };
	struct bg_slice text;
	json_t *all = NULL;
	char *dump = NULL;
	int rc;

	if (visit->options->json) {
		all = json_pack("{s:s, s:s, s:i, s:i, s:O}", "url", visit->options->url, "server", bg_server_name(visit->server),
		    "faults",
		    visit->faults, "remarks", visit->remarks, "checks", visit->checks);
		dump = json_dumps(all, JSON_INDENT(2));
		visit->no_memory = visit->no_memory || dump == NULL;
		bg_buf_reset(&visit->out);
		bg_buf_put_format(&visit->out, "%s\n", dump != NULL ? dump : "");
	} else
		bg_buf_put_format(&visit->out, "%d checks of %s (%s): %d at fault, %d worth a remark\n", visit->n,
		    visit->options->url,
		    bg_server_name(visit->server), visit->faults, visit->remarks);
	if (visit->no_memory || bg_buf_finish(&visit->out, &text, &err) != 0) {
		bg_verb_say("%s", visit->no_memory ? "no memory" : err.detail);
		rc = EX_OSERR;
	} else if ((rc = bg_verb_print(text)) == EX_OK && visit->faults > 0)
		rc = EXIT_FAULT;
	free(dump);
	json_decref(all);
	return rc;
}

static int
doctor(const struct options *options)
{
	struct visit visit = { .options = options, .checks = json_array() };
	struct bg_error err = { 0 };
	int rc;

	bg_buf_init(&visit.out, REPORT_MAX);
	bg_buf_init(&visit.good, BG_TOKEN_MAX);
	bg_buf_init(&visit.refused, BG_HTTP_BODY_MAX);
	if (bg_http_start(&visit.http, options->url, options->ca_file, options->timeout_ms, &err) != 0) {
		rc = err.reason == BG_R_BAD_REQUEST ? bg_verb_usage("%s", err.detail) : EX_NOINPUT;
		if (rc == EX_NOINPUT)
			bg_verb_say("%s", err.detail);
		goto out;
	}
	if (!visit.http.url.tls && options->token_file != NULL &&
	    bg_address_host_not_public(bg_slice_str(visit.http.url.host)) == NULL)
		bg_verb_say("remark: without https the token can be read on its way");
	if (bg_issuer_key_make(bg_issuer_alg_find(BG_SLICE("ES256")), 0, &visit.stranger, &err) != 0) {
		bg_verb_say("%s", err.detail);
		rc = EX_SOFTWARE;
		goto out;
	}
	if ((rc = random_word(visit.marker)) != EX_OK || (rc = random_word(visit.control)) != EX_OK ||
	    (options->key != NULL && (rc = make_good(&visit, NULL, &visit.good)) != EX_OK) ||
	    (options->token_file != NULL && (rc = read_good(&visit)) != EX_OK) || (rc = try_all(&visit)) != EX_OK)
		goto out;
	rc = finish(&visit);
out:
	bg_issuer_key_free(visit.stranger);
	bg_http_stop(&visit.http);
	bg_buf_clear(&visit.good);
	bg_buf_clear(&visit.refused);
	bg_buf_clear(&visit.out);
	json_decref(visit.checks);
	return rc;
}

static int
check_options(const struct options *options)
{
	if (options->key != NULL && options->token_file != NULL)
		return bg_verb_usage("-k and --token-file are two ways of having a good token");
	if ((options->key == NULL) != (options->iss == NULL) || (options->key == NULL) != (options->aud == NULL))
		return bg_verb_usage("-k, --iss and --aud go together");
	if (options->scope != NULL && options->key == NULL)
		return bg_verb_usage("--scope goes with -k");
	return EX_OK;
}

static int
read_option(int c, struct options *options)
{
	int64_t seconds;

	switch (c) {
	case 'k':
		options->key = optarg;
		return EX_OK;
	case OPT_AUD:
		return bg_minting_text("--aud", optarg, &options->aud);
	case OPT_CA_FILE:
		options->ca_file = optarg;
		return EX_OK;
	case OPT_ISS:
		return bg_minting_text("--iss", optarg, &options->iss);
	case OPT_JSON:
		options->json = true;
		return EX_OK;
	case OPT_SCOPE:
		return bg_minting_text("--scope", optarg, &options->scope);
	case OPT_SERVER:
		options->server = bg_server_find(bg_slice_str(optarg));
		if (options->server == BG_SERVER_UNKNOWN || strcmp(bg_server_name(options->server), optarg) != 0)
			return bg_verb_usage("--server: apache, caddy, lighttpd or nginx was expected");
		return EX_OK;
	case OPT_TIMEOUT:
		if (!bg_minting_number(optarg, &seconds) || seconds < 1 || seconds > TIMEOUT_MAX)
			return bg_verb_usage("--timeout: a number of seconds from 1 to %d was expected", TIMEOUT_MAX);
		options->timeout_ms = seconds * 1000;
		return EX_OK;
	case OPT_TOKEN_FILE:
		options->token_file = optarg;
		return EX_OK;
	default:
		return EX_SOFTWARE;	/* no option of longopts comes here */
	}
}

int
bg_verb_doctor(int argc, char **argv)
{
	struct options options = { .timeout_ms = TIMEOUT_MS };
	int c, rc = EX_OK;

	opterr = 0;
	while (rc == EX_OK && (c = getopt_long(argc, argv, ":hk:", longopts, NULL)) != -1) {
		if (c == 'h')
			return bg_verb_print(bg_slice_str(usage));
		rc = c == ':' || c == '?' ? bg_verb_bad_option(c, argv, longopts) : read_option(c, &options);
	}
	if (rc != EX_OK || (rc = check_options(&options)) != EX_OK)
		return rc;
	if (optind == argc)
		return bg_verb_usage("doctor needs a URL that is protected");
	if (optind + 1 < argc)
		return bg_verb_usage("doctor takes no \"%s\"", argv[optind + 1]);
	options.url = argv[optind];
	return doctor(&options);
}
