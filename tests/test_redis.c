#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/replay.h"
#include "tests/support/redis.h"
#include "tests/support/run.h"
#include "tests/support/spend.h"

/* The store in Redis, each test with a redis-server of its own. */

#define T0		INT64_C(1700000000)
#define LATER		1000			/* an iat beyond all leeway after the server was first seen */
#define TIMEOUT		2000
#define CANARY		"canary-7f3a9c"		/* a password (SR-85) */

static const struct bg_test_spend once = { .proof = 'p', .request = 'r' }, other = { .proof = 'p', .request = 's' };

static struct bg_test_redis server;

static struct bg_now
at(int64_t ms)
{
	return (struct bg_now){ .wall = (T0 * 1000 + ms) / 1000, .wall_ms = T0 * 1000 + ms, .mono_ms = 86400000 + ms };
}

static struct bg_redis
how(void)
{
	return (struct bg_redis){ .host = "127.0.0.1", .port = server.port, .timeout_ms = TIMEOUT };
}

static struct bg_replay *
open_store(const struct bg_redis *redis)
{
	struct bg_replay *replay;
	struct bg_error err = { 0 };

	ck_reason(bg_replay_redis_new(redis, SPEND_LEEWAY, &replay, &err), err, BG_R_OK, "new");
	ck_reason(replay->open(replay, at(0), &err), err, BG_R_OK, "open");
	return replay;
}

static struct bg_replay *
begin(const char *const args[])
{
	struct bg_redis redis;

	bg_test_redis_start(&server, NULL, args);
	redis = how();
	return open_store(&redis);
}

static void
end(struct bg_replay *replay)
{
	bg_replay_free(replay);
	bg_test_redis_end(&server);
}

/* detail may be NULL. */
static enum bg_reason
spend_iat(struct bg_replay *replay, const struct bg_test_spend *row, struct bg_now now, int64_t iat, uint64_t salt,
    int64_t *retry_after, char detail[BG_DETAIL_MAX])
{
	struct bg_spending spending = bg_test_spending(row, iat, salt);
	struct bg_error err = { 0 };
	int64_t wait = -1;
	int rc = replay->spend(replay, &spending, now, &wait, &err);

	ck_assert_int_eq(rc == 0, err.reason == BG_R_OK);
	ck_assert_msg((wait > 0) == (err.reason == BG_R_STORE_DOWN || err.reason == BG_R_STORE_FULL ||
	    err.reason == BG_R_STORE_YOUNG), "%s, retry after %" PRId64, err.detail, wait);
	ck_assert_msg(strstr(err.detail, CANARY) == NULL, "%s", err.detail);
	if (retry_after != NULL)
		*retry_after = wait;
	if (detail != NULL)
		memcpy(detail, err.detail, BG_DETAIL_MAX);
	return err.reason;
}

#define ck_spend(replay, row, ms, salt, want, name) do {							\
	char ck_detail[BG_DETAIL_MAX];										\
	enum bg_reason ck_got = spend_iat((replay), (row), at(ms), T0 + LATER, (salt), NULL, ck_detail);	\
													\
	ck_assert_msg(ck_got == (want), "%s: %s (%s), wanted %s", (name), bg_reason_name(ck_got), ck_detail,	\
	    bg_reason_name(want));										\
} while (0)

/* The store is down, and says why: words stands in the detail. */
#define ck_down(replay, ms, words, name) do {								\
	char ck_detail[BG_DETAIL_MAX];										\
	enum bg_reason ck_got = spend_iat((replay), &once, at(ms), T0 + LATER, 99, NULL, ck_detail);		\
													\
	ck_assert_msg(ck_got == BG_R_STORE_DOWN && strstr(ck_detail, (words)) != NULL, "%s: %s (%s), wanted %s", (name),	\
	    bg_reason_name(ck_got), ck_detail, (words));							\
} while (0)

enum road { TCP, NAME, SOCKET, DATABASE, TLS, TLS_NAME, ROADS };

