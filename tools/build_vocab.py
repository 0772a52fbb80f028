"""Train a vocabulary, or add domain words to one; see --help."""

import sys

from mindmlm.cli.build_vocab import main

if __name__ == "__main__":
    sys.exit(main())
