#!/bin/bash
# The scenarios of scenarios.inc with lighttpd and mod_fastcgi in authorizer mode, over a unix socket, with the example
# configuration.
# shellcheck disable=SC2034,SC2317,SC2119,SC2154 # what scenarios.inc uses and sets; functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/scenarios.inc
. "$(dirname "$0")/scenarios.inc"

server_kind=lighttpd
files=/api/files
optional=/api/optional
programs='
CGI /api/who
FastCGI /api/fastcgi
'

server_asks() { # a connected socket beside the listening one
	[ "$(grep -c -F -e " $authorizer" /proc/net/unix)" -ge 2 ]
}

scenarios_begin lighttpd
# A fastcgi.server that stands elsewhere does not count in /api, so what /api needs of it is said once more.
cat >"$work/more.conf" <<END
index-file.names = ( "index.html" )
mimetype.assign  = ( ".txt" => "text/plain", ".html" => "text/html" )
alias.url += ( "/api/who" => "$work/bin/who", "/api/optional" => "$work/bin/who", "/api/fastcgi" => "$work/bin/who" )
\$HTTP["url"] =^ "/api/files/" { cgi.assign = () }
\$HTTP["url"] =^ "/api/fastcgi" {
  fastcgi.server = (
    "/api" => (( "mode" => "authorizer", "socket" => "@SOCKET@", "check-local" => "disable",
                 "connect-timeout" => 2, "write-timeout" => 5, "read-timeout" => 15 )),
    "/api/fastcgi" => (( "socket" => "$work/tmp/fcgiwrap.sock", "check-local" => "disable" )) )
}
\$HTTP["url"] =^ "/api/optional"  { setenv.set-environment = ( "BEARERGATE_AUTH"   => "optional" ) }
\$HTTP["url"] =^ "/api/misspelt"  { setenv.set-environment = ( "BEARERGATE_SCOPES" => "read:messages" ) }
\$HTTP["url"] =^ "/api/no-policy" { setenv.set-environment = ( "BEARERGATE_POLICY" => "nobody" ) }
END
cat >"$work/wide.conf" <<END
server.max-request-field-size = 32768
END
start_server lighttpd "$authorizer" "$work/more.conf"
h2_port=
all_scenarios null
finish
