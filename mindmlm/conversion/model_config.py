"""The file that describes a model of another library, and our model section."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.electra import ElectraModelConfig
from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.config.schema.roberta import RobertaModelConfig
from mindmlm.conversion.bert_config import bert_config, bert_settings
from mindmlm.conversion.distilbert import ARCHITECTURE as DISTILBERT
from mindmlm.conversion.distilbert import distilbert_config, distilbert_settings
from mindmlm.conversion.electra_config import (
    GENERATOR_MODEL,
    electra_config,
    electra_settings,
)
from mindmlm.conversion.gpt2_config import gpt2_config, gpt2_settings
from mindmlm.conversion.json_files import read_json_object
from mindmlm.conversion.roberta_config import roberta_config, roberta_settings
from mindmlm.errors import CheckpointError

AnySettings = BertModelConfig | RobertaModelConfig | GPT2ModelConfig | ElectraModelConfig

QUESTION_ANSWERING, PRETRAINING = "BertForQuestionAnswering", "BertForPreTraining"
CONFIG_NAMES = ("config.json", "bert_config.json")


def find_config(folder: Path) -> Path | None:
    """Return the description of the model in a folder, or None."""
    return next((folder / name for name in CONFIG_NAMES if (folder / name).is_file()), None)


def read_model_config(path: Path) -> AnySettings:
    """Return the settings that a `config.json` or `bert_config.json` describes.

    Google's file has no epsilon; its code uses 1e-12. ``gelu`` is taken as the exact form, as
    transformers takes it.

    Raises:
        CheckpointError: another architecture, a missing key, or something that the model here
            cannot do.
    """
    content = read_json_object(path)
    # Files of 2018 and 2019 do not say what they describe.
    kind = content.get("model_type", "gpt2" if "n_embd" in content else "bert")
    if kind == "bert":
        return bert_settings(content, str(path))
    if kind == "roberta":
        return roberta_settings(content, str(path))
    if kind == "gpt2":
        return gpt2_settings(content, str(path))
    if kind == "electra":
        _refuse_generator(content, path)
        return electra_settings(content, str(path))
    if kind == "distilbert":
        return distilbert_settings(content, str(path))
    raise CheckpointError(
        f"{path}: model_type is {kind!r}; only 'bert', 'roberta', 'distilbert', 'electra' and "
        "'gpt2' can be converted so far"
    )


def _refuse_generator(content: Mapping[str, Any], path: Path) -> None:
    if content.get("architectures") == [GENERATOR_MODEL]:
        raise CheckpointError(
            f"{path}: describes {GENERATOR_MODEL}, ELECTRA's generator, and a model here has a "
            "discriminator; name the discriminator's folder, and this one beside it: "
            "tools/convert_checkpoint.py --input DISCRIMINATOR --generator "
            f"{path.parent} --output RUN --to mindmlm"
        )


def named_architecture(path: Path | None) -> str | None:
    """Return the model with more than a language model's head that a `config.json` names.

    None means a language model, or an encoder to make one of.
    """
    named = read_json_object(path).get("architectures") if path else None
    kinds = ([QUESTION_ANSWERING], [PRETRAINING])
    return str(named[0]) if named in kinds else None


def huggingface_config(
    settings: AnySettings, vocab_size: int, special_id: int | None, architecture: str = ""
) -> dict[str, Any]:
    """Return transformers' `config.json` of a model with these settings.

    Args:
        settings: of the model.
        vocab_size: rows of its word embedding.
        architecture: the name there, where one model has two.
        special_id: [PAD] of BERT and ELECTRA, GPT-2's <|endoftext|>; RoBERTa's are always the same.

    Raises:
        CheckpointError: the model is one that transformers has no code for.
    """
    if isinstance(settings, GPT2ModelConfig):
        return gpt2_config(settings, vocab_size, special_id)
    if isinstance(settings, ElectraModelConfig):
        return electra_config(settings, vocab_size, special_id)
    if architecture == DISTILBERT:
        return distilbert_config(settings, vocab_size, special_id)
    if isinstance(settings, RobertaModelConfig):
        return roberta_config(settings, vocab_size)
    return bert_config(settings, vocab_size, special_id)
