"""Learning-rate schedules, optimizers and callbacks that MindFormers registers, by their names.

The tables hold what version 1.9.0 takes and which values stand where nothing is given, so that a
configuration is checked without the package; a test compares them with the package itself. What it
registers and cannot work in this training loop has its reason in `REFUSED`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType

PACKAGE, EXTRA = "mindformers", "mindformers"
REQUIRED = object()


@dataclass(frozen=True)
class Argument:
    """What an argument takes: number, integer, boolean, text or numbers; and its default."""

    kind: str
    default: object = REQUIRED

    def fits(self, value: object) -> bool:
        """Whether a value may stand here; null where that is the default."""
        if value is None:
            return self.default is None
        if self.kind == "numbers":
            return isinstance(value, list) and all(map(_is_number, value))
        if self.kind == "boolean":
            return isinstance(value, bool)
        if self.kind == "text":
            return isinstance(value, str)
        return _is_number(value) and (self.kind == "number" or isinstance(value, int))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Registered:
    """One registered class.

    Attributes:
        arguments: what a configuration may give, by name.
        elementwise: of an optimizer: each value is updated by its own gradient alone, so that
            parameters and state can be cut anywhere.
    """

    arguments: Mapping[str, Argument]
    elementwise: bool = True


def _number(default: object = REQUIRED) -> Argument:
    return Argument("number", default)


def _count(default: object = REQUIRED) -> Argument:
    return Argument("integer", default)


def _switch(default: bool) -> Argument:
    return Argument("boolean", default)


def _warmup(steps: object = None) -> dict[str, Argument]:
    return {
        "learning_rate": _number(),
        "warmup_steps": _count(steps),
        "warmup_lr_init": _number(0.0),
        "warmup_ratio": _number(None),
        "total_steps": _count(None),
    }


_DECAY = {
    "learning_rate": _number(),
    "decay_rate": _number(),
    "decay_steps": _count(),
    "is_stair": _switch(False),
}
_ANNEALING = {"base_lr": _number(), "t_max": _count(), "eta_min": _number(0.0)}
_RESTARTS = {
    "base_lr": _number(),
    "t_0": _count(),
    "t_mult": _count(1),
    "eta_min": _number(0.0),
}
_COSINE_RESTARTS = {
    **_warmup(),
    "num_cycles": _number(1.0),
    "lr_end": _number(0.0),
    "decay_steps": _count(None),
}

SCHEDULES: Mapping[str, Registered] = MappingProxyType(
    {
        "CosineWithWarmUpLR": Registered(
            {
                **_warmup(0),
                "num_cycles": _number(0.5),
                "lr_end": _number(0.0),
                "decay_steps": _count(None),
                "decay_ratio": _number(None),
            }
        ),
        "ConstantWarmUpLR": Registered(_warmup()),
        "ConstantWithCoolDownLR": Registered(
            {
                **_warmup(),
                "keep_steps": _count(0),
                "decay_steps": _count(None),
                "decay_ratio": _number(None),
                "num_cycles": _number(0.5),
                "lr_end1": _number(0.0),
                "final_steps": _count(0),
                "lr_end2": _number(None),
            }
        ),
        "LinearWithWarmUpLR": Registered(_warmup()),
        "PolynomialWithWarmUpLR": Registered(
            {
                **_warmup(),
                "lr_end": _number(1e-7),
                "power": _number(1.0),
                "decay_steps": _count(None),
            }
        ),
        "CosineWithRestartsAndWarmUpLR": Registered(_COSINE_RESTARTS),
        "cosine_with_restarts": Registered(_COSINE_RESTARTS),
        "CosineAnnealingLR": Registered(_ANNEALING),
        "cosine_annealing": Registered(_ANNEALING),
        "CosineAnnealingWarmRestarts": Registered(_RESTARTS),
        "cosine_annealing_warm_restarts": Registered(_RESTARTS),
        "WarmUpStableDecayLR": Registered(
            {
                **_warmup(),
                "lr_end": _number(1e-7),
                "decay_start_steps": _count(None),
                "decay_start_ratio": _number(None),
            }
        ),
        "CosineDecayLR": Registered(
            {"min_lr": _number(), "max_lr": _number(), "decay_steps": _count()}
        ),
        "ExponentialDecayLR": Registered(_DECAY),
        "InverseDecayLR": Registered(_DECAY),
        "NaturalExpDecayLR": Registered(_DECAY),
        "PolynomialDecayLR": Registered(
            {
                "learning_rate": _number(),
                "end_learning_rate": _number(),
                "decay_steps": _count(),
                "power": _number(),
                "update_decay_steps": _switch(False),
            }
        ),
        "WarmUpLR": Registered({"learning_rate": _number(), "warmup_steps": _count()}),
    }
)

_DECAYED = {"weight_decay": _number(0.0)}
_ADAM = {
    "beta1": _number(0.9),
    "beta2": _number(0.999),
    "eps": _number(1e-8),
    "use_nesterov": _switch(False),
    **_DECAYED,
}
_ADAGRAD = {"accum": _number(0.1), "update_slots": _switch(True), **_DECAYED}
_SGD = {
    "momentum": _number(0.0),
    "dampening": _number(0.0),
    "nesterov": _switch(False),
    **_DECAYED,
}
_FULL_ADAM = Registered({**_ADAM, "use_amsgrad": _switch(False)})

OPTIMIZERS: Mapping[str, Registered] = MappingProxyType(
    {
        "Adam": _FULL_ADAM,
        "adam": _FULL_ADAM,
        "LazyAdam": Registered(_ADAM),
        "AdaMax": Registered(
            {"beta1": _number(0.9), "beta2": _number(0.999), "eps": _number(1e-8), **_DECAYED}
        ),
        "SGD": Registered(_SGD),
        "sgd": Registered(_SGD),
        "Momentum": Registered({"momentum": _number(), "use_nesterov": _switch(False), **_DECAYED}),
        "RMSProp": Registered(
            {
                "decay": _number(0.9),
                "momentum": _number(0.0),
                "epsilon": _number(1e-10),
                "centered": _switch(False),
                **_DECAYED,
            }
        ),
        "Adagrad": Registered(_ADAGRAD),
        "adagrad": Registered(_ADAGRAD),
        "ProximalAdagrad": Registered(
            {"accum": _number(0.1), "l1": _number(0.0), "l2": _number(0.0), **_DECAYED}
        ),
        "Adadelta": Registered({"rho": _number(0.9), "epsilon": _number(1e-6), **_DECAYED}),
        "Came": Registered(
            {
                "clip_threshold": _number(1.0),
                "decay_rate": _number(0.8),
                "beta1": _number(0.9),
                "beta3": _number(0.99),
                **_DECAYED,
            },
            elementwise=False,
        ),
    }
)

CALLBACKS: Mapping[str, Registered] = MappingProxyType(
    {
        "LossMonitor": Registered({"per_print_times": _count(1)}),
        "TimeMonitor": Registered({"data_size": _count(None), "data_time": _switch(False)}),
        "EarlyStopping": Registered(
            {
                "monitor": Argument("text", "eval_loss"),
                "min_delta": _number(0),
                "patience": _count(0),
                "verbose": _switch(False),
                "mode": Argument("text", "auto"),
                "baseline": _number(None),
            }
        ),
        "TrainCallBack": Registered({"stop_step": _count(None)}),
    }
)

_PART = "a part that others are built from, nothing to be used by itself"
_OWN_STEPS = (
    "it keeps step sizes of its own, so that lr_schedule would have no effect; use adamw or Adam"
)
_EXPERTS = "for mixture of experts, which the models here do not have"
_ASCEND = "for Ascend hardware of MindFormers' own jobs; the launcher here watches the processes"
_OUR_CHECKPOINTS = "checkpoints are those of callbacks.CheckpointMonitor"
_FUNCTION = "it needs a function, which a YAML cannot hold; pass a callback to Trainer instead"
_OWN_RATE = "it would change the learning rate behind lr_schedule; name a schedule there"
_CURVES = "metrics.jsonl and loss_curve.png of the output folder have the curves"

REFUSED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "lr_schedule": {
            "LearningRateWiseLayer": "it gives every layer a rate of its own around another "
            "schedule object; all parameters here have one rate",
            "LearningRateSchedule": _PART,
            "Cell": _PART,
        },
        "optimizer": {
            "ASGD": _OWN_STEPS,
            "Rprop": _OWN_STEPS,
            "AdaFactor": _OWN_STEPS,
            "adafactor": _OWN_STEPS,
            "FTRL": "it divides by the learning rate, so that a step with rate 0 (the first of a "
            "warm-up) makes every weight NaN; use Adagrad",
            "LARS": "it is put around another optimizer object; use SGD or adamw",
            "Muon": "it asks MindFormers' own models for their attention; use adamw",
            "PmaAdamW": "it averages weights behind the checkpoints' back; "
            "tools/convert_checkpoint.py averages checkpoints",
            "AdamOffload": "Adam whose state lies on the host; use Adam (ZeRO-1 divides its state)",
            "AdaSumByDeltaWeightWrapCell": _PART,
            "AdaSumByGradWrapCell": _PART,
            "OptTFTWrapper": _ASCEND,
            "Optimizer": _PART,
        },
        "callbacks": {
            "BackupAndRestore": _OUR_CHECKPOINTS,
            "ModelCheckpoint": _OUR_CHECKPOINTS,
            "Callback": _PART,
            "CallbackManager": _PART,
            "CheckpointConfig": _PART,
            "CheckpointManager": _PART,
            "InternalCallbackParam": _PART,
            "RunContext": _PART,
            "ColdHotExpertMonitor": _EXPERTS,
            "ExpertMigrateCallback": _EXPERTS,
            "MoEDropRateCallback": _EXPERTS,
            "TopkBiasBalanceCallback": _EXPERTS,
            "EvalCallBack": "evaluation is callbacks.EvalMonitor",
            "FlopsUtilizationCollector": "it counts operators of Ascend graphs; the log has "
            "tokens/s",
            "History": "it keeps values in memory only; metrics.jsonl has them",
            "LambdaCallback": _FUNCTION,
            "LearningRateScheduler": _FUNCTION,
            "MaxLogitsMonitor": "it reads attention of MindFormers' own models",
            "OnRequestExit": "SIGTERM and SIGINT end a run with a checkpoint anyway",
            "ProfileMonitor": "it drives MindSpore's profiler for MindFormers' training loop; set "
            "profile: True",
            "ReduceLROnPlateau": _OWN_RATE,
            "SDCMonitor": _ASCEND,
            "StressDetectCallBack": _ASCEND,
            "StressTestModelMonitor": _ASCEND,
            "TrainFaultTolerance": _ASCEND,
            "SummaryCollector": _CURVES,
            "SummaryLandscape": _CURVES,
            "SummaryMonitor": _CURVES,
            "TrainingStateMonitor": _CURVES,
            "ObsMonitor": "uploads follow remote_save_url",
        },
    }
)


def is_installed() -> bool:
    """Whether the package is there; it is not imported."""
    return find_spec(PACKAGE) is not None


def argument_problems(
    name: str, entry: Registered, given: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    """Yield (argument, what is wrong) for the arguments of one registered class."""
    for argument, value in given.items():
        known = entry.arguments.get(argument)
        if known is None:
            yield argument, f"unknown key; {name} takes {', '.join(entry.arguments) or 'none'}"
        elif not known.fits(value):
            kind = {"numbers": "a list of numbers", "integer": "an integer"}.get(
                known.kind, f"a {known.kind}" if known.kind != "text" else "text"
            )
            yield argument, f"expected {kind}, got {value!r}"
    for argument, known in entry.arguments.items():
        if known.default is REQUIRED and argument not in given:
            yield argument, f"{name} needs it"
