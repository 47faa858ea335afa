#!/bin/sh
# Installs into a folder, moves the folder, and looks at what is there. The other installation tests
# use the moved folder, so each of them also tests that the installed tree can be moved.
set -eu

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

staging="$WORK/staging"
rm -rf "$WORK" "$PREFIX"
mkdir -p "$WORK" "$(dirname "$PREFIX")"
"$CMAKE" --install "$BUILD" --prefix "$staging" ${CONFIG:+--config "$CONFIG"} >"$WORK/log.txt" || {
    cat "$WORK/log.txt"
    fail "cmake --install"
}

for file in $(cd "$staging" && find . -type f); do
    case $file in
    */libvitc.*) ;; # with debug information, a library names its sources
    *) if grep -lF -e "$ROOT" -e "$staging" "$staging/$file"; then
        fail "$file holds the path of the source tree or of the installation"
    fi ;;
    esac
done
mv "$staging" "$PREFIX"

(cd "$PREFIX/include/vitc" && ls) | sort >"$WORK/headers.txt"
printf '%s\n' datasets.h imgio.h patches.h vit.h vit_train.h vitc.h vitc_base.h | cmp - "$WORK/headers.txt" ||
    fail "these headers are installed: $(cat "$WORK/headers.txt")"
for name in libvitc.so libvitc.a vitc.pc vitc-config.cmake vitc-config-version.cmake LICENSE NOTICE; do
    [ -n "$(find "$PREFIX" -name $name)" ] || fail "$name is not installed"
done
[ -x "$PREFIX/bin/vitc" ] || fail "bin/vitc is not installed"
