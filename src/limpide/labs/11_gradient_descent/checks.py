"""The claims on gradient descent, recomputed."""

from __future__ import annotations

import numpy as np

from limpide.i18n import _
from limpide.labs.claims import CLAIMS, Finding, argue, checks, judge

X, Y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 4.0, 5.0])


def one_parameter(n: int, rate: float = 0.1) -> list[tuple[float, float]]:
    """J before and W after each of n steps of y = W x from 0."""
    W, done = 0.0, []
    for _step in range(n):
        error = Y - W * X
        J = float((error**2).mean())
        W -= rate * float((-2 * X * error).mean())
        done.append((J, W))
    return done


def two_parameters(n: int) -> list[tuple[float, float, float]]:
    """J before, w and b after each of n steps of y = w x + b from (0, 0)."""
    w, b, done = 0.0, 0.0, []
    for _step in range(n):
        error = Y - (w * X + b)
        J = float((error**2).mean())
        w, b = w + 0.1 * float((2 * X * error).mean()), b + 0.1 * float((2 * error).mean())
        done.append((J, w, b))
    return done


@checks(*(f"gd1-iteration-{k}" for k in (1, 2, 3, 4, 5, 6, 10, 100)))
def iteration_of_one(name: str) -> Finding:
    """One line of the table, to the digits it prints."""
    k = int(name.rpartition("-")[2])
    stated = [word.strip(",") for word in CLAIMS[name].reported.split()[1::2]]
    found = one_parameter(k)[-1]
    same = all(
        abs(value - float(text)) <= 0.5 * 10.0 ** -len(text.partition(".")[2]) for value, text in zip(found, stated)
    )
    return judge(same, f"J {found[0]:.8g}, W {found[1]:.8g}")


@checks(*(f"gd2-iteration-{k}" for k in (1, 2, 3, 4, 5, 6, 10, 15, 20, 233)))
def iteration_of_two(name: str) -> Finding:
    """One line of the second table, to three decimals."""
    k = int(name.rpartition("-")[2])
    stated = [float(word) for word in CLAIMS[name].reported.split()]
    found = two_parameters(k)[-1]
    return judge(np.allclose(found, stated, rtol=0, atol=5e-4), "{:.6g} {:.6f} {:.6f}".format(*found))


@checks("gd1-errors")
def squares() -> Finding:
    """The squared errors at W = 0."""
    return judge((Y**2).tolist() == [4, 9, 16, 25], " ".join(f"{value:g}" for value in Y**2))


@checks("gd1-first-gradient")
def first_gradient() -> Finding:
    """The gradient at W = 0."""
    found = float((-2 * X * Y).mean())
    return judge(found == -20, f"{found:g}")


@checks("gd2-first-gradient")
def first_gradients() -> Finding:
    """The two gradients at (0, 0)."""
    found = (float((-2 * X * Y).mean()), float((-2 * Y).mean()))
    return judge(found == (-20, -7), "({:g}, {:g})".format(*found))


@checks("gd1-133-after-6")
def reaches_133() -> Finding:
    """The first iteration at which W prints as 1.33."""
    first = next(k for k, (_J, W) in enumerate(one_parameter(50), 1) if f"{W:.2f}" == "1.33")
    return judge(first == 6, f"{first}; W(6) = {one_parameter(6)[-1][1]:g}")


@checks("gd1-prediction-532")
def prediction() -> Finding:
    """A product."""
    return judge(abs(1.33 * 4 - 5.32) < 1e-12, f"{1.33 * 4:.2f}")


@checks("gd2-exact-after-233")
def exact() -> Finding:
    """The prediction for x = 4 after 233 steps."""
    _J, w, b = two_parameters(233)[-1]
    return judge(abs(4 * w + b - 5) < 1e-6, f"{4 * w + b:.6f} (w {w:.6f}, b {b:.6f})")


@checks("gd1-loop-length", "gd2-loop-length")
def loops(name: str) -> Finding:
    """What a listing prints follows from its loop."""
    n = 6 if name.startswith("gd1") else 20
    return argue(
        "not reproducible", _("the loop of the listing makes {n} rows; the later ones cannot come from it").format(n=n)
    )


@checks("gd2-variable-case")
def names() -> Finding:
    """A program that sets one name and reads another."""
    try:
        exec("w1 = 0\nprint(W1)", {})
    except NameError as error:
        return judge(False, f"NameError: {error}")
    return judge(True, "-")


@checks("rate-too-high")
def too_high() -> Finding:
    """Above 2 / 15 the path runs away."""
    at = {rate: abs(one_parameter(50, rate)[-1][1]) for rate in (0.133, 0.14, 0.2)}
    diverges = at[0.14] > 100 and at[0.2] > 1e10 and at[0.133] < 2
    return judge(diverges, ", ".join(f"{rate}: |W| {value:.4g}" for rate, value in at.items()))


@checks("rate-too-low")
def too_low() -> Finding:
    """After fifty steps at 0.001 the path is half way."""
    J, W = one_parameter(51, 0.001)[-1][0], one_parameter(50, 0.001)[-1][1]
    return judge(W < 1.0 and J > 1.0, f"W {W:.3f}, J {J:.3f}")


@checks("rate-usual-range")
def usual() -> Finding:
    """A small problem for which 0.1 is right and 0.01 too small: steps until within 1% of the lowest cost."""
    needed = {}
    for rate in (0.1, 0.01, 0.0001):
        costs = [J for J, _W in one_parameter(40_000, rate)]
        needed[rate] = next(k for k, J in enumerate(costs) if J < 1.01 / 6)
    text = _("steps to within 1% of the lowest cost: {steps}")
    shown = ", ".join(f"{rate}: {n}" for rate, n in needed.items())
    return judge(min(needed, key=lambda rate: needed[rate]) <= 0.01, text.format(steps=shown))


@checks("arrow-is-learning-rate")
def arrows() -> Finding:
    """Steps at one and the same rate."""
    path = [0.0, *(W for _J, W in one_parameter(4))]
    steps = np.diff(path)
    text = _("steps {steps} at the constant rate 0.1")
    return judge(len(set(steps.round(9))) == 1, text.format(steps=" ".join(f"{step:g}" for step in steps)))


@checks("quiz4-q3-official")
def direction() -> Finding:
    """A small step along the gradient: up or down?"""
    at = np.array([0.3, -0.4])

    def cost(p: np.ndarray) -> float:
        return float(((Y - p[0] * X - p[1]) ** 2).mean())

    error = Y - at[0] * X - at[1]
    gradient = np.array([(-2 * X * error).mean(), (-2 * error).mean()])
    rise = cost(at + 1e-4 * gradient) - cost(at)
    text = _("a small step along the gradient changes the cost by {change}")
    return judge(rise < 0, text.format(change=f"{rise:+.3g}"))


@checks("descent-examines-all-paths")
def paths() -> Finding:
    """A matter of words."""
    return argue("wrong", _("each step uses one slope, where it stands; no other path is looked at"))


@checks("j-named-after-jacobian")
def letter() -> Finding:
    """A matter of words."""
    return argue("wrong", _("J is the usual letter of an objective; a Jacobian is the matrix of all first derivatives"))
