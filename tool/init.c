#include "config.h"

#include <stdlib.h>
#include <sysexits.h>

#include "core/url.h"
#include "tool/auth0.h"
#include "tool/template.h"
#include "tool/tool.h"

#define TEXT_MAX	(256 * 1024)	/* bytes of a configuration; the longest example has under 10 KiB */
#define VALUE_MAX	512		/* bytes of one value on the command line */

/* What is filled in, in the order of the table below it. */
enum {
	W_PORT, W_PATH, W_SCOPE, W_DOCROOT, W_SCRIPT, W_BACKEND, W_TMPDIR, W_ERRORLOG, W_PIDFILE, W_MODULES, W_PARAMS, W_USER,
	W_GROUP, W_DAEMON, W_FILES, W_WRAPPER, W_SCRIPTS, W_CACHE, W_DOMAIN, W_AUDIENCE, W_CONFIG, W_ENV_FILE, W_LISTEN, W_NAME, N_WORDS
};

/*
 * What a value may be made of beside letters and digits, so that it means nothing else to the server whose configuration it
 * goes into: neither quotes nor white space, nor anything that ends a directive or stands for something else.
 */
struct kind {
	const char *marks;
	const char *first;	/* what it begins with */
	const char *what;	/* in words */
};
static const struct kind port = { "", "", "a number from 1 to 65535" };
static const struct kind file = { "._/+:@~,=-", "/", "an absolute path of letters, digits and ._/+:@~,=-" };
static const struct kind path = { "_-/", "/", "a path such as /api, of letters, digits, _ and -" };
static const struct kind scope = { "._:/-", "", "one scope of letters, digits and ._:/-" };
static const struct kind address = { ".:[]_-", "", "HOST:PORT" };
static const struct kind name = { "_-", "", "a name of letters, digits, _ and -" };
static const struct kind url = { "-._~:/?#[]@!$&()*+,;=", "", "made of the characters of a URL" };
static const struct kind listener = { "._/+:@~,=-[]", "", "unix:/PATH or HOST:PORT" };
static const struct kind words = { " ._:/-", "", "made of letters, digits, spaces and ._:/-" };

static const struct word {
	const char *option;		/* as it is called on the command line */
	const struct kind *kind;
	const char *from;		/* what it stands for in an example; NULL: it is used otherwise */
	const char *preset;		/* where nothing was said; NULL: the table of things says */
} word_table[N_WORDS] = {
	[W_PORT]     = { "--port",      &port,     "@PORT@",        "8080" },
	/* In the examples these two have real values, so that they read well. */
	[W_PATH]     = { "--path",      &path,     "/api",          "/api" },
	[W_SCOPE]    = { "--scope",     &scope,    "read:messages", "read:messages" },
	[W_DOCROOT]  = { "--docroot",   &file,     "@DOCROOT@",     "/var/www/html" },
	[W_SCRIPT]   = { "--script",    &file,     "@SCRIPT@",      EXAMPLESDIR "/cgi/show-claims" },
	[W_BACKEND]  = { "--backend",   &address,  "@BACKEND@",     "127.0.0.1:8000" },
	[W_TMPDIR]   = { "--tmp-dir",   &file,     "@TMPDIR@",      NULL },
	[W_ERRORLOG] = { "--error-log", &file,     "@ERRORLOG@",    NULL },
	[W_PIDFILE]  = { "--pid-file",  &file,     "@PIDFILE@",     NULL },
	[W_MODULES]  = { "--modules",   &file,     "@MODULES@",     "/usr/lib/apache2/modules" },
	[W_PARAMS]   = { "--params",    &file,     "@PARAMS@",      EXAMPLESDIR "/nginx/bearergate_params" },
	[W_USER]     = { "--user",      &name,     "@USER@",        "www-data" },
	[W_GROUP]    = { "--group",     &name,     "@GROUP@",       "www-data" },
	[W_DAEMON]   = { "--daemon",    &file,     "@DAEMON@",      SBINDIR "/bearergate-fcgi" },
	[W_FILES]    = { "--files",     &file,     "@FILES@",       EXAMPLESDIR "/apache-fcgid" },
	[W_WRAPPER]  = { "--wrapper",   &file,     "@WRAPPER@",     LIBEXECDIR "/bearergate-cgi" },
	[W_SCRIPTS]  = { "--script-root", &file,   "@SCRIPTS@",     "/usr/lib/cgi-bin" },
	[W_CACHE]    = { "--cache-dir", &file,     "@CACHE@",       CACHEDIR },
	[W_DOMAIN]   = { "--domain",    &url,      "@DOMAIN@",      NULL },
	[W_AUDIENCE] = { "--audience",  &url,      "@AUDIENCE@",    NULL },
	[W_CONFIG]   = { "--config",    &file,     NULL,            NULL },
	[W_ENV_FILE] = { "--env-file",  &file,     NULL,            NULL },
	[W_LISTEN]   = { "--listen",    &listener, NULL,            NULL },
	[W_NAME]     = { "--name",      &words,    NULL,            "bearergate" },
};

