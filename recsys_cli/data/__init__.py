"""Everything that touches a file on disk or a raw id, up to the batches and queries that models read."""
