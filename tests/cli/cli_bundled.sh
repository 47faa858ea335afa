# The bundled model says of 16 photos, in every format, what Pillow, transformers and PyTorch say.
. "$(dirname "$0")/cli_lib.sh"
# paths may have spaces: the photos are the positional parameters
set --
for file in "$GOLDEN"/photos/*; do
    case $file in
    *.txt | *.json) ;;
    *) set -- "$@" "$file" ;;
    esac
done
run classify --json "$@"
exits 0
silent err
check "16 photos" test "$(wc -l <out)" -eq 16
check "top-5 and scores of PyTorch" "$CLI_CHECK" golden "$GOLDEN/bundled.json" <out
for isa in ref generic avx2 avx512 amx; do
    VITC_ISA=$isa run classify --json "$@"
    if [ $rc -eq 2 ] && [ $isa != ref ] && [ $isa != generic ] &&
        grep -qF "this CPU or operating system cannot run" err; then
        skip "VITC_ISA=$isa: $(head -1 err)"
        continue
    fi
    exits 0
    check "VITC_ISA=$isa" "$CLI_CHECK" golden "$GOLDEN/bundled.json" <out
done
finish
