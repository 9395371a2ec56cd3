"""Threads, Ctrl-C, RunOptions.terminate, fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import array

import skiff


def test_many_threads_on_one_session(relu: bytes) -> None:
    s = skiff.InferenceSession(relu)
    wrong: list[object] = []

    def work(k: int) -> None:
        x = np.full(1000 + k, k, np.float32)
        for _ in range(200):
            y = s.run(None, {"x": x})[0]
            if y.shape != x.shape or not np.array_equal(y, x):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_the_gil_is_free_during_a_run(endless: bytes) -> None:
    s, o = skiff.InferenceSession(endless), skiff.RunOptions()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            s.run(None, {"x": array(1, 2, 3, 4)}, o)
        except BaseException as e:
            failed.append(e)

    t = threading.Thread(target=work)
    t.start()
    time.sleep(0.1)
    assert t.is_alive()  # and this thread runs all the same
    o.terminate = True
    t.join(20)
    assert not t.is_alive() and isinstance(failed[0], skiff.errors.Cancelled) and isinstance(failed[0], skiff.errors.Fail)
    with pytest.raises(skiff.errors.Cancelled):  # it stays so until it is taken back
        s.run(None, {"x": array(1, 2, 3, 4)}, o)
    assert o.terminate is True
    o.terminate = False


def test_a_session_closed_during_a_run(endless: bytes) -> None:
    s, o = skiff.InferenceSession(endless), skiff.RunOptions()
    t = threading.Thread(target=lambda: pytest.raises(skiff.errors.Cancelled, s.run, None, {"x": array(1, 2, 3, 4)}, o))
    t.start()
    time.sleep(0.05)
    s.close()
    with pytest.raises(RuntimeError, match="closed"):
        s.run(None, {"x": array(1, 2, 3, 4)})
    o.terminate = True
    t.join(20)
    assert not t.is_alive()


@pytest.mark.parametrize("with_options", [False, True])
def test_ctrl_c_stops_a_run(endless: bytes, with_options: bool) -> None:
    s, o = skiff.InferenceSession(endless), skiff.RunOptions() if with_options else None
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        s.run(None, {"x": array(1, 2, 3, 4)}, o)
    assert time.monotonic() - start < 10
    if o is not None:
        assert o.terminate is False


def test_a_handler_that_raises_nothing_lets_the_run_go_on(endless: bytes) -> None:
    """The handler is called while the run lasts, and the run then goes on; the second signal's handler raises."""
    s = skiff.InferenceSession(endless)
    calls: list[int] = []

    def handler(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError

    before = signal.signal(signal.SIGINT, handler)
    try:
        for delay in (0.1, 0.4):
            threading.Timer(delay, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(ZeroDivisionError):
            s.run(None, {"x": array(1, 2, 3, 4)})
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(calls) == 2


def test_time_limit(endless: bytes) -> None:
    s = skiff.InferenceSession(endless, skiff.session_options(time_limit=0.2))
    with pytest.raises(skiff.errors.LimitReached):
        s.run(None, {"x": array(1, 2, 3, 4)})


def test_fork_in_the_middle(tmp_path: Path) -> None:
    """A child uses its parent's session, and sessions of its own. In a process of its own, away from pytest's threads."""
    code = """
import os, sys, numpy as np, skiff
sys.path.insert(0, %r)
from conftest import make_model
from onnx import helper, TensorProto as T
w = helper.make_tensor('w', T.FLOAT, [256, 256], np.eye(256, dtype=np.float32).ravel())
m = make_model([helper.make_node('MatMul', ['x', 'w'], ['y'])], [('x', T.FLOAT, ['N', 256])], [('y', T.FLOAT, ['N', 256])], [w])
o = skiff.session_options(threads=4)
s = skiff.InferenceSession(m, o)
x = np.random.rand(512, 256).astype(np.float32)
assert np.allclose(s.run(None, {'x': x})[0], x)
pid = os.fork()
if pid == 0:
    ok = all(np.allclose(t.run(None, {'x': x})[0], x) for t in (s, skiff.InferenceSession(m, o), s))
    del s
    os._exit(0 if ok else 3)
_, status = os.waitpid(pid, 0)
assert np.allclose(s.run(None, {'x': x})[0], x)
sys.exit(os.waitstatus_to_exitcode(status))
""" % os.path.dirname(__file__)
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
