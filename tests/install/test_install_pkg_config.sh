#!/bin/sh
# The example application, built with pkg-config against the installed library, shared and static,
# and by its own Makefile.
. "$(dirname "$0")/install_steps.sh"
fresh_work

build_with_pkg_config ./label_shared "$ROOT/docs/examples/label_photo/label_photo.c" shared
check_labels ./label_shared
cp out.txt shared.txt

build_with_pkg_config ./label_static "$ROOT/docs/examples/label_photo/label_photo.c" static
(
    unset LD_LIBRARY_PATH # the static one needs no libvitc.so
    check_labels ./label_static
)
cmp shared.txt out.txt || fail "shared and static libraries disagree"

if command -v make >/dev/null; then
    cp "$ROOT/docs/examples/label_photo/"* .
    make CC="$CC" PKG_CONFIG="$PKG_CONFIG" >make.txt 2>&1 || {
        cat make.txt
        fail "the example's Makefile"
    }
    check_labels ./label_photo
else
    echo "make is not installed: the example's Makefile was not tried"
fi
