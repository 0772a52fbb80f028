"""A student beside its teacher: size, speed and quality on the text that the run held out."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm import build
from mindmlm.build.teacher import check_vocabulary, open_teacher
from mindmlm.config import load_config
from mindmlm.config.checks.distillation import distils
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.starting_point import ForeignCheckpoint
from mindmlm.errors import ConfigError
from mindmlm.jobs.session import Session, open_session
from mindmlm.jobs.start import AnyCheckpoint, load_checkpoint
from mindmlm.parallel.pipeline import StageForward
from mindmlm.tokenizers.files import load_tokenizer_from
from mindmlm.training.evaluation import Evaluator

# Passes that are timed, after the evaluation has compiled the graph.
_TIMED = 20
_BYTES = 4


@dataclass(frozen=True)
class Measured:
    """One model.

    Attributes:
        checkpoint: where its weights are.
        layers: Transformer layers.
        parameters: values in all weights.
        weight_bytes: of its weights in float32, which is the size of their file.
        rows_per_second: of the forward pass with the head on the predicted positions.
        loss, perplexity, masked_accuracy: on the held-out text.
    """

    checkpoint: str
    layers: int
    parameters: int
    weight_bytes: int
    rows_per_second: float
    loss: float
    perplexity: float
    masked_accuracy: float


@dataclass(frozen=True)
class DistillationReport:
    """Both models.

    Attributes:
        output_dir: of the run.
        positions: hidden tokens of the held-out text.
        batch_size, max_seq_length: of the rows that were timed.
        teacher, student: see `Measured`.
    """

    output_dir: str
    positions: int
    batch_size: int
    max_seq_length: int
    teacher: Measured
    student: Measured

    def to_dict(self) -> dict[str, Any]:
        """JSON's types; `ratio` is the student's share of the teacher's, number by number."""
        content = asdict(self)
        teacher, student = content["teacher"], content["student"]
        numbers = [name for name, value in teacher.items() if not isinstance(value, str)]
        content["ratio"] = {
            name: student[name] / teacher[name] if teacher[name] else None for name in numbers
        }
        return content


def report_distillation(output_dir: Path) -> DistillationReport:
    """Measure the newest checkpoint of a distillation and its teacher, one after the other.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    config_file = output_dir / "config.yaml"
    if not config_file.is_file():
        raise ConfigError(f"{config_file}: no such file; name the --output_dir of a run")
    flags: dict[str, object] = {
        "run_mode": "eval",
        "output_dir": str(output_dir),
        "load_checkpoint": str(output_dir),
        "vocab_file": str(output_dir / "vocab.txt"),
        "use_parallel": "False",
    }
    loaded = load_config(config_file, flags=flags)
    config = loaded.config
    if not distils(config):
        raise ConfigError(
            f"{config_file}: trainer.type is {config.trainer.type}, and this report is about "
            "DistillationTrainer; python -m mindmlm report shows other runs"
        )
    with open_session(loaded) as session:
        texts, student = _texts(session), load_checkpoint(session)[1]
        teacher = open_teacher(config)
        check_vocabulary(texts.tokenizer, teacher)
        taught = config.model.model_copy(update={"settings": teacher.settings})
        weights = ForeignCheckpoint(teacher.path, teacher.model, teacher.tokenizer)
        return DistillationReport(
            output_dir=str(output_dir),
            batch_size=texts.batch_size(config),
            max_seq_length=config.train_dataset.max_seq_length,
            teacher=texts.measured(config.model_copy(update={"model": taught}), weights),
            student=texts.measured(config, student),
            positions=texts.positions,
        )


@dataclass
class _Texts:
    """The held-out text, and models that are measured on it."""

    session: Session
    tokenizer: Any
    store: Any
    positions: int = 0

    @staticmethod
    def batch_size(config: RunConfig) -> int:
        return config.eval_dataset.batch_size or config.runner_config.batch_size

    def measured(self, config: RunConfig, checkpoint: AnyCheckpoint) -> Measured:
        """Build a model, load it and measure it."""
        session = self.session
        model = build.build_model(config, self.tokenizer, session.place)
        build.load_model(model, checkpoint)
        evaluator = build.build_evaluator(
            config, model, self.store, self.tokenizer, session.agreement
        )
        assert isinstance(evaluator, Evaluator)
        result = evaluator.run()
        self.positions = result.positions
        parameters = model.number_of_parameters()
        return Measured(
            checkpoint=str(checkpoint.path),
            layers=config.model.settings.num_hidden_layers,
            parameters=parameters,
            weight_bytes=_BYTES * parameters,
            rows_per_second=self._speed(config, evaluator.forward),
            loss=result.values["loss"],
            perplexity=result.values["perplexity"],
            masked_accuracy=result.values["masked_accuracy"],
        )

    def _speed(self, config: RunConfig, forward: StageForward) -> float:
        """Rows a second of the forward pass: the median over repetitions of a batch."""
        task, size = build.task_of(config), self.batch_size(config)
        batches = task.evaluation_batches(self.store, self.tokenizer, size)
        arrays = task.evaluation_arrays(batches.batch(0))
        return size / float(np.median([_seconds(forward, arrays) for _ in range(_TIMED)]))


def _seconds(forward: StageForward, arrays: tuple[np.ndarray, ...]) -> float:
    start = time.perf_counter()
    outputs = forward(arrays, arrays[0].size)
    assert outputs is not None
    outputs[0].asnumpy()
    return time.perf_counter() - start


def _texts(session: Session) -> _Texts:
    """Prepare the text that the run held out, or its evaluation text."""
    config, cache = session.config, session.folder.dataset_cache
    tokenizer = load_tokenizer_from(session.folder.root, config.processor.tokenizer)
    task = build.task_of(config)
    data = build.corpus_settings(config, cache)
    store, _ = task.prepare_evaluation(data, tokenizer, cache, progress=True)
    return _Texts(session, tokenizer, store)


_LABELS = {
    "layers": ("layers", "{:,}"),
    "parameters": ("parameters", "{:,}"),
    "weight_bytes": ("weights in float32, MB", "{:,.1f}"),
    "rows_per_second": ("rows a second, forward", "{:,.1f}"),
    "perplexity": ("held-out perplexity", "{:,.2f}"),
    "masked_accuracy": ("masked accuracy", "{:.2%}"),
}
_MEGABYTE = 1e6


def as_text(report: DistillationReport) -> str:
    """Return the report for people."""
    content = report.to_dict()
    lines = [["", "teacher", "student", "student / teacher"]]
    for name, (label, form) in _LABELS.items():
        cells = [content[role][name] for role in ("teacher", "student")]
        if name == "weight_bytes":
            cells = [cell / _MEGABYTE for cell in cells]
        lines.append([label, *(_shown(cell, form) for cell in cells), _ratio(content, name)])
    table = [row[0].ljust(26) + "".join(cell.rjust(18) for cell in row[1:]) for row in lines]
    rows = f"rows of {report.max_seq_length} tokens, {report.batch_size} at a time"
    return "\n".join(
        [*table, "", f"{report.positions:,} hidden tokens of the held-out text; {rows}"]
    )


def _shown(value: float, form: str) -> str:
    return form.format(value) if math.isfinite(value) else "not finite"


def _ratio(content: dict[str, Any], name: str) -> str:
    ratio = content["ratio"][name]
    return "-" if ratio is None else f"{ratio:.2f}"
