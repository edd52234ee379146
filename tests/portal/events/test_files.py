"""The broker of files: many publishers and a reader never meet half a message, and rubbish does not stop it."""

from pathlib import Path
from queue import Empty
from threading import Thread

from kombu import Connection

from portal.events.files import Transport

MESSAGES, PUBLISHERS = 40, 3


def connection(folder: Path) -> Connection:
    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder / "c"),
    }
    return Connection("filesystem://", transport=Transport, transport_options=options)


def test_every_message_arrives_whole_beside_rubbish(tmp_path: Path) -> None:
    (tmp_path / "0_empty.wakes.msg").write_bytes(b"")
    (tmp_path / "1_half.wakes.msg").write_bytes(b'{"body": ')

    def publish(publisher: int) -> None:
        with connection(tmp_path) as conn:
            queue = conn.SimpleQueue("wakes")
            for number in range(MESSAGES):
                queue.put({"n": publisher * MESSAGES + number})
            queue.close()

    threads = [Thread(target=publish, args=(n,)) for n in range(PUBLISHERS)]
    for thread in threads:
        thread.start()
    got = []
    with connection(tmp_path) as conn:
        queue = conn.SimpleQueue("wakes")
        while len(got) < MESSAGES * PUBLISHERS:
            try:
                message = queue.get(timeout=10)
            except Empty:
                break
            got.append(message.payload["n"])
            message.ack()
        queue.close()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(MESSAGES * PUBLISHERS))
