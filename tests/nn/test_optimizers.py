import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.errors import RecipeError, UnknownName
from limpide.nn.optimizers import OPTIMIZERS, Momentum, make_optimizer
from limpide.nn.schedules import SCHEDULES, Schedule

NAMES = [*OPTIMIZERS, "nesterov"]
STEPS = 50


def descend(optimizer, gradient, start, steps=STEPS):
    """The parameters before each update, and after the last."""
    params = np.array(start, np.float64)
    state, path = optimizer.init(params), [params.copy()]
    for step in range(steps):
        change, state = optimizer.update(params, gradient(params), state, step, steps)
        params = params + change
        path.append(params.copy())
    return np.array(path)


def bowl(params):
    """A curved valley: steep along one number, flat along another, and not a parabola."""
    return np.array([3.0, 0.5, 0.02]) * params + 0.1 * params**3 - np.array([1.0, -2.0, 0.3])


def by_torch(torch, name, params, rate, decay):
    optim = torch.optim
    return {
        "sgd": lambda: optim.SGD([params], rate, weight_decay=decay),
        "momentum": lambda: optim.SGD([params], rate, momentum=0.9, weight_decay=decay),
        "nesterov": lambda: optim.SGD([params], rate, momentum=0.9, nesterov=True, weight_decay=decay),
        "rmsprop": lambda: optim.RMSprop([params], rate, weight_decay=decay),
        "adam": lambda: optim.Adam([params], rate, weight_decay=decay),
        "adamw": lambda: optim.AdamW([params], rate, weight_decay=decay),
    }[name]()


def torch_path(torch, name, start, decay=0.0, clip=None, scheduler=None, rate=0.03):
    params = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = by_torch(torch, name, params, rate, decay)
    schedule = scheduler(optimizer) if scheduler else None
    path = [params.detach().numpy().copy()]
    for _step in range(STEPS):
        params.grad = torch.tensor(bowl(params.detach().numpy()))
        if clip:
            torch.nn.utils.clip_grad_norm_([params], clip)
        optimizer.step()
        if schedule:
            schedule.step()
        path.append(params.detach().numpy().copy())
    return np.array(path)


START = [2.0, -3.0, 1.5]


@pytest.mark.parametrize("clip", [None, 0.5, 1e6])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_fifty_updates_are_those_of_pytorch(name, decay, clip, torch):
    ours = descend(make_optimizer(name, rate=0.03, weight_decay=decay, clip_norm=clip), bowl, START)
    np.testing.assert_allclose(ours, torch_path(torch, name, START, decay, clip), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_defaults_are_those_of_pytorch(name, torch):
    theirs = by_torch(torch, name, torch.zeros(1), 0.5, 0.0)
    kind = type(theirs)
    given = kind([torch.zeros(1)], **({"momentum": 0.9} if name == "momentum" else {})).defaults
    ours = make_optimizer(name)
    rate = 0.001 if name in ("adam", "adamw", "rmsprop") else given["lr"]
    expected = {"rate": rate, "weight_decay": given["weight_decay"]}
    if name in ("adam", "adamw"):
        expected |= {"beta1": given["betas"][0], "beta2": given["betas"][1], "epsilon": given["eps"]}
    if name == "rmsprop":
        expected |= {"decay": given["alpha"], "epsilon": given["eps"]}
    if name in ("sgd", "momentum"):
        expected |= {"rate": 0.01}
    assert {key: getattr(ours, key) for key in expected} == expected


def schedulers(torch):
    kinds = torch.optim.lr_scheduler
    return {
        "step": lambda optimizer: kinds.StepLR(optimizer, step_size=10, gamma=0.5),
        "cosine": lambda optimizer: kinds.CosineAnnealingLR(optimizer, T_max=STEPS),
        # PyTorch counts from update 0 to the last one; ours to the end behind it: hence one more, and the same peak
        "one_cycle": lambda optimizer: kinds.OneCycleLR(
            optimizer, 0.03, STEPS + 1, pct_start=(0.3 * STEPS + 1) / (STEPS + 1), cycle_momentum=False
        ),
        "constant": lambda optimizer: kinds.ConstantLR(optimizer, factor=1.0),
    }


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_are_those_of_pytorch(schedule, torch):
    optimizer = make_optimizer("sgd", rate=0.03, schedule=Schedule(schedule, every=0.2, factor=0.5))
    theirs = torch_path(torch, "sgd", START, scheduler=schedulers(torch)[schedule])
    np.testing.assert_allclose(descend(optimizer, bowl, START), theirs, rtol=1e-9)


def test_warm_up_rises_in_a_straight_line_then_hands_over():
    schedule = Schedule("cosine", warm_up=0.2)
    factors = [schedule.factor_at(update, 50) for update in range(50)]
    assert factors[0] > 0
    np.testing.assert_allclose(np.diff(factors[:11]), 1 / 11)
    assert factors[10] == 1
    plain = Schedule("cosine")
    np.testing.assert_allclose(factors[10:], [plain.factor_at(update, 40) for update in range(40)])


def test_a_step_falls_exactly_on_its_update():
    schedule = Schedule("step", every=0.25, factor=0.1)
    assert [schedule.factor_at(update, 8) for update in range(8)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3]
    )


