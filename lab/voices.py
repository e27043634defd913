"""Real recorded voices for the lab: the prompts of the Asterisk package, cut into people who speak and are silent in turns.

Made once per checkout from the image's own files (GSM, decoded with PyAV) and kept under `.run`:
`human.alaw`, `vacant.alaw`, `powered_off.alaw`, `voicemail.alaw`, `beep.alaw`, `tune.alaw` for the carrier, and
`agent-0.wav` ... for the softphones, which speak with other words, so that a test can tell the legs of a recording apart.
"""

from __future__ import annotations

import io
import math
import os
import wave
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

VOICES_DIR = (
    Path(__file__).resolve().parents[1] / ".run" / "voices-2"
)  # another number whenever what is composed here changes

RATE_HZ = 8000
AGENT_VOICES = 4
AGENT_VOICE_S = (
    12  # baresip reads its file as a whole, in a time that grows with the square, and we begin it anew before the end
)
SOUNDS_IN_IMAGE = "/usr/share/asterisk/sounds/en"
PROMPTS = (
    "hello",
    "demo-congrats",
    "demo-instruct",
    "demo-moreinfo",
    "demo-abouttotry",
    "demo-echotest",
    "ss-noservice",
    "vm-isunavail",
    "vm-theperson",
    "vm-intro",
    "beep",
    "please-try-call-later",
    "tt-weasels",
    "tt-monkeysintro",
)


def make_voices(prompts_dir: Path, voices_dir: Path) -> None:
    """Compose every voice from `<prompts_dir>/<name>.gsm` into `voices_dir`. Harmless when two do it at a time."""
    voices_dir.mkdir(parents=True, exist_ok=True)
    prompts = {name: decode_gsm(prompts_dir / f"{name}.gsm") for name in PROMPTS}
    sorry = np.concatenate([prompts["vm-theperson"], prompts["vm-isunavail"]])
    agents = (
        prompts["demo-congrats"],
        prompts["demo-moreinfo"],
        prompts["demo-echotest"],
        np.concatenate([prompts["tt-monkeysintro"], prompts["demo-abouttotry"]]),
    )
    for place, voice in enumerate(agents):
        spoken = turns(voice, speak_s=3.1, silent_s=1.3)
        _write(voices_dir / f"agent-{place}.wav", wav(np.resize(spoken, AGENT_VOICE_S * RATE_HZ)))
    carrier = {
        "vacant": np.concatenate([prompts["ss-noservice"], silence(0.8)]),
        "powered_off": np.concatenate([sorry, prompts["please-try-call-later"], silence(0.8)]),
        "voicemail": np.concatenate([sorry, prompts["vm-intro"]]),
        "beep": prompts["beep"],
        "tune": tune(6.0),
        "human": np.concatenate(
            [prompts["hello"], silence(1.2), turns(prompts["demo-instruct"], speak_s=2.4, silent_s=1.6)]
        ),
    }
    for name, voice in carrier.items():
        _write(voices_dir / f"{name}.alaw", alaw(voice))


def voices_are_made(voices_dir: Path) -> bool:
    """`human.alaw` is written last."""
    return (voices_dir / "human.alaw").exists()


def decode_gsm(path: Path) -> Samples:
    """Mono samples at 8 kHz."""
    with av.open(os.fspath(path), format="gsm") as container:
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE_HZ), dtype=np.int16)


def turns(voice: Samples, *, speak_s: float, silent_s: float) -> Samples:
    """The voice with a pause after every `speak_s`."""
    step = int(speak_s * RATE_HZ)
    pieces = [
        piece for start in range(0, len(voice), step) for piece in (voice[start : start + step], silence(silent_s))
    ]
    return np.concatenate(pieces)


def tune(seconds: float) -> Samples:
    """A ring-back tune: soft chords that change every second."""
    chords = ((262, 330, 392), (294, 349, 440), (330, 392, 494), (349, 440, 523))
    time_s = np.arange(RATE_HZ) / RATE_HZ
    envelope = np.minimum(1, 12 * time_s) * np.exp(-1.5 * time_s)
    bars = [sum(np.sin(2 * math.pi * tone * time_s) for tone in chord) * envelope * 2500 for chord in chords]
    whole = np.concatenate([bars[second % len(bars)] for second in range(math.ceil(seconds))])
    return whole[: int(seconds * RATE_HZ)].astype(np.int16)


def alaw(samples: Samples) -> bytes:
    """G.711 A-law, a byte a sample."""
    encoder = av.CodecContext.create("pcm_alaw", "w")
    encoder.sample_rate = RATE_HZ
    encoder.layout = "mono"
    encoder.format = "s16"
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = RATE_HZ
    return b"".join(bytes(packet) for packet in encoder.encode(frame))


def wav(samples: Samples) -> bytes:
    """A whole file, 16 bit mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE_HZ)
        sound.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def _write(path: Path, content: bytes) -> None:
    # In place of an earlier one at once, inside the directory: it may already be mounted in a container.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)
