"""Keys of sources, words and masks that are changed change the batches of a run."""

import json
import random

import pytest

from mindmlm.config import load_config
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus
from mindmlm.testing.small_run import SmallRun

LOADER, MASKING = "train_dataset.data_loader", "train_dataset.masking"
WORDS = ("中国", "学生", "老师", "今天", "明月", "学校", "天气", "时间", "知识", "历史")


def batch_bytes(run):
    arrays = [
        array for step in (0, 1) for micro in run.micro_batches(step) for array in micro.inputs
    ]
    return b"".join(array.tobytes() for array in arrays)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files that keys name: texts of several forms, words, terms, vectors."""
    folder = tmp_path_factory.mktemp("files")
    lines = write_corpus(folder / "plain.txt").read_text(encoding="utf-8").splitlines()
    records = [{"body": line, "title": line[::-1]} for line in lines]
    write(folder / "records.txt", (json.dumps(record, ensure_ascii=False) for record in records))
    write(
        folder / "table.csv",
        ["text;other,text", *(f"{line};{line},{line[::-1]}" for line in lines)],
    )
    write(folder / "wide.txt", (f"<b>ＡＢ</b>{line}" for line in lines))
    write(folder / "other.txt", (line[::-1] for line in lines))
    rng = random.Random(3)
    for name in ("places.txt", "places2.txt"):
        write(folder / name, (str([rng.randint(2, 8)]) for _ in lines))
    write(folder / "terms.txt", ["今天", "学校"])
    write(folder / "user.txt", (f"{line[2:5]} 100000 n" for line in lines))
    write(folder / "document.txt", (line + "\n" * (n % 5 == 4) for n, line in enumerate(lines)))
    write(folder / "synonyms.txt", [" ".join(WORDS)])
    write(folder / "antonyms.txt", [f"{word} {WORDS[0]}" for word in WORDS[1:]])
    vectors = ([f"{rng.gauss(0, 1):.3f}" for _ in range(4)] for _ in WORDS)
    write(
        folder / "vectors.txt",
        (f"{word} {' '.join(vector)}" for word, vector in zip(WORDS, vectors, strict=True)),
    )
    return folder


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def run(project_root, text_and_vocabulary, folder, tmp_path_factory, graph_mode):
    cache = tmp_path_factory.mktemp("cache")
    _, vocabulary = text_and_vocabulary

    def create(text, options):
        loaded = load_config(
            project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml",
            [*SMALL_OPTIONS, f"{MASKING}.masked_lm_prob=0.3", *options],
            flags={"dataset_dir": str(folder / text), "vocab_file": str(vocabulary)},
        )
        return batch_bytes(SmallRun.create(loaded.config, cache))

    return create


JSON = ("records.txt", f"{LOADER}.file_format=jsonl", f"{LOADER}.text_field=body")
MACBERT = ("plain.txt", f"{MASKING}.strategy=macbert")
SYNONYMS = (*MACBERT, f"{MASKING}.similar_words.file={{folder}}/synonyms.txt")
VECTORS = (*MACBERT, f"{MASKING}.similar_words.file={{folder}}/vectors.txt")
MIXTURE = ("plain.txt", f"{MASKING}.strategy=mixture", f"{MASKING}.mixture.whole_word=1")
RARE = ("plain.txt", f"{MASKING}.strategy=rare_token")
TERMS = ("plain.txt", f"{MASKING}.term_file={{folder}}/terms.txt")
PAIRS = (
    *("document.txt", f"{LOADER}.text_format=document"),
    *("model.arch.type=BertForPreTraining", "train_dataset.sentence_pairs=nsp"),
)
RISING = ("plain.txt", f"{MASKING}.masked_lm_prob_end=0.5", f"{MASKING}.masked_lm_prob_steps=100")
REFERENCE = (
    "plain.txt",
    "processor.segmenter=reference_file",
    "processor.reference_file={folder}/places.txt",
)


@pytest.mark.parametrize(
    ("base", "key", "value"),
    [
        (
            ("table.csv", f"{LOADER}.file_format=txt"),
            "train_dataset.data_loader.file_format",
            "csv",
        ),
        (JSON, "train_dataset.data_loader.text_field", "title"),
        (("table.csv",), "train_dataset.data_loader.csv_delimiter", ";"),
        (("wide.txt",), "train_dataset.data_loader.cleaning", "[html,full_width]"),
        (
            ("document.txt", f"{LOADER}.text_format=document"),
            "train_dataset.data_loader.join_lines_up_to",
            "60",
        ),
        (("plain.txt",), "train_dataset.data_loader.min_line_characters", "25"),
        (("plain.txt",), "train_dataset.data_loader.max_line_characters", "25"),
        (
            ("plain.txt", "train_dataset.sample_mode=packed"),
            "train_dataset.attend_across_documents",
            "False",
        ),
        (("plain.txt",), "train_dataset.bucket_lengths", "[12]"),
        (PAIRS, "train_dataset.sentence_pairs", "sop"),
        (PAIRS, "train_dataset.short_seq_prob", "0.9"),
        (("plain.txt",), "processor.hmm", "False"),
        (("plain.txt",), "processor.user_dict", "{folder}/user.txt"),
        (REFERENCE, "processor.reference_file", "{folder}/places2.txt"),
        (("plain.txt",), "train_dataset.masking.unit", "word"),
        (TERMS[:1], "train_dataset.masking.term_file", "{folder}/terms.txt"),
        (TERMS, "train_dataset.masking.term_weight", "50"),
        (RISING[:1], "train_dataset.masking.masked_lm_prob_end", "0.9"),
        (RISING, "train_dataset.masking.masked_lm_prob_steps", "2"),
        (MIXTURE, "train_dataset.masking.mixture.token", "1"),
        (MIXTURE, "train_dataset.masking.mixture.rare_token", "1"),
        (RARE, "train_dataset.masking.smoothing", "3"),
        (MIXTURE, "train_dataset.masking.mixture.whole_word", "0"),
        (MIXTURE, "train_dataset.masking.mixture.span", "1"),
        (MIXTURE, "train_dataset.masking.mixture.token_span", "1"),
        (MIXTURE, "train_dataset.masking.mixture.ngram", "1"),
        (MIXTURE, "train_dataset.masking.mixture.macbert", "1"),
        (VECTORS, "train_dataset.masking.similar_words.file", "{folder}/synonyms.txt"),
        (SYNONYMS, "train_dataset.masking.similar_words.antonym_file", "{folder}/antonyms.txt"),
        (VECTORS, "train_dataset.masking.similar_words.max_similar", "1"),
        (VECTORS, "train_dataset.masking.similar_words.max_words", "3"),
    ],
)
def test_keys_that_change_the_batches(run, folder, base, key, value):
    text, *options = (option.format(folder=folder) for option in base)
    if key.endswith("mixture.whole_word"):
        options.append(f"{MASKING}.mixture.ngram=1")
    if key.endswith("mixture.macbert"):
        options.append(f"{MASKING}.similar_words.file={folder}/synonyms.txt")
    assert run(text, options) != run(text, [*options, f"{key}={value.format(folder=folder)}"])
