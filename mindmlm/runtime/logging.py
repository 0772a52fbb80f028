"""Log set-up: one file a rank, and the screen for rank 0."""

import logging
import sys
from pathlib import Path

from tqdm import tqdm

ROOT_LOGGER = "mindmlm"
FILE_FORMAT = "%(asctime)s [rank {rank}] %(levelname)s %(name)s: %(message)s"
SCREEN_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class ScreenHandler(logging.Handler):
    """Prints records to standard error without tearing a progress bar that stands there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; the bar is taken away for it and drawn again below."""
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


def setup_logging(output_dir: Path, rank: int = 0, level: int = logging.INFO) -> Path:
    """Send the records of every ``mindmlm`` logger to ``output_dir/log/rank_N.log``.

    The file is appended to, so that a resumed run keeps the history. Rank 0 prints to standard
    error too (standard output belongs to results). A second call replaces the first one's
    handlers.

    Args:
        output_dir: folder of the run; ``log`` is made inside.
        rank: number of this process in the job, 0 alone prints.
        level: lowest level that is recorded.

    Returns:
        The log file.

    Raises:
        OSError: the file cannot be made.
    """
    path = output_dir / "log" / f"rank_{rank}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_file.setFormatter(logging.Formatter(FILE_FORMAT.format(rank=rank)))
    handlers: list[logging.Handler] = [to_file]
    if rank == 0:
        screen = ScreenHandler()
        screen.setFormatter(logging.Formatter(SCREEN_FORMAT, datefmt="%H:%M:%S"))
        handlers.append(screen)
    _replace_handlers(logging.getLogger(ROOT_LOGGER), handlers, level)
    return path


def _replace_handlers(logger: logging.Logger, handlers: list[logging.Handler], level: int) -> None:
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(level)
    # Libraries that configure the root logger would print every line a second time.
    logger.propagate = False