START_TEST(a_proof_is_spent_once_for_one_request)
{
	struct bg_replay *replay, *again;
	struct bg_redis redis;

	bg_test_redis_start(&server, _i >= TLS ? "DNS:localhost,IP:127.0.0.1" : NULL, NULL);
	redis = how();
	if (_i == NAME || _i == TLS_NAME)
		redis.host = "localhost";
	if (_i == SOCKET) {
		redis.host = NULL;
		redis.path = server.socket;
	}
	if (_i == DATABASE)
		redis.database = 3;
	if (_i >= TLS) {
		redis.tls = true;
		redis.port = server.tls_port;
		redis.ca_file = server.cert;
	}
	replay = open_store(&redis);
	for (int i = 0; i < N(bg_test_spends); i++)
		ck_spend(replay, &bg_test_spends[i], bg_test_spends[i].at, 1, bg_test_spends[i].want, bg_test_spends[i].name);
	/* another machine, or this one restarted (SR-64) */
	again = open_store(&redis);
	ck_spend(replay, &once, 0, 2, BG_R_OK, "here");
	ck_spend(again, &other, 0, 2, BG_R_PROOF_SPENT, "there");
	bg_replay_free(again);
	if (_i == DATABASE)
		bg_test_redis_tell(&server, "DBSIZE\r\n", ":0");
	end(replay);
}
END_TEST

static enum bg_reason
spend_one(struct bg_replay *replay, const struct bg_test_spend *row)
{
	return spend_iat(replay, row, at(0), T0 + LATER, 1, NULL, NULL);
}

static void
run_threads(struct bg_replay *replay, int n, unsigned counts[BG_R_COUNT])
{
	bg_test_spend_at_once((struct bg_replay *[]){ replay, replay }, n, spend_one, counts);
}

/* SR-63 */
START_TEST(of_64_threads_with_one_proof_exactly_one_passes)
{
	unsigned counts[BG_R_COUNT];
	struct bg_redis redis;
	struct bg_replay *replay;

	bg_test_redis_start(&server, NULL, NULL);
	redis = how();
	redis.timeout_ms = 20000;	/* the machine may be busy */
	replay = open_store(&redis);
	run_threads(replay, 64, counts);
	ck_assert_uint_eq(counts[BG_R_OK], 1);
	ck_assert_uint_eq(counts[BG_R_PROOF_SPENT], 63);
	end(replay);
}
END_TEST

START_TEST(a_proof_is_forgotten_when_its_life_is_over)
{
	static const struct bg_test_spend brief = { .proof = 'p', .request = 'r', .life = 300 };
	struct bg_replay *replay = begin(NULL);
	int64_t begun = bg_clock_mono_ms();

	ck_spend(replay, &brief, 0, 1, BG_R_OK, "first");
	while (spend_iat(replay, &other, at(0), T0 + LATER, 1, NULL, NULL) == BG_R_PROOF_SPENT) {
		ck_assert_int_lt(bg_clock_mono_ms() - begun, 20000);
		(void)poll(NULL, 0, 10);
	}
	ck_assert_int_ge(bg_clock_mono_ms() - begun, 295);
	ck_spend(replay, &once, 0, 1, BG_R_PROOF_SPENT, "and now it is the other request's");
	end(replay);
}
END_TEST

/* What all keys say of themselves: SR-55. */
START_TEST(keys_are_of_fixed_form_and_expire)
{
	static const struct bg_test_spend odd = { .proof = '*', .request = '\r', .call = '\n' };
	struct bg_replay *replay = begin(NULL);

	ck_spend(replay, &odd, 0, 0x0a0d, BG_R_OK, "bytes");
	bg_test_redis_tell(&server, "DBSIZE\r\n", ":3");
	bg_test_redis_tell(&server, "EXISTS bearergate:0d0a000000000000" "2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a\r\n", ":1");
	bg_test_redis_tell(&server, "INFO keyspace\r\n", "db0:keys=3,expires=2");
	end(replay);
}
END_TEST

