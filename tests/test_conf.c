#include "conf/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/regex.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define REPORT_MAX	(64 * 1024)
#define CASES_MAX	1000
#define ENVIRON_MAX	16

/* A small and good configuration, to which tests add lines: they begin at line 3. */
#define GOOD	"domain = \"tenant.eu.auth0.com\"\naudience = \"https://api.example.com\"\n"

/* The end of every complaint about replay. */
#define STORES	"\"lmdb:/PATH\", \"redis://[USER@]HOST[:PORT][/DATABASE]\", the same with rediss, or \"redis+unix:/PATH\", " \
    "was expected\n"

static char *cases[CASES_MAX];	/* names of the folders in tests/conf */
static int n_cases;
static char source_dir[4096];	/* absolute */
static char dir[4096];		/* where a test writes its files, and its working directory */

static char *const no_environ[] = { NULL };

static void
make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	bg_format(dir, sizeof(dir), "%s/bearergate-test.XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void
remove_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)) != NULL)
		if (unlinkat(dirfd(d), entry->d_name, 0) != 0)
			(void)unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
	closedir(d);
	ck_assert_int_eq(chdir(source_dir), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void
write_bytes(const char *name, const char *bytes, size_t len)
{
	FILE *fp = fopen(name, "w");

	ck_assert_ptr_nonnull(fp);
	ck_assert_uint_eq(fwrite(bytes, 1, len, fp), len);
	ck_assert_int_eq(fclose(fp), 0);
}

static void
write_file(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

/* The text of a file, the caller's own; NULL when there is none. */
static char *
read_file(const char *name)
{
	FILE *fp = fopen(name, "r");
	char *text = NULL;
	size_t size = 0;
	ssize_t n;

	if (fp == NULL)
		return NULL;
	n = getdelim(&text, &size, '\0', fp);
	fclose(fp);
	if (n < 0) {
		free(text);
		text = strdup("");
	}
	return text;
}

/*
 * What is said where nobody names a store of used proofs depends on the machine; so it is left out of all reports but those of
 * the test that asks for it.
 */
#define STORE_REMARK	": remark: DPoP proofs that were used are remembered by this process alone, until it ends; a directory " \
    STATEDIR " that it may write to, or replay = \"lmdb:/PATH\", changes that\n"
static bool keeps_store_remark;

static void
drop_store_remark(char *text)
{
	char *at = strstr(text, STORE_REMARK), *begin = at;

	if (at == NULL || keeps_store_remark)
		return;
	while (begin > text && begin[-1] != '\n')
		begin--;
	memmove(begin, at + strlen(STORE_REMARK), strlen(at + strlen(STORE_REMARK)) + 1);
}

/* A build without hiredis refuses every configuration with Redis in it, see a_build_without_a_store_says_so. */
static bool
is_for_another_build(const char *text)
{
	return !bg_replay_has_redis() && strstr(text, "redis") != NULL;
}

/* Load, and give the report as text, the caller's own. */
static int
load(struct bg_conf **out, const struct bg_conf_sources *from, char **text)
{
	struct bg_buf report;
	struct bg_slice all;
	int rc;

	bg_buf_init(&report, REPORT_MAX);
	rc = bg_conf_load(out, from, &report);
	ck_assert_int_eq(bg_buf_finish(&report, &all, NULL), 0);
	ck_assert_ptr_nonnull(*text = strdup(all.ptr));
	drop_store_remark(*text);
	ck_assert_msg((rc == 0) == (*out != NULL), "exit code %d and configuration %p", rc, (void *)*out);
	bg_buf_clear(&report);
	return rc;
}

/* Load a text as file "f", nothing in the environment; it must be taken, with exactly this report. */
static struct bg_conf *
load_good(const char *text, const char *remarks)
{
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	struct bg_conf *conf;
	char *report;
	int rc;

	write_file("f", text);
	rc = load(&conf, &from, &report);
	ck_assert_msg(rc == 0, "%s", report);
	ck_assert_str_eq(report, remarks);
	free(report);
	return conf;
}

/* A case's environ: one NAME=value each line, into the process's own environment too, where libConfuse looks. */
static void
set_environ(char *text, char *list[ENVIRON_MAX])
{
	size_t n = 0;

	for (char *line = text != NULL ? strtok(text, "\n") : NULL; line != NULL; line = strtok(NULL, "\n")) {
		char *equal = strchr(line, '=');

		ck_assert(equal != NULL && n < ENVIRON_MAX - 1);
		*equal = '\0';
		ck_assert_int_eq(setenv(line, equal + 1, 1), 0);
		*equal = '=';
		list[n++] = line;
	}
	list[n] = NULL;
}

static void
unset_environ(char *list[ENVIRON_MAX])
{
	for (size_t i = 0; list[i] != NULL; i++) {
		*strchr(list[i], '=') = '\0';
		ck_assert_int_eq(unsetenv(list[i]), 0);
	}
}

START_TEST(a_bad_configuration_is_refused_with_file_line_and_what_was_expected)
{
	char name[8192], *text, *want, *said, *report, *list[ENVIRON_MAX];
	struct bg_conf_sources from = { .environ = list };
	struct bg_conf *conf;
	int rc, saved, fd;

	bg_format(name, sizeof(name), "%s/tests/conf/%s", source_dir, cases[_i]);
	ck_assert_int_eq(chdir(name), 0);
	want = read_file("expected");
	ck_assert_msg(want != NULL, "%s: no file \"expected\"", cases[_i]);
	if ((text = read_file("bearergate.conf")) != NULL && is_for_another_build(text)) {
		free(text);
		free(want);
		return;
	}
	free(text);
	text = read_file("environ");
	set_environ(text, list);
	if (access("bearergate.conf", F_OK) == 0)
		from.file = "bearergate.conf";
	if (access("env", F_OK) == 0)
		from.env_file = "env";

	/* libConfuse must not talk to the operator behind our back */
	bg_format(name, sizeof(name), "%s/stderr", dir);
	saved = dup(STDERR_FILENO);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	dup2(fd, STDERR_FILENO);
	rc = load(&conf, &from, &report);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	said = read_file(name);

	ck_assert_msg(strcmp(report, want) == 0, "%s\n got: %swant: %s", cases[_i], report, want);
	ck_assert_msg(rc == EX_CONFIG, "%s: exit code %d", cases[_i], rc);
	ck_assert_msg(*said == '\0', "%s: on stderr: %s", cases[_i], said);
	unset_environ(list);
	free(text);
	free(want);
	free(said);
	free(report);
	bg_conf_free(conf);
}
END_TEST

START_TEST(two_variables_are_enough)
{
	char domain[] = "AUTH0_DOMAIN=tenant.eu.auth0.com", audience[] = "AUTH0_AUDIENCE=https://api.example.com";
	char *list[] = { domain, audience, NULL };
	struct bg_conf_sources from = { .environ = list };
	struct bg_conf *conf;
	char *report;

	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(report, "");
	ck_assert_uint_eq(conf->n_issuers, 1);
	ck_assert_str_eq(conf->issuers[0].name, "https://tenant.eu.auth0.com/");
	ck_assert_str_eq(conf->issuers[0].said_at, "environment");
	ck_assert_uint_eq(conf->issuers[0].n_audience, 1);
	ck_assert_str_eq(conf->issuers[0].audience[0], "https://api.example.com");
	ck_assert(!conf->issuers[0].any_audience);
	/* the defaults of bearergate.conf(5) */
	ck_assert_uint_eq(conf->issuers[0].n_algorithms, 1);
	ck_assert_str_eq(conf->issuers[0].algorithms[0], "RS256");
	ck_assert_ptr_null(conf->issuers[0].jwks_uri);
	ck_assert_ptr_null(conf->issuers[0].jwks_file);
	ck_assert_str_eq(conf->realm, "api");
	ck_assert_int_eq(conf->leeway, 30);
	ck_assert_ptr_null(conf->ca_file);
	ck_assert_ptr_null(conf->ca_dir);
	ck_assert_ptr_null(conf->proxy);
	ck_assert_int_eq(conf->stale_if_error, 86400);
	ck_assert_int_eq(conf->fetch_timeout, 5);
	ck_assert_int_eq(conf->cache_ttl_min, 60);
	ck_assert_int_eq(conf->cache_ttl_max, 600);
	ck_assert_int_eq(conf->refresh_cooldown, 30);
	ck_assert_uint_eq(conf->n_listen, 0);
	ck_assert_ptr_null(conf->listen_owner);
	ck_assert_ptr_null(conf->listen_group);
	ck_assert_int_eq(conf->listen_mode, 0660);	/* SR-89 */
	ck_assert_int_eq(conf->listen_backlog, 4096);
	ck_assert_uint_eq(conf->n_listen_allowed_clients, 0);
	ck_assert_ptr_null(conf->user);
	ck_assert_ptr_null(conf->group);
	ck_assert_int_eq(conf->threads, 0);
	ck_assert_int_eq(conf->token_cache, 10000);
	ck_assert_int_eq(conf->log_level, BG_LOG_INFO);
	ck_assert(conf->log_format == BG_LOG_TEXT && !conf->log_decisions && conf->log_rate == 200);
	ck_assert_str_eq(conf->log, "stderr");
	ck_assert_ptr_null(conf->script);
	ck_assert_ptr_null(conf->script_root);
	ck_assert(!conf->pass_credentials);
	ck_assert_ptr_null(conf->issuers[0].require_typ);
	ck_assert_int_eq(conf->missing_status, 401);
	ck_assert_int_eq(conf->compat, BG_COMPAT_NONE);
	ck_assert(!conf->preflight && !conf->export_json && conf->export_defaults);
	ck_assert_str_eq(conf->user_claim, "sub");
	ck_assert_uint_eq(conf->n_exports, 12);
	ck_assert_uint_eq(conf->n_policies + conf->n_locations + conf->n_sites, 0);
	ck_assert_int_eq(conf->dpop, BG_DPOP_ALLOWED);
	ck_assert_uint_eq(conf->n_dpop_algorithms, 1);
	ck_assert_str_eq(conf->dpop_algorithms[0], "ES256");
	ck_assert_int_eq(conf->dpop_iat_offset, 300);
	ck_assert_int_eq(conf->dpop_iat_leeway, 30);
	ck_assert_int_eq(conf->dpop_error_status, 400);
	ck_assert(!conf->dpop_nonce && !conf->trust_proxy && !conf->replay_on_error);
	ck_assert_ptr_null(conf->dpop_nonce_key_file);
	ck_assert_ptr_null(conf->nonce_key);
	ck_assert_int_eq(conf->dpop_nonce_window, 300);
	ck_assert_ptr_null(conf->public_url);
	ck_assert_uint_eq(conf->n_trusted_proxies, 0);
	ck_assert_ptr_null(conf->replay_password);
	ck_assert_ptr_null(conf->replay_password_file);
	ck_assert_ptr_null(conf->replay_ca_file);
	ck_assert_ptr_null(conf->replay_ca_dir);
	ck_assert_int_eq(conf->replay_timeout, 1);
	ck_assert_int_eq(conf->replay_max_proofs, 1000000);
	free(report);
	bg_conf_free(conf);
}
END_TEST

/* The .env form, as applications share it: each of these says domain a.example and audience "b c". */
static const struct { const char *name, *text; } env_files[] = {
	{ "bare",                 "AUTH0_DOMAIN=a.example\nAUTH0_AUDIENCE=b c\n" },
	{ "double quotes",        "AUTH0_DOMAIN=\"a.example\"\nAUTH0_AUDIENCE=\"b c\"\n" },
	{ "single quotes",        "AUTH0_DOMAIN='a.example'\nAUTH0_AUDIENCE='b c'\n" },
	{ "export",               "export AUTH0_DOMAIN=a.example\nexport\tAUTH0_AUDIENCE='b c'\n" },
	{ "comments and blanks",  "# x\n\n  \t\n  # y = \"\nAUTH0_DOMAIN=a.example # z\n\tAUTH0_AUDIENCE='b c' # '\n" },
	{ "blanks at the end",    "AUTH0_DOMAIN=a.example \t\nAUTH0_AUDIENCE=b c  \n" },
	{ "carriage returns",     "AUTH0_DOMAIN=a.example\r\n\r\nAUTH0_AUDIENCE=\"b c\"\r\n" },
	{ "no line break last",   "AUTH0_AUDIENCE='b c'\nAUTH0_DOMAIN=a.example" },
	{ "others' variables",    "PORT=3000\nEMPTY=\nEMPTY2= \nURL=${X}/y?z=\"1\"\nKEY=\"-----BEGIN\n\\n A=1\n-----END\"\n_x1='$'\n"
	    "AUTH0_CLIENT_SECRET=\"\\x\"\nAUTH0_DOMAIN=a.example\nAUTH0_AUDIENCE='b c'\nPORT=4000\n" },
	{ "half our names",       "AUTH0_DOMAIN2=x\nXAUTH0_DOMAIN=y\nauth0_domain=z\nAUTH0_DOMAI=w\n"
	    "AUTH0_DOMAIN=a.example\nAUTH0_AUDIENCE='b c'\n" },
};

START_TEST(an_env_file_is_read_as_applications_write_it)
{
	struct bg_conf_sources from = { .env_file = "env", .environ = no_environ };
	struct bg_conf *conf;
	char *report;
	int rc;

	write_file("env", env_files[_i].text);
	rc = load(&conf, &from, &report);
	ck_assert_msg(rc == 0 && *report == '\0', "%s: %s", env_files[_i].name, report);
	ck_assert_str_eq(conf->issuers[0].name, "https://a.example/");
	ck_assert_str_eq(conf->issuers[0].audience[0], "b c");
	free(report);
	bg_conf_free(conf);
}
END_TEST

START_TEST(escapes_in_an_env_file_are_undone)
{
	struct bg_conf_sources from = { .env_file = "env", .environ = no_environ };
	struct bg_conf *conf;
	char *report;

	write_file("env", "AUTH0_DOMAIN=a.example\nAUTH0_AUDIENCE=\"a\\\"b\\\\c\\$d'#e\"\n");
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(conf->issuers[0].audience[0], "a\"b\\c$d'#e");
	ck_assert_str_eq(conf->issuers[0].said_at, "env:1");
	free(report);
	bg_conf_free(conf);
	write_file("env", "AUTH0_DOMAIN=a.example\nAUTH0_AUDIENCE='a\"b\\c$d#e'\n");
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(conf->issuers[0].audience[0], "a\"b\\c$d#e");
	free(report);
	bg_conf_free(conf);
}
END_TEST

START_TEST(the_file_wins_over_the_environment_and_that_over_the_env_file)
{
	char domain[] = "AUTH0_DOMAIN=env.example", audience[] = "AUTH0_AUDIENCE=env", ca[] = "BEARERGATE_CA_FILE=/nonexistent";
	char *list[] = { domain, audience, ca, NULL };
	struct bg_conf_sources from = { .env_file = "env", .environ = list };
	struct bg_conf *conf;
	char *report;

	/* the env file alone differs in one */
	list[2] = NULL;
	write_file("env", "AUTH0_DOMAIN=envfile.example\nAUTH0_AUDIENCE=env\n");
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(report, "env:1: remark: AUTH0_DOMAIN is not used, the environment has another value\n");
	ck_assert_str_eq(conf->issuers[0].name, "https://env.example/");
	free(report);
	bg_conf_free(conf);

	/* what the file overrules need not even be well formed, and what equals it is passed over in silence */
	list[2] = ca;
	from.file = "f";
	write_file("env", "");
	write_file("f", "domain = \"file.example\"\naudience = \"env\"\nca_file = \"${PWD_OF_TEST}/f\"\n");
	setenv("PWD_OF_TEST", dir, 1);
	ck_assert_int_eq(load(&conf, &from, &report), EX_CONFIG);
	ck_assert_str_eq(report, "f:3: ${PWD_OF_TEST} is not set in the environment; a value was expected, "
	    "or ${PWD_OF_TEST:-...} with what to take instead\n");
	free(report);
	setenv("AUTH0_DOMAIN", "env.example", 1);
	setenv("AUTH0_AUDIENCE", "env", 1);
	setenv("BEARERGATE_CA_FILE", "/nonexistent", 1);
	from.environ = environ;
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(report, "environment: remark: AUTH0_DOMAIN is not used, f:1 says something else\n"
	    "environment: remark: BEARERGATE_CA_FILE is not used, f:3 says something else\n");
	ck_assert_uint_eq(conf->n_issuers, 1);
	ck_assert_str_eq(conf->issuers[0].name, "https://file.example/");
	ck_assert_str_eq(conf->issuers[0].said_at, "f:1");
	ck_assert_uint_eq(conf->issuers[0].n_audience, 1);
	ck_assert_str_eq(conf->issuers[0].audience[0], "env");
	free(report);
	bg_conf_free(conf);
	unsetenv("PWD_OF_TEST");
	unsetenv("AUTH0_DOMAIN");
	unsetenv("AUTH0_AUDIENCE");
	unsetenv("BEARERGATE_CA_FILE");
}
END_TEST

START_TEST(the_environment_adds_no_issuer_to_a_file_that_names_some)
{
	char domain[] = "AUTH0_DOMAIN=env.example", audience[] = "AUTH0_AUDIENCE=env";
	char *list[] = { domain, audience, NULL };
	struct bg_conf_sources from = { .file = "f", .environ = list };
	struct bg_conf *conf;
	char *report;

	write_file("f", "issuer \"https://idp.example/\" { }\n");
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(report, "environment: remark: AUTH0_DOMAIN is not used, f:1 says something else\n");
	ck_assert_uint_eq(conf->n_issuers, 1);
	ck_assert_str_eq(conf->issuers[0].name, "https://idp.example/");
	ck_assert_str_eq(conf->issuers[0].audience[0], "env");
	free(report);
	bg_conf_free(conf);

	/* but completes one that names none */
	write_file("f", "leeway = \"1m\"\njwks_uri = \"https://env.example/keys\"\n");
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(report, "");
	ck_assert_str_eq(conf->issuers[0].name, "https://env.example/");
	ck_assert_str_eq(conf->issuers[0].jwks_uri, "https://env.example/keys");
	ck_assert_int_eq(conf->leeway, 60);
	free(report);
	bg_conf_free(conf);
}
END_TEST

START_TEST(the_file_may_be_named_by_a_variable_and_the_command_line_wins)
{
	char config[] = "BEARERGATE_CONFIG=f";
	char *list[] = { config, NULL };
	struct bg_conf_sources from = { .environ = list };
	struct bg_conf *conf;
	char *report;

	write_file("f", GOOD);
	write_file("g", "domain = \"g.example\"\naudience = \"g\"\n");
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(conf->issuers[0].name, "https://tenant.eu.auth0.com/");
	free(report);
	bg_conf_free(conf);

	from.file = "g";
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(report, "environment: remark: BEARERGATE_CONFIG is not used, g was named instead\n");
	ck_assert_str_eq(conf->issuers[0].name, "https://g.example/");
	free(report);
	bg_conf_free(conf);

	write_file("env", "BEARERGATE_CONFIG=g\n");
	from = (struct bg_conf_sources){ .env_file = "env", .environ = no_environ };
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	ck_assert_str_eq(conf->issuers[0].name, "https://g.example/");
	free(report);
	bg_conf_free(conf);
}
END_TEST

START_TEST(every_option_arrives_where_it_belongs)
{
	struct bg_conf *conf;

	write_file("ca", "");
	write_file("keys", "");
	setenv("TEST_DIR", dir, 1);
	{
		struct bg_conf_sources from = { .file = "f", .environ = environ };
		char *report;

		write_file("f", "realm = 'a \\'b\\' c'\nleeway=\"5m\"\nca_file = \"${TEST_DIR}/ca\"\nfetch_timeout = 10s\n"
		    "cache_ttl_min = \"1m\" cache_ttl_max = \"1h\"\nrefresh_cooldown = \"2m\"\n"
		    "listen = { 127.0.0.1:9009, \"unix:/run/\\\"\\\\\\$x y\", [::1]:9 }\n"
		    "listen_owner = root listen_group = 0 listen_mode = 666 listen_backlog = 7 user = 3999999999 group = root "
		    "listen_allowed_clients = { user:root, group:0, \"10.0.0.0/8\", ::1 } threads = 16\ntoken_cache = 0\nlog_level = \"debug\" log = /var/log/x.log "
		    "script_root = / script = /cgi/app script_owner = 4711 pass_credentials = true\n"
		    "log_format = \"json\" log_decisions = \"denials\" log_rate = 0\n"
		    "domains = { \"a.example\", \"b.example\" }\naudience = { \"one\", 'two' }\nalgorithms = \"RS256\"\n"
		    "issuer \"https://idp.example/x\" {\naudience = none\njwks_file = \"${TEST_DIR}/keys\"\n}\n"
		    "issuer 'https://other.example' { jwks_uri = \"https://other.example/keys?v=1\" "
		    "audience = { \"${NOT_SET_ANYWHERE:-three}\" } }\n");
		ck_assert_msg(load(&conf, &from, &report) == 0, "%s", report);
		ck_assert_str_eq(report, "");
		free(report);
	}
	ck_assert_str_eq(conf->realm, "a 'b' c");
	ck_assert_int_eq(conf->leeway, 300);
	ck_assert(strncmp(conf->ca_file, dir, strlen(dir)) == 0 && strcmp(conf->ca_file + strlen(dir), "/ca") == 0);
	ck_assert_int_eq(conf->fetch_timeout, 10);
	ck_assert_int_eq(conf->cache_ttl_min, 60);
	ck_assert_int_eq(conf->cache_ttl_max, 3600);
	ck_assert_int_eq(conf->refresh_cooldown, 120);
	ck_assert_uint_eq(conf->n_listen, 3);
	ck_assert_str_eq(conf->listen[0], "127.0.0.1:9009");
	ck_assert_str_eq(conf->listen[1], "unix:/run/\"\\$x y");
	ck_assert_str_eq(conf->listen[2], "[::1]:9");
	ck_assert_str_eq(conf->listen_owner, "root");
	ck_assert_str_eq(conf->listen_group, "0");
	ck_assert_int_eq(conf->listen_mode, 0666);
	ck_assert_int_eq(conf->listen_backlog, 7);
	ck_assert_uint_eq(conf->n_listen_allowed_clients, 4);
	ck_assert_str_eq(conf->listen_allowed_clients[1], "group:0");
	ck_assert_str_eq(conf->user, "3999999999");
	ck_assert_str_eq(conf->group, "root");
	ck_assert_int_eq(conf->threads, 16);
	ck_assert_int_eq(conf->token_cache, 0);
	ck_assert_int_eq(conf->log_level, BG_LOG_DEBUG);
	ck_assert(conf->log_format == BG_LOG_JSON && conf->log_decisions && conf->log_rate == 0);
	ck_assert_str_eq(conf->log, "/var/log/x.log");
	ck_assert_str_eq(conf->script, "/cgi/app");
	ck_assert_str_eq(conf->script_root, "/");
	ck_assert_uint_eq(conf->script_uid, 4711);
	ck_assert(conf->pass_credentials);

	ck_assert_uint_eq(conf->n_issuers, 4);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_str_eq(conf->issuers[i].name, i == 0 ? "https://a.example/" : "https://b.example/");
		ck_assert_uint_eq(conf->issuers[i].n_audience, 2);
		ck_assert_str_eq(conf->issuers[i].audience[0], "one");
		ck_assert_str_eq(conf->issuers[i].audience[1], "two");
	}
	ck_assert_str_eq(conf->issuers[2].name, "https://idp.example/x");
	ck_assert_str_eq(conf->issuers[2].said_at, "f:15");
	ck_assert(conf->issuers[2].any_audience);
	ck_assert_uint_eq(conf->issuers[2].n_audience, 0);
	ck_assert_str_eq(conf->issuers[2].jwks_file + strlen(dir), "/keys");
	ck_assert_str_eq(conf->issuers[3].name, "https://other.example");
	ck_assert_str_eq(conf->issuers[3].jwks_uri, "https://other.example/keys?v=1");
	ck_assert_uint_eq(conf->issuers[3].n_audience, 1);
	ck_assert_str_eq(conf->issuers[3].audience[0], "three");
	ck_assert(!conf->issuers[3].any_audience);
	bg_conf_free(conf);
	unsetenv("TEST_DIR");
}
END_TEST

START_TEST(an_issuer_block_takes_audience_and_algorithms_from_the_top_but_never_keys)
{
	struct bg_conf *conf = load_good("domain = \"a.example\"\njwks_uri = \"https://a.example/keys\"\naudience = \"top\"\n"
	    "issuer \"https://b.example/\" { }\nissuer \"https://c.example/\" { audience = \"own\" }\n", "");

	ck_assert_uint_eq(conf->n_issuers, 3);
	ck_assert_str_eq(conf->issuers[0].jwks_uri, "https://a.example/keys");
	ck_assert_str_eq(conf->issuers[1].audience[0], "top");
	ck_assert_ptr_null(conf->issuers[1].jwks_uri);
	ck_assert_uint_eq(conf->issuers[2].n_audience, 1);
	ck_assert_str_eq(conf->issuers[2].audience[0], "own");
	bg_conf_free(conf);
}
END_TEST

/* SR-54, users.md row 9: up to 300 seconds. */
static const struct { const char *text; int64_t want; } leeways[] = {
	{ "0s", 0 }, { "1s", 1 }, { "300s", 300 }, { "5m", 300 }, { "0h", 0 }, { "0d", 0 }, { "007s", 7 },
};

START_TEST(a_duration_is_a_number_and_a_unit)
{
	char text[256];
	struct bg_conf *conf;

	bg_format(text, sizeof(text), GOOD "leeway = \"%s\"\n", leeways[_i].text);
	conf = load_good(text, "");
	ck_assert_int_eq(conf->leeway, leeways[_i].want);
	bg_conf_free(conf);
	bg_format(text, sizeof(text), GOOD "cache_ttl_max = \"1d\"\ncache_ttl_min = \"24h\"\n");
	conf = load_good(text, "");
	ck_assert_int_eq(conf->cache_ttl_max, 86400);
	ck_assert_int_eq(conf->cache_ttl_min, 86400);
	bg_conf_free(conf);
}
END_TEST

START_TEST(what_is_put_right_in_a_domain_is_remarked_with_its_line)
{
	struct bg_conf *conf = load_good("audience = \"a\"\n\ndomain = \"HTTPS://Tenant.EU.auth0.com/\"\n",
	    "f:3: remark: domain \"HTTPS://Tenant.EU.auth0.com/\" is written with https://, capitals and a slash at its end; "
	    "the bare domain in small letters was taken\n");

	ck_assert_str_eq(conf->issuers[0].name, "https://tenant.eu.auth0.com/");
	bg_conf_free(conf);
}
END_TEST

/* A name in iss is compared byte for byte (SR-42), so a block's title is taken as it is. */
START_TEST(an_issuer_in_a_block_is_not_changed)
{
	struct bg_conf *conf = load_good("issuer \"https://IDP.example/Realms/X/\" { audience = \"a\" }\n", "");

	ck_assert_str_eq(conf->issuers[0].name, "https://IDP.example/Realms/X/");
	bg_conf_free(conf);
}
END_TEST

static char *
print(const struct bg_conf *conf)
{
	struct bg_buf out;
	struct bg_slice all;
	char *text;

	bg_buf_init(&out, REPORT_MAX);
	bg_conf_print(conf, &out);
	ck_assert_int_eq(bg_buf_finish(&out, &all, NULL), 0);
	ck_assert_ptr_nonnull(text = strdup(all.ptr));
	bg_buf_clear(&out);
	return text;
}

static void
assert_same_texts(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
	ck_assert_uint_eq(n_a, n_b);
	for (size_t i = 0; i < n_a; i++)
		ck_assert_str_eq(a[i], b[i]);
}

static void
assert_same_rule(const struct bg_conf_rule *a, const struct bg_conf_rule *b)
{
	ck_assert_int_eq(a->kind, b->kind);
	ck_assert_pstr_eq(a->claim, b->claim);
	assert_same_texts(a->values, a->n_values, b->values, b->n_values);
	ck_assert_uint_eq(a->n_rules, b->n_rules);
	for (size_t i = 0; i < a->n_rules; i++)
		assert_same_rule(&a->rules[i], &b->rules[i]);
}

static void
assert_same_blocks(const struct bg_conf *a, const struct bg_conf *b)
{
	ck_assert_uint_eq(a->n_policies, b->n_policies);
	for (size_t i = 0; i < a->n_policies; i++) {
		ck_assert_str_eq(a->policies[i].name, b->policies[i].name);
		assert_same_rule(&a->policies[i].rule, &b->policies[i].rule);
	}
	ck_assert_uint_eq(a->n_locations, b->n_locations);
	for (size_t i = 0; i < a->n_locations; i++) {
		const struct bg_conf_location *x = &a->locations[i], *y = &b->locations[i];

		ck_assert_str_eq(x->path, y->path);
		assert_same_texts(x->methods, x->n_methods, y->methods, y->n_methods);
		ck_assert(x->says_auth == y->says_auth && x->auth == y->auth);
		assert_same_rule(&x->rule, &y->rule);
	}
	ck_assert_uint_eq(a->n_sites, b->n_sites);
	for (size_t i = 0; i < a->n_sites; i++) {
		ck_assert_str_eq(a->sites[i].host, b->sites[i].host);
		assert_same_texts(a->sites[i].issuers, a->sites[i].n_issuers, b->sites[i].issuers, b->sites[i].n_issuers);
	}
	ck_assert_uint_eq(a->n_exports, b->n_exports);
	for (size_t i = 0; i < a->n_exports; i++) {
		const struct bg_conf_export *x = &a->exports[i], *y = &b->exports[i];

		ck_assert_str_eq(x->claim, y->claim);
		ck_assert_str_eq(x->as, y->as);
		ck_assert_pstr_eq(x->join, y->join);
		ck_assert_int_eq(x->encoding, y->encoding);
	}
}

static void
assert_same_dpop(const struct bg_conf *a, const struct bg_conf *b)
{
	ck_assert_int_eq(a->dpop, b->dpop);
	assert_same_texts(a->dpop_algorithms, a->n_dpop_algorithms, b->dpop_algorithms, b->n_dpop_algorithms);
	ck_assert_int_eq(a->dpop_iat_offset, b->dpop_iat_offset);
	ck_assert_int_eq(a->dpop_iat_leeway, b->dpop_iat_leeway);
	ck_assert_int_eq(a->dpop_error_status, b->dpop_error_status);
	ck_assert_int_eq(a->dpop_nonce, b->dpop_nonce);
	ck_assert_pstr_eq(a->dpop_nonce_key_file, b->dpop_nonce_key_file);
	ck_assert_uint_eq(a->nonce_key_len, b->nonce_key_len);
	ck_assert((a->nonce_key == NULL) == (b->nonce_key == NULL));
	if (a->nonce_key != NULL)
		ck_assert_mem_eq(a->nonce_key, b->nonce_key, a->nonce_key_len);
	ck_assert_int_eq(a->dpop_nonce_window, b->dpop_nonce_window);
	ck_assert_pstr_eq(a->public_url, b->public_url);
	assert_same_texts(a->trusted_proxies, a->n_trusted_proxies, b->trusted_proxies, b->n_trusted_proxies);
	ck_assert_int_eq(a->trust_proxy, b->trust_proxy);
	ck_assert_pstr_eq(a->replay, b->replay);
	ck_assert_pstr_eq(a->replay_password, b->replay_password);
	ck_assert_pstr_eq(a->replay_password_file, b->replay_password_file);
	ck_assert_pstr_eq(a->replay_ca_file, b->replay_ca_file);
	ck_assert_pstr_eq(a->replay_ca_dir, b->replay_ca_dir);
	ck_assert_int_eq(a->replay_timeout, b->replay_timeout);
	ck_assert_int_eq(a->replay_max_proofs, b->replay_max_proofs);
	ck_assert_int_eq(a->replay_on_error, b->replay_on_error);
}

static void
free_texts(char ***list, size_t *n)
{
	while (*n > 0)
		free((*list)[--*n]);
	free(*list);
	*list = NULL;
}

/* All but where it was said. */
static void
assert_same(const struct bg_conf *a, const struct bg_conf *b)
{
	ck_assert_uint_eq(a->n_issuers, b->n_issuers);
	for (size_t i = 0; i < a->n_issuers; i++) {
		const struct bg_conf_issuer *x = &a->issuers[i], *y = &b->issuers[i];

		ck_assert_str_eq(x->name, y->name);
		ck_assert(x->any_audience == y->any_audience);
		ck_assert_uint_eq(x->n_audience, y->n_audience);
		for (size_t j = 0; j < x->n_audience; j++)
			ck_assert_str_eq(x->audience[j], y->audience[j]);
		ck_assert_uint_eq(x->n_algorithms, y->n_algorithms);
		for (size_t j = 0; j < x->n_algorithms; j++)
			ck_assert_str_eq(x->algorithms[j], y->algorithms[j]);
		ck_assert_pstr_eq(x->require_typ, y->require_typ);
		ck_assert_pstr_eq(x->jwks_uri, y->jwks_uri);
		ck_assert_pstr_eq(x->jwks_file, y->jwks_file);
	}
	ck_assert_str_eq(a->realm, b->realm);
	ck_assert_int_eq(a->leeway, b->leeway);
	ck_assert_pstr_eq(a->ca_file, b->ca_file);
	ck_assert_pstr_eq(a->ca_dir, b->ca_dir);
	ck_assert_pstr_eq(a->proxy, b->proxy);
	ck_assert_pstr_eq(a->cache_dir, b->cache_dir);
	ck_assert_int_eq(a->stale_if_error, b->stale_if_error);
	ck_assert_int_eq(a->fetch_timeout, b->fetch_timeout);
	ck_assert_int_eq(a->cache_ttl_min, b->cache_ttl_min);
	ck_assert_int_eq(a->cache_ttl_max, b->cache_ttl_max);
	ck_assert_int_eq(a->refresh_cooldown, b->refresh_cooldown);
	ck_assert_uint_eq(a->n_listen, b->n_listen);
	for (size_t j = 0; j < a->n_listen; j++)
		ck_assert_str_eq(a->listen[j], b->listen[j]);
	ck_assert_pstr_eq(a->listen_owner, b->listen_owner);
	ck_assert_pstr_eq(a->listen_group, b->listen_group);
	ck_assert_int_eq(a->listen_mode, b->listen_mode);
	ck_assert_int_eq(a->listen_backlog, b->listen_backlog);
	assert_same_texts(a->listen_allowed_clients, a->n_listen_allowed_clients, b->listen_allowed_clients,
	    b->n_listen_allowed_clients);
	ck_assert_pstr_eq(a->user, b->user);
	ck_assert_pstr_eq(a->group, b->group);
	ck_assert_int_eq(a->threads, b->threads);
	ck_assert_int_eq(a->token_cache, b->token_cache);
	ck_assert_int_eq(a->log_level, b->log_level);
	ck_assert(a->log_format == b->log_format && a->log_decisions == b->log_decisions && a->log_rate == b->log_rate);
	ck_assert_str_eq(a->log, b->log);
	ck_assert_pstr_eq(a->script, b->script);
	ck_assert_pstr_eq(a->script_root, b->script_root);
	ck_assert_pstr_eq(a->script_owner, b->script_owner);
	ck_assert_uint_eq(a->script_uid, b->script_uid);
	ck_assert_pstr_eq(a->daemon_user, b->daemon_user);
	ck_assert_uint_eq(a->daemon_uid, b->daemon_uid);
	ck_assert_int_eq(a->pass_credentials, b->pass_credentials);
	ck_assert_int_eq(a->missing_status, b->missing_status);
	ck_assert_int_eq(a->compat, b->compat);
	ck_assert_int_eq(a->preflight, b->preflight);
	ck_assert_str_eq(a->user_claim, b->user_claim);
	ck_assert_int_eq(a->export_defaults, b->export_defaults);
	ck_assert_int_eq(a->export_json, b->export_json);
	assert_same_dpop(a, b);
	assert_same_blocks(a, b);
}

/* Every condition, and every place where one may stand. */
static const char rules[] = GOOD
    "policy messages { scope = { \"read:messages\", \"write:messages\" } any_scope = { a, b } permission = p }\n"
    "policy eu-admins { policy = messages claim org_id { equals = { org_eu, 7 } }\n"
    "  claim \"https://example.com/roles\" { contains = { admin, \"the \\\\ other\" } any_of = { x, y } "
    "matches = \"a.*\\\\d\\$\" present = true }\n"
    "  any { scope = s policy = { messages } claim o { equals = 1 } claim o { equals = 2 any_of = 3 } claim q { present = false } }\n"
    "  any { permission = { p, q } any_scope = t } }\n"
    "location \"/api\" { policy = { eu-admins, messages } scope = u claim v { present = true } any { scope = w } }\n"
    "location \"/api\" { auth = required methods = { GET, HEAD } }\n"
    "location \"/Caf\xc3\xa9 \\$1/\" { auth = none } location / { auth = optional methods = OPTIONS }\n";

static const char *const round_trips[] = {
	GOOD,
	"domain = \"a.example\"\naudience = \"none\"\n",
	"domain = \"a.example\"\naudience = { \"a\\\"b\", 'c\\\\d', \"\\${HOME}\", \"Gr\xc3\xbc\xc3\x9f" "e # no comment // */\" }\n"
	    "realm = \"it's a \\\"realm\\\" \\\\ \\$\\${X}\"\n",
	"issuer \"https://idp.example/\" { audience = { \"a\", \"b\" } jwks_uri = \"https://idp.example/$keys\" }\n"
	    "issuer \"https://two.example/\" { audience = none algorithms = RS256 }\n"
	    "leeway = 0s fetch_timeout = 59s cache_ttl_min = 90s cache_ttl_max = 23h refresh_cooldown = 1h\n"
	    "listen = { unix:/run/a.sock, [::1]:9009 } threads = 1024 token_cache = 1000000 log_level = error\n",
	GOOD "log_level = warning\nlisten = 127.0.0.1:1\n",
	GOOD "log_level = debug\nlog = '/var/log/$x y.log'\n",
	GOOD "compat = auth0 preflight = true export_json = true export_defaults = false user_claim = \"/a~1b/~0\"\n"
	    "algorithms = { RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA } require_typ = 'at+jwt'\n",
	GOOD "compat = auth0 missing_status = 401 leeway = 1m\n",
	GOOD "script_root = '/' script = '/a $x y' pass_credentials = true script_owner = root\n",
	rules,
	GOOD "issuer \"https://one.example/\" { } issuer \"https://two.example/\" { audience = none }\n"
	    "site b.example { issuers = { \"https://two.example/\", \"https://one.example/\" } }\n"
	    "site a.example { domains = { three.example, four.example:8443 } audience = { x, y }\n"
	    "  issuers = \"https://two.example/\" }\n"
	    "site [::1] { domains = three.example audience = { x, y } }\n",
	GOOD "export scope { join = ' ' as = SCOPES } export \"/a/b~1c\" { encoding = base64url }\n"
	    "export \"https://example.com/r\\$oles\" { as = \"R\" join = \"\\\"\" }\n",
	GOOD "dpop = required dpop_algorithms = { ES256, EdDSA } dpop_iat_offset = 1m dpop_iat_leeway = 0s\n"
	    "dpop_error_status = 401 public_url = \"http://API.example:8080/a/\" trusted_proxies = { 10.0.0.0/8, unix }\n"
	    "replay = \"lmdb:/tmp/\\$x y\" replay_max_proofs = 7\n",
	GOOD "dpop_required = true replay = \"rediss://[::1]:7/3\" replay_timeout = 60s replay_ca_dir = \"/\"\n",
	GOOD "dpop_enabled = false\n",
	GOOD "replay = 'redis+unix:/run/redis.sock'\n",
	"daemon = \"unix:/run/\\$x.sock\" daemon_timeout = 1m daemon_user = root script = /a script_owner = 4711 pass_credentials = true\n"
	"log_format = json log_level = debug "
	    "export \"/a/b\" { as = \"ROLES\" }\n",
};

START_TEST(what_is_printed_reads_back_as_the_same_configuration)
{
	struct bg_conf *conf, *again;
	char *text;

	if (is_for_another_build(round_trips[_i]))
		return;
	conf = load_good(round_trips[_i], "");
	text = print(conf);
	again = load_good(text, "");
	assert_same(conf, again);
	free(text);
	bg_conf_free(conf);
	bg_conf_free(again);
}
END_TEST

START_TEST(what_is_printed_names_files_as_well)
{
	struct bg_conf *conf, *again;
	char text[9000], *printed;

	write_file("keys $x", "");
	bg_format(text, sizeof(text), GOOD "ca_file = '%s/keys $x'\njwks_file = '%s/keys $x'\n"
	    "ca_dir = '%s'\nproxy = \"http://[::1]:3128\"\ncache_dir = '%s'\nstale_if_error = 0s\n", dir, dir, dir, dir);
	conf = load_good(text, "");
	printed = print(conf);
	again = load_good(printed, "");
	assert_same(conf, again);
	ck_assert_ptr_nonnull(again->ca_file);
	ck_assert_str_eq(again->proxy, "http://[::1]:3128");
	ck_assert_str_eq(again->cache_dir, dir);
	ck_assert_int_eq(again->stale_if_error, 0);
	ck_assert_ptr_nonnull(again->issuers[0].jwks_file);
	free(printed);
	bg_conf_free(conf);
	bg_conf_free(again);
}
END_TEST

START_TEST(the_defaults_are_printed_in_the_syntax_of_the_file)
{
	static const char *const lines[] = {
		"\nrealm = \"api\"\n", "\nleeway = \"30s\"\n", "\n# ca_file is not set\n", "\nfetch_timeout = \"5s\"\n",
		"\ncache_ttl_min = \"1m\"\n", "\ncache_ttl_max = \"10m\"\n", "\nrefresh_cooldown = \"30s\"\n",
		"\n# listen is not set\n", "\nthreads = 0\n", "\ntoken_cache = 10000\n", "\nlog = \"stderr\"\n", "\nlog_level = \"info\"\n",
		"\n# script is not set\n", "\n# script_root is not set\n", "\n# script_owner is not set\n", "\npass_credentials = false\n",
		"\n# from \"f:1\"\nissuer \"https://tenant.eu.auth0.com/\" {\n", "\n\taudience = { \"https://api.example.com\" }\n",
		"\n\talgorithms = { \"RS256\" }\n", "\n\t# jwks_uri is not set\n",
		"\ndpop = \"allowed\"\n", "\ndpop_algorithms = { \"ES256\" }\n", "\ndpop_iat_offset = \"5m\"\n",
		"\ndpop_iat_leeway = \"30s\"\n", "\ndpop_error_status = 400\n", "\ndpop_nonce = \"off\"\n",
		"\n# dpop_nonce_key_file is not set\n", "\ndpop_nonce_window = \"5m\"\n", "\n# public_url is not set\n",
		"\n# trusted_proxies is not set\n", "\ntrust_proxy = false\n", "\n# replay_password is not set\n",
		"\n# replay_password_file is not set\n", "\n# replay_ca_file is not set\n", "\n# replay_ca_dir is not set\n",
		"\nreplay_timeout = \"1s\"\n", "\nreplay_max_proofs = 1000000\n", "\nreplay_on_error = \"deny\"\n",
	};
	struct bg_conf *conf = load_good(GOOD, "");
	char *text = print(conf);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert_msg(strstr(text, lines[i]) != NULL, "not there: %s\n%s", lines[i], text);
	free(text);
	bg_conf_free(conf);
}
END_TEST

static void
assert_refused(const struct bg_conf_sources *from, int want_rc, const char *want)
{
	struct bg_conf *conf;
	char *report;
	int rc = load(&conf, from, &report);

	ck_assert_str_eq(report, want);
	ck_assert_int_eq(rc, want_rc);
	free(report);
	bg_conf_free(conf);
}

START_TEST(what_is_no_text_file_is_refused)
{
	struct bg_conf_sources file = { .file = "f", .environ = no_environ }, env = { .env_file = "f", .environ = no_environ };
	const struct bg_conf_sources *const both[] = { &file, &env };
	static char large[10 * 1024 * 1024];

	for (size_t i = 0; i < 2; i++) {
		assert_refused(both[i], EX_NOINPUT, "f: cannot be read: No such file or directory\n");
		ck_assert_int_eq(mkdir("f", 0700), 0);
		assert_refused(both[i], EX_NOINPUT, "f: cannot be read: it is a directory\n");
		ck_assert_int_eq(rmdir("f"), 0);
		ck_assert_int_eq(symlink("f", "f"), 0);
		assert_refused(both[i], EX_NOINPUT, "f: cannot be read: Too many levels of symbolic links\n");
		ck_assert_int_eq(unlink("f"), 0);
		ck_assert_int_eq(mkfifo("f", 0600), 0);	/* must not wait for a writer */
		assert_refused(both[i], EX_NOINPUT, "f: cannot be read: it is not a regular file\n");
		ck_assert_int_eq(unlink("f"), 0);
		memset(large, '#', sizeof(large));
		write_bytes("f", large, sizeof(large));
		assert_refused(both[i], EX_CONFIG, "f: is larger than 1024 KiB: is it a configuration at all?\n");
		ck_assert_int_eq(unlink("f"), 0);
		if (geteuid() != 0) {	/* root reads everything */
			write_file("f", GOOD);
			ck_assert_int_eq(chmod("f", 0), 0);
			assert_refused(both[i], EX_NOINPUT, "f: cannot be read: Permission denied\n");
			ck_assert_int_eq(unlink("f"), 0);
		}
	}
	file.file = env.env_file = "";
	assert_refused(&file, EX_NOINPUT, "configuration: the name of a file is empty\n");
	assert_refused(&env, EX_NOINPUT, "configuration: the name of a file is empty\n");
	file.file = env.env_file = "f";
	write_bytes("f", GOOD "\0leeway = 1s\n", sizeof(GOOD "\0leeway = 1s\n") - 1);
	assert_refused(&file, EX_CONFIG, "f:3: unexpected byte 0x00; text was expected\n");
	write_bytes("f", "AUTH0_DOMAIN=a\0b\n", 17);
	assert_refused(&env, EX_CONFIG, "f:1: a control character; NAME=value was expected\n");
	write_bytes("f", "\x7f" "ELF\x02\x01\x01", 7);
	assert_refused(&file, EX_CONFIG, "f:1: unexpected byte 0x7f; text was expected\n");
	write_bytes("f", "# \x01 in a comment\n\x01", 18);
	assert_refused(&file, EX_CONFIG, "f:2: unexpected byte 0x01; text was expected\n");
}
END_TEST

START_TEST(a_file_of_exactly_the_largest_size_is_read)
{
	size_t len = 1024 * 1024;
	char *text = malloc(len + 1);
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	struct bg_conf *conf;
	char *report;

	ck_assert_ptr_nonnull(text);
	memset(text, '#', len + 1);
	memcpy(text + len - strlen("\n" GOOD), "\n" GOOD, strlen("\n" GOOD));
	write_bytes("f", text, len);
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	bg_conf_free(conf);
	free(report);
	write_bytes("f", text, len + 1);
	assert_refused(&from, EX_CONFIG, "f: is larger than 1024 KiB: is it a configuration at all?\n");
	free(text);
}
END_TEST

/* libConfuse's scanner is global: what a bad file left in it must not colour the next. */
START_TEST(a_good_file_is_read_after_a_bad_one)
{
	static const char *const bad[] = { GOOD "x", GOOD "leeway = 1s leeway", GOOD "issuer \"a\" {", GOOD "audience = { 'a', b c" };
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bg_conf *conf;
		char *report;

		write_file("f", bad[i]);
		ck_assert_int_eq(load(&conf, &from, &report), EX_CONFIG);
		free(report);
		bg_conf_free(load_good(GOOD "leeway = 2m\n", ""));
	}
}
END_TEST

