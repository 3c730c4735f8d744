#include "core/token.h"

#include "core/limits.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define HEADER	"{\"alg\":\"RS256\"}"

static const struct {
	const char    *name, *header, *payload;
	enum bg_reason want;
} parts[] = {
	{ "the least there can be", HEADER, "{}", BG_R_OK },
	{ "kid and typ", "{\"alg\":\"RS256\",\"kid\":\"1\",\"typ\":\"at+jwt\"}", "{}", BG_R_OK },
	{ "members nobody knows", "{\"alg\":\"RS256\",\"x\":[1,{}]}", "{}", BG_R_OK },	/* RFC 7515 section 4 */
	{ "keys in the header are not looked at", "{\"alg\":\"RS256\",\"jwk\":1,\"jku\":2,\"x5u\":3,\"x5c\":4}", "{}", BG_R_OK },	/* SR-11 */
	{ "no alg", "{}", "{}", BG_R_BAD_HEADER },					/* SR-3 */
	{ "alg null", "{\"alg\":null}", "{}", BG_R_BAD_HEADER },
	{ "alg a number", "{\"alg\":1}", "{}", BG_R_BAD_HEADER },
	{ "alg an array", "{\"alg\":[\"RS256\"]}", "{}", BG_R_BAD_HEADER },
	{ "kid a number", "{\"alg\":\"RS256\",\"kid\":1}", "{}", BG_R_BAD_HEADER },	/* SR-26 */
	{ "kid null", "{\"alg\":\"RS256\",\"kid\":null}", "{}", BG_R_BAD_HEADER },
	{ "typ an object", "{\"alg\":\"RS256\",\"typ\":{}}", "{}", BG_R_BAD_HEADER },
	{ "crit", "{\"alg\":\"RS256\",\"crit\":[\"b64\"]}", "{}", BG_R_CRITICAL_HEADER },	/* SR-4 */
	{ "crit empty", "{\"alg\":\"RS256\",\"crit\":[]}", "{}", BG_R_CRITICAL_HEADER },
	{ "crit null", "{\"alg\":\"RS256\",\"crit\":null}", "{}", BG_R_CRITICAL_HEADER },
	{ "b64", "{\"alg\":\"RS256\",\"b64\":false}", "{}", BG_R_CRITICAL_HEADER },
	{ "header an array", "[]", "{}", BG_R_BAD_HEADER },				/* SR-27 */
	{ "header no JSON", "x", "{}", BG_R_BAD_HEADER },
	{ "header empty", "", "{}", BG_R_BAD_HEADER },
	{ "alg twice", "{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", BG_R_BAD_HEADER },	/* SR-27 */
	{ "payload an array", HEADER, "[]", BG_R_BAD_CLAIMS },
	{ "payload a string", HEADER, "\"x\"", BG_R_BAD_CLAIMS },
	{ "payload empty", HEADER, "", BG_R_BAD_CLAIMS },
	{ "payload with a name twice", HEADER, "{\"aud\":\"a\",\"aud\":\"b\"}", BG_R_BAD_CLAIMS },
};

START_TEST(header_and_payload_are_read_or_refused)
{
	char *compact = bg_mint_compact(bg_slice_str(parts[_i].header), bg_slice_str(parts[_i].payload), BG_SLICE("sig"));
	struct bg_error err = { 0 };
	struct bg_token *token;
	int rc = bg_token_parse(bg_slice_str(compact), &token, &err);

	ck_reason(rc, err, parts[_i].want, parts[_i].name);
	ck_assert((token != NULL) == (rc == 0));
	if (rc == 0) {
		ck_assert(bg_slice_equal(token->alg, BG_SLICE("RS256")));
		ck_assert(bg_slice_equal(token->signature, BG_SLICE("sig")));
		ck_assert_ptr_eq(token->signing_input.ptr, compact);
		ck_assert_uint_eq(token->signing_input.len, (size_t)(strrchr(compact, '.') - compact));
	}
	bg_token_unref(token);
	free(compact);
}
END_TEST

#define H64	"eyJhbGciOiJSUzI1NiJ9"	/* HEADER */

