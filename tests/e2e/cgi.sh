#!/bin/bash
# bearergate-cgi without a web server: where it finds its configuration, what it answers, and that a script finds everything
# as it would be without the wrapper.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

begin
unprivileged=("${bg_unprivileged[@]}")
use_wrapper "script = \"$work/bin/probe\""

# What a program is given: arguments, variables, descriptors, directory, signals, limits, body.
cat >"$work/bin/probe" <<'END'
#!/bin/sh
PATH=/usr/bin:/bin
printf 'Content-Type: text/plain\n\n'
for word; do printf 'word %s\n' "$word"; done
env | grep -v '^PATH=\|^_=\|^OLDPWD=' | sort
for fd in /proc/$$/fd/*; do
	case $(readlink "$fd") in */probe|'') ;; *) printf 'fd %s\n' "${fd##*/}" ;; esac
done
pwd -P
stat -c 'core of %U' "/proc/$$/mem"
grep -E '^(SigBlk|SigIgn|NoNewPrivs|Seccomp)' /proc/self/status	# the shell's own mask changes while it waits
ulimit -a
umask
cat | cksum
END
chmod 755 "$work/bin/probe"

vars=(REQUEST_METHOD=GET REQUEST_URI=/x HTTP_HOST=api.example SERVER_PROTOCOL=HTTP/1.1)

# run VARIABLE...: the wrapper as a server starts it, with the body $body; sets $code, output and log in files
body=
arguments=()
run() {
	code=0
	printf %s "$body" >"$work/in"
	(cd / && exec "${unprivileged[@]}" env -i "${vars[@]}" "$@" "$bg_cgi" "${arguments[@]}") \
	    <"$work/in" >"$work/out" 2>"$work/cgi.log" || code=$?
}

answers() { # answers SENTENCE STATUS REASON VARIABLE...: a denial, and its one line in the log
	local sentence=$1 code_wanted=$2 reason=$3

	shift 3
	run "$@"
	verdict "$sentence" "$(
		wrong status "$(sed -n '1s/^Status: \([0-9]*\) .*/\1/p' "$work/out")" "$code_wanted"
		wrong 'exit code' "$code" 0
		grep -q -F -e " reason=$reason " "$work/cgi.log" || cat "$work/cgi.log"
		wrong decisions "$(grep -c decision= "$work/cgi.log")" 1
	)"
}

runs() { # runs SENTENCE VARIABLE...: the probe answers
	local sentence=$1

	shift
	run "$@"
	verdict "$sentence" "$([ "$(head -n 1 "$work/out")" = 'Content-Type: text/plain' ] || cat "$work/out" "$work/cgi.log")"
}

good=HTTP_AUTHORIZATION="Bearer $(token)"

# Decisions.
answers "a request without a token is refused" 401 no_token
all=("${vars[@]}")
vars=()
answers "so is one without any variable (SR-23)" 401 no_token
vars=("${all[@]}")
answers "a bad token is refused" 401 bad_token HTTP_AUTHORIZATION='Bearer x'
answers "a demand that is not met is refused" 403 no_scope "$good" BEARERGATE_SCOPE=read:messages
action=(SCRIPT_FILENAME="$bg_cgi" REDIRECT_STATUS=200 REDIRECT_URL=/x PATH_INFO=/x)
answers "so is one that a redirect carried (Action)" 403 no_scope "$good" "${action[@]}" REDIRECT_BEARERGATE_SCOPE=read:messages
answers "and an unknown one" 500 bad_variable "$good" "${action[@]}" REDIRECT_BEARERGATE_SCOPES=read:messages
answers "two that differ are a riddle" 500 bad_variable "$good" "${action[@]}" REDIRECT_BEARERGATE_SCOPE=a BEARERGATE_SCOPE=b
answers "what another place allows does not open this one" 401 no_token REDIRECT_BEARERGATE_AUTH=none REDIRECT_STATUS=404 \
    REDIRECT_URL=/public
