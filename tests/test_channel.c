#include "fcgi/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/run.h"

#define URL	"https://issuer.example/keys?v=1"

static const struct {
	const char *name;
	struct bg_fetch_request request;
	size_t max;
	enum bg_reason want;
} requests[] = {
	{ "a key set", { .location = URL, .timeout = 5 }, BG_FETCH_MAX, BG_R_OK },
	{ "one that is there already", { .location = URL, .timeout = 5, .etag = "W/\"a\"", .public_only = true }, 1, BG_R_OK },
	{ "a limit below one second, which is one", { .location = URL, .timeout = -3 }, 1, BG_R_OK },
	{ "a limit of a year, which is an hour", { .location = URL, .timeout = 31536000 }, 1, BG_R_OK },
	{ "a document of any length, which is the longest", { .location = URL, .timeout = 5 }, SIZE_MAX, BG_R_OK },
	{ "a document of no length", { .location = URL, .timeout = 5 }, 0, BG_R_FETCH_FAILED },
	{ "http", { .location = "http://issuer.example/", .timeout = 5 }, 1, BG_R_FETCH_FAILED },
	{ "a file", { .location = "/etc/passwd", .timeout = 5 }, 1, BG_R_FETCH_FAILED },
	{ "a file by its URL", { .location = "file:///etc/passwd", .timeout = 5 }, 1, BG_R_FETCH_FAILED },
	{ "an option", { .location = "-C/tmp/ca", .timeout = 5 }, 1, BG_R_FETCH_FAILED },
	{ "nothing", { .location = "", .timeout = 5 }, 1, BG_R_FETCH_FAILED },
	{ "credentials", { .location = "https://a:b@issuer.example/", .timeout = 5 }, 1, BG_R_FETCH_FAILED },
	{ "a line end", { .location = "https://issuer.example/\nx", .timeout = 5 }, 1, BG_R_FETCH_FAILED },
	{ "an etag that is none", { .location = URL, .timeout = 5, .etag = "-P" }, 1, BG_R_FETCH_FAILED },
};

START_TEST(what_may_be_sent_is_what_is_understood)
{
	unsigned char bytes[BG_MESSAGE_MAX];
	struct bg_fetch_wanted wanted;
	struct bg_error err = { 0 };
	struct bg_message message;
	size_t len;

	ck_reason(bg_fetch_wanted_set(&wanted, &requests[_i].request, requests[_i].max, &err), err, requests[_i].want,
	    requests[_i].name);
	if (requests[_i].want != BG_R_OK)
		return;
	len = bg_message_format(BG_MESSAGE_FETCH, &wanted, bytes);
	ck_assert_uint_eq(len, sizeof(bytes));
	ck_assert(bg_message_parse((struct bg_slice){ (const char *)bytes, len }, 1, true, &message));
	ck_assert_int_eq(message.kind, BG_MESSAGE_FETCH);
	ck_assert_int_eq(message.fd, -1);
	ck_assert_str_eq(message.wanted.location, requests[_i].request.location);
	ck_assert_str_eq(message.wanted.etag, requests[_i].request.etag != NULL ? requests[_i].request.etag : "");
	ck_assert_int_eq(message.wanted.public_only, requests[_i].request.public_only);
	ck_assert_int_ge(message.wanted.timeout, 1);
	ck_assert_int_le(message.wanted.timeout, BG_FETCH_TIMEOUT_MAX);
	ck_assert_uint_le(message.wanted.max, BG_FETCH_MAX);
}
END_TEST

START_TEST(what_is_too_long_is_not_sent)
{
	static char url[BG_URL_MAX + 2], etag[BG_ETAG_MAX + 2];
	struct bg_fetch_request request = { .location = url, .timeout = 5 };
	struct bg_fetch_wanted wanted;
	struct bg_error err = { 0 };

	memset(url, 'a', sizeof(url) - 1);
	memcpy(url, "https://issuer.example/", strlen("https://issuer.example/"));
	ck_reason(bg_fetch_wanted_set(&wanted, &request, 1, &err), err, BG_R_FETCH_FAILED, "a URL");
	url[BG_URL_MAX] = '\0';
	bg_error_clear(&err);
	ck_reason(bg_fetch_wanted_set(&wanted, &request, 1, &err), err, BG_R_OK, "the longest URL");
	memset(etag, 'a', sizeof(etag) - 1);
	etag[0] = etag[BG_ETAG_MAX] = '"';
	request.etag = etag;
	ck_reason(bg_fetch_wanted_set(&wanted, &request, 1, &err), err, BG_R_FETCH_FAILED, "an etag");
}
END_TEST

