#include "fcgi/broker.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/run.h"

#define URL	"https://issuer.example/keys"

static const struct bg_fetch_request plain = { .location = URL, .timeout = 5 };
static const struct bg_fetch_request conditional = { .location = URL, .timeout = 5, .etag = "\"a\"" };

/* An answer as it is sent. */
static struct bg_buf
made(int rc, const char *text, const struct bg_fetch_meta *meta, const char *detail)
{
	struct bg_error err = { 0 };
	struct bg_buf body, out;

	bg_buf_init(&body, BG_FETCH_MAX);
	bg_buf_put_str(&body, text);
	if (rc != 0)
		bg_fail(&err, BG_R_FETCH_FAILED, "%s", detail);
	bg_buf_init(&out, BG_BROKER_ANSWER_MAX);
	bg_broker_put(&out, rc, &body, meta, &err);
	ck_assert(!out.failed);
	bg_buf_clear(&body);
	return out;
}

START_TEST(an_answer_says_what_was_fetched)
{
	struct bg_fetch_meta meta = { .max_age = 15, .private_peer = true, .etag = "W/\"x\"" }, got;
	struct bg_buf answer = made(0, "{\"keys\":[]}", &meta, ""), body;
	struct bg_error err = { 0 };

	bg_buf_init(&body, 100);
	ck_reason(bg_broker_read((struct bg_slice){ answer.data, answer.len }, &plain, &body, &got, &err), err, BG_R_OK, "read");
	ck_assert(bg_slice_equal((struct bg_slice){ body.data, body.len }, BG_SLICE("{\"keys\":[]}")));
	ck_assert_int_eq(got.max_age, 15);
	ck_assert(got.private_peer && !got.not_modified && !got.missing);
	ck_assert_str_eq(got.etag, "W/\"x\"");
	bg_buf_clear(&answer);
	bg_buf_clear(&body);
}
END_TEST

START_TEST(an_answer_says_what_went_wrong)
{
	struct bg_fetch_meta meta = { .max_age = -1, .missing = true }, got;
	struct bg_buf answer = made(-1, "what was there of it", &meta, "the server says 404"), body;
	struct bg_error err = { 0 };

	bg_buf_init(&body, 100);
	ck_reason(bg_broker_read((struct bg_slice){ answer.data, answer.len }, &plain, &body, &got, &err), err, BG_R_FETCH_FAILED,
	    "read");
	ck_assert_str_eq(err.detail, "the server says 404");
	ck_assert(got.missing);
	ck_assert_uint_eq(body.len, 0);
	bg_buf_clear(&answer);
	bg_buf_clear(&body);
}
END_TEST

/* Each answer is spoilt in each of its bytes; what is still taken for good has the text that was sent. */
START_TEST(no_byte_of_a_head_can_be_wrong_and_change_the_document)
{
	struct bg_fetch_meta meta = { .max_age = 15, .etag = "\"x\"" }, got;
	struct bg_buf answer = made(0, "text", &meta, ""), body;

	for (size_t i = 0; i < answer.len - 4; i++)
		for (int bit = 0; bit < 8; bit++) {
			bg_buf_init(&body, 100);
			answer.data[i] = (char)(answer.data[i] ^ (1 << bit));
			if (bg_broker_read((struct bg_slice){ answer.data, answer.len }, &plain, &body, &got, NULL) == 0) {
				ck_assert(bg_slice_equal((struct bg_slice){ body.data, body.len }, BG_SLICE("text")));
				ck_assert_int_ge(got.max_age, -1);
				ck_assert(!got.not_modified && !got.missing);
				ck_assert_uint_le(strlen(got.etag), BG_ETAG_MAX);
			}
			answer.data[i] = (char)(answer.data[i] ^ (1 << bit));
			bg_buf_clear(&body);
		}
	bg_buf_clear(&answer);
}
END_TEST

