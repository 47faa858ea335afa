#!/bin/sh
# check_tree_selftest.sh ROOT - every rule of check_tree.sh must catch planted violations: they are put
# into a copy of the tree, and the check has to name the rule and the file of each.
set -eu
export LC_ALL=C

root=$1
check=$root/tests/check/check_tree.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$root"
find base imgio patches vit datasets apps cmake CMakeLists.txt -type f \
    \( -name '*.[ch]' -o -name '*.cmake' -o -name '*.txt' \) 2>/dev/null |
    tar -cf "$work/tree.tar" -T -
fresh_copy() {
    rm -rf "$work/tree"
    mkdir "$work/tree"
    tar -xf "$work/tree.tar" -C "$work/tree"
    : >"$work/planted"
}

fresh_copy
sh "$check" "$work/tree" >"$work/out.txt" || {
    cat "$work/out.txt"
    echo "FAILED: the copy is not clean before anything is planted"
    exit 1
}

tab=$(printf '\t')
plants=0
failures=0
# Every violation that was planted must have been found; then the copy is clean again.
check_planted() {
    if sh "$check" "$work/tree" >"$work/out.txt"; then
        echo "FAILED: the check is content with $(cat "$work/planted")"
        failures=$((failures + 1))
    fi
    while IFS=$tab read -r rule file text; do
        awk -v rule="[$rule]" -v file="$file:" \
            'index($0, file) == 1 && index($0, rule) { found = 1 } END { exit !found }' \
            "$work/out.txt" && continue
        echo "FAILED: not caught as [$rule] in $file: $text"
        failures=$((failures + 1))
    done <"$work/planted"
    fresh_copy
}

# plant RULE FILE TEXT: TEXT is appended to FILE (made when missing). One check looks at as many
# plants as differ in rule or file, so that each is named.
plant() {
    if grep -qF "$1$tab$2$tab" "$work/planted"; then check_planted; fi
    plants=$((plants + 1))
    mkdir -p "$work/tree/$(dirname "$2")"
    printf '%b\n' "$3" >>"$work/tree/$2"
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$work/planted"
}

plant include base/vitc_status.c '#include "imgio.h"'
plant include imgio/imgio.h '#include "patches.h"'
plant include imgio/imgio_new.c '#include "vit.h"'
plant include patches/patches.h '# include  "vit.h"'
plant include vit/kernels/vit_kernels.h '#include "vit_ops.h"'
plant include vit/kernels/vit_kernels_select.c '#include "vit_model.h"'
plant include vit/ops/vit_ops.h '#include "vit.h"'
plant include vit/ops/vit_linear.c '#include "imgio.h"'
plant include vit/model/vit_model.h '#include "app_options.h"'
plant include vit/weights/vit_new.c '#include "vit_kernels.h"'
plant include vit/vit.h '#include "vit_model.h"'
plant include apps/app_new.c '#include "vit_params.h"'
plant include base/vitc_log.c '#include "../imgio/imgio.h"'
plant include base/vitc_log.c '#include "nowhere.h"'
plant include vit/newpart/vit_new.c 'int vit_new;'

plant third-party imgio/imgio.h '#include <png.h>'
plant third-party patches/patches_spec.c '#include <png.h>'
plant third-party imgio/imgio_new.c '#include <jansson.h>'
plant third-party vit/kernels/vit_kernels_select.c '#include <blis.h>'
plant third-party base/vitc_log.c '#include <jansson.h>'
plant third-party base/vitc_log.c '#include "jansson.h"'
plant third-party base/vitc_log.c '#include <curl/curl.h>'

plant name vit/model/vitc_log.h 'int x;'
plant name imgio/decode.c 'int x;'
plant name 'base/vitc_a+b.c' 'int x;'

plant call base/vitc_log.c 'void f(void) { printf("x"); }'
plant call imgio/imgio_new.c 'void f(void) { exit (1); }'
plant call patches/patches_spec.c 'void f(void) { /* x */ abort(); }'
plant call vit/ops/vit_linear.c 'void f(void) { if (1) signal(2, 0); }'
plant call vit/model/vit_model.c 'void f(void) { setenv("A", "B", 1); }'
plant call vit/kernels/vit_gemm_f32_blis.c 'void f(void) { putenv("A=B"); }'
plant call vit/classify/vit_classify.c 'void f(void) { fputs("x", stderr); }'
plant call base/vitc_file.c 'FILE *f(void) { return stdout; }'

plant isa vit/ops/vit_linear.c '#include <immintrin.h>'
plant isa imgio/imgio_resize.c '#include <immintrin.h>'
plant isa base/vitc_memory.c '#include <arm_neon.h>'
plant isa vit/kernels/vit_kernels_select.c '#include <cpuid.h>'

plant flag CMakeLists.txt 'add_compile_options(-march=native)'
plant flag vit/CMakeLists.txt 'add_compile_options(-ffast-math)'
plant flag cmake/VitcTargets.cmake 'add_compile_options(-Ofast)'

plant path base/vitc_log.h '/* see \0057work/notes.txt */' # a slash: this file has no such path
plant path cmake/VitcTargets.cmake 'set(X /home/somebody/vitc)'

plant leftover base/vitc_log.c '/* TODO: later */'
plant leftover imgio/imgio.h '#if 0\n#endif'
check_planted

# What looks like a violation and is none.
clean() {
    cp "$work/tree/$1" "$work/saved"
    printf '%b\n' "$2" >>"$work/tree/$1"
    if ! sh "$check" "$work/tree" >"$work/out.txt"; then
        echo "FAILED: no violation, but caught: $2"
        cat "$work/out.txt"
        failures=$((failures + 1))
    fi
    mv "$work/saved" "$work/tree/$1"
}
clean base/vitc_log.c '/* abort(), printf() and exit()\n   exit(1) are words here */'
clean base/vitc_log.c 'static const char *f = "exit(1) /* stderr";'
clean base/vitc_log.c 'int my_exit(int); // abort()'

echo "$plants violations planted, $failures missed"
[ $plants -ge 40 ] && [ $failures = 0 ]
