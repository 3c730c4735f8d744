#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <openssl/evp.h>

#include "core/jwks.h"
#include "core/token.h"

/*
 * The floor of all figures: an authorizer of libfcgi that does nothing but answer 200 with two variables.  With a token and
 * a key set it checks that one signature before each answer, by OpenSSL alone, which is the floor of all that trust no cache.
 *
 *	floor SOCKET THREADS [TOKEN JWKS]
 */

static const char answer[] = "Status: 200 OK\r\nVariable-AUTH_TYPE: Bearer\r\nVariable-REMOTE_USER: auth0|5f7c8ec7c33c6c004bbafe82\r\n\r\n";
static int sock;
static struct bg_token *token;
static struct bg_jwks *keys;

static _Noreturn void
end(const char *what)
{
	(void)fprintf(stderr, "floor: %s\n", what);
	exit(EX_OSERR);
}

static void
verify(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, bg_jwks_get(keys, 0)->pkey, NULL) != 1 ||
	    EVP_DigestVerify(ctx, (const unsigned char *)token->signature.ptr, token->signature.len,
	    (const unsigned char *)token->signing_input.ptr, token->signing_input.len) != 1)
		end("OpenSSL does not take the signature");
	EVP_MD_CTX_free(ctx);
}

static void *
serve(void *arg)
{
	FCGX_Request request;

	FCGX_InitRequest(&request, sock, 0);
	while (FCGX_Accept_r(&request) == 0) {
		if (token != NULL)
			verify();
		FCGX_PutStr(answer, sizeof(answer) - 1, request.out);
		FCGX_Finish_r(&request);
	}
	return arg;
}

int
main(int argc, char **argv)
{
	long threads = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	struct bg_error err = { 0 };
	pthread_t thread;

	if ((argc != 3 && argc != 5) || threads < 1) {
		(void)fputs("usage: floor SOCKET THREADS [TOKEN JWKS]\n", stderr);
		return EX_USAGE;
	}
	if (argc == 5 && (bg_json_start() != 0 || bg_token_parse(bg_slice_str(argv[3]), &token, &err) != 0 ||
	    bg_jwks_parse(bg_slice_str(argv[4]), "JWKS", &keys, &err) != 0))
		end(err.detail);
	(void)umask(0);
	if (FCGX_Init() != 0 || (sock = FCGX_OpenSocket(argv[1], 511)) == -1)
		end("no socket");
	for (long i = 1; i < threads; i++)
		if (pthread_create(&thread, NULL, serve, NULL) != 0)
			end("no thread");
	(void)serve(NULL);
	return EX_OSERR;
}
