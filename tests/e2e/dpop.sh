#!/bin/bash
# Tokens bound by DPoP, as a client of each web server sees them, with the example configurations.
# shellcheck disable=SC2016,SC2317,SC2119,SC2154 # functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/dpop.inc
. "$(dirname "$0")/dpop.inc"

cr=$'\r\n'

daemon_with() { # daemon_with [MORE]: another daemon in the place of the one that runs, if it does
	replay_config "$work/bearergate.conf" "${1:-}"
	[ -z "${daemon:-}" ] || stop "$daemon" || :
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "$listen"
}

# A row: sentence | path, with $port for the port | options of mint | reason, "-" for one that passes.  The proof is for
# GET of the URL of /api/private unless the options say otherwise.
proofs_are_checked() {
	local sentence path options reason url=http://127.0.0.1:$port

	while IFS='|' read -r sentence path options reason; do
		[ -n "$sentence" ] || continue
		options=${options//URL/$url}
		# shellcheck disable=SC2086 # options are words
		dpop "$(proof GET "$url/api/private" $options)"
		if [ "$reason" = - ]; then
			allowed "$server_kind: $sentence" /api/private "$path" '.AUTH_TYPE == "DPoP" and .CLAIM_SUB == "bob"' "${auth[@]}"
		else
			denied "$server_kind: $sentence" 400 invalid_dpop_proof "$reason" "$path" "${auth[@]}"
		fi
	done <<'END'
a proof for this request passes|/api/private||-
a query does not count (RFC 9449 section 4.3)|/api/private?x=1&y=/%2e%2e/||-
nor does one in the proof|/api/private|--claim htu=URL/api/private?z=2|-
path info is part of the path|/api/private/more|--url URL/api/private/more|-
a slash at the end is another path|/api/private/||proof_url
an encoding that need not be is the same path|/api/%70rivate||-
in the proof as well|/api/private|--claim htu=URL/api/%70rivate|-
dots are the path that they lead to (RFC 3986 section 6.2.2.3)|/api/x/../private||-
in the proof as well|/api/private|--claim htu=URL/api/x/../private|-
so are encoded ones|/api/x/%2e%2e/private||-
two slashes are another path|/api//private||proof_url
and the path that they are|/api//private|--claim htu=URL/api//private|-
another method is refused|/api/private|--method POST|proof_method
the method's case counts|/api/private|--method get|proof_method
another path is refused|/api/private|--url URL/api/public|proof_url
another scheme is refused|/api/private|--url https://127.0.0.1/api/private|proof_url
another port is refused|/api/private|--url http://127.0.0.1:1/api/private|proof_url
no port is another port|/api/private|--url http://127.0.0.1/api/private|proof_url
another host is refused|/api/private|--url http://127.0.0.2/api/private|proof_url
an old proof is refused|/api/private|--iat -10m|proof_time
one from the future is refused|/api/private|--iat 10m|proof_time
a proof for another token is refused|/api/private|--token other|proof_token
a symmetric algorithm is refused|/api/private|--header {"alg":"HS256"}|proof_algorithm
END
}

headers_are_counted() {
	local url=http://127.0.0.1:$port/api/private one

	one=$(proof GET "$url")
	denied "$server_kind: the scheme DPoP without a proof is refused" 400 invalid_request missing_proof /api/private \
	    -H "Authorization: DPoP $bound"
	denied "$server_kind: two DPoP headers are refused (SR-67)" 400 invalid_dpop_proof two_proofs /api/private \
	    -H "Authorization: DPoP $bound" -H "DPoP: $one" -H "DPoP: $(proof GET "$url")"
	denied "$server_kind: so is one that is sent twice" 400 invalid_dpop_proof two_proofs /api/private \
	    -H "Authorization: DPoP $bound" -H "DPoP: $one" -H "DPoP: $one"
	denied "$server_kind: a bound token does not pass as Bearer (SR-62)" 401 invalid_token no_proof /api/private \
	    -H "Authorization: Bearer $bound"
	denied "$server_kind: with a proof neither" 400 invalid_request proof_with_bearer /api/private \
	    -H "Authorization: Bearer $bound" -H "DPoP: $one"
	"$BG_TOOL" mint key -f -a ES256 -o "$work/thief.pem"
	dpop "$("$BG_TOOL" mint --dpop -k "$work/thief.pem" --token "$bound" --method GET --url "$url")"
	denied "$server_kind: somebody else's proof is refused" 401 invalid_token wrong_binding /api/private "${auth[@]}"
	dpop "$one" "$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience")"
	denied "$server_kind: a token that is not bound does not pass as DPoP" 401 invalid_token not_bound /api/private "${auth[@]}"
	dpop "$one"
	allowed "$server_kind: the proof was not spent by any of these" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}"
}

