# A run of vitc eval that is killed, again and again, and continued: rows and numbers in the end are
# those of a run that nobody disturbed.
. "$(dirname "$0")/cli_lib.sh"
model=$GOLDEN/checkpoints/hf_vit
images=12000

# Images of 16x16, of bytes that do not repeat soon, and labels that go round.
mkdir set
{
    printf '\0\0\010\003\0\0\056\340\0\0\0\020\0\0\0\020' # 12000, 16, 16
    for _ in $(seq 31); do cat "$model/model.safetensors"; done | head -c $((images * 256))
} >set/t10k-images-idx3-ubyte
{
    printf '\0\0\010\001\0\0\056\340'
    for _ in $(seq $((images / 5))); do printf '\0\001\002\003\004'; done
} >set/t10k-labels-idx1-ubyte
printf 'tabby cat\nespresso\nrocket, projectile\nKuchen-K\303\244se\ngrey "fox"\n' >names.txt
arguments=(eval -m "$model" set --class-names names.txt --json --no-times --batch 16 --threads 1)

run "${arguments[@]}" --rows whole.jsonl
exits 0
cp out whole
check "every image" test "$(wc -l <whole.jsonl)" -eq $((images + 1))
"$CLI_CHECK" eval whole.jsonl <whole >counts 2>checked
rc=$?
check "numbers of the rows: $(cat checked)" test $rc -eq 0

# How long a run takes here, in milliseconds.
rm -f timed.jsonl
start=$(date +%s%3N)
run "${arguments[@]}" --rows timed.jsonl
took=$(($(date +%s%3N) - start))
check "equal runs, equal rows" cmp whole.jsonl timed.jsonl

# The rows that are there are the first of all rows; a last one may be torn.
# shellcheck disable=SC2329
is_beginning() {
    local size
    size=$(wc -c <killed.jsonl)
    cmp -n "$size" killed.jsonl whole.jsonl
}

# Killed at 20 random moments: every other time from the start on, when models are loaded and old
# rows are read, else some moments after the first new row.
RANDOM=5
kills=0
last=0
grew=0
: >killed.jsonl
for i in $(seq 20); do
    delay=$((RANDOM % (took / 10 + 1)))
    size=$(wc -c <killed.jsonl)
    "$VITC" "${arguments[@]}" --rows killed.jsonl --resume >out 2>err &
    pid=$!
    while [ $((i % 2)) -eq 0 ] && kill -0 $pid 2>/dev/null &&
        [ "$(wc -c <killed.jsonl)" -le "$size" ]; do
        sleep 0.01
    done
    sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    rc=$?
    command_line="vitc eval --resume, killed after $delay ms"
    [ $rc -eq 137 ] && kills=$((kills + 1))
    check "killed, or done" test $rc -eq 137 -o $rc -eq 0
    check "a beginning of the rows" is_beginning
    lines=$(wc -l <killed.jsonl)
    check "no row is lost" test "$lines" -ge "$last"
    [ "$lines" -gt "$last" ] && grew=$((grew + 1))
    last=$lines
    [ $rc -eq 0 ] || continue
    : >killed.jsonl # it was faster than the kill: once more from the beginning
    last=0
done
echo "$kills kills, $grew of them left new rows"
check "kills" test $kills -ge 10
check "kills that left rows" test $grew -ge 4
run "${arguments[@]}" --rows killed.jsonl --resume
exits 0
check "the same rows" cmp whole.jsonl killed.jsonl
check "the same numbers" cmp whole out

# Torn anywhere: as a crash of the whole machine may leave it.
size=$(wc -c <whole.jsonl)
for cut in 0 1 100 $((size / 3)) $((size / 2 + 7)) $((size - 1)) $size; do
    head -c "$cut" whole.jsonl >torn.jsonl
    run "${arguments[@]}" --rows torn.jsonl --resume
    exits 0
    check "torn at $cut: the same rows" cmp whole.jsonl torn.jsonl
    check "torn at $cut: the same numbers" cmp whole out
done
finish
