#include "core/account.h"

#include <string.h>

#include "tests/support/run.h"

/* root, with number 0, is the one account that every system has. */
static const struct { const char *text; const char *wrong; uid_t uid; gid_t gid; bool known; } users[] = {
	{ "root",        NULL, 0, 0, true },
	{ "0",           NULL, 0, 0, true },
	{ "000",         NULL, 0, 0, true },
	{ "3999999999",  NULL, 3999999999u, (gid_t)-1, false },
	{ "4294967294",  NULL, 4294967294u, (gid_t)-1, false },
	{ "4294967295",  "is too large for a number", (uid_t)-1, (gid_t)-1, false },	/* "as it is", to chown(2) and setresuid(2) */
	{ "4294967296",  "is too large for a number", (uid_t)-1, (gid_t)-1, false },	/* 0, to a careless reader */
	{ "18446744073709551616", "is too large for a number", (uid_t)-1, (gid_t)-1, false },
	{ "-1",          "is no user of this system", (uid_t)-1, (gid_t)-1, false },
	{ "0x0",         "is no user of this system", (uid_t)-1, (gid_t)-1, false },
	{ "no-such-user-here", "is no user of this system", (uid_t)-1, (gid_t)-1, false },
	{ "",            "is no user of this system", (uid_t)-1, (gid_t)-1, false },
	{ "Root",        "is no user of this system", (uid_t)-1, (gid_t)-1, false },
};
START_TEST(a_user_has_a_name_or_a_number)
{
	struct bg_user user;
	const char *wrong = bg_account_user(users[_i].text, &user);

	ck_assert_pstr_eq(wrong, users[_i].wrong);
	ck_assert_msg(user.uid == users[_i].uid && user.gid == users[_i].gid && user.known == users[_i].known, "%s: %u %u %d",
	    users[_i].text, user.uid, user.gid, user.known);
	ck_assert_str_eq(user.name, user.known ? "root" : "");
}
END_TEST

static const struct { const char *text; const char *wrong; gid_t gid; } groups[] = {
	{ "root",        NULL, 0 },
	{ "0",           NULL, 0 },
	{ "3999999999",  NULL, 3999999999u },
	{ "4294967295",  "is too large for a number", (gid_t)-1 },
	{ "4294967296",  "is too large for a number", (gid_t)-1 },
	{ "no-such-group-here", "is no group of this system", (gid_t)-1 },
	{ "",            "is no group of this system", (gid_t)-1 },
	{ "0 ",          "is no group of this system", (gid_t)-1 },
};
START_TEST(a_group_has_a_name_or_a_number)
{
	gid_t gid;
	const char *wrong = bg_account_group(groups[_i].text, &gid);

	ck_assert_pstr_eq(wrong, groups[_i].wrong);
	ck_assert_msg(gid == groups[_i].gid, "%s: %u", groups[_i].text, gid);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("account");
	TCase *tc = tcase_create("account");

	tcase_add_loop_test(tc, a_user_has_a_name_or_a_number, 0, N(users));
	tcase_add_loop_test(tc, a_group_has_a_name_or_a_number, 0, N(groups));
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
