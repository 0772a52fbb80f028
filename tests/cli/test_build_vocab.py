import json
from pathlib import Path

import pytest

from mindmlm.cli.build_vocab import main
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, read_vocab

TEXT = "the transformer reads transformers\n今天天气很好\n" * 8


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def vocab(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, "the", "trans", "##former", "##s", "reads"]))
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_wordpiece(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "vocab.txt"
    assert run("--input_file", text, "--output_file", out, "--vocab_size", 60) == 0
    tokens = read_vocab(out)
    assert {"the", "transformer", "天", "气"} <= set(tokens)
    assert capsys.readouterr().out == f"{out}\n"


def test_records_and_case(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "Upper Upper"}\n')
    out = tmp_path / "vocab.txt"
    arguments = ["--input_file", tmp_path / "a.jsonl", "--text_field", "body"]
    assert run(*arguments, "--output_file", out, "--do_lower_case", "False") == 0
    assert "U" in read_vocab(out)
    assert run(*arguments, "--output_file", out) == 0
    assert "U" not in read_vocab(out)


def test_bpe(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "bpe"
    assert run("--input_file", text, "--output_file", out, "--algorithm", "bpe") == 0
    tokens = json.loads((out / "vocab.json").read_text(encoding="utf-8"))
    merges = (out / "merges.txt").read_text(encoding="utf-8").splitlines()
    assert len(tokens) == 257 + len(merges) - 1


def test_extend_by_a_list_and_by_a_text(
    text: Path, vocab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\ufeffTransformer\nthe\n\n天气\n", encoding="utf-8")
    out = tmp_path / "new.txt"
    assert run("--extend", vocab, "--words", words, "--output_file", out) == 0
    assert read_vocab(out) == [*read_vocab(vocab), "transformer", "天", "气"]
    assert "1 words are divided" in capsys.readouterr().err
    assert run("--extend", vocab, "--input_file", text, "--add", 3, "--output_file", out) == 0
    assert read_vocab(out) == [*read_vocab(vocab), "天", "transformer", "transformers"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--input_file: name the text"),
        (["--words", "w"], "need --extend"),
        (["--extend", "VOCAB"], "say what to add"),
        (["--extend", "VOCAB", "--add", "3"], "name the text whose words"),
        (["--extend", "VOCAB", "--words", "none.txt"], "none.txt: No such file"),
        (["--extend", "none.txt", "--words", "w"], "none.txt: cannot read the vocabulary"),
        (["--extend", "VOCAB", "--words", "w", "--algorithm", "bpe"], "only WordPiece"),
        (["--input_file", "none.txt"], "none.txt"),
    ],
)
def test_mistakes(
    arguments: list[str],
    message: str,
    vocab: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(vocab) if word == "VOCAB" else word for word in arguments]
    assert run(*given, "--output_file", tmp_path / "out.txt") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.txt").exists()
