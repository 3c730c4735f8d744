#include "tool/issuer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "core/b64url.h"
#include "core/limits.h"
#include "core/secret.h"

/* The least OpenSSL makes, shorter than BG_RSA_BITS_MIN, so that keys to be refused can be made. */
#define RSA_BITS_LEAST	512
#define RSA_BITS_USUAL	2048

#define COORDINATE_MAX	66	/* bytes: P-521 */
#define ED25519_LEN	32	/* bytes of a public key; RFC 8032 section 5.1.5 */

/* A type of key and, where the type has curves, a curve. */
struct kind {
	enum bg_kty     kty;		/* as core says it */
	const char     *type;		/* as OpenSSL says it, */
	const char     *group;		/* and the curve, NULL where the type says it all */
	const char     *jwk_kty;	/* as a JWK says it, */
	const char     *jwk_crv;	/* and the curve, NULL where there is none */
	size_t          coordinate;	/* bytes of x and y, of r and s; 0 where there are none */
	int           (*put_public)(const struct kind *kind, const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err);
};

struct bg_issuer_alg {
	struct bg_slice    name;
	const struct kind *kind;
	const char        *digest;	/* NULL where the algorithm has its own */
	bool               pss;		/* of RSA: the padding of RFC 8017 section 8.1, not 8.2 */
};

struct bg_issuer_key {
	const struct bg_issuer_alg *alg;
	EVP_PKEY                   *pkey;
	char                        kid[BG_THUMBPRINT_LEN + 1];
};

static int rsa_put_public(const struct kind *kind, const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err);
static int ec_put_public(const struct kind *kind, const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err);
static int okp_put_public(const struct kind *kind, const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err);

/* RFC 7518 section 6, RFC 8037 section 2. */
static const struct kind rsa = { BG_KTY_RSA, "RSA", NULL, "RSA", NULL, 0, rsa_put_public };
static const struct kind p256 = { BG_KTY_P256, "EC", "prime256v1", "EC", "P-256", 32, ec_put_public };
static const struct kind p384 = { BG_KTY_P384, "EC", "secp384r1", "EC", "P-384", 48, ec_put_public };
static const struct kind p521 = { BG_KTY_P521, "EC", "secp521r1", "EC", "P-521", COORDINATE_MAX, ec_put_public };
static const struct kind ed25519 = { BG_KTY_ED25519, "ED25519", NULL, "OKP", "Ed25519", 0, okp_put_public };

/*
 * RFC 7518 section 3.1, RFC 8037 section 3.1.  BG_ISSUER_ALGS lists the names.  The first row of a kind is what its keys
 * sign by unless told otherwise.
 */
