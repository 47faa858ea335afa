/* The loss of one image's logits at a temperature, and the temperature that makes it smallest.
 *
 * Everything is in b = 1/T, in which the loss is convex: log sum exp(b z) - b z_y, and for
 * independent classes a sum of log(1 + exp(+-b z)). */
#include <math.h>

#include "datasets_private.h"
#include "vitc_log.h"

/* ---- the loss of one image ---- */

/* Moments of the logits under the softmax; all of them less the highest, so that nothing overflows.
 */
static datasets_loss softmax_loss(const float *logits, uint32_t classes, uint32_t label, double b)
{
    double highest = (double)logits[0], sum = 0, first = 0, second = 0;
    for (uint32_t k = 1; k < classes; k++) highest = fmax(highest, (double)logits[k]);
    for (uint32_t k = 0; k < classes; k++) {
        const double z = (double)logits[k] - highest, weight = exp(b * z);
        sum += weight;
        first += weight * z;
        second += weight * z * z;
    }
    const double truth = (double)logits[label] - highest, mean = first / sum;
    return (datasets_loss){.value = log(sum) - b * truth,
                           .slope = mean - truth,
                           .curvature = fmax(second / sum - mean * mean, 0)};
}

/* Each class has its own yes or no: log(1 + exp(b z)), where z speaks against the truth. */
static datasets_loss sigmoid_loss(const float *logits, uint32_t classes, uint32_t label, double b)
{
    datasets_loss loss = {0};
    for (uint32_t k = 0; k < classes; k++) {
        const double z = k == label ? -(double)logits[k] : (double)logits[k];
        const double small = exp(-fabs(b * z)), doubt = small / (1 + small);
        const double wrong = z > 0 ? 1 - doubt : doubt; /* sigmoid(b z) */
        loss.value += fmax(b * z, 0) + log1p(small);
        loss.slope += wrong * z;
        loss.curvature += wrong * (1 - wrong) * z * z;
    }
    return loss;
}

datasets_loss datasets_loss_row(const float *logits, uint32_t classes, uint32_t label,
                                bool independent, double b)
{
    return independent ? sigmoid_loss(logits, classes, label, b)
                       : softmax_loss(logits, classes, label, b);
}

/* ---- the temperature ---- */

typedef struct sample {
    const float *logits;
    const uint32_t *labels;
    size_t n;
    uint32_t classes;
    bool independent;
} sample;

/* The mean over all images. */
static datasets_loss mean_loss(const sample *s, double b)
{
    datasets_loss sum = {0};
    for (size_t i = 0; i < s->n; i++) {
        const datasets_loss row = datasets_loss_row(s->logits + i * s->classes, s->classes,
                                                    s->labels[i], s->independent, b);
        sum.value += row.value;
        sum.slope += row.slope;
        sum.curvature += row.curvature;
    }
    const double n = (double)s->n;
    return (datasets_loss){sum.value / n, sum.slope / n, sum.curvature / n};
}

static vitc_status check_sample(const sample *s, const datasets_scoring *scoring,
                                const vitc_log *log)
{
    if (s->n == 0 || s->classes == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "no images to fit a temperature on");
    if (!isfinite(scoring->temperature) || scoring->temperature <= 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "temperature %g is not a finite number above 0",
                         scoring->temperature);
    for (size_t i = 0; i < s->n; i++) {
        if (s->labels[i] >= s->classes)
            return vitc_fail(log, VITC_ERR_ARGUMENT,
                             "image %zu to fit a temperature on is of class %u of only %u", i,
                             s->labels[i], s->classes);
        for (uint32_t k = 0; k < s->classes; k++)
            if (!isfinite(s->logits[i * s->classes + k]))
                return vitc_fail(log, VITC_ERR_ARGUMENT,
                                 "image %zu to fit a temperature on has the logit %g for class %u",
                                 i, (double)s->logits[i * s->classes + k], k);
    }
    return VITC_OK;
}

/* Newton's steps from 1 to where the slope is 0. The slope rises, so each place that was looked at
 * is an end of the range that is left; a step out of that range is replaced by its middle, in the
 * logarithm. *at_limit when there is no such place within the range. */
static double find_minimum(const sample *s, bool *at_limit)
{
    static const double limits[2] = {1e-3, 1e3};
    enum { STEPS = 100 }; /* some 8 are taken; halving alone needs 40 */
    double low = limits[0], high = limits[1], b = 1;
    datasets_loss loss = mean_loss(s, b);
    *at_limit = loss.slope == 0 && loss.curvature == 0; /* flat */
    if (loss.slope == 0) return b;
    const double limit = loss.slope < 0 ? high : low, slope = mean_loss(s, limit).slope;
    *at_limit = loss.slope < 0 ? slope <= 0 : slope >= 0;
    if (*at_limit) return limit;
    for (int i = 0; i < STEPS; i++) {
        if (loss.slope < 0)
            low = b;
        else
            high = b;
        double next = b - loss.slope / loss.curvature;
        if (!(next > low && next < high)) next = sqrt(low * high);
        const bool settled = fabs(next - b) <= 1e-8 * b; /* the error is that step's square */
        b = next;
        if (settled) break;
        loss = mean_loss(s, b);
    }
    return b;
}

vitc_status datasets_temperature_fit(datasets_temperature *fit, const float *logits,
                                     const uint32_t *labels, size_t n, uint32_t classes,
                                     const datasets_scoring *scoring, const vitc_log *log)
{
    const sample s = {logits, labels, n, classes, scoring->independent};
    *fit = (datasets_temperature){0};
    VITC_TRY(check_sample(&s, scoring, log));
    const double b = find_minimum(&s, &fit->at_limit);
    fit->temperature = 1 / b;
    fit->nll_before = mean_loss(&s, 1 / scoring->temperature).value;
    fit->nll_after = mean_loss(&s, b).value;
    return VITC_OK;
}
