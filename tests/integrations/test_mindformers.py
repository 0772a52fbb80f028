"""Our parts in the registry of MindFormers, by the real package, in processes of their own.

MindFormers changes loggers and contexts of its process, so the other tests stay away from it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mindmlm.testing.corpus import write_corpus
from mindmlm.testing.questions import write_questions, write_vocabulary

pytest.importorskip("mindformers")
PROGRAM = """\
import json, sys
from mindmlm.integrations.mindformers import register
before = sorted(name for name in sys.modules if name.split(".")[0] == "mindformers")
names = register()
assert register() == names
import numpy as np
from mindformers.dataset.build_dataset import build_dataset
from mindformers.models.build_model import build_network
from mindformers.models.build_tokenizer import build_tokenizer
from mindformers.tools.register import MindFormerConfig

found = {"before": before, "names": names, "losses": {}}
for path in sys.argv[1:]:
    config = MindFormerConfig(path)
    tokenizer = build_tokenizer(config.processor.tokenizer)
    network = build_network(config.model).set_train()
    data = build_dataset(config.train_dataset_task)
    rows = list(data.create_tuple_iterator(num_epochs=1))
    assert len(rows) == data.get_dataset_size()
    loss = float(network(*rows[0]).asnumpy())
    kind = type(network).__name__
    found["losses"][path] = [kind, loss, tokenizer.vocab_size, len(rows)]
print("FOUND " + json.dumps(found))
"""
TRAINER = """\
import sys
from mindmlm.integrations.mindformers import register
register()
from mindformers import Trainer
Trainer(args=sys.argv[1]).train()
"""
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}
BERT = ("BertForMaskedLM", "BertConfig", "MaskedLanguageModelingTrainer", "BertTokenizer")
GPT2 = ("GPT2LMHeadModel", "GPT2Config", "CausalLanguageModelingTrainer", "GPT2Tokenizer")
QUESTIONS = (
    "BertForQuestionAnswering",
    "BertConfig",
    "QuestionAnsweringTrainer",
    "BertTokenizer",
)
KINDS = (BERT, GPT2, QUESTIONS)
DATA_SETS = {
    "BertForMaskedLM": "MaskLanguageModelDataset",
    "GPT2LMHeadModel": "TextBlockDataset",
    "BertForQuestionAnswering": "QuestionAnsweringDataset",
}


def run(folder: Path, program: str, *words: str) -> str:
    """Run a program in the folder; return what it printed, errors included."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(our YAML, MindFormers' YAML) of a BERT, of a GPT-2 and of a BERT that answers questions."""
    folder = tmp_path_factory.mktemp("mindformers")
    data = text_data(folder)
    return folder, {kinds[0]: write(folder, *kinds, *data[kinds[0]]) for kinds in KINDS}


def text_data(folder: Path) -> dict[str, tuple[dict, dict]]:
    """(train_dataset, files of the tokenizer) of each architecture, on small data."""
    from mindmlm.cli.build_vocab import main as build_vocab

    text = write_corpus(folder / "text.txt", documents=12)
    assert build_vocab([f"--input_file={text}", f"--output_file={folder / 'vocab.txt'}"]) == 0
    bpe = ["--algorithm=bpe", "--vocab_size=300"]
    assert build_vocab([f"--input_file={text}", f"--output_file={folder / 'bpe'}", *bpe]) == 0
    packed = {
        "data_loader": {"dataset_dir": str(text), "num_samples": 12},
        "max_seq_length": 16,
        "sample_mode": "packed",
    }
    asked = write_questions(folder / "squad" / "questions.json", 12)
    questions = {
        "data_loader": {"type": "SQuADDataLoader", "dataset_dir": str(asked)},
        "max_seq_length": 32,
        "max_question_length": 8,
        "doc_stride": 4,
    }
    words = write_vocabulary(folder / "squad" / "vocab.txt")
    return {
        "BertForMaskedLM": (packed, {"vocab_file": str(folder / "vocab.txt")}),
        "GPT2LMHeadModel": (packed, {"vocab_file": str(folder / "bpe" / "vocab.json")}),
        "BertForQuestionAnswering": (questions, {"vocab_file": str(words)}),
    }


