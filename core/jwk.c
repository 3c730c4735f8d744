#include "core/jwk.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/b64url.h"
#include "core/limits.h"
#include "core/secret.h"

#define RSA_EXPONENT_BITS_MAX	33	/* SR-10: a longer one only makes verifying slow */
#define MEMBERS_MAX		(2 * BG_RSA_BITS_MAX / 8)	/* bytes of JSON: both numbers of the largest RSA key */
#define ED25519_LEN		32	/* bytes of a public key; RFC 8032 section 5.1.5 */

/* The bytes of a base64url member, at most max of them, into bytes; returns how many, or -1. */
static long
read_bytes(const json_t *object, const char *name, unsigned char *bytes, size_t max, struct bg_error *err)
{
	struct bg_slice text = bg_json_string(json_object_get(object, name));
	long n;

	if (text.ptr == NULL)
		return bg_fail(err, BG_R_BAD_JWK, "%s is %s, not a string", name, bg_json_type_name(json_object_get(object, name)));
	if (BG_B64URL_DECODED(text.len) > max)
		return bg_fail(err, BG_R_BAD_JWK, "%s is too long", name);
	if ((n = bg_b64url_decode(bytes, text)) <= 0)
		return bg_fail(err, BG_R_BAD_JWK, "%s is not base64url", name);
	return n;
}

/* A Base64urlUInt member as a number, new for the caller.  RFC 7518 section 2. */
static int
read_number(const json_t *object, const char *name, BIGNUM **out, struct bg_error *err)
{
	unsigned char bytes[BG_RSA_BITS_MAX / 8 + 1];	/* one more: some issuers put a zero in front */
	long n = read_bytes(object, name, bytes, sizeof(bytes), err);

	*out = NULL;
	if (n < 0)
		return -1;
	if ((*out = BN_bin2bn(bytes, (int)n, NULL)) == NULL)
		return bg_fail_openssl(err, BG_R_NO_MEMORY, name);
	return 0;
}

/* The public key that build describes, for OpenSSL.  Takes build; *pkey is new. */
static int
make_pkey(const char *type, OSSL_PARAM_BLD *build, EVP_PKEY **pkey, struct bg_error *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = build != NULL ? OSSL_PARAM_BLD_to_param(build) : NULL;
	int rc = -1;

	if (ctx == NULL || params == NULL)
		bg_fail_openssl(err, BG_R_NO_MEMORY, type);
	else if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		bg_fail_openssl(err, BG_R_BAD_JWK, type);	/* among other things: a point that is not on the curve */
	else
		rc = 0;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_BLD_free(build);
	return rc;
}

/* RFC 7518 section 6.3.1. */
static int
read_rsa(const json_t *object, struct bg_jwk *key, struct bg_error *err)
{
	OSSL_PARAM_BLD *build = NULL;
	BIGNUM *n = NULL, *e = NULL;
	int rc = -1, bits;

	if (read_number(object, "n", &n, err) != 0 || read_number(object, "e", &e, err) != 0)
		goto out;
	bits = BN_num_bits(n);
	if (bits < BG_RSA_BITS_MIN || bits > BG_RSA_BITS_MAX) {
		bg_fail(err, BG_R_BAD_JWK, "RSA key of %d bits, from %d to %d are accepted", bits, BG_RSA_BITS_MIN, BG_RSA_BITS_MAX);
		goto out;
	}
	if (!BN_is_odd(n)) {
		bg_fail(err, BG_R_BAD_JWK, "RSA modulus even");
		goto out;
	}
	if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > RSA_EXPONENT_BITS_MAX) {
		bg_fail(err, BG_R_BAD_JWK, "RSA exponent even, 1, or over %d bits", RSA_EXPONENT_BITS_MAX);
		goto out;
	}
	if ((build = OSSL_PARAM_BLD_new()) == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1) {
		OSSL_PARAM_BLD_free(build);
		build = NULL;
	}
	rc = make_pkey("RSA", build, &key->pkey, err);
	key->kty = BG_KTY_RSA;
	key->size = ((size_t)bits + 7) / 8;
out:
	BN_free(n);
	BN_free(e);
	return rc;
}

