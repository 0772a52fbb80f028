"""What the rows of a run are made of; no MindSpore in here."""

from mindmlm.build_data.records import reads_records
from mindmlm.config.schema import RunConfig


def predicts_next(config: RunConfig) -> bool:
    """Return whether every token is predicted from those before it, so that nothing is masked."""
    return config.processor.tokenizer.type == "GPT2Tokenizer"


def spaces_divide_words(config: RunConfig) -> bool:
    """Return whether words are what white space divides, so that no segmenter looks for them."""
    return config.processor.tokenizer.type == "RobertaTokenizer"


def packs_documents(config: RunConfig) -> bool:
    """Return whether rows may hold several documents.

    GPT-2's records may, however they were made: their end tokens tell. BERT's do not.
    """
    if reads_records(config):
        return predicts_next(config)
    return config.train_dataset.sample_mode != "line"


def isolates_documents(config: RunConfig) -> bool:
    """Return whether rows hold several documents that must not see each other."""
    return packs_documents(config) and not config.train_dataset.attend_across_documents
