# vitc train: a model from nothing to classify and eval, what its numbers are in cases that can be
# told beforehand, fine-tuning, exports, and what is refused.
. "$(dirname "$0")/cli_lib.sh"
model=$GOLDEN/checkpoints/hf_vit

# Two classes that can be told apart: grey pictures, dark ones and bright ones.
put() {
    {
        printf 'P5\n8 8\n255\n'
        head -c 64 /dev/zero | tr '\0' "\\$2"
    } >"$1"
}
mkdir -p data/dark data/bright
for i in 0 1 2 3 4 5 6 7; do
    for k in 0 1 2 3; do
        put data/dark/$i$k.pgm "0$k$i"
        put data/bright/$i$k.pgm "3$((k + 4))$i"
    done
done
# Noise with labels that say nothing: $1 images of 8x8 in $2, five classes.
noise() {
    mkdir -p "$2"
    {
        printf '\0\0\010\003'
        printf "\\0\\0\\$(printf %o $(($1 / 256)))\\$(printf %o $(($1 % 256)))"
        printf '\0\0\0\010\0\0\0\010'
        head -c $(($1 * 64 + 20000)) "$model/model.safetensors" | tail -c $(($1 * 64))
    } >"$2/train-images-idx3-ubyte"
    {
        printf '\0\0\010\001'
        printf "\\0\\0\\$(printf %o $(($1 / 256)))\\$(printf %o $(($1 % 256)))"
        for _ in $(seq $(($1 / 5))); do printf '\0\001\002\003\004'; done
    } >"$2/train-labels-idx1-ubyte"
}
tiny=(--img-size 8 --patch 4 --dim 16 --depth 2 --heads 2 --mlp 32 --batch 16)

# Column $2 of the last line of a run's metrics.
metric() {
    awk -F, -v want="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == want) at = i }
        END { print $at }' "$1/metrics.csv"
}
is_about() {
    awk -v a="$1" -v b="$2" -v off="$3" \
        'BEGIN { n = "^-?[0-9]"; exit !(a ~ n && b ~ n && a - b <= off && b - a <= off) }'
}

# ---- from nothing to a model that works ----
run train data --out run "${tiny[@]}" --epochs 5 --lr 0.01 --ema 0.9 --name "dark or bright"
exits 0
silent err
out_has "parameters"
out_has "of 2 classes"
out_has "done: run/best.safetensors"
for file in best.safetensors last.safetensors config.json metrics.csv metrics.jsonl results.svg \
    batch.png report.html last.state previous.state log.txt; do
    check "run has $file" test -s "run/$file"
done
check "nothing else is left" test "$(ls -A run | wc -l)" -eq 11
check "five epochs" test "$(wc -l <run/metrics.jsonl)" -eq 5
check "it has learned" is_about "$(metric run validation_accuracy)" 1 0.01
cp run/config.json out
check "the recipe" test "$("$CLI_CHECK" json run recipe lr <out)" = 0.01
check "the classes" test "$("$CLI_CHECK" json run labels <out | tr -d '\n ')" = '["bright","dark"]'
run classify -m run/best.safetensors data/dark/11.pgm data/bright/52.pgm -k 1 --csv
exits 0
check "a dark picture" grep -q '11.pgm,ok,8,8,dark,' out
check "a bright picture" grep -q '52.pgm,ok,8,8,bright,' out
run info -m run/best.safetensors
exits 0
out_has "dark or bright"
out_has "learned-2d"

# The folder of a run stands for its best model, wherever one is asked for.
taken="run: is a run of vitc train; its best model is taken: run/best.safetensors"
run classify -m run/best.safetensors data --csv
cp out best
run classify -m run data --csv
exits 0
check "the same answers" cmp best out
check "said once" test "$(grep -cF "$taken" err)" -eq 1
run classify -m run data -q
exits 0
silent err
for command in "eval -m run data" "info -m run/" "check -m run data" "convert run -o taken.safetensors" \
    "quantize run -o smaller.safetensors" "posemb show run" \
    "train data --out further -m run --max-steps 1"; do
    # shellcheck disable=SC2086
    run $command
    exits 0
    err_has "is a run of vitc train; its best model is taken: run/best.safetensors"
