"""Keys of optimizer, learning rate, clipping and loss scale."""

from typing import Any

from mindmlm.config.from_mindformers.changes import Conversion

_ADAMW = {
    "adamw": "adamw",
    "fused_adamw": "adamw",
    "fp32_adamw": "adamw",
    "AdamWeightDecay": "adamw",
    "FusedAdamWeightDecay": "adamw",
    "FP32StateAdamWeightDecay": "adamw",
}
_CURVES = {
    "linear": "linear",
    "LinearWithWarmUpLR": "linear",
    "cosine": "cosine",
    "CosineWithWarmUpLR": "cosine",
    "polynomial": "polynomial",
    "PolynomialWithWarmUpLR": "polynomial",
    "constant_with_warmup": "constant",
    "ConstantWarmUpLR": "constant",
}
_RATE, _WRAPPER, _SENSE = "lr_schedule", "runner_wrapper", "runner_wrapper.scale_sense"


def training_rules(old: Conversion) -> None:
    """What is done with gradients."""
    _optimizer(old)
    _schedule(old)
    _scaled_rates(old)
    _clipping(old)
    _loss_scale(old)


def _optimizer(old: Conversion) -> None:
    kind = old.value("optimizer.type", "adamw")
    if kind not in _ADAMW:
        raise old.refuse(
            "optimizer.type",
            f"{kind} is not AdamW, and what it does cannot be written as AdamW; change it to "
            "adamw here and convert again, or name an optimizer of MindFormers in the new file "
            "(docs/mindformers.md)",
        )
    old.keep("optimizer.type", why="one AdamW; it is fused anyway", read=_ADAMW.get)
    betas = old.value("optimizer.betas")
    if isinstance(betas, list) and len(betas) == 2:
        old.drop("optimizer.betas", "written as beta1 and beta2")
        old.add("optimizer.beta1", betas[0], "the first of optimizer.betas")
        old.add("optimizer.beta2", betas[1], "the second of optimizer.betas")
    for name, default in (("beta1", 0.9), ("beta2", 0.999), ("eps", 1e-6), ("weight_decay", 0.0)):
        old.keep(f"optimizer.{name}")
        old.add(f"optimizer.{name}", default, "MindFormers' default")
    if not isinstance(old.value("optimizer.learning_rate"), dict):
        old.keep("optimizer.learning_rate", f"{_RATE}.learning_rate")


def _schedule(old: Conversion) -> None:
    # An optimizer may carry its schedule as a section.
    for name in ("type", "learning_rate", "warmup_steps", "warmup_ratio", "lr_end", "total_steps"):
        old.keep(f"optimizer.learning_rate.{name}", f"{_RATE}.{name}")
    kind = old.value(f"{_RATE}.type", old.values.get(f"{_RATE}.type", "constant_with_warmup"))
    if kind not in _CURVES:
        raise old.refuse(
            f"{_RATE}.type",
            f"{kind} is none of {', '.join(_CURVES)}; name a schedule of MindFormers in the new "
            "file (docs/mindformers.md) and convert with one of these",
        )
    old.keep(f"{_RATE}.type", why="the same curve by its name here", read=_CURVES.get)
    old.add(f"{_RATE}.type", _CURVES[kind], "MindFormers' default")
    for name in ("learning_rate", "lr_end", "power"):
        old.keep(f"{_RATE}.{name}")
    old.keep(f"{_RATE}.end_learning_rate", f"{_RATE}.lr_end")
    _warmup(old)
    old.keep(
        f"{_RATE}.total_steps",
        why="null: all steps of the run",
        read=lambda value: None if value == -1 else value,
    )
    old.keep(f"{_RATE}.decay_steps", f"{_RATE}.total_steps")
    if old.value(f"{_RATE}.num_cycles", 0.5) != 0.5:
        raise old.refuse(
            f"{_RATE}.num_cycles",
            "another number of waves than the half one; use MindFormers' CosineWithWarmUpLR in the "
            "new file (docs/mindformers.md)",
        )
    old.drop(f"{_RATE}.num_cycles", "half a wave, as here")
    for name in ("warmup_lr_init", "warmup_init_lr"):
        old.drop(f"{_RATE}.{name}", "the warm-up always begins at 0")


