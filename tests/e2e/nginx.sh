#!/bin/bash
# nginx with auth_request, over a unix socket, with the example configuration: what it does beyond the three routes is
# to bring the real status and the body of a refusal to the client, and the claims to a proxied program, and no others.
# shellcheck disable=SC2016,SC2317,SC2119,SC2154 # jq's $now; functions that wait_for and check call; what routes.inc sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"

begin nginx
nginx -V 2>&1 | grep -q -e --with-http_auth_request_module || skip "nginx has no auth_request"
claims_config "$work/bearergate.conf"
cat >"$work/more.conf" <<END
    location = /_bearergate/misspelt {
      internal;
      include       $work/bearergate_params;
      fastcgi_param BEARERGATE_SCOPES "read:messages";
      fastcgi_pass  unix:$work/tmp/bg.sock;
    }
    location /api/misspelt {
      auth_request /_bearergate/misspelt;
      proxy_pass   http://127.0.0.1:1;
    }
    location /api/no-such-question {
      auth_request /_bearergate/nowhere;
      proxy_pass   http://127.0.0.1:1;
    }
END

if command -v fcgiwrap >/dev/null; then
	program=$work/tmp/program.sock
	mkdir "$work/www/app"
	printf '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; tr "\\0" "\\n" </proc/$$/environ | sort; echo "BODY=$(cat)"\n' \
	    >"$work/www/app/show"
	chmod 755 "$work/www/app/show"
	start "$work/program.log" fcgiwrap -f -s "unix:$program"
	wait_for 10 test -S "$program" || die "fcgiwrap does not listen"
	cat "$bg_source/conf/examples/nginx/fastcgi.conf" >>"$work/more.conf"
fi

asked_by_nginx() { # a connected socket beside the listening one
	[ "$(grep -c -F -e " $work/tmp/bg.sock" /proc/net/unix)" -ge 2 ]
}

daemon_with() { # daemon_with CONFIG: another daemon in the place of the one that runs, if it does
	stop "$daemon" || :
	start_daemon "$work/daemon.log" -c "$1" -l "unix:$work/tmp/bg.sock"
}

# nginx answers these by itself, and asks nobody.
two_headers_are_refused() {
	bearer "$good"
	log_mark
	request /api/private "${auth[@]}" "${auth[@]}"
	is "two Authorization headers are refused (SR-73)" "$status $(route)" "400 "
	request /api/private "${auth[@]}" -H 'Authorization: Basic dXNlcjpwYXNz'
	is "a good token beside another scheme is refused (SR-73)" "$status $(route)" "400 "
	is "without the daemon being asked" "$(tail -n "+$((marked + 1))" "$work/daemon.log")" ""
}

spoofed_claims_never_arrive() {
	local spoof=() name

	for name in X-Auth-Claim-Sub X-Auth-Claim-Org-Id X-Auth-Claim-Evil X-Auth-Roles X-Auth-Remote-User X-Auth-Type \
	    X-Auth-Claims-Json x-auth-claim-sub X_Auth_Claim_Sub X-Auth-Claim_Sub X-Bearergate-Status X-Bearergate-Body; do
		spoof+=(-H "$name: mallory")
	done
	bearer "$(token)"
	request /api/private "${auth[@]}"
	cp "$work/body" "$work/honest"
	request /api/private "${auth[@]}" "${spoof[@]}"
	is "a client's X-Auth- headers do not reach the program (SR-80)" "$(cat "$work/body")" "$(cat "$work/honest")"
	is "which has the token's" "$status $(json .claims.CLAIM_SUB) $(json '.claims | has("CLAIM_ORG_ID")')" "200 alice false"
	allowed "nor do they on a public route (SR-84)" /api/public /api/public '. == {}' "${spoof[@]}"
	denied "nor do they let anybody in" 401 - no_token /api/private "${spoof[@]}"
	denied "nor are they taken for an answer of the daemon" 401 - no_token /api/private \
	    -H 'X-Bearergate-Status: 200' -H 'Status: 200'
	request /_bearergate "${auth[@]}"
	is "nobody outside asks the daemon" "$status" 404
	request /_bearergate/messages
	is "with a token or without" "$status" 404
}

static_files_are_guarded() {
	mkdir "$work/www/files"
	printf 'secret' >"$work/www/files/secret.txt"
	printf 'index' >"$work/www/files/index.html"
	mkdir "$work/www/files/empty"
	bearer "$good"
	denied "a static file wants a token" 401 - no_token /files/secret.txt
	request /files/secret.txt "${auth[@]}"
	is "and is served with one" "$status $(cat "$work/body") $(header Content-Type)" "200 secret text/plain"
	denied "so does the index of a directory" 401 - no_token /files/
	request /files/ "${auth[@]}"
	is "which is asked about once more where nginx goes on to the file" "$status $(cat "$work/body")" "200 index"
	request /files/secret.txt "${auth[@]}" -H 'Range: bytes=1-2'
	is "a range of a file is served" "$status $(cat "$work/body")" "206 ec"
	request /files/empty/ "${auth[@]}"
	is "what nginx itself forbids is 403, after a token too" "$status $(json .detail.error)" "403 forbidden"
	denied "but not before" 401 - no_token /files/empty/
}

