"""Which benchmarks there are: workers, titles and groups."""

from pathlib import Path

from benchmarks.harness import Benchmark

PROJECT = Path(__file__).resolve().parents[1]

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


def _bert_memory(batch: int, sequence: int) -> Benchmark:
    shape = ("--batch_size", str(batch), "--sequence", str(sequence), "--peak_memory")
    return Benchmark(
        title=f"peak resident set of a process that trains BERT-base, batch {batch} x {sequence}",
        unit="MB",
        ours=("train_step_ours.py", "--config", _BERT_BASE, *shape),
        peer=("bert_step_huggingface.py", *shape),
        peer_name="Hugging Face transformers on PyTorch, fp32",
        lower_is_better=True,
    )


def _start_up(*options: str) -> Benchmark:
    how = (
        "text prepared, context.enable_compile_cache"
        if "--warm" in options
        else "text to be prepared, graphs to be compiled"
    )
    return Benchmark(
        title=f"from the command to the end of the first step of BERT-base, 8 x 128; {how}",
        unit="s",
        ours=("start_up_ours.py", *options),
        peer=("start_up_huggingface.py",),
        peer_name="a script with Hugging Face transformers on PyTorch, random tokens",
        lower_is_better=True,
    )


def _chinese_lines(form: str, lines: int, corpus: str, *options: str) -> Benchmark:
    what = "batches made" if "--data_only" in options else "BERT-base trained"
    ours = "packed rows of 128" if form == "packed" else "lines in buckets of similar length"
    arguments = ("--lines", str(lines), *options)
    return Benchmark(
        title=f"{what} on the lines of {corpus}, jieba's whole words, {lines} lines a step; {ours}",
        unit="tokens/s without padding",
        ours=("chinese_lines_ours.py", "--form", form, *arguments),
        peer=("chinese_lines_huggingface.py", *arguments),
        peer_name="Hugging Face transformers, padded to the longest of the batch",
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


def catalogue(corpus: str) -> dict[str, dict[str, Benchmark]]:
    """Groups of benchmarks by name.

    Args:
        corpus: name of the Chinese text, for titles.
    """
    whole = ("--whole_process",)
    on_disk = "both until it is on the disk"
    forms = [(form, lines) for form in ("packed", "bucketed") for lines in (8, 32)]
    return {
        "train": {
            "bert_base_train_8x128": _bert_step(8, 128),
            "bert_base_train_8x128_vs_bf16": _bert_step(8, 128, "--bf16"),
            "bert_base_train_4x512": _bert_step(4, 512),
            "gpt2_train_8x256": _gpt2_step(8, 256),
        },
        "memory": {"bert_base_memory_8x128": _bert_memory(8, 128)},
        "start_up": {"start_up_cold": _start_up(), "start_up_warm": _start_up("--warm")},
        "chinese_lines": {
            f"chinese_lines_{form}_{lines}": _chinese_lines(form, lines, corpus)
            for form, lines in forms
        },
        "data": {"data_path": _chinese_lines("bucketed", 32, corpus, "--data_only")},
        "masking": {
            f"masking_{name}_{n}": _masking(name, n) for name in _STRATEGIES for n in (128, 512)
        },
        "chinese_build": {
            f"chinese_build_{name}": _chinese_build(name) for name in ("jieba", "rjieba")
        },
        "generation": {f"generation_{batch}": _generation(batch) for batch in (1, 8)},
        "question_answering": {"qa_forward_8x384": _question_answering(8, 384)},
        "conversion": {
            "convert_bert_base": _conversion("safetensors", on_disk),
            "convert_bert_base_to_bin": _conversion("bin", on_disk),
            "convert_bert_base_unsynchronised": _conversion(
                "safetensors",
                "the peer does not wait for the disk",
                peer_options=("--unsynchronised",),
            ),
            "convert_bert_base_command": _conversion(
                "safetensors", "whole processes", whole, whole
            ),
            "convert_bert_base_to_bin_command": _conversion("bin", "whole processes", whole, whole),
        },
    }


def select(groups: dict[str, dict[str, Benchmark]], names: list[str]) -> dict[str, Benchmark]:
    """The benchmarks that are named, by name or group or `all`, each once and in this order.

    Raises:
        ValueError: nothing has one of the names.
    """
    chosen: dict[str, Benchmark] = {}
    every = {name: one for group in groups.values() for name, one in group.items()}
    for name in names:
        if name == "all":
            chosen |= every
        elif name in groups:
            chosen |= groups[name]
        elif name in every:
            chosen[name] = every[name]
        else:
            raise ValueError(f"{name}: no benchmark and no group; --help lists them")
    return chosen
