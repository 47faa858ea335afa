# --sort-into, --sort-copies and --min-score of classify; a signal that ends a run.
. "$(dirname "$0")/cli_lib.sh"
photos=$GOLDEN/photos
mkdir -p in/a in/b
cp "$photos/cat.jpg" in/a/1.jpg
cp "$photos/cat.jpg" in/b/1.jpg
cp "$photos/rocket.png" in/b/no_ending
head -c 1000 "$photos/cat.jpg" >in/b/torn.jpg
mv in data

first_label() {
    "$VITC" classify -q --csv -k 1 "$1" | tail -1 | cut -d, -f5
}
cat_label=$(first_label data/a/1.jpg)
rocket_label=$(first_label data/b/no_ending)
links() {
    find "$1" -mindepth 1 ! -type d -printf '%P %l\n' | sort
}

# Links, absolute; the second of a name gets a number; what is broken goes nowhere.
run classify --csv data --sort-into sorted
exits 1
err_has "3 images sorted into "
{
    echo "$cat_label/1 (2).jpg $PWD/data/b/1.jpg"
    echo "$cat_label/1.jpg $PWD/data/a/1.jpg"
    echo "$rocket_label/no_ending $PWD/data/b/no_ending"
} | sort >want
links sorted >got
check "links" diff -u want got
cp out rows_sorted
run classify --csv -q data
check "the rows are those without sorting" cmp rows_sorted out

# The same again changes nothing; a file of that name stays, whatever it is.
run classify -q --csv data --sort-into sorted
exits 1
silent err
links sorted >got
check "links, once more" diff -u want got
mkdir -p kept/"$cat_label"
echo "mine" >kept/"$cat_label"/1.jpg
run classify -q --csv data/a --sort-into kept
exits 0
check "nothing is overwritten" test "$(cat kept/"$cat_label"/1.jpg)" = mine
check "but put beside" test -L kept/"$cat_label/1 (2).jpg"

# Copies.
run classify -q --csv data --sort-into copies --sort-copies
exits 1
check "a copy" cmp copies/"$cat_label"/1.jpg data/a/1.jpg
check "no link" test ! -L copies/"$cat_label"/1.jpg
check "no twin of the same bytes" test ! -e copies/"$cat_label/1 (2).jpg"
check "nothing is left of the making" test -z "$(find copies -name '.vitc*')"
printf 'x' >>copies/"$cat_label"/1.jpg
run classify -q --csv data/a --sort-into copies --sort-copies
check "other bytes of that name" cmp copies/"$cat_label/1 (2).jpg" data/a/1.jpg

# Members of tar files, and standard input, are no files of their own.
tar cf data.tar data
run classify -q --csv data.tar --sort-into from_tar
exits 1
check "a member's bytes" cmp from_tar/"$rocket_label"/no_ending data/b/no_ending
check "are a file" test ! -L from_tar/"$rocket_label"/no_ending
cp data/a/1.jpg in
run classify -q --csv - --sort-into from_input
exits 0
check "standard input" cmp from_input/"$cat_label/standard input" data/a/1.jpg
rm in
# IDX: one image of 2x2 grey pixels.
printf '\0\0\10\3\0\0\0\1\0\0\0\2\0\0\0\2\0\100\200\377' >one-images-idx3-ubyte
run classify -q --csv -k 1 one-images-idx3-ubyte --sort-into from_idx
exits 0
picture=$(find from_idx -type f)
check "pixels become a PNG" test "$(head -c 4 "$picture" | tail -c 3)" = PNG
check "with the same answer" test "$(first_label "$picture")" = "$(tail -1 out | cut -d, -f5)"

# Labels that no folder may be called, that would be one, and that mean something else here.
cp -r "$GOLDEN/checkpoints/hf_vit" odd
sed -i 's,tabby cat,../x,; s,Kuchen-K.u00e4se,.._x,; s,grey ."fox.",uncertain,' odd/config.json
run classify -q --csv -k 1 -m odd "$photos/cup_cmyk.jpg" "$photos/table_palette.png" \
    "$photos/cat.jpg" --sort-into odd_labels
exits 0
out_has ",../x,"
out_has ",.._x,"
out_has ",uncertain,"
(cd odd_labels && find . -type l | sort) >got
printf '%s\n' "./_._x [3]/table_palette.png" ./_._x/cup_cmyk.jpg "./uncertain [4]/cat.jpg" >want
check "folders of odd labels" diff -u want got

# Uncertain.
run classify -q --json -k 1 data/a/1.jpg --min-score 1
exits 0
out_has '"uncertain": true, "top": [{"index"'
run classify -q --json -k 1 data/a/1.jpg --min-score 0.000001
out_has '"uncertain": false, "top": [{"index"'
run classify -q --csv -k 1 data --min-score 1
exits 1
check "header" test "$(head -1 out)" = "$(printf 'path,status,width,height,uncertain,label1,score1,error\r')"
check "rows of CSV" test "$(grep -c ',ok,[0-9]*,[0-9]*,true,' out)" -eq 3
check "nothing of what failed" grep -q 'torn.jpg,truncated,,,,,,' out
run classify -q data --min-score 1
check "rows for people" test "$(grep -c '  uncertain  [a-z]' out)" -eq 3
run classify -q data/a/1.jpg --min-score 1
out_has "x205  uncertain"
run classify -q data/a/1.jpg --min-score 0.000001
out_lacks uncertain
run classify -q --csv data --min-score 1 --sort-into unsure
exits 1
check "a folder of their own" test "$(find unsure -type l -path 'unsure/uncertain/*' | wc -l)" -eq 3

# What cannot be.
run classify data --sort-copies
exits 2
err_has "--sort-into"
run classify data --min-score 1.5
exits 2
run classify data --min-score 0
exits 2
for into in data data/new data/a; do
    run classify --csv data --sort-into $into
    exits 2
    err_has "lies in data, which is read"
    silent out
done
check "and is not made" test ! -e data/new
run classify --csv data --sort-into data.tar
exits 4
err_has "a file has that name"
run classify --csv data --sort-into missing/new
exits 4
err_has "missing/new"
mkdir blocked
echo "a file" >blocked/"$cat_label"
run classify --csv data/a --sort-into blocked
exits 4
err_has "blocked/$cat_label: folder cannot be made: a file has that name"
check "its row is there" test "$(wc -l <out)" -eq 2
if [ "$(id -u)" -ne 0 ]; then
    mkdir closed
    chmod 555 closed
    run classify --csv data/a --sort-into closed
    exits 4
    err_has "Permission denied"
else
    skip "permissions: this is root"
fi

# A signal: rows of all that was begun, none torn, and a word about it.
mkdir many
for i in $(seq 400); do ln -s ../data/a/1.jpg many/"$i".jpg; done
for i in $(seq 50); do echo many; done >list
for signal in INT TERM; do
    command_line="vitc classify --json, and SIG$signal"
    rm -f out
    # By default a script's background jobs ignore SIGINT.
    env --default-signal=INT "$VITC" classify --json --files-from list >out 2>err </dev/null &
    pid=$!
    while [ ! -s out ]; do sleep 0.02; done
    kill -s $signal $pid
    wait $pid
    rc=$?
    exits $([ $signal = INT ] && echo 130 || echo 143)
    done=$(wc -l <out)
    err_has "stopped by a signal: $done image"
    check "not all" test "$done" -lt 20000
    check "rows are whole" test "$(grep -c '^{.*}$' out)" -eq "$done"
    check "and in order" sh -c 'grep -o "many/[0-9]*" out | cut -d/ -f2 | awk "\$1 != (NR - 1) % 400 + 1 { exit 1 }"'
done
finish
