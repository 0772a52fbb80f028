"""Training, evaluation and prediction as calls: what the command line runs."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mindspore import nn

from mindmlm import __version__, build
from mindmlm.checkpoint import Checkpoint, Resolved, resolve_checkpoint, save_checkpoint
from mindmlm.config import LoadedConfig
from mindmlm.config.render import to_plain
from mindmlm.config.schema import RunConfig
from mindmlm.data.loader import Prefetcher
from mindmlm.data.prepare import CorpusSettings, PreparedCorpus, prepare_corpus, prepare_evaluation
from mindmlm.data.vocabulary import train_vocab_file, write_vocab
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.optim.adamw import AdamW
from mindmlm.runtime.context import initialise
from mindmlm.runtime.files import write_text_atomic
from mindmlm.runtime.logging import setup_logging
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.tokenizers.bert import BertTokenizer, read_vocab
from mindmlm.tokenizers.vocab_extension import is_extension
from mindmlm.training.callbacks.checkpoint import CheckpointCallback
from mindmlm.training.callbacks.evaluation import EvaluationCallback
from mindmlm.training.callbacks.metrics import MetricsCallback
from mindmlm.training.callbacks.profile import ProfileCallback
from mindmlm.training.callbacks.progress import ProgressCallback
from mindmlm.training.interrupt import StopRequest
from mindmlm.training.loop import Callback, Run, fit
from mindmlm.training.metrics import MetricsWriter
from mindmlm.training.phases import PhaseTimer
from mindmlm.training.state import TrainState

logger = logging.getLogger(__name__)


def train(loaded: LoadedConfig, stop: StopRequest) -> bool:
    """Train (`run_mode` train) or fine-tune (finetune) as the configuration says.

    Returns:
        Whether the run was interrupted by `stop` before its end.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    folder = RunFolder(Path(loaded.config.output_dir))
    with folder.locked():
        setup_logging(folder.root)
        _start_device(loaded)
        start = _starting_point(loaded.config, folder)
        text = build.corpus_settings(loaded.config, folder.dataset_cache)
        tokenizer = training_tokenizer(loaded.config, folder, start, text)
        corpus = prepare_corpus(text, tokenizer, folder.dataset_cache, progress=True)
        logger.info("%s", corpus.summary())
        job = _TrainingJob.create(loaded.config, folder, tokenizer, corpus, start)
        return job.run(stop)


def evaluate(loaded: LoadedConfig) -> dict[str, float]:
    """Evaluate a checkpoint on the held-out text; the line is appended to `metrics.jsonl`.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    config = loaded.config
    folder = RunFolder(Path(config.output_dir))
    with folder.locked():
        setup_logging(folder.root)
        _start_device(loaded)
        checkpoint = _resolve(config).checkpoint
        tokenizer = _checkpoint_tokenizer(config, checkpoint)
        model = build.build_model(config, tokenizer)
        build.load_tensors(model.get_parameters(), checkpoint, "model")
        _warn_of_training_text(config, checkpoint)
        store, report = prepare_evaluation(
            build.corpus_settings(config, folder.dataset_cache),
            tokenizer,
            folder.dataset_cache,
            progress=True,
        )
        logger.info("evaluation text: %s", report.summary())
        result = build.build_evaluator(config, model, store, tokenizer).run()
        line = result.metrics(checkpoint.step)
        with MetricsWriter(folder.metrics) as writer:
            writer.write(line)
        return line


def _warn_of_training_text(config: RunConfig, checkpoint: Checkpoint) -> None:
    """Say so when the text to judge on is the one the weights were trained on."""
    trained_on = RunConfig.model_validate(checkpoint.config).train_dataset.data_loader.dataset_dir
    judged_on = config.eval_dataset.data_loader.dataset_dir
    if judged_on and trained_on and Path(judged_on).resolve() == Path(trained_on).resolve():
        logger.warning(
            "%s is the text this model was trained on, so the numbers flatter it; for the held-out "
            "part alone give --train_dataset.data_loader.dataset_dir instead of --dataset_dir",
            judged_on,
        )


def predict(loaded: LoadedConfig) -> list[dict[str, Any]]:
    """Fill the blanks of `predict_data` with a checkpoint's model; see `FillMask`.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    config = loaded.config
    _start_device(loaded)
    checkpoint = _resolve(config).checkpoint
    tokenizer = _checkpoint_tokenizer(config, checkpoint)
    model = build.build_model(config, tokenizer)
    build.load_tensors(model.get_parameters(), checkpoint, "model")
    assert config.predict_data is not None
    return build.build_fill_mask(config, model, tokenizer)(build.read_texts(config.predict_data))


def _start_device(loaded: LoadedConfig) -> None:
    context = loaded.config.context
    device = initialise(context.device_target, context.device_id, context.mode)
    loaded.require_device(device.target)


def _resolve(config: RunConfig) -> Resolved:
    resolved = resolve_checkpoint(config.load_checkpoint, Path(config.output_dir))
    for path, reason in resolved.refused:
        logger.warning("checkpoint %s was passed over: %s", path, reason)
    logger.info("checkpoint: %s", resolved.path)
    return resolved