# One scope is missing: whoever gets it may use the same proof, since the store keeps none that led nowhere.
a_refused_request_spends_nothing() {
	local url=http://127.0.0.1:$port/api/private-scoped bound=$bound

	dpop "$(proof GET "$url")"
	denied "$server_kind: a good proof without the scope is refused" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
	denied "$server_kind: and again, since it was not spent" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
	bound=$scoped
	dpop "$(proof GET "$url")"
	allowed "$server_kind: a bound token with the scope passes" /api/private-scoped /api/private-scoped \
	    '.CLAIM_SCOPE == "read:messages"' "${auth[@]}"
	denied "$server_kind: once" 400 invalid_dpop_proof proof_spent /api/private-scoped "${auth[@]}"
}

methods_pass_once() {
	local url=http://127.0.0.1:$port/api/private method

	dpop "$(proof HEAD "$url")"
	request /api/private --head "${auth[@]}"
	is "$server_kind: HEAD passes with its proof" "$status" 200
	denied "$server_kind: once" 400 invalid_dpop_proof proof_spent /api/private --head "${auth[@]}"
	dpop "$(proof GET "$url")"
	denied "$server_kind: a proof for GET is none for HEAD" 400 invalid_dpop_proof proof_method /api/private --head "${auth[@]}"
	dpop "$(proof POST "$url")"
	request /api/private "${auth[@]}" -H 'Expect:' --data-binary "@$work/upload"
	is "$server_kind: a POST passes with its body" "$status $(json .body_sha256)" "200 $(sha256sum <"$work/upload" | cut -d' ' -f1)"
	denied "$server_kind: once" 400 invalid_dpop_proof proof_spent /api/private "${auth[@]}" --data-binary "@$work/small"
	dpop "$(proof DELETE "$url")"
	request /api/private "${auth[@]}" -X DELETE
	is "$server_kind: DELETE passes with its proof" "$status" 200
}

# The same as HTTP/1.1 and then as HTTP/1.0, which curl does not do on one connection: the statuses.
two_versions() { # two_versions URL
	local version

	exec 6<>"/dev/tcp/127.0.0.1/$port"
	for version in "1.1${cr}Connection: keep-alive" "1.0${cr}Connection: close"; do
		printf 'GET /api/private HTTP/%s\r\nHost: 127.0.0.1:%s\r\n%s\r\n%s\r\n\r\n' "$version" "$port" "${auth[1]}" "${auth[3]}"
	done >&6
	timeout 20 sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' <&6 | paste -sd' '
	exec 6>&-
}

a_proof_passes_once() {
	local url=http://127.0.0.1:$port/api/private

	dpop "$(proof GET "$url")"
	is "$server_kind: a proof used again on the same connection is refused" "$(twice_on_one_connection "$url")" "200 1 400 0 "
	is "with the reason in its body" "$(json .detail.error_description)" "the DPoP proof was used before"
	denied "$server_kind: on another connection too" 400 invalid_dpop_proof proof_spent /api/private "${auth[@]}"
	denied "$server_kind: and with another query" 400 invalid_dpop_proof proof_spent '/api/private?again' "${auth[@]}"
	denied "$server_kind: and in another spelling of the path" 400 invalid_dpop_proof proof_spent /api/%70rivate "${auth[@]}"
	# Whatever of a request a client can change without the proof telling: it is another request all the same.
	dpop "$(proof GET "$url")"
	is "$server_kind: and as HTTP/1.0 on the same connection" "$(two_versions "$url")" "200 400"
}

