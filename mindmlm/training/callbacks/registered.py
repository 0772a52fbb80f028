"""Callbacks of MindSpore and MindFormers in our loop."""

import io
from contextlib import nullcontext, redirect_stdout

import mindspore as ms
from mindspore.train.callback import Callback as MindSporeCallback
from mindspore.train.callback import RunContext
from mindspore.train.callback._callback import InternalCallbackParam

from mindmlm.training.loop import Callback, FinishedStep, Run


class RegisteredCallback(Callback):
    """Calls a callback as MindSpore's `Model.train` does, with what our loop knows.

    It sees `cur_step_num`, `cur_epoch_num`, `batch_num` (steps of an epoch, the last one maybe
    shared with the next), `epoch_num`, `net_outputs` (the loss of the global batch), and
    `eval_results` (the last evaluation, names beginning with eval_). A stop that it requests ends
    the run after the step, with a checkpoint.

    Args:
        inner: the callback. Every rank has one and calls it at the same steps.
        prints: whether its standard output is shown.
    """

    def __init__(self, inner: MindSporeCallback, prints: bool) -> None:
        self._inner = inner
        self._prints = prints
        self._known = InternalCallbackParam(
            mode="train", dataset_sink_mode=False, device_number=1, eval_results={}, metrics={}
        )
        self._context = RunContext(self._known)

    def on_train_begin(self, run: Run) -> None:
        """Describe the run, and begin."""
        known, samples = self._known, run.samples_per_epoch
        known.batch_num = max(1, -(-samples // run.global_batch_size))
        known.epoch_num = max(1, -(-run.total_steps * run.global_batch_size // samples))
        known.cur_step_num = run.state.step
        known.cur_epoch_num = self._epoch(run)
        self._call("on_train_begin")
        if run.state.step < run.total_steps:
            self._call("on_train_epoch_begin")
            self._call("on_train_step_begin")

    def on_step_end(self, run: Run, step: FinishedStep) -> None:
        """Tell it of the step, and of the epoch if it is over."""
        known, epoch = self._known, self._known.cur_epoch_num
        known.cur_step_num = run.state.step
        known.net_outputs = ms.Tensor(step.result.loss, ms.float32)
        if run.evaluation is not None:
            values = run.evaluation.values
            known.eval_results = {f"eval_{name}": value for name, value in values.items()}
        self._call("on_train_step_end")
        over = self._epoch(run) > epoch or (step.is_last and not step.interrupted)
        if over:
            self._call("on_train_epoch_end")
        known.cur_epoch_num = self._epoch(run)
        if self._context.get_stop_requested():
            run.finished = True
        elif not step.is_last:
            if over:
                self._call("on_train_epoch_begin")
            self._call("on_train_step_begin")

    def on_train_end(self, run: Run) -> None:
        """Let it finish."""
        self._call("on_train_end")

    def _epoch(self, run: Run) -> int:
        """Number of the epoch that the next sample belongs to, from 1."""
        return run.state.samples_seen // run.samples_per_epoch + 1

    def _call(self, name: str) -> None:
        with nullcontext() if self._prints else redirect_stdout(io.StringIO()):
            getattr(self._inner, name)(self._context)
