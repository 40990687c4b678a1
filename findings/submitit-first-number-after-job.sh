#!/usr/bin/env bash
# submitit 1.5.4: the id of a submitted job is the first number after the word "job" in what sbatch prints.
# A site whose sbatch is a wrapper may print a line of its own before Slurm's ("each job 128 GB at most"); its number
# becomes the job's id. The job runs, and whoever asks after it asks after another one.
# Seen: id "128" for a job that Slurm had called 42. Fails when submitit reads Slurm's own line.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet submitit==1.5.4 setuptools

mkdir bin
for name in srun sacct; do printf '#!/bin/sh\n' > bin/$name; done
cat > bin/sbatch << 'END'
#!/bin/sh
echo "Reminder: on this partition each job 128 GB of memory at most"
echo "Submitted batch job 42"
END
chmod +x bin/*
cat > submit.py << 'END'
import submitit

executor = submitit.SlurmExecutor("logs")
executor.update_parameters(time=1)
print("id", executor.submit(print, "hello").job_id)
END
PATH="$work/bin:$PATH" env/bin/python submit.py 2> /dev/null | tee seen
grep -qx "id 128" seen && echo "as described: the id is the banner's number"
