"""Which files MultiWOZ consists of, where they are looked for, and how they are fetched and verified."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from dialog_gym.core import DialogGymError
from dialog_gym.downloads import Progress, adopt, data_folder, fetch, fits

COMMIT: Final = "fe0c8e65cfcd8462bd33c86e35f21addc84ca82b"
ADDRESS: Final = f"https://raw.githubusercontent.com/budzianowski/multiwoz/{COMMIT}"
COMMAND: Final = "dialog-gym data get multiwoz"

_SCHEMA_2_2: Final = {
    "dev/dialogues_001.json": "994fec69745c3dfd469835e90bf5cba2d1c4af47",
    "dev/dialogues_002.json": "90e368c50db6bb8d6fbec2fa396e71396ca5a3f7",
    "dialog_acts.json": "8975b7888b7279387876ac8bce37825f5782ce40",
    "schema.json": "73776eb237d964f08dfc825a0239ce6d9856b80f",
    "test/dialogues_001.json": "fd420005cc9dc259892f541b001d9d48608bd38d",
    "test/dialogues_002.json": "8ce97bc17acc3d1105d92d8d936520b8c93892ba",
    "train/dialogues_001.json": "1ab08d377750e83493095b0eb1249df81a99ba21",
    "train/dialogues_002.json": "d182eae43341a44ebe3807ed61e829d73dc34a84",
    "train/dialogues_003.json": "2544e4c90a5eeef4c290fe2cf0c4c4d70c4f69ff",
    "train/dialogues_004.json": "ec487da741ebc423770ae2d09c9cb5c70b81bd1f",
    "train/dialogues_005.json": "34d733cbc334bb39c79e6f06652b1d1aa997307e",
    "train/dialogues_006.json": "8d390b5dac386dd87c927eafaec63699fde304ea",
    "train/dialogues_007.json": "ee6a677c78d8416779840e2dd306d668851061b6",
    "train/dialogues_008.json": "cf849daab0a6f0caa3f543a6f6d171e443a80dce",
    "train/dialogues_009.json": "ee088d84d2c274c6f3fb3e119346bfd3321c986e",
    "train/dialogues_010.json": "8b6252a34be01fa9500511dc5cc30121cb1ac7f7",
    "train/dialogues_011.json": "c24eb2c071e3d2ab3f12f742eb591a2526d0c19f",
    "train/dialogues_012.json": "89937591b044fa964a0430480cd9f91dfc681a6a",
    "train/dialogues_013.json": "c39aa0c69fda70278ff37de94f2189f2bb3f9e69",
    "train/dialogues_014.json": "d0399d022e916ae79b40df7adb92cb17fe97ad57",
    "train/dialogues_015.json": "e1db3d9ab1475ffffd725d1e8326f7b1df2adf38",
    "train/dialogues_016.json": "079e9f5881429c398626c8615cb979b67c46329d",
    "train/dialogues_017.json": "2cdad94fbcbf80c21e67cb57d40eece195fe3181",
}
_DATABASES: Final = {
    "attraction": "4f5fbc75aea1cb2d41c8da641b8f7baef49f08ad",
    "hospital": "82fe62e887d95d78b05c9de5bff3208c55bff8b3",
    "hotel": "438601caef140ed7b6b441365bf09055ae33e0ed",
    "police": "dbe208f09942f74c89cdabc8510dae457a0d905f",
    "restaurant": "58ed562b1f87aba62d9e40fa5c909e1ff470a6f2",
    "taxi": "60ef8bd4b8f7396b4d7f7c241571c8a507c945d1",
    "train": "050d9f184809d69d32d5f2f4996905609b176b55",
}
FILES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {f"MultiWOZ_2.2/{name}": (f"data/MultiWOZ_2.2/{name}", blob) for name, blob in _SCHEMA_2_2.items()}
    | {"MultiWOZ_2.1.zip": ("data/MultiWOZ_2.1.zip", "c30d869f77e86fe2bf19245120e771f28cb32bfa")}
    | {f"db/{name}_db.json": (f"db/{name}_db.json", blob) for name, blob in _DATABASES.items()}
)
"""File below the ``multiwoz`` folder -> its path in the release and its git blob id.

The database of buses is left out: it is a copy of the trains', and no goal asks for one.
"""
LOCAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "convlab2_multiwoz21/train.json.zip": "",
        "convlab2_multiwoz21/val.json.zip": "7219d88a7c1dd6822c299d030233ed2ecef523ba",
        "convlab2_multiwoz21/test.json.zip": "992547e1533b907a5fb876279c50d1887f945fa9",
    }
)
"""ConvLab-2's MultiWOZ 2.1: used when it is there, never downloaded. Of the first no blob id is known."""


def folder_of(data_dir: Path | str | None = None) -> Path:
    """The folder of MultiWOZ: ``multiwoz`` in the data folder (see `downloads.data_folder`)."""
    return data_folder(data_dir) / "multiwoz"


def absent(folder: Path) -> list[str]:
    """The files of the release that are not in a folder."""
    return [name for name in FILES if not (folder / name).is_file()]


def missing(what: str, folder: Path) -> DialogGymError:
    """The error for data that is not there, with the command that gets it."""
    return DialogGymError(f"{what} is not in {folder}; get it with: {COMMAND}")


def download(folder: Path, progress: Progress) -> list[Path]:
    """Download what is not there yet, file by file, each verified before it gets its name.

    Args:
        folder: Where to; made when it is not there.
        progress: Told the bytes of each file.

    Returns:
        The files fetched now; those already there and right are left alone.

    Raises:
        DialogGymError: one line about the file that could not be had. What was fetched before it stays.
    """
    fetched = []
    for name, (path, blob) in FILES.items():
        target = folder / name
        if not (target.is_file() and fits(target, blob)):
            try:
                fetch(f"{ADDRESS}/{path}", target, blob, progress)
            except DialogGymError as error:
                raise DialogGymError(f"{error}; a copy can be taken with: {COMMAND} --from DIR") from None
            fetched.append(target)
    return fetched


def take(source: Path, folder: Path, progress: Progress) -> list[Path]:
    """Copy what a local folder has: a clone of the release, or a folder laid out like ours.

    Args:
        source: Where from.
        folder: Where to.
        progress: Told the number of files.

    Returns:
        The files copied.

    Raises:
        DialogGymError: a file is not that of the release, or there is none of them.
    """
    found: list[tuple[Path, Path, str]] = []
    for name, (path, blob) in FILES.items():
        for place in (source / path, source / name, source / "multiwoz" / name):
            twin = next((p for p in (place, place.with_name(f"{place.name}.gz")) if p.is_file()), None)
            if twin:
                found.append((twin, folder / name, blob))
                break
    for name, blob in LOCAL.items():
        places = (source / name, source / "multiwoz" / name)
        found += [(place, folder / name, blob) for place in places if place.is_file()][:1]
    if not found:
        raise DialogGymError(
            f"{source} has no file of MultiWOZ; give a clone of github.com/budzianowski/multiwoz"
        )
    for done, (place, target, blob) in enumerate(found, start=1):
        adopt(place, target, blob)
        progress(done, len(found))
    return [target for _, target, _ in found]
