#include "vitc_inverse.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vitc_size.h"

/* The columns of a matrix, each one run of numbers, and the rotations that they went through:
 * u = a v, all of them as rows here. */
typedef struct rotated {
    double *u; /* [columns][rows] */
    double *v; /* [columns][columns] */
    size_t rows, columns;
} rotated;

static double dot(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

static void rotate(double *x, double *y, size_t n, double cosine, double sine)
{
    for (size_t i = 0; i < n; i++) {
        const double a = x[i], b = y[i];
        x[i] = cosine * a - sine * b;
        y[i] = sine * a + cosine * b;
    }
}

/* Turns columns p and q so that they are orthogonal; false where they are already, to rounding.
 * `nothing` is the squared length below which a column is 0. */
static bool orthogonalize(const rotated *r, size_t p, size_t q, double nothing)
{
    double *x = r->u + p * r->rows, *y = r->u + q * r->rows;
    const double alpha = dot(x, x, r->rows), beta = dot(y, y, r->rows);
    const double gamma = dot(x, y, r->rows);
    if (alpha <= nothing || beta <= nothing) return false;
    if (fabs(gamma) <= 4 * DBL_EPSILON * sqrt(alpha) * sqrt(beta)) return false;
    const double zeta = (beta - alpha) / (2 * gamma);
    const double tangent = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta));
    const double cosine = 1 / hypot(1, tangent);
    rotate(x, y, r->rows, cosine, cosine * tangent);
    rotate(r->v + p * r->columns, r->v + q * r->columns, r->columns, cosine, cosine * tangent);
    return true;
}

/* Sweeps over all pairs of columns until none needs a turn. */
static void orthogonalize_all(const rotated *r, double nothing)
{
    enum { SWEEPS_MAX = 60 }; /* it converges quadratically; rounding could keep one pair turning */
    bool turned = true;
    for (int sweep = 0; turned && sweep < SWEEPS_MAX; sweep++) {
        turned = false;
        for (size_t p = 0; p + 1 < r->columns; p++)
            for (size_t q = p + 1; q < r->columns; q++) turned |= orthogonalize(r, p, q, nothing);
    }
}

/* a = U S V' and so inverse = V S^-1 U', where column k of u is column k of U times s[k]. */
static void assemble(double *inverse, const rotated *r, double tolerance)
{
    double largest = 0;
    for (size_t k = 0; k < r->columns; k++)
        largest = fmax(largest, dot(r->u + k * r->rows, r->u + k * r->rows, r->rows));
    memset(inverse, 0, r->columns * r->rows * sizeof *inverse);
    for (size_t k = 0; k < r->columns; k++) {
        const double *u = r->u + k * r->rows, *v = r->v + k * r->columns;
        const double squared = dot(u, u, r->rows);
        if (squared == 0 || squared < tolerance * tolerance * largest) continue;
        for (size_t i = 0; i < r->columns; i++)
            for (size_t j = 0; j < r->rows; j++) inverse[i * r->rows + j] += v[i] / squared * u[j];
    }
}

bool vitc_pseudo_inverse(double *inverse, const double *a, size_t rows, size_t columns,
                         double tolerance)
{
    size_t of_u, of_v, size;
    if (rows == 0 || columns == 0 || !vitc_size_mul(rows, columns, &of_u) ||
        !vitc_size_mul(columns, columns, &of_v) || !vitc_size_add(of_u, of_v, &size))
        return false;
    double *memory = calloc(size, sizeof *memory);
    if (memory == NULL) return false;
    const rotated r = {memory, memory + of_u, rows, columns};
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) r.u[j * rows + i] = a[i * columns + j];
    for (size_t i = 0; i < columns; i++)
        for (size_t j = 0; j < columns; j++) r.v[i * columns + j] = i == j;
    const double squared = dot(a, a, of_u);
    orthogonalize_all(&r, squared * DBL_EPSILON * DBL_EPSILON);
    assemble(inverse, &r, tolerance);
    free(memory);
    return true;
}
