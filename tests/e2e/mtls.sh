#!/bin/bash
# Tokens that are bound to a client certificate (RFC 8705), through real web servers that speak TLS, with the example
# configurations.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/dpop.inc
. "$(dirname "$0")/dpop.inc"

certificates() { # an authority, the server's and two clients' of it; two that vouch for themselves
	local name issued=(-days 2) ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

	mkdir "$work/tls"
	cd "$work/tls"
	for name in ca self stranger; do
		openssl req -x509 "${ec[@]}" "${issued[@]}" -keyout "$name.key" -out "$name.pem" -subj "/CN=$name" 2>/dev/null
	done
	printf 'subjectAltName = IP:127.0.0.1\n' >server.ext
	for name in server alice bob; do
		openssl req "${ec[@]}" -keyout "$name.key" -out "$name.csr" -subj "/CN=$name" 2>/dev/null
		openssl x509 -req "${issued[@]}" -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial \
		    -extfile <([ "$name" != server ] || cat server.ext) -out "$name.pem" 2>/dev/null
	done
	chmod 644 ./*.key
	cd - >/dev/null
}

certified() { # certified CERTIFICATE [OPTION...]: a token bound to it
	local certificate=$1

	shift
	"$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub "$certificate" \
	    --client-cert "$work/tls/$certificate.pem" "$@"
}

# client CERTIFICATE TOKEN [HEADERS-OF]: sets $auth.  "-" is no certificate; headers claim to have another one, in each of
# the forms that proxies use.
client() {
	local pem der

	auth=(--cacert "$work/tls/ca.pem" -H "Authorization: Bearer $2")
	[ "$1" = - ] || auth+=(--cert "$work/tls/$1.pem" --key "$work/tls/$1.key")
	[ -n "${3:-}" ] || return 0
	pem=$(jq -sRr @uri <"$work/tls/$3.pem")
	der=$(openssl x509 -in "$work/tls/$3.pem" -outform DER | openssl base64 -A)
	auth+=(-H "SSL_CLIENT_CERT: $pem" -H "SSL-Client-Cert: $pem" -H "X-SSL-Client-Cert: $pem" -H "X-Client-Cert: $pem"
	    -H "X-Forwarded-Client-Cert: Cert=\"$pem\"" -H "Client-Cert: :$der:" -H "X-SSL-Cert: $der" -H "Ssl-Client-Verify: SUCCESS")
}

speak() { # speak http|https
	scheme=$1
	[ "$1" = https ] && port=$tls_port || port=$plain_port
}

# A row: sentence | scheme | the client's certificate | whose the token is, "-" for nobody's | whose headers are sent | reason, or "-"
clients_are_told_apart() { # clients_are_told_apart KIND
	local sentence over certificate whose headers reason

	while IFS='|' read -r sentence over certificate whose headers reason; do
		speak "$over"
		client "$certificate" "${tokens[$whose]}" "$headers"
		if [ "$reason" = - ]; then
			allowed "$1: $sentence" /api/private /api/private '.AUTH_TYPE == "Bearer"' "${auth[@]}"
		else
			denied "$1: $sentence" 401 invalid_token "$reason" /api/private "${auth[@]}"
		fi
	done
}

# By one who can keep a session of TLS: prints whether it is new or an old one, and the status.
by_openssl() { # by_openssl OPTION...
	printf 'GET /api/private HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n' "${tokens[alice]}" |
	    timeout 20 openssl s_client -connect "127.0.0.1:$port" -ign_eof "$@" 2>/dev/null |
	    sed -n -e 's/^\(New\|Reused\), TLS.*/\1/p' -e 's,.*HTTP/1[.][01] \([0-9]*\).*,\1,p' | paste -sd' '
}

