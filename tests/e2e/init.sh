#!/bin/bash
# "bearergate init": servers run with what it writes, as it is, and judge requests; a unit that systemd understands; and an
# API registered at Auth0 by a stand-in for its program.
# shellcheck disable=SC2016,SC2317,SC2119 # what must not expand; functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
claims_config "$work/bearergate.conf"

init() { # init ARGUMENT...: sets $code; what it says is in init.log
	code=0
	"$BG_TOOL" init "$@" >"$work/init.out" 2>"$work/init.log" || code=$?
}

# serve THING ARGUMENT...: the server with what init writes, in the place of the one that runs; sets $port and $server
serve() {
	local thing=$1 kind=$1 try

	case $thing in
	cgi-*)        kind=${thing#cgi-} ;;
	apache-fcgid) kind=apache ;;
	esac

	shift
	[ -z "${server:-}" ] || stop "$server" || :
	server_log=$work/$kind.log
	for try in 1 2 3 4 5 6 7 8 9 10; do
		port=$(free_port)
		: >"$server_log"
		rm -f "$work/tmp/$kind.error"
		init "$thing" -f -o "$work/$kind.conf" --port "$port" --docroot "$work/www" --tmp-dir "$work/tmp" \
		    --error-log "$work/tmp/$kind.error" --pid-file "$work/tmp/$kind.pid" -c "$work/bearergate.conf" "$@"
		[ "$code" -eq 0 ] || die "init $thing: $(cat "$work/init.log")"
		case $kind in
		lighttpd) start "$server_log" lighttpd -D -f "$work/$kind.conf" ;;
		apache)   start "$server_log" apache2 -D FOREGROUND -f "$work/$kind.conf" ;;
		nginx)    start "$server_log" nginx -e "$work/tmp/nginx.error" -c "$work/$kind.conf" -g 'daemon off;' ;;
		caddy)    start "$server_log" env HOME="$work/tmp" XDG_DATA_HOME="$work/tmp" XDG_CONFIG_HOME="$work/tmp" \
			    caddy run --adapter caddyfile --config "$work/$kind.conf" ;;
		esac
		server=$started
		wait_for 20 server_is_up "$kind" || die "$kind neither starts nor gives up"
		gone "$server" || return 0
		stop "$server" || :
		cat "$work/tmp/$kind.error" >>"$server_log" 2>/dev/null || :
		grep -q -i 'address already in use' "$server_log" || break
	done
	cat "$server_log" >&2
	die "$kind did not start (attempt $try)"
}

judges() { # judges KIND PATH SCOPE: the server in front of three routes
	local kind=$1 path=$2

	denied "$kind: no token is 401" 401 - no_token "$path/private"
	bearer "$(token ".scope = \"$3\"")"
	allowed "$kind: a good one is 200" "$path/private" "$path/private" '.CLAIM_SUB == "alice"' "${auth[@]}"
	allowed "$kind: also where the scope is demanded" "$path/private-scoped" "$path/private-scoped" '.CLAIM_SUB == "alice"' \
	    "${auth[@]}"
	bearer "$(token ".scope = \"another\"")"
	request "$path/private-scoped" "${auth[@]}"
	is "$kind: 403 is for one without that scope" "$status $(json .detail.error)" "403 insufficient_scope"
	check "$kind: which is named" grep -q "scope=\"$3\"" <<<"$(header WWW-Authenticate)"
	request "$path/public"
	is "$kind: the public route is public" "$status $(route)" "200 $path/public"
	[[ "$kind" = *-* ]] || check "$kind: the command line of the daemon is told" grep -q -F -e \
	    "bearergate-fcgi -c $work/bearergate.conf -l " "$work/$kind.conf"
}

start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock" -l 127.0.0.1:0
listen=(-l "unix:$work/tmp/bg.sock")
if command -v lighttpd >/dev/null; then
	serve lighttpd "${listen[@]}" --script "$work/bin/show-claims" --path /v1/x --scope read:docs
	judges lighttpd /v1/x read:docs
