#!/bin/bash
# Hard moments of the daemon: a second SIGTERM while a request is under way, more descriptors than select(2) knows, too few for
# all who come, and none left.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of replay.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/replay.inc
. "$(dirname "$0")/replay.inc"

replay_begin prlimit
good=$(cat "$work/plain")
forged=${good%.*}.$(other_character "${good##*.}" 20)

ask() { # ask NAME [TOKEN]: the first line of the answer; nothing where there is none
	timeout 20 perl "$e2e/fcgi.pl" "unix:$work/tmp/$1.sock" REQUEST_METHOD=GET REQUEST_URI=/api/private REMOTE_ADDR=127.0.0.1 \
	    ${2:+"HTTP_AUTHORIZATION=Bearer $2"} 2>/dev/null | sed -n '1s/\r$//p' || :
}

allows() { # allows NAME
	[ "$(ask "$1" "$good")" = "Status: 200 OK" ]
}

# crowd NAME N: so many peers with half a request each, and another in the place of each one that is closed; adds to $crowds
crowd() {
	: >"$work/crowd.log"
	# shellcheck disable=SC2016
	start "$work/crowd.log" perl -e '
		use Socket; my ($path, $n) = @ARGV; $SIG{PIPE} = "IGNORE"; $| = 1;
		sub one {
			socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
			connect($s, pack_sockaddr_un($path)) or exit;
			syswrite($s, pack("H*", "01010001000800000001000000000000010400"));
			return $s;
		}
		my @s = map { one() } 1 .. $n;
		print "held\n";
		while (1) {
			my $v = "";
			vec($v, fileno($_), 1) = 1 for @s;
			select($v, undef, undef, 0.2);
			for (@s) { if (vec($v, fileno($_), 1)) { close($_); $_ = one(); } }
		}' "$work/tmp/$1.sock" "$2"
	crowds+=("$started")
	check "$2 peers are connected" wait_for 30 lines_at_least 1 held "$work/crowd.log"
}

disperse() {
	local pid

	for pid in "${crowds[@]}"; do
		stop "$pid" || :
	done
	crowds=()
}

descriptors() { # descriptors PID: how many it has
	find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l
}

has_descriptors() { # has_descriptors PID N
	[ "$(descriptors "$1")" -ge "$2" ]
}

few_descriptors() { # few_descriptors PID
	! has_descriptors "$1" 100
}

# A second SIGTERM.  The request that is under way waits for a Redis that is stopped, for longer than SIGTERM would wait for it.

asks_redis() { # has Redis bytes that it has not read?  proc(5): local address, state, receive queue
	awk -v port="$(printf ':%04X' "$redis_port")" '$2 ~ port "$" && $4 == "01" { split($5, q, ":"); if (q[2] != "00000000") n++ }
	    END { exit n > 0 ? 0 : 1 }' /proc/net/tcp
}

redis_is_up() {
	gone "$redis" || lines_at_least 1 'Ready to accept connections' "$work/redis.log"
}

end_twice() { # sets $code
	start_gate twice
	check "a proof passes" wait_for 20 answers 200 twice
	kill -STOP "$redis"
	use_proof twice "$(mint_proof)" &
	asking=$!
	check "another one waits for Redis" wait_for 20 asks_redis
	kill -TERM "$gate_twice"
	check "SIGTERM waits for it" wait_for 20 logged twice 'ending after signal 15'
	kill -TERM "$gate_twice" 2>/dev/null || :
	check "and ends" wait_for 20 gone "$gate_twice"
	code=0
	stop "$gate_twice" || code=$?
	kill -CONT "$redis"
	wait "$asking" || :
}

twice() {
	local try

	config twice "redis://127.0.0.1:$redis_port" 'dpop_iat_leeway = "1s"' 'replay_timeout = "60s"'
	# On a machine that is as slow as the five seconds that the first one waits for, the second has nothing to do.
	for try in 1 2 3; do
		end_twice
		! logged twice 'is cut off' || continue
		break
	done
	check "the second one ends it at once" logged twice 'ending at once after signal 15'
	is "cleanly" "$code" 0
	check "with its socket" test ! -e "$work/tmp/twice.sock"
	is "the request that was cut off was not allowed" "$(grep -c '^Status: 200' "$work/answer" || :)" 0
	stop "$redis" || :
}

