# Where images come from: files, folders, lists, standard input; names of every kind.
. "$(dirname "$0")/cli_lib.sh"
cat=$GOLDEN/photos/cat.jpg

# Natural order, recursion, what is left out, names without an ending.
mkdir -p tree/sub tree/.hidden tree/empty
cp "$cat" tree/img10.jpg
cp "$cat" tree/img2.jpg
cp "$cat" tree/img02.jpg
cp "$cat" tree/sub/no_ending
cp "$cat" tree/.secret.jpg
cp "$cat" tree/.hidden/x.jpg
cp "$cat" tree/Thumbs.db
cp "$cat" tree/Desktop.ini
cp "$cat" tree/B.jpg
echo "notes" >tree/notes.txt
ln -s .. tree/sub/loop
ln -s img2.jpg tree/link.jpg
run classify --json tree
exits 1
err_has "tree/sub/loop: leads back to a folder above it; skipped"
rows
same inputs_tree.txt
run classify --json -q tree/
exits 1
silent err
rows
sed -i 's,tree//*,tree/,' out
same inputs_tree.txt

# A folder that a link leads to is listed, but only once on a way down.
run classify --json -q tree/sub
exits 1
rows
same inputs_link.txt
rm tree/sub/loop

# A folder is one input when it has nothing to give.
run classify --json tree/empty
exits 1
rows
check "a row for an empty folder" grep -qx 'unreadable - - tree/empty' out
out_lacks "ok"

# Lists. Spaces at the ends belong to names; empty lines do not matter; the last needs no end.
mkdir "with space"
cp "$cat" "with space/ a .jpg"
cp "$cat" plain.jpg
printf '%s\n\n%s\n%s' "plain.jpg" "with space/ a .jpg" "tree/sub" >list
run classify --json -q --files-from list
exits 0
rows
printf 'ok SIZE LABEL %s\n' "plain.jpg" "with space/ a .jpg" "tree/sub/no_ending" >want
size=$(sed -n '1s/^ok \([0-9x]*\) \([a-z]*\) .*/\1 \2/p' out)
sed -i "s/SIZE LABEL/$size/" want
check "rows of the list" diff -u want out
cp out from_list
# As other systems write it.
printf '\357\273\277%s\r\n\r\n%s\r\n%s\r\n' "plain.jpg" "with space/ a .jpg" "tree/sub" >crlf
run classify --json -q --files-from crlf
exits 0
rows
check "rows of a list with CRLF" diff -u from_list out
cp list in
run classify --json -q --files-from -
exits 0
rows
check "list on standard input" cmp from_list out
rm in
tr '\n' '\0' <list | sed 's/\x00\x00/\x00/' >list0
run classify --json -q --files-from list0
exits 0
rows
check "list with NULs" cmp from_list out
run classify --json -q -0 --files-from list0
exits 0
rows
check "-0" cmp from_list out
run classify --json -q -0 --files-from list
exits 1
rows
check "-0 makes one path of a list of lines" test "$(wc -l <out)" -eq 1
command_line="vitc classify --files-from <(cat list)"
timeout 300 "$VITC" classify --json -q --files-from <(cat list) >out 2>err </dev/null
rc=$?
exits 0
rows
check "a list from a pipe" cmp from_list out
run classify --files-from nowhere
exits 3
silent out
err_has "nowhere: list of paths cannot be opened"
run classify --files-from tree
exits 3
silent out
run classify --json -q plain.jpg --files-from list tree/sub
exits 0
rows
check "operands, then the list" test "$(sed -n 's/.* //p' out | tr '\n' ' ')" = \
    "plain.jpg tree/sub/no_ending plain.jpg .jpg tree/sub/no_ending "

