#ifndef BG_FCGI_SANDBOX_H
#define BG_FCGI_SANDBOX_H

#include "conf/conf.h"

/*
 * What the worker, which reads what strangers send, may do beside deciding.  It can read files, so that a reload works; all
 * else it needs is open before, comes from the supervisor, or stands here.
 */
struct bg_sandbox_rules {
	struct bg_sandbox_dir {
		char       *path;	/* owned; NULL: not needed */
		const char *option;	/* why */
		bool        make;	/* is it made where it is missing? */
	} cache, store;			/* where files may be made, written, replaced and removed */
	bool network;			/* connections over TCP, names looked up: Redis */
	bool local;			/* connections to sockets that are files: Redis again */
};

/* By this configuration, and TMPDIR of the environment.  Cleared memory can be cleared.  Returns -1 with BG_R_NO_MEMORY. */
int  bg_sandbox_rules_set(struct bg_sandbox_rules *out, const struct bg_conf *conf, struct bg_error *err) BG_MUST_CHECK;
void bg_sandbox_rules_clear(struct bg_sandbox_rules *rules);

/*
 * Can a worker that lives by rules do what wanted says?  Otherwise returns -1 with BG_R_INTERNAL and which option asks for
 * more.  A pure function.
 */
int  bg_sandbox_has(const struct bg_sandbox_rules *rules, const struct bg_sandbox_rules *wanted,
    struct bg_error *err) BG_MUST_CHECK;

/* What bg_sandbox_worker puts in force on this system: "seccomp, landlock ABI 5", "seccomp", "landlock ABI 5", "none". */
#define BG_SANDBOX_WORDS	40
void bg_sandbox_describe(char words[BG_SANDBOX_WORDS]);
bool bg_sandbox_is_none(void);

/*
 * From now on, for every thread to come and with no way back: no program is run and no process made, traced or signalled;
 * nothing is written beneath other directories than those of rules, and nothing connected to but what they allow; no socket
 * listens that does not yet; memory is written or run, but not both; there is no core, and others of our user get none of our
 * memory.  What is refused fails, most of it with EPERM, what landlock refuses with EACCES.
 *
 * Of the two halves, the filter of system calls cannot tell one path from another, which landlock does.  A kernel without
 * landlock, and a program built without libseccomp, have the other half alone; neither is an error.  A directory that is not
 * there is left out, with a line in the log.
 *
 * To be called with one thread.  Returns 0, or -1 with BG_R_INTERNAL: then some of it may be in force, and this process is of
 * no use.
 *
 * SR-85, SR-90.
 */
int  bg_sandbox_worker(const struct bg_sandbox_rules *rules, struct bg_error *err) BG_MUST_CHECK;

#endif
