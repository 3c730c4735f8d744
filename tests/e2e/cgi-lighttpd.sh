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
teller "$work/bin/tell.cgi"
own_answers "$work/bin/nph-full.cgi" "$work/bin/nph-name.cgi"
cat >"$work/more.conf" <<END
\$HTTP["url"] == "/api/lang/stream.cgi" { server.stream-response-body = 2 }
alias.url += ( "/api/misspelt" => "$work/bin/show-claims", "/api/lang/" => "$work/bin/", "/bare/" => "$work/bin/" )
\$HTTP["url"] =^ "/bare/" { cgi.assign = ( ".cgi" => "" ) }
\$HTTP["url"] =~ "/tell\.cgi\$" {
  server.stream-response-body = 2
  \$HTTP["query-string"] !~ "^upload-whole" { server.stream-request-body = 2 }
  \$HTTP["query-string"] =~ "-timed" { cgi.limits = ( "read-timeout" => 2, "write-timeout" => 2 ) }
}
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
leaving_is_told /api/lang/tell.cgi /bare/tell.cgi stream upload silent
leaving_early_starts_nothing /api/lang/tell.cgi /bare/tell.cgi
timed_out() { # timed_out PATH WHAT [CURL-OPTION...]: sets $told, with the status before it
	rm -f "$work/tmp/told.$2-timed"
	request "$1?$2-timed" "${auth[@]}" "${@:3}"
	told="$status $(wait_for 20 nothing_runs "$2-timed" || echo 'a process is left ')"
	told+=$(grep -v '^pid ' "$work/tmp/told.$2-timed" | sort | tr '\n' ' ')
}
head -c 3000000 /dev/zero >"$work/large"
while read -r what options; do
	auth=()		# so that it is the bare one
	# shellcheck disable=SC2086 # two words
	timed_out /bare/tell.cgi "$what" $options
	honest=$told
	bearer "$good"
	# shellcheck disable=SC2086
	timed_out /api/lang/tell.cgi "$what" $options
	is "a script that is $what is told of its time being over (cgi.limits)" "$told" "$honest"
	check "which is a signal" grep -q ' TERM .* end ' <<<"$honest"
done <<END
silent
deaf -HExpect: --data-binary @$work/large
END
heads_are_alike /api/private
for name in nph-full nph-name; do
	own_answers_are_the_same "/api/lang/$name.cgi" "/bare/$name.cgi"
done
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
