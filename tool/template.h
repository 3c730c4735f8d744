#ifndef BG_TOOL_TEMPLATE_H
#define BG_TOOL_TEMPLATE_H

#include "core/buf.h"

/*
 * The examples of conf/examples as the program brings them: put into it when it is built, so that what "bearergate init"
 * writes is what the end-to-end tests have run.
 */

/* The text of one, "nginx/nginx.conf" say; ptr is NULL when there is no such example. */
struct bg_slice bg_template_find(const char *name);

/* What stands for from in a text.  Both are borrowed. */
struct bg_template_word {
	struct bg_slice from;
	struct bg_slice to;
};

/*
 * Put text into out with every word of words replaced, the first that fits where several do; what was put in is not looked
 * at again.  Returns 0, or -1 with BG_R_INTERNAL when an @WORD@ in capitals is left that none of them stands for.
 */
int bg_template_fill(struct bg_slice text, const struct bg_template_word *words, size_t n, struct bg_buf *out,
    struct bg_error *err) BG_MUST_CHECK;

/* text without its first paragraph, which tells people how to fill in what they fill in by themselves. */
struct bg_slice bg_template_body(struct bg_slice text);

#endif
