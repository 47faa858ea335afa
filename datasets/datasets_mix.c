/* What is done to patch rows and targets: random erasing, mixup, CutMix, label smoothing. */
#include <math.h>

#include "datasets.h"
#include "vitc_log.h"
#include "vitc_random.h"

enum { C = PATCHES_CHANNELS };

/* ---- rectangles of patch rows ---- */

/* Pixels left <= x < right, top <= y < bottom. */
typedef struct rectangle {
    uint32_t left, top, right, bottom;
} rectangle;

/* Calls `run` for every stretch of numbers that a rectangle covers and that lie side by side. */
static void visit(const datasets_rows *l, const rectangle *r,
                  void (*run)(void *user, size_t offset, size_t count), void *user)
{
    const size_t p = l->patch;
    for (size_t c = 0; c < C; c++)
        for (size_t y = r->top; y < r->bottom; y++)
            for (size_t x = r->left; x < r->right;) {
                const size_t end = (x / p + 1) * p, next = end < r->right ? end : r->right;
                const size_t row = y / p * l->grid_width + x / p;
                run(user, row * l->row_stride + (c * p + y % p) * p + x % p, next - x);
                x = next;
            }
}

/* ---- erasing ---- */

typedef struct eraser {
    float *rows;
    vitc_random *noise; /* NULL: 0 */
} eraser;

static void erase_run(void *user, size_t offset, size_t count)
{
    const eraser *e = user;
    for (size_t i = 0; i < count; i++)
        e->rows[offset + i] = e->noise != NULL ? (float)vitc_random_normal(e->noise) : 0;
}

void datasets_erase_rows(float *rows, const datasets_rows *layout, const datasets_augmentation *a,
                         uint64_t seed, uint32_t epoch, uint64_t index)
{
    enum { DRAWS = 10 };
    const uint32_t width = layout->grid_width * layout->patch;
    const uint32_t height = layout->grid_height * layout->patch;
    vitc_random random = vitc_random_start(seed, VITC_RANDOM_ERASE, epoch, index);
    if (!vitc_random_chance(&random, a->erase)) return;
    for (int i = 0; i < DRAWS; i++) {
        const double area = (double)width * height *
                            vitc_random_between(&random, a->erase_scale[0], a->erase_scale[1]);
        const double ratio =
            vitc_random_between_logs(&random, a->erase_ratio[0], a->erase_ratio[1]);
        const double h = floor(sqrt(area * ratio) + 0.5), w = floor(sqrt(area / ratio) + 0.5);
        if (!(h < height && w < width)) continue;
        rectangle r;
        r.top = (uint32_t)vitc_random_below(&random, height - (uint32_t)h + 1U);
        r.left = (uint32_t)vitc_random_below(&random, width - (uint32_t)w + 1U);
        r.bottom = r.top + (uint32_t)h;
        r.right = r.left + (uint32_t)w;
        eraser e;
        e.rows = rows;
        e.noise = a->erase_noise ? &random : NULL;
        visit(layout, &r, erase_run, &e);
        return;
    }
}

/* ---- targets ---- */

void datasets_targets_fill(float *targets, uint32_t classes, uint32_t label, double smoothing)
{
    const double off = smoothing / classes;
    for (uint32_t k = 0; k < classes; k++) targets[k] = (float)off;
    targets[label] = (float)(1 - smoothing + off);
}

/* ---- mixing ---- */

datasets_mixing datasets_mixing_default(void)
{
    return (datasets_mixing){.mixup = 0.8, .cutmix = 1, .probability = 1, .cut = 0.5};
}

vitc_status datasets_mixing_check(const datasets_mixing *m, const vitc_log *log)
{
    const struct {
        const char *name;
        double value, high;
    } bounds[] = {{"mixup", m->mixup, 1000},
                  {"CutMix", m->cutmix, 1000},
                  {"probability", m->probability, 1},
                  {"share of CutMix", m->cut, 1}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (!(bounds[i].value == 0 ||
              (bounds[i].value >= 1e-3 && bounds[i].value <= bounds[i].high)))
            return vitc_fail(log, VITC_ERR_ARGUMENT,
                             "mixing: %s is %g; it must be 0, or from 0.001 to %g", bounds[i].name,
                             bounds[i].value, bounds[i].high);
    return VITC_OK;
}

static void blend(float *a, float *b, size_t count, float kept)
{
    const float other = 1 - kept;
    for (size_t i = 0; i < count; i++) {
        const float x = a[i], y = b[i];
        a[i] = kept * x + other * y;
        b[i] = kept * y + other * x;
    }
}

typedef struct exchange {
    float *a, *b;
} exchange;

static void exchange_run(void *user, size_t offset, size_t count)
{
    const exchange *e = user;
    for (size_t i = offset; i < offset + count; i++) {
        const float kept = e->a[i];
        e->a[i] = e->b[i];
        e->b[i] = kept;
    }
}

/* The part of `length` around a random middle that is cut, and may stick out at either end. */
static void draw_span(uint32_t *from, uint32_t *to, uint32_t size, double length,
                      vitc_random *random)
{
    const int64_t middle = (int64_t)vitc_random_below(random, size), half = (int64_t)length / 2;
    *from = (uint32_t)(middle > half ? middle - half : 0);
    *to = (uint32_t)(middle + half < size ? middle + half : size);
}

/* Exchanges a rectangle of the share 1 - `kept` as far as it is inside; returns the share that both
 * images really keep. */
static double cut(float *a, float *b, const datasets_rows *layout, double kept, vitc_random *random)
{
    const uint32_t width = layout->grid_width * layout->patch;
    const uint32_t height = layout->grid_height * layout->patch;
    const double side = sqrt(1 - kept);
    rectangle r;
    draw_span(&r.top, &r.bottom, height, floor(height * side), random);
    draw_span(&r.left, &r.right, width, floor(width * side), random);
    exchange e;
    e.a = a;
    e.b = b;
    visit(layout, &r, exchange_run, &e);
    return 1 - (double)(r.bottom - r.top) * (r.right - r.left) / ((double)width * height);
}

void datasets_mix_pair(float *rows_a, float *rows_b, float *targets_a, float *targets_b,
                       const datasets_rows *layout, uint32_t classes, const datasets_mixing *m,
                       uint64_t seed, uint32_t epoch, uint64_t pair)
{
    vitc_random random = vitc_random_start(seed, VITC_RANDOM_MIX, epoch, pair);
    const bool mixed = vitc_random_chance(&random, m->probability);
    const bool cutting = vitc_random_chance(&random, m->mixup == 0    ? 1
                                                     : m->cutmix == 0 ? 0
                                                                      : m->cut);
    const double shape = cutting ? m->cutmix : m->mixup;
    if (!mixed || shape == 0) return;
    double kept = vitc_random_beta(&random, shape, shape);
    if (cutting) {
        kept = cut(rows_a, rows_b, layout, kept, &random);
    } else {
        const size_t rows = (size_t)layout->grid_height * layout->grid_width;
        const size_t width = (size_t)C * layout->patch * layout->patch;
        for (size_t i = 0; i < rows; i++)
            blend(rows_a + i * layout->row_stride, rows_b + i * layout->row_stride, width,
                  (float)kept);
    }
    blend(targets_a, targets_b, classes, (float)kept);
}
