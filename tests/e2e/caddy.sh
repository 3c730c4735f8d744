#!/bin/bash
# Caddy with forward_auth over FastCGI, over a unix socket, with the example configuration.
# shellcheck disable=SC2016,SC2317,SC2119,SC2154,SC2034 # functions that wait_for and check call; what routes.inc sets and reads
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/dpop.inc
. "$(dirname "$0")/dpop.inc"

begin caddy
replay_config "$work/bearergate.conf"
[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work"
unclear_status=400
cat >"$work/more.conf" <<'END'
		@misspelt path /api/misspelt
		handle @misspelt {
			forward_auth unix/@SOCKET@ {
				uri /
				transport fastcgi {
					env BEARERGATE_ANSWER client
					env BEARERGATE_SCOPES read:messages
				}
			}
			reverse_proxy @BACKEND@
		}
		# for auth_request of nginx, by mistake
		@form path /api/form
		handle @form {
			forward_auth unix/@SOCKET@ {
				uri /
				transport fastcgi
			}
			reverse_proxy @BACKEND@
		}
END

asked_by_caddy() { # a connected socket beside the listening one
	[ "$(grep -c -F -e " $work/tmp/bg.sock" /proc/net/unix)" -ge 2 ]
}

# As in routes.inc, but a claim that the token does not have is an empty header.
good_tokens_are_allowed() {
	bearer "$good"
	allowed "a token made by mint is let in" /api/private /api/private '.CLAIM_SUB == "bob" and .REMOTE_USER == "bob"
	    and .AUTH_TYPE == "Bearer" and .CLAIM_ISS == "https://issuer.example/" and .CLAIM_ORG_ID == ""' "${auth[@]}"
	denied "a valid token without the scope is refused" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
	bearer "$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --scope "openid read:messages")"
	allowed "a token with the scope is let in" /api/private-scoped /api/private-scoped '.CLAIM_SCOPE == "openid read:messages"' \
	    "${auth[@]}"
	bearer "$(token 'del(.sub)')"
	allowed "a token without sub is let in, as nobody" /api/private /api/private '.CLAIM_SUB == "" and .REMOTE_USER == ""' "${auth[@]}"
	bearer "$(token '.sub = "{env.HOME}" | .azp = "{http.request.header.Authorization}"')"
	allowed "what Caddy would take for a variable of its own is a claim like any other" /api/private /api/private \
	    '.CLAIM_SUB == "{env.HOME}" and .CLAIM_AZP == "{http.request.header.Authorization}"' "${auth[@]}"
	bearer "$good"
	request /api/private --head "${auth[@]}"
	is "HEAD with a token is let in" "$status" 200
	allowed "path info is let in with it" /api/private /api/private/more '.CLAIM_SUB == "bob"' "${auth[@]}"
	request /api/private "${auth[@]}" -H 'Expect:' --data-binary "@$work/upload"
	is "the body of a POST reaches the program as it was sent" "$status $(json .body_sha256)" \
	    "200 $(sha256sum <"$work/upload" | cut -d' ' -f1)"
	is "and the claims with it" "$(json .claims.CLAIM_SUB)" bob
	request /api/private "${auth[@]}" -H 'Expect:' -H 'Transfer-Encoding: chunked' --data-binary "@$work/upload"
	is "a chunked one too" "$status" 200
}

spoofed_claims_never_arrive() {
	local spoof=() name

	for name in X-Auth-Claim-Sub X-Auth-Claim-Org-Id X-Auth-Claim-Evil X-Auth-Roles X-Auth-Remote-User X-Auth-Type \
	    X-Auth-Claims-Json x-auth-claim-sub X_Auth_Claim_Sub X-Auth-Claim_Sub X_Auth-Claim-Evil X-Auth_Claim_Evil x_auth_claim_evil \
	    X-Bearergate-Status X-Bearergate-Body X-Forwarded-Method X-Forwarded-Uri; do
		spoof+=(-H "$name: mallory")
	done
	bearer "$(token)"
	request /api/private "${auth[@]}"
	cp "$work/body" "$work/honest"
	request /api/private "${auth[@]}" "${spoof[@]}"
	is "a client's X-Auth- headers do not reach the program (SR-80)" "$(cat "$work/body")" "$(cat "$work/honest")"
	is "which has the token's" "$status $(json .claims.CLAIM_SUB)" "200 alice"
	allowed "nor do they on a public route (SR-84)" /api/public /api/public '. == {}' "${spoof[@]}"
	denied "nor do they let anybody in" 401 - no_token /api/private "${spoof[@]}"
	check "not in any spelling" sent_to_program
}

sent_to_program() { # what the program is sent of them, byte for byte
	"${bg_unprivileged[@]}" perl -MIO::Socket::INET -e '
		my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1:0", Listen => 1) or die; $| = 1; print $l->sockport, "\n";
		my $c = $l->accept; while (<$c>) { print; last if /^\r?$/ } print $c "HTTP/1.0 200 OK\r\n\r\n"' >"$work/raw" 2>&1 &
	bg_pids+=("$!")
	wait_for 30 test -s "$work/raw" || return 1
	local was=$port old=$backend
	stop "$server" || :
	backend=127.0.0.1:$(head -n 1 "$work/raw")
	start_server caddy "$work/tmp/bg.sock" "$work/more.conf"
	request /api/private "${auth[@]}" -H 'X_Auth_Claim_Sub: mallory' -H 'x-auth_claim_evil: mallory' -H 'X-Auth-Evil: mallory' \
	    -H 'X_AUTH-Type: mallory'
	stop "$server" || :
	backend=$old
	start_server caddy "$work/tmp/bg.sock" "$work/more.conf"
	grep -q -i '^x-auth-claim-sub: alice' "$work/raw" && ! grep -q mallory "$work/raw"
}

static_files_are_guarded() {
	mkdir "$work/www/files"
	printf secret >"$work/www/files/secret.txt"
	bearer "$good"
	denied "a static file wants a token" 401 - no_token /files/secret.txt
	request /files/secret.txt "${auth[@]}"
	is "and is served with one" "$status $(cat "$work/body")" "200 secret"
	denied "what is not there is not told to those without" 401 - no_token /files/nothing
}

forms_are_denials_all_the_same() {
	request /api/form
	is "without BEARERGATE_ANSWER a refusal is one too" "$status $(route)" "401 "
	request /api/form -H 'Authorization: Bearer'
	is "though 400 is 401 then" "$status $(header X-Bearergate-Status)" "401 400"
	request /api/private -H 'Bearergate-Answer: auth_request' -H 'BEARERGATE_ANSWER: auth_request' -H 'Authorization: Bearer'
	is "a client cannot choose the form" "$status" 400
}

proofs_are_for_the_clients_request() {
	local url=http://127.0.0.1:$port/api/private method

	bound_tokens
	for method in GET POST DELETE; do
		dpop "$(proof "$method" "$url")"
		request /api/private "${auth[@]}" -X "$method"
		is "a proof for $method passes" "$status" 200
		denied "and once alone (SR-63)" 400 invalid_dpop_proof proof_spent /api/private "${auth[@]}" -X "$method"
	done
	dpop "$(proof GET "$url")"
	denied "one for the method that Caddy asks with does not" 400 invalid_dpop_proof proof_method /api/private "${auth[@]}" -X POST
	denied "nor if the client says so" 400 invalid_dpop_proof proof_method /api/private "${auth[@]}" -X POST -H 'X-Forwarded-Method: GET'
	dpop "$(proof GET "http://127.0.0.1:$port/api/public")"
	denied "nor one for another path" 400 invalid_dpop_proof proof_url /api/private "${auth[@]}"
	dpop "$(proof GET "$url")" 
	denied "two proofs are refused (SR-67)" 400 invalid_dpop_proof two_proofs /api/private "${auth[@]}" -H 'DPoP: a.b.c'
}

missing_keys_are_503() {
	stop "$daemon" || :
	cat >"$work/nokeys.conf" <<-END
		issuer "$issuer" {
		  audience = { "$audience" }
		  jwks_uri = "https://127.0.0.1:1/keys"
		}
	END
	start_daemon "$work/daemon.log" -c "$work/nokeys.conf" -l "unix:$work/tmp/bg.sock"
	bearer "$good"
	denied "without keys a token cannot be judged" 503 temporarily_unavailable no_keys /api/private "${auth[@]}"
	check "and the client hears when to come again" [ "$(header Retry-After)" -gt 0 ]
	denied "HEAD is answered like GET" 503 temporarily_unavailable no_keys /api/private --head "${auth[@]}"
	is "a header of FastCGI is not for clients" "$(header Status)" ""
}

# interop 3.E: it is Caddy's empty 200, and nothing of what is guarded.
other_hosts_get_nothing() {
	request /api/private -H 'Host: elsewhere.example'
	is "a host that no site has gets an empty answer" "$(cat "$work/body")" ""
	request /files/secret.txt -H 'Host: elsewhere.example'
	is "whatever it asks for" "$(cat "$work/body")" ""
}

start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
start_backend
start_server caddy "$work/tmp/bg.sock" "$work/more.conf"
all_routes null
spoofed_claims_never_arrive
static_files_are_guarded
forms_are_denials_all_the_same
proofs_are_for_the_clients_request
other_hosts_get_nothing
missing_keys_are_503
stop "$daemon" || :
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
a_dead_daemon_lets_nobody_in asked_by_caddy
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
a_new_daemon_is_found
finish
