/* The operator's program, run as an operator runs it: mint, check, and what is common to all verbs. */
#include "tool/issuer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/b64url.h"
#include "core/clock.h"
#include "core/jwks.h"
#include "core/secret.h"
#include "core/token.h"
#include "tests/support/mint.h"
#include "tests/support/run.h"

#define PATH_SIZE	4096

static const char *program;		/* the one just built, unless somebody wants another tested */
static char dir[PATH_SIZE];		/* everything the program is to read and write; empty when a test begins */
static char keys[PATH_SIZE];		/* tests/support/keys */
static char out[64 * 1024], err[64 * 1024];	/* of the last run */

/* A path in dir; the last four stay valid. */
static const char *
in_dir(const char *name)
{
	static char ring[4][2 * PATH_SIZE];
	static unsigned turn;
	char *path = ring[turn++ % 4];

	bg_format(path, sizeof(ring[0]), "%s/%s", dir, name);
	return path;
}

static const char *
in_keys(const char *name)
{
	static char ring[4][2 * PATH_SIZE];
	static unsigned turn;
	char *path = ring[turn++ % 4];

	bg_format(path, sizeof(ring[0]), "%s/%s", keys, name);
	return path;
}

#define KEY_A		in_keys("rsa-2048-a.pem")
#define KEY_B		in_keys("rsa-2048-b.pem")
#define KEY_SHORT	in_keys("rsa-1024.pem")
#define KEY_P256	in_keys("p256.pem")

static void
read_back(int fd, char *dst, size_t size)
{
	ssize_t n = pread(fd, dst, size - 1, 0);

	ck_assert_int_ge(n, 0);
	dst[n] = '\0';
	ck_assert_uint_eq(strlen(dst), (size_t)n);	/* no zero bytes */
}

static FILE *
scratch_file(void)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	return file;
}

/* Run the program with args up to a NULL, its stdout going to fd, or to out where fd is -1.  Returns its exit code. */
static int
run_to(int fd, const char *const *args)
{
	const char *argv[64] = { program };
	FILE *to_out = scratch_file(), *to_err = scratch_file();
	size_t n = 1;
	int status;
	pid_t pid;

	while (*args != NULL && n < 63)
		argv[n++] = *args++;
	if ((pid = fork()) == 0) {
		umask(0);	/* modes are to be right whatever the umask is */
		if (dup2(fd >= 0 ? fd : fileno(to_out), 1) == 1 && dup2(fileno(to_err), 2) == 2)
			execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	read_back(fileno(to_out), out, sizeof(out));
	read_back(fileno(to_err), err, sizeof(err));
	fclose(to_out);
	fclose(to_err);
	ck_assert_msg(WIFEXITED(status), "%s: ended by signal %d: %s", argv[1], WTERMSIG(status), err);
	ck_assert_int_ne(WEXITSTATUS(status), 127);
	return WEXITSTATUS(status);
}

#define RUN(...)	run_to(-1, (const char *const[]){ __VA_ARGS__, NULL })

/* It went well and without a word. */
#define ck_quiet(run) do {										\
	int ck_code = (run);										\
													\
	ck_assert_msg(ck_code == EX_OK && err[0] == '\0', "exit code %d: %s", ck_code, err);		\
} while (0)

/* It went well, and nothing was said but, perhaps, that proofs are remembered by one process: here is no directory for them. */
#define ck_good(run) do {										\
	int ck_code = (run);										\
													\
	ck_assert_msg(ck_code == EX_OK && (err[0] == '\0' || (strstr(err, "remembered by this process alone") != NULL &&		\
	    strchr(err, '\n') == strrchr(err, '\n'))), "exit code %d: %s", ck_code, err);					\
} while (0)

/* It failed in this way, said so with these words, and gave out nothing. */
#define ck_failed(run, want, words) do {								\
	int ck_code = (run);										\
													\
	ck_assert_msg(ck_code == (want), "exit code %d, wanted %d: %s", ck_code, (want), err);		\
	ck_assert_msg(strstr(err, (words)) != NULL, "\"%s\" is not in: %s", (words), err);		\
	ck_assert_msg(err_is_lines_of_ours(), "%s", err);						\
	ck_assert_str_eq(out, "");									\
} while (0)

static bool
err_is_lines_of_ours(void)
{
	const char *line = err;

	while (*line != '\0') {
		if (strncmp(line, "bearergate: ", 12) != 0 || (line = strchr(line, '\n')) == NULL)
			return false;
		line++;
	}
	return true;
}

