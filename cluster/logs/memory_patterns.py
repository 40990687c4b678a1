"""What exceptions and bare lines say of memory, of the GPU and of the node, and of GPUs that do not work."""

from __future__ import annotations

from cluster.logs.advice_words import AGAIN, ASKED, DOCTOR, ERRORS, EXCLUDE, MORE_MEMORY, REBUILD, RETRY
from cluster.logs.pattern import Strength, log_pattern

MEMORY_SIGNS = (
    log_pattern(
        "out of GPU memory",
        r"CUDA out of memory\. Tried to allocate (?P<want>[\d.]+ \w+)"
        r"(?:.{0,200}?total capacity of (?P<total>[\d.]+ \w+)|.{0,40}?; (?P<whole>[\d.]+ \w+) total capacity)?",
        "the GPU's memory ({total}{whole}) does not hold one more piece of {want}",
        AGAIN + " -o {smaller}: nothing is lost, and nothing else changes",
        AGAIN + " -o training.gradient_checkpointing=true, or --gpu with one that has more memory",
    ),
    log_pattern(
        "out of GPU memory",
        r"CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|CUDA out of memory"
        r"|Cuda failure.{0,20}out of memory|CUDA_ERROR_OUT_OF_MEMORY",
        "the GPU's memory is full",
        AGAIN + " -o {smaller}: nothing is lost",
        "--gpu with one that has more memory",
    ),
    log_pattern(
        "out of GPU memory",
        r"NCCL WARN .*(?:out of memory|Failed to CUDA (?:calloc|malloc|host))",
        "the GPU's memory is full: NCCL found no room for its buffers",
        AGAIN + " -o {smaller}: nothing is lost",
        bare=True,
    ),
    log_pattern(
        "locked memory",
        r"ibv_\w+ failed[^\n]*Cannot allocate memory|Unable to allocate.{0,40}locked memory|RLIMIT_MEMLOCK",
        "NCCL may not lock as much memory on the node as InfiniBand takes (`ulimit -l`)",
        EXCLUDE + ", if it happens there only; tell the support which node it was",
        RETRY,
        bare=True,
    ),
    log_pattern(
        "too little shared memory",
        r"insufficient shared memory|out of shared memory|unable to (?:open|write to|mmap|allocate|resize).{0,40}"
        r"shared memory|creating shared memory segment|/dev/shm.{0,80}No space left|No space left.{0,60}/dev/shm",
        "processes of a node share too little memory in /dev/shm",
        MORE_MEMORY,
        "ask for more memory of a node: --mem",
        bare=True,
    ),
    log_pattern(
        "out of memory",
        r"std::bad_alloc|(?m:^(?:\S+\.)?_?(?:Array)?MemoryError)|Cannot allocate memory|DefaultCPUAllocator: (?:can't "
        r"allocate|not enough) memory|(?i:^out of memory: killed process)|\[Errno 12\]|oom_reaper",
        "the job needed more memory than it had asked for",
        MORE_MEMORY,
        "ask for more memory of a node: --mem",
        ASKED,
        bare=True,
    ),
    log_pattern(
        "killed",
        r"DataLoader worker \(pid(?:\(s\))? (?P<pid>[\d, ]+)\) (?:is killed by signal: (?:Killed|Terminated)|exited "
        r"unexpectedly)|subprocesses has abruptly died|process in the process pool was terminated abruptly",
        "a process that prepares data was killed, and nothing says that memory ran out",
        ASKED,
        RETRY,
        strength=Strength.FOLLOWS,
        passing=True,
    ),
)
GPU_SIGNS = (
    log_pattern(
        "GPU busy",
        r"CUDA-capable devices? ?(?:\(s\) is/are|(?:is/)?are) busy or unavailable|cudaErrorDevicesUnavailable",
        "a GPU of the node is held by another process, though Slurm has given it to this job",
        EXCLUDE + ": nothing is lost; and tell the support which node it was",
        RETRY,
        passing=True,
    ),
    log_pattern(
        "broken GPU",
        r"Unable to determine the device handle(?:(?:[^\n]*\n){1,3}error: environment on (?P<node>\S+):)?"
        r"|uncorrectable (?:ECC|NVLink) error|ECC error|fallen off the bus"
        r"|CUDA error: (?:unknown error|unspecified launch failure|hardware)|system (?:not yet initialized|not ready)"
        r"|\bXid\b"
        r"|contained error|GPU requires reset|GPU is lost|Driver/library version mismatch"
        r"|Cuda failure[^\n]*'(?:unknown error|unspecified launch failure)"
        r"|cudaError(?:ECCUncorrectable|HardwareStackError)",
        "a GPU of the node has failed",
        EXCLUDE + ": it goes on from the last checkpoint; and tell the support which node it was",
        RETRY,
        bare=True,
        passing=True,
    ),
    log_pattern(
        "index out of range",
        r"device-side assert|Assertion `srcIndex < srcSelectDimSize`|index out of range in self",
        "a token id, or a target, is beyond the table that it is looked up in",
        "check that tokenizer and model belong together, and whether tokens were added without resizing the model",
        "CUDA_LAUNCH_BLOCKING=1 names the line: " + ERRORS,
    ),
    log_pattern(
        "CUDA error",
        r"CUDA error: (?P<what>an illegal memory access|misaligned address|an illegal instruction)",
        "a kernel broke on the GPU ({what}): a fault of the code, or of the GPU if it happens on one node only",
        RETRY + ": whether it comes again in the same step",
        EXCLUDE + ", if it happens there only",
        passing=True,
    ),
    log_pattern(
        "wrong environment",
        r"driver on your system is too old \(found version (?P<found>\d+)|CUDA driver version is insufficient",
        "the node's driver {found} is older than the CUDA that torch is built with",
        REBUILD,
        DOCTOR,
    ),
    log_pattern(
        "wrong environment",
        r"no kernel image is available|kernel image is invalid|not compatible with the current PyTorch installation",
        "torch is not built for this model of GPU",
        REBUILD,
    ),
    log_pattern(
        "wrong environment",
        r"Torch not compiled with CUDA enabled|built without CUDA|sees no GPU|No CUDA GPUs are available"
        r"|no CUDA-capable device is detected|Found no NVIDIA driver",
        "torch finds no GPU: it is built without CUDA, for another driver, or the node's GPU is gone",
        DOCTOR,
        EXCLUDE + ", if it happens there only",
        REBUILD,
    ),
)