fi
if command -v apache2 >/dev/null && [ -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_authnz_fcgi.so" ]; then
	serve apache -l "127.0.0.1:$daemon_port" --script "$work/bin/show-claims" --path /v1/x --scope read:docs \
	    --modules "${APACHE_MODULES:-/usr/lib/apache2/modules}"
	judges apache /v1/x read:docs
fi
if command -v nginx >/dev/null && nginx -V 2>&1 | grep -q -e --with-http_auth_request_module; then
	start_backend
	init nginx-params -o "$work/params"
	is "nginx-params is written" "$code" 0
	is "as the example has it" "$(cat "$work/params")" "$(cat "$bg_source/conf/examples/nginx/bearergate_params")"
	serve nginx "${listen[@]}" --backend "$backend" --params "$work/params" --scope read:docs
	judges nginx /api read:docs
fi

if command -v caddy >/dev/null; then
	[ -n "${backend:-}" ] || start_backend
	serve caddy "${listen[@]}" --backend "$backend" --scope read:docs
	judges caddy /api read:docs
fi
modules=${APACHE_MODULES:-/usr/lib/apache2/modules}
if command -v apache2 >/dev/null && [ -e "$modules/mod_fcgid.so" ] && [ -e "$modules/mod_lua.so" ]; then
	serve apache-fcgid --script "$work/bin/show-claims" --path /v1/x --scope read:docs --modules "$modules" \
	    --daemon "$bg_fcgi" --files "$work/files"
	bearer "$(token '.scope = "another"')"
	request /v1/x/private
	is "apache-fcgid: no token is 401" "$status $(route)" "401 "
	bearer "$(token '.scope = "read:docs"')"
	allowed "apache-fcgid: a good one is 200" /v1/x/private /v1/x/private '.CLAIM_SUB == "alice"' "${auth[@]}"
	allowed "apache-fcgid: also where the scope is demanded" /v1/x/private-scoped /v1/x/private-scoped '.CLAIM_SUB == "alice"' \
	    "${auth[@]}"
	bearer "$(token '.scope = "another"')"
	request /v1/x/private-scoped "${auth[@]}"
	is "apache-fcgid: 403 is for one without that scope" "$status $(json .detail.error)" "403 insufficient_scope"
	allowed "apache-fcgid: the public route is public" /v1/x/public /v1/x/public '. == {}'
fi
init apache-fcgid --domain tenant.eu.auth0.com --audience "$audience"
check "Apache tells the daemon whose tokens" grep -q -x 'FcgidInitialEnv AUTH0_DOMAIN "tenant.eu.auth0.com"' "$work/init.out"
check "which has no other options then" grep -q -E 'FcgidAccessChecker "/[^ "]*/bearergate-fcgi ?"' "$work/init.out"

# The wrapper: its configuration, and the servers that have it run programs.
init cgi --domain tenant.eu.auth0.com --audience "$audience" --script-root "$work/bin" --cache-dir "$work/tmp" -o "$work/wrapper.conf"
is "a configuration for bearergate-cgi is written" "$code" 0
is "which is a good one" "$("$BG_TOOL" check -c "$work/wrapper.conf" 2>&1 | grep -c "$audience")" 1
check "and says what may be run" grep -q -F -e "script_root = \"$work/bin\"" "$work/wrapper.conf"
use_wrapper "script_root = \"$work/bin\""
judges_wrapped() { # judges_wrapped THING PATH SCOPE
	request "$2/private"
	is "$1: no token is 401" "$status $(json .detail.error)" "401 invalid_request"
	bearer "$(token ".scope = \"$3\"")"
	allowed "$1: a good one is 200" "$2/private" "$2/private" '.CLAIM_SUB == "alice"' "${auth[@]}"
	allowed "$1: also where the scope is demanded" "$2/private-scoped" "$2/private-scoped" '.CLAIM_SUB == "alice"' "${auth[@]}"
	bearer "$(token '.scope = "another"')"
	request "$2/private-scoped" "${auth[@]}"
	is "$1: 403 is for one without that scope" "$status $(json .detail.error)" "403 insufficient_scope"
	request "$2/public"
	is "$1: the public route is public" "$status $(route)" "200 $2/public"
}
if command -v lighttpd >/dev/null; then
	serve cgi-lighttpd --script "$work/bin/show-claims" --path /v1/x --scope read:docs --wrapper "$bg_cgi"
	judges_wrapped cgi-lighttpd /v1/x read:docs
fi
if command -v apache2 >/dev/null; then
	serve cgi-apache --script "$work/bin/show-claims" --path /v1/x --scope read:docs --wrapper "$bg_cgi" --modules "$modules"
	judges_wrapped cgi-apache /v1/x read:docs
