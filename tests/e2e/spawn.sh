#!/bin/bash
# lighttpd starts the daemon itself (bin-path), with the listening socket on descriptor 0.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin lighttpd
claims_config "$work/bearergate.conf"
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)

# One daemon is enough for all of lighttpd, which would start four.  Its standard error is lighttpd's error log.
cat >"$work/more.conf" <<END
alias.url += ( "/spawned" => "$work/bin/show-claims" )
\$HTTP["url"] =^ "/spawned" {
  cgi.assign = ( "" => "" )
  fastcgi.server = ( "/spawned" => ((
    "mode"        => "authorizer",
    "bin-path"    => "$bg_fcgi -F $bg_fetch -c $work/bearergate.conf",
    "socket"      => "$work/tmp/spawned.sock",
    "max-procs"   => 1,
    "check-local" => "disable",
  )) )
}
END
start_server lighttpd "$work/tmp/nobody.sock" "$work/more.conf"

spawned() { # the daemons that lighttpd started, one on each line
	tr -s ' ' '\n' <"/proc/$server/task/$server/children" | sed '/^$/d'
}

lets_in() {
	request /spawned -H "Authorization: Bearer $good"
	[ "$status" = 200 ]
}

check "lighttpd starts the daemon and lets a good token in" wait_for 15 lets_in
is "with its claims" "$(json .claims.CLAIM_SUB)" bob
request /spawned
is "and refuses a request without one" "$status $(header Content-Type)" "401 application/json"
is "there is one daemon" "$(spawned | wc -l)" 1
pid=$(spawned)
worker=$(worker_of "$pid")
kill -KILL "$worker"
check "a worker that dies is replaced, and nobody but its request notices" wait_for 20 lets_in
is "by the same daemon" "$(spawned)" "$pid"
worker=$(worker_of "$pid")
stop "$server" || :
check "it ends with lighttpd" wait_for 10 gone "$pid"
check "with its worker" wait_for 10 ended "$worker"
finish