# fcgiwrap stands for a FastCGI program of any kind.
fastcgi_programs_have_the_claims() {
	[ -n "${program:-}" ] || return 0
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

bodies_reach_the_program() {
	head -c 1048576 /dev/urandom >"$work/large"
	bearer "$good"
	request /api/private "${auth[@]}" -H 'Expect:' --data-binary "@$work/large"
	is "a body of 1 MB reaches the program as it was sent" "$status $(json .body_sha256)" \
	    "200 $(sha256sum <"$work/large" | cut -d' ' -f1)"
	request /api/private "${auth[@]}" -H 'Expect:' -H 'Transfer-Encoding: chunked' --data-binary "@$work/large"
	is "a chunked one too" "$status $(json .body_sha256)" "200 $(sha256sum <"$work/large" | cut -d' ' -f1)"
	log_mark
	denied "a body of 1 MB without a token is refused" 401 - no_token /api/private --data-binary "@$work/large"
	check "the log has the client's method" logged 'method="POST" path="/api/private"'
	request /api/private -X DELETE
	check "whatever it is" logged 'method="DELETE" path="/api/private"'
	check "and nginx's name for the request" logged_id
}

logged() { # logged WORDS: since the mark
	tail -n "+$((marked + 1))" "$work/daemon.log" | grep -q -F -e "$1"
}

logged_id() {
	tail -n "+$((marked + 1))" "$work/daemon.log" | grep -q -E ' id="[0-9a-f]{32}"'
}

connections_live_on() {
	local url=http://127.0.0.1:$port

	# Small enough to be sent in one go: curl gives up a connection whose answer comes before the body is out.
	head -c 5000 "$work/upload" >"$work/small"
	bearer "$good"
	is "a connection is kept after each refusal" "$(curl -s -o /dev/null -w '%{http_code} %{num_connects},' "$url/api/private" \
	    --next -s -o /dev/null -w '%{http_code} %{num_connects},' -H 'Authorization: Bearer' "$url/api/private" \
	    --next -s -o /dev/null -w '%{http_code} %{num_connects},' "${auth[@]}" "$url/api/private-scoped" \
	    --next -s -o /dev/null -w '%{http_code} %{num_connects},' --data-binary "@$work/small" "$url/api/private" \
	    --next -s -o /dev/null -w '%{http_code} %{num_connects}' "${auth[@]}" "$url/api/private")" \
	    "401 1,400 0,403 0,401 0,200 0"
}

# Each byte of é is "%C3%A9" to the program: three times its length.
all_claims_arrive_or_nobody_passes() {
	bearer "$(token '.org_id = ("é" * 1200)')"
	allowed "claims of 7 KB all arrive" /api/private /api/private '(.CLAIM_ORG_ID | length) == 7200' "${auth[@]}"
	bearer "$(token '.org_id = ("é" * 800) | .azp = ("é" * 700)')"
	denied "claims that do not fit one answer are a refusal" 500 internal_server_error internal /api/private "${auth[@]}"
	check "and the log says what to do" logged 'fewer claims must be exported'
	bearer "$(token '.org_id = ("é" * 1400)')"
	denied "so is one claim that is too long to leave" 500 internal_server_error internal /api/private "${auth[@]}"
	check "and the log says so" logged 'a claim is longer than 8000 bytes'
}

mistakes_let_nobody_in() {
	bearer "$good"
	request /api/no-such-question "${auth[@]}"
	is "a question that leads nowhere lets nobody in" "$status $(json .detail.error)" "500 internal_server_error"
}

# Many clients at once, each over its own connections, with tokens of all kinds mixed: every answer is the right one.
many_clients_get_their_own_answers() {
	local tokens=() wants=() paths=() i client n

	for i in 0 1 2 3 4 5 6 7; do
		tokens+=("$(token ".sub = \"user-$i\"")")
		wants+=("200 user-$i")
		paths+=(/api/private)
	done
	tokens+=("$(token '.sub = "reader" | .scope = "read:messages"')" "$(token '.sub = "other"')" "$(token '.exp = $now - 3600')"
	    "$(rs256 "{\"alg\":\"RS256\",\"kid\":\"$kid\"}" "$(payload)" "$work/other.pem")" "x y" "")
	wants+=("200 reader" "403 insufficient_scope" "401 invalid_token" "401 invalid_token" "400 invalid_request" "401 invalid_request")
	paths+=(/api/private-scoped /api/private-scoped /api/private /api/private /api/private /api/private)
	n=${#tokens[@]}
	mkdir "$work/clients"
	for ((client = 0; client < 50; client++)); do
		for ((i = 0; i < 40; i++)); do
			[ "$i" -eq 0 ] || printf 'next\n'
			printf 'url = "http://127.0.0.1:%s%s"\noutput = "%s"\nsilent\nmax-time = 30\n' "$port" \
			    "${paths[(client * 7 + i * 3) % n]}" "$work/clients/$client.$i"
			[ -z "${tokens[(client * 7 + i * 3) % n]}" ] ||
			    printf 'header = "Authorization: Bearer %s"\n' "${tokens[(client * 7 + i * 3) % n]}"
			printf 'write-out = "%%{http_code}\\n"\n'
		done >"$work/clients/$client.curl"
	done
	seq 0 49 | xargs -P 50 -I{} sh -c "curl -K '$work/clients/{}.curl' >'$work/clients/{}.statuses' 2>/dev/null" || :
	for ((client = 0; client < 50; client++)); do
		paste -d' ' "$work/clients/$client.statuses" <(for ((i = 0; i < 40; i++)); do
			cat "$work/clients/$client.$i"
			printf '\n'
		done | jq -r '.detail.error // .claims.CLAIM_SUB') >"$work/clients/$client.got"
		for ((i = 0; i < 40; i++)); do
			printf '%s\n' "${wants[(client * 7 + i * 3) % n]}"
		done >"$work/clients/$client.want"
	done
	cat "$work"/clients/*.got >"$work/all.got"
	cat "$work"/clients/*.want >"$work/all.want"
	is "50 clients at once have 2000 answers" "$(wc -l <"$work/all.got")" 2000
	verdict "and not one of them is wrong" "$(diff "$work/all.got" "$work/all.want" | head -n 5)"
}

# What the configuration file says of paths holds for what nginx serves; and who passes without a token has no claims.
locations_see_what_nginx_serves() {
	local path

	{
		cat "$work/bearergate.conf"
		printf 'policy "readers" { scope = { "read:messages" } }\n'
		printf 'location "/api/private" { auth = "optional" }\n'
		printf 'location "/api/private/more" { policy = { "readers" } }\n'
	} >"$work/locations.conf"
	daemon_with "$work/locations.conf"
	bearer "$good"
	allowed "an optional token may be missing, and nobody's claims are anybody's (SR-84)" /api/private /api/private \
	    '. == {}' -H 'X-Auth-Claim-Sub: mallory' -H 'X-Auth-Remote-User: mallory' -H 'X-Auth-Type: Bearer'
	allowed "with it the claims are there" /api/private /api/private '.CLAIM_SUB == "bob"' "${auth[@]}"
	bearer garbage
	denied "a bad one is refused all the same" 401 invalid_token bad_token /api/private "${auth[@]}"
	bearer "$good"
	for path in /api/private/more /api//private/more /api/private/./more /api/public/../private/more '/api/private/%6dore?x=/api'; do
		denied "$path wants its scope" 403 insufficient_scope no_scope "$path" "${auth[@]}"
	done
	request /api/x%2f..%2fprivate "${auth[@]}"
	is "a path that servers read differently is 400" "$status $(json .detail.error)" "400 invalid_request"
	request /api/private --request-target "http://other.example/api/private/more" "${auth[@]}"
	is "the absolute form is the same path" "$status" 403
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
	daemon_with "$work/sites.conf"
	bearer "$("$BG_TOOL" mint token -k "$work/site.pem" --iss https://site.example/ --aud "$audience" --sub brand)"
	allowed "a site's token is good there" /api/private /api/private '.CLAIM_SUB == "brand"' "${auth[@]}" -H 'Host: Brand.example'
	denied "and nowhere else" 401 invalid_token wrong_issuer /api/private "${auth[@]}"
	request /api/private --request-target "http://elsewhere.example/api/private" "${auth[@]}" -H 'Host: brand.example'
	is "a Host header beside an absolute form does not make it so" "$status $(json .detail.error)" "401 invalid_token"
}

missing_keys_are_503() {
	cat >"$work/nokeys.conf" <<END
issuer "$issuer" {
  audience = { "$audience" }
  jwks_uri = "https://127.0.0.1:1/keys"
}
END
	daemon_with "$work/nokeys.conf"
	bearer "$good"
	denied "without keys a token cannot be judged" 503 temporarily_unavailable no_keys /api/private "${auth[@]}"
	check "and the client hears when to come again" [ "$(header Retry-After)" -gt 0 ]
	denied "a request without a token is 401 still" 401 - no_token /api/private
	denied "HEAD is answered like GET" 503 temporarily_unavailable no_keys /api/private --head "${auth[@]}"
	is "without a body" "$(head_body /api/private "Authorization: Bearer $good")" ""
}

start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
start_backend
start_server nginx "$work/tmp/bg.sock" "$work/more.conf"
all_routes null
spoofed_claims_never_arrive
static_files_are_guarded
fastcgi_programs_have_the_claims
the_program_gets_the_path_that_was_guarded
bodies_reach_the_program
connections_live_on
all_claims_arrive_or_nobody_passes
mistakes_let_nobody_in
many_clients_get_their_own_answers
locations_see_what_nginx_serves
sites_are_those_of_nginx
missing_keys_are_503
daemon_with "$work/bearergate.conf"
a_dead_daemon_lets_nobody_in asked_by_nginx
is "the client gets JSON then too" "$(request /api/private "${auth[@]}"; json .detail.error)" internal_server_error
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
a_new_daemon_is_found
finish
