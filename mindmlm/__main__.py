"""Entry of ``python -m mindmlm``."""

import sys

from mindmlm.cli.main import main

sys.exit(main())