/* Where such a server can reach the daemon: on which kind of socket; or it starts one itself, or does without. */
enum listens { NOWHERE, UNIX, TCP, EITHER, STARTED, WRAPPED };

/* What can be written.  Presets are those of Debian. */
static const struct thing {
	const char *name;
	const char *example;
	enum listens listens;
	const char *unit;		/* of systemd, as it is called there; NULL: it is no unit */
	const char *preset[N_WORDS];
} things[] = {
	{ "apache", "apache/httpd.conf", TCP, NULL, { [W_LISTEN] = "127.0.0.1:9009", [W_TMPDIR] = "/run/apache2",
	    [W_ERRORLOG] = "/var/log/apache2/error.log", [W_PIDFILE] = "/run/apache2/apache2.pid" } },
	{ "apache-fcgid", "apache-fcgid/httpd.conf", STARTED, NULL, { [W_TMPDIR] = "/run/apache2",
	    [W_ERRORLOG] = "/var/log/apache2/error.log", [W_PIDFILE] = "/run/apache2/apache2.pid" } },
	{ "caddy", "caddy/Caddyfile", UNIX, NULL, { [W_LISTEN] = "unix:/run/bearergate/authorizer.sock",
	    [W_TMPDIR] = "/var/lib/caddy", [W_ERRORLOG] = "/var/log/caddy/caddy.log" } },
	{ "cgi", "cgi/bearergate.conf", NOWHERE, NULL, { 0 } },
	{ "cgi-apache", "cgi/action.conf", WRAPPED, NULL, { [W_TMPDIR] = "/run/apache2",
	    [W_ERRORLOG] = "/var/log/apache2/error.log", [W_PIDFILE] = "/run/apache2/apache2.pid" } },
	{ "cgi-lighttpd", "cgi/lighttpd.conf", WRAPPED, NULL, { [W_TMPDIR] = "/var/cache/lighttpd/uploads",
	    [W_ERRORLOG] = "/var/log/lighttpd/error.log", [W_PIDFILE] = "/run/lighttpd.pid" } },
	{ "cgi-nginx", "cgi/nginx.conf", WRAPPED, NULL, { [W_LISTEN] = "unix:/run/fcgiwrap.socket", [W_TMPDIR] = "/var/lib/nginx",
	    [W_ERRORLOG] = "/var/log/nginx/error.log", [W_PIDFILE] = "/run/nginx.pid" } },
	{ "lighttpd", "lighttpd/lighttpd.conf", UNIX, NULL, { [W_LISTEN] = "unix:/run/bearergate/authorizer.sock",
	    [W_TMPDIR] = "/var/cache/lighttpd/uploads", [W_ERRORLOG] = "/var/log/lighttpd/error.log",
	    [W_PIDFILE] = "/run/lighttpd.pid" } },
	{ "nginx", "nginx/nginx.conf", UNIX, NULL, { [W_LISTEN] = "unix:/run/bearergate/authorizer.sock",
	    [W_TMPDIR] = "/var/lib/nginx", [W_ERRORLOG] = "/var/log/nginx/error.log", [W_PIDFILE] = "/run/nginx.pid" } },
	{ "nginx-params", "nginx/bearergate_params", NOWHERE, NULL, { 0 } },
	{ "systemd", "systemd/bearergate-fcgi.service", EITHER, "bearergate-fcgi.service",
	    { [W_LISTEN] = "unix:/run/bearergate/authorizer.sock" } },
	{ "systemd-socket", "systemd/bearergate-fcgi.socket", EITHER, "bearergate-fcgi.socket",
	    { [W_LISTEN] = "unix:/run/bearergate/authorizer.sock" } },
};

