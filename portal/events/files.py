"""The broker made of files, for one machine without Redis or RabbitMQ: kombu's, mended where it hands out half a file.

kombu creates a file and then fills it, so a reader may take it empty and die of the JSON error: the worker of a message,
any process that starts beside another of the table of queues. Here both appear whole, by a rename, tables are changed
one process at a time, and a message that cannot be read is skipped: a lost wake costs half a second.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem, virtual
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

    def get_table(self, exchange: str) -> list[Any]:
        """The queues bound to an exchange; none when its file cannot be read, so that the next binding writes it."""
        try:
            table: list[Any] = super().get_table(exchange)
        except ValueError:
            return []
        return table

    def _queue_bind(
        self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None
    ) -> None:
        bound = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._table(exchange) as table:
            if bound not in table:
                table.insert(0, bound)

    def _delete(
        self, queue: str, exchange: str, routing_key: str, pattern: str, *args: Any, **kwargs: Any
    ) -> None:
        self._purge(queue)
        gone = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._table(exchange) as table:
            table[:] = [bound for bound in table if bound != gone]

    @contextmanager
    def _table(self, exchange: str) -> Iterator[list[Any]]:
        """The table of an exchange to change, by one process at a time; what is left in it is written, whole."""
        file = self._exchange_file(exchange)
        self.control_folder.mkdir(exist_ok=True)
        with (self.control_folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            table = self.get_table(exchange)
            before = list(table)
            yield table
            if table != before:
                draft = file.with_name(f".{uuid4()}.draft")
                draft.write_bytes(str_to_bytes(dumps(table)))
                os.replace(draft, file)

    def _get(self, queue: str) -> Any:
        while True:
            try:
                return super()._get(queue)
            except Empty:
                raise
            except ValueError:  # not JSON: left by another version or a full disk
                continue


class Transport(filesystem.Transport):  # type: ignore[misc]
    """Named in the broker's address: portal.events.files:Transport.

    kombu's connections of one process share what they believe bound, so a second thread publishes into a table that the
    first has not written yet, and the message is lost. Here each connection sees to its own bindings.
    """

    Channel = Channel

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = virtual.BrokerState()
