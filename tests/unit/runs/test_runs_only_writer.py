"""One module writes, none runs what it reads: checked on the syntax of the whole package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gnomon

PACKAGE = Path(gnomon.__file__).parent
WRITER = PACKAGE / "runs" / "writer.py"

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_NAMES = {"eval", "exec", "__import__"}
CHANGES_DISK = {  # functions by module, "" for methods whose names leave no doubt
    name: set(functions.split())
    for name, functions in {
        "os": "rename replace renames remove unlink mkdir makedirs rmdir removedirs symlink link truncate ftruncate "
        "mkfifo chmod chown utime write pwrite system popen",
        "shutil": "copy copy2 copyfile copyfileobj copytree move rmtree unpack_archive",
        "torch": "save load",
        "json": "dump",
        "np": "save savez savez_compressed savetxt memmap",
        "yaml": "load unsafe_load full_load",
        "": "write_text write_bytes touch mkdir rmdir unlink symlink_to hardlink_to savetxt tofile extractall extract "
        "save_file dump",
    }.items()
}
OPENERS = {"Image", "zipfile", "tarfile", "gzip", "bz2", "lzma", "io"}  # their open() takes the path first
TO_A_BUFFER = {  # allowed into an io.BytesIO of the same file, never to a path
    *(
        "save",
        "savefig",
        "write_parquet",
        "write_csv",
        "write_ipc",
        "write_json",
        "write_ndjson",
        "to_csv",
        "to_parquet",
    )
}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def faults(path: Path, text: str) -> Iterator[str]:
    """Every breach of the rules in one file."""
    tree = ast.parse(text)
    buffers = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and name_of(node.value.func).endswith("BytesIO")
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    draws = "PIL" in text  # only pictures have a method `save` that writes
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for module in modules:
                if module.partition(".")[0] in FORBIDDEN_MODULES:
                    yield f"{path}:{node.lineno}: imports the forbidden {module}"
        elif isinstance(node, ast.Call):
            reason = fault_of_call(node, buffers, draws=draws)
            if reason:
                yield f"{path}:{node.lineno}: {reason}"


def name_of(node: ast.expr) -> str:
    """`a.b.c` as text, "" for what is not a name."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{name_of(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def fault_of_call(call: ast.Call, buffers: set[str], *, draws: bool) -> str:
    name = name_of(call.func)
    owner, _, leaf = name.rpartition(".")
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    first = name_of(call.args[0]) if call.args else ""
    if name in FORBIDDEN_NAMES:
        return f"calls the forbidden {name}"
    if "shell" in options or "trust_remote_code" in options:
        return "passes the forbidden shell or trust_remote_code"
    if "allow_pickle" in options and getattr(options["allow_pickle"], "value", None) is not False:
        return "passes the forbidden allow_pickle"
    if name == "torch.load" and getattr(options.get("weights_only"), "value", None) is True:
        return ""  # it builds tensors and plain containers, and refuses every other opcode
    if name in ("np.save", "zipfile.ZipFile") and first in buffers:
        return ""  # into an io.BytesIO made here
    if leaf in ("open", "ZipFile", "TarFile"):
        return fault_of_open(call, name, options)
    if owner in ("writer", "self.calls", "calls") or (
        owner == "" and leaf in ("write_bytes", "write_text", "write_json")
    ):
        return ""  # the one writer itself, imported
    if leaf in TO_A_BUFFER - (set() if draws else {"save"}) and (call.args or options) and first not in buffers:
        return f"calls {name} with something that is not an io.BytesIO made here"
    if leaf in CHANGES_DISK.get(owner, set()) or (leaf in CHANGES_DISK[""] and owner):
        return f"calls {name}"
    return ""


def words(node: ast.expr) -> list[str]:
    return [name_of(part).rpartition(".")[2] for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute)]


def fault_of_open(call: ast.Call, name: str, options: dict) -> str:
    if name == "os.open":
        reads = name_of(call.args[0]) == "os.devnull" or not {"O_WRONLY", "O_RDWR", "O_CREAT"} & set(
            words(call.args[1])
        )
        return "" if reads else "calls os.open to write"
    position = 0 if name.endswith(".open") and name.partition(".")[0] not in OPENERS else 1  # path.open(mode)
    mode = options.get("mode") or (call.args[position] if len(call.args) > position else None)
    if isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax+"):
        return f"opens with mode {mode.value!r}"
    return ""


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_but_the_writer_writes_and_none_runs_what_it_reads(path):
    found = list(faults(path, path.read_text()))
    assert [fault for fault in found if path != WRITER or "forbidden" in fault] == []


FORBIDDEN = """
open('x', 'w')
open('x', mode='ab')
path.open('x')
path.write_text('a')
path.write_bytes(b'a')
torch.save(a, 'x')
torch.load('x')
json.dump(a, f)
import pickle
from pickle import loads
import joblib
yaml.load(f)
eval('1')
exec('1')
subprocess.run('ls', shell=True)
archive.extractall('x')
np.load('x', allow_pickle=True)
torch.load('x', weights_only=False)
np.save('x', a)
b = BytesIO(); np.save('x', a)
b = BytesIO(); np.save(b, a, allow_pickle=True)
b = BytesIO(); zipfile.ZipFile('x', 'w')
array.tofile('x')
frame.write_parquet('x')
figure.savefig(path)
from PIL import Image; image.save(path)
from PIL import Image; Image.fromarray(a).save(path, format='PNG')
os.remove('x')
os.open('x', os.O_WRONLY)
os.system('ls')
shutil.rmtree('x')
path.unlink()
path.mkdir()
zipfile.ZipFile.open('x', 'w')
zipfile.ZipFile('x', 'w')
tarfile.open('x', mode='w:gz')
AutoModel.load('x', trust_remote_code=True)
"""

HARMLESS = """
open('x')
open('x', 'rb')
path.open('rb')
os.open('x', os.O_RDONLY | _MORE)
Image.open(f, formats=['PNG'])
zipfile.ZipFile('x')
tarfile.open('x', mode='r:*')
writer.write_bytes(p, b'')
write_bytes(p, b'')
model.eval()
job.save(state)
np.load('x', allow_pickle=False)
torch.load('x', weights_only=True)
json.dumps(a)
text.replace('a', 'b')
frame.rename({'a': 'b'})
frame.write_csv().encode()
b = BytesIO(); f.savefig(b)
b = BytesIO(); np.save(b, a, allow_pickle=False)
b = BytesIO(); zipfile.ZipFile(b, 'w')
"""


@pytest.mark.parametrize("line", FORBIDDEN.strip().splitlines())
def test_each_forbidden_thing_is_found(line):
    assert list(faults(Path("x.py"), line))


@pytest.mark.parametrize("line", HARMLESS.strip().splitlines())
def test_harmless_things_are_accepted(line):
    assert list(faults(Path("x.py"), line)) == []
