"""Exceptions, under the names onnxruntime gives them. Each is also the built-in exception it resembles, so that
``except ValueError`` and ``except onnxruntime's InvalidArgument`` both catch it. Messages are the core's own: they name
the file, the node, the operator and the tensor, and say what would mend it."""

from __future__ import annotations

from . import _core


class SkiffError(Exception):
    """Base of all of them."""


class Fail(SkiffError, RuntimeError):
    """What has no better name: reading or writing failed, or a run was stopped."""


class InvalidArgument(SkiffError, ValueError):
    """A wrong name, element type, rank, shape or option."""


class NoSuchFile(SkiffError, FileNotFoundError):
    """There is no such file."""


class NoModel(SkiffError):
    """No model is loaded."""


class EngineError(SkiffError):
    """The engine failed."""


class RuntimeException(SkiffError, RuntimeError):
    """A run failed: a bug in Skiff, or one of the two below."""


class InvalidProtobuf(SkiffError, ValueError):
    """The file is no ONNX model."""


class ModelLoaded(SkiffError):
    """A model is loaded already."""


class NotImplemented(SkiffError, NotImplementedError):
    """Legal ONNX, but this build or device cannot do it."""


class InvalidGraph(SkiffError, ValueError):
    """The model breaks the ONNX standard."""


class EPFail(SkiffError, RuntimeError):
    """A device failed."""


class NotFound(SkiffError, KeyError):
    """There is nothing of that name."""

    def __str__(self) -> str:  # KeyError would quote it
        return str(self.args[0]) if self.args else ""


class ModelLoadCanceled(SkiffError):
    """Loading was stopped."""


class ModelRequiresCompilation(SkiffError):
    """Never raised: Skiff compiles every model it loads."""


class InvalidModel(InvalidGraph, InvalidProtobuf):
    """Skiff's own: the file is broken, or breaks the standard."""


class Cancelled(Fail):
    """Skiff's own: RunOptions.terminate stopped the run."""


class LimitReached(RuntimeException):
    """Skiff's own: a limit on memory, nodes, depth or time was reached."""


# By skiff_status.
_core.set_errors(
    (
        RuntimeException,
        InvalidArgument,
        NoSuchFile,
        InvalidModel,
        NotImplemented,
        Fail,
        LimitReached,
        Cancelled,
        RuntimeException,
    )
)