def _starting_point(config: RunConfig, folder: RunFolder) -> Checkpoint | None:
    """The checkpoint to start from, if any.

    Raises:
        ConfigError: the output folder holds the checkpoints of another run than the one that goes
            on here.
    """
    checkpoint = _resolve(config).checkpoint if config.load_checkpoint else None
    same_run = (
        checkpoint is not None
        and config.run_mode == "train"
        and checkpoint.path.parent.resolve() == folder.checkpoints.resolve()
    )
    if folder.has_checkpoints() and not same_run:
        raise ConfigError(
            f"output_dir: {folder.root} holds the checkpoints of an earlier run; go on with it by "
            "--run_mode train --load_checkpoint latest, or choose another folder with --output_dir"
        )
    return checkpoint


def training_tokenizer(
    config: RunConfig, folder: RunFolder, start: Checkpoint | None, text: CorpusSettings
) -> BertTokenizer:
    """The given vocabulary, the one of the starting checkpoint, or one trained on the text."""
    section = config.processor.tokenizer
    if start is not None:
        tokenizer = _extended_tokenizer(config, start) or _checkpoint_tokenizer(config, start)
    elif section.vocab_file:
        tokenizer = BertTokenizer.from_vocab_file(Path(section.vocab_file), section.do_lower_case)
    else:
        assert text.train is not None
        logger.info("training a vocabulary of at most %d tokens", section.train_vocab_size)
        vocabulary = train_vocab_file(
            folder.vocabulary,
            text.train,
            section.train_vocab_size,
            section.do_lower_case,
            text.num_samples,
        )
        tokenizer = BertTokenizer(vocabulary, section.do_lower_case)
    write_vocab(tokenizer.vocab, folder.vocabulary)
    logger.info("vocabulary: %d tokens, %s", tokenizer.vocab_size, folder.vocabulary)
    return tokenizer


def _vocabulary_beside(checkpoint: Checkpoint) -> Path:
    """Where the run that wrote the checkpoint keeps its vocabulary."""
    return RunFolder(checkpoint.path.parent.parent).vocabulary


def _extended_tokenizer(config: RunConfig, start: Checkpoint) -> BertTokenizer | None:
    """The given vocabulary when it is the checkpoint's with more tokens at its end."""
    section, path = config.processor.tokenizer, _vocabulary_beside(start)
    if config.run_mode != "finetune" or not section.vocab_file or not path.is_file():
        return None
    old = BertTokenizer.from_vocab_file(path, section.do_lower_case)
    new = BertTokenizer.from_vocab_file(Path(section.vocab_file), section.do_lower_case)
    same = old.fingerprint() == start.state.get("tokenizer_fingerprint")
    if not same or new.vocab_size == old.vocab_size or not is_extension(old.vocab, new.vocab):
        return None
    logger.info(
        "%s has %d tokens more than the checkpoint; their rows start as the mean of their pieces",
        section.vocab_file,
        new.vocab_size - old.vocab_size,
    )
    return new


def _checkpoint_tokenizer(config: RunConfig, checkpoint: Checkpoint) -> BertTokenizer:
    """The tokenizer that the checkpoint's weights belong to.

    `processor.tokenizer.vocab_file` where it is given, else `vocab.txt` in the checkpoint's run.
    """
    section = config.processor.tokenizer
    beside = _vocabulary_beside(checkpoint)
    path = Path(section.vocab_file) if section.vocab_file else beside
    if not path.is_file():
        raise CheckpointError(
            f"{checkpoint.path}: its vocabulary is not at {beside}; name it with --vocab_file"
        )
    tokenizer = BertTokenizer.from_vocab_file(path, section.do_lower_case)
    expected = checkpoint.state.get("tokenizer_fingerprint")
    if expected != tokenizer.fingerprint():
        raise CheckpointError(
            f"{checkpoint.path}: was trained with another vocabulary than {path} (or with another "
            "processor.tokenizer.do_lower_case); name the right one with --vocab_file"
        )
    return tokenizer


