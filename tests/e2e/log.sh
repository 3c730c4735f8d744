#!/bin/bash
# The log of the daemon: its formats, what is left out of it and how that is told, the journal, and a reader that does not read.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin
socket=unix:$work/tmp/bg.sock
asked=0	# see has_socket
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)

ask() { # ask [NAME=VALUE...]: the first line of the daemon's answer
	perl "$e2e/fcgi.pl" "$socket" REQUEST_METHOD=GET REQUEST_URI=/reports/7 REMOTE_ADDR=192.0.2.7 "$@" | sed -n '1s/\r$//p'
}

config() { # config [LINE]: the configuration, with one more line
	claims_config "$work/bearergate.conf"
	printf '%s\n' "${1:-}" >>"$work/bearergate.conf"
}

lines() { # lines WORDS: how many lines of the log have them
	grep -c -F -e "$1" "$work/daemon.log" || :
}

reloaded() { # reloaded N: reloads there have been
	lines_at_least "$1" 'was read anew' "$work/daemon.log"
}

formats() {
	config 'log_format = "json"'
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "$socket"
	is "a good token passes" "$(ask "HTTP_AUTHORIZATION=Bearer $good")" "Status: 200 OK"
	is "none is refused" "$(ask)" "Status: 401 Unauthorized"
	is "each decision is an object" "$(grep '^{' "$work/daemon.log" | jq -r 'select(.decision) | [.level, .decision, .reason, .status, .path, .client] |
	    join(" ")' | xargs)" "info allow ok 200 /reports/7 192.0.2.7 info deny no_token 401 /reports/7 192.0.2.7"
	is "so is every other line" "$(grep '^{' "$work/daemon.log" | jq -r 'select(.message) | .message' | grep -c 'listening on')" 1
	config 'log_decisions = "denials"'
	kill -HUP "$daemon"
	check "a reload changes format and choice" wait_for 10 reloaded 1
	ask "HTTP_AUTHORIZATION=Bearer $good" >/dev/null
	ask >/dev/null
	is "denials alone are logged" "$(lines ' info decision=allow') $(lines ' info decision=deny')" "0 1"
}

limits() {
	config 'log_rate = 2'
	kill -HUP "$daemon"
	check "a limit comes into force" wait_for 10 reloaded 2
	for _ in {1..30}; do
		ask 'HTTP_AUTHORIZATION=Bearer a.b.c' >/dev/null
		ask "HTTP_AUTHORIZATION=Bearer $good" >/dev/null
	done
	is "every allow is logged" "$(lines ' info decision=allow')" 30
	check "denials that were left out are told of, and none is lost" wait_for 15 all_counted 30
	check "and were left out" [ "$(lines 'left_out=')" -gt 0 ]
	stop "$daemon" || :
}

all_counted() { # all_counted N: lines about this denial, and those that were left out
	[ "$(sed -n -e 's/.* decision=deny reason=bad_[a-z]* left_out=\([0-9]*\) .*/\1/p' -e 's/.* decision=deny reason=bad_[a-z]* status=.*/1/p' \
	    "$work/daemon.log" | awk '{ n += $1 } END { print n }')" = "$1" ]
}

has_socket() { # counts in $asked what was answered
	[ "$(ask 2>/dev/null)" = "Status: 401 Unauthorized" ] && asked=$((asked + 1))
}

told_of() { # told_of FILE: lines that it says were lost
	sed -n 's/.* warning \([0-9]*\) lines of the log.*/\1/p' "$1" | awk '{ n += $1 } END { print n + 0 }'
}

# The pipe stands for the journal's socket: JOURNAL_STREAM names the device and inode of what standard error is.
journal() {
	config
	mkfifo "$work/journal"
	exec 7<>"$work/journal"
	start "$work/journal" env JOURNAL_STREAM="$(stat -c '%d:%i' "$work/journal")" "$bg_fcgi" -F "$bg_fetch" \
	    -c "$work/bearergate.conf" -l "$socket"
	daemon=$started
	check "a daemon under the journal serves" wait_for 20 has_socket
	stop "$daemon" || :
	timeout 2 cat <&7 >"$work/journal.out" || :
	check "its lines begin with their priority, without a time" grep -q '^<6>info decision=deny reason=no_token ' "$work/journal.out"
	is "all of them" "$(grep -v -c -e '^<[3467]>' -e '^bearergate-fcgi: ' "$work/journal.out")" 0
	exec 7<&-
}

# stalled OWNER: standard error is a pipe that nobody reads, of this owner: who may open it gets one of its own
stalled() {
	local path answered=0 asked=0

	config 'log_rate = 0'
	rm -f "$work/stalled"
	mkfifo -m 600 "$work/stalled"
	[ "$(id -u)" -ne 0 ] || chown "$1" "$work/stalled"
	exec 7<>"$work/stalled"
	start "$work/stalled" "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "$socket"
	daemon=$started
	check "a daemon whose log is a pipe ($1's) serves" wait_for 20 has_socket
	path=$(printf 'x%.0s' {1..500})
	for _ in {1..200}; do
		[ "$(timeout 10 perl "$e2e/fcgi.pl" "$socket" REQUEST_METHOD=GET "REQUEST_URI=/$path" | sed -n '1s/\r$//p')" = \
		    "Status: 401 Unauthorized" ] || break
		answered=$((answered + 1))
	done
	is "every request is answered, though nobody reads the log" "$answered" 200
	timeout 2 cat <&7 >"$work/stalled.out" || :
	ask >/dev/null
	timeout 2 cat <&7 >>"$work/stalled.out" || :
	check "and the log says how many lines were lost" grep -q -E ' warning [0-9]+ lines of the log were lost' "$work/stalled.out"
	is "and no other" "$(($(grep -c 'decision=deny' "$work/stalled.out") + $(told_of "$work/stalled.out")))" $((200 + asked + 1))
	stop "$daemon" || :
	exec 7<&-
}

formats
limits
journal
stalled www-data
stalled root
finish