/* The name that libConfuse is to be told of stands nowhere in the text. */
START_TEST(the_name_of_a_block_may_be_in_a_variable)
{
	char kind[] = "KIND=issuer", *list[ENVIRON_MAX];
	struct bg_conf_sources from = { .file = "f", .environ = list };
	struct bg_conf *conf;
	char *report;

	write_file("f", "\"${KIND}\" \"https://id.example\" { audience = a }\n");
	set_environ(kind, list);
	ck_assert_int_eq(load(&conf, &from, &report), 0);
	unset_environ(list);
	ck_assert_str_eq(report, "");
	ck_assert_uint_eq(conf->n_issuers, 1);
	ck_assert_str_eq(conf->issuers[0].name, "https://id.example");
	free(report);
	bg_conf_free(conf);
}
END_TEST

/* An option that is passed over is a demand that nobody makes.  Of a small text libConfuse is told only the names that stand in it. */
static void
assert_unknown(const char *before, const char *name, const char *behind)
{
	static char lines[20 * 1024];
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	char text[sizeof(lines) + 512];
	struct bg_conf *conf;
	char *report;

	memset(lines, '\n', sizeof(lines) - 1);
	for (int large = 0; large < 2; large++) {
		bg_format(text, sizeof(text), "%s%s%s%s%s", large ? lines : "", GOOD, before, name, behind);
		write_file("f", text);
		ck_assert_int_eq(load(&conf, &from, &report), EX_CONFIG);
		ck_assert_msg(strstr(report, ": unknown option ") != NULL, "%s%s%s: %s", before, name, behind, report);
		free(report);
	}
}