static size_t
files_in_dir(bool remove)
{
	struct dirent *entry;
	DIR *list = opendir(dir);
	size_t n = 0;

	ck_assert_ptr_nonnull(list);
	while ((entry = readdir(list)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		n++;
		if (remove)
			ck_assert_int_eq(unlinkat(dirfd(list), entry->d_name,
			    entry->d_type == DT_DIR ? AT_REMOVEDIR : 0), 0);
	}
	closedir(list);
	return n;
}

static void
write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* The text of a small file; valid until the next. */
static const char *
text_of(const char *path)
{
	static char text[16 * 1024];
	int fd = open(path, O_RDONLY);

	ck_assert_msg(fd >= 0, "%s is not there", path);
	read_back(fd, text, sizeof(text));
	close(fd);
	return text;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st.st_mode;
}

/* The kid of the key in a file, to tell keys apart; valid until the next. */
static const char *
kid_of(const char *path)
{
	static char kid[64];
	struct bg_issuer_key *key;
	struct bg_error why = { 0 };

	ck_assert_msg(bg_issuer_key_load(path, &key, &why) == 0, "%s: %s", path, why.detail);
	bg_format(kid, sizeof(kid), "%s", bg_issuer_key_kid(key));
	bg_issuer_key_free(key);
	return kid;
}

/* ---- mint key ---------------------------------------------------------------------------------------------------- */

START_TEST(a_new_key_is_there_for_its_owner_alone)
{
	ck_quiet(RUN("mint", "key", "-o", in_dir("key.pem")));
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(mode_of(in_dir("key.pem")), S_IFREG | 0600);
	ck_assert_int_eq(strncmp(text_of(in_dir("key.pem")), "-----BEGIN PRIVATE KEY-----\n", 28), 0);
	ck_assert_uint_eq(strlen(kid_of(in_dir("key.pem"))), 43);
	ck_assert_uint_eq(files_in_dir(false), 1);
}
END_TEST

START_TEST(a_key_that_is_there_is_replaced_by_force_alone)
{
	char first[64];

	ck_quiet(RUN("mint", "key", "-a", "RS256", "-b", "2048", "-o", in_dir("key.pem")));
	bg_format(first, sizeof(first), "%s", kid_of(in_dir("key.pem")));
	ck_failed(RUN("mint", "key", "-o", in_dir("key.pem")), EX_CANTCREAT, "there already; -f replaces it");
	ck_assert_str_eq(kid_of(in_dir("key.pem")), first);

	ck_assert_int_eq(chmod(in_dir("key.pem"), 0644), 0);
	ck_quiet(RUN("mint", "key", "--force", "-o", in_dir("key.pem")));
	ck_assert_str_ne(kid_of(in_dir("key.pem")), first);
	ck_assert_int_eq(mode_of(in_dir("key.pem")), S_IFREG | 0600);
	ck_assert_uint_eq(files_in_dir(false), 1);	/* nothing half made is left */
}
END_TEST

START_TEST(a_key_goes_nowhere_but_into_a_file_of_its_own)
{
	write_text(in_dir("precious"), "precious");
	ck_assert_int_eq(symlink("precious", in_dir("link")), 0);
	ck_assert_int_eq(mkdir(in_dir("sub"), 0700), 0);

	ck_failed(RUN("mint", "key", "-f", "-o", in_dir("link")), EX_CANTCREAT, "no regular file");
	ck_failed(RUN("mint", "key", "-f", "-o", in_dir("sub")), EX_CANTCREAT, "no regular file");
	ck_assert_int_eq(mkfifo(in_dir("pipe"), 0600), 0);
	ck_failed(RUN("mint", "key", "-f", "-o", in_dir("pipe")), EX_CANTCREAT, "no regular file");
	ck_failed(RUN("mint", "key", "-o", in_dir("none/key.pem")), EX_CANTCREAT, "none/key.pem: No such file");
	ck_assert_str_eq(text_of(in_dir("precious")), "precious");
	ck_assert(S_ISLNK(mode_of(in_dir("link"))));
	ck_assert(S_ISFIFO(mode_of(in_dir("pipe"))));
	ck_assert_uint_eq(files_in_dir(false), 4);
}
END_TEST

START_TEST(a_name_too_long_for_a_file_is_said_to_be)
{
	char name[8192];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_failed(RUN("mint", "key", "-o", name), EX_CANTCREAT, "name too long");
}
END_TEST

START_TEST(a_key_too_short_to_be_accepted_is_made_with_a_remark)	/* SR-10 */
{
	ck_assert_int_eq(RUN("mint", "key", "-b", "1024", "-o", in_dir("key.pem")), EX_OK);
	ck_assert_ptr_nonnull(strstr(err, "key.pem: remark: bearergate will not accept this key: RSA key of 1024 bits"));
	ck_assert_uint_eq(strlen(kid_of(in_dir("key.pem"))), 43);
}
END_TEST

/* ---- mint jwks --------------------------------------------------------------------------------------------------- */

/* Does text, a key set, hold a usable key of this name? */
static bool
set_has(const char *text, const char *kid)
{
	struct bg_error why = { 0 };
	struct bg_jwks *set;
	bool has;

	ck_assert_msg(bg_jwks_parse(bg_slice_str(text), "test", &set, &why) == 0, "%s: %s", why.detail, text);
	has = bg_jwks_has_kid(set, bg_slice_str(kid));
	bg_jwks_unref(set);
	return has;
}

START_TEST(a_key_set_names_the_keys_by_their_thumbprints)	/* RFC 7638 */
{
	ck_quiet(RUN("mint", "jwks", KEY_A, KEY_B));
	ck_assert(set_has(out, bg_mint_kid(BG_MINT_KEY_A)));
	ck_assert(set_has(out, bg_mint_kid(BG_MINT_KEY_B)));
	ck_assert(!set_has(out, bg_mint_kid(BG_MINT_KEY_LONG)));
}
END_TEST

START_TEST(a_key_set_names_the_one_key_as_told)
{
	ck_quiet(RUN("mint", "jwks", "--kid", "summer", KEY_A));
	ck_assert(set_has(out, "summer"));
	ck_assert(!set_has(out, bg_mint_kid(BG_MINT_KEY_A)));
	ck_failed(RUN("mint", "jwks", "--kid", "summer", KEY_A, KEY_B), EX_USAGE, "--kid names one key, and there are 2");
}
END_TEST

START_TEST(a_key_set_can_be_written_over_the_last_one)
{
	ck_quiet(RUN("mint", "jwks", "-o", in_dir("jwks.json"), KEY_A));
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(mode_of(in_dir("jwks.json")), S_IFREG | 0644);
	ck_quiet(RUN("mint", "jwks", KEY_B, "-o", in_dir("jwks.json")));	/* options may come last */
	ck_assert(set_has(text_of(in_dir("jwks.json")), bg_mint_kid(BG_MINT_KEY_B)));
	ck_assert(!set_has(text_of(in_dir("jwks.json")), bg_mint_kid(BG_MINT_KEY_A)));
	ck_assert_int_eq(mode_of(in_dir("jwks.json")), S_IFREG | 0644);
	ck_assert_uint_eq(files_in_dir(false), 1);
}
END_TEST

START_TEST(a_key_set_lists_a_short_key_with_a_remark)	/* SR-10 */
{
	ck_assert_int_eq(RUN("mint", "jwks", KEY_A, KEY_SHORT), EX_OK);
	ck_assert_ptr_nonnull(strstr(err, "rsa-1024.pem: remark: bearergate will not accept this key"));
	ck_assert_ptr_null(strstr(err, "rsa-2048-a.pem"));
	ck_assert_ptr_nonnull(strstr(out, bg_mint_kid(BG_MINT_KEY_SHORT)));
	ck_assert(set_has(out, bg_mint_kid(BG_MINT_KEY_A)));
}
END_TEST

START_TEST(one_bad_key_file_and_there_is_no_key_set)
{
	write_text(in_dir("hello"), "hello\n");
	ck_failed(RUN("mint", "jwks", "-o", in_dir("jwks.json"), KEY_A, in_dir("none")), EX_NOINPUT,
	    "/none: No such file or directory");
	ck_failed(RUN("mint", "jwks", "-o", in_dir("jwks.json"), KEY_A, in_dir("hello")), EX_DATAERR,
	    "/hello: no private key in PEM");
	ck_failed(RUN("mint", "jwks", KEY_A, dir), EX_NOINPUT, "Is a directory");
	ck_assert_uint_eq(files_in_dir(false), 1);
}
END_TEST

/* ---- mint token -------------------------------------------------------------------------------------------------- */

#define TOKEN(...)										\
	RUN("mint", "token", "-k", KEY_A, "--iss", "https://id.example/", "--aud", "https://api.example",	\
	    "--now", "1700000000", __VA_ARGS__)

/* What a part of out stands for; in dst, which has room for it. */
static struct bg_slice
decoded(char *dst, const char *from, const char *to)
{
	long n = bg_b64url_decode((unsigned char *)dst, (struct bg_slice){ from, (size_t)(to - from) });

	ck_assert_int_ge(n, 0);
	return (struct bg_slice){ dst, (size_t)n };
}

static json_t *
object_of(struct bg_slice text)
{
	json_error_t where;
	json_t *object = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);

	ck_assert_msg(json_is_object(object), "%s: %.*s", where.text, BG_SLICE_ARG(text));
	return object;
}

/*
 * What out holds must be one line with one compact JWS, signed by this key over just what it says.  Taken apart
 * without bg_token_parse, which refuses the bad ones.  *header and *claims are the caller's.
 */
static void
take_apart(enum bg_mint_key which, json_t **header, json_t **claims)
{
	static char head[sizeof(out)], body[sizeof(out)];
	char *end = strchr(out, '\n'), *dot1 = strchr(out, '.'), *dot2 = strrchr(out, '.');
	struct bg_error why = { 0 };
	struct bg_slice h, b;
	struct bg_buf again;

	ck_assert_msg(end != NULL && end[1] == '\0' && dot1 != NULL && dot1 != dot2, "%s", out);
	*end = '\0';
	h = decoded(head, out, dot1);
	b = decoded(body, dot1 + 1, dot2);
	/* RS256 has but one signature for a key and a text, so signing again must give the same: RFC 8017 section 8.2.1 */
	bg_buf_init(&again, BG_MINTED_MAX);
	ck_assert_int_eq(bg_issuer_sign(bg_mint_key(which), h, b, &again, &why), 0);
	ck_assert_str_eq(again.data, out);
	bg_buf_clear(&again);
	*header = object_of(h);
	*claims = object_of(b);
}

static void
ck_member(const json_t *object, const char *name, const char *want)
{
	json_t *value = json_object_get(object, name);
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	ck_assert_msg((text == NULL) == (want == NULL) && (want == NULL || strcmp(text, want) == 0), "%s is %s, wanted %s",
	    name, text != NULL ? text : "not there", want != NULL ? want : "nothing");
	free(text);
}

START_TEST(a_token_says_what_was_asked_and_no_more)	/* RFC 9068 section 2 */
{
	json_t *header, *claims;
	char kid[64];

	ck_quiet(TOKEN("--sub", "alice", "--scope", "read:messages write:messages"));
	take_apart(BG_MINT_KEY_A, &header, &claims);
	bg_format(kid, sizeof(kid), "\"%s\"", bg_mint_kid(BG_MINT_KEY_A));
	ck_member(header, "alg", "\"RS256\"");
	ck_member(header, "typ", "\"at+jwt\"");
	ck_member(header, "kid", kid);
	ck_assert_uint_eq(json_object_size(header), 3);
	ck_member(claims, "iss", "\"https://id.example/\"");
	ck_member(claims, "sub", "\"alice\"");
	ck_member(claims, "aud", "\"https://api.example\"");
	ck_member(claims, "iat", "1700000000");
	ck_member(claims, "exp", "1700003600");
	ck_member(claims, "scope", "\"read:messages write:messages\"");
	ck_assert_uint_eq(json_string_length(json_object_get(claims, "jti")), 22);
	ck_assert_uint_eq(json_object_size(claims), 7);
	json_decref(header);
	json_decref(claims);

	ck_quiet(TOKEN(NULL));
	take_apart(BG_MINT_KEY_A, &header, &claims);
	ck_member(claims, "sub", NULL);
	ck_member(claims, "nbf", NULL);
	ck_member(claims, "scope", NULL);
	ck_assert_uint_eq(json_object_size(claims), 5);
	json_decref(header);
	json_decref(claims);
}
END_TEST

