#!/bin/bash
# A DPoP proof is good once, whichever of several daemons it is brought to: by a real Redis, which is stopped, hangs, forgets
# and is full meanwhile; over TCP, a Unix socket and TLS, with a password.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of replay.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/replay.inc
. "$(dirname "$0")/replay.inc"

# start_redis NAME PORT-OPTION [OPTION...]: on 127.0.0.1 alone, keeping nothing; sets $pid_NAME and $port_NAME, which it uses
# again where it is set
start_redis() {
	local name=$1 option=$2 port=port_$1 try

	shift 2
	for try in 1 2 3 4 5; do
		if [ -z "${!port:-}" ] || [ "$try" -gt 1 ]; then
			eval "$port=\$(free_port)"
		fi
		: >"$work/$name.log"
		start "$work/$name.log" redis-server --bind 127.0.0.1 --port 0 "$option" "${!port}" --save '' --appendonly no \
		    --dir "$work/tmp" --daemonize no "$@"
		eval "pid_$name=$started"
		wait_for 20 redis_is_up "$name" "$started" || die "redis-server neither starts nor gives up"
		! gone "$started" || continue
		return
	done
	die "redis-server did not start (attempt $try)"
}

redis_is_up() { # redis_is_up NAME PID
	gone "$2" || lines_at_least 1 'Ready to accept connections' "$work/$1.log"
}

redis() { # redis NAME COMMAND...: what that one says to it
	local name=$1 auth=()

	shift
	[ "$name" = main ] || auth=(-a "$secret" --no-auth-warning)
	redis-cli -s "$work/tmp/$name.sock" "${auth[@]}" "$@" 2>&1
}

start_main() {
	start_redis main --port --unixsocket "$work/tmp/main.sock" --unixsocketperm 777
}

