#include <stdio.h>
#include <stdlib.h>

#include "conf/internal.h"
#include "core/alg.h"
#include "core/limits.h"
#include "core/url.h"

/* Where the value of an option goes: by section, and for lists the member that counts as well. */
#define MEMBER_TOP(name)		offsetof(struct bg_conf, name)
#define MEMBER_ISSUER(name)		offsetof(struct bg_conf_issuer, name)
#define MEMBER_SHORT(name)		0
#define COUNT_ONE_TOP(name)		0
#define COUNT_ONE_ISSUER(name)		0
#define COUNT_ONE_SHORT(name)		0
#define COUNT_LIST_TOP(name)		offsetof(struct bg_conf, n_##name)
#define COUNT_LIST_ISSUER(name)		offsetof(struct bg_conf_issuer, n_##name)
#define COUNT_LIST_SHORT(name)		0

const struct bg_option bg_options[BG_OPT_COUNT] = {
#define BG_OPTION(section, name, shape, type, unit, def, min, max, help)			\
	{ BG_##section, #name, BG_##shape, BG_##type, unit, def, min, max, help,		\
	    MEMBER_##section(name), COUNT_##shape##_##section(name) },
#include "conf/options.def"
#undef BG_OPTION
};

/* What is expected of each type. */
static const char *const expected[] = {
	[BG_DOMAIN]    = "a domain such as \"tenant.eu.auth0.com\"",
	[BG_AUDIENCE]  = "the identifier of an API, or \"none\" alone to accept tokens for anyone,",
	[BG_ALGORITHM] = "a signature algorithm such as \"RS256\"",
	[BG_URL]       = "an https URL",
	[BG_PATH]      = "the absolute path of a file",
	[BG_TEXT]      = "printable ASCII text",
	[BG_DURATION]  = "a number with its unit, such as \"30s\" (s, m, h or d),",
	[BG_COUNT]     = "a whole number",
	[BG_ADDRESS]   = "an address such as \"unix:/run/bearergate/authorizer.sock\" or \"127.0.0.1:9009\"",
	[BG_LEVEL]     = "error, warning, info or debug",
};

/* In descending order, so that the first without remainder is the largest. */
static const struct { char letter; int64_t seconds; } units[] = {
	{ 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 },
};
#define N_UNITS	(sizeof(units) / sizeof(units[0]))

void
bg_report(struct bg_buf *report, const char *at, const char *fmt, ...)
{
	char text[BG_DETAIL_MAX * 4];
	va_list ap;

	va_start(ap, fmt);
	bg_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	bg_buf_put_format(report, "%s: %s\n", at, text);
}

void
bg_report_line(struct bg_buf *report, const char *file, int line, const char *fmt, ...)
{
	char text[BG_DETAIL_MAX * 4];
	va_list ap;

	va_start(ap, fmt);
	bg_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	bg_buf_put_format(report, "%s:%d: %s\n", file, line, text);
}

int
bg_report_memory(struct bg_buf *report)
{
	bg_buf_put_str(report, "configuration: no memory\n");
	return EX_OSERR;
}

const struct bg_option *
bg_option_find(enum bg_section section, const char *name)
{
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == section && strcmp(bg_options[i].name, name) == 0)
			return &bg_options[i];
	return NULL;
}

char *
bg_at(const char *file, int line)
{
	size_t size = strlen(file) + sizeof(":2147483647");
	char *at = malloc(size);

	if (at != NULL)
		bg_format(at, size, "%s:%d", file, line);
	return at;
}

int
bg_said_add(struct bg_said *said, const char *text, const char *at)
{
	char **grown = realloc(said->text, (said->n + 1) * sizeof(*grown));

	if (grown == NULL)
		return EX_OSERR;
	said->text = grown;
	if ((said->text[said->n] = strdup(text)) == NULL)
		return EX_OSERR;
	said->n++;
	if (said->at == NULL && (said->at = strdup(at)) == NULL)
		return EX_OSERR;
	return 0;
}

void
bg_said_clear(struct bg_said *said)
{
	for (size_t i = 0; i < said->n; i++)
		free(said->text[i]);
	free(said->text);
	free(said->at);
	*said = (struct bg_said){ 0 };
}

