#!/bin/bash

# Parameters
#SBATCH --account=aip-someprof
#SBATCH --array=0-3%1
#SBATCH --comment='layalign math, stage 2 of 2'
#SBATCH --cpus-per-task=12
#SBATCH --gpus-per-node=h100:4
#SBATCH --job-name=math-layalign-s2
#SBATCH --mail-type=END,FAIL
#SBATCH --mail-user=someone@example.org
#SBATCH --mem=471856M
#SBATCH --no-requeue
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --open-mode=append
#SBATCH --output=/scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm/%A_%a_0_log.out
#SBATCH --signal=USR2@120
#SBATCH --time=60

# setup
POSIXLY_CORRECT=1; unset -f builtin compgen; for _f in $(compgen -A function); do case $_f in module|ml|_*) ;; *) unset -f $_f ;; esac; done; unset POSIXLY_CORRECT _f
umask 0077
unset RANK WORLD_SIZE LOCAL_RANK MASTER_ADDR MASTER_PORT CDPATH TAR_OPTIONS LAYALIGN_STEP SLURM_JWT BASH_ENV
bash -c '[ "$(sha256sum < "$1" | cut -c 1-12)" = "$2" ] || { echo "job call $1 is damaged or gone: give the same command again, which writes it anew" >&2; exit 1; }' check /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm/call-0123456789ab.pkl 0123456789ab || exit 1
ln -sfn call-0123456789ab.pkl /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm/"${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}_submitted.pkl" || exit 1
code=${SLURM_TMPDIR:-/scratch/someuser/runs/.code}/code-00112233aabbccdd
srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=1 bash -c '[ -O "$1" ] && exit; [ "$(sha256sum < "$2")" = "$3  -" ] || { echo "code archive $2 is damaged or gone: give the same command again, which writes it anew" >&2; exit 1; }; draft=$1.$SLURMD_NODENAME; rm -rf "$draft" && mkdir -p "$draft" && tar -xf "$2" --no-same-owner -C "$draft" || exit 1; mv -T "$draft" "$1" 2> /dev/null || rm -rf "$draft"; [ -O "$1" ]' unpack "$code" /scratch/someuser/runs/.code/00112233aabbccdd.tar 84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652 || exit 1
cd "$code" || exit 1
export LAYALIGN_COMMIT=0123456789012345678901234567890123456789+
export LAYALIGN_MODULES='StdEnv/2023 gcc/12.3 arrow/24.0.0 cuda/12.6 python/3.11'
export WANDB_MODE=offline
. envs/tamia.sh || exit 1
export PYTHONPATH="$code${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1
_o=$(find /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm/call-0123456789ab.pkl /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm /scratch/someuser/runs/math-layalign-s2-1a2b3c4d /scratch/someuser/runs -maxdepth 0 \( -perm /002 -o -perm /020 -o ! -user "$UID" ! -user 0 \) -printf '%p can be written by others (mode %#m)\n' -quit) && [ -z "$_o" ] && [ -O /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm/call-0123456789ab.pkl ] || { echo "${_o:-the call of this job belongs to another user}, and a job's call is a pickle: who writes there runs programs as you; give the same command again, which tells how to end that" >&2; exit 1; }

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm/%A_%a_%t_log.out --cpus-per-task=12 --open-mode=append --kill-on-bad-exit=1 --wait=60 python -u -m submitit.core._submit /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm
