# vitc posemb: maps and numbers of position embeddings, and models for another grid.
. "$(dirname "$0")/cli_lib.sh"
timm=$GOLDEN/checkpoints/timm_vit
cp "$GOLDEN/photos/cat.jpg" cat.jpg

make() {
    command_line="cli_check model $*"
    check "a model: $*" "$CLI_CHECK" model "$@"
}

is_png() {
    check "$1 is a PNG file" sh -c 'test "$(head -c 4 "$1" | tail -c 3)" = PNG' - "$1"
}

# Every kind of positions, and every place: what is said, and a picture where there is one to draw.
for kind in none learned-1d learned-2d factorized-sum sincos-2d relative rope-2d; do
    for at in stem every every-shared; do
        case $kind-$at in
        none-every* | relative-stem | rope-2d-stem) continue ;;
        esac
        make $kind add $at model.safetensors
        run posemb show model.safetensors
        exits 0
        silent err
        { echo "== $kind $at" && cat out; } >>all
        run posemb show model.safetensors -o maps.svg --json
        if [ $kind = none ]; then
            exits 2
            err_has "nothing to draw"
            check "no picture" test ! -e maps.svg
            continue
        fi
        exits 0
        check "a picture" grep -q "</svg>" maps.svg
        "$CLI_CHECK" json position <out >value
        check "JSON says $kind" grep -qxF "\"$kind\"" value
        rm maps.svg
    done
done
cp all out
same posemb.txt
make learned-2d mul stem model.safetensors
run posemb show model.safetensors
out_has "multiplied with the embedded patches"

# One map for each patch, or for each head.
maps() {
    check "$2 maps" sh -c 'test "$(grep -c "<image " maps.svg)" -eq "$1"' - "$2"
    rm -f maps.svg
}
run posemb show model.safetensors -o maps.svg
maps patches 12
make relative add every model.safetensors
run posemb show model.safetensors --layer 1 -o maps.svg
exits 0
out_has "block      1 of 0 to 1"
maps heads 2
grep -v '^block ' out >second
run posemb show model.safetensors
grep -v '^block ' out >first_block
check "blocks have their own" sh -c 'test -s second && ! cmp -s first_block second'


# A chance that says nothing is null; numbers of rope-2d are of what it makes of ones. Biases of the
# class token are told too.
json_has() {
    check "JSON has $1" grep -qF "$1" out
}
run posemb show model.safetensors --json
json_has '"prefix_to_patch": '
json_has '"patch_to_prefix": '
json_has '"prefix_to_prefix": '
run posemb show model.safetensors
out_has "from patches"
# Biases that are all zero, as they are before training, are highest nowhere.
"$CLI_CHECK" offsets model.safetensors blocks.0.attn.relative_position_bias_table >place
read -r begin end <place
dd if=/dev/zero of=model.safetensors bs=1 seek="$begin" count=$((end - begin)) conv=notrunc status=none
run posemb show model.safetensors
check "no highest" grep -qE "^  1 +0.0000 +0.0000  - +- +- +-$" out
run posemb show model.safetensors --json
json_has '"most_dy": null'
json_has '"rows": null'
make rope-2d add every model.safetensors
run posemb show model.safetensors --json
json_has '"shown": "ones turned"'
"$CLI_CHECK" json chance effective_rank <out >value
check "no chance of the rank" grep -qx null value
"$CLI_CHECK" json structure rest <out >value
check "rounding is no rest" grep -qxE '0(\.0)?' value

# Where all is one offset, pictures say what hides the rest.
make learned-1d add stem model.safetensors
run posemb show model.safetensors -o maps.svg
check "no common offset" sh -c '! grep -q "common offset" maps.svg'
"$CLI_CHECK" offsets model.safetensors pos_embed >place
read -r begin end <place
for _ in $(seq $(((end - begin) / 4))); do printf '\0\0\200?'; done >ones
dd if=ones of=model.safetensors bs=1 seek="$begin" conv=notrunc status=none
run posemb show model.safetensors -o maps.svg
exits 0
out_has "All patches have the same numbers"
check "a common offset" grep -q "mostly a common offset; --centred shows the rest" maps.svg
run posemb show model.safetensors -o maps.svg --centred
check "the rest" sh -c '! grep -q "common offset" maps.svg'

