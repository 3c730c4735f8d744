#ifndef BG_CORE_JSON_H
#define BG_CORE_JSON_H

#include <jansson.h>

#include "core/buf.h"

/*
 * Parse text that must be one JSON object and nothing else.  Before jansson sees it, one pass over the text bounds
 * its nesting, the length of its numbers and the members of its objects (SR-28, SR-29, SR-30); duplicate names and
 * NUL characters are refused (SR-27).  *out belongs to the caller: json_decref.
 * On failure returns -1 with the reason given, or BG_R_NO_MEMORY, *out NULL.
 *
 * RFC 8259, RFC 7519 section 4.
 */
int bg_json_object(struct bg_slice text, enum bg_reason reason, json_t **out, struct bg_error *err) BG_MUST_CHECK;

/* The memory of an object, all of it. */
struct bg_json_pool;

/*
 * The same, but the object belongs to *pool, and *pool to the caller: bg_json_pool_free.  Nothing in it is counted or changed
 * (json_incref, json_decref, json_object_set), by nobody, ever; so any number of threads may read it.
 * On failure *pool is NULL too.
 */
int bg_json_object_pooled(struct bg_slice text, enum bg_reason reason, json_t **out, struct bg_json_pool **pool,
    struct bg_error *err) BG_MUST_CHECK;
void   bg_json_pool_free(struct bg_json_pool *pool);	/* NULL is fine */
size_t bg_json_pool_bytes(const struct bg_json_pool *pool);	/* that it takes, about */

/* The pass itself: 0, or -1 and a word on what is too much in *why. */
int bg_json_prescan(struct bg_slice text, const char **why) BG_MUST_CHECK;

/* The text of a JSON string, borrowed; ptr is NULL when value is NULL or no string. */
struct bg_slice bg_json_string(const json_t *value);

/* Has jansson been short of memory on this thread since bg_json_object last began?  What it left out may then be why. */
bool bg_json_no_memory(void);

/* Forget that it was: for whoever begins with a value that was parsed earlier. */
void bg_json_begin(void);

/* "string", "integer" and so on, for details; value may be NULL ("nothing"). */
const char *bg_json_type_name(const json_t *value);

/*
 * Write text as a JSON string with its quotes, ASCII only; < > & ' are escaped as well, so that the text stays harmless
 * where a server sends it as HTML (SR-83).  Text that is not UTF-8 has its odd bytes written as U+FFFD.
 */
void bg_json_put_string(struct bg_buf *buf, struct bg_slice text);

/*
 * Once, before the first thread and before anything else uses jansson: seeds its hash from the system's randomness
 * (SR-29), and makes it tell want of memory from text that is no JSON.
 */
int bg_json_start(void);

#endif
