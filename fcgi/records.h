#ifndef BG_FCGI_RECORDS_H
#define BG_FCGI_RECORDS_H

#include "core/limits.h"
#include "core/slice.h"

/*
 * A whole request on the wire: the parameters, the records' own headers, lengths and padding.  Servers need under one
 * byte in a hundred for those; a peer that cuts its parameters into crumbs reaches this ceiling before the other one.
 */
#define BG_RECORDS_MAX	(BG_PARAMS_MAX + 16 * 1024)

/* Roles, FastCGI 1.0 sections 6 and 8.  No other is served. */
enum bg_role { BG_ROLE_NONE = 0, BG_ROLE_RESPONDER = 1, BG_ROLE_AUTHORIZER = 2 };

/* What the records that have arrived so far are worth. */
enum bg_records {
	BG_RECORDS_BAD = 0,	/* never a request of ours: close the connection */
	BG_RECORDS_MORE,	/* good as far as it goes, not whole yet */
	BG_RECORDS_WHOLE,	/* one whole request that libfcgi reads without waiting, failing or aborting */
};

struct bg_records_request {
	size_t       length;	/* bytes of the whole request, from the first record on; at most BG_RECORDS_MAX */
	enum bg_role role;
	bool         keep_conn;	/* the server would like to keep the connection */
};

/*
 * Look at the bytes that wait on a connection, without taking them, and say whether they are one whole and good
 * request: BEGIN_REQUEST with a role we serve, then PARAMS to their end, and in the Responder role one STDIN without
 * content, all of version 1 and of one request id, and no other record.  A request that brings a body is refused: what
 * nginx asks about in a sub-request has none, and nobody here would read it.  Names and values are bounded in number and
 * sum, complete, free of NUL, and names are neither empty nor do they hold a "="; so nothing libfcgi stumbles over gets
 * past, and what it makes of a pair can be read in one way only (SR-21).  What follows a whole request is not looked at.
 * A pure function: no state, no descriptor, no allocation.
 *
 * out is cleared unless the request is whole; *why is a few static words for BAD and NULL otherwise.  More bytes never
 * turn a bad request into a good one, or a whole one into anything else.
 *
 * FastCGI 1.0 sections 3.3, 3.4, 5.1 to 5.3, 6.2 and 6.3.
 */
enum bg_records bg_records_vet(struct bg_slice bytes, struct bg_records_request *out, const char **why) BG_MUST_CHECK;

#endif
