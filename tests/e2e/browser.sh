#!/bin/bash
# The page /status in a real browser: headless Chromium, wide and narrow, light and dark.  Once as lighttpd shows it, of a daemon
# that has made decisions of every kind; and pages of daemons that are made up, by tests/support/page: one that has just begun,
# one that has been busy for an hour, one of many issuers, and one with a hostile issuer.  Numbers are those of JSON, nothing is
# loaded, nothing a stranger wrote is markup, and all of it can be read.  BG_SHOTS, a directory, gets pictures.
# shellcheck disable=SC2016,SC2317,SC2119,SC2154 # programs of jq; functions that wait_for and check call; variables of keys.inc
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/keys.inc
. "$(dirname "$0")/keys.inc"

keys_begin lighttpd node chromium
page=$(realpath "${top_builddir:-.}/tests/support/page")
[ -x "$page" ] || die "no $page: make check builds it"
scenes=(empty busy many hostile)
bad_text='<script>document.title="taken"</script><img src="//evil.example/x" onerror="document.title=1">'

# What all these decisions are about: an issuer that is up, one that is down, and one that says it is somebody else, in markup.

configure() {
	local store=$1

	config 'public_url = "https://api.example"' "$store" \
	    'location "/api/private/scope" { scope = "read:messages" }' 'location "/api/public" { auth = "none" }'
	printf 'issuer "%s" { audience = { "%s" } }\n' https://127.0.0.1:1/ "$audience" "${issuer}hostile/" "$audience" \
	    >>"$work/bearergate.conf"
}

ask_for() { # ask_for PATH [NAME=VALUE...]: sets $status
	local path=$1

	shift
	status=$(perl "$e2e/fcgi.pl" "$socket" REQUEST_METHOD=GET "REQUEST_URI=$path" QUERY_STRING= SERVER_PROTOCOL=HTTP/1.1 \
	    REMOTE_ADDR=127.0.0.1 "REMOTE_PORT=$((clients++))" HTTP_HOST=api.example HTTPS=on "HTTP_USER_AGENT=$bad_text" "$@" |
	    sed -n '1s/^Status: \([0-9]*\).*/\1/p') || :
}
clients=2000

decide() { # decide SENTENCE STATUS PATH [NAME=VALUE...]
	ask_for "${@:3}"
	is "$1" "$status" "$2"
}

