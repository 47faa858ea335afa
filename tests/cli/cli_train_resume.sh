# Runs of vitc train that are interrupted in every way, and go on: their models are in the end those
# of a run that nobody disturbed, to the last bit.
. "$(dirname "$0")/cli_lib.sh"
noise=$GOLDEN/checkpoints/hf_vit/model.safetensors

# 120 images of 8x8, three classes.
mkdir set
{
    printf '\0\0\010\003\0\0\0\170\0\0\0\010\0\0\0\010'
    tail -c 7680 "$noise"
} >set/train-images-idx3-ubyte
{
    printf '\0\0\010\001\0\0\0\170'
    for _ in $(seq 40); do printf '\0\001\002'; done
} >set/train-labels-idx1-ubyte
arguments=(train set --img-size 8 --patch 4 --dim 16 --depth 2 --heads 2 --mlp 32 --batch 8
    --epochs 4 --name same --mixup 0.8 --cutmix 1 --erase 0.2 --drop-path 0.1 --dropout 0.1
    --checkpoint-minutes 0)

start=$(date +%s%3N)
run "${arguments[@]}" --out whole
took=$(($(date +%s%3N) - start))
exits 0
# Numbers, without times.
numbers() {
    cut -d, -f1-14 "$1/metrics.csv"
}
numbers whole >expected
check "four epochs" test "$(wc -l <expected)" -eq 5

# shellcheck disable=SC2329
is_whole() {
    cmp whole/last.safetensors "$1/last.safetensors" &&
        cmp whole/best.safetensors "$1/best.safetensors" && numbers "$1" | cmp - expected &&
        [ "$(ls -A whole)" = "$(ls -A "$1")" ] && [ -s "$1/report.html" ]
}

# ---- killed at random moments ----
# How long a start and a step take depends on what else the machine does: a run that was killed
# before its first step makes the next ones longer, one that ended makes them short again.
RANDOM=7
kills=0
grew=0
states=
shortest=$((took / 4 + 50))
span=$shortest
for _ in $(seq 200); do
    [ $kills -ge 20 ] && [ $grew -ge 6 ] && break
    delay=$((RANDOM % span))
    "$VITC" "${arguments[@]}" --out killed --resume -q >out 2>err &
    pid=$!
    sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    rc=$?
    command_line="vitc train --resume, killed after $delay ms"
    check "killed, or done" test $rc -eq 137 -o $rc -eq 0
    if [ $rc -eq 0 ]; then
        check "done in between: the same models" is_whole killed
        rm -rf killed
        span=$shortest
        states=
        continue
    fi
    kills=$((kills + 1))
    now=$(cksum killed/last.state 2>/dev/null)
    if [ "$now" != "$states" ]; then
        grew=$((grew + 1))
    else
        span=$((span + shortest / 2))
    fi
    states=$now
done
echo "$kills kills, $grew of them after steps"
check "kills" test $kills -ge 20
check "kills after steps" test $grew -ge 6
run "${arguments[@]}" --out killed --resume
exits 0
check "killed $kills times: the same models" is_whole killed

