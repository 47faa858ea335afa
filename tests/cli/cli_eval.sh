# vitc eval: numbers against rows and against classify, every kind of set, classes and maps, bad
# images, rows, calibration, comparison, and what is refused.
. "$(dirname "$0")/cli_lib.sh"
photos=$GOLDEN/photos
model=$GOLDEN/checkpoints/hf_vit # labels: tabby cat, espresso, rocket projectile, ...

field() {
    "$CLI_CHECK" json "$@" <out
}
# The object on standard output agrees with the rows; prints n n_ok n_bad right.
agrees() {
    "$CLI_CHECK" eval "$1" <out >counts 2>checked
    local status=$?
    check "agrees with its rows: $(cat checked)" test $status -eq 0
}

mkdir -p data/tabby_cat data/ESPRESSO/deep/er "data/rocket, projectile" 'data/grey "fox"' data/Kuchen-Käse
cp "$photos/astronaut_exif6.jpg" data/tabby_cat/1.jpg
cp "$photos/cat_progressive.jpg" data/tabby_cat/2.jpg
cp "$photos/spoon_rgba.png" data/tabby_cat/10.png
cp "$photos/clock_16bit.png" data/ESPRESSO/deep/er/x.png
cp "$photos/cup_cmyk.jpg" data/ESPRESSO/y.JPG
cp "$photos/stars_rle.tga" "data/rocket, projectile"
cp "$photos/cat.jpg" "$photos/launch_lossy.webp" "$photos/gravel.ppm" 'data/grey "fox"'
cp "$photos/table_palette.png" data/Kuchen-Käse

# ---- what can be read once only, or is something else ----
mkfifo once
once() {
    run "$@"
    exits 2
    err_has "once: is a pipe, which can be read once only"
}
once eval -m "$model" once --report page.html
once eval -m "$model" -m "$model" once
once quantize "$model" -o small.safetensors --data once
once check -m "$model" once
run eval -m "$model" data --rows /dev/null --report page.html
exits 2
err_has "--rows /dev/null: is no regular file"
printf '{"model": "of something else"}' >other.json
cp other.json other_before.json
run eval -m "$model" data --rows other.json --resume
exits 3
err_has "other.json: holds something else than rows, and nothing was changed"
check "nothing was changed" cmp other_before.json other.json

# ---- numbers ----
run eval -m "$model" data --json --rows rows.jsonl
exits 0
silent err
agrees rows.jsonl
read -r n n_ok n_bad right <counts
check "10 images, all good, 5 right" test "$n $n_ok $n_bad $right" = "10 10 0 5"
check "complete" test "$(field complete)" = true
check "kind" test "$(field data_kind)" = '"folders"'
check "the model's hash" test "$(field model_sha256)" = \
    "\"$(cat "$model"/config.json "$model"/golden.safetensors "$model"/model.safetensors \
        "$model"/preprocessor_config.json | sha256sum | cut -d' ' -f1)\""
check "times" test "$(field times images)" = 10
check "in natural order" sh -c \
    'grep -o "tabby_cat/[0-9]*" rows.jsonl | tr "\n" " " | grep -qx "tabby_cat/1 tabby_cat/2 tabby_cat/10 "'

# The same first labels as classify gives.
run classify -m "$model" data --json
grep -o '"path": "[^"]*\|"index": [0-9]*' out | awk '/path/ { first = 1; next } first { print $2; first = 0 }' \
    | sort >classified
tail -n +2 rows.jsonl | grep -o '"top": \[{"index": [0-9]*' | grep -o '[0-9]*$' | sort >evaluated
check "the labels of classify" cmp classified evaluated

# One row for the numbers of one image.
run eval -m "$model" data -k 2 --rows rows2.jsonl --threads 1 --batch 3 --no-times
exits 0
check "two labels each" test "$(grep -o '"score"' rows2.jsonl | wc -l)" -eq 30
check "no times" sh -c '! grep -q "\"ms\"" rows2.jsonl'
check "times" test "$(grep -c '"ms"' rows.jsonl)" -eq 10

# Results do not depend on threads and batches, and without times not on anything.
run eval -m "$model" data --json --no-times --rows a.jsonl
exits 0
cp out first
for how in "--threads 1 --batch 1" "--threads 2 --batch 3" "--threads 2 --batch 64"; do
    rm -f b.jsonl
    # shellcheck disable=SC2086
    run eval -m "$model" data --json --no-times --rows b.jsonl $how
    exits 0
    check "$how: the same numbers" cmp first out
    check "$how: the same rows" cmp a.jsonl b.jsonl
