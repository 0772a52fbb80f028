"""Convert checkpoints between formats; see --help."""

import sys

from mindmlm.cli.convert_checkpoint import main

if __name__ == "__main__":
    sys.exit(main())
