# Quantizing: files, measurements on folders of class folders, what is refused, --precision.
. "$(dirname "$0")/cli_lib.sh"
photos=$GOLDEN/photos
model=$GOLDEN/checkpoints/hf_vit
cp "$photos/cat.jpg" cat.jpg

field() {
    "$CLI_CHECK" json "$@" <out
}
leaves_nothing() {
    check "no output" test -z "$(find . -name 'new.safetensors*')"
}

# Without data.
run quantize "$model" -o int8.safetensors
exits 0
silent err
out_has "int8.safetensors: int8, "
out_has "unmeasured"
run info -m int8.safetensors
exits 0
out_has "int8; what it costs is unmeasured"
out_has "the file holds int8 weights"
run info -m int8.safetensors --json
check "precision" test "$(field model precision)" = '"int8"'
check "reason" test "$(field model precision_reason)" = '"the file holds int8 weights"'
check "a kernel" test -n "$(field model precision_kernel)"
check "unmeasured" test "$(field model quantization measurement)" = '"unmeasured"'
check "stored as" test "$(field model dtype)" = '"I8"'
run classify -m int8.safetensors --json cat.jpg
exits 0
rows
run quantize "$model" -o bf16.safetensors --dtype bf16 --json
exits 0
check "dtype" test "$(field dtype)" = '"bf16"'
check "unmeasured" test "$(field measurement)" = '"unmeasured"'
check "size" test "$(field size)" -eq "$(wc -c <bf16.safetensors)"

# The precision: what is picked is told, what cannot be is refused.
run classify -m int8.safetensors --precision auto cat.jpg
exits 0
err_has "precision int8"
err_has "the file holds int8 weights"
run classify -m int8.safetensors --precision auto -q cat.jpg
silent err
run classify -m int8.safetensors -v cat.jpg
err_has "precision int8"
for precision in f32 bf16; do
    run classify -m int8.safetensors --precision $precision cat.jpg
    exits 2
    silent out
    err_has "cannot give $precision"
    run info -m int8.safetensors --precision $precision
    exits 2
    run info -m bf16.safetensors --precision $precision --json
    exits 0
    check "as asked" test "$(field model precision)" = "\"$precision\""
    check "reason" test "$(field model precision_reason)" = '"asked for"'
done
run classify -m "$model" --precision int8 cat.jpg
exits 2
err_has "holds no int8 weights"
run classify -m "$model" --precision auto cat.jpg
err_has "precision f32"
err_has "the file holds float32"
VITC_ISA=ref run info -m bf16.safetensors --precision auto --json
check "no bf16 instructions" test "$(field model precision)" = '"f32"'

