#ifndef BG_CONF_INTERNAL_H
#define BG_CONF_INTERNAL_H

#include <sysexits.h>

#include "conf/conf.h"

/* What the files of conf/ share and nobody else sees.  Functions that return int return 0 or a code of sysexits(3). */

/* A configuration that names every customer of a large site has a few hundred KiB; a log file given by mistake has more. */
#define BG_CONF_FILE_MAX	(1024 * 1024)

/* One value: longer than any URL and any sensible name, short enough for the headers it may end in. */
#define BG_CONF_VALUE_MAX	2048

/* Short texts: the realm is in every challenge, and those must stay below BG_CHALLENGE_MAX. */
#define BG_CONF_TEXT_MAX	128

/* A file with one secret in it.  Nobody makes a longer one on purpose. */
#define BG_SECRET_FILE_MAX	4096

enum bg_section { BG_TOP, BG_SHORT, BG_ISSUER, BG_POLICY, BG_CLAIM, BG_LOCATION, BG_SITE, BG_EXPORT };
enum bg_shape { BG_ONE, BG_LIST };
enum bg_type {
	BG_DOMAIN, BG_AUDIENCE, BG_ALGORITHM, BG_URL, BG_PROXY, BG_PATH, BG_DIRECTORY, BG_CACHE_DIR, BG_PROGRAM, BG_LOG, BG_TEXT,
	BG_DURATION, BG_COUNT, BG_ADDRESS, BG_SOCKET, BG_USER, BG_GROUP, BG_MODE, BG_PEER, BG_LEVEL, BG_FORMAT, BG_DECISIONS, BG_TYP,
	BG_DPOP, BG_NONCE, BG_ON_ERROR, BG_PUBLIC_URL, BG_NETWORK, BG_REPLAY, BG_SECRET, BG_KEY_FILE, BG_PASSWORD_FILE,
	BG_BOOL, BG_COMPAT, BG_AUTH, BG_ENCODING, BG_SCOPE, BG_VALUE, BG_REGEX, BG_METHOD, BG_VARIABLE,
	/* titles of blocks, and where they are referred to */
	BG_ISSUER_NAME, BG_POLICY_NAME, BG_CLAIM_NAME, BG_LOCATION_PATH, BG_SITE_HOST,
	BG_TYPE_COUNT
};

/* NAME "TITLE" { ... }; any has no title.  The top of the file is one too. */
enum bg_block {
	BG_BLOCK_TOP, BG_BLOCK_ISSUER, BG_BLOCK_POLICY, BG_BLOCK_CLAIM, BG_BLOCK_ANY, BG_BLOCK_LOCATION, BG_BLOCK_SITE,
	BG_BLOCK_EXPORT, BG_BLOCK_COUNT
};

enum bg_opt {
#define BG_OPTION(section, name, shape, type, unit, def, min, max, help)	BG_OPT_##section##_##name,
#include "conf/options.def"
#undef BG_OPTION
	BG_OPT_COUNT
};

/* A row of conf/options.def. */
struct bg_option {
	enum bg_section section;
	const char     *name;
	enum bg_shape   shape;
	enum bg_type    type;
	const char     *unit;
	const char     *def;
	int64_t         min;
	int64_t         max;
	const char     *help;
	size_t          offset;		/* of the member in its struct; unused for BG_SHORT, BG_POLICY and BG_CLAIM */
	size_t          offset_n;	/* of the member that counts, for lists */
};

extern const struct bg_option bg_options[BG_OPT_COUNT];

/* What was said about an option, as it was said.  Cleared memory: nothing. */
struct bg_said {
	char **text;
	size_t n;
	char  *at;	/* "FILE:LINE" or "environment" */
};

/* One block, with those in it in their order.  Cleared memory: the top of a file that says nothing. */
struct bg_said_block {
	enum bg_block         kind;
	char                 *title;	/* NULL for the top and for any */
	char                 *at;
	struct bg_said        opt[BG_OPT_COUNT];
	struct bg_said_block *blocks;
	size_t                n_blocks;
};

/* The variables that are looked at. */
enum bg_env { BG_ENV_DOMAIN, BG_ENV_AUDIENCE, BG_ENV_CA_FILE, BG_ENV_CONFIG, BG_ENV_COUNT };

/* said.c.  One line of the report: "AT: TEXT", "FILE:LINE: TEXT". */
void bg_report(struct bg_buf *report, const char *at, const char *fmt, ...) BG_PRINTF(3, 4);
void bg_report_line(struct bg_buf *report, const char *file, int line, const char *fmt, ...) BG_PRINTF(4, 5);
int  bg_report_memory(struct bg_buf *report);	/* says that there is none and returns EX_OSERR */

/* The beginning of one, without its end: AT: PREFIX NAME "TEXT" WORDS.  The text is quoted and escaped. */
void bg_report_value(struct bg_buf *report, const char *at, const char *prefix, const char *name, const char *text, const char *words);

char *bg_at(const char *file, int line);	/* "FILE:LINE", the caller's own; NULL without memory */
int  bg_said_add(struct bg_said *said, const char *text, const char *at) BG_MUST_CHECK;	/* at: of the first alone */
void bg_said_clear(struct bg_said *said);
void bg_said_block_clear(struct bg_said_block *block);
void bg_secret_free(void *secret, size_t len);	/* wiped; NULL is fine */

/* option.c.  The row of an option, or NULL. */
const struct bg_option *bg_option_find(enum bg_section section, const char *name);

