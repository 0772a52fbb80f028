"""The shipped configurations by name, and the tasks by the names that users write."""

from dataclasses import dataclass
from pathlib import Path

from mindmlm.config.problems import nearest
from mindmlm.errors import ConfigError

_PREFIX = "run_"


@dataclass(frozen=True)
class NamedTask:
    """What the name of a task stands for.

    Attributes:
        trainer: its `trainer.type`.
        model: name of the model that is meant when none is given.
        section: the section with the settings of its answers; empty where there are none.
        row_keys: keys of `train_dataset` by which inputs become rows of the model.
    """

    trainer: str
    model: str
    section: str = ""
    row_keys: tuple[str, ...] = ()

    def key(self, name: str) -> str:
        """Return the key of a setting of its answers."""
        section = "train_dataset" if name in self.row_keys else self.section
        return f"{section}.{name}"


TASKS = {
    "fill_mask": NamedTask("MaskedLanguageModelingTrainer", "bert_base_uncased"),
    "replaced_tokens": NamedTask("ReplacedTokenDetectionTrainer", "electra_small"),
    "distillation": NamedTask("DistillationTrainer", "distill_6l_base_uncased", "distillation"),
    "text_generation": NamedTask("CausalLanguageModelingTrainer", "gpt2", "generation"),
    "question_answering": NamedTask(
        "QuestionAnsweringTrainer",
        "qa_bert_base_uncased",
        "metric",
        ("max_seq_length", "doc_stride", "max_question_length", "max_question_len"),
    ),
}


def named_task(name: str) -> NamedTask:
    """Return the task of a name.

    Raises:
        ConfigError: there is none.
    """
    if name not in TASKS:
        raise ConfigError(f"task: {name!r} is none of {', '.join(TASKS)}{nearest(name, TASKS)}")
    return TASKS[name]


def task_name(trainer: str) -> str:
    """Return the name of the task with this `trainer.type`."""
    return next(name for name, task in TASKS.items() if task.trainer == trainer)


def named_runs() -> dict[str, Path]:
    """Return the shipped configurations: ``bert_tiny_zh`` -> ``.../bert/run_bert_tiny_zh.yaml``."""
    paths = sorted(_folder().glob(f"*/{_PREFIX}*.yaml"))
    return {path.stem.removeprefix(_PREFIX): path for path in paths}


def named_run(name: str) -> Path:
    """Return the configuration of a model's name.

    Raises:
        ConfigError: there is none of that name.
    """
    runs = named_runs()
    if name not in runs:
        raise ConfigError(
            f"model: no configuration is called {name!r}{nearest(name, runs)}; there are "
            f"{', '.join(runs)}"
        )
    return runs[name]


def _folder() -> Path:
    """Return ``configs`` in an installed package, or beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"
