/* The pseudo-inverse: Moore and Penrose's four conditions, which only it meets, on matrices of any
 * shape and rank; and exact values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "vitc_inverse.h"

enum { MOST = 40 };

typedef struct matrix {
    size_t rows, columns;
    double at[MOST * MOST];
} matrix;

static matrix multiply(const matrix *a, const matrix *b)
{
    matrix c = {.rows = a->rows, .columns = b->columns};
    assert_int_equal(a->columns, b->rows);
    for (size_t i = 0; i < c.rows; i++)
        for (size_t j = 0; j < c.columns; j++)
            for (size_t k = 0; k < a->columns; k++)
                c.at[i * c.columns + j] += a->at[i * a->columns + k] * b->at[k * b->columns + j];
    return c;
}

static double largest(const matrix *a)
{
    double most = 0;
    for (size_t i = 0; i < a->rows * a->columns; i++) most = fmax(most, fabs(a->at[i]));
    return most;
}

static double difference(const matrix *a, const matrix *b)
{
    double worst = 0;
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->columns, b->columns);
    for (size_t i = 0; i < a->rows * a->columns; i++)
        worst = fmax(worst, fabs(a->at[i] - b->at[i]));
    return worst;
}

static double asymmetry(const matrix *a)
{
    double worst = 0;
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < i; j++)
            worst = fmax(worst, fabs(a->at[i * a->columns + j] - a->at[j * a->columns + i]));
    return worst;
}

static matrix invert(const matrix *a)
{
    matrix inverse = {.rows = a->columns, .columns = a->rows};
    memset(inverse.at, 0xFF, sizeof inverse.at); /* NaN: what is not written shows */
    assert_true(vitc_pseudo_inverse(inverse.at, a->at, a->rows, a->columns, 1e-12));
    return inverse;
}

/* `tolerance` grows with the condition of the matrix. */
static void expect_inverse(const matrix *a, double tolerance)
{
    const matrix x = invert(a), ax = multiply(a, &x), xa = multiply(&x, a);
    const matrix axa = multiply(&ax, a), xax = multiply(&xa, &x);
    assert_true(difference(&axa, a) <= tolerance * largest(a));
    assert_true(difference(&xax, &x) <= tolerance * largest(&x));
    assert_true(asymmetry(&ax) <= tolerance);
    assert_true(asymmetry(&xa) <= tolerance);
}

static matrix random_matrix(size_t rows, size_t columns, uint64_t *state)
{
    matrix a = {.rows = rows, .columns = columns};
    for (size_t i = 0; i < rows * columns; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        a.at[i] = (double)(*state >> 11) * 0x1p-52 - 1;
    }
    return a;
}

static void random_matrices(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {1, 2, 3, 7, 16, 40};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    uint64_t state = 1;
    for (size_t r = 0; r < SIZES; r++)
        for (size_t c = 0; c < SIZES; c++) {
            const matrix a = random_matrix(sizes[r], sizes[c], &state);
            expect_inverse(&a, 1e-10);
            for (size_t rank = 1; rank < sizes[r] && rank < sizes[c]; rank *= 2) {
                const matrix left = random_matrix(sizes[r], rank, &state),
                             right = random_matrix(rank, sizes[c], &state);
                const matrix low = multiply(&left, &right);
                expect_inverse(&low, 1e-10);
            }
        }
}

static void exact_values(void **unused)
{
    (void)unused;
    /* the inverse of Hilbert's matrix has whole numbers; its condition is 1.5e7 */
    static const double inverse6[] = {36, -630, 3360, -7560, 7560, -2772};
    matrix hilbert = {.rows = 6, .columns = 6};
    for (size_t i = 0; i < 36; i++) hilbert.at[i] = 1.0 / (double)(i / 6 + i % 6 + 1);
    matrix x = invert(&hilbert);
    for (size_t i = 0; i < 6; i++)
        assert_true(fabs(x.at[i] - inverse6[i]) <= 1e-8 * fabs(inverse6[i]));

    /* a column: its transpose over its squared length */
    const matrix column = {.rows = 3, .columns = 1, .at = {1, 2, -2}};
    x = invert(&column);
    assert_true(fabs(x.at[0] - 1 / 9.0) < 1e-15 && fabs(x.at[1] - 2 / 9.0) < 1e-15 &&
                fabs(x.at[2] + 2 / 9.0) < 1e-15);

    const matrix nothing = {.rows = 3, .columns = 2};
    x = invert(&nothing);
    assert_true(largest(&x) == 0);
}

/* What is small counts as nothing only below the tolerance, wherever the matrix is scaled to. */
static void tolerances(void **unused)
{
    (void)unused;
    double x[4];
    static const double scales[] = {1e-100, 1e-50, 1, 1e50, 1e100};
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        const double scale = scales[i];
        const double a[] = {scale, 0, 0, 1e-6 * scale};
        assert_true(vitc_pseudo_inverse(x, a, 2, 2, 1e-7));
        assert_true(fabs(x[0] * scale - 1) < 1e-12 && fabs(x[3] * scale * 1e-6 - 1) < 1e-12);
        assert_true(vitc_pseudo_inverse(x, a, 2, 2, 1e-5));
        assert_true(fabs(x[0] * scale - 1) < 1e-12 && x[3] == 0);
    }
    assert_false(vitc_pseudo_inverse(x, x, SIZE_MAX / 2, 3, 1e-12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_matrices),
                                       cmocka_unit_test(exact_values),
                                       cmocka_unit_test(tolerances)};
    return cmocka_run_group_tests_name("pseudo-inverses", tests, NULL, NULL);
}
