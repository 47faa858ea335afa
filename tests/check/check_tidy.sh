#!/bin/sh
# check_tidy.sh ROOT BUILD JOBS - clang-tidy with .clang-tidy over every C file that BUILD compiles.
# Every version of clang-tidy brings new checks, so only the one that the project uses decides.
set -eu
root=$1
build=$2
jobs=$3
tidy=$(command -v clang-tidy-14 || command -v clang-tidy)
version=$("$tidy" --version | sed -n 's/.*LLVM version \([0-9]*\).*/\1/p')
if [ "$version" != 14 ]; then
    echo "skipped: .clang-tidy is written for clang-tidy 14, this is $version"
    exit 0
fi
files=$(sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | sort -u)
count=$(printf '%s\n' "$files" | wc -l)
[ "$count" -ge 20 ] || {
    echo "only $count files in $build/compile_commands.json"
    exit 1
}
echo "clang-tidy over $count files"
printf '%s\n' "$files" | tr '\n' '\0' |
    xargs -0 -n 4 -P "$jobs" "$tidy" -p "$build" --quiet --warnings-as-errors='*' \
        --header-filter="^$root/(base|imgio|patches|vit|datasets|apps|bench|tests)/" 2>/dev/null || {
    echo "clang-tidy: see the errors above"
    exit 1
}
