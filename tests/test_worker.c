#include "fcgi/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/log.h"
#include "fcgi/listener.h"
#include "tests/support/records.h"
#include "tests/support/run.h"

#define UNIX		0
#define TCP		1
#define LONG_MS		600000	/* a deadline that no test waits for */
#define AT_ONCE_MS	10000	/* far below it, far above what a busy machine needs */

enum { ECHO, FAIL, EMPTY, OVERFLOW, LARGE, BLOCK, PUT_OFF };

/* What the handler does, and what it saw. */
static struct {
	atomic_int does;		/* one of the above */
	atomic_int calls;
	sem_t      entered, leave;	/* for BLOCK */

	/* PUT_OFF puts off what is called /wait..., until it is ready or told that this is the last try. */
	atomic_bool ready, stubborn;	/* stubborn: the last try too */
	atomic_int  lasts;		/* calls with last set */
	atomic_int  wakes_in;		/* the number of the call that wakes all before it is put off, and is ready then */
	sem_t       put_off;		/* posted whenever it puts off */
} handler;

static char dir[64];
static struct bg_listener listeners[2];
static struct bg_worker *worker;

static int
put_off(int call)
{
	if (call == atomic_load(&handler.wakes_in)) {
		atomic_store(&handler.ready, true);
		bg_worker_wake(worker);
	}
	sem_post(&handler.put_off);
	return BG_WORKER_LATER;
}

/* The answer names the request by its URI, so that no client can get another one's. */
static int
answer(void *arg, enum bg_role role, char *const *env, bool last, struct bg_buf *out)
{
	const char *uri = "none", *named = "none";
	int call = atomic_fetch_add(&handler.calls, 1) + 1;

	ck_assert_ptr_eq(arg, &handler);
	atomic_fetch_add(&handler.lasts, last);
	for (; *env != NULL; env++) {
		if (strncmp(*env, "REQUEST_URI=", 12) == 0)
			uri = *env + 12;
		if (strncmp(*env, "FCGI_ROLE=", 10) == 0)
			named = *env + 10;
	}
	ck_assert_str_eq(named, role == BG_ROLE_RESPONDER ? "RESPONDER" : role == BG_ROLE_AUTHORIZER ? "AUTHORIZER" : "no role");
	switch (atomic_load(&handler.does)) {
	case FAIL:
		bg_buf_put_str(out, "Status: 200 OK\r\n\r\n");
		return -1;
	case EMPTY:
		return 0;
	case OVERFLOW:
		while (!out->failed)
			bg_buf_put_str(out, "Status: 200 OK\r\n");
		return 0;
	case LARGE:
		bg_buf_put_str(out, "Status: 200 OK\r\n");
		while (out->len < BG_ANSWER_MAX - 100)
			bg_buf_put_str(out, "Variable-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
		break;
	case BLOCK:
		sem_post(&handler.entered);
		sem_wait(&handler.leave);
		break;
	case PUT_OFF:
		if (strncmp(uri, "/wait", 5) != 0 || atomic_load(&handler.ready))
			break;
		if (!last || atomic_load(&handler.stubborn)) {
			bg_buf_put_str(out, "Status: 200 OK\r\n\r\n");	/* it does not count */
			return put_off(call);
		}
		bg_buf_put_format(out, "Status: 503 Service Unavailable\r\nVariable-URI: %s\r\n\r\n", uri);
		return 0;
	default:
		break;
	}
	bg_buf_put_format(out, "Status: 200 OK\r\nVariable-URI: %s\r\nVariable-ROLE: %s\r\n\r\n", uri, named);
	return 0;
}

static void
make_listeners(void)
{
	char address[128];
	const struct bg_listener_rules rules = { .owner = (uid_t)-1, .group = (gid_t)-1, .mode = 0660, .backlog = 64,
	    .want_unix = true, .want_tcp = true };
	struct bg_error err = { 0 };
	const char *tmp = getenv("TMPDIR");

	if (tmp == NULL || strlen(tmp) > 40)
		tmp = "/tmp";
	bg_format(dir, sizeof(dir), "%s/bg-XXXXXX", tmp);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	bg_format(address, sizeof(address), "unix:%s/s", dir);
	ck_assert_msg(bg_listener_open(address, &rules, &listeners[UNIX], &err) == 0, "%s", err.detail);
	ck_assert_msg(bg_listener_open("127.0.0.1:0", &rules, &listeners[TCP], &err) == 0, "%s", err.detail);
	bg_log_open(STDERR_FILENO, BG_LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	sem_init(&handler.entered, 0, 0);
	sem_init(&handler.leave, 0, 0);
	sem_init(&handler.put_off, 0, 0);
	handler.does = ECHO;
	atomic_store(&handler.calls, 0);
}

static void
remove_listeners(void)
{
	if (worker != NULL)
		ck_assert(bg_worker_stop(worker, AT_ONCE_MS));
	worker = NULL;
	bg_listener_close(&listeners[UNIX]);
	bg_listener_close(&listeners[TCP]);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void
start_options(struct bg_worker_options *options)
{
	const int fds[] = { listeners[UNIX].fd, listeners[TCP].fd };
	struct bg_error err = { 0 };

	options->listeners = fds;
	options->n_listeners = 2;
	if (options->answer == NULL)
		options->answer = answer;
	options->arg = &handler;
	ck_assert_msg(bg_worker_start(&worker, options, &err) == 0, "%s", err.detail);
}

static void
start_with(int threads, size_t max_waiting, int64_t deadline)
{
	start_options(&(struct bg_worker_options){
		.threads = threads, .max_waiting = max_waiting, .deadline = deadline,
	});
}

static void
start_parking(int threads, size_t max_parked, int64_t patience)
{
	handler.does = PUT_OFF;
	start_options(&(struct bg_worker_options){
		.threads = threads, .max_waiting = 4096, .deadline = LONG_MS, .max_parked = max_parked, .patience = patience,
	});
}

static void
start(void)
{
	start_with(1, 4096, LONG_MS);
}

static int
connect_to(int which)
{
	return bg_rec_connect(listeners[which].name);
}

static struct bg_slice
built(const struct bg_buf *buf)
{
	return (struct bg_slice){ buf->data, buf->len };
}

static void
send_request(int fd, const char *uri)
{
	struct bg_buf bytes;

	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, uri);
	ck_assert(bg_rec_send(fd, built(&bytes)));
	bg_buf_clear(&bytes);
}

/* The peer may close before it is sent. */
static void
send_request_if_open(int fd, const char *uri)
{
	struct bg_buf bytes;

	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, uri);
	(void)bg_rec_send(fd, built(&bytes));
	bg_buf_clear(&bytes);
}

/* The whole answer to the request with this URI comes, and then the end; closes fd. */
static void
expect_answer_as(int fd, const char *role, const char *uri, const char *name)
{
	struct bg_rec_answer got;
	char want[256];

	bg_format(want, sizeof(want), "Status: 200 OK\r\nVariable-URI: %s\r\nVariable-ROLE: %s\r\n\r\n", uri, role);
	bg_rec_read(fd, &got);
	ck_assert_msg(got.whole && !got.reset && got.stdout_records == 1, "%s: %zu bytes, whole %d, reset %d, records %zu",
	    name, got.bytes, got.whole, got.reset, got.stdout_records);
	ck_assert_msg(bg_slice_equal(built(&got.out), bg_slice_str(want)), "%s: %.*s", name, (int)got.out.len, got.out.data);
	bg_rec_answer_clear(&got);
	close(fd);
}

static void
expect_answer(int fd, const char *uri, const char *name)
{
	expect_answer_as(fd, "AUTHORIZER", uri, name);
}

/* What PUT_OFF answers on the last try comes, whole; closes fd. */
static void
expect_refusal(int fd, const char *uri)
{
	struct bg_rec_answer got;
	char want[256];

	bg_format(want, sizeof(want), "Status: 503 Service Unavailable\r\nVariable-URI: %s\r\n\r\n", uri);
	bg_rec_read(fd, &got);
	ck_assert_msg(got.whole && !got.reset, "%s: %zu bytes, whole %d, reset %d", uri, got.bytes, got.whole, got.reset);
	ck_assert_msg(bg_slice_equal(built(&got.out), bg_slice_str(want)), "%s: %.*s", uri, (int)got.out.len, got.out.data);
	bg_rec_answer_clear(&got);
	close(fd);
}

/* The connection ends without one byte: no answer, and above all no END_REQUEST, which lighttpd takes as a grant. */
static void
expect_nothing(int fd, const char *name)
{
	struct bg_rec_answer got;

	bg_rec_read(fd, &got);
	ck_assert_msg(got.bytes == 0, "%s: %zu bytes", name, got.bytes);
	bg_rec_answer_clear(&got);
	close(fd);
}

static void
expect_service(int which)
{
	int fd = connect_to(which);

	send_request(fd, "/next");
	expect_answer(fd, "/next", "the next request");
}

/* Is the connection still open, with nothing to read? */
static bool
is_open(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1;
}

START_TEST(a_good_request_is_answered_and_the_connection_closed)
{
	start();
	for (int i = 0; i < 3; i++) {
		int fd = connect_to(_i);

		send_request(fd, "/good");
		expect_answer(fd, "/good", "a good request");
	}
	ck_assert_int_eq(handler.calls, 3);
}
END_TEST

START_TEST(bytes_may_come_one_by_one)
{
	struct bg_buf bytes;
	int fd;

	start();
	fd = connect_to(_i);
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, "/one-by-one");
	for (size_t i = 0; i < bytes.len; i++)
		ck_assert(bg_rec_send(fd, (struct bg_slice){ bytes.data + i, 1 }));
	expect_answer(fd, "/one-by-one", "byte by byte");
	bg_buf_clear(&bytes);
}
END_TEST

