#ifndef BG_TESTS_SUPPORT_RUN_H
#define BG_TESTS_SUPPORT_RUN_H

#include <stdlib.h>

#include <check.h>

#include "core/error.h"

#define N(table)	((int)(sizeof(table) / sizeof((table)[0])))

/* err holds this reason and the call said so too: -1 for a failure, 0 for BG_R_OK. */
#define ck_reason(call, err, want, name) do {								\
	int ck_rc = (call);										\
													\
	ck_assert_msg((err).reason == (want) && (ck_rc == 0) == ((want) == BG_R_OK),			\
	    "%s: %s (%s), rc %d, wanted %s", (name), bg_reason_name((err).reason), (err).detail, ck_rc,	\
	    bg_reason_name(want));									\
} while (0)

/* Run a program's one suite; the exit status of main. */
static inline int
bg_test_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
