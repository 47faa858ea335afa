#!/bin/sh
# The shared library exports exactly the functions that the public headers mark VITC_API.
. "$(dirname "$0")/install_steps.sh"
fresh_work

for header in "$PREFIX"/include/vitc/*.h; do
    # Comments go, macros stay unexpanded; then the last name before the first "(" that is not an
    # attribute macro of vitc_base.h is what the declaration declares.
    $CC -fpreprocessed -dD -E -P "$header" 2>/dev/null # it warns of what #if would choose
done | grep -v '^ *#' | tr '\n' ' ' | sed 's/;/;\n/g' | grep VITC_API |
    sed -E 's/.*VITC_API//; s/VITC_MUST_CHECK//; s/^[^(]*[ *]([a-z_0-9]+) *\(.*/\1/' |
    sort >declared.txt
$NM -D --defined-only "$LD_LIBRARY_PATH/libvitc.so" | awk '{ print $3 }' | sed 's/@.*//' |
    sort >exported.txt
[ "$(wc -l <declared.txt)" -ge 30 ] ||
    fail "only $(wc -l <declared.txt) declarations found in the headers"
diff -u declared.txt exported.txt >difference.txt || {
    cat difference.txt
    fail "declared in the headers (-) and exported by the library (+) differ"
}
[ -z "$(uniq -d declared.txt)" ] || fail "declared twice: $(uniq -d declared.txt)"
for name in $(grep -v '^vitc_\|^imgio_\|^patches_\|^vit_' exported.txt); do
    fail "$name lacks the prefix of its folder"
done
echo "$(wc -l <exported.txt) functions"

# The version is stated in vitc_base.h, CMakeLists.txt, vitc.pc and the file name.
version=$(sed -n 's/^#define VITC_VERSION_STRING *"\(.*\)"/\1/p' "$PREFIX/include/vitc/vitc_base.h")
[ "$($PKG_CONFIG --modversion vitc)" = "$version" ] ||
    fail "vitc.pc says $($PKG_CONFIG --modversion vitc), vitc_base.h $version"
[ -e "$LD_LIBRARY_PATH/libvitc.so.$version" ] || fail "there is no libvitc.so.$version"
