#!/bin/bash
# Supervisor and worker: a worker that dies is replaced, and nobody is let in because of it; nothing outlives the supervisor;
# keys are fetched by neither of them; and whoever starts the daemon can stop it.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

# What crashes here is what we send a signal: no sanitizer has to report it.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:handle_segv=0" TSAN_OPTIONS="${TSAN_OPTIONS:-}:handle_segv=0"

processes() { # every process of the daemon of this test, whose programs stand in $work, whoever its parent is
	local file program

	for file in /proc/[0-9]*/cmdline; do
		program=
		{ IFS= read -r -d '' program <"$file"; } 2>/dev/null || :
		case $program in
		"$bg_fetch" | "$bg_fcgi") printf '%s\n' "$file" | cut -d / -f 3 ;;
		esac
	done
}

nothing_left() {
	[ -z "$(processes)" ]
}

kill_worker() { # kill_worker SIGNAL: and wait for the next one, which serves
	local old before

	old=$(worker_of "$daemon")
	[ -n "$old" ] || die "there is no worker"
	before=$(grep -c 'another worker serves' "$work/daemon.log" || :)
	kill "-$1" "$old"
	wait_for 60 lines_at_least "$((before + 1))" 'another worker serves' "$work/daemon.log" || die "no worker after SIG$1"
	worker=$(worker_of "$daemon")
}

status_page() { # status_page JQ-FILTER
	perl "$e2e/fcgi.pl" "$socket" --responder BEARERGATE_PAGE=status REQUEST_METHOD=GET REQUEST_URI=/s?json SCRIPT_NAME=/s \
	    QUERY_STRING=json | sed '1,/^\r*$/d' | jq -r -c "$1" 2>&1 || :
}

keys_begin
start_issuer
discovery | put .well-known/openid-configuration
good=$(mint old)
mint_to good.token old
printf '%s' "$(other_character "$good" $((${#good} - 20)))" >"$work/bad.token"

# One death, under load.  A request that the worker held is cut off, which every server takes as an error; the others wait.

config
start_gate
check "the issuer's key is known" wait_for 20 answers 200 "$good"
is "there is one worker" "$(worker_of "$daemon" | wc -l)" 1
worker=$(worker_of "$daemon")
start_load good --seconds 600 --rate 1000 --clients 8 --timeout 20000 --token-file "$work/good.token" --expect 200,000
start_load bad --seconds 600 --rate 1000 --clients 8 --timeout 20000 --token-file "$work/bad.token" --expect 401,503,000
wait_for 20 lines_at_least 1000 'decision=allow' "$work/daemon.log" || die "no load"
killed=$worker
before=$(date +%s%3N)
kill -KILL "$killed"
check "a worker that is killed is replaced" wait_for 20 has_worker "$daemon" "$killed"
check "and the next one serves" wait_for 20 lines_at_least 1 'another worker serves' "$work/daemon.log"
echo "it did after $(($(date +%s%3N) - before)) ms at most"
worker=$(worker_of "$daemon")
check "by the same daemon, which says how it died" \
    logged " error the worker, process $killed, was ended by signal 9 (Killed); another one is started at once"
since=$(grep -n 'another worker serves' "$work/daemon.log" | head -n 1 | cut -d : -f 1)
served_since() { [ "$(tail -n "+$since" "$work/daemon.log" | grep -c decision=allow)" -ge 1000 ]; }
check "thousands of requests later" wait_for 60 served_since
end_load good
end_load bad
no_wrong "no good token was refused" good
no_wrong "and no bad one was let in" bad
cut=$(report good '.by_status."000" // 0')
echo "requests cut off: $cut of $(report good .requests) good ones, the longest took $(report good '.sources[0].max_us') us"
check "no more were cut off than were under way" test "$cut" -le 16

# What outlives a worker.

