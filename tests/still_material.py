"""Tiny datasets of still pictures in their published layouts; the people are synthetic dancers."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image
from raw_material import dancer

SIDE = 256


def person(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A dancer's picture [H,W,3] and mask [H,W] of 0 and 255."""
    clip = dancer(seed, 1, SIDE)
    return clip.frames[0], (clip.mask[0] > 0).astype(np.uint8) * 255


def save(path: Path, picture: np.ndarray) -> Path:
    """Write a picture in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=95)
    return path


def runs_of(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths of a mask [H,W]: down the columns, zeros first."""
    flat = (mask.T.ravel() > 0).astype(int)
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, flat.size]).tolist()
    return runs if flat[0] == 0 else [0, *runs]


def coco_annotation(image: int, number: int, segmentation, crowd: int = 0, category: int = 1) -> dict:
    """One object of a COCO file."""
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        "iscrowd": crowd,
        "bbox": [0, 0, 1, 1],
        "area": 1.0,
    }


def write_coco(root: Path) -> Path:
    """Seven pictures: two good ones (runs, polygon), nobody, a dog, two people, a crowd, and a damaged file."""
    annotations, images = [], []
    for image in range(1, 8):
        picture, mask = person(image)
        file = save(root / "val2017" / f"{image:012d}.jpg", picture)
        images.append({"id": image, "file_name": file.name, "height": SIDE, "width": SIDE})
        runs = {"size": [SIDE, SIDE], "counts": runs_of(mask)}
        box = [[60.0, 40.0, 180.0, 40.0, 180.0, 240.0, 60.0, 240.0]]
        match image:
            case 1 | 7:
                annotations.append(coco_annotation(image, 10 * image, runs))
            case 2:
                annotations.append(coco_annotation(image, 10 * image, box))
            case 4:
                annotations.append(coco_annotation(image, 10 * image, box, category=18))
            case 5:
                annotations += [coco_annotation(image, 50, box), coco_annotation(image, 51, runs)]
            case 6:
                annotations += [coco_annotation(image, 60, box), coco_annotation(image, 61, runs, crowd=1)]
    damaged = root / "val2017" / f"{7:012d}.jpg"
    damaged.write_bytes(damaged.read_bytes()[:200])
    categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
    file = root / "annotations" / "person_keypoints_val2017.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return root


def write_shhq(root: Path, people: int = 4) -> Path:
    """An unpacked SHHQ."""
    for number in range(people):
        picture, mask = person(number)
        save(root / "no_segment" / f"{number:06d}.png", picture)
        save(root / "segments" / f"{number:06d}.png", mask)
    return root


def write_deepfashion2(root: Path) -> Path:
    """Three pictures: a worn garment, two that lie on a table, and one whose annotation is missing."""
    for number, viewpoints in enumerate(([1, 2], [1, 1], None), start=1):
        save(root / "train" / "image" / f"{number:06d}.jpg", person(number)[0])
        if viewpoints is not None:
            items = {f"item{n}": {"viewpoint": v, "category_id": 1} for n, v in enumerate(viewpoints, start=1)}
            file = root / "train" / "annos" / f"{number:06d}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"source": "shop", "pair_id": 1, **items}))
    return root


def padded(picture: np.ndarray, bar: int) -> np.ndarray:
    """White bars above and below, as img2dataset's ``border`` makes them."""
    return np.pad(picture, ((bar, bar), (0, 0), (0, 0)), constant_values=255)


def encoded(picture: np.ndarray, kind: str = "JPEG") -> bytes:
    """A picture's file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format=kind, quality=95)
    return stream.getvalue()


def write_laion(root: Path) -> Path:
    """Two tar files as img2dataset writes them: two people (one with bars), a failure, and a wall."""
    root.mkdir(parents=True, exist_ok=True)
    wall = np.broadcast_to(np.linspace(60, 180, SIDE).astype(np.uint8)[:, None, None], (SIDE, SIDE, 3))
    bars = np.ascontiguousarray(padded(person(2)[0][:, 64:192], 0))
    square = np.pad(bars, ((0, 0), (64, 64), (0, 0)), constant_values=255)
    shards = {
        "00000": [("000000000", person(1)[0], "success"), ("000000001", square, "success")],
        "00001": [("000010000", person(3)[0], "failed_to_resize"), ("000010002", wall, "success")],
    }
    for name, members in shards.items():
        with tarfile.open(root / f"{name}.tar", "w") as archive:
            for key, picture, status in members:
                known = json.dumps({"key": key, "status": status, "url": "https://example.org/a.jpg"}).encode()
                for suffix, data in ((".jpg", encoded(picture)), (".json", known), (".txt", b"a dancer")):
                    info = tarfile.TarInfo(key + suffix)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        stats = {"count": 3, "successes": 2, "failed_to_download": 1, "failed_to_resize": 0}
        (root / f"{name}_stats.json").write_text(json.dumps(stats))
    return root
