#!/bin/sh
# From a fresh Debian or Ubuntu machine to passed tests: installs packages, builds vitc with gcc and
# clang, checks the sources, and runs the tests, also under the sanitizers, and the fuzzers.
#
#   tests/run.sh            everything; what .ci/run runs
#   tests/run.sh --quick    the release build and its tests only
#
# Stops at the first failure. The last thing printed is ctest's summary of the release build.
# VITC_FUZZ_SECONDS (60) is how long each fuzzer runs.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=cmake/build_steps.sh
. "$root/cmake/build_steps.sh"

case "${1-}" in
'') quick=0 ;;
--quick) quick=1 ;;
*) stop "usage: tests/run.sh [--quick]" ;;
esac

jobs=$(nproc)
[ "$jobs" -le 8 ] || jobs=8

# build PRESET [cmake options]
build() {
    preset=$1
    shift
    configure_fresh "$root" "$root/build/$preset" --preset "$preset" "$@"
    run cmake --build "$root/build/$preset" -j "$jobs"
}

# suite PRESET [ctest options]
suite() {
    preset=$1
    shift
    # ThreadSanitizer and AddressSanitizer reserve address ranges that a strongly randomized layout
    # may have taken already; without randomization they always start.
    fixed_layout=
    if setarch "$(uname -m)" -R true 2>/dev/null; then fixed_layout="setarch $(uname -m) -R"; fi
    # shellcheck disable=SC2086  # two or no words
    run $fixed_layout ctest --test-dir "$root/build/$preset" --output-on-failure --no-tests=error \
        -j "$jobs" "$@"
    # What single checks left out; the last suite's output ends with ctest's summary.
    [ "$preset" = release ] ||
        sed -n '/^skipped: /p' "$root/build/$preset/Testing/Temporary/LastTest.log" | sort | uniq -c
}

# These look at the sources only; the release build's suite runs them.
sources_only='^check\.(tree|format)'

step "packages"
sh "$root/cmake/setup.sh" test

# The sanitized builds are without MPI, which leaks and races by itself, so that both are built. Where
# somebody else installs the packages it may be missing.
with_mpi=-DVITC_MPI=OFF
if command -v mpicc >/dev/null && command -v mpiexec >/dev/null; then with_mpi=-DVITC_MPI=ON; fi

step "release: build with gcc, warnings are errors"
build release -DCMAKE_C_COMPILER=gcc -DVITC_BENCH=ON "$with_mpi"

if [ $quick = 0 ]; then
    step "clang: build, warnings are errors; tests"
    build release-clang "$with_mpi"
    suite release-clang -E "$sources_only"

    step "clang-tidy"
    run sh "$root/tests/check/check_tidy.sh" "$root" "$root/build/release-clang" "$jobs"

    step "AddressSanitizer, LeakSanitizer, UndefinedBehaviorSanitizer: tests"
    build asan
    suite asan -E "$sources_only"

    step "fuzzers, ${VITC_FUZZ_SECONDS:-60} seconds each"
    run sh "$root/tests/check/run_fuzzers.sh" "$root" "$root/build/asan" \
        "${VITC_FUZZ_SECONDS:-60}" "$jobs"

    step "ThreadSanitizer: tests"
    if grep -q '^VERSION_ID="22.04"' /etc/os-release && grep -q '^ID=ubuntu' /etc/os-release; then
        echo "skipped: Ubuntu 22.04 links its libarcher.so so that it cannot see ThreadSanitizer"
    else
        build tsan
        suite tsan -E '^(cli|check)\.'
    fi
fi

step "release: tests"
suite release
