#!/bin/bash
# lighttpd starts the daemon itself (bin-path), with the example configuration: the listening socket is descriptor 0.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; what routes.inc sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/dpop.inc
. "$(dirname "$0")/dpop.inc"

begin lighttpd
bg_template=$bg_source/conf/examples/lighttpd/bin-path.conf
mkdir "$work/stores"
[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/stores"
cat >"$work/more.conf" <<'END'
$HTTP["url"] =^ "/api/misspelt" { setenv.set-environment = ( "BEARERGATE_SCOPES" => "read:messages" ) }
END

serve() { # serve [MORE]: lighttpd, with this line more in the daemon's configuration; its log is lighttpd's standard error
	claims_config "$work/bearergate.conf"
	printf '%s\n' "${1:-}" >>"$work/bearergate.conf"
	start_server lighttpd "" "$work/more.conf"
	ln -sf "$work/lighttpd.log" "$work/daemon.log"
	bearer "$good"
	check "lighttpd starts the daemon and lets a good token in" wait_for 30 lets_in
}

# shellcheck disable=SC2013 # words are what is wanted
spawned() { # the daemons that lighttpd started, one on each line; it runs other programs as well
	local pid

	for pid in $(cat "/proc/$server/task/$server/children"); do
		if [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | head -n 1)" = "$bg_fcgi" ]; then
			printf '%s\n' "$pid"
		fi
	done
}

proof_status() { # proof_status: what a new proof gets, twice; sets $statuses
	dpop "$(proof GET "http://127.0.0.1:$port/api/private")"
	request /api/private "${auth[@]}"
	statuses=$status
	request /api/private "${auth[@]}"
	statuses+=" $status"
}

good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)
bound_tokens
serve "replay = \"lmdb:$work/stores/replay\""
is "there is one daemon" "$(spawned | wc -l)" 1
all_routes null
proof_status
is "a proof passes once (SR-63)" "$statuses" "200 400"
spent=("${auth[@]}")
pid=$(spawned)
worker=$(worker_of "$pid")
kill -KILL "$worker"
bearer "$good"
check "a worker that dies is replaced" wait_for 20 lets_in
is "by the same daemon" "$(spawned)" "$pid"
auth=("${spent[@]}")
denied "and knows what its predecessor did" 400 invalid_dpop_proof proof_spent /api/private "${auth[@]}"
pid=$(spawned)
worker=$(worker_of "$pid")
stop "$server" || :
check "it ends with lighttpd" wait_for 30 gone "$pid"
check "with its worker" wait_for 30 ended "$worker"

# Four of them, with nothing that they share: no proof passes, as it would pass four times.
bg_edit=(-e '/"max-procs"/d')
serve
is "without max-procs there are four" "$(spawned | wc -l)" 4
if grep -q 'remembered by this process alone' "$work/daemon.log"; then
	log_mark
	proof_status
	is "and where each would remember proofs by itself none passes (SR-63)" "$statuses" "500 500"
	check "and the log says why" reason_logged internal
	check "at the start as well" grep -q 'DPoP proofs are refused: .*replay = "lmdb:/PATH"' "$work/daemon.log"

	# They still serve what they were given, whatever an address that is listed now would mean at the next start.
	printf 'listen = { "unix:%s/tmp/own.sock" }\n' "$work" >>"$work/bearergate.conf"
	for pid in $(spawned); do
		kill -HUP "$pid"
	done
	check "all of them read the configuration anew" wait_for 20 lines_at_least 4 'was read anew and is in force' "$work/daemon.log"
	proof_status
	is "and none takes to remembering proofs by itself (SR-63)" "$statuses" "500 500"
fi
stop "$server" || :
serve "replay = \"lmdb:$work/stores/replay\""
for i in 1 2 3 4 5; do
	dpop "$(proof GET "http://127.0.0.1:$port/api/private")"
	is "of twelve clients at once one uses proof $i (SR-63)" "$(seq 12 | xargs -P 12 -I{} curl -s -o /dev/null --max-time 30 \
	    -w '%{http_code}\n' "${auth[@]}" "http://127.0.0.1:$port/api/private" | sort | uniq -c | tr -s ' \n' ' ')" " 1 200 11 400 "
done
finish
