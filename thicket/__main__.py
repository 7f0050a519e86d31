"""`python -m thicket`, as `torchrun -m thicket …` starts it."""

import sys

from thicket.cli import main

sys.exit(main())
