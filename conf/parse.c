#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/internal.h"

/*
 * Text to what was said.  libConfuse reads the grammar; but what it reads wrongly never reaches it.  Version 3.3 takes a
 * quote, comment or brace that is never closed for the end of the file, counts comment lines twice, does not know
 * comments in lists, drops characters it does not understand, and ends strings at "\0".  So vet() goes over the text
 * first: it refuses all that, with the line, and makes comments blank.
 */

#define DEPTH_MAX	8	/* braces in braces: no option has more than two */
#define NEAR_MAX	2	/* letters that may be wrong in a name for a hint */
#define NEAR_NAME_MAX	32	/* and how long a name we compare; ours have 16 at most */

struct scan {
	const char     *file;
	char           *text;	/* terminated; comments become blanks here */
	size_t          len;
	size_t          pos;
	int             line;
	char *const    *envp;
	struct bg_buf  *report;
};

static int
refuse(const struct scan *in, int line, const char *what)
{
	bg_report_line(in->report, in->file, line, "%s", what);
	return EX_CONFIG;
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("_-.:/@%[]~", c) != NULL);
}

/* Make a comment blank, from pos on; its lines stay. */
static int
blank_comment(struct scan *in)
{
	bool block = in->text[in->pos] == '/' && in->text[in->pos + 1] == '*';
	char *end = block ? strstr(in->text + in->pos + 2, "*/") : strchr(in->text + in->pos, '\n');

	if (block && end == NULL)
		return refuse(in, in->line, "this comment is never closed; \"*/\" was expected");
	if (end == NULL)
		end = in->text + in->len;
	else if (block)
		end += 2;
	for (; in->text + in->pos < end; in->pos++) {
		if (in->text[in->pos] == '\n')
			in->line++;
		else
			in->text[in->pos] = ' ';
	}
	return 0;
}

/* ${NAME} or ${NAME:-text} in double quotes, at pos.  An unset variable would quietly be nothing. */
static int
vet_variable(struct scan *in)
{
	struct bg_slice name = { in->text + in->pos + 2, 0 };
	size_t i = in->pos + 2;

	while ((in->text[i] >= 'A' && in->text[i] <= 'Z') || (in->text[i] >= 'a' && in->text[i] <= 'z') ||
	    in->text[i] == '_' || (i > in->pos + 2 && in->text[i] >= '0' && in->text[i] <= '9'))
		i++;
	name.len = i - in->pos - 2;
	if (name.len == 0)
		return refuse(in, in->line, "no name behind \"${\"; ${NAME} was expected, or \"\\${\" for the two characters");
	if (in->text[i] == '}') {
		if (!bg_env_has(in->envp, name)) {
			bg_report_line(in->report, in->file, in->line, "${%.*s} is not set in the environment; "
			    "a value was expected, or ${%.*s:-...} with what to take instead", BG_SLICE_ARG(name), BG_SLICE_ARG(name));
			return EX_CONFIG;
		}
	} else if (in->text[i] == ':' && in->text[i + 1] == '-') {
		while (in->text[i] != '\0' && strchr("}\"\\$\n", in->text[i]) == NULL)
			i++;
	}
	if (in->text[i] != '}')
		return refuse(in, in->line, "\"${\" is never closed; ${NAME} or ${NAME:-text} was expected");
	in->pos = i + 1;
	return 0;
}

/* A string, from its opening quote on.  It ends on its line: no value has a line break in it. */
static int
vet_string(struct scan *in)
{
	char quote = in->text[in->pos++];
	int rc;

	while (in->text[in->pos] != quote) {
		const char *at = in->text + in->pos;

		if (*at == '\n' || *at == '\0')
			return refuse(in, in->line, quote == '"' ? "this quote is never closed; \" was expected before the end of the line" :
			    "this quote is never closed; ' was expected before the end of the line");
		if (quote == '"' && at[0] == '\\') {
			if (at[1] == '\0' || strchr("\"\\$", at[1]) == NULL)
				return refuse(in, in->line, "a backslash before something else than \" \\ or $");
			in->pos += 2;
		} else if (quote == '\'' && at[0] == '\\') {
			if (at[1] == '\0' || strchr("'\\", at[1]) == NULL)
				return refuse(in, in->line, "a backslash before something else than ' or \\");
			in->pos += 2;
		} else if (at[0] == '$' && at[1] == '{') {
			if (quote == '\'')
				return refuse(in, in->line, "${...} is not replaced in single quotes; double quotes were expected");
			if ((rc = vet_variable(in)) != 0)
				return rc;
		} else
			in->pos++;
	}
	in->pos++;
	return 0;
}

