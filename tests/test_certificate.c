#include "core/certificate.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "core/limits.h"
#include "tests/support/run.h"

/* What to expect is what "openssl x509 -fingerprint -sha256" says of the files of tests/support/keys, in base64url. */
static const struct certificate { const char *file, *thumbprint; } certificates[] = {
	{ "rsa-2048-a-cert.pem", "NfOCZPTZmtDXH78i9v5W3WGRf5yD0tsZ6WQh_EbwNew" },
	{ "p256-cert.pem",       "xSoMChCVdQ5ASIIFa0Z9Ws7yUr2Bvn2pqTil0XCd8_w" },
	{ "ed25519-cert.pem",    "ymekZShSjxMpvl7YKrixZ4bTn-9ySbAFFF-UgSVL7Xk" },
	{ NULL,                  "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" },	/* RFC 8705 appendix A */
};

#define RFC8705									\
	"-----BEGIN CERTIFICATE-----\n"						\
	"MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx\n"	\
	"ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG\n"	\
	"SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ\n"	\
	"/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID\n"	\
	"SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV\n"	\
	"bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=\n"				\
	"-----END CERTIFICATE-----\n"

static char text[3 * BG_CERTIFICATE_MAX];	/* room for a case */

static const char *
read_key_file(const char *name)
{
	static char content[8192];
	const char *srcdir = getenv("srcdir");
	char path[1024];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/tests/support/keys/%s", srcdir != NULL ? srcdir : ".", name);
	ck_assert_msg((file = fopen(path, "re")) != NULL, "%s", path);
	n = fread(content, 1, sizeof(content) - 1, file);
	fclose(file);
	content[n] = '\0';
	return content;
}

/*
 * PEM in another form, in text: each of its bytes as the form says it.  space and line are what stands for these; NULL leaves
 * a byte as it is.
 */
static void
rewrite(const char *pem, const char *space, const char *line, bool escape)
{
	char *to = text;

	for (; *pem != '\0'; pem++) {
		if (*pem == ' ' && space != NULL)
			to = stpcpy(to, space);
		else if (*pem == '\n' && line != NULL)
			to = stpcpy(to, line);
		else if (escape && strchr("+/=", *pem) != NULL)
			to += sprintf(to, "%%%02X", (unsigned char)*pem);
		else
			*to++ = *pem;
	}
	*to = '\0';
}

/* The base64 of PEM between colons.  RFC 9440 section 2.1. */
static void
make_sequence(const char *pem)
{
	const char *from = strchr(pem, '\n') + 1, *end = strstr(pem, "-----END");
	char *to = text;

	*to++ = ':';
	for (; from < end; from++)
		if (*from != '\n')
			*to++ = *from;
	stpcpy(to, ":");
}

static const struct form { const char *name, *space, *line; bool escape, sequence; } forms[] = {
	{ "as it is: Apache's SSL_CLIENT_CERT, lighttpd", NULL, NULL, false, false },
	{ "lines end with CR and LF",                NULL,   "\r\n", false, false },
	{ "spaces for line ends: F5, HAProxy",       NULL,   " ",    false, false },
	{ "tabs for line ends",                      NULL,   "\t",   false, false },
	{ "lines indented: nginx's $ssl_client_cert", NULL,  "\n\t", false, false },
	{ "lines indented with spaces",              NULL,   "\n    ", false, false },
	{ "lines joined",                            NULL,   "",     false, false },
	{ "escaped: nginx's $ssl_client_escaped_cert", "%20", "%0A", true, false },
	{ "escaped in lower case",                   "%20",  "%0d%0a", true, false },
	{ "escaped, with plus, slash and equals sign left alone", "%20", "%0A", false, false },
	{ "RFC 9440",                                NULL,   NULL,   false, true },
};

START_TEST(a_certificate_has_one_thumbprint_in_every_form)	/* RFC 8705 section 3.1 */
{
	const struct certificate *certificate = &certificates[_i / N(forms)];
	const struct form *form = &forms[_i % N(forms)];
	const char *pem = certificate->file != NULL ? read_key_file(certificate->file) : RFC8705;
	char thumbprint[BG_THUMBPRINT_LEN + 1];
	struct bg_error err = { 0 };
	size_t len;
	char *exact;

	if (form->sequence)
		make_sequence(pem);
	else
		rewrite(pem, form->space, form->line, form->escape);
	len = strlen(text);
	ck_assert_ptr_nonnull(exact = malloc(len));	/* not terminated, so that sanitizers see a byte read too many */
	memcpy(exact, text, len);
	ck_reason(bg_certificate_thumbprint((struct bg_slice){ exact, len }, thumbprint, &err), err, BG_R_OK, form->name);
	ck_assert_msg(strcmp(thumbprint, certificate->thumbprint) == 0, "%s: %s", form->name, thumbprint);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	free(exact);
}
END_TEST

