# Help, suggestions, and wrong usage: exit status 2, a message, nothing on standard output.
. "$(dirname "$0")/cli_lib.sh"

commands="classify eval train info bench preprocess convert quantize posemb check completion version help"

run
exits 2
silent out
err_has "Usage: vitc COMMAND"
run help
exits 0
silent err
same help.txt
for word in --help -h; do
    run $word
    exits 0
    same help.txt
done
for command in $commands; do
    out_has "  $command "
done
for command in $commands; do
    run help "$command"
    exits 0
    silent err
    same "help_$command.txt"
    check "help of $command is at most 80 wide" sh -c '! grep -E "^.{81,}" out'
    cp out first
    for word in --help -h; do
        [ "$command" = help ] && continue
        run "$command" $word
        exits 0
        check "$command $word equals help $command" cmp first out
    done
done

run version
exits 0
check "a version" grep -Eqx 'vitc [0-9]+\.[0-9]+\.[0-9]+' out
run --version
exits 0
check "a version" grep -Eqx 'vitc [0-9]+\.[0-9]+\.[0-9]+' out

# wrong STDERR-PART ARGS...
wrong() {
    local part=$1
    shift
    run "$@"
    exits 2
    silent out
    err_has "$part"
    check "one line" test "$(wc -l <err)" -eq 1
}

wrong "did you mean vitc classify?" clasify
wrong "did you mean vitc convert?" conv
wrong "see vitc --help" zzzzzzzz
wrong "unknown command frobnicate" help frobnicate
touch photo.jpg
wrong "vitc classify photo.jpg" photo.jpg
wrong "did you mean --json?" classify --jsn x
wrong "did you mean --max-pixels?" classify --max-pixel=3 x
wrong "did you mean --preprocess?" classify --preproces x
wrong "see vitc classify --help" classify --frobnicate x
wrong "unknown option -z" classify -z x
wrong "unknown option -z" classify -qz x
wrong "unknown option --dump" classify --dump x
wrong "--json takes no value" classify --json=yes x
wrong "-k needs a value" classify -k
wrong "--top-k needs a value" classify --top-k
wrong "-k takes a number from 1" classify -k 0 x
wrong "takes a number from 1" classify -k -3 x
wrong "takes a number from 1" classify -k 3x x
wrong "takes a number from 1" classify -k '' x
wrong "takes a number from 1" classify -k ' 3' x
wrong "takes a number from 1 to 4096" classify --batch 99999999999999999999999 x
wrong "--threads takes a number from 1 to 1024" classify --threads 0 x
wrong "--max-pixels takes a number" classify --max-pixels=-1 x
wrong '--precision takes one of f32|bf16|int8|auto, not "f16"' classify --precision f16 x
wrong "bundled model: holds no int8 weights" classify --precision=int8 x
wrong "--model takes PATH, which is empty" classify --model= x
wrong "no images given" classify
wrong "no images given" classify --json
wrong "--json and --csv" classify --json --csv x
wrong "--logits needs" classify --logits x
wrong "--null says" classify --null x
wrong "standard input (-) can be used once" classify - -
wrong "standard input (-) can be used once" classify --files-from - -
wrong 'info does not take "x"' info x
wrong "preprocess needs IMAGE" preprocess
wrong 'preprocess does not take "b"' preprocess a b
wrong "convert needs MODEL" convert -o x
wrong "convert needs --output" convert x
wrong "--dtype takes one of f32|bf16" convert x -o y --dtype f16
wrong "int8 is what vitc quantize makes" convert x -o y --dtype int8
wrong "quantize needs MODEL" quantize -o x
wrong "quantize needs --output" quantize x
wrong "--dtype takes one of bf16|int8" quantize x -o y --dtype f32
wrong "--report needs --data" quantize x -o y --report
wrong "--precision needs --data" quantize x -o y --precision int8
wrong "--precision f32 cannot be had from int8" quantize x -o y --data d --precision f32
wrong "--precision int8 cannot be had from bf16" \
    quantize x -o y --dtype bf16 --data d --precision int8
wrong "there is one for bash" completion zsh
: >empty
wrong "holds no paths" classify --files-from empty

# The forms that a value may take.
cp "$GOLDEN/photos/cat.jpg" -- -dash.jpg
for form in "-k 2" "-k2" "--top-k 2" "--top-k=2" "-qk2" "-k 5 -k 2"; do
    # shellcheck disable=SC2086
    run classify $form "$GOLDEN/photos/cat.jpg"
    exits 0
    check "$form: two labels" test "$(wc -l <out)" -eq 3
done
run classify -k 2 -- -dash.jpg
exits 0
out_has "-dash.jpg"
run classify "$GOLDEN/photos/cat.jpg" -k 2
exits 0
check "options after operands" test "$(wc -l <out)" -eq 3
run classify -k 4000000000 "$GOLDEN/photos/cat.jpg"
exits 0
check "-k is clamped to the classes" test "$(wc -l <out)" -eq 11
finish
