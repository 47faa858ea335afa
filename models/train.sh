#!/bin/sh
# train.sh CIFAR10_TRAIN_TAR OUT - trains the bundled model from nothing: three runs, each of which
# begins with the best weights of the one before, then the file for 128x128 pixels. Some hours.
# Called again after an interruption, it goes on where it was.
#
# VITC is the program (default: vitc of build/release).
set -eu
root=$(cd "$(dirname -- "$0")/.." && pwd)
vitc=${VITC:-$root/build/release/apps/vitc}
[ $# -eq 2 ] || {
    echo "usage: $0 CIFAR10_TRAIN_TAR OUT" >&2
    exit 2
}
data=$1
out=$2
mkdir -p "$out"

# train NAME OPTION... - a run in OUT/NAME with what all runs have in common.
train() {
    name=$1
    shift
    if [ -e "$out/$name/last.state" ]; then
        "$vitc" train --out "$out/$name" --resume
        return
    fi
    rm -rf "${out:?}/$name" # ended before its first state
    "$vitc" train "$data" --out "$out/$name" --name vitc-cifar10 --val-split 0.05 --seed 1 \
        --precision bf16 --optimizer muon --min-lr 1e-5 --ema 0.999 \
        --augment cifar --sharpen 0.1 --soften 0.1 "$@"
}

train first --img-size 32 --patch 4 --dim 192 --depth 9 --heads 6 --mlp 384 --pool avg \
    --epochs 68 --val-every 2 --lr 0.004 --warmup 2 --patch-dropout 0.5 --crop-scale 0.6,1
train second -m "$out/first/best.safetensors" --batch 128 --layer-decay 1 \
    --epochs 58 --val-every 4 --lr 0.003 --warmup 2 --patch-dropout 0.5 --patch-dropout-off 0.12 \
    --crop-scale 0.7,1
train third -m "$out/second/best.safetensors" --batch 128 --layer-decay 1 \
    --epochs 66 --val-every 4 --lr 0.003 --warmup 1 --mixup 0.8 --cutmix 1 --mix-off 0.15 \
    --crop-scale 0.7,1
"$vitc" convert "$out/third/best.safetensors" --enlarge 4 --dtype bf16 \
    --card "$root/models/vitc-cifar10.card.json" -o "$out/vitc-cifar10.safetensors"
echo "$out/vitc-cifar10.safetensors"