/* RFC 7518 section 6.2.1.1; no other curve is known (SR-10). */
static const struct curve {
	struct bg_slice name;
	enum bg_kty     kty;
	const char     *group;		/* as OpenSSL says it */
	size_t          len;		/* bytes of a coordinate */
} curves[] = {
	{ BG_SLICE_INIT("P-256"), BG_KTY_P256, "prime256v1", 32 },
	{ BG_SLICE_INIT("P-384"), BG_KTY_P384, "secp384r1", 48 },
	{ BG_SLICE_INIT("P-521"), BG_KTY_P521, "secp521r1", BG_COORDINATE_MAX },
};

/* RFC 7518 section 6.2.1: both coordinates, each of exactly the length of the curve's field. */
static int
read_ec(const json_t *object, struct bg_jwk *key, struct bg_error *err)
{
	struct bg_slice crv = bg_json_string(json_object_get(object, "crv"));
	unsigned char point[1 + 2 * BG_COORDINATE_MAX] = { 4 };	/* uncompressed: SEC 1 section 2.3.3 */
	const struct curve *curve = NULL;
	OSSL_PARAM_BLD *build;
	long x, y;

	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (bg_slice_equal(curves[i].name, crv))
			curve = &curves[i];
	if (curve == NULL)
		return bg_fail(err, BG_R_BAD_JWK, "crv \"%.*s\" is not known", BG_SLICE_ARG(crv));
	if ((x = read_bytes(object, "x", point + 1, curve->len, err)) < 0 ||
	    (y = read_bytes(object, "y", point + 1 + curve->len, curve->len, err)) < 0)
		return -1;
	if ((size_t)x != curve->len || (size_t)y != curve->len)
		return bg_fail(err, BG_R_BAD_JWK, "a coordinate of %s has %zu bytes", curve->name.ptr, curve->len);
	if ((build = OSSL_PARAM_BLD_new()) == NULL ||
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curve->len) != 1) {
		OSSL_PARAM_BLD_free(build);
		build = NULL;
	}
	key->kty = curve->kty;
	key->size = 2 * curve->len;
	memcpy(key->point, point + 1, 2 * curve->len);
	key->has_point = true;		/* those of no other point: OpenSSL takes none that are not below the prime */
	return make_pkey("EC", build, &key->pkey, err);
}

/*
 * Is this y, little-endian and without the sign of x, of a point whose order divides 8?  Under such a key, one of zeros
 * among them, whoever likes can make signatures: the proof is in tests/test_alg.c.  There are five, and those written
 * with the prime added, which RFC 8032 section 5.1.3 step 1 refuses anyway, as all that is not below the prime.
 */
static bool
is_weak_ed25519(const unsigned char x[ED25519_LEN])
{
	static const unsigned char prime[ED25519_LEN] = {	/* 2^255 - 19 */
		0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f };
	static const unsigned char weak[][ED25519_LEN] = {
		{ 0 },						/* order 4 */
		{ 1 },						/* order 1 */
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },	/* order 2 */
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		  0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },	/* order 8 */
		{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		  0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },	/* order 8 */
	};
	unsigned char y[ED25519_LEN];
	int i;

	memcpy(y, x, sizeof(y));
	y[ED25519_LEN - 1] &= 0x7f;
	for (size_t k = 0; k < sizeof(weak) / sizeof(weak[0]); k++)
		if (memcmp(y, weak[k], sizeof(y)) == 0)
			return true;
	for (i = ED25519_LEN - 1; i > 0 && y[i] == prime[i]; i--)
		continue;
	return y[i] >= prime[i];
}

/* RFC 8037 section 2. */
static int
read_okp(const json_t *object, struct bg_jwk *key, struct bg_error *err)
{
	struct bg_slice crv = bg_json_string(json_object_get(object, "crv"));
	unsigned char x[ED25519_LEN];
	long n;

	if (!bg_slice_equal(crv, BG_SLICE("Ed25519")))
		return bg_fail(err, BG_R_BAD_JWK, "crv \"%.*s\" is not known", BG_SLICE_ARG(crv));
	if ((n = read_bytes(object, "x", x, sizeof(x), err)) < 0)
		return -1;
	if (n != sizeof(x))
		return bg_fail(err, BG_R_BAD_JWK, "x of Ed25519 has %d bytes", ED25519_LEN);
	if (is_weak_ed25519(x))
		return bg_fail(err, BG_R_BAD_JWK, "x of Ed25519 is no point, or one under which anybody can sign");
	key->kty = BG_KTY_ED25519;
	key->size = 2 * ED25519_LEN;
	if ((key->pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x, sizeof(x))) == NULL)
		return bg_fail_openssl(err, BG_R_BAD_JWK, "Ed25519");
	return 0;
}

