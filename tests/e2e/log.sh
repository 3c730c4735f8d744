#!/bin/bash
# The log of the daemon: its formats, what is left out of it and how that is told, the journal, and a reader that does not read.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin prlimit
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
	check "a reload changes format and choice" wait_for 30 reloaded 1
	ask "HTTP_AUTHORIZATION=Bearer $good" >/dev/null
	ask >/dev/null
	is "denials alone are logged" "$(lines ' info decision=allow') $(lines ' info decision=deny')" "0 1"
}

limits() {
	config 'log_rate = 2'
	kill -HUP "$daemon"
	check "a limit comes into force" wait_for 30 reloaded 2
	for _ in {1..30}; do
		ask 'HTTP_AUTHORIZATION=Bearer a.b.c' >/dev/null
		ask "HTTP_AUTHORIZATION=Bearer $good" >/dev/null
	done
	is "every allow is logged" "$(lines ' info decision=allow')" 30
	check "denials that were left out are told of, and none is lost" wait_for 30 all_counted 30
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
	printf 'end\n' >&7
	timeout 60 sed '/^end$/Q' <&7 >"$work/journal.out" || :
	check "its lines begin with their priority, without a time" grep -q '^<6>info decision=deny reason=no_token ' "$work/journal.out"
	is "all of them" "$(grep -v -c -e '^<[3467]>' -e '^bearergate-fcgi: ' "$work/journal.out")" 0
	exec 7<&-
}

