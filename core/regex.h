#ifndef BG_CORE_REGEX_H
#define BG_CORE_REGEX_H

#include "core/buf.h"

/* A compiled regular expression, anchored at both ends and never changed: PCRE2 with its work bounded. */
struct bg_regex;

/*
 * Compile pattern; it matches a whole value, never a part of one (SR-47, SR-71).  *out belongs to the caller.
 * Returns -1 with BG_R_BAD_VARIABLE and, in the detail, PCRE2's words and the place in the pattern.
 */
int bg_regex_new(struct bg_regex **out, struct bg_slice pattern, struct bg_error *err) BG_MUST_CHECK;
void bg_regex_free(struct bg_regex *regex);	/* NULL is fine */

/*
 * Returns 1 or 0; 0 too when the match needs more work than the limits allow (which is logged), or text is no UTF-8; -1 when there was no
 * memory to find out.
 */
int bg_regex_matches(const struct bg_regex *regex, struct bg_slice text);

#endif
