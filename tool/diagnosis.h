#ifndef BG_TOOL_DIAGNOSIS_H
#define BG_TOOL_DIAGNOSIS_H

#include "tool/http.h"

/* From what a server answered to what is wrong with it: pure, and a table. */

/* The server that answers, by its Server header. */
enum bg_server { BG_SERVER_UNKNOWN, BG_SERVER_APACHE, BG_SERVER_LIGHTTPD, BG_SERVER_NGINX,
	BG_SERVER_CADDY, BG_SERVERS };

enum bg_server bg_server_find(struct bg_slice header);	/* "Apache/2.4.62 (Debian)"; or a name of those below */
const char *bg_server_name(enum bg_server server);	/* "apache"; "unknown" */

/* What is tried. */
enum bg_canary {
	BG_CANARY_NO_TOKEN,	/* nothing to be let in with */
	BG_CANARY_BODY,		/* what the client sees of that refusal */
	BG_CANARY_BAD_TOKEN,	/* a token of a key nobody knows */
	BG_CANARY_DPOP,		/* the same with a DPoP header */
	BG_CANARY_GOOD_TOKEN,
	BG_CANARY_BOUND,	/* a good token that is bound to a key, with a proof of that key for this request */
	BG_CANARY_BOUND_AGAIN,	/* the same proof, for another request */
	BG_CANARY_BOUND_METHOD,	/* a new one, sent with another method than it is for */
	BG_CANARY_BOUND_BARE,	/* the token as a Bearer token */
	BG_CANARY_FORGED,	/* headers that pretend to be what bearergate says, without a token */
	BG_CANARY_FORGED_GOOD,	/* and with one */
	BG_CANARY_TWO_HEADERS,	/* two Authorization headers */
	BG_CANARY_STATUS,	/* whether the client sees the status that was answered to them */
	BG_CANARY_LEAK,		/* what else the client sees of a good token's answer */
	BG_CANARY_LONG,		/* a long token of a key nobody knows */
	BG_CANARY_METHOD,	/* no token, another method */
	BG_CANARY_PATH,		/* no token, another spelling of the path */
	BG_CANARY_BELOW,	/* no token, a path below that does not exist */
	BG_CANARY_HTTP2,	/* whether HTTP/2 is spoken */
	BG_CANARIES
};

/* What can come back, as far as it makes a difference.  The first is what was never filled in. */
enum bg_outcome {
	BG_OUTCOME_SILENT,	/* no answer, or none that is HTTP */
	BG_OUTCOME_LET_IN,	/* 2xx */
	BG_OUTCOME_SENT_ON,	/* 3xx */
	BG_OUTCOME_ASKED,	/* refused by us as without a token: 401, and a challenge that names no error */
	BG_OUTCOME_REFUSED,	/* refused by us, for an error */
	BG_OUTCOME_NO_SCOPE,	/* the same for insufficient_scope */
	BG_OUTCOME_NO_PROOF,	/* the same, since no DPoP header came */
	BG_OUTCOME_NO_KEYS,	/* 503 of ours */
	BG_OUTCOME_LOGIN,	/* 401 of somebody else */
	BG_OUTCOME_FORBIDDEN,	/* 403 of somebody else */
	BG_OUTCOME_MISSING,	/* 404 of somebody else */
	BG_OUTCOME_TOO_LONG,	/* 400, 413, 414 or 431 of somebody else: no good request, or too long a one */
	BG_OUTCOME_OTHER,	/* another 4xx of somebody else */
	BG_OUTCOME_BROKEN,	/* 5xx */

	/* of the body of a refusal alone */
	BG_OUTCOME_OUR_BODY,	/* JSON, said to be JSON */
	BG_OUTCOME_OUR_TEXT,	/* JSON, said to be something else */
	BG_OUTCOME_NO_BODY,	/* somebody else's, or none */
	BG_OUTCOME_SERVED,	/* what is protected: the same as with a good token, or a path that nobody refuses */

	/* of a refusal's status, and of an allowed answer's headers, alone */
	BG_OUTCOME_MASKED,	/* it is another one than bearergate has answered */
	BG_OUTCOME_LEAKED,	/* they have the claims, as they were meant for the server */

	/* of HTTP/2 alone */
	BG_OUTCOME_HTTP2,
	BG_OUTCOME_HTTP1,	/* it is not spoken */

	/* of forged headers that came with a good token alone */
	BG_OUTCOME_BELIEVED,	/* let in, and the answer shows what was forged */
	BG_OUTCOME_SHOWN,	/* the same, but it shows any header */
	BG_OUTCOMES
};

/* Judge an answer by itself. */
enum bg_outcome bg_outcome_of(const struct bg_http_answer *answer);
enum bg_outcome bg_outcome_of_body(const struct bg_http_answer *answer);

enum bg_outcome bg_outcome_of_status(const struct bg_http_answer *answer);	/* MASKED, or REFUSED where nothing is known of that */
enum bg_outcome bg_outcome_of_leak(const struct bg_http_answer *answer);	/* LEAKED, or LET_IN */

/* Of an answer to forged headers that all have the value marker, beside an honest one with the value control. */
enum bg_outcome bg_outcome_of_forgery(const struct bg_http_answer *answer, struct bg_slice marker, struct bg_slice control);

/* In words, with the status: "401 invalid_token".  size is at least 1. */
void bg_outcome_describe(enum bg_outcome outcome, const struct bg_http_answer *answer, char *dst, size_t size);

/* Does a challenge of ours name this scheme? */
bool bg_challenge_has(const struct bg_http_answer *answer, struct bg_slice scheme);

enum bg_finding { BG_FINDING_FAULT, BG_FINDING_REMARK, BG_FINDING_OK };	/* the zero value is a fault */

struct bg_diagnosis {
	enum bg_finding finding;
	const char     *advice;		/* static; the directive, or NULL where all is well */
};

/* The first row of the table that fits.  What has no row is a fault. */
struct bg_diagnosis bg_diagnose(enum bg_canary canary, enum bg_server server, enum bg_outcome outcome);

/* What should have come, in words. */
const char *bg_canary_wanted(enum bg_canary canary);

#endif
