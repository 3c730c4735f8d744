#!/bin/bash
# Issuers that answer all kinds of things: each has no keys from the start, and none it had before is lost by it.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin gzip
start_issuer
root=https://localhost:$issuer_port

# Each row is an issuer of its own, at $root/NAME: the file with the trouble, what the log says of it, and how it comes:
# lines of a .how file with "|" between them, or "=" and a filter of jq that makes the document.
openid=.well-known/openid-configuration
rows=(
"500            jwks.json status 500 instead of 200@status 500"
"404            jwks.json status 404 instead of 200@status 404"
"304            jwks.json status 304 instead of 200@status 304"
"discovery-500  $openid   status 500 instead of 200@status 500"
"redirect       jwks.json redirects are not followed@redirect $root/good/jwks.json"
"redirect-308   $openid   redirects are not followed@redirect $root/good/$openid|status 308"
"other-issuer   $openid   issuer is@=.issuer = \"https://other.example/\""
"slash-issuer   $openid   one has a slash at its end@=.issuer += \"/\""
"no-issuer      $openid   has no issuer@=del(.issuer)"
"no-jwks-uri    $openid   has no jwks_uri@=del(.jwks_uri)"
"null-jwks-uri  $openid   jwks_uri in the discovery document is null@=.jwks_uri = null"
"http-jwks-uri  $openid   begins with http://@=.jwks_uri |= sub(\"https\"; \"http\")"
"file-jwks-uri  $openid   does not begin with https://@=.jwks_uri = \"file:///etc/passwd\""
"array          $openid   an object was expected@=[.]"
"empty          jwks.json not one usable key among 0@={keys: []}"
"no-keys        jwks.json keys is@={}"
"useless        jwks.json not one usable key among 2@={keys: [{kty: \"oct\", k: \"AAAA\"}, {kty: \"RSA\", n: \"AQAB\", e: \"AQAB\"}]}"
"many           jwks.json 101 keys, at most@=.keys = [range(101) as \$i | .keys[0]]"
"large          jwks.json larger than@fill 2097152"
"large-chunked  jwks.json larger than@fill 2097152|how chunked"
"large-document $openid   larger than@fill 2097152"
"bomb           jwks.json Content-Encoding: gzip@header Content-Encoding: gzip"
"broken         jwks.json JSON:@fill 1"
"nothing        jwks.json status 204 instead of 200@status 204"
"cut            jwks.json transfer closed with@how cut|status 200"
"cut-chunked    jwks.json transfer closed with@how cut-chunked|status 200"
"drip           jwks.json timed out@how drip|status 200"
"hang           jwks.json timed out@how hang"
"hang-in-body   jwks.json timed out@how hang-in-body|status 200"
"hang-at-once   $openid   timed out@how hang"
"slam           jwks.json (reset|unexpected eof|SSL_read)@how slam"
)

row() { # row TEXT: sets $name, $file, $words and $trouble, and $issuer
	read -r name file words <<<"${1%%@*}"
	trouble=${1#*@}
	issuer=$root/$name
}

good() { # the issuer of the row is as it should be
	rm -f "$site/$name/jwks.json.how" "$site/$name/$openid.how"
	discovery | put "$name/$openid"
	cp "$site/jwks.json" "$site/next"
	mv "$site/next" "$site/$name/jwks.json"
}

bad() { # it has its trouble
	if [ "${trouble:0:1}" = = ]; then
		jq -c "${trouble:1}" "$site/$name/$file" | put "$name/$file"
		return
	fi
	[ "$name" != bomb ] || head -c 10000000 /dev/zero | gzip -c | put "$name/$file"
	tr '|' '\n' <<<"$trouble" | put "$name/$file.how"
}

config_all() { # config_all LINE...: all the rows' issuers, with these lines on top
	local text

	{
		printf 'fetch_timeout = "4s"\nca_file = "%s"\ncache_dir = "none"\n' "$work/ca/ca.pem"
		printf '%s\n' "$@"
		for text in "${rows[@]}"; do
			row "$text"
			printf 'issuer "%s" { audience = { "%s" } }\n' "$issuer" "$audience"
		done
	} >"$work/bearergate.conf"
}

complained() { # the log has the words for the issuer of the row
	grep -F -e "keys=\"$issuer\" reason=" "$work/daemon.log" | grep -q -E -e "$words"
}

has_keys() {
	logged "keys=\"$issuer\" fetched=1"
}

try() { # try SENTENCE STATUS: what a token of this issuer is answered once its trouble is in the log
	local said

	said=$(
		wait_for 60 complained || printf 'the log does not have "%s", but %s\n' "$words" \
		    "$(grep -F -e "keys=\"$issuer\"" "$work/daemon.log" | tail -n 1)"
		wrong status "$(status_of "$(mint old)")" "$2"
	)
	verdict "$1" "$said"
}

for text in "${rows[@]}"; do
	row "$text"
	mkdir -p "$site/$name"
	good
	bad