START_TEST(a_name_that_is_nearly_one_is_unknown_everywhere)	/* SR-92 */
{
	static const struct { const char *before, *behind; } places[] = { { "", " = a\n" }, { "", " = { a }\n" }, { "", " a { }\n" },
		{ "\"", "\" \"a\" { }\n" }, { "'", "' { }\n" }, { "issuer \"https://i.example\" { ", " = a }\n" },
		{ "policy p { any { ", " = a } }\n" }, { "location \"/a\" { '", "' { } }\n" },
		{ "location \"/a\" { claim c { ", " = { a } } }\n" } };
	static const struct { const char *before, *behind; } changes[] = { { "", "x" }, { "x", "" }, { "", "-" }, { "_", "" }, { "", ".a" } };
	char name[128];

	for (size_t i = 0; i < BG_OPT_COUNT + BG_BLOCK_COUNT - 1; i++)
		for (size_t j = 0; j < sizeof(changes) / sizeof(changes[0]); j++) {
			bg_format(name, sizeof(name), "%s%s%s", changes[j].before, i < BG_OPT_COUNT ? bg_options[i].name :
			    bg_block_name((enum bg_block)(i - BG_OPT_COUNT + 1)), changes[j].behind);
			for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++)
				assert_unknown(places[k].before, name, places[k].behind);
		}
}
END_TEST

