"""Worker: the same continuations by Hugging Face transformers on PyTorch, with its cache."""

import argparse
import os

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.worker import serve


def main() -> None:
    """Parse the shape, build the model, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--new_tokens", type=int, default=64)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = GPT2LMHeadModel(GPT2Config()).eval()
    model.generation_config.eos_token_id = None
    ids = torch.randint(0, 50257, (options.batch_size, options.prompt))
    mask = torch.ones_like(ids)

    def work() -> float:
        with torch.inference_mode():
            rows = model.generate(
                ids,
                attention_mask=mask,
                do_sample=False,
                use_cache=True,
                max_new_tokens=options.new_tokens,
                pad_token_id=0,
            )
        return rows[:, options.prompt :].numel()

    serve(work, warm_up=1)


if __name__ == "__main__":
    main()
