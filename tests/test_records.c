#include "fcgi/records.h"

#include "tests/support/records.h"
#include "tests/support/run.h"

static struct bg_slice
built(const struct bg_buf *buf)
{
	return (struct bg_slice){ buf->data, buf->len };
}

/* Copied to a place of its very size, so that a sanitizer sees every byte read too far. */
static enum bg_records
vet(struct bg_slice bytes, struct bg_records_request *out, const char **why)
{
	char *exact = malloc(bytes.len);
	enum bg_records got;

	ck_assert(exact != NULL || bytes.len == 0);
	if (bytes.len > 0)
		memcpy(exact, bytes.ptr, bytes.len);
	got = bg_records_vet((struct bg_slice){ exact, bytes.len }, out, why);
	free(exact);
	return got;
}

static const struct good {
	const char *name;
	unsigned    id, role, flags;
	const char *value;		/* of the first of two parameters */
	size_t      repeat;		/* it stands there so many times */
	size_t      piece;		/* bytes of one PARAMS record; 0: there are no parameters at all */
	unsigned    padding;
} good[] = {
	{ "one record",                         1,     BG_REC_AUTHORIZER, 0,   "GET", 1,    65535, 0 },
	{ "the server would keep it",           1,     BG_REC_AUTHORIZER, 1,   "GET", 1,    65535, 0 },
	{ "unknown flags do not matter",        1,     BG_REC_AUTHORIZER, 254, "GET", 1,    65535, 0 },
	{ "the highest request id",             65535, BG_REC_AUTHORIZER, 0,   "GET", 1,    65535, 0 },
	{ "an id in the high byte alone",       256,   BG_REC_AUTHORIZER, 0,   "GET", 1,    65535, 0 },
	{ "padding",                            1,     BG_REC_AUTHORIZER, 0,   "GET", 1,    65535, 255 },
	{ "records of one byte",                1,     BG_REC_AUTHORIZER, 0,   "GET", 1,    1,     0 },
	{ "records of one byte with padding",   1,     BG_REC_AUTHORIZER, 0,   "GET", 1,    1,     7 },
	{ "records of three bytes",             1,     BG_REC_AUTHORIZER, 0,   "GET", 1,    3,     5 },
	{ "a value with a length of four bytes", 1,    BG_REC_AUTHORIZER, 0,   "GET", 60,   65535, 0 },
	{ "the same in crumbs",                 1,     BG_REC_AUTHORIZER, 0,   "GET", 60,   1,     0 },
	{ "a value of 16 KiB, as Apache cuts it", 1,   BG_REC_AUTHORIZER, 0,   "GETS", 4096, 16384, 0 },
	{ "no parameters at all",               1,     BG_REC_AUTHORIZER, 0,   "",    0,    0,     0 },
	{ "an empty value",                     1,     BG_REC_AUTHORIZER, 0,   "",    0,    65535, 0 },
	{ "\"=\" in a value",                   1,     BG_REC_AUTHORIZER, 0,   "a=b", 1,    65535, 0 },
	{ "odd bytes in a value",               1,     BG_REC_AUTHORIZER, 0,   "\r\n\1\377", 1, 65535, 0 },
	{ "a Responder's, as nginx sends it",   1,     BG_REC_RESPONDER,  0,   "GET", 1,    65535, 0 },
	{ "a Responder's, to be kept",          1,     BG_REC_RESPONDER,  1,   "GET", 1,    65535, 0 },
	{ "a Responder's with another id",      513,   BG_REC_RESPONDER,  0,   "GET", 1,    65535, 0 },
	{ "a Responder's with padding",         1,     BG_REC_RESPONDER,  0,   "GET", 1,    65535, 255 },
	{ "a Responder's in crumbs",            1,     BG_REC_RESPONDER,  0,   "GET", 60,   1,     7 },
	{ "a Responder's without parameters",   1,     BG_REC_RESPONDER,  0,   "",    0,    0,     0 },
};

