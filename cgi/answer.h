#ifndef BG_CGI_ANSWER_H
#define BG_CGI_ANSWER_H

#include "core/response.h"

/* All records of one answer: the text, their own headers and padding, of which libfcgi makes little. */
#define BG_ANSWER_RECORDS_MAX	(BG_ANSWER_MAX + 4 * 1024)

#define BG_ASK_ID	1	/* of the one request on its connection */

/* What the bytes that have arrived so far are worth. */
enum bg_answer {
	BG_ANSWER_BAD = 0,	/* never an answer that counts */
	BG_ANSWER_MORE,		/* good as far as it goes, not whole yet */
	BG_ANSWER_WHOLE,	/* the answer, in the response */
};

/*
 * Read what bearergate-fcgi has answered, in role AUTHORIZER, to request BG_ASK_ID: STDOUT records, their end, and
 * END_REQUEST with REQUEST_COMPLETE and application status 0.  Their text is exactly what bg_reply_authorizer writes:
 *
 *  - "Status: 200" first, then nothing but "Variable-NAME: value", each name once, AUTH_TYPE among them, and no body.  A name
 *    is REMOTE_USER, AUTH_TYPE, CLAIMS_JSON, CLAIM_ and what a claim's name can end in, or that of one of exports, since no other
 *    would be kept from coming from elsewhere too.  That is an allow: response has status 200, and the variables.
 *  - Or the status of a denial first, then its headers and its body.  response has them.
 *
 * Anything else is BAD: another record, STDERR too, another id, a header that is not known, a status that is not said, one byte
 * behind the end.  A pure function: no state, no descriptor.  What is not whole leaves response a denial, and *why is a few
 * static words for BAD and NULL otherwise.  More bytes never turn a bad answer into a good one.
 *
 * FastCGI 1.0 sections 3.3, 5.3, 5.5 and 6.3.
 */
enum bg_answer bg_answer_read(struct bg_slice bytes, const struct bg_exports *exports, struct bg_response *response,
    const char **why) BG_MUST_CHECK;

#endif
