"""Worker: training steps of GPT-2 (124M) by Hugging Face transformers on PyTorch."""

import argparse
import os

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.worker import serve


def main() -> None:
    """Parse the shape, build the step, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--sequence", type=int, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = GPT2LMHeadModel(GPT2Config()).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1
    )
    ids = torch.randint(0, 50257, (options.batch_size, options.sequence))

    def work() -> float:
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return ids.numel()

    serve(work, warm_up=4)


if __name__ == "__main__":
    main()
