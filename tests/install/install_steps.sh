# Shell functions of the installation tests, which source this file.
# shellcheck shell=sh
#
# In the environment, set by tests/install/CMakeLists.txt:
#   PREFIX   where the library was installed (with spaces in its path)
#   ROOT     the source tree     WORK    an empty folder of this test
#   MODEL    a small model       PHOTO   a photo
#   CC CXX CMAKE PKG_CONFIG      tools
set -eu

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Fails unless $2 (a file) has a line that matches $1.
expect_line() {
    grep -Eq -- "$1" "$2" || {
        cat "$2"
        fail "no line like \"$1\" in the output above"
    }
}

fresh_work() {
    rm -rf "$WORK"
    mkdir -p "$WORK"
    cd "$WORK"
}

# The folder below PREFIX that holds $1, e.g. vitc.pc.
folder_of() {
    found=$(find "$PREFIX/" -name "$1" | head -n 1)
    [ -n "$found" ] || fail "$1 is not installed below $PREFIX"
    dirname "$found"
}

# pkg-config before pkgconf, Ubuntu 22.04's, cannot quote the folder of a .pc file: it sees the prefix
# through a name without spaces.
case $($PKG_CONFIG --version) in
0.*)
    plain=$(mktemp -d)
    trap 'rm -rf "$plain"' EXIT
    ln -s "$PREFIX" "$plain/prefix"
    PREFIX=$plain/prefix
    ;;
esac

# pkg-config prints shell words, with the spaces of a path escaped: they are for eval.
PKG_CONFIG_PATH=$(folder_of vitc.pc)
LD_LIBRARY_PATH=$(folder_of libvitc.so)
export PKG_CONFIG_PATH LD_LIBRARY_PATH

strict='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror'

# build_with_pkg_config OUT SOURCE [shared|static]
build_with_pkg_config() {
    case ${3-shared} in
    shared)
        flags=$($PKG_CONFIG --cflags --libs vitc)
        ;;
    static)
        # The linker takes libvitc.a only where there is no libvitc.so beside it.
        mkdir -p "$WORK/static"
        cp "$LD_LIBRARY_PATH/libvitc.a" "$WORK/static/"
        flags="-L'$WORK/static' $($PKG_CONFIG --static --cflags --libs vitc)"
        ;;
    esac
    eval "$CC -std=c11 -O1 $strict -D_GNU_SOURCE -o \"\$1\" \"\$2\" $flags -pthread" ||
        fail "$2 does not build against the installed library"
}

# check_labels PROGRAM: it labels the photo, and says what is wrong with what is no photo.
check_labels() {
    "$1" "$MODEL" "$PHOTO" >out.txt 2>err.txt || {
        cat out.txt err.txt
        fail "$1 failed on a good photo"
    }
    expect_line '^  +[0-9]+\.[0-9] %  .+' out.txt
    [ ! -s err.txt ] || fail "$1 complained about a good photo: $(cat err.txt)"

    echo 'this is no photo' >text.jpg
    : >empty.png
    status=0
    "$1" "$MODEL" text.jpg "$PHOTO" empty.png missing.jpg >out2.txt 2>err2.txt || status=$?
    [ "$status" = 1 ] || fail "$1 ended with $status, not 1, when some photos were bad"
    cmp out.txt out2.txt || fail "bad photos changed what is said of the good one"
    expect_line 'text\.jpg' err2.txt
    expect_line 'empty\.png' err2.txt
    expect_line 'missing\.jpg' err2.txt

    status=0
    "$1" "$WORK/no such model" "$PHOTO" >/dev/null 2>err3.txt || status=$?
    [ "$status" = 3 ] || fail "$1 ended with $status, not 3, without a model"
    expect_line 'no such model' err3.txt
}
