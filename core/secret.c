#include "core/secret.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "core/buf.h"

/*
 * OpenSSL short of memory mostly answers "the signature does not match" or "no such key" and leaves no word of memory in
 * its queue of errors.  So its allocator remembers.
 */
static _Thread_local bool no_memory;

static void *
allocate(size_t size, const char *file, int line)
{
	void *mem = malloc(size);

	(void)file, (void)line;
	no_memory |= mem == NULL;
	return mem;
}

static void
release(void *mem, const char *file, int line)
{
	(void)file, (void)line;
	free(mem);
}

static void *
reallocate(void *mem, size_t size, const char *file, int line)
{
	void *grown;

	if (mem == NULL)
		return allocate(size, file, line);
	if (size == 0) {
		free(mem);	/* as CRYPTO_realloc does without us */
		return NULL;
	}
	grown = realloc(mem, size);
	no_memory |= grown == NULL;
	return grown;
}

/*
 * SHA-256 as OpenSSL has it, looked up once: every request hashes a token, and looking up takes longer than half of the
 * hashing, under locks.  Set before the first thread and never freed; NULL: each hash looks it up for itself.
 */
static EVP_MD *sha256;

static bool
take_allocator(void)
{
	return CRYPTO_set_mem_functions(allocate, reallocate, release) == 1;
}

int
bg_secret_start(void)
{
	if (!take_allocator())
		return -1;
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	return 0;
}

int
bg_secret_start_lean(void)
{
	uint64_t without = OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS;

	/* Nothing is looked up here: the first use of anything starts OpenSSL with all it has. */
	if (!take_allocator())
		return -1;
	if (secure_getenv("OPENSSL_CONF") == NULL)
		without |= OPENSSL_INIT_NO_LOAD_CONFIG;
	return OPENSSL_init_crypto(without, NULL) == 1 ? 0 : -1;
}

const char *
bg_secret_openssl_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

int
bg_sha256(struct bg_slice bytes, unsigned char out[BG_SHA256_LEN], struct bg_error *err)
{
	size_t len = 0;
	unsigned n = 0;
	int good;

	if (sha256 != NULL) {
		good = EVP_Digest(bytes.ptr, bytes.len, out, &n, sha256, NULL);
		len = n;
	} else
		good = EVP_Q_digest(NULL, "SHA256", NULL, bytes.ptr, bytes.len, out, &len);
	if (good != 1 || len != BG_SHA256_LEN)
		return bg_fail_openssl(err, BG_R_INTERNAL, "SHA-256");
	return 0;
}

int
bg_hmac_sha256(struct bg_slice key, struct bg_slice bytes, unsigned char out[BG_SHA256_LEN], struct bg_error *err)
{
	size_t len = 0;

	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.ptr, key.len, (const unsigned char *)bytes.ptr, bytes.len, out,
	    BG_SHA256_LEN, &len) == NULL || len != BG_SHA256_LEN)
		return bg_fail_openssl(err, BG_R_INTERNAL, "HMAC-SHA-256");
	return 0;
}

void
bg_secret_fingerprint_of(const unsigned char hash[BG_SHA256_LEN], char out[BG_FINGERPRINT_LEN + 1])
{
	bg_format(out, BG_FINGERPRINT_LEN + 1, "%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
}

void
bg_secret_fingerprint(struct bg_slice token, char out[BG_FINGERPRINT_LEN + 1])
{
	unsigned char hash[BG_SHA256_LEN];

	if (token.len == 0 || bg_sha256(token, hash, NULL) != 0) {
		bg_format(out, BG_FINGERPRINT_LEN + 1, "-");
		return;
	}
	bg_secret_fingerprint_of(hash, out);
}

bool
bg_secret_equal(struct bg_slice a, struct bg_slice b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

int
bg_fail_openssl(struct bg_error *err, enum bg_reason reason, const char *what)
{
	char text[160] = "no reason given";
	unsigned long code = ERR_peek_last_error();

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();	/* the queue belongs to the thread and would speak up at the next failure */
	if (no_memory)
		reason = BG_R_NO_MEMORY;	/* says nothing about the key or signature it happened to */
	no_memory = false;
	return bg_fail(err, reason, "%s: %s", what, text);
}
