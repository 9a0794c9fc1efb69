"""Makes build/compiled: a copy of the packages in which the modules named in compiled_modules.txt are compiled to C by mypyc.

    scripts/compile [--test]

What is compiled is what runs for every call and is plain functions and classes. Modules that declare steps, methods, tasks or
timers stay as they are: their declarations read annotations and signatures, which compiled functions do not have.
`tests/unit/test_compiled_modules.py` watches over that. The sources do not know whether they are compiled. `--test` runs the
conformance scenarios, the simulation and the properties with the compiled modules.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cgr_cluster.cli.compiled import FOLDER, LAUNCHER, PACKAGES, STAMP, stamp_of  # noqa: E402

MODULES = Path(__file__).with_name("compiled_modules.txt")

TESTED = ("tests/conformance", "tests/simulation", "tests/property")

SETUP = """
from setuptools import setup
from mypyc.build import mypycify
setup(
    name="cgr-cluster-compiled", packages=[],
    ext_modules=mypycify({arguments!r}, only_compile_paths={paths!r}, opt_level="2", debug_level="0", multi_file=True),
)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test", action="store_true", help="test the compiled modules")
    options = parser.parse_args()
    making = FOLDER.with_name(FOLDER.name + ".new")
    shutil.rmtree(making, ignore_errors=True)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, making / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", making)
    names = [line for line in MODULES.read_text().splitlines() if not line.startswith("#")]
    paths = [f"cgr_cluster/{name}.py" for name in names]
    setup = SETUP.format(arguments=["cgr_cluster"], paths=paths)
    (making / "setup.py").write_text(setup)
    jobs = os.cpu_count() or 1
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", f"--parallel={jobs}"]
    print(f"compiling {len(paths)} modules ...", file=sys.stderr)
    done = subprocess.run(command, cwd=making, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}{done.stderr[-4000:]}\nthe modules could not be compiled")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    lacking = [path for path in paths if not (making / path.removesuffix(".py")).with_suffix(suffix).exists()]
    if lacking:
        sys.exit(f"not compiled: {' '.join(lacking)}")
    shutil.rmtree(making / "build")
    (making / LAUNCHER).write_text("import sys\n\nfrom workers.supervisor import main\n\nsys.exit(main())\n")
    (making / STAMP).write_text(stamp_of(making))
    shutil.rmtree(FOLDER, ignore_errors=True)
    making.rename(FOLDER)
    print(f"done: {FOLDER}", file=sys.stderr)
    if options.test:
        sys.exit(run_tests())


def run_tests() -> int:
    """Tests that patch the program to be seen to fail are left out: compiled modules cannot be patched."""
    for part in ("tests", "bench", "scripts"):
        shutil.copytree(ROOT / part, FOLDER / part, dirs_exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "-k", "not shown_to_fail", *TESTED]
    return subprocess.run(command, cwd=FOLDER).returncode


if __name__ == "__main__":
    main()
