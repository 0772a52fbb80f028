"""RoBERTa through the command line: train, resume, judge, fill in, export, start from others."""

import json
import pydoc_data.topics
import shutil

import pytest

from mindmlm.conversion.convert import Conversion, convert
from mindmlm.testing.tiny_roberta import (
    huggingface_roberta,
    save_huggingface,
    trained_tokenizer,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SMALL = (
    "--model.model_config.num_hidden_layers=1",
    "--model.model_config.hidden_size=32",
    "--model.model_config.intermediate_size=64",
    "--train_dataset.max_seq_length=32",
    "--batch_size=4",
)
ASKED = "今天 <mask>气很<mask>。"


@pytest.fixture(scope="module")
def words(command):
    """A function of the output folder: arguments of a run of 6 steps that saves every third."""

    def arguments(folder, *more):
        config = command.project_root / "configs" / "roberta" / "run_roberta_tiny.yaml"
        return [
            f"--config={config}",
            f"--output_dir={folder}",
            f"--train_dataset.data_loader.dataset_dir={command.text}",
            "--train_dataset.data_loader.text_format=line",
            "--processor.tokenizer.train_vocab_size=400",
            "--max_steps=6",
            "--save_checkpoint_steps=3",
            "--device_target=CPU",
            *SMALL,
            *more,
        ]

    return arguments


@pytest.fixture(scope="module")
def run(command, words, tmp_path_factory):
    """The output folder of a finished run, which trained its vocabulary; read only."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = command.here(*words(folder))
    assert done.code == 0, done.stderr
    assert "has no effect" not in done.stderr
    return folder


def asked(command, words, folder, *more):
    done = command.here(*words(folder, "--run_mode=predict", f"--predict_data={ASKED}", *more))
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)[0]["blanks"]


def check_like_transformers(blanks, folder):
    """The same tokens with the same scores as transformers' pipeline gives for a folder."""
    pipeline = transformers.pipeline("fill-mask", model=str(folder), device="cpu")
    for ours, theirs in zip(blanks, pipeline(ASKED), strict=True):
        for mine, other in zip(ours["candidates"], theirs, strict=True):
            assert mine["token"] == other["token_str"]
            assert mine["score"] == pytest.approx(other["score"], rel=1e-4)


def test_the_vocabulary_is_its_own_and_a_model_learns(run, metrics):
    vocab = json.loads((run / "vocab.json").read_text(encoding="utf-8"))
    assert [vocab[token] for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")] == [
        *range(4), len(vocab) - 1,
    ]  # fmt: skip
    assert len(vocab) <= 400 and (run / "merges.txt").is_file()
    before, after = (line for line in metrics(run) if "eval_loss" in line)
    assert after["eval_loss"] < before["eval_loss"]


def test_a_resumed_run_equals_the_straight_one(
    command, words, run, metrics, tensor_hashes, tmp_path
):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    shutil.rmtree(folder / "checkpoint" / "step_00000006")
    (folder / "checkpoint" / "latest").write_text("step_00000003\n")
    done = command.here(*words(folder, "--load_checkpoint=latest"))
    assert done.code == 0, done.stderr
    assert "resumed at step 3" in done.stderr
    assert metrics(folder) == metrics(run)
    assert tensor_hashes(folder) == tensor_hashes(run)


def test_evaluation_repeats_the_last_one_of_training(command, words, run, metrics):
    done = command.here(*words(run, "--run_mode=eval", "--load_checkpoint=latest"))
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout) == [line for line in metrics(run) if "eval_loss" in line][1]


def test_blanks_are_filled_as_transformers_fills_them(command, words, run, tmp_path):
    blanks = asked(command, words, run, "--load_checkpoint=latest")
    assert len(blanks) == 2 and len(blanks[0]["candidates"]) == 5
    convert(Conversion(run, tmp_path / "exported", "huggingface"))
    check_like_transformers(blanks, tmp_path / "exported")
    done = command.here(
        *words(run, "--run_mode=predict", "--load_checkpoint=latest", "--predict_data=[MASK]")
    )
    assert done.code == 2 and "has no blank; write <mask>" in done.stderr


@pytest.fixture(scope="module")
def published(command, tmp_path_factory):
    """A folder as transformers writes it."""
    lines = command.text.read_text(encoding="utf-8").splitlines()
    tokenizer = trained_tokenizer(lines, 350)
    shape = {"num_hidden_layers": 1, "max_position_embeddings": 34, "layer_norm_eps": 1e-5}
    model = huggingface_roberta(tokenizer.vocab_size, seed=2, **shape)
    return save_huggingface(model, tmp_path_factory.mktemp("published") / "tiny", tokenizer)


@pytest.mark.slow
def test_a_published_folder_brings_model_and_tokenizer(command, words, published, tmp_path):
    start = f"--load_checkpoint={published}"
    check_like_transformers(asked(command, words, tmp_path / "none", start), published)
    done = command.here(*words(tmp_path / "tuned", "--run_mode=finetune", start, "--max_steps=2"))
    assert done.code == 0, done.stderr
    assert "model_config.max_position_embeddings: 34, from the checkpoint, not 514" in done.stderr
    assert "merges.txt" in {path.name for path in (tmp_path / "tuned").iterdir()}
    refused = command.here(*command.words(tmp_path / "no", "--run_mode=finetune", start))
    assert refused.code == 2 and "holds a RobertaForMaskedLM" in refused.stderr


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--train_dataset.max_seq_length=513", "max_position_embeddings, 514 (2 are not used)"),
        ("--processor.tokenizer.type=BertTokenizer", "reads the tokens of RobertaTokenizer"),
        ("--processor.tokenizer.train_vocab_size=260", "at least 261"),
        ("--train_dataset.masking.strategy=macbert", "macbert replaces words of a WordPiece"),
    ],
)
def test_a_wrong_word(command, words, tmp_path, word, message):
    done = command.here(*words(tmp_path / "run", word))
    assert done.code == 2
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_real_text_is_learned(command, words, tmp_path, metrics):
    """English documentation: the perplexity of held-out text is more than halved in 30 steps."""
    text = tmp_path / "topics.txt"
    text.write_text("\n\n".join(pydoc_data.topics.topics.values()), encoding="utf-8")
    config = command.project_root / "configs" / "roberta" / "run_roberta_tiny.yaml"
    done = command.here(
        f"--config={config}",
        f"--output_dir={tmp_path / 'run'}",
        f"--dataset_dir={text}",
        "--processor.tokenizer.train_vocab_size=3000",
        "--max_steps=30",
        "--device_target=CPU",
    )
    assert done.code == 0, done.stderr
    before, *_, after = (line for line in metrics(tmp_path / "run") if "eval_loss" in line)
    # Measured in 30 steps: 3,064 -> 1,217.
    assert after["eval_perplexity"] < before["eval_perplexity"] / 2
