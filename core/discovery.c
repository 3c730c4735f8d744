#include "core/discovery.h"

#include "core/url.h"

static const struct bg_slice https = BG_SLICE_INIT("https://");

void
bg_discovery_url(struct bg_slice issuer, enum bg_discovery_place place, struct bg_buf *url)
{
	size_t host = issuer.len < https.len ? issuer.len : https.len;	/* where it ends */

	if (issuer.len > 0 && issuer.ptr[issuer.len - 1] == '/')
		issuer.len--;
	if (place == BG_DISCOVERY_OPENID) {
		bg_buf_put(url, issuer);
		bg_buf_put_str(url, "/.well-known/openid-configuration");
		return;
	}
	while (host < issuer.len && issuer.ptr[host] != '/')
		host++;
	bg_buf_put(url, (struct bg_slice){ issuer.ptr, host < issuer.len ? host : issuer.len });
	bg_buf_put_str(url, "/.well-known/oauth-authorization-server");
	if (host < issuer.len)
		bg_buf_put(url, bg_slice_skip(issuer, host));
}

static int
read_string(const json_t *root, const char *name, struct bg_slice *out, struct bg_error *err)
{
	const json_t *value = json_object_get(root, name);

	if (value == NULL)
		return bg_fail(err, BG_R_BAD_DISCOVERY, "the discovery document has no %s", name);
	*out = bg_json_string(value);
	if (out->ptr == NULL)
		return bg_fail(err, BG_R_BAD_DISCOVERY, "%s in the discovery document is %s, not a string", name,
		    bg_json_type_name(value));
	return 0;
}

/* Byte for byte, so that keys of one issuer never judge another's tokens (SR-42, SR-46). */
static int
check_issuer(struct bg_slice found, struct bg_slice expected, struct bg_error *err)
{
	struct bg_slice longer = found.len > expected.len ? found : expected;
	struct bg_slice shorter = found.len > expected.len ? expected : found;

	if (bg_slice_equal(found, expected))
		return 0;
	/* The usual mistake, and hard to see in a line of log (SR-43). */
	if (longer.len == shorter.len + 1 && bg_slice_starts(longer, shorter) && longer.ptr[shorter.len] == '/')
		return bg_fail(err, BG_R_BAD_DISCOVERY, "issuer is \"%.*s\", expected \"%.*s\": one has a slash at its end",
		    BG_SLICE_ARG(found), BG_SLICE_ARG(expected));
	return bg_fail(err, BG_R_BAD_DISCOVERY, "issuer is \"%.*s\", expected \"%.*s\"", BG_SLICE_ARG(found),
	    BG_SLICE_ARG(expected));
}

int
bg_discovery_read(struct bg_slice document, struct bg_slice issuer, struct bg_buf *jwks_uri, struct bg_error *err)
{
	struct bg_slice found, uri;
	json_t *root = NULL;
	const char *wrong;
	int rc = -1;

	bg_buf_reset(jwks_uri);
	if (bg_json_object(document, BG_R_BAD_DISCOVERY, &root, err) != 0 ||
	    read_string(root, "issuer", &found, err) != 0 || check_issuer(found, issuer, err) != 0 ||
	    read_string(root, "jwks_uri", &uri, err) != 0)
		goto out;
	if ((wrong = bg_url_wrong(uri, true)) != NULL) {
		bg_fail(err, BG_R_BAD_DISCOVERY, "jwks_uri \"%.*s\" %s", BG_SLICE_ARG(uri), wrong);
		goto out;
	}
	bg_buf_put(jwks_uri, uri);
	if (jwks_uri->no_memory) {
		bg_fail(err, BG_R_NO_MEMORY, "jwks_uri");
		goto out;
	}
	if (jwks_uri->failed) {
		bg_fail(err, BG_R_BAD_DISCOVERY, "jwks_uri is longer than %zu bytes", jwks_uri->max);
		goto out;
	}
	rc = 0;
out:
	json_decref(root);
	return rc;
}
