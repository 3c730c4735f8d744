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
mkdir "$work/bin/unbuffered"
teller "$work/bin/api/tell.cgi"
cp "$work/bin/api/tell.cgi" "$work/bin/unbuffered/"
own_answers "$work/bin/api/nph-full.cgi" "$work/bin/api/nph-name.cgi"
{ printf '#!%s /usr/bin/perl -T\n' "$bg_cgi" && sed 1d "$work/bin/api/perl.cgi"; } >"$work/bin/nph-line.cgi"
chmod 755 "$work/bin/nph-line.cgi"
# The same location again: with bodies sent on as they come, for the scripts without the wrapper, and for one that names it itself.
while read -r where script; do
	sed -n -e '/location \/api\/ {/,/^    }/p' "$bg_source/conf/examples/cgi/nginx.conf" |
	    sed -e "s,location /api/ {,location $where {," -e "s,@WRAPPER@,$script," -e '$s/}/  fastcgi_request_buffering off;\n    }/'
done >"$work/more.conf" <<END
/unbuffered/ @WRAPPER@
~^/bare/(.*)\$ @SCRIPTS@/\$1
/nph-line.cgi @SCRIPTS@/nph-line.cgi
END
socket=$work/tmp/fcgiwrap.sock
: >"$work/fcgiwrap.log"
# One process: of several, all but the first would outlive it.
start "$work/fcgiwrap.log" fcgiwrap -f -s "unix:$socket"
wait_for 20 test -S "$socket" || die "fcgiwrap does not start"
start_wrapped nginx nginx.conf "$work/more.conf"

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
leaving_is_told /unbuffered/tell.cgi /bare/unbuffered/tell.cgi stream upload silent
leaving_early_starts_nothing /api/tell.cgi
heads_are_alike /api/private
for name in nph-full nph-name; do
	own_answers_are_the_same "/api/$name.cgi" "/bare/api/$name.cgi"
done
speaks perl /nph-line.cgi
denied "where the server takes a status line for nothing, a refusal is one all the same (nph-)" 401 - no_token /nph-line.cgi
for language in sh perl python c; do
	speaks "$language" "/api/$language.cgi"
done
request /api/none "${auth[@]}"
is "what is not there is not found" "$status $(json .detail.error)" "404 not_found"
asks_behind "script_root = \"$work/bin\"" 'location "/api/private-scoped" { scope = { "read:messages" } }'
finish