static const struct bg_issuer_alg algs[] = {
	{ BG_SLICE_INIT("RS256"), &rsa,     "SHA256", false },
	{ BG_SLICE_INIT("RS384"), &rsa,     "SHA384", false },
	{ BG_SLICE_INIT("RS512"), &rsa,     "SHA512", false },
	{ BG_SLICE_INIT("PS256"), &rsa,     "SHA256", true },
	{ BG_SLICE_INIT("PS384"), &rsa,     "SHA384", true },
	{ BG_SLICE_INIT("PS512"), &rsa,     "SHA512", true },
	{ BG_SLICE_INIT("ES256"), &p256,    "SHA256", false },
	{ BG_SLICE_INIT("ES384"), &p384,    "SHA384", false },
	{ BG_SLICE_INIT("ES512"), &p521,    "SHA512", false },
	{ BG_SLICE_INIT("EdDSA"), &ed25519, NULL,     false },
	{ BG_SLICE_INIT("Ed25519"), &ed25519, NULL,   false },
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

static void
put_b64url(struct bg_buf *buf, struct bg_slice bytes)
{
	char *at = bg_buf_extend(buf, BG_B64URL_ENCODED(bytes.len));

	if (at != NULL && bytes.len > 0)
		bg_b64url_encode(at, (const unsigned char *)bytes.ptr, bytes.len);
}

static int
make(const struct bg_issuer_alg *alg, unsigned bits, EVP_PKEY **out, struct bg_error *err)
{
	const struct kind *kind = alg->kind;

	if (kind != &rsa && bits != 0)
		return bg_fail(err, BG_R_BAD_JWK, "only RSA keys have a choice of bits; %s has keys on %s alone", alg->name.ptr, kind->jwk_crv);
	if (kind == &rsa && bits == 0)
		bits = RSA_BITS_USUAL;
	if (kind == &rsa && (bits < RSA_BITS_LEAST || bits > BG_RSA_BITS_MAX))
		return bg_fail(err, BG_R_BAD_JWK, "an RSA key has %d to %d bits, not %u", RSA_BITS_LEAST, BG_RSA_BITS_MAX,
		    bits);
	if (kind == &rsa)
		*out = EVP_PKEY_Q_keygen(NULL, NULL, kind->type, (size_t)bits);
	else if (kind->group != NULL)
		*out = EVP_PKEY_Q_keygen(NULL, NULL, kind->type, kind->group);
	else
		*out = EVP_PKEY_Q_keygen(NULL, NULL, kind->type);
	return *out != NULL ? 0 : bg_fail_openssl(err, BG_R_INTERNAL, "making a key");
}

static int
put_bytes(json_t *jwk, const char *name, const unsigned char *bytes, size_t len, struct bg_error *err)
{
	char text[BG_B64URL_ENCODED(BG_RSA_BITS_MAX / 8)];

	bg_b64url_encode(text, bytes, len);
	if (json_object_set_new(jwk, name, json_stringn(text, BG_B64URL_ENCODED(len))) != 0)
		return bg_fail(err, BG_R_NO_MEMORY, "JWK");
	return 0;
}

/* A number, big-endian: of len bytes, or without leading zeros where len is 0.  RFC 7518 sections 2 and 6.2.1.2. */
static int
put_number(const EVP_PKEY *pkey, const char *param, size_t len, json_t *jwk, const char *name, struct bg_error *err)
{
	unsigned char bytes[BG_RSA_BITS_MAX / 8];
	BIGNUM *number = NULL;
	int rc = -1;

	if (EVP_PKEY_get_bn_param(pkey, param, &number) != 1) {
		bg_fail_openssl(err, BG_R_INTERNAL, name);
		goto out;
	}
	if (len == 0)
		len = (size_t)BN_num_bytes(number);
	if (len > sizeof(bytes) || BN_bn2binpad(number, bytes, (int)len) < 0) {
		bg_fail(err, BG_R_BAD_JWK, "%s of the key has more than %d bits", name, BG_RSA_BITS_MAX);
		goto out;
	}
	rc = put_bytes(jwk, name, bytes, len, err);
out:
	BN_free(number);
	return rc;
}

/* RFC 7518 section 6.3.1. */
static int
rsa_put_public(const struct kind *kind, const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err)
{
	(void)kind;
	if (put_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, jwk, "n", err) != 0)
		return -1;
	return put_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, jwk, "e", err);
}

/* RFC 7518 section 6.2.1. */
static int
ec_put_public(const struct kind *kind, const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err)
{
	if (put_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, kind->coordinate, jwk, "x", err) != 0)
		return -1;
	return put_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, kind->coordinate, jwk, "y", err);
}

/* RFC 8037 section 2. */
static int
okp_put_public(const struct kind *kind, const EVP_PKEY *pkey, json_t *jwk, struct bg_error *err)
{
	unsigned char x[ED25519_LEN];
	size_t len = sizeof(x);

	(void)kind;
	if (EVP_PKEY_get_raw_public_key(pkey, x, &len) != 1)
		return bg_fail_openssl(err, BG_R_INTERNAL, "x");
	return put_bytes(jwk, "x", x, len, err);
}

/* The DER of an ECDSA signature, in place, as r and s one behind the other, each of len bytes.  RFC 7518 section 3.4. */
static int
to_raw(unsigned char *signature, size_t *signature_len, size_t len, struct bg_error *err)
{
	const unsigned char *at = signature;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)*signature_len);
	int rc = -1;

	if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, (int)len) < 0 ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + len, (int)len) < 0)
		bg_fail_openssl(err, BG_R_INTERNAL, "signature");
	else {
		*signature_len = 2 * len;
		rc = 0;
	}
	ECDSA_SIG_free(sig);
	return rc;
}

/* Add "." and the signature over all that is in token.  RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1. */
static int
add_signature(const struct bg_issuer_alg *alg, EVP_PKEY *pkey, struct bg_buf *token, struct bg_error *err)
{
	unsigned char signature[BG_SIGNATURE_MAX];
	size_t len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;		/* belongs to ctx */
	struct bg_slice input;
	int rc = -1;

	if (bg_buf_finish(token, &input, err) != 0)
		goto out;
	/* the salt is as long as the digest: RFC 7518 section 3.5 */
	if (ctx == NULL || EVP_DigestSignInit_ex(ctx, &pctx, alg->digest, NULL, NULL, pkey, NULL) != 1 ||
	    (alg->pss && (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) != 1)) ||
	    EVP_DigestSign(ctx, signature, &len, (const unsigned char *)input.ptr, input.len) != 1) {
		bg_fail_openssl(err, BG_R_INTERNAL, "signing");
		goto out;
	}
	if (alg->kind->coordinate > 0 && to_raw(signature, &len, alg->kind->coordinate, err) != 0)
		goto out;
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
	struct bg_jwk jwk = { .kty = alg->kind->kty, .pkey = pkey, .size = (size_t)EVP_PKEY_get_size(pkey) };
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
	if (make(alg, bits, &pkey, err) != 0)
		return -1;
	return key_new(alg, pkey, out, err);
}