done
run convert run -o run/best.safetensors
exits 2
run classify -m run/last.state data
exits 3
err_has "run/last.state: is the state of a run of vitc train, for --resume, and no model; the model of the run is run/best.safetensors"
cp -r run unfinished
rm unfinished/best.safetensors
run classify -m unfinished data
exits 3
err_has "unfinished: is a run of vitc train that has no model yet"

# The held-out images are those of eval, and so are the numbers.
run eval -m run/last.safetensors data --val-split 0.15 --json
exits 0
check "eval's accuracy" is_about "$("$CLI_CHECK" json top1 <out)" "$(metric run validation_accuracy)" 1e-7
check "images of eval and train" test \
    "$(($("$CLI_CHECK" json n <out) + $("$CLI_CHECK" json run data images <run/config.json)))" -eq 64

# ---- what lies among the pictures and is none ----
cp -r data strays
echo "a dark picture" >strays/dark/00.txt
printf 'OggS' >strays/bright/note.ogg
strays="2 files in the class folders left out that are no images, the first strays/bright/note.ogg"
run train strays --out strayed "${tiny[@]}" --epochs 2
exits 0
err_has "$strays"
check "said once" test "$(grep -c "left out" err)" -eq 1
check "the images are those without them" test \
    "$("$CLI_CHECK" json run data images <strayed/config.json)" -eq \
    "$("$CLI_CHECK" json run data images <run/config.json)"
run train --out strayed --resume
exits 0
check "said once" test "$(grep -c "left out" err)" -eq 1
run eval strays -m strayed/best.safetensors --json
exits 0
err_has "$strays"
check "no image is bad" test "$("$CLI_CHECK" json n <out)" -eq 64
run check strays
exits 0
err_has "$strays"

# ---- what would be lost in the model's file ----
mkdir -p latin
cp -r data/dark latin/tea
cp -r data/bright "latin/caf$(printf '\351')"
run train latin --out latin_run "${tiny[@]}" --epochs 1
exits 3
err_has "is not UTF-8, as the labels of a model have to be; rename it"
check "nothing is left of it" test ! -e latin_run
run train data --out stored "${tiny[@]}" --epochs 1 --no-exif
exits 0
run info -m stored/best.safetensors
exits 0
out_has "EXIF orientation ignored"

# ---- options that nothing would come of ----
for options in "--schedule constant --min-lr 1e-5" "--step-factor 0.5" "--step-epochs 2" \
    "--schedule step --step-epochs 0" "--optimizer sgd --beta2 0.9" "--mix-off 0.2" \
    "--mix-prob 0.5" "--patch-dropout-off 0.2"; do
    # shellcheck disable=SC2086
    run train data --out nothing "${tiny[@]}" $options
    exits 2
    err_has "--"
    check "nothing is left of it" test ! -e nothing
done

# ---- numbers that are known beforehand ----
# The head begins with zeros: every class is as likely, and the loss is ln K.
run train data --out first "${tiny[@]}" --max-steps 1 --augment none --smoothing 0
exits 0
out_has "1 epoch of 4 steps (1 in all)"
check "loss of the first step is ln 2" is_about "$(metric first loss)" 0.693147 0.001
check "one step" test "$(metric first step)" = 1
noise 250 noise
run train noise --out five "${tiny[@]}" --max-steps 1 --augment none --smoothing 0.3
exits 0
check "loss of the first step is ln 5" is_about "$(metric five loss)" 1.609438 0.001

