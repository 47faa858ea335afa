# What `vitc info` says of the bundled model and the machine.
. "$(dirname "$0")/cli_lib.sh"

field() {
    "$CLI_CHECK" json "$@" <json
}

run info --json --batch 8
exits 0
silent err
cp out json
check "parameters" test "$(field model parameters)" = 2824714
check "image" test "$(field model image_height) $(field model image_width)" = "128 128"
check "patch" test "$(field model patch)" = 16
check "tokens" test "$(field model tokens)" = 64
check "grid" test "$(field model position_grid)" = "[8, 8]"
check "prefix slots" test "$(field model position_prefix_slots)" = 0
check "position embeddings" test "$(field model position)" = '"learned-2d"'
check "combined" test "$(field model position_op)" = '"add"'
check "where" test "$(field model position_at)" = '"stem"'
check "norm_eps" test "$(field model norm_eps)" = 1e-6
check "dtype" test "$(field model dtype)" = '"mixed"' -o "$(field model dtype)" = '"BF16"'
check "precision" test "$(field model precision)" = '"f32"'
check "its reason" test -n "$(field model precision_reason)"
check "its kernel" test -n "$(field model precision_kernel)"
check "not quantized" test "$(field model quantization)" = null
check "not calibrated" test "$(field model temperature) $(field model calibration)" = "1.0 null"
check "labels" test "$(field model labels)" = '["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]'
check "head" test "$(field model head_trained)" = true
check "licence" test -n "$(field model license)"
check "card" test "$(field card name)" = '"vitc-cifar10"'
check "workspace" test "$(field memory workspace)" -gt 100000
check "weights" test "$(field memory weights)" -ge 11000000
check "threads" test "$(field machine threads)" -ge 1
check "BLIS" test -n "$(field machine blis_config)"
small=$(field memory workspace)
run info --json --batch 16
cp out json
check "a larger batch takes more" test "$(field memory workspace)" -gt "$small"
run info --threads 1
exits 0
silent err
for name in name source architecture parameters precision encoder image tokens positions pooling head labels \
    preprocessing licence data recipe limits accuracy weights workspace processor kernels BLIS \
    threads version; do
    check "a line for $name" grep -Eq "^  $name  +[^ ]" out
done
out_has "64: 8x8 patches of 16x16 pixels"
out_has "resize to 128x128 (bicubic)"
out_has "1 (as requested)"
out_has "learned-2d, 8x8 grid, added at the stem"
# Files with other position embeddings, which are also seeds of a fuzzer.
for kind in "learned_2d learned-2d, 2x2 grid, multiplied in every block, each its own" \
    "relative relative, 2x2 grid, in every block, all the same" \
    "rope_2d rope-2d, 2x2 grid, in every block"; do
    run info -m "$ROOT/tests/fuzz/corpus/vit_file/${kind%% *}"
    exits 0
    out_has "${kind#* }"
done
run info --json -m "$ROOT/tests/fuzz/corpus/vit_file/learned_2d"
cp out json
check "its combination" test "$(field model position_op)" = '"mul"'
check "its place" test "$(field model position_at)" = '"every"'
VITC_ISA=ref run info
exits 0
out_has "ref (VITC_ISA"
VITC_ISA=nonsense run info
exits 2
err_has "nonsense"
# 0 is an error code or, in old versions, one of several; 99 and a name are no configuration.
for arch in 99 -1 knl "" generic; do
    BLIS_ARCH_TYPE=$arch run info
    exits 2
    err_has "BLIS_ARCH_TYPE=$arch in the environment is no configuration"
done
cp "$VITC" elsewhere
mkdir far
cd far || exit 1
check "the program needs no file beside it" sh -c '../elsewhere info >../out 2>../err'
cd ..
finish