fi
if command -v nginx >/dev/null && command -v fcgiwrap >/dev/null; then
	mkdir "$work/bin/api"
	cp "$work/bin/show-claims" "$work/bin/api/private"
	start "$work/fcgiwrap.log" fcgiwrap -f -s "unix:$work/tmp/wrap.sock"
	check "fcgiwrap listens" wait_for 30 test -S "$work/tmp/wrap.sock"
	serve cgi-nginx -l "unix:$work/tmp/wrap.sock" --script-root "$work/bin" --wrapper "$bg_cgi"
	request /api/private
	is "cgi-nginx: no token is 401" "$status $(json .detail.error)" "401 invalid_request"
	bearer "$(token)"
	request /api/private "${auth[@]}"
	is "cgi-nginx: a good one is 200" "$status $(json .claims.CLAIM_SUB)" "200 alice"
fi

# systemd.
mkdir "$work/systemd"
init systemd --domain tenant.eu.auth0.com --audience "$audience" -o "$work/systemd/bearergate-fcgi.service"
is "a unit is written" "$code" 0
check "which tells the daemon whose tokens" grep -q -x 'Environment="AUTH0_DOMAIN=tenant.eu.auth0.com"' \
    "$work/systemd/bearergate-fcgi.service"
is "no word is left to be filled in" "$(grep -c -E '@[A-Z]+@' "$work/systemd/bearergate-fcgi.service" || :)" 0
if command -v systemd-analyze >/dev/null; then
	# What is installed elsewhere, or not yet, is not its fault.
	is "systemd finds nothing wrong with it" "$(systemd-analyze verify --man=no "$work/systemd/bearergate-fcgi.service" 2>&1 |
	    grep -F bearergate-fcgi.service | grep -v 'is not executable')" ""
fi
init systemd --domain tenant.eu.auth0.com --audience "$audience" -o "$work/systemd/bearergate-fcgi.service"
is "a file that is there stays" "$code" 73
init systemd-socket -o "$work/systemd/bearergate-fcgi.socket"
is "a socket for it is written" "$code $(grep -c -E '@[A-Z]+@' "$work/systemd/bearergate-fcgi.socket")" "0 0"
is "where the service listens" "$(sed -n 's/^ListenStream=/unix:/p' "$work/systemd/bearergate-fcgi.socket")" \
    "$(sed -n 's/^ExecStart=.* -l //p' "$work/systemd/bearergate-fcgi.service")"
check "not for everybody (SR-89)" grep -q -x SocketMode=0660 "$work/systemd/bearergate-fcgi.socket"
if command -v systemd-analyze >/dev/null; then
	is "systemd finds nothing wrong with that either" "$(systemd-analyze verify --man=no "$work/systemd/bearergate-fcgi.socket" 2>&1 |
	    grep -F bearergate-fcgi. | grep -v 'is not executable')" ""
fi
init systemd-socket -l 127.0.0.1:9009 --user daemon --group www-data -o "$work/systemd/tcp.socket"
is "one for TCP is too" "$code $(grep -c -x -e ListenStream=127.0.0.1:9009 -e SocketUser=daemon "$work/systemd/tcp.socket")" "0 2"
init systemd --env-file /etc/bearergate.env -f -o "$work/systemd/bearergate-fcgi.service"
check "until -f is said" grep -q -e '^ExecStart=/.* --env-file /etc/bearergate.env -l ' "$work/systemd/bearergate-fcgi.service"

# What could mean something to a server is refused.
while IFS='|' read -r sentence arguments; do
	eval "set -- $arguments"
	init "$@"
	is "refused: $sentence" "$code $(wc -l <"$work/init.log") $(wc -c <"$work/init.out")" "64 1 0"
done <<'END'
nothing to write|
another server|hiawatha
the wrapper without whose tokens|cgi
a socket where none is asked|apache-fcgid -l unix:/run/x
nor by the wrapper|cgi-lighttpd -l unix:/run/x
a port for Caddy|caddy -l 127.0.0.1:9009
a port for fcgiwrap|cgi-nginx -l 127.0.0.1:9009
a quote in a program|apache-fcgid --daemon '/a"b'
two of them|nginx apache
half of whose tokens|nginx --domain tenant.eu.auth0.com
both ways of whose tokens|systemd --domain t.example --audience a -c /etc/x
a domain with http|systemd --domain http://t.example --audience a
a quote in an audience|systemd --domain t.example --audience "a'b"
a specifier of systemd in an audience|systemd --domain t.example --audience a%b
a new line in an audience|systemd --domain t.example --audience "$(printf 'a\nb')"
a relative path|lighttpd --docroot www
a quote in a path|lighttpd --docroot '/a"b'
a space in a path|nginx --docroot '/a b'
a semicolon in a path|nginx --docroot '/a;b'
a path that ends in a slash|nginx --path /api/
the root|nginx --path /
a regular expression|lighttpd --path '/a|b'
two scopes|apache --scope 'a b'
port 0|nginx --port 0
port 65536|nginx --port 65536
a port with a sign|nginx --port +80
a socket for Apache|apache -l unix:/run/x
a port for lighttpd|lighttpd -l 127.0.0.1:9009
a host without a port|apache -l localhost
END

