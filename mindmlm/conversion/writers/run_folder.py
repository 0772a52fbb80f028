"""A run folder of ours: `config.yaml`, the vocabulary, and one checkpoint of the weights."""

from pathlib import Path
from typing import Any

import yaml

from mindmlm import __version__
from mindmlm.checkpoint import begin_checkpoint, commit_checkpoint
from mindmlm.checkpoint.naming import CHECKPOINT_FOLDER
from mindmlm.config.render import to_plain
from mindmlm.config.schema import RunConfig
from mindmlm.conversion.converted_model import Exported
from mindmlm.conversion.resharding import FileLayout, write_shards
from mindmlm.conversion.tokenizer_files import TokenizerFiles
from mindmlm.runtime.files import new_file


def write_run(
    folder: Path,
    groups: dict[str, Exported],
    config: RunConfig,
    tokenizer: TokenizerFiles | None,
    step: int,
    state: dict[str, Any],
    layout: FileLayout,
) -> None:
    """Fill ``folder``, which is empty.

    Args:
        folder: becomes the output folder of a run.
        groups: `model`, and `optimizer` where there is one.
        config: of the run.
        tokenizer: of the model.
        step: optimizer steps done.
        state: of the run, for the manifest.
        layout: of the files.

    Raises:
        OSError: a file cannot be written.
    """
    root = folder / CHECKPOINT_FOLDER
    temporary = begin_checkpoint(root, step)
    commit_checkpoint(
        root,
        step,
        write_shards(temporary, groups, layout),
        state=state,
        config=to_plain(config),
        layout=layout.record(),
        keep_checkpoint_max=1,
    )
    header = f"# written by mindmlm {__version__}; loads as --config\n"
    texts = {
        "config.yaml": header
        + yaml.safe_dump(to_plain(config), allow_unicode=True, sort_keys=False)
    }
    if tokenizer:
        texts |= tokenizer.tokenizer.texts()
    for name, text in texts.items():
        with new_file(folder / name) as file:
            file.write(text.encode("utf-8"))
