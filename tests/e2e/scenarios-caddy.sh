#!/bin/bash
# Those scenarios of scenarios.inc that are about a daemon in trouble, and about what programs get, with Caddy and forward_auth,
# over a unix socket, with the example configuration; caddy.sh has the rest.
# shellcheck disable=SC2034,SC2317,SC2119,SC2154 # what scenarios.inc uses and sets; functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/scenarios.inc
. "$(dirname "$0")/scenarios.inc"

server_kind=caddy
server_error=502
files=/files
programs='
HTTP /api/private
FastCGI /api/fastcgi
'
scenarios='
every_program_gets_the_claims
nobody_gets_anothers_answer
without_a_daemon_nobody_gets_in
a_stopped_daemon_lets_nobody_in
a_killed_daemon_lets_nobody_in
no_descriptors_let_nobody_in
nobody_gets_in_between
unclear_answers_are_no_approval
'

server_asks() { # a connected socket beside the listening one
	[ "$(grep -c -F -e " $authorizer" /proc/net/unix)" -ge 2 ]
}

scenarios_begin caddy
start_backend
cat >"$work/more.conf" <<END
		handle /open/* {
			file_server
		}
		@fastcgi path /api/fastcgi
		handle @fastcgi {
			import bearergate ""
			reverse_proxy unix/$work/tmp/fcgiwrap.sock {
				transport fastcgi {
					env SCRIPT_FILENAME $work/bin/who
					env SCRIPT_NAME     {http.request.uri.path}
					env CLAIM_SUB       {http.request.header.X-Auth-Claim-Sub}
					env REMOTE_USER     {http.request.header.X-Auth-Remote-User}
					env AUTH_TYPE       {http.request.header.X-Auth-Type}
				}
			}
		}
END
start_server caddy "$authorizer" "$work/more.conf"
all_scenarios
finish
