"""Schedules and optimizers of MindFormers: what the tables say, what the package says, torch."""

import inspect

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter

from mindmlm.build.registered import build_registered_optimizer, build_registered_schedule
from mindmlm.config.registered import CALLBACKS, OPTIMIZERS, REFUSED, REQUIRED, SCHEDULES
from mindmlm.config.schema import RegisteredOptimizerConfig, RegisteredScheduleConfig
from mindmlm.errors import ConfigError
from mindmlm.runtime.mindformers_registry import mindformers_registry

pytestmark = pytest.mark.usefixtures("graph_mode")
STEPS = 24
SCHEDULE_ARGUMENTS = {
    "CosineWithWarmUpLR": {"learning_rate": 1e-3, "warmup_steps": 4, "lr_end": 1e-5},
    "ConstantWarmUpLR": {"learning_rate": 1e-3, "warmup_ratio": 0.25},
    "ConstantWithCoolDownLR": {"learning_rate": 1e-3, "keep_steps": 5, "decay_steps": 9},
    "LinearWithWarmUpLR": {"learning_rate": 1e-3, "warmup_ratio": 0.25},
    "PolynomialWithWarmUpLR": {"learning_rate": 1e-3, "power": 2},
    "CosineWithRestartsAndWarmUpLR": {"learning_rate": 1e-3, "num_cycles": 3},
    "CosineAnnealingLR": {"base_lr": 1e-3, "t_max": 10},
    "CosineAnnealingWarmRestarts": {"base_lr": 1e-3, "t_0": 6, "t_mult": 2},
    "WarmUpStableDecayLR": {"learning_rate": 1e-3, "decay_start_ratio": 0.5},
    "CosineDecayLR": {"min_lr": 1e-5, "max_lr": 1e-3, "decay_steps": 12},
    "ExponentialDecayLR": {"learning_rate": 1e-3, "decay_rate": 0.5, "decay_steps": 6},
    "InverseDecayLR": {"learning_rate": 1e-3, "decay_rate": 0.5, "decay_steps": 6},
    "NaturalExpDecayLR": {"learning_rate": 1e-3, "decay_rate": 0.5, "decay_steps": 6},
    "PolynomialDecayLR": {
        "learning_rate": 1e-3,
        "end_learning_rate": 1e-5,
        "decay_steps": 12,
        "power": 1.0,
    },
    "WarmUpLR": {"learning_rate": 1e-3, "warmup_steps": 8},
}
NEEDED = {"Momentum": {"momentum": 0.9}}


def signature(registered: type) -> dict[str, inspect.Parameter]:
    """Arguments of a class, behind the decorators of MindSpore."""
    function = inspect.unwrap(registered.__init__)
    cells = getattr(function, "__closure__", None) or ()
    for cell in cells:
        if inspect.isfunction(cell.cell_contents) and "params" in str(
            inspect.signature(cell.cell_contents)
        ):
            function = cell.cell_contents
    return dict(inspect.signature(function).parameters)


@pytest.mark.parametrize("table", ["lr", "optimizer", "callback"])
def test_the_tables_are_those_of_the_package(table):
    entries = {"lr": SCHEDULES, "optimizer": OPTIMIZERS, "callback": CALLBACKS}[table]
    for name, entry in entries.items():
        parameters = signature(mindformers_registry().get_cls(table, name))
        for argument, known in entry.arguments.items():
            assert argument in parameters, (name, argument)
            default = parameters[argument].default
            # These are filled in from the run where they are not given.
            if argument not in ("total_steps", "warmup_steps"):
                assert (known.default is REQUIRED) == (default is inspect.Parameter.empty), name
                assert known.default is REQUIRED or known.default == default, (name, argument)


@pytest.mark.parametrize(
    ("section", "module_type", "ours"),
    [
        ("lr_schedule", "lr", ("linear", "cosine", "polynomial", "constant_with_warmup")),
        ("optimizer", "optimizer", ("AdamW", "AdamWeightDecay", "Lamb")),
        ("callbacks", "callback", ("MFLossMonitor", "CheckpointMonitor")),
    ],
)
def test_something_is_said_of_every_registered_class(section, module_type, ours):
    tables = {"lr_schedule": SCHEDULES, "optimizer": OPTIMIZERS, "callbacks": CALLBACKS}
    known = {*tables[section], *REFUSED[section], *ours}
    assert set(mindformers_registry().registry[module_type]) <= known


@pytest.mark.parametrize("name", SCHEDULE_ARGUMENTS)
def test_a_schedule_gives_the_rates_of_the_package(name):
    arguments = SCHEDULE_ARGUMENTS[name]
    section = RegisteredScheduleConfig.model_validate({"type": name, **arguments})
    schedule = build_registered_schedule(section, STEPS)
    filled = dict(arguments)
    if "total_steps" in SCHEDULES[name].arguments:
        filled["total_steps"] = STEPS
        if "warmup_ratio" not in filled:
            filled.setdefault("warmup_steps", 0)
    filled = {
        key: float(value) if SCHEDULES[name].arguments[key].kind == "number" else value
        for key, value in filled.items()
    }
    cell = mindformers_registry().get_cls("lr", name)(**filled)
    rates = [schedule.at(step) for step in (0, 1, 5, 6, 11, 23)]
    expected = [float(cell(ms.Tensor(step, ms.int32)).asnumpy()) for step in (0, 1, 5, 6, 11, 23)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-12)
    assert len(set(rates)) > 1
    assert schedule.at(5) == rates[2]


