#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/internal.h"
#include "core/secret.h"

/*
 * Text to what was said.  libConfuse reads the grammar; but what it reads wrongly never reaches it.  Version 3.3 takes a
 * quote, comment or brace that is never closed for the end of the file, counts comment lines twice, does not know
 * comments in lists, drops characters it does not understand, and ends strings at "\0".  So vet() goes over the text
 * first: it refuses all that, with the line, and makes comments blank.
 */

#define DEPTH_MAX	8	/* braces in braces: a list of a claim in an any block of a policy is four deep */
#define BLOCKS_MAX	3	/* blocks in blocks */
#define NEAR_NAME_MAX	64	/* how long a name we compare for a hint */

struct scan {
	const char     *file;
	char           *text;	/* terminated; comments become blanks here */
	size_t          len;
	size_t          pos;
	int             line;
	bool            plain;	/* nothing is taken from the environment */
	bool            guarded;	/* the environment is partly a client's: see struct bg_conf_sources */
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

/* What a web server makes of a request, RFC 3875 section 4.1: a client has a say in it. */
static bool
is_of_request(struct bg_slice name)
{
	static const struct bg_slice begins[] = { BG_SLICE_INIT("HTTP_"), BG_SLICE_INIT("REDIRECT_"), BG_SLICE_INIT("QUERY_"),
		BG_SLICE_INIT("PATH_"), BG_SLICE_INIT("REQUEST_"), BG_SLICE_INIT("SCRIPT_"), BG_SLICE_INIT("SERVER_"),
		BG_SLICE_INIT("REMOTE_"), BG_SLICE_INIT("CONTENT_"), BG_SLICE_INIT("AUTH_TYPE"), BG_SLICE_INIT("SSL_") };

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (bg_slice_starts(name, begins[i]))
			return true;
	return false;
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
	if (in->guarded && is_of_request(name)) {
		bg_report_line(in->report, in->file, in->line, "${%.*s} is the request's, and so the client's to choose; "
		    "another name was expected", BG_SLICE_ARG(name));
		return EX_CONFIG;
	}
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
			if (in->plain)
				return refuse(in, in->line, "\"${\" in a file beside a script; \"\\${\" was expected for the two characters, "
				    "since the environment is partly the client's");
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

#define BIT(n)	(1u << (n))

/* Which options and which other blocks stand in a block, and what stands behind its name. */
static const struct {
	const char *name, *title;
	unsigned    sections, blocks;
} blocks[BG_BLOCK_COUNT] = {
	[BG_BLOCK_TOP] = { NULL, NULL, BIT(BG_TOP) | BIT(BG_SHORT), BIT(BG_BLOCK_ISSUER) | BIT(BG_BLOCK_POLICY) |
	    BIT(BG_BLOCK_LOCATION) | BIT(BG_BLOCK_SITE) | BIT(BG_BLOCK_EXPORT) },
	[BG_BLOCK_ISSUER]   = { "issuer",   "URL",   BIT(BG_ISSUER), 0 },
	[BG_BLOCK_POLICY]   = { "policy",   "name",  BIT(BG_POLICY), BIT(BG_BLOCK_CLAIM) | BIT(BG_BLOCK_ANY) },
	[BG_BLOCK_CLAIM]    = { "claim",    "name",  BIT(BG_CLAIM), 0 },
	[BG_BLOCK_ANY]      = { "any",      NULL,    BIT(BG_POLICY), BIT(BG_BLOCK_CLAIM) },
	[BG_BLOCK_LOCATION] = { "location", "path",  BIT(BG_LOCATION) | BIT(BG_POLICY), BIT(BG_BLOCK_CLAIM) | BIT(BG_BLOCK_ANY) },
	[BG_BLOCK_SITE]     = { "site",     "host",  BIT(BG_SITE), 0 },
	[BG_BLOCK_EXPORT]   = { "export",   "claim", BIT(BG_EXPORT), 0 },
};

const char *
bg_block_name(enum bg_block kind)
{
	return blocks[kind].name;
}

/*
 * libConfuse hands its callbacks no pointer of ours, and its scanner is global anyway: one parse at a time, in the thread
 * that loads configurations.
 */
static struct {
	const char           *file;
	cfg_t                *root;
	struct bg_said_block *top;
	/* the blocks that are open, outermost first; each moves into the one around it when it ends */
	struct { const cfg_t *cfg; struct bg_said_block said; } open[BLOCKS_MAX];
	size_t                n_open;
	struct bg_buf        *report;
	int                   rc;	/* of the first error, which is the one told */
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
size_t
bg_name_distance(const char *name, const char *that)
{
	struct bg_slice a = bg_slice_str(name), b = bg_slice_str(that);
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

static enum bg_block
kind_named(const char *name)
{
	for (size_t i = 1; i < BG_BLOCK_COUNT; i++)
		if (strcmp(blocks[i].name, name) == 0)
			return (enum bg_block)i;
	return BG_BLOCK_TOP;
}

static enum bg_block
kind_of(const cfg_t *cfg)
{
	return cfg == parser.root ? parser.top->kind : kind_named(cfg->name);
}

/* May an option, or a block, of this name stand in a block of this kind? */
static bool
belongs(const char *name, enum bg_block kind)
{
	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if ((blocks[kind].sections & BIT(bg_options[i].section)) != 0 && strcmp(bg_options[i].name, name) == 0)
			return true;
	for (size_t i = 1; i < BG_BLOCK_COUNT; i++)
		if ((blocks[kind].blocks & BIT(i)) != 0 && strcmp(blocks[i].name, name) == 0)
			return true;
	return false;
}

/* The name nearest to this one of what may stand in a block of this kind; NULL when none is near. */
static const char *
nearest(const char *name, enum bg_block kind)
{
	const char *best = NULL;
	size_t least = BG_NEAR_MAX + 1, n;

	for (size_t i = 0; i < BG_OPT_COUNT; i++)
		if ((blocks[kind].sections & BIT(bg_options[i].section)) != 0 &&
		    (n = bg_name_distance(name, bg_options[i].name)) < least) {
			least = n;
			best = bg_options[i].name;
		}
	for (size_t i = 1; i < BG_BLOCK_COUNT; i++)
		if ((blocks[kind].blocks & BIT(i)) != 0 && (n = bg_name_distance(name, blocks[i].name)) < least) {
			least = n;
			best = blocks[i].name;
		}
	return best;
}

static const char *
article(enum bg_block kind)
{
	return strchr("aei", blocks[kind].name[0]) != NULL ? "an" : "a";
}

/* "; it belongs in a policy, any or location block": where a name is known that is not known here. */
static bool
put_homes(const char *name)
{
	enum bg_block homes[BG_BLOCK_COUNT];
	size_t n = 0;

	for (size_t i = 0; i < BG_BLOCK_COUNT; i++)
		if (belongs(name, (enum bg_block)i))
			homes[n++] = (enum bg_block)i;
	if (n == 0)
		return false;
	if (homes[0] == BG_BLOCK_TOP) {
		bg_buf_put_str(parser.report, "; it belongs at the top of the file");
		return true;
	}
	bg_buf_put_format(parser.report, "; it belongs in %s ", article(homes[0]));
	for (size_t i = 0; i < n; i++)
		bg_buf_put_format(parser.report, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", blocks[homes[i]].name);
	bg_buf_put_str(parser.report, " block");
	return true;
}

static void
unknown_option(const cfg_t *cfg, const char *name)
{
	enum bg_block kind = kind_of(cfg);
	const char *hint = nearest(name, kind);
	bool variable = false, elsewhere = false, beside = cfg == parser.root && kind != BG_BLOCK_TOP;

	for (size_t i = 0; i < BG_ENV_COUNT; i++)
		variable = variable || strcmp(bg_env_name((enum bg_env)i), name) == 0;
	for (size_t i = 0; i < BG_BLOCK_COUNT; i++)
		elsewhere = elsewhere || belongs(name, (enum bg_block)i);

	bg_buf_put_format(parser.report, "%s:%d: unknown option ", parser.file, cfg->line);
	bg_log_text(parser.report, bg_slice_str(name));
	if (beside && hint == NULL)
		bg_buf_put_str(parser.report, "; a file beside a script says what a policy block may say, and nothing else");
	else if (elsewhere && hint == NULL) {
		if (kind != BG_BLOCK_TOP)
			bg_buf_put_format(parser.report, " in %s %s block", article(kind), blocks[kind].name);
		(void)put_homes(name);
	} else if (variable)
		bg_buf_put_str(parser.report, "; it is a variable, for the environment or the file named by --env-file");
	else if (hint != NULL)
		bg_buf_put_format(parser.report, "; did you mean \"%s\"?", hint);
	else if (strcmp(name, "include") == 0)
		bg_buf_put_str(parser.report, "; one file holds everything, none can be included");
	else if (kind == BG_BLOCK_TOP)
		bg_buf_put_str(parser.report, "; an option of bearergate.conf(5) was expected");
	else
		bg_buf_put_format(parser.report, "; an option of %s %s block was expected", article(kind), blocks[kind].name);
	bg_buf_put_char(parser.report, '\n');
}

/* libConfuse's complaints in our words, so far as we know them. */
static const struct { const char *theirs, *before, *behind; } wordings[] = {
	{ "unexpected token '%s'", "unexpected", "; one value, a list { \"...\", \"...\" } or the next option was expected" },
	{ "missing equal sign after option '%s'", "no \"=\" behind", "; name = value was expected" },
	{ "premature end of file", "the file ends in the middle of an option", "; name = value was expected" },
};

/* "issuer" is not followed by what a block has behind its name. */
static void
bad_opening(const char *name, bool title_missing)
{
	enum bg_block kind = kind_named(name);
	bool has_title = blocks[kind].title != NULL, url = kind == BG_BLOCK_ISSUER;

	if (title_missing)
		bg_buf_put_format(parser.report, "no %s behind", blocks[kind].title);
	else if (has_title)
		bg_buf_put_format(parser.report, "no \"{\" behind the %s of", blocks[kind].title);
	else
		bg_buf_put_str(parser.report, "no \"{\" behind");
	bg_buf_put_format(parser.report, " \"%s\"; %s%s { was expected\n", name, name,
	    !has_title ? "" : url ? " \"https://...\"" : " \"...\"");
}

__attribute__((format(printf, 2, 0)))
static void
complain(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[BG_DETAIL_MAX];
	bool title = strcmp(fmt, "missing title for section '%s'") == 0;

	if (parser.rc != 0)
		return;
	parser.rc = EX_CONFIG;
	if (strcmp(fmt, "no such option '%s'") == 0) {
		unknown_option(cfg, va_arg(ap, const char *));
		return;
	}
	bg_buf_put_format(parser.report, "%s:%d: ", parser.file, cfg->line);
	if (title || strcmp(fmt, "missing opening brace for section '%s'") == 0) {
		bad_opening(va_arg(ap, const char *), title);
		return;
	}
	for (size_t i = 0; i < sizeof(wordings) / sizeof(wordings[0]); i++)
		if (strcmp(fmt, wordings[i].theirs) == 0) {
			bg_buf_put_str(parser.report, wordings[i].before);
			if (strchr(fmt, '%') != NULL) {
				bg_buf_put_char(parser.report, ' ');
				bg_log_text(parser.report, bg_slice_str(va_arg(ap, const char *)));
			}
			bg_buf_put_format(parser.report, "%s\n", wordings[i].behind);
			return;
		}
	bg_log_text(parser.report, (struct bg_slice){ text, bg_vformat(text, sizeof(text), fmt, ap) });
	bg_buf_put_char(parser.report, '\n');
}

/* The block in cfg that is being read; NULL when none is.  leave() takes the line from those that have ended. */
static cfg_t *
open_inside(cfg_t *cfg)
{
	for (cfg_opt_t *opt = cfg->opts; opt->name != NULL; opt++)
		for (unsigned i = opt->type == CFGT_SEC ? opt->nvalues : 0; i-- > 0;)
			if (opt->values[i]->section->line != 0)
				return opt->values[i]->section;
	return NULL;
}

/* What stands behind "issuer", "policy" and so on; kind is one with a title. */
static int
check_title(enum bg_block kind, const char *title, const char *at, struct bg_buf *report)
{
	static const enum bg_type types[BG_BLOCK_COUNT] = {
		[BG_BLOCK_ISSUER]   = BG_ISSUER_NAME,
		[BG_BLOCK_POLICY]   = BG_POLICY_NAME,
		[BG_BLOCK_CLAIM]    = BG_CLAIM_NAME,
		[BG_BLOCK_LOCATION] = BG_LOCATION_PATH,
		[BG_BLOCK_SITE]     = BG_SITE_HOST,
		[BG_BLOCK_EXPORT]   = BG_CLAIM_NAME,
	};
	struct bg_option option = { .name = bg_block_name(kind), .type = types[kind] };

	return bg_option_check(&option, option.name, title, at, report);
}

/*
 * Enter the blocks that libConfuse has opened since it last called: it does not tell.  A block's name is judged at the
 * line of its opening brace, where libConfuse leaves what is around it.
 */
static int
enter(void)
{
	cfg_t *around = parser.root, *cfg;

	for (size_t i = 0; (cfg = open_inside(around)) != NULL; i++, around = cfg) {
		struct bg_said_block *block;

		if (i < parser.n_open)
			continue;
		if (i == BLOCKS_MAX)
			return fail(cfg->line, "too many blocks in each other");
		parser.open[i].cfg = cfg;
		block = &parser.open[i].said;
		*block = (struct bg_said_block){ .kind = kind_of(cfg), .at = bg_at(parser.file, around->line) };
		parser.n_open++;
		if (block->at == NULL || (cfg->title != NULL && (block->title = strdup(cfg->title)) == NULL))
			return fail_memory();
		if (block->title != NULL && check_title(block->kind, block->title, block->at, parser.report) != 0) {
			parser.rc = EX_CONFIG;
			return -1;
		}
	}
	return 0;
}

/* The block that is being read, entered. */
static struct bg_said_block *
block_of(const cfg_t *cfg)
{
	if (cfg == parser.root)
		return parser.top;
	if ((parser.n_open == 0 || parser.open[parser.n_open - 1].cfg != cfg) && enter() != 0)
		return NULL;
	return &parser.open[parser.n_open - 1].said;
}

/* libConfuse calls this with each value; a list has several. */
static int
take(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct bg_said_block *block = block_of(cfg);
	const struct bg_option *option = NULL;
	struct bg_said *said;
	char *at = NULL;
	int rc = -1;

	if (block == NULL)
		return -1;
	for (size_t i = 0; i < BG_OPT_COUNT && option == NULL; i++)
		if ((blocks[block->kind].sections & BIT(bg_options[i].section)) != 0 && strcmp(bg_options[i].name, opt->name) == 0)
			option = &bg_options[i];
	if (option == NULL)
		return fail(cfg->line, "an option without a row");
	said = &block->opt[option - bg_options];

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
	for (size_t i = 0; i < said->n; i++)
		if (strcmp(said->text[i], value) == 0) {
			bg_buf_put_format(parser.report, "%s: %s ", at, option->name);
			bg_log_text(parser.report, bg_slice_str(value));
			bg_buf_put_str(parser.report, " stands twice in one list\n");
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

/* The end of a block, which may have said nothing. */
static int
leave(cfg_t *cfg, cfg_opt_t *opt)
{
	struct bg_said_block *around, *grown;

	(void)opt;
	if (enter() != 0)
		return -1;
	parser.n_open--;	/* its end is here, so it is the innermost */
	around = parser.n_open > 0 ? &parser.open[parser.n_open - 1].said : parser.top;
	if ((grown = realloc(around->blocks, (around->n_blocks + 1) * sizeof(*grown))) == NULL) {
		parser.n_open++;
		return fail_memory();
	}
	around->blocks = grown;
	around->blocks[around->n_blocks++] = parser.open[parser.n_open].said;	/* moved */
	open_inside(cfg)->line = 0;
	return 0;
}

#define SMALL_MAX	(16 * 1024)	/* a text that is soon searched for every name */

static bool
stands_in(struct bg_slice text, const char *words)
{
	return memmem(text.ptr, text.len, words, strlen(words)) != NULL;
}

/*
 * The grammar for libConfuse, from the tables.  Every option is a list of strings to it; what they mean, and how many
 * there may be, is judged by take().
 */
static cfg_opt_t grammar[BG_BLOCK_COUNT][BG_OPT_COUNT + BG_BLOCK_COUNT + 1];

/*
 * Only the names that stand somewhere in a small text: libConfuse copies the whole grammar for each block that a file may
 * have, which is half of what a small file costs, and bearergate-cgi reads one for every request.  A name that is left out is
 * unknown to libConfuse, which is an error; so all it could do is refuse a good file, one with the name of a block in a variable.
 */
static void
make_grammar(struct bg_slice text, enum bg_block top)
{
	bool all = text.len > SMALL_MAX || stands_in(text, "${");

	for (size_t i = 0; i < BG_BLOCK_COUNT; i++) {
		cfg_opt_t *opt = grammar[i];

		/* memory that is not written to is not there yet, and costs nothing */
		if (i != top && !all && (blocks[i].name == NULL || !stands_in(text, blocks[i].name)))
			continue;
		for (size_t j = 0; j < BG_OPT_COUNT; j++)
			if ((blocks[i].sections & BIT(bg_options[j].section)) != 0 && (all || stands_in(text, bg_options[j].name)))
				*opt++ = (cfg_opt_t)CFG_STR_LIST_CB(bg_options[j].name, NULL, CFGF_NODEFAULT, take);
		for (size_t j = 1; j < BG_BLOCK_COUNT; j++)
			if ((blocks[i].blocks & BIT(j)) != 0 && (all || stands_in(text, blocks[j].name))) {
				*opt = (cfg_opt_t)CFG_SEC(blocks[j].name, grammar[j],
				    CFGF_MULTI | (blocks[j].title != NULL ? CFGF_TITLE : CFGF_NONE));
				(opt++)->validcb = leave;
			}
		*opt = (cfg_opt_t)CFG_END();
	}
}

/* What vet() has passed, through libConfuse. */
static int
parse(const struct scan *in, struct bg_said_block *top)
{
	FILE *fp = NULL;
	cfg_t *cfg;

	make_grammar((struct bg_slice){ in->text, in->len }, top->kind);
	cfg = cfg_init(grammar[top->kind], CFGF_NONE);
	memset(&parser, 0, sizeof(parser));
	parser.file = in->file;
	parser.root = cfg;
	parser.top = top;
	parser.report = in->report;
	if (cfg == NULL || (cfg->filename = strdup(in->file)) == NULL || (fp = fmemopen(in->text, in->len, "r")) == NULL) {
		(void)fail_memory();
		goto out;
	}
	cfg_set_error_function(cfg, complain);
	if (cfg_parse_fp(cfg, fp) != CFG_SUCCESS && parser.rc == 0)
		(void)fail_memory();	/* all else is told through complain() */
out:
	while (parser.n_open > 0)
		bg_said_block_clear(&parser.open[--parser.n_open].said);
	if (fp != NULL)
		fclose(fp);
	if (cfg != NULL)
		cfg_free(cfg);
	return parser.rc;
}

static int
parse_text(struct scan *in, const struct bg_buf *text, struct bg_said_block *top)
{
	int rc;

	in->text = text->data;
	in->len = text->len;
	rc = vet(in);
	if (rc == 0 && in->len > 0)	/* fmemopen(3) of some systems refuses what is empty */
		rc = parse(in, top);
	return rc;
}

int
bg_conf_parse(const char *file, bool guarded, char *const *envp, struct bg_said_block *top, struct bg_buf *report)
{
	struct scan in = { .file = file, .line = 1, .guarded = guarded, .envp = envp, .report = report };
	struct bg_buf text;
	int rc;

	if ((rc = bg_file_read(file, guarded, &text, report)) == 0)
		rc = parse_text(&in, &text, top);
	if (text.data != NULL)
		bg_secret_wipe(text.data, text.len);	/* it may hold a password; so may copies of libConfuse, which are out of reach */
	bg_buf_clear(&text);
	return rc;
}

int
bg_conf_parse_open(int fd, const char *file, struct bg_said_block *top, struct bg_buf *report)
{
	struct scan in = { .file = file, .line = 1, .plain = true, .report = report };
	struct bg_buf text;
	int rc;

	if ((rc = bg_file_read_open(fd, file, &text, report)) == 0)
		rc = parse_text(&in, &text, top);
	bg_buf_clear(&text);
	return rc;
}