START_TEST(a_server_first_seen_is_young)
{
	struct bg_replay *replay = begin(NULL);
	int64_t wait;

	ck_assert_int_eq(spend_iat(replay, &once, at(0), T0 + SPEND_LEEWAY, 1, &wait, NULL), BG_R_STORE_YOUNG);
	ck_assert_int_eq(wait, SPEND_LEEWAY + 2);	/* it counts as a second younger than it is */
	ck_assert_int_eq(spend_iat(replay, &once, at(500), T0 + 1 + SPEND_LEEWAY, 2, NULL, NULL), BG_R_STORE_YOUNG);
	ck_assert_int_eq(spend_iat(replay, &once, at(500), T0 + 2 + SPEND_LEEWAY, 3, NULL, NULL), BG_R_OK);
	ck_assert_int_eq(spend_iat(replay, &once, at(900000), T0 + 900, 4, NULL, NULL), BG_R_OK);
	end(replay);
}
END_TEST

START_TEST(what_another_server_knows_is_not_known)
{
	const struct { const char *name; const char *host; int port, database; bool known; } rows[] = {
		{ "the same", "127.0.0.1", 6379, 0, true }, { "another port", "127.0.0.1", 6380, 0, false },
		{ "another host", "127.0.0.2", 6379, 0, false }, { "another database", "127.0.0.1", 6379, 1, false },
	};
	struct bg_replay *lmdb = NULL;

	if (bg_replay_has_lmdb())
		ck_assert_int_eq(bg_replay_lmdb_new(NULL, 10, 0, &lmdb, NULL), 0);
	for (int i = 0; i < N(rows); i++) {
		struct bg_redis usual = { .host = "127.0.0.1", .port = 6379, .timeout_ms = 1000 }, redis = usual;
		struct bg_replay *old, *new;

		redis.host = rows[i].host;
		redis.port = rows[i].port;
		redis.database = rows[i].database;
		ck_assert_int_eq(bg_replay_redis_new(&usual, 0, &old, NULL), 0);
		ck_assert_int_eq(bg_replay_redis_new(&redis, 0, &new, NULL), 0);
		ck_assert_msg(new->take_over(new, old) == rows[i].known, "%s", rows[i].name);
		ck_assert(lmdb == NULL || (!new->take_over(new, lmdb) && !lmdb->take_over(lmdb, new)));
		bg_replay_free(new);
		bg_replay_free(old);
	}
	bg_replay_free(lmdb);
}
END_TEST

START_TEST(a_server_is_met_at_the_start)
{
	struct bg_replay *replay = begin(NULL);

	/* had it been met only now, this would be too early */
	ck_assert_int_eq(spend_iat(replay, &once, at((SPEND_LEEWAY + 2) * 1000), T0 + SPEND_LEEWAY + 2, 1, NULL, NULL), BG_R_OK);
	end(replay);
}
END_TEST

/* The connection is there, the server behind it is another: SR-64. */
START_TEST(a_server_started_anew_is_young_and_noticed_at_once)
{
	struct bg_replay *replay = begin(NULL);

	ck_spend(replay, &once, 0, 1, BG_R_OK, "before");
	bg_test_redis_stop(&server);
	bg_test_redis_start(&server, NULL, NULL);
	ck_assert_int_eq(spend_iat(replay, &other, at(LATER * 1000), T0 + LATER, 1, NULL, NULL), BG_R_STORE_YOUNG);
	ck_assert_int_eq(spend_iat(replay, &other, at(2 * LATER * 1000), T0 + 2 * LATER, 2, NULL, NULL), BG_R_OK);
	end(replay);
}
END_TEST