#define N_THINGS	(sizeof(things) / sizeof(things[0]))

static const char usage[] =
    "usage: bearergate init apache|apache-fcgid|caddy|lighttpd|nginx|nginx-params|systemd|systemd-socket [-f] [-o FILE] [options]\n"
    "       bearergate init cgi|cgi-apache|cgi-lighttpd|cgi-nginx [-f] [-o FILE] [options]\n"
    "       bearergate init --auth0 --domain DOMAIN --audience AUDIENCE [-f] [-o FILE] [--name NAME] [--yes]\n\n"
    "A complete configuration for this installation, as it is tested: one protected path, a public one and one that\n"
    "demands a scope.  nginx-params is what nginx includes; systemd is a service for the daemon, systemd-socket\n"
    "a socket that it hands over; apache-fcgid has Apache start the daemon.  cgi is the configuration of bearergate-cgi, which\n"
    "guards CGI programs without one, behind these servers.\n\n"
    "  -o, --output FILE   where it goes (default: standard output)\n  -f, --force         replace a file that is there\n"
    "  --path PATH         what is protected (default /api)\n"
    "  --scope SCOPE       what PATH/private-scoped demands (default read:messages)\n"
    "  -l, --listen ADDRESS   where the daemon listens: unix:/PATH, or HOST:PORT for apache\n"
    "                      (default unix:/run/bearergate/authorizer.sock, 127.0.0.1:9009); cgi-nginx: where fcgiwrap does\n"
    "  --domain DOMAIN, --audience AUDIENCE   whose tokens, and for which API; or instead of them\n"
    "  -c, --config FILE   the daemon's configuration (default " SYSCONFDIR "/bearergate.conf)\n"
    "  --env-file FILE     or a file of variables, as --auth0 makes it\n\nOf the server, where its own is to be written anew:\n"
    "  --port PORT         on the loopback address (default 8080)\n  --docroot DIR       its documents (default /var/www/html)\n"
    "  --script FILE       apache, lighttpd: the CGI program to protect (default: one that shows claims)\n"
    "  --script-root DIR   cgi, cgi-nginx: where the programs are that may be run (default /usr/lib/cgi-bin)\n"
    "  --cache-dir DIR     cgi: where keys are kept (default " CACHEDIR ")\n"
    "  --wrapper FILE      cgi-: bearergate-cgi, or a copy beside its configuration\n"
    "  --backend HOST:PORT nginx, caddy: the program to protect (default 127.0.0.1:8000)\n"
    "  --params FILE       nginx: where nginx-params was written\n"
    "  --daemon FILE       apache-fcgid, systemd: what is started (default " SBINDIR "/bearergate-fcgi)\n"
    "  --files DIR         apache-fcgid: what it needs beside the configuration (default " EXAMPLESDIR "/apache-fcgid)\n"
    "  --modules DIR       apache: its modules (default /usr/lib/apache2/modules)\n"
    "  --tmp-dir DIR, --error-log FILE, --pid-file FILE   (default: as in Debian)\n"
    "  --user USER, --group GROUP   systemd: who the daemon is (default www-data)\n\n"
    "--auth0 registers an API at Auth0 with the program auth0, and writes an --env-file for it:\n"
    "  --name NAME         how it is called there (default bearergate)\n  --yes               without asking\n";

