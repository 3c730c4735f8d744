#!/bin/bash
# bearergate-cgi behind busybox httpd, with the example configuration: all files of an ending.  What a place demands is said by
# the wrapper's configuration, and by files beside the scripts.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

begin busybox cc python3
busybox httpd --help >/dev/null 2>&1 || skip "this busybox has no httpd"
use_wrapper "script_root = \"$work/www\"" 'location "/api/public.cgi" { auth = "none" }' \
    'location "/cgi-bin/open.cgi/public" { auth = "none" }'
languages
streamer
mkdir "$work/www/api" "$work/www/cgi-bin"
for name in private private-scoped public; do
	cp "$work/bin/show-claims" "$work/www/api/$name.cgi"
done
mv "$work"/bin/*.cgi "$work/www/api/"
printf 'scope = { "read:messages" }\n' >"$work/www/api/private-scoped.cgi.bearergate"
{ printf '#!%s /usr/bin/perl -T\n' "$bg_cgi" && sed 1d "$work/www/api/perl.cgi"; } >"$work/www/cgi-bin/line"
cp "$work/bin/show-claims" "$work/www/cgi-bin/open.cgi"
teller "$work/www/api/tell.cgi"
own_answers "$work/www/api/nph-full.cgi" "$work/www/api/nph-name.cgi"
# The same without the wrapper.
for name in tell nph-full nph-name; do
	cp "$work/www/api/$name.cgi" "$work/www/cgi-bin/$name"
done
chmod 755 "$work/www/cgi-bin/line"

start_busybox
head -c 300000 /dev/urandom >"$work/upload"
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)

# The routes of the other servers' tests, with the ending that is this server's way to know a program.
eval "$(declare -f request | sed '1s/request/request_as_it_is/')"
request() {
	local path=$1

	shift
	[[ $path != /api/* ]] || path=$(sed -E 's,^(/api/[a-z-]+)(/[^?]*)?(\?.*)?$,\1.cgi\2\3,' <<<"$path")
	request_as_it_is "$path" "$@"
}
route() {
	jq -r '.route // empty' "$work/body" 2>/dev/null | sed 's/\.cgi$//' || :
}

no_credentials_are_refused_here
malformed_credentials_are_refused
forged_tokens_are_refused
wrong_claims_are_refused
bearer "$good"
allowed "a token is let in" /api/private /api/private '.CLAIM_SUB == "bob" and .REMOTE_USER == "bob"' "${auth[@]}"
denied "a file beside a script wants its scope" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
bearer "$(token '.scope = "read:messages"')"
allowed "with it the script runs" /api/private-scoped /api/private-scoped '.CLAIM_SCOPE == "read:messages"' "${auth[@]}"
headers_set_nothing
secrets_are_in_no_log
queries_choose_nothing
large_bodies_go_where_they_should
for language in sh perl python c; do
	speaks "$language" "/api/$language"
done
speaks perl /cgi-bin/line
chunked_bodies_do_not_spoil_a_refusal /api/private
streams /api/stream.cgi
leaving_is_told /api/tell.cgi /cgi-bin/tell stream upload silent
heads_are_alike /api/nph-name.cgi	# a body in answer to HEAD this server hands on, and show-claims gives one
for name in nph-full nph-name; do
	own_answers_are_the_same "/api/$name.cgi" "/cgi-bin/$name"
done

bearer "$good"
request /api/none "${auth[@]}"
is "what is not there is not found" "$status" 404
request /api/private-scoped.cgi.bearergate "${auth[@]}"
is "what a script demands is handed out to nobody" "$status $(grep -c read:messages "$work/body" || :)" "500 0"
# This server decodes the path before anybody is told of it.
request_as_it_is /cgi-bin/open.cgi/public
is "a public place below a script is public" "$status" 200
request_as_it_is /cgi-bin/open.cgi/%70ublic
is "also where it is written in another way" "$status" 200
denied "but not where it would be decoded twice (SR-70)" 400 invalid_request bad_request /cgi-bin/open.cgi/%2570ublic
denied "nor where a question mark in it would end the path" 400 invalid_request bad_request /cgi-bin/open.cgi/public%3fx/secret
denied "or a query follows that" 400 invalid_request bad_request '/cgi-bin/open.cgi/public%3Fx/secret?a=b'
request_as_it_is '/cgi-bin/open.cgi/public?x/secret'
is "a query is none of the path" "$status" 200
asks_behind "script_root = \"$work/www\""
finish
