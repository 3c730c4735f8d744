#ifndef BG_TESTS_SUPPORT_FIXED_H
#define BG_TESTS_SUPPORT_FIXED_H

/*
 * One key of each kind that support/mint.h has none of, and one token by each, made once with OpenSSL and written down.
 * The private halves were thrown away.  The tokens are from https://issuer.example/ for https://api.example, with the
 * scopes "openid profile read:messages", good from 1700000000 until 1700086400.
 */
#define BG_FIXED_EC_JWK	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\",\"alg\":\"ES256\","	\
	"\"x\":\"Fif6H26zf_hLrPtQ94i04QgMK_akhn4wrAgImtWje24\","				\
	"\"y\":\"XF3Aa0KHGKetU-eZEr_rRGNF_jiCymar2WsLnHBF6sE\"}"

#define BG_FIXED_ED_JWK	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"use\":\"sig\","	\
	"\"x\":\"UYNcBi-r3ACDvlkHhK0W096DrknVjJUEjuTAFiqnmVk\"}"

#define BG_FIXED_CLAIMS									\
	"eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlLyIsInN1YiI6ImF1dGgwfDVmN2M4ZWM3YzMzYzZjMDA0YmJhZmU4MiIsImF1ZCI6Imh0"	\
	"dHBzOi8vYXBpLmV4YW1wbGUiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDA4NjQwMCwic2NvcGUiOiJvcGVuaWQgcHJvZmlsZSByZWFk"	\
	"Om1lc3NhZ2VzIiwiYXpwIjoibXlfY2xpZW50X2lkIn0"

#define BG_FIXED_EC_TOKEN	"eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImVjIn0." BG_FIXED_CLAIMS	\
	".TOP_b9ASU7bKgWXnOV9aesy082tsiJgGd-pffpk0q5pXqnkf9O88l4fbbYnMXm2Yxri74E9PGtkH9A4K2oRIAQ"

#define BG_FIXED_ED_TOKEN	"eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImVkIn0." BG_FIXED_CLAIMS	\
	".sC2jeyGIjbypIRboD4APrkXE7W4J1GPHpFUAUcIMTC5UIIlr8yLgPHPkK48POM3o9NfFworEpH2PeQ0zaYHcBw"

#endif
