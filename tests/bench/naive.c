#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

/*
 * The floor of what deciding costs with OpenSSL as a shared library: a program that is linked with libcrypto and with nothing
 * else, checks one signature by RS256 and executes another program.  It reads no configuration, no token, no key set and no
 * cache, so whoever does all that and costs no more has paid for it elsewhere.
 *
 *	naive PROGRAM MODULUS TEXT SIGNATURE
 *
 * Modulus and signature are hexadecimal, the exponent is 65537.
 */

static EVP_PKEY *
make_key(const char *modulus)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *n = NULL, *e = BN_new();
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params;

	if (ctx == NULL || build == NULL || e == NULL || BN_hex2bn(&n, modulus) == 0 || BN_set_word(e, 65537) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1 ||
	    (params = OSSL_PARAM_BLD_to_param(build)) == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;	/* with all else, until this is another program */
}

int
main(int argc, char **argv)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char signature[1024];
	EVP_PKEY *key;
	BIGNUM *n = NULL;
	int len;

	if (argc != 5) {
		(void)fputs("usage: naive PROGRAM MODULUS TEXT SIGNATURE\n", stderr);
		return 2;
	}
	if ((key = make_key(argv[2])) == NULL || BN_hex2bn(&n, argv[4]) == 0 || (len = EVP_PKEY_get_size(key)) <= 0 ||
	    (size_t)len > sizeof(signature) || BN_bn2binpad(n, signature, len) != len || ctx == NULL ||
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestVerify(ctx, signature, (size_t)len, (const unsigned char *)argv[3], strlen(argv[3])) != 1) {
		(void)fputs("naive: OpenSSL does not take the signature\n", stderr);
		return 1;
	}
	execl(argv[1], argv[1], (char *)NULL);
	perror(argv[1]);
	return 1;
}
