#!/bin/bash
# The ways in which Apache's configuration can have mod_authnz_fcgi ask, by AuthnzFcgiDefineProvider and Require: which of them
# guard, how often each asks, and which asks nobody.
# shellcheck disable=SC2034,SC2317,SC2119,SC2154 # bg_edit; functions that check calls; what lib.sh sets
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/dpop.inc
. "$(dirname "$0")/dpop.inc"

begin apache2
[ -e "${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_authnz_fcgi.so" ] || skip "Apache has no mod_authnz_fcgi"
replay_config "$work/bearergate.conf"
[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work"
start_daemon "$work/daemon.log" -c "$work/bearergate.conf" -l 127.0.0.1:0
bound_tokens
mkdir -p "$work/www/api"
printf secret >"$work/www/api/secret.txt"
cat >"$work/more.conf" <<'END'
LoadModule authn_file_module @MODULES@/mod_authn_file.so
LoadModule authz_user_module @MODULES@/mod_authz_user.so
LoadModule auth_basic_module @MODULES@/mod_auth_basic.so
END

serve() { # serve SED-EXPRESSION...: the example, edited
	local edit

	[ -z "${server:-}" ] || stop "$server" || :
	bg_edit=()
	for edit; do
		bg_edit+=(-e "$edit")
	done
	start_server apache "127.0.0.1:$daemon_port" "$work/more.conf"
}

asked() { # since the mark
	tail -n "+$((marked + 1))" "$work/daemon.log" | grep -c ' decision=' || :
}

guards() { # guards NAME CALLS: files and programs are guarded, and for what is let in the daemon is asked so often
	local name=$1 calls=$2 path

	for path in /api/secret.txt /api/private /api/nothing; do
		denied "$name: $path wants a token" 401 - no_token "$path"
		denied "$name: $path wants a good one" 401 invalid_token expired "$path" -H "Authorization: Bearer $expired"
		denied "$name: $path wants no password" 401 - other_scheme "$path" -u alice:secret
	done
	bearer "$(token)"
	log_mark
	request /api/secret.txt "${auth[@]}"
	is "$name: a file is served with one" "$status $(cat "$work/body")" "200 secret"
	is "$name: asked so often" "$(asked)" "$calls"
	allowed "$name: a program has the claims" /api/private /api/private '.CLAIM_SUB == "alice" and .REMOTE_USER == "alice"' \
	    "${auth[@]}"
	denied "$name: a scope is demanded where it is missing" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
	dpop "$(proof GET "http://127.0.0.1:$port/api/secret.txt")"
	log_mark
	request /api/secret.txt "${auth[@]}"
	is "$name: a proof lets one request in" "$status $(asked)" "200 $calls"
	denied "$name: and no other (SR-63)" 400 invalid_dpop_proof proof_spent /api/secret.txt "${auth[@]}"
	request /api/public
	is "$name: what is public is public" "$status" 200
}

expired=$(token '.exp = $now - 3600')
serve
guards 'authnz and its name' 1

# Any user will do: where other providers know users as well, those are let in by a password.
serve 's/DefineProvider authnz/DefineProvider authn/' 's/Require bearergate/Require valid-user/'
guards 'authn and valid-user' 1

# Who is asked as an authorizer of its own, behind the one that says who it is, is asked twice; and has the last word.
serve 's/^\(AuthnzFcgiDefineProvider\) authnz bearergate \(.*\)/\1 authn bearergate \2\n\1 authz demands \2/' \
    's/Require bearergate/Require demands/'
guards 'authn and authz' 2

# The last without the first asks nobody, and lets nobody in.
serve 's/DefineProvider authnz/DefineProvider authz/' '/AuthnzFcgiCheckAuthn/,/UserExpr/d'
bearer "$(token)"
log_mark
for path in /api/secret.txt /api/private; do
	request "$path" "${auth[@]}"
	is "authz alone: $path is served to nobody" "$status" 500
done
is "authz alone: and nobody is asked" "$(asked)" 0

# No daemon is asked, whatever else is said, where all are granted what they want.
serve 's/Require bearergate/Require all granted/'
log_mark
request /api/secret.txt
is "Require all granted: a file is served to anybody" "$status $(asked)" "200 0"
doctor=0
"$BG_TOOL" doctor "http://127.0.0.1:$port/api/secret.txt" >"$work/doctor.out" || doctor=$?
is "which doctor says" "$doctor $(grep -c '"Require all granted" must not be in effect there' "$work/doctor.out")" "1 1"

# An .htaccess can say so, too, where that is allowed and the guard stands in <Directory>, not in <Location> as in the example.
printf 'Require all granted\n' >"$work/www/api/.htaccess"
serve 's/AllowOverride None/AllowOverride AuthConfig/'
denied "an .htaccess does not undo a <Location>" 401 - no_token /api/secret.txt
serve 's/AllowOverride None/AllowOverride AuthConfig/' \
    '/<Location "\/api">/,/<\/Location>/{s|<Location.*|<Directory "@DOCROOT@/api">|;s|</Location>|</Directory>|}'
doctor=0
"$BG_TOOL" doctor "http://127.0.0.1:$port/api/secret.txt" >"$work/doctor.out" || doctor=$?
is "it undoes a <Directory>, which doctor says" \
    "$doctor $(grep -c '"Require all granted" must not be in effect there, in an .htaccess either' "$work/doctor.out")" "1 1"
finish
