# Rows for people and machines, terminals, and standard output that takes no more.
. "$(dirname "$0")/cli_lib.sh"
cp -r "$GOLDEN/photos" photos
rm photos/LICENSES.txt photos/versions.json

# Numbers differ in the last digit between machines: they are compared elsewhere.
blur() {
    sed -E 's/[ 0-9]{2}[0-9]\.[0-9]{2} %/###.## %/g' out >blurred && mv blurred out
}

run classify photos/cat.jpg
exits 0
silent err
blur
same output_single.txt
run classify -k 2 photos nowhere
exits 1
err_has "nowhere: cannot be opened"
blur
same output_many.txt
run classify --json photos/cat.jpg
exits 0
silent err
check "the object of the manual" grep -Eqx '\{"path": "photos/cat.jpg", "status": "ok", "width": [0-9]+, "height": [0-9]+, "top": \[(\{"index": [0-9], "label": "[a-z]+", "score": [0-9.e-]+\}(, )?){5}\]\}' out
run classify --json --logits photos/cat.jpg
exits 0
"$CLI_CHECK" json logits <out >logits
check "ten logits" test "$(tr -cd , <logits | wc -c)" -eq 9
run classify photos/cat.jpg --threads 1 --precision f32 -v
exits 0
run classify photos/cat.jpg --no-exif --json
exits 0
cp out plain
run classify photos/cat.jpg --json
check "--no-exif changes nothing without EXIF" cmp plain out
run classify photos/astronaut_exif6.jpg --json
rows
upright=$(cut -d' ' -f2 out)
run classify photos/astronaut_exif6.jpg --json --no-exif
rows
check "--no-exif leaves a turned photo turned" test "$(cut -d' ' -f2 out)" = \
    "${upright#*x}x${upright%x*}"

small=$GOLDEN/checkpoints/hf_vit
run classify -m "$small" photos/cat.jpg --json --logits
cp out full
run classify -m "$small" photos/cat.jpg --json --logits --fast-decode
exits 0
silent err
check "--fast-decode changes a photo that is large for the model" test -n "$(cmp full out)"
check "and reports the size of the file" grep -q '"width": 220, "height": 205,' out
run classify photos/cat.jpg --json --fast-decode
check "--fast-decode changes nothing in a small photo" cmp plain out

# A terminal.
on_terminal() {
    command_line="vitc $* (on a terminal)"
    timeout 300 script -qec "$*" /dev/null </dev/null >out 2>err
    rc=$?
    tr -d '\r' <out >clean && mv clean out
}
if command -v script >/dev/null; then
    escape=$(printf '\033')
    TERM=xterm LC_ALL=C.UTF-8 on_terminal "stty cols 100; '$VITC' classify photos/cat.jpg"
    exits 0
    out_has '█'
    out_has "${escape}["
    TERM=xterm NO_COLOR=1 LC_ALL=C.UTF-8 on_terminal "stty cols 100; '$VITC' classify photos/cat.jpg"
    exits 0
    out_has '█'
    out_lacks "${escape}["
    TERM=dumb LC_ALL=C on_terminal "stty cols 100; '$VITC' classify photos/cat.jpg"
    exits 0
    out_has ' ##'
    out_lacks '█'
    out_lacks "${escape}["
    TERM=dumb LC_ALL=C.UTF-8 on_terminal "stty cols 60; '$VITC' classify -q -k 10 photos nowhere"
    exits 1
    check "lines fit the terminal" sh -c '! LC_ALL=C.UTF-8 grep -E "^.{61,}" out | grep -v unreadable'
    TERM=dumb LC_ALL=C.UTF-8 on_terminal "'$VITC' classify photos nowhere"
    exits 1
    check "a failure is said once" test "$(grep -c 'No such file' out)" -eq 1
    times=40 # more than a tenth of a second, also under a sanitizer, which is slow enough for less
    [ -z "$SANITIZE" ] || times=5
    many=$(yes photos | head -n $times | tr '\n' ' ')
    TERM=xterm LC_ALL=C.UTF-8 on_terminal "'$VITC' classify --threads 1 $many >rows"
    exits 0
    out_has "images/s"
    out_has " of $((16 * times)), "
    TERM=xterm LC_ALL=C.UTF-8 on_terminal "'$VITC' classify -q $many >rows"
    exits 0
    silent out
    TERM=dumb LC_ALL=C.UTF-8 on_terminal "'$VITC' classify - 2>&1"
    exits 2
    out_has "is a terminal"
else
    skip "terminals: no script(1)"
fi
run classify photos
out_lacks '█'
check "no colours in a file" sh -c '! grep -q "$(printf "\033")" out'

# Standard output.
if [ -w /dev/full ]; then
    for command in "classify photos/cat.jpg" "classify --json photos/cat.jpg" \
        "classify --json --logits -q photos photos photos photos photos photos photos photos" \
        "info" "info --json" "preprocess photos/cat.jpg" "help" "version" "completion bash"; do
        command_line="vitc $command >/dev/full"
        # shellcheck disable=SC2086
        timeout 60 "$VITC" $command >/dev/full 2>err </dev/null
        rc=$?
        : >out
        exits 4
        err_has "cannot write to standard output"
        check "said once" test "$(wc -l <err)" -eq 1
    done
else
    skip "a full disk: no /dev/full"
fi
command_line="vitc classify photos >&-"
timeout 60 "$VITC" classify -q photos >&- 2>err </dev/null
rc=$?
exits 4
# A reader that leaves: quiet, and the status is that of the rows so far.
printf 'photos\n%.0s' 1 2 3 4 5 6 7 8 >list
for form in --json --csv "--json --logits" ""; do
    command_line="vitc classify $form photos (8 times) | head -1"
    # shellcheck disable=SC2086
    timeout 120 "$VITC" classify $form --files-from list 2>err </dev/null | head -1 >out
    rc=${PIPESTATUS[0]}
    exits 0
    silent err
done

# No reader is kept waiting: a row is out before the next image comes.
mkfifo slow
("$VITC" classify --json - <slow >row 2>err; echo $? >status) &
exec 9>slow
cat photos/cat.jpg >&9
sleep 0.2
check "the image is not complete before its end" test ! -s row
exec 9>&-
wait
rc=$(cat status)
exits 0
check "and then there is its row" test -s row
finish