/* Any text gives a configuration, or one line that begins with the file; never a crash, never silence. */
static void
assert_orderly(const char *text, size_t len)
{
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	struct bg_conf *conf;
	char *report;
	int rc;

	write_bytes("f", text, len);
	rc = load(&conf, &from, &report);
	ck_assert_msg(rc == 0 || rc == EX_CONFIG, "exit code %d for: %.*s", rc, (int)len, text);
	ck_assert_msg(rc == 0 || (strncmp(report, "f:", 2) == 0 && strchr(report, '\n') == report + strlen(report) - 1),
	    "report \"%s\" for: %.*s", report, (int)len, text);
	free(report);
	bg_conf_free(conf);
}

/* SR-92 */
START_TEST(a_file_cut_anywhere_or_with_any_byte_changed_is_answered_in_order)
{
	static const char text[] = "policy p{claim c{equals=1}any{scope=s}}location /a{policy=p}site b{domains=b}export c{as=X}\n"
	    "# c\ndomain = \"a.example\" /* d */\naudience = { 'x', \"y\\\"\" } // e\n"
	    "issuer \"https://i.example/\" { audience = \"${X:-z}\" }\nleeway=1m\n"
	    "replay=\"redis://u@h:1/2\" replay_password=p trusted_proxies={::/0,unix} public_url=\"http://[::1]/a\"\n";
	static const char bytes[] = "\0\n\"'\\{}=,#/*$ a1\xff";
	size_t len = bg_replay_has_redis() ? strlen(text) : (size_t)(strstr(text, "replay=") - text);
	char copy[sizeof(text)];

	for (size_t i = 0; i <= len; i++)
		assert_orderly(text, i);
	for (size_t i = 0; i < len; i++)
		for (size_t j = 0; j < sizeof(bytes) - 1; j++) {
			memcpy(copy, text, sizeof(text));
			copy[i] = bytes[j];
			assert_orderly(copy, len);
		}
}
END_TEST

