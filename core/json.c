#include "core/json.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#include "core/limits.h"

/*
 * jansson 2.14 does not look whether the buffer of a string that it reads could grow (lex_save).  Short of memory it drops
 * a character: out of a claim, which is then another one, or the closing quote, and then it writes past the end of the
 * string.  So it never sees a failure while it parses: its allocator leaves the parser instead (longjmp), and gives back
 * all it made.  For that, nothing is freed before the parser has ended.
 */
struct parse {
	jmp_buf out;
	struct block {
		void *made;
		void *freed;		/* by the parser; two lists, each as long as its own n says */
	}      *blocks;
	size_t  n_made;
	size_t  n_freed;
	size_t  cap;
	struct block first[128];	/* enough for most tokens */
};

static _Thread_local struct parse *parsing;
static _Thread_local bool no_memory;

static void *
allocate(size_t size)
{
	struct parse *parse = parsing;
	void *mem = malloc(size);

	if (mem == NULL)
		no_memory = true;
	if (parse == NULL)
		return mem;
	if (mem != NULL && parse->n_made == parse->cap) {
		bool first = parse->blocks == parse->first;
		struct block *blocks = realloc(first ? NULL : parse->blocks, parse->cap * 2 * sizeof(*blocks));

		if (blocks == NULL) {
			free(mem);
			mem = NULL;
		} else {
			if (first)
				memcpy(blocks, parse->first, sizeof(parse->first));
			parse->blocks = blocks;
			parse->cap *= 2;
		}
	}
	if (mem == NULL)
		longjmp(parse->out, 1);
	parse->blocks[parse->n_made++].made = mem;
	return mem;
}

static void
release(void *mem)
{
	if (parsing == NULL || mem == NULL)
		free(mem);
	else
		parsing->blocks[parsing->n_freed++].freed = mem;
}

/* Run the parser; false when it was left for want of memory.  Nothing local changes between setjmp and longjmp. */
static bool
run_parser(struct parse *parse, struct bg_slice text, json_t **root, json_error_t *error)
{
	parsing = parse;
	if (setjmp(parse->out) != 0) {
		parsing = NULL;
		return false;
	}
	*root = json_loadb(text.ptr != NULL ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, error);
	parsing = NULL;
	return true;
}

/* json_loadb, but *whole is false, and nothing left over, when there was no memory. */
static json_t *
load(struct bg_slice text, json_error_t *error, bool *whole)
{
	struct parse parse;
	json_t *root = NULL;

	parse.blocks = parse.first;
	parse.n_made = parse.n_freed = 0;
	parse.cap = sizeof(parse.first) / sizeof(parse.first[0]);
	*whole = run_parser(&parse, text, &root, error);
	if (*whole)
		for (size_t i = 0; i < parse.n_freed; i++)
			free(parse.blocks[i].freed);
	else
		for (size_t i = 0; i < parse.n_made; i++)
			free(parse.blocks[i].made);
	if (parse.blocks != parse.first)
		free(parse.blocks);
	return *whole ? root : NULL;
}

int
bg_json_start(void)
{
	size_t seed = 0;

	/* jansson takes 0 as "find one yourself", which is as random, only later and with a lock */
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -1;
	json_object_seed(seed);
	json_set_alloc_funcs(allocate, release);
	return 0;
}

/*
 * Not a parser: it trusts jansson to refuse what is no JSON, and only counts what jansson would follow without bound.
 * It can count too much in text that is no JSON, never too little.
 */
int
bg_json_prescan(struct bg_slice text, const char **why)
{
	unsigned members[BG_JSON_DEPTH_MAX] = { 0 };
	size_t depth = 0, number = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || ((c == 'e' || c == 'E') && number > 0)) {
			if (++number > BG_JSON_NUMBER_MAX) {
				*why = "a number is too long";
				return -1;
			}
			continue;
		}
		number = 0;
		switch (c) {
		case '"':
			for (i++; i < text.len && text.ptr[i] != '"'; i++)
				if (text.ptr[i] == '\\')
					i++;
			break;
		case '{':
		case '[':
			if (depth == BG_JSON_DEPTH_MAX) {
				*why = "it is nested too deeply";
				return -1;
			}
			members[depth++] = 0;
			break;
		case '}':
		case ']':
			if (depth > 0)
				depth--;
			break;
		case ':':
			if (depth > 0 && ++members[depth - 1] > BG_JSON_MEMBERS_MAX) {
				*why = "an object has too many members";
				return -1;
			}
			break;
		default:
			break;
		}
	}
	return 0;
}

int
bg_json_object(struct bg_slice text, enum bg_reason reason, json_t **out, struct bg_error *err)
{
	json_error_t parse;
	const char *why;
	json_t *root;
	bool whole;

	*out = NULL;
	if (bg_json_prescan(text, &why) != 0)
		return bg_fail(err, reason, "JSON: %s", why);
	no_memory = false;
	root = load(text, &parse, &whole);
	if (!whole)
		return bg_fail(err, BG_R_NO_MEMORY, "JSON");
	if (root == NULL)
		return bg_fail(err, reason, "JSON: %s at byte %d", parse.text, parse.position);
	if (!json_is_object(root)) {
		bg_fail(err, reason, "JSON: an object was expected, not %s", bg_json_type_name(root));
		json_decref(root);
		return -1;
	}
	*out = root;
	return 0;
}

bool
bg_json_no_memory(void)
{
	return no_memory;
}

void
bg_json_begin(void)
{
	no_memory = false;
}

#define BLOCK(size)	(((size) + 8 + 15) / 16 * 16)	/* what malloc takes for so many bytes */

/* jansson grows the tables of objects and arrays by doubling, so up to two entries for each in use, and eight to begin with. */
size_t
bg_json_bytes(const json_t *value)
{
	size_t bytes, n, i;
	const json_t *entry;
	const char *name;
	json_t *member;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		n = json_object_size(value);
		bytes = BLOCK(96) + BLOCK(16 * (n > 8 ? 2 * n : 8));
		json_object_foreach((json_t *)(uintptr_t)value, name, member)
			bytes += BLOCK(56 + strlen(name) + 1) + bg_json_bytes(member);
		return bytes;
	case JSON_ARRAY:
		n = json_array_size(value);
		bytes = BLOCK(40) + BLOCK(8 * (n > 8 ? 2 * n : 8));
		json_array_foreach(value, i, entry)
			bytes += bg_json_bytes(entry);
		return bytes;
	case JSON_STRING:
		return BLOCK(32) + BLOCK(json_string_length(value) + 1);
	case JSON_INTEGER:
	case JSON_REAL:
		return BLOCK(24);
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	return 0;
}

struct bg_slice
bg_json_string(const json_t *value)
{
	if (!json_is_string(value))
		return (struct bg_slice){ NULL, 0 };
	return (struct bg_slice){ json_string_value(value), json_string_length(value) };
}

const char *
bg_json_type_name(const json_t *value)
{
	static const char *const types[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true", [JSON_FALSE] = "false",
		[JSON_NULL] = "null",
	};

	return value != NULL ? types[json_typeof(value)] : "nothing";
}
