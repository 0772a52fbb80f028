"""The commands of docs/conversion.md, in their order, on files that transformers wrote."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import transformers

from mindmlm.testing import tiny_gpt2
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus
from mindmlm.testing.tiny_bert import SHAPE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conversion.md"


def commands() -> list[str]:
    blocks = PAGE.read_text(encoding="utf-8").split("```bash\n")[1:]
    return [line for block in blocks for line in block.split("```")[0].splitlines() if line]


@pytest.fixture
def folder(project_root: Path, tmp_path: Path) -> Path:
    for name in ("configs", "tools", "run_mindformer.py"):
        (tmp_path / name).symlink_to(project_root / name)
    write_corpus(tmp_path / "news.txt", documents=30)
    characters = sorted(set((tmp_path / "news.txt").read_text()) - {"\n"})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]
    config = transformers.BertConfig(
        vocab_size=len(tokens), **{**SHAPE, "max_position_embeddings": 64}
    )
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "bert-base-chinese")
    (tmp_path / "bert-base-chinese" / "vocab.txt").write_text("\n".join(tokens))
    tiny_gpt2.save_huggingface(tiny_gpt2.huggingface_gpt2(), tmp_path / "gpt2")
    return tmp_path


def run(command: str, folder: Path, project_root: Path) -> subprocess.CompletedProcess[str]:
    words = command.split()
    assert words[0] == "python"
    if "run_mindformer.py" in command:
        words += ["--max_steps", "2", *(f"--{option}" for option in SMALL_OPTIONS[-3:])]
    return subprocess.run(
        [sys.executable, *words[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(project_root)},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_every_command_of_the_page_works(folder, project_root) -> None:
    found = commands()
    assert len(found) == 11
    for command in found:
        done = run(command, folder, project_root)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    for name in ("for-transformers", "for-torch", "back"):
        transformers.BertForMaskedLM.from_pretrained(folder / name)
        transformers.AutoTokenizer.from_pretrained(folder / name)
    transformers.GPT2LMHeadModel.from_pretrained(folder / "gpt2-back")
    transformers.AutoTokenizer.from_pretrained(folder / "gpt2-back")