# Grids that are long and narrow: no side of a picture is very long. Two patches have no verdict.
side() {
    od -An -tu1 -j"$2" -N4 "$1" | { read -r a b c d && echo $(((a << 24) + (b << 16) + (c << 8) + d)); }
}
make learned-2d add stem model.safetensors
for grid in 24x2 2x24 24x1 1x24 26x1; do
    run posemb resize model.safetensors --grid $grid -o long.safetensors
    exits 0
    run posemb show long.safetensors -o long.png
    exits 0
    check "$grid: not wide" test "$(side long.png 16)" -lt 1500
    check "$grid: not high" test "$(side long.png 20)" -lt 1500
done
run posemb show long.safetensors -o maps.svg
maps "26 patches, every second" 13
run posemb resize model.safetensors --grid 1x2 -o long.safetensors
run posemb show long.safetensors --json
json_has '"shift": null'
run posemb show long.safetensors
check "no verdict on two patches" sh -c '! grep -qE "How alike|Neighbouring|nan" out'

# The built-in model: numbers that are known, by name.
run posemb show -o maps.png --centred --npy table.npy
exits 0
is_png maps.png
check "64 rows" grep -aq "'shape': (64, 192)" table.npy
run posemb show --json
exits 0
"$CLI_CHECK" json structure rows <out >value
check "rows hold 56 %" grep -q '^0\.559' value
run posemb show -o maps.txt
exits 2
err_has ".png or .svg"

# The table for other tools is that of the model.
run posemb show "$timm" --npy table.npy
exits 0
run convert "$timm" -o timm.safetensors
run posemb show timm.safetensors --npy again.npy
check "the same of the converted file" cmp table.npy again.npy
"$CLI_CHECK" offsets timm.safetensors pos_embed >place
read -r begin end <place
tail -c +$((begin + 1)) timm.safetensors | head -c $((end - begin)) >stored
tail -c +129 table.npy >dumped
check "the numbers of the file" cmp stored dumped

# Another grid: the same file as convert makes, and the same as when it is resized at loading.
run convert "$timm" --img-size 48x64 -o converted.safetensors
run posemb resize "$timm" --img-size 48x64 -o resized.safetensors
exits 0
silent err
out_has "resized.safetensors: positions learned-1d, resampled 4x4 to 6x8, bicubic-aa; images of 48x64; weights stored as F32"
check "as convert has it" cmp converted.safetensors resized.safetensors
run posemb resize "$timm" --grid 6x8 -o resized.safetensors --npy table.npy
exits 0
check "as convert has it, by the grid" cmp converted.safetensors resized.safetensors
run posemb show resized.safetensors --npy again.npy
check "the table of the new model" cmp table.npy again.npy
for filter in bicubic-aa bicubic bilinear-aa bilinear bilinear-corners; do
    run posemb resize "$timm" --grid 3 --filter $filter -o $filter.safetensors
    exits 0
    out_has "resampled 4x4 to 3x3, $filter;"
    run classify -q -m $filter.safetensors --json --logits cat.jpg
    exits 0
    cp out $filter.json
done
check "each filter gives others" sh -c 'test "$(cat *.json | sort -u | wc -l)" -eq 5'
for kind in none learned-2d factorized-sum sincos-2d relative rope-2d; do
    make $kind add "$([ $kind = relative ] || [ $kind = rope-2d ] && echo every || echo stem)" \
        model.safetensors
    run posemb resize model.safetensors --grid 5x2 -o other.safetensors
    exits 0
    case $kind in
    none) out_has "positions none; images of 40x16" ;;
    sincos-2d | rope-2d) out_has "made anew for 5x2" ;;
    *) out_has "resampled 3x4 to 5x2" ;;
    esac
    run posemb show other.safetensors
    exits 0
    out_has "grid       5x2 patches"
    run classify -q -m other.safetensors cat.jpg
    exits 0
done
# A file's number format stays, int8 too, unless another is asked for.
run quantize "$timm" -o int8.safetensors
run posemb show int8.safetensors --npy again.npy
exits 0
run posemb show "$timm" --npy table.npy
check "int8: the same positions" cmp table.npy again.npy
run posemb resize int8.safetensors --grid 3 -o other8.safetensors
exits 0
out_has "weights stored as I8"
run posemb resize int8.safetensors --grid 3 --dtype f32 -o refused.safetensors
exits 2
err_has "int8"
check "nothing is left" test ! -e refused.safetensors
run convert "$timm" --dtype bf16 -o bf16.safetensors
run posemb resize bf16.safetensors --grid 3 -o other16.safetensors
exits 0
out_has "weights stored as BF16"
run posemb resize bf16.safetensors --grid 3 --dtype f32 -o other32.safetensors
exits 0
out_has "weights stored as F32"
run convert bf16.safetensors --img-size 24 -o converted.safetensors
check "as convert has it, in float32" cmp converted.safetensors other32.safetensors

