#!/bin/bash
# The scenarios of scenarios.inc with nginx and auth_request, over a unix socket, with the example configuration; and what
# nginx alone does: the path that its program gets, and the host that counts for site blocks.
# shellcheck disable=SC2016,SC2034,SC2317,SC2119,SC2154 # jq's $now; what scenarios.inc uses and sets; functions that check calls
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/scenarios.inc
. "$(dirname "$0")/scenarios.inc"

server_kind=nginx
files=/files
optional=/api/optional
optional_route=/api/private
programs='
HTTP /api/private
FastCGI /api/fastcgi
'

server_asks() { # a connected socket beside the listening one
	[ "$(grep -c -F -e " $authorizer" /proc/net/unix)" -ge 2 ]
}

# Or the program could understand another path than the one that was guarded.
the_program_gets_the_path_that_was_guarded() {
	local path want

	bearer "$(token '.scope = "read:messages"')"
	while read -r path want; do
		request "$path" "${auth[@]}"
		is "the program gets $path as nginx understood it" "$status $(json .path)" "200 $want"
	done <<'END'
/api//public/.././private?x=%2e /api/private?x=%2e
/api/%70rivate/%2e%2e/private/more /api/private/more
/api/x/..%2fprivate%2dscoped /api/private-scoped
/%61pi/public /api/public
END
}

nginx_answers_by_itself() {
	mkdir "$work/www/files/empty"
	bearer "$good"
	request /files/secret.txt "${auth[@]}" -H 'Range: bytes=1-2'
	is "a range of a file is served" "$status $(cat "$work/body")" "206 ec"
	request /files/empty/ "${auth[@]}"
	is "what nginx itself forbids is 403, after a token too" "$status $(json .detail.error)" "403 forbidden"
	denied "but not before" 401 - no_token /files/empty/
	request /api/no-such-question "${auth[@]}"
	is "a question that leads nowhere lets nobody in" "$status $(json .detail.error)" "500 internal_server_error"
	request /_bearergate "${auth[@]}"
	is "nobody outside asks the daemon" "$status" 404
	request /_bearergate/messages
	is "with a token or without" "$status" 404
	log_mark
	request /api/private -X DELETE
	check "the log has the client's method, whatever it is" logged ' method="DELETE" path="/api/private"'
	check "and nginx's name for the request" logged_id
}

logged() { # logged WORDS: since the mark
	tail -n "+$((marked + 1))" "$work/daemon.log" | grep -q -F -e "$1"
}

logged_id() {
	tail -n "+$((marked + 1))" "$work/daemon.log" | grep -q -E ' id="[0-9a-f]{32}"'
}

# Which host counts is the one that nginx went by, so that nobody takes one site's token to another.
sites_are_those_of_nginx() {
	"$BG_TOOL" mint key -o "$work/site.pem"
	"$BG_TOOL" mint jwks "$work/site.pem" -o "$work/site.json"
	{
		printf 'issuer "%s" { audience = { "%s" } jwks_file = "%s" }\n' "$issuer" "$audience" "$work/jwks.json"
		printf 'issuer "https://site.example/" { audience = { "%s" } jwks_file = "%s" }\n' "$audience" "$work/site.json"
		printf 'site "brand.example" { issuers = { "https://site.example/" } }\n'
	} >"$work/sites.conf"
	stop "$daemon" || :
	start_daemon "$work/daemon.log" -c "$work/sites.conf" -l "$listen"
	bearer "$("$BG_TOOL" mint token -k "$work/site.pem" --iss https://site.example/ --aud "$audience" --sub brand)"
	allowed "a site's token is good there" /api/private /api/private '.CLAIM_SUB == "brand"' "${auth[@]}" -H 'Host: Brand.example'
	denied "and nowhere else" 401 invalid_token wrong_issuer /api/private "${auth[@]}"
	request /api/private --request-target "http://elsewhere.example/api/private" "${auth[@]}" -H 'Host: brand.example'
	is "a Host header beside an absolute form does not make it so" "$status $(json .detail.error)" "401 invalid_token"
}

