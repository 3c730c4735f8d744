#ifndef BG_CORE_EXPORT_H
#define BG_CORE_EXPORT_H

#include "core/claims.h"
#include "core/credentials.h"

enum bg_encoding { BG_ENCODING_PERCENT = 0, BG_ENCODING_BASE64URL };

/* One claim as a variable.  const after start-up. */
struct bg_export {
	char            *claim;		/* a name, or a JSON Pointer where it begins with "/" (RFC 6901) */
	char            *name;		/* of the variable, whole: CLAIM_SUB */
	char            *join;		/* between the entries of an array of plain values; NULL: as compact JSON */
	enum bg_encoding encoding;
};

/* All that leaves.  Cleared memory exports nothing but AUTH_TYPE. */
struct bg_exports {
	struct bg_export *exports;
	size_t            n_exports;
	char             *user_claim;	/* for REMOTE_USER; NULL: none */
	bool              json;		/* CLAIMS_JSON too */
};

/*
 * The claims exported unless told otherwise, NULL at the end: RFC 9068 section 2.2, RFC 7519 section 4.1 and what Auth0
 * and others add.
 */
extern const char *const bg_export_defaults[];

/* The variable of a claim that was given no name of its own: CLAIM_ and the name, or the last part of the pointer, in
 * upper case, with "_" for all but A-Z and 0-9. */
void bg_export_name(const char *claim, struct bg_buf *out);

/* Why a variable may not have this name, in static words; NULL when it may (SR-80, SR-81). */
const char *bg_export_name_wrong(const char *name);

/*
 * Put the variables of an allowed request into out, one after the other, each as name NUL value NUL.  A string or
 * number goes out raw, an array or object as compact JSON, or joined; every byte outside printable ASCII, "%" itself and
 * a space at either end are percent-encoded, or the whole value is base64url, so that no claim can make a variable or
 * header of its own (SR-80 to SR-82).  A value that is too long for a server's header line is a
 * failure, with a line in the log that names it: a program that looks for a claim must not be misled by a server's limit.
 * AUTH_TYPE is the scheme by which the token came.
 * With claims NULL the request is anonymous: every name goes out with an empty value, so that nothing the program
 * behind finds there can have come from elsewhere (SR-84).
 * out has a ceiling of its own; returns -1 with BG_R_INTERNAL when it was reached, too.
 */
int bg_export(const struct bg_exports *exports, enum bg_scheme scheme, const struct bg_claims *claims, struct bg_buf *out,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Put an empty value into out for each name that bg_export, for the same exports and claims, has put none: for servers that need
 * every name they were told of.  As bg_export otherwise.
 */
int bg_export_missing(const struct bg_exports *exports, const struct bg_claims *claims, struct bg_buf *out,
    struct bg_error *err) BG_MUST_CHECK;

/* Take the next pair off what bg_export made; false at the end. */
bool bg_export_next(struct bg_slice *rest, struct bg_slice *name, struct bg_slice *value);

void bg_exports_clear(struct bg_exports *exports);

#endif