/* A worker that was taken over may say anything. */

static void
no_end(struct bg_fetch_wanted *w)
{
	memset(w->location, 'a', sizeof(w->location));
	memcpy(w->location, "https://issuer.example/", strlen("https://issuer.example/"));
}

static void
etag_without_end(struct bg_fetch_wanted *w)
{
	memset(w->etag, 'a', sizeof(w->etag));
	w->etag[0] = '"';
}

static void
behind_the_end(struct bg_fetch_wanted *w)
{
	w->location[sizeof(w->location) - 1] = 'x';
}

static void
behind_the_etag(struct bg_fetch_wanted *w)
{
	w->etag[5] = 'x';
}

static void
no_time(struct bg_fetch_wanted *w)
{
	w->timeout = 0;
}

static void
time_below_zero(struct bg_fetch_wanted *w)
{
	w->timeout = INT32_MIN;
}

static void
all_time(struct bg_fetch_wanted *w)
{
	w->timeout = BG_FETCH_TIMEOUT_MAX + 1;
}

static void
too_large(struct bg_fetch_wanted *w)
{
	w->max = BG_FETCH_MAX + 1;
}

static void
of_no_size(struct bg_fetch_wanted *w)
{
	w->max = 0;
}

static void
neither_true_nor_false(struct bg_fetch_wanted *w)
{
	w->public_only = 2;
}

static void
a_file(struct bg_fetch_wanted *w)
{
	memset(w->location, 0, sizeof(w->location));
	memcpy(w->location, "file:///etc/passwd", strlen("file:///etc/passwd"));
}

static void
an_option(struct bg_fetch_wanted *w)
{
	memset(w->location, 0, sizeof(w->location));
	memcpy(w->location, "--proxy", strlen("--proxy"));
}

static void
good(struct bg_fetch_wanted *w)
{
	(void)w;
}

