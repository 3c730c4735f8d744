#include "core/line.h"

#include <unistd.h>

#include "tests/support/run.h"

/* One line with all kinds of members, in either form. */
static const struct { enum bg_log_format format; const char *text; } forms[] = {
	{ BG_LOG_TEXT, " info decision=deny status=503 detail=\"a \\\"b\\\"\"\n" },
	{ BG_LOG_JSON, "\"decision\":\"deny\",\"status\":503,\"detail\":\"a \\\"b\\\"\"}\n" },
};

START_TEST(a_line_is_in_the_form_of_the_log)
{
	struct bg_line line;
	int fds[2];
	char text[1024];
	ssize_t n;

	ck_assert_int_eq(pipe(fds), 0);
	bg_log_open(fds[1], BG_LOG_INFO);
	bg_log_set_format(forms[_i].format);
	bg_line_init(&line);
	bg_line_word(&line, "decision", "deny");
	bg_line_number(&line, "status", 503);
	bg_line_text(&line, "path", (struct bg_slice){ NULL, 0 });	/* not there, so not said */
	bg_line_text(&line, "detail", BG_SLICE("a \"b\""));
	ck_assert(bg_line_write(&line, BG_LOG_INFO));
	ck_assert_uint_eq(line.buf.len, 0);
	bg_line_clear(&line);
	n = read(fds[0], text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_msg((size_t)n > strlen(forms[_i].text) && strcmp(text + n - strlen(forms[_i].text), forms[_i].text) == 0, "%s", text);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_line_that_does_not_fit_is_not_written_in_part)
{
	static char large[600];
	struct bg_line line;

	memset(large, 'a', sizeof(large));
	bg_line_init(&line);
	for (int i = 0; i < 10; i++)
		bg_line_text(&line, "detail", (struct bg_slice){ large, sizeof(large) });
	ck_assert(!bg_line_write(&line, BG_LOG_INFO));
	bg_line_clear(&line);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("line");
	TCase *tc = tcase_create("line");

	tcase_add_loop_test(tc, a_line_is_in_the_form_of_the_log, 0, N(forms));
	tcase_add_test(tc, a_line_that_does_not_fit_is_not_written_in_part);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
