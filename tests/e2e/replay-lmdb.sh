#!/bin/bash
# A DPoP proof is good once, whichever process of the machine it is brought to: by LMDB, under load, with processes that die,
# a store that is full, lost, or not to be believed.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of replay.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/replay.inc
. "$(dirname "$0")/replay.inc"

store_size() { # store_size STORE: bytes of its file
	stat -c %s "$work/stores/$1"/replay.*.mdb
}

make_store() { # make_store STORE [MODE [OWNER]]: an empty directory, the daemon's own unless said otherwise
	mkdir -m "${2:-700}" "$work/stores/$1"
	[ "${#bg_unprivileged[@]}" -eq 0 ] || chown "${3:-www-data}" "$work/stores/$1"
}

replay_begin
needs_store "lmdb:$work/stores/shared"

# A store that is full, beside all the rest, for it takes its time: proofs that are good for two seconds more, and so
# remembered for twelve.  One that is made anew is good for a minute.

capacity=400
good_for=2
lasts=60
remembered=$((good_for + forget))
config full "lmdb:$work/stores/full" 'log_rate = 0' "replay_max_proofs = $capacity" "dpop_iat_offset = \"${lasts}s\"" 'dpop_iat_leeway = "0s"'
start_gate full
start_replay full 600 200 1000 full -- --age "$((lasts - good_for))"

check "a store is full after a while" wait_for 40 logged full ' reason=store_full '
full_at=$(now_ms)
taken=$(sed '/ reason=store_full /,$d' "$work/full.log" | grep -c decision=allow)
is_used "which means: 503, and Retry-After" full "$(mint_proof)" 503 store_full
check "which says when there will be room" test "${retry_after:-0}" -ge 1 -a "${retry_after:-0}" -le "$((remembered + 1))"

# Many clients, one proof, two processes.

config a "lmdb:$work/stores/shared"
config b "lmdb:$work/stores/shared"
start_gate a
start_gate b
run_once two 64 "$(pick 50 2000)" a b
exactly_one "64 clients with one proof at two processes: exactly one passes (SR-63)" two
run_once alone 64 "$(pick 20 500)" a
exactly_one "and at the threads of one" alone

# A process that dies, whatever it is at.

start_replay killed "$(pick 3 60)" 300 2000 a b
takes_load() { # or the load has come to its end, which on a busy machine is sooner than so many deaths
	lines_at_least 20 decision=allow "$work/b.log" || gone "$replay_killed"
}
for ((i = 0; i < $(pick 8 200); i++)); do
	wait_for 20 takes_load || die "b takes no load"
	! gone "$replay_killed" || break
	kill_gate b
	start_gate b
done
wait_replay killed 200
check "b died under it, more than once" [ "$i" -ge 2 ]
never_twice "kill -9 of a process under load lets no proof in twice" killed
# One that b took as it died may have been sent to a in the same moment, which then says that it was used: as many at most as b
# left without an answer.
is "the other one goes on as if nothing were (SR-91)" "$(report killed '
    def no_answers: to_entries | map(select(.key[:4] == "000 ").value) | add // 0;
    (.first["400 the DPoP proof was used before"] // 0) as $used | ([.first, .again] | map(no_answers) | add) as $lost |
    [(.first | keys - ["200", "400 the DPoP proof was used before"] | map(.[:4]) | unique - ["000 "]), $used <= $lost]')" '[[],true]'
is "and holds up nobody" "$(report killed '.max_ms["200"] < 30000')" true

# A reload.

start_replay reloaded "$(pick 2 20)" 300 500 a b
for ((i = 0; i < $(pick 10 100); i++)); do
	reload a
done
wait_replay reloaded 200
never_twice "reloads under load let no proof in twice" reloaded
none_failed "and refuse none" reloaded

has_taken() { # has_taken N: has the store that was full taken so many proofs?
	lines_at_least "$1" decision=allow "$work/full.log"
}
if [ "$short" = no ]; then
	wait_for 200 has_taken "$((3 * capacity))" || die "no load"
	full_size=$(store_size full)	# it has been full three times
fi

# A restart.

proof=$(mint_proof)
is_used "a proof is good" a "$proof" 200
is_used "once" b "$proof" 400 proof_spent
stop_gate a
stop_gate b
start_gate a
is_used "what was used is known after all processes were started anew" a "$proof" 400 proof_spent
is_used "and another is good at once" a "$(mint_proof)" 200

# A store that was lost.

config lost "lmdb:$work/stores/lost" 'dpop_iat_leeway = "0s"'
start_gate lost
for damage in garbage emptied cut; do
	proof=$(mint_proof)
	is_used "a proof is used, then the store is lost: $damage" lost "$proof" 200
	stop_gate lost
	file=$(echo "$work/stores/lost"/replay.*.mdb)
	case $damage in
	garbage) head -c 65536 /dev/urandom >"$file" ;;
	emptied) truncate -s 0 "$file" ;;
	cut)     truncate -s 6000 "$file" ;;
	esac
	start_gate lost
	check "the daemon starts and says so" wait_for 20 logged lost " warning replay store $work/stores/lost: "
	is_used "that proof is not let in again" lost "$proof" 503 store_young
	check "later ones are soon" wait_for 20 answers 200 lost
	is_used "that one is not even then" lost "$proof" 503 store_young
