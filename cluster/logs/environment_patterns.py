"""What exceptions and bare lines say of Python, its packages, and the modules of the cluster."""

from __future__ import annotations

from cluster.logs.advice_words import REBUILD
from cluster.logs.pattern import log_pattern

ENVIRONMENT_SIGNS = (
    log_pattern(
        "wrong environment",
        r"(?:line \d+|\b(?:ba|da)?sh(?:: \d+)?|\benv): [‘'`]?(?P<name>\S*?python[\d.]*|srun|module|zstd)[’']?: "
        r"(?P<how>(?:command )?not found|No such file or directory|cannot execute[^\n]*|Permission denied"
        r"|bad interpreter[^\n]*)",
        "the job's script finds no {name} on the node that it can run ({how})",
        REBUILD,
        bare=True,
    ),
    log_pattern(
        "wrong environment",
        r"CUDA_HOME does not exist|MissingCUDAException|Error building extension '(?P<name>\w+)'|Ninja is required"
        r"|PyTorch and \w+ were compiled with different CUDA|cuDNN version incompatibility",
        "a part ({name}) was to be compiled on the node, or packages were built for different CUDA",
        REBUILD,
    ),
    log_pattern(
        "wrong environment",
        r"cannot import name '\w+' from 'pydantic|PydanticUserError|pydantic is (?P<version>[\d.]+), deepspeed",
        "pydantic and deepspeed do not fit: deepspeed needs pydantic 2, and it is {version} or older",
        "pip install --no-index 'pydantic>=2' in the environment",
        REBUILD,
    ),
    log_pattern(
        "wrong environment",
        r"version `(?P<glibc>(?:GLIBC|GLIBCXX|CXXABI)\w*_[\d.]+)' not found",
        "a package was built for a newer system ({glibc}): it did not come from the cluster's wheelhouse",
        REBUILD,
    ),
    log_pattern(
        "wrong environment",
        r"numpy\.(?P<part>\S+) size changed|compiled using NumPy (?P<old>\S+) cannot be run|numpy\._?core\.multiarray "
        r"failed to import|Numpy is not available|compiled against (?:ABI|API) version|_ARRAY_API not found"
        r"|was removed in the NumPy 2|module 'numpy' has no attribute",
        "packages were built for another version of numpy {old} than is installed",
        REBUILD,
        bare=True,
    ),
    log_pattern(
        "wrong environment",
        r"Descriptors cannot (?:not )?be created directly|incompatible Protobuf Gencode|needs protobuf"
        r"|cannot import name '\w+' from 'google\.protobuf|MessageFactory|proto file into descriptor pool"
        r"|requires the protobuf library",
        "protobuf does not fit the packages that use it",
        REBUILD,
    ),
    log_pattern(
        "wrong environment",
        r"symbol lookup error: (?P<library>[^\s:]+)",
        "the program cannot be started, as it does not fit its library {library}",
        REBUILD,
        bare=True,
    ),
    log_pattern(
        "wrong environment",
        r"undefined symbol: (?P<symbol>\S+)|has different number of parameters than the registered",
        "a package was built for another version of torch or CUDA ({symbol})",
        REBUILD,
    ),
    log_pattern(
        "wrong environment",
        r"No module named '(?P<name>[\w.]+)'|package (?P<package>\S+) is missing|ImportError: (?P<what>.{1,120})"
        r"|(?P<library>lib\S+\.so\S*): cannot open shared object file",
        "Python on the node cannot load {name}{package}{library}{what}",
        REBUILD,
    ),
    log_pattern(
        "wrong environment",
        r"error: environment on (?P<node>\S+): (?P<what>.*)",
        "the check before the job refused the environment on {node}: {what}",
        REBUILD,
        bare=True,
    ),
    log_pattern(
        "wrong environment",
        r"error: cannot load (?P<what>.*?):|Lmod has detected the following error|error: no module command"
        r"|error: no environment in (?P<folder>\S+?);?\s|error: \$SLURM_TMPDIR is not set",
        "the modules or the environment of the job are not there: {what} {folder}",
        "python launch.py doctor",
        REBUILD,
        bare=True,
    ),
)
