#ifndef BG_TESTS_SUPPORT_REDIS_H
#define BG_TESTS_SUPPORT_REDIS_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/support/tmp.h"

/*
 * A redis-server of a test's own: on a port of 127.0.0.1 that was free a moment ago, on a socket in a directory of its own,
 * with nothing kept on disk, and gone with the test however that ends.  What fails inside is a failure of the test.
 */
struct bg_test_redis {
	struct bg_test_dir dir;
	pid_t pid;		/* 0: not running */
	int   port;		/* kept over a restart */
	int   tls_port;		/* 0: none */
	char  socket[1100];
	char  cert[1100];	/* the server's, and its own authority; for tls */
};

bool bg_test_redis_found(void);		/* is there one on this machine? */

/* *redis is cleared memory, or one that was stopped.  tls_name: the certificate's subjectAltName, as "DNS:localhost"; or
   NULL.  args: further options, each with its value, NULL behind the last; or NULL. */
void bg_test_redis_start(struct bg_test_redis *redis, const char *tls_name, const char *const args[]);
void bg_test_redis_stop(struct bg_test_redis *redis);
void bg_test_redis_end(struct bg_test_redis *redis);	/* stop, and take away what it left */

/* Send lines of commands, each with its CR LF, and read until the answer holds the text wanted. */
void bg_test_redis_tell(const struct bg_test_redis *redis, const char *lines, const char *wanted);

/* A port nobody listens on just now. */
int bg_test_free_port(void);

#endif
