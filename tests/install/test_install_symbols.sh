#!/bin/sh
# The shared library exports exactly the functions that the public headers mark VITC_API.
. "$(dirname "$0")/install_steps.sh"
fresh_work

# VITC_API expands to the attribute that exports; what is left of a declaration without attributes
# declares the last name before its first "(".
echo '#include <vitc/vitc.h>' | $CC -E -P -I"$PREFIX/include" - | tr '\n' ' ' | sed 's/;/;\n/g' |
    grep 'visibility *("default")' |
    sed -E 's/__attribute__ *\(\([a-z_]+ *(\("[a-z]*"\))?\)\)//g; s/^[^(]*[ *]([a-z_0-9]+) *\(.*/\1/' |
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
for name in $(grep -v '^vitc_\|^imgio_\|^patches_\|^datasets_\|^vit_' exported.txt); do
    fail "$name lacks the prefix of its folder"
done
echo "$(wc -l <exported.txt) functions"

# The version is stated in vitc_base.h, CMakeLists.txt, vitc.pc and the file name.
version=$(sed -n 's/^#define VITC_VERSION_STRING *"\(.*\)"/\1/p' "$PREFIX/include/vitc/vitc_base.h")
[ "$($PKG_CONFIG --modversion vitc)" = "$version" ] ||
    fail "vitc.pc says $($PKG_CONFIG --modversion vitc), vitc_base.h $version"
[ -e "$LD_LIBRARY_PATH/libvitc.so.$version" ] || fail "there is no libvitc.so.$version"