answers "nor does it by way of Action" 401 no_token "${action[@]}" REDIRECT_REDIRECT_BEARERGATE_AUTH=none
runs "but Action hands on what was said for the place itself" "${action[@]}" REDIRECT_BEARERGATE_AUTH=none
runs "a good token runs the script" "$good"
runs "a redirect may have carried it" "REDIRECT_REDIRECT_$good"
runs "a public place needs none" BEARERGATE_AUTH=none
is "and all names are there and empty (SR-84)" "$(grep -c -E '^(REMOTE_USER|AUTH_TYPE|CLAIM_SUB|CLAIM_ORG_ID)=$' "$work/out")" 4
nobody_is_told() { # nobody_is_told SENTENCE VARIABLE...: the script runs, and for nobody, whatever came in
	local sentence=$1

	shift
	runs "$sentence" "$@" CLAIM_SUB=mallory CLAIM_X=mallory Claim_Evil=mallory REMOTE_USER=mallory AUTH_TYPE=Basic REDIRECT_REMOTE_USER=mallory
	is "and all names are there and empty, whatever came in (SR-84)" \
	    "$(grep -c -E '^(REMOTE_USER|AUTH_TYPE|CLAIM_SUB|CLAIM_ORG_ID)=$' "$work/out") $(grep -c mallory "$work/out" || :)" "4 0"
}
nobody_is_told "a public place may have been sent anything" BEARERGATE_AUTH=none
nobody_is_told "where a token is optional none is needed" BEARERGATE_AUTH=optional
answers "but a bad one is refused" 401 bad_token BEARERGATE_AUTH=optional HTTP_AUTHORIZATION='Bearer x'
preflight=(REQUEST_METHOD=OPTIONS HTTP_ORIGIN=https://app.example HTTP_ACCESS_CONTROL_REQUEST_METHOD=GET)
answers "a preflight is refused like any other request" 401 no_token "${preflight[@]}"
printf 'preflight = true\n' >>"$work/bin/bearergate.conf"
nobody_is_told "unless the configuration lets it in" "${preflight[@]}"
answers "and no other OPTIONS" 401 no_token "${preflight[@]:0:2}"
sed -i '$d' "$work/bin/bearergate.conf"
run REQUEST_METHOD=HEAD
is "HEAD is answered without a body" "$(tail -n 1 "$work/out" | tr -d '\r')" ""
run SCRIPT_FILENAME=/cgi/nph-app
is "nph- is answered with a status line" "$(head -n 1 "$work/out" | tr -d '\r')" "HTTP/1.1 401 Unauthorized"
body=$(head -c 30000 /dev/zero | tr '\0' a)
answers "a body is read before a refusal" 401 no_token CONTENT_LENGTH=30000
body=

# DPoP: each proof once, for all processes together (SR-63), or not at all where nobody would remember it (SR-64).
"$BG_TOOL" mint key -a ES256 -o "$work/client.pem"
bound=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --dpop-key "$work/client.pem")
printf %s "$bound" >"$work/bound"
proof() {
	"$BG_TOOL" mint --dpop -k "$work/client.pem" --method GET --url http://api.example/x --token-file "$work/bound"
}
by_dpop=(HTTP_AUTHORIZATION="DPoP $bound" REQUEST_SCHEME=http SERVER_PORT=80)
answers "a proof is no good where nobody remembers it" 500 internal "${by_dpop[@]}" HTTP_DPOP="$(proof)"
check "and the log says what is missing" grep -q 'replay = .*lmdb:/PATH' "$work/cgi.log"
cp "$work/bin/bearergate.conf" "$work/before.conf"
printf 'replay = "lmdb:%s"\n' "$work/tmp/replay" >>"$work/bin/bearergate.conf"
proof=$(proof)
runs "with a store it is good once" "${by_dpop[@]}" HTTP_DPOP="$proof"
answers "and not in the next process" 400 proof_spent "${by_dpop[@]}" HTTP_DPOP="$proof"
runs "another one is" "${by_dpop[@]}" HTTP_DPOP="$(proof)"
(cd "$work/bin" && "${unprivileged[@]}" env -i "${vars[@]}" ./probe) <"$work/in" >"$work/bare"
is "the store is not open in the script" "$(grep '^fd ' "$work/out")" "$(grep '^fd ' "$work/bare")"
# Beside a daemon that remembers in the same place.
grep -v '^script' "$work/bin/bearergate.conf" >"$work/beside.conf"
start_daemon "$work/beside.log" -c "$work/beside.conf" -l "unix:$work/tmp/beside.sock"
daemon_says() { # daemon_says PROOF: to another client than the wrapper's
	perl "$e2e/fcgi.pl" "unix:$work/tmp/beside.sock" "${vars[@]}" "${by_dpop[@]}" HTTP_DPOP="$1" REMOTE_ADDR=::1 REMOTE_PORT=1 |
	    sed -n 's/^Status: \([0-9]*\).*/\1/p'
}
is "what the wrapper let in is spent at a daemon with the same store (SR-64)" "$(daemon_says "$proof")" 400
proof=$(proof)
is "which lets in the next one" "$(daemon_says "$proof")" 200
answers "and that is spent at the wrapper" 400 proof_spent "${by_dpop[@]}" HTTP_DPOP="$proof"
stop "$daemon" || :
mv "$work/before.conf" "$work/bin/bearergate.conf"