START_TEST(a_server_whose_keys_were_deleted_is_young)
{
	struct bg_replay *replay = begin(NULL);

	ck_spend(replay, &once, 0, 1, BG_R_OK, "before");
	bg_test_redis_tell(&server, "FLUSHALL\r\n", "+OK");
	ck_assert_int_eq(spend_iat(replay, &other, at(LATER * 1000), T0 + LATER, 1, NULL, NULL), BG_R_STORE_YOUNG);
	ck_assert_int_eq(spend_iat(replay, &other, at(LATER * 1000), T0 + LATER, 1, NULL, NULL), BG_R_STORE_YOUNG);
	end(replay);
}
END_TEST

START_TEST(a_connection_closed_while_idle_is_replaced)
{
	struct bg_replay *replay;
	struct bg_redis redis;

	bg_test_redis_start(&server, _i == 1 ? "IP:127.0.0.1" : NULL, NULL);
	redis = how();
	if (_i == 1) {
		redis.tls = true;
		redis.port = server.tls_port;
		redis.ca_file = server.cert;
	}
	replay = open_store(&redis);
	for (uint64_t i = 0; i < 3; i++) {
		ck_spend(replay, &once, 0, i, BG_R_OK, "spend");
		ck_spend(replay, &once, 0, 100 + i, BG_R_OK, "the connection is used again");
		bg_test_redis_tell(&server, "INFO clients\r\n", "connected_clients:2\r");
		bg_test_redis_tell(&server, "CLIENT KILL TYPE normal SKIPME yes\r\n", ":1");
	}
	end(replay);
}
END_TEST

START_TEST(a_server_that_is_down_is_tried_once_a_second)
{
	struct bg_replay *replay;
	struct bg_redis redis;

	server.port = bg_test_free_port();
	redis = how();
	replay = open_store(&redis);
	ck_down(replay, 0, "Connection refused", "nobody listens");
	server.port = 0;
	bg_test_redis_start(&server, NULL, NULL);
	redis.port = server.port;
	bg_replay_free(replay);
	replay = open_store(&redis);
	ck_spend(replay, &once, 0, 1, BG_R_OK, "up");
	bg_test_redis_stop(&server);
	ck_down(replay, 0, "Connection refused", "down");
	ck_down(replay, 999, "not asked again yet: redis 127.0.0.1:", "within a second");
	ck_down(replay, 3000, "Connection refused", "after a second");
	ck_assert_int_eq(spend_iat(replay, &once, at(3000), T0 + LATER, 1, NULL, NULL), BG_R_STORE_DOWN);
	bg_test_redis_start(&server, NULL, NULL);
	ck_down(replay, 3999, "not asked again yet", "up again, within a second");
	ck_spend(replay, &once, 6000, 1, BG_R_OK, "after it");
	ck_spend(replay, &other, 6000, 1, BG_R_PROOF_SPENT, "all is well");
	end(replay);
}
END_TEST

/* A listener that takes no word, or answers what it was told to everything. */
static struct { int fd, port; const char *answer; } fake;

static void *
fake_main(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(fake.fd, NULL, NULL);
		char bytes[4096];

		if (fd == -1)
			return NULL;
		if (read(fd, bytes, sizeof(bytes)) > 0 && send(fd, fake.answer, strlen(fake.answer), MSG_NOSIGNAL) > 0)
			while (read(fd, bytes, sizeof(bytes)) > 0)
				continue;
		close(fd);
	}
}

static pthread_t
fake_start(const char *answer)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	pthread_t thread = 0;

	fake.answer = answer;
	fake.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(fake.fd != -1 && bind(fake.fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fake.fd, 64) == 0 &&
	    getsockname(fake.fd, (struct sockaddr *)&addr, &len) == 0);
	fake.port = ntohs(addr.sin_port);
	if (answer != NULL)
		ck_assert_int_eq(pthread_create(&thread, NULL, fake_main, NULL), 0);
	return thread;
}

static void
fake_end(pthread_t thread)
{
	(void)shutdown(fake.fd, SHUT_RDWR);
	if (fake.answer != NULL)
		pthread_join(thread, NULL);
	close(fake.fd);
}

