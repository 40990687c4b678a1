"""The files that make a sandbox look like a cluster: a pure function of its shape and its places.

Options: https://slurm.schedmd.com/slurm.conf.html and its neighbours gres.conf, cgroup.conf, slurmdbd.conf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.sandbox.shape import Rack, Shape

CLUSTER = "sandbox"
CONTROLLER = "controller"
DATABASE = "slurm_acct_db"
GRACE_S = 10
"""Between the signal of a preemption and the end of the job."""
PARTITION = "nodes"
URGENT = "urgent"
"""The QOS, or without accounting the partition, whose jobs push others back into the queue."""


@dataclass(frozen=True)
class Places:
    """Folders of a sandbox and addresses of its machines."""

    root: Path
    subnet: str
    """The first three numbers, e.g. `198.18.7`."""
    host: str
    """This machine's own name. The controller of Slurm 24 looks up where srun was called, and stalls for seconds on
    a name that it does not find."""

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def scratch(self) -> Path:
        """Local disks of the nodes, a folder each."""
        return self.root / "scratch"

    @property
    def disk(self) -> Path:
        """Where each node sees its own: `$SLURM_TMPDIR` is one path with another content on each, as on a cluster."""
        return self.root / "disk"

    @property
    def munge(self) -> Path:
        return self.root / "munge" / "socket"

    @property
    def login(self) -> str:
        """Address of this machine, which serves as login node."""
        return f"{self.subnet}.1"

    @property
    def controller(self) -> str:
        return f"{self.subnet}.2"

    def node(self, name: str) -> str:
        """Address of a node."""
        return f"{self.subnet}.{int(name.removeprefix('node')) + 2}"


def conf_files(shape: Shape, places: Places, users: Iterable[str], cgroups: bool) -> dict[str, str]:
    """Names and texts of all files in the sandbox's `etc`.

    Args:
        shape: what to imitate.
        places: where it lies.
        users: who may submit jobs.
        cgroups: whether the machine has what memory limits by cgroup need.
    """
    files = {
        "slurm.conf": _slurm_conf(shape, places, cgroups),
        "gres.conf": _gres_conf(shape, places),
        "cgroup.conf": "CgroupPlugin=cgroup/v1\nConstrainRAMSpace=yes\n",
        "hosts": _hosts(shape, places),
        "enter": _enter(places),
        "prolog": _script(f'mkdir -p "{_tmpdir(places)}" && chown "$SLURM_JOB_UID" "{_tmpdir(places)}"'),
        "epilog": _script(f'rm -rf "{_tmpdir(places)}"'),
        "task_prolog": _script(f'echo "export SLURM_TMPDIR={_tmpdir(places)}"'),
    }
    if shape.accounting:
        files |= {"slurmdbd.conf": _slurmdbd_conf(places)}
        files |= {"qos": _qos(shape), "accounts": _accounts(shape, users)}
    return files


def _slurm_conf(shape: Shape, places: Places, cgroups: bool) -> str:
    root, log = places.root, places.log
    sections = [
        f"""\
ClusterName={CLUSTER}
SlurmctldHost={CONTROLLER}({places.controller})
SlurmUser=root
AuthInfo=socket={places.munge},cred_expire=6
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.%n.pid
SlurmctldLogFile={log}/slurmctld.log
SlurmdLogFile={log}/slurmd.%n.log
Prolog={places.etc}/prolog
Epilog={places.etc}/epilog
TaskProlog={places.etc}/task_prolog
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
MailProg=/bin/true
PropagateResourceLimits=NONE
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1""",
        # A test waits for these: a lost node is noticed in seconds, and a requeued job (which waits for its old
        # credential to expire) starts again as soon. A message to the lost node must be given up before the other
        # nodes' time is over, or they are taken for lost with it.
        """\
SlurmdTimeout=8
KillWait=2
MessageTimeout=2
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=100000,batch_sched_delay=0
DependencyParameters=kill_invalid_depend""",
        f"""\
JobRequeue={int(shape.requeue)}
MaxArraySize={shape.max_array}
MaxJobCount=50000
EnforcePartLimits=ALL
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters={"CR_Core_Memory" if shape.memory else "CR_Core"}
PreemptMode=REQUEUE
PriorityType=priority/multifactor""",
    ]
    if shape.memory:
        sections.append("DefMemPerCPU=256")
    if shape.warn_preempted:
        sections.append("SlurmctldParameters=preempt_send_user_signal")
    if cgroups:
        sections.append("ProctrackType=proctrack/cgroup\nTaskPlugin=task/cgroup")
    else:
        sections.append(
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherParams=OverMemoryKill"
        )
    sections.append(_bookkeeping(shape, places))
    sections += [_node(name, rack, places) for name, rack in shape.nodes()]
    sections += _partitions(shape)
    return "\n".join(sections) + "\n"


def _bookkeeping(shape: Shape, places: Places) -> str:
    if not shape.accounting:
        return f"""\
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={places.log}/jobcomp.txt
PreemptType=preempt/partition_prio"""
    gpus = ",".join(["gres/gpu", *(f"gres/gpu:{word}" for word in shape.gpu_words())])
    return f"""\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={places.controller}
