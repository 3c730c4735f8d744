#ifndef BG_CORE_LOG_H
#define BG_CORE_LOG_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/buf.h"

/*
 * Error: someone must act.  Warning: someone may have to soon.  Info: a decision.  Debug: for us.
 * The order matters: a level shows itself and those before it.
 */
enum bg_log_level { BG_LOG_ERROR, BG_LOG_WARNING, BG_LOG_INFO, BG_LOG_DEBUG };

/* A line each: "2026-11-26T17:22:01Z info text", or an object {"time": ..., "level": ..., "message": ...}. */
enum bg_log_format { BG_LOG_TEXT = 0, BG_LOG_JSON };

/* Before the first thread.  Lines go to fd (2 unless set), those above level nowhere.  The default is info. */
void bg_log_open(int fd, enum bg_log_level level);

/*
 * Before bg_log_open: where a descriptor is what stream says, in the form of JOURNAL_STREAM that systemd sets for standard
 * error, each line begins with its priority, "<6>" for info, and a line of text has no time, since the journal has its own.
 * NULL, the default, or nonsense: none is.  See systemd.exec(5) and sd-daemon(3).
 */
void bg_log_journal(const char *stream);

/*
 * A descriptor for standard error that bg_log can write to without waiting, whoever else writes there; the caller's to keep.
 * Of a pipe it is one of our own, as far as the system lets us open it; it must be asked for before PR_SET_DUMPABLE is
 * taken away.  -1: there is none.
 */
int  bg_log_stderr(void);

/*
 * From any thread, while others write.  bg_log_file opens a file to be appended to, made with mode 0640 where there is
 * none, and returns a descriptor or -1 with BG_R_INTERNAL; only a file or a device will do, since a pipe could make us
 * wait.  bg_log_switch takes such a descriptor, or any other above 2, and sends all lines there from now on; what was
 * there before is closed if it was given to it too, and no line is lost or torn between the two.
 */
int  bg_log_file(const char *path, struct bg_error *err) BG_MUST_CHECK;
void bg_log_switch(int fd);

/* Where lines for syslogd go and how they are marked. */
#define BG_LOG_SYSLOG_PATH_MAX	108	/* of sockaddr_un */
struct bg_log_syslog {
	int  facility;			/* as of syslog(3) */
	char path[BG_LOG_SYSLOG_PATH_MAX];
};

/* "syslog", "syslog:FACILITY", "syslog:/PATH" or "syslog:FACILITY:/PATH"; by default daemon and /dev/log. */
bool bg_log_is_syslog(const char *text);
const char *bg_log_syslog_parse(const char *text, struct bg_log_syslog *out);	/* NULL, or static words on what is wrong */

/*
 * A descriptor for bg_log_open or bg_log_switch, which sends each line as a datagram in the form that syslog(3) has for a local
 * syslogd, RFC 3164 section 4.1 without the host: priority, local time, ident with the process number.  ident is static.  A
 * syslogd that is started anew is found again; lines for one that is away, or too busy, are lost and told of as others are.
 * Of the main thread.  -1 with BG_R_INTERNAL: there can be none.  err is set, too, with a descriptor nobody listens for yet.
 */
int bg_log_syslog(const struct bg_log_syslog *to, const char *ident, struct bg_error *err) BG_MUST_CHECK;

/* The same of a descriptor that another process, or another part of this one, has from bg_log_syslog; false for one that is none. */
bool bg_log_syslog_adopt(int fd, const struct bg_log_syslog *to, const char *ident) BG_MUST_CHECK;
void bg_log_set_level(enum bg_log_level level);
void bg_log_set_format(enum bg_log_format format);	/* the default is text */
bool bg_log_wants(enum bg_log_level level);
enum bg_log_level bg_log_wanted(enum bg_log_level level);	/* this one, or the nearest that is logged */
enum bg_log_format bg_log_format_now(void);
bool bg_log_level_parse(struct bg_slice name, enum bg_log_level *out);	/* "error", "warning", "info", "debug" */

/*
 * One line with time and level in front, written in one call of write(2), so that lines of several threads do not
 * mix.  A line over 4 KiB is cut.  Text from outside goes in by bg_log_text only.
 *
 * Never waits for whoever reads a pipe, socket or terminal: a line that it has no room for is lost, and so is one for which the
 * disk has none.  The next line that gets through is preceded by a warning that says how many were.  Only a pipe that others
 * write to at the same time, and that bg_log_stderr could not open, can still make it wait; and the disk, for a file.
 */
void bg_log(enum bg_log_level level, const char *fmt, ...) BG_PRINTF(2, 3);

/* A line in JSON whatever the format: members is what stands in its object behind time and level, '"a":1,"b":"c"'. */
void bg_log_members(enum bg_log_level level, struct bg_slice members);

/* Put text from outside between quotes, with quotes, backslashes and all but printable ASCII escaped; cut at 512 bytes. */
void bg_log_text(struct bg_buf *line, struct bg_slice text);

/*
 * How many lines of one kind are written in a second.  Starts as { 0 }.  bg_log_may says whether this one may be, and how
 * many were left out before it that nobody has been told of yet, which the caller now does.  rate 0: any number.
 * bg_log_left_out gives that number without a line, once their second is over.  mono_ms is bg_clock_mono_ms().
 * From any thread; takes no lock.
 */
struct bg_log_limit {
	atomic_ullong second;		/* the second it is about in the upper half, lines in it in the lower */
	atomic_uint   left_out;
};
bool     bg_log_may(struct bg_log_limit *limit, unsigned rate, int64_t mono_ms, unsigned *left_out);
unsigned bg_log_left_out(struct bg_log_limit *limit, int64_t mono_ms);

#endif