# ---- asked to stop ----
# caught SIGNAL FOLDER: a run that gets the signal on its way; again where it was over first.
caught() {
    command_line="vitc train, SIG$1"
    for _ in $(seq 20); do
        rm -rf "$2"
        "$VITC" "${arguments[@]}" --out "$2" >out 2>err &
        pid=$!
        while [ ! -e "$2/previous.state" ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
        kill -"$1" $pid 2>/dev/null
        wait $pid 2>/dev/null
        rc=$?
        [ $rc -eq 0 ] || return 0
    done
}
caught TERM stopped
exits 143
err_has "to go on: vitc train --out stopped --resume"
run train --out stopped --resume # the folder knows the rest
exits 0
out_has "resumed"
check "stopped: the same models" is_whole stopped
caught HUP hung-up
exits 129
err_has "to go on: vitc train --out hung-up --resume"
run train --out stopped --resume
exits 0
check "nothing is left to do: the same models" is_whole stopped

VITC_ISA=ref run train --out stopped --resume
exits 0
err_has "stopped: begun with the kernels"

# ---- other options, other data ----
cp -r stopped other
run train --out other --resume --lr 0.5 --epochs 9 --drop-path 0
exits 2
err_has "other: --lr: "
err_has "--epochs: 4 in the run, 9 now"
err_has "--drop-path: 0.1 in the run, 0.0 now"
err_lacks "batch"
err_has "nothing was changed"
err_has "-m other/best.safetensors"
run train --out other --resume --epochs 1 --crop-scale 0.5 # whatever else does not fit the one
exits 2
err_has "--epochs: 4 in the run, 1 now"
err_has "--crop-scale: "
err_lacks "choose one"
run train --out other --resume --val set
exits 2
err_has "--val: false in the run, true now"
run train --out other --resume --threads 3 --lr 0.00025
exits 0 # the same as was chosen by itself: 0.001 sqrt(8 / 128)
mkdir fewer
head -c 8 set/train-labels-idx1-ubyte >fewer/train-labels-idx1-ubyte
tail -c 120 set/train-labels-idx1-ubyte | tr '\002' '\001' >>fewer/train-labels-idx1-ubyte
cp set/train-images-idx3-ubyte fewer
run train fewer --out other --resume
exits 2
err_has "the data has other images, names or labels"
"$VITC" "${arguments[@]}" --out validated --val set --epochs 1 >out 2>err
run train --out validated --resume --val fewer
exits 2
err_has "the validation data has other images, names or labels"
mv set elsewhere
run train --out other --resume
exits 3
run train elsewhere --out other --resume
exits 0
mv elsewhere set

# Images that were held out belong to the data, too.
for i in 0 1 2 3 4 5 6 7 8 9; do
    for k in 0 1 2; do
        mkdir -p folders/$k
        {
            printf 'P5\n8 8\n255\n'
            tail -c $((64 * (3 * i + k + 1))) "$noise" | head -c 64
        } >folders/$k/$i.pgm
    done
done
printf 'a\nb\nc\n' >names.txt
run train folders --out held "${arguments[@]:2}" --epochs 1 --val-split 0.3
exits 0
run eval folders -m held/best.safetensors --val-split 0.3 --rows held.jsonl
rm "$(grep -o 'folders/[0-9]*/[0-9]*\.pgm' held.jsonl | head -1)"
run train --out held --resume
exits 2
err_has "the validation data has other images, names or labels"

# A run that is called from elsewhere finds its files.
run "${arguments[@]}" --out named --class-names names.txt --epochs 1
exits 0
mkdir -p below
(cd below && exec "$VITC" train --out ../named --resume) >out 2>err
rc=$?
command_line="vitc train --out ../named --resume"
exits 0

# ---- damage ----
cp -r stopped damaged
printf X | dd of=damaged/last.state bs=1 seek=9999 conv=notrunc 2>err
run train --out damaged --resume
exits 0
err_has "damaged/last.state: its checksum is another: the training state is damaged"
err_has "going on from damaged/previous.state"
check "damaged: the same models" is_whole damaged
for state in last previous; do
    head -c 5000 stopped/last.state >damaged/$state.state
done
run train --out damaged --resume
exits 3
err_has "damaged/last.state: the training state is cut short"
err_has "its best model so far is there: damaged/best.safetensors"
check "the models are still there" cmp whole/best.safetensors damaged/best.safetensors
rm damaged/*.state
run train --out damaged --resume
exits 2
err_has "damaged: has no last.state to go on from, but "
check "the models are still there" cmp whole/best.safetensors damaged/best.safetensors

# A run that is fine-tuned, with what it freezes and leaves out.
run train set -m "$GOLDEN/checkpoints/hf_vit_eps1e_6_noqkvbias" --out tuned --name same --epochs 2 \
    --batch 16 --freeze 1 --optimizer muon --precision bf16 --patch-dropout 0.3 \
    --patch-dropout-off 0 --ema 0.5 --val-split 0
exits 0
cp -r tuned tuned_on
printf X | dd of=tuned_on/last.state bs=1 seek=$(($(wc -c <tuned_on/last.state) - 9)) conv=notrunc 2>err
run train --out tuned_on --resume # an epoch is left
exits 0
err_has "going on from tuned_on/previous.state"
check "tuned: the same model" cmp tuned/last.safetensors tuned_on/last.safetensors

# ---- two at once ----
"$VITC" "${arguments[@]}" --out busy --epochs 4000 -q >out 2>err &
pid=$!
while [ ! -e busy/last.state ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
run train --out busy --resume
exits 2
err_has "busy: another vitc train is at work there"
kill -KILL $pid
wait $pid 2>/dev/null

# ---- a full disk: a limit on file sizes stands in for it ----
size=$(($(wc -c <whole/last.state) / 1024))
for blocks in 1 $((size / 2)) $((size - 1)); do
    rm -rf full
    (ulimit -f "$blocks" && exec "$VITC" "${arguments[@]}" --out full) >out 2>err
    rc=$?
    command_line="vitc train with a full disk ($blocks KiB)"
    exits 4
    err_has "cannot be written"
    err_lacks "--resume"
    check "nothing is left of it" test ! -e full
done
# It fills up in the middle of a run.
"$VITC" "${arguments[@]}" --out full --epochs 40 -q >out 2>err &
pid=$!
while [ ! -e full/previous.state ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
kill -KILL $pid
wait $pid 2>/dev/null
(ulimit -f $((size / 2)) && exec "$VITC" train --out full --resume) >out 2>err
rc=$?
command_line="vitc train --resume with a full disk"
exits 4
err_has "what was there before is whole"
err_has "To go on"
run train --out full --resume
exits 0
run "${arguments[@]}" --out forty --epochs 40
exits 0
check "a disk that was full: the same models" cmp forty/last.safetensors full/last.safetensors
finish
