/* vit_train_compare.h - gradients of a trainer beside those of the reference, and these beside
 * finite differences. */
#ifndef VIT_TRAIN_COMPARE_H
#define VIT_TRAIN_COMPARE_H

#include "vit_train_reference.h"
#include "vit_train_support.h"

/* Of the reference against finite differences, in parts of the length of all gradients. */
#define REFERENCE_TOLERANCE 1e-6

/* The sum of losses and gradients over a batch whose images stand in the trainer. */
static inline double reference_batch(reference *r, vit_trainer *trainer, const float *targets,
                                     uint32_t batch, bool backward)
{
    const size_t count = patch_floats(&r->config), k = r->config.classes;
    double *patches = doubles(count), *target = doubles(k), loss = 0;
    for (uint32_t b = 0; b < batch; b++) {
        for (size_t i = 0; i < count; i++) patches[i] = (double)vit_trainer_patches(trainer, b)[i];
        for (size_t i = 0; i < k; i++) target[i] = (double)targets[b * k + i];
        loss += reference_image(r, patches, target, backward);
    }
    free(patches);
    free(target);
    return loss;
}

/* Every parameter moved along a random direction of its own: the slope of the loss is what the
 * gradient says, to the error of a difference of the fourth order. */
static inline void check_by_differences(reference *r, vit_trainer *trainer, const float *targets,
                                        uint32_t batch, const char *name)
{
    const double h = 1e-3;
    double total = 0;
    for (size_t i = 0; i < r->table.elements; i++) total += r->dw[i] * r->dw[i];
    for (size_t i = 0; i < r->table.count; i++) {
        const vit_param *p = &r->table.params[i];
        double *w = r->w + p->offset, slope = 0, size = 0;
        double *direction = doubles(p->count), *saved = doubles(p->count);
        uint64_t state = 5 + i;
        for (size_t j = 0; j < p->count; j++) {
            direction[j] = (double)test_random_normal(&state);
            size += direction[j] * direction[j];
            saved[j] = w[j];
        }
        for (size_t j = 0; j < p->count; j++) {
            direction[j] /= sqrt(size);
            slope += direction[j] * r->dw[p->offset + j];
        }
        double losses[4];
        const double steps[4] = {-2 * h, -h, h, 2 * h};
        for (size_t s = 0; s < 4; s++) {
            for (size_t j = 0; j < p->count; j++) w[j] = saved[j] + steps[s] * direction[j];
            losses[s] = reference_batch(r, trainer, targets, batch, false);
        }
        memcpy(w, saved, p->count * sizeof *w);
        const double found = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / (12 * h);
        const double error = fabs(found - slope) / sqrt(total);
        if (!(error <= REFERENCE_TOLERANCE))
            fail_msg("%s: %s: the gradient along a direction is %.10g, differences give %.10g",
                     name, p->name, slope, found);
        free(direction);
        free(saved);
    }
}

static inline double compare(const vit_param_table *table, vit_trainer *trainer,
                             const double *expected, double tolerance, const char *name)
{
    double largest = 0, worst = 0;
    for (size_t i = 0; i < table->elements; i++) largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < table->count; i++) {
        const vit_param *p = &table->params[i];
        /* what softmax cannot see (biases of keys) has no gradient but rounding, of a norm's bias
         * that of sums over heads */
        const double floor = p->id == VIT_K_NORM_BIAS ? 1e-2 : 1e-3;
        const double error = gradient_error(vit_trainer_gradients(trainer) + p->offset,
                                            expected + p->offset, p->count, floor * largest);
        worst = fmax(worst, error);
        if (!(error <= tolerance))
            fail_msg("%s: the gradient of %s differs by %g of its largest number", name, p->name,
                     error);
    }
    return worst;
}

#endif
