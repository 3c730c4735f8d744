#!/bin/bash
# bearergate-cgi behind Apache, in the place of the script (ScriptAlias), with the example configuration.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

begin apache2 cc python3
languages

use_wrapper "script = \"$work/bin/show-claims\""
cat >"$work/more.conf" <<END
LoadModule env_module ${APACHE_MODULES:-/usr/lib/apache2/modules}/mod_env.so
ScriptAlias "/api/misspelt" "$bg_cgi"
<Location "/api/misspelt">
  SetEnv BEARERGATE_SCOPES read:messages
</Location>
END
for language in sh perl python c; do
	claims_config "$work/$language.conf"
	printf 'script = "%s"\n' "$work/bin/$language.cgi" >>"$work/$language.conf"
	printf 'ScriptAlias "/api/%s" "%s"\n<Location "/api/%s">\n  SetEnv BEARERGATE_CONFIG "%s"\n</Location>\n' \
	    "$language" "$bg_cgi" "$language" "$work/$language.conf" >>"$work/more.conf"
done
# A script that names the wrapper itself, and its interpreter.
claims_config "$work/line.conf"
printf 'script_root = "%s"\n' "$work/bin" >>"$work/line.conf"
for name in line.cgi nph-line.cgi; do
	{ printf '#!%s /usr/bin/perl -T\n' "$bg_cgi" && sed 1d "$work/bin/perl.cgi"; } >"$work/bin/$name"
	chmod 755 "$work/bin/$name"
	printf 'ScriptAlias "/api/%s" "%s"\n<Location "/api/%s">\n  SetEnv BEARERGATE_CONFIG "%s"\n</Location>\n' \
	    "$name" "$work/bin/$name" "$name" "$work/line.conf" >>"$work/more.conf"
done
# Of a program whose name begins so, the server hands on the answer as it is: in the place of such a script the wrapper has such a name.
own_answers "$work/bin/nph-full" "$work/bin/nph-name"
cp "$bg_cgi" "$work/bin/nph-bearergate-cgi"
claims_config "$work/full.conf"
printf 'script = "%s"\n' "$work/bin/nph-full" >>"$work/full.conf"
cat >>"$work/more.conf" <<END
ScriptAlias "/bare/" "$work/bin/"
<Location "/bare">
  Require all granted
</Location>
ScriptAlias "/api/nph-full" "$work/bin/nph-bearergate-cgi"
<Location "/api/nph-full">
  SetEnv BEARERGATE_CONFIG "$work/full.conf"
</Location>
END
start_wrapped apache scriptalias.conf "$work/more.conf"
all_routes null
headers_set_nothing
secrets_are_in_no_log
queries_choose_nothing
large_bodies_go_where_they_should 100
chunked_bodies_do_not_spoil_a_refusal /api/private
for language in sh perl python c; do
	speaks "$language" "/api/$language"
done
speaks perl /api/line.cgi
speaks perl "/api/line.cgi?$work/bin/c.cgi+$work/bin/line.cgi"
own_answers_are_the_same /api/nph-full /bare/nph-full
denied "a script whose server does not look at its answer is refused in full (nph-)" 401 - no_token /api/nph-line.cgi
asks_behind "script = \"$work/bin/show-claims\""
finish
