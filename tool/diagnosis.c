#include "tool/diagnosis.h"

#define ANY	BG_SERVER_UNKNOWN	/* in the table: whatever the server is */
#define ALL	BG_OUTCOMES		/* whatever came */

#define OURS_BEGINS	"{\"detail\":{\"error\":\""

/* ---- what came -------------------------------------------------------------------------------------------------- */

static const char *const servers[BG_SERVERS] = {
	[BG_SERVER_UNKNOWN] = "unknown", [BG_SERVER_APACHE] = "apache", [BG_SERVER_LIGHTTPD] = "lighttpd",
	[BG_SERVER_NGINX] = "nginx", [BG_SERVER_CADDY] = "caddy",
};

enum bg_server
bg_server_find(struct bg_slice header)
{
	for (int i = BG_SERVER_UNKNOWN + 1; i < BG_SERVERS; i++) {
		struct bg_slice name = bg_slice_str(servers[i]);

		if (header.len >= name.len && bg_slice_equal_nocase((struct bg_slice){ header.ptr, name.len }, name))
			return (enum bg_server)i;
	}
	return BG_SERVER_UNKNOWN;
}

const char *
bg_server_name(enum bg_server server)
{
	return servers[server < BG_SERVERS ? server : BG_SERVER_UNKNOWN];
}

static bool
holds(struct bg_slice text, struct bg_slice what)
{
	return text.len >= what.len && memmem(text.ptr, text.len, what.ptr, what.len) != NULL;
}

/* A challenge of ours; ptr is NULL when there is none.  RFC 6750 section 3, RFC 9449 section 7.1. */
static struct bg_slice
our_challenge(const struct bg_http_answer *answer)
{
	struct bg_slice line;

	for (size_t i = 0; (line = bg_http_header(answer, BG_SLICE("WWW-Authenticate"), i)).ptr != NULL; i++)
		if (holds(line, BG_SLICE("Bearer realm=\"")) || (holds(line, BG_SLICE("DPoP ")) && holds(line,
		    BG_SLICE("algs=\""))))
			return line;
	return (struct bg_slice){ 0 };
}

bool
bg_challenge_has(const struct bg_http_answer *answer, struct bg_slice scheme)
{
	return holds(our_challenge(answer), scheme);
}

/* The error that a challenge names; ptr is NULL when it names none. */
static struct bg_slice
error_of(struct bg_slice challenge)
{
	static const char begin[] = "error=\"";
	const char *from = challenge.len > 0 ? memmem(challenge.ptr, challenge.len, begin, strlen(begin)) : NULL;
	const char *end;

	if (from == NULL)
		return (struct bg_slice){ 0 };
	from += strlen(begin);
	end = memchr(from, '"', challenge.len - (size_t)(from - challenge.ptr));
	return (struct bg_slice){ from, end != NULL ? (size_t)(end - from) : 0 };
}

static bool
has_our_body(const struct bg_http_answer *answer)
{
	return bg_slice_starts((struct bg_slice){ answer->body.data, answer->body.len }, BG_SLICE(OURS_BEGINS));
}

static enum bg_outcome
of_error(struct bg_slice challenge)
{
	if (bg_slice_equal(error_of(challenge), BG_SLICE("insufficient_scope")))
		return BG_OUTCOME_NO_SCOPE;
	/* MISSING_PROOF of core/reasons.def */
	return holds(challenge, bg_slice_str(bg_reason_text(BG_R_MISSING_PROOF))) ? BG_OUTCOME_NO_PROOF : BG_OUTCOME_REFUSED;
}

