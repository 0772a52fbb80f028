"""Showing texts while they are written."""

from collections.abc import Callable, Sequence
from typing import TextIO

from mindmlm.inference.generation.stopping import Endings
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer, IncrementalDecoder

OnText = Callable[[int, str, bool], None]


class TextStream:
    """The text of one sequence, handed out in pieces that will not change.

    A character may need several tokens, and what may become a stop string is held back.

    Args:
        endings: of the run.
        decoder: of the tokenizer; it must be new.
    """

    def __init__(self, endings: Endings, decoder: IncrementalDecoder) -> None:
        self._endings = endings
        self._decoder = decoder
        self._waiting = ""
        self._cut = False

    def push(self, token: int) -> str:
        """Take a new token; return the text that is certain now, perhaps none."""
        if self._cut or token in self._endings.end_ids:
            return ""
        self._waiting += self._decoder.push([token])
        text = self._endings.cut(self._waiting)
        self._cut = len(text) < len(self._waiting)
        length = len(text) if self._cut else self._endings.safe_length(text)
        text, self._waiting = text[:length], text[length:]
        return text

    def finish(self) -> str:
        """Return what was held back; nothing comes after it."""
        if self._cut:
            return ""
        return self._endings.cut(self._waiting + self._decoder.finish())


class TextStreams:
    """The texts of many sequences, handed to a callback piece by piece.

    Args:
        endings: of the run.
        tokenizer: of the model.
        on_text: called with the number of a sequence, a piece of text (perhaps none) and whether it
            was the last one; None = nobody looks.
    """

    def __init__(self, endings: Endings, tokenizer: GPT2Tokenizer, on_text: OnText | None) -> None:
        self._endings = endings
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._streams: dict[int, TextStream] = {}

    def __call__(self, number: int, token: int, over: bool) -> None:
        """Take a new token of a sequence and whether it was the last one."""
        if self._on_text is None:
            return
        if number not in self._streams:
            decoder = IncrementalDecoder(self._tokenizer)
            self._streams[number] = TextStream(self._endings, decoder)
        stream = self._streams[number]
        text = stream.push(token)
        if over:
            text += stream.finish()
            del self._streams[number]
        self._on_text(number, text, over)


class TerminalStream:
    """Writes texts as they come, each after its prompt.

    Sequences of a batch come at the same time; what belongs to a later one waits until those before
    it are complete. Characters that steer a terminal become "?".

    Args:
        out: where to write.
        prompts: of each sequence.
    """

    def __init__(self, out: TextIO, prompts: Sequence[str]) -> None:
        self._out = out
        self._pieces = [[prompt] for prompt in prompts]
        self._over = [False] * len(prompts)
        self._showing = 0

    def __call__(self, sequence: int, text: str, over: bool) -> None:
        """Take a piece of a text and whether it was the last one."""
        self._pieces[sequence].append(text)
        self._over[sequence] = over
        while self._showing < len(self._pieces):
            pieces = self._pieces[self._showing]
            self._out.write(_harmless("".join(pieces)))
            pieces.clear()
            if not self._over[self._showing]:
                break
            self._out.write("\n")
            self._showing += 1
        self._out.flush()


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