static const struct {
	const char *name;
	enum bg_message_kind kind;
	int    first;		/* byte, in place of the kind; 0: none */
	size_t len, descriptors;	/* len 0: as it should be */
	bool   from_worker, want;
	void (*spoil)(struct bg_fetch_wanted *wanted);
} forms[] = {
	{ "a fetch", BG_MESSAGE_FETCH, 0, 0, 1, true, true, good },
	{ "a fetch with nowhere to answer", BG_MESSAGE_FETCH, 0, 0, 0, true, false, good },
	{ "a fetch with two descriptors", BG_MESSAGE_FETCH, 0, 0, 2, true, false, good },
	{ "a fetch one byte short", BG_MESSAGE_FETCH, 0, BG_MESSAGE_MAX - 1, 1, true, false, good },
	{ "a fetch without what", BG_MESSAGE_FETCH, 0, 1, 1, true, false, good },
	{ "a fetch that the supervisor asks for", BG_MESSAGE_FETCH, 0, 0, 1, false, false, good },
	{ "a location without an end", BG_MESSAGE_FETCH, 0, 0, 1, true, false, no_end },
	{ "an etag without an end", BG_MESSAGE_FETCH, 0, 0, 1, true, false, etag_without_end },
	{ "something behind the end", BG_MESSAGE_FETCH, 0, 0, 1, true, false, behind_the_end },
	{ "something behind the etag", BG_MESSAGE_FETCH, 0, 0, 1, true, false, behind_the_etag },
	{ "no time", BG_MESSAGE_FETCH, 0, 0, 1, true, false, no_time },
	{ "time below zero", BG_MESSAGE_FETCH, 0, 0, 1, true, false, time_below_zero },
	{ "all the time in the world", BG_MESSAGE_FETCH, 0, 0, 1, true, false, all_time },
	{ "too large a document", BG_MESSAGE_FETCH, 0, 0, 1, true, false, too_large },
	{ "a document of no size", BG_MESSAGE_FETCH, 0, 0, 1, true, false, of_no_size },
	{ "neither public nor not", BG_MESSAGE_FETCH, 0, 0, 1, true, false, neither_true_nor_false },
	{ "a file", BG_MESSAGE_FETCH, 0, 0, 1, true, false, a_file },
	{ "an option", BG_MESSAGE_FETCH, 0, 0, 1, true, false, an_option },
	{ "serving", BG_MESSAGE_SERVING, 0, 0, 0, true, true, good },
	{ "serving, and a descriptor", BG_MESSAGE_SERVING, 0, 0, 1, true, false, good },
	{ "serving, and more", BG_MESSAGE_SERVING, 0, 2, 0, true, false, good },
	{ "reloaded", BG_MESSAGE_RELOADED, 0, 0, 0, true, true, good },
	{ "kept", BG_MESSAGE_KEPT, 0, 0, 0, true, true, good },
	{ "a worker that says reload", BG_MESSAGE_RELOAD, 0, 0, 0, true, false, good },
	{ "a worker that says stop", BG_MESSAGE_STOP, 0, 0, 0, true, false, good },
	{ "a worker that asks for its state", BG_MESSAGE_STATE, 0, 0, 0, true, false, good },
	{ "state", BG_MESSAGE_STATE, 0, 0, 0, false, true, good },
	{ "state with a descriptor", BG_MESSAGE_STATE, 0, 0, 1, false, false, good },
	{ "a worker that asks", BG_MESSAGE_ASK, 0, 0, 0, true, false, good },
	{ "a question", BG_MESSAGE_ASK, 0, 0, 0, false, true, good },
	{ "well", BG_MESSAGE_WELL, 0, 0, 0, true, true, good },
	{ "well, and a descriptor", BG_MESSAGE_WELL, 0, 0, 1, true, false, good },
	{ "a supervisor that is well", BG_MESSAGE_WELL, 0, 0, 0, false, false, good },
	{ "a worker that says log", BG_MESSAGE_LOG, 0, 0, 1, true, false, good },
	{ "reload", BG_MESSAGE_RELOAD, 0, 0, 0, false, true, good },
	{ "reload with another log", BG_MESSAGE_RELOAD, 0, 0, 1, false, true, good },
	{ "log", BG_MESSAGE_LOG, 0, 0, 1, false, true, good },
	{ "log without one", BG_MESSAGE_LOG, 0, 0, 0, false, false, good },
	{ "stop", BG_MESSAGE_STOP, 0, 0, 0, false, true, good },
	{ "a kind that is none", BG_MESSAGE_SERVING, BG_MESSAGE_KINDS, 0, 0, true, false, good },
	{ "the last kind there can be", BG_MESSAGE_SERVING, 255, 0, 0, true, false, good },
};

START_TEST(only_what_is_exactly_of_the_form_is_a_message)
{
	unsigned char bytes[BG_MESSAGE_MAX + 1] = { 0 };
	struct bg_fetch_wanted wanted;
	struct bg_message message;
	size_t len;

	ck_assert_int_eq(bg_fetch_wanted_set(&wanted, &requests[1].request, 1, NULL), 0);
	forms[_i].spoil(&wanted);
	len = bg_message_format(forms[_i].kind, &wanted, bytes);
	if (forms[_i].first != 0)
		bytes[0] = (unsigned char)forms[_i].first;
	if (forms[_i].len != 0)
		len = forms[_i].len;
	ck_assert_msg(bg_message_parse((struct bg_slice){ (const char *)bytes, len }, forms[_i].descriptors,
	    forms[_i].from_worker, &message) == forms[_i].want, "%s", forms[_i].name);
	ck_assert_int_eq(message.kind, forms[_i].want ? forms[_i].kind : BG_MESSAGE_NONE);
}
END_TEST

START_TEST(cleared_memory_and_nothing_at_all_are_no_messages)
{
	static const char zeros[BG_MESSAGE_MAX];
	struct bg_message message;

	for (int from_worker = 0; from_worker < 2; from_worker++)
		for (size_t descriptors = 0; descriptors < 2; descriptors++) {
			ck_assert(!bg_message_parse((struct bg_slice){ zeros, 0 }, descriptors, from_worker, &message));
			ck_assert(!bg_message_parse((struct bg_slice){ zeros, 1 }, descriptors, from_worker, &message));
			ck_assert(!bg_message_parse((struct bg_slice){ zeros, sizeof(zeros) }, descriptors, from_worker, &message));
		}
}
END_TEST

