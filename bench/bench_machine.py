"""The machine that a benchmark runs on: its description, and whether it is left alone."""

import os
import platform
import subprocess
import time
from pathlib import Path

# What kernels are chosen by, as /proc/cpuinfo names it.
FEATURES = (
    "avx2 fma avx512f avx512bw avx512_vnni avx512_bf16 avx_vnni amx_bf16 amx_int8 "
    "asimd asimddp i8mm bf16 sve"
).split()
# Of all CPUs, how much others may use before timings mean little.
BUSY_SHARE = 0.05
# What may change which kernels run; a result says so.
VARIABLES = ("VITC_ISA", "BLIS_ARCH_TYPE", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")

TICKS = os.sysconf("SC_CLK_TCK")


def cpuinfo(*keys):
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in keys:
            return value.strip()
    return ""


def os_name():
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def git_version(root):
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def describe():
    flags = set(cpuinfo("flags", "Features").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpuinfo("model name", "CPU part") or platform.machine(),
        "family": f"{cpuinfo('cpu family')}/{cpuinfo('model')}",
        "features": [name for name in FEATURES if name in flags],
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "os": os_name(),
        "kernel": platform.release(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "date": time.strftime("%Y-%m-%d"),
    }


def busy_seconds():
    """CPU seconds that the whole machine has worked, time taken by its host included."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def process_seconds(pid):
    """CPU seconds of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_memory(pid):
    """The most bytes that a process has held in memory so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{pid}/status has no VmHWM")


def children_seconds():
    """CPU seconds of this process's children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


class Others:
    """How much of all CPUs others than process `pid` use; with no pid, everybody."""

    def __init__(self, pid=None):
        self.pid = pid
        self.begin = self.clocks()

    def clocks(self):
        own = process_seconds(self.pid) if self.pid else 0.0
        return time.monotonic(), busy_seconds() - own

    def share(self, own=0.0):
        """`own`: CPU seconds that are not others', beside those of `pid`."""
        now = self.clocks()
        elapsed = (now[0] - self.begin[0]) * os.cpu_count()
        return max(0.0, (now[1] - self.begin[1] - own) / elapsed)


def share_of_others(seconds=2.0):
    others = Others()
    time.sleep(seconds)
    return others.share()
