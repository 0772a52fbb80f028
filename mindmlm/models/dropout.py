"""Dropout masks as data: f(seed, step, sample, layer, site), made on the host.

MindSpore's own dropout keeps a hidden counter that nothing can set, so a resumed run could not
repeat its masks (docs/design/dropout.md). Here the mask of a sample depends only on the run's seed,
the step, the sample's index in the global batch and the place in the network: the same in every
parallel layout, after every resume, and with any number of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LEVELS = 1 << 16
_VALUES_PER_BLOCK = 16  # four words of 64 bits


@dataclass(frozen=True)
class DropoutSite:
    """One place in the network where values are dropped.

    Args:
        layer: 0 for the embeddings, 1.. for the layers.
        name: which site of that layer.
        shape: shape of the mask of one sample.
        probability: share of values that are dropped.
        here: the part of the first axis that this device needs; None = all of it.
    """

    layer: int
    name: int
    shape: tuple[int, ...]
    probability: float
    here: range | None = None

    @property
    def local_shape(self) -> tuple[int, ...]:
        """Shape of the part that is made."""
        return self.shape if self.here is None else (len(self.here), *self.shape[1:])


def keep_masks(
    sites: Sequence[DropoutSite], seed: int, step: int, sample_indices: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Keep masks of a micro-batch, one array [batch, *site.local_shape] of bool for each site.

    Args:
        sites: where masks are needed.
        seed: of the run.
        step: optimizer step, from 0.
        sample_indices: int [batch], each sample's index in the global batch.

    A value is kept with probability `1 - round(65536 p) / 65536`.
    """
    masks = tuple(np.empty((len(sample_indices), *site.local_shape), np.bool_) for site in sites)
    for row, sample in enumerate(sample_indices):
        for site, mask in zip(sites, masks, strict=True):
            _fill(mask[row].reshape(-1), site, seed, step, int(sample))
    return masks


def _fill(mask: np.ndarray, site: DropoutSite, seed: int, step: int, sample: int) -> None:
    """Write the mask of one sample into `mask`, bool [values of the site]."""
    skipped = 0 if site.here is None else site.here.start * int(np.prod(site.shape[1:]))
    # Philox numbers its blocks, so a part of the mask starts at its own block.
    block, offset = divmod(skipped, _VALUES_PER_BLOCK)
    key = np.array([seed & (2**64 - 1), (step << 32) | sample], np.uint64)
    counter = np.array([block, 0, site.layer, site.name], np.uint64)
    bits = np.random.Philox(key=key, counter=counter).random_raw((offset + mask.size + 3) // 4)
    threshold = round(site.probability * _LEVELS)
    values = bits.view(np.uint16)[offset : offset + mask.size]
    np.greater_equal(values, threshold, out=mask)