is "the pages tell of it" "$(status_page '[.restarts, .pid, .worker, .restarted >= .started]')" "[1,$daemon,$worker,true]"
allowed=$(status_page .allowed.bearer)
check "what was counted is not forgotten" test "$allowed" -gt 1500

# How things are, by signals, and what other daemons take for a graceful end.

states() { # states N: so many times the supervisor has told
	lines_at_least "$1" "info state: supervisor=$daemon worker=$worker serves=yes restarts=1 " "$work/daemon.log"
}

kill -USR2 "$daemon"
check "SIGUSR2 has the log say how things are" wait_for 20 states 1
check "in the worker's words too" wait_for 20 logged " info state: worker           process $worker"
check "down to the keys" wait_for 20 logged " info state: issuer"
kill -STOP "$worker"
kill -USR2 "$daemon"
check "of a worker that does not answer the supervisor tells what it knows" wait_for 20 states 2
kill -CONT "$worker"
is "nobody has died of it" "$(gone "$daemon" || worker_of "$daemon")" "$worker"
kill -QUIT "$daemon"
check "SIGQUIT ends it" wait_for 20 gone "$daemon"
code=0
stop "$daemon" || code=$?
is "cleanly" "$code" 0
check "as SIGTERM does" logged ' info ending after signal 3'
check "with its socket" test ! -e "${socket#unix:}"

# A loop.

start_gate
for signal in KILL SEGV ABRT KILL; do
	kill_worker "$signal"
done
check "a signal is told by its name" logged 'was ended by signal 6 (Aborted)'
check "workers that die one after the other are replaced more slowly" logged ', 2 in a row; another one is started in 0.500 seconds'
check "and more slowly" logged ', 4 in a row; another one is started in 2.000 seconds'
check "the daemon recovers" wait_for 20 answers 200 "$good"
is "and is counted" "$(status_page .restarts)" 4
check "metrics have it" grep -q '^bearergate_worker_restarts_total 4' <(perl "$e2e/fcgi.pl" "$socket" --responder \
    BEARERGATE_PAGE=metrics REQUEST_METHOD=GET REQUEST_URI=/m SCRIPT_NAME=/m QUERY_STRING= | tr -d '\r')

# While there is no worker.  Requests wait for it; a reload is a reason to try at once; and the end is no matter of its life.

died() { # died N: has the log said so often that one was killed?
	lines_at_least "$1" 'was ended by signal 9 (Killed)' "$work/daemon.log"
}
while :; do
	dead=$(grep -c -F 'was ended by signal 9 (Killed)' "$work/daemon.log" || :)
	served=$(grep -c 'another worker serves' "$work/daemon.log" || :)
	[ "$dead" -lt 20 ] || die "it does not back off"
	kill -KILL "$(worker_of "$daemon")"
	wait_for 20 died "$((dead + 1))" || die "the log does not say that the worker was killed"
	! logged ' in a row; another one is started in 8.000 seconds' || break
	kill -HUP "$daemon"
	wait_for 60 lines_at_least "$((served + 1))" 'another worker serves' "$work/daemon.log" || die "no worker"
done
in_force() { # in_force N: has a configuration come into force so often?
	lines_at_least "$1" 'is in force' "$work/daemon.log"
}
next_in_force() { # which time the next one will be
	printf '%d' $(($(grep -c 'is in force' "$work/daemon.log" || :) + 1))
}
config 'realm = "second"'
next=$(next_in_force)
kill -HUP "$daemon"
is "a request waits for the next worker" "$(ask '' | grep -c -F 'realm="second"')" 1
check "which a reload has brought" wait_for 20 in_force "$next"

# The configuration of the next worker is the last good one, whatever the file says by then.

