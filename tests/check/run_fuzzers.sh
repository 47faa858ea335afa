#!/bin/sh
# run_fuzzers.sh ROOT BUILD SECONDS JOBS - runs every libFuzzer target of BUILD for SECONDS, JOBS at
# a time, from the seeds in tests/fuzz/corpus. What crashes is kept below BUILD/fuzz.
set -eu
root=$1
build=$2
seconds=$3
jobs=$4

sources=$(cd "$root/tests/fuzz" && ls fuzz_*.c)
mkdir -p "$build/fuzz"
for source in $sources; do
    name=${source%.c}
    [ -x "$build/tests/fuzz/$name" ] || {
        echo "$build/tests/fuzz/$name was not built"
        exit 1
    }
    echo "$name"
done >"$build/fuzz/targets.txt"

# Two seeds folders have the same purpose: what fuzzers found in earlier runs here comes first,
# where libFuzzer also writes; the committed seeds are only read.
export root build seconds
# shellcheck disable=SC2016  # expanded by the inner shell
xargs -n 1 -P "$jobs" sh -c '
    name=$0
    folder=$build/fuzz/$name
    seeds=$root/tests/fuzz/corpus/${name#fuzz_}
    [ -d "$seeds" ] || { echo "$name has no seeds in $seeds"; exit 1; }
    mkdir -p "$folder/corpus"
    status=0
    "$build/tests/fuzz/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 \
        -print_final_stats=1 -artifact_prefix="$folder/" "$folder/corpus" "$seeds" \
        >"$folder/log.txt" 2>&1 || status=$?
    runs=$(sed -n "s/^stat::number_of_executed_units: *//p" "$folder/log.txt")
    if [ $status != 0 ] || [ "${runs:-0}" -lt 100 ]; then
        tail -n 60 "$folder/log.txt"
        echo "$name: FAILED (status $status, ${runs:-0} runs); its input is in $folder"
        exit 1
    fi
    echo "$name: $runs runs, nothing found"
' <"$build/fuzz/targets.txt"
