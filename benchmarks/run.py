"""Speed beside the peers, in one run: `python benchmarks/run.py NAME [--json] [--rounds N]`."""

import argparse
import json
import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks.harness import Benchmark, Result, run_benchmark  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402

_BERT_BASE = str(PROJECT / "configs" / "bert" / "run_bert_base_uncased.yaml")

_GPT2 = str(PROJECT / "configs" / "gpt2" / "run_gpt2.yaml")


def _bert_step(batch: int, sequence: int, *peer_options: str) -> Benchmark:
    shape = ("--batch_size", str(batch), "--sequence", str(sequence))
    dtype = "bf16 autocast" if "--bf16" in peer_options else "fp32"
    return Benchmark(
        title=f"BERT-base masked-LM training step, batch {batch} x {sequence}, dropout 0.1, AdamW",
        unit="tokens/s",
        ours=("train_step_ours.py", "--config", _BERT_BASE, *shape),
        peer=("bert_step_huggingface.py", *shape, *peer_options),
        peer_name=f"Hugging Face transformers on PyTorch, {dtype}",
    )


def _gpt2_step(batch: int, sequence: int) -> Benchmark:
    shape = ("--batch_size", str(batch), "--sequence", str(sequence))
    return Benchmark(
        title=f"GPT-2 124M training step, batch {batch} x {sequence}, dropout 0.1, AdamW",
        unit="tokens/s",
        ours=("train_step_ours.py", "--config", _GPT2, *shape),
        peer=("gpt2_step_huggingface.py", *shape),
        peer_name="Hugging Face transformers on PyTorch, fp32",
    )


def _masking(strategy: str, sequence: int) -> Benchmark:
    arguments = ("--strategy", strategy, "--sequence", str(sequence), "--batch_size", "256")
    peer = (
        "DataCollatorForLanguageModeling" if strategy == "token" else "DataCollatorForWholeWordMask"
    )
    return Benchmark(
        title=f"dynamic masking, strategy {strategy}, rows of {sequence} tokens, one core",
        unit="sequences/s",
        ours=("masking_ours.py", *arguments, "--batches", str(10240 // sequence)),
        peer=("masking_huggingface.py", *arguments, "--batches", str(512 // sequence)),
        peer_name=f"Hugging Face transformers, {peer}",
    )


def _chinese_build(segmenter: str) -> Benchmark:
    return Benchmark(
        title=f"Chinese text to tokens and words, {segmenter}, all cores",
        unit="MB/s",
        ours=("chinese_build_ours.py", "--segmenter", segmenter),
        peer=("chinese_build_published.py",),
        peer_name="jieba and BERT's Python tokenizer in one process",
    )


def _conversion(
    target: str, how: str, options: tuple[str, ...] = (), peer_options: tuple[str, ...] = ()
) -> Benchmark:
    files = ("pytorch_model.bin", "model.safetensors")
    source, output = files if target == "safetensors" else files[::-1]
    return Benchmark(
        title=f"BERT-base (440 MB), {source} to a folder with {output}; {how}",
        unit="MB/s",
        ours=("convert_ours.py", "--to", target, *options),
        peer=("convert_transformers.py", "--to", target, *peer_options),
        peer_name="Hugging Face transformers, from_pretrained and save_pretrained",
    )


def _generation(batch: int) -> Benchmark:
    shape = ("--batch_size", str(batch))
    return Benchmark(
        title=f"greedy generation, GPT-2 124M, batch {batch}, 64 tokens after 32, fp32",
        unit="tokens/s",
        ours=("generation_ours.py", *shape),
        peer=("generation_huggingface.py", *shape),
        peer_name="Hugging Face transformers on PyTorch, with its cache",
    )


def _question_answering(batch: int, sequence: int) -> Benchmark:
    shape = ("--batch_size", str(batch), "--sequence", str(sequence))
    return Benchmark(
        title=f"question answering, forward pass of BERT-base, batch {batch} x {sequence}, fp32",
        unit="rows/s",
        ours=("qa_forward_ours.py", *shape),
        peer=("qa_forward_huggingface.py", *shape),
        peer_name="Hugging Face transformers on PyTorch",
    )


_STRATEGIES = ("token", "whole_word", "span", "token_span", "ngram", "macbert", "mixture")

BENCHMARKS = {
    **{f"masking_{name}_{n}": _masking(name, n) for name in _STRATEGIES for n in (128, 512)},
    **{f"chinese_build_{name}": _chinese_build(name) for name in ("jieba", "rjieba")},
    "convert_bert_base": _conversion("safetensors", "both until it is on the disk"),
    "convert_bert_base_to_bin": _conversion("bin", "both until it is on the disk"),
    "convert_bert_base_unsynchronised": _conversion(
        "safetensors", "the peer does not wait for the disk", peer_options=("--unsynchronised",)
    ),
    "convert_bert_base_command": _conversion(
        "safetensors", "whole processes", ("--whole_process",), ("--whole_process",)
    ),
    "convert_bert_base_to_bin_command": _conversion(
        "bin", "whole processes", ("--whole_process",), ("--whole_process",)
    ),
    **{f"generation_{batch}": _generation(batch) for batch in (1, 8)},
    "qa_forward_8x384": _question_answering(8, 384),
    "bert_base_train_8x128": _bert_step(8, 128),
    "bert_base_train_8x128_vs_bf16": _bert_step(8, 128, "--bf16"),
    "gpt2_train_8x256": _gpt2_step(8, 256),
}


def main() -> int:
    """Run the benchmarks that were named and print their results."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="benchmarks: " + "; ".join(f"{name} ({b.title})" for name, b in BENCHMARKS.items()),
    )
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--json", action="store_true", help="one JSON object a benchmark")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
    names = list(BENCHMARKS) if options.name == "all" else [options.name]
    machine = describe_machine()
    if not options.json:
        print(json.dumps(machine))
    for name in names:
        result = run_benchmark(name, BENCHMARKS[name], options.rounds)
        print(_as_json(result, machine) if options.json else _as_text(result), flush=True)
    return 0


def _as_json(result: Result, machine: dict[str, object]) -> str:
    return json.dumps({**result.to_dict(), "machine": machine})


def _as_text(result: Result) -> str:
    benchmark = BENCHMARKS[result.name]
    return (
        f"{result.name}: {benchmark.title}\n"
        f"  ours  {result.ours:10.1f} {result.unit}\n"
        f"  peer  {result.peer:10.1f} {result.unit}  ({benchmark.peer_name})\n"
        f"  ratio {result.ratio:10.2f} x"
    )


if __name__ == "__main__":
    sys.exit(main())
