"""Derives the coefficients of native/kernels/cpu/gelu.hpp.

gelu(x) = x * Phi(x), and Phi(x) - 1/2 is odd, so it is approximated by

    r(x) = x * P(x^2) / Q(x^2),   P and Q of degree 5, Q monic,

on [0, X], minimising the largest absolute error of Phi: where Phi is near 1 or 1/2 that is also the relative error of
gelu. x is clamped to [-X, X]. X is where 1 - Phi falls below half a unit in the last place of 1, so that Phi is exactly
0 and exactly 1 from there on, as long as r(X) comes out as 1/2 or the float after it.

Three steps: Lawson's iteration (weighted linear least squares, reweighted by the error) finds the minimax rational in
double; the coefficients are rounded to float32; a seeded random search over neighbouring floats then repairs what the
rounding broke, by the error of the float32 evaluation itself, with and without fused multiply-add.

AVX-512 has a form of its own (table): |x| is cut into intervals of 1/2, and in each Phi(|x|) - 1/2 is a polynomial of degree 5
in the distance from the interval's middle, by its values at Chebyshev's points. The first passes through 0; from 5.25 on it
is 1/2.

    python3 scripts/derive-gelu.py        # needs numpy; about a minute
"""

import math

import numpy as np
from numpy.polynomial import chebyshev

DEGREE_P, DEGREE_Q = 5, 5
CLAMP = 5.4
F32 = np.float32
erf = np.vectorize(math.erf)


def target(x):
    return 0.5 * erf(x / np.sqrt(2.0))


def minimax(clamp):
    """P and Q as Chebyshev series in s = 2 t / X^2 - 1; returns the largest error too."""
    x = clamp * np.sin(np.pi / 2 * (np.arange(4000) + 0.5) / 4000)
    f = target(x)
    s = 2 * x * x / clamp**2 - 1
    vp, vq = chebyshev.chebvander(s, DEGREE_P), chebyshev.chebvander(s, DEGREE_Q)
    weight, q = np.ones_like(x), np.ones_like(x)
    best = (np.inf, None, None)
    for _ in range(600):
        scale = np.sqrt(weight) / np.abs(q)
        a = np.hstack([x[:, None] * vp, -f[:, None] * vq[:, 1:]]) * scale[:, None]
        solution = np.linalg.lstsq(a, f * vq[:, 0] * scale, rcond=None)[0]
        cp, cq = solution[: DEGREE_P + 1], np.concatenate([[1.0], solution[DEGREE_P + 1 :]])
        q = vq @ cq
        error = np.abs(x * (vp @ cp) / q - f)
        if error.max() < best[0] and (q > 0).all():
            best = (error.max(), cp, cq)
        weight *= error / error.max() + 1e-3
        weight /= weight.mean()
    return best


def to_powers(series, clamp):
    """Chebyshev series in s to ascending powers of t = x^2."""
    in_s = np.polynomial.Polynomial(chebyshev.cheb2poly(series))
    return in_s(np.polynomial.Polynomial([-1.0, 2.0 / clamp**2])).coef


def multiply_add(a, b, c, fused):
    if fused:
        return F32(np.float64(a) * np.float64(b) + np.float64(c))
    return F32(F32(a * b) + c)


def evaluate(x, p, q, clamp, fused):
    """Phi(x) as gelu.hpp computes it, in float32. q lacks its leading 1."""
    x = np.clip(x, -clamp, clamp)
    t = x * x
    num = np.broadcast_to(p[-1], x.shape)
    for coefficient in p[-2::-1]:
        num = multiply_add(num, t, coefficient, fused)
    den = t + q[-1]
    for coefficient in q[-2::-1]:
        den = multiply_add(den, t, coefficient, fused)
    return np.maximum(F32(0.5) + (x * num) / den, F32(0))


def cost(x, phi, p, q, clamp):
    """(misses, error): how many of the four end values are not exactly 0 and 1; the largest plus the mean error."""
    misses, worst = 0, 0.0
    for fused in (True, False):
        ends = evaluate(np.array([-clamp, clamp], F32), p, q, clamp, fused)
        misses += int(ends[0] != 0) + int(ends[1] != 1)
        error = np.abs(evaluate(x, p, q, clamp, fused) - phi)
        worst = max(worst, error.max() + 4 * error.mean())
    return misses, worst