/* Over the sockets. */

static int supervisor, worker;

static void
open_channel(void)
{
	ck_assert_int_eq(bg_channel_open(&supervisor, &worker), 0);
}

static void
close_channel(void)
{
	close(supervisor);
	close(worker);
}

static int
descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

START_TEST(messages_arrive_with_their_descriptors)
{
	struct bg_fetch_wanted wanted;
	struct bg_message message;
	int ends[2];
	char byte;

	ck_assert_int_eq(bg_channel_receive(supervisor, true, &message), BG_RECEIVED_NOTHING);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(bg_fetch_wanted_set(&wanted, &requests[0].request, 100, NULL), 0);
	ck_assert_int_eq(bg_channel_send(worker, BG_MESSAGE_SERVING, NULL, -1), 0);
	ck_assert_int_eq(bg_channel_send(worker, BG_MESSAGE_FETCH, &wanted, ends[1]), 0);
	close(ends[1]);
	ck_assert_int_eq(bg_channel_receive(supervisor, true, &message), BG_RECEIVED_MESSAGE);
	ck_assert_int_eq(message.kind, BG_MESSAGE_SERVING);
	ck_assert_int_eq(message.fd, -1);
	ck_assert_int_eq(bg_channel_receive(supervisor, true, &message), BG_RECEIVED_MESSAGE);
	ck_assert_int_eq(message.kind, BG_MESSAGE_FETCH);
	ck_assert_str_eq(message.wanted.location, URL);
	ck_assert_int_ne(fcntl(message.fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(write(message.fd, "x", 1), 1);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(message.fd);
	close(ends[0]);
	ck_assert_int_eq(bg_channel_send(supervisor, BG_MESSAGE_STOP, NULL, -1), 0);
	ck_assert_int_eq(bg_channel_receive(worker, false, &message), BG_RECEIVED_MESSAGE);
	ck_assert_int_eq(message.kind, BG_MESSAGE_STOP);
	close(worker);
	ck_assert_int_eq(bg_channel_receive(supervisor, true, &message), BG_RECEIVED_END);
	ck_assert_int_eq(bg_channel_send(supervisor, BG_MESSAGE_STOP, NULL, -1), EPIPE);
	worker = -1;
}
END_TEST

START_TEST(descriptors_that_are_too_many_are_closed)
{
	static const int numbers[] = { 0, 1, 2, 3, 4, 5, 9, 20 };
	union { char bytes[CMSG_SPACE(32 * sizeof(int))]; struct cmsghdr align; } room = { .bytes = { 0 } };
	char byte = BG_MESSAGE_SERVING;
	struct iovec part = { &byte, 1 };
	struct msghdr sent = { .msg_iov = &part, .msg_iovlen = 1 };
	struct bg_message message;
	int before = descriptors(), n = numbers[_i];

	if (n > 0) {
		struct cmsghdr *rights = &room.align;

		sent.msg_control = room.bytes;
		sent.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		for (int i = 0; i < n; i++)
			memcpy(CMSG_DATA(rights) + (size_t)i * sizeof(int), &worker, sizeof(int));
	}
	ck_assert_int_eq(sendmsg(worker, &sent, 0), 1);
	ck_assert_int_eq(bg_channel_receive(supervisor, true, &message), n == 0 ? BG_RECEIVED_MESSAGE : BG_RECEIVED_BAD);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

/* What the receiver may have open, in all; he has all that there may be. */
static void
may_open(int *spare, bool more)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (more)
		close(*spare);
	else {
		ck_assert_int_ne(*spare = dup(supervisor), -1);
		limit.rlim_cur = (rlim_t)*spare + 1;	/* dup takes the lowest number, so that all below are taken */
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		ck_assert_int_eq(dup(supervisor), -1);
	}
}

static const struct { const char *name; enum bg_message_kind kind; bool from_worker; int n; enum bg_received want; } losses[] = {
	{ "a log",                            BG_MESSAGE_LOG,     false, 1, BG_RECEIVED_LOST },
	{ "a reload with another log",        BG_MESSAGE_RELOAD,  false, 1, BG_RECEIVED_LOST },
	{ "a fetch",                          BG_MESSAGE_FETCH,   true,  1, BG_RECEIVED_LOST },
	{ "what needs none is as ever",       BG_MESSAGE_STATE,   false, 0, BG_RECEIVED_MESSAGE },
	{ "what may do without, and does",    BG_MESSAGE_RELOAD,  false, 0, BG_RECEIVED_MESSAGE },
	{ "what must not have one",           BG_MESSAGE_SERVING, true,  1, BG_RECEIVED_BAD },
	{ "what the other side says",         BG_MESSAGE_FETCH,   false, 1, BG_RECEIVED_BAD },
};
START_TEST(a_descriptor_that_cannot_be_taken_spoils_no_message)
{
	int from = losses[_i].from_worker ? worker : supervisor, to = losses[_i].from_worker ? supervisor : worker, spare;
	struct bg_fetch_wanted wanted;
	struct bg_message message;
	enum bg_received got;

	ck_assert_int_eq(bg_fetch_wanted_set(&wanted, &requests[0].request, 1, NULL), 0);
	ck_assert_int_eq(bg_channel_send(from, losses[_i].kind, &wanted, losses[_i].n == 1 ? STDERR_FILENO : -1), 0);
	may_open(&spare, false);
	got = bg_channel_receive(to, losses[_i].from_worker, &message);
	ck_assert_msg(got == losses[_i].want, "%s: %d", losses[_i].name, got);
	ck_assert_int_eq(message.kind, got == BG_RECEIVED_BAD ? BG_MESSAGE_NONE : losses[_i].kind);
	ck_assert_int_eq(message.fd, -1);
	/* With one that is free again the next one is whole. */
	may_open(&spare, true);
	ck_assert_int_eq(bg_channel_send(supervisor, BG_MESSAGE_LOG, NULL, STDERR_FILENO), 0);
	ck_assert_int_eq(bg_channel_receive(worker, false, &message), BG_RECEIVED_MESSAGE);
	ck_assert_int_ne(message.fd, -1);
	close(message.fd);
}
END_TEST

START_TEST(what_is_longer_than_any_message_is_none)
{
	static char bytes[BG_MESSAGE_MAX + 1] = { BG_MESSAGE_SERVING };
	struct bg_message message;

	ck_assert_int_eq(send(worker, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	ck_assert_int_eq(bg_channel_receive(supervisor, true, &message), BG_RECEIVED_BAD);
	ck_assert_int_eq(bg_channel_receive(supervisor, true, &message), BG_RECEIVED_NOTHING);
}
END_TEST

START_TEST(a_supervisor_does_not_wait_for_a_worker_that_does_not_read)
{
	int error = 0;

	for (int i = 0; i < 100000 && error == 0; i++)
		error = bg_channel_send(supervisor, BG_MESSAGE_STOP, NULL, -1);
	ck_assert_int_eq(error, EAGAIN);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("channel");
	TCase *tc = tcase_create("form"), *sockets = tcase_create("sockets");

	tcase_add_loop_test(tc, what_may_be_sent_is_what_is_understood, 0, N(requests));
	tcase_add_test(tc, what_is_too_long_is_not_sent);
	tcase_add_loop_test(tc, only_what_is_exactly_of_the_form_is_a_message, 0, N(forms));
	tcase_add_test(tc, cleared_memory_and_nothing_at_all_are_no_messages);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(sockets, open_channel, close_channel);
	tcase_add_test(sockets, messages_arrive_with_their_descriptors);
	tcase_add_loop_test(sockets, descriptors_that_are_too_many_are_closed, 0, 8);
	tcase_add_loop_test(sockets, a_descriptor_that_cannot_be_taken_spoils_no_message, 0, N(losses));
	tcase_add_test(sockets, what_is_longer_than_any_message_is_none);
	tcase_add_test(sockets, a_supervisor_does_not_wait_for_a_worker_that_does_not_read);
	suite_add_tcase(suite, sockets);
	return bg_test_run(suite);
}