/* While one is free they move, whatever the other is at; when none is they do not, until one goes on. */
START_TEST(threads_that_are_all_stuck_do_not_move)
{
	int fds[2];

	start_with(2, 4096, LONG_MS);
	handler.does = BLOCK;
	for (int i = 0; i < 2; i++) {
		while (!bg_worker_moves(worker))
			(void)poll(NULL, 0, 1);
		fds[i] = connect_to(UNIX);
		send_request(fds[i], "/stuck");
		sem_wait(&handler.entered);
	}
	(void)bg_worker_moves(worker);		/* what they did before */
	for (int i = 0; i < 10; i++)
		ck_assert(!bg_worker_moves(worker));
	sem_post(&handler.leave);
	while (!bg_worker_moves(worker))
		(void)poll(NULL, 0, 1);
	sem_post(&handler.leave);
	for (int i = 0; i < 2; i++)
		expect_answer(fds[i], "/stuck", "stuck for a while");
	while (!bg_worker_moves(worker))
		(void)poll(NULL, 0, 1);
}
END_TEST

/*
 * On a unix socket each write is one piece that arrives as a whole, so whoever is woken by the first has all of it.  Records in
 * writes of their own would cost servers a wake each; interop 5.1.
 */
START_TEST(an_answer_below_8_kib_goes_out_in_one_write)
{
	static const char end[] = "\1\3\0\1\0\10\0\0";	/* the header of END_REQUEST */
	char bytes[8 * 1024];

	start();
	for (int i = 0; i < 200; i++) {
		int fd = connect_to(UNIX);
		struct pollfd readable = { .fd = fd, .events = POLLIN };
		ssize_t n;

		send_request(fd, "/one-write");
		ck_assert_int_eq(poll(&readable, 1, -1), 1);
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		ck_assert_int_gt(n, 16);
		ck_assert_msg(memcmp(bytes + n - 16, end, sizeof(end) - 1) == 0, "turn %d: cut after %zd bytes", i, n);
		close(fd);
	}
}
END_TEST

static const size_t pieces[] = { 1, 2, 3, 7, 127, 1000, 8192, 16384, 65535 };
START_TEST(parameters_may_be_cut_into_any_records)
{
	struct bg_buf bytes, pairs, value;
	int fd;

	start();
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&value, BG_REC_MAX);
	while (value.len < (pieces[_i] < 100 ? 500 : 60000))
		bg_buf_put_char(&value, 'v');
	bg_rec_pair(&pairs, BG_SLICE("HTTP_AUTHORIZATION"), built(&value));
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), BG_SLICE("/pieces"));
	bg_rec_begin(&bytes, 7, BG_REC_AUTHORIZER, 0);
	bg_rec_params(&bytes, 7, built(&pairs), pieces[_i], (unsigned)(pieces[_i] % 8));
	for (int which = UNIX; which <= TCP; which++) {
		struct bg_rec_answer got;

		fd = connect_to(which);
		ck_assert(bg_rec_send(fd, built(&bytes)));
		bg_rec_read(fd, &got);
		/* the client looks for id 1: that this is not whole shows that the answer has the request's id */
		ck_assert_uint_gt(got.bytes, 0);
		ck_assert(!got.whole);
		bg_rec_answer_clear(&got);
		close(fd);
	}
	ck_assert_int_eq(handler.calls, 2);
	bytes.len = 0;
	bg_rec_begin(&bytes, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(&bytes, 1, built(&pairs), pieces[_i], (unsigned)(pieces[_i] % 8));
	for (int which = UNIX; which <= TCP; which++) {
		fd = connect_to(which);
		ck_assert(bg_rec_send(fd, built(&bytes)));
		expect_answer(fd, "/pieces", "in pieces");
	}
	bg_buf_clear(&bytes);
	bg_buf_clear(&pairs);
	bg_buf_clear(&value);
}
END_TEST

/* The largest request there may be fits into the kernel's buffers, unread. */
START_TEST(the_largest_request_is_answered)
{
	struct bg_buf bytes, pairs, value;
	int fd;

	start();
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&value, BG_REC_MAX);
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), BG_SLICE("/largest"));
	while (value.len < BG_PARAMS_MAX - pairs.len - 6)
		bg_buf_put_char(&value, 'v');
	bg_rec_pair(&pairs, BG_SLICE("X"), built(&value));
	ck_assert_uint_eq(pairs.len, BG_PARAMS_MAX);
	bg_rec_begin(&bytes, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(&bytes, 1, built(&pairs), 16384, 0);
	fd = connect_to(_i);
	ck_assert(bg_rec_send(fd, built(&bytes)));
	expect_answer(fd, "/largest", "the largest request");
	bg_buf_clear(&bytes);
	bg_buf_clear(&pairs);
	bg_buf_clear(&value);
}
END_TEST

/* SR-22. */
START_TEST(silent_peers_hold_no_thread)
{
	enum { PEERS = 50 };
	int64_t began = bg_clock_mono_ms();
	int peers[PEERS];

	start();
	for (int i = 0; i < PEERS; i++) {
		peers[i] = connect_to(i % 2);
		if (i % 3 == 0)		/* some begin, and then are silent */
			ck_assert(bg_rec_send(peers[i], BG_SLICE("\1\1\0\1\0\10\0\0\0\2")));
	}
	expect_service(_i);
	ck_assert_int_lt(bg_clock_mono_ms() - began, AT_ONCE_MS);
	for (int i = 0; i < PEERS; i++) {
		ck_assert(is_open(peers[i]));
		close(peers[i]);
	}
}
END_TEST

START_TEST(a_peer_that_goes_in_the_middle_harms_nobody)
{
	struct bg_buf bytes;

	start();
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, "/half");
	for (size_t n = 0; n < bytes.len; n++) {
		int fd = connect_to(_i);

		ck_assert(bg_rec_send(fd, (struct bg_slice){ bytes.data, n }));
		if (n % 2 == 0) {
			shutdown(fd, SHUT_WR);
			expect_nothing(fd, "half a request");	/* at once, not after the deadline */
		} else
			close(fd);
	}
	expect_service(_i);
	ck_assert_int_eq(handler.calls, 1);
	bg_buf_clear(&bytes);
}
END_TEST

START_TEST(a_peer_that_only_stops_sending_gets_its_answer)
{
	int fd;

	start();
	fd = connect_to(_i);
	send_request(fd, "/half-closed");
	shutdown(fd, SHUT_WR);
	expect_answer(fd, "/half-closed", "a half-closed connection");
}
END_TEST

/* SR-21; interop 5.2 and 5.3: each of these aborts libfcgi, overruns it, or makes it hand over half a request. */
START_TEST(a_bad_request_ends_its_own_connection_alone)
{
	struct bg_buf bytes;

	start();
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_make_bad(_i, &bytes);
	for (int which = UNIX; which <= TCP; which++) {
		int other = connect_to(which), fd = connect_to(which);

		ck_assert(bg_rec_send(other, BG_SLICE("\1\1\0\1\0\10\0\0")));
		(void)bg_rec_send(fd, built(&bytes));	/* it may be closed before all is sent */
		expect_nothing(fd, bg_rec_bad[_i].name);
		expect_service(which);
		ck_assert(is_open(other));
		close(other);
	}
	ck_assert_int_eq(handler.calls, 2);
	bg_buf_clear(&bytes);
}
END_TEST

