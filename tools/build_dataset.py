"""Prepare a data set as TFRecord or MindRecord files; see --help."""

import sys

from mindmlm.cli.build_dataset import main

if __name__ == "__main__":
    sys.exit(main())
