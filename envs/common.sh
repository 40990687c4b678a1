# shellcheck shell=bash
# What the files of all clusters share. A job's script sources its cluster's file before anything else:
#   . envs/narval.sh || exit 1                          modules, environment on every node, settings, check
#   LAYALIGN_STEP=modules . envs/narval.sh || exit 1    modules alone (login node)
# A cluster's file sets
#   LAYALIGN_CLUSTER   its name
#   LAYALIGN_MODULES   modules, in the order in which they are loaded, all before any environment is activated:
#                      the wheelhouse's pyarrow is an empty wheel, the arrow module brings the real one.
#                      A launcher exports those of the profile, which a user can change
#   LAYALIGN_KIND      node    each node makes the environment on its own disk ($SLURM_TMPDIR)
#                      folder  one prebuilt environment is used where it lies ($LAYALIGN_VENV)
#   LAYALIGN_CHECK     optional: what check.py is told
# Modules and versions: docs.alliancecan.ca, pages Available_software, Python, Arrow (as of 2026-05-17).

LAYALIGN_ENVS=$(CDPATH="" cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# What `launch.py env --build` leaves: pins.txt, wheels/, env.tar.zst or venv/. In HOME, which is not purged.
layalign_home() {
  LAYALIGN_ENV_HOME=${LAYALIGN_ENV_HOME:-$HOME/.local/share/layalign/envs/$LAYALIGN_CLUSTER}
  export LAYALIGN_ENV_HOME
}

layalign_modules() {
  [ -n "$LAYALIGN_MODULES" ] || return 0
  if ! type module > /dev/null 2>&1; then # a script without a login shell may lack the function
    local stack=/cvmfs/soft.computecanada.ca/config/profile/bash.sh
    # shellcheck disable=SC1090
    [ -r "$stack" ] && . "$stack"
  fi
  type module > /dev/null 2>&1 || { echo "error: no module command on $(hostname): is this $LAYALIGN_CLUSTER?" >&2; return 1; }
  module purge > /dev/null 2>&1 || true
  local names
  read -ra names <<< "$LAYALIGN_MODULES"
  module load "${names[@]}" || {
    echo "error: cannot load $LAYALIGN_MODULES: correct cluster/profiles/$LAYALIGN_CLUSTER.yaml, software.modules (see: module spider)" >&2
    return 1
  }
}

# Jobs never ask the network: what they read has been fetched by `launch.py prefetch`.
layalign_settings() {
  local fast=${SLURM_TMPDIR:-${TMPDIR:-/tmp}}
  if [ -n "${SCRATCH:-}" ]; then
    : "${HF_HOME:=$SCRATCH/huggingface}" "${LAYALIGN_CACHE:=$SCRATCH/layalign}"
  fi
  export HF_HOME=${HF_HOME:-$HOME/.cache/huggingface} LAYALIGN_CACHE=${LAYALIGN_CACHE:-$HOME/.cache/layalign}
  export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1
  export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} TOKENIZERS_PARALLELISM=false
  # The name without ERROR, which several pages export, is one that nothing reads.
  export TORCH_NCCL_ASYNC_ERROR_HANDLING=1 NCCL_DEBUG=${NCCL_DEBUG:-WARN}
  # HOME is read-only on some compute nodes, and compiled kernels are many small files.
  export TRITON_CACHE_DIR=$fast/triton TORCH_EXTENSIONS_DIR=$fast/torch_extensions MPLCONFIGDIR=$fast/matplotlib
}

# COMMAND...: once on each node of the job.
layalign_each_node() {
  if [ "${SLURM_NNODES:-1}" -gt 1 ]; then
    srun --nodes="$SLURM_NNODES" --ntasks="$SLURM_NNODES" --ntasks-per-node=1 \
      --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --export=ALL "$@"
  else
    "$@"
  fi
}

layalign_activate() {
  local folder=${LAYALIGN_VENV:-$LAYALIGN_ENV_HOME/venv}
  if [ "$LAYALIGN_KIND" = node ]; then
    [ -n "${SLURM_TMPDIR:-}" ] || { echo "error: \$SLURM_TMPDIR is not set: envs/$LAYALIGN_CLUSTER.sh is for jobs" >&2; return 1; }
    folder=$SLURM_TMPDIR/layalign-env
    layalign_each_node bash "$LAYALIGN_ENVS/node.sh" "$folder" "$LAYALIGN_ENV_HOME" || return 1
  fi
  [ -x "$folder/bin/python" ] || {
    echo "error: no environment in $folder; on a login node: python launch.py env --cluster $LAYALIGN_CLUSTER --build" >&2
    return 1
  }
  unset PYTHONHOME
  export VIRTUAL_ENV=$folder PATH=$folder/bin:$PATH
}

# What the user's shell has set for a Python of its own (PYTHONPATH, PYTHONHOME, PYTHONOPTIMIZE, ...) came along with the
# job and would go before its environment. Modules, which are loaded after this, may set it again.
layalign_forget() {
  unset "${!PYTHON@}"
}

layalign_start() {
  layalign_forget
  layalign_home
  layalign_modules || return 1
  [ "${LAYALIGN_STEP:-all}" = all ] || return 0
  layalign_settings
  layalign_activate || return 1
  layalign_each_node python "$LAYALIGN_ENVS/check.py" ${LAYALIGN_CHECK:+"$LAYALIGN_CHECK"}
}