static const struct {
	const char    *name, *compact;
	enum bg_reason want;
} forms[] = {
	{ "whole", H64 ".e30.c2ln", BG_R_OK },
	{ "nothing", "", BG_R_BAD_TOKEN },
	{ "one part", H64, BG_R_BAD_TOKEN },
	{ "two parts", H64 ".e30", BG_R_BAD_TOKEN },
	{ "four parts", H64 ".e30.c2ln.c2ln", BG_R_BAD_TOKEN },
	{ "five parts", H64 ".a.b.c.d", BG_R_TOKEN_ENCRYPTED },			/* SR-8 */
	{ "six parts", H64 ".a.b.c.d.e", BG_R_BAD_TOKEN },
	{ "dots alone", "..", BG_R_BAD_TOKEN },
	{ "a thousand dots", NULL, BG_R_BAD_TOKEN },				/* SR-20 */
	{ "no signature", H64 ".e30.", BG_R_BAD_TOKEN },			/* SR-3 */
	{ "padding in the header", H64 "=.e30.c2ln", BG_R_BAD_TOKEN },		/* SR-31 */
	{ "padding in the payload", H64 ".e30=.c2ln", BG_R_BAD_TOKEN },
	{ "the other alphabet", H64 ".e30.c2+n", BG_R_BAD_TOKEN },
	{ "bits left over in the payload", H64 ".e31.c2ln", BG_R_BAD_TOKEN },
	{ "bits left over in the signature", H64 ".e30.c2ls", BG_R_OK },	/* four characters: none are left over */
	{ "bits left over in a short signature", H64 ".e30.c2l", BG_R_BAD_TOKEN },
	{ "white space at the end", H64 ".e30.c2ln ", BG_R_BAD_TOKEN },
};

START_TEST(the_form_of_a_token_is_exact)
{
	char dots[1001];
	struct bg_error err = { 0 };
	struct bg_slice compact = bg_slice_str(forms[_i].compact);
	struct bg_token *token;
	int rc;

	if (compact.ptr == NULL) {
		memset(dots, '.', sizeof(dots));
		compact = (struct bg_slice){ dots, sizeof(dots) };
	}
	rc = bg_token_parse(compact, &token, &err);
	ck_reason(rc, err, forms[_i].want, forms[_i].name);
	bg_token_unref(token);
}
END_TEST

/* A JSON object with one string member that makes it len bytes long; the caller's to free. */
static char *
object_of(const char *head, size_t len)
{
	struct bg_slice out;
	struct bg_buf buf;

	bg_buf_init(&buf, 1 << 20);
	bg_buf_put_str(&buf, head);
	while (buf.len < len - 2)
		bg_buf_put_char(&buf, 'x');
	bg_buf_put_str(&buf, "\"}");
	ck_assert_int_eq(bg_buf_finish(&buf, &out, NULL), 0);
	return buf.data;
}

static const struct {
	const char    *name;
	size_t         header, payload;
	enum bg_reason want;
} sizes[] = {
	{ "header as large as allowed", BG_TOKEN_HEADER_MAX, 20, BG_R_OK },
	{ "header one byte larger", BG_TOKEN_HEADER_MAX + 1, 20, BG_R_TOKEN_TOO_LARGE },
	{ "token close to the limit", 40, 12200, BG_R_OK },
	{ "token over the limit", 40, 12300, BG_R_TOKEN_TOO_LARGE },
	{ "token far over the limit", 40, 600000, BG_R_TOKEN_TOO_LARGE },
};

START_TEST(sizes_are_bounded_before_anything_is_decoded)	/* SR-20 */
{
	char *header = object_of("{\"alg\":\"RS256\",\"x\":\"", sizes[_i].header);
	char *payload = object_of("{\"x\":\"", sizes[_i].payload);
	char *compact = bg_mint_compact(bg_slice_str(header), bg_slice_str(payload), BG_SLICE("sig"));
	struct bg_error err = { 0 };
	struct bg_token *token;
	int rc = bg_token_parse(bg_slice_str(compact), &token, &err);

	ck_reason(rc, err, sizes[_i].want, sizes[_i].name);
	bg_token_unref(token);
	free(compact);
	free(payload);
	free(header);
}
END_TEST

START_TEST(the_longest_kid_is_256_bytes)	/* SR-13 */
{
	for (int more = 0; more < 2; more++) {
		struct bg_slice header;
		struct bg_error err = { 0 };
		struct bg_token *token;
		struct bg_buf buf;
		char *compact;
		int rc;

		bg_buf_init(&buf, 1000);
		bg_buf_put_format(&buf, "{\"alg\":\"RS256\",\"kid\":\"%0*d\"}", BG_KID_MAX + more, 7);
		ck_assert_int_eq(bg_buf_finish(&buf, &header, NULL), 0);
		compact = bg_mint_compact(header, BG_SLICE("{}"), BG_SLICE("sig"));
		rc = bg_token_parse(bg_slice_str(compact), &token, &err);
		ck_reason(rc, err, more == 0 ? BG_R_OK : BG_R_BAD_HEADER, "kid");
		bg_token_unref(token);
		free(compact);
		bg_buf_clear(&buf);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("token");
	TCase *tc = tcase_create("token");

	tcase_add_loop_test(tc, header_and_payload_are_read_or_refused, 0, N(parts));
	tcase_add_loop_test(tc, the_form_of_a_token_is_exact, 0, N(forms));
	tcase_add_loop_test(tc, sizes_are_bounded_before_anything_is_decoded, 0, N(sizes));
	tcase_add_test(tc, the_longest_kid_is_256_bytes);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
