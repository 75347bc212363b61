"""The workloads of spawn, cancel and limiter on asyncio: `python3 asyncio_peer.py spawn 100000`."""

import asyncio
import json
import sys
import time


def now():
    return time.perf_counter(), time.process_time()


def since(start):
    return [after - before for before, after in zip(start, now())]


async def spawn(n):
    total = 0

    async def task(i):
        nonlocal total
        await asyncio.sleep(0)
        total += i

    start = now()
    async with asyncio.TaskGroup() as group:
        for i in range(n):
            group.create_task(task(i))
    return since(start), total


async def cancel(n):
    ended = 0

    async def task():
        nonlocal ended
        try:
            await asyncio.Future()
        finally:
            ended += 1

    tasks = [asyncio.create_task(task()) for _ in range(n)]
    await asyncio.sleep(0)
    start = now()
    for one in tasks:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return since(start), ended


async def limiter(n):
    semaphore = asyncio.Semaphore(16)
    total = held = most = 0

    async def task(i):
        nonlocal total, held, most
        async with semaphore:
            held += 1
            most = max(most, held)
            await asyncio.sleep(0)
            total += i
            held -= 1

    start = now()
    async with asyncio.TaskGroup() as group:
        for i in range(n):
            group.create_task(task(i))
    seconds = since(start)
    return seconds, total if most <= 16 else -most


(seconds, cpu), checksum = asyncio.run(globals()[sys.argv[1]](int(sys.argv[2])))
print(json.dumps({"seconds": seconds, "cpu": cpu, "checksum": checksum}))
