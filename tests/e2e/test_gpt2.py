"""GPT-2 through the command line: train, resume, evaluate, go on from prompts, clear errors."""

import json
import shutil

import pytest

from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.testing.corpus import write_corpus
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

SMALL = (
    "--model.model_config.num_hidden_layers=2",
    "--model.model_config.hidden_size=32",
    "--train_dataset.max_seq_length=32",
    "--batch_size=4",
    "--device_target=CPU",
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("gpt2") / "text.txt")


@pytest.fixture(scope="module")
def vocabulary(text):
    """A folder with vocab.json and merges.txt."""
    folder = text.parent / "vocabulary"
    lines = text.read_text(encoding="utf-8").splitlines()
    save_tokenizer(GPT2Tokenizer.of_bpe(train_byte_level_bpe(lines, 400)), folder)
    return folder


@pytest.fixture(scope="module")
def words(command, text, vocabulary):
    """A function of the output folder: arguments of a run of 6 steps that saves every third."""

    def arguments(folder, *more):
        config = command.project_root / "configs" / "gpt2" / "run_gpt2_tiny.yaml"
        return [
            f"--config={config}",
            f"--output_dir={folder}",
            f"--dataset_dir={text}",
            f"--vocab_file={vocabulary / 'vocab.json'}",
            "--max_steps=6",
            "--save_checkpoint_steps=3",
            *SMALL,
            *more,
        ]

    return arguments


@pytest.fixture(scope="module")
def run(command, words, tmp_path_factory):
    """The output folder of a finished run; read only."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = command.here(*words(folder))
    assert done.code == 0, done.stderr
    return folder


def test_a_run_learns_and_measures_words_and_bytes(run, metrics):
    lines = metrics(run)
    before, after = (line for line in lines if "eval_loss" in line)
    assert after["eval_loss"] < before["eval_loss"]
    for line in (before, after):
        assert 1 < line["eval_byte_perplexity"] < line["eval_perplexity"]
        assert line["eval_word_perplexity"] > line["eval_perplexity"]
        assert 0 <= line["eval_accuracy"] <= 1
    assert (run / "vocab.json").is_file()
    assert (run / "merges.txt").is_file()


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
    done = command.here(
        *words(run, "--run_mode=eval", "--load_checkpoint=latest"), "--dataset_dir="
    )
    assert done.code == 2
    loader = "--train_dataset.data_loader.dataset_dir"
    text = next(word for word in words(run) if word.startswith("--dataset_dir="))
    evaluation = [word for word in words(run) if not word.startswith("--dataset_dir=")]
    done = command.here(
        *evaluation, "--run_mode=eval", "--load_checkpoint=latest", f"{loader}={text[14:]}"
    )
    assert done.code == 0, done.stderr
    last = [line for line in metrics(run) if "eval_loss" in line][1]
    assert json.loads(done.stdout) == last


@pytest.mark.parametrize(
    "option",
    [
        "train_dataset.attend_across_documents=False",
        "train_dataset.sample_mode=line",
        "recompute_config.recompute=True",
        "runner_config.gradient_accumulation_steps=2",
    ],
)
def test_other_forms_of_training(command, words, tmp_path, option):
    done = command.here(*words(tmp_path / "run", f"--options={option}", "--max_steps=2"))
    assert done.code == 0, done.stderr


def test_a_vocabulary_is_trained_where_none_is_given(command, words, tmp_path):
    given = [word for word in words(tmp_path / "run") if not word.startswith("--vocab_file=")]
    done = command.here(*given, "--max_steps=1", "--processor.tokenizer.train_vocab_size=300")
    assert done.code == 0, done.stderr
    assert len(json.loads((tmp_path / "run" / "vocab.json").read_text(encoding="utf-8"))) == 300


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--vocab_file=gone.json", "gone.json: no such file"),
        ("--train_dataset.max_seq_length=2000", "max_position_embeddings, 512"),
        ("--model.model_config.num_attention_heads=3", "3 heads do not divide hidden_size 32"),
        ("--model.model_config.vocab_size=10", "vocab_size"),
        ("--trainer.type=MaskedLanguageModelingTrainer", "GPT2LMHeadModel goes with trainer.type"),
        ("--model.model_config.type_vocab_size=2", "unknown key"),
    ],
)
def test_a_wrong_word(command, words, tmp_path, word, message):
    done = command.here(*words(tmp_path / "run", word))
    assert done.code == 2
    assert message in done.stderr
    assert not (tmp_path / "run" / "checkpoint").exists()


@pytest.fixture
def predict(command, words, run):
    """A function of further words: exit code, and what was written."""
    given = ["--run_mode=predict", "--load_checkpoint=latest", "--generation.max_new_tokens=5"]
    return lambda *more: command.here(*words(run, *given, *more))


def test_prompts_go_on(predict, text, tmp_path):
    prompts = text.read_text(encoding="utf-8").splitlines()[:2]
    (tmp_path / "prompts.txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")
    done = predict(f"--predict_data={tmp_path / 'prompts.txt'}")
    assert done.code == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [answer["prompt"] for answer in answers] == prompts
    for answer in answers:
        assert answer.keys() == {"prompt", "text", "token_ids"}
        assert 1 <= len(answer["token_ids"]) <= 5


def test_several_samples_of_a_prompt_and_their_seed(predict):
    more = ["--predict_data=a", "--generation.do_sample=True", "--generation.temperature=2.0"]
    several = "--generation.num_return_sequences=3"
    first, again, other = (
        json.loads(predict(*more, several, f"--generation.seed={seed}").stdout)
        for seed in (1, 1, 2)
    )
    assert len(first) == 3
    assert first == again != other


def test_a_prompt_that_is_too_long(predict):
    done = predict("--predict_data=" + "word " * 600)
    assert done.code == 2
    assert "512" in done.stderr
    assert done.stdout == ""


def test_kept_graphs_write_the_same_text(command, run, tmp_path, monkeypatch):
    folder = tmp_path / "graphs"
    monkeypatch.setenv("MINDMLM_GRAPHS_DIR", str(folder))
    config = command.project_root / "configs" / "gpt2" / "run_gpt2_tiny.yaml"

    def written(output: str, kept: bool) -> tuple[str, dict[str, int]]:
        done = command.process(
            f"--config={config}",
            f"--output_dir={tmp_path / output}",
            "--run_mode=predict",
            f"--load_checkpoint={run}",
            "--predict_data=The first words",
            "--generation.max_new_tokens=12",
            f"--context.enable_compile_cache={kept}",
            *SMALL,
        )
        assert done.code == 0, done.stderr
        found = folder.iterdir() if kept else ()
        return done.stdout, {path.name: path.stat().st_ino for path in found}

    plain, _ = written("plain", kept=False)
    first, made = written("first", kept=True)
    again, found = written("again", kept=True)
    assert plain == first == again
    # A pass over the prompt and one for each new token.
    assert len(made) == 2
    assert found == made
