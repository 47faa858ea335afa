#!/bin/sh
# The example application, built with find_package against the installed library, shared and static;
# and what find_package says to a wrong version and a component that does not exist.
. "$(dirname "$0")/install_steps.sh"
fresh_work

for kind in OFF ON; do
    "$CMAKE" -S "$ROOT/docs/examples/label_photo" -B "build-$kind" -DCMAKE_PREFIX_PATH="$PREFIX" \
        -DCMAKE_C_COMPILER="$CC" -DLABEL_PHOTO_STATIC=$kind >log.txt 2>&1 &&
        "$CMAKE" --build "build-$kind" >>log.txt 2>&1 || {
        cat log.txt
        fail "find_package(vitc), static $kind"
    }
    (
        unset LD_LIBRARY_PATH # CMake gives programs the path of the libraries they link
        check_labels "./build-$kind/label_photo"
    )
    mv out.txt "out-$kind.txt"
done
cmp out-OFF.txt out-ON.txt || fail "shared and static libraries disagree"

refuses() { # the arguments of find_package, what the error must say
    mkdir -p refused
    cat >refused/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.20)
project(refused LANGUAGES C)
find_package(vitc $1)
END
    rm -rf refused/build
    if "$CMAKE" -S refused -B refused/build -DCMAKE_PREFIX_PATH="$PREFIX" >log.txt 2>&1; then
        fail "find_package(vitc $1) succeeded"
    fi
    tr -s '\n ' '  ' <log.txt >flat.txt
    expect_line "$2" flat.txt
}
refuses '99.0 REQUIRED' 'compatible with requested version "99.0"'
refuses 'REQUIRED COMPONENTS rusty' 'no component "rusty"'