START_TEST(core_accepts_what_was_minted_under_what_was_minted)
{
	const struct bg_alg *alg = bg_alg_find(BG_SLICE("RS256"));
	struct bg_error why = { 0 };
	const struct bg_jwk *key;
	struct bg_token *token;
	struct bg_jwks *set;

	ck_quiet(RUN("mint", "key", "-o", in_dir("key.pem")));
	ck_quiet(RUN("mint", "jwks", in_dir("key.pem")));
	ck_assert_int_eq(bg_jwks_parse(bg_slice_str(out), "test", &set, &why), 0);
	ck_quiet(RUN("mint", "token", "-k", in_dir("key.pem"), "--iss", "https://id.example/", "--aud", "a"));
	out[strcspn(out, "\n")] = '\0';
	ck_assert_msg(bg_token_parse(bg_slice_str(out), &token, &why) == 0, "%s", why.detail);
	key = bg_jwks_next(set, NULL, token->kid, alg);
	ck_assert_ptr_nonnull(key);
	ck_reason(alg->verify(alg, key, token->signing_input, token->signature, &why), why, BG_R_OK, "verify");
	bg_token_free(token);
	bg_jwks_unref(set);
}
END_TEST

START_TEST(a_token_is_of_this_moment_and_unlike_any_other)
{
	const char *const args[] = { "mint", "token", "-k", KEY_A, "--iss", "i", "--aud", "a", NULL };
	int64_t before = bg_clock_wall(), iat;
	json_t *header, *first, *second;

	ck_quiet(run_to(-1, args));
	take_apart(BG_MINT_KEY_A, &header, &first);
	json_decref(header);
	ck_quiet(run_to(-1, args));
	take_apart(BG_MINT_KEY_A, &header, &second);
	json_decref(header);
	iat = json_integer_value(json_object_get(first, "iat"));
	ck_assert_int_ge(iat, before);
	ck_assert_int_le(iat, bg_clock_wall());
	ck_assert_str_ne(json_string_value(json_object_get(first, "jti")),
	    json_string_value(json_object_get(second, "jti")));
	json_decref(first);
	json_decref(second);
}
END_TEST

/* What one or two more options make of a token.  want is JSON, NULL for a member that must not be there. */
static const struct { const char *option[6]; bool in_header; const char *name, *want; } effects[] = {
	{ { "--aud", "b" },                              false, "aud",   "[\"https://api.example\",\"b\"]" },
	{ { "--expires", "30s" },                        false, "exp",   "1700000030" },
	{ { "--expires", "5m" },                         false, "exp",   "1700000300" },
	{ { "--expires", "2d" },                         false, "exp",   "1700172800" },
	{ { "--expires", "0s" },                         false, "exp",   "1700000000" },
	{ { "--expires", "-1h" },                        false, "exp",   "1699996400" },
	{ { "--expires=-1h" },                           false, "iat",   "1700000000" },
	{ { "--not-before", "1m" },                      false, "nbf",   "1700000060" },
	{ { "--not-before", "-1m" },                     false, "nbf",   "1699999940" },
	{ { "--now", "-1" },                             false, "iat",   "-1" },
	{ { "--kid", "summer" },                         true,  "kid",   "\"summer\"" },
	{ { "--sub", "Cem \xc3\x96zdemir" },             false, "sub",   "\"Cem \xc3\x96zdemir\"" },
	{ { "--sub", "" },                               false, "sub",   "\"\"" },

	/* a value that is JSON is JSON, all else is a string */
	{ { "--claim", "org_id=org_eu" },                false, "org_id", "\"org_eu\"" },
	{ { "--claim", "level=3" },                      false, "level", "3" },
	{ { "--claim", "level=\"3\"" },                  false, "level", "\"3\"" },
	{ { "--claim", "level=3 of 4" },                 false, "level", "\"3 of 4\"" },
	{ { "--claim", "admin=true" },                   false, "admin", "true" },
	{ { "--claim", "empty=" },                       false, "empty", "\"\"" },
	{ { "--claim", "eq=a=b" },                       false, "eq",    "\"a=b\"" },
	{ { "--claim", "permissions=[\"a\",\"b\"]" },    false, "permissions", "[\"a\",\"b\"]" },
	{ { "--claim", "https://x.example/roles=[]" },   false, "https://x.example/roles", "[]" },
	{ { "--claim", "nul=\"a\\u0000b\"" },            false, "nul",   "\"a\\u0000b\"" },	/* SR-27 wants such a token */

	/* what is said outright wins over what we make, and the later over the earlier */
	{ { "--claim", "exp=\"soon\"" },                 false, "exp",   "\"soon\"" },		/* SR-26 */
	{ { "--claims", "{\"exp\":1e300}" },             false, "exp",   "1.0000000000000001e300" },	/* SR-25 */
	{ { "--claims", "{\"iss\":7,\"a\":{\"b\":null}}" }, false, "iss", "7" },
	{ { "--claims", "{\"iss\":7,\"a\":{\"b\":null}}" }, false, "a",  "{\"b\":null}" },
	{ { "--claims", "{\"a\":1}", "--claim", "a=2" }, false, "a",     "2" },
	{ { "--claim", "a=2", "--claims", "{\"a\":1}" }, false, "a",     "1" },
	{ { "--claim", "a=null", "--claim", "a=2" },     false, "a",     "2" },
	{ { "--header", "{\"alg\":\"none\"}" },          true,  "alg",   "\"none\"" },		/* SR-3 */
	{ { "--header", "{\"crit\":[\"b64\"]}" },        true,  "crit",  "[\"b64\"]" },		/* SR-4 */
	{ { "--kid", "a", "--header", "{\"kid\":\"b\"}" }, true, "kid",  "\"b\"" },

	/* and null takes a member out */
	{ { "--claims", "{\"iss\":null}" },              false, "iss",   NULL },
	{ { "--claims", "{\"aud\":null}" },              false, "aud",   NULL },
	{ { "--claims", "{\"exp\":null,\"b\":1}" },      false, "exp",   NULL },
	{ { "--claims", "{\"exp\":null,\"b\":1}" },      false, "b",     "1" },
	{ { "--claim", "iat=null" },                     false, "iat",   NULL },
	{ { "--claim", "jti=null" },                     false, "jti",   NULL },
	{ { "--claim", "unheard=null" },                 false, "unheard", NULL },
	{ { "--header", "{\"alg\":null}" },              true,  "alg",   NULL },
	{ { "--header", "{\"typ\":null}" },              true,  "typ",   NULL },
	{ { "--header", "{\"kid\":null}" },              true,  "kid",   NULL },
};

START_TEST(an_option_changes_what_it_says_and_the_signature_follows)
{
	const char *const *o = effects[_i].option;
	json_t *header, *claims;

	ck_quiet(TOKEN(o[0], o[1], o[2], o[3]));
	take_apart(BG_MINT_KEY_A, &header, &claims);
	ck_member(effects[_i].in_header ? header : claims, effects[_i].name, effects[_i].want);
	json_decref(header);
	json_decref(claims);
}
END_TEST

START_TEST(a_token_without_issuer_or_audience_has_to_be_asked_for)
{
	json_t *header, *claims;

	ck_quiet(RUN("mint", "token", "--key", KEY_A, "--claim", "iss=null", "--claim", "aud=null"));
	take_apart(BG_MINT_KEY_A, &header, &claims);
	ck_member(claims, "iss", NULL);
	ck_member(claims, "aud", NULL);
	json_decref(header);
	json_decref(claims);
	ck_failed(RUN("mint", "token", "-k", KEY_A, "--aud", "a"), EX_USAGE, "needs --iss");
	ck_failed(RUN("mint", "token", "-k", KEY_A, "--iss", "i"), EX_USAGE, "needs --aud");
	ck_failed(RUN("mint", "token", "--iss", "i", "--aud", "a"), EX_USAGE, "needs -k");
}
END_TEST

START_TEST(a_short_key_signs_with_a_remark)	/* SR-10 */
{
	json_t *header, *claims;

	ck_assert_int_eq(RUN("mint", "token", "-k", KEY_SHORT, "--iss", "i", "--aud", "a"), EX_OK);
	ck_assert_ptr_nonnull(strstr(err, "remark: bearergate will not accept this key"));
	ck_assert_ptr_null(strstr(err, "eyJ"));
	take_apart(BG_MINT_KEY_SHORT, &header, &claims);
	json_decref(header);
	json_decref(claims);
}
END_TEST

