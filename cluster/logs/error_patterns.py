"""What lines in logs say of why a job broke: one table of signs, each with what it means and what helps.

Messages of torch, NCCL, gloo, CUDA, Hugging Face, Slurm, Python and the C library as they print them; of several that
a log holds, the first in the table counts, so that causes stand before what follows from them.
"""

from __future__ import annotations

from cluster.logs.pattern import sign

AGAIN = "give the launch command again with"
RETRY = "{again}"
MORE_MEMORY = "{again_with_more_memory}"
ERRORS = "python launch.py logs {run} --errors"
EXCLUDE = AGAIN + " -o 'cluster.extra=[--exclude={node}]'"
PREFETCH = "on a login node: python launch.py prefetch --recipe RECIPE; then " + RETRY
REBUILD = "on a login node: python launch.py env --cluster {cluster} --build; then " + RETRY
QUOTA = "diskusage_report; python launch.py clean; then " + RETRY

SIGNS = (
    # Memory.
    sign(
        "out of GPU memory",
        r"CUDA out of memory\. Tried to allocate (?P<want>[\d.]+ \w+)"
        r".{0,200}?total capacity of (?P<total>[\d.]+ \w+)",
        "the GPU's memory ({total}) does not hold one more piece of {want}",
        AGAIN + " -o {smaller}: nothing is lost, and nothing else changes",
        AGAIN + " -o training.gradient_checkpointing=true, or --gpu with one that has more memory",
    ),
    sign(
        "out of GPU memory",
        r"CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDA out of memory|Cuda failure.{0,20}out of memory",
        "the GPU's memory is full",
        AGAIN + " -o {smaller}: nothing is lost",
        "--gpu with one that has more memory",
    ),
    sign(
        "too little shared memory",
        r"insufficient shared memory|unable to (?:open|write to|mmap).{0,40}shared memory|No space left.{0,40}/dev/shm",
        "processes of a node share too little memory in /dev/shm",
        MORE_MEMORY,
    ),
    sign(
        "out of host memory",
        r"srun: error: (?P<node>\S+): tasks? (?P<task>[\d,-]+): Out Of Memory",
        "task {task} on {node} needed more memory than the job had asked for",
        MORE_MEMORY,
        "python launch.py efficiency {run}: what it had asked for, and what it used",
    ),
    sign(
        "out of host memory",
        r"oom[-_ ]kill|exceeded memory limit|std::bad_alloc|(?m:^MemoryError)|Cannot allocate memory|Out Of Memory"
        r"|(?m:^out of memory: )",
        "the job needed more memory than it had asked for",
        MORE_MEMORY,
        "python launch.py efficiency {run}: what it had asked for, and what it used",
    ),
    # Files.
    sign(
        "disk quota exceeded",
        r"Disk quota exceeded(?:: '(?P<path>[^']+)')?",
        "a file could not be written, as the quota (bytes or number of files) is used up: {path}",
        QUOTA,
    ),
    sign(
        "no space left",
        r"No space left on device(?:: '(?P<path>[^']+)')?",
        "a file could not be written, as its file system is full: {path}",
        QUOTA,
        "if it is the node's own disk ($SLURM_TMPDIR): ask for more with -o 'cluster.extra=[--tmp=200G]'",
    ),
    sign(
        "model or data not in the cache",
        r"it looks like (?P<name>\S+) is not the path to a directory containing a file named (?P<file>\S+?)\.?\s",
        "{name} ({file}) is not in the cache, and compute nodes must not fetch it",
        PREFETCH,
    ),
    sign(
        "model or data not in the cache",
        r"LocalEntryNotFoundError|OfflineModeIsEnabled|We couldn't connect to '|couldn't find (?:it|them) in the "
        r"cached files|Couldn't reach '(?P<name>[^']+)' on the Hub|Couldn't find cache for (?P<set>\S+)",
        "{name} {set} what the run loads is not in the cache, and compute nodes must not fetch it",
        PREFETCH,
    ),
    sign(
        "no internet",
        r"Network is unreachable|Temporary failure in name resolution|Name or service not known|Max retries exceeded "
        r"with url: (?P<url>\S+)|Failed to establish a new connection",
        "something was to be fetched {url}, and compute nodes have no internet",
        PREFETCH,
    ),
    sign(
        "missing file",
        r"No such file or directory: '(?P<path>[^']+)'|there is no data file (?P<data>\S+)"
        r"|(?P<place>/\S+) does not exist",
        "there is no {path}{data}{place}",
        "put it there, or name the right folder: --data FOLDER; then " + RETRY,
    ),
    sign(
        "no permission",
        r"(?:Permission denied|Read-only file system)(?:: '(?P<path>[^']+)')?",
        "the job may not write or read {path}: on some clusters home and project are read-only on compute nodes",
        AGAIN + " --runs on scratch; python launch.py doctor",
    ),
    sign(
        "file system trouble",
        r"Stale file handle|Input/output error|Transport endpoint is not connected|\[Errno 5\]",
        "the cluster's file system failed under the job",
        RETRY + " once it is well again (see the cluster's status page)",
    ),
    # Environment.
    sign(
        "wrong environment",
        r"cannot import name '\w+' from 'pydantic|PydanticUserError|pydantic is (?P<version>[\d.]+), deepspeed",
        "pydantic and deepspeed do not fit: deepspeed needs pydantic 2, and it is {version} or older",
        "pip install --no-index 'pydantic>=2' in the environment",
        REBUILD,
    ),
    sign(
        "wrong environment",
        r"version `(?P<glibc>GLIBC\w*_[\d.]+)' not found",
        "a package was built for a newer system ({glibc}): it did not come from the cluster's wheelhouse",
        REBUILD,
    ),
    sign(
        "wrong environment",
        r"driver on your system is too old \(found version (?P<found>\d+)|CUDA driver version is insufficient",
        "the node's driver {found} is older than the CUDA that torch is built with",
        REBUILD,
        "python launch.py doctor --compute",
    ),
    sign(
        "wrong environment",
        r"no kernel image is available|not compatible with the current PyTorch installation",
        "torch is not built for this model of GPU",
        REBUILD,
    ),
    sign(
        "wrong environment",
        r"Torch not compiled with CUDA enabled|built without CUDA|sees no GPU",
        "torch finds no GPU: it is built without CUDA, or for another driver",
        REBUILD,
        "python launch.py doctor --compute",
    ),
    sign(
        "wrong environment",
        r"No module named '(?P<name>[\w.]+)'|package (?P<package>\S+) is missing|ImportError: (?P<what>.{0,120})"
        r"|(?P<library>lib\S+\.so\S*): cannot open shared object file",
        "Python on the node cannot load {name}{package}{library}{what}",
        REBUILD,
    ),
    sign(
        "wrong environment",
        r"error: environment on (?P<node>\S+): (?P<what>.*)",
        "the check before the job refused the environment on {node}: {what}",
        REBUILD,
    ),
    sign(
        "wrong environment",
        r"error: cannot load (?P<what>.*?):|Lmod has detected the following error"
        r"|error: no environment in (?P<folder>\S+)",
        "the modules or the environment of the job are not there: {what} {folder}",
        "python launch.py doctor",
        REBUILD,
    ),
    # Hardware.
    sign(
        "broken GPU",
        r"uncorrectable ECC error|fallen off the bus|Unable to determine the device handle|CUDA error: (?:unknown error"
        r"|unspecified launch failure|hardware)|\bXid\b",
        "a GPU of the node has failed",
        EXCLUDE + ": it goes on from the last checkpoint; and tell the support which node it was",
    ),
    sign(
        "node failure",
        r"Node failure on (?P<node>[\w.-]+)|DUE TO NODE FAILURE|(?m:^node failure: )",
        "the node {node} failed under the job",
        RETRY + ": it goes on from the last checkpoint",
    ),
    sign(
        "port in use",
        r"EADDRINUSE|Address already in use",
        "another process of the node listens on the port that the processes were to meet at",
        RETRY,
    ),
    sign(
        "no network between nodes",
        r"[Nn]o socket interface found|Unable to find address for: (?P<interface>\S+)|NCCL WARN .*No route to host",
        "NCCL or gloo found no network interface {interface} between the nodes",
        "unset NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME, or name one that `ip link` shows on the node; then "
        + RETRY,
    ),
    # The training itself.
    sign(
        "diverged",
        r"the (?P<what>loss|dev loss|gradient's norm) is (?P<value>-?(?:nan|inf)) in step (?P<step>\d+)",
        "the {what} is {value} in step {step}; the last checkpoint is from before",
        AGAIN + " -o training.lr={half_lr} (another run: half the learning rate)",
        "look at the rows of the data that the message names",
    ),
    sign(
        "no progress",
        r"starts without progress",
        "start after start ended before the next checkpoint was written",
        AGAIN + " a longer --time, or -o training.save_every={half_save}",
    ),
    sign(
        "another worker",
        r"is being worked on by process (?P<pid>\d+) on (?P<node>[\w.-]+)(?P<whose>, job (?P<job>\S+?))?, since "
        r"(?P<since>\S+?):",
        "process {pid} on {node}{whose} has worked on it since {since}",
        "wait until it ends, or end it: scancel {job}",
    ),
    # How Slurm ended it.
    sign(
        "walltime",
        r"DUE TO TIME LIMIT|(?m:^walltime(?: too short)?: )",
        "the time that the job had asked for was over",
        AGAIN + " more --time or --units",
    ),
    sign(
        "deadline",
        r"(?m:^deadline: )",
        "it could not be done before its --deadline, and Slurm ended it",
        AGAIN + " a later --deadline, or none",
    ),
    sign(
        "revoked",
        r"(?m:^revoked: )",
        "another cluster of the federation has started it, and this one let it go",
        "squeue --me --federation",
    ),
    sign(
        "preemption",
        r"DUE TO PREEMPTION|(?m:^preemption: )",
        "a job of higher priority took its place",
        RETRY,
    ),
    sign(
        "cancelled",
        r"(?m:^cancelled: )",
        "somebody ended its job with scancel",
        RETRY + ": it goes on from the last checkpoint",
    ),
    sign(
        "told to stop",
        r"(?m:^(?:scancel --signal|requeue): )",
        "a signal, or a requeue, stopped its job at a safe point, and nothing took it up again",
        RETRY + ": it goes on from the last checkpoint",
    ),
    sign(
        "crashed",
        r"srun: error: (?P<node>\S+): tasks? (?P<task>[\d,-]+): (?P<how>Segmentation fault|Bus error"
        r"|Illegal instruction|Aborted|Floating point exception)",
        "task {task} on {node} ended by: {how}",
        ERRORS,
        EXCLUDE + ", if it happens there only",
    ),
    sign(
        "killed",
        r"srun: error: (?P<node>\S+): tasks? (?P<task>[\d,-]+): Killed",
        "task {task} on {node} was killed (SIGKILL), and nothing says that memory ran out",
        RETRY + ": it goes on from the last checkpoint",
        "python launch.py efficiency {run}: whether memory was nearly used up",
    ),
    # What follows from something elsewhere.
    sign(
        "collective time-out",
        r"\[Rank (?P<rank>\d+)\] Watchdog caught collective operation timeout: WorkNCCL\(SeqNum=(?P<number>\d+), "
        r"OpType=(?P<operation>\w+).*?Timeout\(ms\)=(?P<limit>\d+)",
        "rank {rank} waited in vain for the others in {operation} number {number}",
        ERRORS,
        symptom=True,
    ),
    sign(
        "collective time-out",
        r"Timed out waiting \d+ ?ms for \w+ operation"
        r"|Application timeout caused pair closure",
        "a process waited in vain for another one",
        ERRORS,
        symptom=True,
    ),
    sign(
        "processes did not meet",
        r"Timeout waiting for key|wait timeout after \d+ ?ms|client socket has (?:timed out|failed to connect)"
        r"|Timed out after \d+ seconds waiting for clients|Rendezvous.{0,40}[Tt]imeout",
        "not all processes came to where they were to meet: one did not start, or its node cannot be reached",
        ERRORS,
        symptom=True,
    ),
    sign(
        "lost another process",
        r"ncclRemoteError|remote process exited|Connection (?:closed|reset) by (?:remote )?peer|Broken pipe"
        r"|communicator was aborted|Socket Timeout|failed to recv"
        r"|Call to connect returned Connection (?:refused|timed out)",
        "another process of the job is gone, and this one noticed",
        ERRORS,
        symptom=True,
    ),
)
