"""A checkpoint of ours in the files that another layout of processes would write."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mindmlm.checkpoint.manifest import SliceRecord
from mindmlm.checkpoint.shards import Shard, StoredSlice, TensorSpec, stream_safetensors
from mindmlm.conversion.architectures import Architecture, architecture_with
from mindmlm.conversion.converted_model import Exported
from mindmlm.errors import CheckpointError
from mindmlm.parallel.balance import balance
from mindmlm.parallel.division import Block, Division
from mindmlm.parallel.layout import ParallelLayout

MODEL = "model"


@dataclass(frozen=True)
class FileLayout:
    """How a checkpoint is divided into files, in the words of `parallel_config`."""

    grid: ParallelLayout = field(default_factory=ParallelLayout)
    optimizer_shard: bool = False
    vocab_emb_dp: bool = True

    def record(self) -> dict[str, int]:
        """Return the layout as a manifest remembers it."""
        return {
            "data_parallel": self.grid.data_parallel,
            "model_parallel": self.grid.model_parallel,
            "pipeline_stage": self.grid.pipeline_stage,
        }

    def division(self, rank: int, model: Architecture) -> Division:
        """Return what a rank holds and saves of a model."""
        plan = model.tensor_plan
        if not self.vocab_emb_dp:
            plan = plan + model.vocabulary_plan
        return Division(self.grid, rank, plan, self.optimizer_shard, frozenset({model.word}))


def write_shards(folder: Path, groups: Mapping[str, Exported], layout: FileLayout) -> list[Shard]:
    """Write the blocks of every rank into ``folder``, one file for each rank and group.

    Args:
        folder: made by `begin_checkpoint`.
        groups: whole tensors: `model`, and `optimizer`, whose names end with the parameters'.
        layout: of the files.

    Raises:
        OSError: a file cannot be written.
    """
    parameters = list(groups[MODEL].specs)
    stages = stages_of(parameters, layout.grid.pipeline_stage)
    shards = []
    for group, tensors in groups.items():
        owners = {
            name: name if group == MODEL else _owner(name, parameters) for name in tensors.specs
        }
        for rank in range(layout.grid.world_size):
            division = layout.division(rank, architecture_with(parameters))
            blocks = {
                name: block
                for name, spec in tensors.specs.items()
                if stages.get(owners[name], 0) == division.at.stage
                and (block := _block(group, owners[name], spec, division)) is not None
            }
            if blocks:
                shards.append(_write(folder, group, rank, tensors, blocks))
    return shards


def stages_of(parameters: list[str], count: int) -> dict[str, int]:
    """Return the pipeline stage of each parameter: layers evenly, what follows them in the last.

    Raises:
        CheckpointError: there are fewer layers than stages.
    """
    layers = {name: int(found[1]) for name in parameters if (found := _layer(name))}
    number = max(layers.values(), default=-1) + 1
    if count > max(1, number):
        raise CheckpointError(f"--pipeline_stage {count}: the model has {number} layers only")
    spans = balance([1.0] * number, count) if count > 1 else [(0, number)]
    of_layer = {n: stage for stage, (start, stop) in enumerate(spans) for n in range(start, stop)}
    return {
        name: of_layer[layers[name]]
        if name in layers
        else (0 if ".embeddings." in name else count - 1)
        for name in parameters
    }


def _layer(name: str) -> re.Match[str] | None:
    return re.search(r"\.layers\.(\d+)\.", name)


def _owner(name: str, parameters: list[str]) -> str:
    """Return the parameter that a tensor of the optimizer belongs to, or "" for none."""
    return max((p for p in parameters if name.endswith(p)), key=len, default="")


def _block(group: str, owner: str, spec: TensorSpec, division: Division) -> Block | None:
    """Return the block that the rank saves; None when another one does."""
    if not owner:
        return Block.all_of(spec.shape) if division.rank == 0 else None
    if group == MODEL:
        answers, block = division.answers_for_weight(owner), division.weight(owner, spec.shape)
    else:
        answers = division.answers_for_state(owner, spec.shape)
        block = division.state(owner, spec.shape)
    return block if answers and block.size else None


def _write(
    folder: Path, group: str, rank: int, tensors: Exported, blocks: Mapping[str, Block]
) -> Shard:
    file = f"{group}.rank_{rank:05d}.safetensors"
    specs = {name: TensorSpec(tensors.specs[name].dtype, b.shape) for name, b in blocks.items()}
    record = stream_safetensors(
        folder / file, specs, lambda name: tensors.read(name)[blocks[name].slices]
    )
    slices = {
        name: StoredSlice(
            specs[name].dtype,
            block.whole,
            SliceRecord(file=file, start=list(block.start), shape=list(block.shape)),
        )
        for name, block in blocks.items()
    }
    return Shard(group, file, record, slices)
