/* vitc_inverse.h - pseudo-inverses of small dense matrices in double precision (private to vitc).
 */
#ifndef VITC_INVERSE_H
#define VITC_INVERSE_H

#include <stdbool.h>
#include <stddef.h>

/* inverse[columns][rows] = the Moore-Penrose inverse of a[rows][columns], both row-major: of all
 * that solve a x = b as well as can be in the sense of least squares, inverse b is the shortest x.
 * Singular values below `tolerance` (1e-13 or more) times the largest count as 0.
 *
 * By the singular value decomposition of one-sided Jacobi rotations (Hestenes, 1958), which finds
 * small singular values with high relative accuracy (Demmel and Veselic, SIAM J. Matrix Anal. Appl.
 * 13, 1992); the time is rows * columns^2 per sweep, with some ten sweeps. False without memory.
 * Numbers are finite, sizes at least 1. */
bool vitc_pseudo_inverse(double *inverse, const double *a, size_t rows, size_t columns,
                         double tolerance);

#endif
