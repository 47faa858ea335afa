# convert to other libraries' directories, and to models for enlarged images.
. "$(dirname "$0")/cli_lib.sh"
cp "$GOLDEN/photos/cat.jpg" cat.jpg
golden=$GOLDEN/checkpoints

# export LIBRARY CASE: the directory holds the same model
export_case() {
    rm -rf exported
    run classify -q -m "$golden/$2" --json --logits cat.jpg
    exits 0
    cp out direct
    run convert "$golden/$2" --export "$1" -o exported
    exits 0
    silent out
    run classify -q -m exported --json --logits cat.jpg
    exits 0
    check "$1 of $2: the same bits" cmp direct out
}
export_case hf hf_vit
export_case hf hf_deit_distilled
export_case hf hf_vit_eps1e_6_noqkvbias
export_case timm hf_vit_eps1e_6_noqkvbias
export_case timm timm_vit_avg
export_case timm timm_vit_registers
export_case timm timm_deit_distilled
check "two files for timm" test "$(find exported -type f | wc -l)" -eq 2

# A model without labels gets some for timm: transformers takes 1000 classes for ImageNet's.
cp -r "$golden/hf_vit_eps1e_6_noqkvbias" unnamed
sed -i '/"id2label"/,/}/d; /"label2id"/,/}/d' unnamed/config.json
run convert unnamed --export timm -o numbered
exits 0
check "they are numbers" grep -q '"class 0"' numbered/config.json
rm -r numbered

# The name of an architecture is cut between characters, so that it can be read back.
name=vit_tiny_patch16_224$(printf '\303\251%.0s' $(seq 60))
cp -r "$golden/timm_vit" long
sed -i "s/\"architecture\": \"vit_tiny_patch16_224\"/\"architecture\": \"$name\"/" long/config.json
run convert long -o long.safetensors
exits 0
run info -m long.safetensors
exits 0
out_has "$(printf 'vit_tiny_patch16_224\303\251')"

# What is there stays; what cannot be expressed is refused by name.
cksum exported/* >before
run convert "$golden/timm_vit" --export timm -o exported
exits 4
err_has "exported: is a folder with files in it"
cksum exported/* >after
check "untouched" cmp before after
run convert "$golden/timm_vit_avg" --export hf -o other
exits 3
err_has "other: ViTForImageClassification classifies by the class token only"
run convert "$golden/hf_vit" --export timm -o other
exits 3
err_has "epsilon"
check "nothing is left" test -z "$(find . -name 'other*')"
mkdir empty
run convert "$golden/hf_vit" --export hf -o empty/ -v
exits 0
err_has "written"
check "an empty folder is used" test -e empty/config.json
run convert "$golden/hf_vit" --export hf -o nowhere/x
exits 4
err_has "nowhere/x"
(ulimit -f 8 && trap '' XFSZ && exec "$VITC" convert "$golden/hf_vit" --export hf -o full) >out 2>err
rc=$?
command_line="vitc convert --export on a full disk"
exits 4
check "a full disk leaves nothing" test -z "$(find . -name 'full*')"
for delay in 0.01 0.02 0.03 0.04 0.06 0.1; do
    timeout -s TERM $delay "$VITC" convert "$golden/hf_vit" --export hf -o stopped >out 2>err
    rc=$?
    command_line="vitc convert --export, TERM after $delay s"
    check "no part is left" test -z "$(find . -name '*.tmp')"
    [ -e stopped ] && check "it is whole" test "$(find stopped -type f | wc -l)" -eq 3
    rm -rf stopped
done

# A model of 32 pixels with patches of 8 takes pictures of 128 with patches of 32.
run convert "$golden/hf_vit" -o small.safetensors
exits 0
run convert small.safetensors --enlarge 4 --enlarge-filter nearest -o large.safetensors
exits 0
silent err
run info -m large.safetensors --json
check "its size" test "$("$CLI_CHECK" json model image_width <out)" = 128
check "its patch" test "$("$CLI_CHECK" json model patch <out)" = 32
run convert small.safetensors --enlarge 4 -o bilinear.safetensors --dtype bf16
exits 0
run preprocess -m bilinear.safetensors cat.jpg
exits 0
out_has "128x128 (bilinear)"
run convert large.safetensors --export hf -o large
exits 0
run classify -q -m large.safetensors --json --logits cat.jpg
cp out direct
run classify -q -m large --json --logits cat.jpg
check "an enlarged model, exported: the same bits" cmp direct out
cksum small.safetensors >before
run convert small.safetensors --enlarge 2 -o small.safetensors
exits 2
err_has "cannot be its output"
cksum small.safetensors >after
check "not over its input" cmp before after
run convert small.safetensors --enlarge 2 --enlarge-filter bicubic -o none.safetensors
exits 2
err_has "nearest always works"
check "no file" test ! -e none.safetensors

# wrong usage
for words in "--enlarge-filter nearest -o x" "--export hf --dtype bf16 -o x" "--enlarge 1 -o x" \
    "--export hf --card card.json -o x" "--export npz -o x" "--export hf"; do
    # shellcheck disable=SC2086  # they are several
    run convert small.safetensors $words
    exits 2
    silent out
    check "nothing is written" test ! -e x
done
finish