if command -v redis-server >/dev/null && ! "$bg_fcgi" -t -c <(config probe redis://127.0.0.1 && cat "$work/probe.conf") -l 127.0.0.1:0 2>&1 |
    grep -q 'was built without'; then
	redis_port=$(free_port)
	: >"$work/redis.log"
	start "$work/redis.log" redis-server --bind 127.0.0.1 --port "$redis_port" --save '' --appendonly no --dir "$work/tmp" --daemonize no
	redis=$started
	wait_for 20 redis_is_up || die "redis-server neither starts nor gives up"
	! gone "$redis" || die "redis-server does not start"
	twice
else
	printf 'ok - # skipped, for want of redis-server: a second SIGTERM\n'
fi

# More descriptors than an fd_set has room for, of a soft limit that is lower.

crowds=()
plain=("${bg_unprivileged[@]}")
if [ "$(ulimit -H -n)" = unlimited ] || [ "$(ulimit -H -n)" -ge 4096 ]; then
	bg_unprivileged+=(prlimit --nofile=256:4096)
	claims_config "$work/many.conf"
	start_gate many
	many=$(worker_of "$gate_many")
	is "the limit is raised as far as it may be" "$(sed -n 's/^Max open files *\([0-9]*\) .*/\1/p' "/proc/$many/limits")" 4096
	bg_unprivileged=("${plain[@]}")
	for _ in 1 2 3; do
		crowd many 500
	done
	check "more than 1024 descriptors are in use" wait_for 20 has_descriptors "$many" 1500
	is "a good token is let in" "$(ask many "$good")" "Status: 200 OK"
	is "a forged one is not" "$(ask many "$forged")" "Status: 401 Unauthorized"
	is "nor is none" "$(ask many)" "Status: 401 Unauthorized"
	check "with as many in use" has_descriptors "$many" 1025
	disperse
	check "all of them are given back" wait_for 20 few_descriptors "$many"
	stop_gate many
else
	printf 'ok - # skipped, for want of a limit of 4096 descriptors: more than 1024\n'
fi

# Too few for all who come, and enough for us: whoever connects and says nothing keeps it neither from a reload nor from its log.

if [ "$(ulimit -H -n)" = unlimited ] || [ "$(ulimit -H -n)" -ge 256 ]; then
	bg_unprivileged+=(prlimit --nofile=256:256)
	claims_config "$work/enough.conf"
	start_gate enough
	sed -i "1i log = \"$work/tmp/enough.out\"" "$work/enough.conf"
	kill -HUP "$gate_enough"
	check "its log becomes a file" wait_for 20 grep -q -F 'was read anew and is in force' "$work/tmp/enough.out"
	bg_unprivileged=("${plain[@]}")
	enough=$(worker_of "$gate_enough")
	crowd enough 400
	check "the oldest of 400 make room (SR-22)" wait_for 20 grep -q -F 'closed the connection that waited longest' "$work/tmp/enough.out"
	for i in 1 2; do
		mv "$work/tmp/enough.out" "$work/tmp/enough.out.$i"
		kill -USR1 "$gate_enough"
		check "the log is opened anew (turn $i)" wait_for 20 grep -q -F 'the log was opened anew' "$work/tmp/enough.out"
		# A line of the worker's own says that it has the new one too.
		check "by both processes" wait_for 20 grep -q -F 'closed the connection that waited longest' "$work/tmp/enough.out"
	done
	kill -HUP "$gate_enough"
	check "a reload takes effect" wait_for 20 grep -q -F 'was read anew and is in force' "$work/tmp/enough.out"
	# Of those who have not said all they want, who waited longest makes room: a slow client of ours too, which then comes again.
	hears() { # hears TOKEN: sets $heard, what it is answered
		heard=$(ask enough "$1") && [ -n "$heard" ]
	}
	check "there is an answer meanwhile" wait_for 20 hears "$good"
	is "a good token is let in" "$heard" "Status: 200 OK"
	check "there is another one" wait_for 20 hears "$forged"
	is "a forged one is not" "$heard" "Status: 401 Unauthorized"
	is "it is the very worker" "$(worker_of "$gate_enough")" "$enough"
	is "which has never wanted for a descriptor" "$(cat "$work/tmp/enough.out"* | grep -c 'Too many open files' || :)" 0
	disperse

	# None at all, so that the next log does not arrive.
	"${bg_unprivileged[@]}" prlimit --pid "$enough" --nofile=3:
	mv "$work/tmp/enough.out" "$work/tmp/enough.out.3"
	kill -USR1 "$gate_enough"
	check "a log that the worker cannot take it does without, and says so" \
	    wait_for 20 grep -q -F 'no descriptor is free for the log that the supervisor has opened: it goes on' "$work/tmp/enough.out.3"
	sed -i "s|^log = .*|log = \"$work/tmp/enough.next\"|" "$work/enough.conf"
	kill -HUP "$gate_enough"
	check "a reload with one fails" wait_for 20 grep -q -F 'the configuration was not changed' "$work/tmp/enough.out"
	"${bg_unprivileged[@]}" prlimit --pid "$enough" --nofile=256:
	kill -HUP "$gate_enough"
	check "and the next one does not" wait_for 20 grep -q -F 'was read anew and is in force' "$work/tmp/enough.next"
	is "a good token is let in" "$(ask enough "$good")" "Status: 200 OK"
	check "which the new log says" wait_for 20 grep -q decision=allow "$work/tmp/enough.next"
	is "it is still the very worker" "$(worker_of "$gate_enough")" "$enough"
	stop_gate enough
else
	printf 'ok - # skipped, for want of a limit of 256 descriptors: too few for all\n'
fi

# None left.

bg_unprivileged+=(prlimit --nofile=32:32)
claims_config "$work/few.conf"
start_gate few
bg_unprivileged=("${plain[@]}")
check "a daemon with 32 descriptors serves" wait_for 20 allows few
crowd few 60
check "it has no descriptor left" wait_for 20 logged few 'Too many open files'
for _ in {1..15}; do
	ask few "$forged"
	ask few
done >"$work/few.answers"
is "nobody is let in by that" "$(grep -c -v '^Status: 401 Unauthorized$' "$work/few.answers" || :)" 0
kill -HUP "$gate_few"
check "a reload may fail, and says so" wait_for 20 grep -q -E -e 'was not changed|was read anew' "$work/few.log"
for _ in {1..5}; do
	ask few "$forged" >>"$work/few.forged"
	ask few "$good" >>"$work/few.good"
done
is "a forged token is not let in after it either" "$(grep -c -v '^Status: 401 Unauthorized$' "$work/few.forged" || :)" 0
is "and a good one is, or is told to wait" "$(grep -c -v -E -e '^Status: (200 OK|503 Service Unavailable)$' "$work/few.good" || :)" 0
disperse
check "when there are descriptors again, it is as before" wait_for 20 allows few
is "in both ways" "$(ask few "$forged")" "Status: 401 Unauthorized"
is "and is the very process" "$(gone "$gate_few" || echo alive)" alive
kill -HUP "$gate_few"
check "and can be told anything new" wait_for 20 logged few 'was read anew'
stop_gate few
finish
