#!/bin/bash
# bearergate-cgi behind Apache with suexec: programs run as their owner, and of the environment only what suexec holds to be safe
# reaches them.  suexec has its paths built in, so it gets them in a mount namespace of its own, and nothing outside is touched.
# shellcheck disable=SC2317,SC2119 # functions that wait_for and check call
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/routes.inc
. "$(dirname "$0")/routes.inc"
# shellcheck source=tests/e2e/cgi.inc
. "$(dirname "$0")/cgi.inc"

begin apache2 unshare mount python3 cc
suexec=/usr/lib/apache2/suexec-custom
[ -x "$suexec" ] || skip "apache2-suexec-custom is not installed"
[ "$(id -u)" -eq 0 ] || skip "only root has a mount namespace in which suexec becomes somebody"
unshare -m --propagation private mount -t tmpfs tmpfs /mnt || skip "no mount namespace can be had here"
languages

# The user's programs, all of them the user's own, as suexec wants it.
home=$work/www/home
mkdir "$home" "$work/suexec" "$work/tmp/suexec-log"
use_wrapper "script_root = \"$home\"" 'location "/api/private-scoped" { scope = { "read:messages" } }' \
    'location "/line/scoped" { scope = { "read:messages" } }'
cp "$bg_cgi" "$(dirname "$bg_cgi")"/bearergate-alone*.so "$work/bin/bearergate.conf" "$home"
sed -i "s,^script_root.*,script = \"$home/show-claims\"," "$home/bearergate.conf"
cp "$work/bin/show-claims" "$work"/bin/*.cgi "$home"
cp "$work/bin/show-claims" "$home/narrowed"
printf 'scope = { "read:messages" }\n' >"$home/narrowed.bearergate"
for name in whoami scoped narrowed-line; do
	printf '#!%s /bin/sh\nprintf "Content-Type: text/plain\\n\\n"; id -un; env | sort\n' "$bg_cgi" >"$home/$name"
	chmod 755 "$home/$name"
done
printf 'scope = { "read:messages" }\n' >"$home/narrowed-line.bearergate"
chown -R nobody:nogroup "$home"

printf '%s\npublic_html/cgi-bin\n' "$work/www" >"$work/suexec/www-data"
cat >"$work/inside" <<END
#!/bin/sh
set -e
mount --bind "$suexec" "\$(readlink -f /usr/lib/apache2/suexec)"
mount --bind "$work/suexec" /etc/apache2/suexec
mount -t tmpfs tmpfs /var/log
mkdir /var/log/apache2
mount --bind "$work/tmp/suexec-log" /var/log/apache2
exec "\$@"
END
chmod 755 "$work/inside"
bg_unprivileged=(unshare -m --propagation private "$work/inside" "${bg_unprivileged[@]}")

cat >"$work/more.conf" <<END
LoadModule suexec_module  @MODULES@/mod_suexec.so
LoadModule actions_module @MODULES@/mod_actions.so
SuexecUserGroup nobody nogroup
ScriptAlias "/line/" "$home/"
ScriptAlias "/bearergate-cgi" "$home/bearergate-cgi"
Alias "/action/" "$home/"
Alias "/files/" "$home/"
Action bearergate "/bearergate-cgi"
<LocationMatch "^/(line|action|files|bearergate-cgi)(/|\$)">
  Require all granted
  CGIPassAuth On
</LocationMatch>
<Location "/action">
  SetHandler bearergate
</Location>
<Location "/line/whoami">
  SetEnvIf Request_URI ".*" BEARERGATE_SCOPE=read:messages
</Location>
END
# The example's own places have the user's wrapper, and one of them a demand, which suexec drops.
bg_edit=(-e "s|@WRAPPER@|$home/bearergate-cgi|")
start_wrapped apache scriptalias.conf "$work/more.conf"
bg_edit=()
head -c 300000 /dev/urandom >"$work/upload"
good=$("$BG_TOOL" mint token -k "$work/key.pem" --iss "$issuer" --aud "$audience" --sub bob --expires 1h)
scoped=$(token '.scope = "read:messages"')

denied "a request without a token is refused" 401 - no_token /api/private
denied "POST is refused, its body read" 401 - no_token /api/private --data-binary "@$work/upload"
malformed_credentials_are_refused
forged_tokens_are_refused
bearer "$good"
allowed "a token is let in" /api/private /api/private '.CLAIM_SUB == "bob" and .REMOTE_USER == "bob"' "${auth[@]}"
denied "what a location of the configuration demands is demanded" 403 insufficient_scope no_scope /api/private-scoped "${auth[@]}"
headers_set_nothing
queries_choose_nothing

request /line/whoami
is "a script that names the wrapper in its first line is refused without a token" "$status" 401
request /line/whoami "${auth[@]}"
is "and runs as its owner" "$status $(head -n 1 "$work/body")" "200 nobody"
is "for somebody whom the claims name" "$(grep -c -x -e 'CLAIM_SUB=bob' -e 'REMOTE_USER=bob' "$work/body")" 2
# Were the variable not lost, the same request would be a 403.  The manual warns of it.
is "suexec drops BEARERGATE_SCOPE, so the demand has to stand elsewhere" "$(grep -c BEARERGATE "$work/body")" 0
denied "in the configuration" 403 insufficient_scope no_scope /line/scoped "${auth[@]}"
denied "or in a file beside the script" 403 insufficient_scope no_scope /line/narrowed-line "${auth[@]}"
bearer "$scoped"
request /line/narrowed-line "${auth[@]}"
is "which lets in who has it" "$status $(head -n 1 "$work/body")" "200 nobody"

# What the server's own user cannot read it hands out to nobody, wherever it lies; the wrapper is the owner.
request /files/bearergate.conf
is "a configuration in a directory that is served is handed out" "$status $(grep -c "$issuer" "$work/body" || :)" "200 1"
chmod 600 "$home/bearergate.conf"
request /files/bearergate.conf
is "but not with mode 0600" "$status $(grep -c "$issuer" "$work/body" || :)" "403 0"
bearer "$good"
allowed "which is enough for the wrapper" /api/private /api/private '.CLAIM_SUB == "bob"' "${auth[@]}"

# Action: the user's wrapper, for all files of a directory.
sed -i "s,^script = .*,script_root = \"$home\"," "$home/bearergate.conf"
for language in sh perl python c; do
	speaks "$language" "/action/$language.cgi"
done
bearer "$good"
denied "Action goes the same way" 401 - no_token /action/narrowed
denied "a file beside the script counts there, too" 403 insufficient_scope no_scope /action/narrowed "${auth[@]}"
chown root:root "$home/sh.cgi"
request /action/sh.cgi "${auth[@]}"
is "root's script may run as somebody" "$status" 200
chown www-data:www-data "$home/sh.cgi"
request /action/sh.cgi "${auth[@]}"
is "the server's own may not" "$status" 500
finish