/* A word without quotes.  What would begin a comment inside it is most likely a URL. */
static int
vet_word(struct scan *in)
{
	do {
		in->pos++;
		if (in->text[in->pos] == '/' && (in->text[in->pos + 1] == '/' || in->text[in->pos + 1] == '*'))
			return refuse(in, in->line, "\"//\" and \"/*\" begin a comment here; a value with them was expected in quotes");
	} while (is_word(in->text[in->pos]));
	return 0;
}

/* A character that stands for nothing in a configuration. */
static int
refuse_byte(const struct scan *in)
{
	unsigned char c = (unsigned char)in->text[in->pos];
	const char *hint = c == '+' ? "; lists are written as a whole, with \"=\"" :
	    c == '(' ? "; include and other functions are not supported" :
	    c == ';' ? "; a line ends without one" :
	    c == '$' ? "; variables are written in double quotes, \"${NAME}\"" : "";

	if (c > 0x20 && c < 0x7f)
		bg_report_line(in->report, in->file, in->line, "unexpected \"%c\" outside of quotes%s", c, hint);
	else
		bg_report_line(in->report, in->file, in->line, "unexpected byte 0x%02x; text was expected", c);
	return EX_CONFIG;
}

/* See at the top.  The last two tokens are known by one character: a word, a string, or what they are. */
static int
vet(struct scan *in)
{
	char before = '\0', last = '\0', token;
	int opened[DEPTH_MAX], rc;
	size_t depth = 0;

	if (memchr(in->text, '\0', in->len) != NULL) {
		for (const char *p = in->text; *p != '\0'; p++)
			in->line += *p == '\n';
		return refuse(in, in->line, "unexpected byte 0x00; text was expected");
	}
	while (in->pos < in->len) {
		char c = in->text[in->pos], next = in->text[in->pos + 1];

		if (c == '\n' || c == ' ' || c == '\t' || c == '\r') {
			in->line += c == '\n';
			in->pos++;
			continue;
		}
		if (c == '#' || (c == '/' && (next == '/' || next == '*'))) {
			if ((rc = blank_comment(in)) != 0)
				return rc;
			continue;
		}
		token = c;
		if (c == '"' || c == '\'') {
			token = '"';
			rc = vet_string(in);
		} else if (is_word(c)) {
			token = 'w';
			rc = vet_word(in);
		} else if (strchr("{}=,", c) != NULL) {
			in->pos++;
			rc = 0;
		} else
			rc = refuse_byte(in);
		if (rc != 0)
			return rc;

		if (token == '=' && last != 'w')
			return refuse(in, in->line, "unexpected \"=\"; the name of an option was expected before it, without quotes");
		if (token == '{') {
			if (depth == DEPTH_MAX)
				return refuse(in, in->line, "too many braces in each other");
			opened[depth++] = in->line;
		}
		if (token == '}') {
			if (depth == 0)
				return refuse(in, in->line, "unexpected \"}\"; nothing is open here");
			depth--;
			if (last == '{' && before == '=')
				return refuse(in, in->line, "an empty list; at least one value was expected");
		}
		before = last;
		last = token;
	}
	if (depth > 0)
		return refuse(in, opened[depth - 1], "this \"{\" is never closed; \"}\" was expected");
	return 0;
}

/*
 * libConfuse hands its callbacks no pointer of ours, and its scanner is global anyway: one parse at a time, in the thread
 * that loads configurations.
 */
static struct {
	const char          *file;
	const cfg_t         *root;
	const cfg_t         *section;	/* the issuer block that was entered last */
	struct bg_said_file *said;
	struct bg_buf       *report;
	int                  rc;	/* of the first error, which is the one told */
} parser;

static int
fail(int line, const char *what)
{
	bg_report_line(parser.report, parser.file, line, "%s", what);
	parser.rc = EX_CONFIG;
	return -1;
}

static int
fail_memory(void)
{
	parser.rc = bg_report_memory(parser.report);
	return -1;
}

/* Levenshtein's distance, of names short enough. */
static size_t
distance(struct bg_slice a, struct bg_slice b)
{
	size_t row[NEAR_NAME_MAX + 1];

	if (a.len > NEAR_NAME_MAX || b.len > NEAR_NAME_MAX)
		return NEAR_NAME_MAX;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);

			diagonal = row[j];
			if (row[j - 1] < row[j])
				row[j] = row[j - 1];
			row[j]++;
			if (change < row[j])
				row[j] = change;
		}
	}
	return row[b.len];
}

/* Where may this option stand, seen from the top or from an issuer block? */
static bool
belongs(const struct bg_option *option, bool top)
{
	return (option->section != BG_ISSUER) == top;
}

