#include <math.h>

#include "vit_ops_backward.h"

double vit_loss_cross_entropy(float *dlogits, const float *logits, const float *targets,
                              size_t images, size_t classes, float scale)
{
    double loss = 0;
    for (size_t b = 0; b < images; b++) {
        const float *z = logits + b * classes, *t = targets + b * classes;
        float *dz = dlogits + b * classes;
        double highest = (double)z[0], sum = 0, weight = 0;
        for (size_t k = 1; k < classes; k++) highest = fmax(highest, (double)z[k]);
        for (size_t k = 0; k < classes; k++) {
            sum += exp((double)z[k] - highest);
            weight += (double)t[k];
        }
        const double log_sum = log(sum);
        for (size_t k = 0; k < classes; k++) {
            const double log_p = (double)z[k] - highest - log_sum, target = (double)t[k];
            /* a target of 0 asks nothing, but a NaN is not lost */
            if (target != 0 || isnan(log_p)) loss -= target * log_p;
            dz[k] = (float)((exp(log_p) * weight - target) * (double)scale);
        }
    }
    return loss;
}
