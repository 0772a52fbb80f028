"""A run that MindSpore's semi-automatic engine divides (`parallel_mode` 1, Ascend).

The engine decides while it compiles which block of a parameter each rank has, so here the order is:
network without values, compile, ask for the blocks, then values.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, nn
from mindspore.nn.utils import no_init_parameters

from mindmlm.build.data import build_batches
from mindmlm.build.families import family_of
from mindmlm.build.model import ModelOnRank, initialise, vocabulary_rows
from mindmlm.build.training import moment_settings, step_settings
from mindmlm.config.schema import RunConfig
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.division import Block
from mindmlm.parallel.micro_batch import MicroBatch
from mindmlm.parallel.place import Place
from mindmlm.parallel.semi_auto.names import named_arrays
from mindmlm.parallel.semi_auto.network import Network, by_engine, in_micro_batches
from mindmlm.parallel.semi_auto.placement import EngineDivision, block_of, first_to_have
from mindmlm.parallel.semi_auto.plan import SemiAutoPlan
from mindmlm.planning.engine_plan import engine_plan, tensor_plan
from mindmlm.tokenizers.base import Tokenizer
from mindmlm.training.semi_auto_step import EngineAdamW, EngineStep, SemiAutoTrainStep
from mindmlm.training.train_step import Phase


@dataclass
class EngineModel(ModelOnRank):
    """A model whose blocks the engine has decided.

    Args:
        plan: what the engine was told.
        step: does a step on the device.
        compiled: `step` as the engine has divided it.
    """

    plan: SemiAutoPlan
    step: EngineStep
    compiled: nn.Cell

    def parameters(self) -> list[Parameter]:
        """Those of this rank's stage."""
        return [value for value in self.cell.get_parameters() if value.name in self.shapes]

    def state(self) -> list[Parameter]:
        """Optimizer state of this rank's stage."""
        trained = {value.name for value in self.step.weights}
        return [
            moment
            for moment in self.step.optimizer.state()
            if moment.name.partition(".")[2] in self.shapes.keys() & trained
        ]


def build_model(config: RunConfig, tokenizer: Tokenizer, place: Place) -> EngineModel:
    """Compile the step of all ranks and give this rank's blocks their initial values.

    Raises:
        ConfigError: the model cannot be cut as the configuration says.
    """
    vocab_size = vocabulary_rows(config, tokenizer)
    plan, family = engine_plan(config, vocab_size), family_of(config)
    with no_init_parameters():
        cell = family.model(config.model.settings, vocab_size)
        step = _step(config, plan, cell)
    compiled = by_engine(step, plan)
    compiled.set_train(True)
    compiled.compile(*(ms.Tensor(array) for array in _example(plan)))
    whole = {value.name: tuple(value.shape) for value in cell.get_parameters()}
    blocks = _blocks(plan, place, whole, compiled.parameter_layout_dict)
    model = EngineModel(
        cell,
        place,
        _division(config, plan, Agreement(place), blocks),
        {name: whole[name] for name in blocks},
        vocab_size,
        frozenset(whole),
        plan,
        step,
        compiled,
    )
    initialise(model, config)
    _clear_state(model)
    return model


def _step(config: RunConfig, plan: SemiAutoPlan, cell: nn.Cell) -> EngineStep:
    parameters = {value.name: value for value in cell.get_parameters()}
    network = in_micro_batches(Network(plan, parameters), plan)
    used = {value.name for block in plan.blocks for value in block.program.parameters}
    weights = ParameterTuple([value for name, value in parameters.items() if name in used])
    return EngineStep(
        network,
        EngineAdamW(weights, moment_settings(config)),
        config.runner_wrapper.max_grad_norm,
        sums=plan.engine.micro_batches > 1,
        cut=plan.engine.optimizer_shard,
    )