# Configuration.
mv "$work/bin/bearergate.conf" "$work/named.conf"
answers "without a configuration nobody is let in" 500 internal "$good"
runs "BEARERGATE_CONFIG names one" "$good" BEARERGATE_CONFIG="$work/named.conf"
runs "also for a place behind Action" "$good" "${action[@]}" REDIRECT_BEARERGATE_CONFIG="$work/named.conf"
answers "one that is not there is no reason to take another" 500 internal "$good" BEARERGATE_CONFIG="$work/none.conf"
answers "two are a riddle" 500 bad_variable "$good" "${action[@]}" BEARERGATE_CONFIG="$work/named.conf" REDIRECT_BEARERGATE_CONFIG=/x
ln -s "$work/nowhere" "$work/bin/bearergate.conf"
answers "a broken link beside the wrapper is not passed over" 500 internal "$good"
rm "$work/bin/bearergate.conf"
answers "the environment alone names an issuer, and no script" 500 internal AUTH0_DOMAIN=issuer.example \
    AUTH0_AUDIENCE="$audience" "$good" BEARERGATE_CA_FILE=/none
mv "$work/named.conf" "$work/bin/bearergate.conf"
runs "the one beside the wrapper is found" "$good"
chmod 666 "$work/bin/bearergate.conf"
answers "but not when others can write to it" 500 internal "$good"
check "and the log says so" grep -q 'may be written to by its group or by others' "$work/cgi.log"
chmod 644 "$work/bin/bearergate.conf"
if [ "$(id -u)" -eq 0 ]; then
	chown 12345 "$work/bin/bearergate.conf"
	answers "nor when it is somebody else's" 500 internal "$good"
	chown 0 "$work/bin/bearergate.conf"
fi
printf 'nonsense = 1\n' >>"$work/bin/bearergate.conf"
answers "a mistake in it lets nobody in" 500 internal "$good"
check "and the log has file and line" grep -q 'bearergate.conf:[0-9]*: unknown option \\*"nonsense' "$work/cgi.log"
sed -i '$d' "$work/bin/bearergate.conf"
printf 'realm = "${HTTP_X_REALM}"\n' >>"$work/bin/bearergate.conf"
answers "nor may it take anything from the client's headers" 500 internal "$good" HTTP_X_REALM=mine
check "and the log says so" grep -q '[$]{HTTP_X_REALM} is the request.s, and so the client.s to choose' "$work/cgi.log"
sed -i '$d' "$work/bin/bearergate.conf"
printf 'export "sub" { as = "HTTP_X_USER" }\n' >>"$work/bin/bearergate.conf"
answers "no claim takes the name of a client's header (SR-80, SR-81)" 500 internal "$good"
check "and the log says so" grep -q 'bearergate.conf:[0-9]*: .*HTTP_' "$work/cgi.log"
sed -i '$d' "$work/bin/bearergate.conf"
printf 'export "org_id" { as = "ORG" encoding = "base64url" }\n' >>"$work/bin/bearergate.conf"
run HTTP_AUTHORIZATION="Bearer $(token '.org_id = "Cem Özdemir\nORG=x"')"
is "a claim arrives in base64url where the configuration says so (SR-82)" "$(grep '^ORG=' "$work/out")" \
    "ORG=$(printf 'Cem Özdemir\nORG=x' | b64url)"
sed -i '$d' "$work/bin/bearergate.conf"
printf '%s\n' 'realm = "a\"b\\c"' >>"$work/bin/bearergate.conf"
answers "a realm may have quotes in it" 401 no_token
is "which do not end it (SR-86)" "$(tr -d '\r' <"$work/out" | grep ^WWW-)" 'WWW-Authenticate: Bearer realm="a\"b\\c", DPoP algs="ES256"'
sed -i '$d' "$work/bin/bearergate.conf"

