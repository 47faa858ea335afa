#!/bin/sh
# check_format.sh ROOT CLANG_FORMAT - every C file of the tree is as clang-format writes it.
# Versions of clang-format differ in details: only the one that the project uses decides (77: skip).
set -eu
root=$1
tool=$2
version=$("$tool" --version | sed 's/.*version \([0-9]*\).*/\1/')
if [ "$version" != 14 ]; then
    echo "skipped: the sources are formatted by clang-format 14, this is $version"
    exit 77
fi
cd "$root"
count=$(find base imgio patches vit apps datasets tests bench docs -name '*.[ch]' 2>/dev/null | wc -l)
[ "$count" -ge 20 ] || {
    echo "only $count files found below $root"
    exit 1
}
find base imgio patches vit apps datasets tests bench docs -name '*.[ch]' -print0 2>/dev/null |
    xargs -0 "$tool" --dry-run -Werror
echo "$count files are formatted"
