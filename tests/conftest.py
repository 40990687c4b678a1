from tests.world import recipe, world  # noqa: F401