static const struct {
	struct bg_slice name;
	int           (*read)(const json_t *object, struct bg_jwk *key, struct bg_error *err);
} types[] = {
	{ BG_SLICE_INIT("RSA"), read_rsa },
	{ BG_SLICE_INIT("EC"),  read_ec },
	{ BG_SLICE_INIT("OKP"), read_okp },
};

/* use, key_ops and alg say what a key is for: not for anything but verifying (SR-12).  RFC 7517 sections 4.2 to 4.4. */
static int
read_purpose(const json_t *object, struct bg_jwk *key, struct bg_error *err)
{
	const json_t *use = json_object_get(object, "use"), *ops = json_object_get(object, "key_ops"),
	    *alg = json_object_get(object, "alg"), *op;
	bool verifies = ops == NULL;
	size_t i;

	if (use != NULL && !bg_slice_equal(bg_json_string(use), BG_SLICE("sig")))
		return bg_fail(err, BG_R_BAD_JWK, "use is not \"sig\"");
	json_array_foreach(ops, i, op)
		verifies |= bg_slice_equal(bg_json_string(op), BG_SLICE("verify"));
	if (!verifies)
		return bg_fail(err, BG_R_BAD_JWK, "key_ops has no \"verify\"");
	if (alg != NULL && ((key->alg = bg_alg_find(bg_json_string(alg))) == NULL || key->alg->kty != key->kty))
		return bg_fail(err, BG_R_BAD_JWK, "alg \"%.*s\" is not for verifying with this type of key",
		    BG_SLICE_ARG(bg_json_string(alg)));
	return 0;
}

