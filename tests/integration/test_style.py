"""Style transfer of pictures and of sound: one hash per seed, resumed to the same bytes, one error for bad input."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gnomon
from gnomon import crafts
from gnomon.cli import main
from gnomon.core.errors import DataError, MachineError, StoppedError, UsageError
from gnomon.data.sounds import read_wav, wav_of


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sample(craft: str, tmp_path: Path) -> list[Path]:
    ending = {"style_transfer": "png", "sound_style": "wav"}[craft]
    folder = crafts.load(craft).write_sample(tmp_path / "sample", seed=0)
    return [folder / f"content.{ending}", folder / f"style.{ending}"]


def shown(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture).astype(int)


class StopAt:
    """Asks for a stop when that epoch ends, as a person does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch(self, row) -> None:
        if row["epoch"] == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("craft", ["style_transfer", "sound_style"])
@pytest.mark.parametrize("solver", ["lbfgs", "gradient"])
def test_a_stopped_run_goes_on_to_the_same_bytes(craft, solver, tmp_path):
    content, style = sample(craft, tmp_path)
    options = {"epochs": 2, "solver": solver} | ({"scales": 2} if craft == "style_transfer" else {"filters": 32})
    whole = gnomon.style(content, style, **options).made
    with pytest.raises(StoppedError):
        gnomon.style(content, style, run_name="stopped", follower=StopAt(1), **options)
    (stopped,) = Path("runs", craft).glob("*-stopped")
    resumed = gnomon.fit(resume=stopped)
    assert resumed.outputs == whole.outputs
    assert len(resumed.history) == 2


@pytest.mark.parametrize("start", ["content", "noise"])
def test_the_style_comes_nearer_and_files_and_report_hold_it(start, tmp_path, capsys):
    content, style = sample("style_transfer", tmp_path)
    assert main(["style", str(content), str(style), "out=made.png", "epochs=2", f"start={start}", "size=44"]) == 0
    said = capsys.readouterr().out
    assert "L-BFGS" in said
    assert "48x36 pixels, scaled to 44x33 (image_size=44)" in said
    assert "written to made.png" in said
    made = gnomon.show("latest")
    first, last = (made.history[i]["measures"]["distance from the style"] for i in (0, -1))
    assert last < first
    assert shown(Path("made.png").read_bytes()).shape == (33, 44, 3)
    assert made.outputs["picture.png"] == Path("made.png").read_bytes()
    assert shown(made.outputs["progress.png"]).shape == (33, 6 * 44 + 5 * 4, 3)
    page = made.report.read_text()
    assert "no errors and no ladder" in page
    assert "after 20 steps" in page
    assert main(["style", str(content), str(style), "out=made.png"]) != 0  # nothing is overwritten


def test_a_picture_turned_by_exif_cmyk_or_gray_is_read_upright_and_its_colours_can_be_kept(tmp_path):
    _, style = sample("style_transfer", tmp_path)
    turned = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 64, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save("turned.jpg", exif=exif)
    turned.convert("CMYK").save("cmyk.jpg")
    turned.convert("L").save("gray.png")
    made = [
        shown(gnomon.style(name, style, epochs=1, colours=colours).file.read_bytes())
        for name, colours in (("turned.jpg", "style"), ("cmyk.jpg", "matched"), ("gray.png", "content"))
    ]
    assert [one.shape for one in made] == [(64, 40, 3), (40, 64, 3), (40, 64, 3)]
    assert np.ptp(made[2], axis=2).max() <= 1  # gray stays gray


def test_a_picture_of_12_000_pixels_is_scaled_and_said(tmp_path):
    _, style = sample("style_transfer", tmp_path)
    Image.new("L", (12_000, 6_000), 90).save("large.png", compress_level=1)
    made = gnomon.style("large.png", style, size=64, epochs=1).made
    assert "large.png: 12,000x6,000 pixels, scaled to 64x32 (image_size=64)" in made.card["notes"]


def test_a_picture_that_memory_is_too_small_for_is_refused_with_the_size_that_fits(tmp_path, monkeypatch):
    content, style = sample("style_transfer", tmp_path)
    monkeypatch.setattr("gnomon.crafts.style_transfer.memory_left", lambda: 10**6)
    with pytest.raises(MachineError, match=r"needs some .* GB of memory .* Fix: use size=\d+, or free memory"):
        gnomon.style(content, style)


def test_bad_pictures_get_one_clear_error(tmp_path):
    content, style = sample("style_transfer", tmp_path)
    Path("broken.jpg").write_bytes(b"\xff\xd8 not much")
    Image.new("RGB", (12_000, 20)).save("narrow.png")
    for given, error, said in (
        (("broken.jpg", style), DataError, "cannot be used as a picture"),
        (("narrow.png", style), DataError, "12,000x20 pixels become 512x1, and each side needs 32"),
        ((content, content), DataError, "needs two pictures, found 1 file"),
        ((content, "none.png"), UsageError, "no file, folder or set named none.png"),
        ((content, "x.wav"), UsageError, "one of them is a sound"),
    ):
        with pytest.raises(error, match=said):
            gnomon.style(*given)
    for settings, said in (
        ({"model": "vgg19"}, "needs its weights"),
        ({"content_layers": "stage9"}, "there is no layer stage9"),
        ({"weight_decay": 0.1}, "L-BFGS knows no decay"),
        ({"size": 4096}, "image_size"),
        ({"out": "made.jpg"}, r"written as \.png"),
    ):
        with pytest.raises(UsageError, match=said):
            gnomon.style(content, style, **settings)


def test_a_sound_takes_the_texture_of_another_one_at_another_rate(tmp_path, capsys):
    content, _ = sample("sound_style", tmp_path)
    Path("clicks.wav").write_bytes(wav_of(np.random.default_rng(0).normal(0, 0.2, 12_000), 8_000))
    assert main(["style", str(content), "clicks.wav", "out=made.wav", "epochs=3", "filters=64"]) == 0
    assert "8,000 samples a second, converted to 4,000" in capsys.readouterr().out
    samples, rate = read_wav(Path("made.wav").read_bytes(), "made.wav")
    assert (len(samples), rate) == (4_000, 4_000)
    history = gnomon.show("latest").history
    assert history[-1]["measures"]["distance from the style"] < history[0]["measures"]["distance from the style"]


def test_bad_sounds_get_one_clear_error(tmp_path):
    _, style = sample("sound_style", tmp_path)
    Path("broken.wav").write_bytes(b"RIFF????WAVEfmt ")
    Path("silent.wav").write_bytes(wav_of(np.zeros(4_000), 4_000))
    Path("short.wav").write_bytes(wav_of(np.ones(100), 4_000))
    for name, said in (("broken", "cannot be read as a WAV"), ("silent", "is silent"), ("short", "only 0.03 seconds")):
        with pytest.raises(DataError, match=said):
            gnomon.style(f"{name}.wav", style)


def test_wav_files_come_back_and_other_depths_have_the_same_values():
    from scipy.io import wavfile

    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 500).astype(np.float32)
    found, rate = read_wav(wav_of(samples, 8_000), "a.wav")
    assert rate == 8_000
    np.testing.assert_allclose(found, samples, atol=1e-4)
    for values in (np.rint(samples * 128 + 128).astype(np.uint8), (samples * 2**31).astype(np.int32), samples):
        buffer = io.BytesIO()
        wavfile.write(buffer, 8_000, np.stack([values, values], axis=1))
        np.testing.assert_allclose(read_wav(buffer.getvalue(), "b.wav")[0], samples, atol=1e-2)