/* The bytes behind a whole request never reach libfcgi's parser, which answers GET_VALUES, or aborts on it. */
START_TEST(what_follows_a_request_is_neither_answered_nor_harmful)
{
	static const struct bg_slice rests[] = {
		BG_SLICE_INIT("\1\5\0\1\0\0\0\0"),		/* the empty STDIN that some servers send in any role */
		BG_SLICE_INIT("\1\11\0\0\0\0\0\0"), BG_SLICE_INIT("\1\2\0\1\0\0\0\0"), BG_SLICE_INIT("garbage"),
	};
	struct bg_buf bytes;
	int fd;

	start();
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, "/followed");
	bg_buf_put(&bytes, rests[_i]);
	for (int which = UNIX; which <= TCP; which++) {
		fd = connect_to(which);
		ck_assert(bg_rec_send(fd, built(&bytes)));
		expect_answer(fd, "/followed", "a request with something behind it");
	}
	bg_buf_clear(&bytes);
}
END_TEST

/* Whatever libfcgi has read of a Responder's STDIN, the rest does not reset the connection.  Parked or not. */
START_TEST(a_responder_is_asked_as_such_and_its_answer_comes_whole)
{
	struct bg_buf bytes, pairs, value;
	int fd;

	start();
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&value, BG_REC_MAX);
	bg_rec_request_as(&bytes, BG_REC_RESPONDER, "/responder");
	for (size_t cut = 1; cut <= bytes.len; cut += cut < bytes.len - 12 ? 7 : 1) {
		fd = connect_to(_i);
		ck_assert(bg_rec_send(fd, (struct bg_slice){ bytes.data, cut }));
		ck_assert(bg_rec_send(fd, bg_slice_skip(built(&bytes), cut)));
		expect_answer_as(fd, "RESPONDER", "/responder", "a responder");
	}
	/* with STDIN to either side of the 8192 bytes that libfcgi reads at a time */
	for (size_t size = 8192 - 40; size <= 8192 + 8; size++) {
		bg_buf_reset(&bytes);
		bg_buf_reset(&pairs);
		bg_buf_reset(&value);
		bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), BG_SLICE("/edge"));
		while (value.len < size - 16 - 2 * 8 - pairs.len - 6)
			bg_buf_put_char(&value, 'v');
		bg_rec_pair(&pairs, BG_SLICE("X"), built(&value));
		bg_rec_begin(&bytes, 1, BG_REC_RESPONDER, 0);
		bg_rec_params(&bytes, 1, built(&pairs), 65535, 0);
		bg_rec_put(&bytes, BG_REC_STDIN, 1, BG_SLICE(""), 0);
		fd = connect_to(_i);
		ck_assert(bg_rec_send(fd, built(&bytes)));
		expect_answer_as(fd, "RESPONDER", "/edge", "a responder at the edge");
	}
	bg_buf_clear(&bytes);
	bg_buf_clear(&pairs);
	bg_buf_clear(&value);
}
END_TEST

/*
 * libfcgi reads 8192 bytes at a time: of a request that ends there it leaves what follows in the kernel.  Closing on
 * unread bytes resets the connection, and a server may then not read the answer.
 */
START_TEST(bytes_that_nobody_reads_do_not_spoil_the_answer)
{
	struct bg_buf bytes, pairs, value;
	int fd;

	start();
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_buf_init(&pairs, BG_REC_MAX);
	bg_buf_init(&value, BG_REC_MAX);
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), BG_SLICE("/unread"));
	while (value.len < 8192 - 16 - 2 * 8 - pairs.len - 6)
		bg_buf_put_char(&value, 'v');
	bg_rec_pair(&pairs, BG_SLICE("X"), built(&value));
	bg_rec_begin(&bytes, 1, BG_REC_AUTHORIZER, 0);
	bg_rec_params(&bytes, 1, built(&pairs), 65535, 0);
	ck_assert_uint_eq(bytes.len, 8192);
	bg_rec_put(&bytes, BG_REC_STDIN, 1, BG_SLICE(""), 0);
	fd = connect_to(_i);
	ck_assert(bg_rec_send(fd, built(&bytes)));
	expect_answer(fd, "/unread", "unread bytes");
	bg_buf_clear(&bytes);
	bg_buf_clear(&pairs);
	bg_buf_clear(&value);
}
END_TEST

/* The reason is in fcgi/worker.c: a second request could be lost half-read. */
START_TEST(the_connection_is_closed_even_where_the_server_would_keep_it)
{
	struct bg_buf bytes, pairs;
	int fd;

	start();
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_buf_init(&pairs, BG_REC_MAX);
	bg_rec_pair(&pairs, BG_SLICE("REQUEST_URI"), BG_SLICE("/keep"));
	bg_rec_begin(&bytes, 1, BG_REC_AUTHORIZER, 1);
	bg_rec_params(&bytes, 1, built(&pairs), 65535, 0);
	bg_rec_request(&bytes, "/second");
	fd = connect_to(_i);
	ck_assert(bg_rec_send(fd, built(&bytes)));
	expect_answer(fd, "/keep", "a connection to be kept");
	ck_assert_int_eq(handler.calls, 1);
	bg_buf_clear(&bytes);
	bg_buf_clear(&pairs);
}
END_TEST

/* Interop 2.6: END_REQUEST without output is a grant in lighttpd, so not even that may come. */
START_TEST(a_handler_that_fails_yields_no_answer_at_all)
{
	start();
	for (int which = UNIX; which <= TCP; which++) {
		int fd;

		handler.does = _i;
		fd = connect_to(which);
		send_request(fd, "/failed");
		expect_nothing(fd, "a handler that fails");
		handler.does = ECHO;
		expect_service(which);
	}
}
END_TEST

START_TEST(an_answer_beyond_one_record_comes_whole)
{
	struct bg_rec_answer got;
	int fd;

	handler.does = LARGE;
	start();
	fd = connect_to(_i);
	send_request(fd, "/large");
	bg_rec_read(fd, &got);
	ck_assert(got.whole);
	ck_assert_uint_gt(got.stdout_records, 1);
	ck_assert_uint_ge(got.out.len, BG_ANSWER_MAX - 100);
	ck_assert_int_eq(memcmp(got.out.data + got.out.len - 4, "\r\n\r\n", 4), 0);
	bg_rec_answer_clear(&got);
	close(fd);
}
END_TEST

/* The kernel has room for it: nobody waits, and who reads later still finds all of it. */
START_TEST(a_peer_that_does_not_read_its_answer_holds_no_thread)
{
	int64_t began = bg_clock_mono_ms();
	struct bg_rec_answer got;
	int fds[8], bad;

	handler.does = LARGE;
	start();
	for (int i = 0; i < 8; i++) {
		fds[i] = connect_to(_i);
		send_request(fds[i], "/unread");
	}
	/* One thread: it comes to this one only when it is done with the others. */
	bad = connect_to(_i);
	ck_assert(bg_rec_send(bad, BG_SLICE("bad")));
	expect_nothing(bad, "bad bytes behind them");
	ck_assert_int_lt(bg_clock_mono_ms() - began, AT_ONCE_MS);
	for (int i = 0; i < 8; i++) {
		bg_rec_read(fds[i], &got);
		ck_assert_msg(got.whole && got.out.len >= BG_ANSWER_MAX - 100, "%zu bytes", got.bytes);
		bg_rec_answer_clear(&got);
		close(fds[i]);
	}
}
END_TEST

START_TEST(a_peer_that_goes_before_its_answer_harms_nobody)
{
	handler.does = BLOCK;
	start();
	for (int i = 0; i < 3; i++) {
		int fd = connect_to(_i);

		send_request(fd, "/gone");
		sem_wait(&handler.entered);
		close(fd);
		if (i == 2)
			handler.does = ECHO;
		sem_post(&handler.leave);
	}
	expect_service(_i);
}
END_TEST

