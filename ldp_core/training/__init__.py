"""Training of the deblurring network, on simulated scenes.

`python -m ldp_core.training --help` lists the steps: render a cache of frames, fit, measure, export.
Beside this package it needs torch, numpy, scipy, pillow, imageio, safetensors, pydantic and fsspec,
and nothing else of what the project depends on, so that it runs on a bare GPU machine. Blur detection
also needs timm, and imagecodecs and tifffile to read its photographs.
"""
