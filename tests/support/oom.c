#define PCRE2_CODE_UNIT_WIDTH 8
#include "tests/support/oom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <pcre2.h>

static bool armed, all_after;
static unsigned long count, fail_at, failures;
static long live, live_openssl, *counter = &live;
static pcre2_general_context *general;
static pcre2_compile_context *compiling;

/* The linker sends malloc to __wrap_malloc and __real_malloc to malloc, in all that is linked into the program. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *mem, size_t size);
char *__real_strdup(const char *text);
void  __real_free(void *mem);
pcre2_match_context *__real_pcre2_match_context_create_8(pcre2_general_context *context);
pcre2_match_data *__real_pcre2_match_data_create_8(uint32_t size, pcre2_general_context *context);
pcre2_code *__real_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE len, uint32_t options, int *code, PCRE2_SIZE *offset,
    pcre2_compile_context *context);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *mem, size_t size);
char *__wrap_strdup(const char *text);
void  __wrap_free(void *mem);
pcre2_match_context *__wrap_pcre2_match_context_create_8(pcre2_general_context *context);
pcre2_match_data *__wrap_pcre2_match_data_create_8(uint32_t size, pcre2_general_context *context);
pcre2_code *__wrap_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE len, uint32_t options, int *code, PCRE2_SIZE *offset,
    pcre2_compile_context *context);

static bool
fails(void)
{
	if (!armed)
		return false;
	count++;
	if (fail_at == 0 || (all_after ? count < fail_at : count != fail_at))
		return false;
	failures++;
	return true;
}

static void *
counted(void *mem)
{
	if (mem != NULL)
		++*counter;
	return mem;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(n, size));
}

void *
__wrap_realloc(void *mem, size_t size)
{
	void *grown;

	if (fails())
		return NULL;
	grown = __real_realloc(mem, size);
	return mem == NULL ? counted(grown) : grown;
}

char *
__wrap_strdup(const char *text)
{
	return fails() ? NULL : counted(__real_strdup(text));
}

void
__wrap_free(void *mem)
{
	if (mem != NULL)
		--*counter;
	__real_free(mem);
}

/* core/secret.c's functions for OpenSSL, which end in ours above; only to count apart what OpenSSL has. */
static CRYPTO_malloc_fn next_malloc;
static CRYPTO_realloc_fn next_realloc;
static CRYPTO_free_fn next_free;

static void *
openssl_malloc(size_t size, const char *file, int line)
{
	void *mem;

	counter = &live_openssl;
	mem = next_malloc(size, file, line);
	counter = &live;
	return mem;
}

static void *
openssl_realloc(void *mem, size_t size, const char *file, int line)
{
	counter = &live_openssl;
	mem = next_realloc(mem, size, file, line);
	counter = &live;
	return mem;
}

static void
openssl_free(void *mem, const char *file, int line)
{
	counter = &live_openssl;
	next_free(mem, file, line);
	counter = &live;
}

static void *
pcre2_malloc(size_t size, void *arg)
{
	(void)arg;
	return __wrap_malloc(size);
}

static void
pcre2_free(void *mem, void *arg)
{
	(void)arg;
	__wrap_free(mem);
}

pcre2_match_context *
__wrap_pcre2_match_context_create_8(pcre2_general_context *context)
{
	return __real_pcre2_match_context_create_8(context != NULL ? context : general);
}

pcre2_match_data *
__wrap_pcre2_match_data_create_8(uint32_t size, pcre2_general_context *context)
{
	return __real_pcre2_match_data_create_8(size, context != NULL ? context : general);
}

pcre2_code *
__wrap_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE len, uint32_t options, int *code, PCRE2_SIZE *offset,
    pcre2_compile_context *context)
{
	return __real_pcre2_compile_8(pattern, len, options, code, offset, context != NULL ? context : compiling);
}

static void
stop(void)
{
	pcre2_compile_context_free(compiling);
	pcre2_general_context_free(general);
}

void
bg_oom_start(void)
{
	CRYPTO_get_mem_functions(&next_malloc, &next_realloc, &next_free);
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1 ||
	    (general = pcre2_general_context_create(pcre2_malloc, pcre2_free, NULL)) == NULL ||
	    (compiling = pcre2_compile_context_create(general)) == NULL || atexit(stop) != 0) {
		(void)fprintf(stderr, "tests/support/oom.c: too late to take over the allocations\n");
		abort();
	}
}

void
bg_oom_arm(unsigned long n, bool all)
{
	count = failures = 0;
	fail_at = n;
	all_after = all;
	armed = true;
}

unsigned long
bg_oom_disarm(void)
{
	armed = false;
	return failures;
}

long
bg_oom_live(void)
{
	return live;
}

long
bg_oom_live_openssl(void)
{
	return live_openssl;
}