decide_in_every_way() {
	local proof bound

	"$BG_TOOL" mint key -a ES256 -o "$work/client.pem"
	bound=$(mint old --dpop-key "$work/client.pem")
	printf '%s' "$bound" >"$work/bound"
	proof=$("$BG_TOOL" mint proof -k "$work/client.pem" --method GET --url https://api.example/api/private \
	    --token-file "$work/bound")
	for _ in 1 2 3; do
		request /api/private -H "Authorization: Bearer $good"
		is "a good token passes" "$status" 200
	done
	decide "a proof passes" 200 /api/private "HTTP_AUTHORIZATION=DPoP $bound" "HTTP_DPOP=$proof"
	decide "but not twice" 400 /api/private "HTTP_AUTHORIZATION=DPoP $bound" "HTTP_DPOP=$proof"
	decide "a public path needs no token" 200 /api/public
	request /api/private -A "$bad_text"
	is "another one does" "$status" 401
	decide "whatever its name" 401 "/$bad_text"
	decide "an expired token is refused" 401 /api/private "HTTP_AUTHORIZATION=Bearer $(mint old --expires -1h)"
	decide "a forged one" 401 /api/private "HTTP_AUTHORIZATION=Bearer ${good%.*}.$(other_character "${good##*.}" 20)"
	decide "one without the scope" 403 /api/private/scope "HTTP_AUTHORIZATION=Bearer $good"
	decide "nonsense" 400 /api/private "HTTP_AUTHORIZATION=Bearer $bad_text"
	decide "one whose issuer is down has to wait" 503 /api/private \
	    "HTTP_AUTHORIZATION=Bearer $("$BG_TOOL" mint token -k "$work/old.pem" --iss https://127.0.0.1:1/ --aud "$audience" --sub x)"
}

keys_settled() { # has each issuer been asked, and one failed with what it was told?
	request '/_bearergate/status?json'
	[ "$(json '[.issuers[] | (.fetched // .failed) > 0] | all')" = true ]
}

# What is wrong with a page, NAME in seen, line by line, by the JSON of the same daemon.  A bar's height is its share of the
# scale, and what is not nothing has 12 units of 964 (fcgi/status_html.c); contrasts are those of WCAG 2.1, 1.4.3 and 1.4.11.
faults='
	def differs($what; $got; $want): if $got == $want then empty else "\($what) is \($got | tojson), not \($want | tojson)" end;
	def number: gsub(","; "") | tonumber;
	def known: ["b","body","div","footer","g","h1","h2","h3","head","header","html","i","li","main","meta","p","path","rect",
	    "section","small","span","style","svg","table","tbody","td","th","thead","title","tr","ul"];
	def table($name): first(.tables[] | select(.name == $name)) // {rows: []} | .rows;
	def values: map({key: .name, value: (.value | number)}) | from_entries;
	def reasons: [to_entries[] | .value] | sort | reverse;
	$seen[0][$name] as $page | $json[0] as $want |
	differs("the status"; $page.status; 200),
	differs("what the console says"; $page.console; []),
	differs("what was asked for"; $page.requests; [$page.url]),
	($page.looks | to_entries[] | .key as $look | .value | (
		differs("the title"; .title; if $want.ready then "bearergate: ready" else "bearergate: not ready" end),
		differs("the language"; .lang; "en"),
		differs("the first heading"; .headings[0]; "h1 bearergate-fcgi"),
		differs("the headings"; [.headings[] | select(startswith("h2"))] | length; 7),
		differs("the width"; .scrollWidth <= .clientWidth; true),
		differs("what does not fit"; .outside; []),
		differs("what else there is"; .elements - known; []),
		differs("event handlers"; .handlers; []),
		differs("the faintest text"; .faint | map(select(.ratio < 4.5)); []),
		differs("the faintest colour of the chart"; .chart.colours | length == 3 and min >= 3; true),
		differs("tables without a name"; [.tables[] | select(.name == "")] | length; 0),
		differs("rows without a scope"; [.tables[].rows[] | select(.scope != "row" and .scope != "col")]; []),
		differs("the chart"; [.chart.role, .chart.drawn > 100]; ["img", true]),
		differs("the tiles"; .tiles | map_values(number); $want.recent | {allowed: (.allowed | add), refused: (.refused | add),
		    failed: (.failed | add)}),
		differs("its label"; .chart.label; $want.recent | "Decisions in the last hour: \(.allowed | add) allowed, " +
		    "\(.refused | add) refused, \(.failed | add) failed"),
		(.scale | number) as $scale | .chart.height as $height | .chart.series as $bars |
		differs("the scale"; $scale >= ([$want.recent | [.allowed, .refused, .failed] | transpose[] | add] | max); true),
		(["allowed", "refused", "failed"] | to_entries[] | .key as $i | .value as $series |
		    differs("the bars of \($series)"; [$bars[$i][].height];
			[$want.recent[$series][] | select(. > 0) | [12, (. / $scale * $height | floor)] | max])) ,
		differs("bars that do not stand on those below"; [range(1; 3) as $i | $bars[$i][] | .slot as $slot |
		    select(.foot != 1000 - ([$bars[range(0; $i)][] | select(.slot == $slot) | .height] | add // 0))]; []),
		differs("the tips"; .chart.tips | length; [$want.recent | [.allowed, .refused, .failed] | transpose[] | add |
		    select(. > 0)] | length),
		differs("what passed"; table("Allowed since the start") | values;
		    $want.allowed | {Bearer: .bearer, DPoP: .dpop, "no token": .anonymous}),
		(table("Reasons of refusal since the start") as $rows | ($rows | values) as $values |
			differs("the reasons"; [$values | del(."all others") | to_entries[] | select($want.refused[.key] != .value)]; []),
			differs("all refusals"; $values | add; $want.refused | add),
			differs("the order of reasons"; [$rows[] | select(.name != "all others") | .value | number];
			    ($want.refused | reasons)[:12]),
			differs("bars of reasons"; [$rows[0] as $first | $rows[] | select(.name != "all others" and
			    ((.bar / $first.bar) - ((.value | number) / ($first.value | number)) | fabs) > 0.1) | .name]; [])),
		differs("tokens remembered"; [table("Tokens and proofs")[] | select(.name == "tokens remembered") | .value |
		    split(" of ")[] | number]; [$want.tokens, $want.max_tokens]),
		differs("the replay store"; [table("Tokens and proofs")[] | select(.name == "replay store") | .value];
		    [$want.replay]),
		differs("the issuers"; .issuers | length; $want.issuers | length),
		differs("what is told of failures"; .errors | length; [$want.issuers[] | select(.error)] | length)
	) | "\($look): \(.)")'

is_right() { # is_right NAME SENTENCE: by NAME.json
	verdict "$2" "$(jq -n -r --arg name "$1" --slurpfile seen "$work/seen" --slurpfile json "$work/$1.json" "$faults" 2>&1)"
}

# Is markup in the text of the page, in every look?
shows() { # shows NAME WORDS
	[ "$(jq --arg name "$1" --arg words "$2" '[.[$name].looks[].words | contains($words)] | all' "$work/seen")" = true ]
}

start_issuer
discovery | put .well-known/openid-configuration
discovery ".issuer = $(jq -n --arg text "$bad_text" '$text')" | put hostile/.well-known/openid-configuration
good=$(mint old)
mkdir -m 700 "$work/store"
[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/store"
configure "replay = \"lmdb:$work/store\""
if "$bg_fcgi" -t -c "$work/bearergate.conf" -l 127.0.0.1:0 2>&1 | grep -q -F 'was built without'; then
	configure 'realm = "without LMDB"'
fi
start_gate
start_server lighttpd "$work/tmp/bg.sock" "$bg_source/conf/examples/lighttpd/pages.conf"
check "keys are there, or are known not to be" wait_for 60 keys_settled
decide_in_every_way
request '/_bearergate/status?json'
cp "$work/body" "$work/real.json"
is "each of them is counted" "$(jq -c -S .allowed "$work/real.json")" '{"anonymous":1,"bearer":3,"dpop":1}'
is "by its reason" "$(jq -c -S .refused "$work/real.json")" \
    '{"bad_credentials":1,"bad_signature":1,"expired":1,"no_keys":1,"no_scope":1,"no_token":2,"proof_spent":1}'
args=(real="http://127.0.0.1:$port/_bearergate/status")
for scene in "${scenes[@]}"; do
	"$page" "$scene" html >"$work/$scene.html"
	"$page" "$scene" json | sed '1,/^\r$/d' >"$work/$scene.json"
	args+=("$scene=$work/$scene.html")
done
mkdir "$work/profile"
[ "${#bg_unprivileged[@]}" -eq 0 ] || chown www-data:www-data "$work/profile"
code=0
"${bg_unprivileged[@]}" env -u DBUS_SESSION_BUS_ADDRESS HOME="$work/profile" timeout -k 5 240 \
    node "$e2e/browser.js" "$(command -v chromium)" "$work/profile/chromium" "${BG_SHOTS:-}" "${args[@]}" \
    >"$work/seen" 2>"$work/browser.log" || code=$?
is "Chromium opens the pages" "$code" 0
request '/_bearergate/status?json'
is "to look at them changes nothing" "$(jq -c '[.allowed, .refused]' "$work/body")" \
    "$(jq -c '[.allowed, .refused]' "$work/real.json")"
is_right real "the page of a daemon behind lighttpd says what its JSON says, and loads nothing"
is_right empty "so does that of one that has just begun"
is_right busy "that of one that has been busy for an hour"
is_right many "that of one with many issuers and large numbers"
is_right hostile "and that of one with a hostile issuer"
check "who has made no decision yet is told so" shows empty 'No decisions in the last hour.'
check "an issuer's markup is text (SR-85)" shows hostile "<script>document.title='taken'</script><img src=//evil.example/x"
check "in a real daemon too" shows real "$bad_text"
is "nothing else was asked for" "$(jq -c .strays "$work/seen")" '[]'
finish
