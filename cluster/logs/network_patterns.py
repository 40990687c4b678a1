"""What torch, NCCL and gloo say of the network between processes, and of waiting for one in vain."""

from __future__ import annotations

from cluster.logs.advice_words import DOCTOR, ERRORS, EXCLUDE, GOES_ON, RETRY
from cluster.logs.pattern import Strength, log_pattern

INTERFACE = (
    "unset NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME, or name one that `ip link` shows on the node; then "
    + RETRY
)
NETWORK_SIGNS = (
    log_pattern(
        "port in use",
        r"EADDRINUSE|[Aa]ddress already in use",
        "another process of the node listens on the port that the processes were to meet at",
        RETRY,
        passing=True,
    ),
    log_pattern(
        "no network between nodes",
        r"(?:IPv4 network addresses of \((?P<host>[^,)]+), \d+\)|network address of \((?P<name>[^,)]+), \d+\)).*"
        r"cannot be retrieved|Failed to look up the IP address for the hostname \((?P<own>[^)]*)|gai error",
        "the name of a node ({host}{name}{own}) could not be resolved on another one",
        RETRY,
        DOCTOR,
        bare=True,
        passing=True,
    ),
    log_pattern(
        "no network between nodes",
        r"[Nn]o socket interface found|Unable to find (?:address|interface) for: (?P<interface>\S+)|Failed to look up "
        r"the IP address for interface (?P<name>\S+)|ifa != nullptr|interface or hostname can't be empty"
        r"|makeDeviceFor(?:Interface|Hostname)|No IP interface found starting with (?P<prefix>\S+)",
        "NCCL or gloo found no network interface {interface}{name}{prefix} between the nodes",
        INTERFACE,
        bare=True,
    ),
    log_pattern(
        "no network between nodes",
        r"No route to host|connectFullMesh failed|Connect timeout|SO_ERROR: Connection timed out"
        r"|Connect to \S+ failed ?: (?:Software caused|Connection timed out)|socketPollConnect.*timed out"
        r"|(?:nccl|gloo|c10d|TCPStore)(?:.*\n){0,4}.*Network is unreachable",
        "one node cannot reach another: the network fails, or an interface was chosen that does not join them",
        RETRY,
        INTERFACE,
        EXCLUDE + ", if it happens there only",
        bare=True,
        passing=True,
    ),
    log_pattern(
        "network failure",
        r"Got completion (?:from peer .* )?with (?:status|error)|IBV_(?:WC_)?\w*(?:ERR|EVENT)\w*|vendor err \d+"
        r"|Got async event|local QP operation error|transport retry counter exceeded|ibv_\w+ failed",
        "the link between two nodes (InfiniBand) failed under the job",
        GOES_ON,
        EXCLUDE + ", if it happens there only",
        bare=True,
        passing=True,
    ),
    log_pattern(
        "wrong GPU binding",
        r"Duplicate GPU detected ?: (?P<what>[^\n]*)|invalid device ordinal",
        "two processes of a node were given the same GPU, or one that is not there: {what}",
        "leave options that bind GPUs (--gpus-per-task, --gpu-bind) and CUDA_VISIBLE_DEVICES to the launcher; then "
        + RETRY,
        bare=True,
    ),
)
WAITING_SIGNS = (
    log_pattern(
        "collective time-out",
        r"\[Rank (?P<rank>\d+)\] Watchdog caught collective operation timeout: WorkNCCL\(SeqNum=(?P<number>\d+), "
        r"OpType=(?P<operation>\w+).*?Timeout\(ms\)=(?P<limit>\d+)",
        "rank {rank} waited in vain for the others in {operation} number {number}",
        ERRORS,
        RETRY,
        strength=Strength.WAITED,
        bare=True,
        passing=True,
    ),
    log_pattern(
        "collective time-out",
        r"Timed out waiting \d+ ?ms for \w+ operation|Watchdog caught collective operation timeout|Timeout at NCCL"
        r"|(?:timed out in|failed to pass) monitoredBarrier|collective operations have failed or timed out"
        r"|due to a collective timeout|dump signal from another rank|watchdog (?:hang|got stuck)",
        "a process waited in vain for another one",
        ERRORS,
        RETRY,
        strength=Strength.WAITED,
        bare=True,
        passing=True,
    ),
    log_pattern(
        "processes did not meet",
        r"Timeout waiting for key|wait timeout after \d+ ?ms|client socket has (?:timed out|failed to connect)"
        r"|Timed out after \d+ seconds waiting for clients|Rendezvous.{0,40}[Tt]imeout"
        r"|failed to connect to any network address",
        "not all processes came to where they were to meet: one did not start, or its node cannot be reached",
        ERRORS,
        RETRY,
        strength=Strength.WAITED,
        bare=True,
        passing=True,
    ),
    log_pattern(
        "lost another process",
        r"ncclRemoteError|remote process exited|Connection (?:closed|reset) by (?:remote )?peer|Broken pipe"
        r"|communicator was aborted|Socket Timeout|[Ff]ailed to (?:recv|send)|Application timeout caused pair closure"
        r"|Call to connect returned Connection timed out|[Cc]onnection refused|Connection was likely closed",
        "another process of the job is gone, and this one noticed",
        ERRORS,
        GOES_ON,
        strength=Strength.FOLLOWS,
        bare=True,
        passing=True,
    ),
    log_pattern(
        "NCCL error",
        r"nccl(?P<kind>\w+Error|InvalidUsage|InvalidArgument): [^\n]*\nLast error:\s*\n?(?P<what>[^\n]+)",
        "NCCL broke: {what}",
        RETRY,
        EXCLUDE + ", if it happens there only",
        passing=True,
    ),
    log_pattern(
        "told to stop",
        r"(?m:^KeyboardInterrupt\b)",
        "it was interrupted (Ctrl-C, SIGINT)",
        GOES_ON,
        strength=Strength.FOLLOWS,
        passing=True,
    ),
)
"""The causes among them stand last: NCCL's own words on what broke, where no other pattern is in them."""
