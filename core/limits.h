#ifndef BG_CORE_LIMITS_H
#define BG_CORE_LIMITS_H

#include <stdint.h>

/* Every ceiling on bytes that come from strangers, each with its reason. */

/* Servers refuse a header field above 8 KiB unless told otherwise; this is room for those who told them (SR-20). */
#define BG_TOKEN_MAX		(16 * 1024)

/* alg, kid, typ and what an issuer may add; a certificate chain in x5c, which nobody here reads, does not fit (SR-20). */
#define BG_TOKEN_HEADER_MAX	(4 * 1024)

/* An identifier chosen by the issuer; thumbprints have 43 characters, certificate names fit (SR-13). */
#define BG_KID_MAX		256

/* An identifier chosen by a client for its proof: real ones are UUIDs or random bytes (RFC 9449 section 4.2). */
#define BG_JTI_MAX		512

/* RSA 8192 makes 1024 bytes; no algorithm here makes more. */
#define BG_SIGNATURE_MAX	1024

/* RSA keys: below the first they can be broken, above the second a stranger's token costs too much time (SR-10). */
#define BG_RSA_BITS_MIN		2048
#define BG_RSA_BITS_MAX		8192

/* JSON: deeper, longer or wider than any real header, claims set or key set (SR-28, SR-29, SR-30). */
#define BG_JSON_DEPTH_MAX	32
#define BG_JSON_NUMBER_MAX	64
#define BG_JSON_MEMBERS_MAX	256

/* 2^53: above it a double no longer counts single seconds (SR-25). */
#define BG_NUMERIC_DATE_MAX	9007199254740992.0

/*
 * A client certificate as the server hands it in.  Real ones have 1 to 3 KiB as PEM, half as much again when escaped; this
 * holds one with the certificates of its issuers behind it.
 */
#define BG_CERTIFICATE_MAX	(16 * 1024)

/* An issuer's answer: Google's and Microsoft's key sets have under 20 KiB (SR-52). */
#define BG_FETCH_MAX		(512 * 1024)
#define BG_JWKS_KEYS_MAX	100

/* Keys without a name, each of which is tried on every token. */
#define BG_PEM_KEYS_MAX		8

/* An entity tag, which we hand back as it came: real ones are digests (RFC 9110 section 8.8.3). */
#define BG_ETAG_MAX		256

/* A URL we are configured with or that an issuer tells us. */
#define BG_URL_MAX		2048

/* Each entry of aud or scope costs a comparison; more than this is no token but an attempt (SR-44). */
#define BG_STRINGS_MAX		1000

/*
 * What an answer may hold.  mod_authnz_fcgi reads one answer of 8192 bytes and libfcgi writes 8184 at once, and
 * one header line of 8192 bytes is already too long for Apache: a denial stays well below.
 */
#define BG_CHALLENGE_MAX	2048
#define BG_BODY_MAX		2048
#define BG_ANSWER_MAX		(60 * 1024)

/*
 * The head of an answer in the Responder role, where nginx wants all claims as headers in one fastcgi_buffer: two of its
 * default pages of 4 KiB, which the shipped example sets, less the eight bytes of a record's own header.  libfcgi too
 * writes no more at once.
 */
#define BG_RESPONDER_HEAD_MAX	(8 * 1024 - 8)

/* One exported variable; Apache takes header lines below 8192 bytes with the name (interop: 8100 is fine). */
#define BG_EXPORT_VALUE_MAX	8000

/* Exported variables of one answer; mod_cgid and lighttpd fail at about a thousand. */
#define BG_EXPORT_MAX		64

/* The request as FastCGI parameters: lighttpd and nginx stop at 65,535 bytes, Apache sends several records (SR-21). */
#define BG_PARAMS_MAX		(128 * 1024)
#define BG_PARAMS_COUNT_MAX	1024

/* Calls of one server for one client request, of which interop.md has seen four; each is noted beside the proof (SR-63). */
#define BG_REPLAY_CALLS_MAX	16

/* A proof is remembered for minutes.  Beyond this, times in milliseconds would come near their ends. */
#define BG_REPLAY_LIFE_MAX_MS	(INT64_C(366) * 24 * 60 * 60 * 1000)

/* What Redis says to one call: INFO has some 6 KiB and grows with each version, all other answers are a line. */
#define BG_REDIS_ANSWER_MAX	(32 * 1024)

/* A request target; servers stop at 8 KiB unless told otherwise. */
#define BG_URI_MAX		(64 * 1024)

/*
 * The body of a refused request, which a CGI program reads so that its answer gets through: what a client may upload to the
 * servers' own defaults (lighttpd 1.4 sets none, nginx 1 MiB), and a few seconds, for which it costs a process.  Beyond
 * either the answer may be cut, but it is still no permission.
 */
#define BG_DRAIN_MAX		(INT64_C(256) * 1024 * 1024)
#define BG_DRAIN_MS		(10 * 1000)

/* A host in its normal form: RFC 1035 section 2.3.4 has 255 bytes for any name. */
#define BG_HOST_MAX		255

/* Entries of a list of proxies: each is an address to look up, and no request comes through so many (SR-69). */
#define BG_FORWARDED_MAX	100

#endif
