# vitc eval --report: one file, complete or not at all, safe with any text; and, where there is a
# Chromium, used as a person would use it.
. "$(dirname "$0")/cli_lib.sh"

# ---- a model whose labels are as bad as labels can be ----

evil='</script><img src=x onerror=window.hacked=1>'
mkdir model
cp -r "$GOLDEN/checkpoints/hf_vit/." model
sed -i -e "s|\"espresso\"|\"$evil\"|" model/config.json

# ---- images of three of its classes, with names as bad as names can be ----

photos=("$GOLDEN"/photos/*.{jpg,png,webp})
mkdir -p "data/tabby cat" "data/evil" "data/rocket, projectile"
number=0
for round in 1 2 3 4 5 6; do
    for class in "data/tabby cat" "data/evil" "data/rocket, projectile"; do
        cp "${photos[number % ${#photos[@]}]}" "$class/photo$number-$round.jpg"
        number=$((number + 1))
    done
done
cp "${photos[0]}" "data/evil/<script>window.hacked=1<"$'\xff'">'\"&.jpg"
cp "${photos[0]}" "data/tabby cat/"$'line\nbreak \x1b[31m.jpg'
cp "${photos[1]}" "data/tabby cat/twin.jpg"
cp "${photos[1]}" "data/rocket, projectile/twin.jpg"
head -c 2000 "${photos[0]}" >"data/tabby cat/<b>cut.jpg"
echo "no image" >"data/evil/text.jpg"
printf 'evil\t%s\n' "$evil" >map

# ---- the page ----

run eval -m model --map map --report page.html --rows rows.jsonl data
exits 1
check "a page" test -s page.html
check "it is complete" test "$(tail -n 1 page.html)" = "</html>"
for section in summary classes confusion calibration errors uncertain alike bad speed model run images; do
    check "section $section" test "$(grep -c "<section id=\"$section\"" page.html)" -eq 1
done
check "no number is missing" sh -c '! grep -Eiq ">-?(nan|inf)" page.html'
check "nothing from elsewhere" sh -c '! grep -Eiq "(src|href|url)[=(][\"'\'']?(https?:|//|file:)" page.html'
check "pictures" test "$(grep -o 'src="data:image/' page.html | wc -l)" -ge 12
check "a look-alike in another class" grep -qF 'twin.jpg' page.html
check "the command" grep -qF 'eval -m model --map map --report page.html --rows rows.jsonl data' page.html
check "no label became markup" sh -c '! grep -qF "<img src=x" page.html'
check "no name became markup" sh -c '! grep -qF "<script>window" page.html && ! grep -qF "<b>cut" page.html'
check "no control character" sh -c '! LC_ALL=C grep -q "$(printf "\033")" page.html'
check "the page is UTF-8" iconv -f UTF-8 -t UTF-8 -o /dev/null page.html

run eval -m model --map map --report page.html --rows rows.jsonl --resume data
exits 1
check "a page of rows that were there" grep -q '<section id="run"' page.html
run eval -m model --map map --rows bare.jsonl data
run eval -m model --map map --rows bare.jsonl --resume --report bare.html data
check "images that were not compared are told" grep -q "their rows were made without --report" bare.html
check "and nothing else is said of them" lacks bare.html "No two images of different classes"
run eval -m model --map map --report again.html --no-times data
exits 1
check "a page without times" grep -q '<section id="run"' again.html
check "has no speed" lacks again.html '<section id="speed"'
check "and no date" lacks again.html '<dt>date</dt>'
mv again.html once.html
run eval -m model --map map --report again.html --no-times data
check "and is the same again" cmp once.html again.html
run eval -m model --map map --report page.html --rows rows.jsonl data
exits 2
check "rows that exist are not written over, and the page stays" grep -q '<section id="run"' page.html

# ---- complete or not at all ----

echo old >old.html
(
    trap '' XFSZ
    ulimit -f 16
    exec "$VITC" eval -m model --map map --report old.html data >out 2>err
)
rc=$?
command_line="vitc eval --report with no room for it"
exits 4
err_has old.html
check "the old page stays" test "$(cat old.html)" = old
check "and no part of a new one" test -z "$(find . -name 'old.html?*')"
run eval -m model --map map --report nowhere/page.html data
exits 4
err_has nowhere/page.html

# ---- many classes: the same head four times ----

mkdir many
cp -r "$GOLDEN/checkpoints/hf_vit/." many
weights=$GOLDEN/checkpoints/hf_vit/model.safetensors
size=$(od -An -tu8 -N8 "$weights" | tr -d ' ')
tail -c "+9" "$weights" | head -c "$size" | sed 's/"data_offsets"/\n&/g' | awk -F'[][,]' '
    # 6 classes become 24: their 24 + 768 bytes come first, everything behind moves up
    /^"data_offsets"/ {
        begin = $2 == 0 ? 0 : $2 == 24 ? 96 : $2 + 3 * 792
        end = $3 == 24 ? 96 : $3 + 3 * 792
        sub(/\[[0-9]+,[0-9]+\]/, "[" begin "," end "]")
    }
    { gsub(/"shape":\[6\]/, "\"shape\":[24]"); gsub(/"shape":\[6,32\]/, "\"shape\":[24,32]"); printf "%s", $0 }' >header
while [ $(($(wc -c <header) % 8)) -ne 0 ]; do printf ' ' >>header; done
length=$(wc -c <header)
{
    for shift in 0 8 16 24 32 40 48 56; do
        # shellcheck disable=SC2059  # one byte in octal
        printf "\\$(printf %03o $((length >> shift & 255)))"
    done
    cat header
    for part in "0 24" "24 768"; do
        for _ in 1 2 3 4; do tail -c "+$((9 + size + ${part% *}))" "$weights" | head -c "${part#* }"; done
    done
    tail -c "+$((9 + size + 792))" "$weights"
} >many/model.safetensors
{
    echo '{ "id2label": {'
    for i in $(seq 0 22); do echo "\"$i\": \"kind $i\","; done
    echo '"23": "kind 23" },'
    sed -e 1d -e '/"id2label"/,/}/d' -e '/"label2id"/,/}/d' "$GOLDEN/checkpoints/hf_vit/config.json"
} >many/config.json
for i in $(seq 0 23); do
    mkdir -p "kinds/kind $i"
    for j in 1 2 3; do cp "${photos[(i + j) % ${#photos[@]}]}" "kinds/kind $i/$j.jpg"; done
done
cp "data/tabby cat/<b>cut.jpg" "kinds/kind 3/cut.jpg"
run eval -m many --report many.html kinds
exits 1
check "a matrix to be drawn" grep -q 'id="confusion-cells"' many.html

# ---- in a browser ----

browser=
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null || continue
    browse() { # ARGS...: the document as it is after the scripts
        timeout 120 "$name" --headless --no-sandbox --disable-gpu --user-data-dir="$work/browser" \
            --virtual-time-budget=20000 --enable-logging=stderr --dump-dom "$@"
    }
    # Ubuntu's is a stub that wants a snap.
    if browse 'data:text/html,<p id=works>' 2>/dev/null | grep -q 'id="works"'; then
        browser=$name
        break
    fi
done
if [ -z "$browser" ]; then
    skip "no Chromium: pages are not tried in a browser"
    finish
fi

# used PAGE WINDOW: the page as it is, then a copy that takes the script of the test.
used() {
    command_line="$browser $1, window $2"
    browse --window-size="$2" "file://$work/$1" >out 2>err
    check "$1 at $2 is ready" grep -q '<html[^>]*data-ready="true"' out
    check "$1 at $2: no script error, nothing against the policy" lacks err CONSOLE
    check "$1 at $2: rows in the document" test "$(grep -o 'aria-expanded="false"' out | wc -l)" -ge 20
    { grep -v '^<meta http-equiv="Content-Security-Policy"' "$1" && echo '<script>' &&
        cat "$CLI_DIR/cli_report.js" && echo '</script>'; } >used.html
    browse --window-size="$2" "file://$work/used.html" >dom 2>err
    sed -n '/^<pre id="verdict">/,/<\/pre>/p' dom >out
    check "$1 at $2: it was used to the end" grep -qx end out
    check "$1 at $2: every use went well" sh -c '! grep -Eq "^(FAILED|error)" out'
    check "$1 at $2: nothing was left out" test "$(grep -c '^ok' out)" -ge 20
}
used page.html 1280,900
used page.html 390,844
used many.html 1280,900
used many.html 390,844
check "the matrix was drawn" grep -q "the matrix is drawn" out
finish