void
bg_said_block_clear(struct bg_said_block *block)
{
	free(block->title);
	free(block->at);
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		bg_said_clear(&block->opt[i]);
	*block = (struct bg_said_block){ 0 };
}

void
bg_put_duration(struct bg_buf *buf, int64_t seconds)
{
	size_t i = 0;

	while (i < N_UNITS - 1 && (seconds == 0 || seconds % units[i].seconds != 0))
		i++;
	bg_buf_put_format(buf, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
}

/* The digits at the beginning of text, and where they end; NULL and words when there are none or too many. */
static const char *
read_digits(const char *text, int64_t *out, const char **wrong)
{
	const char *p = text;

	*out = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (*out > (INT64_MAX - (*p - '0')) / 10) {
			*wrong = "is too large";
			return NULL;
		}
		*out = *out * 10 + (*p - '0');
	}
	if (p == text) {
		*wrong = *text == '-' && text[1] >= '0' && text[1] <= '9' ? "is negative" : "is no number";
		return NULL;
	}
	return p;
}

/* SR-53, SR-54: a whole number, one unit, nothing else. */
static const char *
duration_wrong(const char *text, int64_t *seconds)
{
	const char *wrong = NULL, *end = read_digits(text, seconds, &wrong);
	size_t i = 0;

	if (end == NULL)
		return wrong;
	if (*end == '\0')
		return "has no unit";
	while (i < N_UNITS && units[i].letter != *end)
		i++;
	if (i == N_UNITS)
		return "has an unknown unit";
	if (end[1] != '\0')
		return "has something behind its unit";
	if (*seconds > INT64_MAX / units[i].seconds)
		return "is too large";
	*seconds *= units[i].seconds;
	return NULL;
}

static const char *
count_wrong(const char *text, int64_t *count)
{
	const char *wrong = NULL, *end = read_digits(text, count, &wrong);

	if (end == NULL)
		return wrong;
	return *end != '\0' ? "has something behind the number" : NULL;
}

/* HS* and none are refused for what they are, not for being unknown (SR-1, SR-3). */
static const char *
algorithm_wrong(struct bg_slice name)
{
	static const struct bg_slice shared[] = {
		BG_SLICE_INIT("HS256"), BG_SLICE_INIT("HS384"), BG_SLICE_INIT("HS512"),
	};

	if (bg_slice_equal_nocase(name, BG_SLICE("none")))
		return "means tokens without a signature, which anyone can write; it is never accepted";
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (bg_slice_equal_nocase(name, shared[i]))
			return "signs with a shared secret, so whoever can check a token can forge one; it is never accepted";
	return bg_alg_find(name) == NULL ? "is no algorithm that is known here" : NULL;
}

/* Printable ASCII up to a length. */
static const char *
text_wrong(const char *text, size_t max)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			return "has a byte in it that is not printable ASCII";
	return strlen(text) > max ? "is too long" : NULL;
}

/* Words put together in a buffer, which keeps them. */
static const char *
finish_words(struct bg_buf *words)
{
	struct bg_slice text;

	return bg_buf_finish(words, &text, NULL) == 0 ? text.ptr : "is wrong";
}

static const char *
path_wrong(const char *path, struct bg_buf *words)
{
	const char *wrong;

	if (path[0] != '/')
		return "is relative, which depends on where the program was started";
	if ((wrong = bg_file_wrong(path)) == NULL)
		return NULL;
	bg_buf_put_format(words, "cannot be read: %s", wrong);
	return finish_words(words);
}

/* A number within the bounds of its option: none is cut to fit. */
static const char *
range_wrong(const struct bg_option *option, int64_t n, struct bg_buf *words)
{
	bool low = n < option->min;

	if (!low && n <= option->max)
		return NULL;
	bg_buf_put_str(words, low ? "is too small, at least " : "is too large, at most ");
	if (option->type == BG_DURATION)
		bg_put_duration(words, low ? option->min : option->max);
	else
		bg_buf_put_format(words, "%lld", (long long)(low ? option->min : option->max));
	bg_buf_put_str(words, " is allowed");
	return finish_words(words);
}