START_TEST(an_answer_that_is_not_whole_is_none)
{
	struct bg_fetch_meta meta = { .max_age = -1 }, got;
	struct bg_buf answer = made(0, "text", &meta, ""), body;

	bg_buf_init(&body, 100);
	bg_buf_put_char(&answer, 'x');
	for (size_t len = 0; len <= answer.len; len++) {
		struct bg_error err = { 0 };

		ck_reason(bg_broker_read((struct bg_slice){ answer.data, len }, &plain, &body, &got, &err), err,
		    len == answer.len - 1 ? BG_R_OK : BG_R_FETCH_FAILED, "cut off, or too long");
	}
	bg_buf_clear(&answer);
	bg_buf_clear(&body);
}
END_TEST

static const struct {
	const char *name;
	const struct bg_fetch_request *request;
	const char *text;
	struct bg_fetch_meta meta;
	size_t max;
	enum bg_reason want;
} fits[] = {
	{ "nothing has changed", &conditional, "", { .max_age = 3, .not_modified = true }, 10, BG_R_OK },
	{ "nothing has changed of what there was not", &plain, "", { .max_age = 3, .not_modified = true }, 10, BG_R_FETCH_FAILED },
	{ "nothing has changed, and a document", &conditional, "x", { .max_age = 3, .not_modified = true }, 10, BG_R_FETCH_FAILED },
	{ "nothing has changed, and another etag", &conditional, "", { .max_age = 3, .not_modified = true, .etag = "\"b\"" }, 10,
	    BG_R_FETCH_FAILED },
	{ "another document", &conditional, "x", { .max_age = -1, .etag = "\"b\"" }, 10, BG_R_OK },
	{ "the longest document", &plain, "0123456789", { .max_age = -1 }, 10, BG_R_OK },
	{ "one that is longer", &plain, "0123456789a", { .max_age = -1 }, 10, BG_R_FETCH_FAILED },
	{ "an etag that is none", &plain, "x", { .max_age = -1, .etag = "b" }, 10, BG_R_FETCH_FAILED },
	{ "a lifetime below zero", &plain, "x", { .max_age = -2 }, 10, BG_R_FETCH_FAILED },
};
START_TEST(an_answer_has_to_fit_what_was_asked)
{
	struct bg_buf answer = made(0, fits[_i].text, &fits[_i].meta, ""), body;
	struct bg_error err = { 0 };
	struct bg_fetch_meta got;

	bg_buf_init(&body, fits[_i].max);
	ck_reason(bg_broker_read((struct bg_slice){ answer.data, answer.len }, fits[_i].request, &body, &got, &err), err,
	    fits[_i].want, fits[_i].name);
	bg_buf_clear(&answer);
	bg_buf_clear(&body);
}
END_TEST

