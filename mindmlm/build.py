"""The composition root: from a configuration to the parts of a run."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from mindmlm.build_data.masking import masking_settings, segmenter, segmenter_options
from mindmlm.build_data.records import reads_records, record_settings
from mindmlm.build_data.sources import corpus_sources
from mindmlm.checkpoint import Checkpoint
from mindmlm.config.schema import RunConfig
from mindmlm.data.batches import BatchLayout, EvalBatches, TrainBatches
from mindmlm.data.bucketing import BucketedBatches
from mindmlm.data.corpus_job import SampleSettings
from mindmlm.data.masking import VocabularyInfo
from mindmlm.data.prepare import CorpusSettings
from mindmlm.data.prepare_records import SampleStore
from mindmlm.data.row_store import RowStore
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.static_batches import StaticBatches
from mindmlm.data.store import TokenStore
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.inference.fill_mask import FillMask
from mindmlm.models.bert.dropout_sites import dropout_sites
from mindmlm.models.bert.heads import BertForMaskedLM
from mindmlm.models.dropout import keep_masks
from mindmlm.models.initialization import initial_value
from mindmlm.optim.adamw import AdamW, AdamWSettings
from mindmlm.optim.loss_scale import LossScale
from mindmlm.optim.schedules import Schedule, warmup_steps
from mindmlm.tasks.mlm import MaskedLMEvaluation, MaskedLMLoss, batch_arrays
from mindmlm.tokenizers.bert import BertTokenizer
from mindmlm.tokenizers.vocab_extension import extend_rows, pieces_of_new_tokens
from mindmlm.training.evaluation import Evaluator
from mindmlm.training.train_step import MicroBatch, Phase, TrainStep

logger = logging.getLogger(__name__)

VOCABULARY_ROWS = ("bert.embeddings.word", "head.bias")


def corpus_settings(config: RunConfig, spool_dir: Path) -> CorpusSettings:
    """Which text becomes which samples; standard input is read into `spool_dir`, so call it once.

    Raises:
        DataError: the text is not there or cannot be reached.
    """
    sources = corpus_sources(config, spool_dir)
    train, loader = config.train_dataset, config.train_dataset.data_loader
    return CorpusSettings(
        train=sources.train,
        evaluation=sources.evaluation,
        num_samples=loader.num_samples,
        eval_num_samples=config.eval_dataset.data_loader.num_samples,
        holdout_fraction=config.eval_dataset.holdout_fraction,
        samples=SampleSettings(
            sample_mode=train.sample_mode,
            max_seq_length=train.max_seq_length,
            segmenter=segmenter(config),
            segmenter_options=segmenter_options(config),
            reference_file=config.processor.reference_file,
            workers=train.num_parallel_workers,
            isolate_documents=isolates_documents(config),
        ),
        records=record_settings(config),
    )


def isolates_documents(config: RunConfig) -> bool:
    """Whether rows hold several documents that must not see each other."""
    train = config.train_dataset
    packs = train.sample_mode == "packed" and not reads_records(config)
    return packs and not train.attend_across_documents


def batch_layout(config: RunConfig) -> BatchLayout:
    """How a global batch is divided into micro-batches."""
    runner = config.runner_config
    return BatchLayout(runner.batch_size, runner.gradient_accumulation_steps)


def total_steps(config: RunConfig, num_samples: int) -> int:
    """Optimizer steps of the run: `max_steps`, or enough to see every sample `epochs` times."""
    runner = config.runner_config
    if runner.max_steps is not None:
        return runner.max_steps
    return math.ceil(runner.epochs * num_samples / batch_layout(config).global_batch_size)


def build_model(config: RunConfig, tokenizer: BertTokenizer) -> nn.Cell:
    """The model with its initial values.

    Raises:
        ConfigError: the embedding has fewer rows than the tokenizer has tokens.
    """
    settings = config.model.settings
    vocab_size = settings.vocab_size or tokenizer.vocab_size
    if vocab_size < tokenizer.vocab_size:
        raise ConfigError(
            f"model.model_config.vocab_size: {vocab_size} is less than the {tokenizer.vocab_size} "
            "tokens of the vocabulary; use null for the tokenizer's size, or a larger number"
        )
    return initialised(BertForMaskedLM(settings, vocab_size), config)


def initialised(model: nn.Cell, config: RunConfig) -> nn.Cell:
    """Give every parameter of `model` its initial value; returns the model."""
    for value in model.get_parameters():
        start = initial_value(
            value.name, value.shape, config.seed, config.model.settings.initializer_range
        )
        value.set_data(ms.Tensor(start))
    return model


def count_parameters(model: nn.Cell) -> int:
    """Number of values in all parameters."""
    return sum(math.prod(value.shape) for value in model.get_parameters())


def load_tensors(
    parameters: Iterable[Parameter],
    checkpoint: Checkpoint,
    group: str,
    resize: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> None:
    """Fill every parameter from a group of the checkpoint's tensors, strictly.

    Args:
        parameters: all of the model or the optimizer.
        checkpoint: where the tensors are.
        group: "model" or "optimizer".
        resize: name -> what makes the parameter's value of the checkpoint's, which may have
            another shape; see `vocabulary_extension`.

    Raises:
        CheckpointError: a tensor is missing, left over, or of another shape.
    """
    resize = resize or {}
    by_name = {value.name: value for value in parameters}
    records = checkpoint.records(group)
    problems = [f"missing: {name}" for name in by_name if name not in records]
    problems += [f"not in this model: {name}" for name in records if name not in by_name]
    problems += [
        f"{name}: {list(records[name].shape)} in the checkpoint, {list(value.shape)} in the model"
        for name, value in by_name.items()
        if name in records
        and name not in resize
        and tuple(records[name].shape) != tuple(value.shape)
    ]
    if problems:
        shown = "\n  ".join(problems[:8])
        more = f"\n  ... and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise CheckpointError(
            f"{checkpoint.path}: the weights do not fit the model of this configuration (is "
            f"--config the one it was trained with?):\n  {shown}{more}"
        )
    for name, array in checkpoint.iterate(group):
        value = resize[name](array) if name in resize else array
        by_name[name].set_data(ms.Tensor(value))


def vocabulary_extension(
    model: nn.Cell, old: Sequence[str], new: Sequence[str]
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What `load_tensors` needs when the vocabulary has grown from `old` to `new`.

    Rows of new tokens are the mean of the rows of the pieces they were divided into before.
    """
    pieces = pieces_of_new_tokens(old, new)
    return {
        value.name: partial(extend_rows, initial=value.asnumpy(), old_size=len(old), pieces=pieces)
        for value in model.get_parameters()
        if value.name in VOCABULARY_ROWS
    }


