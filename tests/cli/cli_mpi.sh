# eval and classify on several ranks: what they say and write is what one process says and writes,
# with bad images, broken sets, and ranks that die.
. "$(dirname "$0")/cli_lib.sh"
. "$CLI_DIR/cli_lib_mpi.sh"
photos=$GOLDEN/photos
model=$GOLDEN/checkpoints/hf_vit # labels: tabby cat, espresso, "rocket, projectile", ...

mkdir -p data/tabby_cat data/espresso "data/rocket, projectile" 'data/grey "fox"' data/Kuchen-Käse
cp "$photos/astronaut_exif6.jpg" "$photos/cat_progressive.jpg" "$photos/spoon_rgba.png" \
    data/tabby_cat
cp "$photos/clock_16bit.png" "$photos/cup_cmyk.jpg" data/espresso
cp "$photos/stars_rle.tga" "data/rocket, projectile"
cp "$photos/cat.jpg" "$photos/launch_lossy.webp" "$photos/gravel.ppm" 'data/grey "fox"'
cp "$photos/table_palette.png" data/Kuchen-Käse

# ---- a launcher, but no MPI that knows of it ----
if [ "$MPI" = 0 ]; then
    for variable in OMPI_COMM_WORLD_SIZE PMI_SIZE SLURM_STEP_NUM_TASKS; do
        for command in eval classify; do
            alone $variable=3 $command -m "$model" data
            exits 2
            silent out
            err_has "3 processes were started together ($variable), but this vitc was built without MPI"
            err_has "-DVITC_MPI=ON"
        done
        alone $variable=1 eval -m "$model" data
        exits 0
        alone $variable=x eval -m "$model" data
        exits 0
    done
    alone PMI_SIZE=3 version
    exits 0
    skip "ranks: this build has no MPI"
    finish 77
fi
alone SLURM_STEP_NUM_TASKS=3 eval -m "$model" data
exits 2
silent out
err_has "3 processes were started together (SLURM_STEP_NUM_TASKS), but this vitc's MPI sees only itself"
if ! [ -x "${MPIEXEC:-}" ]; then
    skip "ranks: there is no mpiexec"
    finish 77
fi

# ---- the same as one process ----
# both ARGS...: by one process and by as many ranks as $counts lists; rows.jsonl and new/ are compared too. Warnings
# come from the first rank only, errors that end a rank from each.
counts='2 3'
both() {
    rm -rf rows.jsonl new
    run "$@"
    local status=$rc
    cp out one.out
    cp err one.err
    rm -rf one.rows one.new
    [ -e rows.jsonl ] && mv rows.jsonl one.rows
    [ -e new ] && mv new one.new
    for n in $counts; do
        rm -rf rows.jsonl new
        ranks $n "$@"
        exits $status
        check "$n ranks: standard output" cmp one.out out
        # Threads tell of the set and of its images, each in its own time.
        check "$n ranks: messages" diff <(sort one.err) <(grep -v '^vitc: rank ' err | sort)
        [ -e one.rows ] && check "$n ranks: rows" cmp one.rows rows.jsonl
        [ -e one.new ] && check "$n ranks: new files" diff -r one.new new
    done
}
both eval -m "$model" data --json --no-times --rows rows.jsonl
exits 0
silent err
check "rows" test "$(wc -l <rows.jsonl)" -eq 11
counts=2
both eval -m "$model" data --no-times
both eval -m "$model" -m "$GOLDEN/checkpoints/hf_vit" data --json --no-times
both eval -m "$model" data --json --no-times --val-split 0.5 --batch 2 --rows rows.jsonl
page() {
    rm -f rows.jsonl
    "$@" eval -m "$model" data -q --no-times --threads 1 --rows rows.jsonl --report page.html
    exits 0
}
page run
mv page.html one.html
page ranks 3
check "the same page" cmp one.html page.html
run eval -m "$model" data -q --no-times --calibrate one.safetensors
ranks 3 eval -m "$model" data -q --no-times --calibrate several.safetensors
exits 0
check "the same calibrated model" cmp one.safetensors several.safetensors