def _example(plan: SemiAutoPlan) -> list[np.ndarray]:
    """Arrays of the shapes and types that every step takes on this rank."""
    engine, arrays = plan.engine, []
    for value in plan.inputs:
        shape = value.shape
        if not engine.full_batch:
            shape = tuple(n // cut for n, cut in zip(shape, value.cuts, strict=True))
        is_float = value.name == "weights" or ".keep_" in value.name
        dtype = np.float32 if is_float else np.int32
        rows = engine.micro_batches * engine.interleaved * shape[0]
        arrays.append(np.zeros((rows, *shape[1:]), dtype))
    return arrays


def _blocks(
    plan: SemiAutoPlan,
    place: Place,
    whole: Mapping[str, tuple[int, ...]],
    layouts: Mapping[str, Sequence[Any]],
) -> dict[str, Block]:
    """Blocks of the parameters of this rank's stage, by what the engine says of each."""
    here = {
        value.name
        for block in plan.blocks
        if block.stage == place.at.stage
        for value in block.program.parameters
    }
    blocks = {}
    for name in (name for name in whole if name in here):
        layout = layouts.get(name, ())
        matrix, mapping = (layout[0], layout[1]) if layout else ((), ())
        blocks[name] = block_of(whole[name], matrix, mapping, place.rank, _shard(layout))
    return blocks


def _shard(layout: Sequence[Any]) -> tuple[int, int]:
    """Place in, and size of, the group over which the engine cuts a parameter for its optimizer."""
    group = layout[5] if len(layout) > 5 else ""
    if not group:
        return 0, 1
    from mindspore.communication import get_group_size, get_rank

    return get_rank(group), get_group_size(group)


def _division(
    config: RunConfig, plan: SemiAutoPlan, agreement: Agreement, blocks: dict[str, Block]
) -> EngineDivision:
    mine = {name: (block.start, block.shape) for name, block in blocks.items()}
    every = [json.loads(text) for text in agreement.texts(json.dumps(mine))]
    place = agreement.place
    return EngineDivision(
        place.layout,
        place.rank,
        tensor_plan(config),
        plan.engine.optimizer_shard,
        frozenset(plan.tied),
        blocks,
        frozenset(first_to_have(every, place.rank)),
    )


def _clear_state(model: EngineModel) -> None:
    """Zeros of the shape of each block: for moments and for sums of gradients."""
    by_name = {value.name: value.shape for value in model.parameters()}
    for value in (*model.state(), *model.step.sums):
        name = value.name.partition(".")[2]
        if name in by_name:
            value.set_data(ms.Tensor(np.zeros(by_name[name], np.float32)), slice_shape=True)


@dataclass
class EngineUpdater:
    """What changes the weights of one rank; see `build.training.Updater`."""

    model: EngineModel

    @property
    def names(self) -> list[str]:
        """Of the trained parameters that are here."""
        return [value.name for value in self.model.step.weights if value.name in self.model.shapes]

    @property
    def kinds(self) -> tuple[str, str]:
        """What the names of the optimizer's state begin with."""
        return self.model.step.optimizer.kinds

    def state(self) -> list[Parameter]:
        """Of the optimizer."""
        return self.model.state()


def build_updater(config: RunConfig, model: EngineModel) -> EngineUpdater:
    """Gradients and AdamW; the step that was compiled has them."""
    return EngineUpdater(model)


def build_train_step(
    config: RunConfig, updater: EngineUpdater, agreement: Agreement, steps: int, phase: Phase
) -> SemiAutoTrainStep:
    """One optimizer step of all ranks."""
    model = updater.model
    return SemiAutoTrainStep(
        model.compiled,
        model.step,
        _arrays_of(config, model),
        model.plan.engine.full_batch,
        agreement,
        step_settings(config, model, steps),
        phase,
    )


def _arrays_of(
    config: RunConfig, model: EngineModel
) -> Callable[[Sequence[MicroBatch], float], list[np.ndarray]]:
    """(micro-batches, weight of the global batch) -> what the network takes, all micro-batches."""
    settings = config.model.settings
    sites = family_of(config).dropout_sites(settings, config.train_dataset.max_seq_length)
    probabilities = [site.probability for site in sites]
    names = [value.name for value in model.plan.inputs]

    def arrays(micro_batches: Sequence[MicroBatch], total: float) -> list[np.ndarray]:
        parts = [
            named_arrays(config.model.arch.type, micro, probabilities, total)
            for micro in micro_batches
        ]
        return [np.concatenate([part[name] for part in parts]) for name in names]

    return arrays


def build_engine_batches(
    config: RunConfig, store: Any, tokenizer: Any, model: EngineModel
) -> Callable[[int], list[MicroBatch]]:
    """A function of the step: micro-batches of all ranks, or of this rank's data coordinate."""
    if not model.plan.engine.full_batch:
        return build_batches(config, store, tokenizer, model)
    runner = config.runner_config
    rows = runner.batch_size * model.place.layout.data_parallel
    as_one = {
        "use_parallel": False,
        "runner_config": runner.model_copy(update={"batch_size": rows}),
    }
    alone = replace(model, place=Place.alone())
    return build_batches(config.model_copy(update=as_one), store, tokenizer, alone)
