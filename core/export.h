#ifndef BG_CORE_EXPORT_H
#define BG_CORE_EXPORT_H

#include "core/claims.h"

/*
 * Put the variables of an allowed request into out, one after the other, each as name NUL value NUL: REMOTE_USER,
 * AUTH_TYPE, and CLAIM_<NAME> for each claim of the default list that is there.  A string or number goes out raw, an
 * array or object as compact JSON; every byte outside printable ASCII, and "%" itself, is percent-encoded, so that no
 * claim can make a variable or header of its own (SR-80 to SR-82).  What is too long for a server's header line is
 * left out, with a line in the log.
 * out has a ceiling of its own; returns -1 with BG_R_INTERNAL when it was reached.
 */
int bg_export(const struct bg_claims *claims, struct bg_buf *out, struct bg_error *err) BG_MUST_CHECK;

/* Take the next pair off what bg_export made; false at the end. */
bool bg_export_next(struct bg_slice *rest, struct bg_slice *name, struct bg_slice *value);

#endif
