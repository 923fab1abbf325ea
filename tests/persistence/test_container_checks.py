"""A file of a model leads to no other file, waits for nothing, and does not grow."""

import contextlib
import json
import os
import socket
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import kmagic
from kmagic.persistence.container_checks import FREE_SIZE
from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.regular_files import file_problem


@pytest.fixture
def net():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="d")], name="net")


def refused(path, words, **options):
    with pytest.raises(PersistenceError, match=words) as caught:
        kmagic.load(path, **options)
    return str(caught.value)


# --- what is not a file ---------------------------------------------------------------------------


@pytest.fixture(params=["device", "pipe", "socket", "link to a device", "link to a pipe"])
def endless(request, tmp_path):
    """A path that is not a regular file: reading it does not end, or waits forever."""
    path = tmp_path / "endless.keras"
    target = path
    if "pipe" in request.param:
        target = tmp_path / "pipe" if "link" in request.param else path
        os.mkfifo(target)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        target = "/dev/random" if "link" in request.param else "/dev/zero"
    if "link" in request.param or request.param == "device":
        path.symlink_to(target)
    return path


def test_only_regular_files_are_read(endless, net, tmp_path, shell):
    assert file_problem(endless) == "is not a regular file"
    words = "is not a regular file"
    refused(endless, words)
    refused(endless, words, model=net)
    refused(endless, words, safe_mode=False)
    for suffix in (".kmagic", ".h5", ".weights.h5", ".json", ".csv", ".npz", ".png", ".parquet"):
        link = tmp_path / f"named{suffix}"
        link.symlink_to(endless)
        with pytest.raises(KmagicError):
            kmagic.load(link)
        with pytest.raises(KmagicError):
            kmagic.load_data(str(link))
    shell.user_ns["net"] = net
    for line in (f"keras_load {endless}", f"keras_data {endless}", f"keras_predict net {endless}"):
        with pytest.raises(KmagicError):
            shell.run_line_magic(*line.split(" ", 1))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux")
def test_a_file_of_the_system_without_a_size_is_not_read():
    refused("/proc/kmsg", "is empty")


def test_a_folder_is_not_a_file(tmp_path):
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize("name", ["run.json", "state/epoch-0001.weights.h5"])
def test_a_checkpoint_is_read_from_regular_files(name, net, tmp_path):
    net.compile("sgd", "mse")
    x, y = np.ones((4, 2)), np.ones((4, 3))
    kmagic.fit(net, x, y, checkpoint=tmp_path, displays=[])
    for file in (tmp_path / "state").iterdir():
        if name.startswith("state"):
            name = f"state/{file.name}"
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with contextlib.suppress(KmagicError):  # it may find an earlier state
        kmagic.fit(net, x, y, epochs=2, checkpoint=tmp_path, resume=True, displays=[])


# --- HDF5 -----------------------------------------------------------------------------------------


def external_link(file, name, other):
    file[name] = h5py.ExternalLink(other, "/secret")


def external_values(file, name, other):
    file.create_dataset(name, (2, 3), "f4", external=[(other, 0, 24)])


def virtual_values(file, name, other):
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource(other, "secret", (2, 3), "f4")
    file.create_virtual_dataset(name, layout)


def declared_values(file, name, other):
    file.create_dataset(name, (FREE_SIZE, 4), "f4", chunks=True)


def hidden_link(file, name, other):
    file["a"] = h5py.SoftLink("/nothing")
    file["b"] = np.zeros(3)
    header = h5py.h5o.get_info(file["b"].id).addr
    external_link(file, name, other)
    path = Path(file.filename)
    file.close()
    with path.open("r+b") as raw:  # nobody can read b any more
        raw.seek(header)
        raw.write(b"\xff" * 16)


def metadata_link(file, name, other):
    file.create_dataset(name, (2, 3), "f4")
    if "kmagic" in file:
        del file["kmagic"]
    file["kmagic"] = h5py.ExternalLink(other, "/secret")


