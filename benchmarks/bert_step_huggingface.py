"""Worker: the same training steps by Hugging Face transformers on PyTorch."""

import argparse
import contextlib
import os

import torch
from transformers import BertConfig, BertForMaskedLM

from benchmarks.worker import serve_steps


def main() -> None:
    """Parse the shape, build the step, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--sequence", type=int, required=True)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--peak_memory", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = BertForMaskedLM(BertConfig()).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, eps=1e-6, weight_decay=0.01)
    ids = torch.randint(1000, 30522, (options.batch_size, options.sequence))
    chosen = torch.rand(ids.shape) < 0.15
    labels = torch.where(chosen, ids, torch.full_like(ids, -100))
    mask = torch.ones_like(ids)

    def work() -> float:
        autocast = torch.autocast("cpu", dtype=torch.bfloat16)
        with autocast if options.bf16 else contextlib.nullcontext():
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return ids.numel()

    serve_steps(work, options.peak_memory)


if __name__ == "__main__":
    main()
