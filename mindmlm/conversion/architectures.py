"""The architectures that can be converted: parameters, name tables, descriptions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.electra import ElectraModelConfig
from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.config.schema.network import NetworkConfig
from mindmlm.conversion.tables import (
    bert,
    bert_pretraining,
    bert_qa,
    distilbert,
    electra,
    gpt2,
    roberta,
)
from mindmlm.conversion.tables.base import NameTable
from mindmlm.errors import CheckpointError
from mindmlm.models.bert import parallel_plan as bert_plan
from mindmlm.models.electra.parallel_plan import NOT_CUT
from mindmlm.models.gpt2 import parallel_plan as gpt2_plan
from mindmlm.models.gpt2.initialization import initial_deviation as gpt2_deviation
from mindmlm.models.plan import ParallelPlan

POOLER = "bert.pooler."
# Patterns of the parameters that are new when a language model learns a task.
TASK_HEADS = ("qa.*", "seq_relationship.*", "bert.pooler.*")
# A parameter that only one architecture has.
_QA_HEAD, _PAIR_HEAD = "qa.weight", "seq_relationship.weight"


@dataclass(frozen=True)
class Architecture:
    """What a conversion has to know of one model.

    Functions are called with the settings of its own kind of network.

    Attributes:
        name: our name of it, `model.arch.type`.
        trainer: what trains it, `trainer.type`.
        tokenizer: kind of its tokenizer, `processor.tokenizer.type`.
        example: a configuration of it, to name in messages.
        parameters: settings and vocabulary size -> shape of every parameter by our name.
        tables: its names in other libraries.
        vocabulary_rows: parameters with a row for each token, the word embedding first.
        position_rows: parameters with a row for each position.
        tensor_plan, vocabulary_plan: where it is cut, see `ParallelPlan`.
        initial_deviation: settings and parameter name -> spread of its initial values.
        may_be_new: patterns of parameters that a file of another library need not have.
    """

    name: str
    trainer: str
    tokenizer: str
    example: str
    parameters: Callable[[Any, int], dict[str, tuple[int, ...]]]
    tables: tuple[NameTable, ...]
    vocabulary_rows: tuple[str, ...]
    position_rows: tuple[str, ...]
    tensor_plan: ParallelPlan
    vocabulary_plan: ParallelPlan
    initial_deviation: Callable[[Any, str], float]
    may_be_new: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The word embedding."""
        return self.vocabulary_rows[0]

    def table(self, library: str) -> NameTable:
        """Return the names of one library.

        Raises:
            CheckpointError: the library has no such model.
        """
        for table in self.tables:
            if table.library == library:
                return table
        raise CheckpointError(f"{library} has no {self.name}, so its names cannot be given to one")