/* SR-22: with a deadline that a test can wait for. */
START_TEST(who_sends_no_whole_request_in_time_is_closed)
{
	enum { DEADLINE = 150 };
	static const struct bg_slice sent[] = {
		BG_SLICE_INIT(""), BG_SLICE_INIT("\1"), BG_SLICE_INIT("\1\1\0\1\0\10\0\0\0\2\0\0\0\0\0\0"),
		BG_SLICE_INIT("\1\1\0\1\0\10\0\0\0\2\0\0\0\0\0\0\1\4\0\1\1\0\0\0ABCDEF"),
	};
	int64_t began;

	start_with(1, 16, DEADLINE);
	for (int round = 0; round < 2; round++)		/* the timer is set again after it went off */
		for (int which = UNIX; which <= TCP; which++) {
			int fd;

			began = bg_clock_mono_ms();
			fd = connect_to(which);
			ck_assert(bg_rec_send(fd, sent[_i]));
			expect_nothing(fd, "a slow peer");
			ck_assert_int_ge(bg_clock_mono_ms() - began, DEADLINE);
			ck_assert_int_lt(bg_clock_mono_ms() - began, AT_ONCE_MS);
			expect_service(which);
		}
}
END_TEST

/* Sending a byte now and then moves no deadline. */
START_TEST(a_trickle_does_not_move_the_deadline)
{
	enum { DEADLINE = 150 };
	struct pollfd quiet = { .events = POLLIN };
	int64_t began = bg_clock_mono_ms();
	struct bg_buf bytes;
	size_t n = 0;

	start_with(2, 16, DEADLINE);
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, "/trickle");
	quiet.fd = connect_to(_i);
	/* one byte for each 20 ms in which nothing comes: the whole of it would take much longer */
	while (poll(&quiet, 1, 20) == 0 && n < bytes.len)
		(void)bg_rec_send(quiet.fd, (struct bg_slice){ bytes.data + n++, 1 });
	ck_assert_uint_lt(n, bytes.len);
	ck_assert_int_ge(bg_clock_mono_ms() - began, DEADLINE);
	expect_nothing(quiet.fd, "a trickle");
	bg_buf_clear(&bytes);
}
END_TEST

/* What a page shows of us, soon: a peer may see its connection closed before it is counted. */
static void
expect_figures(size_t parked, size_t waiting, uint64_t troubles)
{
	int64_t until = bg_clock_mono_ms() + AT_ONCE_MS;
	struct bg_worker_figures figures;

	do
		bg_worker_read(worker, &figures);
	while ((figures.parked != parked || figures.waiting != waiting || figures.troubles != troubles) &&
	    bg_clock_mono_ms() < until && sched_yield() == 0);
	ck_assert_uint_eq(figures.parked, parked);
	ck_assert_uint_eq(figures.waiting, waiting);
	ck_assert_uint_eq(figures.troubles, troubles);
}

static atomic_int admits;	/* the family of addresses that may; 0: none */

static bool
admit(void *arg, int fd, const struct sockaddr *peer, char *who, size_t size)
{
	ck_assert_ptr_eq(arg, &handler);
	ck_assert_int_ge(fd, 0);
	bg_format(who, size, "family %d", peer->sa_family);
	return peer->sa_family == atomic_load(&admits);
}

/* SR-89. */
START_TEST(one_who_may_not_ask_is_closed_at_once_and_counted)
{
	static const int families[] = { [UNIX] = AF_UNIX, [TCP] = AF_INET };
	struct bg_worker_figures figures;
	int fd;

	start_options(&(struct bg_worker_options){ .threads = 1, .max_waiting = 4096, .deadline = LONG_MS, .admit = admit });
	atomic_store(&admits, 0);
	for (int i = 0; i < 3; i++) {
		fd = connect_to(_i);
		if (i > 0)		/* he may be gone before he has sent anything; whether he has makes no difference */
			send_request_if_open(fd, "/stranger");
		expect_nothing(fd, "a stranger");
	}
	atomic_store(&admits, families[_i]);
	fd = connect_to(_i);
	send_request(fd, "/friend");
	expect_answer(fd, "/friend", "one who may");
	bg_worker_read(worker, &figures);
	ck_assert_uint_eq(figures.strangers, 3);
	expect_figures(0, 0, 0);
	ck_assert_int_eq(handler.calls, 1);
}
END_TEST

START_TEST(one_too_many_that_wait_cost_the_oldest_its_connection)
{
	struct bg_buf bytes;
	int fds[6];

	start_with(1, 4, LONG_MS);
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, "/waited");
	for (int i = 0; i < 6; i++) {
		fds[i] = connect_to(_i);
		ck_assert(bg_rec_send(fds[i], (struct bg_slice){ bytes.data, 20 }));
	}
	/* One thread accepts them in order; who comes fifth and sixth costs the first and the second their place. */
	expect_nothing(fds[0], "the oldest");
	expect_nothing(fds[1], "the second oldest");
	expect_figures(0, 4, 2);
	for (int i = 2; i < 6; i++) {
		ck_assert(is_open(fds[i]));
		ck_assert(bg_rec_send(fds[i], (struct bg_slice){ bytes.data + 20, bytes.len - 20 }));
		expect_answer(fds[i], "/waited", "one that was not the oldest");
	}
	expect_figures(0, 0, 2);
	bg_buf_clear(&bytes);
}
END_TEST

/* A child that is a client, since descriptors that run out here must not run out there. */
static pid_t
fork_client(int which, int go, int silent)
{
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		struct bg_rec_answer got;
		struct bg_buf bytes;
		char byte;
		int fd;

		if (read(go, &byte, 1) != 1)
			_exit(2);
		for (int i = 0; i < silent; i++)
			(void)connect_to(which);
		bg_buf_init(&bytes, BG_REC_MAX);
		bg_rec_request(&bytes, "/child");
		fd = connect_to(which);
		if (!bg_rec_send(fd, built(&bytes)))
			_exit(3);
		bg_rec_read(fd, &got);
		_exit(got.whole ? 0 : 4);
	}
	return pid;
}

static void
expect_child(pid_t pid)
{
	int status = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status %x", status);
}

static int
next_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY);

	ck_assert_int_ne(fd, -1);
	close(fd);
	return fd;
}

static void
limit_descriptors(int n)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)n;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(when_descriptors_run_out_the_oldest_that_wait_make_room)
{
	int go[2];
	pid_t pid;

	ck_assert_int_eq(pipe(go), 0);
	pid = fork_client(_i, go[0], 30);
	bg_log_open(open("/dev/null", O_WRONLY), BG_LOG_ERROR);
	start();
	limit_descriptors(next_descriptor() + 10);
	ck_assert_int_eq(write(go[1], "g", 1), 1);
	expect_child(pid);
}
END_TEST

/* The next line of the log has these words; returns the number in front of the second ones, or 0. */
static long
expect_log(FILE *log, const char *words, const char *behind)
{
	char line[1024], *at;

	ck_assert_ptr_nonnull(fgets(line, sizeof(line), log));
	ck_assert_msg(strstr(line, words) != NULL, "%s", line);
	if ((at = strstr(line, behind)) == NULL)
		return 0;
	while (at > line && at[-1] != '(')
		at--;
	return strtol(at, NULL, 10);
}

START_TEST(with_no_descriptor_at_all_it_waits_without_spinning)
{
	int go[2], says[2], next;
	long tries;
	FILE *log;
	pid_t pid;

	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(pipe(says), 0);
	ck_assert_ptr_nonnull(log = fdopen(says[0], "r"));
	pid = fork_client(_i, go[0], 0);
	bg_log_open(says[1], BG_LOG_ERROR);
	start();
	next = next_descriptor();
	limit_descriptors(next);
	ck_assert_int_eq(write(go[1], "g", 1), 1);
	expect_log(log, "cannot accept a connection: Too many open files", "more such lines");
	/* The next such line comes a second later; in between it tries ten times, not ten thousand times. */
	tries = expect_log(log, "cannot accept a connection: Too many open files", "more such lines");
	ck_assert_msg(tries > 0 && tries < 100, "%ld tries", tries);
	limit_descriptors(next + 10);
	expect_child(pid);
	fclose(log);
	bg_log_open(STDERR_FILENO, BG_LOG_ERROR);
	close(says[1]);
}
END_TEST

START_TEST(stopping_closes_what_waits_at_once)
{
	int64_t began;
	int fds[20];

	start_with(3, 4096, LONG_MS);
	for (int i = 0; i < 20; i++) {
		fds[i] = connect_to(i % 2);
		ck_assert(bg_rec_send(fds[i], BG_SLICE("\1\1\0\1\0\10\0\0")));
	}
	expect_service(UNIX);
	expect_service(TCP);
	began = bg_clock_mono_ms();
	ck_assert(bg_worker_stop(worker, LONG_MS));
	worker = NULL;
	ck_assert_int_lt(bg_clock_mono_ms() - began, AT_ONCE_MS);
	bg_listener_close(&listeners[UNIX]);
	bg_listener_close(&listeners[TCP]);
	for (int i = 0; i < 20; i++)
		expect_nothing(fds[i], "a connection that waited");
}
END_TEST

