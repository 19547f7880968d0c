"""The floor: counting, neighbours and closed forms that every other model must beat."""
