"""Join the rank tables of several machines; see --help."""

import sys

from mindmlm.cli.merge_hccl import main

if __name__ == "__main__":
    sys.exit(main())
