# Every kind of positions from training to classifying: trained for one step, shown, given another
# grid, and used there; what does not go together is refused before anything is trained.
. "$(dirname "$0")/cli_lib.sh"
cp "$GOLDEN/photos/cat.jpg" cat.jpg

# 40 pictures of 8x8 pixels with five labels that say nothing.
weights=$GOLDEN/checkpoints/hf_vit/model.safetensors
{
    printf '\0\0\010\003\0\0\0\050\0\0\0\010\0\0\0\010'
    head -c $((40 * 64 + 20000)) "$weights" | tail -c $((40 * 64))
} >train-images-idx3-ubyte
{
    printf '\0\0\010\001\0\0\0\050'
    for _ in 1 2 3 4 5 6 7 8; do printf '\0\001\002\003\004'; done
} >train-labels-idx1-ubyte
tiny=(--img-size 8 --patch 4 --dim 16 --depth 2 --heads 2 --mlp 32 --max-steps 1 --batch 16)

# Why a combination is refused; empty where it goes together.
reason() {
    case $1-$2-$3 in
    none-*-every*) echo "nothing that --pos-at could give" ;;
    none-mul-* | relative-mul-* | rope-2d-mul-*) echo "no table that could be multiplied" ;;
    relative-add-stem | rope-2d-add-stem) echo "work in every block, not at the stem" ;;
    esac
}

# The words that train and info have for a place.
place() {
    case $1-$3 in
    *-stem) where="at the stem" ;;
    sincos-2d-* | rope-2d-*) where="in every block" ;;
    *-every) where="in every block, each its own" ;;
    *) where="in every block, all the same" ;;
    esac
    case $1-$2 in
    relative-* | rope-2d-*) echo "$where" ;;
    *-mul) echo "multiplied $where" ;;
    *) echo "added $where" ;;
    esac
}

for kind in none learned-1d learned-2d factorized-sum sincos-2d relative rope-2d; do
    for op in add mul; do
        for at in stem every every-shared; do
            rm -rf run
            run train train-images-idx3-ubyte --out run "${tiny[@]}" --pos $kind --pos-op $op \
                --pos-at $at
            why=$(reason $kind $op $at)
            if [ -n "$why" ]; then
                exits 2
                err_has "$why"
                check "nothing is left" test ! -e run
                continue
            fi
            exits 0
            words=none
            [ $kind = none ] || words="$(place $kind $op $at)"
            out_has "$words"
            case $kind-$op-$at in
            sincos-2d-mul-every*) err_has "by up to 2^2" ;;
            *) silent err ;;
            esac
            run info -m run/best.safetensors
            # the value is wrapped
            tr -s ' \n' ' ' <out >flat
            check "info has the same words" grep -qF "$words" flat
            run posemb show run/best.safetensors
            exits 0
            silent err
            out_has "$kind"
            run posemb resize run/best.safetensors --grid 3x5 -o other.safetensors
            exits 0
            out_has "images of 12x20"
            case $kind in
            none) out_lacks "resampled" ;;
            sincos-2d | rope-2d) out_has "made anew for 3x5" ;;
            *) out_has "resampled 2x2 to 3x5, bicubic-aa" ;;
            esac
            run classify -q -m other.safetensors --json cat.jpg
            exits 0
            out_has '"status": "ok"'
        done
    done
done

# Fine-tuning at another size says how the positions came there.
for kind in none learned-1d sincos-2d relative; do
    rm -rf run tuned
    run train train-images-idx3-ubyte --out run "${tiny[@]}" --pos $kind
    exits 0
    run train train-images-idx3-ubyte --out tuned -m run/best.safetensors --img-size 12x20 \
        --max-steps 1 --batch 16
    exits 0
    out_has "12x20 pixels"
    case $kind in
    none) out_lacks "resampled" ;;
    sincos-2d) out_has "sincos-2d, 3x5 grid, added at the stem; made anew for 3x5" ;;
    learned-1d) out_has "1 prefix slot, added at the stem; resampled 2x2 to 3x5, bicubic-aa" ;;
    relative) out_has "in every block, all the same; resampled 2x2 to 3x5, bicubic-aa" ;;
    esac
    rm -rf tuned
    run train train-images-idx3-ubyte --out tuned -m run/best.safetensors --max-steps 1 --batch 16
    exits 0
    out_lacks "resampled"
    out_lacks "made anew"
done
finish