def bert_parameters(config: BertModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of `BertForMaskedLM`, in the model's own order."""
    shapes = bert_encoder_parameters(config, vocab_size)
    shapes |= _dense("head.dense", config.hidden_size, config.hidden_size)
    return shapes | _vectors("head.norm", config.hidden_size) | {"head.bias": (vocab_size,)}


def bert_pretraining_parameters(
    config: BertModelConfig, vocab_size: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of `BertForPreTraining`, in its own order."""
    whole = config.model_copy(update={"add_pooling_layer": True})
    shapes = bert_parameters(whole, vocab_size)
    return shapes | _dense("seq_relationship", config.hidden_size, 2)


def bert_qa_parameters(config: BertModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of `BertForQuestionAnswering`, in its own order."""
    return bert_encoder_parameters(config, vocab_size) | _dense("qa", config.hidden_size, 2)


def bert_encoder_parameters(config: BertModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of `BertModel`, in the model's own order."""
    hidden = config.hidden_size
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word": (vocab_size, hidden),
        "bert.embeddings.position": (config.max_position_embeddings, hidden),
        "bert.embeddings.token_type": (config.type_vocab_size, hidden),
        **_vectors("bert.embeddings.norm", hidden),
    }
    shapes |= _bert_layers("bert", config)
    if not config.post_layernorm_residual:
        shapes |= _vectors("bert.final_norm", hidden)
    if config.add_pooling_layer:
        shapes |= _dense("bert.pooler", hidden, hidden)
    return shapes


def _bert_layers(stack: str, config: BertModelConfig) -> dict[str, tuple[int, ...]]:
    """Parameters of the layers of a network called ``stack``."""
    hidden, inner = config.hidden_size, config.inner_size
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(config.num_hidden_layers):
        layer = f"{stack}.layers.{number}"
        for part in ("query", "key", "value", "output"):
            shapes |= _dense(f"{layer}.attention.{part}", hidden, hidden)
        shapes |= _vectors(f"{layer}.attention_norm", hidden)
        shapes |= _dense(f"{layer}.intermediate", hidden, inner)
        shapes |= _dense(f"{layer}.output", inner, hidden)
        shapes |= _vectors(f"{layer}.output_norm", hidden)
    return shapes


def electra_parameters(config: ElectraModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of `ElectraForPreTraining`, in the model's own order."""
    size = config.embedding_size
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word": (vocab_size, size),
        "embeddings.position": (config.max_position_embeddings, size),
        "embeddings.token_type": (config.type_vocab_size, size),
        **_vectors("embeddings.norm", size),
    }
    generator, discriminator = config.generator(), config.discriminator()
    shapes |= _electra_network("generator", size, generator)
    shapes |= _dense("generator_head.dense", generator.hidden_size, size)
    shapes |= _vectors("generator_head.norm", size) | {"generator_head.bias": (vocab_size,)}
    shapes |= _electra_network("discriminator", size, discriminator)
    shapes |= _dense(
        "discriminator_head.dense", discriminator.hidden_size, discriminator.hidden_size
    )
    return shapes | _dense("discriminator_head.prediction", discriminator.hidden_size, 1)


def _electra_network(
    name: str, embedding_size: int, network: BertModelConfig
) -> dict[str, tuple[int, ...]]:
    projects = embedding_size != network.hidden_size
    projection = _dense(f"{name}.projection", embedding_size, network.hidden_size)
    return {**(projection if projects else {}), **_bert_layers(name, network)}


def gpt2_parameters(config: GPT2ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of `GPT2LMHeadModel`, in the model's own order."""
    hidden, inner = config.hidden_size, config.inner_size
    shapes: dict[str, tuple[int, ...]] = {
        "gpt2.embeddings.word": (vocab_size, hidden),
        "gpt2.embeddings.position": (config.max_position_embeddings, hidden),
    }
    for number in range(config.num_hidden_layers):
        layer = f"gpt2.layers.{number}"
        shapes |= _vectors(f"{layer}.attention_norm", hidden)
        for part in ("query", "key", "value", "output"):
            shapes |= _dense(f"{layer}.attention.{part}", hidden, hidden)
        shapes |= _vectors(f"{layer}.feed_forward_norm", hidden)
        shapes |= _dense(f"{layer}.intermediate", hidden, inner)
        shapes |= _dense(f"{layer}.output", inner, hidden)
    return shapes | _vectors("gpt2.final_norm", hidden)


def _dense(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _vectors(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _bert_deviation(config: BertModelConfig | ElectraModelConfig, name: str) -> float:
    return float(config.initializer_range)


BERT = Architecture(
    name="BertForMaskedLM",
    trainer="MaskedLanguageModelingTrainer",
    tokenizer="BertTokenizer",
    example="configs/bert/run_bert_base_uncased.yaml",
    parameters=bert_parameters,
    tables=(bert.HUGGINGFACE, bert.TENSORFLOW, bert.MINDFORMERS, distilbert.DISTILBERT),
    vocabulary_rows=("bert.embeddings.word", "head.bias"),
    position_rows=("bert.embeddings.position",),
    tensor_plan=bert_plan.TENSOR_PLAN,
    vocabulary_plan=bert_plan.VOCABULARY_PLAN,
    initial_deviation=_bert_deviation,
)
BERT_PRETRAINING = replace(
    BERT,
    name="BertForPreTraining",
    example="configs/bert/run_nsp_base_uncased_128.yaml",
    parameters=bert_pretraining_parameters,
    tables=(
        bert_pretraining.HUGGINGFACE,
        bert_pretraining.TENSORFLOW,
        bert_pretraining.MINDFORMERS,
    ),
)
ROBERTA = replace(
    BERT,
    name="RobertaForMaskedLM",
    tokenizer="RobertaTokenizer",
    example="configs/roberta/run_roberta_base.yaml",
    tables=(roberta.HUGGINGFACE,),
)
BERT_QA = replace(
    BERT,
    name="BertForQuestionAnswering",
    trainer="QuestionAnsweringTrainer",
    example="configs/qa/run_qa_bert_base_uncased.yaml",
    parameters=bert_qa_parameters,
    tables=(bert_qa.HUGGINGFACE, bert_qa.TENSORFLOW, bert_qa.MINDFORMERS),
    vocabulary_rows=("bert.embeddings.word",),
    vocabulary_plan=bert_plan.ENCODER_VOCABULARY_PLAN,
)
GPT2 = Architecture(
    name="GPT2LMHeadModel",
    trainer="CausalLanguageModelingTrainer",
    tokenizer="GPT2Tokenizer",
    example="configs/gpt2/run_gpt2.yaml",
    parameters=gpt2_parameters,
    tables=(gpt2.HUGGINGFACE, gpt2.MINDFORMERS),
    vocabulary_rows=("gpt2.embeddings.word",),
    position_rows=("gpt2.embeddings.position",),
    tensor_plan=gpt2_plan.TENSOR_PLAN,
    vocabulary_plan=gpt2_plan.VOCABULARY_PLAN,
    initial_deviation=gpt2_deviation,
)
ELECTRA = Architecture(
    name="ElectraForPreTraining",
    trainer="ReplacedTokenDetectionTrainer",
    tokenizer="BertTokenizer",
    example="configs/electra/run_electra_small.yaml",
    parameters=electra_parameters,
    tables=(electra.HUGGINGFACE, electra.TOGETHER),
    vocabulary_rows=("embeddings.word", "generator_head.bias"),
    position_rows=("embeddings.position",),
    tensor_plan=NOT_CUT,
    vocabulary_plan=NOT_CUT,
    initial_deviation=_bert_deviation,
    may_be_new=("generator.*", "generator_head.*"),
)
_BY_NETWORK = {
    "BertConfig": BERT,
    "RobertaConfig": ROBERTA,
    "GPT2Config": GPT2,
    "ElectraConfig": ELECTRA,
}
_BY_NAME = {kind.name: kind for kind in (BERT, ROBERTA, BERT_PRETRAINING, BERT_QA, GPT2, ELECTRA)}


def architecture_of(settings: NetworkConfig) -> Architecture:
    """Return the architecture that settings describe, with the head of a language model."""
    return _BY_NETWORK[settings.type]


def architecture_named(name: str) -> Architecture:
    """Return the architecture that `model.arch.type` calls ``name``."""
    return _BY_NAME[name]


def architecture_with(parameters: Iterable[str]) -> Architecture:
    """Return an architecture with parameters of these names (ours), BERT for RoBERTa as well."""
    names = set(parameters)
    if _QA_HEAD in names:
        return BERT_QA
    if _PAIR_HEAD in names:
        return BERT_PRETRAINING
    return next(kind for kind in _BY_NETWORK.values() if kind.word in names)