/* What is wrong with a value that is not empty; words is room for a text of its own, remark for what was put right. */
static const char *
value_wrong(const struct bg_option *option, const char *text, struct bg_buf *words, const char **remark)
{
	struct bg_slice value = bg_slice_str(text);
	const char *wrong = NULL;
	enum bg_log_level level;
	int64_t n = 0;

	switch (option->type) {
	case BG_DOMAIN:
		return bg_url_issuer_of_domain(value, words, remark);
	case BG_AUDIENCE:
		if (text[0] == ' ' || text[value.len - 1] == ' ')
			return "begins or ends with a space";
		return NULL;
	case BG_ALGORITHM:
		return algorithm_wrong(value);
	case BG_URL:
		return bg_url_wrong(value, true);
	case BG_PATH:
		return path_wrong(text, words);
	case BG_TEXT:
		return text_wrong(text, BG_CONF_REALM_MAX);
	case BG_DURATION:
		if ((wrong = duration_wrong(text, &n)) != NULL)
			return wrong;
		return range_wrong(option, n, words);
	case BG_COUNT:
		if ((wrong = count_wrong(text, &n)) != NULL)
			return wrong;
		return range_wrong(option, n, words);
	case BG_ADDRESS:
		return NULL;		/* whoever listens knows what it can listen on */
	case BG_LEVEL:
		return bg_log_level_parse(value, &level) ? NULL : "is no level";
	}
	return "is of no known type";
}

/* What is wrong with any value, whatever it is for. */
static const char *
bytes_wrong(const char *text)
{
	if (strlen(text) > BG_CONF_VALUE_MAX)
		return "is too long";
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return "has a control character in it";
	return NULL;
}

/* AT: PREFIX NAME "VALUE" WORDS */
static void
put_value(struct bg_buf *report, const char *at, const char *prefix, const char *name, const char *text, const char *words)
{
	bg_buf_put_format(report, "%s: %s%s ", at, prefix, name);
	bg_log_text(report, bg_slice_str(text));
	bg_buf_put_format(report, " %s", words);
}

int
bg_option_check(const struct bg_option *option, const char *name, const char *text, const char *at,
    struct bg_buf *report)
{
	const char *wrong, *remark = NULL;
	struct bg_buf words;

	if (*text == '\0') {
		bg_report(report, at, "%s is empty; %s was expected", name, expected[option->type]);
		return EX_CONFIG;
	}
	bg_buf_init(&words, BG_URL_MAX + sizeof("https:///"));
	if ((wrong = bytes_wrong(text)) == NULL)
		wrong = value_wrong(option, text, &words, &remark);
	if (wrong != NULL) {
		put_value(report, at, "", name, text, wrong);
		bg_buf_put_format(report, "; %s was expected\n", expected[option->type]);
	} else if (remark != NULL) {
		put_value(report, at, "remark: ", name, text, remark);
		bg_buf_put_char(report, '\n');
	}
	bg_buf_clear(&words);
	return wrong != NULL ? EX_CONFIG : 0;
}

int
bg_issuer_check(const char *name, const char *at, struct bg_buf *report)
{
	const char *wrong = bg_url_wrong(bg_slice_str(name), false);

	if (wrong == NULL)
		return 0;
	put_value(report, at, "", "issuer", name, wrong);
	bg_buf_put_str(report, "; an https URL, exactly as in the iss claim, was expected\n");
	return EX_CONFIG;
}

/* What was said, or the default, as a list; *n grows with it, so that whoever frees the list can do so at any time. */
static int
copy_list(const struct bg_said *said, const char *def, char ***list, size_t *n)
{
	size_t count = said->n > 0 ? said->n : 1;

	if ((*list = calloc(count, sizeof(**list))) == NULL)
		return -1;
	for (*n = 0; *n < count; ++*n)
		if (((*list)[*n] = strdup(said->n > 0 ? said->text[*n] : def)) == NULL)
			return -1;
	return 0;
}

static void
free_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