static void
make_good(const struct good *g, struct bg_buf *out)
{
	struct bg_buf pairs, value;

	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&value, BG_REC_MAX);
	for (size_t i = 0; i < g->repeat; i++)
		bg_buf_put_str(&value, g->value);
	if (g->piece > 0) {
		bg_rec_pair(&pairs, BG_SLICE("FIRST"), (struct bg_slice){ value.data, value.len });
		bg_rec_pair(&pairs, BG_SLICE("SECOND"), BG_SLICE("2"));
	}
	bg_rec_begin(out, g->id, g->role, g->flags);
	bg_rec_params(out, g->id, built(&pairs), g->piece, g->padding);
	if (g->role == BG_REC_RESPONDER)
		bg_rec_put(out, BG_REC_STDIN, g->id, BG_SLICE(""), g->padding);
	bg_buf_clear(&pairs);
	bg_buf_clear(&value);
}

/* FastCGI 1.0 sections 3.3, 3.4, 5.1 to 5.3, 6.2 and 6.3. */
START_TEST(a_good_request_is_whole_with_its_last_byte_and_not_before)
{
	struct bg_records_request request;
	struct bg_buf bytes;
	const char *why;

	bg_buf_init(&bytes, BG_REC_MAX);
	make_good(&good[_i], &bytes);
	for (size_t n = 0; n < bytes.len; n++) {
		enum bg_records got = vet((struct bg_slice){ bytes.data, n }, &request, &why);

		ck_assert_msg(got == BG_RECORDS_MORE && why == NULL && request.length == 0 && request.role == 0,
		    "%s, %zu of %zu bytes: %d, %s", good[_i].name, n, bytes.len, got, why != NULL ? why : "");
	}
	ck_assert_msg(vet(built(&bytes), &request, &why) == BG_RECORDS_WHOLE, "%s: %s", good[_i].name, why);
	ck_assert_ptr_null(why);
	ck_assert_uint_eq(request.length, bytes.len);
	ck_assert_uint_eq(request.role, good[_i].role);
	ck_assert_int_eq(request.keep_conn, good[_i].flags & 1);
	bg_buf_clear(&bytes);
}
END_TEST

START_TEST(what_follows_a_whole_request_changes_nothing)
{
	static const struct bg_slice rests[] = {
		BG_SLICE_INIT("\1\5\0\1\0\0\0\0"), BG_SLICE_INIT("\1\1\0\2\0\10\0\0"), BG_SLICE_INIT("\1\11\0\0\0\0\0\0"),
		BG_SLICE_INIT("GET / HTTP/1.0\r\n"), BG_SLICE_INIT("\0"),
	};
	struct bg_records_request request;
	struct bg_buf bytes;
	const char *why;
	size_t whole;

	bg_buf_init(&bytes, BG_REC_MAX);
	for (unsigned role = BG_REC_RESPONDER; role <= BG_REC_AUTHORIZER; role++) {
		bg_buf_reset(&bytes);
		bg_rec_request_as(&bytes, role, "/");
		whole = bytes.len;
		bg_buf_put(&bytes, rests[_i]);
		ck_assert_int_eq(vet(built(&bytes), &request, &why), BG_RECORDS_WHOLE);
		ck_assert_uint_eq(request.length, whole);
		ck_assert_uint_eq(request.role, role);
	}
	bg_buf_clear(&bytes);
}
END_TEST

