#!/bin/bash
# "bearergate doctor": finds nothing wrong with the examples, and with one directive taken out names that one.
# shellcheck disable=SC2016,SC2317,SC2119,SC2034 # what must not expand; functions that wait_for and check call; bg_edit
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
claims_config "$work/bearergate.conf"
printf 'replay = "lmdb:%s/replay"\n' "$work" >>"$work/bearergate.conf"
good=(-k "$work/key.pem" --iss "$issuer" --aud "$audience")

doctor() { # doctor ARGUMENT...: sets $code; the report is doctor.out
	code=0
	"$BG_TOOL" doctor "$@" >"$work/doctor.out" 2>"$work/doctor.err" || code=$?
}

faults() { # the lines at fault
	grep '^FAULT' "$work/doctor.out" || :
}

serve() { # serve KIND [SED-EXPRESSION...]: the example, edited; sets $url
	local kind=$1 edit authorizer="$work/tmp/bg.sock"

	shift
	bg_edit=()
	for edit; do
		bg_edit+=(-e "$edit")
	done
	[ "$kind" != apache ] || authorizer=127.0.0.1:$daemon_port
	start_server "$kind" "$authorizer"
	url=http://127.0.0.1:$port/api/private
}

well() { # well SENTENCE ARGUMENT...: nothing is at fault, in so many checks at least
	local sentence=$1

	shift
	doctor "$@"
	is "$sentence" "$code $(faults)" "0 "
	check "in 20 checks and more" test "$(grep -c '^ok' "$work/doctor.out")" -ge 20
	is "of which none was left out" "$(grep '^skipped' "$work/doctor.out" || :)" ""
}

# broken KIND CHECK WORDS EDIT [PATH [ARGUMENT...]]: with the edit, this check is at fault and its line has the words
broken() {
	local kind=$1 checked=$2 words=$3 edit=$4 path=${5:-}

	shift "$(($# < 5 ? 4 : 5))"
	serve "$kind" "$edit"
	doctor "$@" "${path:+http://127.0.0.1:$port}${path:-$url}"
	verdict "$kind, $edit: $words" "$(
		wrong exit "$code" 1
		wrong 'first at fault' "$(faults | head -n 1 | sed 's/^FAULT *\([^:]*\):.*/\1/')" "$checked"
		faults | grep -F -e "$checked: " | grep -q -F -e "$words" || sed 's/^/  /' "$work/doctor.out"
	)"
	stop "$server" || :
}

start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock" -l 127.0.0.1:0

if command -v lighttpd >/dev/null; then
	serve lighttpd
	well "lighttpd's example is well" "${good[@]}" "$url"
	check "which speaks no HTTP/2" grep -q -x 'ok       HTTP/2: HTTP/1 alone' "$work/doctor.out"
	check "and known as lighttpd's" grep -q '(lighttpd): 0 at fault' "$work/doctor.out"
	doctor "$url"
	is "without a good token that is not tried" "$code $(grep -c '^skipped  good token' "$work/doctor.out")" "0 1"
	token >"$work/token"
	well "a token from a file does as well" --token-file "$work/token" "$url"
	doctor "${good[@]}" --json "$url"
	is "the report as JSON" "$code $(jq -r '"\(.server) \(.faults) \(.checks | map(select(.verdict == "ok")) | length > 20)"' \
	    "$work/doctor.out")" "0 lighttpd 0 true"
	is "has every check with what was wanted and came" \
	    "$(jq '[.checks[] | select(.verdict != "skipped") | select((.wanted and .got) | not)] | length' "$work/doctor.out")" 0
	doctor "${good[@]}" "http://127.0.0.1:$port/api/private-scoped"
	is "a token without the scope is told" "$code $(faults)" "1 FAULT    good token: wanted 200, got 403 insufficient_scope; \
this place demands more than the token has: give one with that scope"
	well "with the scope it is well" "${good[@]}" --scope read:messages "http://127.0.0.1:$port/api/private-scoped"
	doctor "http://127.0.0.1:$port/api/public"
	is "what is public is not guarded" "$code $(grep -c 'nobody is asked: the path must begin with a key of fastcgi.server' \
	    "$work/doctor.out")" "1 1"
	doctor -k "$work/key.pem" --iss https://another.example/ --aud "$audience" "$url"
	is "a token of another issuer is no good one" "$code $(faults | cut -d: -f1)" "1 FAULT    good token"
	log_mark
	doctor "$url"
	is "no issuer is asked about the token that nobody knows" \
	    "$(tail -n "+$((marked + 1))" "$work/daemon.log" | grep -o 'reason=[a-z_]*' | sort -u | tr '\n' ' ')" \
	    "reason=no_token reason=two_tokens reason=wrong_issuer "
	stop "$server" || :

	broken lighttpd 'HTTP/2' 'add server.feature-flags = ( "server.h2proto" => "disable" )' '/^server.feature-flags/d' '' "${good[@]}"
	broken lighttpd 'no token' 'add "check-local" => "disable"' '/check-local/d' /api/ "${good[@]}"
	mkdir -p "$work/www/api/dir"
	echo page >"$work/www/api/dir/index.html"
	broken lighttpd 'below the path' 'add "check-local" => "disable"' \
	    '/check-local/d;s/cgi.assign = ( "" => "" )/cgi.assign = ( ".cgi" => "" )/' /api/dir/
	broken lighttpd 'no token' 'mod_fastcgi stand before mod_cgi' \
	    '/check-local/d;s/"mod_fastcgi", "mod_cgi"/"mod_cgi", "mod_fastcgi"/'
	broken lighttpd 'no token' 'a key of fastcgi.server that has "mode" => "authorizer"' \
	    's/fastcgi.server = ( "\/api"/fastcgi.server = ( "\/other"/'
