"""Build sdist and wheel, look into them, and try the wheel in empty environments: ``make wheel``.

Each environment gets the wheel alone, then more extras, with the lowest versions that
``pyproject.toml`` allows or with the newest there are, and runs ``smoke.py``. The extra ``train``
is installed in neither, as PyTorch takes gigabytes.
"""

from __future__ import annotations

import os
from pathlib import Path
import platform
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile

from packaging.metadata import Metadata
from packaging.requirements import Requirement


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).with_name("smoke.py")
EXTRAS = ("", "cli", "dashboard")
"""What is installed, one after the other."""

WHEELS_UNTIL = (3, 13)
"""From this Python on some of the lowest versions have no wheels, and are not tried."""


def main() -> None:
    """Check everything; raises where something is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "dist")
        # The wheel is built from the sdist, which shows that the sdist can be built.
        _run(sys.executable, "-m", "build", "--outdir", str(built), str(ROOT))
        (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
        check_sdist(sdist)
        check_wheel(wheel)
        for name in ("lowest", "newest"):
            if name == "lowest" and sys.version_info >= WHEELS_UNTIL:
                print(f"{name}: not tried, no wheels for Python {platform.python_version()}")
                continue
            try_wheel(wheel, Path(folder, name), lowest() if name == "lowest" else [])


def lowest() -> list[str]:
    """Return the lower bounds of the requirements as pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for extra in EXTRAS[1:] for line in extras[extra])]
    pins = []
    for requirement in map(Requirement, wanted):
        if requirement.name != project["name"]:
            (bound,) = (s.version for s in requirement.specifier if s.operator == ">=")
            requirement.specifier &= f"=={bound}"
            pins.append(str(requirement))
    return pins


def check_sdist(sdist: Path) -> None:
    """Check that the sdist holds what it takes to build and to test, and no benchmark's runs."""
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    folders = ("benchmarks", "docs", "examples", "optuna_gamma", "optunahub", "tests")
    wanted = {
        *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "mkdocs.yml"),
        *("pyproject.toml", "PKG-INFO"),
        *(
            path.relative_to(ROOT).as_posix()
            for folder in folders
            for path in (ROOT / folder).rglob("*.py")
        ),
    }
    assert not wanted - names, f"not in the sdist: {sorted(wanted - names)}"
    assert not [name for name in names if name.endswith(".jsonl")]
    print(f"{sdist.name}: {len(names)} files, {sdist.stat().st_size / 1e6:.1f} MB")


def check_wheel(wheel: Path) -> None:
    """Check that the wheel holds the package, all of it and nothing else, and its metadata."""
    package = ROOT / "optuna_gamma"
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(archive.read(path), validate=True)
    assert names == wanted, f"differ: {sorted(names ^ wanted)}"
    assert "optuna_gamma/py.typed" in names
    assert metadata.license_expression == "MIT"
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (ROOT / "README.md").read_text(encoding="utf-8")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.1f} MB")


def try_wheel(wheel: Path, folder: Path, pins: list[str]) -> None:
    """Install the wheel into an environment of its own, with more and more extras, and use it."""
    venv.create(folder / "env", with_pip=False)
    (python,) = (path for path in (folder / "env").glob("*/python*") if path.stem == "python")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins))
    runs = folder / "runs"
    runs.mkdir()
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    for extra in EXTRAS:
        what = f"{wheel}[{extra}]" if extra else str(wheel)
        _run(*pip, "install", "--quiet", "--no-compile", "-c", str(constraints), what)
        _run(str(python), str(SMOKE), extra, cwd=runs)
        print(f"{folder.name} versions, {extra or 'no'} extra: works")
    _run(*pip, "check")


def _run(*command: str, cwd: Path = ROOT) -> None:
    """Run a command, and show what it printed if it fails."""
    # Not to see our own modules, and to compile what is imported once.
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    done = subprocess.run(
        command,
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name not in left_out},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(command)} failed with {done.returncode}.")


if __name__ == "__main__":
    main()
