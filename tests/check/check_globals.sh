#!/bin/sh
# check_globals.sh OBJDUMP LIBVITC_A - the library keeps no state that changes: no object file has a
# variable in .data or .bss, but for those named here. (Constant tables are in .rodata and
# .data.rel.ro.)
set -eu
objdump=$1
library=$2
symbols=$(mktemp)
trap 'rm -f "$symbols"' EXIT
"$objdump" -t "$library" >"$symbols"
grep -q 'F \.text' "$symbols" || {
    echo "no functions in $library?"
    exit 1
}
# BLIS is initialized once per process: pthread_once and what it found. What the CPU can do is looked
# up once.
awk '
    /file format/ { # "NAME.o: ..." or "ARCHIVE(NAME.o): ...", and the archive may have spaces
        member = $0; sub(/\)?:[ \t]*file format.*/, "", member); sub(/.*[(\/:]/, "", member); next
    }
    $4 ~ /^\.(bss|data|tbss|tdata)($|\.)/ && $4 !~ /^\.data\.rel\.ro/ && $3 == "O" {
        if (member !~ /^(vit_gemm_f32_blis|vitc_cpu)\.c/) { print member ": " $NF " is a variable"; bad = 1 }
        else seen = 1
    }
    END {
        if (!seen) { print "the known variables were not seen: is this check blind?"; bad = 1 }
        exit bad
    }' "$symbols"
echo "no variables but the known ones"
