#include "core/kidmemory.h"

#include "core/buf.h"
#include "tests/support/run.h"

static struct bg_slice
kid(int i)
{
	static char text[32];

	bg_format(text, sizeof(text), "kid-%d", i);
	return bg_slice_str(text);
}

START_TEST(a_kid_is_remembered_until_its_time)
{
	struct bg_kidmemory memory = { 0 };

	ck_assert(!bg_kidmemory_has(&memory, kid(1), 0));
	ck_assert(!bg_kidmemory_has(&memory, BG_SLICE(""), 0));
	bg_kidmemory_put(&memory, kid(1), 1000, 2000);
	bg_kidmemory_put(&memory, BG_SLICE(""), 1000, 2000);
	ck_assert(bg_kidmemory_has(&memory, kid(1), 1999));
	ck_assert(bg_kidmemory_has(&memory, BG_SLICE(""), 1999));
	ck_assert(!bg_kidmemory_has(&memory, kid(1), 2000));
	ck_assert(!bg_kidmemory_has(&memory, kid(2), 1500));
	bg_kidmemory_put(&memory, kid(1), 2000, 3000);
	ck_assert(bg_kidmemory_has(&memory, kid(1), 2999));
}
END_TEST

START_TEST(a_flood_of_kids_is_forgotten_and_nothing_grows)	/* SR-50 */
{
	struct bg_kidmemory memory = { 0 };
	int known = 0;

	for (int i = 0; i < 100000; i++)
		bg_kidmemory_put(&memory, kid(i), 0, 1000 + i);
	for (int i = 0; i < 100000; i++)
		known += bg_kidmemory_has(&memory, kid(i), 1);
	ck_assert_int_eq(known, BG_KIDMEMORY_SETS * BG_KIDMEMORY_WAYS);
	ck_assert(bg_kidmemory_has(&memory, kid(99999), 1));	/* the last one is never the one that goes */
	/* those that say nothing any more go first */
	bg_kidmemory_put(&memory, kid(-1), 200000, 300000);
	ck_assert(bg_kidmemory_has(&memory, kid(-1), 200001));
	ck_assert(!bg_kidmemory_has(&memory, kid(99999), 200001));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("kidmemory");
	TCase *tc = tcase_create("kidmemory");

	tcase_add_test(tc, a_kid_is_remembered_until_its_time);
	tcase_add_test(tc, a_flood_of_kids_is_forgotten_and_nothing_grows);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
