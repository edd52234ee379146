"""The broker of files: many publishers and a reader never meet half a message, and rubbish does not stop it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from threading import Barrier, Thread

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


def test_processes_that_start_together_all_find_their_queue(tmp_path: Path) -> None:
    together = 8
    for round_ in range(20):
        start = Barrier(together)
        folder = tmp_path / str(round_)
        folder.mkdir()

        def declare(number: int, start: Barrier = start, folder: Path = folder) -> None:
            with connection(folder) as conn:
                conn.default_channel.queue_declare(queue=f"lane{number}", auto_delete=False)
                conn.default_channel.exchange_declare(exchange="lanes", type="direct")
                start.wait()
                conn.default_channel.queue_bind(f"lane{number}", "lanes", f"lane{number}")

        with ThreadPoolExecutor(together) as threads:
            list(threads.map(declare, range(together)))
        with connection(folder) as conn:
            bound = {entry.queue for entry in conn.default_channel.get_table("lanes")}
            assert bound == {f"lane{number}" for number in range(together)}
            conn.default_channel.exchange_declare(exchange="lanes", type="direct")
            conn.default_channel.queue_bind("lane3", "lanes", "lane3")
            conn.default_channel.queue_delete("lane3")
            left = {entry.queue for entry in conn.default_channel.get_table("lanes")}
            assert left == bound - {"lane3"}


def test_a_table_of_queues_that_cannot_be_read_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "lanes.exchange").write_bytes(b'[["lane", ')
    with connection(tmp_path) as conn:
        conn.default_channel.queue_declare(queue="lane")
        conn.default_channel.exchange_declare(exchange="lanes", type="direct")
        conn.default_channel.queue_bind("lane", "lanes", "lane")
        assert [entry.queue for entry in conn.default_channel.get_table("lanes")] == ["lane"]
