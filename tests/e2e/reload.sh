#!/bin/bash
# The life of the daemon by signals: SIGHUP, SIGUSR1, SIGTERM, and what it tells the service manager.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

in_force='the configuration was read anew and is in force'
stays='the configuration was not changed'

occurs() { # occurs WORDS: how often they are in the log of the daemon
	grep -c -F -e "$1" "$work/daemon.log" || :
}

reload() { # reload [WORDS]: SIGHUP, until the log says so; the words are of one that fails
	local words=${1:-$in_force} before

	before=$(occurs "$words")
	kill -HUP "$daemon"
	wait_for 20 lines_at_least "$((before + 1))" "$words" "$work/daemon.log" || die "no reload: $words"
}

threads() {
	sed -n 's/^Threads:[[:space:]]*//p' "/proc/$worker/status"
}

descriptors() { # of processes that give nobody else a look at them, so that only root can count
	find "/proc/$worker/fd" "/proc/$daemon/fd" -mindepth 1 2>/dev/null | wc -l
}

as_before() {
	[ "$(threads) $(descriptors)" = "$were" ]
}

reason_of() { # reason_of TOKEN: why the log says it was refused
	log_mark
	ask "$1" >/dev/null
	wait_for 30 decision_logged || die "no decision is logged"
	tail -n "+$((marked + 1))" "$work/daemon.log" | sed -n 's/.*decision=deny reason=\([a-z_]*\) .*/\1/p' | head -n 1
}

decision_logged() {
	tail -n "+$((marked + 1))" "$work/daemon.log" | grep -q -F 'decision='
}

at_level_error() { # is a decision not logged any more?
	log_mark
	ask "$good" >/dev/null
	! decision_logged
}

says_decisions() {
	log_mark
	ask "$good" >/dev/null
	decision_logged
}

all_asked() { # how often the issuer was asked for anything
	grep -c '^ask ' "$work/issuer.log" || :
}

asked_since() { # asked_since N: has the issuer been asked more often?
	[ "$(all_asked)" -gt "$1" ]
}

settled() { # have threads and descriptors been as many at two looks?
	local now

	now="$(threads) $(descriptors)"
	[ "$now" = "$were" ] && return
	were=$now
	return 1
}

keys_begin
start_issuer
discovery | put .well-known/openid-configuration
good=$(mint old)
mint_to good.token old

# Under load.

config
start_gate
check "the issuer's key is known" wait_for 20 answers 200 "$good"
worker=$(worker_of "$daemon")
were=
wait_for 20 settled || die "the daemon does not come to rest"
echo "threads and descriptors: $were"
fetched=$(asked)
start_load same --seconds 60 --rate 1000 --clients 8 --token-file "$work/good.token"
for ((i = 0; i < 20; i++)); do
	reload
done
check "thousands of requests meanwhile" wait_for 60 lines_at_least 3000 'decision=allow' "$work/daemon.log"
end_load same
no_wrong "20 reloads are no reason for a wrong answer" same
is "nor to ask the issuer again" "$(asked)" "$fetched"

# Keys outlive a reload while the issuer is down, though there is no cache_dir.

stop "$issuer_pid" || :
start_load down --seconds 60 --rate 500 --clients 4 --token-file "$work/good.token"
before=$(occurs decision=allow)
reload
reload
check "hundreds of requests meanwhile" wait_for 60 lines_at_least "$((before + 500))" 'decision=allow' "$work/daemon.log"
is "a reload while the issuer is down keeps its keys" "$(status_of "$good")" 200
end_load down
no_wrong "and nobody notices it" down
start_issuer

# What changes.

is "before a location demands a scope a token without it is good" "$(status_of "$good")" 200
config 'location "/api/private" { scope = "read:messages" }'
is "nor does a file count before it is read" "$(status_of "$good")" 200
reload
is "after the reload the scope is demanded" "$(status_of "$good")" 403
is "which the log says" "$(reason_of "$good")" no_scope
scoped=$(mint old --scope read:messages)
is "and a token that has it is good" "$(status_of "$scoped")" 200

sed "s|$issuer|https://other.example/|; \$s|}\$|jwks_file = \"$work/jwks.json\" }|" "$work/bearergate.conf" >"$work/other.conf"
cp "$work/other.conf" "$work/bearergate.conf"
reload
is "a token of an issuer that was removed is refused" "$(status_of "$scoped")" 401
is "as one of a wrong issuer" "$(reason_of "$scoped")" wrong_issuer

# A bad file.

config
reload
is "the issuer comes back" "$(wait_for 20 answers 200 "$good" && echo so)" so
printf 'realm = "x"\nleway = "1s"\n' >"$work/bearergate.conf"
start_load broken --seconds 60 --rate 500 --clients 4 --token-file "$work/good.token"
reload "$stays"
check "the log says file, line and what is wrong" \
    grep -q -F " error $work/bearergate.conf:2: unknown option \"leway\"" "$work/daemon.log"
rm "$work/bearergate.conf"
reload "$stays"
config 'log = "/nonexistent/log"' 'realm = "changed"'
reload "$stays"
check "a log that cannot be opened is named" \
    grep -q -F " error log /nonexistent/log: No such file or directory" "$work/daemon.log"
end_load broken
no_wrong "meanwhile all goes on as before" broken
is "with the realm of before" "$(ask "" | grep -c -F 'realm="api"')" 1

# What takes effect at the next start, and what takes effect at once.

config 'threads = 7' 'log_level = "error"'
reload 'threads: 7 takes effect at the next start'
check "the new level is in force" wait_for 20 at_level_error
config
kill -HUP "$daemon"
check "and the old one again" wait_for 20 says_decisions

