# vitc bench: rows, their numbers, the picture, and what it refuses. No time is asserted.
. "$(dirname "$0")/cli_lib.sh"

# LLVM 14's guess where a shared library's thread-local memory begins can be wrong, depending on
# what lies there, and LeakSanitizer then crashes reading it. Nothing of ours is thread-local.
[ -n "${SANITIZE:-}" ] && export LSAN_OPTIONS="${LSAN_OPTIONS:+$LSAN_OPTIONS:}use_tls=0"

# bench ARGS...: measures the tiny configuration for a moment
bench() {
    run bench --config testing --seconds 0.02 --warmup 1 "$@"
}

# measured LINE...: the JSON of the last run has these rows and numbers that can be true
measured() {
    mv out raw
    "$CLI_CHECK" bench <raw >out 2>checked
    local status=$?
    check "rows of bench --json: $(cat checked)" test $status -eq 0
    printf '%s\n' "$@" >want
    check "the rows" diff want out
}

bench --json --batch 1,3 --precision f32,bf16,int8 --threads 1,2
exits 0
silent err
measured "testing f32 1 1" "testing f32 1 2" "testing f32 3 1" "testing f32 3 2" \
    "testing bf16 1 1" "testing bf16 1 2" "testing bf16 3 1" "testing bf16 3 2" \
    "testing int8 1 1" "testing int8 1 2" "testing int8 3 1" "testing int8 3 2"
for isa in amx avx512 avx2 generic ref; do
    export VITC_ISA=$isa
    run info
    if [ "$rc" -ne 0 ]; then
        skip "this machine does not run $isa"
        continue
    fi
    bench --json --profile --batch 2 --threads 1 --precision f32,bf16,int8
    exits 0
    measured "testing f32 2 1 ops" "testing bf16 2 1 ops" "testing int8 2 1 ops"
    check "the row is named" grep -qF "\"kernels\": \"$isa\"" raw
done
for isa in generic ref; do # their int8 is portable C, which has no peak; f32 has one everywhere
    export VITC_ISA=$isa
    bench --json --batch 1 --threads 1 --precision f32,int8
    check "a peak" test "$("$CLI_CHECK" json 0 peak_gflops <out)" != null
    check "no peak" test "$("$CLI_CHECK" json 1 peak_gflops <out)" = null
    check "no fraction of it" test "$("$CLI_CHECK" json 1 peak_fraction <out)" = null
    bench --batch 1 --threads 1
    check "so int8 and bf16 are not measured by default" \
        test "$(grep -c '^testing f32 ' out) $(grep -c '^testing ' out)" = "1 1"
done
unset VITC_ISA

# The bundled model, with the precisions that it gives; other names of configurations.
run bench --json --seconds 0.02 --threads 1 --batch 1
exits 0
"$CLI_CHECK" bench <out >rows 2>err
check "f32 first" grep -q ' f32 1 1$' rows
check "no int8: it holds none" lacks rows int8
out_has '"weights": "built into this program"'
run bench -m "$GOLDEN/checkpoints/hf_vit" --json --seconds 0.02 --precision f32 --threads 1 --batch 1
exits 0
out_has "\"weights\": \"$GOLDEN/checkpoints/hf_vit\""
run bench --config TESTING --json --seconds 0.02 --precision auto --batch 1 --threads 1
exits 0
out_has '"config": "testing"'

# For people.
bench --batch 2 --threads 1 --precision f32 --profile
exits 0
silent err
for word in processor kernels BLIS threads config testing "of peak" nominal GB/s embed attention head; do
    out_has "$word"
done
check "at most 100 wide" sh -c '! grep -E "^.{101,}" out'

# The picture.
bench --batch 1,2 --threads 1 --precision f32,int8 --svg profile.svg
exits 0
out_lacks "attention"
check "a picture" grep -q '^<svg xmlns="http://www.w3.org/2000/svg"' profile.svg
check "it ends" test "$(tail -n 1 profile.svg)" = "</svg>"
check "four rows" test "$(grep -c 'class="row"' profile.svg)" -eq 4
check "seven parts of each" test "$(grep -c '<g><title>' profile.svg)" -eq 28
check "no number is missing" sh -c '! grep -Eq "nan|inf" profile.svg'
check "elements that open also close" \
    test "$(grep -o '<g>\|<text\|<title>\|<svg' profile.svg | wc -l)" -eq \
    "$(grep -o '</g>\|</text>\|</title>\|</svg>' profile.svg | wc -l)"
if command -v xmllint >/dev/null; then
    check "XML" xmllint --noout profile.svg
else
    skip "no xmllint"
fi
echo old >profile.svg
run bench --config testing --precision f16 --svg profile.svg
exits 2
bench --svg profile.svg -m nowhere
exits 2
run bench -m nowhere --svg profile.svg
exits 3
check "an error leaves the old picture" test "$(cat profile.svg)" = old
check "and no part of a new one" test "$(find . -name 'profile.svg*')" = ./profile.svg
run bench --config testing --svg nowhere/profile.svg
exits 4
silent out
err_has "nowhere/profile.svg"

# refused TEXT ARGS...
refused() {
    local part=$1
    shift
    run bench "$@"
    exits 2
    silent out
    err_has "$part"
    check "one line" test "$(wc -l <err)" -eq 1
}
refused "vit-b16" --config vit-x99
refused "vit-b16" --config testing,
refused "--config makes a model" --config testing -m model
refused "--batch takes numbers from 1 to 4096" --config testing --batch 0
refused "--batch takes numbers" --config testing --batch 1,,2
refused "--batch takes numbers" --config testing --batch 5000
refused "--batch takes numbers" --config testing --batch 99999999999999999999999
refused "--batch takes at most 16 values" --config testing --batch 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1
refused "--threads takes numbers from 1 to 1024" --config testing --threads 0
refused "--threads takes numbers" --config testing --threads 1,100000
refused "--threads takes numbers" --config testing --threads two
refused "--precision takes f32, bf16, int8 and auto" --config testing --precision f16
refused "holds no int8 weights" --precision int8
refused "--seconds takes a number" --config testing --seconds 0
refused "--seconds takes a number" --config testing --seconds 1s
refused "--seconds takes a number" --config testing --seconds nan
refused "--warmup takes a number" --config testing --warmup -1
VITC_ISA=nonsense run bench --config testing
exits 2
err_has "nonsense"
if [ -z "${SANITIZE:-}" ]; then
    (ulimit -v 600000 && exec "$VITC" bench --config testing --precision f32 --batch 4096 \
        --threads 64 --seconds 0.02) >out 2>err
    rc=$?
    command_line="vitc bench with little memory"
    exits 4
    err_has "memory"
else
    skip "sanitizers need the address space"
fi
finish