# Labels that say nothing cannot be told: five classes, a fifth right but for luck.
run train noise --out shuffled "${tiny[@]}" --epochs 4 --lr 0.01
exits 0
check "noise is not predicted" is_about "$(metric shuffled validation_accuracy)" 0.2 0.22

# But a few images are learned by heart, where nothing changes them.
noise 20 few
run train few --out heart "${tiny[@]}" --epochs 120 --lr 0.01 --augment none --smoothing 0 \
    --val-split 0 --weight-decay 0 -q
exits 0
silent out
check "learned by heart" test "$(metric heart accuracy)" = 1
check "nothing was measured" test -z "$(metric heart validation_accuracy)"
check "no report of nothing" test ! -e heart/report.html

# The same seed is the same run, whatever the threads; another seed is another one.
for how in "a 1 3" "b 2 3" "c 1 4"; do
    read -r name threads seed <<<"$how"
    run train data --out "$name" --name same "${tiny[@]}" --epochs 2 --threads "$threads" \
        --seed "$seed" --val-split 0 --mixup 0.8 --cutmix 1 --erase 0.2 --drop-path 0.1 \
        --dropout 0.1 --augment photos --accumulate 2
    exits 0
done
check "threads do not matter" cmp a/last.safetensors b/last.safetensors
check "two passes a step" test "$(metric a step)" = 4

# Patches are left out, but in the last share of the epochs; when that is all of them, sums are taken
# in another order than without, and no more.
for how in "whole 0 0" "whole2 0.5 1" "half 0.5 0.5" "parts 0.5 0"; do
    read -r name dropped off <<<"$how"
    run train data --out "$name" "${tiny[@]}" --epochs 2 --val-split 0 --optimizer sgd --lr 0.05 \
        --patch-dropout "$dropped" --patch-dropout-off "$off"
    exits 0
done
# apart A B FROM TO: the distance of their weights is in this range.
# shellcheck disable=SC2329
apart() {
    "$CLI_CHECK" distance "$1/last.safetensors" "$2/last.safetensors" |
        awk -v from="$3" -v to="$4" '{ exit !($1 >= from && $1 <= to) }'
}
check "the seed does matter" apart a c 1e-2 10
check "left out in no epoch" apart whole whole2 0 1e-6
check "left out in the first epoch" apart whole half 1e-4 1
check "left out in the second too" apart half parts 1e-4 1
# And so are images mixed.
for how in "unmixed 1" "mixed_once 0.5" "mixed 0"; do
    read -r name off <<<"$how"
    run train data --out "$name" "${tiny[@]}" --epochs 2 --val-split 0 --optimizer sgd --lr 0.05 \
        --mixup 0.8 --mix-prob 1 --mix-off "$off"
    exits 0
done
check "mixed in no epoch" apart whole unmixed 0 0
check "mixed in the first epoch" apart whole mixed_once 1e-4 1
check "mixed in the second too" apart mixed_once mixed 1e-4 1

# Every option comes to the steps.
fixed=("${tiny[@]}" --epochs 2 --val-split 0 --optimizer sgd --lr 0.05 --ema 0 --augment none)
run train noise --out fixed "${fixed[@]}"
exits 0
for option in "--seed 1" "--smoothing 0.4" "--drop-path 0.5" "--dropout 0.3" "--weight-decay 0.1" \
    "--momentum 0.5" "--clip 0.01" "--layer-decay 0.5" "--schedule constant" "--min-lr 0.04" \
    "--warmup 1" "--schedule step --step-epochs 1" "--precision bf16" "--mixup 1 --mix-prob 1" \
    "--cutmix 1 --mix-prob 1" "--erase 1" "--flip 1" "--pad 2" "--crop-scale 0.3,0.5" \
    "--jitter 0.9" "--randaugment 2,9" "--soften 1" "--blur 1" "--sharpen 1"; do
    rm -rf changed
    # shellcheck disable=SC2086
    run train noise --out changed "${fixed[@]}" $option
    exits 0
    check "$option changes the weights" apart fixed changed 1e-9 10
