# Shell functions of cmake/quickstart.sh and tests/run.sh, which source this file.
# shellcheck shell=sh

step() {
    printf '\n==== %s\n' "$*"
}

stop() {
    printf '\n==== FAILED: %s\n' "$*" >&2
    exit 1
}

# Shows a command, quoted where needed, and runs it; the script ends when it fails.
run() {
    printf '+'
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./:=,+-]* | '') printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$@" || stop "status $? from: $*"
}

# configure_fresh SOURCE BUILD [cmake options]: a build folder that belongs to another source
# folder (a clone that was moved or copied with it) is made anew, because CMake refuses it.
configure_fresh() {
    source_folder=$1
    build_folder=$2
    shift 2
    cache=$build_folder/CMakeCache.txt
    if [ -e "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$source_folder" "$cache"; then
        echo "$build_folder belongs to another source folder: starting it anew"
        rm -rf "$build_folder"
    fi
    mkdir -p "$build_folder" && [ -w "$build_folder" ] ||
        stop "cannot write to $build_folder (was it made by root? remove it, or run as that user)"
    run cmake -S "$source_folder" -B "$build_folder" -G Ninja "$@"
}
