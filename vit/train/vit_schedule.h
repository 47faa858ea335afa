/* vit_schedule.h - the learning rate of every step (private to vit and apps).
 *
 * A function of the number of the step and of nothing else, so that a run that goes on where it was
 * interrupted needs no state. */
#ifndef VIT_SCHEDULE_H
#define VIT_SCHEDULE_H

#include "vit.h"

typedef enum vit_schedule_kind {
    VIT_SCHEDULE_COSINE = 0, /* half a cosine from `base` to `minimum` (arXiv 1608.03983) */
    VIT_SCHEDULE_CONSTANT,   /* `base` */
    VIT_SCHEDULE_STEP,       /* times `factor` after every `every` steps, not below `minimum` */
    VIT_SCHEDULE_KIND_COUNT
} vit_schedule_kind;

/* "cosine", "constant", "step"; NULL for a number that is none. */
const char *vit_schedule_string(vit_schedule_kind kind);
/* The reverse; false when there is none. */
bool vit_schedule_from_string(vit_schedule_kind *kind, const char *name);

typedef struct vit_schedule {
    vit_schedule_kind kind;
    double base, minimum; /* 0 <= minimum <= base */
    uint64_t warmup;      /* steps, <= total */
    uint64_t total;       /* steps of the whole run, > 0 */
    uint64_t every;       /* STEP: > 0, counted from the end of the warm-up */
    double factor;        /* STEP: 0 < factor <= 1 */
} vit_schedule;

/* VITC_ERR_ARGUMENT, naming the field. */
VITC_MUST_CHECK vitc_status vit_schedule_check(const vit_schedule *schedule, const vitc_log *log);

/* The rate of step number `step`, from 0. While warming up, base * (step + 1) / (warmup + 1): the
 * first step is not lost on a rate of 0, and step `warmup` is the first one at `base`. Cosine, with
 * T = total - warmup and t = step - warmup: minimum + (base - minimum) (1 + cos(pi t / T)) / 2,
 * which torch's LinearLR(1 / (warmup + 1)) and CosineAnnealingLR(T) give too; `minimum` from
 * `total` on. */
double vit_schedule_rate(const vit_schedule *schedule, uint64_t step);

#endif
