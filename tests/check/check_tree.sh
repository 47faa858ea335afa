#!/bin/sh
# check_tree.sh ROOT - the rules of docs/architecture.md that a compiler does not check, on every
# source file below ROOT. Prints one line per violation, "file:line: [rule] ...", and fails.
#
#   include       who may include whom: never a higher folder, never sideways
#   third-party   each foreign header in exactly one .c file; no foreign header nobody knows of
#   name          file names unique, starting with their folder's prefix
#   call          libraries never print, exit, abort, or touch signals or the environment
#   isa           intrinsics in vit/kernels and imgio's resize kernels only; CPUID in
#                 base/vitc_cpu.c only
#   flag          no flags that make a build unportable or change arithmetic
#   path          no path of somebody's machine
#   leftover      no notes to self, no code switched off
set -eu
export LC_ALL=C

root=$1
cd "$root"

list=$(mktemp)
found=$(mktemp)
trap 'rm -f "$list" "$found"' EXIT

find base imgio patches vit datasets apps -type f \( -name '*.c' -o -name '*.h' \) 2>/dev/null |
    sort >"$list"
count=$(wc -l <"$list")
if [ "$count" -lt 20 ]; then
    echo "$root: only $count source files found; is this the source tree?"
    exit 1
fi

# shellcheck disable=SC2046  # no name in the tree has a space: rule "name"
awk -v list="$list" '
function report(rule, text) {
    printf "%s:%d: [%s] %s\n", FILENAME, FNR, rule, text
}

# The folder that decides what a file may include: vit has parts, the others do not.
function part_of(path,    pieces, n) {
    n = split(path, pieces, "/")
    return pieces[1] == "vit" && n > 2 ? pieces[1] "/" pieces[2] : pieces[1]
}

# The line without comments and without the insides of strings; `inside` carries over lines.
function code_of(line,    out, i, c, two, quote) {
    out = ""
    quote = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        two = substr(line, i, 2)
        if (inside) {
            if (two == "*/") { inside = 0; i++ }
        } else if (quote != "") {
            if (c == "\\") i++
            else if (c == quote) { quote = ""; out = out c }
        } else if (two == "/*") { inside = 1; i++; out = out " " }
        else if (two == "//") break
        else {
            if (c == "\"" || c == "\047") quote = c
            out = out c
        }
    }
    return out
}

BEGIN {
    # part -> the parts it may include, besides itself. Transitive on purpose: patches.h includes
    # imgio.h, so whoever sees patches sees imgio.
    may["base"] = ""
    may["imgio"] = "base"
    may["patches"] = "imgio base"
    may["vit/kernels"] = "base"
    may["vit/ops"] = "vit/kernels patches base"
    may["vit"] = "patches imgio base"
    may["vit/model"] = "vit vit/ops vit/kernels patches imgio base"
    may["vit/weights"] = "vit vit/model patches imgio base"
    may["vit/classify"] = "vit vit/model vit/kernels patches imgio base"
    may["vit/dist"] = "base"
    may["vit/train"] = "vit vit/weights vit/model vit/ops vit/kernels vit/dist patches imgio base"
    may["datasets"] = "patches imgio base"
    may["apps"] = "datasets vit vit/train vit/weights vit/dist patches imgio base"

    prefix["base"] = "vitc_"
    prefix["imgio"] = "imgio"
    prefix["patches"] = "patches"
    prefix["vit"] = "vit"
    prefix["datasets"] = "datasets"
    prefix["apps"] = "app_"

    # foreign header -> the folder whose one .c file includes it
    home["png.h"] = "imgio"
    home["zlib.h"] = "base"
    home["jpeglib.h"] = "imgio"
    home["jerror.h"] = "imgio"
    home["webp/decode.h"] = "imgio"
    home["gif_lib.h"] = "imgio"
    home["stb_image.h"] = "imgio"
    home["jansson.h"] = "base"
    home["archive.h"] = "datasets"
    home["archive_entry.h"] = "datasets"
    home["blis.h"] = "vit/kernels"
    home["mpi.h"] = "vit/dist"

    n = split("assert.h ctype.h errno.h float.h inttypes.h limits.h locale.h math.h setjmp.h " \
        "stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h " \
        "stdnoreturn.h string.h time.h wchar.h " \
        "dirent.h fcntl.h fts.h glob.h langinfo.h poll.h pthread.h sched.h signal.h strings.h " \
        "sys/file.h sys/ioctl.h sys/mman.h sys/stat.h sys/syscall.h sys/time.h sys/types.h " \
        "sys/utsname.h sys/wait.h termios.h unistd.h omp.h", words, " ")
    for (i = 1; i <= n; i++) system_header[words[i]] = 1

    n = split("printf vprintf fprintf vfprintf dprintf puts fputs putchar fputc putc perror " \
        "exit _exit _Exit quick_exit at_quick_exit atexit abort raise kill signal sigaction " \
        "sigprocmask pthread_sigmask setenv unsetenv putenv clearenv setlocale umask chdir " \
        "err errx warn warnx error strtok rand srand " \
        "bli_abort", words, " ")
    for (i = 1; i <= n; i++) forbidden[words[i]] = 1
    # What may be called after all, and why:
    # BLIS can only be told its configuration through its environment variable.
    allowed["vit/kernels/vit_gemm_f32_blis.c setenv"] = 1
    allowed["vit/kernels/vit_gemm_f32_blis.c unsetenv"] = 1

    while ((getline path < list) > 0) {
        n = split(path, pieces, "/")
        name = pieces[n]
        folder = pieces[1]
        if (name in where)
            printf "%s:1: [name] %s has the same name\n", path, where[name]
        where[name] = path
        if (index(name, prefix[folder]) != 1 && path != "apps/main.c")
            printf "%s:1: [name] does not start with \"%s\"\n", path, prefix[folder]
        if (path ~ /[^A-Za-z0-9_.\/-]/)
            printf "%s:1: [name] has a character that scripts trip over\n", path
    }
}

