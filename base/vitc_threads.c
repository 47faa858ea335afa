#include "vitc_threads.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int clamp_threads(long value)
{
    if (value < 1) return 1;
    return value > VITC_THREADS_MAX ? VITC_THREADS_MAX : (int)value;
}

/* A positive integer from the environment; OMP_NUM_THREADS may be a list, whose first entry is the
 * outermost level. 0 when unset or not a number. */
static int environment_threads(const char *variable)
{
    const char *text = getenv(variable);
    if (text == NULL) return 0;
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || value < 1 || (*end != 0 && *end != ',')) return 0;
    return clamp_threads(value);
}

/* CPUs in the affinity mask; masks of more than 1024 CPUs need a larger set. */
static int affinity_count(void)
{
    for (int cpus = 1024; cpus <= 1 << 17; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (set == NULL) break;
        const size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
        const int result = sched_getaffinity(0, bytes, set);
        const int error = errno;
        const int count = result == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (result == 0 && count > 0) return count;
        if (error != EINVAL) break;
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static bool read_line(const char *path, char *line, int size)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) return false;
    const bool ok = fgets(line, size, stream) != NULL;
    fclose(stream);
    return ok;
}

/* Quota of one cgroup folder in CPUs, or 0 when it has none. */
static double quota_of_folder(const char *folder, bool v2)
{
    char path[4352], line[64];
    double quota = 0, period = 0;
    if (v2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (!read_line(path, line, sizeof line)) return 0;
        if (sscanf(line, "%lf %lf", &quota, &period) != 2) return 0; /* "max 100000": no limit */
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!read_line(path, line, sizeof line) || sscanf(line, "%lf", &quota) != 1) return 0;
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        if (!read_line(path, line, sizeof line) || sscanf(line, "%lf", &period) != 1) return 0;
    }
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* The tightest quota on the way from this process's cgroup up to the root of `mount`. Inside a
 * container the path in /proc/self/cgroup may not exist below the mount: then only the root of the
 * mount, which is the container's own group, can be read. */
static double quota_of_path(const char *mount, const char *group, bool v2)
{
    char folder[4096];
    double tightest = 0;
    if (snprintf(folder, sizeof folder, "%s%s", mount, group) >= (int)sizeof folder) return 0;
    for (;;) {
        const double quota = quota_of_folder(folder, v2);
        if (quota > 0 && (tightest <= 0 || quota < tightest)) tightest = quota;
        char *slash = strrchr(folder, '/');
        if (slash == NULL || strlen(folder) <= strlen(mount)) return tightest;
        *slash = 0;
    }
}

/* CPUs that the cgroup allows (fractions possible), 0 when unlimited or unknown. */
static double cgroup_quota(void)
{
    FILE *stream = fopen("/proc/self/cgroup", "re");
    if (stream == NULL) return 0;
    char line[4352];
    double tightest = 0;
    while (fgets(line, sizeof line, stream) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        if (controllers == NULL) continue;
        char *group = strchr(controllers + 1, ':');
        if (group == NULL) continue;
        *group++ = 0;
        controllers++;
        double quota = 0;
        if (controllers[0] == 0)
            quota = quota_of_path("/sys/fs/cgroup", group, true);
        else if (strcmp(controllers, "cpu") == 0 || strncmp(controllers, "cpu,", 4) == 0)
            quota = quota_of_path("/sys/fs/cgroup/cpu", group, false);
        if (quota > 0 && (tightest <= 0 || quota < tightest)) tightest = quota;
    }
    fclose(stream);
    return tightest;
}

int vitc_threads_choose(int requested, char *reason, size_t reason_size)
{
    char unused[1];
    if (reason == NULL) {
        reason = unused;
        reason_size = sizeof unused;
    }
    if (requested > 0) {
        snprintf(reason, reason_size, "as requested");
        return clamp_threads(requested);
    }
    static const char *const variables[] = {"VITC_THREADS", "OMP_NUM_THREADS"};
    for (int i = 0; i < 2; i++) {
        const int threads = environment_threads(variables[i]);
        if (threads > 0) {
            snprintf(reason, reason_size, "%s", variables[i]);
            return threads;
        }
    }
    const int cpus = affinity_count();
    const double quota = cgroup_quota();
    if (quota > 0 && quota < cpus) {
        const int whole = clamp_threads((long)quota + (quota > (double)(long)quota));
        snprintf(reason, reason_size, "%d of %d CPUs: cgroup quota %.2g", whole, cpus, quota);
        return whole;
    }
    snprintf(reason, reason_size, "every CPU in this process's affinity mask");
    return clamp_threads(cpus);
}