START_TEST(of_a_chain_the_first_certificate_counts)	/* RFC 5246 section 7.4.2: the sender's comes first */
{
	char thumbprint[BG_THUMBPRINT_LEN + 1], chain[8192];
	struct bg_error err = { 0 };

	bg_format(chain, sizeof(chain), "%s%s", RFC8705, read_key_file(certificates[1].file));
	ck_reason(bg_certificate_thumbprint(bg_slice_str(chain), thumbprint, &err), err, BG_R_OK, "two");
	ck_assert_str_eq(thumbprint, certificates[3].thumbprint);
	bg_format(chain, sizeof(chain), "%s%s", read_key_file(certificates[1].file), RFC8705);
	rewrite(chain, "%20", "%0A", true);
	ck_reason(bg_certificate_thumbprint(bg_slice_str(text), thumbprint, &err), err, BG_R_OK, "two, escaped");
	ck_assert_str_eq(thumbprint, certificates[1].thumbprint);
}
END_TEST

/* Parts of RFC 8705's certificate and of a key. */
#define B	"-----BEGIN CERTIFICATE-----"
#define E	"-----END CERTIFICATE-----"
#define SHORT	"MIIBBjCBrAIBAjAKBggqhkjOPQQDAg=="		/* its first bytes */
#define KEY	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"	/* RFC 8037 appendix A.1 */
#define FULL								\
	"MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx"	\
	"ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG"	\
	"SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ"	\
	"/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID"	\
	"SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV"	\
	"bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY"

static const struct { const char *name, *value, *detail; } refused[] = {
	{ "nothing",                         "",                                    "PEM was expected" },
	{ "white space",                     " \t\r\n",                             "PEM was expected" },
	{ "a word",                          "NONE",                                "PEM was expected" },
	{ "nginx's verdict in its place",    "SUCCESS",                             "PEM was expected" },
	{ "base64 without colons",           FULL "=",                              "PEM was expected" },
	{ "text before",                     "Certificate:\n" RFC8705,              "PEM was expected" },
	{ "a zero-width space before",       "\xe2\x80\x8b" RFC8705,                "PEM was expected" },
	{ "text behind",                     RFC8705 "x",                           "something else follows" },
	{ "a comma and another one",         B FULL "=" E "," B FULL "=" E,         "something else follows" },
	{ "half of another one behind",      RFC8705 B FULL "=",                    "something else follows" },
	{ "broken base64 in another one",    RFC8705 B FULL E,                      "something else follows" },
	{ "a private key behind",            RFC8705 "-----BEGIN PRIVATE KEY-----\n" KEY "\n-----END PRIVATE KEY-----\n", "something else" },
	{ "a private key",                   "-----BEGIN PRIVATE KEY-----\n" KEY "\n-----END PRIVATE KEY-----\n", "it begins otherwise" },
	{ "a private key, escaped",          "-----BEGIN%20PRIVATE%20KEY-----%0A" KEY "%0A-----END%20PRIVATE%20KEY-----", "it begins" },
	{ "a private key as a certificate",  B KEY E,                               "no X.509 certificate" },
	{ "a private key as a sequence",     ":" KEY ":",                           "no X.509 certificate" },
	{ "OpenSSL's own kind of block",     "-----BEGIN TRUSTED CERTIFICATE-----\n" FULL "=\n-----END TRUSTED CERTIFICATE-----", "begins otherwise" },
	{ "a request",                       "-----BEGIN CERTIFICATE REQUEST-----\n" FULL "=\n-----END CERTIFICATE REQUEST-----", "begins otherwise" },
	{ "a label in lower case",           "-----begin certificate-----\n" FULL "=\n" E, "begins otherwise" },
	{ "another end",                     B "\n" FULL "=\n-----END PRIVATE KEY-----\n", "has no end" },
	{ "no end",                          B "\n" FULL "=\n",                     "has no end" },
	{ "a header in the block",           B "\nProc-Type: 4,ENCRYPTED\n\n" FULL "=\n" E, "base64 is broken" },
	{ "no base64",                       B E,                                   "no X.509 certificate" },
	{ "cut",                             B SHORT E,                             "no X.509 certificate" },
	{ "a zero byte behind the DER",      B FULL "A" E,                          "bytes follow the certificate" },
	{ "a zero byte behind, sequence",    ":" FULL "A:",                         "bytes follow the certificate" },
	{ "two in one block",                B FULL "A" FULL "=" E,                 "bytes follow the certificate" },
	{ "no padding",                      B FULL E,                              "base64 is broken" },	/* RFC 4648 section 3.2 */
	{ "too much padding",                B FULL "==" E,                         "base64 is broken" },
	{ "padding where none is due",       B "MIIB====" E,                        "base64 is broken" },
	{ "padding in the middle",           B "MII=" FULL "=" E,                   "base64 is broken" },
	{ "unused bits set",                 B "MIIBBjCBrAIBAjAKBggqhkjOPQQDAh==" E, "base64 is broken" },	/* RFC 4648 section 3.5 */
	{ "the URL alphabet",                B "MIIB_-A=" E,                        "base64 is broken" },
	{ "a byte that is no ASCII",         B "MII\xc3\xa9" FULL "=" E,            "base64 is broken" },

	{ "an escape of one digit",          "-----BEGIN%20CERTIFICATE-----%0A" FULL "=%0A-----END%20CERTIFICATE-----%0", "URL-escaped PEM was expected" },
	{ "an escape of no digits",          "-----BEGIN%20CERTIFICATE-----%0A" FULL "%3g%0A-----END%20CERTIFICATE-----", "a wrong escape" },
	{ "a plus for a space",              "-----BEGIN+CERTIFICATE-----%0A" FULL "=%0A-----END+CERTIFICATE-----", "URL-escaped PEM was expected" },
	{ "escaped and not",                 "-----BEGIN CERTIFICATE-----%0A" FULL "=%0A-----END CERTIFICATE-----", "white space" },
	{ "escaped twice",                   "-----BEGIN%2520CERTIFICATE-----%250A" FULL "%253D%250A-----END%2520CERTIFICATE-----", "URL-escaped" },
	{ "an escaped zero byte",            "-----BEGIN%20CERTIFICATE-----%00" FULL "%3D%0A-----END%20CERTIFICATE-----", "URL-escaped" },

	{ "a colon",                         ":",                                   "an RFC 9440 byte sequence was expected" },
	{ "an empty sequence",               "::",                                  "no X.509 certificate" },
	{ "no second colon",                 ":" FULL "=",                          "an RFC 9440 byte sequence was expected" },
	{ "two sequences",                   ":" FULL "=:, :" FULL "=:",            "something else follows" },	/* RFC 9440 section 2.1 */
	{ "two sequences at once",           ":" FULL "=::" FULL "=:",              "something else follows" },
	{ "a parameter",                     ":" FULL "=:;a=1",                     "something else follows" },
	{ "a space behind a sequence",       ":" FULL "=: ",                        "something else follows" },
	{ "lines in a sequence",             ":MIIB\n" FULL "=:",                   "base64 is broken" },
	{ "PEM in a sequence",               ":" B FULL "=" E ":",                  "base64 is broken" },
	{ "a sequence without padding",      ":" FULL ":",                          "base64 is broken" },
	{ "a quoted certificate",            "\"" FULL "=\"",                       "PEM was expected" },
};