static void
unknown_option(const cfg_t *cfg, const char *name)
{
	bool top = cfg == parser.root, elsewhere = false, variable = false;
	size_t best = NEAR_MAX + 1, n;
	const char *hint = NULL;

	for (size_t i = 0; i < BG_OPT_COUNT; i++) {
		if (!belongs(&bg_options[i], top)) {
			elsewhere = elsewhere || strcmp(bg_options[i].name, name) == 0;
			continue;
		}
		n = distance(bg_slice_str(name), bg_slice_str(bg_options[i].name));
		if (n < best) {
			best = n;
			hint = bg_options[i].name;
		}
	}
	if (top && distance(bg_slice_str(name), BG_SLICE("issuer")) < best)
		hint = "issuer";
	for (size_t i = 0; i < BG_ENV_COUNT; i++)
		variable = variable || strcmp(bg_env_name((enum bg_env)i), name) == 0;

	bg_buf_put_format(parser.report, "%s:%d: unknown option ", parser.file, cfg->line);
	bg_log_text(parser.report, bg_slice_str(name));
	if (elsewhere)
		bg_buf_put_str(parser.report, " in an issuer block; it belongs at the top of the file");
	else if (variable)
		bg_buf_put_str(parser.report, "; it is a variable, for the environment or the file named by --env-file");
	else if (hint != NULL)
		bg_buf_put_format(parser.report, "; did you mean \"%s\"?", hint);
	else if (strcmp(name, "include") == 0)
		bg_buf_put_str(parser.report, "; one file holds everything, none can be included");
	else
		bg_buf_put_format(parser.report, "; an option of %s was expected", top ? "bearergate.conf(5)" : "an issuer block");
	bg_buf_put_char(parser.report, '\n');
}

/* libConfuse's complaints in our words, so far as we know them. */
static const struct { const char *theirs, *before, *behind; } wordings[] = {
	{ "unexpected token '%s'", "unexpected", "; one value, a list { \"...\", \"...\" } or the next option was expected" },
	{ "found duplicate title '%s'", "issuer", "is given twice" },
	{ "missing title for section '%s'", "no URL behind", "; issuer \"https://...\" { was expected" },
	{ "missing opening brace for section '%s'", "no \"{\" behind the URL of", "; issuer \"https://...\" { was expected" },
	{ "missing equal sign after option '%s'", "no \"=\" behind", "; name = value was expected" },
	{ "premature end of file", "the file ends in the middle of an option", "; name = value was expected" },
};

__attribute__((format(printf, 2, 0)))
static void
complain(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[BG_DETAIL_MAX];

	if (parser.rc != 0)
		return;
	parser.rc = EX_CONFIG;
	if (strcmp(fmt, "no such option '%s'") == 0) {
		unknown_option(cfg, va_arg(ap, const char *));
		return;
	}
	bg_buf_put_format(parser.report, "%s:%d: ", parser.file, cfg->line);
	for (size_t i = 0; i < sizeof(wordings) / sizeof(wordings[0]); i++)
		if (strcmp(fmt, wordings[i].theirs) == 0) {
			bg_buf_put_str(parser.report, wordings[i].before);
			if (strchr(fmt, '%') != NULL) {
				bg_buf_put_char(parser.report, ' ');
				bg_log_text(parser.report, bg_slice_str(va_arg(ap, const char *)));
			}
			bg_buf_put_format(parser.report, "%s%s\n", wordings[i].behind[0] == ';' ? "" : " ", wordings[i].behind);
			return;
		}
	bg_log_text(parser.report, (struct bg_slice){ text, bg_vformat(text, sizeof(text), fmt, ap) });
	bg_buf_put_char(parser.report, '\n');
}

/* Enter an issuer block.  Its name is judged at the line of its opening brace, where libConfuse leaves the root's. */
static int
enter(const cfg_t *section)
{
	struct bg_said_file *said = parser.said;
	struct bg_said_block *block, *grown;

	if ((grown = realloc(said->issuers, (said->n_issuers + 1) * sizeof(*grown))) == NULL)
		return fail_memory();
	said->issuers = grown;
	block = &said->issuers[said->n_issuers++];
	*block = (struct bg_said_block){ .title = strdup(section->title), .at = bg_at(parser.file, parser.root->line) };
	if (block->title == NULL || block->at == NULL)
		return fail_memory();
	parser.section = section;
	if (bg_issuer_check(block->title, block->at, parser.report) != 0) {
		parser.rc = EX_CONFIG;
		return -1;
	}
	return 0;
}

