"""Builds models in several layouts and prints the bytes that are alive on this rank, as JSON.

Argument: a JSON file with ``world`` and ``layouts``, a list of ``config`` and ``options``.
"""

import json
import sys
from pathlib import Path

from mindmlm import build
from mindmlm.config import load_config
from mindmlm.parallel.collectives import create_groups
from mindmlm.runtime.context import initialise
from mindmlm.runtime.world import join_world


def live_bytes(config, world):
    """Bytes of the arrays of weights, moments and updated parts."""
    place = build.place_of(config, world)
    create_groups(place.layout, place.rank)
    model = build.model_with_rows(config, config.model.settings.vocab_size, place)
    updater = build.build_updater(config, model)
    weights = {id(value): value for value in model.parameters()}
    owned = [value for value in updater.owned.parameters if id(value) not in weights]
    return {
        "stage": place.at.stage,
        "weights": sum(value.asnumpy().nbytes for value in weights.values()),
        "parts": sum(value.asnumpy().nbytes for value in owned),
        "moments": sum(value.asnumpy().nbytes for value in updater.state()),
    }


job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
initialise("CPU", device_id=0, mode=0)
ranks = join_world(True)
found = [
    live_bytes(load_config(one["config"], one["options"], require_inputs=False).config, ranks)
    for one in job
]
print("BYTES " + json.dumps(found))
