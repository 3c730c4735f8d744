/*
 * So many good tokens of a tenant at Auth0, one in a line, each with another sub, signed with the fixed key that
 * tests/support/keys/rsa-2048-a.pem is: for servers.sh, where one program for each would take a minute.
 *
 *	tokens ISSUER AUDIENCE KID N
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "core/clock.h"
#include "tests/support/mint.h"

int
main(int argc, char **argv)
{
	char header[200], claims[1000], *token;
	long n = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
	int64_t now = bg_clock_wall();

	if (n < 1) {
		(void)fputs("usage: tokens ISSUER AUDIENCE KID N\n", stderr);
		return EX_USAGE;
	}
	bg_format(header, sizeof(header), "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", argv[3]);
	for (long i = 0; i < n; i++) {
		bg_format(claims, sizeof(claims), "{\"iss\":\"%s\",\"sub\":\"auth0|%024ld\",\"aud\":[\"%s\",\"%suserinfo\"],\"iat\":%" PRId64
		    ",\"exp\":%" PRId64 ",\"azp\":\"my_client_id\",\"scope\":\"openid profile read:messages\","
		    "\"permissions\":[\"read:messages\",\"write:messages\"]}", argv[1], i, argv[2], argv[1], now - 60, now + 86400);
		token = bg_mint_token(BG_MINT_KEY_A, header, claims);
		(void)puts(token);
		free(token);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EX_IOERR;
}