static int
read_kid(const json_t *object, struct bg_jwk *key, struct bg_error *err)
{
	const json_t *kid = json_object_get(object, "kid");

	if (kid == NULL)
		return 0;
	if (!json_is_string(kid) || json_string_length(kid) > BG_KID_MAX)
		return bg_fail(err, BG_R_BAD_JWK, "kid is no string of at most %d bytes", BG_KID_MAX);
	if ((key->kid = strdup(json_string_value(kid))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "kid");
	return 0;
}

int
bg_jwk_parse(const json_t *object, struct bg_jwk **out, struct bg_error *err)
{
	struct bg_slice kty = bg_json_string(json_object_get(object, "kty"));
	struct bg_jwk *key;
	size_t i;

	*out = NULL;
	for (i = 0; i < sizeof(types) / sizeof(types[0]) && !bg_slice_equal(types[i].name, kty); i++)
		continue;
	if (i == sizeof(types) / sizeof(types[0]))
		return bg_fail(err, BG_R_BAD_JWK, "kty \"%.*s\" is not known", BG_SLICE_ARG(kty));
	if ((key = calloc(1, sizeof(*key))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "key");
	if (types[i].read(object, key, err) != 0 || read_purpose(object, key, err) != 0 || read_kid(object, key, err) != 0) {
		bg_jwk_free(key);
		return -1;
	}
	*out = key;
	return 0;
}

bool
bg_jwk_fits(const struct bg_jwk *key, const struct bg_alg *alg)
{
	return key->kty == alg->kty && (key->alg == NULL || key->alg == alg);
}

/*
 * To ready a context takes OpenSSL a sixth of the time of an RSA verification: it looks up by name what it has looked up
 * before, under locks.  A copy costs next to nothing, so a key that is used again keeps one to be copied.  OpenSSL does not
 * promise that two threads may copy one context, so whoever does has taken it off the shelf; whoever finds the shelf
 * empty meanwhile readies another one.
 */
struct kept {
	const struct bg_alg *alg;
	EVP_MD_CTX          *ctx;
};

struct bg_jwk_shelf {
	_Atomic(struct kept *) kept;
};

static void
free_kept(struct kept *kept)
{
	if (kept == NULL)
		return;
	EVP_MD_CTX_free(kept->ctx);
	free(kept);
}

int
bg_jwk_keep(struct bg_jwk *key, struct bg_error *err)
{
	if (key->shelf == NULL && (key->shelf = calloc(1, sizeof(*key->shelf))) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "key");
	return 0;
}

/* What is on the shelf, if it is for this algorithm, now the caller's. */
static struct kept *
take_off(const struct bg_jwk *key, const struct bg_alg *alg)
{
	struct kept *kept = atomic_exchange(&key->shelf->kept, NULL);

	if (kept != NULL && kept->alg != alg) {
		free_kept(kept);
		kept = NULL;
	}
	return kept;
}

static struct kept *
new_kept(const struct bg_jwk *key, const struct bg_alg *alg, bg_jwk_prepare *prepare)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (kept == NULL)
		return NULL;
	kept->alg = alg;
	if ((kept->ctx = EVP_MD_CTX_new()) == NULL || prepare(alg, key, kept->ctx) != 1) {
		free_kept(kept);
		return NULL;
	}
	return kept;
}

EVP_MD_CTX *
bg_jwk_context(const struct bg_jwk *key, const struct bg_alg *alg, bg_jwk_prepare *prepare)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct kept *kept = NULL;
	int good = 0;

	if (ctx == NULL)
		return NULL;
	if (key->shelf == NULL)
		good = prepare(alg, key, ctx);
	else if ((kept = take_off(key, alg)) != NULL || (kept = new_kept(key, alg, prepare)) != NULL) {
		good = EVP_MD_CTX_copy_ex(ctx, kept->ctx);
		free_kept(atomic_exchange(&key->shelf->kept, kept));
	}
	if (good == 1)
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

void
bg_jwk_free(struct bg_jwk *key)
{
	if (key == NULL)
		return;
	if (key->shelf != NULL)
		free_kept(atomic_load(&key->shelf->kept));
	free(key->shelf);
	EVP_PKEY_free(key->pkey);
	free(key->kid);
	free(key);
}

static void
put_b64url(struct bg_buf *buf, const unsigned char *bytes, size_t len)
{
	char *at = bg_buf_extend(buf, BG_B64URL_ENCODED(len));

	if (at != NULL)
		bg_b64url_encode(at, bytes, len);
}

/* Put a number of the key as Base64urlUInt: of len bytes, or as few as it needs where len is 0. */
static int
put_number(struct bg_buf *buf, const struct bg_jwk *key, const char *param, size_t len, struct bg_error *err)
{
	unsigned char bytes[BG_RSA_BITS_MAX / 8];
	BIGNUM *bn = NULL;
	int rc = -1;

	if (EVP_PKEY_get_bn_param(key->pkey, param, &bn) != 1 || (size_t)BN_num_bytes(bn) > sizeof(bytes) ||
	    BN_bn2binpad(bn, bytes, (int)(len > 0 ? len : (size_t)BN_num_bytes(bn))) < 0)
		bg_fail_openssl(err, BG_R_INTERNAL, "key parameter");
	else {
		put_b64url(buf, bytes, len > 0 ? len : (size_t)BN_num_bytes(bn));
		rc = 0;
	}
	BN_free(bn);
	return rc;
}

/* The members that make the thumbprint, in the order of their names, no white space.  RFC 7638 section 3.2. */
static int
put_rsa_members(struct bg_buf *buf, const struct bg_jwk *key, struct bg_error *err)
{
	bg_buf_put_str(buf, "{\"e\":\"");
	if (put_number(buf, key, OSSL_PKEY_PARAM_RSA_E, 0, err) != 0)
		return -1;
	bg_buf_put_str(buf, "\",\"kty\":\"RSA\",\"n\":\"");
	if (put_number(buf, key, OSSL_PKEY_PARAM_RSA_N, 0, err) != 0)
		return -1;
	bg_buf_put_str(buf, "\"}");
	return 0;
}

/* What a key was made of, where we have that: to ask OpenSSL for a point takes it a quarter of a verification. */
static int
put_coordinate(struct bg_buf *buf, const struct bg_jwk *key, const char *param, size_t at, size_t len, struct bg_error *err)
{
	if (!key->has_point)
		return put_number(buf, key, param, len, err);
	put_b64url(buf, key->point + at, len);
	return 0;
}

static int
put_ec_members(struct bg_buf *buf, const struct bg_jwk *key, struct bg_error *err)
{
	const struct curve *curve = curves;

	while (curve->kty != key->kty)
		curve++;
	bg_buf_put_format(buf, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"", curve->name.ptr);
	if (put_coordinate(buf, key, OSSL_PKEY_PARAM_EC_PUB_X, 0, curve->len, err) != 0)
		return -1;
	bg_buf_put_str(buf, "\",\"y\":\"");
	if (put_coordinate(buf, key, OSSL_PKEY_PARAM_EC_PUB_Y, curve->len, curve->len, err) != 0)
		return -1;
	bg_buf_put_str(buf, "\"}");
	return 0;
}

static int
put_okp_members(struct bg_buf *buf, const struct bg_jwk *key, struct bg_error *err)
{
	unsigned char x[ED25519_LEN];
	size_t len = sizeof(x);

	if (EVP_PKEY_get_raw_public_key(key->pkey, x, &len) != 1 || len != sizeof(x))
		return bg_fail_openssl(err, BG_R_INTERNAL, "Ed25519");
	bg_buf_put_str(buf, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"");
	put_b64url(buf, x, len);
	bg_buf_put_str(buf, "\"}");
	return 0;
}

/* The key alone, as the JSON object that its thumbprint is made of. */
static int
put_members(struct bg_buf *buf, const struct bg_jwk *key, struct bg_error *err)
{
	switch (key->kty) {
	case BG_KTY_RSA:
		return put_rsa_members(buf, key, err);
	case BG_KTY_P256:
	case BG_KTY_P384:
	case BG_KTY_P521:
		return put_ec_members(buf, key, err);
	case BG_KTY_ED25519:
		return put_okp_members(buf, key, err);
	}
	return bg_fail(err, BG_R_INTERNAL, "a key of no type");
}

int
bg_jwk_thumbprint(const struct bg_jwk *key, char out[BG_THUMBPRINT_LEN + 1], struct bg_error *err)
{
	unsigned char hash[BG_SHA256_LEN];
	struct bg_slice text;
	struct bg_buf buf;
	int rc = -1;

	bg_buf_init(&buf, MEMBERS_MAX);
	if (put_members(&buf, key, err) == 0 && bg_buf_finish(&buf, &text, err) == 0 && bg_sha256(text, hash, err) == 0) {
		bg_b64url_encode(out, hash, sizeof(hash));
		out[BG_THUMBPRINT_LEN] = '\0';
		rc = 0;
	}
	bg_buf_clear(&buf);
	return rc;
}

void
bg_jwk_describe(const struct bg_jwk *key, struct bg_buf *out)
{
	const struct curve *curve = curves;

	switch (key->kty) {
	case BG_KTY_RSA:
		bg_buf_put_format(out, "RSA %d", EVP_PKEY_get_bits(key->pkey));
		break;
	case BG_KTY_P256:
	case BG_KTY_P384:
	case BG_KTY_P521:
		while (curve->kty != key->kty)
			curve++;
		bg_buf_put_format(out, "EC %s", curve->name.ptr);
		break;
	case BG_KTY_ED25519:
		bg_buf_put_str(out, "OKP Ed25519");
		break;
	}
}

/* What type of key OpenSSL has read, in our words. */
static int
read_type(const EVP_PKEY *pkey, enum bg_kty *kty, struct bg_error *err)
{
	const char *name = EVP_PKEY_get0_type_name(pkey);
	char group[32] = "";
	size_t len = 0;

	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		*kty = BG_KTY_RSA;
		return 0;
	case EVP_PKEY_ED25519:
		*kty = BG_KTY_ED25519;
		return 0;
	case EVP_PKEY_EC:
		if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) != 1 || len == 0)
			return bg_fail_openssl(err, BG_R_BAD_JWK, "EC");
		for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
			if (bg_slice_equal(bg_slice_str(group), bg_slice_str(curves[i].group))) {
				*kty = curves[i].kty;
				return 0;
			}
	}
	return bg_fail(err, BG_R_BAD_JWK, "a key of type %s %s is not accepted", name != NULL ? name : "unknown", group);
}