a_proof_stays_spent() {
	local url=http://127.0.0.1:$port/api/private second

	dpop "$(proof GET "$url")"
	allowed "$server_kind: a proof passes" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}"
	daemon_with
	check "$server_kind: a new daemon is found" wait_for 30 is_asked
	denied "$server_kind: and is refused after a restart of the daemon" 400 invalid_dpop_proof proof_spent /api/private "${auth[@]}"

	# Another daemon beside this one, which the web server does not know, with the same store.
	: >"$work/second.log"
	start "$work/second.log" "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "unix:$work/tmp/second.sock"
	second=$started
	wait_for 20 lines_at_least 1 'listening on' "$work/second.log" || die "the second daemon does not start"
	dpop "$(proof GET "$url")"
	is "$server_kind: a proof passes with a second daemon" "$(ask_second "$url")" 200
	denied "$server_kind: and is refused by the first" 400 invalid_dpop_proof proof_spent /api/private "${auth[@]}"
	dpop "$(proof GET "$url")"
	allowed "$server_kind: one that passes with the first" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}"
	is "$server_kind: is refused by the second" "$(ask_second "$url")" 400
	stop "$second" || :
}

is_asked() {
	request /api/private
	[ "$status" = 401 ]
}

ask_second() { # ask_second URL: the status of the second daemon's answer to a request with $auth
	perl "$e2e/fcgi.pl" "unix:$work/tmp/second.sock" REQUEST_METHOD=GET REQUEST_URI=/api/private REQUEST_SCHEME=http \
	    HTTP_HOST="127.0.0.1:$port" HTTP_AUTHORIZATION="${auth[1]#*: }" HTTP_DPOP="${auth[3]#*: }" \
	    REMOTE_ADDR=127.0.0.1 REMOTE_PORT=1 | tr -d '\r' | sed -n 's/^Status: \([0-9]*\).*/\1/p'
}

# What Apache and lighttpd hand in is the Host header; nginx hands in its own port.
the_host_is_that_of_the_request() {
	local at

	dpop "$(proof GET "http://api.example:$port/api/private")"
	allowed "$server_kind: a name with the port passes, in any case" /api/private /api/private '.AUTH_TYPE == "DPoP"' \
	    -H "Host: API.Example:$port" "${auth[@]}"
	for at in api.example api.example:80 api.example:8080; do
		dpop "$(proof GET "http://$at/api/private")"
		if [ "$server_kind" = nginx ]; then
			denied "$server_kind: $at in the Host header is not where nginx listens" 400 invalid_dpop_proof proof_url \
			    /api/private -H "Host: $at" "${auth[@]}"
		else
			allowed "$server_kind: $at in the Host header is what a proof for $at is for" /api/private /api/private \
			    '.AUTH_TYPE == "DPoP"' -H "Host: $at" "${auth[@]}"
		fi
	done
	dpop "$(proof GET "http://good.example:$port/api/private")"
	denied "$server_kind: another host than the proof's is refused" 400 invalid_dpop_proof proof_url /api/private \
	    -H "Host: evil.example:$port" "${auth[@]}"
	# An absolute target is what counts, not the Host header beside it; lighttpd refuses it by itself.  RFC 9112 section 3.2.2.
	request /api/private --request-target "http://evil.example:$port/api/private" -H "Host: good.example:$port" "${auth[@]}"
	is "$server_kind: the host of an absolute target counts" "$status $(route)" "400 "
	[ "$server_kind" = lighttpd ] || is "and is not the proof's" "$(json .detail.error)" invalid_dpop_proof
	allowed "$server_kind: the proof passes where it is for" /api/private /api/private '.AUTH_TYPE == "DPoP"' \
	    -H "Host: good.example:$port" "${auth[@]}"
	if [ "$server_kind" != lighttpd ]; then
		dpop "$(proof GET "http://other.example:$port/api/private")"
		request /api/private --request-target "http://other.example:$port/api/private" -H "Host: good.example:$port" "${auth[@]}"
		is "$server_kind: so does one for an absolute target" "$status $(route)" "200 /api/private"
	fi
}

