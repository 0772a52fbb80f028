"""`README.md` of a folder for transformers: a model card to complete."""

from dataclasses import dataclass

from mindmlm import __version__
from mindmlm.conversion.model_config import AnySettings

_CARD = """\
---
library_name: transformers
pipeline_tag: {pipeline}
tags:
- {tag}
- mindmlm
---

# {name}

{title}: {layers} layers of width {hidden} with {heads} attention
heads, {positions} positions, {vocab_size} tokens, {parameters:,} parameters in float32.

{origin}Converted by mindmlm {version}. `sha256sums.txt` lists the SHA-256 of every file.

```python
from transformers import {auto_class}, AutoTokenizer

model = {auto_class}.from_pretrained("{name}")
tokenizer = AutoTokenizer.from_pretrained("{name}")
```

Say here what text the model was trained on, what it is for, where it fails, and under which licence
it may be used.
"""


@dataclass(frozen=True)
class _Kind:
    """What the card of one kind of network says."""

    title: str
    tag: str
    pipeline: str
    auto_class: str


_KINDS = {
    "BertForMaskedLM": _Kind(
        "BERT with the masked-language-model head", "bert", "fill-mask", "AutoModelForMaskedLM"
    ),
    "BertForPreTraining": _Kind(
        "BERT with the heads for hidden words and for sentence pairs",
        "bert",
        "fill-mask",
        "AutoModelForPreTraining",
    ),
    "DistilBertForMaskedLM": _Kind(
        "DistilBERT with the masked-language-model head",
        "distilbert",
        "fill-mask",
        "AutoModelForMaskedLM",
    ),
    "RobertaForMaskedLM": _Kind(
        "RoBERTa with the masked-language-model head",
        "roberta",
        "fill-mask",
        "AutoModelForMaskedLM",
    ),
    "BertForQuestionAnswering": _Kind(
        "BERT with the question-answering head",
        "bert",
        "question-answering",
        "AutoModelForQuestionAnswering",
    ),
    "ElectraForPreTraining": _Kind(
        "ELECTRA's discriminator", "electra", "feature-extraction", "AutoModelForPreTraining"
    ),
    "ElectraForMaskedLM": _Kind(
        "ELECTRA's generator", "electra", "fill-mask", "AutoModelForMaskedLM"
    ),
    "GPT2LMHeadModel": _Kind(
        "GPT-2 with the language-model head", "gpt2", "text-generation", "AutoModelForCausalLM"
    ),
}


def model_card(
    settings: AnySettings, architecture: str, parameters: int, name: str, origin: str
) -> str:
    """Return the text of the card.

    Args:
        settings: of the model, with `vocab_size`.
        architecture: name of the model.
        parameters: number of values in all of its weights.
        name: title of the card.
        origin: a sentence on where the weights come from, or "".
    """
    kind = _KINDS[architecture]
    return _CARD.format(
        title=kind.title,
        tag=kind.tag,
        pipeline=kind.pipeline,
        auto_class=kind.auto_class,
        name=name,
        layers=settings.num_hidden_layers,
        hidden=settings.hidden_size,
        heads=settings.num_attention_heads,
        positions=settings.longest_row,
        vocab_size=settings.vocab_size,
        parameters=parameters,
        origin=f"{origin} " if origin else "",
        version=__version__,
    )