START_TEST(a_token_that_cannot_be_made_or_delivered_shows_nowhere)	/* SR-85 */
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(full, 0);
	ck_failed(run_to(full, (const char *const[]){ "mint", "token", "-k", KEY_A, "--iss", "i", "--aud", "a", NULL }),
	    EX_IOERR, "standard output: No space left");
	ck_assert_ptr_null(strstr(err, "eyJ"));
	close(full);
	ck_failed(RUN("mint", "token", "-k", in_dir("none"), "--iss", "i", "--aud", "a"), EX_NOINPUT, "/none: No such file");
	write_text(in_dir("hello"), "hello\n");
	ck_failed(RUN("mint", "token", "-k", in_dir("hello"), "--iss", "i", "--aud", "a"), EX_DATAERR, "no private key");
}
END_TEST

/* ---- tokens that are bound --------------------------------------------------------------------------------------- */

static const struct { const char *name, *key, *cert, *want; } bindings[] = {
	/* thumbprints as "openssl x509 -fingerprint -sha256" has them */
	{ "RSA certificate",     NULL, "rsa-2048-a-cert.pem", "{\"x5t#S256\":\"NfOCZPTZmtDXH78i9v5W3WGRf5yD0tsZ6WQh_EbwNew\"}" },
	{ "P-256 certificate",   NULL, "p256-cert.pem",       "{\"x5t#S256\":\"xSoMChCVdQ5ASIIFa0Z9Ws7yUr2Bvn2pqTil0XCd8_w\"}" },
	{ "Ed25519 certificate", NULL, "ed25519-cert.pem",    "{\"x5t#S256\":\"ymekZShSjxMpvl7YKrixZ4bTn-9ySbAFFF-UgSVL7Xk\"}" },
	/* thumbprints as node's crypto makes them: RFC 7638 section 3 */
	{ "RSA key",             "rsa-2048-b.pem", NULL,      "{\"jkt\":\"Aqv9Eyxi0WJ1JlFsW94D047x72dm3d48k6M0AWdANi8\"}" },
	{ "P-256 key",           "p256.pem", NULL,            "{\"jkt\":\"0UN0STi5MMCGBjsBHBceojpEDLK-33a-s7lEsJNcLiU\"}" },
	{ "Ed25519 key",         "ed25519.pem", NULL,         "{\"jkt\":\"4t2WlRXqvW0ruJXs6oFqXrXcAIWm9e02m4SncBBeSEg\"}" },
	{ "both",                "p256.pem", "p256-cert.pem",
	  "{\"jkt\":\"0UN0STi5MMCGBjsBHBceojpEDLK-33a-s7lEsJNcLiU\",\"x5t#S256\":\"xSoMChCVdQ5ASIIFa0Z9Ws7yUr2Bvn2pqTil0XCd8_w\"}" },
};

START_TEST(a_token_is_bound_to_what_was_said)	/* RFC 9449 section 6.1, RFC 8705 section 3.1 */
{
	const char *args[16] = { "mint", "token", "-k", KEY_A, "--iss", "i", "--aud", "a" };
	json_t *header, *claims;
	size_t n = 8;

	if (bindings[_i].key != NULL) {
		args[n++] = "--dpop-key";
		args[n++] = in_keys(bindings[_i].key);
	}
	if (bindings[_i].cert != NULL) {
		args[n++] = "--client-cert";
		args[n++] = in_keys(bindings[_i].cert);
	}
	ck_quiet(run_to(-1, args));
	take_apart(BG_MINT_KEY_A, &header, &claims);
	ck_member(claims, "cnf", bindings[_i].want);
	json_decref(header);
	json_decref(claims);
}
END_TEST

START_TEST(the_first_certificate_of_a_file_counts_and_nothing_around_it)
{
	json_t *header, *claims;
	char text[8192];

	bg_format(text, sizeof(text), "subject=CN = client.example\n%s", text_of(in_keys("p256-cert.pem")));
	bg_format(text + strlen(text), sizeof(text) - strlen(text), "%s", text_of(in_keys("ed25519-cert.pem")));
	write_text(in_dir("chain.pem"), text);
	ck_quiet(TOKEN("--client-cert", in_dir("chain.pem"), "--claim", "sub=x"));
	take_apart(BG_MINT_KEY_A, &header, &claims);
	ck_member(claims, "cnf", "{\"x5t#S256\":\"xSoMChCVdQ5ASIIFa0Z9Ws7yUr2Bvn2pqTil0XCd8_w\"}");
	json_decref(header);
	json_decref(claims);

	ck_quiet(TOKEN("--dpop-key", KEY_P256, "--claim", "cnf={\"jkt\":7}"));	/* what is said outright wins */
	take_apart(BG_MINT_KEY_A, &header, &claims);
	ck_member(claims, "cnf", "{\"jkt\":7}");
	json_decref(header);
	json_decref(claims);
}
END_TEST

