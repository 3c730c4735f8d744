#!/bin/bash
# The scenarios of scenarios.inc with Apache httpd and mod_authnz_fcgi, over TCP, with the example configuration.
# shellcheck disable=SC2034,SC2317,SC2119,SC2154 # what scenarios.inc uses and sets; functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/scenarios.inc
. "$(dirname "$0")/scenarios.inc"

server_kind=apache
listen=127.0.0.1:0
authorizer=127.0.0.1:0
files=/api/files
optional=/api/optional
programs='
CGI /api/who
FastCGI /api/fastcgi
HTTP /api/proxied
'
proxied=/api/proxied

server_asks() { # an established connection to the daemon's port; ports and states are in hexadecimal here
	grep -q -E "^ *[0-9]+: [0-9A-F]{8}:[0-9A-F]{4} 0100007F:$(printf %04X "${authorizer##*:}") 01 " /proc/net/tcp
}

# Or it could understand another path than the one that was guarded.
the_program_gets_the_path_that_was_guarded() {
	local path want

	bearer "$good"
	while read -r path want; do
		request "$path" "${auth[@]}"
		is "the program gets $path as Apache understood it" "$status $(json .path)" "200 $want"
	done <<'END'
/api//public/.././proxied?x=%2e /api/proxied?x=%2e
/api/%70roxied/%2e%2e/proxied/more /api/proxied/more
END
}

scenarios_begin apache2
for module in authnz_fcgi lua; do
	[ -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_$module.so" ] || skip "Apache has no mod_$module"
done
names_are_loose
start_backend
cp "$bg_source/conf/examples/apache/proxy.conf" "$work/more.conf"
cat >>"$work/more.conf" <<END
LoadModule dir_module        @MODULES@/mod_dir.so
LoadModule http2_module      @MODULES@/mod_http2.so
LoadModule proxy_fcgi_module @MODULES@/mod_proxy_fcgi.so
Protocols h2c http/1.1
ScriptAlias "/api/who"      "$work/bin/who"
ScriptAlias "/api/optional" "$work/bin/who"
ProxyPass   "/api/fastcgi"  "unix:$work/tmp/fcgiwrap.sock|fcgi://localhost$work/bin/who"
<Location "/api/fastcgi">
  ProxyFCGISetEnvIf "true" SCRIPT_FILENAME "$work/bin/who"
</Location>
<Location "/api/optional">
  SetEnvIf Request_URI ".*" BEARERGATE_AUTH=optional
</Location>
<Location "/api/misspelt">
  SetEnvIf Request_URI ".*" BEARERGATE_SCOPES=read:messages
</Location>
<Location "/api/no-policy">
  SetEnvIf Request_URI ".*" BEARERGATE_POLICY=nobody
</Location>
<Location "/api/proxied/public">
  Require all granted
</Location>
# The program behind does not read chunks, and knows nothing of 100 Continue.
Proxy100Continue Off
<Location "/api/proxied">
  SetEnvIf Request_URI ".*" proxy-sendcl
</Location>
<Location "/open">
  Require all granted
</Location>
END
cat >"$work/wide.conf" <<END
LimitRequestFieldSize 32760
LimitRequestLine      32760
END
start_server apache "$authorizer" "$work/more.conf"
h2_port=$port
the_program_gets_the_path_that_was_guarded
all_scenarios '"%none"'
finish
