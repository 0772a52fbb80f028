"""Compare all ways to divide a training run over cards; see --help."""

import sys

from mindmlm.cli.plan_parallel import main

if __name__ == "__main__":
    sys.exit(main())
