"""Cameras: profiles of their kernels over the frame. Which item has which: `ldp_core.cameras.matching`."""

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
    "Camera",
    "CameraProfile",
    "SensorFrame",
    "is_generic",
    "key_settings",
    "list_cameras",
    "open_camera",
]