def test_one_cycle_rises_then_falls_to_almost_nothing():
    factors = [Schedule("one_cycle").factor_at(update, 100) for update in range(101)]
    assert factors[0] == pytest.approx(1 / 25)
    assert max(factors) == factors[30] == 1
    assert factors[100] == pytest.approx(1 / 250_000)


@given(
    name=st.sampled_from(list(SCHEDULES)),
    update=st.integers(0, 300),
    n=st.integers(0, 200),
    warm_up=st.floats(0, 0.9),
)
def test_a_factor_is_never_negative_nor_above_one_even_behind_the_end(name, update, n, warm_up):
    factor = Schedule(name, warm_up=warm_up).factor_at(update, n)
    assert 0 <= factor <= 1
    if update >= n > 0:
        assert factor == Schedule(name, warm_up=warm_up).factor_at(n, n)


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_descends_a_parabola(name):
    path = descend(make_optimizer(name, rate=0.05, weight_decay=0.0), lambda w: w, [3.0, -2.0], 400)
    assert np.abs(path[-1]).max() < 0.06
    assert np.abs(path[0]).max() == 3


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 20 * (w[1] - w[0] ** 2) ** 2


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_descends_a_bent_valley(name):
    def slope(w):
        return np.array([-2 * (1 - w[0]) - 80 * w[0] * (w[1] - w[0] ** 2), 40 * (w[1] - w[0] ** 2)])

    path = descend(make_optimizer(name, rate=0.002, weight_decay=0.0), slope, [-1.0, 1.0], 3000)
    assert rosenbrock(path[-1]) < 0.2 * rosenbrock(path[0])


def test_momentum_without_memory_is_plain_descent():
    plain, still = make_optimizer("sgd", rate=0.03), make_optimizer("momentum", rate=0.03, momentum=0.0)
    np.testing.assert_array_equal(descend(plain, bowl, START), descend(still, bowl, START))


def test_the_decay_of_adamw_stays_out_of_the_moments():
    coupled = descend(make_optimizer("adam", rate=0.03, weight_decay=0.5), bowl, START)
    decoupled = descend(make_optimizer("adamw", rate=0.03, weight_decay=0.5), bowl, START)
    assert np.abs(coupled - decoupled).max() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_an_update_changes_neither_its_arguments_nor_their_type(name):
    optimizer = make_optimizer(name, weight_decay=0.1, clip_norm=0.1)
    params, grads = np.ones(3, np.float32), np.arange(3, dtype=np.float32)
    state = optimizer.init(params)
    for array in (params, grads, *state.values()):
        array.flags.writeable = False
    change, after = optimizer.update(params, grads, state, 0, 10)
    assert change.dtype == np.float32
    assert {key: array.dtype for key, array in after.items()} == dict.fromkeys(optimizer.slots, np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_one_text_serves_torch_tensors_too(name, torch):
    optimizer = make_optimizer(name, rate=0.03, weight_decay=0.1, clip_norm=1.0)
    params, grads = np.array(START), bowl(np.array(START))
    ours, _state = optimizer.update(params, grads, optimizer.init(params), 0, 10)
    tensors = torch.tensor(params), torch.tensor(grads)
    theirs, _state = optimizer.update(*tensors, optimizer.init(tensors[0]), 0, 10)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12)


X, Y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.0, 4.0, 5.0])


def test_descent_of_one_parameter_to_every_digit_of_the_book():
    path = descend(make_optimizer("sgd", rate=0.1), lambda w: np.array([np.mean(-2 * X * (Y - w * X))]), [0.0], 100)
    costs = np.mean((Y - path * X) ** 2, 1)
    table = {
        1: (13.5, 2.0),
        2: (3.5, 1.0),
        3: (1.0, 1.5),
        4: (0.375, 1.25),
        5: (0.21875, 1.375),
        6: (0.1796875, 1.3125),
    }
    for iteration, (cost, w) in table.items():
        assert (costs[iteration - 1], path[iteration][0]) == pytest.approx((cost, w), abs=1e-12)
    assert costs[9] == pytest.approx(0.1667175, abs=5e-8)
    assert path[10][0] == pytest.approx(1.3320313, abs=5e-8)
    assert costs[99] == pytest.approx(1 / 6)
    assert path[100][0] == pytest.approx(4 / 3)


