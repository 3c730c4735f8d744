/*
 * What bearergate-cgi costs over the script alone.  Each program is started as a server would start it, one after the other
 * in turn, so that whatever else the machine does meets all of them alike: the script; a program of libc that does nothing but
 * execute it, which is the floor for all that come before a script; a program that is linked with libcrypto, checks one
 * signature and executes it, which is the floor for all that decide with OpenSSL as a shared library; bearergate-cgi asking a
 * daemon that knows the token; and deciding alone, with the issuer's keys in cache_dir.  The goals are at most 0.7 ms and 1.8 ms
 * over the script, on a machine where the one with libcrypto takes 1.8 ms; so on any machine, as parts of what that one takes.
 *
 *	bench_cgi DIRECTORY
 *
 * where the programs were built.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/keycache.h"
#include "core/b64url.h"
#include "core/json.h"
#include "core/token.h"
#include "tests/bench/bench.h"
#include "tests/support/mint.h"

#define ISSUER	"https://issuer.example/"
#define SCRIPT	"/usr/bin/true"
#define RUNS	1000	/* of each program */
#define BEFORE	20	/* and these, which do not count: files are read, caches get warm */
#define NAIVE_MS	1.8	/* what the goals stand beside */

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "bench_cgi: %s\n", what);
	exit(1);
}

/* One way to the script: what it is called, the program and its words, and the configuration it finds. */
struct way {
	const char *name;
	char       *argv[6];
	const char *config;
	double      goal;			/* milliseconds over the script at most, where NAIVE_MS are what they are; 0: none */
	double      wall[RUNS], cpu[RUNS];	/* of each run */
};

static double
cpu_ms(const struct rusage *use)
{
	return (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1e3 +
	    (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec) / 1e3;
}

/* Once, from its start to its end; what that took of the clock and of the processors, in milliseconds. */
static void
run(char *const *argv, char *const *env, const posix_spawn_file_actions_t *actions, double *wall, double *cpu)
{
	int64_t begin = bg_clock_mono_us();
	struct rusage use;
	int status;
	pid_t pid;

	if (posix_spawn(&pid, argv[0], actions, NULL, argv, env) != 0 || wait4(pid, &status, 0, &use) != pid || status != 0)
		die("a program did not end well");
	*wall = (double)(bg_clock_mono_us() - begin) / 1e3;
	*cpu = cpu_ms(&use);
}

static void
warm(const char *dir)
{
	struct bg_keyrecord_owner owner = { .issuer = ISSUER, .source = "" };
	enum bg_mint_key key = BG_MINT_KEY_A;
	struct bg_error err = { 0 };
	struct bg_keyrecord record;
	char *jwks = bg_mint_jwks(&key, 1);

	bg_keyrecord_init(&record);
	bg_buf_put_str(&record.text, jwks);
	bg_format(record.jwks_uri, sizeof(record.jwks_uri), ISSUER "jwks.json");
	record.fetched = bg_clock_now().wall_ms;
	record.lifetime = 600;
	if (bg_keycache_write(dir, &owner, &record, (struct bg_keycache_stamp){ 0 }, record.fetched, &err) != 0)
		die(err.detail);
	bg_keyrecord_clear(&record);
	free(jwks);
}

static void
write_file(const char *dir, const char *name, const char *text)
{
	char file[512];
	FILE *fp;

	bg_format(file, sizeof(file), "%s/%s", dir, name);
	if ((fp = fopen(file, "we")) == NULL || fputs(text, fp) < 0 || fclose(fp) != 0)
		die("no configuration");
}

/* A daemon at dir/sock. */
static pid_t
start_daemon(const char *program, const char *dir, char *const *env)
{
	char config[512], where[512], *argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)"-c", config, (char *)(uintptr_t)"-l",
		where, NULL };
	struct stat st;
	pid_t pid;

	bg_format(config, sizeof(config), "%s/daemon.conf", dir);
	bg_format(where, sizeof(where), "unix:%s/sock", dir);
	if (posix_spawn(&pid, program, NULL, NULL, argv, env) != 0)
		die("no daemon");
	for (int i = 0; stat(where + strlen("unix:"), &st) != 0; i++) {
		if (i == 1000)
			die("the daemon does not start");
		usleep(10000);
	}
	return pid;
}

