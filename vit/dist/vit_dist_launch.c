#include "vit_dist_launch.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

static int number_of(const char *variable)
{
    const char *text = getenv(variable);
    if (text == NULL) return 1;
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    return errno != 0 || end == text || *end != 0 || value < 1 || value > INT_MAX ? 1 : (int)value;
}

int vit_dist_launched(const char **variable)
{
    static const char *const variables[] = {
        "OMPI_COMM_WORLD_SIZE", /* Open MPI's mpirun */
        "PMI_SIZE",             /* MPICH's and Intel's mpiexec; srun --mpi=pmi2 */
        "SLURM_STEP_NUM_TASKS", /* srun; a batch script itself is no step, and may not have it */
    };
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const int count = number_of(variables[i]);
        *variable = variables[i];
        if (count > 1) return count;
    }
    *variable = NULL;
    return 1;
}