START_TEST(a_server_that_hangs_holds_nobody_up_for_longer_than_the_timeout)
{
	struct bg_redis redis = { .host = "127.0.0.1", .tls = _i == 1, .timeout_ms = 6000 };
	unsigned counts[BG_R_COUNT];
	struct bg_replay *replay;
	int64_t begun;

	fake_start(NULL);
	redis.port = fake.port;
	replay = open_store(&redis);
	begun = bg_clock_mono_ms();
	ck_down(replay, 0, "no answer in time", "the first");
	ck_assert_int_ge(bg_clock_mono_ms() - begun, 5999);
	ck_assert_int_lt(bg_clock_mono_ms() - begun, 30000);
	/* now one tries again, at most, and the others do not wait */
	begun = bg_clock_mono_ms();
	run_threads(replay, 32, counts);
	ck_assert_uint_eq(counts[BG_R_STORE_DOWN], 32);
	ck_assert_int_lt(bg_clock_mono_ms() - begun, 5999);
	fake_end(0);
	bg_replay_free(replay);
}
END_TEST

START_TEST(a_server_that_hangs_later_too)
{
	struct bg_replay *replay;
	enum bg_reason reason;
	struct bg_redis redis;

	bg_test_redis_start(&server, NULL, NULL);
	redis = how();
	redis.timeout_ms = 300;
	replay = open_store(&redis);
	while (spend_iat(replay, &once, bg_clock_now(), bg_clock_wall() + LATER, 1, NULL, NULL) != BG_R_OK)
		(void)poll(NULL, 0, 50);	/* a busy machine */
	ck_assert_int_eq(kill(server.pid, SIGSTOP), 0);
	ck_assert_int_eq(spend_iat(replay, &once, bg_clock_now(), bg_clock_wall() + LATER, 2, NULL, NULL), BG_R_STORE_DOWN);
	ck_assert_int_eq(kill(server.pid, SIGCONT), 0);
	/* what it did with the one that was not answered is its secret; the next one gets an answer */
	while (spend_iat(replay, &once, bg_clock_now(), bg_clock_wall() + LATER, 3, NULL, NULL) != BG_R_OK)
		(void)poll(NULL, 0, 50);
	while ((reason = spend_iat(replay, &other, bg_clock_now(), bg_clock_wall() + LATER, 2, NULL, NULL)) == BG_R_STORE_DOWN)
		(void)poll(NULL, 0, 50);
	ck_assert_int_eq(reason, BG_R_PROOF_SPENT);
	end(replay);
}
END_TEST

static const struct { const char *name, *answer, *words; } nonsense[] = {
	{ "another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", "is that a Redis?" },
	{ "an array", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "is that a Redis?" },
	{ "an array without end", "*1000000000\r\n", "is that a Redis?" },
	{ "an empty array", "*0\r\n", "is that a Redis?" },
	{ "INFO without a run_id", "$10\r\nrun_ix:abc\r\n", "run_id" },
	{ "a run_id that is none", "$14\r\nrun_id:a b\r\n..\r\n", "run_id" },
	{ "an integer", ":12\r\n", "run_id" },
	{ "nothing", "$-1\r\n", "run_id" },
	{ "more than was asked", "$10\r\nrun_id:abc\r\n+OK\r\n", "more than it was asked" },
	{ "half an answer and the end", "", "" },
	{ "an error with control characters", "-ERR a\x1b[31m\"\xff\r\n", "\\x1b[31m\\\"\\xff" },
	{ "LOADING", "-LOADING Redis is loading the dataset in memory\r\n", "LOADING" },
	{ "MOVED", "-MOVED 3999 10.0.0.1:6381\r\n", "MOVED 3999" },
};

