"""Derives the polynomials of vit_rows_f32_body.h. Needs NumPy and SciPy; prints C constants.

Both are near-minimax: interpolation at Chebyshev nodes in float64, coefficients rounded to float32.
"""
import numpy as np
from numpy.polynomial import chebyshev, polynomial
from scipy.special import erfcx


def fit(function, degree, low, high):
    """Coefficients of degree 0 first, in the monomial basis."""
    series = chebyshev.Chebyshev.interpolate(function, degree, domain=[low, high])
    return series.convert(kind=polynomial.Polynomial).coef


def show(name, coefficients, error):
    print(f"{name}: relative error {error:.2g}")
    print("   ", ", ".join(f"{np.float32(c):.9g}f" for c in coefficients))


# exp(r) = 1 + r + r^2 p(r) on |r| <= ln(2)/2; the Taylor series stands in near 0.
half = np.log(2) / 2 * 1.0001
p = fit(lambda r: np.where(np.abs(r) < 1e-4, 0.5 + r / 6 + r * r / 24,
                           (np.exp(r) - 1 - r) / np.where(r == 0, 1, r) ** 2), 4, -half, half)
r = np.linspace(-half, half, 100001)
approximation = 1 + r + r * r * polynomial.polyval(r, p.astype(np.float32))
show("exp", p, np.max(np.abs(approximation / np.exp(r) - 1)))

# Phi(-a) exp(a^2/2) = erfcx(a / sqrt 2) / 2 = t q(t), t = 1 / (1 + 0.26 a), for a in [0, 14.5]
SLOPE = 0.26
lowest = 1 / (1 + SLOPE * 14.5)


def scaled_tail(t):
    return 0.5 * erfcx((1 / t - 1) / SLOPE / np.sqrt(2))


q = fit(lambda t: scaled_tail(t) / t, 8, lowest, 1)
t = np.linspace(lowest, 1, 20001)
approximation = t * polynomial.polyval(t, q)
show("Phi(-a) exp(a^2/2)", q, np.max(np.abs(approximation / scaled_tail(t) - 1)))
