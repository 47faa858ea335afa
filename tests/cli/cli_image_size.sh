# --img-size, --crop and --tta: another image size, another part of the picture, several views.
. "$(dirname "$0")/cli_lib.sh"
golden=$GOLDEN/checkpoints
cp "$GOLDEN/photos/cat.jpg" cat.jpg
cp "$GOLDEN/photos/rocket.png" rocket.png

# What is written resized is what is resized when it is loaded.
for case in hf_vit timm_vit; do
    run classify -q -m "$golden/$case" --img-size 48x40 --crop 0.8 --json --logits cat.jpg rocket.png
    exits 0
    cp out direct
    run convert "$golden/$case" --img-size 48x40 --crop 0.8 -o resized.safetensors
    exits 0
    run classify -q -m resized.safetensors --json --logits cat.jpg rocket.png
    exits 0
    check "$case: the resized file gives the same bits" cmp direct out
    run classify -q -m "$golden/$case" --json --logits cat.jpg rocket.png
    check "$case: the stored size gives others" sh -c '! cmp -s direct out'
done

run info -m "$golden/timm_vit" --img-size 64 --json
exits 0
out_has '"image_height": 64'
out_has '"image_width": 64'
run info -m "$golden/timm_vit" --img-size 24x64
exits 0
out_has "24x64 pixels"
run preprocess -m "$golden/timm_vit" --img-size 24x64 --dump input.npy --png seen.png cat.jpg
exits 0
out_has "3x24x64"

# Views: each gives other outputs, whatever the batch and the threads.
run classify -q -m "$golden/timm_vit" --json --logits cat.jpg rocket.png
cp out one
for views in hflip five; do
    run classify -q -m "$golden/timm_vit" --tta $views --json --logits cat.jpg rocket.png
    exits 0
    cp out $views
    check "$views is not one view" sh -c "! cmp -s one $views"
    run classify -q -m "$golden/timm_vit" --tta $views --batch 1 --threads 3 --json --logits \
        cat.jpg rocket.png
    check "$views: the same bits" cmp out $views
done
check "hflip is not five" sh -c '! cmp -s hflip five'

# Five views need something to cut away.
run classify -m "$golden/hf_vit" --tta five cat.jpg
exits 3
silent out
err_has "--crop 0.875"
run classify -m "$golden/hf_vit" --tta five --crop 0.875 cat.jpg
exits 0

# Wrong usage, each with what would be right.
wrong() {
    run "$@" cat.jpg
    exits 2
    silent out
}
for size in 0 -8 8x 'x8' 8x0 8x8x8 8.5 70000 big; do
    wrong classify "--img-size=$size"
    err_has "HEIGHTxWIDTH"
    err_has "\"$size\""
done
wrong classify -m "$golden/hf_vit" --img-size 36
err_has "hf_vit"
err_has "32 and 40"
for crop in 0 1.01 -0.5 nan half 1e-400; do
    wrong classify "--crop=$crop"
    err_has "above 0, at most 1"
done
wrong classify --tta ten
err_has "hflip|five"
run classify -m "$golden/hf_vit" --img-size 65528 cat.jpg
exits 3
err_has "image height"
finish