/* The sample says what the options are: as it is it says nothing, and with every "#" gone it is a configuration. */
START_TEST(the_installed_sample_is_a_configuration)
{
	char domain[] = "AUTH0_DOMAIN=a.example", audience[] = "AUTH0_AUDIENCE=a", name[8192], *text, *out, *report;
	char *list[] = { domain, audience, NULL };
	struct bg_conf_sources from = { .file = name, .environ = list };
	struct bg_conf *conf, *plain;

	bg_format(name, sizeof(name), "%s/conf/bearergate.conf.in", source_dir);
	ck_assert_msg(load(&conf, &from, &report) == 0, "%s", report);
	ck_assert_str_eq(report, "");
	free(report);
	plain = load_good("domain = \"a.example\"\naudience = a\n", "");
	assert_same(conf, plain);	/* nothing in it is active */
	bg_conf_free(conf);

	/* uncomment "#name = ..." and the issuer block; leave out what excludes each other, and files and users that are not there */
	text = read_file(name);
	ck_assert_ptr_nonnull(text);
	out = text;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		size_t n = strlen(line);

		if (n > 1 && line[0] == '#' && line[1] != ' ') {
			line++;
			n--;
		}
		if (strstr(line, "/etc/bearergate") != NULL || strstr(line, "/var/cache") != NULL || strstr(line, "/var/lib") != NULL ||
		     strncmp(line, "domains", 7) == 0 || strstr(line, "www-data") != NULL)
			continue;
		memmove(out, line, n);
		out[n] = '\n';
		out += n + 1;
	}
	write_bytes("f", text, (size_t)(out - text));
	from = (struct bg_conf_sources){ .file = "f", .environ = no_environ };
	ck_assert_msg(load(&conf, &from, &report) == 0, "%s", report);
	ck_assert_str_eq(report, "");
	ck_assert_uint_eq(conf->n_issuers, 3);
	ck_assert_uint_eq(conf->n_sites, 1);
	ck_assert_uint_eq(conf->n_policies, 2);
	ck_assert_uint_eq(conf->n_locations, 2);
	ck_assert_uint_eq(conf->n_exports, plain->n_exports + 1);
	ck_assert_str_eq(conf->issuers[0].jwks_uri, "https://tenant.eu.auth0.com/.well-known/jwks.json");
	ck_assert_str_eq(conf->issuers[1].jwks_uri, "https://idp.example.com/realms/main/keys");
	ck_assert_uint_eq(conf->n_listen, 2);
	/* and what it shows are the defaults */
	ck_assert_str_eq(conf->realm, plain->realm);
	ck_assert_int_eq(conf->leeway, plain->leeway);
	ck_assert_int_eq(conf->fetch_timeout, plain->fetch_timeout);
	ck_assert_int_eq(conf->cache_ttl_min, plain->cache_ttl_min);
	ck_assert_int_eq(conf->cache_ttl_max, plain->cache_ttl_max);
	ck_assert_int_eq(conf->refresh_cooldown, plain->refresh_cooldown);
	ck_assert_int_eq(conf->stale_if_error, plain->stale_if_error);
	ck_assert_int_eq(conf->listen_mode, plain->listen_mode);
	ck_assert_int_eq(conf->listen_backlog, plain->listen_backlog);
	ck_assert_int_eq(conf->threads, plain->threads);
	ck_assert_int_eq(conf->token_cache, plain->token_cache);
	ck_assert_int_eq(conf->log_level, plain->log_level);
	ck_assert_int_eq(conf->missing_status, plain->missing_status);
	ck_assert_int_eq(conf->compat, plain->compat);
	ck_assert_int_eq(conf->preflight, plain->preflight);
	ck_assert_str_eq(conf->user_claim, plain->user_claim);
	ck_assert_int_eq(conf->export_defaults, plain->export_defaults);
	ck_assert_int_eq(conf->export_json, plain->export_json);
	ck_assert_uint_eq(conf->n_trusted_proxies, 4);
	ck_assert_str_eq(conf->public_url, "https://api.example.com");
	free_texts(&conf->trusted_proxies, &conf->n_trusted_proxies);
	free(conf->public_url);
	conf->public_url = NULL;
	assert_same_dpop(conf, plain);
	free(report);
	free(text);
	bg_conf_free(conf);
	bg_conf_free(plain);
}
END_TEST

static int
never(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	(void)self, (void)request, (void)body, (void)meta;
	return bg_fail(err, BG_R_FETCH_FAILED, "not in this test");
}

START_TEST(a_gate_is_built_from_the_configuration)
{
	static const struct bg_fetcher fetcher = { never };
	struct bg_conf *conf = load_good("issuer \"https://a.example/\" { audience = { \"one\", \"two\" } }\n"
	    "issuer \"https://b.example/\" { audience = none }\nrealm = \"r\"\nleeway = \"7s\"\n", "");
	struct bg_error err = { BG_R_OK, "" };
	struct bg_gate *gate;

	ck_assert_int_eq(bg_conf_build(conf, &fetcher, &gate, &err), 0);
	ck_assert_str_eq(gate->answers.realm, "r");
	ck_assert_int_eq(gate->leeway, 7);
	ck_assert_uint_eq(gate->n_issuers, 2);
	ck_assert_str_eq(gate->issuers[0].name, "https://a.example/");
	ck_assert(!gate->issuers[0].any_audience);
	ck_assert_uint_eq(gate->issuers[0].n_audiences, 2);
	ck_assert_str_eq(gate->issuers[0].audiences[1], "two");
	ck_assert_uint_eq(gate->issuers[0].n_algs, 1);
	ck_assert_ptr_eq(gate->issuers[0].algs[0], bg_alg_find(BG_SLICE("RS256")));
	ck_assert_ptr_nonnull(gate->issuers[0].keys);
	ck_assert(gate->issuers[1].any_audience);
	ck_assert_uint_eq(gate->issuers[1].n_audiences, 0);
	ck_assert_ptr_nonnull(gate->issuers[1].keys);
	bg_gate_free(gate);
	bg_conf_free(conf);
}
END_TEST

/* Whatever a caller put together by hand: no gate is built that would let more in than was written out (SR-40, SR-3). */
START_TEST(there_are_threads_enough)
{
	struct bg_conf conf = { .n_issuers = 1 };

	ck_assert_int_ge(bg_conf_threads(&conf), 4);
	conf.threads = 2;
	ck_assert_int_eq(bg_conf_threads(&conf), 2);
}
END_TEST

START_TEST(no_gate_is_built_without_audience_algorithm_or_a_way_to_keys)
{
	static const struct bg_fetcher fetcher = { never };
	struct bg_conf *conf = load_good("issuer \"https://a.example/\" { audience = \"one\" }\n"
	    "issuer \"https://b.example/\" { audience = \"two\" }\n", "");
	struct bg_error err = { BG_R_OK, "" };
	struct bg_gate *gate;
	size_t n;

	ck_assert_int_eq(bg_conf_build(conf, NULL, &gate, &err), -1);
	ck_assert_ptr_null(gate);
	ck_assert_int_eq(err.reason, BG_R_INTERNAL);
	ck_assert_str_eq(err.detail, "f:1: issuer https://a.example/ has no jwks_file, and nothing fetches keys here");

	bg_error_clear(&err);
	n = conf->issuers[1].n_audience;
	conf->issuers[1].n_audience = 0;
	ck_assert_int_eq(bg_conf_build(conf, &fetcher, &gate, &err), -1);
	ck_assert_ptr_null(gate);
	ck_assert_str_eq(err.detail, "f:2: issuer https://b.example/ has no audience");
	conf->issuers[1].n_audience = n;

	bg_error_clear(&err);
	n = conf->issuers[1].n_algorithms;
	conf->issuers[1].n_algorithms = 0;
	ck_assert_int_eq(bg_conf_build(conf, &fetcher, &gate, &err), -1);
	ck_assert_str_eq(err.detail, "f:2: issuer https://b.example/ has no algorithm");
	conf->issuers[1].n_algorithms = n;

	bg_error_clear(&err);
	memcpy(conf->issuers[1].algorithms[0], "none", 5);
	ck_assert_int_eq(bg_conf_build(conf, &fetcher, &gate, &err), -1);
	ck_assert_ptr_null(gate);
	ck_assert_str_eq(err.detail, "f:2: algorithm none is not known");
	bg_conf_free(conf);
}
END_TEST

static struct bg_gate *
build(const struct bg_conf *conf)
{
	static const struct bg_fetcher fetcher = { never };
	struct bg_error err = { BG_R_OK, "" };
	struct bg_gate *gate;

	ck_assert_msg(bg_conf_build(conf, &fetcher, &gate, &err) == 0, "%s", err.detail);
	return gate;
}

START_TEST(where_a_daemon_decides_nothing_is_decided_by)
{
	char domain[] = "AUTH0_DOMAIN=a.example", audience[] = "AUTH0_AUDIENCE=a", *report;
	char *list[] = { domain, audience, NULL };
	struct bg_conf_sources from = { .file = "f", .environ = list };
	struct bg_error err = { 0 };
	struct bg_conf *conf;
	struct bg_gate *gate;

	write_file("f", "daemon = \"unix:/run/x.sock\"\nscript = /a\nscript_owner = 4711\ndaemon_user = 4712\n");
	ck_assert_msg(load(&conf, &from, &report) == 0, "%s", report);
	ck_assert_str_eq(report, "environment: remark: AUTH0_DOMAIN is not used, the daemon at f:1 decides\n"
	    "environment: remark: AUTH0_AUDIENCE is not used, the daemon at f:1 decides\n");
	ck_assert_uint_eq(conf->n_issuers, 0);
	ck_assert_str_eq(conf->daemon, "unix:/run/x.sock");
	ck_assert_int_eq(conf->daemon_timeout, 10);
	ck_assert_uint_eq(conf->script_uid, 4711);
	ck_assert_uint_eq(conf->daemon_uid, 4712);
	ck_reason(bg_conf_build(conf, NULL, &gate, &err), err, BG_R_INTERNAL, "a gate");
	ck_assert_ptr_null(gate);
	free(report);
	bg_conf_free(conf);
}
END_TEST

