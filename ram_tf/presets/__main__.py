"""python -m ram_tf.presets: see `command`."""

import sys

from ram_tf.presets.command import main

if __name__ == "__main__":
    sys.exit(main())