# The example for FastCGI programs, for which fcgiwrap stands.
fastcgi_programs_have_the_claims() {
	bearer "$(token '.org_id = "o\r\nCLAIM_EVIL=1"')"
	denied "a FastCGI program wants a token" 401 - no_token /app/show
	request /app/show "${auth[@]}" -H 'CLAIM_SUB: mallory' -H 'Claim-Evil: mallory' -H 'Remote-User: mallory'
	is "and has the token's claims alone (SR-80)" "$status $(grep -E '^(CLAIM_(SUB|ORG_ID|EVIL|JTI)|REMOTE_USER|AUTH_TYPE)' \
	    "$work/body" | tr '\n' ' ')" "200 AUTH_TYPE=Bearer CLAIM_JTI= CLAIM_ORG_ID=o%0D%0ACLAIM_EVIL=1 CLAIM_SUB=alice REMOTE_USER=alice "
	for name in CLAIM_SUB REMOTE_USER AUTH_TYPE; do
		is "$name is there once" "$(grep -c "^$name=" "$work/body")" 1
	done
	request /app/show "${auth[@]}" --data-binary 12345
	is "a body reaches it" "$status $(grep -c '^BODY=12345$' "$work/body")" "200 1"
}

scenarios_begin nginx
nginx -V 2>&1 | grep -q -e --with-http_auth_request_module || skip "nginx has no auth_request"
start_backend
cat >"$work/more.conf" <<END
    listen 127.0.0.1:@TLSPORT@ http2;
    client_max_body_size 200m;
    location = /_bearergate/optional {
      internal;
      include       @PARAMS@;
      fastcgi_param BEARERGATE_AUTH "optional";
      fastcgi_pass  unix:@SOCKET@;
    }
    location = /_bearergate/misspelt {
      internal;
      include       @PARAMS@;
      fastcgi_param BEARERGATE_SCOPES "read:messages";
      fastcgi_pass  unix:@SOCKET@;
    }
    location = /_bearergate/no-policy {
      internal;
      include       @PARAMS@;
      fastcgi_param BEARERGATE_POLICY "nobody";
      fastcgi_pass  unix:@SOCKET@;
    }
    location /api/optional {
      auth_request /_bearergate/optional;
      proxy_pass   http://@BACKEND@/api/private;
    }
    location /api/misspelt {
      auth_request /_bearergate/misspelt;
      proxy_pass   http://127.0.0.1:1;
    }
    location /api/no-policy {
      auth_request /_bearergate/no-policy;
      proxy_pass   http://127.0.0.1:1;
    }
    location /api/no-such-question {
      auth_request /_bearergate/nowhere;
      proxy_pass   http://127.0.0.1:1;
    }
    location /api/fastcgi {
      auth_request  /_bearergate;
      fastcgi_param SCRIPT_FILENAME $work/bin/who;
      fastcgi_param SCRIPT_NAME     \$document_uri;
      fastcgi_param REQUEST_METHOD  \$request_method;
      fastcgi_param CONTENT_LENGTH  \$content_length;
      fastcgi_param REMOTE_USER     \$bearergate_user;
      fastcgi_param AUTH_TYPE       \$bearergate_type;
      fastcgi_param CLAIM_SUB       \$bearergate_sub;
      fastcgi_pass  unix:$work/tmp/fcgiwrap.sock;
    }
END
program=$work/tmp/fcgiwrap.sock
mkdir -p "$work/www/app"
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; tr "\\0" "\\n" </proc/$$/environ | sort; echo "BODY=$(cat)"\n' >"$work/www/app/show"
chmod 755 "$work/www/app/show"
cat "$bg_source/conf/examples/nginx/fastcgi.conf" >>"$work/more.conf"
cat >"$work/wide.conf" <<END
    large_client_header_buffers 4 64k;
END
start_server nginx "$authorizer" "$work/more.conf"
h2_port=$tls_port
the_program_gets_the_path_that_was_guarded
nginx_answers_by_itself
fastcgi_programs_have_the_claims
all_scenarios null
sites_are_those_of_nginx
stop "$daemon" || :
is "without a daemon the client gets JSON too" "$(request /api/private; json .detail.error)" internal_server_error
finish