printf 'leway = "1s"\n' >"$work/bearergate.conf"
kill_worker TERM
is "a broken file is no reason not to serve" "$(status_of "$good")" 200
is "by the last good configuration" "$(ask '' | grep -c -F 'realm="second"')" 1
check "a worker that was told to end by somebody else has drained" logged "the worker, process"
kill -HUP "$daemon"
check "a reload says what is wrong with it" wait_for 20 logged " error $work/bearergate.conf:1: unknown option \"leway\""
check "and changes nothing" wait_for 20 logged 'the configuration was not changed'
config
next=$(next_in_force)
kill -HUP "$daemon"
check "until it is good again" wait_for 20 in_force "$next"
is "then it counts" "$(ask '' | grep -c -F 'realm="api"')" 1

# A file that is changed between the two who read it: what a worker decides by is what the supervisor knows, or the next
# worker would decide by something else, and look for the proofs of this one elsewhere (SR-63).

worker=$(worker_of "$daemon")
kill -STOP "$worker"
config "log = \"$work/tmp/moved\""
kill -HUP "$daemon"
wait_for 20 test -e "$work/tmp/moved" || die "the supervisor does not read the configuration"
config 'realm = "fourth"'
kill -CONT "$worker"
check "a file that was changed meanwhile is not put in force" wait_for 20 logged 'the configuration was changed while it was read'
is "and what was counts" "$(ask '' | grep -c -F 'realm="api"')" 1

# A reload that brings an issuer brings the authorities by which its keys are fetched, from the first fetch on.

openssl req -x509 -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=other -days 1 -out "$work/other.pem" 2>/dev/null
chmod 644 "$work/other.pem"
cat >"$work/bearergate.conf" <<END
ca_file   = "$work/other.pem"
cache_dir = "none"
issuer "https://other.example/" {
  audience  = { "$audience" }
  jwks_file = "$work/jwks.json"
}
END
next=$(next_in_force)
kill -HUP "$daemon"
check "an issuer with a file of keys needs no authorities" wait_for 20 in_force "$next"
log_mark
config
for i in {1..60}; do	# so many that the first one's keys are fetched before all is in force
	printf 'issuer "https://other%s.example/" {\n  audience = { "%s" }\n  jwks_file = "%s"\n}\n' "$i" "$audience" "$work/jwks.json"
done >>"$work/bearergate.conf"
kill -HUP "$daemon"
check "a reload brings another" wait_for 20 answers 200 "$good"
is "whose keys come at the first try" "$(tail -n "+$((marked + 1))" "$work/daemon.log" | grep -c 'no_keys\|failed' || :)" 0

# SIGKILL for the supervisor: its worker dies with it, and the socket is free.

worker=$(worker_of "$daemon")
both_how 'how hang'
kill -HUP "$daemon"
kill -STOP "$worker"	# that it hangs makes no difference
kill -KILL "$daemon"
stop "$daemon" || :
check "a worker does not outlive its supervisor" wait_for 30 ended "$worker"
check "nor does a fetch" wait_for 30 nothing_left
both_how
start_gate
check "the socket is free for the next daemon" wait_for 20 answers 200 "$good"

# Fetches.  Neither of the two runs bearergate-fetch, and none outlives who asked.

parents() { # names of the parents of all fetchers
	local pid

	for pid in $(fetchers); do
		cat "/proc/$(sed 's/.*) [A-Z] \([0-9]*\) .*/\1/' "/proc/$pid/stat")/comm"
	done 2>/dev/null | sort -u | xargs
}

fetcher_runs() {
	[ -n "$(fetchers)" ]
}

these_gone() { # the fetchers that there were, which would have run for a minute
	local pid

	for pid in $running; do
		ended "$pid" || return 1
	done
}

config 'fetch_timeout = "60s"'
next=$(next_in_force)
kill -HUP "$daemon"
check "fetches may take a minute" wait_for 20 in_force "$next"
both_how 'how hang'
mint_to new.token new
start_load parked --requests 1 --clients 1 --timeout 20000 --token-file "$work/new.token" --expect 401,503,000
check "an unknown kid makes it ask" wait_for 20 fetcher_runs
is "by a process of its own" "$(parents)" bearergate-keys
running=$(fetchers)
before=$(grep -c 'another worker serves' "$work/daemon.log" || :)
kill -KILL "$(worker_of "$daemon")"
check "a worker is killed in the middle of a fetch" wait_for 60 lines_at_least "$((before + 1))" \
    'another worker serves' "$work/daemon.log"
