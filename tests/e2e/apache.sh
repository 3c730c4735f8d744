#!/bin/bash
# Apache httpd with mod_authnz_fcgi, over TCP, with the example configuration.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"

begin apache2
[ -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_authnz_fcgi.so" ] || skip "Apache has no mod_authnz_fcgi"
claims_config "$work/bearergate.conf"
cat >"$work/more.conf" <<'END'
<Location "/api/misspelt">
  SetEnvIf Request_URI ".*" BEARERGATE_SCOPES=read:messages
</Location>
END

asked_by_apache() { # an established connection to the daemon's port; ports and states are in hexadecimal here
	grep -q -E "^ *[0-9]+: [0-9A-F]{8}:[0-9A-F]{4} 0100007F:$(printf %04X "$daemon_port") 01 " /proc/net/tcp
}

start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l 127.0.0.1:0
start_server apache "127.0.0.1:$daemon_port" "$work/more.conf"
all_routes '"%none"'
a_dead_daemon_lets_nobody_in asked_by_apache
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "127.0.0.1:$daemon_port"
a_new_daemon_is_found
finish
