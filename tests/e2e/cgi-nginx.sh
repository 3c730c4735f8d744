#!/bin/bash
# bearergate-cgi behind nginx and fcgiwrap, with the example configuration: what is guarded is all of a directory.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

begin nginx fcgiwrap cc python3
use_wrapper "script_root = \"$work/bin\"" 'location "/api/private-scoped" { scope = { "read:messages" } }' \
    'location "/api/public" { auth = "none" }'
languages
mkdir "$work/bin/api"
for name in private private-scoped public; do
	cp "$work/bin/show-claims" "$work/bin/api/$name"
done
mv "$work"/bin/*.cgi "$work/bin/api/"
socket=$work/tmp/fcgiwrap.sock
: >"$work/fcgiwrap.log"
# One process: of several, all but the first would outlive it.
start "$work/fcgiwrap.log" fcgiwrap -f -s "unix:$socket"
wait_for 20 test -S "$socket" || die "fcgiwrap does not start"
start_wrapped nginx nginx.conf

head -c 300000 /dev/urandom >"$work/upload"
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)
no_credentials_are_refused_here
malformed_credentials_are_refused
forged_tokens_are_refused
wrong_claims_are_refused
bearer "$good"
allowed "a token is let in" /api/private /api/private '.CLAIM_SUB == "bob" and .REMOTE_USER == "bob"' "${auth[@]}"
allowed "with path info" /api/private /api/private/more '.CLAIM_SUB == "bob"' "${auth[@]}"
denied "a location wants its scope" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
headers_set_nothing
secrets_are_in_no_log
queries_choose_nothing
large_bodies_go_where_they_should
chunked_bodies_do_not_spoil_a_refusal /api/private
for language in sh perl python c; do
	speaks "$language" "/api/$language.cgi"
done
request /api/none "${auth[@]}"
is "what is not there is not found" "$status $(json .detail.error)" "404 not_found"
asks_behind "script_root = \"$work/bin\"" 'location "/api/private-scoped" { scope = { "read:messages" } }'
finish
