"""What a run is about to do, in a line or two."""

from mindmlm.build.data import batch_layout
from mindmlm.build.model import ModelOnRank
from mindmlm.config.schema import RunConfig
from mindmlm.parallel.agreement import Agreement


def describe(model: ModelOnRank, config: RunConfig, agreement: Agreement) -> str:
    """Size of the model, the global batch as a product, and the layout; all ranks call it."""
    (parameters,) = agreement.sums([model.number_of_parameters()], counts=True)
    layout, batch = model.place.layout, batch_layout(config, model.place)
    lines = [
        f"{config.trainer.model_name}: {round(parameters):,} parameters; global batch "
        f"{batch.global_batch_size} = batch_size {batch.batch_size} x data_parallel "
        f"{batch.data_parallel} x micro_batch_num {config.parallel_config.micro_batch_num} x "
        f"gradient_accumulation_steps {config.runner_config.gradient_accumulation_steps}"
    ]
    if layout.world_size > 1:
        sharding = "" if not config.optimizer_parallel else ", optimizer state divided"
        lines.append(
            f"{layout.world_size} processes: data_parallel {layout.data_parallel} x "
            f"model_parallel {layout.model_parallel} x pipeline_stage {layout.pipeline_stage}"
            f"{sharding}"
        )
    return "; ".join(lines)
