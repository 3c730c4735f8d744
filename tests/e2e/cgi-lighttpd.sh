#!/bin/bash
# bearergate-cgi behind lighttpd, by cgi.assign, with the example configuration.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

begin lighttpd cc python3
use_wrapper "script_root = \"$work/bin\""
languages
streamer
cat >"$work/more.conf" <<END
\$HTTP["url"] == "/api/lang/stream.cgi" { server.stream-response-body = 2 }
alias.url += ( "/api/misspelt" => "$work/bin/show-claims", "/api/lang/" => "$work/bin/" )
\$HTTP["url"] =^ "/api/misspelt" { setenv.set-environment = ( "BEARERGATE_SCOPES" => "read:messages" ) }
END
start_wrapped lighttpd lighttpd.conf "$work/more.conf"
all_routes null
headers_set_nothing
secrets_are_in_no_log
queries_choose_nothing
large_bodies_go_where_they_should 100
chunked_bodies_do_not_spoil_a_refusal /api/private
streams /api/lang/stream.cgi
speaks sh /api/lang/sh.cgi
speaks perl /api/lang/perl.cgi
speaks python /api/lang/python.cgi
speaks c /api/lang/c.cgi

request /api/lang/none.cgi "${auth[@]}"
is "what is not there is not found" "$status" 404
bearer "$good"
request /api/lang/bearergate-cgi "${auth[@]}"
is "the wrapper runs no wrapper" "$status $(json .detail.error)" "500 internal_server_error"
check "and says so" wait_for 30 grep -q 'script=refused status=500 .*the server does not say what to run' "$server_log"
printf 'nothing' >"$work/bin/plain"
request /api/lang/plain "${auth[@]}"
is "nor a file that is no program" "$status" 500
finish
