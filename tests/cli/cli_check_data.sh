# vitc check: what is found in sets of images, in every form of output; nothing is changed.
. "$(dirname "$0")/cli_lib.sh"
images=$GOLDEN/images
photos=$GOLDEN/photos

field() {
    "$CLI_CHECK" json "$@" <out
}
is() {
    local want=$1
    shift
    check "$* is $want" test "$(field "$@")" = "$want"
}

# Two sets: same pixels in other files, the same file twice, a file of the other set; alike; one
# colour; a wrong name; broken ones.
mkdir -p train/cat train/dog val/cat val/dog
cp "$images/jpeg_444_baseline.jpg" train/cat/a.jpg
cp "$images/jpeg_444_progressive.jpg" train/cat/b.jpg
cp "$images/jpeg_422_baseline.jpg" train/dog/c.jpg
cp train/cat/a.jpg train/dog/d.jpg
cp train/cat/a.jpg val/cat/e.jpg
cp "$photos/astronaut.bmp" val/dog/astronaut.bmp
cp "$photos/rocket.png" val/dog/rocket.jpg
head -c 2000 "$photos/cat.jpg" >train/cat/cut.jpg
echo hello >train/dog/text.jpg
: >train/dog/empty.png
flat() { # COLOUR NAME
    { printf 'P6 4 4 255\n'; head -c 48 /dev/zero | tr '\0' "$1"; } >"$2"
}
flat x val/cat/flat.ppm
find train val -type f -exec cksum {} + | sort >before

run check train val
exits 1
silent err
same check.txt
run check train val -q --threads 3
check "nothing but the findings" cmp "$CLI_DIR/expected/check.txt" out
run check train val --csv
exits 1
silent err
tr -d '\r' <out >plain
mv plain out
same check_csv.txt
run check train val --json
exits 1
silent err
is true errors
is 10 distance
is true complete
is '"train"' sets 0 data
is '"folders"' sets 0 kind
is null sets 0 damaged
is 7 sets 0 images
is 3 sets 0 broken
is 0 sets 0 unlabelled
is 1 sets 1 grey
is '"dog"' sets 0 classes 1 label
is 4 sets 0 classes 1 images
is 90 sets 1 sizes largest width
is '"val/cat/flat.ppm"' sets 1 sizes smallest path
is 5 sets 0 formats JPEG
is '{"of": 1, "in": 0, "identical": 1, "identical_other_label": 0, "alike": 0, "alike_other_label": 0}' overlaps 0
is '"truncated"' broken 0 status
is '"train/dog/text.jpg"' broken 2 path
is true identical 0 labels_differ
is true identical 0 sets_differ
is false identical 0 same_file
is '"train/dog/d.jpg"' identical 0 images 1 path
is false alike 0 sets_differ
is '{"set": 1, "path": "val/cat/flat.ppm", "label": "cat"}' one_colour 0
is '"PNG"' misnamed 0 format

# The label of the other set counts, whichever comes first.
rm train/cat/a.jpg train/cat/b.jpg
run check val train --json
is '{"of": 1, "in": 0, "identical": 1, "identical_other_label": 1, "alike": 1, "alike_other_label": 1}' overlaps 0
cp val/cat/e.jpg train/cat/a.jpg
cp "$images/jpeg_444_progressive.jpg" train/cat/b.jpg

# --distance.
run check train --distance 0 --json
is '[]' alike
run check train --distance=17
exits 2
err_has "a number from 0 to 16"

# The page.
run check train val --report page.html
exits 1
silent err
check "the same on standard output" cmp "$CLI_DIR/expected/check.txt" out
check "pictures" grep -q 'src="data:image/png;base64,' page.html
check "labels that differ" grep -q 'id="mislabelled"' page.html
check "alike" grep -q 'id="suspicious"' page.html
check "single images" grep -q '<td class="path">train/dog/text.jpg</td><td>unsupported</td>' page.html
check "no network" sh -c '! grep -qE "(src|href)=\"(https?:)?//" page.html'
check "it ends" grep -q '</html>' page.html
run check train val --json --report page.html
exits 1
is true errors