check "which is given up" wait_for 20 these_gone
end_load parked
no_wrong "who waited for it is not let in" parked
check "the next one asks by itself" wait_for 20 fetcher_runs
begun=$(date +%s%3N)
code=0
stop "$daemon" || code=$?
is "SIGTERM in the middle of a fetch ends all" "$code" 0
echo "it took $(($(date +%s%3N) - begun)) ms"
check "and nothing is left" nothing_left
check "no socket either" test ! -e "$work/tmp/bg.sock"
both_how

# A terminal's Ctrl-C reaches all processes of the group: that is one signal, not two.

: >"$work/daemon.log"
# shellcheck disable=SC2016
start "$work/daemon.log" perl -e 'setpgrp(0, 0) or die; $SIG{INT} = "DEFAULT"; exec @ARGV or die' \
    "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "$socket"
daemon=$started
check "the daemon has a group of its own" wait_for 20 answers 200 "$good"
kill -INT -- "-$daemon"
code=0
wait_for 20 gone "$daemon" || die "it does not end"
stop "$daemon" || code=$?
is "SIGINT for all of it ends it cleanly" "$code" 0
check "once" logged 'ending after signal 2'
check "and not at once" test -z "$(grep -F 'at once' "$work/daemon.log" || :)"
check "nor is the worker cut off" test -z "$(grep -F 'the worker' "$work/daemon.log" | grep -v -F -e "the worker's sandbox: " -e 'the worker has no sandbox' || :)"
check "nothing is left" nothing_left

# Proofs that were used before a worker died are used, and so is what may have been.

proof_config() { # proof_config LINE
	printf 'public_url = "https://api.example"\n%s\n' "$1"
	printf 'issuer "https://issuer.example/" {\n audience = { "%s" }\n jwks_file = "%s"\n}\n' "$audience" "$work/jwks.json"
}

# proofs LINE IAT [OTHER]: with this in the configuration, a proof with such an iat is used; then, with OTHER in its place where
# it is given, a worker killed; then the same is used again; sets $again
proofs() {
	proof_config "$1" >"$work/bearergate.conf"
	start_gate ${3:+--no-sandbox}		# in which another store takes a restart
	wait_for 60 new_proof_passes "$2" || die "no proof is good"
	if [ -n "${3:-}" ]; then
		proof_config "$3" >"$work/bearergate.conf"
		kill -HUP "$daemon"
		wait_for 20 logged 'is in force' || die "no reload"
	fi
	kill_worker KILL
	again=$(spend "$proof")
	stop "$daemon" || :
}

new_proof_passes() { # new_proof_passes IAT: a store that is new takes none that was made before it; sets $proof
	proof=$("$BG_TOOL" mint proof -k "$work/client.pem" --method GET --url https://api.example/api/private \
	    --token-file "$work/bound" --iat "$1")
	[ "$(spend "$proof")" = 200 ]
}

spend() { # spend PROOF: by one more client; the answer's status
	perl "$e2e/fcgi.pl" "$socket" REQUEST_METHOD=GET REQUEST_URI=/api/private QUERY_STRING= SERVER_PROTOCOL=HTTP/1.1 \
	    REMOTE_ADDR=127.0.0.1 REMOTE_PORT="$RANDOM" HTTP_HOST=api.example HTTPS=on \
	    HTTP_AUTHORIZATION="DPoP $(cat "$work/bound")" HTTP_DPOP="$1" | sed -n 's/^Status: \([0-9]*\).*/\1/p'
}

"$BG_TOOL" mint key -a ES256 -o "$work/client.pem"
"$BG_TOOL" mint token -k "$work/key.pem" --iss https://issuer.example/ --aud "$audience" --sub alice --expires 1h \
    --dpop-key "$work/client.pem" >"$work/bound"