# Each row: sentence | URL of the proof | headers, with ";" between | reason, "-" for one that passes
proxies_are_believed() { # proxies_are_believed PREFIX: with rows of standard input
	local sentence url headers reason options header

	while IFS='|' read -r sentence url headers reason; do
		options=()
		while read -r header; do
			options+=(-H "$header")
		done <<<"${headers//;/$'\n'}"
		dpop "$(proof GET "${url//PORT/$port}")"
		if [ "$reason" = - ]; then
			allowed "$server_kind: $1: $sentence" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}" "${options[@]}"
		elif [ "$reason" = bad_forwarded ]; then
			denied "$server_kind: $1: $sentence" 400 invalid_request "$reason" /api/private "${auth[@]}" "${options[@]}"
		else
			denied "$server_kind: $1: $sentence" 400 invalid_dpop_proof "$reason" /api/private "${auth[@]}" "${options[@]}"
		fi
	done
}

strangers_are_not_believed() {
	proxies_are_believed "untrusted peer" <<'END'
X-Forwarded-* changes nothing (SR-68)|http://127.0.0.1:PORT/api/private|X-Forwarded-Proto: https;X-Forwarded-Host: public.example;X-Forwarded-For: 192.0.2.1|-
nor makes it another URL|https://public.example/api/private|X-Forwarded-Proto: https;X-Forwarded-Host: public.example;X-Forwarded-For: 192.0.2.1|proof_url
nor does Forwarded|https://public.example/api/private|Forwarded: for=192.0.2.1;Forwarded: proto=https|proof_url
nor other headers of that kind|https://public.example/api/private|X-Forwarded-Scheme: https;X-Host: public.example;X-Original-URL: /api/private|proof_url
END
}

trusted_proxies_are_believed() {
	daemon_with 'trusted_proxies = { "127.0.0.1" }'
	check "$server_kind: a new daemon is found" wait_for 30 is_asked
	proxies_are_believed "trusted peer" <<'END'
X-Forwarded-* says the URL|https://public.example/api/private|X-Forwarded-Proto: https;X-Forwarded-Host: public.example;X-Forwarded-For: 192.0.2.1|-
and then it is not the server's|http://127.0.0.1:PORT/api/private|X-Forwarded-Proto: https;X-Forwarded-Host: public.example;X-Forwarded-For: 192.0.2.1|proof_url
so does X-Forwarded-Prefix|https://public.example/v1/api/private|X-Forwarded-Proto: https;X-Forwarded-Host: public.example;X-Forwarded-For: 192.0.2.1;X-Forwarded-Prefix: /v1|-
without these headers it is the server's|http://127.0.0.1:PORT/api/private|X-Nothing: 1|-
END
}

modes_are_kept() {
	local url=http://127.0.0.1:$port/api/private unbound

	unbound=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob)
	daemon_with 'dpop = required'
	check "$server_kind: a new daemon is found" wait_for 30 is_asked
	dpop_mode=required
	denied "$server_kind: where DPoP is required, a Bearer token is refused" 401 - other_scheme /api/private \
	    -H "Authorization: Bearer $unbound"
	dpop "$(proof GET "$url")"
	allowed "$server_kind: and a bound one with its proof passes" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}"
	daemon_with 'dpop = disabled'
	check "$server_kind: a new daemon is found" wait_for 30 is_asked
	dpop_mode=disabled
	dpop "$(proof GET "$url")"
	denied "$server_kind: where DPoP is disabled, it is another scheme" 401 - other_scheme /api/private "${auth[@]}"
	denied "$server_kind: and a bound token does not pass as Bearer" 401 invalid_token no_proof /api/private \
	    -H "Authorization: Bearer $bound"
	bearer "$unbound"
	allowed "$server_kind: but one that is not bound does" /api/private /api/private '.AUTH_TYPE == "Bearer"' "${auth[@]}"
	dpop_mode=allowed
}