/* Bytes in hexadecimal, for the caller to free. */
static char *
hex(const void *bytes, size_t len)
{
	char *out = malloc(2 * len + 1);

	if (out == NULL)
		die("no memory");
	for (size_t i = 0; i < len; i++)
		bg_format(out + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
	return out;
}

/* The words of tests/bench/naive for a token: modulus, signed text, signature. */
static void
take_apart(const char *text, enum bg_mint_key key, char *words[3])
{
	json_t *jwk = bg_mint_jwk(key, "RS256", NULL);
	struct bg_slice modulus = bg_slice_str(json_string_value(json_object_get(jwk, "n")));
	unsigned char bytes[1024];
	struct bg_error err = { 0 };
	struct bg_token *token;
	long len = 0;

	if (BG_B64URL_DECODED(modulus.len) <= sizeof(bytes))
		len = bg_b64url_decode(bytes, modulus);
	if (len <= 0 || bg_json_start() != 0 || bg_token_parse(bg_slice_str(text), &token, &err) != 0)
		die("no key, or no token");
	words[0] = hex(bytes, (size_t)len);
	words[1] = strndup(token->signing_input.ptr, token->signing_input.len);
	words[2] = hex(token->signature.ptr, token->signature.len);
	bg_token_unref(token);
	json_decref(jwk);
}

static void
report(struct way *ways, size_t n, size_t bare, size_t naive)
{
	double wall[8], cpu[8];

	for (size_t i = 0; i < n; i++) {
		wall[i] = bg_bench_median(ways[i].wall, RUNS);
		cpu[i] = bg_bench_median(ways[i].cpu, RUNS);
	}
	printf("A CGI program, median of %d runs in turn: milliseconds (of them CPU); what that is over the script; and that as a\n"
	    "multiple of what a program costs that only executes it, and of one that checks a signature by libcrypto before\n", RUNS);
	for (size_t i = 0; i < n; i++) {
		double over = wall[i] - wall[0], cpu_over = cpu[i] - cpu[0];

		printf("%-26s %6.2f (%.2f)", ways[i].name, wall[i], cpu[i]);
		if (i > 0)
			printf("  %6.2f (%.2f)  %5.2f (%.2f)  %5.2f (%.2f)", over, cpu_over, over / (wall[bare] - wall[0]),
			    cpu_over / (cpu[bare] - cpu[0]), over / (wall[naive] - wall[0]), cpu_over / (cpu[naive] - cpu[0]));
		if (ways[i].goal > 0)
			printf("  goal %.2f", ways[i].goal / NAIVE_MS);
		putchar('\n');
	}
}

int
main(int argc, char **argv)
{
	char dir[256], text[4096], config[512], claims[512], value[8192], wrapper[512], daemon_path[512], bare[512], naive[512];
	char *words[3];
	const char *tmp = getenv("TMPDIR");
	posix_spawn_file_actions_t actions;
	enum bg_mint_key key = BG_MINT_KEY_A;
	char *token, *jwks;
	pid_t daemon;

	if (argc != 2)
		die("where are the programs?");
	bg_format(wrapper, sizeof(wrapper), "%s/bearergate-cgi", argv[1]);
	bg_format(daemon_path, sizeof(daemon_path), "%s/bearergate-fcgi", argv[1]);
	bg_format(bare, sizeof(bare), "%s/tests/bench/bare", argv[1]);
	bg_format(naive, sizeof(naive), "%s/tests/bench/naive", argv[1]);
	umask(022);
	bg_format(dir, sizeof(dir), "%s/bearergate-bench-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) != 0)
		die("no directory");
	warm(dir);
	bg_format(text, sizeof(text), "cache_dir = \"%s\"\nissuer \"" ISSUER "\" { audience = \"api\" }\nscript = \"" SCRIPT "\"\n"
	    "log_level = error\n", dir);
	write_file(dir, "alone.conf", text);
	bg_format(text, sizeof(text), "daemon = \"unix:%s/sock\"\nscript = \"" SCRIPT "\"\nlog_level = error\n", dir);
	write_file(dir, "ask.conf", text);
	bg_format(text, sizeof(text), "issuer \"" ISSUER "\" { audience = \"api\" jwks_file = \"%s/jwks.json\" }\n"
	    "dpop = disabled log_level = error\n", dir);
	write_file(dir, "daemon.conf", text);
	jwks = bg_mint_jwks(&key, 1);
	write_file(dir, "jwks.json", jwks);
	free(jwks);
	bg_format(claims, sizeof(claims), "{\"iss\":\"" ISSUER "\",\"aud\":\"api\",\"sub\":\"bob\",\"iat\":1700000000,\"exp\":%" PRId64 "}",
	    bg_clock_wall() + 3600);
	token = bg_mint_token(BG_MINT_KEY_A, NULL, claims);
	bg_format(value, sizeof(value), "HTTP_AUTHORIZATION=Bearer %s", token);
	take_apart(token, key, words);
	free(token);
	{
		char *env[] = { config, value, (char *)(uintptr_t)"REQUEST_METHOD=GET", (char *)(uintptr_t)"REQUEST_URI=/x", NULL };
		char *script = (char *)(uintptr_t)SCRIPT;
		static struct way ways[5];
		double wall, cpu;
		size_t n = sizeof(ways) / sizeof(ways[0]);

		ways[0] = (struct way){ .name = "the script", .argv = { script }, .config = "none" };
		ways[1] = (struct way){ .name = "executed by another", .argv = { bare, script }, .config = "none" };
		ways[2] = (struct way){ .name = "by one with libcrypto", .argv = { naive, script, words[0], words[1], words[2] },
			.config = "none" };
		ways[3] = (struct way){ .name = "bearergate-cgi, asking", .argv = { wrapper }, .config = "ask", .goal = 0.7 };
		ways[4] = (struct way){ .name = "bearergate-cgi, deciding", .argv = { wrapper }, .config = "alone", .goal = 1.8 };
		bg_format(config, sizeof(config), "NOTHING=");
		daemon = start_daemon(daemon_path, dir, env);
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
		for (int i = -BEFORE; i < RUNS; i++)
			for (size_t j = 0; j < n; j++) {
				bg_format(config, sizeof(config), "BEARERGATE_CONFIG=%s/%s.conf", dir, ways[j].config);
				run(ways[j].argv, env, &actions, i < 0 ? &wall : &ways[j].wall[i], i < 0 ? &cpu : &ways[j].cpu[i]);
			}
		posix_spawn_file_actions_destroy(&actions);
		report(ways, n, 1, 2);
	}
	for (int i = 0; i < 3; i++)
		free(words[i]);
	if (kill(daemon, SIGTERM) != 0 || waitpid(daemon, NULL, 0) != daemon)
		die("the daemon stays");
	bg_format(text, sizeof(text), "rm -r '%s'", dir);
	if (system(text) != 0)
		die("the directory stays");
	return 0;
}