done

# For people.
run eval -m "$model" data --no-times
exits 0
silent err
sed -i 's/^  model .*/  model/' out
same eval.txt
run eval -m "$model" data
out_has "images/s"
out_has "compute"

# ---- kinds of sets ----
top1=$(field top1 <first 2>/dev/null)
cp first out
top1=$(field top1)
loss=$(field loss)
mkdir flat
cp -r data/* flat
mv flat/ESPRESSO/deep/er/x.png flat/ESPRESSO
rm -r flat/ESPRESSO/deep
(cd flat && tar -cf ../set.tar -- *)
gzip -k set.tar
(cd flat && find . -type f | LC_ALL=C sort | sed 's|^\./||') >files
{
    echo "path,label"
    while read -r file; do
        printf '"flat/%s","%s"\n' "$(echo "$file" | sed 's/"/""/g')" "$(dirname "$file" | sed 's/"/""/g')"
    done <files
} >list.csv
for set in set.tar set.tar.gz list.csv; do
    rm -f rows.jsonl
    run eval -m "$model" $set --json --rows rows.jsonl
    exits 0
    agrees rows.jsonl
    check "$set: 10 images" grep -qx "10 10 0 $right" counts
    check "$set: top-1" test "$(field top1)" = "$top1"
done
# Two sets of one kind are one.
run eval -m "$model" set.tar set.tar --json
exits 0
check "20 images" test "$(field n)" = 20
check "top-1" test "$(field top1)" = "$top1"

# IDX: classes are numbers unless they are named, and those are no labels.
mkdir digits
{
    printf '\0\0\010\003\0\0\0\036\0\0\0\010\0\0\0\010' # 30 of 8 x 8
    tail -c $((30 * 64)) "$model/model.safetensors"
} >digits/t10k-images-idx3-ubyte
{
    printf '\0\0\010\001\0\0\0\036'
    for _ in 1 2 3 4 5 6 7 8 9 10; do printf '\0\001\002'; done
} >digits/t10k-labels-idx1-ubyte
run eval -m "$model" digits
exits 3
err_has "3 of 3 classes of the data are no label of the model: 0, 1, 2"
printf 'tabby cat\nespresso\nkuchen kase\n' >names.txt
run eval -m "$model" digits --class-names names.txt
exits 3
err_has "no label of the model: kuchen kase"
printf 'kuchen kase,Kuchen-K\303\244se\r\n\n' >map.csv
run eval -m "$model" digits --class-names names.txt --map map.csv --json
exits 0
check "30 images" test "$(field n_ok)" = 30
check "mapped" test "$(field classes 3 support)" = 10
printf '0\ttabby cat\n1\tespresso\n"2"\t#3\n' >map.tsv
run eval -m "$model" digits --map map.tsv --json --rows idx.jsonl
exits 0
agrees idx.jsonl
check "mapped" test "$(field classes 3 support)" = 10

# ---- classes ----
cp -r data other
mv other/tabby_cat other/tabbycat
mkdir "other/Rocket-Projectile" other/dog
cp "$photos/cat.jpg" "other/Rocket-Projectile"
cp "$photos/cat.jpg" other/dog
run eval -m "$model" other
exits 3
silent out
err_has "3 of 7 classes of the data are no label of the model"
err_has "tabbycat (tabby cat?)"
err_has "dog"
err_has "labels of the model that no class has: tabby cat, "
err_has "--map FILE"
printf 'tabbycat,tabby cat\ndog,tabby cat\nRocket-Projectile,"rocket, projectile"\nunused,espresso\n' >map.csv
run eval -m "$model" other --map map.csv --json
exits 0
check "several classes are one label" test "$(field classes 0 support)" = 4
check "12 images" test "$(field n)" = 12
mv other/dog other/tabby-cat
mv other/tabbycat other/Tabby_Cat
run eval -m "$model" other
exits 3
err_has "one label of the model: Tabby_Cat and tabby-cat"
# refuses LINE...: a map that is none
refuses() {
    local words=$1
    shift
    printf '%s\n' "$@" >bad_map.csv
    run eval -m "$model" data --map bad_map.csv
    exits 3
    silent out
    err_has bad_map.csv
    err_has "$words"
}
refuses "line 2" "a,espresso" "nothing"
refuses '"tea" is no label' "a,tea"
refuses '"#6" is no label' "a,#6"
refuses "says two labels" "a,espresso" "a,tabby cat"
run eval -m "$model" data --map nowhere.csv
exits 3
err_has nowhere.csv

# One class; a class without images; nothing.
mkdir -p one/espresso
cp "$photos/cup_cmyk.jpg" one/espresso
run eval -m "$model" one
exits 0
out_has "1 class of the model's 6"
mkdir "one/tabby cat"
run eval -m "$model" one --json
exits 0
err_has "1 of 2 class folders without a file"
check "one image" test "$(field n)" = 1
check "no recall of nothing" test "$(field classes 0 recall)" = null
mkdir empty
run eval -m "$model" empty
exits 3
err_has "an empty folder"
run eval -m "$model" "$photos"
exits 3
silent out
err_has "one folder for each class"
run eval -m "$model" nowhere
exits 3
err_has nowhere

# ---- images that cannot be used ----
cp -r data bad
echo "no image" >bad/ESPRESSO/text.jpg
head -c 3000 "$photos/cat.jpg" >bad/tabby_cat/3.jpg
: >'bad/grey "fox"/empty.png'
rm -f rows.jsonl
run eval -m "$model" bad --json --rows rows.jsonl
exits 1
agrees rows.jsonl
check "13 images, 3 bad" grep -qx "13 10 3 $right" counts
check "accuracy of the good" test "$(field top1)" = "$top1"
check "loss of the good" test "$(field loss)" = "$loss"
check "reasons" test "$(field bad | tr -d ' ')" = '{"truncated":1,"unsupported":1,"corrupt":1}' -o \
    "$(field bad | tr -d ' ')" = '{"truncated":2,"unsupported":1}'
err_has "text.jpg"
check "a message for each" test "$(wc -l <err)" -eq 3
run eval -m "$model" bad
exits 1
out_has "10 ok, 3 bad"
out_has "10 ok, 3 bad left out"
run eval -m "$model" bad -q
exits 1
silent err
rm -f rows.jsonl
run eval -m "$model" bad --json --strict --rows rows.jsonl
exits 1
check "not complete" test "$(field complete)" = false
check "why" test "$(field stopped)" = '"stopped at a bad image (--strict)"'
check "rows to the first bad one" grep -q '"error"' <(tail -n 1 rows.jsonl)
check "one bad row" test "$(grep -c '"error"' rows.jsonl)" -eq 1
agrees rows.jsonl
cp rows.jsonl kept.jsonl
run eval -m "$model" bad --json --strict --rows rows.jsonl --resume
exits 1
check "still one bad image" cmp kept.jsonl rows.jsonl
run eval -m "$model" bad --json --rows rows.jsonl --resume
exits 1
agrees rows.jsonl
check "continued" grep -qx "13 10 3 $right" counts
run eval -m "$model" bad --strict
exits 1
out_has "INCOMPLETE"
run eval -m "$model" bad --json --max-bad 2
exits 1
check "not complete" test "$(field n_bad) $(field complete)" = "3 false"
run eval -m "$model" bad --json --max-bad 3
exits 1
check "complete" test "$(field n_bad) $(field complete)" = "3 true"
mkdir -p hopeless/espresso
echo "no image" >hopeless/espresso/text.jpg
run eval -m "$model" hopeless --json
exits 3
err_has "no image there can be used"

# ---- rows ----
run eval -m "$model" data --json --no-times --rows a.jsonl
exits 2
silent out
err_has "holds rows already"
cp a.jsonl kept.jsonl
run eval -m "$model" data --json --no-times --rows a.jsonl --resume
exits 0
check "nothing is done twice" cmp kept.jsonl a.jsonl
check "the same numbers" cmp first out
# differs WORDS ARGS...: nothing is changed
differs() {
    local words=$1
    shift
    run eval "$@" --json --rows a.jsonl --resume
    exits 2
    silent out
    err_has "$words"
    err_has "nothing was changed"
    check "$words: the rows are as they were" cmp kept.jsonl a.jsonl
}
differs "options.times" -m "$model" data
differs "options.top_k: 5 in the rows, 3 now" -m "$model" data --no-times -k 3
differs 'options.precision: "f32" in the rows, "bf16" now' -m "$model" data --no-times --precision bf16
differs "the weights are another file's" -m "$GOLDEN/checkpoints/hf_vit_gelu_new" data --no-times
differs "the data has other images" -m "$model" one --no-times
differs "data.seed: 0 in the rows, 3 now" -m "$model" data --no-times --val-split 0.5 --seed 3
differs 'options.tta: "one" in the rows, "hflip" now' -m "$model" data --no-times --tta hflip
differs "options.image_height: 32 in the rows, 64 now" -m "$model" data --no-times --img-size 64
differs "options.ignore_exif" -m "$model" data --no-times --no-exif
differs "the file of --map says something else" -m "$model" data --no-times --map map.tsv
cp "$photos/cat.jpg" data/tabby_cat/11.jpg
differs "the data has other images" -m "$model" data --no-times
rm data/tabby_cat/11.jpg
# Where the data lies does not matter.
cp -r data moved
run eval -m "$model" moved --json --no-times --rows a.jsonl --resume
exits 0
check "the rows are as they were" cmp kept.jsonl a.jsonl
# Files that are no rows, or not these.
spoils() { # WORDS, and a.jsonl is spoilt
    cp a.jsonl spoilt.jsonl
    run eval -m "$model" data --json --no-times --rows a.jsonl --resume
    exits 3
    silent out
    err_has "$1"
    check "$1: left alone" cmp spoilt.jsonl a.jsonl
    cp kept.jsonl a.jsonl
}
echo '{"some": "thing"}' >a.jsonl
spoils "no file of rows"
echo 'no JSON' >a.jsonl
spoils "line 1"
sed '3s/.*/{"index": 1}/' kept.jsonl >a.jsonl
spoils "line 3"
sed 3d kept.jsonl >a.jsonl
spoils "index 1 is missing"
sed '3s/"label_index": [0-9]/"label_index": 5/' kept.jsonl >a.jsonl
spoils "line 3"
sed '3{p}' kept.jsonl >a.jsonl
spoils "line 4"
# Nothing written before there are rows to write.
rm -f new.jsonl
run eval -m "$model" other --rows new.jsonl
exits 3
check "no file" test ! -e new.jsonl
run eval -m "$model" data --rows nowhere/new.jsonl
exits 4
err_has "nowhere/new.jsonl"
: >new.jsonl
run eval -m "$model" data --rows new.jsonl
exits 0
check "an empty file holds nothing" test "$(wc -l <new.jsonl)" -eq 11
if command -v flock >/dev/null; then
    flock a.jsonl "$VITC" eval -m "$model" data --no-times --rows a.jsonl --resume >out 2>err
    rc=$?
    command_line="vitc eval, while another writes"
    exits 2
    err_has "another program is writing"
    check "left alone" cmp kept.jsonl a.jsonl
