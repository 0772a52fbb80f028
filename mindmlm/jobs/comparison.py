"""What a run has learned and forgotten: its model before and after, on the same masks."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mindmlm import build
from mindmlm.checkpoint import Checkpoint
from mindmlm.config import LoadedConfig, load_config
from mindmlm.config.checks.qa import answers_questions
from mindmlm.config.schema import RunConfig
from mindmlm.data.masking.terms import TermTable
from mindmlm.errors import CheckpointError, ConfigError
from mindmlm.jobs.session import Session, open_session
from mindmlm.jobs.start import AnyCheckpoint, load_checkpoint
from mindmlm.jobs.training import BEGAN_WITH, load_weights
from mindmlm.tokenizers.bert import BertTokenizer
from mindmlm.tokenizers.files import TOKENIZER_FILES, AnyTokenizer, load_tokenizer_from
from mindmlm.training.comparison import DOMAIN, GENERAL, TERMS, Column, Comparison
from mindmlm.training.evaluation import EvaluationResult
from mindmlm.training.history import read_history

logger = logging.getLogger(__name__)

LAST, BEST = "last", "best"


@dataclass(frozen=True)
class ComparisonSettings:
    """What is compared.

    Attributes:
        output_dir: of a run.
        domain_text: text of the domain; "" = the text that the run held out.
        general_text: text of other kinds, to see what was forgotten; "" = none.
        terms: file of terms of the domain, one a line; "" = none.
        before: a checkpoint; "" = what the run began with.
        after: `last`, `best` (of the checkpoints that are kept) or a checkpoint.
        num_samples: lines read of each text; None = all.
    """

    output_dir: Path
    domain_text: str = ""
    general_text: str = ""
    terms: str = ""
    before: str = ""
    after: str = LAST
    num_samples: int | None = None


def compare(settings: ComparisonSettings) -> Comparison:
    """Evaluate the model that a run began with and the one it has made, on the same masks.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    loaded = _loaded(settings, settings.domain_text)
    _check(settings, loaded.config)
    with open_session(loaded) as session:
        after = _checkpoint(session, _after(settings))
        before = _before(settings, session, after)
        judge = _Judge.open(settings, session)
        columns = [
            Column("before", _described(before), 0 if before is None else before.step),
            Column("after", str(after.path), after.step),
        ]
        results = [judge.results(before), judge.results(after)]
    return Comparison(
        str(settings.output_dir),
        tuple(
            replace(column, results=found) for column, found in zip(columns, results, strict=True)
        ),
        judge.texts,
        judge.number_of_terms,
    )


def _loaded(settings: ComparisonSettings, text: str) -> LoadedConfig:
    """The configuration of the run, in one process, judged on a text."""
    folder = settings.output_dir
    config_file = folder / "config.yaml"
    if not config_file.is_file():
        raise ConfigError(f"{config_file}: no such file; name the --output_dir of a run")
    kind = load_config(config_file, require_inputs=False).config.processor.tokenizer.type
    flags: dict[str, object] = {
        "run_mode": "eval",
        "output_dir": str(folder),
        "load_checkpoint": str(folder),
        "vocab_file": str(folder / TOKENIZER_FILES[kind][0]),
        "use_parallel": "False",
        "dataset_dir": text or None,
        "num_samples": settings.num_samples if text else None,
    }
    return load_config(config_file, flags=flags)


def _check(settings: ComparisonSettings, config: RunConfig) -> None:
    if answers_questions(config):
        raise ConfigError(
            f"{settings.output_dir}: is a run of question answering; this report is about language "
            "models. Compare runs of questions by --run_mode eval"
        )
    if settings.terms and config.processor.tokenizer.type != "BertTokenizer":
        raise ConfigError(
            "--terms: terms are hidden and guessed, which only a BERT does; remove it"
        )
    if settings.terms and not Path(settings.terms).is_file():
        raise ConfigError(f"--terms: {settings.terms}: no such file")


def _checkpoint(session: Session, place: str) -> AnyCheckpoint:
    """A checkpoint of any library, whose model must be the run's."""
    named = session.config.model_copy(update={"load_checkpoint": place})
    return load_checkpoint(replace(session, config=named))[1]


