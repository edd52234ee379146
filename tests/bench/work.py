"""Work items: what claiming, running and ending one costs when its handler does nothing."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import text

from portal.bootstrap import bootstrap, worker_url
from portal.db import gathering, make_engine, transaction
from portal.events import work
from portal.events.models import WorkItem
from portal.events.work import HANDLERS, Handler, enqueue
from portal.security.context import Acting
from portal.settings import make
from portal.supervisor.postgres import Server
from tests.bench.harness import Result, insert_yardstick, result

ITEMS = 4_000
WORKERS = 2
KIND = "bench.nothing"


def run() -> list[Result]:
    """Items a second with the two threads a worker has."""
    with tempfile.TemporaryDirectory(prefix="il-bench-") as folder:
        settings = make(var_dir=Path(folder))
        with Server(Path(folder)):
            bootstrap(settings)
            engine = make_engine(worker_url(settings), pool_size=WORKERS + 1)
            HANDLERS[KIND] = Handler(lambda session, item: None, outside=False, max_attempts=1)
            try:
                work.run_due(engine)  # what migrations and schedules have left
                with transaction(engine, Acting()) as session, gathering(session, WorkItem):
                    for n in range(ITEMS):
                        enqueue(session, KIND, {"n": n})
                began, cpu = time.monotonic(), time.process_time()
                with ThreadPoolExecutor(WORKERS) as pool:
                    done = sum(pool.map(lambda _: work.run_due(engine), range(WORKERS)))
                seconds, spent = time.monotonic() - began, time.process_time() - cpu
                with transaction(engine, Acting()) as session:
                    left = session.execute(text("select count(*) from work_items")).scalar_one()
                yardstick = insert_yardstick(folder)
            finally:
                del HANDLERS[KIND]
                engine.dispose()
    case = f"nothing to do, threads: {WORKERS}"
    return [
        result(case, "items per second", done / seconds, "1/s"),
        result(case, "CPU per item, worker", spent * 1000 / done, "ms"),
        result(case, "left over", float(left), "", 0.0),
        yardstick,
    ]