else
    skip "no flock"
fi

# ---- devices and pipes ----
run eval -m "$model" data --rows /dev/full
exits 4
err_has "/dev/full"
run eval -m "$model" data --rows /dev/null
exits 0
run eval -m "$model" data --rows /dev/null --resume
exits 2
err_has "regular file"
# A limit on file sizes stands in for a full disk: what fits is kept, and continued.
rm -f full.jsonl
(ulimit -f 3 && trap '' XFSZ && exec "$VITC" eval -m "$model" data --json --no-times --rows full.jsonl) >out 2>err
rc=$?
command_line="vitc eval with a full disk"
exits 4
silent out
err_has "full.jsonl: rows cannot be written"
err_has "--resume"
check "whole rows only" sh -c 'test "$(tail -c 1 full.jsonl | od -An -c | tr -d " ")" = "\\n"'
check "some, not all" sh -c 'test "$(wc -l <full.jsonl)" -gt 1 && test "$(wc -l <full.jsonl)" -lt 11'
run eval -m "$model" data --json --no-times --rows full.jsonl --resume
exits 0
check "the same rows" cmp a.jsonl full.jsonl
check "the same numbers" cmp first out
# A set that comes through a pipe is read once, and nothing else is made of the pipe.
mkfifo stream
cat set.tar >stream &
run eval -m "$model" stream --json
exits 0
check "all of its images" test "$(field n_ok)" -eq "$(tail -n +2 a.jsonl | wc -l)"
check "it has not changed" test "$(field data_changed)" = false
wait
mkfifo pipe
(head -n 1 <pipe >/dev/null) &
run eval -m "$model" set.tar set.tar set.tar set.tar set.tar set.tar set.tar set.tar set.tar set.tar \
    set.tar set.tar set.tar set.tar set.tar set.tar set.tar set.tar set.tar set.tar --rows pipe
