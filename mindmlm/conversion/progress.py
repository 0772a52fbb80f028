"""A progress bar over the bytes of tensors that are written."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from tqdm import tqdm

from mindmlm.conversion.converted_model import Exported


@contextmanager
def shown_progress(groups: dict[str, Exported], shown: bool) -> Iterator[dict[str, Exported]]:
    """Give the same tensors, whose reading moves a bar (on a terminal, if ``shown``)."""
    total = sum(spec.nbytes for tensors in groups.values() for spec in tensors.specs.values())
    # None: only on a terminal.
    with tqdm(
        total=total, unit="B", unit_scale=True, desc="converting", disable=None if shown else True
    ) as bar:

        def counting(tensors: Exported) -> Exported:
            def read(name: str) -> np.ndarray:
                bar.update(tensors.specs[name].nbytes)
                return tensors.read(name)

            return Exported(tensors.specs, read)

        yield {name: counting(tensors) for name, tensors in groups.items()}
