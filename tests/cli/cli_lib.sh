# cli_lib.sh - sourced by every cli_*.sh. Runs the program in a folder of its own and counts what is
# checked; a script that checked nothing fails.
#
#   run ARGS...        runs vitc; then $rc, and the files out and err. Standard input: file `in`
#                      where there is one, else /dev/null
#   exits N            the exit status was N
#   same NAME          out equals expected/NAME; CLI_UPDATE=1 writes it instead
#   out_has, err_has   a fixed string is in out, err; out_lacks, err_lacks
#   silent FILE        the file (out, err) is empty
#   check WHAT CMD...  the command succeeds
#   skip WHAT          counts something that this machine cannot test
set -u
export LC_ALL=C TERM=dumb
# Other tests use the same CPUs: threads that spin while they wait would only slow them down.
export OMP_WAIT_POLICY=passive
unset VITC_THREADS VITC_ISA OMP_NUM_THREADS NO_COLOR BLIS_ARCH_TYPE COLUMNS
# LeakSanitizer of LLVM 14 may crash at exit while OpenMP's threads end; one thread has none. Runs
# that ask for more are repeated by `run` where that happened: it is no verdict about the program.
[ -n "${SANITIZE:-}" ] && export VITC_THREADS=1
: "${VITC:?}" "${CLI_CHECK:?}" "${CLI_DIR:?}" "${GOLDEN:?}" "${ROOT:?}"

work=$(mktemp -d) || exit 1
# shellcheck disable=SC2329  # called by the trap
cleanup() {
    chmod -R u+rwx "$work" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
chmod 755 "$work"
cd "$work" || exit 1

checks=0
failures=0
skips=0
rc=0
command_line=

run() {
    local input=/dev/null
    [ -e in ] && input=in
    command_line="vitc $*"
    for _ in 1 2 3; do
        timeout 300 "$VITC" "$@" <"$input" >out 2>err
        rc=$?
        grep -qF 'LeakSanitizer has encountered a fatal error' err || break
    done
}

report() {
    failures=$((failures + 1))
    echo "FAILED: $1"
    echo "  after: $command_line   (status $rc)"
    sed 's/^/  out: /' out 2>/dev/null | head -20
    sed 's/^/  err: /' err 2>/dev/null | head -20
}

check() {
    local what=$1
    shift
    checks=$((checks + 1))
    "$@" || report "$what"
}

exits() {
    check "exit status $1" test "$rc" -eq "$1"
}

out_has() {
    check "out has: $1" grep -qF -e "$1" out
}

err_has() {
    check "err has: $1" grep -qF -e "$1" err
}

# shellcheck disable=SC2329
lacks() {
    [ -e "$1" ] && ! grep -qF -e "$2" "$1"
}

out_lacks() {
    check "out lacks: $1" lacks out "$1"
}

err_lacks() {
    check "err lacks: $1" lacks err "$1"
}

silent() {
    check "$1 is empty" test ! -s "$1"
}

same() {
    if [ "${CLI_UPDATE:-0}" = 1 ]; then
        cp out "$CLI_DIR/expected/$1"
    fi
    check "out equals expected/$1" diff -u "$CLI_DIR/expected/$1" out
}

# Standard output of the last run becomes what cli_check says about its rows.
rows() {
    mv out raw
    "$CLI_CHECK" rows <raw >out 2>checked
    local status=$?
    check "rows of classify --json: $(cat checked)" test $status -eq 0
}

skip() {
    skips=$((skips + 1))
    echo "skipped: $1"
}

# finish [77]: with 77 the test is one that was skipped.
finish() {
    echo "$checks checks, $failures failed, $skips skipped"
    [ "$checks" -gt 0 ] && [ "$failures" -eq 0 ] || exit 1
    exit "${1:-0}"
}
