"""Synthetic sequences of RDPD (Abuolaim et al., ICCV 2021), as their published generator writes them.

    {train,val,test}_{l,r,c}/source/seq_NNN/FRAME.png   left, right and combined
    {train,val,test}_c/target/seq_NNN/FRAME.png         all in focus, under the same name

The source is the folder ``dd_dp_dataset_synth_vid``. ``target_d`` (coloured depth) is not read. The
generator writes the same sequences as ``val`` and as ``test``. Its kernels shift as real sensors do: behind
the focal plane, content of the right view lies to +x.
"""

from __future__ import annotations

import re

from ldp_core.catalogue.pairing import LEFT, RIGHT, SIDECAR, TARGET, ItemSpecs, pair_files

_FILE = re.compile(r"(train|val|test)_([lrc])/(source|target|target_d)/([^/]+)/([^/]+)\.png")
_ROLES = {
    ("l", "source"): LEFT,
    ("r", "source"): RIGHT,
    ("c", "source"): "combined",
    ("c", "target"): TARGET,
    ("c", "target_d"): SIDECAR,
}


def read_rdpd(source: str) -> ItemSpecs:
    """Pair the frames below the folders."""
    return pair_files(source, _classify)


def _classify(path: str) -> tuple[str, str] | None:
    file = _FILE.fullmatch(path)
    if file is None or (file[2], file[3]) not in _ROLES:
        return None
    return f"{file[1]}/{file[4]}/{file[5]}", _ROLES[file[2], file[3]]
