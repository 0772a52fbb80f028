"""What a run is about to do, in a line."""

from mindmlm.build.model import ModelOnRank
from mindmlm.config.parallel_notes import batch_formula
from mindmlm.config.schema import RunConfig
from mindmlm.parallel.agreement import Agreement


def describe(model: ModelOnRank, config: RunConfig, agreement: Agreement) -> str:
    """Size of the model and the global batch as a product; all ranks call it."""
    (parameters,) = agreement.sums([model.number_of_parameters()], counts=True)
    return f"{config.trainer.model_name}: {round(parameters):,} parameters; {batch_formula(config)}"