/*
 * May this be a value of the option?  If not, the report says so, calling the option by name.  Remarks go there too.
 * A file that is named must be there and readable.
 */
int bg_option_check(const struct bg_option *option, const char *name, const char *text, const char *at,
    struct bg_buf *report) BG_MUST_CHECK;

const char *bg_word_name(enum bg_type type, int value);	/* of BG_BOOL, BG_DPOP and the other types of few words; static */

/* Is there nothing said but what holds anyway? */
bool bg_said_is_default(const struct bg_option *option, const struct bg_said *said);

/* Seconds in the largest unit that has no remainder: "90s", "5m". */
void bg_put_duration(struct bg_buf *buf, int64_t seconds);

/*
 * Put what was said, or the default, into the option's member of base; it was checked before.  A list that has no memory is
 * the caller's to free as far as it goes.
 */
int bg_option_store(const struct bg_option *option, const struct bg_said *said, void *base, struct bg_buf *report) BG_MUST_CHECK;

/* What was said, or the default, as a list; *n grows with it, so that whoever frees the list can do so at any time. */
int  bg_list_copy(const struct bg_said *said, const char *def, char ***list, size_t *n) BG_MUST_CHECK;
void bg_list_free(char **list, size_t n);

/* check.c.  The option that makes such a condition; BG_OPT_COUNT where none does. */
enum bg_opt bg_rule_option(enum bg_rule_kind kind);

/* May this stand beside daemon?  All else is for whoever decides. */
bool bg_option_beside_daemon(enum bg_opt opt);

/*
 * judge.c.  What only the libraries know that decide by it.  A program that reads a configuration without them is linked with
 * judge_later.c, and has bg_conf_build called by somebody who has them.
 */
bool bg_judge_algorithm(struct bg_slice name);
int  bg_judge_regex(struct bg_slice pattern, struct bg_error *err) BG_MUST_CHECK;	/* as bg_regex_new */
bool bg_judge_lmdb(void);
bool bg_judge_redis(void);

/* store.c.  The option replay, taken apart.  Cleared memory can be cleared. */
struct bg_store {
	bool        redis;	/* else LMDB */
	bool        tls;
	const char *path;	/* of LMDB's directory or of Redis's socket; NULL with a host.  As all here, it is borrowed from text. */
	const char *host;	/* without brackets */
	const char *user;	/* NULL: none said */
	int         port;
	int         database;
	char       *text;	/* owned */
};

/* Returns NULL, or static words on what is wrong, which hold nothing of text; out is the caller's to clear in any case. */
const char *bg_store_parse(const char *text, struct bg_store *out);
void bg_store_clear(struct bg_store *store);

/* The URL that public_url means, into url.  Returns NULL, or static words on what is wrong with it. */
const char *bg_public_url_parse(const char *text, struct bg_buf *url);

/*
 * bound.c.  What is said of bound tokens as one: conf has the options as they were said or their defaults, each good by itself.
 * source names where all of it comes from, for remarks about what was not said.
 */
int bg_bound_settle(struct bg_conf *conf, const struct bg_said *top, const char *source, struct bg_buf *report) BG_MUST_CHECK;

/* env.c.  The environment, and the env file where the environment says nothing. */
int bg_env_read(const struct bg_conf_sources *from, struct bg_said env[BG_ENV_COUNT],
    struct bg_buf *report) BG_MUST_CHECK;
const char *bg_env_name(enum bg_env var);
bool bg_env_has(char *const *envp, struct bg_slice name);

/*
 * The whole of a regular file, terminated; text was not initialised before and is the caller's to clear in any case.
 * guarded: as in struct bg_conf_sources.
 */
int bg_file_read(const char *path, bool guarded, struct bg_buf *text, struct bg_buf *report) BG_MUST_CHECK;

/* The same of one that is open as fd, which stays so; path is what reports call it. */
int bg_file_read_open(int fd, const char *path, struct bg_buf *text, struct bg_buf *report) BG_MUST_CHECK;

/* Is this a regular file, or a directory, that can be opened?  If not, words on why not, in static memory or strerror's. */
const char *bg_file_wrong(const char *path);
const char *bg_directory_wrong(const char *path);

/*
 * Read a file with a secret in it, which must be a regular file of this user or root, closed to all but owner and group.  A
 * line break at the end of a text is not part of it.  type is BG_KEY_FILE or BG_PASSWORD_FILE.  Returns 0, or -1 with words on
 * what is wrong; *out, which is terminated too, belongs to the caller: bg_secret_free.
 */
int  bg_secret_read(const char *path, enum bg_type type, char **out, size_t *len, struct bg_buf *words) BG_MUST_CHECK;

/*
 * parse.c.  top was cleared before and is the caller's to clear in any case; guarded as for bg_file_read.  bg_conf_parse_open
 * reads what is open as fd and called file; where top->kind is BG_BLOCK_POLICY, such a file is one that stands beside a script:
 * it says what such a block may say, and nothing of the environment.
 */
int bg_conf_parse(const char *file, bool guarded, char *const *envp, struct bg_said_block *top,
    struct bg_buf *report) BG_MUST_CHECK;
int bg_conf_parse_open(int fd, const char *file, struct bg_said_block *top, struct bg_buf *report) BG_MUST_CHECK;

const char *bg_block_name(enum bg_block kind);	/* "issuer"; static */

/* For "did you mean": how many letters are wrong in name, if it is meant to be that; small ones are near. */
#define BG_NEAR_MAX	2
size_t bg_name_distance(const char *name, const char *that);

#endif
