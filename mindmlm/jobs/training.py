"""Training, from the starting point to the last checkpoint."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mindmlm import __version__, build
from mindmlm.checkpoint import Checkpoint, SharedSave
from mindmlm.config import LoadedConfig
from mindmlm.config.parallel_notes import parallel_notes
from mindmlm.config.render import to_plain
from mindmlm.config.schema import RunConfig
from mindmlm.data.loader import Prefetcher
from mindmlm.data.prepare import CorpusSettings
from mindmlm.errors import CheckpointError
from mindmlm.jobs.given import NOTHING, Given
from mindmlm.jobs.replicas import check_replicas
from mindmlm.jobs.session import Session, open_session
from mindmlm.jobs.start import AnyCheckpoint, folder_of_run, starting_point, training_tokenizer
from mindmlm.runtime.files import write_text_atomic
from mindmlm.runtime.launch.heartbeat import Heartbeat
from mindmlm.tokenizers.files import AnyTokenizer, load_tokenizer_from
from mindmlm.training.callbacks.checkpoint import CheckpointCallback
from mindmlm.training.callbacks.evaluation import EvaluationCallback
from mindmlm.training.callbacks.metrics import MetricsCallback
from mindmlm.training.callbacks.profile import ProfileCallback
from mindmlm.training.callbacks.progress import ProgressCallback
from mindmlm.training.loop import Callback, Run, StopFlag, fit
from mindmlm.training.metrics import MetricsWriter, NoMetrics
from mindmlm.training.phases import PhaseTimer
from mindmlm.training.state import TrainState

logger = logging.getLogger(__name__)

# Key of a checkpoint's state: what the first part of the run started from; "" = its own first
# weights, null = nobody knows (a network of a Python program, or an older version).
BEGAN_WITH = "began_with"


def train(loaded: LoadedConfig, stop: StopFlag, given: Given = NOTHING) -> bool:
    """Train (`run_mode` train) or fine-tune (finetune) as the configuration says.

    Args:
        loaded: the configuration.
        stop: ends the run after a step, with a checkpoint.
        given: objects beside the configuration.

    Returns:
        Whether the run was interrupted by `stop`, on this rank or another, before its end.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    with open_session(loaded) as opened:
        session, start = starting_point(opened)
        tokenizer, corpus = prepared_data(session, start)
        logger.info("%s", corpus.summary())
        job = _TrainingJob.create(session, tokenizer, corpus, start, given)
        return job.run(stop)