def test_descent_of_weight_and_bias_to_every_digit_of_the_book():
    def gradient(p):
        e = Y - p[0] * X - p[1]
        return np.array([np.mean(-2 * X * e), np.mean(-2 * e)])

    assert gradient(np.zeros(2)).tolist() == [-20, -7]
    path = descend(make_optimizer("sgd", rate=0.1), gradient, [0.0, 0.0], 233)
    costs = [np.mean((Y - w * X - b) ** 2) for w, b in path]
    table = {
        1: (13.5, 2.0, 0.7),
        2: (6.09, 0.65, 0.26),
        3: (2.761, 1.545, 0.583),
        4: (1.265, 0.936, 0.394),
        5: (0.592, 1.335, 0.547),
        6: (0.288, 1.059, 0.470),
        10: (0.044, 1.127, 0.556),
        15: (0.025, 1.130, 0.626),
        20: (0.018, 1.109, 0.678),
        233: (0.000, 1.000, 1.000),
    }
    for iteration, row in table.items():
        assert (costs[iteration - 1], *path[iteration]) == pytest.approx(row, abs=5.01e-4)
    assert path[233] == pytest.approx([1.000169, 0.999503], abs=5e-7)
    assert path[233] @ [4, 1] == pytest.approx(5.000179, abs=5e-7)


@pytest.mark.parametrize(
    ("rate", "end"), [(0.001, -3.805), (0.1, -0.0151), (0.5, 0.0), (0.95, 0.287), (1.0, 4.0), (1.05, 43.3)]
)
def test_a_rate_too_high_climbs_out_of_the_parabola(rate, end):
    path = descend(make_optimizer("sgd", rate=rate), lambda w: 2 * w, [-4.0], 25)
    assert path[25][0] == pytest.approx(end, rel=2e-3, abs=1e-12)


def test_every_number_out_of_range_is_reported_at_once():
    with pytest.raises(RecipeError) as caught:
        make_optimizer(
            "adam",
            rate=-1,
            beta1=1.0,
            epsilon=0,
            weight_decay=-0.1,
            clip_norm=0.0,
            schedule={"name": "step", "warm_up": 1.0, "every": 0, "factor": 2},
        )
    assert caught.value.problems == (
        "optimizer adam, rate: expected a number above 0, got -1",
        "optimizer adam, weight_decay: expected a number of 0 or more, got -0.1",
        "optimizer adam, clip_norm: expected a number above 0, got 0.0",
        "optimizer adam, beta1: expected a number from 0 to below 1, got 1.0",
        "optimizer adam, epsilon: expected a number above 0, got 0",
        "optimizer adam, warm_up: expected a number from 0 to below 1, got 1.0",
        "optimizer adam, every: expected a number above 0 and up to 1, got 0",
        "optimizer adam, factor: expected a number above 0 and up to 1, got 2",
    )


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0, "fast", None])
def test_a_rate_that_is_no_usable_number_is_refused(rate):
    with pytest.raises(RecipeError) as caught:
        make_optimizer("sgd", rate=rate)
    assert str(caught.value) == f"optimizer sgd, rate: expected a number above 0, got {rate!r}"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adamm", {}, 'optimizer: unknown name "adamm"; did you mean "adam"?'),
        (
            "sgd",
            {"momentun": 0.9},
            'option of sgd: unknown name "momentun"; choose among rate, weight_decay, clip_norm, schedule',
        ),
        ("adam", {"beta_1": 0.9}, 'option of adam: unknown name "beta_1"; did you mean "beta1"?'),
        ("sgd", {"schedule": "cosin"}, 'schedule: unknown name "cosin"; did you mean "cosine"?'),
        ("sgd", {"schedule": {"warmup": 0.1}}, 'option of schedule: unknown name "warmup"; did you mean "warm_up"?'),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, options, message):
    with pytest.raises(UnknownName) as caught:
        make_optimizer(name, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_is_rebuilt_from_its_json(name):
    optimizer = make_optimizer(name, rate=0.5, clip_norm=2.0, schedule=Schedule("cosine", warm_up=0.1))
    assert make_optimizer(**optimizer.to_dict()) == optimizer


def test_nesterov_is_momentum_that_looks_ahead():
    assert make_optimizer("nesterov") == Momentum(nesterov=True)
