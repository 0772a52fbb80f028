"""When a continuation is over, and which text it stands for."""

from collections.abc import Callable, Sequence


class Endings:
    """End tokens and stop strings.

    Args:
        end_ids: tokens that end a text.
        stop: texts that end one; none is empty.
        decode: ids -> text; bytes that are no whole character become U+FFFD.
    """

    def __init__(
        self, end_ids: Sequence[int], stop: Sequence[str], decode: Callable[[Sequence[int]], str]
    ) -> None:
        self.end_ids = tuple(dict.fromkeys(end_ids))
        self.stop = tuple(stop)
        self._decode = decode
        # A token spells at least one byte, so a stop string that the newest token completes begins
        # at most this many tokens before it.
        self._window = max((len(text.encode("utf-8")) for text in stop), default=0)

    def reached(self, tokens: Sequence[int]) -> bool:
        """Whether the newest of the new tokens ends the text."""
        if tokens[-1] in self.end_ids:
            return True
        if not self.stop:
            return False
        newest = self._decode(tokens[-self._window :])
        return any(text in newest for text in self.stop)

    def without_end(self, tokens: Sequence[int]) -> Sequence[int]:
        """The tokens but for an end token at the end."""
        return tokens[:-1] if tokens and tokens[-1] in self.end_ids else tokens

    def text(self, tokens: Sequence[int]) -> str:
        """The text of the new tokens, cut before the end token and the first stop string."""
        return self.cut(self._decode(self.without_end(tokens)))

    def cut(self, text: str) -> str:
        """What stands before the first stop string."""
        places = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else text

    def safe_length(self, text: str) -> int:
        """How much of a text that goes on cannot become part of a stop string."""
        longest = max((len(stop) for stop in self.stop), default=0)
        for start in range(max(0, len(text) - longest + 1), len(text)):
            if any(stop.startswith(text[start:]) for stop in self.stop):
                return start
        return len(text)