START_TEST(conditions_become_rules_that_add_up)
{
	struct bg_conf *conf = load_good(rules, "");
	struct bg_gate *gate = build(conf);
	const struct bg_policies *all = &gate->policies;
	const struct bg_rule *rule, *any;

	ck_assert_uint_eq(all->n_policies, 2);
	ck_assert_str_eq(all->policies[0].name, "messages");
	rule = &all->policies[0].rule;
	ck_assert_int_eq(rule->kind, BG_RULE_ALL);
	ck_assert_uint_eq(rule->n_rules, 3);
	ck_assert_int_eq(rule->rules[0].kind, BG_RULE_SCOPE);
	ck_assert_uint_eq(rule->rules[0].n_values, 2);
	ck_assert_str_eq(rule->rules[0].values[1], "write:messages");
	ck_assert_int_eq(rule->rules[1].kind, BG_RULE_ANY_SCOPE);
	ck_assert_int_eq(rule->rules[2].kind, BG_RULE_PERMISSION);

	rule = &all->policies[1].rule;
	ck_assert_int_eq(rule->kind, BG_RULE_ALL);
	ck_assert_uint_eq(rule->n_rules, 5);
	ck_assert_int_eq(rule->rules[0].kind, BG_RULE_ALL);
	ck_assert_int_eq(rule->rules[0].rules[0].kind, BG_RULE_REF);
	ck_assert_ptr_eq(rule->rules[0].rules[0].ref, &all->policies[0].rule);
	ck_assert_int_eq(rule->rules[1].rules[0].kind, BG_RULE_EQUALS);
	ck_assert_str_eq(rule->rules[1].rules[0].claim, "org_id");
	ck_assert_uint_eq(rule->rules[1].rules[0].n_values, 2);
	ck_assert_int_eq(rule->rules[2].kind, BG_RULE_ALL);
	ck_assert_uint_eq(rule->rules[2].n_rules, 4);
	ck_assert_int_eq(rule->rules[2].rules[0].kind, BG_RULE_CONTAINS);
	ck_assert_str_eq(rule->rules[2].rules[0].values[1], "the \\ other");
	ck_assert_int_eq(rule->rules[2].rules[1].kind, BG_RULE_ANY_OF);
	ck_assert_int_eq(rule->rules[2].rules[2].kind, BG_RULE_MATCHES);
	ck_assert(bg_regex_matches(rule->rules[2].rules[2].regex, BG_SLICE("a--7")));
	ck_assert(!bg_regex_matches(rule->rules[2].rules[2].regex, BG_SLICE("a--7x")));
	ck_assert_int_eq(rule->rules[2].rules[3].kind, BG_RULE_PRESENT);
	ck_assert_str_eq(rule->rules[2].rules[3].claim, "https://example.com/roles");
	any = &rule->rules[3];
	ck_assert_int_eq(any->kind, BG_RULE_ANY);
	ck_assert_uint_eq(any->n_rules, 5);	/* each member is one alternative */
	ck_assert_ptr_eq(any->rules[0].rules[0].ref, &all->policies[0].rule);
	ck_assert_int_eq(any->rules[1].kind, BG_RULE_SCOPE);
	ck_assert_str_eq(any->rules[2].rules[0].values[0], "1");
	ck_assert_int_eq(any->rules[3].kind, BG_RULE_ALL);
	ck_assert_uint_eq(any->rules[3].n_rules, 2);
	ck_assert_int_eq(any->rules[4].rules[0].kind, BG_RULE_ABSENT);
	ck_assert_str_eq(any->rules[4].rules[0].claim, "q");
	ck_assert_int_eq(rule->rules[4].kind, BG_RULE_ANY);

	ck_assert_uint_eq(all->n_locations, 4);
	ck_assert_str_eq(all->locations[0].path, "/api");
	ck_assert(!all->locations[0].says_auth);
	ck_assert_uint_eq(all->locations[0].n_methods, 0);
	ck_assert_uint_eq(all->locations[0].n_policies, 2);
	ck_assert_ptr_eq(all->locations[0].policies[0], &all->policies[1]);
	ck_assert_ptr_eq(all->locations[0].policies[1], &all->policies[0]);
	ck_assert_int_eq(all->locations[0].rule.kind, BG_RULE_ALL);
	ck_assert_uint_eq(all->locations[0].rule.n_rules, 3);
	ck_assert_int_eq(all->locations[0].rule.rules[0].kind, BG_RULE_SCOPE);
	ck_assert(all->locations[1].says_auth);
	ck_assert_int_eq(all->locations[1].auth, BG_AUTH_REQUIRED);
	ck_assert_str_eq(all->locations[1].methods[1], "HEAD");
	ck_assert_int_eq(all->locations[2].auth, BG_AUTH_NONE);
	ck_assert_int_eq(all->locations[3].auth, BG_AUTH_OPTIONAL);
	ck_assert_int_eq(all->locations[3].rule.kind, BG_RULE_ALL);
	bg_gate_free(gate);
	bg_conf_free(conf);
}
END_TEST

static const struct bg_issuer *
issuer_in(const struct bg_gate *gate, const char *name)
{
	for (size_t i = 0; i < gate->n_issuers; i++)
		if (strcmp(gate->issuers[i].name, name) == 0)
			return &gate->issuers[i];
	ck_abort_msg("no issuer %s", name);
	return NULL;
}

START_TEST(a_site_has_issuers_that_speak_for_it_alone)
{
	struct bg_conf *conf = load_good(GOOD "require_typ = 'at+jwt' algorithms = ES256\n"
	    "issuer \"https://idp.example/\" { require_typ = JWT audience = idp }\n"
	    "site API.one.example { domains = { both.example, one.example } issuers = \"https://idp.example/\" audience = site }\n"
	    "site two.example { domains = both.example audience = site }\n",
	    "f:5: remark: site \"API.one.example\" is written with capitals; they were made small\n");
	struct bg_gate *gate = build(conf);
	const struct bg_issuer *issuer;

	ck_assert_uint_eq(gate->n_issuers, 4);
	issuer = issuer_in(gate, "https://tenant.eu.auth0.com/");
	ck_assert_uint_eq(issuer->n_sites, 0);
	ck_assert_str_eq(issuer->require_typ, "at+jwt");
	issuer = issuer_in(gate, "https://both.example/");
	ck_assert_uint_eq(issuer->n_sites, 2);
	ck_assert_str_eq(issuer->sites[0], "api.one.example");
	ck_assert_str_eq(issuer->sites[1], "two.example");
	ck_assert_uint_eq(issuer->n_audiences, 1);
	ck_assert_str_eq(issuer->audiences[0], "site");
	ck_assert_str_eq(issuer->require_typ, "at+jwt");
	ck_assert_ptr_eq(issuer->algs[0], bg_alg_find(BG_SLICE("ES256")));
	issuer = issuer_in(gate, "https://one.example/");
	ck_assert_uint_eq(issuer->n_sites, 1);
	issuer = issuer_in(gate, "https://idp.example/");
	ck_assert_uint_eq(issuer->n_sites, 1);
	ck_assert_str_eq(issuer->audiences[0], "idp");
	ck_assert_str_eq(issuer->require_typ, "JWT");
	bg_gate_free(gate);
	bg_conf_free(conf);
}
END_TEST

/* design.md section 3 */
START_TEST(an_export_takes_the_place_of_the_default_one)
{
	struct bg_conf *conf = load_good(GOOD "user_claim = email export_json = true\n"
	    "export \"/realm_access/roles\" { join = ' ' encoding = base64url }\nexport scope { as = SCOPES }\n", "");
	struct bg_gate *gate = build(conf);
	const struct bg_exports *exports = &gate->exports;

	ck_assert_uint_eq(exports->n_exports, 13);
	for (size_t i = 0; i < 12; i++) {
		bool scope = strcmp(exports->exports[i].claim, "scope") == 0;

		ck_assert_str_eq(exports->exports[i].claim, bg_export_defaults[i]);
		ck_assert(scope == (strcmp(exports->exports[i].name, "SCOPES") == 0));
		ck_assert(scope || strncmp(exports->exports[i].name, "CLAIM_", 6) == 0);
	}
	ck_assert_str_eq(exports->exports[12].claim, "/realm_access/roles");
	ck_assert_str_eq(exports->exports[12].name, "CLAIM_ROLES");
	ck_assert_str_eq(exports->exports[12].join, " ");
	ck_assert_int_eq(exports->exports[12].encoding, BG_ENCODING_BASE64URL);
	ck_assert_str_eq(exports->user_claim, "email");
	ck_assert(exports->json);
	bg_gate_free(gate);
	bg_conf_free(conf);

	conf = load_good(GOOD "export_defaults = false\nexport iss { as = CLAIM_SUB }\n", "");
	gate = build(conf);
	ck_assert_uint_eq(gate->exports.n_exports, 1);
	ck_assert_str_eq(gate->exports.exports[0].name, "CLAIM_SUB");
	ck_assert(!gate->exports.json);
	bg_gate_free(gate);
	bg_conf_free(conf);
}
END_TEST

START_TEST(as_many_exports_as_an_answer_can_hold_are_taken)
{
	char text[8192] = GOOD;
	struct bg_conf *conf;

	for (size_t i = 0; i < 64 - 12; i++)	/* one more is tests/conf/export-too-many */
		bg_format(text + strlen(text), sizeof(text) - strlen(text), "export \"c%zu\" { }\n", i);
	conf = load_good(text, "");
	ck_assert_uint_eq(conf->n_exports, 64);
	bg_conf_free(conf);
}
END_TEST

/* requirements/sdk-parity.md section 7.2 */
static const struct { const char *text; bool auth0; int missing; int64_t leeway; int proof; } compats[] = {
	{ "",                                                    false, 401, 30, 400 },
	{ "compat = none\n",                                     false, 401, 30, 400 },
	{ "missing_status = 400\n",                              false, 400, 30, 400 },
	{ "compat = auth0\n",                                    true,  400, 0, 400 },
	{ "compat = auth0\nmissing_status = 401\n",              true,  401, 0, 400 },
	{ "leeway = 30s\ncompat = \"auth0\"\n",                  true,  400, 30, 400 },
	{ "compat = auth0\ndpop_error_status = 401\n",           true,  400, 0, 401 },
};

START_TEST(compat_changes_what_was_not_said_and_no_more)
{
	char text[256];
	struct bg_conf *conf;
	struct bg_gate *gate;

	bg_format(text, sizeof(text), GOOD "%s", compats[_i].text);
	conf = load_good(text, "");
	gate = build(conf);
	ck_assert_msg(gate->answers.auth0 == compats[_i].auth0, "%s", compats[_i].text);
	ck_assert_int_eq(gate->answers.missing_status, compats[_i].missing);
	ck_assert_int_eq(gate->leeway, compats[_i].leeway);
	ck_assert_int_eq(gate->answers.dpop_error_status, compats[_i].proof);
	ck_assert(!gate->policies.preflight);
	bg_gate_free(gate);
	bg_conf_free(conf);
}
END_TEST

START_TEST(preflights_pass_only_where_it_was_said)
{
	struct bg_conf *conf = load_good(GOOD "preflight = true\n", "");
	struct bg_gate *gate = build(conf);

	ck_assert(gate->policies.preflight);
	bg_gate_free(gate);
	bg_conf_free(conf);
}
END_TEST

/* requirements/sdk-parity.md section 7.1: all that the two names of the SDK can say, and dpop itself. */
static const struct { const char *text; enum bg_dpop_mode mode; } modes[] = {
	{ "",                                              BG_DPOP_ALLOWED },
	{ "dpop = allowed\n",                              BG_DPOP_ALLOWED },
	{ "dpop = required\n",                             BG_DPOP_REQUIRED },
	{ "dpop = disabled\n",                             BG_DPOP_DISABLED },
	{ "dpop_enabled = true\n",                         BG_DPOP_ALLOWED },
	{ "dpop_enabled = false\n",                        BG_DPOP_DISABLED },
	{ "dpop_required = true\n",                        BG_DPOP_REQUIRED },
	{ "dpop_required = false\n",                       BG_DPOP_ALLOWED },
	{ "dpop_enabled = true dpop_required = true\n",    BG_DPOP_REQUIRED },
	{ "dpop_enabled = true dpop_required = false\n",   BG_DPOP_ALLOWED },
	{ "dpop_enabled = false dpop_required = false\n",  BG_DPOP_DISABLED },
	/* the eighth is tests/conf/dpop-required-but-not-enabled; beside dpop: tests/conf/dpop-beside-... */
};

START_TEST(dpop_is_said_in_our_words_or_the_sdks)
{
	char text[256];
	struct bg_conf *conf;
	struct bg_gate *gate;

	bg_format(text, sizeof(text), GOOD "%s", modes[_i].text);
	conf = load_good(text, "");
	gate = build(conf);
	ck_assert_msg(conf->dpop == modes[_i].mode && gate->dpop.mode == modes[_i].mode, "%s", modes[_i].text);
	ck_assert_msg((gate->dpop.replay == NULL) == (modes[_i].mode == BG_DPOP_DISABLED), "%s", modes[_i].text);
	bg_gate_free(gate);
	bg_conf_free(conf);
}
END_TEST

START_TEST(a_gate_knows_what_is_asked_of_proofs)
{
	static const char key[] = "0123456789abcdef0123456789abcdef";
	char text[9000];
	struct bg_conf *conf;
	struct bg_gate *gate;

	write_file("key", key);
	ck_assert_int_eq(chmod("key", 0640), 0);
	bg_format(text, sizeof(text), GOOD "dpop_algorithms = { PS256, EdDSA } dpop_iat_offset = 2m dpop_iat_leeway = 5s\n"
	    "dpop_error_status = 401 dpop_nonce = required dpop_nonce_key_file = '%s/key' dpop_nonce_window = 1h\n"
	    "public_url = \"https://api.example/v1//\" trusted_proxies = { unix, 10.0.0.0/8, 127.0.0.1 }\n"
	    "replay = 'lmdb:%s/replay'\n", dir, dir);
	conf = load_good(text, "");
	gate = build(conf);
	ck_assert_int_eq(gate->answers.dpop_error_status, 401);
	ck_assert_uint_eq(gate->dpop.n_algs, 2);
	ck_assert_ptr_eq(gate->dpop.algs[0], bg_alg_find(BG_SLICE("PS256")));
	ck_assert_ptr_eq(gate->dpop.algs[1], bg_alg_find(BG_SLICE("EdDSA")));
	ck_assert_int_eq(gate->dpop.iat_offset, 120);
	ck_assert_int_eq(gate->dpop.iat_leeway, 5);
	ck_assert_uint_eq(gate->dpop.nonces.key_len, strlen(key));
	ck_assert_mem_eq(gate->dpop.nonces.key, key, strlen(key));
	ck_assert_int_eq(gate->dpop.nonces.window, 3600);
	ck_assert_str_eq(gate->dpop.public.url, "https://api.example/v1");
	ck_assert(gate->dpop.public.proxies.unix_socket && !gate->dpop.public.proxies.all);
	ck_assert_uint_eq(gate->dpop.public.proxies.n_networks, 2);
	ck_assert(!gate->dpop.replay_fail_open);
	ck_assert_ptr_nonnull(gate->dpop.replay);
	ck_assert_msg(access("replay", F_OK) != 0, "the store was made before it was opened");
	bg_gate_free(gate);

	/* nothing of this may be left out, whoever made the configuration */
	{
		static const struct bg_fetcher fetcher = { never };
		struct bg_error err = { BG_R_OK, "" };
		size_t n = conf->n_dpop_algorithms, len = conf->nonce_key_len;

		conf->n_dpop_algorithms = 0;
		ck_reason(bg_conf_build(conf, &fetcher, &gate, &err), err, BG_R_INTERNAL, "no algorithm");
		ck_assert_str_eq(err.detail, "dpop has no algorithm");
		conf->n_dpop_algorithms = n;
		bg_error_clear(&err);
		conf->nonce_key_len = 31;
		ck_reason(bg_conf_build(conf, &fetcher, &gate, &err), err, BG_R_INTERNAL, "no key");
		ck_assert_str_eq(err.detail, "dpop_nonce has no key");
		conf->nonce_key_len = len;
	}
	bg_conf_free(conf);

	conf = load_good(GOOD, "");
	gate = build(conf);
	ck_assert_int_eq(gate->answers.dpop_error_status, 400);
	ck_assert_ptr_null(gate->dpop.nonces.key);
	ck_assert_ptr_null(gate->dpop.public.url);
	ck_assert(!gate->dpop.public.proxies.unix_socket && !gate->dpop.public.proxies.all);
	ck_assert_uint_eq(gate->dpop.public.proxies.n_networks, 0);
	bg_gate_free(gate);
	bg_conf_free(conf);

	if (!bg_replay_has_redis())
		return;
	conf = load_good(GOOD "trust_proxy = true replay_on_error = allow replay = \"redis://127.0.0.1:1\"\n",
	    "f:3: remark: trust_proxy lets every client that reaches the server itself choose the URL its DPoP proof is held to; "
	    "trusted_proxies names those that may say it\n"
	    "f:3: remark: replay_on_error \"allow\" lets a DPoP proof be used again while the store cannot answer\n");
	gate = build(conf);
	ck_assert(gate->dpop.public.proxies.all && gate->dpop.replay_fail_open);
	ck_assert_ptr_nonnull(gate->dpop.replay);
	bg_gate_free(gate);
	bg_conf_free(conf);
}
END_TEST

