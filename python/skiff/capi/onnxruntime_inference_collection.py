"""As onnxruntime.capi.onnxruntime_inference_collection."""

from ..session import InferenceSession, IOBinding
from ..values import OrtDevice, OrtValue, SparseTensor

Session = InferenceSession

__all__ = ["IOBinding", "InferenceSession", "OrtDevice", "OrtValue", "Session", "SparseTensor"]
