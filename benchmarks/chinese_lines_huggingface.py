"""Worker: training on Chinese lines by transformers, in the way of its `run_mlm_wwm.py`.

Every line is an example; a batch is padded to its longest; `DataCollatorForWholeWordMask` masks
words that the reference positions of each line tell (`chinese_ref`: tokens that continue a word,
as `run_chinese_ref.py` writes them, here from jieba's words). The mask of attention, which that
collator leaves out, is put in, and batches are made as the `Trainer` does by default: in the
training process.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from benchmarks import chinese_text
from benchmarks.chinese_lines import MAX_TOKENS, NETWORKS, Inputs, parser, steps_of_a_turn
from benchmarks.worker import serve

warnings.simplefilter("ignore")
import jieba  # noqa: E402
from transformers import (  # noqa: E402
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    DataCollatorForWholeWordMask,
)

NO_DECAY = ("bias", "LayerNorm.weight")


def main() -> None:
    """Prepare the lines, serve."""
    options = parser().parse_args()
    start(seed=0)
    with tempfile.TemporaryDirectory() as name:
        inputs = Inputs.write(Path(name), chinese_text.all_lines())
        batches = endless(loader(inputs, options.lines, workers=2 if options.data_only else 0))
        model, optimizer = build(inputs, options.network)
    steps = steps_of_a_turn(options)

    def work() -> float:
        tokens = 0
        for _ in range(steps):
            batch = next(batches)
            if not options.data_only:
                train_step(model, optimizer, batch)
            tokens += int(batch["attention_mask"].sum())
        return tokens

    serve(work, warm_up=1)


def start(seed: int) -> None:
    """Seed, threads on all cores, no messages of jieba."""
    torch.manual_seed(seed)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    jieba.setLogLevel(logging.WARNING)


def loader(inputs: Inputs, lines: int, workers: int = 0) -> DataLoader:
    """Masked batches of so many lines in random order, the rest left out."""
    tokenizer = BertTokenizer(str(inputs.vocab))
    text = inputs.text.read_text(encoding="utf-8").split("\n")[:-1]
    examples = [example(line, tokenizer) for line in text]
    collator = DataCollatorForWholeWordMask(tokenizer)

    def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        batch = collator(rows)
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        columns = torch.arange(batch["input_ids"].shape[1])
        batch["attention_mask"] = (columns < lengths[:, None]).long()
        return batch

    return DataLoader(
        examples,
        batch_size=lines,
        shuffle=True,
        drop_last=True,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def example(line: str, tokenizer: BertTokenizer) -> dict[str, list[int]]:
    """Tokens of a line, and the positions of those that continue a word of jieba."""
    tokens: list[str] = []
    continuing: list[int] = []
    for word in jieba.lcut(line):
        pieces = tokenizer.tokenize(word)
        continuing += range(len(tokens) + 2, len(tokens) + 1 + len(pieces))
        tokens += pieces
    tokens = tokens[: MAX_TOKENS - 2]
    ids = tokenizer.convert_tokens_to_ids(["[CLS]", *tokens, "[SEP]"])
    return {"input_ids": ids, "chinese_ref": [n for n in continuing if n < MAX_TOKENS - 1]}


def endless(batches: DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    """Epoch after epoch."""
    while True:
        yield from batches


def build(
    inputs: Inputs, network: str, learning_rate: float = 1e-4
) -> tuple[BertForMaskedLM, torch.optim.AdamW]:
    """The model with random weights and its optimizer, with the settings of our runs."""
    model = BertForMaskedLM(model_config(inputs, network)).train()
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if name.endswith(NO_DECAY)], "weight_decay": 0.0},
        {"params": [p for name, p in named if not name.endswith(NO_DECAY)]},
    ]
    return model, torch.optim.AdamW(groups, lr=learning_rate, eps=1e-6, weight_decay=0.01)


def model_config(inputs: Inputs, network: str) -> BertConfig:
    """Of a network of `NETWORKS` with the vocabulary of the inputs."""
    hidden, layers, heads, intermediate = NETWORKS[network]
    return BertConfig(
        vocab_size=len(BertTokenizer(str(inputs.vocab))),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
    )


def train_step(
    model: BertForMaskedLM, optimizer: torch.optim.AdamW, batch: dict[str, torch.Tensor]
) -> float:
    """One update; returns the loss before it."""
    loss = model(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


if __name__ == "__main__":
    main()