START_TEST(what_is_not_one_certificate_is_refused)	/* RFC 9440 section 2.1, RFC 7468 section 5.1 */
{
	char thumbprint[BG_THUMBPRINT_LEN + 1] = "x";
	struct bg_error err = { 0 };

	ck_reason(bg_certificate_thumbprint(bg_slice_str(refused[_i].value), thumbprint, &err), err, BG_R_BAD_VARIABLE, refused[_i].name);
	ck_assert_msg(strstr(err.detail, refused[_i].detail) != NULL, "%s: %s", refused[_i].name, err.detail);
	ck_assert_msg(strncmp(err.detail, "client certificate: ", 20) == 0, "%s", err.detail);
	/* SR-85: it may be a key that somebody took for a certificate */
	ck_assert_msg(strstr(err.detail, "MC4C") == NULL && strstr(err.detail, "PRIVATE") == NULL, "%s", err.detail);
	ck_assert_str_eq(thumbprint, "");
}
END_TEST

START_TEST(a_certificate_is_read_up_to_a_ceiling)
{
	char thumbprint[BG_THUMBPRINT_LEN + 1];
	struct bg_error err = { 0 };
	size_t len = strlen(RFC8705);

	memset(text, ' ', sizeof(text));
	memcpy(text, RFC8705, len);
	ck_reason(bg_certificate_thumbprint((struct bg_slice){ text, BG_CERTIFICATE_MAX }, thumbprint, &err), err, BG_R_OK, "at it");
	ck_assert_str_eq(thumbprint, certificates[3].thumbprint);
	ck_reason(bg_certificate_thumbprint((struct bg_slice){ text, BG_CERTIFICATE_MAX + 1 }, thumbprint, &err), err,
	    BG_R_BAD_VARIABLE, "above it");
	ck_assert_msg(strstr(err.detail, "at most 16384") != NULL, "%s", err.detail);
	ck_assert_str_eq(thumbprint, "");
	bg_error_clear(&err);
	ck_reason(bg_certificate_thumbprint((struct bg_slice){ NULL, 0 }, thumbprint, &err), err, BG_R_BAD_VARIABLE, "not there");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("certificate");
	TCase *tc = tcase_create("certificate");

	tcase_add_loop_test(tc, a_certificate_has_one_thumbprint_in_every_form, 0, N(certificates) * N(forms));
	tcase_add_test(tc, of_a_chain_the_first_certificate_counts);
	tcase_add_loop_test(tc, what_is_not_one_certificate_is_refused, 0, N(refused));
	tcase_add_test(tc, a_certificate_is_read_up_to_a_ceiling);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
