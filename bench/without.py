"""Run a module as if a package were not installed.

python -m bench.without PACKAGE -m MODULE [ARGUMENTS]
"""

from __future__ import annotations

import runpy
import sys

if __name__ == "__main__":
    package, option, module, *arguments = sys.argv[1:]
    if option != "-m":
        sys.exit(__doc__)
    sys.modules[package] = None  # type: ignore[assignment]  # its import raises ImportError now
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