mkdir "$work/store"
[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/store"
chmod 700 "$work/store"
printf 'replay = "lmdb:%s"\n' "$work/store" >"$work/probe.conf"
claims_config "$work/probe.claims"
cat "$work/probe.claims" >>"$work/probe.conf"
if "$bg_fcgi" -t -c "$work/probe.conf" >"$work/probe.out" 2>&1; then
	proofs "replay = \"lmdb:$work/store\"" 0s
	is "a proof that was used before a worker died is known to the next (SR-64)" "$again" 400
	proofs "replay = \"lmdb:$work/store\"" 0s "replay = \"lmdb:$work/store/other\""
	is "one that was used in another store, before a reload, is refused" "$again" 503
fi
wanted=503
for iat in 0s 20s; do	# now, and by a clock that is ahead
	proofs '' "$iat"
	logged 'are remembered by this process alone' || wanted=400	# installed, there may be a default directory
	is "where no store outlives a worker, what it may have known is refused (iat $iat)" "$again" "$wanted"
done

# Whoever starts the daemon can stop it.

config
if command -v spawn-fcgi >/dev/null; then
	: >"$work/daemon.log"
	start "$work/daemon.log" spawn-fcgi -n -s "$work/tmp/spawn.sock" -- "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf"
	at=unix:$work/tmp/spawn.sock
	check "spawn-fcgi starts it" wait_for 20 answers 200 "$good"
	daemon=$started
	is "as supervisor and worker" "$(worker_of "$daemon" | wc -l)" 1
	kill_worker KILL
	is "which is replaced there too" "$(status_of "$good")" 200
	code=0
	stop "$daemon" || code=$?
	is "SIGTERM ends it" "$code" 0
	check "and leaves nothing" nothing_left
	at=
fi

module=${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_fcgid.so
if command -v apache2 >/dev/null && [ -e "$module" ]; then
	cat >"$work/fcgid.conf" <<-END
		LoadModule mpm_event_module  @MODULES@/mod_mpm_event.so
		LoadModule authn_core_module @MODULES@/mod_authn_core.so
		LoadModule authz_core_module @MODULES@/mod_authz_core.so
		LoadModule alias_module      @MODULES@/mod_alias.so
		LoadModule fcgid_module      @MODULES@/mod_fcgid.so
		ServerRoot "@TMPDIR@"
		ServerName localhost
		Listen 127.0.0.1:@PORT@
		PidFile "@PIDFILE@"
		ErrorLog "@ERRORLOG@"
		DefaultRuntimeDir "@TMPDIR@"
		User www-data
		Group www-data
		Suexec Off
		FcgidIPCDir "@TMPDIR@/fcgid"
		FcgidProcessTableFile "@TMPDIR@/fcgid_shm"
		FcgidMaxProcessesPerClass 2
		FcgidPassHeader Authorization
		DocumentRoot "@DOCROOT@"
		<Directory />
		  Require all granted
		</Directory>
		<Location "/guarded">
		  FcgidAccessChecker "$bg_fcgi -F $bg_fetch -c $work/bearergate.conf"
		  FcgidAccessCheckerAuthoritative On
		</Location>
	END
	printf 'secret\n' >"$work/www/guarded"
	bg_template=$work/fcgid.conf
	mkdir -p "$work/tmp/fcgid"
	[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/tmp/fcgid"
	start_server apache "$work/tmp/nobody.sock"
	lets_in() {
		request /guarded -H "Authorization: Bearer $good"
		[ "$status" = 200 ]
	}
	check "mod_fcgid starts it and lets a good token in" wait_for 20 lets_in
	request /guarded
	is "and nobody else" "$status" 401
	check "there are a supervisor and its worker" test "$(processes | wc -l)" -ge 2
	stop "$server" || :
	check "it ends with Apache and leaves nothing" wait_for 20 nothing_left
fi
finish