secret_file() { # secret_file NAME SECRET: for the daemon's user alone
	(umask 077 && printf '%s\n' "$2" >"$work/$1")
	[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data "$work/$1"
}

make_ca() { # make_ca NAME: NAME.pem, NAME.key
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.pem" -days 2 \
	    -subj "/CN=$1" -addext basicConstraints=critical,CA:TRUE 2>/dev/null
	chmod 644 "$work/$1.pem"
}

replay_begin redis-server redis-cli
needs_store "redis://127.0.0.1"
secret=open-sesame-$SRANDOM
wrong=open-barley-$SRANDOM
patient='replay_timeout = "20s"'	# whatever a busy machine may take

# Many clients, one proof, two daemons, by two ways to one Redis.

start_main
config a "redis://127.0.0.1:$port_main" 'dpop_iat_leeway = "1s"' "$patient"
config b "redis+unix:$work/tmp/main.sock" 'dpop_iat_leeway = "1s"' "$patient"
proof=$(mint_proof)
start_gate a
start_gate b
is_used "a Redis seen for the first time may have lost what it knew: 503" a "$proof" 503 store_young
check "but not of proofs that are made later" wait_for 20 answers 200 a
run_once two 64 "$(pick 50 2000)" a b
exactly_one "64 clients with one proof at two daemons: exactly one passes (SR-63)" two
redis main --scan >"$work/keys"
is "all keys are of one form (SR-55)" \
    "$(sed -E 's/^bearergate:[0-9a-f]{64}$/proof or call/; s/^bearergate:since:[0-9a-f]{40}$/since/' "$work/keys" | sort -u)" \
    $'proof or call\nsince'
is "and all expire but the one that says since when it is known" \
    "$(sed 's/^/pttl /' "$work/keys" | redis main | paste - "$work/keys" | sed -n 's/^-1\t\(bearergate:since:\)*.*/\1/p')" \
    bearergate:since:

# Redis dies under load, and comes again with nothing.

# Meanwhile another Redis, with TLS and a password.
make_ca ca
make_ca other
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/tls.key" -subj /CN=redis 2>/dev/null |
    openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -out "$work/tls.pem" \
    -extfile <(echo subjectAltName=IP:127.0.0.1) 2>/dev/null
chmod 644 "$work/tls.key"
secret_file password "$secret"
secret_file wrong "$wrong"

more() { # more N NAME WORDS: until the log of that daemon has N lines more with these words; they are allowed to take long
	wait_for 120 lines_at_least "$(($(occurs "$2" "$3") + $1))" "$3" "$work/$2.log" || die "no load"
}
start_replay outage 600 100 1500 a b
more 100 a decision=allow
kill -KILL "$pid_main"
stop "$pid_main" || :
stopped=$(now_ms)
check "503, and Retry-After, while Redis is away" wait_for 20 logged a ' reason=store_down '
is_used "for every proof" a "$(mint_proof)" 503 store_down
more 100 a ' reason=store_down '
start_redis tls --tls-port --tls-cert-file "$work/tls.pem" --tls-key-file "$work/tls.key" --tls-ca-cert-file "$work/ca.pem" \
    --tls-auth-clients no --requirepass "$secret" --unixsocket "$work/tmp/tls.sock"
tls() { # tls NAME HOST CA PASSWORD-FILE: a daemon of that name with that store
	config "$1" "rediss://$2:$port_tls" "replay_ca_file = \"$work/$3.pem\"" "replay_password_file = \"$work/$4\"" \
	    'dpop_iat_leeway = "0s"' 'log_level = "debug"' "$patient"
	start_gate "$1"
}
tls right 127.0.0.1 ca password
started_again=$(now_ms)
start_main
for name in a b; do
	check "when it is there again, so is $name" wait_for 20 answers 200 "$name"
done
all_well=$(now_ms)
answers 200 right || :		# its first proof makes that Redis known

tls foreign 127.0.0.1 other password
is_used "a certificate of a CA that we do not trust: 503" foreign "$(mint_proof)" 503 store_down
check "and the log says that it is the certificate" grep -q 'reason=store_down .*certificate' "$work/foreign.log"
tls name localhost ca password
is_used "one for another name: 503" name "$(mint_proof)" 503 store_down
check "and the log says that too" grep -q -i 'reason=store_down .*mismatch' "$work/name.log"
tls wrong 127.0.0.1 ca wrong
is_used "a wrong password: 503" wrong "$(mint_proof)" 503 store_down
check "and the log says so" grep -q -i 'reason=store_down .*\(WRONGPASS\|password\)' "$work/wrong.log"
check "with the right ones it works" wait_for 20 answers 200 right
run_once tls 64 "$(pick 10 500)" right
exactly_one "and each proof passes once" tls
# That Redis forgets.

proof=$(mint_proof)
is_used "a proof is good" right "$proof" 200
is_used "once" right "$proof" 400 proof_spent
redis tls flushall >/dev/null
is_used "and not again after FLUSHALL" right "$proof" 503 store_young
check "later ones are" wait_for 20 answers 200 right

# That Redis is full.

redis tls config set maxmemory 1 >/dev/null
is_used "a Redis without memory takes no proof: 503" right "$(mint_proof)" 503 store_full
redis tls config set maxmemory 0 >/dev/null
check "and it takes them again by itself" wait_for 20 answers 200 right
redis tls config set maxmemory 100mb >/dev/null
redis tls config set maxmemory-policy allkeys-lru >/dev/null
stop_gate right
mv "$work/right.log" "$work/right-before.log"
start_gate right
is_used "one that throws keys away is none" right "$(mint_proof)" 503 store_down
check "and the log says what to do" grep -q 'reason=store_down .*maxmemory-policy must be noeviction' "$work/right.log"

# Those who would rather let in.

config open "redis://127.0.0.1:$(free_port)" 'replay_on_error = "allow"'
start_gate open
is_used "replay_on_error = \"allow\" lets a good proof pass while Redis is away" open "$(mint_proof)" 200
check "with a warning" grep -q ' warning a proof passes though it may have been used before' "$work/open.log"

is "no password is in a log, whatever the level (SR-85)" \
    "$(cat "$work"/{a,b,right-before,right,foreign,name,wrong}.log | grep -c -e "$secret" -e "$wrong")" 0
for name in right foreign name wrong; do
	stop_gate "$name"
done
stop "$pid_tls" || :

more "$(pick 100 1000)" a decision=allow
end_replay outage
never_twice "no proof passes twice though Redis died and forgot all" outage
is "while it is away all are refused" "$(firsts outage "$((stopped + 300))" "$started_again" | jq -c keys)" '["503"]'
is "and from then on none is" "$(firsts outage "$((all_well + 100))" "$((all_well + 600000))" | jq -c keys)" '["200"]'
is "nothing else is answered" "$(report outage '[.first, .again, .late] | map(keys) | add | map(.[:3]) | unique')" \
    '["200","400","503"]'
check "proofs that the lost ones may have been among were refused for that" logged a ' reason=store_young '

# Redis hangs.  A request that waits for it does so for ten seconds, but once one has, nobody does but the one who tries again: so
# the others are refused at once, which would take minutes if each of them waited.

config a "redis://127.0.0.1:$port_main" 'dpop_iat_leeway = "1s"' 'replay_timeout = "10s"'
reload a
start_replay hung 600 40 500 a
"$load" --socket "unix:$work/tmp/a.sock" --uri /api/private --token-file "$work/plain" --seconds 600 --rate 200 \
    --clients 8 --timeout 60000 </dev/null >"$work/plain.report" 2>"$work/plain.load.log" &
plain=$!
bg_pids+=("$plain")
more 100 a decision=allow
before=$(occurs a ' reason=store_down ')
kill -STOP "$pid_main"
check "503 when Redis hangs" wait_for 40 lines_at_least "$((before + 1))" ' reason=store_down ' "$work/a.log"
check "and so on, without waiting" wait_for 40 lines_at_least "$((before + 100))" ' reason=store_down ' "$work/a.log"
more "$(pick 500 3000)" a decision=allow	# tokens that are not bound
kill -CONT "$pid_main"
check "when it goes on, so do we" wait_for 40 answers 200 a
went_on=$(now_ms)
more 500 a decision=allow
end_replay hung
stop "$plain" || :
never_twice "no proof passes twice though Redis hung" hung
is "nobody waits for much longer than replay_timeout" "$(report hung '[.max_ms[]] | max < 40000')" true
is "tokens that are not bound have nothing to do with it" "$(report plain '[.wrong, .requests > 500]')" '[0,true]'
is "most of them notice nothing" "$(report plain '.sources[0].p50_us < 1000000')" true
is "the others wait for the threads to come back, once" "$(report plain '.sources[0].max_us < 40000000')" true
is "when it goes on all is well" "$(firsts hung "$((went_on + 100))" "$((went_on + 600000))" | jq -c keys)" '["200"]'
config a "redis://127.0.0.1:$port_main" 'dpop_iat_leeway = "1s"' "$patient"
reload a

# A reload.

start_replay reloaded "$(pick 1 20)" 200 300 a b
for ((i = 0; i < $(pick 5 100); i++)); do
	reload a
done
wait_replay reloaded 120
none_failed "reloads under load refuse none, and let none in twice" reloaded

# What nobody is to read.

is "no token and no proof is in a log" "$(cat "$work"/*.log | grep -c -F -e "$(cat "$work/bound")" -e "$proof")" 0
finish
