# cli_lib_mpi.sh - sourced, after cli_lib.sh, by tests of several ranks.
#
#   alone VARIABLE=VALUE ARGS...  vitc as a launcher without MPI starts it; $rc, out and err as `run`
#   launch ARGS...                mpiexec; err keeps the program's own messages
#   ranks N ARGS...               vitc on N ranks
#   pair FIRST... -- SECOND...    two ranks with commands of their own
#   follow N ARGS...              vitc on N ranks, in the background: $pid is mpiexec's, the file pid.R
#                                 will hold that of rank R
#   await                         until it has ended
: "${MPI:?}"

# Variables of launchers that are not there; MPICH's says nothing to Open MPI, nor the reverse.
alone() {
    (
        export "$1"
        shift
        timeout 300 "$VITC" "$@"
    ) >out 2>err
    rc=$?
    command_line="$1 vitc ${*:2}"
}

# Open MPI refuses root, and more ranks than CPUs, unless told; containers may forbid one process to
# read another's memory.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
export OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_btl=self,vader,tcp OMPI_MCA_hwloc_base_binding_policy=none

# launch ARGS...: mpiexec; err keeps the program's own messages.
launch() {
    command_line="mpiexec $*"
    timeout 300 "$MPIEXEC" "$@" </dev/null >out 2>all
    rc=$?
    grep '^vitc: ' all >err
}
# ranks N ARGS...: vitc on N ranks.
ranks() {
    launch -n "$1" "$VITC" "${@:2}"
}

pair() { # FIRST -- SECOND
    local first=()
    while [ "$1" != -- ]; do
        first+=("$1")
        shift
    done
    shift
    launch -n 1 "${first[@]}" : -n 1 "$@"
}

# shellcheck disable=SC2016  # for the other shell
follow() {
    rm -f pid.*
    command_line="mpiexec -n $1 vitc ${*:2}"
    timeout 300 "$MPIEXEC" -n "$1" sh -c \
        'echo $$ >pid.${OMPI_COMM_WORLD_RANK:-$PMI_RANK}; exec "$@"' sh "$VITC" "${@:2}" \
        </dev/null >out 2>all &
    pid=$!
}
await() {
    wait "$pid"
    rc=$?
    grep '^vitc: ' all >err
}
