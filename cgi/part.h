#ifndef BG_CGI_PART_H
#define BG_CGI_PART_H

#include "conf/conf.h"
#include "core/response.h"

/*
 * The part of the wrapper that decides by itself, and with it OpenSSL and jansson, is a shared object that is loaded only where
 * no daemon is asked: a program that asks starts in the half of the time without.  There are two, made of the same files: one
 * that is all of it, and a lean one for configurations without a replay store and without regular expressions, which need
 * neither LMDB nor hiredis nor PCRE2.  Both sides are of one build, or the part is not used: what they hand to each other are
 * plain structs.
 */

/* What there is to decide. */
struct bg_part_call {
	struct bg_conf *conf;	/* good, and without a daemon; stays the caller's */
	char *const    *env;	/* the request and what is demanded of it, see bg_metavars_read */
	const char     *fetch;	/* the program that fetches keys */
	int             log_fd;	/* see bg_log_open */
	bool            syslog;	/* it goes to syslogd, as conf says */
	int             demands;	/* the file beside the script, see cgi/narrow.h, which only a part that is whole is given; -1: none */
	const char     *demands_path;
	struct bg_error *unusable;	/* set where that file cannot be used: then nothing may run, whatever is decided */
};

struct bg_part {
	const char *build;	/* first, whatever else changes: which build it is of, BG_PART_BUILD */

	/*
	 * Decide and write the decision to the log.  True: the request may pass, and response, which was initialised, has its
	 * variables.  Else response is the answer to the client.  To be called once.
	 */
	bool (*decide)(const struct bg_part_call *call, struct bg_response *response);
};

#define BG_PART_IDENT		"bearergate-cgi"	/* for syslogd, of both sides */
#define BG_PART_NAME		"bg_part"	/* of the symbol, a const struct bg_part */
#define BG_PART_LEAN		"bearergate-alone.so"
#define BG_PART_WHOLE		"bearergate-alone-all.so"

extern const char *const bg_part_build;	/* of whoever asks: a digest of all that both must agree on */

/* Is the lean part enough for this? */
bool bg_part_is_lean(const struct bg_conf *conf);

/*
 * Load the part that is in the file path.  It must belong to this user or to root and be writable for nobody else.  *out is
 * there until the process ends or is another program.  Returns -1 with BG_R_INTERNAL.
 */
int bg_part_load(const char *path, const struct bg_part **out, struct bg_error *err) BG_MUST_CHECK;

/* The same of a program that the part may start; one that is not there will not be started.  Returns -1 with BG_R_INTERNAL. */
int bg_part_check_program(const char *path, struct bg_error *err) BG_MUST_CHECK;

#endif
