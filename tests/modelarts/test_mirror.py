"""Whatever instant an upload ends at, the remote place can be gone on from."""

import hashlib
import random
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.checkpoint.shards import write_shard
from mindmlm.checkpoint.writer import SINGLE_PROCESS_LAYOUT, begin_checkpoint, commit_checkpoint
from mindmlm.modelarts.download import CopyError, Downloader
from mindmlm.modelarts.mirror import Mirror
from mindmlm.modelarts.patience import Patience
from mindmlm.modelarts.platform import Platform
from mindmlm.modelarts.remote import FolderRemote, open_remote
from mindmlm.modelarts.restore import restore
from mindmlm.modelarts.uploader import Uploader

ONCE = Patience(1, 0.001)


def ignore(text: str) -> None:
    """What is said is not looked at."""


def save(output: Path, step: int, seed: int | None = None) -> None:
    """A checkpoint as a run saves it."""
    root = output / "checkpoint"
    folder = begin_checkpoint(root, step)
    weights = np.random.default_rng(seed or step).normal(size=(3, 5)).astype(np.float32)
    shard = write_shard(folder, "model", {"w": weights}, 0, {})
    commit_checkpoint(
        root,
        step,
        [shard],
        state={"step": step},
        config={},
        layout=SINGLE_PROCESS_LAYOUT,
        keep_checkpoint_max=2,
    )
    (output / "log").mkdir(exist_ok=True)
    with (output / "log" / "rank_0.log").open("a") as log:
        log.write(f"saved {step}\n")


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def downloader(cache: Path) -> Downloader:
    return Downloader(Platform(cache_root=cache, wait_seconds=1), ignore, ONCE)


class Failing(FolderRemote):
    """Fails at its n-th change, as if the process were killed: nothing further is done."""

    def __init__(self, path: str, fatal: int) -> None:
        super().__init__(path)
        self.left = fatal

    def _hit(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError("gone")

    def upload(self, source: Path, name: str) -> None:
        self._hit()
        super().upload(source, name)

    def delete(self, name: str) -> None:
        self._hit()
        super().delete(name)


def test_all_that_a_run_writes_and_no_caches(tmp_path):
    output, remote = tmp_path / "out", tmp_path / "remote"
    save(output, 4)
    for name in ("dataset_cache/x.bin", ".lock", "checkpoint/step_00000009.tmp/a", "a.tmp"):
        (output / name).parent.mkdir(exist_ok=True)
        (output / name).write_text("no")
    for name in ("metrics.jsonl", "vocab.txt", "deep/predictions.json"):
        (output / name).parent.mkdir(exist_ok=True)
        (output / name).write_text("yes")
    mirror = Mirror(output, FolderRemote(str(remote)), 2, ignore, ONCE)
    count = mirror.upload_new()
    found = tree(remote)
    assert count == len(found)
    assert {name for name in found if not name.startswith("checkpoint/")} == {
        *("metrics.jsonl", "vocab.txt", "deep/predictions.json", "log/rank_0.log")
    }
    assert {name.split("/")[1] for name in found if name.startswith("checkpoint/")} == {
        *("step_00000004", "latest")
    }
    assert mirror.upload_new() == 0
    with (output / "metrics.jsonl").open("a") as file:
        file.write("more")
    assert mirror.upload_new() == 1
    assert (remote / "metrics.jsonl").read_text() == "yesmore"


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 14), min_size=1, max_size=6))
def test_an_upload_cut_short_anywhere_leaves_a_good_checkpoint(tmp_path_factory, ends):
    """Runs that save and uploads that fail take turns; a fresh machine always finds the newest."""
    folder = tmp_path_factory.mktemp("cut")
    output, remote = folder / "out", folder / "remote"
    newest_uploaded = 0
    for number, fatal in enumerate(ends, 1):
        save(output, number)
        failing = Failing(str(remote), fatal)
        try:
            Mirror(output, failing, 2, ignore, ONCE).upload_new()
            newest_uploaded = number
        except OSError:
            pass
        if newest_uploaded:
            fresh = folder / f"fresh_{number}"
            found = restore(fresh, FolderRemote(str(remote)), downloader(folder), checkpoint=True)
            assert found
            (step,) = (path.name for path in (fresh / "checkpoint").glob("step_*"))
            assert int(step.removeprefix("step_")) >= newest_uploaded
    Mirror(output, FolderRemote(str(remote)), 2, ignore, ONCE).upload_new()
    assert tree(remote) == tree(output)


def test_checkpoints_that_the_run_has_deleted_go_and_those_of_others_stay(tmp_path):
    output, remote = tmp_path / "out", tmp_path / "remote"
    theirs = remote / "checkpoint" / "step_00000001" / "manifest.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("of another job")
    (remote / "notes.txt").write_text("mine")
    mirror = Mirror(output, FolderRemote(str(remote)), 2, ignore, ONCE)
    for step in (2, 4, 6):
        save(output, step)
        mirror.upload_new()
    steps = sorted(path.name for path in (remote / "checkpoint").glob("step_*"))
    assert steps == ["step_00000001", "step_00000004", "step_00000006"]
    assert theirs.read_text() == "of another job"
    assert (remote / "notes.txt").read_text() == "mine"


def test_a_step_that_is_saved_again_during_its_upload_becomes_whole(tmp_path):
    output, remote = tmp_path / "out", tmp_path / "remote"

    class Saving(FolderRemote):
        def upload(self, source: Path, name: str) -> None:
            super().upload(source, name)
            if name.endswith(".safetensors") and not (output / "again").exists():
                (output / "again").touch()
                save(output, 4, seed=9)

    save(output, 4)
    for _ in range(2):
        Mirror(output, Saving(str(remote)), 2, ignore, ONCE).upload_new()
    fresh = tmp_path / "fresh"
    assert restore(fresh, FolderRemote(str(remote)), downloader(tmp_path), checkpoint=True)
    assert tree(fresh / "checkpoint") == tree(output / "checkpoint")