def write(folder, arch, kind, trainer, tokenizer, train_dataset, vocabulary):
    network = {"type": kind, "vocab_size": 1000, **SHAPE}
    words = {"type": tokenizer, **vocabulary}
    ours, theirs = folder / f"{arch}.yaml", folder / f"mindformers_{arch}.yaml"
    run_config = {
        "seed": 3,
        "output_dir": str(folder / f"output_{arch}"),
        "context": {"device_target": "CPU"},
        "model": {"model_config": network, "arch": {"type": arch}},
        "trainer": {"type": trainer},
        "train_dataset": train_dataset,
        "processor": {"tokenizer": words, "segmenter": "none"},
        "runner_config": {"batch_size": 4, "epochs": 1, "max_steps": 3},
        "lr_schedule": {"learning_rate": 1e-3, "type": "constant"},
        "optimizer": {"eps": 1e-6, "weight_decay": 0.0},
        "callbacks": {"EvalMonitor": {"eval_steps": None}},
    }
    ours.write_text(yaml.safe_dump(run_config), encoding="utf-8")
    data = {"data_loader": {"type": "mindmlm", "run_config": str(ours)}, "batch_size": 4}
    config = {
        "seed": 3,
        "output_dir": str(folder / "their_output"),
        "run_mode": "train",
        "use_parallel": False,
        "load_checkpoint": "",
        "context": {"mode": 0, "device_target": "CPU"},
        "trainer": {"type": "CausalLanguageModelingTrainer", "model_name": "ours"},
        "runner_config": {"epochs": 1, "batch_size": 4, "sink_mode": False, "stop_step": 3},
        "runner_wrapper": {
            "type": "HostTrainOneStepCell",
            "scale_sense": 1.0,
            "use_clip_grad": True,
        },
        "optimizer": {
            "type": "AdamW",
            "betas": [0.9, 0.999],
            "eps": 1e-6,
            "weight_decay": 0.0,
        },
        "lr_schedule": {
            "type": "ConstantWarmUpLR",
            "learning_rate": 1e-3,
            "warmup_steps": 0,
            "total_steps": 9,
        },
        "callbacks": [
            {"type": "MFLossMonitor", "per_print_times": 1},
            {"type": "TrainCallBack", "stop_step": 3},
        ],
        "train_dataset": data,
        "train_dataset_task": {"type": DATA_SETS[arch], "dataset_config": data},
        "model": {"model_config": {**network, "seed": 3}, "arch": {"type": arch}},
        "processor": {"tokenizer": words},
    }
    theirs.write_text(yaml.safe_dump(config), encoding="utf-8")
    return ours, theirs


@pytest.fixture(scope="module")
def our_losses(files):
    """Losses of three steps of our own loop, by architecture."""
    from mindmlm.cli.run import main

    folder, made = files
    losses = {}
    for arch, (ours, _) in made.items():
        assert main([f"--config={ours}"]) == 0
        lines = (folder / f"output_{arch}" / "metrics.jsonl").read_text().splitlines()
        losses[arch] = [json.loads(line)["loss"] for line in lines if '"loss"' in line]
    return losses


@pytest.mark.slow
def test_builders_make_our_parts_and_nothing_is_left_behind(files, our_losses, tmp_path):
    _, made = files
    printed = run(tmp_path, PROGRAM, *(str(theirs) for _, theirs in made.values()))
    found = json.loads(re.search("^FOUND (.*)$", printed, re.MULTILINE).group(1))
    assert found["before"] == []
    assert set(found["names"]) == {"config", "models", "tokenizer", "dataset", "wrapper"}
    for arch, (_, theirs) in made.items():
        _, loss, tokens, steps = found["losses"][str(theirs)]
        assert loss == pytest.approx(our_losses[arch][0], rel=1e-5)
        assert 40 < tokens <= 300
        assert steps >= 3
    assert not (tmp_path / "output").exists()


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["BertForMaskedLM", "BertForQuestionAnswering"])
def test_the_trainer_of_mindformers_trains_as_our_loop_does(files, our_losses, tmp_path, arch):
    _, theirs = files[1][arch]
    printed = run(tmp_path, TRAINER, str(theirs))
    losses = [float(text) for text in re.findall(r"loss:\[ *([0-9.]+)/", printed)]
    assert losses == pytest.approx(our_losses[arch], rel=2e-5)


def test_nothing_of_mindformers_is_imported_with_us():
    program = (
        "import sys, mindmlm, mindmlm.config, mindmlm.cli.run, mindmlm.integrations.mindformers\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'mindformers'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
