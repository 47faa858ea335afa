# `vitc preprocess` writes the tensor that PyTorch has, whole or not at all, and never over its input.
. "$(dirname "$0")/cli_lib.sh"
cp "$GOLDEN/photos/cat.jpg" cat.jpg

# Golden tensors of Hugging Face and timm, through the program. A model of the same input size is
# needed; the golden checkpoints have several.
tried=0
for case in $(cat "$GOLDEN/preprocess/index.txt"); do
    folder=$GOLDEN/preprocess/$case
    spec=$folder/preprocessor_config.json
    [ -e "$spec" ] || spec=$folder/config.json
    model=
    for candidate in hf_vit hf_vit_nonsquare; do
        if "$VITC" preprocess -m "$GOLDEN/checkpoints/$candidate" --preprocess "$spec" cat.jpg \
            >/dev/null 2>&1; then
            model=$GOLDEN/checkpoints/$candidate
        fi
    done
    [ -n "$model" ] || continue
    for image in "$GOLDEN"/preprocess/images/*.png; do
        name=$(basename "$image" .png)
        "$CLI_CHECK" offsets "$folder/golden.safetensors" "$name" >/dev/null 2>&1 || continue
        tried=$((tried + 1))
        rm -f seen.npy
        run preprocess -m "$model" --preprocess "$spec" "$image" --dump seen.npy
        exits 0
        check "$case $name" "$CLI_CHECK" npy seen.npy "$folder/golden.safetensors" "$name"
    done
done
check "at least 50 golden tensors were compared, and not $tried" test "$tried" -ge 50

run preprocess cat.jpg
exits 0
silent err
same preprocess.txt
run preprocess cat.jpg --json --dump seen.npy --png seen.png
exits 0
"$CLI_CHECK" json shape <out >shape
check "shape" grep -qxF '[3, 128, 128]' shape
check "a picture" test "$(head -c 8 seen.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a
check "a tensor of 3x128x128" test "$(wc -c <seen.npy)" -eq $((128 + 3 * 128 * 128 * 4))
run preprocess seen.png --dump again.npy
exits 0
check "the picture is what the tensor is made of" cmp seen.npy again.npy
cp cat.jpg in
run preprocess - --dump stdin.npy
exits 0
check "standard input" cmp seen.npy stdin.npy
rm in
run preprocess "$GOLDEN/photos/astronaut_exif6.jpg"
exits 0
out_has "EXIF orientation 6"

run preprocess -m "$GOLDEN/checkpoints/hf_vit" cat.jpg --fast-decode
exits 0
out_has "stored         JPEG, 220 wide, 205 high"
out_has "decoded        RGB, 110 wide, 103 high"
run preprocess -m "$GOLDEN/checkpoints/hf_vit" cat.jpg --fast-decode --json
out_has '"width": 220, "height": 205'
run preprocess "$GOLDEN/photos/astronaut_exif6.jpg" -m "$GOLDEN/checkpoints/hf_vit" --fast-decode \
    --json
out_has '"width": 150, "height": 226'

# Never over what is read.
cksum cat.jpg >before
ln -s cat.jpg link.jpg
ln cat.jpg hard.jpg
for output in cat.jpg ./cat.jpg link.jpg hard.jpg; do
    run preprocess cat.jpg --png $output
    exits 2
    err_has "cannot be its output"
    run preprocess cat.jpg --dump $output
    exits 2
done
cksum cat.jpg >after
check "the input is as it was" cmp before after
run preprocess cat.jpg --dump same --png same
exits 2
run preprocess cat.jpg --dump nowhere/x.npy
exits 4
err_has "nowhere/x.npy"
silent out
run preprocess cat.jpg --dump .
exits 4
if [ -w /dev/full ]; then
    echo keep >kept.npy
    # A file size limit is a disk that fills up.
    (ulimit -f 8 && trap '' XFSZ && exec "$VITC" preprocess cat.jpg --dump kept.npy) >out 2>err
    rc=$?
    exits 4
    err_has "kept.npy"
    check "the old file is still there" grep -qx keep kept.npy
fi
check "no temporary file is left" test -z "$(find . -name '*.tmp')"
finish