done
for option in "--recompute" "--batch 8 --accumulate 2"; do
    rm -rf changed
    # shellcheck disable=SC2086
    run train noise --out changed "${fixed[@]}" $option
    exits 0
    check "$option: the same but for rounding" apart fixed changed 0 1e-5
done
run train data --out sometimes "${tiny[@]}" --epochs 3 --val-every 2
check "measured after epochs 2 and 3" test \
    "$(cut -d, -f6 sometimes/metrics.csv | tail -n +2 | grep -c .)" -eq 2

# The best model is the best of all epochs, the weights or their average, and says which.
labels=noise/train-images-idx3-ubyte
told() {
    "$CLI_CHECK" json card results "$1" <card
}
for seed in 1 2 3; do
    rm -rf luck
    run train $labels --out luck "${tiny[@]}" --epochs 6 --lr 0.01 --ema 0.5 --seed $seed
    exits 0
    check "the average is another" test "$(metric luck ema_loss)" != "$(metric luck validation_loss)"
    most=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /^(validation|ema)_accuracy$/) at[i] }
        NR > 1 { for (i in at) if ($i > most) most = $i } END { printf "%.9f\n", most }' luck/metrics.csv)
    want=$(awk -v v="$(metric luck validation_accuracy)" -v e="$(metric luck ema_accuracy)" \
        -v vl="$(metric luck validation_loss)" -v el="$(metric luck ema_loss)" \
        'BEGIN { print (e > v || (e == v && el < vl)) ? "\"running average\"" : "\"as trained\"" }')
    for kind in best last; do
        run info -m luck/$kind.safetensors --json
        cp out card
        run eval $labels -m luck/$kind.safetensors --val-split 0.15 --seed $seed --json
        exits 0
        check "$kind: eval's loss" is_about "$("$CLI_CHECK" json loss <out)" "$(told validation_loss)" 1e-6
        if [ $kind = best ]; then
            check "the best of all" is_about "$(told validation_accuracy)" "$most" 1e-7
        else
            check "the better of both" test "$(told weights)" = "$want"
        fi
    done
done

# Without an average there are no numbers of one.
run train data --out plain "${tiny[@]}" --epochs 1 --ema 0 --optimizer sgd --schedule step --json
exits 0
check "no average" test -z "$(metric plain ema_accuracy)"
check "an object for each epoch" test "$("$CLI_CHECK" json epoch <out)" = 1
run train data --out muon "${tiny[@]}" --epochs 1 --optimizer muon --precision bf16 --pos rope-2d \
    --pool avg --val data
exits 0
err_has "--val data: is trained on, too"
run info -m muon/best.safetensors
out_has "rope-2d"
out_has "on 64 validation images"

# Validation images that cannot be used are an exit status, like others.
mkdir -p some/dark some/bright
cp data/dark/0*.pgm some/dark
cp data/bright/0*.pgm some/bright
echo "no image" >some/dark/bad.jpg
run train data --val some --out somebad "${tiny[@]}" --epochs 1
exits 1
out_has "on the 8 validation images"
check "a report all the same" test -s somebad/report.html

# ---- fine-tuning and exports ----
tuned=$GOLDEN/checkpoints/hf_vit_eps1e_6_noqkvbias
run train data --out tuned -m "$tuned" --epochs 1 --batch 16 --export hf --export timm
exits 0
out_has "fine-tuned from hf_vit_eps1e_6_noqkvbias"
out_has "with a new head"
out_has "bright, dark"
check "for transformers" test -s tuned/hf/config.json -a -s tuned/hf/model.safetensors
check "for timm" test -s tuned/timm/config.json -a -s tuned/timm/model.safetensors
run classify -m tuned/best.safetensors data --json --logits
exits 0
cp out own
for kind in hf timm; do
    run classify -m tuned/$kind data --json --logits
    exits 0
    check "$kind gives the same labels" test \
        "$(grep -o '"label": "[a-z]*"' own)" = "$(grep -o '"label": "[a-z]*"' out)"