exits 4
err_has "the reader of the rows has gone"
wait
"$VITC" eval -m "$model" data --json 2>err | head -c 1 >/dev/null
rc=${PIPESTATUS[0]}
command_line="vitc eval --json | head"
exits 0
silent err
"$VITC" eval -m "$model" data >/dev/full 2>err
rc=$?
command_line="vitc eval >/dev/full"
exits 4
err_has "cannot write to standard output"

# ---- a set that changes: rows go through a pipe, which holds the run where it is wanted ----
mkdir -p many/espresso "many/tabby cat"
for i in $(seq 200); do
    ln -s "$photos/rocket.png" "many/espresso/$i.png"
    ln -s "$photos/rocket.png" "many/tabby cat/$i.png"
done
"$VITC" eval -m "$model" many --json --rows pipe >out 2>err &
pid=$!
exec 3<pipe
read -r line <&3
rm "many/espresso/200.png"
cat <&3 >changed.jsonl
exec 3<&-
wait $pid
rc=$?
command_line="vitc eval while an image goes"
check "status 0 or 1" test "$rc" -le 1
check "it is told" test "$(field data_changed)" = true
err_has "changed while it was read"
check "every row" test "$(wc -l <changed.jsonl)" -ge 399

# ---- a signal ----
rm -f rows.jsonl
run eval -m "$model" many --json --no-times --rows rows.jsonl
cp out whole
rm -f stopped.jsonl
"$VITC" eval -m "$model" many --json --no-times --rows stopped.jsonl --threads 1 >out 2>err &
pid=$!
until [ -e stopped.jsonl ] && [ "$(wc -l <stopped.jsonl)" -gt 3 ]; do sleep 0.01; done
kill -TERM $pid 2>/dev/null
wait $pid
rc=$?
command_line="vitc eval, SIGTERM"
if [ "$(wc -l <stopped.jsonl)" -lt 400 ]; then
    exits 143
    err_has " eval --resume -m"
    err_has "vitc: to continue: "
    check "not complete" test "$(field complete)" = false
    agrees stopped.jsonl
