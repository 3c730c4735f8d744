#include "tool/issuer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "core/b64url.h"
#include "core/jwk.h"
#include "core/limits.h"
#include "core/secret.h"

/* The least OpenSSL makes, shorter than BG_RSA_BITS_MIN, so that keys to be refused can be made. */
#define RSA_BITS_LEAST	512

struct bg_issuer_alg {
	struct bg_slice name;
	const char     *kty;		/* as a JWK says it */
	const char     *type;		/* as OpenSSL says it */
	enum bg_kty     kind;		/* as core says it */
	const char     *digest;
	unsigned        bits;		/* the usual length of a key */
	int           (*make)(unsigned bits, EVP_PKEY **out, struct bg_error *err);
	int           (*put_public)(const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err);
	int           (*sign)(const struct bg_issuer_alg *alg, EVP_PKEY *pkey, struct bg_buf *token,
	                  struct bg_error *err);	/* adds "." and the signature over all before it */
};

struct bg_issuer_key {
	const struct bg_issuer_alg *alg;
	EVP_PKEY                   *pkey;
	char                        kid[BG_THUMBPRINT_LEN + 1];
};

static int rsa_make(unsigned bits, EVP_PKEY **out, struct bg_error *err);
static int rsa_put_public(const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err);
static int rsa_sign(const struct bg_issuer_alg *alg, EVP_PKEY *pkey, struct bg_buf *token, struct bg_error *err);

/* RFC 7518 section 3.1.  BG_ISSUER_ALGS lists the names. */
static const struct bg_issuer_alg algs[] = {
	{ BG_SLICE_INIT("RS256"), "RSA", "RSA", BG_KTY_RSA, "SHA256", 2048, rsa_make, rsa_put_public, rsa_sign },
};

#define N_ALGS	(sizeof(algs) / sizeof(algs[0]))

const struct bg_issuer_alg *
bg_issuer_alg_find(struct bg_slice name)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (bg_slice_equal(algs[i].name, name))
			return &algs[i];
	return NULL;
}

const char *
bg_issuer_openssl_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

static void
put_b64url(struct bg_buf *buf, struct bg_slice bytes)
{
	char *at = bg_buf_extend(buf, BG_B64URL_ENCODED(bytes.len));

	if (at != NULL && bytes.len > 0)
		bg_b64url_encode(at, (const unsigned char *)bytes.ptr, bytes.len);
}

static int
rsa_make(unsigned bits, EVP_PKEY **out, struct bg_error *err)
{
	if (bits < RSA_BITS_LEAST || bits > BG_RSA_BITS_MAX)
		return bg_fail(err, BG_R_BAD_JWK, "an RSA key has %d to %d bits, not %u", RSA_BITS_LEAST, BG_RSA_BITS_MAX,
		    bits);
	if ((*out = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)) == NULL)
		return bg_fail_openssl(err, BG_R_INTERNAL, "making an RSA key");
	return 0;
}

/* Base64urlUInt: big-endian, no leading zero byte.  RFC 7518 section 2. */
static int
put_number(const EVP_PKEY *pkey, const char *param, json_t *jwk, const char *name, struct bg_error *err)
{
	unsigned char bytes[BG_RSA_BITS_MAX / 8];
	struct bg_buf text;
	struct bg_slice out;
	BIGNUM *number = NULL;
	int rc = -1;

	bg_buf_init(&text, BG_B64URL_ENCODED(sizeof(bytes)));
	if (EVP_PKEY_get_bn_param(pkey, param, &number) != 1) {
		bg_fail_openssl(err, BG_R_INTERNAL, name);
		goto out;
	}
	if (BN_num_bytes(number) > (int)sizeof(bytes)) {
		bg_fail(err, BG_R_BAD_JWK, "%s of the key has more than %d bits", name, BG_RSA_BITS_MAX);
		goto out;
	}
	put_b64url(&text, (struct bg_slice){ (const char *)bytes, (size_t)BN_bn2bin(number, bytes) });
	if (bg_buf_finish(&text, &out, err) != 0)
		goto out;
	if (json_object_set_new(jwk, name, json_stringn(out.ptr, out.len)) != 0) {
		bg_fail(err, BG_R_NO_MEMORY, "JWK");
		goto out;
	}
	rc = 0;
out:
	BN_free(number);
	bg_buf_clear(&text);
	return rc;
}

