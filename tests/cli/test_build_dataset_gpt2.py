"""tools/build_dataset.py for a GPT-2, from the flags to the blocks."""

from pathlib import Path

import pytest

from mindmlm.cli.build_dataset import main
from mindmlm.data.records.manifest import verified_manifest
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

DOCUMENTS = [f"the {number}. hat\nsat on the mat {number}" for number in range(40)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "raw.txt").write_text("\n\n".join(DOCUMENTS) + "\n", encoding="utf-8")
    save_tokenizer(GPT2Tokenizer.of_bpe(train_byte_level_bpe(DOCUMENTS, 300)), tmp_path)
    return tmp_path


def flags(folder: Path, *others: str) -> list[str]:
    return [
        f"--input_file={folder}/raw.txt",
        f"--output_file={folder}/blocks.tfrecord",
        f"--vocab_file={folder}/vocab.json",
        "--tokenizer=GPT2Tokenizer",
        "--num_workers=1",
        "--max_seq_length=32",
        *others,
    ]


@pytest.mark.parametrize("mode", ["packed", "line"])
def test_blocks(folder: Path, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    others = [f"--merges_file={folder}/merges.txt", f"--sample_mode={mode}"]
    assert main(flags(folder, *others if mode == "line" else [])) == 0
    output = folder / "blocks.tfrecord"
    assert capsys.readouterr().out.split() == [str(output)]
    manifest = verified_manifest(output)
    assert manifest is not None
    rows = [row for _, found in read_tfrecord(output) for row in found["input_ids"].split()]
    tokenizer = GPT2Tokenizer.from_files(folder / "vocab.json", folder / "merges.txt")
    assert (manifest.rows, manifest.form, manifest.max_seq_length) == (len(rows), "causal", 32)
    assert manifest.tokenizer_fingerprint == tokenizer.fingerprint()
    text = tokenizer.decode(token for row in rows for token in row[1:].tolist())
    assert text.split("<|endoftext|>") == [*DOCUMENTS, ""]
    assert sum(row[0] == tokenizer.end_id for row in rows) >= (40 if mode == "line" else 1)
    if mode == "packed":
        assert all(len(row) == 33 for row in rows[:-1])


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (["--static"], "--static: BERT's rows have it"),
        (["--dynamic"], "--dynamic: BERT's rows have it"),
        (["--strategy=span"], "--strategy: BERT's rows have it"),
        (["--dupe_factor=1"], "--dupe_factor: BERT's rows have it"),
        (["--random_seed=0"], "--random_seed: BERT's rows have it"),
        (["--sentence_pairs=none"], "--sentence_pairs: BERT's rows have it"),
        (["--do_whole_word_mask"], "--strategy: BERT's rows have it"),
        (["--do_lower_case=False"], "--do_lower_case: has no effect"),
        (["--segmenter=none"], "--segmenter: BERT's rows have it"),
        (["--merges_file=none.txt"], "--merges_file: none.txt: no such file"),
        (["--vocab_file={folder}/merges.txt"], "merges.txt:1: no JSON"),
        (["--tokenizer=BertTokenizer"], "vocab.json: "),
        (["--tokenizer=BertTokenizer", "--sample_mode=line"], "--sample_mode: only --tokenizer"),
        (["--tokenizer=Spam"], "--tokenizer: expected one of BertTokenizer, GPT2Tokenizer"),
    ],
)
def test_bad_flags_are_explained(
    folder: Path, capsys: pytest.CaptureFixture[str], others: list[str], message: str
) -> None:
    assert main(flags(folder, *(word.format(folder=folder) for word in others))) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "blocks.tfrecord").exists()
