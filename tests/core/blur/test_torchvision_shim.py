"""open_clip imports beside whatever torchvision there is, and only when it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from ldp_core.blur import torchvision_shim


def run_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]


def test_estimators_are_known_before_open_clip_is_imported_and_it_imports_when_asked_for() -> None:
    run_python(
        "import sys, ldp_core.blur, ldp_core.blur.clip\n"
        "assert not {'open_clip', 'torchvision', 'timm'} & set(sys.modules)\n"
        "from ldp_core.blur.clip_model import open_clip\n"
        "assert open_clip().CLIP and 'torchvision' in sys.modules"
    )


def test_nothing_is_declared_where_torch_has_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torchvision_shim, "_declared", [])
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    torchvision_shim.make_torchvision_importable()
    assert not torchvision_shim._declared


def test_nothing_is_declared_where_the_library_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torchvision_shim, "_declared", [])
    monkeypatch.setattr(torch.ops, "load_library", lambda path: None)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    torchvision_shim.make_torchvision_importable()
    assert not torchvision_shim._declared
