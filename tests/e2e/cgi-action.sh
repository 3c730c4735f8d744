#!/bin/bash
# bearergate-cgi behind Apache, for all files of a directory (Action), with the example configuration.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

begin apache2 cc python3
languages
streamer
teller "$work/bin/tell.cgi"

use_wrapper "script_root = \"$work/bin\""
cat >"$work/more.conf" <<END
Alias "/api/misspelt" "$work/bin/show-claims"
Alias "/api/lang/" "$work/bin/"
<Location "/api/misspelt">
  SetHandler bearergate
  SetEnvIf Request_URI ".*" BEARERGATE_SCOPES=read:messages
</Location>
<Location "/api/lang">
  SetHandler bearergate
</Location>
# The same scripts without the wrapper.
ScriptAlias "/bare/" "$work/bin/"
<Location "/bare">
  Require all granted
</Location>
END
start_wrapped apache action.conf "$work/more.conf"
all_routes null
headers_set_nothing
secrets_are_in_no_log
queries_choose_nothing
large_bodies_go_where_they_should 100
chunked_bodies_do_not_spoil_a_refusal /api/private
streams /api/lang/stream.cgi
leaving_is_told /api/lang/tell.cgi /bare/tell.cgi stream upload silent
heads_are_alike /api/private
for language in sh perl python c; do
	speaks "$language" "/api/lang/$language.cgi"
done

bearer "$good"
request /api/lang/none.cgi "${auth[@]}"
is "what is not there is not found" "$status" 404
request "/bearergate-cgi/api/private-scoped" "${auth[@]}"
is "the wrapper's own URL leads nowhere, and round no demand" "$status $(route)" "500 "
request "/bearergate-cgi/api/private-scoped"
is "with a token or without" "$status" 401
request "/bearergate-cgi/bin/c.cgi" "${auth[@]}" -H 'Redirect-Status: 200' -H 'Redirect-Url: /bin/c.cgi'
is "whatever headers say" "$status" 500

# Other spellings of a path are the same place for whoever may go there.
for path in /api//private /api/./private /api/%70rivate /api/public/../private '/api/private/a%20b' '/api/private/a%3fb%25;c=d' \
    /api/private/a//b '/api/private/%c3%a9' '/api/private?x=/y&z=%2f' '/api/private/\\x'; do
	request "$path" "${auth[@]}"
	is "$path with a token leads to the script" "$status $(route)" "200 /api/private"
done

asks_behind "script_root = \"$work/bin\""

# Where the configuration says what to run, REDIRECT_URL only tells whether what the place demands counts; and here Apache leaves
# slashes in it that it takes out of PATH_INFO, or writes it with the host.
stop "$server" || :
use_wrapper "script = \"$work/bin/show-claims\""
bearer "$good"
for line in 'MergeSlashes Off' 'QualifyRedirectURL On'; do
	echo "$line" >"$work/more.conf"
	start_wrapped apache action.conf "$work/more.conf"
	request /api/private "${auth[@]}"
	is "with \"$line\" the script runs" "$status" 200
	for path in /api/private-scoped /api/private-scoped//x /api/private-scoped/x///y; do
		request "$path" "${auth[@]}"
		verdict "and $path is not served without its scope" "$([[ $status == 403 || $status == 500 ]] || echo "$status")"
	done
	stop "$server" || :
done
finish
