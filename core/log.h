#ifndef BG_CORE_LOG_H
#define BG_CORE_LOG_H

#include "core/buf.h"

/*
 * Error: someone must act.  Warning: someone may have to soon.  Info: a decision.  Debug: for us.
 * The order matters: a level shows itself and those before it.
 */
enum bg_log_level { BG_LOG_ERROR, BG_LOG_WARNING, BG_LOG_INFO, BG_LOG_DEBUG };

/* Before the first thread.  Lines go to fd (2 unless set), those above level nowhere.  The default is info. */
void bg_log_open(int fd, enum bg_log_level level);

/*
 * From any thread, while others write.  bg_log_file opens a file to be appended to, made with mode 0640 where there is
 * none, and returns a descriptor or -1 with BG_R_INTERNAL; only a file or a device will do, since a pipe could make us
 * wait.  bg_log_switch takes such a descriptor, or any other above 2, and sends all lines there from now on; what was
 * there before is closed if it was given to it too, and no line is lost or torn between the two.
 */
int  bg_log_file(const char *path, struct bg_error *err) BG_MUST_CHECK;
void bg_log_switch(int fd);
void bg_log_set_level(enum bg_log_level level);
bool bg_log_wants(enum bg_log_level level);
bool bg_log_level_parse(struct bg_slice name, enum bg_log_level *out);	/* "error", "warning", "info", "debug" */

/*
 * One line with time and level in front, written in one call of write(2), so that lines of several threads do not
 * mix.  A line over 4 KiB is cut.  Text from outside goes in by bg_log_text only.
 */
void bg_log(enum bg_log_level level, const char *fmt, ...) BG_PRINTF(2, 3);

/* Put text from outside between quotes, with quotes, backslashes and all but printable ASCII escaped; cut at 512 bytes. */
void bg_log_text(struct bg_buf *line, struct bg_slice text);

#endif
