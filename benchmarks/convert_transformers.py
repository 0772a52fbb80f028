"""Worker: `pytorch_model.bin` to a Hugging Face folder by transformers."""

import shutil
import tempfile
from pathlib import Path

from transformers import BertForMaskedLM, BertTokenizer

from benchmarks.convert_folder import write_bert_base
from benchmarks.worker import serve


def main() -> None:
    """Make the input, serve."""
    with tempfile.TemporaryDirectory() as root:
        source, output = Path(root) / "in", Path(root) / "out"
        megabytes = write_bert_base(source)

        def work() -> float:
            shutil.rmtree(output, ignore_errors=True)
            BertForMaskedLM.from_pretrained(source).save_pretrained(output)
            BertTokenizer.from_pretrained(source).save_pretrained(output)
            return megabytes

        serve(work, warm_up=1)


if __name__ == "__main__":
    main()
