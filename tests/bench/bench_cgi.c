/*
 * What bearergate-cgi costs over the script alone: both are started as a server would, one after the other, many times.  It
 * decides alone, with the issuer's keys in cache_dir, and asks a daemon that knows the token.  The goals: at most 1.8 ms, and
 * 0.7 ms.
 *
 *	bench_cgi WRAPPER DAEMON
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/keycache.h"
#include "tests/support/mint.h"

#define ISSUER	"https://issuer.example/"
#define SCRIPT	"/usr/bin/true"
#define ROUNDS	9
#define RUNS	200

static void
die(const char *what)
{
	fprintf(stderr, "bench_cgi: %s\n", what);
	exit(1);
}

static int64_t
cpu_us(void)
{
	struct rusage use;

	getrusage(RUSAGE_CHILDREN, &use);
	return (int64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + use.ru_utime.tv_usec + use.ru_stime.tv_usec;
}

static void
run(const char *program, char *const *env, const posix_spawn_file_actions_t *actions)
{
	char *argv[] = { (char *)(uintptr_t)program, NULL };
	int status;
	pid_t pid;

	if (posix_spawn(&pid, program, actions, NULL, argv, env) != 0 || waitpid(pid, &status, 0) != pid || status != 0)
		die("a program did not end well");
}

/* The fewest microseconds that one run took, on the clock and of the processors, of several rounds. */
static void
measure(const char *program, char *const *env, const posix_spawn_file_actions_t *actions, double *wall, double *cpu)
{
	int64_t begin = bg_clock_mono_us(), spent = cpu_us();

	for (int i = 0; i < RUNS; i++)
		run(program, env, actions);
	begin = bg_clock_mono_us() - begin;
	spent = cpu_us() - spent;
	if (*wall == 0 || (double)begin / RUNS < *wall)
		*wall = (double)begin / RUNS;
	if (*cpu == 0 || (double)spent / RUNS < *cpu)
		*cpu = (double)spent / RUNS;
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

/* One way to the script: what it is called, the program, and the configuration it finds. */
struct way {
	const char *name, *program, *config;
	double      wall, cpu;
};

int
main(int argc, char **argv)
{
	char dir[256], text[4096], config[512], claims[512], value[8192];
	const char *tmp = getenv("TMPDIR");
	posix_spawn_file_actions_t actions;
	enum bg_mint_key key = BG_MINT_KEY_A;
	char *token, *jwks;
	pid_t daemon;

	if (argc != 3)
		die("which wrapper, and which daemon?");
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
	free(token);
	{
		char *env[] = { config, value, (char *)(uintptr_t)"REQUEST_METHOD=GET", (char *)(uintptr_t)"REQUEST_URI=/x", NULL };
		struct way ways[] = {
			{ "the script", SCRIPT, "none", 0, 0 },
			{ "bearergate-cgi, asking", argv[1], "ask", 0, 0 },
			{ "bearergate-cgi, deciding", argv[1], "alone", 0, 0 },
		};
		size_t n = sizeof(ways) / sizeof(ways[0]);

		bg_format(config, sizeof(config), "NOTHING=");
		daemon = start_daemon(argv[2], dir, env);
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
		for (int i = 0; i < ROUNDS; i++)
			for (size_t j = 0; j < n; j++) {
				bg_format(config, sizeof(config), "BEARERGATE_CONFIG=%s/%s.conf", dir, ways[j].config);
				measure(ways[j].program, env, &actions, &ways[j].wall, &ways[j].cpu);
			}
		posix_spawn_file_actions_destroy(&actions);
		printf("A CGI program, best of %d rounds of %d: milliseconds (of them CPU), and what that is over the script\n", ROUNDS, RUNS);
		for (size_t j = 0; j < n; j++)
			printf("%-26s %.2f (%.2f)  %.2f (%.2f)\n", ways[j].name, ways[j].wall / 1000, ways[j].cpu / 1000,
			    (ways[j].wall - ways[0].wall) / 1000, (ways[j].cpu - ways[0].cpu) / 1000);
	}
	if (kill(daemon, SIGTERM) != 0 || waitpid(daemon, NULL, 0) != daemon)
		die("the daemon stays");
	bg_format(text, sizeof(text), "rm -r '%s'", dir);
	if (system(text) != 0)
		die("the directory stays");
	return 0;
}
