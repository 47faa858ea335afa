# The option table, the man page and the completion name the same things.
. "$(dirname "$0")/cli_lib.sh"
man=$ROOT/docs/vitc.1
completion=$ROOT/apps/completion/vitc.bash

run completion bash
exits 0
check "the program prints the script" cmp "$completion" out
check "bash reads it" bash -n "$completion"

run help --list
exits 0
cp out list
check "a list" test "$(wc -l <list)" -ge 30

# Man page: every option, with its argument and its commands; nothing that does not exist.
sed 's/\\-/-/g; s/\\f[BIR]//g' "$man" >plain
while read -r command rest; do
    name=--${rest##*--}
    argument=
    case $name in
    *' '*)
        argument=" ${name#* }"
        name=${name%% *}
        ;;
    esac
    letter=
    case $rest in -?' '*) letter="${rest%% *}, " ;; esac
    check "man page has: $letter$name$argument" grep -qxF -e "$letter$name$argument" plain
    # The lines below a tag begin with the commands that have the option.
    awk -v tag="$letter$name$argument" '$0 == tag { on = 1; next } /^\.(TP|S[SH])/ { on = 0 } on' \
        plain >below
    check "man page: $name is said to belong to $command" \
        sh -c 'grep -Eq "^\((.*, )?$1(, .*)?\)|^\(every command\)" below' - "$command"
done <list
grep -xE '(-.(, ))?--[a-z0-9-]+( .*)?' plain | sed -E 's/.*(--[a-z0-9-]+).*/\1/' | sort -u >documented
sed -E 's/.*(--[a-z0-9-]+).*/\1/' list | sort -u >existing
check "options of the man page are those of the program" diff existing documented
for command in $(cut -d' ' -f1 list | sort -u); do
    check "man page: section $command" grep -qx "\.SS $command" "$man"
done

# Completion, asked as bash asks it.
cat >ask.sh <<'END'
. "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_vitc
printf '%s\n' "${COMPREPLY[@]}"
END
ask() {
    command_line="completion of: $*"
    bash ask.sh "$completion" "$@" 2>err | sort -u >out
}
ask vitc ''
run_commands=$(cut -d' ' -f1 list | sort -u)
for command in $run_commands; do
    check "completes $command" grep -qx "$command" out
    ask vitc "$command" -
    grep "^$command " list | tr ' ' '\n' | grep -E '^--?[a-z0-9]' | sort -u >want
    check "options of $command" diff want out
    ask vitc ''
done
touch model.safetensors other.bin photo.jpg PHOTO.PNG 'with space.jpeg' spec.json notes.txt
mkdir dir
ask vitc classify -m ''
printf '%s\n' bundled dir model.safetensors >want
check "models" diff want out
ask vitc classify --model = ''
check "models after =" diff want out
ask vitc classify --preprocess ''
printf '%s\n' dir spec.json >want
check "specs" diff want out
ask vitc classify ''
printf '%s\n' PHOTO.PNG dir photo.jpg 'with space.jpeg' | sort -u >want
check "images" diff want out
ask vitc convert --dtype ''
printf '%s\n' bf16 f32 >want
check "dtypes" diff want out
ask vitc quantize --dtype ''
printf '%s\n' bf16 int8 >want
check "dtypes of quantize" diff want out
ask vitc quantize --data ''
printf '%s\n' dir other.bin >want
check "folders and files of images" diff want out
ask vitc classify --top-k ''
check "nothing for a number" test -z "$(cat out)"

# Formatters find nothing to complain about.
if command -v groff >/dev/null; then
    groff -man -ww -Tutf8 "$man" >out 2>err
    rc=$?
    command_line="groff -man -ww"
    exits 0
    silent err
else
    skip "no groff"
fi
if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$man" >out 2>err
    rc=$?
    command_line="mandoc -T lint"
    exits 0
else
    skip "no mandoc"
fi
finish