/* RFC 7518 section 6.3.1. */
static int
rsa_put_public(const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err)
{
	if (put_number(pkey, OSSL_PKEY_PARAM_RSA_N, jwk, "n", err) != 0)
		return -1;
	return put_number(pkey, OSSL_PKEY_PARAM_RSA_E, jwk, "e", err);
}

/* RSASSA-PKCS1-v1_5, which is OpenSSL's padding where none is asked for.  RFC 7518 section 3.3. */
static int
rsa_sign(const struct bg_issuer_alg *alg, EVP_PKEY *pkey, struct bg_buf *token, struct bg_error *err)
{
	unsigned char signature[BG_RSA_BITS_MAX / 8];
	size_t len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct bg_slice input;
	int rc = -1;

	if (bg_buf_finish(token, &input, err) != 0)
		goto out;
	if (ctx == NULL || EVP_DigestSignInit_ex(ctx, NULL, alg->digest, NULL, NULL, pkey, NULL) != 1 ||
	    EVP_DigestSign(ctx, signature, &len, (const unsigned char *)input.ptr, input.len) != 1) {
		bg_fail_openssl(err, BG_R_INTERNAL, "signing");
		goto out;
	}
	bg_buf_put_char(token, '.');
	put_b64url(token, (struct bg_slice){ (const char *)signature, len });
	rc = bg_buf_finish(token, &input, err);
out:
	EVP_MD_CTX_free(ctx);
	return rc;
}

/* Takes pkey over, also when it fails. */
static int
key_new(const struct bg_issuer_alg *alg, EVP_PKEY *pkey, struct bg_issuer_key **out, struct bg_error *err)
{
	/* made by hand, since bg_jwk_parse refuses the short keys that tests want */
	struct bg_jwk jwk = { .kty = alg->kind, .pkey = pkey, .size = (size_t)EVP_PKEY_get_size(pkey) };
	struct bg_issuer_key *key = calloc(1, sizeof(*key));

	if (key == NULL) {
		EVP_PKEY_free(pkey);
		return bg_fail(err, BG_R_NO_MEMORY, "key");
	}
	key->alg = alg;
	key->pkey = pkey;
	if (bg_jwk_thumbprint(&jwk, key->kid, err) != 0) {
		bg_issuer_key_free(key);
		return -1;
	}
	*out = key;
	return 0;
}

void
bg_issuer_key_free(struct bg_issuer_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

const char *
bg_issuer_key_alg(const struct bg_issuer_key *key)
{
	return key->alg->name.ptr;
}

const char *
bg_issuer_key_kid(const struct bg_issuer_key *key)
{
	return key->kid;
}

int
bg_issuer_key_make(const struct bg_issuer_alg *alg, unsigned bits, struct bg_issuer_key **out, struct bg_error *err)
{
	EVP_PKEY *pkey = NULL;

	*out = NULL;
	if (alg->make(bits != 0 ? bits : alg->bits, &pkey, err) != 0)
		return -1;
	return key_new(alg, pkey, out, err);
}

/* Left alone, OpenSSL would ask the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

int
bg_issuer_key_parse(struct bg_slice pem, struct bg_issuer_key **out, struct bg_error *err)
{
	const struct bg_issuer_alg *alg = NULL;
	EVP_PKEY *pkey = NULL;
	BIO *bio = NULL;
	bool asked = false;
	int rc = -1;

	*out = NULL;
	if (pem.len > BG_PEM_MAX)
		return bg_fail(err, BG_R_BAD_JWK, "more than %d bytes", BG_PEM_MAX);
	if ((bio = BIO_new_mem_buf(pem.ptr != NULL ? pem.ptr : "", (int)pem.len)) == NULL)
		return bg_fail_openssl(err, BG_R_NO_MEMORY, "PEM");
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	if (pkey == NULL && asked) {
		ERR_clear_error();
		bg_fail(err, BG_R_BAD_JWK, "the key is behind a passphrase");
		goto out;
	}
	if (pkey == NULL) {
		bg_fail_openssl(err, BG_R_BAD_JWK, "no private key in PEM");
		goto out;
	}
	for (size_t i = 0; i < N_ALGS && alg == NULL; i++)
		if (EVP_PKEY_is_a(pkey, algs[i].type))
			alg = &algs[i];
	if (alg == NULL) {
		bg_fail(err, BG_R_BAD_JWK, "no algorithm for a key of type %s; there is " BG_ISSUER_ALGS,
		    EVP_PKEY_get0_type_name(pkey));
		goto out;
	}
	if (EVP_PKEY_get_bits(pkey) > BG_RSA_BITS_MAX) {
		bg_fail(err, BG_R_BAD_JWK, "a key of %d bits; the longest has %d", EVP_PKEY_get_bits(pkey), BG_RSA_BITS_MAX);
		goto out;
	}
	rc = key_new(alg, pkey, out, err);
	pkey = NULL;		/* taken over */
out:
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	return rc;
}