/* The road of any other key: what a JWK may not be, a key in PEM may not be either.  Does not take pkey. */
static int
jwk_of_pkey(EVP_PKEY *pkey, struct bg_jwk **out, struct bg_error *err)
{
	struct bg_jwk bare = { .pkey = pkey };
	char kid[BG_THUMBPRINT_LEN + 1];
	struct bg_jwk *key = NULL;
	json_t *object = NULL;
	struct bg_slice text;
	struct bg_buf buf;
	int rc = -1;

	bg_buf_init(&buf, MEMBERS_MAX);
	if (read_type(pkey, &bare.kty, err) != 0)
		goto out;
	if (bare.kty == BG_KTY_RSA && EVP_PKEY_get_bits(pkey) > BG_RSA_BITS_MAX) {
		bg_fail(err, BG_R_BAD_JWK, "RSA key of %d bits, from %d to %d are accepted", EVP_PKEY_get_bits(pkey),
		    BG_RSA_BITS_MIN, BG_RSA_BITS_MAX);
		goto out;
	}
	if (put_members(&buf, &bare, err) != 0 || bg_buf_finish(&buf, &text, err) != 0 ||
	    bg_json_object(text, BG_R_BAD_JWK, &object, err) != 0 || bg_jwk_parse(object, &key, err) != 0 ||
	    bg_jwk_thumbprint(key, kid, err) != 0)
		goto out;
	if ((key->kid = strdup(kid)) == NULL) {
		bg_fail(err, BG_R_NO_MEMORY, "kid");
		goto out;
	}
	key->any_kid = true;
	*out = key;
	key = NULL;		/* moved to the caller */
	rc = 0;
out:
	bg_jwk_free(key);
	json_decref(object);
	bg_buf_clear(&buf);
	return rc;
}