else
    skip "the run was over before the signal"
fi
"$VITC" eval -m "$model" -m "$model" many --no-times --threads 1 >out 2>err &
pid=$!
sleep 0.1
kill -TERM $pid 2>/dev/null
wait $pid
rc=$?
command_line="vitc eval of two models, SIGTERM"
[ $rc -eq 0 ] || exits 143 # 0: it was over
run eval -m "$model" many --json --no-times --rows stopped.jsonl --resume
exits 0
check "the same numbers" cmp whole out
check "the same rows" cmp rows.jsonl stopped.jsonl

# ---- parts of a set ----
run eval -m "$model" many --json --val-split 0.3 --rows val.jsonl
exits 0
val=$(field n)
run eval -m "$model" many --json --val-split 0.3 --subset rest --rows rest.jsonl
exits 0
check "two parts" test $((val + $(field n))) -eq 399
check "about a share" test "$val" -gt 80 -a "$val" -lt 160
paths() {
    tail -n +2 "$1" | grep -o '"path": "[^"]*"'
}
check "nothing in both" test -z "$(paths val.jsonl | grep -xFf - <(paths rest.jsonl))"
run eval -m "$model" many --json --val-split 0.3 --seed 1 --rows seed.jsonl
exits 0
check "another choice" test "$(paths val.jsonl)" != "$(paths seed.jsonl)"
run eval -m "$model" many --val-split 0.3
out_has "held out by --val-split 0.3 --seed 0"
run eval -m "$model" many --val-split 0.3 --subset rest
out_has "what --val-split 0.3 --seed 0 leaves"

