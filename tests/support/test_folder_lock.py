"""Locks where the system locks files, and where it does not."""

import errno
import json
import os
import platform
import time

import pytest

from kmagic.support import folder_lock
from kmagic.support.folder_lock import FolderLock


@pytest.fixture
def without_system_locks(monkeypatch):
    class Unsupported:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def lockf(*_):
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock, "fcntl", Unsupported)


def write(folder, **about):
    (folder / ".lock").write_text(json.dumps({"since": time.time(), **about}))


def test_a_lock_is_not_taken_twice_by_its_thread(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert first.acquire() == ""
    assert second.acquire() == "a training of this process that has not ended"
    second.release()  # not held: nothing happens
    assert json.loads((tmp_path / ".lock").read_text())["process"] == os.getpid()
    first.release()
    assert second.acquire() == ""
    second.release()
    assert (tmp_path / ".lock").read_text() == ""


def test_what_a_process_left_is_no_lock(tmp_path):
    for content in ("", "{", "[]", "null", '{"process": "x"}', '{"process": 1, "host": 3}'):
        (tmp_path / ".lock").write_text(content)
        lock = FolderLock(tmp_path)
        assert lock.acquire() == ""
        lock.release()


@pytest.mark.usefixtures("without_system_locks")
def test_without_system_locks_a_running_process_holds_its_file(tmp_path):
    write(tmp_path, host=platform.node(), process=os.getppid())
    assert FolderLock(tmp_path).acquire().startswith(f"process {os.getppid()}, since 20")


@pytest.mark.usefixtures("without_system_locks")
def test_without_system_locks_another_host_holds_its_file(tmp_path):
    write(tmp_path, host="elsewhere", process=1)
    assert FolderLock(tmp_path).acquire().startswith("process 1 on elsewhere, since 20")
    (tmp_path / ".lock").unlink()
    assert FolderLock(tmp_path).acquire() == ""


@pytest.mark.usefixtures("without_system_locks")
def test_without_system_locks_an_ended_process_holds_nothing(tmp_path):
    write(tmp_path, host=platform.node(), process=2**22 + 1)
    assert FolderLock(tmp_path).acquire() == ""


def test_a_lock_that_nobody_has_any_more_is_released(tmp_path):
    lock = FolderLock(tmp_path)
    lock.acquire()
    del lock
    assert (tmp_path / ".lock").read_text() == ""
