# Models: what cannot be loaded ends with exit status 3 and names the tensor or key; convert.
. "$(dirname "$0")/cli_lib.sh"
cp "$GOLDEN/photos/cat.jpg" cat.jpg
golden=$GOLDEN/checkpoints
base=$golden/hf_vit

# Every golden checkpoint is a model of the program, and survives conversion bit for bit.
count=0
while read -r case; do
    [ -e "$golden/$case/golden.safetensors" ] || continue
    count=$((count + 1))
    run classify -q -m "$golden/$case" --json --logits cat.jpg
    exits 0
    cp out direct
    run convert "$golden/$case" -o converted.safetensors
    exits 0
    run classify -q -m converted.safetensors --json --logits cat.jpg
    exits 0
    check "$case: the converted file gives the same bits" cmp direct out
done <"$golden/index.txt"
check "at least 20 checkpoints" test "$count" -ge 20

# A folder of some hundred bytes that claims very many classes: nothing is allocated for them.
mkdir hostile
printf '{"architecture":"vit_tiny_patch16_224","label_names":{"0":"x"}}' >hostile/config.json
header='{"patch_embed.proj.weight":{"dtype":"F32","shape":[1,0,1,1],"data_offsets":[0,0]},
"blocks.0.mlp.fc1.weight":{"dtype":"F32","shape":[1,0],"data_offsets":[0,0]},
"head.weight":{"dtype":"F32","shape":[400000000,0],"data_offsets":[0,0]}}'
{
    # shellcheck disable=SC2059
    printf "\\$(printf %o $((${#header} % 256)))\\$(printf %o $((${#header} / 256)))\\0\\0\\0\\0\\0\\0"
    printf %s "$header"
} >hostile/model.safetensors
run info -m hostile
exits 3
err_has "hostile"

# refused TEXT: the model in broken/ is refused by all commands, with TEXT in the message.
refused() {
    run classify -m broken cat.jpg
    exits 3
    silent out
    err_has "$1"
    run info -m broken
    exits 3
    rm -f out.safetensors
    run convert broken -o out.safetensors
    exits 3
    err_has "$1"
    check "no output" test ! -e out.safetensors
    check "no part of one" test -z "$(find . -name 'out.safetensors*')"
}
fresh() {
    rm -rf broken
    cp -r "$base" broken
    chmod -R u+w broken
    rm -f broken/golden.safetensors
}
weights=broken/model.safetensors

# rewrite TENSOR COUNT BYTE: COUNT bytes of its data become \BYTE (octal)
rewrite() {
    local begin end
    read -r begin end < <("$CLI_CHECK" offsets "$weights" "$1")
    [ -n "$2" ] && end=$((begin + $2))
    head -c $((end - begin)) /dev/zero | tr '\0' "\\$3" |
        dd of="$weights" bs=1 seek="$begin" conv=notrunc 2>/dev/null
}

rm -rf broken
mkdir broken
refused "broken"
fresh
rm broken/config.json
refused "config.json"
fresh
rm "$weights"
refused "model.safetensors"
fresh
rm broken/preprocessor_config.json
refused "reprocess"
run classify -m broken --preprocess "$base/preprocessor_config.json" --json cat.jpg
exits 0
fresh
echo '{' >broken/config.json
refused "config.json"
fresh
sed -i 's/"hidden_size": *[0-9]*/"hidden_size": 24/' broken/config.json
refused "hidden_size"
fresh
sed -i 's/"model_type": *"vit"/"model_type": "swin"/' broken/config.json
refused "swin"
fresh
sed -i 's/classifier\.weight/classifier.weighx/' "$weights"
refused "classifier.weight"
fresh
sed -i 's/vit\.layernorm\.bias/vit.layernorm.bios/' "$weights"
refused "vit.layernorm.bias"
err_has "vit.layernorm.bios"
fresh
sed -i -E 's/("classifier\.weight":\{"dtype":"F32","shape":\[)([0-9]+),([0-9]+)\]/\1\3,\2]/' "$weights"
refused "classifier.weight"
fresh
head -c $(($(wc -c <"$weights") - 1000)) "$weights" >short
mv short "$weights"
refused "model.safetensors"
fresh
head -c 5 "$weights" >short
mv short "$weights"
refused "model.safetensors"
fresh
: >"$weights"
refused "model.safetensors"
# Two tensors on the same bytes: the end of the first moves into the second.
fresh
offsets=$(grep -ao '"data_offsets":\[[0-9]*,[0-9]*\]' "$weights" | sed -n 2p | tr -dc '0-9,')
begin=${offsets%,*}
sed -i "s/\"data_offsets\":\[$begin,/\"data_offsets\":[$((begin - 4)),/" "$weights"
refused "model.safetensors"
fresh
rewrite classifier.weight 4 377
refused "classifier.weight"
# All zero: info tells, classify refuses.
fresh
rewrite classifier.weight "" 000
rewrite classifier.bias "" 000
run classify -m broken cat.jpg
exits 3
silent out
err_has "all zero"
run info -m broken
exits 0
out_has "untrained"
run info -m broken --json
exits 0
check "head_trained" test "$("$CLI_CHECK" json model head_trained <out)" = false

