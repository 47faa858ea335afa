#!/bin/sh
# Every C block of README.md and docs/embedding.md compiles as it stands; those with a main() are
# linked to the installed library and run.
. "$(dirname "$0")/install_steps.sh"
fresh_work

blocks=0
programs=0
for document in "$ROOT/README.md" "$ROOT/docs/embedding.md"; do
    name=$(basename "$document" .md)
    awk -v prefix="$name" '
        /^```c$/ { inside = 1; file = prefix "-" ++count ".c"; next }
        /^```/ && inside { inside = 0; close(file) }
        inside { print > file }' "$document"
    for block in "$name"-*.c; do
        [ -e "$block" ] || fail "$document has no C block"
        blocks=$((blocks + 1))
        if grep -q 'int main(' "$block"; then
            build_with_pkg_config "./${block%.c}" "$block"
            "./${block%.c}" "$MODEL" "$PHOTO" >out.txt 2>&1 || {
                cat out.txt
                fail "$block of $document failed"
            }
            expect_line '[a-z]' out.txt
            programs=$((programs + 1))
        else
            eval "$CC -std=c11 $strict -Wno-unused-function -c -o '${block%.c}.o' '$block' \
                $($PKG_CONFIG --cflags vitc)" || fail "$block of $document does not compile"
        fi
    done
done
[ $programs -ge 2 ] || fail "only $programs programs in the documents"
echo "$blocks C blocks, $programs of them programs"