def prepared_data(
    session: Session, start: AnyCheckpoint | None
) -> tuple[AnyTokenizer, build.Corpus]:
    """The tokenizer of a training run and its samples, made or found in the cache.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    cache = session.folder.dataset_cache
    with session.main_first():
        text = build.corpus_settings(session.config, cache)
        tokenizer = shared_tokenizer(session, start, text)
        task = build.task_of(session.config)
        corpus = task.prepare(text, tokenizer, cache, progress=session.place.is_main)
    return tokenizer, corpus


def shared_tokenizer(
    session: Session, start: AnyCheckpoint | None, text: CorpusSettings
) -> AnyTokenizer:
    """What rank 0 chooses and writes to the output folder, where the others read it."""
    config, folder = session.config, session.folder
    if session.place.is_main:
        return training_tokenizer(config, folder, start, text)
    return load_tokenizer_from(folder.root, config.processor.tokenizer)


@dataclass
class _TrainingJob:
    """One training run with all its parts on this rank.

    Attributes:
        of_task: what the task adds to `_identity`.
        began_with: see `BEGAN_WITH`.
    """

    session: Session
    tokenizer: AnyTokenizer
    corpus: build.Corpus
    model: build.ModelOnRank
    updater: build.Updates
    state: TrainState
    given: Given
    of_task: dict[str, Any]
    began_with: str | None = ""

    @property
    def config(self) -> RunConfig:
        """Of the run."""
        return self.session.config

    @classmethod
    def create(
        cls,
        session: Session,
        tokenizer: AnyTokenizer,
        corpus: build.Corpus,
        start: AnyCheckpoint | None,
        given: Given,
    ) -> "_TrainingJob":
        """Build model and optimizer and bring them to the starting point.

        Raises:
            CheckpointError: the checkpoint does not fit.
            RanksDifferError: ranks that should have the same weights do not.
        """
        config = session.config
        model = given.build_model(config, tokenizer, session.place)
        if start is not None:
            load_weights(model, config, tokenizer, start)
        elif given.model is None:
            build.load_first_weights(model, config)
        updater = given.build_updater(config, model)
        state = TrainState(loss_scale=build.build_loss_scale(config))
        of_task = build.task_of(config).identity()
        job = cls(session, tokenizer, corpus, model, updater, state, given, of_task)
        if isinstance(start, Checkpoint) and config.run_mode == "train":
            job._resume(start)
        elif start is not None:
            job.began_with = str(start.path.resolve())
            if config.optimizer.keep_state:
                job._keep_optimizer_state(start)
        elif given.model is not None:
            job.began_with = None
        check_replicas(model, {**job.state.to_dict(), **job._identity()}, session.agreement)
        return job

    def _keep_optimizer_state(self, start: AnyCheckpoint | None) -> None:
        """Take over the moments and how many updates they have seen; the run is a new one."""
        if not isinstance(start, Checkpoint):
            raise CheckpointError(
                "optimizer.keep_state: the checkpoint holds no state of an optimizer (it is not "
                "one of mindmlm); use keep_state: False"
            )
        build.load_state(self.updater, start)
        self.state.updates_before = TrainState.from_dict(start.state).updates
        logger.info("the optimizer goes on after %d updates", self.state.updates_before)

    def _resume(self, start: Checkpoint) -> None:
        """Take over optimizer, counters and data position, bit for bit."""
        for key, value in self._identity().items():
            if start.state.get(key) != value:
                raise CheckpointError(
                    f"{start.path}: cannot go on from here: {key} was {start.state.get(key)!r} and "
                    f"is {value!r} now, so it would not be the same run; use the old settings, "
                    "or --run_mode finetune to take the weights only"
                )
        before = start.config.get("optimizer", {}).get("type", "adamw")
        if before != self.config.optimizer.type:
            raise CheckpointError(
                f"{start.path}: cannot go on from here: optimizer.type was {before} and is "
                f"{self.config.optimizer.type} now, which keeps another state; use the old one, or "
                "--run_mode finetune to take the weights only"
            )
        build.load_state(self.updater, start)
        self.state = TrainState.from_dict(start.state)
        self.began_with = start.state.get(BEGAN_WITH)
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
            **self.of_task,
        }

    def run(self, stop: StopFlag) -> bool:
        """Train to the end or until `stop`; returns whether it was interrupted."""
        config, agreement = self.config, self.session.agreement
        phases = PhaseTimer(Heartbeat.from_environment())
        steps = build.total_steps(config, self.corpus.train.num_samples)
        self._announce(steps)
        lines = self._metrics()
        engine = build.engine_of(config)
        train_step = engine.build_train_step(config, self.updater, agreement, steps, phases)
        evaluator = build.build_evaluator(
            config, self.model, self.corpus.evaluation, self.tokenizer, agreement
        )
        make = engine.build_batches(config, self.corpus.train, self.tokenizer, self.model)
        section = config.train_dataset
        with Prefetcher(
            make, self.state.step, steps, section.num_parallel_workers, section.prefetch_size
        ) as batches:
            run = Run(
                state=self.state,
                train_step=train_step,
                next_batch=lambda: next(batches),
                total_steps=steps,
                global_batch_size=build.batch_layout(config).global_batch_size,
                samples_per_epoch=self.corpus.train.num_samples,
                evaluate=lambda: self.given.measured(evaluator.run()),
                save=lambda: self._save(lines),
                phases=phases,
            )
            return fit(run, self._callbacks(lines), stop)

    def _announce(self, steps: int) -> None:
        logger.info("%s", build.describe(self.model, self.config, self.session.agreement))
        for note in parallel_notes(self.config):
            logger.info("%s", note)
        logger.info("%d steps, output in %s", steps, self.session.folder.root)
        if self.state.step >= steps:
            logger.info(
                "the run is already at step %d of %d; raise --max_steps or --epochs to go on",
                self.state.step,
                steps,
            )
        if self.session.place.is_main:
            header = f"# written by mindmlm {__version__}; loads as --config\n"
            text = yaml.safe_dump(to_plain(self.config), allow_unicode=True, sort_keys=False)
            write_text_atomic(self.session.folder.config, header + text)

    def _metrics(self) -> MetricsWriter | NoMetrics:
        """The file of the run, which rank 0 writes."""
        folder = self.session.folder
        if not self.session.place.is_main:
            return NoMetrics()
        if self.state.step == 0:
            folder.set_old_metrics_aside()
        writer = MetricsWriter(folder.metrics)
        writer.truncate_after(self.state.step)
        return writer

    def _callbacks(self, lines: MetricsWriter | NoMetrics) -> list[Callback]:
        section, is_main = self.config.callbacks, self.session.place.is_main
        callbacks: list[Callback] = [
            MetricsCallback(lines),
            ProgressCallback(section.loss_monitor.per_print_times, show_bar=is_main),
        ]
        if build.engine_of(self.config).evaluates:
            monitor = section.eval_monitor
            callbacks.append(EvaluationCallback(monitor.eval_steps, lines, monitor.eval_on_start))
        callbacks += build.build_registered_callbacks(self.config, prints=is_main)
        callbacks += self.given.callbacks
        callbacks.append(CheckpointCallback(section.checkpoint_monitor.save_checkpoint_steps))
        if self.config.profile and is_main:
            callbacks.append(ProfileCallback(self.session.folder.profile))
        return callbacks

    def _save(self, lines: MetricsWriter | NoMetrics) -> Path:
        lines.sync()
        place = self.session.place
        saving = SharedSave(
            self.session.folder.checkpoints,
            build.layout_record(place),
            self.config.callbacks.checkpoint_monitor.keep_checkpoint_max,
            place.rank,
            self.session.agreement.texts,
        )
        tensors, placements = build.tensors_to_save(self.updater)
        return saving.save(
            self.state.step,
            tensors,
            placements,
            state={**self.state.to_dict(), **self._identity(), BEGAN_WITH: self.began_with},
            config=to_plain(self.config),
        )


def load_weights(
    model: build.ModelOnRank, config: RunConfig, tokenizer: AnyTokenizer, start: AnyCheckpoint
) -> None:
    """Take over the weights; a vocabulary that has grown gets rows for its new tokens.

    Fine-tuning for another task takes over the network; the new head keeps its initial values.
    """
    resize = None
    if start.state.get("tokenizer_fingerprint") != tokenizer.fingerprint():
        old = load_tokenizer_from(folder_of_run(start), config.processor.tokenizer)
        resize = build.vocabulary_extension(model, config, old.vocab, tokenizer.vocab)
    build.load_model(model, start, resize, _parts_of_tasks(config, start))


def _parts_of_tasks(config: RunConfig, start: AnyCheckpoint) -> tuple[str, ...]:
    """What is not taken over when a checkpoint of ours was trained for another task."""
    if config.run_mode != "finetune" or not isinstance(start, Checkpoint):
        return ()
    before, now = RunConfig.model_validate(start.config).model.arch.type, config.model.arch.type
    if before == now:
        return ()
    family, theirs = build.family_of(config), build.FAMILIES[before]
    common = set(family.head_parts) & set(theirs.head_parts)
    what = f"of its head, {', '.join(sorted(common))} is kept" if common else "its head is left out"
    logger.info("%s is a %s: %s, and the one of %s is new", start.path, before, what, now)
    return tuple(part for part in family.task_parts if part not in common)