@dataclass
class _TrainingJob:
    """One training run with all its parts."""

    config: RunConfig
    folder: RunFolder
    tokenizer: BertTokenizer
    corpus: PreparedCorpus
    model: nn.Cell
    optimizer: AdamW
    state: TrainState

    @classmethod
    def create(
        cls,
        config: RunConfig,
        folder: RunFolder,
        tokenizer: BertTokenizer,
        corpus: PreparedCorpus,
        start: Checkpoint | None,
    ) -> "_TrainingJob":
        """Build model and optimizer and bring them to the starting point."""
        model = build.build_model(config, tokenizer)
        optimizer = build.build_optimizer(config, model)
        state = TrainState(loss_scale=build.build_loss_scale(config))
        job = cls(config, folder, tokenizer, corpus, model, optimizer, state)
        if start is not None:
            job._load_weights(start)
        if start is not None and config.run_mode == "train":
            job._resume(start)
        return job

    def _load_weights(self, start: Checkpoint) -> None:
        """Take over the weights; a vocabulary that has grown gets rows for its new tokens."""
        resize = None
        if start.state.get("tokenizer_fingerprint") != self.tokenizer.fingerprint():
            old = read_vocab(_vocabulary_beside(start))
            resize = build.vocabulary_extension(self.model, old, self.tokenizer.vocab)
        build.load_tensors(self.model.get_parameters(), start, "model", resize)

    def _resume(self, start: Checkpoint) -> None:
        """Take over optimizer, counters and data position, bit for bit."""
        for key, value in self._identity().items():
            if start.state.get(key) != value:
                raise CheckpointError(
                    f"{start.path}: cannot go on from here: {key} was {start.state.get(key)!r} and "
                    f"is {value!r} now, so the data would not be the same; use the old settings, "
                    "or --run_mode finetune to take the weights only"
                )
        build.load_tensors(self.optimizer.state(), start, "optimizer")
        self.state = TrainState.from_dict(start.state)
        logger.info("resumed at step %d", self.state.step)

    def _identity(self) -> dict[str, Any]:
        """What must not change between the parts of one run."""
        lengths = self.config.train_dataset.bucket_lengths
        buckets = f" in buckets of {lengths}" if lengths else ""
        return {
            "seed": self.config.seed,
            "global_batch_size": build.batch_layout(self.config).global_batch_size,
            "data_fingerprint": self.corpus.fingerprint + buckets,
            "tokenizer_fingerprint": self.tokenizer.fingerprint(),
        }

    def run(self, stop: StopRequest) -> bool:
        """Train to the end or until `stop`; returns whether it was interrupted."""
        phases = PhaseTimer()
        steps = build.total_steps(self.config, self.corpus.train.num_samples)
        self._announce(steps)
        writer = self._metrics_writer()
        train_step = build.build_train_step(self.config, self.model, self.optimizer, steps, phases)
        evaluator = build.build_evaluator(
            self.config, self.model, self.corpus.evaluation, self.tokenizer
        )
        section = self.config.train_dataset
        make = build.build_batches(self.config, self.corpus.train, self.tokenizer)
        with Prefetcher(
            make, self.state.step, steps, section.num_parallel_workers, section.prefetch_size
        ) as batches:
            run = Run(
                state=self.state,
                train_step=train_step,
                next_batch=lambda: next(batches),
                total_steps=steps,
                global_batch_size=build.batch_layout(self.config).global_batch_size,
                samples_per_epoch=self.corpus.train.num_samples,
                evaluate=evaluator.run,
                save=lambda: self._save(writer),
                phases=phases,
            )
            return fit(run, self._callbacks(writer), stop)

    def _announce(self, steps: int) -> None:
        layout = build.batch_layout(self.config)
        logger.info(
            "%s: %s parameters; global batch %d = batch_size %d x data_parallel %d x "
            "micro_batch_num 1 x gradient_accumulation_steps %d; %d steps, output in %s",
            self.config.trainer.model_name,
            f"{build.count_parameters(self.model):,}",
            layout.global_batch_size,
            layout.batch_size,
            layout.data_parallel,
            layout.micro_batches,
            steps,
            self.folder.root,
        )
        if self.state.step >= steps:
            logger.info(
                "the run is already at step %d of %d; raise --max_steps or --epochs to go on",
                self.state.step,
                steps,
            )
        header = f"# written by mindmlm {__version__}; loads as --config\n"
        text = yaml.safe_dump(to_plain(self.config), allow_unicode=True, sort_keys=False)
        write_text_atomic(self.folder.config, header + text)

    def _metrics_writer(self) -> MetricsWriter:
        if self.state.step == 0:
            self.folder.set_old_metrics_aside()
        writer = MetricsWriter(self.folder.metrics)
        writer.truncate_after(self.state.step)
        return writer

    def _callbacks(self, writer: MetricsWriter) -> list[Callback]:
        section = self.config.callbacks
        callbacks: list[Callback] = [
            ProgressCallback(section.loss_monitor.per_print_times),
            EvaluationCallback(section.eval_monitor.eval_steps, writer),
            CheckpointCallback(section.checkpoint_monitor.save_checkpoint_steps),
        ]
        if self.config.profile:
            callbacks.append(ProfileCallback(self.folder.profile))
        return [MetricsCallback(writer), *callbacks]

    def _save(self, writer: MetricsWriter) -> Path:
        writer.sync()
        return save_checkpoint(
            self.folder.checkpoints,
            self.state.step,
            {
                "model": build.tensors_of(self.model.get_parameters()),
                "optimizer": build.tensors_of(self.optimizer.state()),
            },
            state={**self.state.to_dict(), **self._identity()},
            config=to_plain(self.config),
            keep_checkpoint_max=self.config.callbacks.checkpoint_monitor.keep_checkpoint_max,
        )


def to_json(value: object) -> str:
    """JSON for standard output, Chinese text as it is."""
    return json.dumps(value, ensure_ascii=False, indent=2)