/* libConfuse calls this with each value; a list has several. */
static int
take(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	bool top = cfg == parser.root;
	const struct bg_option *option = NULL;
	struct bg_said *said;
	char *at = NULL;
	int rc = -1;

	for (size_t i = 0; i < BG_OPT_COUNT && option == NULL; i++)
		if (belongs(&bg_options[i], top) && strcmp(bg_options[i].name, opt->name) == 0)
			option = &bg_options[i];
	if (option == NULL)
		return fail(cfg->line, "an option without a row");
	if (!top && cfg != parser.section && enter(cfg) != 0)
		return -1;
	said = (top ? parser.said->top.opt : parser.said->issuers[parser.said->n_issuers - 1].opt) + (option - bg_options);

	/* a new assignment begins with its first value */
	if (said->n > 0 && opt->nvalues == 1) {
		bg_report_line(parser.report, parser.file, cfg->line, "%s is given twice, %s has it already", opt->name, said->at);
		parser.rc = EX_CONFIG;
		return -1;
	}
	if (option->shape == BG_ONE && opt->nvalues > 1) {
		bg_report_line(parser.report, parser.file, cfg->line, "%s is a list; one value was expected", opt->name);
		parser.rc = EX_CONFIG;
		return -1;
	}
	if ((at = bg_at(parser.file, cfg->line)) == NULL) {
		(void)fail_memory();
		goto out;
	}
	if (bg_option_check(option, option->name, value, at, parser.report) != 0) {
		parser.rc = EX_CONFIG;
		goto out;
	}
	if (bg_said_add(said, value, at) != 0) {
		(void)fail_memory();
		goto out;
	}
	*(const char **)result = value;
	rc = 0;
out:
	free(at);
	return rc;
}

/* The end of an issuer block: one that says nothing is a block nevertheless. */
static int
leave(cfg_t *cfg, cfg_opt_t *opt)
{
	const cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

	(void)cfg;
	return section != parser.section ? enter(section) : 0;
}

/* Every option is a list of strings to libConfuse; what they mean, and how many there may be, is judged by take(). */
static cfg_opt_t issuer_options[] = {
#define TAKE(name)		CFG_STR_LIST_CB(#name, NULL, CFGF_NODEFAULT, take),
#define NOTHING(name)
#define IN_ISSUER_TOP		NOTHING
#define IN_ISSUER_SHORT		NOTHING
#define IN_ISSUER_ISSUER	TAKE
#define BG_OPTION(section, name, shape, type, unit, def, min, max, help)	IN_ISSUER_##section(name)
#include "conf/options.def"
#undef BG_OPTION
	CFG_END()
};

static cfg_opt_t top_options[] = {
#define IN_TOP_TOP		TAKE
#define IN_TOP_SHORT		TAKE
#define IN_TOP_ISSUER		NOTHING
#define BG_OPTION(section, name, shape, type, unit, def, min, max, help)	IN_TOP_##section(name)
#include "conf/options.def"
#undef BG_OPTION
	CFG_SEC("issuer", issuer_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_END()
};

/* What vet() has passed, through libConfuse. */
static int
parse(const struct scan *in, struct bg_said_file *out)
{
	cfg_t *cfg = cfg_init(top_options, CFGF_NONE);
	FILE *fp = NULL;

	memset(&parser, 0, sizeof(parser));
	parser.file = in->file;
	parser.root = cfg;
	parser.said = out;
	parser.report = in->report;
	if (cfg == NULL || (cfg->filename = strdup(in->file)) == NULL || (fp = fmemopen(in->text, in->len, "r")) == NULL) {
		(void)fail_memory();
		goto out;
	}
	cfg_set_error_function(cfg, complain);
	cfg_set_validate_func(cfg, "issuer", leave);
	if (cfg_parse_fp(cfg, fp) != CFG_SUCCESS && parser.rc == 0)
		(void)fail_memory();	/* all else is told through complain() */
out:
	if (fp != NULL)
		fclose(fp);
	if (cfg != NULL)
		cfg_free(cfg);
	return parser.rc;
}

int
bg_conf_parse(const char *file, char *const *envp, struct bg_said_file *out, struct bg_buf *report)
{
	struct scan in = { .file = file, .line = 1, .envp = envp, .report = report };
	struct bg_buf text;
	int rc;

	if ((rc = bg_file_read(file, &text, report)) == 0) {
		in.text = text.data;
		in.len = text.len;
		rc = vet(&in);
		if (rc == 0 && in.len > 0)	/* fmemopen(3) of some systems refuses what is empty */
			rc = parse(&in, out);
	}
	bg_buf_clear(&text);
	return rc;
}