# Scripts.
mv "$work/bin/probe" "$work/probe"
run "$good"
is "a script that is missing is 404" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 404 Not Found"
check "with one line in the log" grep -q 'script=missing status=404' "$work/cgi.log"
answers "which nobody learns without a token" 401 no_token
ln -s ../probe "$work/bin/probe"
run "$good"
is "a link is 500" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
rm "$work/bin/probe"
printf '#!/no/such/interpreter\n' >"$work/bin/probe"
chmod 755 "$work/bin/probe"
run "$good"
is "so is one whose interpreter is not there" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
check "and the log says what failed" grep -q 'script=refused status=500 detail=.*cannot be executed: No such file' "$work/cgi.log"
# shellcheck disable=SC2016 # for the script to expand
printf '#!%s /bin/sh\nprintf "Content-Type: text/plain\\n\\n%%s" "$0"' "$bg_cgi" >"$work/bin/probe"
chmod g+w "$work"	# with what is above writable for others it has no name: cgi-name.sh
runs "a line that names the wrapper names the interpreter" "$good"
chmod g-w "$work"
check "and the script is opened by it once and for all" grep -q '^/dev/fd/[0-9]*$' <(tail -n 1 "$work/out")
# Executable to somebody, but not to who runs the wrapper.
if [ "$(id -u)" -eq 0 ]; then chmod 744 "$work/bin/probe"; else chmod 645 "$work/bin/probe"; fi
run "$good"
is "what this user may not execute no interpreter runs" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
check "and the log says so" grep -q 'script=refused status=500 detail=.*may not be executed by this user' "$work/cgi.log"
# Nobody can see that its line names the wrapper, which would have it start itself again and again, with the same token.
chmod 311 "$work/bin/probe"
printf 'pass_credentials = true\n' >>"$work/bin/bearergate.conf"
run "$good"
is "a script that cannot be read is 500" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
check "and the log says why, once" grep -q 'script=refused status=500 detail=.*cannot be read' "$work/cgi.log"
is "after one decision" "$(grep -c decision= "$work/cgi.log")" 1
sed -i '$d' "$work/bin/bearergate.conf"
mv "$work/probe" "$work/bin/probe"

# Where one server runs the programs of several users, the configuration says whose these are.
if [ "$(id -u)" -eq 0 ]; then
	chown 12345 "$work/bin/probe" "$work/bin"
	run "$good"
	is "somebody else's script is 500" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
	printf 'script_owner = 12345\n' >>"$work/bin/bearergate.conf"
	runs "unless the configuration names its owner" "$good"
	chown 12346 "$work/bin/probe"
	run "$good"
	is "and nobody but that one" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
	chown root "$work/bin/probe"
	chown www-data "$work/bin"
	sed -i '$d' "$work/bin/bearergate.conf"
fi

# A file beside the script adds demands, and takes none away.
narrow=$work/bin/probe.bearergate
narrowed() { printf '%s\n' "$@" >"$narrow"; }
refused() { # refused SENTENCE WORDS [VARIABLE...]: an allowed request is answered with 500, and the log says why
	local sentence=$1 words=$2

	shift 2
	run "$@"
	verdict "$sentence" "$(
		wrong answer "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 500 Internal Server Error"
		grep -q -F -e "script=refused status=500" "$work/cgi.log" || cat "$work/cgi.log"
		grep -q -F -e "$words" "$work/cgi.log" || cat "$work/cgi.log"
	)"
}
reader=HTTP_AUTHORIZATION="Bearer $(token '.scope = "read:messages" | .role = "admin"')"
narrowed 'scope = { "read:messages" }'
answers "a file beside the script wants a scope" 403 no_scope "$good"
check "which the challenge names" grep -q 'error="insufficient_scope".*scope="read:messages"' "$work/out"
runs "with that it runs" "$reader"
answers "what the server wants is wanted as well" 403 no_scope "$reader" BEARERGATE_SCOPE=write:messages
check "and the challenge names both" grep -q 'scope="write:messages read:messages"' "$work/out"
answers "a place where the server wants nothing wants a token now" 401 no_token BEARERGATE_AUTH=none
answers "or may want one" 401 no_token BEARERGATE_AUTH=optional
narrowed 'claim "role" { equals = { "admin" } }'
runs "it may want a claim" "$reader"
answers "which another token has not" 403 claim_rule "$good"
narrowed 'auth = "none"'
refused "it cannot say that no token is wanted" 'probe.bearergate:1: unknown option \"auth\"' "$good"
answers "and that it is wrong is told to nobody without a token" 401 no_token
refused "not even where none is wanted" 'probe.bearergate:1: unknown option' BEARERGATE_AUTH=none
narrowed 'scope = { "read:messages" }' 'nonsense'
refused "a mistake in it keeps the script from running, with file and line in the log" 'probe.bearergate:2: ' "$reader"
: >"$narrow"
refused "so does one that was cut off" 'has no condition' "$reader"
# shellcheck disable=SC2016
narrowed 'scope = { "${HTTP_X_SCOPE:-read:messages}" }'
refused "nothing in it comes from the client" 'probe.bearergate:1: ' "$reader" HTTP_X_SCOPE=openid
narrowed 'scope = { "read:messages" }'
chmod 666 "$narrow"
refused "nor from who else may write to it" 'may be written to by its group or by others' "$reader"
chmod 600 "$narrow"
if [ "$(id -u)" -eq 0 ]; then
	refused "one that cannot be read is not passed over" 'Permission denied' "$reader"
	chown 12345 "$narrow"
	chmod 644 "$narrow"
	refused "nor is one of somebody else" "belongs to another user" "$reader"