CHANGES = {
    external_link: "is in another file",
    external_values: "in other files",
    virtual_values: "in other files",
    declared_values: "its contents would have",
    hidden_link: "is incomplete",
    metadata_link: "is in another file",
}


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize("change", CHANGES)
def test_values_in_other_files_are_not_read(change, suffix, net, tmp_path):
    other = str(tmp_path / "secret.h5")
    with h5py.File(other, "w") as file:
        file["secret"] = np.ones((2, 3), "f4")
    path = tmp_path / f"net{suffix}"
    kmagic.save(net, path)
    inner = path
    if suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "parts")
        inner = tmp_path / "parts" / "model.weights.h5"
    with h5py.File(inner, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if item.name else None)
        (name,) = (name for name in names if getattr(file[name], "shape", ()) == (2, 3))
        del file[name]
        change(file, name, other)
    if suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            for part in (tmp_path / "parts").iterdir():
                archive.write(part, part.name)
    message = refused(path, CHANGES[change])
    assert change is hidden_link or "safe_mode=False" in message
    refused(path, CHANGES[change], model=net)


def test_a_declared_count_of_steps_is_not_read(net, tmp_path):
    net.compile("adam", "mse")
    net.optimizer.build(net.trainable_variables)
    path = kmagic.save(net, tmp_path / "net.weights.h5").path
    with h5py.File(path, "r+") as file:
        del file["optimizer/vars/0"]
        file.create_dataset("optimizer/vars/0", (10**12,), "f4", chunks=True)
    refused(path, "net|damaged", model=net, safe_mode=False)


# --- archives -------------------------------------------------------------------------------------


def with_member(path, name, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "a", compression) as archive:
        archive.writestr(name, content)


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "assets/../../evil", "C:\\evil"])
def test_a_member_outside_the_archive_is_rejected(name, net, tmp_path):
    path = tmp_path / "net.keras"
    kmagic.save(net, path)
    with_member(path, name, b"evil")
    refused(path, "would be written outside")


def test_a_link_in_an_archive_is_rejected(net, tmp_path):
    path = tmp_path / "net.keras"
    kmagic.save(net, path)
    link = zipfile.ZipInfo("assets/vocabulary.txt")
    link.external_attr = 0o120777 << 16
    with_member(path, link, "/etc/passwd")
    refused(path, "is a link")


def test_an_archive_that_grows_is_rejected_before_it_is_unpacked(net, tmp_path):
    path = tmp_path / "net.keras"
    kmagic.save(net, path)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("assets/zeros", "w", force_zip64=True) as member,
    ):
        for _ in range(FREE_SIZE // 2**24 + 1):
            member.write(bytes(2**24))
    assert path.stat().st_size < FREE_SIZE / 100
    refused(path, "its contents would have")


def test_weights_that_may_contain_pickles_are_rejected(net, tmp_path):
    path = tmp_path / "net.keras"
    kmagic.save(net, path)
    with_member(path, "model.weights.npz", b"")
    refused(path, "model.weights.npz in it can contain pickles")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    refused(tmp_path / "unpacked", "model.weights.npz in it can contain pickles")


def test_an_unpacked_model_does_not_lead_outside(net, tmp_path):
    path = tmp_path / "net.keras"
    kmagic.save(net, path)
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    (folder / "assets").mkdir()
    (folder / "assets" / "vocabulary.txt").symlink_to("/etc/passwd")
    refused(folder, "links to a file outside")
    (folder / "assets" / "vocabulary.txt").unlink()
    os.mkfifo(folder / "assets" / "vocabulary.txt")
    refused(folder, "is not a regular file")
    refused(folder, "is not a regular file", safe_mode=False)


def test_models_of_our_own_pass(net, tmp_path):
    net.compile("adam", "mse")
    net.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    for suffix in (".keras", ".h5", ".weights.h5", ".json", ".kmagic"):
        path = tmp_path / f"own{suffix}"
        kmagic.save(net, path)
        assert kmagic.load(path).count_params() == net.count_params()
    assert json.loads((tmp_path / "own.json").read_text())["class_name"] == "Sequential"


@pytest.mark.parametrize("damaged", [b"\xffernel", b"\x00ernel", b"\xc3\x28rnel"])
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_a_damaged_name_in_a_file_of_weights(damaged, suffix, net, tmp_path):
    path = kmagic.save(net, tmp_path / f"net{suffix}").path
    with h5py.File(path, "a") as file:
        file.create_group("kernel")
    path.write_bytes(path.read_bytes().replace(b"kernel", damaged))
    refused(
        path, "damaged|cannot be read|is not", **({"model": net} if "weights" in suffix else {})
    )


def test_a_damaged_position_in_the_weights_of_an_archive(net, tmp_path, monkeypatch):
    def overflow(*_, **__):
        raise OverflowError("Python int too large to convert to C ssize_t")

    path = kmagic.save(net, tmp_path / "net.keras").path
    monkeypatch.setattr(h5py, "File", overflow)
    refused(path, "damaged|cannot be read|is not")
