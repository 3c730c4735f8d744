/*
 * What bearergate-cgi costs over the script alone: both are started as a server would, one after the other, many times.  It
 * decides alone, with the issuer's keys in cache_dir.  The goal: at most 1.8 ms.
 *
 *	bench_cgi WRAPPER
 */
#include <fcntl.h>
#include <inttypes.h>
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

int
main(int argc, char **argv)
{
	double bare = 0, bare_cpu = 0, wrapped = 0, wrapped_cpu = 0;
	char dir[256], file[512], text[4096], config[1024], claims[512], value[8192];
	const char *tmp = getenv("TMPDIR");
	posix_spawn_file_actions_t actions;
	char *token;
	FILE *fp;

	if (argc != 2)
		die("which wrapper?");
	umask(022);
	bg_format(dir, sizeof(dir), "%s/bearergate-bench-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		die("no directory");
	warm(dir);
	bg_format(text, sizeof(text), "cache_dir = \"%s\"\nissuer \"" ISSUER "\" { audience = \"api\" }\nscript = \"" SCRIPT "\"\n"
	    "log_level = error\n", dir);
	bg_format(file, sizeof(file), "%s/bearergate.conf", dir);
	if ((fp = fopen(file, "we")) == NULL || fputs(text, fp) < 0 || fclose(fp) != 0)
		die("no configuration");
	bg_format(config, sizeof(config), "BEARERGATE_CONFIG=%s", file);
	bg_format(claims, sizeof(claims), "{\"iss\":\"" ISSUER "\",\"aud\":\"api\",\"sub\":\"bob\",\"iat\":1700000000,\"exp\":%" PRId64 "}",
	    bg_clock_wall() + 3600);
	token = bg_mint_token(BG_MINT_KEY_A, NULL, claims);
	bg_format(value, sizeof(value), "HTTP_AUTHORIZATION=Bearer %s", token);
	free(token);
	{
		char *env[] = { config, value, (char *)(uintptr_t)"REQUEST_METHOD=GET", (char *)(uintptr_t)"REQUEST_URI=/x", NULL };

		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
		run(argv[1], env, &actions);
		for (int i = 0; i < ROUNDS; i++) {
			measure(SCRIPT, env, &actions, &bare, &bare_cpu);
			measure(argv[1], env, &actions, &wrapped, &wrapped_cpu);
		}
		posix_spawn_file_actions_destroy(&actions);
	}
	bg_format(text, sizeof(text), "rm -r '%s'", dir);
	if (system(text) != 0)
		die("the directory stays");
	printf("A CGI program, best of %d rounds of %d: milliseconds (of them CPU)\n", ROUNDS, RUNS);
	printf("by itself %.2f (%.2f), behind bearergate-cgi %.2f (%.2f), which costs %.2f (%.2f)\n", bare / 1000, bare_cpu / 1000,
	    wrapped / 1000, wrapped_cpu / 1000, (wrapped - bare) / 1000, (wrapped_cpu - bare_cpu) / 1000);
	return 0;
}
