"""From texts to batches of prompts."""

from collections.abc import Sequence

import numpy as np

from mindmlm.errors import DataError
from mindmlm.inference.generation.decoder import PaddedPrompts
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

# Prompts are padded to a multiple of this, so that few shapes are compiled.
_LENGTH_STEP = 32
_SHOWN_CHARACTERS = 40


def encode_prompts(
    texts: Sequence[str], tokenizer: GPT2Tokenizer, max_new_tokens: int, positions: int
) -> list[np.ndarray]:
    """Return int32 [n] ids of each text; an empty one begins at <|endoftext|>, as a document does.

    Args:
        texts: the prompts.
        tokenizer: of the model.
        max_new_tokens: what must have room behind each prompt.
        positions: longest text that the model can read.

    Raises:
        DataError: a prompt is no text, or it and what is to come are longer than the model's
            positions; it names the prompt by its number, from 1.
    """
    return [
        _encode(text, number, tokenizer, max_new_tokens, positions)
        for number, text in enumerate(texts, start=1)
    ]


def _encode(
    text: str, number: int, tokenizer: GPT2Tokenizer, max_new_tokens: int, positions: int
) -> np.ndarray:
    if not isinstance(text, str):
        raise DataError(f"prompt {number} is no text but {type(text).__name__}: {text!r:.60}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"prompt {number} ({text[:_SHOWN_CHARACTERS]!r}) is not valid Unicode: {error}"
        ) from None
    ids = tokenizer.encode_prompt(text)
    if not len(ids):
        ids = np.array([tokenizer.end_id], np.int32)
    if len(ids) + max_new_tokens > positions:
        raise DataError(
            f"prompt {number} ({text[:_SHOWN_CHARACTERS]!r}) has {len(ids)} tokens, and "
            f"{max_new_tokens} new ones (generation.max_new_tokens) are to come; this model reads "
            f"at most {positions} (model.model_config.max_position_embeddings). Use a shorter "
            "prompt or fewer new tokens"
        )
    return ids


def padded_batches(
    prompts: Sequence[np.ndarray], batch_size: int, sequences: int, max_new_tokens: int
) -> list[tuple[range, PaddedPrompts]]:
    """Return the numbers of the prompts of each batch and the batch.

    All batches have the same number of prompts, so that their graphs are the same; where prompts
    are missing in the last one, its first is there several times.

    Args:
        prompts: int32 [n] ids.
        batch_size: prompts of a batch.
        sequences: of each prompt.
        max_new_tokens: of each sequence.
    """
    size = min(batch_size, len(prompts))
    batches = []
    for start in range(0, len(prompts), size or 1):
        numbers = range(start, min(start + size, len(prompts)))
        here = [prompts[number] for number in numbers]
        here += [here[0]] * (size - len(here))
        ids, mask = pad_left(here)
        rows = np.repeat(np.arange(size, dtype=np.int32), sequences)
        batches.append((numbers, PaddedPrompts(ids, mask, rows, max_new_tokens)))
    return batches


def pad_left(prompts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and mask int32 [prompts, length], the tokens at the end of each row."""
    longest = max(len(ids) for ids in prompts)
    length = -(-longest // _LENGTH_STEP) * _LENGTH_STEP
    ids = np.zeros((len(prompts), length), np.int32)
    mask = np.zeros((len(prompts), length), np.int32)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt) :] = prompt
        mask[row, length - len(prompt) :] = 1
    return ids, mask
