"""What exceptions and bare lines say of files: quota, space, permission, the hub's cache, what is gone or damaged."""

from __future__ import annotations

from cluster.logs.advice_words import AGAIN, PREFETCH, QUOTA, RETRY
from cluster.logs.pattern import log_pattern

FILE_SIGNS = (
    log_pattern(
        "disk quota exceeded",
        r"(?:\[Errno 122\] )?Disk quota exceeded(?:: '(?P<path>[^']+)')?|\[Errno 122\]|os error 122\b",
        "a file could not be written, as the quota (bytes or number of files) is used up: {path}",
        QUOTA,
        bare=True,
        passing=True,
    ),
    log_pattern(
        "no space left",
        r"(?:\[Errno 28\] )?No space left on device(?:: '(?P<path>[^']+)')?|\[Errno 28\]|os error 28\b"
        r"|inline_container\.cc.{0,20}unexpected pos|database or disk is full",
        "a file could not be written, as its file system is full: {path}",
        QUOTA,
        "if it is the node's own disk ($SLURM_TMPDIR): ask for more with -o 'cluster.extra=[--tmp=200G]'",
        bare=True,
        passing=True,
    ),
    log_pattern(
        "no access to the model",
        r"(?:Cannot access gated repo for url|gated repo|GatedRepo)[^\n]*(?:\n[^\n]*){0,3}?(?P<url>https://huggingface\.co"
        r"/(?:datasets/)?[\w.-]+/[\w.-]*\w)|is restricted and you are not in the authorized list|is gated",
        "the hub gives this model only to those who were granted access, and know who they are",
        "ask for access at {url}, and log in on a login node: hf auth login",
        "ask for access on the model's page, and log in on a login node: hf auth login",
        PREFETCH,
    ),
    log_pattern(
        "no access to the model",
        r"(?P<name>\S+) is not a local folder and is not a valid model identifier"
        r"|(?P<set>\S+) doesn't exist on the Hub|Repository Not Found for url: "
        r"(?P<url>\S+)|RepositoryNotFoundError|(?:401|403) Client Error|'40[13] (?:Unauthorized|Forbidden)'",
        "the hub knows no {name}{set}{url}, or does not show it to you",
        "check the name in the recipe; of a private one log in on a login node: hf auth login",
        PREFETCH,
    ),
    log_pattern(
        "too many requests",
        r"429 Client Error|429 Too Many Requests|Too Many Requests|rate limit(?:ed)?\b",
        "the hub refuses to answer, as it was asked too often from here",
        "wait some minutes; then " + PREFETCH,
        "log in on a login node (hf auth login): who is known may ask more often",
        passing=True,
    ),
    log_pattern(
        "model or data not in the cache",
        r"it looks like (?P<name>\S+) is not the path to a directory containing a file named (?P<file>\S+?)\.?\s"
        r"|(?P<model>\S+) does not appear to have (?:a file|files) named (?P<missing>.+?)\. Checkout",
        "{name}{model} ({file}{missing}) is not in the cache, and compute nodes must not fetch it",
        PREFETCH,
        passing=True,
    ),
    log_pattern(
        "model or data not in the cache",
        r"LocalEntryNotFoundError|OfflineModeIsEnabled|We couldn't connect to '|couldn't find (?:it|them) in the "
        r"cached files|Couldn't reach '(?P<name>[^']+)' on the Hub|Couldn't find cache for (?P<set>\S+)"
        r"|Couldn't reach the Hugging Face Hub|outgoing traffic has been disabled",
        "{name} {set} what the run loads is not in the cache, and compute nodes must not fetch it",
        PREFETCH,
        passing=True,
    ),
    log_pattern(
        "damaged file",
        r"^(?P<what>code archive|job call) (?P<path>/.+) is damaged or gone: give the same command again",
        "the {what} {path}, which its job begins with, is damaged or gone",
        "give the same launch command again, which writes it anew: {again}",
        bare=True,
    ),
    log_pattern(
        "damaged file",
        r"\bDamagedFile: (?P<path>/.+?) is damaged: (?P<how>.+); (?P<remedy>[^\n]+)",
        "{path} is damaged: {how}",
        "{remedy}",
        passing=True,
    ),
    log_pattern(
        "unsafe folder",
        r"^(?:(?P<path>/.+) can be written by others \(mode (?P<mode>\d+)\)|the call of this job belongs to another "
        r"user), and a job's call is a pickle",
        "the job's call is a pickle, and is not loaded where others can write: {path} {mode}",
        "give the same launch command again, which tells how to end that: {again}",
        bare=True,
    ),
    log_pattern(
        "damaged file",
        r"MetadataIncompleteBuffer|(?:Invalid)?HeaderTooLarge|HeaderTooSmall|InvalidHeader\w*|incomplete metadata"
        r"|header too (?:large|small)|Error while deserializing(?: header)?: (?P<what>[^\n]*)|failed finding central "
        r"directory|PytorchStreamReader failed|invalid header or archive is corrupted|unexpected EOF, expected"
        r"|Unexpected EOF in archive|[Dd]ata corruption detected|not in gzip format|unexpected end of file"
        r"|BadZipFile|EOFError: Ran out of input|UnpicklingError: |pickle data was truncated"
        r"|checksum.{0,40}(?:differ|mismatch)",
        "a file of weights or data is cut short or damaged ({what}): a copy that broke off, or a pointer of git-lfs",
        "fetch or copy it again; of the hub, on a login node: python launch.py prefetch --recipe RECIPE; then "
        + RETRY,
    ),
    log_pattern(
        "missing file",
        r"No such file or directory: '(?P<path>[^']+)'|there is no data file (?P<data>\S+)"
        r"|(?P<place>/\S+) does not exist|\"(?P<quoted>/[^\"]+)\": No such file or directory"
        r"|Incorrect path_or_model_id: '(?P<folder>[^']+)'|Repo id must [^\n]*: '(?P<model>[^']+)'",
        "there is no {path}{data}{place}{quoted}{folder}{model}",
        "put it there, or name the right folder: --data FOLDER; then " + RETRY,
    ),
    log_pattern(
        "missing file",
        r"\bcd: (?P<path>[^:\n]+): (?:No such file or directory|Not a directory|Permission denied)"
        r"|couldn't chdir to [`'](?P<place>[^']+)'",
        "there is no folder {path}{place} on the node: it was moved, purged, or is on another machine's disk",
        "see that it is there; then " + RETRY,
        bare=True,
    ),
    log_pattern(
        "no permission",
        r"(?:Permission denied|Read-only file system|Operation not permitted)(?:: '(?P<path>[^']+)')?",
        "the job may not write or read {path}: on some clusters home and project are read-only on compute nodes",
        AGAIN + " --runs on scratch; python launch.py doctor",
    ),
    log_pattern(
        "file system trouble",
        r"Stale (?:NFS )?file handle|Input/output error|[Tt]ransport endpoint"
        r"|\[Errno (?:5|61|107|108|110|112|116|117|121)\]|Remote I/O error|os error (?:5|107|108|116)\b",
        "the cluster's file system failed under the job",
        RETRY + ": once it is well again, as the status page of the cluster tells",
        passing=True,
    ),
)
INTERNET = "something was to be fetched {url}, and compute nodes have no internet"
FETCH_SIGNS = (
    log_pattern(
        "hub out of order",
        r"\b50[0234] Server Error|'50[0234] (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time)",
        "the hub answered that it cannot serve now",
        "wait some minutes; then " + PREFETCH,
        passing=True,
    ),
    log_pattern(
        "no internet",
        r"(?:HTTPS?ConnectionPool[^\n]*?)?Max retries exceeded with url: (?P<url>\S+)|HTTPS?ConnectionPool"
        r"|httpx\.\w+(?:Error|Timeout)|ProxyError|\b(?:Connect|Read|Write|Pool)Timeout\b|\bConnectError\b",
        INTERNET,
        PREFETCH,
        passing=True,
    ),
)
ADDRESS_SIGNS = (
    log_pattern(
        "no internet",
        r"Network is unreachable|Temporary failure in name resolution|Name or service not known|nodename nor servname"
        r"|Failed to establish a new connection",
        INTERNET,
        PREFETCH,
        passing=True,
    ),
)
"""Behind what tells of the network between nodes, which fails with the same words."""
