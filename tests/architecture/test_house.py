"""The rules of the house that a reader would otherwise have to check by hand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import headstart
from headstart.registry import NOUNS

SOURCE = Path(headstart.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
ROOT = Path(__file__).parents[2]

# All Python of the project. Tests may write hostile files, and never read one as its author wished.
SCRIPTS = sorted(
    path for folder in ("src", "scripts", "tests", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)

# What runs code out of a file, or writes where an archive says. In the product the restricted unpickler is the one
# exception.
UNSAFE = {
    "torch.load",
    "torch.hub.load",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "pickle._Unpickler",
    "pickle._load",
    "pickle._loads",
    "_pickle.load",
    "_pickle.loads",
    "_pickle.Unpickler",
    "joblib.load",
    "torch.package.PackageImporter",
    "torch.jit.load",
    "torch.serialization.load",
    "numpy.lib.format.read_array",
    "sklearn.externals.joblib.load",
    "pandas.read_pickle",
    "shutil.unpack_archive",
    "tarfile.TarFile.extract",
    "yaml.full_load",
    "yaml.load_all",
    "yaml.unsafe_load_all",
    "yaml.UnsafeLoader",
    "yaml.Loader",
    "jsonpickle.decode",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "runpy.run_path",
    "cloudpickle.load",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "dill.load",
    "yaml.load",
    "yaml.unsafe_load",
    "os.system",
    "eval",
    "exec",
    "compile",
    "__import__",
}
UNSAFE_METHODS = {"extractall", "read_pickle", "load_from_bytes", "_load_from_bytes"}
ALLOWED = {
    "src/headstart/checkpoints/torch_pickle.py": {"pickle.Unpickler"},
    "tests/unit/test_estimator.py": {"pickle.loads"},  # of what it has just pickled itself
}
TRUST = {"allow_pickle", "trust_remote_code", "shell"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager", "handler"}


def name_of(node):
    """Return `a.b.c` for a chain of attributes, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := name_of(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def name_in(node, names):
    """Return what a chain of attributes is called where it was imported from."""
    first, dot, rest = name_of(node).partition(".")
    return names.get(first, first) + dot + rest


def imported_names(tree):
    """Return what each local name stands for: `{"np": "numpy", "loads": "pickle.loads"}`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _trusting(call, function):
    """Return the options of a call that trust a file."""
    options = [(one.arg, one.value) for one in call.keywords]
    # The third argument of numpy.load is allow_pickle.
    options += [("allow_pickle", value) for value in call.args[2:3] if function == "numpy.load"]
    trusted = [name for name, value in options if not (isinstance(value, ast.Constant) and value.value is False)]
    return [name for name in trusted if name in TRUST] + [name for name, _ in options if name == "weights_only"]


def unsafe_uses(source):
    """Return every mention of an unsafe function, under whatever name it was imported."""
    tree = ast.parse(source)
    names = imported_names(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in UNSAFE_METHODS:
            found.append(node.attr)
        if (full := name_in(node, names)) in UNSAFE:
            found.append(full)
        if isinstance(node, ast.Call):
            found += _trusting(node, name_in(node.func, names))
    return found


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_file_can_run_code(file):
    allowed = ALLOWED.get(file.relative_to(ROOT).as_posix(), set())
    assert not set(unsafe_uses(file.read_text("utf-8"))) - allowed


@pytest.mark.parametrize(
    "source",
    [
        "import torch; torch.load('x')",
        "from pickle import loads as read; read(b'')",
        "import pickle as p\nclass U(p.Unpickler): pass",
        "archive.extractall('.')",
        "x = eval",
        "numpy.load('x', allow_pickle=True)",
        "AutoModel.from_pretrained('x', trust_remote_code=flag)",
        "import numpy as np; np.load('x', None, True)",
        "from numpy import load; load('x', allow_pickle=1)",
        "import torch.serialization as s; s.load('x')",
    ],
)
def test_the_search_finds_what_is_unsafe(source):
    assert unsafe_uses(source)


def test_processes_of_ours_import_nothing_from_the_folder_that_the_user_is_in():
    """`python -m` looks there first, unless -P says not to; pip runs in a folder that is empty."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.List) and node.elts and name_of(node.elts[0]) == "sys.executable":
                words = [word.value for word in node.elts if isinstance(word, ast.Constant)]
                assert "-P" in words or "pip" in words, f"{file}:{node.lineno}"


def test_no_prints_no_asserts():
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            assert not isinstance(node, ast.Assert), f"{file}:{node.lineno}"
            assert not (isinstance(node, ast.Call) and name_of(node.func) == "print"), f"{file}:{node.lineno}"


def test_names_say_what_is_inside():
    names = {part.removesuffix(".py") for file in FILES for part in file.relative_to(SOURCE).parts}
    for file in FILES:
        names |= {node.name for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ClassDef)}
    assert not {name for name in names if set(words(name)) & VAGUE}


def words(name):
    """Split `feature_cache` and `FeatureCache` alike."""
    spaced = "".join(f" {character}" if character.isupper() else character for character in name)
    return spaced.lower().replace("_", " ").split()


@pytest.mark.parametrize("folder", NOUNS)
def test_every_plugin_folder_states_its_contract(folder):
    contract = SOURCE / Path(*folder.split(".")) / "contract.py"
    assert ast.get_docstring(ast.parse(contract.read_text("utf-8")))


@pytest.mark.slow
def test_no_room_imports_from_above():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_nothing_has_grown_too_long():
    command = [sys.executable, "scripts/sizes.py", "src", "scripts"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_lock_has_all_that_the_project_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.match(r"[\w.-]+", one)[0] for one in wanted} - {"headstart", "torch"}
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert names <= set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))
    assert all("--hash=sha256:" in entry for entry in re.split(r"^(?=[\w])", lock, flags=re.MULTILINE)[1:])


def test_the_lock_names_no_package_host():
    assert "://" not in (ROOT / "requirements.lock").read_text("utf-8")
