"""``python -m patchmgr``."""

from patchmgr.cli import main

if __name__ == "__main__":
    main(prog_name="patchmgr")
