"""Train, fine-tune, evaluate or predict from one YAML file; see --help."""

import sys

from mindmlm.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
