"""Where a job starts from: a checkpoint and its vocabulary, or nothing."""

import logging
from dataclasses import replace
from pathlib import Path

from mindmlm import build
from mindmlm.checkpoint import Checkpoint, open_checkpoint, resolve_checkpoint
from mindmlm.checkpoint.naming import LATEST_NAME
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.names import resolve_name
from mindmlm.conversion.starting_point import ForeignCheckpoint, foreign_path, open_foreign
from mindmlm.data.prepare import CorpusSettings
from mindmlm.data.vocabulary import save_tokenizer, train_tokenizer
from mindmlm.errors import CheckpointError, ConfigError, MindmlmError
from mindmlm.jobs.session import Session
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.tokenizers.bert import BertTokenizer
from mindmlm.tokenizers.files import (
    BERT,
    TOKENIZER_FILES,
    AnyTokenizer,
    has_tokenizer,
    load_tokenizer,
    load_tokenizer_from,
)
from mindmlm.tokenizers.vocab_extension import is_extension

logger = logging.getLogger(__name__)


AnyCheckpoint = Checkpoint | ForeignCheckpoint


def find_checkpoint(config: RunConfig) -> Checkpoint:
    """The checkpoint of ours that `load_checkpoint` means, verified.

    What was passed over is logged.

    Raises:
        CheckpointError: there is none that is good.
    """
    text = config.load_checkpoint
    located = text if text == LATEST_NAME else str(resolve_name(text))
    resolved = resolve_checkpoint(located, Path(config.output_dir))
    for path, reason in resolved.refused:
        logger.warning("checkpoint %s was passed over: %s", path, reason)
    logger.info("checkpoint: %s", resolved.path)
    return resolved.checkpoint


def shared_checkpoint(session: Session) -> Checkpoint:
    """As `find_checkpoint`, for all processes: rank 0 finds and verifies it.

    Raises:
        CheckpointError: there is none that is good, or a process cannot read its folder.
    """
    found, error = None, None
    if session.place.is_main:
        try:
            found = find_checkpoint(session.config)
        except MindmlmError as caught:
            error = caught
    session.agreement.raise_together(error)
    path = session.agreement.from_main(str(found.path.resolve()) if found else "")
    return found or open_checkpoint(Path(path))


def load_checkpoint(session: Session) -> tuple[Session, AnyCheckpoint]:
    """The checkpoint that `load_checkpoint` means, of ours or of another library.

    Another library's is opened by every process. It brings its own model and vocabulary, so the
    session that is returned has them in its configuration.

    Raises:
        CheckpointError: there is none that is good, or a process cannot read it.
        ConfigError: the configuration does not fit the model of the checkpoint.
    """
    start, error = None, None
    try:
        path = foreign_path(session.config)
        start = open_foreign(path, session.config) if path else None
    except MindmlmError as caught:
        error = caught
    session.agreement.raise_together(error)
    if start is None:
        return session, shared_checkpoint(session)
    return replace(session, config=start.config), start.checkpoint


def starting_point(session: Session) -> tuple[Session, AnyCheckpoint | None]:
    """The checkpoint that training starts from, if any, and the session with its model.

    Raises:
        ConfigError: the output folder holds the checkpoints of another run than the one that goes
            on here.
    """
    checkpoint: AnyCheckpoint | None = None
    if session.config.load_checkpoint:
        session, checkpoint = load_checkpoint(session)
    session = _completed(session)
    config, folder = session.config, session.folder
    same_run = (
        isinstance(checkpoint, Checkpoint)
        and config.run_mode == "train"
        and checkpoint.path.parent.resolve() == folder.checkpoints.resolve()
    )
    if folder.has_checkpoints() and not same_run:
        raise ConfigError(
            f"output_dir: {folder.root} holds the checkpoints of an earlier run; go on with it by "
            "--run_mode train --load_checkpoint latest, or choose another folder with --output_dir"
        )
    return session, checkpoint


def _completed(session: Session) -> Session:
    """The session with what the files of its task, a teacher, decide of its configuration."""
    config, error = session.config, None
    try:
        config = build.task_of(config).completed()
    except MindmlmError as caught:
        error = caught
    session.agreement.raise_together(error)
    return replace(session, config=config)


def training_tokenizer(
    config: RunConfig, folder: RunFolder, start: AnyCheckpoint | None, text: CorpusSettings
) -> AnyTokenizer:
    """The vocabulary of the starting checkpoint, the task's, the given one, or a new one.

    Its files are written to the output folder.
    """
    section = config.processor.tokenizer
    given = build.task_of(config).given_tokenizer() if start is None else None
    if start is not None:
        tokenizer = _extended_tokenizer(config, start) or checkpoint_tokenizer(config, start)
    elif given is not None:
        tokenizer = given
    elif section.vocab_file:
        tokenizer = load_tokenizer(section)
    else:
        assert text.train is not None
        logger.info("training a vocabulary of at most %d tokens", section.train_vocab_size)
        tokenizer = train_tokenizer(section, text.train, text.num_samples)
    written = save_tokenizer(tokenizer, folder.root)
    logger.info("vocabulary: %d tokens, %s", tokenizer.vocab_size, " and ".join(map(str, written)))
    return tokenizer


def folder_of_run(checkpoint: AnyCheckpoint) -> Path:
    """The output folder of the run that wrote the checkpoint: its vocabulary is there."""
    return checkpoint.path.parent.parent


def _extended_tokenizer(config: RunConfig, start: AnyCheckpoint) -> BertTokenizer | None:
    """The given vocabulary when it is the checkpoint's with more tokens at its end."""
    if isinstance(start, ForeignCheckpoint):
        return None  # it was extended when it was opened
    section, folder = config.processor.tokenizer, folder_of_run(start)
    given = config.run_mode == "finetune" and section.type == BERT and section.vocab_file
    if not given or not has_tokenizer(folder, BERT):
        return None
    old, new = load_tokenizer_from(folder, section), load_tokenizer(section)
    assert isinstance(new, BertTokenizer)
    same = old.fingerprint() == start.state.get("tokenizer_fingerprint")
    if not same or new.vocab_size == old.vocab_size or not is_extension(old.vocab, new.vocab):
        return None
    logger.info(
        "%s has %d tokens more than the checkpoint; their rows start as the mean of their pieces",
        section.vocab_file,
        new.vocab_size - old.vocab_size,
    )
    return new


def checkpoint_tokenizer(config: RunConfig, checkpoint: AnyCheckpoint) -> AnyTokenizer:
    """The tokenizer that the checkpoint's weights belong to.

    `processor.tokenizer.vocab_file` where it is given, else the files in the checkpoint's run.
    """
    if isinstance(checkpoint, ForeignCheckpoint):
        return checkpoint.make_tokenizer()
    section, folder = config.processor.tokenizer, folder_of_run(checkpoint)
    if section.vocab_file:
        tokenizer = load_tokenizer(section)
    elif has_tokenizer(folder, section.type):
        tokenizer = load_tokenizer_from(folder, section)
    else:
        names = " and ".join(TOKENIZER_FILES[section.type])
        raise CheckpointError(
            f"{checkpoint.path}: its vocabulary ({names}) is not in {folder}; name it with "
            "--vocab_file"
        )
    expected = checkpoint.state.get("tokenizer_fingerprint")
    if expected != tokenizer.fingerprint():
        raise CheckpointError(
            f"{checkpoint.path}: was trained with another vocabulary than "
            f"{section.vocab_file or folder} (or with another processor.tokenizer.do_lower_case); "
            "name the right one with --vocab_file"
        )
    return tokenizer
