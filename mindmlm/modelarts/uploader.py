"""When to upload: at intervals while the run goes on, and to the end when it is over."""

import threading
from pathlib import Path

from mindmlm.modelarts.download import CopyError, Say, refused
from mindmlm.modelarts.machine_lock import MachineLock
from mindmlm.modelarts.mirror import Mirror
from mindmlm.modelarts.platform import Platform

_LOCK = ".upload.lock"


class Uploader:
    """Uploads in a thread; of the processes that share an output folder one at a time does.

    Args:
        mirror: what goes where.
        platform: this process.
        say: prints a line.
    """

    def __init__(self, mirror: Mirror, platform: Platform, say: Say) -> None:
        self._mirror = mirror
        self._platform = platform
        self._say = say
        self._over = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._at_intervals, name="uploader", daemon=True)

    def check(self, note: Path) -> None:
        """Upload one small file, so that wrong keys show before hours of training.

        Args:
            note: the file, of the output folder.

        Raises:
            DataError: keys are wrong.
            CopyError: the store cannot be reached.
        """
        mirror = self._mirror
        name = str(note.relative_to(mirror.output))
        try:
            mirror.patience(
                f"{mirror.remote.url}/{name}: upload", lambda: mirror.remote.upload(note, name)
            )
        except PermissionError as error:
            raise refused(mirror.remote, error) from None
        except OSError as error:
            raise CopyError(f"{mirror.remote.url}: cannot be written: {error}") from None

    def start(self) -> None:
        """Begin to upload at intervals."""
        self._thread.start()

    def finish(self) -> None:
        """Upload what is left; whichever process comes last has everything to itself.

        Raises:
            CopyError: something could not be uploaded; the message says where it is.
            WaitedTooLongError: another process still uploads.
        """
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        lock = self._lock()
        lock.take(self._platform.wait_seconds, self._say)
        try:
            self._mirror.upload_new()
        except OSError as error:
            raise CopyError(
                f"{self._mirror.remote.url}: not everything could be uploaded: {error}; what the "
                f"run has written is in {self._mirror.output}. Start the job again with the same "
                "flags while that folder is there, and the rest is uploaded"
            ) from None
        finally:
            lock.release()

    def _at_intervals(self) -> None:
        while not self._over.wait(self._platform.upload_seconds):
            lock = self._lock()
            try:
                if not lock.try_to_take():
                    continue
            except OSError as error:
                self._report(error)
                continue
            try:
                self._mirror.upload_new()
                self._problem = ""
            except OSError as error:
                self._report(error)
            finally:
                lock.release()

    def _report(self, error: OSError) -> None:
        """Say once what does not work; the run goes on, and the next look tries again."""
        text = f"{self._mirror.remote.url}: upload failed, the run goes on: {error}"
        if text != self._problem:
            self._problem = text
            self._say(text)

    def _lock(self) -> MachineLock:
        return MachineLock(
            self._mirror.output / _LOCK,
            f"uploading to {self._mirror.remote.url}",
            self._platform.rank,
        )