START_TEST(an_answer_that_is_none_denies)
{
	struct bg_redis redis = { .host = "127.0.0.1", .timeout_ms = 5000 };
	struct bg_replay *replay;
	pthread_t thread = fake_start(nonsense[_i].answer);

	redis.port = fake.port;
	replay = open_store(&redis);
	ck_down(replay, 0, nonsense[_i].words, nonsense[_i].name);
	bg_replay_free(replay);
	fake_end(thread);
}
END_TEST

START_TEST(an_endless_answer_is_cut_off)
{
	static char answer[80000];
	struct bg_redis redis = { .host = "127.0.0.1", .timeout_ms = 5000 };
	struct bg_replay *replay;
	pthread_t thread;

	memset(answer, 'x', sizeof(answer) - 1);
	memcpy(answer, "$900000\r\n", 9);
	thread = fake_start(answer);
	redis.port = fake.port;
	replay = open_store(&redis);
	ck_down(replay, 0, "more than 32768 bytes", "endless");
	bg_replay_free(replay);
	fake_end(thread);
}
END_TEST

static const struct { const char *name, *user, *password, *args[12], *words; enum bg_reason want; } doors[] = {
	{ "the password", NULL, CANARY, { "--requirepass", CANARY }, "", BG_R_OK },
	{ "user and password", "gate", CANARY, { "--user", "gate", "on", ">" CANARY, "~bearergate:*", "+select", "+info", "+set", "+get" },
	  "", BG_R_OK },
	{ "a wrong password", NULL, CANARY, { "--requirepass", "another" }, "AUTH: \"WRONGPASS\"", BG_R_STORE_DOWN },
	{ "none where one is needed", NULL, NULL, { "--requirepass", CANARY }, "NOAUTH", BG_R_STORE_DOWN },
	{ "one where none is known", NULL, CANARY, { NULL }, "AUTH: ", BG_R_STORE_DOWN },
	/* Redis answers with what it was sent: SR-85 */
	{ "AUTH is not known", NULL, CANARY, { "--rename-command", "AUTH", "" }, "AUTH: \"ERR\"", BG_R_STORE_DOWN },
	{ "INFO is not allowed", "gate", CANARY, { "--user", "gate", "on", ">" CANARY, "~bearergate:*", "+select", "+set", "+get" },
	  "needed are AUTH, SELECT, INFO, GET and SET", BG_R_STORE_DOWN },
	{ "SET is not allowed", "gate", CANARY, { "--user", "gate", "on", ">" CANARY, "~bearergate:*", "+select", "+info", "+get" },
	  "needed are", BG_R_STORE_DOWN },
	{ "other keys alone", "gate", CANARY, { "--user", "gate", "on", ">" CANARY, "~x:*", "+select", "+info", "+get", "+set" },
	  "needed are", BG_R_STORE_DOWN },
	{ "it may forget", NULL, NULL, { "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru" }, "noeviction",
	  BG_R_STORE_DOWN },	/* SR-65 */
	{ "it may forget, but needs not", NULL, NULL, { "--maxmemory-policy", "allkeys-lru" }, "", BG_R_OK },
	{ "it is full", NULL, NULL, { "--maxmemory", "1", "--maxmemory-policy", "noeviction" }, "OOM", BG_R_STORE_FULL },
	{ "it only reads", NULL, NULL, { "--replicaof", "127.0.0.1 1" }, "READONLY", BG_R_STORE_DOWN },
};

START_TEST(getting_in_is_as_the_server_says)
{
	struct bg_replay *replay;
	struct bg_redis redis;
	char detail[BG_DETAIL_MAX];
	enum bg_reason got;

	bg_test_redis_start(&server, NULL, doors[_i].args);
	redis = how();
	redis.user = doors[_i].user;
	redis.password = doors[_i].password;
	replay = open_store(&redis);
	got = spend_iat(replay, &once, at(0), T0 + LATER, 1, NULL, detail);
	ck_assert_msg(got == doors[_i].want && strstr(detail, doors[_i].words) != NULL, "%s: %s (%s)", doors[_i].name,
	    bg_reason_name(got), detail);
	end(replay);
}
END_TEST