enum { OPT_AUTH0 = 256, OPT_YES, OPT_WORD };	/* the last and those behind it: words of word_table */

static const struct option longopts[] = {
	{ "audience",  required_argument, NULL, OPT_WORD + W_AUDIENCE },
	{ "auth0",     no_argument,       NULL, OPT_AUTH0 },
	{ "backend",   required_argument, NULL, OPT_WORD + W_BACKEND },
	{ "cache-dir", required_argument, NULL, OPT_WORD + W_CACHE },
	{ "config",    required_argument, NULL, 'c' },
	{ "daemon",    required_argument, NULL, OPT_WORD + W_DAEMON },
	{ "docroot",   required_argument, NULL, OPT_WORD + W_DOCROOT },
	{ "domain",    required_argument, NULL, OPT_WORD + W_DOMAIN },
	{ "env-file",  required_argument, NULL, OPT_WORD + W_ENV_FILE },
	{ "error-log", required_argument, NULL, OPT_WORD + W_ERRORLOG },
	{ "files",     required_argument, NULL, OPT_WORD + W_FILES },
	{ "force",     no_argument,       NULL, 'f' },
	{ "group",     required_argument, NULL, OPT_WORD + W_GROUP },
	{ "help",      no_argument,       NULL, 'h' },
	{ "listen",    required_argument, NULL, 'l' },
	{ "modules",   required_argument, NULL, OPT_WORD + W_MODULES },
	{ "name",      required_argument, NULL, OPT_WORD + W_NAME },
	{ "output",    required_argument, NULL, 'o' },
	{ "params",    required_argument, NULL, OPT_WORD + W_PARAMS },
	{ "path",      required_argument, NULL, OPT_WORD + W_PATH },
	{ "pid-file",  required_argument, NULL, OPT_WORD + W_PIDFILE },
	{ "port",      required_argument, NULL, OPT_WORD + W_PORT },
	{ "scope",     required_argument, NULL, OPT_WORD + W_SCOPE },
	{ "script",    required_argument, NULL, OPT_WORD + W_SCRIPT },
	{ "script-root", required_argument, NULL, OPT_WORD + W_SCRIPTS },
	{ "tmp-dir",   required_argument, NULL, OPT_WORD + W_TMPDIR },
	{ "user",      required_argument, NULL, OPT_WORD + W_USER },
	{ "wrapper",   required_argument, NULL, OPT_WORD + W_WRAPPER },
	{ "yes",       no_argument,       NULL, OPT_YES },
	{ NULL, 0, NULL, 0 }
};

struct order {
	const struct thing *thing;
	const char *said[N_WORDS];	/* on the command line; NULL: nothing */
	const char *output;		/* NULL: standard output */
	bool        force;
	bool        auth0;
	bool        yes;
};

static bool
is_made_of(const char *text, const char *marks)
{
	for (; *text != '\0'; text++)
		if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') ||
		    strchr(marks, *text) != NULL))
			return false;
	return true;
}

static bool
is_port(const char *text)
{
	long number = strlen(text) <= 5 && is_made_of(text, "") ? strtol(text, NULL, 10) : 0;

	return strspn(text, "0123456789") == strlen(text) && number >= 1 && number <= 65535;
}

static int
take(struct order *order, int word, const char *text)
{
	const struct kind *kind = word_table[word].kind;
	const char *colon = strrchr(text, ':');
	size_t len = strlen(text), first = strlen(kind->first);
	bool good = len > first && len <= VALUE_MAX && strncmp(text, kind->first, first) == 0 && is_made_of(text, kind->marks);

	if (kind == &port)
		good = is_port(text);
	else if (kind == &path)
		good = good && text[len - 1] != '/' && strstr(text, "//") == NULL;
	else if (kind == &address || (kind == &listener && strncmp(text, "unix:/", 6) != 0))
		good = good && colon != NULL && colon > text && is_port(colon + 1);
	if (!good)
		return bg_verb_usage("%s: %s was expected", word_table[word].option, kind->what);
	order->said[word] = text;
	return EX_OK;
}

