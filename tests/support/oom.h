#ifndef BG_TESTS_SUPPORT_OOM_H
#define BG_TESTS_SUPPORT_OOM_H

#include <stdbool.h>

/*
 * Allocations that fail when the test says so: ours because the linker puts these functions in the way (--wrap), jansson's
 * and OpenSSL's because core/json.c and core/secret.c hand them our malloc, PCRE2's because it is given a general context.
 * What fails inside is a fault of the test, so it ends the program.  For one thread.
 */

/* After bg_json_start and bg_secret_start, before anything else uses OpenSSL. */
void bg_oom_start(void);

/* From now on count allocations and let the nth fail; with all_after, every one after it too.  n from 1; 0: only count. */
void bg_oom_arm(unsigned long n, bool all_after);

/* No failures any more.  Returns how many there were since bg_oom_arm. */
unsigned long bg_oom_disarm(void);

/* Blocks of ours, jansson's and PCRE2's not freed yet; OpenSSL's are apart, because it keeps some on purpose. */
long bg_oom_live(void);
long bg_oom_live_openssl(void);

#endif