START_TEST(a_full_server_is_asked_again_at_once)
{
	struct bg_replay *replay = begin(NULL);

	ck_spend(replay, &once, 0, 1, BG_R_OK, "room");
	bg_test_redis_tell(&server, "CONFIG SET maxmemory 1\r\n", "+OK");
	ck_spend(replay, &once, 0, 2, BG_R_STORE_FULL, "none");
	ck_spend(replay, &other, 0, 1, BG_R_STORE_FULL, "nor for one that was spent");
	bg_test_redis_tell(&server, "CONFIG SET maxmemory 0\r\n", "+OK");
	ck_spend(replay, &other, 0, 1, BG_R_PROOF_SPENT, "nothing was given up");
	ck_spend(replay, &once, 0, 2, BG_R_OK, "room again");
	end(replay);
}
END_TEST

static const struct { const char *name, *host, *names; bool ca, plain; const char *words; } tls[] = {
	{ "another host", "127.0.0.1", "DNS:localhost,IP:127.0.0.2", true, false, "IP address mismatch" },
	{ "another name", "localhost", "DNS:localhost.example,IP:127.0.0.1", true, false, "hostname mismatch" },
	{ "a name is not an address", "127.0.0.1", "DNS:127.0.0.1", true, false, "IP address mismatch" },
	{ "an authority nobody knows", "127.0.0.1", "IP:127.0.0.1", false, false, "self-signed certificate" },
	{ "a server without TLS", "127.0.0.1", "IP:127.0.0.1", true, true, "TLS" },
};

START_TEST(tls_with_anybody_else_is_refused)
{
	struct bg_replay *replay;
	struct bg_redis redis;

	bg_test_redis_start(&server, tls[_i].names, NULL);
	redis = how();
	redis.host = tls[_i].host;
	redis.tls = true;
	redis.port = tls[_i].plain ? server.port : server.tls_port;
	redis.password = CANARY;
	redis.ca_file = tls[_i].ca ? server.cert : NULL;
	replay = open_store(&redis);
	ck_down(replay, 0, tls[_i].plain ? "redis 127.0.0.1:" : tls[_i].words, tls[_i].name);
	end(replay);
}
END_TEST

START_TEST(an_authority_that_cannot_be_read_is_said_when_it_opens)
{
	struct bg_redis redis = { .host = "localhost", .port = 1, .tls = true, .ca_file = "/nonexistent/ca.pem", .timeout_ms = 100 };
	struct bg_error err = { 0 };
	struct bg_replay *replay;
	int64_t wait;

	ck_reason(bg_replay_redis_new(&redis, 30, &replay, &err), err, BG_R_OK, "new");
	ck_reason(replay->open(replay, at(0), &err), err, BG_R_STORE_DOWN, "open");
	ck_assert_msg(strstr(err.detail, "/nonexistent/ca.pem") != NULL, "%s", err.detail);
	bg_error_clear(&err);
	ck_reason(replay->spend(replay, &(struct bg_spending){ .life_ms = 1 }, at(0), &wait, &err), err, BG_R_INTERNAL, "not open");
	bg_replay_free(replay);
}
END_TEST

START_TEST(a_name_that_nobody_has_is_down)
{
	struct bg_redis redis = { .host = "nobody.invalid", .port = 6379, .timeout_ms = 1000 };
	struct bg_replay *replay = open_store(&redis);
	int64_t begun = bg_clock_mono_ms();

	ck_down(replay, 0, "redis nobody.invalid:6379: ", "RFC 6761 section 6.4");
	ck_assert_int_lt(bg_clock_mono_ms() - begun, 10000);
	bg_replay_free(replay);		/* perhaps before the one who asks has an answer */
}
END_TEST

