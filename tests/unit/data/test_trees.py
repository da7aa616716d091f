"""Folders and lists of files: what is listed, what is skipped and said so, and that reading notices changes."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from gnomon.core.errors import DataError
from gnomon.data.source import display_name
from gnomon.data.trees import FilesTree, FolderTree, common_folder


def fill(root, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names_of(tree) -> list[str]:
    return [file.name for file in tree.files]


def test_files_come_in_name_order_with_their_sizes(tmp_path):
    fill(tmp_path, "b/2.txt", "a/10.txt", "a/9.txt", "c.txt")
    tree = FolderTree(str(tmp_path))
    assert names_of(tree) == ["a/10.txt", "a/9.txt", "b/2.txt", "c.txt"]
    assert [file.size for file in tree.files] == [8, 7, 7, 5]
    assert tree.read("b/2.txt") == b"b/2.txt"
    assert tree.notes == ()


def test_hidden_and_junk_files_are_skipped_and_counted(tmp_path):
    fill(tmp_path, "a.png", ".DS_Store", "__MACOSX/a.png", "cat/Thumbs.db", ".git/config", "cat/desktop.ini")
    tree = FolderTree(str(tmp_path))
    assert names_of(tree) == ["a.png"]
    assert any(note.startswith("hidden and system files skipped: 5 (.DS_Store, .git, __MACOSX") for note in tree.notes)


def test_empty_folders_are_named(tmp_path):
    fill(tmp_path, "cat/1.png")
    (tmp_path / "dog").mkdir()
    assert FolderTree(str(tmp_path)).notes == ("empty folders: 1 (dog/)",)


@pytest.mark.timeout(20)
def test_pipes_and_sockets_are_never_opened(tmp_path):
    fill(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.png")  # the working folder is tmp_path; socket names are short
        tree = FolderTree(str(tmp_path))
    assert names_of(tree) == ["a.png"]
    assert tree.notes == ("special files (pipes, sockets, devices) skipped: 2 (pipe.png, s.png)",)


@pytest.mark.timeout(20)
def test_link_loops_end(tmp_path):
    fill(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "a/b").symlink_to("../b")
    (tmp_path / "b/a").symlink_to("../a")
    tree = FolderTree(str(tmp_path))
    assert names_of(tree) == ["a/1.png", "b/2.png"]
    assert tree.notes == ("links to something already read, not followed: 3 (a/b, a/up, b/a)",)


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    fill(tmp_path, "outside/secret.png", "data/1.png", "data-other/2.png")
    (tmp_path / "data/out").symlink_to(tmp_path / "outside")
    (tmp_path / "data/file.png").symlink_to(tmp_path / "outside/secret.png")
    (tmp_path / "data/sibling").symlink_to(tmp_path / "data-other")  # shares the name's beginning, not the folder
    tree = FolderTree(str(tmp_path / "data"))
    assert names_of(tree) == ["1.png"]
    assert tree.notes == ("links out of the folder, not followed: 3 (file.png, out, sibling)",)


def test_a_link_to_a_file_kept_in_a_hidden_folder_inside_is_followed_once(tmp_path):
    fill(tmp_path, ".store/x1", ".store/deep/x2")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.png").symlink_to("../.store/x1")
    (tmp_path / "cat/copy.png").symlink_to("../.store/x1")
    (tmp_path / "dog").symlink_to(".store/deep")
    tree = FolderTree(str(tmp_path))
    assert names_of(tree) == ["cat/1.png", "dog/x2"]
    assert tree.read("cat/1.png") == b".store/x1"
    assert tree.read("dog/x2") == b".store/deep/x2"


def test_broken_links_are_skipped_and_named(tmp_path):
    fill(tmp_path, "1.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "self.png").symlink_to("self.png")
    assert FolderTree(str(tmp_path)).notes == ("broken links skipped: 2 (gone.png, self.png)",)


@pytest.fixture
def deep(tmp_path):
    """A function that nests folders below tmp_path; they are removed by rm, since Python's own removal recurses."""

    def nest(name: str, times: int) -> None:
        here = os.open(tmp_path, os.O_RDONLY)
        for _ in range(times):  # by handle: the whole path is too long for one call
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("x.png", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.close(here)

    yield nest
    subprocess.run(["rm", "-rf", *(entry.path for entry in os.scandir(tmp_path))], check=True)


def test_a_tree_deeper_than_python_recurses_is_listed(tmp_path, deep):
    deep("d", 1100)
    assert names_of(FolderTree(str(tmp_path))) == ["d/" * 1100 + "x.png"]


def test_files_deeper_than_the_longest_path_are_noted(tmp_path, deep):
    deep("d" * 200, 25)
    fill(tmp_path, "1.png")
    tree = FolderTree(str(tmp_path))
    assert names_of(tree) == ["1.png"]
    assert any("File name too long" in note for note in tree.notes)


NASTY = [
    b"latin-\xe9.png", b"new\nline.png", b"tab\t.png", b"\x1b[31mred.png", "rtl\u202egnp.png".encode(),
    "😀.png".encode(), b"x" * 251 + b".png", "é.png".encode(), "e\u0301.png".encode(), b"CON", b"-rf.png",
    b"=cmd().png", b"<img onerror=alert(1)>.png", b" .png", b"back\\slash.png", b"%2e%2e.png",
]  # fmt: skip


def test_names_of_any_bytes_are_listed_and_read(tmp_path):
    for i, name in enumerate(NASTY):
        with open(
            os.path.join(os.fsencode(tmp_path), b"f" + name if name.startswith(b".") else name)[:4000], "wb"
        ) as file:
            file.write(bytes([i]))
    tree = FolderTree(str(tmp_path))
    assert len(tree.files) == len(NASTY)
    assert sorted(tree.read(file.name)[0] for file in tree.files) == list(range(len(NASTY)))
    shown = [display_name(file.name) for file in tree.files]
    assert len(set(shown)) == len(NASTY)
    assert all(name.encode().decode().isprintable() for name in shown)


def test_a_file_that_is_gone_or_has_changed_is_named(tmp_path):
    fill(tmp_path, "gone.png", "longer.png", "same-size.png", "pipe.png")
    tree = FolderTree(str(tmp_path))
    (tmp_path / "gone.png").unlink()
    (tmp_path / "longer.png").write_bytes(b"something else altogether")
    os.utime(tmp_path / "same-size.png", ns=(1, 1))
    (tmp_path / "pipe.png").unlink()
    os.mkfifo(tmp_path / "pipe.png")
    for name, what in [
        ("gone.png", "gone"),
        ("longer.png", "changed"),
        ("same-size.png", "changed"),
        ("pipe.png", "changed"),
    ]:
        with pytest.raises(DataError, match=what) as caught:
            tree.read(name)
        assert caught.value.where == name


def test_files_given_one_by_one_keep_their_order_and_count_once(tmp_path):
    fill(tmp_path, "a.png", "b.png")
    paths = [str(tmp_path / name) for name in ("b.png", "a.png", "b.png")]
    tree = FilesTree(paths)
    assert names_of(tree) == paths[:2]
    assert tree.notes == ("files given more than once, counted once: 1",)


@pytest.mark.parametrize(("names", "expected"), [
    (["cifar/train/a/1", "cifar/test/b/2"], "cifar/"),
    (["a/1", "ab/2"], ""),
    (["a/b/1", "a/b/2"], "a/b/"),
    (["1", "a/2"], ""),
    ([], ""),
])  # fmt: skip
def test_the_top_folder(names, expected):
    assert common_folder(names) == expected
