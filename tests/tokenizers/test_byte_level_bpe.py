import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import ByteLevelBPETokenizer

from mindmlm.errors import DataError
from mindmlm.tokenizers.byte_level_bpe import END_OF_TEXT, train_byte_level_bpe

TEXTS = ["the cat sat on the mat, the hat", "今天天气很好，今天很好"] * 3
SCRIPT = """
import sys, hashlib
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
import pydoc_data.topics as t
found = train_byte_level_bpe(t.topics.values(), 3000)
print(hashlib.sha256((found.vocab_json() + found.merges_text()).encode()).hexdigest())
"""


def test_files_load_elsewhere_and_spell_everything(tmp_path: Path) -> None:
    found = train_byte_level_bpe(TEXTS, 300)
    assert len(found.vocab) == len(set(found.vocab)) <= 300
    assert found.vocab[-1] == END_OF_TEXT
    assert len(found.merges) == len(found.vocab) - 257
    (tmp_path / "vocab.json").write_text(found.vocab_json(), encoding="utf-8")
    (tmp_path / "merges.txt").write_text(found.merges_text(), encoding="utf-8")
    assert json.loads(found.vocab_json())[END_OF_TEXT] == len(found.vocab) - 1
    loaded = ByteLevelBPETokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    for text in [*TEXTS, "unseen émoji 🙂\t\n"]:
        assert loaded.decode(loaded.encode(text).ids) == text
    assert len(loaded.encode(TEXTS[0]).ids) < len(TEXTS[0])


def test_same_bytes_in_every_process() -> None:
    found = set()
    for seed in ("1", "2", "3"):
        environment = {
            **os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        found.add(subprocess.check_output([sys.executable, "-c", SCRIPT], env=environment))
    assert len(found) == 1
    assert len(found.pop().strip()) == hashlib.sha256().digest_size * 2


def test_bad_input() -> None:
    with pytest.raises(DataError, match="at least 257 tokens"):
        train_byte_level_bpe(TEXTS, 256)
    with pytest.raises(DataError, match="no text"):
        train_byte_level_bpe([], 300)
