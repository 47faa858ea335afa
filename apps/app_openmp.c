#include "app_openmp.h"

#include <stdlib.h>
#include <unistd.h>

/* Threads of a team wait for each other some hundred times per image. By default they do so
 * spinning, for milliseconds (GCC's runtime) or a fifth of a second (LLVM's): right on an idle
 * machine, but where other programs want the cores the spinning thread keeps from running the very
 * one that it waits for. Measured so, `vitc classify` took five times as long. A short spin, then
 * sleep, costs little anywhere. The runtimes read their settings before main(), and only there. */
void app_openmp_settle(char **argv)
{
    static const char *const settings[][2] = {
        {"OMP_WAIT_POLICY", "passive"}, /* LLVM's runtime: sleep at once */
        {"GOMP_SPINCOUNT", "10000"},    /* GCC's: some microseconds first */
    };
    enum { COUNT = sizeof settings / sizeof settings[0] };
    if (getenv("OMP_WAIT_POLICY") != NULL || getenv("GOMP_SPINCOUNT") != NULL ||
        getenv("KMP_BLOCKTIME") != NULL)
        return;
    for (int i = 0; i < COUNT; i++)
        if (setenv(settings[i][0], settings[i][1], 1) != 0) return;
    /* By its own path, so that process lists show the program's name and not "exe". */
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        execv(path, argv);
    }
    execv("/proc/self/exe", argv); /* the file was renamed or replaced meanwhile */
    for (int i = 0; i < COUNT; i++) unsetenv(settings[i][0]);
}
