#!/bin/bash
# bearergate-cgi behind mini-httpd, which keeps Authorization to itself and hands in the client's own connection: nobody gets in by
# a token, and whoever is refused gets the whole answer, at once.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

begin mini_httpd
use_wrapper "script_root = \"$work/www\""
mkdir "$work/www/cgi-bin"
{ printf '#!%s /bin/sh\n' "$bg_cgi" && sed 1d "$work/bin/show-claims"; } >"$work/www/cgi-bin/app"
chmod 755 "$work/www/cgi-bin/app"

server_log=$work/mini.log
for try in 1 2 3 4 5 6 7 8 9 10; do
	port=$(free_port)
	printf '%s\n' host=127.0.0.1 "port=$port" "dir=$work/www" 'cgipat=cgi-bin/*' "pidfile=$work/tmp/mini.pid" >"$work/mini.conf"
	: >"$server_log"
	start "$server_log" mini_httpd -D -C "$work/mini.conf"
	server=$started
	wait_for 20 listens_or_gone || die "mini-httpd neither starts nor gives up"
	gone "$server" || break
	stop "$server" || :
	[ "$try" -lt 10 ] || die "mini-httpd did not start"
done

# Of a program this server makes one stream of answer and standard error, so there is no log.
refused() { # refused SENTENCE PATH [CURL-OPTION...]
	local sentence=$1

	shift
	request "$@"
	verdict "$sentence" "$(
		wrong status "$status" 401
		[[ " $* " = *' --head '* ]] ||
		    wrong body "$(cat "$work/body")" '{"detail":{"error":"invalid_request","error_description":"no access token was sent"}}'
		wrong WWW-Authenticate "$(header WWW-Authenticate)" 'Bearer realm="api", DPoP algs="ES256"'
		grep -E 'decision=|reason=|/www/' "$work/head" "$work/body" || :
	)"
}

refused "a request without a token is refused, and the answer is whole, without a word of the log" /cgi-bin/app
refused "HEAD is refused like GET" /cgi-bin/app --head
bearer "$(token)"
refused "a token does not get through this server, so it lets nobody in" /cgi-bin/app "${auth[@]}"
refused "words of a query choose nothing (SR-88)" "/cgi-bin/app?/bin/sh+-c"
finish
