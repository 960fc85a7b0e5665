"""Cameras: profiles of their kernels over the frame, and which items they took."""

from ldp_core.cameras.matching import AUTO, assign_cameras, shared_camera
from ldp_core.cameras.profile import (
    Camera,
    CameraProfile,
    SensorFrame,
    is_generic,
    key_settings,
    list_cameras,
    open_camera,
)

__all__ = [
    "AUTO",
    "Camera",
    "CameraProfile",
    "SensorFrame",
    "assign_cameras",
    "is_generic",
    "key_settings",
    "list_cameras",
    "open_camera",
    "shared_camera",
]
