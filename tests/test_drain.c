#include "cgi/drain.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/limits.h"
#include "tests/support/run.h"

/* Ten bytes are there, and then the end. */
static const struct { const char *length; int64_t want; const char *encoding; } rows[] = {
	{ NULL, 0, NULL },
	{ "", 0, NULL },
	{ "0", 0, NULL },
	{ "4", 4, NULL },		/* never more: what follows may be the client's next request */
	{ "10", 10, NULL },
	{ "11", 10, NULL },
	{ "99999999999999999999999999", 10, NULL },
	{ "9223372036854775808", 10, NULL },
	{ "-1", 0, NULL },
	{ "+4", 0, NULL },
	{ " 4", 0, NULL },
	{ "4 ", 0, NULL },
	{ "4,4", 0, NULL },
	{ "0x4", 0, NULL },
	{ NULL, 10, "chunked" },
	{ "", 10, "gzip, Chunked" },
	{ NULL, 0, "" },
	{ "4", 4, "chunked" },
	{ "0", 0, "chunked" },
	{ "x", 0, "chunked" },
};

START_TEST(a_body_is_read_to_its_length_and_no_further)	/* RFC 3875 section 4.2 */
{
	char rest[16];
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "0123456789", 10), 10);
	close(ends[1]);
	ck_assert_int_eq(bg_drain(ends[0], rows[_i].length, rows[_i].encoding), rows[_i].want);
	ck_assert_int_eq(read(ends[0], rest, sizeof(rest)), 10 - rows[_i].want);
	close(ends[0]);
}
END_TEST

static void *
pour(void *arg)
{
	static const char block[100000];
	int fd = *(int *)arg;

	for (int i = 0; i < 200; i++)
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			break;
	close(fd);
	return NULL;
}

START_TEST(a_large_body_is_read_to_its_end)
{
	pthread_t thread;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, pour, &ends[1]), 0);
	ck_assert_int_eq(bg_drain(ends[0], "20000000", NULL), 20000000);
	pthread_join(thread, NULL);
	close(ends[0]);
}
END_TEST

START_TEST(what_cannot_be_read_is_not_waited_for)
{
	int64_t begin = bg_clock_mono_ms();
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	close(ends[1]);
	ck_assert_int_eq(bg_drain(ends[0], "10", NULL), 0);
	ck_assert_int_lt(bg_clock_mono_ms() - begin, BG_DRAIN_MS / 2);
}
END_TEST

START_TEST(a_body_that_does_not_come_is_waited_for_no_longer_than_the_limit)
{
	int64_t begin = bg_clock_mono_ms();
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "0123", 4), 4);
	/* the same with chunks, whose end is known to nobody: a server may leave its connection open */
	ck_assert_int_eq(bg_drain(ends[0], _i == 0 ? "10" : NULL, _i == 0 ? NULL : "chunked"), 4);
	ck_assert_int_ge(bg_clock_mono_ms() - begin, BG_DRAIN_MS);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("drain");
	TCase *tc = tcase_create("drain");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_body_is_read_to_its_length_and_no_further, 0, N(rows));
	tcase_add_test(tc, a_large_body_is_read_to_its_end);
	tcase_add_test(tc, what_cannot_be_read_is_not_waited_for);
	tcase_add_loop_test(tc, a_body_that_does_not_come_is_waited_for_no_longer_than_the_limit, 0, 2);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
