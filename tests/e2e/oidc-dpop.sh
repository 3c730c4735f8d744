#!/bin/bash
# A client that nobody here wrote: the npm package openid-client gets tokens bound to its key from the npm package
# oidc-provider, and calls what lighttpd, Apache and nginx guard, each with the example configuration and a daemon of its
# own.  See provider.inc and oidc-provider/client.mjs.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what provider.inc sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/provider.inc
. "$(dirname "$0")/provider.inc"

need_packages oidc-provider openid-client
begin lighttpd apache2 nginx node
[ -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_authnz_fcgi.so" ] || skip "Apache has no mod_authnz_fcgi"
nginx -V 2>&1 | grep -q -e --with-http_auth_request_module || skip "nginx has no auth_request"

servers=(lighttpd apache nginx)
declare -A ports daemons listen=([lighttpd]="unix:$work/tmp/l.sock" [apache]=127.0.0.1:0 [nginx]="unix:$work/tmp/n.sock")

config() { # config NAME LINE...: what all daemons have in common, and these lines; sets $configured
	configured=$work/$1.conf
	shift
	cat >"$configured" <<END
ca_file = "$work/ca.pem"
replay  = "lmdb:$work/tmp/replay"
$(printf '%s\n' "$@")
issuer "$issuer" {
  audience = { "$audience" }
}
END
}

daemon_of() { # daemon_of SERVER: another one with $configured, in the place of the one that runs, if one does
	[ -z "${daemons[$1]:-}" ] || stop "${daemons[$1]}" || :
	start_daemon "$work/daemon-$1.log" -c "$configured" -l "${listen[$1]}"
	daemons[$1]=$daemon
}

daemons_with() { # daemons_with NAME LINE...: all three, with this configuration
	local s

	config "$@"
	for s in "${servers[@]}"; do
		daemon_of "$s"
	done
}

key_file() { # key_file NAME: for nonces; the daemon must be its owner, and nobody else may read it
	# shellcheck disable=SC2016
	"${bg_unprivileged[@]}" sh -c 'umask 077 && openssl rand -base64 32 >"$1"' sh "$work/tmp/$1"
}

# client bound|unbound DPoP|Bearer ALGORITHM [URL SERVER]...: one run of the client, with one token and key
client() {
	local binding=$1 scheme=$2 algorithm=$3 calls=()

	shift 3
	while [ $# -gt 0 ]; do
		calls+=("$1" "${ports[$2]}")
		shift 2
	done
	NODE_EXTRA_CA_CERTS=$work/ca.pem timeout 60 node "$work/client.mjs" "$issuer" "$secret" "$audience" read:messages \
	    "$binding" "$scheme" "$algorithm" "${calls[@]}" >"$work/calls" 2>"$work/client.log" || die "the client failed"
}

call() { # call N JQ-FILTER: of the Nth call of the last run
	sed -n "$1p" "$work/calls" | jq -r "$2"
}

proof_claim() { # proof_claim NAME: of a proof on standard input
	jq -R -r "split(\".\")[1] | gsub(\"-\"; \"+\") | gsub(\"_\"; \"/\") | @base64d | fromjson | .$1"
}

own_url() { # own_url SERVER: of a route there, as nobody stands in front of it
	printf 'http://127.0.0.1:%s/api/private' "${ports[$1]}"
}

marks() { # where each log ends now
	local s

	for s in "${servers[@]}"; do
		wc -l <"$work/daemon-$s.log" >"$work/mark-$s"
	done
}

said_reason() { # said_reason SERVER REASON: its daemon, since the marks
	tail -n "+$(($(cat "$work/mark-$1") + 1))" "$work/daemon-$1.log" | grep -q -F -e " reason=$2 "
}

# again_refused SENTENCE SERVER REASON [CURL-OPTION...]: the first request of the last run, sent to this server by curl, or
# another one by these options; status, challenge, body and log say why it is refused
again_refused() {
	local sentence=$1 s=$2 reason=$3 options=("${@:4}") row said

	[ ${#options[@]} -gt 0 ] || options=(-H "Authorization: $(call 1 '.requests[0].authorization')"
	    -H "DPoP: $(call 1 '.requests[0].proof')")
	row=$(sed -n "s/^BG_REASON([A-Z_]*, *$reason, *\([A-Z_]*\), *\([0-9]*\),.*/\2 \1/p" "$bg_source/core/reasons.def")
	[ -n "$row" ] || die "no reason $reason in core/reasons.def"
	row=${row,,}
	marks
	port=${ports[$s]}
	request /api/private "${options[@]}"
	said=$(
		wrong answer "$status $(json .detail.error)" "$row"
		wrong challenge "$(header WWW-Authenticate | sed -n 's/.* error="\([^"]*\)".*/\1/p')" "${row#* }"
		wrong route "$(route)" ''
		wait_for 30 said_reason "$s" "$reason" ||
		    printf 'the log has no reason=%s, but %s\n' "$reason" "$(tail -n 1 "$work/daemon-$s.log")"
	)
	verdict "$s: $sentence" "$said"
}

# client_refused SENTENCE SERVER STATUS ERROR REASON: the first call of the last run, made after the marks.  ERROR is what
# the challenge names, "null" for a challenge that names none.
client_refused() {
	local body=$4 said

	[ "$body" != null ] || body=invalid_request
	said=$(
		wrong answer "$(call 1 '"\(.status) \(.requests[-1].error) \(.body.detail.error)"')" "$3 $4 $body"
		wait_for 30 said_reason "$2" "$5" ||
		    printf 'the log has no reason=%s, but %s\n' "$5" "$(tail -n 1 "$work/daemon-$2.log")"
	)
	verdict "$2: $1" "$said"
}

bound_tokens_pass_with_their_proofs() {
	local s other

	for s in "${servers[@]}"; do
		client bound DPoP ES256 "$(own_url "$s")" "$s" "$(own_url "$s")-scoped?limit=1" "$s"
		is "$s: a bound token is let in with openid-client's proof, and its claims are there" \
		    "$(call 1 '[.status, .body.route, (.body.claims | .AUTH_TYPE, .CLAIM_ISS, .CLAIM_AUD, .CLAIM_CLIENT_ID,
			.CLAIM_SCOPE, .REMOTE_USER == .CLAIM_SUB)] | join(" ")')" \
		    "200 /api/private DPoP $issuer $audience robot read:messages true"
		is "$s: with another proof for a URL with a query" "$(call 2 '"\(.status) \(.body.route)"')" \
		    "200 /api/private-scoped"
		again_refused "the same proof again is refused (RFC 9449 section 11.1)" "$s" proof_spent
		for other in "${servers[@]}"; do
			[ "$other" = "$s" ] ||
			    again_refused "a proof for $s is refused (RFC 9449 section 4.3)" "$other" proof_url
		done
		again_refused "the bound token as Bearer is refused (SR-62)" "$s" no_proof \
		    -H "Authorization: Bearer $(call 1 '.requests[0].authorization | ltrimstr("DPoP ")')"
	done
}

tokens_pass_by_their_own_scheme_alone() {
	local s

	for s in "${servers[@]}"; do
		marks
		client bound Bearer ES256 "$(own_url "$s")" "$s"
		client_refused "openid-client gets nowhere with a bound token as Bearer (SR-62)" "$s" 401 invalid_token no_proof
		marks
		client unbound DPoP ES256 "$(own_url "$s")" "$s"
		client_refused "nor with an unbound one by the scheme DPoP, with a good proof" "$s" 401 invalid_token not_bound
		client unbound Bearer ES256 "$(own_url "$s")" "$s"
		is "$s: the unbound one as Bearer is let in" "$(call 1 '"\(.status) \(.body.claims.AUTH_TYPE)"')" "200 Bearer"
	done
}

# Behind a balancer, where one URL leads to all three.
proofs_are_spent_for_all_servers() {
	local s other

	client bound DPoP ES256 "$audience/api/private" lighttpd "$audience/api/private" apache "$audience/api/private" nginx
	is "a token passes through all three servers, each time with another proof" \
	    "$(jq -r .status "$work/calls" | tr '\n' ' ')" "200 200 200 "
	for s in "${servers[@]}"; do
		client bound DPoP ES256 "$audience/api/private" "$s"
		is "$s: a proof for the balancer's URL is let in" "$(call 1 .status)" 200
		for other in "${servers[@]}"; do
			again_refused "a proof that was used through $s is refused (SR-65)" "$other" proof_spent
		done
	done
}

# How each call of the last run went: the statuses of its requests.
dance() {
	jq -r '[.requests[].status | tostring] | join(",")' "$work/calls" | tr '\n' ' '
}

clients_are_given_nonces() {
	local s

	for s in "${servers[@]}"; do
		marks
		client bound DPoP ES256 "$audience/api/private" "$s"
		check "$s: a proof without a nonce is refused for that" wait_for 30 said_reason "$s" no_nonce
		is "$s: openid-client understands use_dpop_nonce and is let in (RFC 9449 section 9)" \
		    "$(call 1 '[.requests[] | .status, .error] | map(tostring) | join(" ")')" "401 use_dpop_nonce 200 null"
		check "$s: with the nonce from the answer's DPoP-Nonce" nonce_was_used
	done
	client bound DPoP ES256 "$audience/api/private" lighttpd "$audience/api/private" apache \
	    "$audience/api/private" nginx "$audience/api/private" lighttpd
	is "daemons with one key take each other's nonces" "$(dance)" "401,200 200 200 200 "
}

nonce_was_used() { # in the second request, the one that came with the first answer
	local given

	given=$(call 1 '.requests[0].nonce')
	[[ $given =~ ^[A-Za-z0-9_-]{43}$ ]] && [ "$(call 1 '.requests[1].proof' | proof_claim nonce)" = "$given" ]
}

nonces_of_another_key_are_not_known() { # lighttpd's daemon has another key by now
	client bound DPoP ES256 "$audience/api/private" apache "$audience/api/private" lighttpd "$audience/api/private" nginx
	is "a daemon with another key does not, and gives its own" "$(dance)" "401,200 401,200 401,200 "
}

bearer_tokens_are_refused_where_dpop_is_required() {
	local s

	for s in "${servers[@]}"; do
		marks
		client unbound Bearer Ed25519 "$(own_url "$s")" "$s"
		client_refused "where DPoP is required an unbound token is refused" "$s" 401 null other_scheme
	done
}

other_algorithms_are_taken_where_they_are_on() {
	local s algorithm

	for s in "${servers[@]}"; do
		for algorithm in Ed25519 RS256; do
			client bound DPoP "$algorithm" "$(own_url "$s")" "$s"
			is "$s: a proof by $algorithm is let in where that is on" \
			    "$(call 1 '"\(.status) \(.body.claims.AUTH_TYPE)"')" "200 DPoP"
		done
		marks
		client bound DPoP ES256 "$(own_url "$s")" "$s"
		client_refused "and one by ES256 refused where that is off" "$s" 400 invalid_dpop_proof proof_algorithm
	done
}

start_provider
start_backend
config plain
for s in "${servers[@]}"; do
	daemon_of "$s"
	[ "$s" != apache ] || listen[apache]=127.0.0.1:$daemon_port
	start_server "$s" "${listen[$s]#unix:}"
	ports[$s]=$port
done
bound_tokens_pass_with_their_proofs
tokens_pass_by_their_own_scheme_alone

daemons_with balancer "public_url = \"$audience\""
proofs_are_spent_for_all_servers

key_file nonce.key
key_file other.key
daemons_with nonce "public_url = \"$audience\"" 'dpop_nonce = "required"' "dpop_nonce_key_file = \"$work/tmp/nonce.key\""
clients_are_given_nonces
config other-nonce "public_url = \"$audience\"" 'dpop_nonce = "required"' "dpop_nonce_key_file = \"$work/tmp/other.key\""
daemon_of lighttpd
nonces_of_another_key_are_not_known

daemons_with required 'dpop = "required"' 'dpop_algorithms = { "Ed25519", "RS256" }'
bearer_tokens_are_refused_where_dpop_is_required
other_algorithms_are_taken_where_they_are_on
finish
