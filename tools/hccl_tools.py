"""Make the rank table of this machine; see --help."""

import sys

from mindmlm.cli.hccl_tools import main

if __name__ == "__main__":
    sys.exit(main())
