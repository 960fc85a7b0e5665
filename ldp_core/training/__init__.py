"""Training of all networks: `ldp train NAME FOLDER`.

Beside this package it needs torch, numpy, scipy, pillow, imageio, safetensors, pydantic and fsspec, and
nothing else of what the project depends on: on a bare GPU machine `python -m ldp_core.training` takes the
same commands. Blur detection also needs timm, and imagecodecs and tifffile to read its photographs; LDP-tiny
and the CLIP loss need open_clip.
"""
