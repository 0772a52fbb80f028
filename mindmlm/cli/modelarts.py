"""A job whose data or results lie somewhere else: bring, run, take away. See docs/modelarts.md."""

import json
import os
import platform as machine
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mindmlm import __version__
from mindmlm.cli.arguments import Arguments
from mindmlm.errors import ConfigError, MindmlmError
from mindmlm.modelarts.console import dataset, remote_flags
from mindmlm.modelarts.download import CopyError, Downloader
from mindmlm.modelarts.mirror import Mirror
from mindmlm.modelarts.platform import CACHE_ROOT, Platform
from mindmlm.modelarts.remote import check_address, is_address, open_remote
from mindmlm.modelarts.restore import restore
from mindmlm.modelarts.supervise import StopFlag, describe_end, run_child
from mindmlm.modelarts.uploader import Uploader
from mindmlm.runtime.files import write_text_atomic

if TYPE_CHECKING:
    from mindmlm.config import LoadedConfig

RUN_SCRIPT = Path(__file__).resolve().parents[2] / "run_mindformer.py"
# Files that a run reads from its own machine only: flag -> folder in the cache.
_FETCHED_FLAGS = {
    "load_checkpoint": "checkpoint",
    "vocab_file": "vocabulary",
    "merges_file": "vocabulary",
}

Load = Callable[[Arguments, bool], "LoadedConfig"]


def translated(arguments: Arguments) -> Arguments:
    """The flags of ModelArts' console in the words of the configuration.

    Data in a folder of this machine become `--dataset_dir`; data at an address stay as they are
    until `run` has downloaded them.

    Raises:
        ConfigError: the flags contradict each other, or a file is not there.
        DataError: there are keys in an address.
    """
    flags = remote_flags(arguments.console, arguments.flags)
    data = dataset(arguments.console, arguments.flags)
    for url in (*arguments.console.values(), *map(arguments.flags.get, _FETCHED_FLAGS)):
        check_address(str(url or ""))
    console = {}
    options = arguments.options
    if data is not None:
        # First, so that an option of the user's wins.
        options = (*data.loader_option(), *options)
        if data.is_remote:
            console = {"dataset": data.base, "dataset_id": data.name}
        else:
            flags["dataset_dir"] = str(data.local_path(Path(data.base)))
    path = _beside_the_script(arguments.config_path)
    return replace(arguments, config_path=path, options=options, flags=flags, console=console)


def first_look(arguments: Arguments) -> Arguments:
    """The same without files at addresses, which are not on this machine yet."""
    kept = {
        name: value
        for name, value in arguments.flags.items()
        if not (name in _FETCHED_FLAGS and is_address(str(value)))
    }
    return replace(arguments, flags=kept)


def is_needed(arguments: Arguments, loaded: "LoadedConfig") -> bool:
    """Whether anything has to be brought here or taken away."""
    fetched = [str(arguments.flags.get(name) or "") for name in _FETCHED_FLAGS]
    data = arguments.console.get("dataset")
    return bool(loaded.config.remote_save_url or data or any(map(is_address, fetched)))


def run(arguments: Arguments, loaded: "LoadedConfig", load: Load, stop: StopFlag) -> int:
    """Bring what the run needs, run it in a child process, upload what it makes.

    Args:
        arguments: as `translated` gave them.
        loaded: the configuration, read without its inputs.
        load: reads a configuration; the second argument: its inputs must be there.
        stop: takes the signals.

    Returns:
        The exit code of the run; 1 when it is good and its results could not be uploaded.

    Raises:
        ConfigError, DataError, CopyError, WaitedTooLongError: before the run; see their messages.
    """
    try:
        job = _Job(arguments, loaded, Platform.from_environment(loaded.config.use_parallel))
        job.bring()
        load(job.arguments, True)
        return job.run(stop)
    except OSError as error:
        # Of this machine: what stores refuse has been given words where it happened.
        raise CopyError(
            f"{error.filename or 'the local disk'}: {error.strerror or error}; the job needs room "
            f"in its output_dir and in {CACHE_ROOT}"
        ) from None


