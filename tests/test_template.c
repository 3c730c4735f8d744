/* What "bearergate init" makes of the examples. */
#include "tool/template.h"

#include "tests/support/run.h"

static const struct bg_template_word words[] = {
	{ BG_SLICE_INIT("@PORT@"), BG_SLICE_INIT("8080") },
	{ BG_SLICE_INIT("@A@"),    BG_SLICE_INIT("@PORT@") },
	{ BG_SLICE_INIT("@NONE@"), BG_SLICE_INIT("") },
	{ BG_SLICE_INIT("/api"),   BG_SLICE_INIT("/v1") },
};

static const struct { const char *name, *text; enum bg_reason want_reason; const char *want; } fills[] = {
	{ "nothing to fill in",                   "a b\n",               BG_R_OK,       "a b\n" },
	{ "a word",                               "x @PORT@;",           BG_R_OK,       "x 8080;" },
	{ "a word twice, side by side",           "@PORT@@PORT@",        BG_R_OK,       "80808080" },
	{ "what was put in is not looked at",     "@A@",                 BG_R_OK,       "@PORT@" },
	{ "a word for nothing",                   "<@NONE@>",            BG_R_OK,       "<>" },
	{ "a word that is no placeholder",        "\"/api/private\"",    BG_R_OK,       "\"/v1/private\"" },
	{ "at the very end",                      "@PORT@",              BG_R_OK,       "8080" },
	{ "an at sign alone",                     "a@b @ @",             BG_R_OK,       "a@b @ @" },
	{ "a name of nginx",                      "@bearergate_401 {",   BG_R_OK,       "@bearergate_401 {" },
	{ "half of one",                          "@POR",                BG_R_OK,       "@POR" },
	{ "one that nothing stands for",          "x @PORTS@ y",         BG_R_INTERNAL, NULL },
	{ "the same at the end",                  "@X@",                 BG_R_INTERNAL, NULL },
};

START_TEST(words_are_filled_in_and_none_is_forgotten)
{
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf out;

	bg_buf_init(&out, 1024);
	ck_reason(bg_template_fill(bg_slice_str(fills[_i].text), words, N(words), &out, &err), err, fills[_i].want_reason,
	    fills[_i].name);
	if (fills[_i].want != NULL) {
		ck_assert_int_eq(bg_buf_finish(&out, &text, &err), 0);
		ck_assert_str_eq(text.ptr, fills[_i].want);
	}
	bg_buf_clear(&out);
}
END_TEST

static const struct { const char *text, *want; } bodies[] = {
	{ "# how to\n# fill in\n\nbody\n\nmore\n", "body\n\nmore\n" },
	{ "one paragraph\n",                         "one paragraph\n" },
	{ "",                                        "" },
};

START_TEST(the_first_paragraph_is_taken_off)
{
	struct bg_slice body = bg_template_body(bg_slice_str(bodies[_i].text));

	ck_assert_str_eq(body.ptr, bodies[_i].want);	/* it ends where the text does */
	ck_assert_uint_eq(body.len, strlen(bodies[_i].want));
}
END_TEST

/* A byte of each that the rule which puts them into the program could spoil. */
static const struct { const char *name, *holds; } examples[] = {
	{ "apache/httpd.conf",                "RequireBasicAuth Off \\\n" },
	{ "apache-fcgid/httpd.conf",          "\"^/api(?!/public(/|$))\">\n" },
	{ "caddy/Caddyfile",                  "respond `{\"detail\":{\"error\":\"invalid_request\"" },
	{ "cgi/action.conf",                  "\"^(/api|/bearergate-cgi)(/|$)\">\n" },
	{ "cgi/bearergate.conf",              "domain      = \"@DOMAIN@\"\n" },
	{ "cgi/lighttpd.conf",                "(?!/public(/|$))\"" },
	{ "cgi/nginx.conf",                   "PATH_TRANSLATED   @SCRIPTS@$uri;\n" },
	{ "lighttpd/lighttpd.conf",           "\"check-local\"     => \"disable\",\n" },
	{ "nginx/bearergate_params",          "fastcgi_param BEARERGATE_URI        $request_uri;\n" },
	{ "nginx/nginx.conf",                 "return 403 '{\"detail\":{\"error\":\"forbidden\"" },
	{ "systemd/bearergate-fcgi.service",  "kill -HUP $MAINPID\n" },
	{ "systemd/bearergate-fcgi.socket",   "SocketMode=0660\n" },
};

START_TEST(the_examples_are_in_the_program_to_the_byte)
{
	struct bg_slice text = bg_template_find(examples[_i].name);

	ck_assert_msg(text.ptr != NULL, "%s", examples[_i].name);
	ck_assert_msg(memmem(text.ptr, text.len, examples[_i].holds, strlen(examples[_i].holds)) != NULL, "%s",
	    examples[_i].name);
}
END_TEST

START_TEST(an_example_that_is_not_there_is_not_found)
{
	ck_assert_ptr_null(bg_template_find("nginx").ptr);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("template");
	TCase *tcase = tcase_create("template");

	tcase_add_loop_test(tcase, words_are_filled_in_and_none_is_forgotten, 0, N(fills));
	tcase_add_loop_test(tcase, the_first_paragraph_is_taken_off, 0, N(bodies));
	tcase_add_loop_test(tcase, the_examples_are_in_the_program_to_the_byte, 0, N(examples));
	tcase_add_test(tcase, an_example_that_is_not_there_is_not_found);
	suite_add_tcase(suite, tcase);
	return bg_test_run(suite);
}