done
config_all 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"'
start_gate
for text in "${rows[@]}"; do
	row "$text"
	try "$name: it has no keys" 503
done
stop "$daemon" || :

for text in "${rows[@]}"; do
	row "$text"
	good
done
start_gate
for text in "${rows[@]}"; do
	row "$text"
	wait_for 60 has_keys || verdict "$name: its keys are fetched" "they are not"
done
for text in "${rows[@]}"; do
	row "$text"
	bad
done
for text in "${rows[@]}"; do
	row "$text"
	# What is confirmed again has no trouble.
	[ "$name" != 304 ] || continue
	try "$name: the keys it had still serve (SR-45)" 200
done
stop "$daemon" || :

# Odd ways to say how long the answer may be kept: none of them is a reason not to take it.

rows=()
odd=(
'no-store' 'no-cache, no-store, must-revalidate' 'max-age=0' 'max-age=-1' 'max-age=' 'max-age' 'max-age=1.5' 'max-age=abc'
'max-age=99999999999999999999999' 'max-age="60"' 'max-age="60' 'MAX-AGE=60, max-age=1' 'public,,,max-age=60,' ',' '"'
'private="x,max-age=1", max-age=60' 's-maxage=5' 'max-age=60; public' '=' 'max-age = 60'
)
for i in "${!odd[@]}"; do
	rows+=("odd$i @header Cache-Control: ${odd[i]}")
	row "${rows[i]}"
	mkdir -p "$site/$name"
	good
	printf 'header Cache-Control: %s\n' "${odd[i]}" | tee "$site/$name/jwks.json.how" >"$site/$name/$openid.how"
done
: >"$work/issuer.log"
config_all 'cache_ttl_min = "1s"' 'cache_ttl_max = "1h"'
begun=$SECONDS
start_gate
for i in "${!odd[@]}"; do
	row "${rows[i]}"
	check "Cache-Control: ${odd[i]}: its keys serve" wait_for 60 answers 200 "$(mint old)"
done
most=$(grep '^ask' "$work/issuer.log" | sort | uniq -c | sort -n | tail -n 1 | awk '{ print $1 }')
check "and nobody is asked more often than the least lifetime allows" test "$most" -le "$((2 * (SECONDS - begun) + 4))"
stop "$daemon" || :

# RFC 8414: where the document may be too.

rows=("as @" "as/with/path @")
for text in "${rows[@]}"; do
	row "$text"
	mkdir -p "$site/$name"
	good
	mkdir -p "$site/.well-known/oauth-authorization-server/${name%/*}"
	mv "$site/$name/$openid" "$site/.well-known/oauth-authorization-server/$name.json"
done
# A folder cannot have the name of a file.
mv "$site/.well-known/oauth-authorization-server/as.json" "$work/as.json"
mv "$site/.well-known/oauth-authorization-server/as/with/path.json" "$site/.well-known/oauth-authorization-server/as/with/path"
config_all 'cache_ttl_min = "1s"'
start_gate
row "${rows[1]}"
check "a document at oauth-authorization-server, the path behind it, is found (RFC 8414 section 3.1)" \
    wait_for 20 answers 200 "$(mint old)"
rm -r "$site/.well-known/oauth-authorization-server/as"
mv "$work/as.json" "$site/.well-known/oauth-authorization-server/as"
row "${rows[0]}"
check "also for a path of one part" wait_for 30 answers 200 "$(mint old)"
stop "$daemon" || :
rm -r "$site/.well-known/oauth-authorization-server"
issuer=$root/
discovery | put .well-known/oauth-authorization-server
config
start_gate
check "and without a path" wait_for 20 answers 200 "$(mint old)"
stop "$daemon" || :

# Certificates: issuers that had a good one before, and one that is bad from the start.

certificate() { # certificate NAME WORDS OPTION...: what the issuer shows
	local name=$1 words=$2 said

	shift 2
	stop "$issuer_pid" || :
	start_issuer "$@"
	config 'cache_ttl_min = "1s"' 'cache_ttl_max = "1s"'
	start_gate
	try "$name: it has no keys (SR-53)" 503
	stop "$daemon" || :
	stop "$issuer_pid" || :
	start_issuer
	start_gate
	wait_for 60 has_keys || verdict "$name: its keys are fetched" "they are not"
	stop "$issuer_pid" || :
	start_issuer "$@"
	try "$name: the keys it had still serve (SR-45)" 200
	stop "$daemon" || :
}

discovery | put .well-known/openid-configuration
certificate "a certificate that has expired" 'certificate has expired' --cert expired
certificate "a certificate for another host" 'no alternative certificate subject name matches|subject name' --cert other-host
certificate "a certificate that is not valid yet" 'not yet valid' --cert not-yet
certificate "no TLS above 1.1" '(protocol version|unsupported protocol|tlsv1 alert)' --tls-max 1.1
finish