# Nothing was changed.
find train val -type f -exec cksum {} + | sort >after
check "files are as before" diff before after

# Sound data.
mkdir -p good/cat good/dog
cp "$photos/cat.jpg" good/cat
cp "$photos/astronaut.bmp" good/dog
run check good
exits 0
silent err
out_has "Nothing to repair was found"
out_has "2, 1 image each"
run check good --csv
exits 0
check "a header alone" test "$(wc -l <out)" -eq 1

# A symbolic link to a file is that file again; identical files are said to be the same.
ln -s ../cat/cat.jpg good/cat/link.jpg
run check good --json
exits 0
is true identical 0 same_file
is false identical 0 labels_differ
run check good
out_has "Identical images (keep one of each group): 1 group of 2 images"
rm good/cat/link.jpg

# Photos turned by EXIF are what people see.
mkdir -p turned/a
cp "$images/jpeg_exif3.jpg" "$images/jpeg_exif1.jpg" turned/a
run check turned --json
check "upright" test "$(field sets 0 images)" -eq 2
upright=$(field identical)
run check turned --no-exif --json
check "orientation counts" test "$(field identical)" != "$upright"

# Flat pictures look like nothing; of one colour they are identical.
mkdir -p flat/a flat/b
flat x flat/a/1.ppm
flat x flat/a/2.ppm
flat y flat/b/3.ppm
run check flat --json
exits 0
is '[]' alike
is '"flat/a/2.ppm"' identical 0 images 1 path
check "one group" test -z "$(field identical 1 2>/dev/null)"

# Without labels.
run check good/cat good/cat/cat.jpg --json
exits 1
is '"files"' sets 0 kind
is 1 sets 0 unlabelled
is '[]' sets 0 classes
is null identical 0 images 0 label
is 1 overlaps 0 identical
is 0 overlaps 0 identical_other_label

# A list: broken rows, files that are missing.
printf 'path,label\ngood/cat/cat.jpg,cat\ngone.jpg,cat\ngood/dog/astronaut.bmp,dog\n' >list.csv
run check list.csv
exits 1
out_has "gone.jpg  unreadable: "
out_has "3, of which 1 cannot be used"

# Names that would write to the terminal, or break a row.
mkdir -p "odd/a"
cp "$photos/cat.jpg" "odd/a/$(printf 'x\033[31m"y,\nz.jpg')"
cp "$photos/cat.jpg" odd/a/x.jpg
run check odd
exits 0
out_has 'odd/a/x\x1b[31m"y,\nz.jpg'
run check odd --csv
check "quoted" grep -qF '""y,' out