# Weights so large that numbers overflow: the image fails, and is neither sorted nor counted as right.
fresh
rewrite classifier.weight "" 177
mkdir -p "data/tabby cat"
cp cat.jpg "data/tabby cat"
run classify -m broken --json --sort-into sorted cat.jpg
exits 1
err_has "cat.jpg: the model's numbers overflow"
rows
out_has "overflow "
check "no image is sorted" test -z "$(find sorted -type f)"
run classify -m broken --csv --min-score 0.5 cat.jpg
exits 1
out_has "cat.jpg,overflow,"
run eval -m broken data --rows rows.jsonl
exits 3
check "a row of eval" grep -q '"status": "overflow"' rows.jsonl

run classify -m nowhere cat.jpg
exits 3
silent out
err_has "nowhere"
run classify -m cat.jpg cat.jpg
exits 3
err_has "cat.jpg"
run classify --preprocess nowhere.json cat.jpg
exits 3
err_has "nowhere.json"
echo '{"size": 64}' >spec.json
run classify --preprocess spec.json cat.jpg
exits 3
echo 'not json' >spec.json
run classify --preprocess spec.json cat.jpg
exits 3
err_has "spec"

# convert
run convert "$base" -o f32.safetensors
exits 0
silent out
silent err
run convert "$base" -o bf16.safetensors --dtype bf16 -v
exits 0
err_has "bf16.safetensors: written"
check "BF16 is smaller" test "$(wc -c <bf16.safetensors)" -lt "$(wc -c <f32.safetensors)"
run classify -m bf16.safetensors --json cat.jpg
exits 0
rows
echo '{"name": "tested", "license": "CC0-1.0"}' >card.json
run convert f32.safetensors -o carded.safetensors --card card.json
exits 0
run info -m carded.safetensors --json
check "the card is stored" test "$("$CLI_CHECK" json card name <out)" = '"tested"'
check "its licence is shown" test "$("$CLI_CHECK" json model license <out)" = '"CC0-1.0"'
run convert carded.safetensors -o again.safetensors
exits 0
check "a conversion of a conversion is the same file" cmp carded.safetensors again.safetensors
for card in '[1]' '{' ''; do
    printf '%s' "$card" >card.json
    run convert f32.safetensors -o other.safetensors --card card.json
    exits 3
    err_has "card.json"
    check "nothing is written" test ! -e other.safetensors
done
cksum f32.safetensors >before
run convert f32.safetensors -o f32.safetensors
check "not over its input" test "$rc" -ne 0
cksum f32.safetensors >after
check "which is as it was" cmp before after
run convert "$base" -o nowhere/x.safetensors
exits 4
err_has "nowhere/x.safetensors"
(ulimit -f 8 && trap '' XFSZ && exec "$VITC" convert "$base" -o f32.safetensors) >out 2>err
rc=$?
exits 4
cksum f32.safetensors >after
check "a full disk leaves the old file" cmp before after
check "and no part" test -z "$(find . -name '*.tmp')"
# A signal at any time leaves the old file or the new one, and nothing else.
for delay in 0.01 0.02 0.03 0.04 0.05 0.06 0.08 0.1 0.15 0.2; do
    for signal in INT TERM; do
        timeout -s $signal $delay "$VITC" convert "$base" -o f32.safetensors >out 2>err
        rc=$?
        command_line="vitc convert, $signal after $delay s"
        check "no part is left" test -z "$(find . -name '*.tmp')"
        cksum f32.safetensors >after
        check "the file is whole" cmp before after
    done
done
finish