counts='2 3'
both classify -m "$model" data "$photos" --json --logits
counts=3
both classify -m "$model" data
both classify -m "$model" data/espresso/cup_cmyk.jpg
both classify -m "$model" data --csv --min-score 0.5
ls data/*/* >list
both classify -m "$model" --files-from list --json
both classify -m "$model" -q data --sort-into new --json
tar -cf data.tar -C data .
both classify -m "$model" -q data.tar "$photos/gravel.ppm" --sort-into new
check "copies" test "$(find new -type f | wc -l)" -eq 10

# ---- what is bad ----
head -c 700 "$photos/cat.jpg" >data/espresso/cut.jpg
echo nothing >data/tabby_cat/no.png
: >"data/rocket, projectile/empty.jpg"
both eval -m "$model" data --json --no-times --rows rows.jsonl
exits 1
check "three bad" test "$("$CLI_CHECK" json n_bad <out)" = 3
both eval -m "$model" data --json --no-times --rows rows.jsonl --strict
exits 1
both eval -m "$model" data --json --no-times --rows rows.jsonl --max-bad 1 --batch 1
exits 1
both classify -m "$model" data nowhere.jpg --json
exits 1
tar -cf data.tar -C data .
tar -czf data.tgz -C data .
head -c 150000 data.tar >cut.tar
head -c 150000 data.tgz >cut.tgz
both eval -m "$model" data.tgz --json --no-times --rows rows.jsonl
exits 1
both eval -m "$model" cut.tar --json --no-times --rows rows.jsonl
exits 3
check "rows until there" test "$(wc -l <rows.jsonl)" -gt 4
both eval -m "$model" cut.tgz --json --no-times --rows rows.jsonl
exits 3
both classify -m "$model" cut.tgz cut.tar "$photos/gravel.ppm" --json
exits 1
ranks 2 eval -m "$model" data --rows /dev/full
exits 4
err_has "/dev/full: rows cannot be written: No space left on device"
ranks 2 classify -m "$model" - --json
exits 2
err_has "standard input (-) reaches one process only"

# ---- ranks that are not alike ----
pair "$VITC" eval -m "$model" data -- "$VITC" eval -m nowhere data
exits 3
err_has "vitc: rank 1 on"
err_has "nowhere: cannot be opened"
pair "$VITC" eval -m nowhere data -- "$VITC" eval -m "$model" data
exits 3
err_has "vitc: nowhere: cannot be opened"
cp -r data more
cp "$photos/cat.jpg" more/espresso/a.jpg
pair "$VITC" eval -m "$model" data -- "$VITC" eval -m "$model" more
exits 2
silent out
err_has "not what the first rank has: data.images: 13 on the first rank, 14 here"
pair "$VITC" eval -m "$model" data -- env VITC_ISA=ref "$VITC" eval -m "$model" data
exits 2
err_has 'options.kernels: '
err_has '"ref" here'
pair "$VITC" classify -m "$model" data -- env VITC_ISA=ref "$VITC" classify -m "$model" data
exits 2
err_has "kernels ref, f32"
pair "$VITC" classify -m "$model" data -- "$VITC" classify -m "$model" more
exits 3
err_has "rank 1 has not seen the same images"
# The same data may lie elsewhere.
cp -r data elsewhere
pair "$VITC" eval -m "$model" data --json --no-times --rows rows2.jsonl -- \
    "$VITC" eval -m "$model" elsewhere --json --no-times
exits 1

# ---- CPUs are shared ----
if [ "$(taskset -p $$ 2>/dev/null | grep -c 'mask: 3$')" = 1 ]; then
    ranks 2 eval -m "$model" data --json
    check "a thread each on two CPUs" test "$("$CLI_CHECK" json times lanes <out)" = 2
else
    skip "sharing of two CPUs"
fi

# ---- ranks that die ----
mkdir -p "many/tabby cat/1" many/espresso
for i in $(seq 50); do ln -s "$photos/rocket.png" "many/tabby cat/1/$i.png"; done
for i in $(seq 2 40); do cp -a "many/tabby cat/1" "many/tabby cat/$i"; done
cp -a "many/tabby cat" many/espresso
run eval -m "$model" many -q --json --no-times --rows whole.jsonl
exits 0
cp out whole

# deadly SIGNAL RANK N ARGS...: N ranks, of which one gets the signal when some rows are there.
deadly() {
    local signal=$1 victim=$2
    local before
    before=$(wc -l <rows.jsonl)
    follow "${@:3}"
    command_line="$command_line, SIG$signal to rank $victim"
    until [ "$(wc -l <rows.jsonl)" -gt $((before + 40)) ] || ! kill -0 "$pid" 2>/dev/null; do
        sleep 0.01
    done
    kill -"$signal" "$(cat "pid.$victim")" 2>/dev/null
    await
    lines=$(wc -l <rows.jsonl)
    if [ "$lines" -eq 4001 ]; then
        skip "the run was over before SIG$signal"
    else
        check "no success" test $rc -ne 0
        check "rows without a gap" cmp <(head -n "$((lines - 1))" whole.jsonl) \
            <(head -n "$((lines - 1))" rows.jsonl)
    fi
}
: >rows.jsonl
deadly KILL 1 2 eval -m "$model" many --json --no-times --batch 1 --rows rows.jsonl
err_has "stopping: a signal came, as to all ranks when one of them has died"
err_has "eval --resume -m"
deadly KILL 0 3 eval -m "$model" many --json --no-times --batch 2 --rows rows.jsonl --resume
deadly TERM 2 3 eval -m "$model" many --json --no-times --batch 1 --rows rows.jsonl --resume
deadly KILL 1 2 eval -m "$model" many --json --no-times --batch 1 --rows rows.jsonl --resume
cp rows.jsonl half.jsonl
run eval -m "$model" many -q --json --no-times --rows rows.jsonl --resume
exits 0
check "one process ends it: the same numbers" cmp whole out
check "the same rows" cmp whole.jsonl rows.jsonl
mv half.jsonl rows.jsonl
ranks 3 eval -m "$model" many -q --json --no-times --rows rows.jsonl --resume
exits 0
check "three ranks end it: the same numbers" cmp whole out
check "the same rows" cmp whole.jsonl rows.jsonl
ranks 2 eval -m "$model" many --json --no-times --rows rows.jsonl
exits 2
err_has "rows.jsonl: holds rows already"

finish
