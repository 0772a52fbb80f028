"""Worker: the same scores by Hugging Face transformers on PyTorch."""

import argparse
import os

import torch
from transformers import BertConfig, BertForQuestionAnswering

from benchmarks.worker import serve


def main() -> None:
    """Parse the shape, build the model, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--sequence", type=int, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = BertForQuestionAnswering(BertConfig()).eval()
    shape = (options.batch_size, options.sequence)
    ids = torch.randint(0, 30522, shape)
    segments = (torch.arange(shape[1]) > 16).long().expand(shape)
    mask = torch.ones_like(ids)

    def work() -> float:
        with torch.inference_mode():
            output = model(input_ids=ids, attention_mask=mask, token_type_ids=segments)
            torch.stack((output.start_logits, output.end_logits)).numpy()
        return float(options.batch_size)

    serve(work, warm_up=1)


if __name__ == "__main__":
    main()
