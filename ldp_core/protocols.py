"""Evaluations by name: under which conditions a published figure was measured, as far as that is known.

A protocol says which pictures are compared, in which depth, colours and part, and by which metrics; scores
taken under it have its name as the ``variant`` of their `ldp_core.types.ScoringProtocol`. ``known`` is what
the source says or its code does, ``ours`` what we chose where it says nothing. What all have in common: the
picture as a whole, without a search for a shift; float64 where published codes have float32; the mean over
items, each counting once.

This table imports nothing that computes; `ldp_core.metrics.named` computes what it says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from ldp_core.errors import ObjectMissingError, SettingsError, WeightsError, suggest
from ldp_core.methods import EntryRegistry
from ldp_core.storage import read_bytes, shared_url

LPIPS: Final = "lpips"
NO_REFERENCE: Final = EntryRegistry[Callable[..., float]](
    "no-reference metric",
    "ldp.no_reference",
    {"blur_effect": "ldp_core.metrics.no_reference:blur_effect"},
)
"""Metrics of a picture alone, (h, w, c) uint8 or uint16; packages add others by an entry point."""
_CODE_OF_DPDD: Final = "its code, github.com/Abdullah-Abuolaim/defocus-deblurring-dual-pixel"
_CODE_OF_IFAN: Final = "its code, github.com/codeslake/IFAN, eval.py"
_CODE_OF_RESTORMER: Final = "its code, github.com/swz30/Restormer, Defocus_Deblurring"
_CODE_OF_BASICSR: Final = "github.com/XPixelGroup/BasicSR, basicsr/metrics and utils/color_util.py"
_USUAL: Final = ("psnr_db", "ssim", "mae", LPIPS)
_STORED: Final = (
    "Restored pictures as they are archived, rounded to their depth; the codes score floating point before "
    "it is rounded."
)
_USUAL_METRICS: Final = (
    "PSNR over all pixels and channels, peak 1, 100 dB where nothing differs; SSIM of scikit-image with its "
    "7x7 uniform window, data range 1; MAE; LPIPS with AlexNet."
)


@dataclass(frozen=True, slots=True)
class NamedProtocol:
    """One evaluation.

    ``bit_depth``: pictures of that depth alone take part where it is 16, deeper ones are reduced where it is
    8, by ``reduction``; None takes them as they are. ``luma``: the Y of BT.601, 16 to 235, is compared.
    ``border_px`` are left out along every edge, then rows and columns at the end, so that the sides are
    multiples of ``multiple_of``. ``one_gain``: the picture is multiplied with the gain that brings it nearest
    to its target, and clipped. ``ssim_window``: uniform 7x7, or Gaussian, sigma 1.5, 11x11.
    ``of_maps``: it scores maps of what is in focus (`ldp evaluate detection`), not pictures.
    """

    metrics: tuple[str, ...]
    source: str
    known: str
    ours: str = _STORED
    bit_depth: Literal[8, 16] | None = None
    reduction: Literal["round", "high byte"] = "round"
    luma: bool = False
    border_px: int = 0
    multiple_of: int = 1
    one_gain: bool = False
    ssim_window: Literal["uniform", "gaussian"] = "uniform"
    needs_target: bool = True
    of_maps: bool = False

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """Its metrics; without a target all that need none, those of installed packages included."""
        return self.metrics if self.needs_target else tuple(NO_REFERENCE)

    @property
    def settings(self) -> dict[str, Any]:
        """All that its scores depend on, as plain values."""
        told = ("source", "known", "ours", "of_maps")
        values = {name: value for name, value in asdict(self).items() if name not in told}
        return values | {"metrics": list(self.all_metrics)}


def _luma(border_px: int) -> NamedProtocol:
    return NamedProtocol(
        ("psnr_db", "ssim"),
        _CODE_OF_BASICSR,
        f"`test_y_channel: true`, `crop_border: {border_px}`: pictures are read as 8 bit; Y of BT.601, "
        "16 to 235, not rounded; PSNR with peak 255; SSIM with a Gaussian window of 11x11, sigma 1.5, "
        "population covariance, windows wholly inside.",
        _STORED + " 16 bit become 8 by their high byte, as OpenCV reads a 16-bit PNG.",
        bit_depth=8,
        reduction="high byte",
        luma=True,
        border_px=border_px,
        ssim_window="gaussian",
    )


PROTOCOLS: Final[dict[str, NamedProtocol]] = {
    "dpdd": NamedProtocol(
        _USUAL,
        f"Abuolaim and Brown, ECCV 2020, doi:10.1007/978-3-030-58607-2_7; {_CODE_OF_DPDD}",
        f"16 bit, 1680x1120, whole pictures. {_USUAL_METRICS} Means over the 76 pictures of the test split, "
        "and over its 37 indoor and 39 outdoor ones.",
        f"{_STORED} Which scenes are indoor is a column of your manifest: see groups.",
        bit_depth=16,
    ),
    "dpdd-8bit": NamedProtocol(
        _USUAL,
        "The set of DPDD, as later papers quote it from 8-bit pictures",
        "8 bit, whole pictures. PSNR of DPDNet alone is quoted as 25.13, 25.23 and 25.53 dB.",
        f"All pictures are rounded to 8 bit: no description says how that was done. {_USUAL_METRICS}",
        bit_depth=8,
    ),
    "ifan": NamedProtocol(
        _USUAL,
        f"Lee et al., CVPR 2021, arXiv:2108.13610; {_CODE_OF_IFAN}",
        "Pictures are read as 8 bit and cut at the bottom and the right to multiples of 8. " + _USUAL_METRICS,
        _STORED + " 16 bit become 8 by their high byte, as OpenCV reads a 16-bit PNG.",
        bit_depth=8,
        reduction="high byte",
        multiple_of=8,
    ),
    "ifan-16bit": NamedProtocol(
        _USUAL,
        f"The model for 16 bit of the same authors; {_CODE_OF_IFAN}",
        "As `ifan`, with pictures read as 16 bit.",
        bit_depth=16,
        multiple_of=8,
    ),
    "restormer": NamedProtocol(
        _USUAL,
        f"Zamir et al., CVPR 2022, arXiv:2111.09881, dual-pixel deblurring; {_CODE_OF_RESTORMER}",
        f"16 bit, whole pictures. {_USUAL_METRICS} Means over all scenes, indoor and outdoor ones.",
        bit_depth=16,
    ),
    "restormer-single": NamedProtocol(
        _USUAL,
        f"The same, single-image deblurring; {_CODE_OF_RESTORMER}",
        "Pictures are read as 8 bit, whole. " + _USUAL_METRICS,
        _STORED + " 16 bit become 8 by their high byte, as OpenCV reads a 16-bit PNG.",
        bit_depth=8,
        reduction="high byte",
    ),
    "basicsr-y": _luma(0),
    "basicsr-y-border4": _luma(4),
    "one-gain": NamedProtocol(
        ("psnr_db",),
        "Ours",
        "",
        "One gain for the whole picture and all channels, by least squares on stored values; then clipped.",
        one_gain=True,
    ),
    "ms-ssim": NamedProtocol(
        ("ms_ssim",),
        "Wang, Simoncelli and Bovik, Asilomar 2003, doi:10.1109/ACSSC.2003.1292216",
        "Five scales with their published weights, Gaussian window of 11x11, sigma 1.5.",
        "By channel, then the mean; halved by the mean of 2x2 pixels, an odd side being padded with zeros, "
        "as in the package pytorch-msssim; contrasts below 0 count as 0.",
    ),
    "lpips": NamedProtocol(
        (LPIPS,),
        "Zhang et al., CVPR 2018, arXiv:1801.03924",
        "AlexNet, version 0.1, pictures scaled to -1..1.",
        "Whole pictures at their own size.",
    ),
    "no-reference": NamedProtocol(
        (),
        "Crete et al., SPIE 2007, doi:10.1117/12.702790, as scikit-image computes it",
        "Share of the change between neighbours that a further blur of 11 px leaves; no target is needed.",
        "`blur_effect` and the metrics of installed packages (entry point `ldp.no_reference`).",
        needs_target=False,
    ),
    "pysodmetrics": NamedProtocol(
        ("mae", "s_measure", "e_adaptive", "e_mean", "e_max", "f_adaptive", "f_mean", "f_max", "f_weighted"),
        "The package pysodmetrics, github.com/lartpang/PySODMetrics",
        "Maps as 8 bit, stretched to 0..1 picture by picture; truths are above 128. MAE; S-measure, alpha "
        ".5; E-measure and F-measure, beta^2 .3, at twice the mean and over 256 thresholds, whose curves "
        "are averaged over pictures before their mean and maximum are taken; weighted F-measure, beta 1.",
        "Of what is in focus; our maps are rounded to 8 bit.",
        bit_depth=8,
        of_maps=True,
    ),
}
"""All protocols by name. A further one is an entry here."""


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """Which protocols are scored besides the usual scores, and where the weights of LPIPS lie.

    ``lpips_weights`` is ``<address>#<sha256>`` of a safetensors file, or empty: LPIPS is left out then.
    """

    protocols: tuple[str, ...] = ()
    lpips_weights: str = ""

    @classmethod
    def of(cls, protocols: Sequence[str] = (), lpips_weights: str = "") -> ScoringOptions:
        """From plain values, checked; the weights are read once for their digest.

        Raises:
            SettingsError: there is no such protocol, or it scores no pictures.
            WeightsError: LPIPS is asked for without weights, or there are none at their address.
        """
        names = tuple(dict.fromkeys(protocols))
        for name in names:
            require_protocol(name, of_maps=False)
        if LPIPS in names and not lpips_weights:
            raise WeightsError(
                "LPIPS needs weights, which do not come with the package",
                where=f"--protocol {LPIPS}",
                expected="--lpips FILE.safetensors",
                remedy="write them once, where the package lpips can fetch its AlexNet: see "
                "'LPIPS' in infra/docs/protocols.md",
            )
        return cls(names, _with_digest(lpips_weights) if lpips_weights and names else "")

    @property
    def settings(self) -> dict[str, Any]:
        """All that scores depend on, as plain values; empty where nothing is asked for."""
        if not self.protocols:
            return {}
        digest = {"lpips_sha256": self.lpips_sha256} if self.lpips_weights else {}
        return {"protocols": {name: PROTOCOLS[name].settings for name in self.protocols}, **digest}

    @property
    def lpips_url(self) -> str:
        return self.lpips_weights.rpartition("#")[0]

    @property
    def lpips_sha256(self) -> str:
        return self.lpips_weights.rpartition("#")[2]


USUAL_SCORES: Final = ScoringOptions()
"""Nothing besides the usual scores."""


def is_named(protocol: str) -> bool:
    """Whether a variant, or a whole name of a `ldp_core.types.ScoringProtocol`, ends in one of these names.

    Reports lead with the usual scores, which every item with a target has.
    """
    return protocol.rpartition(" | ")[2] in PROTOCOLS


_SCORED: Final = {True: "maps of what is in focus", False: "pictures"}


def require_protocol(name: str, *, of_maps: bool) -> NamedProtocol:
    """A protocol by its name, which scores maps of what is in focus, or pictures.

    Raises:
        SettingsError: there is none of that name, or it scores the other.
    """
    if name not in PROTOCOLS:
        raise SettingsError(
            "there is no such protocol",
            where="--protocol",
            expected=", ".join(PROTOCOLS),
            got=name,
            remedy=suggest(name, PROTOCOLS) or "choose one of the names",
        )
    if PROTOCOLS[name].of_maps != of_maps:
        raise SettingsError(
            f"this protocol scores {_SCORED[not of_maps]}, not {_SCORED[of_maps]}",
            where="--protocol",
            got=name,
            remedy=f"give it to `ldp {'restore' if of_maps else 'evaluate detection'} --protocol {name}`",
        )
    return PROTOCOLS[name]


def _with_digest(address: str) -> str:
    """The address of a file as workers find it, with its sha256; as it is where it has one already."""
    if re.search(r"#[0-9a-f]{64}$", address):
        return address
    url = shared_url(address)
    try:
        return f"{url}#{hashlib.sha256(read_bytes(url)).hexdigest()}"
    except ObjectMissingError as error:
        raise WeightsError(
            "there are no weights of LPIPS at this address", where=address, remedy="correct --lpips"
        ) from error
