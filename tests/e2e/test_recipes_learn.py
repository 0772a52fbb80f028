"""The shipped recipes on real text: what is learned shows on documents that were held out."""

import json
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
TEXT = PROJECT / "mindmlm" / "resources" / "sample_zh.txt"
STEPS = 150
# Words of the text that mean about the same, for MacBERT.
SYNONYMS = (
    "孩子 学生 同学 小孩 儿童",
    "老师 教师 先生",
    "阅读 读书 看书",
    "学校 课堂 教室",
    "故事 小说 文章",
    "父亲 母亲 家长 父母",
    "喜欢 热爱 欣赏",
)
pytestmark = pytest.mark.slow


def evaluations(folder: Path) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if "eval_loss" in line]


@pytest.mark.parametrize("recipe", ["nsp", "sop", "macbert"])
def test_held_out_losses_improve(command, tmp_path, recipe):
    (tmp_path / "synonyms.txt").write_text("\n".join(SYNONYMS) + "\n", encoding="utf-8")
    words = [
        f"--config={PROJECT / 'configs' / 'bert' / f'run_{recipe}_tiny_zh.yaml'}",
        f"--dataset_dir={TEXT}",
        f"--output_dir={tmp_path / 'out'}",
        f"--max_steps={STEPS}",
        "--eval_dataset.holdout_fraction=0.12",
        "--processor.tokenizer.train_vocab_size=2500",
        "--device_target=CPU",
    ]
    if recipe == "macbert":
        words.append(f"--train_dataset.masking.similar_words.file={tmp_path / 'synonyms.txt'}")
    done = command.here(*words)
    assert done.code == 0, done.stderr
    first, *_, last = evaluations(tmp_path / "out")
    # From guessing among 2,262 tokens (7.7) to what such a text teaches so soon.
    assert first["eval_masked_lm_loss"] > 7.5
    assert last["eval_masked_lm_loss"] < first["eval_masked_lm_loss"] - 1.2
    assert last["eval_masked_accuracy"] > first["eval_masked_accuracy"] + 0.03
    # 82 documents teach nothing about pairs that holds for others: the head stays at chance.
    assert last["eval_sentence_pair_loss"] < 0.8
