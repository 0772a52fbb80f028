"""Keys that nothing reads are explained, and only these."""

import logging
from pathlib import Path

import pytest

from mindmlm.build_data.sources import corpus_sources
from mindmlm.build_data.without_effect import keys_without_effect
from mindmlm.config import RunConfig, load_config

LOADER, MASKING = "train_dataset.data_loader", "train_dataset.masking"


def explained(tmp_path: Path, *options: str) -> list[str]:
    for name in ("words.txt", "text.txt"):
        (tmp_path / name).write_text("text\n")
    (tmp_path / "run.yaml").write_text("seed: 1\n")
    options = tuple(option.format(folder=tmp_path) for option in options)
    loaded = load_config(tmp_path / "run.yaml", options, require_inputs=False)
    return [problem.path for problem in keys_without_effect(loaded.config)]


GPT2 = [
    "model.model_config.type=GPT2Config", "model.arch.type=GPT2LMHeadModel",
    "trainer.type=CausalLanguageModelingTrainer", "processor.tokenizer.type=GPT2Tokenizer",
]  # fmt: skip
QUESTIONS = [
    "model.arch.type=BertForQuestionAnswering", "trainer.type=QuestionAnsweringTrainer",
    f"{LOADER}.type=SQuADDataLoader", "train_dataset.max_seq_length=384",
]  # fmt: skip
PAIRS = ["model.arch.type=BertForPreTraining", "train_dataset.sentence_pairs=nsp"]
ROBERTA = [
    "model.model_config.type=RobertaConfig", "model.arch.type=RobertaForMaskedLM",
    "processor.tokenizer.type=RobertaTokenizer",
]  # fmt: skip
USER_DICT = "processor.user_dict={folder}/words.txt"
CASES = [
    ("processor.user_dict", ["processor.segmenter=none", USER_DICT], [USER_DICT]),
    ("processor.user_dict", [f"{MASKING}.strategy=token", USER_DICT], [USER_DICT]),
    ("processor.hmm", ["processor.segmenter=presegmented", "processor.hmm=False"],
     ["processor.segmenter=rjieba", "processor.hmm=False"]),
    ("processor.reference_file", ["processor.reference_file={folder}/words.txt"],
     ["processor.segmenter=reference_file", "processor.reference_file={folder}/words.txt"]),
    (f"{MASKING}.mixture.span", [f"{MASKING}.mixture.span=1"],
     [f"{MASKING}.strategy=mixture", f"{MASKING}.mixture.span=1"]),
    (f"{MASKING}.similar_words.file", [f"{MASKING}.similar_words.file={{folder}}/words.txt"],
     [f"{MASKING}.strategy=macbert", f"{MASKING}.similar_words.file={{folder}}/words.txt"]),
    (f"{MASKING}.term_weight", [f"{MASKING}.term_weight=2"],
     [f"{MASKING}.term_weight=2", f"{MASKING}.term_file={{folder}}/words.txt"]),
    (f"{MASKING}.masked_lm_prob_steps", [f"{MASKING}.masked_lm_prob_steps=9"],
     [f"{MASKING}.masked_lm_prob_steps=9", f"{MASKING}.masked_lm_prob_end=0.2"]),
    ("train_dataset.attend_across_documents", ["train_dataset.attend_across_documents=False"],
     ["train_dataset.sample_mode=packed", "train_dataset.attend_across_documents=False"]),
    (f"{LOADER}.csv_delimiter", [f"{LOADER}.csv_delimiter=;", f"{LOADER}.file_format=jsonl"],
     [f"{LOADER}.csv_delimiter=;"]),
    (f"{LOADER}.text_field", [f"{LOADER}.text_field=body", f"{LOADER}.file_format=txt"],
     [f"{LOADER}.text_field=body"]),
    (f"{LOADER}.endpoint_url", [f"{LOADER}.endpoint_url=http://localhost"],
     [f"{LOADER}.endpoint_url=http://localhost", f"{LOADER}.dataset_dir=s3://a/b"]),
    (f"{LOADER}.credentials_file", [f"{LOADER}.credentials_file={{folder}}/words.txt"],
     [f"{LOADER}.credentials_file={{folder}}/words.txt", f"{LOADER}.type=SqlDataLoader"]),
    (f"{LOADER}.batch_rows", [f"{LOADER}.batch_rows=7"],
     [f"{LOADER}.batch_rows=7", f"{LOADER}.type=SqlDataLoader"]),
    (f"{LOADER}.cleaning", [f"{LOADER}.cleaning=[nfkc]", f"{LOADER}.type=MindDataset"],
     [f"{LOADER}.cleaning=[nfkc]"]),
    (f"{LOADER}.max_line_bytes", [f"{LOADER}.max_line_bytes=9", f"{LOADER}.type=SqlDataLoader"],
     [f"{LOADER}.max_line_bytes=9"]),
    ("processor.tokenizer.do_lower_case", [*GPT2, "processor.tokenizer.do_lower_case=False"],
     ["processor.tokenizer.do_lower_case=False"]),
    ("processor.segmenter", [*ROBERTA, "processor.segmenter=rjieba"],
     [*ROBERTA, "processor.segmenter=none"]),
    ("processor.tokenizer.do_lower_case", [*ROBERTA, "processor.tokenizer.do_lower_case=False"],
     ROBERTA),
    ("train_dataset.attend_across_documents",
     ["train_dataset.sample_mode=line", "train_dataset.attend_across_documents=False"],
     ["train_dataset.sample_mode=packed", "train_dataset.attend_across_documents=False"]),
    (f"{MASKING}.strategy", [*GPT2, f"{MASKING}.strategy=token"], [f"{MASKING}.strategy=token"]),
    ("train_dataset.bucket_lengths", [*GPT2, "train_dataset.bucket_lengths=[16]"],
     ["train_dataset.bucket_lengths=[16]"]),
    ("train_dataset.attend_across_documents",
     [*GPT2, "train_dataset.attend_across_documents=False"],
     [*GPT2, "train_dataset.attend_across_documents=False", f"{LOADER}.type=MindDataset"]),
    (f"{MASKING}.strategy", [*QUESTIONS, f"{MASKING}.strategy=token"],
     [f"{MASKING}.strategy=token"]),
    ("train_dataset.sample_mode", [*QUESTIONS, "train_dataset.sample_mode=packed"],
     ["train_dataset.sample_mode=packed"]),
    ("train_dataset.short_seq_prob", ["train_dataset.short_seq_prob=0.3"],
     [*PAIRS, "train_dataset.short_seq_prob=0.3"]),
    ("train_dataset.doc_stride", ["train_dataset.doc_stride=9"],
     [*QUESTIONS, "train_dataset.doc_stride=9"]),
    ("metric.top_k", ["metric.top_k=2"], [*QUESTIONS, "metric.top_k=2"]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "without", "with_effect"), CASES)
def test_a_key_is_explained_where_nothing_reads_it(
    tmp_path: Path, path: str, without: list[str], with_effect: list[str]
) -> None:
    assert path in explained(tmp_path, *without)
    assert explained(tmp_path, *with_effect) == []


def test_nothing_is_explained_by_default(project_root: Path) -> None:
    assert list(keys_without_effect(RunConfig())) == []
    for path in sorted((project_root / "configs").glob("*/run_*.yaml")):
        loaded = load_config(path, require_inputs=False)
        assert [problem.path for problem in keys_without_effect(loaded.config)] == [], path


def test_a_run_explains_in_its_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "text.txt").write_text("text\n")
    (tmp_path / "run.yaml").write_text("train_dataset: {masking: {mixture: {span: 1}}}\n")
    loaded = load_config(tmp_path / "run.yaml", flags={"dataset_dir": str(tmp_path / "text.txt")})
    with caplog.at_level(logging.WARNING):
        corpus_sources(loaded.config, tmp_path)
    assert "mixture.span has no effect: only strategy mixture has weights" in caplog.text