/* Put what was said, or the default, into the option's member of base.  It has been checked before. */
static int
store(const struct bg_option *option, const struct bg_said *said, void *base, struct bg_buf *report)
{
	void *member = (char *)base + option->offset;
	const char *text = said->n > 0 ? said->text[0] : option->def;
	int64_t n = 0;

	if (*text == '\0')
		return 0;		/* no default either */
	if (option->shape == BG_LIST) {
		size_t *count = (size_t *)(void *)((char *)base + option->offset_n);

		return copy_list(said, option->def, member, count) == 0 ? 0 : bg_report_memory(report);
	}
	switch (option->type) {
	case BG_DURATION:
		(void)duration_wrong(text, &n);
		*(int64_t *)member = n;
		return 0;
	case BG_COUNT:
		(void)count_wrong(text, &n);
		*(int *)member = (int)n;
		return 0;
	case BG_LEVEL:
		(void)bg_log_level_parse(bg_slice_str(text), member);
		return 0;
	default:
		return (*(char **)member = strdup(text)) != NULL ? 0 : bg_report_memory(report);
	}
}

/*
 * What was said about an option of an issuer: in its own block, or at the top.  Where its keys are is said for one
 * issuer alone, so a block takes nothing of that from the top.  block is NULL for an issuer that is named by its domain.
 */
static const struct bg_said *
said_of(const struct bg_said_block *top, const struct bg_said_block *block, const struct bg_option *option)
{
	if (block != NULL && (block->opt[option - bg_options].n > 0 || option->type == BG_URL || option->type == BG_PATH))
		return &block->opt[option - bg_options];
	return &top->opt[bg_option_find(BG_SHORT, option->name) - bg_options];
}

static int
add_issuer(struct bg_conf *conf, const char *name, const char *at, const struct bg_said_block *top,
    const struct bg_said_block *block, struct bg_buf *report)
{
	struct bg_conf_issuer *issuer, *grown;
	int rc;

	for (size_t i = 0; i < conf->n_issuers; i++)
		if (strcmp(conf->issuers[i].name, name) == 0) {
			put_value(report, at, "", "issuer", name, "is given twice");
			bg_buf_put_format(report, ", %s has it already\n", conf->issuers[i].said_at);
			return EX_CONFIG;
		}
	if ((grown = realloc(conf->issuers, (conf->n_issuers + 1) * sizeof(*grown))) == NULL)
		return bg_report_memory(report);
	conf->issuers = grown;
	issuer = &conf->issuers[conf->n_issuers++];
	*issuer = (struct bg_conf_issuer){ .name = strdup(name), .said_at = strdup(at) };
	if (issuer->name == NULL || issuer->said_at == NULL)
		return bg_report_memory(report);
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == BG_ISSUER &&
		    (rc = store(&bg_options[i], said_of(top, block, &bg_options[i]), issuer, report)) != 0)
			return rc;

	if (issuer->n_audience == 0) {	/* SR-40 */
		put_value(report, at, "", "issuer", name, "has no audience");
		bg_buf_put_str(report, "; set AUTH0_AUDIENCE, or audience = \"...\" in a configuration file, where "
		    "audience = \"none\" must be written out to accept tokens for anyone\n");
		return EX_CONFIG;
	}
	if (issuer->n_audience == 1 && strcmp(issuer->audience[0], "none") == 0) {
		free_list(issuer->audience, issuer->n_audience);
		issuer->audience = NULL;
		issuer->n_audience = 0;
		issuer->any_audience = true;
	}
	if (issuer->jwks_uri != NULL && issuer->jwks_file != NULL) {
		const struct bg_option *file = bg_option_find(BG_ISSUER, "jwks_file");

		bg_report(report, said_of(top, block, file)->at,
		    "jwks_file and jwks_uri are both given; one place for the keys was expected");
		return EX_CONFIG;
	}
	return 0;
}

/* An issuer for each domain said. */
static int
add_domains(struct bg_conf *conf, const struct bg_said_block *top, const struct bg_said *domains, struct bg_buf *report)
{
	const char *remark;
	struct bg_buf name;
	struct bg_slice text;
	int rc = 0;

	bg_buf_init(&name, BG_URL_MAX + sizeof("https:///"));
	for (size_t i = 0; i < domains->n && rc == 0; i++) {
		bg_buf_reset(&name);
		(void)bg_url_issuer_of_domain(bg_slice_str(domains->text[i]), &name, &remark);
		if (bg_buf_finish(&name, &text, NULL) != 0)
			rc = bg_report_memory(report);
		else
			rc = add_issuer(conf, text.ptr, domains->at, top, NULL, report);
	}
	bg_buf_clear(&name);
	return rc;
}