/* What stands for a word: said, or preset. */
static const char *
value(const struct order *order, int word)
{
	if (order->said[word] != NULL)
		return order->said[word];
	return word_table[word].preset != NULL ? word_table[word].preset : order->thing != NULL ? order->thing->preset[word] : NULL;
}

/* Whose tokens: one way of saying so, and not half of it. */
static int
check_trust(const struct order *order)
{
	const char *const *said = order->said;
	const char *wrong, *remark;
	struct bg_buf issuer;
	int ways = (said[W_DOMAIN] != NULL) + (said[W_CONFIG] != NULL) + (said[W_ENV_FILE] != NULL);

	if ((said[W_DOMAIN] == NULL) != (said[W_AUDIENCE] == NULL))
		return bg_verb_usage("--domain and --audience go together");
	if (ways > 1)
		return bg_verb_usage("--domain, --config and --env-file are three ways of saying whose tokens are accepted");
	if (said[W_DOMAIN] == NULL)
		return EX_OK;
	bg_buf_init(&issuer, VALUE_MAX);
	wrong = bg_url_issuer_of_domain(bg_slice_str(said[W_DOMAIN]), &issuer, &remark);
	bg_buf_clear(&issuer);
	return wrong != NULL ? bg_verb_usage("--domain %s", wrong) : EX_OK;
}

static int
check_listen(const struct order *order)
{
	const char *listen = value(order, W_LISTEN);
	enum listens where = listen != NULL && strncmp(listen, "unix:", 5) == 0 ? UNIX : TCP;
	enum listens wanted = order->thing->listens;

	if (strcmp(order->thing->name, "cgi") == 0 && order->said[W_DOMAIN] == NULL)
		return bg_verb_usage("init cgi needs --domain and --audience: whose tokens are accepted, and for which API");
	if (wanted == WRAPPED && order->thing->preset[W_LISTEN] != NULL)
		wanted = UNIX;		/* of fcgiwrap */
	if (order->said[W_LISTEN] != NULL && (wanted == STARTED || wanted == WRAPPED))
		return bg_verb_usage("--listen: %s asks at no socket", order->thing->name);
	if (wanted != UNIX && wanted != TCP)
		return EX_OK;
	if (wanted == where)
		return EX_OK;
	if (where == UNIX)
		return bg_verb_usage("--listen: mod_authnz_fcgi of %s knows no unix sockets; HOST:PORT was expected",
		    order->thing->name);
	return bg_verb_usage("--listen: unix:/PATH was expected for %s", order->thing->name);
}

/* The options by which the daemon is started; where it is told by the environment, none say whose tokens. */
static void
daemon_options(const struct order *order, char *out, size_t size)
{
	const char *config = order->said[W_CONFIG], *env_file = order->said[W_ENV_FILE], *listen = value(order, W_LISTEN);
	const char *option = "-c ", *from = config != NULL ? config : SYSCONFDIR "/bearergate.conf";

	if (order->said[W_DOMAIN] != NULL)
		option = from = "";
	else if (env_file != NULL) {
		option = "--env-file ";
		from = env_file;
	}
	bg_format(out, size, "%s%s%s%s%s", option, from, from[0] != '\0' && listen != NULL ? " " : "", listen != NULL ? "-l " : "",
	    listen != NULL ? listen : "");
}

