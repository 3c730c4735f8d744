#!/bin/bash
# make bench-servers: bearergate behind real web servers, against an authorizer that does nothing, against Apache's
# mod_auth_openidc, and against programs that check tokens themselves: express-oauth2-jwt-bearer under Node, and a stand-in
# for auth0-fastapi-api.  All are asked in turns, round by round, so that what else the machine does meets all, and all have
# a process or thread for each processor, keep connections, log no request and speak plain HTTP.  What is not
# installed is left out, and said.  BG_LONG=N in the environment: so many rounds, instead of 13.
# BG_BENCH_NODE: the directory that holds node_modules; scripts/bench installs them.
#
#	servers.sh BUILD-DIRECTORY
# shellcheck disable=SC2317 # functions that wait_for calls
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
export LC_ALL=C

build=$(realpath "${1:?usage: servers.sh BUILD-DIRECTORY}")
here=$(cd "$(dirname "$0")" && pwd)
keys=$bg_source/tests/support/keys
modules=${APACHE_MODULES:-/usr/lib/apache2/modules}
node_modules=${BG_BENCH_NODE:-$bg_source/build/bench-node}
workers=$(nproc)
rounds=${BG_LONG:-13}
seconds=0.4
connections=32
issuer=https://tenant.us.auth0.com/
audience=https://api.example.com
kid=bench
new=2500	# tokens that come round as new ones, for a daemon that remembers 1000

left_out=()

on_failure() {
	show_logs 20
}

# Servers.

says() { # says N WORDS FILE: the one that was started last has said so, or has ended
	gone "$started" || lines_at_least "$@"
}

# serve N WORDS COMMAND...: a program, @PORT@ in its arguments and in $work/NAME.conf replaced by a free port; sets $port and
# $server.  It is up when it has said the words N times in $log.  A port that somebody took first is no reason to fail.
serve() {
	local n=$1 words=$2 try

	shift 2
	for try in 1 2 3 4 5; do
		port=$(free_port)
		: >"$log"
		[ ! -e "$config.in" ] || sed "s|@PORT@|$port|g" "$config.in" >"$config"
		start "${own_log:-$log}" "${@//@PORT@/$port}"
		server=$started
		wait_for 30 says "$n" "$words" "$log" || die "no \"$words\" from $1"
		gone "$server" || return 0
		stop "$server" || :
	done
	die "$1 does not start (attempt $try)"
}

template() { # template NAME FILE...: sets $config, all but the port filled in, and $log
	local name=$1 file

	shift
	config=$work/$name.conf
	log=$work/tmp/$name.error
	for file; do
		fill "$here/servers/$file" TMPDIR="$work/tmp" PIDFILE="$work/tmp/$name.pid" ERRORLOG="$log" DOCROOT="$work/www" \
		    MODULES="$modules" WORKERS="$workers" THREADS=$((workers * 64)) PARAMS="$work/bearergate_params" \
		    ISSUER="$issuer" AUDIENCE="$audience" KID="$kid" CERT="$work/issuer.crt" PROGRAM="$work/tmp/app.sock" \
		    FLOOR="$floor_at" GATE="$gate_at" NEW="$new_at"
	done >"$config.in"
	"${bg_unprivileged[@]}" touch "$log"
	own_log=$work/$name.log
}

start_gate() { # start_gate NAME LINE...: a daemon on a unix socket and on TCP, with these lines in its configuration
	local name=$1

	shift
	# Like the servers, it writes no line for a request that is good.
	printf 'log_decisions = "denials"\nissuer "%s" {\n  audience = "%s"\n  jwks_file = "%s"\n}\ncache_dir = none\n' \
	    "$issuer" "$audience" "$work/www/jwks.json" >"$work/$name.daemon.conf"
	printf '%s\n' "$@" >>"$work/$name.daemon.conf"
	start_daemon "$work/$name.daemon.log" -c "$work/$name.daemon.conf" -l "unix:$work/tmp/$name.sock" -l 127.0.0.1:0 -n "$workers"
}

# One of libfcgi, on a unix socket or TCP.  Its threads wait for what they read, so it is at its best with more of them than
# there are processors: of 1, 2, 4 and 8 behind lighttpd on two, 4.
start_program() { # start_program ADDRESS NAME
	start "$work/$2.log" "$work/bin/$2" "$1" $((workers * 2))
	wait_for 10 listens "$1" || die "$2 does not start"
}