# A tar file that is cut short gives what comes before.
if command -v tar >/dev/null; then
    tar -cf good.tar good
    run check good.tar good
    exits 1
    out_has "in good.tar:"
    out_has "2 identical"
    head -c $(($(wc -c <good.tar) / 2)) good.tar >cut.tar
    run check cut.tar
    check "damaged, or not a set" test "$rc" -eq 1 -o "$rc" -eq 3
    err_has "cut.tar"
    # A model is asked about what can be read, and nothing that was found is lost.
    mkdir -p asked/tabby_cat asked/espresso
    cp "$photos"/*.jpg asked/tabby_cat
    cp "$photos"/*.png asked/espresso
    tar -cf asked.tar asked
    head -c $(($(wc -c <asked.tar) * 3 / 4)) asked.tar >cut.tar
    run check cut.tar
    exits 1
    cp out unasked
    run check -m "$GOLDEN/checkpoints/hf_vit" cut.tar
    exits 1
    check "the same findings" test "$(grep -c . out)" -ge "$(grep -c . unasked)"
else
    skip "no tar"
fi

# A model that doubts labels: photos in folders of what it says they are, but one that it is sure of
# in another folder. The same again in awk: a class is a candidate where an image's score reaches the
# mean score of the images that are labelled so; the candidate with the highest score is the guess.
doubts_in_awk() {
    awk -F, 'NR > 1 && $2 == "ok" {
        n++; path[n] = $1; split($1, part, "/"); label[n] = part[2]
        for (i = 5; i < 25; i += 2) score[n, $i] = $(i + 1)
        sum[label[n]] += score[n, label[n]]; count[label[n]]++
    } END {
        for (i = 1; i <= n; i++) {
            guess = label[i]; best = -1
            for (c in count)
                if (score[i, c] >= sum[c] / count[c] - 1e-6 && score[i, c] > best) {
                    guess = c; best = score[i, c]
                }
            if (guess != label[i]) print score[i, label[i]] "," path[i] "," guess
        }
    }' | sort -g | cut -d, -f2-
}
model=$ROOT/models/vitc-cifar10.safetensors
if [ -e "$model" ]; then
    run classify -m "$model" -k 1 --csv "$photos"/*.jpg "$photos"/*.png
    while IFS=, read -r path status _ _ label score _; do
        [ "$status" = ok ] || continue
        mkdir -p "said/$label"
        cp "$path" "said/$label/"
        echo "$score $label ${path##*/}"
    done <out | sort -r >scores
    # of a class that has others left
    awk 'NR == FNR { n[$2]++; next } n[$2] > 1 { print; exit }' scores scores >surest
    read -r _ label name <surest
    other=$(cut -d' ' -f2 scores | sort -u | grep -vx "$label" | tail -1)
    mv "said/$label/$name" "said/$other/$name"
    run classify -m "$model" -k 10 --csv said
    doubts_in_awk <out >want
    run check said -m "$model" --csv
    exits 0
    tr -d '\r' <out | awk -F, '$1 == "doubted" { print $4 "," $7 }' >doubted
    check "there are doubts" test -s want
    check "doubts" diff want doubted
    check "the one in the wrong folder" grep -qx "said/$other/$name,$label" doubted
    run check said -m "$model" --json --threads 2 --batch 3
    exits 0
    is "\"$(head -1 want | cut -d, -f1)\"" doubted 0 path
    is "\"$(head -1 want | cut -d, -f2)\"" doubted 0 guess
    run check said -m "$model"
    out_has "Labels that the model doubts"
    out_has "said/$other/$name  $other "
    run check said -m "$model" --report page.html
    exits 0
    check "in the page" grep -q 'id="doubted"' page.html
    run check train -m "$model" --map gone.txt
    exits 3
    mkdir -p unknown/zebra
    cp "$photos/cat.jpg" unknown/zebra
    run check unknown -m "$model"
    exits 3
    err_has zebra

    # What eval says of images that are in the training data.
    run eval -m "$model" val --train-data train --json
    exits 0
    err_has "1 of 4 images are in the training data too"
    is '{"identical": 1, "identical_other_label": 0, "alike": 0, "alike_other_label": 0}' in_train_data
    run eval -m "$model" val --train-data train -q
    exits 0
    silent err
    out_has "leaked     1 are in --train-data too"
    mkdir -p taught/cat taught/dog
    cp "$photos/gravel.ppm" taught/cat
    cp "$photos/wall_lossless.webp" taught/dog
    run eval -m "$model" val --train-data taught --json
    exits 0
    silent err
    # What is held out of a set is no part of what is trained on.
    run eval -m "$model" val --val-split 0.5 --train-data val --json
    is 0 in_train_data identical
    run eval -m "$model" val --train-data gone
    exits 3
    silent out
else
    skip "no bundled model"
fi

# Wrong usage, and data that is none.
run check
exits 2
err_has "check needs DATA..."
run check good --json --csv
exits 2
err_has "choose one"
run check gone
exits 3
silent out
err_has "gone: "
# shellcheck disable=SC2046
run check $(printf 'good %.0s' $(seq 17))
exits 2
err_has "16 sets"
run check good --map map.txt
exits 2
err_has "give --model too"
run check list.csv --report list.csv
exits 2
err_has "list.csv: is read by this command"
check "the list is still there" grep -q "gone.jpg" list.csv
mkdir empty
run check empty
exits 1
out_has "the folder holds no files"

# Output that cannot be written.
run check good --report gone/page.html
exits 4
err_has "gone/page.html"
if [ -w /dev/full ]; then
    command_line="vitc check good >/dev/full"
    "$VITC" check good >/dev/full 2>err
    rc=$?
    exits 4
    err_has "No space left"
fi
finish
