#!/bin/bash
# The sandbox of the worker (SR-90): it is in force in every worker and told of, a reload that would need more is refused with
# the reason, and --no-sandbox does without.  What it refuses tests/test_worker_sandbox.c shows; that it refuses nothing that
# is needed, all other tests of this kind.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

status_page() { # status_page JQ-FILTER
	perl "$e2e/fcgi.pl" "$socket" --responder BEARERGATE_PAGE=status REQUEST_METHOD=GET REQUEST_URI=/s?json SCRIPT_NAME=/s \
	    QUERY_STRING=json | sed '1,/^\r*$/d' | jq -r -c "$1" 2>&1 || :
}

of_process() { # of_process PID NAME: a value that the kernel tells of it
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

kept() { # kept PID: what the kernel says of a process: no new privileges, and filters of system calls
	printf '%s %s' "$(of_process "$1" NoNewPrivs)" "$(of_process "$1" Seccomp)"
}

reload() { # reload WORDS: until the log says so once more
	local before

	before=$(grep -c -F -e "$1" "$work/daemon.log" || :)
	kill -HUP "$daemon"
	wait_for 20 lines_at_least "$((before + 1))" "$1" "$work/daemon.log"
}
fails() { # fails COMMAND...
	! "$@" 2>/dev/null
}

in_force='the configuration was read anew and is in force'
stays='the configuration was not changed: the one from before stays in force'

keys_begin
start_issuer
discovery | put .well-known/openid-configuration
good=$(mint old)
make_cache
make_cache "$work/other"
mkdir -m 700 "$work/stores"
[ "$(id -u)" -ne 0 ] || chown www-data:www-data "$work/stores"
store="replay = \"lmdb:$work/stores/a\""

config "cache_dir = \"$cache\"" 'dpop = "disabled"'
start_gate
check "it decides in its sandbox" wait_for 20 answers 200 "$good"
words=$(sed -n "s/.* info the worker's sandbox: //p" "$work/daemon.log")
if [ -z "$words" ]; then
	check "where there is none, the log warns of it" logged ' warning the worker has no sandbox: '
	check "and the pages say so" [ "$(status_page .sandbox)" = none ]
	finish
fi
echo "the sandbox: $words"
filtered=$(of_process $$ Seccomp)	# of the machine's own, where this runs in a container
[[ $words != *seccomp* ]] || filtered=2
is "the pages say which" "$(status_page .sandbox)" "$words"
is "it is in force" "$(kept "$(worker_of "$daemon")")" "1 $filtered"
is "in the worker alone" "$(kept "$daemon")" "$(kept $$)"
check "keys are written to cache_dir" wait_for 20 cached
is "there is no core (SR-85)" "$(sed -n 's/^Max core file size *\([0-9]*\) *\([0-9]*\) .*/\1 \2/p' \
    "/proc/$(worker_of "$daemon")/limits")" "0 0"
if [ "${#bg_unprivileged[@]}" -gt 0 ]; then
	is "and its memory is root's (SR-85)" "$(stat -c %U "/proc/$(worker_of "$daemon")/mem")" root
	check "which its own user cannot read" fails "${bg_unprivileged[@]}" cat "/proc/$(worker_of "$daemon")/maps"
fi

# The next worker.

worker=$(worker_of "$daemon")
kill -KILL "$worker"
check "a worker that dies is replaced" wait_for 20 lines_at_least 1 'another worker serves' "$work/daemon.log"
is "by one in the same sandbox" "$(kept "$(worker_of "$daemon")")" "1 $filtered"

# Reloads.

config "cache_dir = \"$cache\"" 'dpop = "disabled"' 'realm = "second"'
check "a reload that needs no more takes effect" reload "$in_force"
config "cache_dir = \"$work/other\"" 'dpop = "disabled"' 'realm = "third"'
check "one with another cache_dir does not" reload "$stays"
check "and the log says why" logged " error cache_dir: the worker's sandbox lets it write to the directories of the start alone, and \
$work/other is not among them; that takes a restart"
config 'dpop = "allowed"' "$store" 'realm = "third"'
check "one with a store in another directory neither" reload "$stays"
check "with the reason" logged " error replay: the worker's sandbox lets it write to the directories of the start alone, and "
config 'dpop = "allowed"' 'replay = "redis://127.0.0.1:1"' 'realm = "third"'
check "one that needs the network neither" reload "$stays"
check "with the reason" logged " error replay: the worker's sandbox lets it open no connection over TCP, since none was needed"
is "meanwhile all goes on by the one before" "$(ask '' | grep -c -F 'realm="second"')" 1
config 'dpop = "disabled"' 'realm = "fourth"'
check "one that needs less takes effect" reload "$in_force"
config "cache_dir = \"$cache\"" 'dpop = "disabled"' 'realm = "fifth"'
check "and what the worker could at the start it still can" reload "$in_force"
is "it decides by it" "$(ask '' | grep -c -F 'realm="fifth"')" 1
stop "$daemon" || :

# A restart is all it takes.

: >"$work/daemon.log"
config "cache_dir = \"$work/other\"" 'dpop = "allowed"' "$store"
start_gate
check "after a restart it decides" wait_for 20 answers 200 "$good"
check "with a store that was made" test -d "$work/stores/a"
check "and no word about it" fails logged ' warning replay: '
stop "$daemon" || :

# Without it.

: >"$work/daemon.log"
config "cache_dir = \"$cache\"" 'dpop = "disabled"'
start_gate --no-sandbox
check "--no-sandbox decides as well" wait_for 20 answers 200 "$good"
check "the log warns of it" logged ' warning --no-sandbox: whoever takes over the worker may do all that its user may'
is "the pages say so" "$(status_page .sandbox)" "off (--no-sandbox)"
is "nothing is in force" "$(kept "$(worker_of "$daemon")")" "$(kept $$)"
config "cache_dir = \"$work/other\"" 'dpop = "allowed"' 'replay = "redis://127.0.0.1:1"'
check "and any reload takes effect" reload "$in_force"
worker=$(worker_of "$daemon")
kill -KILL "$worker"
check "the next worker warns as well" wait_for 20 lines_at_least 2 ' warning --no-sandbox: ' "$work/daemon.log"
stop "$daemon" || :
finish