AccountingStoragePass={places.munge}
AccountingStorageEnforce=associations,limits,qos,safe
AccountingStorageTRES={gpus}
AccountingStoreFlags=job_comment,job_env,job_script
PreemptType=preempt/qos
PriorityWeightQOS=1000"""


def _node(name: str, rack: Rack, places: Places) -> str:
    gres = ",".join(f"gpu:{word}:{count}" for word, count in rack.gpus)
    return (
        f"NodeName={name} NodeAddr={places.node(name)} CPUs={rack.cpus} CoresPerSocket={rack.cpus} "
        f"RealMemory={rack.memory_mb}" + (f" Gres={gres}" if gres else "")
    )


def _partitions(shape: Shape) -> list[str]:
    """Those that racks name, or one of all nodes; the first is the default."""
    named = dict[str, list[tuple[str, Rack]]]()
    for node, rack in shape.nodes():
        named.setdefault(rack.partition or PARTITION, []).append((node, rack))
    lines = list[str]()
    for name, racks in named.items():
        nodes = "ALL" if len(named) == 1 else ",".join(node for node, _ in racks)
        longest = min(rack.max_time_min or shape.max_time_min for _, rack in racks)
        default = "" if lines else " Default=YES"
        lines.append(f"PartitionName={name}{default} PriorityTier=1 {_common(nodes, longest)}")
    if not shape.accounting:
        lines.append(
            f"PartitionName={URGENT} PriorityTier=100 PreemptMode=OFF {_common('ALL', shape.max_time_min)}"
        )
    return lines


def _common(nodes: str, longest_min: int) -> str:
    """What all partitions say."""
    return f"Nodes={nodes} MaxTime={longest_min} DefaultTime={min(60, longest_min)} GraceTime={GRACE_S}"


def gpu_files(shape: Shape, places: Places) -> Iterator[tuple[str, str, list[Path]]]:
    """Node, request word and device files of all GPUs.

    Slurm sets CUDA_VISIBLE_DEVICES only for GPUs that are character devices; no driver need stand behind them.
    """
    for name, rack in shape.nodes():
        first = 0
        for word, count in rack.gpus:
            yield name, word, [places.root / "dev" / f"nvidia{first + i}" for i in range(count)]
            first += count


def _gres_conf(shape: Shape, places: Places) -> str:
    lines = ["AutoDetect=off"]
    for node, word, files in gpu_files(shape, places):
        names = ",".join(str(file) for file in files)
        lines.append(f"NodeName={node} Name=gpu Type={word} File={names} Flags=nvidia_gpu_env")
    return "\n".join(lines) + "\n"


def _slurmdbd_conf(places: Places) -> str:
    return f"""\
AuthInfo=socket={places.munge}
DbdHost={CONTROLLER}
DbdAddr={places.controller}
SlurmUser=root
PidFile={places.root}/run/slurmdbd.pid
LogFile={places.log}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StorageUser=slurm
StoragePass=slurm
StorageLoc={DATABASE}
"""


def _qos(shape: Shape) -> str:
    """Commands of sacctmgr: `normal` with the limits of the site, and `urgent`, which preempts it."""
    limits = {"MaxJobsPerUser": shape.max_running, "MaxSubmitJobsPerUser": shape.max_submitted}
    given = "".join(f" {key}={value}" for key, value in limits.items() if value is not None)
    return f"""\
modify qos normal set GraceTime={GRACE_S}{given}
add qos {URGENT} set Priority=1000 Preempt=normal
"""


def _accounts(shape: Shape, users: Iterable[str]) -> str:
    """What `sacctmgr load` takes: the accounts, each open to the users under both QOS."""
    lines = [f"Cluster - '{CLUSTER}':Fairshare=1:QOS='normal'", "Parent - 'root'"]
    lines.append("User - 'root':AdminLevel='Administrator':Fairshare=1")
    for name in shape.accounts:
        lines.append(f"Account - '{name}':Description='sandbox':Organization='sandbox':Fairshare=1")
    rights = f"DefaultAccount='{shape.accounts[0]}':Fairshare=1:QOS='normal,{URGENT}':DefaultQOS='normal'"
    for name in shape.accounts:
        lines += [f"Parent - '{name}'", *(f"User - '{user}':{rights}" for user in users)]
    return "\n".join(lines) + "\n"


def _hosts(shape: Shape, places: Places) -> str:
    login = f"login {places.host}"
    machines = {"127.0.0.1": "localhost", places.login: login, places.controller: CONTROLLER}
    machines |= {places.node(name): name for name, _ in shape.nodes()}
    return "".join(f"{address} {name}\n" for address, name in machines.items())


def _enter(places: Places) -> str:
    """Runs a daemon under a node's name and on its disk: it is called inside fresh UTS and mount namespaces.

    Arguments: the name, a hosts file, a folder below each cgroup hierarchy of the machine (or nothing), and the
    command. A node sees that folder as the whole hierarchy, so that sandboxes and a Slurm of the machine's own
    share no cgroup. It draws a boot id, as a machine that is switched on does: what the kernel of this one says is
    the same on all nodes, and processes of another node would be taken for neighbours.
    """
    return _script(
        f"""\
set -e
name=$1 hosts=$2 group=$3
shift 3
hostname "$name"
mount --bind "$hosts" /etc/hosts
boot="{places.root}/run/boot.$name"
cat /proc/sys/kernel/random/uuid > "$boot"
mount --bind "$boot" /proc/sys/kernel/random/boot_id
mkdir -p "{places.scratch}/$name"
mount --bind "{places.scratch}/$name" "{places.disk}"
"""
        """\
for hierarchy in ${group:+freezer memory}; do
  mount --bind "/sys/fs/cgroup/$hierarchy/$group" "/sys/fs/cgroup/$hierarchy"
done
exec "$@\""""
    )


def _tmpdir(places: Places) -> str:
    return f"{places.disk}/$SLURM_JOB_ID"


def _script(text: str) -> str:
    return f"#!/bin/sh\n{text}\n"
