/* imgio_resize.h - the two passes of resampling and the table of their versions, one per
 * instruction set (private to imgio).
 *
 *     out[o] = clip(0, 255, (HALF + sum over i of in[i] * w[o][i]) >> PRECISION)
 *
 * in 32-bit integers, for each channel. The sum and what it is clipped to are the same in every
 * version: integers may be added in any order, and split as follows. */
#ifndef IMGIO_RESIZE_H
#define IMGIO_RESIZE_H

#include "imgio.h"

#define IMGIO_RESIZE_PRECISION 22
#define IMGIO_RESIZE_HALF      (1 << (IMGIO_RESIZE_PRECISION - 1))

/* One axis of a resize. The inputs of an output are taken in groups, as many to a group as the
 * instruction multiplies at once; a group's weights are `digits` words of 32 bits:
 *
 *     group 1, 1 digit    the weight itself
 *     group 2, 2 digits   word d = { digit d of w[0], of w[1] }, 16 bits each
 *     group 4, 3 digits   word d = { digit d of w[0], ..., of w[3] }, 8 bits each
 *
 * from the lowest bits up. Digits are signed: with b bits each,
 *     w = digit[0] + digit[1] * 2^b + digit[2] * 2^2b.
 * Three digits of 8 bits reach almost 2^23 = 2.0 in fixed point; the normalized weights of the six
 * filters stay below 1.5. Places of a group that have no input have the weight 0. */
typedef struct imgio_axis {
    uint32_t in, out;    /* pixels */
    uint32_t begin, end; /* the inputs that have a part in any output */
    size_t stride;       /* words of weights per output */
    uint32_t *weights;   /* [out][stride], of which groups[o] * digits are used */
    uint32_t *first;     /* [out]: the first input of the first group */
    uint32_t *groups;    /* [out] */
} imgio_axis;

typedef struct imgio_resizer {
    const char *name;
    uint32_t cpu; /* VITC_CPU_ bits that it needs */
    uint32_t group, digits;
    size_t scratch_per_4_pixels; /* bytes, 64-byte-aligned, for each 4 pixels or less of a row */

    /* `rows` rows of a->in RGB pixels to as many of a->out; every first[] is a multiple of
     * `group`. out and in do not overlap. */
    void (*columns)(uint8_t *out, const uint8_t *in, size_t rows, const imgio_axis *a,
                    void *scratch);

    /* Output row y, `stride` bytes, out of rows of as many. `in` begins at row `skipped`
     * (<= first[y]) and reaches to a->end or to the end of y's groups: what these have beyond
     * a->end is not read. No overlap. */
    void (*row)(uint8_t *out, const uint8_t *in, size_t stride, uint32_t skipped,
                const imgio_axis *a, uint32_t y);
} imgio_resizer;

extern const imgio_resizer imgio_resizer_generic; /* the reference, and the fallback */
#if defined(__x86_64__)
extern const imgio_resizer imgio_resizer_avx2, imgio_resizer_avx512;
#endif

/* The versions of this build, best first; NULL past the last. */
const imgio_resizer *imgio_resizer_at(size_t index, bool *runs_here);

/* The best that this machine runs and VITC_ISA allows. */
const imgio_resizer *imgio_resizer_select(void);

/* imgio_resize by a given version. */
VITC_MUST_CHECK vitc_status imgio_resize_by(const imgio_resizer *resizer, imgio_image *out,
                                            const imgio_image *in, uint32_t width, uint32_t height,
                                            imgio_filter filter, imgio_pass_order order,
                                            const vitc_log *log);

#endif