done

# What is frozen keeps its bits, all else moves.
run convert "$tuned" -o base.safetensors
run train data --out head -m base.safetensors --epochs 2 --batch 16 --freeze head --lr 0.1
exits 0
run train data --out block -m base.safetensors --epochs 2 --batch 16 --freeze 1
exits 0
# shellcheck disable=SC2329
equal_tensor() {
    local begin end from to
    read -r begin end <<<"$("$CLI_CHECK" offsets base.safetensors "$2")"
    read -r from to <<<"$("$CLI_CHECK" offsets "$1/last.safetensors" "$2")"
    [ $((end - begin)) -gt 0 ] && [ $((to - from)) -eq $((end - begin)) ] &&
        cmp -s -n $((end - begin)) base.safetensors "$1/last.safetensors" "$begin" "$from"
}
# shellcheck disable=SC2329
other_tensor() {
    ! equal_tensor "$@"
}
for tensor in pos_embed patch_embed.proj.weight blocks.0.mlp.fc1.weight; do
    check "head alone: $tensor stays" equal_tensor head $tensor
    check "first block frozen: $tensor stays" equal_tensor block $tensor
    check "all trained: $tensor moves" other_tensor tuned $tensor
done
check "head alone: the last block stays" equal_tensor head blocks.1.mlp.fc1.weight
run train data --out again -m tuned/best.safetensors --epochs 1 --batch 16 --freeze head
exits 0
out_has "with the model's own head"
check "first block frozen: the last block moves" other_tensor block blocks.1.mlp.fc1.weight
run train data --out bundled -m bundled --img-size 64 --max-steps 1 --batch 4
exits 0
out_has "64x64 pixels, 16 tokens"

# ---- what is refused, before anything is made ----
refused() {
    local status=$1 text=$2
    shift 2
    run train "$@"
    exits "$status"
    err_has "$text"
    check "nothing is left of it" test ! -e none
}
refused 2 "needs --out DIR" data
refused 2 "needs DATA" --out none
refused 3 "missing: " missing --out none
mkdir -p one/class empty
cp data/dark/0*.pgm one/class
refused 3 'all images are of one class, "class"' one --out none
refused 3 "empty" empty --out none
mkdir broken
mkdir broken/a broken/b
for i in 1 2 3; do echo "no image" >broken/a/$i.jpg && cp broken/a/$i.jpg broken/b; done
refused 3 "broken/" broken --out none "${tiny[@]}" --val-split 0
err_has "none of the 6 images to train on can be used"
cp -r data/dark flat
refused 3 "flat" flat --out none
refused 2 "even number" data --out none --batch 15
refused 2 "--batch takes a number from 2" data --out none --batch 0
refused 2 "--freeze needs -m" data --out none --freeze head
refused 2 "--freeze takes head, a number of first blocks that stay from 0 to 1" data --out none -m "$model" --freeze 2
refused 2 "--freeze takes head" data --out none -m "$model" --freeze -3
refused 2 "--pos-std is for learned tables" data --out none --pos relative --pos-std 0.1
refused 2 "choose one" data --out none --pad 2 --crop-scale 0.5
refused 2 "A is the smaller one" data --out none --crop-scale 0.5,0.25
refused 2 "--crop-scale takes A,B" data --out none --crop-scale 2
refused 2 "--randaugment N,M" data --out none --randaugment 1.5,3
refused 2 "--val and --val-split" data --out none --val data --val-split 0.5
refused 2 "leaves none to train on" data --out none --val-split 1
refused 2 "more epochs than there are" data --out none --epochs 2 --warmup 3
refused 2 "--min-lr is above --lr" data --out none --lr 0.1 --min-lr 1
refused 2 "--lr takes a number from 0" data --out none --lr fast
refused 2 "--lr 0 changes nothing" data --out none --lr 0
refused 2 "--out data/none: lies in data" data --out data/none
check "nothing is left in the data" test ! -e data/none
mkdir -p halves/train halves/val
cp -r data/dark data/bright halves/train
cp -r data/dark data/bright halves/val
refused 2 "parts of a set and not classes" halves --out none
refused 2 "--export takes one of hf|timm" data --out none --export onnx
refused 2 "with -m the model says" data --out none -m "$model" --dim 64
refused 2 "with -m the model says" data --out none -m "$model" --pos none
refused 2 "go on with a run: vitc train --out DIR --resume" run --resume
mkdir -p two/dark two/light two/bright
cp data/dark/00.pgm two/dark
cp data/bright/00.pgm two/light
refused 3 "takes none of these few images" two --out none "${tiny[@]}"
refused 3 "empty: " data --out none "${tiny[@]}" --val empty
refused 3 "light" data --out none "${tiny[@]}" --val two
refused 2 "vit-xxl" data --out none --config vit-xxl
err_lacks "testing"
refused 2 "see --config" data --out none --img-size 30
refused 2 "see --config" data --out none --dim 10 --heads 4
refused 3 "hf_tiny_nowhere" data --out none -m hf_tiny_nowhere
refused 3 "spoon" data --out none -m "$GOLDEN/photos/spoon_rgba.png"
refused 3 "cannot be what is asked for" data --out none "${tiny[@]}" --pool avg --export hf
refused 4 "the largest that fits is --batch" data --out none --img-size 4096 --patch 64 --dim 64 \
    --depth 1 --batch 65536