enum bg_outcome
bg_outcome_of(const struct bg_http_answer *answer)
{
	struct bg_slice challenge = our_challenge(answer);

	if (answer->status == 0)
		return BG_OUTCOME_SILENT;
	if (answer->status < 300)
		return BG_OUTCOME_LET_IN;
	if (answer->status < 400)
		return BG_OUTCOME_SENT_ON;
	if (answer->status == 503 && has_our_body(answer))
		return BG_OUTCOME_NO_KEYS;
	if (answer->status >= 500)
		return BG_OUTCOME_BROKEN;
	if (challenge.ptr != NULL && error_of(challenge).ptr != NULL)
		return of_error(challenge);
	if (challenge.ptr != NULL && answer->status == 401)
		return BG_OUTCOME_ASKED;
	switch (answer->status) {
	case 401:
		return BG_OUTCOME_LOGIN;
	case 403:
		return BG_OUTCOME_FORBIDDEN;
	case 404:
		return BG_OUTCOME_MISSING;
	case 400:
	case 413:
	case 414:
	case 431:
		return BG_OUTCOME_TOO_LONG;
	default:
		return BG_OUTCOME_OTHER;
	}
}

enum bg_outcome
bg_outcome_of_body(const struct bg_http_answer *answer)
{
	struct bg_slice type = bg_http_header(answer, BG_SLICE("Content-Type"), 0);

	if (!has_our_body(answer))
		return BG_OUTCOME_NO_BODY;
	return bg_slice_starts(type, BG_SLICE("application/json")) ? BG_OUTCOME_OUR_BODY : BG_OUTCOME_OUR_TEXT;
}

enum bg_outcome
bg_outcome_of_status(const struct bg_http_answer *answer)
{
	struct bg_slice said = bg_http_header(answer, BG_SLICE("X-Bearergate-Status"), 0);
	char status[16];

	bg_format(status, sizeof(status), "%d", answer->status);
	return said.len == 0 || bg_slice_equal(said, bg_slice_str(status)) ? BG_OUTCOME_REFUSED : BG_OUTCOME_MASKED;
}

/* AUTH_TYPE is among the variables of every allow (core/export.c). */
enum bg_outcome
bg_outcome_of_leak(const struct bg_http_answer *answer)
{
	return bg_http_header(answer, BG_SLICE("Variable-AUTH_TYPE"), 0).ptr != NULL ? BG_OUTCOME_LEAKED : BG_OUTCOME_LET_IN;
}

enum bg_outcome
bg_outcome_of_forgery(const struct bg_http_answer *answer, struct bg_slice marker, struct bg_slice control)
{
	struct bg_slice raw = { answer->raw.data, answer->raw.len }, body = { answer->body.data, answer->body.len };
	enum bg_outcome outcome = bg_outcome_of(answer);

	/* In the body chunks are put together; in the raw answer headers count too. */
	if (outcome != BG_OUTCOME_LET_IN || !(holds(raw, marker) || holds(body, marker)))
		return outcome;
	return holds(raw, control) || holds(body, control) ? BG_OUTCOME_SHOWN : BG_OUTCOME_BELIEVED;
}

void
bg_outcome_describe(enum bg_outcome outcome, const struct bg_http_answer *answer, char *dst, size_t size)
{
	static const char *const words[BG_OUTCOMES] = {
		[BG_OUTCOME_ASKED] = ", as without a token", [BG_OUTCOME_NO_KEYS] = ", temporarily unavailable",
		[BG_OUTCOME_LOGIN] = ", not of bearergate", [BG_OUTCOME_FORBIDDEN] = ", not of bearergate",
		[BG_OUTCOME_MISSING] = ", not of bearergate", [BG_OUTCOME_TOO_LONG] = ", not of bearergate",
		[BG_OUTCOME_OTHER] = ", not of bearergate",
		[BG_OUTCOME_OUR_BODY] = " with bearergate's JSON", [BG_OUTCOME_OUR_TEXT] = " with JSON that is said to be "
		    "something else",
		[BG_OUTCOME_NO_BODY] = " with another body", [BG_OUTCOME_BELIEVED] = ", and the program shows what was forged",
		[BG_OUTCOME_SERVED] = ", and no refusal of bearergate's", [BG_OUTCOME_MASKED] = ", and bearergate has answered another",
		[BG_OUTCOME_LEAKED] = ", and headers that begin with Variable-",
		[BG_OUTCOME_SHOWN] = ", and the program shows any header",
	};
	struct bg_slice error = error_of(our_challenge(answer));
	size_t n = 0;

	if (outcome == BG_OUTCOME_HTTP2 || outcome == BG_OUTCOME_HTTP1) {
		bg_format(dst, size, "%s", outcome == BG_OUTCOME_HTTP2 ? "HTTP/2" : "HTTP/1 alone");
		return;
	}
	if (answer->status == 0) {
		bg_format(dst, size, "no answer");
		return;
	}
	/* Only what cannot upset a terminal. */
	while (n < error.len && ((error.ptr[n] >= 'a' && error.ptr[n] <= 'z') || error.ptr[n] == '_'))
		n++;
	bg_format(dst, size, "%d%s%.*s%s", answer->status, n > 0 ? " " : "", n < 40 ? (int)n : 40, n > 0 ? error.ptr : "",
	    words[outcome] != NULL ? words[outcome] : "");
}