# ---- calibration ----
run eval -m "$model" data --json --calibrate new.safetensors
exits 0
after=$(field calibration loss_after)
check "better" sh -c "awk 'BEGIN { exit !($after <= $(field calibration loss_before)) }'"
run eval -m new.safetensors data --json
exits 0
check "the same labels" test "$(field top1)" = "$top1"
run info -m new.safetensors
out_has "fitted on 10 images of data: loss"
run eval -m new.safetensors data --json
check "the loss that was told" sh -c "awk 'BEGIN { exit !($(field loss) - $after < 1e-6 && $after - $(field loss) < 1e-6) }'"
run info -m new.safetensors
exits 0
check "info has a line for it" grep -Eq "^  temperature +[0-9.e-]+, fitted on [0-9]+ images of data:" out
run info -m new.safetensors --json
check "info's temperature" test "$(field model temperature)" != 1.0
check "info's note" test "$(field model calibration data)" = '"data"'
rm new.safetensors
run eval -m "$model" data --calibrate new.safetensors
out_has "do not report"
run eval -m new.safetensors data --calibrate new.safetensors
exits 2
err_has "is read by this command and cannot be its output too"
run eval -m "$model" data --calibrate nowhere/new.safetensors
exits 4
# With rows, and taken up.
rm -f c.jsonl d.jsonl new.safetensors
run eval -m "$model" data --no-times --json --calibrate new.safetensors --rows c.jsonl
exits 0
cp out whole
cp new.safetensors whole.safetensors
check "logits" test "$(grep -c '"logits"' c.jsonl)" -eq 11
head -n 4 c.jsonl >d.jsonl
run eval -m "$model" data --no-times --json --calibrate new.safetensors --rows d.jsonl --resume
exits 0
check "the same numbers" cmp whole out
check "the same model" cmp whole.safetensors new.safetensors
# Where all are right, no temperature is.
mkdir -p sure
tail -n +2 rows2.jsonl | while read -r row; do
    path=$(echo "$row" | sed 's/.*"path": "\(\([^"\\]\|\\.\)*\)".*/\1/; s/\\"/"/g')
    class=$(echo "$row" | sed 's/.*"prediction": "\(\([^"\\]\|\\.\)*\)".*/\1/; s/\\"/"/g')
    mkdir -p "sure/$class"
    cp "$path" "sure/$class"
done
run eval -m "$model" sure --json --calibrate sure.safetensors
check "all are right" test "$(field top1)" = 1.0
exits 3
err_has "do not say which temperature"
check "no file" test ! -e sure.safetensors

# ---- several models ----
run quantize "$model" -o int8.safetensors -q
run eval -m "$model" -m int8.safetensors --model "$model" data --json --no-times
exits 0
check "three" test "$(field 2 top1)" = "$top1"
check "no comparison with itself" sh -c '! '"$CLI_CHECK"' json 0 against_first <out 2>/dev/null'
check "the same model" test "$(field 2 against_first)" = '{"lost": 0, "gained": 0, "mcnemar_p": 1.0}'
check "precision" test "$(field 1 precision)" = '"int8"'
run eval -m "$model" -m int8.safetensors data --no-times
exits 0
check "a line each" test "$(grep -c '^  .*%' out)" -ge 2
out_has McNemar
run eval -m "$model" -m nowhere data --json
exits 3
silent out # not after all of the first
err_has "nowhere: cannot be opened"
find data -name '*.*' | sed 's/.*/&,cat/' >own.csv
cp own.csv as-it-was
run eval -m "$model" own.csv --report own.csv
exits 2
err_has "own.csv: is read by this command and cannot be its output too"
run eval -m "$model" data --rows both --report both
exits 2
err_has "both: is named for two outputs of this command"
check "the list is as it was" cmp own.csv as-it-was

# ---- wrong usage ----
# wrong WORDS ARGS...
wrong() {
    local words=$1
    shift
    run eval "$@"
    exits 2
    silent out
    err_has "$words"
}
wrong "needs DATA" -m "$model"
wrong "--resume needs --rows" data --resume
wrong "choose one" data --strict --max-bad 3
wrong "--subset needs --val-split" data --subset rest
wrong "between 0 and 1" data --val-split 1
wrong "between 0 and 1" data --val-split 0
wrong "between 0 and 1" data --val-split x
wrong "take one model" data -m a -m b --rows x.jsonl
wrong "take one model" data -m a -m b --calibrate x.safetensors
wrong "did you mean --rows?" data --row x
# shellcheck disable=SC2046
wrong "16 times at most" data $(for i in $(seq 17); do echo "-m m$i"; done)
finish
