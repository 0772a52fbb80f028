"""The tasks that a model can be trained for, by `trainer.type`."""

from mindmlm.build.tasks.base import Corpus, Task
from mindmlm.build.tasks.causal_lm import CausalLMTask
from mindmlm.build.tasks.distillation import DistillationTask
from mindmlm.build.tasks.masked_lm import MaskedLMTask
from mindmlm.build.tasks.question_answering import QuestionAnsweringTask
from mindmlm.config.schema import RunConfig

TASKS: dict[str, type[Task]] = {
    "MaskedLanguageModelingTrainer": MaskedLMTask,
    "CausalLanguageModelingTrainer": CausalLMTask,
    "QuestionAnsweringTrainer": QuestionAnsweringTask,
    "DistillationTrainer": DistillationTask,
}


def task_of(config: RunConfig) -> Task:
    """The task that a configuration asks for."""
    return TASKS[config.trainer.type](config)


__all__ = ["TASKS", "Corpus", "Task", "task_of"]
