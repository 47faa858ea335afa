# vitc train on several ranks: the numbers of one process but for their last digits, the same bits
# each time, what is refused, ranks that fail and ranks that die.
. "$(dirname "$0")/cli_lib.sh"
. "$CLI_DIR/cli_lib_mpi.sh"
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
tiny=(--img-size 8 --patch 4 --dim 16 --depth 2 --heads 2 --mlp 32 --batch 16 --name same
    --checkpoint-minutes 0 --threads 1)

if [ "$MPI" = 0 ]; then
    alone PMI_SIZE=3 train set --out none "${tiny[@]}"
    exits 2
    err_has "3 processes were started together (PMI_SIZE), but this vitc was built without MPI"
    check "nothing is left of it" test ! -e none
    skip "ranks: this build has no MPI"
    finish 77
fi
if ! [ -x "${MPIEXEC:-}" ]; then
    skip "ranks: there is no mpiexec"
    finish 77
fi

# Column $2 of each line of a run's metrics.
column() {
    awk -F, -v want="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == want) at = i; next }
        { print $at }' "$1/metrics.csv"
}
# Lines of numbers in two files, at most $3 of the first ones apart.
# shellcheck disable=SC2329
are_close() {
    paste "$1" "$2" | awk -v part="$3" 'NF != 2 || $1 - $2 > part * $1 || $2 - $1 > part * $1 { bad = 1 }
        END { exit bad || NR == 0 }'
}
# shellcheck disable=SC2329
is_below() {
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'
}
# alike A B LIMIT: runs whose sums only differ in their order. Their losses then have five digits in
# common at least; their weights too, but with SGD seven: AdamW divides what is small by what is
# small.
alike() {
    for name in loss gradient_norm validation_loss; do
        check "$2: $name as in $1" are_close <(column "$1" $name) <(column "$2" $name) 1e-4
    done
    for name in epoch step learning_rate bad_images; do
        check "$2: $name as in $1" cmp <(column "$1" $name) <(column "$2" $name)
    done
    local distance
    distance=$("$CLI_CHECK" distance "$1/last.safetensors" "$2/last.safetensors")
    check "$2: weights as in $1, $distance" is_below "$distance" "$3"
    check "$2: the same files as in $1" test "$(ls -A "$1")" = "$(ls -A "$2")"
}

# ---- as one process ----
# Steps are of 14 or 16 images: parts of three ranks are not of one size, nor are those of two
# passes.
for how in "adamw 1 1e-4" "sgd 2 1e-6"; do
    read -r optimizer passes limit <<<"$how"
    arguments=(train set "${tiny[@]}" --epochs 3 --optimizer "$optimizer" --lr 0.01
        --accumulate "$passes" --mixup 0.8 --cutmix 1 --erase 0.2 --clip 1)
    run "${arguments[@]}" --out "$optimizer"
    exits 0
    for n in 2 3; do
        ranks $n "${arguments[@]}" --out "$optimizer$n"
        exits 0
        silent err
        out_has "$n, of which each takes its part of every step"
        alike "$optimizer" "$optimizer$n" "$limit"
    done
done
# Of gradients that are summed in several buckets.
wide=(train set --img-size 8 --patch 4 --dim 192 --depth 2 --batch 16 --name same --threads 1
    --max-steps 5 --optimizer sgd --lr 0.01 --drop-path 0)
run "${wide[@]}" --out wide
exits 0
ranks 3 "${wide[@]}" --out wide3
exits 0
alike wide wide3 1e-6
check "it has moved" is_below 0.01 \
    "$("$CLI_CHECK" distance adamw/last.safetensors sgd/last.safetensors)"
# A part of the gradients.
for n in 1 2; do
    ranks $n train set --out frozen$n -m adamw/best.safetensors --batch 16 --name same --threads 1 \
        --epochs 2 --freeze 1 --val set
    exits 0
done
alike frozen1 frozen2 1e-4

# ---- the same each time, and after each interruption ----
arguments=(train set "${tiny[@]}" --epochs 16 --drop-path 0.1 --dropout 0.1 --mixup 0.8)
ranks 2 "${arguments[@]}" --out whole
exits 0
numbers() {
    cut -d, -f1-14 "$1/metrics.csv"
}
# shellcheck disable=SC2329
is_whole() {
    cmp whole/last.safetensors "$1/last.safetensors" &&
        cmp whole/best.safetensors "$1/best.safetensors" &&
        cmp <(numbers whole) <(numbers "$1") && [ -s "$1/report.html" ]
}
ranks 2 "${arguments[@]}" --out again --threads 2
exits 0
check "twice: the same models" is_whole again

