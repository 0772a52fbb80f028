"""`pipeline`: a model that is loaded once and asked many times."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindmlm.checkpoint import recorded_config
from mindmlm.config import LoadedConfig, load_config
from mindmlm.config.named_runs import NamedTask, named_run, named_task, task_name
from mindmlm.config.python_settings import Setting, section_of, settings_layer
from mindmlm.conversion.names import resolve_name
from mindmlm.conversion.recognise import is_own
from mindmlm.errors import ConfigError
from mindmlm.runtime.environment import prepare_environment
from mindmlm.trainer.inputs import (
    answer_settings,
    is_network,
    network_settings,
    tokenizer_settings,
)

# Sections of a run that its model answers by; what is not here, texts above all, is not needed.
_OF_THE_MODEL = ("model", "trainer", "generation", "metric")
_OF_ROWS = ("max_seq_length", "doc_stride", "max_question_length")


class Pipeline:
    """A model with its tokenizer; `pipeline` makes it.

    Attributes:
        task: its name.
    """

    def __init__(
        self, task: str, predictor: Callable[[Sequence[Any]], list[dict[str, Any]]]
    ) -> None:
        self.task = task
        self._predictor = predictor

    def __call__(self, inputs: str | Mapping[str, str] | Iterable[Any]) -> list[dict[str, Any]]:
        """Answer one input, or many in batches.

        Args:
            inputs: a text, never the name of a file, or several; for question answering also
                mappings with `context` and `question`.

        Returns:
            A dict for each answer, in the order of the inputs: what `Trainer.predict` returns.

        Raises:
            DataError: an input is none for this task; the message has its number.
        """
        one = isinstance(inputs, str | Mapping)
        return self._predictor([inputs] if one else list(inputs))

    def __repr__(self) -> str:
        return f"Pipeline({self.task!r})"


def pipeline(
    task: str,
    model: Any = None,
    tokenizer: Any = None,
    batch_size: int | None = None,
    **settings: Any,
) -> Pipeline:
    """Load a model once, to be asked many times.

        fill = pipeline("fill_mask", model="./output")
        fill("今天天气很[MASK]")
        fill(["天[MASK]", "[MASK]气"])

    Args:
        task: fill_mask, replaced_tokens, text_generation or question_answering.
        model: a checkpoint as `load_checkpoint` names one: a run's output folder, one step in it, a
            folder or file of another library, a name in $MINDMLM_HOME (None = the task's name:
            bert_base_uncased, electra_small, gpt2, qa_bert_base_uncased). Or a network.
        tokenizer: a vocabulary's path or folder, or a tokenizer; None = the checkpoint's own.
        batch_size: inputs of one pass.
        settings: as for `Trainer.predict`.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    named = named_task(task)
    prepare_environment()
    network = model if is_network(model) else None
    if network is None and model is not None and not isinstance(model, str | Path):
        raise ConfigError(
            f"pipeline: model is a {type(model).__name__}; expected the path or name of a "
            "checkpoint, or a network"
        )
    given = [
        Setting("pipeline", "run_mode", "predict"),
        *answer_settings(task, settings, "pipeline"),
    ]
    if batch_size is not None:
        given.append(Setting("pipeline(batch_size)", "runner_config.batch_size", batch_size))
    if network is not None:
        given += network_settings(network, "pipeline(model)")
        own = None
    else:
        path = resolve_name(str(model or named.model))
        given.append(Setting("pipeline(model)", "load_checkpoint", path))
        own = recorded_config(path) if is_own(path) else None
    with tempfile.TemporaryDirectory(prefix="mindmlm-") as folder:
        if tokenizer is not None:
            default = load_config(named_run(named.model), require_inputs=False).config
            kind = default.processor.tokenizer.type
            given += tokenizer_settings(tokenizer, kind, Path(folder))
        loaded = _load(task, named, own, given)
        from mindmlm import jobs

        return Pipeline(task, jobs.open_predictor(loaded, jobs.Given(model=network)))


def _load(
    task: str, named: NamedTask, own: dict[str, Any] | None, given: Sequence[Setting]
) -> LoadedConfig:
    """The configuration of a prediction: of the run that made the checkpoint, or the task's."""
    base = [] if own is None else [section_of(_of_the_run(own), "config of the checkpoint")]
    loaded = load_config(
        named_run(named.model) if own is None else None,
        layers=[*base, settings_layer(given)],
        provided=("predict_data", "load_checkpoint"),
    )
    found = loaded.config.trainer.type
    if found != named.trainer:
        raise ConfigError(
            f"pipeline: the checkpoint is one of task {task_name(found)}, not {task}; write "
            f"pipeline({task_name(found)!r}, ...)"
        )
    return loaded


def _of_the_run(config: dict[str, Any]) -> dict[str, Any]:
    """What of a run's configuration its model is asked with."""
    tokenizer = dict(config["processor"]["tokenizer"], vocab_file="", merges_file="")
    rows = config["train_dataset"]
    return {
        **{name: config[name] for name in _OF_THE_MODEL if name in config},
        "processor": {"tokenizer": tokenizer},
        "train_dataset": {
            "data_loader": {"type": rows["data_loader"]["type"]},
            **{name: rows[name] for name in _OF_ROWS if name in rows},
        },
        "runner_config": {"batch_size": config["runner_config"]["batch_size"]},
    }