refused 4 "too little for any batch; choose" data --out none --dim 32768 --heads 8 --depth 100 --recompute
refused 4 "too little for any batch" data --out none --dim 32768 --heads 8 --depth 100
run train data --out run "${tiny[@]}"
exits 2
err_has "run: is not empty"

# A run that goes on learns what cannot be exported before it trains; and it is found from elsewhere.
run train --out run --resume --export hf
exits 0
run train data --out pooled "${tiny[@]}" --pool avg --epochs 2 --max-steps 5
exits 0
run train --out pooled --resume --export hf
exits 3
err_has "cannot be what is asked for"
mkdir elsewhere
cd elsewhere || exit 1
run train --out ../pooled --resume
exits 0
cd .. || exit 1
mkdir others
echo '{"model_type": "vit"}' >others/config.json
echo work >others/work.tmp
for others in '"work.tmp"' '"config.json"'; do
    run train data --out others "${tiny[@]}" --resume
    exits 2
    err_has "others: has no last.state to go on from, but $others; nothing was changed"
    check "others' files are as they were" grep -q model_type others/config.json
    rm -f others/work.tmp
done
check "and no others" test "$(ls others)" = config.json
run train data --out data/dark/00.pgm "${tiny[@]}"
exits 4
run train data --out no/such/place "${tiny[@]}"
exits 4
err_has "no/such/place: cannot be made"

# ---- data that can be used after all ----
mkdir torn_set
cp -r data/dark data/bright torn_set
mkdir torn_set/single torn_set/none
put torn_set/single/1.pgm 177
echo "no image" >torn_set/dark/torn.jpg
run train torn_set --out mixed-run "${tiny[@]}" --epochs 1
exits 1
out_has "1 image could not be used, and others were trained on instead"
err_has 'class "single": has a single image to train on'
err_has "torn.jpg"
check "it is in the log" grep -q " 1 image could not be used" mixed-run/log.txt
run info -m mixed-run/best.safetensors
out_has "single"