def search(p, q, clamp, steps=8000):
    rng = np.random.default_rng(0)
    grid = 6.0 * np.linspace(0.0, 1.0, 2500) ** 1.3
    x = np.concatenate([-grid, grid]).astype(F32)
    phi = 0.5 + target(x.astype(np.float64))
    best, best_cost = np.concatenate([p, q]), cost(x, phi, p, q, clamp)
    for _ in range(steps):
        trial = best.copy()
        for i in rng.integers(0, trial.size, rng.integers(1, 5)):
            trial[i] = F32(trial[i] * (1.0 + rng.integers(-8, 9) * 2.0**-24))
        trial_cost = cost(x, phi, trial[: p.size], trial[p.size :], clamp)
        if trial_cost <= best_cost:
            best, best_cost = trial, trial_cost
    return best[: p.size], best[p.size :], best_cost


def report(p, q, clamp):
    x = np.linspace(-6.0, 6.0, 400001).astype(F32)
    phi = 0.5 + target(x.astype(np.float64))
    for fused in (True, False):
        error = np.abs(evaluate(x, p, q, clamp, fused) - phi)
        print(f'fused {fused}: largest error of Phi {error.max():.3e}, mean {error.mean():.3e}')


WIDTH, INTERVALS, TABLE_DEGREE = 0.5, 11, 5


def table():
    """[degree + 1][16]: coefficients, ascending, of each interval; those past the last are the constant 1/2."""
    coefficients = np.zeros((TABLE_DEGREE + 1, 16))
    coefficients[0, INTERVALS:] = 0.5
    for i in range(INTERVALS):
        middle = i * WIDTH
        low, high = max(0.0, middle - WIDTH / 2), middle + WIDTH / 2
        x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)
        lowest = 1 if i == 0 else 0
        powers = np.vander(x - middle, TABLE_DEGREE + 1, increasing=True)[:, lowest:]
        coefficients[lowest:, i] = np.linalg.lstsq(powers, target(x), rcond=None)[0]
    return coefficients.astype(F32)


def literal(value):
    """As C++ writes a float."""
    text = f'{float(value):.9g}'
    return f'{text if any(c in text for c in ".e") else text + ".0"}f'


def report_table(coefficients):
    x = np.linspace(0.0, 6.0, 400001).astype(F32)
    i = np.minimum(np.rint(x / WIDTH), 15).astype(int)
    r = x - (i * WIDTH).astype(F32)
    value = coefficients[TABLE_DEGREE][i]
    for row in coefficients[TABLE_DEGREE - 1 :: -1]:
        value = multiply_add(value, r, row[i], True)
    exact = target(x.astype(np.float64))
    for sign in (1, -1):
        phi = F32(0.5) + F32(sign) * value
        error = np.abs(phi - (0.5 + sign * exact))
        print(f'table, sign {sign:+}: largest error of Phi {error.max():.3e}, mean {error.mean():.3e}, least Phi {phi.min():.3e}')
    for row in coefficients:
        print('{' + ', '.join(literal(v) for v in row) + '},')


def main():
    report_table(table())
    clamp = F32(CLAMP)
    error, cp, cq = minimax(float(clamp))
    p, q = to_powers(cp, float(clamp)), to_powers(cq, float(clamp))
    p, q = p / q[-1], q / q[-1]
    print(f'minimax error of Phi in exact arithmetic: {error:.3e}')
    p32, q32, end = search(p.astype(F32), q[:-1].astype(F32), clamp)
    print(f'end values that are not exact: {end[0]}')
    report(p32, q32, clamp)
    print(f'clamp {float(clamp):.9g}')
    print('P, ascending:', ', '.join(f'{float(v):.9g}f' for v in p32))
    print('Q, ascending, then 1:', ', '.join(f'{float(v):.9g}f' for v in q32))


if __name__ == '__main__':
    main()