fi

if command -v apache2 >/dev/null && [ -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_authnz_fcgi.so" ]; then
	serve apache
	well "Apache's example is well" "${good[@]}" "$url"
	check "and known as Apache's" grep -q '(apache): 0 at fault' "$work/doctor.out"
	stop "$server" || :
	broken apache 'invalid token' 'add "CGIPassAuth On" to this <Location>' '/CGIPassAuth/d'
	broken apache 'no token' 'add "Require bearergate" to this <Location>' '/Require bearergate/d'
	broken apache 'no token' '"Require all granted" must not be in effect there' 's/Require bearergate/Require all granted/'
	broken apache 'no token' '"RequireBasicAuth Off"' \
	    's/RequireBasicAuth Off/RequireBasicAuth On/;s/AuthType None/AuthType Basic\n  AuthName x/'
	broken apache POST 'no <Limit> or <LimitExcept>' \
	    's|^  Require bearergate|<LimitExcept POST>\n&\n</LimitExcept>\n<Limit POST>\n  Require all granted\n</Limit>|'
	broken apache 'good token' 'DefaultUser "%none"' \
	    '/UserExpr/d;s/RequireBasicAuth Off .*/RequireBasicAuth Off/' '' "${good[@]}"
	serve apache '/Header always set/d'
	doctor "$url"
	is "Apache's text/html is worth a remark" \
	    "$code $(grep -c "^remark   its body: .*add Header always set Content-Type" "$work/doctor.out")" "0 1"
	stop "$server" || :
fi

if command -v nginx >/dev/null && nginx -V 2>&1 | grep -q -e --with-http_auth_request_module; then
	start_backend
	serve nginx
	well "nginx's example is well" "${good[@]}" "$url"
	check "and known as nginx's" grep -q '(nginx): 0 at fault' "$work/doctor.out"
	stop "$server" || :
	broken nginx 'its body' 'add "error_page 401 = @bearergate_401;"' '/error_page 401/d'
	broken nginx 'forged headers with a good token' 'add "proxy_pass_request_headers off;"' \
	    '/proxy_pass_request_headers off/d' '' "${good[@]}"
	broken nginx 'no token' 'add "auth_request /_bearergate;"' 's|auth_request /_bearergate;|auth_request off;|'
	broken nginx 'invalid token' '"fastcgi_pass_request_headers off" must not be in effect' \
	    's|@PARAMS@;|@PARAMS@; fastcgi_pass_request_headers off;|'
	broken nginx 'no token' 'is bearergate-fcgi running' 's|unix:@SOCKET@|unix:/nowhere|'
	cp "$work/bearergate_params" "$work/params.whole"
	sed -i 's|:$server_port||' "$work/bearergate_params"
	broken nginx 'bound token' 'BEARERGATE_METHOD $request_method, _SCHEME $scheme, _HOST $host:$server_port' '/nothing/d' '' "${good[@]}"
	cp "$work/params.whole" "$work/bearergate_params"
	serve nginx 's|^    listen .*|&\n    large_client_header_buffers 4 32k; server_tokens off;|'
	doctor "${good[@]}" "$url"
	is "with room for them long tokens are tried" \
	    "$code $(grep -c '^ok       token of \(8\|14\) KiB: 401 invalid_token' "$work/doctor.out")" "0 2"
	stop "$server" || :
fi

# Apache with mod_fcgid.
modules=${APACHE_MODULES:-/usr/lib/apache2/modules}
if command -v apache2 >/dev/null && [ -e "$modules/mod_fcgid.so" ] && [ -e "$modules/mod_lua.so" ]; then
	bg_template=$bg_source/conf/examples/apache-fcgid/httpd.conf
	mkdir -p "$work/www/api"
	printf 'secret' >"$work/www/api/file.txt"
	serve apache
	well "the example of mod_fcgid is well" "${good[@]}" "$url"
	stop "$server" || :
	broken apache 'the body of a refusal, once more' '"FcgidAccessCheckerAuthoritative On" is missing' \
	    's/Authoritative On/Authoritative Off/' /api/file.txt "${good[@]}"
	broken apache 'below the path' '"FcgidAccessCheckerAuthoritative On" is missing' 's/Authoritative On/Authoritative Off/' /api/file.txt
	broken apache 'no token' 'nobody is asked' '/^  FcgidAccessChecker /d'
	broken apache 'invalid token' '"FcgidPassHeader Authorization"' '/^FcgidPassHeader/d'
	sed -i.whole '/^replay/d' "$work/bearergate.conf"
	serve apache
	doctor "${good[@]}" "$url"
	if grep -q 'DPoP proofs are refused' "$work/tmp/apache.error"; then
		is "without a store for all processes proofs are at fault" \
		    "$code $(grep -c '^FAULT    bound token: .*replay = "lmdb:/PATH"' "$work/doctor.out")" "1 1"
	fi
	stop "$server" || :
	mv "$work/bearergate.conf.whole" "$work/bearergate.conf"
	serve apache '/^  ErrorDocument/d;/LuaHookFixups/d'
	doctor "${good[@]}" "$url"
	is "what mod_fcgid cannot do is worth remarks" "$code $(grep -c '^remark   its \(body\|status\|headers\): ' "$work/doctor.out")" "0 3"
	stop "$server" || :
	unset bg_template
fi

if command -v caddy >/dev/null; then
	[ -n "${backend:-}" ] || start_backend
	serve caddy
	well "Caddy's example is well" "${good[@]}" "$url"
	check "and known as Caddy's" grep -q '(caddy): 0 at fault' "$work/doctor.out"
	stop "$server" || :
	broken caddy 'no token' 'add forward_auth to the route' '/^\t\tforward_auth/,/^\t\t}/d'
	broken caddy 'its status' 'add "env BEARERGATE_ANSWER client"' '/BEARERGATE_ANSWER/d'
	broken caddy 'a proof for another method' 'BEARERGATE_METHOD {http.request.orig_method}' '/BEARERGATE_METHOD/d' '' "${good[@]}"
	broken caddy 'forged headers with a good token' '"request_header -X-Auth-*"' '/request_header -X/d' '' "${good[@]}"
	broken caddy 'no token' 'is bearergate-fcgi running' 's|unix/@SOCKET@|unix//nowhere|'
fi

# DPoP, by what the challenge says.
bound() { # bound MODE: a daemon that has it so, and a server
	stop "$daemon" || :
	{ echo "dpop = \"$1\""; cat "$work/bearergate.conf"; } >"$work/bound.conf"
	start_daemon "$work/daemon.log" -c "$work/bound.conf" -l "unix:$work/tmp/bg.sock" -l 127.0.0.1:0
	serve "$server_kind"
	doctor "${good[@]}" "$url"
}
for server_kind in lighttpd nginx; do
	command -v "$server_kind" >/dev/null && [ "$server_kind" != nginx ] || [ -n "${backend:-}" ] || continue
	bound disabled
	is "$server_kind: DPoP off is told" "$code $(grep -c '^skipped  DPoP: it is off here' "$work/doctor.out")" "0 1"
	stop "$server" || :
	bound required
	is "$server_kind: so is DPoP alone" "$code $(grep -c '^skipped  good token: Bearer is off here' "$work/doctor.out")" "0 1"
	is "$server_kind: then, too, a token is heard" "$(grep '^ok       invalid token: ' "$work/doctor.out")" \
	    "ok       invalid token: 400 invalid_request"
	stop "$server" || :
done
if command -v lighttpd >/dev/null; then
	stop "$daemon" || :
	head -c 32 /dev/urandom >"$work/nonce.key"
	chmod 600 "$work/nonce.key"
	[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/nonce.key"
	{
		printf 'dpop_nonce = "required"\ndpop_nonce_key_file = "%s/nonce.key"\n' "$work"
		cat "$work/bearergate.conf"
	} >"$work/nonce.conf"
	start_daemon "$work/daemon.log" -c "$work/nonce.conf" -l "unix:$work/tmp/bg.sock" -l 127.0.0.1:0
	serve lighttpd
	well "where nonces are wanted proofs have one" "${good[@]}" "$url"
	is "and pass once" "$(grep -c '^ok       its proof, used again: 400 invalid_dpop_proof' "$work/doctor.out")" 2
	stop "$server" || :
	stop "$daemon" || :
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock" -l 127.0.0.1:0
fi
if [ -n "${backend:-}" ]; then
	serve nginx 's|@PARAMS@;|@PARAMS@; fastcgi_param HTTP_DPOP "";|'
	doctor "$url"
	is "a DPoP header that is lost is told" \
	    "$code $(grep -c '^FAULT    invalid DPoP proof: .*the DPoP header does not reach' "$work/doctor.out")" "1 1"
	stop "$server" || :
fi

# Servers of another kind.
answers() { # answers PERL: a server that does this with each connection, $c; sets $port
	cat >"$work/bin/answers" <<END
use strict; use IO::Socket::INET; \$SIG{PIPE} = 'IGNORE'; \$| = 1;
my \$l = IO::Socket::INET->new(LocalAddr => '127.0.0.1:0', Listen => 8) or die;
print 'listening on ', \$l->sockport, "\n";
while (my \$c = \$l->accept) { my \$r; \$c->sysread(\$r, 65536); print +(split /\r/, \$r)[0], "\n"; $1; close \$c; }
END
	: >"$work/answers.log"
	start "$work/answers.log" perl "$work/bin/answers"
	server=$started
	wait_for 20 lines_at_least 1 'listening on' "$work/answers.log" || die "the stand-in does not start"
	port=$(sed -n 's/^listening on //p' "$work/answers.log")
}
while IFS='|' read -r sentence patience words does; do
	answers "$does"
	begun=$SECONDS
	doctor --timeout "$patience" "http://127.0.0.1:$port/x"
	is "$sentence" "$code $(grep -c -F -e "FAULT    no token: wanted 401 with a challenge, got $words" "$work/doctor.out")" "1 1"
	check "$sentence: soon" test $((SECONDS - begun)) -le 40
	is "$sentence: asked once and nothing else" "$(grep -c ' HTTP/1.1$' "$work/answers.log")" 1
	stop "$server" || :
done <<'END'
a server that hangs up|20|no answer (127.0.0.1:|1
one that never answers|2|no answer (127.0.0.1:|1 while $c->sysread(my $more, 4096)
one that speaks another language|20|no answer (127.0.0.1:|$c->syswrite("220 mail.example ESMTP\r\n")
a head without an end|20|no answer (127.0.0.1:|$c->syswrite("HTTP/1.1 200 OK\r\n"); for (1..200) { $c->syswrite("X: " . "x" x 1000 . "\r\n") or last }
a body without an end|20|200|$c->syswrite("HTTP/1.1 200 OK\r\n\r\n"); while ($c->syswrite("x" x 65536)) {}
a byte at a time|2|no answer (127.0.0.1:|for (split //, "HTTP/1.1 200 OK\r\nX: " . "x" x 100) { $c->syswrite($_) or last; select undef, undef, undef, 0.9 }
a redirect is not followed|20|302|$c->syswrite("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:$l/y\r\nContent-Length: 0\r\n\r\n")
control characters|20|401|$c->syswrite("HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"x\", error=\"\e[31mred\"\r\nContent-Length: 0\r\n\r\n")
END
is "nothing of that upsets a terminal" "$(LC_ALL=C grep -c '[^ -~]' "$work/doctor.out")" 0

doctor "http://127.0.0.1:$(free_port)/x"
is "where nobody listens that is told" "$code $(grep -c 'no server answers there' "$work/doctor.out")" "1 1"

# https, with the stand-in for an issuer, which has a certificate.
serve=${top_builddir:-.}/tests/support/serve
if [ -x "$serve" ]; then
	mkdir "$work/issuer"
	"$serve" --dir "$work/issuer" --ca "$work/ca" --port-file "$work/port" </dev/null >"$work/issuer.log" 2>&1 &
	bg_pids+=("$!")
	wait_for 20 test -s "$work/port" || die "the https server does not start"
	doctor --ca-file "$work/ca/ca.pem" "https://localhost:$(cat "$work/port")/x"
	is "https is spoken" "$code $(grep -c 'no token: wanted 401 with a challenge, got 404' "$work/doctor.out")" "1 1"
	doctor "https://localhost:$(cat "$work/port")/x"
	is "with a server whose certificate is good and no other" \
	    "$code $(grep -c 'no answer (localhost:.*certificate' "$work/doctor.out")" "1 1"
fi

# HTTP/2 over TLS is asked for by ALPN.
if command -v lighttpd >/dev/null && [ -e /usr/lib/lighttpd/mod_openssl.so ]; then
	mkdir "$work/tls"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
	    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/tls/server.key" -out "$work/tls/server.pem" 2>/dev/null
	cp "$work/tls/server.pem" "$work/tls/ca.pem"
	chmod 644 "$work/tls/server.key"
	for edit in '/nothing/d' '/^server.feature-flags/d'; do
		bg_edit=(-e "$edit")
		start_server lighttpd "$work/tmp/bg.sock" "$bg_source/conf/examples/lighttpd/mtls.conf"
		doctor --ca-file "$work/tls/ca.pem" "https://127.0.0.1:$tls_port/api/private"
		case $edit in
		/nothing*) is "lighttpd's TLS without HTTP/2 is well" "$code $(faults)" "0 " ;;
		*)         is "with it, it is not" "$code $(faults | cut -d: -f1)" "1 FAULT    HTTP/2" ;;
		esac
		stop "$server" || :
	done
fi

while IFS='|' read -r sentence arguments; do
	eval "set -- $arguments"
	doctor "$@"
	is "refused: $sentence" "$code $(wc -l <"$work/doctor.err") $(wc -c <"$work/doctor.out")" "64 1 0"
done <<'END'
no URL|
two URLs|http://127.0.0.1:1/ http://127.0.0.1:2/
another scheme|ftp://127.0.0.1/
credentials|http://user:pass@127.0.0.1/
a query|http://127.0.0.1/?x
a line of its own|"$(printf 'http://127.0.0.1/\r\nX: y')"
a space|'http://127.0.0.1/a b'
no host|http:///x
port 0|http://127.0.0.1:0/
a key without an issuer|-k "$work/key.pem" http://127.0.0.1/
two good tokens|-k x --iss y --aud z --token-file t http://127.0.0.1/
another server|--server hiawatha http://127.0.0.1/
no time|--timeout 0 http://127.0.0.1/
END
printf 'a b\n' >"$work/token"
doctor --token-file "$work/token" http://127.0.0.1:1/
is "what cannot be a token is not sent" "$code" 65
doctor -k "$work/nothing.pem" --iss "$issuer" --aud "$audience" http://127.0.0.1:1/
is "nor is a key taken that is not there" "$code" 66
finish