threads_wait_in() { # where the worker's threads are: pipe_write is the log, ep_poll the next request
	local task

	for task in "/proc/$(worker_of "$daemon")/task"/*; do
		printf '%s ' "$(cat "$task/wchan" 2>/dev/null || :)"
	done
}

all_there() { # is the line of each request of stalled there, or counted as lost?
	[ "$(($(grep -c 'decision=deny' "$work/stalled.out") + $(told_of "$work/stalled.out")))" -eq $((200 + asked)) ]
}

asked_and_all_there() { # the same after one more request: lines that were lost are told of with the next that there is room for
	has_socket && wait_for 2 all_there
}

# stalled OWNER: standard error is a pipe that nobody reads, of this owner: who may open it gets one of its own
stalled() {
	local path got answered=0 asked=0 reader

	config 'log_rate = 0'
	rm -f "$work/stalled"
	mkfifo -m 600 "$work/stalled"
	[ "$(id -u)" -ne 0 ] || chown "$1" "$work/stalled"
	exec 7<>"$work/stalled"
	start "$work/stalled" "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "$socket"
	daemon=$started
	check "a daemon whose log is a pipe ($1's) serves" wait_for 20 has_socket
	path=$(printf 'x%.0s' {1..500})
	# Who waits for the log waits until it is read, which is after all this: the limit is for a machine that has much to do.
	for _ in {1..200}; do
		got=$(perl "$e2e/fcgi.pl" "$socket" --patience 60 REQUEST_METHOD=GET "REQUEST_URI=/$path" 2>&1 | sed -n '1s/\r$//p') || :
		[ "$got" = "Status: 401 Unauthorized" ] || break
		answered=$((answered + 1))
	done
	[ "$answered" -eq 200 ] || printf '#   the answer was: %s; the threads wait in: %s\n' "${got:-none}" "$(threads_wait_in)"
	is "every request is answered, though nobody reads the log" "$answered" 200
	cat <&7 >"$work/stalled.out" &
	reader=$!
	bg_pids+=("$reader")
	check "once it is read, every line is there or counted as lost" wait_for 20 asked_and_all_there
	check "and some were lost" grep -q -E ' warning [0-9]+ lines of the log were lost' "$work/stalled.out"
	stop "$reader" || :
	stop "$daemon" || :
	exec 7<&-
}

# A syslogd of our own: each datagram in a line.
syslogd() {
	: >"$work/syslog"
	# shellcheck disable=SC2016
	start "$work/syslog" perl -e '
		use Socket; $| = 1; unlink $ARGV[0];
		socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; bind($s, pack_sockaddr_un($ARGV[0])) or die;
		print "ready\n"; print "$_\n" while defined(recv($s, $_, 8192, 0));' "$work/tmp/log"
	syslogd=$started
	wait_for 20 lines_at_least 1 ready "$work/syslog" || die "there is no syslogd"
}

to_syslog() {
	local head="bearergate-fcgi\[[0-9]*\]:"

	syslogd
	config
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "$socket"
	config "log = \"syslog:local3:$work/tmp/log\""
	kill -HUP "$daemon"
	check "a reload sends the log to syslogd" wait_for 30 lines_at_least 1 'was read anew' "$work/syslog"
	is "a token is judged" "$(ask "HTTP_AUTHORIZATION=Bearer $good")" "Status: 200 OK"
	is "and none refused" "$(ask)" "Status: 401 Unauthorized"
	# local3 is 19: 19 * 8 + 6, as RFC 3164 section 4.1.1 has it
	check "with facility and level, time, name and process" wait_for 30 \
	    grep -q "^<158>[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]* $head info decision=deny reason=no_token " "$work/syslog"
	is "every line is" "$(grep -v -c -e "^<1[0-9]*>[A-Z].*$head " -e ready "$work/syslog" || :)" 0
	is "no token is (SR-85)" "$(grep -c -F -e "${good##*.}" "$work/syslog" || :)" 0
	stop "$syslogd" || :
	asked=0
	for _ in {1..5}; do
		has_socket || :
	done
	is "decisions are made while syslogd is away" "$asked" 5
	syslogd
	ask >/dev/null
	check "and syslogd is found again, and told what it has missed" wait_for 30 lines_at_least 1 ' 5 lines of the log were lost' "$work/syslog"
	kill -STOP "$syslogd"
	for _ in {1..100}; do
		[ "$(timeout 60 perl "$e2e/fcgi.pl" "$socket" REQUEST_METHOD=GET "REQUEST_URI=/$(printf 'x%.0s' {1..500})" |
		    sed -n '1s/\r$//p')" = "Status: 401 Unauthorized" ] && asked=$((asked + 1))
	done
	kill -CONT "$syslogd"
	is "one that does not read holds nobody up" "$asked" 105
	config
	kill -HUP "$daemon"
	check "a reload takes it back" wait_for 30 lines_at_least 1 'was read anew' "$work/daemon.log"
	stop "$daemon" || :
	stop "$syslogd" || :

	config "log = \"syslog:$work/tmp/none\""
	start "$work/daemon.log" "$bg_fcgi" -F "$bg_fetch" -c "$work/bearergate.conf" -l "$socket"
	daemon=$started
	check "a daemon without a syslogd serves all the same" wait_for 20 has_socket
	check "and says so" grep -q "log $work/tmp/none: No such file or directory; lines are lost until syslogd is there" "$work/daemon.log"
	stop "$daemon" || :
}

# A service manager that asks so often that the worker never has nothing to do for seconds.
watched() {
	syslogd
	config 'log_rate = 2'
	: >"$work/daemon.log"
	start "$work/daemon.log" env NOTIFY_SOCKET="$work/tmp/log" WATCHDOG_USEC=3000000 "$bg_fcgi" -F "$bg_fetch" \
	    -c "$work/bearergate.conf" -l "$socket"
	daemon=$started
	check "a daemon with a watchdog serves" wait_for 20 has_socket
	for _ in {1..30}; do
		ask 'HTTP_AUTHORIZATION=Bearer a.b.c' >/dev/null
	done
	check "of it, too, denials that were left out are told of" wait_for 30 all_counted 30
	check "while it goes on" lines_at_least 1 WATCHDOG=1 "$work/syslog"
	stop "$daemon" || :
	stop "$syslogd" || :
}

wrapper_to_syslog() {
	syslogd
	use_wrapper "log = \"syslog:$work/tmp/log\"" "script = \"$work/bin/show-claims\"" "script_root = \"$work/bin\""
	"${bg_unprivileged[@]}" env -i REQUEST_METHOD=GET REQUEST_URI=/a SCRIPT_NAME=/a GATEWAY_INTERFACE=CGI/1.1 SERVER_NAME=a \
	    SERVER_PORT=80 SERVER_PROTOCOL=HTTP/1.1 REMOTE_ADDR=127.0.0.1 "$bg_cgi" >"$work/out" 2>"$work/err" || :
	check "the wrapper writes to syslogd too" wait_for 30 grep -q '^<30>.* bearergate-cgi\[[0-9]*\]: info decision=deny reason=no_token ' \
	    "$work/syslog"
	is "and no longer to the server" "$(grep -c 'decision=' "$work/err" || :)" 0
	stop "$syslogd" || :
	"${bg_unprivileged[@]}" env -i REQUEST_METHOD=GET REQUEST_URI=/a SCRIPT_NAME=/a GATEWAY_INTERFACE=CGI/1.1 SERVER_NAME=a \
	    SERVER_PORT=80 SERVER_PROTOCOL=HTTP/1.1 REMOTE_ADDR=127.0.0.1 "$bg_cgi" >"$work/out" 2>"$work/err" || :
	is "but where syslogd is away, the server has the line" "$(grep -c 'decision=deny reason=no_token ' "$work/err")" 1
}

# room BYTES: how large a file may be that a process of the daemon writes to
room() {
	local pid

	for pid in "$daemon" "$(worker_of "$daemon")"; do
		"${bg_unprivileged[@]}" prlimit --pid "$pid" --fsize="$1": || return 0	# it is gone
	done
}

# A log file as large as it may be, which is a signal that ends whoever does not expect it, and like a disk that is full.
full() {
	local log=$work/tmp/full.log asked=0 worker

	config
	start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "$socket"
	config "log = \"$log\""
	kill -HUP "$daemon"
	check "a reload sends the log to a file" wait_for 30 lines_at_least 1 'was read anew' "$log"
	worker=$(worker_of "$daemon")
	room 0
	mv "$log" "$log.1"
	kill -USR1 "$daemon"
	check "one that may have no bytes at all is opened anew" wait_for 30 test -e "$log"
	for _ in {1..5}; do
		has_socket || :
	done
	is "decisions are made without it" "$asked" 5
	room unlimited
	ask >/dev/null
	check "then it tells what was lost" wait_for 30 lines_at_least 1 ' warning 5 lines of the log were lost' "$log"
	kill -USR2 "$daemon"
	check "and nobody has died of it" wait_for 30 lines_at_least 1 "state: supervisor=$daemon worker=$worker serves=yes" "$log"
	stop "$daemon" || :
}

formats
limits
full
journal
stalled www-data
stalled root
to_syslog
watched
wrapper_to_syslog
finish
