"""The broker made of files, for one machine without Redis or RabbitMQ: kombu's, mended where it hands out half a file.

kombu creates the message file and then fills it, so a reader may take it empty and the worker dies of the JSON error.
Here a message appears whole, by a rename, and one that cannot be read is skipped: a lost wake costs half a second.
"""

import os
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps


class Channel(filesystem.Channel):  # type: ignore[misc]
    """Writes messages whole and reads past broken ones."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        folder = Path(self.data_folder_out)
        made = uuid4()
        draft = folder / f".{made}.draft"
        draft.write_bytes(str_to_bytes(dumps(payload)))
        os.replace(draft, folder / f"{int(filesystem.monotonic() * 1000)}_{made}.{queue}.msg")

    def _get(self, queue: str) -> Any:
        while True:
            try:
                return super()._get(queue)
            except Empty:
                raise
            except ValueError:  # not JSON: left by another version or a full disk
                continue


class Transport(filesystem.Transport):  # type: ignore[misc]
    """Named in the broker's address: portal.events.files:Transport."""

    Channel = Channel