fi
rm "$narrow"
ln -s nowhere "$narrow"
refused "nor is a broken link" 'is a symbolic link' "$reader"
rm "$narrow"
mv "$work/bin/probe" "$work/probe"
narrowed 'scope = { "read:messages" }'
run "$good"
is "without the script, it says nothing" "$(head -n 1 "$work/out" | tr -d '\r')" "Status: 404 Not Found"
rm "$narrow"
mv "$work/probe" "$work/bin/probe"

# Handing over.  The script by itself, as a server would start it, beside the script under the wrapper.
bare() { # bare VARIABLE...
	printf %s "$body" >"$work/in"
	(cd "$work/bin" && exec "${unprivileged[@]}" env -i "${vars[@]}" "$@" ./probe "${arguments[@]}") <"$work/in" >"$work/bare"
}
same() { # same SENTENCE VARIABLE...: both see the same, but for what we set, and credentials
	local sentence=$1

	shift
	bare "$@"
	run "$good" "$@"
	verdict "$sentence" "$(diff "$work/bare" <(grep -v -E '^(CLAIM_[A-Z]+|REMOTE_USER|AUTH_TYPE)=' "$work/out") | head -n 20)"
}
same "variables, descriptors, directory, signals, limits are as without the wrapper" LANG=C REMOTE_ADDR=::1
body='some body'
same "so is the body" CONTENT_LENGTH=9
arguments=(a -b 'c d' --help -V)
same "so are words of the query"
arguments=()
(
	trap '' PIPE HUP TERM CHLD
	ulimit -n 77
	ulimit -S -s 4096
	umask 027
	exec 9</dev/null
	same "ignored signals, lowered limits, a mask and one more descriptor are, too"
	exit "$failed"
) || failed=$((failed + 1))
many=()
for ((i = 0; i < 10000; i++)); do many+=("V$i=$i"); done
same "10,000 variables arrive" "${many[@]}"
large=$(head -c 100000 /dev/zero | tr '\0' v)
same "and large ones" LARGE1="$large" LARGE2="$large" LARGE3="$large"
run "$good" CLAIM_SUB=mallory CLAIM_EVIL=1 claim_evil=1 REDIRECT_CLAIM_EVIL=1 CLAIMS_JSON={} REMOTE_USER=mallory AUTH_TYPE=Basic \
    HTTP_PROXY=http://evil.example BEARERGATE_AUTH=required HTTP_DPOP= REDIRECT_REMOTE_USER=mallory
is "nothing of ours comes from outside (SR-80, SR-87)" \
    "$(grep -c -i -E 'evil|mallory|CLAIMS_JSON|HTTP_PROXY|Basic|BEARERGATE|HTTP_AUTHORIZATION|HTTP_DPOP' "$work/out")" 0