START_TEST(stopping_lets_a_request_under_way_finish)
{
	int fd;

	handler.does = BLOCK;
	start_with(2, 16, LONG_MS);
	fd = connect_to(_i);
	send_request(fd, "/under-way");
	sem_wait(&handler.entered);
	ck_assert(!bg_worker_stop(worker, 1));	/* not within this time, and it says so */
	ck_assert(is_open(fd));
	sem_post(&handler.leave);
	ck_assert(bg_worker_stop(worker, AT_ONCE_MS));
	worker = NULL;
	expect_answer(fd, "/under-way", "a request under way");
}
END_TEST

START_TEST(libfcgi_puts_no_handler_where_there_is_one)
{
	struct sigaction mine = { .sa_handler = SIG_IGN }, now;

	/* It replaces SIG_IGN too; what matters is that SIGTERM, blocked and waited for, stays ours: interop 5.4. */
	sigset_t ending, before;
	int sig = 0;

	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &ending, &before), 0);
	ck_assert_int_eq(sigaction(SIGPIPE, &mine, NULL), 0);
	start_with(4, 16, LONG_MS);
	ck_assert_int_eq(sigaction(SIGPIPE, NULL, &now), 0);
	ck_assert(now.sa_handler != SIG_DFL);
	expect_service(UNIX);
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	ck_assert_int_eq(sigwait(&ending, &sig), 0);
	ck_assert_int_eq(sig, SIGTERM);
	expect_service(UNIX);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}
END_TEST

static const struct {
	const char *name;
	int         threads;
	size_t      n_listeners, max_waiting;
	int64_t     deadline;
	bool        no_answer;
	size_t      max_parked;
	int64_t     patience;
} impossible[] = {
	{ "no thread",           0, 1, 1, 1, false, 0, 0 },
	{ "no listener",         1, 0, 1, 1, false, 0, 0 },
	{ "no room to wait",     1, 1, 0, 1, false, 0, 0 },
	{ "too much room",       1, 1, 1 << 24, 1, false, 0, 0 },
	{ "no time",             1, 1, 1, 0, false, 0, 0 },
	{ "no handler",          1, 1, 1, 1, true, 0, 0 },
	{ "no patience",         1, 1, 1, 1, false, 1, 0 },
	{ "negative patience",   1, 1, 1, 1, false, 1, -1 },
};
START_TEST(options_that_make_no_sense_are_refused)
{
	struct bg_worker_options options = {
		.listeners = &listeners[UNIX].fd, .n_listeners = impossible[_i].n_listeners,
		.threads = impossible[_i].threads, .max_waiting = impossible[_i].max_waiting,
		.deadline = impossible[_i].deadline, .answer = impossible[_i].no_answer ? NULL : answer,
		.max_parked = impossible[_i].max_parked, .patience = impossible[_i].patience,
	};
	struct bg_error err = { 0 };

	ck_assert_msg(bg_worker_start(&worker, &options, &err) == -1, "%s", impossible[_i].name);
	ck_assert_int_eq(err.reason, BG_R_INTERNAL);
	ck_assert_ptr_null(worker);
	ck_assert(bg_worker_stop(NULL, 0));
}
END_TEST

/* ---- requests that are put off and parked ---- */

static int
open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* So many times the handler has put off a request, since this was last asked. */
static void
expect_put_off(int n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += AT_ONCE_MS / 1000;
	for (int i = 0; i < n; i++) {
		int rc;

		while ((rc = sem_timedwait(&handler.put_off, &until)) != 0 && errno == EINTR)
			continue;
		ck_assert_msg(rc == 0, "put off %d times, not %d", i, n);
	}
}

static int
send_wait(int which, int i)
{
	int fd = connect_to(which);
	char uri[64];

	bg_format(uri, sizeof(uri), "/wait/%d", i);
	send_request(fd, uri);
	return fd;
}

static void
expect_wait(int fd, int i)
{
	char uri[64];

	bg_format(uri, sizeof(uri), "/wait/%d", i);
	expect_answer(fd, uri, "a parked request");
}

static void
wake_ready(void)
{
	atomic_store(&handler.ready, true);
	bg_worker_wake(worker);
}

/* One thread: what it is asked next it does only when those before are parked. */
START_TEST(parked_requests_hold_no_thread_and_a_wake_answers_each_once)
{
	enum { PARKED = 50 };
	int fds[PARKED], before;

	start_parking(1, PARKED + 1, LONG_MS);
	before = open_descriptors();
	for (int i = 0; i < PARKED; i++)
		fds[i] = send_wait(i % 2, i);
	expect_put_off(PARKED);
	expect_service(_i);
	for (int i = 0; i < PARKED; i++)
		ck_assert(is_open(fds[i]));
	expect_figures(PARKED, 0, 0);
	wake_ready();
	for (int i = 0; i < PARKED; i++)
		expect_wait(fds[i], i);
	expect_service(_i);
	expect_figures(0, 0, 0);
	ck_assert_int_eq(handler.calls, 1 + 2 * PARKED + 1);
	ck_assert_int_eq(handler.lasts, 0);
	ck_assert_int_eq(open_descriptors(), before);	/* libfcgi and we left none open */
}
END_TEST

START_TEST(a_wake_tries_each_parked_request_once)
{
	enum { PARKED = 30, WAKES = 5 };
	int fds[PARKED];

	start_parking(1, PARKED + 1, LONG_MS);
	for (int i = 0; i < PARKED; i++)
		fds[i] = send_wait(i % 2, i);
	expect_put_off(PARKED);
	for (int i = 1; i <= WAKES; i++) {
		bg_worker_wake(worker);
		expect_put_off(PARKED);
		expect_service(UNIX);	/* the last of them is parked again by now */
		ck_assert_int_eq(handler.calls, (1 + i) * PARKED + i);
	}
	wake_ready();
	for (int i = 0; i < PARKED; i++)
		expect_wait(fds[i], i);
	expect_service(TCP);
	ck_assert_int_eq(handler.calls, (2 + WAKES) * PARKED + WAKES + 1);
}
END_TEST

/* In the first try, and in one after a wake. */
START_TEST(a_wake_between_a_try_and_the_parking_is_not_lost)
{
	int fd;

	start_parking(1, 4, LONG_MS);
	atomic_store(&handler.wakes_in, _i + 1);
	fd = send_wait(UNIX, 0);
	for (int i = 0; i < _i; i++) {
		expect_put_off(1);
		expect_service(TCP);	/* it is parked by now; this was a call too */
		atomic_fetch_add(&handler.wakes_in, 1);
		bg_worker_wake(worker);
	}
	expect_wait(fd, 0);
	expect_put_off(1);
	ck_assert_int_eq(handler.calls, 2 + 2 * _i);
	ck_assert_int_eq(handler.lasts, 0);
}
END_TEST

/* All four are in the handler at once, or the first waits for the others for ever. */
START_TEST(a_wake_finds_all_threads_that_are_free)
{
	enum { THREADS = 4, PARKED = 40 };
	int fds[PARKED];

	start_parking(THREADS, PARKED, LONG_MS);
	for (int i = 0; i < PARKED; i++)
		fds[i] = send_wait(i % 2, i);
	expect_put_off(PARKED);
	handler.does = BLOCK;
	bg_worker_wake(worker);
	for (int i = 0; i < THREADS; i++)
		sem_wait(&handler.entered);
	for (int i = 0; i < PARKED; i++)
		sem_post(&handler.leave);
	for (int i = 0; i < PARKED; i++)
		expect_wait(fds[i], i);
	ck_assert_int_eq(handler.calls, 2 * PARKED);
}
END_TEST

/* Each try wakes all, so that there always is one that is due. */
static int
answer_and_wake(void *arg, enum bg_role role, char *const *env, bool last, struct bg_buf *out)
{
	int rc = answer(arg, role, env, last, out);

	if (rc == BG_WORKER_LATER)
		bg_worker_wake(worker);
	return rc;
}

START_TEST(tries_without_end_do_not_starve_new_requests)
{
	enum { PARKED = 20 };
	int fds[PARKED];

	handler.does = PUT_OFF;
	start_options(&(struct bg_worker_options){
		.threads = 1, .max_waiting = 16, .deadline = LONG_MS, .max_parked = PARKED, .patience = LONG_MS,
		.answer = answer_and_wake,
	});
	for (int i = 0; i < PARKED; i++)
		fds[i] = send_wait(_i, i);
	for (int i = 0; i < 10; i++)
		expect_service(i % 2);
	atomic_store(&handler.ready, true);
	for (int i = 0; i < PARKED; i++)
		expect_wait(fds[i], i);
}
END_TEST

