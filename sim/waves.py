"""Where waveforms go: into one folder, only when they were asked for."""

from pathlib import Path

from spec.errors import UserError

WAVES = Path("build") / "waves"


def wave_file(waves: bool | Path | str, name: str) -> Path | None:
    """The file for ``name``'s waveforms, ready to be written; ``None`` if none were asked for.

    Parameters
    ----------
    waves : bool or Path
        ``True`` for :data:`WAVES`, or another folder.
    name : str
        File name without its ending.
    """
    if waves is False or waves is None:
        return None
    folder = WAVES if waves is True else Path(waves)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder.absolute() / f"{name}.vcd"
        file.touch()
    except OSError as error:
        raise UserError(f"cannot write waveforms into {folder}: {error.strerror}") from None
    return file