START_TEST(a_token_bound_to_nothing_is_not_made)
{
	ck_failed(TOKEN("--dpop-key", in_dir("none")), EX_NOINPUT, "/none: No such file");
	ck_failed(TOKEN("--dpop-key", in_keys("p256-cert.pem")), EX_DATAERR, "p256-cert.pem: no private key in PEM");
	ck_failed(TOKEN("--client-cert", in_dir("none")), EX_NOINPUT, "/none: No such file");
	ck_failed(TOKEN("--client-cert", dir), EX_NOINPUT, "Is a directory");
	ck_failed(TOKEN("--client-cert", KEY_P256), EX_DATAERR, "p256.pem: no certificate in PEM");
	ck_failed(TOKEN("--client-cert", "/dev/zero"), EX_DATAERR, "/dev/zero: more than 65536 bytes");
	write_text(in_dir("bad.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	ck_failed(TOKEN("--client-cert", in_dir("bad.pem")), EX_DATAERR, "bad.pem: client certificate: no X.509");
}
END_TEST

/* ---- mint proof -------------------------------------------------------------------------------------------------- */

/* Of the algorithm that has but one signature for a key and a text, so that take_apart can check it. */
#define PROOF(...)											\
	RUN("mint", "proof", "-k", KEY_B, "--method", "GET", "--url", "https://api.example/a/b?c=d#e",	\
	    "--now", "1700000000", __VA_ARGS__)

START_TEST(a_proof_says_what_was_asked_and_no_more)	/* RFC 9449 section 4.2 */
{
	json_t *header, *claims, *jwk;
	struct bg_error why = { 0 };

	ck_quiet(PROOF(NULL));
	take_apart(BG_MINT_KEY_B, &header, &claims);
	ck_member(header, "typ", "\"dpop+jwt\"");
	ck_member(header, "alg", "\"RS256\"");
	ck_assert_uint_eq(json_object_size(header), 3);
	ck_assert_int_eq(bg_issuer_key_jwk(bg_mint_key(BG_MINT_KEY_B), NULL, &jwk, &why), 0);
	ck_assert_int_eq(json_object_del(jwk, "use") | json_object_del(jwk, "alg") | json_object_del(jwk, "kid"), 0);
	ck_assert_uint_eq(json_object_size(jwk), 3);
	ck_assert(json_equal(json_object_get(header, "jwk"), jwk));
	ck_member(claims, "htm", "\"GET\"");
	ck_member(claims, "htu", "\"https://api.example/a/b\"");
	ck_member(claims, "iat", "1700000000");
	ck_assert_uint_eq(json_string_length(json_object_get(claims, "jti")), 22);
	ck_assert_uint_eq(json_object_size(claims), 4);
	json_decref(jwk);
	json_decref(header);
	json_decref(claims);
}
END_TEST

static const struct { const char *option[6]; bool in_header; const char *name, *want; } proof_effects[] = {
	/* the token and ath of RFC 9449 section 7.1 */
	{ { "--token", "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU" }, false, "ath", "\"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo\"" },
	{ { "--nonce", "eyJ7S_zG.eyJH0-Z.HX4w-7v" },     false, "nonce", "\"eyJ7S_zG.eyJH0-Z.HX4w-7v\"" },
	{ { "--jti", "-BwC3ESc6acc2lTc" },               false, "jti",   "\"-BwC3ESc6acc2lTc\"" },
	{ { "--iat", "-5m" },                            false, "iat",   "1699999700" },
	{ { "--iat", "30s" },                            false, "iat",   "1700000030" },
	{ { "--method", "post" },                        false, "htm",   "\"post\"" },
	{ { "--url", "HTTP://Api.Example:80/%7ea#" },    false, "htu",   "\"HTTP://Api.Example:80/%7ea\"" },
	{ { "--url", "https://api.example?x" },          false, "htu",   "\"https://api.example\"" },
	{ { "--claim", "htu=https://api.example/?a" },   false, "htu",   "\"https://api.example/?a\"" },
	{ { "--claim", "htu=/a" },                       false, "htu",   "\"/a\"" },
	{ { "--claim", "ath=x", "--token", "t" },        false, "ath",   "\"x\"" },
	{ { "--claims", "{\"iat\":null}" },              false, "iat",   NULL },
	{ { "--claims", "{\"jti\":null}" },              false, "jti",   NULL },
	{ { "--claim", "iat=\"now\"" },                  false, "iat",   "\"now\"" },
	{ { "--header", "{\"typ\":\"JWT\"}" },           true,  "typ",   "\"JWT\"" },
	{ { "--header", "{\"jwk\":null}" },              true,  "jwk",   NULL },
	{ { "--header", "{\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}" }, true, "jwk", "{\"kty\":\"oct\",\"k\":\"AA\"}" },	/* SR-61 */
	{ { "--header", "{\"alg\":\"none\"}" },          true,  "alg",   "\"none\"" },
};

START_TEST(an_option_changes_what_a_proof_says_and_the_signature_follows)
{
	const char *const *o = proof_effects[_i].option;
	json_t *header, *claims;

	ck_quiet(PROOF(o[0], o[1], o[2], o[3]));
	take_apart(BG_MINT_KEY_B, &header, &claims);
	ck_member(proof_effects[_i].in_header ? header : claims, proof_effects[_i].name, proof_effects[_i].want);
	json_decref(header);
	json_decref(claims);
}
END_TEST

START_TEST(a_proof_is_of_this_moment_and_unlike_any_other)
{
	const char *const args[] = { "mint", "--dpop", "-k", KEY_B, "--method", "GET", "--url", "https://a.example/", NULL };
	int64_t before = bg_clock_wall(), iat;
	json_t *header, *first, *second;

	ck_quiet(run_to(-1, args));
	take_apart(BG_MINT_KEY_B, &header, &first);
	ck_member(header, "typ", "\"dpop+jwt\"");	/* also by that name */
	json_decref(header);
	ck_quiet(run_to(-1, args));
	take_apart(BG_MINT_KEY_B, &header, &second);
	json_decref(header);
	iat = json_integer_value(json_object_get(first, "iat"));
	ck_assert_int_ge(iat, before);
	ck_assert_int_le(iat, bg_clock_wall());
	ck_assert_str_ne(json_string_value(json_object_get(first, "jti")), json_string_value(json_object_get(second, "jti")));
	json_decref(first);
	json_decref(second);
}
END_TEST

/* A file with the token, or what is to be none. */
static const struct { const char *name, *text; int want; const char *words; } token_files[] = {
	{ "a line",           "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU\n",   EX_OK, NULL },
	{ "no line end",      "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",     EX_OK, NULL },
	{ "CR and LF",        "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU\r\n", EX_OK, NULL },
	{ "nothing",          "",                  EX_DATAERR, "/token: there is no token" },
	{ "an empty line",    "\n",                EX_DATAERR, "/token: there is no token" },
	{ "two lines",        "hunter2\nb\n",      EX_DATAERR, "/token: a token has no white space" },
	{ "two line ends",    "hunter2\n\n",       EX_DATAERR, "/token: a token has no white space" },
	{ "with its scheme",  "DPoP hunter2\n",    EX_DATAERR, "/token: a token has no white space" },
	{ "not ASCII",        "hunter2\xc3\xa9\n", EX_DATAERR, "/token: a token has no white space" },
};

START_TEST(the_token_of_a_proof_can_stand_in_a_file)
{
	json_t *header, *claims;

	write_text(in_dir("token"), token_files[_i].text);
	if (token_files[_i].want != EX_OK) {
		ck_failed(PROOF("--token-file", in_dir("token")), token_files[_i].want, token_files[_i].words);
		ck_assert_ptr_null(strstr(err, "hunter2"));	/* SR-85 */
		return;
	}
	for (int turn = 0; turn < 2; turn++) {
		if (turn == 1) {	/* and come from standard input */
			int fd = open(in_dir("token"), O_RDONLY | O_CLOEXEC);

			ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
			close(fd);
		}
		ck_quiet(PROOF("--token-file", turn == 0 ? in_dir("token") : "-"));
		take_apart(BG_MINT_KEY_B, &header, &claims);
		ck_member(claims, "ath", "\"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo\"");
		json_decref(header);
		json_decref(claims);
	}
}
END_TEST

START_TEST(a_proof_that_cannot_be_made_shows_nowhere)
{
	ck_failed(PROOF("--token-file", in_dir("none")), EX_NOINPUT, "/none: No such file");
	ck_failed(PROOF("--token-file", "/dev/zero"), EX_DATAERR, "/dev/zero: more than 4194304 bytes");
	ck_failed(PROOF("-k", in_dir("none")), EX_NOINPUT, "/none: No such file");
	ck_failed(PROOF("-a", "ES256"), EX_DATAERR, "rsa-2048-b.pem: ES256 is not for a key of kind RSA");
	ck_assert_int_eq(PROOF("-k", KEY_SHORT), EX_OK);	/* SR-10 */
	ck_assert_ptr_nonnull(strstr(err, "rsa-1024.pem: remark: bearergate will not accept this key"));
}
END_TEST

START_TEST(a_proof_by_each_algorithm_verifies_by_the_key_in_it)	/* RFC 9449 section 4.3 checks 5 and 6 */
{
	static const struct { const char *alg, *key; } rows[] = {
		{ "RS256", "rsa-2048-a.pem" }, { "PS256", "rsa-3072.pem" }, { "RS512", "rsa-2048-a.pem" }, { "ES256", "p256.pem" },
		{ "ES384", "p384.pem" }, { "ES512", "p521.pem" }, { "EdDSA", "ed25519.pem" },
	};
	static char head[sizeof(out)];

	for (int i = 0; i < N(rows); i++) {
		const struct bg_alg *alg = bg_alg_find(bg_slice_str(rows[i].alg));
		struct bg_error why = { 0 };
		struct bg_token *proof;
		json_t *header;
		struct bg_jwk *key;

		ck_quiet(RUN("mint", "proof", "-a", rows[i].alg, "-k", in_keys(rows[i].key), "--method", "GET", "--url", "http://a/"));
		out[strcspn(out, "\n")] = '\0';
		ck_assert_msg(bg_token_parse(bg_slice_str(out), &proof, &why) == 0, "%s", why.detail);
		ck_assert(bg_slice_equal(proof->alg, bg_slice_str(rows[i].alg)));
		header = object_of(decoded(head, out, strchr(out, '.')));
		ck_reason(bg_jwk_parse(json_object_get(header, "jwk"), &key, &why), why, BG_R_OK, rows[i].alg);
		ck_reason(alg->verify(alg, key, proof->signing_input, proof->signature, &why), why, BG_R_OK, rows[i].alg);
		bg_jwk_free(key);
		json_decref(header);
		bg_token_free(proof);
	}
}
END_TEST

/* ---- algorithms -------------------------------------------------------------------------------------------------- */

static const struct { const char *alg; const char *made_with; } algs[] = {
	{ "RS256", NULL }, { "RS384", "RS256" }, { "RS512", "PS256" }, { "PS256", "PS256" }, { "PS384", "RS256" }, { "PS512", "RS512" },
	{ "ES256", "ES256" }, { "ES384", "ES384" }, { "ES512", "ES512" }, { "EdDSA", "EdDSA" },
};

START_TEST(a_token_by_each_algorithm_verifies_with_its_key_set)	/* RFC 7518 section 3.1, RFC 8037 section 3.1 */
{
	const struct bg_alg *alg = bg_alg_find(bg_slice_str(algs[_i].alg));
	struct bg_error why = { 0 };
	const struct bg_jwk *key;
	struct bg_token *token;
	struct bg_jwks *set;

	if (algs[_i].made_with == NULL)
		ck_quiet(RUN("mint", "key", "-o", in_dir("key.pem")));
	else
		ck_quiet(RUN("mint", "key", "-a", algs[_i].made_with, "-o", in_dir("key.pem")));
	ck_quiet(RUN("mint", "jwks", "--alg", algs[_i].alg, in_dir("key.pem")));
	ck_assert_ptr_nonnull(strstr(out, algs[_i].alg));
	ck_assert_int_eq(bg_jwks_parse(bg_slice_str(out), "test", &set, &why), 0);
	ck_quiet(RUN("mint", "token", "-a", algs[_i].alg, "-k", in_dir("key.pem"), "--iss", "https://id.example/", "--aud", "a"));
	out[strcspn(out, "\n")] = '\0';
	ck_assert_msg(bg_token_parse(bg_slice_str(out), &token, &why) == 0, "%s", why.detail);
	ck_assert(bg_slice_equal(token->alg, bg_slice_str(algs[_i].alg)));
	ck_assert_ptr_nonnull(key = bg_jwks_next(set, NULL, token->kid, alg));
	ck_reason(alg->verify(alg, key, token->signing_input, token->signature, &why), why, BG_R_OK, algs[_i].alg);
	bg_token_free(token);
	bg_jwks_unref(set);
}
END_TEST

START_TEST(a_key_says_which_algorithm_it_is_usually_for)
{
	static const struct { const char *file, *alg; } usual[] = {
		{ "rsa-3072.pem", "RS256" }, { "p256.pem", "ES256" }, { "p384.pem", "ES384" }, { "p521.pem", "ES512" },
		{ "ed25519.pem", "EdDSA" },
	};
	static char paths[sizeof(usual) / sizeof(usual[0])][2 * PATH_SIZE];
	const char *args[16] = { "mint", "jwks" };
	json_t *set, *keys_of_set;

	for (int i = 0; i < N(usual); i++) {
		static char text[sizeof(out)];
		json_t *header;

		ck_quiet(RUN("mint", "token", "-k", in_keys(usual[i].file), "--iss", "i", "--aud", "a"));
		header = object_of(decoded(text, out, strchr(out, '.')));
		ck_assert_str_eq(json_string_value(json_object_get(header, "alg")), usual[i].alg);
		json_decref(header);
	}
	/* and all of them make one set */
	for (int i = 0; i < N(usual); i++) {
		bg_format(paths[i], sizeof(paths[i]), "%s", in_keys(usual[i].file));
		args[2 + i] = paths[i];
	}
	ck_quiet(run_to(-1, args));
	ck_assert_ptr_nonnull(set = json_loads(out, 0, NULL));
	keys_of_set = json_object_get(set, "keys");
	ck_assert_uint_eq(json_array_size(keys_of_set), N(usual));
	for (int i = 0; i < N(usual); i++)
		ck_assert_str_eq(json_string_value(json_object_get(json_array_get(keys_of_set, (size_t)i), "alg")), usual[i].alg);
	json_decref(set);
}
END_TEST

START_TEST(an_algorithm_that_does_not_fit_the_key_makes_nothing)	/* SR-1 */
{
	ck_failed(TOKEN("-a", "ES256"), EX_DATAERR, "rsa-2048-a.pem: ES256 is not for a key of kind RSA");
	ck_failed(RUN("mint", "token", "-a", "ES384", "-k", KEY_P256, "--iss", "i", "--aud", "a"), EX_DATAERR,
	    "p256.pem: ES384 is not for a key of kind P-256");
	ck_failed(RUN("mint", "jwks", "-a", "PS256", "-o", in_dir("jwks.json"), KEY_A, KEY_P256), EX_DATAERR,
	    "p256.pem: PS256 is not for a key of kind P-256");
	ck_failed(RUN("mint", "token", "-a", "PS512", "-k", in_dir("none"), "--iss", "i", "--aud", "a"), EX_NOINPUT, "No such file");
	ck_assert_uint_eq(files_in_dir(false), 0);
}
END_TEST

/* ---- wrong words ------------------------------------------------------------------------------------------------- */

#define T	"mint", "token", "-k", "/nonexistent/k", "--iss", "i", "--aud", "a"

#define P	"mint", "proof", "-k", "/nonexistent/k", "--method", "GET", "--url", "http://a/"

static const struct { const char *args[14]; const char *words; } wrong[] = {
	{ { NULL },                                     "a verb is needed" },
	{ { "" },                                       "unknown verb \"\"" },
	{ { "chek" },                                   "unknown verb \"chek\"" },
	{ { "--verison" },                              "unknown option --verison" },
	{ { "--secret=hunter2" },                       "unknown option --secret (" },

	{ { "mint" },                                   "key, jwks, token or proof" },
	{ { "mint", "keys" },                           "mint makes no \"keys\"" },
	{ { "mint", "-o", "x", "key" },                 "unknown option -o; key, jwks, token or proof comes first" },

	{ { "mint", "key" },                            "needs -o" },
	{ { "mint", "key", "-o", "" },                  "needs -o" },
	{ { "mint", "key", "-o" },                      "-o needs a value" },
	{ { "mint", "key", "--output" },                "--output needs a value" },
	{ { "mint", "key", "-o", "x", "y" },            "takes no \"y\"" },
	{ { "mint", "key", "-x" },                      "unknown option -x" },
	{ { "mint", "key", "--exotic" },                "unknown or ambiguous option --exotic" },
	{ { "mint", "key", "--secret=hunter2" },        "unknown or ambiguous option --secret (" },
	{ { "mint", "key", "--force=yes" },             "--force takes no value" },
	{ { "mint", "key", "-a", "HS256" },             "no algorithm \"HS256\" here; there is RS256" },
	{ { "mint", "key", "-a", "none" },              "no algorithm \"none\"" },
	{ { "mint", "key", "-b", "" },                  "\"\" is no number of bits" },
	{ { "mint", "key", "-b", "0" },                 "\"0\" is no number of bits" },
	{ { "mint", "key", "-b", "-2048" },             "is no number of bits" },
	{ { "mint", "key", "-b", "2048x" },             "\"2048x\" is no number of bits" },
	{ { "mint", "key", "-b", " 2048" },             "is no number of bits" },
	{ { "mint", "key", "-b", "4294969344" },        "is no number of bits" },	/* 2^32 + 2048 */
	{ { "mint", "key", "-b", "99999999999999999999" }, "is no number of bits" },
	{ { "mint", "key", "-b", "511", "-o", "/nonexistent/x" },  "-b: an RSA key has 512 to 8192 bits, not 511" },
	{ { "mint", "key", "-b", "8193", "-o", "/nonexistent/x" }, "-b: an RSA key has 512 to 8192 bits, not 8193" },

	{ { "mint", "key", "-a", "es256" },             "no algorithm \"es256\"" },
	{ { "mint", "key", "-a", "" },                  "no algorithm \"\"" },
	{ { "mint", "key", "-a", "ES256", "-b", "256", "-o", "/nonexistent/x" }, "-b: only RSA keys have a choice of bits; ES256" },
	{ { "mint", "key", "-b", "2048", "-a", "EdDSA", "-o", "/nonexistent/x" }, "-b: only RSA keys have a choice of bits; EdDSA" },

	{ { "mint", "jwks" },                           "at least one key file" },
	{ { "mint", "jwks", "-a", "HS256", "k" },       "no algorithm \"HS256\" here; there is RS256" },
	{ { "mint", "jwks", "-a" },                     "-a needs a value" },
	{ { "mint", "jwks", "-o", "", "k" },            "-o: the name of the file is empty" },
	{ { "mint", "jwks", "--kid", "\xff", "k" },     "--kid: not UTF-8" },
	{ { "mint", "jwks", "--iss", "x" },             "unknown or ambiguous option --iss" },

	{ { T, "more" },                                "takes no \"more\"" },
	{ { T, "-a", "none" },                          "no algorithm \"none\"" },
	{ { T, "--alg" },                               "--alg needs a value" },
	{ { T, "--issuer", "x" },                       "unknown or ambiguous option --issuer" },
	{ { T, "--n", "1" },                            "unknown or ambiguous option --n" },
	{ { T, "--sub" },                               "--sub needs a value" },
	{ { T, "--sub", "\xff" },                       "--sub: not UTF-8" },	/* RFC 8259 section 8.1 */
	{ { T, "--scope", "a\xc3" },                    "--scope: not UTF-8" },
	{ { T, "--kid", "\xed\xa0\x80" },               "--kid: not UTF-8" },
	{ { T, "--aud", "\xff" },                       "--aud: not UTF-8" },
	{ { T, "--expires", "" },                       "--expires: \"\" is no time" },
	{ { T, "--expires", "60" },                     "--expires: \"60\" is no time such as 30s" },	/* SR-54 */
	{ { T, "--expires", "h" },                      "is no time" },
	{ { T, "--expires", "1hour" },                  "is no time" },
	{ { T, "--expires", "1.5h" },                   "is no time" },
	{ { T, "--expires", "1 h" },                    "is no time" },
	{ { T, "--expires", "--1h" },                   "is no time" },
	{ { T, "--expires", "1H" },                     "is no time" },
	{ { T, "--expires", "9223372036854775807d" },   "is no time" },
	{ { T, "--expires", "99999999999999999999s" },  "is no time" },
	{ { T, "--expires", "00000000000000000000000000000001s" }, "is no time" },
	{ { T, "--not-before", "1" },                   "--not-before: \"1\" is no time" },
	{ { T, "--now", "" },                           "--now: \"\" is no number" },
	{ { T, "--now", "today" },                      "--now: \"today\" is no number" },
	{ { T, "--now", "1e9" },                        "--now: \"1e9\" is no number" },
	{ { T, "--now", "9223372036854775808" },        "is no number of seconds" },
	{ { T, "--claim", "" },                         "--claim: NAME=VALUE was expected" },
	{ { T, "--claim", "sub" },                      "--claim: NAME=VALUE was expected" },
	{ { T, "--claim", "=x" },                       "--claim: NAME=VALUE was expected" },
	{ { T, "--claim", "a=[1" },                     "--claim: JSON: " },
	{ { T, "--claim", "a={b}" },                    "--claim: JSON: " },
	{ { T, "--claim", "a=\"b" },                    "--claim: JSON: " },
	{ { T, "--claim", "a=\xff" },                   "--claim: not UTF-8" },
	{ { T, "--claim", "\xff=a" },                   "--claim: not UTF-8" },
	{ { T, "--claims", "" },                        "--claims: JSON: " },
	{ { T, "--claims", "{" },                       "--claims: JSON: " },
	{ { T, "--claims", "{} x" },                    "--claims: JSON: end of file expected" },
	{ { T, "--claims", "{\"a\":1,\"a\":2}" },       "--claims: JSON: duplicate object key" },
	{ { T, "--claims", "[]" },                      "--claims: an object was expected, not an array" },
	{ { T, "--header", "[]" },                      "--header: an object was expected, not an array" },
	{ { T, "--header", "\"x\"" },                   "--header: JSON: " },

	{ { T, "--dpop-key" },                          "--dpop-key needs a value" },
	{ { T, "--client-cert" },                       "--client-cert needs a value" },
	{ { T, "--token", "hunter2" },                  "unknown or ambiguous option --token" },

	{ { "mint", "proof" },                          "mint proof needs -k" },
	{ { "mint", "--dpop" },                         "mint proof needs -k" },
	{ { "mint", "proof", "-k", "k", "--url", "http://a/" }, "mint proof needs --method, or --claim htm=null" },
	{ { "mint", "proof", "-k", "k", "--method", "GET" }, "mint proof needs --url, or --claim htu=null" },
	{ { P, "more" },                                "mint proof takes no \"more\"" },
	{ { P, "--iss", "i" },                          "unknown or ambiguous option --iss" },
	{ { P, "-a", "none" },                          "no algorithm \"none\"" },
	{ { P, "--url", "api.example/a" },              "--url: an http or https URL was expected; --claim htu=" },
	{ { P, "--url", "" },                           "--url: an http or https URL" },
	{ { P, "--url", "wss://api.example/" },         "--url: an http or https URL" },
	{ { P, "--url", "http://a/\xff" },              "--url: not UTF-8" },
	{ { P, "--method", "\xff" },                    "--method: not UTF-8" },
	{ { P, "--nonce", "\xff" },                     "--nonce: not UTF-8" },
	{ { P, "--jti", "\xff" },                       "--jti: not UTF-8" },
	{ { P, "--iat", "5" },                          "--iat: \"5\" is no time such as 30s" },
	{ { P, "--now", "x" },                          "--now: \"x\" is no number" },
	{ { P, "--token", "hunter2", "--token-file", "-" }, "--token and --token-file: a proof goes with one token" },
	{ { P, "--token", "" },                         "--token: there is no token" },
	{ { P, "--token", "Bearer hunter2" },           "--token: a token has no white space" },
	{ { P, "--claim", "x" },                        "--claim: NAME=VALUE" },
	{ { P, "--header", "[]" },                      "--header: an object was expected" },

	{ { "check", "-c" },                            "-c needs a value" },
	{ { "check", "--env-file" },                    "--env-file needs a value" },
	{ { "check", "--fetch" },                       "unknown or ambiguous option --fetch" },
	{ { "check", "bearergate.conf" },               "check takes no \"bearergate.conf\"" },
};

START_TEST(wrong_words_are_answered_with_one_line)
{
	ck_failed(run_to(-1, wrong[_i].args), EX_USAGE, wrong[_i].words);
	ck_assert_ptr_eq(strchr(err, '\n'), err + strlen(err) - 1);
	ck_assert_ptr_null(strstr(err, "hunter2"));
}
END_TEST

START_TEST(a_time_beyond_all_numbers_makes_no_token)	/* SR-25 */
{
	ck_failed(TOKEN("--now", "9223372036854775807"), EX_USAGE, "exp is further away");
	ck_failed(TOKEN("--now", "9223372036854775807", "--expires", "0s", "--not-before", "1s"), EX_USAGE,
	    "nbf is further away");
	ck_failed(TOKEN("--now", "-9223372036854775808", "--expires", "-1s"), EX_USAGE, "exp is further away");
}
END_TEST

/* ---- help, version, check ---------------------------------------------------------------------------------------- */

START_TEST(help_is_given_on_standard_output)
{
	static const struct { const char *args[4], *words; } rows[] = {
		{ { "--help" },                  "usage: bearergate VERB" },
		{ { "-h" },                      "  check " },
		{ { "--help" },                  "  mint " },
		{ { "check", "--help" },         "usage: bearergate check" },
		{ { "mint", "--help" },          "usage: bearergate mint key" },
		{ { "mint", "key", "-h" },       "usage: bearergate mint key" },
		{ { "mint", "jwks", "--help" },  "usage: bearergate mint key" },
		{ { "mint", "token", "--help" }, "--not-before TIME" },
		{ { "mint", "proof", "-h" },     "--token-file FILE" },
		{ { "mint", "--dpop", "-h" },    "bearergate mint proof" },
	};

	for (int i = 0; i < N(rows); i++) {
		ck_quiet(run_to(-1, rows[i].args));
		ck_assert_msg(strstr(out, rows[i].words) != NULL, "%s: %s", rows[i].words, out);
	}
}
END_TEST

START_TEST(the_version_names_what_it_runs_with)
{
	char want[128];

	bg_format(want, sizeof(want), "\n%s\njansson %s\n", bg_secret_openssl_version(), jansson_version_str());
	ck_quiet(RUN("--version"));
	ck_assert_int_eq(strncmp(out, "bearergate ", 11), 0);
	ck_assert(out[11] >= '0' && out[11] <= '9');
	ck_assert_ptr_nonnull(strstr(out, want));
	ck_assert_ptr_nonnull(strstr(out, "\nOpenSSL 3."));
}
END_TEST

/* Take the lines away that are comments: they say where a value came from, which differs. */
static void
strip_comments(char *text)
{
	char *to = text;

	for (char *line = text, *next; *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		next += *next == '\n';
		if (line[strspn(line, " \t")] != '#') {
			memmove(to, line, (size_t)(next - line));
			to += next - line;
		}
	}
	*to = '\0';
}

START_TEST(two_variables_are_a_good_configuration)
{
	char first[sizeof(out)];

	ck_assert_int_eq(setenv("AUTH0_DOMAIN", "tenant.eu.auth0.com", 1), 0);
	ck_assert_int_eq(setenv("AUTH0_AUDIENCE", "https://api.example", 1), 0);
	ck_good(RUN("check"));
	ck_assert_ptr_nonnull(strstr(out, "https://tenant.eu.auth0.com/"));
	ck_assert_ptr_nonnull(strstr(out, "https://api.example"));
	ck_assert_ptr_nonnull(strstr(out, "\n# configuration is good\n"));

	/* what was printed is a configuration too, and the same one */
	write_text(in_dir("printed.conf"), out);
	strip_comments(out);
	ck_assert_ptr_nonnull(strstr(out, "leeway"));
	bg_format(first, sizeof(first), "%s", out);
	ck_assert_int_eq(unsetenv("AUTH0_DOMAIN"), 0);
	ck_assert_int_eq(unsetenv("AUTH0_AUDIENCE"), 0);
	ck_good(RUN("check", "-c", in_dir("printed.conf")));
	strip_comments(out);
	ck_assert_str_eq(out, first);
	ck_assert_int_eq(setenv("BEARERGATE_CONFIG", in_dir("printed.conf"), 1), 0);
	ck_good(RUN("check"));
	strip_comments(out);
	ck_assert_str_eq(out, first);
}
END_TEST

START_TEST(an_env_file_does_as_well)
{
	write_text(in_dir(".env"), "AUTH0_DOMAIN=tenant.eu.auth0.com\nAUTH0_AUDIENCE=https://api.example\n");
	ck_good(RUN("check", "--env-file", in_dir(".env")));
	ck_assert_ptr_nonnull(strstr(out, "https://tenant.eu.auth0.com/"));
}
END_TEST

START_TEST(a_remark_is_no_refusal)	/* SR-43 */
{
	ck_assert_int_eq(setenv("AUTH0_DOMAIN", "https://Tenant.eu.auth0.com/", 1), 0);
	ck_assert_int_eq(setenv("AUTH0_AUDIENCE", "https://api.example", 1), 0);
	ck_assert_int_eq(RUN("check"), EX_OK);
	ck_assert_ptr_nonnull(strstr(err, "AUTH0_DOMAIN"));
	ck_assert_msg(err_is_lines_of_ours(), "%s", err);
	ck_assert_ptr_nonnull(strstr(out, "# configuration is good\n"));
}
END_TEST

START_TEST(a_bad_configuration_is_refused_with_its_place)
{
	static const struct { const char *text, *words; } rows[] = {
		{ "domain = \"tenant.eu.auth0.com\"\n",                                    "audience" },	/* SR-40 */
		{ "audience = { \"a\" }\ndomian = \"tenant.eu.auth0.com\"\n",              "bad.conf:2: " },
		{ "domain = \"http://tenant.eu.auth0.com\"\naudience = { \"a\" }\n",       "bad.conf:1: " },
		{ "domain = \"t.example\"\naudience = { \"a\" }\nleeway = \"30\"\n",       "bad.conf:3: " },	/* SR-54 */
		{ "issuer \"https://id.example/\" {\n  audience = { \"a\" }\n  algorithms = { \"HS256\" }\n}\n", "HS256" },
		{ "issuer \"https://id.example/\" {\n  audience = { \"a\" }\n  algorithms = { \"none\" }\n}\n",  "none" },
	};

	for (int i = 0; i < N(rows); i++) {
		write_text(in_dir("bad.conf"), rows[i].text);
		ck_failed(RUN("check", "-c", in_dir("bad.conf")), EX_CONFIG, rows[i].words);
	}
	ck_failed(RUN("check"), EX_CONFIG, "bearergate: ");
	ck_failed(RUN("check", "-c", in_dir("none.conf")), EX_NOINPUT, "none.conf");
	ck_failed(RUN("check", "--env-file", in_dir("none.env")), EX_NOINPUT, "none.env");
}
END_TEST

/* ---- around them all --------------------------------------------------------------------------------------------- */

/* Outside the fork of a test, so that the directory goes even when a test fails. */
static void
make_dir(void)
{
	const char *tmp = getenv("TMPDIR"), *srcdir = getenv("srcdir");

	bg_format(dir, sizeof(dir), "%s/test_mint.XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	bg_format(keys, sizeof(keys), "%s/tests/support/keys", srcdir != NULL ? srcdir : ".");
}

static void
remove_dir(void)
{
	(void)files_in_dir(true);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void
begin(void)
{
	(void)files_in_dir(true);
	unsetenv("AUTH0_DOMAIN");
	unsetenv("AUTH0_AUDIENCE");
	unsetenv("BEARERGATE_CONFIG");
	unsetenv("BEARERGATE_CA_FILE");
}

static TCase *
add_case(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_unchecked_fixture(tc, make_dir, remove_dir);
	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_set_timeout(tc, 60);	/* making keys takes as long as the dice want */
	suite_add_tcase(suite, tc);
	return tc;
}

int
main(void)
{
	Suite *suite = suite_create("mint");
	TCase *tc;

	if ((program = getenv("BG_TOOL")) == NULL)
		program = "./bearergate";
	if (access(program, X_OK) != 0) {
		perror(program);
		return EXIT_FAILURE;
	}

	tc = add_case(suite, "key");
	tcase_add_test(tc, a_new_key_is_there_for_its_owner_alone);
	tcase_add_test(tc, a_key_that_is_there_is_replaced_by_force_alone);
	tcase_add_test(tc, a_key_goes_nowhere_but_into_a_file_of_its_own);
	tcase_add_test(tc, a_name_too_long_for_a_file_is_said_to_be);
	tcase_add_test(tc, a_key_too_short_to_be_accepted_is_made_with_a_remark);

	tc = add_case(suite, "jwks");
	tcase_add_test(tc, a_key_set_names_the_keys_by_their_thumbprints);
	tcase_add_test(tc, a_key_set_names_the_one_key_as_told);
	tcase_add_test(tc, a_key_set_can_be_written_over_the_last_one);
	tcase_add_test(tc, a_key_set_lists_a_short_key_with_a_remark);
	tcase_add_test(tc, one_bad_key_file_and_there_is_no_key_set);

	tc = add_case(suite, "token");
	tcase_add_test(tc, a_token_says_what_was_asked_and_no_more);
	tcase_add_test(tc, core_accepts_what_was_minted_under_what_was_minted);
	tcase_add_test(tc, a_token_is_of_this_moment_and_unlike_any_other);
	tcase_add_loop_test(tc, an_option_changes_what_it_says_and_the_signature_follows, 0, N(effects));
	tcase_add_test(tc, a_token_without_issuer_or_audience_has_to_be_asked_for);
	tcase_add_test(tc, a_short_key_signs_with_a_remark);
	tcase_add_test(tc, a_token_that_cannot_be_made_or_delivered_shows_nowhere);

	tc = add_case(suite, "bound tokens");
	tcase_add_loop_test(tc, a_token_is_bound_to_what_was_said, 0, N(bindings));
	tcase_add_test(tc, the_first_certificate_of_a_file_counts_and_nothing_around_it);
	tcase_add_test(tc, a_token_bound_to_nothing_is_not_made);

	tc = add_case(suite, "proof");
	tcase_add_test(tc, a_proof_says_what_was_asked_and_no_more);
	tcase_add_loop_test(tc, an_option_changes_what_a_proof_says_and_the_signature_follows, 0, N(proof_effects));
	tcase_add_test(tc, a_proof_is_of_this_moment_and_unlike_any_other);
	tcase_add_loop_test(tc, the_token_of_a_proof_can_stand_in_a_file, 0, N(token_files));
	tcase_add_test(tc, a_proof_that_cannot_be_made_shows_nowhere);
	tcase_add_test(tc, a_proof_by_each_algorithm_verifies_by_the_key_in_it);

	tc = add_case(suite, "algorithms");
	tcase_add_loop_test(tc, a_token_by_each_algorithm_verifies_with_its_key_set, 0, N(algs));
	tcase_add_test(tc, a_key_says_which_algorithm_it_is_usually_for);
	tcase_add_test(tc, an_algorithm_that_does_not_fit_the_key_makes_nothing);

	tc = add_case(suite, "wrong words");
	tcase_add_loop_test(tc, wrong_words_are_answered_with_one_line, 0, N(wrong));
	tcase_add_test(tc, a_time_beyond_all_numbers_makes_no_token);

	tc = add_case(suite, "help, version and check");
	tcase_add_test(tc, help_is_given_on_standard_output);
	tcase_add_test(tc, the_version_names_what_it_runs_with);
	tcase_add_test(tc, two_variables_are_a_good_configuration);
	tcase_add_test(tc, an_env_file_does_as_well);
	tcase_add_test(tc, a_remark_is_no_refusal);
	tcase_add_test(tc, a_bad_configuration_is_refused_with_its_place);

	return bg_test_run(suite);
}
