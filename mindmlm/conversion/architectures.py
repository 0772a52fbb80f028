"""The architectures that can be converted: parameters, name tables, descriptions."""

from collections.abc import Callable
from dataclasses import dataclass

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.tables import bert
from mindmlm.conversion.tables.base import NameTable

POOLER = "bert.pooler."


@dataclass(frozen=True)
class Architecture:
    """What a conversion has to know of one model.

    Attributes:
        name: our name of it, `model.arch.type`.
        parameters: settings and vocabulary size -> shape of every parameter by our name.
        tables: its names in other libraries.
    """

    name: str
    parameters: Callable[[BertModelConfig, int], dict[str, tuple[int, ...]]]
    tables: tuple[NameTable, ...]

    def table(self, library: str) -> NameTable:
        """Return the names of one library."""
        return next(table for table in self.tables if table.library == library)


def bert_parameters(config: BertModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of `BertForMaskedLM`, in the model's own order."""
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word": (vocab_size, hidden),
        "bert.embeddings.position": (config.max_position_embeddings, hidden),
        "bert.embeddings.token_type": (config.type_vocab_size, hidden),
        **_vectors("bert.embeddings.norm", hidden),
    }
    for number in range(config.num_hidden_layers):
        layer = f"bert.layers.{number}"
        for part in ("query", "key", "value", "output"):
            shapes |= _dense(f"{layer}.attention.{part}", hidden, hidden)
        shapes |= _vectors(f"{layer}.attention_norm", hidden)
        shapes |= _dense(f"{layer}.intermediate", hidden, inner)
        shapes |= _dense(f"{layer}.output", inner, hidden)
        shapes |= _vectors(f"{layer}.output_norm", hidden)
    if not config.post_layernorm_residual:
        shapes |= _vectors("bert.final_norm", hidden)
    if config.add_pooling_layer:
        shapes |= _dense("bert.pooler", hidden, hidden)
    shapes |= _dense("head.dense", hidden, hidden)
    return shapes | _vectors("head.norm", hidden) | {"head.bias": (vocab_size,)}


def _dense(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _vectors(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


BERT = Architecture(
    name="BertForMaskedLM",
    parameters=bert_parameters,
    tables=(bert.HUGGINGFACE, bert.TENSORFLOW, bert.MINDFORMERS),
)
