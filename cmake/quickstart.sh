#!/bin/sh
# From a fresh Debian or Ubuntu machine to a classified photo: installs packages, builds vitc in
# Release and runs it with the bundled model.
#
#   cmake/quickstart.sh [PHOTO...]      default: docs/chelsea.jpg
#
# The program ends up in build/release/apps/vitc.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$root/build/release

# shellcheck source=cmake/build_steps.sh
. "$root/cmake/build_steps.sh"

step "packages"
sh "$root/cmake/setup.sh" build

step "configure and build (Release) in $build"
# A build that exists already keeps its tests; a new one has none, as they need more packages.
tests=
[ -e "$build/CMakeCache.txt" ] || tests=-DBUILD_TESTING=OFF
configure_fresh "$root" "$build" -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release $tests
run cmake --build "$build" --target vitc_program vitc_shared # what an installation takes

if [ $# = 0 ]; then
    set -- "$root/docs/chelsea.jpg"
    [ -e "$1" ] || stop "the photo $1 is missing; is the clone complete?"
fi
step "classify"
run "$build/apps/vitc" classify "$@"
