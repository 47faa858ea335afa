# What bad input gets: a row with its status and reason, the run goes on, exit status 1, and the
# input stays as it is.
. "$(dirname "$0")/cli_lib.sh"
photos=$GOLDEN/photos

cp "$photos/cat.jpg" good.jpg
head -c 6000 "$photos/cat.jpg" >truncated.jpg
head -c 6000 "$photos/cat_progressive.jpg" >truncated_progressive.jpg
head -c 6000 "$photos/rocket.png" >truncated.png
head -c 3000 "$photos/launch_lossy.webp" >truncated.webp
head -c 3000 "$photos/eye_animated.gif" >truncated.gif
head -c 100 "$photos/cat.jpg" >truncated_header.jpg
: >zero.jpg
echo "This is a text, whatever its name says." >text.jpg
cp "$CLI_DIR/data/declares_65535.png" "$CLI_DIR/data/bomb.png" .
# One byte in the middle of the compressed data: the checksum says so.
cp "$photos/rocket.png" corrupt.png
printf '\252' | dd of=corrupt.png bs=1 seek=4000 conv=notrunc 2>/dev/null
ln -s nowhere broken_link.jpg
mkfifo fifo.jpg
printf '%%PDF-1.7\n' >document.png

sums() {
    find . -type f ! -name out ! -name err ! -name raw ! -name checked ! -name bad.json ! -name '*.sums' -exec cksum {} + | sort
}
sums >before.sums

bad="truncated.jpg truncated_progressive.jpg truncated.png truncated.webp truncated.gif
    truncated_header.jpg zero.jpg text.jpg declares_65535.png bomb.png corrupt.png broken_link.jpg
    fifo.jpg document.png /dev/zero /dev/null missing.jpg missing/x.jpg good.jpg/x.jpg"
# shellcheck disable=SC2086
run classify --json good.jpg $bad good.jpg
exits 1
check "a message for each" test "$(grep -c '^vitc: ' err)" -eq 19
cp out bad.json
rows
same bad_input.txt
# shellcheck disable=SC2086
run classify -q good.jpg $bad good.jpg
exits 1
silent err
check "a line for each" test "$(wc -l <out)" -eq 21
out_has "broken symbolic link"
check "the good ones are classified" test "$(grep -c '^good.jpg  .* %' out)" -eq 2
# shellcheck disable=SC2086
run classify --csv good.jpg $bad good.jpg
exits 1
check "a record for each" test "$(wc -l <out)" -eq 22

# Each alone.
for file in $bad; do
    run classify --json "$file"
    exits 1
    rows
    check "$file is a row" test "$(wc -l <out)" -eq 1
    run preprocess "$file" --dump seen.npy --png seen.png
    exits 1
    err_has "$file: "
    check "no output of preprocess" test ! -e seen.npy -a ! -e seen.png
    run preprocess "$file" --json
    exits 1
    check "preprocess --json says why" sh -c '"$CLI_CHECK" json error <out >/dev/null'
done

# Sizes are refused before memory is taken for them.
if [ -n "${SANITIZE:-}" ]; then
    skip "memory under a limit: sanitizers reserve the whole address space"
else
    (ulimit -v 1500000 && exec timeout 300 "$VITC" classify --json -q --threads 1 bomb.png \
        declares_65535.png good.jpg) >out 2>err
    rc=$?
    exits 1
    rows
    check "large images under a memory limit" test "$(cut -d' ' -f1 out | tr '\n' ' ')" = \
        "too_large too_large ok "
fi
run classify --json -q --max-pixels 1000 good.jpg
exits 1
rows
check "--max-pixels" grep -qx 'too_large - - good.jpg' out

# Permissions.
cp "$photos/cat.jpg" forbidden.jpg
mkdir closed
cp "$photos/cat.jpg" closed/x.jpg
chmod 000 forbidden.jpg
chmod 000 closed
as_nobody=
if [ "$(id -u)" -eq 0 ]; then
    as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
    $as_nobody "$VITC" version >/dev/null 2>&1 || as_nobody=none
fi
if [ "$as_nobody" = none ]; then
    skip "permissions: this is root, who may read everything"
else
    command_line="$as_nobody vitc classify --json forbidden.jpg closed good.jpg"
    # shellcheck disable=SC2086
    timeout 300 $as_nobody "$VITC" classify --json forbidden.jpg closed good.jpg >out 2>err </dev/null
    rc=$?
    exits 1
    err_has "forbidden.jpg: cannot be opened: Permission denied"
    rows
    same bad_permissions.txt
fi
chmod 755 closed
chmod 644 forbidden.jpg
rm -rf closed forbidden.jpg seen.*

sums >after.sums
check "inputs are as they were" cmp before.sums after.sums
finish