is "and ours are there" "$(grep -c -x -e 'CLAIM_SUB=alice' -e 'REMOTE_USER=alice' -e 'AUTH_TYPE=Bearer' "$work/out")" 3
printf 'pass_credentials = true\n' >>"$work/bin/bearergate.conf"
run "$good"
is "pass_credentials leaves the token" "$(grep -c -x -F -e "$good" "$work/out")" 1
sed -i '$d' "$work/bin/bearergate.conf"

# Secrets, at the highest level: in no log, no answer, no environment and on no command line (SR-85).
canary=c$((SRANDOM % 900000000 + 100000000))	# short, or a part of it might be shown and nobody see it
printf '%s' "key-$canary-0123456789-0123456789-0123456789" >"$work/nonce.key"
chmod 640 "$work/nonce.key"
[ "$(id -u)" -ne 0 ] || chown root:www-data "$work/nonce.key"
cp "$work/bin/bearergate.conf" "$work/before.conf"
{
	printf 'log_level = "debug"\ndpop_nonce = "required"\ndpop_nonce_key_file = "%s"\n' "$work/nonce.key"
	# a store that nobody answers for, where this build has one with a password
	"$BG_TOOL" check -c <(printf 'domain = a.example audience = b replay = "redis://h/"\n') >/dev/null 2>&1 &&
	    printf 'replay = "redis://127.0.0.1:1"\nreplay_password = "%s"\n' "password-$canary"
} >>"$work/bin/bearergate.conf" || :
: >"$work/said"
while IFS='|' read -r -a more; do
	run "${more[@]}"
	cat "$work/out" "$work/cgi.log" >>"$work/said"
done <<END
$good
$good$canary
HTTP_AUTHORIZATION=$canary
HTTP_AUTHORIZATION=Bearer $canary
HTTP_AUTHORIZATION=Bearer $canary.$canary.$canary
HTTP_AUTHORIZATION=Basic $canary
HTTP_AUTHORIZATION=Bearer $bound
HTTP_AUTHORIZATION=DPoP $bound|HTTP_DPOP=$proof|REQUEST_SCHEME=http|SERVER_PORT=80
HTTP_AUTHORIZATION=DPoP $bound|HTTP_DPOP=$canary
HTTP_AUTHORIZATION=Bearer $(token '.exp = 1')
$good|BEARERGATE_SCOPE=read:messages
$good|HTTP_AUTHORIZATION=Bearer $canary
REDIRECT_$good|REDIRECT_HTTP_DPOP=$canary
HTTP_PROXY_AUTHORIZATION=Bearer x|BEARERGATE_SCOPES=x
END
check "requests of all kinds have left something in the log" grep -q 'decision=allow' "$work/said"
verdict "no secret is among it (SR-85)" "$(grep -o -F -e "$canary" -e "${good##*.}" -e "${bound##*.}" -e "${proof##*.}" "$work/said" |
    sort | uniq -c)"
mv "$work/before.conf" "$work/bin/bearergate.conf"

# Standard descriptors that a server left closed do not become anything else.
code=0
(cd / && exec "${unprivileged[@]}" env -i "${vars[@]}" "$good" "$bg_cgi" 2>&- <&-) >"$work/out" || code=$?
is "closed descriptors do no harm" "$code $(head -n 1 "$work/out")" "0 Content-Type: text/plain"

# Nor does a log that takes no line keep anybody from the script: one whose reader has gone away, and one that is as large as a
# file of this process may be.
printed=$(cd / && exec perl -e 'pipe(R, W) && close(R) && open(STDERR, ">&", \*W) && exec @ARGV' \
    "${unprivileged[@]}" env -i "${vars[@]}" "$good" "$bg_cgi" </dev/null) || :
is "a log that nobody reads ends nothing" "$(head -n 1 <<<"$printed")" "Content-Type: text/plain"
is "and a script that writes where nobody reads is ended as ever" "$(awk '$1 == "SigIgn:" { print $2 }' <<<"$printed")" \
    "$(awk '$1 == "SigIgn:" { print $2 }' "$work/bare")"
: >"$work/tmp/full.log"
chmod 666 "$work/tmp/full.log"
# a pipe for its output, which has no limit
printed=$(cd / && ulimit -f 0 && exec "${unprivileged[@]}" env -i "${vars[@]}" "$good" "$bg_cgi" </dev/null 2>>"$work/tmp/full.log") || :
is "nor does one that may not grow" "$(head -n 1 <<<"$printed")" "Content-Type: text/plain"