/* "none" means any audience only where it stands alone; beside others one of the two is a mistake. */
static int
check_audience(const struct bg_said *audience, struct bg_buf *report)
{
	for (size_t i = 0; i < audience->n && audience->n > 1; i++)
		if (strcmp(audience->text[i], "none") == 0) {
			bg_report(report, audience->at,
			    "audience \"none\" stands beside others; it accepts tokens for anyone, so it must stand alone");
			return EX_CONFIG;
		}
	return 0;
}

/* What options must agree on, before they are put together. */
static int
check_together(const struct bg_said_file *said, struct bg_buf *report)
{
	static const enum bg_opt places[] = { BG_OPT_SHORT_jwks_uri, BG_OPT_SHORT_jwks_file };
	const struct bg_said *top = said->top.opt;
	size_t n_domains = top[BG_OPT_SHORT_domain].n + top[BG_OPT_SHORT_domains].n;

	if (top[BG_OPT_SHORT_domain].n > 0 && top[BG_OPT_SHORT_domains].n > 0) {
		bg_report(report, top[BG_OPT_SHORT_domains].at,
		    "domains beside domain, which stands at %s; one of the two was expected", top[BG_OPT_SHORT_domain].at);
		return EX_CONFIG;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (top[places[i]].n > 0 && n_domains != 1) {
			bg_report(report, top[places[i]].at, "%s at the top is for one domain, and there %s; "
			    "it was expected inside an issuer block", bg_options[places[i]].name,
			    n_domains == 0 ? "is none" : "are several");
			return EX_CONFIG;
		}
	if (check_audience(&top[BG_OPT_SHORT_audience], report) != 0)
		return EX_CONFIG;
	for (size_t i = 0; i < said->n_issuers; i++)
		if (check_audience(&said->issuers[i].opt[BG_OPT_ISSUER_audience], report) != 0)
			return EX_CONFIG;
	return 0;
}

/* All that was said, checked value by value before, as one configuration. */
static int
complete(struct bg_conf *conf, const struct bg_said_file *said, const char *source, struct bg_buf *report)
{
	const struct bg_said *top = said->top.opt, *min = &top[BG_OPT_TOP_cache_ttl_min],
	    *max = &top[BG_OPT_TOP_cache_ttl_max];
	int rc;

	if ((rc = check_together(said, report)) != 0 ||
	    (rc = add_domains(conf, &said->top, &top[BG_OPT_SHORT_domain], report)) != 0 ||
	    (rc = add_domains(conf, &said->top, &top[BG_OPT_SHORT_domains], report)) != 0)
		return rc;
	for (size_t i = 0; i < said->n_issuers; i++)
		if ((rc = add_issuer(conf, said->issuers[i].title, said->issuers[i].at, &said->top, &said->issuers[i],
		    report)) != 0)
			return rc;
	if (conf->n_issuers == 0) {
		bg_report(report, source, "no issuer; AUTH0_DOMAIN and AUTH0_AUDIENCE in the environment, "
		    "or domain or an issuer block in a configuration file, were expected");
		return EX_CONFIG;
	}
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if (bg_options[i].section == BG_TOP && (rc = store(&bg_options[i], &top[i], conf, report)) != 0)
			return rc;
	if (conf->cache_ttl_min > conf->cache_ttl_max) {
		struct bg_buf text;
		struct bg_slice words;

		bg_buf_init(&text, BG_DETAIL_MAX);
		bg_buf_put_str(&text, "cache_ttl_min is ");
		bg_put_duration(&text, conf->cache_ttl_min);
		bg_buf_put_str(&text, " and cache_ttl_max is ");
		bg_put_duration(&text, conf->cache_ttl_max);
		if (bg_buf_finish(&text, &words, NULL) == 0)
			bg_report(report, max->at != NULL ? max->at : min->at, "%s; the first must not exceed the second",
			    words.ptr);
		bg_buf_clear(&text);
		return EX_CONFIG;
	}
	return 0;
}

/* The environment speaks where the file is silent. */
static int
merge(struct bg_said_file *said, struct bg_said env[BG_ENV_COUNT], struct bg_buf *report)
{
	static const struct { enum bg_env var; enum bg_opt opt; } rows[] = {
		{ BG_ENV_DOMAIN,   BG_OPT_SHORT_domain },
		{ BG_ENV_AUDIENCE, BG_OPT_SHORT_audience },
		{ BG_ENV_CA_FILE,  BG_OPT_TOP_ca_file },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bg_said *mine = &env[rows[i].var], *theirs = &said->top.opt[rows[i].opt];
		const char *name = bg_env_name(rows[i].var), *at = theirs->at;

		if (mine->n == 0)
			continue;
		/* a file that names any issuer names them all: a variable must not add one to it */
		if (rows[i].opt == BG_OPT_SHORT_domain && at == NULL) {
			at = said->top.opt[BG_OPT_SHORT_domains].at;
			if (at == NULL && said->n_issuers > 0)
				at = said->issuers[0].at;
		}
		if (at != NULL) {
			if (theirs->n != 1 || strcmp(theirs->text[0], mine->text[0]) != 0)
				bg_report(report, mine->at, "remark: %s is not used, %s says something else", name, at);
			continue;
		}
		/* SR-40 wants it written out, not inherited from whatever a service manager hands down */
		if (rows[i].var == BG_ENV_AUDIENCE && strcmp(mine->text[0], "none") == 0) {
			bg_report(report, mine->at, "%s is \"none\"; to accept tokens for anyone, "
			    "audience = \"none\" must be written out in a configuration file", name);
			return EX_CONFIG;
		}
		if (bg_option_check(&bg_options[rows[i].opt], name, mine->text[0], mine->at, report) != 0)
			return EX_CONFIG;
		*theirs = *mine;
		*mine = (struct bg_said){ 0 };	/* moved */
	}
	return 0;
}

int
bg_conf_load(struct bg_conf **out, const struct bg_conf_sources *from, struct bg_buf *report)
{
	struct bg_said env[BG_ENV_COUNT] = { 0 };
	struct bg_said_file said = { 0 };
	struct bg_conf *conf = NULL;
	const char *file = from->file;
	int rc;

	*out = NULL;
	if ((rc = bg_env_read(from, env, report)) != 0)
		goto out;
	if (file == NULL && env[BG_ENV_CONFIG].n > 0)
		file = env[BG_ENV_CONFIG].text[0];
	else if (env[BG_ENV_CONFIG].n > 0 && strcmp(env[BG_ENV_CONFIG].text[0], file) != 0)
		bg_report(report, env[BG_ENV_CONFIG].at, "remark: BEARERGATE_CONFIG is not used, %s was named instead", file);
	if ((file != NULL && (rc = bg_conf_parse(file, from->environ, &said, report)) != 0) ||
	    (rc = merge(&said, env, report)) != 0)
		goto out;
	if ((conf = calloc(1, sizeof(*conf))) == NULL) {
		rc = bg_report_memory(report);
		goto out;
	}
	if ((rc = complete(conf, &said, file != NULL ? file : "environment", report)) != 0)
		goto out;
	*out = conf;
	conf = NULL;		/* moved to the caller */
out:
	bg_conf_free(conf);
	for (size_t i = 0; i < BG_ENV_COUNT; i++)
		bg_said_clear(&env[i]);
	for (size_t i = 0; i < said.n_issuers; i++)
		bg_said_block_clear(&said.issuers[i]);
	free(said.issuers);
	bg_said_block_clear(&said.top);
	return rc;
}

void
bg_conf_free(struct bg_conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->n_issuers; i++) {
		struct bg_conf_issuer *issuer = &conf->issuers[i];

		free(issuer->name);
		free(issuer->said_at);
		free_list(issuer->audience, issuer->n_audience);
		free_list(issuer->algorithms, issuer->n_algorithms);
		free(issuer->jwks_uri);
		free(issuer->jwks_file);
	}
	free(conf->issuers);
	free(conf->realm);
	free(conf->ca_file);
	free_list(conf->listen, conf->n_listen);
	free(conf);
}
