#include "core/public.h"

#include <stdlib.h>

#include "core/htu.h"

/* A URL in the parts that bg_htu_build wants, each of which it looks at. */
struct parts {
	struct bg_slice scheme;
	struct bg_slice host;
	struct bg_slice prefix;
};

static struct parts
split(struct bg_slice url)
{
	struct parts parts = { .scheme = { url.ptr, 0 } };
	struct bg_slice rest = url;

	while (parts.scheme.len < url.len && url.ptr[parts.scheme.len] != ':')
		parts.scheme.len++;
	rest = bg_slice_skip(rest, parts.scheme.len);
	if (!bg_slice_starts(rest, BG_SLICE("://")))
		return parts;
	rest = bg_slice_skip(rest, strlen("://"));
	parts.host.ptr = rest.ptr;
	while (parts.host.len < rest.len && rest.ptr[parts.host.len] != '/')
		parts.host.len++;
	parts.prefix = bg_slice_skip(rest, parts.host.len);
	return parts;
}

/* What proxies of ours say, else what the server says. */
static int
find_parts(const struct bg_public *public, const struct bg_request *request, struct parts *out, struct bg_error *err)
{
	struct bg_forwarded said;

	if (bg_forwarded_find(&public->proxies, request, &said, err) != 0)
		return -1;
	out->scheme = said.proto.ptr != NULL ? said.proto : request->scheme;
	if (out->scheme.len == 0)
		out->scheme = BG_SLICE("http");
	out->host = said.host.ptr != NULL ? said.host : request->host;
	out->prefix = said.prefix;
	if (out->host.len == 0)
		return bg_fail(err, BG_R_BAD_HOST, "the request has no host");
	return 0;
}

int
bg_public_url(const struct bg_public *public, const struct bg_request *request, struct bg_buf *out, struct bg_error *err)
{
	struct parts parts;
	const char *wrong;
	bool host_wrong;

	if (public->url != NULL)
		parts = split(bg_slice_str(public->url));
	else if (find_parts(public, request, &parts, err) != 0)
		return -1;
	/* a proxy's was looked at, and conf/ looks at public_url: this is the server's own */
	if (!bg_slice_equal_nocase(parts.scheme, BG_SLICE("http")) && !bg_slice_equal_nocase(parts.scheme, BG_SLICE("https")))
		return bg_fail(err, public->url != NULL ? BG_R_INTERNAL : BG_R_BAD_VARIABLE,
		    "the scheme \"%.*s\" is neither http nor https", BG_SLICE_ARG(parts.scheme));
	if ((wrong = bg_htu_build(parts.scheme, parts.host, parts.prefix, request->uri, out, &host_wrong)) == NULL)
		return 0;
	if (out->no_memory)
		return bg_fail(err, BG_R_NO_MEMORY, "the URL of the request");
	if (public->url != NULL && (host_wrong || bg_htu_prefix_wrong(parts.prefix) != NULL))
		return bg_fail(err, BG_R_INTERNAL, "public_url \"%s\" %s", public->url, wrong);
	if (host_wrong)
		return bg_fail(err, BG_R_BAD_HOST, "the host \"%.*s\" %s", BG_SLICE_ARG(parts.host), wrong);
	return bg_fail(err, BG_R_BAD_REQUEST, "the request target \"%.*s\" %s", BG_SLICE_ARG(request->uri), wrong);
}

void
bg_public_clear(struct bg_public *public)
{
	free(public->url);
	free(public->proxies.networks);
	*public = (struct bg_public){ 0 };
}
