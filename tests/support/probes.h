#ifndef BG_TESTS_SUPPORT_PROBES_H
#define BG_TESTS_SUPPORT_PROBES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Probes for sandboxes: each tries one thing, and says what came of it, an errno or 0.  Tried in a child, as it is and
 * behind a sandbox: as it is it must not be refused, or the probe would prove nothing.
 */
struct bg_probe {
	const char *name;
	int       (*probe)(void);
	bool        always;	/* it may fail with EPERM in some places even without us */
	int         landlock;	/* the ABI that refuses it without a filter of system calls; 0: none does */
};

/* What no program of ours may do once it reads what strangers send. */
extern const struct bg_probe bg_probes[];
extern const size_t bg_n_probes;

/* What they are tried at.  Made anew for each test. */
struct bg_probe_things {
	char  dir[4096];
	char  path[4200];	/* a file in it */
	char  absent[4200];	/* none in it */
	int   sock, listening;	/* a socket to do something with, one that listens */
	void *page;		/* anonymous, may be read and written */
};
extern struct bg_probe_things bg_probe_things;
void bg_probes_set_up(void);
void bg_probes_tear_down(void);

int bg_probe_said(long rc);		/* errno for -1, else 0 */
int bg_probe_connect(void);		/* a connection to what listens, by the socket that is there */
int bg_probe_thread(void);		/* a thread that does nothing; BG_PROBE_LOST if it did not run */
int bg_probe_fork_in_thread(void);	/* a process made by another thread */
int bg_probe_abort(void);		/* abort(3): SIGABRT when it was raised */

/*
 * What a probe comes to in a child of its own, once that has entered; NULL: as it is.  enter returns 0, or anything else when it
 * cannot, which makes BG_PROBE_LOST.
 */
#define BG_PROBE_LOST	255
int bg_probe_try(int (*probe)(void), int (*enter)(void));

#endif