with_an_authority() { # with_an_authority KIND
	clients_are_told_apart "$1" <<'END'
a token passes with the certificate it is bound to (RFC 8705 section 3)|https|alice|alice||-
not with another one|https|bob|alice||wrong_binding
not with none|https|-|alice||no_proof
not with one that headers claim (SR-68)|https|-|alice|alice|no_proof
nor do headers hide the real one|https|bob|alice|alice|wrong_binding
nor get in its way|https|alice|alice|bob|-
nor over plain http|http|-|alice||no_proof
with or without headers|http|-|alice|alice|no_proof
a token that is bound to nothing passes with a certificate|https|alice|-||-
and with none|https|-|-||-
END
	speak https
	is "$1: a token passes" "$(by_openssl -cert "$work/tls/alice.pem" -key "$work/tls/alice.key" -sess_out "$work/session")" "New 200"
	is "$1: and in a resumed session, where the certificate is not sent again" "$(by_openssl -sess_in "$work/session")" "Reused 200"
	client stranger "${tokens[stranger]}"
	request /api/private "${auth[@]}"
	verdict "$1: a certificate of no authority of ours does not pass" \
	    "$([ "$status" != 200 ] && [ -z "$(route)" ] || printf 'status %s, from %s' "$status" "$(route)")"
}

# Nobody vouches for the certificate, and nobody has to: the token names it, and the client has its key.
with_no_authority() { # with_no_authority KIND
	clients_are_told_apart "$1, optional_no_ca" <<'END'
a token passes with the certificate it is bound to, which its owner made|https|self|self||-
and with one of any authority|https|alice|alice||-
not with another one|https|stranger|self||wrong_binding
not with none|https|-|self||no_proof
not with one that headers claim (SR-68)|https|-|self|self|no_proof
END
}

# A token that is bound to both needs both.
both_are_needed() { # both_are_needed KIND
	local bound

	speak https
	bound=$(certified alice --dpop-key "$work/client.pem")
	client - "$bound"
	auth[3]="Authorization: DPoP $bound"
	auth+=(-H "DPoP: $(proof GET "https://127.0.0.1:$port/api/private")")
	denied "$1: a token that is bound to a key and a certificate needs the certificate" 401 invalid_token no_proof \
	    /api/private "${auth[@]}"
	auth+=(--cert "$work/tls/alice.pem" --key "$work/tls/alice.key")
	allowed "$1: with both it passes, by an https URL" /api/private /api/private '.AUTH_TYPE == "DPoP"' "${auth[@]}"
	denied "$1: once" 400 invalid_dpop_proof proof_spent /api/private "${auth[@]}"
	client alice "$bound"
	denied "$1: the certificate alone is not enough" 401 invalid_token no_proof /api/private "${auth[@]}"
}

serve() { # serve KIND AUTHORIZER
	[ -z "${server:-}" ] || stop "$server" || :
	start_server "$1" "$2" "$bg_source/conf/examples/$1/mtls.conf"
	plain_port=$port
}

begin lighttpd apache2 nginx
for module in "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_ssl.so" /usr/lib/lighttpd/mod_openssl.so; do
	[ -e "$module" ] || skip "there is no $module"
done
certificates
bound_tokens
declare -A tokens=(["-"]="$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience")")
for name in alice self stranger; do
	tokens[$name]=$(certified "$name")
done
replay_config "$work/bearergate.conf"
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock" -l 127.0.0.1:0
start_backend

serve lighttpd "$work/tmp/bg.sock"
with_an_authority lighttpd
both_are_needed lighttpd

serve apache "127.0.0.1:$daemon_port"
with_an_authority Apache
both_are_needed Apache
bg_edit=(-e '/SSLCACertificateFile/d' -e 's/^\( *SSLVerifyClient  *\)optional$/\1optional_no_ca/')
serve apache "127.0.0.1:$daemon_port"
with_no_authority Apache

bg_edit=()
serve nginx "$work/tmp/bg.sock"
with_an_authority nginx
both_are_needed nginx
bg_edit=(-e '/ssl_client_certificate /d' -e 's/^\( *ssl_verify_client  *\)optional;$/\1optional_no_ca;/')
serve nginx "$work/tmp/bg.sock"
with_no_authority nginx
finish