# The table for other tools: its shape is told, and what they would do wrong with it.
run posemb show "$timm" --npy table.npy
out_has "table.npy: shape (17, 32), 1 prefix row"
silent err
make learned-1d mul stem mul.safetensors
make learned-1d add every every.safetensors
make learned-2d add stem model.safetensors
for case in "mul multiplied" "every every"; do
    run posemb show "${case% *}.safetensors" --npy table.npy
    exits 0
    out_has "table.npy: shape (12, 16), 0 prefix rows"
    err_has "${case#* }"
    err_has "which no table of other tools can express"
    run posemb show "${case% *}.safetensors" --npy table.npy -q --json
    silent err
    out_lacks "shape"
    run posemb resize "${case% *}.safetensors" --npy refused.npy -o refused.safetensors --grid 2
    exits 2
    silent out
    err_has "which no table of other tools can express"
    check "nothing is left" test ! -e refused.npy -a ! -e refused.safetensors
done
run posemb resize model.safetensors --npy table.npy -o other.safetensors --grid 2x5
exits 0
silent err
out_has "table.npy: shape (10, 16), 0 prefix rows"

# What is not resampled has no filter.
for kind in none sincos-2d rope-2d; do
    make $kind add "$([ $kind = rope-2d ] && echo every || echo stem)" model.safetensors
    run posemb resize model.safetensors --grid 2 --filter bicubic -o refused.safetensors
    exits 2
    err_has "$([ $kind = none ] && echo "no positions" || echo "made anew")"
    check "nothing is left" test ! -e refused.safetensors
done

# The built-in model by its name, wherever a model is named; what was measured of it does not hold
# at another size, and is not said.
run posemb show bundled
exits 0
out_has "model      built into this program"
cp out named
run posemb show
check "the same without a name" cmp named out
run posemb show -m bundled
check "the same by -m" cmp named out
for words in "convert bundled" "convert -m bundled" "posemb resize bundled --grid 8" \
    "quantize bundled --dtype bf16" "quantize -m bundled --dtype bf16"; do
    # shellcheck disable=SC2086
    run $words -o written.safetensors
    exits 0
    silent err
    run info -m written.safetensors
    out_has "91.32 % top-1"
done
for words in "convert bundled --img-size 64" "posemb resize -m bundled --grid 4" \
    "convert bundled --enlarge 2 --enlarge-filter nearest --img-size 64"; do
    # shellcheck disable=SC2086
    run $words -o written.safetensors
    exits 0
    err_has "without the accuracy of the source, measured at another image size"
    run info -m written.safetensors
    exits 0
    out_has "CIFAR-10"
    out_lacks "%"
done
check "no more than one line" test "$(wc -l <err)" -eq 0
run info -m bundled --img-size 64
out_lacks "%"
run convert bundled extra -o written.safetensors
exits 2
run convert bundled -m "$timm" -o written.safetensors
exits 2
err_has "given twice"
mkdir -p bundled
run convert ./bundled -o written.safetensors
exits 3
rmdir bundled

# A note of quantizing stays true of the format, not of the loss; a temperature goes.
printf 'cat.jpg,tabby\n' >pictures.csv
"$VITC" classify -q -m "$timm" cat.jpg --json >label
label=$("$CLI_CHECK" json top 0 label <label | tr -d '"')
printf 'path,label\ncat.jpg,%s\n' "$label" >pictures.csv
run quantize "$timm" --data pictures.csv -o int8.safetensors
exits 0
run posemb resize int8.safetensors --grid 3 -o other8.safetensors
exits 0
err_has "without the accuracy of the source"
run info -m other8.safetensors
out_has "what it costs is unmeasured"