/* Any kind of file, pipes too, so its size is known at its end.  Returns the bytes read, at most size, or -1. */
static ssize_t
read_all(int fd, char *dst, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, dst + len, size - len);

		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int
bg_issuer_key_load(const char *path, struct bg_issuer_key **out, struct bg_error *err)
{
	char *text = NULL;
	ssize_t len = -1;
	int fd, rc = -1;

	*out = NULL;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
		return bg_fail(err, BG_R_FETCH_FAILED, "%s", strerror(errno));
	if ((text = malloc(BG_PEM_MAX + 1)) == NULL)
		bg_fail(err, BG_R_NO_MEMORY, "key");
	else if ((len = read_all(fd, text, BG_PEM_MAX + 1)) < 0)
		bg_fail(err, BG_R_FETCH_FAILED, "%s", strerror(errno));
	else
		rc = bg_issuer_key_parse((struct bg_slice){ text, (size_t)len }, out, err);
	if (text != NULL)
		bg_secret_wipe(text, BG_PEM_MAX + 1);
	free(text);
	close(fd);
	return rc;
}

int
bg_issuer_key_pem(const struct bg_issuer_key *key, struct bg_buf *pem, struct bg_error *err)
{
	BIO *bio = BIO_new(BIO_s_mem());	/* wipes what it held when it grows and when it ends */
	struct bg_slice out;
	char *data = NULL;
	long len;
	int rc = -1;

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1 ||
	    (len = BIO_get_mem_data(bio, &data)) <= 0) {
		bg_fail_openssl(err, BG_R_INTERNAL, "writing the key as PEM");
		goto out;
	}
	bg_buf_put(pem, (struct bg_slice){ data, (size_t)len });
	rc = bg_buf_finish(pem, &out, err);
out:
	BIO_free(bio);
	return rc;
}

int
bg_issuer_key_jwk(const struct bg_issuer_key *key, const char *kid, json_t **out, struct bg_error *err)
{
	json_t *jwk = json_pack("{s:s, s:s, s:s, s:s}", "kty", key->alg->kty, "use", "sig", "alg", key->alg->name.ptr,
	    "kid", kid != NULL ? kid : key->kid);
	int rc = -1;

	*out = NULL;
	if (jwk == NULL)
		return bg_fail(err, BG_R_INTERNAL, "no memory for a JWK, or its kid is not UTF-8");
	if (key->alg->put_public(key->pkey, jwk, err) != 0)
		goto out;
	*out = jwk;
	jwk = NULL;		/* moved to the caller */
	rc = 0;
out:
	json_decref(jwk);
	return rc;
}

int
bg_issuer_sign(const struct bg_issuer_key *key, struct bg_slice header, struct bg_slice payload, struct bg_buf *token,
    struct bg_error *err)
{
	bg_buf_reset(token);
	put_b64url(token, header);
	bg_buf_put_char(token, '.');
	put_b64url(token, payload);
	return key->alg->sign(key->alg, key->pkey, token, err);
}
