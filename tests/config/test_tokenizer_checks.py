"""The files of a tokenizer, as a configuration names them."""

import pytest

from mindmlm.config import load_config
from mindmlm.errors import ConfigError

TOKENIZER = "processor.tokenizer."
GPT2 = (
    "model.model_config.type=GPT2Config",
    "model.arch.type=GPT2LMHeadModel",
    "trainer.type=CausalLanguageModelingTrainer",
    f"{TOKENIZER}type=GPT2Tokenizer",
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["merges_file=here.txt"], "vocab_file: merges_file here.txt is given without"),
        (["merges_file=gone.txt", "vocab_file=here.txt"], "merges_file: gone.txt: no such file"),
        (["merges_file=" + "x" * 5000, "vocab_file=here.txt"], "no such file"),
    ],
)
def test_merges_are_a_file_that_goes_with_a_vocabulary(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.txt").write_text("a\n")
    (tmp_path / "run.yaml").write_text("trainer: {}\n")
    given = [*GPT2, *(TOKENIZER + option for option in options)]
    with pytest.raises(ConfigError, match=message):
        load_config("run.yaml", given, require_inputs=False)