# RFC 9449 sections 8.2 and 9.
nonces_reach_the_client() {
	local url=http://127.0.0.1:$port/api/private nonce

	daemon_with "dpop_nonce = required
dpop_nonce_key_file = \"$work/nonce.key\""
	check "$server_kind: a new daemon is found" wait_for 30 is_asked
	dpop "$(proof GET "$url")"
	denied "$server_kind: a proof without a nonce is refused" 401 use_dpop_nonce no_nonce /api/private "${auth[@]}"
	nonce=$(header DPoP-Nonce)
	check "$server_kind: the nonce reaches the client" [ -n "$nonce" ]
	dpop "$(proof GET "$url" --nonce "$nonce")"
	allowed "$server_kind: a proof with it passes" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}"
	denied "$server_kind: once" 400 invalid_dpop_proof proof_spent /api/private "${auth[@]}"
	is "$server_kind: a refusal for another reason tells no nonce" "$(header DPoP-Nonce)" ""
	dpop "$(proof GET "$url" --nonce "${nonce%?}$([ "${nonce: -1}" = A ] && echo B || echo A)")"
	denied "$server_kind: a changed nonce is refused" 401 use_dpop_nonce old_nonce /api/private "${auth[@]}"
	dpop "$(proof GET "$url" --nonce "$(header DPoP-Nonce)")"
	allowed "$server_kind: with a good one" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}"
	[ "$server_kind" != nginx ] || allows_bring_the_next_nonce
}

# In the Responder role a nonce that will soon be old lets in, and the next one comes along.  RFC 9449 section 8.2.
allows_bring_the_next_nonce() {
	daemon_with "dpop_nonce = required
dpop_nonce_window = 10s
dpop_nonce_key_file = \"$work/nonce.key\""
	check "nginx: a new daemon is found" wait_for 30 is_asked
	dpop "$(proof GET "http://127.0.0.1:$port/api/private")"
	request /api/private "${auth[@]}"
	first=$(header DPoP-Nonce)
	check "nginx: an allow with a nonce that is old soon brings the next" wait_for 20 brings_another
	dpop "$(proof GET "http://127.0.0.1:$port/api/private" --nonce "$(header DPoP-Nonce)")"
	allowed "nginx: which lets in" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}"
}

brings_another() {
	dpop "$(proof GET "http://127.0.0.1:$port/api/private" --nonce "$first")"
	request /api/private "${auth[@]}"
	[ "$status" = 200 ] && [ -n "$(header DPoP-Nonce)" ] && [ "$(header DPoP-Nonce)" != "$first" ]
}

all_checks() { # all_checks KIND AUTHORIZER LISTEN
	server_kind=$1
	listen=$3
	daemon=
	daemon_with
	[ "$1" != nginx ] || start_backend
	start_server "$1" "${2/PORT/$daemon_port}"
	listen=${3/%:0/:$daemon_port}
	proofs_are_checked
	headers_are_counted
	a_refused_request_spends_nothing
	methods_pass_once
	a_proof_passes_once
	a_proof_stays_spent
	the_host_is_that_of_the_request
	strangers_are_not_believed
	trusted_proxies_are_believed
	modes_are_kept
	nonces_reach_the_client
	stop "$server" || :
	stop "$daemon" || :
}

begin lighttpd apache2 nginx
[ -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_authnz_fcgi.so" ] || skip "Apache has no mod_authnz_fcgi"
bound_tokens
head -c 300000 /dev/urandom >"$work/upload"
head -c 5000 /dev/urandom >"$work/small"
openssl rand -base64 32 >"$work/nonce.key"
chmod 640 "$work/nonce.key"
[ "$(id -u)" -ne 0 ] || chown www-data "$work/nonce.key"
all_checks lighttpd "$work/tmp/bg.sock" "unix:$work/tmp/bg.sock"
all_checks apache 127.0.0.1:PORT 127.0.0.1:0
all_checks nginx "$work/tmp/bg.sock" "unix:$work/tmp/bg.sock"
finish
