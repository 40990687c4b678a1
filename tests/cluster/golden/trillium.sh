#!/bin/bash

# Parameters
#SBATCH --account=def-someprof
#SBATCH --array=0-3%1
#SBATCH --comment='layalign math, stage 2 of 2'
#SBATCH --cpus-per-task=24
#SBATCH --gpus-per-node=4
#SBATCH --job-name=math-layalign-s2
#SBATCH --mail-type=END,FAIL
#SBATCH --mail-user=someone@example.org
#SBATCH --no-requeue
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --open-mode=append
#SBATCH --output=/scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm/%A_%a_0_log.out
#SBATCH --signal=USR2@120
#SBATCH --time=60

# setup
source /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/code/envs/trillium.sh
cd /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/code

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm/%A_%a_%t_log.out --cpus-per-task=24 --open-mode=append --kill-on-bad-exit=1 --wait=60 "$SLURM_TMPDIR"/env/bin/python -u -m submitit.core._submit /scratch/someuser/runs/math-layalign-s2-1a2b3c4d/slurm