/* What the bytes of a block of this name are; NULL when OpenSSL finds no such thing in them. */
static EVP_PKEY *
pkey_of_block(const char *name, const unsigned char *data, long len)
{
	EVP_PKEY *pkey = NULL;
	X509 *cert;

	if (strcmp(name, PEM_STRING_PUBLIC) == 0)
		return d2i_PUBKEY(NULL, &data, len);
	if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0)
		return d2i_PublicKey(EVP_PKEY_RSA, NULL, &data, len);
	if ((cert = d2i_X509(NULL, &data, len)) != NULL)
		pkey = X509_get_pubkey(cert);
	X509_free(cert);
	return pkey;
}

/* One block, from its first dash to its last. */
static int
read_block(struct bg_slice block, struct bg_jwk **out, struct bg_error *err)
{
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	EVP_PKEY *pkey = NULL;
	BIO *bio = BIO_new_mem_buf(block.ptr, (int)block.len);
	int rc = -1;
	long len;

	if (bio == NULL || PEM_read_bio(bio, &name, &header, &data, &len) != 1) {
		bg_fail_openssl(err, BG_R_BAD_JWK, "PEM");
		goto out;
	}
	if (strstr(name, "PRIVATE KEY") != NULL) {
		bg_fail(err, BG_R_BAD_JWK, "a private key; whoever only checks signatures must not have it");
		goto out;
	}
	if (strcmp(name, PEM_STRING_PUBLIC) != 0 && strcmp(name, PEM_STRING_RSA_PUBLIC) != 0 &&
	    strcmp(name, PEM_STRING_X509) != 0) {
		bg_fail(err, BG_R_BAD_JWK, "\"%s\" is neither a public key nor a certificate", name);
		goto out;
	}
	if ((pkey = pkey_of_block(name, data, len)) == NULL) {
		bg_fail_openssl(err, BG_R_BAD_JWK, name);
		goto out;
	}
	rc = jwk_of_pkey(pkey, out, err);
out:
	EVP_PKEY_free(pkey);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_clear_free(data, data != NULL ? (size_t)len : 0);
	BIO_free(bio);
	return rc;
}

int
bg_jwk_read_pem(struct bg_slice *rest, struct bg_jwk **out, struct bg_error *err)
{
	static const char begin[] = "-----BEGIN ", end[] = "-----END ";
	const char *from = rest->len > 0 ? memmem(rest->ptr, rest->len, begin, strlen(begin)) : NULL, *until;
	struct bg_slice block;

	*out = NULL;
	if (from == NULL) {
		*rest = bg_slice_skip(*rest, rest->len);
		return 0;
	}
	block = bg_slice_skip(*rest, (size_t)(from - rest->ptr));
	if ((until = memmem(block.ptr, block.len, end, strlen(end))) == NULL ||
	    (until = memmem(until + strlen(end), block.len - (size_t)(until + strlen(end) - block.ptr), "-----", 5)) == NULL) {
		*rest = bg_slice_skip(*rest, rest->len);
		return bg_fail(err, BG_R_BAD_JWK, "a PEM block has no end");
	}
	block.len = (size_t)(until + 5 - block.ptr);
	*rest = bg_slice_skip(*rest, (size_t)(block.ptr - rest->ptr) + block.len);
	return read_block(block, out, err);
}
