#ifndef BG_CORE_LINE_H
#define BG_CORE_LINE_H

#include "core/log.h"

/* A line of the log being made: key=value, or the members of a JSON object where the log is in JSON. */
struct bg_line {
	struct bg_buf buf;
	bool          json;
};

void bg_line_init(struct bg_line *line);	/* the storage is the caller's; bg_line_clear in any case */

void bg_line_word(struct bg_line *line, const char *key, const char *word);	/* one of ours, which needs no quotes */
void bg_line_number(struct bg_line *line, const char *key, unsigned number);

/* Text from outside, quoted and escaped, and cut at the length of bg_log_text; ptr NULL: nothing, without a key. */
void bg_line_text(struct bg_line *line, const char *key, struct bg_slice text);

/* To the log, and begun anew.  False: it does not fit, or there is no memory. */
bool bg_line_write(struct bg_line *line, enum bg_log_level level);

void bg_line_clear(struct bg_line *line);

#endif