# With data.
mkdir -p data/tabby_cat data/ESPRESSO "data/rocket, projectile/deep/er" data/.hidden
cp "$photos/cat.jpg" data/tabby_cat/1.jpg
cp "$photos/cat_progressive.jpg" data/tabby_cat/2.jpg
cp "$photos/spoon_rgba.png" data/ESPRESSO/x.png
cp "$photos/astronaut.bmp" "data/rocket, projectile/deep/er/y.bmp"
run quantize "$model" -o new.safetensors --data data/ --json
exits 0
silent err
cp out first
check "images" test "$(field measurement images)" = 4
check "bad" test "$(field measurement bad_files)" = 0
check "name" test "$(field measurement data)" = '"data"'
check "precision" test "$(field measurement precision)" = '"int8"'
check "confidence" test "$(field measurement confidence)" = 0.95
lost=$(field measurement lost)
gained=$(field measurement gained)
check "loss" test "$(field measurement loss_points)" = $(((lost - gained) * 25)).0
hash=$(field measurement data_sha256)
check "a hash" test ${#hash} -eq 66
run info -m new.safetensors --json
check "it is in the file" test "$(field model quantization measurement data_sha256)" = "$hash"
run info -m new.safetensors
out_has "on 4 images of data, at most"
check "the weights are the same" cmp <(tail -c 40000 int8.safetensors) <(tail -c 40000 new.safetensors)
for how in "--threads 1 --batch 1" "--threads 2 --batch 3"; do
    # shellcheck disable=SC2086
    run quantize "$model" -o new.safetensors --data data --json $how
    exits 0
    check "$how: the same" cmp first out
done
run quantize "$model" -o new.safetensors --data data --report
exits 0
out_has "4 images, 0 that cannot be used"
out_has "with 95 % confidence"
check "8 matrices" test "$(grep -c '^blocks\.[01]\.' out)" -eq 8
check "the worst first" sh -c 'grep "^blocks" out | tr -s " " | cut -d" " -f2 | sort -gr -c'
run quantize "$model" -o new.safetensors --data data --report --json
check "9 rows" test "$(grep -c '"relative_error"' out)" -eq 9
check "all of them" test "$(field sensitivity images)" = 4
run quantize "$model" -o new.safetensors --data data --dtype bf16 --json
exits 0
check "measured in bf16" test "$(field measurement precision)" = '"bf16"'
run quantize "$model" -o new.safetensors --data data --dtype bf16 --precision f32 --json
exits 0
check "measured in f32" test "$(field measurement precision)" = '"f32"'

# The hash names the data: contents and names, not the place.
cp -r data elsewhere
run quantize "$model" -o new.safetensors --data elsewhere --json
check "the same data" test "$(field measurement data_sha256)" = "$hash"
mv elsewhere/tabby_cat/2.jpg elsewhere/tabby_cat/3.jpg
run quantize "$model" -o new.safetensors --data elsewhere --json
check "another name" test "$(field measurement data_sha256)" != "$hash"
mv elsewhere/tabby_cat/3.jpg elsewhere/tabby_cat/2.jpg
printf x >>elsewhere/tabby_cat/2.jpg
run quantize "$model" -o new.safetensors --data elsewhere --json
check "another byte" test "$(field measurement data_sha256)" != "$hash"

# A bad image is reported, counted and left out; strays beside the classes are told.
echo "no image" >elsewhere/ESPRESSO/text.jpg
echo "about" >elsewhere/README
run quantize "$model" -o new.safetensors --data elsewhere --json
exits 1
err_has "text.jpg"
err_has "1 file beside the class folders"
check "images" test "$(field measurement images)" = 4
check "bad" test "$(field measurement bad_files)" = 1
run quantize "$model" -o new.safetensors --data elsewhere -q
exits 1
silent err
rm -f new.safetensors

# What is no data.
run quantize "$model" -o new.safetensors --data nowhere
exits 3
err_has "nowhere"
leaves_nothing
mkdir empty
run quantize "$model" -o new.safetensors --data empty
exits 3
err_has "an empty folder"
mkdir empty/espresso
run quantize "$model" -o new.safetensors --data empty
exits 3
err_has "none of its 1 class folder holds a file"
echo "no image" >empty/espresso/text.jpg
run quantize "$model" -o new.safetensors --data empty
exits 3
err_has "no image there can be used"
leaves_nothing
mkdir data/dog data/Tabby
run quantize "$model" -o new.safetensors --data data
exits 3
err_has "dog"
err_has "Tabby"
err_has 'no class has: Kuchen-Käse, grey "fox"'
leaves_nothing
rmdir data/dog data/Tabby

# Other sets than folders, and other names than the labels.
cp -r data flat
mv "flat/rocket, projectile/deep/er/y.bmp" "flat/rocket, projectile"
tar -cf data.tar -C flat .
run quantize "$model" -o new.safetensors --data data.tar --json
exits 0
check "images of a tar file" test "$(field measurement images)" = 4
check "the same answers" test "$(field measurement lost)" = "$lost"
mv data/tabby_cat data/kitty
echo "kitty,tabby cat" >map.csv
run quantize "$model" -o new.safetensors --data data
exits 3
err_has kitty
run quantize "$model" -o new.safetensors --data data --map map.csv --json
exits 0
check "mapped" test "$(field measurement images)" = 4
check "the same answers" test "$(field measurement lost)" = "$lost"
mv data/kitty data/tabby_cat
run quantize "$model" -o new.safetensors --map map.csv
exits 2
err_has "--map needs --data"
rm -f new.safetensors

# Not over the input, in whatever form; nowhere; a full disk.
run convert "$model" -o f32.safetensors
exits 0
cksum f32.safetensors >before
for data in "" "--data data"; do
    # shellcheck disable=SC2086
    run quantize f32.safetensors -o ./f32.safetensors $data
    exits 2
    err_has "give another output file"
    # shellcheck disable=SC2086
    run quantize f32.safetensors -o nowhere/x.safetensors $data
    exits 4
    err_has "nowhere"
done
cksum f32.safetensors >after
check "the input is as it was" cmp before after
(ulimit -f 8 && trap '' XFSZ && exec "$VITC" quantize "$model" -o new.safetensors) >out 2>err
rc=$?
exits 4
leaves_nothing
run quantize int8.safetensors -o new.safetensors
exits 2
err_has "int8 weights already"
run convert int8.safetensors -o new.safetensors
exits 2
err_has "int8 weights already"
run quantize nowhere -o new.safetensors
exits 3
leaves_nothing
for delay in 0.01 0.03 0.05 0.1 0.2; do
    timeout -s TERM $delay "$VITC" quantize f32.safetensors -o new.safetensors --data data >out 2>err
    rc=$?
    command_line="vitc quantize, TERM after $delay s"
    check "no part is left" test -z "$(find . -name '*.tmp')"
done
finish
