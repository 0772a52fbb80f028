"""Worker: masked batches by the collators of Hugging Face transformers.

`token` is `DataCollatorForLanguageModeling`. All other strategies are measured beside
`DataCollatorForWholeWordMask`, because transformers has no collator for them.
"""

import tempfile
import warnings
from pathlib import Path

import torch
from transformers import (
    BertTokenizerFast,
    DataCollatorForLanguageModeling,
    DataCollatorForWholeWordMask,
)

from benchmarks.masking_rows import parse_arguments, samples, vocabulary
from benchmarks.worker import serve

CLS, SEP = 2, 3


def main() -> None:
    """Make the examples, serve."""
    options = parse_arguments()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(vocabulary()) + "\n")
        tokenizer = BertTokenizerFast(vocab_file=str(path), do_lower_case=False)
    rows = [[CLS, *row, SEP] for row in samples(options.sequence).tolist()]
    special = [1, *[0] * (options.sequence - 2), 1]
    if options.strategy == "token":
        collator = DataCollatorForLanguageModeling(tokenizer)
        examples = [{"input_ids": row, "special_tokens_mask": special} for row in rows]
    else:
        collator = DataCollatorForWholeWordMask(tokenizer)
        examples = [{"input_ids": row} for row in rows]
    place = 0

    def work() -> float:
        nonlocal place
        for _ in range(options.batches):
            begin = place % (len(examples) - options.batch_size + 1)
            collator(examples[begin : begin + options.batch_size])
            place += options.batch_size
        return options.batches * options.batch_size

    serve(work, warm_up=1)


if __name__ == "__main__":
    main()
