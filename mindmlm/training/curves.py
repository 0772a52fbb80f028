"""The loss curve of a run as a picture."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mindmlm.runtime.files import write_bytes_atomic
from mindmlm.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAIN, _HELD_OUT, _RATE, _GREY = "#4C78A8", "#E4572E", "#54A24B", "#555555"
_POINTS = 4000
_SMOOTHED_SHARE = 0.03


def save_loss_curve(history: History, path: Path, title: str) -> None:
    """Draw training loss, held-out loss and learning rate over the steps into a PNG.

    A run of more than 4,000 steps is thinned for drawing; the file is replaced whole.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    loss, rate = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    _draw_losses(loss, history)
    loss.set_title(title, loc="left", fontsize=12, fontweight="bold")
    rate.plot(*_thinned(history.steps, history.learning_rates), color=_RATE, linewidth=1.4)
    rate.set_ylabel("learning rate", color=_GREY)
    rate.set_xlabel("step", color=_GREY)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axes in (loss, rate):
        _tidy(axes)
    png = BytesIO()
    figure.savefig(png, format="png")
    write_bytes_atomic(path, png.getvalue())


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of each value and up to ``window`` - 1 before it; NaNs are left out.

    Args:
        values: float64 [n].
        window: 1 or more.
    """
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    with np.errstate(invalid="ignore"):
        return (sums[ends] - sums[starts]) / (counts[ends] - counts[starts])


def _draw_losses(axes: "Axes", history: History) -> None:
    window = max(1, round(_SMOOTHED_SHARE * len(history.steps)))
    smooth = moving_average(history.losses, window)
    axes.plot(*_thinned(history.steps, history.losses), color=_TRAIN, alpha=0.25, linewidth=0.8)
    label = f"training loss (mean of {window} steps)" if window > 1 else "training loss"
    axes.plot(*_thinned(history.steps, smooth), color=_TRAIN, linewidth=1.8, label=label)
    evaluations = sorted(history.evaluations, key=lambda found: found.step)
    steps = [found.step for found in evaluations]
    losses = [found.loss for found in evaluations]
    axes.plot(steps, losses, color=_HELD_OUT, marker="o", markersize=4, label="held-out loss")
    for found, side in ((history.before, "left"), (history.after, "right")):
        axes.annotate(
            f"perplexity {found.perplexity:,.4g}",
            (found.step, found.loss),
            xytext=(8 if side == "left" else -8, 8),
            textcoords="offset points",
            ha=side,
            color=_HELD_OUT,
            fontsize=9,
        )
    axes.set_ylabel("loss, nats per masked token", color=_GREY)
    axes.legend(frameon=False)


def _tidy(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.tick_params(colors=_GREY)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stride = -(-len(x) // _POINTS)
    return x[::stride], y[::stride]