START_TEST(who_was_parked_too_long_has_a_last_try)
{
	enum { PATIENCE = 100, PARKED = 5 };
	struct pollfd quiet = { .events = POLLIN };
	int before;

	start_parking(1, PARKED, PATIENCE);
	before = open_descriptors();
	for (int round = 0; round < 2; round++) {	/* the timer is set again after it went off */
		int64_t began = bg_clock_mono_ms();
		int fds[PARKED];

		for (int i = 0; i < PARKED; i++) {
			quiet.fd = fds[i] = send_wait(_i, 0);
			(void)poll(&quiet, 1, 15);	/* each has a deadline of its own */
		}
		for (int i = 0; i < PARKED; i++)
			expect_refusal(fds[i], "/wait/0");
		ck_assert_int_ge(bg_clock_mono_ms() - began, PATIENCE);
		ck_assert_int_lt(bg_clock_mono_ms() - began, AT_ONCE_MS);
		ck_assert_int_eq(handler.lasts, (round + 1) * PARKED);
		ck_assert_int_eq(handler.calls, 2 * (round + 1) * PARKED);
	}
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

/* As bytes that trickle in do not move theirs. */
START_TEST(wakes_do_not_move_the_deadline)
{
	enum { PATIENCE = 150 };
	struct pollfd quiet = { .events = POLLIN };
	int64_t began = bg_clock_mono_ms();

	start_parking(2, 4, PATIENCE);
	quiet.fd = send_wait(_i, 0);
	/* one wake for each 20 ms in which no answer comes */
	while (poll(&quiet, 1, 20) == 0 && bg_clock_mono_ms() - began < AT_ONCE_MS)
		bg_worker_wake(worker);
	expect_refusal(quiet.fd, "/wait/0");
	ck_assert_int_ge(bg_clock_mono_ms() - began, PATIENCE);
	ck_assert_int_lt(bg_clock_mono_ms() - began, AT_ONCE_MS);
	ck_assert_int_eq(handler.lasts, 1);
}
END_TEST

START_TEST(who_finds_no_place_to_park_has_a_last_try_at_once)
{
	enum { PLACES = 3 };
	int64_t began = bg_clock_mono_ms();
	int fds[PLACES];

	start_parking(1, _i, LONG_MS);
	for (int round = 0; round < 2; round++) {	/* a place is free again when its request is at its end */
		handler.calls = handler.lasts = 0;
		atomic_store(&handler.ready, false);
		for (int i = 0; i < _i; i++)
			fds[i] = send_wait(UNIX, i);
		expect_put_off(_i);
		for (int i = 0; i < 4; i++) {
			int fd = connect_to(i % 2);

			send_request(fd, "/wait/too");
			expect_refusal(fd, "/wait/too");
		}
		ck_assert_int_eq(handler.calls, _i + 4);	/* it was not even asked whether it could wait */
		ck_assert_int_eq(handler.lasts, 4);
		wake_ready();
		for (int i = 0; i < _i; i++)
			expect_wait(fds[i], i);
	}
	ck_assert_int_lt(bg_clock_mono_ms() - began, AT_ONCE_MS);
}
END_TEST

/* A first or later try, but not a last one, waits inside for the test. */
static int
answer_together(void *arg, enum bg_role role, char *const *env, bool last, struct bg_buf *out)
{
	if (!last && !atomic_load(&handler.ready)) {
		sem_post(&handler.entered);
		sem_wait(&handler.leave);
	}
	return answer(arg, role, env, last, out);
}

/* Which of two connections has something to read first. */
static int
first_to_be_read(const int fds[2])
{
	struct pollfd ready[2] = { { .fd = fds[0], .events = POLLIN }, { .fd = fds[1], .events = POLLIN } };

	ck_assert_int_ge(poll(ready, 2, AT_ONCE_MS), 1);
	return ready[0].revents != 0 ? 0 : 1;
}

START_TEST(a_new_patience_is_for_requests_that_come_then)
{
	int first, second;

	start_parking(1, 4, LONG_MS);
	first = send_wait(UNIX, 0);
	expect_put_off(1);
	bg_worker_set_patience(worker, 1);
	second = send_wait(UNIX, 1);
	expect_refusal(second, "/wait/1");
	ck_assert(is_open(first));
	wake_ready();
	expect_wait(first, 0);
}
END_TEST

/* Two threads both see the one place that is free, and one of them finds it taken when it is put off. */
START_TEST(who_is_beaten_to_the_last_place_has_a_last_try_at_once)
{
	int fds[2], refused;

	atomic_store(&handler.does, PUT_OFF);
	start_options(&(struct bg_worker_options){
		.threads = 2, .max_waiting = 16, .deadline = LONG_MS, .max_parked = 1, .patience = LONG_MS,
		.answer = answer_together,
	});
	for (int i = 0; i < 2; i++)
		fds[i] = send_wait(_i, i);
	for (int i = 0; i < 2; i++)
		sem_wait(&handler.entered);
	for (int i = 0; i < 2; i++)
		sem_post(&handler.leave);
	expect_put_off(2);
	refused = first_to_be_read(fds);
	ck_assert(is_open(fds[1 - refused]));
	expect_refusal(fds[refused], refused == 0 ? "/wait/0" : "/wait/1");
	ck_assert_int_eq(handler.lasts, 1);
	wake_ready();
	expect_wait(fds[1 - refused], 1 - refused);
	ck_assert_int_eq(handler.calls, 4);
}
END_TEST

/* Interop 2.6: not even END_REQUEST, as after any handler that fails. */
START_TEST(a_last_try_that_is_put_off_too_yields_no_answer_at_all)
{
	int says[2], before, fd;
	FILE *log;

	ck_assert_int_eq(pipe(says), 0);
	ck_assert_ptr_nonnull(log = fdopen(says[0], "r"));
	bg_log_open(says[1], BG_LOG_WARNING);
	atomic_store(&handler.stubborn, true);
	start_parking(1, _i, 50);		/* _i 0: its first try is its last */
	before = open_descriptors();
	fd = send_wait(UNIX, 0);
	expect_nothing(fd, "put off for ever");
	expect_log(log, "closed a connection without an answer: the last try was put off too", "more such lines");
	ck_assert_int_eq(handler.calls, 1 + _i);
	ck_assert_int_eq(handler.lasts, 1);
	expect_service(TCP);
	ck_assert_int_eq(open_descriptors(), before);
	bg_log_open(STDERR_FILENO, BG_LOG_ERROR);
	fclose(log);
	close(says[1]);
}
END_TEST

START_TEST(stopping_gives_parked_requests_a_last_try)
{
	enum { PARKED = 40 };
	int64_t began;
	int fds[PARKED];
	char uri[64];

	start_parking(_i, PARKED, LONG_MS);
	for (int i = 0; i < PARKED; i++)
		fds[i] = send_wait(i % 2, i);
	expect_put_off(PARKED);
	began = bg_clock_mono_ms();
	ck_assert(bg_worker_stop(worker, AT_ONCE_MS));
	worker = NULL;
	ck_assert_int_lt(bg_clock_mono_ms() - began, AT_ONCE_MS);
	for (int i = 0; i < PARKED; i++) {
		bg_format(uri, sizeof(uri), "/wait/%d", i);
		expect_refusal(fds[i], uri);
	}
	ck_assert_int_eq(handler.calls, 2 * PARKED);
	ck_assert_int_eq(handler.lasts, PARKED);
}
END_TEST

/* One is put off by its first try (_i 1), the other by a later one (_i 2). */
START_TEST(stopping_gives_one_that_is_just_put_off_a_last_try)
{
	int fd;

	atomic_store(&handler.does, PUT_OFF);
	start_options(&(struct bg_worker_options){
		.threads = 2, .max_waiting = 16, .deadline = LONG_MS, .max_parked = 4, .patience = LONG_MS,
		.answer = answer_together,
	});
	fd = send_wait(UNIX, 0);
	for (int i = 1; i <= _i; i++) {
		sem_wait(&handler.entered);
		if (i == _i)
			break;
		sem_post(&handler.leave);
		expect_put_off(1);
		bg_worker_wake(worker);
	}
	ck_assert(!bg_worker_stop(worker, 1));
	ck_assert(is_open(fd));
	sem_post(&handler.leave);
	ck_assert(bg_worker_stop(worker, AT_ONCE_MS));
	worker = NULL;
	expect_refusal(fd, "/wait/0");
	ck_assert_int_eq(handler.calls, _i + 1);
	ck_assert_int_eq(handler.lasts, 1);
}
END_TEST

START_TEST(a_peer_that_goes_while_parked_harms_nobody)
{
	enum { PARKED = 12 };
	int fds[PARKED], before;

	start_parking(1, PARKED, LONG_MS);
	before = open_descriptors();
	for (int i = 0; i < PARKED; i++)
		fds[i] = send_wait(_i, i);
	expect_put_off(PARKED);
	for (int i = 0; i < PARKED; i++)
		if (i % 3 == 0)
			shutdown(fds[i], SHUT_WR);	/* this one can still read */
		else
			close(fds[i]);
	bg_worker_wake(worker);		/* a try that writes nothing does not even notice */
	expect_put_off(PARKED);
	wake_ready();
	for (int i = 0; i < PARKED; i += 3)
		expect_wait(fds[i], i);
	while (atomic_load(&handler.calls) < 3 * PARKED)
		sched_yield();
	expect_service(UNIX);
	ck_assert_int_eq(handler.calls, 3 * PARKED + 1);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

/* Such as the empty STDIN of a server that takes its time. */
START_TEST(bytes_that_come_while_parked_do_not_spoil_the_answer)
{
	int fd;

	start_parking(1, 4, LONG_MS);
	fd = send_wait(_i, 0);
	expect_put_off(1);
	ck_assert(bg_rec_send(fd, BG_SLICE("\1\5\0\1\0\0\0\0")));
	wake_ready();
	expect_wait(fd, 0);
}
END_TEST

/* The slot where it waited for its last byte is another's by then, and the descriptor still is in epoll. */
START_TEST(a_parked_request_is_not_taken_for_one_that_waits)
{
	struct bg_buf bytes;
	int fd, other;

	start_parking(1, 4, LONG_MS);
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, "/wait/0");
	fd = connect_to(_i);
	ck_assert(bg_rec_send(fd, (struct bg_slice){ bytes.data, 20 }));
	expect_service(_i);		/* it is in the slot by now */
	ck_assert(bg_rec_send(fd, (struct bg_slice){ bytes.data + 20, bytes.len - 20 }));
	expect_put_off(1);
	other = connect_to(_i);
	ck_assert(bg_rec_send(other, (struct bg_slice){ bytes.data, 20 }));
	expect_service(_i);
	ck_assert(bg_rec_send(fd, BG_SLICE("\1\5\0\1\0\0\0\0")));
	shutdown(fd, SHUT_WR);
	expect_service(_i);
	ck_assert(is_open(fd));
	ck_assert(is_open(other));
	wake_ready();
	expect_wait(fd, 0);
	ck_assert(bg_rec_send(other, (struct bg_slice){ bytes.data + 20, bytes.len - 20 }));
	expect_wait(other, 0);
	bg_buf_clear(&bytes);
}
END_TEST

/* ---- many at once: for the thread sanitizer, and for the claim on waiting connections ---- */

#define CLIENTS		6
#define REQUESTS	150

static void *
be_a_client(void *arg)
{
	int me = *(int *)arg;
	struct bg_buf bytes;
	char uri[64];

	bg_buf_init(&bytes, BG_REC_MAX);
	for (int i = 0; i < REQUESTS; i++) {
		int fd = connect_to((me + i) % 2);
		size_t at = 0, step;

		bg_format(uri, sizeof(uri), "/client/%d/%d", me, i);
		bg_buf_reset(&bytes);
		bg_rec_request(&bytes, uri);
		step = i % 3 == 0 ? bytes.len : i % 3 == 1 ? bytes.len / 2 : 5;
		if (i % 7 == 3) {	/* gone in the middle */
			(void)bg_rec_send(fd, (struct bg_slice){ bytes.data, bytes.len - 1 });
			close(fd);
			continue;
		}
		for (; at < bytes.len; at += step)
			ck_assert(bg_rec_send(fd,
			    (struct bg_slice){ bytes.data + at, at + step < bytes.len ? step : bytes.len - at }));
		expect_answer(fd, uri, uri);
	}
	bg_buf_clear(&bytes);
	return NULL;
}

START_TEST(many_clients_at_once_each_get_their_own_answer)
{
	pthread_t clients[CLIENTS];
	int numbers[CLIENTS];

	start_with(4, 64, LONG_MS);
	for (int i = 0; i < CLIENTS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&clients[i], NULL, be_a_client, &numbers[i]), 0);
	}
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_int_eq(pthread_join(clients[i], NULL), 0);
	expect_service(_i);
}
END_TEST

