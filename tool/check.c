#include <sysexits.h>

#include "conf/conf.h"
#include "tool/tool.h"

extern char **environ;	/* POSIX leaves this line to the program */

#define TEXT_MAX	(1024 * 1024)	/* bytes of a configuration printed */

static const char usage[] =
    "usage: bearergate check [-c FILE] [--env-file FILE]\n"
    "\n"
    "Reads the configuration as the daemon does, tells what is wrong with it, and\n"
    "prints the one that would be in effect.  Nothing is fetched.\n"
    "\n"
    "  -c, --config FILE   the configuration (default: BEARERGATE_CONFIG)\n"
    "  --env-file FILE     variables such as AUTH0_DOMAIN, in .env form\n";

enum { OPT_ENV_FILE = 256 };

static const struct option longopts[] = {
	{ "config",   required_argument, NULL, 'c' },
	{ "env-file", required_argument, NULL, OPT_ENV_FILE },
	{ "help",     no_argument,       NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

/* A gate that is only built never fetches; should that change, it fails here instead of asking the network. */
static int
fetch_nothing(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	(void)self;
	(void)body;
	(void)meta;
	return bg_fail(err, BG_R_FETCH_FAILED, "%s: a check fetches nothing", request->location);
}

static int
check(const struct bg_conf_sources *from)
{
	static const struct bg_fetcher fetcher = { fetch_nothing };
	struct bg_error err = { 0 };
	struct bg_conf *conf = NULL;
	struct bg_gate *gate = NULL;
	struct bg_slice text;
	struct bg_buf out;
	int rc;

	bg_buf_init(&out, TEXT_MAX);
	if ((rc = bg_verb_load(&conf, from)) != EX_OK)
		goto out;
	/* with a daemon there is nothing to decide by */
	if (conf->daemon == NULL && bg_conf_build(conf, &fetcher, &gate, &err) != 0) {
		bg_verb_say("%s", err.detail);
		rc = err.reason == BG_R_NO_MEMORY ? EX_OSERR : EX_CONFIG;
		goto out;
	}
	bg_conf_print(conf, &out);
	bg_buf_put_str(&out, "# configuration is good\n");	/* a comment, so that the whole is a configuration file */
	if (bg_buf_finish(&out, &text, &err) != 0) {
		bg_verb_say("printing the configuration: %s", err.detail);
		rc = EX_OSERR;
		goto out;
	}
	rc = bg_verb_print(text);
out:
	bg_gate_free(gate);	/* before conf, from which it borrows */
	bg_conf_free(conf);
	bg_buf_clear(&out);
	return rc;
}

int
bg_verb_check(int argc, char **argv)
{
	struct bg_conf_sources from = { .environ = environ };
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:h", longopts, NULL)) != -1)
		switch (c) {
		case 'c':
			from.file = optarg;
			break;
		case OPT_ENV_FILE:
			from.env_file = optarg;
			break;
		case 'h':
			return bg_verb_print(bg_slice_str(usage));
		default:
			return bg_verb_bad_option(c, argv, longopts);
		}
	if (optind < argc)
		return bg_verb_usage("check takes no \"%s\"; a configuration is named with -c", argv[optind]);
	return check(&from);
}