int
bg_issuer_key_as(const struct bg_issuer_key *key, const struct bg_issuer_alg *alg, struct bg_issuer_key **out,
    struct bg_error *err)
{
	*out = NULL;
	if (alg->kind != key->alg->kind)
		return bg_fail(err, BG_R_BAD_ALGORITHM, "%s is not for a key of kind %s", alg->name.ptr,
		    key->alg->kind->jwk_crv != NULL ? key->alg->kind->jwk_crv : key->alg->kind->jwk_kty);
	if (EVP_PKEY_up_ref(key->pkey) != 1)
		return bg_fail_openssl(err, BG_R_INTERNAL, "key");
	return key_new(alg, key->pkey, out, err);
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

/* What a key signs by unless told otherwise, or NULL. */
static const struct bg_issuer_alg *
usual_alg(const EVP_PKEY *pkey)
{
	char group[64] = "";	/* stays empty where the type has no curves, or this curve no name */

	(void)EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL);
	ERR_clear_error();
	for (size_t i = 0; i < N_ALGS; i++)
		if (EVP_PKEY_is_a(pkey, algs[i].kind->type) &&
		    (algs[i].kind->group == NULL || strcmp(algs[i].kind->group, group) == 0))
			return &algs[i];
	return NULL;
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
	if ((alg = usual_alg(pkey)) == NULL) {
		bg_fail(err, BG_R_BAD_JWK, "no algorithm for a key of type %s%s; there is " BG_ISSUER_ALGS,
		    EVP_PKEY_get0_type_name(pkey), EVP_PKEY_is_a(pkey, "EC") ? " on this curve" : "");
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

ssize_t
bg_issuer_read_all(int fd, char *dst, size_t size)
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
	else if ((len = bg_issuer_read_all(fd, text, BG_PEM_MAX + 1)) < 0)
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

/* Put the members of the key's type to those that jwk has, and hand it out; takes jwk over, also when it fails. */
static int
finish_jwk(const struct bg_issuer_key *key, json_t *jwk, json_t **out, struct bg_error *err)
{
	const struct kind *kind = key->alg->kind;
	int rc = -1;

	if (kind->jwk_crv != NULL && json_object_set_new(jwk, "crv", json_string(kind->jwk_crv)) != 0) {
		bg_fail(err, BG_R_NO_MEMORY, "JWK");
		goto out;
	}
	if (kind->put_public(kind, key->pkey, jwk, err) != 0)
		goto out;
	*out = jwk;
	jwk = NULL;		/* moved to the caller */
	rc = 0;
out:
	json_decref(jwk);
	return rc;
}

int
bg_issuer_key_jwk(const struct bg_issuer_key *key, const char *kid, json_t **out, struct bg_error *err)
{
	json_t *jwk = json_pack("{s:s, s:s, s:s, s:s}", "kty", key->alg->kind->jwk_kty, "use", "sig", "alg", key->alg->name.ptr,
	    "kid", kid != NULL ? kid : key->kid);

	*out = NULL;
	if (jwk == NULL)
		return bg_fail(err, BG_R_INTERNAL, "no memory for a JWK, or its kid is not UTF-8");
	return finish_jwk(key, jwk, out, err);
}

int
bg_issuer_key_bare_jwk(const struct bg_issuer_key *key, json_t **out, struct bg_error *err)
{
	json_t *jwk = json_pack("{s:s}", "kty", key->alg->kind->jwk_kty);

	*out = NULL;
	if (jwk == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "JWK");
	return finish_jwk(key, jwk, out, err);
}

int
bg_issuer_hash(struct bg_slice bytes, char out[BG_THUMBPRINT_LEN + 1], struct bg_error *err)
{
	unsigned char digest[BG_SHA256_LEN];

	out[0] = '\0';
	if (bg_sha256(bytes, digest, err) != 0)
		return -1;
	bg_b64url_encode(out, digest, sizeof(digest));
	out[BG_THUMBPRINT_LEN] = '\0';
	return 0;
}

int
bg_issuer_sign(const struct bg_issuer_key *key, struct bg_slice header, struct bg_slice payload, struct bg_buf *token,
    struct bg_error *err)
{
	bg_buf_reset(token);
	put_b64url(token, header);
	bg_buf_put_char(token, '.');
	put_b64url(token, payload);
	return add_signature(key->alg, key->pkey, token, err);
}
