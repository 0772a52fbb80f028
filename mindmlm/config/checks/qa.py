"""Question answering: its files, its rows, and what goes only with it."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

ARCHITECTURE, LOADER = "BertForQuestionAnswering", "SQuADDataLoader"
_DATA = "train_dataset"
# [CLS] question [SEP] window [SEP]
_SPECIAL_TOKENS = 3


def answers_questions(config: RunConfig) -> bool:
    """Return whether a run is about questions."""
    return config.model.arch.type == ARCHITECTURE


def questions_are_read(config: RunConfig) -> Iterator[Problem]:
    """Files of questions are for the model that answers them, and for no other."""
    found = config.train_dataset.data_loader.type
    if answers_questions(config) and found != LOADER:
        yield Problem(
            f"{_DATA}.data_loader.type",
            f"model.arch.type {ARCHITECTURE} reads questions; use {LOADER}, not {found}",
        )
    elif found == LOADER and not answers_questions(config):
        yield Problem(
            f"{_DATA}.data_loader.type",
            f"{LOADER} reads questions, and model.arch.type is {config.model.arch.type}; use "
            f"{ARCHITECTURE} (configs/qa/run_qa_bert_base_uncased.yaml)",
        )


def windows_advance(config: RunConfig) -> Iterator[Problem]:
    """Each window over a context shows something that the one before did not."""
    if not answers_questions(config):
        return
    data = config.train_dataset
    room = data.max_seq_length - data.max_question_length - _SPECIAL_TOKENS
    if room < 1:
        yield Problem(
            f"{_DATA}.max_question_length",
            f"a question of {data.max_question_length} tokens leaves no room for the text in a row "
            f"of max_seq_length {data.max_seq_length} (three tokens are [CLS] and [SEP]); use at "
            f"most {max(data.max_seq_length - _SPECIAL_TOKENS - 1, 1)}",
        )
    elif data.doc_stride >= room:
        yield Problem(
            f"{_DATA}.doc_stride",
            f"windows that share {data.doc_stride} tokens do not advance: beside a question of "
            f"{data.max_question_length} tokens a row of max_seq_length {data.max_seq_length} has "
            f"room for {room}; use at most {room - 1}",
        )


def answers_are_kept(config: RunConfig) -> Iterator[Problem]:
    """No more answers can be given than are kept."""
    metric = config.metric
    if metric.top_k > metric.n_best_size:
        yield Problem(
            "metric.top_k",
            f"{metric.top_k} answers are more than the {metric.n_best_size} that n_best_size "
            "keeps; raise it, or give fewer",
        )


def questions_have_an_engine(config: RunConfig) -> Iterator[Problem]:
    """The graphs of mode 1 are those of language models."""
    if answers_questions(config) and config.use_parallel and config.parallel_mode == 1:
        yield Problem(
            "parallel.parallel_mode",
            "1 (semi_auto_parallel) trains language models only; use 3 (hybrid_parallel) or 0 "
            "(data_parallel) for question answering",
        )


def questions_have_a_vocabulary(config: RunConfig) -> Iterator[Problem]:
    """Questions are no text to train a vocabulary on."""
    named = config.processor.tokenizer.vocab_file or config.load_checkpoint
    if answers_questions(config) and config.run_mode == "train" and not named:
        yield Problem(
            "processor.tokenizer.vocab_file",
            "question answering starts from a model (--load_checkpoint, with --run_mode finetune) "
            "or at least from a vocabulary; add --vocab_file vocab.txt",
        )