def tensors_of(parameters: Iterable[Parameter]) -> dict[str, np.ndarray]:
    """Parameters by name, as numpy arrays."""
    return {value.name: value.asnumpy() for value in parameters}


def build_optimizer(config: RunConfig, model: nn.Cell) -> AdamW:
    """AdamW over the trained parameters of `model`."""
    section = config.optimizer
    settings = AdamWSettings(section.beta1, section.beta2, section.eps, section.weight_decay)
    return AdamW(model.trainable_params(), settings)


def build_schedule(config: RunConfig, steps: int) -> Schedule:
    """Learning rate by step; `steps` is the length of the run.

    Raises:
        ConfigError: the warm-up is longer than the schedule.
    """
    section = config.lr_schedule
    length = section.total_steps or steps
    warmup = warmup_steps(section.warmup_steps, section.warmup_ratio, length)
    if warmup > length:
        raise ConfigError(
            f"lr_schedule.warmup_steps: {warmup} is more than the {length} steps of the run; lower "
            "it, or use lr_schedule.warmup_ratio"
        )
    return Schedule(
        section.type, section.learning_rate, section.lr_end, warmup, length, section.power
    )


def build_loss_scale(config: RunConfig) -> LossScale:
    """The loss scale at the start: 1 and fixed unless matrix products are float16."""
    section = config.runner_wrapper.scale_sense
    if section is None or config.model.settings.compute_dtype != "float16":
        return LossScale()
    grows = section.type == "DynamicLossScaleUpdateCell"
    factor = float(section.scale_factor) if grows else 1.0
    return LossScale(float(section.loss_scale_value), factor, section.scale_window)


