"""Cold starts: the whole process, from nothing to the classes of one photograph."""

import os
import resource
import subprocess
import time


def run_once(command):
    """(seconds, peak bytes of memory) of a process that must succeed."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    error = process.stderr.read().decode(errors="replace")
    process.stderr.close()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {error.strip() or process.returncode}")
    return seconds, usage.ru_maxrss * 1024


def own_peak():
    """Linux counts what the parent held before the child's exec: no reading is below this."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(commands, rounds):
    """{name: [(seconds, peak bytes), ...]}, in turn; the first round, which fills the page cache,
    is left out."""
    runs = {name: [] for name in commands}
    names = list(commands)
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            result = run_once(commands[name])
            if number > 0:
                runs[name].append(result)
    return runs