# deadly SIGNAL RANK N FOLDER: a rank of a run gets the signal when there are states.
deadly() {
    rm -f "$4"/previous.state
    follow "$3" "${arguments[@]}" --out "$4" --resume
    command_line="$command_line, SIG$1 to rank $2"
    while [ ! -e "$4/previous.state" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
    kill -"$1" "$(cat "pid.$2")" 2>/dev/null
    await
    check "no success" test $rc -ne 0
}
deadly KILL 1 2 killed
err_has "stopping: a signal came, as to all ranks when one of them has died"
err_has "vitc train --out killed --resume"
deadly KILL 0 2 killed
deadly TERM 1 2 killed
cp -r killed other
ranks 2 train --out killed --resume
exits 0
out_has "resumed"
check "killed: the same models" is_whole killed
# Another number of ranks leaves out others, and comes to other numbers, but goes on.
for how in "3 2 are" "1 3 is"; do
    read -r n before verb <<<"$how"
    deadly KILL 0 "$n" other
    err_has "the last steps were those of $before ranks, and now there $verb $n"
    cp -r other "other$n"
    ranks "$n" train --out "other$n" --resume
    exits 0
    check "all epochs" test "$(column "other$n" epoch | tail -1)" = 16
done
arguments=(train set "${tiny[@]}" --epochs 6 --lr 0.01) # more of them would carry roundings far
run "${arguments[@]}" --out straight
deadly KILL 1 2 changed
run train --out changed --resume
exits 0
alike straight changed 1e-4

# ---- what is refused, on all ranks ----
refused() {
    local status=$1 text=$2
    shift 2
    "$@"
    exits "$status"
    err_has "$text"
    check "nothing is left of it" test ! -e none
}
refused 2 "steps of up to 4 images are too small for 3 ranks, of which each takes two or more; --batch 6 would do" \
    ranks 3 train set --out none "${tiny[@]}" --batch 4
refused 3 "missing: " ranks 2 train missing --out none
refused 2 "needs --out DIR" ranks 2 train set
ranks 2 train set --out whole "${tiny[@]}"
exits 2
err_has "whole: is not empty"
ranks 2 train --out whole --resume --lr 0.5
exits 2
err_has "nothing was changed"
mkdir less
cp set/train-images-idx3-ubyte less
head -c 8 set/train-labels-idx1-ubyte >less/train-labels-idx1-ubyte
tail -c 120 set/train-labels-idx1-ubyte | tr '\002' '\001' >>less/train-labels-idx1-ubyte
other=("$VITC" train --out none "${tiny[@]}")
refused 2 "not what the first rank has: run.data.fingerprint: " pair "${other[@]}" set -- "${other[@]}" less
refused 3 "missing: " pair "${other[@]}" set -- "${other[@]}" missing
refused 2 "not what the first rank has: run.recipe.lr: 0.1 on the first rank, 0.2 here" \
    pair "${other[@]}" set --lr 0.1 -- "${other[@]}" set --lr 0.2
refused 2 '"ref, BLIS none for none" here' pair "${other[@]}" set -- env VITC_ISA=ref "${other[@]}" set
# The second rank needs no folder, and its data may lie elsewhere.
cp -r set elsewhere
other=("$VITC" train "${tiny[@]}" --epochs 16 --drop-path 0.1 --dropout 0.1 --mixup 0.8)
pair "${other[@]}" --out apart set -- "${other[@]}" --out no/such/place elsewhere
exits 0
check "data elsewhere: the same models" is_whole apart

# ---- ranks that fail on the way ----
ranks 3 train set --out wild "${tiny[@]}" --epochs 20 --lr 1000 --warmup 0 --clip 0
exits 4
err_has "is not finite"
check "told once" test "$(grep -c 'training broke down in step' err)" = 1
err_has "wild/last.state holds the state after step"
# The first rank cannot write its state any more: in its place there is a folder.
follow 2 "${arguments[@]}" --out full --epochs 4000
while [ ! -e full/previous.state ] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
until mkdir -p full/last.state/x 2>/dev/null || ! kill -0 "$pid" 2>/dev/null; do
    rm -f full/last.state
done
await
exits 4
err_has "the state of step"
err_has "could not be written"
check "its own message only" lacks err "rank 1"

# ---- bad images ----
mkdir -p photos/a photos/b
for i in $(seq 12); do
    for class in a b; do
        {
            printf 'P5\n8 8\n255\n'
            tail -c $((i * 640)) "$noise" | head -c 64
        } >photos/$class/$i.pgm
    done
done
for i in 3 5 8; do head -c 30 photos/a/$i.pgm >torn && mv torn photos/a/$i.pgm; done
run train photos --out bad1 "${tiny[@]}" --epochs 4 --val-split 0
exits 1
ranks 2 train photos --out bad2 "${tiny[@]}" --epochs 4 --val-split 0
exits 1
check "three bad images" test "$(column bad1 bad_images | tail -1)" = 3
check "bad images as in one process" cmp <(column bad1 bad_images) <(column bad2 bad_images)
# Of an image that only another rank cannot use, the first tells too.
cp -r photos copy
head -c 30 copy/b/7.pgm >torn && mv torn copy/b/7.pgm
other=("$VITC" train "${tiny[@]}" --epochs 4 --val-split 0)
pair "${other[@]}" --out bad3 photos -- "${other[@]}" --out none copy
exits 1
check "four bad images" test "$(column bad3 bad_images | tail -1)" = 4
check "told once" test "$(grep -c 'photos/b/7.pgm: could not be used by another rank' err)" = 1
finish
