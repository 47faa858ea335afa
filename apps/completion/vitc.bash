# bash completion for vitc(1)

# Names of files with one of the given endings, and folders.
_vitc_files() {
    local ending name
    compopt -o filenames 2>/dev/null
    while IFS= read -r name; do
        COMPREPLY+=("$name")
    done < <(
        compgen -d -- "$current"
        for ending in "$@"; do
            compgen -f -X "!*.$ending" -- "$current"
        done
    )
}

_vitc_words() {
    local word
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen -W "$1" -- "$current")
}

_vitc() {
    local current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]}
    local commands="classify eval info bench preprocess convert quantize posemb check train completion version help"
    local options
    COMPREPLY=()

    if ((COMP_CWORD == 1)); then
        _vitc_words "$commands --help --version"
        return
    fi

    case $command in
    classify)
        options="-m --model --preprocess --img-size --crop --tta -k --top-k --json --csv --logits
            --files-from -0 --null --min-score --sort-into --sort-copies
            --no-exif --fast-decode --max-pixels --precision --batch --threads -q --quiet
            -v --verbose -h --help"
        ;;
    eval)
        options="-m --model --preprocess --img-size --crop --tta -k --top-k --json --rows --resume
            --report --calibrate --val-split --subset --seed --map --class-names --train-data --strict --max-bad
            --no-times --no-exif --fast-decode --max-pixels --precision --batch --threads
            -q --quiet -v --verbose -h --help"
        ;;
    info)
        options="-m --model --preprocess --img-size --crop --json --precision --batch --threads
            -q --quiet -v --verbose -h --help"
        ;;
    bench)
        options="-m --model --preprocess --config --precision --batch --threads --seconds --warmup
            --profile --svg --json -q --quiet -v --verbose -h --help"
        ;;
    preprocess)
        options="-m --model --preprocess --img-size --crop --json --dump --png --no-exif
            --fast-decode --max-pixels --threads -q --quiet -v --verbose -h --help"
        ;;
    convert)
        options="-m --model --preprocess --img-size --crop -o --output --dtype --export --enlarge
            --enlarge-filter --card --threads -q --quiet -v --verbose -h --help"
        ;;
    quantize)
        options="-m --model --preprocess -o --output --dtype --data --map --class-names --report --precision
            --json --batch --threads -q --quiet -v --verbose -h --help"
        ;;
    posemb)
        options="-m --model -o --output --npy --centred --layer --json --grid --img-size --filter
            --dtype --threads -q --quiet -v --verbose -h --help"
        ;;
    check)
        options="-m --model --map --class-names --json --csv --report --distance --no-exif
            --max-pixels --batch --threads -q --quiet -v --verbose -h --help"
        ;;
    train)
        options="-o --out --resume --name --export --checkpoint-minutes --val-every --json --val
            --val-split --class-names --no-exif --max-pixels --seed -m --model --config
            --img-size --patch --dim --depth --heads --mlp --pool --pos --pos-op --pos-at
            --pos-std --epochs --batch --accumulate --max-steps --optimizer --lr --min-lr
            --schedule --step-epochs --step-factor --warmup --weight-decay --beta2
            --momentum --clip --layer-decay --ema --freeze --precision --recompute
            --smoothing --drop-path --dropout --patch-dropout --patch-dropout-off --mixup
            --cutmix --mix-prob --mix-off --augment --crop-scale --pad --flip --jitter --hue
            --randaugment --erase --soften --blur --sharpen --threads -q --quiet -v --verbose
            -h --help"
        ;;
    help) options="--list -h --help" ;;
    completion | version) options="-h --help" ;;
    *) return ;;
    esac

    # The value of the option before the cursor. Readline splits --option=value at the sign.
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $previous == "=" ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $previous in
    -o | --output)
        if [[ $command == train ]]; then
            _vitc_files
            return
        fi
        _vitc_files safetensors
        [[ $command == posemb ]] && _vitc_files png svg
        return
        ;;
    -m | --model)
        _vitc_words "bundled"
        _vitc_files safetensors
        return
        ;;
    --calibrate)
        _vitc_files safetensors
        return
        ;;
    --preprocess | --card)
        _vitc_files json
        return
        ;;
    --dump | --npy)
        _vitc_files npy
        return
        ;;
    --png)
        _vitc_files png
        return
        ;;
    --report)
        if [[ $command == check || $command == eval ]]; then
            _vitc_files html
            return
        fi
        ;;
    --data)
        _vitc_files csv tsv jsonl tar tar.gz tgz gz bin
        return
        ;;
    --svg)
        _vitc_files svg
        return
        ;;
    --config)
        _vitc_words "vit-ti16 vit-s16 vit-b16 vit-l16 vit-h14 testing"
        return
        ;;
    --train-data)
        _vitc_files csv tsv jsonl tar tar.gz tgz gz bin
        return
        ;;
    --val)
        _vitc_files csv tsv jsonl tar tar.gz tgz gz bin
        return
        ;;
    --out)
        _vitc_files
        return
        ;;
    --export)
        _vitc_words "hf timm"
        return
        ;;
    --pool)
        _vitc_words "token avg"
        return
        ;;
    --pos)
        _vitc_words "none learned-1d learned-2d factorized-sum sincos-2d relative rope-2d"
        return
        ;;
    --pos-op)
        _vitc_words "add mul"
        return
        ;;
    --pos-at)
        _vitc_words "stem every every-shared"
        return
        ;;
    --optimizer)
        _vitc_words "adamw sgd muon"
        return
        ;;
    --schedule)
        _vitc_words "cosine constant step"
        return
        ;;
    --augment)
        _vitc_words "none light cifar randaugment photos"
        return
        ;;
    --rows)
        _vitc_files jsonl
        return
        ;;
    --map | --class-names)
        _vitc_files txt csv tsv
        return
        ;;
    --subset)
        _vitc_words "val rest"
        return
        ;;
    --tta)
        _vitc_words "hflip five"
        return
        ;;
    --sort-into)
        _vitc_files
        return
        ;;
    --files-from)
        _vitc_files '*'
        return
        ;;
    --precision)
        [[ $command == train ]] && _vitc_words "f32 bf16" && return
        _vitc_words "f32 bf16 int8 auto"
        return
        ;;
    --filter)
        _vitc_words "bicubic-aa bicubic bilinear-aa bilinear bilinear-corners"
        return
        ;;
    --dtype)
        if [[ $command == quantize ]]; then
            _vitc_words "bf16 int8"
        else
            _vitc_words "f32 bf16"
        fi
        return
        ;;
    --layer)
        _vitc_words "all"
        return
        ;;
    --enlarge-filter)
        _vitc_words "nearest lanczos bilinear bicubic box hamming"
        return
        ;;
    -k | --top-k | --batch | --threads | --max-pixels | --seconds | --warmup | --distance | \
        --val-split | --seed | --max-bad | --img-size | --crop | --min-score | --enlarge | \
        --grid | \
        --name | --checkpoint-minutes | --val-every | --patch | --dim | --depth | --heads | \
        --mlp | --pos-std | --epochs | --accumulate | --max-steps | --lr | --min-lr | \
        --step-epochs | --step-factor | --weight-decay | --beta2 | --momentum | --clip | \
        --layer-decay | --ema | --freeze | --smoothing | --drop-path | --dropout | \
        --patch-dropout | --patch-dropout-off | --mixup | --cutmix | --mix-prob | --mix-off | \
        --crop-scale | --pad | --flip | --jitter | --hue | --randaugment | --erase | --soften | \
        --blur | --sharpen)
        return
        ;;
    esac

    if [[ $current == -* ]]; then
        _vitc_words "$options"
        return
    fi
    case $command in
    classify | preprocess)
        [[ $command == classify ]] && _vitc_files csv tsv jsonl tar tar.gz tgz
        _vitc_files '[jJ][pP][gG]' '[jJ][pP][eE][gG]' '[pP][nN][gG]' '[wW][eE][bB][pP]' \
            '[gG][iI][fF]' '[bB][mM][pP]' '[tT][gG][aA]' '[pP][gG][mM]' '[pP][pP][mM]' '[pP][sS][dD]'
        ;;
    convert | quantize)
        _vitc_words "bundled"
        _vitc_files safetensors
        ;;
    posemb)
        if ((COMP_CWORD == 2)); then
            _vitc_words "show resize compare"
        else
            _vitc_words "bundled"
            _vitc_files safetensors
        fi
        ;;
    check | eval | train) _vitc_files csv tsv jsonl tar tar.gz tgz gz bin ;;
    completion) _vitc_words "bash" ;;
    help) _vitc_words "$commands" ;;
    esac
}

complete -F _vitc vitc