static const struct { const char *text; bool redis, tls; const char *path, *host, *user; int port, database; } stores[] = {
	{ "lmdb:/var/lib/x y",                   false, false, "/var/lib/x y",    NULL,          NULL,   0,     0 },
	{ "redis://cache.example",               true,  false, NULL,              "cache.example", NULL, 6379,  0 },
	{ "redis://cache.example/",              true,  false, NULL,              "cache.example", NULL, 6379,  0 },
	{ "redis://cache_1:1/0",                 true,  false, NULL,              "cache_1",     NULL,   1,     0 },
	{ "rediss://u.s-e_r+1@[2001:db8::1]:65535/65535", true, true, NULL,       "2001:db8::1", "u.s-e_r+1", 65535, 65535 },
	{ "rediss://[::1]/07",                   true,  true,  NULL,              "::1",         NULL,   6379,  7 },
	{ "redis://10.0.0.1:7000",               true,  false, NULL,              "10.0.0.1",    NULL,   7000,  0 },
	{ "redis+unix:/run/redis.sock",          true,  false, "/run/redis.sock", NULL,          NULL,   0,     0 },
};

/* What is no store is in tests/conf/replay-... */
START_TEST(the_address_of_a_store_is_taken_apart)
{
	struct bg_store store;
	const char *wrong = bg_store_parse(stores[_i].text, &store);

	ck_assert_msg(wrong == NULL, "%s %s", stores[_i].text, wrong);
	ck_assert(store.redis == stores[_i].redis && store.tls == stores[_i].tls);
	ck_assert_pstr_eq(store.path, stores[_i].path);
	ck_assert_pstr_eq(store.host, stores[_i].host);
	ck_assert_pstr_eq(store.user, stores[_i].user);
	ck_assert_int_eq(store.port, stores[_i].port);
	ck_assert_int_eq(store.database, stores[_i].database);
	bg_store_clear(&store);
}
END_TEST

static const struct { const char *text, *want; } public_urls[] = {
	{ "https://API.example.com",         "https://api.example.com" },
	{ "https://api.example.com/",        "https://api.example.com" },
	{ "http://api.example.com:8080/",    "http://api.example.com:8080" },
	{ "https://api.example.com:443/V1/", "https://api.example.com/V1" },
	{ "https://[2001:DB8::1]/a/b",       "https://[2001:db8::1]/a/b" },
};

START_TEST(a_public_url_has_one_form)	/* RFC 3986 section 6.2 */
{
	char text[256];
	struct bg_conf *conf;

	bg_format(text, sizeof(text), GOOD "public_url = \"%s\"\n", public_urls[_i].text);
	conf = load_good(text, "");
	ck_assert_str_eq(conf->public_url, public_urls[_i].want);
	bg_conf_free(conf);
}
END_TEST

/* What was said and means nothing.  Only what differs from the default is worth a line, or nothing printed would be quiet. */
static const struct { const char *text, *report; } remarks[] = {
	{ "dpop = disabled dpop_algorithms = EdDSA dpop_error_status = 401 public_url = \"https://a.example\" trust_proxy = true\n",
	    "f:3: remark: dpop_algorithms has no effect, DPoP is disabled\n"
	    "f:3: remark: dpop_error_status has no effect, DPoP is disabled\n"
	    "f:3: remark: public_url has no effect, DPoP is disabled\n"
	    "f:3: remark: trust_proxy has no effect, DPoP is disabled\n" },
	{ "dpop_enabled = false\ndpop_iat_offset = 1s dpop_iat_leeway = 1s\ndpop_nonce_window = 1m\ntrusted_proxies = 127.0.0.1\n",
	    "f:4: remark: dpop_iat_offset has no effect, DPoP is disabled\n"
	    "f:4: remark: dpop_iat_leeway has no effect, DPoP is disabled\n"
	    "f:5: remark: dpop_nonce_window has no effect, DPoP is disabled\n"
	    "f:6: remark: trusted_proxies has no effect, DPoP is disabled\n" },
	{ "dpop = disabled replay = \"redis://a@h\"\nreplay_password = x\nreplay_timeout = 9s\nreplay_on_error = allow\n",
	    "f:3: remark: replay has no effect, DPoP is disabled\n"
	    "f:4: remark: replay_password has no effect, DPoP is disabled\n"
	    "f:5: remark: replay_timeout has no effect, DPoP is disabled\n"
	    "f:6: remark: replay_on_error has no effect, DPoP is disabled\n" },
	{ "dpop = disabled dpop_algorithms = ES256 dpop_iat_offset = 5m dpop_iat_leeway = 30s dpop_error_status = 400\n"
	    "dpop_nonce = off dpop_nonce_window = 300s trust_proxy = false replay_timeout = 1s replay_max_proofs = 1000000\n"
	    "replay_on_error = deny\n", "" },
	{ "dpop_nonce_window = 1m\n", "f:3: remark: dpop_nonce_window has no effect, dpop_nonce is \"off\"\n" },
	{ "replay = \"redis://h\" replay_max_proofs = 5\n",
	    "f:3: remark: replay_max_proofs has no effect, it is for LMDB alone\n" },
	{ "replay = lmdb:/replay replay_timeout = 5s\n", "f:3: remark: replay_timeout has no effect, it is for Redis alone\n" },
	{ "replay_timeout = 5s\n", "f:3: remark: replay_timeout has no effect, it is for Redis alone\n" },
	{ "replay = \"redis://h\" replay_timeout = 5s\n", "" },
	{ "replay_max_proofs = 5\n", "" },
};

START_TEST(what_has_no_effect_is_remarked)
{
	char text[1024];

	if (is_for_another_build(remarks[_i].text))
		return;
	bg_format(text, sizeof(text), GOOD "%s", remarks[_i].text);
	bg_conf_free(load_good(text, remarks[_i].report));
}
END_TEST

/* SR-64 */
START_TEST(used_proofs_are_remembered_in_the_directory_of_the_installation_or_by_the_process_alone)
{
	struct bg_conf *conf;

	keeps_store_remark = true;
	if (access(STATEDIR, W_OK | X_OK) == 0) {
		conf = load_good(GOOD, "");
		ck_assert_str_eq(conf->replay, "lmdb:" STATEDIR "/replay");
	} else {
		conf = load_good(GOOD, "f" STORE_REMARK);
		ck_assert_ptr_null(conf->replay);
	}
	bg_conf_free(conf);
	/* nothing is remembered where nothing is accepted, or where somebody says where */
	conf = load_good(GOOD "dpop = disabled\n", "");
	ck_assert_ptr_null(conf->replay);
	bg_conf_free(conf);
	conf = load_good(GOOD "replay = lmdb:/replay\n", "");
	ck_assert_str_eq(conf->replay, "lmdb:/replay");
	bg_conf_free(conf);
	keeps_store_remark = false;
}
END_TEST

/* Thirty-two bytes that are no text, the last of them a line feed. */
#define RANDOM_32	"\x00\xff" "abcdefghijklmnopqrstuvwxyz123" "\n"
#define BASE64_44	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const struct { const char *name; struct bg_slice bytes; size_t want; } keys[] = {
	{ "as openssl rand -base64 writes it",  BG_SLICE_INIT(BASE64_44 "\n"),           44 },
	{ "without the line break",             BG_SLICE_INIT(BASE64_44),                44 },
	{ "as another system ends a line",      BG_SLICE_INIT(BASE64_44 "\r\n"),         44 },
	{ "two line breaks",                    BG_SLICE_INIT(BASE64_44 "\n\n"),         45 },
	{ "of two lines",                       BG_SLICE_INIT(BASE64_44 "\n" BASE64_44 "\n"), 89 },
	{ "random bytes are left as they are",  BG_SLICE_INIT(RANDOM_32),                32 },
	{ "32 characters and a line break",     BG_SLICE_INIT("abcdefghijklmnopqrstuvwxyz123456\n"), 32 },
};

START_TEST(a_key_for_nonces_is_the_same_however_its_file_ends)
{
	char text[9000];
	struct bg_conf *conf;

	write_bytes("key", keys[_i].bytes.ptr, keys[_i].bytes.len);
	ck_assert_int_eq(chmod("key", 0600), 0);
	bg_format(text, sizeof(text), GOOD "dpop_nonce = required dpop_nonce_key_file = '%s/key'\n", dir);
	conf = load_good(text, "");
	ck_assert_msg(conf->nonce_key_len == keys[_i].want, "%s: %zu", keys[_i].name, conf->nonce_key_len);
	ck_assert_mem_eq(conf->nonce_key, keys[_i].bytes.ptr, keys[_i].want);
	bg_conf_free(conf);
}
END_TEST

START_TEST(a_key_is_read_again_whenever_the_configuration_is)
{
	char text[9000], *printed;
	struct bg_conf *conf, *again;

	write_file("key", BASE64_44 "\n");
	ck_assert_int_eq(chmod("key", 0600), 0);
	bg_format(text, sizeof(text), GOOD "dpop_nonce = required dpop_nonce_key_file = '%s/key'\n", dir);
	conf = load_good(text, "");
	printed = print(conf);
	ck_assert_ptr_null(strstr(printed, BASE64_44));		/* SR-85 */
	again = load_good(printed, "");
	assert_same(conf, again);
	bg_conf_free(again);
	write_file("key", "another key, of more than thirty-two bytes");
	again = load_good(text, "");
	ck_assert_mem_eq(again->nonce_key, "another key", strlen("another key"));
	free(printed);
	bg_conf_free(conf);
	bg_conf_free(again);
}
END_TEST

/* Who could write there could say whom to believe. */
static const struct { const char *option, *name; mode_t mode; const char *type; } believed[] = {
	{ "jwks_file", "there", 0666, "file" },
	{ "ca_file", "there", 0602, "file" },
	{ "ca_dir", "dir", 01777, "directory" },
};

START_TEST(what_everybody_may_write_to_is_not_believed)
{
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	char text[9000], want[9000];

	write_file("there", "{}");
	ck_assert_int_eq(mkdir("dir", 0755), 0);
	ck_assert_int_eq(chmod(believed[_i].name, believed[_i].mode), 0);
	bg_format(text, sizeof(text), GOOD "%s = '%s/%s'\n", believed[_i].option, dir, believed[_i].name);
	bg_format(want, sizeof(want), "f:3: %s \"%s/%s\" may be written to by everybody, \"chmod o-w\" mends that; the absolute "
	    "path of a %s was expected\n", believed[_i].option, dir, believed[_i].name, believed[_i].type);
	write_file("f", text);
	assert_refused(&from, EX_CONFIG, want);
	ck_assert_int_eq(chmod(believed[_i].name, believed[_i].mode & 01775), 0);
	bg_conf_free(load_good(text, ""));
	ck_assert_int_eq(rmdir("dir"), 0);
}
END_TEST