# How alike two models' tables are.
make learned-2d add stem first.safetensors
make sincos-2d add stem second.safetensors
run posemb compare first.safetensors first.safetensors
exits 0
silent err
out_has "CKA         1.000"
out_has "cosines     1.000"
out_has "more than chance"
run posemb compare first.safetensors second.safetensors
exits 0
cp out both
same posemb_compare.txt
run posemb compare -m first.safetensors second.safetensors
check "A by -m" cmp both out
run posemb compare first.safetensors bundled
exits 0
out_has "resampled 3x4 to 8x8, bicubic-aa"
run posemb compare bundled first.safetensors --filter bilinear --json
exits 0
out_has '"resized": "resampled 3x4 to 8x8, bilinear"'
out_has '"resized": null'
for words in "grid_height 8" "grid_width 8" "shuffles 99" "layer 0"; do
    "$CLI_CHECK" json "${words% *}" <out >value
    check "JSON: $words" grep -qx "${words#* }" value
done
"$CLI_CHECK" json limit cka <out >value
check "a limit" grep -q '^0\.' value
make learned-1d add every first.safetensors
run posemb compare first.safetensors first.safetensors --layer 1
exits 0
out_has "block    1"

# All blocks: a line each, and the numbers that each has alone.
make learned-1d add every model.safetensors
run posemb show model.safetensors --layer all
exits 0
check "two lines" sh -c 'test "$(grep -cE "^  [01] +[0-9.]+ %" out)" -eq 2'
run posemb show model.safetensors --layer all --json
exits 0
cp out every
run posemb show model.safetensors --layer 1 --json
"$CLI_CHECK" json structure shift <out >value
check "the numbers of block 1" grep -qF "\"shift\": $(cat value)" every
run posemb show model.safetensors --layer 0 --json
"$CLI_CHECK" json structure shift <out >value0
check "which are not those of block 0" sh -c '! cmp -s value value0'
check "two blocks" sh -c 'test "$(grep -c "\"layer\"" every)" -eq 2'
make relative add every model.safetensors
run posemb show model.safetensors --layer all
check "heads of two blocks" sh -c 'test "$(grep -c "with distance$" out)" -eq 2'

# Wrong usage, and files that would be written over.
wrong() {
    run posemb "$@"
    exits 2
    silent out
}
wrong draw
err_has "posemb show, posemb resize and posemb compare"
wrong show a b
wrong compare first.safetensors
err_has "two models"
wrong compare -m first.safetensors second.safetensors third.safetensors
wrong compare first.safetensors second.safetensors -o maps.png
wrong compare second.safetensors second.safetensors --filter bicubic
err_has "nothing is resampled"
wrong compare bundled second.safetensors --filter bicubic
err_has "made anew"
wrong compare first.safetensors first.safetensors --layer 2
err_has "blocks 0 to 1"
wrong compare second.safetensors second.safetensors --layer 1
err_has "layer 0"
for kind in none relative rope-2d; do
    make $kind add "$([ $kind = none ] && echo stem || echo every)" third.safetensors
    wrong compare second.safetensors third.safetensors
    err_has "third.safetensors"
    err_has "to compare"
done
wrong show --grid 4
wrong show "$timm" --layer 99
err_has "blocks 0 to"
wrong show "$timm" --layer all
err_has "of their own"
wrong show "$timm" --layer any
err_has "or all"
wrong show model.safetensors --layer all -o maps.png
err_has "--layer N"
wrong show "$timm" --layer 1
err_has "layer 0"
wrong resize "$timm" -o out.safetensors
err_has "one of --grid and --img-size"
wrong resize "$timm" -o out.safetensors --grid 4 --img-size 32
wrong resize "$timm" --grid 4
err_has "--output"
wrong resize -o out.safetensors --grid 4
err_has "MODEL"
wrong resize "$timm" -o out.safetensors --grid 4 --json
wrong resize "$timm" -o out.safetensors --grid 9000
err_has "larger than"
wrong resize "$timm" -o out.safetensors --filter cubic --grid 4
err_has "bicubic-aa|bicubic"
wrong resize timm.safetensors -o timm.safetensors --grid 4
err_has "cannot be its output"
wrong show timm.safetensors --npy timm.safetensors
err_has "cannot be its output"
make relative add every model.safetensors
wrong show model.safetensors --npy table.npy
err_has "no table"
wrong show model.safetensors --centred -o maps.png
err_has "biases"
wrong show "$timm" --centred
err_has "--output FILE draws them"
run posemb show missing.safetensors
exits 3
run posemb show -o /dev/full/maps.png
exits 4
finish