# Standard input.
cp "$cat" in
run classify --json -
exits 0
rows
check "an image on standard input" grep -Eqx 'ok [0-9x]+ [a-z]+ -' out
run classify --json plain.jpg - plain.jpg
exits 0
rows
check "in its place among others" test "$(sed 's/.* //' out | tr '\n' ' ')" = "plain.jpg - plain.jpg "
: >in
run classify --json -
exits 1
rows
check "nothing on standard input" grep -Eqx '(truncated|unsupported|corrupt) - - -' out
rm in
command_line="vitc classify - <&-"
timeout 300 "$VITC" classify --json - >out 2>err <&-
rc=$?
exits 1
rows
check "closed standard input" grep -qx 'unreadable - - -' out

# Names of every kind are valid JSON.
newline=$'line\nbreak \e[31m.jpg'
cp "$cat" "$newline"
cp "$cat" "quote\"back\\slash,comma.jpg"
cp "$cat" "猫 ñ.jpg"
run classify --json "$newline" "quote\"back\\slash,comma.jpg" "猫 ñ.jpg"
exits 0
rows
check "a name with a newline" grep -qF 'line\x0abreak \x1b[31m.jpg' out
check "a name with quotes" grep -qF 'quote"back\slash,comma.jpg' out
check "a name in UTF-8" grep -qF '猫 ñ.jpg' out
invalid=$(printf 'bad\377\300\257.jpg')
if cp "$cat" "$invalid" 2>/dev/null; then
    run classify --json "$invalid"
    exits 0
    rows
    check "bytes that are not UTF-8" grep -qF "$(printf 'bad\357\277\275')" out
    run classify "$invalid"
    exits 0
    out_has 'bad\xff\xc0\xaf.jpg'
else
    skip "this file system takes no name that is not UTF-8"
fi
run classify "$newline" nowhere
exits 1
out_has 'line\nbreak \x1b[31m.jpg'
check "no escape sequence gets through" sh -c '! grep -q "$(printf "\033")" out'
run classify -- "$newline.none"
exits 1
err_has 'line\nbreak \x1b[31m.jpg.none: cannot be opened'
check "one line of error" test "$(wc -l <err)" -eq 1

# Long paths keep their reason.
long=$(printf './%.0s' $(seq 400))
run classify --json -q "${long}nowhere"
exits 1
out_has '"error": "cannot be opened: No such file or directory"'
long=$(printf './%.0s' $(seq 1500))
run classify --json -q "${long}nowhere" "${long}plain.jpg"
exits 1
check "a row for each" test "$(wc -l <out)" -eq 2
out_has '"error": "unreadable"'

# CSV by RFC 4180.
run classify --csv -k 1 "$newline" "quote\"back\\slash,comma.jpg" nowhere
exits 1
head -1 out >header
printf 'path,status,width,height,label1,score1,error\r\n' >want
check "header" cmp want header
out_has '"quote""back\slash,comma.jpg",ok,'
out_has 'nowhere,unreadable,,,,,cannot be opened: No such file or directory'
check "line breaks are inside quotes" test "$(grep -c $'\r$' out)" -eq 4
run classify --csv -k 1 --logits plain.jpg
exits 0
check "ten logits" test "$(tail -1 out | tr -cd , | wc -c)" -eq 16

# Many inputs, any batch: the same rows in the same order.
mkdir many
for i in 1 2 3 4 5 6 7 8 9 10 11; do cp "$cat" many/$i.jpg; done
cp "$GOLDEN/photos/rocket.png" many/3.jpg
head -c 1000 "$cat" >many/7.jpg
run classify --json --logits -q --batch 1 --threads 1 many
exits 1
cp out one
rows
check "eleven rows" test "$(wc -l <out)" -eq 11
for options in "--batch 3" "--batch 8 --threads 2" "--batch 4096 --threads 1"; do
    # shellcheck disable=SC2086
    run classify --json --logits -q $options many
    exits 1
    check "$options gives the bits of batch 1" cmp one out
done
VITC_THREADS=2 run classify --json --logits -q many
check "VITC_THREADS=2" cmp one out
finish