listens() { # listens ADDRESS
	gone "$started" && die "it ended: $(cat "$work"/*.log)"
	case $1 in
	/*) [ -S "$1" ] ;;
	*)  (: <>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null ;;
	esac
}

# Subjects: what is asked.

names=()
# label: what people call it.  warm_up: seconds, where it takes more than one round.
declare -A label ports paths tokens answers processes warm_up

subject() { # subject NAME LABEL PORT PATH TOKENS WORDS PID...: what answers with these words, and whose CPU counts
	local name=$1 pid

	names+=("$name")
	label[$name]=$2
	ports[$name]=$3
	paths[$name]=$4
	tokens[$name]=$5
	answers[$name]=$6
	shift 6
	for pid; do
		processes[$name]+=" -p $pid"
	done
}

status_of() { # status_of NAME [TOKEN]
	curl -s -o /dev/null -w '%{http_code}' --max-time 20 ${2:+-H "Authorization: Bearer $2"} \
	    "http://127.0.0.1:${ports[$1]}${paths[$1]}" || :
}

mint() { # mint KEY [OPTION...]: a token that is good but for what the options say
	local key=$1

	shift
	"$build/bearergate" mint token -k "$keys/$key.pem" --kid "$kid" --iss "$issuer" --aud "$audience" --sub "auth0|1" "$@"
}

judges() { # judges NAME...: they do what they are compared for; no figure is worth anything where something is not checked
	local name kind got

	for name; do
		got=$(status_of "$name" "$good")
		[ "$got" = 200 ] || die "${label[$name]}: a good token gets $got"
		got=$(status_of "$name")
		[ "$got" = 401 ] || die "${label[$name]}: no token gets $got"
		for kind in "${!bad[@]}"; do
			got=$(status_of "$name" "${bad[$kind]}")
			[ "$got" = 401 ] || die "${label[$name]}: a bad token ($kind) gets $got"
		done
	done
}

measure() { # measure NAME SECONDS: one line of figures
	# shellcheck disable=SC2086 # words are what is wanted
	"$build/tests/bench/clients" -c "$connections" -s "$2" -w 0.1 -t "$work/${tokens[$1]}" -e "${answers[$1]}" \
	    ${processes[$1]} "${ports[$1]}" "${paths[$1]}"
}

# What comes of it.  A line of figures: name, round, answers per second, CPU, median, 99 of 100, share of a processor that the
# clients had.

median() { # numbers, one in a line
	sort -g | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}

figure() { # figure NAME COLUMN
	awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$work/figures" | median
}

# compare WORDS COLUMN NAME OTHER least|most GOAL: the ratio of two subjects, round by round
compare() {
	local ratio

	[ -n "${label[$3]:-}" ] && [ -n "${label[$4]:-}" ] || return 0
	ratio=$(awk -v column="$2" -v name="$3" -v other="$4" '
	    $1 == name { a[$2] = $column }
	    $1 == other { b[$2] = $column }
	    END { for (round in a) print a[round] / b[round] }' "$work/figures" | median)
	awk -v words="$1" -v ratio="$ratio" -v sense="$5" -v goal="$6" 'BEGIN {
		met = sense == "least" ? ratio >= goal : ratio <= goal
		printf "%-82s %6.2f", words, ratio
		if (goal != "") printf "   at %-5s %5.2f  %s", sense, goal, met ? "ok" : "MISSED"
		print ""
	}'
}

# The stage.

for command in curl lighttpd; do
	command -v "$command" >/dev/null || die "$command is not installed; scripts/bench installs what is missing"
done
make_work bg-bench-servers
use_programs "$build/bearergate-fcgi" "$build/bearergate-fetch"
cp "$build"/tests/bench/{floor,responder} "$work/bin/"
cp "$keys/rsa-2048-a-cert.pem" "$work/issuer.crt"
for directory in plain floor gate new; do
	mkdir "$work/www/$directory"
	printf '{"sub":"auth0|000000000000000000000000"}' >"$work/www/$directory/me.json"
done
"$build/bearergate" mint jwks --kid "$kid" "$keys/rsa-2048-a.pem" >"$work/www/jwks.json"
srcdir=$bg_source "$build/tests/bench/tokens" "$issuer" "$audience" "$kid" "$new" >"$work/new"
head -n 1 "$work/new" >"$work/repeated"
good=$(mint rsa-2048-a)
declare -A bad=(
	[forged]=$(mint rsa-2048-b)
	[expired]=$(mint rsa-2048-a --expires -1h)
	[issuer]=$(mint rsa-2048-a --claim iss=https://tenant.eu.auth0.com/)
	[audience]=$(mint rsa-2048-a --claim aud=https://api.example.org)
)
chmod -R a+rX "$work"

start_gate gate
gate=$daemon
gate_tcp=127.0.0.1:$daemon_port
start_gate new "token_cache = 1000"
fresh=$daemon
new_tcp=127.0.0.1:$daemon_port
start_program "$work/tmp/floor.sock" floor
floor=$started
floor_tcp=127.0.0.1:$(free_port)
start_program "$floor_tcp" floor
floor_on_tcp=$started
start_program "$work/tmp/app.sock" responder
responder=$started

floor_at=$work/tmp/floor.sock
gate_at=$work/tmp/gate.sock
new_at=$work/tmp/new.sock
template lighttpd lighttpd.conf
serve 1 'server started' lighttpd -D -f "$config"
jwks_uri=http://127.0.0.1:$port/jwks.json
subject lighttpd-plain "lighttpd, a file, nobody asked"          "$port" /plain/me.json    repeated '"sub"' "$server"
subject lighttpd-floor "lighttpd + floor"                        "$port" /floor/me.json    repeated '"sub"' "$server" "$floor"
subject lighttpd-gate  "lighttpd + bearergate, repeated token"   "$port" /gate/me.json     repeated '"sub"' "$server" "$gate"
subject lighttpd-new   "lighttpd + bearergate, new tokens"       "$port" /new/me.json      new      '"sub"' "$server" "$fresh"
subject app-gate       "the same before a FastCGI program, repeated token" \
    "$port" /gate-app/me.json repeated 'auth0|0' "$server" "$gate" "$responder"
subject app-new        "the same before a FastCGI program, new tokens" \
    "$port" /new-app/me.json  new      'auth0|0' "$server" "$fresh" "$responder"
judges lighttpd-gate lighttpd-new app-gate app-new

if command -v nginx >/dev/null; then
	template nginx nginx.conf
	serve "$workers" 'start worker process ' nginx -e "$log" -c "$config" -g 'daemon off;'
	subject nginx-gate "nginx + bearergate, repeated token" "$port" /gate/me.json repeated '"sub"' "$server" "$gate"
	judges nginx-gate
else
	left_out+=("nginx: it is not installed")
fi

floor_at=$floor_tcp
gate_at=$gate_tcp
new_at=$new_tcp
if ! command -v apache2 >/dev/null; then
	left_out+=("Apache: apache2 is not installed")
else
	template apache apache.conf gate.conf
	serve 1 'resuming normal operations' apache2 -D FOREGROUND -f "$config"
	subject apache-plain "Apache, a file, nobody asked"        "$port" /plain/me.json repeated '"sub"' "$server"
	subject apache-floor "Apache + floor"                      "$port" /floor/me.json repeated '"sub"' "$server" "$floor_on_tcp"
	subject apache-gate  "Apache + bearergate, repeated token" "$port" /gate/me.json  repeated '"sub"' "$server" "$gate"
	subject apache-new   "Apache + bearergate, new tokens"     "$port" /new/me.json   new      '"sub"' "$server" "$fresh"
	judges apache-gate apache-new
	if [ -e "$modules/mod_auth_openidc.so" ]; then
		template openidc apache.conf openidc.conf
		serve 1 'resuming normal operations' apache2 -D FOREGROUND -f "$config"
		subject openidc     "Apache + mod_auth_openidc, repeated token" "$port" /gate/me.json repeated '"sub"' "$server"
		subject openidc-new "Apache + mod_auth_openidc, new tokens"     "$port" /gate/me.json new      '"sub"' "$server"
		judges openidc
	else
		left_out+=("mod_auth_openidc: Apache has no such module")
	fi
fi

if [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -lt 18 ]; then
	left_out+=("express-oauth2-jwt-bearer: there is no Node 18 or later")
elif [ ! -e "$node_modules/node_modules/express-oauth2-jwt-bearer" ]; then
	left_out+=("express-oauth2-jwt-bearer: not in BG_BENCH_NODE; scripts/bench installs it")
else
	# import looks for packages beside the file.
	mkdir "$work/node"
	cp "$here/servers/express.mjs" "$here/servers/package.json" "$work/node"
	cp -r "$node_modules/node_modules" "$work/node"
	chmod -R a+rX "$work/node"
	config=$work/node.conf
	log=$work/node.log
	own_log=
	serve 1 'listening on' env NODE_ENV=production node "$work/node/express.mjs" "$workers" "$issuer" "$audience" "$jwks_uri"
	port=$(sed -n 's/^listening on //p' "$log")
	subject node "Express, express-oauth2-jwt-bearer" "$port" /gate/me.json repeated 'auth0|0' "$server"
	judges node
	warm_up[node]=12
fi

python=
for candidate in /usr/bin/python3 python3; do
	! "$candidate" -c 'import authlib.jose, fastapi, httptools, uvicorn, uvloop' 2>/dev/null || { python=$candidate; break; }
done
if [ -z "$python" ]; then
	left_out+=("FastAPI: python3 does not find all of authlib, fastapi, httptools, uvicorn and uvloop")
else
	config=$work/python.conf
	log=$work/python.log
	own_log=
	cp "$here/servers/app.py" "$work/bin/app.py"
	serve "$workers" 'Application startup complete' env PYTHONDONTWRITEBYTECODE=1 ISSUER="$issuer" AUDIENCE="$audience" \
	    JWKS="$work/www/jwks.json" "$python" -m uvicorn --app-dir "$work/bin" --host 127.0.0.1 --port @PORT@ \
	    --workers "$workers" --loop uvloop --http httptools --no-access-log app:app
	subject python "FastAPI with authlib, a stand-in for auth0-fastapi-api" "$port" /gate/me.json repeated 'auth0|0' "$server"
	judges python
fi

# The play.

printf '%d processors (%s), load %s at the start\n' "$workers" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(cut -d ' ' -f 1 /proc/loadavg)"
printf '%d connections, %d rounds of %s s for each in turns; medians; CPU is of all processes that stand behind the port\n\n' \
    "$connections" "$rounds" "$seconds"
# What is compiled while it runs takes half as much CPU after thousands of requests as it does for the first ones.
for name in "${names[@]}"; do
	measure "$name" "${warm_up[$name]:-$seconds}" >/dev/null
done
for ((round = 1; round <= rounds; round++)); do
	for name in "${names[@]}"; do
		figures=$(measure "$name" "$seconds")
		printf '%s %s %s\n' "$name" "$round" "$figures" >>"$work/figures"
	done
done

printf '%-54s %10s %8s %8s %8s %8s\n' '' requests/s 'CPU us' 'p50 ms' 'p99 ms' 'clients'
for name in "${names[@]}"; do
	printf '%s|%s|%s|%s|%s|%s\n' "${label[$name]}" "$(figure "$name" 3)" "$(figure "$name" 4)" "$(figure "$name" 5)" \
	    "$(figure "$name" 6)" "$(figure "$name" 7)"
done | awk -F '|' '{ printf "%-54s %10.0f %8.1f %8.2f %8.2f %6.0f %%\n", $1, $2, $3, $4 / 1000, $5 / 1000, $6 }'
printf '\n%-82s %6s\n' 'Against each other, in the same round' ratio
compare "requests/s: lighttpd + bearergate to lighttpd + floor"                  3 lighttpd-gate lighttpd-floor least 0.95
compare "requests/s: lighttpd + bearergate to Apache + mod_auth_openidc"         3 lighttpd-gate openidc        least 1.5
compare "  new tokens"                                                           3 lighttpd-new  openidc-new    least ""
compare "CPU: Apache + bearergate to Apache + mod_auth_openidc"                  4 apache-gate   openidc        most  1.45
compare "  new tokens"                                                           4 apache-new    openidc-new    most  ""
compare "  Apache + floor to Apache + mod_auth_openidc"                          4 apache-floor  openidc        most  ""
compare "requests/s: lighttpd + bearergate + program to express-oauth2-jwt-bearer" 3 app-gate   node           least 3
compare "  new tokens"                                                           3 app-new       node           least ""
compare "  a file instead of the program"                                        3 lighttpd-gate node           least ""
compare "requests/s: lighttpd + bearergate + program to the FastAPI stand-in"    3 app-gate      python         least 6
compare "  new tokens"                                                           3 app-new       python         least ""
compare "  a file instead of the program"                                        3 lighttpd-gate python         least ""
for line in "${left_out[@]}"; do
	printf 'left out: %s\n' "$line"
done
printf '%d s\n' "$SECONDS"
