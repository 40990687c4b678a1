from tests.cluster.fake_slurm import slurm  # noqa: F401