def test_a_fresh_machine_goes_on_and_keeps_as_many_checkpoints(tmp_path):
    output, remote = tmp_path / "out", tmp_path / "remote"
    for step in (2, 4):
        save(output, step)
        Mirror(output, FolderRemote(str(remote)), 2, ignore, ONCE).upload_new()
    fresh = tmp_path / "fresh"
    assert restore(fresh, FolderRemote(str(remote)), downloader(tmp_path), checkpoint=True)
    assert (fresh / "checkpoint" / "latest").read_text() == "step_00000004\n"
    assert (fresh / "log" / "rank_0.log").read_text() == "saved 2\nsaved 4\n"
    mirror = Mirror(fresh, FolderRemote(str(remote)), 2, ignore, ONCE)
    assert mirror.upload_new() == 1  # `latest`, which is written anew
    save(fresh, 6)
    mirror.upload_new()
    steps = sorted(path.name for path in (remote / "checkpoint").glob("step_*"))
    assert steps == ["step_00000004", "step_00000006"]
    assert (remote / "log" / "rank_0.log").read_text() == "saved 2\nsaved 4\nsaved 6\n"


def test_a_damaged_checkpoint_is_passed_over_by_name(tmp_path):
    output, remote = tmp_path / "out", tmp_path / "remote"
    for step in (2, 4):
        save(output, step)
    Mirror(output, FolderRemote(str(remote)), 2, ignore, ONCE).upload_new()
    (shard,) = (remote / "checkpoint" / "step_00000004").glob("*.safetensors")
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    said: list[str] = []
    one = Downloader(Platform(cache_root=tmp_path, wait_seconds=1), said.append, ONCE)
    fresh = tmp_path / "fresh"
    assert restore(fresh, FolderRemote(str(remote)), one, checkpoint=True)
    assert (fresh / "checkpoint" / "latest").read_text() == "step_00000002\n"
    assert any("step_00000004/ is passed over" in text for text in said)


def test_what_this_machine_has_is_not_replaced_by_older_things(tmp_path):
    output, remote = tmp_path / "out", tmp_path / "remote"
    save(output, 2)
    Mirror(output, FolderRemote(str(remote)), 2, ignore, ONCE).upload_new()
    save(output, 4)
    before = tree(output)
    assert restore(output, FolderRemote(str(remote)), downloader(tmp_path), checkpoint=True)
    assert tree(output) == before
    assert not restore(tmp_path / "x", FolderRemote("/none"), downloader(tmp_path), checkpoint=True)


def test_logs_of_a_start_that_left_no_checkpoint_are_kept(tmp_path):
    remote = tmp_path / "remote"
    (remote / "log").mkdir(parents=True)
    (remote / "log" / "rank_0.log").write_text("failed\n")
    fresh = tmp_path / "fresh"
    assert not restore(fresh, FolderRemote(str(remote)), downloader(tmp_path), checkpoint=True)
    assert (fresh / "log" / "rank_0.log").read_text() == "failed\n"


class CuttingProxy:
    """Passes bytes on to a server; the first connections are cut after some."""

    def __init__(self, server: str, cut: int, after: int) -> None:
        host, port = server.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self.cut, self._after = cut, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(self._server)
            threading.Thread(target=self._pass, args=(client, upstream, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(upstream, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        come = 0
        try:
            while data := source.recv(1 << 16):
                come += len(data)
                if counted and self.cut and come > self._after:
                    self.cut -= 1
                    break
                target.sendall(data)
        except OSError:
            pass
        for side in (source, target):
            side.close()

    def close(self) -> None:
        self._listener.close()


def test_uploads_that_the_network_cuts_are_done_again(store, tmp_path, monkeypatch):
    proxy = CuttingProxy(store.endpoint, cut=3, after=300_000)
    monkeypatch.setenv("S3_ENDPOINT", proxy.url)
    output = tmp_path / "out"
    save(output, 3)
    data = random.Random(2).randbytes(1_000_000)
    (output / "large.bin").write_bytes(data)
    mirror = Mirror(output, open_remote("obs://bucket/job"), 2, ignore, Patience(5, 0.01))
    try:
        mirror.upload_new()
    finally:
        proxy.close()
    assert proxy.cut == 0
    digest = hashlib.sha256(store.get("job/large.bin")).hexdigest()
    assert digest == hashlib.sha256(data).hexdigest()
    assert {f"job/{name}" for name in tree(output)} == set(store.names("job/"))


def test_an_uploader_goes_on_after_a_failure_and_says_so_once(tmp_path):
    output = tmp_path / "out"
    save(output, 2)
    remote = Failing(str(tmp_path / "remote"), 0)
    said: list[str] = []
    platform = Platform(cache_root=tmp_path, upload_seconds=0.02, wait_seconds=5)
    uploader = Uploader(Mirror(output, remote, 2, said.append, ONCE), platform, said.append)
    uploader.start()
    end = time.monotonic() + 20
    while remote.left > -4 and time.monotonic() < end:
        time.sleep(0.02)
    assert sum("upload failed, the run goes on: gone" in text for text in said) == 1
    with pytest.raises(CopyError, match=r"not everything could be uploaded: gone; .*out"):
        uploader.finish()
    remote.left = 1000
    Uploader(Mirror(output, remote, 2, said.append, ONCE), platform, said.append).finish()
    assert tree(tmp_path / "remote") == tree(output)
