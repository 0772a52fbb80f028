"""Where a job starts from: a checkpoint and its vocabulary, or nothing."""

import logging
from pathlib import Path

from mindmlm.checkpoint import Checkpoint, open_checkpoint, resolve_checkpoint
from mindmlm.config.schema import RunConfig
from mindmlm.data.prepare import CorpusSettings
from mindmlm.data.vocabulary import train_vocab_file, write_vocab
from mindmlm.errors import CheckpointError, ConfigError, MindmlmError
from mindmlm.jobs.session import Session
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.tokenizers.bert import BertTokenizer
from mindmlm.tokenizers.vocab_extension import is_extension

logger = logging.getLogger(__name__)


def find_checkpoint(config: RunConfig) -> Checkpoint:
    """The checkpoint that `load_checkpoint` means, verified; what was passed over is logged.

    Raises:
        CheckpointError: there is none that is good.
    """
    resolved = resolve_checkpoint(config.load_checkpoint, Path(config.output_dir))
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


def starting_point(session: Session) -> Checkpoint | None:
    """The checkpoint that training starts from, if any.

    Raises:
        ConfigError: the output folder holds the checkpoints of another run than the one that goes
            on here.
    """
    config, folder = session.config, session.folder
    checkpoint = shared_checkpoint(session) if config.load_checkpoint else None
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
        tokenizer = _extended_tokenizer(config, start) or checkpoint_tokenizer(config, start)
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


def vocabulary_beside(checkpoint: Checkpoint) -> Path:
    """Where the run that wrote the checkpoint keeps its vocabulary."""
    return RunFolder(checkpoint.path.parent.parent).vocabulary


def _extended_tokenizer(config: RunConfig, start: Checkpoint) -> BertTokenizer | None:
    """The given vocabulary when it is the checkpoint's with more tokens at its end."""
    section, path = config.processor.tokenizer, vocabulary_beside(start)
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


def checkpoint_tokenizer(config: RunConfig, checkpoint: Checkpoint) -> BertTokenizer:
    """The tokenizer that the checkpoint's weights belong to.

    `processor.tokenizer.vocab_file` where it is given, else `vocab.txt` in the checkpoint's run.
    """
    section = config.processor.tokenizer
    beside = vocabulary_beside(checkpoint)
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
