"""`python -m sluice_operator.cli`."""

import sys

from sluice_operator.cli import main

if __name__ == "__main__":
    sys.exit(main())
