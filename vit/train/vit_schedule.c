#include "vit_schedule.h"

#include <math.h>
#include <string.h>

#include "vitc_log.h"

static const char *const names[VIT_SCHEDULE_KIND_COUNT] = {"cosine", "constant", "step"};

const char *vit_schedule_string(vit_schedule_kind kind)
{
    return (size_t)kind < VIT_SCHEDULE_KIND_COUNT ? names[kind] : NULL;
}

bool vit_schedule_from_string(vit_schedule_kind *kind, const char *name)
{
    for (size_t i = 0; i < VIT_SCHEDULE_KIND_COUNT; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *kind = (vit_schedule_kind)i;
        return true;
    }
    return false;
}

vitc_status vit_schedule_check(const vit_schedule *s, const vitc_log *log)
{
    if (vit_schedule_string(s->kind) == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "learning rate: %d is no schedule", (int)s->kind);
    if (!isfinite(s->base) || s->base < 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "learning rate: %g; it must be a number of 0 or more", s->base);
    if (!(s->minimum >= 0 && s->minimum <= s->base))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "lowest learning rate: %g; it must be between 0 and the learning rate, %g",
                         s->minimum, s->base);
    if (s->total == 0 || s->warmup > s->total)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "warm-up of %llu steps in a run of %llu; it must fit into the run",
                         (unsigned long long)s->warmup, (unsigned long long)s->total);
    if (s->kind != VIT_SCHEDULE_STEP) return VITC_OK;
    if (s->every == 0 || !(s->factor > 0 && s->factor <= 1))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "learning rate: times %g after every %llu steps; the factor must be above "
                         "0 and at most 1, and the steps more than 0",
                         s->factor, (unsigned long long)s->every);
    return VITC_OK;
}

static double cosine_rate(const vit_schedule *s, uint64_t step)
{
    static const double pi = 3.14159265358979323846;
    if (step >= s->total) return s->minimum;
    const double part = (double)(step - s->warmup) / (double)(s->total - s->warmup);
    return s->minimum + (s->base - s->minimum) * (1 + cos(pi * part)) / 2;
}

double vit_schedule_rate(const vit_schedule *s, uint64_t step)
{
    if (step < s->warmup) return s->base * (double)(step + 1) / (double)(s->warmup + 1);
    switch (s->kind) {
    case VIT_SCHEDULE_COSINE:
        return cosine_rate(s, step);
    case VIT_SCHEDULE_STEP:
        return fmax(s->base * pow(s->factor, (double)((step - s->warmup) / s->every)), s->minimum);
    default:
        return s->base;
    }
}