# A request that waits for its keys while its issuer is removed.

config 'fetch_timeout = "60s"'
reload
both_how 'how hang'
mint_to new.token new
before=$(all_asked)
start_load parked --requests 1 --clients 1 --token-file "$work/new.token" --expect 401
check "the issuer is asked for an unknown key" wait_for 20 asked_since "$before"
cp "$work/other.conf" "$work/bearergate.conf"
log_mark
reload
wait_load parked 100
no_wrong "a request that waits for an issuer that was removed is answered" parked
check "and the log says why" reason_logged wrong_issuer
is "long before the issuer could have" "$(report parked '.sources[0].max_us < 30000000')" true
both_how
stop "$issuer_pid" || :		# what hangs ends with it
start_issuer
config
reload

# Nothing is left behind.

check "all is well again" wait_for 60 answers 200 "$good"
for ((i = 0; i < 50; i++)); do
	reload
done
check "after 50 reloads threads and descriptors are as many as before" wait_for 60 as_before

# SIGTERM while the issuer hangs: nothing holds it up, and a second one does no harm.

both_how 'how hang'
log_mark
kill -HUP "$daemon"
kill -TERM "$daemon"
code=0
stop "$daemon" || code=$?
is "SIGTERM ends it cleanly" "$code" 0
check "and takes the socket away" test ! -e "$work/tmp/bg.sock"
before=$(all_asked)
start_gate
check "it asks for keys, in vain" wait_for 20 asked_since "$before"
kill -TERM "$daemon"
kill -TERM "$daemon" 2>/dev/null || :
check "it ends" wait_for 20 gone "$daemon"
code=0
stop "$daemon" || code=$?
is "cleanly too" "$code" 0
check "which the log says" logged 'after signal 15'
check "the socket is gone" test ! -e "$work/tmp/bg.sock"
both_how

# A log file, rotated.

log=$work/tmp/gate.log
config "log = \"$log\""
start "$work/daemon.log" "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "$socket"
daemon=$started
check "the log is where the configuration says" wait_for 20 lines_at_least 1 'listening on' "$log"
is "and nobody else may read it" "$(stat -c %a "$log")" 640
check "the daemon answers" wait_for 20 answers 200 "$good"
before=$(grep -c decision=allow "$log")
start_load rotated --requests 4000 --rate 2000 --clients 4 --token-file "$work/good.token"
for i in 1 2 3; do
	mv "$log" "$log.$i"
	kill -USR1 "$daemon"
	check "after SIGUSR1 there is a new log" wait_for 20 lines_at_least 1 'the log was opened anew' "$log"
done
wait_load rotated 60
no_wrong "nobody notices it" rotated
is "and no line is lost" "$(cat "$log" "$log".? | grep -c decision=allow)" "$((before + 4000))"
mv "$log" "$log.4"
mkdir "$log"
kill -USR1 "$daemon"
check "a log that cannot be opened keeps the old one, which says so" \
    wait_for 20 lines_at_least 1 "log $log: Is a directory; the log goes on where it was" "$log.4"
is "all goes on" "$(status_of "$good")" 200
rmdir "$log"
config
kill -HUP "$daemon"
check "a reload moves it to standard error" wait_for 20 logged "$in_force"
stop "$daemon" || :
config 'log = "/nonexistent/log"'
code=0
"${bg_unprivileged[@]}" "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "$socket" 2>"$work/start.log" || code=$?
is "a log that cannot be opened stops the start" "$code" 73

# What the service manager hears.

# shellcheck disable=SC2016
listener='use Socket; $| = 1; socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; (my $n = shift) =~ s/^@/\0/;
	bind($s, pack_sockaddr_un($n)) or die; print "bound\n";
	while (defined recv($s, my $m, 4096, 0)) { $m =~ s/\n/ /g; print "$m\n" }'

heard() { # heard WORDS
	grep -q -F -e "$1" "$work/heard.log"
}

for notify in "$work/tmp/notify" "@bearergate-e2e-$$"; do
	config
	: >"$work/heard.log"
	start "$work/heard.log" perl -e "$listener" "$notify"
	listening=$started
	wait_for 20 heard bound || die "the listener does not start"
	: >"$work/daemon.log"
	start "$work/daemon.log" env NOTIFY_SOCKET="$notify" WATCHDOG_USEC=300000 "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "$socket"
	daemon=$started
	check "READY comes when it serves" wait_for 20 heard 'READY=1 STATUS=Deciding'
	check "it does" wait_for 20 answers 200 "$good"
	asked_at=$(awk '{ printf "%d", $1 * 1000000 }' /proc/uptime)
	reload
	check "RELOADING and READY come around a reload" wait_for 20 lines_at_least 2 'READY=1 STATUS=Deciding' "$work/heard.log"
	told=$(sed -n 's/^RELOADING=1 MONOTONIC_USEC=\([0-9]*\) .*/\1/p' "$work/heard.log")
	check "with the time" test "${told:-0}" -ge "$((asked_at - 20000))"
	printf 'x' >"$work/bearergate.conf"
	reload "$stays"
	check "a reload that fails is told too" wait_for 20 heard 'READY=1 STATUS=Deciding by the configuration from before'
	check "WATCHDOG comes again and again" wait_for 20 lines_at_least 5 'WATCHDOG=1' "$work/heard.log"
	stop "$daemon" || :
	check "STOPPING comes at the end" wait_for 20 heard 'STOPPING=1'
	is "all in order" "$(sed -n 's/^\([A-Z]*\)=1 .*/\1/p' "$work/heard.log" | tr '\n' ' ')" \
	    "READY RELOADING READY RELOADING READY STOPPING "
	stop "$listening" || :
done
finish