/* How the daemon's environment is told whose tokens, where it is. */
static void
environment_of(const struct order *order, char *out, size_t size)
{
	const char *domain = order->said[W_DOMAIN], *audience = order->said[W_AUDIENCE];

	out[0] = '\0';
	if (domain == NULL)
		return;
	if (order->thing->listens == STARTED)
		bg_format(out, size, "FcgidInitialEnv AUTH0_DOMAIN \"%s\"\nFcgidInitialEnv AUTH0_AUDIENCE \"%s\"", domain, audience);
	else
		bg_format(out, size, "Environment=\"AUTH0_DOMAIN=%s\"\nEnvironment=\"AUTH0_AUDIENCE=%s\"", domain, audience);
}

/* What stands above it: where it comes from, and what it needs beside it. */
static void
put_head(const struct order *order, struct bg_buf *out)
{
	char options[2 * VALUE_MAX + 64];

	bg_buf_put_format(out, "# Made by \"bearergate init %s\", bearergate %s, from the example it is tested with.\n",
	    order->thing->name, PACKAGE_VERSION);
	if (order->thing->unit != NULL) {
		bg_buf_put_format(out, "# It belongs in /etc/systemd/system/%s; then \"systemctl daemon-reload\" and\n"
		    "# \"systemctl enable --now %s\".\n\n", order->thing->unit, order->thing->unit);
		return;
	}
	if (order->thing->listens == STARTED || order->thing->listens == WRAPPED) {
		bg_buf_put_str(out, order->thing->listens == STARTED ?
		    "# Apache starts the daemon itself.  DPoP needs a replay store in the daemon's configuration.  " :
		    "# No daemon is needed; \"bearergate init cgi\" makes bearergate.conf, which belongs beside the wrapper.  ");
		bg_buf_put_str(out, "\"bearergate\n# doctor URL\" sees whether all is as it should be.\n\n");
		return;
	}
	daemon_options(order, options, sizeof(options));
	bg_buf_put_str(out, "# The daemon that it asks (\"bearergate init systemd\" makes a service of it) is started by\n#\n#  "
	    "   ");
	if (order->said[W_DOMAIN] != NULL)
		bg_buf_put_format(out, "AUTH0_DOMAIN='%s' AUTH0_AUDIENCE='%s' ", order->said[W_DOMAIN], order->said[W_AUDIENCE]);
	bg_buf_put_format(out, "%s %s\n#\n", value(order, W_DAEMON), options);
	if (order->thing->listens == UNIX)
		bg_buf_put_str(out, "# as a user whose socket the web server may use.  ");
	else
		bg_buf_put_str(out, "# ");
	bg_buf_put_str(out, "\"bearergate doctor URL\" then sees whether all is as it should be.\n\n");
}

/* Directories that an installation elsewhere than in /usr takes by default, which the service's own do not cover. */
static const char *
other_directories(void)
{
	if (strcmp(STATEDIR, "/var/lib/bearergate") == 0 && strcmp(CACHEDIR, "/var/cache/bearergate") == 0)
		return "";
	return "ReadWritePaths=-" CACHEDIR " -" STATEDIR;
}

static int
fill(const struct order *order, struct bg_buf *out)
{
	const char *listen = value(order, W_LISTEN);
	char options[2 * VALUE_MAX + 64], environment[2 * VALUE_MAX + 64];
	struct bg_slice text = bg_template_find(order->thing->example);
	struct bg_template_word fill_in[N_WORDS + 6];
	struct bg_error err = { 0 };
	size_t n = 0;

	for (int i = 0; i < N_WORDS; i++)
		if (word_table[i].from != NULL && value(order, i) != NULL)
			fill_in[n++] = (struct bg_template_word){ bg_slice_str(word_table[i].from), bg_slice_str(value(order, i)) };
	if (listen != NULL) {
		fill_in[n++] = (struct bg_template_word){ BG_SLICE("@AUTHORIZER@"), bg_slice_str(listen) };
		fill_in[n++] = (struct bg_template_word){ BG_SLICE("@SOCKET@"),
		    bg_slice_str(strncmp(listen, "unix:", 5) == 0 ? listen + 5 : listen) };
	}
	if (order->thing->listens != NOWHERE) {
		daemon_options(order, options, sizeof(options));
		environment_of(order, environment, sizeof(environment));
		fill_in[n++] = (struct bg_template_word){ BG_SLICE("@ARGUMENTS@"), bg_slice_str(options) };
		fill_in[n++] = (struct bg_template_word){ BG_SLICE("@ENVIRONMENT@"), bg_slice_str(environment) };
		fill_in[n++] = (struct bg_template_word){ BG_SLICE("@DIRECTORIES@"), bg_slice_str(other_directories()) };
		put_head(order, out);
		text = bg_template_body(text);
	}
	if (text.ptr == NULL || bg_template_fill(text, fill_in, n, out, &err) != 0) {
		bg_verb_say("%s: %s", order->thing->example, text.ptr != NULL ? err.detail : "there is no such example");
		return EX_SOFTWARE;
	}
	return EX_OK;
}

