"""Where the baggage stands in each kind of file, so that Keras reads the file as its own.

In a ``.keras`` it is a part of ``metadata.json``, which Keras writes and never reads. A member of
its own would be ignored too, but from four members on Keras unpacks the whole archive to the
disk before it loads. In HDF5 it is a data set at the root, since an attribute holds 64 kB at most.
"""

from __future__ import annotations

import json
import textwrap
import zipfile
from pathlib import Path
from typing import Any

from kmagic.persistence.model_metadata import Baggage
from kmagic.support.formatting import pluralize

KEY = "kmagic"
METADATA = "metadata.json"
_LINE = "#: "


def put_into_zip(path: Path, baggage: Baggage) -> None:
    """Add the baggage to a ``.keras`` file."""
    with zipfile.ZipFile(path, "a") as archive:
        old = archive.getinfo(METADATA)
        metadata = json.loads(archive.read(old))
        # The few bytes of the old member stay, unlisted; a second one of its name would be listed.
        archive.filelist.remove(old)
        del archive.NameToInfo[METADATA]
        metadata[KEY] = json.loads(baggage.to_json())
        archive.writestr(METADATA, json.dumps(metadata, ensure_ascii=False))


def put_into_hdf5(path: Path, baggage: Baggage) -> None:
    """Add the baggage to a ``.h5`` or ``.weights.h5`` file."""
    import h5py  # noqa: PLC0415 - not before such a file is written
    import numpy as np  # noqa: PLC0415 - as above

    held = np.frombuffer(baggage.to_json().encode(), dtype=np.uint8)
    with h5py.File(path, "r+") as file:
        file.create_dataset(KEY, data=held)


def as_json(config: str, baggage: Baggage) -> str:
    """Keras's JSON of a model, with the baggage under a key that Keras does not look for."""
    held: dict[str, Any] = json.loads(config)
    return json.dumps({**held, KEY: json.loads(baggage.to_json())}, ensure_ascii=False, indent=1)


def as_text(baggage: Baggage) -> str:
    """The model's text below comments: what it is for people, and the baggage for us."""
    made = ", ".join(f"{name} {number}" for name, number in list(baggage.versions.items())[:2])
    lines = [f"{baggage.name or 'model'}, saved {baggage.saved[:10]} by {made}"]
    classes = (baggage.preparation or {}).get("classes")
    if classes:
        names = textwrap.shorten(", ".join(map(str, classes)), 70, placeholder=" ...")
        lines.append(f"{pluralize(len(classes), 'class', 'classes')}: {names}")
    if baggage.values:
        given = ", ".join(f"{name} = {value}" for name, value in baggage.values.items())
        lines.append(textwrap.shorten(given, 90, placeholder=" ..."))
    # Whatever a name holds, a comment is one line.
    lines = [f"# {' '.join(line.split())}" for line in lines]
    held = json.loads(baggage.to_json())
    for written in ("text", "steps"):  # the text stands below, and its steps are made from it
        held.pop(written, None)
    packed = json.dumps(held, ensure_ascii=True)
    lines += [_LINE + packed[at : at + 100] for at in range(0, len(packed), 100)]
    return "\n".join([*lines, "", baggage.text.strip("\n"), ""])


def take(path: Path, content: str) -> Baggage | None:
    """The baggage of a file, or None where it has none or it cannot be read."""
    try:
        if content == "keras":
            return Baggage.from_dict(json.loads(metadata_of(path)).get(KEY))
        if content in ("h5", "weights", "old weights"):
            return Baggage.from_json(_from_hdf5(path))
        text = path.read_text(encoding="utf-8")
        if content == "json":
            return Baggage.from_dict(json.loads(text).get(KEY))
        packed = "".join(
            line.removeprefix(_LINE) for line in text.splitlines() if line.startswith(_LINE)
        )
        return Baggage.from_json(packed)
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile):
        return None


def text_in(path: Path) -> tuple[str, int]:
    """The text of a ``.kmagic`` file without our comments, and the number of its first line.

    The user's own comments stay.
    """
    lines = path.read_text(encoding="utf-8").split("\n")
    ours = [number for number, line in enumerate(lines, 1) if line.startswith(_LINE)]
    first = ours[-1] if ours else 0
    while ours and first < len(lines) and not lines[first].strip():
        first += 1
    return "\n".join(lines[first:]), first + 1


def metadata_of(path: Path) -> str:
    """What Keras notes in a ``.keras`` file or folder: version and time."""
    if path.is_dir():
        return (path / METADATA).read_text(encoding="utf-8")
    with zipfile.ZipFile(path) as archive:
        return archive.read(METADATA).decode()


def _from_hdf5(path: Path) -> bytes | None:
    import h5py  # noqa: PLC0415 - not before such a file is read

    with h5py.File(path, "r") as file:
        held = file.get(KEY)
        return bytes(held[()]) if isinstance(held, h5py.Dataset) else None
