/* vit_enlarge.h - kernels for enlarged images (private to vit/weights). */
#ifndef VIT_ENLARGE_H
#define VIT_ENLARGE_H

#include "vit_weights.h"

/* The matrix T [factor * patch][patch] that turns a P x P kernel into one for images enlarged by a
 * whole factor: W' = T W T', so that W' read on the enlarged picture is W read on the picture.
 *
 * Along one axis the pixels of an enlarged patch are B s, where s are the patch's own pixels and
 * those around it that the filter reaches, and B are imgio_resize's weights. The kernel sees
 * w' (B s) and is to see w E s, E picking the P own pixels out of s: w' = w E B^+, T = (E B^+)'.
 * That is exact for all s where E lies in the row space of B, which is checked; of all exact
 * kernels it is the shortest. The shortest one is 0 on whatever is orthogonal to all that
 * enlarging can make: a kernel that never saw detail finer than the small image's pixels is blind
 * to it in a sharp one.
 *
 * malloc'd. VITC_ERR_ARGUMENT where no kernel can undo the enlargement. */
VITC_MUST_CHECK vitc_status vit_enlarge_matrix(double **matrix, uint32_t patch, uint32_t factor,
                                               imgio_filter filter, const vitc_log *log);

#endif
