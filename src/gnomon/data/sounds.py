"""Sound files: WAV in and out, as numbers in [-1, 1]."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np

from gnomon.core.errors import DataError

SUFFIX = ".wav"
UNREADABLE = (  # what scipy's reader raises on damaged bytes
    ValueError, TypeError, LookupError, ArithmeticError, EOFError, OSError, AttributeError, struct.error,
    UnboundLocalError,
)  # fmt: skip
LOUDEST = 32_767  # of 16 bits


def read_wav(content: bytes, where: str) -> tuple[np.ndarray, int]:
    """(T,) float32 in [-1, 1], its channels averaged, and the samples per second. Raises DataError."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about chunks it does not know, and files that end early
            rate, values = wavfile.read(io.BytesIO(content))
    except UNREADABLE as error:
        raise DataError(
            f"cannot be read as a WAV file ({error}).", where=where, fix="save it as WAV, 16 bits per sample (PCM)."
        ) from None
    if values.dtype == np.uint8:
        found = (values.astype(np.float64) - 128) / 128
    elif values.dtype.kind == "i":
        found = values / -float(np.iinfo(values.dtype).min)
    else:
        found = values.astype(np.float64)
    found = found.mean(axis=1) if found.ndim == 2 else found
    if not np.isfinite(found).all():
        raise DataError("has samples that are not finite numbers.", where=where, fix="save it again, as 16-bit PCM.")
    return found.astype(np.float32), int(rate)


def wav_of(samples: np.ndarray, rate: int) -> bytes:
    """(T,) in [-1, 1] as a WAV file of 16 bits per sample; what is louder is scaled down, all of it."""
    from scipy.io import wavfile

    loudest = max(1.0, float(np.abs(samples).max(initial=0.0)))
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, np.rint(samples / loudest * LOUDEST).astype(np.int16))
    return buffer.getvalue()
