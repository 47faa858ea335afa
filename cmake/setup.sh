#!/bin/sh
# Installs the packages that vitc needs on Debian 12/13 and Ubuntu 22.04/24.04.
#
#   cmake/setup.sh build    what a build of the program and the library needs
#   cmake/setup.sh test     that, and what tests/run.sh needs
#
# Packages that are there already are left alone, and apt is not called when none is missing.
# Without apt-get nothing is installed: docs/building.md lists what to install by hand; set
# VITC_SKIP_SETUP=1 to have this script trust that it is done.
set -eu

build_packages='gcc libc6-dev cmake ninja-build pkg-config
    libblis-dev libpng-dev libjpeg-dev libwebp-dev libgif-dev libstb-dev libjansson-dev
    libarchive-dev'

# a|b: the first that the release has. The sanitizers' and the fuzzer's runtime moved between
# packages; libomp-dev is the OpenMP runtime of clang, with the Archer tool for ThreadSanitizer.
test_packages='bash g++ binutils make groff-base util-linux libcmocka-dev
    openmpi-bin libopenmpi-dev
    clang clang-format clang-tidy llvm libomp-dev
    libclang-rt-dev|libclang-rt-14-dev|libclang-common-14-dev'

# Where the release has them; elsewhere the tests that use them are skipped. Ubuntu's Chromium is a
# snap, which apt does not have.
optional_packages='chromium'

fail() {
    echo "setup: $*" >&2
    exit 1
}

case "${1-}" in
build)
    wanted=$build_packages
    optional=
    ;;
test)
    wanted="$build_packages $test_packages"
    optional=$optional_packages
    ;;
*) fail "usage: cmake/setup.sh build|test" ;;
esac

if [ "${VITC_SKIP_SETUP-}" = 1 ]; then
    echo "setup: skipped, as VITC_SKIP_SETUP=1 asks"
    exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail "this system has no apt-get. Install the packages of docs/building.md by hand," \
        "then run again with VITC_SKIP_SETUP=1"
fi

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for entry in $wanted; do
    found=
    for package in $(echo "$entry" | tr '|' ' '); do
        if installed "$package"; then found=$package; fi
    done
    if [ -z "$found" ]; then missing="$missing $entry"; fi
done
for package in $optional; do
    # Before apt-get update nothing is known of it; a|-: a, or nothing.
    if ! installed "$package" &&
        { [ -n "$missing" ] || apt-cache show "$package" >/dev/null 2>&1; }; then
        missing="$missing $package|-"
    fi
done
if [ -z "$missing" ]; then
    echo "setup: every package is installed"
    exit 0
fi

if [ "$(id -u)" = 0 ]; then
    as_root() { env DEBIAN_FRONTEND=noninteractive "$@"; }
elif command -v sudo >/dev/null; then
    as_root() { sudo env DEBIAN_FRONTEND=noninteractive "$@"; }
else
    fail "packages are missing, installing them needs root, and there is no sudo here. As root:" \
        "apt-get install$(echo "$missing" | sed 's/|[^ ]*//g')"
fi

# apt_get ARGUMENTS: what it prints is shown only when it fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get() {
    echo "setup: apt-get $*"
    as_root apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -qq "$@" \
        >"$log" 2>&1 || {
        cat "$log" >&2
        return 1
    }
}

# One repository that is out of order need not be one that is needed: installing decides.
apt_get update || echo "setup: apt-get update failed (see above); trying with what apt knows"

packages=
for entry in $missing; do
    chosen=
    for package in $(echo "$entry" | tr '|' ' '); do
        if [ -z "$chosen" ] && { [ "$package" = - ] || apt-cache show "$package" >/dev/null 2>&1; }; then
            chosen=$package
        fi
    done
    if [ "$chosen" = - ]; then continue; fi
    [ -n "$chosen" ] || fail "apt knows no package $entry." \
        "On Ubuntu, enable the universe component: sudo add-apt-repository universe"
    packages="$packages $chosen"
done
# shellcheck disable=SC2086  # a list of package names
apt_get install -y --no-install-recommends $packages ||
    fail "apt-get install failed (see above); are the network and /etc/apt/sources.list in order?"