# What is strange about a set is said once, however often it is gone through.
cp -r data strange
echo notes >strange/notes.txt
echo "no image" >strange/dark/junk.jpg
ln -s .. strange/dark/loop
# shellcheck disable=SC2329
said_once() {
    [ "$(grep -cF -e "$1" err)" -eq 1 ]
}
for how in "held strange" "given data --val strange"; do
    read -r name how <<<"$how"
    # shellcheck disable=SC2086
    run train $how --out "$name" "${tiny[@]}" --epochs 2 --ema 0.9
    check "done, but for some images" test "$rc" -le 1
    for text in "beside the class folders" "leads back to a folder" "junk.jpg"; do
        check "said once: $text" said_once "$text"
    done
done
err_has "vitc: warning: strange/dark/junk.jpg: is not an image"
run eval -m run strange
exits 1
for text in "beside the class folders" "leads back to a folder" "junk.jpg"; do
    check "eval says once: $text" said_once "$text"
done
run classify -m run data/dark/00.pgm --max-pixels 63
exits 1
err_has "8 x 8 = 64 pixels; the limit, max-pixels, is 63"

# Classes that a slip made two.
mkdir slips
cp -r data/dark slips/Cat
cp -r data/bright slips/cat
cp -r data/bright "slips/cat "
cp -r data/bright slips/cats
run train slips --out slips-run "${tiny[@]}" --max-steps 1
exits 0
check "two pairs" test "$(grep -c "differ only in case or in spaces at the ends" err)" -eq 2
err_lacks '"cats"'

# ---- what a person sees of it ----
# lines_of COLUMNS ARGS...: the lines of the progress on a terminal that wide are in `lines`.
escape=$(printf '\033')
lines_of() {
    local columns=$1
    shift
    command_line="vitc $* (on a terminal of $columns columns)"
    TERM=dumb timeout 300 script -qec "stty cols $columns; '$VITC' $*" /dev/null </dev/null >out 2>err
    rc=$?
    tr '\r' '\n' <out | sed -n "s/^${escape}\[K\(.\)/\1/p" >lines
}
if command -v script >/dev/null; then
    lines_of 40 train data --out narrow "${tiny[@]}" --epochs 2
    exits 0
    check "progress fits" sh -c '! grep " left$" lines | grep -qE "^.{40,}"'
    check "the time left is kept" grep -qE '^epoch 1 of 2, step 1 of 4, [0-9:]+ left$' lines
    COLUMNS=60 lines_of 0 train data --out told "${tiny[@]}" --epochs 2
    check "COLUMNS: parts go from the rear" grep -qE \
        '^epoch 1 of 2, step 1 of 4, loss [0-9.]+, [0-9:]+ left$' lines
    noise 200 many
    # A model that takes some tenths of a second to validate.
    lines_of 100 train many --val many --out seen --img-size 64 --patch 4 --dim 128 --depth 4 \
        --batch 4 --max-steps 1 --ema 0 --threads 1
    exits 0
    check "validation is told" grep -qE \
        '^validation [0-9]+ of 200 images, [0-9.]+ images/s, [0-9:]+ left$' lines
else
    skip "the progress: no script"
fi

# With the standard streams closed, messages must not get into the files of the run.
rm -f out err
"$VITC" train data --out closed "${tiny[@]}" --epochs 1 <&- >&- 2>&-
rc=$?
command_line="vitc train <&- >&- 2>&-"
exits 4 # the table could not be written
check "the log is its own" sh -c '! grep -qvE "^[0-9]{4}-" closed/log.txt'
run train --out closed --resume
exits 0

# ---- a learning rate that is too high ----
run train data --out wild "${tiny[@]}" --epochs 20 --lr 1000 --warmup 0 --clip 0
exits 4
err_has "the loss is not finite"
err_has "training broke down in step"
err_has "wild/last.state holds the state after step 0"
err_has "a longer --warmup or --clip 1"
run train --out wild --resume
exits 4
err_has "training broke down in step"
run train data --out worse "${tiny[@]}" --epochs 20 --lr 10 --warmup 0 --clip 0
exits 4
err_has "training has diverged: the loss of epoch 1 is"
err_has "begin another run"
finish