/* SR-21, and the rows of interop 5.2 and 5.3 that libfcgi stumbles over. */
START_TEST(a_bad_request_is_bad_for_its_reason_and_stays_so)
{
	struct bg_records_request request = { .length = 1, .role = 1, .keep_conn = true };
	enum bg_records got = BG_RECORDS_MORE;
	struct bg_buf bytes;
	const char *why;

	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_make_bad(_i, &bytes);
	ck_assert_msg(vet(built(&bytes), &request, &why) == BG_RECORDS_BAD, "%s", bg_rec_bad[_i].name);
	ck_assert_msg(strstr(why, bg_rec_bad[_i].why) != NULL, "%s: %s", bg_rec_bad[_i].name, why);
	ck_assert(request.length == 0 && request.role == 0 && !request.keep_conn);
	/* From some byte on it is bad, and no later byte, nor anything behind it, makes it good. */
	for (size_t n = 0; n <= bytes.len && n < 4096; n++) {
		enum bg_records now = bg_records_vet((struct bg_slice){ bytes.data, n }, &request, &why);

		ck_assert_msg(now == got || (got == BG_RECORDS_MORE && now == BG_RECORDS_BAD), "%s at %zu: %d after %d",
		    bg_rec_bad[_i].name, n, now, got);
		got = now;
	}
	bg_rec_request(&bytes, "/");
	ck_assert_int_eq(vet(built(&bytes), &request, &why), BG_RECORDS_BAD);
	bg_buf_clear(&bytes);
}
END_TEST

/* What can be said early is: a peer that is wrong is not waited for until the deadline. */
static const struct {
	const char *name;
	const char *bytes;
	size_t      len;
} early[] = {
#define RESPONDER	"\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0" "\1\4\0\1\0\0\0\0"
#define EARLY(lit)	lit, sizeof(lit) - 1
	{ "a first byte that is no version",     EARLY("G") },
	{ "a second byte that is no BEGIN",      EARLY("\1\4") },
	{ "a BEGIN header of a wrong length",    EARLY("\1\1\0\1\0\11\0\0") },
	{ "a role, before PARAMS",               EARLY("\1\1\0\1\0\10\0\0\0\3\0\0\0\0\0\0") },
	{ "another type behind BEGIN",           EARLY("\1\1\0\1\0\10\0\0\0\2\0\0\0\0\0\0\1\5") },
	{ "another type behind a Responder's PARAMS", EARLY(RESPONDER "\1\4") },
	{ "a body, before its first byte",       EARLY(RESPONDER "\1\5\0\1\0\1\0\0") },
	{ "a name's length, before its value's", EARLY("\1\1\0\1\0\10\0\0\0\2\0\0\0\0\0\0\1\4\0\1\1\0\0\0\377\377\377\377") },
};
START_TEST(what_is_wrong_is_said_with_the_first_byte_that_shows_it)
{
	struct bg_records_request request;
	const char *why;

	ck_assert_msg(vet((struct bg_slice){ early[_i].bytes, early[_i].len }, &request, &why) == BG_RECORDS_BAD, "%s",
	    early[_i].name);
	ck_assert_msg(vet((struct bg_slice){ early[_i].bytes, early[_i].len - 1 }, &request, &why) == BG_RECORDS_MORE,
	    "%s, one byte less", early[_i].name);
}
END_TEST