static const struct { const char *name; struct bg_redis how; } senseless[] = {
	{ "neither host nor path", { .port = 1, .timeout_ms = 1 } },
	{ "both", { .host = "h", .path = "/s", .port = 1, .timeout_ms = 1 } },
	{ "TLS without a host", { .path = "/s", .tls = true, .timeout_ms = 1 } },
	{ "a user without a password", { .host = "h", .port = 1, .user = "u", .timeout_ms = 1 } },
	{ "no port", { .host = "h", .timeout_ms = 1 } },
	{ "a port too high", { .host = "h", .port = 65536, .timeout_ms = 1 } },
	{ "no timeout", { .host = "h", .port = 1 } },
	{ "a path too long", { .path = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaa", .timeout_ms = 1 } },
};

START_TEST(what_makes_no_sense_is_refused)
{
	struct bg_error err = { 0 };
	struct bg_replay *replay;

	ck_reason(bg_replay_redis_new(&senseless[_i].how, 30, &replay, &err), err, BG_R_INTERNAL, senseless[_i].name);
	ck_assert_ptr_null(replay);
}
END_TEST

START_TEST(a_program_without_it_says_so)
{
	struct bg_redis redis = { .host = "localhost", .port = 6379, .timeout_ms = 1000 };
	struct bg_error err = { 0 };
	struct bg_replay *replay;

	ck_reason(bg_replay_redis_new(&redis, 30, &replay, &err), err, BG_R_INTERNAL, "without");
	ck_assert_ptr_nonnull(strstr(err.detail, "built without hiredis"));
	ck_assert_ptr_null(replay);
}
END_TEST

int
main(void)
{
	Suite *suite;
	TCase *tcase;

	if (bg_replay_has_redis() && !bg_test_redis_found()) {
		puts("SKIP: there is no redis-server");
		return 77;
	}
	suite = suite_create("redis");
	tcase = tcase_create("redis");
	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 60);
	bg_log_open(2, BG_LOG_ERROR);
	if (!bg_replay_has_redis()) {
		tcase_add_test(tcase, a_program_without_it_says_so);
		return bg_test_run(suite);
	}
	tcase_add_loop_test(tcase, a_proof_is_spent_once_for_one_request, 0, ROADS);
	tcase_add_test(tcase, of_64_threads_with_one_proof_exactly_one_passes);
	tcase_add_test(tcase, a_proof_is_forgotten_when_its_life_is_over);
	tcase_add_test(tcase, keys_are_of_fixed_form_and_expire);
	tcase_add_test(tcase, a_server_first_seen_is_young);
	tcase_add_test(tcase, a_server_is_met_at_the_start);
	tcase_add_test(tcase, what_another_server_knows_is_not_known);
	tcase_add_test(tcase, a_server_started_anew_is_young_and_noticed_at_once);
	tcase_add_test(tcase, a_server_whose_keys_were_deleted_is_young);
	tcase_add_loop_test(tcase, a_connection_closed_while_idle_is_replaced, 0, 2);
	tcase_add_test(tcase, a_server_that_is_down_is_tried_once_a_second);
	tcase_add_loop_test(tcase, a_server_that_hangs_holds_nobody_up_for_longer_than_the_timeout, 0, 2);
	tcase_add_test(tcase, a_server_that_hangs_later_too);
	tcase_add_loop_test(tcase, an_answer_that_is_none_denies, 0, N(nonsense));
	tcase_add_test(tcase, an_endless_answer_is_cut_off);
	tcase_add_loop_test(tcase, getting_in_is_as_the_server_says, 0, N(doors));
	tcase_add_test(tcase, a_full_server_is_asked_again_at_once);
	tcase_add_loop_test(tcase, tls_with_anybody_else_is_refused, 0, N(tls));
	tcase_add_test(tcase, an_authority_that_cannot_be_read_is_said_when_it_opens);
	tcase_add_test(tcase, a_name_that_nobody_has_is_down);
	tcase_add_loop_test(tcase, what_makes_no_sense_is_refused, 0, N(senseless));
	return bg_test_run(suite);
}
