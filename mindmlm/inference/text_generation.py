"""Generation with a model that is in memory."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.errors import ConfigError
from mindmlm.inference.divided_decoder import DividedDecoder
from mindmlm.inference.generation.generator import TextGenerator
from mindmlm.inference.generation.streaming import OnText
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.parallel.place import Place
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer


def generate(
    model: GPT2LMHeadModel,
    tokenizer: GPT2Tokenizer,
    prompts: str | Sequence[str],
    *,
    batch_size: int = 8,
    on_text: OnText | None = None,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Let a model write on.

        generate(model, tokenizer, "Once upon a time", max_new_tokens=20)
        generate(model, tokenizer, prompts, do_sample=True, top_p=0.9, num_return_sequences=3)

    Args:
        model: with its weights, whole.
        tokenizer: of its vocabulary.
        prompts: one text or several, of any lengths.
        batch_size: prompts that are continued at a time. It changes the speed, not the texts.
        on_text: called while texts are written, with the number of a result, a piece of its text
            and whether that was the last piece.
        settings: those of the section `generation` (docs/generation.md): max_new_tokens,
            do_sample, temperature, top_k, top_p, repetition_penalty, num_beams, length_penalty,
            early_stopping, num_return_sequences, eos_token_id, stop, seed.

    Returns:
        `{"prompt": str, "text": str, "token_ids": list of int}` for each text, in the order of the
        prompts, `num_return_sequences` of each. `text` and `token_ids` are what is new.

    Raises:
        ConfigError: a setting is unknown, has a value it cannot have, or contradicts another one.
        DataError: a prompt is no text or too long; the message has its number, from 1.
    """
    section = _section(settings)
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    rows, hidden = model.gpt2.embeddings.word.shape
    positions = model.gpt2.embeddings.position.shape[0]
    if rows < tokenizer.vocab_size:
        raise ConfigError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, and the model's embedding only "
            f"{rows} rows; use the tokenizer that the model was trained with"
        )
    with DividedDecoder(model, Place.alone(), hidden, rows) as decoder:
        return TextGenerator(decoder, tokenizer, section, positions, batch_size)(texts, on_text)


def _section(settings: dict[str, Any]) -> GenerationConfig:
    # Showing the text on a terminal is the command line's way; here `on_text` gets it.
    known = [name for name in GenerationConfig.model_fields if name != "stream"]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise ConfigError(f"{unknown[0]}: no setting of generation; there are {', '.join(known)}")
    try:
        return GenerationConfig(**settings)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}; got {item['input']!r}"
            for item in error.errors(include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from None
