"""Train word vectors for masking strategy macbert; see --help."""

import sys

from mindmlm.cli.train_word_vectors import main

if __name__ == "__main__":
    sys.exit(main())
