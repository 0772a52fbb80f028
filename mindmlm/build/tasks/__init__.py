"""The tasks that a model can be trained for: by `trainer.type`, unless the head asks for more."""

from mindmlm.build.tasks.base import Corpus, Task
from mindmlm.build.tasks.causal_lm import CausalLMTask
from mindmlm.build.tasks.distillation import DistillationTask
from mindmlm.build.tasks.masked_lm import MaskedLMTask
from mindmlm.build.tasks.pretraining import PretrainingTask
from mindmlm.build.tasks.question_answering import QuestionAnsweringTask
from mindmlm.build.tasks.replaced_tokens import ReplacedTokenTask
from mindmlm.config.schema import RunConfig

TASKS: dict[str, type[Task]] = {
    "MaskedLanguageModelingTrainer": MaskedLMTask,
    "CausalLanguageModelingTrainer": CausalLMTask,
    "QuestionAnsweringTrainer": QuestionAnsweringTask,
    "ReplacedTokenDetectionTrainer": ReplacedTokenTask,
    "DistillationTrainer": DistillationTask,
}
# By `model.arch.type`: the same trainer, and more of a loss.
TASKS_OF_HEADS: dict[str, type[Task]] = {"BertForPreTraining": PretrainingTask}


def task_of(config: RunConfig) -> Task:
    """The task that a configuration asks for."""
    kind = TASKS_OF_HEADS.get(config.model.arch.type, TASKS[config.trainer.type])
    return kind(config)


__all__ = ["TASKS", "Corpus", "Task", "task_of"]