/* n parameters "N=v..v" whose pairs have sum bytes in all. */
static enum bg_records
vet_sized(size_t n, size_t sum, const char **why)
{
	struct bg_records_request request;
	struct bg_buf pairs, bytes, value;
	enum bg_records got;

	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_buf_init(&value, BG_REC_MAX);
	for (size_t i = 1; i < n; i++)
		bg_rec_pair(&pairs, BG_SLICE("N"), BG_SLICE("v"));
	/* the last one takes what is left: its lengths need 1 and 4 bytes, its name 1 */
	if (sum > 0) {
		ck_assert_uint_ge(sum, pairs.len + 6 + 128);
		while (value.len < sum - pairs.len - 6)
			bg_buf_put_char(&value, 'v');
	}
	bg_rec_pair(&pairs, BG_SLICE("N"), built(&value));
	ck_assert(sum == 0 || pairs.len == sum);
	bg_rec_begin(&bytes, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(&bytes, 1, built(&pairs), 16384, 0);
	got = vet(built(&bytes), &request, why);
	bg_buf_clear(&pairs);
	bg_buf_clear(&bytes);
	bg_buf_clear(&value);
	return got;
}

/* SR-21. */
START_TEST(the_ceilings_themselves_are_allowed_and_one_more_is_not)
{
	const char *why;

	ck_assert_int_eq(vet_sized(1, BG_PARAMS_MAX, &why), BG_RECORDS_WHOLE);
	ck_assert_int_eq(vet_sized(1, BG_PARAMS_MAX + 1, &why), BG_RECORDS_BAD);
	ck_assert_str_eq(why, "too many bytes of parameters");
	ck_assert_int_eq(vet_sized(BG_PARAMS_COUNT_MAX, 0, &why), BG_RECORDS_WHOLE);
	ck_assert_int_eq(vet_sized(BG_PARAMS_COUNT_MAX + 1, 0, &why), BG_RECORDS_BAD);
	ck_assert_str_eq(why, "too many parameters");
}
END_TEST

/* The daemon looks at BG_RECORDS_MAX bytes: a request that needs more would never become whole. */
START_TEST(a_request_never_needs_more_bytes_than_are_looked_at)
{
	struct bg_records_request request;
	struct bg_buf bytes;
	const char *why;
	size_t last;

	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_begin(&bytes, 1, BG_REC_AUTHORIZER, 0);
	/* 3 bytes of content, 8 of header, 253 of padding: cut short of the ceiling, then beyond it */
	while (bytes.len + 264 + 16 <= BG_RECORDS_MAX)
		bg_rec_put(&bytes, BG_REC_PARAMS, 1, BG_SLICE("\1\0N"), 253);
	last = bytes.len;
	bg_rec_put(&bytes, BG_REC_PARAMS, 1, BG_SLICE(""), (unsigned)(BG_RECORDS_MAX - last - 8));
	ck_assert_uint_eq(bytes.len, BG_RECORDS_MAX);
	ck_assert_int_eq(vet(built(&bytes), &request, &why), BG_RECORDS_WHOLE);
	bytes.data[last + 6]++;		/* its padding */
	bg_buf_put_char(&bytes, 'p');
	ck_assert_int_eq(vet(built(&bytes), &request, &why), BG_RECORDS_BAD);
	ck_assert_str_eq(why, "too many bytes of parameters");
	/* the same as a Responder's, whose STDIN counts too */
	bytes.data[9] = BG_REC_RESPONDER;
	bytes.len = last;
	bg_rec_put(&bytes, BG_REC_PARAMS, 1, BG_SLICE(""), (unsigned)(BG_RECORDS_MAX - last - 16));
	bg_rec_put(&bytes, BG_REC_STDIN, 1, BG_SLICE(""), 0);
	ck_assert_uint_eq(bytes.len, BG_RECORDS_MAX);
	ck_assert_int_eq(vet(built(&bytes), &request, &why), BG_RECORDS_WHOLE);
	bytes.data[bytes.len - 2]++;
	bg_buf_put_char(&bytes, 'p');
	ck_assert_int_eq(vet(built(&bytes), &request, &why), BG_RECORDS_BAD);
	ck_assert_str_eq(why, "too many bytes of parameters");
	bg_buf_clear(&bytes);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("records");
	TCase *tc = tcase_create("vet");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_good_request_is_whole_with_its_last_byte_and_not_before, 0, N(good));
	tcase_add_loop_test(tc, what_follows_a_whole_request_changes_nothing, 0, 5);
	tcase_add_loop_test(tc, a_bad_request_is_bad_for_its_reason_and_stays_so, 0, bg_rec_n_bad);
	tcase_add_loop_test(tc, what_is_wrong_is_said_with_the_first_byte_that_shows_it, 0, N(early));
	tcase_add_test(tc, the_ceilings_themselves_are_allowed_and_one_more_is_not);
	tcase_add_test(tc, a_request_never_needs_more_bytes_than_are_looked_at);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