/* ---- what it means ---------------------------------------------------------------------------------------------- */

const char *
bg_canary_wanted(enum bg_canary canary)
{
	static const char *const wanted[BG_CANARIES] = {
		[BG_CANARY_NO_TOKEN]    = "401 with a challenge",
		[BG_CANARY_BODY]        = "a body in JSON",
		[BG_CANARY_BAD_TOKEN]   = "401 invalid_token",
		[BG_CANARY_DPOP]        = "an error of the token or its proof",
		[BG_CANARY_GOOD_TOKEN]  = "200",
		[BG_CANARY_BOUND]       = "200",
		[BG_CANARY_BOUND_AGAIN] = "400 invalid_dpop_proof",
		[BG_CANARY_BOUND_METHOD] = "400 invalid_dpop_proof",
		[BG_CANARY_BOUND_BARE]  = "401 invalid_token",
		[BG_CANARY_FORGED]      = "401 with a challenge",
		[BG_CANARY_FORGED_GOOD] = "200 without what was forged",
		[BG_CANARY_TWO_HEADERS] = "400",
		[BG_CANARY_STATUS]      = "the status that bearergate answers",
		[BG_CANARY_LEAK]        = "no headers that are for the server",
		[BG_CANARY_LONG]        = "401 invalid_token",
		[BG_CANARY_METHOD]      = "401 with a challenge",
		[BG_CANARY_PATH]        = "a refusal",
		[BG_CANARY_BELOW]       = "401 with a challenge",
		[BG_CANARY_HTTP2]       = "a protocol in which bodies arrive",
	};

	return wanted[canary];
}

#define NOT_HEARD	"the Authorization header does not reach the authorizer: "
#define NOBODY_ASKS	"nobody is asked: "
#define DOWN		"the authorizer does not answer: is bearergate-fcgi running, and does it listen where the server asks? " \
			"the server's log says more"
#define REQUIRE		"add \"Require bearergate\" to this <Location>; \"Require all granted\" must not be in effect there, " \
			"in an .htaccess either"
#define AUTH_REQUEST	"add \"auth_request /_bearergate;\" to this location, which may have neither \"return\" nor \"satisfy any\""
#define FASTCGI_SERVER	"the path must begin with a key of fastcgi.server that has \"mode\" => \"authorizer\", and mod_fastcgi " \
			"stand before mod_cgi and mod_proxy in server.modules"
#define CHECK_LOCAL	"lighttpd asks about files that exist alone: add \"check-local\" => \"disable\" to the authorizer in " \
			"fastcgi.server"

#define FORWARD_AUTH	"add forward_auth to the route of this path, before what answers; a host without a site gets an empty 200 from " \
			"Caddy"
