#include "core/certificate.h"

#include <stdlib.h>

#include <openssl/x509.h>

#include "core/b64url.h"
#include "core/limits.h"
#include "core/secret.h"

/* The texts around base64, and the one of the forms we know that is said to be missing where they do not fit. */
struct form {
	const char     *name;
	struct bg_slice before;
	struct bg_slice after;
	bool            lines;		/* white space may stand in it, and more of the kind behind it */
};

/* RFC 7468 section 5.1; what servers do to the line ends of PEM leaves white space or nothing. */
static const struct form pem = {
	"PEM", BG_SLICE_INIT("-----BEGIN CERTIFICATE-----"), BG_SLICE_INIT("-----END CERTIFICATE-----"), true,
};
static const struct form escaped = {
	"URL-escaped PEM", BG_SLICE_INIT("-----BEGIN CERTIFICATE-----"), BG_SLICE_INIT("-----END CERTIFICATE-----"), true,
};
/* RFC 9440 section 2.1, RFC 8941 section 3.3.5. */
static const struct form sequence = { "an RFC 9440 byte sequence", BG_SLICE_INIT(":"), BG_SLICE_INIT(":"), false };

/* No byte of the value goes into a detail: it may be a private key that somebody took for a certificate. */
static int
refuse(const struct form *form, const char *why, struct bg_error *err)
{
	return bg_fail(err, BG_R_BAD_VARIABLE, "client certificate: %s was expected, but %s", form->name, why);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * Undo the escaping once.  A plus stands for itself, since base64 has it and the servers that leave it alone escape a space
 * as %20.  Returns the number of bytes, or -1; dst has room for as many as src has.
 */
static long
unescape(char *dst, struct bg_slice src)
{
	size_t n = 0;

	for (size_t i = 0; i < src.len; i++) {
		int high, low;

		if (is_space(src.ptr[i]))
			return -1;
		if (src.ptr[i] != '%') {
			dst[n++] = src.ptr[i];
			continue;
		}
		if (src.len - i < 3 || (high = bg_hex_digit(src.ptr[i + 1])) < 0 || (low = bg_hex_digit(src.ptr[i + 2])) < 0)
			return -1;
		dst[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return (long)n;
}

static void
skip_space(struct bg_slice *rest)
{
	while (rest->len > 0 && is_space(rest->ptr[0]))
		*rest = bg_slice_skip(*rest, 1);
}

static bool
take(struct bg_slice *rest, struct bg_slice word)
{
	if (!bg_slice_starts(*rest, word))
		return false;
	*rest = bg_slice_skip(*rest, word.len);
	return true;
}

/*
 * Take padded base64 off rest, up to the first byte that can be none, and decode it; scratch and der have room for rest->len
 * bytes each.  One value has one spelling, but for the white space.  Returns the number of bytes, or -1.
 *
 * RFC 4648 section 4.
 */
static long
take_base64(struct bg_slice *rest, bool lines, char *scratch, unsigned char *der)
{
	size_t n = 0, padding = 0;

	for (; rest->len > 0; *rest = bg_slice_skip(*rest, 1)) {
		char c = rest->ptr[0];

		if (lines && is_space(c))
			continue;
		if (c == '=')
			padding++;
		else if (padding == 0 && ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			scratch[n++] = c;
		else if (padding == 0 && (c == '+' || c == '/'))
			scratch[n++] = c == '+' ? '-' : '_';
		else
			break;
	}
	if (padding > 2 || (n + padding) % 4 != 0)
		return -1;
	return bg_b64url_decode(der, (struct bg_slice){ scratch, n });
}

/* Is it one certificate and nothing more? */
static int
check_der(const struct form *form, const unsigned char *der, long len, struct bg_error *err)
{
	const unsigned char *at = der;
	X509 *cert = d2i_X509(NULL, &at, len);
	bool all = at == der + len;

	if (cert == NULL)
		return bg_fail_openssl(err, BG_R_BAD_VARIABLE, "client certificate: no X.509 certificate");
	X509_free(cert);
	return all ? 0 : refuse(form, "bytes follow the certificate", err);
}

/* text in this form; scratch and der have room for as many bytes each. */
static int
read_form(const struct form *form, struct bg_slice text, char *scratch, unsigned char *der, char out[BG_THUMBPRINT_LEN + 1],
    struct bg_error *err)
{
	unsigned char digest[BG_SHA256_LEN];
	long len;

	if (form->lines)
		skip_space(&text);
	if (!take(&text, form->before))
		return refuse(form, "it begins otherwise", err);
	if ((len = take_base64(&text, form->lines, scratch, der)) < 0 || !take(&text, form->after))
		return refuse(form, "its base64 is broken or has no end", err);
	/* the thumbprint is of these very bytes: OpenSSL might write the certificate in others.  RFC 8705 section 3.1 */
	if (check_der(form, der, len, err) != 0 || bg_sha256((struct bg_slice){ (const char *)der, (size_t)len }, digest, err) != 0)
		return -1;
	while (form->lines && text.len > 0) {	/* behind the client's come those of its issuers, whose form alone counts */
		skip_space(&text);
		if (text.len > 0 && (!take(&text, form->before) || take_base64(&text, true, scratch, der) < 0 ||
		    !take(&text, form->after)))
			return refuse(form, "something else follows", err);
	}
	if (text.len > 0)
		return refuse(form, "something else follows", err);
	bg_b64url_encode(out, digest, sizeof(digest));
	out[BG_THUMBPRINT_LEN] = '\0';
	return 0;
}

static const struct form *
form_of(struct bg_slice value)
{
	if (value.len > 0 && value.ptr[0] == sequence.before.ptr[0])
		return &sequence;
	return value.len > 0 && memchr(value.ptr, '%', value.len) != NULL ? &escaped : &pem;	/* PEM has no percent sign */
}

int
bg_certificate_thumbprint(struct bg_slice value, char out[BG_THUMBPRINT_LEN + 1], struct bg_error *err)
{
	const struct form *form = form_of(value);
	char *text, *scratch;
	int rc = -1;
	long len;

	out[0] = '\0';
	if (value.len > BG_CERTIFICATE_MAX)
		return bg_fail(err, BG_R_BAD_VARIABLE, "client certificate: %s of %zu bytes, at most %d are read", form->name, value.len,
		    BG_CERTIFICATE_MAX);
	if ((text = malloc(3 * value.len + 1)) == NULL)
		return bg_fail(err, BG_R_NO_MEMORY, "client certificate");
	scratch = text + value.len;
	if (form != &escaped)
		rc = read_form(form, value, scratch, (unsigned char *)scratch + value.len, out, err);
	else if ((len = unescape(text, value)) < 0)
		rc = refuse(form, "there is a wrong escape or white space", err);
	else
		rc = read_form(form, (struct bg_slice){ text, (size_t)len }, scratch, (unsigned char *)scratch + value.len, out, err);
	free(text);
	return rc;
}