/*
 * Bytes come while a thread looks at those before them, and other threads get the events.  One that is lost leaves a
 * whole request unanswered until a deadline that is far away; two threads on one connection spoil its answer.
 */
START_TEST(no_byte_goes_unseen_and_no_request_is_answered_twice)
{
	enum { ROUNDS = 60, AT_ONCE = 8 };
	struct bg_buf bytes;

	start_with(4, 64, LONG_MS);
	bg_buf_init(&bytes, BG_REC_MAX);
	bg_rec_request(&bytes, "/bytes");
	for (int round = 0; round < ROUNDS; round++) {
		int fds[AT_ONCE];

		for (int i = 0; i < AT_ONCE; i++)
			fds[i] = connect_to(_i);
		for (size_t at = 0; at < bytes.len; at++)
			for (int i = 0; i < AT_ONCE; i++)
				ck_assert(bg_rec_send(fds[i], (struct bg_slice){ bytes.data + at, 1 }));
		for (int i = 0; i < AT_ONCE; i++)
			expect_answer(fds[i], "/bytes", "byte by byte, with others");
		ck_assert_int_eq(handler.calls, (round + 1) * AT_ONCE);
	}
	bg_buf_clear(&bytes);
}
END_TEST

/* Slots are emptied and filled while events for their former owners are under way. */
START_TEST(many_clients_in_few_slots_never_get_a_strangers_answer)
{
	enum { ROUNDS = 200, AT_ONCE = 12 };
	struct bg_buf bytes;
	char uri[64];

	start_with(4, 3, 20);
	bg_buf_init(&bytes, BG_REC_MAX);
	for (int round = 0; round < ROUNDS; round++) {
		int fds[AT_ONCE];

		for (int i = 0; i < AT_ONCE; i++) {
			fds[i] = connect_to(i % 2);
			bg_format(uri, sizeof(uri), "/slot/%d/%d", round, i);
			bg_buf_reset(&bytes);
			bg_rec_request(&bytes, uri);
			(void)bg_rec_send(fds[i], (struct bg_slice){ bytes.data, 20 });
			(void)bg_rec_send(fds[i], (struct bg_slice){ bytes.data + 20, bytes.len - 20 });
		}
		for (int i = 0; i < AT_ONCE; i++) {
			struct bg_rec_answer got;

			/* Evicted, late or answered: but if there is an answer it is whole, and its own. */
			bg_rec_read(fds[i], &got);
			bg_format(uri, sizeof(uri), "Status: 200 OK\r\nVariable-URI: /slot/%d/%d\r\n", round, i);
			ck_assert_msg(got.bytes == 0 ||
			    (got.whole && bg_slice_starts(built(&got.out), bg_slice_str(uri))), "%.*s for %s",
			    (int)got.out.len, got.out.data, uri);
			bg_rec_answer_clear(&got);
			close(fds[i]);
		}
	}
	bg_buf_clear(&bytes);
	expect_service(_i);
}
END_TEST

/* ---- the same with parked requests ---- */

/* Every third try answers, and every last one. */
static int
answer_every_third(void *arg, enum bg_role role, char *const *env, bool last, struct bg_buf *out)
{
	static atomic_int tries;

	if (!last && atomic_fetch_add(&tries, 1) % 3 != 0)
		return BG_WORKER_LATER;
	return answer(arg, role, env, last, out);
}

static void *
be_a_waker(void *arg)
{
	const atomic_bool *enough = arg;

	while (!atomic_load(enough)) {
		bg_worker_wake(worker);
		sched_yield();
	}
	return NULL;
}