# mini-httpd makes one stream of both: what is meant for the log is not for the client (SR-85).
code=0
(cd / && exec "${unprivileged[@]}" env -i "${vars[@]}" HTTP_AUTHORIZATION='Bearer x' "$bg_cgi" </dev/null 2>&1) | cat >"$work/out" || code=$?
is "what goes to the client is no log" "$code $(head -n 1 "$work/out" | tr -d '\r') $(grep -c 'decision=' "$work/out")" \
    "0 Status: 401 Unauthorized 0"

# Keys by https: the first request that needs them fetches, the next ones find them on disk.
issuer_begin
make_cache
start_issuer --max-age 3600
discovery | put .well-known/openid-configuration
put jwks.json <"$work/jwks.json"
cat >"$work/bin/bearergate.conf" <<END
ca_file   = "$work/ca/ca.pem"
cache_dir = "$work/cache"
audience  = { "$audience" }
issuer "$issuer" { }
script    = "$work/bin/probe"
END
good=HTTP_AUTHORIZATION="Bearer $(token)"
answers "without a token nobody is asked for keys" 401 no_token
is "and nothing is written" "$(ls "$work/cache")" ""
proxies=()
for name in http_proxy https_proxy all_proxy; do proxies+=("$name=http://127.0.0.1:1" "${name^^}=http://127.0.0.1:1"); done
runs "the first request with a token fetches keys, through no proxy of the environment (SR-87)" "$good" "${proxies[@]}"
check "and says so" grep -q 'keys=.* fetched=1 ' "$work/cgi.log"
stop "$issuer_pid" || :
runs "the next finds them, with the issuer down" "$good"
is "and has one line in the log" "$(wc -l <"$work/cgi.log")" 1
answers "a kid that nobody knows is refused" 401 unknown_key \
    HTTP_AUTHORIZATION="Bearer $(rs256 '{"alg":"RS256","kid":"nobody"}' "$(payload)")"

# A client that goes away while keys are fetched has some servers end the wrapper, and needs no good token for that: the next one
# finds keys all the same (SR-51).  What fetches waits until the signal is sent.
rm -f "$work/cache"/*
start_issuer --max-age 3600
mkfifo -m 666 "$work/tmp/go-on"
mv "$work/bin/bearergate-fetch" "$work/bin/fetch"
cat >"$work/bin/bearergate-fetch" <<END
#!/bin/sh
PATH=/usr/bin:/bin
[ -e "$work/tmp/fetching" ] || { { printf '%s\n' "\$@"; env; } >"$work/tmp/fetch.given" && : >"$work/tmp/fetching" && read -r _ <"$work/tmp/go-on"; }
exec "$work/bin/fetch" "\$@"
END
chmod 755 "$work/bin/bearergate-fetch"
forged=$(token)
(cd / && exec "${unprivileged[@]}" env -i "${vars[@]}" HTTP_AUTHORIZATION="Bearer ${forged%.*}.AAAA" "$bg_cgi" </dev/null) \
    >"$work/out" 2>"$work/cgi.log" &
stranger=$!
bg_pids+=("$stranger")
check "a stranger has keys fetched" wait_for 20 test -e "$work/tmp/fetching"
is "who fetches is given nothing of the request (SR-85)" "$(grep -c -F -e "${forged%.*}" -e HTTP_ -e REQUEST_ "$work/tmp/fetch.given" || :)" 0
check "but what to fetch" grep -q -F -e "$issuer" "$work/tmp/fetch.given"
[ "${#unprivileged[@]}" -eq 0 ] ||
    is "the wrapper's memory, with the token, is root's, and makes no core (SR-85)" "$(stat -c %U "/proc/$stranger/mem")" root
kill -TERM "$stranger"
echo >"$work/tmp/go-on"
code=0
wait "$stranger" || code=$?
is "is ended" "$code $(cat "$work/out")" "143 "
mv "$work/bin/fetch" "$work/bin/bearergate-fetch"
stop "$issuer_pid" || :
runs "and leaves the keys to others" "$good"
rm -f "$work/cache"/*
answers "without keys, and with the issuer down, nobody is let in" 503 no_keys "$good"
check "with Retry-After" grep -q '^Retry-After: [1-9]' "$work/out"
sed -i '/^cache_dir/s/=.*/= "none"/' "$work/bin/bearergate.conf"
answers "without a place to keep keys none are fetched (SR-50)" 503 no_keys "$good"
finish
