"""What the rows of a run are made of; no MindSpore in here."""

from mindmlm.build_data.records import reads_records
from mindmlm.config.schema import RunConfig


def isolates_documents(config: RunConfig) -> bool:
    """Return whether rows hold several documents that must not see each other."""
    train = config.train_dataset
    packs = train.sample_mode == "packed" and not reads_records(config)
    return packs and not train.attend_across_documents
