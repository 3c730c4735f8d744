#!/bin/bash
# What "make install" leaves behind, run by "make installcheck" alone: each program finds its fellows where they were
# installed, without being told; pages and examples are those of the tree, which the other tests have run.
# shellcheck disable=SC2317,SC2119,SC2154 # functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

: "${BG_MAN:?}" "${BG_DOC:?}" "${BG_EXAMPLES:?}"
keys_begin

# Files.

said=$(
	for program in "$BG_TOOL" "$BG_FCGI" "$BG_FETCH" "$BG_CGI" "$(dirname "$BG_CGI")"/bearergate-alone{,-all}.so; do
		wrong "mode of $program" "$(stat -c %a "$program")" 755
	done
)
verdict "the programs and their parts are there, for everybody to run and nobody else to change" "$said"
said=$(
	for page in tool/bearergate.1 conf/bearergate.conf.5 cgi/bearergate-cgi.8 fcgi/bearergate-fcgi.8 fetch/bearergate-fetch.8; do
		cmp "$bg_source/$page" "$BG_MAN/man${page##*.}/${page##*/}" 2>&1
	done
)
verdict "so is the page of each" "$said"
said=$(cd "$bg_source" && for file in README.md NEWS LICENSE doc/*.md; do cmp "$file" "$BG_DOC/$file" 2>&1; done)
verdict "and what there is to read" "$said"
is "the examples are all there, as they are in the tree, and no others" \
    "$(diff -r "$bg_source/conf/examples" "$BG_EXAMPLES" 2>&1)" "Only in $BG_EXAMPLES: bearergate.conf.in"
check "the commented configuration too" cmp -s "$bg_source/conf/bearergate.conf.in" "$BG_EXAMPLES/bearergate.conf.in"
said=$(cd "$bg_source" && find conf/examples -type f -perm -100 | while IFS= read -r file; do
	[ -x "$BG_EXAMPLES/${file#conf/examples/}" ] || printf '%s\n' "$file"
done)
verdict "and what can be run can still be run" "$said"

# Each other.

if [ -n "${BG_DESTDIR:-}" ]; then
	echo "not tried: what finds what, since it is not where it will be"
	finish
fi
# As www-data, for whom this tree may be out of reach.
if ! "${bg_unprivileged[@]}" test -x "$BG_FETCH"; then
	bg_unprivileged=()
fi
start_issuer
discovery | put .well-known/openid-configuration
config
code=0
said=$("$BG_TOOL" keys -c "$work/bearergate.conf" --refresh --json 2>"$work/keys.log") || code=$?
is "bearergate finds bearergate-fetch" "$code $(jq -r '.[0].state' <<<"$said")" "0 good"

: >"$work/daemon.log"
start "$work/daemon.log" "$BG_FCGI" -c "$work/bearergate.conf" -l "$socket"
daemon=$started
check "bearergate-fcgi does" wait_for 20 answers 200 "$(mint old)"
is "and has no other" "$(stop "$daemon" 2>/dev/null; grep -c 'reason=fetch_failed' "$work/daemon.log" || :)" 0

# The wrapper alone, with nothing beside it but its configuration: it loads what decides from where it was installed.
mkdir "$work/alone"
bg_cgi=$work/alone/bearergate-cgi
cp "$BG_CGI" "$bg_cgi"
cat >"$work/alone/probe" <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\n\nran %s' "$CLAIM_SUB"
END
chmod 755 "$work/alone" "$work/alone"/*
issuer=https://issuer.example/
for more in '' 'policy "p" { claim "sub" { matches = "al.*" } } location "/" { policy = "p" }'; do
	claims_config "$work/alone/bearergate.conf"
	printf 'script = "%s"\n%s\n' "$work/alone/probe" "$more" >>"$work/alone/bearergate.conf"
	"${bg_unprivileged[@]}" env -i REQUEST_METHOD=GET REQUEST_URI=/x HTTP_AUTHORIZATION="Bearer $(token)" "$bg_cgi" \
	    </dev/null >"$work/out" 2>"$work/cgi.log" || :
	verdict "bearergate-cgi finds the part that decides${more:+, with regular expressions too}" \
	    "$([ "$(tail -n 1 "$work/out")" = "ran alice" ] || cat "$work/out" "$work/cgi.log")"
done
finish