/* With few places and little patience, so that all ends of a parked request meet; and with many and much. */
static const struct { size_t max_parked; int64_t patience; } parking[] = { { 2, 1 }, { 64, LONG_MS }, { 1, LONG_MS } };
START_TEST(many_wakes_and_many_clients_each_get_their_own_answer)
{
	atomic_bool enough = false;
	pthread_t clients[CLIENTS], wakers[2];
	int numbers[CLIENTS];

	start_options(&(struct bg_worker_options){
		.threads = 4, .max_waiting = 64, .deadline = LONG_MS, .max_parked = parking[_i].max_parked,
		.patience = parking[_i].patience, .answer = answer_every_third,
	});
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&wakers[i], NULL, be_a_waker, &enough), 0);
	for (int i = 0; i < CLIENTS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&clients[i], NULL, be_a_client, &numbers[i]), 0);
	}
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_int_eq(pthread_join(clients[i], NULL), 0);
	atomic_store(&enough, true);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(wakers[i], NULL), 0);
}
END_TEST

/* One wake for each round, at any moment of the first tries: if it is lost for one of them, nothing else answers it. */
START_TEST(one_wake_is_enough_whenever_it_comes)
{
	enum { ROUNDS = 300, AT_ONCE = 4 };

	start_parking(4, AT_ONCE, LONG_MS);
	for (int round = 0; round < ROUNDS; round++) {
		int fds[AT_ONCE];

		atomic_store(&handler.ready, false);
		for (int i = 0; i < AT_ONCE; i++)
			fds[i] = send_wait(i % 2, i);
		expect_put_off(1 + round % AT_ONCE);
		wake_ready();
		for (int i = 0; i < AT_ONCE; i++)
			expect_wait(fds[i], i);
		while (sem_trywait(&handler.put_off) == 0)
			continue;
	}
	ck_assert_int_eq(handler.lasts, 0);
}
END_TEST

/* Stopping meets first tries, later tries and parked requests; all get an answer, or were never accepted. */
START_TEST(stopping_among_wakes_loses_no_parked_request)
{
	enum { ROUNDS = 20, PARKED = 16 };

	for (int round = 0; round < ROUNDS; round++) {
		atomic_bool enough = false;
		int fds[PARKED];
		pthread_t waker;
		char uri[64];

		start_parking(4, PARKED, LONG_MS);
		for (int i = 0; i < PARKED; i++)
			fds[i] = send_wait(i % 2, i);
		expect_put_off(PARKED);
		ck_assert_int_eq(pthread_create(&waker, NULL, be_a_waker, &enough), 0);
		expect_put_off(round);
		atomic_store(&enough, true);
		ck_assert_int_eq(pthread_join(waker, NULL), 0);
		ck_assert(bg_worker_stop(worker, AT_ONCE_MS));
		worker = NULL;
		for (int i = 0; i < PARKED; i++) {
			bg_format(uri, sizeof(uri), "/wait/%d", i);
			expect_refusal(fds[i], uri);
		}
		ck_assert_int_eq(handler.lasts, (round + 1) * PARKED);
		while (sem_trywait(&handler.put_off) == 0)
			continue;
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tc = tcase_create("worker");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, make_listeners, remove_listeners);
	tcase_add_loop_test(tc, a_good_request_is_answered_and_the_connection_closed, UNIX, TCP + 1);
	tcase_add_test(tc, threads_that_are_all_stuck_do_not_move);
	tcase_add_test(tc, an_answer_below_8_kib_goes_out_in_one_write);
	tcase_add_loop_test(tc, bytes_may_come_one_by_one, UNIX, TCP + 1);
	tcase_add_loop_test(tc, parameters_may_be_cut_into_any_records, 0, N(pieces));
	tcase_add_loop_test(tc, the_largest_request_is_answered, UNIX, TCP + 1);
	tcase_add_loop_test(tc, silent_peers_hold_no_thread, UNIX, TCP + 1);
	tcase_add_loop_test(tc, a_peer_that_goes_in_the_middle_harms_nobody, UNIX, TCP + 1);
	tcase_add_loop_test(tc, a_peer_that_only_stops_sending_gets_its_answer, UNIX, TCP + 1);
	tcase_add_loop_test(tc, a_bad_request_ends_its_own_connection_alone, 0, bg_rec_n_bad);
	tcase_add_loop_test(tc, what_follows_a_request_is_neither_answered_nor_harmful, 0, 4);
	tcase_add_loop_test(tc, a_responder_is_asked_as_such_and_its_answer_comes_whole, UNIX, TCP + 1);
	tcase_add_loop_test(tc, bytes_that_nobody_reads_do_not_spoil_the_answer, UNIX, TCP + 1);
	tcase_add_loop_test(tc, the_connection_is_closed_even_where_the_server_would_keep_it, UNIX, TCP + 1);
	tcase_add_loop_test(tc, a_handler_that_fails_yields_no_answer_at_all, FAIL, OVERFLOW + 1);
	tcase_add_loop_test(tc, an_answer_beyond_one_record_comes_whole, UNIX, TCP + 1);
	tcase_add_loop_test(tc, a_peer_that_does_not_read_its_answer_holds_no_thread, UNIX, TCP + 1);
	tcase_add_loop_test(tc, a_peer_that_goes_before_its_answer_harms_nobody, UNIX, TCP + 1);
	tcase_add_loop_test(tc, who_sends_no_whole_request_in_time_is_closed, 0, 4);
	tcase_add_loop_test(tc, a_trickle_does_not_move_the_deadline, UNIX, TCP + 1);
	tcase_add_loop_test(tc, one_who_may_not_ask_is_closed_at_once_and_counted, UNIX, TCP + 1);
	tcase_add_loop_test(tc, one_too_many_that_wait_cost_the_oldest_its_connection, UNIX, TCP + 1);
	tcase_add_loop_test(tc, when_descriptors_run_out_the_oldest_that_wait_make_room, UNIX, TCP + 1);
	tcase_add_loop_test(tc, with_no_descriptor_at_all_it_waits_without_spinning, UNIX, UNIX + 1);
	tcase_add_test(tc, stopping_closes_what_waits_at_once);
	tcase_add_loop_test(tc, stopping_lets_a_request_under_way_finish, UNIX, TCP + 1);
	tcase_add_test(tc, libfcgi_puts_no_handler_where_there_is_one);
	tcase_add_loop_test(tc, parked_requests_hold_no_thread_and_a_wake_answers_each_once, UNIX, TCP + 1);
	tcase_add_test(tc, a_wake_tries_each_parked_request_once);
	tcase_add_loop_test(tc, a_wake_between_a_try_and_the_parking_is_not_lost, 0, 2);
	tcase_add_test(tc, a_wake_finds_all_threads_that_are_free);
	tcase_add_loop_test(tc, tries_without_end_do_not_starve_new_requests, UNIX, TCP + 1);
	tcase_add_loop_test(tc, who_was_parked_too_long_has_a_last_try, UNIX, TCP + 1);
	tcase_add_loop_test(tc, wakes_do_not_move_the_deadline, UNIX, TCP + 1);
	tcase_add_loop_test(tc, who_finds_no_place_to_park_has_a_last_try_at_once, 0, 4);
	tcase_add_test(tc, a_new_patience_is_for_requests_that_come_then);
	tcase_add_loop_test(tc, who_is_beaten_to_the_last_place_has_a_last_try_at_once, UNIX, TCP + 1);
	tcase_add_loop_test(tc, a_last_try_that_is_put_off_too_yields_no_answer_at_all, 0, 2);
	tcase_add_loop_test(tc, stopping_gives_parked_requests_a_last_try, 1, 4);
	tcase_add_loop_test(tc, stopping_gives_one_that_is_just_put_off_a_last_try, 1, 3);
	tcase_add_loop_test(tc, a_peer_that_goes_while_parked_harms_nobody, UNIX, TCP + 1);
	tcase_add_loop_test(tc, bytes_that_come_while_parked_do_not_spoil_the_answer, UNIX, TCP + 1);
	tcase_add_loop_test(tc, a_parked_request_is_not_taken_for_one_that_waits, UNIX, TCP + 1);
	tcase_add_loop_test(tc, options_that_make_no_sense_are_refused, 0, N(impossible));
	tcase_add_loop_test(tc, many_clients_at_once_each_get_their_own_answer, UNIX, TCP + 1);
	tcase_add_loop_test(tc, no_byte_goes_unseen_and_no_request_is_answered_twice, UNIX, TCP + 1);
	tcase_add_loop_test(tc, many_clients_in_few_slots_never_get_a_strangers_answer, UNIX, TCP + 1);
	tcase_add_loop_test(tc, many_wakes_and_many_clients_each_get_their_own_answer, 0, N(parking));
	tcase_add_test(tc, one_wake_is_enough_whenever_it_comes);
	tcase_add_test(tc, stopping_among_wakes_loses_no_parked_request);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
