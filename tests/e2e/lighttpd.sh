#!/bin/bash
# lighttpd with mod_fastcgi in authorizer mode, over a unix socket, with the example configuration.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"

begin lighttpd
claims_config "$work/bearergate.conf"
cat >"$work/more.conf" <<'END'
$HTTP["url"] =^ "/api/misspelt" { setenv.set-environment = ( "BEARERGATE_SCOPES" => "read:messages" ) }
END

asked_by_lighttpd() { # a connected socket beside the listening one
	[ "$(grep -c -F -e " $work/tmp/bg.sock" /proc/net/unix)" -ge 2 ]
}

start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
start_server lighttpd "$work/tmp/bg.sock" "$work/more.conf"
all_routes null
a_dead_daemon_lets_nobody_in asked_by_lighttpd
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
a_new_daemon_is_found
finish
