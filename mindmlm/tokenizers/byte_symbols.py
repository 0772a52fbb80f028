"""GPT-2's characters for the 256 bytes (openai/gpt-2, encoder.py, `bytes_to_unicode`)."""

_PRINTED = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]


def _symbols() -> dict[int, str]:
    """Return a visible character for each byte: itself where it has one, else one from U+0100."""
    others = (byte for byte in range(256) if byte not in set(_PRINTED))
    shifted = {byte: chr(256 + place) for place, byte in enumerate(others)}
    return {byte: shifted.get(byte, chr(byte)) for byte in range(256)}


BYTE_SYMBOLS = _symbols()
"""Byte -> character."""

_BYTES = {symbol: byte for byte, symbol in BYTE_SYMBOLS.items()}


def bytes_of(token: str) -> bytes:
    """Return the bytes that a token stands for.

    A token with a character that stands for no byte (added to a vocabulary as it is) stands for
    its own UTF-8.
    """
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.encode("utf-8")