class _Job:
    """One process of a job; `arguments` change as things are brought to this machine."""

    def __init__(self, arguments: Arguments, loaded: "LoadedConfig", platform: Platform) -> None:
        self.platform = platform
        self._config = loaded.config
        self._endpoint = loaded.config.train_dataset.data_loader.endpoint_url
        self._downloader = Downloader(platform, self._say)
        self._output = Path(loaded.config.output_dir)
        if loaded.config.remote_save_url and not self._output.is_absolute():
            # The folder of the code is on a small disk.
            self._output = platform.usable_cache() / self._output
        self._check_machines()
        flags = {**arguments.flags, "output_dir": str(self._output), "remote_save_url": ""}
        self.arguments = replace(arguments, flags=flags)

    def bring(self) -> None:
        """Data, vocabulary, and the checkpoint to go on from or to start with."""
        uploader = self._uploader()
        resumed = uploader is not None and self._restore(uploader)
        for name, kind in _FETCHED_FLAGS.items():
            url = str(self.arguments.flags.get(name) or "")
            if is_address(url) and not (resumed and name == "load_checkpoint"):
                self._set({name: str(self._fetch_one(url, kind))})
        data = dataset(self.arguments.console, {})
        if data is not None:
            remote = open_remote(data.base, self._endpoint)
            folder = self._downloader.fetch(remote, "dataset", data.wanted())
            self._set({"dataset_dir": str(data.local_path(folder))})
        self.arguments = replace(self.arguments, console={})

    def run(self, stop: StopFlag) -> int:
        """The run itself, and its uploads."""
        uploader = self._uploader()
        if uploader is not None:
            uploader.start()
        command = [sys.executable, str(RUN_SCRIPT), *self.arguments.words()]
        ended = run_child(command, self._output / "log", self.platform.rank, stop, os.environ)
        if ended.code:
            self._say(describe_end(ended))
        if uploader is None:
            return ended.code
        try:
            uploader.finish()
        except MindmlmError as error:
            self._say(str(error))
            return ended.code or error.exit_code
        self._say(f"{self._output} is uploaded to {self._config.remote_save_url}")
        return ended.code

    def _uploader(self) -> Uploader | None:
        url = self._config.remote_save_url
        if not url:
            return None
        keep = self._config.callbacks.checkpoint_monitor.keep_checkpoint_max
        mirror = Mirror(self._output, open_remote(url, self._endpoint), keep, self._say)
        return Uploader(mirror, self.platform, self._say)

    def _restore(self, uploader: Uploader) -> bool:
        """Whether a run goes on from what an earlier start has uploaded."""
        trains = self._config.run_mode in ("train", "finetune")
        wants_newest = self._config.load_checkpoint == "latest"
        remote = open_remote(self._config.remote_save_url, self._endpoint)
        has_checkpoint = restore(
            self._output, remote, self._downloader, checkpoint=trains or wants_newest
        )
        uploader.check(self._write_note())
        if trains and has_checkpoint:
            self._set({"run_mode": "train", "load_checkpoint": "latest"})
        return trains and has_checkpoint

    def _write_note(self) -> Path:
        """A file for each start of a process, uploaded first: where and when it ran, and how."""
        begun = time.strftime("%Y%m%d_%H%M%S")
        path = self._output / "log" / f"start_{begun}_rank_{self.platform.rank}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        note = {
            "created_by": f"mindmlm {__version__}",
            "machine": machine.node(),
            "rank": self.platform.rank,
            "words": self.arguments.words(),
        }
        write_text_atomic(path, json.dumps(note, ensure_ascii=False, indent=1) + "\n")
        return path

    def _fetch_one(self, url: str, kind: str) -> Path:
        """Download a file, or a folder with all that is in it."""
        remote = open_remote(url, self._endpoint)
        folder = self._downloader.fetch(remote, kind, lambda name: True)
        name = url.rstrip("/").rpartition("/")[2]
        return folder / name if set(remote.files()) == {name} else folder

    def _check_machines(self) -> None:
        cache = self.platform.cache_root
        if self.platform.servers > 1 and self._output.is_relative_to(cache):
            raise ConfigError(
                f"output_dir: {self._output} is on a disk of each machine of its own, and the "
                f"{self.platform.servers} machines of this job write one checkpoint together; give "
                "--output_dir a folder that all of them share (SFS Turbo, say)"
            )

    def _set(self, flags: dict[str, object]) -> None:
        self.arguments = replace(self.arguments, flags={**self.arguments.flags, **flags})

    def _say(self, text: str) -> None:
        """A line in the platform's log."""
        begin = f"{time.strftime('%H:%M:%S')} rank {self.platform.rank}"
        print(f"{begin}: {text}", file=sys.stderr, flush=True)


def _beside_the_script(path: Path) -> Path:
    """The platform starts a script in another folder than that of the code."""
    beside = RUN_SCRIPT.parent / path
    return beside if not path.exists() and beside.exists() else path