done
proof=$(mint_proof)
is_used "a proof is used, then the store is removed under the daemon" lost "$proof" 200
rm "$work/stores/lost"/replay.*.mdb
is_used "it is not let in again" lost "$proof" 503 store_young
check "later ones are soon" wait_for 20 answers 200 lost

# A directory that others could write to, or that we cannot.

config refused "lmdb:$work/stores/refused"
make_store refused 777
refuses_to_start "a store that everybody may write to stops the start" refused \
    "replay store $work/stores/refused: the directory may be written to by its group or by others"
chmod 770 "$work/stores/refused"
refuses_to_start "or its group" refused "the directory may be written to by its group or by others"
chmod 500 "$work/stores/refused"
refuses_to_start "or not even we" refused "Permission denied"
if [ "${#bg_unprivileged[@]}" -gt 0 ]; then
	chmod 755 "$work/stores/refused"
	chown root:root "$work/stores/refused"
	refuses_to_start "or root alone" refused "Permission denied"
	chown nobody "$work/stores/refused"
	refuses_to_start "or one that belongs to somebody else" refused "the directory belongs to somebody else"
	config a "lmdb:$work/stores/refused"
	kill -HUP "$gate_a"
	check "a reload that meets it changes nothing" wait_for 20 logged a 'the configuration was not changed'
	is_used "and all goes on" a "$(mint_proof)" 200
fi
config refused "lmdb:$work/stores/none/refused"
refuses_to_start "or one in a directory that is not there" refused "replay is in a directory that is not there"
: >"$work/stores/file"
config refused "lmdb:$work/stores/file"
refuses_to_start "or a file in its place" refused "replay is for a directory, and there is something else of that name"

# The store that was full.

check "as they expire it takes others by itself" wait_for 200 has_taken "$((capacity * $(pick 1 4) + 100))"
end_replay full
never_twice "a store that is full never drops a proof that lives (SR-65)" full
is "what it took is known when it comes again, what it did not take is refused" \
    "$(report full '[.first, .again] | map(keys) | add | map(.[:3]) | unique')" '["200","400","503"]'
began=$(report full .began)
check "it takes all there is room for" test "$taken" -ge "$((capacity - 16))"	# as many clients may have come between
is "then none, until the first of them has expired" \
    "$(firsts full "$((full_at + 100))" "$((began + remembered * 1000 - 1000))" | jq -c 'keys - ["400", "503"]')" '[]'
check "its file is no larger than it has to be" test "$(store_size full)" -le "$((capacity * 1024))"
# LMDB takes a page or two more now and then.  Without room given back, it would have grown by a third since.
[ "$short" = yes ] || check "nor does it grow any more" test "$(store_size full)" -le "$((full_size + full_size / 8))"

# What nobody is to read.

is "no token and no proof is in a log" "$(cat "$work"/*.log | grep -c -F -e "$(cat "$work/bound")" -e "$proof")" 0
finish