def test_all_schedules_are_tried():
    aliases = {"cosine_with_restarts", "cosine_annealing", "cosine_annealing_warm_restarts"}
    assert set(SCHEDULE_ARGUMENTS) | aliases == set(SCHEDULES)


def test_arguments_that_the_package_refuses_are_named():
    arguments = {"type": "PolynomialWithWarmUpLR", "learning_rate": 1e-5, "lr_end": 1.0}
    section = RegisteredScheduleConfig.model_validate(arguments)
    with pytest.raises(ConfigError, match="lr_schedule: PolynomialWithWarmUpLR refuses these"):
        build_registered_schedule(section, STEPS)


def made(name: str, values: dict[str, np.ndarray], **arguments):
    # A tensor may share the memory of the array it is made of.
    parameters = [Parameter(ms.Tensor(value.copy()), name=key) for key, value in values.items()]
    section = RegisteredOptimizerConfig.model_validate(
        {"type": name, **NEEDED.get(name, {}), **arguments}
    )
    return parameters, build_registered_optimizer(section, parameters)


def updates(name: str, values, gradients, rates, factor=1.0, **arguments):
    parameters, optimizer = made(name, values, **arguments)
    for updated, (rate, step) in enumerate(zip(rates, gradients, strict=True)):
        tensors = [ms.Tensor(gradient) for gradient in step.values()]
        scalars = optimizer.scalars(rate, updated)
        optimizer(*scalars, ms.Tensor(factor, ms.float32), *tensors).asnumpy()
    return {value.name: value.asnumpy().copy() for value in parameters}, optimizer


@pytest.fixture(scope="module")
def problem():
    generator = np.random.default_rng(5)
    shapes = {"a.weight": (6, 4), "b.bias": (4,), "c.norm.weight": (6,)}
    draw = {key: generator.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
    steps = [
        {key: generator.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
        for _ in range(4)
    ]
    return draw, steps, [0.0, 0.02, 0.01, 0.005]


@pytest.mark.parametrize(
    ("name", "arguments", "of_torch"),
    [
        ("SGD", {"momentum": 0.9}, ("SGD", {"momentum": 0.9})),
        ("Adam", {"beta2": 0.99}, ("Adam", {"betas": (0.9, 0.99)})),
        ("Adagrad", {"accum": 0.1}, ("Adagrad", {"initial_accumulator_value": 0.1, "eps": 0.0})),
        ("AdaMax", {}, ("Adamax", {})),
        ("Adadelta", {}, ("Adadelta", {"rho": 0.9})),
    ],
)
def test_updates_are_those_of_torch(problem, name, arguments, of_torch):
    import torch

    values, steps, rates = problem
    found, _ = updates(name, values, steps, rates, factor=0.5, weight_decay=0.1, **arguments)
    tensors = {key: torch.nn.Parameter(torch.tensor(value)) for key, value in values.items()}
    groups = [
        {"params": [tensors["a.weight"]], "weight_decay": 0.1},
        {"params": [tensors["b.bias"], tensors["c.norm.weight"]], "weight_decay": 0.0},
    ]
    kind, settings = of_torch
    optimizer = getattr(torch.optim, kind)(groups, **settings)
    for rate, step in zip(rates, steps, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for key, tensor in tensors.items():
            tensor.grad = torch.tensor(step[key] * 0.5)
        optimizer.step()
    for key, tensor in tensors.items():
        np.testing.assert_allclose(found[key], tensor.detach().numpy(), rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"adam", "sgd", "adagrad"}))
def test_state_has_the_names_of_checkpoints_and_parts_are_updated_as_the_whole(problem, name):
    values, steps, rates = problem
    whole, optimizer = updates(name, values, steps, rates)
    assert all(np.isfinite(value).all() for value in whole.values())
    assert not np.allclose(whole["a.weight"], values["a.weight"])
    names = {value.name for value in optimizer.state()}
    of_weights = {kind + key for kind in optimizer.kinds for key in values}
    shared = {key for key in names if key.startswith("shared.")}
    assert "shared.global_step" in shared
    assert names - shared == of_weights
    if not OPTIMIZERS[name].elementwise:
        return
    part = {f"part.{key}": value[:3].copy() for key, value in values.items()}
    gradients = [{f"part.{key}": value[:3].copy() for key, value in step.items()} for step in steps]
    found, divided = updates(name, part, gradients, rates)
    assert {value.name for value in divided.state()} == names
    for key, value in whole.items():
        np.testing.assert_allclose(found[f"part.{key}"], value[:3], rtol=1e-5, atol=1e-7)


def test_steps_with_rate_zero_move_nothing(problem):
    values, steps, _ = problem
    for name in sorted(set(OPTIMIZERS) - {"adam", "sgd", "adagrad"}):
        found, _ = updates(name, values, steps[:1], [0.0])
        assert all(np.array_equal(found[key], value) for key, value in values.items()), name
