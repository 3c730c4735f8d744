#include "core/export.h"

/* Apart from core/export.c, since names need no jansson and no token: see cgi/main.c. */

const char *const bg_export_defaults[] = { "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scope", "permissions", "azp",
	"client_id", "org_id", NULL };

void
bg_export_name(const char *claim, struct bg_buf *out)
{
	const char *last = claim[0] == '/' ? strrchr(claim, '/') + 1 : claim;

	bg_buf_put_str(out, "CLAIM_");
	for (; *last != '\0'; last++) {
		char c = *last;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		bg_buf_put_char(out, (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_');
	}
}

/*
 * What means something to a server, to CGI (RFC 3875 section 4.1), to a shell or to the loader.  Whole names, or, with
 * "*" at the end, beginnings.
 */
static const char *const reserved[] = { "HTTP_*", "REDIRECT_*", "BEARERGATE_*", "SSL_*", "CONTENT_*", "PATH*", "QUERY_STRING",
	"REMOTE_*", "REQUEST_*", "SCRIPT_*", "SERVER_*", "GATEWAY_INTERFACE", "AUTH_TYPE", "DOCUMENT_*", "CONTEXT_*", "HTTPS",
	"TYPE", "CLAIMS_JSON", "FCGI_*", "UNIQUE_ID", "LD_*", "DYLD_*", "IFS", "ENV", "BASH_*", "SHELLOPTS", "PS4", "PERL*", "PYTHON*",
	"RUBY*", "NODE_*", "PHP*", "LUA_*", "TZ", "HOME", "TMPDIR", "LANG", "LC_*", "USER", "SHELL", "GCONV_PATH", "MALLOC_*", "GLIBC_*",
	"LOCPATH", "NLSPATH", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_*", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
	"FTP_PROXY", "CURL_*", "OPENSSL_*", "SSLKEYLOGFILE", "GIT_*", "JAVA_*", "CLASSPATH", "JDK_*", "TCL*", "EDITOR", "PAGER",
	"TERM*", "ORIG_*", "LISTEN_*", "NOTIFY_SOCKET" };

const char *
bg_export_name_wrong(const char *name)
{
	struct bg_slice text = bg_slice_str(name);

	if (text.len == 0 || text.len > 128 || (name[0] >= '0' && name[0] <= '9'))
		return "is no name of a variable";
	for (size_t i = 0; i < text.len; i++)
		if (!((name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_'))
			return "has other characters than A-Z, 0-9 and _";
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		struct bg_slice word = bg_slice_str(reserved[i]);
		bool begins = word.ptr[word.len - 1] == '*';

		if (begins)
			word.len--;
		if (begins ? bg_slice_starts(text, word) : bg_slice_equal(text, word))
			return "means something else to servers, scripts or the system";
	}
	return NULL;
}

bool
bg_export_next(struct bg_slice *rest, struct bg_slice *name, struct bg_slice *value)
{
	const char *end;

	if (rest->len == 0 || (end = memchr(rest->ptr, '\0', rest->len)) == NULL)
		return false;
	*name = (struct bg_slice){ rest->ptr, (size_t)(end - rest->ptr) };
	*rest = bg_slice_skip(*rest, name->len + 1);
	if ((end = memchr(rest->ptr, '\0', rest->len)) == NULL)
		return false;
	*value = (struct bg_slice){ rest->ptr, (size_t)(end - rest->ptr) };
	*rest = bg_slice_skip(*rest, value->len + 1);
	return true;
}
