from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zlib
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmagic.data.images import image_reader
from kmagic.data.images.image_reader import read_image, suppress_pillow_warnings
from kmagic.support.errors import EvaluationError

KINDS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "ICO")


def file_of(image, kind="PNG", **options):
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def noise(mode="RGB", size=(17, 11)):
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


FILES = [file_of(noise(), kind) for kind in KINDS] + [
    file_of(noise("P"), "PNG"),
    file_of(noise("CMYK"), "JPEG"),
    file_of(noise(), "GIF", save_all=True, append_images=[noise("L")]),
]


def read(picture):
    with suppress_pillow_warnings():
        return read_image(picture, "it")


def refused(picture):
    with pytest.raises(EvaluationError) as caught:
        read(picture)
    return str(caught.value)


def test_files_of_every_kind(tmp_path):
    for kind in KINDS:
        path = tmp_path / f"a.{kind.lower()}"
        noise().save(path, kind)
        with Image.open(path) as image, path.open("rb") as file:
            for picture in (path, path.read_bytes(), file, image):
                assert read(picture).size in {(17, 11), (16, 11)}


@pytest.mark.parametrize("turn", range(1, 9))
def test_images_are_rotated_according_to_exif(turn):
    upright = np.arange(6, dtype=np.uint8).reshape(3, 2) * 40
    undo = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: np.rot90,
        7: lambda a: np.rot90(a.T, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = turn
    lying = Image.fromarray(np.ascontiguousarray(undo[turn](upright)))
    np.testing.assert_array_equal(np.asarray(read(file_of(lying, exif=exif))), upright)
    opened = Image.open(io.BytesIO(file_of(lying, exif=exif)))
    np.testing.assert_array_equal(np.asarray(read(opened)), upright)
    assert opened.size == lying.size, "the user's own image is left as it is"


def test_the_first_frame_of_an_animation_is_read():
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = file_of(red, kind, save_all=True, append_images=[blue], **options)
        assert read(data).convert("RGB").getpixel((1, 1)) == (255, 0, 0)


def test_damaged_exif_data_do_not_make_an_image_unreadable():
    data = file_of(noise(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\xff\xff")
    assert read(data).size == (17, 11)


@pytest.mark.filterwarnings("error")
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FILES), st.data())
def test_damaged_files_raise_only_our_error(data, draw):
    cut = draw.draw(st.integers(1, len(data)))
    spoilt = bytearray(data[:cut])
    for place in draw.draw(st.lists(st.integers(0, cut - 1), max_size=8)):
        spoilt[place] = draw.draw(st.integers(0, 255))
    try:
        assert read(bytes(spoilt)).size[0] > 0
    except EvaluationError as error:
        assert str(error).startswith("it ")  # noqa: PT017 - not every broken file is refused


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height):
    """A PNG that says it is so large; a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(10_000, 9_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_rejected_by_its_header(size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = refused(png(*size))
    assert "was rejected" in said
    assert "attack" in said


def test_the_limit_is_pillows_own(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "17 x 11 pixels are more than 100" in refused(FILES[0])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read(FILES[0]).size == (17, 11)


def test_files_that_are_not_images(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "words.png").write_text("words")
    (tmp_path / "vector.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    os.mkfifo(tmp_path / "pipe.png")
    said = {path.name: refused(path) for path in sorted(tmp_path.iterdir())}
    assert said == {
        "empty.png": "it is empty.",
        "words.png": "it is not an image that Pillow can read.",
        "vector.eps": "it is not an image that Pillow can read.",
        "pipe.png": "it is not a regular file.",
    }
    assert refused(tmp_path) == "it is a folder."
    assert refused(tmp_path / "none.png") == "There is no file it."
    assert "it is not an image" in refused(b"")
    assert "cannot be read" in refused(tmp_path / ("x" * 10_000))
    assert "cannot be read" in refused(tmp_path / "a\0b")


def test_a_closed_image_is_rejected(tmp_path):
    noise().save(tmp_path / "a.png")
    image = Image.open(tmp_path / "a.png")
    image.close()
    assert "cannot be read" in refused(image)


# --- addresses -----------------------------------------------------------------------------------


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/a.png")
            self.end_headers()
        elif self.path == "/a.png":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(FILES[0])
        elif self.path == "/short.png":
            self.send_response(200)
            self.send_header("Content-Length", str(len(FILES[0])))
            self.end_headers()
            self.wfile.write(FILES[0][:50])
        else:
            self.send_error(404)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    with closing(server.socket):
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_urls(site, monkeypatch):
    monkeypatch.setenv("KMAGIC_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "*")
    assert read(f"{site}/a.png").size == (17, 11)
    assert read(f"{site}/moved.png").size == (17, 11)
    assert "404" in refused(f"{site}/none.png")
    assert "cannot be" in refused(f"{site}/short.png")
    monkeypatch.setattr(image_reader, "MAX_DOWNLOAD", 10)
    assert "larger than 10 bytes" in refused(f"{site}/a.png")


def test_urls_are_not_downloaded_offline(monkeypatch):
    monkeypatch.setenv("KMAGIC_OFFLINE", "1")
    monkeypatch.setattr(image_reader.urllib.request, "urlopen", None)
    assert "KMAGIC_OFFLINE is set" in refused("http://127.0.0.1/a.png")