START_TEST(only_a_pipe_to_write_to_is_answered_into)
{
	int ends[2], pair[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert(bg_broker_may_write(ends[1]));
	ck_assert(!bg_broker_may_write(ends[0]));
	ck_assert(!bg_broker_may_write(pair[0]));
	ck_assert(!bg_broker_may_write(-1));
	ck_assert(!bg_broker_may_write(open("/dev/null", O_WRONLY)));
}
END_TEST

/* Both sides: a thread has the part of the supervisor and of its fetchers. */

static int supervisor, worker;
static struct bg_broker broker;
static const char *document;		/* what the fetcher brings; NULL: it waits until it is told to give up */

static int
bring(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body, struct bg_fetch_meta *meta,
    struct bg_error *err)
{
	struct pollfd given_up = { .fd = *request->cancel, .events = POLLIN };

	(void)self;
	*meta = (struct bg_fetch_meta){ .max_age = request->timeout };
	ck_assert_str_eq(request->location, URL);
	if (document == NULL) {
		ck_assert_int_eq(poll(&given_up, 1, 20000), 1);
		return bg_fail(err, BG_R_FETCH_FAILED, "given up");
	}
	bg_buf_put_str(body, document);
	return body->failed ? bg_fail(err, BG_R_FETCH_FAILED, "too large") : 0;
}

static void *
supervise(void *arg)
{
	static const struct bg_fetcher fetcher = { bring };
	struct pollfd readable = { .fd = supervisor, .events = POLLIN };
	struct bg_message message;

	(void)arg;
	ck_assert_int_eq(poll(&readable, 1, 20000), 1);
	ck_assert_int_eq(bg_channel_receive(supervisor, true, &message), BG_RECEIVED_MESSAGE);
	ck_assert_int_eq(message.kind, BG_MESSAGE_FETCH);
	ck_assert(bg_broker_may_write(message.fd));
	bg_broker_answer(&message.wanted, &fetcher, message.fd);
	close(message.fd);
	return NULL;
}

static void
begin(pthread_t *thread)
{
	bg_broker_init(&broker);
	ck_assert_int_eq(bg_channel_open(&supervisor, &worker), 0);
	broker.channel = worker;
	ck_assert_int_eq(pthread_create(thread, NULL, supervise, NULL), 0);
}

static char large[BG_FETCH_MAX + 1];

START_TEST(a_document_comes_through_whole)
{
	static const size_t lengths[] = { 0, 1, 65536, 65537, BG_FETCH_MAX };
	struct bg_error err = { 0 };
	struct bg_fetch_meta meta;
	struct bg_buf body;
	pthread_t thread;

	memset(large, 'x', lengths[_i]);
	document = large;
	bg_buf_init(&body, BG_FETCH_MAX);
	begin(&thread);
	ck_reason(broker.base.get(&broker.base, &plain, &body, &meta, &err), err, BG_R_OK, "get");
	ck_assert_uint_eq(body.len, lengths[_i]);
	ck_assert_int_eq(meta.max_age, 5);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	bg_buf_clear(&body);
}
END_TEST

START_TEST(a_fetch_that_is_given_up_ends_on_both_sides)
{
	int bell = eventfd(1, 0);
	struct bg_fetch_request request = plain;
	struct bg_error err = { 0 };
	struct bg_fetch_meta meta;
	struct bg_buf body;
	pthread_t thread;

	request.cancel = &bell;
	document = NULL;
	bg_buf_init(&body, 100);
	begin(&thread);
	ck_reason(broker.base.get(&broker.base, &request, &body, &meta, &err), err, BG_R_FETCH_FAILED, "get");
	ck_assert_ptr_nonnull(strstr(err.detail, "about to end"));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	close(bell);
	bg_buf_clear(&body);
}
END_TEST

START_TEST(without_a_supervisor_every_fetch_fails_at_once)
{
	struct bg_error err = { 0 };
	struct bg_fetch_meta meta;
	struct bg_buf body;

	bg_buf_init(&body, 100);
	bg_broker_init(&broker);
	ck_reason(broker.base.get(&broker.base, &plain, &body, &meta, &err), err, BG_R_FETCH_FAILED, "no channel");
	ck_assert_int_eq(bg_channel_open(&supervisor, &worker), 0);
	broker.channel = worker;
	close(supervisor);
	bg_error_clear(&err);
	ck_reason(broker.base.get(&broker.base, &plain, &body, &meta, &err), err, BG_R_FETCH_FAILED, "gone");
	bg_buf_clear(&body);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("broker");
	TCase *tc = tcase_create("broker");

	signal(SIGPIPE, SIG_IGN);	/* as the daemon does */
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_answer_says_what_was_fetched);
	tcase_add_test(tc, an_answer_says_what_went_wrong);
	tcase_add_test(tc, no_byte_of_a_head_can_be_wrong_and_change_the_document);
	tcase_add_test(tc, an_answer_that_is_not_whole_is_none);
	tcase_add_loop_test(tc, an_answer_has_to_fit_what_was_asked, 0, N(fits));
	tcase_add_test(tc, only_a_pipe_to_write_to_is_answered_into);
	tcase_add_loop_test(tc, a_document_comes_through_whole, 0, 5);
	tcase_add_test(tc, a_fetch_that_is_given_up_ends_on_both_sides);
	tcase_add_test(tc, without_a_supervisor_every_fetch_fails_at_once);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