/* What is wrong with a file that holds a secret; those that need no file of ours are in tests/conf. */
static const struct { const char *option, *bytes; mode_t mode; const char *words; } secret_files[] = {
	{ "dpop_nonce_key_file",  "",                                  0600, "is too small, at least 32 bytes are needed" },
	{ "dpop_nonce_key_file",  "abcdefghijklmnopqrstuvwxyz12345",   0600, "is too small, at least 32 bytes are needed" },
	{ "dpop_nonce_key_file",  "abcdefghijklmnopqrstuvwxyz12345\n", 0600, "is too small, at least 32 bytes are needed" },
	{ "dpop_nonce_key_file",  BASE64_44, 0604, "is open to others than its owner and group, \"chmod o=\" mends that" },
	{ "dpop_nonce_key_file",  BASE64_44, 0602, "is open to others than its owner and group, \"chmod o=\" mends that" },
	{ "dpop_nonce_key_file",  BASE64_44, 0661, "is open to others than its owner and group, \"chmod o=\" mends that" },
	{ "replay_password_file", "",                                  0600, "holds no password" },
	{ "replay_password_file", "\n",                                0600, "holds no password" },
	{ "replay_password_file", "sekrit\nb\n",                       0600, "holds a control character or several lines" },
	{ "replay_password_file", "sekrit\tb",                         0600, "holds a control character or several lines" },
	{ "replay_password_file", "sekrit", 0644, "is open to others than its owner and group, \"chmod o=\" mends that" },
};

START_TEST(a_file_with_a_secret_is_refused_where_it_is_none)	/* SR-85 */
{
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	char text[9000], want[9000];

	if (!bg_replay_has_redis())
		return;
	write_file("secret", secret_files[_i].bytes);
	ck_assert_int_eq(chmod("secret", secret_files[_i].mode), 0);
	bg_format(text, sizeof(text), GOOD "replay = \"redis://h\"\n%s = '%s/secret'\n", secret_files[_i].option, dir);
	bg_format(want, sizeof(want), "f:4: %s \"%s/secret\" %s; the absolute path of a file with %s "
	    "that only its owner and group can read was expected\n", secret_files[_i].option, dir, secret_files[_i].words,
	    secret_files[_i].option[0] == 'd' ? "32 to 4096 bytes" : "a password");
	write_file("f", text);
	assert_refused(&from, EX_CONFIG, want);
}
END_TEST

START_TEST(a_file_with_a_secret_has_bounds_and_an_owner)
{
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	char text[9000], want[9000], bytes[4097];
	const char *expect = "the absolute path of a file with 32 to 4096 bytes that only its owner and group can read "
	    "was expected";

	memset(bytes, '\xaa', sizeof(bytes));
	bg_format(text, sizeof(text), GOOD "dpop_nonce = required dpop_nonce_key_file = '%s/secret'\n", dir);
	write_bytes("secret", bytes, 4096);
	ck_assert_int_eq(chmod("secret", 0400), 0);
	bg_conf_free(load_good(text, ""));
	ck_assert_int_eq(unlink("secret"), 0);
	write_bytes("secret", bytes, 4097);
	ck_assert_int_eq(chmod("secret", 0400), 0);
	bg_format(want, sizeof(want), "f:3: dpop_nonce_key_file \"%s/secret\" is too large, at most 4096 bytes are allowed; %s\n",
	    dir, expect);
	assert_refused(&from, EX_CONFIG, want);
	if (geteuid() != 0)
		return;		/* only root can give a file away */
	ck_assert_int_eq(truncate("secret", 4096), 0);
	ck_assert_int_eq(chown("secret", 65534, 0), 0);
	bg_format(want, sizeof(want), "f:3: dpop_nonce_key_file \"%s/secret\" belongs to another user than this one, and not to "
	    "root; %s\n", dir, expect);
	assert_refused(&from, EX_CONFIG, want);
}
END_TEST

/* The wrapper finds its configuration beside itself, where many may write (design section 8). */
START_TEST(a_guarded_file_is_of_this_user_or_root_and_nobody_elses_to_write)
{
	static const struct { mode_t mode; bool guarded; const char *want; } rows[] = {
		{ 0644, true, "" },
		{ 0400, true, "" },
		{ 0666, false, "" },
		{ 0664, true, "f: may be written to by its group or by others, \"chmod go-w\" mends that\n" },
		{ 0646, true, "f: may be written to by its group or by others, \"chmod go-w\" mends that\n" },
	};
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	struct bg_conf *conf;
	char *report;

	write_file("f", GOOD);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(chmod("f", rows[i].mode), 0);
		from.guarded = rows[i].guarded;
		ck_assert_int_eq(load(&conf, &from, &report), rows[i].want[0] != '\0' ? EX_CONFIG : 0);
		ck_assert_str_eq(report, rows[i].want);
		free(report);
		bg_conf_free(conf);
	}
	if (geteuid() != 0)
		return;		/* only root can give a file away */
	ck_assert_int_eq(chmod("f", 0644), 0);
	ck_assert_int_eq(chown("f", 65534, 0), 0);
	from.guarded = true;
	assert_refused(&from, EX_CONFIG, "f: belongs to another user than this one, and not to root\n");
}
END_TEST

/* SR-85 */
START_TEST(a_password_is_never_printed_and_what_stands_for_it_is_no_password)
{
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	struct bg_conf *conf, *again;
	char *printed, text[9000];

	if (!bg_replay_has_redis())
		return;
	conf = load_good(GOOD "replay = \"redis://user@h\" replay_password = 'se kr\\'it'\n", "");
	printed = print(conf);
	ck_assert_str_eq(conf->replay_password, "se kr'it");
	ck_assert_ptr_null(strstr(printed, "se kr"));
	ck_assert_ptr_nonnull(strstr(printed, "\nreplay_password = \"********\"\n"));
	write_file("f", printed);
	{
		char *report;

		ck_assert_int_eq(load(&again, &from, &report), EX_CONFIG);
		ck_assert_ptr_nonnull(strstr(report, ": replay_password is what is printed instead of a password; "
		    "a password was expected\n"));
		free(report);
	}
	free(printed);
	bg_conf_free(conf);

	/* from a file it reads back */
	write_file("password", "from a file\r\n");
	ck_assert_int_eq(chmod("password", 0640), 0);
	bg_format(text, sizeof(text), GOOD "replay = \"redis://user@h\" replay_password_file = '%s/password'\n", dir);
	conf = load_good(text, "");
	ck_assert_str_eq(conf->replay_password, "from a file");
	printed = print(conf);
	ck_assert_ptr_null(strstr(printed, "from a file"));
	again = load_good(printed, "");
	assert_same(conf, again);
	free(printed);
	bg_conf_free(again);
	bg_conf_free(conf);

	/* and both are one too many */
	bg_format(text, sizeof(text), GOOD "replay = \"redis://h\" replay_password = sekrit\n"
	    "replay_password_file = '%s/password'\n", dir);
	write_file("f", text);
	assert_refused(&from, EX_CONFIG, "f:4: replay_password_file beside replay_password, which stands at f:3; "
	    "one of the two was expected\n");
}
END_TEST

/* Optional libraries: what a build lacks is said, and how to do without it. */
START_TEST(a_build_without_a_store_says_so)
{
	struct bg_conf_sources from = { .file = "f", .environ = no_environ };
	char want[512];

	if (!bg_replay_has_lmdb()) {
		write_file("f", GOOD);
		bg_format(want, sizeof(want), "f: DPoP proofs that were used cannot be remembered, since this program was built "
		    "without LMDB; %sdpop = \"disabled\" was expected\n", bg_replay_has_redis() ? "replay = \"redis://HOST\" or " : "");
		assert_refused(&from, EX_CONFIG, want);
		write_file("f", GOOD "replay = lmdb:/replay\n");
		assert_refused(&from, EX_CONFIG, "f:3: replay is for LMDB, and this program was built without it; " STORES);
	}
	if (!bg_replay_has_redis()) {
		write_file("f", GOOD "replay = \"redis://h\"\n");
		assert_refused(&from, EX_CONFIG, "f:3: replay is for Redis, and this program was built without hiredis; " STORES);
	}
	bg_conf_free(load_good(GOOD "dpop = disabled\n", ""));
}
END_TEST

static int
is_case(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int
main(void)
{
	Suite *suite = suite_create("conf");
	TCase *tc = tcase_create("conf");
	const char *srcdir = getenv("srcdir");
	struct dirent **entries;
	char name[8192];
	int status;

	if (realpath(srcdir != NULL ? srcdir : ".", source_dir) == NULL) {
		perror("srcdir");
		return EXIT_FAILURE;
	}
	bg_format(name, sizeof(name), "%s/tests/conf", source_dir);
	if ((n_cases = scandir(name, &entries, is_case, alphasort)) <= 0 || n_cases > CASES_MAX) {
		fprintf(stderr, "%s: %d cases\n", name, n_cases);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < n_cases; i++) {
		cases[i] = strdup(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);

	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_set_timeout(tc, 60);	/* for sanitizers on a busy machine */
	tcase_add_test(tc, a_build_without_a_store_says_so);
	if (!bg_replay_has_lmdb()) {	/* hardly a configuration of the others is good then */
		suite_add_tcase(suite, tc);
		return bg_test_run(suite);
	}
	tcase_add_loop_test(tc, a_bad_configuration_is_refused_with_file_line_and_what_was_expected, 0, n_cases);
	tcase_add_test(tc, two_variables_are_enough);
	tcase_add_loop_test(tc, an_env_file_is_read_as_applications_write_it, 0, N(env_files));
	tcase_add_test(tc, escapes_in_an_env_file_are_undone);
	tcase_add_test(tc, the_file_wins_over_the_environment_and_that_over_the_env_file);
	tcase_add_test(tc, the_environment_adds_no_issuer_to_a_file_that_names_some);
	tcase_add_test(tc, the_file_may_be_named_by_a_variable_and_the_command_line_wins);
	tcase_add_test(tc, every_option_arrives_where_it_belongs);
	tcase_add_test(tc, an_issuer_block_takes_audience_and_algorithms_from_the_top_but_never_keys);
	tcase_add_loop_test(tc, a_duration_is_a_number_and_a_unit, 0, N(leeways));
	tcase_add_test(tc, what_is_put_right_in_a_domain_is_remarked_with_its_line);
	tcase_add_test(tc, an_issuer_in_a_block_is_not_changed);
	tcase_add_loop_test(tc, what_is_printed_reads_back_as_the_same_configuration, 0, N(round_trips));
	tcase_add_test(tc, what_is_printed_names_files_as_well);
	tcase_add_test(tc, the_defaults_are_printed_in_the_syntax_of_the_file);
	tcase_add_test(tc, what_is_no_text_file_is_refused);
	tcase_add_test(tc, a_file_of_exactly_the_largest_size_is_read);
	tcase_add_test(tc, a_good_file_is_read_after_a_bad_one);
	tcase_add_test(tc, the_name_of_a_block_may_be_in_a_variable);
	tcase_add_test(tc, a_name_that_is_nearly_one_is_unknown_everywhere);
	tcase_add_test(tc, a_file_cut_anywhere_or_with_any_byte_changed_is_answered_in_order);
	tcase_add_test(tc, the_installed_sample_is_a_configuration);
	tcase_add_test(tc, a_gate_is_built_from_the_configuration);
	tcase_add_test(tc, where_a_daemon_decides_nothing_is_decided_by);
	tcase_add_test(tc, conditions_become_rules_that_add_up);
	tcase_add_test(tc, a_site_has_issuers_that_speak_for_it_alone);
	tcase_add_test(tc, an_export_takes_the_place_of_the_default_one);
	tcase_add_test(tc, as_many_exports_as_an_answer_can_hold_are_taken);
	tcase_add_loop_test(tc, compat_changes_what_was_not_said_and_no_more, 0, N(compats));
	tcase_add_test(tc, preflights_pass_only_where_it_was_said);
	tcase_add_test(tc, there_are_threads_enough);
	tcase_add_loop_test(tc, dpop_is_said_in_our_words_or_the_sdks, 0, N(modes));
	tcase_add_test(tc, a_gate_knows_what_is_asked_of_proofs);
	tcase_add_loop_test(tc, the_address_of_a_store_is_taken_apart, 0, N(stores));
	tcase_add_loop_test(tc, a_public_url_has_one_form, 0, N(public_urls));
	tcase_add_loop_test(tc, what_has_no_effect_is_remarked, 0, N(remarks));
	tcase_add_test(tc, used_proofs_are_remembered_in_the_directory_of_the_installation_or_by_the_process_alone);
	tcase_add_loop_test(tc, a_key_for_nonces_is_the_same_however_its_file_ends, 0, N(keys));
	tcase_add_test(tc, a_key_is_read_again_whenever_the_configuration_is);
	tcase_add_loop_test(tc, what_everybody_may_write_to_is_not_believed, 0, N(believed));
	tcase_add_loop_test(tc, a_file_with_a_secret_is_refused_where_it_is_none, 0, N(secret_files));
	tcase_add_test(tc, a_file_with_a_secret_has_bounds_and_an_owner);
	tcase_add_test(tc, a_guarded_file_is_of_this_user_or_root_and_nobody_elses_to_write);
	tcase_add_test(tc, a_password_is_never_printed_and_what_stands_for_it_is_no_password);
	tcase_add_test(tc, no_gate_is_built_without_audience_algorithm_or_a_way_to_keys);
	suite_add_tcase(suite, tc);
	status = bg_test_run(suite);
	for (int i = 0; i < n_cases; i++)
		free(cases[i]);
	return status;
}
