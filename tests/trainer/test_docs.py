"""The programs of docs/trainer.md, in their order, as a user would type them."""

import os
import re
import subprocess
import sys

import pytest

from mindmlm.testing import tiny_bert
from mindmlm.testing.corpus import write_corpus
from mindmlm.trainer.datasets import QUESTIONS, write_dataset


@pytest.fixture
def home(tmp_path):
    """A folder of named models; the one that the page names is a small BERT without a QA head."""
    model = tiny_bert.huggingface_bert(max_position_embeddings=512, hidden_dropout_prob=0.0)
    tiny_bert.save_huggingface(model, tmp_path / "models" / "qa_bert_base_uncased")
    return tmp_path / "models"


@pytest.fixture
def folder(tmp_path):
    """A working folder with a text and a small SQuAD."""
    here = tmp_path / "here"
    squad = here / "squad"
    squad.mkdir(parents=True)
    write_corpus(here / "news.txt", documents=60)
    context = " ".join(f"word{number}" for number in range(20))
    items = [
        {
            "id": str(number),
            "context": context,
            "question": f"word{number} ?",
            "answers": {
                "text": [f"word{number}"],
                "answer_start": [context.index(f"word{number}")],
            },
        }
        for number in range(4)
    ]
    for name in ("train-v1.1.json", "dev-v1.1.json"):
        write_dataset(items, QUESTIONS, here).rename(squad / name)
    return here


@pytest.mark.slow
def test_the_programs_of_the_page(project_root, folder, home):
    page = (project_root / "docs" / "trainer.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 10
    program = folder / "page.py"
    program.write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=folder,
        env={**os.environ, "MINDMLM_HOME": str(home)},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert re.search(r"QA Metric = \{'QA Metric': \{'exact_match': .*'f1'", done.stderr)
    assert "'start': " in done.stdout
    assert (folder / "output" / "news" / "checkpoint" / "latest").is_file()
