"""Worker: `pytorch_model.bin` to a Hugging Face folder by our converter."""

import shutil
import tempfile
from pathlib import Path

from benchmarks.convert_folder import write_bert_base
from benchmarks.worker import serve
from mindmlm.conversion.convert import Conversion, convert


def main() -> None:
    """Make the input, serve."""
    with tempfile.TemporaryDirectory() as root:
        source, output = Path(root) / "in", Path(root) / "out"
        megabytes = write_bert_base(source)

        def work() -> float:
            shutil.rmtree(output, ignore_errors=True)
            convert(Conversion(source, output, "huggingface"))
            return megabytes

        serve(work, warm_up=1)


if __name__ == "__main__":
    main()
