"""python -m ram_tf.tables: see `command`."""

import sys

from ram_tf.tables.command import main

if __name__ == "__main__":
    sys.exit(main())
