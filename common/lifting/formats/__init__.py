"""The files of 2D detectors. `FORMATS` is the only list of formats; a new format is a module and an entry here."""

from common.lifting.formats import arrays, coco, mediapipe, mmpose, openpose, tables, ultralytics, vitpose
from common.lifting.formats.format import Format

FORMATS: dict[str, Format] = {format.name: format for format in (
    *coco.FORMATS, *openpose.FORMATS, *mmpose.FORMATS, *ultralytics.FORMATS, *vitpose.FORMATS, *mediapipe.FORMATS,
    *tables.FORMATS, *arrays.FORMATS)}
