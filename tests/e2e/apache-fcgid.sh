#!/bin/bash
# Apache httpd with mod_fcgid, which starts the daemon itself, with the example configuration; and those scenarios of
# scenarios.inc that are about a daemon in trouble, as far as they make sense where Apache starts the next one.
# shellcheck disable=SC2016,SC2034,SC2317,SC2119,SC2154 # functions that wait_for and check call; what is set and used elsewhere
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/scenarios.inc
. "$(dirname "$0")/scenarios.inc"

server_kind=fcgid
files=/api/files
programs='
CGI /api/who
FastCGI /api/fastcgi
'

begin apache2 prlimit fcgiwrap
modules=${APACHE_MODULES:-/usr/lib/apache2/modules}
for module in fcgid lua asis; do
	[ -e "$modules/mod_$module.so" ] || skip "Apache has no mod_$module"
done
bg_template=$bg_source/conf/examples/apache-fcgid/httpd.conf

serve() { # serve: Apache, with bearergate.conf as it is now; the daemon's log is Apache's
	start_server apache "" "$work/more.conf"
	ln -sf "$server_log" "$work/daemon.log"
}

# As in lib.sh, but for the body: mod_fcgid drops it, and the example has one for each status.
denied() {
	local sentence=$1 code=$2 error=$3 reason=$4 path=$5 text said

	shift 5
	text=$(sed -n "s/^BG_REASON([A-Z_]*, *$reason,.* \"\(.*\)\").*/\1/p" "$bg_source/core/reasons.def")
	log_mark
	request "$path" "$@"
	said=$(
		wrong status "$status" "$code"
		wrong X-Bearergate-Status "$(header X-Bearergate-Status)" "$code"
		wrong Content-Type "$(header Content-Type)" application/json
		wrong Cache-Control "$(header Cache-Control)" no-store
		wrong WWW-Authenticate "$(header WWW-Authenticate | sed 's/realm="[^"]*"/realm/')" \
		    "$(challenge "$code" "$error" "$text" "$@")"
		[[ " $* " = *' --head '* ]] || wrong body "$(cat "$work/body")" \
		    "$(sed '1,/^$/d' "$bg_source/conf/examples/apache-fcgid/$code.asis")"
		wait_for 30 reason_logged "$reason" ||
		    printf 'the log has no reason=%s, but %s\n' "$reason" "$(tail -n 1 "$work/daemon.log")"
	)
	verdict "$sentence" "$said"
}

descendants() { # descendants PID: of it, whoever they are; it is not among them
	local child

	for child in $(cat "/proc/$1"/task/*/children 2>/dev/null); do
		printf '%s\n' "$child"
		descendants "$child"
	done
}

# shellcheck disable=SC2013 # words are what is wanted
daemons() { # those of them that are bearergate-fcgi
	local pid

	for pid in $(descendants "$server"); do
		if [ "$(readlink "/proc/$pid/exe" 2>/dev/null || tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | head -n 1)" = "$bg_fcgi" ]; then
			printf '%s\n' "$pid"
		fi
	done
}

# A number may belong to another process soon, when many are started; the two together do not.
born() { # born PID: when it began, in ticks since the boot
	sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

all_gone() { # all_gone PID:BORN...: or dead, and waiting for somebody to ask how they died
	local one pid

	for one; do
		pid=${one%:*}
		[ "$(born "$pid")" != "${one#*:}" ] || grep -q -s -E '^State:[[:space:]]*Z' "/proc/$pid/status" || return 1
	done
}

known() { # known PID...: as all_gone wants them; without those that have ended meanwhile
	local pid begin

	for pid; do
		begin=$(born "$pid")
		[ -z "$begin" ] || printf '%s:%s\n' "$pid" "$begin"
	done
}

claims_stay_with_the_program() {
	bearer "$(token)"
	for path in /api/private /api/file.txt /api/nothing /api/dir/ /api/broken; do
		request "$path" "${auth[@]}"
		verdict "$path: no claim is among the headers for the client" "$(grep -i '^variable-\|alice' "$work/head" || :)"
	done
	request /api/file.txt "${auth[@]}"
	is "a file is served" "$status $(cat "$work/body")" "200 secret"
	request /api/nothing "${auth[@]}"
	is "what is not there is not found" "$status" 404
	request /api/broken "${auth[@]}"
	is "a broken program is Apache's fault, not ours" "$status $(header X-Bearergate-Status)" "500 "
	denied "and a file is not served without a token" 401 - no_token /api/file.txt
	denied "nor is it told that there is none" 401 - no_token /api/nothing
}

# The example for a proxied program, which mod_authnz_fcgi has as well; what a client may send is tried in scenarios-apache.sh.
a_proxied_program_gets_the_claims() {
	bearer "$(token)"
	denied "a proxied program wants a token" 401 - no_token /api/proxied
	allowed "and has the claims" /api/proxied /api/proxied '.CLAIM_SUB == "alice" and .REMOTE_USER == "alice" and
	    .AUTH_TYPE == "Bearer" and .CLAIM_ORG_ID == ""' "${auth[@]}" -H 'X-Auth-Claim-Sub: mallory' -H 'X_Auth_Claim_Sub: mallory' \
	    -H 'X-Auth-Claim-Org-Id: mallory'
	verdict "which are not among the headers for the client" "$(grep -i '^variable-\|^x-auth\|alice' "$work/head" || :)"
}

a_fastcgi_program_gets_the_claims() {
	bearer "$(token)"
	denied "a FastCGI program wants a token" 401 - no_token /api/fastcgi
	allowed "and has the claims (SR-80)" /api/fastcgi /api/fastcgi '.CLAIM_SUB == "alice"' "${auth[@]}" -H 'CLAIM_SUB: mallory' \
	    -H 'Claim-Sub: mallory'
}

# By nothing else does a client get such a status.
denials_are_apaches_alone() {
	local path

	for path in 401.asis 403.asis; do
		request "/bearergate-denied/$path"
		is "who asks for $path gets it" "$status $(header WWW-Authenticate)" "${path%.asis} "
	done
	request /bearergate-denied/../../bearergate.conf
	is "and nothing from elsewhere" "$status" 400
	denied "a client cannot choose the status" 401 - no_token /api/private -H 'X-Bearergate-Status: 200' -H 'Status: 200'
}

several_daemons() { # which clients are served by; mod_fcgid starts one in a second at most
	seq 40 | xargs -P 20 -I{} curl -s -o /dev/null --max-time 30 "${auth[@]}" "http://127.0.0.1:$port/api/private" || :
	[ "$(daemons | wc -l)" -ge 2 ]
}

# Many processes, and a proof passes once in all of them (SR-63).
proofs_pass_once_in_all_processes() {
	local i proofs=() answers

	bound_tokens
	bearer "$good"
	check "Apache starts several daemons for many clients" wait_for 30 several_daemons
	for ((i = 0; i < 8; i++)); do
		proofs+=("$(proof GET "http://127.0.0.1:$port/api/private")")
	done
	for ((i = 0; i < 8; i++)); do
		dpop "${proofs[i]}"
		answers=$(seq 12 | xargs -P 12 -I{} curl -s -o /dev/null --max-time 30 -w '%{http_code}\n' "${auth[@]}" \
		    "http://127.0.0.1:$port/api/private" | sort | uniq -c | tr -s ' \n' ' ')
		is "twelve clients at once use proof $i once (SR-63)" "$answers" " 1 200 11 400 "
	done
}

# nobody_bad_gets_in SENTENCE [COMMAND...]: everybody asks at once, and the command is run meanwhile: who has no good token gets
# no file, and nothing runs but for those who have one
nobody_bad_gets_in() {
	local sentence=$1 before i=0 line asking=() wrong=''

	shift
	before=$(ran)
	while IFS= read -r line; do
		perl "$e2e/http.pl" "$port" <<<"$line" >"$work/answer.$i" &
		asking+=("$!")
		i=$((i + 1))
	done < <(everybody)
	"$@"
	wait "${asking[@]}" || :
	for i in "${!asking[@]}"; do	# of four the last two have no good token
		grep -q -E "^(${want_of[i % 4]}|500|503)( |\$)" "$work/answer.$i" || wrong+="$i: $(cat "$work/answer.$i")"$'\n'
	done
	verdict "$sentence, nobody gets in without a good token" "$wrong"
	is "and nothing runs but for those who have one" "$(($(ran) - before))" "$(cat "$work"/answer.* | grep -c '^200 /api/\(who\|fastcgi\) bob$' || :)"
	rm -f "$work"/answer.*
}
want_of=(200 200 401 401)

signal_daemons() { # signal_daemons SIGNAL
	local pid

	for pid in $(daemons); do
		kill "-$1" "$pid" 2>/dev/null || :
	done
}

asked_and_killed() { # once they all have had time to ask; those that have not are asking the next
	wait_for 10 daemons_are_asked || :
	signal_daemons KILL
}

daemons_are_asked() { # connected sockets beside the listening ones
	[ "$(grep -c -F -e " $work/tmp/fcgid/" /proc/net/unix)" -gt "$(daemons | wc -l)" ]
}

trouble_lets_nobody_in() {
	local pid all
	local -A tokens=([expired]=$(token '.exp = $now - 3600'))
	local auth_good="Authorization: Bearer $good"

	bearer "$good"
	request /api/private "${auth[@]}"
	signal_daemons STOP
	nobody_bad_gets_in "with daemons that are killed under their requests" asked_and_killed
	check "with a good token one is let in by the next" wait_for 60 lets_in
	all=$(daemons)
	signal_daemons STOP
	nobody_bad_gets_in "with daemons that hang" true
	# shellcheck disable=SC2086 # mod_fcgid may have given one of them up
	kill -CONT $all 2>/dev/null || :
	check "with a good token one is let in after that" wait_for 60 lets_in
	for pid in $(daemons); do
		"${bg_unprivileged[@]}" prlimit --pid "$pid" --nofile=3: 2>/dev/null || :
	done
	nobody_bad_gets_in "with daemons that have no descriptors" true
	# shellcheck disable=SC2046 # several
	kill -KILL $(daemons) 2>/dev/null || :
	check "and again with a good token" wait_for 60 lets_in
}

# What mod_fcgid makes of answers that are none; a daemon that gives one is started anew.
unclear_answers_let_nobody_in() {
	local sentence code expected got before

	cp "$e2e/peer.pl" "$work/bin/peer.pl"
	: >"$work/answer"
	bg_edit=(-e "s|FcgidAccessChecker .*|FcgidAccessChecker \"$(command -v perl) $work/bin/peer.pl - $work/answer\"|")
	start_server apache "" "$work/more.conf"
	bg_edit=()
	raw GET "$files/secret.txt" 'Connection: close' >"$work/talk"
	printf '\n%s\n' "$(raw GET /api/who 'Connection: close')" >>"$work/talk"
	while IFS='|' read -r sentence code expected; do
		[ -n "$sentence" ] || continue
		printf '%s' "$code" >"$work/answer"
		before=$(ran)
		perl "$e2e/http.pl" "$port" <"$work/talk" >"$work/answers"
		got=$(cut -d ' ' -f 1 "$work/answers" | sort -u | tr '\n' ' ')
		got=${got% }
		if [ "$(($(ran) - before)) $(sed 's/ bob$//' "$work/answers")" = $'1 200 secret\n200 /api/who' ]; then
			got=through
		elif [ $(($(ran) - before)) -gt 0 ] || grep -q 'secret\|/api' "$work/answers"; then
			got="some through: $got"
		fi
		here "$expected"
		is "$sentence: nobody gets in by it${want/#through/, but here they do}" "$got" "$want"
	done <<<"$unclear"
	stop "$server" || :
}

private_stores_take_no_proofs() {
	claims_config "$work/bearergate.conf"
	serve
	log_mark
	dpop "$(proof GET "http://127.0.0.1:$port/api/private")"
	request /api/private "${auth[@]}"
	if grep -q 'remembered by this process alone' "$server_log"; then
		is "where each process would remember proofs by itself none passes (SR-63)" "$status $(header X-Bearergate-Status)" "500 500"
		check "and the log says what to do" grep -q 'DPoP proofs are refused: .*replay = "lmdb:/PATH"' "$server_log"
		check "for each request as well" reason_logged internal
	else
		is "the installation's own store is shared" "$status" 200
	fi
	bearer "$good"
	allowed "tokens that are not bound pass" /api/private /api/private '.CLAIM_SUB == "bob"' "${auth[@]}"
	stop "$server" || :
}

missing_keys_are_503() {
	cat >"$work/bearergate.conf" <<-END
		dpop = "disabled"
		issuer "$issuer" {
		  audience = { "$audience" }
		  jwks_uri = "https://127.0.0.1:1/keys"
		}
	END
	dpop_mode=disabled
	serve
	bearer "$good"
	denied "without keys a token cannot be judged" 503 temporarily_unavailable no_keys /api/private "${auth[@]}"
	check "and the client hears when to come again" [ "$(header Retry-After)" -gt 0 ]
	denied "a request without a token is 401 still" 401 - no_token /api/private
	stop "$server" || :
	dpop_mode=allowed
}

mkdir -p "$work/www/api/dir" "$work/stores"
[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/stores"
mkdir "$work/www$files"
printf secret >"$work/www/api/file.txt"
printf secret >"$work/www$files/secret.txt"
: >"$work/tmp/ran"
chmod 666 "$work/tmp/ran"
cat >"$work/bin/who" <<END
#!/bin/sh
cat >/dev/null
echo ran >>"$work/tmp/ran"
printf 'Content-Type: application/json\n\n{"route": "%s", "claims": {"CLAIM_SUB": "%s"}}\n' "\$SCRIPT_NAME" "\$CLAIM_SUB"
END
printf '#!/bin/sh\nexit 1\n' >"$work/bin/broken"
chmod 755 "$work/bin/broken" "$work/bin/who"
claims_config "$work/bearergate.conf"
printf 'replay = "lmdb:%s/stores/replay"\n' "$work" >>"$work/bearergate.conf"
start "$work/fcgiwrap.log" fcgiwrap -f -s "unix:$work/tmp/fcgiwrap.sock"
wait_for 20 test -S "$work/tmp/fcgiwrap.sock" || die "fcgiwrap does not start"
names_are_loose
start_backend
cp "$bg_source/conf/examples/apache/proxy.conf" "$work/more.conf"
# Daemons that die are started anew without delay.
cat >>"$work/more.conf" <<END
ScriptAlias "/api/broken" "$work/bin/broken"
ScriptAlias "/api/who"    "$work/bin/who"
LoadModule proxy_fcgi_module @MODULES@/mod_proxy_fcgi.so
ProxyPass   "/api/fastcgi" "unix:$work/tmp/fcgiwrap.sock|fcgi://localhost$work/bin/who"
<Location "/api/fastcgi">
  ProxyFCGISetEnvIf "true" SCRIPT_FILENAME "$work/bin/who"
</Location>
FcgidMaxProcessesPerClass 4
FcgidIOTimeout 60
FcgidSpawnScore 0
FcgidTerminationScore 0
FcgidErrorScanInterval 1
FcgidZombieScanInterval 1
<Location "/api/misspelt">
  SetEnvIf Request_URI ".*" BEARERGATE_SCOPES=read:messages
</Location>
END
serve
all_routes null
claims_stay_with_the_program
a_proxied_program_gets_the_claims
a_fastcgi_program_gets_the_claims
denials_are_apaches_alone
proofs_pass_once_in_all_processes
# shellcheck disable=SC2046 # several
left=$(known $(descendants "$server"))
stop "$server" || :
# shellcheck disable=SC2086 # several
check "Apache leaves no process behind" wait_for 20 all_gone $left
# After this one it may: mod_fcgid 2.3.9 forgets a process now and then that hung, and that goes on then.
sed -i 's/^FcgidIOTimeout .*/FcgidIOTimeout 5/' "$work/more.conf"	# for those that hang
serve
bearer "$good"
check "it is started again" wait_for 60 lets_in
trouble_lets_nobody_in
left=$(daemons)
stop "$server" || :
# shellcheck disable=SC2086 # several
[ -z "$left" ] || kill -KILL $left 2>/dev/null || :
private_stores_take_no_proofs
missing_keys_are_503
unclear_answers_let_nobody_in
finish
