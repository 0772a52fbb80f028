"""kill -9 at random instants of a real run, resumed each time, against a run that was left alone.

The kills are spread over start, compilation, steps and saving; most of a process's life is its
start, so the test waits for the phase it wants to hit and kills a random moment later.
"""

import collections
import random
import time

import pytest

from mindmlm.runtime.run_folder import RunFolder

STEPS = 100
# How many lives end in which phase.
KILLS = {"start": 4, "compile": 6, "steps": 21, "saving": 21}
# Longest wait in seconds after the sign of a phase. Where a process gets further in it, the wait
# is short or long, so that the kills are spread over the whole run.
PHASES = {"start": (1.0, 1.0), "compile": (1.5, 1.5), "steps": (0.03, 0.25), "saving": (0.02, 0.2)}
UNFINISHED = (".tmp", ".trash", ".old")


def words_of(command, folder):
    return command.words(
        folder,
        f"--max_steps={STEPS}",
        "--save_checkpoint_steps=2",
        "--callbacks.EvalMonitor.eval_steps=20",
    )


def size_of_metrics(folder):
    path = folder.metrics
    return path.stat().st_size if path.exists() else 0


def entries(folder):
    """Names and times of change in the checkpoint folder; a folder may vanish while we look."""
    try:
        return {(path.name, path.stat().st_mtime_ns) for path in folder.checkpoints.iterdir()}
    except FileNotFoundError:
        return set()


class Life:
    """One process from its start to its death."""

    def __init__(self, command, folder):
        self.folder = folder
        resumes = ["--load_checkpoint=latest"] if folder.has_checkpoints() else []
        self.config_before = self._config_time()
        self.entries_before = entries(folder)
        self.process = command.start(*words_of(command, folder.root), *resumes)
        self.running = False

    def _config_time(self):
        path = self.folder.config
        return path.stat().st_mtime_ns if path.exists() else 0

    def wait(self, condition):
        """Poll until the condition holds; False when the process ended before."""
        while not condition():
            if self.process.poll() is not None:
                return False
            time.sleep(0.001)
        return True

    def reach(self, phase):
        """Wait for the sign that `phase` has begun; False when the process ended before."""
        if phase == "start":
            return True
        # The resolved configuration is written when all is loaded; then comes the compilation.
        if not self.wait(lambda: self._config_time() != self.config_before):
            return False
        self.running = True
        if phase == "compile":
            return True
        # The metrics are cut back first, the lines of the first step follow the compilation.
        lines = self.folder.metrics
        if not self.wait(lambda: lines.exists()):
            return False
        time.sleep(0.1)
        before = size_of_metrics(self.folder)
        saved = entries(self.folder)
        if phase == "steps":
            return self.wait(lambda: size_of_metrics(self.folder) > before)
        return self.wait(lambda: entries(self.folder) != saved)

    def kill(self):
        """Kill -9; returns the phase that was hit, None when it had ended by itself."""
        if self.process.poll() is not None:
            return None
        size = size_of_metrics(self.folder)
        self.process.kill()
        self.process.communicate()
        if not self.running:
            return "start"
        # What an earlier life left unfinished says nothing of this one.
        if any(name.endswith(UNFINISHED) for name, _ in entries(self.folder) - self.entries_before):
            return "saving"
        return "steps" if size else "compile"


def saved_step(folder):
    latest = folder.checkpoints / "latest"
    return int(latest.read_text().removeprefix("step_")) if latest.exists() else 0


def live_and_die(command, folder, phase, rng, pace):
    """Run until a random instant of `phase`; `pace` is the step that should be saved by now."""
    behind = saved_step(folder) < pace
    life = Life(command, folder)
    try:
        if life.reach(phase):
            time.sleep(rng.uniform(0, PHASES[phase][behind]))
        hit = life.kill()
    finally:
        life.process.kill()
        err = life.process.communicate()[1]
    assert hit is not None, f"the run ended with {life.process.returncode}: {err}"
    return phase if hit == "steps" and phase == "compile" else hit


@pytest.mark.slow
def test_a_run_killed_many_times_ends_as_one_that_was_never_killed(
    command, metrics, tensor_hashes, tmp_path
):
    straight = command.here(*words_of(command, tmp_path / "straight"))
    assert straight.code == 0, straight.stderr
    folder, rng, hits = RunFolder(tmp_path / "killed"), random.Random(20240611), []
    phases = [phase for phase, count in KILLS.items() for _ in range(count)]
    rng.shuffle(phases)
    for phase in phases:
        pace = 0.9 * STEPS * len(hits) / len(phases)
        hits.append(live_and_die(command, folder, phase, rng, pace))
        print(f"kill {len(hits)}: {hits[-1]}, saved {saved_step(folder)}", flush=True)
    print(f"\n{len(hits)} kills: {dict(collections.Counter(hits))}")
    assert set(hits) == set(KILLS)
    assert folder.has_checkpoints()
    done = command.process(*words_of(command, folder.root), "--load_checkpoint=latest")
    assert done.code == 0, done.stderr
    assert "already at step" not in done.stderr
    assert metrics(folder.root) == metrics(tmp_path / "straight")
    assert tensor_hashes(folder.root) == tensor_hashes(tmp_path / "straight")
    leftovers = [name for name, _ in entries(folder) if name.endswith(UNFINISHED)]
    assert leftovers == []