def _warmup(old: Conversion) -> None:
    epochs, steps = f"{_RATE}.warmup_epochs", f"{_RATE}.warmup_steps"
    ratio = f"{_RATE}.warmup_ratio"
    if old.value(epochs) is not None:
        length = old.value("runner_config.epochs", 1)
        old.drop(ratio, "warmup_epochs is set")
        old.keep(
            epochs,
            ratio,
            f"as a part of the {length} epochs of the run",
            lambda value: min(1.0, value / length),
        )
        old.drop(steps, "r0.3 worked it out from warmup_epochs")
    elif old.value(ratio) is not None:
        old.drop(steps, "warmup_ratio wins, as in r0.3")
    old.drop(epochs, "not set")
    old.keep(ratio)
    old.keep(steps)


def _scaled_rates(old: Conversion) -> None:
    rate = f"{_RATE}.learning_rate"
    if old.value("lr_scale"):
        degree = old.value("parallel_config.data_parallel", 1) if old.value("use_parallel") else 1
        batch = old.value("runner_config.batch_size", 1)
        factor = old.value("lr_scale_factor", 256)
        scaled = old.values.get(rate, 0.0) * batch * degree / factor
        old.values[rate] = scaled
        old.drop(
            "lr_scale",
            f"done already: {rate} is now {scaled:g}, times batch_size {batch} x data_parallel "
            f"{degree} / {factor}",
        )
    old.drop("lr_scale", "False: the learning rate is what lr_schedule says")
    old.drop("lr_scale_factor", "belongs to lr_scale")
    if old.value("layer_scale"):
        raise old.refuse(
            "layer_scale",
            "True: a learning rate for each layer does not exist here; set it to False and convert "
            "again to train all layers with one rate",
        )
    old.drop("layer_scale", "False: all layers have one learning rate")
    old.drop("layer_decay", "belongs to layer_scale")


def _clipping(old: Conversion) -> None:
    kind = old.value(f"{_WRAPPER}.type", "MFTrainOneStepCell")
    norm = f"{_WRAPPER}.max_grad_norm"
    old.drop(f"{_WRAPPER}.type", "there is one training step for all models and layouts")
    if old.value(f"{_WRAPPER}.use_clip_grad"):
        old.keep(norm)
        old.add(norm, 1.0, f"{_WRAPPER}.use_clip_grad True clips to 1.0")
        old.drop(f"{_WRAPPER}.use_clip_grad", f"written as {norm}")
    else:
        old.drop(norm, "use_clip_grad is not True, so nothing was clipped")
        old.drop(f"{_WRAPPER}.use_clip_grad", f"written as {norm}: null")
        old.add(norm, None, f"{kind} without use_clip_grad does not clip; 1.0 is the usual value")


def _loss_scale(old: Conversion) -> None:
    sense = old.value(_SENSE)
    if isinstance(sense, int | float) and not isinstance(sense, bool):
        old.drop(_SENSE, "a fixed scale, written as a section")
        _fixed(old, sense, f"the number of {_SENSE}")
    if old.has(f"{_WRAPPER}.sens"):
        value = old.value(f"{_WRAPPER}.sens")
        old.drop(
            f"{_WRAPPER}.sens",
            "r0.3 multiplied gradients by it and never divided, which AdamW undoes; here it is a "
            "loss scale that is taken out again",
        )
        _fixed(old, value, f"the number of {_WRAPPER}.sens")
    kinds = ("DynamicLossScaleUpdateCell", "FixedLossScaleUpdateCell")
    old.keep(
        f"{_SENSE}.type",
        why="the other kinds become the dynamic one",
        read=lambda kind: kind if kind in kinds else kinds[0],
    )
    for name in ("loss_scale_value", "scale_factor", "scale_window"):
        old.keep(f"{_SENSE}.{name}")
    old.drop(_SENSE, "not set")


def _fixed(old: Conversion, value: Any, why: str) -> None:
    old.add(f"{_SENSE}.type", "FixedLossScaleUpdateCell", why)
    old.add(f"{_SENSE}.loss_scale_value", value, why)