def build_train_step(
    config: RunConfig, model: nn.Cell, optimizer: AdamW, steps: int, phase: Phase
) -> TrainStep:
    """One optimizer step of the masked-LM task."""
    return TrainStep(
        MaskedLMLoss(model, isolates_documents(config)),
        model.trainable_params(),
        optimizer,
        build_schedule(config, steps),
        config.runner_wrapper.max_grad_norm,
        phase,
    )


def build_batches(
    config: RunConfig, store: SampleStore, tokenizer: BertTokenizer
) -> Callable[[int], list[MicroBatch]]:
    """A function of the step: its micro-batches, masked, with their dropout masks."""
    batches = _sample_batches(config, store, tokenizer)
    sites = {length: dropout_sites(config.model.settings, length) for length in row_lengths(config)}

    def micro_batches(step: int) -> list[MicroBatch]:
        return [
            MicroBatch(
                inputs=batch_arrays(batch),
                keeps=keep_masks(
                    sites[batch.input_ids.shape[1]],
                    config.seed,
                    step,
                    batches.rows_in_global_batch(micro),
                ),
                weight=float(batch.masked_lm_weights.sum()),
                tokens=int(batch.input_mask.sum()),
            )
            for micro, batch in enumerate(batches.global_batch(step))
        ]

    return micro_batches


def _sample_batches(
    config: RunConfig, store: SampleStore, tokenizer: BertTokenizer
) -> TrainBatches | StaticBatches:
    section = config.train_dataset
    seed = config.seed if section.seed is None else section.seed
    shuffle = section.data_loader.shuffle
    order = GlobalOrder(store.num_samples, seed, shuffle)
    if isinstance(store, RowStore):
        if section.bucket_lengths:
            raise ConfigError(
                "train_dataset.bucket_lengths: rows that were masked when they were built have "
                "one length; build them with --dynamic, or remove bucket_lengths"
            )
        return StaticBatches(store, order, batch_layout(config))
    masking = masking_settings(config, tokenizer, store, total_steps(config, store.num_samples))
    vocabulary, layout = VocabularyInfo.from_tokenizer(tokenizer), batch_layout(config)
    if section.bucket_lengths:
        return BucketedBatches(
            store, masking, vocabulary, layout, row_lengths(config), seed, shuffle
        )
    return TrainBatches(store, order, masking, vocabulary, layout, section.max_seq_length, seed)


def row_lengths(config: RunConfig) -> list[int]:
    """The lengths that training rows have, ascending."""
    section = config.train_dataset
    return [*section.bucket_lengths, section.max_seq_length]


def build_evaluator(
    config: RunConfig, model: nn.Cell, store: TokenStore, tokenizer: BertTokenizer
) -> Evaluator:
    """Evaluation of the masked-LM task on all samples of `store`."""
    batches = EvalBatches(
        store,
        VocabularyInfo.from_tokenizer(tokenizer),
        config.eval_dataset.batch_size or config.runner_config.batch_size,
        config.train_dataset.max_seq_length,
    )

    return Evaluator(MaskedLMEvaluation(model), lambda: map(batch_arrays, batches))


def build_fill_mask(config: RunConfig, model: nn.Cell, tokenizer: BertTokenizer) -> FillMask:
    """Prediction of blanks."""
    positions = config.model.settings.max_position_embeddings
    return FillMask(model, tokenizer, positions, config.runner_config.batch_size)


def read_texts(predict_data: str | list[str]) -> list[str]:
    """The texts to predict: a list, the lines of a text file, or one text.

    Raises:
        ConfigError: the file has no text in it.
    """
    if isinstance(predict_data, list):
        return predict_data
    if not _names_a_file(predict_data):
        return [predict_data]
    try:
        lines = Path(predict_data).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"predict_data: {predict_data} is not UTF-8 text: {error}") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise ConfigError(f"predict_data: {predict_data} has no text in it")
    return texts


def _names_a_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