static int
write_thing(const struct order *order)
{
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf out;
	int rc;

	bg_buf_init(&out, TEXT_MAX);
	if ((rc = fill(order, &out)) == EX_OK) {
		if (bg_buf_finish(&out, &text, &err) != 0) {
			bg_verb_say("%s", err.detail);
			rc = EX_OSERR;
		} else
			rc = order->output == NULL ? bg_verb_print(text) : bg_verb_write(order->output, text, 0644, order->force);
	}
	bg_buf_clear(&out);
	return rc;
}

static int
run(int argc, char **argv, struct order *order)
{
	const char *what = optind < argc ? argv[optind] : NULL;
	int rc;

	if (order->auth0 && what != NULL)
		return bg_verb_usage("init --auth0 takes no \"%s\"", what);
	if (!order->auth0 && what == NULL)
		return bg_verb_usage("init needs to know what: a server, cgi or systemd, as --help lists them; or --auth0");
	if (optind + 1 < argc)
		return bg_verb_usage("init takes no \"%s\"", argv[optind + 1]);
	if ((rc = check_trust(order)) != EX_OK)
		return rc;
	if (order->auth0) {
		if (order->said[W_DOMAIN] == NULL)
			return bg_verb_usage("init --auth0 needs --domain, the tenant, and --audience, what the API is to be "
			    "called in tokens");
		return bg_auth0_create(&(struct bg_auth0){ .domain = order->said[W_DOMAIN], .audience = order->said[W_AUDIENCE],
		    .name = value(order, W_NAME), .output = order->output, .force = order->force, .yes = order->yes });
	}
	for (size_t i = 0; i < N_THINGS; i++)
		if (strcmp(what, things[i].name) == 0)
			order->thing = &things[i];
	if (order->thing == NULL)
		return bg_verb_usage("init knows no \"%s\"", what);
	return (rc = check_listen(order)) != EX_OK ? rc : write_thing(order);
}

int
bg_verb_init(int argc, char **argv)
{
	struct order order = { 0 };
	int c, rc = EX_OK;

	opterr = 0;
	while (rc == EX_OK && (c = getopt_long(argc, argv, ":c:fhl:o:", longopts, NULL)) != -1)
		switch (c) {
		case 'c':
			rc = take(&order, W_CONFIG, optarg);
			break;
		case 'f':
			order.force = true;
			break;
		case 'h':
			return bg_verb_print(bg_slice_str(usage));
		case 'l':
			rc = take(&order, W_LISTEN, optarg);
			break;
		case 'o':
			if (optarg[0] == '\0')
				return bg_verb_usage("-o: the name of the file is empty");
			order.output = optarg;
			break;
		case OPT_AUTH0:
			order.auth0 = true;
			break;
		case OPT_YES:
			order.yes = true;
			break;
		default:
			rc = c >= OPT_WORD ? take(&order, c - OPT_WORD, optarg) : bg_verb_bad_option(c, argv, longopts);
		}
	return rc != EX_OK ? rc : run(argc, argv, &order);
}
