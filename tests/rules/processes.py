"""What a script says in another process: an answer may not depend on how Python happens to order sets there."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HASH_SEEDS = ("0", "1", "4242")


def said_by_every_process(script: str) -> str:
    """Run `script` once under each hash seed; its output, which must be the same in all of them."""
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in HASH_SEEDS
    }
    assert len(said) == 1
    return said.pop()