#define NOT_THIS	"the proof is not for the request that bearergate is told of (its log says which): it needs "
#define PROXIED		", and trusted_proxies where another proxy stands before the server"
#define AUTHORITATIVE	"what is protected is sent with the refusal: \"FcgidAccessCheckerAuthoritative On\" is missing"

#define OK		BG_FINDING_OK
#define REMARK		BG_FINDING_REMARK
#define FAULT		BG_FINDING_FAULT

/* In order: the first that fits counts, so what is special stands before what is general. */
static const struct {
	enum bg_canary  canary;
	enum bg_server  server;
	enum bg_outcome outcome;
	enum bg_finding finding;
	const char     *advice;
} rows[] = {
#define ROW(canary, server, outcome, finding, advice)	{ BG_CANARY_##canary, server, outcome, finding, advice }
#define APACHE		BG_SERVER_APACHE
#define LIGHTTPD	BG_SERVER_LIGHTTPD
#define NGINX		BG_SERVER_NGINX
#define CADDY		BG_SERVER_CADDY
#define IS(outcome)	BG_OUTCOME_##outcome
	ROW(NO_TOKEN, ANY,      IS(ASKED),     OK,     NULL),
	ROW(NO_TOKEN, APACHE,   IS(LET_IN),    FAULT,  NOBODY_ASKS REQUIRE),
	ROW(NO_TOKEN, APACHE,   IS(FORBIDDEN), FAULT,  "Apache refuses by itself and asks nobody: " REQUIRE),
	ROW(NO_TOKEN, APACHE,   IS(MISSING),   FAULT,  NOBODY_ASKS REQUIRE),
	ROW(NO_TOKEN, APACHE,   IS(LOGIN),     FAULT,  "Apache wants another login: \"AuthType None\", \"RequireBasicAuth Off\" "
	    "and \"Require bearergate\" belong into this <Location>"),
	ROW(NO_TOKEN, LIGHTTPD, IS(LET_IN),    FAULT,  NOBODY_ASKS FASTCGI_SERVER),
	ROW(NO_TOKEN, LIGHTTPD, IS(MISSING),   FAULT,  CHECK_LOCAL),
	ROW(NO_TOKEN, LIGHTTPD, IS(FORBIDDEN), FAULT,  CHECK_LOCAL),
	ROW(NO_TOKEN, NGINX,    IS(LET_IN),    FAULT,  NOBODY_ASKS AUTH_REQUEST),
	ROW(NO_TOKEN, NGINX,    IS(MISSING),   FAULT,  NOBODY_ASKS AUTH_REQUEST),
	ROW(NO_TOKEN, CADDY,    IS(LET_IN),    FAULT,  NOBODY_ASKS FORWARD_AUTH),
	ROW(NO_TOKEN, CADDY,    IS(MISSING),   FAULT,  NOBODY_ASKS FORWARD_AUTH),
	ROW(NO_TOKEN, ANY,      IS(LET_IN),    FAULT,  NOBODY_ASKS "the directive that guards this path is missing"),
	ROW(NO_TOKEN, ANY,      IS(MISSING),   FAULT,  NOBODY_ASKS "this path is not guarded, or is not here"),
	ROW(NO_TOKEN, ANY,      IS(REFUSED),   FAULT,  "something before bearergate adds credentials to requests without any"),
	ROW(NO_TOKEN, ANY,      IS(BROKEN),    FAULT,  DOWN),
	ROW(NO_TOKEN, ANY,      IS(SILENT),    FAULT,  "no server answers there"),

	ROW(BODY, ANY,          IS(OUR_BODY),  OK,     NULL),
	ROW(BODY, ANY,          IS(SERVED),    FAULT,  AUTHORITATIVE),
	ROW(BODY, NGINX,        ALL,           FAULT,  "clients do not learn why: add \"error_page 401 = @bearergate_401;\", "
	    "the same for 403 and 500, and the locations they name"),
	ROW(BODY, APACHE,       IS(OUR_TEXT),  REMARK, "add Header always set Content-Type \"application/json\" "
	    "\"expr=%{resp:X-Bearergate-Status} != ''\" (mod_headers)"),
	ROW(BODY, APACHE,       IS(NO_BODY),   REMARK, "mod_fcgid passes no body on: \"ErrorDocument 401\" can give one; should "
	    "it be the protected document itself, \"FcgidAccessCheckerAuthoritative On\" is missing"),
	ROW(BODY, ANY,          ALL,           REMARK, "clients do not learn why they are refused"),

	ROW(BAD_TOKEN, ANY,      IS(REFUSED),  OK,     NULL),
	ROW(BAD_TOKEN, ANY,      IS(NO_PROOF), OK,     NULL),	/* where all tokens must be bound */
	ROW(BAD_TOKEN, APACHE,   IS(ASKED),    FAULT,  NOT_HEARD "add \"CGIPassAuth On\" to this <Location>; with mod_fcgid "
	    "\"FcgidPassHeader Authorization\" to the server or virtual host"),
	ROW(BAD_TOKEN, NGINX,    IS(ASKED),    FAULT,  NOT_HEARD "\"fastcgi_pass_request_headers off\" must not be in effect in "
	    "the location that asks, nor may a fastcgi_param set HTTP_AUTHORIZATION"),
	ROW(BAD_TOKEN, LIGHTTPD, IS(ASKED),    FAULT,  NOT_HEARD "no setenv.set-request-header may take it away"),
	ROW(BAD_TOKEN, CADDY,    IS(ASKED),    FAULT,  NOT_HEARD "no request_header may take it away before forward_auth"),
	ROW(BAD_TOKEN, ANY,      IS(ASKED),    FAULT,  NOT_HEARD "a server or a proxy before it takes it away"),
	ROW(BAD_TOKEN, ANY,      IS(LET_IN),   FAULT,  "a token of a key that nobody knows was let in"),
	ROW(BAD_TOKEN, ANY,      IS(NO_KEYS),  FAULT,  "the authorizer has no keys: \"bearergate keys\" says why"),
	ROW(BAD_TOKEN, ANY,      IS(BROKEN),   FAULT,  DOWN),

	ROW(DPOP, ANY,          IS(REFUSED),   OK,     NULL),
	ROW(DPOP, ANY,          IS(NO_PROOF),  FAULT,  "the DPoP header does not reach the authorizer: a server or a proxy "
	    "before it takes it away"),
	ROW(DPOP, APACHE,       IS(ASKED),     FAULT,  NOT_HEARD "add \"CGIPassAuth On\" to this <Location>"),
	ROW(DPOP, ANY,          IS(ASKED),     FAULT,  NOT_HEARD "a server or a proxy before it takes it away"),

	ROW(GOOD_TOKEN, ANY,    IS(LET_IN),    OK,     NULL),
	ROW(GOOD_TOKEN, ANY,    IS(NO_SCOPE),  FAULT,  "this place demands more than the token has: give one with that scope"),
	ROW(GOOD_TOKEN, ANY,    IS(REFUSED),   FAULT,  "the token is not accepted: the line of bearergate-fcgi's log says what "
	    "was expected"),
	ROW(GOOD_TOKEN, ANY,    IS(NO_PROOF),  FAULT,  "all tokens must be bound to a key here; \"bearergate mint proof\" and "
	    "curl try that"),
	ROW(GOOD_TOKEN, ANY,    IS(NO_KEYS),   FAULT,  "the authorizer has no keys: \"bearergate keys\" says why"),
	ROW(GOOD_TOKEN, APACHE, IS(ASKED),     FAULT,  NOT_HEARD "add \"CGIPassAuth On\" to this <Location>"),
	ROW(GOOD_TOKEN, ANY,    IS(ASKED),     FAULT,  NOT_HEARD "a server or a proxy before it takes it away"),
	ROW(GOOD_TOKEN, APACHE, IS(BROKEN),    FAULT,  "AuthnzFcgiCheckAuthnProvider needs UserExpr \"%{reqenv:REMOTE_USER}\" "
	    "and DefaultUser \"%none\", or the program behind fails; Apache's log says more"),
	ROW(GOOD_TOKEN, ANY,    IS(BROKEN),    FAULT,  "the program behind fails, or the answer is too long for the server; its "
	    "log says more"),
	ROW(GOOD_TOKEN, ANY,    IS(SENT_ON),   REMARK, "let in, and sent elsewhere by the program"),
	ROW(GOOD_TOKEN, ANY,    IS(MISSING),   REMARK, "let in, but nothing is here"),
	ROW(GOOD_TOKEN, ANY,    IS(OTHER),     REMARK, "let in, but the program wants another request"),
	ROW(GOOD_TOKEN, ANY,    IS(TOO_LONG),  REMARK, "let in, but the program wants another request, or the token is too long"),

	ROW(BOUND, ANY,         IS(LET_IN),    OK,     NULL),
	ROW(BOUND, ANY,         IS(SENT_ON),   OK,     NULL),	/* what that means was said of the good token */
	ROW(BOUND, ANY,         IS(MISSING),   OK,     NULL),
	ROW(BOUND, ANY,         IS(OTHER),     OK,     NULL),
	ROW(BOUND, ANY,         IS(NO_SCOPE),  FAULT,  "this place demands more than the token has: give one with that scope"),
	ROW(BOUND, ANY,         IS(NO_KEYS),   REMARK, "the replay store does not answer, or was made anew less than a minute ago; or "
	    "there are no keys"),
	ROW(BOUND, NGINX,       IS(REFUSED),   FAULT,  NOT_THIS "BEARERGATE_METHOD $request_method, _SCHEME $scheme, _HOST "
	    "$host:$server_port and _URI $request_uri, as in bearergate_params" PROXIED),
	ROW(BOUND, CADDY,       IS(REFUSED),   FAULT,  NOT_THIS "env BEARERGATE_METHOD {http.request.orig_method}, _SCHEME, _HOST and "
	    "_URI, as in the example" PROXIED),
	ROW(BOUND, ANY,         IS(REFUSED),   FAULT,  NOT_THIS "public_url in bearergate's configuration" PROXIED),
	ROW(BOUND, ANY,         IS(BROKEN),    FAULT,  "DPoP proofs cannot be remembered: where the server starts bearergate-fcgi, or "
	    "bearergate-cgi decides, it needs replay = \"lmdb:/PATH\"; its log says more"),
	ROW(BOUND_AGAIN, ANY,   IS(REFUSED),   OK,     NULL),
	ROW(BOUND_AGAIN, ANY,   IS(NO_KEYS),   REMARK, "the replay store does not answer"),
	ROW(BOUND_AGAIN, ANY,   IS(LET_IN),    FAULT,  "a proof that was used lets another request in: several bearergate-fcgi that share "
	    "no replay store, or a BEARERGATE_REQUEST_ID that is the same for all"),
	ROW(BOUND_METHOD, ANY,  IS(REFUSED),   OK,     NULL),
	ROW(BOUND_METHOD, ANY,  IS(NO_KEYS),   OK,     NULL),
	ROW(BOUND_METHOD, CADDY, IS(LET_IN),   FAULT,  "bearergate is told of another method than the client's: add \"env "
	    "BEARERGATE_METHOD {http.request.orig_method}\""),
	ROW(BOUND_METHOD, ANY,  IS(LET_IN),    FAULT,  "bearergate is told of another method than the client's: REQUEST_METHOD or "
	    "BEARERGATE_METHOD"),
	ROW(BOUND_BARE, ANY,    IS(REFUSED),   OK,     NULL),
	ROW(BOUND_BARE, ANY,    IS(ASKED),     OK,     NULL),	/* where Bearer is off */
	ROW(BOUND_BARE, ANY,    IS(NO_PROOF),  OK,     NULL),
	ROW(BOUND_BARE, ANY,    IS(LET_IN),    FAULT,  "a token that is bound to a key was let in without it"),

	ROW(FORGED, ANY,        IS(ASKED),     OK,     NULL),
	ROW(FORGED, ANY,        IS(REFUSED),   OK,     NULL),
	ROW(FORGED, ANY,        IS(TOO_LONG),  OK,     NULL),
	ROW(FORGED, ANY,        IS(LET_IN),    FAULT,  "headers that a client made up let a request in"),

	ROW(FORGED_GOOD, ANY,    IS(LET_IN),   OK,     NULL),
	ROW(FORGED_GOOD, NGINX,  IS(BELIEVED), FAULT,  "what a client makes up reaches the program as if bearergate had said "
	    "it: add \"proxy_pass_request_headers off;\" and name the headers the program needs"),
	ROW(FORGED_GOOD, APACHE, IS(BELIEVED), FAULT,  "what a client makes up reaches the program as if bearergate had said it: "
	    "\"RequestHeader unset\" each such header before it is set"),
	ROW(FORGED_GOOD, CADDY,  IS(BELIEVED), FAULT,  "what a client makes up reaches the program as if bearergate had said it: "
	    "\"request_header -X-Auth-*\", and the same with underscores, must stand before forward_auth, all inside \"route\""),
	ROW(FORGED_GOOD, ANY,    IS(BELIEVED), FAULT,  "what a client makes up reaches the program as if bearergate had said it"),
	ROW(FORGED_GOOD, ANY,    IS(SHOWN),    REMARK, "the program shows every header it gets, so nothing can be seen here; it "
	    "must trust none that the server did not set"),
	ROW(FORGED_GOOD, ANY,    IS(TOO_LONG), REMARK, "the server takes no such headers"),

	ROW(TWO_HEADERS, ANY,   IS(REFUSED),   OK,     NULL),
	ROW(TWO_HEADERS, ANY,   IS(NO_PROOF),  OK,     NULL),
	ROW(TWO_HEADERS, ANY,   IS(TOO_LONG),  OK,     NULL),
	ROW(TWO_HEADERS, ANY,   IS(ASKED),     OK,     NULL),
	ROW(TWO_HEADERS, ANY,   IS(LET_IN),    FAULT,  "one of two Authorization headers was chosen: a server or a proxy before "
	    "bearergate hides the other one"),

	ROW(STATUS, ANY,        IS(REFUSED),   OK,     NULL),
	ROW(STATUS, CADDY,      IS(MASKED),    FAULT,  "clients cannot tell one refusal from another: add \"env BEARERGATE_ANSWER "
	    "client\" to the transport of forward_auth"),
	ROW(STATUS, APACHE,     IS(MASKED),    REMARK, "mod_fcgid makes a 401 of every refusal: ErrorDocument 401 "
	    "\"/bearergate-denied/%{resp:X-Bearergate-Status}.asis\", as in the example, makes it what it was"),
	ROW(STATUS, ANY,        IS(MASKED),    REMARK, "clients cannot tell one refusal from another"),

	ROW(LEAK, ANY,          IS(LET_IN),    OK,     NULL),
	ROW(LEAK, ANY,          IS(LEAKED),    REMARK, "mod_fcgid sends the claims to the client as well: LuaHookFixups with "
	    "hide-claims.lua of the example, or a \"Header always unset\" for each, takes them away"),

	ROW(LONG, ANY,          IS(REFUSED),   OK,     NULL),
	ROW(LONG, ANY,          IS(NO_PROOF),  OK,     NULL),
	ROW(LONG, APACHE,       IS(TOO_LONG),  REMARK, "the server takes no such token; \"LimitRequestFieldSize 16384\" (server "
	    "or vhost) would"),
	ROW(LONG, LIGHTTPD,     IS(TOO_LONG),  REMARK, "the server takes no such token; server.max-request-field-size = 16384 "
	    "would"),
	ROW(LONG, NGINX,        IS(TOO_LONG),  REMARK, "the server takes no such token; \"large_client_header_buffers 4 16k;\" "
	    "would"),
	ROW(LONG, ANY,          IS(TOO_LONG),  REMARK, "the server takes no such token"),
	ROW(LONG, ANY,          IS(ASKED),     FAULT,  "shorter tokens arrive, and this one is dropped on its way"),
	ROW(LONG, ANY,          IS(LET_IN),    FAULT,  "a token of a key that nobody knows was let in"),

	ROW(METHOD, ANY,        IS(ASKED),     OK,     NULL),
	ROW(METHOD, ANY,        IS(REFUSED),   OK,     NULL),
	ROW(METHOD, APACHE,     IS(LET_IN),    FAULT,  "this method is not guarded: no <Limit> or <LimitExcept> may stand "
	    "around \"Require bearergate\""),
	ROW(METHOD, ANY,        IS(LET_IN),    FAULT,  "this method is not guarded"),
	ROW(METHOD, ANY,        IS(OTHER),     REMARK, "the server refuses this method by itself"),
	ROW(METHOD, ANY,        IS(MISSING),   REMARK, "the server refuses this method by itself"),
	ROW(METHOD, ANY,        IS(FORBIDDEN), REMARK, "the server refuses this method by itself"),
	ROW(METHOD, ANY,        IS(BROKEN),    FAULT,  DOWN),

	ROW(PATH, ANY,          IS(LET_IN),    FAULT,  "this spelling of the path is not guarded; if it leads to what is "
	    "protected, anybody gets it"),
	ROW(PATH, ANY,          IS(SILENT),    FAULT,  "the server gives no answer to this path"),
	ROW(PATH, ANY,          IS(BROKEN),    FAULT,  DOWN),
	ROW(PATH, ANY,          ALL,           OK,     NULL),

	ROW(BELOW, ANY,         IS(ASKED),     OK,     NULL),
	ROW(BELOW, ANY,         IS(REFUSED),   OK,     NULL),
	ROW(BELOW, ANY,         IS(SERVED),    FAULT,  AUTHORITATIVE),
	ROW(BELOW, LIGHTTPD,    IS(MISSING),   FAULT,  CHECK_LOCAL),
	ROW(BELOW, ANY,         IS(MISSING),   REMARK, "only this very path is guarded, not what may be below it"),
	ROW(BELOW, ANY,         IS(SENT_ON),   REMARK, "only this very path is guarded, not what may be below it"),
	ROW(BELOW, ANY,         IS(LET_IN),    FAULT,  "what is below this path is not guarded"),
	ROW(BELOW, ANY,         IS(BROKEN),    FAULT,  DOWN),

	ROW(HTTP2, LIGHTTPD,    IS(HTTP2),     FAULT,  "over HTTP/2 lighttpd (1.4.69) loses the bodies of requests that an authorizer "
	    "lets in: add server.feature-flags = ( \"server.h2proto\" => \"disable\" )"),
	ROW(HTTP2, ANY,         IS(HTTP2),     OK,     NULL),
	ROW(HTTP2, ANY,         IS(HTTP1),     OK,     NULL),
#undef ROW
#undef APACHE
#undef LIGHTTPD
#undef NGINX
#undef CADDY
#undef IS
};

struct bg_diagnosis
bg_diagnose(enum bg_canary canary, enum bg_server server, enum bg_outcome outcome)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].canary == canary && (rows[i].server == ANY || rows[i].server == server) &&
		    (rows[i].outcome == ALL || rows[i].outcome == outcome))
			return (struct bg_diagnosis){ rows[i].finding, rows[i].advice };
	return (struct bg_diagnosis){ BG_FINDING_FAULT, "this is not what bearergate answers; the logs of both say more" };
}
