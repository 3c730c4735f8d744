#!/bin/bash
# A worker that never answers a reload: it is killed after a while, the next one begins with the new configuration, requests wait
# for it, the service manager is told, and no proof is good twice.  The while is half a minute, and two daemons wait for it at once.
# With BG_LONG=yes also one that hangs without a reload, which takes more than a minute.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of replay.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/replay.inc
. "$(dirname "$0")/replay.inc"

replay_begin
silent='seconds whether it has taken up the configuration, and is killed; another one begins with it'

# shellcheck disable=SC2016
listener='use Socket; $| = 1; socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; bind($s, pack_sockaddr_un(shift)) or die; print "bound\n";
	while (defined recv($s, my $m, 4096, 0)) { $m =~ s/\n/ /g; print "$m\n" }'

configure() { # configure NAME LINE: with that line; kept remembers proofs in a directory, alone by itself
	config "$1" "lmdb:$work/stores/$1" "$2"
	[ "$1" = kept ] || sed -i '/^replay = /d' "$work/$1.conf"
}

proof_passes() { # proof_passes NAME: a store that is new takes none that was made before it; sets $proof_NAME
	local proof

	proof=$(mint_proof)
	use_proof "$1" "$proof"
	eval "proof_$1=$proof"
	[ "$status" = 200 ]
}

ask() { # ask NAME: with no token; the answer's challenge
	perl "$e2e/fcgi.pl" "unix:$work/tmp/$1.sock" REQUEST_METHOD=GET REQUEST_URI=/api/private REMOTE_ADDR=127.0.0.1 2>&1 |
	    tr -d '\r' | sed -n 's/^WWW-Authenticate: //p'
}

: >"$work/heard.log"
start "$work/heard.log" perl -e "$listener" "$work/tmp/notify"
wait_for 20 lines_at_least 1 bound "$work/heard.log" || die "the listener does not start"

names=(alone)
configure kept ''
"$bg_fcgi" -t -c "$work/kept.conf" -l 127.0.0.1:0 >"$work/probe.out" 2>&1 || :
if grep -q -F 'was built without' "$work/probe.out"; then
	printf 'ok - # skipped, for want of LMDB: a store that outlives the worker\n'
else
	names+=(kept)
fi
for name in "${names[@]}"; do
	configure "$name" ''
	if [ "$name" = alone ]; then
		NOTIFY_SOCKET=$work/tmp/notify start_gate alone
	else
		start_gate "$name"
	fi
	check "$name: a proof passes" wait_for 60 proof_passes "$name"
done

declare -A stopped waiting
if [ "${BG_LONG:-}" = yes ]; then
	configure idle ''
	sed -i '/^replay = /d' "$work/idle.conf"
	cp "$work/idle.conf" "$work/free.conf"
	start_gate idle
	start_gate free --no-sandbox
	check "idle: a proof passes" wait_for 60 proof_passes idle
	for name in idle free; do
		gate=gate_$name
		stopped[$name]=$(worker_of "${!gate}")
		kill -STOP "${stopped[$name]}"
	done
fi
for name in "${names[@]}"; do
	gate=gate_$name
	stopped[$name]=$(worker_of "${!gate}")
	kill -STOP "${stopped[$name]}"
	configure "$name" 'realm = "second"'
	kill -HUP "${!gate}"
done
check "the service manager hears of a reload" wait_for 20 lines_at_least 1 'RELOADING=1' "$work/heard.log"
for name in "${names[@]}"; do
	gate=gate_$name
	kill -HUP "${!gate}"	# another one, which has to wait
	"$load" --socket "unix:$work/tmp/$name.sock" --uri /api/private --requests 1 --clients 1 --timeout 60000 \
	    --token-file "$work/plain" </dev/null >"$work/$name.report" 2>"$work/$name.load.log" &
	waiting[$name]=$!
	bg_pids+=("$!")
done

for name in "${names[@]}"; do
	gate=gate_$name
	proof=proof_$name
	check "$name: a worker that never answers is killed, and the log says so" wait_for 120 \
	    logged "$name" " error the worker, process ${stopped[$name]}, has not said within 30.000 $silent"
	check "$name: another one serves" wait_for 60 logged "$name" 'another worker serves, restarts=1'
	check "$name: both reloads are in force" wait_for 20 lines_at_least 2 'was read anew and is in force' "$work/$name.log"
	is "$name: and none is said not to be" "$(occurs "$name" 'was not changed')" 0
	check "$name: a request that came meanwhile is answered" wait_for 60 gone "${waiting[$name]}"
	is "$name: by the next worker" "$(report "$name" .by_status)" '{"200":1}'
	is "$name: what the configuration says now counts" "$(ask "$name" | grep -c -F 'realm="second"')" 1
	is "$name: the old worker is gone" "$(ended "${stopped[$name]}" && echo gone)" gone
	if [ "$name" = kept ]; then
		is_used "kept: a proof that was used before is known to be (SR-64)" kept "${!proof}" 400 proof_spent
	elif logged alone 'are remembered by this process alone'; then
		is_used "alone: a proof that may have been used before is refused (SR-63)" alone "${!proof}" 503 store_young
	else
		is_used "alone: a proof that was used before is known to be (SR-64)" alone "${!proof}" 400 proof_spent
	fi
	configure "$name" 'realm = "third"'
	reload "$name"
	is "$name: the next reload is as any other" "$(ask "$name" | grep -c -F 'realm="third"')" 1
	stop_gate "$name"
done
if [ "${BG_LONG:-}" = yes ]; then
	check "idle: a worker that hangs is killed, and the log says so" wait_for 120 logged idle \
	    " error the worker, process ${stopped[idle]}, has not said within 60.000 seconds that it is well, and is killed"
	check "idle: another one serves" wait_for 60 logged idle 'another worker serves, restarts=1'
	if logged idle 'are remembered by this process alone'; then
		is_used "idle: a proof that may have been used before is refused (SR-63)" idle "$proof_idle" 503 store_young
	fi
	is "free: with --no-sandbox it lives, for who looks at it" "$(worker_of "$gate_free")" "${stopped[free]}"
	kill -CONT "${stopped[free]}"
	stop_gate idle
	stop_gate free
fi
is "the service manager is told that each is over" "$(sed -n 's/^\([A-Z]*\)=1 .*/\1/p' "$work/heard.log" | tr '\n' ' ')" \
    "READY RELOADING READY RELOADING READY RELOADING READY STOPPING "
finish
