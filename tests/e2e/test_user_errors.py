"""A user's mistakes: exit code 2, one clear message, never a traceback."""

import pytest


def refused(done, *words):
    assert done.code == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("runner_config: {epoch: 3}\n", 2, "runner_config.epoch: unknown key"),
        ("runer_config: {epochs: 3}\n", 2, "did you mean runner_config?"),
        ("runner_config: {batch_size: eight}\n", 2, "expected an integer >= 1, got 'eight'"),
        ("runner_config:\n  batch_size: 0\n", 3, "batch_size: expected an integer >= 1, got 0"),
        ("lr_schedule: {type: linaer}\n", 2, "did you mean linear?"),
        ("lr_schedule: {learning_rate: -1e-4}\n", 2, "expected a number > 0, got -0.0001"),
        ("context: {device_target: GPU}\n", 2, "GPU back-end was dropped"),
        ("model: {arch: {type: BertForPreTraining}}\n", 2, "use BertForMaskedLM"),
        ("use_parallel: True\nparallel: {parallel_mode: 1}\n", 3, "use 3 (hybrid_parallel)"),
        ("train_dataset: {max_seq_length: 1024}\n", 2, "max_position_embeddings, 512"),
        ("model: {model_config: {num_attention_heads: 3}}\n", 2, "do not divide hidden_size"),
        ("train_dataset: {seq_length: 32, max_seq_length: 64}\n", 2, "contradicts"),
        ("optimizer: {betas: 0.9}\n", 2, "expected a list of two numbers"),
        ("seed: 1\nseed: 2\n", 3, "given twice"),
        (
            "train_dataset: {masking: {strategy: words}}\n",
            2,
            "one of token, rare_token, whole_word",
        ),
        ("runner_config: [1\n", 3, "not valid YAML"),
        ("model: {model_config: {compute_dtype: bfloat16}}\n", 2, "refused on a CPU"),
        ("runner_config: {sink_mode: True}\n", 2, "refused on a CPU"),
        ("lr_schedule: {warmup_steps: 5, warmup_ratio: 0.1}\n", 2, "are both given"),
    ],
)
def test_a_wrong_line_of_yaml(command, tmp_path, text, place, message):
    path = tmp_path / "run.yaml"
    base = command.project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    path.write_text(f"base_config: [{base}]\n{text}", encoding="utf-8")
    done = (
        command.here(f"--config={path}", "--dry_run", "--device_target=CPU")
        if ("device_target" not in text)
        else command.here(f"--config={path}", "--dry_run")
    )
    refused(done, f"{path}:{place}", message)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--config is missing"),
        (["--config=nowhere.yaml"], "nowhere.yaml"),
        (["--epoch=3"], "did you mean --epochs?"),
        (["train"], "did you mean --run_mode train?"),
        (["--options"], "expected KEY=VALUE"),
        (["--config=here.yaml", "--options", "runner_config.epochs"], "expected KEY=VALUE"),
        (["--batch_size"], "the value is missing"),
        (["--config=here.yaml", "--batch_size=many"], "--batch_size"),
    ],
)
def test_a_wrong_command_line(command, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.yaml").write_text("seed: 1\n")
    refused(command.here(*words, *(["--dry_run"] if words else [])), message)


def test_a_user_s_process_shows_no_traceback(command, tmp_path):
    done = command.process(*command.words(tmp_path, "--batch_size=many"))
    refused(done, "runner_config.batch_size", "'many'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "text.txt"),
        ("第一行\n".encode() + b"\xff\xfe\n", "text.txt:2"),
        ("天地\n".encode() + "山".encode() * 400_000, "text.txt:2"),
        ("只有一行\n".encode(), "document"),
    ],
    ids=["empty", "utf-8", "over-long", "one document"],
)
def test_text_that_cannot_be_used(command, tmp_path, content, message):
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    refused(command.here(*command.words(tmp_path / "run", f"--dataset_dir={text}")), message)


def test_faulty_lines_are_skipped_and_counted_on_request(command, tmp_path):
    text = tmp_path / "text.txt"
    text.write_bytes(command.text.read_bytes() + b"\xff\xfe\n" + "山".encode() * 400)
    done = command.here(
        *command.words(tmp_path / "run", f"--dataset_dir={text}", "--max_steps=1"),
        "--train_dataset.data_loader.on_error=skip",
        "--train_dataset.data_loader.max_line_bytes=1000",
    )
    assert done.code == 0, done.stderr
    assert "120 documents (122 lines" in done.stderr
    assert done.stderr.count("skipped 1: ") == 2
    assert f"{text}:121" in done.stderr
    assert f"{text}:122" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset_dir=nowhere.txt"], "nowhere.txt: no such file"),
        (["--dataset_dir="], "needs a text"),
        (["--vocab_file=nowhere.txt"], "nowhere.txt: no such file"),
        (["--eval_dataset_dir=nowhere.txt"], "nowhere.txt: no such file"),
        (["--model.model_config.vocab_size=20"], "is less than"),
        (["--load_checkpoint=nowhere"], "no checkpoint at nowhere"),
        (["--run_mode=eval"], "needs a checkpoint"),
        (["--run_mode=predict", "--load_checkpoint=latest"], "needs a text"),
        (["--device_target=Ascend"], "no Ascend card answers"),
        (["--lr_schedule.warmup_ratio=null", "--lr_schedule.warmup_steps=50"], "warmup_steps"),
    ],
)
def test_inputs_that_are_missing_or_do_not_fit(command, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    refused(command.here(*command.words(tmp_path / "run", *words)), message)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "vocab.txt"), ("[PAD]\n[UNK]\n天\n", "[MASK]"), ("[PAD]\n天\n天\n", "vocab.txt:3")],
)
def test_vocabularies_that_cannot_be_used(command, tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_text(content, encoding="utf-8")
    refused(command.here(*command.words(tmp_path / "run", f"--vocab_file={path}")), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("今天天气很好", "has no blank; write [MASK]"),
        ("天" * 600 + "[MASK]", "this model reads at most 512"),
    ],
)
def test_texts_that_cannot_be_filled(command, trained, tmp_path, text, message):
    words = command.words(tmp_path, "--run_mode=predict", f"--load_checkpoint={trained.folder}")
    refused(command.here(*words, f"--predict_data={text}"), message)


def test_prediction_from_a_file_that_is_not_text(command, trained, tmp_path):
    words = command.words(tmp_path, "--run_mode=predict", f"--load_checkpoint={trained.folder}")
    for content, message in ((b"\xff\xfe[MASK]", "not UTF-8"), (b"\n \n", "no text in it")):
        (tmp_path / "texts.txt").write_bytes(content)
        refused(command.here(*words, f"--predict_data={tmp_path / 'texts.txt'}"), message)


def test_an_output_folder_that_is_a_file(command, tmp_path):
    (tmp_path / "run").write_text("")
    refused(command.here(*command.words(tmp_path / "run")), "cannot be written")


def test_another_vocabulary_than_the_checkpoint_s(command, trained, tmp_path):
    other = tmp_path / "vocab.txt"
    other.write_text(command.vocabulary.read_text() + "龘\n", encoding="utf-8")
    done = command.here(
        *command.words(tmp_path / "run", "--run_mode=predict"),
        f"--load_checkpoint={trained.folder}",
        f"--vocab_file={other}",
        "--predict_data=[MASK]",
    )
    refused(done, "was trained with another vocabulary")