def _after(settings: ComparisonSettings) -> str:
    if settings.after == LAST:
        return str(settings.output_dir)
    if settings.after != BEST:
        return settings.after
    folder = settings.output_dir / "checkpoint"
    kept = {int(path.name[5:]): path for path in folder.glob("step_????????")}
    judged = read_history(settings.output_dir / "metrics.jsonl").evaluations
    known = [found for found in judged if found.step in kept]
    if not known:
        raise CheckpointError(
            f"{folder}: no checkpoint that is kept was evaluated when it was saved, so none is the "
            "best; use --after last, or the path of one"
        )
    return str(kept[min(known, key=lambda found: found.loss).step])


def _before(
    settings: ComparisonSettings, session: Session, after: AnyCheckpoint
) -> AnyCheckpoint | None:
    """What the run began with; None = the first weights that its configuration makes."""
    if settings.before:
        return _checkpoint(session, settings.before)
    began_with = after.state.get(BEGAN_WITH) if isinstance(after, Checkpoint) else None
    if began_with is None:
        raise ConfigError(
            f"{after.path}: does not say what its run began with; name it with --before CHECKPOINT"
        )
    if not began_with:
        return None
    try:
        return _checkpoint(session, began_with)
    except CheckpointError as error:
        raise CheckpointError(
            f"the run began with {began_with}, which cannot be opened; name it with --before "
            f"CHECKPOINT if it is elsewhere now\n{error}"
        ) from None


def _described(checkpoint: AnyCheckpoint | None) -> str:
    return "the first weights of the run" if checkpoint is None else str(checkpoint.path)


@dataclass
class _Judge:
    """One model in this process, and evaluations by name; weights come and go."""

    session: Session
    tokenizer: AnyTokenizer
    model: build.ModelOnRank
    evaluations: dict[str, Callable[[], EvaluationResult]]
    texts: dict[str, str]
    number_of_terms: int = field(default=0)

    @classmethod
    def open(cls, settings: ComparisonSettings, session: Session) -> "_Judge":
        """Prepare the texts and build the model."""
        config = session.config
        tokenizer = load_tokenizer_from(settings.output_dir, config.processor.tokenizer)
        model = build.build_model(config, tokenizer, session.place)
        judge = cls(session, tokenizer, model, {}, {})
        for name, text, loaded in judge._sources(settings):
            judge._add(name, text, loaded, settings)
        return judge

    def _sources(self, settings: ComparisonSettings) -> Iterator[tuple[str, str, RunConfig]]:
        shown = settings.domain_text or "the text that the run held out"
        yield DOMAIN, shown, self.session.config
        if settings.general_text:
            config = _loaded(settings, settings.general_text).config
            yield GENERAL, settings.general_text, config

    def _add(self, name: str, text: str, config: RunConfig, settings: ComparisonSettings) -> None:
        cache, agreement = self.session.folder.dataset_cache, self.session.agreement
        task = build.task_of(config)
        data = build.corpus_settings(config, cache)
        store, report = task.prepare_evaluation(data, self.tokenizer, cache, progress=True)
        logger.info("%s: %s", name, report.summary())
        arguments = (config, self.model, store, self.tokenizer, agreement)
        self.evaluations[name] = build.build_evaluator(*arguments).run
        self.texts[name] = text
        if name == DOMAIN and settings.terms:
            assert isinstance(self.tokenizer, BertTokenizer)
            terms = TermTable.from_file(Path(settings.terms), self.tokenizer, 1.0)
            self.evaluations[TERMS] = build.build_term_evaluator(*arguments, terms).run
            self.texts[TERMS], self.number_of_terms = settings.terms, terms.number

    def results(self, checkpoint: AnyCheckpoint | None) -> dict[str, EvaluationResult]:
        """All evaluations with the weights of a checkpoint."""
        config = self.session.config
        if checkpoint is None:
            build.load_first_weights(self.model, build.task_of(config).completed())
        else:
            load_weights(self.model, config, self.tokenizer, checkpoint)
        return {name: run() for name, run in self.evaluations.items()}