# Auth0.
mkdir "$work/auth0" "$work/nothing"
cat >"$work/auth0/auth0" <<END
#!/bin/sh
for a; do printf '<%s>' "\$a"; done >"$work/auth0/called"
cat "$work/auth0/answer"
[ ! -e "$work/auth0/fail" ]
END
chmod 755 "$work/auth0/auth0"
jq -n --arg audience "$audience" '{id: "1", name: "x", identifier: $audience, signing_alg: "RS256"}' >"$work/auth0/answer"
api=(--auth0 --domain tenant.eu.auth0.com --audience "$audience")
real_path=$PATH

PATH=$work/nothing init "${api[@]}" -o "$work/env"
is "without the program it is said how to do it by hand" "$code" 69
check "with what to fill in" grep -q "identifier $audience, signing algorithm RS256" "$work/init.log"
check "and nothing is written" test ! -e "$work/env"

PATH=$work/auth0:$real_path
command -v setsid >/dev/null && code=0 && { setsid -w "$BG_TOOL" init "${api[@]}" -o "$work/env" 2>"$work/init.log" || code=$?; }
is "where there is no terminal nothing is done unasked" "$code" 64
check "really nothing" test ! -e "$work/auth0/called"
if command -v script >/dev/null; then
	code=0
	script -qec "'$BG_TOOL' init ${api[*]} -o '$work/env'" /dev/null <<<n >"$work/init.log" 2>&1 || code=$?
	is "who says no on the terminal is heard" "$code" 69
	check "and nothing is registered" test ! -e "$work/auth0/called"
	code=0
	script -qec "'$BG_TOOL' init ${api[*]} -o '$work/env'" /dev/null <<<y >"$work/init.log" 2>&1 || code=$?
	is "who says yes is too" "$code $(cat "$work/env")" "0 $(printf 'AUTH0_DOMAIN=tenant.eu.auth0.com\nAUTH0_AUDIENCE=%s' "$audience")"
	rm -f "$work/env" "$work/auth0/called"
fi

init "${api[@]}" --yes --name 'my $(API)' -o "$work/env"
is "a name with more than plain characters is refused" "$code" 64
init "${api[@]}" --yes --name 'my API' -o "$work/env"
is "an API is registered" "$code $(cat "$work/init.log")" "0 "
is "by these words and no others" "$(cat "$work/auth0/called")" \
    "<apis><create><--name><my API><--identifier><$audience><--signing-alg><RS256><--json><--tenant><tenant.eu.auth0.com><--no-input>"
is "and the variables are written" "$(cat "$work/env")" \
    "$(printf 'AUTH0_DOMAIN=tenant.eu.auth0.com\nAUTH0_AUDIENCE=%s' "$audience")"
is "for their owner alone" "$(stat -c %a "$work/env")" 600
is "as the daemon takes them" "$("$BG_TOOL" check --env-file "$work/env" 2>&1 | grep -c "$audience")" 1
rm "$work/auth0/called"
init "${api[@]}" --yes -o "$work/env"
is "a file that is there stays" "$code" 73
check "and nothing is registered in vain" test ! -e "$work/auth0/called"
init "${api[@]}" --yes -f -o "$work/env"
is "unless -f is said" "$code" 0
: >"$work/auth0/fail"
init "${api[@]}" --yes -o "$work/env2"
is "when the program fails, so do we" "$code" 69
rm "$work/auth0/fail"
echo '{"identifier": "https://other.example"}' >"$work/auth0/answer"
init "${api[@]}" --yes -o "$work/env2"
is "an API of another identifier is not taken for it" "$code" 76
echo 'no JSON' >"$work/auth0/answer"
init "${api[@]}" --yes -o "$work/env2"
is "nor is nonsense" "$code" 76
check "and nothing is written then" test ! -e "$work/env2"
init --auth0 --yes
is "domain and audience are needed" "$code" 64
finish
