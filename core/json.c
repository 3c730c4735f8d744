#include "core/json.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

#include "core/limits.h"

/*
 * Values that are given back together.  A token's payload is some fifty small blocks, and to take and give back each of them
 * costs more than to parse it, threads wait for each other's heap, and thousands of payloads that are kept lie mixed with all
 * else.  So they are cut from chunks, all of one size, which leave no gaps that another one does not fill.
 *
 * What jansson gives back while it parses is the text of a name, and of a string as far as it has read it, in rooms that double.
 * Such rooms are cut up anew (spares), and those that have a chunk of their own are given back at once.
 */
#define ALIGN		_Alignof(max_align_t)
#define CHUNK		(1024 - 8)	/* what malloc takes 1 KiB for: glibc's threads keep some of these for themselves */
#define WHOLE		(CHUNK / 2)	/* from here on, a block has a chunk of its own */
#define SPARE_LEAST	128		/* there are many smaller blocks, and all but a few are kept */

struct chunk {
	_Alignas(max_align_t) struct chunk *next;
	size_t size;			/* bytes, with this */
};

struct bg_json_pool {
	_Alignas(max_align_t) struct chunk *chunks;	/* behind the first, which begins with this */
	struct chunk *whole;		/* with one block each */
	json_t       *plain;		/* before bg_json_start, when jansson does not ask us: the object, in blocks of malloc's */
};

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
	struct bg_json_pool *pool;	/* what it makes stands here, and the lists are not used; NULL: in blocks of its own */
	char   *at;			/* in the chunk that is cut from; from here on it is free */
	size_t  left;
	size_t  n_spares;
	struct spare {
		char  *at;
		size_t size;
		bool   free;		/* given back, to be cut up */
	}       spares[8];
};

static _Thread_local struct parse *parsing;
static _Thread_local bool no_memory;
static bool started;			/* set before the first thread */

static struct chunk *
add_chunk(struct chunk **list, size_t size)
{
	struct chunk *chunk = malloc(size);

	if (chunk == NULL)
		return NULL;
	chunk->next = *list;
	chunk->size = size;
	*list = chunk;
	return chunk;
}

static char *
take_spare(struct parse *parse, size_t size)
{
	for (size_t i = 0; i < parse->n_spares; i++) {
		struct spare *spare = &parse->spares[i];
		char *at = spare->at;

		if (!spare->free || spare->size < size)
			continue;
		spare->at += size;
		spare->size -= size;
		if (spare->size == 0)
			*spare = parse->spares[--parse->n_spares];
		return at;
	}
	return NULL;
}

static void *
pool_take(struct parse *parse, size_t size)
{
	struct chunk *chunk;
	char *at;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (size >= WHOLE)
		return (chunk = add_chunk(&parse->pool->whole, sizeof(*chunk) + size)) != NULL ? chunk + 1 : NULL;
	if ((at = take_spare(parse, size)) == NULL) {
		if (parse->left < size) {
			if ((chunk = add_chunk(&parse->pool->chunks, CHUNK)) == NULL)
				return NULL;
			parse->at = (char *)(chunk + 1);
			parse->left = CHUNK - sizeof(*chunk);
		}
		at = parse->at;
		parse->at += size;
		parse->left -= size;
	}
	if (size >= SPARE_LEAST && parse->n_spares < sizeof(parse->spares) / sizeof(parse->spares[0]))
		parse->spares[parse->n_spares++] = (struct spare){ .at = at, .size = size };
	return at;
}

static void
pool_give(struct parse *parse, const void *mem)
{
	for (size_t i = 0; i < parse->n_spares; i++)
		if (parse->spares[i].at == mem) {
			parse->spares[i].free = true;
			return;
		}
	for (struct chunk **at = &parse->pool->whole; *at != NULL; at = &(*at)->next)
		if (*at + 1 == mem) {
			struct chunk *chunk = *at;

			*at = chunk->next;
			free(chunk);
			return;
		}
}

static void
free_chunks(struct chunk *chunk)
{
	while (chunk != NULL) {
		struct chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

void
bg_json_pool_free(struct bg_json_pool *pool)
{
	if (pool == NULL)
		return;
	json_decref(pool->plain);
	free_chunks(pool->whole);
	free_chunks(pool->chunks);
	free(pool);
}

static size_t
bytes_of(const struct chunk *chunk)
{
	size_t bytes = 0;

	for (; chunk != NULL; chunk = chunk->next)
		bytes += chunk->size + 8;
	return bytes;
}

size_t
bg_json_pool_bytes(const struct bg_json_pool *pool)
{
	return CHUNK + 8 + bytes_of(pool->chunks) + bytes_of(pool->whole);
}

static void *
allocate(size_t size)
{
	struct parse *parse = parsing;
	void *mem;

	if (parse != NULL && parse->pool != NULL) {
		if ((mem = pool_take(parse, size)) != NULL)
			return mem;
		no_memory = true;
		longjmp(parse->out, 1);
	}
	mem = malloc(size);

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
	else if (parsing->pool != NULL)
		pool_give(parsing, mem);
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

/* json_loadb, but *whole is false, and nothing left over but in the pool, when there was no memory. */
static json_t *
load(struct bg_slice text, struct bg_json_pool *pool, json_error_t *error, bool *whole)
{
	struct parse parse;
	json_t *root = NULL;

	parse.pool = pool;
	parse.at = pool != NULL ? (char *)(pool + 1) : NULL;
	parse.left = CHUNK - sizeof(*pool);
	parse.n_spares = 0;
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
	started = true;
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

static int
read_object(struct bg_slice text, enum bg_reason reason, struct bg_json_pool *pool, json_t **out, struct bg_error *err)
{
	json_error_t parse;
	const char *why;
	json_t *root;
	bool whole;

	*out = NULL;
	if (bg_json_prescan(text, &why) != 0)
		return bg_fail(err, reason, "JSON: %s", why);
	no_memory = false;
	root = load(text, pool, &parse, &whole);
	if (!whole)
		return bg_fail(err, BG_R_NO_MEMORY, "JSON");
	if (root == NULL)
		return bg_fail(err, reason, "JSON: %s at byte %d", parse.text, parse.position);
	if (!json_is_object(root)) {
		bg_fail(err, reason, "JSON: an object was expected, not %s", bg_json_type_name(root));
		if (pool == NULL || !started)
			json_decref(root);
		return -1;
	}
	if (pool != NULL && !started)
		pool->plain = root;
	*out = root;
	return 0;
}

int
bg_json_object(struct bg_slice text, enum bg_reason reason, json_t **out, struct bg_error *err)
{
	return read_object(text, reason, NULL, out, err);
}

int
bg_json_object_pooled(struct bg_slice text, enum bg_reason reason, json_t **out, struct bg_json_pool **pool,
    struct bg_error *err)
{
	*out = NULL;
	if ((*pool = malloc(CHUNK)) == NULL) {
		no_memory = true;
		return bg_fail(err, BG_R_NO_MEMORY, "JSON");
	}
	(*pool)->chunks = (*pool)->whole = NULL;
	(*pool)->plain = NULL;
	if (read_object(text, reason, *pool, out, err) == 0)
		return 0;
	bg_json_pool_free(*pool);
	*pool = NULL;
	return -1;
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
