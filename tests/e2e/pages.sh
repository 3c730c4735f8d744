#!/bin/bash
# The pages of the daemon, as four web servers show them by the example configuration: who sees them, what they say, and
# that none of them is ever taken for a permission.
# shellcheck disable=SC2016,SC2317,SC2119,SC2154 # what bash -c expands; functions that wait_for and check call; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

begin nginx lighttpd
servers=(nginx lighttpd)
! command -v caddy >/dev/null || servers+=(caddy)
[ ! -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_proxy_fcgi.so" ] || servers+=(apache)
canary=swordfish-$SRANDOM
claims_config "$work/bearergate.conf"
cat >"$work/store.conf" <<END
replay          = "redis://$canary-user@127.0.0.1:1/"
replay_password = "$canary"
END
# from the start, since a reload may not ask for a connection that the worker's sandbox does not have
cat "$work/store.conf" >>"$work/bearergate.conf"
cat - "$work/store.conf" >"$work/nokeys.conf" <<END
issuer "$issuer" { audience = { "$audience" } jwks_file = "$work/jwks.json" }
issuer "https://127.0.0.1:1/" { audience = { "$audience" } jwks_uri = "https://127.0.0.1:1/keys?a='b'" }
END
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)

pages=(ping ready status metrics)

# Locations that a tired person could write, for nginx.  Each must let nobody in.
cat >"$work/nginx.more" <<END
$(cat "$bg_source/conf/examples/nginx/pages.conf")
    # auth_request to the page itself
    location /trap/page/ { auth_request /_bearergate/status; proxy_pass http://@BACKEND@/api/; }
    location /trap/ping/ { auth_request /_bearergate/ping; proxy_pass http://@BACKEND@/api/; }
    # BEARERGATE_PAGE where a demand should stand, with what the example includes there
    location = /_trap/params { internal; include @PARAMS@; fastcgi_param BEARERGATE_PAGE ping; fastcgi_pass unix:@SOCKET@; }
    location /trap/params/ { auth_request /_trap/params; proxy_pass http://@BACKEND@/api/; }
    # the same with nothing at all
    location = /_trap/bare { internal; fastcgi_param BEARERGATE_PAGE ping; fastcgi_param REQUEST_METHOD GET;
      fastcgi_pass_request_body off; fastcgi_pass unix:@SOCKET@; }
    location /trap/bare/ { auth_request /_trap/bare; proxy_pass http://@BACKEND@/api/; }
    # and with what nginx's own fastcgi_params say
    location = /_trap/usual { internal; fastcgi_param BEARERGATE_PAGE ping; fastcgi_param REQUEST_METHOD \$request_method;
      fastcgi_param REQUEST_URI \$request_uri; fastcgi_param SCRIPT_NAME \$fastcgi_script_name; fastcgi_param DOCUMENT_URI \$document_uri;
      fastcgi_param QUERY_STRING \$query_string; fastcgi_pass_request_body off; fastcgi_pass unix:@SOCKET@; }
    location /trap/usual/ { auth_request /_trap/usual; proxy_pass http://@BACKEND@/api/; }
    # a page that does not exist
    location = /_bearergate/nosuch { fastcgi_param BEARERGATE_PAGE nosuch; fastcgi_param REQUEST_METHOD \$request_method;
      fastcgi_param REQUEST_URI \$request_uri; fastcgi_param SCRIPT_NAME \$uri; fastcgi_pass unix:@SOCKET@; }
END
cat >"$work/lighttpd.more" <<END
$(cat "$bg_source/conf/examples/lighttpd/pages.conf")
# an authorizer that is asked for a page
\$HTTP["url"] =^ "/api/private/trap" { setenv.set-environment = ( "BEARERGATE_PAGE" => "ping" ) }
END
# forward_auth to a page: to one path, to the client's own, and to the root; Caddy's matchers and transports are the same in all.
{
	cat "$bg_source/conf/examples/caddy/pages.conf"
	for trap in 'page /_bearergate/ping' 'same {http.request.uri.path}' 'whole {http.request.uri}' 'root /'; do
		cat <<-END
			@trap_${trap% *} path /trap/${trap% *}/*
			handle @trap_${trap% *} {
				forward_auth unix/@SOCKET@ {
					uri ${trap#* }
					transport fastcgi {
						env BEARERGATE_PAGE ping
						split /private /ping
					}
				}
				respond "let in" 200
			}
		END
	done
} >"$work/caddy.more"
cat >"$work/apache.more" <<END
$(cat "$bg_source/conf/examples/apache/pages.conf")
# an authorizer that is asked for a page
<Location "/api/private/trap">
  SetEnvIf Request_URI ".*" BEARERGATE_PAGE=ping
</Location>
END

says() { # says SENTENCE PATH STATUS WORDS [CURL-OPTION...]: the page has this status and these words
	local sentence=$1 path=$2 code=$3 words=$4

	shift 4
	request "$path" "$@"
	verdict "$server_kind: $sentence" "$(
		wrong status "$status" "$code"
		grep -q -F -e "$words" "$work/body" || printf 'no "%s" in: %s\n' "$words" "$(head -c 400 "$work/body")"
	)"
}

pages_are_shown() {
	says "ping answers" /_bearergate/ping 200 pong
	says "ready, as every issuer has keys" /_bearergate/ready 200 ready
	says "status is text" /_bearergate/status 200 'state            ready'
	is "$server_kind: and is not to be stored" "$(header Cache-Control) $(header Content-Type)" "no-store text/plain; charset=utf-8"
	request '/_bearergate/status?json'
	is "$server_kind: JSON where it is asked for" "$status $(header Content-Type) $(json '.ready, .issuers[0].state' | xargs)" \
	    "200 application/json true good"
	says "HTML for a browser" /_bearergate/status 200 '<!DOCTYPE html>' -H 'Accept: text/html'
	check "$server_kind: which may load nothing from elsewhere" \
	    grep -q -i "^Content-Security-Policy: default-src 'none'" "$work/head"
	says "metrics" /_bearergate/metrics 200 bearergate_refused_total
	check "$server_kind: with figures of the process" \
	    [ "$(grep -c -E '^process_(open_fds|max_fds|resident_memory_bytes|cpu_seconds_total|start_time_seconds) [1-9]' "$work/body")" -ge 4 ]
	cp "$work/body" "$work/metrics"
	request /_bearergate/status --head
	is "$server_kind: HEAD is answered without a body" "$status $(head_body /_bearergate/status)" "200 "
	request /_bearergate/ping -X DELETE
	is "$server_kind: any other method is 405" "$status" 405
	bearer "$good"
	says "a token makes no difference" /_bearergate/ping 200 pong "${auth[@]}"
}

counted() { # counted JQ-FILTER: of the status
	request '/_bearergate/status?json'
	json "$1"
}

decisions_are_counted() {
	local before after

	before=$(counted '.allowed.bearer + 0, .refused.no_token + 0, .answers."401" + 0' | xargs)
	bearer "$good"
	request /api/private "${auth[@]}"
	is "$server_kind: a token passes as ever" "$status" 200
	request /api/private
	request /api/private
	after=$(counted '.allowed.bearer, .refused.no_token, .answers."401"' | xargs)
	is "$server_kind: an allow and two refusals are counted" "$after" \
	    "$(awk '{ print $1 + 1, $2 + 2, $3 + 2 }' <<<"$before")"
	is "$server_kind: so is the token that is remembered" "$(json '.tokens >= 1 and .max_tokens == 10000')" true
	is "$server_kind: and are in the chart of the last hour" "$(json '[.recent.allowed[], .recent.refused[]] | add >= 3')" true
	request /_bearergate/ping
	is "$server_kind: a page is no decision" "$(counted '.allowed.bearer, .refused.no_token, .answers."401"' | xargs)" "$after"
}

# Wherever the configuration does not lead to a page, no path, query or header does.
clients_find_no_other_way() {
	local path page found=''

	for page in "${pages[@]}"; do
		for path in "/$page" "/_bearergate/$page/more" "/_bearergate/$page%00" "/_bearergate" "/_bearergate/" "/api/private/$page" \
		    "/api/private/_bearergate/$page" "/api/private/..;/_bearergate/$page" "/api/private?BEARERGATE_PAGE=$page" \
		    "/api/private/%2e%2e%2f%2e%2e%2f_bearergate%2f$page" "/_BEARERGATE/$page" "/api/private?/_bearergate/$page"; do
			request "$path" -H "BEARERGATE_PAGE: $page" -H "BEARERGATE-PAGE: $page" -H "Bearergate-Page: $page" \
			    -H "X-Original-URI: /_bearergate/$page" -H "X-Rewrite-URL: /_bearergate/$page" -H "SCRIPT_NAME: /api/private"
			# Caddy answers what nobody handles with 200 and nothing in it.
			if { [[ $status = 2?? ]] && { [ "$server_kind" != caddy ] || [ -s "$work/body" ]; }; } || grep -q -e pong -e bearergate_refused -e 'bearergate-fcgi ' -e '^ready' "$work/body"; then
				found+="$path: $status"$'\n'
			fi
		done
	done
	verdict "$server_kind: no other path, query or header leads to a page" "$found"
}

traps_of_nginx_let_nobody_in() {
	local trap

	for trap in page ping params bare usual; do
		log_mark
		request "/trap/$trap/private"
		is "nginx: auth_request that leads to a page ($trap) lets nobody in" "$status $(json .detail.error) $(route)" \
		    "500 internal_server_error "
		check "nginx: and the log says why" wait_for 30 reason_logged bad_variable
		bearer "$good"
		request "/trap/$trap/private" "${auth[@]}"
		is "nginx: not even with a token" "$status $(route)" "500 "
	done
	# The client writes its path so that it looks like the page's.
	for trap in /trap/page/_bearergate/status '/trap/page/private?/_bearergate/status' /_bearergate/status/../../trap/page/private \
	    /_bearergate/status%2f..%2f..%2ftrap/page/private //_bearergate/status/../../trap/page/private; do
		request "$trap"
		is "nginx: whatever the path, $trap" "$([[ $status = 2?? ]] && echo "let in: $status") $(route)" " "
	done
	request /trap/page/private --request-target "http://127.0.0.1/_bearergate/status/../../trap/page/private"
	is "nginx: nor an absolute one" "$([[ $status = 2?? ]] && echo "let in: $status") $(route)" " "
	log_mark
	request /_bearergate/nosuch
	is "nginx: a page that does not exist is refused" "$status $(json .detail.error)" "403 internal_server_error"
	check "nginx: with a line that names those that do" wait_for 30 reason_logged bad_variable
}

traps_of_caddy_let_nobody_in() {
	local trap options

	for trap in page same whole root; do
		for options in '' "-X HEAD --head" "-X POST -d x"; do
			log_mark
			# shellcheck disable=SC2086 # several words
			request "/trap/$trap/private" $options
			is "caddy: forward_auth that leads to a page ($trap${options:+, $options}) lets nobody in" \
			    "$status $(grep -o 'let in' "$work/body")" "403 "
			check "caddy: and the log says why" wait_for 30 reason_logged bad_variable
		done
		bearer "$good"
		request "/trap/$trap/private" "${auth[@]}"
		is "caddy: not even with a token ($trap)" "$status $(grep -o 'let in' "$work/body")" "403 "
	done
}

traps_of_authorizers_let_nobody_in() {
	bearer "$good"
	denied "$server_kind: an authorizer that is asked for a page refuses (500)" 500 internal_server_error bad_variable \
	    /api/private/trap "${auth[@]}"
	denied "$server_kind: without a token too" 500 internal_server_error bad_variable /api/private/trap
}

reloads_and_keys_are_shown() {
	is "$server_kind: no reload yet" "$(counted '.reloads, .failed_reloads' | xargs)" "0 0"
	printf 'nonsense = 1\n' >>"$work/bearergate.conf"
	kill -HUP "$daemon"
	check "a reload that fails is counted" wait_for 30 counts '.failed_reloads' 1
	cp "$work/nokeys.conf" "$work/bearergate.conf"
	kill -HUP "$daemon"
	check "one that takes effect too" wait_for 30 counts '.reloads' 1
	check "decisions are counted on" [ "$(counted '.allowed.bearer')" -gt 0 ]
	is "the store is shown by its kind" "$(counted '.replay')" redis
	check "an issuer without keys is seen to fail" wait_for 20 counts '.issuers[1].failures > 0' true
	says "an issuer without keys is not ready" /_bearergate/ready 503 'no keys of "https://127.0.0.1:1/"'
	check "and only that one" [ "$(grep -c 'no keys of' "$work/body")" -eq 1 ]
	is "metrics say so" "$(request /_bearergate/metrics; grep -E '^bearergate_(issuer_)?ready' "$work/body" | xargs)" \
	    "bearergate_ready 0 bearergate_issuer_ready{issuer=$issuer} 1 bearergate_issuer_ready{issuer=https://127.0.0.1:1/} 0"
}

counts() { # counts JQ-FILTER VALUE
	[ "$(counted "$1")" = "$2" ]
}

# SR-85: with a token and a password that went through it, on every page, in every form.
pages_tell_no_secrets() {
	local page all=''

	bearer "$good"
	request /api/private "${auth[@]}"
	for page in ping ready status 'status?json' 'status?html' metrics; do
		request "/_bearergate/$page" "${auth[@]}"
		all+=$(cat "$work/body" "$work/head")
	done
	check "no page has a secret or a token (SR-85)" bash -c '! grep -q -F -e "$2" -e "$3" <<<"$1"' - "$all" "$canary" "${good##*.}"
	check "and no page has markup of a stranger" bash -c '! grep -q -F -e "<script" <<<"$1"' - "$all"
}

# With promtool where it is; tests/test_status.c has a strict reader of the format in any case.
prometheus_takes_the_metrics() {
	if command -v promtool >/dev/null; then
		check "promtool finds no fault with the metrics" bash -c 'promtool check metrics <"$1"' - "$work/metrics"
	else
		printf '# promtool is not installed\n'
	fi
}

for server_kind in "${servers[@]}"; do
	if [ "$server_kind" = apache ]; then
		start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l 127.0.0.1:0
		start_server apache "127.0.0.1:$daemon_port" "$work/apache.more"
	else
		start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l "unix:$work/tmp/bg.sock"
		[ "$server_kind" = lighttpd ] || start_backend
		start_server "$server_kind" "$work/tmp/bg.sock" "$work/$server_kind.more"
	fi
	pages_are_shown
	decisions_are_counted
	clients_find_no_other_way
	if [ "$server_kind" = nginx ]; then
		traps_of_nginx_let_nobody_in
		prometheus_takes_the_metrics
	elif [ "$server_kind" = caddy ]; then
		traps_of_caddy_let_nobody_in
	else
		traps_of_authorizers_let_nobody_in
	fi
	if [ "$server_kind" = "${servers[-1]}" ]; then
		reloads_and_keys_are_shown
		pages_tell_no_secrets
	fi
	stop "$server" || :
	stop "$daemon" || :
done
finish
