"""Evaluation on the terms of a domain."""

from typing import Any

from mindmlm.build.model import ModelOnRank
from mindmlm.build.tasks.masked_lm import MaskedLMTask
from mindmlm.config.schema import RunConfig
from mindmlm.data.masking import VocabularyInfo
from mindmlm.data.masking.terms import TermTable
from mindmlm.data.term_batches import TermBatches
from mindmlm.parallel.agreement import Agreement
from mindmlm.parallel.pipeline import StageForward, StageLinks
from mindmlm.training.evaluation import Evaluator


def build_term_evaluator(
    config: RunConfig,
    model: ModelOnRank,
    store: Any,
    tokenizer: Any,
    agreement: Agreement,
    terms: TermTable,
) -> Evaluator:
    """What judges a whole masked language model on terms that are hidden; see `TermBatches`."""
    task, place = MaskedLMTask(config), model.place
    batch_size = config.eval_dataset.batch_size or config.runner_config.batch_size
    length = config.train_dataset.max_seq_length
    vocabulary = VocabularyInfo.from_tokenizer(tokenizer)
    batches = TermBatches(store, vocabulary, batch_size, length, terms)
    links = StageLinks.of(place.layout, place.rank, config.model.settings.hidden_size)
    return Evaluator(
        StageForward(task.evaluation(model.cell), links),
        lambda: (task.evaluation_arrays(batches.batch(n)) for n in range(len(batches))),
        agreement,
        lambda sums: task.measures(store, sums),
        task.number_of_sums,
    )