FNR == 1 {
    inside = 0
    part = part_of(FILENAME)
    library = part != "apps"
    has_kernels = part == "vit/kernels" || FILENAME ~ /^imgio\/imgio_resize_avx/
    if (!(part in may)) report("include", "no rule says what " part " may include")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, pieces, "\"")
    name = pieces[2]
    if (!(name in where)) {
        if (name in home) report("third-party", name " is foreign: write <" name ">")
        else
            report("include", "\"" name "\" is no header of this tree, or not its bare name")
    } else {
        other = part_of(where[name])
        if (other != part && index(" " may[part] " ", " " other " ") == 0 &&
            FILENAME != "vit/vitc.h") # the umbrella
            report("include", part " may not include " where[name])
    }
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    name = $0
    sub(/^[^<]*</, "", name)
    sub(/>.*/, "", name)
    if (name in home) {
        if (FILENAME !~ /\.c$/) report("third-party", name " in a header")
        if (part != home[name]) report("third-party", name " outside " home[name])
        if ((name in user) && user[name] != FILENAME)
            report("third-party", name " is included by " user[name] " already")
        user[name] = FILENAME
    } else if (name ~ /intrin\.h$/ || name == "arm_neon.h" || name == "arm_sve.h") {
        if (!has_kernels) report("isa", name " outside the kernels")
    } else if (name == "cpuid.h") {
        if (FILENAME != "base/vitc_cpu.c") report("isa", "cpuid.h outside base/vitc_cpu.c")
    } else if (!(name in system_header)) {
        report("third-party", name " is neither libc nor a known dependency")
    }
}

/TODO|FIXME|(^|[^X])XXX([^X]|$)/ { report("leftover", "a note to self") } # XXXXXX: mkstemp
/^[ \t]*#[ \t]*if[ \t]+0([^-9]|$)/ { report("leftover", "code switched off") }

{
    code = code_of($0)
    if (code ~ /^[ \t]*#/) next
    if (!library) next
    rest = code
    while (match(rest, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
        name = substr(rest, RSTART, RLENGTH)
        sub(/[ \t]*\($/, "", name)
        if ((name in forbidden) && !((FILENAME " " name) in allowed))
            report("call", name " in a library")
        rest = substr(rest, RSTART + RLENGTH)
    }
    if (code ~ /(^|[^A-Za-z_0-9])(stdout|stderr)([^A-Za-z_0-9]|$)/)
        report("call", "a library may not use the standard streams")
    if (code ~ /(^|[^A-Za-z_0-9])__(AVX|SSE|ARM_NEON)[A-Z0-9_]*/ && !has_kernels)
        report("isa", "an instruction set test outside the kernels")
}

END {
    FILENAME = "."
    FNR = 0
    for (name in home)
        if (!(name in user) && home[name] != "")
            report("third-party", name " is included by no file of " home[name])
}' $(cat "$list") >"$found"

# Flags and paths: in everything that is text and ours.
everything=$(find . \( -name .git -o -name 'build*' -o -name out \) -prune -o -type f \
    \( -name '*.[ch]' -o -name '*.cmake' -o -name '*.cmake.in' -o -name CMakeLists.txt -o \
    -name '*.json' -o -name '*.md' -o -name '*.py' -o -name '*.sh' -o -name '*.1' -o \
    -name '*.in' -o -name '*.txt' -o -name run \) -print | sed 's|^\./||' |
    grep -v '^tests/check/\|^tests/golden/.*/' | sort)
for file in $everything; do
    case $file in
    *CMakeLists.txt | *.cmake | *.json | *.sh | run)
        grep -nE -e '-(march|mtune)=native|-ffast-math|-Ofast|-funsafe-math|-fassociative-math' \
            "$file" | sed "s|^\([0-9]*\):.*|$file:\1: [flag] makes a build unportable or inexact|"
        ;;
    esac
    grep -nE -e '(^|[^A-Za-z0-9_.}])/(work|root|home)/|/tmp/(pyenv|build-)' "$file" |
        sed "s|^\([0-9]*\):.*|$file:\1: [path] names somebody's machine|"
done >>"$found" || true

if [ -s "$found" ]; then
    cat "$found"
    echo "$(wc -l <"$found") violations"
    exit 1
fi
echo "$count source files obey the rules"
